"""Compiled closed loops: the readout's output is the next step's input."""

from __future__ import annotations

from echocast._jit import SUMS, kernel
from echocast.reservoir._kernels import activate, add_product
from echocast.reservoir._kernels_batch import add_products

__all__ = ["loop", "loop_batch"]


@kernel(fastmath=SUMS)
def _dot(a, b):
    s = a.dtype.type(0)
    for i in range(a.shape[0]):
        s += a[i] * b[i]
    return s


@kernel
def _add_scaled(factor, vector, out):
    """Add ``factor * vector`` to `out`."""
    for m in range(out.shape[0]):
        out[m] += factor * vector[m]


@kernel
def loop(
    weights, code, leak, base, loop_in, coef_state, coef_output, shift, x, y, out, work, scratch
):
    """Run one path; `x` and `y` are replaced by the last state and output.

    `base` (n_steps or 1, n_units) holds the bias and all outer input, `shift` (n_steps, n_outputs)
    what is added to the readout, `loop_in` and `coef_state` are (n_outputs, n_units).
    """
    n_outputs, n_units = coef_state.shape
    one = leak.dtype.type(1)
    for t in range(out.shape[0]):
        work[:] = base[t if base.shape[0] > 1 else 0]
        for d in range(n_outputs):
            column, value = loop_in[d], y[d]
            for i in range(n_units):
                work[i] += column[i] * value
        add_product(weights, x, work, scratch)
        activate(code, work, scratch)
        for i in range(n_units):
            x[i] = (one - leak[i]) * x[i] + leak[i] * work[i]
        for d in range(n_outputs):
            out[t, d] = shift[t, d] + _dot(coef_state[d], x) + _dot(coef_output[d], y)
        y[:] = out[t]


@kernel
def loop_batch(
    weights,
    code,
    leak,
    base,
    loop_in,
    coef_state,
    coef_output,
    shift,
    x,
    y,
    out,
    work,
    scratch,
    spare,
):
    """Run many paths: `x`, `work` and `spare` (n_units, n_paths), `y` (n_outputs, n_paths).

    `shift` and `out` are (n_steps, n_outputs, n_paths); the rest is as in `loop`.
    """
    n_outputs, n_units = coef_state.shape
    one = leak.dtype.type(1)
    for t in range(out.shape[0]):
        outer = base[t if base.shape[0] > 1 else 0]
        for i in range(n_units):
            row = work[i]
            row[:] = outer[i]
            for d in range(n_outputs):
                _add_scaled(loop_in[d, i], y[d], row)
        add_products(weights, x, work, spare)
        activate(code, work.reshape(-1), scratch)
        output = out[t]
        output[:] = shift[t]
        for d in range(n_outputs):
            for e in range(n_outputs):
                _add_scaled(coef_output[d, e], y[e], output[d])
        for i in range(n_units):
            row, state = work[i], x[i]
            keep, share = one - leak[i], leak[i]
            for m in range(row.shape[0]):
                state[m] = keep * state[m] + share * row[m]
            for d in range(n_outputs):
                _add_scaled(coef_state[d, i], state, output[d])
        y[:] = output
