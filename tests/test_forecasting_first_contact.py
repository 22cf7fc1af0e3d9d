"""What users meet first: slips in calls, and data that is not quite regular."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from echocast.forecasting import ForecastSearchCV, NaiveForecaster


@pytest.fixture
def y():
    days = pd.date_range("2024-01-01", periods=140, freq="D")
    values = np.sin(np.arange(140) * 2 * np.pi / 7)
    return pd.Series(values + 0.01 * np.random.RandomState(0).randn(140), index=days, name="sales")


# ------------------------------------------------------------- scikit-learn's searches


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_searches_of_sklearn_do_not_maximise_the_error(y):
    cv = TimeSeriesSplit(4, test_size=14)
    search = GridSearchCV(NaiveForecaster(), {"strategy": ["seasonal", "last", "mean"]}, cv=cv)
    with pytest.raises(ValueError, match="lower is better.*ForecastSearchCV"):
        search.fit(y)
    with pytest.raises(ValueError, match="lower is better"):
        cross_val_score(NaiveForecaster(), y, cv=cv)
    with pytest.raises(ValueError, match="lower is better"):
        cross_val_score(ForecastSearchCV(NaiveForecaster(), {}, horizon=3), y, cv=cv)


def test_a_scorer_that_negates_the_error_is_welcome(y):
    search = GridSearchCV(
        NaiveForecaster(),
        {"strategy": ["mean", "last", "seasonal"]},
        cv=TimeSeriesSplit(4, test_size=14),
        scoring=lambda forecaster, rows: -forecaster.score(rows),
    )
    assert search.fit(y).best_params_ == {"strategy": "seasonal"}
