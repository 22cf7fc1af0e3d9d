"""The training loop: epochs over shuffled batches, schedules, stopping, and what it reports."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from echocast.exceptions import TrainingDivergedError

from ._objective import Objective, one_blas_thread
from ._packed import bucketed_batches, lanes_of
from ._schedules import forcing_probability, learning_rate_at

__all__ = ["Options", "Trained", "train"]

_log = logging.getLogger("echocast")

_PATIENCE = 2  # epochs without progress after which learning_rate="adaptive" goes down
_LEAST_RATE = 1e-6
# Settings that belong to an optimiser, which is made anew when they change.
_OF_OPTIMIZER = ("solver", "momentum", "nesterovs_momentum", "weight_decay")
_MOST_SKIPS = 20  # steps in a row without a finite gradient


@dataclass(frozen=True)
class Options:
    """Settings of the training loop, under the names of the estimators' parameters."""

    solver: str = "adam"
    learning_rate: str = "linear"
    learning_rate_init: float = 3e-3
    batch_size: int = 32
    max_fun: int = 15000
    tol: float = 1e-4
    n_iter_no_change: int = 10
    max_norm: float | None = 1.0
    clip_value: float | None = None
    bptt_steps: int | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    teacher_forcing: Any = 1.0
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    weight_decay: float = 0.0
    shuffle: bool = True
    verbose: bool = False


@dataclass
class Trained:
    """Where training stands, and what it has seen so far; a later call may go on from it."""

    theta: np.ndarray
    optimizer: Any = None
    settings: dict | None = None
    loss_curve: list = field(default_factory=list)
    grad_norms: list = field(default_factory=list)
    validation_scores: list | None = None
    n_epochs: int = 0
    n_updates: int = 0
    n_skipped: int = 0
    rate: float | None = None
    states: np.ndarray | None = None


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
    state = copy.copy(start)
    state.theta = start.theta.copy()
    state.optimizer = copy.deepcopy(start.optimizer)
    state.loss_curve, state.grad_norms = list(start.loss_curve), list(start.grad_norms)
    if validate is not None:
        state.validation_scores = list(start.validation_scores or [])
    with one_blas_thread(), np.errstate(all="ignore"):  # what overflows is reported below
        try:
            if n_epochs == 0:
                pass
            elif options.solver == "lbfgs":
                _minimise(objective, state, options, n_epochs, monitor)
            else:
                loop = _Epochs(objective, state, options, rng, n_epochs, first_states)
                loop.run(validate, monitor)
        finally:
            objective.close()
    if not np.isfinite(state.theta).all():  # by the very last update, else it is noticed there
        raise TrainingDivergedError(state.n_updates, 1)
    return state


class _Epochs:
    """Stochastic gradient descent of one call of `train`."""

    def __init__(self, objective, state, options, rng, n_epochs, first_states):
        self.objective, self.state, self.options, self.rng = objective, state, options, rng
        self.n_epochs, self.first_states = n_epochs, first_states
        data = objective.data
        cuttable = options.bptt_steps is not None and not objective.network.last
        steps = options.bptt_steps if cuttable else None
        if first_states is not None:  # lanes are sequences, which go on from there
            steps = None
        self.lanes = lanes_of(data.indptr, steps, options.batch_size)
        self.numbers = np.searchsorted(data.indptr, self.lanes[:, 0], side="right") - 1
        self.grad = np.empty_like(state.theta)
        settings = {name: getattr(options, name) for name in _OF_OPTIMIZER}
        if state.optimizer is None or settings != state.settings:
            from ._optim import make_optimizer

            state.settings = settings
            state.optimizer = make_optimizer(
                size=len(state.theta), dtype=state.theta.dtype,
                decay_mask=objective.network.decayed, **settings,
            )  # fmt: skip
        if state.rate is None:
            state.rate = options.learning_rate_init
        # Where lanes that begin within a sequence start: where those before them ended last.
        self.ended = np.zeros((len(self.lanes), objective.network.n_states), state.theta.dtype)
        self.is_cut = bool(np.diff(self.numbers, prepend=-1).min() == 0)
        self.n_total = max(1, n_epochs * self._updates_in_an_epoch())
        self.skips_in_a_row = 0
        self.done = 0

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

    def run(self, validate, monitor):
        state, options = self.state, self.options
        best = _Best(options, state, score=validate is not None)
        for _ in range(self.n_epochs):
            if monitor is not None:
                monitor.begin()
            loss, norm = self._epoch()
            state.n_epochs += 1
            state.loss_curve.append(loss)
            state.grad_norms.append(norm)
            score = None
            if validate is not None:
                score = float(validate(state.theta))
                state.validation_scores.append(score)
            report(options.verbose, state, score)
            stop = monitor is not None and monitor(state)
            if best.settled(-loss if score is None else score, state) or stop:
                break
        if best.theta is not None:
            state.theta = best.theta
        elif self.skips_in_a_row and not np.isfinite(state.loss_curve[-1]):
            raise TrainingDivergedError(state.n_updates, self.skips_in_a_row)

    def _epoch(self):
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
        masks = objective.network.draw_masks(
            self.rng, len(lanes), options.dropout, options.recurrent_dropout
        )
        for chunk in objective.chunks(lanes, numbers, options.bptt_steps):
            n_lanes = chunk.packed.rows.shape[1]
            states = None if states is None else states[:n_lanes]
            weight = float(chunk.weights.sum())
            if weight == 0:
                states = objective.carry(state.theta, chunk, states)
                self.ended[batch[:n_lanes]] = states
                continue
            probability = forcing_probability(options.teacher_forcing, self.done, self.n_total)
            forced = objective.draw_forced(chunk, probability, self.rng)
            loss, states = objective.gradient(
                state.theta, self.grad, chunk, states, masks=masks, forced=forced
            )
            self.ended[batch[:n_lanes]] = states
            loss += objective.penalise(state.theta, self.grad)
            norm = self._step(loss)
            sums += loss * weight, weight
            largest = max(largest, norm)
        state.states = states
        mean = sums[0] / sums[1] if sums[1] else 0.0
        return float(mean), float(sums[1]), largest

    def _step(self, loss):
        """Clip the gradient and change the parameters; a gradient that is not finite is skipped."""
        from ._optim import clip_gradient

        state, options = self.state, self.options
        norm = clip_gradient(self.grad, options.max_norm, options.clip_value)
        rate = state.rate
        if options.learning_rate != "adaptive":
            rate = learning_rate_at(
                options.learning_rate, options.learning_rate_init, self.done, self.n_total
            )
        self.done += 1
        state.n_updates += 1
        if np.isfinite(norm) and np.isfinite(loss):
            self.skips_in_a_row = 0
            state.optimizer.step(state.theta, self.grad, rate)
            return norm
        state.n_skipped += 1
        self.skips_in_a_row += 1
        if self.skips_in_a_row >= min(_MOST_SKIPS, self.n_total):
            raise TrainingDivergedError(state.n_updates, self.skips_in_a_row)
        return 0.0


class _Best:
    """Judges progress as scikit-learn's networks do, and keeps the best parameters."""

    def __init__(self, options, state, *, score):
        self.options, self.score = options, score
        self.value, self.n_stale, self.theta = -np.inf, 0, None
        self.waits = score or options.learning_rate not in ("linear", "cosine")

    def settled(self, value, state):
        """Take in the score, or minus the loss, of an epoch; whether nothing more is to come."""
        better = value > self.value + self.options.tol
        if value > self.value:
            self.value = value
            if self.score:
                self.theta = state.theta.copy()
        self.n_stale = 0 if better else self.n_stale + 1
        if not self.waits or self.n_stale < self._patience():
            return False
        if self.options.learning_rate == "adaptive" and state.rate > _LEAST_RATE:
            state.rate /= 5
            self.n_stale = 0
            return False
        return True

    def _patience(self):
        if self.options.learning_rate == "adaptive":
            return min(_PATIENCE, self.options.n_iter_no_change)
        return self.options.n_iter_no_change


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


def report(verbose: bool, state: Trained, score: float | None) -> None:
    """Log an epoch."""
    if not verbose:
        return
    shown = "" if score is None else f", validation score {score:.6f}"
    line = f"Epoch {state.n_epochs}, loss = {state.loss_curve[-1]:.8f}{shown}"
    if _log.hasHandlers():
        _log.info(line)
    else:  # where no logging is set up, a user who asked for lines should see them
        sys.stderr.write(line + "\n")
