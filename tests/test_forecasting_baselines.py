"""Naive forecasters against one-line formulas, and their intervals against simulations."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone

import oracles_forecasting as oracles
from echocast.forecasting import NaiveForecaster

STRATEGIES = ["last", "seasonal", "drift", "mean"]


@given(
    seed=st.integers(0, 1000),
    strategy=st.sampled_from(STRATEGIES),
    m=st.integers(1, 6),
    n=st.integers(6, 20),
    n_steps=st.integers(1, 15),
    n_new=st.integers(1, 5),
)
def test_points_equal_the_oracle_before_and_after_update(seed, strategy, m, n, n_steps, n_new):
    y = np.random.RandomState(seed).randn(n + n_new)
    model = NaiveForecaster(strategy, season_length=m).fit(y[:n])
    for rows in (y[:n], y):
        expected = [oracles.naive(rows, strategy, m, h) for h in range(1, n_steps + 1)]
        assert_allclose(model.predict(n_steps), expected, atol=1e-12)
        model.update(y[n:]) if rows is not y else None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_update_equals_a_fit_to_all_rows(strategy):
    y = np.random.RandomState(3).randn(60, 2)
    whole = NaiveForecaster(strategy, season_length=4).fit(y)
    parts = NaiveForecaster(strategy, season_length=4).fit(y[:59]).update(y[59:])
    assert_allclose(parts.predict(9), whole.predict(9), atol=1e-12)
    applied = NaiveForecaster(strategy, season_length=4).fit(y[:20]).apply(y)
    assert_allclose(applied.predict(9, level=80), whole.predict(9, level=80), atol=1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_intervals_are_those_of_the_simulated_paths(strategy):
    y = np.random.RandomState(5).randn(50)
    model = NaiveForecaster(strategy, season_length=3, random_state=0).fit(y)
    bands = model.predict(8, level=80)
    paths = model.sample(8, n_samples=20_000)
    assert_allclose(paths.quantile(0.1, axis=1), bands["lo-80"], atol=0.15)
    assert_allclose(paths.quantile(0.9, axis=1), bands["hi-80"], atol=0.15)


def test_coverage_on_random_walks():
    hits = []
    for seed in range(300):
        y = np.cumsum(np.random.RandomState(seed).randn(70))
        bands = NaiveForecaster().fit(y[:60]).predict(10, level=[80, 95]).to_numpy()
        hits.append([(bands[-1, k] <= y[-1]) & (y[-1] <= bands[-1, k + 1]) for k in (1, 3)])
    share = np.mean(hits, axis=0)
    assert abs(share[0] - 0.80) < 3 * np.sqrt(0.8 * 0.2 / 300)
    assert abs(share[1] - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 300)


def test_the_season_comes_from_the_frequency():
    y = pd.Series(np.arange(30.0), index=pd.date_range("2024-01-01", periods=30, freq="D"))
    model = NaiveForecaster("seasonal").fit(y)
    assert model.season_length_ == 7
    assert_allclose(model.predict(8), [23, 24, 25, 26, 27, 28, 29, 23])
    with pytest.raises(ValueError, match=r"Length of `y` \(5\) must be greater .*\(7: one season"):
        NaiveForecaster("seasonal").fit(y.iloc[:5])


def test_fitted_values_and_residuals():
    y = pd.Series([1.0, 3.0, 2.0, 5.0], name="v")
    model = NaiveForecaster().fit(y)
    expected = pd.Series([np.nan, 1.0, 3.0, 2.0], name="v")
    pd.testing.assert_series_equal(model.fitted_values(y), expected)
    pd.testing.assert_series_equal(
        model.residuals(), pd.Series([2.0, -1.0, 3.0], index=pd.RangeIndex(1, 4), name="v")
    )
    drift = NaiveForecaster("drift").fit(y)
    assert_allclose(drift.residuals().mean(), 0, atol=1e-12)
    with pytest.raises(ValueError, match="keeps no training data"):
        model.fitted_values()


@pytest.mark.parametrize(
    "params",
    [{"strategy": "mode"}, {"strategy": None}, {"season_length": 0}, {"season_length": 1.5},
     {"missing": "drop"}, {"random_state": "a"}],
)  # fmt: skip
def test_bad_parameters_are_refused_in_fit(params):
    model = NaiveForecaster(**params)
    with pytest.raises(ValueError, match=next(iter(params)) + r"|seed"):
        model.fit(np.arange(10.0))


def test_one_row_is_enough_for_points_alone():
    model = NaiveForecaster().fit(np.array([4.0]))
    assert_allclose(model.predict(2), [4.0, 4.0])
    with pytest.raises(ValueError, match="too short for intervals"):
        model.predict(2, level=80)


def test_score_and_clone():
    y = pd.Series(np.arange(20.0))
    model = clone(NaiveForecaster("drift")).fit(y.iloc[:15])
    assert model.score(y.iloc[15:]) == pytest.approx(0.0)
    assert NaiveForecaster().fit(y.iloc[:15]).score(y.iloc[15:], metric="mae") == 3.0
    assert NaiveForecaster().fit(y.iloc[:15]).score(y.iloc[15:]) == 3.0
    with pytest.raises(ValueError, match="'metric' parameter"):
        model.score(y.iloc[15:], metric="accuracy")
