"""Accuracy of point forecasts, intervals and samples: arrays in, numbers out.

Arrays are (n_steps,) or (n_steps, n_columns); pandas objects are taken by position. Means run
over steps, then over columns, unless ``multioutput="raw_values"``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from echocast._checks import check_number, check_option, refuse, stack_level
from echocast.exceptions import EchocastWarning

from ._levels import check_level

__all__ = [
    "coverage",
    "crps",
    "mae",
    "mape",
    "mase",
    "nrmse",
    "pinball",
    "resolve_metric",
    "rmse",
    "rmsse",
    "smape",
    "valid_prediction_time",
    "winkler",
]


def _pair(y_true, y_pred, other="y_pred"):
    a, b = _columns(y_true, "y_true"), _columns(y_pred, other)
    if a.shape != b.shape:
        if len(a) != len(b):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: {[len(a), len(b)]}"
            )
        raise ValueError(f"`y_true` has {a.shape[1]} columns and `{other}` {b.shape[1]}.")
    return a, b


def _columns(values, name):
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or len(array) == 0:
        raise ValueError(
            f"`{name}` must have shape (n_steps,) or (n_steps, n_columns), got {array.shape}."
        )
    if not np.isfinite(array).all():
        what = "NaN" if np.isnan(array).any() else "infinity"
        raise ValueError(f"Input {name} contains {what}.")
    return array[:, None] if array.ndim == 1 else array


def _combine(per_column, multioutput):
    check_option("multioutput", multioutput, "metric", ("uniform_average", "raw_values"))
    return per_column if multioutput == "raw_values" else float(np.mean(per_column))


def mae(y_true: Any, y_pred: Any, *, multioutput: str = "uniform_average") -> Any:
    """Mean absolute error.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_steps,) or (n_steps, n_columns)
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"

    Returns
    -------
    float, or ndarray of shape (n_columns,) for "raw_values"

    Raises
    ------
    ValueError
        If shapes differ or values are missing or infinite.

    Examples
    --------
    >>> mae([1.0, 2.0], [2.0, 4.0])
    1.5
    """
    a, b = _pair(y_true, y_pred)
    return _combine(np.abs(a - b).mean(axis=0), multioutput)


def rmse(y_true: Any, y_pred: Any, *, multioutput: str = "uniform_average") -> Any:
    """Root of the mean squared error; parameters as in `mae`.

    Examples
    --------
    >>> rmse([0.0, 0.0], [3.0, 3.0])
    3.0
    """
    a, b = _pair(y_true, y_pred)
    return _combine(np.sqrt(((a - b) ** 2).mean(axis=0)), multioutput)


def mape(y_true: Any, y_pred: Any, *, multioutput: str = "uniform_average") -> Any:
    """Mean absolute percentage error, in per cent; infinite where a true value is zero.

    Parameters
    ----------
    y_true, y_pred, multioutput
        As in `mae`.

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> mape([100.0, 200.0], [110.0, 180.0])
    10.0
    """
    a, b = _pair(y_true, y_pred)
    error = np.abs(a - b)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(error == 0, 0.0, error / np.abs(a))
    return _combine(100 * share.mean(axis=0), multioutput)


def smape(y_true: Any, y_pred: Any, *, multioutput: str = "uniform_average") -> Any:
    """Symmetric mean absolute percentage error, from 0 to 200.

    The mean of ``200 |y - f| / (|y| + |f|)``, as in the M3 and M4 competitions; a step where
    both are zero counts 0.

    Parameters
    ----------
    y_true, y_pred, multioutput
        As in `mae`.

    Returns
    -------
    float or ndarray

    References
    ----------
    .. [1] S. Makridakis, M. Hibon, "The M3-Competition: results, conclusions and implications",
       International Journal of Forecasting 16, 2000.

    Examples
    --------
    >>> smape([1.0, 1.0], [1.0, 3.0])
    50.0
    """
    a, b = _pair(y_true, y_pred)
    error, size = np.abs(a - b), np.abs(a) + np.abs(b)
    share = np.divide(error, size, out=np.zeros_like(error), where=size > 0)
    return _combine(200 * share.mean(axis=0), multioutput)


def naive_scale(y_train: Any, season_length: int, power: int, n_columns: int) -> np.ndarray:
    """Mean of |y[t] - y[t - m]| ** power over the training rows, for each column.

    NaN, with a warning, where the mean is zero or there is no row one season before another.
    """
    train = _columns(y_train, "y_train")
    if train.shape[1] != n_columns:
        raise ValueError(f"`y_train` has {train.shape[1]} columns and `y_true` {n_columns}.")
    check_number("season_length", season_length, "metric", low=1, closed="left", integer=True)
    if len(train) < 2:
        raise ValueError("`y_train` needs at least 2 rows to scale errors by.")
    if len(train) <= season_length:
        warnings.warn(
            f"The training part has {len(train)} rows and the season {season_length} steps, so "
            "the scaled error is NaN. Train on more rows or pass a shorter season_length.",
            EchocastWarning,
            stacklevel=stack_level(),
        )
        return np.full(n_columns, np.nan)
    scale = (np.abs(train[season_length:] - train[:-season_length]) ** power).mean(axis=0)
    if (scale == 0).any():
        warnings.warn(
            "The training part repeats exactly after one season, so the scaled error is NaN.",
            EchocastWarning,
            stacklevel=stack_level(),
        )
    return np.where(scale == 0, np.nan, scale)


def mase(
    y_true: Any,
    y_pred: Any,
    y_train: Any,
    *,
    season_length: int = 1,
    multioutput: str = "uniform_average",
) -> Any:
    """Mean absolute scaled error.

    The mean absolute error divided by that of the seasonal naive forecast one season ahead
    within the training part: below 1 is better than that.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_steps,) or (n_steps, n_columns)
    y_train : array-like of shape (n_train,) or (n_train, n_columns)
        What the forecaster was fitted on: never rows at or after the forecast.
    season_length : int, default=1
        Steps of one season; 1 compares with the last value.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"

    Returns
    -------
    float or ndarray
        NaN, with a warning, if the training part repeats exactly or is not longer than the
        season.

    References
    ----------
    .. [1] R. Hyndman, A. Koehler, "Another look at measures of forecast accuracy",
       International Journal of Forecasting 22, 2006.

    Examples
    --------
    >>> mase([5.0, 6.0], [5.5, 5.5], [1.0, 2.0, 3.0, 4.0])
    0.5
    """
    a, b = _pair(y_true, y_pred)
    scale = naive_scale(y_train, season_length, 1, a.shape[1])
    return _combine(np.abs(a - b).mean(axis=0) / scale, multioutput)


def rmsse(
    y_true: Any,
    y_pred: Any,
    y_train: Any,
    *,
    season_length: int = 1,
    multioutput: str = "uniform_average",
) -> Any:
    """Root mean squared scaled error: `mase` with squares, as in the M5 competition.

    Parameters
    ----------
    y_true, y_pred, y_train, season_length, multioutput
        As in `mase`.

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> rmsse([5.0, 6.0], [7.0, 8.0], [1.0, 2.0, 3.0, 4.0])
    2.0
    """
    a, b = _pair(y_true, y_pred)
    scale = naive_scale(y_train, season_length, 2, a.shape[1])
    return _combine(np.sqrt(((a - b) ** 2).mean(axis=0) / scale), multioutput)


def nrmse(
    y_true: Any,
    y_pred: Any,
    *,
    normalizer: Any = "std",
    multioutput: str = "uniform_average",
) -> Any:
    """Root mean squared error divided by a stated normaliser.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_steps,) or (n_steps, n_columns)
    normalizer : {"std", "range", "mean"}, float or array of shape (n_columns,), default="std"
        "std": population standard deviation of `y_true`; "range": its maximum minus minimum;
        "mean": absolute mean of `y_true`; a number is used as it is (say, the standard
        deviation of the training part).
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> nrmse([0.0, 2.0], [1.0, 3.0])
    1.0
    """
    a, b = _pair(y_true, y_pred)
    if isinstance(normalizer, str):
        check_option("normalizer", normalizer, "nrmse", ("std", "range", "mean"))
        scale = {"std": a.std(axis=0), "range": np.ptp(a, axis=0), "mean": np.abs(a.mean(axis=0))}[
            normalizer
        ]
    else:
        scale = np.broadcast_to(np.asarray(normalizer, dtype=np.float64), a.shape[1:])
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(f"`normalizer` {normalizer!r} is not positive for every column.")
    return _combine(np.sqrt(((a - b) ** 2).mean(axis=0)) / scale, multioutput)


def valid_prediction_time(
    y_true: Any,
    y_pred: Any,
    *,
    dt: float,
    lyapunov_time: float = 1.0,
    threshold: float = 0.4,
    scale: Any = "total_std",
) -> float:
    """Time until a forecast of a chaotic system first errs by more than a threshold.

    The error at a step is the Euclidean norm over columns divided by `scale`; the result is
    the time before the first step whose error exceeds `threshold`, in units of
    `lyapunov_time`, and the whole length if none does.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_steps,) or (n_steps, n_columns)
        The first row lies one step after the start.
    dt : float
        Time between rows, in the unit of `lyapunov_time`.
    lyapunov_time : float, default=1.0
        The unit of the result.
    threshold : float, default=0.4
    scale : "total_std" or float, default="total_std"
        "total_std" is the root of the summed variances of the columns of `y_true`.

    Returns
    -------
    float

    Examples
    --------
    >>> valid_prediction_time([0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.1, 0.0], dt=0.5)
    1.5
    """
    a, b = _pair(y_true, y_pred)
    check_number("dt", dt, "valid_prediction_time", low=0, closed="neither")
    check_number("lyapunov_time", lyapunov_time, "valid_prediction_time", low=0, closed="neither")
    check_number("threshold", threshold, "valid_prediction_time", low=0, closed="left")
    if isinstance(scale, str):
        check_option("scale", scale, "valid_prediction_time", ("total_std",))
        scale = np.sqrt(a.var(axis=0).sum())
    else:
        check_number("scale", scale, "valid_prediction_time", low=0, closed="left")
    if scale == 0:
        raise ValueError("`scale` is zero because y_true is constant; pass a number.")
    beyond = np.sqrt(((a - b) ** 2).sum(axis=1)) > threshold * scale
    steps = int(np.argmax(beyond)) if beyond.any() else len(a)
    return float(steps * dt / lyapunov_time)


def coverage(y_true: Any, lower: Any, upper: Any, *, multioutput: str = "uniform_average") -> Any:
    """Share of true values inside the closed interval, from 0 to 1.

    Parameters
    ----------
    y_true, lower, upper : array-like of shape (n_steps,) or (n_steps, n_columns)
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> coverage([1.0, 2.0], [0.0, 0.0], [1.0, 1.0])
    0.5
    """
    a, low = _pair(y_true, lower, "lower")
    _, high = _pair(y_true, upper, "upper")
    return _combine(((low <= a) & (a <= high)).mean(axis=0), multioutput)


def pinball(
    y_true: Any, y_pred: Any, *, quantile: float, multioutput: str = "uniform_average"
) -> Any:
    """Mean quantile loss, with no factor two (0.5 gives half the absolute error).

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_steps,) or (n_steps, n_columns)
        `y_pred` is a forecast of the quantile.
    quantile : float in (0, 1)
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> pinball([1.0, 3.0], [2.0, 2.0], quantile=0.75)
    0.5
    """
    check_number("quantile", quantile, "pinball", low=0, high=1, closed="neither")
    a, b = _pair(y_true, y_pred)
    loss = np.maximum(quantile * (a - b), (quantile - 1) * (a - b))
    return _combine(loss.mean(axis=0), multioutput)


def winkler(
    y_true: Any, lower: Any, upper: Any, *, level: float, multioutput: str = "uniform_average"
) -> Any:
    """Mean interval score: width plus a penalty for each value outside.

    Parameters
    ----------
    y_true, lower, upper : array-like of shape (n_steps,) or (n_steps, n_columns)
    level : float in [1, 100)
        Nominal coverage in per cent, as in ``predict(level=)``.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"

    Returns
    -------
    float or ndarray

    References
    ----------
    .. [1] T. Gneiting, A. Raftery, "Strictly proper scoring rules, prediction, and estimation",
       Journal of the American Statistical Association 102, 2007, section 6.2.

    Examples
    --------
    >>> winkler([0.0, 2.0], [-1.0, -1.0], [1.0, 1.0], level=50)
    4.0
    """
    check_level(level, "winkler")
    a, low = _pair(y_true, lower, "lower")
    _, high = _pair(y_true, upper, "upper")
    outside = np.maximum(low - a, 0) + np.maximum(a - high, 0)
    score = high - low + 2 / (1 - level / 100) * outside
    return _combine(score.mean(axis=0), multioutput)


def crps(y_true: Any, samples: Any) -> float:
    """Continuous ranked probability score of an ensemble, averaged over steps.

    ``mean |x - y| - mean |x - x'| / 2`` over the members of the ensemble; for one member it
    is the absolute error.

    Parameters
    ----------
    y_true : array-like of shape (n_steps,)
    samples : array-like of shape (n_steps, n_samples)
        Such as the frame that ``sample`` returns for one series.

    Returns
    -------
    float

    Examples
    --------
    >>> crps([0.0], [[-1.0, 1.0]])
    0.5
    """
    y = _columns(y_true, "y_true")[:, 0]
    x = np.sort(_columns(samples, "samples"), axis=1)
    if np.ndim(y_true) != 1 or len(x) != len(y):
        raise ValueError(
            f"`y_true` must have shape (n_steps,) and `samples` (n_steps, n_samples), got "
            f"{np.shape(y_true)} and {np.shape(samples)}."
        )
    m = x.shape[1]
    rank = 2 * np.arange(1, m + 1) - m - 1  # sum over pairs |x_i - x_j| from the sorted sample
    spread = (x * rank).sum(axis=1) / m**2
    return float((np.abs(x - y[:, None]).mean(axis=1) - spread).mean())


_PLAIN = {"mae": mae, "rmse": rmse, "mape": mape, "smape": smape, "nrmse": nrmse}
_SCALED = {"mase": mase, "rmsse": rmsse}


def resolve_metric(metric: Any, owner: str, parameter: str = "metric") -> tuple[str, Callable]:
    """Name and function ``(y_true, y_pred, y_train, season_length) -> float`` of a metric.

    A callable given by the user is called as ``metric(y_true, y_pred)``.
    """
    if callable(metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        return name, lambda a, b, train, m: float(metric(a, b))
    if isinstance(metric, str) and metric in _PLAIN:
        plain = _PLAIN[metric]
        return metric, lambda a, b, train, m: plain(a, b)
    if isinstance(metric, str) and metric in _SCALED:
        scaled = _SCALED[metric]
        return metric, lambda a, b, train, m: scaled(a, b, train, season_length=m)
    names = ", ".join(repr(n) for n in sorted(_PLAIN | _SCALED))
    refuse(parameter, owner, f"a callable or a str among {{{names}}}", metric)
    raise AssertionError  # refuse always raises
