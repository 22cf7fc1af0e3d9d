"""Users' own tables: long files and wide frames to series, and back."""

from __future__ import annotations

from os import PathLike
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_wide", "read_long_csv", "to_long"]


def read_long_csv(
    path: str | PathLike[str] | IO[str],
    *,
    id_col: str | None = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
    freq: str | None = None,
    date_format: str | None = None,
) -> pd.Series:
    """Read a CSV file with one observation a row.

    Parameters
    ----------
    path : str, path or text file
        A file with a header row; compressed files are opened by their extension.
    id_col : str or None, default="unique_id"
        Column that names the series, read as text (007 stays 007); None if the file holds one
        series only.
    time_col : str, default="ds"
        Column of the times: dates in the form of ISO 8601 (2024-01-31, 2024-01-31 12:00) or of
        `date_format`, or integers.
    target_col : str, default="y"
        Column of the values; empty cells are missing values and stay NaN.
    freq : str, default=None
        Frequency, as a pandas alias, that the times of every series must have. None takes what
        they show; an irregular series is then returned without a frequency.
    date_format : str, default=None
        Form of the dates in the codes of ``datetime.strptime``, such as "%d/%m/%Y". Other forms
        than ISO 8601 are never guessed, as days and months would be mixed up.

    Returns
    -------
    pandas.Series
        Float64, named `target_col`. With `id_col`, indexed by (series, time), both sorted. Without
        it, sorted by time; regular times give a DatetimeIndex with its freq or a RangeIndex.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, lacks a column, has a time or value that cannot be read, a row
        without series or time, two rows for one time, or does not have the frequency asked for.

    Examples
    --------
    >>> from io import StringIO
    >>> from echocast.datasets import read_long_csv
    >>> file = StringIO("day,load\\n2024-01-01,3.5\\n2024-01-02,\\n2024-01-03,4.0\\n")
    >>> read_long_csv(file, id_col=None, time_col="day", target_col="load")
    day
    2024-01-01    3.5
    2024-01-02    NaN
    2024-01-03    4.0
    Freq: D, Name: load, dtype: float64
    """
    import pandas as pd

    wanted = [column for column in (id_col, time_col, target_col) if column is not None]
    as_text = [id_col] if date_format is None else [id_col, time_col]
    try:
        frame = pd.read_csv(path, dtype={name: "str" for name in as_text if name is not None})
    except pd.errors.EmptyDataError:
        raise ValueError("The file is empty; a header row and data are needed.") from None
    lacking = [column for column in wanted if column not in frame.columns]
    if lacking:
        raise ValueError(
            f"Missing columns in the file. Expected {wanted}. Got {list(frame.columns)}."
        )
    if frame.empty:
        raise ValueError("The file has a header but no rows.")
    times = _as_times(frame[time_col], date_format)
    values = _as_numbers(frame[target_col])
    if id_col is None:
        index = pd.Index(times, name=time_col)
        series = pd.Series(values.to_numpy(), index=index, name=target_col).sort_index()
        series.index = _regular(series.index, freq, target_col)
        return series
    _refuse_missing(frame[id_col])
    pairs = pd.MultiIndex.from_arrays([frame[id_col], times], names=[id_col, time_col])
    series = pd.Series(values.to_numpy(), index=pairs, name=target_col).sort_index()
    for name, part in series.groupby(level=0, sort=False):
        _regular(part.index.get_level_values(1), freq, name)
    return series


