"""Clipping, the optimisers' update rules, L-BFGS."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_rnn_training as oracles
from echocast.exceptions import InvalidParameterError
from echocast.reservoir.rnn._optim import (
    SOLVERS,
    clip_gradient,
    make_optimizer,
    minimise_lbfgs,
)

TYPES = [np.float32, np.float64]
# Rounding of about ten operations a step over ten steps.
RTOL = {np.float32: 3e-5, np.float64: 1e-12}


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@settings(deadline=None)  # the first call compiles
@given(seed=st.integers(0, 10**6), size=st.integers(1, 40), log_size=st.floats(-8, 8))
def test_a_large_gradient_keeps_its_direction(dtype, seed, size, log_size):
    grad = (normal(size, seed=seed) * 10.0**log_size).astype(dtype)
    before = grad.astype(np.float64)
    length = np.linalg.norm(before)
    returned = clip_gradient(grad, max_norm=0.5 * length)
    assert_allclose(returned, length, rtol=1e-12)
    after = grad.astype(np.float64)
    assert_allclose(np.linalg.norm(after), 0.5 * length, rtol=1e-6)
    assert_allclose(after, 0.5 * before, rtol=1e-6)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("share", [1.0, 1.0 + 1e-9, 100.0])
def test_a_gradient_that_is_not_above_is_untouched(dtype, share):
    grad = np.array([3.0, 4.0], dtype=dtype)
    assert clip_gradient(grad, max_norm=5.0 * share) == 5.0
    assert_array_equal(grad, np.array([3.0, 4.0], dtype=dtype))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("limits", [(1.0, None), (None, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("place", [0, 7, 16])
def test_a_gradient_that_is_not_finite_is_untouched_and_reported(dtype, bad, limits, place):
    grad = normal(17, dtype=dtype)
    grad[place] = bad
    before = grad.copy()
    norm = clip_gradient(grad, *limits)
    assert np.isnan(norm) if np.isnan(bad) else norm == np.inf
    assert_array_equal(grad, before)


def test_values_are_clipped_before_the_norm():
    grad = np.array([3.0, -4.0, 0.5])
    assert clip_gradient(grad, clip_value=1.0) == np.sqrt(25.25)
    assert_array_equal(grad, [1.0, -1.0, 0.5])
    grad = np.array([30.0, -40.0])
    assert clip_gradient(grad, max_norm=0.5, clip_value=1.0) == 50.0
    assert_allclose(grad, 0.5 * np.array([1.0, -1.0]) / np.sqrt(2.0), rtol=1e-15)


def test_without_limits_only_the_norm_is_computed():
    grad = normal(100, dtype=np.float32)
    before = grad.copy()
    # Summed in float64: a sum of float32 squares would be off by 1e-7.
    assert_allclose(
        clip_gradient(grad), np.sqrt(np.sum(before.astype(np.float64) ** 2)), rtol=1e-14
    )
    assert_array_equal(grad, before)
    assert clip_gradient(np.zeros(0), max_norm=1.0) == 0.0
    assert clip_gradient(np.zeros(3), max_norm=1.0, clip_value=1.0) == 0.0


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-310])
def test_squares_may_overflow_and_underflow(size):
    grad = np.array([3.0, 4.0]) * size
    # A number below the normal ones has few digits.
    assert_allclose(clip_gradient(grad, max_norm=1.0), 5.0 * size, rtol=1e-9)
    if size > 1.0:
        assert_allclose(grad, [0.6, 0.8], rtol=1e-14)


def test_the_largest_float32_gradient_is_clipped():
    grad = np.full(4, np.finfo(np.float32).max)
    clip_gradient(grad, max_norm=1.0)
    assert_allclose(grad, 0.5, rtol=1e-6)


@pytest.mark.parametrize("name", ["max_norm", "clip_value"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, True, "1"])
def test_bad_limits_are_refused(name, value):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        clip_gradient(np.ones(2), **{name: value})


def run(solver, dtype, *, n_steps=10, size=13, **settings):
    """The optimiser and what the oracle needs: start, gradients, rates, end."""
    start = normal(size, seed=1, dtype=dtype)
    grads = normal(n_steps, size, seed=2, dtype=dtype)
    rates = 0.1 / (1.0 + np.arange(n_steps))
    theta = start.copy()
    optimizer = make_optimizer(solver, size, dtype, **settings)
    for grad, rate in zip(grads, rates):
        before = grad.copy()
        optimizer.step(theta, grad, rate)
        assert_array_equal(grad, before)
    assert optimizer.t == n_steps
    assert theta.dtype == dtype
    problem = [np.asarray(a, dtype=np.float64) for a in (start, grads, rates)]
    return theta, problem


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_adam_and_adamw(dtype, weight_decay):
    mask = np.arange(13) % 3 > 0
    theta, problem = run("adam", dtype, weight_decay=weight_decay, decay_mask=mask)
    expected = oracles.adam(*problem, 0.9, 0.999, 1e-8, weight_decay, mask)
    assert_allclose(theta, expected, rtol=RTOL[dtype], atol=RTOL[dtype])


def test_adam_with_other_settings():
    theta, problem = run("adam", np.float64, beta_1=0.5, beta_2=0.8, epsilon=0.1)
    assert_allclose(theta, oracles.adam(*problem, 0.5, 0.8, 0.1), rtol=1e-12)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(dtype, momentum, nesterov):
    theta, problem = run("sgd", dtype, momentum=momentum, nesterovs_momentum=nesterov)
    expected = oracles.sgd(*problem, momentum, nesterov)
    assert_allclose(theta, expected, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("dtype", TYPES)
def test_rmsprop(dtype):
    theta, problem = run("rmsprop", dtype, rho=0.9)
    expected = oracles.rmsprop(*problem, 0.9, 1e-8)
    assert_allclose(theta, expected, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("solver", SOLVERS)
def test_decay_does_not_pass_through_the_gradient(solver):
    theta, grad = np.array([2.0, 2.0]), np.zeros(2)
    mask = np.array([True, False])
    make_optimizer(solver, 2, np.float64, weight_decay=0.5, decay_mask=mask).step(theta, grad, 0.1)
    assert_array_equal(theta, [2.0 * (1.0 - 0.05), 2.0])
    make_optimizer(solver, 2, np.float64, weight_decay=0.5).step(theta, grad, 0.1)
    assert_array_equal(theta, [1.9 * 0.95, 1.9])


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_same_as_pytorch(solver, weight_decay):
    torch = pytest.importorskip("torch")
    if weight_decay and solver != "adam":
        pytest.skip("PyTorch has decay apart from the gradient for Adam alone")
    classes = {
        "adam": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=weight_decay),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.05),
    }
    theta = normal(9, seed=1)
    p = torch.nn.Parameter(torch.tensor(theta))
    theirs = classes[solver]([p])
    ours = make_optimizer(solver, 9, np.float64, weight_decay=weight_decay)
    for grad in normal(20, 9, seed=2):
        p.grad = torch.tensor(grad)
        theirs.step()
        ours.step(theta, grad, 0.05)
    assert_allclose(theta, p.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_pickled_optimiser_goes_on_where_it_was(solver):
    grads = normal(6, 5)
    whole, halves = normal(5, seed=1), normal(5, seed=1)
    optimizer = make_optimizer(solver, 5, np.float64, weight_decay=0.1)
    for grad in grads:
        optimizer.step(whole, grad, 0.1)
    optimizer = make_optimizer(solver, 5, np.float64, weight_decay=0.1)
    for k, grad in enumerate(grads):
        if k == 3:
            optimizer = pickle.loads(pickle.dumps(optimizer))
        optimizer.step(halves, grad, 0.1)
    assert_array_equal(halves, whole)


SCALES = np.array([1.0, 10.0, 100.0])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("solver", "rate"), [("adam", 0.1), ("sgd", 0.004), ("rmsprop", 0.03)], ids=SOLVERS
)
def test_a_badly_scaled_quadratic_is_minimised(solver, rate, dtype):
    goal = np.array([1.0, -2.0, 3.0], dtype=dtype)
    theta = np.zeros(3, dtype=dtype)
    optimizer = make_optimizer(solver, 3, dtype)
    n_steps = 1000
    for t in range(n_steps):
        grad = (SCALES * (theta - goal)).astype(dtype)
        optimizer.step(theta, grad, rate * (1.0 - t / n_steps))
    # The last steps of Adam and RMSprop are as long as the rate: 3e-5 to 1e-4.
    assert_allclose(theta, goal, rtol=0, atol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_other_vectors_are_refused(solver):
    optimizer = make_optimizer(solver, 3, np.float64)
    for theta, grad in ((np.zeros(3), np.zeros(2)), (np.zeros(3), np.zeros(3, np.float32))):
        with pytest.raises(ValueError, match="The optimiser was made for float64"):
            optimizer.step(theta, grad, 0.1)
    assert optimizer.t == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("solver", "lbfgs"),
        ("momentum", 1.0),
        ("beta_1", -0.1),
        ("beta_2", 1.0),
        ("rho", np.nan),
        ("epsilon", 0.0),
        ("weight_decay", -1.0),
        ("nesterovs_momentum", 1),
    ],
)
def test_bad_settings_are_refused(name, value):
    settings = {"solver": "adam", name: value}
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        make_optimizer(size=2, dtype=np.float64, **settings)


@pytest.mark.parametrize("mask", [np.ones(3, dtype=bool), np.ones(2)])
def test_a_bad_mask_is_refused(mask):
    with pytest.raises(ValueError, match=r"`decay_mask` must be a bool array of shape \(2,\)"):
        make_optimizer("adam", 2, np.float64, decay_mask=mask)


def quadratic(theta):
    goal = np.array([1.0, -2.0, 3.0], dtype=theta.dtype)
    grad = SCALES.astype(theta.dtype) * (theta - goal)
    return 0.5 * float(grad @ (theta - goal)), grad


@pytest.mark.parametrize("dtype", TYPES)
def test_lbfgs_on_a_quadratic(dtype):
    start = np.zeros(3, dtype=dtype)
    result = minimise_lbfgs(quadratic, start, max_iter=50, max_fun=100, tol=1e-6)
    assert result.success
    assert result.x.dtype == dtype
    assert result.fun == quadratic(result.x)[0]
    # The gradient is below 1e-6; in float32 it is rounded to about 1e-5.
    assert_allclose(result.x, [1.0, -2.0, 3.0], atol=1e-6 if dtype == np.float64 else 1e-4)
    assert_array_equal(start, np.zeros(3))


def test_lbfgs_equals_scikit_learns_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    X = normal(80, 3)
    y = X @ [1.0, -2.0, 0.5] + normal(80, seed=1) > 0.3
    sign = np.where(y, 1.0, -1.0)
    buffer = np.empty(4)

    def loss_and_grad(theta):
        margin = sign * (X @ theta[:3] + theta[3])
        pull = -sign / (1.0 + np.exp(margin))
        buffer[:3], buffer[3] = X.T @ pull + theta[:3], pull.sum()
        return np.logaddexp(0.0, -margin).sum() + 0.5 * theta[:3] @ theta[:3], buffer

    result = minimise_lbfgs(loss_and_grad, np.zeros(4), max_iter=200, max_fun=400, tol=1e-8)
    reference = LogisticRegression(tol=1e-10).fit(X, y)
    expected = np.append(reference.coef_, reference.intercept_)
    # Gradients no larger than the rounding of the loss allows: the root of 1e-16, or so.
    assert_allclose(result.x, expected, atol=1e-6)


def test_lbfgs_keeps_to_its_limits_and_the_callback_may_stop():
    seen = []

    def hard(theta):  # Rosenbrock's valley
        x, y = theta
        grad = np.array([-400 * x * (y - x * x) - 2 * (1 - x), 200 * (y - x * x)])
        return 100 * (y - x * x) ** 2 + (1 - x) ** 2, grad

    start = np.array([-1.2, 1.0])
    result = minimise_lbfgs(hard, start, max_iter=5, max_fun=1000, tol=0.0)
    assert result.nit == 5
    few = minimise_lbfgs(hard, start, max_iter=1000, max_fun=10, tol=0.0)
    assert 10 <= few.nfev <= 30  # the last line search is finished
    result = minimise_lbfgs(
        hard,
        start,
        max_iter=1000,
        max_fun=1000,
        tol=0.0,
        callback=lambda theta, loss: seen.append((theta.copy(), loss)) or len(seen) == 3,
    )
    assert len(seen) == 3
    assert [hard(theta)[0] for theta, _ in seen] == [loss for _, loss in seen]
    assert result.fun == seen[-1][1] < seen[0][1]
    assert_array_equal(result.x, seen[-1][0])


def test_lbfgs_steps_back_from_where_the_loss_is_not_finite():
    outside = []

    def loss_and_grad(theta):  # defined for positive numbers, smallest at 1
        x = theta[0]
        if x <= 0.0:
            outside.append(x)
            return np.nan, np.array([np.nan])
        return 1e-3 * (x - np.log(x)), np.array([1e-3 * (1.0 - 1.0 / x)])

    # The curvature falls off, so that the second step leads far beyond zero.
    result = minimise_lbfgs(loss_and_grad, np.array([30.0]), max_iter=99, max_fun=200, tol=1e-9)
    assert outside
    assert result.success
    # The curvature at 1 is 1e-3 and the gradient below 1e-9.
    assert_allclose(result.x, 1.0, atol=2e-6)
    assert result.fun == loss_and_grad(result.x)[0]


def test_lbfgs_reports_a_start_that_is_not_finite():
    result = minimise_lbfgs(
        lambda theta: (np.nan, theta), np.ones(2), max_iter=5, max_fun=9, tol=1e-6
    )
    assert result.fun == np.inf
    assert_array_equal(result.x, np.ones(2))
