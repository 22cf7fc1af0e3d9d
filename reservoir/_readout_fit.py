"""What a solved ridge readout consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ._factor import RidgeFactor
from ._linalg import Spectrum

__all__ = ["Blocks", "ReadoutFit"]

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
    factor : RidgeFactor or None
        The statistics solved from, to go on with; None after "lsqr", which has none. After
        "dual" it has absorbed no row, but holds all of them.
    solver_used : {"cholesky", "qr", "svd", "dual", "lsqr"}
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
    factor: RidgeFactor | None
    solver_used: str
    rank: int
    condition: float
    alphas: np.ndarray | None = None
    loo_errors: np.ndarray | None = None
    spectrum: Spectrum | None = None
