"""Evaluate a forecaster from rolling origins in the past, each knowing what precedes it."""

from __future__ import annotations

import inspect
import numbers
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone

from echocast._checks import (
    check_generator,
    check_jobs,
    check_number,
    check_option,
    refuse,
    stack_level,
)
from echocast.exceptions import EchocastWarning

from ._backtest_panel import PanelRun, plan_panel
from ._backtest_result import BacktestResult, Part, assemble
from ._backtest_run import Done, SeriesRun, split_groups
from ._exog import refuse_scalar, rows_before
from ._frames import Target, read_target
from ._gaps import complete
from ._index import read_axis, seasonal_period, show
from ._levels import read_levels
from ._metrics import resolve_metric
from ._panel import Panel, is_panel, named, split_panel
from ._windows import plan_windows

__all__ = ["BacktestResult", "backtest", "usual_season"]


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
    scaler: str = "refit",
    level: Any = None,
    metrics: Any = ("mase", "rmsse", "smape"),
    X_future: Any = "actual",
    align: str = "calendar",
    static: Any = None,
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
        As for the forecaster's `fit`; with a (series, time) MultiIndex, a panel.
    X : DataFrame or ndarray, optional
        Exogenous columns for all rows of y; for a panel indexed like it, or by time alone.
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
        True learns in each window, an int k in each k-th; the others (or, if False, all but the
        first) take in the new rows by `update`, with weights and transforms as they are.
    scaler : {"refit", "first_window"}, default="refit"
        What learning again means. "refit" is a new fit. "first_window" keeps transforms, lags,
        penalty and reservoir as the first window had them and learns the readout alone, from
        all rows of the window: exact, and for forecasters with a fast path one pass over the
        data for all windows. Other forecasters do it by ``update(refit=True)``, or where that is
        not possible by new fits; `settings` of the result says what was done.
    level : float or list of float in [1, 100), optional
        Levels of prediction intervals, in per cent.
    metrics : str, callable or sequence of such, default=("mase", "rmsse", "smape")
        "mase", "rmsse", "smape", "mape", "mae", "rmse" or "nrmse", as in the `score` of
        forecasters, or functions ``(y_true, y_pred) -> float``. Coverage comes with `level`.
    X_future : {"actual", "persist"} or callable, default="actual"
        Exogenous rows a forecast is given: the true ones (a claim that they are known in
        advance), the last row before the cutoff repeated, or what ``X_future(X_train, index)``
        returns for the labels `index` (for arrays: the row numbers).
    align : {"calendar", "series_end"}, default="calendar"
        For a panel, whether windows have common cutoff dates, at which nothing later of any
        series is known, or lie before the end of each series. A model for all series
        (``pooling="global"``) then knows, at the cutoff of one series, later rows of others.
    static : DataFrame, optional
        Static columns for the `fit` of a model for all series of a panel.
    season_length : int or "auto", default="auto"
        Season of MASE and RMSSE; "auto" takes the forecaster's own, if it has one, else the
        usual one of the frequency.
    n_jobs : int, optional
        Parallel windows (groups of windows that share a fit) and series, through joblib.
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

    Warns
    -----
    EchocastWarning
        If windows of some series of a panel are skipped, for the reasons in the result's
        `skipped`: the series begins later, ends earlier or is too short to be fitted.

    Notes
    -----
    In the windows of ``window="sliding"`` the fast path learns the readout from the rows of the
    window, but its reservoir has run over the rows before them too. That is no difference to
    a reservoir that has forgotten its first state after the washout.

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import NaiveForecaster, backtest
    >>> result = backtest(NaiveForecaster("mean"), load_sunspots(), horizon=11, metrics="mae")
    >>> len(result.forecasts), float(round(result.summary()["mae"], 1))
    (55, 46.2)
    """
    _check_forecaster(forecaster)
    if not (X is None or isinstance(X, (pd.DataFrame, pd.Series, np.ndarray))):
        refuse_scalar(X)
        raise TypeError(
            f"`X` must be a pandas DataFrame indexed like `y`, or an array. Found {type(X)}."
        )
    if refit is not True and not hasattr(forecaster, "update"):
        raise TypeError(
            f"refit={refit!r} moves on without learning by `update`, which "
            f"{type(forecaster).__name__} does not have. Use refit=True."
        )
    check_option("scaler", scaler, "backtest", ("refit", "first_window"))
    places = {
        "horizon": horizon,
        "n_windows": n_windows,
        "initial": initial,
        "step": step,
        "window": window,
        "gap": gap,
    }
    check_option("align", align, "backtest", ("calendar", "series_end"))
    check_jobs(n_jobs, "backtest")
    metrics = _check_metrics(metrics)
    common = {
        "levels": read_levels(level, "backtest"),
        "X_future": _check_policy(X_future),
        "scaler": scaler,
    }
    settings = {
        "horizon": horizon,
        "step": horizon if step is None else step,
        "window": window,
        "gap": gap,
        "refit": refit,
        "scaler": scaler,
        "path": "loop",
        "X_future": "none" if X is None else getattr(X_future, "__name__", str(X_future)),
        "season_length": season_length,
        "metrics": metrics,
        "level": common["levels"],
        "missing": getattr(forecaster, "missing", "raise"),
    }
    if is_panel(y):
        options = {"align": align, "static": static, "refit": refit}
        work = _panel_work(forecaster, y, X, places, common, options)
        settings.update(align=align, pooling=_pooling(forecaster))
    else:
        work = _series_work(forecaster, y, X, places, common, refit, static)
    settings["season_length"] = _season(forecaster, work.targets, season_length)
    done = _run(work.tasks, n_jobs, _reporter(progress, work.n_windows))
    return _result(work, done, settings)


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


def _check_metrics(metrics):
    metrics = [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics)
    names = [resolve_metric(metric, "backtest", "metrics")[0] for metric in metrics]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"`metrics` of backtest holds two called {twice[0]!r}, and scores are columns of that "
            "name. Give functions names of their own."
        )
    return metrics


def _check_policy(X_future):
    if not callable(X_future) and X_future not in ("actual", "persist"):
        refuse("X_future", "backtest", "'actual', 'persist' or a callable", X_future)
    return X_future


def _season(forecaster, targets, season_length):
    check_number("season_length", season_length, "backtest", low=1, integer=True, also=("auto",))
    if season_length != "auto":
        return int(season_length)
    own = getattr(forecaster, "season_length", "auto")
    return seasonal_period(max(targets, key=len).axis) if own == "auto" else own


def usual_season(forecaster: Any, y: Any) -> int | str:
    """The season that scaled errors of `forecaster` have by default; "auto" if y tells none."""
    own = getattr(forecaster, "season_length", "auto")
    if own != "auto":
        return own
    if not isinstance(y, (pd.Series, pd.DataFrame)):
        return 1  # rows without dates
    try:
        freq = getattr(forecaster, "freq", None)
        index = max(split_panel(y).parts, key=len).index if is_panel(y) else y.index
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EchocastWarning)  # the backtest says it again
            rows = complete(pd.Series(0.0, index), freq=freq, missing="ffill")
        return seasonal_period(read_axis(rows.index, freq=freq))
    except (TypeError, ValueError):
        return "auto"  # no frequency without one of the forecaster's settings


def _learns(n_windows: int, refit: Any) -> list[bool]:
    """Whether the weights learn in each of so many windows."""
    if refit is True or refit is False:
        every = 1 if refit else n_windows
    else:
        every = check_number("refit", refit, "backtest", low=1, integer=True)
    return [i % every == 0 for i in range(n_windows)]


# ------------------------------------------------------------------------- work


class _Work:
    """The series, and the tasks that forecast their windows.

    A task is (run, windows, learns), where ``run(windows, learns, report)`` gives pairs of a
    number of a series and what became of its windows.
    """

    def __init__(self, labels, targets, panel):
        self.labels, self.targets, self.panel = labels, targets, panel
        self.tasks: list[tuple] = []
        self.n_windows = 0
        self.skipped: list[tuple] = []  # number of the series, cutoff, reason

    def add(self, run, windows, learns, scaler):
        """Windows of one fit make a task; under "first_window" that is all of them."""
        groups = split_groups(windows, learns)
        if scaler == "first_window" and groups:
            groups = [(list(windows), list(learns))]
        self.tasks += [(run, *group) for group in groups]
        self.n_windows += len(windows)


class _One:
    """The tasks of one series."""

    def __init__(self, number: int, run: SeriesRun):
        self.number, self.series = number, run

    def run(self, windows, learns, report) -> list[tuple[int, Done]]:
        return [(self.number, self.series.run(windows, learns, report))]


def _read(forecaster, y, freq=None) -> Target:
    """Check y once, before any window is fitted. NaN, if allowed, are filled window by window."""
    freq = getattr(forecaster, "freq", None) or freq
    missing = getattr(forecaster, "missing", "raise")
    return read_target(
        y,
        owner=type(forecaster).__name__,
        freq=freq,
        missing=missing,
        keep_nan=True,
        masks=getattr(forecaster, "_masks", False),
    )


def _series_work(forecaster, y, X, places, common, refit, static):
    if static is not None:
        raise ValueError("`static` columns tell series of a panel apart; y holds one series.")
    freq, missing = getattr(forecaster, "freq", None), getattr(forecaster, "missing", "raise")
    y = complete(y, freq=freq, missing=missing)  # windows are counted in rows of the whole grid
    target = _read(forecaster, y)
    windows = plan_windows(target.index, **places)
    work = _Work([None], [target], panel=False)
    run = SeriesRun(forecaster, y, _aligned(X, target), target, skips=False, **common)
    work.add(_One(0, run), windows, _learns(len(windows), refit), common["scaler"])
    return work


def _panel_work(forecaster, y, X, places, common, options):
    panel = split_panel(y)
    forecaster = _for_panel(forecaster, panel)
    freq = getattr(forecaster, "freq", None) or panel.freq
    panel = panel.completed(freq, getattr(forecaster, "missing", "raise"))
    targets = []
    for label, part in zip(panel.ids, panel.parts):
        with named(label):
            targets.append(_read(forecaster, part, panel.freq))
    plan = plan_panel(panel, freq, options["align"], **places)
    exogs = [_aligned(x, target) for x, target in zip(panel.exog(X), targets)]
    learns = _learns(plan.n_windows, options["refit"])
    work = _Work(list(panel.ids), targets, panel=True)
    work.skipped = list(plan.skipped)
    if _pooling(forecaster) == "global":
        run = PanelRun(forecaster, panel, targets, exogs, options["static"], plan=plan, **common)
        work.add(run, list(range(plan.n_windows)), learns, common["scaler"])
        return work
    if options["static"] is not None:
        raise ValueError("`static` columns are of use to one model for all series; set pooling.")
    for i, (part, x, target) in enumerate(zip(panel.parts, exogs, targets)):
        run = SeriesRun(forecaster, part, x, target, skips=True, **common)
        windows = plan.scored(i)
        work.add(_One(i, run), windows, _learns(len(windows), options["refit"]), common["scaler"])
    return work


def _pooling(forecaster) -> str:
    """ "global" if the forecaster, or one inside of it, is one model for all series."""
    params = forecaster.get_params() if hasattr(forecaster, "get_params") else {}
    pooled = [v for k, v in params.items() if k == "pooling" or k.endswith("__pooling")]
    return "global" if "global" in pooled else "local"


def _for_panel(forecaster: Any, panel: Panel) -> Any:
    """A copy with one seed, and one frequency, for all series and windows."""
    forecaster = clone(forecaster)
    seed = getattr(forecaster, "random_state", 0)
    if not isinstance(seed, numbers.Integral):
        forecaster.random_state = int(check_generator(seed).randint(2**31 - 1))
    if getattr(forecaster, "freq", "") is None:
        forecaster.freq = panel.freq
    return forecaster


def _aligned(X: Any, target: Target) -> Any:
    """X with the rows of y, by label; arrays have them by position."""
    if not isinstance(X, (pd.DataFrame, pd.Series)) or target.form.kind.startswith("array"):
        return X
    if X.index.equals(target.index):
        return X
    if isinstance(X.index, pd.MultiIndex) or not X.index.is_unique:
        return X  # refused by the fit, which says why
    rows = X.index.get_indexer(target.index)
    if target.blank is not None and (rows < 0).any() and X.index.is_monotonic_increasing:
        rows = rows_before(rows, X.index, target.index, target.blank)
    if (rows < 0).any():
        label = show(target.index[int(np.argmin(rows))])
        raise ValueError(f"X must have a row for each row of `y`; there is none for {label}.")
    return X.iloc[rows].set_axis(target.index, axis=0)


# ---------------------------------------------------------------------- running


def _run(tasks, n_jobs, report) -> list[tuple[int, Done]]:
    if n_jobs in (None, 1):
        return [part for run, *group in tasks for part in run.run(*group, report)]
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    done = []
    for (_, windows, _), parts in zip(
        tasks, parallel(delayed(run.run)(*group, _silent) for run, *group in tasks)
    ):
        done += parts
        for _ in windows:
            report()
    return done


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


def _result(work: _Work, done: Sequence[tuple[int, Done]], settings: dict) -> BacktestResult:
    """Everything put together, with a warning if series were skipped."""
    origins: dict[int, list] = {i: [] for i in range(len(work.targets))}
    skipped = list(work.skipped)
    for i, part in done:
        origins[i] += part.origins
        index = work.targets[i].index
        skipped += [(i, index[window.stop - 1], reason) for window, reason in part.skipped]
    used = [part for _, part in done if part.origins]
    named_skips = [(work.labels[i], cutoff, reason) for i, cutoff, reason in skipped]
    if not used:
        label, _, reason = named_skips[0]
        raise ValueError(f"No window of any series could be made. Series {label!r}: {reason}")
    paths, scalers = {part.path for part in used}, {part.scaler for part in used}
    settings["path"] = paths.pop() if len(paths) == 1 else "mixed"
    settings["scaler"] = scalers.pop() if len(scalers) == 1 else "mixed"
    if skipped:
        n_series = len({i for i, _, _ in skipped})
        label, _, reason = named_skips[0]
        warnings.warn(
            f"{len(skipped)} windows of {n_series} series were skipped; see `skipped` of the "
            f"result. The first is series {label!r}: {reason}",
            EchocastWarning,
            stacklevel=stack_level(),
        )
    parts = [
        Part(work.labels[i], work.targets[i], sorted(found, key=lambda o: o.window.stop))
        for i, found in origins.items()
    ]
    return assemble(parts, settings, named_skips, panel=work.panel)
