"""A distributed fit of a classifier: features of a part once, then factors of labels from them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from ._distributed_parts import Basis, Part, Probed
from ._distributed_run import task

__all__ = [
    "Encoded",
    "about",
    "encode",
    "factor_of",
    "merge_factors",
    "penalties_of",
    "probe_labels",
    "scores",
    "squares_of",
]


@dataclass(frozen=True)
class Encoded:
    """Features and labels of the sequences of a part; None without sequences."""

    number: int
    features: np.ndarray | None = None
    labels: Any = None
    ids: tuple = ()
    warnings: tuple = ()

    def with_warnings(self, kept: tuple) -> Encoded:
        """The same with warnings that were raised as it was made."""
        return replace(self, warnings=tuple((self.number, *one) for one in kept))


def _read(part, model, reset, dtype):
    """Stacked steps, layout and labels of a part; None if it has no sequence."""
    from ._labelled import read_labelled, read_labels

    found = part.read()
    if found is None:
        return None
    X, y, groups = found
    if groups is not None:
        y = _label_of_each(y, groups)
    rows, layout = read_labelled(model, X, groups=groups, reset=reset, dtype=dtype)
    return rows, layout, read_labels(
        y, layout, by_row=model._fit_by_row, owner=type(model).__name__
    )  # fmt: skip


def _label_of_each(y, groups):
    """One label for each series of a frame, which repeats it in every row."""
    grouped = y.groupby(groups, sort=False)
    found = grouped.nunique(dropna=False)
    if (found > 1).any():
        label = found.index[found > 1].tolist()[0]
        raise ValueError(f"Series {label!r} has more than one label; it needs one in all rows.")
    return grouped.first()


@task
def probe_labels(part: Part, *, estimator: Any) -> Probed:
    """Draw the weights."""
    from ._sequence_features import SequenceEncoder

    model = clone(estimator)
    dtype = model._check_params()
    found = _read(part, model, True, dtype)
    if found is None:
        return Probed(part.number)
    model._fit_reservoir = model._build_reservoir(found[0].shape[1], 0, model._random(), dtype)
    encoder = SequenceEncoder(
        model._fit_reservoir, model.features, model.washout, None, float(model.model_alpha)
    )
    model._fit_encoders = [encoder] * (1 + bool(model.bidirectional))
    return Probed(part.number, model)


@task
def encode(part: Part, *, template: Any) -> Encoded:
    """Run the reservoir over the sequences of a part."""
    model = copy.copy(template)
    model.n_jobs = None  # workers are the threads
    found = _read(part, model, False, model._fit_reservoir.dtype)
    if found is None:
        return Encoded(part.number)
    rows, layout, labels = found
    features = model._encode(model._long_enough(rows, layout))
    ids = layout.ids if layout.form == "groups" else (None,) * layout.n_sequences
    return Encoded(part.number, features, labels, tuple((part.number, label) for label in ids))


@task
def about(encoded: Encoded) -> Encoded:
    """All but the features."""
    return replace(encoded, features=None)


def _problem(encoded, classes):
    from ._label_ridge import label_targets

    labels = np.searchsorted(classes, encoded.labels)
    return encoded.features, label_targets(labels, len(classes)), None


@task
def factor_of(encoded: Encoded, *, classes: np.ndarray) -> Any:
    """The factor of features and targets, None without sequences."""
    from ._readout import RidgeFactor

    if encoded.features is None:
        return None
    features, targets, _ = _problem(encoded, classes)
    factor = RidgeFactor(features.shape[1], targets.shape[1], dtype=features.dtype)
    return factor.update(features, targets).flushed()


@task
def merge_factors(a: Any, b: Any) -> Any:
    """Of the rows of both, either of which may be None."""
    if a is None or b is None:
        return b if a is None else a
    return a.merge(b)


@task
def penalties_of(factor: Any, alpha: Any) -> Basis:
    """System, spectrum and candidates of the merged factor."""
    from ._readout import penalty_basis

    return penalty_basis(factor, alpha, fit_intercept=True)


@task
def squares_of(encoded: Encoded, *, classes: np.ndarray, basis: Basis) -> Any:
    """Sums of squared leave-one-out errors (n_alphas, n_targets) over the sequences of a part."""
    from ._penalty import loo_squares

    if encoded.features is None:
        return None
    return loo_squares(*basis, [_problem(encoded, classes)])


@task
def scores(encoded: Encoded, *, classes: np.ndarray, basis: Basis, alpha: float) -> Any:
    """Scores (n_sequences, n_targets), each by the readout of all other sequences."""
    from ._penalty import loo_predictions

    if encoded.features is None:
        return None
    return loo_predictions(basis[0], basis[1], alpha, [_problem(encoded, classes)])
