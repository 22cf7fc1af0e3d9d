"""One vector for each sequence from the states of a reservoir that is driven by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh

__all__ = ["FEATURES", "SequenceEncoder", "StateBasis", "state_basis", "washouts_of"]

# kind -> steps that must be left of a sequence after the washout
FEATURES = {"last": 0, "mean": 1, "last_mean": 1, "model_space": 2, "output_model_space": 2}

_CHUNK = 256
_CHUNK_BYTES = 2**27


@dataclass(frozen=True)
class StateBasis:
    """Principal components of states: ``z = (x - mean) @ components``."""

    mean: np.ndarray
    components: np.ndarray

    def project(self, states: np.ndarray) -> np.ndarray:
        """Coordinates (n_rows, n_components) of states (n_rows, n_units)."""
        return (states - self.mean) @ self.components


def washouts_of(washout: int | str, lengths: Any) -> np.ndarray:
    """Steps left out at the start of sequences of these lengths; "auto" is min(100, n // 10)."""
    if isinstance(washout, str):
        return np.minimum(100, np.asarray(lengths) // 10)
    return np.full(len(lengths), washout)


def state_basis(
    reservoir: Any, sequences: list, *, washout: int | str, n_components: int
) -> StateBasis:
    """Principal components of all states after the washout, in one pass over the sequences."""
    from ._drive import iter_sequences

    n_units, skips = reservoir.n_units, washouts_of(washout, [len(X) for X in sequences])
    shift, count = np.zeros(n_units), 0
    total, moments = np.zeros(n_units), np.zeros((n_units, n_units))
    for i, start, states in iter_sequences(reservoir, sequences):
        kept = states[max(skips[i] - start, 0) :].astype(np.float64, copy=False)
        if not len(kept):
            continue
        if not count:
            shift = kept.mean(axis=0)
        kept -= shift
        count += len(kept)
        total += kept.sum(axis=0)
        moments += kept.T @ kept
    mean = total / count
    moments -= np.outer(total, mean)
    first = max(n_units - n_components, 0)
    sizes, vectors = eigh(moments, subset_by_index=(first, n_units - 1))
    # Directions of rounding alone would be noise; one is kept where no state varies at all.
    real = sizes > n_units * np.finfo(reservoir.dtype).eps * max(sizes[-1], 0.0)
    real[-1] = True
    components = np.ascontiguousarray(vectors[:, real][:, ::-1])
    return StateBasis(
        (shift + mean).astype(reservoir.dtype), components.astype(reservoir.dtype, copy=False)
    )


@dataclass(frozen=True)
class SequenceEncoder:
    """Turns sequences into features of one kind, by one pass of one reservoir.

    Parameters
    ----------
    reservoir : Reservoir
    kind : str
        A key of `FEATURES`.
    washout : int or "auto"
        Steps at the start of each sequence that enter no mean and no regression.
    basis : StateBasis or None
        Coordinates in which the model spaces work; None for the states themselves.
    model_alpha : float
        Ridge penalty of the regressions of the model spaces.
    """

    reservoir: Any
    kind: str
    washout: int | str
    basis: StateBasis | None
    model_alpha: float

    def __call__(self, sequences: list, *, n_jobs: int | None = None) -> np.ndarray:
        """Features (n_sequences, n_features); those of a sequence do not depend on the others."""
        order = np.argsort([-len(X) for X in sequences], kind="stable")
        width = self._chunk_width(sequences[0].shape[1])
        chunks = [order[i : i + width] for i in range(0, len(order), width)]
        parts = _map(self._encode, [[sequences[i] for i in chunk] for chunk in chunks], n_jobs)
        features = np.empty((len(sequences), parts[0].shape[1]), dtype=self.reservoir.dtype)
        for chunk, part in zip(chunks, parts):
            features[chunk] = part
        return features

    def _encode(self, sequences):
        if self.kind in ("model_space", "output_model_space"):
            return self._model_space(sequences)
        from ._drive import reduce_sequences

        skips = washouts_of(self.washout, [len(X) for X in sequences])
        last, mean = reduce_sequences(self.reservoir, sequences, washout=skips)
        kinds = {"last": (last,), "mean": (mean,), "last_mean": (last, mean)}
        return np.concatenate(kinds[self.kind], axis=1)

    def _chunk_width(self, n_inputs):
        """Sequences side by side: the statistics of the regressions bound the memory."""
        if self.kind not in ("model_space", "output_model_space"):
            return _CHUNK
        n_in, n_out = self._model_shape(n_inputs)
        return int(np.clip(_CHUNK_BYTES // (16 * n_in * (n_in + n_out)), 1, _CHUNK))

    def _model_shape(self, n_inputs):
        n_in = self.reservoir.n_units if self.basis is None else self.basis.components.shape[1]
        return n_in, n_in if self.kind == "model_space" else n_inputs

    def _model_space(self, sequences):
        """Coefficients of a ridge regression of the next state, or of the next input."""
        from ._drive import iter_sequences

        n_in, n_out = self._model_shape(sequences[0].shape[1])
        sums = _PairSums(len(sequences), n_in, n_out)
        skips = washouts_of(self.washout, [len(X) for X in sequences])
        tails: dict[int, np.ndarray] = {}
        for i, start, states in iter_sequences(self.reservoir, sequences):
            skip = max(skips[i] - start, 0)
            if skip >= len(states):
                continue
            z = states[skip:] if self.basis is None else self.basis.project(states[skip:])
            if self.kind == "output_model_space":
                following = sequences[i][start + skip + 1 : start + skip + 1 + len(z)]
                sums.add(i, z[: len(following)], following)
                continue
            if i in tails:
                z = np.concatenate([tails[i], z])
            tails[i] = z[-1:].copy()
            sums.add(i, z[:-1], z[1:])
        coef, intercept = sums.solve(self.model_alpha)
        return np.concatenate([coef.reshape(len(sequences), -1), intercept], axis=1)


class _PairSums:
    """Shifted sums of the pairs (input, target) of many small ridge regressions, in float64.

    The shift is the first pair of each regression, so that slowly varying states, whose mean is
    far larger than their spread, lose nothing to cancellation.
    """

    def __init__(self, n_models: int, n_in: int, n_out: int):
        self.gram = np.zeros((n_models, n_in, n_in))
        self.cross = np.zeros((n_models, n_in, n_out))
        self.sum_in, self.sum_out = np.zeros((n_models, n_in)), np.zeros((n_models, n_out))
        self.shift_in, self.shift_out = np.zeros((n_models, n_in)), np.zeros((n_models, n_out))
        self.count = np.zeros(n_models)

    def add(self, i: int, inputs: np.ndarray, targets: np.ndarray) -> None:
        if not len(inputs):
            return
        if not self.count[i]:
            self.shift_in[i], self.shift_out[i] = inputs[0], targets[0]
        a, b = inputs - self.shift_in[i], targets - self.shift_out[i]
        self.gram[i] += a.T @ a
        self.cross[i] += a.T @ b
        self.sum_in[i] += a.sum(axis=0)
        self.sum_out[i] += b.sum(axis=0)
        self.count[i] += len(a)

    def solve(self, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (n_models, n_out, n_in), intercepts (n_models, n_out); uses the sums up."""
        mean_in = self.sum_in / self.count[:, None]
        mean_out = self.sum_out / self.count[:, None]
        self.gram -= self.sum_in[:, :, None] * mean_in[:, None, :]
        self.cross -= self.sum_in[:, :, None] * mean_out[:, None, :]
        diagonal = np.arange(self.gram.shape[1])
        self.gram[:, diagonal, diagonal] += alpha
        coef = np.linalg.solve(self.gram, self.cross).transpose(0, 2, 1)
        centre_in, centre_out = self.shift_in + mean_in, self.shift_out + mean_out
        return coef, centre_out - np.einsum("moi,mi->mo", coef, centre_in)


def _map(function: Callable, items: list, n_jobs: int | None) -> list:
    """Apply `function` to each item, on joblib threads if more than one is asked for."""
    from joblib import Parallel, delayed, effective_n_jobs

    if len(items) == 1 or effective_n_jobs(n_jobs) == 1:
        return [function(item) for item in items]
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return Parallel(n_jobs=n_jobs, prefer="threads")(delayed(function)(x) for x in items)
