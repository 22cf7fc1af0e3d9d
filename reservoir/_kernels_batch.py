"""Compiled loop over time of many sequences: states are (n_units, n_sequences), in C order."""

from __future__ import annotations

import numpy as np

from echocast._jit import chosen_by_type, kernel

from ._kernels import activate

__all__ = ["add_products", "drive_batch"]


def add_products(weights, x, out, spare):
    """Add W x to the matrix `out`; `weights` are the `rowwise` arrays of a RecurrentPlan."""
    _product(weights)(weights, x, out, spare)


@chosen_by_type(add_products)
def _compile_products(weights, x, out, spare):
    return _product(weights)


def _product(weights):
    return _add_dense if len(weights) == 1 else _add_csr


def _add_dense(weights, x, out, spare):
    np.dot(weights[0], x, spare)
    for i in range(out.shape[0]):
        for m in range(out.shape[1]):
            out[i, m] += spare[i, m]


def _add_csr(weights, x, out, spare):
    # A weight meets a whole row of states: the gathers of one sequence become contiguous loads.
    indptr, indices, data = weights
    n_columns = out.shape[1]
    for i in range(out.shape[0]):
        row = out[i]
        first, last = indptr[i], indptr[i + 1]
        whole = last - (last - first) % 4
        for k in range(first, whole, 4):
            w0, w1, w2, w3 = data[k], data[k + 1], data[k + 2], data[k + 3]
            x0, x1 = x[indices[k]], x[indices[k + 1]]
            x2, x3 = x[indices[k + 2]], x[indices[k + 3]]
            for m in range(n_columns):
                s = row[m] + w0 * x0[m]
                s += w1 * x1[m]
                s += w2 * x2[m]
                row[m] = s + w3 * x3[m]
        for k in range(whole, last):
            w0, x0 = data[k], x[indices[k]]
            for m in range(n_columns):
                row[m] += w0 * x0[m]


@kernel
def drive_batch(weights, code, leak, x, block, scratch, spare):
    """Turn `block` (n_steps, n_units, n_sequences) from projections into states, in place."""
    one = leak.dtype.type(1)
    for t in range(block.shape[0]):
        states = block[t]
        add_products(weights, x, states, spare)
        activate(code, states.reshape(-1), scratch)
        for i in range(states.shape[0]):
            row, before = states[i], x[i]
            keep, share = one - leak[i], leak[i]
            for m in range(row.shape[0]):
                row[m] = keep * before[m] + share * row[m]
        x = states
