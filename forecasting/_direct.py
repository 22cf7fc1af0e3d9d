"""The strategies "direct" and "multi_output" of `ESNForecaster`: transforms around a pool.

One `DirectSeries` for each series holds its transforms and memory, and shares the network with
the other series that it was learnt with. A single series is a pool of one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from echocast._checks import stack_level
from echocast.exceptions import ForecastDivergenceWarning

from ._automatic import choose_lags, exponential_columns, fitted_chain, seasonal_strength
from ._intervals import ConformalScores, allows_conformal, conformal_origins
from ._pool_errors import PoolScores
from ._pooled import PooledNetwork
from ._pooled_groups import GroupedNetwork, GroupMemory, choose_n_groups
from ._transforms import Chain, Deseasonalize, Transform
from ._transforms_power import Log

__all__ = [
    "DirectSeries",
    "advance_direct",
    "calibrate_direct",
    "calibrate_new",
    "direct_chain",
    "direct_chains",
    "learn_direct",
    "predict_direct",
]

_WEAK, _STRONG = 0.3, 0.64  # seasonal strengths
_MANY_SEASONS = 10  # from which a strong season is left to the reference
_LEAST_SHARE = 0.02  # of the mean, that the least value of a column in logarithms exceeds
_DAYS = (24, 48, 96)  # steps of a day that make a week of 7 a season too
_MOST_STEPS = 100
_MOST_ERRORS = 1000
_FEWEST_ROWS = 4
_FEWEST_UNITS = 5
_SHORT = 200


@dataclass(frozen=True)
class DirectSeries:
    """A series whose forecasts come from a pooled network.

    Parameters
    ----------
    network : PooledNetwork or GroupedNetwork
    chain : Chain
        Its own fitted transforms.
    memory : Memory or GroupMemory
    tails : list of ndarray
        What inverting the transforms needs.
    position : int
        Steps from the first row of fit to the first step of the forecast.
    static : ndarray of shape (n_static,)
    last : ndarray of shape (n_columns,)
        The last row, gaps filled.
    residuals : ndarray of shape (n_kept, n_columns)
        Errors of single steps by readouts that had not seen the row, in the units of y.
    origin : int, default=0
        Position of the row at which the transforms begin to count.
    """

    network: Any
    chain: Chain
    memory: Any
    tails: list
    position: int
    static: np.ndarray
    last: np.ndarray
    residuals: np.ndarray
    origin: int = 0

    def for_new(self, forecaster: Any, Y: np.ndarray, first: int) -> DirectSeries:
        """The same network with transforms of a series that is new to the pool."""
        left = self.network.reference == "seasonal"
        season, owner = forecaster.season_length_, forecaster._owner
        chain = direct_chain(forecaster.transforms, _filled(Y), season, owner, seasonal=not left)
        return replace(self, chain=chain, origin=first)

    def restarted(self, Y: np.ndarray, X: np.ndarray, static: np.ndarray, first: int) -> Any:
        """The same network after other rows, whose first has position `first`."""
        at = first - self.origin
        fresh = _placed(self.network, self.chain, Y, X, static, at)
        residuals = _residuals(fresh, Y, X, at, None)
        return replace(fresh, residuals=residuals, origin=self.origin)

    def sharing(self, network: Any) -> DirectSeries:
        """The same series with a network that has learnt further rows."""
        return replace(self, network=network)

    def held(self, scaled: np.ndarray) -> np.ndarray:
        """Which steps of transformed point forecasts are held, (at most n_steps, D)."""
        if isinstance(self.memory, GroupMemory):
            return self.network.networks_[self.memory.group].held(self.memory.memory, scaled)
        return self.network.held(self.memory, scaled)

    def paths(self, n_steps: int, X: np.ndarray, n_paths: int, rng: Any) -> np.ndarray:
        """Simulated paths (n_steps, D, n_paths)."""
        scaled = self.network.paths(self.memory, n_steps, n_paths, rng, X)
        return self.chain.invert(scaled, self.tails, self.position)

    def one_step(self, Y: np.ndarray, X: np.ndarray, first: int) -> np.ndarray:
        """Predictions of the last rows of `Y`, each from the rows before it."""
        return _one_step(self, Y, X, first - self.origin, None)


def predict_direct(
    series: Sequence[DirectSeries], n_steps: int, exog: Sequence[np.ndarray], labels: Sequence
) -> list[np.ndarray]:
    """Point forecasts (n_steps, D) of several series of one network, as one batch.

    A warning says which of the columns `labels` is held first.
    """
    network = series[0].network
    scaled = network.forecast([one.memory for one in series], n_steps, list(exog))
    for one, path in zip(series, scaled):
        held = one.held(path)
        if held.any():
            step, column = np.argwhere(held)[0]
            warnings.warn(
                f"Forecast of {labels[column]!r} moves far faster than the series ever did (after "
                f"transforms) at step {step + 1} and is held there.",
                ForecastDivergenceWarning,
                stacklevel=stack_level(),
            )
            break
    return [
        one.chain.invert(path[:, :, None], one.tails, one.position)[:, :, 0]
        for one, path in zip(series, scaled)
    ]


def advance_direct(
    series: Sequence[DirectSeries], values: list, exog: list, refit: bool
) -> tuple[Any, list[DirectSeries]]:
    """Series of one network after rows that follow, and the network, which `refit` teaches."""
    network = series[0].network
    news, tails, errors = [], [], []
    for one, Y, X in zip(series, values, exog):
        Z, tail = one.chain.extend(_filled(Y, one.last), one.tails, one.position)
        Z[np.isnan(Y)] = np.nan
        news.append(Z)
        tails.append(tail)
        errors.append(_new_errors(one, Y, X, Z))
    network, memories = network.update([one.memory for one in series], news, exog, refit=refit)
    moved = [
        replace(
            one,
            network=network,
            memory=memory,
            tails=tail,
            position=one.position + len(Y),
            last=_filled(Y, one.last)[-1].copy(),
            residuals=np.concatenate([one.residuals, error])[-_MOST_ERRORS:],
        )
        for one, memory, tail, Y, error in zip(series, memories, tails, values, errors)
    ]
    return network, moved


def _new_errors(one, Y, X, Z):
    """Errors of one-step predictions of new rows, which the weights had not seen."""
    ahead = one.network.one_step_after(one.memory, Z, X)
    errors, tails, position = np.empty_like(Y), one.tails, one.position
    filled = _filled(Y, one.last)
    for t in range(len(Y)):
        predicted = one.chain.invert(ahead[t][None, :, None], tails, position + t)
        errors[t] = Y[t] - predicted[0, :, 0]
        _, tails = one.chain.extend(filled[t : t + 1], tails, position + t)
    return errors


# ------------------------------------------------------------------------- fit


def learn_direct(
    forecaster: Any,
    values: list[np.ndarray],
    exog: list[np.ndarray],
    static: np.ndarray | None,
    seed: int,
) -> list[DirectSeries]:
    """Fit transforms to each series and one network to all.

    Parameters
    ----------
    forecaster : ESNForecaster
        Whose parameters are read; its season length is `season_length_` of the first series.
    values : list of ndarray of shape (n_i, D)
        With NaN for gaps.
    exog : list of ndarray of shape (n_i, K)
        Past-only columns last.
    static : ndarray of shape (n_series, S) or None
    seed : int
    """
    season = forecaster.season_length_
    filled = [_filled(Y) for Y in values]
    chains, reference = direct_chains(forecaster.transforms, filled, season, forecaster._owner)
    transformed = [_transformed(c, Y, 0) for c, Y in zip(chains, values)]
    outside = [X[c.n_lost :] for c, X in zip(chains, exog)]
    for Z, Y, c in zip(transformed, values, chains):
        if len(Z) < (_FEWEST_ROWS if len(values) == 1 else 1):
            raise ValueError(
                f"Length of `y` ({len(Y)}) must be greater than the window needed "
                f"({_FEWEST_ROWS + c.n_lost - 1}: {_FEWEST_ROWS} rows to learn from, {c.n_lost} "
                "rows lost to differences)."
            )
    network = _network(forecaster, transformed, season, reference, seed)
    network.fit(transformed, outside, static, n_past=forecaster._n_past)
    rows = np.zeros((len(values), 0)) if static is None else static
    out = []
    for i, (chain, Y, X, fixed) in enumerate(zip(chains, values, exog, rows)):
        one = _placed(network, chain, Y, X, fixed, 0)
        out.append(replace(one, residuals=_residuals(one, Y, X, 0, i)))
    return out


def direct_chains(
    transforms: Any, values: list[np.ndarray], season: int, owner: str
) -> tuple[list[Chain], str]:
    """Fitted transforms of each series without gaps, and what targets are relative to."""
    strong = [_strength(Y, season) > _STRONG for Y in values]
    n_seasons = np.median([len(Y) for Y in values]) / max(season, 1)
    left = np.mean([s.mean() for s in strong]) > 0.5 and n_seasons >= _MANY_SEASONS
    chains = [direct_chain(transforms, Y, season, owner, seasonal=not left) for Y in values]
    return chains, "seasonal" if left else "last"


def direct_chain(
    transforms: Any, Y: np.ndarray, season: int, owner: str, *, seasonal: bool
) -> Chain:
    """Fitted transforms of one series without gaps."""
    rule = partial(_automatic, seasonal=seasonal)
    return fitted_chain(transforms, Y, season, owner, rule)


def _automatic(Y, season, *, seasonal):
    """Logarithms of positive columns; seasonal means off, if the reference has no season."""
    steps: list[Transform] = []
    positive = Y.min(axis=0) > _LEAST_SHARE * np.abs(Y.mean(axis=0))
    positive |= exponential_columns(Y)
    if positive.any():
        steps.append(Log(columns=positive))
        Y = steps[0].fit(Y, season).forward(Y, 0)
    repeats = _strength(Y, season) > _WEAK
    if seasonal and repeats.any():
        steps.append(Deseasonalize(columns=repeats))
    return steps


def _strength(Y, season):
    if season < 2 or len(Y) < max(3 * season, 2 * season + 8):
        return np.zeros(Y.shape[1])
    return seasonal_strength(Y, season)


def _network(forecaster, values, season, reference, seed):
    lengths = [len(Z) for Z in values]
    median, total = int(np.median(lengths)), sum(lengths)
    horizon = forecaster.horizon
    if horizon is None:
        horizon = max(1, min(max(2 * season, 12), median // 3, _MOST_STEPS))
    lags = ()
    if forecaster.include_input:
        n_columns = values[0].shape[1]
        lags = choose_lags(forecaster.lags, total, n_columns, season, forecaster._owner)
        if forecaster.lags is None:
            lags = tuple(lag for lag in lags if lag <= max(3, median // 3))
    share = 8 if total < _SHORT else 4
    n_units = forecaster.n_units
    if isinstance(forecaster.topology, str):
        n_units = min(n_units, max(_FEWEST_UNITS, total // share))
    names = (
        "spectral_radius", "leak_rate", "input_scaling", "bias_scaling", "topology",
        "connectivity", "input_connectivity", "input_weights", "activation", "dtype",
    )  # fmt: skip
    automatic = isinstance(forecaster.alpha, str)
    options = dict(
        horizon=int(horizon),
        periods=_periods(values, season, median),
        reference=reference,
        n_units=n_units,
        reservoir={name: getattr(forecaster, name) for name in names},
        lags=lags,
        shared=forecaster.strategy == "multi_output",
        seed=seed,
        **({} if automatic else {"alphas": forecaster.alpha}),
    )
    n_groups = choose_n_groups(total, len(values))
    return PooledNetwork(**options) if n_groups == 1 else GroupedNetwork(n_groups, **options)


def _periods(values, season, median):
    """The season and, for a part of a day, the week: the one first that repeats more closely."""
    periods = [season] if season > 1 and median >= 3 * season else []
    if season in _DAYS and median >= 3 * 7 * season:
        periods.append(7 * season)
    changes = [
        np.nanmedian([np.nanmean(np.abs(Z[m:] - Z[:-m])) for Z in values if len(Z) > m])
        for m in periods
    ]
    return tuple(periods[i] for i in np.argsort(changes))


def calibrate_direct(
    forecaster: Any,
    values: list[np.ndarray],
    exog: list[np.ndarray],
    static: np.ndarray | None,
    seed: int,
) -> list[ConformalScores]:
    """Errors from rolling origins of a network that knows the rows before all of them."""
    cuts = [conformal_origins(len(Y)) for Y in values]
    early = learn_direct(
        forecaster,
        [Y[:n] for Y, (n, _) in zip(values, cuts)],
        [X[:n] for X, (n, _) in zip(exog, cuts)],
        static,
        seed,
    )
    return [_scores(one, Y, X, ends) for one, Y, X, (_, ends) in zip(early, values, exog, cuts)]


def _scores(one, Y, X, ends):
    """Errors from the origins `ends` of a series placed after rows before all of them."""
    chain, Z = one.chain, _transformed(one.chain, Y, 0)
    first = chain.n_lost + _leading(Z)
    forecasts = one.network.from_origins(
        Z[_leading(Z) :], X[first:], one.static, ends - 1 - first, like=one.memory
    )
    paths = np.moveaxis(forecasts, 0, 2)
    undone = chain.invert(paths, chain.tails_at(_filled(Y), ends), ends)
    return ConformalScores.measure(undone, Y, ends)


def calibrate_new(
    forecaster: Any, series: DirectSeries, Y: np.ndarray, X: np.ndarray, shared: PoolScores
) -> ConformalScores:
    """Errors that a network, which has seen no row of a new series, makes in it.

    Where its rows are too few to tell, errors of the pool are taken to its scale.

    Parameters
    ----------
    forecaster : ESNForecaster
    series : DirectSeries
        The new one, restarted.
    Y, X : ndarray
        Its rows.
    shared : PoolScores
    """
    if allows_conformal(len(Y), series.chain.n_lost + _leading(Y) + _FEWEST_ROWS):
        n_train, ends = conformal_origins(len(Y))
        early = series.for_new(forecaster, Y[:n_train], 0)
        placed = _placed(series.network, early.chain, Y[:n_train], X[:n_train], series.static, 0)
        return _scores(placed, Y, X, ends)
    errors = series.residuals
    return shared.scaled(Y, Y[len(Y) - len(errors) :] - errors, None)


# ----------------------------------------------------------------------- parts


def _placed(network, chain, Y, X, static, first):
    """A series after rows whose first has position `first`, without residuals."""
    if len(Y) <= chain.n_lost:
        raise ValueError(
            f"Length of `y` ({len(Y)}) must be greater than the window needed ({chain.n_lost}: "
            f"{chain.n_lost} rows lost to differences)."
        )
    filled = _filled(Y)
    [memory] = network.memories([_transformed(chain, Y, first)], [X[chain.n_lost :]], static[None])
    none = np.empty((0, Y.shape[1]))
    tails = chain.tails(filled, first)
    return DirectSeries(
        network, chain, memory, tails, first + len(Y), static, filled[-1].copy(), none
    )


def _transformed(chain, Y, first):
    """Transformed rows with NaN where the row itself is missing."""
    Z = chain.forward(_filled(Y), first)
    Z = Z.copy() if not chain.steps else Z
    Z[np.isnan(Y[chain.n_lost :])] = np.nan
    return Z


def _leading(Z):
    """Rows before the first complete one."""
    return int(np.argmax(np.isfinite(Z).all(axis=1)))


def _one_step(one, Y, X, first, place):
    """One-step predictions of the rows after the first complete one, in the units of y."""
    Z, lost = _transformed(one.chain, Y, first), one.chain.n_lost
    skipped = _leading(Z)
    n = len(Z) - skipped
    if n < 2:
        return np.empty((0, Y.shape[1]))
    scaled = one.network.from_origins(
        Z[skipped:],
        X[lost + skipped :],
        one.static,
        np.arange(n - 1),
        n_steps=1,
        left_out=place,
        like=one.memory,
    )
    return one.chain.one_step(scaled[:, 0], _filled(Y), first)


def _residuals(one, Y, X, first, place):
    fitted = _one_step(one, Y, X, first, place)
    return (Y[len(Y) - len(fitted) :] - fitted)[-_MOST_ERRORS:].copy()


def _filled(Y, before=None):
    """Gaps take the value before; those at the start the first value."""
    gaps = np.isnan(Y)
    if not gaps.any():
        return Y
    whole = Y if before is None else np.concatenate([before[None], Y])
    seen = ~np.isnan(whole)
    first = np.argmax(seen, axis=0)
    rows = np.where(seen, np.arange(len(whole))[:, None], first)
    filled = np.take_along_axis(whole, np.maximum.accumulate(rows, axis=0), axis=0)
    return filled[len(whole) - len(Y) :]
