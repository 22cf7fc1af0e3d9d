"""Compiled passes over the flat gradient: its norm, clipping, and the optimisers' updates.

The numbers are rounded to the type of the arrays before the loops, which keeps float32 arrays in
float32 registers; the norm alone is computed in float64.
"""

from __future__ import annotations

import math

import numpy as np

from echocast._jit import SUMS, kernel

__all__ = ["adam", "clip", "decay", "rmsprop", "sgd"]


@kernel
def clip(grad, max_norm, clip_value):
    """Clip in place and return the norm as it was, inf or NaN if the gradient holds either.

    First every entry to [-clip_value, clip_value], then the norm of what is left to `max_norm`;
    inf switches either off. A gradient that is not finite is left alone.
    """
    before = _norm(grad)
    if not before < np.inf:
        return before
    norm = before
    if clip_value < np.inf:
        limit = grad.dtype.type(clip_value)
        for i in range(grad.shape[0]):
            grad[i] = min(max(grad[i], -limit), limit)
        norm = _norm(grad)
    if norm > max_norm:
        factor = max_norm / norm
        for i in range(grad.shape[0]):
            grad[i] = grad.dtype.type(np.float64(grad[i]) * factor)
    return before


@kernel
def _norm(grad):
    total = _squares(grad, 1.0)
    if 1e-280 < total < np.inf:
        return math.sqrt(total)
    # Squares of finite numbers over- or underflow, or something is not finite.
    largest = 0.0
    for i in range(grad.shape[0]):
        size = abs(np.float64(grad[i]))
        if not size < np.inf:
            return size
        largest = max(largest, size)
    if largest == 0.0:
        return 0.0
    # Divisors below the normal numbers have no finite inverse.
    largest = max(largest, 1e-300)
    return math.sqrt(_squares(grad, 1.0 / largest)) * largest


@kernel(fastmath=SUMS)
def _squares(grad, scale):
    total = 0.0
    for i in range(grad.shape[0]):
        g = np.float64(grad[i]) * scale
        total += g * g
    return total


@kernel
def decay(theta, mask, share):
    """Shrink the entries of `theta` where `mask` is True by `share`."""
    kept = theta.dtype.type(1.0 - share)
    for i in range(theta.shape[0]):
        if mask[i]:
            theta[i] *= kept


@kernel
def adam(theta, grad, m, v, t, lr, beta_1, beta_2, epsilon):
    """Update number `t` >= 1: moments decay by the betas, corrected for their start at zero."""
    number = theta.dtype.type
    keep_1, new_1 = number(beta_1), number(1.0 - beta_1)
    keep_2, new_2 = number(beta_2), number(1.0 - beta_2)
    step = number(lr / (1.0 - beta_1**t))
    unbiased = number(1.0 / math.sqrt(1.0 - beta_2**t))
    small = number(epsilon)
    for i in range(theta.shape[0]):
        g = grad[i]
        m[i] = keep_1 * m[i] + new_1 * g
        v[i] = keep_2 * v[i] + new_2 * g * g
        theta[i] -= step * m[i] / (np.sqrt(v[i]) * unbiased + small)


@kernel
def sgd(theta, grad, velocity, lr, momentum, nesterov):
    number = theta.dtype.type
    rate, keep = number(lr), number(momentum)
    for i in range(theta.shape[0]):
        step = rate * grad[i]
        velocity[i] = keep * velocity[i] - step
        theta[i] += keep * velocity[i] - step if nesterov else velocity[i]


@kernel
def rmsprop(theta, grad, v, lr, rho, epsilon):
    number = theta.dtype.type
    rate, keep, new, small = number(lr), number(rho), number(1.0 - rho), number(epsilon)
    for i in range(theta.shape[0]):
        g = grad[i]
        v[i] = keep * v[i] + new * g * g
        theta[i] -= rate * g / (np.sqrt(v[i]) + small)
