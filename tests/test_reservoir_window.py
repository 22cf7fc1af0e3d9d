"""WindowESNRegressor against a loop over rows and lags, lag names, and recursive forecasts."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold

import oracles_esn
import oracles_variants as oracle
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import WindowESNRegressor
from echocast.reservoir._window import lag_columns


def table(n=80, n_columns=6, seed=0):
    rng = np.random.RandomState(seed)
    X = 50 + 10 * rng.randn(n, n_columns)
    return X, X @ rng.randn(n_columns) + rng.randn(n)


@given(
    seed=st.integers(0, 99),
    n=st.integers(3, 90),
    n_columns=st.integers(1, 8),
    share=st.floats(0.1, 1.0),
    order=st.sampled_from(["auto", "newest_first", "oldest_first"]),
    weighted=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_fit_and_predict_equal_the_oracle(seed, n, n_columns, share, order, weighted):
    X, y = table(n, n_columns, seed)
    width = max(1, int(share * n_columns))
    weights = np.random.RandomState(seed).uniform(0.1, 2, n) if weighted else np.ones(n)
    model = WindowESNRegressor(
        10, window_order=order, n_window_features=width, leak_rate=0.8, random_state=seed
    ).fit(X, y, sample_weight=weights if weighted else None)
    mean = np.average(X, axis=0, weights=weights)
    mean[:width] = mean[:width].mean()
    variance = np.average((X - mean) ** 2, axis=0, weights=weights)
    variance[:width] = variance[:width].mean()
    columns = range(width) if order == "oldest_first" else reversed(range(width))
    features = oracle.window_features(model, X, [[j] for j in columns], mean, np.sqrt(variance))
    coef, intercept = oracles_esn.ridge(features, y[:, None], 1.0, weights)
    assert_allclose(model.coef_, coef, rtol=1e-5, atol=1e-6)
    assert_allclose(model.predict(X), (features @ coef.T + intercept)[:, 0], rtol=1e-7, atol=1e-6)


def test_several_series_are_fed_side_by_side():
    X, y = table(60, 7)
    names = ["y_lag_2", "x_lag_1", "y_lag_1", "x_lag_2", "month", "x_lag_3", "y_lag_3"]
    model = WindowESNRegressor(10, random_state=0).fit(pd.DataFrame(X, columns=names), y)
    assert_array_equal(model.window_columns_, [[6, 5], [0, 3], [2, 1]])
    features = oracle.window_features(model, X, model.window_columns_, model.offset_, model.scale_)
    coef, intercept = oracles_esn.ridge(features, y[:, None], 1.0)
    outputs = model.predict(pd.DataFrame(X, columns=names))
    assert_allclose(outputs, (features @ coef.T + intercept)[:, 0], rtol=1e-7)
    assert_allclose(model.offset_[[6, 0, 2]], X[:, [6, 0, 2]].mean())
    assert_allclose(model.offset_[4], X[:, 4].mean())


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["lag1", "lag2", "lag3"], [[2], [1], [0]]),
        (["lag_12", "lag_1", "lag_2", "temperature"], [[0], [2], [1]]),
        (["Lag 1", "LAG-2"], [[1], [0]]),
        (["y_lag_1", "y_lag_2", "x_lag_1", "x_lag_2"], [[1, 3], [0, 2]]),
        (["lag1", "lag2", "rolling_mean_lag1", "lag1_window3"], [[1], [0]]),
        (["flag1", "lagoon", "a"], None),
        (["lag1", "flag2"], [[0]]),
        ([], None),
    ],
)
def test_lags_are_read_from_names(names, columns):
    found = lag_columns(names)
    assert (found is None) == (columns is None)
    if columns is not None:
        assert_array_equal(found, columns)


def test_names_decide_the_order_whatever_the_order_of_the_columns():
    X, y = table(60, 5)
    newest = pd.DataFrame(X, columns=[f"lag_{k}" for k in range(1, 6)])
    oldest = newest[newest.columns[::-1]]
    a = WindowESNRegressor(20, random_state=0).fit(newest, y)
    b = WindowESNRegressor(20, random_state=0).fit(oldest, y)
    assert_allclose(a.predict(newest), b.predict(oldest), rtol=1e-9)
    as_array = WindowESNRegressor(20, random_state=0).fit(X, y)
    assert_allclose(as_array.predict(X), a.predict(newest), rtol=1e-12)
    flipped = WindowESNRegressor(20, window_order="oldest_first", random_state=0)
    assert_allclose(flipped.fit(X[:, ::-1], y).predict(X[:, ::-1]), a.predict(newest), rtol=1e-9)


def test_rows_are_independent_of_their_company():
    X, y = table(200)
    model = WindowESNRegressor(30, random_state=0).fit(X, y)
    whole = model.predict(X)
    order = np.random.RandomState(0).permutation(200)
    assert_allclose(model.predict(X[order]), whole[order], rtol=1e-12)
    assert_allclose([model.predict(row[None])[0] for row in X[:20]], whole[:20], rtol=1e-12)
    assert model.predict(X[:1]).shape == (1,)
    shuffled = WindowESNRegressor(30, random_state=0).fit(X[order], y[order])
    assert_allclose(shuffled.predict(X), whole, rtol=1e-8)


def test_weights_count_like_repeated_rows():
    X, y = table(60)
    counts = np.random.RandomState(1).randint(0, 4, 60)
    weighted = WindowESNRegressor(20, solver="svd", random_state=0).fit(X, y, counts)
    X_long, y_long = np.repeat(X, counts, axis=0), np.repeat(y, counts)
    repeated = WindowESNRegressor(20, solver="svd", random_state=0).fit(X_long, y_long)
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-8)


def test_the_scale_of_the_data_does_not_matter():
    X, y = table(80)
    here = WindowESNRegressor(20, random_state=0).fit(X, y)
    there = WindowESNRegressor(20, random_state=0).fit(1e6 + 1e3 * X, 5 - 2 * y)
    assert_allclose(there.predict(1e6 + 1e3 * X), 5 - 2 * here.predict(X), rtol=1e-6, atol=1e-5)


def test_constant_columns_and_windows_do_no_harm():
    X, y = table(40)
    X[:, 2] = 7.0
    model = WindowESNRegressor(10, n_window_features=2, random_state=0).fit(X, y)
    assert model.scale_[2] == 1.0
    assert np.isfinite(model.predict(X)).all()
    flat = np.full((40, 3), 1e8 / 3)
    assert_allclose(WindowESNRegressor(10, random_state=0).fit(flat, y).predict(flat), y.mean())


def test_several_targets():
    X, y = table(60)
    both = WindowESNRegressor(20, solver="svd", random_state=0).fit(X, np.column_stack([y, -y]))
    one = WindowESNRegressor(20, solver="svd", random_state=0).fit(X, y)
    assert_allclose(both.predict(X), np.column_stack([one.predict(X), -one.predict(X)]), rtol=1e-9)


def test_float32_is_kept_throughout():
    X, y = table(80)
    single = WindowESNRegressor(20, dtype="float32", random_state=0).fit(X, y)
    double = WindowESNRegressor(20, random_state=0).fit(X, y)
    assert single.predict(X).dtype == np.float32
    assert_allclose(single.predict(X), double.predict(X), rtol=1e-3, atol=1e-2)


def test_a_failed_fit_leaves_the_former_model_intact():
    X, y = table()
    model = WindowESNRegressor(20, random_state=0).fit(X, y)
    before = pickle.dumps(model)
    bad = X.copy()
    bad[3, 3] = np.nan
    for args in [(bad, y), (X, y[:-1]), (X, None)]:
        with pytest.raises(ValueError):
            model.fit(*args)
        assert pickle.dumps(model) == before
    model.predict(X)
    assert pickle.dumps(model) == before


def test_shuffled_searches_work():
    X, y = table(120)
    grid = {"alpha": [0.1, 10.0], "input_scaling": [0.1, 0.3]}
    search = GridSearchCV(
        WindowESNRegressor(20, random_state=0), grid, cv=KFold(4, shuffle=True, random_state=0)
    )
    assert search.fit(X, y).best_score_ > 0.9


def seasonal(n, seed):
    t = np.arange(n)
    noise = 1.5 * np.random.RandomState(seed).randn(n)
    return 50 + 10 * np.sin(2 * np.pi * t / 12) + 4 * np.cos(np.pi * t / 3) + 0.05 * t + noise


def recursive_error(regressor, seed, n_lags=24, horizon=24):
    """Mean absolute error of a forecast that feeds one-row predictions back, as skforecast does."""
    y = seasonal(240 + horizon, seed)
    windows = np.lib.stride_tricks.sliding_window_view(y[:240], n_lags + 1)[:, ::-1]
    regressor.fit(X=windows[:, 1:], y=windows[:, 0])
    known = list(y[:240])
    for _ in range(horizon):
        row = np.array(known[: -n_lags - 1 : -1])[None]
        known.append(float(regressor.predict(row)[0]))
    return np.abs(np.array(known[240:]) - y[240:]).mean()


def test_recursive_forecasts_of_seasonal_series_are_as_good_as_ridge():
    """Mean over six series; a noise floor of 1.2 is left to any forecast."""
    window = [recursive_error(WindowESNRegressor(random_state=0), seed) for seed in range(6)]
    linear = [recursive_error(Ridge(), seed) for seed in range(6)]
    assert np.mean(window) < 1.03 * np.mean(linear)


def test_a_nonlinear_law_is_forecast_better_than_by_ridge():
    x = [0.1, 0.2]
    for _ in range(600):
        x.append(1 - 1.4 * x[-1] ** 2 + 0.3 * x[-2])  # the Henon map
    windows = np.lib.stride_tricks.sliding_window_view(np.array(x), 5)
    X, y = windows[:, :4], windows[:, 4]
    model = WindowESNRegressor(100, window_order="oldest_first", alpha="auto", random_state=0)
    assert model.fit(X[:500], y[:500]).score(X[500:], y[500:]) > 0.999
    assert Ridge().fit(X[:500], y[:500]).score(X[500:], y[500:]) < 0.5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_units": 0}, "'n_units'"),
        ({"window_order": "random"}, "'window_order'"),
        ({"n_window_features": 0}, "'n_window_features'"),
        ({"n_window_features": 7}, "'n_window_features' .* at most the number of columns"),
        ({"leak_rate": 0.0}, "'leak_rate'"),
        ({"fit_intercept": "no"}, "'fit_intercept'"),
        ({"input_scaling": -1.0}, "'input_scaling'"),
        ({"solver": "magic"}, "'solver'"),
        ({"alpha": "best"}, "'alpha'"),
        ({"dtype": "float16"}, "'dtype'"),
    ],
)
def test_bad_parameters_are_refused_by_name(params, message):
    X, y = table()
    with pytest.raises(InvalidParameterError, match=message):
        WindowESNRegressor(**params).fit(X, y)
