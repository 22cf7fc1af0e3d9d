"""Long frames of other libraries: in as pandas frames, and out in the library they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["FrameKind", "take_frame"]


@dataclass(frozen=True)
class FrameKind:
    """The library and the column types of a caller's frame; holds no data."""

    types: dict  # of its columns in pandas
    backend: Any = None  # as narwhals names it; None is pandas
    schema: Any = None  # of its columns in that library

    def restore(self, result: pd.DataFrame, keys: Sequence[tuple[str, str]]) -> Any:
        """A result as a frame of this kind; pairs (column, column whose type it has) are given."""
        typed = result.astype({name: self.types[like] for name, like in keys})
        if self.backend is None:
            return typed
        import narwhals as nw

        frame = nw.from_dict({str(n): _as_array(typed[n]) for n in typed}, backend=self.backend)
        casts = []
        for name, like in keys:
            column, dtype = nw.col(name), self.schema[like]
            zone = getattr(dtype, "time_zone", None)
            if zone is not None:
                column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
            casts.append(column.cast(dtype))
        return frame.with_columns(*casts).to_native()


def take_frame(df: Any, what: str) -> tuple[pd.DataFrame, FrameKind]:
    """A pandas frame of the rows of `df`, and the kind that results should be of.

    Raises
    ------
    ImportError
        If `df` is no pandas frame and narwhals is not installed.
    TypeError
        If `df` is no frame.
    """
    if isinstance(df, pd.DataFrame):
        return df, FrameKind(dict(df.dtypes))
    if not hasattr(df, "columns"):
        raise TypeError(
            f"`{what}` must be a pandas or polars DataFrame in long form, one row for each series "
            f"and time. Found {type(df)}."
        )
    try:
        import narwhals as nw
    except ImportError as error:
        raise ImportError(
            f"Reading a frame of {type(df).__module__.split('.')[0]} needs narwhals: "
            "pip install 'echocast[polars]'."
        ) from error
    whole = nw.from_native(df, eager_only=True)
    frame = pd.DataFrame({name: _as_column(whole[name]) for name in whole.columns})
    return frame, FrameKind(dict(frame.dtypes), whole.implementation.value, dict(whole.schema))


def _as_column(series):
    """A column of another library in pandas, by way of NumPy, which needs no further package."""
    values = pd.Series(series.to_numpy())
    zone = getattr(series.dtype, "time_zone", None)
    return values if zone is None else values.dt.tz_localize("UTC").dt.tz_convert(zone)


def _as_array(column):
    """A column of pandas as what any library reads: times in UTC and microseconds, text as text."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if column.dtype.kind == "M":
        return column.to_numpy(dtype="datetime64[us]")
    numeric = isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub"
    return column.to_numpy() if numeric else column.tolist()
