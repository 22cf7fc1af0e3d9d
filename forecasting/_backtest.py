"""Evaluate a forecaster from rolling origins in the past, each knowing what precedes it."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone

from echocast._checks import check_number, refuse

from ._frames import Target, fill, read_target
from ._index import seasonal_period
from ._levels import read_levels
from ._metrics import coverage, resolve_metric
from ._windows import Window, plan_windows

__all__ = ["BacktestResult", "backtest"]


@dataclass(frozen=True, repr=False)
class BacktestResult:
    """Forecasts and scores from rolling origins.

    Attributes
    ----------
    forecasts : DataFrame
        One row for each origin, variable and step: ``cutoff`` (last label trained on),
        ``time``, ``step`` (counted from the cutoff), ``y``, ``forecast`` and for each level
        ``lo-80``, ``hi-80``, ...; with several variables also ``variable``.
    scores : DataFrame
        One row for each origin (and variable): ``cutoff``, the metrics, ``coverage-80``, ... for
        each level (a share from 0 to 1), and ``fit_seconds`` and ``predict_seconds``.
    settings : dict
        How the windows were made: horizon, step, window, gap, refit, X_future, season_length.
    """

    forecasts: pd.DataFrame
    scores: pd.DataFrame
    settings: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        means = self.summary().drop(["fit_seconds", "predict_seconds"])
        shown = ", ".join(f"{name} {mean:.3g}" for name, mean in means.items())
        windows = self.scores["cutoff"].nunique()
        steps = self.settings.get("horizon", self.forecasts["step"].nunique())
        return f"BacktestResult({windows} windows of {steps} steps; means: {shown})"

    def summary(self) -> pd.Series:
        """Mean of each score over origins and variables; the times are summed over origins.

        Returns
        -------
        Series
        """
        scores = self.scores.drop(columns=["cutoff", "variable"], errors="ignore")
        summary = scores.mean()
        once = self.scores.drop_duplicates("cutoff")  # a window's time stands in each variable
        for name in ("fit_seconds", "predict_seconds"):
            summary[name] = once[name].sum()
        return summary.rename("backtest")

    def plot(self, ax: Any = None) -> Any:
        """Draw the true values and the forecast from each origin.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        matplotlib Axes
        """
        from ._plot import plot_backtest

        return plot_backtest(self, ax)


def backtest(
    forecaster: Any,
    y: Any,
    X: Any = None,
    *,
    horizon: int,
    n_windows: int | None = None,
    initial: Any = None,
    step: int | None = None,
    window: str = "expanding",
    gap: int = 0,
    refit: bool | int = True,
    level: Any = None,
    metrics: Any = ("mase", "rmsse", "smape"),
    X_future: Any = "actual",
    season_length: int | str = "auto",
    n_jobs: int | None = None,
    progress: Any = False,
) -> BacktestResult:
    """Forecast from past origins and compare with what came after each.

    A window trains on rows up to its cutoff and is scored on `horizon` rows after it. Nothing
    after the cutoff reaches the model: transforms, weights and the scales of the metrics are
    learnt again for each window from its training rows alone. (Exogenous columns are the
    exception that `X_future` names.)

    Parameters
    ----------
    forecaster : estimator
        Cloned for each fit; it is not changed itself.
    y : Series, DataFrame or ndarray
        As for the forecaster's `fit`.
    X : DataFrame or ndarray, optional
        Exogenous columns for all rows of y.
    horizon : int
        Steps to forecast from each origin.
    n_windows : int, optional
        Number of origins. By default 5, of which the last ends with the last row of y; with
        `initial` as many as there is room for.
    initial : int or date, optional
        Training rows of the first window (a number, or the label of the last of them); further
        windows follow forwards. By default windows are placed backwards from the end.
    step : int, optional
        Rows between origins; `horizon` by default.
    window : {"expanding", "sliding"}, default="expanding"
        Whether training parts begin with the first row or keep the length of the first one.
    gap : int, default=0
        Rows between the cutoff and the first row scored.
    refit : bool or int, default=True
        True fits in each window, an int k in each k-th; the others (or, if False, all but the
        first) take in the new rows by `update`, with weights and transforms as they are.
    level : float or list of float in [1, 100), optional
        Levels of prediction intervals, in per cent.
    metrics : str, callable or sequence of such, default=("mase", "rmsse", "smape")
        Names as in the `score` of forecasters, or functions ``(y_true, y_pred) -> float``.
    X_future : {"actual", "persist"} or callable, default="actual"
        Exogenous rows a forecast is given: the true ones (a claim that they are known in
        advance), the last row before the cutoff repeated, or what ``X_future(X_train, index)``
        returns for the labels `index` (for arrays: the row numbers).
    season_length : int or "auto", default="auto"
        Season of MASE and RMSSE; "auto" takes the forecaster's own, if it has one, else the
        usual one of the frequency.
    n_jobs : int, optional
        Parallel windows (groups of windows between refits), through joblib.
    progress : bool or callable, default=False
        True writes a counter to the standard error stream; a callable is called as
        ``progress(done, total)`` after each window.

    Returns
    -------
    BacktestResult

    Raises
    ------
    TypeError
        If `forecaster` is not one, or y is of a wrong type.
    ValueError
        If y is unusable or too short for the windows.

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import NaiveForecaster, backtest
    >>> result = backtest(NaiveForecaster("mean"), load_sunspots(), horizon=11, metrics="mae")
    >>> len(result.forecasts), float(round(result.summary()["mae"], 1))
    (55, 46.2)
    """
    _check_forecaster(forecaster)
    target = _read(forecaster, y)
    windows = plan_windows(
        target.index,
        horizon=horizon,
        n_windows=n_windows,
        initial=initial,
        step=step,
        window=window,
        gap=gap,
    )
    metrics = [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics)
    job = _Job(
        forecaster=forecaster,
        y=y,
        X=X,
        target=target,
        levels=read_levels(level, "backtest"),
        metrics=[resolve_metric(metric, "backtest") for metric in metrics],
        X_future=_check_policy(X_future),
        season=_season(forecaster, target, season_length),
    )
    groups = _groups(windows, refit)
    report = _reporter(progress, len(windows))
    parts = _run(job, groups, n_jobs, report)
    settings = {
        "horizon": horizon,
        "step": horizon if step is None else step,
        "window": window,
        "gap": gap,
        "refit": refit,
        "X_future": "none" if X is None else getattr(X_future, "__name__", str(X_future)),
        "season_length": job.season,
    }
    forecasts = pd.concat([f for f, _ in parts], ignore_index=True)
    scores = pd.concat([s for _, s in parts], ignore_index=True)
    return BacktestResult(forecasts, scores, settings)


def _check_forecaster(forecaster: Any) -> None:
    """Refuse estimators of scikit-learn's kind, whose `fit` takes X first, and anything else."""
    fit, predict = getattr(forecaster, "fit", None), getattr(forecaster, "predict", None)
    if isinstance(forecaster, type):
        got = f"the class {forecaster.__name__}, not an instance"
    elif (
        not (callable(fit) and callable(predict))
        or "X" in list(inspect.signature(fit).parameters)[:1]
    ):
        got = type(forecaster).__name__
    else:
        return
    raise TypeError(f"backtest needs a forecaster such as ESNForecaster; got {got}.")


