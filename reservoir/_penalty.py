"""Choose the ridge penalty: candidates, leave-one-out and generalised cross-validation errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ._factor import RidgeSystem, RowBuffer
from ._linalg import Spectrum, shrinkage

__all__ = ["candidates", "gcv_errors", "loo_errors", "loo_predictions", "loo_squares", "pick"]

# Errors this close to the smallest count as equal, and then the larger penalty is taken.
_TIE = 1e-3


def candidates(spectrum: Spectrum) -> np.ndarray:
    """One penalty a decade, from the largest squared singular value to the rounding level.

    Below the squared cut a penalty changes no direction that is kept; two decades below it the
    solution is the unpenalised one to one per cent. Decreasing, of shape (n_alphas,).
    """
    if spectrum.rank == 0:
        return np.ones(1)
    top = np.floor(2.0 * np.log10(spectrum.sigma[0]))
    bottom = np.floor(2.0 * np.log10(spectrum.cut)) - 2.0
    return 10.0 ** np.unique(np.clip(np.arange(bottom, top + 1.0), -290.0, 290.0))[::-1]


def pick(alphas: np.ndarray, errors: np.ndarray, target_squares: np.ndarray) -> float:
    """The penalty of smallest error relative to each target's variance, averaged over targets.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
    errors : ndarray of shape (n_alphas, n_targets)
    target_squares : ndarray of shape (n_targets,)
        Proportional to the targets' variances; constant targets have no say.

    Returns
    -------
    float
    """
    varying = target_squares > 0.0
    pooled = (errors[:, varying] / target_squares[varying]).sum(axis=1)
    pooled[np.isnan(pooled)] = np.inf
    return float(alphas[pooled <= (1.0 + _TIE) * pooled.min()].max())


def gcv_errors(system: RidgeSystem, spectrum: Spectrum, alphas: np.ndarray) -> np.ndarray:
    """Generalised cross-validation error of each candidate, from the factor alone.

    Parameters
    ----------
    system : RidgeSystem
    spectrum : Spectrum
        Of the system.
    alphas : ndarray of shape (n_alphas,)

    Returns
    -------
    ndarray of shape (n_alphas, n_targets)
        In squared units of the targets.

    References
    ----------
    .. [1] G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for
       choosing a good ridge parameter", Technometrics 21(2), 1979, eq. (1.4).
    """
    g = shrinkage(spectrum.sigma, _lifted(alphas, spectrum))
    free = max(system.n_samples - int(system.fit_intercept) - spectrum.rank, 0)
    rest = spectrum.rest if free else np.zeros_like(spectrum.rest)
    squares = (g * g).T @ (spectrum.z * spectrum.z) + rest
    freedom = (free + g.sum(axis=0)) / system.n_samples
    return squares / system.sum_weights / (freedom * freedom)[:, None]


def loo_errors(
    system: RidgeSystem, spectrum: Spectrum, alphas: np.ndarray, blocks: Iterable
) -> np.ndarray:
    r"""Exact mean squared leave-one-out error of each candidate, by replaying the rows.

    With :math:`u_i = \sqrt{w_i}\, \Sigma^{-1} V^\top s_i` and :math:`g = \alpha / (\sigma^2 +
    \alpha)`, the residual of row i is :math:`q_i + \sum_k u_{ik} g_k z_k`, and one minus its
    leverage is :math:`c_i + \sum_k u_{ik}^2 g_k`, where q and c belong to least squares. Neither
    sum cancels for any penalty; where least squares passes through a row, q and c are zero and
    the quotient tends to the leave-one-out error of the interpolating model.

    Parameters
    ----------
    system : RidgeSystem
    spectrum : Spectrum
        Of the system.
    alphas : ndarray of shape (n_alphas,)
    blocks : iterable of (S, Y, sample_weight or None)
        The rows that the system was made from.

    Returns
    -------
    ndarray of shape (n_alphas, n_targets)
        In squared units of the targets, averaged with the weights.

    References
    ----------
    .. [1] T. Hastie, R. Tibshirani and J. Friedman, "The Elements of Statistical Learning",
       2nd ed., 2009, eq. (7.64).
    """
    return loo_squares(system, spectrum, alphas, blocks) / system.sum_weights


def loo_squares(
    system: RidgeSystem, spectrum: Spectrum, alphas: np.ndarray, blocks: Iterable
) -> np.ndarray:
    """Sums of what `loo_errors` averages, over rows that may be some of the system's."""
    total = np.zeros((len(alphas), spectrum.z.shape[1]))
    for _, _, residual in _replay(system, spectrum, alphas, blocks):
        total += np.einsum("iad,iad->ad", residual, residual)
    return total


