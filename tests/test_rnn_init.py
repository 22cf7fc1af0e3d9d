"""First weights: distribution, structure of the gates' blocks, order of the draws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.exceptions import InvalidParameterError
from echocast.reservoir.rnn._init import (
    GATES,
    INITIALISERS,
    initialise_cell,
    initialise_dense,
    orthogonal,
)

CELLS = sorted(GATES)


def draw(cell="lstm", n_inputs=5, n_units=7, seed=0, **settings):
    return initialise_cell(np.random.RandomState(seed), cell, n_inputs, n_units, **settings)


def blocks(matrix, cell):
    return np.split(matrix, len(GATES[cell]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", INITIALISERS)
@pytest.mark.parametrize("cell", CELLS)
def test_shapes_types_and_finiteness(cell, kind, dtype):
    weights = draw(cell, kind=kind, dtype=dtype)
    rows = 7 * len(GATES[cell])
    shapes = {"W_in": (rows, 5), "W": (rows, 7), "b": (rows,)}
    if cell == "gru":
        shapes["b_n"] = (7,)
    assert {name: array.shape for name, array in weights.items()} == shapes
    for array in weights.values():
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert np.isfinite(array).all()


@pytest.mark.parametrize("kind", INITIALISERS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_seed_fixes_every_bit_and_float32_is_rounded_float64(cell, kind):
    first, again = draw(cell, kind=kind, seed=3), draw(cell, kind=kind, seed=3)
    single, other = draw(cell, kind=kind, seed=3, dtype=np.float32), draw(cell, kind=kind, seed=4)
    for name in first:
        assert_array_equal(first[name], again[name])
        assert_array_equal(first[name].astype(np.float32), single[name])
    assert (first["W_in"] != other["W_in"]).any()


@pytest.mark.parametrize("kind", INITIALISERS)
def test_input_weights_are_drawn_first(kind):
    # Same input weights whatever is drawn for the recurrent ones after them.
    expected = draw("rnn", kind="glorot")["W_in"]
    if kind == "uniform":
        expected = np.random.RandomState(0).uniform(-1, 1, (7, 5)) / np.sqrt(7)
    # A scale applied to the same stream: rounding only.
    assert_allclose(draw("rnn", kind=kind)["W_in"], expected, rtol=1e-14)


@pytest.mark.parametrize("kind", sorted(set(INITIALISERS) - {"uniform"}))
@pytest.mark.parametrize("cell", CELLS)
def test_biases_are_zero_but_for_the_forget_gate(cell, kind):
    weights = draw(cell, kind=kind)
    expected = {"f": 1.0}
    for gate, b in zip(GATES[cell], blocks(weights["b"], cell), strict=True):
        assert_array_equal(b, np.full(7, expected.get(gate, 0.0)))
    if cell == "gru":
        assert_array_equal(weights["b_n"], np.zeros(7))


@pytest.mark.parametrize("cell", CELLS)
def test_each_gate_has_an_orthogonal_block_of_its_own(cell):
    parts = blocks(draw(cell, kind="orthogonal")["W"], cell)
    for W in parts:
        assert_allclose(W.T @ W, np.eye(7), atol=1e-13)
    for W in parts[1:]:
        assert np.abs(W - parts[0]).max() > 0.1


def test_orthogonal_matrices_are_drawn_uniformly():
    # The trace of a Haar orthogonal matrix has mean 0 and variance 1 (n >= 2); without the
    # signs its mean is far from 0. Four standard errors of 2000 draws are 0.09 and, for the
    # variance of a nearly normal number, 0.13.
    rng = np.random.RandomState(0)
    traces = np.array([np.trace(orthogonal(rng, 5)) for _ in range(2000)])
    assert abs(traces.mean()) < 0.09
    assert abs(traces.var() - 1.0) < 0.13
    assert {round(float(np.linalg.det(orthogonal(rng, 3)))) for _ in range(30)} == {-1, 1}


@pytest.mark.parametrize("cell", CELLS)
def test_glorot_bounds_are_those_of_one_gate(cell):
    weights = draw(cell, 30, 50, kind="glorot")
    for name, n_in in (("W_in", 30), ("W", 50)):
        limit = np.sqrt(6.0 / (n_in + 50))
        for block in blocks(weights[name], cell):
            assert 0.95 * limit < np.abs(block).max() <= limit
            # 1500 draws: the standard error of a uniform's variance is 2.3 %, four of them 9 %.
            assert_allclose(block.var(), 2.0 / (n_in + 50), rtol=0.1)


@pytest.mark.parametrize("cell", CELLS)
def test_identity(cell):
    for W in blocks(draw(cell, kind="identity")["W"], cell):
        assert_array_equal(W, np.eye(7))


def test_the_irnn_hears_its_inputs_faintly():
    W_in = draw("rnn", 40, 50, kind="identity", activation="relu")["W_in"]
    # 2000 draws: the standard error of a standard deviation is 1.6 %.
    assert_allclose(W_in.std(), 0.001, rtol=0.07)
    glorot = draw("rnn", 40, 50, kind="glorot", activation="relu")["W_in"]
    assert_array_equal(draw("rnn", 40, 50, kind="identity")["W_in"], glorot)


@pytest.mark.parametrize("n_units", [1, 2, 40])
@pytest.mark.parametrize("cell", CELLS)
def test_spectral_radius_of_each_gate(cell, n_units):
    for W in blocks(draw(cell, n_units=n_units, kind="spectral")["W"], cell):
        # Eigenvalues close to each other are only as exact as the root of rounding.
        assert_allclose(np.abs(np.linalg.eigvals(W)).max(), 0.9, rtol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_uniform_is_pytorchs(cell):
    weights = draw(cell, 30, 100, kind="uniform")
    for name in ("W_in", "W"):
        assert 0.099 < np.abs(weights[name]).max() <= 0.1
    # The sum of two biases reaches twice as far; the GRU's last gate keeps them apart.
    summed = weights["b"] if cell != "gru" else weights["b"][:200]
    assert 0.1 < np.abs(summed).max() <= 0.2
    if cell == "gru":
        assert 0.09 < np.abs(weights["b"][200:]).max() <= 0.1
        assert 0.09 < np.abs(weights["b_n"]).max() <= 0.1
        assert (weights["b_n"] != weights["b"][200:]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense(dtype):
    layer = initialise_dense(np.random.RandomState(0), 40, 20, dtype)
    assert layer["W"].shape == (40, 20)
    assert layer["W"].dtype == layer["b"].dtype == dtype
    assert 0.3 < np.abs(layer["W"]).max() <= np.sqrt(6.0 / 60)
    assert_array_equal(layer["b"], np.zeros(40))


@pytest.mark.parametrize("name", ["cell", "kind", "activation"])
def test_unknown_options_are_refused(name):
    settings = {"cell": "rnn", name: "nonsense"}
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        draw(**settings)
