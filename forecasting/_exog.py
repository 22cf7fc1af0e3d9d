"""Exogenous columns: aligned with y by label, never by position."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from echocast._checks import stack_level
from echocast.exceptions import ExtraColumnsWarning, InsertedRowsWarning

from ._frames import LARGEST, read_values, unmasked
from ._index import check_increasing, show
from ._naming import current_series, plain

__all__ = ["ExogSpec", "check_order_of_arguments", "read_exog", "refuse_scalar", "rows_before"]


@dataclass(frozen=True)
class ExogSpec:
    """What the exogenous columns of fit were: those known beforehand, then the past-only ones."""

    columns: tuple
    n_past: int = 0  # the last so many are known up to the cutoff alone

    @property
    def n_columns(self) -> int:
        return len(self.columns)

    @property
    def known(self) -> ExogSpec:
        """Only the columns that a forecast has to be given."""
        return ExogSpec(self.columns[: self.n_columns - self.n_past])


def read_exog(
    X: Any,
    index: pd.Index,
    *,
    spec: ExogSpec | None,
    is_array: bool,
    owner: str,
    future: bool = False,
    past_columns: Any = None,
    blank: np.ndarray | None = None,
) -> tuple[np.ndarray, ExogSpec]:
    """Rows of X for the labels of `index`: the known columns of fit, then the past-only ones.

    Parameters
    ----------
    X : DataFrame, Series, ndarray or None
    index : Index
        The labels needed.
    spec : ExogSpec or None
        Columns of fit; None reads them from X (this is the fit).
    is_array : bool
        Whether y is a numpy array, whose rows have no labels; X must then be one too.
    owner : str
        The estimator's name in messages.
    future : bool
        Whether `index` lies after the cutoff, where past-only columns are not needed.
    past_columns : list of column names, optional
        In the fit, the columns that are not known beforehand.
    blank : ndarray of shape (len(index),), optional
        Rows in which y has no value but is filled: X may lack them, and repeats the row before.

    Returns
    -------
    values : ndarray of shape (len(index), n_columns)
    spec : ExogSpec
    """
    refuse_scalar(X)
    full = spec
    if full is not None and future:
        spec = full.known
        X = X if spec.n_columns or not full.n_past else None
    if X is None:
        _refuse_unknown_past(past_columns, ())
        if spec is not None and spec.n_columns:
            rows = f"{len(index)} row{'s' if len(index) > 1 else ''}"
            start = "" if is_array else f" from {show(index[0])}"
            raise ValueError(
                f"Forecaster was fitted with exogenous columns {list(spec.columns)}; pass X with "
                f"{rows}{start}."
            )
        return np.empty((len(index), 0)), ExogSpec(())
    if spec is not None and spec.n_columns == 0:
        raise ValueError("Forecaster was fitted without exogenous variables; X must be None.")
    if is_array:
        values, columns = _array_rows(X, len(index), spec, owner, full)
    else:
        frame = _as_frame(X)
        columns = tuple(frame.columns) if spec is None else spec.columns
        frame = _pick_columns(frame, columns, () if full is None else full.columns)
        values = _label_rows(frame, index, future, blank)
    _refuse_bad_values(values, index, columns, is_array, owner)
    if spec is not None or past_columns is None:
        return values, spec or ExogSpec(columns)
    _refuse_unknown_past(past_columns, columns)
    is_past = np.array([c in past_columns for c in columns])
    order = np.argsort(is_past, kind="stable")
    return values[:, order], ExogSpec(tuple(columns[i] for i in order), int(is_past.sum()))


def refuse_scalar(X: Any) -> None:
    """Refuse a number or a text, which was meant for another parameter."""
    if np.isscalar(X):
        raise TypeError(
            f"`X` must be a DataFrame (or an array) of exogenous columns. Got {plain(X)!r}. "
            "Whatever follows X goes by name: level=, quantiles= and refit= are keywords."
        )


def _refuse_unknown_past(past_columns, columns):
    if isinstance(past_columns, str) or not isinstance(past_columns, (list, tuple, type(None))):
        raise TypeError(
            f"`past_columns` must be a list of columns of X. Got {past_columns!r} "
            f"({type(past_columns).__name__})."
        )
    unknown = [c for c in past_columns or () if c not in columns]
    if unknown:
        raise ValueError(
            f"`past_columns` names columns that X does not have: {unknown}. X has {list(columns)}."
        )


def _array_rows(X, n_rows, spec, owner, full):
    if isinstance(X, (pd.DataFrame, pd.Series)):
        raise TypeError(
            "`y` was a numpy array, whose rows have no labels to align X with; pass X as a numpy "
            "array too, or y as a Series."
        )
    X = unmasked(np.asanyarray(X))
    X = X[:, None] if X.ndim == 1 else X
    if X.ndim != 2:
        raise ValueError(f"Found array with dim {X.ndim}, while dim <= 2 is required for `X`.")
    if spec is not None and X.shape[1] == full.n_columns:
        X = X[:, list(spec.columns)]
    elif spec is not None and X.shape[1] != spec.n_columns:
        raise ValueError(
            f"X has {X.shape[1]} features, but {owner} is expecting {spec.n_columns} features as "
            "input."
        )
    if len(X) != n_rows:
        raise ValueError(
            f"X must have one row for each step: expected {n_rows} rows, got {len(X)}."
        )
    columns = tuple(range(X.shape[1])) if spec is None else spec.columns
    return read_values(list(X.T), columns, "X"), columns


def _as_frame(X):
    if isinstance(X, pd.Series):
        X = X.to_frame("X" if X.name is None else X.name)
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            "`X` must be a pandas DataFrame indexed like `y`, because rows are aligned by label. "
            f"Found {type(X)}."
        )
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise ValueError(f"`X` has more than one column named {twice!r}.")
    if X.shape[1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={X.shape}) in X; pass X=None.")
    return X


def _pick_columns(frame, columns, all_columns):
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise ValueError(
            f"Missing columns in X. Expected {list(columns)}. Got {list(frame.columns)}."
        )
    extra = [c for c in frame.columns if c not in columns and c not in all_columns]
    if extra:
        warnings.warn(
            f"Ignored columns not seen at fit: {extra}.",
            ExtraColumnsWarning,
            stacklevel=stack_level(),
        )
    return frame[list(columns)]


def _label_rows(frame, index, future, blank):
    _check_same_kind(frame.index, index)
    check_increasing(frame.index, "X")
    rows = frame.index.get_indexer(index)
    if blank is not None and (rows < 0).any():
        rows = rows_before(rows, frame.index, index, blank)
    if (rows < 0).any():
        first_missing = index[int(np.argmin(rows))]
        if future and len(frame) and (rows < 0).all():
            raise ValueError(
                f"X starts at {show(frame.index[0])} and ends at {show(frame.index[-1])}; the "
                f"forecast needs {show(index[0])} … {show(index[-1])}."
            )
        raise ValueError(
            f"X must cover {show(index[0])} … {show(index[-1])}. Missing: {show(first_missing)}"
            + (f" and {int((rows < 0).sum()) - 1} more." if (rows < 0).sum() > 1 else ".")
        )
    taken = frame.iloc[rows]
    columns = [taken.iloc[:, i] for i in range(taken.shape[1])]
    return read_values(columns, list(taken.columns), "X")


def rows_before(rows, found, index, blank):
    """Positions in which rows that X lacks, where y has no value either, are the ones before."""
    absent = (rows < 0) & blank
    before = found.get_indexer(index[absent], method="ffill")
    if (before >= 0).any():
        count = int((before >= 0).sum())
        warnings.warn(
            f"{current_series()}`X` lacks {count} row{'s' if count > 1 else ''} without a value "
            f"of `y`, first {show(index[absent][int(np.argmax(before >= 0))])}; put in as the rows "
            "before them.",
            InsertedRowsWarning,
            stacklevel=stack_level(),
        )
    rows = rows.copy()
    rows[absent] = before
    return rows


def _check_same_kind(found, needed):
    if isinstance(needed, pd.DatetimeIndex) and isinstance(found, pd.DatetimeIndex):
        if (found.tz is None) != (needed.tz is None):
            aware, naive = ("X", "y") if needed.tz is None else ("y", "X")
            zone = found.tz if needed.tz is None else needed.tz
            raise TypeError(
                f"`{aware}` is tz-aware ({zone}) and `{naive}` is tz-naive. Use "
                f"{naive}.tz_localize({str(zone)!r})."
            )
        return
    for kind in (pd.DatetimeIndex, pd.PeriodIndex):
        if isinstance(needed, kind) != isinstance(found, kind):
            raise TypeError(
                f"`X` must be indexed like `y` ({type(needed).__name__}); its index is a "
                f"{type(found).__name__} of dtype {found.dtype}."
            )


def _refuse_bad_values(values, index, columns, is_array, owner):
    for test, text in ((np.isnan, "NaN"), (np.isinf, "infinity or a value too large")):
        bad = test(values)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            place = f"row {row}" if is_array else show(index[row])
            raise ValueError(
                f"Input X contains {text}. {owner} needs complete exogenous columns. "
                f"{int(bad.sum())} value{'s' if bad.sum() > 1 else ''}, first at {place}, column "
                f"{columns[column]!r}."
            )
    largest = np.abs(values).max(axis=0, initial=0.0)
    if (largest > LARGEST).any():
        column = int(np.argmax(largest > LARGEST))
        raise ValueError(
            f"Values up to {largest[column]:.0e} in column {columns[column]!r} of X overflow "
            "float64 when squared. Rescale it."
        )


def check_order_of_arguments(y: Any, X: Any) -> None:
    """Refuse what looks like scikit-learn's ``fit(X, y)``."""
    if getattr(y, "ndim", 0) == 2 and getattr(X, "ndim", 0) == 1:
        raise ValueError(
            "`y` has two dimensions and `X` one: forecasters take fit(y, X), the target first. "
            "(One exogenous column for several targets: pass X.to_frame().)"
        )
