"""Indexes of every kind: the last H labels of each are what a forecast from the first N has."""

import numpy as np
import pandas as pd

N, H = 40, 10
BERLIN = "Europe/Berlin"


def dates(start, freq, tz=None):
    return pd.date_range(start, periods=N + H, freq=freq, tz=tz, name="when")


# label -> index of N + H labels; the forecast's index must be the last H of them
MATRIX = {
    "D": dates("2024-01-30", "D"),
    "B": dates("2024-01-30", "B"),
    "W-THU": dates("2024-01-30", "W-THU"),
    "MS": dates("2021-11-01", "MS"),
    "ME": dates("2021-11-01", "ME"),
    "QE": dates("2015-01-01", "QE"),
    "YS": dates("1950-01-01", "YS"),
    "YE": dates("1950-01-01", "YE"),
    "BME": dates("2021-11-01", "BME"),
    "QS-FEB": dates("2015-01-01", "QS-FEB"),
    "2W-MON": dates("2015-01-01", "2W-MON"),
    "D in s": dates("2024-01-30", "D").as_unit("s"),
    "h in ms": dates("2024-01-30", "h").as_unit("ms"),
    "h in us": dates("2024-01-30", "h").as_unit("us"),
    "MS in ns": dates("2024-01-30", "MS").as_unit("ns"),
    "h": dates("2024-02-28 05:00", "h"),
    "15min": dates("2024-02-28 15:00", "15min"),
    "2D": dates("2024-01-30", "2D"),
    "ms": pd.date_range("2024-01-01", periods=N + H, freq="500ms", unit="ms"),
    "tz D, clocks forward": dates("2024-02-25", "D", BERLIN),
    "tz D, clocks back": dates("2024-09-20", "D", BERLIN),
    "tz h, clocks forward": dates("2024-03-29 13:00", "h", BERLIN),
    "tz h, clocks back": dates("2024-10-25 13:00", "h", BERLIN),
    "tz 15min, clocks forward": dates("2024-03-30 18:00", "15min", BERLIN),
    "tz 15min, clocks back": dates("2024-10-26 18:00", "15min", BERLIN),
    "tz B, clocks forward": dates("2024-02-25", "B", BERLIN),
    "tz W-SUN, clocks back": dates("2024-02-25", "W-SUN", BERLIN),
    "tz MS": dates("2021-11-01", "MS", BERLIN),
    "tz UTC h": dates("2024-03-29 13:00", "h", "UTC"),
    "tz h in s, clocks back": dates("2024-10-25 13:00", "h", BERLIN).as_unit("s"),
    "tz D, half an hour off": dates("2024-09-20", "D", "Australia/Lord_Howe"),
    "Period D": pd.period_range("2024-01-30", periods=N + H, freq="D", name="when"),
    "Period M": pd.period_range("2024-01", periods=N + H, freq="M", name="when"),
    "Period Q": pd.period_range("2014Q1", periods=N + H, freq="Q", name="when"),
    "Period h": pd.period_range("2024-01-30 04:00", periods=N + H, freq="h", name="when"),
    "Period Y": pd.period_range("1950", periods=N + H, freq="Y", name="when"),
    "Period W": pd.period_range("2024-01-30", periods=N + H, freq="W", name="when"),
    "Range": pd.RangeIndex(N + H),
    "Range from 7 by 3": pd.RangeIndex(7, 7 + 3 * (N + H), 3, name="n"),
    "int": pd.Index(np.arange(100, 100 + N + H), name="n"),
    "int by 5": pd.Index(np.arange(0, 5 * (N + H), 5)),
    "int32": pd.Index(np.arange(N + H, dtype=np.int32)),
    "Int64": pd.Index(np.arange(N + H), dtype="Int64"),
}
