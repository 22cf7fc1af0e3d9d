"""A user's program, checked with ``mypy --strict`` against the installed package; never run.

It calls the public interface as the documentation does. An untyped function, a name that is not
exported or a wrong annotation is an error here.
"""

from typing import assert_type

import numpy as np
import pandas as pd

import echocast
from echocast.datasets import load_co2, load_sunspots, lorenz63, mackey_glass
from echocast.exceptions import EchocastWarning, ForecastDivergedError, InvalidParameterError
from echocast.forecasting import (
    AutoESNForecaster,
    BacktestResult,
    EnsembleForecaster,
    ESNForecaster,
    ForecastSearchCV,
    LongForecaster,
    MarkovForecaster,
    NaiveForecaster,
    ReservoirForecaster,
    backtest,
    mase,
)
from echocast.reservoir import (
    AttentionDisplay,
    ESNRegressor,
    LossCurveDisplay,
    ReservoirTransformer,
    RNNClassifier,
    RNNRegressor,
    Seq2SeqRegressor,
    Seq2SeqTransducer,
    WindowRNNRegressor,
    spectral_radius,
    topologies,
)
from echocast.testing import check_causal


def learn_a_system() -> np.ndarray:
    u = np.asarray(lorenz63(2000, dt=0.02, random_state=0))
    esn = ESNRegressor(n_units=100, alpha="auto", random_state=0)
    assert_type(esn.fit(u[:-1], u[1:]), ESNRegressor)
    assert_type(esn.partial_fit(u[:-1], u[1:]), ESNRegressor)
    score: float = esn.score(u[:-1], u[1:])
    states = ReservoirTransformer(n_units=10, random_state=0).fit_transform(u)
    print(score, states.shape, topologies(), spectral_radius(np.eye(3)))
    return np.asarray(esn.generate(100))


def train_a_network(u: np.ndarray, labels: list[str]) -> np.ndarray:
    rnn = RNNRegressor(
        hidden_layer_sizes=(32, 16), cell="lstm", loss="pinball", quantile=[0.1, 0.9]
    )
    assert_type(rnn.fit(u[:-1], u[1:]), RNNRegressor)
    assert_type(rnn.partial_fit(u[:-1], u[1:]), RNNRegressor)
    score: float = rnn.score(u[:-1], u[1:])
    weights: dict[str, np.ndarray] = rnn.params_
    print(score, weights["out.W"], rnn.transform([u])[0], rnn.predict_quantiles(u), rnn.n_iter_)
    LossCurveDisplay.from_estimator(rnn).plot()
    clf = RNNClassifier(weight_init="spectral").fit([u, u], labels)
    assert_type(clf.partial_fit([u, u], labels, classes=labels), RNNClassifier)
    print(clf.predict_proba([u]), clf.classes_, WindowRNNRegressor().fit(u, u[:, 0]).predict(u))
    return np.asarray(rnn.generate(100, warmup=u))


def write_sequences(u: np.ndarray) -> list[str]:
    model = Seq2SeqTransducer(attention="additive", random_state=0)
    assert_type(model.fit(["ab", "b"], ["ba", "b"]), Seq2SeqTransducer)
    score: float = model.score(["ab"], ["ba"])
    AttentionDisplay.from_estimator(model, "ab").plot()
    numbers = Seq2SeqRegressor(start="last").fit(u[:, :8], u[:, 8:])
    print(score, model.log_likelihood(["ab"], ["ba"]).sum(), numbers.predict(u[:, :8]))
    return list(model.predict(["ab"], beam_size=3))


def forecast_a_series() -> pd.DataFrame:
    y: pd.Series = load_sunspots()
    model = ESNForecaster(200, random_state=0)
    assert_type(model.fit(y).update(y), ESNForecaster)
    result: BacktestResult = backtest(NaiveForecaster("drift"), y, horizon=11, n_windows=3)
    print(result.summary()["mase"], mase, load_co2, mackey_glass, echocast.__version__)
    return pd.DataFrame(model.predict(11, level=[80, 95]))


def forecast_several_series(y: pd.Series, frame: pd.DataFrame) -> pd.DataFrame:
    model = AutoESNForecaster(horizon=8, random_state=0)
    assert_type(model.fit(y), AutoESNForecaster)
    assert_type(model.apply(y), AutoESNForecaster)
    pooled = ESNForecaster(strategy="direct", pooling="global").fit(y, static=frame)
    mixed = EnsembleForecaster([pooled, MarkovForecaster(order=3)], method="median")
    search = ForecastSearchCV(mixed, {"method": ["mean", "median"]}, horizon=8, cv=3)
    print(search.fit(y).best_params_, check_causal(MarkovForecaster(), y, horizon=3))
    around = ReservoirForecaster(ESNRegressor(50), lags=3)
    assert_type(around.fit(y).sample(3, n_samples=10), pd.DataFrame)
    return pd.DataFrame(LongForecaster([model, around], freq="MS").fit(frame).predict(8))


def handle() -> None:
    try:
        learn_a_system()
    except ForecastDivergedError as error:
        print(error.step, error.last_finite)
    except (InvalidParameterError, EchocastWarning):
        pass


def compile_first() -> None:
    echocast.warmup()