def from_wide(frame: pd.DataFrame, *, name: str = "y") -> pd.Series:
    """Stack a frame with one column a series into one long series.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_times, n_series)
        Indexed by time, one column a series.
    name : str, default="y"
        Name of the result.

    Returns
    -------
    pandas.Series
        Float64, indexed by (series, time): the columns one after the other. A series starts at its
        first and ends at its last value; missing values between them stay NaN.

    Raises
    ------
    TypeError
        If `frame` is no DataFrame or its columns have several levels.
    ValueError
        If a column name occurs twice, or a column has no value at all.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from echocast.datasets import from_wide
    >>> days = pd.date_range("2024-01-01", periods=3, name="day")
    >>> from_wide(pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [np.nan, 5.0, 6.0]}, index=days))
    series  day
    a       2024-01-01    1.0
            2024-01-02    2.0
            2024-01-03    3.0
    b       2024-01-02    5.0
            2024-01-03    6.0
    Name: y, dtype: float64
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame) or frame.columns.nlevels > 1:
        raise TypeError(
            f"`frame` must be a DataFrame with one column a series. Found {type(frame)}."
        )
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"`frame` has two columns named {twice!r}.")
    parts = {}
    for column in frame.columns:
        values = frame[column].astype("float64")
        if values.first_valid_index() is None:
            raise ValueError(f"Series {column!r} has no value; drop the column.")
        known = values.notna().to_numpy().nonzero()[0]
        parts[column] = values.iloc[known[0] : known[-1] + 1]
    names = [frame.columns.name or "series", frame.index.name or "time"]
    return pd.concat(parts, names=names).rename(name)


def to_long(
    y: pd.Series | pd.DataFrame,
    *,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> pd.DataFrame:
    """Write series as a frame with one observation a row.

    Parameters
    ----------
    y : pandas.Series or pandas.DataFrame
        A series indexed by time, one indexed by (series, time), or a frame with one column a
        series.
    id_col, time_col, target_col : str, default="unique_id", "ds", "y"
        Names of the columns.

    Returns
    -------
    pandas.DataFrame
        Columns `id_col`, `time_col` and `target_col`, numbered rows. A single series is identified
        by its name, or by `target_col` if it has none.

    Raises
    ------
    TypeError
        If `y` is neither.

    Examples
    --------
    >>> import pandas as pd
    >>> from echocast.datasets import to_long
    >>> days = pd.date_range("2024-01-01", periods=2)
    >>> to_long(pd.Series([1.0, 2.0], index=days, name="store_1"))
      unique_id         ds    y
    0   store_1 2024-01-01  1.0
    1   store_1 2024-01-02  2.0
    """
    import pandas as pd

    if isinstance(y, pd.DataFrame):
        y = from_wide(y)
    if not isinstance(y, pd.Series) or y.index.nlevels > 2:
        raise TypeError(
            "`y` must be a pandas Series or DataFrame, indexed by time or by (series, time). "
            f"Found {type(y)}."
        )
    panel = y.index.nlevels == 2
    name = target_col if y.name is None else y.name
    columns: dict[str, Any] = {
        id_col: y.index.get_level_values(0) if panel else name,
        time_col: y.index.get_level_values(1) if panel else y.index,
        target_col: y.to_numpy(),
    }
    return pd.DataFrame(columns, index=range(len(y)))


def _as_times(column: pd.Series, date_format: str | None) -> pd.Series:
    """Return integers as they are, everything else as time stamps."""
    import pandas as pd

    _refuse_missing(column)
    if pd.api.types.is_integer_dtype(column):
        return column
    if pd.api.types.is_numeric_dtype(column):
        raise ValueError(f"Column {column.name!r} holds neither dates nor integers.")
    stamps = pd.to_datetime(column, format=date_format or "ISO8601", errors="coerce")
    bad = stamps.isna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        form = "ISO 8601; pass date_format" if date_format is None else repr(date_format)
        raise ValueError(
            f"Column {column.name!r} holds {column.iloc[row]!r} in row {row + 1}, "
            f"which is no date of the form {form}."
        )
    return stamps


def _as_numbers(column: pd.Series) -> pd.Series:
    """Return the values as floats, with NaN for empty cells only."""
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = (values.isna() & column.notna()).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"Column {column.name!r} holds no number in row {row + 1}: {column.iloc[row]!r}."
        )
    return values


def _refuse_missing(column: pd.Series) -> None:
    """Refuse a key column with empty cells."""
    empty = column.isna().to_numpy()
    if empty.any():
        raise ValueError(f"Column {column.name!r} is empty in row {int(empty.argmax()) + 1}.")


def _regular(index: Any, freq: str | None, name: Any) -> Any:
    """Return sorted times with their frequency; refuse duplicates and a frequency unlike `freq`."""
    import pandas as pd

    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise ValueError(f"Series {name!r} has two rows for {twice}.")
    if isinstance(index, pd.DatetimeIndex):
        if freq is not None:
            try:
                return pd.DatetimeIndex(index, freq=freq, name=index.name)
            except ValueError as error:
                raise ValueError(f"Series {name!r}: {error}") from None
        return pd.DatetimeIndex(index, freq="infer", name=index.name)
    if freq is not None:
        raise ValueError(f"freq={freq!r} does not fit the integer times of series {name!r}.")
    step = index[1] - index[0] if len(index) > 1 else 1
    regular = pd.RangeIndex(index[0], index[-1] + step, step, name=index.name)
    return regular if index.equals(regular) else index
