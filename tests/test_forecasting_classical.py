"""Classical lines of many series at once, against plain loops over one series."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from echocast.forecasting import _classical as classical
from echocast.forecasting._classical import (
    damped_trend_forecast,
    deseasonalize,
    drift_forecast,
    is_seasonal,
    pack,
    seasonal_factors,
    ses_forecast,
    theta_forecast,
)

H = 7


def some_series(seed=0):
    """Series of several lengths: walks, a line, a constant, two values."""
    rng = np.random.RandomState(seed)
    walks = [50 + np.cumsum(rng.randn(n)) for n in (5, 12, 30, 61)]
    return [*walks, np.arange(20.0), np.full(9, 3.0), np.array([1.0, 4.0])]


def smoothed_level(y, weight):
    """Level after the last value, and the sum of squared one-step errors."""
    level, cost = y[0], 0.0
    for value in y[1:]:
        cost += (value - level) ** 2
        level += weight * (value - level)
    return level, cost


def best_level(y):
    trials = [smoothed_level(y, w) for w in classical._LEVELS]
    return trials[int(np.argmin([cost for _, cost in trials]))][0]


def theta_oracle(y, h):
    t = np.arange(len(y))
    slope, intercept = np.polyfit(t, y, 1)
    level = best_level(2 * y - (intercept + slope * t))
    ahead = intercept + slope * (len(y) - 1 + np.arange(1, h + 1))
    return (ahead + level) / 2


def damped_oracle(y, h):
    best = None
    for alpha, beta, phi in classical._DAMPED:
        level, trend, cost = y[0], np.diff(y[:5]).mean(), 0.0
        for value in y[1:]:
            expected = level + phi * trend
            cost += (value - expected) ** 2
            level = expected + alpha * (value - expected)
            trend = phi * trend + beta * (value - expected)
        if best is None or cost < best[0] * (1 - 1e-12):
            best = cost, level + trend * np.cumsum(phi ** np.arange(1, h + 1))
    return best[1]


@pytest.mark.parametrize(
    ("batched", "oracle"),
    [
        (ses_forecast, lambda y, h: np.full(h, best_level(y))),
        (theta_forecast, theta_oracle),
        (damped_trend_forecast, damped_oracle),
        (drift_forecast, lambda y, h: y[-1] + np.arange(1, h + 1) * np.diff(y).mean()),
    ],
)
def test_lines_equal_plain_loops(batched, oracle):
    series = some_series()
    for forecast, y in zip(batched(pack(series), H), series):
        assert_allclose(forecast, oracle(y, H), rtol=1e-9, atol=1e-9)


def test_series_do_not_depend_on_their_company():
    series = some_series(1)
    together = theta_forecast(pack(series), H)
    alone = np.vstack([theta_forecast(pack([y]), H) for y in series])
    assert_allclose(together, alone, rtol=1e-12, atol=1e-12)


def test_pack_keeps_the_rows():
    series = some_series()
    for row, y in zip(pack(series).rows(), series):
        assert np.array_equal(row, y)


def seasonal(n, m, *, times, rng, noise=0.01):
    factors = 1 + 0.4 * np.sin(2 * np.pi * np.arange(n) / m)
    level = 100 + 0.5 * np.arange(n)
    clean = level * factors if times else level + 100 * (factors - 1)
    return clean + noise * rng.randn(n)


@pytest.mark.parametrize("m", [4, 5, 12])
@pytest.mark.parametrize("times", [True, False])
def test_factors_are_those_of_the_data(m, times):
    y = seasonal(12 * m, m, times=times, rng=np.random.RandomState(0))
    found = seasonal_factors(y, m, multiplicative=times)
    wanted = 0.4 * np.sin(2 * np.pi * np.arange(m) / m)
    # a moving average over whole seasons is exact for a line, up to curvature of the product
    assert_allclose(found, 1 + wanted if times else 100 * wanted, atol=0.02 if times else 0.5)


def plain_factors(y, m):
    sums, counts = np.zeros(m), np.zeros(m)
    half = m // 2
    for t in range(half, len(y) - half):
        part = y[t - half : t + half + 1].copy()
        if m % 2 == 0:
            part[0], part[-1] = part[0] / 2, part[-1] / 2
        sums[t % m] += y[t] - part.sum() / m
        counts[t % m] += 1
    return sums / counts - (sums / counts).mean()


@pytest.mark.parametrize("m", [3, 4, 12])
def test_factors_equal_a_plain_decomposition(m):
    y = np.random.RandomState(m).randn(5 * m + 2)
    assert_allclose(seasonal_factors(y, m, multiplicative=False), plain_factors(y, m), atol=1e-12)


def test_season_is_found_where_it_is_and_seldom_elsewhere():
    rng = np.random.RandomState(0)
    assert is_seasonal(seasonal(60, 12, times=True, rng=rng), 12)
    noise = [is_seasonal(rng.randn(72), 12) for _ in range(300)]
    assert np.mean(noise) < 0.2  # nominal 10 per cent, and the test is known to be liberal
    assert not is_seasonal(seasonal(35, 12, times=True, rng=rng), 12)  # fewer than three seasons
    assert not is_seasonal(np.full(60, 7.0), 12)


@pytest.mark.parametrize("shift", [0.0, -100.0])
def test_season_is_given_back(shift):
    rng = np.random.RandomState(0)
    y = seasonal(72, 12, times=shift == 0, rng=rng) + shift  # below zero: subtracted
    past, future = y[:60], y[60:]
    adjusted, season = deseasonalize(pack([past, past[-5:]]), (12,), 12)
    assert np.abs(np.diff(adjusted.values[0])).max() < 3
    line = drift_forecast(adjusted, 12)
    assert_allclose(season.on(line)[0], future, atol=4)
    assert np.array_equal(season.times[1], np.ones(12))  # too short for a season
    assert np.array_equal(season.plus[1], np.zeros(12))


def test_input_is_not_changed():
    y = seasonal(60, 12, times=True, rng=np.random.RandomState(0))
    before = y.copy()
    deseasonalize(pack([y]), (12,), 6)
    assert np.array_equal(y, before)
