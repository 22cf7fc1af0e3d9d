"""Regular time axes: check an index, find its frequency, continue it past the end."""

from __future__ import annotations

import datetime
import numbers
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from ._naming import in_panel

__all__ = [
    "TimeAxis",
    "check_increasing",
    "inferred_freq",
    "likely_freq",
    "read_axis",
    "read_freq",
    "read_horizon",
    "seasonal_period",
]

# Steps of one season for each base frequency; the usual cycle of data recorded at that rate.
_SEASONS = {"D": 7, "B": 5, "C": 5, "W": 52, "M": 12, "BM": 12, "Q": 4, "BQ": 4, "Y": 1}
_DAY = 86_400_000_000_000
_MOST_STEPS = 1_000_000  # of a horizon; more is a slip, and would ask for gigabytes


@dataclass(frozen=True)
class TimeAxis:
    """A regular index known by its first and last label; holds no data.

    `freq` is a pandas offset for dates and periods, an int for integer labels.
    """

    kind: str  # "datetime", "period", "range", "integer" or "array"
    first: Any
    last: Any
    freq: Any
    name: Any = None
    unit: str | None = None  # resolution of timestamps, kept in what continues them
    dtype: Any = None  # of integer labels

    def after(self, n_steps: int) -> pd.Index:
        """The `n_steps` labels that follow the last one."""
        if self.is_numbered:
            start = self.last + self.freq
            return self._numbers(start, start + n_steps * self.freq)
        try:
            if self.kind == "period":
                return pd.period_range(
                    self.last + self.freq, periods=n_steps, freq=self.freq, name=self.name
                )
            labels = self._dates(start=self.last, periods=n_steps + 1)
        except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
            raise ValueError(
                f"horizon {n_steps} goes beyond the last representable timestamp: y ends with "
                f"{self.last}."
            ) from error
        return labels[1:]

    def _numbers(self, start, stop):
        if self.kind == "integer":
            return pd.Index(np.arange(start, stop, self.freq), dtype=self.dtype, name=self.name)
        return pd.RangeIndex(start, stop, self.freq, name=self.name)

    def until_last(self, n_steps: int) -> pd.Index:
        """The `n_steps` labels that end with the last one."""
        if self.is_numbered:
            stop = self.last + self.freq
            return self._numbers(stop - n_steps * self.freq, stop)
        if self.kind == "period":
            return pd.period_range(end=self.last, periods=n_steps, freq=self.freq, name=self.name)
        return self._dates(end=self.last, periods=n_steps)

    def _dates(self, **ends):
        return pd.date_range(freq=self.freq, name=self.name, unit=self.unit, **ends)

    def _between(self, first, last):
        try:
            return pd.date_range(first, last, freq=self.freq)
        except pd.errors.OutOfBoundsDatetime as error:  # before pandas 3 all are in nanoseconds
            raise ValueError(
                f"Steps of y from {first} to {last} cannot be counted: nanoseconds end in 2262."
            ) from error

    @property
    def is_numbered(self) -> bool:
        """Whether labels are integers."""
        return self.kind in ("range", "array", "integer")

    def ending(self, last: Any) -> TimeAxis:
        """The same axis with a later last label."""
        return replace(self, last=last)

    def steps_to(self, label: Any) -> int:
        """How many steps `label` lies after the last label (rounded down to the grid)."""
        if self.is_numbered:
            return int((label - self.last) // self.freq)
        if self.kind == "period":
            return (pd.Period(label, freq=self.freq) - self.last).n // self.freq.n
        if label < self.last:
            return -1
        return len(self._between(self.last, label)) - 1

    def position_of(self, label: Any, of_last: int) -> int:
        """Steps from the first label to `label`, in time that its distance to the last one takes.

        Parameters
        ----------
        label : label
            Rounded down to the grid.
        of_last : int
            Position of the last label.
        """
        if self.is_numbered:
            return int((label - self.first) // self.freq)
        if self.kind == "period":
            return (label - self.first).n // self.freq.n
        if label >= self.last:
            return of_last + self.steps_to(label)
        back = self._between(label, self.last)
        if len(back) and back[0] == label and back[-1] == self.last:
            return of_last - len(back) + 1
        low, high = sorted((self.first, label))  # a label between those of the grid
        steps = len(self._between(low, high)) - 1
        return steps if label >= self.first else -steps

    @property
    def freq_name(self) -> str:
        """The frequency as one writes it."""
        return str(getattr(self.freq, "freqstr", self.freq))


def read_axis(index: pd.Index, *, freq: Any = None, what: str = "y") -> TimeAxis:
    """Check that `index` is regular and describe it.

    Raises
    ------
    TypeError
        If the labels are neither dates, periods nor integers, or `freq` is no frequency.
    ValueError
        If labels are missing, repeated, unordered or irregular, or `freq` does not fit them.
    """
    _check_kind(index, what)
    if index.hasnans:
        missing = np.flatnonzero(index.isna())
        kind = "NaT" if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)) else "NA"
        raise ValueError(
            f"`{what}` index contains {len(missing)} {kind}, first at row {missing[0]}."
        )
    check_increasing(index, what)
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)) and not (
        freq is None or isinstance(freq, (str, datetime.timedelta, pd.offsets.BaseOffset))
    ):
        raise TypeError(
            f"`freq` must be a pandas frequency, such as 'D' or an offset, for dates in `{what}`. "
            f"Got {freq!r} ({type(freq).__name__})."
        )
    if isinstance(index, pd.DatetimeIndex):
        offset = _datetime_freq(index, freq, what)
        return TimeAxis("datetime", index[0], index[-1], offset, index.name, index.unit)
    if isinstance(index, pd.PeriodIndex):
        return _period_axis(index, freq, what)
    return _integer_axis(index, freq, what)


