"""Experiment 14: self-attention looks up what a recurrent network would have to keep.

Associative recall: each of 8 steps shows a key and a value, one of 12 each, and a ninth one of the
keys again; the label is the value that was shown with it. Two blocks of self-attention learn to
look there. An LSTM of 64 units, with eight times as many updates, has to write all pairs into its
state before it knows which one is asked for.
"""

from __future__ import annotations

import numpy as np

from echocast.reservoir import RNNClassifier, SelfAttentionClassifier

N_PAIRS, N_KEYS, N_VALUES = 8, 12, 12
BATCHES, LSTM_BATCHES = 500, 4000  # of 64


def recall(rng, n):
    """One-hot keys beside one-hot values (n, N_PAIRS + 1, N_KEYS + N_VALUES), and labels (n,)."""
    keys = rng.uniform(size=(n, N_KEYS)).argsort(axis=1)[:, :N_PAIRS]
    values = rng.randint(N_VALUES, size=(n, N_PAIRS))
    asked = rng.randint(N_PAIRS, size=n)
    rows, steps = np.arange(n), np.arange(N_PAIRS)
    X = np.zeros((n, N_PAIRS + 1, N_KEYS + N_VALUES), dtype=np.float32)
    X[rows[:, None], steps, keys] = 1
    X[rows[:, None], steps, N_KEYS + values] = 1
    X[rows, N_PAIRS, keys[rows, asked]] = 1
    return X, values[rows, asked]


def run(seed: int = 0) -> dict:
    """Shares of new sequences that get the right label, and of rows that look at the right pair."""
    rng = np.random.RandomState(seed)
    X, y = recall(rng, 64 * LSTM_BATCHES)
    X_new, y_new = recall(rng, 2000)
    settings = {"batch_size": 64, "max_iter": 1, "random_state": seed}
    network = SelfAttentionClassifier(n_blocks=2, n_units=32, n_heads=1, **settings)
    network.fit(X[: 64 * BATCHES], y[: 64 * BATCHES])
    lstm = RNNClassifier(cell="lstm", hidden_layer_sizes=64, **settings).fit(X, y)
    asked = (X_new[:, :-1] * X_new[:, -1:])[:, :, :N_KEYS].sum(axis=2).argmax(axis=1)
    looks = network.attention(X_new)[:, :, 0, -1, :-1]  # of the last step, at the pairs
    return {
        "accuracy": float(network.score(X_new, y_new)),
        "accuracy_lstm": float(lstm.score(X_new, y_new)),
        "looks_at_the_pair": float(
            (looks.argmax(axis=2) == asked[:, None]).mean(axis=0).max()  # of the better block
        ),
    }


if __name__ == "__main__":
    print(run())
