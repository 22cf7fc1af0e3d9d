"""The windows of one series: all at once where the forecaster can, else one after the other."""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from echocast.exceptions import InvalidParameterError

from ._backtest_result import Origin
from ._frames import Target, fill
from ._recursive_origins import Origins
from ._windows import Window

__all__ = [
    "Course",
    "Done",
    "SeriesRun",
    "fields_of",
    "future_rows",
    "moves",
    "rows_of",
    "split_groups",
]


@dataclass(frozen=True)
class Done:
    """What became of a group of windows."""

    origins: list[Origin]
    skipped: list[tuple[Window, str]]
    path: str  # "fast" or "loop"
    scaler: str  # "refit" or "first_window", as it was done


class Course:
    """A model that takes in new rows, and sometimes learns from all since it last learnt.

    Parameters
    ----------
    model : forecaster
        Fitted.
    seen : Any
        Up to where.
    move : callable
        ``move(model, seen, target, learn)`` gives the model after the rows from `seen` to
        `target`; it may be the same one, changed.
    """

    def __init__(self, model: Any, seen: Any, move: Callable):
        self._learnt = self._model = model
        self._learnt_seen = self._seen = seen
        self._move = move

    def go(self, target: Any, seen: Any, learn: bool, later: bool) -> Any:
        """The model moved on to `target`, which is `seen` then; `later` it will learn again."""
        if learn:
            self._model = self._move(self._learnt, self._learnt_seen, target, True)
            self._learnt, self._learnt_seen = self._model, seen
        else:
            if later and self._model is self._learnt:
                self._model = copy.deepcopy(self._learnt)
            self._model = self._move(self._model, self._seen, target, False)
        self._seen = seen
        return self._model


@dataclass(frozen=True)
class SeriesRun:
    """Everything that the windows of one series have in common."""

    forecaster: Any
    y: Any
    X: Any
    target: Target
    levels: list
    X_future: Any
    scaler: str
    skips: bool  # whether windows that cannot be fitted are left out

    def run(
        self, windows: Sequence[Window], learns: Sequence[bool], report: Callable[[], None]
    ) -> Done:
        """Forecast from each window; the weights learn again where `learns` says so.

        With the scaler "first_window" everything else stays as the first window had it, with
        "refit" the later windows of a group do not learn.
        """
        skipped: list[tuple[Window, str]] = []
        for i, window in enumerate(windows):
            began = time.perf_counter()
            try:
                model = self._fit(window)
            except ValueError as error:
                if not self.skips or isinstance(error, InvalidParameterError):
                    raise
                skipped.append((window, str(error)))
                report()
                continue
            done = self._after(model, windows[i:], learns[i:], began, report)
            return Done(done.origins, skipped + done.skipped, done.path, done.scaler)
        return Done([], skipped, "loop", self.scaler)

    def _fit(self, window):
        rows = slice(window.start, window.stop)
        return clone(self.forecaster).fit(rows_of(self.y, rows), rows_of(self.X, rows))

    def _after(self, model, windows, learns, began, report):
        """All windows of a group whose first one `model` was fitted to."""
        fitted = time.perf_counter()
        if len(windows) > 1:
            origins = self._at_once(model, windows, learns, fitted - began)
            if origins is not None:
                for _ in origins:
                    report()
                return Done(origins, [], "fast", self.scaler)
        if self.scaler == "first_window" and any(learns[1:]) and not _can_go_on(model, windows):
            return self._refitted(windows, learns, report)
        origins, course = [], Course(model, windows[0].stop, self._move)
        for i, (window, learn) in enumerate(zip(windows, learns)):
            if i:
                began = time.perf_counter()
                try:
                    model = course.go(window, window.stop, learn, any(learns[i + 1 :]))
                except ValueError:
                    if not learn:
                        raise
                    return self._refitted(windows, learns, _after_calls(report, i))
                fitted = time.perf_counter()
            fields = self._forecast(model, window)
            ended = time.perf_counter()
            origins.append(Origin(window, fields, fitted - began, ended - fitted))
            report()
        return Done(origins, [], "loop", self.scaler)

    def _refitted(self, windows, learns, report):
        """Each window that learns is fitted by itself, as nothing less is exact."""
        plain = replace(self, scaler="refit")
        parts = [plain.run(*group, report) for group in split_groups(windows, learns)]
        origins = [origin for part in parts for origin in part.origins]
        skipped = [left_out for part in parts for left_out in part.skipped]
        return Done(origins, skipped, "loop", "refit")

    def _move(self, model, seen, window, learn):
        rows = slice(seen, window.stop)
        y, X = rows_of(self.y, rows), rows_of(self.X, rows)
        return model.update(y, X, refit=True) if learn else model.update(y, X)

    # ------------------------------------------------------------- all at once

    def _at_once(self, model, windows, learns, fit_seconds):
        """The origins by the forecaster's own fast path, or None if it has none for this."""
        method = getattr(model, "_backtest_forecasts", None)
        if method is None:
            return None
        first = windows[0].start
        values = self.target.values[first : windows[-1].stop]
        if np.isnan(values).any():
            if getattr(model, "missing", None) != "ffill":
                return None  # what is filled in depends on the rows of each window
            values = fill(values, "ffill")
        began = time.perf_counter()
        exog, known = self._exog(model, windows)
        fields = method(values, exog, _origins(windows, learns, known), self.levels)
        if fields is None:
            return None
        seconds = (time.perf_counter() - began) / len(windows)
        fit_seconds = fit_seconds / len(windows)
        return [
            Origin(w, _scored(w, {n: v[i] for n, v in fields.items()}), fit_seconds, seconds)
            for i, w in enumerate(windows)
        ]

    def _exog(self, model, windows):
        """Exogenous rows up to the last cutoff, and those that each forecast is given."""
        first, last = windows[0].start, max(w.last for w in windows)
        n_ahead = max(w.last - w.stop for w in windows)
        labels = self._labels(first, last)
        cut = windows[-1].stop
        whole = model._read_exog(rows_of(self.X, slice(first, cut)), labels[: cut - first])
        if self.X is None or self.X_future == "actual":
            # past-only columns, which come last, are neither handed over nor looked at any more
            later = rows_of(self.X, slice(cut, last))
            ahead = model._read_exog(later, labels[cut - first :], future=True)
            rows = [whole[:, : ahead.shape[1]], ahead, np.repeat(ahead[-1:], n_ahead, axis=0)]
            starts = np.array([w.stop - first for w in windows])
            return whole, np.concatenate(rows)[starts[:, None] + np.arange(n_ahead)]
        futures = []
        for w in windows:
            given = self._future(w)
            part = model._read_exog(given, self._labels(w.stop, w.last, first), future=True)
            futures.append(np.concatenate([part, np.repeat(part[-1:], n_ahead - len(part), 0)]))
        return whole, np.stack(futures)

    def _labels(self, start, stop, first=None):
        """Labels of rows; those of arrays count from the first row of fit, as their model does."""
        if self.target.form.kind.startswith("array"):
            offset = start if first is None else first
            return pd.RangeIndex(start - offset, stop - offset)
        return self.target.index[start:stop]

    # --------------------------------------------------------- one after the other

    def _forecast(self, model, window):
        """Fields (n_steps, n_columns) of one window."""
        steps = list(range(window.first - window.stop + 1, window.last - window.stop + 1))
        options = {"level": self.levels} if self.levels else {}
        forecast = model.predict(steps, self._future(window), **options)
        return fields_of(forecast, self.target.form, self.levels)

    def _future(self, window):
        return future_rows(self.X, self.X_future, self.target.index, window)


