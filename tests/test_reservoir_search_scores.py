"""What scorers and steps do to their arguments stays there; memory of `ESNSearchCV` is bounded."""

import copy
import tracemalloc
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler, TargetEncoder
from threadpoolctl import threadpool_info, threadpool_limits

from echocast.reservoir import ESNRegressor, ESNSearchCV
from echocast.reservoir import _search_batch as batch
from echocast.reservoir._search_scores import Scoring
from echocast.reservoir._search_solve import PrefixReadouts
from search_cases import CV, assert_same_results, series

ESN = ESNRegressor(12, random_state=0)
GRID = {"alpha": [1e-6, 1.0], "leak_rate": [0.3, 1.0]}


def both(estimator, grid, X, y, fit=None, **options):
    """Our search and scikit-learn's on copies of the data, their tables compared."""
    options = {"cv": CV, "refit": False, **options}
    found = []
    for kind in (ESNSearchCV, GridSearchCV):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = kind(estimator, grid, **options)
            found.append(search.fit(X.copy(), y.copy(), **(fit or {})))
    assert_same_results(*(search.cv_results_ for search in found))
    return found[0]


@pytest.fixture
def ordinary(monkeypatch):
    """Candidates that were fitted one by one."""
    fitted, fit = [], Scoring.ordinary

    def counted(self, base, params, fold):
        fitted.append(params)
        return fit(self, base, params, fold)

    monkeypatch.setattr(Scoring, "ordinary", counted)
    return fitted


# ---------------------------------------------------------------- scorers


def with_other_parameters(estimator, X, y):
    return estimator.set_params(predict_state="continue").score(X, y)


def after_more_rows(estimator, X, y):
    return copy.copy(estimator).partial_fit(X, y).score(X, y)


def of_a_deep_copy(estimator, X, y):
    return copy.deepcopy(estimator).partial_fit(X, y).score(X, y)


def of_shifted_rows(estimator, X, y):
    X -= 1
    y *= 2
    return estimator.score(X, y)


def of_smaller_coefficients(estimator, X, y):
    estimator.coef_ /= 2
    estimator.W_in_ *= 0
    return estimator.score(X, y)


@pytest.mark.parametrize(
    "judge",
    [
        with_other_parameters,
        after_more_rows,
        of_a_deep_copy,
        of_shifted_rows,
        of_smaller_coefficients,
    ],
)
def test_a_scoring_function_may_change_what_it_is_given(judge, ordinary):
    X, y = series()
    both(ESN, GRID, X, y, scoring=judge, return_train_score=True)
    pipe = make_pipeline(StandardScaler(), ESN)
    if judge is of_shifted_rows:
        both(pipe, {"esnregressor__alpha": [1e-6, 1.0]}, X, y, scoring=judge)
    assert not ordinary


def test_a_metric_may_change_its_arrays():
    X, y = series()

    def error(true, guess):
        true *= 2
        guess -= true
        return float(np.abs(guess).max())

    both(ESN, GRID, X, y, scoring={"own": make_scorer(error), "r2": "r2"})


@pytest.mark.parametrize("scoring", [None, "r2", ["r2", "neg_mean_absolute_error"]])
@pytest.mark.parametrize("weighted", [False, True])
def test_missing_targets_in_the_test_rows_fail_in_scoring(scoring, weighted):
    X, y = series()
    y[-3] = np.nan
    fit = {"sample_weight": np.ones(len(X))} if weighted else {}
    both(ESN, GRID, X, y, fit, scoring=scoring, error_score=-7.0)
    pipe = make_pipeline(StandardScaler(), ESN)
    both(pipe, {"esnregressor__alpha": [1e-6, 1.0]}, X, y, scoring=scoring, error_score=-7.0)
    with pytest.raises(ValueError, match="contains NaN"):
        ESNSearchCV(ESN, GRID, cv=CV, scoring=scoring, error_score="raise", refit=False).fit(X, y)


def test_a_scoring_function_may_not_return_words():
    X, y = series()
    search = ESNSearchCV(ESN, GRID, cv=CV, scoring=lambda *_: {"a": "bad"}, refit=False)
    with pytest.raises(ValueError, match="scoring must return a number, got bad"):
        search.fit(X, y)


def test_weighted_scores_need_no_further_run(monkeypatch):
    X, y = series()
    runs = []
    predict = ESNRegressor._predict_rows
    monkeypatch.setattr(
        ESNRegressor, "_predict_rows", lambda *args: runs.append(1) or predict(*args)
    )
    weights = np.random.default_rng(0).uniform(0, 1, len(X))
    search = ESNSearchCV(ESN, GRID, cv=CV, refit=False).fit(X, y, sample_weight=weights)
    assert not runs
    monkeypatch.undo()
    again = GridSearchCV(ESN, GRID, cv=CV, refit=False).fit(X, y, sample_weight=weights)
    assert_same_results(search.cv_results_, again.cv_results_)


# ---------------------------------------------------------------- pipelines


def doubled_in_place(X):
    X *= 2
    return X


@pytest.mark.parametrize(
    "step", [StandardScaler(copy=False), FunctionTransformer(doubled_in_place)]
)
def test_steps_that_work_in_place_get_rows_of_their_own(step):
    X, y = series()
    pipe = make_pipeline(step, ESN)
    grid = {"esnregressor__n_units": [8, 12], "esnregressor__alpha": [1e-6, 1.0]}
    both(pipe, grid, X * 5 + 3, y)
    grid = {"esnregressor__noise": [0.0, 0.1], "esnregressor__alpha": [1e-6, 1.0]}
    both(pipe, grid, X * 5 + 3, y)  # ordinary fits as well


