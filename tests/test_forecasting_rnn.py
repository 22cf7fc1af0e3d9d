"""Forecasts by trained networks, against loops over the same weights and against each other."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtri

from echocast.exceptions import EchocastWarning, ForecastDivergenceWarning, InvalidParameterError
from echocast.forecasting import ForecastSearchCV, ReservoirForecaster, RNNForecaster, backtest
from echocast.forecasting._intervals import joint_draws
from echocast.forecasting._pool_errors import enough_errors
from echocast.forecasting._rnn_steps import RowView, between
from echocast.reservoir import RNNRegressor, run_from

N = 96
INDEX = pd.date_range("2010-01-01", periods=N + 12, freq="MS", name="month")
RNG = np.random.RandomState(0)
WAVE = np.sin(2 * np.pi * np.arange(N + 12) / 12)
WHOLE = pd.Series(50 + 8 * WAVE + RNG.randn(N + 12), index=INDEX, name="y")
Y, LATER = WHOLE.iloc[:N], WHOLE.iloc[N:]
X = pd.DataFrame({"x": RNG.randn(N + 12), "z": RNG.randn(N + 12)}, index=INDEX)
PANEL = pd.concat(
    {"b": Y, "a": 300 * Y + RNG.randn(N), "c": 10 + (Y.iloc[20:] / 20) ** 2}, names=["id", "month"]
)
SMALL = {"hidden_layer_sizes": 4, "max_iter": 15, "n_members": 1, "random_state": 0}
PLAIN = {**SMALL, "transforms": ["standardize"], "dtype": "float64", "include_input": False}
STRATEGIES = ("recursive", "direct")


def make(strategy="recursive", **settings):
    horizon = {"horizon": 4} if strategy == "direct" else {}
    return RNNForecaster(strategy=strategy, **{**SMALL, **horizon, **settings})


# ---------------------------------------------------------------- oracles


def gru_outputs(params, rows, h):
    """Outputs of one GRU layer over rows, and its last state; PyTorch's formula."""
    n, outputs = len(h), []
    for x in rows:
        drive = params["layers.0.W_in"] @ x + params["layers.0.b"]
        own = params["layers.0.W"] @ h
        r, z = expit(drive[:n] + own[:n]), expit(drive[n : 2 * n] + own[n : 2 * n])
        new = np.tanh(drive[2 * n :] + r * (own[2 * n :] + params["layers.0.b_n"]))
        h = (1 - z) * new + z * h
        outputs.append(params["out.W"] @ h + params["out.b"])
    return np.array(outputs), h


def test_recursive_forecasts_are_a_loop_over_the_weights():
    model = RNNForecaster(lags=2, **PLAIN).fit(Y)
    z = (Y.to_numpy() - Y.mean()) / Y.std(ddof=0)
    params = model.regressors_[0].params_
    rows = np.stack([z[1:-1], z[:-2]], axis=1)
    fitted, h = gru_outputs(params, rows, np.zeros(4))
    known = np.r_[Y.iloc[:2] * np.nan, fitted[:, 0]] * Y.std(ddof=0) + Y.mean()
    np.testing.assert_allclose(model.fitted_values(Y)[2:], known[2:], rtol=1e-9)
    path = list(z)
    for _ in range(6):
        out, h = gru_outputs(params, [np.array([path[-1], path[-2]])], h)
        path.append(out[0, 0])
    expected = np.array(path[N:]) * Y.std(ddof=0) + Y.mean()
    np.testing.assert_allclose(model.predict(6), expected, rtol=1e-9)


def test_direct_forecasts_are_one_output_relative_to_the_last_value():
    model = RNNForecaster(strategy="direct", horizon=3, lags=2, **PLAIN).fit(Y)
    change = np.abs(np.diff((Y - Y.mean()) / Y.std(ddof=0))).mean() * Y.std(ddof=0)
    z = Y.to_numpy() / change
    rows = (z[:-1] - z[1:])[:, None]  # the older value as seen from the newest
    outputs, _ = gru_outputs(model.regressors_[0].params_, rows, np.zeros(4))
    np.testing.assert_allclose(model.predict(3), (z[-1] + outputs[-1]) * change, rtol=1e-9)
    np.testing.assert_allclose(
        outputs, model.regressors_[0].predict(rows), rtol=1e-9
    )  # the same state as from the start


