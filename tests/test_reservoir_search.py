"""`ESNSearchCV` has the scores of scikit-learn's searches around the same estimator."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from echocast.exceptions import EchocastWarning
from echocast.reservoir import ESNRegressor, ESNSearchCV, ReservoirTransformer, sequence_scorer
from echocast.reservoir._search_scores import Scoring
from search_cases import CV, assert_same_results, series


def both(estimator, grid, X, y, fit=None, **options):
    """Our search and scikit-learn's, fitted, their tables compared."""
    options = {"cv": CV, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = ESNSearchCV(estimator, grid, **options).fit(X, y, **(fit or {}))
        theirs = GridSearchCV(estimator, grid, **options).fit(X, y, **(fit or {}))
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    return ours, theirs


# ---------------------------------------------------------------- random grids

VALUES = {
    "spectral_radius": [0.0, 0.3, 0.9, 1.2, None],
    "leak_rate": [0.2, 0.7, 1.0],
    "input_scaling": [0.0, 0.1, 1.0],
    "bias_scaling": [0.0, 0.5, 1.5],
    "alpha": [0.0, 1e-16, 1e-13, 1e-10, 1e-6, 1e-2, 10.0, "auto"],
    "solver": ["auto", "qr", "svd", "cholesky"],
    "fit_intercept": [True, False],
    "include_input": [True, False],
    "washout": [0, 7, "auto"],
    "predict_state": ["auto", "continue", "reset"],
    "random_state": [0, 1],
    "connectivity": [3, 1.0],
    "topology": ["random", "cycle"],
    "activation": ["tanh", "sigmoid"],
    "n_units": [15, 30],
}
SPLITS = [
    CV,
    TimeSeriesSplit(3, gap=4),
    TimeSeriesSplit(3, max_train_size=70),
    KFold(3),
]


def random_case(seed):
    rng = np.random.default_rng(seed)
    n_inputs, n_targets = rng.integers(1, 3, 2)
    X, y = series(seed, int(rng.integers(120, 300)), n_inputs, n_targets)
    names = rng.choice([n for n in VALUES if n != "alpha"], 3, replace=False)
    grid = {str(n): [VALUES[n][i] for i in rng.permutation(len(VALUES[n]))[:2]] for n in names}
    grid["alpha"] = [VALUES["alpha"][i] for i in rng.permutation(len(VALUES["alpha"]))[:3]]
    fit = {}
    if rng.random() < 0.3:
        fit["sample_weight"] = rng.uniform(0, 1, len(X)) * (rng.random(len(X)) > 0.2)
    if rng.random() < 0.5:
        X = pd.DataFrame(X, columns=[f"x{i}" for i in range(n_inputs)])
    if n_targets == 1 and rng.random() < 0.5:
        y = y[:, 0]
    esn = ESNRegressor(20, spectral_radius=0.8, random_state=3, connectivity=4)
    cv = SPLITS[seed % len(SPLITS)]
    return esn, grid, X, y, {"fit": fit, "cv": cv, "return_train_score": bool(rng.random() < 0.3)}


@pytest.mark.parametrize("seed", range(24))
def test_scores_of_random_grids_equal_those_of_grid_search(seed, monkeypatch):
    ordinary = []
    fit_one = Scoring.ordinary
    monkeypatch.setattr(
        Scoring, "ordinary", lambda *args: ordinary.append(1) or fit_one(*args), raising=True
    )
    esn, grid, X, y, options = random_case(seed)
    ours, theirs = both(esn, grid, X, y, **options)
    splits = [ours.cv_results_[f"split{k}_test_score"] for k in range(3)]
    assert len(ordinary) <= np.isnan(splits).sum()  # only what fails is fitted once more
    assert ours.best_index_ == theirs.best_index_
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-8, abs=1e-8)
    assert_allclose(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("connectivity", [10, 22])  # settings one by one, and side by side
def test_sparse_reservoirs_have_the_scores_of_ordinary_fits_to_the_last_bit(connectivity):
    X, y = series(1, 1300)
    grid = {
        "alpha": [1e-15, 1e-9, 1e-4],
        "leak_rate": [0.3, 1.0],
        "input_scaling": [0.1, 0.7],
        "spectral_radius": [0.5, 1.1],
    }
    ours, theirs = both(ESNRegressor(100, connectivity=connectivity, random_state=0), grid, X, y)
    assert ours.fallback_params_ == {}
    for k in range(3):
        name = f"split{k}_test_score"
        assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])


