"""Experiment 4: an output at the end only, on digits that are read pixel by pixel.

Images of 8 x 8 pixels are sequences of 64 steps, and the label is read from the last state. What
decides is the first recurrent matrix: a plain network with orthogonal ones learns, with small
uniform ones (the default of PyTorch) it forgets the first rows of the image.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from echocast.reservoir import RNNClassifier

EPOCHS = 40
ARMS = {
    "orthogonal": ("tanh", "orthogonal", 3e-3),
    "uniform": ("tanh", "uniform", 3e-3),
    "lstm": ("lstm", "orthogonal", 1e-2),  # with ones as bias of the forget gate
    "lstm_uniform": ("lstm", "uniform", 1e-2),  # without
}


def run(seeds: tuple = (0, 1, 2)) -> dict:
    """Accuracies on images that were not trained on, as means over splits and first weights."""
    runs = [accuracies(seed) for seed in seeds]
    return {name: float(np.mean([found[name] for found in runs])) for name in ARMS}


def accuracies(seed):
    """The same of one split."""
    X, y = load_digits(return_X_y=True)
    X = X[:, :, None] / 8.0 - 1.0
    X, X_new, y, y_new = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    found = {}
    for name, (cell, weight_init, rate) in ARMS.items():
        rnn = RNNClassifier(
            hidden_layer_sizes=64,
            cell=cell,
            weight_init=weight_init,
            learning_rate_init=rate,
            batch_size=32,
            max_iter=EPOCHS,
            random_state=seed,
        )
        found[name] = float(rnn.fit(X, y).score(X_new, y_new))
    return found


if __name__ == "__main__":
    print(run())
