"""Data whose rows after a cutoff are replaced: series, frames, panels and arrays alike."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "POISONS",
    "as_frame",
    "check_poisons",
    "poison",
    "read_cutoffs",
    "times_of",
    "until",
    "with_gap",
]


def _huge(values):
    return np.full_like(values, 1e9 * max(1.0, float(np.nanmax(np.abs(values), initial=0.0))))


def _permuted(values):
    return np.random.RandomState(0).permutation(values)


POISONS = {
    "huge": _huge,
    "nan": lambda values: np.full_like(values, np.nan),
    "permuted": _permuted,
    "negated": lambda values: -values,
}


def check_poisons(poisons: Any) -> list[str]:
    """The names, all known."""
    names = list(POISONS) if poisons is None else list(poisons)
    for name in names:
        if name not in POISONS:
            raise ValueError(f"`poisons` must be among {list(POISONS)}, got {name!r}.")
    return names


def times_of(data: Any) -> pd.Index:
    """The different times of rows in order: labels, of a panel those of its last level."""
    if isinstance(data, np.ndarray):
        return pd.RangeIndex(len(data))
    if isinstance(data.index, pd.MultiIndex):
        return data.index.get_level_values(-1).unique().sort_values()
    return data.index


def read_cutoffs(cutoffs: Any, times: pd.Index, low: int, high: int, y: Any = None) -> list[int]:
    """Numbers of times before each cutoff.

    An int asks for that many, spread evenly from `low` to `high`, and moved behind the nearest
    missing row of `y` if there are any, where fills from later rows show. A list holds numbers
    of rows or labels of the last row before the cutoff.
    """
    if high < low:
        raise ValueError(
            f"`y` has {len(times)} times, too few for this horizon: at least "
            f"{len(times) + low - high} are needed. Lower `horizon`."
        )
    if isinstance(cutoffs, numbers.Integral):
        wanted = np.linspace(low, high, max(int(cutoffs), 1)).astype(int)
        after = np.array([p for p in _behind_gaps(y, times) if low <= p <= high])
        if len(after):
            wanted = after[np.abs(after[:, None] - wanted).argmin(axis=0)]
        return sorted(set(wanted.tolist()))
    found = []
    for cutoff in cutoffs:
        is_row = isinstance(cutoff, numbers.Integral)
        position = int(cutoff) if is_row else int(times.get_indexer(pd.Index([cutoff]))[0]) + 1
        if not low <= position <= high:
            raise ValueError(
                f"`cutoffs` must leave {low} to {high} of the {len(times)} times before them, got "
                f"{cutoff!r}."
            )
        found.append(position)
    return found


def _behind_gaps(y, times):
    """Positions right after rows with a missing value."""
    if y is None:
        return []
    values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    gaps = np.isnan(values).any(axis=1)
    if isinstance(y, np.ndarray):
        return np.flatnonzero(gaps) + 1
    labels = y.index.get_level_values(-1)[gaps]
    return np.unique(times.get_indexer(labels)) + 1


def with_gap(data: Any, times: pd.Index, position: int) -> Any:
    """A copy whose last row before a position is missing."""
    rows = _from(data, times, position - 1) & ~_from(data, times, position)
    changed = data.astype(np.float64)
    if isinstance(changed, np.ndarray):
        changed[rows] = np.nan
    else:
        changed.loc[rows] = np.nan
    return changed


def _from(data, times, position):
    """Mask of the rows at or after a position."""
    if position >= len(times):
        return np.zeros(len(data), dtype=bool)
    if isinstance(data, np.ndarray):
        return np.arange(len(data)) >= position
    labels = data.index
    if isinstance(labels, pd.MultiIndex):
        labels = labels.get_level_values(-1)
    return np.asarray(labels >= times[position])


def until(data: Any, times: pd.Index, position: int) -> Any:
    """The rows before a position."""
    return None if data is None else data[~_from(data, times, position)]


def poison(
    data: Any, times: pd.Index, position: int, how: str, columns: Sequence | None = None
) -> Any:
    """A copy whose rows from `position` on are replaced, in all columns or some of them."""
    if data is None:
        return None
    rows = _from(data, times, position)
    if isinstance(data, np.ndarray):
        values = data.astype(np.float64)
        values[rows] = POISONS[how](values[rows])
        return values
    changed = data.astype(np.float64)
    if isinstance(data, pd.Series):
        changed[rows] = POISONS[how](changed.to_numpy()[rows])
    else:
        for column in data.columns if columns is None else columns:
            values = changed[column].to_numpy().copy()
            values[rows] = POISONS[how](values[rows])
            changed[column] = values
    return changed


def as_frame(values: Any) -> pd.DataFrame:
    """Any output as a frame with one row for each of its rows."""
    if isinstance(values, pd.Series):
        return values.to_frame("value")
    if isinstance(values, pd.DataFrame):
        return values
    values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return pd.DataFrame(values.reshape(len(values), -1))
