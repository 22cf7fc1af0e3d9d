"""Kernels one by one against their oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_reservoir as oracles
from echocast.reservoir import _kernels, _kernels_batch, _kernels_closed
from echocast.reservoir._activations import activations, resolve_activation
from echocast.reservoir._machine import make_reservoir, scratch
from echocast.reservoir._plan import RecurrentPlan, frozen
from echocast.reservoir._warmup import warmup

# A first call may compile.
no_deadline = settings(deadline=None)

LAYOUTS = ("shift", "ell", "csr", "dense")
DTYPES = (np.float64, np.float32)
CODES = {name: resolve_activation(name)[0] for name in activations()}
problems = {
    "seed": st.integers(0, 2**32 - 1),
    "layout": st.sampled_from(LAYOUTS),
    "dtype": st.sampled_from(DTYPES),
    "name": st.sampled_from(activations()),
    "n_units": st.integers(1, 21),
    "width": st.integers(0, 9),
}


def tolerance(dtype):
    # A step sums about ten terms of size one, and the loops below take a few steps.
    return {"rtol": 1e-12, "atol": 1e-12} if dtype == np.float64 else {"rtol": 1e-4, "atol": 2e-5}


def plan_of(layout, n_units, width, rng, dtype):
    """Random arrays of the given layout, whatever `recurrent_plan` would choose."""
    if layout == "dense":
        arrays = (rng.uniform(-0.3, 0.3, (n_units, n_units)),)
    elif layout == "csr":
        counts = rng.randint(0, width + 1, n_units)
        n = counts.sum()
        indptr = np.concatenate([[0], np.cumsum(counts)])
        arrays = indptr, rng.randint(0, n_units, n), rng.uniform(-0.3, 0.3, n)
    else:
        values = rng.uniform(-0.3, 0.3, (width, n_units))
        where = rng.randint(0, n_units, width if layout == "shift" else (width, n_units))
        arrays = where, values
    kinds = {"shift": [np.int64], "ell": [np.uint32], "csr": [np.int64, np.uint32], "dense": []}
    types = [*kinds[layout], dtype]
    return RecurrentPlan(layout, n_units, tuple(frozen(a, t) for a, t in zip(arrays, types)))


def problem(seed, layout, dtype, name, n_units, width):
    """Return a plan, W as the oracle sees it, leak rates, scratch and the random source."""
    rng = np.random.RandomState(seed)
    plan = plan_of(layout, n_units, width, rng, dtype)
    W = oracles.matrix_of(layout, n_units, plan.arrays)
    leak = frozen(rng.uniform(0.1, 1.0, n_units), dtype)
    res = make_reservoir(np.zeros((n_units, 1)), np.eye(n_units), np.zeros(n_units), dtype=dtype)
    buffers = (*scratch(res)[:3], np.empty(2 * n_units, dtype))
    return plan, W, leak, buffers, rng


# -- tanh -------------------------------------------------------------------------------------


def apply(name, values):
    res = make_reservoir(np.zeros((1, 1)), np.eye(1), np.zeros(1), dtype=values.dtype)
    out = values.copy()
    _kernels.activate(CODES[name], out, scratch(res))
    return out


def dense_set(dtype):
    """Numbers of every size, and many where one branch of the range reduction meets the next."""
    rng = np.random.RandomState(0)
    tiny = np.log10(np.finfo(dtype).tiny)
    edges = np.log(2) / 4 * np.arange(1, 40)[:, None] * (1 + np.linspace(-1e-3, 1e-3, 2001))
    magnitudes = 10.0 ** rng.uniform(tiny, 2, 100_000)
    values = np.concatenate([np.linspace(-25, 25, 400_001), edges.ravel(), magnitudes, -magnitudes])
    return values.astype(dtype)


@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 4e-16), (np.float32, 2e-7)])
def test_tanh_is_accurate_to_the_last_digit(dtype, limit):
    if np.finfo(np.longdouble).nmant < 60:
        pytest.skip("no wider floating-point type to compare with")
    values = dense_set(dtype)
    exact = np.tanh(values.astype(np.longdouble))
    nonzero = exact != 0
    error = np.abs(apply("tanh", values)[nonzero] / exact[nonzero] - 1)
    assert error.max() <= limit


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_of_special_values(dtype):
    info = np.finfo(dtype)
    values = np.array([0, np.inf, -np.inf, info.max, -info.max, info.tiny, -info.tiny], dtype)
    expected = np.array([0, 1, -1, 1, -1, info.tiny, -info.tiny], dtype)
    assert_array_equal(apply("tanh", values), expected)
    subnormal = np.array([info.smallest_subnormal], dtype)
    assert_array_equal(apply("tanh", subnormal), subnormal)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 7, 8, 513, 1025])
def test_tanh_is_odd_and_bounded_at_every_length(dtype, n):
    values = np.random.RandomState(n).standard_normal(n).astype(dtype) * 5
    out = apply("tanh", values)
    assert_array_equal(out, -apply("tanh", -values))
    assert_array_equal(out, [apply("tanh", values[i : i + 1])[0] for i in range(n)])
    assert np.abs(out).max() <= 1


# -- activate ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", activations())
def test_activations_equal_the_oracles(name, dtype):
    values = np.concatenate([np.linspace(-30, 30, 2001), [0.0]]).astype(dtype)
    expected = oracles.ACTIVATIONS[name](values.astype(float))
    assert_allclose(apply(name, values), expected, rtol=1e-12 if dtype == np.float64 else 1e-5,
                    atol=1e-16 if dtype == np.float64 else 1e-7)  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", activations())
def test_nan_stays_nan_and_stays_alone(name, dtype):
    values = np.linspace(-1, 1, 37).astype(dtype)
    values[[0, 8, 36]] = np.nan
    assert_array_equal(np.isnan(apply(name, values)), np.isnan(values))


# -- drive ------------------------------------------------------------------------------------


@no_deadline
@given(n_steps=st.integers(0, 4), **problems)
def test_drive_equals_the_oracle(n_steps, seed, layout, dtype, name, n_units, width):
    plan, W, leak, buffers, rng = problem(seed, layout, dtype, name, n_units, width)
    x = rng.uniform(-1, 1, n_units).astype(dtype)
    block = rng.uniform(-1, 1, (n_steps, n_units)).astype(dtype)
    expected = oracles.leaky_states(
        np.eye(n_units), W, 0.0, leak, oracles.ACTIVATIONS[name], block, x
    )
    before = x.copy()
    _kernels.drive(plan.arrays, CODES[name], leak, x, block, buffers)
    assert_allclose(block, expected, **tolerance(dtype))
    assert_array_equal(x, before)


@no_deadline
@given(n_steps=st.integers(0, 4), n_sequences=st.integers(1, 5), **problems)
def test_drive_batch_equals_the_oracle(
    n_steps, n_sequences, seed, layout, dtype, name, n_units, width
):
    plan, W, leak, buffers, rng = problem(seed, layout, dtype, name, n_units, width)
    x = rng.uniform(-1, 1, (n_units, n_sequences)).astype(dtype)
    block = rng.uniform(-1, 1, (n_steps, n_units, n_sequences)).astype(dtype)
    expected = [
        oracles.leaky_states(
            np.eye(n_units), W, 0.0, leak, oracles.ACTIVATIONS[name], block[:, :, m], x[:, m]
        )
        for m in range(n_sequences)
    ]
    spare = np.empty_like(x)
    _kernels_batch.drive_batch(plan.rowwise, CODES[name], leak, x, block, buffers, spare)
    assert_allclose(block, np.stack(expected, axis=2), **tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["shift", "ell", "csr"])
def test_a_batch_rounds_like_its_sequences_alone(layout, dtype):
    plan, _, leak, buffers, rng = problem(3, layout, dtype, "tanh", 61, 7)
    x = rng.uniform(-1, 1, (61, 9)).astype(dtype)
    block = rng.uniform(-1, 1, (20, 61, 9)).astype(dtype)
    alone = np.ascontiguousarray(block.transpose(2, 0, 1))
    _kernels_batch.drive_batch(plan.rowwise, 0, leak, x, block, buffers, np.empty_like(x))
    for m in range(9):
        _kernels.drive(plan.arrays, 0, leak, x[:, m].copy(), alone[m], buffers)
    assert_array_equal(block.transpose(2, 0, 1), alone)


# -- closed loops -----------------------------------------------------------------------------


def readout(rng, n_units, n_outputs, dtype):
    return {
        "loop_in": rng.uniform(-0.5, 0.5, (n_units, n_outputs)).astype(dtype),
        "coef_state": (rng.uniform(-1, 1, (n_outputs, n_units)) / n_units).astype(dtype),
        "coef_output": rng.uniform(-0.3, 0.3, (n_outputs, n_outputs)).astype(dtype),
    }


@no_deadline
@given(n_steps=st.integers(0, 4), n_outputs=st.integers(1, 3), driven=st.booleans(), **problems)
def test_loop_equals_the_oracle(
    n_steps, n_outputs, driven, seed, layout, dtype, name, n_units, width
):
    plan, W, leak, buffers, rng = problem(seed, layout, dtype, name, n_units, width)
    parts = readout(rng, n_units, n_outputs, dtype)
    x = rng.uniform(-1, 1, n_units).astype(dtype)
    y = rng.uniform(-1, 1, n_outputs).astype(dtype)
    base = rng.uniform(-1, 1, (n_steps if driven else 1, n_units)).astype(dtype)
    shift = rng.uniform(-1, 1, (n_steps, n_outputs)).astype(dtype)
    f = oracles.ACTIVATIONS[name]
    drive = np.broadcast_to(base, (n_steps, n_units))
    expected, last = oracles.closed_loop(
        W, 0.0, leak, f, n_steps, x, y, offset=0.0, drive=drive, const=shift, **parts
    )
    out = np.empty_like(shift)
    weights = [frozen(a, dtype) for a in (parts["loop_in"].T, *list(parts.values())[1:])]
    arguments = (plan.arrays, CODES[name], leak, base, *weights, shift, x, y, out)
    _kernels_closed.loop(*arguments, np.empty_like(x), buffers)
    assert_allclose(out, expected, **tolerance(dtype))
    assert_allclose(x, last, **tolerance(dtype))
    assert_array_equal(y, out[-1] if n_steps else y)


@no_deadline
@given(
    n_steps=st.integers(0, 4), n_outputs=st.integers(1, 3), n_paths=st.integers(1, 4), **problems
)
def test_loop_batch_equals_the_oracle(
    n_steps, n_outputs, n_paths, seed, layout, dtype, name, n_units, width
):
    _, W, leak, buffers, rng = problem(seed, layout, dtype, name, n_units, width)
    parts = readout(rng, n_units, n_outputs, dtype)
    joint = np.concatenate([W, parts["loop_in"]], axis=1)
    if layout == "dense":
        weights = (frozen(joint, dtype),)
    else:
        rows, columns = joint.nonzero()
        indptr = np.searchsorted(rows, np.arange(n_units + 1))
        data = joint[rows, columns]
        weights = frozen(indptr, np.int64), frozen(columns, np.uint32), frozen(data, dtype)
    coef = frozen(np.concatenate([parts["coef_state"], parts["coef_output"]], axis=1), dtype)
    xy = rng.uniform(-1, 1, (n_units + n_outputs, n_paths)).astype(dtype)
    base = rng.uniform(-1, 1, (1, n_units)).astype(dtype)
    shift = rng.uniform(-1, 1, (n_steps, n_outputs, n_paths)).astype(dtype)
    f = oracles.ACTIVATIONS[name]
    expected = [
        oracles.closed_loop(
            W, base[0], leak, f, n_steps, xy[:n_units, m], xy[n_units:, m],
            offset=0.0, const=shift[:, :, m], **parts,
        )
        for m in range(n_paths)
    ]  # fmt: skip
    out = np.empty_like(shift)
    work = np.empty((n_units, n_paths), dtype)
    _kernels_closed.loop_batch(
        weights, CODES[name], leak, base, coef, shift, xy, out, work, buffers, np.empty_like(work)
    )
    assert_allclose(out, np.stack([Y for Y, _ in expected], axis=2), **tolerance(dtype))
    assert_allclose(xy[:n_units].T, [x for _, x in expected], **tolerance(dtype))


# -- warmup -----------------------------------------------------------------------------------


def test_after_a_warmup_nothing_is_left_to_compile():
    assert warmup() > 0
    kernels = (
        _kernels.drive,
        _kernels_batch.drive_batch,
        _kernels_closed.loop,
        _kernels_closed.loop_batch,
    )
    known = [len(kernel.signatures) for kernel in kernels]
    for dtype in DTYPES:
        for W in (np.full((9, 9), 0.1), np.eye(9)):
            res = make_reservoir(np.ones((9, 2)), W, np.zeros(9), dtype=dtype)
            block = np.zeros((1, 9), dtype)
            x = np.zeros(9, dtype)
            _kernels.drive(res.plan.arrays, res.code, res.leak, x, block, scratch(res))
    assert [len(kernel.signatures) for kernel in kernels] == known
