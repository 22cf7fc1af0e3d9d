"""Read sequences that have one label each: padding, ragged lists, and labels by series."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_X_y
from sklearn.utils.multiclass import check_classification_targets

from ._sequences import SequenceLayout, _ndim, _shape, checked_rows, read_rows

__all__ = ["read_labelled", "read_labels", "without_padding"]


def without_padding(X: Any) -> Any:
    """Cut trailing all-NaN steps off the sequences of a list or a 3-D array.

    A list of 1-D arrays is a list of univariate sequences. Other forms, and arrays without
    padding, are returned as they are.
    """
    if _is_listed_series(X):
        X = [np.reshape(x, (-1, 1)) for x in X]
    elif isinstance(X, (list, tuple)):
        if not X or any(_ndim(x) != 2 or hasattr(x, "todense") for x in X):
            return X
    elif hasattr(X, "iloc") or _ndim(X) != 3:
        return X
    lengths = [_true_length(x, i) for i, x in enumerate(X)]
    if all(length == len(x) for length, x in zip(lengths, X)):
        return X
    return [x.iloc[:n] if hasattr(x, "iloc") else x[:n] for n, x in zip(lengths, X)]


def _is_listed_series(X: Any) -> bool:
    """Whether X is a list of 1-D arrays; plain nested lists of numbers are one 2-D array."""
    if not isinstance(X, (list, tuple)) or not len(X):
        return False
    return all(getattr(x, "ndim", None) == 1 and np.asarray(x).dtype.kind in "fiu" for x in X)


def _true_length(x: Any, i: int) -> int:
    """Steps before the padding of sequence number i."""
    values = np.asarray(x)
    if values.dtype.kind != "f":
        return len(values)
    missing = np.isnan(values)
    if not missing.any():
        return len(values)
    full = np.flatnonzero(~missing.all(axis=1))
    length = int(full[-1]) + 1 if len(full) else 0
    if missing[:length].any():
        step = int(np.flatnonzero(missing[:length].any(axis=1))[0])
        raise ValueError(
            f"Input X contains NaN: sequence {i} misses values at step {step}, before its end. "
            "Only whole rows of NaN after the end of a sequence are padding; fill the others."
        )
    return length


def _rows_are_sequences(X: Any, groups: Any) -> bool:
    """Whether X is 2-D without series labels: each row is one univariate sequence."""
    if groups is not None or getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        return False
    if hasattr(X, "iloc") or hasattr(X, "todense"):
        return True
    if isinstance(X, (list, tuple)):
        return not _is_listed_series(X) and any(_ndim(x) != 2 for x in X or [None])
    return _ndim(X) != 3


def read_labelled(
    estimator: Any, X: Any, *, groups: Any = None, reset: bool, dtype: Any
) -> tuple[np.ndarray, SequenceLayout]:
    """Validate X in any form with one label a sequence; return stacked steps and their layout.

    Parameters
    ----------
    estimator : estimator instance
        Receives ``n_features_in_``, ``feature_names_in_`` and ``_fit_by_row`` if `reset`.
    X : 3-D array, list of arrays, 2-D array or DataFrame
        (n_sequences, n_steps, n_features) or a list of (n_steps_i, n_features), where trailing
        rows of NaN are padding; a frame with a (series, time) MultiIndex; or a 2-D X whose rows
        are univariate sequences of one length.
    groups : array-like of shape (n_rows,), optional
        Series labels of the rows of a 2-D X, whose rows are then time steps.
    reset : bool
        True in fit, False elsewhere.
    dtype : dtype

    Returns
    -------
    rows : ndarray of shape (n_steps_in_all, n_features)
    layout : SequenceLayout
    """
    by_row = _rows_are_sequences(X, groups)
    if not by_row:
        X = without_padding(X)
    if reset:
        estimator._fit_by_row = by_row
    elif by_row != estimator._fit_by_row:
        X = _in_the_form_of_fit(estimator, X, by_row)
        by_row = not by_row
    if not by_row:
        return read_rows(estimator, X, groups=groups, reset=reset, dtype=dtype)
    values = checked_rows(estimator, X, reset=reset, dtype=dtype)
    values = values if values.flags.writeable else values.copy()
    n_sequences, n_steps = values.shape
    indptr = np.arange(n_sequences + 1, dtype=np.int64) * n_steps
    return values.reshape(-1, 1), SequenceLayout("array3d", indptr)


def _in_the_form_of_fit(estimator, X, by_row):
    """Bring univariate sequences between the two forms in which they can be written."""
    owner, width = type(estimator).__name__, estimator.n_features_in_
    if by_row:
        if width == 1 and _ndim(X) == 2 and _shape(X)[1] > 1:
            return np.asarray(X)[:, :, None]
        raise ValueError(
            f"X is {_ndim(X)}-D, but this {owner} was fitted on sequences of {width} "
            "feature(s): pass a list of 2-D arrays ([X] for one sequence) or a 3-D array."
        )
    if not isinstance(X, (list, tuple)) and _ndim(X) == 3 and _shape(X)[2] == 1:
        return np.asarray(X)[:, :, 0]
    raise ValueError(
        f"This {owner} was fitted on a 2-D X, whose rows are univariate sequences of {width} "
        "steps, and needs such rows again. For sequences of other lengths fit it on a list of "
        "arrays of shape (n_steps, 1)."
    )


def read_labels(y: Any, layout: SequenceLayout, *, by_row: bool, owner: str) -> np.ndarray:
    """Labels (n_sequences,) in the order of the sequences.

    A Series that is indexed by the series of X is taken by label, everything else by position.
    """
    n = layout.n_sequences
    if y is not None and layout.form == "groups" and hasattr(y, "index") and hasattr(y, "iloc"):
        y = _by_label(y, layout.ids)
    found = () if y is None else _shape(y)
    if found and found[0] != n:
        hint = " A 2-D X means that each row is one univariate sequence." if by_row else ""
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: [{n}, {found[0]}]. "
            f"{owner} needs one label for each sequence: X has {n}, y has {found[0]}.{hint}"
        )
    if getattr(getattr(y, "dtype", None), "kind", "O") in "mMc":
        raise ValueError(f"y has dtype {y.dtype}; encode labels as strings or integers.")
    _, y = check_X_y(np.zeros((n, 1)), y, estimator=owner)
    check_classification_targets(y)
    return y


def _by_label(y, ids):
    if not y.index.is_unique:
        raise ValueError(
            "y must hold one label for each series of X, but its index repeats "
            f"{y.index[y.index.duplicated()][0]!r}."
        )
    missing = [key for key in ids if key not in y.index]
    if missing:
        raise ValueError(
            f"y has no label for series {missing[0]!r} of X. Index y by series, or pass an array "
            "with one label a series in the order in which the series first appear."
        )
    return y.loc[list(ids)]
