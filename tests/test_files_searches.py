"""Searches, streams and pipelines in model files."""

import copy
import datetime
import io

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import echocast
import saved_models
from echocast.exceptions import CorruptModelError, ModelFileError
from echocast.forecasting import ForecastSearchCV, NaiveForecaster
from echocast.reservoir import ESNRegressor, ESNSearchCV, ReservoirStream, RLSReadout
from model_bytes import forged, loaded, manifest_of, stored
from saved_models import SMALL, U, fitted, same

GRID = {"alpha": [1e-4, 1e-2], "leak_rate": [0.3, 0.9]}


def search(grid=GRID, **params):
    return ESNSearchCV(ESNRegressor(**SMALL), grid, **{"cv": 2, **params}).fit(U[:-1], U[1:])


DRAWN = {"alpha": stats.loguniform(1e-5, 1), "leak_rate": stats.uniform(loc=0.2, scale=0.5)}
SEARCHES = {
    "a grid": {},
    "splitters": {"cv": TimeSeriesSplit(2, gap=1)},
    "drawn splits": {"cv": KFold(2, shuffle=True, random_state=np.random.RandomState(0))},
    "given splits": {"cv": [(np.arange(40), np.arange(40, 89))]},
    "a metric": {"scoring": "neg_mean_absolute_error"},
    "metrics": {"scoring": ["r2", "max_error"], "refit": "r2", "return_train_score": True},
    "named metrics": {"scoring": {"fit": "r2"}, "refit": "fit"},
    "halving": {"method": "halving", "factor": 2},
    "distributions": {"grid": None, "param_distributions": DRAWN, "n_iter": 3, "random_state": 0},
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_says_the_same_after_a_file(name):
    params = dict(SEARCHES[name])
    if "max_error" in params.get("scoring", ()):
        params["scoring"] = ["r2", "neg_mean_absolute_error"]
    model = search(**params)
    content = stored(model)
    found = loaded(content)
    assert stored(found) == content
    assert same(found.predict(U), model.predict(U))
    assert found.score(U[:-1], U[1:]) == model.score(U[:-1], U[1:])
    assert type(found.scorer_) is type(model.scorer_)
    assert found.cv_results_["params"] == model.cv_results_["params"]
    assert same(found.cv_results_["split0_test_" + _metric(name)],
                model.cv_results_["split0_test_" + _metric(name)])  # fmt: skip
    again = found.fit(U[:-1], U[1:])
    assert again.best_params_.keys() == model.best_params_.keys()


def _metric(name):
    return {"metrics": "r2", "named metrics": "fit"}.get(name, "score")


def test_a_search_without_refit_keeps_its_table():
    found = loaded(stored(search(refit=False)))
    assert found.best_params_ in found.cv_results_["params"]
    assert not hasattr(found, "best_estimator_")
    assert not hasattr(ESNSearchCV(ESNRegressor(), GRID), "scorer_")


def test_what_a_search_cannot_store_is_named_with_the_way_out():
    model = search(scoring=lambda model, X, y: 0.0)
    with pytest.raises(TypeError, match=r"Parameter 'scoring' .*Save its `best_estimator_`, or"):
        stored(model)
    assert same(loaded(stored(model.best_estimator_)).predict(U), model.predict(U))
    y = saved_models.monthly()
    model = ForecastSearchCV(
        NaiveForecaster(), {"strategy": ["last", "mean"]}, horizon=2, cv=2,
        metric=lambda y, p: float(np.abs(y - p).mean()),
    ).fit(y)  # fmt: skip
    with pytest.raises(TypeError, match=r"is a function.*Save its `best_forecaster_`, or"):
        stored(model)
    model = search().set_params(param_distributions={"alpha": stats.dweibull(2.0)})
    with pytest.raises(TypeError, match="the distribution 'dweibull'"):
        stored(model)


# ----------------------------------------------------------------------------- streams

STREAMS = {
    "ridge": {},
    "feedback": {"feedback_scaling": 0.3},
    "online": {"readout": RLSReadout()},
    "single": {"dtype": "float32"},
    "increments": {"target": "increment"},
}


def stream(**params):
    found = ESNRegressor(**SMALL, **params).fit(U[:40], U[1:41]).stream()
    for row in U[40:50]:
        found.predict_one(row)
    return found


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("learnt", [0, 9])
def test_a_stream_goes_on_after_a_file(name, learnt, tmp_path):
    model = stream(**STREAMS[name])
    for t in range(50, 50 + learnt):
        model.learn_one(U[t], U[t + 1])
    found = ReservoirStream.load(model.save(tmp_path / "stream"))
    assert stored(found) == stored(model)
    for t in range(50 + learnt, 80):
        assert same(found.learn_one(U[t], U[t + 1]), model.learn_one(U[t], U[t + 1]))
        assert same(found.predict_one(U[t]), model.predict_one(U[t]))
    assert same(found.to_estimator().predict(U), model.to_estimator().predict(U))
    assert stored(found) == stored(model)


def test_forged_arrays_of_a_stream_do_not_reach_its_kernel():
    model = stream()
    for t in range(50, 55):
        model.learn_one(U[t], U[t + 1])
    content = stored(model)
    fields = manifest_of(content)["model"]["made_of"]
    assert {"coef", "intercept", "last_input", "range", "x", "y"} < fields.keys()
    for name in fields:
        for array in (np.zeros(1), np.zeros((3, 50)), np.full(8, np.nan), np.zeros(8, np.int64)):

            def change(manifest, name=name):
                manifest["model"]["made_of"][name] = {"$": "array", "of": "other"}

            with pytest.raises(ModelFileError):
                loaded(forged(content, change, arrays={"other": array}))
        if name not in ("readout", "factor", "constant"):
            with pytest.raises(CorruptModelError):
                loaded(forged(content, lambda m, n=name: m["model"]["made_of"].pop(n)))


# --------------------------------------------------------------------------- pipelines


@pytest.mark.parametrize("kind", [make_pipeline, TransformedTargetRegressor])
def test_a_model_between_scalers(kind, tmp_path):
    esn = ESNRegressor(**SMALL)
    model = make_pipeline(StandardScaler(), esn)
    if kind is TransformedTargetRegressor:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    with pytest.raises(NotFittedError):
        stored(model)
    path = echocast.save(model.fit(U[:-1], U[1:]), tmp_path / "model")
    found = echocast.load(path)
    assert type(found) is type(model)
    assert same(found.predict(U), model.predict(U))
    assert path.read_bytes() == stored(found)
    assert type(model).__name__ in echocast.inspect(path)["class"]


def test_a_pipeline_with_a_step_of_anothers_is_refused_by_its_place():
    from sklearn.preprocessing import QuantileTransformer

    model = make_pipeline(QuantileTransformer(n_quantiles=5), ESNRegressor(**SMALL))
    with pytest.raises(TypeError, match=r"Parameter 'steps.0.1' of type .*QuantileTransformer"):
        stored(model.fit(U[:-1], U[1:]))


# ------------------------------------------------------------------- values of odd kinds


def test_values_that_hold_themselves_are_refused():
    model = copy.deepcopy(fitted("NaiveForecaster"))
    endless: list = []
    endless.append(endless)
    for value in (endless, [{"a": endless}], {"a": (endless,)}):
        model._fit_more = value
        with pytest.raises(TypeError, match="nested too deeply"):
            stored(model)


def test_days_as_names_of_columns():
    days = [datetime.date(2024, 2, 29), datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]
    frame = pd.DataFrame({day: saved_models.monthly() for day in days})
    model = NaiveForecaster("drift").fit(frame)
    found = loaded(stored(model)).predict(2)
    assert list(found.columns) == days
    assert same(found, model.predict(2))


@pytest.mark.parametrize("zone", ["+01:00", "-09:30", "UTC", "Asia/Kolkata"])
def test_indexes_of_all_zones(zone):
    model = copy.deepcopy(fitted("NaiveForecaster"))
    days = pd.date_range("2024-03-30", periods=3, freq="D", tz=zone)
    model._fit_more = [days, days.dtype, pd.Series(1.0, days), days[0]]
    found = loaded(stored(model))._fit_more
    assert found[0].identical(days)
    assert found[0].freq == days.freq
    assert found[1] == days.dtype
    assert found[2].index.equals(days)
    assert found[3] == days[0]
    assert found[3].utcoffset() == days[0].utcoffset()


def test_generators_go_on_having_children():
    model = copy.deepcopy(fitted("NaiveForecaster"))
    rng = np.random.default_rng(5)
    rng.random(3)
    rng.spawn(2)
    model._fit_more = rng
    found = loaded(stored(model))._fit_more
    assert found.random() == copy.deepcopy(rng).random()
    assert [g.random() for g in found.spawn(2)] == [g.random() for g in rng.spawn(2)]


def test_large_arrays_are_not_copied_on_the_way(tmp_path):
    import tracemalloc

    model = copy.deepcopy(fitted("NaiveForecaster"))
    model._fit_more = np.random.RandomState(0).standard_normal(2**20)
    n_bytes = model._fit_more.nbytes
    path = model.save(tmp_path / "first")  # whatever is imported by the first one
    tracemalloc.start()
    try:
        model.save(path)
        saving = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        found = echocast.load(path)
        loading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert saving < 0.2 * n_bytes
    assert n_bytes < loading < 1.2 * n_bytes
    assert found._fit_more.tobytes() == model._fit_more.tobytes()
    assert found._fit_more.flags.writeable


def test_files_without_readinto_are_read():
    class Plain:
        def __init__(self, content):
            self.file = io.BytesIO(content)

        def read(self, n=-1):
            return self.file.read(n)

    model = fitted("NaiveForecaster")
    assert same(echocast.load(Plain(stored(model))).predict(2), model.predict(2))
