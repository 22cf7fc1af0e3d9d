"""Panels: take several series apart, and put results of all of them together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ._exog import refuse_scalar
from ._gaps import completed, find_freq, warn_of_inserted
from ._index import read_axis, show
from ._naming import named, plain

__all__ = ["Panel", "is_panel", "named", "read_static", "split_panel"]


@dataclass(frozen=True)
class Panel:
    """Several series: one label and one part, indexed by time, for each."""

    ids: pd.Index
    parts: list
    names: tuple

    @property
    def freq(self) -> Any:
        """The frequency of the longest series, which all must have; None if they need none."""
        place = int(np.argmax([len(part) for part in self.parts]))
        longest = self.parts[place].index
        if not isinstance(longest, pd.DatetimeIndex) or len(longest) < 3:
            return None
        with named(self.ids[place]):
            found = find_freq(longest)
            return read_axis(longest).freq if found is None else found

    def completed(self, freq: Any, missing: str) -> Panel:
        """The same series, each on its whole grid if `missing` asks for it."""
        parts, inserted = [], {}
        for label, part in zip(self.ids, self.parts):
            with named(label):
                whole, absent = completed(part, freq=freq, missing=missing)
            parts.append(whole)
            if len(absent):
                inserted[label] = absent
        warn_of_inserted(inserted, missing)
        return Panel(self.ids, parts, self.names)

    def stack(self, indexes: Sequence[pd.Index]) -> pd.MultiIndex:
        """The (series, time) index of one stretch of time for each series."""
        counts = [len(index) for index in indexes]
        times = indexes[0].append(list(indexes[1:])) if len(indexes) > 1 else indexes[0]
        ids = self.ids.take(np.repeat(np.arange(len(counts)), counts))
        return pd.MultiIndex.from_arrays([ids, times], names=self.names)

    def choose(self, positions: Sequence[int]) -> Panel:
        """Some of the series."""
        return Panel(self.ids.take(positions), [self.parts[i] for i in positions], self.names)

    def exog(self, X: Any) -> list:
        """The part of X for each series; a frame indexed by time alone is shared by all."""
        if X is None:
            return [None] * len(self.ids)
        refuse_scalar(X)
        if not is_panel(X):
            if not isinstance(X, (pd.DataFrame, pd.Series)):
                raise TypeError(
                    "`X` of a panel must be a DataFrame with the (series, time) index of `y`, or "
                    f"one indexed by time, for all series. Found {type(X)}."
                )
            return [X] * len(self.ids)
        split = split_panel(X, "X")
        places = split.ids.get_indexer(self.ids)
        if (places < 0).any():
            absent = self.ids[int(np.argmin(places))]
            raise ValueError(f"X has no rows for series {plain(absent)!r}.")
        return [split.parts[i] for i in places]


def is_panel(y: Any) -> bool:
    """Whether y holds several series, told apart by the first level of its index."""
    return isinstance(getattr(y, "index", None), pd.MultiIndex)


def split_panel(y: Any, what: str = "y") -> Panel:
    """Take a Series or frame with a (series, time) index apart, in order of first appearance.

    Rows of a series need not lie together, but must be in time order.

    Raises
    ------
    ValueError
        If the index has more than two levels, or a label of a series is missing.
    """
    index = y.index
    if index.nlevels != 2:
        raise ValueError(
            f"`{what}` has an index with {index.nlevels} levels {list(index.names)}; a panel has "
            "two, (series, time). Join those that name the series into one."
        )
    if len(index) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={y.shape}) while a minimum of 1 is required for "
            f"`{what}`."
        )
    codes = np.asarray(index.codes[0])
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise ValueError(f"`{what}` index has no label of a series in row {row}.")
    times = index.get_level_values(1)
    _refuse_swapped(index.levels[0], times, what)
    first_rows = pd.unique(codes)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], first_rows)
    counts = np.bincount(codes)[first_rows]
    parts = []
    for start, count in zip(starts, counts):
        rows = order[start : start + count]
        parts.append(y.iloc[rows].set_axis(times[rows], axis=0))
    return Panel(index.levels[0].take(first_rows), parts, tuple(index.names))


def _refuse_swapped(ids, times, what):
    dates = (pd.DatetimeIndex, pd.PeriodIndex)
    if not isinstance(ids, dates) or isinstance(times, dates):
        return
    # Integers may be times, of one series for each date of a start; but more starts than steps?
    if times.dtype.kind not in "iu" or len(ids) > times.nunique():
        raise ValueError(
            f"`{what}` has the index levels (time, series); a panel has (series, time). Use "
            f"{what}.swaplevel() (or, if dates do name the series, write them as strings)."
        )


def read_static(static: Any, ids: pd.Index, columns: Sequence | None = None) -> np.ndarray:
    """Rows (n_series, n_columns) of a frame with one row for each series.

    Raises
    ------
    TypeError, ValueError
        If it is no frame, lacks a series or a column, or holds anything but finite numbers.
    """
    if not isinstance(static, pd.DataFrame):
        raise TypeError(
            "`static` must be a DataFrame with one row for each series, indexed by their labels. "
            f"Found {type(static)}."
        )
    if columns is not None:
        missing = [c for c in columns if c not in static.columns]
        if missing:
            raise ValueError(f"`static` lacks the columns {missing} of fit.")
        static = static[list(columns)]
    if not static.index.is_unique:
        twice = static.index[static.index.duplicated()][0]
        raise ValueError(f"`static` has more than one row for series {plain(twice)!r}.")
    rows = static.index.get_indexer(ids)
    if (rows < 0).any():
        absent = plain(ids[int(np.argmin(rows))])
        raise ValueError(f"`static` has no row for series {absent!r}.")
    for column in static:
        if static[column].dtype.kind not in "fiub":
            raise TypeError(
                f"column {column!r} of `static` has dtype {static[column].dtype}; encode it as "
                "numbers first, for example with pd.get_dummies."
            )
    values = static.iloc[rows].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"`static` contains NaN or infinity, first at series {show(ids[row])}, column "
            f"{static.columns[column]!r}."
        )
    return values
