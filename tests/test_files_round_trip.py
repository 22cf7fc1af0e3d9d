"""Every public kind of model survives a file: same bits out, same bytes when saved again."""

import copy
import importlib
import inspect
import io
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

import echocast
import saved_models
from echocast.forecasting import NaiveForecaster
from echocast.reservoir import ESNRegressor, register_activation
from model_bytes import stored
from saved_models import MODELS, fitted, said, same

pytestmark = pytest.mark.filterwarnings("ignore::echocast.exceptions.EchocastWarning")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_the_same_after_a_file(name):
    model = fitted(name)
    content = stored(model)
    found = echocast.load(io.BytesIO(content))
    assert type(found) is type(model)
    assert stored(found) == content
    wanted = said(name, copy.copy(model))
    assert same(said(name, found), wanted)
    assert stored(model) == content  # predictions leave no trace in it


def public_classes():
    for package in ("reservoir", "forecasting"):
        module = importlib.import_module(f"echocast.{package}")
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isclass(found) and not inspect.isabstract(found):
                yield name, found


NO_MODELS = {
    *("AttentionDisplay", "BacktestDisplay", "ForecastDisplay", "LossCurveDisplay"),
    *("BacktestResult", "EigenReport", "PanelTimeSeriesSplit", "ReservoirDisplay"),
    "SequentialSplit",
}


def test_every_public_model_has_a_case_and_the_methods():
    kinds = {type(fitted(name)) for name in MODELS}
    public = {found for name, found in public_classes() if name not in NO_MODELS}
    assert public - kinds == set()
    assert kinds - public == set()
    assert [c for c in public if not (hasattr(c, "save") and hasattr(c, "load"))] == []


def test_methods_are_the_functions(tmp_path):
    model = fitted("ESNRegressor")
    path = model.save(tmp_path / "model.any")
    assert path == tmp_path / "model.any"
    assert path.read_bytes() == stored(model)
    assert same(ESNRegressor.load(path).predict(saved_models.U), model.predict(saved_models.U))
    with pytest.raises(TypeError, match=r"NaiveForecaster.load .* holds a ESNRegressor"):
        NaiveForecaster.load(path)


def test_a_loaded_model_goes_on_learning_as_the_saved_one():
    model = copy.deepcopy(fitted("ESNRegressor"))
    found = echocast.load(io.BytesIO(stored(model)))
    more = saved_models.waves(40, seed=5)
    for one in (model, found):
        one.partial_fit(more[:-1], more[1:, :1])
    assert stored(model) == stored(found)
    assert stored(model) != stored(fitted("ESNRegressor"))


@pytest.mark.parametrize("name", ["RNNRegressor gru", "RNNRegressor sgd", "CharRNN symbol"])
def test_a_loaded_network_goes_on_training_as_the_saved_one(name):
    model = copy.deepcopy(fitted(name))
    found = echocast.load(io.BytesIO(stored(model)))
    data = [u[:-1] for u in saved_models.PARTS], [u[1:, :1] for u in saved_models.PARTS]
    for one in (model, found):
        one.partial_fit(*([saved_models.WORDS] if "Char" in name else data))
    assert stored(model) == stored(found)


@pytest.mark.parametrize("name", ["ESNForecaster", "NaiveForecaster 1", "MarkovForecaster"])
def test_a_loaded_forecaster_takes_in_rows_as_the_saved_one(name):
    y = saved_models.monthly(75)
    model = copy.deepcopy(fitted(name))
    found = echocast.load(io.BytesIO(stored(model)))
    assert same(found.update(y[72:]).predict(4), model.update(y[72:]).predict(4))


@pytest.mark.parametrize("name", ["ESNRegressor", "ESNForecaster", "RNNRegressor gru"])
def test_loaded_models_can_be_cloned_copied_and_pickled(name):
    found = echocast.load(io.BytesIO(stored(fitted(name))))
    assert clone(found).get_params().keys() == found.get_params().keys()
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert same(said(name, other), said(name, found))


def test_what_is_shared_stays_shared():
    found = echocast.load(io.BytesIO(stored(fitted("RNNRegressor gru"))))
    model = fitted("RNNRegressor gru")
    assert model.theta_ is model._fit_trained.theta
    assert found.theta_ is found._fit_trained.theta
    assert np.shares_memory(found.params_["out.W"], found.theta_)


# ------------------------------------------------------------------------ what is refused


def test_an_unfitted_model_is_refused():
    for model in (ESNRegressor(), NaiveForecaster()):
        with pytest.raises(NotFittedError):
            stored(model)


def test_weights_that_are_not_finite_are_refused():
    model = copy.deepcopy(fitted("ESNRegressor"))
    model.coef_[0, 0] = np.nan
    with pytest.raises(ValueError, match="Attribute 'coef_' contains NaN or infinity"):
        stored(model)


def test_other_objects_are_refused():
    for other in (Ridge().fit([[0.0]], [0.0]), {"a": 1}, ESNRegressor):
        with pytest.raises(TypeError, match="`save` takes fitted"):
            stored(other)


def test_a_subclass_of_a_users_own_is_refused():
    class Mine(ESNRegressor):
        pass

    model = Mine(8, random_state=0).fit(saved_models.U[:-1], saved_models.U[1:])
    with pytest.raises(TypeError, match="`save` takes fitted"):
        stored(model)


def softsign(z):
    return z / (1 + np.abs(z))


