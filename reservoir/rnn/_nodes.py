"""Whole recurrent layers, and single steps of them, as one operation of the tape each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ._tape import Var, current_tape

__all__ = ["N_GATES", "Stepper", "Workspace", "cell_step", "recurrent_layer", "shard_bounds"]

N_GATES = {"rnn": 1, "lstm": 4, "gru": 3}

# Multiply-adds in one call of a kernel, about 40 ms at the least: Ctrl-C is served between calls.
_PIECE = 1 << 28
# A shard costs 0.1 to 0.3 ms beside its work and packs all weights once more, so it has at least
# this many sequences and multiply-adds (about 1 ms, gradients included); and each has a gradient.
_SHARD_ROWS, _SHARD_WORK, _MOST_SHARDS = 16, 12_500_000, 8
_TILE_ROWS = 8  # sequences that are computed together
_LINE = 64  # bytes of a line of the cache, and of the widest register
# What the activations of one unit cost, in multiply-adds.
_ELEMENTWISE = 64


class Workspace:
    """Memory that is used again: fresh pages cost as much as the work that is done in them."""

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array with undefined contents, which the next array of that `name` replaces."""
        size = math.prod(shape) * np.dtype(dtype).itemsize  # np.prod takes microseconds
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            memory = np.empty(size + _LINE, dtype=np.uint8)
            buffer = self._buffers[name] = memory[-memory.ctypes.data % _LINE :]
        return buffer[:size].view(dtype).reshape(shape)


