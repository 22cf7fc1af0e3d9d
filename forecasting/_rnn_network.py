"""Trained networks for the series of a pool, which may be one: from rows of y to step models."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from echocast._checks import stack_level
from echocast.exceptions import EchocastWarning

from ._automatic import choose_lags, fitted_chain
from ._direct import direct_chain, direct_chains
from ._exog_features import ExogFeatures
from ._lagged import LaggedModel
from ._pooled_rows import canonical, mean_and_spread
from ._rnn_steps import RecurrentSteps, RowView, train_networks
from ._transforms import Chain, Standardize

__all__ = ["RecurrentModel", "chain_for_new", "learn_networks", "warn_of_shortest"]

_MOST_STEPS = 100
_FEWEST_ROWS = 4
_EARLY = 2 / 3  # of the rows teach the networks that errors are measured with
_FEWEST_ERRORS = 8
_UPDATES, _UPDATES_STOPPED = 500, 1000  # the latter where held out series say when to stop
_EPOCHS = (10, 300)
_MANY = 20  # series of a pool, of which some can be held out
_SIZES = ((3_000, 8), (10_000, 16), (np.inf, 32))  # units for at most so many rows
_STRETCH = 100  # rows through which `RNNRegressor` takes gradients of long series


class ByChange(Standardize):
    """Centre each column and divide it by its mean absolute change over a step."""

    def fit(self, Y, season_length):
        super().fit(Y, season_length)
        change = np.abs(np.diff(Y, axis=0)).mean(axis=0)
        level = np.abs(Y).max(axis=0)
        self.scale_ = np.where(change > 1e-12 * level, change, self.scale_)
        return self


class RecurrentModel(LaggedModel):
    """Transforms and lags of one series, before networks that may serve many.

    Parameters
    ----------
    Y : ndarray of shape (n_steps, n_columns)
        Without NaN.
    X : ndarray of shape (n_steps, n_exog)
    chain : Chain
        Fitted transforms.
    steps : list of pairs of int
        See `steps_of`.

    `early` gives the same model on networks that learnt from the first rows alone, which say what
    errors are made. They are trained when it is first called.
    """

    def __init__(self, Y: np.ndarray, X: np.ndarray, chain: Chain, steps: list):
        self.chain, self.steps = chain, steps
        self.early: Callable[[], RecurrentModel] | None = None
        self.exog = ExogFeatures(chain.steps, X)
        self.n_columns = Y.shape[1]
        self.models = []
        Z, E = self.chain.forward(Y), self._features(X)
        self.effect = self._known_effect(Z, E)
        Z, _ = self._cleared(Z, E)
        self.low, self.high = Z.min(axis=0), Z.max(axis=0)
        self.horizon = max(shift for shift, _ in steps) + 1
        self.lags: tuple = ()

    def examples(
        self, Y: np.ndarray, X: np.ndarray, known: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, targets and their weights; of the last rows only some targets are there.

        `known` (n_steps,) says which rows were observed.
        """
        Z, E = self._cleared(self.chain.forward(Y), self._features(X))
        [(shift, width)] = self.steps
        seen = np.ones(len(Z)) if known is None else known[-len(Z) :].astype(np.float64)
        blank = np.zeros((width - 1, Z.shape[1]))
        rows, targets = self._table(np.concatenate([Z, blank]), _longer(E, width - 1), shift, width)
        whole = np.repeat(np.r_[seen, np.zeros(width - 1)][:, None], Z.shape[1], axis=1)
        none = np.empty((len(whole), 0))
        weights = self._table(whole, none, shift, width)[1]
        return rows, targets, weights

    def with_networks(self, steps: RecurrentSteps) -> RecurrentModel:
        """A copy that runs on these."""
        other = copy.copy(self)
        other.models = [steps]
        return other

    def for_static(self, static: np.ndarray) -> RecurrentModel:
        """A copy for a series with other static columns."""
        steps: Any = self.models[0]
        return self.with_networks(steps.for_static(static))

    def errors(self, Y, X, known=None):
        """As `LaggedModel.errors`, by networks that have not learnt from the rows measured."""
        model = self if self.early is None else self.early()
        return LaggedModel.errors(model, Y, X, known)

    def lean(self) -> RecurrentModel:
        """A copy without what measures errors, which holds the rows of the fit."""
        other = copy.copy(self)
        other.early = None
        return other

    def require(self, n_steps: int, n_series: int) -> None:
        """Refuse a series that has too few rows, of all in a pool the shortest one."""
        needed = self.n_needed + _FEWEST_ROWS - 1
        if n_steps < needed:
            of_pool = n_series > 1
            what = "Length of the shortest series" if of_pool else "Length of `y`"
            way_out = ", or fit without that series and `apply` to it later" if of_pool else ""
            raise ValueError(
                f"{what} ({n_steps}) must be greater than the window needed ({needed - 1}: "
                f"lags={self.lags[-1]}, {self.horizon} step(s) ahead, {self.chain.n_lost} rows "
                f"lost to differences). Use smaller `lags` or `horizon`{way_out}."
            )


