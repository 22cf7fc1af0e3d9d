"""Windows of several series at common dates, and one model for all of them at each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from echocast.exceptions import InvalidParameterError

from ._backtest_result import Origin
from ._backtest_run import Course, Done, fields_of, future_rows, moves, rows_of, split_groups
from ._frames import Target
from ._index import read_axis, show
from ._panel import Panel
from ._windows import Window, plan_windows

__all__ = ["PanelPlan", "PanelRun", "plan_panel"]

_DEFAULT_WINDOWS = 5


@dataclass(frozen=True)
class PanelPlan:
    """For each series and window the rows to train on and to score, in its own positions.

    Parameters
    ----------
    windows : list of list of Window or None
        By series, then window. None where a series has nothing to train on. A window with
        ``first == last`` trains, but is not scored.
    skipped : list of (int, label, str)
        Series, cutoff and reason of what is not scored.
    n_windows : int
    """

    windows: list[list[Window | None]]
    skipped: list[tuple[int, Any, str]]
    n_windows: int

    def at(self, number: int) -> dict[int, Window]:
        """The window of each series that has one of this number."""
        found = ((i, plan[number]) for i, plan in enumerate(self.windows))
        return {i: window for i, window in found if window is not None}

    def scored(self, series: int) -> list[Window]:
        """Windows of a series that have rows to score."""
        return [w for w in self.windows[series] if w is not None and w.first < w.last]


def plan_panel(panel: Panel, freq: Any, align: str, **places: Any) -> PanelPlan:
    """Place the windows of all series.

    Parameters
    ----------
    panel : Panel
    freq : offset or None
        The frequency of all series, where their labels are dates.
    align : {"calendar", "series_end"}
        Whether windows have common cutoffs, or each series those that lie before its own end.
    **places
        As for `plan_windows`.
    """
    if align == "series_end":
        return _plan_from_ends(panel, places)
    grid = _grid(panel, freq)
    common = plan_windows(grid, **places)
    rows, skipped = [], []
    for i, part in enumerate(panel.parts):
        offset = int(grid.get_indexer(part.index[:1])[0])
        mine: list[Window | None] = []
        for window in common:
            placed, reason = _shifted(window, offset, part.index)
            mine.append(placed)
            if reason:
                skipped.append((i, grid[window.stop - 1], reason))
        rows.append(mine)
    return PanelPlan(rows, skipped, len(common))


def _grid(panel, freq):
    """All dates from the first of any series to the last, without gaps."""
    indexes = [part.index for part in panel.parts]
    first, last = min(i[0] for i in indexes), max(i[-1] for i in indexes)
    longest = max(indexes, key=len)
    if isinstance(longest, pd.DatetimeIndex):
        grid = pd.date_range(first, last, freq=freq or read_axis(longest).freq)
    elif isinstance(longest, pd.PeriodIndex):
        grid = pd.period_range(first, last, freq=longest.freq)
    else:
        grid = pd.RangeIndex(first, last + 1, read_axis(longest, freq=freq).freq)
    for label, index in zip(panel.ids, indexes):
        if len(index) and (grid.get_indexer(index[[0, -1]]) < 0).any():
            raise ValueError(
                f"Series {label!r} has labels such as {show(index[-1])} that are not dates of the "
                "other series. Windows at common dates need one frequency; "
                "align='series_end' places them in each series by itself."
            )
    return grid


def _shifted(window, offset, index):
    """A window of the calendar in rows of a series, and why it is not scored, if so."""
    n, stop = len(index), window.stop - offset
    if stop < 1:
        return None, f"begins at {show(index[0])}, after the cutoff"
    start = max(window.start - offset, 0)
    if stop > n:
        reason = f"ends at {show(index[-1])}, before the cutoff"
        return (Window(start, n, n, n) if start < n else None), reason
    first, last = min(window.first - offset, n), min(window.last - offset, n)
    reason = "has no rows to score" if first == last else ""
    return Window(start, stop, first, last), reason


def _plan_from_ends(panel, places):
    """Windows counted from the end of each series; shorter ones have fewer."""
    plans: list[list[Window]] = []
    skipped = []
    count = places["n_windows"] or _DEFAULT_WINDOWS
    for i, part in enumerate(panel.parts):
        try:
            plans.append(_most_windows(part.index, places, count))
        except InvalidParameterError:
            raise
        except ValueError as error:
            plans.append([])
            skipped.append((i, None, str(error)))
    n_windows = max(map(len, plans), default=0)
    padded = [[None] * (n_windows - len(plan)) + plan for plan in plans]
    return PanelPlan(padded, skipped, n_windows)


def _most_windows(index, places, count):
    if places["initial"] is not None:
        return plan_windows(index, **places)
    while True:
        try:
            return plan_windows(index, **(places | {"n_windows": count}))
        except InvalidParameterError:
            raise
        except ValueError:
            if count == 1:
                raise
            count -= 1


@dataclass(frozen=True)
class PanelRun:
    """Everything that the windows of one model for all series have in common."""

    forecaster: Any
    panel: Panel
    targets: list[Target]
    exogs: list
    static: Any
    plan: PanelPlan
    levels: list
    X_future: Any
    scaler: str

    def run(
        self, numbers: Sequence[int], learns: Sequence[bool], report: Callable[[], None]
    ) -> list[tuple[int, Done]]:
        """What became of some windows, given by number, for each series."""
        windows = [[w for w in plan if w is not None] for plan in self.plan.windows]
        if self.scaler == "first_window" and any(learns[1:]) and any(map(moves, windows)):
            plain, out = replace(self, scaler="refit"), []
            for group in split_groups(numbers, learns):
                out += plain.run(*group, report)
            return out
        found: dict[int, tuple[list, list]] = {}
        model, course = None, None
        for k, (number, learn) in enumerate(zip(numbers, learns)):
            began = time.perf_counter()
            spans = self.plan.at(number)
            if model is None:
                model, left_out = self._fit(spans)
            else:
                left_out = dict.fromkeys(spans, "was not there when the model was fitted")
            seen = {i: w.stop for i, w in spans.items() if self.panel.ids[i] in model.members_}
            if course is None:
                course = Course(model, seen, self._move)
            else:
                model = course.go(spans, seen, learn, any(learns[k + 1 :]))
            fitted = time.perf_counter()
            live = [i for i, w in spans.items() if w.first < w.last and i in seen]
            forecasts = self._forecast(model, {i: spans[i] for i in live})
            ended = time.perf_counter()
            shares = [seconds / max(len(live), 1) for seconds in (fitted - began, ended - fitted)]
            for i, window in spans.items():
                origins, skipped = found.setdefault(i, ([], []))
                if i in forecasts:
                    origins.append(Origin(window, forecasts[i], *shares))
                elif i not in seen and window.first < window.last:
                    skipped.append((window, left_out[i]))
            report()
        return [(i, Done(*both, "loop", self.scaler)) for i, both in found.items()]

    def _fit(self, spans):
        """A model of all series that are long enough, and why the others are not in it."""
        spans, left_out = dict(spans), {}
        static = {} if self.static is None else {"static": self.static}
        while True:
            rows = {i: slice(w.start, w.stop) for i, w in spans.items()}
            try:
                model = clone(self.forecaster)
                return model.fit(self._rows(rows), self._exog(rows), **static), left_out
            except InvalidParameterError:
                raise
            except ValueError as error:
                dropped = self._culprits(spans, str(error))
                if len(dropped) == len(spans):
                    raise
                for i in dropped:
                    left_out[i] = str(error)
                    del spans[i]

    def _culprits(self, spans, message):
        """The series that an error of fit names, else the shortest ones."""
        named = [i for i in spans if message.startswith(f"Series {self.panel.ids[i]!r}: ")]
        if named:
            return named
        least = min(w.stop - w.start for w in spans.values())
        return [i for i, w in spans.items() if w.stop - w.start == least]

    def _move(self, model, seen, spans, learn):
        rows = {
            i: slice(start, spans[i].stop)
            for i, start in seen.items()
            if i in spans and spans[i].stop > start
        }
        if not rows:
            return model
        return model.update(self._rows(rows), self._exog(rows), refit=learn)

    def _forecast(self, model, spans):
        """Fields of each series, forecast together."""
        if not spans:
            return {}
        panel = self.panel.choose(list(spans))
        wanted = [self.targets[i].index[w.first : w.last] for i, w in spans.items()]
        options = {"level": self.levels} if self.levels else {}
        futures = [
            future_rows(self.exogs[i], self.X_future, self.targets[i].index, w)
            for i, w in spans.items()
        ]
        X = None if futures[0] is None else _stacked(panel, futures)
        forecast = model.predict(panel.stack(wanted), X, **options)
        ends = np.cumsum([len(index) for index in wanted])[:-1]
        fields = fields_of(forecast, self.targets[0].form, self.levels)
        split = {name: np.split(values, ends) for name, values in fields.items()}
        return {i: {n: parts[k] for n, parts in split.items()} for k, i in enumerate(spans)}

    def _rows(self, rows):
        panel = self.panel.choose(list(rows))
        return _stacked(panel, [self.panel.parts[i].iloc[span] for i, span in rows.items()])

    def _exog(self, rows):
        if self.exogs[0] is None:
            return None
        panel = self.panel.choose(list(rows))
        return _stacked(panel, [rows_of(self.exogs[i], span) for i, span in rows.items()])


def _stacked(panel, parts):
    index = panel.stack([part.index for part in parts])
    return pd.concat(parts, ignore_index=True).set_axis(index, axis=0)
