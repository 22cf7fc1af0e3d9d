"""Networks whose readouts learn row by row: open loop, FORCE, and streams that learn."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold

import echocast
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import (
    ESNRegressor,
    ESNSearchCV,
    FORCEReadout,
    LMSReadout,
    RLSReadout,
    RunningReadout,
    fit_distributed,
    with_penalty,
    without_rows,
)

RNG = np.random.RandomState(0)
U = np.sin(0.2 * np.arange(1201))[:, None] + 0.05 * RNG.randn(1201, 1)
X, Y = U[:-1], U[1:]
RLS = ESNRegressor(30, washout=20, readout=RLSReadout(alpha=1e-3), random_state=0)
LMS = clone(RLS).set_params(readout=LMSReadout(), feedback_scaling=0.1)
FORCE = ESNRegressor(
    100,
    spectral_radius=1.5,
    leak_rate=0.3,
    bias_scaling=0.1,
    feedback_scaling=1.0,
    include_input=False,
    readout=FORCEReadout(),
    random_state=0,
)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"feedback_scaling": 0.2},
        {"include_input": False},
        {"target": "increment"},
        {"noise": 0.01},
        {"leak_rate": 0.5, "topology": "shift"},
    ],
)
def test_recursive_least_squares_is_the_ridge_readout(change):
    model = clone(RLS).set_params(**change).fit(X, Y)
    ridge = clone(model).set_params(readout=None, alpha=1e-3, solver="svd").fit(X, Y)
    assert_allclose(model.coef_, ridge.coef_, rtol=1e-8, atol=1e-9)
    assert_allclose(model.intercept_, ridge.intercept_, rtol=1e-8, atol=1e-9)
    assert_array_equal(model.state_, ridge.state_)
    assert_allclose(model.predict(X), ridge.predict(X), rtol=1e-8, atol=1e-9)
    assert (model.alpha_, model.solver_) == (1e-3, "RLSReadout")
    assert model.readout_.n_samples == 1180
    assert ridge.readout_ is None


@pytest.mark.parametrize("model", [RLS, LMS, FORCE])
def test_chunks_of_rows_make_no_difference(model):
    whole, parts = clone(model).set_params(washout=30).fit(X, Y), clone(model)
    parts.set_params(washout=30)
    for first in (0, 10, 200, 201):
        last = {0: 10, 10: 200, 200: 201, 201: 1200}[first]
        parts.partial_fit(X[first:last], Y[first:last])
    # A chaotic network that learns makes more of the last bits than others.
    tolerance = 1e-6 if model is FORCE else 1e-11
    assert_allclose(parts.coef_, whole.coef_, rtol=tolerance, atol=tolerance)
    assert_allclose(parts.state_, whole.state_, rtol=tolerance, atol=tolerance)
    assert_allclose(parts.last_output_, whole.last_output_, rtol=tolerance, atol=tolerance)


def test_sequences_are_learnt_in_their_order():
    parts = [(X[:300], Y[:300]), (X[300:1000], Y[300:1000]), (X[1000:], Y[1000:])]
    together = clone(LMS).fit([x for x, _ in parts], [y for _, y in parts])
    one_by_one = clone(LMS)
    for x, y in parts:
        one_by_one.partial_fit([x], [y])
    assert_allclose(together.coef_, one_by_one.coef_, rtol=1e-11, atol=1e-12)
    assert together.state_.shape == (3, 30)


def double(z):
    """An activation without bound."""
    return 2 * z


def force_oracle(esn, targets, washout, alpha, every):
    """Sussillo and Abbott's recursion of P, in plain NumPy."""
    W, W_in, W_fb, b = esn.W_.toarray(), esn.W_in_, esn.W_fb_, esn.b_
    n_units = len(b)
    x, z, w, P = np.zeros(n_units), 0.0, np.zeros(n_units), np.eye(n_units) / alpha
    for t, f in enumerate(targets):
        pre = W @ x + W_fb[:, 0] * z + b + W_in[:, 0] * 0.5
        x = (1 - esn.leak_rate) * x + esn.leak_rate * np.tanh(pre)
        z = w @ x
        if t >= washout and t % every == 0:
            k = P @ x
            c = 1 / (1 + x @ k)
            P -= c * np.outer(k, k)
            w -= c * (z - f) * k
    return w, x, z


