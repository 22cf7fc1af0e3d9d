"""Experiment 23: a network that decides how long to think.

Of a vector of 12 numbers, shown once, the first ones are signs and the others 0: is the number of
positive signs odd? Measured at seed 0: one run of the cell for each vector gets 63.7 % right, up
to 12 runs get 95.9 %, and the mean number of runs falls from 4.1 to 2.1 where each has a higher
price. The bounds that were aimed at, at least 97 % against at most 75 %, are not met together:
at rates that reach the first, one run is enough to learn the 8,190 vectors by heart.
"""

from __future__ import annotations

import numpy as np

from echocast.reservoir import AdaptiveComputationRNN

SIZE = 12
BATCHES, BATCH = 5000, 128


def vectors(rng, n):
    """Signs, then zeros (n, 1, SIZE), and the parity of the positive ones (n, 1)."""
    signs = rng.choice([-1.0, 1.0], size=(n, SIZE))
    signs[np.arange(SIZE) >= rng.randint(1, SIZE + 1, size=(n, 1))] = 0
    return signs[:, None, :], (signs > 0).sum(axis=1, keepdims=True) % 2


def network(seed, **params):
    """A network of 48 units.

    At a rate of 3e-3 or more one run is enough to learn the 8,190 vectors by heart.
    """
    settings = {"n_units": 48, "learning_rate_init": 1e-3, "batch_size": BATCH, **params}
    return AdaptiveComputationRNN(max_iter=1, random_state=seed, **settings)


def run(seed: int = 0) -> dict:
    """Accuracies, and mean runs of the cell for two prices of a run."""
    rng = np.random.RandomState(seed)
    X, y = vectors(rng, BATCHES * BATCH)
    X_test, y_test = vectors(rng, 2000)
    cheap = network(seed, ponder_cost=1e-3).fit(X, y)
    dear = network(seed, ponder_cost=5e-2).fit(X, y)
    once = network(seed, max_ponder=1).fit(X, y)
    n_signs = (X_test != 0).sum(axis=2)
    found = {
        "accuracy": cheap.score(X_test, y_test),
        "accuracy_dear": dear.score(X_test, y_test),
        "accuracy_once": once.score(X_test, y_test),
        "ponder": cheap.ponder(X_test).mean(),
        "ponder_dear": dear.ponder(X_test).mean(),
        "correlation_with_signs": np.corrcoef(cheap.ponder(X_test).ravel(), n_signs.ravel())[0, 1],
    }
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    print(run())
