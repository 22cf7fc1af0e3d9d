"""Invertible transforms of y: fitted before the cutoff, inverted on whole paths.

A step takes rows (n_steps, n_columns) in time order. Differences lose their first `n_lost`
rows, and inverting a path needs the `n_lost` rows of the step's input before the path: its
*tail*. Paths are (horizon, n_columns, n_paths). `start` counts rows from the first row of fit,
which is what seasonal indices are attached to.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from echocast._checks import check_number, refuse
from echocast._saving import ModelFiles

__all__ = [
    "Chain",
    "Deseasonalize",
    "Difference",
    "SeasonalDifference",
    "Standardize",
    "Transform",
]


class Transform(ModelFiles, BaseEstimator, metaclass=ABCMeta):
    """Abstract: one invertible step. Subclasses are final.

    `columns` is None (all) or a boolean mask of the columns the step acts on. Rows are
    (n_steps, n_columns), paths (n_steps, n_columns, n_paths). What `fit` learns ends in an
    underscore; a step that loses rows at the start sets `n_lost_`.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import Transform
    >>> class Halve(Transform):
    ...     def fit(self, Y, season_length):
    ...         return self
    ...     def forward(self, Y, start):
    ...         return Y / 2
    ...     def invert(self, paths, tail, start):
    ...         return 2 * paths
    ...     def one_step(self, Z, Y, start):
    ...         return 2 * Z
    >>> Halve().fit(np.ones((3, 1)), 1).forward(np.array([[4.0]]), 3)
    array([[2.]])
    """

    n_lost_ = 0
    leverage_ = 0.0  # share that a row has in what is subtracted from it, for each column
    bends = False  # whether it is a rising function of each value by itself

    @abstractmethod
    def fit(self, Y: np.ndarray, season_length: int) -> Transform:
        """Learn from the rows before the cutoff."""

    @abstractmethod
    def forward(self, Y: np.ndarray, start: int) -> np.ndarray:
        """Transform rows; the result lacks the first `n_lost_` of them."""

    @abstractmethod
    def invert(self, paths: np.ndarray, tail: np.ndarray, start: Any) -> np.ndarray:
        """Undo the step on paths (h, D, M) that follow `tail` (n_lost_, D, 1 or M).

        `start` is the position of their first row, one for all paths or one for each.
        """

    @abstractmethod
    def one_step(self, Z: np.ndarray, Y: np.ndarray, start: int) -> np.ndarray:
        """Undo the step on predictions of single rows, each from the true rows before it.

        `Z` (n, D) predicts the transform of the last n rows of `Y` (n + n_lost_, D).
        """

    def _mask(self, n_columns):
        columns = getattr(self, "columns", None)
        mask = np.ones(n_columns, dtype=bool) if columns is None else np.asarray(columns)
        if mask.shape != (n_columns,) or mask.dtype != bool:
            refuse(
                "columns", type(self).__name__, f"None or a mask of {n_columns} booleans", columns
            )
        return mask


class Standardize(Transform):
    """Zero mean and unit variance for each column; a constant column is only centred.

    Parameters
    ----------
    columns : array of bool, optional
        Columns to act on; all by default.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import Standardize
    >>> Standardize().fit(np.array([[1.0], [3.0]]), 1).forward(np.array([[5.0]]), 2)
    array([[3.]])
    """

    def __init__(self, columns=None):
        self.columns = columns

    def fit(self, Y, season_length):
        mask = self._mask(Y.shape[1])
        spread = Y.std(axis=0)
        level = np.abs(Y).max(axis=0)
        varies = spread > 1e-12 * np.where(level > 0, level, 1)
        self.mean_ = np.where(mask, Y.mean(axis=0), 0.0)
        self.scale_ = np.where(mask & varies, spread, 1.0)
        return self

    def forward(self, Y, start):
        return (Y - self.mean_) / self.scale_

    def invert(self, paths, tail, start):
        return paths * self.scale_[:, None] + self.mean_[:, None]

    def one_step(self, Z, Y, start):
        return Z * self.scale_ + self.mean_


class Difference(Transform):
    """Changes from one step to the next: removes a wandering level or a straight trend.

    Parameters
    ----------
    columns : array of bool, optional
        Columns to act on; all by default.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import Difference
    >>> Difference().fit(np.zeros((3, 1)), 1).forward(np.array([[1.0], [4.0], [9.0]]), 0).ravel()
    array([3., 5.])
    """

    def __init__(self, columns=None):
        self.columns = columns

    def _lag(self, season_length):
        return 1

    def fit(self, Y, season_length):
        self.mask_ = self._mask(Y.shape[1])
        self.n_lost_ = self._lag(season_length)
        if len(Y) <= self.n_lost_ + 1:
            raise ValueError(
                f"Length of `y` ({len(Y)}) must be greater than the window needed "
                f"({self.n_lost_ + 1}: {type(self).__name__})."
            )
        return self

    def forward(self, Y, start):
        lag = self.n_lost_
        return Y[lag:] - np.where(self.mask_, Y[:-lag], 0.0)

    def invert(self, paths, tail, start):
        lag, n_steps = self.n_lost_, len(paths)
        tail = np.broadcast_to(tail, (lag, *paths.shape[1:]))
        out = np.concatenate([tail, paths])
        for begin in range(lag, lag + n_steps, lag):  # whole seasons at a time
            stop = min(begin + lag, lag + n_steps)
            out[begin:stop, self.mask_] += out[begin - lag : stop - lag, self.mask_]
        return out[lag:]

    def one_step(self, Z, Y, start):
        return Z + np.where(self.mask_, Y[: -self.n_lost_], 0.0)


class SeasonalDifference(Difference):
    """Changes from one season to the next.

    Parameters
    ----------
    period : int, optional
        Steps of a season; the forecaster's season length by default.
    columns : array of bool, optional
        Columns to act on; all by default.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import SeasonalDifference
    >>> step = SeasonalDifference(2).fit(np.zeros((5, 1)), 1)
    >>> step.forward(np.array([[1.0], [5.0], [2.0], [7.0]]), 0).ravel()
    array([1., 2.])
    """

    def __init__(self, period=None, columns=None):
        self.period = period
        self.columns = columns

    def _lag(self, season_length):
        if self.period is None:
            return season_length
        return check_number("period", self.period, type(self).__name__, low=1, integer=True)


class Deseasonalize(Transform):
    """Subtract the mean deviation from the trend at each place in the season.

    The trend is a centred moving average over one season, within the rows of fit alone.

    Parameters
    ----------
    period : int, optional
        Steps of a season; the forecaster's season length by default.
    columns : array of bool, optional
        Columns to act on; all by default.

    References
    ----------
    .. [1] R. Hyndman, G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition,
       2021, section 3.4 (classical decomposition).

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import Deseasonalize
    >>> y = np.array([[0.0], [2.0]] * 6)
    >>> Deseasonalize(2).fit(y, 1).forward(y, 0)[:3].ravel()
    array([1., 1., 1.])
    """

    def __init__(self, period=None, columns=None):
        self.period = period
        self.columns = columns

    def fit(self, Y, season_length):
        period = season_length if self.period is None else self.period
        check_number("period", period, type(self).__name__, low=1, integer=True)
        mask = self._mask(Y.shape[1])
        if len(Y) < 2 * period + 1:
            raise ValueError(
                f"Length of `y` ({len(Y)}) must be greater than the window needed "
                f"({2 * period}: two seasons of {period} for Deseasonalize)."
            )
        self.indices_ = np.where(mask, seasonal_indices(Y, period), 0.0)
        self.leverage_ = np.where(mask, period / len(Y), 0.0)
        return self

    def _at(self, starts, n_steps):
        """Indices of the steps from each start on, (n_steps, n_columns, n_starts)."""
        places = np.arange(n_steps)[:, None] + np.atleast_1d(starts)
        return np.moveaxis(self.indices_[places % len(self.indices_)], 2, 1)

    def forward(self, Y, start):
        return Y - self._at(start, len(Y))[:, :, 0]

    def invert(self, paths, tail, start):
        return paths + self._at(start, len(paths))

    def one_step(self, Z, Y, start):
        return Z + self._at(start, len(Z))[:, :, 0]


def detrended(Y: np.ndarray, period: int) -> tuple[np.ndarray, int]:
    """Deviations from a centred moving average over one season, and their first row."""
    if period % 2:
        weights = np.full(period, 1 / period)
    else:  # both ends count half, so that the window has a middle
        weights = np.r_[0.5, np.ones(period - 1), 0.5] / period
    first = len(weights) // 2
    trend = np.stack([np.convolve(y, weights, mode="valid") for y in Y.T], axis=1)
    return Y[first : first + len(trend)] - trend, first


def seasonal_indices(Y: np.ndarray, period: int) -> np.ndarray:
    """Mean deviation from the trend at each place in the season, (period, n_columns)."""
    rest, first = detrended(Y, period)
    place = (first + np.arange(len(rest))) % period
    means = np.stack([rest[place == k].mean(axis=0) for k in range(period)])
    return means - means.mean(axis=0)


class Chain:
    """Fitted steps in a row, and the tails needed to invert them after given rows.

    Parameters
    ----------
    steps : sequence of Transform
    """

    def __init__(self, steps: Sequence[Transform]):
        self.steps = list(steps)

    @property
    def n_lost(self) -> int:
        """Rows lost at the start of a series."""
        return sum(step.n_lost_ for step in self.steps)

    @property
    def leverage(self) -> np.ndarray | float:
        """Share of the rows in what is subtracted from them; errors are that much too small."""
        return sum((step.leverage_ for step in self.steps), 0.0)

    def bends(self, n_columns: int) -> Chain | None:
        """The fitted logarithms and powers that it begins with, for its first columns."""
        steps: list[Any] = []
        for step in self.steps:
            if not step.bends:
                break
            steps.append(step.of_first(n_columns))
        return Chain(steps) if steps else None

    def fit(self, Y: np.ndarray, season_length: int) -> Chain:
        """Fit each step to what the steps before it give."""
        lost = 0
        for step in self.steps:
            step.fit(Y, season_length)
            Y = step.forward(Y, lost)
            lost += step.n_lost_
        return self

    def forward(self, Y: np.ndarray, start: int = 0) -> np.ndarray:
        """Transform rows whose first has position `start`; the first `n_lost` are lost."""
        for step in self.steps:
            Y = step.forward(Y, start)
            start += step.n_lost_
        return Y

    def tails(self, Y: np.ndarray, start: int = 0) -> list[np.ndarray]:
        """For each step the last rows of its input (n_lost_, D): what inverting needs."""
        tails = []
        for step in self.steps:
            tails.append(Y[len(Y) - step.n_lost_ :].copy())
            Y = step.forward(Y, start)
            start += step.n_lost_
        return tails

    def tails_at(self, Y: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
        """Tails (n_lost_, D, n_ends) as they were after the first ``ends[i]`` rows of Y."""
        tails, lost = [], 0
        for step in self.steps:
            rows = (ends - lost)[None, :] + np.arange(-step.n_lost_, 0)[:, None]
            tails.append(np.moveaxis(Y[rows], 1, 2))
            Y = step.forward(Y, lost)
            lost += step.n_lost_
        return tails

    def extend(
        self, Y: np.ndarray, tails: Sequence[np.ndarray], start: int
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Transform rows that follow `tails`, the first at position `start`; the new tails."""
        new_tails = []
        for step, tail in zip(self.steps, tails):
            whole = np.concatenate([tail, Y])
            new_tails.append(whole[len(whole) - step.n_lost_ :].copy())
            Y = step.forward(whole, start - step.n_lost_)
        return Y, new_tails

    def invert(self, paths: np.ndarray, tails: Sequence[np.ndarray], start: Any) -> np.ndarray:
        """Undo all steps on paths (h, D, M); `start` is the position of their first row.

        Tails and starts are common to all paths, or there is one for each.
        """
        for step, tail in zip(reversed(self.steps), reversed(list(tails))):
            tail = tail[:, :, None] if tail.ndim == 2 else tail
            paths = step.invert(paths, tail, start)
        return paths

    def one_step(self, Z: np.ndarray, Y: np.ndarray, start: int = 0) -> np.ndarray:
        """Undo all steps on one-step predictions `Z` of the last ``len(Z)`` rows of `Y`."""
        inputs, position = [], start
        for step in self.steps:
            inputs.append(Y)
            Y = step.forward(Y, position)
            position += step.n_lost_
        first = start + len(inputs[0]) - len(Z) if inputs else start
        for step, rows in zip(reversed(self.steps), reversed(inputs)):
            needed = rows[len(rows) - len(Z) - step.n_lost_ :]
            Z = step.one_step(Z, needed, first)
        return Z

    def one_step_after(
        self, Z: np.ndarray, Y: np.ndarray, tails: Sequence[np.ndarray], start: int
    ) -> np.ndarray:
        """Undo all steps on one-step predictions `Z` of rows `Y` that follow `tails`.

        `start` is the position of the first of the rows.
        """
        inputs = []
        for step, tail in zip(self.steps, tails):
            inputs.append(np.concatenate([tail, Y]))
            Y = step.forward(inputs[-1], start - step.n_lost_)
        for step, whole in zip(reversed(self.steps), reversed(inputs)):
            Z = step.one_step(Z, whole, start)
        return Z
