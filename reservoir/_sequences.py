"""Read the accepted forms of X and y into stacked rows, and give results back in the same form.

Accepted: one 2-D array or frame (one sequence in time order), a list of 2-D arrays, a 3-D
array (n_sequences, n_steps, n_features), a frame with a (series, time) MultiIndex, or rows
with `groups`. Inside the package all of them are one stacked array with row offsets.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from echocast._checks import stack_level
from echocast.exceptions import EchocastWarning

from ._values import refuse_not_finite, refuse_not_numbers

__all__ = [
    "SequenceLayout",
    "checked_rows",
    "next_stamp",
    "read_rows",
    "read_targets",
    "read_weights",
    "refuse_reordered",
]


@dataclass(frozen=True)
class SequenceLayout:
    """Where the sequences lie in the stacked rows, and the form the caller used.

    `form` is "rows" (one sequence), "list", "array3d" or "groups" (a MultiIndex or `groups`).
    `order` sorts the caller's rows by sequence; None when they are already sorted.
    """

    form: str
    indptr: np.ndarray
    ids: tuple = ()
    order: np.ndarray | None = None
    stamps: tuple = ()  # per sequence: (first stamp, stamp one step after the last) or None
    starts_new: bool = field(default=False)  # for partial_fit: every chunk is a new sequence

    @property
    def n_sequences(self) -> int:
        return len(self.indptr) - 1

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """Views of the stacked rows, one for each sequence."""
        return [rows[a:b] for a, b in zip(self.indptr[:-1], self.indptr[1:])]

    def restore(self, rows: np.ndarray) -> Any:
        """Give stacked result rows back in the caller's form."""
        if self.form == "list":
            return [part.copy() for part in self.split(rows)]
        if self.form == "array3d":
            return rows.reshape(self.n_sequences, -1, *rows.shape[1:])
        if self.order is None:
            return rows
        out = np.empty_like(rows)
        out[self.order] = rows
        return out

    def per_sequence(self, values: np.ndarray) -> Any:
        """Shape one value per sequence as the public `state_`: bare, stacked or dict by id."""
        if self.form == "rows":
            return values[0]
        if self.form == "groups":
            return dict(zip(self.ids, values))
        return values


def _shape(X: Any) -> tuple:
    """Shape of any array-like; array-likes that only know ``__array__`` are converted."""
    shape = getattr(X, "shape", None)
    if shape is not None:
        return tuple(shape)
    try:
        return np.asarray(X).shape
    except ValueError:  # a ragged list: the validators say what is wrong with it
        return (len(X),)


def _ndim(X: Any) -> int:
    return len(_shape(X))


def _is_frame(X: Any) -> bool:
    return hasattr(X, "iloc") and hasattr(X, "columns")


def _is_sequence_list(X: Any) -> bool:
    """Whether X is a list or tuple of 2-D arrays (a nested list of numbers is one 2-D array)."""
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(_ndim(x) == 2 for x in X)


def _refuse_odd_member(X, owner):
    """Say which member of a list of sequences is none."""
    if not isinstance(X, (list, tuple)) or not any(getattr(x, "ndim", 0) == 2 for x in X):
        return
    for i, x in enumerate(X):
        if x is None or _ndim(x) != 2:
            found = "None" if x is None else f"shape {_shape(x)}"
            raise ValueError(
                f"Sequence {i} passed to {owner} must be a 2-D array of shape (n_steps, "
                f"n_features), got {found}."
            )


def next_stamp(index: Any) -> Any:
    """Label one step after the last of `index`, or None if the step is unknown.

    The step is the index's own frequency, else the last difference (decision for
    ``predict_state="auto"``).
    """
    if len(index) == 0:
        return None
    try:
        freq = getattr(index, "freq", None)
        if freq is not None:
            return index[-1] + freq
        if hasattr(index, "step"):
            return index[-1] + index.step
        if len(index) < 2:
            return None
        return index[-1] + (index[-1] - index[-2])
    except (TypeError, ValueError, OverflowError):
        return None  # labels without arithmetic, such as strings


