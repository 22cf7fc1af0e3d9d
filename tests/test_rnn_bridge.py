"""A trainable network that starts as an echo state network does what that does."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from echocast.exceptions import EchocastWarning
from echocast.reservoir import ESNRegressor, NVARRegressor, RNNClassifier, RNNRegressor
from esn_cases import make, panel, series

U = series(400)
X, Y = U[:-1], U[1:]

RESERVOIRS = {
    "plain": {},
    "leaky": {"leak_rate": 0.3},
    "leaks": {"leak_rate": np.linspace(0.1, 1, 40)},
    "relu": {"activation": "relu", "spectral_radius": 0.5},
    "without inputs": {"include_input": False},
    "shift": {"topology": "shift"},
    "dense": {"connectivity": 1.0},
    "sparse": {"connectivity": 3},
    "no intercept": {"fit_intercept": False},
    "washout": {"washout": 50},
    "weak penalty": {"alpha": 1e-10},
    "strong penalty": {"alpha": 10.0},
    "chosen penalty": {"alpha": "auto"},
    "scaled": {"input_scaling": [0.3, 2.0], "bias_scaling": 1.5},
}


def start_from(esn, **params):
    settings = {"max_iter": 0, "dtype": "float64", "weight_init": esn, "random_state": 0}
    cell = "relu" if getattr(esn, "activation", "tanh") == "relu" else "tanh"
    return RNNRegressor(**{**settings, "hidden_layer_sizes": 40, "cell": cell, **params})


@pytest.mark.parametrize("name", RESERVOIRS)
def test_states_predictions_and_loops_are_those_of_the_reservoir(name):
    esn = make(**RESERVOIRS[name]).fit(X, Y)
    rnn = start_from(esn).fit(X, Y)
    assert_allclose(rnn.transform(U), esn.transform(U), atol=1e-10)
    assert_allclose(rnn.predict(U), esn.predict(U), atol=1e-8)
    for given in ({}, {"warmup": U[:50]}):
        # A loop doubles its rounding errors again and again if it is chaotic; these are short.
        assert_allclose(rnn.generate(40, **given), esn.generate(40, **given), atol=1e-8)
    assert_allclose(rnn.state_, esn.state_, atol=1e-10)
    assert rnn._fit_network.include_input == esn.include_input
    assert_allclose(rnn.score(X, Y), esn.score(X, Y), atol=1e-8)


def test_a_reservoir_that_is_not_fitted_is_fitted_first():
    esn = make()
    rnn = start_from(esn).fit(X, Y)
    assert not hasattr(esn, "coef_")
    assert_allclose(rnn.predict(U), make().fit(X, Y).predict(U), atol=1e-8)
    parts = panel()
    rnn = start_from(make()).fit([u[:-1] for u in parts], [u[1:, 0] for u in parts])
    esn = make().fit([u[:-1] for u in parts], [u[1:, 0] for u in parts])
    for found, expected in zip(rnn.predict(parts), esn.predict(parts)):
        assert_allclose(found, expected, atol=1e-8)


def test_weights_of_the_rows_go_to_the_reservoir():
    weights = np.where(np.arange(len(X)) < 200, 1.0, 0.1)
    rnn = start_from(make()).fit(X, Y, sample_weight=weights)
    esn = make().fit(X, Y, sample_weight=weights)
    assert_allclose(rnn.predict(U), esn.predict(U), atol=1e-8)
    assert not np.allclose(rnn.predict(U), make().fit(X, Y).predict(U), atol=1e-8)


def test_the_word_alone_makes_a_reservoir_of_the_size_and_leak_asked_for():
    rnn = start_from("reservoir", hidden_layer_sizes=30, leak_rate=0.4, washout=20).fit(X, Y)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    esn = ESNRegressor(
        30, leak_rate=0.4, washout=20, alpha=1.0, include_input=False, random_state=int(seed)
    ).fit(X, Y)
    assert_allclose(rnn.predict(U), esn.predict(U), atol=1e-8)
    assert rnn.params_["layers.0.W"].shape == (30, 30)
    again = clone(rnn).fit(X, Y)
    assert_array_equal(again.theta_, rnn.theta_)
    assert not np.allclose(clone(rnn).set_params(random_state=1).fit(X, Y).theta_, rnn.theta_)


def test_increments_are_learnt_from_the_increments_of_a_reservoir():
    dY = np.diff(U, axis=0)
    esn = make().fit(X, dY)
    assert_allclose(start_from(esn).fit(X, dY).predict(X), esn.predict(X), atol=1e-8)


def test_a_reservoir_that_predicts_increments():
    esn = make(target="increment").fit(X, Y)
    rnn = start_from(esn).fit(X, Y)
    assert_allclose(rnn.predict(U), esn.predict(U), atol=1e-8)
    assert_allclose(rnn.generate(20), esn.generate(20), atol=1e-8)


def test_single_precision_is_close():
    esn = make(alpha=1.0).fit(X, Y)
    rnn = start_from(esn, dtype="float32").fit(X, Y)
    assert rnn.predict(U).dtype == np.float32
    assert_allclose(rnn.predict(U), esn.predict(U), atol=1e-4)


def test_a_frozen_reservoir_survives_clones_and_grid_searches():
    esn = make().fit(series(300, seed=5)[:-1], series(300, seed=5)[1:])
    rnn = start_from(FrozenEstimator(esn))
    for model in (rnn, clone(rnn)):
        assert_array_equal(model.fit(X, Y).params_["layers.0.W_in"], esn.W_in_)
        assert_allclose(model.predict(U), esn.predict(U), atol=1e-8)
    refitted = clone(start_from(esn)).fit(X, Y)  # clone forgets what was fitted
    assert_allclose(refitted.predict(U), make().fit(X, Y).predict(U), atol=1e-8)


def test_grid_searches_tune_the_reservoir_inside():
    grid = {"weight_init__spectral_radius": [0.1, 0.9]}
    search = GridSearchCV(start_from(make()), grid, cv=TimeSeriesSplit(3)).fit(X, Y)
    plain = GridSearchCV(make(), {"spectral_radius": [0.1, 0.9]}, cv=TimeSeriesSplit(3)).fit(X, Y)
    found, expected = (s.cv_results_["mean_test_score"] for s in (search, plain))
    assert_allclose(found, expected, atol=1e-8)
    assert_allclose(search.predict(U), plain.predict(U), atol=1e-8)


@pytest.mark.parametrize("loss", ["squared_error", "pinball", "gaussian", "student_t"])
def test_training_goes_on_from_there(loss):
    esn = make(alpha=0.1).fit(X, Y)
    rnn = start_from(esn, loss=loss, quantile=[0.1, 0.5, 0.9])
    assert_allclose(rnn.fit(X, Y).predict(U), esn.predict(U), atol=1e-8)
    tuned = start_from(esn, loss=loss, max_iter=25, learning_rate_init=1e-3).fit(X, Y)
    assert tuned.loss_ < tuned.loss_curve_[0]
    before = esn.W_in_.copy()
    assert not np.allclose(tuned.params_["layers.0.W_in"], before)  # all weights are learnt
    assert_array_equal(esn.W_in_, before)  # and the reservoir keeps its own


def test_fine_tuning_lowers_the_error_of_a_reservoir():
    esn = make(n_units=20, alpha=10.0).fit(X, Y)
    tuned = start_from(esn, max_iter=100, learning_rate_init=1e-3, bptt_steps=30).fit(X, Y)
    errors = [np.mean((m.predict(X)[50:] - Y[50:]) ** 2) for m in (esn, tuned)]
    assert errors[1] < 0.9 * errors[0]


@pytest.mark.parametrize(("reservoir", "params", "message"), [
    (make(feedback_scaling=0.5), {}, "without output feedback"),
    (make(), {"cell": "lstm"}, "makes one layer of cell='tanh' or 'relu'"),
    (make(), {"cell": "gru"}, "got RNNRegressor with cell='gru'"),
    (make(), {"hidden_layer_sizes": (40, 40)}, "makes one layer"),
    (make(), {"bidirectional": True}, "bidirectional=True"),
    (make(), {"recurrence": "output"}, "recurrence='output'"),
    (make(activation="sigmoid"), {}, "activation='sigmoid'; a network that is trained has"),
    (make().fit(U[:-1], U[1:, 0]), {}, r"2 feature\(s\) and 1 target\(s\), but here are 2 and 2"),
    (make().fit(U[:-1, :1], U[1:]), {}, r"fitted on 1 feature\(s\)"),
    (NVARRegressor(), {}, "must be an ESNRegressor"),
    (ESNRegressor, {}, "'weight_init' parameter of RNNRegressor must be"),
    (3, {}, "'weight_init' parameter"),
    ("reservoirs", {}, "'weight_init' parameter"),
])  # fmt: skip
def test_what_cannot_be_a_start_is_refused(reservoir, params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        start_from(reservoir, **params).fit(X, Y)


def test_outputs_at_the_end_and_classifiers_are_refused():
    with pytest.raises(ValueError, match="outputs at each step"):
        start_from(make()).fit([X, X], [1.0, 2.0])
    for given in ("reservoir", make()):
        with pytest.raises(ValueError, match="'weight_init' parameter of RNNClassifier"):
            RNNClassifier(weight_init=given).fit([X, X], [1, 2])


def test_training_that_spoils_the_reservoir_says_so():
    esn = ESNRegressor(60, alpha=1e-12, random_state=0).fit(X, Y)
    model = RNNRegressor(weight_init=esn, learning_rate_init=0.1, max_iter=1, dtype="float64")
    with pytest.warns(EchocastWarning, match="Training has made the loss of the reservoir worse"):
        model.fit(X, Y)


def test_given_weights_are_where_training_starts():
    made = RNNRegressor(cell="gru", hidden_layer_sizes=5, max_iter=1, random_state=0).fit(X, Y)
    params = {"cell": "gru", "hidden_layer_sizes": 5, "max_iter": 0, "random_state": 0}
    again = RNNRegressor(weight_init=made.params_, **params).fit(X, Y)
    assert_array_equal(again.theta_, made.theta_)
    assert_array_equal(again.generate(5), made.generate(5))
    some = {"layers.0.W": made.params_["layers.0.W"]}
    part = RNNRegressor(weight_init=some, **params).fit(X, Y)
    plain = RNNRegressor(**params).fit(X, Y)
    assert_array_equal(part.params_["layers.0.W"], some["layers.0.W"])
    assert_array_equal(part.params_["layers.0.W_in"], plain.params_["layers.0.W_in"])
    for wrong, says in [
        ({"layers.1.W": np.eye(5)}, "this network has"),
        ({"layers.0.W": np.eye(5)}, "this network needs"),
        ({"out.b": np.full(2, np.nan)}, "NaN or infinity"),
    ]:
        with pytest.raises(ValueError, match=says):
            RNNRegressor(weight_init=wrong, **params).fit(X, Y)
