"""Backtests of panels: common dates, unequal lengths, one model for all series."""

import warnings

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose

from echocast.exceptions import EchocastWarning
from echocast.forecasting import ESNForecaster, NaiveForecaster, backtest

RNG = np.random.RandomState(0)
MONTHS = pd.date_range("2018-01-01", periods=72, freq="MS")


def series(start, stop, level):
    t = np.arange(start, stop)
    values = level + 3 * np.sin(2 * np.pi * t / 12) + RNG.randn(len(t))
    return pd.Series(values, index=MONTHS[start:stop])


PARTS = {
    "b": series(0, 72, 10.0),
    "a": series(0, 72, 50.0),
    "late": series(40, 72, 20.0),
    "gone": series(0, 66, 30.0),
    "new": series(66, 72, 40.0),
}
Y = pd.concat(PARTS, names=["shop", "month"]).rename("sales")
EQUAL = Y.loc[["b", "a"]]
PLACES = {
    "horizon": 4,
    "n_windows": 3,
    "step": 3,
    "metrics": "mae",
}  # cutoffs after 62, 65 and 68 months
CUTOFFS = list(MONTHS[[61, 64, 67]])


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EchocastWarning)
        return backtest(*args, **kwargs)


def part(result, label, columns=("cutoff", "time", "step", "y", "forecast")):
    frame = result.forecasts
    return frame.loc[frame["series"] == label, list(columns)].reset_index(drop=True)


class PooledMean(NaiveForecaster):
    """One model for all series: their mean, seen in the fit and, if asked to, in updates."""

    def __init__(
        self,
        strategy="last",
        *,
        pooling="global",
        season_length="auto",
        freq=None,
        missing="raise",
        random_state=None,
    ):
        super().__init__(
            strategy, season_length=season_length, freq=freq, missing=missing,
            random_state=random_state,
        )  # fmt: skip
        self.pooling = pooling

    def _learn_pool(self, members, values, exog, static):
        if min(map(len, values)) < 2:
            raise ValueError("some series have fewer than 2 rows")
        pool = np.concatenate(values)
        for member, rows, known in zip(members, values, exog):
            member._learn(rows, known)
            member._fit_pool = pool

    def _advance_pool(self, members, values, exog, refit):
        super()._advance_pool(members, values, exog, refit)
        if refit:
            pool = np.concatenate([members[0]._fit_pool, *values])
            for member in members:
                member._fit_pool = pool

    def _point(self, n_steps, exog):
        shift = exog.sum() if exog.size else 0.0
        return np.full((n_steps, 1), self._fit_pool.mean() + shift)


def pooled_mean(cutoff, labels=tuple(PARTS)):
    rows = Y[(Y.index.get_level_values(1) <= cutoff) & Y.index.get_level_values(0).isin(labels)]
    return rows.mean()


# ------------------------------------------------------------------ one model a series


@pytest.mark.parametrize("settings", [{}, {"scaler": "first_window"}, {"refit": False}])
def test_series_of_equal_length_are_backtested_as_each_alone(settings):
    model = ESNForecaster(20, random_state=0)
    result = backtest(model, EQUAL, level=80, **PLACES, **settings)
    assert list(result.forecasts.columns[:2]) == ["series", "cutoff"]
    columns = ["cutoff", "time", "step", "y", "forecast", "lo-80", "hi-80"]
    for label in ("b", "a"):
        alone = backtest(model, PARTS[label], level=80, **PLACES, **settings)
        pd.testing.assert_frame_equal(part(result, label, columns), alone.forecasts[columns])
        mine = result.scores[result.scores["series"] == label]
        assert_allclose(mine["mae"], alone.scores["mae"])
        assert result.settings["path"] == alone.settings["path"]
    assert result.settings["align"] == "calendar"
    assert result.skipped.empty