def test_several_blocks_of_rows_are_shared_by_the_folds():
    X, y = series(2, 14_000)
    grid = {"alpha": [1e-14, 1e-3], "fit_intercept": [True, False]}
    weights = np.random.default_rng(0).uniform(0, 1, len(X)).round(1)
    both(ESNRegressor(12, random_state=0), grid, X, y, fit={"sample_weight": weights})


def test_one_pass_evaluates_all_candidates(monkeypatch):
    fits = []
    monkeypatch.setattr(ESNRegressor, "_solve", lambda self, rows: fits.append(1), raising=True)
    X, y = series()
    grid = {"alpha": [1e-6, 1.0], "leak_rate": [0.2, 0.9], "random_state": [0, 1]}
    search = ESNSearchCV(ESNRegressor(10), grid, cv=CV, refit=False).fit(X, y)
    assert fits == []
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_scores_do_not_depend_on_the_memory_nor_on_the_workers():
    X, y = series()
    grid = {"alpha": [1e-8, 1e-2], "leak_rate": [0.2, 0.5, 1.0], "connectivity": [2, 1.0]}
    esn = ESNRegressor(20, random_state=0)
    whole = ESNSearchCV(esn, grid, cv=CV).fit(X, y)
    for options in ({"max_bytes": 1}, {"max_bytes": 2**17}, {"n_jobs": 2}):
        other = ESNSearchCV(esn, grid, cv=CV, **options).fit(X, y)
        assert_same_results(other.cv_results_, whole.cv_results_, 1e-12)


# ---------------------------------------------------------------- scikit-learn's ways


def test_random_search_draws_the_candidates_of_scikit_learn():
    X, y = series()
    space = {"alpha": loguniform(1e-10, 1), "leak_rate": [0.3, 0.6, 1.0]}
    esn, options = ESNRegressor(15, random_state=0), {"n_iter": 7, "cv": CV, "random_state": 5}
    ours = ESNSearchCV(esn, param_distributions=space, **options).fit(X, y)
    theirs = RandomizedSearchCV(esn, space, **options).fit(X, y)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_several_metrics_and_train_scores():
    X, y = series()
    names = ["r2", "neg_mean_absolute_error"]
    options = {"scoring": names, "refit": names[1], "return_train_score": True}
    ours, theirs = both(ESNRegressor(15, random_state=0), {"alpha": [1e-8, 1.0]}, X, y, **options)
    assert ours.multimetric_
    assert set(ours.scorer_) == set(theirs.scorer_)
    assert ours.score(X, y) == theirs.score(X, y)
    by_name = {"first": "r2", "second": sequence_scorer("rmse")}
    both(
        ESNRegressor(15, random_state=0),
        {"alpha": [1e-8, 1.0]},
        X,
        y,
        scoring=by_name,
        refit=lambda results: int(np.argmin(results["mean_test_first"])),
    )


def test_a_scoring_function_gets_a_fitted_estimator():
    X, y = series()
    seen = []

    def judge(estimator, X, y):
        again = estimator.predict(X.copy())
        assert_allclose(again, estimator.predict(X), rtol=1e-9)
        assert_allclose(estimator.predict(X, initial_state=estimator.state_)[-1], again[-1], 1e-3)
        seen.append(estimator.generate(3, warmup=X)[-1, 0])
        return {"end": -abs(seen[-1] - y[-1, 0]), "size": -np.abs(estimator.coef_).sum()}

    grid = {"alpha": [1e-4, 1.0], "leak_rate": [0.5, 0.9]}
    esn = ESNRegressor(15, random_state=0)
    ours, _ = both(esn, grid, X, y, scoring=judge, refit="end")
    half = len(seen) // 2
    assert_allclose(sorted(seen[:half]), sorted(seen[half:]), rtol=1e-8)  # in another order
    assert ours.fallback_params_ == {}


def test_frames_continue_where_fit_ended():
    X, y = series(4)
    frame = pd.DataFrame(X, index=pd.date_range("2020", periods=len(X), freq="h"))
    esn = ESNRegressor(20, leak_rate=0.3, random_state=0)
    grid = {"predict_state": ["auto", "reset"], "alpha": [1e-6]}
    ours, _ = both(esn, grid, frame, pd.Series(y[:, 0], frame.index), return_train_score=True)
    a, b = ours.cv_results_["mean_test_score"]
    assert a > b


