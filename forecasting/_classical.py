"""Classical forecasts of many univariate series at once: arrays in, arrays out.

Series of different lengths are packed into one matrix, aligned at their ends, so that a
recursion runs over time once for all series and all candidate parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = [
    "Packed",
    "Season",
    "damped_trend_forecast",
    "deseasonalize",
    "drift_forecast",
    "is_seasonal",
    "pack",
    "seasonal_factors",
    "ses_forecast",
    "theta_forecast",
]

_CONFIDENCE = 1.645  # 90 per cent, two-sided: the test of the M4 benchmark
_LEAST_FACTOR = 0.01  # smaller ones would blow up what they divide
_LEVELS = np.concatenate([[0.01, 0.03], np.linspace(0.05, 0.95, 19), [0.99]])
_DAMPED = np.array(
    [
        (level, share * level, phi)
        for level in (0.05, 0.15, 0.3, 0.5, 0.7, 0.9)
        for share in (0.02, 0.1, 0.25, 0.5)
        for phi in (0.8, 0.9, 0.95, 0.98)
    ]
)


@dataclass(frozen=True)
class Packed:
    """Series as rows of one matrix, aligned at the last column.

    values : ndarray of shape (n_series, n_longest), the first value repeated to the left
    lengths : ndarray of int, shape (n_series,)
    """

    values: np.ndarray
    lengths: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Column of the first value of each series."""
        return self.values.shape[1] - self.lengths

    def rows(self) -> list[np.ndarray]:
        """The series, each with its own length."""
        return [row[start:] for row, start in zip(self.values, self.starts)]


@dataclass(frozen=True)
class Season:
    """Factors and summands of the steps ahead, (n_series, n_steps) each."""

    times: np.ndarray
    plus: np.ndarray

    def on(self, forecasts: np.ndarray) -> np.ndarray:
        """Forecasts (n_series, n_steps) of adjusted series with their season given back."""
        return forecasts * self.times + self.plus


def pack(series: list[np.ndarray]) -> Packed:
    """Align series of shape (n_i,) at their ends."""
    lengths = np.array([len(s) for s in series])
    values = np.empty((len(series), lengths.max()))
    for row, s in zip(values, series):
        row[: len(row) - len(s)] = s[0]
        row[len(row) - len(s) :] = s
    return Packed(values, lengths)


# ------------------------------------------------------------------------------ season


def is_seasonal(y: np.ndarray, season_length: int) -> bool:
    """Whether the autocorrelation at the season exceeds what chance gives, at 90 per cent.

    References
    ----------
    .. [1] S. Makridakis, E. Spiliotis, V. Assimakopoulos, "The M4 competition: 100,000 time
       series and 61 forecasting methods", International Journal of Forecasting 36, 2020,
       appendix A (the test of the benchmarks Naive2 and Theta).
    """
    m = season_length
    if m < 2 or len(y) < 3 * m:
        return False
    centred = y - y.mean()
    energy = centred @ centred
    if energy <= len(y) * (1e-12 * np.abs(y).max()) ** 2:
        return False
    correlation = np.array([centred[k:] @ centred[:-k] for k in range(1, m + 1)]) / energy
    limit = _CONFIDENCE * np.sqrt((1 + 2 * (correlation[:-1] ** 2).sum()) / len(y))
    return bool(abs(correlation[-1]) > limit)


def seasonal_factors(y: np.ndarray, season_length: int, *, multiplicative: bool) -> np.ndarray:
    """Classical decomposition: mean deviation of each season from a centred moving average.

    Returns
    -------
    ndarray of shape (season_length,)
        For the positions 0, 1, ... of `y` modulo the season; factors have mean one if
        multiplicative, and mean zero otherwise.
    """
    m = season_length
    weights = np.full(m, 1 / m) if m % 2 else np.r_[0.5, np.ones(m - 1), 0.5] / m
    trend = np.convolve(y, weights, mode="valid")
    first = len(weights) // 2
    inner = y[first : first + len(trend)]
    ratio = inner / trend if multiplicative else inner - trend
    season = (first + np.arange(len(trend))) % m
    sums = np.bincount(season, weights=ratio, minlength=m)
    factors = sums / np.bincount(season, minlength=m)
    return factors / factors.mean() if multiplicative else factors - factors.mean()


def deseasonalize(
    packed: Packed, periods: int | tuple, n_steps: int, *, additive: bool = False
) -> tuple[Packed, Season]:
    """Take off the factors of each season that the test finds, one period after the other.

    Parameters
    ----------
    packed : Packed
    periods : int or tuple of int
        Season lengths, the shortest first.
    n_steps : int
        Steps ahead that factors are wanted for.
    additive : bool, default=False
        Whether to subtract for all series. Otherwise positive series are divided, and only
        others have their factors subtracted.

    Returns
    -------
    adjusted : Packed
    season : Season
        What gives the season back to forecasts.
    """
    values, shape = packed.values.copy(), (len(packed.values), n_steps)
    times, plus = np.ones(shape), np.zeros(shape)
    for i, y in enumerate(packed.rows()):
        n = len(y)
        for period in np.atleast_1d(periods):
            if not is_seasonal(y, period):
                continue
            divides = not additive and bool((y > 0).all())
            factors = seasonal_factors(y, period, multiplicative=divides)
            if divides and factors.min() < _LEAST_FACTOR:
                divides, factors = False, seasonal_factors(y, period, multiplicative=False)
            inside, ahead = np.split(factors[np.arange(n + n_steps) % period], [n])
            if divides:
                y, times[i] = y / inside, times[i] * ahead
            else:
                y, plus[i] = y - inside, plus[i] + times[i] * ahead
        values[i, -n:], values[i, :-n] = y, y[0]
    return replace(packed, values=values), Season(times, plus)


