"""Lyapunov exponents against known ones: of linear networks, of Lorenz-63, of maps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from echocast.datasets import henon, lorenz63
from echocast.exceptions import ForecastDivergedError
from echocast.reservoir import (
    DeepESNRegressor,
    ESNRegressor,
    ReservoirTransformer,
    jacobian_product,
    lyapunov_exponents,
)
from echocast.reservoir.rnn._cells import stack_of
from echocast.reservoir.rnn._view import closed_loop_view


def linear(W, X, leak_rate=1.0):
    model = ReservoirTransformer(
        len(W), topology=W, spectral_radius=None, leak_rate=leak_rate, activation="identity"
    )
    return model.fit(X)


def symmetric(values, seed=0):
    draws = np.random.RandomState(seed).standard_normal((len(values), len(values)))
    Q, _ = np.linalg.qr(draws)
    return Q @ np.diag(values) @ Q.T


def noise(n_steps=600, n_features=1):
    return np.random.RandomState(5).standard_normal((n_steps, n_features))


# ------------------------------------------------------------------------- driven


def test_linear_network_has_the_logs_of_its_eigenvalues():
    values = np.array([0.95, -0.7, 0.4, 0.1])
    found = lyapunov_exponents(linear(symmetric(values), noise()), noise(), 4)
    # after the washout the tangents are eigenvectors to (0.7 / 0.95) ** 100 = 5e-14
    assert_allclose(found, np.log(np.abs(values)), rtol=1e-10)


def test_linear_network_with_a_leak():
    values, leak = np.array([0.95, -0.7, 0.4, 0.1]), 0.6
    model = linear(symmetric(values), noise(), leak)
    expected = np.sort(np.log(np.abs(1 - leak + leak * values)))[::-1]
    assert_allclose(lyapunov_exponents(model, noise(), 4), expected, rtol=1e-9)


def test_rotation_has_equal_exponents():
    X = noise()
    model = ReservoirTransformer(
        12, topology="cycle", spectral_radius=0.8, activation="identity", random_state=0
    ).fit(X)
    found = lyapunov_exponents(model, X, 12)
    assert_allclose(found.sum(), 12 * np.log(0.8), rtol=1e-6)  # the radius is met to 1e-6
    assert_allclose(found[0], np.log(0.8), rtol=1e-2)


def test_non_normal_network_grows_by_its_eigenvalues_in_the_end():
    W = np.array([[0.5, 10.0], [0.0, 0.4]])
    found = lyapunov_exponents(linear(W, noise(3000)), noise(3000), 2)
    assert_allclose(found, np.log([0.5, 0.4]), atol=1e-3)


def test_nilpotent_network_forgets_completely():
    found = lyapunov_exponents(linear(np.eye(3, k=1), noise()), noise(), 3)
    assert (found == -np.inf).all()


def test_tanh_network_forgets_and_says_how_fast():
    X = noise()
    model = ReservoirTransformer(50, input_scaling=1.0, random_state=0).fit(X)
    (largest,) = lyapunov_exponents(model, X)
    far = jacobian_product(model, X, 100, 600)
    assert -0.7 < largest < -0.3
    # the norm of a product differs from that of one direction by a factor that does not grow
    assert_allclose(np.log(np.linalg.norm(far, 2)) / 500, largest, atol=0.01)


def test_sum_of_all_exponents_is_the_mean_log_determinant():
    X = noise(120)
    model = ReservoirTransformer(8, connectivity=1.0, random_state=0).fit(X)
    found = lyapunov_exponents(model, X, 8, washout=0)
    dets = [np.linalg.slogdet(jacobian_product(model, X, t, t + 1))[1] for t in range(120)]
    assert_allclose(found.sum(), np.mean(dets), rtol=1e-10)
    assert (np.diff(found) <= 0).all()


def test_sparse_and_dense_weights_agree():
    X = noise(150)
    model = ReservoirTransformer(200, connectivity=5, random_state=0).fit(X)
    assert issparse(model.W_)
    weights = {"W_in": model.W_in_, "W": model.W_.toarray(), "b": model.b_}
    dense = stack_of([("rnn", weights, 1.0, "tanh")])
    a, b = (lyapunov_exponents(network, X, 3) for network in (model, dense))
    assert_allclose(a, b, rtol=1e-10)


def test_large_sparse_network():
    X = noise(150)
    model = ReservoirTransformer(1000, random_state=0).fit(X)
    assert lyapunov_exponents(model, X)[0] < 0


def test_deep_network_has_the_exponents_of_its_layers():
    """Each layer is driven by the one below, so Jacobians are block triangular."""
    X = noise(400)
    deep = DeepESNRegressor(2, n_units=[1, 1], spectral_radius=[0.9, 0.5], random_state=0)
    deep.set_params(activation="identity").fit(X, X)
    found = lyapunov_exponents(deep, X, 2)
    assert_allclose(found, np.log([0.9, 0.5]), rtol=1e-6)


# -------------------------------------------------------------------- closed loop


class HenonNetwork(BaseEstimator):
    """The Henon map as a trainable network would show it: units that square, a linear readout."""

    def __init__(self):
        self.layers_ = [("rnn", self._weights(), 1.0, np.square)]

    def fit(self):
        return self

    def _weights(self):
        # h = [x^2, (x + 1)^2, z^2, (z + 1)^2], from which x = ((x + 1)^2 - x^2 - 1) / 2
        return {
            "W_in": np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
            "W": np.zeros((4, 4)),
            "b": np.array([0.0, 1.0, 0.0, 1.0]),
        }

    def _recurrent_weights(self):
        return self.layers_

    def _recurrent_readout(self):
        # x' = 1 - 1.4 x^2 + z and z' = 0.3 x
        coef = np.array([[-1.4, 0.0, -0.5, 0.5], [-0.15, 0.15, 0.0, 0.0]])
        return coef, np.array([1.0 - 0.5, -0.15])


def test_network_that_is_the_henon_map_has_its_exponents():
    start = henon(50)
    start = np.column_stack([start[1:, 0], 0.3 * start[:-1, 0]])
    found = lyapunov_exponents(
        HenonNetwork(), start, 2, washout=500, closed_loop=True, n_steps=20_500
    )
    # 0.419 is the published exponent of the map; the determinant of its Jacobian is -0.3, and
    # the areas meant here, in the space of all units, differ by a factor that is shared out.
    assert_allclose(found[0], 0.419, atol=0.006)
    assert_allclose(found.sum(), np.log(0.3), rtol=1e-4)


@pytest.mark.parametrize("include_input", [True, False])
def test_closed_loop_is_that_of_generate(include_input):
    u = lorenz63(1500) / 10.0
    esn = ESNRegressor(80, include_input=include_input, random_state=0).fit(u[:-1], u[1:])
    loop = closed_loop_view(esn)
    state, outputs = np.concatenate([esn.state_, loop.output(esn.state_, u[-2])]), []
    for _ in range(20):
        outputs.append(state[80:])
        state = loop.linearise(state).state
    warm = esn.generate(20, warmup=u[:-1])
    assert_allclose(outputs, warm, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("include_input", [True, False])
@pytest.mark.parametrize("deep", [True, False])
def test_tangents_of_a_closed_loop_are_its_derivative(include_input, deep):
    u = lorenz63(600) / 10.0
    model = DeepESNRegressor(2, n_units=8) if deep else ESNRegressor(12)
    model.set_params(include_input=include_input, random_state=0).fit(u[:-1], u[1:])
    loop = closed_loop_view(model)
    rng = np.random.RandomState(0)
    state, M = 0.3 * rng.standard_normal(loop.n_states), rng.standard_normal((loop.n_states, 2))
    e = 1e-5
    plus, minus = (
        np.stack([loop.linearise(state + s * e * column).state for column in M.T], axis=1)
        for s in (1, -1)
    )
    # differences are good to e squared, for third derivatives of order 1 and large readouts
    assert_allclose(loop.linearise(state).push(M), (plus - minus) / (2 * e), rtol=1e-6, atol=1e-6)


def test_plain_loop_has_the_jacobian_of_the_formula():
    """Without inputs in the readout it is J = D (W + W_in C), with as many zeros as outputs."""
    u = lorenz63(600) / 10.0
    esn = ESNRegressor(15, connectivity=1.0, include_input=False, random_state=0)
    esn.fit(u[:-1], u[1:])
    loop = closed_loop_view(esn)
    h = esn.state_
    step = loop.linearise(np.concatenate([h, loop.output(h, u[-2])]))
    new = step.state[:15]
    formula = np.diag(1 - new**2) @ (
        esn._fit_reservoir.reservoir.plan.matrix + esn.W_in_ @ esn.coef_
    )
    along = np.eye(15)
    whole = step.push(np.concatenate([along, esn.coef_ @ along]))
    assert_allclose(whole[:15], formula, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_loop_trained_on_lorenz_has_its_largest_exponents():
    dt = 0.02
    u = lorenz63(6000)
    u = (u - u.mean(axis=0)) / u.std(axis=0)
    esn = ESNRegressor(300, alpha=1e-9, random_state=0).fit(u[:-1], u[1:])
    found = lyapunov_exponents(esn, u[:2000], 2, washout=1000, closed_loop=True, n_steps=51_000)
    # The exponents of the flow are 0.9056, 0 and -14.57; the mean over 1,000 time units is
    # known to about 0.01.
    assert abs(found[0] / dt - 0.9056) < 0.03
    assert abs(found[1] / dt) < 0.03


# -------------------------------------------------------------------------- faults


def test_what_cannot_be_averaged_is_refused():
    X = noise(50)
    model = ReservoirTransformer(10, random_state=0).fit(X)
    with pytest.raises(ValueError, match="`washout` is 100 but there are 50 steps"):
        lyapunov_exponents(model, X)
    with pytest.raises(ValueError, match="'n_exponents' parameter of lyapunov_exponents"):
        lyapunov_exponents(model, X, 11, washout=5)
    with pytest.raises(ValueError, match="`n_steps` is for closed_loop=True"):
        lyapunov_exponents(model, X, washout=5, n_steps=30)
    with pytest.raises(ValueError, match="'closed_loop' parameter"):
        lyapunov_exponents(model, X, washout=5, closed_loop="yes")
    with pytest.raises(TypeError, match="outputs are the next inputs, got ReservoirTransformer"):
        lyapunov_exponents(model, X, washout=5, closed_loop=True)


def test_loop_needs_outputs_that_are_inputs():
    X = noise(50, 2)
    esn = ESNRegressor(10, random_state=0).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"has 1 target\(s\) and 2 feature\(s\)"):
        lyapunov_exponents(esn, X, washout=5, closed_loop=True)
    esn.fit(X, X)
    with pytest.raises(ValueError, match="must have rows"):
        lyapunov_exponents(esn, X[:0], washout=5, closed_loop=True)


def test_states_that_explode_are_reported():
    X = noise(2000)
    with pytest.raises(ValueError, match="states become infinite at row"):
        lyapunov_exponents(linear(symmetric([3.0, 0.1]), X[:100]), X)
    u = 1.5 ** np.arange(40.0)[:, None]
    esn = ESNRegressor(5, activation="identity", alpha=1e-9, bias_scaling=0.0, random_state=0)
    esn.set_params(fit_intercept=False, washout=0)
    esn.fit(u[:-1], u[1:])
    with pytest.raises(ForecastDivergedError):
        lyapunov_exponents(esn, u, closed_loop=True, n_steps=5000)
