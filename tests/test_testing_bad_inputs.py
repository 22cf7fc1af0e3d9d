"""The catalogue of bad inputs: what it holds, what the runner says, and that all of it passes."""

import warnings

import numpy as np
import pytest

from echocast import forecasting, reservoir
from echocast.exceptions import EchocastWarning, IllConditionedWarning
from echocast.testing import bad_inputs, run_bad_inputs
from echocast.testing._bad_input import FINE, REFUSED, SAME, WARNED, BadInput
from echocast.testing._bad_parameters import PROBES, is_allowed, is_declared
from echocast.testing._trial import Counts, Trial, run_trial
from echocast.testing._trials_estimators import estimator_trials, small_estimators
from echocast.testing._trials_forecasters import forecaster_trials, small_forecasters
from echocast.testing._trials_frames import long_trials, part_trials
from echocast.testing._trials_parameters import parameter_trials


def test_the_catalogue_is_as_large_as_it_says():
    counts = {kind: len(bad_inputs(kind)) for kind in ("array", "index", "exogenous", "horizon")}
    assert counts["array"] >= 60
    assert counts["index"] >= 45
    assert counts["exogenous"] >= 35
    assert len(bad_inputs()) >= 280
    for kind in {entry.kind for entry in bad_inputs()}:
        names = [entry.name for entry in bad_inputs(kind)]
        assert len(set(names)) == len(names), kind
    with pytest.raises(ValueError, match="`kind` must be among"):
        bad_inputs("soup")


def test_a_draw_of_trials_passes():
    counts = run_bad_inputs(seed=3, budget=2500)
    assert counts.failures == []
    assert counts.passed
    assert counts.n_trials == 2500
    assert "2,500 bad inputs (seed 3)" in str(counts)


def failures(trials):
    counts = Counts()
    for given in trials:
        counts.add(given)
    assert counts.n_trials > 0
    return counts.failures


@pytest.mark.parametrize("kind", ["RLSReadout", "LMSReadout", "FORCEReadout"])
def test_all_trials_of_online_readouts_pass(kind):
    given = [*estimator_trials(), *parameter_trials()]
    assert failures(t for t in given if t.what.startswith(kind)) == []


def test_all_parameters_of_a_search_pass():
    """Those that a grid makes no use of are checked, too."""
    given = (t for t in parameter_trials() if t.what.startswith("ESNSearchCV"))
    assert failures(t for t in given if "n_jobs" not in t.what) == []


def test_parts_of_a_distributed_fit_without_a_length_are_named():
    names = ("None", "a number", "a generator", "sparse array", "an object with __array__")
    given = [t for t in part_trials() if t.what.endswith(tuple(f"X, {n})" for n in names))]
    assert len(given) == len(names)
    assert failures(given) == []


def test_a_system_of_a_few_rows_is_refused_by_name():
    given = (t for t in forecaster_trials() if t.what == "AutoESNForecaster.fit(y: one row)")
    assert failures(given) == []


@pytest.mark.slow
def test_all_trials_of_frames_and_parts_pass():
    assert failures([*long_trials(), *part_trials()]) == []


@pytest.mark.slow
def test_all_trials_pass():
    counts = run_bad_inputs()
    assert counts.failures == []
    assert counts.n_trials > 25_000


def public_classes():
    for package in (reservoir, forecasting):
        for name in package.__all__:
            found = getattr(package, name)
            if isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "get_params"):
                yield name, found


# Their trials are in files of their own, or they are made of what is tried here.
ELSEWHERE = {
    "AdaptiveComputationRNN", "CharRNN", "LongForecaster", "MarkovChain", "NeuralTuringMachine",
    "RecursiveClassifier", "Seq2SeqTransducer",
}  # fmt: skip