def test_windows_have_common_dates_and_the_skipped_ones_are_listed():
    with pytest.warns(EchocastWarning, match="4 windows of 2 series were skipped"):
        result = backtest(NaiveForecaster("seasonal"), Y, **PLACES)
    cutoffs = result.forecasts.groupby("series")["cutoff"].unique()
    assert {label: list(c) for label, c in cutoffs.items()} == {
        "b": CUTOFFS, "a": CUTOFFS, "late": CUTOFFS, "gone": CUTOFFS[:2]
    }  # fmt: skip
    assert len(part(result, "gone")) == 5  # four steps, and the one before it ends
    left_out = result.skipped.set_index("series")["reason"]
    assert left_out["gone"] == "ends at 2023-06-01, before the cutoff"
    assert (left_out["new"][:2] == "begins at 2023-07-01, after the cutoff").all()
    assert "Length of `y` (2)" in left_out["new"].iloc[2]
    assert list(result.skipped["cutoff"][result.skipped["series"] == "new"]) == CUTOFFS
    assert "of 4 series" in repr(result)


def test_the_first_window_of_a_series_is_the_first_that_can_be_fitted():
    y = pd.concat({"b": PARTS["b"], "late": PARTS["late"].iloc[14:]}, names=["shop", "month"])
    places = {
        "horizon": 4,
        "n_windows": 6,
        "step": 2,
        "metrics": "mae",
    }  # late has 4, 6, ..., 14 rows
    for scaler, path in (("refit", "loop"), ("first_window", "mixed")):
        result = quietly(NaiveForecaster("seasonal"), y, scaler=scaler, **places)
        assert list(result.skipped["series"]) == ["late"] * 4
        assert part(result, "late")["cutoff"].nunique() == 2
        result = quietly(ESNForecaster(20, lags=3, random_state=0), y, scaler=scaler, **places)
        assert part(result, "late")["cutoff"].nunique() == 4
        assert result.settings["path"] == ("fast" if scaler == "first_window" else path)


def test_other_series_and_their_order_make_no_difference():
    model = ESNForecaster(20, random_state=0)
    whole = quietly(model, Y, **PLACES)
    swapped = quietly(model, Y.loc[["gone", "a", "late", "b"]], **PLACES)
    for label in ("a", "b", "late", "gone"):
        pd.testing.assert_frame_equal(part(whole, label), part(swapped, label), check_exact=True)
    assert list(whole.forecasts["series"].unique()) == ["b", "a", "late", "gone"]


def test_windows_before_the_end_of_each_series():
    result = backtest(NaiveForecaster(), Y, align="series_end", **PLACES)
    for label in ("b", "late", "gone"):
        alone = backtest(NaiveForecaster(), PARTS[label], **PLACES)
        pd.testing.assert_frame_equal(part(result, label), alone.forecasts)
    assert part(result, "new")["cutoff"].nunique() == 1  # six rows have room for one window
    longer = {"horizon": 7, "n_windows": 2, "metrics": "mae"}
    with pytest.warns(EchocastWarning, match="`y` has 6 rows, too few for 1 window"):
        result = backtest(NaiveForecaster(), Y, align="series_end", **longer)
    assert list(result.skipped["series"]) == ["new"]
    with pytest.raises(ValueError, match="'align' parameter of backtest"):
        backtest(NaiveForecaster(), Y, align="end", **PLACES)


def test_other_kinds_of_time():
    expected = quietly(NaiveForecaster("drift"), Y, **PLACES).forecasts
    months = Y.index.get_level_values(1)
    position = MONTHS.get_indexer(months)
    for times in (
        months.to_period("M"),
        position,
        5 * position + 3,
        months.tz_localize("Europe/Berlin"),
    ):
        index = pd.MultiIndex.from_arrays([Y.index.get_level_values(0), times])
        result = quietly(NaiveForecaster("drift"), Y.set_axis(index), **PLACES)
        assert_allclose(result.forecasts["forecast"], expected["forecast"])
        assert result.forecasts["time"].iloc[0] == times[62]
    wide = pd.DataFrame({"u": Y, "v": -Y})
    result = quietly(NaiveForecaster("drift"), wide, **PLACES)
    both = result.forecasts.set_index("variable")["forecast"]
    assert_allclose(both["v"], -both["u"])
    assert result.scores_by("variable").index.tolist() == ["u", "v"]


