"""Index kinds in and out: the matrix of frequencies, continuing, and refusals by name."""

import numpy as np
import pandas as pd
import pytest

from echocast.forecasting import MarkovForecaster, NaiveForecaster
from echocast.forecasting._index import read_axis, read_horizon, seasonal_period
from index_matrix import BERLIN, MATRIX, H, N


def values(index):
    return pd.Series(np.arange(len(index), dtype=float), index=index, name="y")


def assert_continues(got, index):
    pd.testing.assert_index_equal(got, index[-H:], exact=True)
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        assert got.freq == index.freq
    assert type(got) is type(index)


@pytest.mark.parametrize("label", MATRIX)
def test_the_forecast_continues_the_index(label):
    y = values(MATRIX[label])
    forecast = NaiveForecaster("drift").fit(y.iloc[:N]).predict(H)
    assert_continues(forecast.index, y.index)
    assert forecast.name == "y"
    np.testing.assert_allclose(forecast, y.iloc[N:])
    wide = pd.DataFrame({"a": y, "b": -y})
    banded = NaiveForecaster("drift").fit(wide.iloc[:N]).predict(H, level=80)
    assert_continues(banded.index, y.index)


@pytest.mark.parametrize("label", MATRIX)
def test_update_and_horizons_by_label(label):
    index = MATRIX[label]
    y = values(index)
    model = NaiveForecaster("drift").fit(y.iloc[: N - 2])
    model.update(y.iloc[N - 2 : N - 1]).update(y.iloc[N - 1 : N])
    assert model.cutoff_ == index[N - 1]
    assert_continues(model.predict(H).index, index)
    picked = model.predict([2, 5]).index
    assert list(picked) == [index[N + 1], index[N + 4]]
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        assert_continues(model.predict(index[-1]).index, index)
    assert list(model.predict(index[[N, N + 3]]).index) == [index[N], index[N + 3]]
    assert_continues(model.predict(index[N:]).index, index)
    with pytest.raises(ValueError, match="one step after the cutoff"):
        model.update(y.iloc[N + 1 : N + 4])
    back = model.apply(y.iloc[: N - 5])
    assert_continues(back.predict(H).index, index[: N - 5 + H])


@pytest.mark.parametrize("label", [k for k in MATRIX if isinstance(MATRIX[k], pd.DatetimeIndex)])
def test_a_frequency_that_is_not_stated_is_inferred(label):
    index = MATRIX[label]
    bare = pd.DatetimeIndex(list(index[:N]), name=index.name).as_unit(index.unit)
    assert bare.freq is None
    got = NaiveForecaster().fit(values(bare)).predict(H).index
    pd.testing.assert_index_equal(got, index[-H:], exact=True)


def test_three_rows_suffice_to_infer_and_one_with_a_stated_frequency():
    y = values(pd.date_range("2024-01-01", periods=3, freq="D"))
    assert NaiveForecaster().fit(y.set_axis(list(y.index))).predict(1).index[0].day == 4
    one = pd.Series([1.0], index=pd.DatetimeIndex(["2024-01-31"]))
    assert str(NaiveForecaster(freq="ME").fit(one).predict(1).index[0].date()) == "2024-02-29"
    with pytest.raises(ValueError, match=r"cannot be inferred from 1 stamp\. Set y\.index\.freq"):
        NaiveForecaster().fit(one)


@pytest.mark.parametrize(
    ("label", "season"),
    [
        ("D", 7), ("B", 5), ("W-THU", 52), ("MS", 12), ("ME", 12), ("QE", 4), ("YS", 1),
        ("h", 24), ("15min", 96), ("2D", 1), ("ms", 1), ("tz D, clocks back", 7),
        ("tz h, clocks back", 24), ("Period M", 12), ("Period h", 24), ("Range", 1), ("int", 1),
    ],
)  # fmt: skip
def test_the_usual_season_of_a_frequency(label, season):
    assert seasonal_period(read_axis(MATRIX[label])) == season


