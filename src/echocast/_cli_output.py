"""Where the command writes to, and its tables, files and pictures."""

from __future__ import annotations

import importlib.util
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echocast._cli import UsageError

__all__ = [
    "PICTURES",
    "check_target",
    "format_table",
    "has_matplotlib",
    "save_backtest_picture",
    "save_picture",
    "write_csv",
]

_SHOWN_ROWS = 24
_SHOWN_PANELS = 12
PICTURES = (".pdf", ".png", ".svg")
_NO_CSV = (".ods", ".parquet", ".xls", ".xlsm", ".xlsx")


def has_matplotlib() -> bool:
    """Return whether pictures can be drawn, without loading what draws them."""
    return importlib.util.find_spec("matplotlib") is not None


def check_target(path: Path, option: str, source: Path | None) -> Path:
    """Refuse, before any work is done, a file that could not be written at its end."""
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder")
    if path.suffix.lower() in _NO_CSV:
        raise UsageError(f"{option} {path}: only CSV is written; use {path.with_suffix('.csv')}")
    folder = _followed(path).parent
    if not folder.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}")
    if path.exists() and not path.is_file():  # replacing a device would take it from everybody
        raise UsageError(f"{option} {path} is a device or pipe; name a file")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise UsageError(f"{option} {path} cannot be written")
    if source is not None and path.exists() and path.samefile(source):
        raise UsageError(f"{option} {path} would replace the input file")
    return path


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame, in one step, so that an interruption leaves no half of a file.

    Ten digits are more than any forecast knows, and hide what differs between machines.
    """
    _write_in_one_step(
        path, lambda temporary: frame.to_csv(temporary, index=False, float_format="%.10g")
    )


def _followed(path: Path) -> Path:
    """Return the file that a symbolic link stands for, so that the link outlives its file."""
    return Path(os.path.realpath(path))


def _write_in_one_step(path: Path, write: Callable[[Path], Any]) -> None:
    path = _followed(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".echocast-") as folder:
        temporary = Path(folder) / path.name
        write(temporary)
        os.replace(temporary, path)


def format_table(frame: pd.DataFrame) -> str:
    """Return a frame, without its index, as text: the first column to the left, others right.

    All floats have the same decimals, which give the largest about four significant digits; if
    eight are too few for that, powers of ten are shown.
    """
    shown = frame if len(frame) <= _SHOWN_ROWS else frame.iloc[: _SHOWN_ROWS - 2]
    shape = _float_format(shown)
    columns = [_cells(shown[name], shape) for name in shown]
    widths = [
        max(len(str(name)), *map(len, cells)) for name, cells in zip(shown, columns, strict=True)
    ]
    rows = [list(map(str, shown)), *map(list, zip(*columns, strict=True))]
    lines = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if len(shown) < len(frame):
        lines.append(f"... and {len(frame) - len(shown)} more rows")
    return "\n".join(lines)


def _float_format(frame: pd.DataFrame) -> str:
    """Return the format of the floats of a table."""
    floats = frame.select_dtypes([np.floating]).to_numpy()
    largest = float(np.nanmax(np.abs(floats), initial=0.0))
    digits_before = math.floor(math.log10(largest)) + 1 if largest > 0 else 1
    return ".3e" if digits_before < -4 else f".{max(4 - digits_before, 0)}f"


def _cells(values: pd.Series, shape: str) -> list[str]:
    if not pd.api.types.is_float_dtype(values):
        return [str(value) for value in values]
    return ["-" if math.isnan(value) else f"{value:{shape}}" for value in values]


def save_picture(
    path: Path,
    histories: dict[str | None, pd.Series],
    forecasts: dict[str | None, pd.DataFrame],
) -> None:
    """Draw the end of each series and its forecast, one panel a series.

    Parameters
    ----------
    path : Path
        Its extension, one of `PICTURES`, says the kind of picture.
    histories, forecasts : dict
        By series; a forecast has the columns "forecast", "lo-80", "hi-80", ...
    """
    # The figure by itself, without pyplot, opens no window whatever the backend.
    from matplotlib.figure import Figure

    from echocast.forecasting import ForecastDisplay

    shown = list(forecasts)[:_SHOWN_PANELS]
    n_columns = 1 if len(shown) == 1 else 2 if len(shown) <= 6 else 3
    n_rows = -(-len(shown) // n_columns)
    figure = Figure(
        figsize=(9.0 if n_columns == 1 else 4.5 * n_columns, 4.0 if n_rows == 1 else 2.6 * n_rows),
        layout="constrained",
    )
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, name in zip(grid, shown, strict=False):
        display = ForecastDisplay(forecasts[name], histories[name])
        display.plot(axes, legend=False)
        axes.set_title("" if name is None else name)
        axes.set_ylabel(str(histories[name].name))
        if isinstance(histories[name].index, pd.DatetimeIndex):
            axes.tick_params(axis="x", labelrotation=30)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    kind = path.suffix.lstrip(".").lower()
    _write_in_one_step(path, lambda temporary: figure.savefig(temporary, dpi=150, format=kind))


def save_backtest_picture(path: Path, forecasts: dict[str, pd.DataFrame]) -> None:
    """Draw the forecasts from each origin and the error by step, one row of panels a series.

    Parameters
    ----------
    path : Path
        Its extension, one of `PICTURES`, says the kind of picture.
    forecasts : dict
        By series, ``forecasts`` of a `BacktestResult`.
    """
    from matplotlib.figure import Figure

    from echocast.forecasting import BacktestDisplay

    shown = dict(list(forecasts.items())[:_SHOWN_PANELS])
    figure = Figure(figsize=(10.0, 3.4 * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), 2, squeeze=False, width_ratios=(2.2, 1))
    for axes, (name, frame) in zip(rows, shown.items(), strict=True):
        BacktestDisplay(frame, name).plot(axes)
    kind = path.suffix.lstrip(".").lower()
    _write_in_one_step(path, lambda temporary: figure.savefig(temporary, dpi=150, format=kind))
