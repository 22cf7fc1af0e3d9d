"""A picture of a backtest: forecasts from each origin over the truth, and error by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ._plot import _positions, _pyplot

__all__ = ["BacktestDisplay"]

_COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9")


class BacktestDisplay:
    """Forecasts from past origins over what came after, and how the error grows with the step.

    Make it with `from_estimator` or `from_predictions`; `plot` draws it again.

    Parameters
    ----------
    forecasts : DataFrame
        ``forecasts`` of a `BacktestResult`, of one series and variable.
    title : str, default=""

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of two Axes
        The forecasts and, unless a single one was given, the errors by step.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import BacktestDisplay, NaiveForecaster
    >>> display = BacktestDisplay.from_estimator(
    ...     NaiveForecaster("drift"), load_sunspots(), horizon=5, level=80
    ... )
    >>> len(display.ax_), display.ax_[0].get_title()
    (2, 'Forecasts from 5 origins')
    """

    def __init__(self, forecasts: pd.DataFrame, title: str = ""):
        self.forecasts = forecasts
        self.title = title

    @classmethod
    def from_estimator(
        cls, forecaster: Any, y: Any, X: Any = None, *, ax: Any = None, **settings: Any
    ) -> BacktestDisplay:
        """Backtest a forecaster and draw the result.

        Parameters
        ----------
        forecaster, y, X
            As in `backtest`.
        ax : matplotlib Axes or pair of Axes, optional
        **settings
            Further arguments of `backtest`, such as ``horizon=12``.

        Returns
        -------
        BacktestDisplay
        """
        from ._backtest import backtest

        return cls.from_predictions(backtest(forecaster, y, X, **settings), ax=ax)

    @classmethod
    def from_predictions(
        cls, result: Any, *, series: Any = None, variable: Any = None, ax: Any = None
    ) -> BacktestDisplay:
        """Draw what a backtest has found.

        Parameters
        ----------
        result : BacktestResult or DataFrame
            Or its ``forecasts``.
        series, variable : label, optional
            What to draw of several; the first by default.
        ax : matplotlib Axes or pair of Axes, optional
            Two for both pictures, one for the forecasts alone; a new figure by default.

        Returns
        -------
        BacktestDisplay

        Raises
        ------
        ValueError
            If there is no such series or variable.
        """
        frame = getattr(result, "forecasts", result)
        shown = []
        for column, label in (("series", series), ("variable", variable)):
            if column not in frame:
                if label is not None:
                    raise ValueError(f"`{column}` is {label!r}, but the forecasts have only one.")
                continue
            label = frame[column].iloc[0] if label is None else label
            frame = frame[frame[column] == label]
            if frame.empty:
                raise ValueError(f"`{column}` {label!r} is not among the forecasts.")
            shown.append(str(label))
        return cls(frame, ", ".join(shown)).plot(ax)

    def plot(self, ax: Any = None) -> BacktestDisplay:
        """Draw; returns self with the attributes `ax_` and `figure_`.

        Parameters
        ----------
        ax : matplotlib Axes or pair of Axes, optional
            Two for both pictures, one for the forecasts alone; a new figure by default.

        Returns
        -------
        BacktestDisplay
        """
        if ax is None:
            _, ax = _pyplot().subplots(
                1, 2, figsize=(10, 3.4), width_ratios=(2.2, 1), layout="constrained"
            )
        axes = np.ravel(np.asarray(ax, dtype=object))
        if len(axes) > 2:
            raise ValueError(f"`ax` must be one or two axes, got {len(axes)}.")
        self._draw_forecasts(axes[0])
        if len(axes) == 2:
            self._draw_errors(axes[1])
        self.ax_ = axes if len(axes) == 2 else axes[0]
        self.figure_ = axes[0].figure
        return self

    @property
    def _levels(self):
        names = [name[3:] for name in self.forecasts if str(name).startswith("lo-")]
        return sorted(names, key=float, reverse=True)

    def _draw_forecasts(self, ax):
        frame = self.forecasts
        truth = frame.drop_duplicates("time").sort_values("time")
        ax.plot(_positions(pd.Index(truth["time"])), truth["y"], color="0.25", lw=1, label="true")
        n_origins = frame["cutoff"].nunique()
        for k, (_, window) in enumerate(frame.groupby("cutoff", sort=True)):
            where, colour = _positions(pd.Index(window["time"])), _COLOURS[k % len(_COLOURS)]
            for depth, level in enumerate(self._levels):
                low, high = window[f"lo-{level}"], window[f"hi-{level}"]
                shade = 0.12 + 0.1 * depth
                ax.fill_between(where, low, high, color=colour, alpha=shade, lw=0)
            marker = "." if len(window) == 1 else None
            ax.plot(where, window["forecast"], color=colour, lw=1.5, marker=marker)
        title = f"Forecasts from {n_origins} origin{'s' if n_origins > 1 else ''}"
        ax.set_title(f"{self.title}: {title.lower()}" if self.title else title)
        ax.legend(loc="upper left", fontsize="small", frameon=False)
        if isinstance(truth["time"].iloc[0], (pd.Timestamp, pd.Period)):
            ax.tick_params(axis="x", labelrotation=30)

    def _draw_errors(self, ax):
        frame = self.forecasts
        errors = (frame["forecast"] - frame["y"]).abs()
        for _, window in errors.groupby(frame["cutoff"]):
            ax.plot(frame["step"][window.index], window, color="0.8", lw=0.8, zorder=1)
        means = errors.groupby(frame["step"]).mean()
        marker = "." if len(means) < 40 else None
        ax.plot(means.index, means, color="C0", lw=1.8, marker=marker, label="mean over origins")
        ax.set_xlabel("steps after the cutoff")
        ax.set_title("Absolute error")
        ax.set_ylim(bottom=0)
        ax.legend(loc="upper left", fontsize="small", frameon=False)
