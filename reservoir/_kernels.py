"""Compiled steps of one sequence: product with W, activation and leak, and the loop over time."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from echocast._jit import CONTRACT, SUMS, kernel

__all__ = ["add_product", "advance", "dot_rows", "drive"]

_OPTIONS = {"fastmath": set(CONTRACT), "error_model": "numpy"}


def add_product(weights, x, out):
    """Add W x to `out`; the layout of `weights` is seen from its type when compiling."""
    raise NotImplementedError


@overload(add_product, jit_options=_OPTIONS)
def _add_product(weights, x, out):
    if len(weights) == 1:
        return _add_dense
    if len(weights) == 3:
        return _add_csr
    if weights[0].ndim == 1:
        return _add_shift
    return _add_ell


def _add_dense(weights, x, out):
    out += np.dot(weights[0], x)


def _add_csr(weights, x, out):
    indptr, indices, data = weights
    for i in range(out.shape[0]):
        s = out[i]
        for k in range(indptr[i], indptr[i + 1]):
            s += data[k] * x[indices[k]]
        out[i] = s


def _add_ell(weights, x, out):
    indices, values = weights
    for i in range(out.shape[0]):
        s = out[i]
        for k in range(values.shape[0]):
            s += values[k, i] * x[indices[k, i]]
        out[i] = s


def _add_shift(weights, x, out):
    offsets, values = weights
    n = out.shape[0]
    for k in range(offsets.shape[0]):
        o = offsets[k]
        for i in range(n - o):
            out[i] += values[k, i] * x[i + o]
        for i in range(n - o, n):
            out[i] += values[k, i] * x[i + o - n]


@kernel
def advance(code, leak, x, pre):
    """Replace the pre-activations `pre` by the next state; `x` is the state before."""
    for i in range(pre.shape[0]):
        z = pre[i]
        if code == 0:
            f = np.tanh(z)
        elif code == 1:
            f = z if not z <= 0 else z * 0
        elif code == 2:
            f = np.tanh(z / 2) / 2 + 1 / 2
        elif code == 3:
            f = z
        else:
            f = np.sin(z)
        a = leak[i] if leak.shape[0] > 1 else leak[0]
        pre[i] = (1 - a) * x[i] + a * f


@kernel
def drive(weights, code, leak, x, block):
    """Turn the rows of `block` from input projections into states, in place; `x` precedes them."""
    for t in range(block.shape[0]):
        row = block[t]
        add_product(weights, x, row)
        advance(code, leak, x, row)
        x = row


@kernel(fastmath=SUMS)
def dot_rows(A, x, out):
    """Write A x to `out`."""
    for d in range(A.shape[0]):
        s = x.dtype.type(0)
        for i in range(x.shape[0]):
            s += A[d, i] * x[i]
        out[d] = s
