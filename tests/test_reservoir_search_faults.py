"""What `ESNSearchCV` does with failures and bad parameters, and how halving goes on."""

import contextlib
import pickle
import warnings
from unittest import SkipTest

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import ESNRegressor, ESNSearchCV
from echocast.reservoir._search_halving import last_rows, plan_rounds
from echocast.reservoir._search_scores import _r2
from search_cases import CV, assert_same_results, series

ESN = ESNRegressor(12, random_state=0)


def quietly(search, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search.fit(X, y)


def test_failed_candidates_have_the_error_score_and_a_warning():
    X, y = series()
    grid = {"leak_rate": [0.5, 2.0], "alpha": [1e-6, -1.0], "washout": [0, 100]}
    with pytest.warns(FitFailedWarning, match="19 fits failed out of a total of 24"):
        ours = ESNSearchCV(ESN, grid, cv=CV, error_score=-7.0).fit(X, y)
    theirs = quietly(GridSearchCV(ESN, grid, cv=CV, error_score=-7.0), X, y)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    with pytest.raises(InvalidParameterError, match="leak_rate"):
        ESNSearchCV(ESN, {"leak_rate": [2.0]}, cv=CV, error_score="raise").fit(X, y)


def test_several_metrics_of_failed_candidates():
    X, y = series()

    def judge(estimator, X, y):
        return {"a": estimator.score(X, y), "b": 1.0}

    for scoring in (["r2", "neg_mean_squared_error"], judge):
        options = {"scoring": scoring, "refit": False, "cv": CV, "return_train_score": True}
        ours = quietly(ESNSearchCV(ESN, {"leak_rate": [0.5, 2.0]}, **options), X, y)
        theirs = quietly(GridSearchCV(ESN, {"leak_rate": [0.5, 2.0]}, **options), X, y)
        assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_failed_scoring_is_no_failed_fit():
    X, y = series()

    def judge(estimator, X, y):
        if estimator.leak_rate < 0.5:
            raise ValueError("too slow")
        return 1.0

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        search = ESNSearchCV(ESN, {"leak_rate": [0.2, 0.9]}, cv=CV, scoring=judge).fit(X, y)
    assert sum("Scoring failed" in str(w.message) for w in said) == 3
    assert not any(issubclass(w.category, FitFailedWarning) for w in said)
    assert_array_equal(search.cv_results_["mean_test_score"], [np.nan, 1.0])
    assert search.best_index_ == 1
    search = ESNSearchCV(ESN, {"alpha": [1.0]}, cv=CV, scoring=lambda *_: "good")
    with pytest.raises(ValueError, match="scoring must return a number, got good"):
        search.fit(X, y)


def test_if_all_fits_fail_the_former_search_stays():
    X, y = series()
    search = ESNSearchCV(ESN, {"alpha": [1e-6, 1.0]}, cv=CV).fit(X, y)
    before = search.predict(X)
    search.set_params(param_grid={"alpha": [-1.0]})
    with pytest.raises(ValueError, match="All the 3 fits failed"):
        search.fit(X, y)
    assert_array_equal(search.predict(X), before)
    assert len(search.cv_results_["params"]) == 2


def test_an_interrupt_leaves_the_former_search(monkeypatch):
    X, y = series()
    search = ESNSearchCV(ESN, {"alpha": [1e-6, 1.0]}, cv=CV).fit(X, y)
    state = pickle.dumps(search)

    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("echocast.reservoir._search_batch.run_features", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X[:100], y[:100])
    assert pickle.dumps(search) == state


def test_infinite_outputs_fail_in_scoring_as_in_predict():
    X, y = series()
    esn = ESNRegressor(12, activation="identity", random_state=0, washout=0)
    grid = {"spectral_radius": [0.5, 1e30]}
    ours = quietly(ESNSearchCV(esn, grid, cv=CV), X, y)
    theirs = quietly(GridSearchCV(esn, grid, cv=CV), X, y)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"param_grid": None}, "either `param_grid` or `param_distributions`"),
        ({"param_distributions": {"alpha": [1.0]}}, "`param_distributions`, not both"),
        ({"n_iter": 3}, "method='random'"),
        ({"method": "bayes"}, "'method' parameter"),
        ({"method": "grid", "param_grid": None, "param_distributions": {"alpha": [1]}}, "grid"),
        ({"factor": 1}, "'factor' parameter"),
        ({"max_bytes": 0}, "'max_bytes' parameter"),
        ({"error_score": "ignore"}, "'error_score' parameter"),
        ({"verbose": "much"}, "'verbose' parameter"),
        ({"scoring": {"r2"}}, "'scoring' parameter"),
        ({"scoring": 5}, "'scoring' parameter"),
        ({"estimator": None}, "'estimator' parameter of ESNSearchCV must be an object impl"),
        ({"refit": None}, "'refit' parameter"),
        ({"n_jobs": 0}, "'n_jobs' parameter"),
        ({"return_train_score": "yes"}, "'return_train_score' parameter"),
        ({"method": "halving", "resource": "n_trees"}, "Cannot use resource=n_trees"),
        ({"method": "halving", "resource": "n_units"}, "`max_resources` can only"),
        ({"method": "halving", "resource": "alpha", "max_resources": 9}, "searched parameters"),
        ({"method": "halving", "min_resources": 999}, "greater than max_resources"),
        ({"method": "halving", "scoring": ["r2"], "refit": False}, "several metrics"),
        ({"method": "halving", "scoring": ["r2"], "refit": lambda _: 0}, "several metrics"),
        ({"scoring": ["r2"]}, "multi-metric"),
    ],
)
def test_bad_parameters_are_refused(options, sentence):
    X, y = series()
    usual = {"estimator": ESN, "param_grid": {"alpha": [1.0, 2.0]}, "cv": CV}
    search = ESNSearchCV(**{**usual, **options})
    with pytest.raises(ValueError, match=sentence):
        search.fit(X, y)


