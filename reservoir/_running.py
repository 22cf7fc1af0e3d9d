"""The ridge readout of a growing number of rows, as often as it is asked for."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.linalg import LinAlgError, lapack, solve_triangular

from echocast._checks import check_flag, check_number
from echocast._saving import ModelFiles

from ._factor import RidgeFactor, _add_rows
from ._linalg import EPS, factor_spectrum, gram_solve, spectrum_solve

__all__ = ["LEAST_FREEDOM", "RunningReadout"]

LEAST_FREEDOM = 1e-3  # a row that the readout interpolates would otherwise divide by zero

_LOSS_ALLOWED = 1e-9  # share of the targets; the bound is 15 times the true loss or more


class RunningReadout(ModelFiles):
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

    @classmethod
    def from_fit(cls, model: Any, *, exact: bool = True) -> Self | None:
        """The readout of a fitted model, to go on with rows that follow.

        Parameters
        ----------
        model : ESNRegressor, DeepESNRegressor or NVARRegressor
            Fitted; not changed.
        exact : bool, default=True
            Whether predictions must be known to a share of 1e-9 of the targets, by a bound on
            what rounding does, if the fit kept normal equations. Else their Cholesky factor is
            taken for what it is worth: as accurate as the fit.

        Returns
        -------
        RunningReadout or None
            None if the normal equations that the fit kept are not accurate enough, or not
            positive definite in float64.
        """
        from ._readout import statistics_of

        kept = statistics_of(model)
        if not isinstance(kept, RidgeFactor):
            raise ValueError(
                "RunningReadout.from_fit needs the statistics of a ridge readout, but the model "
                f"learnt with {type(kept).__name__}. Use readout=None."
            )
        factor = kept.flushed()
        new = cls(
            factor.n_features,
            factor.n_targets,
            alpha=float(model.alpha_),
            fit_intercept=model._readout_params()["fit_intercept"],
        )
        new.n_samples = factor.n_samples
        system = factor.system(fit_intercept=new.fit_intercept)
        if exact and factor.method == "gram" and not _exact(system, new.alpha):
            return None
        if new.fit_intercept:
            assert factor._sums is not None  # else there was no system
            new._shift, R = factor._sums.shift.copy(), factor._sums.matrix.copy(order="F")
        else:
            R = np.asfortranarray(system.matrix)
        if factor.method == "gram":
            R[np.diag_indices_from(R)] += np.diag(new._R) ** 2
            new._R, failed = lapack.dpotrf(R, lower=0, clean=1, overwrite_a=1)
            return None if failed else new
        n, penalty = len(R), np.asfortranarray(new._R)
        new._R, *_ = lapack.dtpqrt(n, min(32, n), R, penalty, overwrite_a=1, overwrite_b=1)
        return new

    def extend(self, S: Any, Y: Any, sample_weight: Any = None) -> Self:
        """Take rows in.

        Parameters
        ----------
        S : array-like of shape (n_rows, n_features)
        Y : array-like of shape (n_rows, n_targets)
        sample_weight : array-like of shape (n_rows,), optional
            Not negative.

        Returns
        -------
        RunningReadout
            Itself.

        Raises
        ------
        ValueError
            If the columns are not those of the constructor.
        """
        for name, rows, width in (("S", S, self.n_features), ("Y", Y, self.n_targets)):
            if np.shape(rows) != (len(S), width):
                raise ValueError(
                    f"`{name}` must have shape ({len(S)}, {width}), got {np.shape(rows)}."
                )
        if not len(S):
            return self
        if not self.n_samples and self.fit_intercept:
            self._shift = np.r_[np.mean(S, axis=0, dtype=float), np.mean(Y, axis=0, dtype=float)]
        block = np.ones((len(S), self._R.shape[0]))
        block[:, self._ones : self._ones + self.n_features] = S
        block[:, self._ones + self.n_features :] = Y
        block[:, self._ones :] -= self._shift
        if sample_weight is not None:
            block *= np.sqrt(sample_weight)[:, None]
        self._R = _add_rows(self._R, block)
        self.n_samples += len(S)
        return self

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (n_targets, n_features) and intercepts (n_targets,) for the rows so far.

        Where the rows do not determine them, the solution of least norm.

        Raises
        ------
        ValueError
            If there is an intercept and no row, or none with a weight, has been taken in.
        """
        if self.fit_intercept and self._R[0, 0] == 0:
            raise ValueError("RunningReadout has no rows to learn from; call extend first.")
        first, last = self._ones, self._ones + self.n_features
        R, Z = self._R[first:last, first:last], self._R[first:last, last:]
        # no singular value is below the root of the penalty
        if np.sqrt(self.alpha) > 4 * len(R) * EPS * np.linalg.norm(R):
            rcond = 1.0
        else:
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
        freedom = np.maximum(1 - self.leverages(S), LEAST_FREEDOM)
        return (Y - S @ coef.T - intercept) / freedom[:, None]

    def leverages(self, S: Any) -> np.ndarray:
        """How much each row of `S`, taken in before with weight one, attracts its prediction.

        Parameters
        ----------
        S : array-like of shape (n_rows, n_features)

        Returns
        -------
        ndarray of shape (n_rows,)
            From 0 to 1.
        """
        whole = np.ones((len(S), self._ones + self.n_features))
        whole[:, self._ones :] = S - self._shift[: self.n_features]
        R = self._R[: whole.shape[1], : whole.shape[1]]
        diagonal = np.abs(np.diag(R))
        floor = EPS * max(diagonal.max(), np.finfo(float).tiny)
        if (diagonal < floor).any():
            R = R + np.diag(np.where(diagonal < floor, floor, 0.0))
        scaled = solve_triangular(R, whole.T, trans="T", check_finite=False)
        return (scaled**2).sum(axis=0)


def _exact(system, alpha):
    """Whether the normal equations give predictions that a QR factor would not improve."""
    squares = system.target_squares
    try:
        _, _, lost, _ = gram_solve(system.xx, system.xy, squares, alpha)
    except LinAlgError:
        return False
    return bool((lost <= _LOSS_ALLOWED * np.sqrt(squares)).all())
