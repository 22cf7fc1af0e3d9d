"""All windows from one pass of states, against a fit of its own at each origin."""

import copy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import Ridge

from echocast.forecasting import ESNForecaster, NaiveForecaster, ReservoirForecaster, backtest

N = 260
DAYS = pd.date_range("2023-01-02", periods=N, freq="D")
RNG = np.random.RandomState(0)
X = pd.DataFrame(
    {"offer": RNG.randint(0, 2, N).astype(float), "price": RNG.randn(N).cumsum()}, index=DAYS
)
Y = pd.Series(
    20 + 4 * np.sin(2 * np.pi * np.arange(N) / 7) + 3 * X["offer"] + RNG.randn(N).cumsum(),
    index=DAYS,
    name="y",
)
WIDE = pd.DataFrame({"a": Y, "b": 30 - 0.5 * Y + RNG.randn(N)})
PLACES = {"horizon": 6, "n_windows": 7, "step": 5}


def esn(**changes):
    settings = {"n_units": 30, "lags": 8, "random_state": 0} | changes
    return ESNForecaster(**settings)


class Plain(ESNForecaster):
    """The same forecaster without its fast path."""

    def _backtest_forecasts(self, values, exog, origins, levels):
        return None


def plain(model):
    return Plain(**model.get_params(deep=False))


def fresh_fits(model, y, X, windows, n_steps, level=None):
    """Point forecasts and bands of a new network at each origin, everything else as at first."""
    first = windows[0].stop
    model = clone(model).fit(y.iloc[:first], None if X is None else X.iloc[:first])
    network = model._fit_network
    values = y.to_numpy(dtype=float).reshape(len(y), -1)
    exog = np.empty((len(y), 0)) if X is None else X.to_numpy()
    frames = []
    for window in windows:
        rows = slice(window.start, window.stop)
        Z = network.chain.forward(values[rows], window.start)
        inputs = network._inputs(Z, network._features(exog[rows]))
        new = copy.copy(network)
        new.esn = clone(network.esn).set_params(alpha=network.esn.alpha_, solver="qr")
        new.esn.fit(inputs, Z[1:])
        new.low, new.high = Z.min(axis=0), Z.max(axis=0)
        own = copy.copy(model)
        own._fit_network = new
        own._fit_memory = new.start(values[rows], exog[rows], window.start, new.esn.state_)
        if level:
            own._fit_errors = new.errors(values[rows], exog[rows])[0]
        own._fit_axis = model._fit_axis.ending(y.index[window.stop - 1])
        future = None if X is None else X.iloc[window.stop : window.last]
        frame = own.predict(n_steps, future, level=level)
        frames.append(np.asarray(frame).reshape(n_steps, -1)[window.first - window.stop :])
    return np.concatenate(frames)


def windows_of(result):
    """The windows that a result came from, by its cutoffs."""
    from echocast.forecasting._windows import plan_windows

    names = ("horizon", "step", "window", "gap")
    settings = {name: result.settings[name] for name in names}
    n_windows = result.scores["cutoff"].nunique()
    return plan_windows(DAYS, n_windows=n_windows, initial=None, **settings)


CASES = {
    "as it comes": {},
    "differences": {"transforms": ["seasonal_difference", "difference", "standardize"]},
    "given penalty": {"alpha": 1e-3},
    "no intercept, states alone": {"fit_intercept": False, "include_input": False},
    "tiny penalty": {"alpha": 1e-9},
}


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("case", CASES)
def test_forecasts_are_those_of_new_fits_with_the_first_windows_transforms(case, gap):
    model = esn(**CASES[case])
    result = backtest(model, Y, scaler="first_window", gap=gap, **PLACES)
    assert (result.settings["path"], result.settings["scaler"]) == ("fast", "first_window")
    expected = fresh_fits(model, Y, None, windows_of(result), 6 + gap)
    assert_allclose(result.forecasts["forecast"], expected[:, 0], rtol=1e-9, atol=1e-9)
    refitted = backtest(model, Y, gap=gap, **PLACES)
    assert refitted.settings["scaler"] == "refit"
    assert not np.allclose(refitted.forecasts["forecast"], expected[:, 0], rtol=1e-9)


