"""What models of bits for each step of sequences share: reading, batches, training, scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from ._fit_loop import Trained, fit_loop
from ._losses import binary_cross_entropy
from ._packed import Packed, bucketed_batches, pack
from ._reading import Sequences, read_case_weights, read_sequences, read_step_targets
from ._tape import Var
from ._tape_estimator import TapeEstimator

__all__ = ["BitBatch", "BitData", "BitEstimator", "bit_loss"]

_CHUNK = 4096  # steps, padding included, that are predicted together


@dataclass(frozen=True)
class BitData:
    """Stacked rows of sequences, the bits of each row, and weights."""

    rows: np.ndarray
    indptr: np.ndarray
    bits: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class BitBatch:
    """Time-major arrays of a mini-batch; `weights` sums to 1 and is 0 in padding.

    `valid` (n_steps, n_sequences) says what is no padding, and `total` what the weights were.
    """

    inputs: np.ndarray
    bits: np.ndarray
    weights: np.ndarray
    valid: np.ndarray
    total: float


def bit_loss(logits: Var, batch: BitBatch) -> Var:
    """Mean cross-entropy of the bits."""
    return binary_cross_entropy(logits, batch.bits, batch.weights)


class BitEstimator(TapeEstimator):
    """Abstract: subclasses say what logits are in ``_logits(leaves, X)``, X being time-major."""

    # ------------------------------------------------------------------ training

    def _read_training(self, X, y, sample_weight, dtype) -> BitData:
        owner = type(self).__name__
        sequences = read_sequences(self, X, reset=True, dtype=dtype)
        bits = self._bits_of(X, y, sequences, owner)
        weights = read_case_weights(sample_weight, sequences.layout, last=False, dtype=dtype)
        if not weights.any():
            raise ValueError("All steps have a weight of zero; there is nothing to learn.")
        self.n_outputs_ = bits.shape[1]
        return BitData(sequences.rows, sequences.indptr, bits, weights)

    def _bits_of(self, X, y, sequences, owner):
        if y is None:
            raise ValueError(
                f"This {owner} estimator requires y to be passed, but the target y is None."
            )
        dtype = sequences.rows.dtype
        bits, one_d = read_step_targets(X, y, sequences, dtype=dtype, owner=owner)
        wrong = (bits != 0) & (bits != 1)
        if wrong.any():
            raise ValueError(
                f"y must hold bits, 0 or 1, for {owner}; it has {bits[wrong][0]:.6g}. For other "
                "numbers use RNNRegressor, for labels RNNClassifier."
            )
        if not hasattr(self, "_fit_one_d"):
            self._fit_one_d = one_d
        return bits

    def _train(self, data: BitData, layout, theta, loss_of, rng) -> Trained:
        lengths, size = np.diff(data.indptr), int(self.batch_size)
        known = np.add.reduceat(data.weights, data.indptr[:-1]) > 0  # others teach nothing
        kept = np.flatnonzero(known)

        def batches(rng):
            order = rng if self.shuffle else None
            for chosen in bucketed_batches(lengths[kept], size, order):
                numbers = kept[chosen]
                packed = pack(data.indptr[numbers], data.indptr[numbers + 1])
                weights = data.weights[packed.rows] * packed.valid
                total = float(weights.sum())
                yield BitBatch(
                    data.rows[packed.rows], data.bits[packed.rows], weights / total, packed.valid,
                    total,
                )  # fmt: skip

        n_batches = len(bucketed_batches(lengths[kept], size, None))
        return fit_loop(
            theta, layout, batches, loss_of, self._options(), rng, n_epochs=int(self.max_iter),
            n_batches=n_batches, weight_of=lambda batch: batch.total,
        )  # fmt: skip

    # ---------------------------------------------------------------- prediction

    def _read_new(self, X) -> Sequences:
        return read_sequences(self, X, reset=False, dtype=self.theta_.dtype)

    def _passes(self, sequences: Sequences | BitData) -> Iterator[tuple[np.ndarray, Packed]]:
        """All sequences, those of about the same length together."""
        lengths, indptr = np.diff(sequences.indptr), sequences.indptr
        order = np.argsort(-lengths, kind="stable")
        first = 0
        while first < len(order):
            stop = first + max(1, _CHUNK // int(lengths[order[first]]))
            numbers = order[first:stop]
            yield numbers, pack(indptr[numbers], indptr[numbers + 1])
            first = stop

    def _values(self, sequences, of_batch, width):
        """What `of_batch` gives for time-major inputs, as rows like those of the data."""
        values = np.empty((len(sequences.rows), width), dtype=np.float64)
        for _, packed in self._passes(sequences):
            found = of_batch(sequences.rows[packed.rows])
            valid = packed.valid
            values[packed.rows[valid]] = found[valid]
        return values

    def _shares(self, sequences):
        leaves = self._leaves()
        logits = self._values(sequences, lambda X: self._logits(leaves, X), self.n_outputs_)
        return expit(logits)

    def _restored(self, sequences, values):
        return sequences.restore(values[:, 0] if self._fit_one_d else values)

    def predict_proba(self, X: Any) -> Any:
        """Probabilities that bits are 1.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of the form of y in `fit`
            For lists a list of such.
        """
        check_is_fitted(self)
        sequences = self._read_new(X)
        return self._restored(sequences, self._shares(sequences))

    def predict(self, X: Any) -> Any:
        """The likelier bits, 0.0 or 1.0; writes nothing to the estimator.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of the form of y in `fit`
            For lists a list of such.
        """
        check_is_fitted(self)
        sequences = self._read_new(X)
        return self._restored(sequences, (self._shares(sequences) > 0.5).astype(np.float64))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of right bits.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        sequences = self._read_new(X)
        bits = self._bits_of(X, y, sequences, type(self).__name__)
        weights = read_case_weights(sample_weight, sequences.layout, last=False, dtype=np.float64)
        right = (self._shares(sequences) > 0.5) == (bits > 0.5)
        return float(np.average(right.mean(axis=1), weights=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags
