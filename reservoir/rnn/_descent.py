"""What the training loops share: the update that follows a gradient, and the end of an epoch."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from echocast.exceptions import TrainingDivergedError

from ._schedules import learning_rate_at

__all__ = ["Descent", "DescentOptions", "Trained", "refuse_diverged", "report", "resumed"]

_log = logging.getLogger("echocast")

_PATIENCE = 2  # epochs without progress after which learning_rate="adaptive" goes down
_LEAST_RATE = 1e-6
_MOST_SKIPS = 20  # steps in a row without a finite gradient
# Settings that belong to an optimiser, which is made anew when they change.
_OF_OPTIMIZER = ("solver", "momentum", "nesterovs_momentum", "weight_decay")


@dataclass(frozen=True)
class DescentOptions:
    """Settings of the updates, under the names of the estimators' parameters.

    `warmup` is in updates. With a score, or a `learning_rate` that has no end, training stops
    after `n_iter_no_change` epochs in which the score, or the loss, gained less than `tol`.
    """

    solver: str = "adam"
    learning_rate: str = "linear"
    learning_rate_init: float = 3e-3
    warmup: int = 0
    tol: float = 1e-4
    n_iter_no_change: int = 10
    max_norm: float | None = 1.0
    clip_value: float | None = None
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    weight_decay: float = 0.0
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


def resumed(start: Trained, *, scored: bool) -> Trained:
    """A copy that training may change; `scored` is whether epochs will have scores."""
    state = copy.copy(start)
    state.theta, state.optimizer = start.theta.copy(), copy.deepcopy(start.optimizer)
    state.loss_curve, state.grad_norms = list(start.loss_curve), list(start.grad_norms)
    if scored:
        state.validation_scores = list(start.validation_scores or [])
    return state


def refuse_diverged(state: Trained) -> None:
    """Notice what the very last update has broken; the one after it notices the others."""
    if not np.isfinite(state.theta).all():
        raise TrainingDivergedError(state.n_updates, 1)


def finite_outputs(outputs: np.ndarray, owner: str) -> np.ndarray:
    """Outputs as they are; an error where weights are so large that sums of them overflow.

    Training that ends with such weights may not have met a gradient that is not finite.
    """
    if not np.isfinite(outputs).all():
        finite = np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
        raise ValueError(
            f"The outputs of {owner} for X are not finite, first in row {int(finite.argmin())}: "
            "training has diverged, or X is too large. Scale X and y, lower "
            "`learning_rate_init`, or set `max_norm=1.0`, and fit again."
        )
    return outputs


class Descent:
    """Stochastic gradient descent of one call of a training loop.

    Parameters
    ----------
    state : Trained
        Changed with every update.
    options : DescentOptions
    decayed : bool ndarray of shape (n_parameters,)
        Which parameters `weight_decay` shrinks.
    n_total : int
        Updates at which schedules end.
    """

    def __init__(self, state: Trained, options: DescentOptions, decayed: np.ndarray, n_total: int):
        self.state, self.options, self.n_total = state, options, n_total
        self.done = self.skips_in_a_row = 0
        settings = {name: getattr(options, name) for name in _OF_OPTIMIZER}
        if state.optimizer is None or settings != state.settings:
            from ._optim import make_optimizer

            state.settings = settings
            state.optimizer = make_optimizer(
                size=len(state.theta), dtype=state.theta.dtype, decay_mask=decayed, **settings
            )
        if state.rate is None:
            state.rate = options.learning_rate_init

    def run(
        self,
        epochs: Iterable,
        one_epoch: Callable[[], tuple[float, float]],
        validate: Callable[[np.ndarray], float] | None,
        monitor: Any,
    ) -> None:
        """Run epochs until there are no more, or nothing more is to come.

        `one_epoch` makes its updates, and gives the mean loss and the largest norm of a gradient.
        """
        state, best = self.state, _Best(self.options, self.state, score=validate is not None)
        for _ in epochs:
            if monitor is not None:
                monitor.begin()
            loss, norm = one_epoch()
            state.n_epochs += 1
            state.loss_curve.append(loss)
            state.grad_norms.append(norm)
            score = None
            if validate is not None:
                score = float(validate(state.theta))
                state.validation_scores = [*(state.validation_scores or []), score]
            report(self.options.verbose, state, score)
            stop = monitor is not None and monitor(state)
            if best.settled(-loss if score is None else score, state) or stop:
                break
        if best.theta is not None:
            state.theta = best.theta
        elif self.skips_in_a_row and not np.isfinite(state.loss_curve[-1]):
            raise TrainingDivergedError(state.n_updates, self.skips_in_a_row)

    def update(self, grad: np.ndarray, loss: float) -> float:
        """Clip the gradient and change the parameters; the norm that the gradient had.

        A gradient or loss that is not finite is skipped, and the norm is then given as 0.
        """
        from ._optim import clip_gradient

        state, options = self.state, self.options
        norm = clip_gradient(grad, options.max_norm, options.clip_value)
        rate = state.rate
        if options.learning_rate != "adaptive":
            rate = learning_rate_at(
                options.learning_rate, options.learning_rate_init, self.done, self.n_total,
                warmup=options.warmup,
            )  # fmt: skip
        self.done += 1
        state.n_updates += 1
        if np.isfinite(norm) and np.isfinite(loss):
            self.skips_in_a_row = 0
            state.optimizer.step(state.theta, grad, rate)
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
