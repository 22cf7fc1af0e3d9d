"""Ridge readout: choose a solver and a penalty, and fit from a stream of states."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError

from echocast._checks import check_number, check_option, refuse
from echocast.exceptions import IllConditionedWarning

from ._factor import RidgeFactor, RowBuffer
from ._linalg import (
    EPS,
    Spectrum,
    augmented_solve,
    effective_alphas,
    gcv_errors,
    normal_solve,
    shrinkage,
    spectrum,
    spectrum_solve,
)

__all__ = [
    "ReadoutFit",
    "RidgeFactor",
    "check_alpha",
    "fit_readout",
    "leave_one_out",
    "solve_factor",
]

SOLVERS = ("auto", "cholesky", "qr", "svd")
Blocks = Callable[[], Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None]]]


@dataclass
class ReadoutFit:
    """A solved readout.

    Parameters
    ----------
    coef : ndarray of shape (n_targets, n_features)
    intercept : ndarray of shape (n_targets,)
    alpha : float
        The penalty used.
    factor : RidgeFactor
        The statistics solved from, to go on with.
    solver_used : {"cholesky", "qr", "svd"}
    rank : int
        Directions of the states above the rounding level ("svd"), else `n_features`.
    condition : float
        Condition number of the states ("svd"), or an estimate for the penalised system.
    alphas : ndarray of shape (n_alphas,) or None
        Candidates, if there were several.
    loo_errors : ndarray of shape (n_alphas, n_targets) or None
        Leave-one-out (or generalised cross-validation) mean squared error of each.
    spectrum : Spectrum or None
        Singular values and vectors of the states, if there were several candidates.
    """

    coef: np.ndarray
    intercept: np.ndarray
    alpha: float
    factor: RidgeFactor
    solver_used: str
    rank: int
    condition: float
    alphas: np.ndarray | None = None
    loo_errors: np.ndarray | None = None
    spectrum: Spectrum | None = None


def check_alpha(alpha: Any, owner: str) -> Any:
    """Return "auto", a float >= 0 or a 1-D float array of candidates >= 0, else raise."""
    if isinstance(alpha, str) or np.ndim(alpha) == 0:
        value = check_number("alpha", alpha, owner, low=0.0, closed="left", also=("auto",))
        return value if isinstance(value, str) else float(value)
    try:
        values = np.asarray(alpha, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or values.min() < 0:
        refuse("alpha", owner, "'auto', a float >= 0 or a 1-D array of floats >= 0", alpha)
    return values


def fit_readout(
    blocks: Blocks,
    n_features: int,
    n_targets: int,
    *,
    alpha: Any,
    solver: str = "auto",
    fit_intercept: bool = True,
    selection: str = "loo",
    dtype: Any = np.float64,
    owner: str = "Readout",
) -> ReadoutFit:
    r"""Fit a ridge readout to states that arrive in blocks.

    Minimises :math:`\sum_i w_i |y_i - c_0 - C s_i|^2 + \alpha \|C\|^2`.

    Parameters
    ----------
    blocks : callable
        Without arguments; returns a fresh iterator of ``(S, Y, sample_weight or None)`` with S
        of shape (n_rows, n_features), each time with the same numbers: it is called again for
        leave-one-out errors, or where the normal equations turn out not to be accurate enough.
    n_features, n_targets : int
    alpha : float, array of shape (n_alphas,) or "auto"
        Penalty, or candidates of which the smallest leave-one-out error picks one.
    solver : {"auto", "cholesky", "qr", "svd"}, default="auto"
        "auto" takes the normal equations where a bound on the error of the predictions allows
        it, else QR and singular values of the triangular factor.
    fit_intercept : bool, default=True
        The intercept is not penalised.
    selection : {"loo", "gcv"}, default="loo"
        Criterion for several candidates.
    dtype : dtype, default=float64
        Precision of the states; arithmetic is in float64.
    owner : str
        Name of the estimator for messages.

    Returns
    -------
    ReadoutFit

    Raises
    ------
    InvalidParameterError
        If `alpha`, `solver` or `selection` is not valid.
    ValueError
        If no row has a positive weight, or values overflow when squared.
    LinAlgError
        If ``solver="cholesky"`` and the normal equations are not positive definite.
    """
    alpha = check_alpha(alpha, owner)
    check_option("solver", solver, owner, SOLVERS)
    check_option("selection", selection, owner, ("loo", "gcv"))

    def factorise(method: str) -> RidgeFactor:
        factor = RidgeFactor(n_features, n_targets, method=method, dtype=dtype)
        for S, Y, weight in blocks():
            factor.update(S, Y, weight)
        return factor

    several = not isinstance(alpha, float)
    if solver == "cholesky" or (solver == "auto" and not several and alpha > 0.0):
        gram = factorise("gram")
        fit = _solve_gram(gram, alpha, solver, fit_intercept, owner)
        if fit is not None:
            return fit
    factor = factorise("qr")
    if several and selection == "loo":
        return _select(factor, alpha, fit_intercept, blocks)
    return solve_factor(
        factor, alpha=alpha, solver=solver, fit_intercept=fit_intercept, owner=owner
    )


def solve_factor(
    factor: RidgeFactor,
    *,
    alpha: Any,
    solver: str = "auto",
    fit_intercept: bool = True,
    owner: str = "Readout",
) -> ReadoutFit:
    """Solve from the statistics alone; several candidates are compared by GCV.

    Parameters
    ----------
    factor : RidgeFactor
        Not changed.
    alpha, solver, fit_intercept, owner
        As for `fit_readout`.

    Returns
    -------
    ReadoutFit

    Raises
    ------
    InvalidParameterError
        If `alpha` or `solver` is not valid.
    ValueError
        If the factor has seen no row of positive weight.
    """
    alpha = check_alpha(alpha, owner)
    check_option("solver", solver, owner, SOLVERS)
    if factor.method == "gram":
        return _solve_gram(factor, alpha, "cholesky", fit_intercept, owner)
    if not isinstance(alpha, float):
        return _select(factor, alpha, fit_intercept, None)
    system = _System(factor, fit_intercept)
    Rxx, Rxy, rest = system.parts()
    if solver in ("auto", "qr", "cholesky") and np.sqrt(alpha) > len(Rxx) * EPS * np.linalg.norm(
        Rxx
    ):
        coef, condition = augmented_solve(Rxx, Rxy, alpha)
        return system.fit(coef, alpha, factor, "qr", len(Rxx), condition)
    spec = spectrum(Rxx, Rxy, rest, eps=system.eps)
    if spec.rank < factor.n_features and np.sqrt(alpha) <= spec.cut:
        warnings.warn(
            f"Ridge system is singular: rank {spec.rank} of {factor.n_features} (condition "
            f"{spec.condition:.0e}). Minimum-norm solution used; set alpha > 0.",
            IllConditionedWarning,
            stacklevel=2,
        )
    return system.fit(spectrum_solve(spec, alpha), alpha, factor, "svd", spec.rank, spec.condition)


def leave_one_out(fit: ReadoutFit, blocks: Blocks, *, fit_intercept: bool = True) -> np.ndarray:
    """Predict each row by the readout of all other rows, at the penalty of `fit`.

    Parameters
    ----------
    fit : ReadoutFit
        Chosen among several candidates by `fit_readout`, from the same blocks.
    blocks : callable
        As for `fit_readout`; rows of weight zero are left out of the result.
    fit_intercept : bool, default=True
        As in the fit.

    Returns
    -------
    ndarray of shape (n_rows, n_targets)
    """
    system = _System(fit.factor, fit_intercept)
    rows = _loo_rows(fit.spectrum, np.array([fit.alpha]), system, blocks)
    return np.concatenate([targets - residual[:, 0] for _, targets, residual in rows])


class _System:
    """A factor with the constant projected out, and the way back to the original columns."""

    def __init__(self, factor: RidgeFactor, fit_intercept: bool) -> None:
        full = factor.flushed()
        self.matrix, self.shift, self.mean = full.matrix(fit_intercept=fit_intercept)
        self.n_features = factor.n_features
        self.fit_intercept = fit_intercept
        self.n_samples = full.n_samples
        self.sum_weights = full.sum_weights
        self.eps = float(np.finfo(factor.dtype).eps)

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rxx, Rxy and the squared norms of the targets outside of the span of the states."""
        p = self.n_features
        bottom = self.matrix[p:, p:]
        return (
            self.matrix[:p, :p],
            self.matrix[:p, p:],
            np.einsum("ij,ij->j", bottom, bottom),
        )

    def target_variance(self) -> np.ndarray:
        columns = self.matrix[:, self.n_features :]
        return np.einsum("ij,ij->j", columns, columns) / self.sum_weights

    def fit(self, coef: np.ndarray, alpha: float, factor: RidgeFactor, *rest: Any) -> ReadoutFit:
        p = self.n_features
        intercept = np.zeros(coef.shape[0])
        if self.fit_intercept:
            centre = self.shift + self.mean
            intercept = centre[p:] - coef @ centre[:p]
        return ReadoutFit(coef, intercept, float(alpha), factor, *rest)


