"""ESNRegressor against a plain NumPy network, and the laws of state and time."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

import oracles_esn as oracle
from echocast.reservoir import ESNRegressor
from esn_cases import make, oracle_fit, series


@given(
    seed=st.integers(0, 99),
    n_units=st.integers(1, 30),
    leak_rate=st.floats(0.1, 1.0),
    include_input=st.booleans(),
    solver=st.sampled_from(["auto", "cholesky", "qr", "svd"]),
)
@settings(max_examples=30, deadline=None)
def test_fit_and_predict_equal_the_oracle(seed, n_units, leak_rate, include_input, solver):
    u = series(120, seed)
    X, Y = u[:-1], u[1:]
    esn = make(
        n_units=n_units,
        leak_rate=leak_rate,
        include_input=include_input,
        solver=solver,
        random_state=seed,
    ).fit(X, Y)
    features, (coef, intercept) = oracle_fit(esn, X, Y)
    assert_allclose(esn.coef_, coef, rtol=1e-6, atol=1e-8)
    assert_allclose(esn.intercept_, intercept, rtol=1e-6, atol=1e-8)
    assert_allclose(esn.predict(X), features @ coef.T + intercept, rtol=1e-7, atol=1e-8)
    assert_allclose(esn.transform(X), features[:, :n_units], rtol=1e-12, atol=1e-12)


def test_feedback_is_teacher_forced_in_fit_and_own_output_in_predict():
    u = series(200)
    X, Y = u[:-1], u[1:]
    esn = make(feedback_scaling=0.4).fit(X, Y)
    teacher = np.vstack([np.zeros((1, 2)), Y[:-1]])
    _, (coef, intercept) = oracle_fit(esn, X, Y, teacher=teacher)
    assert_allclose(esn.coef_, coef, rtol=1e-6, atol=1e-8)

    x, y, W = np.zeros(40), np.zeros(2), esn.W_.toarray()
    own = []
    for row in X:
        x = np.tanh(W @ x + esn.W_in_ @ row + esn.b_ + esn.W_fb_ @ y)
        y = coef @ np.concatenate([x, row]) + intercept
        own.append(y)
    assert_allclose(esn.predict(X), own, rtol=1e-6, atol=1e-7)


def test_generate_continues_the_training_series():
    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    S = oracle.states(esn.W_in_, esn.W_, esn.b_, 1.0, u[:-1])
    expected = oracle.closed_loop(
        esn.W_in_, esn.W_, esn.b_, 1.0, esn.coef_, esn.intercept_, S[-1], u[-1], 30
    )
    assert_allclose(esn.generate(30), expected, rtol=1e-9, atol=1e-9)


def test_generate_after_a_warmup_starts_with_its_last_prediction():
    u = series(300)
    esn = make(feedback_scaling=0.0).fit(u[:-1], u[1:])
    out = esn.generate(12, warmup=u[50:120])
    assert_allclose(out[0], esn.predict(u[50:120])[-1], rtol=1e-12)
    x = oracle.states(esn.W_in_, esn.W_, esn.b_, 1.0, u[50:120])[-1]
    rest = oracle.closed_loop(
        esn.W_in_, esn.W_, esn.b_, 1.0, esn.coef_, esn.intercept_, x, out[0], 11
    )
    assert_allclose(out[1:], rest, rtol=1e-9, atol=1e-9)


def test_generate_of_a_panel_asks_where_to_start():
    parts = [series(80, 1), series(90, 2)]
    esn = make().fit([p[:-1] for p in parts], [p[1:] for p in parts])
    with pytest.raises(ValueError, match="fitted on several sequences"):
        esn.generate(3)
    assert_allclose(esn.generate(3, warmup=parts[1])[0], esn.predict(parts[1])[-1], rtol=1e-9)


def test_generate_from_an_initial_state_uses_the_last_output_of_fit():
    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    assert_array_equal(esn.generate(5, initial_state=esn.state_), esn.generate(5))
    assert_array_equal(esn.last_output_, u[-1])


def test_a_pattern_generator_with_constant_input_runs_on_its_feedback():
    y = np.sin(0.2 * np.arange(600))
    X = np.ones((600, 1))
    esn = ESNRegressor(
        n_units=60, feedback_scaling=0.8, input_scaling=0.2, alpha=1e-8, random_state=0
    ).fit(X, y)
    expected = np.sin(0.2 * np.arange(600, 650))
    assert_allclose(esn.generate(50)[:, 0], expected, atol=1e-2)


def test_generate_refuses_outputs_that_cannot_be_inputs():
    u = series(100)
    esn = make().fit(u, u[:, 0])
    with pytest.raises(ValueError, match="1 target\\(s\\) and 2 feature\\(s\\)"):
        esn.generate(3)


def test_increment_target_shrinks_towards_persistence():
    u = series(200)
    esn = make(target="increment", alpha=1e12).fit(u[:-1], u[1:])
    drift = np.diff(u, axis=0)[20:].mean(axis=0)
    assert_allclose(esn.predict(u[:-1]), u[:-1] + drift, atol=1e-4)
    near_zero = make(target="increment", alpha=1e-9).fit(u[:-1], u[1:])
    plain = make(target="value", alpha=1e-9).fit(u[:-1], u[1:])
    assert_allclose(near_zero.predict(u[:-1]), plain.predict(u[:-1]), atol=1e-4)


def test_alpha_candidates_are_chosen_by_leave_one_out():
    u = series(200)
    candidates = np.logspace(-6, 2, 9)
    esn = make(alpha=candidates).fit(u[:-1], u[1:])
    assert esn.alpha_ in candidates
    assert esn.loo_errors_.shape == (9, 2)
    fixed = make(alpha=esn.alpha_).fit(u[:-1], u[1:])
    assert_allclose(esn.predict(u), fixed.predict(u), rtol=1e-6, atol=1e-7)


def test_predict_does_not_see_the_future():
    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    poisoned = u.copy()
    poisoned[150:] = 1e9
    assert_array_equal(esn.predict(u)[:150], esn.predict(poisoned)[:150])
    assert_array_equal(esn.transform(u)[:150], esn.transform(poisoned)[:150])


def test_predict_writes_nothing_and_repeats_itself():
    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    before = pickle.dumps(esn)
    first = esn.predict(u)
    esn.generate(10)
    esn.stream().step(u[0])
    assert_array_equal(esn.predict(u), first)
    assert pickle.dumps(esn) == before


def test_state_passes_from_one_chunk_to_the_next():
    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    whole = esn.transform(u)
    head = esn.transform(u[:130])
    tail = esn.transform(u[130:], initial_state=head[-1])
    assert_allclose(np.vstack([head, tail]), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(300),
        pd.date_range("2020-01-01", periods=300, freq="D"),
        pd.period_range("2020-01", periods=300, freq="M"),
        pd.date_range("2020-03-28", periods=300, freq="h", tz="Europe/Berlin"),
        pd.Index(np.arange(0, 600, 2)),
    ],
    ids=["range", "daily", "period", "berlin", "integers"],
)
def test_auto_state_continues_only_one_step_after_the_end_of_fit(index):
    frame = pd.DataFrame(series(300), index=index, columns=["a", "b"])
    esn = make().fit(frame.iloc[:199], frame.to_numpy()[1:200])
    carried = make(predict_state="continue").fit(frame.iloc[:199], frame.to_numpy()[1:200])
    reset = make(predict_state="reset").fit(frame.iloc[:199], frame.to_numpy()[1:200])
    after, later = frame.iloc[199:240], frame.iloc[203:240]
    assert_array_equal(esn.predict(after), carried.predict(after))
    assert not np.allclose(esn.predict(after), reset.predict(after))
    assert_array_equal(esn.predict(later), reset.predict(later))
    assert_array_equal(esn.predict(frame), reset.predict(frame))


def test_auto_state_continues_an_index_of_fractions():
    u, index = series(300), pd.Index(0.1 * np.arange(300))
    assert index[200] != index[199] + (index[199] - index[198])
    frame = pd.DataFrame(u, index=index, columns=["a", "b"])
    esn = make().fit(frame.iloc[:200], u[:200])
    assert_allclose(esn.predict(frame.iloc[200:]), esn.predict(frame)[200:], rtol=1e-9, atol=1e-12)
    assert np.abs(esn.predict(frame.iloc[201:]) - esn.predict(frame)[201:]).max() > 1e-6


def test_stream_equals_predict():
    u = series(300)
    esn = make(predict_state="continue").fit(u[:199], u[1:200])
    runner = esn.stream()
    outputs = [runner.predict_one(row) for row in u[199:260]]
    assert_allclose(outputs, esn.predict(u[199:260]), rtol=1e-9, atol=1e-9)
    assert_allclose(runner.state, esn.transform(u[199:260])[-1], rtol=1e-12, atol=1e-12)


def test_partial_fit_equals_fit_for_an_integer_washout():
    u = series(400)
    X, Y = u[:-1], u[1:]
    whole = make(solver="svd").fit(X, Y)
    parts = make(solver="svd")
    for a, b in [(0, 13), (13, 150), (150, 151), (151, 399)]:
        parts.partial_fit(X[a:b], Y[a:b])
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-8, atol=1e-9)
    assert_allclose(parts.state_, whole.state_, rtol=1e-12, atol=1e-12)
    assert_allclose(parts.generate(5), whole.generate(5), rtol=1e-7)


def test_partial_fit_within_the_washout_is_not_yet_fitted():
    u = series(50)
    esn = make(washout=100).partial_fit(u[:-1], u[1:])
    with pytest.raises(NotFittedError, match="no row that it could train on"):
        esn.predict(u)


def test_partial_fit_of_a_panel_continues_known_series():
    u, v = series(200, 1), series(180, 2)
    frame = pd.concat(
        {"u": pd.DataFrame(u, columns=["a", "b"]), "v": pd.DataFrame(v, columns=["a", "b"])}
    )
    y = frame.groupby(level=0).shift(-1).fillna(0.0)
    early = frame.index.get_level_values(1) < 120
    whole = make(solver="qr").fit(frame, y)
    parts = (
        make(solver="qr").partial_fit(frame[early], y[early]).partial_fit(frame[~early], y[~early])
    )
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-8, atol=1e-9)
    assert_allclose(parts.state_["v"], whole.state_["v"], rtol=1e-12)


@pytest.mark.parametrize("params", [{}, {"feedback_scaling": 0.1}], ids=["plain", "feedback"])
def test_a_series_that_a_chunk_of_a_panel_lacks_is_not_forgotten(params):
    u = series(241, 1)
    X, Y = u[:-1], u[1:]
    parts = make(predict_state="continue", washout=5, solver="qr", **params)
    for a, b, label in [(0, 60, "a"), (120, 180, "b"), (180, 240, "b"), (60, 119, "a")]:
        parts.partial_fit(X[a:b], Y[a:b], groups=[label] * (b - a))
    whole = make(predict_state="continue", washout=5, solver="qr", **params)
    rows = np.r_[0:119, 120:240]
    labels = np.where(rows < 119, "a", "b")
    whole.fit(X[rows], Y[rows], groups=labels)
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-8, atol=1e-9)
    for label in "ab":
        assert_allclose(parts.state_[label], whole.state_[label], rtol=1e-12)
        assert_array_equal(parts.last_output_[label], whole.last_output_[label])
        later = {"X": X[:9], "groups": [label] * 9}
        assert_allclose(parts.predict(**later), whole.predict(**later), rtol=1e-7, atol=1e-8)


def test_partial_fit_goes_on_with_the_noise_of_fit():
    u = series(300)
    X, Y = u[:-1], u[1:]
    whole = make(noise=0.1, solver="qr").fit(X, Y)
    parts = make(noise=0.1, solver="qr").partial_fit(X[:150], Y[:150])
    half = copy.deepcopy(parts)
    parts.partial_fit(X[150:], Y[150:])
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-8, atol=1e-9)
    assert_allclose(half.partial_fit(X[150:], Y[150:]).coef_, parts.coef_, rtol=1e-12)


def test_inputs_that_change_between_chunks_are_not_constant():
    y = np.sin(0.2 * np.arange(200))[:, None]
    esn = make(feedback_scaling=0.5, washout=5)
    esn.partial_fit(np.zeros((100, 2)), y[:100]).partial_fit(np.ones((100, 2)), y[100:])
    with pytest.raises(ValueError, match="feeds outputs back as inputs"):
        esn.generate(5)
