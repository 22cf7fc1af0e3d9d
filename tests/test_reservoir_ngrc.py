"""NVARRegressor: its features against a loop over rows, the paper's numbers, exact systems."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

import oracles_esn
import oracles_variants as oracle
from echocast.datasets import lorenz63
from echocast.exceptions import ForecastDivergedError, InvalidParameterError
from echocast.reservoir import NVARRegressor


def problem(n, n_features, seed=0):
    rng = np.random.RandomState(seed)
    return rng.randn(n, n_features), rng.randn(n, 2)


@given(
    seed=st.integers(0, 99),
    n=st.integers(12, 40),
    n_features=st.integers(1, 3),
    delays=st.integers(1, 4),
    stride=st.integers(1, 3),
    degree=st.sampled_from([1, 2, 3, (2, 3), [1, 2]]),
    fit_intercept=st.sampled_from([True, False, "penalised"]),
)
@settings(max_examples=40, deadline=None)
def test_fit_and_predict_equal_the_oracle(
    seed, n, n_features, delays, stride, degree, fit_intercept
):
    X, Y = problem(n, n_features, seed)
    model = NVARRegressor(delays, stride, degree, alpha=0.1, fit_intercept=fit_intercept)
    model.set_params(increments=False).fit(X, Y)
    degrees = sorted(set(np.atleast_1d(degree)))
    F = oracle.delay_features(X, delays, stride, degrees, fit_intercept == "penalised")
    history = (delays - 1) * stride
    if fit_intercept is True:
        coef, intercept = oracles_esn.ridge(F[history:], Y[history:], 0.1)
    else:
        A = np.vstack([F[history:], np.sqrt(0.1) * np.eye(F.shape[1])])
        B = np.vstack([Y[history:], np.zeros((F.shape[1], 2))])
        coef, intercept = np.linalg.lstsq(A, B, rcond=None)[0].T, np.zeros(2)
    assert_allclose(model.transform(X), F, rtol=1e-12, atol=1e-12)
    assert_allclose(model.coef_, coef, rtol=1e-6, atol=1e-7)
    assert_allclose(model.predict(X), F @ coef.T + intercept, rtol=1e-6, atol=1e-7)
    assert model.get_feature_names_out().shape == (F.shape[1],)


def test_increments_shrink_towards_persistence_and_change_nothing_without_penalty():
    X = np.random.RandomState(0).randn(200, 3)
    heavy = NVARRegressor(alpha=1e12).fit(X[:-1], X[1:])
    drift = (X[2:] - X[1:-1]).mean(axis=0)
    assert_allclose(heavy.predict(X), X + drift, atol=1e-6)
    with_x = NVARRegressor(alpha=1e-12).fit(X[:-1], X[1:])
    without = NVARRegressor(alpha=1e-12, increments=False).fit(X[:-1], X[1:])
    assert_allclose(with_x.predict(X), without.predict(X), rtol=1e-6, atol=1e-8)
    assert with_x.increments_
    assert not without.increments_


def test_increments_are_left_out_where_y_is_no_next_x():
    X, Y = problem(60, 3)
    model = NVARRegressor().fit(X, Y)
    assert not model.increments_
    same = NVARRegressor(increments=False).fit(X, Y)
    assert_array_equal(model.coef_, same.coef_)


def test_first_rows_are_predicted_but_not_trained_on():
    X, Y = problem(50, 2)
    spoilt = Y.copy()
    spoilt[:4] = 1e6  # delays 3, stride 2: four rows lack history
    a = NVARRegressor(3, 2, increments=False).fit(X, Y)
    b = NVARRegressor(3, 2, increments=False).fit(X, spoilt)
    assert_array_equal(a.coef_, b.coef_)
    padded = np.vstack([np.repeat(X[:1], 4, axis=0), X])
    assert_allclose(a.predict(X), a.predict(padded)[4:], rtol=1e-12)
    assert_array_equal(a.state_, X[-4:])


def test_names_of_features():
    frame = pd.DataFrame(np.random.RandomState(0).randn(20, 2), columns=["a", "b"])
    model = NVARRegressor(2, 3, fit_intercept="penalised").fit(frame, frame)
    names = model.get_feature_names_out().tolist()
    assert names[:5] == ["1", "a", "b", "a[-3]", "b[-3]"]
    assert names[5:8] == ["a*a", "a*b", "a*a[-3]"]
    assert len(names) == 1 + 4 + 10
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        model.get_feature_names_out(["a", "c"])
    shown = NVARRegressor().set_output(transform="pandas").fit(frame, frame).transform(frame)
    assert list(shown.columns)[:3] == ["a", "b", "a[-1]"]


def test_a_quadratic_map_is_learnt_exactly():
    """The Henon map has delays two and degree two, so nothing is left to approximate."""
    x = [0.1, 0.2]
    for _ in range(300):
        x.append(1 - 1.4 * x[-1] ** 2 + 0.3 * x[-2])
    u = np.array(x)[:, None]
    model = NVARRegressor(alpha=0, increments=False).fit(u[:200], u[1:201])
    assert_allclose(model.coef_, [[0, 0.3, -1.4, 0, 0]], atol=1e-10)
    assert_allclose(model.intercept_, [1], atol=1e-10)
    assert_allclose(model.generate(15), u[201:216], atol=1e-6)


def lorenz_rk23(seconds, offset):
    """The trajectory of the paper's programs: RK23 at its default tolerance, dt 0.025."""

    def slope(t, v):
        return [10 * (v[1] - v[0]), v[0] * (28 - v[2]) - v[1], v[0] * v[1] - 8 / 3 * v[2]]

    times = 0.025 * np.arange(round(seconds / 0.025) + 1)
    start = np.array([17.67715816276679, 12.931379185960404, 43.91404334248268]) + offset
    return solve_ivp(slope, (0, times[-1]), start, t_eval=times, method="RK23").y.T


