"""The checks of echocast.testing catch what they are for, and name it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.preprocessing import StandardScaler

from echocast.forecasting import ESNForecaster, NaiveForecaster, Standardize
from echocast.testing import (
    check_causal,
    check_series_swap,
    check_splitter,
    check_transform_causal,
)

N = 60
TIMES = pd.date_range("2020-01-01", periods=N, freq="D", name="time")
RNG = np.random.RandomState(0)
Y = pd.Series(RNG.randn(N).cumsum(), index=TIMES, name="y")
X = pd.DataFrame({"x": RNG.randn(N)}, index=TIMES)
PANEL = pd.concat({"b": Y, "a": Y**2, "c": Y[10:] + 1}, names=["id", "time"])


# -------------------------------------------------------------- planted forecasters


class SmoothsAround(NaiveForecaster):
    """Fitted values from a centred mean."""

    def fitted_values(self, y=None, X=None):
        return y.rolling(5, center=True, min_periods=1).mean().shift(1)


class ScalesByAll(NaiveForecaster):
    """Fitted values through the standard deviation of all rows, later ones too."""

    def fitted_values(self, y=None, X=None):
        return (y / y.std()).shift(1) * y.std()


class FillsBackwards(NaiveForecaster):
    """Fitted values after missing rows were filled from later ones."""

    def fitted_values(self, y=None, X=None):
        return y.bfill().shift(1)


class ScalesXByAll(BaseEstimator):
    """A fit that looks at exogenous rows beyond the cutoff."""

    def __init__(self, past_columns=None):
        self.past_columns = past_columns

    def fit(self, y, X=None):
        self.seen_ = float(X["x"].std())
        self.model_ = NaiveForecaster().fit(y)
        return self

    def predict(self, horizon, X=None):
        return self.model_.predict(horizon) + self.seen_

    def update(self, y, X=None):
        self.model_.update(y)
        return self


class TrustsX(ScalesXByAll):
    """A forecast from exogenous rows of the steps ahead."""

    def fit(self, y, X=None):
        super().fit(y, X)
        self.seen_ = 0.0
        return self

    def predict(self, horizon, X=None):
        index = self.model_.predict(horizon).index
        return self.model_.predict(horizon) + X["x"].loc[index]


class Shifted(NaiveForecaster):
    """A forecast moved by a number that was given to the constructor."""

    def __init__(self, strategy="last", by=0.0, season_length="auto", missing="raise", freq=None):
        super().__init__(strategy, season_length=season_length, missing=missing, freq=freq)
        self.by = by

    def predict(self, horizon, X=None, **kwargs):
        return super().predict(horizon, **kwargs) + self.by


class MixesSeries(NaiveForecaster):
    """Each series is forecast by what its neighbour in the frame does."""

    def predict(self, horizon, X=None, **kwargs):
        forecast = super().predict(horizon, **kwargs)
        return forecast + np.roll(forecast.to_numpy(), 1)


class Dice(NaiveForecaster):
    """Another forecast each time."""

    def predict(self, horizon, X=None, **kwargs):
        return super().predict(horizon, **kwargs) + np.random.RandomState().rand()


class ScalesWindowsByAll(ESNForecaster):
    """All windows at once, moved by the mean of all rows that they were handed with."""

    def _backtest_forecasts(self, values, exog, origins, levels):
        fields = super()._backtest_forecasts(values, exog, origins, levels)
        return {name: field + values.mean() for name, field in fields.items()}


@pytest.mark.parametrize(
    ("forecaster", "y", "X", "message"),
    [
        (SmoothsAround(), Y, None, r"SmoothsAround sees the future \(fitted_values, rows after .*"
         r" huge\): first difference in row 39"),
        (ScalesByAll(), Y, None, r"fitted_values"),
        (FillsBackwards(missing="ffill"), Y, None, "fitted_values"),
        (ScalesXByAll(), Y, X, r"predict with all of X, rows after 2020-02-09 00:00:00 huge"),
        (TrustsX(past_columns=["x"]), Y, X, r"backtest\(refit=True\), .* column 'forecast'"),
        (lambda y, X: Shifted(by=float(y.std())), Y, None, r"backtest\(refit=True\)"),
        (ScalesWindowsByAll(8), Y, None, r"backtest\(refit=False\), .* huge"),
    ],
    ids=["smooths", "scales", "fills", "scales X", "past columns", "settings from all data",
         "windows at once"],
)  # fmt: skip
def test_planted_leaks_of_forecasters_are_caught(forecaster, y, X, message):
    with pytest.raises(AssertionError, match=message):
        check_causal(forecaster, y, X)


def test_honest_forecasters_pass():
    assert check_causal(NaiveForecaster("drift"), Y).n_comparisons == 18
    assert check_causal(TrustsX(), Y, X, cutoffs=1).n_comparisons == 9  # says that x is known
    assert check_causal(NaiveForecaster(missing="ffill"), Y).n_comparisons == 24
    assert check_causal(Shifted(by=2.0), Y, cutoffs=[40, TIMES[44]]).refused == ()
    assert check_causal(lambda y, X: Shifted(by=len(y)), Y, cutoffs=1).n_comparisons == 9
    assert check_causal(ESNForecaster(8), Y, X, level=80, cutoffs=1).n_comparisons == 15
    arrays = Y.to_numpy(), X.to_numpy()
    assert check_causal(NaiveForecaster(), arrays[0]).n_values > 300
    assert check_causal(ESNForecaster(8), *arrays, cutoffs=1).n_comparisons == 15
    wide = pd.DataFrame({"a": Y, "b": -Y})
    assert "NaiveForecaster: 9 comparisons" in str(check_causal(NaiveForecaster(), wide, cutoffs=1))
    periods = Y.set_axis(pd.period_range("2020", periods=N, freq="D"))
    assert check_causal(NaiveForecaster(), periods, cutoffs=1).n_comparisons == 9


def test_what_cannot_be_checked_says_why():
    with pytest.raises(ValueError, match=r"Dice gives other forecasts.*random_state=0"):
        check_causal(Dice(), Y)
    with pytest.raises(ValueError, match="too few for this horizon"):
        check_causal(NaiveForecaster(), Y[:8])
    with pytest.raises(ValueError, match="`cutoffs` must leave 40 to 56"):
        check_causal(NaiveForecaster(), Y, cutoffs=[58])
    with pytest.raises(ValueError, match="`poisons` must be among"):
        check_causal(NaiveForecaster(), Y, poisons=["arsenic"])
    with pytest.raises(TypeError, match="`forecaster` must be"):
        check_causal("naive", Y)


# --------------------------------------------------------------------- transforms


class CentresOnAll(Standardize):
    """Forward through the mean of all rows given."""

    def forward(self, Y, start):
        return Y - Y.mean(axis=0)


class InvertsThroughAll(Standardize):
    """An inverse of the first steps that knows the last."""

    def invert(self, paths, tail, start):
        return paths - paths[-1]


class ScalesInTransform(TransformerMixin, BaseEstimator):
    """A transformer of scikit-learn's kind that learns in transform."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X / X.max()


