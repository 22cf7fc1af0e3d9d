"""Compiled loops over time of gated recurrent units; the layout is that of `_kernels_rnn`."""

from __future__ import annotations

import numpy as np

from echocast._jit import kernel

from ._kernels_activations import sigmoid, tanh
from ._kernels_rnn import add_rows, carry, masked

__all__ = ["gru_backward", "gru_forward"]


@kernel
def gru_forward(G, W, bias, bias_n, mask, sizes, H, Q, P, M):
    """Run the states; gates in the order reset, update, new. `Q` (T, B, n) gets what r multiplies.

    The reset gate r is applied after the product: n = tanh(G_n + bias + r (W_n h + bias_n)).
    """
    n = H.shape[2]
    for t in range(G.shape[0]):
        m = sizes[t]
        np.dot(masked(H[t], mask, m, M), W.T, P[:m])
        for b in range(m):
            g, p, q, h, new = G[t, b], P[b], Q[t, b], H[t, b], H[t + 1, b]
            for i in range(2 * n):
                g[i] = sigmoid(g[i] + p[i] + bias[i])
            gr, gz, gn, pn, bn = g[:n], g[n : 2 * n], g[2 * n :], p[2 * n :], bias[2 * n :]
            for i in range(n):
                product = pn[i] + bias_n[i]
                v = tanh(gn[i] + bn[i] + gr[i] * product)
                q[i] = product
                gn[i] = v
                new[i] = v + gz[i] * (h[i] - v)
        carry(H[t], m, H[t + 1])


@kernel
def gru_backward(G, W, mask, sizes, H, Q, dH, dh, P, R):
    """Turn `G` into gradients of the pre-activations and `Q` into those of what r multiplies.

    `P` (B, n) and `R` (B, 3 n) are scratch.
    """
    zero, one = dh.dtype.type(0), dh.dtype.type(1)
    n = dh.shape[1]
    dropped = mask.shape[0] > 0
    for t in range(G.shape[0] - 1, -1, -1):
        m = sizes[t]
        add_rows(dH, t, dh)
        for b in range(m):
            g, q, h, d, r = G[t, b], Q[t, b], H[t, b], dh[b], R[b]
            gr, gz, gn = g[:n], g[n : 2 * n], g[2 * n :]
            rr, rz, rn = r[:n], r[n : 2 * n], r[2 * n :]
            for i in range(n):
                vr, vz, vn = gr[i], gz[i], gn[i]
                dn = d[i] * (one - vz) * (one - vn * vn)
                dz = d[i] * (h[i] - vn) * vz * (one - vz)
                dr = dn * q[i] * vr * (one - vr)
                dq = dn * vr
                gr[i], gz[i], gn[i], q[i] = dr, dz, dn, dq
                rr[i], rz[i], rn[i] = dr, dz, dq
                d[i] *= vz
        for b in range(m, G.shape[1]):
            G[t, b, :] = zero
            Q[t, b, :] = zero
        np.dot(R[:m], W, P[:m])
        for b in range(m):
            p, d = P[b], dh[b]
            if dropped:
                factor = mask[b]
                for i in range(n):
                    d[i] += p[i] * factor[i]
            else:
                for i in range(n):
                    d[i] += p[i]
