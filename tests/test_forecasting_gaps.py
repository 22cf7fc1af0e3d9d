"""Gaps in the index: refused by name, or rows of the grid put in as missing ones."""

import numpy as np
import pandas as pd
import pytest

from echocast.exceptions import InsertedRowsWarning
from echocast.forecasting import ESNForecaster, NaiveForecaster, backtest
from echocast.forecasting._gaps import complete
from index_matrix import MATRIX

ABSENT = [5, 6, 20]
FILLS = ["ffill", "interpolate"]


def whole(index, name="sales"):
    return pd.Series(np.arange(len(index)) ** 1.5, index=index, name=name)


def gappy(y):
    return y.drop(y.index[ABSENT])


# An index without gaps keeps no frequency once rows are dropped, so it has to be found again.
KINDS = [k for k in MATRIX if not k.startswith("2W")]


@pytest.mark.parametrize("label", KINDS)
def test_every_kind_of_index_is_completed(label):
    y = whole(MATRIX[label])
    with pytest.warns(InsertedRowsWarning, match=r"`y` lacks 3 rows of its grid, first .*'ffill'"):
        filled = complete(gappy(y), freq=None, missing="ffill")
    assert filled.index.equals(y.index)
    assert filled.index.name == y.index.name
    assert filled.index.dtype == y.index.dtype
    assert list(np.flatnonzero(filled.isna())) == ABSENT
    assert complete(y, freq=None, missing="ffill") is y
    assert complete(gappy(y), freq=None, missing="raise").index.equals(gappy(y).index)


@pytest.mark.parametrize("missing", FILLS)
@pytest.mark.parametrize("label", ["D", "tz h, clocks back", "Period M", "int by 5"])
def test_a_gap_is_the_same_as_missing_values(label, missing):
    y = whole(MATRIX[label])
    stated = y.copy()
    stated.iloc[ABSENT] = np.nan
    model = ESNForecaster(8, missing=missing, random_state=0)
    expected = model.fit(stated).predict(3, level=80)
    with pytest.warns(InsertedRowsWarning):
        found = model.fit(gappy(y))
    pd.testing.assert_frame_equal(found.predict(3, level=80), expected)
    assert found.n_steps_seen_ == len(y)
    with pytest.warns(InsertedRowsWarning):
        assert len(found.fitted_values(gappy(y))) == len(y)
    frame = pd.DataFrame({"a": y, "b": np.arange(len(y)) % 3 == 0})
    with pytest.warns(InsertedRowsWarning):
        wide = NaiveForecaster(missing=missing).fit(gappy(frame))
    assert wide.n_steps_seen_ == len(y)


def test_update_and_apply_fill_gaps_too():
    y = whole(MATRIX["D"])
    model = NaiveForecaster("drift", missing="interpolate")
    whole_way = model.fit(y[:20]).update(y[20:30]).predict(2)
    with pytest.warns(InsertedRowsWarning, match=r"lacks 3 rows of its grid, first 2024-02-19"):
        found = model.fit(y[:20]).update(pd.concat([y[22:25], y[26:30]]))
    assert found.n_steps_seen_ == 30
    pd.testing.assert_index_equal(found.predict(2).index, whole_way.index)
    with pytest.warns(InsertedRowsWarning, match="lacks 3 rows"):
        assert found.apply(gappy(y)).n_steps_seen_ == len(y)
    with pytest.raises(ValueError, match=r"must begin at 2024-02-19"):
        NaiveForecaster().fit(y[:20]).update(y[22:25])
    with pytest.raises(ValueError, match=r"must begin at 2024-02-19.*Got 2024-02-09"):
        NaiveForecaster(missing="ffill").fit(y[:20]).update(y[10:25])


def test_what_is_put_in_after_the_cutoff_is_filled_from_the_row_before():
    y = whole(MATRIX["D"])
    model = NaiveForecaster("seasonal", season_length=3, missing="ffill").fit(y[:20])
    with pytest.warns(InsertedRowsWarning, match="lacks 2 rows"):
        model.update(y[22:23])
    assert model.predict(3).tolist() == [y.iloc[19], y.iloc[19], y.iloc[22]]


