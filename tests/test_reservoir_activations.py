"""Activations by name and users' own."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from echocast.reservoir import _activations
from echocast.reservoir._activations import activations, register_activation, resolve_activation
from echocast.reservoir._drive import make_reservoir, run_states


@pytest.fixture
def clean_registry(monkeypatch):
    monkeypatch.setattr(_activations, "_USERS", {})


def softsign(z):
    return z / (1 + np.abs(z))


def test_built_in_names_and_codes():
    assert activations() == ["identity", "relu", "sigmoid", "sin", "tanh"]
    codes = [resolve_activation(name) for name in activations()]
    assert sorted(code for code, _ in codes) == [0, 1, 2, 3, 4]
    assert all(function is None for _, function in codes)


def test_registered_function_is_found_by_name(clean_registry):
    register_activation("softsign", softsign)
    assert "softsign" in activations()
    assert resolve_activation("softsign") == (-1, softsign)
    W, X = 0.5 * np.eye(3), np.ones((4, 1))
    by_name = make_reservoir(np.ones((3, 1)), W, np.zeros(3), activation="softsign")
    by_value = make_reservoir(np.ones((3, 1)), W, np.zeros(3), activation=softsign)
    assert_allclose(run_states(by_name, X)[0], run_states(by_value, X)[0], rtol=0)
    assert_allclose(run_states(by_name, X)[0][0], 0.5)


@pytest.mark.parametrize("name", ["tanh", "", 3])
def test_a_name_that_cannot_be_taken_is_refused(clean_registry, name):
    with pytest.raises(ValueError, match="name"):
        register_activation(name, softsign)


def test_something_that_cannot_be_called_is_refused(clean_registry):
    with pytest.raises(TypeError, match="callable"):
        register_activation("softsign", 3)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'identity', 'relu', 'sigmoid', 'sin', 'tanh'"):
        make_reservoir(np.ones((3, 1)), np.eye(3), np.zeros(3), activation="tan")


def test_function_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match="shape"):
        make_reservoir(np.ones((3, 1)), np.eye(3), np.zeros(3), activation=np.sum)
