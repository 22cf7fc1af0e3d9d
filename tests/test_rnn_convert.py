"""Weights to and from PyTorch's and Keras' layouts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_rnn_training as oracles
from echocast.reservoir.rnn._convert import (
    from_keras_weights,
    from_torch_state_dict,
    to_keras_weights,
    to_torch_state_dict,
)

N_GATES = {"rnn": 1, "lstm": 4, "gru": 3}
CELLS = sorted(N_GATES)


def our_weights(cell, *, n_inputs=3, n_units=4, n_layers=2, bidirectional=True, dtype=np.float64):
    rng = np.random.RandomState(0)
    sides = ("", "reverse.") if bidirectional else ("",)
    rows = N_GATES[cell] * n_units
    weights = {}
    for layer in range(n_layers):
        width = n_inputs if layer == 0 else len(sides) * n_units
        for side in sides:
            shapes = {"W_in": (rows, width), "W": (rows, n_units), "b": (rows,)}
            if cell == "gru":
                shapes["b_n"] = (n_units,)
            for name, shape in shapes.items():
                weights[f"layers.{layer}.{side}{name}"] = rng.uniform(-1, 1, shape).astype(dtype)
    return weights


def assert_same(a, b):
    assert list(a) == list(b)
    for name in a:
        assert_array_equal(a[name], b[name], strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_round_trips(cell, bidirectional, dtype):
    ours = our_weights(cell, bidirectional=bidirectional, dtype=dtype)
    before = {name: array.copy() for name, array in ours.items()}
    there, layers = to_torch_state_dict(ours), to_keras_weights(ours)
    assert_same(from_torch_state_dict(there), ours)
    assert_same(from_keras_weights(layers), ours)
    for array in (*there.values(), *(array for layer in layers for array in layer)):
        array += 1.0  # copies: the weights do not change
    assert_same(ours, before)


def test_names_and_shapes_of_pytorch():
    state = to_torch_state_dict(our_weights("lstm"), prefix="rnn.")
    assert {name: array.shape for name, array in state.items() if "_l1" not in name} == {
        "rnn.weight_ih_l0": (16, 3),
        "rnn.weight_hh_l0": (16, 4),
        "rnn.bias_ih_l0": (16,),
        "rnn.bias_hh_l0": (16,),
        "rnn.weight_ih_l0_reverse": (16, 3),
        "rnn.weight_hh_l0_reverse": (16, 4),
        "rnn.bias_ih_l0_reverse": (16,),
        "rnn.bias_hh_l0_reverse": (16,),
    }
    assert state["rnn.weight_ih_l1_reverse"].shape == (16, 8)


@pytest.mark.parametrize("cell", CELLS)
def test_pytorchs_biases_add_up_but_for_the_reset_product(cell):
    state = to_torch_state_dict(our_weights(cell, n_layers=1, bidirectional=False))
    rng = np.random.RandomState(1)
    first, second = rng.standard_normal((2, 4 * N_GATES[cell]))
    weights = from_torch_state_dict({**state, "bias_ih_l0": first, "bias_hh_l0": second})
    if cell == "gru":
        assert_array_equal(weights["layers.0.b"][:8], first[:8] + second[:8])
        assert_array_equal(weights["layers.0.b"][8:], first[8:])
        assert_array_equal(weights["layers.0.b_n"], second[8:])
    else:
        assert_array_equal(weights["layers.0.b"], first + second)


@pytest.mark.parametrize("cell", CELLS)
def test_layers_without_biases_get_zeros(cell):
    ours = our_weights(cell)
    state = {k: v for k, v in to_torch_state_dict(ours).items() if "bias" not in k}
    kernels = [
        [a for a in layer if a.ndim == 2 and a.shape[0] > 2] for layer in to_keras_weights(ours)
    ]
    for weights in (from_torch_state_dict(state), from_keras_weights(kernels)):
        assert list(weights) == list(ours)
        for name, array in weights.items():
            expected = ours[name] if ".W" in name else np.zeros_like(ours[name])
            assert_array_equal(array, expected)


def test_what_is_converted_shares_no_memory():
    # Transposing these changes no bytes, so that a copy could be forgotten.
    layer = [np.ones((3, 1)), np.ones((1, 1)), np.ones(1)]
    state = {"weight_ih_l0": np.ones((1, 3)), "weight_hh_l0": np.ones((1, 1))}
    for weights in (from_keras_weights([layer]), from_torch_state_dict(state)):
        for array in weights.values():
            array += 1.0
    for array in (*layer, *state.values()):
        assert (array == 1.0).all()


def test_more_than_nine_layers_stay_in_order():
    ours = our_weights("rnn", n_layers=11, bidirectional=False)
    shuffled = dict(sorted(to_torch_state_dict(ours).items()))
    assert_same(from_torch_state_dict(shuffled), ours)
    assert_same(from_keras_weights(to_keras_weights(dict(sorted(ours.items())))), ours)


def test_other_names_are_left_aside_only_where_documented():
    ours = our_weights("gru", n_layers=1)
    more = {**ours, "layers.0.h0": np.zeros((1, 4)), "out.W": np.ones((1, 8))}
    state = to_torch_state_dict(more, prefix="encoder.")
    assert_same(to_torch_state_dict(ours, prefix="encoder."), state)
    model = {**state, "fc.weight": np.ones((1, 8))}
    assert_same(from_torch_state_dict(model, prefix="encoder."), ours)
    with pytest.raises(ValueError, match="is not a weight of a recurrent layer; give `prefix`"):
        from_torch_state_dict(model)
    with pytest.raises(ValueError, match=r"'layers\.0\.W_out' is not a weight"):
        to_torch_state_dict({**ours, "layers.0.W_out": np.ones(2)})
    with pytest.raises(ValueError, match=r"layers\.0\.b_n belongs to a GRU"):
        to_torch_state_dict({**our_weights("lstm"), "layers.0.b_n": np.ones(4)})


def test_kerass_gru_has_other_gates_first():
    n, width = 2, 3
    z, r, h = (np.full(n, value) for value in (1.0, 2.0, 3.0))
    kernel = np.tile(np.concatenate([z, r, h]), (width, 1))
    recurrent = np.tile(10 * np.concatenate([z, r, h]), (n, 1))
    bias = np.stack([np.concatenate([z, r, h]), 10 * np.concatenate([z, r, h])])
    weights = from_keras_weights([[kernel, recurrent, bias]])
    gates = np.repeat([2.0, 1.0, 3.0], n)
    assert_array_equal(weights["layers.0.W_in"], np.tile(gates[:, None], (1, width)))
    assert_array_equal(weights["layers.0.W"], np.tile(10 * gates[:, None], (1, n)))
    assert_array_equal(weights["layers.0.b"], [22.0, 22.0, 11.0, 11.0, 3.0, 3.0])
    assert_array_equal(weights["layers.0.b_n"], [30.0, 30.0])


def keras_gru(kernel, recurrent, bias, x):
    """The recurrence of Keras' GRU with `reset_after=True`, as its `gru_cell` writes it."""
    h = np.zeros(recurrent.shape[0])
    for row in x:
        x_z, x_r, x_h = np.split(row @ kernel + bias[0], 3)
        r_z, r_r, r_h = np.split(h @ recurrent + bias[1], 3)
        z, r = oracles.sigmoid(x_z + r_z), oracles.sigmoid(x_r + r_r)
        h = z * h + (1 - z) * np.tanh(x_h + r * r_h)
    return h