def _read(forecaster, y) -> Target:
    """Check y once, before any window is fitted. NaN, if allowed, are filled window by window."""
    freq = getattr(forecaster, "freq", None)
    missing = getattr(forecaster, "missing", "raise")
    owner = type(forecaster).__name__
    return read_target(y, owner=owner, freq=freq, missing=missing, keep_nan=True)


def _season(forecaster, target, season_length):
    check_number("season_length", season_length, "backtest", low=1, integer=True, also=("auto",))
    if season_length != "auto":
        return int(season_length)
    own = getattr(forecaster, "season_length", "auto")
    return seasonal_period(target.axis) if own == "auto" else own


def _check_policy(X_future):
    if not callable(X_future) and X_future not in ("actual", "persist"):
        refuse("X_future", "backtest", "'actual', 'persist' or a callable", X_future)
    return X_future


def _groups(windows: list[Window], refit: Any) -> list[list[Window]]:
    """Windows that share one fit, in time order."""
    if refit is True:
        size = 1
    elif refit is False:
        size = len(windows)
    else:
        size = check_number("refit", refit, "backtest", low=1, integer=True)
    return [windows[i : i + size] for i in range(0, len(windows), size)]


def _run(job, groups, n_jobs, report):
    if n_jobs in (None, 1):
        return [part for group in groups for part in job.run(group, report)]
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    parts = []
    for group in parallel(delayed(job.run)(group, _silent) for group in groups):
        for part in group:
            parts.append(part)
            report()
    return parts


def _silent() -> None:
    """Progress of a worker: reported by the caller."""


