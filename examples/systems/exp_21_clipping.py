"""Experiment 21: norm clipping, where gradients explode.

A bit that stands 46 steps before the end must be recalled. The recurrent weights are 1.5 times
orthogonal ones, so gradients reach enormous norms, and plain gradient descent with a large rate
is thrown out of the region where it could learn. Clipped to the norm 1 it learns.
"""

from __future__ import annotations

import numpy as np

from echocast.exceptions import TrainingDivergedError
from echocast.reservoir import RNNRegressor

N_STEPS, LAG, GAIN = 50, 46, 1.5
SEEDS = range(10)


def recall(rng, n_sequences):
    """Silence, but for the bit (-1 or 1) 46 steps before the end: X (n, 50, 1), y (n,)."""
    X = np.zeros((n_sequences, N_STEPS, 1))
    y = rng.choice([-1.0, 1.0], size=n_sequences)
    X[:, N_STEPS - 1 - LAG, 0] = y
    return X, y


def error(max_norm, seed):
    """Mean squared error on new sequences after training, and the largest gradient norm."""
    rng = np.random.RandomState(seed)
    X, y = recall(rng, 1280)
    network = RNNRegressor(
        hidden_layer_sizes=32,
        solver="sgd",
        momentum=0.0,
        learning_rate="constant",
        learning_rate_init=0.1,
        tol=0.0,
        max_norm=max_norm,
        max_iter=0,
        warm_start=True,
        random_state=seed,
    ).fit(X, y)
    network.params_["layers.0.W"][:] *= GAIN
    network.set_params(max_iter=12)
    try:
        network.fit(X, y)
    except TrainingDivergedError:
        return np.inf, np.inf
    X, y = recall(rng, 500)
    return float(np.mean((network.predict(X) - y) ** 2)), max(network.grad_norms_)


def run(seed: int = 0) -> dict:
    """Shares of ten seeds that learn the task, and the median error with clipping."""
    clipped = np.array([error(1.0, seed + i) for i in SEEDS])
    free = np.array([error(None, seed + i) for i in SEEDS])
    return {
        "n_learnt": float((clipped[:, 0] < 0.5).sum()),
        "n_learnt_without": float((free[:, 0] < 0.5).sum()),
        "n_finite_without": float(np.isfinite(free[:, 0]).sum()),
        "median_mse": float(np.median(clipped[:, 0])),
        "largest_norm": float(clipped[:, 1].max()),
    }


if __name__ == "__main__":
    print(run())
