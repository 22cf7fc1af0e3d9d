"""Compiled loops over time of the chunks of one sequence, whose states come out as rows."""

from __future__ import annotations

import numpy as np

from echocast._jit import kernel

from ._kernels import activate
from ._kernels_batch import add_products

__all__ = ["drive_chunks", "drive_chunks_dense"]

_TILE = 8  # units written at a time: one line of the cache for each chunk
_FEW_INPUTS = 16


@kernel
def drive_chunks(weights, code, leak, W_in, u, x, work, out, scratch, spare):
    """Advance `x` (n_units, n_chunks) in place and write it to `out` (n_chunks, n_steps, n_units).

    `weights` are the `rowwise` arrays of a RecurrentPlan, `u` (n_steps, n_inputs, n_chunks) the
    inputs of `W_in` (n_units, n_inputs), `work` and `spare` have the shape of `x`.
    """
    one = leak.dtype.type(1)
    n_units, n_chunks = x.shape
    n_inputs = W_in.shape[1]
    for t in range(u.shape[0]):
        if n_inputs > _FEW_INPUTS:
            np.dot(W_in, u[t], work)
        else:
            for i in range(n_units):
                row = work[i]
                first, value = u[t, 0], W_in[i, 0]
                for m in range(n_chunks):
                    row[m] = value * first[m]
                for k in range(1, n_inputs):
                    more, value = u[t, k], W_in[i, k]
                    for m in range(n_chunks):
                        row[m] += value * more[m]
        add_products(weights, x, work, spare)
        activate(code, work.reshape(-1), scratch)
        for i in range(n_units):
            row, state = work[i], x[i]
            keep, share = one - leak[i], leak[i]
            for m in range(n_chunks):
                state[m] = keep * state[m] + share * row[m]
        for first in range(0, n_units, _TILE):
            last = min(first + _TILE, n_units)
            for m in range(n_chunks):
                line = out[m, t]
                for i in range(first, last):
                    line[i] = x[i, m]


@kernel
def drive_chunks_dense(W_T, code, leak, W_in_T, u, x, work, out, scratch, spare):
    """Do the same for a dense matrix, given the rows of chunks: `x` is (n_chunks, n_units).

    `u` is (n_steps, n_chunks, n_inputs). Rows of states times the transposed matrix are the
    faster one of the two matrix products.
    """
    one = leak.dtype.type(1)
    n_chunks, n_units = x.shape
    for t in range(u.shape[0]):
        np.dot(u[t], W_in_T, work)
        np.dot(x, W_T, spare)
        for m in range(n_chunks):
            row, more = work[m], spare[m]
            for i in range(n_units):
                row[i] += more[i]
        activate(code, work.reshape(-1), scratch)
        for m in range(n_chunks):
            row, state, line = work[m], x[m], out[m, t]
            for i in range(n_units):
                state[i] = (one - leak[i]) * state[i] + leak[i] * row[i]
                line[i] = state[i]
