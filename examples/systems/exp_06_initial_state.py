"""Experiment 6: the initial state, fixed at zero or trained, where nothing else starts a motion.

A network without inputs and without biases shall emit a sine of 12 steps. From the state zero it
never moves, since tanh(0) = 0, and its error is the variance of the sine; a trained initial state
does it. Biases are held at zero by projection: they are set back after each update.
"""

from __future__ import annotations

import numpy as np

from echocast.reservoir import RNNRegressor

N_STEPS, N_UPDATES = 12, 700


def without_biases(network):
    """Set the biases to zero, through the views of the parameters."""
    for name, values in network.params_.items():
        if name.endswith(".b"):
            values[:] = 0.0
    return network


def error(h0, y, seed):
    """Mean squared error after training, without inputs: those are zero."""
    X = np.zeros((1, N_STEPS, 1))
    network = RNNRegressor(
        hidden_layer_sizes=16, h0=h0, max_iter=0, learning_rate_init=5e-3, random_state=seed
    )
    without_biases(network.fit(X, y))
    for _ in range(N_UPDATES):
        without_biases(network.partial_fit(X, y))
    return float(np.mean((network.predict(X) - y) ** 2))


def run(seed: int = 0) -> dict:
    """Mean squared errors, and the variance of the sine."""
    y = np.sin(2 * np.pi * np.arange(N_STEPS) / N_STEPS)[None, :, None]
    return {
        "mse_learned": error("learned", y, seed),
        "mse_zeros": error("zeros", y, seed),
        "variance": float(y.var()),
    }


if __name__ == "__main__":
    print(run())