# ---------------------------------------------------------------- as scikit-learn's searches


def test_what_is_learnt_is_delegated_and_copies_know_nothing():
    X, y = series()
    search = ESNSearchCV(ESN, {"alpha": [1e-6, 1.0]}, cv=CV)
    with pytest.raises(NotFittedError):
        search.predict(X)
    with pytest.raises(NotFittedError):
        search.generate(3)
    assert search.fit(X, y) is search
    check_is_fitted(search)
    best = search.best_estimator_
    assert_array_equal(search.predict(X), best.predict(X))
    assert_array_equal(search.transform(X), best.transform(X))
    assert_array_equal(search.generate(5, warmup=X), best.generate(5, warmup=X))
    assert search.score(X, y) == best.score(X, y)
    assert search.n_features_in_ == 1
    copy = clone(search)
    assert not hasattr(copy, "cv_results_")
    assert copy.get_params()["estimator__n_units"] == 12
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.predict(X), search.predict(X))
    assert np.isfinite(cross_val_score(search, X, y, cv=TimeSeriesSplit(2))).all()
    without = ESNSearchCV(ESN, {"alpha": [1.0]}, cv=CV, refit=False).fit(X, y)
    assert not hasattr(without, "generate")
    assert not hasattr(without, "predict")
    assert without.best_params_ == {"alpha": 1.0}


EXPECTED = {
    "check_methods_sample_order_invariance": "output depends on the order of the rows",
    "check_methods_subset_invariance": "output depends on the rows before",
    "check_transformer_general": "searches of scikit-learn have no fit_transform",
    "check_transformer_data_not_an_array": "the same",
    "check_transformer_preserve_dtypes": "the same",
}


def test_scikit_learns_checks_pass():
    search = ESNSearchCV(ESNRegressor(8, random_state=0), {"alpha": [1e-3, 1.0]}, cv=2)
    n_checks = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator, check in estimator_checks_generator(search):
            name = getattr(check, "func", check).__name__
            n_checks += 1
            if name in EXPECTED:
                with pytest.raises((AssertionError, AttributeError)):
                    check(estimator)
            else:
                with contextlib.suppress(SkipTest):
                    check(estimator)
    assert n_checks > 30