def _longer(E, n):
    """Known columns with `n` rows more, which no input sees."""
    return np.concatenate([E, np.zeros((n, E.shape[1]))])


# ----------------------------------------------------------------------- learning


def learn_networks(
    values: Sequence[np.ndarray],
    exog: Sequence[np.ndarray],
    season: int,
    *,
    direct: bool,
    transforms: Any,
    lags: Any,
    horizon: int | None,
    params: dict,
    n_members: int,
    seed: int,
    owner: str,
    known: Sequence[np.ndarray | None],
    static: np.ndarray | None = None,
) -> list[RecurrentModel]:
    """A model for each series, all with the networks learnt from all of them.

    Parameters
    ----------
    values : list of ndarray of shape (n_i, D)
        Without NaN.
    exog : list of ndarray of shape (n_i, K)
    season : int
    direct, transforms, lags, horizon
        As in `RNNForecaster`.
    params : dict
        Of the `RNNRegressor`.
    n_members, seed : int
    known : list of (ndarray of bool, shape (n_i,), or None)
        Which rows were observed; the others are no targets.
    static : ndarray of shape (n_series, n_static), optional
    """
    chains, reference = _chains(values, season, direct, transforms, owner)
    lengths = np.array([len(Y) - c.n_lost for Y, c in zip(values, chains)])
    steps, lags = _window(lengths, values[0].shape[1], season, direct, lags, horizon, reference,
                          owner)  # fmt: skip
    models = [RecurrentModel(Y, X, c, steps) for Y, X, c in zip(values, exog, chains)]
    shortest = int(np.argmin(lengths))
    for model in models:
        model.lags = lags
    models[shortest].require(len(values[shortest]), len(values))
    season_of_view = {"none": 0, "last": 1, "seasonal": season}[reference]
    view = RowView(values[0].shape[1], lags, steps[0][1], season_of_view)
    fixed = np.zeros((len(values), 0)) if static is None else static
    order = canonical(list(values), list(exog), fixed)
    scaling = mean_and_spread(fixed[order])
    parts = [RecurrentSteps(view, row, scaling) for row in fixed]
    tables = [m.examples(Y, X, k) for m, Y, X, k in zip(models, values, exog, known)]
    seeds = np.random.RandomState(seed).randint(2**31 - 1, size=n_members + 1)
    params = _settled(params, lengths)
    networks = _trained(params, seeds[:-1], parts, [tables[i] for i in order], order)
    models = [m.with_networks(one.sharing(networks)) for m, one in zip(models, parts)]
    early = cache(partial(_learn_early, models, parts, tables, order, params, seeds[-1:]))
    for i, model in enumerate(models):
        model.early = partial(_one_of, early, i)
    return models


def _one_of(learn, i):
    return learn()[i]


def _chains(values, season, direct, transforms, owner):
    """Fitted transforms of each series, which end in a scale, and what targets are relative to."""
    if direct:
        chains, reference = direct_chains(transforms, list(values), season, owner)
    else:
        chains = [fitted_chain(transforms, Y, season, owner) for Y in values]
        reference = "none"
    return [scaled(c, Y, season, direct) for c, Y in zip(chains, values)], reference


def scaled(chain: Chain, Y: np.ndarray, season: int, direct: bool) -> Chain:
    """The chain with a scale at its end."""
    if not direct and chain.steps and isinstance(chain.steps[-1], Standardize):
        return chain
    step = (ByChange() if direct else Standardize()).fit(chain.forward(Y), season)
    return Chain([*chain.steps, step])


def chain_for_new(
    like: RecurrentModel, Y: np.ndarray, season: int, transforms: Any, owner: str
) -> Chain:
    """Transforms of a series that is new to the pool of `like`."""
    steps: Any = like.models[0]
    view = steps.view
    if not view.season:
        return scaled(fitted_chain(transforms, Y, season, owner), Y, season, False)
    chain = direct_chain(transforms, Y, season, owner, seasonal=view.season == 1)
    return scaled(chain, Y, season, True)


