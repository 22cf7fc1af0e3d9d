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

from echocast.reservoir import ESNRegressor, RNNRegressor


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


# ----------------------------------------------------------------------- trained networks


@pytest.fixture(scope="module")
def panel(problem):
    """Sequences enough for a batch to be cut into shards, which threads may take."""
    X, y = problem
    starts = range(0, 320, 8)
    return [X[a : a + 30 + a % 17] for a in starts], [y[a : a + 30 + a % 17] for a in starts]


@pytest.fixture(scope="module")
def trained(panel):
    model = RNNRegressor(
        hidden_layer_sizes=32, cell="gru", max_iter=3, dropout=0.1, n_jobs=2, random_state=0
    )
    return model.fit(*panel)


def assert_same_network(found, trained, panel):
    assert_array_equal(found.theta_, trained.theta_)
    assert found.loss_curve_ == trained.loss_curve_
    for a, b in zip(found.predict(panel[0]), trained.predict(panel[0])):
        assert_array_equal(a, b)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_workers_train_the_same_network(panel, trained, backend, n_jobs):
    run = joblib.Parallel(n_jobs=2, backend=backend, max_nbytes=100)
    model = clone(trained).set_params(n_jobs=n_jobs)
    for found in run(joblib.delayed(clone(model).fit)(*panel) for _ in range(3)):
        assert_same_network(found, trained, panel)


def test_joblib_workers_share_one_network(panel, trained):
    expected = trained.predict(panel[0])
    run = joblib.Parallel(n_jobs=4, backend="threading")
    for found in run(joblib.delayed(trained.predict)(panel[0]) for _ in range(8)):
        for a, b in zip(found, expected):
            assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_processes_train_the_same_network(panel, trained, start):
    # `trained` has used threads in this process, which a forked child must not wait for.
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this platform")
    clone(trained).fit(*panel)
    with multiprocessing.get_context(start).Pool(1) as pool:
        found = pool.apply_async(clone(trained).fit, panel).get(timeout=120)
        predicted = pool.apply_async(trained.predict, panel[:1]).get(timeout=120)
    assert_same_network(found, trained, panel)
    for a, b in zip(predicted, trained.predict(panel[0])):
        assert_array_equal(a, b)


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_pickle_round_trip_of_a_network(panel, trained, protocol, tmp_path):
    assert_same_network(pickle.loads(pickle.dumps(trained, protocol)), trained, panel)
    joblib.dump(trained, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_same_network(mapped, trained, panel)
    chunk = panel[0][:2], panel[1][:2]
    assert_array_equal(mapped.partial_fit(*chunk).theta_,
                       pickle.loads(pickle.dumps(trained)).partial_fit(*chunk).theta_)  # fmt: skip


def test_workers_see_the_same_datasets_package_as_we_do():
    spec = importlib.util.find_spec("datasets")
    ours = importlib.util.find_spec("echocast.datasets").origin
    origin = None if spec is None else spec.origin
    asked = "getattr(__import__('importlib.util').util.find_spec('datasets'), 'origin', None)"
    run = joblib.Parallel(n_jobs=2, backend="loky")
    assert set(run(joblib.delayed(eval)(asked) for _ in range(2))) == {origin}
    assert origin != ours
