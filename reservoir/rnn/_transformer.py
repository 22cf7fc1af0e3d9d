"""The architecture of a self-attention network, with what training asks of a `Network`.

It is run over whole sequences and has no state: `states` stands for arrays without columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import _ops as ops
from ._init import initialise_dense
from ._network import Masks, Run
from ._packed import Packed
from ._params import ParamLayout, is_weight
from ._self_attention import block, sinusoids
from ._tape import Var, as_var

__all__ = ["AttentionNetwork"]


@dataclass(frozen=True, eq=False)
class AttentionNetwork:
    """Blocks of self-attention between an input layer and a linear readout.

    Parameters
    ----------
    n_blocks, n_units, n_heads, n_hidden : int
        Blocks; width between them; heads, which divide it; width within the MLPs.
    n_inputs, n_outputs : int
    dtype : dtype
    read : {"sequence", "last", "mean"}
        What the readout sees: each step, the last one, or the mean over the steps.
    causal : bool
    positions : {"sinusoidal", "learned"} or None
    n_positions : int
        Rows of the table of learned positions.
    n_symbols : int
        Rows of the table that stands for inputs which are numbers of symbols; 0: inputs are real.
    """

    n_blocks: int
    n_units: int
    n_heads: int
    n_hidden: int
    n_inputs: int
    n_outputs: int
    dtype: Any
    read: str = "sequence"
    causal: bool = False
    positions: str | None = "sinusoidal"
    n_positions: int = 0
    n_symbols: int = 0

    # What passes over sequences ask of a network.
    recurrence = "hidden"
    bidirectional = True  # whole sequences are read at once
    directions = ("",)
    n_states = 0

    @property
    def last(self) -> bool:
        """Whether there is one output for each sequence."""
        return self.read != "sequence"

    @property
    def units(self) -> tuple:
        """Widths of what each block gives."""
        return (self.n_units,) * self.n_blocks

    @cached_property
    def layout(self) -> ParamLayout:
        """Names and shapes of all parameters."""
        n, m = self.n_units, self.n_hidden
        shapes: dict[str, tuple] = {}
        if self.n_symbols:
            shapes["embedding.E"] = (self.n_symbols, n)
        else:
            shapes.update({"in.W": (n, self.n_inputs), "in.b": (n,)})
        if self.positions == "learned":
            shapes["positions.E"] = (self.n_positions, n)
        for i in range(self.n_blocks):
            own = {
                "norm_1.gain": (n,),
                "norm_1.b": (n,),
                "attention.W": (3 * n, n),
                "attention.b": (3 * n,),
                "mix.W": (n, n),
                "mix.b": (n,),
                "norm_2.gain": (n,),
                "norm_2.b": (n,),
                "mlp_1.W": (m, n),
                "mlp_1.b": (m,),
                "mlp_2.W": (n, m),
                "mlp_2.b": (n,),
            }
            shapes.update({f"blocks.{i}.{name}": shape for name, shape in own.items()})
        shapes.update({"norm.gain": (n,), "norm.b": (n,)})
        shapes.update({"out.W": (self.n_outputs, n), "out.b": (self.n_outputs,)})
        return ParamLayout(shapes)

    @cached_property
    def decayed(self) -> np.ndarray:
        """Which parameters a penalty shrinks: weights, but no biases, gains and tables."""
        return self.layout.mask(lambda name: is_weight(name) and name[-2:] == ".W")

    def initialise(self, kind: str, rng: np.random.RandomState) -> np.ndarray:
        """New parameters, drawn in the order of `layout`: Glorot weights, normal tables.

        Queries, keys and values are three matrices; gains are one, biases zero.
        """
        theta = np.zeros(self.layout.size, dtype=self.dtype)
        for name, values in self.layout.views(theta).items():
            if name.endswith(".gain"):
                values[:] = 1
            elif name.endswith(".E"):
                values[:] = rng.standard_normal(values.shape)
            elif name.endswith(".W"):
                parts = 3 if name.endswith("attention.W") else 1
                for part in np.split(values, parts):
                    n_out, n_in = part.shape
                    part[:] = initialise_dense(rng, n_out, n_in, self.dtype)["W"]
        return theta

    def step_work(self, n_steps: int) -> int:
        """Multiply-adds of a step of one sequence of `n_steps`, roughly."""
        n = self.n_units
        return self.n_blocks * n * (4 * n + 2 * self.n_hidden + 2 * n_steps)

    # -------------------------------------------------------------------- states

    @property
    def state_widths(self) -> list:
        """There is no state."""
        return []

    def first_states(self, leaves: dict, n_pieces: int) -> list:
        """Arrays without columns."""
        return [(as_var(np.empty((n_pieces, 0), dtype=self.dtype)),)]

    def flat(self, states: list) -> np.ndarray:
        """An array without columns."""
        return states[0][0].data

    def unflat(self, states: np.ndarray) -> list:
        """The inverse of `flat`."""
        return [(as_var(states),)]

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
        keep: list | None = None,
    ) -> Run:
        """A pass over `x` (n_steps, n_pieces, n_inputs); weights of attention go into `keep`."""
        level, hidden = self._enter(leaves, x), []
        for i in range(self.n_blocks):
            head = f"blocks.{i}."
            own = {k[len(head) :]: v for k, v in leaves.items() if k.startswith(head)}
            level = block(
                level, own, self.n_heads, packed.lengths, causal=self.causal,
                masks=None if masks is None else masks.recurrent[i], keep=keep,
            )  # fmt: skip
            hidden.append(level)
        level = ops.layer_norm(self._seen(level, packed), leaves["norm.gain"], leaves["norm.b"])
        outputs = ops.affine(level, leaves["out.W"], leaves["out.b"])
        return Run(outputs, hidden, self.first_states(leaves, x.shape[1]))

    def _enter(self, leaves, x) -> Var:
        """What the first block reads."""
        if self.n_symbols:
            level = ops.take(leaves["embedding.E"], x[..., 0].astype(np.int64))
        else:
            level = ops.affine(as_var(x), leaves["in.W"], leaves["in.b"])
        if self.positions is None:
            return level
        if self.positions == "learned":
            return ops.add(level, ops.getitem(leaves["positions.E"], (slice(len(x)), None)))
        return ops.add(level, sinusoids(len(x), self.n_units, self.dtype)[:, None])

    def _seen(self, level, packed) -> Var:
        """What the readout sees of what the last block gives."""
        if self.read == "last":
            return ops.getitem(level, (packed.lengths - 1, np.arange(len(packed.lengths))))
        if self.read == "mean":
            shares = (packed.valid / packed.lengths).astype(self.dtype)
            return ops.sum(ops.mul(level, shares[:, :, None]), axis=0)
        return level

    def draw_masks(
        self, rng: np.random.RandomState, n_pieces: int, dropout: float, recurrent: float
    ) -> Masks | None:
        """Dropout masks for a batch, on what attention and MLP of each block add."""
        if dropout == 0:
            return None

        def draw():
            kept = rng.random_sample((n_pieces, self.n_units)) >= dropout
            return (kept / (1 - dropout)).astype(self.dtype)

        return Masks([], [(draw(), draw()) for _ in range(self.n_blocks)])