def _solve_gram(
    factor: RidgeFactor, alpha: float, solver: str, fit_intercept: bool, owner: str
) -> ReadoutFit | None:
    """Normal equations, or None where "auto" should not trust them."""
    system = _System(factor, fit_intercept)
    p = factor.n_features
    G, B = system.matrix[:p, :p], system.matrix[:p, p:]
    try:
        coef, smallest = normal_solve(G, B, alpha)
    except LinAlgError:
        if solver == "auto":
            return None
        raise LinAlgError(
            f"The normal equations of {owner} with alpha={alpha:.3g} are not positive definite "
            "in float64. Use solver='auto' or a larger alpha."
        ) from None
    trace = float(np.trace(G))
    squares = np.diagonal(system.matrix)[p:]
    residual = np.sqrt(
        np.maximum(
            squares - np.einsum("ij,ji->i", coef, B) - alpha * np.einsum("ij,ij->i", coef, coef),
            0.0,
        )
    )
    size = np.sqrt(trace) * np.linalg.norm(coef, axis=1) + np.sqrt(squares)
    lost = 4 * EPS * np.sqrt(trace) * size * min(0.5 / np.sqrt(alpha), 1 / np.sqrt(smallest))
    if solver == "auto" and not (lost <= 1e-2 * residual).all():
        return None
    return system.fit(coef, alpha, factor, "cholesky", p, (trace + alpha) / smallest)


