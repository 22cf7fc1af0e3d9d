"""Layers whose transition is an MLP: against an oracle, their gradients, and what refuses them."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import oracles_rnn
from echocast.datasets import adding_problem
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import (
    ESNRegressor,
    RNNClassifier,
    RNNRegressor,
    jacobian_product,
    lyapunov_exponents,
    run_from,
)
from echocast.reservoir.rnn import _deep_transition as deep
from echocast.reservoir.rnn._init import initialise_cell
from echocast.reservoir.rnn._nodes import Workspace
from echocast.reservoir.rnn._tape import Tape, Var
from rnn_fits import deep_state, ragged, regressor, waves

DEEP = ["deep", "deep_skip"]


def layer_problem(seed, n_steps, n_sequences, n_inputs, n_units, depth, skip):
    """Inputs, weights, a state and the sizes of a ragged batch."""
    rng = np.random.RandomState(seed)
    first = initialise_cell(rng, "rnn", n_inputs, n_units)
    weights = deep.initialise_deep(rng, first, depth, kind="orthogonal", skip=skip)
    weights = {name: w + 0.2 * rng.randn(*w.shape) for name, w in weights.items()}
    lengths = np.sort(rng.randint(1, n_steps + 1, n_sequences))[::-1]
    lengths[0] = n_steps
    sizes = (lengths > np.arange(n_steps)[:, None]).sum(axis=1)
    return (
        rng.randn(n_steps, n_sequences, n_inputs),
        weights,
        rng.randn(n_sequences, n_units),
        sizes,
    )


def oracle(x, weights, state, sizes, *, mask=None, **options):
    """States (T, B, n); a finished sequence keeps its state."""
    dtype = np.result_type(x, state, *weights.values())
    states = np.empty((*x.shape[:2], state.shape[1]), dtype)
    for b in range(x.shape[1]):
        own = {} if mask is None else {"mask": mask[b]}
        now = (state[b],)
        for t in range(len(x)):
            if b < sizes[t]:
                now = oracles_rnn.deep_step(x[t, b], *now, weights, **options, **own)
            states[t, b] = now[0]
    return states


def gradients(x, weights, state, sizes, d_states, d_last, **options):
    leaves = {name: Var(w, np.zeros_like(w), True) for name, w in weights.items()}
    inputs, start, total = Var(x, None, True), Var(state, None, True), Var(np.zeros(()))
    with Tape() as tape:
        h, (last,) = deep.deep_layer(inputs, leaves, (start,), sizes, **options)
        tape.record((total,), (h, last), lambda one: (d_states, d_last))
    tape.backward(total)
    return {"x": inputs.grad, "state": start.grad, **{k: v.grad for k, v in leaves.items()}}


@given(
    seed=st.integers(0, 10_000),
    n_steps=st.integers(1, 6),
    n_sequences=st.integers(1, 9),
    n_inputs=st.integers(1, 3),
    n_units=st.integers(1, 18),
    depth=st.integers(1, 4),
    skip=st.booleans(),
    masked=st.booleans(),
    relu=st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_states_and_gradients_equal_the_oracle_and_its_complex_step(
    seed, n_steps, n_sequences, n_inputs, n_units, depth, skip, masked, relu
):
    x, weights, state, sizes = layer_problem(
        seed, n_steps, n_sequences, n_inputs, n_units, depth, skip
    )
    rng = np.random.RandomState(seed)
    options = {"skip": skip, "activation": "relu" if relu else "tanh"}
    if masked:
        options["mask"] = rng.randint(0, 2, state.shape) / 0.5
    leaves = {name: Var(w) for name, w in weights.items()}
    h, (last,) = deep.deep_layer(Var(x), leaves, (Var(state),), sizes, **options)
    expected = oracle(x, weights, state, sizes, **options)
    close = {"rtol": 1e-11, "atol": 1e-12 * max(1, np.abs(expected).max())}  # sums in other orders
    assert_allclose(h.data, expected, **close)
    assert_array_equal(last.data, h.data[-1])

    d_states, d_last = rng.randn(*expected.shape), rng.randn(*state.shape)
    found = gradients(x, weights, state, sizes, d_states, d_last, **options)
    arrays = {"x": x, "state": state, **weights}
    for name, values in arrays.items():
        direction = rng.randn(*values.shape)
        moved = arrays | {name: values + 1e-30j * direction}
        inputs, start = moved.pop("x"), moved.pop("state")
        states = oracle(inputs, moved, start, sizes, **options)
        slope = ((d_states * states).sum() + (d_last * states[-1]).sum()).imag / 1e-30
        size = np.abs(found[name] * direction).sum()
        assert_allclose((found[name] * direction).sum(), slope, rtol=0, atol=1e-12 * size + 1e-13)


def test_pieces_workspaces_and_constant_inputs_change_nothing(monkeypatch):
    x, weights, state, sizes = layer_problem(0, 9, 5, 2, 4, 3, True)
    rng = np.random.RandomState(1)
    d = rng.randn(9, 5, 4), rng.randn(5, 4)
    whole = gradients(x, weights, state, sizes, *d, skip=True)
    work = Workspace()
    monkeypatch.setattr(deep, "_PIECE", 1)  # one step in a call
    for _ in range(2):
        cut = gradients(x, weights, state, sizes, *d, skip=True, work=work)
        for name, values in whole.items():
            assert_allclose(cut[name], values, rtol=1e-12, atol=1e-13)
    leaves = {name: Var(w, np.zeros_like(w), True) for name, w in weights.items()}
    total = Var(np.zeros(()))
    with Tape() as tape:
        h, (last,) = deep.deep_layer(Var(x), leaves, (Var(state),), sizes, skip=True)
        tape.record((total,), (h, last), lambda one: d)
    tape.backward(total)
    assert_allclose(leaves["W"].grad, whole["W"], rtol=1e-12, atol=1e-13)
    with pytest.raises(RuntimeError, match="only once"):
        tape.backward(total)


def test_depth_one_is_the_plain_network():
    u = waves()
    plain = regressor(max_iter=3).fit(u[:-1], u[1:])
    same = regressor(max_iter=3, transition="deep", transition_depth=1).fit(u[:-1], u[1:])
    # the same products; sums of gradients may be taken in another order
    assert_allclose(same.theta_, plain.theta_, rtol=1e-9, atol=1e-11)


def test_the_last_layer_beside_a_skip_begins_at_a_tenth():
    u = waves()
    sizes = {"hidden_layer_sizes": (6, 5), "max_iter": 0, "transition_depth": 3}
    for init in ("orthogonal", "glorot", "identity", "spectral", "uniform"):
        first, second = (
            regressor(**sizes, transition=transition, weight_init=init).fit(u[:-1], u[1:]).params_
            for transition in DEEP
        )
        for name, values in first.items():
            scale = 0.1 if name.rpartition(".")[0].endswith("deep.2") else 1
            assert_allclose(second[name], scale * values, rtol=1e-12)
    U = first["layers.0.deep.1.W"]
    assert np.abs(U).max() <= 1 / np.sqrt(6)


@pytest.mark.parametrize("transition", DEEP)
def test_closed_loops_and_run_from(transition):
    u = waves(200)
    model = regressor(max_iter=20, transition=transition).fit(u[:-1], u[1:])
    future = model.generate(5, warmup=u[:50])
    x, known, state = u[:50], [], None
    for _ in range(5):
        outputs, state = run_from(model, x[None], state)
        known.append(outputs[0, -1])
        x = outputs[0, -1:]
    assert_allclose(future, known, rtol=1e-10)
    assert model.generate(3).shape == (3, 2)


@pytest.mark.parametrize("transition", DEEP)
def test_jacobians_equal_differences(transition):
    u = waves()
    model = regressor(max_iter=2, transition=transition, transition_depth=3).fit(u[:-1], u[1:])
    J = jacobian_product(model, u, 2, 6)
    h = model.transform(u[:2])[-1]
    e = 6e-6
    for i in range(6):
        ends = []
        for sign in (1, -1):
            start = h.copy()
            start[i] += sign * e
            ends.append(model.transform(u[2:6], initial_state=start)[-1])
        assert_allclose(J[:, i], (ends[0] - ends[1]) / (2 * e), atol=1e-8)
    assert np.isfinite(lyapunov_exponents(model, u, washout=5)).all()


def test_pullback_is_the_transpose_of_the_pushforward():
    from echocast.reservoir.rnn._view import recurrent_view

    u, rng = waves(), np.random.RandomState(0)
    for transition in DEEP:
        model = regressor(max_iter=1, transition=transition, transition_depth=3).fit(u, u)
        step = recurrent_view(model).linearise(rng.randn(6), u[3])
        M, U, G = rng.randn(6, 2), rng.randn(2, 2), rng.randn(6, 2)
        back_h, back_x = step.pull(G)
        assert_allclose(G.T @ step.push(M, U), back_h.T @ M + back_x.T @ U, rtol=1e-12)


@pytest.mark.parametrize("transition", DEEP)
def test_estimators_keep_their_manners(transition):
    data = ragged()
    settings = {"transition": transition, "cell": "relu", "recurrent_dropout": 0.2, "dropout": 0.1}
    model = regressor(**settings, warm_start=True)
    X, y = [u[:-1] for u in data], [u[1:, 0] for u in data]
    model.fit(X, y)
    again = clone(model).fit(X, y)
    assert_array_equal(again.theta_, model.theta_)
    before = deep_state(vars(model))
    assert_array_equal(model.predict(X)[0], pickle.loads(pickle.dumps(model)).predict(X)[0])
    model.predict(X[:1])
    assert deep_state(vars(model)) == before
    model.fit(X, y)
    with pytest.raises(ValueError, match="cannot go on with"):
        model.set_params(transition_depth=3).fit(X, y)
    labels = ["a", "b", "a", "b"]
    clf = RNNClassifier(transition=transition, max_iter=2, random_state=0).fit(X, labels)
    clf.partial_fit(X, labels)
    assert clf.predict_proba(X).shape == (4, 2)


def test_results_are_the_same_for_any_number_of_threads(monkeypatch):
    from echocast.reservoir.rnn import _nodes

    monkeypatch.setattr(_nodes, "_SHARD_ROWS", 8)
    monkeypatch.setattr(_nodes, "_SHARD_WORK", 1)
    X, y = adding_problem(32, 6, random_state=0)
    models = [
        regressor(transition="deep_skip", transition_depth=3, n_jobs=n).fit(X, y) for n in (1, 2)
    ]
    assert_array_equal(models[0].theta_, models[1].theta_)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"transition": "wide"}, "transition"),
        ({"transition_depth": 0}, "transition_depth"),
        ({"transition_depth": 1.5}, "transition_depth"),
        ({"transition": "deep", "cell": "lstm"}, "transition='deep' makes plain layers deeper"),
        ({"transition": "deep", "leak_rate": 0.5}, "leak_rate=0.5"),
        ({"transition": "deep_skip", "recurrence": "output"}, "recurrence='output'"),
        ({"transition": "deep", "weight_init": "reservoir"}, "transition='deep'"),
        ({"transition": "deep", "weight_init": ESNRegressor(5)}, "transition='stacked'"),
    ],
)
def test_bad_parameters(params, message):
    u = waves()
    with pytest.raises((InvalidParameterError, ValueError), match=message):
        RNNRegressor(max_iter=1, **params).fit(u[:-1], u[1:])
