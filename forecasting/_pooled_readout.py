"""The readout of one reservoir of a pool: learnt, asked, and taught further rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._pooled_fit import (
    Rows,
    Statistics,
    fit_absolute,
    fit_squared,
    predict_rows,
    step_statistics,
)

__all__ = ["Readout", "fit_readout"]

_USUAL = 3.0  # new residuals count up to so many times the mean absolute residual


@dataclass(frozen=True)
class Readout:
    """Coefficients for standardised features, and the sums they can be continued from.

    Parameters
    ----------
    coef : ndarray of shape (H, p + q, D)
    statistics : Statistics
        Of the standardised features, for the squared loss.
    divide_shared, divide_own : ndarray of shape (p,) and (H, q)
        What features are divided by.
    alphas : ndarray of shape (H,)
    spread : ndarray of shape (H, D) or None
        Mean absolute residuals of an absolute loss; None for the squared one.
    first_left_out : ndarray of shape (n_folds, p + q, D)
        Coefficients of the first step learnt without each fold.
    """

    coef: np.ndarray
    statistics: Statistics
    divide_shared: np.ndarray
    divide_own: np.ndarray
    alphas: np.ndarray
    spread: np.ndarray | None
    first_left_out: np.ndarray

    def predict(self, Z: np.ndarray, E: np.ndarray) -> np.ndarray:
        """Scale-free forecasts (n, h, D) from features (n, p) and (n, h, q), for h <= H steps."""
        h = E.shape[1]
        return predict_rows(self.coef[:h], Z / self.divide_shared, E / self.divide_own[:h])

    def predict_left_out(self, Z: np.ndarray, E: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """The first step, (n, 1, D), by readouts that had not seen the fold of the row.

        Rows of fold -1 take zero, the reference.
        """
        out = np.zeros((len(Z), 1, self.coef.shape[2]))
        Z, E = Z / self.divide_shared, E / self.divide_own[:1]
        for k, coef in enumerate(self.first_left_out):
            here = folds == k
            out[here] = predict_rows(coef[None], Z[here], E[here])
        return out

    def taught(self, Z: np.ndarray, E: np.ndarray, T: np.ndarray, w: np.ndarray) -> Readout:
        """A readout that has learnt further rows, with scales and penalties as they were.

        Exact for the squared loss. For the absolute one: a Newton step of the squared loss
        towards the new residuals, cut off at three times the mean absolute one.
        """
        none = np.zeros((0, len(w)), dtype=bool)
        rows = Rows(Z / self.divide_shared, E / self.divide_own, T, w, none, none)
        new = _sums(rows)
        total = self.statistics.plus(new)
        if self.spread is None:
            coef = total.solve(self.alphas, rows.penalised)
        else:
            size = _USUAL * self.spread
            residual = T - predict_rows(self.coef, rows.Z, rows.E)
            pushed = replace(rows, T=np.clip(residual, -size, size))
            step = replace(total, cross=_sums(pushed).cross)
            coef = self.coef + step.solve(self.alphas, rows.penalised)
        return replace(self, coef=coef, statistics=total)


def fit_readout(
    rows: Rows, kept: np.ndarray, alphas: np.ndarray, *, loss: str, shared: bool
) -> tuple[Readout, np.ndarray]:
    """Learn all steps from rows with features as they come.

    Returns
    -------
    readout : Readout
    guess : ndarray of shape (n_kept, H, D)
        Out-of-fold predictions of the rows `kept`.
    """
    divide_shared = _root_mean_square(rows.Z, rows.w)
    divide_own = _root_mean_square(rows.E, rows.w)
    rows = replace(rows, Z=rows.Z / divide_shared, E=rows.E / divide_own)
    coef, folds, chosen, sums = fit_squared(rows, alphas, shared=shared)
    spread = None
    if loss == "absolute":
        if not len(kept):
            rows, folds = replace(rows, held=rows.held[:0], hidden=rows.hidden[:0]), folds[:0]
        coef, folds, spread = fit_absolute(rows, coef, chosen, sums, folds=folds)
    first = folds[:, 0].copy()
    guess = np.full((len(kept), *rows.T.shape[1:]), np.nan)
    for k, held in enumerate(rows.held):
        here = held[kept]
        guess[here] = predict_rows(folds[k], rows.Z[kept[here]], rows.E[kept[here]])
    return Readout(coef, sums, divide_shared, divide_own, chosen, spread, first), guess


def _root_mean_square(rows, weights):
    size = np.sqrt(np.tensordot(weights, rows**2, axes=(0, 0)) / weights.sum())
    return np.where(size > 1e-12, size, 1.0)


def _sums(rows):
    """Statistics of all rows."""
    n_steps, n_coef = rows.T.shape[1], len(rows.penalised)
    gram = np.zeros((n_steps, n_coef, n_coef))
    cross = np.zeros((n_steps, n_coef, rows.T.shape[2]))
    weight = np.zeros(n_steps)
    for h, [(g, c, _, s)] in step_statistics(rows, np.ones((1, len(rows.Z)), dtype=bool)):
        gram[h], cross[h], weight[h] = g, c, s
    return Statistics(gram, cross, weight)
