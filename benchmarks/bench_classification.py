"""Accuracy of `ESNClassifier` on UEA / UCR archive sets, and the time of a thousand sequences.

Run with ``python benchmarks/bench_classification.py --data PATH`` (about two minutes on two
cores). PATH/classification holds one .npz for each set, with arrays X_train, X_test (cases,
channels, time; NaN after the end), y_train, y_test, len_train and len_test; the data belong to
the archives (timeseriesclassification.com) and do not come with the package. Without ``--data``
only the timing runs.

Protocol: the default split of the archive. Inputs are standardised with the training part. All
settings (kind of features, leak rate, input scaling, direction) are those with the least
leave-one-out squared error on the training sequences, for one seed that is not used again; the
test part is then scored for five other seeds.

Published accuracies are on the same split. twiesn is the published echo state network and fcn a
convolutional network (means of 5 or 10 runs, H. Ismail Fawaz et al., "Deep learning for time series
classification: a review", 2019); RCB is Bianchi's reservoir-computing package 1.0.2, the best of
its documented settings; HC2 is HIVE-COTE 2.0; DTW_D and Rocket are as tabled by the Disjoint-CNN
repository.

BLAS is held to one thread: the matrices are small, and threads that wait for each other cost more
than they give. `n_jobs` runs groups of sequences on threads of our own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from pathlib import Path

import numpy as np
from _record import add_json_option, fastest, row, write
from sklearn.model_selection import ParameterGrid
from threadpoolctl import threadpool_limits

from echocast.reservoir import ESNClassifier, SequenceScaler

PUBLISHED = {
    "JapaneseVowels": {"twiesn": 0.965, "RCB": 0.981, "fcn": 0.993},
    "BasicMotions": {"DTW_D": 0.953, "Rocket": 0.990},
    "ECG200": {"twiesn": 0.874, "fcn": 0.888, "HC2": 0.860},
    "GunPoint": {"twiesn": 0.989, "fcn": 1.000, "HC2": 1.000},
    "ItalyPowerDemand": {"twiesn": 0.871, "fcn": 0.963, "HC2": 0.970},
    "OSULeaf": {"twiesn": 0.628, "fcn": 0.979, "HC2": 0.967},
}
GOAL = 0.975  # median accuracy on JapaneseVowels
N_UNITS = 300
SEARCH_SEED, TEST_SEEDS = 100, range(5)
GRID = ParameterGrid(
    {
        "features": ["last", "mean", "last_mean", "model_space"],
        "leak_rate": [0.1, 0.3, 1.0],
        "input_scaling": [0.3, 1.0],
        "bidirectional": [False, True],
    }
)


def read_set(path):
    """Standardised sequences (n_steps_i, channels) and labels: train, then test."""
    with np.load(path) as arrays:
        train, test = (
            [x[:, :n].T for x, n in zip(arrays[f"X_{part}"], arrays[f"len_{part}"])]
            for part in ("train", "test")
        )
        labels = arrays["y_train"], arrays["y_test"]
    scaler = SequenceScaler().fit(train)
    return scaler.transform(train), labels[0], scaler.transform(test), labels[1]


def choose(X, y):
    """Settings of least leave-one-out squared error on the training sequences."""
    errors = []
    for params in GRID:
        clf = ESNClassifier(N_UNITS, random_state=SEARCH_SEED, **params).fit(X, y)
        errors.append(clf.loo_errors_.mean(axis=1).min())
    return GRID[int(np.argmin(errors))]


def seconds(action, *given):
    """Wall time of one call."""
    start = time.perf_counter()
    action(*given)
    return time.perf_counter() - start


def accuracies(data):
    """Print one line for each set; return the median accuracy of each."""
    print(f"{N_UNITS} units, settings by leave-one-out over {len(GRID)}, {len(TEST_SEEDS)} seeds")
    print(
        f"{'set':17s} {'median':>6s} {'range':>14s} {'search s':>9s} {'fit s':>6s}  "
        f"{'published':38s} settings"
    )
    medians = {}
    for name, published in PUBLISHED.items():
        X, y, X_test, y_test = read_set(data / "classification" / f"{name}.npz")
        start = time.perf_counter()
        params = choose(X, y)
        search_seconds = time.perf_counter() - start
        scores, fits = [], []
        for seed in TEST_SEEDS:
            clf = ESNClassifier(N_UNITS, random_state=seed, **params)
            fits.append(seconds(clf.fit, X, y))
            scores.append(clf.score(X_test, y_test))
        medians[name] = float(np.median(scores))
        others = ", ".join(f"{key} {value:.3f}" for key, value in published.items())
        print(
            f"{name:17s} {medians[name]:6.4f} {min(scores):6.4f}..{max(scores):6.4f} "
            f"{search_seconds:9.1f} {np.median(fits):6.2f}  {others:38s} {params}",
            flush=True,
        )
    return medians


def speed(n_sequences=1000, n_steps=100, n_channels=12, n_units=500, n_classes=10):
    """Print seconds to fit and to predict random sequences of one shape."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_sequences, n_steps, n_channels))
    y = np.arange(n_sequences) % n_classes
    print(f"\n{n_sequences} sequences x {n_steps} steps x {n_channels} channels, {n_units} units")
    print(f"{'features':20s} {'threads':>7s} {'fit s':>6s} {'of it states':>12s} {'predict s':>9s}")
    for features in ("last", "mean", "model_space"):
        for n_jobs in (1, 2):
            clf = ESNClassifier(n_units, features=features, n_jobs=n_jobs, random_state=0)
            clf.fit(X[:50], y[:50])  # compiles
            fit, transform, predict = (
                seconds(action, *given)
                for action, given in ((clf.fit, (X, y)), (clf.transform, (X,)), (clf.predict, (X,)))
            )
            print(
                f"{features:20s} {n_jobs:7d} {fit:6.2f} {transform:12.2f} {predict:9.2f}",
                flush=True,
            )


