"""Refuse data that are not finite real numbers, and say where they stand."""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from echocast.exceptions import InvalidParameterError

__all__ = ["LARGEST", "refuse_not_finite", "refuse_not_numbers"]

# The squares of these, and sums of such squares, are finite.
LARGEST = {4: 1e18, 8: 1e150}

_NUMBERS = "fiub"  # kinds of dtypes


def refuse_not_numbers(data: Any, name: str) -> None:
    """Raise for all that is no table of real numbers, some of which NumPy would convert silently.

    Parameters
    ----------
    data : array-like or DataFrame
    name : str
        "X" or "y", for messages.

    Raises
    ------
    InvalidParameterError
        For strings (digits too), dates and time differences, and other objects.
    ValueError
        For complex numbers, masked values, and columns of one name.
    """
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        if not data.columns.is_unique:
            twice = data.columns[data.columns.duplicated()][0]
            raise ValueError(f"{name} has more than one column named {twice!r}.")
        for i, (label, dtype) in enumerate(zip(data.columns, data.dtypes)):
            if dtype.kind not in _NUMBERS:
                _refuse_other(data.iloc[:, i], f"column {label!r} of {name}")
        return
    if np.ma.isMaskedArray(data) and np.ma.getmaskarray(data).any():
        n_masked = int(np.ma.getmaskarray(data).sum())
        raise ValueError(
            f"Input {name} has {n_masked} masked value(s), whose data would be used as they are. "
            "Fill or drop them first."
        )
    try:
        array = data if hasattr(data, "dtype") else np.asarray(data)
    except ValueError:
        raise ValueError(
            f"{name} must be a table of numbers, but its rows or sequences differ in length or "
            "depth. Pass several sequences as a list of 2-D arrays."
        ) from None
    if array.ndim == 0 and array.dtype.kind == "O" and data is not None:
        raise InvalidParameterError(
            f"{name} must be an array of numbers, got an object of type {type(data).__name__}."
        )
    if getattr(array.dtype, "kind", "O") not in _NUMBERS:
        _refuse_other(array, name)


def _refuse_other(array, where):
    kind = getattr(array.dtype, "kind", "O")
    if kind == "c":
        raise ValueError(f"Complex data not supported: {where} has dtype {array.dtype}.")
    if kind in "mM":
        raise InvalidParameterError(f"{where} has dtype {array.dtype}; encode it as numbers first.")
    if kind in "SU" or (kind == "O" and _has_string(array)):
        raise InvalidParameterError(
            f"could not convert string to float: {where} holds strings; encode them as numbers "
            "first."
        )
    if kind == "V":
        raise InvalidParameterError(f"{where} has dtype {array.dtype}; pass a plain 2-D array.")
    _refuse_objects(np.asarray(array, dtype=object), where)


def _has_string(array):
    return any(isinstance(value, str) for value in np.ravel(np.asarray(array, dtype=object)))


def _refuse_objects(values, where):
    """Raise for an array of objects of which one is no number; None and NA count as missing."""
    for place, value in np.ndenumerate(values):
        if isinstance(value, (numbers.Real, decimal.Decimal)) or value is None:
            continue
        if type(value).__name__ != "NAType":
            raise InvalidParameterError(
                f"float() argument must be a string or a real number, not "
                f"{type(value).__name__!r}: {where} must hold numbers (row {place[0]})."
            )


def refuse_not_finite(
    rows: np.ndarray, name: str, owner: str, *, place: Callable[[int], str], columns: Any = None
) -> None:
    """Raise for NaN and infinity with scikit-learn's sentence, their number and first place.

    Values whose squares overflow are refused as well.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns) or (n_rows,)
    name, owner : str
    place : callable
        Words for the place of a row.
    columns : sequence of str, optional
        Names of the columns.

    Raises
    ------
    ValueError
        If there is any.
    """
    finite = np.isfinite(rows)
    if finite.all():
        _refuse_huge(rows, name, place, columns)
        return
    bad = np.isnan(rows)
    if bad.any():
        message = (
            f"Input {name} contains NaN.\n{owner} does not accept missing values encoded as NaN "
            "natively"
        )
    else:
        bad = ~finite
        message = (
            f"Input {name} contains infinity or a value too large for dtype({str(rows.dtype)!r})"
        )
    count = int(np.count_nonzero(bad))
    where = _first(bad, place, columns)
    raise ValueError(f"{message}: {count} value{'s' * (count > 1)}, first at {where}.")


def _first(bad, place, columns):
    """Words for the place of the first value of a mask."""
    first = np.argwhere(bad)[0]
    where = place(int(first[0]))
    if bad.ndim == 2 and bad.shape[1] > 1:
        column = int(first[1])
        where += f", column {column if columns is None else repr(str(columns[column]))}"
    return where


def _refuse_huge(rows, name, place, columns):
    if rows.size == 0 or rows.dtype.kind != "f":
        return
    limit = LARGEST.get(rows.dtype.itemsize, np.inf)
    if max(rows.max(), -rows.min()) < limit:
        return
    huge = np.abs(rows) >= limit
    raise ValueError(
        f"Values up to {np.abs(rows).max():.2g} in {name} overflow {rows.dtype} when squared, "
        f"first at {_first(huge, place, columns)}. Rescale it."
    )
