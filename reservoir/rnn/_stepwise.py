"""A recurrent layer that is run step by step, as a decoder is that reads what it has written.

`cell_step` packs the weights for each step and sums their gradients up in each; here both are
done once for all steps, and a step costs little more than its arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ._nodes import Workspace, _handed_on, _parents, _Run
from ._tape import Var, current_tape

__all__ = ["StepLayer"]


class StepLayer:
    """A recurrent layer that is given its inputs one step at a time.

    Parameters
    ----------
    cell, weights, leak, activation
        As in `recurrent_layer`.
    n_steps : int
        Steps that may be taken under a tape; without one there may be any number of them.
    work : Workspace, optional
        Memory that belongs to this layer and this thread alone, until the gradient is taken.
    """

    def __init__(
        self,
        cell: str,
        weights: Mapping[str, Var],
        n_steps: int,
        *,
        leak: np.ndarray | None = None,
        activation: str = "tanh",
        work: Workspace | None = None,
    ):
        self.cell, self.weights, self.leak, self.activation = cell, weights, leak, activation
        learns = any(weight.needs_grad for weight in weights.values())
        self.tape = current_tape() if learns else None
        self.n_steps = n_steps if self.tape is not None else 1
        self.work = work or Workspace()
        self._run: Any = None
        self._n_done = 0

    def step(self, parts: Sequence[Var], state: Sequence[Var]) -> tuple[Var, ...]:
        """The state after one more step, whose input is made of `parts` (n_sequences, ...)."""
        B = len(state[0].data)
        widths = [part.data.shape[1] for part in parts]
        run = self._run
        if run is None or run.X.shape[1] != B:
            run = self._begin(B, sum(widths), state)
        t = self._n_done if self.tape is not None else 0
        self._n_done += 1
        bounds = np.cumsum([0, *widths]).tolist()
        for part, (start, stop) in zip(parts, pairwise(bounds)):
            run.X[t, :, start:stop] = part.data
        run.H[t] = state[0].data
        if self.cell == "lstm":
            run.C[t % len(run.C)] = state[1].data
        run.advance(t)
        after = tuple(map(Var, run.state_at(t + 1)))
        if self.tape is not None:
            self.tape.record(after, (*state, self._token, *parts), self._vjp(t, bounds, state))
        return after

    def _vjp(self, t, bounds, state):
        def vjp(*d_after):
            d_state, dx = self._run.retreat(t, d_after)
            slices = [dx[:, start:stop] for start, stop in pairwise(bounds)]
            return (*d_state, self._token.data, *slices)

        return vjp

    def _begin(self, n_sequences, n_inputs, state):
        dtype = state[0].data.dtype
        X = self.work.take("X", (self.n_steps, n_sequences, n_inputs), dtype)
        # Inputs to come: they take part in the gradient, whether any of them needs one or not.
        inputs = Var(X, needs_grad=self.tape is not None)
        parents = _parents(self.cell, inputs, self.weights, state)
        self._run = run = _Steps(
            self.cell, parents, X, None, self.leak, self.activation, None, self.work
        )
        self._token = Var(np.zeros((), dtype))
        if self.tape is not None:
            weights = parents[1 : 5 if self.cell == "gru" else 4]
            self.tape.record((self._token,), weights, lambda _: run.hand_on())
        return run


class _Steps(_Run):
    """A pass whose steps are taken by its owner, forwards and backwards."""

    def _forward(self, panels):
        self.panels, self.sums = panels, None  # nothing is run yet

    def state_at(self, t):
        """Copies of the state before step t."""
        if self.cell != "lstm":
            return (self.H[t].copy(),)
        return self.H[t].copy(), self.C[t % len(self.C)].copy()

    def advance(self, t):
        """Take step t."""
        panels = self.panels
        common = (self.mask, self.sizes, self.A, self.G, self.H)
        if self.cell == "rnn":
            from ._kernels_rnn import rnn_forward

            rnn_forward(t, t + 1, self.X, *panels, self.leak, self.relu, *common)
        elif self.cell == "lstm":
            from ._kernels_lstm import lstm_forward

            lstm_forward(t, t + 1, self.X, *panels, *common, self.C)
        else:
            from ._kernels_gru import gru_forward

            gru_forward(t, t + 1, self.X, *panels, *common)

    def _begin_back(self):
        from ._kernels_steps import ROWS

        work, dtype, n, layout = self.work, self.dtype, self.n, self.layout
        B, n_inputs = self.X.shape[1:]
        dA = work.take("dA", (n + 1 + n_inputs, layout.stride), dtype)
        dA[:] = 0
        scratch = work.take("scratch", (max(ROWS, B), layout.padded_inputs), dtype)
        self.sums = (dA, work.take("dX", self.X.shape, dtype), scratch)
        self.back = layout.packed_back(work, self.weights, with_inputs=True)
        self.dh = work.take("dh", (B, layout.padded), dtype)
        self.dc, self.keep = (np.zeros((B, n), dtype) for _ in range(2))

    def retreat(self, t, d_after):
        """Gradients of the state before step t, and of its inputs; those of weights add up."""
        if self.sums is None:
            self._begin_back()
        n, dh, dc, layout = self.n, self.dh, self.dc, self.layout
        dh[:] = 0
        if d_after[0] is not None:
            dh[:, :n] = d_after[0]
        if self.cell == "lstm":
            dc[:] = 0 if d_after[1] is None else d_after[1]
        nothing = self.H[:0]  # gradients of states come with the steps
        if self.cell == "rnn":
            from ._kernels_rnn import rnn_backward

            rnn_backward(
                t, t + 1, *self.back, self.leak, self.relu, self.mask, self.sizes, self.A, self.G,
                nothing, dh, self.keep, *self.sums,
            )  # fmt: skip
        elif self.cell == "lstm":
            from ._kernels_lstm import lstm_backward

            lstm_backward(
                t, t + 1, *self.back, self.mask, self.sizes, self.A, self.G, self.C,
                nothing, dh, dc, *self.sums,
            )  # fmt: skip
        else:
            from ._kernels_gru import gru_backward

            gru_backward(
                t, t + 1, *self.back, layout.at_rz, layout.at_n, self.mask, self.sizes, self.A,
                self.G, self.H, nothing, dh, self.keep, *self.sums,
            )  # fmt: skip
        d_state = (dh[:, :n].copy(),) if self.cell != "lstm" else (dh[:, :n].copy(), dc.copy())
        return d_state, self.sums[1][t]

    def hand_on(self):
        """Gradients of the weights, from all steps."""
        weights, gradients = self.parents[1:], self.layout.gradients(self.sums[0])
        return [_handed_on(var, rows) for var, rows in zip(weights, gradients)]