def _check_kind(index, what):
    if isinstance(index, pd.MultiIndex):
        raise TypeError(
            f"`{what}` has a MultiIndex (several series) where one series is needed. Choose one, "
            f"for example {what}.xs(label)."
        )
    is_integer = index.dtype.kind in "iu" and not isinstance(
        index, (pd.TimedeltaIndex, pd.CategoricalIndex, pd.IntervalIndex)
    )
    if not (isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)) or is_integer):
        raise TypeError(
            f"`{what}` has an unsupported index type. The index must be a DatetimeIndex, "
            f"PeriodIndex or RangeIndex. Got {type(index).__name__}(dtype={index.dtype}). "
            f"Convert it, for example {what}.index = pd.to_datetime({what}.index)."
        )
    if len(index) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required for "
            f"`{what}`."
        )


def check_increasing(index: pd.Index, what: str) -> None:
    """Refuse repeated and unordered labels, naming the first."""
    repeated = index.duplicated()
    if repeated.any():
        label = index[int(np.argmax(repeated))]
        rows = np.flatnonzero(index == label)
        raise ValueError(
            f"`{what}` index has {int(repeated.sum())} duplicate label"
            f"{'s' if repeated.sum() > 1 else ''}, first {show(label)} (rows "
            f"{', '.join(map(str, rows[:5]))}). Use {what}.groupby(level=0).mean() or drop them."
        )
    if not index.is_monotonic_increasing:
        back = int(np.argmax(np.asarray(index[1:] < index[:-1]))) + 1
        raise ValueError(
            f"`{what}` index must be increasing; position {back} ({show(index[back])}) comes "
            f"after {show(index[back - 1])}. Use {what}.sort_index()."
        )


def show(label: Any) -> str:
    """A label in a message: dates without a midnight time."""
    text = str(label)
    return text.removesuffix(" 00:00:00")


# ------------------------------------------------------------------ frequencies


def read_freq(freq: Any) -> pd.offsets.BaseOffset:
    """A frequency by its name, or itself."""
    try:
        return to_offset(freq)
    except ValueError as error:  # which says what to write in place of old names
        raise ValueError(f"`freq` {freq!r} is none that pandas can read: {error}") from error


def _datetime_freq(index, freq, what):
    if freq is not None:
        offset = read_freq(freq)
        if _fits(index, offset):
            return offset
        found = index.freq if index.freq is not None else inferred_freq(index)
        if found is not None and found != offset:
            raise ValueError(
                f"freq={getattr(offset, 'freqstr', freq)!r} does not fit the index: inferred "
                f"{found.freqstr!r} from `{what}`."
            )
        _refuse_gaps(index, offset, what)
    if index.freq is not None:
        return index.freq
    if len(index) < 3:
        raise ValueError(
            f"The frequency of `{what}` cannot be inferred from {len(index)} stamp"
            f"{'s' if len(index) > 1 else ''}. Set {what}.index.freq, or pass freq=."
        )
    offset = inferred_freq(index)
    if offset is not None:
        return offset
    likely = likely_freq(index)
    if likely is not None:
        _refuse_gaps(index, likely, what)
    steps = index[1:] - index[:-1]
    raise ValueError(
        f"The frequency of `{what}` cannot be inferred (steps from {steps.min()} to "
        f"{steps.max()}). Set {what}.index.freq, or pass freq=."
    )


def _fits(index, offset):
    expected = pd.date_range(index[0], periods=len(index), freq=offset, unit=index.unit)
    return len(expected) == len(index) and bool((expected == index).all())


