"""Trained networks at work: Ctrl-C, logs, curves, own outputs in training, odd sizes of data."""

import logging
import os
import signal
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.exceptions import EchocastWarning
from echocast.reservoir import LossCurveDisplay, WindowRNNRegressor
from rnn_fits import classifier, deep_state, ragged, regressor, waves

U = waves(60)
X, Y = U[:-1], U[1:]


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_ctrl_c_is_served_at_once_and_leaves_the_former_model(n_jobs):
    long = [waves(20000, seed=k) for k in range(32)]
    inputs, targets = [u[:-1] for u in long], [u[1:] for u in long]
    model = regressor(hidden_layer_sizes=64, cell="lstm", dtype="float32", bptt_steps=None,
                      max_iter=1, n_jobs=n_jobs)  # fmt: skip
    model.fit(X, Y)
    before = deep_state(model)
    model.set_params(max_iter=100)
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.5, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(inputs, targets)
    waited = time.perf_counter() - sent[0]
    timer.join()
    assert deep_state(model.set_params(max_iter=1)) == before
    assert waited < 1.0  # kernels are run in pieces, and other threads are not waited for


def test_epochs_are_logged_if_asked_for(caplog):
    with caplog.at_level(logging.INFO, logger="echocast"):
        regressor(max_iter=2).fit(X, Y)
        assert caplog.text == ""
        model = regressor(max_iter=2, verbose=True, early_stopping=True).fit(X, Y)
        regressor(max_iter=2, verbose=1, solver="lbfgs").fit(X, Y)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == (
        f"Epoch 1, loss = {model.loss_curve_[0]:.8f}, validation score "
        f"{model.validation_scores_[0]:.6f}"
    )
    assert [line.split(",")[0] for line in lines] == ["Epoch 1", "Epoch 2"] * 2


# -------------------------------------------------------------------------------- displays


@pytest.fixture
def axes():
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots()
    yield axes
    plt.close("all")
    del figure


def test_the_loss_curve_is_drawn_epoch_by_epoch(axes):
    model = regressor(max_iter=7).fit(X, Y)
    display = LossCurveDisplay.from_estimator(model, ax=axes, color="black")
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert_array_equal(display.line_.get_xdata(), np.arange(1, 8))
    assert_array_equal(display.line_.get_ydata(), model.loss_curve_)
    assert display.line_.get_color() == "black"
    assert display.line_.get_label() == "RNNRegressor"
    assert axes.get_yscale() == "log"
    assert len(axes.figure.axes) == 1


def test_validation_scores_stand_beside_it(axes):
    model = regressor(max_iter=5, early_stopping=True, loss="gaussian").fit(X, Y)
    display = LossCurveDisplay.from_estimator(model, ax=axes, name="a network")
    twin = axes.figure.axes[1]
    assert_array_equal(twin.lines[0].get_ydata(), model.validation_scores_)
    assert display.line_.get_label() == "a network"
    lowest = LossCurveDisplay([0.5, -0.1]).plot()  # a likelihood may be above one
    assert lowest.ax_.get_yscale() == "linear"


def test_other_estimators_with_a_curve_and_those_without(axes):
    windows = np.lib.stride_tricks.sliding_window_view(U[:, 0], 6)
    model = WindowRNNRegressor(hidden_layer_sizes=4, max_iter=3, random_state=0)
    model.fit(windows[:, :5], windows[:, 5])
    assert len(LossCurveDisplay.from_estimator(model, ax=axes).line_.get_ydata()) == 3
    with pytest.raises(ValueError, match="trained for no epoch"):
        LossCurveDisplay.from_estimator(regressor(max_iter=0).fit(X, Y))
    with pytest.raises(ValueError, match="not fitted"):
        LossCurveDisplay.from_estimator(regressor())


# -------------------------------------------------------------------------- own outputs


@pytest.mark.parametrize("forcing", [0.0, 0.5, "scheduled", "exponential", "inverse_sigmoid",
                                     lambda k: 1 / (1 + k)])  # fmt: skip
def test_training_on_own_outputs_learns(forcing):
    data = [waves(40, seed=k) for k in range(8)]
    model = regressor(teacher_forcing=forcing, max_iter=40, learning_rate_init=0.02, washout=5,
                      hidden_layer_sizes=12)  # fmt: skip
    model.fit([u[:-1] for u in data], [u[1:] for u in data])
    assert model.loss_ < model.loss_curve_[0]
    assert np.isfinite(model.generate(10, warmup=data[0])).all()


def test_a_callable_is_asked_once_for_each_update():
    asked = []
    model = regressor(teacher_forcing=lambda k: asked.append(k) or 0.5, max_iter=3, bptt_steps=10)
    model.fit(X, Y)
    assert asked == list(range(model.t_))
    assert model.t_ == 3 * 6


def test_full_forcing_by_a_callable_is_plain_training():
    plain, called = (
        regressor(teacher_forcing=forcing, max_iter=4).fit(X, Y) for forcing in (1.0, lambda k: 1.0)
    )
    assert_array_equal(plain.theta_, called.theta_)


def test_a_classifier_fed_its_own_labels():
    bits = [np.random.RandomState(k).randint(2, size=30) for k in range(16)]
    parity = [np.cumsum(b) % 2 for b in bits]
    model = classifier(
        recurrence="output", hidden_layer_sizes=8, max_iter=150, learning_rate_init=0.05
    ).fit([2.0 * b[:, None] - 1 for b in bits], parity)
    fresh = np.random.RandomState(99).randint(2, size=2000)  # longer than a stretch of a pass
    found = model.predict([2.0 * fresh[:, None] - 1])[0]
    assert_array_equal(found, np.cumsum(fresh) % 2)


# ------------------------------------------------------------------------- odd sizes


@pytest.mark.parametrize("params", [{}, {"cell": "lstm", "bidirectional": True}, {"bptt_steps": 1},
                                    {"recurrence": "output"}, {"solver": "lbfgs"}])  # fmt: skip
def test_sequences_of_a_single_step(params):
    model = regressor(**params).fit(X[:1], Y[:1])
    assert np.isfinite(model.predict(X[:1])).all()
    data = [x[None] for x in X[:5]]
    model = regressor(**params).fit(data, [y[None] for y in Y[:5]])
    assert [p.shape for p in model.predict([X[:1], X[:4]])] == [(1, 2), (4, 2)]


@pytest.mark.parametrize("kind", [int, bool, "float32", object])
def test_numbers_of_other_kinds_are_converted(kind):
    numbers = (10 * X).astype(int).astype(kind)
    expected = regressor().fit(numbers.astype(float), Y).predict(numbers.astype(float))
    assert_allclose(regressor().fit(numbers, Y).predict(numbers), expected, rtol=1e-12)


def test_frames_out_of_order_are_warned_of():
    pd = pytest.importorskip("pandas")
    with pytest.warns(EchocastWarning, match="is not increasing"):
        regressor().fit(pd.DataFrame(X)[::-1], Y)


def test_one_network_may_be_much_larger_than_its_data():
    model = regressor(batch_size=10**9, bptt_steps=10**9, n_jobs=-1, hidden_layer_sizes=(40, 30))
    assert model.fit(X[:3], Y[:3]).n_iter_ == 2
    data = ragged((1, 2, 200, 3))
    model = regressor(batch_size=1).fit(data, data)
    assert model.t_ == 8
