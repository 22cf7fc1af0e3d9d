"""DeepESNRegressor against a loop over layers and steps, and its per-layer parameters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import issparse

import oracles_esn
import oracles_variants as oracle
from echocast.datasets import mackey_glass
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import DeepESNRegressor, ESNRegressor


def series(n=200, seed=0):
    t = np.arange(n)[:, None]
    rng = np.random.RandomState(seed)
    return np.sin(0.2 * t + [0.0, 1.0]) + 0.5 * np.cos([0.11, 0.31] * t) + 0.02 * rng.randn(n, 2)


@given(
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    leak=st.floats(0.1, 1.0),
    include_input=st.booleans(),
    inter_connectivity=st.sampled_from([1, 3, 0.5, 1.0]),
    topology=st.sampled_from(["random", "shift", "dense", "cycle"]),
)
@settings(max_examples=25, deadline=None)
def test_fit_and_predict_equal_the_oracle(
    seed, sizes, leak, include_input, inter_connectivity, topology
):
    u = series(120, seed)
    X, Y = u[:-1], u[1:]
    leaks = [leak ** (k + 1) for k in range(len(sizes))]
    deep = DeepESNRegressor(
        len(sizes),
        n_units=sizes,
        leak_rate=leaks,
        include_input=include_input,
        inter_connectivity=inter_connectivity,
        topology=topology,
        washout=20,
        alpha=1e-3,
        random_state=seed,
    ).fit(X, Y)
    S = oracle.stacked_states(deep, X, leaks)
    F = np.hstack([S, X]) if include_input else S
    coef, intercept = oracles_esn.ridge(F[20:], Y[20:], 1e-3)
    assert_allclose(deep.transform(X), S, rtol=1e-11, atol=1e-12)
    assert_allclose(deep.predict(X), F @ coef.T + intercept, rtol=1e-6, atol=1e-7)
    assert_allclose(deep.coef_, coef, rtol=1e-5, atol=1e-7)
    assert_array_equal(deep.state_.shape, [sum(sizes)])


def test_one_layer_is_an_echo_state_network():
    u = series()
    params = {"alpha": 1e-3, "random_state": 0, "input_scaling": 0.5, "leak_rate": 0.6}
    deep = DeepESNRegressor(1, n_units=30, **params).fit(u[:-1], u[1:])
    flat = ESNRegressor(30, **params).fit(u[:-1], u[1:])
    assert_allclose(deep.predict(u), flat.predict(u), rtol=1e-10, atol=1e-11)
    assert_allclose(deep.generate(20), flat.generate(20), rtol=1e-6, atol=1e-7)


def test_layers_take_their_own_parameters():
    u = series()
    deep = DeepESNRegressor(
        3,
        n_units=[40, 30, 20],
        spectral_radius=[0.9, 0.5, None],
        leak_rate=[1.0, 0.5, 0.1],
        inter_scaling=[0.2, 2.0],
        bias_scaling=[0.0, 1.0, 0.5],
        inter_connectivity=4,
        random_state=0,
    ).fit(u[:-1], u[1:])
    assert [W.shape for W in deep.W_] == [(40, 40), (30, 30), (20, 20)]
    assert [W.shape for W in deep.W_in_] == [(40, 2), (30, 40), (20, 30)]
    dense = [W.toarray() if issparse(W) else W for W in deep.W_]
    radii = [np.abs(np.linalg.eigvals(W)).max() for W in dense]
    assert_allclose(radii[:2], [0.9, 0.5], rtol=1e-6)
    assert_array_equal((deep.W_in_[1] != 0).sum(axis=1), np.full(30, 4))
    assert 0.1 < np.abs(deep.W_in_[1]).max() <= 0.2
    assert 1.0 < np.abs(deep.W_in_[2]).max() <= 2.0
    assert_array_equal(deep.b_[0], np.zeros(40))
    assert_array_equal([layer.leak[0] for layer in deep._fit_reservoir.layers], [1.0, 0.5, 0.1])


def test_more_layers_leave_the_first_ones_as_they_were():
    u = series()
    two = DeepESNRegressor(2, n_units=20, random_state=3).fit(u[:-1], u[1:])
    three = DeepESNRegressor(3, n_units=20, random_state=3).fit(u[:-1], u[1:])
    assert_array_equal(two.W_in_[1], three.W_in_[1])
    assert_allclose(two.transform(u), three.transform(u)[:, :40], rtol=1e-13)


def test_a_users_activation_runs_in_every_layer():
    u = series()

    def cubic(z):
        return np.clip(z - z**3 / 3, -1, 1)

    deep = DeepESNRegressor(2, n_units=15, activation=cubic, random_state=0, washout=20)
    deep.fit(u[:-1], u[1:])
    below = u
    for k in range(2):
        below = oracles_esn.states(
            deep.W_in_[k], deep.W_[k], deep.b_[k], 1.0, below, activation=cubic
        )
    assert_allclose(deep.transform(u)[:, 15:], below, rtol=1e-10, atol=1e-11)
    assert_allclose(deep.generate(2, warmup=u)[0], deep.predict(u)[-1], rtol=1e-9)


def test_mackey_glass_is_followed_for_long():
    """Mackey-Glass with delay 17, one row a time unit: error below 0.1 for 100 steps."""
    u = mackey_glass(2600, random_state=0).reshape(-1, 1)
    u = (u - u.mean()) / u.std()
    deep = DeepESNRegressor(3, n_units=100, alpha="auto", random_state=0).fit(u[:2000], u[1:2001])
    out = deep.generate(100)
    assert np.abs(out - u[2001:2101]).max() < 0.1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_layers": 0}, "'n_layers'"),
        ({"n_units": [10, 20]}, "'n_units'"),
        ({"n_units": [10, 20, 0]}, "'n_units'"),
        ({"leak_rate": [1.0, 0.5]}, "'leak_rate'"),
        ({"leak_rate": [1.0, 0.5, 1.5]}, "'leak_rate'"),
        ({"spectral_radius": [0.9, 0.9, -1.0]}, "'spectral_radius'"),
        ({"inter_scaling": [1.0, 1.0, 1.0]}, "'inter_scaling'"),
        ({"inter_scaling": -1.0}, "'inter_scaling'"),
        ({"inter_connectivity": 0}, "'inter_connectivity'"),
        ({"bias_scaling": -1.0}, "'bias_scaling'"),
        ({"activation": "moebius"}, "'activation'"),
        ({"washout": -1}, "'washout'"),
        ({"target": "derivative"}, "'target'"),
        ({"alpha": -1.0}, "'alpha'"),
        ({"predict_state": "maybe"}, "'predict_state'"),
        ({"topology": "moebius"}, "'topology'"),
        ({"dtype": "float16"}, "'dtype'"),
    ],
)
def test_bad_parameters_are_refused_by_name(params, message):
    u = series(60)
    with pytest.raises(InvalidParameterError, match=f"{message} parameter of DeepESNRegressor"):
        DeepESNRegressor(**params).fit(u[:-1], u[1:])
