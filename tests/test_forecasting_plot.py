"""Pictures: what is drawn, on which axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from echocast.forecasting import BacktestDisplay, ForecastDisplay, NaiveForecaster, backtest

Y = pd.Series(np.arange(60.0), index=pd.date_range("2024-01-01", periods=60, freq="D"), name="load")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_a_forecast_with_levels():
    display = NaiveForecaster().fit(Y).plot(5, level=[80, 95], y=Y)
    ax = display.ax_
    past, forecast = ax.get_lines()
    assert len(past.get_ydata()) == 25  # five times the horizon
    assert_allclose(forecast.get_ydata(), 59.0)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["past", "95 %", "80 %", "forecast"]
    assert ax.get_title() == "load"
    assert display.figure_ is ax.figure


def test_points_alone_on_given_axes():
    _, ax = plt.subplots()
    display = ForecastDisplay.from_predictions(NaiveForecaster().fit(Y).predict(3), ax=ax)
    assert display.ax_ is ax
    assert len(ax.get_lines()) == 1
    assert display.plot().ax_ is not ax  # drawn again on axes of its own


@pytest.mark.parametrize("level", [None, 80])
@pytest.mark.parametrize("as_array", [False, True])
def test_systems_get_one_panel_for_each_variable(level, as_array):
    wide = pd.DataFrame({"a": Y, "b": -Y})
    wide = wide.to_numpy() if as_array else wide
    display = NaiveForecaster().fit(wide).plot(5, level=level, y=wide)
    assert len(display.ax_) == 2
    assert len(display.ax_[1].collections) == (1 if level else 0)
    assert_allclose(display.ax_[1].get_lines()[-1].get_ydata(), -59.0)
    with pytest.raises(ValueError, match="`ax` must hold 2 axes"):
        display.plot(ax=plt.subplots()[1])


@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("2024-01", periods=60, freq="M"),
        pd.date_range("2024-01-01", periods=60, freq="h", tz="Europe/Berlin"),
        pd.RangeIndex(60),
    ],
)
def test_every_kind_of_index_can_be_drawn(index):
    y = Y.set_axis(index)
    display = NaiveForecaster().fit(y).plot(5, level=80, y=y)
    display.figure_.canvas.draw()
    assert len(display.ax_.get_lines()[0].get_xdata()) == 25


def test_a_backtest():
    display = backtest(NaiveForecaster(), Y, horizon=4, n_windows=3, level=[80, 95]).plot()
    forecasts, errors = display.ax_
    assert len(forecasts.get_lines()) == 4
    assert len(forecasts.collections) == 6
    assert_allclose(forecasts.get_lines()[0].get_ydata(), np.arange(48, 60))
    assert_allclose(errors.get_lines()[-1].get_ydata(), [1, 2, 3, 4])
    assert display.figure_ is forecasts.figure


def test_a_backtest_on_given_axes():
    wide = pd.DataFrame({"a": Y, "b": -Y})
    result = backtest(NaiveForecaster(), wide, horizon=4)
    _, given = plt.subplots()
    display = result.plot(given, variable="b")
    assert display.ax_ is given
    assert given.get_title() == "b: forecasts from 5 origins"
    assert given.get_lines()[0].get_ydata().max() < 0
    assert result.plot().ax_[0].get_title() == "a: forecasts from 5 origins"
    with pytest.raises(ValueError, match="`variable` 'c' is not among the forecasts"):
        result.plot(variable="c")
    with pytest.raises(ValueError, match="`series` is 'a', but the forecasts have only one"):
        result.plot(series="a")
    with pytest.raises(ValueError, match="`ax` must be one or two axes, got 3"):
        result.plot(plt.subplots(3)[1])


def test_a_backtest_from_the_estimator():
    _, axes = plt.subplots(2)
    display = BacktestDisplay.from_estimator(NaiveForecaster(), Y, horizon=1, n_windows=2, ax=axes)
    assert list(display.ax_) == list(axes)
    again = BacktestDisplay.from_predictions(display.forecasts)
    assert len(again.ax_[0].get_lines()) == 3
    periods = backtest(NaiveForecaster(), Y.to_period("D"), horizon=3).plot()
    periods.figure_.canvas.draw()


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'echocast\[plot\]'"):
        NaiveForecaster().fit(Y).plot(3)
