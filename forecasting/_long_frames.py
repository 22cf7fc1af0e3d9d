"""Long frames, one row for each series and time: checked, sorted, and given back in kind."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from ._index import show

__all__ = ["LongSpec", "LongTable", "plain_ids", "read_freq", "read_long", "sort_rows"]


@dataclass(frozen=True)
class LongSpec:
    """The names that the caller's columns have."""

    id_col: str
    time_col: str
    target_col: str
    static: tuple = ()
    known: tuple = ()  # dynamic columns that are known for the steps ahead
    past: tuple = ()  # dynamic columns that are known up to the cutoff alone

    @property
    def keys(self) -> list:
        """The two columns that name a row."""
        return [self.id_col, self.time_col]

    @property
    def dynamic(self) -> list:
        """The columns that change in time, beside the target."""
        return [*self.known, *self.past]


@dataclass(frozen=True)
class LongTable:
    """A checked long frame: rows sorted by series and time."""

    frame: pd.DataFrame
    starts: np.ndarray  # first row of each series, and the number of rows
    spec: LongSpec

    @property
    def ids(self) -> np.ndarray:
        """The label of each series."""
        return plain_ids(self.frame[self.spec.id_col].iloc[self.starts[:-1]])

    @property
    def counts(self) -> np.ndarray:
        """Rows of each series."""
        return np.diff(self.starts)

    @property
    def places(self) -> np.ndarray:
        """The number of each row's series among those of the table."""
        return np.repeat(np.arange(len(self.starts) - 1), self.counts)

    def rows(self, chosen: np.ndarray) -> LongTable:
        """The table of some rows, given in order."""
        changes = np.flatnonzero(np.diff(self.places[chosen], prepend=-1))
        frame = self.frame.iloc[chosen].reset_index(drop=True)
        return replace(self, frame=frame, starts=np.append(changes, len(chosen)))

    def index(self) -> pd.MultiIndex:
        """The (series, time) index of the rows."""
        ids, times = (self.frame[key] for key in self.spec.keys)
        return pd.MultiIndex.from_arrays([plain_ids(ids), times], names=self.spec.keys)

    def target(self) -> pd.Series:
        """The target as a panel."""
        return pd.Series(self.frame[self.spec.target_col].array, index=self.index(), name="y")

    def columns(self, names: Sequence) -> pd.DataFrame | None:
        """Some columns as a panel, or None if there are none."""
        return self.frame[list(names)].set_axis(self.index(), axis=0) if names else None

    def static(self) -> pd.DataFrame | None:
        """The static columns, one row for each series."""
        if not self.spec.static:
            return None
        first = self.frame.iloc[self.starts[:-1]]
        return first[list(self.spec.static)].set_axis(pd.Index(self.ids), axis=0)


def plain_ids(ids: pd.Series) -> np.ndarray:
    """Labels of series without their being categories, which an index would keep unused ones of."""
    if isinstance(ids.dtype, pd.CategoricalDtype):
        return ids.astype(ids.cat.categories.dtype).to_numpy()
    return ids.to_numpy()


# ------------------------------------------------------------------- frequency


def read_freq(freq: Any) -> Any:
    """The distance of two rows: an int, or a pandas offset from an alias or an offset."""
    if isinstance(freq, numbers.Integral) and not isinstance(freq, bool):
        if freq < 1:
            raise ValueError(f"`freq` must be at least 1 for integer times, got {freq}.")
        return int(freq)
    try:
        return to_offset(freq) if freq is not None else _refuse_freq(freq)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`freq` must be a pandas frequency such as 'D' or 'MS', or an int for integer times. "
            f"Got {freq!r}."
        ) from error


def _refuse_freq(freq):
    raise TypeError(freq)


def _freq_name(freq):
    return str(getattr(freq, "freqstr", freq))


# --------------------------------------------------------------------- reading


def read_long(df: pd.DataFrame, spec: LongSpec, freq: Any, what: str = "df") -> LongTable:
    """Check a long pandas frame and sort it by series and time.

    Raises
    ------
    TypeError, ValueError
        If a column is missing or of another kind, a key is missing or repeated, or a series has
        a gap; the message names the series and the first stamp that it is about.
    """
    _refuse_missing_columns(df, [*spec.keys, spec.target_col, *spec.static, *spec.dynamic], what)
    if df.empty:
        raise ValueError(f"Found array with 0 sample(s) (shape={df.shape}) in `{what}`.")
    _check_keys(df, spec, freq, what)
    frame = sort_rows(df, spec)
    ids, times = frame[spec.id_col], pd.Index(frame[spec.time_col])
    firsts = np.flatnonzero(np.diff(pd.factorize(ids)[0], prepend=-1))
    table = LongTable(frame, np.append(firsts, len(frame)), spec)
    _refuse_repeated(table, times, what)
    _refuse_gaps(table, times, freq, what)
    _refuse_changing_static(table)
    return table


