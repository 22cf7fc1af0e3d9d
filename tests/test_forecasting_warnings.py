"""Warnings point at the line of the user that led to them, by whatever way."""

import warnings

import numpy as np
import pandas as pd
import pytest

from echocast.exceptions import EchocastWarning
from echocast.forecasting import (
    ForecastSearchCV,
    LongForecaster,
    NaiveForecaster,
    backtest,
    mase,
    rmsse,
)

FLAT = np.ones(30)
PANEL = pd.concat(
    {
        label: pd.Series(np.sin(np.arange(n)), pd.date_range("2024", periods=n, freq="D"))
        for label, n in (("a", 30), ("b", 9))
    },
    names=["id", "time"],
)
LONG = PANEL.rename("y").reset_index().set_axis(["unique_id", "ds", "y"], axis=1)


def search():
    space = {"strategy": ["last", "odd"]}
    ForecastSearchCV(NaiveForecaster(), space, horizon=2, metric="mae").fit(np.sin(FLAT.cumsum()))


def search_of_a_panel():
    one = ForecastSearchCV(NaiveForecaster(), {"strategy": ["last"]}, horizon=4, cv=3, holdout=None)
    one.set_params(metric="mae").fit(PANEL)


def long_predict():
    model = LongForecaster(NaiveForecaster(), freq="D").fit(LONG.assign(x=1.0))
    ahead = LONG[["unique_id", "ds"]].assign(ds=LONG["ds"] + pd.Timedelta(days=9), x=1.0, z=2.0)
    model.predict(2, X_df=ahead)


def long_cross_validation():
    LongForecaster(NaiveForecaster(), freq="D").cross_validation(LONG, h=4, n_windows=3)


CASES = {
    "mase": lambda: mase(FLAT[:3], FLAT[:3], FLAT),
    "rmsse": lambda: rmsse(FLAT[:3], FLAT[:3], FLAT[:5], season_length=7),
    "unscaled": lambda: backtest(NaiveForecaster(), FLAT, horizon=2, n_windows=2),
    "skipped": lambda: backtest(NaiveForecaster(), PANEL, horizon=4, n_windows=3),
    "search": search,
    "search_of_a_panel": search_of_a_panel,
    "long_predict": long_predict,
    "long_cross_validation": long_cross_validation,
}


@pytest.mark.parametrize("case", CASES)
def test_warnings_point_at_the_caller(case):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CASES[case]()
    ours = [w for w in caught if issubclass(w.category, EchocastWarning) or case == "search"]
    assert ours
    assert {w.filename for w in ours} == {__file__}
