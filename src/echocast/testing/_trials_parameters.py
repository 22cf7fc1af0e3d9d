"""Trials of parameters: each of every public class with each probe, set before a small fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier

from echocast import reservoir

from ._bad_input import FINE, REFUSED
from ._bad_parameters import PROBES, is_allowed, is_costly
from ._trial import Trial
from ._trials_estimators import _TEXT_DATA, _data, _text_estimators, small_estimators
from ._trials_forecasters import _H, _N, small_forecasters
from ._trials_forecasters import _data as _series

__all__ = ["parameter_trials"]


def parameter_trials() -> Iterator[Trial]:
    """Every parameter with every probe; those that a kind does not take must be refused in fit."""
    for name, made, data in _cases():
        owner = type(made).__name__
        for parameter in made.get_params(deep=False):
            for probe, value in PROBES.items():
                if not is_costly(parameter, probe):
                    yield _trial(name, owner, made, data, parameter, probe, value)


def _cases() -> Iterator[tuple[str, Any, tuple]]:
    X, numbers, labels = _data()
    for name, made in small_estimators().items():
        yield name, made, (X, labels if is_classifier(made) else numbers)
    for made in _text_estimators():
        y = {"Seq2SeqTransducer": (["A", "B", "C", "D"],), "RecursiveClassifier": ([0, 1, 0, 1],)}
        yield type(made).__name__, made, (_TEXT_DATA, *y.get(type(made).__name__, ()))
    bits = [np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])] * 3
    short: dict[str, Any] = {"n_units": 3, "max_iter": 1, "random_state": 0}
    yield (
        "NeuralTuringMachine",
        reservoir.NeuralTuringMachine(memory_shape=(3, 2), **short),
        (
            bits,
            bits,
        ),
    )
    yield "AdaptiveComputationRNN", reservoir.AdaptiveComputationRNN(**short), (bits, bits)
    for name, made in small_forecasters().items():
        yield name, made, (_series()[0].iloc[:_N],)


def _trial(name, owner, made, data, parameter, probe, value) -> Trial:
    def call():
        # set_params refuses what a constructor stores, such as names of transforms, later.
        model = clone(made).set_params(**{parameter: value}).fit(*data)
        if len(data) == 1 and hasattr(model, "update"):
            return np.asarray(model.predict(_H))
        for method in ("predict_proba", "predict", "transform"):
            if hasattr(model, method):
                return getattr(model, method)(data[0])
        return None

    expect = FINE if is_allowed(owner, parameter, probe) else REFUSED
    named = (parameter, parameter.replace("_", " "))
    more = ("X", "y", "strategy", "horizon") if expect == FINE else ()
    return Trial(f"{name}({parameter}={probe})", call, expect, (*named, *more))
