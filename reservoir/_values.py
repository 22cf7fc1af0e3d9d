"""Refuse data that are not finite real numbers, and say where they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from echocast.exceptions import InvalidParameterError

__all__ = ["refuse_not_finite", "refuse_not_numbers"]

_NUMBERS = "fiub"  # kinds of dtypes


def refuse_not_numbers(data: Any, name: str) -> None:
    """Raise for strings, dates and complex numbers, some of which NumPy would convert silently.

    Parameters
    ----------
    data : array-like or DataFrame
    name : str
        "X" or "y", for messages.

    Raises
    ------
    InvalidParameterError
        For strings (digits too), dates and time differences.
    ValueError
        For complex numbers and masked values.
    """
    if hasattr(data, "iloc") and hasattr(data, "columns"):
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
    except ValueError:  # ragged: the validators say what is wrong with it
        return
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


def _has_string(array):
    return any(isinstance(value, str) for value in np.ravel(np.asarray(array, dtype=object)))


def refuse_not_finite(
    rows: np.ndarray, name: str, owner: str, *, place: Callable[[int], str], columns: Any = None
) -> None:
    """Raise for NaN and infinity with scikit-learn's sentence, their number and first place.

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
    first = np.argwhere(bad)[0]
    where = place(int(first[0]))
    if rows.ndim == 2 and rows.shape[1] > 1:
        column = int(first[1])
        where += f", column {column if columns is None else repr(str(columns[column]))}"
    count = int(np.count_nonzero(bad))
    raise ValueError(f"{message}: {count} value{'s' * (count > 1)}, first at {where}.")
