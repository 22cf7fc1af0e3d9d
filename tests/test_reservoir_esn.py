"""ESNRegressor against a plain NumPy network, and the laws of state, time and failure."""

import copy
import pickle
import threading
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import oracles_esn as oracle
from echocast.exceptions import (
    EchocastWarning,
    ForecastDivergedError,
    ForecastDivergenceWarning,
    InvalidParameterError,
)
from echocast.reservoir import ESNRegressor


def series(n=400, seed=0, n_features=2):
    """A smooth quasi-periodic system plus a little noise; columns of unit size."""
    t = np.arange(n)[:, None]
    rng = np.random.RandomState(seed)
    phases = rng.uniform(0, 6, size=(1, n_features))
    waves = np.sin(0.11 * t + phases) + 0.5 * np.cos(0.23 * t * (1 + np.arange(n_features)))
    return waves + 0.01 * rng.randn(n, n_features)


def make(**params):
    defaults = {"n_units": 40, "random_state": 0, "washout": 20, "alpha": 1e-3}
    return ESNRegressor(**{**defaults, **params})


def oracle_fit(esn, X, Y, washout=20, teacher=None):
    """Readout of the oracle with the weights that the estimator drew."""
    S = oracle.states(esn.W_in_, esn.W_, esn.b_, esn.leak_rate, X, W_fb=esn.W_fb_, teacher=teacher)
    features = np.hstack([S, X]) if esn.include_input else S
    return features, oracle.ridge(features[washout:], Y[washout:], esn.alpha_)


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


# ------------------------------------------------------------------ time and state


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
    esn = make().fit(frame[:200], u[:200])
    assert_allclose(esn.predict(frame[200:]), esn.predict(frame)[200:], rtol=1e-9, atol=1e-12)
    assert np.abs(esn.predict(frame[201:]) - esn.predict(frame)[201:]).max() > 1e-6


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


# ------------------------------------------------------------------ many sequences


def panel(lengths=(60, 45, 60, 80)):
    return [series(n, seed) for seed, n in enumerate(lengths)]


def test_every_form_of_several_sequences_gives_the_same_model():
    parts = panel((60, 60, 60))
    X, Y = [p[:-1] for p in parts], [p[1:] for p in parts]
    listed = make().fit(X, Y)
    cube = make().fit(np.stack(X), np.stack(Y))
    frame = pd.concat({i: pd.DataFrame(x, columns=["a", "b"]) for i, x in enumerate(X)})
    indexed = make().fit(frame, np.vstack(Y))
    labels = np.repeat([5, 3, 9], 59)
    grouped = make().fit(np.vstack(X), np.vstack(Y), groups=labels)
    for other in (cube, indexed, grouped):
        assert_allclose(other.coef_, listed.coef_, rtol=1e-9, atol=1e-10)
    assert isinstance(listed.predict(X), list)
    assert cube.predict(np.stack(X)).shape == (3, 59, 2)
    assert_allclose(np.stack(listed.predict(X)), cube.predict(np.stack(X)), rtol=1e-9, atol=1e-10)
    assert_allclose(indexed.predict(frame), np.vstack(listed.predict(X)), rtol=1e-9, atol=1e-10)
    assert listed.state_.shape == (3, 40)
    assert set(grouped.state_) == {3, 5, 9}
    assert_allclose(grouped.state_[3], listed.state_[1], rtol=1e-12, atol=1e-12)


def test_sequences_are_independent_of_their_company():
    parts = panel()
    esn = make(washout=5).fit([p[:-1] for p in parts], [p[1:] for p in parts])
    together = esn.predict(parts)
    for part, out in zip(parts, together):
        assert_allclose(esn.predict(part), out, rtol=1e-11, atol=1e-11)
    backwards = esn.predict(parts[::-1])[::-1]
    for a, b in zip(together, backwards):
        assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("topology", ["random", "shift", "dense"])
@pytest.mark.parametrize("n_jobs", [2, 3, -1])
def test_threads_do_not_change_a_bit(topology, n_jobs):
    parts = panel([30, 90, 31, 60, 44, 33, 80, 1, 30, 2, 36])
    esn = make(topology=topology, washout=0).fit(parts, parts)
    outputs, states = esn.predict(parts), esn.transform(parts)
    esn.set_params(n_jobs=n_jobs)
    for one, other in zip(outputs + states, esn.predict(parts) + esn.transform(parts)):
        assert_array_equal(one, other)