def split_groups(windows: Sequence, learns: Sequence[bool]) -> list[tuple[list, list]]:
    """Runs of windows, and what they learn, that each begin with one that learns."""
    starts = [i for i, learn in enumerate(learns) if learn]
    stops = [*starts[1:], len(windows)]
    return [(list(windows[a:b]), list(learns[a:b])) for a, b in zip(starts, stops)]


def _can_go_on(model, windows):
    """Whether `update` can learn what a window has more than the one before."""
    update = getattr(model, "update", None)
    if update is None or moves(windows):
        return False
    return "refit" in inspect.signature(update).parameters


def moves(windows: Sequence[Window]) -> bool:
    """Whether later windows leave out rows of the first one."""
    return any(window.start != windows[0].start for window in windows)


def _after_calls(report, n_calls):
    """`report` without its first calls, which have been made."""
    left = n_calls

    def rest():
        nonlocal left
        left -= 1
        if left < 0:
            report()

    return rest


def _origins(windows, learns, known) -> Origins:
    first = windows[0].start
    starts, start = [], 0
    for window, learn in zip(windows, learns):
        start = window.start - first if learn else start
        starts.append(start)
    return Origins(
        ends=np.array([w.stop - first for w in windows]),
        starts=np.array(starts),
        learns=np.array(learns, dtype=bool),
        n_steps=max(w.last - w.stop for w in windows),
        known=known,
    )


def _scored(window, fields):
    """The steps of all those forecast that are scored: those after the gap."""
    steps = slice(window.first - window.stop, window.last - window.stop)
    return {name: values[steps] for name, values in fields.items()}


def fields_of(forecast: Any, form: Any, levels: list) -> dict[str, np.ndarray]:
    """Arrays (n_steps, n_columns) by field, from what `predict` returned."""
    names = ["forecast"]
    for level in levels:
        names += [f"lo-{level:g}", f"hi-{level:g}"]
    values = np.asarray(forecast, dtype=np.float64).reshape(len(forecast), form.n_columns, -1)
    return {name: values[:, :, k] for k, name in enumerate(names)}


def future_rows(X: Any, policy: Any, index: pd.Index, window: Window) -> Any:
    """Exogenous rows from the cutoff to the last step, by the policy."""
    if X is None:
        return None
    if policy == "actual":
        return rows_of(X, slice(window.stop, window.last))
    labels = index[window.stop : window.last]
    past = rows_of(X, slice(window.start, window.stop))
    if callable(policy):
        return _made_rows(policy, past, labels)
    if isinstance(past, np.ndarray):
        return np.repeat(past[-1:], len(labels), axis=0)
    return pd.concat([past.iloc[[-1]]] * len(labels)).set_axis(labels)


def _made_rows(policy, past, labels):
    """What the user's function returns for the labels ahead."""
    rows = policy(past, labels)
    if not hasattr(rows, "__len__") or len(rows) == 0:
        found = "nothing" if rows is None else f"{type(rows).__name__} without rows"
        raise ValueError(
            f"X_future(X_train, index) returned {found}; it must return the columns of X for the "
            f"{len(labels)} labels of `index`, for example a DataFrame with that index."
        )
    return rows


def rows_of(data: Any, rows: slice) -> Any:
    """Rows of a frame, series, array or nothing, by position."""
    if data is None:
        return None
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]
