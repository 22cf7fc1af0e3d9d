"""Compiled loops over time of plain recurrent layers, and their gradients.

All kernels of this folder share one layout. Arrays are time-major: `G` (T, B, g n) comes with the
input projections and leaves with activated gates; `H` (T + 1, B, n) has the initial state in
front. ``sizes[t]`` sequences, the first ones, are still running at step t; a finished one carries
its state on. `mask` (B, n) multiplies the states where they enter the product with `W` (g n, n);
one without rows means none. The backward kernels put the gradients of the pre-activations into
`G`, zero where nothing runs, and turn `dh` (B, n), the gradient of the last state, into that of
the first one; `dH` (T, B, n), one of all states, may be without rows. Nothing is allocated inside.
"""

from __future__ import annotations

import numpy as np

from echocast._jit import kernel

from ._kernels_activations import tanh

__all__ = ["add_rows", "carry", "masked", "rnn_backward", "rnn_forward"]


@kernel
def masked(h, mask, m, out):
    """Return the first `m` rows of `h`, multiplied by those of `mask` into `out` if it has any."""
    if mask.shape[0] == 0:
        return h[:m]
    for b in range(m):
        row, factor, product = h[b], mask[b], out[b]
        for i in range(row.shape[0]):
            product[i] = row[i] * factor[i]
    return out[:m]


@kernel
def carry(h, m, out):
    """Copy the states of the sequences that are finished: rows from `m` on."""
    for b in range(m, h.shape[0]):
        row, target = h[b], out[b]
        for i in range(row.shape[0]):
            target[i] = row[i]


@kernel
def add_rows(dH, t, dh):
    """Add the gradient of step `t`, if there are any, to that carried back in time."""
    if dH.shape[0] > 0:
        for b in range(dh.shape[0]):
            row, target = dH[t, b], dh[b]
            for i in range(row.shape[0]):
                target[i] += row[i]


@kernel
def rnn_forward(G, W, bias, leak, relu, mask, sizes, H, P, M):
    """Run h = (1 - leak) h + leak f(G + bias + W h); no leak where `leak` is empty."""
    zero, one = bias.dtype.type(0), bias.dtype.type(1)
    n = H.shape[2]
    leaky = leak.shape[0] > 0
    for t in range(G.shape[0]):
        m = sizes[t]
        np.dot(masked(H[t], mask, m, M), W.T, P[:m])
        for b in range(m):
            g, p, h, new = G[t, b], P[b], H[t, b], H[t + 1, b]
            if relu:
                for i in range(n):
                    z = g[i] + p[i] + bias[i]
                    # Not a comparison the other way round, as NaN must pass.
                    g[i] = zero if z <= zero else z
            else:
                for i in range(n):
                    g[i] = tanh(g[i] + p[i] + bias[i])
            if leaky:
                for i in range(n):
                    new[i] = (one - leak[i]) * h[i] + leak[i] * g[i]
            else:
                for i in range(n):
                    new[i] = g[i]
        carry(H[t], m, H[t + 1])


@kernel
def rnn_backward(G, W, leak, relu, mask, sizes, dH, dh, P):
    """Turn `G`, f as `rnn_forward` left it, into gradients of the pre-activations."""
    zero, one = leak.dtype.type(0), leak.dtype.type(1)
    n = dh.shape[1]
    leaky, dropped = leak.shape[0] > 0, mask.shape[0] > 0
    for t in range(G.shape[0] - 1, -1, -1):
        m = sizes[t]
        add_rows(dH, t, dh)
        for b in range(m):
            g, d = G[t, b], dh[b]
            if relu:
                for i in range(n):
                    # A NaN state keeps its gradient: NaN > 0 is false, and so is NaN <= 0.
                    g[i] = zero if g[i] <= zero else d[i]
            else:
                for i in range(n):
                    g[i] = d[i] * (one - g[i] * g[i])
            if leaky:
                for i in range(n):
                    g[i] *= leak[i]
        for b in range(m, G.shape[1]):
            G[t, b, :] = zero
        np.dot(G[t, :m], W, P[:m])
        for b in range(m):
            p, d = P[b], dh[b]
            if dropped:
                factor = mask[b]
                for i in range(n):
                    p[i] *= factor[i]
            if leaky:
                for i in range(n):
                    d[i] = (one - leak[i]) * d[i] + p[i]
            else:
                for i in range(n):
                    d[i] = p[i]