def sort_rows(df: pd.DataFrame, spec: LongSpec) -> pd.DataFrame:
    """The rows in order of series and time."""
    return df.sort_values(spec.keys, kind="stable", ignore_index=True)


def _refuse_missing_columns(df, columns, what):
    missing = [c for c in columns if c not in df.columns]
    if missing:
        raise ValueError(f"Missing columns in `{what}`: {missing}. Got {list(df.columns)}.")
    if not df.columns.is_unique:
        twice = df.columns[df.columns.duplicated()][0]
        raise ValueError(f"`{what}` has more than one column named {twice!r}.")


def _check_keys(df, spec, freq, what):
    for key in spec.keys:
        missing = df[key].isna().to_numpy()
        if missing.any():
            row = int(np.argmax(missing))
            raise ValueError(f"Column {key!r} of `{what}` has no value in row {row}.")
    times = df[spec.time_col]
    is_int = times.dtype.kind in "iu"
    is_date = times.dtype.kind == "M" or isinstance(times.dtype, pd.DatetimeTZDtype)
    if not (is_int or is_date):
        raise TypeError(
            f"Column {spec.time_col!r} of `{what}` must hold dates or integers, got dtype "
            f"{times.dtype}. Convert it with pd.to_datetime."
        )
    if is_int != isinstance(freq, int):
        kind = "integers" if is_int else "dates"
        remedy = "an int, for example freq=1" if is_int else "a frequency, for example freq='D'"
        raise ValueError(
            f"Column {spec.time_col!r} of `{what}` holds {kind}, and `freq` is "
            f"{_freq_name(freq)!r}. Pass {remedy}."
        )


def _refuse_repeated(table, times, what):
    same = (table.places[1:] == table.places[:-1]) & np.asarray(times[1:] == times[:-1])
    if same.any():
        row = int(np.argmax(same)) + 1
        raise ValueError(
            f"Series {table.ids[table.places[row]]!r} has more than one row at "
            f"{show(times[row])} in `{what}`. Drop or average them."
        )


def _refuse_gaps(table, times, freq, what):
    within = table.places[1:] == table.places[:-1]
    if isinstance(freq, int):
        odd = within & (np.diff(times.to_numpy()) != freq)
    else:
        # One grid for all series; offsets such as 2D may have several, which is looked at below.
        grid = pd.date_range(times.min(), times.max(), freq=freq)
        places = grid.get_indexer(times)
        odd = (within & (np.diff(places) != 1)) | (places[1:] < 0) | (places[:-1] < 0)
    for code in np.unique(table.places[1:][odd]):
        stamps = times[table.starts[code] : table.starts[code + 1]]
        _refuse_gaps_of_one(stamps, freq, table.ids[code], what)


def _refuse_gaps_of_one(stamps, freq, label, what):
    name = _freq_name(freq)
    if isinstance(freq, int):
        wanted = pd.RangeIndex(stamps[0], stamps[-1] + 1, freq)
    else:
        wanted = pd.date_range(stamps[0], stamps[-1], freq=freq)
    strange = ~stamps.isin(wanted)
    if strange.any():
        raise ValueError(
            f"Series {label!r} of `{what}` has a row at {show(stamps[int(np.argmax(strange))])}, "
            f"which is not on the grid of freq {name!r}."
        )
    missing = wanted.difference(stamps)
    if len(missing):
        plural = "s are" if len(missing) > 1 else " is"
        raise ValueError(
            f"Series {label!r} of `{what}` has freq {name!r} but {len(missing)} row{plural} "
            f"missing, first {show(missing[0])}. Add the rows, for example with "
            "utilsforecast.preprocessing.fill_gaps, and fill the NaN."
        )


def _refuse_changing_static(table):
    for column in table.spec.static:
        values = table.frame[column]
        first = values.iloc[table.starts[:-1]].iloc[table.places]
        differs = (values.to_numpy() != first.to_numpy()) & ~(values.isna() & first.isna().array)
        if differs.any():
            label = table.ids[table.places[int(np.argmax(differs))]]
            raise ValueError(
                f"The static column {column!r} changes within series {label!r}. Leave it out of "
                "`static_features` if it changes in time."
            )
