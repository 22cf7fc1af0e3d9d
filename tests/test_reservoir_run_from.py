"""Runs of many sequences from given states, against `predict`."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from echocast.reservoir import (
    DeepESNRegressor,
    ESNRegressor,
    LocalESNRegressor,
    NVARRegressor,
    RNNRegressor,
    WindowESNRegressor,
    carries_state,
    run_from,
)

U = np.random.RandomState(0).randn(200, 2)
MODELS = {
    "esn": ESNRegressor(30, random_state=0),
    "esn, states alone": ESNRegressor(30, include_input=False, random_state=0),
    "esn, float32": ESNRegressor(30, dtype="float32", random_state=0),
    "deep": DeepESNRegressor(random_state=0),
    "nvar": NVARRegressor(3),
    "nvar, no memory": NVARRegressor(1),
    "local": LocalESNRegressor(20, overlap=0, random_state=0),
    "gru": RNNRegressor(hidden_layer_sizes=5, cell="gru", max_iter=2, random_state=0),
    "lstm, two layers": RNNRegressor(
        hidden_layer_sizes=(5, 4),
        cell="lstm",
        h0="learned",
        max_iter=2,
        dtype="float64",
        random_state=0,
    ),
    "plain": RNNRegressor(
        hidden_layer_sizes=5,
        leak_rate=0.5,
        include_input=True,
        loss="student_t",
        max_iter=2,
        random_state=0,
    ),
    "local, own readouts": LocalESNRegressor(20, overlap=0, shared=False, random_state=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_runs_equal_predict_and_go_on_exactly(name):
    model = MODELS[name].fit(U[:100], U[1:101])
    X = np.stack([U[:50], U[50:100], U[100:150]])
    outputs, states = run_from(model, X)
    exact = 2e-5 if outputs.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(outputs, model.predict(X), rtol=exact, atol=exact)
    first, middle = run_from(model, X[:, :20])
    second, last = run_from(model, X[:, 20:], middle)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), outputs, atol=exact)
    np.testing.assert_allclose(last, states, atol=exact)
    alone, state = run_from(model, X[1:2])
    np.testing.assert_allclose(alone, outputs[1:2], atol=exact)
    np.testing.assert_allclose(state, states[1:2], atol=exact)


def test_who_carries_a_state():
    assert all(carries_state(model) for model in MODELS.values())
    others = (
        ESNRegressor(feedback_scaling=0.1),
        WindowESNRegressor(),
        Ridge(),
        RNNRegressor(bidirectional=True),
        RNNRegressor(recurrence="output"),
        RNNRegressor(output="last"),
    )
    assert not any(carries_state(model) for model in others)


def test_many_steps_come_in_chunks():
    model = ESNRegressor(300, random_state=0).fit(U[:100], U[1:101])
    X = np.random.RandomState(1).randn(70, 120, 2)
    outputs, _ = run_from(model, X)
    np.testing.assert_allclose(outputs[69], model.predict(X[69]), atol=1e-12)


@pytest.mark.parametrize("loss", ["gaussian", "student_t", "pinball"])
def test_quantiles_are_those_of_the_network(loss):
    levels = [0.1, 0.5, 0.9]
    model = RNNRegressor(loss=loss, quantile=levels, max_iter=2, random_state=0)
    model.fit(U[:100], U[1:101])
    X = np.stack([U[:50], U[50:100]])
    found, states = run_from(model, X, quantiles=levels)
    np.testing.assert_allclose(found, model.predict_quantiles(X, levels), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(states, run_from(model, X)[1])


def test_what_has_no_quantiles_or_cannot_go_on_says_so():
    with pytest.raises(ValueError, match="for an RNNRegressor, not ESNRegressor"):
        run_from(ESNRegressor(10).fit(U[:50], U[1:51]), U[None, :9], quantiles=[0.5])
    both = RNNRegressor(hidden_layer_sizes=3, bidirectional=True, max_iter=1)
    with pytest.raises(ValueError, match="bidirectional=False"):
        run_from(both.fit(U[:50], U[1:51]), U[None, :9])
