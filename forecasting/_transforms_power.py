"""Transforms of single values that make a spread even: logarithm, Box-Cox and Yeo-Johnson.

What comes back from a path is the transform undone value by value: the median stays the median,
and quantiles stay quantiles. A point forecast is the path without noise, so it estimates the
median of the series, not its mean.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import boxcox, inv_boxcox

from echocast._checks import check_number, check_option

from ._transforms import Transform

__all__ = ["BoxCox", "Log", "YeoJohnson", "blocks_of"]

_REACH = 1e3  # values come back within this factor of the extremes of fit
_LOWEST, _HIGHEST = -1.0, 2.0  # of a Box-Cox power that is chosen from the rows


class _Elementwise(Transform):
    """Abstract: a rising function of each value by itself."""

    bends = True

    def of_first(self, n_columns):
        """A fitted copy for the first columns."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if name.endswith("_"):
                setattr(other, name, value[:n_columns])
        return other

    def forward(self, Y, start):
        return self._bend(Y, *self._rows)

    def invert(self, paths, tail, start):
        return self._unbend(paths, *(p[:, None] for p in self._rows))

    def one_step(self, Z, Y, start):
        return self._unbend(Z, *self._rows)


class _Positive(_Elementwise):
    """Abstract: Box-Cox of values plus an offset; columns off the mask stay as they are."""

    def _shift(self, Y, mask):
        """What to add to each column so that every row of it is positive."""
        owner = type(self).__name__
        check_number("offset", self.offset, owner, also=("auto",))
        low = Y.min(axis=0)
        if isinstance(self.offset, str):
            least = np.where(Y > 0, Y, np.inf).min(axis=0)
            shift = np.where(low == 0, np.where(np.isfinite(least), least, 1.0), 0.0)
            way_out = "Give an offset, or use YeoJohnson."
        else:
            shift = np.full(Y.shape[1], float(self.offset))
            way_out = "Give a larger one, or use YeoJohnson."
        bad = mask & (low + shift <= 0)
        if bad.any():
            raise ValueError(
                f"{owner} needs values above {0 - shift[bad][0]:g} with "
                f"offset={self.offset!r}; `y` holds {low[bad][0]:g}. {way_out}"
            )
        return np.where(mask, shift, 0.0)

    def _remember(self, Y, mask, lmbda):
        """Keep the power for each column, and how far values may lie from those of fit."""
        self.mask_, self.lambda_ = mask, np.where(mask, lmbda, 1.0)
        shifted = Y + self.offset_
        self.scale_ = np.where(mask, _geometric_mean(np.where(mask, shifted, 1.0)), 1.0)
        low, high = shifted.min(axis=0) / _REACH, shifted.max(axis=0) * _REACH
        self.low_ = np.where(mask, low, -np.inf)
        self.high_ = np.where(mask, high, np.inf)
        return self

    @property
    def _rows(self):
        return self.mask_, self.lambda_, self.offset_, self.scale_, self.low_, self.high_

    @staticmethod
    def _bend(Y, mask, lmbda, offset, scale, low, high):
        ratio = np.maximum(Y + offset, low) / scale
        return np.where(mask, boxcox(np.where(mask, ratio, 1.0), lmbda), Y)

    @staticmethod
    def _unbend(Z, mask, lmbda, offset, scale, low, high):
        # held before the power is undone, so that nothing overflows
        ends = (boxcox(np.where(mask, end / scale, 1.0), lmbda) for end in (low, high))
        held = np.where(mask, np.clip(Z, *ends), 0.0)
        return np.where(mask, scale * inv_boxcox(held, lmbda) - offset, Z)


def _geometric_mean(Y):
    return np.exp(np.log(Y).mean(axis=0))