def broken(kind):
    y = values(pd.date_range("2024-01-01", periods=60, freq="D"))
    index = list(y.index)
    if kind == "unsorted":
        index[50], index[51] = index[51], index[50]
    elif kind == "duplicate":
        index[51] = index[50]
    elif kind == "gap":
        return y.drop(y.index[[31]])
    elif kind == "gaps":
        return y.drop(y.index[[31, 40, 41]])
    elif kind == "nat":
        index[7] = index[9] = pd.NaT
    elif kind == "irregular":
        index[10:] = [stamp + pd.Timedelta(hours=3 * i) for i, stamp in enumerate(index[10:])]
    elif kind == "float":
        index = np.linspace(0, 1, 60)
    elif kind == "str":
        index = [str(stamp) for stamp in index]
    elif kind == "object":
        index = pd.Index([stamp.date() for stamp in index], dtype=object)
    elif kind == "timedelta":
        index = pd.timedelta_range(0, periods=60, freq="D")
    elif kind == "categorical":
        index = pd.CategoricalIndex(range(60))
    elif kind == "int gap":
        index = [*range(30), *range(31, 61)]
    elif kind == "period gap":
        return y.to_period("D").drop(pd.Period("2024-02-01"))
    elif kind == "month gap":
        y = values(pd.date_range("2020-01-01", periods=40, freq="MS"))
        return y.drop(y.index[5])
    elif kind == "tz gap":
        y = values(pd.date_range("2024-03-30", periods=60, freq="h", tz=BERLIN))
        return y.drop(y.index[5])
    return y.set_axis(index)


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("unsorted", ValueError,
         r"`y` index must be increasing; position 51 \(2024-02-20\) comes after 2024-02-21\. "
         r"Use y\.sort_index\(\)\."),
        ("duplicate", ValueError,
         r"`y` index has 1 duplicate label, first 2024-02-20 \(rows 50, 51\)\. Use "
         r"y\.groupby\(level=0\)\.mean\(\) or drop them\."),
        ("gap", ValueError,
         r"`y` has freq 'D' but 1 period is missing, first 2024-02-01\. Pass "
         r"missing='ffill' or 'interpolate', or use y\.asfreq\('D'\) and fill the NaN\."),
        ("gaps", ValueError, "3 periods are missing, first 2024-02-01"),
        ("nat", ValueError, "`y` index contains 2 NaT, first at row 7"),
        ("irregular", ValueError,
         r"The frequency of `y` cannot be inferred \(steps from 1 days 00:00:00 to 1 days "
         r"03:00:00\)\. Set y\.index\.freq, or pass freq="),
        ("float", TypeError, r"unsupported index type.*Got Index\(dtype=float64\)"),
        ("str", TypeError, r"unsupported index type.*pd\.to_datetime\(y\.index\)"),
        ("object", TypeError, r"unsupported index type.*Got Index\(dtype=object\)"),
        ("timedelta", TypeError, "unsupported index type"),
        ("categorical", TypeError, "unsupported index type"),
        ("int gap", ValueError, r"follows 29 \(row 29\)"),
        ("period gap", ValueError, "1 period is missing, first 2024-02-01"),
        ("month gap", ValueError, "freq 'MS' but 1 period is missing, first 2020-06-01"),
        ("tz gap", ValueError, "freq 'h' but 1 period is missing, first 2024-03-30 05:00"),
    ],
)  # fmt: skip
def test_a_bad_index_is_refused_naming_the_first_offender(kind, error, message):
    with pytest.raises(error, match=message):
        NaiveForecaster().fit(broken(kind))


def test_missing_integer_labels_are_named():
    y = pd.Series(np.arange(5.0), index=pd.Index([0, 1, 2, pd.NA, 4], dtype="Int64"))
    with pytest.raises(ValueError, match="`y` index contains 1 NA, first at row 3"):
        NaiveForecaster().fit(y)


