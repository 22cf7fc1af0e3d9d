"""The loss of a network on parts of its training data, and the gradient, by batch shards."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._blas import one_blas_thread
from . import _ops as ops
from ._network import Masks, Network, Run
from ._packed import Packed, pack, pieces_of
from ._tape import Tape

__all__ = ["Chunk", "Head", "Objective", "TrainData", "learnt_from", "n_threads", "one_blas_thread"]


@dataclass(frozen=True)
class Head:
    """What the outputs of a network mean.

    Parameters
    ----------
    n_outputs : int
        Columns of the readout.
    loss : callable
        ``loss(outputs, targets, weights)``: scalar, see `_losses`.
    feed : callable
        From outputs (n_pieces, n_outputs) as a Var to what the network sees of them one step
        later.
    """

    n_outputs: int
    loss: Callable
    feed: Callable


@dataclass(frozen=True)
class TrainData:
    """Stacked sequences with targets and weights, one for each row, or one for each sequence.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_inputs)
    indptr : ndarray of shape (n_sequences + 1,)
    targets : ndarray of shape (n_rows or n_sequences, ...)
    weights : ndarray of shape (n_rows or n_sequences,)
        Not negative; rows of weight zero are history alone.
    before : ndarray of shape (n_rows, n_fed), optional
        True outputs one step earlier, for networks that see outputs.
    n_forced : int
        Steps of each sequence in which such a network is always given the true outputs.
    """

    rows: np.ndarray
    indptr: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    before: np.ndarray | None = None
    n_forced: int = 0

    @cached_property
    def position(self) -> np.ndarray:
        """Step of each row in its sequence."""
        lengths = np.diff(self.indptr)
        return np.arange(len(self.rows)) - np.repeat(self.indptr[:-1], lengths)


def learnt_from(data: TrainData, last: bool) -> TrainData:
    """The data without sequences, and ends of sequences, that have no weight.

    `last` is whether sequences have the targets, rather than steps.
    """
    bounds = list(zip(data.indptr[:-1], data.indptr[1:]))
    if last:
        used = [(b - a) * bool(data.weights[i]) for i, (a, b) in enumerate(bounds)]
        targets = np.flatnonzero(used)
    else:
        used = [int(np.max(np.flatnonzero(data.weights[a:b]) + 1, initial=0)) for a, b in bounds]
    rows = np.concatenate([np.arange(a, a + n) for (a, _), n in zip(bounds, used)])
    targets = targets if last else rows
    return TrainData(
        data.rows[rows],
        np.concatenate([[0], np.cumsum([n for n in used if n])]).astype(np.int64),
        data.targets[targets],
        data.weights[targets],
        None if data.before is None else data.before[rows],
        data.n_forced,
    )


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of the lanes of a batch, by decreasing length.

    `targets` are numbers of rows, or of sequences, in `TrainData.targets`: those of steps
    (n_steps, n_lanes), or of lanes (n_lanes,), with `weights` that are zero where there is none.
    """

    packed: Packed
    targets: np.ndarray
    weights: np.ndarray