def keras_lstm(kernel, recurrent, bias, x):
    h = c = np.zeros(recurrent.shape[0])
    for row in x:
        i, f, new, o = np.split(row @ kernel + h @ recurrent + bias, 4)
        c = oracles.sigmoid(f) * c + oracles.sigmoid(i) * np.tanh(new)
        h = oracles.sigmoid(o) * np.tanh(c)
    return h


@pytest.mark.parametrize(("cell", "keras"), [("gru", keras_gru), ("lstm", keras_lstm)])
def test_kerass_recurrence_with_converted_weights(cell, keras):
    rng = np.random.RandomState(2)
    kernel, recurrent, bias = to_keras_weights(our_weights(cell))[0][:3]
    bias = rng.uniform(-1, 1, bias.shape)  # for a GRU both rows filled
    x = rng.standard_normal((6, 3))
    weights = from_keras_weights([[kernel, recurrent, bias]])
    # 6 steps of rounding.
    assert_allclose(
        oracles.run_stack(cell, weights, x)[-1], keras(kernel, recurrent, bias, x), atol=1e-14
    )


@pytest.mark.parametrize("cell", CELLS)
def test_same_states_as_pytorch(cell):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](
        3, 4, num_layers=2, bidirectional=True, dtype=torch.float64
    )
    x = np.random.RandomState(0).standard_normal((9, 3))
    weights = from_torch_state_dict(layer.state_dict())
    with torch.no_grad():
        theirs = layer(torch.tensor(x))[0].numpy()
    # Two layers of 9 steps, rounded differently.
    assert_allclose(oracles.run_stack(cell, weights, x), theirs, rtol=0, atol=1e-13)

    ours = our_weights(cell)
    state = {name: torch.tensor(array) for name, array in to_torch_state_dict(ours).items()}
    layer.load_state_dict(state)
    with torch.no_grad():
        theirs = layer(torch.tensor(x))[0].numpy()
    assert_allclose(oracles.run_stack(cell, ours, x), theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_same_states_as_keras(cell):
    keras = pytest.importorskip("keras")
    kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    layer = keras.layers.Bidirectional(kind(4, return_sequences=True, dtype="float64"))
    x = np.random.RandomState(0).standard_normal((9, 3))
    layer.build((None, 9, 3))
    layer.set_weights(to_keras_weights(our_weights(cell, n_layers=1))[0])
    theirs = keras.ops.convert_to_numpy(layer(x[None]))[0]
    ours = oracles.run_stack(cell, from_keras_weights([layer.get_weights()]), x)
    assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def state_without(name):
    state = to_torch_state_dict(our_weights("lstm"))
    del state[name]
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "numbered from 0"),
        (state_without("weight_hh_l1"), r"layers\.1 has no 'weight_hh'"),
        ({"weight_ih_l1": np.ones((2, 3)), "weight_hh_l1": np.eye(2)}, "numbered from 0"),
        ({"weight_ih_l0_reverse": np.ones((2, 3)), "weight_hh_l0_reverse": np.eye(2)}, "numbered"),
        ({"weight_ih_l0": np.ones((4, 3)), "weight_hh_l0": np.ones((4, 2))}, "1, 3 or 4 square"),
        ({"weight_ih_l0": np.ones((3, 3)), "weight_hh_l0": np.eye(2)}, "as many rows"),
        (
            {
                "weight_ih_l0": np.ones((2, 3)),
                "weight_hh_l0": np.eye(2),
                "bias_ih_l0": np.ones(3),
            },
            r"layers\.0\.b must have shape \(2,\), got \(3,\)",
        ),
        ({"weight_hr_l0": np.ones((2, 3))}, "proj_size"),
    ],
)
def test_bad_states_of_pytorch_are_refused(state, message):
    with pytest.raises(ValueError, match=message):
        from_torch_state_dict(state)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "numbered from 0"),
        ([[np.eye(2)]], "Layer 0 has 1 arrays"),
        ([[np.ones((3, 6)), np.ones((2, 6)), np.ones(6)]], "reset_after=False"),
        ([[np.ones((3, 6)), np.ones((2, 6)), np.ones((3, 6))]], r"bias of shape \(2, 6\)"),
        ([[np.ones((3, 4)), np.ones((2, 4)), np.ones(4)]], "1, 3 or 4 square"),
        ([[np.ones((3, 2)), np.eye(2)], [np.ones((2, 2)), np.eye(2)] * 2], "same directions"),
    ],
)
def test_bad_weights_of_keras_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        from_keras_weights(layers)


def test_weights_of_ours_that_are_missing_are_named():
    ours = our_weights("gru")
    del ours["layers.1.reverse.b_n"]
    with pytest.raises(ValueError, match=r"layers\.1\.reverse has no 'b_n'"):
        to_torch_state_dict(ours)
