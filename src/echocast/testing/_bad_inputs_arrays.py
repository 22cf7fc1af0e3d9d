"""Arrays, targets and weights that are no good, or look it: functions of good ones."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from ._bad_input import FINE, REFUSED, SAME, BadInput

__all__ = ["ARRAYS", "LABELS", "TARGETS", "TEXTS", "WEIGHTS"]


def _with(value, row=7, column=0):
    def make(a):
        changed = a.astype(np.result_type(a.dtype, type(value)) if value == value else float)
        changed[row, column] = value
        return changed

    return make


def _objects(value):
    def make(a):
        changed = a.astype(object)
        changed[5, 0] = value
        return changed

    return make


def _frame(change=lambda frame: frame):
    return lambda a: change(pd.DataFrame(a, columns=[f"c{i}" for i in range(a.shape[1])]))


def _column(values):
    """A frame whose first column is something else."""
    return _frame(lambda frame: frame.assign(c0=values(frame)))


class _Subclass(np.ndarray):
    """A subclass of arrays."""


class _ArrayLike:
    """Knows `__array__` alone."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.a, dtype=dtype)


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _structured(a):
    return np.array([tuple(row) for row in a], [(f"c{i}", float) for i in range(a.shape[1])])


def _masked(a):
    mask = np.zeros(a.shape, dtype=bool)
    mask[3, 0] = True
    return np.ma.masked_array(a, mask)


def _ragged(a):
    return [list(row[: 1 + i % 2]) for i, row in enumerate(a)]


_DAYS = np.datetime64("2024-01-01")

