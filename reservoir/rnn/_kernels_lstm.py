"""Compiled loops over time of long short-term memory; the layout is that of `_kernels_rnn`."""

from __future__ import annotations

import numpy as np

from echocast._jit import kernel

from ._kernels_activations import sigmoid, tanh
from ._kernels_rnn import add_rows, carry, masked

__all__ = ["lstm_backward", "lstm_forward"]


@kernel
def lstm_forward(G, W, bias, mask, sizes, H, C, P, M):
    """Run the cells `C` (T + 1, B, n); gates in the order input, forget, cell, output."""
    n = H.shape[2]
    for t in range(G.shape[0]):
        m = sizes[t]
        np.dot(masked(H[t], mask, m, M), W.T, P[:m])
        for b in range(m):
            g, p, c, new, h = G[t, b], P[b], C[t, b], C[t + 1, b], H[t + 1, b]
            for i in range(2 * n):
                g[i] = sigmoid(g[i] + p[i] + bias[i])
            for i in range(2 * n, 3 * n):
                g[i] = tanh(g[i] + p[i] + bias[i])
            for i in range(3 * n, 4 * n):
                g[i] = sigmoid(g[i] + p[i] + bias[i])
            gi, gf, gg, go = g[:n], g[n : 2 * n], g[2 * n : 3 * n], g[3 * n :]
            for i in range(n):
                c_new = gf[i] * c[i] + gi[i] * gg[i]
                new[i] = c_new
                h[i] = go[i] * tanh(c_new)
        carry(H[t], m, H[t + 1])
        carry(C[t], m, C[t + 1])


@kernel
def lstm_backward(G, W, mask, sizes, C, dH, dh, dc, P):
    """Turn the gates `G` into gradients; `dc` (B, n) is that of the last, then the first cell."""
    zero, one = dh.dtype.type(0), dh.dtype.type(1)
    n = dh.shape[1]
    dropped = mask.shape[0] > 0
    for t in range(G.shape[0] - 1, -1, -1):
        m = sizes[t]
        add_rows(dH, t, dh)
        for b in range(m):
            g, c, new, d, e = G[t, b], C[t, b], C[t + 1, b], dh[b], dc[b]
            gi, gf, gg, go = g[:n], g[n : 2 * n], g[2 * n : 3 * n], g[3 * n :]
            for i in range(n):
                vi, vf, vg, vo, tc = gi[i], gf[i], gg[i], go[i], tanh(new[i])
                de = e[i] + d[i] * vo * (one - tc * tc)
                gi[i] = de * vg * vi * (one - vi)
                gf[i] = de * c[i] * vf * (one - vf)
                gg[i] = de * vi * (one - vg * vg)
                go[i] = d[i] * tc * vo * (one - vo)
                e[i] = de * vf
        for b in range(m, G.shape[1]):
            G[t, b, :] = zero
        np.dot(G[t, :m], W, P[:m])
        for b in range(m):
            p, d = P[b], dh[b]
            if dropped:
                factor = mask[b]
                for i in range(n):
                    d[i] = p[i] * factor[i]
            else:
                for i in range(n):
                    d[i] = p[i]
