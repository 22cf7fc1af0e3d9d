"""Experiment 5: recurrence from the output to the hidden units alone, on running parity.

The output is all the state that parity needs. Given the true outputs all steps are learnt at
once, without backpropagation through time, on 30 steps; the network then runs on its own outputs
for 1000. The baseline is the same network on y(t) = x(t - 2), which its output cannot carry.
"""

from __future__ import annotations

import numpy as np
from tasks import echo, parity

from echocast.reservoir import RNNClassifier


def network(random_state):
    """Some hundred updates on batches of 64."""
    return RNNClassifier(
        hidden_layer_sizes=16,
        recurrence="output",
        learning_rate_init=1e-2,
        batch_size=64,
        max_iter=10,
        random_state=random_state,
    )


def run(seed: int = 0) -> dict:
    """Accuracy of free runs over 1000 steps."""
    rng = np.random.RandomState(seed)
    of_parity = network(seed).fit(*parity(rng, 3200, 30))
    X, y = parity(rng, 50, 1000)
    correct = of_parity.predict(X) == y

    of_echo = network(seed).fit(*echo(rng, 3200, 30, 2))
    X, y = echo(rng, 50, 1000, 2)
    return {
        "accuracy": float(correct.mean()),
        "accuracy_last_step": float(correct[:, -1].mean()),
        "accuracy_echo": float((of_echo.predict(X) == y)[:, 2:].mean()),
    }


if __name__ == "__main__":
    print(run())
