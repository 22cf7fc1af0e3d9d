"""What users meet first: slips in calls, and data that is not quite regular."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from echocast.exceptions import InsertedRowsWarning, InvalidParameterError
from echocast.forecasting import (
    EnsembleForecaster,
    ESNForecaster,
    ForecastSearchCV,
    NaiveForecaster,
    backtest,
)


@pytest.fixture
def y():
    days = pd.date_range("2024-01-01", periods=140, freq="D")
    values = np.sin(np.arange(140) * 2 * np.pi / 7)
    return pd.Series(values + 0.01 * np.random.RandomState(0).randn(140), index=days, name="sales")


def following(y):
    return y.shift(freq=pd.offsets.Day(len(y)))


# ------------------------------------------------------------- scikit-learn's searches


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_searches_of_sklearn_do_not_maximise_the_error(y):
    cv = TimeSeriesSplit(4, test_size=14)
    search = GridSearchCV(NaiveForecaster(), {"strategy": ["seasonal", "last", "mean"]}, cv=cv)
    with pytest.raises(ValueError, match=r"lower is better.*ForecastSearchCV"):
        search.fit(y)
    with pytest.raises(ValueError, match="lower is better"):
        cross_val_score(NaiveForecaster(), y, cv=cv)
    with pytest.raises(ValueError, match="lower is better"):
        cross_val_score(ForecastSearchCV(NaiveForecaster(), {}, horizon=3), y, cv=cv)


def test_a_scorer_that_negates_the_error_is_welcome(y):
    search = GridSearchCV(
        NaiveForecaster(),
        {"strategy": ["mean", "last", "seasonal"]},
        cv=TimeSeriesSplit(4, test_size=14),
        scoring=lambda forecaster, rows: -forecaster.score(rows),
    )
    assert search.fit(y).best_params_ == {"strategy": "seasonal"}


# ------------------------------------------------------------------ gaps and labels


@pytest.fixture
def business_days():
    days = pd.date_range("2024-01-01", periods=200, freq="B")
    holidays = days[[20, 63, 64, 100, 150]]
    return pd.Series(np.arange(200.0) % 5, index=days, name="sales").drop(holidays)


def test_weekdays_with_holidays_are_business_days(business_days):
    with pytest.raises(ValueError, match=r"freq 'B' but 5 periods are missing.*asfreq\('B'\)"):
        NaiveForecaster().fit(business_days)
    with pytest.warns(InsertedRowsWarning, match="lacks 5 rows"):
        model = NaiveForecaster("seasonal", missing="ffill").fit(business_days)
    assert model.n_steps_seen_ == 200
    assert model.season_length_ == 5
    assert (model.predict(10).index.day_of_week < 5).all()


def test_days_with_gaps_on_all_weekdays_stay_days(y):
    with pytest.raises(ValueError, match="freq 'D' but 2 periods"):
        NaiveForecaster().fit(y.drop(y.index[[30, 50]]))
    week = y.iloc[:10].drop(y.index[[5, 6, 8]])  # one weekend is no habit
    with pytest.raises(ValueError, match="freq 'D'"):
        NaiveForecaster().fit(week)


def test_a_panel_with_gaps_gets_one_warning(y):
    holes = {f"shop {i}": y.drop(y.index[[5 + i, 40]]) for i in range(10)}
    panel = pd.concat(holes | {"whole": y}, names=["shop", "date"])
    with pytest.warns(InsertedRowsWarning) as caught:
        model = NaiveForecaster(missing="ffill").fit(panel)
    assert [str(w.message) for w in caught] == [
        "10 series of `y` lack 20 rows of their grid, first 2024-01-06 (series 'shop 0'); put in "
        "as missing, for missing='ffill'."
    ]
    one = pd.concat({"a": y, "b": y.drop(y.index[3])})
    with pytest.warns(InsertedRowsWarning, match=r"Series 'b' of `y` lacks 1 row of its grid"):
        NaiveForecaster(missing="ffill").fit(one)
    later = y.shift(freq=pd.offsets.Day(140)).drop(y.index[3] + pd.offsets.Day(140))
    with pytest.warns(InsertedRowsWarning, match="Series 'whole': `y` lacks 1 row"):
        model.update(pd.concat({"whole": later}, names=["shop", "date"]))


def test_the_gap_of_a_panel_is_not_mended_with_asfreq(y):
    panel = pd.concat({3: y, 4: y.drop(y.index[9])})
    with pytest.raises(ValueError, match=r"Series 4: .* or reindex that series") as error:
        NaiveForecaster().fit(panel)
    assert "asfreq" not in str(error.value)


def test_integer_labels_are_shown_as_numbers(y):
    model = NaiveForecaster().fit(pd.concat({3: y, 4: y}))
    with pytest.raises(ValueError, match="holds series 5, unknown"):
        model.update(pd.concat({5: y}))


def test_swapped_levels_with_integer_series_are_recognised(y):
    panel = pd.concat({3: y, 4: y}).swaplevel().sort_index()
    with pytest.raises(ValueError, match=r"\(time, series\).*y\.swaplevel\(\)"):
        NaiveForecaster().fit(panel)
    right = panel.swaplevel().sort_index()
    with pytest.raises(ValueError, match=r"X\.swaplevel\(\)"):
        ESNForecaster(10).fit(right, panel.to_frame("x"))


# -------------------------------------------------------------------- slips in calls


@pytest.mark.parametrize("slip", [80, 0.8, True, "80"])
def test_a_number_in_the_place_of_X_is_explained(y, slip):
    rule = r"`X` must be a DataFrame.*level=.*refit=.* keywords"
    model = NaiveForecaster().fit(y)
    for call in (model.predict, model.update):
        with pytest.raises(TypeError, match=rule):
            call(3 if call == model.predict else following(y), slip)
    panel = pd.concat({"a": y, "b": y})
    with pytest.raises(TypeError, match=rule):
        NaiveForecaster().fit(panel).predict(3, slip)


def test_a_function_for_future_rows_has_to_return_some(y):
    X = y.to_frame("x")
    for bad, found in ((None, "nothing"), (X.iloc[:0], "DataFrame without rows")):
        with pytest.raises(ValueError, match=rf"X_future\(X_train, index\) returned {found}; it"):
            backtest(
                ESNForecaster(10, random_state=0),
                y,
                X,
                horizon=5,
                n_windows=2,
                X_future=lambda past, index, bad=bad: bad,
            )


def test_unknown_metrics_are_named_by_the_parameter(y):
    with pytest.raises(InvalidParameterError, match=r"'metrics' parameter of backtest.*'mase'"):
        backtest(NaiveForecaster(), y, horizon=5, metrics=["crps"])


def test_weights_of_an_ensemble_are_not_ignored(y):
    members = [NaiveForecaster(), NaiveForecaster("mean")]
    for method in ("mean", "median"):
        with pytest.raises(ValueError, match="Set method='weights'"):
            EnsembleForecaster(members, method=method, weights=[0.9, 0.1]).fit(y)
    EnsembleForecaster(members, method="weights", weights=[0.9, 0.1]).fit(y)


def test_a_search_goes_around_an_ensemble_not_into_it(y):
    search = ForecastSearchCV(NaiveForecaster(), {"strategy": ["last", "mean"]}, horizon=5)
    with pytest.raises(TypeError, match="Search over the ensemble instead"):
        EnsembleForecaster([search]).fit(y)
    around = ForecastSearchCV(
        EnsembleForecaster([("a", NaiveForecaster()), ("b", NaiveForecaster("mean"))]),
        {"a__strategy": ["last", "seasonal"]},
        horizon=7,
    )
    assert around.fit(y).best_params_ == {"a__strategy": "seasonal"}
    EnsembleForecaster([clone(around.best_forecaster_)]).fit(y)


# --------------------------------------------------------------------- next to nothing


@pytest.mark.parametrize("missing", ["ffill", "interpolate"])
def test_a_series_without_a_value_is_told_from_one_that_begins_late(y, missing):
    model = NaiveForecaster(missing=missing)
    with pytest.raises(ValueError, match="Input y has no value at all: all 140 rows are NaN"):
        model.fit(y * np.nan)
    with pytest.raises(ValueError, match="column 'b' of y has no value at all"):
        model.fit(pd.DataFrame({"a": y, "b": np.nan}))
    with pytest.raises(ValueError, match=r"begins with NaN \(2024-01-01\)"):
        model.fit(y.where(y.index > "2024-01-03"))


def test_one_row_leaves_no_errors_to_keep(y):
    one = y[:1].asfreq("D")
    ensemble = EnsembleForecaster([NaiveForecaster(), NaiveForecaster("mean")])
    assert ensemble.fit(one).predict(2).tolist() == [y.iloc[0]] * 2
    panel = pd.concat({"a": y[:1], "b": y[:1]})
    assert len(NaiveForecaster(freq="D").fit(panel).residuals()) == 0


@pytest.mark.parametrize("n_steps", [3, 50])
def test_a_level_that_no_step_can_have_is_called_impossible(y, n_steps):
    model = ESNForecaster(20, interval="conformal", random_state=0).fit(y[:60])
    with pytest.raises(ValueError, match=r"level=99\.9 .*cannot be had from"):
        model.predict(n_steps, level=99.9)


# ------------------------------------------------------------- X for rows that are put in


@pytest.mark.filterwarnings(r"ignore:.*`y`.* lacks \d+ row")
@pytest.mark.filterwarnings(r"ignore:`y` lacks \d+ row")
@pytest.mark.parametrize("missing", ["ffill", "interpolate", "mask"])
def test_X_may_lack_the_rows_that_are_put_in(y, missing):
    X = pd.DataFrame({"x": np.cos(np.arange(170.0))}, pd.date_range(y.index[0], periods=170))
    holes = y.index[[40, 41, 90]]
    model = ESNForecaster(20, missing=missing, random_state=0)
    filled = X.copy()
    filled.loc[holes] = np.nan
    expected = model.fit(y.drop(holes), filled.ffill()).predict(5, X)
    with pytest.warns(InsertedRowsWarning, match="`X` lacks 3 rows .* first 2024-02-10"):
        found = model.fit(y.drop(holes), X.drop(holes))
    pd.testing.assert_series_equal(found.predict(5, X), expected)
    new = following(y)[:9]
    with pytest.warns(InsertedRowsWarning, match="`X` lacks 1 row"):
        found.update(new.drop(new.index[4]), X.drop(new.index[4]))
    with pytest.raises(ValueError, match="X must cover"):
        model.fit(y.drop(holes), X.drop(y.index[50]))  # y has this row
    panel = pd.concat({"a": y.drop(holes), "b": y})
    both = pd.concat({"a": X.drop(holes), "b": X})
    with pytest.warns(InsertedRowsWarning, match="Series 'a': `X` lacks 3 rows"):
        several = model.fit(panel, both)
    part = several.predict(5, both).xs("a")
    pd.testing.assert_series_equal(part, expected, check_freq=False)
    with pytest.warns(InsertedRowsWarning, match="`X` lacks 3 rows"):
        windows = backtest(model, y.drop(holes), X.drop(holes), horizon=5, n_windows=2)
    whole = backtest(model, y.drop(holes), filled.ffill(), horizon=5, n_windows=2)
    pd.testing.assert_frame_equal(windows.forecasts, whole.forecasts)
