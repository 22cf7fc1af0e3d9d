"""Experiment 23: a network that decides how long to think.

Of a vector of 12 numbers, shown once, the first ones are signs and the others 0: is the number of
positive signs odd? A cell that may run up to 12 times for each vector is compared with the same
cell that runs once, and with one whose runs have a higher price. Medians over seeds 0 to 4.

What made it work is that the halting unit lets many runs happen in the beginning (`halt_bias`):
from one that halts after two or three, the network found no use for more. At rates of 2e-3 or
more, one run is enough to learn the 8,190 vectors by heart.
"""

from __future__ import annotations

import numpy as np

from echocast.reservoir import AdaptiveComputationRNN

SIZE, SEEDS = 12, range(5)
BATCHES, BATCH = 5000, 128


def vectors(rng, n):
    """Signs, then zeros (n, 1, SIZE), and the parity of the positive ones (n, 1)."""
    signs = rng.choice([-1.0, 1.0], size=(n, SIZE))
    signs[np.arange(SIZE) >= rng.randint(1, SIZE + 1, size=(n, 1))] = 0
    return signs[:, None, :], (signs > 0).sum(axis=1, keepdims=True) % 2


def network(seed, **params):
    """A network of 48 units, for one epoch."""
    settings = {"n_units": 48, "learning_rate_init": 1e-3, "batch_size": BATCH, **params}
    return AdaptiveComputationRNN(max_iter=1, random_state=seed, **settings)


def run_seed(seed: int) -> dict:
    """Accuracies, and mean runs of the cell for two prices of a run."""
    rng = np.random.RandomState(seed)
    X, y = vectors(rng, BATCHES * BATCH)
    X_test, y_test = vectors(rng, 2000)
    cheap = network(seed, ponder_cost=1e-3).fit(X, y)
    dear = network(seed, ponder_cost=5e-2).fit(X, y)
    once = network(seed, max_ponder=1).fit(X, y)
    n_signs = (X_test != 0).sum(axis=2)
    return {
        "accuracy": cheap.score(X_test, y_test),
        "accuracy_dear": dear.score(X_test, y_test),
        "accuracy_once": once.score(X_test, y_test),
        "ponder": cheap.ponder(X_test).mean(),
        "ponder_dear": dear.ponder(X_test).mean(),
        "correlation_with_signs": np.corrcoef(cheap.ponder(X_test).ravel(), n_signs.ravel())[0, 1],
    }


def run(seeds=SEEDS) -> dict:
    """Medians over the seeds, the extremes, and how many seeds ponder less at the higher price."""
    found = [run_seed(seed) for seed in seeds]
    medians = {name: float(np.median([f[name] for f in found])) for name in found[0]}
    return {
        **medians,
        "least_accuracy": min(float(f["accuracy"]) for f in found),
        "largest_accuracy_once": max(float(f["accuracy_once"]) for f in found),
        "n_seeds": float(len(found)),
        "n_seeds_that_ponder_less": float(sum(f["ponder_dear"] < f["ponder"] for f in found)),
    }


if __name__ == "__main__":
    print(run())
