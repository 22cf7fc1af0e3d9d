"""Experiment 20: gated cells carry a number over a hundred steps, a plain network does not.

The adding problem with sequences of 100 steps: LSTM and GRU layers of 32 units learn it, a plain
recurrent layer with the small uniform weights that are the default elsewhere stays where it began,
at the error of always answering the mean.
"""

from __future__ import annotations

import numpy as np

from echocast.datasets import adding_problem
from echocast.reservoir import RNNRegressor

N_STEPS = 100
ARMS = {"lstm": ("lstm", "orthogonal"), "gru": ("gru", "orthogonal"), "tanh": ("tanh", "uniform")}


def run(seed: int = 0) -> dict:
    """Mean squared errors on new sequences, the worst (of the plain network: best) of two seeds."""
    errors = {name: [] for name in ARMS}
    for one in (seed, seed + 1):
        X, y = adding_problem(9600, N_STEPS, random_state=1000 + one)
        X_new, y_new = adding_problem(2000, N_STEPS, random_state=2000 + one)
        for name, (cell, weight_init) in ARMS.items():
            network = RNNRegressor(
                hidden_layer_sizes=32,
                cell=cell,
                weight_init=weight_init,
                learning_rate_init=1e-2,
                batch_size=64,
                max_iter=10,
                max_norm=1.0,
                random_state=one,
            ).fit(X, y)
            errors[name].append(float(np.mean((network.predict(X_new) - y_new) ** 2)))
    return {
        "mse_lstm": max(errors["lstm"]),
        "mse_gru": max(errors["gru"]),
        "mse_tanh": min(errors["tanh"]),
        "mse_mean": float(np.mean((y_new - 1) ** 2)),
    }


if __name__ == "__main__":
    print(run())
