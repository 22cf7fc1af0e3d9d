"""The tape and its operations: a table of every operation against central differences."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.reservoir.rnn import _ops as ops
from echocast.reservoir.rnn._tape import Tape, Var, as_var, current_tape, emit, sum_to_shape
from gradients import assert_gradient


class Row(NamedTuple):
    """An operation, the shapes of its arguments and what NumPy says of its value.

    Shapes are words of letters, each a random size, and digits, which are sizes themselves.
    """

    op: str
    shapes: tuple[str, ...]
    run: object
    numpy: object
    positive: bool = False


IDS = np.array([[2, 0, 2], [1, 2, 2]])
MASK = np.array([True, False, True])


def normalised(x, gain, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gain + bias


def softmaxed(x, axis):
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def both(op, f, positive=False):
    """Rows of an operation on two arrays that broadcast."""
    shapes = [("nm", "nm"), ("nm", "m"), ("m", "nm"), ("n1", "1m"), ("nm", ""), ("", "knm")]
    shapes += [("k1m", "n1"), ("", "")]
    return [Row(op, pair, getattr(ops, op), f, positive) for pair in shapes]


def single(op, f, positive=False):
    """Rows of an elementwise function."""
    return [Row(op, (shape,), getattr(ops, op), f, positive) for shape in ("nm", "knm", "")]


TABLE = [
    *both("add", np.add),
    *both("sub", np.subtract),
    *both("mul", np.multiply),
    *both("div", np.divide, positive=True),
    *both("power", np.power, positive=True),
    Row("power", ("nm",), lambda x: ops.power(x, 3), lambda x: x**3),
    *[
        Row("where", pair, partial(ops.where, MASK), partial(np.where, MASK))
        for pair in (("n3", "3"), ("", "n1"), ("3", "n3"))
    ],
    *[
        Row("matmul", shapes, ops.matmul, np.matmul)
        for shapes in [
            ("nm", "mk"),
            ("lnm", "mk"),
            ("lnm", "lmk"),
            ("2lnm", "lmk"),
            ("1nm", "lmk"),
            ("lnm", "1mk"),
            ("nm", "lmk"),
            ("m", "mk"),
            ("nm", "m"),
            ("m", "m"),
            ("lnm", "m"),
            ("m", "lmk"),
        ]
    ],
    *[
        Row("affine", (x, "km", "k"), ops.affine, lambda x, W, b: x @ W.T + b)
        for x in ("nm", "lnm", "m")
    ],
    Row("affine", ("lnm", "km"), ops.affine, lambda x, W: x @ W.T),
    *single("neg", np.negative),
    *single("tanh", np.tanh),
    *single("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    *single("relu", lambda x: np.where(x > 0, x, 0)),
    *single("exp", np.exp),
    *single("log", np.log, positive=True),
    *single("softplus", lambda x: np.log(1 + np.exp(x))),
    *single("square", np.square),
    *single("absolute", np.abs),
    *[
        row
        for axis in (-1, 0, 1)
        for row in (
            Row(
                "softmax",
                ("knm",),
                lambda x, a=axis: ops.softmax(x, a),
                lambda x, a=axis: softmaxed(x, a),
            ),
            Row(
                "log_softmax",
                ("knm",),
                lambda x, a=axis: ops.log_softmax(x, a),
                lambda x, a=axis: np.log(softmaxed(x, a)),
            ),
        )
    ],
    *[
        Row(
            op,
            ("knm",),
            lambda x, o=op, k=kwargs: getattr(ops, o)(x, **k),
            lambda x, o=op, k=kwargs: getattr(np, o)(x, **k),
        )
        for op in ("sum", "mean")
        for kwargs in (
            {},
            {"axis": -1},
            {"axis": 0, "keepdims": True},
            {"axis": (0, 2)},
            {"axis": (0, -1), "keepdims": True},
            {"keepdims": True},
        )
    ],
    *[
        Row("layer_norm", (x, gain, bias), ops.layer_norm, normalised)
        for x, gain, bias in (("n5", "5", "5"), ("kn5", "5", "5"), ("kn4", "n4", "1"))
    ],
    Row("reshape", ("nm",), lambda x: ops.reshape(x, (-1,)), np.ravel),
    Row("reshape", ("n6",), lambda x: ops.reshape(x, (-1, 2, 3)), lambda x: x.reshape(-1, 2, 3)),
    Row("transpose", ("knm",), ops.transpose, np.transpose),
    Row(
        "transpose",
        ("knm",),
        lambda x: ops.transpose(x, (-1, 0, 1)),
        lambda x: np.transpose(x, (2, 0, 1)),
    ),
    Row("concat", ("nm", "nk"), lambda *xs: ops.concat(xs), lambda *xs: np.concatenate(xs, -1)),
    Row(
        "concat",
        ("nmk", "lmk", "1mk"),
        lambda *xs: ops.concat(xs, 0),
        lambda *xs: np.concatenate(xs, 0),
    ),
    *[
        Row(
            "stack",
            ("nm", "nm", "nm"),
            lambda *xs, a=axis: ops.stack(xs, a),
            lambda *xs, a=axis: np.stack(xs, a),
        )
        for axis in (0, 1, -1)
    ],
    Row("unstack", ("nmk",), ops.unstack, lambda x: tuple(x)),
    Row("unstack", ("nm3",), lambda x: ops.unstack(x, -1), lambda x: tuple(np.moveaxis(x, -1, 0))),
    Row("unstack", ("n",), ops.unstack, lambda x: tuple(x)),
    Row(
        "split",
        ("nm5",),
        lambda x: ops.split(x, [2, 1, 2]),
        lambda x: tuple(np.split(x, [2, 3], axis=-1)),
    ),
    Row(
        "split",
        ("3nm",),
        lambda x: ops.split(x, [1, 2], axis=0),
        lambda x: tuple(np.split(x, [1], axis=0)),
    ),
    *[
        Row("getitem", ("3nm",), lambda x, i=index: ops.getitem(x, i), lambda x, i=index: x[i])
        for index in (
            0,
            -1,
            slice(1, None),
            (slice(None), 0),
            (..., slice(None, None, -1)),
            MASK,
            IDS,
            [0, 0, 1],
            (np.array([0, 0]), 0, 0),
            (0, None),
        )
    ],
    Row("getitem", ("nm",), lambda x: ops.getitem(x, (0, 0)), lambda x: x[0, 0]),
    Row("take", ("3m",), lambda x: ops.take(x, IDS), lambda x: x[IDS]),
    Row("take", ("3m",), lambda x: ops.take(x, 1), lambda x: x[1]),
]

rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.op}-{','.join(row.shapes)}")


def arrays_for(row, seed, dtype=np.float64):
    """Random arguments, read-only, with entries away from 0, where some slopes jump."""
    rng = np.random.default_rng(seed)
    sizes = {letter: int(rng.integers(1, 5)) for letter in "klmn"}
    arrays = []
    for word in row.shapes:
        x = rng.standard_normal([sizes.get(c) or int(c) for c in word])
        x = np.asarray(0.2 + np.abs(x) if row.positive else x + 0.2 * np.sign(x), dtype=dtype)
        x.flags.writeable = False
        arrays.append(x)
    return arrays, rng


def outputs_of(result):
    return result if isinstance(result, tuple) else (result,)


def leaf(x):
    return Var(np.asarray(x, dtype=float), needs_grad=True)


def weighted_sum(outputs, weights):
    total = ops.sum(ops.mul(outputs[0], weights[0]))
    for output, weight in zip(outputs[1:], weights[1:]):
        total = ops.add(total, ops.sum(ops.mul(output, weight)))
    return total


# The table


def test_every_operation_has_a_row():
    assert {row.op for row in TABLE} == set(ops.__all__)


@rows
def test_values_are_numpys(row):
    arrays, _ = arrays_for(row, 1)
    expected = outputs_of(row.numpy(*arrays))
    outputs = outputs_of(row.run(*map(Var, arrays)))
    assert len(outputs) == len(expected)
    for output, y in zip(outputs, expected):
        assert type(output.data) is np.ndarray
        assert_allclose(output.data, y, rtol=1e-12, atol=1e-14)  # a few roundings


@rows
@pytest.mark.parametrize("seed", range(3))
def test_gradients_against_central_differences(row, seed):
    arrays, rng = arrays_for(row, seed)
    weights = [rng.standard_normal(np.shape(y)) for y in outputs_of(row.numpy(*arrays))]
    bounds = np.cumsum([0] + [x.size for x in arrays])

    def parts(theta):
        return [theta[i:j].reshape(x.shape) for i, j, x in zip(bounds, bounds[1:], arrays)]

    def loss(theta):
        return float(weighted_sum(outputs_of(row.run(*map(Var, parts(theta)))), weights).data)

    theta = np.concatenate([x.ravel() for x in arrays])
    grad = np.zeros_like(theta)
    with Tape() as tape:
        leaves = [Var(x, g, True) for x, g in zip(parts(theta), parts(grad))]
        total = weighted_sum(outputs_of(row.run(*leaves)), weights)
    tape.backward(total)
    assert_gradient(loss, theta, grad, rng)


def assert_single(array, row):
    """In single precision; before NumPy 2 Python's numbers turn scalars to double, as of means."""
    if not np.__version__.startswith("1.") or (array.ndim and row.op != "mean"):
        assert array.dtype == np.float32


