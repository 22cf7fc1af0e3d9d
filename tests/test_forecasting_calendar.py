"""Calendar features and Fourier terms: what each label gives, and that nothing else matters."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from echocast.exceptions import InvalidParameterError
from echocast.forecasting import ESNForecaster, list_calendar_features, make_time_features
from echocast.forecasting._calendar import resolve_calendar, time_features
from echocast.forecasting._index import read_axis

FREQS = ["D", "B", "W-THU", "MS", "QE", "h", "15min", "YE", "7D"]
PERIODS = ["D", "W-THU", "M", "Q", "h", "15min", "Y"]
ROWS = {f: 200 if f == "YE" else 800 for f in FREQS}  # nanoseconds end in the year 2262
INDEXES = [
    *(pd.date_range("2020-01-01", periods=n, freq=f) for f, n in ROWS.items()),
    *(pd.date_range("2020-01-01", periods=n, freq=f, tz="Europe/Berlin") for f, n in ROWS.items()),
    *(pd.period_range("2020-01-01", periods=200 if f == "Y" else 800, freq=f) for f in PERIODS),
]
EVERYTHING = list_calendar_features()


def slow_row(stamp, name):
    """The features of one time stamp, from the standard library's calendar."""
    day, hours = stamp.timetuple(), stamp.hour + stamp.minute / 60
    year = 366 if stamp.year % 4 == 0 and (stamp.year % 100 or stamp.year % 400 == 0) else 365
    month_days = (stamp.replace(day=28) + pd.Timedelta(days=4)).replace(day=1)
    month_days = (month_days - pd.Timedelta(days=1)).day
    if name == "month":
        return [float(day.tm_mon == k) for k in range(2, 13)]
    if name == "quarter":
        return [float((day.tm_mon - 1) // 3 + 1 == k) for k in (2, 3, 4)]
    if name == "day_of_week":
        return [float(day.tm_wday == k) for k in range(1, 7)]
    if name == "is_weekend":
        return [float(day.tm_wday in (5, 6))]
    if name == "is_month_start":
        return [float(day.tm_mday == 1)]
    if name == "is_month_end":
        return [float(day.tm_mday == month_days)]
    if name == "days_in_month":
        return [month_days]
    share, waves = {
        "hour": (stamp.hour / 24, 3),
        "minute_of_day": (hours / 24, 3),
        "day_of_month": ((day.tm_mday - 1) / month_days, 2),
        "day_of_year": ((day.tm_yday - 1 + hours / 24) / year, 2),
        "week": ((stamp.isocalendar()[1] - 1) / 52.1775, 2),
    }[name]
    angles = [2 * math.pi * k * share for k in range(1, waves + 1)]
    return [f(a) for a in angles for f in (math.sin, math.cos)]


@pytest.mark.parametrize("name", [n for n in EVERYTHING if n != "trend"])
def test_features_equal_the_slow_calendar(name):
    stamps = pd.date_range("2019-12-20", periods=900, freq="13h")
    expected = [slow_row(stamp.to_pydatetime(), name) for stamp in stamps]
    made = make_time_features(stamps, calendar=[name])
    assert_allclose(made.to_numpy(), expected, atol=1e-9)
    periods = make_time_features(stamps.to_period("min"), calendar=[name])
    assert_allclose(periods.to_numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("index", INDEXES, ids=lambda i: f"{i.dtype}-{i.freqstr}")
def test_any_stretch_of_any_index_gives_the_rows_of_the_whole(index):
    names = resolve_calendar("auto", read_axis(index), owner="F")
    options = {"calendar": [*names, *(n for n in EVERYTHING if n not in names)], "owner": "F"}
    positions = np.arange(len(index))
    whole, labels = time_features(index, positions, fourier={12: 2, 365.25: 1}, **options)
    assert whole.shape == (len(index), len(labels))
    assert len(set(labels)) == len(labels)
    assert np.isfinite(whole).all()
    n = len(index)
    for first, stop in ((0, 1), (n // 2 - 1, n // 2), (n - n // 3, n)):
        part, same = time_features(
            index[first:stop], positions[first:stop], fourier={12: 2, 365.25: 1}, **options
        )
        assert same == labels
        assert_array_equal(part, whole[first:stop])


@pytest.mark.parametrize(
    ("freq", "n", "expected"),
    [
        ("D", 800, ("day_of_week", "day_of_year")),
        ("D", 100, ("day_of_week",)),
        ("D", 13, ()),
        ("B", 800, ("day_of_week", "day_of_year")),
        ("W-THU", 110, ("week",)),
        ("MS", 24, ("month",)),
        ("ME", 22, ()),
        ("QE", 40, ("quarter",)),
        ("YE", 40, ()),
        ("h", 48, ("hour",)),
        ("h", 400, ("hour", "day_of_week")),
        ("2h", 9000, ("hour", "day_of_week", "day_of_year")),
        ("15min", 400, ("minute_of_day",)),
    ],
)
def test_auto_takes_cycles_that_occur_twice(freq, n, expected):
    axis = read_axis(pd.date_range("2021-01-01", periods=n, freq=freq))
    assert resolve_calendar("auto", axis, owner="F") == expected


def test_weeks_of_periods_have_seven_days():
    axis = read_axis(pd.period_range("2021-01-01", periods=110, freq="W-THU"))
    assert resolve_calendar("auto", axis, owner="F") == ("week",)


@pytest.mark.parametrize("day", ["2024-03-31", "2024-10-27"])
def test_the_clock_on_the_wall_counts(day):
    hours = pd.date_range(day, periods=25, freq="h", tz="Europe/Berlin")
    made = make_time_features(hours, calendar=["hour"])
    clock = np.array([stamp.hour for stamp in hours])
    assert_allclose(made["hour_sin1"], np.sin(2 * np.pi * clock / 24), atol=1e-12)
    assert not np.array_equal(clock[:24], np.arange(24))  # the change is among them


@settings(deadline=None)
@given(
    st.dictionaries(st.floats(2, 400), st.integers(1, 5), min_size=1, max_size=3),
    st.integers(0, 10**6),
)
def test_fourier_terms_count_steps(fourier, start):
    fourier = {period: min(order, int(period // 2)) for period, order in fourier.items()}
    made = make_time_features(
        pd.RangeIndex(30), calendar=None, fourier=fourier, start=start
    ).to_numpy()
    steps = start + np.arange(30)
    expected, used = [], []
    for period, order in fourier.items():
        for k in range(1, order + 1):
            if any(abs(k / period - f) <= 1e-12 for f in used):
                continue
            used.append(k / period)
            waves = (np.sin, np.cos) if 2 * k != period else (np.cos,)
            expected += [wave(2 * np.pi * k * steps / period) for wave in waves]
    assert_allclose(made, np.column_stack(expected), atol=1e-7)


def test_shared_frequencies_and_half_turns_appear_once():
    made = make_time_features(pd.RangeIndex(50), calendar=None, fourier={7: 1, 14: 3, 4: 2})
    assert made.columns.tolist() == [
        "sin1_7",
        "cos1_7",
        "sin1_14",
        "cos1_14",
        "sin3_14",
        "cos3_14",
        "sin1_4",
        "cos1_4",
        "cos2_4",
    ]
    assert np.linalg.matrix_rank(made.to_numpy()) == 9


@pytest.mark.parametrize(
    "options",
    [
        {"calendar": "fortnight"},
        {"calendar": [1]},
        {"calendar": []},
        {"calendar": ["hour", "hour"]},
        {"calendar": {"hour": 1}},
        {"calendar": None, "fourier": {}},
        {"calendar": None, "fourier": {12: 7}},
        {"calendar": None, "fourier": {1.5: 1}},
        {"calendar": None, "fourier": {12: 1.0}},
        {"calendar": None, "fourier": {True: 1}},
        {"calendar": None, "fourier": {"12": 1}},
        {"calendar": None, "fourier": [12]},
        {"calendar": None, "fourier": {np.inf: 1}},
    ],
)
def test_bad_requests_are_refused(options):
    days = pd.date_range("2024-01-01", periods=30, freq="D")
    with pytest.raises(InvalidParameterError, match="parameter of make_time_features must be"):
        make_time_features(days, **options)


@pytest.mark.parametrize("calendar", ["auto", "month", ["hour", "trend"]])
def test_numbers_have_no_calendar(calendar):
    with pytest.raises(TypeError, match="needs dates, but `y` is indexed by numbers"):
        make_time_features(pd.RangeIndex(30), calendar=calendar)


def test_numbers_have_a_trend():
    made = make_time_features(pd.RangeIndex(3), calendar="trend", start=5)
    assert made["trend"].tolist() == [5.0, 6.0, 7.0]


@pytest.mark.parametrize(
    "options", [{"calendar": ["day_of_week"]}, {"calendar": "auto"}, {"fourier": {7: 3}}], ids=str
)
def test_forecasters_use_what_the_calendar_says(options):
    days = pd.date_range("2023-01-02", periods=240, freq="D", tz="Europe/Berlin")
    rng = np.random.RandomState(0)
    y = pd.Series(np.where(days.day_of_week >= 5, 10.0, 0.0) + rng.randn(240), days)
    settings = {"season_length": 1, "lags": 1, "transforms": "standardize", "random_state": 0}
    scores = [
        ESNForecaster(20, **settings, **extra).fit(y[:200]).score(y[200:], metric="rmse")
        for extra in (options, {})
    ]
    assert scores[0] < min(1.2, 0.9 * scores[1]), scores
