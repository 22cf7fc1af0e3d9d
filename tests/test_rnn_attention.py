"""Attention, step by step layers and the display of attention."""

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_seq2seq as oracles
from echocast.reservoir import (
    AttentionDisplay,
    RNNRegressor,
    Seq2SeqRegressor,
    Seq2SeqTransducer,
)
from echocast.reservoir.rnn import _ops as ops
from echocast.reservoir.rnn._attention import Memory, additive_attention, dot_attention
from echocast.reservoir.rnn._init import initialise_cell
from echocast.reservoir.rnn._nodes import cell_step, recurrent_layer
from echocast.reservoir.rnn._stepwise import StepLayer
from echocast.reservoir.rnn._tape import Tape, Var
from gradients import assert_gradient

mpl.use("Agg")

T, B, N, M, K = 6, 3, 4, 5, 7
LENGTHS = np.array([6, 4, 1])
KINDS = ("additive", "dot", "scaled_dot")


def additive(s, H, W, U, v, lengths=LENGTHS):
    return additive_attention(s, H, W, U, v, lengths)


def dot(s, H, U, lengths=LENGTHS):
    return dot_attention(s, H, U, lengths)


def scaled_dot(s, H, U, lengths=LENGTHS):
    return dot_attention(s, H, U, lengths, scaled=True)


# As in the table of operations: what is run, and the shapes of its arguments.
TABLE = {
    "additive": (additive, [(B, N), (T, B, M), (K, N), (K, M), (K,)]),
    "dot": (dot, [(B, N), (T, B, M), (N, M)]),
    "scaled_dot": (scaled_dot, [(B, N), (T, B, M), (N, M)]),
}
rows = pytest.mark.parametrize("kind", KINDS)


def arguments(kind, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.standard_normal(shape), dtype) for shape in TABLE[kind][1]]
    for array in arrays:
        array.flags.writeable = False
    return arrays, rng


def weights_of(kind, arrays):
    names = "WUv" if kind == "additive" else "U"
    return dict(zip(names, arrays[2:]))


@rows
def test_attention_is_its_formula(kind):
    arrays, _ = arguments(kind)
    c, alpha = TABLE[kind][0](*map(Var, arrays))
    for b, n in enumerate(LENGTHS):
        mean, weights = oracles.look(kind, arrays[0][b], arrays[1][:n, b], weights_of(kind, arrays))
        assert_allclose(c.data[b], mean, rtol=1e-12, atol=1e-14)  # a few roundings
        assert_allclose(alpha[b, :n], weights, rtol=1e-12, atol=1e-14)
        assert_array_equal(alpha[b, n:], 0)


@rows
@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_attention_against_central_differences(kind, seed):
    run, shapes = TABLE[kind]
    arrays, rng = arguments(kind, seed)
    bounds = np.cumsum([0] + [x.size for x in arrays])
    wanted = rng.standard_normal((B, M))

    def parts(theta):
        pieces = zip(bounds, bounds[1:], shapes)
        return [theta[i:j].reshape(shape) for i, j, shape in pieces]

    def loss(theta):
        return float((run(*map(Var, parts(theta)))[0].data * wanted).sum())

    theta = np.concatenate([x.ravel() for x in arrays])
    grad = np.zeros_like(theta)
    with Tape() as tape:
        leaves = [Var(x, g, True) for x, g in zip(parts(theta), parts(grad))]
        tape.backward(ops.sum(ops.mul(run(*leaves)[0], wanted)))
    assert_gradient(loss, theta, grad, rng)


@rows
def test_padding_has_no_gradient_and_no_influence(kind):
    arrays, _ = arguments(kind)
    other = arrays[1].copy()
    for b, n in enumerate(LENGTHS):
        other[n:, b] = 1e3
    leaves = [Var(x, np.zeros_like(x), True) for x in arrays]
    with Tape() as tape:
        c, _ = TABLE[kind][0](*leaves)
        tape.backward(ops.sum(ops.square(c)))
    changed = [Var(x, np.zeros_like(x), True) for x in (arrays[0], other, *arrays[2:])]
    with Tape() as tape:
        again, _ = TABLE[kind][0](*changed)
        tape.backward(ops.sum(ops.square(again)))
    assert_array_equal(c.data, again.data)
    for b, n in enumerate(LENGTHS):
        assert_array_equal(leaves[1].grad[n:, b], 0)
    for one, two in zip(leaves, changed):
        assert_array_equal(one.grad, two.grad)


