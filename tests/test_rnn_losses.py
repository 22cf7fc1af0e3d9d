"""Losses against plain formulas, SciPy's densities and central differences."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.metrics import log_loss, mean_pinball_loss

from echocast.reservoir.rnn import _losses as losses
from echocast.reservoir.rnn import _ops as ops
from echocast.reservoir.rnn._tape import Tape, Var
from gradients import assert_gradient

QUANTILES = np.array([0.1, 0.5, 0.75])
N_TARGETS = 2
SHAPE = (4, 3)  # steps, sequences


def softplus(x):
    return np.log(1 + np.exp(x))


# Pointwise losses (mean over targets) of one vector of outputs o and one of targets y.


def plain_huber(o, y):
    r = abs(o - y)
    return np.mean(np.where(r <= 0.7, r**2 / 2, 0.7 * (r - 0.35)))


def plain_pinball(o, y):
    return np.mean(
        [
            mean_pinball_loss([y[k]], [o[k * 3 + j]], alpha=q)
            for k in range(N_TARGETS)
            for j, q in enumerate(QUANTILES)
        ]
    )


def plain_gaussian(o, y):
    return np.mean(-stats.norm.logpdf(y, o[:2], softplus(o[2:]) + losses.MIN_SCALE))


def plain_student_t(o, y):
    return np.mean(
        -stats.t.logpdf(y, softplus(o[4:]) + 2, o[:2], softplus(o[2:4]) + losses.MIN_SCALE)
    )


def plain_log_loss(o, y):
    p = np.exp(o) / np.exp(o).sum()
    return log_loss([y], [p], labels=np.arange(len(o)))


def plain_binary(o, y):
    p = 1 / (1 + np.exp(-o))
    return np.mean(-y * np.log(p) - (1 - y) * np.log(1 - p))


PLAIN = {
    "squared_error": lambda o, y: np.mean((o - y) ** 2),
    "absolute_error": lambda o, y: np.mean(abs(o - y)),
    "huber": plain_huber,
    "pinball": plain_pinball,
    "gaussian": plain_gaussian,
    "student_t": plain_student_t,
    "log_loss": plain_log_loss,
    "binary_log_loss": plain_binary,
}

names = pytest.mark.parametrize("name", sorted(losses.LOSSES))


def loss_of(name):
    parameters = {"pinball": {"quantiles": QUANTILES}, "huber": {"delta": 0.7}}
    return losses.loss_named(name, **parameters.get(name, {}))


def problem(name, seed=0, dtype=np.float64):
    """Outputs, targets and weights of a small batch."""
    rng = np.random.default_rng(seed)
    n_targets = 3 if name == "log_loss" else N_TARGETS
    outputs = 1.5 * rng.standard_normal((*SHAPE, n_targets * loss_of(name).outputs_per_target))
    if name == "log_loss":
        targets = rng.integers(0, n_targets, SHAPE)
    elif name == "binary_log_loss":
        targets = rng.integers(0, 2, (*SHAPE, n_targets)).astype(dtype)
    else:
        targets = (1.5 * rng.standard_normal((*SHAPE, n_targets))).astype(dtype)
    return outputs.astype(dtype), targets, rng.random(SHAPE).astype(dtype)


def value_and_gradient(name, outputs, targets, weights):
    o = Var(outputs, np.zeros_like(outputs), True)
    with Tape() as tape:
        loss = loss_of(name).function(o, targets, weights)
    tape.backward(loss)
    return loss.data, o.grad


@names
def test_values_are_weighted_sums_of_plain_formulas(name):
    outputs, targets, weights = problem(name)
    value, _ = value_and_gradient(name, outputs, targets, weights)
    plain = sum(weights[i] * PLAIN[name](outputs[i], targets[i]) for i in np.ndindex(SHAPE))
    assert_allclose(value, plain, rtol=1e-12)
    assert value.shape == ()


@names
@pytest.mark.parametrize("seed", range(3))
def test_gradients_against_central_differences(name, seed):
    outputs, targets, weights = problem(name, seed)
    _, grad = value_and_gradient(name, outputs, targets, weights)
    rng = np.random.default_rng(seed)
    function = loss_of(name).function
    assert_gradient(lambda o: float(function(Var(o), targets, weights).data), outputs, grad, rng)


@names
def test_gradients_are_scaled_by_what_follows(name):
    outputs, targets, weights = problem(name)
    _, grad = value_and_gradient(name, outputs, targets, weights)
    o = Var(outputs, needs_grad=True)
    with Tape() as tape:
        tripled = ops.mul(loss_of(name).function(o, targets, weights), 3.0)
    for _ in range(2):  # a second pass finds the same slopes
        o.grad = None
        tape.backward(tripled)
        assert_allclose(o.grad, 3 * grad, rtol=1e-12, atol=1e-15)


@names
def test_float32_stays_float32_and_is_as_good_as_it_can_be(name):
    outputs, targets, weights = problem(name)
    value, grad = value_and_gradient(name, outputs, targets, weights)
    arrays = [outputs.astype(np.float32), targets, weights]  # constants follow the outputs
    value32, grad32 = value_and_gradient(name, *arrays)
    assert value32.dtype == grad32.dtype == np.float32
    assert_allclose(value32, value, rtol=1e-5)  # some hundred roundings of 6e-8
    assert_allclose(grad32, grad, rtol=1e-4, atol=1e-6)


@names
def test_shards_of_a_batch_add_up(name):
    outputs, targets, weights = problem(name)
    value, grad = value_and_gradient(name, outputs, targets, weights)
    parts = [
        value_and_gradient(name, outputs[:, part], targets[:, part], weights[:, part])
        for part in (slice(0, 1), slice(1, 3))
    ]
    assert_allclose(sum(v for v, _ in parts), value, rtol=1e-12)
    assert_allclose(np.concatenate([g for _, g in parts], axis=1), grad, rtol=1e-12)


@names
def test_one_output_for_each_sequence(name):
    outputs, targets, weights = problem(name)
    whole = [value_and_gradient(name, outputs[t], targets[t], weights[t])[0] for t in range(4)]
    assert_allclose(sum(whole), value_and_gradient(name, outputs, targets, weights)[0], rtol=1e-12)


@names
def test_targets_of_weight_zero_do_not_matter(name):
    outputs, targets, weights = problem(name)
    weights[1, 2] = weights[3] = 0
    value, grad = value_and_gradient(name, outputs, targets, weights)
    assert not grad[weights == 0].any()
    for nothing in (-1, 99) if name == "log_loss" else (np.nan, np.inf, 1e300):
        targets = targets.copy()
        targets[weights == 0] = nothing
        before = targets.copy()
        other, other_grad = value_and_gradient(name, outputs, targets, weights)
        assert_array_equal(other, value)
        assert_array_equal(other_grad, grad)
        assert_array_equal(targets, before)


@names
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_outputs_give_finite_losses_and_gradients(name, dtype):
    outputs, targets, weights = problem(name, dtype=dtype)
    rng = np.random.default_rng(1)
    for size in (0, 30, 100, 1000):
        signs = rng.choice([-1, 1], outputs.shape)
        value, grad = value_and_gradient(name, (size * signs).astype(dtype), targets, weights)
        assert np.isfinite(value)
        assert np.isfinite(grad).all()
        if size and name in ("log_loss", "binary_log_loss"):
            assert abs(grad).max() <= 1


@names
def test_nan_outputs_are_not_hidden(name):
    outputs, targets, weights = problem(name)
    outputs[0, 0] = np.nan
    assert np.isnan(value_and_gradient(name, outputs, targets, weights)[0])


@names
def test_shapes_that_would_broadcast_are_refused(name):
    outputs, targets, weights = problem(name)
    function = loss_of(name).function
    with pytest.raises(ValueError, match="weights of shape"):
        function(Var(outputs), targets, weights[0])
    with pytest.raises(ValueError, match="got"):
        function(Var(outputs), targets[0], weights)


def test_confident_and_right_costs_next_to_nothing():
    logits = Var(np.array([[1000.0, 0.0]]))
    assert losses.cross_entropy(logits, [0], [1.0]).data == 0
    assert losses.cross_entropy(logits, [1], [1.0]).data == 1000
    assert losses.binary_cross_entropy(logits, [[1.0, 0.5]], [1.0]).data == 0.5 * np.log(2)
    small = losses.binary_cross_entropy(Var(np.array([[40.0]])), [[1.0]], [1.0]).data
    assert_allclose(small, np.exp(-40.0), rtol=1e-12)  # not rounded off against 40


def test_slopes_at_kinks_are_zero():
    for name in ("absolute_error", "pinball", "huber"):
        outputs, targets, weights = problem(name)
        outputs[:] = 1.0
        targets[:] = 1.0
        assert not value_and_gradient(name, outputs, targets, weights)[1].any()


def test_a_gaussian_and_a_t_with_many_degrees_agree():
    mean, raw = np.array([[0.3]]), np.array([[0.2]])
    gaussian = losses.gaussian_nll(Var(np.hstack([mean, raw])), [[1.0]], [1.0]).data
    many = np.hstack([mean, raw, [[1e7]]])
    for dtype, tol in ((np.float64, 1e-6), (np.float32, 1e-5)):
        t = losses.student_t_nll(Var(many.astype(dtype)), [[1.0]], [1.0]).data
        assert_allclose(t, gaussian, atol=tol)


def test_parameters_of_distributions():
    outputs = np.array([[1.0, 2.0, -1000.0, 1000.0, 0.0, -1000.0]])
    location, scale, df = losses.student_t_parameters(outputs)
    assert_array_equal(location, [[1, 2]])
    assert_allclose(scale, [[losses.MIN_SCALE, 1000 + losses.MIN_SCALE]])
    assert_allclose(df, [[2 + np.log(2), 2]])
    mean, scale = losses.gaussian_parameters(outputs[:, :4].astype(np.float32))
    assert mean.dtype == scale.dtype == np.float32
    assert_array_equal(mean, [[1, 2]])
    assert_allclose(scale, [[losses.MIN_SCALE, 1000 + losses.MIN_SCALE]])


def test_losses_by_name():
    assert losses.loss_named("squared_error") is losses.LOSSES["squared_error"]
    pinball = losses.loss_named("pinball", quantiles=[0.1, 0.9])
    assert (pinball.outputs_per_target, pinball.out_activation) == (2, "quantiles")
    assert losses.loss_named("pinball", quantiles=0.5).outputs_per_target == 1
    again = pickle.loads(pickle.dumps(pinball))
    o, y = Var(np.array([[0.0, 1.0]])), [[0.5]]
    assert again.function(o, y, [1.0]).data == pinball.function(o, y, [1.0]).data
    with pytest.raises(ValueError, match="`loss` must be one of"):
        losses.loss_named("squared")
    with pytest.raises(ValueError, match="`delta` must be positive"):
        losses.loss_named("huber", delta=0)
    for wrong in (None, [], [0.0, 0.5], [0.5, 1.0], [0.5, 0.5], [0.9, 0.1], [np.nan], [[0.5]]):
        with pytest.raises(ValueError, match="`quantiles` must be increasing"):
            losses.loss_named("pinball", quantiles=wrong)
