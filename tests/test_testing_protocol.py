"""Forecasters of other people, which have `fit` and `predict` alone."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from echocast.forecasting import backtest
from echocast.testing import check_causal


class Last(BaseEstimator):
    """Repeats the last row."""

    def fit(self, y, X=None):
        self.y_ = y
        return self

    def predict(self, horizon, X=None):
        steps = list(range(1, horizon + 1)) if isinstance(horizon, int) else list(horizon)
        return pd.Series(self.value(X), index=self.y_.index[-1] + np.array(steps))

    def value(self, X):
        return self.y_.iloc[-1]


class Peeks(Last):
    """Forecasts by the last row of X there is, however late."""

    def fit(self, y, X=None):
        self.X_ = X
        return super().fit(y)

    def value(self, X):
        return self.X_.iloc[-1, 0]


@pytest.fixture
def y():
    return pd.Series(np.random.RandomState(0).randn(60), name="y")


def test_what_a_forecaster_lacks_is_left_out_and_named(y):
    report = check_causal(Last(), y)
    assert report.left_out == ("fitted_values", "update")
    assert str(report).endswith("; left out: fitted_values, update")
    assert report.n_comparisons > 0


def test_leaks_of_a_plain_forecaster_are_found_and_shown_as_numbers(y):
    with pytest.raises(AssertionError, match=r"Peeks sees the future") as error:
        check_causal(Peeks(), y, y.to_frame("x"))
    assert "np.float64" not in str(error.value)


def test_backtests_without_learning_need_update(y):
    with pytest.raises(TypeError, match=r"refit=False .* `update`, which Last does not have"):
        backtest(Last(), y, horizon=3, n_windows=3, refit=False)
    assert len(backtest(Last(), y, horizon=3, n_windows=3).forecasts) == 9
