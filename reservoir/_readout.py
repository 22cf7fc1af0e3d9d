"""Ridge readout: fit from a stream of states, by the cheapest solver that is accurate enough."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError

from echocast._checks import check_alpha, check_option, stack_level
from echocast.exceptions import IllConditionedWarning

from . import _in_place
from ._factor import RidgeFactor, RidgeSystem
from ._few_rows import RowCoordinates
from ._in_place import Solved, factor_solve_in_blocks, gram_solve_in_place
from ._linalg import EPS, Spectrum, factor_solve, gram_solve, spectrum_solve
from ._many_features import by_rows, by_size, fit_dual, fit_lsqr, solve_rows
from ._penalty import candidates, gcv_errors, loo_errors, loo_predictions, pick
from ._readout_fit import Blocks, ReadoutFit

__all__ = [
    "SOLVERS",
    "ReadoutFit",
    "RidgeFactor",
    "fit_readout",
    "leave_one_out",
    "penalty_basis",
    "picked",
    "solve_factor",
    "statistics_of",
]

# "lsqr", the last one, is there for `fit_readout` only.
SOLVERS = ("auto", "cholesky", "qr", "svd", "dual", "lsqr")

# "auto" takes the normal equations if the bound on what they lose, which is 15 times the true
# loss or more, stays below this share of the residuals' norm.
_LOSS_ALLOWED = 1e-2


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
    n_rows: int | None = None,
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
    solver : {"auto", "cholesky", "qr", "svd", "dual", "lsqr"}, default="auto"
        "cholesky" solves the normal equations; "qr" and "svd" a running QR factor of the states,
        which does not square their condition number ("qr" falls back to "svd" where the factor
        is singular). "auto" takes the normal equations if a bound on what rounding does to the
        predictions allows it, else "qr". Several candidates are compared by singular values.
        "dual" keeps all rows, not more than features, and solves in their coordinates; "lsqr"
        forms no matrix and reads the rows again and again, for one positive penalty. From 4,096
        features on "auto" takes "dual" if `n_rows` says that there are at least three times fewer
        rows than features, and above 32,768 features else "lsqr".
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
    n_rows : int, optional
        Number of rows of positive weight, or more, if it is known beforehand.

    Returns
    -------
    ReadoutFit

    Raises
    ------
    InvalidParameterError
        If `alpha`, `solver` or `selection` is not valid.
    ValueError
        If no row has a positive weight, values overflow when squared, or the solver cannot work
        with this `alpha` or number of rows.
    LinAlgError
        If ``solver="cholesky"`` and the normal equations are not positive definite.

    Warns
    -----
    ConvergenceWarning
        If "lsqr" has stopped before the fitted values are known to a share of 1e-4 of the
        residuals' norm.
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
    check_option("solver", solver, owner, SOLVERS)
    check_option("selection", selection, owner, ("loo", "gcv"))
    if solver == "auto":
        solver = by_size(n_features, n_rows, alpha, owner)
    if solver == "lsqr":
        return fit_lsqr(blocks, n_features, n_targets, alpha, fit_intercept, owner)
    given = {"alpha": alpha, "selection": selection, "dtype": dtype, "owner": owner}
    given["fit_intercept"] = fit_intercept
    if solver == "dual":
        return fit_dual(_fit_matrix, blocks, n_features, n_targets, n_rows, given)
    return _fit_matrix(blocks, n_features, n_targets, solver=solver, **given)


def _fit_matrix(
    blocks, n_features, n_targets, *, alpha, selection, dtype, owner, fit_intercept, solver="auto"
):
    """Fit from a matrix of n_features x n_features, whatever its size."""
    several, options = not isinstance(alpha, float), {"fit_intercept": fit_intercept}
    if solver == "auto" and not several and alpha > 0.0:
        fit = _try_normal_equations(
            blocks, RidgeFactor(n_features, n_targets, method="gram", dtype=dtype), alpha, **options
        )
        if fit is not None:
            return fit
    factor = RidgeFactor(
        n_features, n_targets, method="gram" if solver == "cholesky" else "qr", dtype=dtype
    )
    for S, Y, weight in blocks():
        factor.update(S, Y, weight)
    if several and selection == "loo":
        return _select(factor, alpha, blocks, **options)
    return solve_factor(factor, alpha=alpha, solver=solver, owner=owner, own=True, **options)


def statistics_of(model: Any) -> Any:
    """What the readout of a fitted estimator was solved from.

    Raises
    ------
    ValueError
        If it was solved by "lsqr", which keeps nothing of the rows.
    """
    if model._fit_factor is None:
        raise ValueError(
            f"The readout of this {type(model).__name__} was solved by 'lsqr', which keeps no "
            "statistics of its rows to go on from. Fit with solver='cholesky' or 'qr'."
        )
    return model._fit_factor


def solve_factor(
    factor: RidgeFactor,
    *,
    alpha: Any,
    solver: str = "auto",
    fit_intercept: bool = True,
    owner: str = "Readout",
    own: bool = False,
) -> ReadoutFit:
    """Solve from the statistics alone; several candidates are compared by GCV.

    Parameters
    ----------
    factor : RidgeFactor
        Not changed. If it holds a Gram matrix, every solver is "cholesky", except that "auto"
        drops the directions it cannot resolve instead of raising an error.
    alpha, fit_intercept, owner
        As for `fit_readout`.
    solver : {"auto", "cholesky", "qr", "svd", "dual"}, default="auto"
        "dual" is for a factor that still holds all its rows, not more than features; from 4,096
        features on "auto" takes it for three times fewer.
    own : bool, default=False
        Whether nobody else has the factor, so that a large one may serve as memory meanwhile.

    Returns
    -------
    ReadoutFit

    Raises
    ------
    InvalidParameterError
        If `alpha` or `solver` is not valid.
    ValueError
        If the factor has seen no row of positive weight, or "dual" cannot solve it.
    LinAlgError
        If the factor is a Gram matrix and not positive definite, unless ``solver="auto"``.

    Warns
    -----
    IllConditionedWarning
        As for `fit_readout`.
    """
    alpha = check_alpha(alpha, owner)
    check_option("solver", solver, owner, SOLVERS[:-1])
    if by_rows(factor, solver, owner):
        given = {"alpha": alpha, "selection": "gcv", "dtype": factor.dtype, "owner": owner}
        return solve_rows(_fit_matrix, factor, {**given, "fit_intercept": fit_intercept})
    if not isinstance(alpha, float):
        return _select(factor, alpha, None, fit_intercept=fit_intercept)
    large = factor.n_features >= _in_place.LARGE
    system = None if large else factor.system(fit_intercept=fit_intercept)
    if factor.method == "gram":
        held = factor if own or not large else factor.copy()
        solved = _normal_equations(held, system, alpha, fit_intercept)
        del held
        if solved is not None:
            _warn_lost(solved)
            return _from_gram(factor, solved, alpha)
        if solver != "auto":
            raise LinAlgError(
                f"The normal equations of {owner} are not positive definite in float64 with "
                f"alpha={alpha:.3g}. Use solver='auto', 'qr' or 'svd', or a larger alpha."
            )
    elif solver != "svd":
        if system is None:
            found = factor_solve_in_blocks(factor, alpha, fit_intercept=fit_intercept)
            coef, intercept, condition = found
        else:
            coef, condition = factor_solve(system.xx, system.xy, alpha)
            intercept = np.zeros(0) if coef is None else system.intercept(coef)
        if coef is not None:
            rest = factor, "qr", factor.n_features, condition
            return ReadoutFit(coef, intercept, float(alpha), *rest)
    if system is None:
        system = factor.system(fit_intercept=fit_intercept)
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
    factor = fit.factor
    if factor is None:
        raise ValueError("Leave-one-out errors need a readout solved otherwise than by 'lsqr'.")
    if fit.solver_used == "dual":
        turned = RowCoordinates(factor, centred=fit_intercept)
        shape, blocks = (factor.n_samples, factor.n_targets), turned.blocks
        factor = RidgeFactor(*shape, dtype=factor.dtype).update(*next(blocks()))
    system = factor.system(fit_intercept=fit_intercept)
    spectrum = system.spectrum() if fit.spectrum is None else fit.spectrum
    return loo_predictions(system, spectrum, fit.alpha, blocks())


def _try_normal_equations(
    blocks: Blocks, factor: RidgeFactor, alpha: float, fit_intercept: bool
) -> ReadoutFit | None:
    """Fit by normal equations, or None, as early as possible, if they lose too much.

    What is lost grows with the sum of squares, the residuals with its root: if a look at the
    first rows finds too much lost, more rows make it worse.
    """

    def solved(allowed):
        large = factor.n_features >= _in_place.LARGE
        system = None if large else factor.system(fit_intercept=fit_intercept)
        return _within(_normal_equations(factor, system, alpha, fit_intercept), allowed)

    looked = False
    for S, Y, weight in blocks():
        factor.update(S, Y, weight)
        if not looked and factor.n_samples > 2 * factor.n_features + 1:
            looked = True
            if solved(3 * _LOSS_ALLOWED) is None:
                return None
    found = solved(_LOSS_ALLOWED)
    return None if found is None else _from_gram(factor, found, alpha)


def _within(found: Solved | None, allowed: float) -> Solved | None:
    """The solution, if the bound on what was lost is at most this share of the residuals."""
    return found if found and (found.lost <= allowed * found.residual).all() else None


def _accurate(system: RidgeSystem, alpha: float, allowed: float) -> Solved | None:
    return _within(_normal_equations(None, system, alpha, system.fit_intercept), allowed)


def _normal_equations(
    factor: RidgeFactor | None, system: RidgeSystem | None, alpha: float, fit_intercept: bool
) -> Solved | None:
    """Solve by Cholesky, in the memory of the factor if no `system` is given.

    None where the penalised Gram matrix is not positive definite in float64.
    """
    try:
        if system is None:
            assert factor is not None
            return gram_solve_in_place(factor, alpha, fit_intercept=fit_intercept)
        squares = system.target_squares
        found = gram_solve(system.xx, system.xy, squares, alpha)
    except LinAlgError:
        return None
    return Solved(*found, squares, system.intercept(found[0]))


def _from_gram(factor: RidgeFactor, solved: Solved, alpha: float) -> ReadoutFit:
    rest = factor, "cholesky", factor.n_features, solved.condition
    return ReadoutFit(solved.coef, solved.intercept, float(alpha), *rest)


def _warn_lost(solved: Solved) -> None:
    """Warn where rounding of normal equations may be seen, as there is no second pass."""
    lost, squares, condition = solved.lost, solved.squares, solved.condition
    # However small the residuals, nobody misses a hundredth of a millionth of the target, and
    # the bound is 15 times the error or more.
    if not (lost <= np.maximum(solved.residual, 1e-7 * np.sqrt(squares))).all():
        _warn(
            f"Condition estimate {condition * condition:.0e} of the normal equations; predictions "
            f"may be off by {_share(lost, squares):.0e} of the target. "
            f"Use solver='auto', 'qr' or 'svd', or a larger alpha."
        )


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
    warnings.warn(message, IllConditionedWarning, stacklevel=stack_level())
