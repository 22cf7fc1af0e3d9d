"""Turn the text columns of a CSV file into one regular pandas Series for each series in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echocast._csv import CsvError, TextTable, read_text_table
from echocast._csv_times import looks_like_times, parse_times, regular_index, show_stamp

__all__ = ["SeriesFile", "read_series"]

_TIME_NAMES = {"date", "dates", "datetime", "day", "ds", "hour", "index", "month", "period"} | {
    "quarter",
    "step",
    "t",
    "time",
    "timestamp",
    "week",
    "year",
}
_TIME_NAMES |= {"datum", "jahr", "monat", "quartal", "stunde", "tag", "woche", "zeit"}
_TIME_NAMES |= {"fecha", "jour", "mes", "mois"}
# One number, with a decimal comma perhaps. Where a mark stands twice, three digits follow it, or
# 01.02.2017 would be a number.
_NUMBER = re.compile(
    r"[+-]?(\d+([.,]\d*)?|[.,]\d+|\d{1,3}(,\d{2,3})*,\d{3}(\.\d*)?|\d{1,3}(\.\d{3})+(,\d*)?)"
    r"([eE][+-]?\d+)?"
)
# What only a number with this decimal mark looks like: both marks, or one of them twice.
_TELLING_MARKS = {
    ",": r"[+-]?\d{1,3}((\.\d{3})+,\d*|(\.\d{3}){2,})",
    ".": r"[+-]?\d{1,3}((,\d{2,3})*,\d{3}\.\d*|(,\d{3}){2,})",
}
# Groups of digits end in three, with commas; groups of two before that are Indian usage.
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{2,3})*,\d{3}(\.\d*)?")
_LARGEST = 1e150  # squares of larger numbers, or the sum of these, overflow
_MISSING = {"", "-", ".", "?", "na", "n/a", "#n/a", "nan", "none", "null", "missing"}


@dataclass(frozen=True)
class SeriesFile:
    """What a CSV file holds.

    Attributes
    ----------
    series : dict
        Identifier (None for a file of one series) to Series with a regular index.
    target, time, id_col : str or None
        Names of the columns they came from.
    notes : list of str
        What was taken for granted in reading, for the user to see.
    """

    series: dict[str | None, pd.Series]
    target: str
    time: str | None
    id_col: str | None
    notes: list[str]


def read_series(
    path: str | Path,
    *,
    time: str | None = None,
    target: str | None = None,
    id_col: str | None = None,
    freq: str | None = None,
    date_format: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    missing: str = "raise",
) -> SeriesFile:
    """Read one or several series from a CSV file.

    Parameters
    ----------
    path : str or Path
    time, target, id_col : str, default None
        Columns of time stamps, values and series identifiers. Time and target are found where
        only one column can be meant; without a time column the rows are numbered from 0.
    freq : str, default None
        pandas frequency of the time stamps; None infers it.
    date_format : str, default None
        ``strptime`` format of the time stamps; None tries ISO 8601 and common ones.
    separator, decimal, encoding : str, default None
        None finds them out.
    missing : {"raise", "ffill"}, default "raise"
        What to do about empty cells and missing time stamps. "ffill" repeats the last value,
        which looks at the past alone and so leaks nothing into a backtest.

    Raises
    ------
    CsvError
        With one line that names the column, row and remedy.
    """
    table = read_text_table(path, separator=separator, encoding=encoding)
    try:
        time, target = _choose_columns(table, time, target, id_col, date_format)
        found, notes = {}, [*table.notes]
        others = [name for name in table.columns if name not in (target, id_col)]
        if time is None and others:
            notes.append(
                f"no column of times was found, so the rows are numbered from 0; {_columns(table)} "
                "(--time names the one of times)"
            )
        for name, part in _long_groups(_groups(table, id_col), notes).items():
            try:
                found[name] = _one_series(part, time, target, freq, date_format, decimal, missing)
            except CsvError as error:
                raise CsvError(f"series {name!r}: {error}" if id_col else str(error)) from None
            notes += [note for note in found[name].attrs.pop("notes") if note not in notes]
        notes += _filled(found)
    except CsvError as error:
        raise CsvError(f"{path}: {error}") from None
    return SeriesFile(found, target, time, id_col, notes)


def _choose_columns(table, time, target, id_col, date_format) -> tuple[str | None, str]:
    """Check the columns that were named and find the time and the target if they were not."""
    for option, name in (("--time", time), ("--target", target), ("--id", id_col)):
        if name is not None and name not in table.columns:
            raise CsvError(f"there is no column {name!r} for {option}; {_columns(table)}")
    given = [name for name in (time, target, id_col) if name is not None]
    if len(set(given)) < len(given):
        raise CsvError("--time, --target and --id must name different columns")
    if time is None and date_format is not None:
        time = _find_dates(table, date_format, exclude={target, id_col})
    elif time is None:
        time = _find_time(table, exclude={target, id_col})
    if target is None:
        target = _find_target(table, exclude={time, id_col})
    return time, target


def _one_series(part, time, target, freq, date_format, decimal, missing) -> pd.Series:
    notes: list[str] = []
    values = _to_numbers(part, target, decimal, notes)
    if time is None:
        if freq is not None:
            raise CsvError(f"--freq {freq} needs a column of dates; name it with --time")
        series = pd.Series(values, index=pd.RangeIndex(len(values)), name=target)
    else:
        stamps = parse_times(part.columns[time], part.lines, time, freq, date_format, notes)
        index, order = regular_index(
            stamps, part.lines, time, freq, fill=missing == "ffill", others=_texts(part, time)
        )
        series = pd.Series(values[order], index=stamps[order], name=target).reindex(index)
        if not np.array_equal(order, np.arange(len(order))):
            notes.append(f"rows were sorted by {time!r}")
    n_at_end = len(series) - int(np.flatnonzero(series.notna())[-1]) - 1
    n_missing = int(series.isna().sum())
    if n_at_end and missing == "ffill":
        n_missing -= n_at_end
        series = series.iloc[:-n_at_end]
        notes.append(f"{_last_rows(n_at_end)} no value and {_were(n_at_end)} left out")
    elif n_at_end and n_at_end == n_missing:
        raise CsvError(
            f"{_last_rows(n_at_end)} no value in column {target!r}: remove "
            f"{'them' if n_at_end > 1 else 'it'}, or pass --missing ffill, which leaves "
            f"{'them' if n_at_end > 1 else 'it'} out"
        )
    if n_missing and missing == "raise":
        first = series.index[int(np.argmax(series.isna().to_numpy()))]
        raise CsvError(
            f"column {target!r} has {n_missing} missing value{'s' * (n_missing > 1)}, first at "
            f"{show_stamp(first)}; fill them in the file or pass --missing ffill"
        )
    if n_missing:
        if pd.isna(series.iloc[0]):
            raise CsvError(f"column {target!r} begins with a missing value; drop those rows")
        series = series.ffill()
        series.attrs["n_filled"] = n_missing
    series.attrs["notes"] = notes
    return series


def _filled(series: dict[str | None, pd.Series]) -> list[str]:
    """One note for all values that were filled."""
    counts = {name: y.attrs.pop("n_filled", 0) for name, y in series.items()}
    counts = {name: count for name, count in counts.items() if count}
    if not counts:
        return []
    names, where = [repr(name) for name in counts if name is not None], ""
    if names:
        where = f", in series {names[0]}"
        where += f" and {len(names) - 1} more" if len(names) > 1 else ""
    total = sum(counts.values())
    return [f"missing values were filled with the value before ({total} of them{where})"]


def _last_rows(n_rows: int) -> str:
    return f"the last {n_rows} rows have" if n_rows > 1 else "the last row has"


def _were(n_rows: int) -> str:
    return "were" if n_rows > 1 else "was"


def _groups(table: TextTable, id_col: str | None) -> dict[str | None, TextTable]:
    if id_col is None:
        return {None: table}
    rows: dict[str, list[int]] = {}
    for i, name in enumerate(table.columns[id_col]):
        if not name:
            raise CsvError(f"column {id_col!r} is empty in line {table.lines[i]}")
        rows.setdefault(name, []).append(i)
    return {name: table.select(numbers) for name, numbers in rows.items()}


def _long_groups(parts: dict, notes: list[str]) -> dict[str | None, TextTable]:
    """Leave out series of one row, with a note, unless all are as short."""
    kept = {name: part for name, part in parts.items() if len(part.lines) > 1}
    if not kept:
        return parts
    notes += [f"series {name!r} is left out: it has one row" for name in parts if name not in kept]
    return kept


def _find_dates(table: TextTable, date_format: str, exclude: set) -> str:
    """Return the one column that holds dates of a given format."""
    left = [name for name in table.columns if name not in exclude]
    found = [name for name in left if looks_like_times(table.columns[name], date_format)]
    if len(found) > 1:  # %Y reads any number of four digits
        found = [name for name in found if name.lower() in _TIME_NAMES] or found
    if len(found) == 1:
        return found[0]
    if not found:
        raise CsvError(f"no column holds dates of --date-format {date_format}; {_columns(table)}")
    raise CsvError(_several_times(found))


def _several_times(names: list[str]) -> str:
    listed = ", ".join(map(repr, names))
    return f"several columns may hold the time ({listed}); name one with --time"


def _find_time(table: TextTable, exclude: set) -> str | None:
    """Return the one column that holds times: text that reads as dates, or a telling name."""
    left = [name for name in table.columns if name not in exclude]
    numeric = {name for name in left if _share_of_numbers(table.columns[name]) > 0.5}
    telling = [name for name in left if name.lower() in _TIME_NAMES]
    dates = [name for name in left if name not in numeric and looks_like_times(table.columns[name])]
    for candidates in (dates, telling):
        # A file of one column holds values, whatever that column is called.
        candidates = [name for name in candidates if len(left) > 1 or name not in numeric]
        if len(candidates) == 1:
            return candidates[0]
        if len(candidates) > 1:
            raise CsvError(_several_times(candidates))
    return None


def _find_target(table: TextTable, exclude: set) -> str:
    left = [name for name in table.columns if name not in exclude]
    numeric = [name for name in left if _share_of_numbers(table.columns[name]) > 0.5]
    if len(numeric) == 1:
        return numeric[0]
    if "y" in numeric:
        return "y"
    if not numeric:
        raise CsvError(f"there is no column of numbers to forecast; {_columns(table)}")
    listed = ", ".join(repr(name) for name in numeric[:8]) + ", ..." * (len(numeric) > 8)
    raise CsvError(f"several columns hold numbers ({listed}); name one with --target")


def _columns(table: TextTable) -> str:
    names = list(table.columns)
    return f"columns are {', '.join(map(repr, names[:12]))}" + ", ..." * (len(names) > 12)


def _texts(part: TextTable, time: str) -> list[str]:
    """Return the columns of words that repeat, which may tell several series apart."""
    return [
        name
        for name, cells in part.columns.items()
        if name != time and len(set(cells)) > 1 and _share_of_numbers(cells) == 0
    ]


def _share_of_numbers(cells: list[str]) -> float:
    """Return the share of the first filled cells that are numbers, decimal commas included."""
    head = [cell for cell in cells[:200] if cell.lower() not in _MISSING]
    return sum(_NUMBER.fullmatch(cell) is not None for cell in head) / max(len(head), 1)


def _to_numbers(part: TextTable, name: str, decimal: str | None, notes: list[str]) -> np.ndarray:
    """Return a column as floats, NaN where a cell is empty."""
    cells = pd.Series(part.columns[name], dtype=object)
    is_missing = cells.str.lower().isin(_MISSING).to_numpy()
    filled = cells[~is_missing]
    if filled.empty:
        raise CsvError(f"column {name!r} holds no value at all")
    if decimal is None:
        decimal = _decimal_mark(filled, name, notes)
    if decimal is not None:
        filled = _without_thousands(filled, decimal)
    numbers = np.full(len(cells), np.nan)
    numbers[~is_missing] = [_to_float(cell) for cell in filled]
    bad = ~is_missing & ~np.isfinite(numbers)
    if bad.any():
        row = int(np.argmax(bad))
        mark = f" with the decimal mark {decimal!r}" if decimal else ""
        raise CsvError(
            f"column {name!r} holds {cells[row]!r} in line {part.lines[row]}, which is not a "
            f"finite number{mark}"
        )
    huge = np.abs(numbers) > _LARGEST
    if huge.any():
        row = int(np.argmax(huge))
        raise CsvError(
            f"column {name!r} holds {cells[row]!r} in line {part.lines[row]}, which is too large "
            f"to compute with (above {_LARGEST:g}); correct it or choose another unit"
        )
    return numbers


def _without_thousands(filled: pd.Series, decimal: str) -> pd.Series:
    """Turn the decimal mark into a point and take the marks between thousands out.

    A mark anywhere else stays, so that the cell is no number: 10.57 never becomes 1057.
    """
    pointed = filled.str.translate(str.maketrans(",.", ".,")) if decimal == "," else filled
    grouped = pointed.str.fullmatch(_GROUPED)
    return pointed.where(~grouped, pointed.str.replace(",", "", regex=False))


def _to_float(cell: str) -> float:
    """Return the nearest float, which pandas' own parser misses by a bit in some versions."""
    try:
        return np.nan if "_" in cell else float(cell)
    except ValueError:
        return np.nan


def _decimal_mark(filled: pd.Series, name: str, notes: list[str]) -> str | None:
    """Tell decimal marks from marks between thousands, or ask; None if no cell needs it."""
    commas = filled.str.contains(",", regex=False)
    points = filled.str.contains(".", regex=False)
    told = [mark for mark, shape in _TELLING_MARKS.items() if filled.str.fullmatch(shape).any()]
    if not told and not commas.any():
        return None
    if not told and not points.any():
        thousands = filled[commas].str.fullmatch(r"[+-]?\d{1,3}(,\d{3})+")
        told = [] if thousands.all() else [","]
    if len(told) != 1:
        raise CsvError(
            f"column {name!r} holds commas ({filled[commas].iloc[0]!r}) that may mark decimals or "
            "thousands; pass --decimal , or --decimal ."
        )
    if told == [","] and commas.any():
        notes.append(f"commas in {name!r} were read as decimal points")
    else:
        mark = "points" if told == [","] else "commas"
        notes.append(f"{mark} in {name!r} were read as marks between thousands")
    return told[0]
