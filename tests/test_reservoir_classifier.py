"""ESNClassifier against plain NumPy features and ridge scores; forms, labels, failure."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import estimator_checks_generator

import oracles_classifier as oracle
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import ESNClassifier, SequenceScaler

KINDS = ["last", "mean", "last_mean", "model_space", "output_model_space"]


def waves(n=30, n_classes=3, seed=0, n_features=2, low=15, high=40):
    """Ragged noisy waves, one frequency a class, and their labels (strings, not in order)."""
    rng = np.random.RandomState(seed)
    labels = np.arange(n) % n_classes
    X = []
    for label in labels:
        t = np.arange(rng.randint(low, high))[:, None] + rng.uniform(0, 20)
        shift = np.arange(n_features)
        X.append(np.sin((0.2 + 0.15 * label) * t + shift) + 0.05 * rng.randn(len(t), n_features))
    return X, np.array(["slow", "fast", "middle", "d", "e"])[labels]


def padded(X):
    cube = np.full((len(X), max(map(len, X)), X[0].shape[1]), np.nan)
    for i, x in enumerate(X):
        cube[i, : len(x)] = x
    return cube


def make(**params):
    defaults = {"n_units": 25, "leak_rate": 0.3, "alpha": 1e-3, "random_state": 0}
    return ESNClassifier(**{**defaults, **params})


# ------------------------------------------------------------------ features and readout


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 99), n_units=st.integers(1, 20), washout=st.sampled_from([0, 3, "auto"]))
@settings(max_examples=5, deadline=None)
def test_features_equal_the_oracle(kind, bidirectional, seed, n_units, washout):
    X, y = waves(12, seed=seed, low=6)
    clf = make(
        n_units=n_units,
        features=kind,
        bidirectional=bidirectional,
        washout=washout,
        n_components=None,
        model_alpha=0.5,
        random_state=seed,
    ).fit(X, y)
    assert_allclose(clf.transform(X), oracle.features(clf, X), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["model_space", "output_model_space"])
def test_model_spaces_in_principal_components_equal_the_oracle(kind):
    X, y = waves(20)
    new, _ = waves(9, seed=1)
    clf = make(features=kind, n_components=4, bidirectional=True).fit(X, y)
    # The sign of a principal component is free, and turns coefficients with it.
    expected = np.abs(oracle.features(clf, new, train=X))
    assert_allclose(np.abs(clf.transform(new)), expected, rtol=1e-7, atol=1e-9)


def test_states_that_never_vary_leave_one_component():
    X = [np.ones((n, 1)) for n in (5, 6, 7, 8)]
    clf = make(features="model_space", spectral_radius=0.0, leak_rate=1.0).fit(X, [0, 1, 0, 1])
    assert clf.transform(X).shape == (4, 2)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("n", [16, 80], ids=["wide", "tall"])
def test_scores_equal_ridge_on_plus_and_minus_one(n, n_classes):
    X, y = waves(n, n_classes)
    clf = make(alpha=0.1).fit(X, y)
    labels = np.searchsorted(clf.classes_, y)
    F = clf.transform(X)
    expected = oracle.scores(F, labels, n_classes, 0.1, F)
    scores = clf.decision_function(X)
    assert clf.coef_.shape == ((1 if n_classes == 2 else n_classes), F.shape[1])
    assert_allclose(scores.reshape(n, -1), expected, rtol=1e-6, atol=1e-8)
    if n_classes == 2:
        assert_array_equal(clf.predict(X), clf.classes_[(scores > 0).astype(int)])
    else:
        assert_array_equal(clf.predict(X), clf.classes_[scores.argmax(axis=1)])


@pytest.mark.parametrize("n", [12, 60], ids=["wide", "tall"])
def test_leave_one_out_errors_are_those_of_refitting(n):
    X, y = waves(n)
    clf = make(alpha=[1e-2, 1.0]).fit(X, y)
    labels, F = np.searchsorted(clf.classes_, y), clf.transform(X)
    targets = 2.0 * np.eye(3)[labels] - 1.0
    for alpha, errors in zip(clf.alphas_, clf.loo_errors_):
        others = [np.delete(np.arange(n), i) for i in range(n)]
        scores = np.vstack(
            [oracle.scores(F[k], labels[k], 3, alpha, F[[i]]) for i, k in enumerate(others)]
        )
        assert_allclose(errors, ((scores - targets) ** 2).mean(axis=0), rtol=1e-6)
        if alpha == clf.alpha_:
            assert clf.loo_score_ == np.mean(scores.argmax(axis=1) == labels)
    assert clf.alpha_ == clf.alphas_[clf.loo_errors_.mean(axis=1).argmin()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_waves_of_three_frequencies_are_told_apart(kind, bidirectional):
    X, y = waves(60)
    new, truth = waves(60, seed=1)
    clf = make(features=kind, bidirectional=bidirectional, alpha="auto", n_units=60).fit(X, y)
    assert clf.score(new, truth) >= 0.95


# ------------------------------------------------------------------ probabilities


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_sum_to_one_and_keep_the_order_of_the_scores(n_classes):
    X, y = waves(40, n_classes)
    clf = make().fit(X, y)
    new, _ = waves(40, n_classes, seed=1)
    P, scores = clf.predict_proba(new), clf.decision_function(new)
    assert P.shape == (40, n_classes)
    assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)
    assert_array_equal(clf.classes_[P.argmax(axis=1)], clf.predict(new))
    if n_classes == 2:
        assert_array_equal(np.argsort(P[:, 1], kind="stable"), np.argsort(scores, kind="stable"))
        scores = np.column_stack([-scores, scores])
    ratio = np.log(P[:, 0] / P[:, 1]) / (scores[:, 0] - scores[:, 1])
    assert_allclose(ratio, clf.sharpness_, rtol=1e-6)


def test_sharpness_makes_leave_one_out_scores_most_likely():
    X, y = waves(40, 3)
    noisy = [x + 0.3 * np.random.RandomState(i).randn(*x.shape) for i, x in enumerate(X)]
    clf = make(features="model_space", alpha=1.0).fit(noisy, y)
    labels, F = np.searchsorted(clf.classes_, y), clf.transform(noisy)
    keep = [np.delete(np.arange(40), i) for i in range(40)]
    scores = np.vstack([oracle.scores(F[k], labels[k], 3, 1.0, F[[i]]) for i, k in enumerate(keep)])
    soft = (np.eye(3)[labels] * 40 + 1) / 43

    def loss(sharpness):
        odds = np.exp(sharpness * scores)
        return -(soft * np.log(odds / odds.sum(axis=1, keepdims=True))).sum()

    grid = np.geomspace(0.01, 10, 2000)
    assert_allclose(clf.sharpness_, grid[np.argmin([loss(s) for s in grid])], rtol=5e-3)


def test_probabilities_of_pure_noise_are_not_sure():
    rng = np.random.RandomState(0)
    X, y = rng.randn(60, 20, 2), rng.randint(0, 3, 60)
    clf = make(n_units=200, alpha=1e-6).fit(X, y)
    assert (clf.predict(X) == y).mean() == 1.0  # it interpolates
    assert clf.predict_proba(rng.randn(60, 20, 2)).max(axis=1).mean() < 0.6


# ------------------------------------------------------------------ forms of X and y


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_the_same_sequences_gives_the_same_model(kind):
    X, y = waves(14)
    listed = make(features=kind, n_components=5).fit(X, y)
    expected = listed.decision_function(X)
    cube = make(features=kind, n_components=5).fit(padded(X), y)
    assert_array_equal(cube.decision_function(padded(X)), expected)
    assert_array_equal(listed.predict(padded(X)), listed.predict(X))
    frame = pd.concat({f"s{i:02d}": pd.DataFrame(x, columns=["a", "b"]) for i, x in enumerate(X)})
    indexed = make(features=kind, n_components=5).fit(frame, y)
    assert_array_equal(indexed.decision_function(frame), expected)
    groups = np.repeat(np.arange(14)[::-1], [len(x) for x in X])
    grouped = make(features=kind, n_components=5).fit(np.vstack(X), y, groups=groups)
    assert_array_equal(grouped.decision_function(np.vstack(X), groups=groups), expected)
    assert grouped.score(np.vstack(X), y, groups=groups) == listed.score(X, y)


def test_labels_of_a_panel_go_by_series_not_by_position():
    X, y = waves(14)
    names = [f"s{i:02d}" for i in range(14)]
    frame = pd.concat({k: pd.DataFrame(x, columns=["a", "b"]) for k, x in zip(names, X)})
    labels = pd.Series(y, index=names).sample(frac=1, random_state=0)
    clf = make().fit(frame, labels)
    by_position = make().fit(frame, y)
    assert_array_equal(clf.coef_, by_position.coef_)
    assert clf.score(frame, labels) == by_position.score(frame, y)
    assert make().fit(frame.loc["s00":"s08"], labels).classes_.size == 3
    with pytest.raises(ValueError, match="no label for series 's03'"):
        make().fit(frame, labels.drop("s03"))
    with pytest.raises(ValueError, match="index repeats 's05'"):
        make().fit(frame, pd.concat([labels, labels[["s05"]]]))


def test_each_row_of_a_2d_array_is_one_univariate_sequence():
    X, y = waves(20, n_features=1, low=30, high=31)
    rows = np.stack(X)[:, :, 0]
    by_row, listed = make().fit(rows, y), make().fit(X, y)
    assert (by_row.n_features_in_, listed.n_features_in_) == (30, 1)
    expected = listed.decision_function(X)
    assert_array_equal(by_row.decision_function(rows), expected)
    assert_array_equal(by_row.decision_function(np.stack(X)), expected)
    assert_array_equal(listed.decision_function(rows), expected)
    assert_array_equal(listed.decision_function(list(rows)), expected)
    assert_array_equal(by_row.decision_function(pd.DataFrame(rows).to_numpy()), expected)


def test_a_list_of_1d_arrays_is_a_list_of_univariate_sequences():
    X, y = waves(12, n_features=1)
    flat = [x[:, 0] for x in X]
    assert_array_equal(make().fit(flat, y).coef_, make().fit(X, y).coef_)


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_are_independent_of_company_order_and_padding(kind):
    X, y = waves(40)
    clf = make(features=kind, bidirectional=True, n_components=6).fit(X, y)
    together = clf.decision_function(X)
    alone = np.vstack([clf.decision_function([x]) for x in X])
    assert_allclose(alone, together, rtol=1e-9, atol=1e-9)
    assert_allclose(clf.decision_function(X[::-1])[::-1], together, rtol=1e-9, atol=1e-9)
    more = np.concatenate([padded(X), np.full((40, 50, 2), np.nan)], axis=1)
    assert_array_equal(clf.decision_function(more), together)
    huge = [*X, np.full((90, 2), 1e6)]  # runs beside the others, and on after their ends
    assert_allclose(clf.decision_function(huge)[:40], together, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["last_mean", "model_space"])
def test_threads_change_no_bit(kind):
    X, y = waves(600, low=5, high=12)
    one = make(features=kind, n_components=5).fit(X, y)
    two = make(features=kind, n_components=5, n_jobs=2).fit(X, y)
    assert_array_equal(two.transform(X), one.transform(X))


def test_integer_and_boolean_labels():
    X, y = waves(20, 2)
    assert make().fit(X, (y == "fast")).predict(X).dtype == bool
    assert make().fit(X, np.where(y == "fast", 7, -3)).classes_.tolist() == [-3, 7]


# ------------------------------------------------------------------ with scikit-learn


def test_a_search_over_a_list_equals_the_search_over_the_padded_array():
    X, y = waves(36)
    pipe = make_pipeline(SequenceScaler(), make(n_units=40))
    grid = {
        "esnclassifier__leak_rate": [0.1, 1.0],
        "esnclassifier__features": ["mean", "model_space"],
    }
    searches = [GridSearchCV(pipe, grid, cv=3).fit(form, y) for form in (X, padded(X))]
    scores = [s.cv_results_["mean_test_score"] for s in searches]
    assert_array_equal(scores[0], scores[1])
    assert searches[0].best_score_ > 0.9
    assert_array_equal(searches[0].predict(X), searches[1].predict(padded(X)))


def test_probabilities_can_be_scored_across_folds():
    X, y = waves(36)
    clf = make(features="model_space", alpha="auto")
    losses = cross_val_score(clf, X, y, scoring="neg_log_loss", cv=3)
    assert (losses > -0.5).all()


def test_any_classifier_can_be_the_readout():
    X, y = waves(40)
    new, truth = waves(40, seed=1)
    given = LogisticRegression(C=1e3, max_iter=1000)
    clf = make(readout=given, n_units=50).fit(X, y)
    assert not hasattr(given, "classes_")
    assert not hasattr(clf, "coef_")
    assert_array_equal(clf.predict(new), clf.readout_.predict(clf.transform(new)))
    assert_array_equal(clf.predict_proba(new), clf.readout_.predict_proba(clf.transform(new)))
    assert clf.score(new, truth) > 0.9
    machine = make(readout=LinearSVC()).fit(X, y)
    assert hasattr(machine, "decision_function")
    assert not hasattr(machine, "predict_proba")
    assert make(readout=given).set_params(readout__C=2.0).readout.C == 2.0


@pytest.mark.parametrize("params", [{"features": "model_space"}, {"bidirectional": True}])
def test_the_suite_holds_for_other_features(params):
    for estimator, check in estimator_checks_generator(
        ESNClassifier(20, random_state=0, **params), legacy=False
    ):
        check(estimator)


def test_float32_is_kept_throughout():
    X, y = waves(30)
    single = make(dtype="float32", features="model_space", n_components=5).fit(X, y)
    double = make(features="model_space", n_components=5).fit(X, y)
    assert single.W_in_.dtype == single.transform(X).dtype == np.float32
    assert_allclose(single.decision_function(X), double.decision_function(X), atol=0.05)


def test_params_names_and_pickles():
    X, y = waves(20)
    clf = make(features="last_mean", readout=LogisticRegression()).fit(X, y)
    assert clone(clf).get_params().keys() == clf.get_params().keys()
    assert len(clf.get_feature_names_out()) == clf.transform(X).shape[1] == 50
    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict(X), clf.predict(X))


def test_predict_writes_nothing():
    X, y = waves(20)
    clf = make().fit(X, y)
    before = pickle.dumps(clf)
    clf.predict(X), clf.predict_proba(X), clf.score(X, y)
    assert pickle.dumps(clf) == before


# ------------------------------------------------------------------ failure


def test_a_failed_or_interrupted_fit_leaves_the_former_model_intact(monkeypatch):
    X, y = waves(20)
    clf = make().fit(X, y)
    before = clf.predict_proba(X)
    holed = [x.copy() for x in X]
    holed[4][3, 1] = np.nan
    for bad_X, bad_y in [(holed, y), (X, y[:-1]), (X, np.repeat("a", 20)), (X, None)]:
        with pytest.raises(ValueError):
            clf.fit(bad_X, bad_y)
        assert_array_equal(clf.predict_proba(X), before)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("echocast.reservoir._classifier.fit_label_ridge", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.set_params(random_state=9).fit(X, y)
    assert_array_equal(clf.predict_proba(X), before)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"n_units": 0}, "n_units"),
        ({"leak_rate": 0.0}, "leak_rate"),
        ({"features": "first"}, "features"),
        ({"bidirectional": "yes"}, "bidirectional"),
        ({"alpha": -1.0}, "alpha"),
        ({"alpha": "best"}, "alpha"),
        ({"washout": -1}, "washout"),
        ({"washout": 1.5}, "washout"),
        ({"n_components": 0}, "n_components"),
        ({"model_alpha": 0.0}, "model_alpha"),
        ({"dtype": "float16"}, "dtype"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"topology": "moebius"}, "topology"),
        ({"readout": "ridge"}, "readout"),
    ],
)
def test_bad_parameters_are_refused_in_fit_by_name(params, name):
    with pytest.raises(InvalidParameterError, match=f"'{name}'"):
        make(**params).fit(*waves(12))


def _holed(X):
    X[3][2] = np.nan
    return X


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (_holed(X), y), "sequence 3 misses values at step 2"),
        (lambda X, y: ([*X[:-1], X[-1][:0]], y), "Sequence 11 of X has no steps"),
        (lambda X, y: ([*X[:-1], X[-1] * np.nan], y), "Sequence 11 of X has no steps"),
        (lambda X, y: ([*X[:-1], X[-1][:, :1]], y), "Sequence 11 .* has 1 features"),
        (lambda X, y: (X, y[:5]), "needs one label for each sequence: X has 12, y has 5"),
        (lambda X, y: (X[0], y), "each row is one univariate sequence"),
        (lambda X, y: (np.full((12, 9), "1"), y), "could not convert string to float: X holds"),
        (lambda X, y: (X, np.repeat("a", 12)), "one class only: .*'a'"),
        (lambda X, y: (X, np.linspace(0, 1, 12)), "Unknown label type"),
        (lambda X, y: (X, np.r_[np.nan, np.arange(11.0)]), "NaN"),
        (lambda X, y: (X, None), "requires y to be passed"),
        (lambda X, y: (_with(X, 3, np.inf), y), "infinity"),
    ],
)
def test_bad_data_are_refused_in_words_that_help(change, message):
    with pytest.raises(ValueError, match=message):
        make().fit(*change(*waves(12)))


def _with(X, i, value):
    X[i][1, 0] = value
    return X


def test_states_without_bound_are_refused_and_not_classified():
    X, y = waves(12)
    clf = make(activation="identity", spectral_radius=8.0, leak_rate=1.0).fit(X, y)
    with pytest.raises(ValueError, match=r"features of sequence 1 are not finite.*bounded activ"):
        clf.predict([X[0], np.ones((2000, 2))])


def test_new_data_must_have_the_form_and_width_of_fit():
    X, y = waves(12)
    clf = make().fit(X, y)
    with pytest.raises(ValueError, match=r"pass a list of 2-D arrays \(\[X\] for one sequence\)"):
        clf.predict(X[0])
    with pytest.raises(ValueError, match="X has 1 features, but ESNClassifier is expecting 2"):
        clf.predict([x[:, :1] for x in X])
    by_row = make().fit(np.random.RandomState(0).randn(12, 9), y)
    with pytest.raises(ValueError, match="was fitted on a 2-D X"):
        by_row.predict(X)
    with pytest.raises(NotFittedError):
        make().predict(X)


@pytest.mark.parametrize(
    ("kind", "washout", "needed"), [("mean", 15, 1), ("model_space", 14, 2), ("last_mean", 20, 1)]
)
def test_sequences_too_short_for_their_features_are_named(kind, washout, needed):
    X, y = waves(12, low=30)
    X[5] = X[5][:15]
    message = rf"needs at least {needed} step\(s\) after washout={washout}, but sequence 5 has 15"
    with pytest.raises(ValueError, match=message):
        make(features=kind, washout=washout).fit(X, y)
    clf = make(features=kind, washout=washout).fit(X[6:], y[6:])
    with pytest.raises(ValueError, match="but sequence 5 has 15"):
        clf.predict(X)
    assert make(features="last", washout=washout).fit(X, y).score(X, y) > 0.5
