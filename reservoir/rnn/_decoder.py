"""The architecture of encoder and decoder, and its passes over batches.

In the formulas C = [h_fwd(T); h_bwd(1)] is what an encoder layer ends in, s the state of the top
layer of the decoder and u(i) what is known beforehand of step i:

- s(0) = tanh(W C + b) in each layer, from the encoder's layer beside it;
- s(i) = cell([y(i - 1); u(i); c(i)], s(i - 1)), where c(i) is C of the top layer, or what
  attention by s(i - 1) reads of the encoder's states (`_attention`);
- the output is linear in [s(i); c(i); y(i - 1); u(i)].

Symbols are rows of a table (the embedding) wherever they are read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import _ops as ops
from ._attention import Memory
from ._init import glorot_uniform, initialise_cell, initialise_dense
from ._network import _turned
from ._nodes import N_GATES
from ._params import ParamLayout, is_weight
from ._tape import Var, as_var, emit

__all__ = ["Context", "Decoded", "Decoder", "EncoderDecoder"]

# Small tables make attention sharper: with a standard deviation of 1 what a state says of its
# neighbours is as good to look at as the place itself.
_EMBEDDING_STD = 0.1

_own = threading.local()


def _workspace(role: str) -> Any:
    """Memory of this thread, used again in each pass: one gradient is taken before the next."""
    from ._nodes import Workspace

    works = _own.__dict__.setdefault("works", {})
    return works.setdefault(role, Workspace())


@dataclass(frozen=True)
class Context:
    """What the encoder hands to the decoder.

    Parameters
    ----------
    states : list of tuple of Var
        First state of each layer of the decoder.
    fixed : Var of shape (n_sequences, m), or None where there is attention
    memory : Memory, or None where there is no attention
    """

    states: list
    fixed: Any
    memory: Any

    def rows(self, chosen: np.ndarray) -> Context:
        """The context of some of the sequences, which may repeat; constants."""
        states = [tuple(Var(part.data[chosen]) for part in parts) for parts in self.states]
        fixed = None if self.fixed is None else Var(self.fixed.data[chosen])
        return Context(states, fixed, None if self.memory is None else self.memory.rows(chosen))


@dataclass(frozen=True)
class Decoded:
    """Outputs (n_steps, n_sequences, n_outputs), and weights of attention, one array a step."""

    outputs: Var
    alphas: list


@dataclass(frozen=True, eq=False)
class EncoderDecoder:
    """A stack of recurrent layers that reads, and one that writes.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    activation : {"tanh", "relu"}
        Of the cell "rnn".
    units : tuple of int
        Width of each layer, of the encoder (in each direction) and of the decoder.
    bidirectional : bool
        Of the encoder.
    attention : str or None
        A kind of `_attention`.
    n_inputs, n_fed, n_known, n_outputs : int
        Columns of x(t), of y(i - 1) as it is fed back, of u(i), and of the readout.
    n_symbols, n_fed_symbols : int or None
        Rows of the tables, where x or y are symbols.
    learns_start : bool
        Whether y(0) is a parameter.
    dtype : dtype
    """

    cell: str
    activation: str
    units: tuple
    bidirectional: bool
    attention: str | None
    n_inputs: int
    n_fed: int
    n_known: int
    n_outputs: int
    dtype: Any
    n_symbols: int | None = None
    n_fed_symbols: int | None = None
    learns_start: bool = False

    # ---------------------------------------------------------------- parameters

    @property
    def directions(self) -> tuple:
        """Infixes of parameter names of the encoder."""
        return ("", "reverse.") if self.bidirectional else ("",)

    @property
    def n_memory(self) -> int:
        """Columns of what the decoder reads of the encoder."""
        return self.units[-1] * len(self.directions)

    @property
    def n_parts(self) -> int:
        """Arrays in the state of a layer."""
        return 2 if self.cell == "lstm" else 1

    def _cells(self):
        """(name, number of inputs, units) of each cell, in the order of the parameters."""
        width = self.n_inputs
        for i, n in enumerate(self.units):
            for infix in self.directions:
                yield f"encoder.{i}.{infix}", width, n
            width = n * len(self.directions)
        width = self.n_fed + self.n_known + self.n_memory
        for i, n in enumerate(self.units):
            yield f"decoder.{i}.", width, n
            width = n

    @cached_property
    def layout(self) -> ParamLayout:
        """Names and shapes of all parameters."""
        shapes: dict[str, tuple] = {}
        gates, n = N_GATES[self.cell], self.units[-1]
        if self.n_symbols is not None:
            shapes["embedding.W"] = (self.n_symbols, self.n_inputs)
        if self.n_fed_symbols is not None:
            shapes["decoder.embedding.W"] = (self.n_fed_symbols, self.n_fed)
        if self.learns_start:
            shapes["decoder.start.b"] = (self.n_fed,)
        for name, width, units in self._cells():
            shapes[name + "W_in"] = (gates * units, width)
            shapes[name + "W"] = (gates * units, units)
            shapes[name + "b"] = (gates * units,)
            if self.cell == "gru":
                shapes[name + "b_n"] = (units,)
        for i, units in enumerate(self.units):
            shapes[f"bridge.{i}.W"] = (self.n_parts * units, units * len(self.directions))
            shapes[f"bridge.{i}.b"] = (self.n_parts * units,)
        if self.attention is not None:
            if self.attention == "additive":
                shapes["attention.W"] = (n, n)
            shapes["attention.U"] = (n, self.n_memory)
            if self.attention == "additive":
                shapes["attention.v"] = (n,)
        shapes["out.W"] = (self.n_outputs, n + self.n_memory + self.n_fed + self.n_known)
        shapes["out.b"] = (self.n_outputs,)
        return ParamLayout(shapes)

    @cached_property
    def decayed(self) -> np.ndarray:
        """Which parameters a penalty shrinks."""
        return self.layout.mask(is_weight)

    def initialise(self, kind: str, rng: np.random.RandomState) -> np.ndarray:
        """New parameters: tables, cells, bridges, attention, readout."""
        theta = np.zeros(self.layout.size, dtype=self.dtype)
        views = self.layout.views(theta)
        for name in ("embedding.W", "decoder.embedding.W"):
            if name in views:
                views[name][:] = rng.normal(0.0, _EMBEDDING_STD, size=views[name].shape)
        for name, width, units in self._cells():
            drawn = initialise_cell(
                rng, self.cell, width, units,
                kind=kind, dtype=self.dtype, activation=self.activation,
            )  # fmt: skip
            for key, values in drawn.items():
                views[name + key][:] = values
        dense = [f"bridge.{i}.W" for i in range(len(self.units))]
        for name in (*dense, "attention.W", "attention.U", "out.W"):
            if name in views:
                n_out, n_in = views[name].shape
                views[name][:] = initialise_dense(rng, n_out, n_in, self.dtype)["W"]
        if "attention.v" in views:
            views["attention.v"][:] = glorot_uniform(rng, 1, self.units[-1])[0]
        return theta

    def _weights(self, leaves, name):
        names = ("W_in", "W", "b", "b_n") if self.cell == "gru" else ("W_in", "W", "b")
        return {key: leaves[name + key] for key in names}

    def _leak(self, units):
        return np.ones(units, self.dtype) if self.cell == "rnn" else None

    # ------------------------------------------------------------------- encoder

    def encode(
        self, leaves: dict, x: np.ndarray, lengths: np.ndarray, *, reuse: bool = False
    ) -> Context:
        """Read sequences x (n_steps, n_sequences[, n_inputs]), by decreasing length.

        With `reuse` the memory of this thread is used, until the gradient is taken.
        """
        from ._nodes import recurrent_layer
        from ._packed import Packed

        T, B = x.shape[:2]
        sizes = np.searchsorted(-lengths, -np.arange(T), side="left").astype(np.int64)
        backwards = Packed(x, sizes, lengths).backwards
        level = as_var(x) if self.n_symbols is None else ops.take(leaves["embedding.W"], x)
        states = []
        for i, n in enumerate(self.units):
            zeros = tuple(Var(np.zeros((B, n), self.dtype)) for _ in range(self.n_parts))
            read, lasts = [], []
            for k, infix in enumerate(self.directions):
                h, last = recurrent_layer(
                    self.cell,
                    level if k == 0 else _turned(level, backwards),
                    self._weights(leaves, f"encoder.{i}.{infix}"),
                    zeros,
                    sizes,
                    leak=self._leak(n),
                    activation=self.activation,
                    work=_workspace(f"encoder.{i}.{infix}") if reuse else None,
                )
                read.append(h if k == 0 else _turned(h, backwards))
                lasts.append(last[0])
            level = read[0] if len(read) == 1 else ops.concat(read)
            C = lasts[0] if len(lasts) == 1 else ops.concat(lasts)
            first = ops.tanh(ops.affine(C, leaves[f"bridge.{i}.W"], leaves[f"bridge.{i}.b"]))
            states.append(ops.split(first, [n] * self.n_parts) if self.n_parts > 1 else (first,))
        if self.attention is None:
            return Context(states, C, None)
        weights = {k: leaves[f"attention.{k}"] for k in "WUv" if f"attention.{k}" in leaves}
        return Context(states, None, Memory(self.attention, level, lengths, weights))

    # ------------------------------------------------------------------- decoder

    def feed(self, leaves: dict, y: Any) -> Var:
        """What the decoder sees of outputs: rows of its table, where they are symbols."""
        if self.n_fed_symbols is None:
            return as_var(y)
        return ops.take(leaves["decoder.embedding.W"], y)

    def decode(
        self,
        leaves: dict,
        context: Context,
        y: np.ndarray,
        known: np.ndarray | None = None,
        *,
        reuse: bool = False,
    ) -> Decoded:
        """Write, given all outputs before: y (n_steps, n_sequences[, n_fed]), the first ones y(0).

        Where y(0) is a parameter, the first row is replaced by it.
        """
        fed = self.feed(leaves, y)
        if self.learns_start:
            rows = [self.start(leaves, y.shape[1]), as_var(y[1:].reshape(-1, self.n_fed))]
            fed = ops.reshape(ops.concat(rows, axis=0), y.shape)
        if context.memory is None:
            return self._decode_at_once(leaves, context, fed, known, reuse)
        decoder = Decoder(self, leaves, context, len(y), reuse=reuse)
        tops, reads = [], []
        for i, before in enumerate(ops.unstack(fed)):
            top, c = decoder.advance(self.inputs(before, known, i))
            tops.append(top)
            reads.append(c)
        beside = [fed] if known is None else [fed, as_var(known)]
        seen = ops.concat([ops.stack(tops), ops.stack(reads), *beside])
        return Decoded(ops.affine(seen, leaves["out.W"], leaves["out.b"]), decoder.alphas)

    def _decode_at_once(self, leaves, context, fed, known, reuse):
        """All steps of a decoder that is given everything it reads."""
        from ._nodes import recurrent_layer

        beside = [_repeated(context.fixed, len(fed.data)), fed]
        beside += [] if known is None else [as_var(known)]
        # In the order of the columns of the weights: y(i - 1), u(i), then C.
        level = ops.concat([*beside[1:], beside[0]])
        for i, n in enumerate(self.units):
            level, _ = recurrent_layer(
                self.cell,
                level,
                self._weights(leaves, f"decoder.{i}."),
                context.states[i],
                leak=self._leak(n),
                activation=self.activation,
                work=_workspace(f"decoder.{i}") if reuse else None,
            )
        seen = ops.concat([level, *beside])
        return Decoded(ops.affine(seen, leaves["out.W"], leaves["out.b"]), [])

    def decode_fed(
        self,
        leaves: dict,
        context: Context,
        y: np.ndarray,
        forced: np.ndarray,
        decode: Callable[[Var], Any],
        known: np.ndarray | None = None,
        *,
        reuse: bool = False,
    ) -> Decoded:
        """Write step by step, seeing its own outputs.

        Parameters
        ----------
        y : ndarray of shape (n_steps, n_sequences, n_fed)
            True outputs before each step; the first row is y(0) unless that is a parameter.
        forced : ndarray of bool, shape (n_steps, n_sequences)
            Where `y` is given; elsewhere what `decode` makes of the output before. The first
            row counts as true.
        """
        decoder = Decoder(self, leaves, context, len(y), reuse=reuse)
        own = self.start(leaves, y.shape[1]) if self.learns_start else as_var(y[0])
        outputs: list[Var] = []
        for i in range(len(y)):
            if i:
                own = decode(outputs[-1])
                if forced[i].any():
                    own = ops.where(forced[i][:, None], y[i], own)
            outputs.append(decoder.write(self.inputs(own, known, i)))
        return Decoded(ops.stack(outputs), decoder.alphas)

    def decoder(self, leaves: dict, context: Context) -> Decoder:
        """A decoder that is run without a gradient."""
        return Decoder(self, leaves, context, 1)

    def start(self, leaves: dict, n_sequences: int) -> Var:
        """The learnt y(0), for each sequence."""
        zeros = np.zeros((n_sequences, self.n_fed), self.dtype)
        return ops.add(zeros, leaves["decoder.start.b"])

    @staticmethod
    def inputs(before: Any, known: np.ndarray | None, i: int) -> list:
        """What the decoder is given in step i."""
        return [as_var(before)] + ([] if known is None else [as_var(known[i])])


class Decoder:
    """A decoder on its way.

    Parameters
    ----------
    network : EncoderDecoder
    leaves : dict of Var
    context : Context
    n_steps : int
        Steps that may be taken under a tape.

    Attributes
    ----------
    alphas : list of ndarray of shape (n_sequences, n_places)
        What attention looked at in each step.
    """

    def __init__(self, network, leaves, context, n_steps, *, reuse=False):
        from ._stepwise import StepLayer

        self.network, self.leaves = network, leaves
        self.whole = self.context = context
        self.states = list(context.states)
        self.owners = np.arange(len(self.states[0][0].data))
        self.alphas: list[np.ndarray] = []
        self.layers = [
            StepLayer(
                network.cell,
                network._weights(leaves, f"decoder.{i}."),
                n_steps,
                leak=network._leak(n),
                activation=network.activation,
                work=_workspace(f"decoder.{i}") if reuse else None,
            )
            for i, n in enumerate(network.units)
        ]

    def advance(self, inputs: list) -> tuple[Var, Var]:
        """The state of the top layer after one more step, and c."""
        context = self.context
        if context.memory is None:
            c = context.fixed
        else:
            c, alpha = context.memory.attend(self.states[-1][0])
            self.alphas.append(alpha)
        parts = [*inputs, c]
        for i, layer in enumerate(self.layers):
            self.states[i] = layer.step(parts, self.states[i])
            parts = [self.states[i][0]]
        return parts[0], c

    def write(self, inputs: list) -> Var:
        """Outputs (n_sequences, n_outputs) of one more step."""
        top, c = self.advance(inputs)
        seen = ops.concat([top, c, *inputs])
        return ops.affine(seen, self.leaves["out.W"], self.leaves["out.b"])

    @property
    def n_places(self) -> np.ndarray:
        """How many places each of the first sequences has in the memory."""
        return self.whole.memory.lengths

    def keep(self, chosen: np.ndarray) -> None:
        """Go on with some of the sequences, which may repeat; without a tape."""
        self.states = [tuple(Var(part.data[chosen]) for part in parts) for parts in self.states]
        owners = self.owners[chosen]
        if not np.array_equal(owners, self.owners):
            self.owners, self.context = owners, self.whole.rows(owners)


def _repeated(x: Var, n: int) -> Var:
    """The same array for each of n steps."""
    full = np.empty((n, *x.data.shape), x.data.dtype)
    full[:] = x.data
    return emit(full, (x,), lambda g: (np.add.reduce(g, axis=0),))
