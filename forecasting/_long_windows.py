"""Cuts for cross-validation over long frames, each series from its own end."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from echocast._checks import stack_level
from echocast.exceptions import EchocastWarning

from ._long_frames import LongTable

__all__ = ["Window", "cut_windows"]


@dataclass(frozen=True)
class Window:
    """Rows before and after the cutoffs of one window; the same series in both."""

    number: int
    train: LongTable
    valid: LongTable

    def cutoffs(self) -> pd.Series:
        """The last training stamp of its series, for each row after it."""
        times = self.train.frame[self.train.spec.time_col]
        last = times.iloc[self.train.starts[1:] - 1]
        return last.iloc[np.repeat(np.arange(len(last)), self.valid.counts)].reset_index(drop=True)

    def keep(self, wanted: np.ndarray) -> Window:
        """The window with some of its series, told by a mask."""
        train, valid = (np.flatnonzero(wanted[t.places]) for t in (self.train, self.valid))
        return Window(self.number, self.train.rows(train), self.valid.rows(valid))


def cut_windows(
    table: LongTable, n_windows: int, h: int, step: int, input_size: int | None
) -> Iterator[Window]:
    """Yield the windows, the oldest first.

    The last one ends with each series' last row, the one before `step` rows earlier, and so on.
    Series without a training row in a window are left out of it, with a warning.
    """
    stops = table.starts[1:] - h - step * (n_windows - 1)
    for number in range(n_windows):
        cuts = stops + number * step
        firsts = table.starts[:-1]
        if input_size is not None:
            firsts = np.maximum(firsts, cuts - input_size)
        long_enough = cuts > firsts
        if not long_enough.any():
            needed = h + step * (n_windows - 1 - number) + 1
            raise ValueError(
                f"All series are too short for window {number + 1} of {n_windows}: at least "
                f"{needed} rows are needed, the longest has {table.counts.max()}. Reduce "
                "`n_windows`, `h` or `step_size`."
            )
        if not long_enough.all():
            short = [str(label) for label in table.ids[~long_enough]]
            shown = ", ".join(short[:3]) + (", ..." if len(short) > 3 else "")
            warnings.warn(
                f"{len(short)} series are too short for window {number + 1} and left out of it: "
                f"{shown}.",
                EchocastWarning,
                stacklevel=stack_level(),
            )
        cuts, firsts = cuts[long_enough], firsts[long_enough]
        yield Window(number, table.rows(_ranges(firsts, cuts)), table.rows(_ranges(cuts, cuts + h)))


def _ranges(starts, stops):
    return np.concatenate([np.arange(a, b) for a, b in zip(starts, stops)])
