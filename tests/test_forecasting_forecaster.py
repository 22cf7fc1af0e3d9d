"""ESNForecaster as its users see it."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from echocast.datasets import load_sunspots, lorenz63
from echocast.exceptions import (
    ConstantTargetWarning,
    EchocastWarning,
    ForecastDivergenceWarning,
)
from echocast.forecasting import ESNForecaster, NaiveForecaster, SeasonalDifference
from echocast.forecasting._base import BaseForecaster

T = np.arange(160)
WAVE = np.sin(2 * np.pi * T / 12) * 5 + 0.05 * T
Y = pd.Series(
    WAVE + np.random.RandomState(0).randn(160) * 0.3,
    index=pd.date_range("2010-01-01", periods=160, freq="MS"),
    name="y",
)


def quick(**params):
    return ESNForecaster(**({"n_units": 20, "lags": 3, "random_state": 0} | params))


def state(model):
    return pickle.dumps(model.__dict__)


@pytest.fixture(scope="module")
def model():
    return quick().fit(Y.iloc[:150])


def test_predict_repeats_itself_and_writes_nothing(model):
    before = state(model)
    first = model.predict(6, level=[80, 95], quantiles=[0.1, 0.5])
    model.sample(3)
    model.fitted_values(Y)
    model.residuals()
    model.score(Y.iloc[150:])
    model.apply(Y.iloc[:100])
    pd.testing.assert_frame_equal(model.predict(6, level=[80, 95], quantiles=[0.1, 0.5]), first)
    assert state(model) == before


def test_a_seed_fixes_every_bit():
    first, second = (quick().fit(Y).predict(9, level=90) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    other = ESNForecaster(20, lags=3, random_state=1).fit(Y).predict(9)
    assert not np.allclose(other, first["y"])
    refitted = quick().fit(Y.iloc[:100]).fit(Y).predict(9, level=90)
    pd.testing.assert_frame_equal(refitted, first, check_exact=True)


def test_the_global_random_state_is_untouched():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    quick().fit(Y).sample(3)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_point_forecasts_do_not_depend_on_what_else_is_asked(model):
    points = model.predict(12)
    assert_array_equal(model.predict(12, level=80)["y"], points)
    assert_array_equal(model.predict([3, 7]), points.iloc[[2, 6]])
    assert_array_equal(model.predict(5), points.iloc[:5])
    bands = model.predict(12, level=80, quantiles=[0.1, 0.9])
    assert_array_equal(bands["lo-80"], bands["q-0.1"])
    assert (bands["lo-80"] < bands["hi-80"]).all()


def test_units_and_level_of_the_series_do_not_matter():
    small = quick().fit(Y).predict(12)
    large = quick().fit(Y * 1e6 + 1e9).predict(12)
    assert_allclose((large - 1e9) / 1e6, small, rtol=1e-4)


def test_a_failed_refit_keeps_the_old_model(monkeypatch):
    model = quick().fit(Y.iloc[:100])
    before, cutoff = model.predict(5, level=80), model.cutoff_
    with pytest.raises(ValueError, match="NaN"):
        model.fit(Y.replace(Y.iloc[3], np.nan))

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("echocast.forecasting._recursive.RecursiveNetwork.errors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(Y)
    monkeypatch.setattr("echocast.forecasting._recursive.RecursiveNetwork.advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.update(Y.iloc[100:110])
    assert model.cutoff_ == cutoff
    pd.testing.assert_frame_equal(model.predict(5, level=80), before)


def test_update_moves_the_state_only():
    model = quick().fit(Y.iloc[:120])
    coef = model.regressor_.coef_.copy()
    for start in range(120, 150, 10):
        assert model.update(Y.iloc[start : start + 10]) is model
    assert_array_equal(model.regressor_.coef_, coef)
    assert model.cutoff_ == Y.index[149]
    assert model.n_steps_seen_ == 150
    applied = quick().fit(Y.iloc[:120]).apply(Y.iloc[:150])
    assert_allclose(model.predict(9), applied.predict(9), atol=1e-9)
    # the errors of the new rows are those of predictions before they were seen
    fitted = quick().fit(Y.iloc[:120]).fitted_values(Y.iloc[:150])
    assert_allclose(model.residuals().iloc[-30:], (Y - fitted).iloc[120:150], atol=1e-9)


def test_update_with_refit_equals_a_fit_with_the_same_transforms():
    params = {"transforms": [], "alpha": 0.1, "washout": 10, "n_units": 10}
    scaled = (Y - Y.mean()) / Y.std()
    whole = quick(**params).fit(scaled.iloc[:150])
    parts = quick(**params).fit(scaled.iloc[:120])
    parts.update(scaled.iloc[120:130], refit=True).update(scaled.iloc[130:150], refit=True)
    assert_allclose(parts.regressor_.coef_, whole.regressor_.coef_, rtol=1e-6, atol=1e-9)
    assert_allclose(parts.predict(9), whole.predict(9), rtol=1e-7)
    kept = quick(**params).fit(scaled.iloc[:120]).update(scaled.iloc[120:150])
    assert not np.allclose(kept.regressor_.coef_, whole.regressor_.coef_)


def test_refit_continues_from_the_state_after_plain_updates():
    model = quick(alpha=0.1).fit(Y.iloc[:120]).update(Y.iloc[120:130])
    model.update(Y.iloc[130:150], refit=True)
    assert_allclose(model.regressor_.state_, model._fit_memory.state, atol=1e-12)


def test_apply_is_a_copy_with_another_history(model):
    other = model.apply(Y.iloc[30:90])
    assert other.cutoff_ == Y.index[89]
    assert model.cutoff_ == Y.index[149]
    assert other.predict(4).index[0] == Y.index[90]
    # the season keeps its place in the year wherever the history begins
    errors = (other.predict(12) - Y.iloc[90:102]).abs()
    assert errors.mean() < 1.0
    other.update(Y.iloc[90:95])
    assert model.cutoff_ == Y.index[149]


def test_residuals_after_apply_are_those_of_its_rows(model):
    other = model.apply(Y.iloc[:100])
    fitted = model.fitted_values(Y.iloc[:100]).dropna()
    pd.testing.assert_series_equal(
        other.residuals(), (Y.iloc[:100] - fitted).dropna(), check_freq=False, check_names=False
    )


def test_a_history_before_the_fit_keeps_the_season():
    model = quick(transforms=["deseasonalize", "difference", "standardize"]).fit(Y.iloc[65:])
    early = model.apply(Y.iloc[1:60])
    assert (early.predict(12) - Y.iloc[60:72]).abs().mean() < 1.0


def test_the_model_keeps_no_data():
    y = load_sunspots()
    model = ESNForecaster(random_state=0).fit(y)
    held = []

    def walk(thing, seen):
        if id(thing) in seen:
            return
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            held.append(thing)
        elif isinstance(thing, dict):
            [walk(v, seen) for v in thing.values()]
        elif isinstance(thing, (list, tuple)):
            [walk(v, seen) for v in thing]
        elif isinstance(thing, (pd.Series, pd.DataFrame, pd.Index)):
            raise AssertionError(f"a {type(thing).__name__} is kept")
        elif hasattr(thing, "__dict__"):
            walk(vars(thing), seen)

    walk(vars(model), set())
    values = np.concatenate([a.ravel() for a in held if a.dtype == np.float64])
    kept = np.isin(y.iloc[:-30].unique(), values).sum()
    assert kept <= 2  # chance hits such as zero
    big = pd.Series(np.random.RandomState(0).randn(20_000))
    sizes = [len(pickle.dumps(quick().fit(big.iloc[:n]))) for n in (2_000, 20_000)]
    assert sizes[1] < 1.2 * sizes[0]


def test_residuals_are_capped_and_labelled(model):
    errors = model.residuals()
    assert errors.index[-1] == model.cutoff_
    assert errors.index.freqstr == "MS"
    long = quick().fit(pd.Series(np.random.RandomState(0).randn(3000)))
    assert len(long.residuals()) == 1000


def test_pickle_and_clone(model):
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(again.predict(5, level=80), model.predict(5, level=80))
    copy = clone(ESNForecaster(30, transforms=[SeasonalDifference(11)]))
    assert copy.transforms[0].period == 11
    assert copy.get_params()["n_units"] == 30
    assert "ESNForecaster(n_units=30" in repr(copy)


def test_before_fit():
    with pytest.raises(NotFittedError):
        ESNForecaster().predict(3)
    with pytest.raises(NotFittedError):
        ESNForecaster().cutoff_  # noqa: B018
    for call in ("update", "apply", "fitted_values", "score"):
        with pytest.raises(NotFittedError):
            getattr(ESNForecaster(), call)(Y)


def test_systems_of_several_variables():
    frame = pd.DataFrame({"up": Y, "down": -Y + 3, "walk": Y.diff().fillna(0).cumsum()})
    model = quick().fit(frame.iloc[:150])
    got = model.predict(10)
    assert list(got.columns) == ["up", "down", "walk"]
    assert (got - frame.iloc[150:]).abs().to_numpy().max() < 3
    paths = model.sample(4, n_samples=50)
    # residuals of one row are drawn together: "down" mirrors "up"
    corr = np.corrcoef(paths["up"].iloc[0], paths["down"].iloc[0])[0, 1]
    assert corr < -0.9


def test_lorenz_as_a_wide_frame_is_forecast_in_closed_loop():
    u = lorenz63(2500, dt=0.02)
    u = np.asarray(u[0] if isinstance(u, tuple) else u)
    model = ESNForecaster(random_state=0).fit(u[:2000])
    assert [type(s).__name__ for s in model.transforms_] == ["Standardize"]
    error = np.abs(model.predict(100) - u[2000:2100]).max(axis=1)
    assert (error < 0.1 * u.std()).all()  # two Lyapunov times


def test_constant_series():
    with pytest.warns(ConstantTargetWarning, match=r"y is constant \(3\.2\)"):
        model = ESNForecaster().fit(pd.Series(np.full(40, 3.2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_allclose(model.predict(5, level=80), 3.2, atol=1e-9)
    frame = pd.DataFrame({"a": Y.to_numpy(), "b": 7.0})
    with pytest.warns(ConstantTargetWarning, match=r"column 'b' of y is constant \(7\)"):
        model = quick().fit(frame)
    assert_allclose(model.predict(5)["b"], 7.0, atol=1e-9)


def test_nearly_constant_and_tiny_series():
    y = 1e6 + 1e-7 * np.random.RandomState(0).randn(60)
    assert_allclose(ESNForecaster().fit(y).predict(5), 1e6, rtol=1e-9)
    line = ESNForecaster().fit(np.arange(40.0) * 3)
    assert_allclose(line.predict(5), np.arange(40, 45) * 3.0, rtol=1e-6)
    assert np.isfinite(ESNForecaster().fit(np.random.RandomState(0).randn(8)).predict(20)).all()
    with pytest.raises(ValueError, match=r"Length of `y` \(3\) must be greater"):
        ESNForecaster().fit(np.array([1.0, 2.0, 4.0]))


def test_a_forecast_that_would_explode_is_held_with_a_warning():
    y = np.exp(0.2 * np.arange(60))
    model = ESNForecaster(20, lags=1, transforms=["standardize"], alpha=1e-8, random_state=0)
    model.fit(y)
    with pytest.warns(ForecastDivergenceWarning, match=r"'y' .*by 1x its span at step \d+"):
        forecast = model.predict(50)
    assert forecast.max() <= y.max() + np.ptp(y) + 1e-6


def test_missing_values_can_be_filled():
    y = Y.copy()
    y.iloc[[40, 41, 149]] = np.nan
    for missing in ("ffill", "interpolate"):
        got = quick(missing=missing).fit(y.iloc[:150]).predict(6)
        assert (got - Y.iloc[150:156]).abs().mean() < 1.5
    with pytest.raises(ValueError, match=r"Input y contains NaN\. ESNForecaster"):
        quick().fit(y)


BAD = {
    "n_units": [0, 1.5, "many", True],
    "spectral_radius": [-1, "big"],
    "leak_rate": [0, 1.5],
    "input_scaling": [np.nan, "x"],
    "bias_scaling": [-1],
    "topology": ["ring of fire"],
    "connectivity": [0, 1.5],
    "activation": ["softmax"],
    "noise": [-1],
    "alpha": [-1, "none"],
    "solver": ["lu"],
    "washout": [-1, 1.5],
    "dtype": ["float16"],
    "lags": [0, "12"],
    "transforms": ["log1p", None],
    "season_length": [0, 1.5, "month"],
    "missing": ["drop"],
    "interval": ["normal"],
    "n_boot": [0, 1.5],
    "random_state": ["a", -1],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in BAD.items() for v in vs])
def test_bad_parameters_are_refused_by_name_in_fit(name, value):
    model = ESNForecaster(**{name: value})
    with pytest.raises(ValueError, match=rf"{name}|seed"):
        model.fit(Y.iloc[:60])


def test_parameters_reach_the_network():
    model = ESNForecaster(
        12, spectral_radius=0.8, leak_rate=0.5, alpha=0.3, topology="cycle", dtype="float32",
        include_input=False, fit_intercept=False, activation="sin", random_state=0,
    ).fit(Y)  # fmt: skip
    esn = model.regressor_
    assert (esn.n_units, esn.leak_rate, esn.alpha_) == (12, 0.5, 0.3)
    assert esn.coef_.shape == (1, 12)
    assert esn.W_in_.dtype == np.float32
    assert np.isfinite(model.predict(5, level=80).to_numpy()).all()
    assert model.n_units_ == 12
    assert model.lags_ == tuple(range(1, 25))


@pytest.mark.parametrize("metric", ["mase", "rmsse", "smape", "mape", "mae", "rmse", "nrmse"])
def test_scores_equal_the_metrics(model, metric):
    from echocast import forecasting

    truth, points = Y.iloc[150:], model.predict(10)
    function = getattr(forecasting, metric)
    scaled = metric in ("mase", "rmsse")
    expected = (
        function(truth, points, Y.iloc[:150], season_length=12) if scaled
        else function(truth, points)
    )  # fmt: skip
    assert model.score(truth, metric=metric) == pytest.approx(expected)
    assert model.score(truth, metric=lambda a, b: 4) == 4.0


def test_a_score_scaled_by_nothing_is_nan_and_says_so():
    model = NaiveForecaster().fit(np.zeros(9))
    for metric in ("mase", "rmsse"):
        with pytest.warns(EchocastWarning, match="repeats exactly after one season"):
            assert np.isnan(model.score(np.ones(2), metric=metric))
    assert model.score(np.ones(2), metric="mae") == 1.0


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        BaseForecaster()
    model = ESNForecaster(n_units=7, lags=3)
    assert clone(model).get_params() == model.get_params()