def paper_errors(trajectory, warmup):
    """Train and test error of one start: 400 rows after `warmup`, then one Lyapunov time."""
    first = round(warmup / 0.025)
    u = trajectory[first - 2 : first + 400]
    model = NVARRegressor(alpha=2.5e-6, fit_intercept="penalised").fit(u[:-1], u[1:])
    assert model.coef_.shape == (3, 28)
    variance = trajectory[: first + 444].var()
    residual = model.predict(u[:-1])[1:] - u[2:]
    path = np.vstack([u[-1:], model.generate(43)])
    test = path - trajectory[first + 399 : first + 443]
    return np.sqrt((residual**2).mean() / variance), np.sqrt((test**2).mean() / variance)


def test_the_errors_of_the_paper_on_lorenz63():
    """Gauthier et al. 2021 (their program): train 1.05e-4, test 2.1e-3 +- 0.5e-3.

    Means over ten starts, 10 time units apart, as there. Test errors have a heavy tail, since
    rounding decides how close a start comes to the saddle at the origin (the mean over ten was
    seen between 1.3e-3 and 5e-2), so the median over copies of the trajectory that start 1e-9
    apart is taken.
    """
    starts = np.arange(5.0, 105.0, 10.0)
    means = []
    for k in range(15):
        trajectory = lorenz_rk23(106.2, k * 1e-9)
        means.append(np.mean([paper_errors(trajectory, start) for start in starts], axis=0))
    train, test = np.median(means, axis=0)
    assert_allclose(train, 1.046e-4, atol=0.05e-4)
    assert_allclose(test, 2.1e-3, atol=0.5e-3)


def test_an_intercept_without_penalty_is_as_good_on_lorenz63():
    u = lorenz_rk23(20, 0)[200:]
    free = NVARRegressor(alpha=2.5e-6).fit(u[:400], u[1:401])
    shrunk = NVARRegressor(alpha=2.5e-6, fit_intercept="penalised").fit(u[:400], u[1:401])
    assert free.coef_.shape == (3, 27)
    assert_allclose(free.predict(u), shrunk.predict(u), atol=1e-4)


def test_the_climate_of_lorenz63_is_kept():
    u = lorenz63(3000, dt=0.025, random_state=0)
    model = NVARRegressor(delays=1, degree=(2, 3)).fit(u[:800], u[1:801])
    long = model.generate(8000)
    assert_allclose(long.mean(axis=0), u.mean(axis=0), atol=1.5)
    assert_allclose(long.std(axis=0), u.std(axis=0), rtol=0.05)


def test_delayed_copies_of_exact_data_need_a_larger_penalty():
    u = lorenz63(1000, dt=0.025, random_state=0)
    with pytest.raises(ForecastDivergedError):
        NVARRegressor(alpha=2.5e-6).fit(u[:800], u[1:801]).generate(1000)
    steady = NVARRegressor(alpha=1.0).fit(u[:800], u[1:801]).generate(1000)
    assert np.abs(steady).max() < 60


def test_memory_does_not_hold_the_features_of_all_rows(monkeypatch):
    from echocast.reservoir import _ngrc

    monkeypatch.setattr(_ngrc, "BLOCK_BYTES", 2**14)
    X, Y = problem(500, 2)
    small = NVARRegressor(alpha=0.1).fit(X, Y)
    monkeypatch.undo()
    assert_allclose(small.coef_, NVARRegressor(alpha=0.1).fit(X, Y).coef_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"delays": 0}, "'delays'"),
        ({"stride": 1.5}, "'stride'"),
        ({"degree": 0}, "'degree'"),
        ({"degree": [2, 2.5]}, "'degree'"),
        ({"degree": []}, "'degree'"),
        ({"degree": True}, "'degree'"),
        ({"alpha": -1.0}, "'alpha'"),
        ({"fit_intercept": "maybe"}, "'fit_intercept'"),
        ({"fit_intercept": 2}, "'fit_intercept'"),
        ({"increments": "no"}, "'increments'"),
        ({"solver": "magic"}, "'solver'"),
        ({"predict_state": "maybe"}, "'predict_state'"),
        ({"dtype": "float16"}, "'dtype'"),
    ],
)
def test_bad_parameters_are_refused_by_name(params, message):
    X, Y = problem(30, 2)
    with pytest.raises(InvalidParameterError, match=f"{message} parameter of NVARRegressor"):
        NVARRegressor(**params).fit(X, Y)


def test_an_explosion_of_features_is_refused():
    X, Y = problem(30, 20)
    with pytest.raises(ValueError, match="gives 88640 features, more than 20000"):
        NVARRegressor(delays=4, degree=3).fit(X, Y)


def test_sequences_without_history_are_named():
    with pytest.raises(ValueError, match=r"need 4 row\(s\) of history.*n_samples=4"):
        NVARRegressor(3, 2).fit(*problem(4, 2))