# --------------------------------------------------------------------------- forecasts


def _smooth(packed, levels):
    """Levels after the last value and sums of squared one-step errors, (n_series, n_levels)."""
    values, starts = packed.values, packed.starts
    level = np.repeat(values[:, :1], len(levels), axis=1)
    cost = np.zeros_like(level)
    for t in range(1, values.shape[1]):
        error = values[:, t, None] - level
        cost += error * error * (t > starts)[:, None]
        level += levels * error
    return level, cost


def _best_level(packed, levels=_LEVELS):
    level, cost = _smooth(packed, levels)
    best = cost.argmin(axis=1)
    return level[np.arange(len(best)), best], levels[best]


def ses_forecast(packed: Packed, n_steps: int) -> np.ndarray:
    """Simple exponential smoothing from the first value; its weight minimises one-step errors.

    Returns
    -------
    ndarray of shape (n_series, n_steps)
    """
    return np.repeat(_best_level(packed)[0][:, None], n_steps, axis=1)


def _lines(packed):
    """Intercept at the last value and slope of the least-squares line of each series."""
    n = packed.lengths.astype(float)
    back = np.arange(packed.values.shape[1]) - (packed.values.shape[1] - 1.0)
    inside = back[None, :] > -n[:, None]
    values = np.where(inside, packed.values, 0.0)
    mean_t, mean_y = -(n - 1) / 2, values.sum(axis=1) / n
    spread = np.maximum(n * (n * n - 1) / 12, 1e-300)
    slope = ((values - np.where(inside, mean_y[:, None], 0.0)) @ back) / spread
    slope = np.where(n > 1, slope, 0.0)
    return mean_y - slope * mean_t, slope


def theta_forecast(packed: Packed, n_steps: int) -> np.ndarray:
    """The mean of the trend line and of smoothing what lies twice as far from it.

    Parameters
    ----------
    packed : Packed
        Seasonally adjusted series.
    n_steps : int

    Returns
    -------
    ndarray of shape (n_series, n_steps)

    References
    ----------
    .. [1] V. Assimakopoulos, K. Nikolopoulos, "The theta model: a decomposition approach to
       forecasting", International Journal of Forecasting 16, 2000.
    """
    intercept, slope = _lines(packed)
    back = np.arange(packed.values.shape[1]) - (packed.values.shape[1] - 1.0)
    line = intercept[:, None] + slope[:, None] * np.maximum(back, 1.0 - packed.lengths[:, None])
    level, _ = _best_level(replace(packed, values=2 * packed.values - line))
    ahead = intercept[:, None] + slope[:, None] * np.arange(1, n_steps + 1)
    return 0.5 * (ahead + level[:, None])


def drift_forecast(packed: Packed, n_steps: int) -> np.ndarray:
    """The line through the first and the last value.

    Returns
    -------
    ndarray of shape (n_series, n_steps)
    """
    values = packed.values
    slope = (values[:, -1] - values[:, 0]) / np.maximum(packed.lengths - 1, 1)
    return values[:, -1:] + slope[:, None] * np.arange(1, n_steps + 1)


def damped_trend_forecast(packed: Packed, n_steps: int) -> np.ndarray:
    """Exponential smoothing with a trend that fades; its weights minimise one-step errors.

    Returns
    -------
    ndarray of shape (n_series, n_steps)

    References
    ----------
    .. [1] E. Gardner, E. McKenzie, "Forecasting trends in time series", Management Science 31,
       1985.
    """
    values, starts = packed.values, packed.starts
    alpha, beta, phi = _DAMPED.T
    level = np.repeat(values[:, :1], len(_DAMPED), axis=1)
    early = np.array([np.diff(y[:5]).mean() if len(y) > 1 else 0.0 for y in packed.rows()])
    trend = np.repeat(early[:, None], len(_DAMPED), axis=1)
    cost = np.zeros_like(level)
    for t in range(1, values.shape[1]):
        begun = (t > starts)[:, None]
        expected = level + phi * trend
        error = np.where(begun, values[:, t, None] - expected, 0.0)
        cost += error * error
        level = np.where(begun, expected + alpha * error, level)
        trend = np.where(begun, phi * trend + beta * error, trend)
    rows, best = np.arange(len(values)), cost.argmin(axis=1)
    fade = phi[best][:, None]
    reach = np.cumsum(fade ** np.arange(1, n_steps + 1), axis=1)
    return level[rows, best][:, None] + trend[rows, best][:, None] * reach
