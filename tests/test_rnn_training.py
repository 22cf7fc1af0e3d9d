"""Training: stopping, schedules, dropout, seeds, going on, and what happens when it fails."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_info, threadpool_limits

from echocast.exceptions import TrainingDivergedError
from echocast.reservoir import WindowRNNRegressor
from echocast.reservoir.rnn import _nodes, _reading
from echocast.reservoir.rnn._estimator import BaseRNN
from echocast.reservoir.rnn._network import Network
from echocast.reservoir.rnn._objective import Objective
from rnn_fits import classifier, deep_state, ragged, regressor, waves

U = waves(120)
X, Y = U[:-1], U[1:]
SOLVERS = {
    "adam": {"learning_rate_init": 0.01},
    "sgd": {"learning_rate_init": 0.1},
    "rmsprop": {"learning_rate_init": 0.01},
    "lbfgs": {},
}


def several(lengths=(30, 17, 23, 9, 30, 30, 12, 20, 25, 30)):
    data = ragged(lengths)
    return [u[:-1] for u in data], [u[1:] for u in data]


# ------------------------------------------------------------------------ learning and curves


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_every_solver_learns_and_reports_each_epoch(solver, cell):
    model = regressor(solver=solver, cell=cell, max_iter=30, **SOLVERS[solver]).fit(*several())
    curve = model.loss_curve_
    assert curve[-1] < 0.7 * curve[0]
    assert model.n_iter_ == len(curve) == len(model.grad_norms_) == 30
    assert model.loss_ == curve[-1]
    assert model.best_loss_ == min(curve)
    assert model.n_skipped_steps_ == 0
    assert all(norm > 0 for norm in model.grad_norms_)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
    assert model.t_ == 30  # ten sequences are one batch


@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
def test_a_network_learns_to_continue_a_series(cell):
    model = regressor(cell=cell, hidden_layer_sizes=12, max_iter=60, learning_rate_init=0.01)
    model.set_params(bptt_steps=20).fit(X, Y)
    assert model.score(X, Y) > 0.9  # the noise in the data leaves 0.99


def test_lbfgs_goes_down_only_and_ends_where_the_curve_says():
    model = regressor(solver="lbfgs", max_iter=15).fit(*several())
    assert (np.diff(model.loss_curve_) <= 0).all()
    data, targets = several()
    errors = [np.mean((p - y) ** 2, axis=1) for p, y in zip(model.predict(data), targets)]
    found = 0.5 * np.concatenate(errors).mean()
    assert min(abs(model.loss_ - found), abs(model.loss_ - 2 * found)) < 1e-9
    few = regressor(solver="lbfgs", max_iter=15, max_fun=3).fit(*several())
    assert few.n_iter_ < 5


def test_the_first_loss_is_that_of_the_first_weights():
    data, targets = several()
    first = regressor(max_iter=0).fit(data, targets)
    assert first.n_iter_ == 0
    assert first.loss_curve_ == []
    assert first.loss_ is None
    one = regressor(max_iter=1).fit(data, targets)
    errors = [np.mean((p - y) ** 2, axis=1) for p, y in zip(first.predict(data), targets)]
    found = np.concatenate(errors).mean()
    assert one.loss_curve_[0] / found == pytest.approx(1, rel=1e-12) or (
        one.loss_curve_[0] / found == pytest.approx(0.5, rel=1e-12)
    )
    assert not np.allclose(one.theta_, first.theta_)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_no_epoch_leaves_the_first_weights(solver):
    model = regressor(max_iter=0, solver=solver).fit(X, Y)
    assert model.n_iter_ == 0
    drawn = model._fit_network.initialise("orthogonal", np.random.RandomState(0))
    model._fit_network.layout.views(drawn)["out.b"][:] = Y.mean(axis=0)
    assert_allclose(model.theta_, drawn, rtol=1e-12)


@pytest.mark.parametrize("rate", ["constant", "linear", "cosine", "invscaling", "adaptive"])
def test_every_schedule_learns(rate):
    model = regressor(learning_rate=rate, learning_rate_init=0.02, max_iter=20).fit(*several())
    assert model.loss_ < model.loss_curve_[0]


def test_schedules_that_end_run_to_their_end_and_others_stop_by_tol():
    for rate, n in (("linear", 25), ("cosine", 25), ("constant", 5), ("invscaling", 5)):
        model = regressor(learning_rate=rate, tol=1e9, n_iter_no_change=4, max_iter=25)
        assert model.fit(*several()).n_iter_ == n


def test_the_adaptive_rate_falls_and_then_stops():
    model = regressor(learning_rate="adaptive", tol=1e9, max_iter=200).fit(*several())
    # 3e-3 must fall by a factor of 5 until it is below 1e-6: five times after two epochs each
    assert model._fit_trained.rate == pytest.approx(3e-3 / 5**5)
    assert model.n_iter_ == 1 + 2 * 6


def test_clipping_bounds_the_step_but_not_what_is_reported():
    free = regressor(max_norm=None, solver="sgd", momentum=0.0, learning_rate="constant",
                     max_iter=1).fit(X[:50], Y[:50])  # fmt: skip
    clipped = clone(free).set_params(max_norm=1e-3).fit(X[:50], Y[:50])
    start = clone(free).set_params(max_iter=0).fit(X[:50], Y[:50]).theta_
    assert clipped.grad_norms_ == free.grad_norms_
    assert_allclose(np.linalg.norm(free.theta_ - start), 3e-3 * free.grad_norms_[0], rtol=1e-9)
    assert_allclose(np.linalg.norm(clipped.theta_ - start), 3e-6, rtol=1e-9)
    small = clone(free).set_params(clip_value=1e-4).fit(X[:50], Y[:50])
    assert np.abs(small.theta_ - start).max() <= 3e-7 * (1 + 1e-9)


def test_penalties_shrink_weights():
    plain, l2, decayed = (
        regressor(max_iter=40, learning_rate_init=0.02, **extra).fit(*several())
        for extra in ({}, {"alpha": 0.1}, {"weight_decay": 1.0})
    )
    for shrunk in (l2, decayed):
        assert np.linalg.norm(shrunk.params_["layers.0.W"]) < np.linalg.norm(
            plain.params_["layers.0.W"]
        )


# --------------------------------------------------------------------------- early stopping


STOPPING = {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 1000}


def test_one_series_holds_out_its_last_block():
    model = regressor(max_iter=12, learning_rate_init=0.05, **STOPPING).fit(X, Y)
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ == 12
    n = round(0.25 * len(X))
    found = r2_score(Y[-n:], model.predict(X)[-n:])  # of the best weights, which were kept
    assert_allclose(found, model.best_validation_score_, rtol=1e-10)
    assert model.best_validation_score_ == max(scores)


@pytest.mark.parametrize("params", [{}, {"bptt_steps": 10}, {"weight_init": "reservoir"},
                                    {"loss": "pinball"}])  # fmt: skip
def test_nothing_is_learnt_from_the_block_held_out(params):
    n = round(0.25 * len(X))
    poisoned_X, poisoned_Y = X.copy(), Y.copy()
    poisoned_X[-n:], poisoned_Y[-n:] = -3 * X[-n:], Y[-n:] ** 2 + 5
    model = regressor(max_iter=6, washout=5, **STOPPING, **params)
    a, b = clone(model).fit(X, Y), clone(model).fit(poisoned_X, poisoned_Y)
    assert a.loss_curve_ == b.loss_curve_  # the same bits in each epoch
    assert a.grad_norms_ == b.grad_norms_
    assert a.validation_scores_ != b.validation_scores_
    start = clone(model).set_params(max_iter=0)
    assert_array_equal(start.fit(X, Y).theta_, clone(start).fit(poisoned_X, poisoned_Y).theta_)
    alone = clone(model).set_params(early_stopping=False).fit(X[:-n], Y[:-n])
    assert alone.loss_curve_ == a.loss_curve_


def test_several_sequences_hold_out_the_last_ones():
    data, targets = several()
    other = [*targets[:8], *(5 + t for t in targets[8:])]
    model = regressor(max_iter=6, **{**STOPPING, "validation_fraction": 0.2})
    a, b = clone(model).fit(data, targets), clone(model).fit(data, other)
    assert a.loss_curve_ == b.loss_curve_
    predicted = np.concatenate(a.predict(data[8:]))
    found = r2_score(np.concatenate(targets[8:]), predicted)
    assert_allclose(found, a.best_validation_score_, rtol=1e-10)


def test_a_classifier_holds_out_a_share_of_each_class():
    data, _ = several()
    labels = np.array([0, 0, 1, 1, 1, 0, 1, 0, 1, 0])
    model = classifier(max_iter=4, **{**STOPPING, "validation_fraction": 0.4}).fit(data, labels)
    assert {round(4 * s, 9) for s in model.validation_scores_} <= {0, 1, 2, 3, 4}
    one = clone(model).set_params(validation_fraction=0.01).fit(data, labels)
    assert set(one.validation_scores_) <= {0.0, 1.0}  # a single sequence


def test_small_classes_share_what_is_held_out():
    rng = np.random.RandomState(0)
    data, labels = rng.standard_normal((40, 4, 1)), np.arange(40) % 20
    model = classifier(max_iter=2, early_stopping=True, validation_fraction=0.1).fit(data, labels)
    assert {round(4 * s, 9) for s in model.validation_scores_} <= {0, 1, 2, 3, 4}


def test_too_little_to_validate_with_is_refused():
    data, targets = several()
    ends = [t[-1, 0] for t in targets]
    with pytest.raises(ValueError, match=r"fewer than 2 target\(s\) to validate with"):
        regressor(early_stopping=True).fit(data, ends)  # one sequence of ten
    model = regressor(early_stopping=True, validation_fraction=0.2).fit(data, ends)
    assert np.isfinite(model.validation_scores_).all()
    with pytest.raises(ValueError, match="solver='lbfgs' ends by `tol` and `max_iter`"):
        regressor(early_stopping=True, solver="lbfgs").fit(data, targets)


def test_training_stops_when_the_score_does_not_improve():
    model = regressor(max_iter=50, early_stopping=True, tol=1e9, n_iter_no_change=3).fit(X, Y)
    assert model.n_iter_ == 4


# ------------------------------------------------------------------------ chance and threads


def test_dropout_keeps_means_and_is_off_in_predict():
    network = regressor().fit(X, Y)._fit_network
    masks = network.draw_masks(np.random.RandomState(0), 20000, 0.3, 0.6)
    for mask, kept in ((masks.outputs[0], 0.7), (masks.recurrent[0][0], 0.4)):
        assert set(np.unique(mask)) == {0.0, 1 / kept}
        assert_allclose(mask.mean(), 1, atol=0.02)  # 4 standard errors
    assert network.draw_masks(np.random.RandomState(0), 3, 0.0, 0.0) is None
    plain, dropped, recurrent = (
        regressor(**extra).fit(X, Y) for extra in ({}, {"dropout": 0.4}, {"recurrent_dropout": 0.4})
    )
    assert not np.allclose(plain.theta_, dropped.theta_)
    assert not np.allclose(plain.theta_, recurrent.theta_)
    assert_array_equal(dropped.predict(X), dropped.predict(X))


@pytest.mark.parametrize("params", [
    {}, {"dropout": 0.3, "recurrent_dropout": 0.2, "cell": "lstm"},
    {"teacher_forcing": "scheduled"}, {"bptt_steps": 10, "batch_size": 3},
])  # fmt: skip
def test_a_seed_fixes_every_bit(params):
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b, c = (
        regressor(**{"dtype": "float32", **params, "random_state": seed}).fit(*several())
        for seed in (1, 1, 2)
    )
    assert_array_equal(a.theta_, b.theta_)
    assert a.loss_curve_ == b.loss_curve_
    assert not np.allclose(a.theta_, c.theta_)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("params", [{}, {"cell": "lstm", "dropout": 0.2}, {"solver": "lbfgs"}])
def test_threads_do_not_change_a_bit(params, monkeypatch):
    monkeypatch.setattr(_nodes, "_SHARD_WORK", 1)
    data, targets = several((30, 17, 23, 9) * 10)
    models = [
        regressor(dtype="float32", n_jobs=n_jobs, **params).fit(data, targets)
        for n_jobs in (None, 2, 4)
    ]
    for model in models[1:]:
        assert_array_equal(model.theta_, models[0].theta_)


def blas_threads():
    return {row["filepath"]: row["num_threads"] for row in threadpool_info()
            if row["user_api"] == "blas"}  # fmt: skip


def test_the_limit_on_blas_comes_back_after_fits_errors_and_from_two_threads():
    regressor().fit(X, Y)  # loads every library that it needs
    seen = []

    def look(k):
        seen.extend(blas_threads().values())
        if k == 3 and fails:
            raise RuntimeError("stop here")
        return 1.0

    with threadpool_limits(2, "blas"):
        before = blas_threads()
        assert set(before.values()) == {2}
        for fails in (False, True):
            model = regressor(teacher_forcing=look, max_iter=5)
            if fails:
                with pytest.raises(RuntimeError, match="stop here"):
                    model.fit(X, Y)
            else:
                model.fit(X, Y)
            assert set(seen) == {1}
            assert blas_threads() == before
        fails, results = False, {}
        threads = [
            threading.Thread(target=lambda i=i: results.setdefault(
                i, regressor(max_iter=3 + 5 * i).fit(X, Y).theta_))
            for i in range(2)
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert blas_threads() == before
    for i, theta in results.items():
        assert_array_equal(theta, regressor(max_iter=3 + 5 * i).fit(X, Y).theta_)


# ------------------------------------------------------------------------------- going on


def test_warm_start_goes_on_from_the_last_weights():
    data, targets = several()
    model = regressor(warm_start=True, max_iter=15, learning_rate_init=0.01).fit(data, targets)
    first = model.loss_curve_
    model.fit(data, targets)
    assert model.n_iter_ == 15
    assert model.loss_curve_[0] < first[-1] * 1.01
    assert model.loss_ < first[-1]
    afresh = clone(model).set_params(warm_start=False).fit(data, targets)
    assert_allclose(afresh.loss_curve_, first, rtol=1e-12)
    model.set_params(warm_start=False).fit(data, targets)
    assert_array_equal(model.theta_, afresh.theta_)


@pytest.mark.parametrize("change", [
    {"hidden_layer_sizes": 7}, {"cell": "gru"}, {"bidirectional": True}, {"recurrence": "output"},
    {"include_input": True}, {"leak_rate": 0.5}, {"h0": "learned"}, {"dtype": "float32"},
    {"loss": "huber"}, {"h0": np.ones(6)},
])  # fmt: skip
def test_warm_start_with_another_network_is_refused(change):
    model = regressor(warm_start=True).fit(X, Y)
    expected = model.theta_.copy()
    with pytest.raises(ValueError, match=f"fitted with {next(iter(change))}="):
        model.set_params(**change).fit(X, Y)
    assert_array_equal(model.theta_, expected)
    assert model.set_params(warm_start=False).fit(X, Y).n_iter_ == 2


def test_warm_start_on_other_columns_is_refused():
    model = regressor(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="X has 1 features, but RNNRegressor is expecting 2"):
        model.fit(X[:, :1], Y)
    with pytest.raises(ValueError, match="y has 1 targets, but RNNRegressor is expecting 2"):
        model.fit(X, Y[:, 0])


def test_partial_fit_carries_the_state_over_chunks_of_one_series():
    model = regressor(learning_rate_init=1e-12)  # weights stay, so states can be compared
    for a in range(0, 90, 30):
        model.partial_fit(X[a : a + 30], Y[a : a + 30])
    assert model.t_ == model.n_iter_ == 3
    whole = regressor(max_iter=0).fit(X[:30], Y[:30])
    ended = whole._outputs(model.theta_, whole._read_new(X[:90]), None)[1][0]
    assert_allclose(model.state_, ended, atol=1e-9)
    assert_array_equal(model.last_output_, Y[89])
    model.partial_fit([X[:10], X[:20]], [Y[:10], Y[:20]])  # new sequences start afresh
    expected = [whole._outputs(model.theta_, whole._read_new(X[:n]), None)[1][0] for n in (10, 20)]
    assert_allclose(model.state_, expected, atol=1e-9)


def test_partial_fit_learns_and_keeps_its_optimiser():
    model = regressor(learning_rate_init=0.02)
    for _ in range(40):
        model.partial_fit(X, Y)
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]
    assert len(model.loss_curve_) == 40
    again = regressor(learning_rate_init=0.02)
    for _ in range(40):
        again.partial_fit(X, Y)
    assert_array_equal(again.theta_, model.theta_)
    with pytest.raises(ValueError, match="solver='lbfgs' needs all of them at once"):
        regressor(solver="lbfgs").partial_fit(X, Y)


def test_partial_fit_of_a_classifier_needs_all_classes_at_first():
    data, _ = several()
    model = classifier().partial_fit(data[:2], ["a", "b"], classes=["c", "a", "b"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    model.partial_fit(data[2:4], ["c", "a"])
    model.partial_fit(data[2:4], ["c", "c"], classes=["a", "b", "c"])
    assert model.n_iter_ == 3
    before = deep_state(model)
    with pytest.raises(ValueError, match="y has the label 'd', which is not among the classes"):
        model.partial_fit(data[:1], ["d"])
    with pytest.raises(ValueError, match="is not the same as on the last call to partial_fit"):
        model.partial_fit(data[:1], ["a"], classes=["a", "b"])
    assert deep_state(model) == before


# ------------------------------------------------------------------------ failures


def nth(n, error):
    """Run a method as it is, but raise at the n-th call."""
    calls = [0]

    def around(method):
        def wrapped(*args, **kwargs):
            calls[0] += 1
            if calls[0] == n:
                raise error
            return method(*args, **kwargs)

        return wrapped

    return around


POINTS = [
    (Network, "initialise", 1), (Objective, "gradient", 1), (Objective, "gradient", 3),
    (Objective, "penalise", 2), (Network, "draw_masks", 3), (BaseRNN, "_publish", 1),
    (BaseRNN, "_outputs", 1), (BaseRNN, "_outputs", 3), (BaseRNN, "_options", 1),
]  # fmt: skip


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("broken")], ids=type)
@pytest.mark.parametrize("way", ["fit", "warm", "partial_fit"])
@pytest.mark.parametrize(("owner", "name", "n"), POINTS)
def test_a_fit_that_is_cut_off_leaves_the_former_model(owner, name, n, way, error, monkeypatch):
    data, targets = several()
    model = regressor(early_stopping=True, dropout=0.1, batch_size=4, warm_start=way == "warm")
    model.fit(data, targets)
    before, expected = deep_state(model), model.predict(X)
    method = "fit" if way == "warm" else way
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, nth(n, error)(getattr(owner, name)))
        try:
            getattr(model, method)(data[::-1], targets[::-1])
        except type(error):
            assert deep_state(model) == before
            assert_array_equal(model.predict(X), expected)
        else:  # this way does not come by that point
            assert way != "fit"
    assert getattr(model, method)(data, targets) is model


def diverging(model):
    return model.set_params(
        max_norm=None, solver="sgd", learning_rate_init=1e150, learning_rate="constant",
        cell="relu", max_iter=30,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::echocast.exceptions.UnscaledDataWarning")
def test_divergence_is_an_error_and_leaves_the_former_model():
    model = regressor(cell="relu").fit(X, Y)
    expected = model.predict(X)
    with pytest.raises(TrainingDivergedError, match="lower `learning_rate_init`") as caught:
        diverging(model).fit(X, Y)
    assert caught.value.n_skipped >= 1
    assert_array_equal(model.predict(X), expected)
    model.set_params(learning_rate="linear", learning_rate_init=1e308, max_iter=1, bptt_steps=None)
    with pytest.raises(TrainingDivergedError):  # the very last update is the one that breaks
        model.fit(X, 1e20 * Y)
    assert_array_equal(model.predict(X), expected)


def test_steps_without_a_finite_gradient_are_left_out_and_counted(monkeypatch):
    gradient = Objective.gradient
    calls = []

    def sometimes(self, theta, grad, *args, **kwargs):
        out = gradient(self, theta, grad, *args, **kwargs)
        calls.append(theta.copy())
        if len(calls) % 3 == 0:
            grad[0] = np.nan
        return out

    monkeypatch.setattr(Objective, "gradient", sometimes)
    model = regressor(max_iter=9).fit(*several())
    assert model.n_skipped_steps_ == 3
    assert model.t_ == 9
    assert np.isfinite(model.theta_).all()
    for k in (3, 6):
        assert_array_equal(calls[k], calls[k - 1])
    assert not np.array_equal(calls[1], calls[2])


def test_a_window_network_that_fails_keeps_the_former_one(monkeypatch):
    windows = np.lib.stride_tricks.sliding_window_view(U[:, 0], 6)
    model = WindowRNNRegressor(hidden_layer_sizes=4, max_iter=2, random_state=0)
    model.fit(windows[:, :5], windows[:, 5])
    before = deep_state(model)
    monkeypatch.setattr(_reading, "read_rows", None)
    with monkeypatch.context() as patch:
        patch.setattr(Objective, "gradient", nth(2, KeyboardInterrupt())(Objective.gradient))
        with pytest.raises((KeyboardInterrupt, TypeError)):
            model.fit(windows[::-1, :5], windows[::-1, 5])
    assert deep_state(model) == before
