"""Sentiment of phrases and sentences: recursive networks against bags of words.

Run with ``python benchmarks/bench_trees.py --data FOLDER``, where FOLDER holds the trees of the
Stanford Sentiment Treebank as ``sst_trees_train.txt.gz`` and ``sst_trees_dev.txt.gz``, one
s-expression a line, labels from 0 (very negative) to 4. About three minutes for three seeds.

Every node of the 8,544 training trees has a label, and everything learns from all of them, with
the same five classes. Shares of right labels are of the 1,101 trees for development, on their
roots or on all their nodes; "binary" leaves neutral nodes out and asks whether the classes above
or below neutral are likelier together. Nothing was pretrained, and nothing was chosen on the
trees for development but dropout and `alpha`, among three settings.

For context, on the roots of the *test* trees (R. Socher et al., EMNLP 2013, table 1): recursive
network 43.2 % of five classes and 82.4 % binary, recursive neural tensor network 45.7 and 85.4,
naive Bayes over words 41.0 and 81.8.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from echocast.reservoir import RecursiveClassifier, read_trees

NEUTRAL = 2
SETTINGS = {
    "n_units": 32,
    "embedding_size": 32,
    "min_count": 2,
    "dropout": 0.2,
    "alpha": 3e-4,
    "learning_rate_init": 3e-3,
    "max_iter": 10,
}


def read(folder, part):
    """Trees of a file."""
    with gzip.open(Path(folder) / f"sst_trees_{part}.txt.gz", "rt", encoding="utf-8") as file:
        return read_trees(file)


def bags(trees, numbers):
    """Which words each node spans, as rows of a sparse matrix in post-order."""
    columns, indptr = [], [0]
    for tree in trees:
        spans = []
        for token, left, right in zip(tree.tokens, tree.left.tolist(), tree.right.tolist()):
            words = set() if token is None or token not in numbers else {numbers[token]}
            for child in (left, right):
                words |= spans[child] if child >= 0 else set()
            spans.append(words)
            columns += sorted(words)
            indptr.append(len(columns))
    shape = (len(indptr) - 1, len(numbers))
    return csr_array((np.ones(len(columns)), np.array(columns), np.array(indptr)), shape=shape)


def figures(shares, labels, classes):
    """Shares of right labels: of all classes, and binary."""
    right = classes[shares.argmax(axis=1)] == labels
    polar = labels != NEUTRAL
    above = shares[:, classes > NEUTRAL].sum(axis=1) > shares[:, classes < NEUTRAL].sum(axis=1)
    return {"five": right.mean(), "binary": (above == (labels > NEUTRAL))[polar].mean()}


def report(name, shares, trees, classes, seconds):
    """Figures on roots and on all nodes, printed and returned."""
    labels = np.concatenate([tree.labels for tree in trees])
    roots = np.cumsum([len(tree) for tree in trees]) - 1
    found = {
        "roots": figures(shares[roots], labels[roots], classes),
        "nodes": figures(shares, labels, classes),
    }
    shown = "  ".join(
        f"{where} {kind} {100 * value:5.1f}"
        for where, of in found.items()
        for kind, value in of.items()
    )
    print(f"{name:24s} {shown}  {seconds:6.1f} s", flush=True)
    return {"name": name, "seconds": seconds, **found}


def main():
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with the trees")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args()
    settings = {**SETTINGS, **{name: json.loads(value) for name, value in arguments.set}}
    train, dev = read(arguments.data, "train"), read(arguments.data, "dev")
    found = []
    if not arguments.no_baseline:
        words = sorted({token for tree in train for token in tree.leaves})
        numbers = {word: i for i, word in enumerate(words)}
        X, X_dev = bags(train, numbers), bags(dev, numbers)
        labels = np.concatenate([tree.labels for tree in train])
        roots = np.cumsum([len(tree) for tree in train]) - 1
        for name, rows, C in (("bag, sentences", roots, 0.3), ("bag, all nodes", slice(None), 1.0)):
            start = time.perf_counter()
            model = LogisticRegression(C=C, max_iter=100, tol=1e-3).fit(X[rows], labels[rows])
            shares, seconds = model.predict_proba(X_dev), time.perf_counter() - start
            found.append(report(name, shares, dev, model.classes_, seconds))
    for seed in range(arguments.seeds):
        start = time.perf_counter()
        model = RecursiveClassifier(**settings, random_state=seed).fit(train)
        seconds = time.perf_counter() - start
        shares = np.concatenate(model.predict_proba(dev, nodes=True))
        found.append(report(f"recursive, seed {seed}", shares, dev, model.classes_, seconds))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"settings": settings, "found": found}))


if __name__ == "__main__":
    main()
