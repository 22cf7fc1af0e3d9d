"""Gradients by central differences along random unit vectors."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose


def central_difference(loss, theta, direction, step=None):
    """Slope of a scalar function of an array along a direction; error of order step ** 2."""
    if step is None:
        step = np.finfo(np.float64).eps ** (1 / 3)
    return (loss(theta + step * direction) - loss(theta - step * direction)) / (2 * step)


def unit_vector(rng, shape):
    """A random direction of length 1."""
    direction = rng.standard_normal(shape)
    return direction / np.linalg.norm(direction)


def assert_gradient(loss, theta, grad, rng, n_directions=5, tol=1e-6):
    """`grad @ v` is the slope of `loss` at `theta` along random unit vectors v, all in float64.

    `tol` is relative to the length of the gradient: the truncation error of the differences is
    about eps ** (2 / 3) = 4e-11 times third derivatives, their rounding error about as much.
    """
    assert grad.shape == theta.shape
    scale = max(1.0, float(np.linalg.norm(grad)))
    for _ in range(n_directions):
        v = unit_vector(rng, theta.shape)
        assert_allclose(
            np.vdot(grad, v), central_difference(loss, theta, v), rtol=0, atol=tol * scale
        )