def loo_predictions(
    system: RidgeSystem, spectrum: Spectrum, alpha: float, blocks: Iterable
) -> np.ndarray:
    """Predict each row of positive weight by the readout of all other rows.

    Parameters
    ----------
    system, spectrum, blocks
        As for `loo_errors`.
    alpha : float

    Returns
    -------
    ndarray of shape (n_rows, n_targets)
    """
    parts = [
        targets - residual[:, 0] / np.sqrt(weight)[:, None]
        for weight, targets, residual in _replay(system, spectrum, np.array([alpha]), blocks)
    ]
    return np.concatenate(parts)


def _replay(system, spectrum, alphas, blocks) -> Iterator[tuple]:
    """Yield weights, targets and leave-one-out residuals times the root of the weight."""
    rows_of = _LeaveOneOut(system, spectrum, alphas)
    buffer = RowBuffer(system.n_features, spectrum.z.shape[1])
    for S, Y, weight in blocks:
        for rows in buffer.push(S, Y, weight):
            yield rows_of(rows)
    if buffer.n_pending:
        yield rows_of(buffer.pending())


class _LeaveOneOut:
    """Leave-one-out residuals of blocks of rows [weight, states, targets]."""

    def __init__(self, system: RidgeSystem, spectrum: Spectrum, alphas: np.ndarray) -> None:
        p = system.n_features
        self.p, self.shift, self.z = p, system.shift, spectrum.z
        self.g = shrinkage(spectrum.sigma, _lifted(alphas, spectrum))
        self.gz = (self.g[:, :, None] * spectrum.z[:, None, :]).reshape(
            spectrum.rank, len(alphas) * spectrum.z.shape[1]
        )
        self.to_u = spectrum.V / spectrum.sigma
        self.u_centre = system.centre[:p] @ self.to_u
        self.y_centre = system.centre[p:]
        self.constant = 1.0 / system.sum_weights if system.fit_intercept else 0.0
        self.interpolates = system.n_samples <= spectrum.rank + int(system.fit_intercept)
        self.shape = (len(alphas), spectrum.z.shape[1])

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weight, targets = rows[:, 0].copy(), rows[:, 1 + self.p :].copy()
        rows = rows[:, 1:]
        rows -= self.shift  # first, so that an offset of the data does not enter the product
        root = np.sqrt(weight)[:, None]
        u = rows[:, : self.p] @ self.to_u
        u -= self.u_centre
        u *= root
        q = root * (rows[:, self.p :] - self.y_centre) - u @ self.z
        residual = (u @ self.gz).reshape(len(rows), *self.shape)
        np.square(u, out=u)
        c = 1.0 - weight * self.constant - u.sum(axis=1)
        # Below 1e-11 the difference is rounding: the row is fitted whatever its target.
        fitted = np.full(len(c), True) if self.interpolates else c < 1e-11
        q[fitted], c[fitted] = 0.0, 0.0
        residual += q[:, None, :]
        with np.errstate(invalid="ignore"):  # 0 / 0: nothing is left without the only row
            residual /= (c[:, None] + u @ self.g)[:, :, None]
        return weight, targets, residual


def _lifted(alphas: np.ndarray, spectrum: Spectrum) -> np.ndarray:
    """Replace zero by a penalty without effect, so that interpolation is a limit and not 0/0."""
    smallest = spectrum.sigma[-1] if spectrum.rank else 1.0
    return np.maximum(alphas, max((1e-8 * smallest) ** 2, np.finfo(np.float64).tiny))
