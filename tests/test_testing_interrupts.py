"""Methods that are stopped at many of their lines leave the former or the new model."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

import sequence_cases as cases
from echocast.forecasting import (
    EnsembleForecaster,
    ESNForecaster,
    ForecastSearchCV,
    MarkovForecaster,
    NaiveForecaster,
    NVARForecaster,
    ReservoirForecaster,
    RNNForecaster,
)
from echocast.reservoir import CharRNN, ESNRegressor, MarkovChain
from echocast.testing import check_transactional
from echocast.testing._interrupts import interrupted, roots_of

RNG = np.random.RandomState(0)
WAVE = np.sin(0.3 * np.arange(61))[:, None] + 0.1 * RNG.randn(61, 1)
OLD, NEW = (WAVE[:30], WAVE[1:31]), (WAVE[20:-1], WAVE[21:])
SERIES = pd.Series(
    np.sin(0.5 * np.arange(60)) + 0.1 * RNG.randn(60), pd.date_range("2024", periods=60), name="y"
)
PANEL = pd.concat({"a": SERIES, "b": 2 * SERIES + 1}, names=["id", "time"])
SMALL = {"n_units": 8, "random_state": 0, "n_boot": 20}

FORECASTERS = {
    "ESNForecaster": ESNForecaster(**SMALL),
    "ESNForecaster direct": ESNForecaster(**SMALL, strategy="direct", horizon=3),
    "RNNForecaster": RNNForecaster(
        hidden_layer_sizes=3, max_iter=2, n_members=1, n_boot=20, random_state=0
    ),
    "NaiveForecaster": NaiveForecaster(random_state=0),
    "NVARForecaster": NVARForecaster(n_boot=20, random_state=0),
    "MarkovForecaster": MarkovForecaster(2, n_boot=20, random_state=0),
    "ReservoirForecaster": ReservoirForecaster(
        ESNRegressor(8, random_state=0), n_boot=20, random_state=0
    ),
    "EnsembleForecaster": EnsembleForecaster(
        [("naive", NaiveForecaster()), ("esn", ESNForecaster(**SMALL))], n_boot=20, random_state=0
    ),
    "ForecastSearchCV": ForecastSearchCV(
        NaiveForecaster(random_state=0), {"strategy": ["last", "drift"]}, horizon=3, cv=2
    ),
}


# One of each family is stopped at more lines than its relatives.
FAMILIES = {
    "CharRNN", "DeepESNRegressor", "ESNClassifier", "ESNForecaster", "ESNRegressor",
    "ForecastSearchCV", "MarkovChain", "NVARRegressor", "RNNForecaster", "RNNRegressor",
    "ReservoirTransformer",
}  # fmt: skip


def points_for(name):
    return 40 if name in FAMILIES else 10


def upto(data, stop, start=0):
    times = data.index.get_level_values(-1)
    return data[(times >= SERIES.index[start]) & (times < SERIES.index[stop])]


def forecasts(model):
    return model.predict(3), model.predict(2, level=80), [str(model.cutoff_)]


def methods_of(y):
    return {
        "fit": lambda m: m.fit(upto(y, 50, 10)),
        "update": lambda m: m.update(upto(y, 50, 40)),
        "update, refit": lambda m: m.update(upto(y, 50, 40), refit=True),
    }


def _estimators():
    """(label, fitted model, method, outputs) for estimators of this package."""
    short = {"max_iter": 2, "random_state": 0}
    text = {"hidden_layer_sizes": 4, "embedding_size": 3, "bptt_steps": 10, **short}
    for made in (CharRNN(**text), MarkovChain(2)):
        name = type(made).__name__
        made.fit("abcab" * 8)
        yield f"{name} fit", made, lambda m: m.fit("aabbc" * 8), lambda m: m.predict_proba("abc")
    char = CharRNN(**text).fit("abcab" * 8)
    yield (
        "CharRNN partial_fit",
        char,
        lambda m: m.partial_fit("aabbc" * 8),
        lambda m: m.predict_proba("abc"),
    )
    rows = {
        name: made
        for name, made, arguments in cases.instances()
        if not arguments and "Classifier" not in name and "layout='windows'" not in str(made)
    }
    for name, made in rows.items():
        params = {k: 0 for k in made.get_params() if k == "random_state"}
        made = made.set_params(**params).fit(*OLD)
        if not hasattr(made, "predict"):
            yield f"{name} fit", made, lambda m: m.fit(*NEW), lambda m: m.transform(WAVE)
            continue
        wave = WAVE if hasattr(made, "predict_state") or "Window" not in name else OLD[0]
        predict = lambda m, wave=wave: m.predict(wave)  # noqa: E731
        yield f"{name} fit", made, lambda m: m.fit(*NEW), predict
        if hasattr(made, "partial_fit"):
            yield f"{name} partial_fit", made, lambda m: m.partial_fit(*NEW), predict
    S, labels = [WAVE[:20], WAVE[20:38], WAVE[38:60], WAVE[5:22]], [0, 1, 0, 1]
    for name, made, _ in cases.instances():
        if name in ("ESNClassifier", "RNNClassifier", "SelfAttentionClassifier"):
            made = made.set_params(random_state=0).fit(S, labels)
            yield (
                f"{name} fit",
                made,
                lambda m: m.fit(S, labels[::-1]),
                lambda m: m.predict_proba(S),
            )


ESTIMATORS = {label: rest for label, *rest in _estimators()}


@pytest.mark.parametrize("label", list(ESTIMATORS))
def test_estimators(label):
    n_points = points_for(label.rsplit(" ", 1)[0])
    report = check_transactional(*ESTIMATORS[label], n_points=n_points)
    assert report.n_points >= 0.8 * n_points
    assert report.n_old > 0.6 * report.n_points


@pytest.mark.parametrize("method", ["fit", "update", "update, refit"])
@pytest.mark.parametrize("name", list(FORECASTERS))
def test_forecasters(name, method):
    model = FORECASTERS[name].fit(upto(SERIES, 40))
    n_points = points_for(name)
    report = check_transactional(model, methods_of(SERIES)[method], forecasts, n_points=n_points)
    assert report.n_points >= 0.8 * n_points


@pytest.mark.parametrize("method", ["fit", "update"])
@pytest.mark.parametrize("pooling", ["local", "global"])
def test_panels(pooling, method):
    model = ESNForecaster(**SMALL, pooling=pooling).fit(upto(PANEL, 40))
    check_transactional(model, methods_of(PANEL)[method], forecasts, n_points=10)


@pytest.mark.slow
@pytest.mark.parametrize("label", list(ESTIMATORS))
def test_estimators_at_every_line(label):
    report = check_transactional(*ESTIMATORS[label], n_points=None)
    assert report.n_points >= 0.99 * report.n_lines


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fit", "update", "update, refit"])
@pytest.mark.parametrize("name", list(FORECASTERS))
def test_forecasters_at_every_line(name, method):
    model = FORECASTERS[name].fit(upto(SERIES, 40))
    n_points = 500 if name == "EnsembleForecaster" else None  # its fit runs 10^5 lines
    check_transactional(model, methods_of(SERIES)[method], forecasts, n_points=n_points)


# ------------------------------------------------------------------ the check itself


class Halfway(BaseEstimator):
    def fit(self, x):
        self.low_ = float(np.min(x))
        self.high_ = float(np.max(x))
        return self

    def partial_fit(self, x):
        return self.fit(x)


class Unusable(Halfway):
    def fit(self, x):
        del self.low_
        return super().fit(x)


class Drifts(Halfway):
    """Counts its fits, so that a second run gives another model."""

    def fit(self, x):
        self.n_ = getattr(self, "n_", 0) + 1
        low, high = float(np.min(x)) * self.n_, float(np.max(x))
        self.__dict__ |= {"low_": low, "high_": high}
        return self


def values(model):
    return np.array([model.low_, model.high_])


def made(kind):
    model = kind()
    model.low_, model.high_ = -1.0, 1.0
    return model


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Halfway, "is neither the former nor the new model: 1.0 became 9.0|-1.0 became 2.0"),
        (Unusable, "cannot be used: AttributeError"),
        (Drifts, "gives another model when it goes on"),
    ],
)
def test_models_that_are_left_in_pieces_are_found(kind, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_transactional(made(kind), lambda m: m.fit([2.0, 9.0]), values)


def test_a_lock_is_not_left_behind_and_other_interruptions_pass():
    import threading

    lock = threading.Lock()

    def locked():
        with lock:
            pass
        return 1

    roots = [__file__]
    _, n_lines = interrupted(locked, None, roots)
    for n in range(1, n_lines + 1):
        assert interrupted(locked, n, roots)[0]
        assert not lock.locked()

    def ctrl_c():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(ctrl_c, None, roots)
    with contextlib.suppress(ValueError):
        check_transactional(made(Halfway), lambda m: None, values)
    assert any(root.endswith("test_testing_interrupts.py") for root in roots_of(made(Halfway)))