@pytest.fixture
def forgotten(monkeypatch):
    """What a test registers is not there for the next one."""
    from echocast.reservoir import _activations

    monkeypatch.setattr(_activations, "_USERS", dict(_activations._USERS))


@pytest.mark.usefixtures("forgotten")
def test_functions_are_refused_unless_they_are_registered():
    u = saved_models.U
    model = ESNRegressor(8, activation=softsign, random_state=0).fit(u[:-1], u[1:])
    with pytest.raises(
        TypeError, match=r"Parameter 'activation' is a function.*register_act\w+\('name'"
    ):
        stored(model)
    register_activation("softsign in a file", softsign)
    model = ESNRegressor(8, activation="softsign in a file", random_state=0).fit(u[:-1], u[1:])
    content = stored(model)
    assert same(echocast.load(io.BytesIO(content)).predict(u), model.predict(u))


@pytest.mark.usefixtures("forgotten")
def test_a_file_that_needs_a_registered_name_says_so(monkeypatch):
    from echocast.reservoir import _activations

    register_activation("softsign in a file", softsign)
    u = saved_models.U
    model = ESNRegressor(8, activation="softsign in a file", random_state=0).fit(u[:-1], u[1:])
    content = stored(model)
    monkeypatch.delitem(_activations._USERS, "softsign in a file")
    with pytest.raises(echocast.exceptions.ModelFileError, match="softsign in a file"):
        echocast.load(io.BytesIO(content))


def test_a_topology_of_a_users_own_is_refused_by_name():
    def ring(n_units, random_state):
        return np.roll(np.eye(n_units), 1, axis=0)

    model = ESNRegressor(8, topology=ring, random_state=0)
    model.fit(saved_models.U[:-1], saved_models.U[1:])
    with pytest.raises(TypeError, match="Parameter 'topology' is a function"):
        stored(model)


def test_parameters_that_were_spoilt_after_fit_are_refused():
    model = copy.deepcopy(fitted("ESNForecaster")).set_params(n_units=-1)
    with pytest.raises(ValueError, match="'n_units' parameter of ESNForecaster"):
        stored(model)


@pytest.mark.parametrize("seed", [np.random.RandomState(3), np.random.default_rng(3),
                                  np.random.SeedSequence(3), np.int64(3), None])  # fmt: skip
def test_all_seeds_can_be_stored(seed):
    u = saved_models.U
    model = ESNRegressor(8, random_state=seed).fit(u[:-1], u[1:])
    found = echocast.load(io.BytesIO(stored(model)))
    assert type(found.random_state) is type(seed)
    assert same(clone(found).fit(u[:-1], u[1:]).W_in_, clone(model).fit(u[:-1], u[1:]).W_in_) or (
        seed is None
    )


def test_columns_of_many_kinds_survive():
    model = copy.deepcopy(fitted("ESNForecaster"))
    values = kinds_of_values()
    model._fit_kinds = values
    found = echocast.load(io.BytesIO(stored(model)))._fit_kinds
    assert found.keys() == values.keys()
    for name, value in values.items():
        assert type(found[name]) is type(value), name
        assert repr(found[name]) == repr(value), name


def kinds_of_values():
    import datetime

    import pandas as pd

    days = pd.date_range("2020-03-28", periods=4, freq="D", tz="Europe/Paris", name="day")
    return {
        "nan": float("nan"),
        "infinities": [float("inf"), -float("inf"), -0.0, 5e-324, 1e308],
        "integers": [2**63, -(2**64), 2**200, 10**18],
        "texts": ["", "\u00e9\u4e2d\U0001f600", "\ud800", '"\\\n\x00'],
        "keys": {1: "a", None: "b", ("x", 2): "c", 1.5: "d", True + 1: "e"},
        "scalars": (np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("a"), np.uint64(2**63)),
        "times": (
            np.datetime64("2020-01-01", "D"),
            np.timedelta64(3, "h"),
            np.datetime64("NaT", "D"),
        ),
        "array of objects": np.array(["a", None, 1.5, ("b",)], dtype=object),
        "array of texts": np.array([["ab", "c"], ["", "d"]]),
        "empty": np.empty((3, 0)),
        "big-endian": np.arange(3, dtype=">f8").astype("<f8"),
        "stamps": [days[0], pd.Timestamp("1700-01-01"), pd.Timestamp("2020-01-01").as_unit("s")],
        "missing": [pd.NaT, pd.NA],
        "differences": [pd.Timedelta("3h"), datetime.timedelta(days=1, seconds=3)],
        "periods": [pd.Period("2020Q1"), pd.Period("2020-01", "M"), pd.Period("2020-01-06", "W")],
        "offsets": [pd.offsets.BDay(2), pd.offsets.MonthBegin(), pd.offsets.Week(weekday=2)],
        "days": days,
        "hours": pd.timedelta_range("0h", periods=3, freq="h"),
        "quarters": pd.period_range("2020", periods=3, freq="Q-NOV"),
        "range": pd.RangeIndex(2, 10, 3, name=("a", 1)),
        "levels": pd.MultiIndex.from_product([["x", "y"], days[:2]], names=["id", "day"]),
        "categories": pd.CategoricalIndex(["a", "b", "a"], ordered=True),
        "series": pd.Series([1, None, 3], index=list("abc"), dtype="Int64", name="n"),
        "frame": pd.DataFrame(
            {"f": [0.5, np.nan], "s": ["x", None], "t": days[:2], 3: [True, False]}
        ),
        "dtypes": [np.dtype("f4"), np.dtype("M8[ns]"), days.dtype],
    }