def test_a_frequency_that_contradicts_the_index():
    y = values(pd.date_range("2024-01-01", periods=20, freq="D"))
    with pytest.raises(ValueError, match="freq='h' does not fit the index: inferred 'D'"):
        NaiveForecaster(freq="h").fit(y)
    with pytest.raises((ValueError, FutureWarning), match="use 'ME' instead"):
        NaiveForecaster(freq="M").fit(y)  # pandas 2.2 only warns
    with pytest.raises(ValueError, match="freq=2 does not fit the index: inferred 1"):
        NaiveForecaster(freq=2).fit(y.reset_index(drop=True))
    with pytest.raises(ValueError, match="its periods are 'D'"):
        NaiveForecaster(freq="h").fit(y.to_period("D"))
    gappy = broken("gap").set_axis(list(broken("gap").index))
    with pytest.raises(ValueError, match="1 period is missing"):
        NaiveForecaster(freq="D").fit(gappy)
    assert NaiveForecaster(freq="D").fit(y).predict(1).index.freqstr == "D"


AXIS = read_axis(pd.date_range("2024-07-01", periods=18, freq="D"))


@pytest.mark.parametrize("horizon", [0, -1, True, 2.0, "x1", None, [], [0, 1], [2, 1], [1, 1], {3}])
def test_a_bad_horizon_is_refused(horizon):
    with pytest.raises(ValueError, match=r"`horizon`|x1"):
        read_horizon(horizon, AXIS)


@pytest.mark.parametrize(
    "horizon",
    [
        1_000_001,
        10**30,
        np.uint64(2**63),
        [1, 10**12],
        np.array([1, 2**63], dtype=np.uint64),
        range(1, 10**15),
        range(10**15, 0, -1),
    ],
)
def test_a_horizon_beyond_all_reason_is_refused_at_once(horizon):
    with pytest.raises(ValueError, match="`horizon` must be at most 1,000,000 steps"):
        read_horizon(horizon, AXIS)
    assert read_horizon(range(999_999, 1_000_001), AXIS)[-1] == 1_000_000


@pytest.mark.parametrize(
    ("index", "end"),
    [
        (pd.date_range("2024", periods=9, freq="s", unit="us"), "9000-01-01"),
        (pd.period_range("2024", periods=9, freq="s"), "9000-01-01"),
        (pd.RangeIndex(9), pd.Index([10**15])),
    ],
)
def test_an_end_beyond_all_reason_is_refused_at_once(index, end):
    with pytest.raises(ValueError, match="`horizon` must be at most 1,000,000 steps"):
        read_horizon(end, read_axis(index))


@pytest.mark.parametrize("freq", [5, 5.0, b"D", ["D"]])
def test_a_freq_of_another_type_is_refused_by_name(freq):
    for index in (pd.date_range("2024", periods=5), pd.period_range("2024", periods=5, freq="D")):
        with pytest.raises(TypeError, match="`freq` must be a pandas frequency, such as 'D'"):
            NaiveForecaster(freq=freq).fit(pd.Series(np.arange(5.0), index=index))


def test_horizons_that_lie_elsewhere_are_refused():
    with pytest.raises(TypeError, match="`horizon` has a MultiIndex"):
        read_horizon(pd.MultiIndex.from_product([["a"], AXIS.after(2)]), AXIS)
    with pytest.raises(ValueError, match="must end after the cutoff 2024-07-18"):
        read_horizon("2024-07-18", AXIS)
    with pytest.raises(ValueError, match="not a step of freq 'D'"):
        read_horizon(pd.DatetimeIndex(["2024-07-19 03:00"]) + pd.Timedelta("1D"), AXIS)
    with pytest.raises(TypeError, match="tz-aware"):
        read_horizon(pd.Timestamp("2024-08-01", tz="UTC"), AXIS)
    with pytest.raises(ValueError, match="y had no dates"):
        read_horizon("2024-08-01", read_axis(pd.RangeIndex(5)))
    with pytest.raises(ValueError, match="beyond the last representable timestamp"):
        NaiveForecaster().fit(
            values(pd.date_range("2024", periods=5, freq="YS", unit="ns"))
        ).predict(10_000)