def _window(lengths, n_columns, season, direct, lags, horizon, reference, owner):
    """The steps that a row gives, and the lags it holds."""
    median, shortest = int(np.median(lengths)), int(lengths.min())
    if not direct:
        chosen = choose_lags(1 if lags is None else lags, int(lengths.sum()), n_columns, season,
                             owner)  # fmt: skip
        return [(0, 1)], chosen
    wanted = _usual_horizon(season, median) if horizon is None else horizon
    if lags is None:
        longest = season if season > 1 else 3
        chosen = tuple(range(1, min(longest, max(2, median // 3)) + 1))
    else:
        chosen = choose_lags(lags, int(lengths.sum()), n_columns, season, owner)
    chosen = tuple(sorted({1, 2, *chosen}))
    if reference == "seasonal":
        chosen = tuple(sorted({*range(1, season + 1), *chosen}))
    if horizon is None:
        wanted = max(1, min(wanted, shortest - chosen[-1] - _FEWEST_ROWS))
    return [(wanted - 1, int(wanted))], chosen


def _usual_horizon(season, median):
    return max(1, min(max(2 * season, 12), median // 3, _MOST_STEPS))


def warn_of_shortest(models: Sequence[RecurrentModel], n_rows: Sequence[int], season: int) -> None:
    """Say that the shortest series of a pool leaves its direct networks fewer steps than usual."""
    lengths = [n - model.chain.n_lost for n, model in zip(n_rows, models)]
    usual, found = _usual_horizon(season, int(np.median(lengths))), models[0].horizon
    if found < usual:
        warnings.warn(
            f"The shortest series ({min(n_rows)} rows) leaves `horizon` {found} instead of {usual} "
            "for the whole pool; steps beyond it continue from the forecasts. Fit without that "
            "series and `apply` to it later, or set `horizon`.",
            EchocastWarning,
            stacklevel=stack_level(),
        )


def _settled(params, lengths):
    """Parameters without "auto" that depends on the number of rows."""
    params = dict(params)
    if isinstance(params["early_stopping"], str):
        params["early_stopping"] = len(lengths) >= _MANY and params["solver"] != "lbfgs"
    if isinstance(params["max_iter"], str):
        n_updates = _UPDATES_STOPPED if params["early_stopping"] else _UPDATES
        params["max_iter"] = _epochs(lengths, int(params["batch_size"]), n_updates)
    if isinstance(params["hidden_layer_sizes"], str):
        n_rows = int(lengths.sum())
        params["hidden_layer_sizes"] = next(n for most, n in _SIZES if n_rows <= most)
    return params


def _epochs(lengths, batch_size, n_updates):
    """Epochs that make about so many updates."""
    n_long = max(1, min(batch_size, int(lengths.sum()) // (10 * _STRETCH)))
    if len(lengths) < n_long:  # long series are cut into lanes, and these into stretches
        in_epoch = int(lengths.sum()) / (n_long * _STRETCH)
    else:
        pieces = 1 if lengths.max() <= 2 * _STRETCH else np.median(lengths) / _STRETCH
        in_epoch = -(-len(lengths) // batch_size) * pieces
    return int(np.clip(n_updates / max(in_epoch, 1.0), *_EPOCHS))


def _trained(params, seeds, parts, tables, order):
    X = [parts[i].inputs(rows) for i, (rows, _, _) in zip(order, tables)]
    y = [
        targets - parts[i].view.reference(rows)
        for i, (rows, targets, _) in zip(order, tables)
    ]  # fmt: skip
    return train_networks(params, [int(s) for s in seeds], X, y, [w for *_, w in tables])


def _learn_early(models, parts, tables, order, params, seeds):
    """The models on networks that know the first rows of each series alone."""
    width = models[0].steps[0][1]
    first, cuts = [], []
    for rows, targets, weights in tables:
        n = len(rows) - width + 1  # of which all targets are there
        cut = max(1, int(_EARLY * n))
        first.append((rows[:cut], targets[:cut], weights[:cut]))
        clear = cut + width - 1  # from there on no target has been learnt
        cuts.append(clear if n - clear >= _FEWEST_ERRORS else cut)
    networks = _trained(params, seeds, parts, [first[i] for i in order], order)
    out = []
    for model, one, cut in zip(models, parts, cuts):
        early = one.sharing(networks)
        early.n_hidden = cut
        out.append(model.lean().with_networks(early))
    return out
