"""The poison-the-future test of transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from ._poisons import as_frame, check_poisons, poison, read_cutoffs, times_of
from ._reports import CausalReport, Ledger

__all__ = ["check_transform_causal"]


def check_transform_causal(
    transform: Any,
    y: Any,
    *,
    cutoffs: Any = 3,
    poisons: Any = None,
    season_length: int = 1,
) -> CausalReport:
    """Replace the rows after a cutoff; what comes out for the rows before must not change.

    Objects are fitted to the first half of the rows, so what is looked at is how they transform;
    a function is given all rows at once, and may learn nothing from later ones either.

    Parameters
    ----------
    transform : object or callable
        A transform of `echocast.forecasting` (whose `invert` is checked, too), a transformer of
        scikit-learn, or a function of y. The result may lack first rows, not last ones.
    y : Series, DataFrame or ndarray
        Rows in time order.
    cutoffs, poisons
        As in `check_causal`. If y has missing rows, cutoffs that are not given lie behind them.
    season_length : int, default=1
        Handed to the `fit` of `echocast.forecasting`'s transforms.

    Returns
    -------
    CausalReport

    Raises
    ------
    AssertionError
        If a row before a cutoff changes.

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.testing import check_transform_causal
    >>> print(check_transform_causal(lambda y: y.rolling(5).mean(), load_sunspots()))
    function: 12 comparisons of 2772 values
    >>> check_transform_causal(lambda y: y.rolling(5, center=True).mean(), load_sunspots())
    Traceback (most recent call last):
    AssertionError: function sees the future (rows after ...
    """
    times = times_of(y)
    half = len(times) // 2
    ledger = Ledger(type(transform).__name__)
    run = _runner(transform, y, half, season_length)
    clean = run(y)
    lost = len(times) - len(clean)
    for cutoff in read_cutoffs(cutoffs, times, half, len(times) - 1, y):
        for how in check_poisons(poisons):
            what = f"rows after {times[cutoff - 1]} {how}"
            changed = ledger.attempt(what, lambda: run(poison(y, times, cutoff, how)))  # noqa: B023
            if changed is not None:
                known = cutoff - lost
                ledger.compare(what, clean.iloc[:known], changed.iloc[:known])
    if hasattr(transform, "invert"):
        _check_inverse(transform, y, half, season_length, check_poisons(poisons), ledger)
    return ledger.report()


def _runner(transform, y, half, season_length):
    if hasattr(transform, "forward"):
        fitted = clone(transform).fit(_matrix(y)[:half], season_length)
        return lambda rows: as_frame(fitted.forward(_matrix(rows), 0))
    if hasattr(transform, "fit"):
        fitted = clone(transform).fit(_two_dimensional(y)[:half])
        return lambda rows: as_frame(fitted.transform(_two_dimensional(rows)))
    if callable(transform):
        return lambda rows: as_frame(transform(rows))
    raise TypeError(f"`transform` must be a transform or a function, got {transform!r}.")


def _check_inverse(transform, y, half, season_length, poisons, ledger):
    """The inverse of a path's first steps must not depend on its later ones."""
    values = _matrix(y)
    fitted = clone(transform).fit(values[:half], season_length)
    lost = getattr(fitted, "n_lost_", 0)
    tail = values[half - lost : half, :, None]
    path = fitted.forward(values, 0)[half - lost :]
    steps = pd.RangeIndex(len(path))
    cut = len(path) // 2
    clean = as_frame(fitted.invert(path[:, :, None], tail, half)).iloc[:cut]
    for how in poisons:
        changed = ledger.attempt(
            f"invert, {how}",
            lambda: as_frame(fitted.invert(poison(path, steps, cut, how)[:, :, None], tail, half)),  # noqa: B023
        )
        if changed is not None:
            ledger.compare(f"invert, steps after {cut} {how}", clean, changed.iloc[:cut])


def _matrix(y):
    values = np.asarray(y, dtype=np.float64)
    return values.reshape(len(values), -1)


def _two_dimensional(y):
    if isinstance(y, pd.Series):
        return y.to_frame()
    return y if y.ndim == 2 else y[:, None]
