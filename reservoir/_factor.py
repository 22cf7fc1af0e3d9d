"""Running, mergeable statistics of a ridge regression: a shifted R factor or Gram matrix."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import blas, lapack

from ._linalg import EPS, Spectrum, factor_spectrum, gram_spectrum

__all__ = ["RidgeFactor", "RidgeSystem", "RowBuffer"]

# Sums of 1e16 squares below this bound stay finite.
LARGEST = 1e145


class RowBuffer:
    """Collect rows ``[weight, states, targets]`` into blocks of one fixed height.

    The blocks depend on the rows alone, not on how many came in at a time, and so do all sums
    that are formed block by block.

    Parameters
    ----------
    n_features, n_targets : int
        Numbers of columns of states and targets.
    """

    def __init__(self, n_features: int, n_targets: int) -> None:
        self.n_features = n_features
        self.n_targets = n_targets
        columns = 1 + n_features + n_targets
        self.height = int(np.clip(2**20 // columns, 256, 512))
        self.n_pending = 0
        self._rows: np.ndarray | None = None

    def push(
        self, S: np.ndarray, Y: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Copy the rows of positive weight in; yield each block as it fills (reused memory)."""
        S, Y, weight = self._checked(S, Y, sample_weight)
        if self._rows is None:
            self._rows = np.empty((self.height, 1 + self.n_features + self.n_targets))
        done = 0
        while done < S.shape[0]:
            take = min(self.height - self.n_pending, S.shape[0] - done)
            into = self._rows[self.n_pending : self.n_pending + take]
            rows = slice(done, done + take)
            into[:, 0] = 1.0 if weight is None else weight[rows]
            into[:, 1 : 1 + self.n_features] = S[rows]
            into[:, 1 + self.n_features :] = Y[rows]
            done += take
            self.n_pending += take
            if self.n_pending == self.height:
                self.n_pending = 0
                yield self._rows

    def pending(self) -> np.ndarray:
        """Rows that do not fill a block yet (a view)."""
        if self._rows is None:
            return np.empty((0, 1 + self.n_features + self.n_targets))
        return self._rows[: self.n_pending]

    def _checked(self, S: Any, Y: Any, weight: Any) -> tuple:
        S, Y = np.asarray(S), np.asarray(Y)
        if Y.ndim == 1:
            Y = Y[:, None]
        if S.shape != (S.shape[0], self.n_features) or Y.shape != (S.shape[0], self.n_targets):
            raise ValueError(
                f"Expected states of shape (n_rows, {self.n_features}) and targets of shape "
                f"(n_rows, {self.n_targets}), got {S.shape} and {Y.shape}."
            )
        if weight is None:
            return S, Y, None
        weight = np.asarray(weight, dtype=np.float64)
        if weight.shape != (S.shape[0],):
            raise ValueError(
                f"`sample_weight` must have shape ({S.shape[0]},), got {weight.shape}."
            )
        if not (np.isfinite(weight).all() and (weight >= 0.0).all()):
            raise ValueError("`sample_weight` must be finite and not negative.")
        if not weight.all():
            kept = np.flatnonzero(weight)
            S, Y, weight = S[kept], Y[kept], weight[kept]
        return S, Y, weight

    def __getstate__(self) -> dict:
        state = self.__dict__.copy()
        state["_rows"] = None if self._rows is None else self.pending().copy()
        return state

    def __setstate__(self, state: dict) -> None:
        rows = state["_rows"]
        self.__dict__.update(state)
        if rows is not None:
            self._rows = np.empty((self.height, rows.shape[1]))
            self._rows[: len(rows)] = rows

    def __copy__(self) -> RowBuffer:
        new = type(self).__new__(type(self))
        new.__setstate__(self.__getstate__())
        return new