def test_every_estimator_and_forecaster_is_tried():
    tried = {type(made).__name__ for made in small_estimators().values()}
    tried |= {type(made).__name__ for made in small_forecasters().values()}
    transforms = {
        name for name, kind in public_classes() if issubclass(kind, forecasting.Transform)
    }
    assert {name for name, _ in public_classes()} - transforms - ELSEWHERE == tried


def test_every_parameter_is_declared():
    """A new parameter needs a line in `_bad_parameters.py`, or it is tried with nothing."""
    made = {**small_estimators(), **small_forecasters()}
    missing = {
        (type(m).__name__, parameter)
        for m in made.values()
        for parameter in m.get_params(deep=False)
        if not is_declared(type(m).__name__, parameter)
    }
    assert missing == set()
    assert is_allowed("ESNRegressor", "alpha", "zero")
    assert not is_allowed("ESNRegressor", "alpha", "NaN")
    assert len(PROBES) >= 14


# ------------------------------------------------------------------ the runner


def trial(call, expect=REFUSED, names=("X",), clean=None):
    return Trial("a trial", call, expect, names, clean)


def raises(error):
    def call():
        raise error

    return call


def warns(category, value=1.0):
    def call():
        warnings.warn("X is so-so", category, stacklevel=2)
        return np.array([value])

    return call


def esn(**params):
    u = np.sin(0.3 * np.arange(40))[:, None]
    return reservoir.ESNRegressor(6, random_state=0, **params).fit(u, u)


@pytest.mark.parametrize(
    ("given", "outcome", "words"),
    [
        (trial(lambda: esn(alpha=-1), names=("alpha",)), "ERR", "'alpha' parameter"),
        (trial(lambda: esn(alpha=-1), names=("beta",)), "OBSCURE", "names none of beta"),
        (trial(raises(ValueError("X is bad"))), "OBSCURE", "raised in test_testing_bad_inputs"),
        (trial(raises(KeyError("X"))), "OBSCURE", "no documented class"),
        (trial(raises(SystemExit(3))), "DIED", "SystemExit"),
        (trial(lambda: np.ones(2)), "SILENT", "without a word"),
        (trial(lambda: np.ones(2), WARNED), "SILENT", "without a word"),
        (trial(lambda: np.ones(2), FINE), "OK", ""),
        (trial(lambda: np.array([1.0, np.nan]), FINE), "SILENT", "not finite"),
        (trial(lambda: np.ones(2), SAME, clean=lambda: np.ones(2)), "OK", ""),
        (trial(lambda: np.ones(2), SAME, clean=lambda: np.zeros(2)), "SILENT", "something else"),
        (trial(warns(IllConditionedWarning), WARNED), "WARN", "X is so-so"),
        (trial(warns(EchocastWarning), FINE), "WARN", "X is so-so"),
        (trial(warns(EchocastWarning), REFUSED), "SILENT", "with a warning alone"),
        (trial(warns(RuntimeWarning), FINE), "OBSCURE", "a warning of NumPy's"),
        (trial(warns(UserWarning), FINE), "OK", ""),
    ],
)
def test_trials_are_told_apart(given, outcome, words):
    found, said = run_trial(given)
    assert found == outcome
    assert words in said


def test_a_trial_that_takes_too_long_is_counted(monkeypatch):
    monkeypatch.setattr("echocast.testing._trial.LONGEST", -1.0)
    counts = Counts()
    assert counts.add(trial(lambda: 1.0, FINE)) == "HUNG"
    assert not counts.passed
    assert counts.failures[0].startswith("HUNG a trial: took")


def test_what_is_refused_elsewhere_may_be_fine_in_some_methods():
    entry = BadInput("few rows", "values", "y", lambda y: y, REFUSED, "update Naive")
    assert entry.expected_in("ESNForecaster", "fit") == REFUSED
    assert entry.expected_in("ESNForecaster", "update") == FINE
    assert entry.expected_in("NaiveForecaster", "fit") == FINE
    assert BadInput("a", "values", "y", abs, SAME, "fit").expected_in("A", "fit") == SAME