def test_train_scores_are_of_transformed_rows():
    """Some steps give other rows to the fit than to a prediction."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 4, (240, 2)), rng.normal(size=240)
    pipe = make_pipeline(TargetEncoder(target_type="continuous", random_state=0), ESN)
    both(pipe, {"esnregressor__alpha": [1e-6, 1.0]}, X, y, return_train_score=True)


# ---------------------------------------------------------------- memory, threads, workers


def peak_of(search, X, y):
    search.fit(X[:600], y[:600])  # what is imported and compiled stays
    tracemalloc.start()
    search.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_for_states_is_bounded(ordinary, caplog):
    caplog.set_level("INFO", logger="echocast")
    X, y = series(0, 20_000)
    esn = ESNRegressor(50, random_state=0)
    grid = {"alpha": [1e-8, 1e-2], "leak_rate": [0.3, 1.0]}
    theirs = GridSearchCV(esn, grid, cv=CV, refit=False)
    needed = peak_of(theirs, X, y)
    states = 51 * 8 * len(X)
    # the longest fold has as many rows as the data, in a run for the fit and one for the test
    for share, n_ordinary in [(4.0, 0), (1.1, 0), (0.9, 4), (0.1, 12)]:
        search = ESNSearchCV(esn, grid, cv=CV, refit=False, max_bytes=int(share * states))
        peak = peak_of(search, X, y)
        assert peak < share * states + needed
        assert_same_results(search.cv_results_, theirs.cv_results_)
        ordinary.clear()
        search.fit(X, y)
        assert len(ordinary) == n_ordinary
    assert "more than max_bytes" in caplog.text
    assert search.fallback_params_ == dict.fromkeys(grid, "ordinary fits")


def test_readouts_of_many_lengths_keep_few_matrices():
    rng = np.random.default_rng(0)
    S, Y = rng.normal(size=(12_000, 60)), rng.normal(size=(12_000, 1))
    options = {"solver": "auto", "fit_intercept": True, "owner": "ESNRegressor"}
    tracemalloc.start()
    readouts = PrefixReadouts(S, Y, None, washout=0, block=1000, dtype=S.dtype)
    for n_rows in range(1000, 12_001, 1000):
        for alpha in (0.0, 1e-3):
            readouts.solve(n_rows, alpha=alpha, **options)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    block = 512 * 62 * 8
    assert held < block + 12 * 62**2 * 8


@pytest.mark.parametrize("deterministic", [True, False])
def test_deterministic_estimators_are_searched_on_one_thread_of_blas(deterministic, monkeypatch):
    X, y = series()
    seen = []
    run = batch.run_features

    def looked(*args):
        seen.extend(x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas")
        return run(*args)

    monkeypatch.setattr(batch, "run_features", looked)
    esn = ESNRegressor(12, random_state=0, deterministic=deterministic)
    with threadpool_limits(2):
        ESNSearchCV(esn, {"alpha": [1e-6, 1.0]}, cv=CV, refit=False).fit(X, y)
    assert max(seen) == (1 if deterministic else 2)


def test_backends_that_have_no_generators_serve_as_well():
    X, y = series()
    alone = ESNSearchCV(ESN, GRID, cv=CV, refit=False).fit(X, y)
    with joblib.parallel_config(backend="multiprocessing", n_jobs=2):
        search = ESNSearchCV(ESN, GRID, cv=CV, refit=False).fit(X, y)
    assert_same_results(search.cv_results_, alone.cv_results_, 1e-12)


# ---------------------------------------------------------------- halving, leakage


def test_halving_by_one_of_several_metrics_of_a_function():
    X, y = series()

    def judge(estimator, X, y):
        score = estimator.score(X, y)
        return {"good": score, "score": -score}

    options = {"cv": CV, "method": "halving", "min_resources": 60}
    grid = {"alpha": [1e-6, 1e-3, 1.0], "leak_rate": [0.3, 0.6, 1.0]}
    several = ESNSearchCV(ESN, grid, scoring=judge, refit="good", **options).fit(X, y)
    one = ESNSearchCV(ESN, grid, **options).fit(X, y)
    assert several.best_params_ == one.best_params_
    assert_array_equal(several.cv_results_["mean_test_good"], one.cv_results_["mean_test_score"])
    options["scoring"] = lambda *_: {"good": 1.0, "bad": 0.0}
    search = ESNSearchCV(ESN, grid, refit=lambda _: 0, **options)
    with pytest.raises(ValueError, match="needs `refit` to name one"):
        search.fit(X, y)


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("connectivity", [4, 22])  # settings one by one, and side by side
def test_scores_do_not_depend_on_rows_after_the_test_rows(frame, connectivity):
    X, y = series(3, 400)
    grid = {"alpha": [0.0, 1e-12, 1e-3], "leak_rate": list(np.linspace(0.2, 1, 9))}
    esn = ESNRegressor(30, connectivity=connectivity, random_state=0)
    tables = []
    for poison in (False, True):
        u, v = X.copy(), y.copy()
        if poison:  # all but the first fold see the poison
            u[160:], v[160:] = 1e6 * u[160:] + 7, -v[160:] * 1e3
        u = pd.DataFrame(u, index=pd.date_range("2020", periods=len(u))) if frame else u
        splits = [(np.arange(100), np.arange(100, 160)), (np.arange(300), np.arange(300, 400))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = ESNSearchCV(esn, grid, cv=splits, return_train_score=True, refit=False)
            tables.append(search.fit(u, v).cv_results_)
    for name in ("split0_test_score", "split0_train_score"):
        assert_array_equal(tables[0][name], tables[1][name])


def test_shuffled_folds_restart_as_in_ordinary_fits():
    X, y = series(1)
    both(ESN, GRID, X, y, cv=KFold(3, shuffle=True, random_state=0), return_train_score=True)