def _select(
    factor: RidgeFactor, alpha: Any, fit_intercept: bool, blocks: Blocks | None
) -> ReadoutFit:
    """Pick one of several penalties by the leave-one-out error, or by GCV without `blocks`."""
    system = _System(factor, fit_intercept)
    spec = spectrum(*system.parts(), eps=system.eps)
    alphas = _grid(spec, system.eps) if isinstance(alpha, str) else alpha
    if blocks is None:
        errors = gcv_errors(
            spec, alphas, system.n_samples, system.sum_weights, int(system.fit_intercept)
        )
    else:
        errors = _loo_errors(spec, alphas, system, blocks)
    variance = system.target_variance()
    varying = variance > 0.0
    pooled = (errors[:, varying] / variance[varying]).sum(axis=1)
    best = float(alphas[pooled == pooled.min()].max())
    coef = spectrum_solve(spec, best)
    fit = system.fit(coef, best, factor, "svd", spec.rank, spec.condition)
    fit.alphas, fit.loo_errors, fit.spectrum = alphas, errors, spec
    return fit


def _grid(spec: Spectrum, eps: float) -> np.ndarray:
    """Candidates from the largest squared singular value down to its rounding level."""
    if spec.rank == 0:
        return np.ones(1)
    top = 2.0 * np.log10(spec.sigma[0])
    return 10.0 ** np.arange(np.floor(top), np.floor(top + 2.0 * np.log10(eps)) - 1.0, -1.0)


def _loo_errors(spec: Spectrum, alphas: np.ndarray, system: _System, blocks: Blocks) -> np.ndarray:
    """Weighted mean squared leave-one-out errors, shape (n_alphas, n_targets)."""
    total = np.zeros((len(alphas), spec.z.shape[1]))
    for weight, _, residual in _loo_rows(spec, alphas, system, blocks):
        total += np.einsum("i,iad,iad->ad", weight, residual, residual)
    return total / system.sum_weights


def _loo_rows(
    spec: Spectrum, alphas: np.ndarray, system: _System, blocks: Blocks
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    r"""Replay the rows; yield weights, targets and leave-one-out residuals (rows, alphas, targets).

    With :math:`u_i = \Sigma^{-1} V^\top s_i` and :math:`g = \alpha / (\sigma^2 + \alpha)`, the
    residual of row i is :math:`q_i + \sum_k u_{ik} g_k z_k` and one minus its leverage
    :math:`c_i + \sum_k u_{ik}^2 g_k`, where q and c are those of the least-squares fit. Both are
    sums without cancellation for every penalty, also where the fit interpolates (q = c = 0).
    """
    p, rank = system.n_features, spec.rank
    n_targets = spec.z.shape[1]
    g = shrinkage(spec.sigma, effective_alphas(alphas, spec))
    to_u = spec.V / spec.sigma
    gz = (g[:, :, None] * spec.z[:, None, :]).reshape(rank, -1)
    centre = system.mean if system.fit_intercept else -system.shift
    u_centre = centre[:p] @ to_u
    constant = 1.0 / system.sum_weights if system.fit_intercept else 0.0
    interpolates = system.n_samples <= rank + int(system.fit_intercept)

    def solve(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weight = rows[:, 0].copy()
        u = (rows[:, 1 : 1 + p] - system.shift[:p]) @ to_u - u_centre
        y = rows[:, 1 + p :] - system.shift[p:] - centre[p:]
        squares = u * u
        if interpolates:
            q, c = np.zeros_like(y), np.zeros(len(y))
        else:
            q = y - u @ spec.z
            c = 1.0 - weight * (constant + squares.sum(axis=1))
            fitted = c < 1e-11
            q[fitted], c[fitted] = 0.0, 0.0
        residual = q[:, None, :] + (u @ gz).reshape(len(y), len(alphas), n_targets)
        free = c[:, None] + weight[:, None] * (squares @ g)
        return weight, rows[:, 1 + p :].copy(), residual / free[:, :, None]

    buffer = RowBuffer(p, n_targets)
    for S, Y, weight in blocks():
        for rows in buffer.push(S, Y, weight):
            yield solve(rows)
    if buffer.n_pending:
        yield solve(buffer.pending())