@pytest.mark.parametrize("model", [ESNForecaster(20, random_state=0), PooledMean()])
def test_workers_and_progress_change_nothing(model):
    done = []
    one = quietly(model, Y, progress=lambda i, n: done.append((i, n)), **PLACES)
    with parallel_config(backend="threading"):  # processes would have to import this file
        two = quietly(model, Y, n_jobs=2, **PLACES)
    pd.testing.assert_frame_equal(one.forecasts, two.forecasts, check_exact=True)
    pd.testing.assert_frame_equal(one.skipped, two.skipped)
    total = 3 if isinstance(model, PooledMean) else 12
    assert done == [(i, total) for i in range(1, total + 1)]


# ---------------------------------------------------------------- one model for all


def test_one_model_for_all_knows_the_rows_of_all_up_to_the_cutoff():
    result = quietly(PooledMean(), Y, **PLACES)
    assert result.settings["pooling"] == "global"
    for cutoff, rows in result.forecasts.groupby("cutoff"):
        expected = pooled_mean(cutoff)
        assert_allclose(rows["forecast"], expected)
        live = {"b", "a", "late"} | ({"gone"} if cutoff < CUTOFFS[2] else {"new"})
        assert set(rows["series"]) == live
    assert len(result.skipped) == 3
    seconds = result.scores.groupby("cutoff")["fit_seconds"].nunique()
    assert (seconds == 1).all()


def test_series_too_short_for_the_common_model_are_left_out_of_it():
    y = pd.concat({**PARTS, "new": PARTS["new"].iloc[1:]}, names=["shop", "month"])
    result = quietly(PooledMean(), y, **PLACES)
    last = result.skipped[result.skipped["cutoff"] == CUTOFFS[2]].set_index("series")["reason"]
    assert last["new"] == "some series have fewer than 2 rows"
    assert_allclose(
        part(result, "a")["forecast"].iloc[-1], pooled_mean(CUTOFFS[2], ("b", "a", "late", "gone"))
    )


@pytest.mark.parametrize("scaler", ["refit", "first_window"])
@pytest.mark.parametrize("refit", [True, False, 2])
def test_one_model_for_all_learns_in_the_windows_asked_for(refit, scaler):
    y = Y.drop("new")
    result = quietly(PooledMean(), y, refit=refit, scaler=scaler, **PLACES)
    learnt = {True: CUTOFFS, False: [CUTOFFS[0]] * 3, 2: [CUTOFFS[0], CUTOFFS[0], CUTOFFS[2]]}
    labels = ("b", "a", "late", "gone")
    frame = part(result, "a")
    for cutoff, source in zip(CUTOFFS, learnt[refit]):
        rows = frame[frame["cutoff"] == cutoff]
        assert_allclose(rows["forecast"], pooled_mean(source, labels))
    assert result.settings["scaler"] == scaler


def test_series_that_begin_after_the_fit_are_skipped_until_the_next():
    result = quietly(PooledMean(), Y, refit=False, **PLACES)
    last = result.skipped.iloc[-1]
    assert (last["series"], last["cutoff"]) == ("new", CUTOFFS[2])
    assert last["reason"] == "was not there when the model was fitted"


