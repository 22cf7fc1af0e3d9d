"""MarkovForecaster against a hand-rolled least-squares autoregression."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from echocast.exceptions import InvalidParameterError
from echocast.forecasting import ESNForecaster, MarkovForecaster, backtest
from echocast.forecasting._markov import choose_order


def system(seed, n_steps, n_columns, n_known=0):
    rng = np.random.RandomState(seed)
    Y = rng.randn(n_steps, n_columns)
    for t in range(2, n_steps):
        Y[t] += 0.5 * Y[t - 1] - 0.3 * np.roll(Y[t - 2], 1)
    return Y, rng.randn(n_steps, n_known)


def oracle(Y, X, order, alpha):
    """Coefficients (with intercept first) from rows that are spelt out, by normal equations."""
    rows = [
        np.concatenate([[1.0], *[Y[t - k] for k in range(1, order + 1)], X[t]])
        for t in range(order, len(Y))
    ]
    A, B = np.array(rows), Y[order:]
    penalty = alpha * np.eye(A.shape[1])
    penalty[0, 0] = 0.0
    return np.linalg.solve(A.T @ A + penalty, A.T @ B)


def oracle_forecast(Y, X_future, coef, order, n_steps):
    past = list(Y)
    for t in range(n_steps):
        row = np.concatenate([[1.0], *[past[-k] for k in range(1, order + 1)], X_future[t]])
        past.append(row @ coef)
    return np.array(past[len(Y) :])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    order=st.integers(1, 5),
    n_columns=st.integers(1, 3),
    n_known=st.integers(0, 2),
    alpha=st.sampled_from([0.0, 1e-3, 1.0, 100.0]),
)
def test_equals_least_squares_on_spelt_out_rows(seed, order, n_columns, n_known, alpha):
    Y, X = system(seed, 70, n_columns, n_known)
    # known columns are standardised inside; give them so, that the penalties agree
    X = (X - X.mean(axis=0)) / X.std(axis=0) if n_known else X
    model = MarkovForecaster(order, alpha=alpha, transforms=[])
    model.fit(Y, X if n_known else None)
    coef = oracle(Y, X, order, alpha)
    assert_allclose(model.coef_, coef[1:].T, rtol=1e-8, atol=1e-9)
    assert_allclose(model.intercept_, coef[0], rtol=1e-8, atol=1e-9)
    future = np.random.RandomState(seed + 1).randn(8, n_known)
    expected = oracle_forecast(Y, future, coef, order, 8)
    assert_allclose(model.predict(8, future if n_known else None), expected, atol=1e-7)


def test_standardised_forecasts_equal_the_oracle_on_standardised_rows():
    Y, X = system(0, 80, 2)
    mean, spread = Y.mean(axis=0), Y.std(axis=0)
    Z = (Y - mean) / spread
    coef = oracle(Z, X, 3, 1.0)
    model = MarkovForecaster(3, alpha=1.0, transforms=["standardize"]).fit(Y)
    expected = oracle_forecast(Z, np.empty((6, 0)), coef, 3, 6) * spread + mean
    assert_allclose(model.predict(6), expected, rtol=1e-9)
    first = oracle_forecast(Z[:3], np.empty((1, 0)), coef, 3, 1)[0] * spread + mean
    assert_allclose(model.fitted_values(Y)[3], first)


def test_residuals_are_those_of_fits_without_the_row():
    Y, _ = system(0, 40, 1)
    model = MarkovForecaster(2, alpha=0.5, transforms=[]).fit(Y)
    rows = np.stack([np.r_[1.0, Y[t - 1], Y[t - 2]] for t in range(2, 40)])
    for t in (0, 17, 37):
        A, b = np.delete(rows, t, axis=0), np.delete(Y[2:], t, axis=0)
        coef = np.linalg.solve(A.T @ A + 0.5 * np.diag([0.0, 1.0, 1.0]), A.T @ b)
        assert_allclose(model.residuals()[t], Y[2 + t] - rows[t] @ coef, rtol=1e-9)


def test_order_is_that_of_exhaustive_least_squares():
    for seed in range(5):
        Y, _ = system(seed, 120, 1)
        most, n_rows = 10, 110
        scores = []
        for order in range(1, most + 1):
            lags = [Y[most - k : 120 - k, 0] for k in range(1, order + 1)]
            A = np.column_stack([np.ones(n_rows), *lags])
            rest = np.linalg.lstsq(A, Y[most:, 0], rcond=None)[1][0]
            p = order + 2
            scores.append(n_rows * np.log(rest / n_rows) + 2 * p * n_rows / (n_rows - p - 1))
        assert choose_order(Y, np.empty((120, 0)), most) == 1 + int(np.argmin(scores))


def test_order_is_found_and_known_columns_count():
    rng = np.random.RandomState(0)
    y = np.zeros((3000, 1))
    for t in range(4, 3000):
        y[t] = 0.5 * y[t - 1] - 0.4 * y[t - 4] + rng.randn()
    found = MarkovForecaster(transforms=["standardize"]).fit(y)
    assert 4 <= found.order_ <= 6
    assert found.lags_ == tuple(range(1, found.order_ + 1))
    assert choose_order(np.ones((50, 2)), np.ones((50, 1)), 5) == 1


@pytest.mark.parametrize(("scale", "level"), [(1e-100, 0.0), (1e-12, 0.0), (1e100, 0.0), (1, 1e11)])
def test_order_does_not_depend_on_units(scale, level):
    Y, _ = system(3, 120, 2)
    Y = Y / Y.std()
    expected = choose_order(Y, np.empty((120, 0)), 10)
    assert expected > 1
    assert choose_order(scale * Y + level, np.empty((120, 0)), 10) == expected


def test_order_leaves_rows_for_many_known_columns_and_short_series():
    Y, X = system(0, 60, 1, n_known=50)
    assert choose_order(Y, X, 6) <= 3
    assert MarkovForecaster().fit(Y[:40], X[:40]).order_ == 1
    with pytest.raises(ValueError, match=r"Length of `y` \(2\) must be greater"):
        MarkovForecaster().fit(Y[:2])


def test_auto_tries_two_seasons():
    index = pd.date_range("2000-01-01", periods=500, freq="D")
    y = pd.Series(np.random.RandomState(0).randn(500), index=index)
    for t in range(14, 500):
        y.iloc[t] += 0.8 * y.iloc[t - 14]
    assert MarkovForecaster(transforms=["standardize"]).fit(y).order_ == 14


def test_the_penalty_is_chosen_and_stays():
    Y, _ = system(0, 200, 1)
    model = MarkovForecaster(3).fit(Y[:150])
    alpha = model.alpha_
    assert alpha > 0
    assert model.update(Y[150:], refit=True).alpha_ == alpha
    assert MarkovForecaster(3, alpha=[1.0, 10.0]).fit(Y).alpha_ in (1.0, 10.0)


def test_sees_the_last_k_values_alone():
    """The Markov assumption: what lies further back changes nothing."""
    Y, _ = system(1, 150, 1)
    model = MarkovForecaster(4, transforms=["standardize"]).fit(Y)
    other = np.concatenate([100 * Y[:60], Y[-4:]])
    assert_allclose(model.apply(other).predict(10), model.predict(10), rtol=1e-12)
    memory = ESNForecaster(20, lags=1, transforms=["standardize"], random_state=0).fit(Y)
    assert not np.allclose(memory.apply(other).predict(10), memory.predict(10))


def test_backtests_run_and_equal_direct_calls():
    Y, _ = system(2, 120, 1)
    result = backtest(MarkovForecaster(2), Y[:, 0], horizon=3, n_windows=2, metrics="mae")
    own = MarkovForecaster(2).fit(Y[:117, 0]).predict(3)
    assert_allclose(result.forecasts["forecast"].iloc[3:], own)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"order": 0}, "'order' parameter of MarkovForecaster must be an int in the range"),
        ({"order": 1.5}, "'order'"),
        ({"order": "all"}, "'order'"),
        ({"alpha": -1.0}, "'alpha'"),
        ({"fit_intercept": "no"}, "'fit_intercept'"),
        ({"solver": "magic"}, "'solver'"),
        ({"interval": "none"}, "'interval'"),
        ({"n_boot": 1}, "'n_boot'"),
        ({"transforms": ["nonsense"]}, "'transforms'"),
    ],
)
def test_forbidden_parameters(params, message):
    with pytest.raises(InvalidParameterError, match=message):
        MarkovForecaster(**params).fit(np.random.RandomState(0).randn(50))


def test_short_series_and_pooling_are_refused():
    with pytest.raises(ValueError, match=r"Length of `y` \(12\) must be greater.*lags=10"):
        MarkovForecaster(10, transforms=[]).fit(np.arange(12.0))
    panel = pd.DataFrame(
        {"y": np.arange(20.0)},
        index=pd.MultiIndex.from_product([["a", "b"], range(10)], names=["series", "time"]),
    )
    with pytest.raises(ValueError, match="'pooling' parameter of MarkovForecaster"):
        MarkovForecaster(1, pooling="global").fit(panel["y"])