# Name, function of an array (n, d), what must come of it, and what is more lenient.
_ARRAYS = [
    ("NaN in the first row", _with(np.nan, 0), REFUSED),
    ("NaN in the middle", _with(np.nan), REFUSED),
    ("NaN in the last row", _with(np.nan, -1), REFUSED),
    ("inf in the first row", _with(np.inf, 0), REFUSED),
    ("inf in the middle", _with(np.inf), REFUSED),
    ("-inf in the last row", _with(-np.inf, -1), REFUSED),
    ("all NaN", lambda a: np.full_like(a, np.nan), REFUSED),
    ("no rows", lambda a: a[:0], REFUSED),
    ("no columns", lambda a: a[:, :0], REFUSED),
    ("one row", lambda a: a[:1], FINE),
    ("None", lambda a: None, REFUSED),
    ("a number", lambda a: 3.5, REFUSED),
    ("0-d", lambda a: np.array(3.5), REFUSED),
    ("1-D", lambda a: a[:, 0], REFUSED),
    ("4-D", lambda a: a[None, :, :, None], REFUSED),
    ("ragged lists", _ragged, REFUSED),
    ("an empty list", lambda a: [], REFUSED),
    ("a dict", lambda a: {"a": a}, REFUSED),
    ("a set", lambda a: {1.0, 2.0}, REFUSED),
    ("a string", lambda a: "data.csv", REFUSED),
    ("bytes", lambda a: b"1234", REFUSED),
    ("a generator", lambda a: (row for row in a), REFUSED),
    ("a function", lambda a: len, REFUSED),
    ("complex", lambda a: a + 1j, REFUSED),
    ("complex without imaginary part", lambda a: a.astype(complex), REFUSED),
    ("objects that are floats", lambda a: a.astype(object), SAME),
    ("objects with None", _objects(None), REFUSED),
    ("objects with a string", _objects("a"), REFUSED),
    ("objects with a digit string", _objects("1.5"), REFUSED),
    ("objects with a list", _objects([1.0, 2.0]), REFUSED),
    ("objects with a date", _objects(pd.Timestamp("2024-01-01")), REFUSED),
    ("objects with a complex number", _objects(1j), REFUSED),
    ("objects with a dict", _objects({}), REFUSED),
    ("decimals", lambda a: np.vectorize(decimal.Decimal)(a), SAME),
    ("strings", lambda a: a.astype(str), REFUSED),
    ("byte strings", lambda a: a.astype("S"), REFUSED),
    ("dates", lambda a: _DAYS + a.astype("m8[D]"), REFUSED),
    ("time differences", lambda a: a.astype("m8[s]"), REFUSED),
    ("booleans", lambda a: a > 0, SAME),
    ("int8", lambda a: (8 * a).astype(np.int8), SAME),
    ("uint8", lambda a: (8 * abs(a)).astype(np.uint8), SAME),
    ("int64", lambda a: (8 * a).astype(np.int64), SAME),
    ("uint64 above int64", lambda a: np.abs(8 * a).astype(np.uint64) + np.uint64(2**63), FINE),
    ("float16", lambda a: a.astype(np.float16), SAME),
    ("float32", lambda a: a.astype(np.float32), SAME),
    ("long double", lambda a: a.astype(np.longdouble), SAME),
    ("byte-swapped", lambda a: a.astype(a.dtype.newbyteorder()), SAME),
    ("structured", _structured, REFUSED),
    ("masked", _masked, REFUSED),
    ("masked without a mask", np.ma.masked_array, SAME),
    ("sparse matrix", lambda a: scipy.sparse.csr_matrix(a), REFUSED),
    ("sparse array", lambda a: scipy.sparse.coo_array(a), REFUSED),
    ("read-only", _read_only, SAME),
    ("column-major", np.asfortranarray, SAME),
    ("strided", lambda a: np.repeat(a, 2, axis=0)[::2], SAME),
    ("negative strides", lambda a: a[::-1].copy()[::-1], SAME),
    ("an array subclass", lambda a: a.view(_Subclass), SAME),
    ("an object with __array__", _ArrayLike, SAME),
    ("nested lists", lambda a: a.tolist(), SAME),
    ("huge values", lambda a: 1e300 * (1 + abs(a)), FINE),
    ("the largest number", lambda a: np.full_like(a, np.finfo(float).max), FINE),
    ("subnormal", lambda a: 5e-324 * np.sign(a), FINE),
    ("negative zeros", lambda a: -0.0 * abs(a), FINE),
    ("constant", lambda a: np.ones_like(a), FINE),
    ("nearly constant", lambda a: 1 + 1e-12 * a, FINE),
    ("equal columns", lambda a: np.repeat(a[:, :1], a.shape[1], axis=1), FINE),
    ("far from zero", lambda a: 1e8 + a, FINE),
    ("a frame", _frame(), SAME),
    ("a frame of objects", _frame(lambda f: f.astype(object)), SAME),
    ("a frame with a text column", _column(lambda f: "text"), REFUSED),
    ("a frame with digit strings", _column(lambda f: f["c0"].astype(str)), REFUSED),
    ("a frame with dates", _column(lambda f: pd.Timestamp("2024-01-01")), REFUSED),
    ("a frame with a category", _column(lambda f: pd.Categorical(["a"] * len(f))), REFUSED),
    ("a frame with periods", _column(lambda f: pd.Period("2024-01", "M")), REFUSED),
    ("a frame with NaN", _frame(lambda f: f.mask(f == f.iloc[4, 0])), REFUSED),
    ("nullable floats", _frame(lambda f: f.astype("Float64")), SAME),
    ("nullable floats with NA", _column(lambda f: pd.array([pd.NA, *f["c0"][1:]], dtype="Float64")),
     REFUSED),
    ("nullable integers with NA", _column(lambda f: pd.array([pd.NA] + [1] * (len(f) - 1),
     dtype="Int64")), REFUSED),
    ("nullable booleans", _column(lambda f: pd.array([True] * len(f), dtype="boolean")), FINE),
    ("a frame with mixed names", _frame(lambda f: f.rename(columns={"c0": 0})), REFUSED),
    ("a frame with equal names", _frame(lambda f: f.set_axis(["c"] * f.shape[1], axis=1)), FINE),
    ("a frame without rows", _frame(lambda f: f.iloc[:0]), REFUSED),
    ("a frame out of order", _frame(lambda f: f.iloc[::-1]), FINE),
    ("a series", lambda a: pd.Series(a[:, 0]), REFUSED),
    ("three index levels", _frame(lambda f: f.set_index(
        pd.MultiIndex.from_arrays([[0] * len(f)] * 2 + [range(len(f))]))), REFUSED,
     "Window RLS LMS FORCE"),
]  # fmt: skip