class Log(_Positive):
    """Logarithm: growth in per cent becomes a line, and a spread that grows with the level even.

    Values are divided by their geometric mean first, which changes nothing but rounding.

    Parameters
    ----------
    offset : float or "auto", default="auto"
        Added before the logarithm. "auto" adds nothing to a column of positive rows and the
        smallest positive value to one with zeros (see Notes); negative values are refused.
    columns : array of bool, optional
        Columns to act on; all by default.

    Raises
    ------
    ValueError
        In `fit`, if a value plus the offset is not positive.

    Notes
    -----
    Forecasts are undone value by value. So a point forecast estimates the median of the series,
    which lies below its mean, and quantiles of paths are those of the series. Values come back
    within a factor of 1,000 of the extremes of fit, so that no path overflows; rows after the
    fit that lie below a thousandth of its smallest value count as that.

    What is undone is positive before the offset is taken off again. So with ``offset="auto"``
    forecasts of a column with zeros can be negative: down to minus its smallest positive value.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import Log
    >>> step = Log().fit(np.array([[1.0], [100.0]]), 1)
    >>> step.forward(np.array([[10.0 * np.e], [10.0 * np.e**2]]), 2).ravel().round(12)
    array([1., 2.])
    """

    def __init__(self, offset: Any = "auto", columns: Any = None):
        self.offset = offset
        self.columns = columns

    def fit(self, Y, season_length):
        mask = self._mask(Y.shape[1])
        self.offset_ = self._shift(Y, mask)
        return self._remember(Y, mask, 0.0)


class BoxCox(_Positive):
    """Box-Cox power of positive values: between a logarithm (0) and no change (1).

    A value y becomes ``((y / g) ** lmbda - 1) / lmbda`` with the geometric mean g of the rows of
    fit, or ``log(y / g)`` for ``lmbda=0``.

    Parameters
    ----------
    lmbda : float in [-2, 3] or "auto", default="auto"
        The power. "auto" chooses it in [-1, 2] from the rows of fit, for each column.
    method : {"guerrero", "mle"}, default="guerrero"
        How "auto" chooses: so that the spread within seasons about a line (or pairs of rows,
        without a season) is the same at all levels [1]_, or by the likelihood of rows that are
        independent draws from a normal distribution [2]_, which a trend disturbs.
    offset : float or "auto", default="auto"
        As in `Log`.
    columns : array of bool, optional
        Columns to act on; all by default.

    Raises
    ------
    ValueError
        In `fit`, if a value plus the offset is not positive.

    Notes
    -----
    Point forecasts are medians and paths are held as with `Log`.

    References
    ----------
    .. [1] V. Guerrero, "Time-series analysis supported by power transformations", Journal of
       Forecasting 12, 1993.
    .. [2] G. Box, D. Cox, "An analysis of transformations", Journal of the Royal Statistical
       Society B 26, 1964.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import BoxCox
    >>> y = np.exp(np.random.RandomState(0).randn(300, 1))
    >>> bool(abs(BoxCox(method="mle").fit(y, 1).lambda_[0]) < 0.1)
    True
    """

    def __init__(
        self,
        lmbda: Any = "auto",
        method: str = "guerrero",
        offset: Any = "auto",
        columns: Any = None,
    ):
        self.lmbda = lmbda
        self.method = method
        self.offset = offset
        self.columns = columns

    def fit(self, Y, season_length):
        check_number("lmbda", self.lmbda, "BoxCox", low=-2, high=3, also=("auto",))
        check_option("method", self.method, "BoxCox", ("guerrero", "mle"))
        mask = self._mask(Y.shape[1])
        self.offset_ = self._shift(Y, mask)
        lmbda: Any = self.lmbda
        if isinstance(lmbda, str):
            lmbda = [self._choose(y, season_length) for y in (Y + self.offset_).T]
        return self._remember(Y, mask, lmbda)

    def _choose(self, y, season_length):
        """The power for one column."""
        if (y <= 0).any() or np.ptp(y) <= 1e-12 * y.max():
            return 1.0
        y = y / np.exp(np.log(y).mean())
        if self.method == "mle":
            return _minimum(lambda power: _unlikeliness(y, power))
        means, spreads = blocks_of(y, max(2, season_length))
        if len(means) < 2:
            return 1.0
        return _minimum(lambda power: _unevenness(means, spreads, power))


def _minimum(function):
    found = minimize_scalar(function, bounds=(_LOWEST, _HIGHEST), options={"xatol": 1e-6})
    return float(found.x)


def _unlikeliness(y, power):
    """Minus the profile log-likelihood of rows whose geometric mean is one."""
    variance = np.var(boxcox(y, power))
    return 0.5 * len(y) * np.log(variance) if variance > 0 else np.inf


