"""Logarithm, powers and trends: inverses, known answers, limits and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from echocast.exceptions import InvalidParameterError
from echocast.forecasting import (
    BoxCox,
    Deseasonalize,
    Detrend,
    Difference,
    ESNForecaster,
    Log,
    MarkovForecaster,
    SeasonalDifference,
    Standardize,
    Transform,
    YeoJohnson,
    list_transforms,
    register_transform,
)
from echocast.forecasting._transforms import Chain
from echocast.forecasting._transforms_registry import resolve_transforms

MASKS = st.sampled_from([None, np.array([True, False]), np.array([False, True])])
BENDS = st.one_of(
    st.builds(Log, st.sampled_from(["auto", 0.5]), MASKS),
    st.builds(BoxCox, st.sampled_from([-1.0, 0.0, 0.3, 1, 2.0, "auto"]), columns=MASKS),
    st.builds(BoxCox, method=st.just("mle"), columns=MASKS),
    st.builds(YeoJohnson, st.sampled_from([0.0, 0.4, 1, 1.7, 2.0, "auto"]), MASKS),
)
REST = st.lists(
    st.one_of(
        st.builds(Detrend, st.integers(0, 3), columns=MASKS),
        st.builds(Difference, columns=MASKS),
        st.builds(SeasonalDifference, st.integers(2, 4), columns=MASKS),
        st.builds(Deseasonalize, st.integers(2, 4), columns=MASKS),
        st.builds(YeoJohnson, columns=MASKS),
        st.builds(Standardize),
    ),
    max_size=3,
)


def positive_rows(seed, n=90):
    return np.exp(0.1 * np.random.RandomState(seed).randn(n, 2).cumsum(axis=0))


@settings(deadline=None)
@given(BENDS, REST, st.integers(0, 99), st.integers(1, 12), st.integers(1, 9))
def test_chains_are_undone_exactly(bend, rest, seed, n_ahead, n_more):
    Y = positive_rows(seed)
    n = 70
    chain = Chain(resolve_transforms([bend, *rest], "F")).fit(Y[:n], 1)
    Z = chain.forward(Y)
    ahead = Z[n - chain.n_lost :][:n_ahead, :, None]
    tails = chain.tails(Y[:n])
    assert_allclose(chain.invert(ahead, tails, n)[:, :, 0], Y[n : n + n_ahead], rtol=1e-8)
    assert_allclose(chain.one_step(Z[-15:], Y), Y[-15:], rtol=1e-8)
    chunk, tails = chain.extend(Y[n : n + n_more], tails, n)
    assert_allclose(chunk, Z[n - chain.n_lost :][:n_more], rtol=1e-8, atol=1e-8)
    following = Z[n + n_more - chain.n_lost :][:3, :, None]
    rows = chain.invert(following, tails, n + n_more)
    assert_allclose(rows[:, :, 0], Y[n + n_more : n + n_more + 3], rtol=1e-8)
    ends = np.array([n - 5, n])
    both = np.stack([Z[e - chain.n_lost :][:4] for e in ends], axis=2)
    undone = chain.invert(both, chain.tails_at(Y, ends), ends)
    assert_allclose(undone, np.stack([Y[e : e + 4] for e in ends], axis=2), rtol=1e-8)


@pytest.mark.parametrize(
    "step",
    [Log(), BoxCox(), BoxCox(method="mle"), YeoJohnson(), Detrend(2), Log(offset=1.0)],
    ids=str,
)
def test_what_follows_the_fit_changes_nothing_before(step):
    Y = positive_rows(0)
    poisoned = Y.copy()
    poisoned[70:] = 1e9
    clean, dirty = (Chain(resolve_transforms([step], "F")).fit(rows[:70], 4) for rows in (Y, Y))
    assert_array_equal(clean.forward(Y)[:70], dirty.forward(poisoned)[:70])


def test_logarithms_are_those_of_numpy():
    Y = positive_rows(1)
    step = Log().fit(Y[:40], 1)
    expected = np.log(Y) - np.log(Y[:40]).mean(axis=0)
    assert_allclose(step.forward(Y, 0), expected, atol=1e-12)
    some = Log(columns=np.array([True, False])).fit(Y - [0, 50], 1)  # the other may be negative
    assert_array_equal(some.forward(Y - [0, 50], 0)[:, 1], Y[:, 1] - 50)


@pytest.mark.parametrize(
    ("values", "offset", "expected"),
    [([1.0, 2.0], "auto", 0.0), ([0.0, 0.5, 2.0], "auto", 0.5), ([0.0, 0.0], "auto", 1.0)]
    + [([-1.0, 2.0], 3, 3.0), ([4.0, 5.0], -3.0, -3.0)],
)
def test_offsets(values, offset, expected):
    Y = np.array(values)[:, None]
    step = Log(offset).fit(Y, 1)
    assert step.offset_[0] == expected
    assert_allclose(step.one_step(step.forward(Y, 0), Y, 0), Y, atol=1e-12)


@pytest.mark.parametrize("step", [Log(), BoxCox()])
def test_negative_values_are_refused(step):
    with pytest.raises(ValueError, match=r"holds -1\. Give an offset, or use YeoJohnson"):
        step.fit(np.array([[3.0], [-1.0]]), 1)
    with pytest.raises(ValueError, match=r"values above -1 with offset=1; .*Give a larger one"):
        step.set_params(offset=1).fit(np.array([[3.0], [-1.0]]), 1)
    with pytest.raises(InvalidParameterError, match="'offset' parameter"):
        step.set_params(offset="none").fit(np.array([[3.0], [1.0]]), 1)


@pytest.mark.parametrize("lmbda", [-0.7, 0.0, 0.5, 1.0, 2.0])
def test_powers_are_those_of_scipy(lmbda):
    y = positive_rows(2)[:, 0]
    scale = stats.gmean(y)
    step = BoxCox(lmbda).fit(y[:, None], 1)
    assert_allclose(step.forward(y[:, None], 0)[:, 0], stats.boxcox(y / scale, lmbda), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_likeliest_power_is_that_of_scipy(seed):
    rng = np.random.RandomState(seed)
    y = (1 + 0.3 * rng.randn(200)).clip(0.05) ** (1 / (0.3 + 0.3 * seed)) * 10.0**seed
    ours = BoxCox(method="mle").fit(y[:, None], 1).lambda_[0]
    theirs = stats.boxcox(y)[1]
    assert ours == pytest.approx(np.clip(theirs, -1, 2), abs=1e-4)
    mixed = y - np.median(y)
    step = YeoJohnson().fit(mixed[:, None], 1)
    scale = np.abs(mixed).mean()
    theirs = np.clip(stats.yeojohnson_normmax(mixed / scale), 0, 2)
    assert step.lambda_[0] == pytest.approx(theirs, abs=1e-3)
    expected = scale * stats.yeojohnson(mixed / scale, step.lambda_[0])
    assert_allclose(step.forward(mixed[:, None], 0)[:, 0], expected, rtol=1e-9, atol=1e-9 * scale)


def test_guerrero_recognises_how_the_spread_grows():
    rng = np.random.RandomState(0)
    level = np.exp(np.linspace(0, 3, 240))
    shape = np.sin(2 * np.pi * np.arange(240) / 12) + 0.1 * rng.randn(240)
    for power, expected in ((1, 0.0), (0.5, 0.5), (0, 1.0)):
        y = 10 * level + 2 * level**power * shape
        assert BoxCox().fit(y[:, None], 12).lambda_[0] == pytest.approx(expected, abs=0.15)


def test_nothing_to_choose_from():
    for y in (np.ones(20), np.array([1.0, 2.0, 3.0])):
        assert BoxCox().fit(y[:, None], 12).lambda_[0] == 1.0
    assert BoxCox(method="mle").fit(np.ones((20, 1)), 1).lambda_[0] == 1.0
    assert YeoJohnson().fit(np.zeros((20, 1)), 1).lambda_[0] == 1.0


@pytest.mark.parametrize("bend", [Log(), BoxCox(-1.0), BoxCox(0.4), BoxCox(2.0), YeoJohnson(0.0)])
def test_paths_never_overflow(bend):
    Y = positive_rows(3) * 1e140
    chain = Chain(resolve_transforms([bend, "difference", "standardize"], "F")).fit(Y, 1)
    paths = np.stack([np.full((500, 2), 30.0), np.full((500, 2), -30.0)], axis=2)
    undone = chain.invert(paths, chain.tails(Y), len(Y))
    assert np.isfinite(undone).all()
    assert (np.abs(undone) <= 1.001e3 * np.abs(Y).max()).all()
    if bend.get_params().get("lmbda") != 2.0:  # whose paths grow as a square root does
        assert_allclose(undone[-1, :, 0] / (1e3 * Y.max(axis=0)), 1.0, rtol=1e-6)  # held there


def test_later_rows_without_a_logarithm_count_as_tiny():
    Y = np.array([[2.0], [4.0]])
    step = Log().fit(Y, 1)
    low = step.forward(np.array([[0.0], [-5.0], [2e-3], [1e-9]]), 2)
    assert_array_equal(low, np.repeat(low[:1], 4, axis=0))


# ------------------------------------------------------------------------ trend


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_trends_are_those_of_polyfit(degree):
    y = np.random.RandomState(degree).randn(50).cumsum()
    step = Detrend(degree).fit(y[:40, None], 1)
    line = np.polyval(np.polyfit(np.arange(40), y[:40], degree), np.arange(50))
    assert_allclose(step.forward(y[:, None], 0)[:, 0], y - line, atol=1e-8)
    ahead = step.invert(np.zeros((10, 1, 2)), None, np.array([40, 38]))
    assert_allclose(ahead[:, 0, 0], line[40:], atol=1e-8)
    assert_allclose(ahead[2:, 0, 1], line[40:48], atol=1e-8)


def test_trends_know_their_leverage_and_limits():
    step = Detrend(2, columns=np.array([True, False])).fit(np.random.RandomState(0).randn(30, 2), 1)
    assert_allclose(step.leverage_, [0.1, 0])
    assert_array_equal(step.coef_[:, 1], 0)
    with pytest.raises(ValueError, match=r"Length of `y` \(3\) .* \(3: degree=2 for Detrend\)"):
        Detrend(2).fit(np.zeros((3, 1)), 1)
    with pytest.raises(InvalidParameterError, match="'degree' parameter"):
        Detrend(1.5).fit(np.zeros((9, 1)), 1)
    with pytest.raises(InvalidParameterError, match="'lmbda' parameter"):
        BoxCox(9).fit(np.ones((9, 1)), 1)
    with pytest.raises(InvalidParameterError, match="'method' parameter"):
        BoxCox(method="other").fit(np.ones((9, 1)), 1)


# --------------------------------------------------------------------- registry


def test_transforms_can_be_registered():
    register_transform("cubic", lambda: Detrend(3))
    assert "cubic" in list_transforms()
    first, second = (resolve_transforms("cubic", "F")[0] for _ in range(2))
    assert first.degree == 3
    assert first is not second
    for name in ("log", "auto", "", 3):
        with pytest.raises(InvalidParameterError, match="'name' parameter"):
            register_transform(name, Log)
    with pytest.raises(InvalidParameterError, match="'factory' parameter"):
        register_transform("mine", Log())
    register_transform("wrong", dict)
    with pytest.raises(TypeError, match="registered as 'wrong' must give a Transform"):
        resolve_transforms("wrong", "F")


@pytest.mark.parametrize("name", ["log", "box_cox", "detrend", "yeo_johnson"])
def test_names_give_fresh_steps(name):
    (step,) = resolve_transforms(name, "F")
    assert isinstance(step, Transform)
    assert not any(attribute.endswith("_") for attribute in vars(step))


def test_past_only_columns_keep_their_sign():
    """They are variables beside y, but a logarithm of y is none of theirs."""
    noise = np.random.RandomState(0).randn(120, 2)
    level = 0.2 * noise[:, 0].cumsum()
    for step in (Log(), Log(columns=[True])):
        model = MarkovForecaster(2, alpha=1.0, transforms=[step], past_columns=[0])
        model.fit(np.exp(level), noise[:, 1:])
        rows = np.column_stack([level - level.mean(), noise[:, 1]])
        plain = MarkovForecaster(2, alpha=1.0, transforms=[]).fit(rows)
        expected = np.exp(plain.predict(5)[:, 0] + level.mean())
        assert_allclose(model.predict(5), expected, rtol=1e-9)
    network = ESNForecaster(10, transforms=["log", "standardize"], past_columns=[0])
    assert (network.fit(np.exp(level), noise[:, 1:]).predict(5) > 0).all()
    with pytest.raises(InvalidParameterError, match="a mask of 1 booleans"):
        model.set_params(transforms=[Log(columns=[True, True])]).fit(np.exp(level), noise[:, 1:])


def test_logarithms_of_columns_with_zeros_come_back_above_minus_the_smallest_value():
    step = Log().fit(np.array([[0.0], [2.0], [8.0]]), 1)
    lowest = step.invert(np.full((1, 1, 1), -1e9), np.empty((0, 1)), 3)
    assert -2 < lowest[0, 0, 0] < -1.99