def test_progress_goes_to_the_log(caplog):
    X, y = series()
    with caplog.at_level("INFO", logger="echocast"):
        ESNSearchCV(ESN, {"alpha": [1e-6, 1.0]}, cv=CV, verbose=2).fit(X, y)
    assert "Fitting 3 folds for each of 2 candidates, totalling 6 fits" in caplog.text
    assert "search: 6 of 6 fits" in caplog.text


# ---------------------------------------------------------------- halving


def test_rounds_of_halving_are_those_of_scikit_learn():
    exhausted = plan_rounds(20, factor=3, smallest=10, largest=1000, exhaust=True)
    assert exhausted.resources == [111, 333, 999]
    smallest = plan_rounds(20, factor=3, smallest=10, largest=1000, exhaust=False)
    assert smallest.resources == [10, 30, 90]
    few = plan_rounds(100, factor=2, smallest=300, largest=1000, exhaust=True)
    assert few.resources == [500, 1000]  # scikit-learn's last round would have 600
    assert plan_rounds(1, factor=3, smallest=5, largest=9, exhaust=True).resources == [9]


def test_halving_keeps_the_rows_next_to_the_test_rows():
    (train, test), *_ = last_rows([(np.arange(10), np.arange(10, 13))], 0.35)
    assert_array_equal(train, [7, 8, 9])
    assert_array_equal(test, [10, 11, 12])


@pytest.mark.parametrize("seed", [0, 1])
def test_halving_over_rows_scores_each_round_as_a_grid_over_these_rows(seed):
    X, y = series(seed, 500)
    grid = {"alpha": [1e-8, 1e-4, 1.0], "leak_rate": [0.2, 0.5, 1.0]}
    search = ESNSearchCV(ESN, grid, cv=CV, method="halving", min_resources=50).fit(X, y)
    table = search.cv_results_
    assert search.n_candidates_ == [9, 3, 1]
    assert search.n_resources_ == [50, 150, 450]
    assert list(table["n_resources"]) == [
        amount for amount, n in zip(search.n_resources_, search.n_candidates_) for _ in range(n)
    ]
    for k, amount in enumerate(search.n_resources_):
        places = np.flatnonzero(table["iter"] == k)
        cut = last_rows(list(CV.split(X)), amount / len(X))
        one = [{name: [v] for name, v in table["params"][i].items()} for i in places]
        alone = GridSearchCV(ESN, one, cv=cut).fit(X, y)
        wanted = alone.cv_results_["mean_test_score"]
        np.testing.assert_allclose(table["mean_test_score"][places], wanted, rtol=1e-8, atol=1e-8)
    assert table["iter"][search.best_index_] == search.n_iterations_ - 1


def test_halving_over_a_parameter():
    X, y = series()
    search = ESNSearchCV(
        ESN,
        param_distributions={"alpha": [1e-8, 1e-4, 1e-2, 1.0], "leak_rate": [0.3, 1.0]},
        n_iter=6,
        method="halving",
        factor=2,
        resource="n_units",
        min_resources=5,
        max_resources=20,
        random_state=0,
        cv=CV,
    ).fit(X, y)
    assert search.n_resources_ == [5, 10, 20]
    assert search.n_candidates_ == [6, 3, 2]
    assert search.best_params_["n_units"] == 20
    assert search.best_estimator_.n_units == 20


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_r2_is_that_of_scikit_learn(dtype):
    rng = np.random.default_rng(0)
    for shape in [(40,), (40, 3), (2,), (1,)]:
        y, outputs = rng.normal(size=(2, *shape)).astype(dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _r2(y, outputs)
            assert found == (r2_score(y, outputs) if found is not None else None)
            assert (found is None) == (dtype == "float32" or len(y) == 1)
            for target, guess in ((y, y), (y * 0, outputs), (y * np.nan, outputs)):
                assert _r2(target, guess) is None  # there it has rules of its own


def test_the_error_of_a_forecaster_is_not_taken_for_a_gain():
    from echocast.forecasting import ESNForecaster

    X, y = series()
    search = ESNSearchCV(ESNForecaster(8), {"alpha": [1e-4, 1.0]}, cv=CV)
    with pytest.raises(TypeError, match=r"would choose the worst\. Use ForecastSearchCV"):
        search.fit(X, y)
