"""Experiment 9: the Jacobian of a tanh network over many steps, and how it vanishes with the lag.

The product of the Jacobians diag(1 - h(t)^2) W over 15 steps must be the derivative of the last
state with respect to the first one, found here by complex steps through an own forward pass. What
is left of a gradient falls with the lag, no more slowly than the largest singular value of W would
let it. The baseline leaves out the factors 1 - h(t)^2, as if the network were linear.
"""

from __future__ import annotations

import numpy as np

from echocast.reservoir import ReservoirTransformer, gradient_norm_by_lag, jacobian_product

N_UNITS, N_STEPS = 12, 15


def last_state(network, X, h):
    """The state after all rows of X, also from a complex state."""
    for x in X:
        h = np.tanh(network.W_ @ h + network.W_in_ @ x + network.b_)
    return h


def complex_step(network, X):
    """Derivative of the last state with respect to the initial one, exact up to rounding."""
    size = 1e-30  # nothing is subtracted, so it can be as small as that
    starts = 1j * size * np.eye(N_UNITS)
    return np.stack([last_state(network, X, start).imag / size for start in starts], axis=1)


def run() -> dict:
    """Relative errors of the product, and slopes of log-norms per step."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((N_STEPS, 3))
    W = rng.standard_normal((N_UNITS, N_UNITS)) / np.sqrt(N_UNITS)
    network = ReservoirTransformer(
        N_UNITS,
        topology=W,
        spectral_radius=None,
        input_scaling=1.0,
        bias_scaling=0.1,
        random_state=0,
    ).fit(X)

    exact = complex_step(network, X)
    product = jacobian_product(network, X)
    linear = np.linalg.matrix_power(W, N_STEPS)
    norms = gradient_norm_by_lag(network, X)
    slope, _ = np.polyfit(np.arange(len(norms)), np.log(norms), 1)

    def error(found):
        return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))

    return {
        "error": error(product),
        "error_without_tanh": error(linear),
        "slope": float(slope),
        "log_largest_singular_value": float(np.log(np.linalg.norm(W, 2))),
    }


if __name__ == "__main__":
    print(run())