def test_several_sequences_run_on_several_threads():
    threads = set()

    def slow_tanh(z):
        threads.add(threading.get_ident())
        time.sleep(1e-4)
        return np.tanh(z)

    parts = panel([60, 20, 60, 20])
    esn = make(activation=slow_tanh, washout=0, n_jobs=2).fit(parts, parts)
    threads.clear()
    esn.predict(parts)
    assert len(threads) == 2


def test_the_oracle_fit_of_ragged_sequences():
    parts = panel()
    X, Y = [p[:-1] for p in parts], [p[1:] for p in parts]
    esn = make(washout=7).fit(X, Y)
    features = [np.hstack([oracle.states(esn.W_in_, esn.W_, esn.b_, 1.0, x), x])[7:] for x in X]
    coef, intercept = oracle.ridge(np.vstack(features), np.vstack([y[7:] for y in Y]), 1e-3)
    assert_allclose(esn.coef_, coef, rtol=1e-6, atol=1e-8)
    assert_allclose(esn.intercept_, intercept, rtol=1e-6, atol=1e-8)


def test_interleaved_groups_come_back_in_the_order_of_the_rows():
    a, b = series(50, 1), series(50, 2)
    X = np.empty((100, 2))
    X[::2], X[1::2] = a, b
    groups = np.array(["a", "b"] * 50)
    esn = make(washout=5).fit(X, X, groups=groups)
    states = esn.transform(X, groups=groups)
    assert_allclose(states[::2], esn.transform(a), rtol=1e-11, atol=1e-12)
    assert_allclose(states[1::2], esn.transform(b), rtol=1e-11, atol=1e-12)


def test_one_dimensional_targets_come_back_one_dimensional():
    parts = panel((60, 45))
    esn = make(washout=5).fit(parts, [p[:, 0] for p in parts])
    assert esn.coef_.shape == (1, 42)
    assert [out.shape for out in esn.predict(parts)] == [(60,), (45,)]


def test_sample_weight_zero_leaves_a_row_out_of_the_readout_only():
    u = series(200)
    X, Y = u[:-1], u[1:].copy()
    weights = np.ones(199)
    weights[100:120] = 0
    Y_bad = Y.copy()
    Y_bad[100:120] = 1e3
    clean = make(solver="svd").fit(X, Y, sample_weight=weights)
    dirty = make(solver="svd").fit(X, Y_bad, sample_weight=weights)
    assert_allclose(dirty.coef_, clean.coef_, rtol=1e-7, atol=1e-8)


# ------------------------------------------------------------------ seeds, precision, failure


def test_a_seed_fixes_every_bit_and_leaves_the_global_stream_alone():
    u = series(200)
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b = make(noise=0.01).fit(u[:-1], u[1:]), make(noise=0.01).fit(u[:-1], u[1:])
    assert_array_equal(a.coef_, b.coef_)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not np.allclose(make(noise=0.01, random_state=1).fit(u[:-1], u[1:]).W_in_, a.W_in_)


@pytest.mark.parametrize(
    "random_state",
    [7, np.random.RandomState(7), np.random.default_rng(7), np.random.SeedSequence(7)],
)
def test_every_kind_of_seed_is_accepted(random_state):
    u = series(80)
    assert make(random_state=copy.deepcopy(random_state)).fit(u[:-1], u[1:]).coef_.shape == (2, 42)


def test_float32_is_kept_throughout():
    u = series(300)
    single = make(dtype="float32").fit(u[:-1], u[1:])
    double = make().fit(u[:-1], u[1:])
    assert single.predict(u).dtype == np.float32
    assert single.W_in_.dtype == np.float32
    assert_allclose(single.predict(u), double.predict(u), atol=2e-3)


def test_noise_acts_in_fit_only():
    u = series(300)
    esn = make(noise=0.1).fit(u[:-1], u[1:])
    assert_array_equal(esn.predict(u), esn.predict(u))
    quiet = make().fit(u[:-1], u[1:])
    assert_array_equal(esn.transform(u), quiet.transform(u))
    assert np.linalg.norm(esn.coef_) < np.linalg.norm(quiet.coef_)


