"""Forbidden parameters are refused under the name of the class that the user called."""

import numpy as np
import pytest

from echocast.exceptions import InvalidParameterError
from echocast.forecasting import (
    AutoESNForecaster,
    EnsembleForecaster,
    ESNForecaster,
    ForecastSearchCV,
    MarkovForecaster,
    NaiveForecaster,
    NVARForecaster,
    ReservoirForecaster,
    RNNForecaster,
    backtest,
)

Y = np.sin(np.arange(60.0))


@pytest.mark.parametrize(
    ("forecaster", "name"),
    [
        (MarkovForecaster(2, alpha=-1), "alpha"),
        (MarkovForecaster(2, alpha=[1.0, -1.0]), "alpha"),
        (MarkovForecaster(2, solver="lu"), "solver"),
        (NVARForecaster(alpha="best"), "alpha"),
        (NVARForecaster(solver=None), "solver"),
        (NVARForecaster(degree="two"), "degree"),
        (NVARForecaster(degree=[2, 0]), "degree"),
        (RNNForecaster(cell="cnn"), "cell"),
        (RNNForecaster(hidden_layer_sizes="many"), "hidden_layer_sizes"),
        (RNNForecaster(learning_rate_init=0), "learning_rate_init"),
        (RNNForecaster(dropout=1.5), "dropout"),
        (ESNForecaster(20, alpha=-1), "alpha"),
        (ESNForecaster(20, alpha=-1, strategy="direct"), "alpha"),
        (ESNForecaster(20, solver="lu", strategy="direct"), "solver"),
    ],
)
def test_the_readout_of_a_forecaster(forecaster, name):
    owner = type(forecaster).__name__
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of {owner} must be"):
        forecaster.fit(Y)


@pytest.mark.parametrize(
    "forecaster",
    [
        ESNForecaster(20, n_jobs=0),
        MarkovForecaster(2, n_jobs=0),
        NVARForecaster(n_jobs=0),
        AutoESNForecaster(n_jobs=0),
        ReservoirForecaster(n_jobs=0),
        RNNForecaster(n_jobs=0),
        EnsembleForecaster([NaiveForecaster(), NaiveForecaster("mean")], n_jobs=0),
        ForecastSearchCV(NaiveForecaster(), {"strategy": ["last"]}, horizon=2, n_jobs=0),
    ],
)
def test_no_workers_at_all(forecaster):
    owner = type(forecaster).__name__
    text = f"'n_jobs' parameter of {owner} must be None, -1 or an int >= 1. Got 0 instead"
    with pytest.raises(InvalidParameterError, match=text):
        forecaster.fit(Y)


def test_no_workers_of_a_backtest():
    with pytest.raises(InvalidParameterError, match="'n_jobs' parameter of backtest"):
        backtest(NaiveForecaster(), Y, horizon=2, n_windows=2, n_jobs=0)
