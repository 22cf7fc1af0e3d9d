import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_rnn
from echocast._jit import kernel
from echocast.reservoir.rnn import _kernels_activations as activations
from echocast.reservoir.rnn._kernels_activations import sigmoid, tanh
from rnn_cases import problem, run

CELLS = ["rnn", "lstm", "gru"]


@kernel
def all_tanh(z, out):
    for i in range(z.shape[0]):
        out[i] = tanh(z[i])


@kernel
def all_sigmoid(z, out):
    for i in range(z.shape[0]):
        out[i] = sigmoid(z[i])


def exact_sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


# float32: the error of the rational function itself; float64: rounding of a handful of operations.
ACCURACY = [
    (all_tanh, np.tanh, np.float32, 3e-7),
    (all_sigmoid, exact_sigmoid, np.float32, 2e-7),
    (all_tanh, np.tanh, np.float64, 4e-16),
    (all_sigmoid, exact_sigmoid, np.float64, 4e-16),
]


@pytest.mark.parametrize(("ours", "exact", "dtype", "tolerance"), ACCURACY)
def test_activations_are_accurate_everywhere(ours, exact, dtype, tolerance):
    z = np.concatenate(
        [
            np.linspace(-25, 25, 200_001),
            np.logspace(-45, 300 if dtype is np.float64 else 38, 2_001),
            -np.logspace(-45, 2, 2_001),
        ]
    ).astype(dtype)
    out = np.empty_like(z)
    ours(z, out)
    assert np.abs(out - exact(z.astype(np.float64))).max() <= tolerance
    assert np.abs(out).max() <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    z = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 64 * tiny, -64 * tiny], dtype=dtype)
    out = np.empty_like(z)
    near_one = 3 * np.finfo(dtype).eps  # the rational function stops short of 1
    all_tanh(z, out)
    assert_array_equal(np.isnan(out), np.isnan(z))
    assert_allclose(out[1:5], [1, -1, 0, 0], rtol=near_one, atol=0)
    assert_array_equal(np.signbit(out[3:5]), [False, True])
    assert_allclose(out[5:], z[5:], rtol=0, atol=256 * tiny)  # a product on the way underflows
    all_sigmoid(z, out)
    assert_array_equal(np.isnan(out), np.isnan(z))
    assert_allclose(out[1:], [1, 0, 0.5, 0.5, 0.5, 0.5], rtol=near_one, atol=near_one)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_compiled_activations_equal_their_python_code(name, dtype):
    z = np.linspace(-9, 9, 101).astype(dtype)
    out = np.empty_like(z)
    (all_tanh if name == "tanh" else all_sigmoid)(z, out)
    plain = [getattr(activations, name)(v) for v in z]
    # Compiled code may fuse a product and a sum.
    assert_allclose(out, np.array(plain), rtol=0, atol=4 * np.finfo(dtype).eps)


def test_float64_tanh_keeps_relative_accuracy_for_small_numbers():
    z = np.logspace(-300, 0, 1_001)
    out = np.empty_like(z)
    all_tanh(z, out)
    assert_allclose(out, [math.tanh(v) for v in z], rtol=1e-15)


sizes_of_layers = {
    "seed": st.integers(0, 10_000),
    "n_steps": st.integers(1, 9),
    "n_sequences": st.integers(1, 19),
    "n_inputs": st.integers(1, 5),
    "n_units": st.integers(1, 37),
    "masked": st.booleans(),
}


@given(cell=st.sampled_from(CELLS), leaky=st.booleans(), relu=st.booleans(), **sizes_of_layers)
@settings(deadline=None, max_examples=60)
def test_layers_equal_the_oracle(
    cell, seed, n_steps, n_sequences, n_inputs, n_units, masked, leaky, relu
):
    sizes = n_steps, n_sequences, n_inputs, n_units
    *arguments, options = problem(seed, cell, *sizes, masked=masked, leaky=leaky)
    if cell == "rnn":
        options["activation"] = "relu" if relu else "tanh"
    h, last = run(cell, *arguments, **options)
    expected, expected_last = oracles_rnn.recurrent_layer(cell, *arguments, **options)
    # A relu network may grow: compare with the largest state.
    atol = 1e-13 * max(1.0, np.abs(expected).max())
    assert_allclose(h, expected, rtol=1e-11, atol=atol)
    for ours, theirs in zip(last, expected_last, strict=True):
        assert_allclose(ours, theirs, rtol=1e-11, atol=atol)


@pytest.mark.parametrize("cell", CELLS)
def test_single_precision(cell):
    x, weights, state, sizes, options = problem(1, cell, 20, 9, 3, 21, masked=True, leaky=True)
    single = [x.astype(np.float32), {k: w.astype(np.float32) for k, w in weights.items()}]
    single += [tuple(s.astype(np.float32) for s in state), sizes]
    options = {k: v.astype(np.float32) for k, v in options.items()}
    h, last = run(cell, *single, **options)
    assert h.dtype == np.float32
    assert {s.dtype for s in last} == {np.dtype(np.float32)}
    expected, _ = oracles_rnn.recurrent_layer(cell, x, weights, state, sizes, **options)
    # 20 steps of rounding and of the approximated activations.
    assert_allclose(h, expected, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("where", ["x", "state", "W"])
def test_nan_stays_in_its_sequence_and_is_not_hidden(cell, where):
    x, weights, state, sizes, _ = problem(2, cell, 6, 4, 2, 5)
    sizes[:] = 4
    if where == "x":
        x[3, 1, 0] = np.nan
    elif where == "state":
        state[0][1, 2] = np.nan
    else:
        weights["W"][0, 0] = np.nan
    for activation in ["tanh", "relu"] if cell == "rnn" else ["tanh"]:
        options = {"activation": activation} if cell == "rnn" else {}
        h, _ = run(cell, x, weights, state, sizes, **options)
        if where == "W":
            assert np.isnan(h[-1]).any(axis=1).all()
        else:
            assert np.isnan(h[-1, 1]).all()
            assert np.isfinite(h[:, [0, 2, 3]]).all()