@rows
def test_looks_at_one_memory_add_up(kind):
    arrays, rng = arguments(kind)
    queries = [rng.standard_normal((B, N)) for _ in range(3)]

    def gradients(together):
        leaves = [Var(x, np.zeros_like(x), True) for x in arrays[1:]]
        weights = weights_of(kind, [None, *leaves])
        with Tape() as tape:
            memory = Memory(kind, leaves[0], LENGTHS, weights)
            total = Var(np.zeros(()))
            for s in queries:
                if not together:
                    memory = Memory(kind, leaves[0], LENGTHS, weights)
                c, _ = memory.attend(Var(s, needs_grad=True))
                total = ops.add(total, ops.sum(ops.square(c)))
            tape.backward(total)
        return [leaf.grad for leaf in leaves]

    for one, many in zip(gradients(True), gradients(False)):
        assert_allclose(one, many, rtol=1e-12, atol=1e-13)


@rows
def test_only_what_needs_a_gradient_gets_one_and_float32_stays(kind):
    arrays, _ = arguments(kind, dtype=np.float32)
    for constant in range(len(arrays)):
        leaves = [Var(x, needs_grad=k != constant) for k, x in enumerate(arrays)]
        with Tape() as tape:
            c, alpha = TABLE[kind][0](*leaves)
            tape.backward(ops.sum(ops.square(c)))
        assert c.data.dtype == alpha.dtype == np.float32
        for k, leaf in enumerate(leaves):
            assert (leaf.grad is None) == (k == constant)
            assert k == constant or leaf.grad.dtype == np.float32
    with Tape() as tape:
        TABLE[kind][0](*map(Var, arrays))
    assert len(tape) == 0


