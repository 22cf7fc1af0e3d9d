"""Series whose values or index are no good, or look it: functions of a good daily series."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd

from ._bad_input import FINE, REFUSED, SAME, BadInput

__all__ = ["INDEXES", "VALUES"]

_BERLIN = "Europe/Berlin"


def _value(value, row=3):
    def make(y):
        changed = y.astype(object if isinstance(value, (str, dict)) else type(value))
        changed.iloc[row] = value
        return changed

    return make


def _astype(dtype):
    return lambda y: y.astype(dtype)


def _all(value):
    return lambda y: pd.Series([value] * len(y), index=y.index)


_VALUES: list[tuple[Any, ...]] = [
    ("NaN in the first row", _value(np.nan, 0), REFUSED),
    ("NaN in the middle", _value(np.nan), REFUSED),
    ("NaN in the last row", _value(np.nan, -1), REFUSED),
    ("all NaN", _all(np.nan), REFUSED),
    ("inf", _value(np.inf), REFUSED),
    ("-inf in the last row", _value(-np.inf, -1), REFUSED),
    ("None", lambda y: None, REFUSED),
    ("a list", lambda y: y.tolist(), REFUSED),
    ("a dict", lambda y: {"y": y.tolist()}, REFUSED),
    ("a number", lambda y: 3.0, REFUSED),
    ("a string", lambda y: "sales.csv", REFUSED),
    ("an index alone", lambda y: y.index, REFUSED),
    ("no rows", lambda y: y.iloc[:0], REFUSED),
    ("one row", lambda y: y.iloc[:1], REFUSED, "update score apply backtest Naive"),
    ("3-D", lambda y: np.zeros((len(y), 2, 2)), REFUSED),
    ("0-d", lambda y: np.array(1.0), REFUSED),
    ("a frame without columns", lambda y: y.to_frame().iloc[:, :0], REFUSED),
    ("a frame with equal names", lambda y: pd.concat([y, y], axis=1), REFUSED),
    ("strings", lambda y: y.astype(str), REFUSED),
    ("one string", _value("a"), REFUSED),
    ("one digit string", _value("1.5"), REFUSED),
    ("one dict", _value({}), REFUSED),
    ("complex", _astype(complex), REFUSED),
    ("dates", lambda y: pd.Series(y.index, index=y.index), REFUSED),
    ("time differences", lambda y: pd.to_timedelta(y, unit="s"), REFUSED),
    ("periods", lambda y: pd.Series(y.index.to_period("D"), index=y.index), REFUSED),
    ("a category", _astype("category"), REFUSED),
    ("huge values", lambda y: 1e300 * (1 + abs(y)), REFUSED),
    ("the largest number", _all(np.finfo(float).max), REFUSED),
    ("subnormal", _all(5e-324), REFUSED, "update score apply backtest"),
    ("nullable floats with NA", lambda y: y.astype("Float64").where(y != y.iloc[4]), REFUSED),
    ("sparse", lambda y: y.astype(pd.SparseDtype(float)), SAME),
    ("nullable floats", _astype("Float64"), SAME),
    ("float32", _astype(np.float32), SAME),
    ("integers", lambda y: (8 * y).astype(np.int64), FINE),
    ("booleans", lambda y: y > y.mean(), FINE),
    ("objects that are floats", _astype(object), FINE),
    ("constant", _all(3.0), FINE),
    ("nearly constant", lambda y: 1 + 1e-12 * y, FINE),
    ("zeros", _all(0.0), FINE),
    ("far from zero", lambda y: 1e9 + y, FINE),
    ("tiny values", lambda y: 1e-100 * y, FINE),
]  # fmt: skip


def _index(function):
    """The same values under another index."""

    def make(y):
        y = y.copy()
        y.index = function(y.index)
        return y

    return make


def _moved(row, by):
    def function(index):
        stamps = list(index)
        stamps[row] = stamps[row] + by
        return pd.DatetimeIndex(stamps)

    return _index(function)


def _swapped(y):
    order = [*range(3), 4, 3, *range(5, len(y))]
    return y.iloc[order]


def _set_freq(index, freq):
    """An index that says another frequency than its stamps have."""
    made = pd.DatetimeIndex(np.asarray(index), freq=None)
    made._data._freq = pd.tseries.frequencies.to_offset(freq)
    return made


def _from(start, freq, **kwargs):
    return _index(lambda index: pd.date_range(start, periods=len(index), freq=freq, **kwargs))


def _multi(*levels):
    def function(index):
        n = len(index)
        return pd.MultiIndex.from_arrays([level(index, n) for level in levels])

    return _index(function)


_DAY = pd.Timedelta(days=1)
_HOURS = pd.Timedelta(hours=7)
_FIT_ONLY = "update score apply"  # elsewhere the index must go with that of fit

_INDEXES: list[tuple[Any, ...]] = [
    ("unsorted", _swapped, REFUSED),
    ("reversed", lambda y: y.iloc[::-1], REFUSED),
    ("a duplicate", lambda y: y.iloc[[0, 1, 1, *range(2, len(y))]], REFUSED),
    ("all equal", _index(lambda i: pd.DatetimeIndex([i[0]] * len(i))), REFUSED),
    ("one gap", lambda y: y.drop(y.index[4]), REFUSED),
    ("many gaps", lambda y: y.iloc[[0, 1, 2, 5, 6, 9, *range(11, len(y))]], REFUSED),
    ("irregular", _index(lambda i: i + pd.to_timedelta(np.arange(len(i)) ** 2, "min")), REFUSED),
    ("one stamp moved", _moved(5, _HOURS), REFUSED),
    ("the last stamp moved", _moved(-1, _HOURS), REFUSED),
    ("NaT first", _index(lambda i: pd.DatetimeIndex([pd.NaT, *i[1:]])), REFUSED),
    ("NaT in the middle", _index(lambda i: pd.DatetimeIndex([*i[:4], pd.NaT, *i[5:]])), REFUSED),
    ("NaT in periods", _index(lambda i: pd.PeriodIndex([*i[:4], pd.NaT, *i[5:]], freq="D")),
     REFUSED),
    ("two stamps without a frequency", lambda y: _index(lambda i: pd.DatetimeIndex(list(i)))(
        y.iloc[:2]), REFUSED, _FIT_ONLY),
    ("float labels", _index(lambda i: pd.Index(np.arange(len(i)) * 1.0)), REFUSED),
    ("float labels with NaN", _index(lambda i: pd.Index([np.nan, *range(1, len(i))])), REFUSED),
    ("string labels", _index(lambda i: pd.Index([f"row {k}" for k in range(len(i))])), REFUSED),
    ("dates as strings", _index(lambda i: i.astype(str)), REFUSED),
    ("dates as objects", _index(lambda i: pd.Index(i.date, dtype=object)), REFUSED),
    ("mixed labels", _index(lambda i: pd.Index([0, *i[1:]], dtype=object)), REFUSED),
    ("mixed offsets", _index(lambda i: pd.Index([
        d.to_pydatetime().replace(tzinfo=datetime.timezone(datetime.timedelta(hours=k % 2)))
        for k, d in enumerate(i)], dtype=object)), REFUSED),
    ("None labels", _index(lambda i: pd.Index([None] * len(i))), REFUSED),
    ("bool labels", _index(lambda i: pd.Index([True] * len(i))), REFUSED),
    ("complex labels", _index(lambda i: pd.Index(np.arange(len(i)) * 1j)), REFUSED),
    ("a category of dates", _index(lambda i: pd.CategoricalIndex(i)), REFUSED),
    ("intervals", _index(lambda i: pd.interval_range(0, len(i))), REFUSED),
    ("time differences", _index(lambda i: pd.timedelta_range(0, periods=len(i), freq="D")),
     REFUSED),
    ("three levels", _multi(lambda i, n: [0] * n, lambda i, n: [0] * n, lambda i, n: i), REFUSED),
    ("times before series", _multi(lambda i, n: i, lambda i, n: ["a"] * n), REFUSED),
    ("series without times", _multi(lambda i, n: ["a"] * n, lambda i, n: ["b"] * n), REFUSED),
    ("a panel with NaN as series", _multi(lambda i, n: [np.nan] * n, lambda i, n: i), REFUSED),
    ("integers with a gap", _index(lambda i: pd.Index([0, 1, 2, *range(5, len(i) + 2)])), REFUSED),
    ("integers downwards", _index(lambda i: pd.RangeIndex(len(i), 0, -1)), REFUSED),
    ("a frequency that does not fit", _index(lambda i: _set_freq(i, "h")), FINE),
    ("a zone with a gap", _index(lambda i: pd.DatetimeIndex(
        [*i[:4], *(i[4:] + _DAY)]).tz_localize(_BERLIN)), REFUSED),
    ("nullable integers with NA", _index(lambda i: pd.Index([pd.NA, *range(1, len(i))],
     dtype="Int64")), REFUSED),
    ("days beyond nanoseconds", _index(lambda i: pd.DatetimeIndex(
        np.datetime64("9999-11-01") + np.arange(len(i)).astype("m8[D]"))), FINE),
    ("the last days of nanoseconds", _index(lambda i: pd.date_range(
        end="2262-04-10", periods=len(i), freq="D")), FINE),
    ("the first days of nanoseconds", _from("1677-09-23", "D"), FINE),
    ("range by two", _index(lambda i: pd.RangeIndex(0, 2 * len(i), 2)), SAME),
    ("range from a hundred", _index(lambda i: pd.RangeIndex(100, 100 + len(i))), SAME),
    ("integers", _index(lambda i: pd.Index(np.arange(len(i)))), SAME),
    ("small integers", _index(lambda i: pd.Index(np.arange(len(i), dtype=np.int16))), SAME),
    ("universal time", _index(lambda i: i.tz_localize("UTC")), SAME),
    ("a zone", _index(lambda i: i.tz_localize(_BERLIN)), SAME),
    ("days over a clock change", _from("2024-03-20", "D", tz=_BERLIN), SAME),
    ("hours over a clock change", _from("2024-10-26 12:00", "h", tz=_BERLIN), FINE),
    ("periods", _index(lambda i: i.to_period("D")), SAME),
    ("business days", _from("2024-03-01", "B"), FINE),
    ("month ends", _from("2000-01-31", "ME"), FINE),
    ("quarters", _from("1980-01-01", "QS"), FINE),
    ("two hours", _from("2024-03-01", "2h"), FINE),
    ("seconds as unit", _index(lambda i: i.as_unit("s")), SAME),
    ("no frequency attribute", _index(lambda i: pd.DatetimeIndex(list(i))), SAME),
    ("the name of a field", lambda y: y.rename("forecast"), FINE),
    ("a tuple as name", lambda y: y.rename(("a", 1)), SAME),
    ("no name", lambda y: y.rename(None), SAME),
]  # fmt: skip


def _entries(kind, rows):
    return tuple(BadInput(name, kind, "y", *rest) for name, *rest in rows)


VALUES = _entries("values", _VALUES)
INDEXES = _entries("index", _INDEXES)
