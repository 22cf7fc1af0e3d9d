"""The training loop of models whose loss is written on the tape: any batches, any loss.

`_train` drives networks over packed sequences; this one knows nothing about what a batch is. What
happens to a gradient is that of `_descent` in both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._descent import Descent, DescentOptions, Trained, refuse_diverged, resumed
from ._objective import one_blas_thread
from ._params import ParamLayout, is_weight
from ._tape import Tape

__all__ = ["FitOptions", "Shards", "Trained", "fit_loop"]


class Shards(list):
    """Parts of one batch, whose losses add up to the batch's. Threads share them out."""


@dataclass(frozen=True)
class FitOptions(DescentOptions):
    """Settings of the loop, under the names of the estimators' parameters."""

    alpha: float = 0.0
    n_jobs: int = 1


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
    start = start if isinstance(start, Trained) else Trained(theta=start)
    state = resumed(start, scored=validate is not None)
    n_total = _total(n_epochs, n_batches, n_updates)
    loop = _Loop(state, layout, loss_of, options, decayed, n_total)
    with one_blas_thread(), np.errstate(all="ignore"):  # what overflows is reported below
        try:
            loop.run(batches, rng, n_epochs, n_batches, weight_of, validate, monitor)
        finally:
            loop.close()
    refuse_diverged(state)
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
        self.state, self.layout, self.loss_of, self.options = state, layout, loss_of, options
        self.decayed = layout.mask(is_weight) if decayed is None else decayed
        self.descent = Descent(state, options, self.decayed, n_total)
        self.grads = [np.empty_like(state.theta)]
        self.pool: ThreadPoolExecutor | None = None

    def close(self):
        """Let the threads go; after an error they are not waited for."""
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def run(self, batches, rng, n_epochs, n_batches, weight_of, validate, monitor):
        descent = self.descent
        epochs = itertools.count() if n_epochs is None else range(n_epochs)
        descent.run(
            itertools.takewhile(lambda _: descent.done < descent.n_total, epochs),
            lambda: self._epoch(itertools.islice(batches(rng), n_batches), weight_of),
            validate,
            monitor,
        )

    def _epoch(self, batches, weight_of):
        """Updates from some batches; the mean loss and the largest norm, without skipped ones."""
        descent, sums, largest, first = self.descent, np.zeros(2), 0.0, self.descent.done
        for batch in batches:
            weight = 1.0 if weight_of is None else float(weight_of(batch))
            loss = self._gradient(batch)
            norm = descent.update(self.grads[0], loss)
            if not descent.skips_in_a_row:
                largest = max(largest, norm)
                sums += loss * weight, weight
            if descent.done >= descent.n_total:
                break
        if descent.done == first:
            raise ValueError("`batches` gave no batch.")
        return float(sums[0] / sums[1]) if sums[1] else float("nan"), largest

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