def _stamps_of(index: Any) -> tuple | None:
    return None if len(index) == 0 else (index[0], next_stamp(index))


def _warn_if_unordered(index: Any, owner: str) -> None:
    if getattr(index, "is_monotonic_increasing", True):
        return
    warnings.warn(
        f"The index of X passed to {owner} is not increasing, but rows are time steps, and "
        "are run through in the order given. Sort them, and do not shuffle when splitting.",
        EchocastWarning,
        stacklevel=stack_level(),
    )


def _grouped_layout(labels: np.ndarray, index: Any = None) -> SequenceLayout:
    """Layout of rows that belong to the sequences named by `labels` (any hashable labels)."""
    import pandas as pd

    codes, uniques = pd.factorize(np.asarray(labels))
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise ValueError(f"`groups` has a missing label at row {row}; give each row a label.")
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=len(uniques))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    sorted_already = bool((order == np.arange(len(order))).all())
    stamps: tuple = (None,) * len(uniques)
    if index is not None:
        stamps = tuple(_stamps_of(index[order[a:b]]) for a, b in pairwise(indptr))
    return SequenceLayout(
        "groups", indptr, tuple(uniques.tolist()), None if sorted_already else order, stamps
    )


def _as_stack(parts: Any, owner: str) -> Any:
    """Stack a list of 2-D arrays or frames, with an error that names the odd one out."""
    widths = [_shape(p)[1] for p in parts]
    for i, width in enumerate(widths):
        if _shape(parts[i])[0] == 0:
            raise ValueError(f"Sequence {i} of X has no steps.")
        if width != widths[0]:
            raise ValueError(
                f"Sequence {i} passed to {owner} has {width} features, but sequence 0 has "
                f"{widths[0]}; all sequences need the same columns."
            )
    if all(_is_frame(p) for p in parts):
        import pandas as pd

        for i, part in enumerate(parts):
            if set(part.columns) != set(parts[0].columns):
                raise ValueError(
                    f"Sequence {i} passed to {owner} has columns {list(part.columns)}, but "
                    f"sequence 0 has {list(parts[0].columns)}; all need the same columns."
                )
        return pd.concat([p.reset_index(drop=True) for p in parts], ignore_index=True)
    if any(hasattr(p, "todense") for p in parts):
        return parts[0]  # let the validator refuse sparse input in its own words
    return np.concatenate([np.asarray(p) for p in parts])


def read_rows(
    estimator: Any, X: Any, *, groups: Any = None, reset: bool, dtype: Any
) -> tuple[np.ndarray, SequenceLayout]:
    """Validate X in any accepted form; return contiguous stacked rows and their layout.

    Parameters
    ----------
    estimator : estimator instance
        Receives ``n_features_in_`` and ``feature_names_in_`` when `reset` is true.
    X : array-like, list of arrays, 3-D array or DataFrame
    groups : array-like of shape (n_rows,), optional
        Labels of the sequences, for a 2-D X with a flat index.
    reset : bool
        True in fit, False elsewhere.
    dtype : dtype
        float64 or float32.
    """
    owner = type(estimator).__name__
    layout, flat = _layout_of(X, groups, owner, warn=reset)
    rows = checked_rows(estimator, flat, layout, reset=reset, dtype=dtype)
    if layout is None:
        index = getattr(X, "index", None) if _is_frame(X) else None
        stamps = (None if index is None else _stamps_of(index),)
        layout = SequenceLayout("rows", np.array([0, len(rows)]), stamps=stamps)
    if layout.indptr[-1] != len(rows):
        raise ValueError(
            f"`groups` has {layout.indptr[-1]} labels but X has {len(rows)} rows; "
            "give each row a label."
        )
    if layout.order is not None:
        rows = rows[layout.order]
    # Kernels get writable C-contiguous memory: memory-mapped input is read-only.
    rows = np.ascontiguousarray(rows, dtype=dtype)
    return (rows if rows.flags.writeable else rows.copy()), layout


