"""WindowESNRegressor inside skforecast, beside Ridge on seasonal data."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from skforecast.direct import ForecasterDirect
from skforecast.model_selection import (
    TimeSeriesFold,
    backtesting_forecaster,
    backtesting_forecaster_multiseries,
    grid_search_forecaster,
)
from skforecast.recursive import ForecasterRecursive, ForecasterRecursiveMultiSeries
from sklearn.linear_model import Ridge

from echocast.reservoir import WindowESNRegressor

LAGS = 24
AT_MOST = 1.05  # times Ridge's error


def window(**params):
    return WindowESNRegressor(alpha="auto", random_state=0, **params)


def folds(**params):
    return TimeSeriesFold(steps=12, initial_train_size=180, **params)


def shown(scores):
    return ", ".join(f"{name} {score:.4f}" for name, score in scores.items())


def backtest(forecaster, y, **params):
    scores, forecasts = backtesting_forecaster(
        forecaster, y=y, cv=folds(), metric="mean_absolute_error", show_progress=False, **params
    )
    return scores["mean_absolute_error"].mean(), forecasts


@pytest.mark.parametrize("make", [ForecasterRecursive, ForecasterDirect])
def test_backtest_is_as_good_as_with_ridge(wide, make, tally):
    params = {"steps": 12} if make is ForecasterDirect else {}
    errors = {}
    for name, regressor in {"Ridge": Ridge(), "WindowESNRegressor": window()}.items():
        forecasters = [make(estimator=regressor, lags=LAGS, **params) for _ in wide]
        found = [backtest(f, wide[c].asfreq("MS"))[0] for f, c in zip(forecasters, wide)]
        errors[name] = float(np.mean(found))
    ratio = errors["WindowESNRegressor"] / errors["Ridge"]
    tally(f"skforecast {make.__name__}: MAE {shown(errors)}, ratio {ratio:.3f}")
    assert ratio <= AT_MOST


def test_several_series(wide, tally):
    errors = {}
    for name, regressor in {"Ridge": Ridge(), "WindowESNRegressor": window()}.items():
        scores, _ = backtesting_forecaster_multiseries(
            ForecasterRecursiveMultiSeries(estimator=regressor, lags=LAGS, encoding="ordinal"),
            series=wide.asfreq("MS"),
            cv=folds(),
            metric="mean_absolute_error",
            show_progress=False,
        )
        errors[name] = float(
            scores.loc[scores["levels"] == "average", "mean_absolute_error"].item()
        )
    ratio = errors["WindowESNRegressor"] / errors["Ridge"]
    tally(f"skforecast ForecasterRecursiveMultiSeries: MAE {shown(errors)}, ratio {ratio:.3f}")
    assert ratio <= AT_MOST


def test_windows_are_read_with_the_newest_value_first(wide):
    forecaster = ForecasterRecursive(estimator=window(), lags=LAGS)
    forecaster.fit(wide["s0"].asfreq("MS"))
    columns = forecaster.estimator.window_columns_[:, 0]
    names = np.array(forecaster.X_train_features_names_out_)[columns]
    assert_array_equal(names, [f"lag_{k}" for k in range(LAGS, 0, -1)])


def test_exogenous_columns_go_to_the_readout_alone(wide, tally):
    y = wide["s0"].asfreq("MS")
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"promotion": rng.binomial(1, 0.2, len(y)).astype(float)}, index=y.index)
    y = y * (1 + 0.5 * X["promotion"])
    errors = {}
    for name, regressor in {
        "Ridge": Ridge(),
        # skforecast hands over an array without names: say how many columns are lags
        "WindowESNRegressor": window(n_window_features=LAGS),
    }.items():
        forecaster = ForecasterRecursive(estimator=regressor, lags=LAGS)
        errors[name] = float(backtest(forecaster, y, exog=X)[0])
    forecaster.fit(y, exog=X)
    assert forecaster.estimator.window_columns_.shape == (LAGS, 1)
    assert forecaster.estimator.n_features_in_ == LAGS + 1
    ratio = errors["WindowESNRegressor"] / errors["Ridge"]
    tally(f"skforecast with an exogenous column: MAE {shown(errors)}, ratio {ratio:.3f}")
    assert ratio <= AT_MOST


@pytest.mark.parametrize("method", ["bootstrapping", "conformal"])
def test_intervals(wide, method):
    y = wide["s1"].asfreq("MS")
    forecaster = ForecasterRecursive(estimator=window(), lags=LAGS)
    forecaster.fit(y[:-12], store_in_sample_residuals=True)
    band = forecaster.predict_interval(12, method=method, interval=[0.05, 0.95])
    assert (band["lower_bound"] < band["pred"]).all()
    assert (band["pred"] < band["upper_bound"]).all()
    assert y[-12:].between(band["lower_bound"], band["upper_bound"]).sum() >= 8


def test_grid_search(wide):
    found = grid_search_forecaster(
        forecaster=ForecasterRecursive(estimator=window(), lags=LAGS),
        y=wide["s2"].asfreq("MS"),
        cv=folds(),
        param_grid={"leak_rate": [0.5, 1.0], "n_units": [20, 50]},
        lags_grid=[12, LAGS],
        metric="mean_absolute_error",
        return_best=False,
        show_progress=False,
    )
    assert len(found) == 8
    assert found["mean_absolute_error"].is_monotonic_increasing
    assert found["mean_absolute_error"].nunique() == 8
