"""The architecture of a recurrent network, and its passes over packed batches.

Weights are named views of one vector (`_params`), so a network itself is only a description. In
the formulas h is the state of a layer and y the output of the network:

- recurrence="hidden": the cell of layer l reads the states of layer l - 1 (Deep Learning, fig.
  10.13a); with `bidirectional` a second cell reads them backwards (fig. 10.11).
- transition="deep" or "deep_skip": within a layer an MLP leads from state to state (figs. 10.13b
  and c; see `_deep_transition`).
- recurrence="output": h(t) = f(b + W_in x(t) + R y(t - 1)) (fig. 10.4), which remembers only what
  the output tells; given the outputs, all steps are computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from . import _ops as ops
from ._deep_transition import deep_layer, deep_names, deep_step, initialise_deep
from ._init import initialise_cell, initialise_dense
from ._nodes import N_GATES
from ._packed import Packed
from ._params import ParamLayout, is_weight
from ._tape import Var, as_var, emit

__all__ = ["Masks", "Network", "Run"]


@dataclass(frozen=True)
class Run:
    """What a pass over a batch gives.

    Parameters
    ----------
    outputs : Var of shape (n_steps, n_pieces, n_outputs), or (n_pieces, n_outputs) for the last
    hidden : list of Var
        States (n_steps, n_pieces, n) of each layer.
    states : list of tuple of Var
        What each layer ended in, by which a later pass goes on.
    """

    outputs: Var
    hidden: list
    states: list


@dataclass(frozen=True)
class Masks:
    """Dropout masks, one for each piece: on what layers give, and on states within a layer."""

    outputs: list
    recurrent: list


@dataclass(frozen=True, eq=False)
class Network:
    """A stack of recurrent layers with a linear readout.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    activation : {"tanh", "relu"}
        Of the cell "rnn".
    units : tuple of int
        Width of each layer.
    n_inputs, n_outputs : int
        Columns of X, and what the readout gives (which may be parameters of a distribution).
    n_fed : int
        Columns of an output that is fed back: as y(t - 1), or as the first columns of x(t).
    dtype : dtype
    last : bool
        Whether the readout sees the last state of each sequence alone.
    recurrence : {"hidden", "output"}
    bidirectional : bool
    include_input : bool
        Whether the readout sees x(t) beside h(t).
    leak : float or ndarray of shape (n_units,)
        Share of the new state; for the cell "rnn".
    h0 : "zeros", "learned" or list of tuple of ndarray
        State before the first step: for each layer (h,), or (h, c) of an LSTM. Backward
        directions start from zeros.
    transition : {"stacked", "deep", "deep_skip"}
        "deep" and "deep_skip" for the cell "rnn" without a leak.
    depth : int
        Layers of the MLP of such a transition.
    """

    cell: str
    activation: str
    units: tuple
    n_inputs: int
    n_outputs: int
    n_fed: int
    dtype: Any
    last: bool = False
    recurrence: str = "hidden"
    bidirectional: bool = False
    include_input: bool = False
    leak: Any = 1.0
    h0: Any = field(default="zeros")
    transition: str = "stacked"
    depth: int = 1

    # ---------------------------------------------------------------- parameters

    @property
    def directions(self) -> tuple:
        """Infixes of parameter names: forwards, and backwards if there are two directions."""
        return ("", "reverse.") if self.bidirectional else ("",)

    @property
    def state_widths(self) -> list:
        """Number of arrays in the state of a layer, for each layer, and their widths."""
        parts = 2 if self.cell == "lstm" else 1
        return [(n,) * parts for n in self.units] if self.recurrence == "hidden" else []

    @property
    def n_states(self) -> int:
        """Length of a flat state."""
        return sum(sum(widths) for widths in self.state_widths)

    @property
    def is_deep(self) -> bool:
        """Whether the transition of a layer is an MLP."""
        return self.transition != "stacked"

    def step_work(self, n_steps: int) -> int:
        """Multiply-adds of a step of one sequence of `n_steps`, roughly."""
        depth = self.depth if self.is_deep else 1
        return N_GATES[self.cell] * depth * len(self.directions) * sum(n * n for n in self.units)

    @property
    def n_hidden(self) -> int:
        """Columns of the states that the readout sees."""
        return self.units[-1] * len(self.directions)

    @cached_property
    def layout(self) -> ParamLayout:
        """Names and shapes of all parameters."""
        shapes: dict[str, tuple] = {}
        width, gates = self.n_inputs, N_GATES[self.cell]
        for i, n in enumerate(self.units):
            for infix in self.directions:
                name = f"layers.{i}.{infix}"
                shapes[name + "W_in"] = (gates * n, width)
                if self.recurrence == "hidden":
                    shapes[name + "W"] = (gates * n, n)
                else:
                    shapes[name + "R"] = (n, self.n_fed)
                shapes[name + "b"] = (gates * n,)
                if self.cell == "gru":
                    shapes[name + "b_n"] = (n,)
                for k in range(1, self.depth if self.is_deep else 1):
                    shapes[f"{name}deep.{k}.W"] = (n, n)
                    shapes[f"{name}deep.{k}.b"] = (n,)
            width = n * len(self.directions)
        if isinstance(self.h0, str) and self.h0 == "learned":
            for i, widths in enumerate(self.state_widths):
                shapes.update({f"layers.{i}.{k}0": (n,) for k, n in zip("hc", widths)})
        seen = width + (self.n_inputs if self.include_input else 0)
        shapes["out.W"] = (self.n_outputs, seen)
        shapes["out.b"] = (self.n_outputs,)
        return ParamLayout(shapes)

    @cached_property
    def decayed(self) -> np.ndarray:
        """Which parameters a penalty shrinks: weights, but no biases and initial states."""
        return self.layout.mask(is_weight)

    def initialise(self, kind: str, rng: np.random.RandomState) -> np.ndarray:
        """New parameters: layer by layer, forwards before backwards, then the readout."""
        theta = np.zeros(self.layout.size, dtype=self.dtype)
        views = self.layout.views(theta)
        width = self.n_inputs
        for i, n in enumerate(self.units):
            for infix in self.directions:
                drawn = initialise_cell(
                    rng, self.cell, width, n,
                    kind=kind, dtype=self.dtype, activation=self.activation,
                )  # fmt: skip
                if self.is_deep:
                    skip = self.transition == "deep_skip"
                    drawn = initialise_deep(rng, drawn, self.depth, kind=kind, skip=skip)
                if self.recurrence == "output":
                    drawn["R"] = initialise_dense(rng, n, self.n_fed, self.dtype)["W"]
                for name, values in drawn.items():
                    if f"layers.{i}.{infix}{name}" in views:
                        views[f"layers.{i}.{infix}{name}"][:] = values
            width = n * len(self.directions)
        n_seen = views["out.W"].shape[1]
        views["out.W"][:] = initialise_dense(rng, self.n_outputs, n_seen, self.dtype)["W"]
        return theta

    # -------------------------------------------------------------------- states

    def first_states(self, leaves: dict, n_pieces: int) -> list:
        """The states before the first step, of `n_pieces` sequences."""
        states = []
        for i, widths in enumerate(self.state_widths):
            parts = []
            for k, (letter, n) in enumerate(zip("hc", widths)):
                zeros = np.zeros((n_pieces, n), dtype=self.dtype)
                if isinstance(self.h0, str):
                    learned = leaves.get(f"layers.{i}.{letter}0")
                    parts.append(as_var(zeros) if learned is None else ops.add(zeros, learned))
                else:
                    parts.append(as_var(zeros + self.h0[i][k]))
            states.append(tuple(parts))
        return states

    def flat(self, states: list) -> np.ndarray:
        """States (n_pieces, n_states) as one array."""
        return np.concatenate([part.data for parts in states for part in parts], axis=1)

    def unflat(self, states: np.ndarray) -> list:
        """The inverse of `flat`: constants."""
        out, first = [], 0
        for widths in self.state_widths:
            parts = []
            for n in widths:
                parts.append(as_var(np.ascontiguousarray(states[:, first : first + n])))
                first += n
            out.append(tuple(parts))
        return out

    # -------------------------------------------------------------------- passes

    def run(
        self,
        leaves: dict,
        x: np.ndarray,
        packed: Packed,
        states: list | None = None,
        *,
        masks: Masks | None = None,
        works: Sequence | None = None,
    ) -> Run:
        """A pass in which every step sees the inputs `x` (n_steps, n_pieces, n_inputs)."""
        if states is None:
            states = self.first_states(leaves, x.shape[1])
        level, hidden, ended = as_var(x), [], []
        last = level
        for i in range(len(self.units)):
            read, lasts = [], []
            for k, infix in enumerate(self.directions):
                inputs = level if k == 0 else _turned(level, packed.backwards)
                mask = None if masks is None else masks.recurrent[i][k]
                work = None if works is None else works[2 * i + k]
                weights = self._weights(leaves, i, infix)
                start = states[i]
                if k:  # backwards from zeros
                    start = [as_var(np.zeros_like(part.data)) for part in start]
                h, state = self._layer(i, inputs, weights, start, packed.sizes, mask, work)
                read.append(h if k == 0 else _turned(h, packed.backwards))
                lasts.append(state[0])
                if k == 0:
                    ended.append(state)
            level = read[0] if len(read) == 1 else ops.concat(read, axis=-1)
            last = lasts[0] if len(lasts) == 1 else ops.concat(lasts, axis=-1)
            hidden.append(level)
            if masks is not None and masks.outputs[i] is not None:
                level, last = ops.mul(level, masks.outputs[i]), ops.mul(last, masks.outputs[i])
        if self.last:
            ends = x[packed.lengths - 1, np.arange(x.shape[1])] if self.include_input else None
            return Run(self.read(leaves, last, ends), hidden, ended)
        return Run(self.read(leaves, level, x), hidden, ended)

    def run_fed(
        self,
        leaves: dict,
        x: np.ndarray,
        states: list | None,
        teacher: np.ndarray,
        forced: np.ndarray,
        decode: Callable[[Var], Any],
        before: np.ndarray | None = None,
        masks: Masks | None = None,
    ) -> Run:
        """A pass step by step, in which the network may see its own outputs.

        Parameters
        ----------
        teacher : ndarray of shape (n_steps, n_pieces, n_fed)
            The true outputs y(t - 1) before each step.
        forced : ndarray of bool, shape (n_steps, n_pieces)
            Where the network is given `teacher`; elsewhere what `decode` makes of its own output
            one step earlier.
        before : ndarray of shape (n_pieces, n_fed), optional
            Its own output before the first step; `teacher` by default.

        With recurrence="hidden" the fed values replace the first columns of `x`.
        """
        if states is None:
            states = self.first_states(leaves, x.shape[1])
        own: Any = teacher[0] if before is None else before
        outputs, hidden = [], []
        shared: list[dict] = [{} for _ in self.units]
        for t in range(len(x)):
            fed = as_var(teacher[t])
            if not forced[t].all():
                fed = ops.where(forced[t][:, None], teacher[t], own)
            seen = as_var(x[t]) if self.recurrence == "output" else self.fed_input(x[t], fed)
            h, states = self.step(leaves, seen, fed, states, masks, shared)
            outputs.append(self.read(leaves, h, seen))
            hidden.append(h)
            own = decode(outputs[-1])
        return Run(ops.stack(outputs, axis=0), [ops.stack(hidden, axis=0)], states)

    def fed_input(self, x: np.ndarray, fed: Var) -> Var:
        """Inputs (n_pieces, n_inputs) of a step with `fed` in the place of the first columns."""
        if self.n_fed == self.n_inputs:
            return fed
        others = np.ascontiguousarray(x[:, self.n_fed :])
        return ops.concat([fed, as_var(others)], axis=-1)

    def step(self, leaves, x, fed, states, masks=None, shared=None) -> tuple[Var, list]:
        """One step of all layers: the states that the readout sees, and the states after it.

        `x` is what the layers see, and `fed` the output before, of recurrence="output".
        """
        if self.recurrence == "output":
            return self._output_layer(leaves, x, fed), states
        level, after = x, []
        for i in range(len(self.units)):
            mask = None if masks is None else masks.recurrent[i][0]
            own = None if shared is None else shared[i]
            state = self._one_step(i, level, self._weights(leaves, i, ""), states[i], mask, own)
            after.append(state)
            level = state[0]
            if masks is not None and masks.outputs[i] is not None:
                level = ops.mul(level, masks.outputs[i])
        return level, after

    def steppers(self, theta: np.ndarray, n_sequences: int) -> list:
        """For each layer a function of x and the parts of a state, to the state a step later."""
        from ._nodes import Stepper

        views = self.layout.views(theta)
        if self.is_deep:
            leaves = self.layout.leaves(theta, None)
            return [partial(self._deep_again, leaves, i) for i in range(len(self.units))]
        return [
            Stepper(
                self.cell, self._weights(views, i, ""), n_sequences,
                leak=self._leak(i), activation=self.activation,
            )
            for i in range(len(self.units))
        ]  # fmt: skip

    def _deep_again(self, leaves, i, x, *state):
        weights = self._weights(leaves, i, "")
        after = self._one_step(i, as_var(x), weights, [as_var(part) for part in state], None)
        return tuple(part.data for part in after)

    def run_output(self, leaves: dict, x: np.ndarray, teacher: np.ndarray) -> Run:
        """All steps at once of recurrence="output", given the outputs before them."""
        h = self._output_layer(leaves, as_var(x), as_var(teacher))
        return Run(self.read(leaves, h, x), [h], [])

    def _output_layer(self, leaves, x, fed):
        drive = ops.affine(x, leaves["layers.0.W_in"], leaves["layers.0.b"])
        total = ops.add(drive, ops.affine(fed, leaves["layers.0.R"], None))
        return ops.relu(total) if self.activation == "relu" else ops.tanh(total)

    def read(self, leaves: dict, h: Var, x: Any) -> Var:
        """The readout of states, and of inputs where it sees them."""
        if self.include_input:
            h = ops.concat([h, as_var(x)], axis=-1)
        return ops.affine(h, leaves["out.W"], leaves["out.b"])

    def _layer(self, i, x, weights, state, sizes, mask, work):
        """Layer i in one direction, over all steps."""
        from ._nodes import recurrent_layer

        settings = {"activation": self.activation, "mask": mask, "work": work}
        if self.is_deep:
            skip = self.transition == "deep_skip"
            return deep_layer(x, weights, state, sizes, skip=skip, **settings)
        return recurrent_layer(self.cell, x, weights, state, sizes, leak=self._leak(i), **settings)

    def _one_step(self, i, x, weights, state, mask, shared=None):
        """One step of layer i; steps that share a dict pack their weights once."""
        from ._nodes import cell_step

        settings = {"activation": self.activation, "mask": mask}
        if self.is_deep:
            return deep_step(x, weights, state, skip=self.transition == "deep_skip", **settings)
        leak = self._leak(i)
        return cell_step(self.cell, x, weights, state, leak=leak, shared=shared, **settings)

    def _weights(self, leaves, i, infix):
        names = ["W_in", "W", "b", "b_n"] if self.cell == "gru" else ["W_in", "W", "b"]
        if self.is_deep:
            names = deep_names(self.depth)
        return {name: leaves[f"layers.{i}.{infix}{name}"] for name in names}

    def _leak(self, i):
        if self.cell != "rnn":
            return None
        return np.broadcast_to(np.asarray(self.leak, self.dtype), (self.units[i],)).copy()

    def draw_masks(
        self, rng: np.random.RandomState, n_pieces: int, dropout: float, recurrent: float
    ) -> Masks | None:
        """Dropout masks for a batch: kept entries are scaled up so that means stay."""
        if dropout == 0 and recurrent == 0:
            return None

        def draw(rate, width):
            if rate == 0:
                return None
            kept = rng.random_sample((n_pieces, width)) >= rate
            return (kept / (1 - rate)).astype(self.dtype)

        widths = [n * len(self.directions) for n in self.units]
        return Masks(
            [draw(dropout, width) for width in widths],
            [tuple(draw(recurrent, n) for _ in self.directions) for n in self.units],
        )


def _turned(x: Var, steps: np.ndarray) -> Var:
    """Each sequence backwards, its padding in place; turning twice gives `x` back."""
    columns = np.arange(steps.shape[1])
    return emit(x.data[steps, columns], (x,), lambda grad: (grad[steps, columns],))
