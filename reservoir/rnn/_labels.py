"""What classifiers trained by gradients share: labels of sequences and steps, their scores."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets

from echocast._checks import stack_level
from echocast.exceptions import EchocastWarning

from .._labelled import read_labelled, read_labels
from .._sequences import _ndim, _shape, refuse_reordered
from ._estimator import BaseRNN
from ._heads import ClassHead
from ._objective import TrainData
from ._reading import (
    Sequences,
    cut_like,
    is_time_indexed,
    listed,
    read_case_weights,
    read_step_weights,
)

__all__ = ["BaseRNNClassifier"]


class BaseRNNClassifier(ClassifierMixin, BaseRNN):
    """Abstract: parameters of the constructor are stored by the final classes."""

    layout = "auto"  # what a 2-D X means is settled: rows are sequences

    def _check_params(self, owner):
        if not isinstance(self.weight_init, (str, dict)) or self.weight_init == "reservoir":
            from echocast._checks import refuse

            from ._init import INITIALISERS

            rule = f"a str among {set(INITIALISERS)} or a dict of weights"
            refuse("weight_init", owner, rule, self.weight_init)
        return super()._check_params(owner)

    def _head(self):
        return ClassHead(len(self.classes_))

    def _read(self, X, groups, *, reset, dtype):
        X = listed(X)
        if reset and is_time_indexed(X):
            warnings.warn(
                f"X passed to {type(self).__name__} is indexed by time, but each row of a 2-D X is "
                "one univariate sequence here. For one sequence with a label for each step pass "
                "lists: fit([X], [y]).",
                EchocastWarning,
                stacklevel=stack_level(),
            )
        with np.errstate(over="ignore"):  # what is too large for float32 is refused as infinite
            rows, layout = read_labelled(self, X, groups=groups, reset=reset, dtype=dtype)
        is_array = not isinstance(X, (list, tuple)) and _ndim(X) == 3
        padded = is_array and layout.form == "list"  # it had padding, which has been cut off
        return Sequences(rows, layout, int(_shape(X)[1]) if padded else None)

    def _read_training(self, X, y, sequences, sample_weight, *, fresh):
        owner, dtype = type(self).__name__, sequences.rows.dtype
        last = not self._has_step_labels(y, sequences) if fresh else self._fit_last
        if not last:
            refuse_reordered(X, y)
        labels = self._read_labels(y, sequences, last, owner)
        if fresh:
            self._fit_last = last
            classes = self._first_classes if self._first_classes is not None else labels
            self.classes_ = np.unique(classes)
            self._fit_n_fed = len(self.classes_)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"{owner} needs at least 2 classes, but y has one class only: "
                    f"{self.classes_.tolist()[0]!r}."
                )
        numbers = np.searchsorted(self.classes_, labels)
        known = self.classes_[np.minimum(numbers, len(self.classes_) - 1)] == labels
        if not known.all():
            raise ValueError(
                f"y has the label {labels[~known].tolist()[0]!r}, which is not among the classes "
                f"{self.classes_.tolist()}. "
                "Name all of them in the first partial_fit (classes=...), or begin afresh with "
                "warm_start=False."
            )
        weights = self._case_weights(sample_weight, sequences, dtype)
        before = self._labels_before(numbers, sequences, last, dtype)
        return TrainData(sequences.rows, sequences.indptr, numbers, weights, before)

    def _case_weights(self, sample_weight, sequences, dtype):
        if self._fit_last:
            return read_case_weights(sample_weight, sequences.layout, last=True, dtype=dtype)
        owner = type(self).__name__
        return read_step_weights(sample_weight, sequences, dtype=dtype, owner=owner)

    def _has_step_labels(self, y, sequences):
        """Whether y labels each step: a list of arrays, or (n_sequences, n_steps)."""
        if self.output != "auto":
            return self.output == "sequence"
        if self._fit_by_row or y is None or _ndim_of_labels(y) == 0:
            return False
        if sequences.layout.form == "groups":
            return len(y) == int(sequences.indptr[-1]) != sequences.layout.n_sequences
        return _ndim_of_labels(y) == 2

    def _read_labels(self, y, sequences, last, owner):
        layout = sequences.layout
        if last:
            return read_labels(y, layout, by_row=self._fit_by_row, owner=owner)
        if self._fit_by_row:
            raise ValueError(
                "Each row of a 2-D X is one univariate sequence, which has no labels for its "
                "steps in a 1-D y. For one sequence with a label for each step pass lists: "
                "fit([X], [y])."
            )
        if sequences.padded is not None:
            y = cut_like(y, sequences, owner)
        if layout.form in ("list", "array3d"):
            lengths = [_shape(part)[:1] for part in y]
            wanted = [(n,) for n in np.diff(layout.indptr)]
            if lengths != wanted:
                raise ValueError(
                    "y must have one label for each step of each sequence of X; the lengths "
                    f"differ (y has {len(lengths)} sequences, X has {len(wanted)})."
                )
            labels = np.concatenate([np.asarray(part).reshape(-1) for part in y])
        else:
            labels = np.asarray(y).reshape(-1)
        if len(labels) != layout.indptr[-1]:
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"[{layout.indptr[-1]}, {len(labels)}]. y needs one label for each step."
            )
        if layout.order is not None:
            labels = labels[layout.order]
        check_classification_targets(labels)
        return labels

    def _labels_before(self, numbers, sequences, last, dtype):
        """One-hot labels one step earlier, for recurrence="output"; zero before the first."""
        if self.recurrence != "output":
            return None
        if last:
            raise ValueError("recurrence='output' needs a label for each step of X.")
        before = np.zeros((len(numbers), self._fit_n_fed), dtype=dtype)
        before[1:] = np.eye(self._fit_n_fed, dtype=dtype)[numbers[:-1]]
        before[sequences.indptr[:-1]] = 0
        return before

    def _first_bias(self, bias, data):
        """Leave it at zero: all classes are equally likely."""

    def _validation_part(self, data, sequences, rng):
        """The last block of one sequence with labels for steps; else sequences of every class."""
        n = sequences.layout.n_sequences
        if not self._fit_last:
            return super()._validation_part(data, sequences, rng)
        chosen = np.zeros(n, dtype=bool)
        counts = np.bincount(data.targets, minlength=len(self.classes_))
        for k, n_out in enumerate(_shares(self.validation_fraction * counts)):
            members = rng.permutation(np.flatnonzero(data.targets == k))
            chosen[members[:n_out]] = True
        return chosen

    def _score_outputs(self, outputs, targets, weights):
        return float(accuracy_score(targets, outputs.argmax(axis=1), sample_weight=weights))

    _first_classes: Any = None

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        classes: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
    ) -> Self:
        """Train for one epoch on a chunk of data, with the learning rate held.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in `fit`.
        classes : array-like of shape (n_classes,), optional
            All labels that will come; those of the first chunk by default.

        Returns
        -------
        self
        """
        known = getattr(self, "classes_", None)
        if (
            known is not None
            and classes is not None
            and not np.array_equal(np.unique(classes), known)
        ):
            raise ValueError(
                f"`classes={list(classes)}` is not the same as on the last call to partial_fit, "
                f"{known.tolist()}."
            )
        shadow = copy.copy(self)
        shadow._first_classes = None if classes is None else np.asarray(classes)
        BaseRNN.partial_fit(shadow, X, y, sample_weight=sample_weight, groups=groups)
        shadow.__dict__.pop("_first_classes", None)
        self.__dict__ = shadow.__dict__
        return self

    # ---------------------------------------------------------------- prediction

    def _probabilities(self, sequences, states):
        """Probabilities in the form in which they are given to users."""
        outputs = self._finite_outputs(sequences, states)
        values = self._head().probabilities(outputs)
        return values if self._fit_last else sequences.restore(values)

    def _labels(self, sequences, states):
        """Likeliest labels in that form."""
        labels = self.classes_[self._winners(sequences, states)]
        if self._fit_last:
            return labels
        if sequences.padded is not None:
            return sequences.layout.restore(labels)
        return sequences.restore(labels)

    def _winners(self, sequences, states=None):
        return self._finite_outputs(sequences, states).argmax(axis=1)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> float:
        """Share of sequences, or steps, that get the right label.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in `fit`.

        Returns
        -------
        float
        """
        sequences = self._read_new(X, groups)
        labels = self._read_labels(y, sequences, self._fit_last, type(self).__name__)
        weights = None
        if sample_weight is not None:
            weights = self._case_weights(sample_weight, sequences, sequences.rows.dtype)
        found = self.classes_[self._winners(sequences)]
        return float(accuracy_score(labels, found, sample_weight=weights))


def _shares(wanted):
    """Whole numbers next to `wanted` with about the same sum, at least one in all."""
    shares = np.floor(wanted).astype(int)
    n_left = max(round(wanted.sum()), 1) - shares.sum()
    shares[np.argsort(shares - wanted, kind="stable")[: max(n_left, 0)]] += 1
    return shares


def _ndim_of_labels(y):
    """Dimensions of labels, of which a list may hold arrays of different lengths."""
    if isinstance(y, (list, tuple)) and y and _ndim(y[0]) == 1:
        return 2
    return _ndim(y)