def blocks_of(y: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of the last whole blocks of rows, and their standard deviations.

    These are about a line in each block, where its width leaves enough to measure them by.
    """
    n_blocks = len(y) // width
    blocks = y[len(y) - n_blocks * width :].reshape(n_blocks, width)
    means = blocks.mean(axis=1)
    rest = blocks - means[:, None]
    if width < 4:
        return means, np.sqrt((rest**2).sum(axis=1) / (width - 1))
    times = np.arange(width) - (width - 1) / 2
    rest = rest - np.outer(rest @ times / (times @ times), times)
    return means, np.sqrt((rest**2).sum(axis=1) / (width - 2))


def _unevenness(means, spreads, power):
    """Coefficient of variation of the spreads that the power leaves in the blocks."""
    ratios = spreads / means ** (1 - power)
    return ratios.std(ddof=1) / ratios.mean() if ratios.mean() > 0 else 0.0


class YeoJohnson(_Elementwise):
    """Yeo-Johnson power: bends values of both signs, each by its distance from zero.

    Values are divided by their mean absolute value s in the rows of fit. A power of 1 changes
    nothing; a smaller one draws large positive values in, a larger one large negative values.

    Parameters
    ----------
    lmbda : float in [0, 2] or "auto", default="auto"
        The power; "auto" takes the likeliest one if rows are independent draws from a normal
        distribution, for each column.
    columns : array of bool, optional
        Columns to act on; all by default.

    Notes
    -----
    Point forecasts are medians. Values come back within 1,000 times the largest absolute value of
    fit.

    References
    ----------
    .. [1] I. Yeo, R. Johnson, "A new family of power transformations to improve normality or
       symmetry", Biometrika 87, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import YeoJohnson
    >>> y = np.array([[-1.0], [0.0], [2.0]])
    >>> step = YeoJohnson(1.0).fit(y, 1)
    >>> step.forward(y, 0).ravel()
    array([-1.,  0.,  2.])
    """

    def __init__(self, lmbda: Any = "auto", columns: Any = None):
        self.lmbda = lmbda
        self.columns = columns

    def fit(self, Y, season_length):
        check_number("lmbda", self.lmbda, "YeoJohnson", low=0, high=2, also=("auto",))
        self.mask_ = self._mask(Y.shape[1])
        size = np.abs(Y).mean(axis=0)
        self.scale_ = np.where(self.mask_ & (size > 0), size, 1.0)
        self.reach_ = _REACH * np.where(size > 0, np.abs(Y).max(axis=0), 1.0) / self.scale_
        lmbda: Any = self.lmbda
        if isinstance(lmbda, str):
            lmbda = [self._choose(y) for y in (Y / self.scale_).T]
        self.lambda_ = np.where(self.mask_, lmbda, 1.0)
        return self

    @staticmethod
    def _choose(y):
        if np.ptp(y) <= 1e-12 * np.abs(y).max(initial=1.0):
            return 1.0
        logs = (np.sign(y) * np.log1p(np.abs(y))).sum()

        def unlikeliness(power):
            variance = np.var(_yeo_johnson(y, power))
            return 0.5 * len(y) * np.log(variance) - (power - 1) * logs

        return float(minimize_scalar(unlikeliness, bounds=(0, 2), options={"xatol": 1e-6}).x)

    @property
    def _rows(self):
        return self.mask_, self.lambda_, self.scale_, self.reach_

    @staticmethod
    def _bend(Y, mask, lmbda, scale, reach):
        return np.where(mask, scale * _yeo_johnson(Y / scale, lmbda), Y)

    @staticmethod
    def _unbend(Z, mask, lmbda, scale, reach):
        held = np.clip(Z / scale, _yeo_johnson(-reach, lmbda), _yeo_johnson(reach, lmbda))
        up = inv_boxcox(np.maximum(held, 0), lmbda + 0 * held) - 1
        down = 1 - inv_boxcox(np.maximum(-held, 0), 2 - lmbda + 0 * held)
        return np.where(mask, scale * np.where(held >= 0, up, down), Z)


def _yeo_johnson(Y, power):
    """Box-Cox of one plus the absolute value, with the power mirrored at 1 below zero."""
    bent = boxcox(1 + np.abs(Y), np.where(Y >= 0, power, 2 - power))
    return np.sign(Y) * bent