@pytest.mark.parametrize("every", [1, 3])
def test_force_learning_against_its_authors_recursion(every):
    wave = np.sin(0.1 * np.arange(300))
    esn = clone(FORCE).set_params(
        n_units=40, washout=10, readout=FORCEReadout(alpha=2.0, update_every=every)
    )
    esn.fit(np.full((300, 1), 0.5), wave)
    w, x, z = force_oracle(esn, wave, 10, 2.0, every)
    assert_allclose(esn.coef_[0], w, rtol=1e-6, atol=1e-8)
    assert_allclose(esn.state_, x, rtol=1e-6, atol=1e-8)
    assert_allclose(esn.last_output_, [z], rtol=1e-6, atol=1e-8)
    assert_array_equal(esn.intercept_, [0.0])


def test_force_counts_steps_through_calls_and_streams():
    wave = np.sin(0.1 * np.arange(300))
    u = np.full((300, 1), 0.5)
    blank = clone(FORCE).set_params(n_units=40, washout=10, readout=FORCEReadout(update_every=3))
    whole = clone(blank).partial_fit(u, wave)
    assert whole.readout_.n_samples == 96
    parts = clone(blank)
    for first in range(0, 300, 50):
        parts.partial_fit(u[first : first + 50], wave[first : first + 50])
    assert_array_equal(parts.coef_, whole.coef_)
    stream = clone(blank).partial_fit(u[:200], wave[:200]).stream()
    for t in range(200, 300):
        stream.learn_one(u[t], wave[t])
    streamed = stream.to_estimator()
    assert streamed.readout_.n_samples == 96
    assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9, atol=1e-11)
    assert_allclose(streamed.last_output_, whole.last_output_, rtol=1e-9)


def test_force_learns_a_pattern_and_then_runs_freely():
    t = np.arange(5000)
    wave = np.sin(0.05 * t) + 0.5 * np.sin(0.1 * t)
    esn = clone(FORCE).set_params(n_units=300, leak_rate=0.2)
    before = (
        clone(esn).set_params(readout=FORCEReadout(alpha=1e9)).fit(np.zeros((4000, 1)), wave[:4000])
    )
    free = esn.fit(np.zeros((4000, 1)), wave[:4000]).generate(1000)[:, 0]
    assert np.abs(free - wave[4000:]).max() < 0.1
    assert np.abs(before.generate(1000)[:, 0] - wave[4000:]).max() > 1  # untrained
    # Freely running, it comes back after a push, as nothing is fed to it but itself.
    pushed = esn.generate(1000, initial_state=esn.state_ + 0.05)[:, 0]
    assert np.abs(pushed[-200:]).max() < 1.5


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"readout": Ridge()}, InvalidParameterError, "'readout' parameter"),
        ({"readout": "rls"}, InvalidParameterError, "'readout' parameter"),
        ({"alpha": 1e-3}, ValueError, r"RLSReadout\(alpha="),
        ({"alpha": "auto"}, ValueError, "`alpha` of ESNRegressor"),
        ({"alpha": [1e-6, 1e-3]}, ValueError, "`alpha` of ESNRegressor"),
        ({"solver": "svd"}, ValueError, "`solver` and `fit_intercept`"),
        ({"fit_intercept": False}, ValueError, "`solver` and `fit_intercept`"),
        ({"time_chunks": 4}, ValueError, "order of time"),
        ({"readout": FORCEReadout()}, ValueError, "feedback_scaling > 0"),
        ({"readout": RLSReadout(alpha=-1)}, InvalidParameterError, "'alpha' parameter of RLSR"),
        (
            {"readout": FORCEReadout(), "feedback_scaling": 1.0, "target": "increment"},
            ValueError,
            "target='value'",
        ),
        (
            {"readout": FORCEReadout(), "feedback_scaling": 1.0, "activation": np.tanh},
            ValueError,
            "compiled activations",
        ),
        (
            {
                "readout": FORCEReadout(),
                "feedback_scaling": 1.0,
                "bias_scaling": 0.0,
                "input_scaling": 0.0,
                "include_input": False,
            },
            ValueError,
            "stays at zero",
        ),
    ],
)
def test_combinations_that_make_no_sense(change, error, text):
    model = clone(RLS).set_params(**change)
    with pytest.raises(error, match=text):
        model.fit(X, Y)
    assert not hasattr(model, "coef_")


def test_searches_fit_one_by_one_and_parts_are_refused():
    model = clone(RLS).set_params(n_units=10)
    grid = {"spectral_radius": [0.5, 0.9], "readout__alpha": [1e-3, 1.0]}
    search = ESNSearchCV(model, grid, cv=KFold(3)).fit(X, Y)
    expected = GridSearchCV(model, grid, cv=KFold(3)).fit(X, Y)
    assert_allclose(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-10
    )
    assert search.fallback_params_["spectral_radius"] == "ordinary fits"
    with pytest.raises(TypeError, match="built-in readout of ESNRegressor"):
        fit_distributed(model, [(X, Y)])


