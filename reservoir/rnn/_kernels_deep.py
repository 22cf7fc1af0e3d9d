"""Compiled loops over time of layers whose transition is an MLP; for the arrays see below.

As in `_kernels_steps`, and for a transition of D layers of n units:

- `A` (T, B, n + 1 + i): what enters the first layer, the (masked) state, a one and the inputs;
- `V` (D - 1, T, B, n + 1): what enters the others, the units below and a one;
- `G` (D, T, B, stride): what each layer gives; in the backward pass the gradients of what enters
  its activation;
- `panels` of the first layer and `deeper` ones (D - 1, ...) of the others.

With `skip` the state is added to what the last layer gives, which then is linear.
"""

from __future__ import annotations

from echocast._jit import kernel

from ._kernels_activations import tanh
from ._kernels_product import add_product_t, product
from ._kernels_steps import add_rows, begin_of, carry, clear, gather, hand_on, times_mask

__all__ = ["deep_backward", "deep_forward"]


@kernel
def _activate(g, m, n, relu):
    """Apply the activation to the first `m` rows."""
    zero = g.dtype.type(0)
    for b in range(m):
        row = g[b]
        if relu:
            for i in range(n):
                # Not a comparison the other way round, as NaN must pass.
                row[i] = zero if row[i] <= zero else row[i]
        else:
            for i in range(n):
                row[i] = tanh(row[i])


@kernel
def _enter(below, m, v):
    """Copy the units of a layer and a one into the first `m` rows of what enters the next."""
    n = v.shape[1] - 1
    for b in range(m):
        source, target = below[b], v[b]
        for i in range(n):
            target[i] = source[i]
        target[n] = v.dtype.type(1)
    clear(v, m)


@kernel
def _times_slope(g, d, m, n, relu):
    """Turn what a layer gave into the gradient of what entered its activation."""
    zero, one = g.dtype.type(0), g.dtype.type(1)
    for b in range(m):
        row, back = g[b], d[b]
        if relu:
            for i in range(n):
                row[i] = zero if row[i] <= zero else back[i]
        else:
            for i in range(n):
                row[i] = back[i] * (one - row[i] * row[i])
    clear(g, m)


@kernel
def deep_forward(first, stop, X, panels, deeper, skip, relu, mask, sizes, A, V, G, H):
    """Run h = g(h, x), or h = h + g(h, x) with `skip`."""
    n, width = H.shape[2], panels.shape[0] * panels.shape[2]
    depth, kept = G.shape[0], G.shape[1] == X.shape[0]
    for t in range(first, stop):
        m, s = sizes[t], t if kept else 0
        gather(H[t], X[t], mask, m, A[s])
        product(A[s][:m], panels, G[0, s][:m, :width])
        for k in range(1, depth):
            _activate(G[k - 1, s], m, n, relu)
            _enter(G[k - 1, s], m, V[k - 1, s])
            product(V[k - 1, s][:m], deeper[k - 1], G[k, s][:m, :width])
        g, h, new = G[depth - 1, s], H[t], H[t + 1]
        if not skip:
            _activate(g, m, n, relu)
        for b in range(m):
            source, before, target = g[b], h[b], new[b]
            if skip:
                for i in range(n):
                    target[i] = before[i] + source[i]
            else:
                for i in range(n):
                    target[i] = source[i]
        carry(h, m, new)


@kernel
def deep_backward(
    first, stop, panels, deeper, x_panels, skip, relu, mask, sizes, A, V, G,
    dH, dh, below, dA, dV, dX, scratch,
):  # fmt: skip
    """Add the gradients of the steps; `below` (B, whole panels) is scratch."""
    depth, n = G.shape[0], panels.shape[1]
    width = G.shape[3] - G.shape[3] % panels.shape[2]
    while stop > first:
        begin = begin_of(first, stop, G.shape[2])
        for t in range(stop - 1, begin - 1, -1):
            m = sizes[t]
            add_rows(dH, t, dh)
            g = G[depth - 1, t]
            if skip:
                for b in range(m):
                    row, d = g[b], dh[b]
                    for i in range(n):
                        row[i] = d[i]
                clear(g, m)
            else:
                _times_slope(g, dh, m, n, relu)
            for k in range(depth - 1, 0, -1):
                product(G[k, t][:m, :n], deeper[k - 1], below[:m])
                _times_slope(G[k - 1, t], below, m, n, relu)
            product(G[0, t][:m, :n], panels, below[:m])
            times_mask(below, mask, m)
            for b in range(m):
                d, row = dh[b], below[b]
                if skip:
                    for i in range(n):
                        d[i] += row[i]
                else:
                    for i in range(n):
                        d[i] = row[i]
        a, g = A[begin:stop].reshape(-1, A.shape[2]), G[0, begin:stop].reshape(-1, G.shape[3])
        add_product_t(a, g[:, :width], dA[:, :width])
        for k in range(1, depth):
            v = V[k - 1, begin:stop].reshape(-1, V.shape[3])
            g = G[k, begin:stop].reshape(-1, G.shape[3])
            add_product_t(v, g[:, :width], dV[k - 1][:, :width])
        if dX.shape[0] > 0:
            hand_on(G[0, begin:stop], 0, x_panels, scratch, dX[begin:stop])
        stop = begin
