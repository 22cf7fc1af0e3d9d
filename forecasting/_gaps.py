"""Rows that a regular time axis lacks, put in as missing ones where `missing` asks for it."""

from __future__ import annotations

import datetime
import warnings
from typing import Any

import numpy as np
import pandas as pd

from echocast._checks import stack_level
from echocast.exceptions import InsertedRowsWarning

from ._index import inferred_freq, likely_freq, read_freq, show
from ._naming import current_series, plain

__all__ = ["complete", "completed", "find_freq", "warn_of_inserted"]

_FEW = 100  # rows that may be put in however short the series is


def complete(y: Any, *, freq: Any, missing: str, start: Any = None) -> Any:
    """y on its whole grid, with NaN in the rows it lacked, unless missing="raise".

    Parameters
    ----------
    y : Series, DataFrame or anything else, which is returned as it is
    freq : offset, str, int or None
        The frequency, if it is known.
    missing : str
        With "raise" y is returned as it is.
    start : label, optional
        Where the grid begins, if before the first row of y.

    Notes
    -----
    What is no gap in a regular grid (repeated, unordered or odd labels, or more rows lacking than
    there are) is left alone: whoever reads the index refuses it and says why.
    """
    whole, absent = completed(y, freq=freq, missing=missing, start=start)
    if len(absent):
        warnings.warn(
            f"{current_series()}`y` lacks {_count(absent)} of its grid, first {show(absent[0])}; "
            f"put in as missing, for missing={missing!r}.",
            InsertedRowsWarning,
            stacklevel=stack_level(),
        )
    return whole


def warn_of_inserted(inserted: dict, missing: str) -> None:
    """One warning for all series of a panel, whose labels lead to the rows each lacked."""
    if not inserted:
        return
    label, absent = next(iter(inserted.items()))
    if len(inserted) == 1:
        which = f"Series {plain(label)!r} of `y` lacks {_count(absent)}"
    else:
        total = sum(len(rows) for rows in inserted.values())
        which = f"{len(inserted)} series of `y` lack {total} rows"
    warnings.warn(
        f"{which} of {'its' if len(inserted) == 1 else 'their'} grid, first "
        f"{show(absent[0])} (series {plain(label)!r}); put in as missing, for missing={missing!r}.",
        InsertedRowsWarning,
        stacklevel=stack_level(),
    )


def _count(rows):
    return f"{len(rows)} row{'s' if len(rows) > 1 else ''}"


def completed(y: Any, *, freq: Any, missing: str, start: Any = None) -> tuple[Any, Any]:
    """As `complete`, without the warning, and the labels of the rows put in."""
    if missing == "raise" or not isinstance(y, (pd.Series, pd.DataFrame)) or len(y) == 0:
        return y, ()
    index = y.index
    if index.hasnans or not index.is_unique or not index.is_monotonic_increasing:
        return y, ()
    grid = _grid(index, freq, start)
    if grid is None or len(grid) <= len(index) or not index.isin(grid).all():
        return y, ()
    absent = grid.difference(index)
    if len(absent) > max(_FEW, len(index)):
        return y, ()
    if isinstance(y, pd.Series):
        y = y.astype(np.float64) if y.dtype.kind == "b" else y
    else:
        y = y.astype({c: np.float64 for c in y if y[c].dtype.kind == "b"})
    return y.reindex(grid), absent


def _grid(index, freq, start):
    """All labels from the first to the last, or None for what has no grid."""
    first = index[0]
    if start is not None and _is_same_kind(start, first):
        first = min(start, first)
    if isinstance(index, pd.DatetimeIndex):
        is_freq = isinstance(freq, (str, datetime.timedelta, pd.offsets.BaseOffset))
        offset = read_freq(freq) if is_freq else find_freq(index)
        if offset is None:
            return None
        return pd.date_range(first, index[-1], freq=offset, name=index.name, unit=index.unit)
    if isinstance(index, pd.PeriodIndex):
        return pd.period_range(first, index[-1], freq=index.freq, name=index.name)
    if index.dtype.kind not in "iu":
        return None
    step = freq if isinstance(freq, (int, np.integer)) else _smallest_step(index)
    if step < 1 or (index[-1] - first) // step > 2 * len(index) + _FEW:
        return None
    return pd.Index(np.arange(first, index[-1] + step, step), dtype=index.dtype, name=index.name)


def _is_same_kind(one, two):
    zones = [getattr(label, "tzinfo", None) is None for label in (one, two)]
    is_label = isinstance(one, (pd.Timestamp, pd.Period))
    return zones[0] == zones[1] and (type(one) is type(two) or not is_label)


def _smallest_step(index):
    return int(np.diff(index.to_numpy()).min()) if len(index) > 1 else 1


def find_freq(index: pd.DatetimeIndex) -> Any:
    """Frequency of the grid that all stamps lie on, with or without gaps; None if there is none."""
    if index.freq is not None:
        return index.freq
    if len(index) < 3:
        return None
    found = inferred_freq(index)
    return likely_freq(index) if found is None else found
