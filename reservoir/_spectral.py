"""Spectral radius of recurrent matrices: exact by structure where possible, else certified.

Only strongly connected groups of units carry non-zero eigenvalues, so the matrix is split into
them and each is measured by the first of these ways that applies:

1. a single cycle: the geometric mean of its weights;
2. weights of one sign: Perron's theorem with a rigorous lower and upper bound;
3. at most `_DENSE_UNITS` units: LAPACK's eigenvalues;
4. a multiple of an orthogonal matrix: that multiple;
5. two Krylov-Schur iterations, on the matrix and on its transpose, which must agree; if they do
   not, LAPACK's eigenvalues.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigvals, get_lapack_funcs, schur
from scipy.sparse import csc_array, csr_array, issparse
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.sparse.linalg import splu
from threadpoolctl import threadpool_limits

__all__ = ["spectral_radius"]

# Up to here LAPACK takes less time than two Krylov runs, and the number of BLAS threads does not
# show in its last bits (both measured).
_DENSE_UNITS = 120
_DENSE_FILL = 0.2  # above this share of non-zeros a BLAS product beats a CSR product
_RETRY_UNITS = 600  # from here a second, longer Krylov run costs less than LAPACK
_ERROR_BOUND = 1e-7  # largest relative error that the estimates may admit
_PERRON_WIDTH = 1e-11  # relative width of the interval that must enclose a Perron root


def spectral_radius(W: Any) -> float:
    r"""Largest absolute eigenvalue of a square matrix, to a relative error below 1e-6.

    Large matrices are not decomposed as a whole. A matrix in which no unit reaches itself again
    has radius exactly 0; cycles, permutations and matrices with one non-zero in each row are
    exact up to rounding.

    Parameters
    ----------
    W : array-like or scipy sparse matrix of shape (units, units)
        Real and finite; not modified.

    Returns
    -------
    radius : float
        In the units of `W`.

    Raises
    ------
    ValueError
        If `W` is not a square matrix, is empty, is not real, or holds NaN or infinity.

    Notes
    -----
    A small residual says little about the eigenvalues of a non-normal matrix, and an iteration
    can converge to an eigenvalue that is not the largest. Therefore the matrix and its transpose
    are iterated from unrelated start vectors, and the outcome counts only if both radii agree
    to 1e-7 and if the residual times the condition number :math:`\|x\| \|y\| / |y^H x|` of the
    eigenvalue, from the right and left eigenvectors found, is below 1e-7 of the radius. Otherwise
    all eigenvalues are computed. The start vectors are fixed, so a matrix has one radius.

    References
    ----------
    .. [1] G. W. Stewart, "A Krylov-Schur algorithm for large eigenproblems", SIAM J. Matrix
       Anal. Appl. 23 (2002), sec. 3-5.
    .. [2] T. Noda, "Note on the computation of the maximal eigenvalue of a non-negative
       irreducible matrix", Numer. Math. 17 (1971).

    Examples
    --------
    >>> from echocast.reservoir import spectral_radius
    >>> spectral_radius([[0.0, 0.5], [-0.5, 0.0]])
    0.5
    """
    A = _checked(W)
    scale = float(abs(A).max())
    if scale == 0.0:
        return 0.0
    radius, blocks = _split(A / scale)
    for bound, block in blocks:
        if bound > radius:
            radius = max(radius, _block_radius(block))
    return scale * radius


def _checked(W):
    """Float64 copy of `W`: CSR without stored zeros, or ndarray where much is filled."""
    A = W if issparse(W) else np.asarray(W)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape[0] == 0:
        raise ValueError(f"`W` must be a square matrix, got shape {A.shape}.")
    if A.dtype.kind not in "fiub":
        raise ValueError(f"`W` must hold real numbers, got dtype {A.dtype}.")
    if issparse(A):
        A = csr_array(A, dtype=np.float64, copy=True)
        A.sum_duplicates()
        A.eliminate_zeros()
        values = A.data
    else:
        values = A = A.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("`W` must be finite, but it holds NaN or infinity.")
    return _layout(A)


def _layout(A):
    """The faster of the two layouts for products with vectors."""
    filled = A.nnz if issparse(A) else np.count_nonzero(A)
    if filled > _DENSE_FILL * A.shape[0] ** 2:
        return A.toarray() if issparse(A) else A
    return A if issparse(A) else csr_array(A)


def _split(A):
    """Radius of all single cycles, and the other strongly connected blocks with a norm each."""
    if not issparse(A) and A.all():
        return 0.0, [(_norm(A), A)]
    graph = csr_array(A)
    n_groups, group = connected_components(graph, directed=True, connection="strong")
    rows = np.repeat(group, np.diff(graph.indptr))
    inside = rows == group[graph.indices]
    size = np.bincount(group, minlength=n_groups)
    edges = np.bincount(rows[inside], minlength=n_groups)
    logs = np.bincount(rows[inside], np.log(np.abs(graph.data[inside])), minlength=n_groups)
    # A strongly connected group with as many edges as units is one cycle.
    cycles = edges == size
    radius = float(np.exp((logs[cycles] / size[cycles]).max())) if cycles.any() else 0.0
    if n_groups == 1:
        return radius, ([] if cycles.any() else [(_norm(A), A)])
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(size)[:-1])
    blocks = []
    for g in np.flatnonzero(edges > size):
        block = _layout(graph[members[g]][:, members[g]])
        blocks.append((_norm(block), block))
    return radius, sorted(blocks, key=lambda pair: -pair[0])


def _norm(A):
    """The smaller of the largest absolute row and column sums: an upper bound of the radius."""
    size = abs(A)
    return float(min(size.sum(axis=0).max(), size.sum(axis=1).max()))


def _block_radius(B):
    values = B.data if issparse(B) else B
    radius = None
    if (values >= 0.0).all() or (values <= 0.0).all():
        radius = _perron_root(abs(B))
    if radius is None and B.shape[0] > _DENSE_UNITS:
        radius = None if issparse(B) else _orthogonal_radius(B)
        radius = _krylov_radius(B) if radius is None else radius
    return _dense_radius(B) if radius is None else radius


# ---- weights of one sign ----------------------------------------------------------------------


def _perron_root(A):
    """Spectral radius of an irreducible non-negative matrix, or None if no bounds close in.

    For any positive x the radius lies between the smallest and the largest (A x)_i / x_i.
    """
    x = np.ones(A.shape[0])
    for _ in range(200):
        image = A @ x
        ratio = image / x
        low, high = ratio.min(), ratio.max()
        if high - low <= _PERRON_WIDTH * high:
            return float(0.5 * (low + high))
        # The shift keeps a periodic matrix (all cycles a multiple of some length) from swinging.
        x = image + 0.5 * high * x
        x /= x.max()
    return _noda_root(_balanced(csr_array(A)))


def _noda_root(A):
    """Inverse iteration with the upper bound as shift [2]_, for structures that mix slowly.

    After every step the matrix is rescaled so that the vector is all ones, because the entries
    of a Perron vector may differ by more than the range of floating point.
    """
    ones = np.ones(A.shape[0])
    identity = _diagonal(ones)
    for _ in range(30):
        sums = A.sum(axis=1)
        low, high = sums.min(), sums.max()
        if high - low <= _PERRON_WIDTH * high:
            return float(0.5 * (low + high))
        try:
            x = splu(csc_array(high * identity - A)).solve(ones)
        except RuntimeError:  # the shift is the radius to the last bit
            return None
        if not (np.isfinite(x).all() and (x > 0.0).all()):
            return None
        A = _rescaled(A, np.log(x))
    return None


def _diagonal(values):
    n = values.size
    return csc_array((values, np.arange(n), np.arange(n + 1)), shape=(n, n))


def _rescaled(A, logs):
    """The similar matrix exp(-logs_i) A_ij exp(logs_j); it has the same eigenvalues."""
    if not issparse(A):
        return A * np.exp(logs - logs[:, None])
    rows = np.repeat(logs, np.diff(A.indptr))
    return csr_array((A.data * np.exp(logs[A.indices] - rows), A.indices, A.indptr), shape=A.shape)


def _balanced(A):
    """The diagonal similarity of least Frobenius norm, found by Newton's method.

    LAPACK balances unit by unit and stops when no single unit gains, so a line with unequal
    weights to and fro stays far from normal, and its computed eigenvalues are wrong.
    """
    n = A.shape[0]
    for _ in range(50):
        squares = A * A
        out, into = squares.sum(axis=0), squares.sum(axis=1)
        slope = into - out
        if np.abs(slope).max() <= 1e-3 * out.max():
            break
        # The Hessian is a graph Laplacian, singular for equal shifts of all units: fix the first.
        laplacian = -(squares + squares.T)
        if issparse(A):
            laplacian = csc_array(laplacian + _diagonal(out + into))[1:, 1:]
            step = splu(laplacian).solve(slope[1:])
        else:
            laplacian[np.diag_indices(n)] += out + into
            step = np.linalg.solve(laplacian[1:, 1:], slope[1:])
        step = np.concatenate([[0.0], step]) / 2.0
        links = A.nonzero()
        stretch = np.abs(step[links[1]] - step[links[0]]).max()
        A = _rescaled(A, step * min(1.0, 1.0 / stretch))
    return A


# ---- all eigenvalues --------------------------------------------------------------------------


def _dense_radius(B):
    B = B.toarray() if issparse(B) else B
    if B.shape[0] <= _DENSE_UNITS:
        return _balanced_radius(B)
    with threadpool_limits(limits=1, user_api="blas"):  # the last bits depend on the number
        return _balanced_radius(B)


def _balanced_radius(B):
    """LAPACK's answer as it is if sound, else after balancing, which also bares nilpotence."""
    radius, sound = _lapack_radius(B)
    if not sound:
        B = _balanced(B)
        radius = 0.0 if _is_nilpotent(B) else _lapack_radius(B)[0]
    return radius


