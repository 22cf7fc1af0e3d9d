"""Experiment 1: one transition for all positions ('I am not sad, I'm happy').

What `not` belongs to decides the mood of a sentence, and all sentences have the same bag of words
under both labels. Training sentences begin with up to 4 filler words, test sentences with 12 to
20: a recurrent network has learnt a rule that holds at any position. A bag of words learns
nothing, and a network with weights of their own for each position nothing that could be shifted.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from tasks import one_hot, sentence, sentences

from echocast.reservoir import RNNClassifier

N_POSITIONS = 32  # of the network with weights for each position
EPOCHS = 8  # of 50 batches of 64


def bags(sequences):
    """How often each word occurs."""
    return np.array([sequence.sum(axis=0) for sequence in sequences])


def by_position(sequences):
    """Each sentence in one long row: which word stands at which position."""
    rows = np.zeros((len(sequences), N_POSITIONS, sequences[0].shape[1]))
    for row, sequence in zip(rows, sequences):
        row[: len(sequence)] = sequence
    return rows.reshape(len(rows), -1)


def network(cell, random_state):
    """A small recurrent network that reads a sentence and answers at its end."""
    return RNNClassifier(
        hidden_layer_sizes=16,
        cell=cell,
        learning_rate_init=2e-2,
        batch_size=64,
        max_iter=EPOCHS,
        random_state=random_state,
    )


def run(seed: int = 0) -> dict:
    """Accuracies on shifted sentences, and what the networks make of the two of the title."""
    rng = np.random.RandomState(seed)
    texts, y = sentences(rng, 3200, 0, 4)
    X = one_hot(texts)
    unshifted, y_unshifted = sentences(rng, 1000, 0, 4)
    shifted, y_shifted = sentences(rng, 1000, 12, 20)
    X_unshifted, X_shifted = one_hot(unshifted), one_hot(shifted)
    pair = one_hot(
        [
            sentence("sad", "happy", negates_positive=negates, negative_first=True)
            for negates in (False, True)
        ]
    )
    found = {}
    for cell in ("tanh", "gru"):
        rnn = network(cell, seed).fit(X, y)
        found[f"{cell}_shifted"] = rnn.score(X_shifted, y_shifted)
        sure = rnn.predict_proba(pair)
        found[f"{cell}_pair"] = float(min(sure[0, 1], sure[1, 0]))

    bag = LogisticRegression().fit(bags(X), y)
    found["bag_shifted"] = bag.score(bags(X_shifted), y_shifted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp = MLPClassifier(32, max_iter=30, random_state=seed).fit(by_position(X), y)
    found["mlp_unshifted"] = mlp.score(by_position(X_unshifted), y_unshifted)
    found["mlp_shifted"] = mlp.score(by_position(X_shifted), y_shifted)
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    print(run())
