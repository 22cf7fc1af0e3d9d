"""Pictures in matplotlib, which is imported only when one is drawn."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["ForecastDisplay"]

_PAST_PER_STEP = 5  # past rows shown for each forecast step, if more are given
_MOST_SERIES = 12  # of a panel


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Plotting needs matplotlib: pip install 'echocast[plot]' (or matplotlib)."
        ) from error
    return plt


class ForecastDisplay:
    """A forecast with its intervals, behind the past.

    Make it with `from_estimator` or `from_predictions`; `plot` draws it again.

    Parameters
    ----------
    forecast : Series, DataFrame or ndarray
        As returned by ``predict``, with or without levels.
    y : Series, DataFrame or ndarray, optional
        The past, in the form that was fitted.

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of Axes
        One for each variable, or each of the first 12 series of a panel.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import ForecastDisplay, NaiveForecaster
    >>> y = load_sunspots()
    >>> model = NaiveForecaster("seasonal", season_length=11).fit(y)
    >>> display = ForecastDisplay.from_estimator(model, 22, level=[80, 95], y=y)
    >>> display.ax_.get_title()
    'sunspots'
    """

    def __init__(self, forecast: Any, y: Any = None):
        self.forecast = forecast
        self.y = y

    @classmethod
    def from_estimator(
        cls,
        forecaster: Any,
        horizon: Any,
        X: Any = None,
        *,
        level: Any = None,
        y: Any = None,
        ax: Any = None,
    ) -> ForecastDisplay:
        """Forecast with a fitted forecaster and draw.

        Parameters
        ----------
        forecaster : estimator
        horizon, X, level
            As in its ``predict``.
        y : Series, DataFrame or ndarray, optional
            The past to show; at most five times as many rows as the forecast has.
        ax : matplotlib Axes or sequence of Axes, optional
            One for each variable.

        Returns
        -------
        ForecastDisplay
        """
        return cls.from_predictions(forecaster.predict(horizon, X, level=level), y=y, ax=ax)

    @classmethod
    def from_predictions(cls, forecast: Any, *, y: Any = None, ax: Any = None) -> ForecastDisplay:
        """Draw a forecast that ``predict`` returned.

        Parameters
        ----------
        forecast : Series, DataFrame or ndarray
        y, ax
            As in `from_estimator`.

        Returns
        -------
        ForecastDisplay
        """
        return cls(forecast, y).plot(ax)

    def plot(self, ax: Any = None, *, legend: bool = True) -> ForecastDisplay:
        """Draw; returns self with the attributes `ax_` and `figure_`.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, optional
            One for each variable, or each series of a panel; a new figure by default.
        legend : bool, default=True
            Whether each of them says what the lines are.

        Returns
        -------
        ForecastDisplay
        """
        past = _columns_of(self.y)
        panels = _panels(self.forecast, past)
        if ax is None:
            plt = _pyplot()
            size = (8, 3.2 * len(panels))
            _, ax = plt.subplots(len(panels), squeeze=False, figsize=size, layout="constrained")
        axes = np.ravel(np.asarray(ax, dtype=object))
        if len(axes) != len(panels):
            raise ValueError(f"`ax` must hold {len(panels)} axes, one for each variable.")
        for axis, (label, fields) in zip(axes, panels.items()):
            shown = past.get(label, next(iter(past.values()), None) if len(panels) == 1 else None)
            _draw_panel(axis, label, fields, shown)
            if legend:
                axis.legend(loc="upper left", fontsize="small", frameon=False)
        self.ax_ = axes[0] if len(axes) == 1 else axes
        self.figure_ = axes[0].figure
        return self


def _series_of(data) -> dict:
    """Parts of a panel, by series."""
    ids = data.index.get_level_values(0).unique()[:_MOST_SERIES]
    return {label: data.xs(label) for label in ids}


def _columns_of(y) -> dict:
    """Series of the past by variable; of a panel by series, and variable if there are several."""
    if y is None:
        return {}
    if isinstance(getattr(y, "index", None), pd.MultiIndex):
        parts = {label: _columns_of(part) for label, part in _series_of(y).items()}
        return _flat(parts)
    if isinstance(y, pd.Series):
        return {"y" if y.name is None else y.name: y}
    if isinstance(y, pd.DataFrame):
        return {column: y[column] for column in y.columns}
    values = np.asarray(y)
    if values.ndim == 1:
        return {"y": pd.Series(values)}
    return {i: pd.Series(column) for i, column in enumerate(values.T)}


def _panels(forecast, past) -> dict[Any, pd.DataFrame]:
    """A frame for each variable: the point forecast first, then "lo-80", "hi-80", ..."""
    if isinstance(forecast, np.ndarray):  # rows go on counting after the past
        start = len(next(iter(past.values()))) if past else 0
        index = pd.RangeIndex(start, start + len(forecast))
        columns = ["y"] if forecast.ndim == 1 else list(range(forecast.shape[1]))
        forecast = pd.DataFrame(forecast.reshape(len(forecast), -1), index, columns)
    if isinstance(forecast.index, pd.MultiIndex):
        parts = {label: _panels(part, {}) for label, part in _series_of(forecast).items()}
        return _flat(parts)
    if isinstance(forecast, pd.Series):
        return {"y" if forecast.name is None else forecast.name: forecast.to_frame()}
    if forecast.columns.nlevels == 2:
        return {v: forecast[v] for v in forecast.columns.get_level_values(0).unique()}
    first = forecast.columns[0]
    if forecast.shape[1] > 1 and _is_field(forecast.columns[1]):
        return {first: forecast}
    return {column: forecast[[column]] for column in forecast.columns}


def _flat(parts) -> dict:
    """Series of one variable under the label of the series, others under both labels."""
    return {
        label if len(inner) == 1 else (label, variable): value
        for label, inner in parts.items()
        for variable, value in inner.items()
    }


def _is_field(name) -> bool:
    return isinstance(name, str) and re.fullmatch(r"(lo|hi|q)-[\d.e+-]+", name) is not None


def _draw_panel(ax, label, fields, past) -> None:
    if past is not None:
        past = past.iloc[-max(_PAST_PER_STEP * len(fields), 20) :]
        ax.plot(_positions(past.index), past.to_numpy(), color="0.25", lw=1, label="past")
        fields = _joined(past, fields)
    where = _positions(fields.index)
    levels = sorted(
        (float(name[3:]) for name in fields if str(name).startswith("lo-")), reverse=True
    )
    for k, level in enumerate(levels):
        low, high = fields[f"lo-{level:g}"], fields[f"hi-{level:g}"]
        shade = 0.18 + 0.14 * k
        ax.fill_between(where, low, high, color="C0", alpha=shade, lw=0, label=f"{level:g} %")
    ax.plot(where, fields.iloc[:, 0], color="C0", lw=1.8, label="forecast")
    ax.set_title(str(label))


def _joined(past, fields):
    """The forecast with the last value of the past before it, so that one step is a line, too."""
    last = past.dropna().iloc[-1:]
    if len(last) == 0 or type(last.index) is not type(fields.index):
        return fields
    first = pd.DataFrame({name: last.to_numpy() for name in fields}, index=last.index)
    return pd.concat([first, fields])


def _positions(index):
    """Labels that matplotlib can draw without pandas' converters."""
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        naive = index.tz_localize(None) if index.tz is not None else index
        return naive.to_numpy()
    return np.asarray(index)
