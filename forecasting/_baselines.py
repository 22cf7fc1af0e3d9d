"""Forecasters without learning, which every other one has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from echocast._checks import check_option

from ._base import BaseForecaster
from ._levels import level_bounds

__all__ = ["NaiveForecaster"]

_STRATEGIES = ("last", "seasonal", "drift", "mean")
_MOST_RESIDUALS = 1000


class NaiveForecaster(BaseForecaster):
    r"""Repeat the past: the last value, the last season, the mean, or a line through the ends.

    Parameters
    ----------
    strategy : {"last", "seasonal", "drift", "mean"}, default="last"
        "last" repeats the last value; "seasonal" the value one season earlier; "drift" goes on
        along the line from the first to the last value; "mean" gives the mean of all values.
    season_length : int or "auto", default="auto"
        Steps of a season. "auto" takes the usual one of the index's frequency (7 for days, 12
        for months, 24 for hours, 52 for weeks), and 1 for years, integers and arrays.
    freq : str or offset, optional
        Frequency of an index that has none and is too short to infer it from.
    missing : {"raise", "ffill", "interpolate"}, default="raise"
        What to do with NaN in y.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the draws in `sample`.

    Attributes
    ----------
    cutoff_ : label
        The last label seen.
    season_length_ : int
    n_steps_seen_ : int

    Notes
    -----
    Intervals are those of a normal error with the standard deviation :math:`\sigma` of the
    one-step errors, :math:`T` rows, a season of :math:`m` and :math:`h` steps ahead:
    :math:`\sigma\sqrt{h}` (last), :math:`\sigma\sqrt{\lfloor (h - 1) / m \rfloor + 1}`
    (seasonal), :math:`\sigma\sqrt{h (1 + h / (T - 1))}` (drift) and
    :math:`\sigma\sqrt{1 + 1 / T}` (mean).

    References
    ----------
    .. [1] R. Hyndman, G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition,
       2021, sections 5.2 and 5.5.

    Examples
    --------
    >>> import pandas as pd
    >>> from echocast.forecasting import NaiveForecaster
    >>> y = pd.Series([1.0, 2.0, 3.0], index=pd.period_range("2024-01", periods=3, freq="M"))
    >>> NaiveForecaster("drift").fit(y).predict(2)
    2024-04    4.0
    2024-05    5.0
    Freq: M, dtype: float64
    """

    def __init__(
        self,
        strategy: str = "last",
        *,
        season_length: int | str = "auto",
        freq: Any = None,
        missing: str = "raise",
        random_state: Any = None,
    ):
        self.strategy = strategy
        self.season_length = season_length
        self.freq = freq
        self.missing = missing
        self.random_state = random_state

    def _check_params(self):
        check_option("strategy", self.strategy, self._owner, _STRATEGIES)

    @property
    def _lag(self):
        return self.season_length_ if self.strategy == "seasonal" else 1

    def _learn(self, values, exog):
        if len(values) < self._lag:
            raise ValueError(
                f"Length of `y` ({len(values)}) must be greater than the window needed "
                f"({self._lag}: one season)."
            )
        self._fit_first = values[0].copy()
        self._fit_sum = values.sum(axis=0)
        self._fit_count = len(values)
        self._fit_tail = values[-self._lag :].copy()
        errors = self._errors(values)
        self._fit_squares = (errors**2).sum(axis=0)
        self._fit_error_count = len(errors)
        self._fit_residuals = errors[-_MOST_RESIDUALS:].copy()

    def _errors(self, values):
        """Errors of one step over the training rows, given their mean or slope."""
        if self.strategy == "mean":
            return values - self._fit_sum / self._fit_count
        errors = values[self._lag :] - values[: -self._lag]
        return errors - self._slope() if self.strategy == "drift" else errors

    def _slope(self):
        if self._fit_count < 2:
            return np.zeros_like(self._fit_first)
        return (self._fit_tail[-1] - self._fit_first) / (self._fit_count - 1)

    def _advance(self, values, exog, refit):
        # Nothing is learnt but a mean or a slope, and new rows change both as a fit would.
        if self.strategy == "mean":
            errors = values - self._fit_sum / self._fit_count
        else:
            whole = np.concatenate([self._fit_tail, values])
            errors = whole[self._lag :] - whole[: -self._lag]
            errors = errors - self._slope() if self.strategy == "drift" else errors
        self._fit_sum = self._fit_sum + values.sum(axis=0)
        self._fit_count = self._fit_count + len(values)
        self._fit_tail = np.concatenate([self._fit_tail, values])[-self._lag :].copy()
        self._fit_squares = self._fit_squares + (errors**2).sum(axis=0)
        self._fit_error_count = self._fit_error_count + len(errors)
        kept = np.concatenate([self._fit_residuals, errors])
        self._fit_residuals = kept[-_MOST_RESIDUALS:].copy()

    def _restart(self, values, exog, first):
        self._learn(values, exog)

    def _point(self, n_steps, exog):
        ahead = np.arange(1, n_steps + 1)[:, None]
        if self.strategy == "mean":
            return np.repeat((self._fit_sum / self._fit_count)[None], n_steps, axis=0)
        if self.strategy == "drift":
            return self._fit_tail[-1] + ahead * self._slope()
        return self._fit_tail[(ahead[:, 0] - 1) % self._lag]

    def _spread(self, n_steps):
        """Standard deviation of the error at each step, (n_steps, D)."""
        learnt = self.strategy in ("mean", "drift")
        freedom = self._fit_error_count - int(learnt)
        if freedom < 1:
            raise ValueError(
                f"Length of `y` ({self._fit_count}) is too short for intervals: no error of one "
                "step is known."
            )
        sigma = np.sqrt(self._fit_squares / freedom)
        h = np.arange(1, n_steps + 1)
        growth = {
            "last": h,
            "seasonal": (h - 1) // self._lag + 1,
            "drift": h * (1 + h / max(self._fit_count - 1, 1)),
            "mean": np.full(n_steps, 1 + 1 / self._fit_count),
        }[self.strategy]
        return np.sqrt(growth)[:, None] * sigma

    def _bands(self, points, exog, levels, probabilities):
        spread = self._spread(len(points))
        fields = {}
        for level in levels:
            low, high = level_bounds(level)
            fields[f"lo-{level:g}"] = points + ndtri(low) * spread
            fields[f"hi-{level:g}"] = points + ndtri(high) * spread
        for probability in probabilities:
            fields[f"q-{probability:g}"] = points + ndtri(probability) * spread
        return fields

    def _paths(self, n_steps, exog, n_paths, rng):
        points = self._point(n_steps, exog)
        sigma = self._spread(1)[0] if n_steps else 0.0
        if self.strategy == "drift":  # the slope's own error is common to a path
            sigma = sigma / np.sqrt(1 + 1 / max(self._fit_count - 1, 1))
        if self.strategy == "mean":
            sigma = sigma / np.sqrt(1 + 1 / self._fit_count)
        shocks = rng.standard_normal((n_steps, len(sigma), n_paths)) * sigma[:, None]
        if self.strategy == "mean":
            shocks += rng.standard_normal((1, len(sigma), n_paths)) * (
                sigma[:, None] / np.sqrt(self._fit_count)
            )
        else:
            for start in range(self._lag, n_steps, self._lag):
                stop = min(start + self._lag, n_steps)
                shocks[start:stop] += shocks[start - self._lag : stop - self._lag]
        if self.strategy == "drift":
            ahead = np.arange(1, n_steps + 1)[:, None, None]
            slopes = rng.standard_normal((1, len(sigma), n_paths)) * sigma[:, None]
            shocks += ahead * slopes / np.sqrt(max(self._fit_count - 1, 1))
        return points[:, :, None] + shocks

    def _one_step(self, values, exog, first):
        if self.strategy == "mean":
            return np.repeat((self._fit_sum / self._fit_count)[None], len(values), axis=0)
        fitted = values[: -self._lag]
        return fitted + self._slope() if self.strategy == "drift" else fitted

    def _kept_residuals(self):
        return self._fit_residuals
