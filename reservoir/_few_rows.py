"""The dual form of ridge regression: fewer rows than features, in the coordinates of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from scipy.linalg import lapack, qr

from ._factor import RidgeFactor

__all__ = ["RowCoordinates", "count_rows", "keeps_rows", "rows_kept", "turned_back"]


def keeps_rows(factor: RidgeFactor) -> bool:
    """Whether a factor still holds all rows that it has seen, and some."""
    return factor._sums is None and factor.n_samples > 0


def rows_kept(
    blocks: Iterable, n_rows: int, n_features: int, n_targets: int, *, dtype: Any
) -> RidgeFactor:
    """A factor that has absorbed no row yet, but holds all of them.

    It forms its n_features x n_features matrix if rows are added that no longer fit, or a system
    is asked for.

    Parameters
    ----------
    blocks : iterable of (S, Y, sample_weight or None)
    n_rows : int
        Not less than the number of rows of positive weight.
    n_features, n_targets : int
    dtype : dtype
        Precision of the states.

    Returns
    -------
    RidgeFactor
        With ``method="qr"``.

    Raises
    ------
    ValueError
        If values overflow when squared, or there is no row of positive weight.
    """
    factor = RidgeFactor(n_features, n_targets, dtype=dtype)
    factor._buffer.height = max(n_rows + 1, factor._buffer.height)
    for S, Y, weight in blocks:
        factor.update(S, Y, weight)
    if factor.n_samples == 0:
        raise ValueError("There are no rows of positive weight to fit to.")
    assert keeps_rows(factor)
    factor._refuse_overflow(factor._buffer.pending()[:, 1:])
    return factor


class RowCoordinates:
    r"""Coordinates in which rows have as many columns as there are rows.

    With :math:`s_i - a = Q r_i`, where Q comes from a QR factorisation of the transposed states,
    :math:`\|C\| = \|C Q\|` for every ridge solution C: it has no part outside of the span of the
    rows. So C is found from the rows r, with all penalties and leave-one-out errors. The kernel
    matrix :math:`K = R^\top R` is never formed, which would square the condition number.

    Parameters
    ----------
    factor : RidgeFactor
        That holds all its rows, not more than features; not changed.
    centred : bool
        Whether a is the mean of the states, else zero.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_rows)
    targets : ndarray of shape (n_rows, n_targets)
    weights : ndarray of shape (n_rows,)
    origin : ndarray of shape (n_features,)

    References
    ----------
    .. [1] C. Saunders, A. Gammerman, V. Vovk, "Ridge regression learning algorithm in dual
       variables", ICML 1998, section 2.
    """

    def __init__(self, factor: RidgeFactor, *, centred: bool) -> None:
        kept, p = factor._buffer.pending(), factor.n_features
        self.weights, states, self.targets = kept[:, 0], kept[:, 1 : 1 + p], kept[:, 1 + p :]
        columns = np.empty((p, len(kept)), order="F")
        columns.T[:] = states
        self.origin = np.zeros(p)
        if centred:
            # from the first row, so that a constant column becomes exactly zero
            columns -= states[0][:, None]
            offset = columns @ self.weights / self.weights.sum()
            columns -= offset[:, None]
            self.origin = states[0] + offset
        self._q, triangle = qr(columns, mode="raw", overwrite_a=True, check_finite=False)
        self.rows = triangle.T

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """All rows as one block for `fit_readout`."""
        yield self.rows, self.targets, self.weights

    def back(self, coef: np.ndarray) -> np.ndarray:
        """Coefficients (n_targets, n_features) from those of the coordinates."""
        return turned_back(coef, *self._q)

    def of(self, S: np.ndarray) -> np.ndarray:
        """Coordinates of rows S (n, n_features), without what is outside of the span."""
        return _turned("T", self._q, np.asfortranarray((S - self.origin).T))[: len(self.rows)].T


def turned_back(coef: np.ndarray, reflectors: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """``coef @ Q.T`` of shape (n_targets, n_features) from what `qr` gives as "raw"."""
    padded = np.zeros((len(reflectors), len(coef)), order="F")
    padded[: coef.shape[1]] = coef.T
    return np.ascontiguousarray(_turned("N", (reflectors, factors), padded).T)


def _turned(trans, q, columns):
    """Q or its transpose times columns, which are overwritten."""
    _, work, _ = lapack.dormqr("L", trans, *q, columns, -1)
    turned, _, _ = lapack.dormqr("L", trans, *q, columns, int(work[0]), overwrite_c=1)
    return turned


def count_rows(blocks: Callable[[], Iterable]) -> int:
    """Number of rows of positive weight."""
    return sum(len(S) if w is None else int(np.count_nonzero(w)) for S, _, w in blocks())
