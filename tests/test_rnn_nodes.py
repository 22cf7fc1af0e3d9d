import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_rnn
from echocast.reservoir.rnn import _nodes
from echocast.reservoir.rnn._nodes import N_GATES, Workspace, cell_step, recurrent_layer
from echocast.reservoir.rnn._tape import Tape, Var
from rnn_cases import gradients, problem, run

CELLS = list(N_GATES)


def random_gradients(seed, x, state):
    rng = np.random.RandomState(seed)
    d_states = rng.randn(len(x), *state[0].shape)
    return d_states, tuple(rng.randn(*s.shape) for s in state)


def named(x, weights, state):
    return {"x": x, **weights, **{f"state {k}": s for k, s in enumerate(state)}}


def value_of(function, cell, arrays, sizes, d_states, d_last, options):
    """The scalar whose gradient is looked at, from a dict of arrays."""
    rest = dict(arrays)
    x = rest.pop("x")
    state = tuple(rest.pop(f"state {k}") for k in range(len(d_last)))
    h, last = function(cell, x, rest, state, sizes, **options)
    return (d_states * h).sum() + sum((d * s).sum() for d, s in zip(d_last, last))


shapes = {
    "seed": st.integers(0, 10_000),
    "n_steps": st.integers(1, 6),
    "n_sequences": st.integers(1, 9),
    "n_inputs": st.integers(1, 3),
    "n_units": st.integers(1, 18),
    "masked": st.booleans(),
}


@given(cell=st.sampled_from(CELLS), leaky=st.booleans(), **shapes)
@settings(deadline=None, max_examples=30)
def test_gradients_equal_the_complex_step(
    cell, seed, n_steps, n_sequences, n_inputs, n_units, masked, leaky
):
    sizes = n_steps, n_sequences, n_inputs, n_units
    *arguments, sizes, options = problem(seed, cell, *sizes, masked=masked, leaky=leaky)
    x, _, state = arguments
    d_states, d_last = random_gradients(seed, x, state)
    ours = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    arrays = named(*arguments)
    rng = np.random.RandomState(seed)
    for name, array in arrays.items():
        direction = rng.randn(*array.shape)
        moved = arrays | {name: array + 1e-30j * direction}
        function = oracles_rnn.recurrent_layer
        slope = value_of(function, cell, moved, sizes, d_states, d_last, options).imag / 1e-30
        size = np.abs(ours[name] * direction).sum()
        assert_allclose((ours[name] * direction).sum(), slope, rtol=0, atol=1e-12 * size + 1e-14)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", CELLS)
