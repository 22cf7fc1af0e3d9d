"""Transforms: inverses, tails, one-step predictions, and the automatic choice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_forecasting as oracles
from echocast.forecasting import (
    Deseasonalize,
    Difference,
    ESNForecaster,
    SeasonalDifference,
    Standardize,
)
from echocast.forecasting._automatic import (
    choose_lags,
    choose_transforms,
    seasonal_strength,
    unit_root_statistic,
)
from echocast.forecasting._transforms import Chain, Transform
from echocast.forecasting._transforms_registry import resolve_transforms

MASKS = st.sampled_from([None, np.array([True, False]), np.array([False, True])])
STEPS = st.lists(
    st.one_of(
        st.builds(Difference, columns=MASKS),
        st.builds(SeasonalDifference, st.integers(2, 5), columns=MASKS),
        st.builds(Deseasonalize, st.integers(2, 5), columns=MASKS),
        st.builds(Standardize, columns=MASKS),
    ),
    max_size=4,
)


@settings(deadline=None)
@given(STEPS, st.integers(0, 99), st.integers(1, 12), st.integers(1, 9))
def test_chains_are_undone_exactly(steps, seed, n_ahead, n_more):
    Y = np.random.RandomState(seed).randn(90, 2).cumsum(axis=0)
    n = 70
    chain = Chain(resolve_transforms(steps, "F")).fit(Y[:n], 1)
    Z = chain.forward(Y)
    assert len(Z) == len(Y) - chain.n_lost
    ahead = Z[n - chain.n_lost :][:n_ahead, :, None]
    tails = chain.tails(Y[:n])
    assert_allclose(chain.invert(ahead, tails, n)[:, :, 0], Y[n : n + n_ahead], atol=1e-8)
    # rows that come later continue from the tails alone
    later, tails = chain.extend(Y[n : n + n_more], tails, n)
    assert_allclose(later, Z[n - chain.n_lost : n + n_more - chain.n_lost], atol=1e-10)
    rest = Z[n + n_more - chain.n_lost :][:, :, None]
    expected = Y[n + n_more :]
    assert_allclose(chain.invert(rest, tails, n + n_more)[:, :, 0], expected, atol=1e-8)
    # tails of many origins at once
    ends = np.array([50, 61, n])
    three = chain.tails_at(Y, ends)
    paths = np.stack([Z[e - chain.n_lost :][:5] for e in ends], axis=2)
    undone = chain.invert(paths, three, ends)
    assert_allclose(undone, np.stack([Y[e : e + 5] for e in ends], axis=2), atol=1e-8)
    # a prediction that is right after the transforms is right before them
    assert_allclose(chain.one_step(Z, Y), Y[chain.n_lost :], atol=1e-8)


@given(st.integers(0, 99), st.integers(1, 5))
def test_differences_equal_the_oracle(seed, lag):
    rng = np.random.RandomState(seed)
    tail, values = rng.randn(lag), rng.randn(13)
    step = SeasonalDifference(lag).fit(rng.randn(20, 1), 1)
    got = step.invert(values[:, None, None], tail[:, None, None], 0)[:, 0, 0]
    assert_allclose(got, oracles.undo_difference(values, tail, lag))


@pytest.mark.parametrize("m", [2, 3, 4, 7, 12])
def test_seasonal_means_equal_the_oracle(m):
    y = np.random.RandomState(m).randn(60)
    indices = Deseasonalize(m).fit(y[:, None], 1).indices_[:, 0]
    assert_allclose(indices, oracles.seasonal_means(y, m), atol=1e-12)


def test_seasonal_means_stay_in_place():
    y = np.tile([0.0, 5.0, -5.0], 10)[:, None]
    step = Deseasonalize(3).fit(y, 1)
    assert_allclose(step.forward(y[4:], 4), np.zeros((26, 1)), atol=1e-12)
    assert_allclose(step.invert(np.zeros((2, 1, 1)), None, 31)[:, 0, 0], [5.0, -5.0])


def test_a_constant_column_is_only_centred():
    step = Standardize().fit(np.full((9, 1), 1e9) * (1 + 1e-16), 1)
    assert step.scale_[0] == 1.0
    assert_array_equal(step.forward(np.full((2, 1), 1e9), 0), [[0.0], [0.0]])


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ("log1p", "'transforms' parameter"),
        (["difference", 3], "'transforms' parameter"),
        (None, "'transforms' parameter"),
        ({"difference"}, "'transforms' parameter"),
    ],
)
def test_unknown_transforms_are_refused(transforms, message):
    with pytest.raises(ValueError, match=message):
        resolve_transforms(transforms, "F")


def test_short_series_and_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"Length of `y` \(6\) must be greater .*\(6: Seasonal"):
        SeasonalDifference(5).fit(np.zeros((6, 1)), 1)
    with pytest.raises(ValueError, match="two seasons of 4"):
        Deseasonalize(4).fit(np.zeros((8, 1)), 1)
    with pytest.raises(ValueError, match="'period' parameter"):
        SeasonalDifference(0).fit(np.zeros((9, 1)), 1)
    with pytest.raises(ValueError, match="'columns' parameter"):
        Difference(columns=np.array([True])).fit(np.zeros((9, 2)), 1)


# ------------------------------------------------------------- automatic choice


def chosen(y, m=1):
    return [type(s).__name__ for s in choose_transforms(np.asarray(y, float).reshape(-1, 1), m)]


def autoregression(rng, phi, n):
    y = np.zeros(n + 50)
    for t in range(1, n + 50):
        y[t] = phi * y[t - 1] + rng.randn()
    return y[50:]


def share(make, name, m=1, runs=60):
    return np.mean([name in chosen(make(np.random.RandomState(r)), m) for r in range(runs)])


def test_random_walks_are_differenced_and_stationary_series_are_not():
    assert share(lambda r: r.randn(200).cumsum(), "Difference") > 0.85
    assert share(lambda r: autoregression(r, 0.6, 200), "Difference") < 0.02
    assert share(lambda r: autoregression(r, 0.8, 300), "Difference") < 0.10
    assert chosen(np.arange(50) * 2.0) == ["Difference", "Standardize"]


def test_smooth_oscillations_are_not_differenced():
    t = np.arange(600)
    assert chosen(np.sin(0.05 * t) + 0.5 * np.sin(0.083 * t)) == ["Standardize"]


def test_seasons_are_recognised():
    t = np.arange(240)
    season = 5 * np.sin(2 * np.pi * t / 12) + 3 * (t % 12 == 3)
    fixed = season + autoregression(np.random.RandomState(0), 0.5, 240)
    assert chosen(fixed, 12) == ["Deseasonalize", "Standardize"]
    trending = season + 0.5 * t + np.random.RandomState(0).randn(240).cumsum()
    assert chosen(trending, 12)[0] == "SeasonalDifference"
    assert chosen(np.random.RandomState(1).randn(240), 12) == ["Standardize"]
    assert chosen(fixed[:30], 12) == ["Standardize"]  # fewer than three seasons
    assert share(lambda r: r.randn(120), "Deseasonalize", m=12) < 0.05


def test_each_column_is_judged_by_itself():
    rng = np.random.RandomState(0)
    steps = choose_transforms(np.column_stack([rng.randn(200).cumsum(), rng.randn(200)]), 1)
    assert_array_equal(steps[0].columns, [True, False])


def test_constant_and_tiny_series_are_left_alone():
    assert chosen(np.ones(50), 12) == ["Standardize"]
    assert chosen([1.0, 2.0, 5.0]) == ["Standardize"]


def test_the_unit_root_statistic_has_its_known_distribution():
    walks = [unit_root_statistic(np.random.RandomState(r).randn(250).cumsum()) for r in range(400)]
    # Fuller's table for 250 rows: 5 and 10 per cent points -2.88 and -2.57
    assert abs(np.mean(np.array(walks) < -2.88) - 0.05) < 0.03
    assert abs(np.mean(np.array(walks) < -2.57) - 0.10) < 0.04


def test_seasonal_strength_is_a_share_of_variance():
    t = np.arange(400)
    pure = np.sin(2 * np.pi * t / 10)[:, None]
    assert seasonal_strength(pure, 10)[0] == pytest.approx(1.0)
    noise = np.random.RandomState(0).randn(400, 1)
    mixed = seasonal_strength(pure * np.sqrt(2) + noise, 10)[0]
    assert 0.4 < mixed < 0.6
    assert seasonal_strength(noise, 10)[0] < 0.1


def test_a_step_must_define_its_methods():
    class Half(Transform):
        def fit(self, Y, season_length):
            return self

    with pytest.raises(TypeError, match="abstract method"):
        Half()


def test_lags():
    assert choose_lags(None, 300, 1, 12, "F") == tuple(range(1, 25))
    assert choose_lags(None, 300, 1, 1, "F") == tuple(range(1, 13))
    assert choose_lags(None, 60, 1, 12, "F") == tuple(range(1, 11))
    assert choose_lags(None, 5, 1, 1, "F") == (1,)
    assert choose_lags(None, 10_000, 1, 365, "F") == tuple(range(1, 101))
    assert choose_lags(None, 1000, 40, 1, "F") == (1, 2, 3, 4)
    assert choose_lags(3, 5, 1, 1, "F") == (1, 2, 3)
    assert choose_lags([12, 3], 50, 1, 1, "F") == (1, 3, 12)
    for bad in (0, -1, True, 1.5, [], [0], "auto", [1.5]):
        with pytest.raises(ValueError, match="'lags' parameter of F"):
            choose_lags(bad, 50, 1, 1, "F")


def test_logarithms_are_taken_where_seasons_grow_with_the_level():
    rng = np.random.RandomState(0)
    t = np.arange(144)
    level = 100 * np.exp(0.02 * t)
    shape = np.sin(2 * np.pi * t / 12) + 0.2 * rng.randn(144)
    growing = level * (1 + 0.3 * shape)
    assert chosen(growing, 12)[0] == "Log"
    assert chosen(level + 30 * shape, 12)[0] != "Log"  # even seasons
    assert chosen(growing - growing.min(), 12)[0] != "Log"  # a zero
    assert chosen(-growing, 12)[0] != "Log"
    assert chosen(growing, 1)[0] != "Log"
    assert chosen(level * np.exp(0.2 * rng.randn(144)), 12)[0] != "Log"  # no season
    both = choose_transforms(np.column_stack([growing, rng.randn(144)]), 12)
    assert_array_equal(both[0].columns, [True, False])
    even = share(lambda r: 50 + 5 * shape + autoregression(r, 0.5, 144), "Log", m=12)
    assert even < 0.02


def test_growing_seasons_are_forecast_better_in_logarithms():
    t = np.arange(132)
    rng = np.random.RandomState(1)
    noise = np.exp(0.05 * rng.randn(132))
    y = 100 * np.exp(0.015 * t + 0.4 * np.sin(2 * np.pi * t / 12)) * noise
    scores = [
        ESNForecaster(30, season_length=12, transforms=transforms, random_state=0)
        .fit(y[:108])
        .score(y[108:])
        for transforms in ("auto", ["seasonal_difference", "standardize"])
    ]
    assert scores[0] < 0.8 * scores[1]


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("rate", [0.1, 0.05, -0.05])
def test_even_exponential_growth_is_forecast_from_differences_of_logarithms(rate, noise):
    t = np.arange(120)
    y = 100 * np.exp(rate * t + noise * np.random.RandomState(0).randn(120))
    assert names_of(choose_transforms(y[:100, None], 1)) == ["Log", "Difference", "Standardize"]
    forecast = ESNForecaster(random_state=0).fit(y[:100]).predict(20)
    assert_allclose(forecast, y[100:], rtol=1e-6 if not noise else 0.15)
    assert_allclose(
        ESNForecaster(strategy="direct", random_state=0).fit(y[:100]).predict(20),
        y[100:],
        rtol=1e-6 if not noise else 0.15,
    )


@pytest.mark.parametrize("seed", range(3))
def test_noise_does_not_hide_steep_growth(seed):
    y = np.exp(0.05 * np.arange(108) + 0.03 * np.random.RandomState(seed).randn(108))
    assert names_of(choose_transforms(y[:, None], 1)) == ["Log", "Difference", "Standardize"]


def test_growth_that_slows_down_turns_or_is_uneven_takes_no_logarithms():
    t = np.arange(100)
    noise = np.random.RandomState(0).randn(100).cumsum()
    saturating = 1 + 100 / (1 + np.exp(-(t - 40) / 8))
    turning = np.exp(5 - np.abs(t - 80) / 15)
    for y in (saturating, turning, np.exp(0.03 * t + 0.3 * noise), 10.0 + t, (10.0 + t)[:20]):
        assert "Log" not in names_of(choose_transforms(y[:, None], 1))


def test_a_steady_trend_is_differenced_even_where_a_test_takes_it_for_stationary():
    y = np.exp(0.02 * np.arange(100))  # an exact recurrence, by too small a factor for logarithms
    assert names_of(choose_transforms(y[:, None], 1)) == ["Difference", "Standardize"]
    forecast = ESNForecaster(random_state=0).fit(y).predict(5)
    assert_allclose(forecast, np.exp(0.02 * np.arange(100, 105)), rtol=0.02)


def names_of(steps):
    return [type(step).__name__ for step in steps]