class Objective:
    """The mean loss of a network over its training data, and a penalty on the weights.

    Parameters
    ----------
    network : Network
    head : Head
    data : TrainData
    alpha : float
        The penalty is half of `alpha` times the sum of squared weights.
    n_jobs : int
        Threads over the shards of a batch. The shards depend on the batch alone, so the result
        is the same for any number of threads.
    """

    def __init__(
        self, network: Network, head: Head, data: TrainData, *, alpha: float = 0.0, n_jobs: int = 1
    ):
        self.network, self.head, self.data, self.alpha = network, head, data, alpha
        self._n_jobs = n_jobs
        self._pool: ThreadPoolExecutor | None = None
        self._works: list = []
        self._grads: list[np.ndarray] = []

    # ------------------------------------------------------------------- batches

    def chunks(self, lanes: np.ndarray, numbers: np.ndarray, n_steps: int | None):
        """Yield the chunks of a batch of lanes (n, 2), by decreasing length.

        `numbers` are those of their sequences, which matter where a sequence has one target.
        """
        for starts, stops in pieces_of(lanes, n_steps):
            packed = pack(starts, stops)
            if self.network.last:
                targets = numbers[: len(starts)]
                ends = stops == lanes[: len(starts), 1]
                weights = np.where(ends, self.data.weights[targets], 0)
            else:
                targets = packed.rows
                weights = self.data.weights[targets] * packed.valid
            yield Chunk(packed, targets, weights.astype(self.network.dtype))

    def draw_forced(
        self, chunk: Chunk, probability: float, rng: np.random.RandomState
    ) -> np.ndarray | None:
        """Where the network is given true outputs; None: everywhere."""
        if probability >= 1:
            return None
        forced = rng.random_sample(chunk.packed.rows.shape) < probability
        forced[0] = True
        forced |= self.data.position[chunk.packed.rows] < self.data.n_forced
        return forced

    # ------------------------------------------------------------------ gradient

    def gradient(
        self,
        theta: np.ndarray,
        grad: np.ndarray,
        chunk: Chunk,
        states: np.ndarray | None,
        *,
        total: float | None = None,
        masks: Masks | None = None,
        forced: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray]:
        """Put the gradient of the mean loss of a chunk into `grad`.

        Parameters
        ----------
        states : ndarray of shape (n_lanes, n_states) or None
            Where the lanes stand; NaN, or None for all: at the network's own first state.
        total : float, optional
            What the sum of losses is divided by; the sum of the weights by default.

        Returns
        -------
        loss : float
        states : ndarray of shape (n_lanes, n_states)
            After the chunk.
        """
        total = float(chunk.weights.sum()) if total is None else total
        bounds = self._shards(chunk)
        while len(self._works) < len(bounds):
            self._works.append(self._new_works())
            self._grads.append(np.empty_like(theta))

        def work(k):
            start, stop = bounds[k]
            into = grad if k == 0 else self._grads[k]
            into[:] = 0
            own = None if states is None else states[start:stop]
            part = _columns(chunk, start, stop)
            return self._shard(
                theta, into, part, own, total,
                _masks_of(masks, start, stop),
                None if forced is None else forced[: len(part.packed.rows), start:stop],
                self._works[k],
            )  # fmt: skip

        if len(bounds) > 1 and self._n_jobs > 1:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._n_jobs)
            done = list(self._pool.map(work, range(len(bounds))))
        else:
            done = [work(k) for k in range(len(bounds))]
        for other in self._grads[1 : len(bounds)]:
            grad += other
        loss = sum(value for value, _ in done)
        return loss, np.concatenate([ended for _, ended in done])

    def penalise(self, theta: np.ndarray, grad: np.ndarray) -> float:
        """Add the gradient of the penalty to `grad`, and return the penalty."""
        if not self.alpha:
            return 0.0
        decayed = self.network.decayed
        grad[decayed] += self.alpha * theta[decayed]
        return 0.5 * self.alpha * float(np.sum(np.square(theta[decayed], dtype=np.float64)))

    def carry(self, theta: np.ndarray, chunk: Chunk, states: np.ndarray | None) -> np.ndarray:
        """States after a chunk that nothing is learnt from."""
        if not self.network.n_states:
            return _nothing(chunk)
        leaves = self.network.layout.leaves(theta, None)
        return self.network.flat(self._run(leaves, chunk, states, None, None, None).states)

    def close(self) -> None:
        """Let the threads go.

        After an error they are not waited for: they end with the shard that they are at, which
        nobody reads.
        """
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _shards(self, chunk):
        from ._nodes import shard_bounds

        n_steps, n_lanes = chunk.packed.rows.shape
        return shard_bounds(n_lanes, self.network.step_work(n_steps), n_steps)

    def _new_works(self):
        from ._nodes import Workspace

        return [Workspace() for _ in range(2 * len(self.network.units))]

    def _shard(self, theta, grad, chunk, states, total, masks, forced, works):
        with np.errstate(all="ignore"), Tape() as tape:  # of this thread
            leaves = self.network.layout.leaves(theta, grad)
            run = self._run(leaves, chunk, states, masks, forced, works)
            targets = self.data.targets[chunk.targets]
            loss = self.head.loss(run.outputs, targets, chunk.weights / total)
            tape.backward(loss)
        return float(loss.data), self.network.flat(run.states) if run.states else _nothing(chunk)

    def _run(self, leaves, chunk, states, masks, forced, works) -> Run:
        network, packed = self.network, chunk.packed
        x = self.data.rows[packed.rows]
        states = None if states is None else self._states(leaves, states)
        if forced is None and network.recurrence == "hidden":
            return network.run(leaves, x, packed, states, masks=masks, works=works)
        before: Any = self.data.before  # such networks are given it
        teacher = before[packed.rows]
        if forced is None:
            return network.run_output(leaves, x, teacher)
        return network.run_fed(leaves, x, states, teacher, forced, self.head.feed, masks=masks)

    def _states(self, leaves, states):
        """Given states as constants, and the network's own, which may be learnt, where NaN."""
        own = np.isnan(states[:, :1])
        given = self.network.unflat(np.where(own, 0, states))
        if not own.any():
            return given
        first = self.network.first_states(leaves, len(states))
        return [
            tuple(ops.where(own, a, b) for a, b in zip(firsts, givens))
            for firsts, givens in zip(first, given)
        ]


def _nothing(chunk):
    return np.empty((chunk.packed.rows.shape[1], 0))


def _columns(chunk: Chunk, start: int, stop: int) -> Chunk:
    """The lanes from `start` to `stop` of a chunk, as short as they are."""
    if start == 0 and stop == chunk.packed.rows.shape[1]:
        return chunk
    lengths = chunk.packed.lengths[start:stop]
    n_steps = int(lengths[0])
    packed = Packed(
        np.ascontiguousarray(chunk.packed.rows[:n_steps, start:stop]),
        np.clip(chunk.packed.sizes[:n_steps] - start, 0, stop - start),
        lengths,
    )
    by_step = chunk.weights.ndim == 2
    where: Any = (slice(n_steps), slice(start, stop)) if by_step else slice(start, stop)
    return Chunk(packed, chunk.targets[where], chunk.weights[where])


def _masks_of(masks, start, stop):
    def cut(mask):
        return None if mask is None else np.ascontiguousarray(mask[start:stop])

    if masks is None:
        return None
    return Masks(
        [cut(mask) for mask in masks.outputs],
        [tuple(cut(mask) for mask in layer) for layer in masks.recurrent],
    )


# ------------------------------------------------------------------------- BLAS


def n_threads(n_jobs: int | None) -> int:
    """Threads that the parameter `n_jobs` of an estimator asks for."""
    from joblib import effective_n_jobs

    # joblib warns in a daemon, which may have threads but no processes of its own.
    if n_jobs is None or multiprocessing.current_process().daemon:
        return 1
    return effective_n_jobs(n_jobs)
