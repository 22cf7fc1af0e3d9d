"""Layers whose transition from state to state is an MLP, as one operation of the tape.

With g an MLP of D layers, u_1 = f(W h(t-1) + W_in x(t) + b) and u_k = f(W_k u_{k-1} + b_k),

- "deep": h(t) = g(h(t-1), x(t)) = u_D (Deep Learning, fig. 10.13b);
- "deep_skip": h(t) = h(t-1) + g(h(t-1), x(t)) (fig. 10.13c), with the last layer of g linear and
  started small: gradients then come back along the sum however deep g is, as the state of such a
  network begins as that of a network that keeps what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ._init import _recurrent
from ._nodes import _ELEMENTWISE, _PIECE, Workspace, _handed_on, _writable
from ._tape import Var, current_tape

__all__ = ["TRANSITIONS", "deep_layer", "deep_names", "deep_step", "initialise_deep"]

TRANSITIONS = ("deep", "deep_skip", "stacked")

_LAST_SCALE = 0.1  # of the last layer of g beside the skip connection


def deep_names(depth: int) -> list[str]:
    """Names of the weights of a transition of `depth` layers, after those of its layer."""
    above = [f"deep.{k}.{letter}" for k in range(1, depth) for letter in ("W", "b")]
    return ["W_in", "W", "b", *above]


def initialise_deep(
    rng: np.random.RandomState, first: dict, depth: int, *, kind: str, skip: bool
) -> dict[str, np.ndarray]:
    """Weights of a transition whose first layer is drawn: those above, drawn as `W` is."""
    weights = dict(first)
    n, dtype = first["W"].shape[1], first["W"].dtype
    for k in range(1, depth):
        if kind == "uniform":
            limit = 1 / np.sqrt(n)
            W, b = rng.uniform(-limit, limit, (n, n)), rng.uniform(-limit, limit, n)
        else:
            W, b = _recurrent(rng, n, kind), np.zeros(n)
        weights[f"deep.{k}.W"], weights[f"deep.{k}.b"] = W.astype(dtype), b.astype(dtype)
    if skip:
        last = ("W_in", "W", "b") if depth == 1 else (f"deep.{depth - 1}.W", f"deep.{depth - 1}.b")
        for name in last:
            weights[name] = (_LAST_SCALE * weights[name]).astype(dtype)
    return weights


def deep_layer(
    x: Var,
    weights: Mapping[str, Var],
    state: Sequence[Var],
    sizes: np.ndarray | None = None,
    *,
    skip: bool,
    activation: str = "tanh",
    mask: np.ndarray | None = None,
    work: Workspace | None = None,
) -> tuple[Var, tuple[Var, ...]]:
    """Run a layer over a packed batch; arguments and results as in `_nodes.recurrent_layer`.

    `weights` holds "W_in" (n_units, n_inputs), "W" (n_units, n_units) and "b" of the first layer
    of the transition, and "deep.k.W" (n_units, n_units), "deep.k.b" of those above, k = 1, 2, ...
    """
    parents = (x, *weights.values(), *state)
    run = _Run(parents, x.data, sizes, skip, activation, mask, work or Workspace())
    outputs = (Var(run.H[1:]), Var(run.last))
    if run.kept:
        tape = current_tape()
        assert tape is not None
        tape.record(outputs, parents, run.backward)
    return outputs[0], outputs[1:]


def deep_step(
    x: Var,
    weights: Mapping[str, Var],
    state: Sequence[Var],
    *,
    skip: bool,
    activation: str = "tanh",
    mask: np.ndarray | None = None,
) -> tuple[Var, ...]:
    """Return the state after one step; `x` (n_sequences, n_inputs), the rest as in a layer."""
    parents = (x, *weights.values(), *state)
    run = _Run(parents, x.data[None], None, skip, activation, mask, Workspace())
    output = Var(run.last)
    if run.kept:
        tape = current_tape()
        assert tape is not None

        def vjp(d_last):
            dx, *others = run.backward(None, d_last)
            return (None if dx is None else dx[0], *others)

        tape.record((output,), parents, vjp)
    return (output,)


class _Run:
    """One forward pass of a layer, with what its backward pass needs (see `_kernels_deep`)."""

    def __init__(self, parents, X, sizes, skip, activation, mask, work):
        _, W_in, W, b, *above, state = parents
        self.parents, self.work, self.skip = parents, work, skip
        self.relu = activation == "relu"
        self.dtype = dtype = W.data.dtype
        self.kept = current_tape() is not None and any(p.needs_grad for p in parents)
        self.X = X = _writable(X, dtype)
        T, B, n_inputs = X.shape
        self.n, self.depth = W.data.shape[0], 1 + len(above) // 2
        n = self.n
        self.sizes = np.full(T, B) if sizes is None else _writable(sizes, np.int64)
        self.mask = np.empty((0, n), dtype) if mask is None else _writable(mask, dtype)
        self.weights = [_writable(w.data, dtype) for w in (W_in, W, b, *above)]
        cost = B * n * (self.depth * (n + _ELEMENTWISE) + n_inputs)
        self.piece = max(1, min(T, _PIECE // max(cost, 1)))

        from ._kernels_product import lanes, padded

        self.padded, self.padded_inputs = padded(n, dtype), padded(n_inputs, dtype)
        # Rows at a distance of a power of two would fall on the same lines of the cache.
        stride, n_slots = self.padded + lanes(dtype) // 2, T if self.kept else 1
        self.H = work.take("H", (T + 1, B, n), dtype)
        self.A = work.take("A", (n_slots, B, n + 1 + n_inputs), dtype)
        self.V = work.take("V", (self.depth - 1, n_slots, B, n + 1), dtype)
        self.G = work.take("G", (self.depth, n_slots, B, stride), dtype)
        self.H[0] = state.data
        self._forward()
        self.last = self.H[T].copy()

    def _pieces(self):
        T = len(self.X) if self.X.shape[1] else 0
        for first in range(0, T, self.piece):
            yield first, min(first + self.piece, T)

    def _panels(self, name, width, layers, *, back=False):
        """Panels (n_layers, ...) of the transposes of the matrices of each layer, one below the
        other; with `back` of the matrices themselves, for gradients."""
        from ._kernels_product import lanes, pack_columns, pack_rows

        n_rows = sum(part.shape[0 if back else 1] for part in layers[0]) if layers else 1
        shape = (len(layers), width // lanes(self.dtype), n_rows, lanes(self.dtype))
        panels = self.work.take(name, shape, self.dtype)
        for parts, into in zip(layers, panels):
            first = 0
            for part in parts:
                (pack_columns if back else pack_rows)(part, into, first)
                first += part.shape[0 if back else 1]
        return panels

    def _forward(self):
        from ._kernels_deep import deep_forward

        W_in, W, b, *above = self.weights
        panels = self._panels("W", self.padded, [[W, b[:, None], W_in]])[0]
        layers = [[U, c[:, None]] for U, c in zip(above[::2], above[1::2])]
        deeper = self._panels("deep", self.padded, layers)
        for piece in self._pieces():
            deep_forward(
                *piece, self.X, panels, deeper, self.skip, self.relu, self.mask, self.sizes,
                self.A, self.V, self.G, self.H,
            )  # fmt: skip

    def backward(self, dH, d_last):
        """Gradients of the parents, from those of all states and of the last ones."""
        if self.G is None:
            raise RuntimeError("the gradient of a recurrent layer can be taken only once")
        from ._kernels_deep import deep_backward
        from ._kernels_steps import ROWS

        work, dtype, n = self.work, self.dtype, self.n
        G, self.G = self.G, None
        _, B, n_inputs = self.X.shape
        stride = G.shape[3]
        dH = np.empty((0, B, n), dtype) if dH is None else _writable(dH, dtype)
        dh = work.take("dh", (B, self.padded), dtype)
        dh[:] = 0
        if d_last is not None:
            dh[:, :n] = d_last
        below = work.take("below", (B, self.padded), dtype)
        dA = work.take("dA", (n + 1 + n_inputs, stride), dtype)
        dV = work.take("dV", (self.depth - 1, n + 1, stride), dtype)
        dA[:], dV[:] = 0, 0
        wanted = self.parents[0].needs_grad
        dX = work.take("dX", self.X.shape if wanted else (0, B, n_inputs), dtype)
        W_in, W, _, *above = self.weights
        panels = self._panels("W back", self.padded, [[W]], back=True)[0]
        deeper = self._panels("deep back", self.padded, [[U] for U in above[::2]], back=True)
        width = self.padded_inputs if wanted else 0
        x_panels = self._panels("W_in back", width, [[W_in[:, : width and n_inputs]]], back=True)[0]
        scratch = work.take("scratch", (max(ROWS, B), self.padded_inputs), dtype)
        for piece in reversed(list(self._pieces())):
            deep_backward(
                *piece, panels, deeper, x_panels, self.skip, self.relu, self.mask, self.sizes,
                self.A, self.V, G, dH, dh, below, dA, dV, dX, scratch,
            )  # fmt: skip
        found = [dA[n + 1 :, :n].T, dA[:n, :n].T, dA[n, :n]]
        for d in dV:
            found += [d[:n, :n].T, d[n, :n]]
        d_weights = [_handed_on(var, [g]) for var, g in zip(self.parents[1:], found)]
        return (dX if wanted else None, *d_weights, dh[:, :n].copy())