@dataclass(frozen=True)
class RidgeSystem:
    """A factor with the constant projected out, and the way back to the original columns.

    Parameters
    ----------
    method : {"qr", "gram"}
    matrix : ndarray of shape (n_features + n_targets,) * 2
        R factor, or Gram matrix (upper triangle), of the columns of states and targets.
    n_features : int
    shift : ndarray of shape (n_features + n_targets,)
        What was subtracted from each column before anything was summed.
    centre : ndarray of shape (n_features + n_targets,)
        Origin of the system in the shifted columns.
    fit_intercept : bool
    n_samples : int
        Rows of positive weight.
    sum_weights : float
    eps : float
        Relative precision of the states.
    """

    method: str
    matrix: np.ndarray
    n_features: int
    shift: np.ndarray
    centre: np.ndarray
    fit_intercept: bool
    n_samples: int
    sum_weights: float
    eps: float

    @property
    def xx(self) -> np.ndarray:
        return self.matrix[: self.n_features, : self.n_features]

    @property
    def xy(self) -> np.ndarray:
        return self.matrix[: self.n_features, self.n_features :]

    @property
    def target_squares(self) -> np.ndarray:
        """Squared norms of the targets, about their mean if there is an intercept."""
        if self.method == "gram":
            return np.maximum(np.diagonal(self.matrix)[self.n_features :], 0.0)
        columns = self.matrix[:, self.n_features :]
        return np.einsum("ij,ij->j", columns, columns)

    def spectrum(self) -> Spectrum:
        """Singular values; what rounding alone can have made is cut."""
        p = self.n_features
        level = max(p * EPS, 4.0 * self.eps)
        if self.method == "gram":
            return gram_spectrum(self.xx, self.xy, self.target_squares, np.sqrt(level))
        bottom = self.matrix[p:, p:]
        rest = np.einsum("ij,ij->j", bottom, bottom)
        return factor_spectrum(self.xx, self.xy, rest, level)

    def intercept(self, coef: np.ndarray) -> np.ndarray:
        """Intercepts of shape (n_targets,) for coefficients of shape (n_targets, n_features)."""
        if not self.fit_intercept:
            return np.zeros(coef.shape[0])
        mean = self.shift + self.centre
        return mean[self.n_features :] - coef @ mean[: self.n_features]


@dataclass
class _Sums:
    """What was subtracted from the rows, and the R factor or Gram matrix of [1, rows]."""

    shift: np.ndarray
    matrix: np.ndarray

    def moved(self, method: str, shift: np.ndarray) -> np.ndarray:
        """The matrix for another shift: exact algebra through the column of ones."""
        step = self.shift - shift
        M = self.matrix.copy(order="F")
        first = self.matrix[0, 1:] + M[0, 0] * step
        M[0, 1:] = first
        if method == "gram":
            update = np.outer(self.matrix[0, 1:], step) + np.outer(step, first)
            M[1:, 1:] += np.triu(update)
        return M