def inferred_freq(index):
    """Frequency of all stamps, or None; zones are tried in wall-clock and in universal time."""
    views = [index]
    if index.tz is not None:  # across a clock change one of the two views is regular
        views += [index.tz_localize(None), index.tz_convert("UTC")]
    for view in views:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # newer pandas warns of the coming return type
                found = pd.infer_freq(view)
        except ValueError:
            continue
        if found is not None and _fits(index, to_offset(found)):
            return to_offset(found)
    return None


def likely_freq(index):
    """The frequency most stretches of the index have, if every stamp lies on its grid."""
    width = 4
    starts = np.linspace(0, max(len(index) - width, 0), 40).astype(int)
    found = [inferred_freq(index[s : s + width]) for s in sorted(set(starts))]
    for offset, _ in Counter(f for f in found if f is not None).most_common(3):
        grid = pd.date_range(index[0], index[-1], freq=offset)
        if len(grid) > len(index) and index.isin(grid).all():
            return pd.offsets.BDay() if _skips_weekends(index, offset) else offset
    return None


def _skips_weekends(index, offset):
    """Whether days with gaps lie between Monday and Friday alone, over two weekends at least."""
    if offset.freqstr != "D" or (index.day_of_week > 4).any():
        return False
    return (index[-1] - index[0]).days - len(pd.bdate_range(index[0], index[-1])) > 2


def _refuse_gaps(index, offset, what):
    grid = pd.date_range(index[0], index[-1], freq=offset)
    if not index.isin(grid).all():
        odd = int(np.argmin(index.isin(grid)))
        raise ValueError(
            f"freq={offset.freqstr!r} does not fit the index: row {odd} of `{what}` "
            f"({show(index[odd])}) is not on its grid."
        )
    missing = grid.difference(index)
    plural = "s are" if len(missing) > 1 else " is"
    raise ValueError(
        f"`{what}` has freq {offset.freqstr!r} but {len(missing)} period{plural} missing, first "
        f"{show(missing[0])}. {_remedy(what, f'use {what}.asfreq({offset.freqstr!r})')}"
    )


def _remedy(what, reindex):
    """How to fill a gap, which forecasters can do themselves if it is one of y."""
    if in_panel():
        reindex = "reindex that series"
    text = f"pass missing='ffill' or 'interpolate', or {reindex}" if what == "y" else reindex
    return f"{text[0].upper()}{text[1:]} and fill the NaN."


