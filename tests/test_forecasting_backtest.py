"""Rolling origins: where windows lie, what they know, and what is reported."""

import io
import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from echocast.datasets import load_co2, load_el_nino, load_sunspots
from echocast.exceptions import EchocastWarning
from echocast.forecasting import ESNForecaster, NaiveForecaster, backtest, mase
from echocast.forecasting._windows import Window, plan_windows
from echocast.reservoir import ESNRegressor

DAYS = pd.date_range("2024-01-01", periods=100, freq="D", name="day")
Y = pd.Series(np.random.RandomState(0).randn(100).cumsum(), index=DAYS, name="y")
X = pd.DataFrame({"x": np.arange(100.0)}, index=DAYS)


def plan(n=100, **changes):
    settings = {
        "horizon": 5, "n_windows": None, "initial": None, "step": None, "window": "expanding",
        "gap": 0,
    }  # fmt: skip
    return plan_windows(DAYS[:n], **(settings | changes))


def test_by_default_five_windows_end_with_the_series():
    windows = plan()
    assert windows[0] == Window(0, 75, 75, 80)
    assert windows[-1] == Window(0, 95, 95, 100)
    assert len(windows) == 5


def test_windows_follow_step_gap_initial_and_kind():
    assert plan(n_windows=2, step=1) == [Window(0, 94, 94, 99), Window(0, 95, 95, 100)]
    assert plan(n_windows=1, gap=3) == [Window(0, 92, 95, 100)]
    assert plan(n_windows=2, window="sliding")[1] == Window(5, 95, 95, 100)
    assert plan(initial=80) == [Window(0, s, s, s + 5) for s in (80, 85, 90, 95)]
    assert plan(initial=80, n_windows=2) == [Window(0, s, s, s + 5) for s in (80, 85)]
    assert plan(initial="2024-03-20")[0].stop == 80
    assert plan(initial=81, window="sliding")[-1] == Window(10, 91, 91, 96)


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 20}, {"n_windows": 20}, {"initial": 96}, {"initial": 80, "n_windows": 5},
        {"horizon": 99}, {"gap": 90},
    ],
)  # fmt: skip
def test_too_many_windows_are_refused(changes):
    with pytest.raises(ValueError, match=r"`y` has \d+ rows, too few for \d+ window"):
        plan(**changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon", 0), ("horizon", 2.0), ("n_windows", 0), ("step", 0), ("gap", -1),
        ("window", "rolling"), ("initial", 0), ("initial", "soon"), ("initial", 2.5),
    ],
)  # fmt: skip
def test_bad_window_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"{name}"):
        plan(**{name: value})


class Recorder(NaiveForecaster):
    """Notes what each call was given."""

    calls: list = []  # noqa: RUF012

    def fit(self, y, X=None):
        self.calls.append(("fit", y.index[0], y.index[-1], X is not None))
        return super().fit(y, X)

    def update(self, y, X=None, *, refit=False):
        self.calls.append(("update", y.index[0], y.index[-1], X is not None))
        return super().update(y, X, refit=refit)

    def predict(self, horizon, X=None, **kwargs):
        last = None if X is None else X["x"].iloc[-1]
        self.calls.append(("predict", list(horizon), last))
        return super().predict(horizon, X, **kwargs)


@pytest.fixture
def calls():
    Recorder.calls = []
    return Recorder.calls


def test_each_window_fits_on_rows_up_to_its_cutoff(calls):
    result = backtest(Recorder(), Y, horizon=5, n_windows=2, gap=2, window="sliding")
    assert calls == [
        ("fit", DAYS[0], DAYS[87], False),
        ("predict", [3, 4, 5, 6, 7], None),
        ("fit", DAYS[5], DAYS[92], False),
        ("predict", [3, 4, 5, 6, 7], None),
    ]
    frame = result.forecasts
    assert list(frame.columns) == ["cutoff", "time", "step", "y", "forecast"]
    assert list(frame["time"][:5]) == list(DAYS[90:95])
    assert list(frame["step"][:5]) == [3, 4, 5, 6, 7]
    assert_allclose(frame["y"], Y.iloc[90:])
    assert_allclose(frame["forecast"], np.repeat(Y.iloc[[87, 92]], 5))


def test_without_refit_rows_are_taken_in_by_update(calls):
    backtest(Recorder(), Y, X, horizon=5, n_windows=3, refit=False)
    assert [c[0] for c in calls] == ["fit", "predict", "update", "predict", "update", "predict"]
    assert calls[2] == ("update", DAYS[85], DAYS[89], True)
    calls.clear()
    backtest(Recorder(), Y, horizon=5, n_windows=4, refit=2)
    assert [c[0] for c in calls if c[0] != "predict"] == ["fit", "update", "fit", "update"]


