"""Ridge regression in the memory of some hundred columns: preconditioned LSQR over a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular, svd

from ._factor import LARGEST
from ._linalg import EPS

__all__ = ["Streamed", "lsqr_solve"]

# The iteration ends when the fitted values are known to this share of the residuals' norm ...
TOLERANCE = 1e-4
# ... and residuals below this share of the target count as this large.
_LEAST_RESIDUAL = 1e-10
_MOST_PASSES = 400
# A share of the features, and no more than so many, of the directions are taken out beforehand.
_SHARE, _FEWEST, _MOST = 10, 50, 500


@dataclass
class Streamed:
    """A solution by LSQR.

    `coef` (n_targets, n_features), `intercept` (n_targets,), `condition`, an estimate for the
    penalised states, `bound` and `residual` (n_targets,), norms of what the fitted values may be
    off by and of the residuals, whether that is good enough, and the passes over the rows.
    """

    coef: np.ndarray
    intercept: np.ndarray
    condition: float
    bound: np.ndarray
    residual: np.ndarray
    converged: bool
    n_passes: int


def lsqr_solve(
    blocks: Callable[[], Iterable],
    n_features: int,
    n_targets: int,
    *,
    alpha: float,
    fit_intercept: bool,
) -> Streamed:
    r"""Solve with one pass over the rows for each iteration.

    Minimises :math:`\|Y - S C^\top\|^2 + \alpha \|C\|^2` for the centred rows. LSQR [1]_ runs on
    :math:`[S; \sqrt\alpha I] P^{-1/2}`, where P is the Gram matrix restricted to its largest
    directions, from a random sketch [2]_, plus the penalty.

    The error of the fitted values is at most :math:`\sqrt{g^\top (G + \alpha I)^{-1} g}`, where g
    is the gradient. G is not less than its sketch, which gives a bound on that. The iteration ends
    when the bound, from residuals and a gradient that are computed anew, is below `TOLERANCE`
    times the residuals' norm. If it is not when the recursion says so, the iteration starts again
    from there, with the residuals for targets.

    Parameters
    ----------
    blocks : callable
        As for `fit_readout`, the same rows at each call.
    n_features, n_targets : int
    alpha : float, > 0
    fit_intercept : bool

    Returns
    -------
    Streamed

    Raises
    ------
    ValueError
        If no row has a positive weight, or values overflow when squared.

    References
    ----------
    .. [1] C. C. Paige and M. A. Saunders, "LSQR: An algorithm for sparse linear equations and
       sparse least squares", ACM Trans. Math. Softw. 8(1), 1982, section 4.
    .. [2] Z. Frangella, J. A. Tropp and M. Udell, "Randomized Nyström preconditioning", SIAM J.
       Matrix Anal. Appl. 44(2), 2023, algorithms 2.1 and 5.1.
    """
    rows = _Rows(blocks, n_features, n_targets, centred=fit_intercept)
    known = _Sketch(rows, alpha)
    coef = np.zeros((n_features, n_targets))
    wanted = rows.targets.copy()
    least = _LEAST_RESIDUAL * np.linalg.norm(wanted, axis=0)
    bound, residual = np.full(n_targets, np.inf), np.linalg.norm(wanted, axis=0)
    while True:
        step = _iterate(rows, known, wanted, coef, alpha, np.maximum(residual, least))
        tried = coef + step
        gradient = rows.residuals(tried, out=wanted) - alpha * tried
        now = known.error(gradient)
        found = np.linalg.norm(wanted, axis=0)
        # Starting again must halve the error of some target, else rounding is reached.
        better = now < 0.5 * bound
        kept = now < bound
        coef[:, kept] = tried[:, kept]
        if not kept.all():
            gradient = rows.residuals(coef, out=wanted) - alpha * coef
            found = np.linalg.norm(wanted, axis=0)
        bound, residual = np.minimum(now, bound), found
        converged = bool((bound <= TOLERANCE * np.maximum(residual, least)).all())
        if converged or not better.any() or rows.n_passes >= _MOST_PASSES:
            break
    largest = known.largest + alpha
    return Streamed(
        coef=np.ascontiguousarray(coef.T),
        intercept=rows.intercept(coef),
        condition=float(np.sqrt(largest / alpha)),
        bound=bound,
        residual=residual,
        converged=converged,
        n_passes=rows.n_passes,
    )


def _iterate(rows, known, wanted, coef, alpha, residual):
    """LSQR for the step from `coef`, all targets side by side; one pass is left for a check."""
    root = np.sqrt(alpha)
    above, below = wanted.copy(), -root * coef
    beta = _normed(above, below)
    v = known.shrunk(rows.transposed(above) + root * below)
    length = _normed(v)
    direction, step = v.copy(), np.zeros_like(v)
    phi_bar, rho_bar = beta, length
    gradient = beta * length
    # The preconditioned matrix stretches nothing by less than the root. phi_bar is the norm of
    # the residuals and of root * coef together, hence the margin.
    allowed = 0.1 * TOLERANCE * root
    while rows.n_passes < _MOST_PASSES - 1:
        if (gradient <= allowed * np.minimum(phi_bar, residual)).all():
            break
        w = known.shrunk(v)
        below = root * w - length * below
        above *= -length
        back = rows.forth_and_back(w, above) + root * below
        beta = np.sqrt(_squares(above) + _squares(below))
        scale = np.where(beta > 0.0, beta, 1.0)
        above /= scale
        below /= scale
        v = known.shrunk(back / scale) - beta * v
        length = _normed(v)
        rho = np.hypot(rho_bar, beta)
        safe = np.where(rho > 0.0, rho, 1.0)
        cosine, sine = rho_bar / safe, beta / safe
        step += cosine * phi_bar / safe * direction
        direction = v - sine * length / safe * direction
        rho_bar, phi_bar = -cosine * length, sine * phi_bar
        gradient = phi_bar * length * np.abs(cosine)
    return known.shrunk(step)


def _squares(A):
    return np.einsum("ij,ij->j", A, A)


def _normed(*parts):
    """Joint norms of the columns, which are divided by them."""
    norm = np.sqrt(sum(_squares(part) for part in parts))
    for part in parts:
        part /= np.where(norm > 0.0, norm, 1.0)
    return norm


class _Rows:
    """The rows sqrt(weight) (s - mean), streamed again for each product."""

    def __init__(
        self, blocks: Callable[[], Iterable], n_features: int, n_targets: int, *, centred: bool
    ) -> None:
        self.blocks, self.n_features, self.n_passes = blocks, n_features, 1
        first, total, total_weight = np.zeros(n_features), np.zeros(n_features), 0.0
        targets: list[np.ndarray] = []
        roots: list[np.ndarray] = []
        for S, Y, weight in blocks():
            states, w = _kept(S, weight)
            if not len(states):
                continue
            if not np.abs(states).max() < LARGEST:
                raise ValueError("The readout features contain NaN, or overflow when squared.")
            if not roots:
                first = states[0].copy()
            total += w @ (states - first)
            total_weight += float(w.sum())
            y = np.asarray(Y, dtype=np.float64).reshape(len(Y), n_targets)
            targets.append(y.copy() if weight is None else y[np.asarray(weight) > 0.0])
            roots.append(np.sqrt(w))
        if not roots:
            raise ValueError("There are no rows of positive weight to fit to.")
        y, self.root = np.concatenate(targets), np.concatenate(roots)[:, None]
        if not np.abs(y).max() < LARGEST:
            raise ValueError("The targets contain NaN, or overflow when squared.")
        self.mean, self.target_mean = np.zeros(n_features), np.zeros(n_targets)
        if centred:
            self.mean = first + total / total_weight
            weight = self.root[:, 0] ** 2
            self.target_mean = y[0] + weight @ (y - y[0]) / total_weight
        self.targets = self.root * (y - self.target_mean)

    def __call__(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield which rows, and the rows in float64 (reused memory)."""
        self.n_passes += 1
        done = 0
        for S, _, weight in self.blocks():
            states, _ = _kept(S, weight)
            here = slice(done, done + len(states))
            states -= self.mean
            if weight is not None:
                states *= self.root[here]
            done = here.stop
            yield here, states

    def transposed(self, above: np.ndarray) -> np.ndarray:
        """S.T @ above."""
        total = np.zeros((self.n_features, above.shape[1]))
        for here, states in self():
            total += states.T @ above[here]
        return total

    def forth_and_back(self, w: np.ndarray, above: np.ndarray) -> np.ndarray:
        """Add S @ w to `above`, and return S.T @ above, in one pass."""
        total = np.zeros_like(w)
        for here, states in self():
            above[here] += states @ w
            total += states.T @ above[here]
        return total

    def residuals(self, coef: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        """Write targets - S @ coef, and return S.T times that."""
        np.copyto(out, self.targets)
        return self.forth_and_back(-coef, out)

    def intercept(self, coef: np.ndarray) -> np.ndarray:
        return self.target_mean - self.mean @ coef


def _kept(S: Any, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows of positive weight as a float64 copy, and their weights."""
    if weight is None:
        return np.array(S, dtype=np.float64), np.ones(len(S))
    weight = np.asarray(weight, dtype=np.float64)
    kept = weight > 0.0
    return np.asarray(S)[kept].astype(np.float64), weight[kept]


class _Sketch:
    """The largest directions U of the Gram matrix, and lower bounds on its values there."""

    def __init__(self, rows: _Rows, alpha: float) -> None:
        n = rows.n_features
        rank = min(n, int(np.clip(n // _SHARE, _FEWEST, _MOST)))
        # Fixed, so that a fit has one result.
        draws = np.random.RandomState(0).standard_normal((n, rank))
        basis = np.linalg.qr(draws)[0]
        del draws
        image = np.zeros((n, rank))
        for _, states in rows():
            image += states.T @ (states @ basis)
        self.alpha = alpha
        shift = np.sqrt(n) * EPS * float(np.linalg.norm(image, 2))
        self.U, values = np.empty((n, 0)), np.empty(0)
        if shift > 0.0:
            self.U, values, shift = _nystrom(basis, image, shift)
            # What rounding can have made is no lower bound.
            real = values > 20.0 * shift
            self.U, values = np.ascontiguousarray(self.U[:, real]), values[real]
        self.values = values
        self.largest = float(values[0]) if len(values) else 0.0
        last = values[-1] if len(values) else 0.0
        self._shrink = np.sqrt((last + alpha) / (values + alpha)) - 1.0

    def shrunk(self, v: np.ndarray) -> np.ndarray:
        """P**(-1/2) @ v, scaled to leave what is outside of the directions as it is."""
        return v + self.U @ (self._shrink[:, None] * (self.U.T @ v))

    def error(self, gradient: np.ndarray) -> np.ndarray:
        """Bound on the norm of the error of the fitted values, for each target."""
        inside = self.U.T @ gradient
        outside = gradient - self.U @ inside
        # divided before they are squared, for squares of a gradient overflow early
        inside /= np.sqrt(0.5 * self.values + self.alpha)[:, None]
        outside /= np.sqrt(self.alpha)
        return np.sqrt(_squares(inside) + _squares(outside))


def _nystrom(basis, image, shift):
    """Eigenvectors and -values of the Nyström approximation, decreasing, and the shift taken."""
    image += shift * basis
    core = basis.T @ image
    core = 0.5 * (core + core.T)
    while True:
        try:
            upper = cholesky(core, check_finite=False)
            break
        except LinAlgError:  # rounding was larger than the shift: more of it
            core[np.diag_indices_from(core)] += 9.0 * shift
            image += 9.0 * shift * basis
            shift *= 10.0
    half = solve_triangular(upper, image.T, trans="T", overwrite_b=True, check_finite=False).T
    U, sigma, _ = svd(half, full_matrices=False, overwrite_a=True, check_finite=False)
    return U, np.maximum(sigma * sigma - shift, 0.0), shift
