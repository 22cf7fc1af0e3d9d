"""Running reservoirs: against the oracle, in pieces, in groups, in workers, and interrupted."""

import _thread
import pickle
import threading
import time

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import oracles_reservoir as oracles
from echocast.exceptions import ForecastDivergedError
from echocast.reservoir import _closed, _drive
from echocast.reservoir._activations import activations
from echocast.reservoir._drive import (
    closed_loop,
    closed_loop_batch,
    input_drive,
    iter_sequences,
    last_state_after,
    make_reservoir,
    reduce_sequences,
    run_states,
    state_blocks,
)

# A first call may compile.
no_deadline = settings(deadline=None, max_examples=50)
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float64, np.float32])
layouts = st.sampled_from(["shift", "ell", "csr", "dense"])
LAYOUTS = ["shift", "ell", "csr", "dense"]


def softsign(z):
    return z / (1 + np.abs(z))


def tolerance(dtype):
    return {"rtol": 1e-12, "atol": 1e-12} if dtype == np.float64 else {"rtol": 1e-4, "atol": 2e-5}


def matrix(layout, n_units, rng):
    """A contractive matrix for which the plan has the asked layout."""
    if layout == "dense":
        return rng.uniform(-1, 1, (n_units, n_units)) / n_units
    if layout == "shift":
        return 0.4 * np.roll(np.eye(n_units), 1, axis=1) + 0.3 * np.roll(np.eye(n_units), 3, axis=1)
    W = np.zeros((n_units, n_units))
    for i in range(n_units):
        W[i, rng.choice(n_units, 3, replace=False)] = rng.uniform(-0.3, 0.3, 3)
    if layout == "csr":
        W[::2] = 0.0
        W[1, : n_units // 2] = 0.1
    return W


def problem(seed, layout, dtype, activation="tanh", n_units=40, n_inputs=2, n_outputs=0):
    """Return the reservoir, the oracle's arguments, and the random source."""
    rng = np.random.RandomState(seed)
    parts = {
        "W_in": rng.uniform(-1, 1, (n_units, n_inputs)).astype(dtype),
        "W": matrix(layout, n_units, rng).astype(dtype),
        "b": rng.uniform(-1, 1, n_units).astype(dtype),
        "leak": rng.uniform(0.2, 1, n_units).astype(dtype),
    }
    W_fb = rng.uniform(-1, 1, (n_units, n_outputs)).astype(dtype) if n_outputs else None
    res = make_reservoir(
        parts["W_in"], sparse.csr_array(parts["W"]), parts["b"],
        leak_rate=parts["leak"], activation=activation, W_fb=W_fb, dtype=dtype,
    )  # fmt: skip
    assert res.plan.layout == layout
    f = activation if callable(activation) else oracles.ACTIVATIONS[activation]
    return res, {**parts, "f": f, "W_fb": W_fb}, rng


def readout(rng, n_units, n_outputs=2):
    return {
        "coef_state": rng.uniform(-1, 1, (n_outputs, n_units)) / n_units,
        "coef_output": rng.uniform(-0.3, 0.3, (n_outputs, n_outputs)),
        "offset": rng.uniform(-1, 1, n_outputs),
        "loop_in": rng.uniform(-0.5, 0.5, (n_units, n_outputs)),
    }


# -- the reservoir ----------------------------------------------------------------------------


def test_reservoir_knows_its_sizes():
    res, parts, _ = problem(0, "ell", np.float32, n_inputs=3, n_outputs=2)
    assert (res.n_units, res.n_inputs, res.dtype) == (40, 3, np.float32)
    assert_array_equal(
        res.projection, np.column_stack([parts["W_in"], parts["b"], parts["W_fb"]]).T
    )


def test_scalar_leak_rate_is_one_for_each_unit():
    res = make_reservoir(np.ones((3, 1)), np.eye(3), np.zeros(3), leak_rate=0.25)
    assert_array_equal(res.leak, np.full(3, 0.25))


# -- one sequence -----------------------------------------------------------------------------


@no_deadline
@given(
    seed=seeds, layout=layouts, dtype=dtypes, n_steps=st.integers(0, 12),
    n_inputs=st.integers(0, 3), n_outputs=st.integers(0, 2),
    activation=st.sampled_from([*activations(), softsign]),
)  # fmt: skip
def test_run_states_equals_the_oracle(
    seed, layout, dtype, n_inputs, n_outputs, activation, n_steps
):
    sizes = {"n_inputs": n_inputs, "n_outputs": n_outputs}
    res, parts, rng = problem(seed, layout, dtype, activation, **sizes)
    X = rng.uniform(-1, 1, (n_steps, n_inputs))
    x0 = rng.uniform(-1, 1, 40)
    feedback = rng.uniform(-1, 1, (n_steps, n_outputs)) if n_outputs else None
    states, last = run_states(res, X, x0, feedback=feedback)
    expected = oracles.leaky_states(X=X, x0=x0, feedback=feedback, **parts)
    assert states.dtype == dtype
    assert_allclose(states, expected, **tolerance(dtype))
    assert_array_equal(last, states[-1] if n_steps else x0.astype(dtype))
    assert_array_equal(last_state_after(res, X, x0, feedback=feedback), last)


@no_deadline
@given(seed=seeds, layout=layouts, dtype=dtypes, n_steps=st.integers(2, 60), data=st.data())
def test_two_pieces_equal_the_whole(seed, layout, dtype, n_steps, data):
    res, _, rng = problem(seed, layout, dtype)
    X = rng.uniform(-1, 1, (n_steps, 2))
    cut = data.draw(st.integers(0, n_steps))
    whole, last = run_states(res, X)
    first, between = run_states(res, X[:cut])
    second, end = run_states(res, X[cut:], between)
    assert_allclose(np.concatenate([first, second]), whole, **tolerance(dtype))
    assert_allclose(end, last, **tolerance(dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_length_of_blocks_changes_no_bit(layout, dtype, monkeypatch):
    res, _, rng = problem(0, layout, dtype)
    X = rng.uniform(-1, 1, (300, 2))
    whole = run_states(res, X)[0]
    monkeypatch.setattr(_drive, "BLOCK_BYTES", 64 * res.n_units * res.dtype.itemsize)
    starts = [start for start, _ in state_blocks(res, X)]
    assert starts == [0, 64, 128, 192, 256]
    assert_array_equal(run_states(res, X)[0], whole)


def test_repeated_calls_give_the_same_bits():
    res, _, rng = problem(0, "ell", np.float64)
    X = rng.uniform(-1, 1, (200, 2))
    assert_array_equal(run_states(res, X)[0], run_states(res, X)[0])


def test_blocks_are_views_that_the_caller_may_change():
    res, _, rng = problem(0, "ell", np.float64)
    X = rng.uniform(-1, 1, (30_000, 2))
    whole = run_states(res, X)[0]
    seen = []
    for start, block in state_blocks(res, X):
        assert_array_equal(block, whole[start : start + len(block)])
        seen.append(block.ctypes.data)
        block[:] = np.nan
    assert len(seen) > 1
    assert len(set(seen)) == 1


def test_states_go_where_they_are_asked_to():
    res, _, rng = problem(0, "ell", np.float64)
    X = rng.uniform(-1, 1, (50, 2))
    out = np.empty((50, 40))
    assert run_states(res, X, out=out)[0] is out
    assert_array_equal(out, run_states(res, X)[0])


def test_a_reservoir_forgets_its_initial_state():
    res, _, rng = problem(0, "dense", np.float64)
    X = rng.uniform(-1, 1, (400, 2))
    assert_allclose(last_state_after(res, X), last_state_after(res, X, np.ones(40)), atol=1e-12)


def test_poisoned_rows_do_not_reach_back():
    res, _, rng = problem(0, "ell", np.float64)
    X = rng.uniform(-1, 1, (50, 2))
    clean = run_states(res, X)[0]
    X[30, 0] = np.nan
    states = run_states(res, X)[0]
    assert_array_equal(states[:30], clean[:30])
    assert np.isnan(states[30:]).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [">f8", "f4", "i4", "?"])
def test_rows_of_any_type_and_order_are_read(kind, order):
    res, _, rng = problem(0, "ell", np.float64)
    X = rng.randint(0, 2, (20, 2))
    given_X = np.array(X, dtype=kind, order=order)
    given_X.setflags(write=False)
    assert_array_equal(run_states(res, given_X)[0], run_states(res, X.astype(float))[0])
    assert_array_equal(run_states(res, given_X[::2])[0], run_states(res, X[::2].astype(float))[0])


@pytest.mark.parametrize("X", [np.zeros((5, 3)), np.zeros(5), np.zeros((2, 5, 2))])
def test_rows_of_another_width_are_refused(X):
    res, _, _ = problem(0, "ell", np.float64)
    with pytest.raises(ValueError, match=r"X must have shape \(n_steps, 2\)"):
        run_states(res, X)


def test_initial_state_of_another_length_is_refused():
    res, _, _ = problem(0, "ell", np.float64)
    with pytest.raises(ValueError, match="initial_state"):
        run_states(res, np.zeros((5, 2)), np.zeros(41))


@pytest.mark.parametrize("feedback", [None, np.zeros((4, 1)), np.zeros((5, 2))])
def test_feedback_that_does_not_fit_is_refused(feedback):
    res, _, _ = problem(0, "ell", np.float64, n_outputs=1)
    with pytest.raises(ValueError, match="feedback"):
        run_states(res, np.zeros((5, 2)), feedback=feedback)
    without, _, _ = problem(0, "ell", np.float64)
    with pytest.raises(ValueError, match="feedback"):
        run_states(without, np.zeros((5, 2)), feedback=np.zeros((5, 1)))


# -- noise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_noise_is_drawn_row_by_row_whatever_the_blocks(dtype, monkeypatch):
    res, parts, rng = problem(0, "ell", dtype)
    X = rng.uniform(-1, 1, (90, 2))
    noise = 0.1 * np.random.RandomState(5).standard_normal((90, 40))
    expected = oracles.leaky_states(X=X, x0=np.zeros(40), noise=noise, **parts)
    monkeypatch.setattr(_drive, "BLOCK_BYTES", 7 * res.n_units * res.dtype.itemsize)
    for start, block in state_blocks(res, X, noise=0.1, rng=np.random.RandomState(5)):
        assert_allclose(block, expected[start : start + len(block)], **tolerance(dtype))


def test_noise_of_sequences_is_drawn_in_their_order():
    res, _, rng = problem(0, "ell", np.float64)
    sequences = [rng.uniform(-1, 1, (n, 2)) for n in (5, 30, 6, 6, 6, 7)]
    found = collect(res, sequences, noise=0.1, rng=np.random.RandomState(5))
    source = np.random.RandomState(5)
    for states, X in zip(found, sequences):
        (_, expected) = next(state_blocks(res, X, noise=0.1, rng=source))
        assert_array_equal(states, expected)


# -- many sequences ---------------------------------------------------------------------------


def collect(res, sequences, *args, **kwargs):
    """States of each sequence, checked to come in the order of time and to be complete."""
    found = [np.zeros((0, res.n_units), dtype=res.dtype) for _ in sequences]
    for i, start, states in iter_sequences(res, sequences, *args, **kwargs):
        assert start == len(found[i])
        found[i] = np.concatenate([found[i], states])
    assert [len(states) for states in found] == [len(X) for X in sequences]
    return found


@no_deadline
@given(
    seed=seeds, layout=layouts, dtype=dtypes, n_outputs=st.integers(0, 1),
    activation=st.sampled_from(["tanh", softsign]),
    lengths=st.lists(st.integers(0, 40), max_size=12), block=st.sampled_from([1, 7, 1000]),
)  # fmt: skip
def test_sequences_equal_separate_runs(seed, layout, dtype, n_outputs, activation, lengths, block):
    res, _, rng = problem(seed, layout, dtype, activation, n_outputs=n_outputs)
    sequences = [rng.uniform(-1, 1, (n, 2)) for n in lengths]
    starts = rng.uniform(-1, 1, (len(lengths), 40))
    feedback = [rng.uniform(-1, 1, (n, 1)) for n in lengths] if n_outputs else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_drive, "_BATCH_BYTES", block * 8 * 40 * res.dtype.itemsize)
        found = collect(res, sequences, starts, feedback=feedback)
    for i, X in enumerate(sequences):
        f = None if feedback is None else feedback[i]
        assert_allclose(found[i], run_states(res, X, starts[i], feedback=f)[0], **tolerance(dtype))


@pytest.mark.parametrize("layout", ["shift", "ell", "csr"])
def test_states_of_a_sequence_do_not_depend_on_the_others(layout):
    res, _, rng = problem(0, layout, np.float64)
    sequences = [rng.uniform(-1, 1, (n, 2)) for n in rng.randint(20, 60, 70)]
    together = collect(res, sequences)
    for i in range(0, 70, 9):
        assert_array_equal(together[i], run_states(res, sequences[i])[0])
    sequences[3][10:] = np.nan
    poisoned = collect(res, sequences)
    for i in set(range(70)) - {3}:
        assert_array_equal(poisoned[i], together[i])


@no_deadline
@given(seed=seeds, dtype=dtypes, lengths=st.lists(st.integers(0, 30), max_size=12), data=st.data())
def test_reductions_are_those_of_the_states(seed, dtype, lengths, data):
    res, _, rng = problem(seed, "ell", dtype)
    sequences = [rng.uniform(-1, 1, (n, 2)) for n in lengths]
    skip = st.integers(0, 10)
    washout = data.draw(st.one_of(skip, st.builds(np.array, st.tuples(*[skip] * len(lengths)))))
    last, mean = reduce_sequences(res, sequences, washout=washout)
    assert last.shape == mean.shape == (len(lengths), 40)
    for i, X in enumerate(sequences):
        states = run_states(res, X)[0].astype(float)
        kept = states[np.broadcast_to(washout, len(lengths))[i] :]
        assert_allclose(last[i], states[-1] if len(X) else 0, **tolerance(dtype))
        assert_allclose(mean[i], kept.mean(axis=0) if len(kept) else 0, **tolerance(dtype))


def test_groups_hold_similar_lengths_and_every_index_once():
    lengths = [0, 100, 99, 51, 50, 49, 48, 47, 9, 1000, *[20] * 40]
    res, _, _ = problem(0, "ell", np.float64)
    groups = _drive.sequence_groups(res, lengths)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        inside = [lengths[i] for i in group]
        assert inside == sorted(inside, reverse=True)
        assert len(group) == 1 or (len(group) >= 4 and 2 * inside[-1] >= inside[0])
    assert max(len(group) for group in groups) <= 32
    diagonals, _, _ = problem(0, "shift", np.float64)
    alone = [[i] for i in range(len(lengths))]
    assert _drive.sequence_groups(diagonals, lengths) == alone
    assert _drive.sequence_groups(res, lengths, one_by_one=True) == alone


# -- closed loops -----------------------------------------------------------------------------


@no_deadline
@given(
    seed=seeds, layout=layouts, dtype=dtypes, n_steps=st.integers(0, 12),
    activation=st.sampled_from(["tanh", "sin", softsign]),
    extras=st.sets(st.sampled_from(["drive", "const", "innovations"])),
)  # fmt: skip
def test_closed_loop_equals_the_oracle(seed, layout, dtype, n_steps, activation, extras):
    res, parts, rng = problem(seed, layout, dtype, activation)
    weights = readout(rng, 40)
    shapes = {"drive": (n_steps, 40), "const": (n_steps, 2), "innovations": (n_steps, 2)}
    more = {name: rng.uniform(-0.5, 0.5, shapes[name]) for name in sorted(extras)}
    x0, y0 = rng.uniform(-1, 1, 40), rng.uniform(-1, 1, 2)
    Y, x = closed_loop(res, n_steps, x0, y0, **weights, **more)
    hidden = {name: parts[name] for name in ("W", "b", "leak", "f")}
    expected, last = oracles.closed_loop(n_steps=n_steps, x0=x0, y0=y0, **hidden, **weights, **more)
    assert Y.dtype == x.dtype == dtype
    assert_allclose(Y, expected, **tolerance(dtype))
    assert_allclose(x, last, **tolerance(dtype))


@no_deadline
@given(
    seed=seeds, layout=layouts, dtype=dtypes, n_steps=st.integers(0, 8), n_paths=st.integers(1, 5),
    activation=st.sampled_from(["tanh", softsign]), shared=st.booleans(), tile=st.integers(1, 5),
)  # fmt: skip
def test_paths_side_by_side_equal_separate_ones(
    seed, layout, dtype, n_steps, n_paths, activation, shared, tile
):
    res, _, rng = problem(seed, layout, dtype, activation)
    weights = readout(rng, 40)
    x0, y0 = rng.uniform(-1, 1, (40, n_paths)), rng.uniform(-1, 1, (2, n_paths))
    innovations = rng.uniform(-0.5, 0.5, (n_steps, 2, n_paths))
    const = rng.uniform(-0.5, 0.5, (n_steps, 2) if shared else (n_steps, 2, n_paths))
    drive = rng.uniform(-0.5, 0.5, (n_steps, 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_closed, "_TILE", tile)
        Y, x = closed_loop_batch(
            res, n_steps, x0, y0, **weights, drive=drive, const=const, innovations=innovations
        )
    assert Y.shape == (n_steps, 2, n_paths)
    for m in range(n_paths):
        own = const if shared else const[:, :, m]
        alone, last = closed_loop(
            res, n_steps, x0[:, m], y0[:, m],
            **weights, drive=drive, const=own, innovations=innovations[:, :, m],
        )  # fmt: skip
        assert_allclose(Y[:, :, m], alone, **tolerance(dtype))
        assert_allclose(x[:, m], last, **tolerance(dtype))


def test_closed_loop_in_blocks_equals_one_run(monkeypatch):
    res, _, rng = problem(0, "ell", np.float64)
    weights, X = readout(rng, 40), rng.uniform(-1, 1, (60, 2))
    arguments = res, 60, np.zeros(40), np.ones(2)
    whole = closed_loop(*arguments, **weights, drive=X @ res.W_in.T)[0]
    monkeypatch.setattr(_closed, "BLOCK_BYTES", 7 * 40 * 8)
    pieces = closed_loop(*arguments, **weights, drive=input_drive(res, X))[0]
    assert_allclose(pieces, whole, rtol=1e-12)


def test_teacher_forcing_with_the_own_output_is_the_closed_loop():
    res, _, rng = problem(0, "shift", np.float64, n_outputs=2)
    X, weights = rng.uniform(-1, 1, (30, 2)), {**readout(rng, 40), "coef_output": np.zeros((2, 2))}
    weights["loop_in"] = res.W_fb
    Y, x = closed_loop(res, 30, np.zeros(40), np.zeros(2), **weights, drive=input_drive(res, X))
    before = np.concatenate([np.zeros((1, 2)), Y[:-1]])
    states, last = run_states(res, X, feedback=before)
    assert_allclose(last, x, rtol=1e-12)
    assert_allclose(states @ weights["coef_state"].T + weights["offset"], Y, rtol=1e-12)


@pytest.mark.parametrize("n_paths", [None, 3])
def test_divergence_names_the_step_and_the_last_size(n_paths, monkeypatch):
    monkeypatch.setattr(_closed, "BLOCK_BYTES", 7 * 40 * 8 * (n_paths or 1))
    res, _, rng = problem(0, "ell", np.float64)
    weights = {**readout(rng, 40), "coef_state": np.zeros((2, 40)), "offset": np.zeros(2)}
    weights["coef_output"] = 1e30 * np.eye(2)
    if n_paths is None:
        run, x0, y0 = closed_loop, np.zeros(40), np.ones(2)
    else:
        run, x0, y0 = closed_loop_batch, np.zeros((40, n_paths)), np.ones((2, n_paths))
    with pytest.raises(ForecastDivergedError) as caught:
        run(res, 30, x0, y0, **weights)
    # 1e30 to the eleventh power is beyond the largest number, 1.8e308.
    assert caught.value.step == 10
    assert caught.value.last_finite == pytest.approx(1e300)


def test_arguments_are_left_alone():
    res, _, rng = problem(0, "ell", np.float64)
    weights = readout(rng, 40)
    given_arrays = [np.ones(40), np.ones(2), np.ones((40, 3)), np.ones((2, 3)), *weights.values()]
    before = [array.copy() for array in given_arrays]
    for array in given_arrays:
        array.setflags(write=False)
    closed_loop(res, 5, *given_arrays[:2], **weights)
    closed_loop_batch(res, 5, *given_arrays[2:4], **weights)
    run_states(res, np.zeros((3, 2)), given_arrays[0])
    for array, copy in zip(given_arrays, before):
        assert_array_equal(array, copy)


# -- workers and interrupts -------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_compute_the_same_bits(backend):
    res, _, rng = problem(0, "ell", np.float64)
    X = rng.uniform(-1, 1, (3000, 2))
    expected = run_states(res, X)[0]
    with joblib.Parallel(n_jobs=2, backend=backend, max_nbytes=1000) as parallel:
        for states, _ in parallel(joblib.delayed(run_states)(res, X) for _ in range(3)):
            assert_array_equal(states, expected)


@pytest.mark.parametrize("activation", ["tanh", np.tanh])
def test_pickled_reservoir_is_the_same(activation):
    res, _, rng = problem(0, "shift", np.float32, "tanh", n_outputs=1)
    res = make_reservoir(res.W_in, res.plan.matrix, res.b, activation=activation, dtype=np.float32)
    copy = pickle.loads(pickle.dumps(res))
    X = rng.uniform(-1, 1, (30, 2))
    assert_array_equal(run_states(copy, X)[0], run_states(res, X)[0])
    for array in (copy.W_in, copy.b, copy.leak, *copy.plan.arrays):
        assert not array.flags.writeable


@pytest.mark.parametrize("layout", ["ell", "dense"])
@pytest.mark.parametrize("job", ["drive", "sequences", "loop", "paths"])
def test_ctrl_c_is_served_within_half_a_second(job, layout):
    n_units = 400
    res, _, rng = problem(0, layout, np.float64, n_units=n_units)
    weights = readout(rng, n_units)

    def run(n_steps):
        if job == "drive":
            last_state_after(res, np.broadcast_to(np.ones(2), (n_steps, 2)))
        elif job == "sequences":
            reduce_sequences(res, [np.broadcast_to(np.ones(2), (n_steps, 2))] * 8)
        elif job == "loop":
            closed_loop(res, n_steps, np.zeros(n_units), np.zeros(2), **weights)
        else:
            zeros = np.zeros((n_units, 40)), np.zeros((2, 40))
            closed_loop_batch(res, n_steps, *zeros, **weights)

    run(2)
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        _thread.interrupt_main()

    timer = threading.Timer(0.2, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(1_000_000)
    finally:
        timer.cancel()
    assert time.perf_counter() - sent[0] < 0.5
