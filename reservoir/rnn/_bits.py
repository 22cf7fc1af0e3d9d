"""What models of bits for each step of sequences share: reading, batches, training, scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from ._descent import finite_outputs
from ._fit_loop import Trained, fit_loop
from ._losses import binary_cross_entropy
from ._objective import one_blas_thread
from ._packed import Packed, bucketed_batches, pack
from ._reading import Sequences, read_sequences, read_step_targets, read_step_weights
from ._tape import Var
from ._warm_start import WarmStartEstimator

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


class BitEstimator(WarmStartEstimator):
    """Abstract: subclasses say what the weights, the loss and the logits are."""

    # ------------------------------------------------------------------ training

    def fit(self, X: Any, y: Any, *, sample_weight: Any = None) -> Self:
        """Train the network, anew unless `warm_start` is set.

        Parameters
        ----------
        X : list of array-like of shape (n_steps, n_features), or array (n_sequences, n_steps, ...)
            Sequences; rows are time steps. In an array trailing rows of NaN are padding.
        y : of the form of X
            Bits, 0 or 1, for each step.
        sample_weight : list of array-like of shape (n_steps,), or array, optional
            Weights of the steps: 0 where it does not matter what the network says. An array of
            shape (n_sequences, n_steps) for an array, padding included.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X, y or the weights are unusable.
        TrainingDivergedError
            If gradients become infinite or NaN. The former fit stays as it was after any error.
        """
        return self._fit(X, y, sample_weight)

    @abstractmethod
    def _first_weights(self, data: BitData, rng: np.random.RandomState) -> tuple:
        """Layout and vector of the parameters."""

    @abstractmethod
    def _loss(self, leaves: dict, batch: BitBatch) -> Var:
        """The loss of a batch, on the tape."""

    @abstractmethod
    def _logits(self, leaves: dict, X: np.ndarray) -> np.ndarray:
        """Logits (n_steps, n_sequences, n_outputs) for time-major inputs."""

    def _learn(self, X, y, sample_weight, dtype, *, fresh):
        sequences = read_sequences(self, X, reset=fresh, dtype=dtype)
        bits, one_d = self._read_bits(X, y, sequences)
        if fresh:
            self.n_outputs_, self._fit_one_d = bits.shape[1], one_d
        weights = read_step_weights(
            sample_weight, sequences, dtype=dtype, owner=type(self).__name__
        )
        data = BitData(sequences.rows, sequences.indptr, bits, weights)
        rng = self._generator(fresh)
        if fresh:
            self._fit_layout, theta = self._first_weights(data, rng)
        else:
            theta = self.theta_
        self._publish(self._train(data, theta, rng), self._fit_layout)
        self._look_back(data)

    def _look_back(self, data: BitData) -> None:
        """Store what is to be known of the training data once the network is trained."""

    def _read_bits(self, X, y, sequences):
        """Bits (n_rows, n_outputs), and whether they were single ones."""
        owner = type(self).__name__
        dtype = sequences.rows.dtype
        bits, one_d = read_step_targets(X, y, sequences, dtype=dtype, owner=owner)
        wrong = (bits != 0) & (bits != 1)
        if wrong.any():
            raise ValueError(
                f"y must hold bits, 0 or 1, for {owner}; it has {bits[wrong][0]:.6g}. For other "
                "numbers use RNNRegressor, for labels RNNClassifier."
            )
        expected = getattr(self, "n_outputs_", bits.shape[1])
        if bits.shape[1] != expected:
            raise ValueError(
                f"y has {bits.shape[1]} bit(s) for each step, but {owner} is expecting {expected}."
            )
        return bits, one_d

    def _train(self, data: BitData, theta: np.ndarray, rng: np.random.RandomState) -> Trained:
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
            theta, self._fit_layout, batches, self._loss, self._options(), rng,
            n_epochs=int(self.max_iter), n_batches=n_batches,
            weight_of=lambda batch: batch.total,
        )  # fmt: skip

    # ---------------------------------------------------------------- prediction

    def _read_new(self, X) -> Sequences:
        return read_sequences(self, X, reset=False, dtype=self.theta_.dtype)

    def _passes(self, sequences: Sequences | BitData) -> Iterator[tuple[np.ndarray, Packed]]:
        """All sequences, those of about the same length together."""
        lengths, indptr = np.diff(sequences.indptr), sequences.indptr
        order = np.argsort(-lengths, kind="stable")
        first = 0
        with one_blas_thread(), np.errstate(all="ignore"):
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
            values[packed.rows[packed.valid]] = found[packed.valid]
        return finite_outputs(values, type(self).__name__)

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
        bits, _ = self._read_bits(X, y, sequences)
        weights = read_step_weights(
            sample_weight, sequences, dtype=np.float64, owner=type(self).__name__
        )
        right = (self._shares(sequences) > 0.5) == (bits > 0.5)
        return float(np.average(right.mean(axis=1), weights=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = tags.target_tags.multi_output = True
        return tags