@pytest.mark.parametrize("horizon", ["3", "soon", pd.NaT, pd.DatetimeIndex([pd.NaT]), pd.Index([])])
def test_what_is_no_date_is_refused_by_name(horizon):
    for axis in (AXIS, read_axis(pd.period_range("2024-07", periods=3, freq="D"))):
        with pytest.raises(ValueError, match="`horizon`"):
            read_horizon(horizon, axis)


def test_an_index_holds_labels_and_never_steps():
    model = NaiveForecaster("drift").fit(values(pd.RangeIndex(10, 30)))
    assert model.predict(pd.RangeIndex(30, 33)).tolist() == [20.0, 21.0, 22.0]
    assert model.predict([1, 3]).tolist() == [20.0, 22.0]
    assert len(NaiveForecaster().fit(np.arange(5.0)).predict(pd.RangeIndex(5, 7))) == 2
    with pytest.raises(ValueError, match="after the cutoff 29"):
        model.predict(pd.Index([1, 2]))
    with pytest.raises(ValueError, match="must be an int >= 1"):
        read_horizon(pd.RangeIndex(1, 3), AXIS)
    with pytest.raises(ValueError, match="must be an int >= 1"):
        model.predict(AXIS.after(2))


def test_new_rows_in_another_zone_leave_the_clocks_of_fit():
    y = values(pd.date_range("2024-03-20", periods=30, freq="D", tz=BERLIN))
    model = NaiveForecaster().fit(y.iloc[:5]).update(y.iloc[5:8].tz_convert("UTC"))
    pd.testing.assert_index_equal(model.predict(22).index, y.index[8:])
    assert model.apply(y.tz_convert("UTC")).cutoff_ == y.index[-1]


def test_a_date_off_the_grid_ends_at_the_last_step_before_it():
    assert list(read_horizon("2024-07-20 12:00", AXIS)) == [1, 2]
    month = read_axis(pd.period_range("2024-01", periods=3, freq="M"))
    assert list(read_horizon("2024-05-20", month)) == [1, 2]


def test_a_local_time_that_does_not_exist_is_pandas_own_error():
    y = values(pd.date_range("2024-03-20 02:30", periods=11, freq="D", tz=BERLIN))
    with pytest.raises(Exception, match="2024-03-31 02:30:00"):
        NaiveForecaster().fit(y).predict(2)


@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
@pytest.mark.parametrize("freq", ["D", "h", "MS", "B", "W-WED", "2MS", "3B", "2h", "SME"])
def test_positions_count_from_the_first_label(freq, tz):
    whole = pd.date_range("2019-12-29", periods=60, freq=freq, tz=tz)
    axis = read_axis(whole[10:40])
    for place in (0, 9, 10, 11, 38, 39, 40, 59):
        assert axis.position_of(whole[place], 29) == place - 10
    between = whole[20] + pd.Timedelta("7min")
    assert axis.position_of(between, 29) == 10
    months = read_axis(pd.period_range("2020-01", periods=5, freq="2M"))
    assert months.position_of(pd.Period("2020-07", "2M"), 4) == 3
    assert read_axis(pd.RangeIndex(10, 20, 2)).position_of(16, 4) == 3


def test_features_of_a_new_row_cost_no_walk_through_the_past(monkeypatch):
    y = values(pd.date_range("1900-01-01", periods=1200, freq="MS"))
    model = MarkovForecaster(2, fourier={12: 1}, calendar=["month"]).fit(y[:1000])
    model.update(y[1000:1100])
    again, longest, date_range = model.apply(y[:1100]), [0], pd.date_range

    def measured(*args, **kwargs):
        labels = date_range(*args, **kwargs)
        longest.append(len(labels))
        return labels

    monkeypatch.setattr(pd, "date_range", measured)
    for row in range(1100, 1103):
        model.update(y[row : row + 1])
        again.update(y[row : row + 1])
        np.testing.assert_allclose(model.predict(2), again.predict(2))
    assert max(longest) <= 4
    assert model._fit_position == again._fit_position == 1102
