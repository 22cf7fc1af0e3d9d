"""Compiled closed loops: the readout's output is the next step's input."""

from __future__ import annotations

from echocast._jit import kernel
from echocast.reservoir._kernels import add_product, advance, dot_rows
from echocast.reservoir._kernels_batch import add_products

__all__ = ["loop", "loop_batch"]


@kernel
def loop(weights, code, leak, base, loop_in, coef_state, coef_output, shift, x, y, work, out):
    """Run one path; `x` and `y` are replaced by the last state and output.

    `base` (n_steps or 1, n_units) holds the bias and all outer input, `shift` (n_steps, n_outputs)
    what is added to the readout, `loop_in` and `coef_state` are (n_outputs, n_units).
    """
    n_outputs, n_units = coef_state.shape
    for t in range(out.shape[0]):
        outer = base[t if base.shape[0] > 1 else 0]
        for i in range(n_units):
            work[i] = outer[i]
        for d in range(n_outputs):
            for i in range(n_units):
                work[i] += loop_in[d, i] * y[d]
        add_product(weights, x, work)
        advance(code, leak, x, work)
        for i in range(n_units):
            x[i] = work[i]
        dot_rows(coef_state, x, out[t])
        for d in range(n_outputs):
            s = out[t, d] + shift[t, d]
            for e in range(n_outputs):
                s += coef_output[d, e] * y[e]
            out[t, d] = s
        for d in range(n_outputs):
            y[d] = out[t, d]


@kernel
def loop_batch(weights, code, leak, base, loop_in, coef_state, coef_output, shift, x, y, work, out):
    """Run many paths: `x` and `work` (n_units, n_paths), `y` (n_outputs, n_paths).

    `shift` and `out` are (n_steps, n_outputs, n_paths); the rest is as in `loop`.
    """
    n_outputs, n_units = coef_state.shape
    n_paths = x.shape[1]
    for t in range(out.shape[0]):
        outer = base[t if base.shape[0] > 1 else 0]
        for i in range(n_units):
            for m in range(n_paths):
                work[i, m] = outer[i]
            for d in range(n_outputs):
                for m in range(n_paths):
                    work[i, m] += loop_in[d, i] * y[d, m]
        add_products(weights, x, n_paths, work)
        for i in range(n_units):
            advance(code, leak[i : i + 1], x[i], work[i])
            for m in range(n_paths):
                x[i, m] = work[i, m]
        for d in range(n_outputs):
            for m in range(n_paths):
                out[t, d, m] = shift[t, d, m]
            for i in range(n_units):
                for m in range(n_paths):
                    out[t, d, m] += coef_state[d, i] * x[i, m]
            for e in range(n_outputs):
                for m in range(n_paths):
                    out[t, d, m] += coef_output[d, e] * y[e, m]
        for d in range(n_outputs):
            for m in range(n_paths):
                y[d, m] = out[t, d, m]
