"""What single dates do to daily series: holidays of fixed dates, and of weekdays in a month.

No list of holidays is needed: several years of days show which dates stand out from the same
weekdays around them. Arrays only.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

__all__ = ["DateEffects"]

FEWEST_DAYS = 1096  # three years, so that an effect has been seen more than once
_WEEKS = 5  # on either side, whose same weekdays are the usual value
_PENALTY = 0.5
_DATES, _NTHS, _LASTS = 2 * 12 * 31, 12 * 5 * 7, 12 * 7


class DateEffects:
    """Factors of dates, learnt from positive daily series in logarithms.

    The deviation from the median of the same weekday five weeks before to five weeks after is
    regressed, with a ridge penalty, on three codes of each day: the date in the year on a
    weekday or at a weekend, the k-th such weekday of the month, and the last of them.

    Parameters
    ----------
    series : list of ndarray of shape (n_i,)
        Positive values; all have the same effects.
    last_days : list of numpy.datetime64
        The day of each last value.
    """

    def __init__(self, series, last_days):
        gram, right = 0.0, 0.0
        for y, day in zip(series, last_days):
            X = _design(_days_up_to(day, len(y)))
            gram = gram + (X.T @ X)
            right = right + X.T @ _deviations(np.log(y))
        penalised = gram.toarray()
        penalised.flat[:: len(penalised) + 1] += _PENALTY * len(series)
        self.coef = np.linalg.solve(penalised, right)

    @staticmethod
    def can(series: list, last_days: list | None) -> bool:
        """Whether the series are positive, daily and long enough."""
        if last_days is None or any(day is None for day in last_days):
            return False
        return all(len(y) >= FEWEST_DAYS and y.min() > 0 for y in series)

    def removed(self, y: np.ndarray, last_day: np.datetime64) -> np.ndarray:
        """The series without the effects of its dates."""
        return y / np.exp(_design(_days_up_to(last_day, len(y))) @ self.coef)

    def ahead(self, last_day: np.datetime64, n_steps: int) -> np.ndarray:
        """Factors (n_steps,) of the days after `last_day`."""
        return np.exp(
            _design(_days_up_to(last_day + np.timedelta64(n_steps, "D"), n_steps)) @ self.coef
        )


def _days_up_to(last_day, n_days):
    return last_day - np.arange(n_days - 1, -1, -1).astype("timedelta64[D]")


def _deviations(z):
    """Deviations from the median of the same weekday around."""
    reach = 7 * _WEEKS
    padded = np.pad(z, reach, constant_values=np.nan)
    windows = [padded[reach + 7 * k :][: len(z)] for k in range(-_WEEKS, _WEEKS + 1)]
    return z - np.nanmedian(np.stack(windows), axis=0)


def _design(days):
    """Three ones in each row (a day), in the columns of its codes; sparse."""
    months = days.astype("datetime64[M]")
    month = months.astype(int) % 12
    day = (days - months.astype("datetime64[D]")).astype(int)
    length = (
        (months + np.timedelta64(1, "M")).astype("datetime64[D]") - months.astype("datetime64[D]")
    ).astype(int)
    weekday = (days.astype("datetime64[D]").astype(int) + 3) % 7  # 1970 began on a Thursday
    date = (month * 31 + day) * 2 + (weekday >= 5)
    nth = _DATES + (month * 5 + day // 7) * 7 + weekday
    last = _DATES + _NTHS + month * 7 + weekday
    ones = np.ones((len(days), 3))
    ones[:, 2] = length - 1 - day < 7
    columns = np.stack([date, nth, last], axis=1).ravel()
    starts = np.arange(0, 3 * len(days) + 1, 3)
    return csr_array((ones.ravel(), columns, starts), shape=(len(days), _DATES + _NTHS + _LASTS))