def test_a_failed_fit_leaves_the_former_model_intact():
    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    before = esn.predict(u)
    bad = u.copy()
    bad[70] = np.nan
    for X, y in [(bad[:-1], u[1:]), (u[:-1], bad[1:]), (u[:5], u[:5])]:
        with pytest.raises(ValueError):
            esn.fit(X, y)
        assert_array_equal(esn.predict(u), before)
    esn.set_params(leak_rate=3.0)
    with pytest.raises(InvalidParameterError, match="leak_rate"):
        esn.partial_fit(u[:-1], u[1:])
    assert_array_equal(esn.predict(u), before)


def test_an_interrupted_fit_leaves_the_former_model_intact(monkeypatch):
    from echocast.reservoir import _readout

    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    before = esn.predict(u)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_readout, "fit_readout", interrupt)
    with pytest.raises(KeyboardInterrupt):
        esn.set_params(random_state=9).fit(u[:-1], u[1:])
    assert_array_equal(esn.predict(u), before)


def test_refitting_forgets_names_and_states_of_the_former_data():
    frame = pd.DataFrame(series(100), columns=["a", "b"])
    esn = make().fit(frame, frame)
    assert list(esn.feature_names_in_) == ["a", "b"]
    esn.fit(frame.to_numpy(), frame.to_numpy())
    assert not hasattr(esn, "feature_names_in_")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_units": 0}, "'n_units' parameter of ESNRegressor must be an int in the range"),
        ({"n_units": 2.5}, "'n_units'"),
        ({"spectral_radius": -0.1}, "'spectral_radius'"),
        ({"leak_rate": 0.0}, "'leak_rate'"),
        ({"leak_rate": 1.5}, "'leak_rate'"),
        ({"alpha": -1.0}, "'alpha'"),
        ({"alpha": "best"}, "'alpha'"),
        ({"washout": -5}, "'washout'"),
        ({"washout": 2.5}, "'washout'"),
        ({"solver": "magic"}, "'solver'"),
        ({"topology": "moebius"}, "'topology'"),
        ({"activation": "moebius"}, "'activation'"),
        ({"connectivity": 0}, "'connectivity'"),
        ({"connectivity": 1.5}, "'connectivity'"),
        ({"dtype": "float16"}, "'dtype'"),
        ({"noise": -1}, "'noise'"),
        ({"input_scaling": np.nan}, "'input_scaling'"),
        ({"predict_state": "maybe"}, "'predict_state'"),
        ({"random_state": "a"}, "cannot be used to seed"),
        ({"n_jobs": 0}, "'n_jobs'"),
        ({"target": "derivative"}, "'target'"),
        ({"feedback_scaling": -1}, "'feedback_scaling'"),
        ({"fit_intercept": "no"}, "'fit_intercept' parameter of ESNRegressor must be a bool"),
        ({"include_input": "no"}, "'include_input'"),
        ({"dtype": None}, "'dtype'"),
    ],
)
def test_bad_parameters_are_refused_in_fit_by_name(params, message):
    u = series(60)
    esn = make(**params)
    with pytest.raises(ValueError, match=message):
        esn.fit(u[:-1], u[1:])


def test_a_washout_that_leaves_no_row_is_named():
    with pytest.raises(ValueError, match=r"washout=50 leaves no sample of a sequence of 30 \(seq"):
        make(washout=50).fit(panel((80, 30)), panel((80, 30)))


def with_value(a, value, row=7):
    a = a.astype(np.asarray(value).dtype if np.iscomplexobj(value) else float)
    a[row, 1] = value
    return a