def shard_bounds(n_sequences: int, work: int, n_steps: int = 100) -> list[tuple[int, int]]:
    """Cut a batch into shards (start, stop), which threads may take in any order.

    They depend on the batch alone and not on the number of threads, so the same sums come out
    with any number of them. `work` is that of one sequence and step, in multiply-adds.
    """
    by_work = n_sequences * work * n_steps // _SHARD_WORK
    n_shards = max(1, min(_MOST_SHARDS, n_sequences // _SHARD_ROWS, by_work))
    rows = math.ceil(n_sequences / n_shards / _TILE_ROWS) * _TILE_ROWS
    return [(a, min(a + rows, n_sequences)) for a in range(0, n_sequences, rows)]


def recurrent_layer(
    cell: str,
    x: Var,
    weights: Mapping[str, Var],
    state: Sequence[Var],
    sizes: np.ndarray | None = None,
    *,
    leak: np.ndarray | None = None,
    activation: str = "tanh",
    mask: np.ndarray | None = None,
    work: Workspace | None = None,
) -> tuple[Var, tuple[Var, ...]]:
    """Run a recurrent layer over a packed batch; its gradient is exact.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    x : Var of shape (n_steps, n_sequences, n_inputs)
        Sequences side by side, by decreasing length. Padding may hold any finite numbers.
    weights : mapping of Var
        ``W_in`` (g n_units, n_inputs), ``W`` (g n_units, n_units) and ``b`` (g n_units,) with
        the gates stacked, g = 1, 4 (input, forget, cell, output) or 3 (reset, update, new), and
        for "gru" ``b_n`` (n_units,), the bias that the reset gate multiplies.
    state : sequence of Var of shape (n_sequences, n_units)
        Initial state: (h,), or (h, c) for "lstm".
    sizes : ndarray of shape (n_steps,), int64, default=None
        How many sequences, the first ones, are still running at each step. None: all.
    leak : ndarray of shape (n_units,), default=None
        Share of the new state in each step, for "rnn" only. None: 1.
    activation : {"tanh", "relu"}, default="tanh"
        For "rnn" only.
    mask : ndarray of shape (n_sequences, n_units), default=None
        Factors on the state where it enters the recurrent product, and nowhere else.
    work : Workspace, default=None
        Memory that belongs to this layer and this thread alone. The states and the gradient of
        `x` live there until its next use. None: fresh memory.

    Returns
    -------
    h : Var of shape (n_steps, n_sequences, n_units)
        States. A sequence that is finished keeps its last one.
    last : tuple of Var of shape (n_sequences, n_units)
        Last state of each sequence.
    """
    parents = _parents(cell, x, weights, state)
    run = _Run(cell, parents, x.data, sizes, leak, activation, mask, work or Workspace())
    outputs = (Var(run.H[1:]), *map(Var, run.last))
    if run.kept:
        tape = current_tape()
        assert tape is not None
        tape.record(outputs, parents, run.backward)
    return outputs[0], outputs[1:]


def cell_step(
    cell: str,
    x: Var,
    weights: Mapping[str, Var],
    state: Sequence[Var],
    *,
    leak: np.ndarray | None = None,
    activation: str = "tanh",
    mask: np.ndarray | None = None,
    shared: dict | None = None,
) -> tuple[Var, ...]:
    """Return the state after one step; `x` (n_sequences, n_inputs), the rest as in a layer.

    Steps with the same weights may share a dict, in which these are then packed only once.
    """
    parents = _parents(cell, x, weights, state)
    run = _Run(cell, parents, x.data[None], None, leak, activation, mask, Workspace(), shared)
    outputs = tuple(map(Var, run.last))
    if run.kept:
        tape = current_tape()
        assert tape is not None

        def vjp(*d_last):
            dx, *others = run.backward(None, *d_last)
            return (None if dx is None else dx[0], *others)

        tape.record(outputs, parents, vjp)
    return outputs


class Stepper:
    """A layer that goes on one step at a time, without gradients.

    Weights are packed and memory is laid out once, so a step costs little more than its kernel.
    Parameters are those of `recurrent_layer`, with arrays as weights; `n_sequences` run side by
    side.
    """

    def __init__(
        self,
        cell: str,
        weights: Mapping[str, np.ndarray],
        n_sequences: int,
        *,
        leak: np.ndarray | None = None,
        activation: str = "tanh",
    ) -> None:
        named = {name: Var(values) for name, values in weights.items()}
        n_inputs, n = weights["W_in"].shape[1], weights["W"].shape[1]
        dtype = weights["W"].dtype
        zeros = Var(np.zeros((n_sequences, n), dtype))
        state = (zeros, zeros) if cell == "lstm" else (zeros,)
        parents = _parents(cell, Var(np.zeros((n_sequences, n_inputs), dtype)), named, state)
        x = np.zeros((1, n_sequences, n_inputs), dtype)
        self._run = _Run(cell, parents, x, None, leak, activation, None, Workspace(), {})

    def __call__(self, x: np.ndarray, *state: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the state after a step with inputs `x` (n_sequences, n_inputs)."""
        return self._run.again(x, *state)


def _parents(cell, x, weights, state):
    own = (weights["b_n"],) if cell == "gru" else ()
    return (x, weights["W_in"], weights["W"], weights["b"], *own, *state)


def _writable(a, dtype):
    """In C order and not read-only: kernels are compiled once, for that kind of array alone."""
    return np.require(a, dtype=dtype, requirements=["C", "W"])


class _Run:
    """One forward pass of a layer, with what its backward pass needs.

    `_kernels_steps` describes the arrays. Weights are packed once for all steps; their gradients
    come back transposed, in the order of the columns of `G`.
    """

    def __init__(self, cell, parents, X, sizes, leak, activation, mask, work, shared=None):
        _, W_in, W, b, *others = parents
        self.cell, self.parents, self.work = cell, parents, work
        self.dtype = dtype = W.data.dtype
        self.kept = current_tape() is not None and any(p.needs_grad for p in parents)
        self.X = X = _writable(X, dtype)
        T, B, n_inputs = X.shape
        self.n = n = W.data.shape[1]
        self.layout = layout = _Layout(cell, n, n_inputs, dtype)
        self.sizes = np.full(T, B) if sizes is None else _writable(sizes, np.int64)
        self.weights = [_writable(w.data, dtype) for w in (W, W_in, b, *others[: cell == "gru"])]
        nothing = np.empty((0, n), dtype=dtype)
        self.mask = nothing if mask is None else _writable(mask, dtype)
        self.leak = nothing.reshape(-1) if leak is None else _writable(leak, dtype)
        self.relu = activation == "relu"
        cost = B * len(W.data) * (n + n_inputs + _ELEMENTWISE)
        self.piece = max(1, min(T, _PIECE // max(cost, 1)))

        n_slots = T if self.kept else 1
        self.H = H = work.take("H", (T + 1, B, n), dtype)
        self.A = work.take("A", (n_slots, B, n + 1 + n_inputs), dtype)
        self.G = work.take("G", (n_slots, B, layout.stride), dtype)
        self.C = work.take("C", (n_slots + 1, B, n), dtype) if cell == "lstm" else None
        H[0] = others[-1 if cell != "lstm" else -2].data
        if cell == "lstm":
            self.C[0] = others[-1].data
        self.shared = {} if shared is None else shared
        if "forward" not in self.shared:
            self.shared["forward"] = layout.packed(work, self.weights)
        self._forward(self.shared["forward"])
        self.last = self._ended()

    def _ended(self):
        T = len(self.X)
        if self.cell != "lstm":
            return (self.H[T].copy(),)
        return self.H[T].copy(), self.C[T % len(self.C)].copy()

    def again(self, x, *state):
        """Run the one step of this pass again, from another input and state."""
        self.X[0], self.H[0] = x, state[0]
        if self.cell == "lstm":
            self.C[0] = state[1]
        self._forward(self.shared["forward"])
        return self._ended()

    def _pieces(self) -> Iterator[tuple[int, int]]:
        T = len(self.X) if self.X.shape[1] else 0  # without sequences there is nothing to run
        for first in range(0, T, self.piece):
            yield first, min(first + self.piece, T)

    def _forward(self, panels):
        common = (self.mask, self.sizes, self.A, self.G, self.H)
        for piece in self._pieces():
            if self.cell == "rnn":
                from ._kernels_rnn import rnn_forward

                rnn_forward(*piece, self.X, *panels, self.leak, self.relu, *common)
            elif self.cell == "lstm":
                from ._kernels_lstm import lstm_forward

                lstm_forward(*piece, self.X, *panels, *common, self.C)
            else:
                from ._kernels_gru import gru_forward

                gru_forward(*piece, self.X, *panels, *common)

    def backward(self, dH, *d_last):
        """Gradients of the parents, from those of all states and of the last ones."""
        if self.G is None:
            raise RuntimeError("the gradient of a recurrent layer can be taken only once")
        from ._kernels_steps import ROWS

        work, dtype, n, layout = self.work, self.dtype, self.n, self.layout
        G, self.G = self.G, None
        _, B, n_inputs = self.X.shape
        dH = np.empty((0, B, n), dtype) if dH is None else _writable(dH, dtype)
        dh = work.take("dh", (B, layout.padded), dtype)
        dh[:] = 0
        if d_last[0] is not None:
            dh[:, :n] = d_last[0]
        dc = None
        if self.cell == "lstm":
            dc = np.zeros((B, n), dtype)
            if d_last[1] is not None:
                dc[:] = d_last[1]
        dA = work.take("dA", (n + 1 + n_inputs, layout.stride), dtype)
        dA[:] = 0
        x_shape = self.X.shape if self.parents[0].needs_grad else (0, B, n_inputs)
        dX = work.take("dX", x_shape, dtype)
        key = "back", len(dX) > 0
        if key not in self.shared:
            self.shared[key] = layout.packed_back(work, self.weights, with_inputs=key[1])
        panels = self.shared[key]
        scratch = work.take("scratch", (max(ROWS, B), layout.padded_inputs), dtype)
        sums = (dA, dX, scratch)
        for piece in reversed(list(self._pieces())):
            if self.cell == "rnn":
                from ._kernels_rnn import rnn_backward

                keep = work.take("keep", (B, n), dtype)
                rnn_backward(
                    *piece, *panels, self.leak, self.relu, self.mask, self.sizes, self.A, G,
                    dH, dh, keep, *sums,
                )  # fmt: skip
            elif self.cell == "lstm":
                from ._kernels_lstm import lstm_backward

                lstm_backward(
                    *piece, *panels, self.mask, self.sizes, self.A, G, self.C,
                    dH, dh, dc, *sums,
                )  # fmt: skip
            else:
                from ._kernels_gru import gru_backward

                keep = work.take("keep", (B, n), dtype)
                gru_backward(
                    *piece, *panels, layout.at_rz, layout.at_n, self.mask, self.sizes, self.A, G,
                    self.H, dH, dh, keep, *sums,
                )  # fmt: skip
        d_state = (dh[:, :n].copy(), dc) if self.cell == "lstm" else (dh[:, :n].copy(),)
        d_weights = [
            _handed_on(var, pieces) for var, pieces in zip(self.parents[1:], layout.gradients(dA))
        ]
        return (dX if len(dX) else None, *d_weights, *d_state)


class _Layout:
    """Where the columns of the weights stand in `G`, and how the kernels want them packed."""

    def __init__(self, cell, n, n_inputs, dtype):
        from ._kernels_product import lanes, padded

        self.cell, self.n, self.n_inputs, self.dtype = cell, n, n_inputs, dtype
        self.lanes, self.padded = lanes(dtype), padded(n, dtype)
        self.padded_inputs = padded(n_inputs, dtype)
        self.at_rz, self.at_n = self.padded, self.padded + padded(2 * n, dtype)
        width = self.at_n + self.padded if cell == "gru" else padded(N_GATES[cell] * n, dtype)
        # Rows at a distance of a power of two would fall on the same lines of the cache.
        self.stride = width + self.lanes // 2

    def _pack(self, work, name, n_columns, parts):
        """Panels of the transposes of `parts` (n_columns, k), one below the other."""
        from ._kernels_product import pack_rows

        n_rows = sum(part.shape[1] for part in parts)
        shape = (-(-n_columns // self.lanes), n_rows, self.lanes)
        panels, first = work.take(name, shape, self.dtype), 0
        for part in parts:
            pack_rows(part, panels, first)
            first += part.shape[1]
        return panels

    def packed(self, work, weights):
        """Weights of the forward pass, for rows [h, 1, x] or parts of them."""
        W, W_in, b, *rest = weights
        n, b = self.n, b[:, None]
        if self.cell != "gru":
            return (self._pack(work, "W", len(W), [W, b, W_in]),)
        return (
            self._pack(work, "W q", n, [W[2 * n :], rest[0][:, None]]),
            self._pack(work, "W rz", 2 * n, [W[: 2 * n], b[: 2 * n], W_in[: 2 * n]]),
            self._pack(work, "W n", n, [b[2 * n :], W_in[2 * n :]]),
        )

    def packed_back(self, work, weights, *, with_inputs):
        """Weights of the backward pass, in the order of the columns of `G`: of h, and of x."""
        from ._kernels_product import pack_columns

        W, W_in = weights[:2]
        n = self.n
        if self.cell == "gru":
            starts = (0, self.at_rz), (self.at_n - self.at_rz, 0)
            n_rows = self.at_rz + 2 * n, self.at_n - self.at_rz + n
            blocks = [[M[2 * n :], M[: 2 * n]] for M in (W, W_in)]
        else:
            starts, n_rows, blocks = ((0,), (0,)), (len(W), len(W)), [[W], [W_in]]
        found = []
        for k, (name, width) in enumerate([("W", self.padded), ("W_in", self.padded_inputs)]):
            wanted = k == 0 or with_inputs
            shape = (width // self.lanes if wanted else 0, n_rows[k], self.lanes)
            panels = work.take(f"{name} back", shape, self.dtype)
            if self.cell == "gru":
                panels[:] = 0
            for start, block in zip(starts[k], blocks[k] if wanted else ()):
                pack_columns(block, panels, start)
            found.append(panels)
        return found

    def gradients(self, dA):
        """Gradients of `W_in`, `W`, `b` (and `b_n`), each as blocks of rows."""
        n, below = self.n, self.n + 1
        if self.cell != "gru":
            d = dA[:, : N_GATES[self.cell] * n]
            return [d[below:].T], [d[:n].T], [d[n]]
        q, rz = dA[:, :n], dA[:, self.at_rz : self.at_rz + 2 * n]
        new = dA[:, self.at_n : self.at_n + n]
        d_in = [rz[below:].T, new[below:].T]
        return d_in, [rz[:n].T, q[:n].T], [rz[n], new[n]], [q[n]]


def _handed_on(var, blocks):
    """Add to a parameter's own buffer, or return the gradient for the tape to keep."""
    if not var.needs_grad:
        return None
    if not var.buffered:
        return np.concatenate(blocks)
    first = 0
    for block in blocks:
        var.grad[first : first + len(block)] += block
        first += len(block)
    return None