@pytest.mark.parametrize("model", [RLS, LMS, FORCE])
def test_model_files(model, tmp_path):
    model = clone(model).fit(X[:600], Y[:600])
    echocast.save(model, tmp_path / "model.echocast")
    loaded = echocast.load(tmp_path / "model.echocast")
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert_array_equal(
        loaded.partial_fit(X[600:], Y[600:]).coef_, model.partial_fit(X[600:], Y[600:]).coef_
    )


def test_what_needs_ridge_statistics_says_so():
    model = clone(RLS).fit(X, Y)
    with pytest.raises(ValueError, match="with_penalty"):
        with_penalty(model, 1.0)
    with pytest.raises(ValueError, match="from_fit"):
        RunningReadout.from_fit(model)
    assert_array_equal(without_rows(model).coef_, model.coef_)
    for first, then in ((None, RLSReadout()), (RLSReadout(), None)):
        changed = clone(RLS).set_params(readout=first).fit(X, Y).set_params(readout=then)
        with pytest.raises(ValueError, match="set after fit"):
            changed.partial_fit(X, Y)
    with pytest.raises(ValueError, match="sample_weight"):
        clone(FORCE).fit(X, Y, sample_weight=np.ones(1200))


MODELS = {
    "ridge": ESNRegressor(30, washout=20, alpha=1e-3, random_state=0),
    "ridge, qr": ESNRegressor(30, washout=20, solver="qr", fit_intercept=False, random_state=0),
    "ridge, increments": ESNRegressor(
        30, washout=20, alpha=1e-3, target="increment", random_state=0
    ),
    "ridge, feedback": ESNRegressor(
        30, washout=20, alpha=1e-3, feedback_scaling=0.1, random_state=0
    ),
    "rls": RLS,
    "forgetting": clone(RLS).set_params(readout=RLSReadout(alpha=1e-3, forgetting=0.98)),
    "lms, feedback": LMS,
    "increments": clone(RLS).set_params(target="increment"),
    "own activation": clone(RLS).set_params(activation=lambda z: z / (1 + np.abs(z))),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_stream_learns_what_partial_fit_learns(name):
    model = clone(MODELS[name]).fit(X[:600], Y[:600])
    kept = {n: copy.deepcopy(v) for n, v in vars(model).items() if isinstance(v, np.ndarray)}
    stream = model.stream()
    start = (
        None if model.W_fb_ is not None else model.predict(X[600:601], initial_state=model.state_)
    )
    outputs = [stream.learn_one(x, y) for x, y in zip(X[600:900], Y[600:900])]
    if start is not None:
        assert_allclose(outputs[0], start[0], rtol=1e-10, atol=1e-11)
    for n, value in kept.items():
        assert_array_equal(getattr(model, n), value)
    new = stream.to_estimator()
    longer = copy.deepcopy(model).partial_fit(X[600:900], Y[600:900])
    assert_allclose(stream.coef_, longer.coef_, rtol=1e-7, atol=1e-9)
    assert_allclose(stream.intercept_, longer.intercept_, rtol=1e-7, atol=1e-9)
    assert_allclose(new.coef_, longer.coef_, rtol=1e-7, atol=1e-9)
    assert_allclose(new.state_, longer.state_, rtol=1e-11, atol=1e-12)
    assert_allclose(new.last_output_, longer.last_output_, rtol=1e-11)
    assert_allclose(new.generate(20), longer.generate(20), rtol=1e-6, atol=1e-7)
    again = [m.partial_fit(X[900:], Y[900:]).coef_ for m in (new, longer)]
    assert_allclose(again[0], again[1], rtol=1e-7, atol=1e-9)
    assert new.get_params().keys() == model.get_params().keys()


def test_a_stream_goes_on_with_force_learning():
    model = clone(FORCE).fit(X[:300], Y[:300])
    stream = model.stream()
    for x, y in zip(X[300:340], Y[300:340]):
        stream.learn_one(x, y)
    longer = copy.deepcopy(model).partial_fit(X[300:340], Y[300:340])
    assert_allclose(stream.to_estimator().coef_, longer.coef_, rtol=1e-6, atol=1e-8)
    assert_allclose(stream.output, longer.last_output_, rtol=1e-6, atol=1e-8)


def test_learning_goes_on_from_normal_equations():
    model = ESNRegressor(60, solver="cholesky", alpha=1e-7, random_state=0).fit(X[:600], Y[:600])
    assert RunningReadout.from_fit(model) is None  # leave-one-out errors would not be exact
    stream = model.stream()
    for x, y in zip(X[600:700], Y[600:700]):
        stream.learn_one(x, y)
    qr = clone(model).set_params(solver="qr", washout=60).fit(X[:700], Y[:700])
    model = stream.to_estimator()
    assert_allclose(model.predict(X)[60:], qr.predict(X)[60:], rtol=0, atol=1e-6)


def test_learning_does_not_start_from_a_broken_factor(monkeypatch):
    monkeypatch.setattr(RunningReadout, "from_fit", lambda model, *, exact: None)
    wave = np.sin(0.2 * np.arange(1201))[:, None]
    stream = ESNRegressor(60, random_state=0).fit(wave[:-1], wave[1:]).stream()
    with pytest.raises(ValueError, match="solver='qr'"):
        stream.learn_one(wave[0], wave[1])


def test_an_error_changes_nothing():
    stream = clone(RLS).fit(X, Y).stream()
    before = stream.state, stream.coef_, stream.output
    for x, y in (([np.nan], [0.0]), ([0.0], [np.inf]), ([0.0, 1.0], [0.0]), ([0.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="must"):
            stream.learn_one(x, y)
    for one, other in zip(before, (stream.state, stream.coef_, stream.output)):
        assert_array_equal(one, other)


@pytest.mark.parametrize("change", [{}, {"dtype": "float32"}, {"feedback_scaling": 0.2}])
@pytest.mark.parametrize("topology", ["random", "shift", np.eye(30) * 0.5])
def test_single_steps_are_those_of_predict(change, topology):
    model = ESNRegressor(30, topology=topology, random_state=0, **change).fit(X[:600], Y[:600])
    stream = model.stream()
    outputs = np.array([stream.predict_one(row) for row in X[600:700]])
    expected = model.set_params(predict_state="continue").predict(X[600:700])
    tolerance = 1e-3 if change.get("dtype") else 1e-10
    assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)


def test_results_are_copies_and_a_stream_can_be_stopped_and_restarted():
    model = clone(RLS).fit(X[:600], Y[:600])
    stream = model.stream()
    outputs = [stream.predict_one(X[600 + t]) for t in range(5)]
    kept = np.array(outputs)
    state, given = stream.state, stream.step(X[605])
    restarted = pickle.loads(pickle.dumps(stream))
    twin = copy.deepcopy(stream)
    after = [stream.predict_one(X[606 + t]) for t in range(5)]
    assert_array_equal(np.array(outputs), kept)
    for other in (restarted, twin):
        assert_array_equal([other.predict_one(X[606 + t]) for t in range(5)], after)
    stream.state = state
    assert_array_equal(stream.step(X[605]), given)
    given[:] = 7.0
    stream.coef_[:] = 7.0
    assert np.abs(stream.state).max() <= 1
    assert stream.state.shape == (30,)
    model.fit(X, -Y)  # a stream keeps what it started with
    stream.state = state
    stream.step(X[605])
    assert_array_equal([stream.predict_one(X[606 + t]) for t in range(5)], after)
    for bad in (np.ones(3), np.full(30, np.nan)):
        with pytest.raises(ValueError, match="`state` must be"):
            stream.state = bad


@pytest.mark.parametrize("activation", ["identity", double])
def test_an_infinite_output_is_an_error_in_a_stream_as_in_predict(activation):
    u = np.ones((3000, 1))
    esn = ESNRegressor(
        5, activation=activation, spectral_radius=1.5, washout=0, include_input=False,
        random_state=0,
    ).fit(u[:20], u[:20])  # fmt: skip
    stream, outputs = esn.stream(), []
    with pytest.raises(ValueError, match="output has become infinite"), np.errstate(all="ignore"):
        outputs.extend(stream.predict_one(row) for row in u)
    assert np.isfinite(outputs).all()


def test_a_matrix_is_no_row():
    esn = ESNRegressor(10, random_state=0).fit(np.ones((50, 6)), np.ones(50))
    stream, row = esn.stream(), np.arange(6.0)
    before = stream.state
    with pytest.raises(ValueError, match=r"`x` must hold 6 finite feature\(s\)"):
        stream.predict_one(row.reshape(2, 3))
    assert_array_equal(stream.state, before)
    expected = esn.stream().predict_one(row)
    assert stream.predict_one(row[None]) == expected
