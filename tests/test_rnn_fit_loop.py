"""The loop that trains any loss written on the tape."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.exceptions import TrainingDivergedError
from echocast.reservoir.rnn import _ops as ops
from echocast.reservoir.rnn import _optim
from echocast.reservoir.rnn._fit_loop import FitOptions, Shards, fit_loop
from echocast.reservoir.rnn._losses import squared_error
from echocast.reservoir.rnn._params import ParamLayout

LAYOUT = ParamLayout({"W": (1, 3), "b": (1,)})
W, B = np.array([[1.0, -2.0, 0.5]]), np.array([0.25])
X = np.random.RandomState(0).standard_normal((200, 3))
Y = X @ W.T + B


def batches(rng, size=20):
    order = rng.permutation(len(X))
    for first in range(0, len(X), size):
        yield order[first : first + size]


def loss_of(leaves, rows):
    outputs = ops.affine(ops.as_var(X[rows]), leaves["W"], leaves["b"])
    return squared_error(outputs, Y[rows], np.full(len(rows), 1 / 20))


def fitted(options=None, *, seed=0, start=None, how=batches, loss=loss_of, **kwargs):
    kwargs = kwargs or {"n_epochs": 30, "n_batches": 10}
    options = options or FitOptions(learning_rate_init=0.1)
    start = np.zeros(LAYOUT.size) if start is None else start
    return fit_loop(start, LAYOUT, how, loss, options, np.random.RandomState(seed), **kwargs)


def test_a_linear_problem_is_solved():
    trained = fitted()
    assert_allclose(trained.theta, [1.0, -2.0, 0.5, 0.25], atol=1e-3)
    assert (trained.n_epochs, trained.n_updates, trained.n_skipped) == (30, 300, 0)
    assert len(trained.loss_curve) == len(trained.grad_norms) == 30
    assert trained.loss_curve[-1] < 1e-6 < trained.loss_curve[0]


def test_the_seed_fixes_every_bit_and_another_seed_gives_others():
    assert_array_equal(fitted(seed=1).theta, fitted(seed=1).theta)
    assert (fitted(seed=1).theta != fitted(seed=2).theta).any()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_shards_add_up_on_any_number_of_threads(n_jobs):
    def sharded(rng):
        for rows in batches(rng):
            yield Shards([rows[:7], rows[7:15], rows[15:]])

    options = FitOptions(learning_rate_init=0.1, n_jobs=n_jobs)
    assert_allclose(fitted(options, how=sharded).theta, fitted().theta, atol=1e-10)


def test_an_endless_source_of_batches_with_a_number_of_updates():
    def endless(rng):
        while True:
            yield rng.permutation(len(X))[:20]

    trained = fitted(how=endless, n_updates=50)
    assert (trained.n_updates, trained.n_epochs) == (50, 1)
    trained = fitted(how=endless, n_epochs=3, n_batches=4)
    assert (trained.n_updates, trained.n_epochs) == (12, 3)
    assert fitted(n_updates=25).n_epochs == 3


def test_the_schedule_ends_with_the_last_update(monkeypatch):
    rates = []

    class Recorder:
        def step(self, theta, grad, lr):
            rates.append(lr)

    monkeypatch.setattr(_optim, "make_optimizer", lambda **settings: Recorder())
    fitted(FitOptions(learning_rate_init=1.0, warmup=3), n_epochs=2, n_batches=10)
    assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0])
    assert_allclose(rates[-1], 0.05)


def test_a_constant_rate_stops_when_nothing_is_gained():
    options = FitOptions(learning_rate="constant", learning_rate_init=0.1, n_iter_no_change=3)
    trained = fitted(options, n_epochs=500, n_batches=10)
    assert trained.n_epochs < 500


def test_the_best_parameters_of_a_validation_score_are_kept():
    seen = []

    def validate(theta):
        seen.append(theta.copy())
        return -abs(theta[0] - 0.5)

    trained = fitted(validate=validate, n_epochs=30, n_batches=10)
    best = np.argmax(trained.validation_scores)
    assert_array_equal(trained.theta, seen[best])
    assert best < 29


def test_training_goes_on_where_it_stopped():
    options = FitOptions(learning_rate="constant", learning_rate_init=0.01)
    whole = fitted(options, n_epochs=4, n_batches=10)
    rng = np.random.RandomState(0)
    half = fit_loop(
        np.zeros(LAYOUT.size), LAYOUT, batches, loss_of, options, rng, n_epochs=2, n_batches=10
    )
    before = half.theta.copy()
    rest = fit_loop(half, LAYOUT, batches, loss_of, options, rng, n_epochs=2, n_batches=10)
    assert_array_equal(rest.theta, whole.theta)
    assert rest.loss_curve == whole.loss_curve
    assert rest.n_updates == 40
    assert_array_equal(half.theta, before)


def test_another_solver_does_not_go_on_with_the_moments_of_the_former():
    first = fitted(FitOptions(solver="sgd", learning_rate_init=0.01), n_epochs=1, n_batches=10)
    options = FitOptions(learning_rate="constant", learning_rate_init=0.01)
    more, anew = (
        fitted(options, start=start, n_epochs=1, n_batches=10) for start in (first, first.theta)
    )
    assert_array_equal(more.theta, anew.theta)


def test_penalties_shrink_weights_and_no_biases():
    strong = fitted(FitOptions(learning_rate_init=0.1, alpha=10.0)).theta
    assert np.abs(strong[:3]).max() < 0.4
    assert strong[3] == pytest.approx(0.25, abs=0.15)
    decayed = fitted(FitOptions(learning_rate_init=0.1, weight_decay=1.0)).theta
    assert np.abs(decayed[1]) < 1.95


def test_gradients_that_are_not_finite_are_skipped_then_given_up():
    calls = []

    def sometimes(leaves, rows):
        calls.append(1)
        return ops.mul(loss_of(leaves, rows), np.array(np.nan if len(calls) % 3 == 0 else 1.0))

    trained = fitted(loss=sometimes)
    assert trained.n_skipped == 100
    assert np.isfinite(trained.loss_curve).all()
    assert np.isfinite(trained.theta).all()

    def never(leaves, rows):
        return ops.mul(loss_of(leaves, rows), np.array(np.nan))

    with pytest.raises(TrainingDivergedError, match="20 time"):
        fitted(loss=never)
    wild = FitOptions(solver="sgd", learning_rate_init=1e200, max_norm=None)
    with pytest.raises(TrainingDivergedError):
        fitted(wild)


def test_batches_see_what_the_batch_before_left():
    order = []

    def carried(rng):
        box = {"state": 0}
        for _ in range(5):
            yield box
            order.append(box["state"])

    def loss(leaves, box):
        box["state"] += 1
        return loss_of(leaves, np.arange(20))

    fitted(how=carried, loss=loss, n_epochs=1, n_batches=5)
    assert order == [1, 2, 3, 4]


def test_the_monitor_may_stop():
    class Monitor:
        n = 0

        def begin(self):
            self.n += 1

        def __call__(self, state):
            return state.n_epochs == 2

    monitor = Monitor()
    assert fitted(monitor=monitor, n_epochs=9, n_batches=10).n_epochs == monitor.n == 2


def test_bad_calls():
    with pytest.raises(ValueError, match="n_updates"):
        fitted(n_epochs=3)
    with pytest.raises(ValueError, match="no batch"):
        fitted(how=lambda rng: [], n_updates=3)