FRAME = pd.DataFrame(series(60), columns=["load", "heat"])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (
            with_value(series(60), np.nan),
            series(60),
            r"X contains NaN.*\n.*1 value, first at row",
        ),
        (with_value(series(60), -np.inf), series(60), "X contains infinity.* row 7, column 1"),
        (
            pd.DataFrame(with_value(series(60), np.nan), columns=["load", "heat"]),
            series(60),
            "1 value, first at row 7, column 'heat'",
        ),
        (
            [series(60), with_value(series(60), np.nan)],
            [series(60)] * 2,
            "first at step 7 of sequence 1, column 1",
        ),
        (series(60), with_value(series(60), np.nan), "Input y contains NaN"),
        (with_value(series(60), 1j), series(60), "Complex data not supported: X has dtype complex"),
        (series(60).astype(str), series(60), "could not convert string to float: X holds"),
        (series(60), series(60).astype(str).astype(object), "could not convert string.*: y holds"),
        (FRAME.astype({"heat": str}), series(60), "column 'heat' of X holds strings"),
        (
            FRAME.assign(day=pd.date_range("2020", periods=60)),
            series(60),
            "column 'day' of X has dtype datetime64",
        ),
        (series(60), pd.Series(pd.date_range("2020", periods=60)), "y has dtype datetime64"),
        (series(60), series(60)[:, 0].astype("m8[s]"), "y has dtype timedelta64"),
        (series(60)[:, 0], series(60), r"got 1D array of shape \(60,\) instead. Reshape your data"),
        (series(60), 1.0, "y must be 1-D or 2-D, got a single value"),
        ([series(60), None], [series(60)] * 2, "Sequence 1 passed to ESNRegressor .* got None"),
        ([series(60), series(60)[:, 0]], [series(60)] * 2, r"Sequence 1 .* got shape \(60,\)"),
    ],
)
def test_bad_data_are_refused_and_located(X, y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (np.zeros(3), r"must have shape \(40,\)"),
        (np.full(40, np.nan), "contains NaN"),
        (np.zeros(40) * 1j, "real numbers, got dtype complex128"),
        ("a", "real numbers"),
        ({"a": np.zeros(40)}, "dict for a panel"),
        ([np.zeros(40), np.zeros(3)], "states of one shape"),
    ],
)
def test_bad_states_are_refused(state, message):
    u = series(60)
    with pytest.raises(ValueError, match=message):
        make().fit(u[:-1], u[1:]).predict(u, initial_state=state)


def test_a_misspelt_predict_state_is_refused_after_fit_too():
    u = series(60)
    esn = make().fit(u[:-1], u[1:]).set_params(predict_state="contineu")
    with pytest.raises(InvalidParameterError, match="'predict_state'"):
        esn.predict(u)


def test_an_empty_sequence_of_a_list_is_named():
    with pytest.raises(ValueError, match="Sequence 1 of X has no steps"):
        make().fit([series(60), series(0)], [series(60), series(0)])


def test_frames_of_a_list_need_the_same_columns():
    frames = [pd.DataFrame(series(60), columns=names) for names in (["a", "b"], ["a", "c"])]
    with pytest.raises(
        ValueError, match=r"Sequence 1 passed to ESNRegressor has columns \['a', 'c'"
    ):
        make().fit(frames, [series(60)] * 2)
    swapped = [frames[0], frames[0][["b", "a"]]]
    esn = make().fit(swapped, [series(60)] * 2)
    assert_array_equal(esn.predict(swapped)[0], esn.predict(swapped)[1])


def test_a_shuffled_index_warns():
    frame = pd.DataFrame(series(60), columns=["a", "b"])
    with pytest.warns(EchocastWarning, match="not increasing"):
        make().fit(frame.sample(frac=1, random_state=0), frame.to_numpy())


def test_a_diverging_loop_is_reported():
    u = series(200)
    esn = make().fit(u[:-1], u[1:])
    esn.coef_ = esn.coef_ * 40
    with pytest.warns(ForecastDivergenceWarning, match="leaves the training range"):
        esn.generate(4)
    with pytest.raises(ForecastDivergedError, match="non-finite at step"):
        esn.generate(2000)


def test_the_output_bound_holds_for_hostile_readouts():
    u = series(200)
    esn = make(include_input=False).fit(u[:-1], u[1:])
    out = esn.generate(2000)
    assert (np.abs(out) <= esn.output_bound_).all()
    assert np.isinf(make().fit(u[:-1], u[1:]).output_bound_).all()


def test_clone_and_params_round_trip():
    esn = make(topology="cycle", connectivity=3)
    assert clone(esn).get_params() == esn.get_params()
    assert "topology='cycle'" in repr(esn)
    assert esn._repr_html_().startswith("<style>")
