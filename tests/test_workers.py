"""The same fit in worker processes, threads and a spawned process; pickling; whose `datasets`.

Workers cannot import functions of a test module, so they are sent methods of the package's own
objects and builtins.
"""

import importlib.util
import multiprocessing
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from echocast.reservoir import ESNRegressor


@pytest.fixture(scope="module")
def problem():
    rng = np.random.RandomState(0)
    u = np.cumsum(rng.standard_normal((401, 2)), axis=0) / 20.0
    return np.ascontiguousarray(u[:-1]), np.ascontiguousarray(u[1:, 0])


@pytest.fixture(scope="module")
def fitted(problem):
    return ESNRegressor(n_units=30, random_state=0).fit(*problem)


def assert_same_model(found, fitted, problem):
    assert_array_equal(found.coef_, fitted.coef_)
    assert_array_equal(found.intercept_, fitted.intercept_)
    assert_array_equal(found.predict(problem[0]), fitted.predict(problem[0]))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_workers_fit_the_same_model(problem, fitted, backend):
    # Inputs above `max_nbytes` reach processes as read-only memory maps.
    run = joblib.Parallel(n_jobs=2, backend=backend, max_nbytes=100)
    for found in run(joblib.delayed(clone(fitted).fit)(*problem) for _ in range(4)):
        assert_same_model(found, fitted, problem)


def test_joblib_workers_share_one_fitted_model(problem, fitted):
    expected = fitted.predict(problem[0])
    run = joblib.Parallel(n_jobs=4, backend="threading")
    for found in run(joblib.delayed(fitted.predict)(problem[0]) for _ in range(16)):
        assert_array_equal(found, expected)


def test_spawned_process_fits_the_same_model(problem, fitted):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply_async(clone(fitted).fit, problem).get(timeout=120)
    assert_same_model(found, fitted, problem)


def test_grid_search_scores_do_not_depend_on_the_workers(problem, fitted):
    grid = {"alpha": [1e-6, 1e-2], "spectral_radius": [0.5, 0.9]}
    one, two = (
        GridSearchCV(clone(fitted), grid, cv=TimeSeriesSplit(3), n_jobs=n_jobs, refit=False)
        .fit(*problem)
        .cv_results_["mean_test_score"]
        for n_jobs in (None, 2)
    )
    assert_array_equal(one, two)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_round_trip(problem, fitted, protocol):
    assert_same_model(pickle.loads(pickle.dumps(fitted, protocol)), fitted, problem)


def test_joblib_file_round_trip(problem, fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    assert_same_model(joblib.load(tmp_path / "model.joblib"), fitted, problem)
    # Arrays stay on disk and are read-only.
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_array_equal(mapped.predict(problem[0]), fitted.predict(problem[0]))


def test_workers_see_the_same_datasets_package_as_we_do():
    spec = importlib.util.find_spec("datasets")
    ours = importlib.util.find_spec("echocast.datasets").origin
    origin = None if spec is None else spec.origin
    asked = "getattr(__import__('importlib.util').util.find_spec('datasets'), 'origin', None)"
    run = joblib.Parallel(n_jobs=2, backend="loky")
    assert set(run(joblib.delayed(eval)(asked) for _ in range(2))) == {origin}
    assert origin != ours
