"""One recursive network for the series of a panel: transforms are their own, weights are shared."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from echocast.reservoir import ESNRegressor, continue_fit, without_rows

from ._adaptive import begin_scores
from ._automatic import choose_lags, safest_alpha
from ._intervals import ConformalScores, allows_conformal, conformal_origins
from ._mask import advance_masked, causal, leading_rows, repeat_known
from ._pool_errors import PoolScores, enough_errors, shared_errors
from ._pooled_rows import canonical
from ._recursive import RecursiveNetwork

__all__ = [
    "SharedErrors",
    "advance_members",
    "learn_members",
    "learn_recursive_pool",
    "measure_new",
    "network_for",
    "pool_errors",
]

_MOST_ERRORS = 1000
_MOST_TRIALS = 20  # series whose closed loops are tried
_TRIAL_STEPS = 50
_MOST_RAISES = 10
_FEWEST_ROWS = 4


@dataclass(frozen=True)
class SharedErrors:
    """What is known of errors in a pool, for series that are new to it.

    Parameters
    ----------
    steps : ndarray of shape (n_errors, n_columns)
        Of single steps, transformed and in units of the spread of the rows of each series.
    scores : PoolScores, optional
    """

    steps: np.ndarray
    scores: PoolScores | None = None


def learn_recursive_pool(
    values: list[np.ndarray],
    exog: list[np.ndarray],
    season_length: int,
    *,
    transforms: Any,
    lags: Any,
    n_units: int,
    washout: Any,
    input_scaling: float,
    params: dict,
    seed: int,
    owner: str,
) -> list[RecursiveNetwork]:
    """One network for each series, all with the weights learnt from all of them.

    Parameters are those of `RecursiveNetwork`. Lags and the washout are bounded by the shortest
    series.
    """
    blank = RecursiveNetwork.without_weights
    pairs = [blank(Y, X, season_length, transforms, owner) for Y, X in zip(values, exog)]
    networks, Z = [net for net, _ in pairs], [z for _, z in pairs]
    lengths = [len(z) for z in Z]
    first = networks[0]
    chosen = choose_lags(lags, sum(lengths), first.n_columns, season_length, owner)
    if lags is None:
        most = max(1, min(lengths) - 1 - _FEWEST_ROWS)
        chosen = tuple(lag for lag in chosen if lag <= most)
    for net in networks:
        net.lags = chosen
    rows = [net._inputs(z, net._features(X)) for net, z, X in zip(networks, Z, exog)]
    shortest = int(np.argmin(lengths))
    skipped = networks[shortest]._resolve_washout(
        washout, len(values[shortest]), len(rows[shortest]), lags
    )
    targets = [z[1:] for z in Z]
    units = first._bounded(n_units, sum(len(r) for r in rows), params["topology"])
    esn = ESNRegressor(
        n_units=units,
        input_scaling=first._scaling(input_scaling),
        washout=skipped,
        random_state=seed,
        **params,
    ).fit(rows, targets)
    alpha = safest_alpha(esn, np.concatenate([t[skipped:] for t in targets]))
    if alpha != esn.alpha_:
        esn.set_params(alpha=alpha).fit(rows, targets)
    for net in networks:
        net.washout, net.n_units, net.esn = skipped, units, esn
    if np.ndim(params["alpha"]) or isinstance(params["alpha"], str):
        _calm(networks, values, exog, rows, targets)
    esn.set_params(alpha=float(esn.alpha_))
    settled = without_rows(esn)
    for net in networks:
        net.esn = settled
    return networks


def _calm(networks, values, exog, rows, targets):
    """Raise the penalty while a series, left to itself after its end, runs off to its bounds."""
    esn = networks[0].esn
    tried = np.unique(np.linspace(0, len(networks) - 1, _MOST_TRIALS).astype(int))
    for _ in range(_MOST_RAISES):
        if not any(_runs_off(networks[i], values[i], exog[i]) for i in tried):
            return
        esn.set_params(alpha=100.0 * max(esn.alpha_, 1e-14)).fit(rows, targets)


def _runs_off(network, Y, X):
    n_steps = min(_TRIAL_STEPS, len(Y) // 2)
    low, high = network._bounds()
    scaled = np.moveaxis(network._scaled_from(Y, X, np.array([len(Y)]), n_steps), 1, -1)
    return bool((((scaled <= low) | (scaled >= high)) & (high > low)).any())


def pool_errors(
    networks: list[RecursiveNetwork], values: list[np.ndarray], exog: list[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Leave-one-out errors of the last rows of each series, transformed and in the units of y.

    At the penalty of the fit, from the leverages of the stacked rows.
    """
    esn, skipped = networks[0].esn, networks[0].washout
    Z = [net.chain.forward(Y) for net, Y in zip(networks, values)]
    rows = [net._inputs(z, net._features(X)) for net, z, X in zip(networks, Z, exog)]
    states = esn.transform(rows)
    parts = [np.concatenate([s, r], axis=1) for s, r in zip(states, rows)]
    parts = [part[skipped:, : esn.coef_.shape[1]] for part in parts]
    count = sum(len(part) for part in parts)
    centre = sum(part.sum(axis=0) for part in parts) / count if esn.fit_intercept else 0.0
    gram = esn.alpha_ * np.eye(esn.coef_.shape[1])
    for part in parts:
        gram = gram + (part - centre).T @ (part - centre)
    factor = np.linalg.cholesky(gram + 1e-12 * np.trace(gram) / len(gram) * np.eye(len(gram)))
    out = []
    for net, part, z, Y in zip(networks, parts, Z, values):
        part = part[-_MOST_ERRORS:]
        inner = solve_triangular(factor, (part - centre).T, lower=True)
        leverage = (inner**2).sum(axis=0) + (1 / count if esn.fit_intercept else 0.0)
        error = z[len(z) - len(part) :] - part @ esn.coef_.T - esn.intercept_
        error = error / np.maximum(1 - leverage, 1e-3)[:, None] / (1 - net.chain.leverage)
        out.append((error, net._in_units(z[len(z) - len(part) :] - error, Y, 0)))
    return out