@pytest.mark.parametrize("missing", FILLS)
def test_panels_and_backtests(missing):
    y = whole(MATRIX["D"])
    holes = gappy(y)
    stated = y.copy()
    stated.iloc[ABSENT] = np.nan
    model = NaiveForecaster("drift", missing=missing)
    panel = pd.concat({"a": holes, "b": y}, names=["id", "when"])
    with pytest.warns(InsertedRowsWarning, match="lacks 3 rows"):
        fitted = model.fit(panel)
    assert fitted.members_["a"].n_steps_seen_ == len(y)
    settings = {"horizon": 4, "n_windows": 3, "metrics": "mae"}
    expected = backtest(model, stated, **settings)
    with pytest.warns(InsertedRowsWarning, match="lacks 3 rows"):
        found = backtest(model, holes, **settings)
    pd.testing.assert_frame_equal(found.forecasts, expected.forecasts)
    with pytest.warns(InsertedRowsWarning, match="lacks 3 rows"):
        both = backtest(model, panel, **settings).forecasts
    one = both[both["series"] == "a"].reset_index(drop=True)
    pd.testing.assert_frame_equal(one[expected.forecasts.columns], expected.forecasts)
    with pytest.raises(ValueError, match=r"Series 'a': .*3 periods are missing, first 2024-02-04"):
        NaiveForecaster().fit(panel)


def test_a_gap_in_hours_when_clocks_change():
    index = pd.date_range("2024-10-26 12:00", periods=48, freq="h", tz="Europe/Berlin")
    y = whole(index)
    night = y.drop(index[13:17])  # with the hour that comes twice
    with pytest.warns(InsertedRowsWarning, match="lacks 4 rows"):
        model = NaiveForecaster(missing="ffill").fit(night)
    assert model.n_steps_seen_ == 48
    days = whole(pd.date_range("2024-03-01", periods=60, freq="D", tz="Europe/Berlin"))
    with pytest.warns(InsertedRowsWarning, match="lacks 1 row of its grid, first 2024-03-31"):
        model = NaiveForecaster(missing="ffill").fit(days.drop(days.index[30]))
    assert model.n_steps_seen_ == 60


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda y: y.iloc[[0, 1, 1, 2]], "1 duplicate label, first 2024-01-31"),
        (lambda y: y.iloc[[0, 2, 1, 3]], r"position 2 \(2024-01-31\) comes after 2024-02-01"),
        (
            lambda y: y.set_axis(y.index[:-1].append(y.index[-1:] + pd.Timedelta("3h"))),
            r"cannot be inferred",
        ),
        (
            lambda y: pd.concat([y, y.iloc[-1:].set_axis(y.index[-1:] + pd.Timedelta("900D"))]),
            "899 periods are missing",
        ),
    ],
    ids=["duplicate", "unsorted", "off the grid", "a slip of years"],
)
def test_what_is_no_gap_is_refused_all_the_same(rows, message):
    y = whole(MATRIX["D"]).set_axis(list(MATRIX["D"]))
    with pytest.raises(ValueError, match=message):
        NaiveForecaster(missing="ffill").fit(rows(y))


def test_a_stated_frequency_decides_the_grid():
    y = whole(MATRIX["D"])[::2]
    assert NaiveForecaster(missing="ffill").fit(y).predict(1).index.freqstr == "2D"
    with pytest.warns(InsertedRowsWarning, match="lacks 24 rows"):
        model = NaiveForecaster(missing="ffill", freq="D").fit(y.set_axis(list(y.index)))
    assert model.predict(1).index.freqstr == "D"
    with pytest.raises(ValueError, match=r"row 1 .* is not on its grid|does not fit the index"):
        NaiveForecaster(missing="ffill", freq="W").fit(y)
