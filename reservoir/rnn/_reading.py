"""Read sequences and what belongs to them: targets of steps or of whole sequences, weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array

from echocast._checks import stack_level
from echocast.exceptions import UnscaledDataWarning

from .._labelled import _by_label, without_padding
from .._sequences import (
    SequenceLayout,
    _ndim,
    _shape,
    checked_rows,
    read_rows,
    read_targets,
    read_weights,
    refuse_reordered,
)
from .._values import refuse_not_finite, refuse_not_numbers

__all__ = [
    "Sequences",
    "is_last",
    "read_case_weights",
    "read_sequences",
    "read_step_targets",
    "read_step_weights",
    "read_vector_targets",
    "split_step_weights",
    "warn_if_unscaled",
]

# Beyond these a warning tells to scale the data.
_MOST_SATURATING = 30.0
_WIDEST, _NARROWEST = 100.0, 1e-3


@dataclass(frozen=True)
class Sequences:
    """Stacked rows, where the sequences lie in them, and the form in which X was given.

    `padded` is the number of steps of a 3-D array that had rows of NaN after the ends of some
    sequences, else None.
    """

    rows: np.ndarray
    layout: SequenceLayout
    padded: int | None = None

    @property
    def indptr(self) -> np.ndarray:
        return self.layout.indptr

    def restore(self, values: np.ndarray) -> Any:
        """Values of stacked rows in the form of X; NaN where that is padding."""
        if self.padded is None:
            return self.layout.restore(values)
        shape = (self.layout.n_sequences, self.padded, *values.shape[1:])
        out = np.full(shape, np.nan, dtype=values.dtype)
        for sequence, part in zip(out, self.layout.split(values)):
            sequence[: len(part)] = part
        return out


def listed(X: Any) -> Any:
    """A 1-D array of objects that are sequences as the list of them; others as they are."""
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and len(X):
        return list(X) if all(_ndim(part) in (1, 2) for part in X) else X
    return X


def is_time_indexed(X: Any) -> bool:
    """Whether X is a frame whose rows are times."""
    index = getattr(X, "index", None)
    return hasattr(X, "iloc") and hasattr(index, "freq") and getattr(index, "nlevels", 1) == 1


@np.errstate(over="ignore")  # what is too large for float32 is refused as infinite
def read_sequences(
    estimator: Any, X: Any, *, groups: Any = None, reset: bool, dtype: Any, windows: bool = False
) -> Sequences:
    """Validate X in any form; with `windows` each row of a 2-D X is one univariate sequence."""
    if windows:
        values = checked_rows(estimator, X, reset=reset, dtype=dtype)
        n, n_steps = values.shape
        indptr = n_steps * np.arange(n + 1, dtype=np.int64)
        return Sequences(
            np.ascontiguousarray(values).reshape(-1, 1), SequenceLayout("array3d", indptr)
        )
    X = listed(X)
    cut = without_padding(X)
    rows, layout = read_rows(estimator, cut, groups=groups, reset=reset, dtype=dtype)
    is_array = cut is not X and not isinstance(X, (list, tuple))
    return Sequences(rows, layout, int(_shape(X)[1]) if is_array else None)


def is_last(y: Any, sequences: Sequences, output: str, owner: str) -> bool:
    """Whether y has one target for each sequence, rather than for each step."""
    if output != "auto":
        return output == "last"
    if y is None or sequences.layout.form == "rows" or _ndim(y) == 0:
        return False
    layout = sequences.layout
    n, n_rows = layout.n_sequences, int(layout.indptr[-1])
    if layout.form == "groups":
        return len(y) == n != n_rows
    if layout.form == "list" and sequences.padded is None:
        shapes = [_shape(part) for part in y]
        if len(set(shapes)) > 1 or any(len(shape) > 1 for shape in shapes):
            return False
        return [shape[:1] for shape in shapes] != [(length,) for length in np.diff(layout.indptr)]
    n_steps = sequences.padded or int(layout.indptr[1])
    return _ndim(y) < 3 and tuple(_shape(y)[:2]) != (n, n_steps)


@np.errstate(over="ignore")
def read_step_targets(X: Any, y: Any, sequences: Sequences, *, dtype: Any, owner: str) -> tuple:
    """Targets (n_rows, n_targets) of each step, and whether they were single numbers."""
    refuse_reordered(X, y)
    y = listed(y)
    if sequences.layout.form == "list" and isinstance(y, np.ndarray) and y.ndim > 1:
        y = list(y)  # sequences that happen to be equally long
    if sequences.padded is not None and y is not None:
        y = cut_like(y, sequences, owner)
    return read_targets(y, sequences.layout, dtype=dtype, owner=owner)


def cut_like(y: Any, sequences: Sequences, owner: str, name: str = "y") -> list:
    """Cut the padding of X off a y of shape (n_sequences, n_steps, ...)."""
    y, lengths = np.asarray(y), np.diff(sequences.indptr)
    wanted = (len(lengths), sequences.padded)
    wider = (*wanted, "n_targets")
    if y.shape[:2] != wanted:
        raise ValueError(
            f"{name} has shape {y.shape}, but X has {wanted[0]} sequences of {wanted[1]} steps "
            f"with their padding: {owner} needs y of shape {wanted} or {wider}, or "
            "one target for each sequence."
        )
    return [part[:length] for part, length in zip(y, lengths)]


@np.errstate(over="ignore")
def read_vector_targets(y: Any, layout: SequenceLayout, *, dtype: Any, owner: str) -> tuple:
    """Targets (n_sequences, n_targets), one for each sequence, and whether y was 1-D."""
    n = layout.n_sequences
    if y is None:
        raise ValueError(
            f"This {owner} estimator requires y to be passed, but the target y is None."
        )
    if layout.form == "groups" and hasattr(y, "index") and hasattr(y, "iloc"):
        y = _by_label(y, layout.ids)
    refuse_not_numbers(y, "y")
    y = check_array(y, dtype=dtype, ensure_2d=False, input_name="y", estimator=owner,
                    ensure_all_finite=False)  # fmt: skip
    refuse_not_finite(y, "y", owner, place=lambda row: f"sequence {row}")
    if len(y) != n:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: [{n}, {len(y)}]. "
            f"With output='last' {owner} needs one target for each of the {n} sequences of X."
        )
    one_d = y.ndim == 1
    y = y.reshape(n, -1)
    if y.shape[1] == 0:
        raise ValueError("y has 0 target(s); at least one column is needed.")
    return np.ascontiguousarray(y), one_d


def read_case_weights(
    sample_weight: Any, layout: SequenceLayout, *, last: bool, dtype: Any
) -> np.ndarray:
    """Weights of the steps, or of the sequences where those have the targets; ones by default."""
    n = layout.n_sequences if last else int(layout.indptr[-1])
    if sample_weight is None:
        return np.ones(n, dtype=dtype)
    of = SequenceLayout("rows", np.array([0, n])) if last else layout
    weights = read_weights(sample_weight, of, dtype=np.float64)
    if weights is None:
        return np.ones(n, dtype=dtype)
    if not 1e-15 < weights.max() < 1e15:  # only ratios count; sums must be in reach of float32
        weights = weights / weights.max()
    return weights.astype(dtype)


def read_step_weights(
    sample_weight: Any, sequences: Sequences, *, dtype: Any, owner: str
) -> np.ndarray:
    """Weights of the steps in any form that a y of one column may have; ones by default."""
    given = listed(sample_weight)
    if sequences.layout.form == "list" and _ndim(given) == 2:
        padded = sequences.padded is not None
        given = cut_like(given, sequences, owner, "sample_weight") if padded else list(given)
    return read_case_weights(given, sequences.layout, last=False, dtype=dtype)


def split_step_weights(
    sample_weight: Any, sequences: Sequences, shape: tuple
) -> tuple[Any, np.ndarray | None]:
    """Weights of rows, and which targets are known, from weights of each target of each row.

    Any other weights are returned as they are, with None. `shape` is that of the stacked targets.
    """
    given, order = sample_weight, sequences.layout.order
    if sequences.padded is not None and _ndim(given) in (2, 3):
        given = sample_weight = cut_like(given, sequences, "sample_weight", "weights")
    if isinstance(given, (list, tuple)) and given and all(_ndim(part) == 2 for part in given):
        given = np.concatenate([np.asarray(part) for part in given])
    elif _ndim(given) == 3:
        given = np.asarray(given).reshape(-1, _shape(given)[2])
    if _ndim(given) != 2 or tuple(_shape(given)) != tuple(shape):
        return sample_weight, None
    weights = np.asarray(given, dtype=np.float64)
    rows = weights.max(axis=1)  # in the order of X, as other weights come; `known` as targets
    known = weights > 0
    if not np.array_equal(weights, np.where(known, rows[:, None], 0)):
        raise ValueError(
            "`sample_weight` of each target may leave targets out by zeros; the others of a row "
            "must have the same weight."
        )
    if known.all():
        return rows, None
    return rows, known if order is None else known[order]


def warn_if_unscaled(name: str, values: np.ndarray, owner: str) -> None:
    """Warn of columns whose size is so far from one that training fails, but without an error.

    Inputs that size drive every unit into saturation. Outputs begin at about the mean of y plus
    or minus one, and each update moves them by about the learning rate.
    """
    known = np.ma.masked_invalid(values.astype(np.float64))
    means, spreads = (np.ma.filled(part, 0) for part in (known.mean(axis=0), known.std(axis=0)))
    if name == "X":
        bad = np.hypot(means, spreads) > _MOST_SATURATING
    else:
        rounding = np.finfo(values.dtype).eps * np.abs(means)
        bad = (spreads > _WIDEST) | (spreads < _NARROWEST) | (100 * rounding > spreads)
        bad &= spreads > rounding  # a constant is learnt at once
    if bad.any():
        column = int(np.argmax(bad))
        warnings.warn(
            f"Column {column} of {name} has mean {means[column]:.3g} and standard deviation "
            f"{spreads[column]:.3g}, with which {owner} trains badly. Scale {name} to about zero "
            "mean and unit variance, for example with SequenceScaler.",
            UnscaledDataWarning,
            stacklevel=stack_level(),
        )
