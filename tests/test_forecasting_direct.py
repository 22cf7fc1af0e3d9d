"""Strategies direct and multi_output of ESNForecaster: series, systems and panels."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_info, threadpool_limits

from echocast.exceptions import ForecastDivergenceWarning
from echocast.forecasting import ESNForecaster, _direct, _pooled_fit

STRATEGIES = ["direct", "multi_output"]


def monthly(seed=0, n=120):
    rng = np.random.RandomState(seed)
    t = np.arange(n)
    index = pd.date_range("2010-01", periods=n, freq="MS")
    season = 1 + 0.2 * np.sin(2 * np.pi * t / 12)
    return pd.Series((50 + 0.3 * t) * season + rng.randn(n), index=index, name="sales")


def panel(n_series=11, n=60, seed=0):
    rng = np.random.RandomState(seed)
    parts = {}
    for i in range(n_series):
        y = monthly(seed + i, n) * (1 + 10 * rng.rand())
        parts[f"s{i}"] = y.iloc[rng.randint(0, 20) :]
    return pd.concat(parts, names=["id", "time"])


def model(**changes):
    return ESNForecaster(**({"strategy": "direct", "n_units": 20, "random_state": 0} | changes))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_seasonal_series_is_forecast_better_than_by_the_last_season(strategy):
    y = monthly()
    fitted = model(strategy=strategy).fit(y.iloc[:-12])
    assert fitted.score(y.iloc[-12:]) < 0.7
    forecast = fitted.predict(12, level=[80, 95])
    assert forecast.index.equals(y.index[-12:])
    assert (forecast["lo-95"] <= forecast["lo-80"]).all()
    assert (forecast["lo-80"] < forecast["hi-80"]).all()


def test_steps_have_readouts_of_their_own_up_to_the_horizon_asked_for():
    y = monthly()
    short = model(horizon=3).fit(y)
    assert short._fit_direct.network.horizon_ == 3
    assert model().fit(y)._fit_direct.network.horizon_ == 24
    # further steps continue from the forecasts
    longer = short.predict(7)
    assert_array_equal(longer.iloc[:3], short.predict(3))
    assert_allclose(longer.iloc[3:], short.apply(pd.concat([y, longer.iloc[:3]])).predict(4))


@pytest.mark.parametrize("transforms", [["difference"], ["log", "deseasonalize"], []])
def test_update_equals_apply_to_all_rows(transforms):
    y = monthly()
    fitted = model(transforms=transforms).fit(y.iloc[:100])
    whole = fitted.apply(y.iloc[:117])
    fitted.update(y.iloc[100:103]).update(y.iloc[103:117])
    assert fitted.cutoff_ == whole.cutoff_
    assert_allclose(fitted.predict(30), whole.predict(30), rtol=1e-9)
    fresh = whole.residuals().iloc[-17:]
    assert_allclose(fitted.residuals().iloc[-17:], fresh, rtol=1e-7, atol=1e-9)


def test_refit_learns():
    rng = np.random.RandomState(0)
    y = pd.Series(rng.randn(300).cumsum())
    y.iloc[150:] += 3.0 * np.arange(150)
    fitted = model(transforms=[]).fit(y.iloc[:150])
    still = fitted.apply(y)
    fitted.update(y.iloc[150:], refit=True)
    ahead = y.iloc[-1] + 3.0 * np.arange(1, 6)
    assert np.abs(fitted.predict(5) - ahead).mean() < np.abs(still.predict(5) - ahead).mean()


def test_fitted_values_see_earlier_rows_alone():
    y = monthly()
    fitted = model(transforms=["log"]).fit(y)
    values = fitted.fitted_values(y)
    assert_array_equal(np.isnan(values), np.arange(len(y)) == 0)
    poisoned = y.copy()
    poisoned.iloc[80:] *= 3
    assert_allclose(fitted.fitted_values(poisoned).iloc[:81], values.iloc[:81])
    assert_allclose(values.iloc[60], fitted.apply(y.iloc[:60]).predict(1).iloc[0])


def test_residuals_are_those_of_readouts_that_had_not_seen_the_row():
    rng = np.random.RandomState(0)
    y = pd.Series(rng.randn(120))
    fitted = model(n_units=25, transforms=[]).fit(y)
    inside = (y - fitted.fitted_values(y)).iloc[20:]
    assert fitted.residuals().iloc[20:].std() > inside.std()


def test_conformal_intervals():
    y = monthly(n=150)
    fitted = model(interval="conformal", horizon=6).fit(y.iloc[:-6])
    forecast = fitted.predict(6, level=80)
    assert_allclose(forecast["hi-80"] - forecast["sales"], forecast["sales"] - forecast["lo-80"])
    with pytest.raises(ValueError, match="up to 6 steps ahead"):
        fitted.predict(7, level=80)


def test_known_columns_at_the_time_of_the_target_are_used():
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"promotion": (rng.rand(200) < 0.3) * 1.0, "past": rng.randn(200)})
    y = pd.Series(10 + 5 * X["promotion"] + 0.1 * rng.randn(200), name="y")
    fitted = model(past_columns=["past"]).fit(y.iloc[:-10], X.iloc[:-10])
    forecast = fitted.predict(10, X[["promotion"]].iloc[-10:])
    assert_allclose(forecast, y.iloc[-10:], atol=1.0)


def test_missing_values_may_stay():
    y = monthly()
    y.iloc[[0, 30, 31, 70, 119]] = np.nan
    fitted = model(missing="mask").fit(y.iloc[:110])
    fitted.update(y.iloc[110:])
    assert np.isfinite(fitted.predict(14, level=80)).all(axis=None)
    assert np.isfinite(fitted.fitted_values(y).iloc[2:]).all()


def test_a_system():
    rng = np.random.RandomState(0)
    Y = pd.DataFrame(rng.randn(150, 3).cumsum(axis=0), columns=list("abc"))
    fitted = model(strategy="multi_output", horizon=4).fit(Y)
    forecast = fitted.predict(6, level=80)
    assert forecast.shape == (6, 9)
    assert np.isfinite(forecast).all(axis=None)
    assert fitted.sample(5, n_samples=7).shape == (5, 21)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_pool_shares_one_network_and_its_order_is_of_no_account(strategy):
    y = panel()
    fitted = model(strategy=strategy, pooling="global").fit(y)
    networks = {id(m._fit_direct.network) for m in fitted.members_.values()}
    assert len(networks) == 1
    forecast = fitted.predict(6, level=80)
    assert np.isfinite(forecast).all(axis=None)
    order = list(fitted.members_)[::-1]
    back = pd.concat({label: y.loc[label] for label in order}, names=y.index.names)
    other = model(strategy=strategy, pooling="global").fit(back).predict(6, level=80)
    assert_allclose(other.loc[list(fitted.members_)], forecast, rtol=1e-9)


def test_a_pool_is_updated_and_taught_as_one():
    y = panel()
    last = y.index.get_level_values("time") >= "2014-09"
    fitted = model(pooling="global", transforms=["log"]).fit(y[~last])
    before = fitted.predict(12)
    plain = model(pooling="global", transforms=["log"]).fit(y[~last]).update(y[last])
    fitted.update(y[last].loc[["s1", "s4"]], refit=True)
    networks = {id(m._fit_direct.network) for m in fitted.members_.values()}
    assert len(networks) == 1  # series that were left out forecast with the new weights too
    assert not np.allclose(fitted.predict(12).loc["s0"], before.loc["s0"])
    assert_allclose(plain.predict(5), plain.apply(y).predict(5), rtol=1e-9)


def test_a_series_that_is_new_to_the_pool():
    y = panel()
    static = pd.DataFrame({"size": np.arange(11.0)}, index=[f"s{i}" for i in range(11)])
    fitted = model(pooling="global").fit(y, static=static)
    new = y.loc[["s3"]].rename(index={"s3": "new"})
    row = pd.DataFrame({"size": [3.0]}, index=["new"])
    forecast = fitted.apply(new, static=row).predict(4)
    assert forecast.index.get_level_values(0).unique().tolist() == ["new"]
    with pytest.raises(ValueError, match="pass its static columns"):
        fitted.apply(new)


def test_local_pooling_learns_each_series_alone():
    y = panel(3)
    fitted = model().fit(y)
    alone = model().fit(y.loc["s1"])
    assert_array_equal(fitted.predict(4).loc["s1"], alone.predict(4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "both"}, "'strategy' parameter"),
        ({"horizon": 0}, "'horizon' parameter"),
        ({"lags": 0}, "'lags' parameter"),
    ],
)
def test_bad_parameters_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        model(**changes).fit(monthly())


def test_three_rows_are_too_few():
    with pytest.raises(ValueError, match=r"Length of `y` \(3\) must be greater"):
        model().fit(np.arange(3.0))
    assert_allclose(model().fit(np.array([1.0, 2.0, 1.0, 2.0])).predict(2), [2.0, 2.0], atol=1.0)


def test_the_reservoir_of_direct_readouts_is_no_regressor():
    with pytest.raises(AttributeError, match="strategy='recursive'"):
        _ = model().fit(monthly()).regressor_


def test_a_new_series_has_transforms_of_its_own():
    y = panel()
    fitted = model(pooling="global", transforms=["log", "deseasonalize"]).fit(y)
    new = 50 * y.loc[["s3"]].rename(index={"s3": "new"})
    applied = fitted.apply(new)
    known = fitted.predict(4).loc["s3"]
    assert_allclose(applied.predict(4).loc["new"], 50 * known, rtol=1e-7)
    assert_allclose(applied.apply(new).predict(4), applied.predict(4), rtol=1e-12)


def test_large_pools_are_forecast_in_groups(monkeypatch):
    monkeypatch.setattr(_direct, "choose_n_groups", lambda n_rows, n_series: 2)
    rng = np.random.RandomState(0)
    walks = {f"w{i}": pd.Series(10 + rng.randn(150).cumsum()) for i in range(20)}
    noise = {f"n{i}": pd.Series(10 + rng.randn(150)) for i in range(20)}
    y = pd.concat(walks | noise, names=["id", "step"])
    fitted = model(pooling="global", transforms=[], horizon=3).fit(y)
    network = fitted.members_["w0"]._fit_direct.network
    assert len(network.networks_) == 2
    forecast = fitted.predict(3, level=80)
    alone = fitted.members_["n3"].predict(3, level=80)
    assert_allclose(alone, forecast.loc["n3"])
    fitted.update(y.groupby(level=0).tail(2).rename(lambda t: t + 2, level=1), refit=True)
    assert np.isfinite(fitted.predict(5)).all()
    assert np.isfinite(fitted.residuals()).all()


def steep(kind, n=100):
    t = np.arange(n)
    noise = 1 + 0.01 * np.random.RandomState(0).randn(n)
    y = {"exact": np.exp(0.1 * t), "noisy": 100 * np.exp(0.1 * t) * noise, "square": t**2.0}[kind]
    return pd.Series(y, pd.date_range("2022-01-01", periods=n))


@pytest.mark.parametrize("transforms", ["auto", []])
@pytest.mark.parametrize("kind", ["exact", "noisy", "square"])
def test_steep_growth_goes_on_within_its_intervals(kind, transforms):
    y = steep(kind, 108)
    fitted = model(transforms=transforms, horizon=8).fit(y[:100])
    forecast = fitted.predict(8, level=80)
    assert_allclose(forecast.iloc[:, 0], y[100:], rtol=0.1)
    inside(forecast)


def test_a_forecast_that_is_held_says_so():
    y = pd.Series(np.random.RandomState(0).randn(200).cumsum() * 0.01)
    x = pd.DataFrame({"x": np.random.RandomState(1).randn(208)})
    y = y + x["x"][:200].to_numpy()
    x.iloc[203:] = 1000.0
    fitted = model(transforms=[], horizon=8).fit(y, x[:200])
    with pytest.warns(ForecastDivergenceWarning, match="at step 4 and is held there"):
        forecast = fitted.predict(8, X=x[200:], level=80)
    inside(forecast)


@pytest.mark.parametrize("kind", ["yearly", "outlier", "trend that turns"])
def test_points_lie_within_their_intervals(kind):
    rng = np.random.RandomState(1)
    y = rng.randn(60)
    if kind == "yearly":
        y = 100 + 3 * np.arange(16) + y[:16].cumsum()
    elif kind == "outlier":
        y[-1] = 1000.0
    else:
        y = 50 - np.abs(np.arange(60) - 40.0) + 0.1 * y
    inside(model(horizon=6, transforms=[]).fit(y).predict(6, level=50))


@pytest.mark.parametrize("n", range(4, 12))
def test_a_few_rows_have_intervals_of_the_size_of_their_changes(n):
    y = 10 + np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5])[:n]
    forecast = inside(model(horizon=2, transforms=[]).fit(y).predict(2, level=80))
    width = forecast.iloc[:, 2] - forecast.iloc[:, 1]
    assert (width > np.abs(np.diff(y)).mean()).all()


def inside(forecast):
    point, low, high = forecast.to_numpy().T
    assert (low < point).all()
    assert (point < high).all()
    return forecast


def test_small_factors_are_not_spread_over_threads(monkeypatch):
    seen = []

    def watched(*args):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return solve(*args)

    solve = _pooled_fit._solve
    monkeypatch.setattr(_pooled_fit, "_solve", watched)
    with threadpool_limits(2, user_api="blas"):
        model(horizon=2, transforms=[]).fit(monthly(n=40))
    assert set(seen) == {1}
