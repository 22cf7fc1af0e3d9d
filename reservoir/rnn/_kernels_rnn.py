"""Compiled loops over time of plain recurrent layers; for the arrays see `_kernels_steps`."""

from __future__ import annotations

from echocast._jit import kernel

from ._kernels_activations import tanh
from ._kernels_product import add_product_t, product
from ._kernels_steps import add_rows, begin_of, carry, clear, gather, hand_on, times_mask

__all__ = ["rnn_backward", "rnn_forward"]


@kernel
def rnn_forward(first, stop, X, panels, leak, relu, mask, sizes, A, G, H):
    """Run h = (1 - leak) h + leak f(W [h, 1, x]); no leak where `leak` is empty."""
    zero, one = G.dtype.type(0), G.dtype.type(1)
    n, width = H.shape[2], panels.shape[0] * panels.shape[2]
    leaky, kept = leak.shape[0] > 0, G.shape[0] == X.shape[0]
    for t in range(first, stop):
        m, s = sizes[t], t if kept else 0
        gather(H[t], X[t], mask, m, A[s])
        product(A[s][:m], panels, G[s][:m, :width])
        for b in range(m):
            g, h, new = G[s, b], H[t, b], H[t + 1, b]
            if relu:
                for i in range(n):
                    # Not a comparison the other way round, as NaN must pass.
                    g[i] = zero if g[i] <= zero else g[i]
            else:
                for i in range(n):
                    g[i] = tanh(g[i])
            if leaky:
                for i in range(n):
                    new[i] = (one - leak[i]) * h[i] + leak[i] * g[i]
            else:
                for i in range(n):
                    new[i] = g[i]
        carry(H[t], m, H[t + 1])


@kernel
def rnn_backward(
    first, stop, panels, x_panels, leak, relu, mask, sizes, A, G, dH, dh, keep, dA, dX, scratch
):
    """Add the gradients of the steps; `keep` (B, n) is scratch for what bypasses the product."""
    zero, one = G.dtype.type(0), G.dtype.type(1)
    n, width = keep.shape[1], G.shape[2] - G.shape[2] % panels.shape[2]
    leaky = leak.shape[0] > 0
    while stop > first:
        begin = begin_of(first, stop, G.shape[1])
        for t in range(stop - 1, begin - 1, -1):
            m = sizes[t]
            add_rows(dH, t, dh)
            for b in range(m):
                g, d, kept = G[t, b], dh[b], keep[b]
                if relu:
                    for i in range(n):
                        # A NaN state hands its gradient on: it must not look like an idle unit.
                        g[i] = zero if g[i] <= zero else d[i]
                else:
                    for i in range(n):
                        g[i] = d[i] * (one - g[i] * g[i])
                if leaky:
                    for i in range(n):
                        g[i] *= leak[i]
                        kept[i] = (one - leak[i]) * d[i]
            clear(G[t], m)
            product(G[t][:m, :n], panels, dh[:m])
            times_mask(dh, mask, m)
            if leaky:
                for b in range(m):
                    d, kept = dh[b], keep[b]
                    for i in range(n):
                        d[i] += kept[i]
        a, g = A[begin:stop].reshape(-1, A.shape[2]), G[begin:stop].reshape(-1, G.shape[2])
        add_product_t(a, g[:, :width], dA[:, :width])
        if dX.shape[0] > 0:
            hand_on(G[begin:stop], 0, x_panels, scratch, dX[begin:stop])
        stop = begin
