"""Runs of many sequences from given states, against `predict`."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from echocast.reservoir import (
    DeepESNRegressor,
    ESNRegressor,
    LocalESNRegressor,
    NVARRegressor,
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
    others = (ESNRegressor(feedback_scaling=0.1), WindowESNRegressor(), Ridge())
    assert not any(carries_state(model) for model in others)


def test_many_steps_come_in_chunks():
    model = ESNRegressor(300, random_state=0).fit(U[:100], U[1:101])
    X = np.random.RandomState(1).randn(70, 120, 2)
    outputs, _ = run_from(model, X)
    np.testing.assert_allclose(outputs[69], model.predict(X[69]), atol=1e-12)
