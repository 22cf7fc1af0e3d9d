"""Closed-loop paths with lags, leave-one-out errors and continued fits, against plain NumPy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from echocast.exceptions import ForecastDivergedError
from echocast.reservoir import (
    ESNRegressor,
    continue_fit,
    leave_one_out_errors,
    simulate_paths,
    without_rows,
)


def lagged_rows(Y, X, lags):
    """Rows (lags of Y, then X of the same time) for the targets Y[max(lags):]."""
    first = max(lags)
    rows = [np.concatenate([Y[t - lag] for lag in lags] + [X[t]]) for t in range(first, len(Y))]
    return np.array(rows), Y[first:]


def problem(seed, n_targets, n_known, lags, **params):
    rng = np.random.RandomState(seed)
    Y = np.cumsum(rng.randn(80, n_targets), axis=0) * 0.1
    X = rng.randn(80, n_known)
    rows, targets = lagged_rows(Y, X, lags)
    esn = ESNRegressor(n_units=12, random_state=seed, alpha=1e-2, washout=5, **params)
    return esn.fit(rows, targets), Y, rng


def oracle_path(esn, state, past, known, innovations, lags, bounds):
    """One path, one step at a time, from the definition."""
    past, W = [row.copy() for row in past], esn.W_
    W = W.toarray() if hasattr(W, "toarray") else W
    for t in range(len(known)):
        u = np.concatenate([past[len(past) - lag] for lag in lags] + [known[t]])
        state = (1 - esn.leak_rate) * state + esn.leak_rate * np.tanh(
            W.dot(state) + esn.W_in_.dot(u) + esn.b_
        )
        features = np.concatenate([state, u]) if esn.include_input else state
        y = esn.coef_.dot(features) + esn.intercept_ + innovations[t]
        past.append(np.minimum(np.maximum(y, bounds[0]), bounds[1]))
    return np.array(past[-len(known) :])


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 99),
    n_targets=st.integers(1, 3),
    n_known=st.integers(0, 2),
    n_paths=st.integers(1, 4),
    lags=st.sampled_from([(1,), (1, 2, 3), (1, 4), (2, 5)]),
    include_input=st.booleans(),
)
def test_paths_equal_the_oracle(seed, n_targets, n_known, n_paths, lags, include_input):
    esn, Y, rng = problem(
        seed, n_targets, n_known, lags, include_input=include_input, leak_rate=0.7
    )
    known = rng.randn(9, n_known)
    innovations = rng.randn(9, n_targets, n_paths) * 0.1
    states = rng.uniform(-1, 1, (12, n_paths))
    bounds = (np.full(n_targets, -0.8), np.full(n_targets, 0.9))
    paths = simulate_paths(
        esn,
        9,
        history=Y,
        lags=lags,
        state=states,
        X=known,
        innovations=innovations,
        bounds=bounds,
    )
    assert paths.shape == (9, n_targets, n_paths)
    for m in range(n_paths):
        expected = oracle_path(
            esn, states[:, m], list(Y), known, innovations[:, :, m], lags, bounds
        )
        assert_allclose(paths[:, :, m], expected, rtol=1e-10, atol=1e-12)


def test_each_path_may_have_its_own_history_and_known_columns():
    esn, Y, rng = problem(3, 1, 1, (1, 2))
    histories = np.stack([Y[:40], Y[40:]], axis=2)
    known = rng.randn(6, 1, 2)
    states = rng.uniform(-1, 1, (12, 2))
    both = simulate_paths(esn, 6, history=histories, lags=(1, 2), state=states, X=known)
    for m in range(2):
        alone = simulate_paths(
            esn,
            6,
            history=histories[:, :, m],
            lags=(1, 2),
            state=states[:, m],
            X=known[:, :, m],
        )
        assert_allclose(both[:, :, [m]], alone, rtol=1e-12, atol=1e-14)


def test_the_default_state_is_where_the_fit_ended():
    u = np.random.RandomState(0).randn(60, 2)
    esn = ESNRegressor(n_units=10, alpha=1e-1, random_state=0).fit(u[:-1], u[1:])
    assert_allclose(simulate_paths(esn, 5, history=u)[:, :, 0], esn.generate(5), rtol=1e-10)


def test_wrong_shapes_are_refused_by_name():
    esn, Y, _ = problem(0, 1, 1, (1, 2))
    known = np.zeros((4, 1))
    with pytest.raises(ValueError, match="`history` must have 1 columns and at least 2 rows"):
        simulate_paths(esn, 4, history=Y[:1], lags=(1, 2), X=known)
    with pytest.raises(ValueError, match="Lags and known columns make 2 inputs over 4 steps"):
        simulate_paths(esn, 4, history=Y, lags=(1,), X=known)
    with pytest.raises(ValueError, match="numbers of paths differ"):
        simulate_paths(
            esn, 4, history=Y, lags=(1, 2), X=known, state=np.zeros((12, 3)),
            innovations=np.zeros((4, 1, 2)),
        )  # fmt: skip
    fed_back = ESNRegressor(n_units=10, feedback_scaling=0.1, random_state=0).fit(Y[:-1], Y[1:])
    with pytest.raises(ValueError, match="feedback_scaling=0"):
        simulate_paths(fed_back, 2, history=Y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lags": (0, 2)}, "`lags` must be ints >= 1"),
        ({"lags": ()}, "`lags` must be ints >= 1"),
        ({"state": np.zeros(5)}, "`state` must have 12 units, got 5"),
        ({"innovations": np.zeros((3, 1, 2))}, r"`innovations` must have shape \(4, 1, n_paths\)"),
        ({"innovations": np.zeros((4, 2))}, "`innovations` must have shape"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_by_name(arguments, message):
    esn, Y, _ = problem(0, 1, 0, (1, 2))
    with pytest.raises(ValueError, match=message):
        simulate_paths(esn, 4, **({"history": Y, "lags": (1, 2)} | arguments))


def test_no_rows_have_no_leave_one_out_errors():
    u = np.random.RandomState(0).randn(40, 1)
    esn = ESNRegressor(5, alpha=1.0, random_state=0).fit(u[:-1], u[1:])
    assert leave_one_out_errors(esn, u[:-1], u[1:], n_last=0).shape == (0, 1)


def test_paths_of_a_fit_on_several_sequences_need_a_state():
    u = np.random.RandomState(1).randn(100, 2)
    esn = ESNRegressor(n_units=15, random_state=0).fit(u, u, groups=np.repeat(["a", "b"], 50))
    with pytest.raises(ValueError, match="several sequences: pass `state`"):
        simulate_paths(esn, 3, history=u)
    assert simulate_paths(esn, 3, history=u, state=esn.state_["b"]).shape == (3, 2, 1)


def test_a_path_that_explodes_is_an_error():
    u = np.random.RandomState(0).randn(60, 1)
    esn = ESNRegressor(n_units=10, random_state=0).fit(u[:-1], u[1:])
    esn.coef_ = esn.coef_ * 0 + 1e200
    with pytest.raises(ForecastDivergedError, match="non-finite at step"):
        simulate_paths(esn, 50, history=u)


@pytest.mark.parametrize("include_input", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_leave_one_out_errors_equal_refits(include_input, fit_intercept):
    rng = np.random.RandomState(1)
    u = rng.randn(40, 1) + 2
    esn = ESNRegressor(
        n_units=8,
        alpha=0.3,
        washout=6,
        include_input=include_input,
        fit_intercept=fit_intercept,
        random_state=0,
    ).fit(u[:-1], u[1:])
    errors = leave_one_out_errors(esn, u[:-1], u[1:], washout=6)
    assert errors.shape == (33, 1)
    weights = np.ones(39)
    for row in (6, 20, 38):
        weights[:] = 1
        weights[row] = 0
        other = ESNRegressor(**esn.get_params()).fit(u[:-1], u[1:], sample_weight=weights)
        expected = u[row + 1] - other.predict(u[:-1])[row]
        assert_allclose(errors[row - 6], expected, rtol=1e-8)
    last = leave_one_out_errors(esn, u[:-1], u[1:], washout=6, n_last=5)
    assert_array_equal(last, errors[-5:])


def test_leave_one_out_errors_do_not_depend_on_chunks(monkeypatch):
    u = np.random.RandomState(1).randn(300, 2)
    esn = ESNRegressor(n_units=15, alpha=1e-3, washout=20, random_state=0).fit(u[:-1], u[1:])
    whole = leave_one_out_errors(esn, u[:-1], u[1:], washout=20)
    monkeypatch.setattr("echocast.reservoir._drive.BLOCK_BYTES", 37 * 15 * 8)
    parts = leave_one_out_errors(esn, u[:-1], u[1:], washout=20)
    assert_allclose(parts, whole, rtol=1e-9)


def test_leave_one_out_errors_of_a_fit_on_a_frame_raise_no_warning():
    u = np.random.RandomState(1).randn(100, 2)
    esn = ESNRegressor(n_units=15, alpha=1e-3, washout=20, random_state=0)
    plain = leave_one_out_errors(esn.fit(u[:-1], u[1:]), u[:-1], u[1:], washout=20)
    named = pd.DataFrame(u[:-1], columns=["a", "b"])
    assert_array_equal(leave_one_out_errors(esn.fit(named, u[1:]), named, u[1:], washout=20), plain)


def test_leave_one_out_errors_stay_finite_where_the_readout_interpolates():
    u = np.sin(0.3 * np.arange(60))[:, None]
    esn = ESNRegressor(n_units=80, alpha=1e-14, washout=0, random_state=0).fit(u[:-1], u[1:])
    assert np.isfinite(leave_one_out_errors(esn, u[:-1], u[1:], washout=0)).all()


def test_continue_fit_starts_from_the_given_state():
    u = np.random.RandomState(2).randn(200, 1)
    settings_ = {"n_units": 15, "alpha": 1e-2, "washout": 10, "random_state": 0}
    half = ESNRegressor(**settings_).fit(u[:100], u[1:101])
    before = half.coef_.copy()
    whole = ESNRegressor(**settings_).fit(u[:-1], u[1:])
    longer = continue_fit(half, u[100:-1], u[101:], state=half.state_)
    assert_allclose(longer.coef_, whole.coef_, rtol=1e-6, atol=1e-9)
    assert_array_equal(half.coef_, before)
    skipped = half.transform(u[100:120], initial_state=half.state_)[-1]
    elsewhere = continue_fit(half, u[120:-1], u[121:], state=skipped)
    assert_allclose(elsewhere.state_, whole.state_, rtol=1e-10)


def test_without_rows_keeps_the_statistics_alone():
    u = np.random.RandomState(2).randn(300, 1)
    esn = ESNRegressor(n_units=15, alpha=1e-2, washout=10, random_state=0).fit(u[:200], u[1:201])
    bare = without_rows(esn)
    assert bare._fit_factor._buffer.n_pending == 0
    assert esn._fit_factor._buffer.n_pending > 0
    assert bare._fit_factor.n_samples == esn._fit_factor.n_samples
    more = [model.partial_fit(u[200:-1], u[201:]) for model in (bare, esn)]
    assert_allclose(more[0].coef_, more[1].coef_, rtol=1e-8, atol=1e-12)


def test_leave_one_out_errors_of_a_weighted_fit():
    u = np.random.RandomState(2).randn(40, 1) + 2
    weights = np.random.RandomState(3).randint(0, 3, 39).astype(float)
    weights[20] = 1.5
    esn = ESNRegressor(n_units=8, alpha=0.3, washout=6, random_state=0)
    esn.fit(u[:-1], u[1:], sample_weight=weights)
    errors = leave_one_out_errors(esn, u[:-1], u[1:], washout=6, sample_weight=weights)
    for row in (20, int(np.argmin(weights[6:])) + 6):
        without = weights.copy()
        without[row] = 0
        other = ESNRegressor(**esn.get_params()).fit(u[:-1], u[1:], sample_weight=without)
        expected = u[row + 1] - other.predict(u[:-1])[row]
        assert_allclose(errors[row - 6], expected, rtol=1e-8)
