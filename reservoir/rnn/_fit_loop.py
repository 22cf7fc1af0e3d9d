"""The training loop of models whose loss is written on the tape: any batches, any loss.

`_train` drives networks over packed sequences; this one knows nothing about what a batch is. What
happens to a gradient (clipping, skipping, the schedule, progress) is the same in both.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from echocast.exceptions import TrainingDivergedError

from ._objective import one_blas_thread
from ._params import ParamLayout, is_weight
from ._schedules import learning_rate_at
from ._tape import Tape
from ._train import _MOST_SKIPS, Trained, _Best, report

__all__ = ["FitOptions", "Shards", "Trained", "fit_loop"]


class Shards(list):
    """Parts of one batch, whose losses add up to the batch's. Threads share them out."""


@dataclass(frozen=True)
class FitOptions:
    """Settings of the loop, under the names of the estimators' parameters.

    `warmup` is in updates. With `validate`, or a `learning_rate` that has no end, training stops
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
    alpha: float = 0.0
    weight_decay: float = 0.0
    n_jobs: int = 1
    verbose: bool = False


def fit_loop(
    start: np.ndarray | Trained,
    layout: ParamLayout,
    batches: Callable[[np.random.RandomState], Iterable],
    loss_of: Callable[[dict, Any], Any],
    options: FitOptions,
    rng: np.random.RandomState,
    *,
    n_epochs: int | None = None,
    n_batches: int | None = None,
    n_updates: int | None = None,
    weight_of: Callable[[Any], float] | None = None,
    decayed: np.ndarray | None = None,
    validate: Callable[[np.ndarray], float] | None = None,
    monitor: Any = None,
) -> Trained:
    """Minimise a loss by stochastic gradient descent.

    Parameters
    ----------
    start : ndarray of shape (layout.size,), or Trained
        Parameters, or where an earlier call stopped, optimiser included. Not changed.
    layout : ParamLayout
    batches : callable(rng) -> iterable
        The batches of an epoch, drawn one at a time: a generator sees what `loss_of` left in the
        batch before (states to carry on), and may be endless. All random draws belong here.
    loss_of : callable(leaves, batch) -> scalar Var
        Composed on the current tape; `leaves` maps names to Vars. For a batch that is a `Shards`
        it is called for each of its parts, possibly on several threads, and the losses are added.
    options : FitOptions
    rng : RandomState
    n_epochs, n_batches, n_updates : int, optional
        Either epochs of at most `n_batches` updates each, or `n_updates` in all. Schedules end at
        the product, or at `n_updates`. An epoch ends where `batches` does.
    weight_of : callable(batch) -> float, optional
        Weight of a batch in the mean loss of its epoch; 1 by default.
    decayed : bool ndarray of shape (layout.size,), optional
        Which parameters `alpha` and `weight_decay` shrink; by default those that are no biases.
    validate : callable(theta) -> float, optional
        A score after each epoch, the higher the better; the best parameters are kept.
    monitor : EpochMonitor, optional
        ``monitor.begin()`` before an epoch, ``monitor(trained)`` after it; true stops.

    Returns
    -------
    trained : Trained
        `theta`, `loss_curve` and `grad_norms` (mean loss and largest norm of each epoch, over
        the updates that were not skipped), `n_epochs`, `n_updates`, `n_skipped`,
        `validation_scores`.

    Raises
    ------
    TrainingDivergedError
        If the loss or the gradient stays infinite or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._fit_loop import FitOptions, fit_loop
    >>> from echocast.reservoir.rnn import _ops as ops
    >>> from echocast.reservoir.rnn._params import ParamLayout
    >>> trained = fit_loop(
    ...     np.zeros(1),
    ...     ParamLayout({"x": (1,)}),
    ...     lambda rng: [2.0],
    ...     lambda leaves, target: ops.sum(ops.square(ops.sub(leaves["x"], np.array(target)))),
    ...     FitOptions(learning_rate_init=0.1),
    ...     np.random.RandomState(0),
    ...     n_updates=200,
    ... )
    >>> trained.theta.round(2), trained.n_updates
    (array([2.]), 200)
    """
    state = _resumed(start)
    if validate is not None:
        state.validation_scores = list(state.validation_scores or [])
    loop = _Loop(state, layout, loss_of, options, decayed, _total(n_epochs, n_batches, n_updates))
    with one_blas_thread(), np.errstate(all="ignore"):  # what overflows is reported below
        try:
            loop.run(batches, rng, n_epochs, n_batches, weight_of, validate, monitor)
        finally:
            loop.close()
    if not np.isfinite(state.theta).all():  # by the very last update, else it is noticed there
        raise TrainingDivergedError(state.n_updates, 1)
    return state


def _resumed(start):
    if not isinstance(start, Trained):
        return Trained(theta=np.array(start))
    state = copy.copy(start)
    state.theta, state.optimizer = start.theta.copy(), copy.deepcopy(start.optimizer)
    state.loss_curve, state.grad_norms = list(start.loss_curve), list(start.grad_norms)
    return state


def _total(n_epochs, n_batches, n_updates):
    if n_updates is not None:
        return n_updates
    if n_epochs is None or n_batches is None:
        raise ValueError("Give `n_updates`, or `n_epochs` and `n_batches`.")
    return n_epochs * n_batches


class _Loop:
    """One call of `fit_loop`."""

    def __init__(self, state, layout, loss_of, options, decayed, n_total):
        from ._optim import make_optimizer

        self.state, self.layout, self.loss_of, self.options = state, layout, loss_of, options
        self.decayed = layout.mask(is_weight) if decayed is None else decayed
        self.n_total, self.done, self.skips_in_a_row = n_total, 0, 0
        self.grads = [np.empty_like(state.theta)]
        self.pool: ThreadPoolExecutor | None = None
        if state.optimizer is None:
            state.optimizer = make_optimizer(
                options.solver, layout.size, state.theta.dtype,
                momentum=options.momentum, nesterovs_momentum=options.nesterovs_momentum,
                weight_decay=options.weight_decay, decay_mask=self.decayed,
            )  # fmt: skip
        if state.rate is None:
            state.rate = options.learning_rate_init

    def close(self):
        """Let the threads go; after an error they are not waited for."""
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def run(self, batches, rng, n_epochs, n_batches, weight_of, validate, monitor):
        state, options = self.state, self.options
        best = _Best(options, state, score=validate is not None)
        epochs = itertools.count() if n_epochs is None else range(n_epochs)
        for _ in epochs:
            if self.done >= self.n_total:
                break
            if monitor is not None:
                monitor.begin()
            self._epoch(itertools.islice(batches(rng), n_batches), weight_of)
            score = None
            if validate is not None:
                score = float(validate(state.theta))
                state.validation_scores.append(score)
            report(options.verbose, state, score)
            stop = monitor is not None and monitor(state)
            value = -state.loss_curve[-1] if score is None else score
            if best.settled(value, state) or stop:
                break
        if best.theta is not None:
            state.theta = best.theta
        elif self.skips_in_a_row and not np.isfinite(state.loss_curve[-1]):
            raise TrainingDivergedError(state.n_updates, self.skips_in_a_row)

    def _epoch(self, batches, weight_of):
        state, sums, largest, first = self.state, np.zeros(2), 0.0, self.done
        for batch in batches:
            weight = 1.0 if weight_of is None else float(weight_of(batch))
            loss = self._gradient(batch)
            norm = self._step(loss)
            if not self.skips_in_a_row:
                largest = max(largest, norm)
                sums += loss * weight, weight
            if self.done >= self.n_total:
                break
        if self.done == first:
            raise ValueError("`batches` gave no batch.")
        state.n_epochs += 1
        state.loss_curve.append(float(sums[0] / sums[1]) if sums[1] else float("nan"))
        state.grad_norms.append(largest)

    def _gradient(self, batch):
        """The loss of a batch, its gradient in the first of the buffers."""
        theta, options = self.state.theta, self.options
        parts = batch if isinstance(batch, Shards) else [batch]
        while len(self.grads) < len(parts):
            self.grads.append(np.empty_like(theta))

        def work(k):
            self.grads[k][:] = 0
            with np.errstate(all="ignore"), Tape() as tape:  # of this thread
                loss = self.loss_of(self.layout.leaves(theta, self.grads[k]), parts[k])
                tape.backward(loss)
            return float(loss.data)

        if len(parts) > 1 and options.n_jobs > 1:
            if self.pool is None:
                self.pool = ThreadPoolExecutor(options.n_jobs)
            losses = list(self.pool.map(work, range(len(parts))))
        else:
            losses = [work(k) for k in range(len(parts))]
        grad = self.grads[0]
        for other in self.grads[1 : len(parts)]:
            grad += other
        loss = sum(losses)
        if options.alpha:
            shrunk = np.where(self.decayed, theta, 0)
            grad += options.alpha * shrunk
            loss += 0.5 * options.alpha * float(np.sum(np.square(shrunk, dtype=np.float64)))
        return loss

    def _step(self, loss):
        """Clip the gradient and change the parameters; a gradient that is not finite is skipped."""
        from ._optim import clip_gradient

        state, options, grad = self.state, self.options, self.grads[0]
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