def _lapack_radius(B):
    """Largest modulus of LAPACK's eigenvalues, and whether its rounding error is tolerable."""
    n = B.shape[0]
    values = eigvals(B, check_finite=False)
    largest = values[np.argmax(np.abs(values))]
    radius = float(np.abs(largest))
    error = n * np.finfo(float).eps * np.linalg.norm(B)
    if error >= _ERROR_BOUND * radius:
        return radius, False
    # One step of inverse iteration for each eigenvector, for the condition of the eigenvalue.
    shifted = B - largest * (1.0 + 1e-9) * np.eye(n)
    factor, solve = get_lapack_funcs(("getrf", "getrs"), (shifted,))
    lu, pivots, singular = factor(shifted, overwrite_a=True)
    if singular:
        return radius, False
    x, y = (solve(lu, pivots, _start_vector(n, i) + 0j, trans=2 * i)[0] for i in (0, 1))
    longest = np.abs(x).max(), np.abs(y).max()
    if not np.isfinite(longest).all():
        return radius, False
    x, y = x / longest[0], y / longest[1]
    overlap = np.abs(np.vdot(y, x)) / (np.linalg.norm(x) * np.linalg.norm(y))
    return radius, bool(error <= _ERROR_BOUND * radius * overlap)


def _is_nilpotent(B):
    """Whether a power of `B` vanishes to rounding, when eigenvalues would be eps**(1/units)."""
    n = B.shape[0]
    power, k = B / np.linalg.norm(B), 1
    while k < n:
        power, k = power @ power, 2 * k
        size = np.linalg.norm(power)
        if size <= n * k * np.finfo(float).eps:
            return True
        power /= size
    return False