def test_what_is_known_of_the_future(calls):
    backtest(Recorder(), Y, X, horizon=5, n_windows=1)
    backtest(Recorder(), Y, X, horizon=5, n_windows=1, X_future="persist")
    seen = []

    def guess(past, labels):
        seen.append((past.index[-1], list(labels)))
        return pd.DataFrame({"x": -1.0}, index=labels)

    result = backtest(Recorder(), Y, X, horizon=5, n_windows=1, X_future=guess)
    assert [c[2] for c in calls if c[0] == "predict"] == [99.0, 94.0, -1.0]
    assert seen == [(DAYS[94], list(DAYS[95:]))]
    assert result.settings["X_future"] == "guess"
    with pytest.raises(ValueError, match="'X_future' parameter of backtest"):
        backtest(Recorder(), Y, X, horizon=5, X_future="best")


def test_scores_scale_by_the_training_part_alone():
    result = backtest(NaiveForecaster(), Y, horizon=5, n_windows=3, metrics="mase")
    for (_, row), stop in zip(result.scores.iterrows(), (85, 90, 95)):
        train, truth = Y.iloc[:stop], Y.iloc[stop : stop + 5]
        expected = mase(truth, np.repeat(train.iloc[-1], 5), train, season_length=7)
        assert row["mase"] == pytest.approx(expected)
        assert row["cutoff"] == DAYS[stop - 1]
    assert result.settings["season_length"] == 7
    weekly = backtest(NaiveForecaster(season_length=3), Y, horizon=5, metrics="mase")
    assert weekly.settings["season_length"] == 3
    assert backtest(NaiveForecaster(), Y, horizon=5, season_length=1).settings["season_length"] == 1


def test_levels_and_own_metrics():
    def worst(y_true, y_pred):
        return np.abs(y_true - y_pred).max()

    result = backtest(
        NaiveForecaster(), Y, horizon=5, n_windows=2, level=[80, 95], metrics=["mae", worst]
    )
    assert list(result.scores.columns) == [
        "cutoff", "mae", "worst", "coverage-80", "coverage-95", "fit_seconds", "predict_seconds"
    ]  # fmt: skip
    frame = result.forecasts
    inside = (frame["lo-80"] <= frame["y"]) & (frame["y"] <= frame["hi-80"])
    assert result.summary()["coverage-80"] == pytest.approx(inside.mean())
    assert result.summary()["mae"] == pytest.approx((frame["y"] - frame["forecast"]).abs().mean())
    with pytest.raises(ValueError, match="'metrics' parameter of backtest"):
        backtest(NaiveForecaster(), Y, horizon=5, metrics="r2")
    with pytest.raises(ValueError, match=r"'level' parameter of backtest .* means 80 %"):
        backtest(NaiveForecaster(), Y, horizon=5, level=[80, 0.95])


def test_systems_arrays_and_periods():
    wide = pd.DataFrame({"a": Y, "b": 2 * Y})
    result = backtest(NaiveForecaster(), wide, horizon=5, n_windows=2, level=80)
    assert list(result.forecasts.columns)[:4] == ["cutoff", "variable", "time", "step"]
    assert len(result.forecasts) == 20
    parts = result.scores.set_index("variable")
    assert_allclose(parts.loc["a", "mase"], parts.loc["b", "mase"])
    once = result.scores.drop_duplicates("cutoff")["fit_seconds"].sum()
    assert result.summary()["fit_seconds"] == pytest.approx(once)
    array = backtest(NaiveForecaster(), wide.to_numpy(), horizon=5, n_windows=2, level=80)
    assert_allclose(array.forecasts["hi-80"], result.forecasts["hi-80"])
    assert list(array.forecasts["time"][:3]) == [90, 91, 92]
    known = X.to_numpy()
    backtest(NaiveForecaster(), Y.to_numpy(), known, horizon=5, X_future="persist")
    periods = backtest(NaiveForecaster(), Y.to_period("D"), horizon=5, n_windows=2)
    assert isinstance(periods.forecasts["time"].iloc[0], pd.Period)


def test_missing_values_are_filled_by_the_model_and_never_scored():
    y = Y.copy()
    y.iloc[[50, 97]] = np.nan
    result = backtest(NaiveForecaster(missing="ffill"), y, horizon=5, n_windows=2)
    assert result.forecasts["y"].isna().sum() == 1
    assert result.scores["mase"].notna().all()
    with pytest.raises(ValueError, match="2 values, first at 2024-02-20"):
        backtest(NaiveForecaster(), y, horizon=5)


