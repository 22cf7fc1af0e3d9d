"""ESNRegressor on many sequences: every form, any company, threads, weights."""

import threading
import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_esn as oracle
from esn_cases import make, panel, series


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


def test_groups_of_a_frame_keep_their_stamps():
    days = pd.date_range("2024-01-01", periods=60, freq="D")
    frame = pd.DataFrame(series(120), columns=["a", "b"], index=days.append(days))
    groups = np.repeat(["u", "v"], 60)
    early = frame.index < days[50]
    esn = make(washout=5).fit(frame[early], frame[early].to_numpy(), groups=groups[early])
    later = frame[~early]
    reset = esn.set_params(predict_state="reset").predict(later, groups=groups[~early])
    carried = esn.set_params(predict_state="continue").predict(later, groups=groups[~early])
    esn.set_params(predict_state="auto")
    assert_allclose(esn.predict(later, groups=groups[~early]), carried, rtol=1e-12)
    assert not np.allclose(carried, reset)
