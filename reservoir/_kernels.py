"""Compiled loop over time of one sequence, and what every loop needs: products and activations."""

from __future__ import annotations

import math

import numpy as np

from echocast._jit import SUMS, chosen_by_type, kernel

__all__ = ["CHUNK", "activate", "add_product", "dot", "drive"]

# Entries that `activate` handles at once: its scratch stays in the first-level cache.
CHUNK = 512


@kernel(fastmath=SUMS)
def dot(a, b):
    """Return the inner product of two vectors."""
    s = a.dtype.type(0)
    for i in range(a.shape[0]):
        s += a[i] * b[i]
    return s


def add_product(weights, x, out, scratch):
    """Add W x to `out`.

    `weights` are the arrays of a RecurrentPlan: the layout is known when compiling. Each branch
    adds the terms of a unit in the order of k, so all of them round alike. Unsigned indices need
    no test for negative ones, nor do those of a slice counted from zero.
    """
    _product(weights)(weights, x, out, scratch)


@chosen_by_type(add_product)
def _compile_product(weights, x, out, scratch):
    return _product(weights)


def _product(weights):
    if len(weights) == 1:
        return _add_dense
    if len(weights) == 3:
        return _add_csr
    return _add_shift if weights[0].ndim == 1 else _add_ell


def _add_dense(weights, x, out, scratch):
    # As fast as BLAS, and the sum does not depend on the number of its threads.
    W = weights[0]
    for i in range(out.shape[0]):
        out[i] += dot(W[i], x)


def _add_csr(weights, x, out, scratch):
    indptr, indices, data = weights
    for i in range(out.shape[0]):
        columns, values = indices[indptr[i] : indptr[i + 1]], data[indptr[i] : indptr[i + 1]]
        s = out[i]
        for k in range(values.shape[0]):
            s += values[k] * x[columns[k]]
        out[i] = s


def _add_ell(weights, x, out, scratch):
    # Four units at a time are four independent chains of multiply-adds.
    indices, values = weights
    n, width = out.shape[0], values.shape[0]
    whole = n - n % 4
    for i in range(0, whole, 4):
        s0, s1, s2, s3 = out[i], out[i + 1], out[i + 2], out[i + 3]
        for k in range(width):
            s0 += values[k, i] * x[indices[k, i]]
            s1 += values[k, i + 1] * x[indices[k, i + 1]]
            s2 += values[k, i + 2] * x[indices[k, i + 2]]
            s3 += values[k, i + 3] * x[indices[k, i + 3]]
        out[i], out[i + 1], out[i + 2], out[i + 3] = s0, s1, s2, s3
    for i in range(whole, n):
        s = out[i]
        for k in range(width):
            s += values[k, i] * x[indices[k, i]]
        out[i] = s


def _add_shift(weights, x, out, scratch):
    # The state is kept twice in a row, so a cyclic diagonal is one contiguous stretch of it.
    offsets, values = weights
    twice = scratch[3]
    n, width = out.shape[0], values.shape[0]
    for i in range(n):
        twice[i] = x[i]
        twice[n + i] = x[i]
    whole = width - width % 4
    for k in range(0, whole, 4):
        x0, x1 = twice[offsets[k] :][:n], twice[offsets[k + 1] :][:n]
        x2, x3 = twice[offsets[k + 2] :][:n], twice[offsets[k + 3] :][:n]
        v0, v1, v2, v3 = values[k], values[k + 1], values[k + 2], values[k + 3]
        for i in range(n):
            s = out[i] + v0[i] * x0[i]
            s += v1[i] * x1[i]
            s += v2[i] * x2[i]
            out[i] = s + v3[i] * x3[i]
    for k in range(whole, width):
        x0, v0 = twice[offsets[k] :][:n], values[k]
        for i in range(n):
            out[i] += v0[i] * x0[i]


def tanh(z, scratch):
    """Replace at most `CHUNK` entries of `z` by their hyperbolic tangents, NaN by NaN.

    With ``-2|z| = n log 2 + r`` and p = expm1(r) from its Taylor series, ``e = exp(-2|z|)`` is
    ``s + s p`` for s = 2^n, and ``tanh|z| = (1 - e) / (1 + e)``; the numerator is formed as
    ``(1 - s) - s p``, which keeps all digits for small z. Adding the constant `_SHIFT` rounds to
    n and leaves it in the lowest bits, from where a shift of integers moves it to the exponent.
    The loops are separate because each one alone is turned into vector instructions. Largest
    relative error found: 3.4e-16 in float64, 1.7e-7 in float32.
    """
    _tanh(z)(z, scratch)


