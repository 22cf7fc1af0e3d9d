"""Encoder and decoder inside the forecasting layer: the rows it is given mean what it reads."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from echocast.forecasting import ReservoirForecaster, backtest
from echocast.reservoir import SelfAttentionRegressor, Seq2SeqRegressor

LAGS, HORIZON = 8, 4


def series(n=120, k=1):
    index = pd.date_range("2000-01-01", periods=n, freq="MS")
    t = np.arange(n)[:, None] + 2.0 * np.arange(k)
    noise = 0.1 * np.random.RandomState(0).randn(n, k)
    frame = pd.DataFrame(np.sin(2 * np.pi * t / 12) + noise, index=index, columns=list("abc")[:k])
    return frame["a"] if k == 1 else frame


def network(**kwargs):
    params = {"hidden_layer_sizes": 6, "start": "last", "max_iter": 2, "random_state": 0}
    return Seq2SeqRegressor(**{**params, **kwargs})


def forecaster(regressor=None, **kwargs):
    params = {"lags": LAGS, "strategy": "multi_output", "horizon": HORIZON, "transforms": []}
    regressor = network() if regressor is None else regressor
    return ReservoirForecaster(regressor, **{**params, "random_state": 0, **kwargs})


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("order", ["oldest_first", "newest_first"])
def test_forecasts_are_those_of_a_network_over_windows_in_time_order(k, order):
    y = series(k=k)
    values = y.to_numpy().reshape(len(y), k)
    cut = np.lib.stride_tricks.sliding_window_view(values, LAGS + HORIZON, axis=0)
    cut = np.moveaxis(cut, -1, 1)
    by_hand = network().fit(cut[:, :LAGS], cut[:, LAGS:])
    wanted = by_hand.predict(values[None, -LAGS:])[0]
    fitted = forecaster(network(window_order=order)).fit(y)  # which knows better
    assert_allclose(fitted.regressor_.theta_, by_hand.theta_, atol=1e-6)
    assert_allclose(fitted.predict(HORIZON).to_numpy().reshape(-1, k), wanted, atol=1e-5)


def test_networks_within_other_estimators_know_the_order_of_their_rows():
    for outer in (
        make_pipeline(StandardScaler(), network()),
        TransformedTargetRegressor(network(), transformer=StandardScaler()),
    ):
        fitted = forecaster(outer).fit(series())
        inner = fitted.regressor_
        inner = inner[-1] if hasattr(inner, "steps") else inner.regressor_
        assert inner.window_order == "newest_first"
        assert np.isfinite(fitted.predict(HORIZON)).all()
    assert outer.regressor.window_order == "oldest_first"  # never changed itself


@pytest.mark.parametrize("kwargs", [{"strategy": "recursive"}, {"strategy": "direct"},
                                    {"horizon": 1}], ids=str)  # fmt: skip
def test_known_columns_are_no_steps_of_the_series(kwargs):
    with pytest.raises(ValueError, match=r"rows hold 2 known column\(s\).*multi_output"):
        forecaster(fourier={12: 1}, **kwargs).fit(series())
    assert np.isfinite(forecaster(**kwargs).fit(series()).predict(3)).all()
    of_windows = SelfAttentionRegressor(layout="windows", n_units=4, max_iter=1)
    with pytest.raises(ValueError, match="which SelfAttentionRegressor would read as steps"):
        forecaster(of_windows, fourier={12: 1}, **kwargs).fit(series())


def test_known_columns_act_through_a_ridge_where_all_steps_come_at_once():
    y = series()
    spike = pd.DataFrame({"event": np.arange(124) % 7 == 0}, dtype=float)
    spike.index = pd.date_range(y.index[0], periods=124, freq="MS")
    raised = y + 5 * spike["event"].iloc[:120]
    found = forecaster().fit(raised, spike.iloc[:120]).predict(HORIZON, X=spike.iloc[120:])
    plain = forecaster().fit(y).predict(HORIZON)
    assert_allclose(found - plain, 5 * spike["event"].iloc[120:], atol=0.7)


def test_it_can_be_backtested_and_has_intervals():
    y = series(140)
    for refit in (True, False):
        result = backtest(forecaster(), y, horizon=HORIZON, n_windows=3, refit=refit, level=80)
        assert len(result.forecasts) == 3 * HORIZON
        assert np.isfinite(result.summary()["mase"])
    fitted = forecaster(interval="conformal").fit(y[:-4])
    table = fitted.predict(HORIZON, level=80)
    assert (table.iloc[:, 1] <= table.iloc[:, 2]).all()
    again = pickle.loads(pickle.dumps(fitted))
    assert_allclose(again.predict(HORIZON), fitted.predict(HORIZON))
    moved = fitted.update(y[-4:])
    assert moved.predict(HORIZON).index[0] == y.index[-1] + pd.offsets.MonthBegin()
    with pytest.raises(ValueError, match=r"no `partial_fit`.*refit=False"):
        moved.update(series(144)[-4:], refit=True)


def test_poisoned_futures_change_no_forecast():
    y = series(140)
    poisoned = y.copy()
    poisoned.iloc[-HORIZON:] = 1e6
    one = backtest(forecaster(), y, horizon=HORIZON, n_windows=2)
    two = backtest(forecaster(), poisoned, horizon=HORIZON, n_windows=2)
    assert_allclose(one.forecasts["forecast"], two.forecasts["forecast"])
