"""scikit-learn's callbacks (1.9 and later) see each epoch of a trained network, and may stop it."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from rnn_fits import classifier, deep_state, ragged, regressor, waves

U = waves(60)
X, Y = U[:-1], U[1:]


class Recorder:
    """Notes every call; stops, or fails, at the end of the given epoch."""

    def __init__(self, stop_at=None, fail_at=None):
        self.stop_at, self.fail_at = stop_at, fail_at
        self.calls, self.scores = [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(("end", context.task_name))
        self.scores.append(fitted_estimator.score(X, y))
        n = self.calls.count(("end", "epoch"))
        if self.fail_at is not None and n == self.fail_at:
            raise KeyboardInterrupt
        return self.stop_at is not None and n == self.stop_at


needs_callbacks = pytest.mark.skipif(
    not hasattr(regressor(), "set_callbacks"), reason="this scikit-learn has no callbacks"
)


@needs_callbacks
@pytest.mark.parametrize("params", [
    {"max_iter": 4}, {"max_iter": 4, "solver": "lbfgs"}, {"max_iter": 0},
    {"max_iter": 50, "early_stopping": True, "tol": 1e9, "n_iter_no_change": 2},
])  # fmt: skip
def test_every_epoch_begins_and_ends_once(params):
    recorder = Recorder()
    model = regressor(**params).set_callbacks(recorder).fit(X, Y)
    epochs = [("begin", "epoch"), ("end", "epoch")] * model.n_iter_
    expected = ["setup", ("begin", "fit"), *epochs, ("end", "fit"), "teardown"]
    assert recorder.calls == expected
    plain = regressor(**params).fit(X, Y)
    assert_array_equal(plain.theta_, model.theta_)  # watching changes nothing
    assert recorder.scores[-1] == model.score(X, Y)
    if model.n_iter_ > 1 and not model.early_stopping:
        first = clone(plain).set_params(learning_rate="constant", max_iter=1).fit(X, Y)
        if model.solver == "adam":
            assert_allclose(recorder.scores[0], first.score(X, Y), rtol=1e-12)


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_that_stops_stops(solver):
    model = regressor(max_iter=30, solver=solver).set_callbacks(Recorder(stop_at=3)).fit(X, Y)
    assert model.n_iter_ == 3
    assert np.isfinite(model.predict(X)).all()


@needs_callbacks
def test_a_callback_that_fails_leaves_the_former_model_and_is_torn_down():
    recorder = Recorder(fail_at=2)
    model = regressor(max_iter=5).fit(X, Y)
    before = deep_state(model)
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(recorder).fit(X[::-1], Y[::-1])
    assert recorder.calls[-1] == "teardown"
    model.set_callbacks()
    assert deep_state(model) == before


@needs_callbacks
def test_the_scoring_monitor_of_scikit_learn():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="r2")
    model = regressor(max_iter=6, learning_rate_init=0.02).set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data_as_pandas
    scores = rows["r2"].to_numpy()
    assert len(scores) == 7  # the epochs and the fit
    assert scores[-1] == pytest.approx(model.score(X, Y), rel=1e-12)
    assert scores[5] != scores[0]
    data = ragged()
    labels = [0, 1, 0, 1]
    monitor = ScoringMonitor(scoring="accuracy")
    classifier(max_iter=3).set_callbacks(monitor).fit(data, labels)
    assert len(monitor.get_logs().data_as_pandas) == 4


@needs_callbacks
def test_callbacks_survive_clones_and_searches():
    recorder = Recorder()
    model = regressor(max_iter=2).set_callbacks(recorder)
    search = GridSearchCV(model, {"cell": ["tanh", "gru"]}, cv=TimeSeriesSplit(2)).fit(X, Y)
    assert recorder.calls.count("teardown") == recorder.calls.count("setup") > 0
    assert np.isfinite(search.best_score_)


@needs_callbacks
def test_the_progress_bar_of_scikit_learn():
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    model = regressor(max_iter=5).set_callbacks(ProgressBar()).fit(X, Y)
    assert model.n_iter_ == 5


def test_an_older_scikit_learn_has_no_callbacks_and_all_the_rest():
    script = """
        import sys
        import numpy as np
        import sklearn.metrics, sklearn.model_selection, sklearn.pipeline
        sys.modules["sklearn.callback"] = None  # importing from it fails now
        from echocast.reservoir import RNNRegressor, RNNClassifier
        u = np.sin(0.2 * np.arange(60))[:, None]
        rnn = RNNRegressor(hidden_layer_sizes=4, max_iter=2, random_state=0).fit(u[:-1], u[1:])
        assert not hasattr(rnn, "set_callbacks")
        assert rnn.n_iter_ == 2 and rnn.generate(3).shape == (3, 1)
        rnn.partial_fit(u[:-1], u[1:])
        RNNClassifier(hidden_layer_sizes=4, max_iter=2).fit([u, -u], [0, 1]).predict([u])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=300)
