"""The sktime adapter: sktime's own suite, and the numbers of the forecaster inside."""

import contextlib
import doctest

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge
from sktime.forecasting.base import ForecastingHorizon
from sktime.forecasting.compose import make_reduction
from sktime.forecasting.model_evaluation import evaluate
from sktime.forecasting.naive import NaiveForecaster
from sktime.split import ExpandingWindowSplitter, SlidingWindowSplitter
from sktime.utils.estimator_checks import check_estimator

from echocast.forecasting import ESNForecaster
from echocast.forecasting.adapters import sktime as adapter
from echocast.forecasting.adapters.sktime import SktimeESNForecaster
from echocast.reservoir import WindowESNRegressor

LEAST_RESULTS = 700


@pytest.fixture(scope="module")
def y(wide):
    return wide["s0"].asfreq("MS")


def periods(frame):
    """The same rows by months; sktime's own models know no starts of months."""
    index = frame.index
    if index.nlevels == 1:
        return frame.to_period("M")
    return frame.set_axis(index.set_levels(index.levels[1].to_period("M"), level=1), axis=0)


def small(**params):
    return {"n_units": 30, "random_state": 0, **params}


def shown(scores):
    return ", ".join(f"{name} {score:.4f}" for name, score in scores.items())


def test_the_whole_suite_of_sktime_passes(tally):
    results = check_estimator(SktimeESNForecaster, verbose=False)
    failed = {name: result for name, result in results.items() if str(result) != "PASSED"}
    tally(f"sktime's suite: {len(results) - len(failed)} of {len(results)} results passed")
    assert failed == {}
    assert len(results) >= LEAST_RESULTS


def test_examples_run():
    result = doctest.testmod(adapter, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted
    assert result.failed == 0


def test_forecasts_are_those_of_the_forecaster(y):
    theirs = SktimeESNForecaster(**small()).fit(y[:-24])
    ours = ESNForecaster(**small()).fit(y[:-24])
    pd.testing.assert_series_equal(theirs.predict(fh=np.arange(1, 13)), ours.predict(12))
    interval = theirs.predict_interval(fh=[1, 5], coverage=[0.8, 0.95])
    band = ours.predict([1, 5], level=[80, 95])[["lo-80", "hi-80", "lo-95", "hi-95"]]
    assert_allclose(interval.to_numpy(), band.to_numpy(), rtol=1e-12)
    assert interval.index.equals(band.index)


@pytest.mark.parametrize("strategy", ["direct", "multi_output"])
def test_strategies_calendar_and_fourier(y, strategy):
    params = small(strategy=strategy, horizon=6, calendar=["month"], fourier={12: 2})
    theirs = SktimeESNForecaster(**params).fit(y).predict(fh=[1, 6, 8])
    pd.testing.assert_series_equal(theirs, ESNForecaster(**params).fit(y).predict([1, 6, 8]))


@pytest.mark.parametrize("learns", [True, False])
def test_update_is_that_of_the_forecaster(y, learns):
    theirs = SktimeESNForecaster(**small()).fit(y[:-24])
    ours = ESNForecaster(**small()).fit(y[:-24])
    theirs.update(y[-30:-12], update_params=learns)  # six rows of which were seen
    ours.update(y[-24:-12], refit=learns)
    pd.testing.assert_series_equal(theirs.predict(fh=[1, 2, 12]), ours.predict([1, 2, 12]))


def test_exogenous_columns_and_absolute_horizons(y):
    X = pd.DataFrame({"x": np.sin(np.arange(len(y)))}, index=y.index)
    horizon = ForecastingHorizon(y.index[-12:], is_relative=False)
    theirs = SktimeESNForecaster(**small()).fit(y[:-12], X[:-12]).predict(horizon, X[-12:])
    ours = ESNForecaster(**small()).fit(y[:-12], X[:-12]).predict(12, X[-12:])
    pd.testing.assert_series_equal(theirs, ours)


def test_panels_get_one_forecaster_a_series(long):
    panel = long.set_index(["unique_id", "ds"])
    found = SktimeESNForecaster(**small()).fit(panel).predict(fh=[1, 2, 3])
    one = ESNForecaster(**small()).fit(panel.loc["s3"].asfreq("MS")).predict(3)
    assert_allclose(found.loc["s3"].to_numpy(), one.to_numpy(), rtol=1e-12)


@pytest.mark.parametrize("rows", [slice(10, 20), slice(-5, None)], ids=["old", "gap"])
def test_forecasts_never_begin_elsewhere_than_asked(y, rows):
    forecaster = SktimeESNForecaster(**small()).fit(y[:-24])
    with contextlib.suppress(ValueError):  # a gap is refused, old rows are passed over
        forecaster.update(y[rows])
    with pytest.raises(ValueError, match="but the forecaster has seen the rows up to"):
        forecaster.predict(fh=[1])


def test_evaluate_beats_the_seasonal_naive(y, tally):
    cv = ExpandingWindowSplitter(fh=np.arange(1, 13), initial_window=180, step_length=12)
    scores = {
        name: evaluate(forecaster, cv, periods(y))["test_MeanAbsolutePercentageError"].mean()
        for name, forecaster in {
            "SktimeESNForecaster": SktimeESNForecaster(random_state=0),
            "NaiveForecaster": NaiveForecaster("last", sp=12),
        }.items()
    }
    tally(f"sktime's evaluate, MAPE: {shown(scores)}")
    assert scores["SktimeESNForecaster"] < scores["NaiveForecaster"]


@pytest.mark.parametrize("pooling", ["local", "global"])
def test_window_regressor_in_a_reduction(long, y, pooling, tally):
    # sktime puts the oldest value first, but the newest where it pools several series.
    order = "oldest_first" if pooling == "local" else "auto"
    data = periods(y if pooling == "local" else long.set_index(["unique_id", "ds"]))
    errors = {}
    for regressor in (
        Ridge(),
        WindowESNRegressor(window_order=order, alpha="auto", random_state=0),
    ):
        reduction = make_reduction(
            regressor,
            window_length=24,
            strategy="recursive",
            scitype="tabular-regressor",
            pooling=pooling,
        )
        cv = SlidingWindowSplitter(fh=np.arange(1, 13), window_length=180, step_length=12)
        found = evaluate(reduction, cv, data)["test_MeanAbsolutePercentageError"].mean()
        errors[type(regressor).__name__] = found
    tally(f"sktime's make_reduction, {pooling}, MAPE: {shown(errors)}")
    assert errors["WindowESNRegressor"] <= 1.05 * errors["Ridge"]