def checked_rows(
    estimator: Any, X: Any, layout: SequenceLayout | None = None, *, reset: bool, dtype: Any
) -> np.ndarray:
    """Rows (n_rows, n_features) of a 2-D X by scikit-learn's rules, in words without dumps."""
    owner = type(estimator).__name__
    if _ndim(X) == 1 and not hasattr(X, "iloc"):
        raise ValueError(
            f"Expected 2D array, got 1D array of shape {_shape(X)} instead. Reshape your data "
            "either using array.reshape(-1, 1) if your data has a single feature or "
            "array.reshape(1, -1) if it contains a single sample."
        )
    if not hasattr(X, "todense"):
        refuse_not_numbers(X, "X")
    rows = validate_data(estimator, X, reset=reset, dtype=dtype, order="C", ensure_all_finite=False)
    names = getattr(estimator, "feature_names_in_", None)
    refuse_not_finite(rows, "X", owner, place=_place_in(layout), columns=names)
    return rows


def _place_in(layout):
    """A function that says in which row, or in which step of which sequence, a row stands."""

    def place(row):
        if layout is None or layout.form not in ("list", "array3d"):
            return f"row {row}"
        i = int(np.searchsorted(layout.indptr, row, side="right")) - 1
        return f"step {row - layout.indptr[i]} of sequence {i}"

    return place


def _layout_of(X, groups, owner, *, warn):
    """Layout (None for a single plain sequence) and the 2-D object to validate."""
    _refuse_odd_member(X, owner)
    if _is_sequence_list(X):
        _refuse_groups(groups, "a list of sequences")
        lengths = [_shape(x)[0] for x in X]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        layout = SequenceLayout("list", indptr, stamps=(None,) * len(X), starts_new=True)
        return layout, _as_stack(X, owner)
    if not _is_frame(X) and _ndim(X) == 3 and not hasattr(X, "todense"):
        _refuse_groups(groups, "a 3-D array")
        X = np.asarray(X)
        n_sequences, n_steps = X.shape[:2]
        indptr = np.arange(n_sequences + 1, dtype=np.int64) * n_steps
        layout = SequenceLayout("array3d", indptr, stamps=(None,) * n_sequences, starts_new=True)
        return layout, X.reshape(n_sequences * n_steps, X.shape[2])
    if _is_frame(X) and getattr(X.index, "nlevels", 1) > 1:
        _refuse_groups(groups, "a MultiIndex frame")
        if X.index.nlevels != 2:
            raise ValueError(
                f"The index of X passed to {owner} has {X.index.nlevels} levels; "
                "a panel has two, (series, time)."
            )
        times = X.index.get_level_values(1)
        layout = _grouped_layout(X.index.get_level_values(0), times)
        if warn:
            for part in _ordered_parts(layout, times):
                _warn_if_unordered(part, owner)
        return layout, X
    if groups is not None:
        labels = np.asarray(groups)
        if labels.ndim != 1:
            raise ValueError(f"`groups` must be 1-D, got shape {labels.shape}.")
        check_consistent_length(X, labels)
        return _grouped_layout(labels, X.index if _is_frame(X) else None), X
    if warn and _is_frame(X):
        _warn_if_unordered(X.index, owner)
    return None, X


def _ordered_parts(layout, times):
    order = np.arange(len(times)) if layout.order is None else layout.order
    for a, b in zip(layout.indptr[:-1], layout.indptr[1:]):
        yield times[order[a:b]]


def _refuse_groups(groups, form):
    if groups is not None:
        raise ValueError(f"`groups` is for 2-D X with a flat index; X is {form} already.")


def refuse_reordered(X: Any, y: Any) -> None:
    """Refuse a y whose index has the labels of X in another order: rows pair by position."""
    index: Any = getattr(X, "index", None)
    other: Any = getattr(y, "index", None)
    if not (hasattr(index, "equals") and hasattr(other, "equals")) or len(index) != len(other):
        return
    if index.equals(other) or not index.is_unique or not other.isin(index).all():
        return
    raise ValueError(
        "The index of y holds the labels of X in another order, but rows are paired by "
        "position. Use y.loc[X.index]."
    )