def test_outputs_may_be_relative_to_the_last_season():
    view = RowView(n_columns=2, lags=(1, 2, 3, 5), width=5, season=3)
    rows = np.arange(8.0)[None]  # both columns at lags 1, 2, 3 and 5
    # steps 1, 2, 3 repeat lags 3, 2, 1; steps 4 and 5 the same once more
    expected = [4, 5, 2, 3, 0, 1, 4, 5, 2, 3]
    np.testing.assert_array_equal(view.reference(rows)[0], expected)
    np.testing.assert_array_equal(view.inputs(rows)[0], [2, 2, 4, 4, 6, 6])


def test_strong_seasons_are_left_to_the_reference():
    n = 12 * 15
    season = 5 * np.sin(2 * np.pi * np.arange(n) / 12) + 0.1 * np.random.RandomState(0).randn(n)
    model = RNNForecaster(strategy="direct", season_length=12, **{**SMALL, "max_iter": 0})
    model.fit(season)
    assert set(range(1, 13)) <= set(model.lags_)
    network = model.regressors_[0]
    network.params_["out.W"][:] = 0
    network.params_["out.b"][:] = 0
    np.testing.assert_allclose(model.predict(24), np.tile(season[-12:], 2), rtol=1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_steps_beyond_the_horizon_continue_from_the_forecasts(strategy):
    model = make(strategy).fit(Y)
    whole = model.predict(8)
    rest = model.update(whole.iloc[:4]).predict(4)
    np.testing.assert_allclose(rest, whole.iloc[4:], rtol=1e-5)


# ----------------------------------------------------- history, update, panels


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("form", ["series", "system", "array", "panel", "pool"])
def test_update_equals_apply(strategy, form):
    model = make(strategy)
    if form == "series":
        parts = WHOLE[:80], WHOLE[80:N], Y
    elif form == "array":
        parts = WHOLE.to_numpy()[:80], WHOLE.to_numpy()[80:N], WHOLE.to_numpy()[:N]
    elif form == "system":
        wide = pd.DataFrame({"a": WHOLE, "b": WHOLE.shift(1).bfill() ** 2})
        parts = wide[:80], wide[80:N], wide[:N]
    else:
        model.set_params(pooling="global" if form == "pool" else "local")
        time = PANEL.index.get_level_values(1)
        parts = PANEL[time < INDEX[80]], PANEL[time >= INDEX[80]], PANEL
    model.fit(parts[0])
    moved = model.apply(parts[2])
    model.update(parts[1])
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(model.predict(6), moved.predict(6), **close)
    assert type(model.predict(2)) is type(parts[0])
    assert len(model.sample(2, n_samples=3)) == (2 if form not in ("panel", "pool") else 6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_pool_knows_no_order_no_labels_and_takes_new_series(strategy):
    model = make(strategy, pooling="global").fit(PANEL)
    forecast = model.predict(5)
    backwards = pd.concat([PANEL.loc[[k]] for k in ("c", "a", "b")])
    again = make(strategy, pooling="global").fit(backwards).predict(5)
    pd.testing.assert_series_equal(again.loc[["b", "a", "c"]], forecast, check_exact=True)
    names = {"a": "q", "b": "p", "c": "r"}
    renamed = make(strategy, pooling="global").fit(PANEL.rename(names, level=0)).predict(5)
    np.testing.assert_array_equal(renamed, forecast)
    new = pd.concat({"new": 7 * Y, "a": PANEL.loc["a"]}, names=["id", "month"])
    moved = model.apply(new).predict(5)
    np.testing.assert_allclose(moved.loc["a"], forecast.loc["a"], rtol=1e-6)
    np.testing.assert_allclose(moved.loc["new"], 7 * forecast.loc["b"], rtol=1e-3)
    one = model.members_["b"]
    assert one.regressors_[0] is model.members_["a"].regressors_[0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_static_columns_tell_series_apart(strategy):
    static = pd.DataFrame({"kind": [0.0, 1.0, 5.0]}, index=["a", "b", "c"])
    model = make(strategy, pooling="global").fit(PANEL, static=static)
    before = model.predict(3)
    np.testing.assert_allclose(model.apply(PANEL).predict(3), before, rtol=1e-6)
    moved = model.apply(PANEL, static=static.assign(kind=[5.0, 1.0, 5.0])).predict(3)
    assert not np.allclose(moved.loc["a"], before.loc["a"], rtol=1e-6)
    np.testing.assert_allclose(moved.loc["b"], before.loc["b"], rtol=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_refits_train_on_new_rows_and_leave_the_old_forecaster_alone(strategy):
    model = make(strategy).fit(Y)
    old = model.apply(Y)
    theta = model.regressors_[0].theta_.copy()
    model.update(LATER, refit=True)
    assert not np.array_equal(model.regressors_[0].theta_, theta)
    np.testing.assert_array_equal(old.regressors_[0].theta_, theta)
    pool = make(strategy, pooling="global").fit(PANEL)
    theta = pool.members_["a"].regressors_[0].theta_
    later = pd.concat({"b": LATER}, names=["id", "month"])
    pool.update(later, refit=True)
    a, b = (pool.members_[k].regressors_[0].theta_ for k in "ab")
    assert a is b
    assert not np.array_equal(a, theta)


def test_a_refit_starts_from_the_state_it_is_given():
    rnn = RNNRegressor(hidden_layer_sizes=3, max_iter=2, random_state=0)
    u = RNG.randn(60, 1)
    rnn.fit(u[:40], u[1:41])
    from echocast.reservoir import continue_fit

    _, state = run_from(rnn, u[None, :40])
    at = continue_fit(rnn, u[40:59], u[41:60], state=state)
    zero = continue_fit(rnn, u[40:59], u[41:60], state=0 * state)
    assert not np.array_equal(at.theta_, zero.theta_)
    both = continue_fit(
        rnn, [u[40:59], u[20:30]], [u[41:60], u[21:31]], state=np.repeat(state, 2, axis=0),
        sample_weight=[np.ones(19), np.zeros(10)],
    )  # fmt: skip
    np.testing.assert_allclose(both.theta_, at.theta_, rtol=1e-5, atol=1e-7)


# ------------------------------------------------------------------- intervals


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("interval", ["bootstrap", "conformal", "adaptive", "model"])
@pytest.mark.parametrize("pooling", ["local", "global"])
def test_intervals_are_ordered_and_around_the_forecast(strategy, interval, pooling):
    loss = "gaussian" if interval == "model" else "squared_error"
    model = make(strategy, interval=interval, loss=loss, pooling=pooling, n_boot=100).fit(PANEL)
    bands = model.predict(3, level=[50, 90], quantiles=0.5)
    columns = ["lo-90", "lo-50", "q-0.5", "hi-50", "hi-90"]
    assert (np.diff(bands[columns].to_numpy(), axis=1) >= 0).all()
    pd.testing.assert_frame_equal(model.predict(3, level=[50, 90], quantiles=0.5), bands)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_gaussian_head_covers_as_it_says(strategy):
    """First-order autoregressions with innovations of one size: 80 per cent of new rows inside."""
    rng = np.random.RandomState(1)
    series = {}
    for k in range(30):
        y = np.zeros(160)
        for t in range(1, 160):
            y[t] = 0.7 * y[t - 1] + rng.randn()
        series[k] = pd.Series(y)
    panel = pd.concat(series, names=["id", "t"])
    first, time = panel.index.get_level_values(1) < 156, panel.index.get_level_values(1)
    model = RNNForecaster(
        strategy=strategy, pooling="global", loss="gaussian", interval="model", max_iter=250,
        hidden_layer_sizes=8, transforms=["standardize"], random_state=0, n_boot=300,
        **({"horizon": 4} if strategy == "direct" else {}),
    ).fit(panel[first])  # fmt: skip
    bands, truth = model.predict(4, level=80), panel[time >= 156]
    inside = (bands["lo-80"] <= truth) & (truth <= bands["hi-80"])
    assert 0.68 <= inside.mean() <= 0.92  # 120 dependent rows: three standard errors
    width = (bands["hi-80"] - bands["lo-80"]).groupby(level=0).mean()
    assert 2.0 < width.median() < 4.5  # 2.56 for the first step, 3.6 far ahead


def walks(n_series, n_rows, seed=0):
    steps = np.random.RandomState(seed).randn(n_rows, n_series).cumsum(axis=0)
    return pd.concat({k: pd.Series(steps[:, k]) for k in range(n_series)}, names=["id", "t"])


def test_short_series_of_a_pool_draw_from_the_errors_of_all():
    """Each has 8 errors of 6 steps that overlap; of these alone intervals cover 0.62 and 0.62."""
    panel = walks(100, 30)
    time = panel.index.get_level_values(1)
    model = make("direct", horizon=6, pooling="global", season_length=1, max_iter=60)
    bands, truth = model.fit(panel[time < 24]).predict(6, level=[80, 95]), panel[time >= 24]
    covered = [((bands[f"lo-{q}"] <= truth) & (truth <= bands[f"hi-{q}"])).mean() for q in (80, 95)]
    assert 0.7 <= covered[0] <= 0.9  # 100 independent paths: two standard errors
    assert covered[1] > 0.86


def test_draws_of_joint_errors_are_as_wide_as_the_errors():
    errors = np.random.RandomState(0).randn(8, 3) + 2  # a bias is an error, too
    drawn = joint_draws(errors, 3, 5, 20_000, np.random.RandomState(0))
    assert drawn.shape == (5, 1, 20_000)
    np.testing.assert_allclose(drawn.mean(axis=2), 0, atol=0.1)
    # mirror images, and Student's distribution with four degrees of freedom
    expected = np.tile(2 * (errors**2).mean(axis=0), 2)[:5]
    np.testing.assert_allclose(drawn[:, 0].var(axis=1), expected, rtol=0.25)


def test_errors_of_a_pool_take_the_size_of_those_of_a_series():
    shared = np.random.RandomState(0).randn(500, 2)
    chosen, factor = enough_errors(3 * shared[:20], shared, 2)
    assert chosen is shared
    assert 2 < factor < 3
    assert enough_errors(shared[:0], shared, 2)[1] == 1
    own, factor = enough_errors(shared[:40], shared, 2)
    assert (len(own), factor) == (40, 1.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("interval", ["bootstrap", "conformal", "adaptive"])
def test_intervals_of_new_series_know_their_scale_and_no_labels(strategy, interval):
    big = make(strategy, pooling="global", interval=interval)
    first = big.fit(PANEL.rename({"a": "x"}, level=0))  # which then is the last one
    new = pd.concat({"new": 7 * Y}, names=["id", "month"])
    bands = first.apply(new).predict(3, level=80)
    assert (bands["hi-80"] - bands["lo-80"]).max() < 0.5 * np.ptp(new)
    other = make(strategy, pooling="global", interval=interval).fit(PANEL)
    pd.testing.assert_frame_equal(other.apply(new).predict(3, level=80), bands)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_refits_of_a_pool_know_no_order(strategy):
    time = PANEL.index.get_level_values(1)
    old, new = PANEL[time < INDEX[80]], PANEL[time >= INDEX[80]]
    model = make(strategy, pooling="global", batch_size=2).fit(old)
    again = pickle.loads(pickle.dumps(model))
    backwards = pd.concat([new.loc[[k]] for k in ("c", "b", "a")])
    forecast = model.update(new, refit=True).predict(3)
    pd.testing.assert_series_equal(again.update(backwards, refit=True).predict(3), forecast)


def test_direct_quantiles_are_those_of_the_head():
    model = make("direct", loss="gaussian", interval="model", transforms=["standardize"]).fit(Y)
    bands = model.predict(4, level=80, quantiles=[0.3])
    z = ndtri(0.9)
    spread = (bands["hi-80"] - bands["y"]) / z
    np.testing.assert_allclose(bands["y"] + spread * ndtri(0.3), bands["q-0.3"], rtol=1e-6)
    paths = model.sample(4, n_samples=4000, random_state=0)
    np.testing.assert_allclose(paths.std(axis=1), spread, rtol=0.1)
    np.testing.assert_allclose(paths.mean(axis=1), bands["y"], atol=0.1 * spread.max())


def test_quantiles_between_those_learnt_lie_on_normal_lines():
    levels = [0.1, 0.5, 0.9]
    normal = 3 + 2 * ndtri(levels)
    wanted = np.array([0.01, 0.2, 0.5, 0.95])
    found = between(np.tile(normal, (4, 1)), levels, wanted)
    np.testing.assert_allclose(found, 3 + 2 * ndtri(wanted))


@pytest.mark.parametrize("loss", ["pinball", "student_t"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_other_heads_give_quantiles_beyond_the_horizon_too(loss, strategy):
    model = make(strategy, loss=loss, interval="model", n_boot=50).fit(Y)
    bands = model.predict(9, level=[50, 80])
    assert (np.diff(bands[["lo-80", "lo-50", "hi-50", "hi-80"]].to_numpy(), axis=1) >= 0).all()
    assert np.isfinite(bands.to_numpy()).all()


def test_residuals_are_errors_of_rows_that_were_not_learnt():
    """A network that learns noise by heart has small errors in the fit, and honest residuals."""
    noise = np.random.RandomState(0).randn(90)
    model = RNNForecaster(
        hidden_layer_sizes=24, max_iter=400, learning_rate_init=1e-2, random_state=0,
        transforms=["standardize"],
    ).fit(noise)  # fmt: skip
    fitted = model.fitted_values(noise)
    assert np.nanstd(noise - fitted) < 0.6 * noise.std()
    assert model.residuals().std() > 0.8 * noise.std()


# ------------------------------------------------------------- known columns, NaN


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_known_columns_are_found_by_label(strategy):
    y = Y + 5 * X["x"].iloc[:N]
    model = make(strategy, calendar="auto", past_columns=["z"]).fit(y, X)
    forecast = model.predict(4, X)
    before = pd.DataFrame(9.0, index=INDEX[:3] - pd.DateOffset(months=3), columns=["x", "z"])
    more = pd.concat([before, X])[["z", "x"]]
    again = make(strategy, calendar="auto", past_columns=["z"]).fit(y, more)
    pd.testing.assert_series_equal(again.predict(4, more), forecast)
    other = X.copy()
    other.loc[INDEX[N], "x"] += 1
    assert model.predict(4, other).iloc[0] != forecast.iloc[0]
    pooled = make(strategy, pooling="global").fit(PANEL, X[["x"]])
    assert np.isfinite(pooled.predict(3, X[["x"]])).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("pooling", ["local", "global"])
def test_missing_values_take_the_place_of_predictions(strategy, pooling):
    gaps = PANEL.copy()
    gaps.iloc[[0, 30, 31, 32, N + 40]] = np.nan
    model = make(strategy, missing="mask", pooling=pooling).fit(gaps)
    assert np.isfinite(model.predict(5)).all()
    assert model.residuals().notna().any()
    later = LATER.copy()
    later.iloc[1] = np.nan
    model.update(pd.concat({"b": later}, names=["id", "month"]), refit=True)
    assert np.isfinite(model.predict(5, level=80).to_numpy()).all()


# ---------------------------------------------------------------- the rest of it


def test_pickles_searches_and_backtests():
    model = make("direct", loss="pinball", interval="model").fit(Y)
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(again.predict(6, level=80), model.predict(6, level=80))
    result = backtest(make(), Y, horizon=4, n_windows=3, refit=False, level=80)
    assert np.isfinite(result.forecasts["forecast"]).all()
    space = {"hidden_layer_sizes": [2, (2, 2)], "cell": ["tanh", "lstm"]}
    search = ForecastSearchCV(make(max_iter=3), space, horizon=3, cv=2).fit(Y)
    assert len(search.cv_results_["params"]) == 4


def test_members_are_averaged():
    model = make(n_members=3).fit(Y)
    assert len(model.regressors_) == 3
    assert len({r.theta_.tobytes() for r in model.regressors_}) == 3
    rows = np.zeros((1, 5, 1))
    parts = [run_from(r, rows)[0] for r in model.regressors_]
    steps = model._fit_model.models[0]
    np.testing.assert_allclose(steps.run(rows, None)[0], np.mean(parts, axis=0), rtol=1e-6)


def test_scheduled_sampling_trains_another_network():
    forced = make().fit(Y)
    free = make(teacher_forcing="scheduled", calendar="auto").fit(Y)
    assert np.isfinite(free.predict(12)).all()
    assert not np.allclose(forced.predict(3), free.predict(3), rtol=1e-3)


def test_a_forecast_that_runs_off_is_held_and_says_so():
    model = make(transforms=["standardize"]).fit(Y)
    model.regressors_[0].params_["out.b"][:] = 100
    with pytest.warns(ForecastDivergenceWarning, match="is held there"):
        forecast = model.predict(3)
    np.testing.assert_allclose(forecast, 2 * Y.max() - Y.min(), rtol=1e-6)


def test_the_reservoir_forecaster_carries_the_state_of_a_trained_network():
    rnn = RNNRegressor(hidden_layer_sizes=4, cell="gru", max_iter=3, dtype="float64")
    model = ReservoirForecaster(rnn, random_state=0).fit(Y[:80])
    moved = model.apply(Y)
    model.update(Y[80:])
    np.testing.assert_allclose(model.predict(5), moved.predict(5), rtol=1e-9)
    theta = model.regressor_.theta_
    assert not np.array_equal(model.update(LATER, refit=True).regressor_.theta_, theta)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"strategy": "both"}, "'strategy' parameter of RNNForecaster"),
        ({"cell": "transformer"}, "'cell' parameter"),
        ({"max_iter": -1}, "'max_iter' parameter of RNNForecaster"),
        ({"interval": "model"}, "'interval' parameter .* unless `loss` is"),
        ({"interval": "model", "loss": "pinball", "quantile": 0.5}, "several levels"),
        ({"strategy": "direct", "teacher_forcing": 0.5}, "direct forecasts feed nothing back"),
        ({"weight_init": 3}, "'weight_init' parameter of RNNForecaster"),
        ({"hidden_layer_sizes": (4, 0)}, "'hidden_layer_sizes' parameter of RNNForecaster"),
        ({"hidden_layer_sizes": ()}, "'hidden_layer_sizes' parameter of RNNForecaster"),
        ({"include_input": "yes"}, "'include_input' parameter of RNNForecaster"),
        ({"teacher_forcing": "x"}, "'teacher_forcing' parameter of RNNForecaster"),
        ({"teacher_forcing": 2}, "'teacher_forcing' parameter of RNNForecaster"),
        ({"quantile": [0.1, 1.0]}, "'quantile' parameter of RNNForecaster"),
        ({"learning_rate": 0.1}, "'learning_rate' parameter of RNNForecaster"),
        ({"early_stopping": None}, "'early_stopping' parameter of RNNForecaster"),
        ({"validation_fraction": 1}, "'validation_fraction' parameter of RNNForecaster"),
        ({"max_norm": 0}, "'max_norm' parameter of RNNForecaster"),
        ({"bptt_steps": "x"}, "'bptt_steps' parameter of RNNForecaster"),
        ({"n_members": 0}, "'n_members' parameter"),
        ({"pooling": "some"}, "'pooling' parameter"),
        ({"n_jobs": 0}, "'n_jobs' parameter of RNNForecaster"),
    ],
)
def test_forbidden_parameters(settings, text):
    with pytest.raises(InvalidParameterError, match=text):
        RNNForecaster(**settings).fit(Y)


def test_early_stopping_left_to_itself_goes_with_any_solver():
    pool = pd.concat({k: Y.iloc[:20] + k for k in range(20)}, names=["id", "month"])
    model = make(pooling="global", solver="lbfgs", max_iter=2).fit(pool)
    assert np.isfinite(model.predict(2)).all()


def test_one_network_more_measures_errors_and_only_once(monkeypatch):
    fits = []
    fit = RNNRegressor.fit

    def counted(self, X, y, **settings):
        fits.append(np.sum([len(rows) for rows in X]))
        return fit(self, X, y, **settings)

    monkeypatch.setattr(RNNRegressor, "fit", counted)
    make(n_members=2).fit(Y)
    assert fits == [N - 1, N - 1, int(2 / 3 * (N - 1))]
    fits.clear()
    make(interval="conformal").fit(Y)
    assert len(fits) == 3  # the last one knows the rows before all calibration forecasts
    fits.clear()
    gaps = Y.copy()
    gaps.iloc[[30, 60]] = np.nan
    make(missing="mask").fit(gaps)
    assert len(fits) == 4  # gaps are filled by the network before: learnt anew twice


def test_series_that_are_too_short_say_what_to_do():
    with pytest.raises(ValueError, match="Use smaller `lags` or `horizon`"):
        RNNForecaster(strategy="direct", horizon=30, lags=12).fit(Y[:40])
    with pytest.raises(ValueError, match="must be greater than the window needed"):
        make().fit(Y).apply(Y[:1])
    pool = pd.concat({"a": Y, "b": Y[:5]}, names=["id", "month"])
    with pytest.raises(ValueError, match=r"the shortest series \(5\) .*`apply` to it later"):
        make("direct", pooling="global", lags=4).fit(pool)


def test_a_short_series_that_takes_steps_from_a_pool_is_named():
    pool = pd.concat({"a": Y, "b": Y, "c": Y[:20]}, names=["id", "month"])
    settings = {"pooling": "global", "lags": 4, "max_iter": 1, "horizon": None}
    with pytest.warns(EchocastWarning, match=r"\(20 rows\) leaves `horizon` 12 instead of 24"):
        model = make("direct", **settings).fit(pool)
    assert model.members_["a"].horizon_ == 12
    make("direct", **settings | {"horizon": 12}).fit(pool)  # no warning of what was asked for