GAPS = Y.where(np.arange(N) % 7 != 0)


@pytest.mark.parametrize(
    ("transform", "y"),
    [
        (lambda y: y.rolling(5, center=True).mean(), Y),
        (lambda y: (y - y.mean()) / y.std(), Y),
        (lambda y: y.bfill(), GAPS),
        (lambda y: y.interpolate(), GAPS),
        (lambda y: y[::-1].ewm(alpha=0.3).mean()[::-1], Y),
        (CentresOnAll(), Y),
        (ScalesInTransform(), Y),
    ],
    ids=["centred", "scaled", "bfill", "interpolate", "backwards", "forward", "sklearn"],
)
def test_planted_leaks_of_transforms_are_caught(transform, y):
    with pytest.raises(AssertionError, match=r"sees the future \(rows after 20"):
        check_transform_causal(transform, y)


def test_an_inverse_that_knows_later_steps_is_caught():
    with pytest.raises(AssertionError, match=r"sees the future \(invert, steps after"):
        check_transform_causal(InvertsThroughAll(), Y)


def test_honest_transforms_pass():
    assert check_transform_causal(lambda y: y.ffill().diff(), GAPS).n_comparisons == 12
    assert check_transform_causal(lambda y: y.to_numpy()[3:], Y).n_comparisons == 12
    assert check_transform_causal(Standardize(), Y.to_numpy()).n_comparisons == 16
    assert check_transform_causal(StandardScaler(), Y).n_comparisons == 12
    assert check_transform_causal(StandardScaler(), X.to_numpy()).n_comparisons == 12
    with pytest.raises(TypeError, match="`transform` must be"):
        check_transform_causal("log", Y)
    with pytest.raises(ValueError, match="Nothing could be compared"):
        check_transform_causal(refuses_what_is_new, Y, cutoffs=1)


def refuses_what_is_new(y):
    if not y.equals(Y):
        raise ValueError("never seen")
    return y


# ------------------------------------------------------------- series, splitters


def test_series_that_mix_are_caught():
    with pytest.raises(AssertionError, match=r"MixesSeries mixes series \(series in reverse order"):
        check_series_swap(MixesSeries(), PANEL)
    report = check_series_swap(ESNForecaster(8), PANEL)
    assert report.n_comparisons == 12
    assert check_series_swap(NaiveForecaster(), PANEL.to_frame()).n_comparisons == 12
    with pytest.raises(TypeError, match="must be a panel"):
        check_series_swap(NaiveForecaster(), Y)
    with pytest.raises(ValueError, match="at least two series"):
        check_series_swap(NaiveForecaster(), PANEL[["b"]])


class ByValue(TimeSeriesSplit):
    """Splits where the values are largest."""

    def split(self, X, y=None, groups=None):
        top = int(np.argmax(np.asarray(X)[10:50, 0])) + 10
        yield np.arange(top), np.arange(top, len(X))

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


class Miscounts(TimeSeriesSplit):
    """Announces another number of splits than it makes."""

    def get_n_splits(self, X=None, y=None, groups=None):
        return 9


class Empty(ByValue):
    """A test part without rows."""

    def split(self, X, y=None, groups=None):
        yield np.arange(4), np.arange(0)


def test_splitters():
    assert check_splitter(TimeSeriesSplit(4), X).n_comparisons == 16
    assert check_splitter(TimeSeriesSplit(4), Y).n_comparisons == 16
    with pytest.raises(AssertionError, match="KFold sees the future"):
        check_splitter(KFold(3), X)
    with pytest.raises(AssertionError, match=r"ByValue sees the future \(split 0, values"):
        check_splitter(ByValue(), X)
    with pytest.raises(AssertionError, match="get_n_splits says 9"):
        check_splitter(Miscounts(3), X)
    with pytest.raises(AssertionError, match="an empty part in split 0"):
        check_splitter(Empty(), X)
    # rows of series one below the other: the first is trained on when the second is tested
    with pytest.raises(AssertionError, match="TimeSeriesSplit sees the future"):
        check_splitter(TimeSeriesSplit(2), PANEL)
