"""The training loop: epochs over shuffled batches, schedules, stopping, and what it reports."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from echocast.exceptions import TrainingDivergedError

from ._descent import Descent, DescentOptions, Trained, refuse_diverged, report, resumed
from ._objective import Objective, one_blas_thread
from ._packed import bucketed_batches, lanes_of
from ._schedules import forcing_probability

__all__ = ["Options", "Trained", "train"]


@dataclass(frozen=True)
class Options(DescentOptions):
    """Settings of the training loop, under the names of the estimators' parameters."""

    batch_size: int = 32
    max_fun: int = 15000
    bptt_steps: int | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    teacher_forcing: Any = 1.0
    shuffle: bool = True


def train(
    objective: Objective,
    start: Trained,
    options: Options,
    rng: np.random.RandomState,
    *,
    n_epochs: int,
    validate: Callable[[np.ndarray], float] | None = None,
    monitor: Any = None,
    first_states: np.ndarray | None = None,
) -> Trained:
    """Train for at most `n_epochs` more epochs.

    Parameters
    ----------
    objective : Objective
    start : Trained
        Not changed.
    options : Options
    rng : RandomState
        Draws the order of batches, dropout masks and forcing, in this order in each update.
    validate : callable, optional
        From parameters to a score, of which the best is kept (early stopping).
    monitor : EpochMonitor, optional
        Told when an epoch begins, and called after it; a true result stops the training.
    first_states : ndarray of shape (n_sequences, n_states), optional
        States before the first rows, where the sequences go on; they are then not cut.

    Raises
    ------
    TrainingDivergedError
        If the loss or the gradient stays infinite or NaN.
    """
    state = resumed(start, scored=validate is not None)
    with one_blas_thread(), np.errstate(all="ignore"):  # what overflows is reported below
        try:
            if n_epochs == 0:
                pass
            elif options.solver == "lbfgs":
                _minimise(objective, state, options, n_epochs, monitor)
            else:
                loop = _Epochs(objective, state, options, rng, n_epochs, first_states)
                loop.descent.run(range(n_epochs), loop.epoch, validate, monitor)
        finally:
            objective.close()
    refuse_diverged(state)
    return state


class _Epochs:
    """Epochs over the lanes of one call of `train`."""

    def __init__(self, objective, state, options, rng, n_epochs, first_states):
        self.objective, self.state, self.options, self.rng = objective, state, options, rng
        self.first_states = first_states
        data = objective.data
        cuttable = options.bptt_steps is not None and not objective.network.last
        steps = options.bptt_steps if cuttable else None
        if first_states is not None:  # lanes are sequences, which go on from there
            steps = None
        self.lanes = lanes_of(data.indptr, steps, options.batch_size)
        self.numbers = np.searchsorted(data.indptr, self.lanes[:, 0], side="right") - 1
        self.grad = np.empty_like(state.theta)
        # Where lanes that begin within a sequence start: where those before them ended last.
        self.ended = np.zeros((len(self.lanes), objective.network.n_states), state.theta.dtype)
        self.is_cut = bool(np.diff(self.numbers, prepend=-1).min() == 0)
        n_total = max(1, n_epochs * self._updates_in_an_epoch())
        self.descent = Descent(state, options, objective.network.decayed, n_total)

    def _batches(self, rng):
        lengths = self.lanes[:, 1] - self.lanes[:, 0]
        return bucketed_batches(
            lengths, self.options.batch_size, rng if self.options.shuffle else None
        )

    def _updates_in_an_epoch(self):
        """Chunks of the first epoch that something is learnt from."""
        return sum(
            bool(chunk.weights.any())
            for batch in self._batches(copy.deepcopy(self.rng))
            for chunk in self.objective.chunks(
                self.lanes[batch], self.numbers[batch], self.options.bptt_steps
            )
        )

    def epoch(self):
        """One pass over all lanes; returns the mean loss and the largest gradient norm."""
        sums, norms = np.zeros(2), 0.0
        for batch in self._batches(self.rng):
            loss, weight, norm = self._batch(batch)
            sums += loss * weight, weight
            norms = max(norms, norm)
        return float(sums[0] / max(sums[1], 1e-300)), norms

    def _first_states(self, batch):
        """States from which lanes start; NaN, or None for all, at the starts of sequences."""
        if self.first_states is not None:
            return self.first_states[self.numbers[batch]]
        if not self.is_cut:
            return None
        states = self.ended[batch - 1].copy()
        starts = self.objective.data.indptr[self.numbers[batch]] == self.lanes[batch, 0]
        states[starts] = np.nan
        return states

    def _batch(self, batch):
        objective, options, state = self.objective, self.options, self.state
        lanes, numbers = self.lanes[batch], self.numbers[batch]
        states, sums, largest = self._first_states(batch), np.zeros(2), 0.0
        for chunk in objective.chunks(lanes, numbers, options.bptt_steps):
            n_lanes = chunk.packed.rows.shape[1]
            states = None if states is None else states[:n_lanes]
            weight = float(chunk.weights.sum())
            if weight == 0:
                states = objective.carry(state.theta, chunk, states)
                self.ended[batch[:n_lanes]] = states
                continue
            masks = objective.network.draw_masks(
                self.rng, n_lanes, options.dropout, options.recurrent_dropout
            )
            probability = forcing_probability(
                options.teacher_forcing, self.descent.done, self.descent.n_total
            )
            forced = objective.draw_forced(chunk, probability, self.rng)
            loss, states = objective.gradient(
                state.theta, self.grad, chunk, states, masks=masks, forced=forced
            )
            self.ended[batch[:n_lanes]] = states
            loss += objective.penalise(state.theta, self.grad)
            norm = self.descent.update(self.grad, loss)
            sums += loss * weight, weight
            largest = max(largest, norm)
        state.states = states
        mean = sums[0] / sums[1] if sums[1] else 0.0
        return float(mean), float(sums[1]), largest


def _minimise(objective, state, options, n_epochs, monitor):
    """All data at once, by L-BFGS; an iteration counts as an epoch."""
    from ._optim import minimise_lbfgs

    data = objective.data
    lanes = lanes_of(data.indptr, None, options.batch_size)
    batches = bucketed_batches(lanes[:, 1] - lanes[:, 0], options.batch_size, None)
    total, norms = float(data.weights.sum()), [0.0]
    part = np.empty_like(state.theta)

    def loss_and_grad(theta):
        theta = np.ascontiguousarray(theta, dtype=state.theta.dtype)
        grad = np.zeros_like(theta)
        loss = objective.penalise(theta, grad)
        for batch in batches:
            for chunk in objective.chunks(lanes[batch], batch, None):
                loss += objective.gradient(theta, part, chunk, None, total=total)[0]
                grad += part
        norms[0] = float(np.linalg.norm(grad))
        return loss, grad

    def after(theta, loss):
        state.theta = np.ascontiguousarray(theta, dtype=state.theta.dtype)
        state.n_epochs += 1
        state.n_updates += 1
        state.loss_curve.append(float(loss))
        state.grad_norms.append(norms[0])
        report(options.verbose, state, None)
        if monitor is None:
            return False
        monitor.begin()  # which iteration is the last one is known afterwards only
        return monitor(state)

    result = minimise_lbfgs(
        loss_and_grad, state.theta, max_iter=n_epochs, max_fun=options.max_fun, tol=options.tol,
        callback=after,
    )  # fmt: skip
    if not np.isfinite(result.fun):
        raise TrainingDivergedError(state.n_updates, 1)
    state.theta = np.ascontiguousarray(result.x, dtype=state.theta.dtype)
