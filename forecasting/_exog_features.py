"""Exogenous columns as the network sees them: differenced like y, then standardised."""

from __future__ import annotations

import numpy as np

from ._transforms import Difference, Transform

__all__ = ["ExogFeatures"]


class ExogFeatures:
    """Carry exogenous columns through the differences that y went through.

    If ``y = b X + e`` then the same holds between the differences of y and of X, so a column
    keeps its meaning. Where the columns of y are differenced in several ways, X appears once
    for each of them. Everything is standardised with the mean and deviation of the fit. What
    does not vary in the fit, but for rounding, is zero for ever: nothing was learnt about it.

    Parameters
    ----------
    steps : list of Transform
        The fitted steps that y goes through.
    X : ndarray of shape (n_steps, n_columns)
        Exogenous rows of the fit.
    """

    def __init__(self, steps: list[Transform], X: np.ndarray):
        differences = [s for s in steps if isinstance(s, Difference)]
        self.n_lost = sum(s.n_lost_ for s in differences)
        if X.shape[1] and differences:
            ways = zip(*(np.where(s.mask_, s.n_lost_, 0) for s in differences))
            self.ways = sorted({tuple(int(lag) for lag in way if lag) for way in ways})
        else:
            self.ways = [()]
        features = self._differenced(X)
        self.mean = features.mean(axis=0)
        spread = features.std(axis=0)
        level = np.tile(np.abs(X).max(axis=0, initial=0.0), len(self.ways))
        self.scale = np.where(spread > 1e-12 * level, spread, np.inf)

    @property
    def n_features(self) -> int:
        """Columns of the result."""
        return len(self.mean)

    def _differenced(self, X):
        parts = []
        for lags in self.ways:
            part = X
            for lag in lags:
                part = part[lag:] - part[:-lag]
            parts.append(part[len(part) - (len(X) - self.n_lost) :])
        return np.concatenate(parts, axis=1)

    def forward(self, X: np.ndarray) -> np.ndarray:
        """Features of rows; the first `n_lost` are lost."""
        return (self._differenced(X) - self.mean) / self.scale

    def tail(self, X: np.ndarray) -> np.ndarray:
        """The rows that the features of following rows need."""
        return X[len(X) - self.n_lost :].copy()
