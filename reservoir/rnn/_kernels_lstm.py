"""Compiled loops over time of long short-term memory; for the arrays see `_kernels_steps`."""

from __future__ import annotations

from echocast._jit import kernel

from ._kernels_activations import sigmoid, tanh
from ._kernels_product import add_product_t, product
from ._kernels_steps import add_rows, begin_of, carry, clear, gather, hand_on, times_mask

__all__ = ["lstm_backward", "lstm_forward"]


@kernel
def lstm_forward(first, stop, X, panels, mask, sizes, A, G, H, C):
    """Run the cells `C` and the states; gates in the order input, forget, cell, output."""
    n, width = H.shape[2], panels.shape[0] * panels.shape[2]
    kept = G.shape[0] == X.shape[0]
    for t in range(first, stop):
        m, s = sizes[t], t if kept else 0
        now, then = C[t % C.shape[0]], C[(t + 1) % C.shape[0]]
        gather(H[t], X[t], mask, m, A[s])
        product(A[s][:m], panels, G[s][:m, :width])
        for b in range(m):
            g, c, new, h = G[s, b], now[b], then[b], H[t + 1, b]
            gi, gf, gg, go = g[:n], g[n : 2 * n], g[2 * n : 3 * n], g[3 * n : 4 * n]
            for i in range(2 * n):
                g[i] = sigmoid(g[i])
            for i in range(n):
                gg[i] = tanh(gg[i])
            for i in range(n):
                go[i] = sigmoid(go[i])
            for i in range(n):
                value = gf[i] * c[i] + gi[i] * gg[i]
                new[i] = value
                h[i] = go[i] * tanh(value)
        carry(H[t], m, H[t + 1])
        carry(now, m, then)


@kernel
def lstm_backward(first, stop, panels, x_panels, mask, sizes, A, G, C, dH, dh, dc, dA, dX, scratch):
    """Add the gradients of the steps; `dc` (B, n) is that of the last, then of the first cell."""
    one = G.dtype.type(1)
    n, width = dc.shape[1], G.shape[2] - G.shape[2] % panels.shape[2]
    while stop > first:
        begin = begin_of(first, stop, G.shape[1])
        for t in range(stop - 1, begin - 1, -1):
            m = sizes[t]
            add_rows(dH, t, dh)
            for b in range(m):
                g, c, new, d, e = G[t, b], C[t, b], C[t + 1, b], dh[b], dc[b]
                gi, gf, gg, go = g[:n], g[n : 2 * n], g[2 * n : 3 * n], g[3 * n : 4 * n]
                for i in range(n):
                    vi, vf, vg, vo, tc = gi[i], gf[i], gg[i], go[i], tanh(new[i])
                    de = e[i] + d[i] * vo * (one - tc * tc)
                    gi[i] = de * vg * vi * (one - vi)
                    gf[i] = de * c[i] * vf * (one - vf)
                    gg[i] = de * vi * (one - vg * vg)
                    go[i] = d[i] * tc * vo * (one - vo)
                    e[i] = de * vf
            clear(G[t], m)
            product(G[t][:m, : 4 * n], panels, dh[:m])
            times_mask(dh, mask, m)
        a, g = A[begin:stop].reshape(-1, A.shape[2]), G[begin:stop].reshape(-1, G.shape[2])
        add_product_t(a, g[:, :width], dA[:, :width])
        if dX.shape[0] > 0:
            hand_on(G[begin:stop], 0, x_panels, scratch, dX[begin:stop])
        stop = begin
