"""Neural Turing machines: an oracle, gradients, batches, what they learn, bad inputs."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import oracles_memory as oracle
from echocast.datasets import copy_task
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import NeuralTuringMachine
from echocast.reservoir.rnn import _ops as ops
from echocast.reservoir.rnn._bits import BitBatch, bit_loss
from echocast.reservoir.rnn._memory_step import MemoryShape, memory_step
from echocast.reservoir.rnn._tape import Tape, Var
from gradients import assert_gradient
from rnn_fits import deep_state

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
SMALL = {"n_units": 7, "memory_shape": (6, 4), "batch_size": 4, "max_iter": 2, "random_state": 0,
         "dtype": "float64"}  # fmt: skip
KINDS = {
    "feedforward": {},
    "lstm": {"controller": "lstm"},
    "many heads": {"n_write_heads": 2, "n_read_heads": 3},
    "far shifts": {"max_shift": 2},
    "no shifts": {"max_shift": 0, "memory_shape": (2, 1)},
}
X, Y, WEIGHTS = copy_task(10, (1, 4), n_bits=3, random_state=0)


def small(**params):
    return NeuralTuringMachine(**{**SMALL, **params})


def fitted(**params):
    return small(**params).fit(X, Y, sample_weight=WEIGHTS)


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    return fitted(**KINDS[request.param])


# ------------------------------------------------------------------------- one step

SHAPES = [
    MemoryShape(6, 4, 1, 1, 3),
    MemoryShape(5, 3, 2, 3, 5),
    MemoryShape(3, 2, 1, 2, 1),
    MemoryShape(3, 1, 3, 1, 3),
]


def step_arguments(shape, n=3, seed=0, dtype=np.float64):
    rng = np.random.RandomState(seed)
    before = rng.dirichlet(np.ones(shape.n_slots), size=(n, shape.n_heads))
    raw = 2 * rng.randn(n, shape.n_raw)
    return [a.astype(dtype) for a in (raw, rng.randn(n, shape.n_slots, shape.width), before)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_equals_the_oracle(shape):
    arguments = step_arguments(shape)
    outputs = memory_step(*map(Var, arguments), shape)
    for b, one in enumerate(zip(*arguments)):
        expected = oracle.memory_step(*one, shape.n_writing, shape.n_shifts)
        for found, value in zip(outputs, expected, strict=True):
            assert_allclose(found.data[b], value, **CLOSE)


@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_two_steps(shape, which):
    """Through memory, addresses and what is read, each alone and together."""
    rng = np.random.RandomState(1)
    shapes = [a.shape for a in step_arguments(shape)]
    theta = np.concatenate([a.reshape(-1) for a in step_arguments(shape)])
    slopes = [
        rng.randn(*v.data.shape) for v in memory_step(*map(Var, step_arguments(shape)), shape)
    ]

    def parts(vector):
        cuts = np.cumsum([np.prod(s) for s in shapes])[:-1]
        return [part.reshape(s) for part, s in zip(np.split(vector, cuts), shapes)]

    def total(leaves):
        first = memory_step(*leaves, shape)
        second = memory_step(ops.mul(leaves[0], -0.5), first[0], first[1], shape)
        terms = [ops.sum(ops.mul(second[k], slopes[k])) for k in which]
        terms.append(ops.sum(ops.mul(first[2], slopes[2])))
        return ops.sum(ops.stack(terms))

    grad = np.zeros_like(theta)
    leaves = [Var(a, g, True) for a, g in zip(parts(theta), parts(grad))]
    with Tape() as tape:
        loss = total(leaves)
    tape.backward(loss)
    assert_gradient(lambda v: float(total(list(map(Var, parts(v)))).data), theta, grad, rng)


def test_a_step_in_float32():
    shape = SHAPES[1]
    single = memory_step(*map(Var, step_arguments(shape, dtype=np.float32)), shape)
    double = memory_step(*map(Var, step_arguments(shape)), shape)
    for a, b in zip(single, double):
        assert a.data.dtype == np.float32
        assert_allclose(a.data, b.data, atol=1e-4)


def test_sharp_heads_far_from_anything_stay_finite():
    """Large numbers from the controller, and a memory of zeros: no division by zero."""
    shape = MemoryShape(8, 3, 1, 1, 3)
    rng = np.random.RandomState(0)
    before = np.zeros((2, 2, 8), np.float32)
    before[:, :, 0] = 1
    raw = Var(300 * rng.randn(2, shape.n_raw).astype(np.float32), None, True)
    memory = Var(np.zeros((2, 8, 3), np.float32), None, True)
    with Tape() as tape:
        outputs = memory_step(raw, memory, Var(before), shape)
        loss = ops.sum(ops.square(outputs[2]))
    tape.backward(loss)
    assert_allclose(outputs[1].data.sum(axis=-1), 1, rtol=1e-5)
    assert np.isfinite(raw.grad).all()
    assert np.isfinite(memory.grad).all()


# ---------------------------------------------------------------------- the machine


def test_outputs_and_addresses_equal_the_oracle(model):
    shares, addresses = model.predict_proba(X), model.addresses(X)
    n_writing = model._fit_shape.n_writing
    for i, x in enumerate(X):
        logits, weights = oracle.machine(model, x)
        assert_allclose(shares[i], expit(logits), **CLOSE)
        assert_allclose(addresses.write[i], weights[:, :n_writing], **CLOSE)
        assert_allclose(addresses.read[i], weights[:, n_writing:], **CLOSE)


def test_a_sequence_does_not_depend_on_its_batch(model):
    together = model.predict_proba(X)
    for i in (0, 3, 9):
        assert_allclose(model.predict_proba([X[i]])[0], together[i], **CLOSE)
    longer, _, _ = copy_task(70, (1, 9), n_bits=3, random_state=1)
    for a, b in zip(model.predict_proba([*X, *longer]), together):
        assert_allclose(a, b, **CLOSE)


def test_outputs_see_no_future(model):
    x = X[1]
    changed = x.copy()
    changed[-1] = 1 - changed[-1]
    a, b = model.predict_proba([x, changed])
    assert_array_equal(a[:-1], b[:-1])
    assert (a[-1] != b[-1]).any()


def test_gradient_of_the_loss(model):
    rng = np.random.RandomState(0)
    T, B = 5, 3
    inputs, bits = rng.randn(T, B, 4), rng.randint(0, 2, (T, B, 3)).astype(float)
    weights = rng.dirichlet(np.ones(T * B)).reshape(T, B)
    batch = BitBatch(inputs, bits, weights, np.ones((T, B), bool), 1.0)
    layout, theta = model._fit_layout, model.theta_ + 0.1 * rng.randn(len(model.theta_))

    def loss(vector):
        return float(bit_loss(model._run(layout.leaves(vector, None), batch.inputs)[0], batch).data)

    grad = np.zeros_like(theta)
    with Tape() as tape:
        total = bit_loss(model._run(layout.leaves(theta, grad), batch.inputs)[0], batch)
    tape.backward(total)
    assert_gradient(loss, theta, grad, rng)


def test_the_loss_counts_weighted_steps_alone():
    start = small(max_iter=0).fit(X, Y, sample_weight=WEIGHTS)
    one = small(max_iter=1, batch_size=10, learning_rate_init=1e-12)
    one.fit(X, Y, sample_weight=WEIGHTS)
    sums = np.zeros(2)
    for x, y, weight in zip(X, Y, WEIGHTS):
        logits, _ = oracle.machine(start, x)
        bits = -np.log(np.where(y == 1, expit(logits), expit(-logits))).mean(axis=1)
        sums += weight @ bits, weight.sum()
    assert_allclose(one.loss_, sums[0] / sums[1], rtol=1e-9)
    other = [np.where(w[:, None] > 0, y, 1 - y) for y, w in zip(Y, WEIGHTS)]
    assert_array_equal(fitted().theta_, small().fit(X, other, sample_weight=WEIGHTS).theta_)


def test_it_learns_to_copy():
    Xs, ys, weights = copy_task(4000, (1, 3), n_bits=2, random_state=0)
    ntm = NeuralTuringMachine(n_units=32, memory_shape=(8, 6), max_iter=3, learning_rate_init=1e-2,
                              random_state=0)  # fmt: skip
    ntm.fit(Xs, ys, sample_weight=weights)
    test = copy_task(50, 3, n_bits=2, random_state=1)
    assert ntm.score(*test) >= 0.99
    write, read = (part[0][:, 0] for part in ntm.addresses(test[0]))
    assert_allclose(write.sum(axis=1), 1, rtol=1e-5)
    assert write.shape == read.shape == (7, 8)
    # it writes, and later reads, one slot after the other
    for part in (write[:3], read[4:7]):
        assert len(set(part.argmax(axis=1))) == 3


# ----------------------------------------------------------------------- estimator


def test_forms_of_data():
    Xs, ys, _ = copy_task(5, 3, n_bits=3, random_state=0)
    listed, stacked = small().fit(Xs, ys), small().fit(np.array(Xs), np.array(ys))
    assert_array_equal(listed.theta_, stacked.theta_)
    assert stacked.predict(np.array(Xs)).shape == (5, 7, 3)
    assert_array_equal(listed.predict(Xs)[2], stacked.predict(np.array(Xs))[2])
    padded = np.full((10, 9, 4), np.nan)
    bits = np.zeros((10, 9, 3))
    for row, bit, x, y in zip(padded, bits, X, Y):
        row[: len(x)], bit[: len(y)] = x, y
    again, plain = small().fit(padded, bits), small().fit(X, Y)
    assert_array_equal(again.theta_, plain.theta_)
    assert np.isnan(again.predict_proba(padded)[0][len(X[0]) :]).all()
    single = small().fit(Xs, [y[:, 0] for y in ys])
    assert single.predict(Xs)[0].shape == (7,)
    assert set(np.concatenate(single.predict(Xs))) <= {0.0, 1.0}


def test_score_is_the_share_of_right_bits_by_weight():
    ntm = fitted()
    found = ntm.predict(X)
    right = [(f == y).mean(axis=1) @ w for f, y, w in zip(found, Y, WEIGHTS)]
    assert_allclose(ntm.score(X, Y, WEIGHTS), sum(right) / sum(w.sum() for w in WEIGHTS))


def test_sequences_of_weight_zero_are_left_out():
    weights = [w * (i % 2) for i, w in enumerate(WEIGHTS)]
    part = small(shuffle=False).fit(X[1::2], Y[1::2], sample_weight=WEIGHTS[1::2])
    whole = small(shuffle=False).fit(X, Y, sample_weight=weights)
    assert_allclose(whole.theta_, part.theta_, **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_fixes_every_bit(kind):
    first = fitted(**KINDS[kind])
    assert deep_state(first) == deep_state(fitted(**KINDS[kind]))
    assert (fitted(**KINDS[kind], random_state=1).theta_ != first.theta_).any()


def test_pickle_clone_and_that_predictions_write_nothing(model):
    before, expected = deep_state(model), model.predict_proba(X)
    model.predict(X)
    model.addresses(X)
    model.score(X, Y)
    assert deep_state(model) == before
    again = pickle.loads(pickle.dumps(model)).predict_proba(X)
    for a, b in zip(again, expected):
        assert_array_equal(a, b)
    refitted = clone(model).fit(X, Y, sample_weight=WEIGHTS)
    assert_array_equal(refitted.theta_, model.theta_)


BAD_PARAMS = [
    ("n_units", 0), ("controller", "gru"), ("memory_shape", 8), ("memory_shape", (8, 0)),
    ("memory_shape", (8, 4, 2)), ("n_write_heads", 0), ("n_read_heads", 1.5), ("max_shift", -1),
    ("solver", "lbfgs"), ("learning_rate", "up"), ("learning_rate_init", 0), ("batch_size", 0),
    ("max_iter", -1), ("tol", -1), ("n_iter_no_change", 0), ("max_norm", 0), ("clip_value", -1),
    ("alpha", -1), ("weight_decay", np.inf), ("shuffle", 1), ("dtype", "int8"), ("verbose", "x"),
    ("warm_start", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_PARAMS)
def test_bad_parameters(name, value):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of NeuralTuringMach"):
        small(**{name: value}).fit(X, Y)


BAD_DATA = [
    (X, None, None, "requires y to be passed"),
    (X, Y[:-1], None, "9|inconsistent"),
    (X, [y + 0.5 for y in Y], None, "y must hold bits, 0 or 1"),
    (X, [y[:-1] for y in Y], None, "lengths|rows|steps"),
    ([np.where(x == 1, np.nan, x) for x in X], Y, None, "NaN"),
    (X, Y, [w * 0 for w in WEIGHTS], "zero|positive"),
    (X, Y, [-w for w in WEIGHTS], "negative|sample_weight"),
]


@pytest.mark.parametrize(("Xs", "ys", "weights", "message"), BAD_DATA)
def test_bad_data(Xs, ys, weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(Xs, ys, sample_weight=weights)


def test_shifts_around_the_circle_features_and_what_is_not_fitted():
    with pytest.raises(ValueError, match="max_shift=3 goes around the circle of 6 slots"):
        small(max_shift=3).fit(X, Y)
    with pytest.raises(NotFittedError):
        small().predict(X)
    with pytest.raises(ValueError, match="features"):
        fitted().predict([x[:, :2] for x in X])


def test_an_error_leaves_the_former_fit():
    ntm = fitted()
    before = deep_state(ntm)
    with pytest.raises(ValueError, match="bits"):
        ntm.fit(X, [y + 2 for y in Y])
    assert deep_state(ntm) == before