def test_with_exogenous_columns_and_several_variables():
    result = backtest(esn(), WIDE, X, scaler="first_window", **PLACES)
    expected = fresh_fits(esn(), WIDE, X, windows_of(result), 6)
    found = result.forecasts.pivot_table(
        index=["cutoff", "time"], columns="variable", values="forecast"
    )
    assert_allclose(found.to_numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("transforms", [["standardize"], ["difference", "standardize"]])
def test_intervals_are_those_of_new_fits(transforms):
    model = esn(transforms=transforms, n_boot=50)
    result = backtest(model, Y, X, scaler="first_window", level=[80, 95], **PLACES)
    expected = fresh_fits(model, Y, X, windows_of(result), 6, level=[80, 95])
    columns = ["forecast", "lo-80", "hi-80", "lo-95", "hi-95"]
    assert_allclose(result.forecasts[columns], expected, rtol=1e-8, atol=1e-8)


def test_sliding_windows_learn_from_their_rows_alone():
    model = esn(transforms=["standardize"], washout=60)  # long enough to forget the first state
    places = PLACES | {"window": "sliding", "step": 11}
    result = backtest(model, Y, scaler="first_window", level=80, **places)
    assert result.settings["path"] == "fast"
    expected = fresh_fits(model, Y, None, windows_of(result), 6, level=80)
    assert_allclose(result.forecasts[["forecast", "lo-80", "hi-80"]], expected, rtol=1e-7)


MODES = {
    "frozen": {"refit": False},
    "frozen, sliding": {"refit": False, "window": "sliding"},
    "frozen, first window": {"refit": False, "scaler": "first_window"},
    "each third": {"refit": 3, "scaler": "first_window"},
    "each": {"scaler": "first_window"},
    "new fits at each third": {"refit": 3},
    "new fits at each third, sliding": {"refit": 3, "window": "sliding", "gap": 2},
}


@pytest.mark.parametrize("mode", MODES)
def test_the_fast_path_is_the_loop_of_updates(mode):
    model = esn(fourier={30.5: 1}, calendar=["day_of_week"])
    fast = backtest(model, Y, X, **PLACES, **MODES[mode])
    slow = backtest(plain(model), Y, X, **PLACES, **MODES[mode])
    assert slow.settings["path"] == "loop"
    assert fast.settings["path"] == ("mixed" if "new" in mode else "fast")
    pd.testing.assert_frame_equal(fast.forecasts, slow.forecasts, rtol=1e-9, atol=1e-9)
    names = ["cutoff", "mase", "rmsse", "smape"]
    pd.testing.assert_frame_equal(fast.scores[names], slow.scores[names], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", ["frozen", "frozen, sliding"])
def test_intervals_of_frozen_weights_are_those_of_updates(mode):
    model = esn(n_boot=40)
    fast = backtest(model, Y, level=80, **PLACES, **MODES[mode])
    slow = backtest(plain(model), Y, level=80, **PLACES, **MODES[mode])
    assert fast.settings["path"] == "fast"
    pd.testing.assert_frame_equal(fast.forecasts, slow.forecasts, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("policy", ["actual", "persist", lambda past, labels: guess(past, labels)])
@pytest.mark.parametrize("past", [None, ["price"]])
def test_the_policy_of_exogenous_rows_is_kept(policy, past):
    model = esn(past_columns=past)
    settings = PLACES | {"scaler": "first_window", "X_future": policy, "gap": 1}
    fast = backtest(model, Y, X, **settings)
    slow = backtest(plain(model), Y, X, **settings)
    assert fast.settings["path"] == "fast"
    pd.testing.assert_frame_equal(fast.forecasts, slow.forecasts, rtol=1e-9, atol=1e-9)


def test_past_only_columns_need_no_values_after_the_last_cutoff():
    known = np.arange(N) < N - 6
    gone = X.assign(price=X["price"].where(known))
    settings = PLACES | {"scaler": "first_window"}
    result = backtest(esn(past_columns=["price"]), Y, gone, **settings)
    assert result.settings["path"] == "fast"
    whole = backtest(esn(past_columns=["price"]), Y, X, **settings)
    pd.testing.assert_frame_equal(result.forecasts, whole.forecasts)


def guess(past, labels):
    return pd.DataFrame({"offer": 0.5, "price": past["price"].iloc[-3:].mean()}, index=labels)


@pytest.mark.parametrize("form", ["array", "two columns", "periods", "numbers"])
def test_all_forms_of_y(form):
    y = {
        "array": Y.to_numpy(),
        "two columns": WIDE.to_numpy(),
        "periods": Y.to_period("D"),
        "numbers": Y.set_axis(np.arange(N) * 3 + 5),
    }[form]
    known = X.to_numpy() if isinstance(y, np.ndarray) else X.set_axis(y.index)
    for mode in ({"scaler": "first_window"}, {"refit": 4, "window": "sliding"}):
        settings = PLACES | mode | {"X_future": "persist"}
        fast = backtest(esn(), y, known, **settings)
        slow = backtest(plain(esn()), y, known, **settings)
        pd.testing.assert_frame_equal(fast.forecasts, slow.forecasts, rtol=1e-9, atol=1e-9)


def test_missing_values_are_filled_forwards_or_the_loop_is_taken():
    y = Y.copy()
    y.iloc[[100, 228, 229]] = np.nan
    fast = backtest(esn(missing="ffill"), y, scaler="first_window", **PLACES)
    slow = backtest(plain(esn(missing="ffill")), y, scaler="first_window", **PLACES)
    assert fast.settings["path"] == "fast"
    pd.testing.assert_frame_equal(fast.forecasts, slow.forecasts, rtol=1e-9, atol=1e-9)
    looped = backtest(esn(missing="interpolate"), y, scaler="first_window", **PLACES)
    assert looped.settings["path"] == "loop"


def test_what_has_no_fast_path_says_so():
    expected = {
        "naive": (NaiveForecaster("drift"), {}, ("loop", "first_window")),
        "naive, sliding": (NaiveForecaster("drift"), {"window": "sliding"}, ("loop", "refit")),
        "noise": (esn(noise=1e-3), {}, ("loop", "first_window")),
        "conformal": (esn(interval="conformal"), {"level": 80}, ("loop", "first_window")),
    }
    for model, settings, (path, scaler) in expected.values():
        result = backtest(model, Y, scaler="first_window", **PLACES, **settings)
        assert (result.settings["path"], result.settings["scaler"]) == (path, scaler)
    drift = backtest(NaiveForecaster("drift"), Y, **PLACES, window="sliding")
    done = backtest(
        NaiveForecaster("drift"), Y, **PLACES, window="sliding", scaler="first_window", refit=2
    )
    rows = drift.forecasts["cutoff"].isin(drift.scores["cutoff"][::2])
    pd.testing.assert_frame_equal(drift.forecasts[rows], done.forecasts[rows])
    with pytest.raises(ValueError, match="'scaler' parameter of backtest"):
        backtest(esn(), Y, scaler="last_window", **PLACES)


def test_regressors_that_cannot_learn_more_are_fitted_anew():
    model, done = ReservoirForecaster(Ridge(), lags=5), []
    settings = PLACES | {"refit": 2, "progress": lambda i, n: done.append(i)}
    result = backtest(model, Y, scaler="first_window", **settings)
    assert (result.settings["path"], result.settings["scaler"]) == ("loop", "refit")
    assert done == list(range(1, 8))
    expected = backtest(model, Y, **settings)
    pd.testing.assert_frame_equal(result.forecasts, expected.forecasts)


def test_times_are_shared_out_and_progress_is_reported():
    done = []
    result = backtest(
        esn(), Y, scaler="first_window", progress=lambda i, n: done.append((i, n)), **PLACES
    )
    assert done == [(i, 7) for i in range(1, 8)]
    assert result.scores["fit_seconds"].nunique() == 1
    assert result.summary()["fit_seconds"] > 0


@pytest.mark.filterwarnings("ignore::echocast.exceptions.ForecastDivergenceWarning")
@pytest.mark.parametrize("window", ["expanding", "sliding"])
@pytest.mark.parametrize("poison", [1e9, -1e9])
def test_nothing_after_a_cutoff_reaches_its_forecast(window, poison):
    settings = PLACES | {"scaler": "first_window", "window": window, "level": 80}
    clean = backtest(esn(), Y, X, **settings).forecasts
    cutoffs = clean["cutoff"].unique()
    for k in (1, 4):
        cutoff = cutoffs[k]
        y, known = Y.copy(), X.copy()
        y[y.index > cutoff] = poison
        known[known.index > cutoff + pd.Timedelta(days=6)] = poison
        dirty = backtest(esn(), y, known, **settings).forecasts
        rows = slice(0, 6 * (k + 1))
        columns = ["forecast", "lo-80", "hi-80"]
        pd.testing.assert_frame_equal(
            clean[columns].iloc[rows], dirty[columns].iloc[rows], check_exact=True
        )
