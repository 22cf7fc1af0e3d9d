"""Adaptive computation time: an oracle, gradients, the price of pondering, bad inputs."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import oracles_memory as oracle
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import AdaptiveComputationRNN
from echocast.reservoir.rnn import _ops as ops
from echocast.reservoir.rnn._adaptive import halted_mean
from echocast.reservoir.rnn._bits import BitBatch
from echocast.reservoir.rnn._tape import Tape, Var
from gradients import assert_gradient
from rnn_fits import deep_state

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
SMALL = {"n_units": 6, "max_ponder": 5, "batch_size": 4, "max_iter": 2, "random_state": 0,
         "dtype": "float64"}  # fmt: skip
CELLS = ("tanh", "gru", "lstm")


def sequences(n=9, seed=0):
    rng = np.random.RandomState(seed)
    X = [rng.randn(length, 3) for length in rng.randint(1, 6, n)]
    return X, [(x[:, :2].cumsum(axis=0) > 0).astype(float) for x in X]


X, Y = sequences()


def small(**params):
    return AdaptiveComputationRNN(**{**SMALL, **params})


@pytest.fixture(scope="module", params=CELLS)
def model(request):
    return small(cell=request.param).fit(X, Y)


def test_outputs_and_runs_equal_the_oracle():
    # Halting units of many minds, so that all numbers of runs occur.
    act = small(max_iter=0).fit(X, Y)
    act.params_["halt.W"][:] *= 8
    counted = []
    for x, share, count in zip(X, act.predict_proba(X), act.ponder(X), strict=True):
        logits, counts, _ = oracle.pondering(act, x)
        assert_allclose(share, expit(logits), **CLOSE)
        assert_array_equal(count, counts)
        counted += counts.tolist()
    assert set(counted) >= {1, 2, 5}


def test_the_loss_is_that_of_the_bits_and_of_the_runs():
    start = small(max_iter=0).fit(X, Y)
    one = small(max_iter=1, batch_size=9, learning_rate_init=1e-12, ponder_cost=0.3).fit(X, Y)
    bits, runs = [], []
    for x, y in zip(X, Y):
        logits, counts, remainders = oracle.pondering(start, x)
        bits += (-np.log(np.where(y == 1, expit(logits), expit(-logits)))).mean(axis=1).tolist()
        runs += (counts + remainders).tolist()
    assert_allclose(one.loss_, np.mean(bits) + 0.3 * np.mean(runs), rtol=1e-9)


def test_a_sequence_does_not_depend_on_its_batch(model):
    together, runs = model.predict_proba(X), model.ponder(X)
    for i, x in enumerate(X):
        assert_allclose(model.predict_proba([x])[0], together[i], **CLOSE)
        assert_array_equal(model.ponder([x])[0], runs[i])


def test_outputs_see_no_future(model):
    x = np.concatenate(X)[:6]
    changed = x.copy()
    changed[-1] += 1
    a, b = model.predict_proba([x, changed])
    assert_array_equal(a[:-1], b[:-1])
    assert (a[-1] != b[-1]).any()


# ------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)])
def test_gradient_of_the_halted_mean(which):
    rng = np.random.RandomState(0)
    K, B, n = 4, 6, 3
    counts = np.array([1, 2, 4, 3, 1, 4])
    theta = np.concatenate([rng.randn(K * B * n), rng.uniform(0, 0.3, K * B)])
    slopes = rng.randn(B, n), rng.randn(B, 1)

    def total(leaves):
        outputs = halted_mean(leaves[:K], leaves[K:], counts)
        return ops.sum(ops.stack([ops.sum(ops.mul(outputs[i], slopes[i])) for i in which]))

    def parts(vector):
        return [*vector[: K * B * n].reshape(K, B, n), *vector[K * B * n :].reshape(K, B, 1)]

    grad = np.zeros_like(theta)
    with Tape() as tape:
        loss = total([Var(a, g, True) for a, g in zip(parts(theta), parts(grad))])
    tape.backward(loss)
    assert_gradient(lambda v: float(total(list(map(Var, parts(v)))).data), theta, grad, rng)
    # runs after the last one, and the share of the last one, have no part in it
    d_shares = grad[K * B * n :].reshape(K, B)
    assert not d_shares[np.arange(1, K + 1)[:, None] >= counts].any()


def test_gradient_of_the_loss_through_remainders_and_shares(model):
    """Where the number of runs stays the same: it is not differentiable itself."""
    rng = np.random.RandomState(0)
    T, B = 3, 4
    valid = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 1, 0]], dtype=bool)
    weights = valid / valid.sum()
    inputs, bits = rng.randn(T, B, 3), rng.randint(0, 2, (T, B, 2)).astype(float)
    batch = BitBatch(inputs, bits, weights, valid, 1.0)
    layout, theta = model._fit_layout, model.theta_ + 0.1 * rng.randn(len(model.theta_))

    def total(leaves):
        return model._loss(leaves, batch)

    grad = np.zeros_like(theta)
    with Tape() as tape:
        loss = total(layout.leaves(theta, grad))
    tape.backward(loss)
    assert np.abs(layout.views(grad)["halt.W"]).max() > 0
    assert_gradient(lambda v: float(total(layout.leaves(v, None)).data), theta, grad, rng)


# -------------------------------------------------------------------------- learning


def parity(n, size, seed):
    signs = np.random.RandomState(seed).choice([-1.0, 1.0], size=(n, 1, size))
    return signs, (signs > 0).sum(axis=2) % 2


def test_it_learns_what_one_run_cannot_and_ponders_less_where_it_costs_more():
    Xs, ys = parity(6000, 5, 0)
    runs = {}
    for cost in (1e-3, 0.3):
        act = AdaptiveComputationRNN(
            n_units=24, max_ponder=6, ponder_cost=cost, learning_rate_init=1e-2, max_iter=6,
            random_state=0,
        ).fit(Xs, ys)  # fmt: skip
        runs[cost] = act.ponder_
        assert act.ponder_ == act.ponder(Xs).mean()
        if cost == 1e-3:
            assert act.score(Xs, ys) >= 0.97
    assert runs[0.3] < runs[1e-3]


def test_a_single_run_is_a_usual_network():
    act = small(max_ponder=1).fit(X, Y)
    assert act.ponder_ == 1
    assert_array_equal(np.concatenate(act.ponder(X)), 1)
    grads = small(max_ponder=1, ponder_cost=100.0).fit(X, Y)
    assert_array_equal(act.theta_, grads.theta_)
    p = act.params_
    h = np.zeros(6)
    for row, share in zip(X[0], act.predict_proba(X)[0]):
        h = np.tanh(p["cell.W_in"] @ np.append(row, 1) + p["cell.W"] @ h + p["cell.b"])
        assert_allclose(share, expit(p["out.W"] @ h + p["out.b"]), **CLOSE)


# ------------------------------------------------------------------------- estimator


@pytest.mark.parametrize("cell", CELLS)
def test_a_seed_fixes_every_bit(cell):
    first = small(cell=cell).fit(X, Y)
    assert deep_state(first) == deep_state(small(cell=cell).fit(X, Y))
    assert (small(cell=cell, random_state=1).fit(X, Y).theta_ != first.theta_).any()


def test_pickle_clone_and_that_predictions_write_nothing(model):
    before, expected = deep_state(model), model.predict_proba(X)
    model.predict(X)
    model.ponder(X)
    model.score(X, Y)
    assert deep_state(model) == before
    for a, b in zip(pickle.loads(pickle.dumps(model)).predict_proba(X), expected):
        assert_array_equal(a, b)
    assert_array_equal(clone(model).fit(X, Y).theta_, model.theta_)


def test_forms_of_data():
    Xs, ys = parity(20, 4, 0)
    act = small().fit(Xs, ys)
    assert act.predict(Xs).shape == act.ponder(Xs).shape == (20, 1)
    assert np.bincount(act.ponder(Xs)[:, 0]).sum() == 20  # ints
    padded = np.concatenate([Xs, np.full_like(Xs, np.nan)], axis=1)
    padded[0, 1] = 0
    runs = act.ponder(padded)
    assert_array_equal(np.isnan(runs), [[False, i > 0] for i in range(20)])
    assert_array_equal(runs[1:, 0], act.ponder(Xs)[1:, 0])
    listed = small().fit(list(Xs), list(ys))
    assert_array_equal(listed.theta_, act.theta_)
    assert act.params_["cell.W_in"].shape == (6, 5)


BAD_PARAMS = [
    ("n_units", 0), ("cell", "relu"), ("max_ponder", 0), ("ponder_cost", -1), ("epsilon", 0),
    ("epsilon", 1.0), ("solver", "lbfgs"), ("learning_rate", "up"), ("learning_rate_init", 0),
    ("batch_size", 0), ("max_iter", -1), ("tol", -1), ("n_iter_no_change", 0), ("max_norm", 0),
    ("clip_value", -1), ("alpha", -1), ("weight_decay", -1), ("shuffle", None), ("dtype", "x"),
    ("verbose", 1), ("warm_start", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_PARAMS)
def test_bad_parameters(name, value):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of AdaptiveComput"):
        small(**{name: value}).fit(X, Y)


BAD_DATA = [
    (X, None, None, "requires y to be passed"),
    (X, [y * 2 for y in Y], None, "y must hold bits, 0 or 1"),
    (X, [y[:0] for y in Y], None, "lengths|rows|steps"),
    (X, Y, [np.zeros(len(x)) for x in X], "zero|positive"),
]


@pytest.mark.parametrize(("Xs", "ys", "weights", "message"), BAD_DATA)
def test_bad_data(Xs, ys, weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(Xs, ys, sample_weight=weights)


def test_what_is_not_fitted_and_an_error_that_leaves_the_former_fit():
    with pytest.raises(NotFittedError):
        small().ponder(X)
    act = small().fit(X, Y)
    before = deep_state(act)
    with pytest.raises(ValueError, match="bits"):
        act.fit(X, [y + 2 for y in Y])
    assert deep_state(act) == before