# ------------------------------------------------------------------- forecasters


def learn_members(forecaster: Any, members: Sequence[Any], values: list, exog: list) -> None:
    """Fit the recursive `ESNForecaster`s of a panel with shared weights.

    Missing values of ``missing="mask"`` take the value of the season before, throughout.
    """
    season = members[0].season_length_
    leads, whole, outside = [], [], []
    for Y, X in zip(values, exog):
        leads.append(leading_rows(Y, forecaster._owner))
        Y, X = Y[leads[-1] :], X[leads[-1] :]
        whole.append(repeat_known(Y, season) if np.isnan(Y).any() else Y)
        outside.append(X)
    options = members[0]._network_options() | {"seed": members[0]._network_seed()}
    networks = learn_recursive_pool(whole, outside, season, **options)
    errors = pool_errors(networks, whole, outside)
    shared = _shared(networks, whole, outside, [scaled for scaled, _ in errors])
    scores: list[Any] = [None] * len(members)
    if forecaster.interval != "bootstrap":
        n_columns = members[0]._fit_form.n_columns
        measured = _calibrate(whole, outside, season, options, n_columns)
        truth = [Y[:, :n_columns] for Y in whole]
        shared = replace(shared, scores=PoolScores.of(measured, truth))
        scores = [begin_scores(one, forecaster.interval) for one in measured]
    for member, net, Y, X, lead, (scaled, in_units), score in zip(
        members, networks, whole, outside, leads, errors, scores
    ):
        member._fit_network, member._fit_lead, member._fit_scores = net, lead, score
        member._fit_shared = shared
        member._fit_memory = net.start(Y, X, 0)
        member._fit_errors = scaled
        member._fit_residuals = in_units[:, : member._fit_form.n_columns]


def _calibrate(values, exog, season, options, n_columns):
    """Errors from rolling origins of networks that know the rows before all of them."""
    cuts = [conformal_origins(len(Y)) for Y in values]
    networks = learn_recursive_pool(
        [Y[:n] for Y, (n, _) in zip(values, cuts)],
        [X[:n] for X, (n, _) in zip(exog, cuts)],
        season,
        **options,
    )
    return [
        _measured(net, Y[:, :n_columns], Y, X, *cut)
        for net, Y, X, cut in zip(networks, values, exog, cuts)
    ]


