"""Fits on the worker processes of a Dask cluster: the same bits, whatever becomes of a worker."""

import os
import signal
import threading
import time
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from echocast.exceptions import DistributedFitError, EchocastWarning
from echocast.forecasting import ESNForecaster, backtest
from echocast.reservoir import ESNClassifier, ESNRegressor, NVARRegressor, fit_distributed

dask = pytest.importorskip("dask", reason="needs the extra 'dask'")
distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")

RNG = np.random.RandomState(0)
SMALL = {"n_units": 15, "random_state": 0}


def walk(n):
    u = np.cumsum(RNG.standard_normal((n + 1, 2)), axis=0) / 10
    return u[:-1], u[1:]


PARTS = [walk(n) for n in (80, 120, 60, 150, 90)]


@pytest.fixture(scope="module")
def cluster():
    settings = {"distributed.logging": {"distributed": "critical"}}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def client(cluster):
    with distributed.Client(cluster) as found:
        yield found


def loaders(before):
    """Functions that call ``before(k)`` on the worker first; closures, which travel by value."""
    parts = PARTS

    def loader(k):
        def load():
            before(k)
            return parts[k]

        return load

    return [loader(k) for k in range(len(parts))]


def killer(folder, wanted):
    """Kill the worker that visits part 2 for the first or second time, once."""
    killed, visits = folder / "killed", folder / "visits"

    def kill(k):
        if k != 2 or killed.exists():
            return
        with visits.open("a") as file:
            file.write("x")
        if len(visits.read_text()) == wanted:
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def assert_same_bits(found, expected):
    for name in ("coef_", "intercept_", "alpha_", "loo_errors_"):
        assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize(
    "model",
    [
        ESNRegressor(**SMALL),
        ESNRegressor(**SMALL, alpha="auto", noise=1e-2),
        NVARRegressor(alpha=[1e-3, 1.0]),
    ],
)
def test_a_cluster_gives_the_bits_of_one_machine(client, model):
    found = fit_distributed(clone(model), PARTS, client)
    expected = fit_distributed(clone(model), PARTS)
    assert_same_bits(found, expected)
    assert_array_equal(found.state_, expected.state_)


def test_a_worker_killed_in_the_fit_costs_no_bit(client, tmp_path):
    found = fit_distributed(ESNRegressor(**SMALL), loaders(killer(tmp_path, 1)), client)
    assert (tmp_path / "killed").exists()
    assert_same_bits(found, fit_distributed(ESNRegressor(**SMALL), PARTS))


def test_a_cluster_gives_the_classifier_of_one_machine(client):
    y = np.array(["a", "b", "c"] * 10)
    X = [RNG.standard_normal((20, 2)) + ord(k) / 3 for k in y]
    parts = [(X[i : i + 10], y[i : i + 10]) for i in (0, 10, 20)]
    model = ESNClassifier(10, random_state=0)
    found = fit_distributed(clone(model), parts, client)
    expected = fit_distributed(model, parts)
    assert_same_bits(found, expected)
    assert found.sharpness_ == expected.sharpness_


def test_the_order_in_which_parts_finish_changes_nothing(client):
    model = ESNRegressor(**SMALL, alpha="auto")
    expected = fit_distributed(clone(model), PARTS)
    for delays in ((0.2, 0.1, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.1, 0.2)):
        parts = loaders(lambda k, delays=delays: time.sleep(delays[k]))
        assert_same_bits(fit_distributed(clone(model), parts, client), expected)


def test_a_worker_killed_in_the_second_pass_takes_factors_with_it(client, tmp_path):
    model = ESNRegressor(**SMALL, alpha="auto")
    found = fit_distributed(clone(model), loaders(killer(tmp_path, 2)), client)
    assert (tmp_path / "killed").exists()
    assert_same_bits(found, fit_distributed(clone(model), PARTS))


def test_a_part_that_raises_is_named(client):
    def fail(k):
        if k == 1:
            raise KeyError("no such table")

    model = ESNRegressor(**SMALL).fit(*PARTS[0])
    before = dict(vars(model))
    with pytest.raises(DistributedFitError, match="Part 1 failed: KeyError: 'no such") as caught:
        fit_distributed(model, loaders(fail), client)
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.part == 1
    assert vars(model) == before


def test_a_part_that_fails_twice_is_tried_again(client, tmp_path):
    def fail(k):
        tries = tmp_path / str(k)
        with tries.open("a") as file:
            file.write("x")
        if k == 1 and len(tries.read_text()) < 3:
            raise OSError("not there yet")

    found = fit_distributed(ESNRegressor(**SMALL), loaders(fail), client)
    assert_same_bits(found, fit_distributed(ESNRegressor(**SMALL), PARTS))