def _period_axis(index, freq, what):
    if freq is not None and freq != index.freqstr and freq != index.freq:
        raise ValueError(
            f"freq={freq!r} does not fit the index: its periods are {index.freqstr!r} in `{what}`."
        )
    ordinals = index.asi8
    step = index.freq.n
    jumps = np.flatnonzero(np.diff(ordinals) != step)
    if len(jumps):
        count = int((np.diff(ordinals)[jumps] // step - 1).sum())
        plural = "s are" if count > 1 else " is"
        raise ValueError(
            f"`{what}` has freq {index.freqstr!r} but {count} period{plural} missing, first "
            f"{index[jumps[0]] + index.freq}. {_remedy(what, 'reindex it with pd.period_range')}"
        )
    return TimeAxis("period", index[0], index[-1], index.freq, index.name)


def _integer_axis(index, freq, what):
    kind = "range" if isinstance(index, pd.RangeIndex) else "integer"
    steps = np.diff(index.to_numpy())
    step = int(steps.min()) if len(steps) else int(freq or getattr(index, "step", 1))
    if freq is not None and (not isinstance(freq, numbers.Integral) or freq != step):
        shown = repr(getattr(freq, "freqstr", freq))
        raise ValueError(f"freq={shown} does not fit the index: inferred {step} from `{what}`.")
    jumps = np.flatnonzero(steps != step)
    if len(jumps):
        first = int(jumps[0])
        raise ValueError(
            f"`{what}` has integer labels with steps from {step} to {steps.max()}; the first "
            f"larger step follows {index[first]} (row {first}). Fill the gap or number the rows "
            "evenly."
        )
    return TimeAxis(kind, int(index[0]), int(index[-1]), step, index.name, None, index.dtype)


# --------------------------------------------------------------- season, horizon


def seasonal_period(axis: TimeAxis) -> int:
    """Steps of the usual season for the frequency: 7 for days, 12 for months, 24 for hours.

    Minutes and seconds have the day as season where it is a whole number of at most 1,440
    steps. Years, integers and arrays have no season: 1.
    """
    if axis.kind not in ("datetime", "period"):
        return 1
    offset = axis.freq
    base = offset.rule_code.split("-")[0].rstrip("SE")  # "MS" and "ME" are both months
    if base in _SEASONS:
        season = _SEASONS[base]
        return season // offset.n if season % offset.n == 0 else 1
    try:
        nanos = offset.nanos
    except ValueError:
        return 1
    whole = _DAY % nanos == 0 and _DAY // nanos <= 1440
    return _DAY // nanos if whole else 1


def read_horizon(horizon: Any, axis: TimeAxis) -> np.ndarray:
    """Turn an int, ints, an end date or an index into increasing steps counted from 1."""
    if isinstance(horizon, numbers.Integral) and not isinstance(horizon, (bool, np.bool_)):
        if horizon < 1:
            _refuse_horizon(horizon)
        _check_reach(horizon)
        return np.arange(1, int(horizon) + 1)
    if isinstance(horizon, (str, pd.Timestamp, pd.Period, np.datetime64)) or (
        hasattr(horizon, "isoformat")
    ):
        return _steps_until(horizon, axis)
    if isinstance(horizon, pd.Index):
        return _steps_at(horizon, axis)
    if isinstance(horizon, (list, tuple, np.ndarray, range)):
        if isinstance(horizon, range) and horizon:
            _check_reach(max(horizon[0], horizon[-1]))
        steps = np.asarray(horizon)
        is_steps = steps.ndim == 1 and len(steps) > 0 and steps.dtype.kind in "iu"
        if is_steps:
            _check_reach(steps.max())
        if is_steps and steps[0] >= 1 and (np.diff(steps.astype(int)) > 0).all():
            return steps.astype(int)
    _refuse_horizon(horizon)


def _check_reach(n_steps) -> None:
    """Refuse a horizon that no forecast can mean, before anything of its length is made."""
    if n_steps > _MOST_STEPS:
        raise ValueError(
            f"`horizon` must be at most {_MOST_STEPS:,} steps after the cutoff. Got {n_steps:,.0f}."
        )


def _refuse_horizon(horizon) -> NoReturn:
    shown = repr(horizon)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise ValueError(
        f"`horizon` must be an int >= 1 or increasing integers (or an end date or an index of "
        f"dates). Got {shown}."
    )


def _steps_until(end, axis):
    if axis.is_numbered and not isinstance(end, numbers.Integral):
        raise ValueError(
            f"`horizon` is the date {end}, but y had no dates; pass the number of steps."
        )
    label = end if axis.is_numbered else _as_date(end, axis)
    if axis.kind == "datetime":
        if label.tz is None and axis.last.tz is not None:
            label = label.tz_localize(axis.last.tz)
        elif label.tz is not None and axis.last.tz is None:
            raise TypeError(f"`horizon` is tz-aware ({label.tz}) and `y` is tz-naive.")
    if axis.kind == "datetime" and label > axis.last:
        # Steps of calendars differ in length, by less than four times; stamps of two
        # resolutions cannot always be subtracted, their seconds can.
        step = (axis.last + axis.freq - axis.last).total_seconds()
        _check_reach((label.timestamp() - axis.last.timestamp()) / step / 4)
    n_steps = axis.steps_to(label)
    if n_steps < 1:
        raise ValueError(
            f"`horizon` must end after the cutoff {show(axis.last)}. Got {show(label)}."
        )
    _check_reach(n_steps)
    return np.arange(1, n_steps + 1)


def _as_date(end, axis):
    """An end date as a label of the axis."""
    try:
        label = pd.Period(end, freq=axis.freq) if axis.kind == "period" else pd.Timestamp(end)
    except (ValueError, TypeError) as error:  # pandas' own text does not say what was wrong where
        raise ValueError(f"`horizon` {end!r} is no date that pandas can read: {error}") from error
    if label is pd.NaT:
        _refuse_horizon(end)
    return label


def _steps_at(labels, axis):
    if isinstance(labels, pd.MultiIndex):
        raise TypeError(
            "`horizon` has a MultiIndex (several series), but fit had a single one. Pass its "
            "second level, for example horizon.droplevel(0)."
        )
    if len(labels) == 0 or labels.hasnans or (labels.dtype.kind in "iu") is not axis.is_numbered:
        _refuse_horizon(labels)
    check_increasing(labels, "horizon")
    n_steps = int(_steps_until(labels[-1], axis)[-1])
    future = axis.after(n_steps)
    positions = future.get_indexer(labels)
    if (positions < 0).any():
        odd = labels[int(np.argmin(positions))]
        raise ValueError(
            f"`horizon` holds {show(odd)}, which is not a step of freq {axis.freq_name!r} after "
            f"the cutoff {show(axis.last)}."
        )
    return positions + 1
