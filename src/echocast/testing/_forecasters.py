"""The poison-the-future test of forecasters."""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from echocast.exceptions import EchocastWarning
from echocast.forecasting import backtest

from ._poisons import as_frame, check_poisons, poison, read_cutoffs, times_of, until, with_gap
from ._reports import CausalReport, Ledger

__all__ = ["check_causal", "with_seeds"]


def check_causal(
    forecaster: Any,
    y: Any,
    X: Any = None,
    *,
    horizon: int = 4,
    cutoffs: Any = 2,
    poisons: Any = None,
    level: Any = None,
) -> CausalReport:
    """Replace everything after a cutoff; nothing that is known before it may change by one bit.

    For each cutoff and each poison, three kinds of output are compared with those of the clean
    data: the forecasts of `backtest` from the two last origins up to the cutoff, fitted anew, and
    updated in a backtest that goes on after the cutoff; those of ``fit(y, X)`` and
    ``predict(horizon, X)`` when X goes on beyond the horizon; and the `fitted_values` up to the
    cutoff of a model fitted to earlier rows, if there are any.

    Parameters
    ----------
    forecaster : forecaster, or callable
        Cloned for each fit. Your own needs ``fit(y, X=None)``, which returns it, and
        ``predict(horizon, X=None)`` for an int or a list of steps, and `get_params` (such as from
        scikit-learn's `BaseEstimator`); `update` and `fitted_values` are checked if it has them,
        else the report says that they are left out. A function ``forecaster(y, X)`` is given all
        the data and returns an unfitted forecaster: it checks how settings or features are
        derived from data.
    y : Series, DataFrame or ndarray
        A series, a system or a panel, long enough for two windows beyond what a fit needs.
    X : DataFrame or ndarray, optional
        Exogenous columns for all rows of y. Those the forecaster names in `past_columns` must
        not matter after the cutoff, the others not after the horizon.
    horizon : int, default=4
        Steps forecast.
    cutoffs : int or list, default=2
        A number of cutoffs, spread over the last third of the rows, or numbers of rows, or labels
        of the last row before each.
    poisons : list of str, optional
        Among "huge", "nan", "permuted" and "negated"; all by default. "nan" is left out for
        forecasters that do not take missing values; for those that do (``missing`` is not
        "raise"), the last row before each cutoff is missing, so that fills from later rows show.
    level : float or list of float, optional
        Levels of intervals to compare as well.

    Returns
    -------
    CausalReport

    Raises
    ------
    AssertionError
        If an output changes.
    ValueError
        If y is too short, or nothing could be compared.

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import NaiveForecaster
    >>> from echocast.testing import check_causal
    >>> print(check_causal(NaiveForecaster("drift"), load_sunspots(), cutoffs=1))
    NaiveForecaster: 9 comparisons of 669 values
    """
    make = _maker(forecaster)
    name = getattr(forecaster, "__name__", type(forecaster).__name__)
    times, ledger = times_of(y), Ledger(name)
    first = len(times) - len(times) // 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EchocastWarning)  # of divergence and the like
        for cutoff in read_cutoffs(cutoffs, times, first, len(times) - horizon):
            fills = getattr(make(y, X), "missing", "raise") != "raise"
            rows = with_gap(y, times, cutoff) if fills else y
            check = _Check(make, rows, X, times, cutoff, horizon, level, ledger)
            for how in check_poisons(poisons):
                if fills or how != "nan":
                    check.against(how)
    return ledger.report()


def _maker(forecaster):
    if hasattr(forecaster, "fit"):
        seeded = with_seeds(forecaster)
        return lambda y, X: clone(seeded)
    if callable(forecaster):
        return lambda y, X: with_seeds(forecaster(y, X))
    raise TypeError(
        f"`forecaster` must be a forecaster or a function that makes one, got {forecaster!r}."
    )


def with_seeds(forecaster: Any) -> Any:
    """A clone whose seeds that are None are numbers, so that it gives the same bits twice."""
    seeded = clone(forecaster)
    seeds = {
        name: 0
        for name, value in seeded.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    }
    return seeded.set_params(**seeds)


