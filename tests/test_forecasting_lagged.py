"""What Markov, NVAR, reservoir and ensemble forecasters have in common."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from echocast.exceptions import ConstantTargetWarning, ForecastDivergenceWarning
from echocast.forecasting import (
    EnsembleForecaster,
    MarkovForecaster,
    NaiveForecaster,
    NVARForecaster,
    ReservoirForecaster,
)
from echocast.reservoir import ESNRegressor, NVARRegressor, ReservoirTransformer

N = 160
T = np.arange(N)
NOISE = np.random.RandomState(0).randn(N, 2)
INDEX = pd.date_range("2010-01-01", periods=N, freq="MS")
Y = pd.Series(5 * np.sin(2 * np.pi * T / 12) + 0.05 * T + NOISE[:, 0], index=INDEX, name="y")
X = pd.DataFrame({"a": NOISE[:, 1], "b": np.cos(T)}, index=INDEX)
WIDE = pd.DataFrame({"u": Y, "v": Y.shift(2).fillna(0.0) + 0.1 * NOISE[:, 1]})

ESN = ESNRegressor(15, alpha=1.0, washout=10)
MODELS = {
    "markov": MarkovForecaster(3, random_state=0),
    "markov, auto": MarkovForecaster(random_state=0),
    "nvar": NVARForecaster(2, 2, random_state=0),
    "esn": ReservoirForecaster(ESN, random_state=0),
    "pipeline": ReservoirForecaster(
        make_pipeline(StandardScaler(), NVARRegressor(3, alpha=1.0)), random_state=0
    ),
    "direct": ReservoirForecaster(
        ESN, lags=[1, 3], strategy="direct", horizon=4, n_boot=20, random_state=0
    ),
    "multi": ReservoirForecaster(
        Ridge(), lags=5, strategy="multi_output", horizon=4, random_state=0
    ),
    "ensemble": EnsembleForecaster([MarkovForecaster(2), NVARForecaster()], random_state=0),
    "weighted": EnsembleForecaster(
        [("a", MarkovForecaster(2)), ("b", NaiveForecaster("seasonal"))],
        method="weights",
        random_state=0,
    ),
}
each = pytest.mark.parametrize("name", MODELS)


def fresh(name, **params):
    return clone(MODELS[name]).set_params(**params)


@each
def test_fields_forms_and_repetition(name):
    model = fresh(name).fit(Y[:150])
    before = pickle.dumps(model.__dict__)
    frame = model.predict(9, level=[80, 95], quantiles=[0.5])
    assert frame.columns.tolist() == ["y", "lo-80", "hi-80", "lo-95", "hi-95", "q-0.5"]
    assert frame.index.equals(INDEX[150:159])
    assert frame.index.freq == INDEX.freq
    assert (frame["lo-95"] <= frame["lo-80"]).all()
    assert (frame["lo-80"] < frame["hi-80"]).all()
    assert_allclose(model.predict([2, 9]), frame["y"].iloc[[1, 8]], rtol=1e-9)
    paths = model.sample(5, n_samples=7)
    assert paths.shape == (5, 7)
    assert not paths[0].equals(paths[1])
    pd.testing.assert_frame_equal(paths, model.sample(5, n_samples=7))
    model.apply(Y[:100]).predict(1)
    model.fitted_values(Y)
    model.score(Y[150:])
    pd.testing.assert_frame_equal(model.predict(9, level=[80, 95], quantiles=[0.5]), frame)
    assert pickle.dumps(model.__dict__) == before
    again = fresh(name).fit(Y[:150]).predict(9, level=[80, 95], quantiles=[0.5])
    pd.testing.assert_frame_equal(again, frame, check_exact=True)


@each
def test_update_equals_apply(name):
    updated = fresh(name).fit(Y[:120]).update(Y[120:133]).update(Y[133:150])
    applied = fresh(name).fit(Y[:120]).apply(Y[:150])
    assert updated.cutoff_ == applied.cutoff_ == INDEX[149]
    assert_allclose(updated.predict(9), applied.predict(9), rtol=1e-9)
    fitted = fresh(name).fit(Y[:120]).fitted_values(Y[:150])
    assert_allclose(updated.residuals()[-17:], (Y[:150] - fitted)[-17:], atol=1e-9)
    assert_allclose(applied.residuals()[-17:], (Y[:150] - fitted)[-17:], atol=1e-9)


@each
def test_refits_learn_as_a_fit_would(name):
    if name == "multi":
        pytest.skip("Ridge cannot learn from more rows; see the test of its message")
    params = {"forecasters": [MarkovForecaster(2, alpha=0.1, transforms=[])]}
    params = params if name in ("ensemble", "weighted") else {"transforms": []}
    if "alpha" in fresh(name).get_params():
        params["alpha"] = 0.1
    if name == "weighted":
        params["method"] = "mean"
    if name == "pipeline":  # its scaler would see other rows
        params["regressor"] = NVARRegressor(3, alpha=1.0)
    if name == "markov, auto":
        params["order"] = 4
    parts = fresh(name, **params).fit(Y[:120]).update(Y[120:140], refit=True)
    parts.update(Y[140:], refit=True)
    whole = fresh(name, **params).fit(Y)
    assert_allclose(parts.predict(6), whole.predict(6), rtol=1e-9)
    assert not np.allclose(fresh(name, **params).fit(Y[:120]).apply(Y).predict(6), whole.predict(6))


@each
def test_known_columns_help_and_are_aligned_by_label(name):
    y = Y + 8 * X["a"]
    blind = fresh(name).fit(y[:140])
    told = fresh(name).fit(y[:140], X)
    assert told.score(y[140:144], X) < 0.6 * blind.score(y[140:144])
    shuffled = X[["b", "a"]].iloc[120:]
    assert_allclose(told.predict(6, shuffled), told.predict(6, X), rtol=1e-12)
    updated = told.apply(y[:130], X).update(y[130:140], X)
    assert_allclose(updated.predict(6, X), told.predict(6, X), rtol=1e-9)
    assert np.isfinite(told.fitted_values(y, X)[40:]).all()
    with pytest.raises(ValueError, match="exogenous columns"):
        told.predict(3)


@each
def test_past_only_columns_are_seen_and_never_asked_for(name):
    past = X[["a"]].shift(-1).fillna(0.0)  # a leading indicator
    y = Y + 8 * X["a"]
    params = {"past_columns": ["a"]}
    if name == "ensemble":
        params["forecasters"] = [MarkovForecaster(2, past_columns=["a"]), NVARForecaster()]
    told = fresh(name, **params).fit(y[:140], past)
    blind = fresh(name).fit(y[:140])
    assert told.predict(3, level=80).shape == (3, 3)
    if name not in ("ensemble", "weighted"):
        later = slice(140, 160)
        wrong = [
            np.abs((model.fitted_values(y, *x) - y)[later]).mean()
            for model, x in ((told, [past]), (blind, []))
        ]
        assert wrong[0] < 0.7 * wrong[1]
    moved = told.apply(y[:130], past).update(y[130:140], past)
    assert_allclose(moved.predict(3), told.predict(3), rtol=1e-9)


@each
def test_systems_and_arrays(name):
    model = fresh(name).fit(WIDE[:140])
    frame = model.predict(4, level=80)
    assert frame.columns.tolist()[:3] == [("u", "forecast"), ("u", "lo-80"), ("u", "hi-80")]
    assert model.sample(4, n_samples=3).shape == (4, 6)
    assert list(model.predict(4).columns) == ["u", "v"]
    params = {} if name == "weighted" else {"season_length": 12}
    if name == "ensemble":
        params = {"forecasters": [MarkovForecaster(2, season_length=12)]}
    if name == "weighted":
        params = {"forecasters": [MarkovForecaster(2), NaiveForecaster()]}
    array = fresh(name, **params).fit(WIDE[:140].to_numpy())
    assert isinstance(array.predict(4), np.ndarray)
    assert array.predict(4).shape == (4, 2)
    assert array.predict(2, level=80).index.tolist() == [140, 141]
    single = fresh(name, **params).fit(Y[:140].to_numpy(), X[:140].to_numpy())
    assert single.predict(4, X[140:144].to_numpy()).shape == (4,)


@each
@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("2010-01", periods=N, freq="M"),
        pd.RangeIndex(5, 5 + 2 * N, 2),
        pd.date_range("2024-03-01", periods=N, freq="h", tz="Europe/Berlin"),
    ],
    ids=["period", "range", "tz"],
)
def test_index_kinds(name, index):
    y = Y.set_axis(index)
    model = fresh(name).fit(y[:150])
    assert model.predict(6).index.equals(index[150:156])
    moved = model.apply(y[20:120]).update(y[120:150])
    assert moved.predict(6).index.equals(index[150:156])
    assert model.fitted_values(y[10:]).index.equals(index[10:])


@each
def test_panels_are_one_model_a_series(name):
    panel = pd.concat({"a": Y[:120], "b": 3 - 2 * Y[20:150]}, names=["series", "time"])
    model = fresh(name).fit(panel)
    alone = fresh(name).fit(Y[:120])
    assert_allclose(model.predict(3).loc["a"], alone.predict(3))
    assert model.predict(3, level=80).shape == (6, 3)
    model.update(pd.concat({"a": Y[120:130]}, names=["series", "time"]))
    assert_allclose(model.predict(3).loc["a"], alone.update(Y[120:130]).predict(3))


@each
def test_calendar_and_fourier(name):
    if name in ("ensemble", "weighted"):
        pytest.skip("members have them")
    params = {"fourier": {12: 2}, "calendar": ["month"], "transforms": ["standardize"]}
    model = fresh(name, **params).fit(Y[:140])
    plain = fresh(name, transforms=["standardize"]).fit(Y[:140])
    assert model.predict(12).shape == (12,)
    assert not np.allclose(model.predict(12), plain.predict(12))
    assert_allclose(model.apply(Y[:130]).update(Y[130:140]).predict(5), model.predict(5), rtol=1e-9)


@each
def test_conformal_intervals(name):
    model = fresh(name, interval="conformal").fit(Y)
    frame = model.predict(4, level=80)
    assert_allclose(frame["y"] - frame["lo-80"], frame["hi-80"] - frame["y"])
    assert (frame["hi-80"] - frame["lo-80"]).between(0.5, 20).all()
    with pytest.raises(ValueError, match="at least 60"):
        fresh(name, interval="conformal").fit(Y[:50])


@each
def test_clones_pickles_and_failed_fits(name):
    model = fresh(name).fit(Y[:150])
    expected = model.predict(3)
    twin = clone(model)
    assert not hasattr(twin, "n_steps_seen_")
    assert repr(twin.get_params(deep=False)) == repr(model.get_params(deep=False))
    pd.testing.assert_series_equal(pickle.loads(pickle.dumps(model)).predict(3), expected)
    with pytest.raises(ValueError):
        model.fit(Y[:4])
    with pytest.raises(ValueError):
        model.update(Y[:3])
    pd.testing.assert_series_equal(model.predict(3), expected)


@each
def test_data_are_not_changed_and_not_kept(name):
    long = pd.Series(np.random.RandomState(0).randn(5000), name="y")
    kept = long.copy()
    small = len(pickle.dumps(fresh(name).fit(long[:2500])))
    size = len(pickle.dumps(fresh(name).fit(long)))
    pd.testing.assert_series_equal(long, kept)
    assert size < small + 5000


@each
def test_missing_values(name):
    y = Y.copy()
    y.iloc[[30, 31, 149]] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fresh(name).fit(y)
    filled = fresh(name, missing="ffill").fit(y[:150]).predict(3)
    assert_allclose(filled, fresh(name).fit(y[:150].ffill()).predict(3))


@each
def test_constant_series_stay_constant(name):
    flat = pd.Series(7.0, index=INDEX[:60], name="y")
    with pytest.warns(ConstantTargetWarning) if name != "weighted" else pytest.warns():
        forecast = fresh(name).fit(flat).predict(5)
    assert_allclose(forecast, 7.0)


def test_a_loop_that_runs_off_is_held_and_says_so():
    y = 1.05 ** np.arange(60)
    model = MarkovForecaster(1, alpha=0.0, transforms=["standardize"]).fit(y)
    with pytest.warns(ForecastDivergenceWarning, match="training range"):
        forecast = model.predict(100)
    assert forecast[-1] == pytest.approx(y.max() + np.ptp(y))


def test_a_chosen_penalty_is_raised_until_the_loop_is_calm():
    rng = np.random.RandomState(3)
    y = np.sin(0.3 * np.arange(400)) + 0.05 * rng.randn(400)
    model = NVARForecaster(6, degree=3, transforms=["standardize"]).fit(y)
    assert np.abs(model.predict(200)).max() < 1.5 * np.abs(y).max()


@each
def test_bootstrap_intervals_cover(name):
    rng = np.random.RandomState(1)
    inside = []
    for seed in range(25):
        e = rng.randn(150)
        y = np.zeros(150)
        for t in range(1, 150):
            y[t] = 0.7 * y[t - 1] + e[t]
        params = {"transforms": ["standardize"]}
        if name in ("ensemble", "weighted"):
            params = {"forecasters": [MarkovForecaster(1), MarkovForecaster(2)]}
        model = fresh(name, **params, random_state=seed).fit(y[:140])
        frame = model.predict(4, level=80)
        inside.append((frame["lo-80"] < y[140:144]) & (y[140:144] < frame["hi-80"]))
    # 25 series of 4 dependent steps: 0.8 with a standard error of some 0.06
    assert 0.62 <= np.mean(inside) <= 0.95


def test_horizons_beyond_the_one_learnt_go_on_from_the_forecast():
    for name in ("direct", "multi"):
        model = fresh(name, transforms=["standardize"]).fit(Y[:140])
        far = model.predict(11)
        assert_array_equal(model.predict(4), far[:4])
        known = pd.concat([Y[:140], far[:4]]).rename("y").asfreq("MS")
        assert_allclose(model.apply(known).predict(4), far[4:8], rtol=1e-9)


masking = pytest.mark.parametrize("name", [n for n in MODELS if n not in ("ensemble", "weighted")])
HOLES = Y.copy()
HOLES.iloc[[0, 1, 40, 41, 77, 139]] = np.nan


@masking
def test_masked_values_are_forecast_and_not_learnt(name):
    model = fresh(name, missing="mask").fit(HOLES[:140])
    whole = fresh(name).fit(Y[:140])
    spread = whole.residuals().std()
    assert np.abs(model.predict(3) - whole.predict(3)).max() < 2 * spread
    kept = model.residuals()
    assert kept[HOLES[:140].isna()].isna().all()
    assert kept.notna().sum() > 40
    assert fresh(name, missing="mask").fit(Y[:140]).predict(3).equals(whole.predict(3))


@masking
def test_masked_updates_equal_apply(name):
    model = fresh(name, missing="mask").fit(HOLES[:70])
    parts = model.apply(HOLES[:70]).update(HOLES[70:79]).update(HOLES[79:150])
    applied = model.apply(HOLES[:150])
    assert_allclose(parts.predict(5), applied.predict(5), rtol=1e-9)
    assert_allclose(parts.residuals()[-60:], applied.residuals()[-60:], atol=1e-9)


def test_masked_rows_teach_nothing_by_hand():
    y = HOLES[:140].to_numpy()[2:]
    model = MarkovForecaster(1, alpha=0.0, transforms=[], missing="mask").fit(y)
    past = y[:-1].copy()
    for t in np.flatnonzero(np.isnan(past)):  # its own predictions stand among the lags
        past[t] = model.intercept_[0] + model.coef_[0, 0] * past[t - 1]
    seen = ~np.isnan(y[1:])
    slope, start = np.polyfit(past[seen], y[1:][seen], 1)
    # the predictions are those of the model learnt before, which two rounds bring close
    assert_allclose([model.coef_[0, 0], model.intercept_[0]], [slope, start], rtol=1e-3)


@pytest.mark.parametrize("strategy", ["recursive", "multi_output"])
def test_masked_refits_leave_the_same_rows_out(strategy):
    settings = {"strategy": strategy, "horizon": 3, "transforms": [], "missing": "mask"}
    net = NVARRegressor(1, degree=1, alpha=1e-3, increments=False)
    y = Y.copy()
    y.iloc[[118, 119, 125]] = 1e6  # to be seen if they were learnt
    y.iloc[[118, 119, 125]] = np.nan
    model = ReservoirForecaster(net, lags=2, **settings).fit(y[:120])
    counts = [model.regressor_._fit_factor.n_samples]
    model.update(y[120:], refit=True)
    counts.append(model.regressor_._fit_factor.n_samples)
    # rows with complete lags, less those of which a target is missing
    width = 1 if strategy == "recursive" else 3
    known = y.notna().to_numpy()
    usable = [all(known[t - k] for k in range(width)) for t in range(1 + width, 160)]
    assert counts == [sum(usable[: 120 - 1 - width]), sum(usable)]


def test_intervals_of_direct_forecasts_where_no_origin_has_all_steps():
    y = NOISE[:, 0].copy()
    y[5::12] = np.nan
    model = ReservoirForecaster(
        Ridge(), lags=2, strategy="direct", horizon=12, transforms=[], missing="mask"
    )
    bands = model.set_params(random_state=0, n_boot=500).fit(y).predict(12, level=80)
    half = (bands["hi-80"] - bands["lo-80"]) / 2
    assert_allclose(half.mean(), 1.28, rtol=0.2)  # of a standard normal distribution
    late = np.r_[np.arange(4.0), np.full(60, np.nan), np.arange(8.0)]
    with pytest.raises(ValueError, match="Too few rows of `y` were observed for intervals"):
        model.fit(late).predict(12, level=80)


def test_masks_need_weights_where_rows_have_a_memory():
    states = make_pipeline(ReservoirTransformer(10, random_state=0), Ridge())
    model = ReservoirForecaster(states, missing="mask", random_state=0).fit(HOLES)
    assert np.isfinite(model.predict(3)).all()


@masking
def test_adaptive_intervals_widen_where_they_are_missed(name):
    model = fresh(name, interval="adaptive").fit(Y[:120])
    same = fresh(name, interval="conformal").fit(Y[:120])
    pd.testing.assert_frame_equal(model.predict(3, level=80), same.predict(3, level=80))
    loud = Y[120:].copy()
    loud.iloc[10:] += 15 * np.random.RandomState(5).randn(30)
    frame, before = model.update(loud).predict(1, level=80), same.predict(1, level=80)
    assert (frame["hi-80"] - frame["lo-80"]).iloc[0] > 1.2 * (
        before["hi-80"] - before["lo-80"]
    ).iloc[0]