def _measured(network, truth, whole, exog, n_train, ends):
    """Errors of a network that knows the first `n_train` rows, from the origins `ends`."""
    n_columns = truth.shape[1]
    forecasts = network.paths_from(
        whole, exog, ends, ConformalScores.steps_for(len(truth) - n_train)
    )
    bends = network.chain.bends(n_columns)
    return ConformalScores.measure(forecasts[:, :n_columns], truth, ends, bends)


def advance_members(
    everyone: Iterable[Any], members: Sequence[Any], values: list, exog: list, refit: bool
) -> None:
    """Move members on over their new rows; a refit teaches the weights that all share."""
    esn = members[0]._fit_network.esn
    if refit:
        for member, Y, X in zip(members, values, exog):
            Y, X = member._with_past(Y, X)
            memory = member._fit_memory
            _, rows, targets, _, _, weights = advance_masked(member._fit_network, memory, Y, X)
            esn = continue_fit(esn, rows, targets, state=memory.state, sample_weight=weights)
        esn = without_rows(esn)
    for member, Y, X in zip(members, values, exog):
        member._advance(Y, X, False)
    if refit:
        for member in everyone:
            member._fit_network = copy.copy(member._fit_network)
            member._fit_network.esn = esn


def network_for(forecaster: Any, Y: np.ndarray, X: np.ndarray, first: int) -> tuple[Any, int]:
    """The shared weights with transforms of a series that is new to the pool.

    Also the rows before the first from which positions count, as `_fit_lead` says it.
    """
    values, exog = forecaster._with_past(Y, X)
    lead = leading_rows(values, forecaster._owner)
    season, owner = forecaster.season_length_, forecaster._owner
    whole = repeat_known(values[lead:], season)
    network, _ = RecursiveNetwork.without_weights(
        whole, exog[lead:], season, forecaster._own_transforms(), owner
    )
    for name in ("lags", "washout", "n_units", "esn"):
        setattr(network, name, getattr(forecaster._fit_network, name))
    return network, first + lead


def _shared(networks, values, exog, errors):
    """Errors of single steps of all series, in an order that does not depend on theirs."""
    order = canonical(values, exog, np.zeros((len(values), 0)))
    units = [_spread(net.chain.forward(Y)) for net, Y in zip(networks, values)]
    return SharedErrors(shared_errors([errors[i] / units[i] for i in order]))


def _spread(Z):
    spread = Z.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def measure_new(
    forecaster: Any, given: tuple, values: np.ndarray, exog: np.ndarray, whole: np.ndarray
) -> None:
    """Errors that the shared weights, which have seen no row of a new series, make in it.

    Where its rows are too few to tell, errors of the pool are taken to its scale.

    Parameters
    ----------
    forecaster : ESNForecaster
        Its network has the transforms of the series.
    given : tuple
        Rows, exogenous rows and position of the first of them, as `_restart` got them.
    values, exog, whole : ndarray
        As `completed` gives them.
    """
    network, shared = forecaster._fit_network, forecaster._fit_shared
    seen = ~np.isnan(values).any(axis=1)
    Z = network.chain.forward(whole)
    rows = network._inputs(Z, network._features(exog))
    predicted = np.concatenate([p for _, p, _ in network._run(rows, np.zeros(network.n_units))])
    own = (Z[1:] - predicted) / _spread(Z) / (1 - network.chain.leverage)
    settled = min(max(network.washout, network.lags[-1] - 1), len(own) // 2)
    own = own[settled:][seen[len(seen) - len(own) + settled :]][-_MOST_ERRORS:]
    errors, factor = enough_errors(own, shared.steps, 1)
    forecaster._fit_errors = factor * errors * _spread(Z)
    if forecaster.interval == "bootstrap":
        return
    n_columns = forecaster._fit_form.n_columns
    truth = values[:, :n_columns]
    if allows_conformal(len(values), network.n_needed):
        n_train, ends = conformal_origins(len(values))
        n_first = len(given[0]) - len(values) + n_train
        early, _ = network_for(forecaster, given[0][:n_first], given[1][:n_first], given[2])
        scores = _measured(early, truth, whole, exog, n_train, ends)
    else:
        fitted = causal(network.one_step(whole, exog, 0)[:, :n_columns], truth)
        scores = shared.scores.scaled(truth, fitted, network.chain.bends(n_columns))
    forecaster._fit_scores = begin_scores(scores, forecaster.interval)