class _Check:
    """One cutoff: the clean outputs, each made once, and comparisons with them."""

    def __init__(self, make, y, X, times, cutoff, horizon, level, ledger):
        self.make, self.y, self.X, self.times = make, y, X, times
        self.cutoff, self.horizon, self.level, self.ledger = cutoff, horizon, level, ledger
        made = make(y, X)
        self.past = [c for c in getattr(made, "past_columns", None) or [] if X is not None]
        self.runs: dict[str, dict] = {"refit=True": {}}
        if hasattr(made, "update"):
            self.runs["refit=False"] = {"refit": False}
        else:
            ledger.left_out.add("update")
        if hasattr(made, "_backtest_forecasts"):  # all windows at once: each must know its own
            self.runs["scaler='first_window'"] = {"scaler": "first_window"}
        self.windows = {name: self._windows(y, X, **options) for name, options in self.runs.items()}
        self._refuse_chance()
        self.ahead = None if X is None else self._ahead(y, X)
        self.has_fitted = hasattr(made, "fitted_values")
        self.fitted = self._fitted(y, X) if self.has_fitted else None
        if not self.has_fitted:
            ledger.left_out.add("fitted_values")

    def _refuse_chance(self):
        if not self._windows(self.y, self.X).equals(self.windows["refit=True"]):
            raise ValueError(
                f"{self.ledger.name} gives other forecasts when it is fitted again to the same "
                "rows; give it a seed (random_state=0)."
            )

    def against(self, how: str) -> None:
        """Compare every output on data poisoned in one way."""
        label = self.times[self.cutoff - 1]
        where = f"rows after {label} {how}"
        y = poison(self.y, self.times, self.cutoff, how)
        X = self._poisoned_X(self.cutoff + self.horizon, self.cutoff, how)
        for name, options in self.runs.items():
            what = f"backtest({name}), {where}"
            run = functools.partial(self._windows_of_more, y, X, **options)
            self._compare(what, self.windows[name], run)
        if self.ahead is not None:
            what = f"predict with all of X, {where}"
            self._compare(what, self.ahead, lambda: self._ahead(y, X))
        if self.has_fitted:  # the value at row t may use X[t], and not y[t]
            X = self._poisoned_X(self.cutoff + 1, self.cutoff, how)
            self._compare(f"fitted_values, {where}", self.fitted, lambda: self._fitted(y, X))

    def _poisoned_X(self, known, past, how):
        """X poisoned after what may be known in advance; how columns known only later, earlier."""
        how = "negated" if how == "nan" else how
        X = poison(self.X, self.times, known, how)
        return poison(X, self.times, past, how, self.past) if self.past else X

    def _compare(self, what, clean, run):
        changed = self.ledger.attempt(what, run)
        if changed is not None:
            self.ledger.compare(what, clean, changed)

    def _windows_of_more(self, y, X, **options):
        """The same forecasts from a backtest that goes on into the changed rows, if it can."""
        room = self.cutoff + 2 * self.horizon <= len(self.times)
        if options and room:
            with contextlib.suppress(TypeError, ValueError, ArithmeticError):
                return self._windows(y, X, n_later=1, **options)
        return self._windows(y, X, **options)

    def _windows(self, y, X, n_later=0, **options):
        """Forecasts from the cutoff and `horizon` steps before it, without the true values."""
        stop, forecaster = self.cutoff + (1 + n_later) * self.horizon, self.make(y, X)
        result = backtest(
            forecaster,
            until(y, self.times, stop),
            until(X, self.times, stop),
            horizon=self.horizon,
            n_windows=2 + n_later,
            level=self.level,
            metrics=[_no_score],
            **options,
        )
        frame = result.forecasts
        frame = frame[frame["cutoff"] <= self.times[self.cutoff - 1]]
        labels = [c for c in ("series", "cutoff", "variable", "time", "step") if c in frame]
        return frame.drop(columns="y").set_index(labels)

    def _ahead(self, y, X):
        """A fit to the rows before the cutoff, with all of X in fit and predict (by label)."""
        model = self.make(y, X)
        past = until(y, self.times, self.cutoff)
        if isinstance(X, np.ndarray):  # rows of arrays are counted, so there can be none beyond
            stop = self.cutoff + self.horizon
            model.fit(past, X[: self.cutoff])
            return as_frame(model.predict(self.horizon, X[self.cutoff : stop]))
        return as_frame(model.fit(past, X).predict(self.horizon, X))

    def _fitted(self, y, X):
        """Fitted values up to the row after the cutoff, with weights from earlier rows."""
        first = self.cutoff - self.horizon
        model = self.make(y, X)
        model.fit(until(y, self.times, first), until(X, self.times, first))
        return as_frame(until(model.fitted_values(y, X), self.times, self.cutoff + 1))


def _no_score(y_true, y_pred):
    """Scores are of no interest, and those of poisoned rows would overflow."""
    return 0.0