def read_targets(y: Any, layout: SequenceLayout, *, dtype: Any, owner: str) -> tuple:
    """Stacked targets (n_rows, n_targets) in the layout's order, and whether y was 1-D."""
    if y is None:
        raise ValueError(
            f"This {owner} estimator requires y to be passed, but the target y is None."
        )
    n_rows = int(layout.indptr[-1])
    if layout.form == "list":
        y, one_d = _stack_listed_targets(y, layout)
    elif layout.form == "array3d":
        y = np.asarray(y)
        lead = (layout.n_sequences, n_rows // max(layout.n_sequences, 1))
        if y.shape[:2] != lead or y.ndim not in (2, 3):
            raise ValueError(
                f"y has shape {y.shape}, but a 3-D X of {lead[0]} sequences of {lead[1]} steps "
                f"needs y of shape {lead} or {(*lead, 'n_targets')}."
            )
        one_d = y.ndim == 2
        y = y.reshape(n_rows, *y.shape[2:])
    else:
        one_d = _ndim(y) == 1
    if _ndim(y) == 0:
        raise ValueError("y must be 1-D or 2-D, got a single value.")
    refuse_not_numbers(y, "y")
    y = check_array(
        y,
        dtype=dtype,
        ensure_2d=False,
        allow_nd=False,
        input_name="y",
        estimator=owner,
        ensure_all_finite=False,
    )
    refuse_not_finite(y, "y", owner, place=_place_in(layout))
    if len(y) != n_rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(y)}]"
        )
    y = y.reshape(n_rows, -1)
    if y.shape[1] == 0:
        raise ValueError("y has 0 target(s); at least one column is needed.")
    if layout.order is not None:
        y = y[layout.order]
    return np.ascontiguousarray(y), one_d


def _stack_listed_targets(y, layout):
    if not isinstance(y, (list, tuple)) or len(y) != layout.n_sequences:
        found = len(y) if hasattr(y, "__len__") else type(y).__name__
        raise ValueError(
            f"X is a list of {layout.n_sequences} sequences, so y must be a list of as many "
            f"arrays; got {found}."
        )
    lengths = np.diff(layout.indptr)
    for i, (part, length) in enumerate(zip(y, lengths)):
        if _ndim(part) not in (1, 2) or len(part) != length:
            raise ValueError(
                f"y[{i}] has shape {_shape(part)}, but sequence {i} of X has {length} steps."
            )
    one_d = all(_ndim(part) == 1 for part in y)
    parts = [np.asarray(part).reshape(length, -1) for part, length in zip(y, lengths)]
    if len({part.shape[1] for part in parts}) > 1:
        raise ValueError("All sequences of y need the same number of targets.")
    stacked = np.concatenate(parts)
    return (stacked[:, 0] if one_d else stacked), one_d


def read_weights(
    sample_weight: Any, layout: SequenceLayout, *, dtype: Any, may_vanish: bool = False
) -> np.ndarray | None:
    """Stacked sample weights (n_rows,), or None; all may be zero only if `may_vanish`."""
    if sample_weight is None:
        return None
    n_rows = int(layout.indptr[-1])
    if layout.form == "list" and isinstance(sample_weight, (list, tuple)):
        if len(sample_weight) == layout.n_sequences and all(_ndim(w) == 1 for w in sample_weight):
            sample_weight = np.concatenate([np.asarray(w) for w in sample_weight])
    elif layout.form == "array3d" and _ndim(sample_weight) == 2:
        sample_weight = np.asarray(sample_weight).reshape(-1)
    if _ndim(sample_weight) == 0:
        sample_weight = np.full(n_rows, sample_weight)
    weights = check_array(
        sample_weight, dtype=dtype, ensure_2d=False, allow_nd=True, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weights.ndim}D array.")
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n_rows,)}!")
    if (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise ValueError(f"Negative values in data passed to `sample_weight`, first at row {row}.")
    if not (may_vanish or weights.any()):
        raise ValueError("All sample weights are zero; at least one must be positive.")
    return weights if layout.order is None else weights[layout.order]
