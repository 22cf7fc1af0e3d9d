"""Ridge readout: fit from a stream of states, by the cheapest solver that is accurate enough."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError

from echocast._checks import check_alpha, check_option, check_solver
from echocast.exceptions import IllConditionedWarning

from ._factor import RidgeFactor, RidgeSystem
from ._linalg import EPS, Spectrum, factor_solve, gram_solve, spectrum_solve
from ._penalty import candidates, gcv_errors, loo_errors, loo_predictions, pick

__all__ = [
    "ReadoutFit",
    "RidgeFactor",
    "fit_readout",
    "leave_one_out",
    "penalty_basis",
    "picked",
    "solve_factor",
]

Blocks = Callable[[], Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None]]]

# "auto" takes the normal equations if the bound on what they lose, which is 15 times the true
# loss or more, stays below this share of the residuals' norm.
_LOSS_ALLOWED = 1e-2


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
        What it came down to; "cholesky" stands for everything from a Gram matrix.
    rank : int
        Directions of the states above the rounding level where singular values were taken, else
        `n_features`.
    condition : float
        Condition number of the states where singular values were taken, else an estimate for
        the penalised states.
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
        of shape (n_rows, n_features) and Y of shape (n_rows, n_targets), each time with the same
        numbers: it is called again for leave-one-out errors, or where the normal equations turn
        out not to be accurate enough. Rows are copied before the next block is asked for.
    n_features, n_targets : int
    alpha : float, array of shape (n_alphas,) or "auto"
        Penalty >= 0, or candidates of which the smallest leave-one-out error picks one; "auto"
        makes one candidate a decade, down to the rounding level of the states.
    solver : {"auto", "cholesky", "qr", "svd"}, default="auto"
        "cholesky" solves the normal equations; "qr" and "svd" a running QR factor of the states,
        which does not square their condition number ("qr" falls back to "svd" where the factor
        is singular). "auto" takes the normal equations if a bound on what rounding does to the
        predictions allows it, else "qr". Several candidates are compared by singular values.
    fit_intercept : bool, default=True
        The intercept is not penalised.
    selection : {"loo", "gcv"}, default="loo"
        Criterion for several candidates: exact leave-one-out errors, which take a second pass
        over the blocks, or generalised cross-validation.
    dtype : dtype, default=float64
        Precision the states were computed in. Sums and solutions are in float64 regardless: the
        copy into the block buffer converts for free, and float32 sums would lose the small
        directions that forecasts live on.
    owner : str, default="Readout"
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

    Warns
    -----
    IllConditionedWarning
        If rank is lost and the given `alpha` does not make up for it, or ``solver="cholesky"``
        is asked for where it costs accuracy. Never for ``alpha="auto"``.

    Examples
    --------
    >>> import numpy as np
    >>> S = np.random.default_rng(0).normal(size=(100, 2))
    >>> Y = S @ [[1.0], [-2.0]] + 0.5
    >>> fit = fit_readout(lambda: iter([(S, Y, None)]), 2, 1, alpha="auto")
    >>> fit.coef.round(6), fit.intercept.round(6)
    (array([[ 1., -2.]]), array([0.5]))
    """
    alpha = check_alpha(alpha, owner)
    check_solver(solver, owner)
    check_option("selection", selection, owner, ("loo", "gcv"))
    several = not isinstance(alpha, float)
    options = {"fit_intercept": fit_intercept}
    if solver == "auto" and not several and alpha > 0.0:
        factor = RidgeFactor(n_features, n_targets, method="gram", dtype=dtype)
        fit = _try_normal_equations(blocks, factor, alpha, fit_intercept)
        if fit is not None:
            return fit
    factor = RidgeFactor(
        n_features, n_targets, method="gram" if solver == "cholesky" else "qr", dtype=dtype
    )
    for S, Y, weight in blocks():
        factor.update(S, Y, weight)
    if several and selection == "loo":
        return _select(factor, alpha, blocks, **options)
    return solve_factor(factor, alpha=alpha, solver=solver, owner=owner, **options)


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
        Not changed. If it holds a Gram matrix, every solver is "cholesky", except that "auto"
        drops the directions it cannot resolve instead of raising an error.
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
    LinAlgError
        If the factor is a Gram matrix and not positive definite, unless ``solver="auto"``.

    Warns
    -----
    IllConditionedWarning
        As for `fit_readout`.
    """
    alpha = check_alpha(alpha, owner)
    check_solver(solver, owner)
    if not isinstance(alpha, float):
        return _select(factor, alpha, None, fit_intercept=fit_intercept)
    system = factor.system(fit_intercept=fit_intercept)
    if factor.method == "gram":
        fit = _solve_gram(factor, system, alpha, solver, owner)
        if fit is not None:
            return fit
    elif solver != "svd":
        coef, condition = factor_solve(system.xx, system.xy, alpha)
        if coef is not None:
            return _fitted(factor, system, coef, alpha, "qr", factor.n_features, condition)
    spectrum = system.spectrum()
    _warn_rank(spectrum, system, alpha)
    return _fitted_spectrum(factor, system, spectrum, alpha)


def leave_one_out(fit: ReadoutFit, blocks: Blocks, *, fit_intercept: bool = True) -> np.ndarray:
    """Predict each row by the readout of all other rows, at the penalty of `fit`.

    Parameters
    ----------
    fit : ReadoutFit
        From the same blocks.
    blocks : callable
        As for `fit_readout`; rows of weight zero are left out of the result.
    fit_intercept : bool, default=True
        As in the fit.

    Returns
    -------
    ndarray of shape (n_rows, n_targets)
    """
    system = fit.factor.system(fit_intercept=fit_intercept)
    spectrum = system.spectrum() if fit.spectrum is None else fit.spectrum
    return loo_predictions(system, spectrum, fit.alpha, blocks())


def _try_normal_equations(
    blocks: Blocks, factor: RidgeFactor, alpha: float, fit_intercept: bool
) -> ReadoutFit | None:
    """Fit by normal equations, or None, as early as possible, if they lose too much.

    What is lost grows with the sum of squares, the residuals with its root: if a look at the
    first rows finds too much lost, more rows make it worse.
    """
    looked = False
    for S, Y, weight in blocks():
        factor.update(S, Y, weight)
        if not looked and factor.n_samples > 2 * factor.n_features + 1:
            looked = True
            if not _accurate(factor.system(fit_intercept=fit_intercept), alpha, 3 * _LOSS_ALLOWED):
                return None
    system = factor.system(fit_intercept=fit_intercept)
    solved = _accurate(system, alpha, _LOSS_ALLOWED)
    if solved is None:
        return None
    return _fitted(factor, system, solved[0], alpha, "cholesky", factor.n_features, solved[1])


def _accurate(system: RidgeSystem, alpha: float, allowed: float) -> tuple | None:
    """Coefficients and condition, if the bound is at most this share of the residuals."""
    try:
        coef, condition, lost, residual = gram_solve(
            system.xx, system.xy, system.target_squares, alpha
        )
    except LinAlgError:
        return None
    return (coef, condition) if (lost <= allowed * residual).all() else None


def _solve_gram(
    factor: RidgeFactor, system: RidgeSystem, alpha: float, solver: str, owner: str
) -> ReadoutFit | None:
    """Solve by Cholesky where there is no second pass to fall back on."""
    squares = system.target_squares
    try:
        coef, condition, lost, residual = gram_solve(system.xx, system.xy, squares, alpha)
    except LinAlgError:
        if solver == "auto":
            return None
        raise LinAlgError(
            f"The normal equations of {owner} are not positive definite in float64 with "
            f"alpha={alpha:.3g}. Use solver='auto', 'qr' or 'svd', or a larger alpha."
        ) from None
    # However small the residuals, nobody misses a hundredth of a millionth of the target, and
    # the bound is 15 times the error or more.
    if not (lost <= np.maximum(residual, 1e-7 * np.sqrt(squares))).all():
        _warn(
            f"Condition estimate {condition * condition:.0e} of the normal equations; predictions "
            f"may be off by {_share(lost, squares):.0e} of the target. "
            f"Use solver='auto', 'qr' or 'svd', or a larger alpha."
        )
    return _fitted(factor, system, coef, alpha, "cholesky", factor.n_features, condition)


def _select(
    factor: RidgeFactor, alpha: Any, blocks: Blocks | None, *, fit_intercept: bool
) -> ReadoutFit:
    """Pick one of several penalties by the leave-one-out error, or by GCV without `blocks`."""
    basis = penalty_basis(factor, alpha, fit_intercept=fit_intercept)
    errors = gcv_errors(*basis) if blocks is None else loo_errors(*basis, blocks())
    return picked(factor, *basis, errors)


def penalty_basis(
    factor: RidgeFactor, alpha: Any, *, fit_intercept: bool
) -> tuple[RidgeSystem, Spectrum, np.ndarray]:
    """What errors of several penalties are measured with: system, spectrum and candidates."""
    system = factor.system(fit_intercept=fit_intercept)
    spectrum = system.spectrum()
    return system, spectrum, candidates(spectrum) if isinstance(alpha, str) else alpha


def picked(
    factor: RidgeFactor,
    system: RidgeSystem,
    spectrum: Spectrum,
    alphas: np.ndarray,
    errors: np.ndarray,
) -> ReadoutFit:
    """The fit at the penalty with the least of the `errors` (n_alphas, n_targets)."""
    best = pick(alphas, errors, system.target_squares)
    fit = _fitted_spectrum(factor, system, spectrum, best)
    fit.alphas, fit.loo_errors, fit.spectrum = alphas, errors, spectrum
    return fit


def _fitted_spectrum(
    factor: RidgeFactor, system: RidgeSystem, spectrum: Spectrum, alpha: float
) -> ReadoutFit:
    coef = spectrum_solve(spectrum, alpha)
    solver = "svd" if factor.method == "qr" else "cholesky"
    return _fitted(factor, system, coef, alpha, solver, spectrum.rank, spectrum.condition)


def _fitted(
    factor: RidgeFactor, system: RidgeSystem, coef: np.ndarray, alpha: float, *rest: Any
) -> ReadoutFit:
    return ReadoutFit(coef, system.intercept(coef), float(alpha), factor, *rest)


def _warn_rank(spectrum: Spectrum, system: RidgeSystem, alpha: float) -> None:
    """Warn where the data do not determine the coefficients and the penalty does not either."""
    varying = int(np.count_nonzero(np.abs(system.xx).max(axis=0)))
    if spectrum.rank < varying and np.sqrt(alpha) <= spectrum.cut:
        _warn(
            f"Ridge system is singular: rank {spectrum.rank} of {varying} (condition "
            f"{spectrum.condition:.0e}). Minimum-norm solution used; set alpha > "
            f"{spectrum.cut**2:.0e}."
        )
    elif spectrum.rank and EPS * spectrum.sigma[0] > 1e-2 * np.hypot(
        spectrum.sigma[-1], np.sqrt(alpha)
    ):
        digits = max(0, int(-np.log10(EPS * spectrum.sigma[0] / spectrum.sigma[-1])))
        _warn(
            f"Condition estimate {spectrum.condition:.0e}; coefficients may be accurate to "
            f"{digits} digits. Use alpha >= {(1e4 * EPS * spectrum.sigma[0]) ** 2:.0e}."
        )


def _share(lost: np.ndarray, squares: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        return float((lost / np.sqrt(squares)).max())


def _warn(message: str) -> None:
    warnings.warn(message, IllConditionedWarning, stacklevel=4)
