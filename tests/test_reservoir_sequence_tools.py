"""SequenceScaler against StandardScaler on stacked rows; sequence_scorer against plain loops."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import (
    ESNClassifier,
    ESNRegressor,
    ReservoirTransformer,
    SequenceScaler,
    sequence_scorer,
)


def parts(lengths=(5, 9, 7), n_features=3, seed=0):
    rng = np.random.RandomState(seed)
    return [rng.randn(n, n_features) * [1.0, 1e-3, 1e6] + [0.0, 1e3, -5.0] for n in lengths]


def padded(X):
    cube = np.full((len(X), max(map(len, X)), X[0].shape[1]), np.nan)
    for i, x in enumerate(X):
        cube[i, : len(x)] = x
    return cube


def test_lists_are_scaled_as_their_stacked_rows():
    X = parts()
    reference = StandardScaler().fit(np.vstack(X))
    scaler = SequenceScaler().fit(X)
    assert_allclose(scaler.mean_, reference.mean_, rtol=1e-12)
    assert_allclose(scaler.scale_, reference.scale_, rtol=1e-9)
    out = scaler.transform(X)
    assert isinstance(out, list)
    for a, b in zip(out, X):
        assert_allclose(a, reference.transform(b), rtol=1e-8, atol=1e-9)
    for a, b in zip(scaler.inverse_transform(out), X):
        assert_allclose(a, b, rtol=1e-12)


def test_padding_does_not_count_and_stays():
    X = parts()
    scaler = SequenceScaler().fit(padded(X))
    assert_array_equal(scaler.mean_, SequenceScaler().fit(X).mean_)
    out = scaler.transform(padded(X))
    assert_array_equal(out, padded(scaler.transform(X)))
    full = np.stack(parts((6, 6)))
    assert SequenceScaler().fit_transform(full).shape == full.shape


def test_a_multiindex_frame_keeps_its_index_on_the_way_to_a_classifier():
    rng = np.random.RandomState(0)
    X = [
        np.sin((0.2 + 0.3 * (i % 2)) * np.arange(30))[:, None] * 50 + rng.randn() for i in range(20)
    ]
    frame = pd.concat({i: pd.DataFrame(x, columns=["u"]) for i, x in enumerate(X)})
    out = SequenceScaler().fit_transform(frame)
    assert out.index.equals(frame.index)
    assert list(out.columns) == ["u"]
    assert_allclose(SequenceScaler().fit(frame).inverse_transform(out), frame, rtol=1e-12)
    model = make_pipeline(SequenceScaler(), ESNClassifier(20, random_state=0))
    y = np.arange(20) % 2
    assert_array_equal(model.fit(frame, y).predict(frame), model.fit(X, y).predict(X))


def test_2d_arrays_and_options():
    X = np.vstack(parts())
    assert_allclose(SequenceScaler().fit_transform(X), StandardScaler().fit_transform(X), atol=1e-8)
    centred = SequenceScaler(with_std=False).fit_transform(X)
    assert_allclose(centred, X - X.mean(axis=0), rtol=1e-9)
    assert_allclose(SequenceScaler(with_mean=False).fit_transform(X), X / X.std(axis=0), rtol=1e-9)
    assert SequenceScaler().fit_transform(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9, 1e-300])
def test_constant_columns_are_centred_only(value):
    X = [np.full((4, 1), value), np.full((3, 1), value)]
    scaler = SequenceScaler().fit(X)
    assert scaler.scale_ == 1.0
    assert_allclose(np.concatenate(scaler.transform(X)), 0.0, atol=1e-6)


@pytest.mark.parametrize("estimator", [SequenceScaler(), ReservoirTransformer(4, random_state=0)])
def test_sequences_stay_sequences_where_pandas_output_is_set(estimator):
    X = [part[:, :1] for part in parts()]
    frame = pd.DataFrame(X[0], columns=["u"])
    plain = estimator.fit(X).transform(X)
    with sklearn.config_context(transform_output="pandas"):
        for out in (estimator.transform(X), estimator.fit_transform(X)):
            assert_array_equal(np.vstack(out), np.vstack(plain))
        assert estimator.fit_transform(np.stack([X[0], X[0]])).shape[:2] == (2, 5)
        assert isinstance(estimator.fit_transform(frame), pd.DataFrame)


def test_a_failed_fit_of_the_scaler_changes_nothing():
    X = parts()
    scaler = SequenceScaler().fit(X)
    before = scaler.mean_
    X[1][2, 0] = np.nan
    with pytest.raises(ValueError, match="sequence 1 misses values at step 2"):
        scaler.fit(X)
    assert scaler.mean_ is before


# ------------------------------------------------------------------ scoring


def task(lengths=(60, 45, 50, 70)):
    rng = np.random.RandomState(0)
    waves = [np.sin(0.2 * np.arange(n + 1) + rng.uniform(6))[:, None] for n in lengths]
    waves = [w + 0.1 * rng.randn(*w.shape) for w in waves]
    return [w[:-1] for w in waves], [w[1:] for w in waves]


ERRORS = {
    "rmse": lambda a, b: -np.sqrt(np.mean((a - b) ** 2)),
    "mse": lambda a, b: -np.mean((a - b) ** 2),
    "mae": lambda a, b: -np.mean(np.abs(a - b)),
    "r2": lambda a, b: 1 - np.sum((a - b) ** 2) / np.sum((a - a.mean()) ** 2),
}


@pytest.mark.parametrize("metric", ERRORS)
def test_scores_are_means_over_sequences(metric):
    X, y = task()
    esn = ESNRegressor(20, washout=5, random_state=0).fit(X, y)
    scorer = sequence_scorer(metric)
    expected = np.mean([ERRORS[metric](a, b) for a, b in zip(y, esn.predict(X))])
    assert scorer(esn, X, y) == pytest.approx(expected, rel=1e-12)
    flat = [part[:, 0] for part in y]
    one_d = ESNRegressor(20, washout=5, random_state=0).fit(X, flat)
    assert scorer(one_d, X, flat) == pytest.approx(expected, rel=1e-9)
    labels = np.repeat([4, 2, 7, 1], [len(x) for x in X])
    assert scorer(esn, np.vstack(X), np.vstack(y), groups=labels) == pytest.approx(expected)
    cube_X, cube_y = np.stack([x[:45] for x in X]), np.stack([x[:45] for x in y])
    in_cube = np.mean([ERRORS[metric](a, b) for a, b in zip(cube_y, esn.predict(cube_X))])
    assert scorer(esn, cube_X, cube_y) == pytest.approx(in_cube)
    assert scorer(esn, X[0], y[0]) == pytest.approx(ERRORS[metric](y[0], esn.predict(X[0])))


def test_a_callable_metric_says_which_way_is_up():
    X, y = task()
    esn = ESNRegressor(20, washout=5, random_state=0).fit(X, y)
    worst = sequence_scorer(lambda a, b: np.abs(a - b).max(), greater_is_better=False)
    expected = -np.mean([np.abs(a - b).max() for a, b in zip(y, esn.predict(X))])
    assert worst(esn, X, y) == pytest.approx(expected)
    with pytest.raises(ValueError, match="`greater_is_better` must be given"):
        sequence_scorer(max)
    with pytest.raises(ValueError, match="leave it out"):
        sequence_scorer("rmse", greater_is_better=False)
    with pytest.raises(InvalidParameterError, match="'metric' parameter of sequence_scorer"):
        sequence_scorer("mape")


def test_ragged_lists_can_be_searched():
    X, y = task()
    search = GridSearchCV(
        ESNRegressor(20, washout=5, random_state=0),
        {"alpha": [1e-3, 1e6]},
        scoring=sequence_scorer("rmse"),
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_ == {"alpha": 1e-3}
    assert pickle.loads(pickle.dumps(search)).best_score_ == search.best_score_


def test_groups_reach_the_scorer_by_metadata_routing():
    X, y = task((50, 50, 50, 50))
    rows, targets = np.vstack(X), np.vstack(y)[:, 0]
    groups = np.repeat(np.arange(4), 50)
    esn = ESNRegressor(20, washout=5, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(
            esn.set_fit_request(groups=True),
            rows,
            targets,
            params={"groups": groups},
            cv=GroupKFold(2),
            scoring=sequence_scorer("rmse"),
            error_score="raise",
        )
        by_hand = []
        for train, test in GroupKFold(2).split(rows, targets, groups):
            fitted = esn.fit(rows[train], targets[train], groups=groups[train])
            scorer = sequence_scorer("rmse")
            by_hand.append(scorer(fitted, rows[test], targets[test], groups=groups[test]))
    assert_array_equal(scores, by_hand)


def test_any_regressor_of_rows_can_be_scored():
    X, y = task((40,))
    model = LinearRegression().fit(X[0], y[0])
    expected = -np.sqrt(np.mean((model.predict(X[0]) - y[0]) ** 2))
    assert sequence_scorer()(model, X[0], y[0]) == pytest.approx(expected)
