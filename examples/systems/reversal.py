"""Reversing digits, and the networks that three experiments (12, 13, 24) train on it."""

from __future__ import annotations

import functools

import numpy as np

from echocast.reservoir import Seq2SeqTransducer

LONGEST, N_UPDATES, BATCH = 20, 2500, 32
LENGTHS = (5, 10, 20, 30, 40)
SEEDS = (0, 1, 2)
N_TEST = 200


def sequences(rng, n, fewest, most):
    """Random digits, from `fewest` to `most` of them, and the same backwards."""
    X = [rng.randint(10, size=rng.randint(fewest, most + 1)).tolist() for _ in range(n)]
    return X, [x[::-1] for x in X]


@functools.cache
def trained(attention, seed):
    """A network that has seen each of 80,000 sequences once."""
    rng = np.random.RandomState(seed)
    model = Seq2SeqTransducer(
        attention=attention,
        learning_rate_init=5e-3,
        batch_size=BATCH,
        max_iter=1,
        max_length=2 * max(LENGTHS),
        random_state=seed,
    )
    return model.fit(*sequences(rng, N_UPDATES * BATCH, 1, LONGEST))


@functools.cache
def accuracies(attention):
    """Share of right digits by length, the median of the seeds."""
    found = []
    for seed in SEEDS:
        model, rng = trained(attention, seed), np.random.RandomState(1000 + seed)
        tests = [sequences(rng, N_TEST, length, length) for length in LENGTHS]
        found.append([model.token_accuracy(*test) for test in tests])
    return dict(zip(LENGTHS, map(float, np.median(found, axis=0))))
