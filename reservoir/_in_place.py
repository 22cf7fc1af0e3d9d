"""Ridge solves of many features in the memory of one or two n_features x n_features matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, blas, lapack

from ._factor import RidgeFactor
from ._linalg import EPS, gram_loss

__all__ = ["LARGE", "Solved", "factor_solve_in_blocks", "gram_solve_in_place"]

# From so many features on (a matrix of 128 MiB) copies of matrices are worth avoiding.
LARGE = 4096
_TILE = 512


class Solved(NamedTuple):
    """A solution, and what is known of its error.

    `coef` (n_targets, n_features) and `condition` are as in `gram_solve`, and so are `lost` and
    `residual`; `squares` (n_targets,) are those of the targets, about their mean if there is an
    intercept.
    """

    coef: np.ndarray
    condition: float
    lost: np.ndarray
    residual: np.ndarray
    squares: np.ndarray
    intercept: np.ndarray


def gram_solve_in_place(factor: RidgeFactor, alpha: float, *, fit_intercept: bool) -> Solved:
    """Solve the normal equations in the half of the Gram matrix that is not used.

    A factor keeps the upper triangle of its Gram matrix. The lower one takes, in this order, a
    copy of it, the rows that are still buffered, the projection of the constant, and the Cholesky
    factor; then the diagonal is put back. Nothing else may use the factor meanwhile.

    Parameters
    ----------
    factor : RidgeFactor
        With ``method="gram"``; as before afterwards, also after an error.
    alpha : float, >= 0
    fit_intercept : bool

    Returns
    -------
    Solved

    Raises
    ------
    LinAlgError
        If the penalised matrix is not positive definite in float64.
    ValueError
        If there is no row of positive weight.
    """
    if factor.n_samples == 0:
        raise ValueError("There are no rows of positive weight to fit to.")
    if factor._sums is None:  # all rows are still buffered
        factor = factor.flushed()
    sums = factor._sums
    assert sums is not None
    if not sums.matrix.flags.f_contiguous:  # else LAPACK would work on a copy
        sums.matrix = np.asfortranarray(sums.matrix)
    diagonal = sums.matrix.diagonal().copy()
    try:
        return _solve_lower(factor, sums, alpha, fit_intercept)
    finally:
        _clear_lower(sums.matrix)
        np.fill_diagonal(sums.matrix, diagonal)


def _solve_lower(factor, sums, alpha, fit_intercept):
    M, n = sums.matrix, factor.n_features
    _mirror(M)
    rows = factor._shifted(factor._buffer.pending().copy())
    if len(rows):
        M = blas.dsyrk(1.0, rows.T, beta=1.0, c=M, lower=1, overwrite_c=1)
    first = M[:, 0].copy()
    total, first[0] = first[0], 0.0
    step = np.concatenate([[0.0], sums.shift])
    if fit_intercept:
        M = blas.dsyr(-1.0 / total, first, lower=1, a=M, overwrite_a=1)
        mean = sums.shift + first[1:] / total
    else:
        M = blas.dsyr2(1.0, first, step, lower=1, a=M, overwrite_a=1)
        M = blas.dsyr(total, step, lower=1, a=M, overwrite_a=1)
        mean = np.zeros_like(sums.shift)
    B = M[1 + n :, 1 : 1 + n].T.copy(order="F")
    squares = np.maximum(M.diagonal()[1 + n :], 0.0)
    trace = float(M.diagonal()[1 : 1 + n].sum())
    # Blocks of their own for the constant and the targets, too large to set the condition number.
    M[1:, 0] = 0.0
    for i in range(1 + n, len(M)):
        M[i, 1:i] = 0.0
    penalised = np.full(len(M), max(trace + alpha, np.finfo(np.float64).tiny))
    penalised[1 : 1 + n] = M.diagonal()[1 : 1 + n] + alpha
    np.fill_diagonal(M, penalised)
    M, info = lapack.dpotrf(M, lower=1, clean=0, overwrite_a=1)
    if info:
        raise LinAlgError("the normal equations are not positive definite")
    rhs = np.zeros((len(M), B.shape[1]), order="F")
    rhs[1 : 1 + n] = B
    coef = np.ascontiguousarray(lapack.dpotrs(M, rhs, lower=1)[0][1 : 1 + n].T)
    rcond = lapack.dpocon(M, 1.0, uplo="L")[0]
    condition, lost, residual = gram_loss(coef, B, squares, trace, rcond, alpha)
    return Solved(coef, condition, lost, residual, squares, mean[n:] - coef @ mean[:n])


def factor_solve_in_blocks(
    factor: RidgeFactor, alpha: float, *, fit_intercept: bool
) -> tuple[np.ndarray | None, np.ndarray, float]:
    r"""What `factor_solve` solves, in one copy of the factor.

    Rows of :math:`\sqrt\alpha I` are added to it like other rows, some at a time.

    Parameters
    ----------
    factor : RidgeFactor
        With ``method="qr"``; not changed.
    alpha : float, >= 0
    fit_intercept : bool

    Returns
    -------
    coef : ndarray of shape (n_targets, n_features) or None
        None if the system is singular to working precision.
    intercept : ndarray of shape (n_targets,)
        Zeros where there is no `coef`.
    condition : float
        As from `factor_solve`.

    Raises
    ------
    ValueError
        If there is no row of positive weight.
    """
    if factor.n_samples == 0:
        raise ValueError("There are no rows of positive weight to fit to.")
    full = factor.flushed()
    sums = (full.copy() if full is factor else full)._sums
    del full
    assert sums is not None
    n, M, shift = factor.n_features, sums.matrix, sums.shift
    first = M[0].copy()
    mean = shift + first[1:] / first[0] if fit_intercept else np.zeros_like(shift)
    rhs = M[1 : 1 + n, 1 + n :].copy(order="F")
    # Closing up the columns in place: none is overwritten before it has been read.
    flat, height = M.reshape(-1, order="F"), len(M)
    for j in range(n):
        flat[j * n : (j + 1) * n] = flat[(j + 1) * height + 1 : (j + 1) * height + 1 + n]
    top = flat[: n * n].reshape(n, n, order="F")
    if not fit_intercept:
        row = first[1:] + first[0] * shift
        top, rhs = _with_rows(top, rhs, row[None, :n], row[None, n:])
    if alpha > 0.0:
        for start in range(0, n, _TILE):
            piece = np.zeros((min(_TILE, n - start), n), order="F")
            piece[np.arange(len(piece)), start + np.arange(len(piece))] = np.sqrt(alpha)
            top, rhs = _with_rows(top, rhs, piece, np.zeros((len(piece), rhs.shape[1])))
    rcond, _ = lapack.dtrcon(top)
    if not rcond > n * EPS:
        return None, np.zeros(rhs.shape[1]), (1.0 / rcond if rcond > 0.0 else np.inf)
    coef = np.ascontiguousarray(lapack.dtrtrs(top, rhs)[0].T)
    return coef, mean[n:] - coef @ mean[:n], 1.0 / rcond


def _with_rows(R, Z, rows, targets):
    """The factor R and the targets Z in its basis, with rows below; all four are overwritten."""
    rows, targets = np.asfortranarray(rows), np.asfortranarray(targets)
    R, v, t, _ = lapack.dtpqrt(0, min(32, len(R)), R, rows, overwrite_a=1, overwrite_b=1)
    Z, _, _ = lapack.dtpmqrt(0, v, t, Z, targets, trans="T", overwrite_a=1, overwrite_b=1)
    return R, Z


def _mirror(M):
    """Copy the upper triangle to the lower one, tile by tile."""
    n = len(M)
    for a in range(0, n, _TILE):
        for b in range(0, a + 1, _TILE):
            tile = M[b : b + _TILE, a : a + _TILE].T
            if a == b:
                tile = np.triu(tile.T).T + np.triu(tile.T, 1)
            M[a : a + _TILE, b : b + _TILE] = tile


def _clear_lower(M):
    """Set what is below the diagonal to zero."""
    for j in range(len(M)):
        M[j + 1 :, j] = 0.0