def _orthogonal_radius(B):
    """c where B.T @ B is c**2 times the identity: all eigenvalues lie between singular values."""
    n = B.shape[0]
    square = float(np.einsum("ij,ij->", B, B)) / n
    probe = B @ _start_vector(n, 2)
    if abs(probe @ probe - square) > _ERROR_BOUND * square:
        return None
    gap = B.T @ B
    gap[np.diag_indices(n)] -= square
    return float(np.sqrt(square)) if np.linalg.norm(gap) <= _ERROR_BOUND * square else None


# ---- Krylov-Schur -----------------------------------------------------------------------------


class _Leading(NamedTuple):
    radius: float
    residual: float  # relative to the radius
    vectors: np.ndarray  # unit Ritz vectors, one a row, the largest modulus first


def _krylov_radius(B):
    """Radius on which right and left iterations agree with a sound condition number, or None."""
    n = B.shape[0]
    v, growth = _start_vector(n, 2), 0.0
    for _ in range(16):
        v = B @ v
        length = float(np.linalg.norm(v))
        if length == 0.0:
            return None
        v, growth = v / length, growth + np.log(length) / 16
    scale = np.exp(growth)  # powers of B / scale neither overflow nor vanish
    B = B / scale
    everywhere = np.ones(n)
    if not issparse(B):
        radius = _two_sided(B, everywhere, power=2, size=40, keep=12)
    else:
        radius = _two_sided(B, everywhere, power=8, size=40, keep=12)
        if radius is None and n > _RETRY_UNITS:
            period, phase = _period(B)
            power = period * max(1, round(64 / period))
            radius = _two_sided(B, phase == 0.0, power=power, size=96, keep=40)
    return None if radius is None else float(scale * radius)