def test_empty_parts_and_warnings_of_workers_reach_the_caller(client):
    frames = [(pd.DataFrame(x, columns=["a", "b"])[::-1], y) for x, y in PARTS]
    parts = [*frames, lambda: (frames[0][0][:0], frames[0][1][:0])]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit_distributed(ESNRegressor(**SMALL), parts, client)
    texts = [str(w.message) for w in found if issubclass(w.category, EchocastWarning)]
    assert len(texts) == 2
    assert texts[0].endswith("(part 0, 1, 2, 3, 4)")
    assert texts[1] == "1 part(s) have no rows and were left out: 5."


def test_an_address_and_delayed_parts(cluster, client):
    delayed = [dask.delayed(part, traverse=False) for part in PARTS]
    expected = fit_distributed(ESNRegressor(**SMALL), PARTS)
    found = fit_distributed(ESNRegressor(**SMALL), delayed, cluster.scheduler_address)
    assert_same_bits(found, expected)
    assert_same_bits(fit_distributed(ESNRegressor(**SMALL), delayed), expected)
    assert client.status == "running"


def test_a_cluster_without_workers_is_given_up():
    settings = {"n_workers": 0, "processes": False, "dashboard_address": ":0"}
    model = ESNRegressor(**SMALL)
    with (
        distributed.LocalCluster(**settings) as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(DistributedFitError, match=r"has had no worker for 0.5 s.*unchanged"),
    ):
        fit_distributed(model, PARTS, client, patience=0.5)
    with pytest.raises(DistributedFitError, match=r"cluster cannot be reached.*unchanged"):
        fit_distributed(model, PARTS, client)
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        threading.Timer(0.3, cluster.close).start()
        with pytest.raises(DistributedFitError, match=r"The cluster .*unchanged"):
            fit_distributed(model, PARTS, client)
    assert not hasattr(model, "coef_")
    with pytest.raises(TypeError, match=r"`client` must be a distributed.Client"):
        fit_distributed(model, PARTS, object())


# ----------------------------------------------------- joblib's loops on a cluster


def test_grid_search_on_a_cluster_is_that_of_one_process(client):
    X, y = PARTS[1]
    search = GridSearchCV(ESNRegressor(**SMALL), {"alpha": [1e-6, 1e-2]}, cv=TimeSeriesSplit(2))
    expected = clone(search).fit(X, y)
    with joblib.parallel_config(backend="dask"):
        found = search.fit(X, y)
    assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    assert_array_equal(found.best_estimator_.coef_, expected.best_estimator_.coef_)


def test_backtests_and_panels_on_a_cluster_are_those_of_one_process(client):
    t = np.arange(72)
    panel = pd.concat(
        {k: pd.Series(np.sin(t / (2 + k)) + 0.1 * RNG.standard_normal(72)) for k in range(3)},
        names=["id", "t"],
    )
    model = ESNForecaster(10, lags=3, season_length=1, random_state=0)
    expected = clone(model).fit(panel).predict(3, level=80)
    windows = {"horizon": 3, "n_windows": 3}
    alone = backtest(model, panel.loc[0], **windows)
    with joblib.parallel_config(backend="dask"):
        found = model.set_params(n_jobs=2).fit(panel).predict(3, level=80)
        result = backtest(model, panel.loc[0], n_jobs=2, **windows)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    pd.testing.assert_frame_equal(result.forecasts, alone.forecasts, check_exact=True)


def test_a_part_that_kills_more_workers_than_allowed_is_given_up(cluster, client):
    def kill(k):
        if k == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    model = ESNRegressor(**SMALL).fit(*PARTS[0])
    before = dict(vars(model))
    allowed, cluster.scheduler.allowed_failures = cluster.scheduler.allowed_failures, 0
    try:
        with pytest.raises(DistributedFitError, match=r"Part 3 failed on 1 worker.* \(limit 0\)"):
            fit_distributed(model, loaders(kill), client)
    finally:
        cluster.scheduler.allowed_failures = allowed
    assert vars(model) == before


@pytest.mark.slow
def test_twelve_kills_in_four_fits_change_no_bit(cluster, client):
    """Workers are killed from outside, at times that nothing in the fit depends on."""
    parts = loaders(lambda k: time.sleep(0.2)) * 4
    model = ESNRegressor(**SMALL, alpha="auto")
    expected = fit_distributed(clone(model), PARTS * 4)
    allowed, cluster.scheduler.allowed_failures = cluster.scheduler.allowed_failures, 20
    n_kills = 0
    try:
        for run in range(4):
            done = threading.Event()

            def kill(run=run, done=done):
                nonlocal n_kills
                rng = np.random.RandomState(run)
                for _ in range(3):
                    if done.wait(0.5 + rng.uniform(1)):
                        return
                    pids = [w.pid for w in cluster.workers.values() if w.pid]
                    if pids:
                        os.kill(pids[rng.randint(len(pids))], signal.SIGKILL)
                        n_kills += 1

            killer = threading.Thread(target=kill)
            killer.start()
            found = fit_distributed(clone(model), parts, client)
            done.set()
            killer.join()
            assert_same_bits(found, expected)
    finally:
        cluster.scheduler.allowed_failures = allowed
    assert n_kills >= 8  # a fit may be over before its third
