"""Experiment 24: where attention looks, in the networks of experiment 13.

Written backwards, digit i is copied from place n - 1 - i; there the weights must be largest.
Uniform weights look nowhere: any place is as good as another.
"""

from __future__ import annotations

import numpy as np
from reversal import LONGEST, N_TEST, SEEDS, sequences, trained


def looked_at(model, X):
    """How far the largest weight of each row is from the place that must be copied."""
    outputs, alphas = model.predict(X, return_attention=True)
    distances = []
    for x, output, alpha in zip(X, outputs, alphas):
        n = min(len(x), len(output))
        distances.append(np.abs(alpha[:n].argmax(axis=1) - (len(x) - 1 - np.arange(n))))
    return np.concatenate(distances)


def run() -> dict:
    """Shares of rows whose largest weight is at the right place, or within one of it."""
    found = []
    for seed in SEEDS:
        X, _ = sequences(np.random.RandomState(2000 + seed), N_TEST, LONGEST, LONGEST)
        distance = looked_at(trained("additive", seed), X)
        found.append([np.mean(distance <= 1), np.mean(distance == 0)])
    within, exact = np.median(found, axis=0)
    places = np.arange(LONGEST)
    apart = np.abs(places[:, None] - places)
    return {
        "within_one": float(within),
        "exact": float(exact),
        "within_one_uniform": float(np.mean(apart <= 1)),
        "exact_uniform": float(np.mean(apart == 0)),
    }


if __name__ == "__main__":
    print(run())
