"""Compiled loops over time of gated recurrent units; for the arrays see `_kernels_steps`.

The reset gate r is applied after the product: n = tanh(W_in x + b + r q) with q = W h + b_n. So
the blocks of `G` are q, then (r, z), then n: the first two read the states, the last two the
inputs, and each pair stands side by side.
"""

from __future__ import annotations

from echocast._jit import kernel

from ._kernels_activations import sigmoid, tanh
from ._kernels_product import add_product_t, product
from ._kernels_steps import add_rows, begin_of, carry, clear, gather, hand_on, times_mask

__all__ = ["gru_backward", "gru_forward"]


@kernel
def gru_forward(first, stop, X, q_panels, rz_panels, n_panels, mask, sizes, A, G, H):
    """Run the states; the panels are those of [h, 1], of [h, 1, x] and of [1, x]."""
    n, kept = H.shape[2], G.shape[0] == X.shape[0]
    at_rz = q_panels.shape[0] * q_panels.shape[2]
    at_n = at_rz + rz_panels.shape[0] * q_panels.shape[2]
    for t in range(first, stop):
        m, s = sizes[t], t if kept else 0
        gather(H[t], X[t], mask, m, A[s])
        product(A[s][:m, : n + 1], q_panels, G[s][:m, :at_rz])
        product(A[s][:m], rz_panels, G[s][:m, at_rz:at_n])
        product(A[s][:m, n:], n_panels, G[s][:m, at_n : at_n + at_rz])
        for b in range(m):
            g, h, new = G[s, b], H[t, b], H[t + 1, b]
            gq, gr, gz = g[:n], g[at_rz : at_rz + n], g[at_rz + n : at_rz + 2 * n]
            grz, gn = g[at_rz : at_rz + 2 * n], g[at_n : at_n + n]
            for i in range(2 * n):
                grz[i] = sigmoid(grz[i])
            for i in range(n):
                value = tanh(gn[i] + gr[i] * gq[i])
                gn[i] = value
                new[i] = value + gz[i] * (h[i] - value)
        carry(H[t], m, H[t + 1])


@kernel
def gru_backward(
    first, stop, panels, x_panels, at_rz, at_n, mask, sizes, A, G, H, dH, dh, keep, dA, dX, scratch
):
    """Add the gradients of the steps; `keep` (B, n) is scratch for what bypasses the product."""
    one = G.dtype.type(1)
    n = H.shape[2]
    while stop > first:
        begin = begin_of(first, stop, G.shape[1])
        for t in range(stop - 1, begin - 1, -1):
            m = sizes[t]
            add_rows(dH, t, dh)
            for b in range(m):
                g, h, d, kept = G[t, b], H[t, b], dh[b], keep[b]
                gq, gr, gz = g[:n], g[at_rz : at_rz + n], g[at_rz + n : at_rz + 2 * n]
                gn = g[at_n : at_n + n]
                for i in range(n):
                    vq, vr, vz, vn, vd = gq[i], gr[i], gz[i], gn[i], d[i]
                    dn = vd * (one - vz) * (one - vn * vn)
                    gz[i] = vd * (h[i] - vn) * vz * (one - vz)
                    gr[i] = dn * vq * vr * (one - vr)
                    gq[i] = dn * vr
                    gn[i] = dn
                    kept[i] = vd * vz
            clear(G[t], m)
            product(G[t][:m, : panels.shape[1]], panels, dh[:m])
            times_mask(dh, mask, m)
            for b in range(m):
                d, kept = dh[b], keep[b]
                for i in range(n):
                    d[i] += kept[i]
        a, g = A[begin:stop].reshape(-1, A.shape[2]), G[begin:stop].reshape(-1, G.shape[2])
        add_product_t(a[:, : n + 1], g[:, :at_rz], dA[: n + 1, :at_rz])
        add_product_t(a, g[:, at_rz:at_n], dA[:, at_rz:at_n])
        add_product_t(a[:, n:], g[:, at_n : at_n + at_rz], dA[n:, at_n : at_n + at_rz])
        if dX.shape[0] > 0:
            hand_on(G[begin:stop], at_rz, x_panels, scratch, dX[begin:stop])
        stop = begin
