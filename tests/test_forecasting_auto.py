import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from echocast.datasets import lorenz63
from echocast.forecasting import AutoESNForecaster
from echocast.testing import check_causal

N, H = 300, 30
TIMES = pd.date_range("2021-01-01", periods=N + 60, freq="10min", name="time")
FLOW = pd.DataFrame(lorenz63(N + 60, dt=0.05), index=TIMES, columns=["x", "y", "z"])
MODEL = AutoESNForecaster(horizon=H, n_seeds=1, kind="auto", season_length=1, random_state=0)
RNG = np.random.RandomState(0)
MONTHS = pd.date_range("2010-01-01", periods=96, freq="MS", name="time")
SALES = pd.Series(
    50 + 10 * np.sin(2 * np.pi * np.arange(96) / 12) + RNG.randn(96), index=MONTHS, name="sales"
)


@pytest.fixture(scope="module")
def fitted():
    return clone(MODEL).fit(FLOW.iloc[:N])


def test_a_system_is_recognised_and_forecast_in_the_form_of_y(fitted):
    assert fitted.kind_ == "system"
    assert fitted.settings_["naive"] is None
    forecast = fitted.predict(22)  # over one Lyapunov time
    assert list(forecast.columns) == ["x", "y", "z"]
    assert forecast.index.equals(TIMES[N : N + 22])
    error = (forecast - FLOW.iloc[N : N + 22]).abs()
    naive = (FLOW.iloc[N - 1] - FLOW.iloc[N : N + 22]).abs()
    assert error.to_numpy().mean() < 0.02 * naive.to_numpy().mean()


def test_arrays_give_the_same_forecasts(fitted):
    rows = clone(MODEL).fit(FLOW.iloc[:N].to_numpy()).predict(10)
    np.testing.assert_array_equal(rows, fitted.predict(10).to_numpy())


def test_business_series_are_series():
    model = AutoESNForecaster(horizon=12, random_state=0).fit(SALES.iloc[:84])
    assert model.kind_ == "series"
    assert abs(sum(model.settings_["weights"].values()) - 1) < 1e-9
    forecast = model.predict(12)
    assert forecast.name == "sales"
    assert forecast.index.equals(MONTHS[84:])
    assert model.score(SALES.iloc[84:]) < 1.0


def test_kind_can_be_given():
    model = AutoESNForecaster(kind="series", horizon=H, random_state=0).fit(FLOW.iloc[:N])
    assert model.kind_ == "series"
    assert model.predict(3).shape == (3, 3)
    with pytest.raises(ValueError, match="'kind' parameter of AutoESNForecaster"):
        AutoESNForecaster(kind="chaos").fit(FLOW)


def test_intervals_hold_the_forecast_and_grow(fitted):
    bands = fitted.predict(H, level=[50, 90])
    for column in FLOW:
        part = bands[column]
        assert (part["lo-90"] <= part["lo-50"]).all()
        assert (part["hi-50"] <= part["hi-90"]).all()
        width = part["hi-90"] - part["lo-90"]
        assert width.iloc[-1] > width.iloc[0]
    paths = fitted.sample(5, n_samples=7)
    pd.testing.assert_frame_equal(paths, fitted.sample(5, n_samples=7))
    assert paths.shape == (5, 21)


def test_update_is_apply_of_all_rows(fitted):
    before = fitted.predict(5)
    later = fitted.apply(FLOW.iloc[: N + 20])
    pd.testing.assert_frame_equal(fitted.predict(5), before)
    moved = clone(MODEL).fit(FLOW.iloc[:N]).update(FLOW.iloc[N : N + 20])
    pd.testing.assert_frame_equal(moved.predict(8), later.predict(8), atol=1e-6)
    moved.update(FLOW.iloc[N + 20 : N + 40], refit=True)
    error = (moved.predict(10) - FLOW.iloc[N + 40 : N + 50]).abs() / FLOW.std()
    assert error.to_numpy().max() < 0.05


def test_one_step_values_and_residuals(fitted):
    values = fitted.fitted_values(FLOW.iloc[:N])
    assert (values - FLOW.iloc[:N]).abs().mean().max() < 0.1
    assert fitted.residuals().index[-1] == TIMES[N - 1]


def test_a_failed_fit_leaves_the_former_model():
    model = AutoESNForecaster(horizon=4, random_state=0).fit(SALES)
    before = model.predict(4)
    with pytest.raises(ValueError, match="takes no X"):
        model.fit(SALES, pd.DataFrame({"price": np.ones(96)}, index=MONTHS))
    pd.testing.assert_series_equal(model.predict(4), before)


def test_a_panel_of_series_shares_one_model_and_one_of_systems_does_not():
    panel = pd.concat({"a": SALES, "b": 3 * SALES + 1}, names=["id", "time"])
    model = AutoESNForecaster(horizon=6, random_state=0).fit(panel)
    assert model.kind_ == "series"
    members = list(model.members_.values())
    assert members[0]._fit_model is members[1]._fit_model
    assert model.predict(6).index.names == ["id", "time"]
    systems = pd.concat({"p": FLOW.iloc[:N], "q": 2 * FLOW.iloc[:N]}, names=["id", "time"])
    model = clone(MODEL).fit(systems)
    assert model.kind_ == "system"
    assert model.predict(5).shape == (10, 3)


def test_a_system_does_not_see_the_future():
    report = check_causal(MODEL, FLOW.iloc[:200], horizon=5, cutoffs=1, poisons=["huge"])
    assert report.n_comparisons >= 2


def test_a_panel_of_models_of_their_own():
    panel = pd.concat({"a": SALES, "b": 2 * SALES}, names=["shop"])
    model = AutoESNForecaster(horizon=6, pooling="local", random_state=0)
    model.fit(panel.groupby("shop").head(90))
    alone = AutoESNForecaster(horizon=6, random_state=0).fit(SALES.iloc[:90])
    np.testing.assert_allclose(model.predict(3).loc["a"], alone.predict(3))
    assert (model.predict(3, level=80)["lo-80"] < model.predict(3)).all()
    model.update(panel.groupby("shop").tail(6), refit=True)
    assert model.cutoff_["b"] == MONTHS[-1]
    assert model.members_["b"].kind_ == "series"