def against_peer(n_sequences=1000, n_steps=100, n_channels=12, n_units=500, n_classes=10, repeat=5):
    """P4: fit and predict beside Bianchi's package, from the last states with a ridge readout.

    Both reservoirs have 10 connections a unit, and both calls make the reservoir too.
    """
    try:
        from reservoir_computing.modules import RC_model
    except ImportError:
        print("P4 needs its peer: pip install reservoir_computing")
        return []
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_sequences, n_steps, n_channels))
    y = np.arange(n_sequences) % n_classes
    hot = np.eye(n_classes)[y]

    def ours():
        ESNClassifier(n_units, features="last", alpha=1.0, random_state=0).fit(X, y).predict(X)

    def theirs():
        model = RC_model(
            n_internal_units=n_units,
            connectivity=10 / n_units,
            dimred_method=None,
            mts_rep="last",
            readout_type="lin",
        )
        with contextlib.redirect_stdout(io.StringIO()):
            model.fit(X, hot)
            model.predict(X)

    ours()
    best = fastest({"ours": ours, "theirs": theirs}, repeat)
    ratio = best["theirs"] / best["ours"]
    print(
        f"P4 fit + predict: ours {best['ours']:.2f} s, reservoir_computing {ratio:.1f} times that"
    )
    job = f"{n_sequences} sequences x {n_steps} x {n_channels} to a class, N={n_units}"
    found = {"against": "reservoir_computing", "target": ">= 5", "seconds": best["ours"]}
    return [row("P4", job, ratio, "x", **found)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds classification/*.npz")
    add_json_option(parser)
    arguments = parser.parse_args()
    data = arguments.data
    with threadpool_limits(limits=1):
        if data is not None:
            median = accuracies(data)["JapaneseVowels"]
            verdict = "met" if median >= GOAL else "MISSED"
            print(f"JapaneseVowels: median {median:.4f}, goal {GOAL} {verdict}")
        speed()
        write(arguments.json, against_peer())


if __name__ == "__main__":
    main()
