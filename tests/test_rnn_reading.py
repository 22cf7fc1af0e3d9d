"""How sequences, targets and weights are read, and what scikit-learn's tools make of them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline

from echocast.exceptions import EchocastWarning, UnscaledDataWarning
from echocast.reservoir import (
    RNNClassifier,
    RNNRegressor,
    SequenceScaler,
    WindowRNNRegressor,
    sequence_scorer,
)
from echocast.reservoir.rnn._objective import TrainData
from echocast.reservoir.rnn._packed import bucketed_batches, lanes_of, pack, pieces_of
from rnn_fits import SMALL, classifier, ragged, regressor, waves

DATA = ragged((20, 12, 20, 16, 20, 9))
X, Y = [u[:-1] for u in DATA], [u[1:] for u in DATA]
STACK = np.stack([waves(20, seed=k) for k in range(6)])


# ------------------------------------------------------------------------------- packing


def test_packing_covers_each_row_once_and_shows_where_sequences_end():
    indptr = np.array([0, 7, 12, 13])
    packed = pack(indptr[:-1], indptr[1:])
    assert_array_equal(packed.sizes, [3, 2, 2, 2, 2, 1, 1])
    assert sorted(packed.rows[packed.valid]) == list(range(13))
    assert_array_equal(packed.rows[:, 2], 12)  # padding repeats the last row
    columns = np.arange(3)
    back = packed.rows[packed.backwards, columns]
    assert_array_equal(back[:5, 1], [11, 10, 9, 8, 7])
    assert_array_equal(back[packed.backwards, columns], packed.rows)


def test_pieces_are_consecutive_and_leave_nothing_out():
    lanes = np.array([[0, 10], [10, 17], [17, 18]])
    pieces = list(pieces_of(lanes, 4))
    assert [len(starts) for starts, _ in pieces] == [3, 2, 1]
    rows = [i for starts, stops in pieces for a, b in zip(starts, stops) for i in range(a, b)]
    assert sorted(rows) == list(range(18))


@pytest.mark.parametrize("rng", [None, np.random.RandomState(0)])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 700])
def test_batches_hold_each_sequence_once_by_decreasing_length(rng, n):
    lengths = np.random.RandomState(1).randint(1, 50, n)
    batches = bucketed_batches(lengths, 32, rng)
    assert sorted(np.concatenate(batches)) == list(range(n))
    for batch in batches:
        assert len(batch) <= 32
        assert (np.diff(lengths[batch]) <= 0).all()


def test_lanes_cut_long_series_only():
    assert len(lanes_of(np.array([0, 400]), None, 32)) == 1
    assert len(lanes_of(np.array([0, 400]), 100, 32)) == 1
    lanes = lanes_of(np.array([0, 10000, 12000]), 20, 32)
    assert 16 <= len(lanes) <= 32
    assert_array_equal(lanes[1:, 0], lanes[:-1, 1])
    assert 10000 in lanes[:, 0]  # no lane crosses the border of two sequences


def test_positions_count_from_the_start_of_each_sequence():
    data = TrainData(np.zeros((5, 1)), np.array([0, 3, 5]), np.zeros(5), np.ones(5))
    assert_array_equal(data.position, [0, 1, 2, 0, 1])


# ----------------------------------------------------------------------------- y, per step or not


@pytest.mark.parametrize(("X", "y", "last"), [
    (X[0], Y[0], False), (X[0], Y[0][:, 0], False), (X, Y, False), (X, [y[:, 0] for y in Y], False),
    (STACK, STACK, False), (STACK, STACK[:, :, 0], False), (STACK, np.arange(6.0), True),
    (STACK, np.ones((6, 3)), True), (X, np.arange(6.0), True), (X, np.ones((6, 2)), True),
    (X, list(range(6)), True), (STACK[:1], [1.0], True),
])  # fmt: skip
def test_the_form_of_y_tells_where_outputs_are(X, y, last):
    model = regressor().fit(X, y)
    assert model._fit_last == last
    shapes = [np.shape(p) for p in model.predict(X)] if isinstance(X, list) else None
    if shapes and not last:
        assert shapes == [np.shape(part) for part in y]
    else:
        assert np.shape(model.predict(X)) == np.shape(y) or shapes


def test_ambiguous_targets_are_settled_by_the_parameter():
    square = STACK[:, :6]
    y = STACK[:, :6, 0]  # (6, 6): six steps, or six targets
    assert regressor().fit(square, y).predict(square).shape == (6, 6)
    assert not regressor().fit(square, y)._fit_last
    at_end = regressor(output="last").fit(square, y)
    assert at_end._fit_last
    assert at_end.predict(square).shape == (6, 6)


def test_groups_and_panels_with_one_target_for_each_series():
    ids = np.repeat(list("cab"), [20, 12, 20])
    rows = np.concatenate(DATA[:3])
    index = pd.MultiIndex.from_arrays([ids, np.concatenate([np.arange(len(u)) for u in DATA[:3]])])
    expected = regressor().fit(DATA[:3], [1.0, 2.0, 3.0])
    by_label = pd.Series([2.0, 3.0, 1.0], index=list("abc"))
    for model in (
        regressor().fit(rows, [1.0, 2.0, 3.0], groups=ids),
        regressor().fit(pd.DataFrame(rows, index=index), by_label),
    ):
        assert_array_equal(model.theta_, expected.theta_)
    found = model.predict(pd.DataFrame(rows, index=index))
    assert_array_equal(found, expected.predict(DATA[:3]))


def test_windows_are_rows_that_stand_alone():
    rows = STACK[:, :, 0]
    model = regressor(layout="windows").fit(rows, np.arange(6.0))
    same = regressor().fit(rows[:, :, None], np.arange(6.0))
    assert_array_equal(model.theta_, same.theta_)
    assert_array_equal(model.predict(rows[::-1])[::-1], model.predict(rows))
    assert model.n_features_in_ == 20


# ------------------------------------------------------------------------------------- weights


def test_weights_of_every_form_are_the_same():
    flat = [np.linspace(0.5, 2, len(x)) for x in X]
    ids = np.repeat(range(6), [len(x) for x in X])
    expected = regressor().fit(X, Y, sample_weight=flat).theta_
    rows = np.concatenate(X), np.concatenate(Y)
    for model in (
        regressor().fit(X, Y, sample_weight=np.concatenate(flat)),
        regressor().fit(*rows, groups=ids, sample_weight=np.concatenate(flat)),
    ):
        assert_array_equal(model.theta_, expected)
    assert not np.allclose(regressor().fit(X, Y).theta_, expected)
    for size in (1e-40, 1e38, 1e300):  # beyond float32
        far = regressor(dtype="float32").fit(X, Y, sample_weight=[size * w for w in flat])
        assert_allclose(far.theta_, expected, atol=1e-4)
    doubled = regressor().fit(X, Y, sample_weight=[2 * w for w in flat])
    assert_allclose(doubled.theta_, expected, rtol=1e-9)  # only the ratios of weights count


def test_sequences_of_weight_zero_are_as_good_as_absent():
    y, weights = np.arange(6.0), np.array([1.0, 0, 1, 2, 0, 1])
    found = regressor(max_iter=4).fit(X, y, sample_weight=weights)
    kept = [i for i in range(6) if weights[i]]
    expected = regressor(max_iter=4).fit([X[i] for i in kept], y[kept], sample_weight=weights[kept])
    assert_allclose(found.theta_, expected.theta_, rtol=1e-9, atol=1e-12)


def test_steps_of_weight_zero_are_history_alone():
    weights = np.ones(len(X[0]))
    weights[5:9] = 0
    strange = Y[0].copy()
    strange[5:9] = 40.0
    model = regressor(max_iter=5)
    a, b = (clone(model).fit(X[0], y, sample_weight=weights) for y in (Y[0], strange))
    assert_array_equal(a.theta_, b.theta_)
    assert_array_equal(a.loss_curve_, b.loss_curve_)


def test_the_washout_is_not_learnt_from():
    strange = [y.copy() for y in Y]
    for y in strange:
        y[:4] += 3
    a, b = (regressor(washout=4, max_iter=5).fit(X, y) for y in (Y, strange))
    assert_array_equal(a.theta_, b.theta_)


def test_a_washout_longer_than_chunks_of_a_network_that_remembers_its_output():
    u = waves(120)
    model = regressor(recurrence="output", washout=50, bptt_steps=10).fit(u[:-1], u[1:])
    assert np.isfinite(model.predict(u)).all()


def test_the_weights_given_are_not_written_to():
    weights = np.ones(len(X[0]))
    regressor(washout=4).fit(X[0], Y[0], sample_weight=weights)
    assert (weights == 1).all()


def test_the_score_weighs_steps():
    model = regressor().fit(X[0], Y[0])
    weights = np.zeros(len(X[0]))
    weights[:8] = 1
    found = model.score(X[0], Y[0], sample_weight=weights)
    assert_allclose(found, model.score(X[0][:8], Y[0][:8]), rtol=1e-12)


# --------------------------------------------------------------------------- classifiers


def test_labels_of_steps_and_of_sequences():
    steps = [np.where(u[:, 0] > 0, "up", "down") for u in DATA]
    model = classifier(max_iter=5).fit(DATA, steps)
    assert [len(p) for p in model.predict(DATA)] == [len(u) for u in DATA]
    assert model.predict_proba(DATA)[1].shape == (12, 2)
    assert_allclose(np.concatenate(model.predict_proba(DATA)).sum(axis=1), 1, rtol=1e-12)
    hits = np.concatenate(model.predict(DATA)) == np.concatenate(steps)
    assert model.score(DATA, steps) == pytest.approx(hits.mean())
    padded = np.full((6, 20, 2), np.nan)
    labels = np.full((6, 20), "none", dtype=object)
    for u, s, row, names in zip(DATA, steps, padded, labels):
        row[: len(u)], names[: len(u)] = u, s
    same = classifier(max_iter=5).fit(padded, labels)
    assert_array_equal(same.theta_, model.theta_)
    for found, expected in zip(same.predict(padded), model.predict(DATA)):
        assert_array_equal(found, expected)
    whole = classifier(max_iter=5).fit(DATA, list("ababab"))
    assert whole.predict(DATA).shape == (6,)
    assert whole.predict_proba(padded).shape == (6, 2)


def test_a_classifier_of_rows_takes_them_in_any_order():
    rows = STACK[:, :, 0]
    model = classifier().fit(rows, list("ababab"))
    assert_array_equal(model.predict(rows[::-1])[::-1], model.predict(rows))


# ----------------------------------------------------------------------- scikit-learn's tools


@pytest.mark.parametrize("data", [(X, Y), (STACK[:, :-1], STACK[:, 1:])], ids=["list", "3-D"])
def test_searches_over_sequences(data):
    scorer = sequence_scorer("rmse")
    search = GridSearchCV(
        RNNRegressor(**SMALL), {"cell": ["tanh", "gru"]}, cv=KFold(3), scoring=scorer
    ).fit(*data)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    scores = cross_val_score(regressor(), *data, cv=3, scoring=scorer)
    assert scores.shape == (3,)
    assert (scores < 0).all()


def test_searches_over_the_rows_of_one_series():
    u = waves(80)
    scores = cross_val_score(regressor(), u[:-1], u[1:], cv=TimeSeriesSplit(3))
    assert np.isfinite(scores).all()
    frame = pd.DataFrame(u, columns=["a", "b"])
    same = cross_val_score(regressor(), frame[:-1], u[1:], cv=TimeSeriesSplit(3))
    assert_array_equal(same, scores)


@pytest.mark.parametrize("data", [X, STACK[:, :-1], X[0]], ids=["list", "3-D", "2-D"])
def test_pipelines_with_a_scaler(data):
    target = Y if data is X else STACK[:, 1:] if data is not X[0] else Y[0]
    large = [100 + 50 * x for x in data] if isinstance(data, list) else 100 + 50 * data
    pipe = make_pipeline(SequenceScaler(), regressor()).fit(large, target)
    scaled = SequenceScaler().fit_transform(large)
    expected = regressor().fit(scaled, target)
    assert_array_equal(pipe[-1].theta_, expected.theta_)
    assert np.shape(pipe.predict(large)[0]) == np.shape(target[0])
    assert np.isfinite(pipe.score(large, target))


def test_states_feed_another_model():
    u = waves(100)
    pipe = make_pipeline(regressor(cell="gru", max_iter=10), Ridge(1e-6)).fit(u[:-1], u[1:])
    assert pipe.score(u[:-1], u[1:]) > 0.9


@pytest.mark.parametrize(("params", "width"), [
    ({}, 6), ({"bidirectional": True}, 12), ({"hidden_layer_sizes": (4, 3)}, 3)
])  # fmt: skip
def test_set_output_and_names_of_the_states(params, width):
    model = regressor(**params).fit(X[0], Y[0]).set_output(transform="pandas")
    frame = model.transform(X[0])
    assert list(frame.columns) == [f"rnnregressor{i}" for i in range(width)]
    assert list(model.get_feature_names_out()) == list(frame.columns)
    assert isinstance(model.transform(X), list)
    assert isinstance(model.transform(STACK), np.ndarray)
    assert isinstance(model.fit_transform(X, Y), list)
    indexed = pd.DataFrame(X[0], index=pd.date_range("2024", periods=len(X[0]), freq="D"))
    named = clone(model).set_output(transform="pandas").fit(indexed, Y[0])
    assert named.transform(indexed).index.equals(indexed.index)


def test_window_networks_shuffle_search_and_take_frames():
    u = waves(200)[:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(u, 7)
    frame = pd.DataFrame(windows[:, :6], columns=[f"lag_{k}" for k in range(6, 0, -1)])
    model = WindowRNNRegressor(hidden_layer_sizes=6, max_iter=40, random_state=0)
    model.fit(frame, windows[:, 6])
    assert model.score(frame, windows[:, 6]) > 0.9
    order = np.random.RandomState(0).permutation(len(frame))
    # Products of other numbers of rows end in other digits of float32.
    assert_allclose(model.predict(frame.iloc[order]), model.predict(frame)[order], atol=1e-5)
    scores = cross_val_score(model, frame, windows[:, 6], cv=KFold(3, shuffle=True, random_state=0))
    assert scores.min() > 0.8
    far = model.set_params(dtype="float64").fit(1e6 + 50 * frame, 3e7 + 1e4 * windows[:, 6])
    assert far.score(1e6 + 50 * frame, 3e7 + 1e4 * windows[:, 6]) > 0.9  # it scales inside
    assert model.loss_curve_ == model.regressor_.loss_curve_


# ------------------------------------------------------------------------------- unscaled data


@pytest.mark.parametrize(("change", "name", "column"), [
    (lambda x, y: (x + 1e6, y), "X", 0), (lambda x, y: (x * [1, 1e4], y), "X", 1),
    (lambda x, y: (x, y + 1e6), "y", 0), (lambda x, y: (x, y * 1e5), "y", 0),
    (lambda x, y: (x, y * 1e-6), "y", 0),
])  # fmt: skip
def test_data_on_which_training_fails_are_named(change, name, column):
    x, y = change(X[0], Y[0])
    with pytest.warns(UnscaledDataWarning, match=f"Column {column} of {name} has mean") as caught:
        regressor(dtype="float32").fit(x, y)
    assert caught[0].filename == __file__
    assert "SequenceScaler" in str(caught[0].message)


def test_ordinary_data_are_not_warned_of():
    regressor().fit(5 * X[0] + 10, 20 * Y[0] - 300)  # warnings are errors here
    regressor(dtype="float64").fit(X[0], Y[0] + 1e6)  # float64 has digits enough
    regressor().fit(X[0], np.full(len(X[0]), 1e9))  # a constant is learnt at once
    RNNClassifier(**SMALL).fit(DATA, list("ababab"))
    with pytest.warns(UnscaledDataWarning, match="RNNClassifier trains badly"):
        RNNClassifier(**SMALL).fit([u + 1e6 for u in DATA], list("ababab"))


def test_arrays_of_objects_are_lists_of_sequences():
    data = ragged((12, 9, 15))
    objects = np.empty(3, dtype=object)
    objects[:] = data
    targets = np.empty(3, dtype=object)
    targets[:] = [u[:, 0] for u in data]
    wanted = regressor().fit(data, [u[:, 0] for u in data]).theta_
    assert_array_equal(regressor().fit(objects, targets).theta_, wanted)
    labels = ["a", "b", "a"]
    assert_array_equal(
        classifier().fit(objects, labels).theta_, classifier().fit(data, labels).theta_
    )


def test_a_classifier_says_that_rows_of_a_table_are_sequences():
    frame = pd.DataFrame(waves(30, 1), index=pd.date_range("2024", periods=30, freq="D"))
    labels = np.arange(30) % 2
    with pytest.warns(EchocastWarning, match=r"fit\(\[X\], \[y\]\)"):
        classifier(max_iter=1).fit(frame, labels)
    with pytest.raises(ValueError, match=r"fit\(\[X\], \[y\]\)"):
        classifier(output="sequence").fit(waves(30, 1), labels)


def test_labels_of_steps_in_another_order_are_refused():
    index = pd.MultiIndex.from_product([["a", "b"], range(10)])
    frame = pd.DataFrame(waves(20, 1), index=index)
    labels = pd.Series(np.arange(20) % 3, index=index)
    classifier(max_iter=1).fit(frame, labels)
    with pytest.raises(ValueError, match=r"Use y\.loc\[X\.index\]"):
        classifier(max_iter=1).fit(frame, labels.iloc[::-1])
