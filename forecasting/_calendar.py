"""Features of time itself, known for every future step: calendar and Fourier terms."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from echocast._checks import refuse

from ._index import TimeAxis, read_axis

__all__ = ["list_calendar_features", "make_time_features", "resolve_calendar", "time_features"]

_HARMONICS = {"hour": 3, "minute_of_day": 3, "week": 2, "day_of_month": 2, "day_of_year": 2}
_DAY = pd.Timedelta(days=1)


# -------------------------------------------------------------- calendar columns


def _one_hot(place: np.ndarray, first: int, n_places: int, name: str):
    """A column of zeros and ones for each place but the first, which is where all are zero."""
    places = np.arange(first + 1, first + n_places)
    values = (place[:, None] == places).astype(np.float64)
    return values, [f"{name}_{k}" for k in places]


def _cycle(share: np.ndarray, name: str):
    """Sine and cosine of a place in a cycle, given as a share of it, with a few harmonics."""
    orders = np.arange(1, _HARMONICS[name] + 1)
    angles = 2 * np.pi * share[:, None] * orders
    values = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(share), -1)
    return values, [f"{name}_{wave}{k}" for k in orders for wave in ("sin", "cos")]


def _flag(truth: Any, name: str):
    return np.asarray(truth, dtype=np.float64)[:, None], [name]


def _read(index, attribute):
    return np.asarray(getattr(index, attribute), dtype=np.int64)


def _minutes(index):
    return 60 * _read(index, "hour") + _read(index, "minute") + _read(index, "second") / 60


def _year_share(index):
    leap = np.asarray(index.is_leap_year)
    return (_read(index, "day_of_year") - 1 + _minutes(index) / 1440) / np.where(leap, 366, 365)


def _month_share(index):
    return (_read(index, "day") - 1) / _read(index, "days_in_month")


def _week_share(index):
    week = index.isocalendar().week if isinstance(index, pd.DatetimeIndex) else index.week
    return (np.asarray(week, dtype=np.int64) - 1) / 52.1775


_CALENDAR: dict[str, Callable[[Any], tuple]] = {
    "day_of_month": lambda i: _cycle(_month_share(i), "day_of_month"),
    "day_of_week": lambda i: _one_hot(_read(i, "day_of_week"), 0, 7, "day_of_week"),
    "day_of_year": lambda i: _cycle(_year_share(i), "day_of_year"),
    "days_in_month": lambda i: _flag(_read(i, "days_in_month"), "days_in_month"),
    "hour": lambda i: _cycle(_read(i, "hour") / 24, "hour"),
    "is_month_end": lambda i: _flag(_read(i, "day") == _read(i, "days_in_month"), "is_month_end"),
    "is_month_start": lambda i: _flag(_read(i, "day") == 1, "is_month_start"),
    "is_weekend": lambda i: _flag(_read(i, "day_of_week") >= 5, "is_weekend"),
    "minute_of_day": lambda i: _cycle(_minutes(i) / 1440, "minute_of_day"),
    "month": lambda i: _one_hot(_read(i, "month"), 1, 12, "month"),
    "quarter": lambda i: _one_hot(_read(i, "quarter"), 1, 4, "quarter"),
    "week": lambda i: _cycle(_week_share(i), "week"),
}


def list_calendar_features() -> list[str]:
    """Names that the parameter `calendar` accepts, sorted.

    Examples
    --------
    >>> from echocast.forecasting import list_calendar_features
    >>> list_calendar_features()[:4]
    ['day_of_month', 'day_of_week', 'day_of_year', 'days_in_month']
    """
    return sorted([*_CALENDAR, "trend"])


def resolve_calendar(calendar: Any, axis: TimeAxis, *, owner: str) -> tuple[str, ...]:
    """Names of the calendar features; "auto" is settled by the axis of fit, once for ever.

    "auto" takes the cycles that are longer than a step and of which the rows of fit hold two:
    hour (or minute of the day, for steps shorter than an hour), day of the week, month for
    months, quarter for quarters, week for weeks, and day of the year for days and shorter steps.

    Parameters
    ----------
    calendar : None, "auto", str or list of str
    axis : TimeAxis
        The labels of the rows of fit.
    owner : str
        The estimator's name in messages.

    Raises
    ------
    InvalidParameterError
        If a name is unknown or repeated.
    TypeError
        If the calendar is asked for and the labels are numbers.
    """
    if calendar is None:
        return ()
    names: tuple = ("auto",) if isinstance(calendar, str) and calendar == "auto" else ()
    if not names:
        names = (calendar,) if isinstance(calendar, str) else _as_tuple(calendar)
        known = [*_CALENDAR, "trend"]
        if not names or any(n not in known for n in names) or len(set(names)) < len(names):
            rule = f"None, 'auto' or a list of different names among {list_calendar_features()}"
            refuse("calendar", owner, rule, calendar)
    if axis.is_numbered and set(names) != {"trend"}:
        raise TypeError(
            f"calendar={calendar!r} needs dates, but `y` is indexed by numbers. Use "
            "fourier={period: order}, or a DatetimeIndex or PeriodIndex."
        )
    return _automatic(axis) if names == ("auto",) else names


def _as_tuple(calendar):
    is_list = isinstance(calendar, (list, tuple)) and all(isinstance(n, str) for n in calendar)
    return tuple(calendar) if is_list else ()


def _automatic(axis):
    """Cycles longer than a step of which the axis holds at least two."""
    first, second, last = axis.first, axis.first + axis.freq, axis.last
    if axis.kind == "period":
        first, second, last = first.start_time, second.start_time, last.start_time
    step, span = second - first, last - first
    if step < _DAY:
        clock = "hour" if step % pd.Timedelta(hours=1) == pd.Timedelta(0) else "minute_of_day"
        cycles = [(clock, 1), ("day_of_week", 7), ("day_of_year", 365)]
    elif step < 7 * _DAY:
        cycles = [("day_of_week", 7), ("day_of_year", 365)]
    elif step < 28 * _DAY:
        cycles = [("week", 365)]
    elif step < 89 * _DAY:
        cycles = [("month", 365)]
    else:
        cycles = [("quarter", 365)] if step < 360 * _DAY else []
    return tuple(name for name, days in cycles if span >= 2 * days * _DAY - step)


# --------------------------------------------------------------------- Fourier


def _fourier_terms(fourier, owner) -> list[tuple[float, int]]:
    """Pairs (period, order of the harmonic), each frequency once."""
    if fourier is None:
        return []
    usable = (
        isinstance(fourier, Mapping)
        and len(fourier)
        and all(
            _is_number(period, numbers.Real)
            and 2 <= period < np.inf
            and _is_number(order, numbers.Integral)
            and 1 <= order <= period / 2
            for period, order in fourier.items()
        )
    )
    if not usable:
        rule = (
            "None or a dict {period: order} with periods of 2 steps or more and an int of at least "
            "1 and at most half the period as order"
        )
        refuse("fourier", owner, rule, fourier)
    terms: list[tuple[float, int]] = []
    for period, order in fourier.items():
        for k in range(1, int(order) + 1):
            if all(abs(k / period - j / p) > 1e-12 for p, j in terms):
                terms.append((float(period), k))
    return terms


def _is_number(value, kind):
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_))


def _fourier_columns(positions, terms):
    columns, names = [], []
    for period, k in terms:
        angle = 2 * np.pi * np.mod(k * positions, period) / period
        if 2 * k != period:  # the sine of half a turn is zero at every step
            columns.append(np.sin(angle))
            names.append(f"sin{k}_{period:g}")
        columns.append(np.cos(angle))
        names.append(f"cos{k}_{period:g}")
    return columns, names


# ---------------------------------------------------------------------- public


def time_features(
    index: pd.Index, positions: np.ndarray, *, calendar: Any, fourier: Any, owner: str
) -> tuple[np.ndarray, list[str]]:
    """Features of the labels `index`, whose rows lie `positions` steps after the first of fit.

    Parameters
    ----------
    index : Index of length n
    positions : ndarray of shape (n,)
        Whole steps from the first row of fit.
    calendar : None, "auto" or list of str
        "auto" depends on `index`; a forecaster settles it once by `resolve_calendar`.
    fourier : None or dict
        ``{period: order}`` in steps.
    owner : str
        The estimator's name in messages.

    Returns
    -------
    values : ndarray of shape (n, n_features)
    names : list of str
    """
    names: tuple = ()
    if calendar is not None:
        is_dates = isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex))
        settled = not (isinstance(calendar, str) and calendar == "auto") and is_dates
        # the axis matters to "auto" alone, and a few rows need not have one
        axis = TimeAxis("datetime", None, None, None) if settled else read_axis(index)
        names = resolve_calendar(calendar, axis, owner=owner)
    positions = np.asarray(positions, dtype=np.float64)
    blocks, labels = [np.empty((len(index), 0))], []
    for name in names:
        block, columns = (
            (positions[:, None], ["trend"]) if name == "trend" else _CALENDAR[name](index)
        )
        blocks.append(block)
        labels += columns
    columns, waves = _fourier_columns(positions, _fourier_terms(fourier, owner))
    blocks += [column[:, None] for column in columns]
    return np.concatenate(blocks, axis=1), labels + waves


def make_time_features(
    index: pd.Index, *, calendar: Any = "auto", fourier: Any = None, start: int = 0
) -> pd.DataFrame:
    """Calendar features and Fourier terms as a frame, to build an `X` of one's own with.

    Forecasters make the same columns themselves when given `calendar` and `fourier`.

    Parameters
    ----------
    index : DatetimeIndex, PeriodIndex or Index of integers, of length n
        Labels, for example ``y.index`` and those of the steps to forecast. With a time zone,
        features are those of the clock on the wall.
    calendar : None, "auto" or list of str, default="auto"
        Names from `list_calendar_features`. Months, quarters and days of the week become columns
        of zeros and ones, without the first (January, Monday); hours and minutes of the day, days
        of the month and of the year and weeks become sines and cosines with two or three
        harmonics; "trend" counts steps. "auto" takes the cycles that are longer than one step
        and occur twice in `index`.
    fourier : dict, optional
        ``{period: order}``: sines and cosines of 1 to `order` waves in `period` steps, which need
        not be whole (365.25). A frequency that two periods share appears once.
    start : int, default=0
        Steps from where Fourier terms and the trend count from to the first label. Give the
        number of rows before `index` if they were made before.

    Returns
    -------
    DataFrame of shape (n, n_features)

    Raises
    ------
    InvalidParameterError
        If `calendar` or `fourier` is not one of these.
    TypeError
        If `calendar` is asked of numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from echocast.forecasting import make_time_features
    >>> days = pd.date_range("2024-03-01", periods=3, freq="D")
    >>> make_time_features(days, calendar=["is_weekend"], fourier={7: 1}).round(3)
                is_weekend  sin1_7  cos1_7
    2024-03-01         0.0   0.000   1.000
    2024-03-02         1.0   0.782   0.623
    2024-03-03         1.0   0.975  -0.223
    """
    positions = start + np.arange(len(index))
    values, names = time_features(
        index, positions, calendar=calendar, fourier=fourier, owner="make_time_features"
    )
    return pd.DataFrame(values, index=index, columns=names)
