"""The recursion in arrays: against an oracle, from many origins, and after new rows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_forecasting as oracles
from echocast.forecasting import ESNForecaster
from echocast.forecasting._recursive import RecursiveNetwork

TWO_STEPS = ["difference", "standardize"]


def network(Y, X, **changes):
    params = ESNForecaster()._regressor_params()
    settings_ = {
        "transforms": TWO_STEPS,
        "lags": (1, 2, 4),
        "n_units": 15,
        "washout": 3,
        "input_scaling": 0.3,
        "params": params | {"alpha": 0.1},
        "seed": 0,
        "owner": "F",
    }
    return RecursiveNetwork(Y, X, 4, **(settings_ | changes))


def series(seed, n=70, n_columns=1, n_exog=1):
    rng = np.random.RandomState(seed)
    X = rng.randn(n, n_exog).cumsum(axis=0)
    noise = rng.randn(n, n_columns).cumsum(axis=0)
    return noise + X.sum(axis=1, keepdims=True), X


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999), st.sampled_from([(1,), (1, 2, 3), (1, 5)]))
def test_a_forecast_equals_the_oracle(seed, lags):
    Y, X = series(seed)
    net = network(Y[:60], X[:60], lags=lags)
    memory = net.start(Y[:60], X[:60], 0, net.esn.state_)
    memory = replace(memory, low=memory.low - 1e6)  # let the path go where it will
    got = net.paths(memory, 10, X[60:])[0][:, 0, 0]
    expected = oracles.esn_forecast(net.esn, Y[:60, 0], X[:60, 0], lags, X[60:, 0])
    assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_the_state_after_fit_is_the_state_of_a_run():
    Y, X = series(1, n_columns=2)
    net = network(Y, X)
    fitted, run = net.start(Y, X, 0, net.esn.state_), net.start(Y, X, 0)
    assert_allclose(fitted.state, run.state, atol=1e-12)
    assert_array_equal(fitted.history, run.history)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 99), st.lists(st.integers(1, 7), min_size=1, max_size=3))
def test_rows_that_come_later_equal_a_run_over_all(seed, chunks):
    Y, X = series(seed, n_columns=2, n_exog=2)
    net = network(Y[:40], X[:40])
    memory, row = net.start(Y[:40], X[:40], 0, net.esn.state_), 40
    predicted = []
    for chunk in chunks:
        here = slice(row, row + chunk)
        before = memory
        memory, _, _, part = net.advance(memory, Y[here], X[here])
        assert_allclose(net.errors_after(before, Y[here], part), Y[here] - net.one_step(
            Y[: row + chunk], X[: row + chunk], 0)[-chunk:], atol=1e-9)  # fmt: skip
        predicted.append(part)
        row += chunk
    whole = net.start(Y[:row], X[:row], 0)
    assert_allclose(memory.state, whole.state, atol=1e-12)
    assert_allclose(memory.history, whole.history, atol=1e-12)
    assert_allclose([memory.low, memory.high], [whole.low, whole.high], atol=1e-12)
    assert memory.position == whole.position == row
    got = [net.paths(m, 5, X[row : row + 5])[0] for m in (memory, whole)]
    assert_allclose(got[0], got[1], atol=1e-9)


def test_many_origins_equal_one_at_a_time():
    Y, X = series(2, n=90, n_columns=2)
    net = network(Y[:60], X[:60], transforms=["seasonal_difference", "deseasonalize", *TWO_STEPS])
    ends = np.array([60, 63, 84])
    together = net.paths_from(Y, X, ends, 6)
    for i, end in enumerate(ends):
        memory = net.start(Y[:end], X[:end], 0)
        alone = net.paths(memory, 6, X[end : end + 6])[0][:, :, 0]
        assert_allclose(together[:, :, i], alone, atol=1e-9)


def test_one_step_predictions_use_earlier_rows_alone():
    Y, X = series(3)
    net = network(Y, X)
    before = net.one_step(Y, X, 0)
    changed = Y.copy()
    changed[50:] += 100
    after = net.one_step(changed, X, 0)
    n_lost = len(Y) - len(before)
    assert_array_equal(before[: 51 - n_lost], after[: 51 - n_lost])
    assert not np.allclose(before[51 - n_lost], after[51 - n_lost])


def test_chunks_of_rows_change_nothing(monkeypatch):
    Y, X = series(4, n=200)
    net = network(Y, X)
    whole = net.start(Y, X, 0), net.one_step(Y, X, 0), net.errors(Y, X)
    monkeypatch.setattr("echocast.forecasting._recursive._CHUNK", 23)
    parts = net.start(Y, X, 0), net.one_step(Y, X, 0), net.errors(Y, X)
    assert_allclose(whole[0].state, parts[0].state, atol=1e-12)
    assert_allclose(whole[1], parts[1], atol=1e-9)
    assert_allclose(whole[2][0], parts[2][0], atol=1e-9)


def test_older_lags_do_not_drive_the_reservoir():
    Y, X = series(5, n_columns=2)
    net = network(Y, X, lags=3)
    drive = np.abs(net.esn.W_in_).sum(axis=0)
    assert (drive[[0, 1]] > 0).all()  # newest values of both columns
    assert_array_equal(drive[2:6], 0)
    assert (drive[6:] > 0).all()  # exogenous columns


@pytest.mark.parametrize(
    ("n", "changes", "message"),
    [
        (5, {"lags": 10}, r"Length of `y` \(5\) must be greater .*lags=10, washout=3, 1 rows lost"),
        (12, {"washout": 10}, "washout=10"),
        (2, {}, r"Length of `y` \(2\)"),
    ],
)
def test_a_series_too_short_is_refused(n, changes, message):
    Y, X = series(6, n=n)
    with pytest.raises(ValueError, match=message):
        network(Y, X, **changes)


def test_a_history_too_short_is_refused():
    Y, X = series(7)
    net = network(Y, X)
    with pytest.raises(ValueError, match=r"Length of `y` \(5\) .*lags=4, 1 rows lost"):
        net.start(Y[:5], X[:5], 0)
    assert net.start(Y[:6], X[:6], 0).position == 6


def test_short_series_get_small_reservoirs():
    Y, X = series(8, n=240)
    assert network(Y, X, n_units=300).n_units == 59
    assert network(Y[:100], X[:100], n_units=300).n_units == 12
    assert network(Y[:30], X[:30], n_units=300).n_units == 5
    matrix = np.eye(40)
    params = ESNForecaster(topology=matrix)._regressor_params()
    assert network(Y, X, n_units=40, params=params).n_units == 40


@pytest.mark.parametrize("seed", range(3))
def test_a_chosen_penalty_keeps_the_loop_within_the_range(seed):
    """One-step errors alone would choose a penalty with which this loop runs off."""
    pattern = 10 + np.sin(np.arange(60)) + 0.1 * np.random.RandomState(0).randn(60)
    y = np.resize(pattern, 200)
    model = ESNForecaster(season_length=96, random_state=seed).fit(y)
    forecast = model.predict(12)  # warnings are errors: no path is held at the bounds
    assert np.abs(forecast - np.resize(pattern, 212)[200:]).max() < 0.7
