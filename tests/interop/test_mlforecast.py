"""WindowESNRegressor inside mlforecast, beside Ridge on seasonal data."""

import numpy as np
import pandas as pd
import pytest
from mlforecast import MLForecast
from mlforecast.utils import PredictionIntervals
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge

from echocast.reservoir import WindowESNRegressor

LAGS = range(1, 25)
AT_MOST = 1.05  # times Ridge's error


def forecaster(**params):
    models = {
        "Ridge": Ridge(),
        "WindowESNRegressor": WindowESNRegressor(alpha="auto", random_state=0),
    }
    return MLForecast(models=models, freq="MS", lags=LAGS, **params)


def ratio_of(frame):
    errors = frame[["Ridge", "WindowESNRegressor"]].sub(frame["y"], axis=0).abs().mean()
    return errors["WindowESNRegressor"] / errors["Ridge"], errors.round(4).to_dict()


@pytest.mark.parametrize("refit", [True, False])
def test_cross_validation_is_as_good_as_with_ridge(long, refit, tally):
    ratio, errors = ratio_of(forecaster().cross_validation(long, n_windows=5, h=12, refit=refit))
    tally(f"mlforecast cross_validation, refit={refit}: MAE {errors}, ratio {ratio:.3f}")
    assert ratio <= AT_MOST


def test_calendar_columns_go_to_the_readout_alone(long, tally):
    nixtla = forecaster(date_features=["month"])
    ratio, errors = ratio_of(nixtla.cross_validation(long, n_windows=5, h=12))
    tally(f"mlforecast with a calendar column: MAE {errors}, ratio {ratio:.3f}")
    assert ratio <= AT_MOST
    nixtla.fit(long)
    model = nixtla.models_["WindowESNRegressor"]
    names = np.array(model.feature_names_in_)
    assert_array_equal(names[model.window_columns_[:, 0]], [f"lag{k}" for k in LAGS[::-1]])
    assert model.n_features_in_ == len(LAGS) + 1


def test_fit_and_predict_feed_each_forecast_back(long, wide):
    nixtla = forecaster().fit(long)
    found = nixtla.predict(12)
    assert list(found) == ["unique_id", "ds", "Ridge", "WindowESNRegressor"]
    model = nixtla.models_["WindowESNRegressor"]
    values = list(wide["s2"])
    for _ in range(12):
        row = pd.DataFrame([values[: -len(LAGS) - 1 : -1]], columns=model.feature_names_in_)
        values.append(model.predict(row).item())
    mine = found.loc[found["unique_id"] == "s2", "WindowESNRegressor"]
    np.testing.assert_allclose(mine, values[-12:], rtol=1e-9)


def test_series_and_their_order_do_not_mix(long):
    """Rows of a prediction are different series at one time: each must stand for itself."""
    nixtla = forecaster().fit(long)
    model = nixtla.models_["WindowESNRegressor"]
    both = nixtla.predict(6).set_index(["unique_id", "ds"])["WindowESNRegressor"]
    some = nixtla.predict(6, ids=["s4", "s1"]).set_index(["unique_id", "ds"])["WindowESNRegressor"]
    pd.testing.assert_series_equal(some, both.loc[some.index], rtol=1e-12)
    rows = pd.DataFrame(np.random.RandomState(0).rand(5, 24), columns=model.feature_names_in_)
    np.testing.assert_allclose(model.predict(rows[::-1])[::-1], model.predict(rows), rtol=1e-12)


def test_conformal_intervals(long):
    nixtla = forecaster().fit(long, prediction_intervals=PredictionIntervals(n_windows=3, h=6))
    found = nixtla.predict(6, level=[80])
    assert (found["WindowESNRegressor-lo-80"] < found["WindowESNRegressor-hi-80"]).all()
