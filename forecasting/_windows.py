"""Rolling origins: which rows a window trains on, and which it forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from echocast._checks import check_number, check_option

from ._index import show

__all__ = ["Window", "plan_windows"]

_DEFAULT_WINDOWS = 5


@dataclass(frozen=True)
class Window:
    """Half-open row ranges of one origin; the gap lies between `stop` and `first`."""

    start: int  # first training row
    stop: int  # row after the cutoff
    first: int  # first row scored
    last: int  # row after the last one scored


def plan_windows(
    index: pd.Index,
    *,
    horizon: int,
    n_windows: int | None,
    initial: Any,
    step: int | None,
    window: str,
    gap: int,
) -> list[Window]:
    """Place the windows; see `backtest` for the parameters.

    Raises
    ------
    ValueError
        If the series is too short for them.
    """
    owner, n_steps = "backtest", len(index)
    check_number("horizon", horizon, owner, low=1, integer=True)
    check_number("gap", gap, owner, low=0, integer=True)
    check_option("window", window, owner, ("expanding", "sliding"))
    step = horizon if step is None else step
    check_number("step", step, owner, low=1, integer=True)
    if n_windows is not None:
        check_number("n_windows", n_windows, owner, low=1, integer=True)
    ahead = gap + horizon
    if initial is None:
        count = _DEFAULT_WINDOWS if n_windows is None else n_windows
        first_stop = n_steps - ahead - (count - 1) * step
    else:
        first_stop = _training_rows(initial, index)
        fit = (n_steps - ahead - first_stop) // step + 1
        count = fit if n_windows is None else n_windows
    if first_stop < 1 or count < 1 or first_stop + (count - 1) * step + ahead > n_steps:
        raise ValueError(
            f"`y` has {n_steps} rows, too few for {max(count, 1)} window"
            f"{'s' if count > 1 else ''} of horizon {horizon} (gap {gap}, step {step}"
            + (f", initial {initial}" if initial is not None else "")
            + "). Lower n_windows, horizon or initial."
        )
    stops = [first_stop + i * step for i in range(count)]
    length = first_stop
    return [
        Window(0 if window == "expanding" else stop - length, stop, stop + gap, stop + ahead)
        for stop in stops
    ]


def _training_rows(initial, index):
    """Rows of the first training part: a number, or the label of its last row."""
    if isinstance(initial, (int, np.integer)) and not isinstance(initial, bool):
        return int(check_number("initial", initial, "backtest", low=1, integer=True))
    if not isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        check_number("initial", initial, "backtest", low=1, integer=True)
    try:
        rows = int(index.slice_indexer(end=initial).stop)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"`initial` {initial!r} is not a date on the index of `y`.") from error
    if rows < 1:
        raise ValueError(f"`initial` {initial!r} lies before the first row {show(index[0])}.")
    return rows
