"""A straight or bent line through the rows of fit, taken off and continued into the future."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import polynomial

from echocast._checks import check_number

from ._transforms import Transform

__all__ = ["Detrend"]


class Detrend(Transform):
    """Subtract a polynomial in time, fitted by least squares and continued after the fit.

    A line goes on for ever, so it suits a trend that is known to last; `Difference` follows one
    that may turn. Powers above one leave the range of the data soon after it ends.

    Parameters
    ----------
    degree : int in [0, 5], default=1
        Of the polynomial: 1 is a straight line, 0 the mean.
    columns : array of bool, optional
        Columns to act on; all by default.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import Detrend
    >>> y = 3.0 + 2.0 * np.arange(10)[:, None]
    >>> bool(np.abs(Detrend().fit(y, 1).forward(np.array([[23.0]]), 10)).max() < 1e-12)
    True
    """

    def __init__(self, degree: int = 1, columns: Any = None):
        self.degree = degree
        self.columns = columns

    def fit(self, Y, season_length):
        check_number("degree", self.degree, "Detrend", low=0, high=5, integer=True)
        mask = self._mask(Y.shape[1])
        n_steps = len(Y)
        if n_steps < self.degree + 2:
            raise ValueError(
                f"Length of `y` ({n_steps}) must be greater than the window needed "
                f"({self.degree + 1}: degree={self.degree} for Detrend)."
            )
        self.n_steps_ = n_steps
        powers = polynomial.polyvander(self._times(np.arange(n_steps)), self.degree)
        coef = np.linalg.lstsq(powers, Y, rcond=None)[0]
        self.coef_ = np.where(mask, coef, 0.0)
        self.leverage_ = np.where(mask, (self.degree + 1) / n_steps, 0.0)
        return self

    def _times(self, positions):
        """From -1 to 1 over the rows of fit, where powers of them are well told apart."""
        return 2 * positions / max(self.n_steps_ - 1, 1) - 1

    def _at(self, starts, n_steps):
        """The trend of the steps from each start on, (n_steps, n_columns, n_starts)."""
        positions = np.arange(n_steps)[:, None] + np.atleast_1d(starts)
        return np.moveaxis(polynomial.polyval(self._times(positions), self.coef_), 0, 1)

    def forward(self, Y, start):
        return Y - self._at(start, len(Y))[:, :, 0]

    def invert(self, paths, tail, start):
        return paths + self._at(start, len(paths))

    def one_step(self, Z, Y, start):
        return Z + self._at(start, len(Z))[:, :, 0]
