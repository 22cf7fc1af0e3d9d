"""Hyperbolic tangent and logistic function of one number, in code that fills vector registers.

`math.tanh` inside a compiled loop is a call for each element, 20 to 40 times slower than these.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from echocast._jit import CONTRACT

__all__ = ["sigmoid", "tanh"]


def _inlined(stub):
    """Choose code by the type of the argument and put it into the loop that calls it."""
    options = {"fastmath": set(CONTRACT), "error_model": "numpy", "forceinline": True}
    return overload(stub, jit_options=options)


def _is_single(x):
    return str(getattr(x, "dtype", x)) == "float32"


def tanh(x):
    """Return tanh(x), NaN for NaN; largest absolute error 2.6e-7 in float32, 3e-16 in float64."""
    return _tanh32(x) if _is_single(x) else _tanh64(x)


def sigmoid(x):
    """Return 1 / (1 + exp(-x)) as half of 1 + tanh(x / 2): absolute accuracy, as gates need."""
    return _sigmoid32(x) if _is_single(x) else _sigmoid64(x)


@_inlined(tanh)
def _compile_tanh(x):
    return _tanh32 if _is_single(x) else _tanh64


@_inlined(sigmoid)
def _compile_sigmoid(x):
    return _sigmoid32 if _is_single(x) else _sigmoid64


# Beyond this the rational function, here 1 - 2e-7, would leave [-1, 1].
_LIMIT = np.float32(7.90531110763549805)
# The minimax rational function of degree 13 / 6 of the Eigen library, `generic_fast_tanh_float`.
_A1, _A3, _A5, _A7, _A9, _A11, _A13 = (
    np.float32(a)
    for a in (
        4.89352455891786e-03,
        6.37261928875436e-04,
        1.48572235717979e-05,
        5.12229709037114e-08,
        -8.60467152213735e-11,
        2.00018790482477e-13,
        -2.76076847742355e-16,
    )
)
_B0, _B2, _B4, _B6 = (
    np.float32(b)
    for b in (
        4.89352518554385e-03,
        2.26843463243900e-03,
        1.18534705686654e-04,
        1.19825839466702e-06,
    )
)
_HALF32, _HALF64 = np.float32(0.5), np.float64(0.5)


def _tanh32(x):
    # Written with `if`, as NaN must pass and not be taken for a limit.
    if x > _LIMIT:
        x = _LIMIT
    if x < -_LIMIT:
        x = -_LIMIT
    s = x * x
    p = (((((_A13 * s + _A11) * s + _A9) * s + _A7) * s + _A5) * s + _A3) * s + _A1
    q = ((_B6 * s + _B4) * s + _B2) * s + _B0
    return x * p / q


def _sigmoid32(x):
    return _HALF32 * tanh(_HALF32 * x) + _HALF32


_LOG2E = 1 / math.log(2)
# log 2 in two parts: n times the first one is exact.
_LOG2_HIGH, _LOG2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_SHIFT = 1.5 * 2.0**52
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = (
    1 / math.factorial(k) for k in range(2, 14)
)


def _power_of_two(shifted):
    """Return 2^n for the float64 ``n + 1.5 * 2**52``, whose lowest bits are those of n."""
    return 2.0 ** (shifted - _SHIFT)


@intrinsic
def _power_of_two_bits(typingctx, shifted):
    def codegen(context, builder, signature, args):
        word = ir.IntType(64)
        bits = builder.bitcast(args[0], word)
        exponent = builder.add(
            builder.shl(bits, ir.Constant(word, 52)), ir.Constant(word, 1023 << 52)
        )
        return builder.bitcast(exponent, ir.DoubleType())

    return types.float64(types.float64), codegen


@_inlined(_power_of_two)
def _compile_power_of_two(shifted):
    return lambda shifted: _power_of_two_bits(shifted)


def _tanh64(x):
    # expm1(-2 |x|) from its Taylor series after reduction by log 2; see `reservoir._kernels.tanh`.
    a = -2.0 * abs(x)
    if a < -40.0:
        a = -40.0
    shifted = a * _LOG2E + _SHIFT
    m = shifted - _SHIFT
    r = (a - m * _LOG2_HIGH) - m * _LOG2_LOW
    p = ((((_T13 * r + _T12) * r + _T11) * r + _T10) * r + _T9) * r + _T8
    p = (((((p * r + _T7) * r + _T6) * r + _T5) * r + _T4) * r + _T3) * r + _T2
    series = (r * r) * p + r
    s = _power_of_two(shifted)
    return math.copysign(((1.0 - s) - s * series) / ((1.0 + s) + s * series), x)


def _sigmoid64(x):
    return _HALF64 * tanh(_HALF64 * x) + _HALF64
