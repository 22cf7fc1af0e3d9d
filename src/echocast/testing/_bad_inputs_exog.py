"""Exogenous columns and horizons that are no good, or look it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ._bad_input import FINE, REFUSED, SAME, WARNED, BadInput

__all__ = ["EXOGENOUS", "HORIZONS"]


def _cell(value, row=1, column=0):
    def make(X):
        changed = X.astype({X.columns[column]: object if isinstance(value, str) else type(value)})
        changed.iloc[row, column] = value
        return changed

    return make


def _index(function):
    return lambda X: X.set_axis(function(X.index), axis=0)


def _names(*names):
    return lambda X: X.set_axis(list(names), axis=1)


# Functions of the frame of exogenous columns "a" and "b" for the rows that are needed. What is
# refused beside a forecast may be fine beside a fit, which takes the columns as they come.
_FIT = "fit backtest"

_EXOGENOUS: list[tuple[Any, ...]] = [
    ("nothing", lambda X: None, REFUSED, _FIT),
    ("a column is missing", lambda X: X[["a"]], REFUSED, _FIT),
    ("the other column is missing", lambda X: X[["b"]], REFUSED, _FIT),
    ("no columns", lambda X: X[[]], REFUSED),
    ("no rows", lambda X: X.iloc[:0], REFUSED),
    ("a column has another name", _names("a", "B"), REFUSED, _FIT),
    ("names are numbers", _names(0, 1), REFUSED, _FIT),
    ("names are equal", _names("a", "a"), REFUSED),
    ("a duplicate column", lambda X: X[["a", "b", "b"]], REFUSED),
    ("two levels of names", lambda X: pd.concat({"x": X}, axis=1), REFUSED, _FIT),
    ("the first row is missing", lambda X: X.iloc[1:], REFUSED),
    ("the last row is missing", lambda X: X.iloc[:-1], REFUSED),
    ("a row in the middle is missing", lambda X: X.iloc[[0, *range(2, len(X))]], REFUSED),
    ("a month later", _index(lambda i: i + pd.Timedelta(days=30)), REFUSED),
    ("a day later", _index(lambda i: i + pd.Timedelta(days=1)), REFUSED),
    ("an hour later", _index(lambda i: i + pd.Timedelta(hours=1)), REFUSED),
    ("a year earlier", _index(lambda i: i - pd.Timedelta(days=365)), REFUSED),
    ("another zone", _index(lambda i: i.tz_localize("Europe/Paris")), REFUSED),
    ("periods", _index(lambda i: i.to_period("D")), REFUSED),
    ("numbered rows", lambda X: X.reset_index(drop=True), REFUSED),
    ("dates as strings", _index(lambda i: i.astype(str)), REFUSED),
    ("NaT", _index(lambda i: pd.DatetimeIndex([pd.NaT, *i[1:]])), REFUSED),
    ("unsorted", lambda X: X.iloc[::-1], REFUSED, "backtest"),
    ("a duplicate row", lambda X: X.iloc[[0, 0, *range(1, len(X))]], REFUSED),
    ("a panel's index", _index(lambda i: pd.MultiIndex.from_product([["a"], i])), REFUSED),
    ("an array", lambda X: X.to_numpy(), REFUSED),
    ("a list", lambda X: X.to_numpy().tolist(), REFUSED),
    ("a dict", lambda X: X.to_dict("list"), REFUSED),
    ("a number", lambda X: 5, REFUSED),
    ("a string", lambda X: "weather.csv", REFUSED),
    ("one column as a series", lambda X: X["a"], REFUSED, _FIT),
    ("NaN first", _cell(np.nan, 0), REFUSED),
    ("NaN in the middle", _cell(np.nan, 1, 1), REFUSED),
    ("NaN last", _cell(np.nan, -1), REFUSED),
    ("inf", _cell(np.inf), REFUSED),
    ("-inf", _cell(-np.inf, 0, 1), REFUSED),
    ("huge values", lambda X: X.assign(a=1e300), REFUSED),
    ("text", lambda X: X.assign(a="holiday"), REFUSED),
    ("one string", _cell("1.0"), REFUSED),
    ("digit strings", lambda X: X.astype({"a": str}), REFUSED),
    ("a category", lambda X: X.assign(a=pd.Categorical(["shop"] * len(X))), REFUSED),
    ("dates", lambda X: X.assign(b=X.index), REFUSED),
    ("complex", lambda X: X.assign(b=1j), REFUSED),
    ("NA", lambda X: X.assign(a=pd.array([pd.NA] * len(X), dtype="Float64")), REFUSED),
    ("None", lambda X: X.assign(a=None), REFUSED),
    ("an extra column", lambda X: X.assign(c=0.0), WARNED, _FIT),
    ("an extra column of text", lambda X: X.assign(c="text"), WARNED, _FIT),
    ("swapped columns", lambda X: X[["b", "a"]], SAME),
    ("nullable floats", lambda X: X.astype("Float64"), SAME),
    ("float32", lambda X: X.astype(np.float32), SAME),
    ("objects that are floats", lambda X: X.astype(object), FINE),
    ("booleans", lambda X: X > 0, FINE),
    ("constant", lambda X: X * 0 + 1, FINE),
    ("equal columns", lambda X: X.assign(b=X["a"]), FINE),
    ("far from zero", lambda X: X + 1e9, FINE),
]

# Functions of the index of the three steps ahead
_HORIZONS: list[tuple[Any, ...]] = [
    ("0", lambda i: 0, REFUSED),
    ("negative", lambda i: -3, REFUSED),
    ("a float", lambda i: 3.0, REFUSED),
    ("NaN", lambda i: np.nan, REFUSED),
    ("inf", lambda i: np.inf, REFUSED),
    ("True", lambda i: True, REFUSED),
    ("None", lambda i: None, REFUSED, "ForecastSearchCV"),
    ("text", lambda i: "soon", REFUSED),
    ("an empty string", lambda i: "", REFUSED),
    ("huge", lambda i: 10**12, REFUSED),
    ("beyond int64", lambda i: 10**30, REFUSED),
    ("an empty list", lambda i: [], REFUSED),
    ("a list with 0", lambda i: [0, 1], REFUSED),
    ("a list with a negative step", lambda i: [-1, 1], REFUSED),
    ("a list that repeats", lambda i: [1, 1, 2], REFUSED),
    ("a list out of order", lambda i: [3, 1], REFUSED),
    ("a list of floats", lambda i: [1.0, 2.0], REFUSED),
    ("a list of strings", lambda i: ["1", "2"], REFUSED),
    ("a 2-D array", lambda i: np.ones((2, 2), dtype=int), REFUSED),
    ("a dict", lambda i: {"h": 3}, REFUSED),
    ("a date before the cutoff", lambda i: i[0] - pd.Timedelta(days=20), REFUSED),
    ("the cutoff", lambda i: i[0] - pd.Timedelta(days=1), REFUSED),
    ("a date of another zone", lambda i: i[-1].tz_localize("UTC"), REFUSED),
    ("NaT", lambda i: pd.NaT, REFUSED),
    ("a distant date", lambda i: pd.Timestamp("2030-01-01"), FINE),
    ("an index before the cutoff", lambda i: i - pd.Timedelta(days=20), REFUSED),
    ("an index off the grid", lambda i: i + pd.Timedelta(hours=1), REFUSED),
    ("an index out of order", lambda i: i[::-1], REFUSED),
    ("an empty index", lambda i: i[:0], REFUSED),
    ("an index of numbers", lambda i: pd.RangeIndex(3), REFUSED),
    ("steps that leave one out", lambda i: [1, 3], FINE),
    ("an array of steps", lambda i: np.arange(1, 4), FINE),
    ("the index itself", lambda i: i, FINE),
    ("the last date as text", lambda i: str(i[-1].date()), FINE),
]


def _entries(kind, argument, rows):
    return tuple(BadInput(name, kind, argument, *rest) for name, *rest in rows)


EXOGENOUS = _entries("exogenous", "X", _EXOGENOUS)
HORIZONS = _entries("horizon", "horizon", _HORIZONS)