@chosen_by_type(tanh)
def _compile_tanh(z, scratch):
    return _tanh(z)


def _tanh(z):
    return _tanh32 if str(z.dtype) == "float32" else _tanh64


_LOG2E = 1 / math.log(2)
# log 2 in two parts: n times the first one is exact.
_LOG2_HIGH, _LOG2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_SHIFT = 1.5 * 2.0**52
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = (
    1 / math.factorial(k) for k in range(2, 14)
)
_BIAS = np.int64(1023 << 52)


def _tanh64(z, scratch):
    series, scale, bits = scratch[0], scratch[1], scratch[2]
    n = z.shape[0]
    for i in range(n):
        a = -2.0 * abs(z[i])
        if a < -40.0:
            a = -40.0
        shifted = a * _LOG2E + _SHIFT
        scale[i] = shifted
        m = shifted - _SHIFT
        r = (a - m * _LOG2_HIGH) - m * _LOG2_LOW
        p = ((((_T13 * r + _T12) * r + _T11) * r + _T10) * r + _T9) * r + _T8
        p = (((((p * r + _T7) * r + _T6) * r + _T5) * r + _T4) * r + _T3) * r + _T2
        series[i] = (r * r) * p + r
    for i in range(n):
        bits[i] = (bits[i] << 52) + _BIAS
    for i in range(n):
        s = scale[i]
        z[i] = math.copysign(((1.0 - s) - s * series[i]) / ((1.0 + s) + s * series[i]), z[i])


_F1, _F2, _F20 = np.float32(1), np.float32(-2), np.float32(-20)
_F_LOG2E, _F_SHIFT = np.float32(_LOG2E), np.float32(1.5 * 2.0**23)
_F_LOG2_HIGH, _F_LOG2_LOW = np.float32(0.693359375), np.float32(math.log(2) - 0.693359375)
_F_T2, _F_T3, _F_T4, _F_T5, _F_T6, _F_T7 = (np.float32(1 / math.factorial(k)) for k in range(2, 8))
_F_BIAS = np.int32(127 << 23)


def _tanh32(z, scratch):
    series, scale, bits = scratch[0], scratch[1], scratch[2]
    n = z.shape[0]
    for i in range(n):
        a = _F2 * abs(z[i])
        if a < _F20:
            a = _F20
        shifted = a * _F_LOG2E + _F_SHIFT
        scale[i] = shifted
        m = shifted - _F_SHIFT
        r = (a - m * _F_LOG2_HIGH) - m * _F_LOG2_LOW
        p = ((((_F_T7 * r + _F_T6) * r + _F_T5) * r + _F_T4) * r + _F_T3) * r + _F_T2
        series[i] = (r * r) * p + r
    for i in range(n):
        bits[i] = (bits[i] << 23) + _F_BIAS
    for i in range(n):
        s = scale[i]
        z[i] = math.copysign(((_F1 - s) - s * series[i]) / ((_F1 + s) + s * series[i]), z[i])


@kernel
def activate(code, pre, scratch):
    """Apply the activation in place to the vector `pre`; see `_activations` for the codes."""
    zero, half = pre.dtype.type(0), pre.dtype.type(0.5)
    for first in range(0, pre.shape[0], CHUNK):
        z = pre[first : first + CHUNK]
        if code == 0:
            tanh(z, scratch)
        elif code == 1:
            for i in range(z.shape[0]):
                if z[i] <= zero:
                    z[i] = zero
        elif code == 2:
            for i in range(z.shape[0]):
                z[i] *= half
            tanh(z, scratch)
            for i in range(z.shape[0]):
                z[i] = half * z[i] + half
        elif code == 4:
            for i in range(z.shape[0]):
                z[i] = math.sin(z[i])


@kernel
def drive(weights, code, leak, x, block, scratch):
    """Turn the rows of `block` from input projections into states, in place; `x` precedes them."""
    one = leak.dtype.type(1)
    for t in range(block.shape[0]):
        row = block[t]
        add_product(weights, x, row, scratch)
        activate(code, row, scratch)
        for i in range(row.shape[0]):
            row[i] = (one - leak[i]) * x[i] + leak[i] * row[i]
        x = row
