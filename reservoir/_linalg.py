"""Ridge solves on small matrices: from a Gram matrix, from an R factor, from its SVD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, lapack, svd

__all__ = [
    "Spectrum",
    "augmented_solve",
    "gcv_errors",
    "normal_solve",
    "spectrum",
    "spectrum_solve",
]

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Spectrum:
    r"""Singular value decomposition of the R factor of the (centred) states.

    With :math:`S = Q R` and :math:`R = U \Sigma V^\top`, every ridge solution, its residual and
    its leverages follow from the arrays kept here; directions below the rounding level are cut.

    Parameters
    ----------
    sigma : ndarray of shape (rank,)
        Singular values kept, in decreasing order.
    V : ndarray of shape (n_features, rank)
        Right singular vectors.
    z : ndarray of shape (rank, n_targets)
        Targets in the basis of the left singular vectors.
    rest : ndarray of shape (n_targets,)
        Squared norm of each target outside of the span of the kept directions.
    smallest : float
        Smallest singular value before the cut.
    cut : float
        Singular values up to this one were dropped.
    """

    sigma: np.ndarray
    V: np.ndarray
    z: np.ndarray
    rest: np.ndarray
    smallest: float
    cut: float

    @property
    def rank(self) -> int:
        return self.sigma.shape[0]

    @property
    def condition(self) -> float:
        """Largest over smallest singular value, before the cut; inf if the smallest is zero."""
        if self.rank == 0 or self.smallest == 0.0:
            return np.inf
        return float(self.sigma[0] / self.smallest)


def spectrum(Rxx: np.ndarray, Rxy: np.ndarray, rest: np.ndarray, *, eps: float = EPS) -> Spectrum:
    """Decompose a factor and cut the directions that rounding alone can have made.

    Parameters
    ----------
    Rxx : ndarray of shape (n_features, n_features)
        Any matrix with ``Rxx.T @ Rxx`` equal to the Gram matrix of the states.
    Rxy : ndarray of shape (n_features, n_targets)
        The targets in the same orthonormal basis.
    rest : ndarray of shape (n_targets,)
        Squared norm of the targets outside of that basis.
    eps : float, default=2.2e-16
        Relative rounding level of the states; the cut is at ``n_features * eps * sigma[0]``.

    Returns
    -------
    Spectrum
    """
    U, sigma, Vt = svd(Rxx, check_finite=False)
    # tiny keeps exact zeros out when all states are constant.
    cut = max(Rxx.shape[1] * eps * sigma[0], np.finfo(np.float64).tiny)
    rank = int(np.count_nonzero(sigma > cut))
    z = U.T @ Rxy
    rest = rest + np.einsum("ij,ij->j", z[rank:], z[rank:])
    return Spectrum(sigma[:rank], Vt[:rank].T, z[:rank], rest, float(sigma[-1]), float(cut))


def shrinkage(sigma: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    """Return ``alpha / (sigma**2 + alpha)`` without overflow; shape (rank,) or (rank, n_alphas)."""
    root = np.sqrt(np.asarray(alpha, dtype=np.float64))
    with np.errstate(divide="ignore", over="ignore"):
        ratio = sigma.reshape(sigma.shape + (1,) * root.ndim) / root
        return 1.0 / (1.0 + ratio * ratio)


def spectrum_solve(spec: Spectrum, alpha: float) -> np.ndarray:
    """Ridge coefficients of shape (n_targets, n_features); minimum norm where rank is lost."""
    gain = (1.0 - shrinkage(spec.sigma, alpha)) / spec.sigma
    return (spec.V @ (gain[:, None] * spec.z)).T


def gcv_errors(
    spec: Spectrum, alphas: np.ndarray, n_samples: int, sum_weights: float, n_constants: int
) -> np.ndarray:
    """Generalised cross-validation error of each candidate, in squared units of the targets.

    Parameters
    ----------
    spec : Spectrum
    alphas : ndarray of shape (n_alphas,)
    n_samples : int
        Rows with a positive weight.
    sum_weights : float
        Sum of their weights.
    n_constants : int
        Unpenalised columns that were projected out before: 1 with an intercept, else 0.

    Returns
    -------
    ndarray of shape (n_alphas, n_targets)

    References
    ----------
    .. [1] G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for
       choosing a good ridge parameter", Technometrics 21(2), 1979, eq. (1.4).
    """
    g = shrinkage(spec.sigma, effective_alphas(alphas, spec))
    free = max(n_samples - n_constants - spec.rank, 0)
    rest = spec.rest if free else np.zeros_like(spec.rest)
    squares = (g * g).T @ (spec.z * spec.z) + rest
    freedom = (free + g.sum(axis=0)) / n_samples
    return squares / sum_weights / (freedom * freedom)[:, None]


def effective_alphas(alphas: np.ndarray, spec: Spectrum) -> np.ndarray:
    """Lift zero to a value without effect on the fit, so that interpolation keeps its limit 0/0."""
    if spec.rank == 0:
        return np.maximum(alphas, np.finfo(np.float64).tiny)
    return np.maximum(alphas, (1e-8 * spec.sigma[-1]) ** 2)


def augmented_solve(Rxx: np.ndarray, Rxy: np.ndarray, alpha: float) -> tuple[np.ndarray, float]:
    r"""Solve by QR of the factor with :math:`\sqrt\alpha I` below it.

    Parameters
    ----------
    Rxx : ndarray of shape (n_features, n_features)
        Upper triangular.
    Rxy : ndarray of shape (n_features, n_targets)
    alpha : float, > 0

    Returns
    -------
    coef : ndarray of shape (n_targets, n_features)
    condition : float
        Estimated condition number (1-norm) of the augmented factor.
    """
    n = Rxx.shape[0]
    top = np.asfortranarray(np.triu(Rxx))
    bottom = np.asfortranarray(np.diag(np.full(n, np.sqrt(alpha))))
    top, v, t, info = lapack.dtpqrt(n, min(32, n), top, bottom, overwrite_a=1, overwrite_b=1)
    rhs = np.asfortranarray(Rxy)
    rhs, _, info = lapack.dtpmqrt(
        n, v, t, np.copy(rhs, order="F"), np.zeros_like(rhs, order="F"), trans="T"
    )
    rcond, info = lapack.dtrcon(top)
    coef, info = lapack.dtrtrs(top, rhs)
    if info or not np.isfinite(coef).all():
        raise LinAlgError("the augmented factor is singular")
    return coef.T, 1.0 / rcond if rcond else np.inf


def normal_solve(G: np.ndarray, B: np.ndarray, alpha: float) -> tuple[np.ndarray, float]:
    """Solve the normal equations ``(G + alpha I) C.T = B`` by Cholesky.

    Parameters
    ----------
    G : ndarray of shape (n_features, n_features)
        Centred Gram matrix; only the upper triangle is read.
    B : ndarray of shape (n_features, n_targets)
    alpha : float, >= 0

    Returns
    -------
    coef : ndarray of shape (n_targets, n_features)
    smallest : float
        Lower estimate of the smallest eigenvalue of ``G + alpha I`` (its inverse's 1-norm).

    Raises
    ------
    LinAlgError
        If the matrix is not positive definite in float64.
    """
    A = np.array(G, order="F")
    A[np.diag_indices_from(A)] += alpha
    norm = _norm1(A)
    L, info = lapack.dpotrf(A, overwrite_a=1, clean=0)
    if info:
        raise LinAlgError("the normal equations are not positive definite")
    coef, info = lapack.dpotrs(L, np.asfortranarray(B))
    rcond, info = lapack.dpocon(L, norm)
    return coef.T, rcond * norm


def _norm1(A: np.ndarray) -> float:
    upper = np.abs(np.triu(A))
    return float((upper.sum(axis=0) + upper.sum(axis=1) - upper.diagonal()).max())
