"""The picture of a reservoir, and what all displays have in common."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from echocast import forecasting
from echocast.forecasting import ESNForecaster, ForecastDisplay, NaiveForecaster, ReservoirDisplay
from echocast.reservoir import ESNClassifier, ESNRegressor, NVARRegressor, ReservoirTransformer

U = np.random.RandomState(0).randn(120, 1)
ESN = ESNRegressor(40, spectral_radius=0.7, random_state=0).fit(U[:-1], U[1:])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_spectrum_and_states():
    display = ReservoirDisplay.from_estimator(ESN, U)
    spectrum, states = display.ax_
    dense = ESN.W_.toarray() if hasattr(ESN.W_, "toarray") else ESN.W_
    expected = np.sort_complex(np.linalg.eigvals(dense))
    assert_allclose(np.sort_complex(display.eigenvalues), expected)
    circle, points = spectrum.get_lines()
    assert_allclose(np.hypot(*circle.get_data()), 1.0)
    assert_allclose(np.hypot(*points.get_data()).max(), 0.7)
    assert len(points.get_xdata()) == 40
    assert spectrum.get_title() == "40 units, radius 0.7"
    assert len(states.get_lines()) == 12
    assert_allclose(states.get_lines()[0].get_ydata(), ESN.transform(U)[:, 0])
    assert states.get_title() == "12 of 40 states"
    assert display.figure_ is spectrum.figure
    display.figure_.canvas.draw()


@pytest.mark.parametrize("connectivity", [3, 1.0])
def test_sparse_and_dense_matrices_and_the_spectrum_alone(connectivity):
    reservoir = ReservoirTransformer(20, connectivity=connectivity, random_state=0).fit(U)
    _, ax = plt.subplots()
    display = ReservoirDisplay.from_estimator(reservoir, ax=ax)
    assert display.ax_ is ax
    assert display.states is None
    assert_allclose(np.abs(display.eigenvalues).max(), 0.9)
    with_states = ReservoirDisplay.from_estimator(reservoir, U, n_shown=3)
    assert len(with_states.ax_[1].get_lines()) == 3
    assert with_states.plot(ax).ax_ is ax  # one Axes draws the spectrum alone


def test_forecasters_are_looked_into():
    y = pd.Series(np.sin(np.arange(100.0)))
    model = ESNForecaster(15, random_state=0).fit(y)
    display = ReservoirDisplay.from_estimator(model)
    assert len(display.eigenvalues) == model.n_units_


def test_other_kinds_of_reservoirs():
    labels = np.repeat([0, 1], 10)
    classifier = ESNClassifier(10, random_state=0).fit(
        np.random.RandomState(0).randn(20, 8), labels
    )
    assert len(ReservoirDisplay.from_estimator(classifier).eigenvalues) == 10
    with pytest.raises(TypeError, match=r"recurrent matrix `W_`.*Got NVARRegressor"):
        ReservoirDisplay.from_estimator(NVARRegressor().fit(U[:-1], U[1:]))
    with pytest.raises(TypeError, match="Got NaiveForecaster"):
        ReservoirDisplay.from_estimator(NaiveForecaster().fit(np.arange(9.0)))


def test_what_cannot_be_drawn_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"`ax` must be one Axes.*got 2"):
        ReservoirDisplay.from_estimator(ESN, ax=plt.subplots(2)[1])
    with pytest.raises(ValueError, match=r"`ax` must be one or two, got 3"):
        ReservoirDisplay.from_estimator(ESN, U, ax=plt.subplots(3)[1])
    with pytest.raises(ValueError, match="eigenvalues of 4000 units take too long"):
        ReservoirDisplay.from_predictions(np.empty((4000, 1)))
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'echocast\[plot\]'"):
        ReservoirDisplay.from_estimator(ESN)


# ------------------------------------------------------------- all of the displays

DISPLAYS = [getattr(forecasting, n) for n in forecasting.__all__ if n.endswith("Display")]


def test_there_are_three():
    assert sorted(d.__name__ for d in DISPLAYS) == [
        "BacktestDisplay",
        "ForecastDisplay",
        "ReservoirDisplay",
    ]


@pytest.mark.parametrize("display", DISPLAYS)
def test_displays_follow_the_convention_of_scikit_learn(display):
    for name in ("from_estimator", "from_predictions"):
        method = inspect.getattr_static(display, name)
        assert isinstance(method, classmethod)
        parameters = inspect.signature(getattr(display, name)).parameters
        assert parameters["ax"].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters["ax"].default is None
    plot = list(inspect.signature(display.plot).parameters.values())
    assert plot[1].name == "ax"
    assert plot[1].default is None


# ------------------------------------------------------------- forecasts of panels

Y = pd.Series(np.arange(60.0), index=pd.date_range("2024-01-01", periods=60, freq="D"), name="load")
PANEL = pd.concat({"north": Y, "south": -Y[:50]}, names=["site", "day"])


@pytest.mark.parametrize("level", [None, [80, 95]])
def test_panels_get_one_picture_for_each_series(level):
    display = NaiveForecaster().fit(PANEL).plot(5, level=level, y=PANEL)
    assert [ax.get_title() for ax in display.ax_] == ["north", "south"]
    past, forecast = display.ax_[1].get_lines()
    assert_allclose(past.get_ydata()[-1], -49.0)
    assert_allclose(forecast.get_ydata(), -49.0)
    assert len(display.ax_[0].collections) == (0 if level is None else 2)


def test_panels_of_systems_and_of_many_series():
    wide = pd.DataFrame({"a": PANEL, "b": 2 * PANEL})
    display = NaiveForecaster().fit(wide).plot(3, level=80, y=wide)
    assert len(display.ax_) == 4
    assert display.ax_[1].get_title() == "('north', 'b')"
    many = pd.concat(dict.fromkeys(range(20), Y), names=["site", "day"])
    assert len(NaiveForecaster().fit(many).plot(3).ax_) == 12


def test_a_forecast_begins_at_the_last_value_of_the_past():
    _, ax = plt.subplots()
    forecast = NaiveForecaster("drift").fit(Y).predict(1)
    ForecastDisplay(forecast, Y).plot(ax, legend=False)
    assert_allclose(ax.get_lines()[1].get_ydata(), [59.0, 60.0])
    assert ax.get_legend() is None
    gap = Y.copy()
    gap.iloc[-1] = np.nan
    ForecastDisplay(forecast, gap).plot()
    figure = Figure()  # without pyplot
    assert ForecastDisplay(forecast).plot(figure.subplots()).figure_ is figure