def test_pipelines_transform_each_fold():
    X, y = series(5, n_inputs=2)
    pipe = make_pipeline(StandardScaler(), ESNRegressor(15, random_state=0))
    grid = {
        "esnregressor__alpha": [1e-8, 1e-2],
        "esnregressor__leak_rate": [0.4, 1.0],
        "standardscaler": [StandardScaler(), MinMaxScaler(), "passthrough"],
    }
    ours, theirs = both(pipe, grid, X * 7 + 3, y, return_train_score=True)
    assert ours.fallback_params_ == {"standardscaler": "one pass for each value"}
    assert_allclose(ours.predict(X), theirs.predict(X))
    weights = np.linspace(0, 1, len(X))
    both(pipe, {"esnregressor__alpha": [1e-8]}, X, y, fit={"esnregressor__sample_weight": weights})
    pipe.set_output(transform="pandas")
    both(pipe, {"esnregressor__alpha": [1e-8, 1.0]}, pd.DataFrame(X), y)


def test_what_cannot_be_batched_is_said_and_fitted():
    X, y = series()
    esn = ESNRegressor(10, random_state=0)
    ours, _ = both(esn, {"n_units": [8, 12], "alpha": [1e-6, 1.0]}, X, y)
    assert ours.fallback_params_ == {"n_units": "one pass for each value"}
    ours, _ = both(esn, {"noise": [0.0, 0.1], "alpha": [1e-6, 1.0]}, X, y)
    assert ours.fallback_params_ == {"noise": "ordinary fits"}
    ours, _ = both(esn, {"time_chunks": [None, 2], "alpha": [1e-6, 1.0]}, X, y)
    assert ours.fallback_params_ == {"time_chunks": "ordinary fits"}
    ours, _ = both(esn, {"solver": ["qr", "lsqr"], "alpha": [1e-4, 1.0]}, X, y)
    assert ours.fallback_params_ == {"solver": "ordinary fits"}
    feedback = ESNRegressor(10, feedback_scaling=0.1, random_state=0)
    ours, _ = both(feedback, {"alpha": [1e-6, 1.0]}, X, y)
    assert ours.fallback_params_ == {"alpha": "ordinary fits"}
    states = make_pipeline(ReservoirTransformer(10, random_state=0), Ridge())
    ours, _ = both(states, {"ridge__alpha": [1e-6, 1.0]}, X, y)
    assert ours.fallback_params_ == {"ridge__alpha": "ordinary fits"}


def test_lists_of_sequences_are_searched_by_ordinary_fits():
    parts = [series(seed, 40) for seed in range(6)]
    Xs, ys = [p[0] for p in parts], [p[1] for p in parts]
    esn = ESNRegressor(10, random_state=0, washout=2)
    ours, _ = both(
        esn, {"alpha": [1e-6, 1.0]}, Xs, ys, cv=KFold(3), scoring=sequence_scorer("rmse")
    )
    assert ours.fallback_params_ == {"alpha": "ordinary fits"}


def test_groups_go_to_the_splitter():
    X, y = series()
    groups = np.repeat(np.arange(6), len(X) // 6)
    both(
        ESNRegressor(10, random_state=0),
        {"alpha": [1e-6, 1.0]},
        X,
        y,
        fit={"groups": groups},
        cv=GroupKFold(3),
    )


def test_a_generator_as_seed_is_copied_for_each_fit():
    X, y = series()
    esn = ESNRegressor(10, random_state=np.random.RandomState(3))
    both(esn, {"alpha": [1e-6, 1.0], "leak_rate": [0.2, 1.0]}, X, y)


def test_a_function_as_activation_and_a_matrix_as_topology():
    X, y = series()
    W = np.random.default_rng(0).normal(size=(10, 10))
    esn = ESNRegressor(10, topology=W, activation=np.arctan, random_state=0)
    both(esn, {"alpha": [1e-6, 1.0], "spectral_radius": [0.4, 0.8]}, X, y)


def test_unordered_frames_warn_as_in_fit():
    X, y = series()
    frame = pd.DataFrame(X).iloc[::-1]
    with pytest.warns(EchocastWarning, match="not increasing"):
        ESNSearchCV(ESNRegressor(10, random_state=0), {"alpha": [1.0]}, cv=CV).fit(frame, y)
