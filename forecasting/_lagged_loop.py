"""Step models that run on their own outputs: many paths side by side, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echocast.exceptions import ForecastDivergedError

from ._step_models import StepModel

__all__ = ["LagLoop"]


@dataclass(frozen=True)
class LagLoop:
    """Fitted models, with the steps that each predicts and the lags that their rows hold.

    Parameters
    ----------
    models : sequence of StepModel
    steps : sequence of pairs of int
        See `steps_of`.
    lags : tuple of int
    """

    models: Sequence[StepModel]
    steps: Sequence[tuple[int, int]]
    lags: tuple

    @property
    def horizon(self) -> int:
        """Steps predicted from rows of true values alone."""
        return max(shift for shift, _ in self.steps) + 1

    def rows(self, window, known, first, n_rows, shift):
        """Rows (M, n_rows, p) of the times from `first` on, given values (T, D, M).

        `known` (n_rows, K, 1 or M) belongs to the same times.
        """
        n_paths = window.shape[2]
        blocks = [window[first - shift - lag : first - shift - lag + n_rows] for lag in self.lags]
        known = np.broadcast_to(known, (n_rows, known.shape[1], n_paths))
        return np.concatenate([*blocks, known], axis=1).transpose(2, 0, 1)

    def run(self, history, known, states, n_steps, innovations, bounds):
        """Paths (n_steps, D, M) that follow `history`, block by block of the horizon.

        Parameters
        ----------
        history : ndarray of shape (n_past, D, M)
        known : ndarray of shape (n_steps, K, 1 or M)
        states : list
            For each model the states of all paths, or None.
        n_steps : int
        innovations : ndarray of shape (n_steps, D, M) or None
            Added to what is predicted.
        bounds : pair of ndarray of shape (D,)
            Between which paths are held.
        """
        window = np.concatenate([history, np.zeros((n_steps + self.horizon, *history.shape[1:]))])
        low, high = (bound[:, None] for bound in bounds)
        now, end = len(history), len(history) + n_steps
        while now < end:
            stop = min(now + self.horizon, end)
            known_here = known[now - len(history) : stop - len(history)]
            block, states = self._block(window, known_here, states, now, stop)
            if innovations is not None:
                block = block + innovations[now - len(history) : stop - len(history)]
            block = np.clip(block, low, high)
            if not np.isfinite(block).all():
                seen = np.abs(window[:now]).max(initial=0.0)
                raise ForecastDivergedError(now - len(history), seen)
            window[now:stop] = block
            if stop < end:
                states = self._catch_up(window, known_here, states, now, stop)
            now = stop
        return window[len(history) : end]

    def _block(self, window, known, states, now, stop):
        """Steps now to stop (h, D, M), and the states after the rows that gave them."""
        block = np.empty((stop - now, *window.shape[1:]))
        moved = list(states)
        for i, (model, (shift, width)) in enumerate(zip(self.models, self.steps)):
            if width == 1 and shift >= stop - now:
                continue
            here = known[: shift + 1] if width == 1 else np.empty((shift + 1, 0, 1))
            rows = self.rows(window, here, now, shift + 1, shift)
            outputs, moved[i] = model.run(rows, states[i])
            steps = outputs[:, -1].reshape(len(outputs), width, -1).transpose(1, 2, 0)
            begin = shift - width + 1
            block[begin : begin + width] = steps[: stop - now - begin]
        return block, moved

    def _catch_up(self, window, known, states, now, stop):
        """States after the rows of all times before `stop`, which follow those of a block."""
        moved = list(states)
        for i, (model, (shift, _)) in enumerate(zip(self.models, self.steps)):
            first = now + shift + 1
            if first < stop:
                rows = self.rows(window, known[shift + 1 :], first, stop - first, shift)
                moved[i] = model.run(rows, states[i])[1]
        return moved