def test_workers_and_progress_change_nothing():
    model = ESNForecaster(15, lags=2, random_state=0)
    one = backtest(model, Y, horizon=5, n_windows=4, level=80)
    two = backtest(model, Y, horizon=5, n_windows=4, level=80, n_jobs=2)
    pd.testing.assert_frame_equal(one.forecasts, two.forecasts, check_exact=True)
    done = []
    backtest(model, Y, horizon=5, n_windows=3, progress=lambda i, n: done.append((i, n)))
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_progress_is_silent_unless_asked(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    backtest(NaiveForecaster(), Y, horizon=5)
    assert stream.getvalue() == ""
    backtest(NaiveForecaster(), Y, horizon=5, progress=True)
    assert stream.getvalue().endswith("backtest: 5 of 5 windows\n")


class Mean(BaseEstimator):
    """A forecaster of the user's own, with the least that backtest needs."""

    def fit(self, y, X=None):
        self.mean_ = y.mean()
        return self

    def predict(self, horizon, X=None):
        return np.full(len(horizon), self.mean_)


@pytest.mark.parametrize(
    ("other", "got"),
    [
        (ESNRegressor(), "ESNRegressor"),
        (make_pipeline(StandardScaler(), ESNRegressor()), "Pipeline"),
        (NaiveForecaster, "the class NaiveForecaster, not an instance"),
        ("drift", "str"),
    ],
)
def test_what_is_no_forecaster_is_refused(other, got):
    with pytest.raises(TypeError, match=f"a forecaster such as ESNForecaster; got {got}\\."):
        backtest(other, Y, horizon=5)


def test_scores_by_other_groups_pool_their_forecasts():
    wide = pd.DataFrame({"a": Y, "b": Y[::-1].to_numpy() + 3})
    result = backtest(
        NaiveForecaster("drift"), wide, horizon=4, n_windows=3, level=80,
        metrics=["mase", "rmsse", "mae", "smape"],
    )  # fmt: skip
    frame = result.forecasts.assign(error=lambda f: f["y"] - f["forecast"])
    scales = {
        (cutoff, name): wide.loc[:cutoff, name].diff(7).dropna()
        for cutoff, name in zip(frame["cutoff"], frame["variable"])
    }
    keys = list(zip(frame["cutoff"], frame["variable"]))
    frame["scaled"] = frame["error"] / [scales[key].abs().mean() for key in keys]
    frame["square"] = frame["error"] ** 2 / [(scales[key] ** 2).mean() for key in keys]
    for by in ("step", "variable", "cutoff", ["variable", "step"], "time"):
        found, groups = result.scores_by(by), frame.groupby(by)
        assert found.index.names == ([by] if isinstance(by, str) else by)
        assert_allclose(found["n"], groups.size())
        assert_allclose(found["mae"], groups["error"].agg(lambda e: e.abs().mean()))
        assert_allclose(found["mase"], groups["scaled"].agg(lambda e: e.abs().mean()))
        assert_allclose(found["rmsse"], np.sqrt(groups["square"].mean()))
        inside = (frame["lo-80"] <= frame["y"]) & (frame["y"] <= frame["hi-80"])
        assert_allclose(
            found["coverage-80"], inside.groupby([frame[k] for k in np.atleast_1d(by)]).mean()
        )
    one = result.scores_by(["cutoff", "variable"])
    again = result.scores.set_index(["cutoff", "variable"])
    names = ["mase", "rmsse", "mae", "smape"]
    pd.testing.assert_frame_equal(one[names].sort_index(), again[names].sort_index())
    for by in ("week", [], ["step", "series"]):
        with pytest.raises(ValueError, match="'by' parameter of scores_by"):
            result.scores_by(by)


@pytest.mark.parametrize("missing", ["ffill", "interpolate", "mask"])
def test_scaled_errors_are_those_of_the_forecaster(missing):
    y = Y.copy()
    y.iloc[[20, 21, 22, 50, 60]] = np.nan
    model = ESNForecaster(8, missing=missing, random_state=0)
    result = backtest(model, y, horizon=5, n_windows=1, metrics=["mase", "rmsse"])
    fitted = model.fit(y[:-5])
    for metric in ("mase", "rmsse"):
        expected = fitted.score(y[-5:], metric=metric)
        assert_allclose(result.scores[metric], expected)
        assert_allclose(result.scores_by("cutoff")[metric], expected)


def test_scaled_errors_without_a_scale_are_reported_once():
    with pytest.warns(EchocastWarning, match=r"of 2 of 2 rows .* after one season \(7 ") as caught:
        result = backtest(NaiveForecaster(), Y * 0, horizon=5, n_windows=2)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert result.scores[["mase", "rmsse"]].isna().all(axis=None)


def test_functions_may_have_the_name_of_a_metric():
    def mase(y_true, y_pred):
        return 7.0

    result = backtest(NaiveForecaster(), Y, horizon=5, metrics=mase)
    assert set(result.scores["mase"]) == set(result.scores_by("step")["mase"]) == {7.0}


def test_scores_have_names_of_their_own():
    functions = [lambda a, b: 0.0, lambda a, b: 1.0]
    for metrics in (["mae", "mae"], functions):
        with pytest.raises(ValueError, match="holds two called"):
            backtest(NaiveForecaster(), Y, horizon=5, metrics=metrics)


def test_alignment_is_checked_for_one_series_too():
    with pytest.raises(ValueError, match="'align' parameter of backtest"):
        backtest(NaiveForecaster(), Y, horizon=5, align="start")


def test_windows_that_a_search_has_used_are_marked():
    result = backtest(NaiveForecaster(), Y, horizon=5, n_windows=3, metrics="mae")
    assert len(result.used_for_search) == 0
    marked = result.marked([DAYS[84], DAYS[89], DAYS[10]])
    assert list(marked.used_for_search) == [DAYS[84], DAYS[89]]
    assert "3 windows of 5 steps, 2 used for a search;" in repr(marked)
    assert "search" not in repr(result)
    assert pickle.loads(pickle.dumps(marked)).used_for_search.equals(marked.used_for_search)


def test_exogenous_rows_are_matched_by_label():
    longer = pd.DataFrame(
        {"x": np.arange(-20.0, 120.0)}, index=pd.date_range(DAYS[0] - 20 * DAYS.freq, periods=140)
    )
    model = ESNForecaster(10, lags=2, random_state=0)
    settings = {"horizon": 5, "n_windows": 2, "X_future": "persist"}
    same = backtest(model, Y, X, **settings)
    for other in (longer, X.iloc[::-1]):
        pd.testing.assert_frame_equal(
            backtest(model, Y, other, **settings).forecasts, same.forecasts
        )
    with pytest.raises(ValueError, match="there is none for 2024-01-01"):
        backtest(model, Y, X.iloc[1:], **settings)


def test_repr_is_one_short_line_of_mean_scores():
    result = backtest(NaiveForecaster("drift"), Y, horizon=5, n_windows=2, level=80, metrics="mae")
    means = result.summary()
    assert repr(result) == (
        f"BacktestResult(2 windows of 5 steps; means: mae {means['mae']:.3g}, "
        f"coverage-80 {means['coverage-80']:.3g})"
    )


def test_any_forecaster_with_fit_and_predict_can_be_scored():
    result = backtest(Mean(), Y, horizon=5, n_windows=2)
    assert_allclose(result.forecasts["forecast"][:5], Y.iloc[:90].mean())


def test_the_forecaster_itself_is_not_fitted():
    model = NaiveForecaster()
    backtest(model, Y, horizon=5)
    assert not hasattr(model, "n_steps_seen_")


def test_the_result_does_not_depend_on_bad_refits():
    with pytest.raises(ValueError, match="'refit' parameter"):
        backtest(NaiveForecaster(), Y, horizon=5, refit=0)
    with pytest.raises(ValueError, match="horizon"):
        backtest(NaiveForecaster(), Y, horizon="week")


SKILL = {  # series, horizon, season, origins, step
    "sunspots": (load_sunspots, 11, 11, 12, 11),
    "el nino": (load_el_nino, 12, 12, 12, 12),
    "co2, monthly means": (
        lambda: load_co2(freq="monthly", missing="interpolate"), 12, 12, 10, 12,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SKILL)
def test_the_default_forecaster_beats_the_baselines(name):
    load, horizon, season, n_windows, step = SKILL[name]
    settings = {"horizon": horizon, "n_windows": n_windows, "step": step, "metrics": "mae"}
    ours = backtest(ESNForecaster(random_state=0), load(), **settings).summary()["mae"]
    for strategy in ("seasonal", "drift", "last"):
        naive = NaiveForecaster(strategy, season_length=season)
        assert ours < backtest(naive, load(), **settings).summary()["mae"]


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [26, 52])
def test_the_default_forecaster_beats_the_baselines_on_weekly_co2(horizon):
    y = load_co2(missing="interpolate")
    settings = {"horizon": horizon, "n_windows": 10, "step": 26, "metrics": "mae"}
    ours = backtest(ESNForecaster(random_state=0), y, **settings).summary()["mae"]
    for strategy in ("seasonal", "drift"):
        assert ours < 0.6 * backtest(NaiveForecaster(strategy), y, **settings).summary()["mae"]