def test_each_gradient_alone_equals_central_differences(cell, activation):
    *arguments, sizes, options = problem(5, cell, 4, 3, 2, 3, masked=True, leaky=True)
    if activation == "relu":
        if cell != "rnn":
            pytest.skip("gated cells have their own activations")
        options["activation"] = "relu"
    x, _, state = arguments
    d_states, d_last = random_gradients(5, x, state)
    ours = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    arrays = named(*arguments)
    e = 6e-6  # near the cube root of the rounding unit
    for name, array in arrays.items():
        for index in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                moved = array.copy()
                moved[index] += sign * e
                changed = arrays | {name: moved}
                values.append(value_of(run, cell, changed, sizes, d_states, d_last, options))
            assert abs((values[0] - values[1]) / (2 * e) - ours[name][index]) < 1e-6


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_in_single_precision(cell):
    *arguments, sizes, options = problem(6, cell, 12, 11, 3, 20, masked=True, leaky=True)
    x, weights, state = arguments
    d_states, d_last = random_gradients(6, x, state)
    double = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    single = gradients(
        cell,
        x.astype(np.float32),
        {k: w.astype(np.float32) for k, w in weights.items()},
        tuple(s.astype(np.float32) for s in state),
        sizes,
        d_states.astype(np.float32),
        tuple(d.astype(np.float32) for d in d_last),
        **{k: v.astype(np.float32) for k, v in options.items()},
    )
    for name, expected in double.items():
        assert single[name].dtype == np.float32
        assert_allclose(single[name], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("cell", CELLS)
def test_a_term_that_nobody_used_counts_as_zero(cell):
    *arguments, sizes, _ = problem(7, cell, 5, 4, 2, 3)
    x, _, state = arguments
    d_states, d_last = random_gradients(7, x, state)
    nothing = tuple(None for _ in d_last)
    zeros = tuple(np.zeros_like(d) for d in d_last)
    for left_out, as_zero in [
        ((None, d_last), (np.zeros_like(d_states), d_last)),
        ((d_states, nothing), (d_states, zeros)),
    ]:
        ours = gradients(cell, *arguments, sizes, *left_out)
        expected = gradients(cell, *arguments, sizes, *as_zero)
        for name in ours:
            assert_array_equal(ours[name], expected[name])


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_does_not_depend_on_its_batch(cell):
    *arguments, sizes, options = problem(8, cell, 9, 13, 3, 17, masked=True, leaky=True)
    x, weights, state = arguments
    d_states, d_last = random_gradients(8, x, state)
    h, last = run(cell, *arguments, sizes, **options)
    together = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    total = dict.fromkeys(weights, 0.0)
    mask = options.pop("mask")
    for b in range(x.shape[1]):
        length = (sizes > b).sum()
        own_state = tuple(s[b : b + 1] for s in state)
        own = x[:length, b : b + 1], weights, own_state, np.ones(length, np.int64)
        kept = dict(options, mask=mask[b : b + 1])
        h_own, last_own = run(cell, *own, **kept)
        assert_allclose(h_own[:, 0], h[:length, b], rtol=0, atol=1e-12)
        for ours, all_of_them in zip(last_own, last, strict=True):
            assert_allclose(ours[0], all_of_them[b], rtol=0, atol=1e-12)
        # What is asked of the state that a finished sequence keeps falls on its last step.
        d_own = d_states[:length, b : b + 1].copy()
        d_own[-1] += d_states[length:, b : b + 1].sum(axis=0)
        alone = gradients(cell, *own, d_own, tuple(d[b : b + 1] for d in d_last), **kept)
        assert_allclose(alone["x"][:, 0], together["x"][:length, b], rtol=0, atol=1e-12)
        assert_array_equal(together["x"][length:, b], 0.0)
        for name in total:
            total[name] = total[name] + alone[name]
    for name in total:
        assert_allclose(total[name], together[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_may_hold_any_finite_number(cell):
    *arguments, sizes, _ = problem(9, cell, 6, 5, 2, 4)
    x, weights, state = arguments
    d_states, d_last = random_gradients(9, x, state)
    padding = np.arange(5) >= sizes[:, None]
    assert padding.any()
    x[padding] = 0.0
    clean = gradients(cell, *arguments, sizes, d_states, d_last)
    x = np.where(padding[..., None], 1e6, x)
    dirty = gradients(cell, x, weights, state, sizes, d_states, d_last)
    for name in clean:
        assert_array_equal(clean[name], dirty[name])


@pytest.mark.parametrize("cell", CELLS)
def test_pieces_of_a_long_run_equal_the_whole(cell, monkeypatch):
    *arguments, sizes, options = problem(10, cell, 11, 6, 2, 5, masked=True, leaky=True)
    x, _, state = arguments
    d_states, d_last = random_gradients(10, x, state)
    h, last = run(cell, *arguments, sizes, **options)
    whole = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    monkeypatch.setattr(_nodes, "_PIECE", 1)
    h_cut, last_cut = run(cell, *arguments, sizes, **options)
    assert_allclose(h_cut, h, rtol=0, atol=1e-12)
    for ours, theirs in zip(last_cut, last, strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    cut = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    for name in whole:
        assert_allclose(cut[name], whole[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_goes_on_from_the_last_state_of_another(cell):
    x, weights, state, sizes, _ = problem(11, cell, 8, 3, 2, 4)
    sizes[:] = 3
    h, last = run(cell, x, weights, state, sizes)
    work = Workspace()
    first, between = run(cell, x[:5], weights, state, sizes[:5], work=work)
    first = first.copy()
    second, end = run(cell, x[5:], weights, between, sizes[5:], work=work)
    assert_allclose(np.concatenate([first, second]), h, rtol=0, atol=1e-14)
    for ours, theirs in zip(end, last, strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_inputs_may_be_read_only_and_are_not_changed(cell):
    *arguments, sizes, options = problem(12, cell, 5, 4, 2, 3, masked=True, leaky=True)
    x, weights, state = arguments
    d_states, d_last = random_gradients(12, x, state)
    arrays = [x, *weights.values(), *state, sizes, d_states, *d_last, *options.values()]
    copies = [a.copy() for a in arrays]
    expected = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    for a in arrays:
        a.flags.writeable = False
    frozen = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    for name in expected:
        assert_array_equal(frozen[name], expected[name])
    for a, copy in zip(arrays, copies, strict=True):
        assert_array_equal(a, copy)


@pytest.mark.parametrize("cell", CELLS)
def test_steps_equal_a_layer_with_gradients(cell):
    *arguments, sizes, options = problem(13, cell, 4, 3, 2, 5, masked=True, leaky=True)
    x, weights, state = arguments
    sizes[:] = 3
    d_states, d_last = random_gradients(13, x, state)
    expected = gradients(cell, *arguments, sizes, d_states, d_last, **options)
    h, last = run(cell, *arguments, sizes, **options)
    leaves = {name: Var(w, np.zeros_like(w), True) for name, w in weights.items()}
    inputs = [Var(row, None, True) for row in x]
    start = tuple(Var(s, None, True) for s in state)
    with Tape() as tape:
        now, states = start, []
        for row in inputs:
            now = cell_step(cell, row, leaves, now, **options)
            states.append(now[0])
        total = Var(np.zeros(()))
        used = (*states, *now)
        tape.record((total,), used, lambda one: (*d_states, *d_last))
    tape.backward(total)
    for t, s in enumerate(states):
        assert_allclose(s.data, h[t], rtol=0, atol=1e-14)
        assert_allclose(inputs[t].grad, expected["x"][t], rtol=1e-12, atol=1e-13)
    for ours, theirs in zip(now, last, strict=True):
        assert_allclose(ours.data, theirs, rtol=0, atol=1e-14)
    for name in weights:
        assert_allclose(leaves[name].grad, expected[name], rtol=1e-12, atol=1e-13)
    for k, s in enumerate(start):
        assert_allclose(s.grad, expected[f"state {k}"], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_that_are_results_themselves_get_gradients(cell):
    x, weights, state, sizes, _ = problem(14, cell, 4, 3, 2, 3)
    d_states, d_last = random_gradients(14, x, state)
    expected = gradients(cell, x, weights, state, sizes, d_states, d_last)
    leaves = {name: Var(w, None, True) for name, w in weights.items()}
    work = Workspace()
    with Tape() as tape:
        h, last = recurrent_layer(cell, Var(x), leaves, tuple(map(Var, state)), sizes, work=work)
        total = Var(np.zeros(()))
        tape.record((total,), (h, *last), lambda one: (d_states, *d_last))
    tape.backward(total)
    run(cell, x + 1, weights, state, sizes, work=work)
    for name, leaf in leaves.items():
        assert_array_equal(leaf.grad, expected[name])


def test_gradients_are_added_to_what_a_parameter_has():
    x, weights, state, sizes, _ = problem(15, "lstm", 4, 3, 2, 3)
    d_states, d_last = random_gradients(15, x, state)
    expected = gradients("lstm", x, weights, state, sizes, d_states, d_last)
    leaves = {name: Var(w, np.ones_like(w), True) for name, w in weights.items()}
    buffers = {name: leaf.grad for name, leaf in leaves.items()}
    with Tape() as tape:
        h, last = recurrent_layer("lstm", Var(x), leaves, tuple(map(Var, state)), sizes)
        total = Var(np.zeros(()))
        tape.record((total,), (h, *last), lambda one: (d_states, *d_last))
    tape.backward(total)
    for name, leaf in leaves.items():
        assert leaf.grad is buffers[name]
        assert_allclose(leaf.grad, 1 + expected[name], rtol=1e-12, atol=1e-12)


def test_nothing_is_recorded_for_constants():
    x, weights, state, sizes, _ = problem(16, "gru", 3, 2, 2, 3)
    weights = {name: Var(w) for name, w in weights.items()}
    with Tape() as tape:
        h, last = recurrent_layer("gru", Var(x), weights, tuple(map(Var, state)), sizes)
    assert len(tape) == 0
    assert not h.needs_grad
    assert not last[0].needs_grad


def test_a_second_backward_pass_is_refused():
    x, weights, state, sizes, _ = problem(17, "rnn", 3, 2, 2, 3)
    leaves = {name: Var(w, np.zeros_like(w), True) for name, w in weights.items()}
    with Tape() as tape:
        h, _ = recurrent_layer("rnn", Var(x), leaves, tuple(map(Var, state)), sizes)
        total = Var(np.zeros(()))
        tape.record((total,), (h,), lambda one: (np.ones_like(h.data),))
    tape.backward(total)
    with pytest.raises(RuntimeError, match="only once"):
        tape.backward(total)


def test_a_workspace_gives_the_same_memory_again():
    work = Workspace()
    a = work.take("a", (3, 4), np.float32)
    assert a.shape == (3, 4)
    assert np.shares_memory(a, work.take("a", (2, 6), np.float32))
    assert not np.shares_memory(a, work.take("b", (3, 4), np.float32))
    larger = work.take("a", (5, 4), np.float64)
    assert larger.flags.c_contiguous
    assert larger.dtype == np.float64
