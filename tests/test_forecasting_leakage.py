"""Poison the future: nothing after a cutoff may change a forecast before it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from echocast.forecasting import (
    BoxCox,
    Deseasonalize,
    Difference,
    EnsembleForecaster,
    ESNForecaster,
    MarkovForecaster,
    NaiveForecaster,
    NVARForecaster,
    ReservoirForecaster,
    RNNForecaster,
    SeasonalDifference,
    Standardize,
    backtest,
)
from echocast.reservoir import ESNRegressor, ReservoirTransformer

# what poisoned rows lead to is not held against the windows that see them
pytestmark = pytest.mark.filterwarnings("ignore::echocast.exceptions.ForecastDivergenceWarning")

N = 110
INDEX = pd.date_range("2020-01-01", periods=N, freq="MS")
RNG = np.random.RandomState(0)
X = pd.DataFrame({"x": RNG.randn(N).cumsum()}, index=INDEX)
Y = pd.Series(
    3 * np.sin(2 * np.pi * np.arange(N) / 12) + X["x"] + RNG.randn(N), index=INDEX, name="y"
)
FORECASTERS = {
    "esn": ESNForecaster(15, random_state=0),
    "esn, conformal": ESNForecaster(15, interval="conformal", random_state=0),
    "esn, all transforms": ESNForecaster(
        15,
        transforms=["seasonal_difference", "deseasonalize", "difference", "standardize"],
        random_state=0,
    ),
    "esn, filled": ESNForecaster(15, missing="interpolate", random_state=0),
    "esn, masked": ESNForecaster(15, missing="mask", random_state=0),
    "esn, adaptive": ESNForecaster(15, interval="adaptive", random_state=0),
    "esn, bent": ESNForecaster(
        15,
        transforms=[BoxCox(offset=1e3), "yeo_johnson", "detrend", "standardize"],
        calendar="auto",
        fourier={12: 2},
        random_state=0,
    ),
    **{s: NaiveForecaster(s) for s in ("last", "seasonal", "drift", "mean")},
    "markov": MarkovForecaster(random_state=0),
    "nvar": NVARForecaster(random_state=0),
    "reservoir": ReservoirForecaster(ESNRegressor(10, alpha="auto"), random_state=0),
    "direct": ReservoirForecaster(
        ESNRegressor(10, alpha=1.0), lags=3, strategy="direct", horizon=4, random_state=0
    ),
    "multi output": ReservoirForecaster(
        Ridge(), strategy="multi_output", horizon=4, random_state=0
    ),
    "context": ReservoirForecaster(
        make_pipeline(ReservoirTransformer(10), Ridge()), context=20, n_boot=5, random_state=0
    ),
    "rnn": RNNForecaster(
        hidden_layer_sizes=3, max_iter=5, n_members=1, missing="interpolate", random_state=0
    ),
    "rnn, direct": RNNForecaster(
        strategy="direct",
        loss="gaussian",
        interval="model",
        hidden_layer_sizes=3,
        max_iter=5,
        n_members=1,
        early_stopping=True,
        random_state=0,
    ),
    "weighted": EnsembleForecaster(
        [MarkovForecaster(2), NaiveForecaster()], method="weights", random_state=0
    ),
}
POISONS = {
    "huge": lambda a: np.full_like(a, 1e9),
    "shuffled": lambda a: np.random.RandomState(1).permutation(a),
    "negated": lambda a: -a,
}


def poisoned(data, cutoff, how):
    """The data with everything after the row `cutoff` replaced."""
    out = data.copy()
    out.iloc[cutoff:] = POISONS[how](data.iloc[cutoff:].to_numpy())
    return out


@pytest.mark.parametrize("how", POISONS)
@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("refit", [True, False])
def test_backtests_do_not_see_beyond_a_cutoff(name, how, refit):
    settings = {"horizon": 4, "n_windows": 3, "step": 4, "refit": refit, "level": 80}
    clean = backtest(FORECASTERS[name], Y, **settings).forecasts
    values = [c for c in clean if c not in ("y",)]
    for window, cutoff in enumerate((98, 102, 106)):
        dirty = backtest(FORECASTERS[name], poisoned(Y, cutoff, how), **settings).forecasts
        rows = slice(0, 4 * (window + 1))
        pd.testing.assert_frame_equal(
            clean[values].iloc[rows], dirty[values].iloc[rows], check_exact=True
        )
        scored = slice(0, 4 * window)  # scores of windows that ended before the poison
        pd.testing.assert_frame_equal(clean.iloc[scored], dirty.iloc[scored], check_exact=True)


def test_missing_values_are_not_filled_from_beyond_a_cutoff():
    y = Y.copy()
    y.iloc[100:102] = np.nan  # the last rows before the second cutoff
    settings = {"horizon": 4, "n_windows": 3, "step": 4}
    model = FORECASTERS["esn, filled"]
    clean = backtest(model, y, **settings)
    dirty = backtest(model, poisoned(y, 102, "huge"), **settings)
    pd.testing.assert_frame_equal(
        clean.forecasts.drop(columns="y").iloc[:8], dirty.forecasts.drop(columns="y").iloc[:8]
    )
    assert clean.scores["mase"].iloc[0] == dirty.scores["mase"].iloc[0]


@pytest.mark.parametrize("how", POISONS)
def test_exogenous_rows_beyond_the_horizon_do_not_matter(how):
    settings = {"horizon": 4, "n_windows": 3, "step": 4}
    model = FORECASTERS["esn"]
    clean = backtest(model, Y, X, **settings).forecasts
    dirty = backtest(model, Y, poisoned(X, 102, how), **settings).forecasts
    pd.testing.assert_frame_equal(clean.iloc[:4], dirty.iloc[:4], check_exact=True)
    assert not clean["forecast"].iloc[4:8].equals(dirty["forecast"].iloc[4:8])


@pytest.mark.parametrize("how", POISONS)
def test_exogenous_rows_after_the_cutoff_do_not_matter_unless_known(how):
    settings = {"horizon": 4, "n_windows": 3, "step": 4, "X_future": "persist"}
    model = FORECASTERS["esn"]
    clean = backtest(model, Y, X, **settings).forecasts
    dirty = backtest(model, Y, poisoned(X, 102, how), **settings).forecasts
    pd.testing.assert_frame_equal(clean.iloc[:8], dirty.iloc[:8], check_exact=True)


def test_a_fit_ignores_exogenous_rows_after_the_target():
    model = FORECASTERS["esn"]
    whole = model.fit(Y.iloc[:90], X).predict(1, X.iloc[90:91])
    cut = model.fit(Y.iloc[:90], X.iloc[:90]).predict(1, X.iloc[90:91])
    pd.testing.assert_series_equal(whole, cut, check_exact=True)


@pytest.mark.parametrize(
    "step", [Standardize(), Difference(), SeasonalDifference(12), Deseasonalize(12)]
)
def test_transforms_of_a_row_depend_on_rows_up_to_it(step):
    values = Y.to_numpy()[:, None]
    step.fit(values[:80], 12)
    clean = step.forward(values, 0)
    for cutoff in (30, 80, 100):
        changed = values.copy()
        changed[cutoff:] = 1e9
        known = cutoff - step.n_lost_
        np.testing.assert_array_equal(step.forward(changed, 0)[:known], clean[:known])


def test_fitted_values_depend_on_earlier_rows_alone():
    model = ESNForecaster(15, random_state=0).fit(Y)
    clean = model.fitted_values(Y)
    for cutoff in (60, 100):
        dirty = model.fitted_values(poisoned(Y, cutoff, "negated"))
        pd.testing.assert_series_equal(
            clean.iloc[: cutoff + 1], dirty.iloc[: cutoff + 1], check_exact=True
        )


def test_the_target_as_its_own_exogenous_column_is_seen_to_be_known():
    """With X = y and the true future given, the forecast is exact: a leak that has a name."""
    known = Y.to_frame("copy")
    model = ESNForecaster(15, transforms=["standardize"], random_state=0)
    settings = {"horizon": 4, "n_windows": 3, "metrics": "mae"}
    actual = backtest(model, Y, known, **settings)
    persisted = backtest(model, Y, known, X_future="persist", **settings)
    assert actual.settings["X_future"] == "actual"
    assert actual.summary()["mae"] < 0.1 * persisted.summary()["mae"]
