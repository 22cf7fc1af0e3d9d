"""Readouts of very many features: what memory allows, and two solvers without their matrix."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from echocast._checks import stack_level

from . import _in_place
from ._factor import RidgeFactor
from ._few_rows import RowCoordinates, count_rows, keeps_rows, rows_kept
from ._lsqr import lsqr_solve
from ._readout_fit import Blocks, ReadoutFit

__all__ = ["by_rows", "by_size", "fit_dual", "fit_lsqr", "solve_rows"]

# "auto" forms no larger matrix of features than this: up to 32,768 of them.
_LARGEST_MATRIX = 2**33
# With so many times fewer rows than features the dual form needs less time and memory.
_FEW_ROWS = 3


def by_size(n_features: int, n_rows: int | None, alpha: Any, owner: str) -> str:
    """What "auto" means for many features: memory decides."""
    if n_features < _in_place.LARGE:
        return "auto"
    if n_rows is not None and _is_few(n_rows, n_features):
        return "dual"
    if 8 * n_features**2 <= _LARGEST_MATRIX:
        return "auto"
    if isinstance(alpha, float) and alpha > 0.0:
        return "lsqr"
    raise ValueError(
        f"{owner} has {n_features} readout features, whose matrix takes "
        f"{8 * n_features**2 / 2**30:.0f} GiB, and solver='auto' forms none above "
        f"{_LARGEST_MATRIX / 2**30:.0f}. Give one `alpha` > 0, for which it takes 'lsqr', or set "
        "solver='svd', if you have several times that memory."
    )


def _is_few(n_rows, n_features):
    return _FEW_ROWS * n_rows <= n_features and 8 * n_rows * n_features <= _LARGEST_MATRIX


def by_rows(factor: RidgeFactor, solver: str, owner: str) -> bool:
    """Whether `solver` solves from the rows that the statistics still hold."""
    kept = keeps_rows(factor)
    if solver == "dual" and not (kept and factor.n_samples <= factor.n_features):
        raise ValueError(
            f"solver='dual' of {owner} needs all rows, not more than readout features, which its "
            "statistics do not hold. Use solver='auto'."
        )
    few = factor.n_features >= _in_place.LARGE and _is_few(factor.n_samples, factor.n_features)
    return solver == "dual" or (solver == "auto" and kept and few)


def fit_dual(
    fit: Callable[..., ReadoutFit],
    blocks: Blocks,
    n_features: int,
    n_targets: int,
    n_rows: int | None,
    given: dict,
) -> ReadoutFit:
    """Solve in the coordinates of the rows, by `fit` (blocks, n_features, n_targets, **given)."""
    if n_rows is None or n_rows > n_features:
        n_rows = count_rows(blocks)
    if n_rows > n_features:
        raise ValueError(
            f"solver='dual' of {given['owner']} is for fewer rows than readout features, got "
            f"{n_rows} rows and {n_features} features. Use solver='auto'."
        )
    factor = rows_kept(blocks(), n_rows, n_features, n_targets, dtype=given["dtype"])
    return solve_rows(fit, factor, given)


def solve_rows(fit: Callable[..., ReadoutFit], factor: RidgeFactor, given: dict) -> ReadoutFit:
    """The same from a factor that holds its rows."""
    turned = RowCoordinates(factor, centred=given["fit_intercept"])
    inner = fit(turned.blocks, factor.n_samples, factor.n_targets, **given)
    coef = turned.back(inner.coef)
    intercept = inner.intercept - coef @ turned.origin
    rest = inner.rank, inner.condition, inner.alphas, inner.loo_errors
    return ReadoutFit(coef, intercept, inner.alpha, factor, "dual", *rest)


def fit_lsqr(
    blocks: Blocks, n_features: int, n_targets: int, alpha: Any, fit_intercept: bool, owner: str
) -> ReadoutFit:
    """Solve by passes over the rows; warn if they did not suffice."""
    if not (isinstance(alpha, float) and alpha > 0.0):
        raise ValueError(
            f"solver='lsqr' of {owner} needs one `alpha` > 0: it has no singular values to compare "
            "several by, or to cut. Find it with fewer units, or use another solver."
        )
    found = lsqr_solve(blocks, n_features, n_targets, alpha=alpha, fit_intercept=fit_intercept)
    if not found.converged:
        share = (found.bound / np.maximum(found.residual, np.finfo(float).tiny)).max()
        warnings.warn(
            f"LSQR has stopped after {found.n_passes} passes over the rows; predictions may be off "
            f"by {share:.0e} of the residuals. Use a larger alpha, or solver='auto', 'cholesky' or "
            "'qr'.",
            ConvergenceWarning,
            stacklevel=stack_level(),
        )
    rest = None, "lsqr", n_features, found.condition
    return ReadoutFit(found.coef, found.intercept, alpha, *rest)
