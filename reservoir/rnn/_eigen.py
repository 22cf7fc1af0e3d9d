"""What the eigenvalues of a recurrent matrix say about its powers, and where they mislead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import schur
from scipy.sparse import issparse

from echocast._checks import check_number

__all__ = ["EigenReport", "eigen_report"]

# From eigenvectors, powers are known to about eps times their condition: half of the digits.
_WORST_CONDITION = 1e8


@dataclass(frozen=True, eq=False)
class EigenReport:
    r"""What `eigen_report` found about a matrix W of shape (n, n).

    Attributes
    ----------
    W : ndarray of shape (n, n)
    eigenvalues : ndarray of shape (n,)
        By falling absolute value; real if W is symmetric, else complex.
    eigenvectors : ndarray of shape (n, n)
        One in each column, of length 1; orthonormal if W is normal.
    spectral_radius : float
        Largest absolute eigenvalue: the growth of a step, in the end.
    spectral_norm : float
        Largest singular value: the largest growth of a single step.
    non_normality : float
        Frobenius norm of :math:`W^\top W - W W^\top`; 0 for a normal matrix.
    is_normal : bool
        Whether that is 0 up to rounding.
    half_lives : ndarray of shape (n,)
        Steps in which a mode falls to half, ``log(0.5) / log(abs(eigenvalue))``: 0 for an
        eigenvalue of 0, inf on the unit circle; a growing mode has minus the steps in which it
        doubles.
    condition : float
        Condition number of the eigenvectors; 1 for a normal matrix, large or inf for one that
        has too few of them.
    method : {"orthogonal", "eigenvectors", "repeated"}
        How powers are computed: :math:`Q \Lambda^t Q^\top`, :math:`V \Lambda^t V^{-1}`, or by
        repeated application, where the condition exceeds 1e8.
    """

    W: np.ndarray = field(repr=False)
    eigenvalues: np.ndarray = field(repr=False)
    eigenvectors: np.ndarray = field(repr=False)
    spectral_radius: float
    spectral_norm: float
    non_normality: float
    is_normal: bool
    half_lives: np.ndarray = field(repr=False)
    condition: float
    method: str

    def power(self, t: int, h: ArrayLike) -> np.ndarray:
        """W applied `t` times.

        Parameters
        ----------
        t : int, >= 0
        h : array-like of shape (n,) or (n, k)
            What to apply it to.

        Returns
        -------
        ndarray of the shape of `h`
        """
        check_number("t", t, "EigenReport.power", low=0, integer=True)
        start = self._start(h)
        if self.method == "repeated":
            for _ in range(t):
                start = self.W @ start
            return start
        modes = self._modes(start)
        powers = self.eigenvalues**t
        out = self.eigenvectors @ (powers.reshape(-1, *(1,) * (modes.ndim - 1)) * modes)
        return out if np.iscomplexobj(start) else np.ascontiguousarray(out.real)

    def norms(self, h: ArrayLike, n_steps: int) -> np.ndarray:
        """The predicted length of h, W h, W W h and so on.

        Parameters
        ----------
        h : array-like of shape (n,)
        n_steps : int, >= 0

        Returns
        -------
        ndarray of shape (n_steps + 1,)
        """
        check_number("n_steps", n_steps, "EigenReport.norms", low=0, integer=True)
        start = self._start(h)
        if start.ndim != 1:
            raise ValueError(f"`h` must have shape ({len(self.W)},), got {start.shape}.")
        repeated = self.method == "repeated"
        modes = start if repeated else self._modes(start)
        lengths = np.empty(n_steps + 1)
        for t in range(n_steps + 1):
            if t:
                modes = self.W @ modes if repeated else self.eigenvalues * modes
            # Orthonormal modes keep lengths; others must be put together.
            whole = self.eigenvectors @ modes if self.method == "eigenvectors" else modes
            lengths[t] = np.linalg.norm(whole)
        return lengths

    def _start(self, h):
        start = np.asarray(h)
        start = start.astype(np.result_type(start.dtype, np.float64))
        if start.ndim not in (1, 2) or len(start) != len(self.W):
            n = len(self.W)
            raise ValueError(f"`h` must have shape ({n},) or ({n}, k), got {start.shape}.")
        return start

    def _modes(self, start):
        """Coordinates of a vector in the eigenvectors: only orthonormal ones need no inverse."""
        if self.method == "orthogonal":
            return self.eigenvectors.conj().T @ start
        return np.linalg.solve(self.eigenvectors, start)


def eigen_report(W: Any) -> EigenReport:
    r"""Eigenvalues of a recurrent matrix, and what they predict about repeated application.

    A symmetric matrix is :math:`W = Q \Lambda Q^\top` with orthogonal Q, so t steps of the
    linear network :math:`h_t = W h_{t-1}` are :math:`Q \Lambda^t Q^\top h_0`: of the components of
    h along the eigenvectors, those with :math:`|\lambda| < 1` vanish and the others grow, until
    only the direction of the largest remains. That no power of Q appears is owed to
    :math:`Q^\top Q = I`. It holds for normal matrices (those that commute with their transpose),
    with a complex unitary Q; any other matrix needs the inverse, :math:`V \Lambda^t V^{-1}`, and
    its powers may grow for many steps although every eigenvalue is below 1. The farther the
    eigenvectors are from orthogonal (`condition`), the less the eigenvalues say.

    Parameters
    ----------
    W : array-like or SciPy sparse matrix of shape (n, n)
        Real and finite; not modified. A sparse matrix is made dense.

    Returns
    -------
    EigenReport
        A frozen dataclass with ``eigenvalues``, ``spectral_radius``, ``spectral_norm``,
        ``non_normality``, ``is_normal``, ``half_lives``, ``condition`` and ``method``, and with
        the methods ``power(t, h)`` and ``norms(h, n_steps)``.

    Raises
    ------
    ValueError
        If `W` is not a square matrix, is empty, is not real, or holds NaN or infinity.

    See Also
    --------
    spectral_radius : the largest absolute eigenvalue alone, also of large sparse matrices.

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, section 10.7,
       eqs. 10.36-10.39.
    .. [2] L. N. Trefethen, M. Embree, "Spectra and Pseudospectra", 2005, chapters 14-16.

    Examples
    --------
    >>> from echocast.reservoir import eigen_report
    >>> report = eigen_report([[0.9, 0.0], [0.0, 0.5]])
    >>> report.method, report.half_lives.round(2)
    ('orthogonal', array([6.58, 1.  ]))
    >>> report.norms([1.0, 1.0], 3).round(3)
    array([1.414, 1.03 , 0.848, 0.74 ])

    Eigenvalues of 0.5, and yet a vector grows fivefold at first:

    >>> report = eigen_report([[0.5, 10.0], [0.0, 0.5]])
    >>> report.method, report.norms([0.0, 1.0], 5).round(2)
    ('repeated', array([ 1.  , 10.01, 10.  ,  7.5 ,  5.  ,  3.13]))
    """
    A = _checked(W)
    gap = float(np.linalg.norm(A.T @ A - A @ A.T))
    size, eps = np.linalg.norm(A), np.finfo(np.float64).eps
    is_normal = gap <= 10 * len(A) * eps * size**2
    if np.abs(A - A.T).max() <= 10 * eps * np.abs(A).max():
        values, vectors = np.linalg.eigh((A + A.T) / 2)
    elif is_normal:
        # The Schur form of a normal matrix is diagonal, and its vectors stay orthonormal even
        # where eigenvalues coincide.
        triangle, vectors = schur(A, output="complex")
        values = np.diag(triangle)
    else:
        values, vectors = np.linalg.eig(A.astype(complex))
    order = np.argsort(-np.abs(values), kind="stable")
    values, vectors = values[order], vectors[:, order]
    condition = 1.0 if is_normal else float(np.linalg.cond(vectors))
    method = "orthogonal" if is_normal else "eigenvectors"
    if not condition <= _WORST_CONDITION:
        method = "repeated"
    with np.errstate(divide="ignore"):
        half_lives = np.log(0.5) / np.log(np.abs(values))
    return EigenReport(
        W=A,
        eigenvalues=values,
        eigenvectors=vectors,
        spectral_radius=float(np.abs(values[0])),
        spectral_norm=float(np.linalg.norm(A, 2)),
        non_normality=gap,
        is_normal=bool(is_normal),
        half_lives=half_lives,
        condition=condition,
        method=method,
    )


def _checked(W):
    A = W.toarray() if issparse(W) else np.asarray(W)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not A.size:
        raise ValueError(f"`W` must be a square matrix, got shape {A.shape}.")
    if A.dtype.kind not in "fiub":
        raise ValueError(f"`W` must hold real numbers, got dtype {A.dtype}.")
    A = np.array(A, dtype=np.float64)
    if not np.isfinite(A).all():
        raise ValueError("`W` contains NaN or infinity.")
    return A