def _reporter(progress: Any, total: int) -> Callable[[], None]:
    """A function to call after each window."""
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if callable(progress):
            progress(done, total)
        elif progress:
            sys.stderr.write(f"\rbacktest: {done} of {total} windows")
            sys.stderr.write("\n" if done == total else "")
            sys.stderr.flush()

    return report


@dataclass(frozen=True)
class _Job:
    """Everything that the windows have in common."""

    forecaster: Any
    y: Any
    X: Any
    target: Target
    levels: list
    metrics: list
    X_future: Any
    season: int

    def run(self, group: Sequence[Window], report: Callable[[], None]) -> list:
        """Fit at the first window, update at the others; (forecasts, scores) of each."""
        parts, model, seen = [], None, 0
        for window in group:
            began = time.perf_counter()
            if model is None:
                rows = slice(window.start, window.stop)
                model = clone(self.forecaster).fit(_rows(self.y, rows), _rows(self.X, rows))
            else:
                rows = slice(seen, window.stop)
                model = model.update(_rows(self.y, rows), _rows(self.X, rows))
            seen = window.stop
            fitted = time.perf_counter()
            parts.append(self._score(model, window, fitted - began))
            report()
        return parts

    def _score(self, model, window, fit_seconds):
        began = time.perf_counter()
        n_ahead = window.last - window.stop
        steps = list(range(window.first - window.stop + 1, n_ahead + 1))
        forecast = model.predict(
            steps, self._future(window), **({"level": self.levels} if self.levels else {})
        )
        seconds = time.perf_counter() - began
        fields = self._fields(forecast)
        truth = self.target.values[window.first : window.last]
        train = fill(self.target.values[window.start : window.stop], "ffill")
        cutoff = self.target.index[window.stop - 1]
        frames, rows = [], []
        for i, label in enumerate(self.target.form.labels):
            data = {"cutoff": [cutoff] * len(steps)}
            row = {"cutoff": cutoff}
            if self.target.form.n_columns > 1:
                data["variable"], row["variable"] = [label] * len(steps), label
            data["time"] = self.target.index[window.first : window.last]
            data["step"], data["y"] = steps, truth[:, i]
            data.update({name: values[:, i] for name, values in fields.items()})
            frames.append(pd.DataFrame(data))
            row.update(
                self._measure(truth[:, i], {k: v[:, i] for k, v in fields.items()}, train[:, i])
            )
            row["fit_seconds"], row["predict_seconds"] = fit_seconds, seconds
            rows.append(row)
        return pd.concat(frames, ignore_index=True), pd.DataFrame(rows)

    def _measure(self, truth, fields, train) -> dict[str, float]:
        """Scores of one variable over the steps that were observed."""
        seen = ~np.isnan(truth)
        names = [name for name, _ in self.metrics] + [f"coverage-{v:g}" for v in self.levels]
        if not seen.any():
            return dict.fromkeys(names, np.nan)
        truth, train = truth[seen], train[~np.isnan(train)]
        fields = {name: values[seen] for name, values in fields.items()}
        scores = [f(truth, fields["forecast"], train, self.season) for _, f in self.metrics]
        for level in self.levels:
            low, high = fields[f"lo-{level:g}"], fields[f"hi-{level:g}"]
            scores.append(coverage(truth, low, high))
        return dict(zip(names, scores))

    def _future(self, window):
        """Exogenous rows from the cutoff to the last step, by the policy."""
        if self.X is None:
            return None
        if self.X_future == "actual":
            return _rows(self.X, slice(window.stop, window.last))
        labels = self.target.index[window.stop : window.last]
        past = _rows(self.X, slice(window.start, window.stop))
        if callable(self.X_future):
            return self.X_future(past, labels)
        if isinstance(past, np.ndarray):
            return np.repeat(past[-1:], len(labels), axis=0)
        return pd.concat([past.iloc[[-1]]] * len(labels)).set_axis(labels)

    def _fields(self, forecast) -> dict[str, np.ndarray]:
        """Arrays (n_steps, n_columns) by field."""
        form = self.target.form
        names = ["forecast"]
        for level in self.levels:
            names += [f"lo-{level:g}", f"hi-{level:g}"]
        values = np.asarray(forecast, dtype=np.float64).reshape(len(forecast), form.n_columns, -1)
        return {name: values[:, :, k] for k, name in enumerate(names)}


def _rows(data: Any, rows: slice) -> Any:
    if data is None:
        return None
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]
