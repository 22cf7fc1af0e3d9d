"""Whole recurrent layers, and single steps of them, as one operation of the tape each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ._tape import Var, current_tape

__all__ = ["N_GATES", "Workspace", "cell_step", "recurrent_layer", "shard_bounds"]

N_GATES = {"rnn": 1, "lstm": 4, "gru": 3}

# Multiply-adds in one call of a kernel, about 40 ms at the least: Ctrl-C is served between calls.
_PIECE = 1 << 28
# Sequences in a shard, the least work of a step for which shards pay, and how many there may be.
_SHARD_ROWS, _SHARD_WORK, _MOST_SHARDS = 16, 1 << 15, 8
# What the activations of one unit cost, in multiply-adds.
_ELEMENTWISE = 64


class Workspace:
    """Memory that is used again: fresh pages cost as much as the work that is done in them."""

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array with undefined contents, which the next array of that `name` replaces."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, dtype=np.uint8)
        return buffer[:size].view(dtype).reshape(shape)


def shard_bounds(n_sequences: int, work: int) -> list[tuple[int, int]]:
    """Cut a batch into shards (start, stop), which threads may take in any order.

    They depend on the batch alone and not on the number of threads, so the same sums come out
    with any number of them. `work` is that of one sequence and step, in multiply-adds.
    """
    rows = _SHARD_ROWS if n_sequences * work >= _SHARD_WORK else n_sequences
    rows = max(rows, -(-n_sequences // _MOST_SHARDS))
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
) -> tuple[Var, ...]:
    """Return the state after one step; `x` (n_sequences, n_inputs), the rest as in a layer."""
    parents = _parents(cell, x, weights, state)
    run = _Run(cell, parents, x.data[None], None, leak, activation, mask, Workspace())
    outputs = tuple(map(Var, run.last))
    if run.kept:
        tape = current_tape()
        assert tape is not None

        def vjp(*d_last):
            dx, *others = run.backward(None, *d_last)
            return (None if dx is None else dx[0], *others)

        tape.record(outputs, parents, vjp)
    return outputs


def _parents(cell, x, weights, state):
    own = (weights["b_n"],) if cell == "gru" else ()
    return (x, weights["W_in"], weights["W"], weights["b"], *own, *state)


def _writable(a, dtype):
    """In C order and not read-only: kernels are compiled once, for that kind of array alone."""
    return np.require(a, dtype=dtype, requirements=["C", "W"])


class _Run:
    """One forward pass of a layer, with what its backward pass needs."""

    def __init__(self, cell, parents, X, sizes, leak, activation, mask, work):
        _, W_in, W, b, *others = parents
        self.cell, self.parents, self.work = cell, parents, work
        self.dtype = dtype = W.data.dtype
        n_state = 2 if cell == "lstm" else 1
        state = others[-n_state:]
        self.kept = current_tape() is not None and any(p.needs_grad for p in parents)
        self.X = np.ascontiguousarray(X, dtype=dtype)
        T, B, n_inputs = self.X.shape
        n, width = W.data.shape[1], W.data.shape[0]
        self.sizes = np.full(T, B) if sizes is None else _writable(sizes, np.int64)
        self.W = _writable(W.data, dtype)
        nothing = np.empty((0, n), dtype=dtype)
        self.mask = nothing if mask is None else _writable(mask, dtype)
        self.leak = nothing.reshape(-1) if leak is None else _writable(leak, dtype)
        self.relu = activation == "relu"
        bias = _writable(b.data, dtype)
        bias_n = _writable(others[0].data, dtype) if cell == "gru" else None

        cost = B * width * (n + n_inputs + _ELEMENTWISE)
        self.piece = max(1, min(T, _PIECE // max(cost, 1)))
        rows = T if self.kept else self.piece
        self.H = H = work.take("H", (T + 1, B, n), dtype)
        H[0] = state[0].data
        self.G = work.take("G", (rows, B, width), dtype)
        self.S = None  # what the cell keeps beside its gates
        if cell == "lstm":
            self.S = work.take("C", (rows + 1, B, n), dtype)
            self.S[0] = state[1].data
        elif cell == "gru":
            self.S = work.take("Q", (rows, B, n), dtype)
        P = work.take("P", (B, width), dtype)
        M = work.take("M", (B if mask is not None else 0, n), dtype)

        kernel = _forward_kernel(cell)
        for first, stop in self._pieces():
            G, S = self._slots(first, stop)
            x, h, steps = self.X[first:stop], H[first : stop + 1], self.sizes[first:stop]
            np.matmul(x.reshape(-1, n_inputs), W_in.data.T, out=G.reshape(-1, width))
            if cell == "rnn":
                kernel(G, self.W, bias, self.leak, self.relu, self.mask, steps, h, P, M)
            elif cell == "lstm":
                kernel(G, self.W, bias, self.mask, steps, h, S, P, M)
                if not self.kept:
                    S[0] = S[-1]
            else:
                kernel(G, self.W, bias, bias_n, self.mask, steps, h, S, P, M)
        self.last = (H[T].copy(),)
        if cell == "lstm":
            self.last += (self.S[T if self.kept else 0].copy(),)

    def _pieces(self) -> Iterator[tuple[int, int]]:
        T = len(self.X)
        for first in range(0, T, self.piece):
            yield first, min(first + self.piece, T)

    def _slots(self, first, stop):
        """Rows of the gates and of the cells for the steps from `first` to `stop`."""
        if not self.kept:
            first, stop = 0, stop - first
        S = self.S
        if S is not None:
            S = S[first : stop + (self.cell == "lstm")]
        return self.G[first:stop], S

    def backward(self, dH, *d_last):
        """Gradients of the parents, from those of all states and of the last ones."""
        if self.G is None:
            raise RuntimeError("the gradient of a recurrent layer can be taken only once")
        cell, work, dtype, W = self.cell, self.work, self.dtype, self.W
        G, S, self.G = self.G, self.S, None
        T, B, width = G.shape
        n = W.shape[1]
        dH = np.empty((0, B, n), dtype) if dH is None else _writable(dH, dtype)
        d_state = [np.zeros((B, n), dtype) if d is None else np.array(d, dtype) for d in d_last]
        P = work.take("P", (B, n), dtype)
        kernel = _backward_kernel(cell)
        for first, stop in reversed(list(self._pieces())):
            g, steps = G[first:stop], self.sizes[first:stop]
            d = dH[first:stop]
            if cell == "rnn":
                kernel(g, W, self.leak, self.relu, self.mask, steps, d, *d_state, P)
            elif cell == "lstm":
                kernel(g, W, self.mask, steps, S[first : stop + 1], d, *d_state, P)
            else:
                h, R = self.H[first : stop + 1], work.take("R", (B, width), dtype)
                kernel(g, W, self.mask, steps, h, S[first:stop], d, *d_state, P, R)

        x, W_in, W_leaf, b, *others = self.parents
        G = G.reshape(T * B, width)
        X = self.X.reshape(T * B, -1)
        H = self.H[:-1]
        if len(self.mask) and W_leaf.needs_grad:
            H = np.multiply(H, self.mask, out=work.take("HM", H.shape, dtype))
        H = H.reshape(T * B, n)
        ones = np.ones(T * B, dtype)
        grads = [None] * len(self.parents)
        if x.needs_grad:
            dX = work.take("dX", self.X.shape, dtype)
            np.matmul(G, W_in.data, out=dX.reshape(T * B, -1))
            grads[0] = dX
        grads[1] = self._weight_gradient(W_in, [G], X)
        if cell == "gru":
            Q = S.reshape(T * B, n)
            grads[2] = self._weight_gradient(W_leaf, [G[:, : 2 * n], Q], H)
            grads[4] = self._bias_gradient(others[0], Q, ones)
        else:
            grads[2] = self._weight_gradient(W_leaf, [G], H)
        grads[3] = self._bias_gradient(b, G, ones)
        grads[-len(d_state) :] = d_state
        return tuple(grads)

    def _weight_gradient(self, var, parts, inputs):
        """Products of gradients and inputs summed over all rows, added to a parameter in place."""
        if not var.needs_grad:
            return None
        if var.buffered:
            out = self.work.take("dW", var.data.shape, self.dtype)
        else:
            out = np.empty(var.data.shape, self.dtype)
        first = 0
        for part in parts:
            np.dot(part.T, inputs, out=out[first : first + part.shape[1]])
            first += part.shape[1]
        return _handed_on(var, out)

    def _bias_gradient(self, var, rows, ones):
        return _handed_on(var, ones @ rows) if var.needs_grad else None


def _handed_on(var, grad):
    """Add to a parameter's own buffer, or return the gradient for the tape to keep."""
    if not var.buffered:
        return grad
    var.grad += grad
    return None


def _forward_kernel(cell: str) -> Callable[..., None]:
    if cell == "rnn":
        from ._kernels_rnn import rnn_forward

        return rnn_forward
    if cell == "lstm":
        from ._kernels_lstm import lstm_forward

        return lstm_forward
    from ._kernels_gru import gru_forward

    return gru_forward


def _backward_kernel(cell: str) -> Callable[..., None]:
    if cell == "rnn":
        from ._kernels_rnn import rnn_backward

        return rnn_backward
    if cell == "lstm":
        from ._kernels_lstm import lstm_backward

        return lstm_backward
    from ._kernels_gru import gru_backward

    return gru_backward
