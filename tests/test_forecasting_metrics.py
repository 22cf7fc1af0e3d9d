"""Metrics against loops over numbers, and their refusals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import oracles_forecasting as oracles
from echocast.exceptions import EchocastWarning
from echocast.forecasting import (
    NaiveForecaster,
    backtest,
    coverage,
    crps,
    mae,
    mape,
    mase,
    nrmse,
    pinball,
    rmse,
    rmsse,
    smape,
    valid_prediction_time,
    winkler,
)

seeds = st.integers(0, 10_000)


def numbers(seed, n=12):
    rng = np.random.RandomState(seed)
    return rng.randn(n) + 3, rng.randn(n) + 3, rng.randn(30) + 3


@given(seeds, st.integers(1, 7))
def test_scaled_errors_equal_the_oracle(seed, m):
    a, b, train = numbers(seed)
    assert_allclose(mase(a, b, train, season_length=m), oracles.mase(a, b, train, m))
    assert_allclose(rmsse(a, b, train, season_length=m), oracles.rmsse(a, b, train, m))


@given(seeds)
def test_other_metrics_equal_the_oracle(seed):
    a, b, _ = numbers(seed)
    assert_allclose(smape(a, b), oracles.smape(a, b))
    assert_allclose(mae(a, b), np.mean([abs(x - y) for x, y in zip(a, b)]))
    assert_allclose(rmse(a, b), np.sqrt(np.mean([(x - y) ** 2 for x, y in zip(a, b)])))
    low, high = np.minimum(a, b) - 0.1, np.maximum(b, b + 0.2)
    assert_allclose(winkler(a, low, high, level=80), oracles.winkler(a, low, high, 80))
    samples = np.random.RandomState(seed).randn(12, 9)
    assert_allclose(crps(a, samples), oracles.crps(a, samples))


def test_known_values():
    assert smape([0.0, 1.0], [0.0, -1.0]) == 100.0
    assert smape([5.0], [0.0]) == 200.0
    assert mape([0.0], [1.0]) == np.inf
    assert mape([0.0], [0.0]) == 0.0
    assert nrmse([0.0, 4.0], [1.0, 5.0], normalizer="range") == 0.25
    assert nrmse([0.0, 4.0], [1.0, 5.0], normalizer="mean") == 0.5
    assert nrmse([0.0, 4.0], [1.0, 5.0], normalizer=4.0) == 0.25
    assert pinball([2.0], [1.0], quantile=0.9) == pytest.approx(0.9)
    assert pinball([1.0], [2.0], quantile=0.9) == pytest.approx(0.1)
    assert crps([1.0, 2.0], [[3.0], [3.0]]) == 1.5
    assert coverage([1.0, 2.0, 3.0, 4.0], [1.0] * 4, [3.0] * 4) == 0.75


def test_columns_are_averaged_or_kept():
    a, b = np.zeros((3, 2)), np.ones((3, 2)) * [1.0, 3.0]
    assert mae(a, b) == 2.0
    assert_allclose(mae(a, b, multioutput="raw_values"), [1.0, 3.0])
    train = np.array([[0.0, 0.0], [1.0, 3.0], [2.0, 6.0]])
    assert mase(a, b, train) == 1.0
    assert mae(pd.DataFrame(a), pd.DataFrame(b)) == 2.0


def test_a_training_part_that_repeats_gives_nan_and_a_warning():
    with pytest.warns(EchocastWarning, match="repeats exactly"):
        assert np.isnan(mase([1.0], [2.0], [3.0, 3.0, 3.0]))


@pytest.mark.parametrize("metric", [mase, rmsse])
def test_a_training_part_not_longer_than_a_season_gives_nan_and_a_warning(metric):
    for n_rows in (3, 12):
        with pytest.warns(EchocastWarning, match=f"has {n_rows} rows and the season 12 steps"):
            score = metric([1.0], [3.0], np.arange(n_rows), season_length=12)
        assert np.isnan(score)
    assert metric([1.0], [13.0], np.arange(13), season_length=12) == 1.0


def test_a_backtest_with_too_long_a_season_has_no_scaled_error():
    with pytest.warns(EchocastWarning, match=r"one season \(50 steps\)"):
        result = backtest(NaiveForecaster(), np.arange(40.0), horizon=3, season_length=50)
    assert result.scores[["mase", "rmsse"]].isna().all(axis=None)
    assert result.scores["smape"].notna().all()


def test_valid_prediction_time():
    t = np.arange(100) * 0.1
    truth = np.column_stack([np.sin(t), np.cos(t)])
    forecast = truth.copy()
    forecast[40:] += 1.0
    assert valid_prediction_time(truth, forecast, dt=0.1) == pytest.approx(4.0)
    assert valid_prediction_time(truth, forecast, dt=0.1, lyapunov_time=2) == pytest.approx(2.0)
    assert valid_prediction_time(truth, truth, dt=0.1) == pytest.approx(10.0)
    assert valid_prediction_time(truth, forecast, dt=0.1, scale=10.0) == pytest.approx(10.0)
    with pytest.raises(ValueError, match="`scale` is zero"):
        valid_prediction_time(np.ones(5), np.ones(5), dt=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mae([1.0, 2.0], [1.0]), "inconsistent numbers of samples"),
        (lambda: mae([1.0, np.nan], [1.0, 2.0]), "y_true contains NaN"),
        (lambda: mae([1.0], [np.inf]), "y_pred contains infinity"),
        (lambda: mae([], []), "must have shape"),
        (lambda: mae(np.ones((2, 2)), np.ones((2, 1))), "`y_true` has 2 columns"),
        (lambda: mase([1.0], [1.0], [1.0]), "at least 2 rows"),
        (lambda: mase([1.0], [1.0], np.eye(3)), "`y_train` has 3 columns and `y_true` 1"),
        (lambda: rmsse(np.eye(3), np.eye(3), [1.0, 2.0]), "`y_train` has 1 columns"),
        (lambda: mase([1.0], [1.0], [1.0, 2.0], season_length=0), "season_length"),
        (lambda: nrmse([1.0, 1.0], [1.0, 2.0]), "not positive"),
        (lambda: pinball([1.0], [1.0], quantile=1), "'quantile' parameter"),
        (lambda: winkler([1.0], [1.0], [1.0], level=100), "'level' parameter"),
        (lambda: winkler([1.0], [1.0], [1.0], level=0.8), "level=80 means 80 %"),
        (lambda: crps([1.0, 2.0], [[1.0]]), "`samples`"),
        (lambda: mae([1.0], [1.0], multioutput="all"), "'multioutput' parameter"),
    ],
)
def test_unusable_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