def _two_sided(B, support, **settings):
    """Radius from right and left iterations, or None if one stalls or they do not confirm it."""
    n = B.shape[0]
    right = _leading_eigenpairs(B, _start_vector(n, 0) * support, **settings)
    if right is None:
        return None
    left = _leading_eigenpairs(B.T, _start_vector(n, 1) * support, **settings)
    if left is None or abs(right.radius - left.radius) > _ERROR_BOUND * right.radius:
        return None
    # Left vectors of other eigenvalues are orthogonal to the right one, so the largest overlap
    # belongs to its own, wherever that run ranked it among eigenvalues of almost equal modulus.
    overlap = float(np.abs(left.vectors.conj() @ right.vectors[0]).max())
    if max(right.residual, left.residual) > _ERROR_BOUND * overlap:
        return None
    return right.radius


def _start_vector(n, seed):
    v = np.random.RandomState(seed).standard_normal(n)
    return v / np.linalg.norm(v)


def _period(B):
    """Greatest common divisor of all cycle lengths, and each unit's place within it.

    With period d the eigenvalues come in d-fold rotations. B**d maps each of d groups of units
    to itself, and within one group the rotations are one eigenvalue.
    """
    parts = (np.ones(B.nnz), B.indices.astype(np.int32), B.indptr.astype(np.int32))
    links = csr_array(parts, shape=B.shape)
    depth = dijkstra(links, indices=0, unweighted=True)
    ahead = np.repeat(depth, np.diff(B.indptr)) + 1.0 - depth[B.indices]
    period = int(np.gcd.reduce(ahead.astype(np.int64)))
    return period, depth % period


def _leading_eigenpairs(B, start, *, power, size, keep, tol=1e-9, restarts=30):
    """Krylov-Schur iteration on a power of `B`; None if it has not settled after `restarts`.

    Reservoirs drawn at random have their eigenvalues spread over a disc, many close to its edge.
    No polynomial damps the inside of a disc better than a power, and a product with a sparse
    matrix costs less than orthogonalising a vector, so one Krylov step is `power` products.
    Three more eigenvalues must have settled roughly, lest a larger one has yet to emerge.
    """
    basis = np.zeros((size + 1, B.shape[0]))
    H = np.zeros((size + 1, size))
    basis[0], k = start / np.linalg.norm(start), 0
    for _ in range(restarts):
        filled = _extend(B, power, basis, H, k)
        moduli = np.sort(np.abs(np.linalg.eigvals(H[:filled, :filled])))
        edge = moduli[-min(keep, filled)] * (1.0 - 1e-12)
        if not edge > 0.0:
            return None
        T, Q, k = schur(
            H[:filled, :filled],
            output="real",
            sort=lambda re, im=0.0, edge=edge: abs(complex(re, im)) >= edge,
        )
        T, coupling = T[:k, :k], H[filled, filled - 1] * Q[-1, :k]
        basis[:k] = Q[:, :k].T @ basis[:filled]
        theta, S = np.linalg.eig(T)
        order = np.argsort(-np.abs(theta), kind="stable")
        theta, S = theta[order], S[:, order]
        residuals = np.abs(coupling @ S) / np.abs(theta[0])
        if residuals[0] <= tol and (residuals[:4] <= 1e-4).all():
            radius = float(np.abs(theta[0]) ** (1.0 / power))
            return _Leading(radius, float(residuals[0]) / power, S.T @ basis[:k])
        basis[k] = basis[size]
        H[:] = 0.0
        H[:k, :k], H[k, :k] = T, coupling
    return None


def _extend(B, power, basis, H, k):
    """Arnoldi steps from row `k` until the basis is full or invariant; returns its size."""
    for j in range(k, H.shape[1]):
        w = basis[j]
        for _ in range(power):
            w = B @ w
        known = basis[: j + 1]
        h = known @ w
        before = np.sqrt(w @ w)
        w = w - h @ known
        again = known @ w  # a second pass keeps the basis orthogonal to rounding
        w -= again @ known
        H[: j + 1, j] = h + again
        length = np.sqrt(w @ w)
        if length <= 1e-14 * before:  # invariant: the Ritz values are eigenvalues
            return j + 1
        H[j + 1, j] = length
        basis[j + 1] = w / length
    return H.shape[1]