class RidgeFactor:
    r"""Everything a ridge regression needs to know of its rows, in constant memory.

    Kept is the R factor (or the Gram matrix) of the rows
    :math:`\sqrt{w_i}\,[1,\; s_i - a,\; y_i - b]`, where the shift :math:`(a, b)` is the mean of
    the first rows: an offset of the data, however large, never enters a sum of squares. Factors
    of two parts of the data can be merged; the column of ones makes a change of shift exact.

    Parameters
    ----------
    n_features, n_targets : int
        Columns of the states and of the targets.
    method : {"qr", "gram"}, default="qr"
        "qr" keeps the condition number of the states, at about twice the work; "gram" squares it.
    dtype : dtype, default=float64
        Precision of the states that will come, which sets the rounding level below which
        directions are cut. Sums are always in float64.

    Attributes
    ----------
    n_samples : int
        Rows of positive weight taken in so far.
    sum_weights : float
        Sum of their weights.

    Notes
    -----
    Rows are buffered up to a fixed block height, so the result does not depend, to the last bit,
    on how the rows were divided over calls of `update`.

    References
    ----------
    .. [1] J. Demmel, L. Grigori, M. Hoemmen and J. Langou, "Communication-optimal parallel and
       sequential QR and LU factorizations", SIAM J. Sci. Comput. 34(1), 2012.

    Examples
    --------
    >>> import numpy as np
    >>> S = np.array([[0.0], [1.0], [2.0]]) + 1e8
    >>> first = RidgeFactor(1, 1).update(S[:1], [5.0]).update(S[1:], [7.0, 9.0])
    >>> first.n_samples
    3
    """

    def __init__(
        self, n_features: int, n_targets: int, *, method: str = "qr", dtype: Any = np.float64
    ) -> None:
        if method not in ("qr", "gram"):
            raise ValueError(f"`method` must be 'qr' or 'gram', got {method!r}.")
        self.n_features = int(n_features)
        self.n_targets = int(n_targets)
        self.method = method
        self.dtype = np.dtype(dtype)
        self._n_absorbed = 0
        self._weight_absorbed = 0.0
        self._buffer = RowBuffer(self.n_features, self.n_targets)
        self._sums: _Sums | None = None

    @property
    def n_samples(self) -> int:
        return self._n_absorbed + self._buffer.n_pending

    @property
    def sum_weights(self) -> float:
        return self._weight_absorbed + float(self._buffer.pending()[:, 0].sum())

    def update(self, S: Any, Y: Any, sample_weight: Any = None) -> RidgeFactor:
        """Take rows in.

        Parameters
        ----------
        S : array-like of shape (n_rows, n_features)
            States; copied, so a view on a reused buffer may be passed.
        Y : array-like of shape (n_rows, n_targets) or (n_rows,)
            Targets.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights, not negative; rows of weight zero leave no trace.

        Returns
        -------
        RidgeFactor
            Itself.

        Raises
        ------
        ValueError
            If shapes do not fit, weights are negative, or values are so large that their squares
            overflow. The factor is not to be used after that.
        """
        for block in self._buffer.push(S, Y, sample_weight):
            self._absorb(block)
        return self

    def merge(self, other: RidgeFactor) -> RidgeFactor:
        """Return the factor of the rows of both parts, these first; both parts stay as they are.

        Parameters
        ----------
        other : RidgeFactor
            With the same shape and method.

        Returns
        -------
        RidgeFactor

        Raises
        ------
        ValueError
            If the two do not have the same numbers of columns and the same method.
        """
        mine = (self.n_features, self.n_targets, self.method)
        theirs = (other.n_features, other.n_targets, other.method)
        if mine != theirs:
            raise ValueError(
                f"Only factors of one kind can be merged, got {mine} and {theirs} "
                "(n_features, n_targets, method)."
            )
        a, b = self.flushed().copy(), other.flushed()
        if b._sums is None:
            return a
        if a._sums is None:
            return b.copy()
        moved = b._sums.moved(self.method, a._sums.shift)
        if self.method == "gram":
            a._sums.matrix += moved
        else:
            n = moved.shape[0]
            a._sums.matrix, *_ = lapack.dtpqrt(
                n, min(32, n), a._sums.matrix, moved, overwrite_a=1, overwrite_b=1
            )
        a._n_absorbed += b._n_absorbed
        a._weight_absorbed += b._weight_absorbed
        return a

    def copy(self) -> RidgeFactor:
        """Return an independent copy."""
        new = copy.copy(self)
        new._buffer = copy.copy(self._buffer)
        if self._sums is not None:
            new._sums = _Sums(self._sums.shift.copy(), self._sums.matrix.copy(order="F"))
        return new

    def flushed(self) -> RidgeFactor:
        """Return a factor that has absorbed the buffered rows; this one stays as it is."""
        if not self._buffer.n_pending:
            return self
        new = self.copy()
        rows = new._buffer.pending()
        new._buffer.n_pending = 0
        new._absorb(rows)
        return new

    def system(self, *, fit_intercept: bool) -> RidgeSystem:
        """Project the constant out.

        Parameters
        ----------
        fit_intercept : bool
            If true, the system of the rows about their weighted mean; else of the rows as given.

        Returns
        -------
        RidgeSystem

        Raises
        ------
        ValueError
            If there is no row of positive weight.
        """
        full = self.flushed()
        if full._sums is None:
            raise ValueError("There are no rows of positive weight to fit to.")
        shift, M = full._sums.shift, full._sums.matrix
        if fit_intercept:
            centre = M[0, 1:] / M[0, 0]
            inner = M[1:, 1:]
            if self.method == "gram":
                # laid out as `inner` is, and the difference in its memory
                product = np.outer(centre, M[0, 1:]).T
                inner = np.subtract(inner, product, out=product)
        else:
            centre = -shift
            M = full._sums.moved(self.method, np.zeros_like(shift))
            inner = M[1:, 1:] if self.method == "gram" else _triangle(M[:, 1:])
        return RidgeSystem(
            method=self.method,
            matrix=inner,
            n_features=self.n_features,
            shift=shift,
            centre=centre,
            fit_intercept=fit_intercept,
            n_samples=full.n_samples,
            sum_weights=full.sum_weights,
            eps=float(np.finfo(self.dtype).eps),
        )

    def _absorb(self, block: np.ndarray) -> None:
        """Add a block of rows [weight, states, targets], which is overwritten."""
        n_rows, weight = len(block), float(block[:, 0].sum())
        block = self._shifted(block)
        sums = self._sums
        assert sums is not None
        if self.method == "gram":
            sums.matrix = blas.dsyrk(1.0, block.T, beta=1.0, c=sums.matrix, overwrite_c=1)
        else:
            sums.matrix = _add_rows(sums.matrix, block)
        self._n_absorbed += n_rows
        self._weight_absorbed += weight

    def _shifted(self, block: np.ndarray) -> np.ndarray:
        """The rows sqrt(weight) [1, states and targets - shift], in the memory of the block."""
        if not len(block):
            return block
        weight = block[:, 0].copy()
        rows = block[:, 1:]
        # one quick product clears almost every block
        if not np.vdot(block, block) < LARGEST**2:
            self._refuse_overflow(rows)
        if self._sums is None:
            # From the first row, so that a constant column becomes exactly zero.
            shift = rows[0] + weight @ (rows - rows[0]) / weight.sum()
            self._sums = _Sums(shift, np.zeros((block.shape[1],) * 2, order="F"))
        rows -= self._sums.shift
        block[:, 0] = 1.0
        if (weight != 1.0).any():
            block *= np.sqrt(weight)[:, None]
        return block

    def _refuse_overflow(self, rows: np.ndarray) -> None:
        """Raise if a square could overflow, naming the column."""
        largest = max(rows.max(), -rows.min())
        if largest < LARGEST:
            return
        with np.errstate(invalid="ignore"):
            column = int(np.argmax(np.abs(rows).max(axis=0)))
        if column < self.n_features:
            where = f"readout feature {column}"
        else:
            where = f"target {column - self.n_features}"
        if not np.isfinite(largest):
            raise ValueError(f"The values of {where} contain NaN or infinity.")
        raise ValueError(
            f"Values up to {largest:.2g} in {where} overflow float64 when squared. Rescale it."
        )


def _add_rows(R: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """R factor of R with rows below it; R is overwritten."""
    n = R.shape[0]
    for start in range(0, len(rows), 256):
        piece = np.asfortranarray(rows[start : start + 256])
        R, *_ = lapack.dtpqrt(0, min(32, n), R, piece, overwrite_a=1, overwrite_b=1)
    return R


def _triangle(A: np.ndarray) -> np.ndarray:
    """R factor of a matrix with no fewer rows than columns."""
    return np.asarray(np.linalg.qr(A, mode="r"))
