"""Read columns of time stamps: which format, which frequency, and what keeps it from being one."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd

from echocast._csv import CsvError

__all__ = ["looks_like_times", "parse_times", "regular_index", "show_stamp"]

# Tried in this order. Where day and month cannot be told apart, both are tried and the one that
# gives evenly spaced stamps is taken.
_FORMATS = (
    ("%d.%m.%Y",),
    ("%d.%m.%Y %H:%M",),
    ("%d.%m.%Y %H:%M:%S",),
    ("%d.%m.%y",),
    ("%m.%Y",),
    ("%d/%m/%Y", "%m/%d/%Y"),
    ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"),
    ("%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"),
    ("%d-%m-%Y", "%m-%d-%Y"),
    ("%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M"),
    ("%m/%d/%y", "%d/%m/%y"),
    ("%m/%d/%Y %I:%M %p", "%d/%m/%Y %I:%M %p"),
    ("%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p"),
    ("%Y/%m/%d",),
    ("%Y/%m/%d %H:%M",),
    ("%Y/%m/%d %H:%M:%S",),
    ("%Y.%m.%d",),
    ("%Y/%m", "%m/%Y"),
    ("%Y %b", "%b %Y"),
    ("%b-%Y", "%Y-%b"),
    ("%b-%y",),
    ("%B %Y",),
    ("%d %b %Y", "%d %B %Y"),
    ("%d-%b-%Y", "%d-%b-%y"),
    ("%b %d, %Y", "%B %d, %Y"),
    ("%Y-%m-%d %H:%M:%S %z",),
)
_QUARTER = re.compile(r"(?P<year>\d{4})[ -]?Q(?P<quarter>[1-4])|Q(?P<q2>[1-4])[ -](?P<y2>\d{4})")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_OFFSET = re.compile(r"(?<=\d)([+-]\d{2}:?\d{2}|Z)$")


def looks_like_times(cells: list[str], date_format: str | None = None) -> bool:
    """Return whether most of the first filled cells read as dates, of one format or of any."""
    head = [cell for cell in cells if cell][:20]
    if not head:
        return False
    readings = _readings(head) if date_format is None else [("", _read(head, date_format))]
    return max(read.notna().mean() for _, read in readings) > 0.5


def parse_times(
    cells: list[str],
    lines: list[int],
    name: str,
    freq: str | None,
    date_format: str | None,
    notes: list[str],
) -> pd.Index:
    """Return the stamps of a column as an index, in the order of the file.

    Whole numbers stay numbers (an integer index) unless they read as ``YYYYMM``, ``YYYYMMDD`` or
    Unix time, quarters become periods, and all else must be a date.

    Raises
    ------
    CsvError
        If a cell is empty or no date, or if day and month cannot be told apart.
    """
    if "" in cells:
        raise CsvError(f"column {name!r} is empty in line {lines[cells.index('')]}")
    if date_format is not None:
        readings = [(date_format, _read(cells, date_format))]
    elif all(_INTEGER.fullmatch(cell) for cell in cells):
        return _from_integers(np.array([int(cell) for cell in cells]), name, notes)
    elif _QUARTER.fullmatch(cells[0]):
        return _from_quarters(cells, lines, name)
    else:
        readings = _readings(cells)
    best = max(read.notna().sum() for _, read in readings)
    complete = [(shape, read) for shape, read in readings if read.notna().sum() == best]
    if best < len(cells):
        _refuse_cell(cells, lines, name, complete[0][1], best)
    shape, stamps = _choose(complete, name)
    if shape != "ISO8601" and date_format is None:
        notes.append(f"dates in {name!r} were read as {shape}")
    if _has_several_offsets(cells, shape):
        notes.append(f"times in {name!r} have several offsets and were turned into UTC")
    return pd.DatetimeIndex(stamps)


def _readings(cells: list[str]) -> list[tuple[str, pd.Series]]:
    """Return every format that reads some cell, with what it reads."""
    iso = _read(cells, "ISO8601")
    if iso.notna().all():
        return [("ISO8601", iso)]
    found = [("ISO8601", iso)]
    for group in _FORMATS:
        # The first cells decide which formats are worth the whole column.
        found += [
            (shape, _read(cells, shape))
            for shape in group
            if _read(cells[:20], shape).notna().any()
        ]
    return found


def _read(cells: list[str], shape: str) -> pd.Series:
    """Return the stamps that fit one format, NaT where a cell does not."""
    text = pd.Series(cells, dtype=object)
    several = _has_several_offsets(cells, shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pd.to_datetime(text, format=shape, errors="coerce", utc=several)
    except (ValueError, OverflowError):
        return pd.Series(pd.NaT, index=text.index)


def _has_several_offsets(cells: list[str], shape: str) -> bool:
    """Whether stamps, as around a change of clocks, have only UTC in common."""
    with_offset = shape == "ISO8601" or "%z" in shape
    return with_offset and len({cell[found.start() :] for cell, found in _offsets(cells)}) > 1


def _offsets(cells: list[str]):
    return ((cell, found) for cell in cells if (found := _OFFSET.search(cell)))


def _choose(complete: list[tuple[str, pd.Series]], name: str) -> tuple[str, pd.Series]:
    """Pick the reading that is evenly spaced where several formats read every cell."""
    if all(read.equals(complete[0][1]) for _, read in complete):
        return complete[0]
    regular = [
        (shape, read)
        for shape, read in complete
        if _infer(pd.DatetimeIndex(read).sort_values()) is not None
    ]
    if len(regular) == 1:
        return regular[0]
    one, other = complete[0][1], complete[1][1]
    row = int(np.argmax((one != other).to_numpy()))
    raise CsvError(
        f"dates in column {name!r} may be {' or '.join(shape for shape, _ in complete)} (row "
        f"{row + 1} is {show_stamp(one[row])} or {show_stamp(other[row])}); pass --date-format"
    )


def _refuse_cell(cells, lines, name, stamps, n_read) -> None:
    row = int(np.argmax(stamps.isna().to_numpy()))
    if n_read < len(cells) / 2:
        raise CsvError(
            f"column {name!r} does not read as dates (line {lines[row]} holds {cells[row]!r}); "
            "pass --date-format, or another column with --time"
        )
    raise CsvError(f"column {name!r} holds {cells[row]!r} in line {lines[row]}, which is no date")


def _from_integers(numbers: np.ndarray, name: str, notes: list[str]) -> pd.Index:
    low, high = int(numbers.min()), int(numbers.max())
    text = pd.Series(numbers.astype(str), dtype=object)
    for shape, least, most in (("%Y%m%d", 10_000_101, 99_991_231), ("%Y%m", 100_001, 999_912)):
        if least <= low and high <= most:
            read = pd.to_datetime(text, format=shape, errors="coerce")
            if read.notna().all():
                notes.append(f"dates in {name!r} were read as {shape}")
                return pd.DatetimeIndex(read)
    # Unix time between 2001 and 2286, which no counter of steps reaches.
    for unit, factor in (("s", 1), ("ms", 1000)):
        if 10**9 * factor <= low and high < 10**10 * factor:
            notes.append(f"{name!r} was read as Unix time in {unit}")
            stamps = numbers.astype(f"datetime64[{unit}]")
            return pd.DatetimeIndex(stamps)
    return pd.Index(numbers)


def _from_quarters(cells: list[str], lines: list[int], name: str) -> pd.PeriodIndex:
    found = [_QUARTER.fullmatch(cell) for cell in cells]
    for cell, line, match in zip(cells, lines, found, strict=True):
        if match is None:
            raise CsvError(f"column {name!r} holds {cell!r} in line {line}, which is no quarter")
    text = [f"{m['year'] or m['y2']}Q{m['quarter'] or m['q2']}" for m in found if m]
    return pd.PeriodIndex(text, freq="Q")


def regular_index(
    stamps: pd.Index,
    lines: list[int],
    name: str,
    freq: str | None,
    *,
    fill: bool,
    others: list[str],
) -> tuple[pd.Index, np.ndarray]:
    """Return the evenly spaced index of sorted `stamps`, and the order that sorts them.

    Parameters
    ----------
    stamps : DatetimeIndex, PeriodIndex or Index of int
        In the order of the file.
    lines : list of int
        Their lines, for messages.
    name, freq : str
        Column and wished frequency (None infers it).
    fill : bool
        Whether stamps may be missing between the first and the last.
    others : list of str
        Columns that may tell several series apart, named when stamps repeat.

    Raises
    ------
    CsvError
        If stamps repeat, are missing, or are not evenly spaced.
    """
    order = np.argsort(
        np.asarray(stamps.asi8 if hasattr(stamps, "asi8") else stamps), kind="stable"
    )
    ordered = stamps[order]
    if len(ordered) < 2:
        raise CsvError(f"one row is too short a series (line {lines[0]})")
    if ordered.has_duplicates:
        second = int(np.argmax(ordered.duplicated()))
        hint = f"; if the file holds several series, pass --id {others[0]}" if others else ""
        raise CsvError(
            f"column {name!r} holds {show_stamp(ordered[second])} twice, in lines "
            f"{lines[order[second - 1]]} and {lines[order[second]]}{hint}"
        )
    if freq is not None and not isinstance(ordered, pd.DatetimeIndex):
        kind = "quarters" if isinstance(ordered, pd.PeriodIndex) else "whole numbers"
        raise CsvError(f"--freq {freq} is for dates, but column {name!r} holds {kind}")
    index: pd.Index
    if isinstance(ordered, pd.DatetimeIndex):
        index = _even_dates(ordered, name, freq)
    elif isinstance(ordered, pd.PeriodIndex):
        index = pd.period_range(ordered[0], ordered[-1])
    else:
        step = int(np.gcd.reduce(np.diff(ordered)))
        index = pd.RangeIndex(int(ordered[0]), int(ordered[-1]) + step, step)
        if len(index) > 2 * len(ordered):
            raise CsvError(f"the numbers in column {name!r} are not evenly spaced")
    if len(index) > len(ordered) and not fill:
        absent = index[~index.isin(ordered)]
        several = len(absent) > 1
        spacing = getattr(index, "freqstr", None) or f"step {getattr(index, 'step', 1)}"
        raise CsvError(
            f"column {name!r} has spacing {spacing!r}, but {len(absent)} "
            f"{'rows are' if several else 'row is'} missing, first {show_stamp(absent[0])}; add "
            f"{'them' if several else 'it'} or pass --missing ffill"
        )
    return index, order


def _even_dates(ordered: pd.DatetimeIndex, name: str, freq: str | None) -> pd.DatetimeIndex:
    """Return the regular range that holds every stamp and the fewest others."""
    if freq is not None:
        try:
            full = pd.date_range(ordered[0], ordered[-1], freq=freq)
        except ValueError:
            raise CsvError(
                f"--freq {freq} is no frequency that pandas knows; examples are min, h, D, B, W, "
                "MS, ME, QS, YS"
            ) from None
        strangers = ordered.difference(full)
        if len(strangers):
            stranger = show_stamp(strangers[0])
            raise CsvError(
                f"--freq {freq} does not fit column {name!r}: {stranger} is off its grid"
            )
        return full
    best = None
    for candidate in _candidates(ordered):
        full = pd.date_range(ordered[0], ordered[-1], freq=candidate)
        holds_all = ordered.isin(full).all()
        if holds_all and len(full) <= 2 * len(ordered) and (best is None or len(full) < len(best)):
            best = full
    if best is None:
        steps = ordered[1:] - ordered[:-1]
        raise CsvError(
            f"the frequency of column {name!r} cannot be inferred (steps from {steps.min()} to "
            f"{steps.max()}); pass --freq, or make the rows evenly spaced"
        )
    return best


def _candidates(ordered: pd.DatetimeIndex) -> list[str]:
    """Return the frequencies of the whole or, where rows are missing, of short stretches of it."""
    whole = _infer(ordered)
    if whole is not None:
        return [whole]
    length = 5
    starts = np.unique(np.linspace(0, max(len(ordered) - length, 0), 50).astype(int))
    found = [_infer(ordered[start : start + length]) for start in starts]
    steps = (ordered[1:] - ordered[:-1]).value_counts()
    found.append(_step_freq(steps.index[0]))
    return list(dict.fromkeys(freq for freq in found if freq is not None))


def _infer(index: pd.DatetimeIndex) -> str | None:
    if len(index) == 2:
        return _step_freq(index[1] - index[0])
    if len(index) < 3 or not index.is_unique:
        return None
    # Unlike pandas.infer_freq, this means the same in every version of pandas.
    return pd.DatetimeIndex(index, freq="infer").freqstr


def _step_freq(step: pd.Timedelta) -> str:
    """Return the frequency of equal steps, in calendar days where they are whole days."""
    days, rest = divmod(step, pd.Timedelta(days=1))
    if not rest:
        return f"{days}D"
    return pd.tseries.frequencies.to_offset(step).freqstr


def show_stamp(stamp) -> str:
    """Return a stamp as text, without the midnight of a stamp that is a day."""
    return str(stamp).removesuffix(" 00:00:00")