@rows
def test_shapes_and_dtype_of_gradients_and_constants_without(row):
    arrays, rng = arrays_for(row, 4, np.float32)
    for constant in range(-1, len(arrays)):
        parents = [Var(x, needs_grad=k != constant) for k, x in enumerate(arrays)]
        with Tape() as tape:
            outputs = outputs_of(row.run(*parents))
        if len(parents) == 1 and constant == 0:
            assert len(tape) == 0
            continue
        ((recorded, recorded_parents, vjp),) = tape._records
        assert recorded == outputs
        assert recorded_parents == tuple(parents) or row.op == "power"
        grads = []
        for output in outputs:
            assert_single(output.data, row)
            assert output.needs_grad
            grads.append(np.asarray(rng.standard_normal(output.data.shape), dtype=np.float32))
            grads[-1].flags.writeable = False
        for k, grad in zip(range(len(parents)), vjp(*grads)):
            if k == constant and len(parents) > 1:
                assert grad is None
            else:
                assert grad.shape == arrays[k].shape
                assert_single(grad, row)


@rows
def test_nothing_is_recorded_without_a_tape(row):
    arrays, _ = arrays_for(row, 5)
    outputs = outputs_of(row.run(*[Var(x, needs_grad=True) for x in arrays]))
    assert not any(output.needs_grad for output in outputs)


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "power"])
def test_constants_take_the_dtype_of_the_var(op):
    x = Var(np.array([1.5, 2.5], dtype=np.float32), needs_grad=True)
    f = getattr(ops, op)
    for constant in (2, 2.5, np.float64(2.5), np.array([2.5, 0.5])):
        for args in ((x, constant), (constant, x)):
            with Tape() as tape:
                total = ops.sum(f(*args))
            tape.backward(total)
            assert total.data.dtype == x.grad.dtype == np.float32
    assert ops.concat([np.zeros(1), x]).data.dtype == np.float32
    assert ops.stack([x, np.zeros(2)]).data.dtype == np.float32
    assert ops.where([True, False], 0.0, x).data.dtype == np.float32
    assert ops.affine(np.zeros((3, 2)), Var(np.zeros((1, 2), dtype=np.float32))).data.dtype == (
        np.float32
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_arguments_give_finite_values_and_gradients(dtype):
    x = Var(np.array([-1e3, -50, 0, 50, 1e3], dtype=dtype), needs_grad=True)
    for op in (ops.sigmoid, ops.tanh, ops.softplus, ops.softmax, ops.log_softmax, ops.relu):
        x.grad = None
        with Tape() as tape:
            y = op(x)
            total = ops.sum(ops.mul(y, np.arange(5.0)))
        tape.backward(total)
        assert np.isfinite(y.data).all()
        assert np.isfinite(x.grad).all()
    assert_array_equal(ops.softplus(x).data[[0, -1]], [0, 1e3])
    masked = Var(np.array([-np.inf, 0, 0], dtype=dtype))
    assert_array_equal(ops.softmax(masked).data, [0, 0.5, 0.5])


def test_power_of_zero_gives_its_exponent_no_gradient():
    x, p = leaf([0.0, 2.0]), leaf(3.0)
    with Tape() as tape:
        y = ops.sum(ops.power(x, p))
    tape.backward(y)
    assert_allclose(x.grad, [0, 12])
    assert_allclose(p.grad, 8 * np.log(2))


def test_take_and_split_refuse_what_does_not_fit():
    table = Var(np.zeros((3, 2)))
    for ids in ([-1], [3]):
        with pytest.raises(ValueError, match=r"`ids` must be in \[0, 3\)"):
            ops.take(table, ids)
    assert ops.take(table, np.zeros((0, 2), dtype=int)).data.shape == (0, 2, 2)
    with pytest.raises(ValueError, match="`sizes` add up to 3"):
        ops.split(table, [1, 2])


# The tape


def test_two_uses_of_a_var_add_up():
    x = leaf([1.0, 2.0])
    with Tape() as tape:
        y = ops.mul(x, x)  # one record, both parents
        total = ops.sum(ops.add(y, ops.mul(y, x)))  # and a result that is used twice
    tape.backward(total)
    assert_allclose(x.grad, 2 * x.data + 3 * x.data**2)
    assert y.grad is None  # passed on


def test_shared_gradients_are_not_written_to():
    x, y = leaf([1.0]), leaf([2.0])
    with Tape() as tape:
        both = ops.add(x, y)  # hands one array to both
        total = ops.sum(ops.add(both, x))
    tape.backward(total)
    assert_array_equal(x.grad, [2.0])
    assert_array_equal(y.grad, [1.0])


def test_buffers_of_leaves_are_added_to_in_place():
    flat = np.array([10.0, 20.0, 30.0])
    a = Var(np.ones(2), flat[:2], True)
    b = Var(np.ones(1), flat[2:], True)
    with Tape() as tape:
        total = ops.sum(ops.mul(a, ops.mul(b, 3.0)))
    tape.backward(total)
    assert_array_equal(flat, [13, 23, 36])
    tape.backward(total)
    assert_array_equal(flat, [16, 26, 42])
    assert a.grad.base is flat


def test_a_leaf_may_be_the_loss_itself():
    x = Var(np.array(3.0), np.zeros(()), True)
    Tape().backward(x)
    assert x.grad == 1


def test_a_tape_serves_several_results():
    x = leaf([1.0, 2.0])
    with Tape() as tape:
        y = ops.square(x)
        first, second = ops.unstack(y)
    jacobian = []
    for output in (first, second):
        tape.backward(output)
        jacobian.append(x.grad)
        x.grad = None
    assert_array_equal(jacobian, [[2, 0], [0, 4]])


def test_what_the_loss_does_not_use_is_skipped():
    def never(*_):
        raise AssertionError("called")

    x = leaf([1.0])
    with Tape() as tape:
        emit(np.zeros(1), (x,), never)
        tape.record((Var(np.zeros(1)), Var(np.zeros(1))), (x,), never)
        total = ops.sum(x)
    tape.backward(total)
    assert_array_equal(x.grad, [1])


def test_unused_outputs_arrive_as_none_and_none_is_no_gradient():
    seen = []
    x, y, buffered = leaf([1.0]), leaf([1.0]), Var(np.ones(1), np.zeros(1), True)

    def vjp(first, second):
        seen.append((first, second))
        buffered.grad += 5 * second
        return second, None, None

    with Tape() as tape:
        outputs = (Var(np.ones(1)), Var(np.ones(1)))
        tape.record(outputs, (x, y, buffered), vjp)
        total = ops.sum(ops.mul(outputs[1], 2.0))
    tape.backward(total)
    assert seen == [(None, 2.0)]
    assert (x.grad, y.grad, buffered.grad) == (2, None, 10)


def test_constants_are_neither_recorded_nor_given_gradients():
    c, x = Var(np.ones(2)), leaf([1.0, 2.0])
    with Tape() as tape:
        ops.mul(c, ops.exp(c))
        assert len(tape) == 0
        total = ops.sum(ops.mul(c, x))
    tape.backward(total)
    assert c.grad is None
    assert not c.needs_grad


def test_steps_in_a_loop_keep_their_own_values():
    x, h = leaf([0.5]), as_var(np.zeros(1))
    with Tape() as tape:
        for t in range(3):
            h = ops.tanh(ops.add(ops.mul(x, float(t)), h))
    tape.backward(h)
    slope = state = 0.0
    for t in range(3):
        state = np.tanh(0.5 * t + state)
        slope = (1 - state**2) * (t + slope)
    assert_allclose(x.grad, slope)


def test_tapes_nest_and_failures_restore_the_outer_one():
    x = leaf([1.0])
    with Tape() as outer:
        with Tape() as inner:
            assert current_tape() is inner
            ops.exp(x)
        assert current_tape() is outer

        def fail():
            with Tape():
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert current_tape() is outer
        with outer:  # again, within itself
            ops.exp(x)
        assert current_tape() is outer
    assert current_tape() is None
    assert (len(outer), len(inner)) == (1, 1)


def test_threads_have_their_own_tapes():
    barrier = threading.Barrier(2, timeout=30)
    results = SimpleNamespace(grads={}, lengths={}, before={})

    def work(k):
        results.before[k] = current_tape()
        x = leaf([float(k)])
        with Tape() as tape:
            y = x
            for _ in range(k + 1):
                barrier.wait()
                y = ops.mul(y, x)
            for _ in range(2 - k):
                barrier.wait()
            total = ops.sum(y)
            tape.backward(total)
        results.grads[k], results.lengths[k] = x.grad, len(tape)

    with Tape() as mine:
        threads = [threading.Thread(target=work, args=(k,)) for k in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(mine) == 0
    assert results.before == {0: None, 1: None}
    assert results.lengths == {0: 2, 1: 3}
    assert_allclose([results.grads[0], results.grads[1]], [[0], [3]])


def test_backward_refuses_what_is_no_loss():
    with Tape() as tape:
        y = ops.exp(leaf([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"must be a scalar, got shape \(2,\)"):
        tape.backward(y)
    with pytest.raises(ValueError, match="depends on no parameter"):
        tape.backward(ops.sum(Var(np.ones(2))))


def test_as_var_keeps_vars_and_wraps_the_rest():
    x = leaf([1.0])
    assert as_var(x) is x
    constant = as_var([1, 2], np.float32)
    assert constant.data.dtype == np.float32
    assert not constant.needs_grad
    assert repr(constant) == "<constant of shape (2,), float32>"
    assert repr(x) == "<Var of shape (1,), float64>"


@pytest.mark.parametrize("shape", [(), (4,), (1,), (3, 1), (1, 4), (2, 1, 4), (2, 3, 4), (1, 1, 1)])
def test_sum_to_shape_undoes_broadcasting(shape):
    g = np.random.default_rng(0).standard_normal((2, 3, 4))
    x = np.random.default_rng(1).standard_normal(shape)
    summed = sum_to_shape(g, shape)
    assert summed.shape == shape
    # The adjoint of broadcasting: <broadcast x, g> = <x, summed g>.
    assert_allclose(np.vdot(np.broadcast_to(x, g.shape), g), np.vdot(x, summed), rtol=1e-12)
