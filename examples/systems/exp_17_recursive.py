"""Experiment 17: one transition for all nodes of a tree.

What a nested expression of and, or and not comes to is asked at its root only. A recursive network
learns the three operations on expressions of depth 1 to 4, and its answers hold for those of depth
6 and 8, which it has never seen. A bag of tokens knows the same tokens, and guesses.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from echocast.datasets import logic_expressions
from echocast.reservoir import RecursiveClassifier, read_trees

TOKENS = ("and", "or", "not", "T", "F")


def bags(expressions):
    """How often each token occurs."""
    trees = read_trees(expressions)
    return np.array([[tree.tokens.count(token) for token in TOKENS] for tree in trees])


def run(seed: int = 0) -> dict:
    """Accuracies of the network and of the bag of tokens by depth, and the mean leaves there."""
    rng = np.random.RandomState(seed)
    X, y = logic_expressions(6400, (1, 4), random_state=rng)
    model = RecursiveClassifier(
        n_units=16,
        embedding_size=16,
        learning_rate_init=1e-2,
        max_iter=3,  # of 200 batches of 32
        random_state=seed,
    ).fit(X, y)
    bag = LogisticRegression().fit(bags(X), y)
    found = {"updates": model.t_}
    for depth in (4, 6, 8):
        X, y = logic_expressions(1000, depth, random_state=rng)
        found[f"accuracy_depth_{depth}"] = model.score(X, y)
        found[f"bag_depth_{depth}"] = bag.score(bags(X), y)
    found["leaves_depth_8"] = np.mean([len(tree.leaves) for tree in read_trees(X)])
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    print(run())
