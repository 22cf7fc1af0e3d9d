"""Spread of forecasts where rows are too few to have been forecast from past origins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["naive_paths", "with_naive_paths"]

_FEWEST = 20  # paths of errors at development origins, below which naive ones are added
_WANTED = 60
_CLOSE, _FAR = 0.8, 1.5  # how far errors at a few origins may shrink or widen naive ones


def naive_paths(
    series: list[np.ndarray],
    season: int,
    horizon: int,
    unit: Callable[[np.ndarray, int], float],
    seed: int,
) -> np.ndarray:
    """Paths of errors (n_paths, horizon) of the better naive forecast, in units of the series.

    Changes from one value to the next add up along a path; those from one season to the next
    do so from season to season. Each path draws from the changes of one series.

    Parameters
    ----------
    series : list of ndarray of shape (n_i,)
    season, horizon : int
    unit : callable
        ``unit(y, season)``, the size that errors of a series are divided by.
    seed : int
    """
    rng = np.random.RandomState(seed)
    known = [y for y in series if len(y) > 1]
    paths = np.zeros((_WANTED, horizon))
    for path in paths if known else ():
        y = known[rng.randint(len(known))]
        lag = _better_lag(y, season)
        changes = (y[lag:] - y[:-lag]) / unit(y, season)
        changes = changes - (changes.mean() if len(changes) > 2 else 0.0)
        # few changes show too little of their spread
        drawn = changes[rng.randint(len(changes), size=horizon)] * np.sqrt(1 + 2 / len(changes))
        for start in range(0, horizon, lag):
            stop = min(start + lag, horizon)
            before = path[start - lag : stop - lag] if start else 0.0
            path[start:stop] = before + drawn[start:stop]
    return paths


def _better_lag(y, season):
    if season < 2 or len(y) < season + 3:
        return 1
    one, whole = np.abs(np.diff(y)).mean(), np.abs(y[season:] - y[:-season]).mean()
    return season if whole < one else 1


def with_naive_paths(errors: np.ndarray, naive: np.ndarray) -> np.ndarray:
    """Errors at development origins, filled up with naive ones of like size if they are few."""
    if len(errors) >= _FEWEST:
        return errors
    size = np.abs(naive).mean()
    if len(errors) and size > 0:
        naive = naive * np.clip(np.abs(errors).mean() / size, _CLOSE, _FAR)
    return np.concatenate([errors, naive])
