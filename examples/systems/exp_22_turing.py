"""Experiment 22: an external memory holds what a state cannot.

Rows of 4 random bits are to be said again. Trained on 1 to 8 rows, a neural Turing machine copies
16, and often 24: it has learnt to write row after row and to go back to the start. An LSTM gets ten
times as many updates, copies 8 rows without a fault, and fails at 16: its state holds what it was
trained to hold. Seeds differ, so the machine is trained from several.
"""

from __future__ import annotations

import numpy as np

from echocast.datasets import copy_task
from echocast.reservoir import NeuralTuringMachine, RNNClassifier

LENGTHS = (8, 16, 24)
UPDATES, BATCH = 1500, 16
LSTM_UPDATES = 15000


def tests(seed):
    """Sequences of each length of `LENGTHS`."""
    return {n: copy_task(200, n, n_bits=4, random_state=1000 + seed) for n in LENGTHS}


def machine(seed):
    """Shares of wrong bits of a machine by length."""
    X, y, weights = copy_task(UPDATES * BATCH, (1, 8), n_bits=4, random_state=seed)
    ntm = NeuralTuringMachine(max_iter=1, random_state=seed).fit(X, y, sample_weight=weights)
    return [1 - ntm.score(X, y, weights) for X, y, weights in tests(seed).values()]


def symbols(y):
    """Rows of 4 bits as one of 16 symbols."""
    return [(row @ (8, 4, 2, 1)).astype(int) for row in y]


def lstm(seed):
    """The same of an LSTM, to which rows of bits are symbols."""
    epochs = 5
    X, y, weights = copy_task(LSTM_UPDATES // epochs * BATCH, (1, 8), n_bits=4, random_state=seed)
    net = RNNClassifier(
        hidden_layer_sizes=128,
        cell="lstm",
        output="sequence",
        batch_size=BATCH,
        max_iter=epochs,
        random_state=seed,
    ).fit(X, symbols(y), sample_weight=weights)
    found = []
    for X, y, weights in tests(seed).values():
        said = np.concatenate(net.predict(X))[:, None] & (8, 4, 2, 1)
        wrong = (said > 0) != (np.concatenate(y) > 0.5)
        found.append(wrong[np.concatenate(weights) > 0].mean())
    return found


def run(n_seeds: int = 3) -> dict:
    """Shares of wrong bits by length: of each machine, and of one LSTM."""
    found = {}
    for seed in range(n_seeds):
        for length, error in zip(LENGTHS, machine(seed)):
            found[f"error_{length}_seed_{seed}"] = error
    found["n_seeds_that_copy_16"] = sum(
        found[f"error_16_seed_{seed}"] <= 0.01 for seed in range(n_seeds)
    )
    for length, error in zip(LENGTHS, lstm(0)):
        found[f"lstm_error_{length}"] = error
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    print(run(5))