def _y(value, row=6):
    def make(y):
        changed = y.astype(np.result_type(y.dtype, type(value)) if value == value else float)
        changed[row] = value
        return changed

    return make


_TARGETS = [
    ("None", lambda y: None, REFUSED),
    ("a number", lambda y: 1.0, REFUSED),
    ("empty", lambda y: y[:0], REFUSED),
    ("too short", lambda y: y[:-1], REFUSED),
    ("too long", lambda y: np.concatenate([y, y[:1]]), REFUSED),
    ("NaN", _y(np.nan), REFUSED),
    ("inf", _y(np.inf), REFUSED),
    ("complex", lambda y: y + 1j, REFUSED),
    ("dates", lambda y: np.array([_DAYS] * len(y)), REFUSED),
    ("a dict", lambda y: {"y": y}, REFUSED),
    ("3-D", lambda y: np.repeat(y[:, None, None], 2, axis=2), REFUSED, "Seq2Seq"),
    ("objects with None", lambda y: np.array([None, *y[1:]], dtype=object), REFUSED),
    ("a list", lambda y: y.tolist(), SAME),
    ("read-only", _read_only, SAME),
]

_NUMERIC_TARGETS = [
    ("strings", lambda y: np.array(["a"] * len(y)), REFUSED),
    ("digit strings", lambda y: y.astype(str), REFUSED),
    ("constant", lambda y: np.ones_like(y), FINE),
    ("huge values", lambda y: 1e300 * (1 + abs(y)), FINE),
    ("a column", lambda y: y[:, None], FINE),
]

_WEIGHTS = [
    ("negative", lambda y: -np.ones(len(y)), REFUSED),
    ("zero", lambda y: np.zeros(len(y)), REFUSED, "partial_fit"),
    ("NaN", lambda y: np.full(len(y), np.nan), REFUSED),
    ("inf", lambda y: np.full(len(y), np.inf), REFUSED),
    ("too short", lambda y: np.ones(len(y) - 1), REFUSED),
    ("2-D", lambda y: np.ones((len(y), 2)), REFUSED),
    ("strings", lambda y: np.array(["a"] * len(y)), REFUSED),
    ("a string", lambda y: "balanced", REFUSED),
    ("None in it", lambda y: [None] * len(y), REFUSED),
    ("complex", lambda y: np.ones(len(y)) * 1j, REFUSED),
    ("a list of ones", lambda y: [1.0] * len(y), FINE),
]

# For what takes text, sequences of symbols, or trees
_TEXTS: list[tuple[Any, ...]] = [
    ("None", lambda X: None, REFUSED),
    ("a number", lambda X: 3.5, REFUSED),
    ("a function", lambda X: len, REFUSED),
    ("an empty string", lambda X: "", REFUSED, "predict"),
    ("an empty list", lambda X: [], REFUSED, "predict"),
    ("a list of None", lambda X: [None, None], FINE),
    ("a list with an empty sequence", lambda X: [*X[:-1], ""], FINE),
    ("a 3-D array", lambda X: np.zeros((2, 2, 2)), REFUSED),
    ("a dict in a list", lambda X: [{}, {}], REFUSED),
]


def _entries(kind, argument, rows):
    return tuple(BadInput(name, kind, argument, *rest) for name, *rest in rows)


ARRAYS = _entries("array", "X", _ARRAYS)
TARGETS = _entries("target", "y", _TARGETS + _NUMERIC_TARGETS)
LABELS = _entries("labels", "y", _TARGETS)
WEIGHTS = _entries("weights", "sample_weight", _WEIGHTS)
TEXTS = _entries("text", "X", _TEXTS)
