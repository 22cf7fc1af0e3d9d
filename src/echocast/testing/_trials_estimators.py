"""Trials of estimators: the catalogue of arrays in every method that takes data."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import TimeSeriesSplit

from echocast import reservoir

from ._bad_input import SAME, BadInput
from ._bad_inputs_arrays import ARRAYS, LABELS, TARGETS, TEXTS, WEIGHTS
from ._trial import Trial

__all__ = ["estimator_trials", "small_estimators"]

_SHORT: dict[str, Any] = {"max_iter": 1, "random_state": 0}
_NETWORK: dict[str, Any] = {"hidden_layer_sizes": 3, **_SHORT}
_SEED: dict[str, Any] = {"n_units": 6, "random_state": 0}
_TEXT_DATA = ["abcab", "bca", "cabb", "ab"]
_RESULTS = ["ABC", "B", "CA", "A"]


def small_estimators() -> dict[str, Any]:
    """One small instance of each public estimator that takes rows of numbers."""
    made = (
        reservoir.ESNRegressor(**_SEED),
        reservoir.DeepESNRegressor(2, **_SEED),
        reservoir.LocalESNRegressor(**_SEED),
        reservoir.NVARRegressor(),
        reservoir.ReservoirTransformer(**_SEED),
        reservoir.SequenceScaler(),
        reservoir.WindowESNRegressor(**_SEED),
        reservoir.ESNClassifier(**_SEED),
        reservoir.RNNRegressor(**_NETWORK),
        reservoir.RNNClassifier(**_NETWORK),
        reservoir.WindowRNNRegressor(**_NETWORK),
        reservoir.SelfAttentionRegressor(n_blocks=1, n_units=4, **_SHORT),
        reservoir.SelfAttentionClassifier(n_blocks=1, n_units=4, **_SHORT),
        reservoir.Seq2SeqRegressor(**_NETWORK),
        reservoir.RLSReadout(),
        reservoir.LMSReadout(),
        reservoir.FORCEReadout(),
        reservoir.ESNSearchCV(
            reservoir.ESNRegressor(**_SEED), {"alpha": [1e-6, 1.0]}, cv=TimeSeriesSplit(2)
        ),
    )
    return {type(m).__name__: m for m in made}


def _text_estimators():
    return (
        reservoir.CharRNN(embedding_size=3, bptt_steps=5, **_NETWORK),
        reservoir.MarkovChain(1),
        reservoir.Seq2SeqTransducer(embedding_size=3, **_NETWORK),
        reservoir.RecursiveClassifier(n_units=3, embedding_size=3, **_SHORT),
    )


def _data():
    """Rows whose numbers float16 holds, too, and targets: numbers and labels."""
    rng = np.random.RandomState(0)
    X = np.round(8 * rng.randn(24, 4)) / 8
    return X, np.round(8 * np.sin(X[:, 0])) / 8, (X[:, 0] > 0).astype(int)


def estimator_trials() -> Iterator[Trial]:
    """Every entry of the catalogue in each method of each estimator that takes the argument."""
    X, numbers, labels = _data()
    for name, made in small_estimators().items():
        y = labels if is_classifier(made) else numbers
        fitted = _fitted(made, X, y)
        targets = LABELS if is_classifier(made) else TARGETS
        for entry in (*ARRAYS, *targets, *WEIGHTS):
            for method in ("fit", "partial_fit", "predict", "transform", "score"):
                if hasattr(made, method) and _takes(made, method, entry.argument):
                    yield _trial(name, fitted, method, entry, X, y)
    for made in _text_estimators():
        y = {"Seq2SeqTransducer": _RESULTS, "RecursiveClassifier": [0, 1, 0, 1]}
        y = y.get(type(made).__name__)
        fitted = _fitted(made, _TEXT_DATA, y)
        for entry in TEXTS:
            for method in ("fit", "partial_fit", "predict", "predict_proba", "score"):
                if hasattr(made, method):
                    yield _trial(type(made).__name__, fitted, method, entry, _TEXT_DATA, y)


def _fitted(made, X, y):
    return clone(made).fit(*((X,) if y is None else (X, y)))


def _takes(made, method, argument):
    if argument == "X":
        return True
    if method in ("predict", "transform"):
        return False
    code = getattr(type(made), method).__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    wrapped = getattr(getattr(type(made), method), "__wrapped__", None)
    if wrapped is not None:
        names = wrapped.__code__.co_varnames
    return argument in names and not (argument == "y" and not hasattr(made, "score"))


def _trial(name: str, fitted: Any, method: str, entry: BadInput, X: Any, y: Any) -> Trial:
    def call(plain=False):
        bad = entry.make(copy.deepcopy(y if entry.argument in ("y", "sample_weight") else X))
        if plain:
            bad = np.asarray(bad, dtype=np.float64)
        given = {"X": X, "y": y} | {entry.argument: bad}
        if method in ("predict", "transform", "predict_proba") or y is None:
            given.pop("y")
        if method in ("fit", "partial_fit"):
            model = copy.deepcopy(fitted)
            getattr(model, method)(**given)
            output = model.predict if hasattr(model, "predict") else None
            output = output or getattr(model, "transform", None) or model.predict_proba
            # A fit may be to another number of columns, which are none of this trial's business.
            rows = given["X"] if entry.expect == SAME or entry.argument != "X" else None
            return None if rows is None else output(rows)
        return getattr(fitted, method)(**given)

    what = f"{name}.{method}({entry.argument}: {entry.name})"
    names = {"X": ("X",), "y": ("y", "X"), "sample_weight": ("sample_weight",)}[entry.argument]
    clean = (lambda: call(plain=True)) if entry.expect == SAME else None
    return Trial(what, call, entry.expected_in(name, method), names, clean)
