"""Compiled steps of many sequences at once: states are (n_units, n_sequences), in C order."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from echocast._jit import CONTRACT, kernel
from echocast.reservoir._kernels import advance

__all__ = ["add_products", "drive_batch"]

_OPTIONS = {"fastmath": set(CONTRACT), "error_model": "numpy"}


def add_products(weights, x, active, out):
    """Add W x to `out` in the first `active` columns."""
    raise NotImplementedError


@overload(add_products, jit_options=_OPTIONS)
def _add_products(weights, x, active, out):
    if len(weights) == 1:
        return _add_dense
    if len(weights) == 3:
        return _add_csr
    if weights[0].ndim == 1:
        return _add_shift
    return _add_ell


def _add_dense(weights, x, active, out):
    out += np.dot(weights[0], x)


def _add_csr(weights, x, active, out):
    indptr, indices, data = weights
    for i in range(out.shape[0]):
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            w = data[k]
            for m in range(active):
                out[i, m] += w * x[j, m]


def _add_ell(weights, x, active, out):
    indices, values = weights
    for i in range(out.shape[0]):
        for k in range(values.shape[0]):
            j = indices[k, i]
            w = values[k, i]
            for m in range(active):
                out[i, m] += w * x[j, m]


def _add_shift(weights, x, active, out):
    offsets, values = weights
    n = out.shape[0]
    for i in range(n):
        for k in range(offsets.shape[0]):
            j = i + offsets[k]
            if j >= n:
                j -= n
            w = values[k, i]
            for m in range(active):
                out[i, m] += w * x[j, m]


@kernel
def drive_batch(weights, code, leak, x, active, block):
    """Turn `block` (n_steps, n_units, n_sequences) from projections into states, in place.

    At step t only the first ``active[t]`` columns are alive; the others are left as they are.
    """
    for t in range(block.shape[0]):
        row = block[t]
        width = active[t]
        add_products(weights, x, width, row)
        for i in range(row.shape[0]):
            advance(code, leak[i : i + 1], x[i, :width], row[i, :width])
        x = row
