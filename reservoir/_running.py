"""The ridge readout of a growing number of rows, as often as it is asked for."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.linalg import lapack, solve_triangular

from echocast._checks import check_flag, check_number

from ._factor import _add_rows
from ._linalg import EPS, factor_spectrum, spectrum_solve

__all__ = ["RunningReadout"]

_LEAST_FREEDOM = 1e-3  # a row that the readout interpolates would otherwise divide by zero


class RunningReadout:
    r"""Exact ridge coefficients at one penalty after each of many additions of rows.

    Kept is the R factor of the rows :math:`[1,\; s_i - a,\; y_i - b]` below the rows
    :math:`[0,\; \sqrt\alpha I,\; 0]`, where the shift (a, b) is the mean of the first rows. The
    penalty being part of the factor, new rows cost a QR update, and coefficients one triangular
    solve; nothing is squared.

    Parameters
    ----------
    n_features, n_targets : int
    alpha : float, >= 0
        Ridge penalty, summed over rows; the intercept is not penalised.
    fit_intercept : bool, default=True

    Attributes
    ----------
    n_samples : int
        Rows taken in so far.

    References
    ----------
    .. [1] G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th edition, 2013, sections 6.1.4
       and 6.5.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import RunningReadout
    >>> S = np.arange(6.0)[:, None]
    >>> readout = RunningReadout(1, 1, alpha=0.0).extend(S[:3], 2 * S[:3] + 1)
    >>> coef, intercept = readout.extend(S[3:], 2 * S[3:] + 1).solve()
    >>> coef.round(9), intercept.round(9)
    (array([[2.]]), array([1.]))
    """

    def __init__(
        self, n_features: int, n_targets: int, *, alpha: float, fit_intercept: bool = True
    ) -> None:
        owner = type(self).__name__
        self.n_features = int(check_number("n_features", n_features, owner, low=1, integer=True))
        self.n_targets = int(check_number("n_targets", n_targets, owner, low=1, integer=True))
        self.alpha = float(check_number("alpha", alpha, owner, low=0.0))
        self.fit_intercept = check_flag("fit_intercept", fit_intercept, owner)
        self.n_samples = 0
        self._ones = int(self.fit_intercept)
        n = self._ones + self.n_features + self.n_targets
        self._R = np.zeros((n, n), order="F")
        penalised = np.arange(self._ones, self._ones + self.n_features)
        self._R[penalised, penalised] = np.sqrt(self.alpha)
        self._shift = np.zeros(self.n_features + self.n_targets)

    def extend(self, S: Any, Y: Any) -> Self:
        """Take rows in.

        Parameters
        ----------
        S : array-like of shape (n_rows, n_features)
        Y : array-like of shape (n_rows, n_targets)

        Returns
        -------
        RunningReadout
            Itself.
        """
        if not len(S):
            return self
        if not self.n_samples and self.fit_intercept:
            self._shift = np.r_[np.mean(S, axis=0, dtype=float), np.mean(Y, axis=0, dtype=float)]
        block = np.ones((len(S), self._R.shape[0]))
        block[:, self._ones : self._ones + self.n_features] = S
        block[:, self._ones + self.n_features :] = Y
        block[:, self._ones :] -= self._shift
        self._R = _add_rows(self._R, block)
        self.n_samples += len(S)
        return self

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (n_targets, n_features) and intercepts (n_targets,) for the rows so far.

        Where the rows do not determine them, the solution of least norm.
        """
        first, last = self._ones, self._ones + self.n_features
        R, Z = self._R[first:last, first:last], self._R[first:last, last:]
        rcond, _ = lapack.dtrcon(R)
        if rcond > len(R) * EPS:
            coef = solve_triangular(R, Z, check_finite=False).T
        else:
            spectrum = factor_spectrum(R, Z, np.zeros(self.n_targets), len(R) * EPS)
            coef = spectrum_solve(spectrum, 0.0)
        if not self.fit_intercept:
            return coef, np.zeros(self.n_targets)
        centred = (self._R[0, last:] - coef @ self._R[0, first:last]) / self._R[0, 0]
        return coef, centred + self._shift[self.n_features :] - coef @ self._shift[
            : self.n_features
        ]

    def leave_one_out(self, S: Any, Y: Any) -> np.ndarray:
        """Errors of rows taken in before, each under the readout of all the other rows.

        Parameters
        ----------
        S : array-like of shape (n_rows, n_features)
        Y : array-like of shape (n_rows, n_targets)

        Returns
        -------
        ndarray of shape (n_rows, n_targets)
            `Y` minus the prediction.
        """
        coef, intercept = self.solve()
        whole = np.ones((len(S), self._ones + self.n_features))
        whole[:, self._ones :] = S - self._shift[: self.n_features]
        R = self._R[: whole.shape[1], : whole.shape[1]]
        diagonal = np.abs(np.diag(R))
        floor = EPS * max(diagonal.max(), np.finfo(float).tiny)
        if (diagonal < floor).any():
            R = R + np.diag(np.where(diagonal < floor, floor, 0.0))
        scaled = solve_triangular(R, whole.T, trans="T", check_finite=False)
        freedom = np.maximum(1 - (scaled**2).sum(axis=0), _LEAST_FREEDOM)
        return (Y - S @ coef.T - intercept) / freedom[:, None]
