"""Compiled closed loops: the readout's output is the next step's input."""

from __future__ import annotations

import numpy as np

from echocast._jit import kernel

from ._kernels import activate, add_product, dot
from ._kernels_batch import add_products

__all__ = ["loop", "loop_batch"]


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
        outer = base[t if base.shape[0] > 1 else 0]
        for i in range(n_units):
            work[i] = outer[i]
        for d in range(n_outputs):
            column, value = loop_in[d], y[d]
            for i in range(n_units):
                work[i] += column[i] * value
        add_product(weights, x, work, scratch)
        activate(code, work, scratch)
        for i in range(n_units):
            x[i] = (one - leak[i]) * x[i] + leak[i] * work[i]
        for d in range(n_outputs):
            out[t, d] = shift[t, d] + dot(coef_state[d], x) + dot(coef_output[d], y)
        for d in range(n_outputs):
            y[d] = out[t, d]


@kernel
def loop_batch(weights, code, leak, base, coef, shift, xy, out, work, scratch, spare):
    """Run many paths; `xy` (n_units + n_outputs, n_paths) holds states above outputs.

    `weights` are [W, loop_in] and `coef` is [coef_state, coef_output], so that one product does
    for states and outputs; `shift` and `out` are (n_steps, n_outputs, n_paths), `work` and
    `spare` (n_units, n_paths). `base` is as in `loop`.
    """
    n_units, n_paths = work.shape
    one = leak.dtype.type(1)
    for t in range(out.shape[0]):
        outer = base[t if base.shape[0] > 1 else 0]
        for i in range(n_units):
            for m in range(n_paths):
                work[i, m] = outer[i]
        add_products(weights, xy, work, spare)
        activate(code, work.reshape(-1), scratch)
        for i in range(n_units):
            row, state = work[i], xy[i]
            keep, share = one - leak[i], leak[i]
            for m in range(n_paths):
                state[m] = keep * state[m] + share * row[m]
        output = out[t]
        np.dot(coef, xy, output)
        for d in range(output.shape[0]):
            for m in range(n_paths):
                output[d, m] += shift[t, d, m]
                xy[n_units + d, m] = output[d, m]