@pytest.mark.parametrize(
    "model", [NaiveForecaster("mean"), PooledMean(), ESNForecaster(15, random_state=0)]
)
@pytest.mark.parametrize("settings", [{}, {"scaler": "first_window"}, {"window": "sliding"}])
def test_nothing_of_any_series_after_a_cutoff_reaches_a_forecast(model, settings):
    clean = quietly(model, Y, **PLACES, **settings).forecasts
    for cutoff in CUTOFFS[:2]:
        y = Y.copy()
        y[y.index.get_level_values(1) > cutoff] = 1e9 * RNG.rand()
        dirty = quietly(model, y, **PLACES, **settings).forecasts
        rows = (clean["cutoff"] <= cutoff).to_numpy()
        pd.testing.assert_frame_equal(
            clean.loc[rows].drop(columns="y"), dirty.loc[rows].drop(columns="y"), check_exact=True
        )


def test_a_model_for_all_at_the_ends_of_its_series_knows_later_rows_of_others():
    result = backtest(
        PooledMean(), Y.drop("new"), align="series_end", horizon=4, n_windows=1, metrics="mae"
    )
    rows = [PARTS[label].iloc[:-4] for label in ("b", "a", "late", "gone")]
    assert_allclose(result.forecasts["forecast"], pd.concat(rows).mean())
    assert result.settings["align"] == "series_end"


@pytest.mark.parametrize("pooling", ["global", "local"])
def test_exogenous_columns_of_each_series_or_of_the_time(pooling):
    model = PooledMean() if pooling == "global" else ESNForecaster(10, lags=2, random_state=0)
    X = pd.DataFrame({"x": np.arange(72.0)}, index=MONTHS)
    shared = quietly(model, Y, X, **PLACES)
    each = pd.DataFrame({"x": X["x"].reindex(Y.index.get_level_values(1)).to_numpy()}, Y.index)
    own = quietly(model, Y, each, **PLACES)
    pd.testing.assert_frame_equal(shared.forecasts, own.forecasts)
    persisted = quietly(model, Y, X, X_future="persist", **PLACES)
    if pooling == "global":
        difference = own.forecasts["forecast"] - persisted.forecasts["forecast"]
        whole = part(own, "a").index
        assert_allclose(difference[own.forecasts["series"] == "a"].iloc[whole], 1 + 2 + 3 + 4)
    assert not persisted.forecasts["forecast"].equals(own.forecasts["forecast"])
    with pytest.raises(ValueError, match="there is none for 2023-12-01"):
        backtest(model, Y, X.iloc[:-1], **PLACES)


# ------------------------------------------------------------------------ refusals


def test_panels_without_common_dates_are_refused():
    a, b = (pd.Series(np.arange(40.0), index=7 * np.arange(40) + shift) for shift in (0, 3))
    y = pd.concat({"a": a, "b": b}, names=["id", "day"])
    with pytest.raises(ValueError, match=r"'b' has labels such as 276 that are not dates of the"):
        backtest(NaiveForecaster(), y, horizon=2)
    result = backtest(NaiveForecaster(), y, horizon=2, align="series_end")
    assert result.scores["series"].value_counts().tolist() == [5, 5]


def test_bad_panels_are_refused_with_the_series_in_question():
    y = Y.copy()
    y.loc[("late", MONTHS[50])] = np.nan
    with pytest.raises(ValueError, match="Series 'late': Input y contains NaN"):
        backtest(NaiveForecaster(), y, **PLACES)
    with pytest.raises(
        ValueError, match=r"No window of any series could be made\. Series 'b': Len"
    ):
        backtest(NaiveForecaster("seasonal", season_length=100), EQUAL, **PLACES)
    with pytest.raises(ValueError, match="too few for 30 windows"):
        backtest(NaiveForecaster(), Y, horizon=4, n_windows=30)
    with pytest.raises(ValueError, match="'strategy' parameter of NaiveForecaster"):
        backtest(NaiveForecaster("best"), Y, **PLACES)
    with pytest.raises(ValueError, match="`static` columns"):
        backtest(NaiveForecaster(), PARTS["a"], static=pd.DataFrame({"s": [1]}), **PLACES)
    with pytest.raises(ValueError, match="`static` columns"):
        backtest(NaiveForecaster(), Y, static=pd.DataFrame({"s": [1]}), **PLACES)