def test_extreme_scores_give_all_weight_to_one_place():
    H = np.random.default_rng(0).standard_normal((T, B, N))
    c, alpha = dot_attention(1e3 * H[2], H, np.eye(N))
    assert np.isfinite(c.data).all()
    assert_allclose(alpha.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(alpha.max(axis=1), 1, rtol=1e-6)


def test_nan_goes_through():
    H = np.random.default_rng(0).standard_normal((T, B, N))
    s = H[2].copy()
    s[1] = np.nan
    c, _ = dot_attention(s, H, np.eye(N))
    assert_array_equal(np.isnan(c.data).all(axis=1), [False, True, False])


def test_rows_of_a_memory_may_repeat():
    arrays, rng = arguments("additive")
    weights = {name: Var(x) for name, x in weights_of("additive", arrays).items()}
    memory = Memory("additive", Var(arrays[1]), LENGTHS, weights)
    chosen = np.array([2, 0, 0])
    s = rng.standard_normal((B, N))
    c, alpha = memory.rows(chosen).attend(Var(s[chosen]))
    whole, weights_whole = memory.attend(Var(s))
    assert_allclose(c.data, whole.data[chosen], rtol=1e-13)
    assert_allclose(alpha, weights_whole[chosen], rtol=1e-13)


# Layers step by step


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_layer_step_by_step_is_the_layer(cell, activation):
    if cell != "rnn" and activation == "relu":
        return
    rng = np.random.RandomState(0)
    weights = initialise_cell(rng, cell, M, N, activation=activation)
    x = rng.standard_normal((T, B, M))
    state = [rng.standard_normal((B, N)) for _ in range(2 if cell == "lstm" else 1)]
    leak = np.linspace(0.3, 1, N) if cell == "rnn" else None
    wanted = rng.standard_normal((T, B, N))
    options = {"leak": leak, "activation": activation}

    def run(kind):
        leaves = {k: Var(w, np.zeros_like(w), True) for k, w in weights.items()}
        start = [Var(s, np.zeros_like(s), True) for s in state]
        inputs = Var(x, np.zeros_like(x), True)
        with Tape() as tape:
            if kind == "layer":
                h, last = recurrent_layer(cell, inputs, leaves, start, **options)
            else:
                layer = StepLayer(cell, leaves, T, **options)
                states, last = [], start
                for row in ops.unstack(inputs):
                    if kind == "steps":
                        last = layer.step(ops.split(row, [2, M - 2]), last)
                    else:
                        last = cell_step(cell, row, leaves, last, **options)
                    states.append(last[0])
                h = ops.stack(states)
            total = ops.sum(ops.mul(h, wanted))
            for part in last:
                total = ops.add(total, ops.sum(ops.square(part)))
            tape.backward(total)
        return h.data.copy(), [v.grad for v in (inputs, *leaves.values(), *start)]

    h, gradients = run("layer")
    for kind in ("steps", "cells"):
        h_by_steps, by_steps = run(kind)
        assert_array_equal(h_by_steps, h)
        for one, two in zip(gradients, by_steps):
            assert_allclose(one, two, rtol=1e-12, atol=1e-13)  # sums in another order


def test_steps_without_a_tape_may_be_any_number_and_start_anywhere():
    rng = np.random.RandomState(0)
    weights = {k: Var(w) for k, w in initialise_cell(rng, "lstm", M, N).items()}
    layer = StepLayer("lstm", weights, 1)
    x = rng.standard_normal((5, B, M))
    state = [Var(rng.standard_normal((B, N))) for _ in range(2)]
    _, last = recurrent_layer("lstm", Var(x), weights, state)
    now = state
    for row in x:
        now = layer.step([Var(row)], now)
    for one, two in zip(now, last):
        assert_array_equal(one.data, two.data)
    fewer = layer.step([Var(x[0][:2])], [Var(part.data[:2]) for part in state])
    one = cell_step("lstm", Var(x[0]), weights, state)
    assert_array_equal(fewer[0].data, one[0].data[:2])


# The display


@pytest.fixture
def model():
    X = ["abc", "cab", "ba", "acb"]
    model = Seq2SeqTransducer(max_iter=3, max_length=4, random_state=0)
    return model.fit(X, [x[::-1] for x in X])


def test_a_map_of_attention_has_the_symbols_at_its_sides(model):
    import matplotlib.pyplot as plt

    display = AttentionDisplay.from_estimator(model, "cabb", cmap="Blues")
    outputs, alphas = model.predict(["cabb"], return_attention=True)
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == list("cabb")
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == list(outputs[0])
    assert_array_equal(display.image_.get_array(), alphas[0])
    assert display.image_.get_cmap().name == "Blues"
    _, ax = plt.subplots()
    assert AttentionDisplay(np.eye(2)).plot(ax=ax).ax_ is ax
    plt.close("all")


def test_a_map_of_attention_to_numbers():
    import matplotlib.pyplot as plt

    rng = np.random.RandomState(0)
    X, y = rng.randn(10, 5, 2), rng.randn(10, 3, 1)
    model = Seq2SeqRegressor(attention="dot", max_iter=1, random_state=0).fit(X, y)
    display = AttentionDisplay.from_estimator(model, X[0], labels="abcde")
    assert display.image_.get_array().shape == (3, 5)
    plt.close("all")


def test_maps_that_cannot_be_drawn(model):
    with pytest.raises(ValueError, match="has looked at nothing"):
        AttentionDisplay(np.empty((0, 3))).plot()
    with pytest.raises(ValueError, match=r"`read` has 1 label\(s\), but `attention` has shape"):
        AttentionDisplay(np.eye(2), read="a").plot()
    with pytest.raises(ValueError, match=r"`written` has 3 label\(s\)"):
        AttentionDisplay(np.eye(2), written="abc").plot()
    without = model.set_params(attention=None).fit(["ab", "b"], ["b", "ab"])
    with pytest.raises(ValueError, match="fit with attention='additive'"):
        AttentionDisplay.from_estimator(without, "ab")


def test_a_map_of_attention_with_what_is_known_beforehand():
    rng = np.random.RandomState(0)
    X, y, known = rng.randn(20, 6), rng.randn(20, 3), rng.randn(20, 3, 2)
    regressor = Seq2SeqRegressor(attention="dot", max_iter=1, random_state=0)
    regressor.fit(X, y, X_future=known)
    display = AttentionDisplay.from_estimator(regressor, X[4], X_future=known[4])
    wanted = regressor.predict(X[4:5], X_future=known[4:5], return_attention=True)[1][0]
    assert_array_equal(display.image_.get_array(), wanted)


@pytest.mark.parametrize(("weights", "error", "says"), [
    ([["a"]], ValueError, "attention holds strings"),
    ([[0.5, np.nan]], ValueError, "`attention` holds NaN"),
])  # fmt: skip
def test_weights_of_attention_are_numbers(weights, error, says):
    with pytest.raises(error, match=says):
        AttentionDisplay(weights).plot()


def test_only_encoder_decoders_are_drawn_from_themselves():
    with pytest.raises(TypeError, match=r"got RNNRegressor.*AttentionDisplay\(weights\)"):
        AttentionDisplay.from_estimator(RNNRegressor(), np.zeros((3, 1)))
