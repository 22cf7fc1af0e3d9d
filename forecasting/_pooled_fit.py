"""Ridge readouts of all horizon steps at once, from stacked rows with gaps in their targets.

Rows are features that all steps share, `Z` (n, p), and features of each step, `E` (n, H, q).
The statistics of a step differ from those of the step before by a few rows only, so they are
updated, not recomputed. Penalties are chosen out of fold from such statistics alone: origins
overlap, and leaving out one of them at a time would hide nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, pinvh
from threadpoolctl import threadpool_limits

from echocast._checks import stack_level
from echocast.exceptions import IllConditionedWarning

__all__ = ["Rows", "Statistics", "fit_absolute", "fit_squared", "predict_rows"]

_SMALL = 1e-10  # what the constant is penalised by, relative to the others
_TIE = 1e-3  # errors this close count as equal, and then the larger penalty is taken
_MOST_STEPS_JUDGED = 8  # steps whose errors choose a shared penalty
_REWEIGHTINGS = 3
_NEAREST = 0.1  # residuals below this share of their median count as this large


@dataclass(frozen=True)
class Rows:
    """Stacked training rows; the first column of `Z` is the constant.

    Parameters
    ----------
    Z : ndarray of shape (n, p)
    E : ndarray of shape (n, H, q)
    T : ndarray of shape (n, H, D)
        Targets; a step with NaN in any variable is left out for that row.
    w : ndarray of shape (n,)
        Weights.
    held : ndarray of bool, shape (n_folds, n)
        Rows that a fold tests on.
    hidden : ndarray of bool, shape (n_folds, n)
        Rows that a fold does not learn from: those, and rows that overlap them.
    """

    Z: np.ndarray
    E: np.ndarray
    T: np.ndarray
    w: np.ndarray
    held: np.ndarray
    hidden: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Steps whose target is known, (n, H)."""
        return np.isfinite(self.T).all(axis=2)

    @property
    def penalised(self) -> np.ndarray:
        """One for each feature, next to nothing for the constant, (p + q,)."""
        weights = np.ones(self.Z.shape[1] + self.E.shape[2])
        weights[0] = _SMALL
        return weights


@dataclass(frozen=True)
class Statistics:
    """Weighted sums over rows that can be added: exact continuation of a squared loss.

    Parameters
    ----------
    gram : ndarray of shape (H, p + q, p + q)
    cross : ndarray of shape (H, p + q, D)
    weight : ndarray of shape (H,)
    """

    gram: np.ndarray
    cross: np.ndarray
    weight: np.ndarray

    def plus(self, other: Statistics) -> Statistics:
        """Sums over the rows of both."""
        return Statistics(
            self.gram + other.gram, self.cross + other.cross, self.weight + other.weight
        )

    def solve(self, alphas: np.ndarray, penalised: np.ndarray) -> np.ndarray:
        """Coefficients (H, p + q, D) at the penalties of the steps, relative to the weights."""
        coef = [
            _solve(gram, cross, weight, alpha, penalised)
            for gram, cross, weight, alpha in zip(self.gram, self.cross, self.weight, alphas)
        ]
        return np.stack(coef)


def _solve(gram, cross, weight, alpha, penalised):
    shifted = gram.copy()
    shifted.flat[:: len(gram) + 1] += alpha * max(weight, 1e-300) * penalised
    try:
        factor = cho_factor(shifted, lower=True, check_finite=False)
    except LinAlgError:
        warnings.warn(
            f"Ridge system is singular at alpha={alpha:g}; the minimum-norm solution is used. Set "
            "alpha > 0, or alpha='auto'.",
            IllConditionedWarning,
            stacklevel=stack_level(),
        )
        return pinvh(shifted) @ cross
    return cho_solve(factor, cross, check_finite=False)


class _RunningGram:
    """``Z' W Z`` of the rows under a mask, updated when the mask changes a little."""

    def __init__(self, Z, w):
        self.Z, self.w = Z, w
        self.mask = np.zeros(len(Z), dtype=bool)
        self.gram = np.zeros((Z.shape[1], Z.shape[1]))

    def at(self, mask):
        new, gone = mask & ~self.mask, self.mask & ~mask
        if 2 * (new.sum() + gone.sum()) > mask.sum():
            self.gram = self._of(mask)
        else:
            self.gram = self.gram + self._of(new) - self._of(gone)
        self.mask = mask
        return self.gram

    def _of(self, mask):
        rows = self.Z[mask]
        return (rows * self.w[mask, None]).T @ rows


def step_statistics(rows: Rows, masks: np.ndarray) -> Iterator[tuple[int, list]]:
    """Yield (step, [(gram, cross, squares, weight) under each mask]), from the last step on.

    `masks` is (n_masks, n).
    """
    running = [_RunningGram(rows.Z, rows.w) for _ in masks]
    known = rows.known
    for h in reversed(range(known.shape[1])):
        parts = []
        for run, mask in zip(running, masks):
            here = mask & known[:, h]
            own, weights, T = rows.E[here, h], rows.w[here, None], rows.T[here, h]
            gram, Z = run.at(here), rows.Z[here]
            if own.shape[1]:
                side = (Z * weights).T @ own
                gram = np.block([[gram, side], [side.T, (own * weights).T @ own]])
            weighted = T * weights
            cross = np.concatenate([Z.T @ weighted, own.T @ weighted])
            parts.append((gram, cross, (T * weighted).sum(axis=0), weights.sum()))
        yield h, parts


@threadpool_limits.wrap(limits=1, user_api="blas")  # thousands of small factors: threads wait
def fit_squared(
    rows: Rows, alphas: np.ndarray, *, shared: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Statistics]:
    """Ridge of every step, at penalties whose out-of-fold error is least.

    Parameters
    ----------
    rows : Rows
    alphas : ndarray of shape (n_alphas,)
        Candidates, relative to the sum of the weights.
    shared : bool
        Whether one penalty serves all steps.

    Returns
    -------
    coef : ndarray of shape (H, p + q, D)
    folds : ndarray of shape (n_folds, H, p + q, D)
        Coefficients learnt without the hidden rows of each fold.
    chosen : ndarray of shape (H,)
    statistics : Statistics
        Of all rows.
    """
    alphas = np.sort(np.asarray(alphas, dtype=np.float64))[::-1]
    n_steps, penalised = rows.T.shape[1], rows.penalised
    n_folds, n_coef = len(rows.held), len(penalised)
    purged = not np.array_equal(rows.held, rows.hidden)
    masks = np.concatenate([np.ones((1, len(rows.Z)), dtype=bool), rows.held])
    if purged:
        masks = np.concatenate([masks, rows.hidden])
    judged: Any = range(n_steps)
    if shared:
        judged = np.unique(np.linspace(0, n_steps - 1, _MOST_STEPS_JUDGED).astype(int))
    errors = np.full((n_steps, len(alphas)), np.nan)
    sums = Statistics(
        np.empty((n_steps, n_coef, n_coef)),
        np.empty((n_steps, n_coef, rows.T.shape[2])),
        np.empty(n_steps),
    )
    left = np.empty((n_folds, n_steps, n_coef, rows.T.shape[2]))
    trials: dict[int, np.ndarray] = {}
    kept: dict[int, list] = {}
    for h, parts in step_statistics(rows, masks):
        gram, cross, squares, weight = parts[0]
        sums.gram[h], sums.cross[h], sums.weight[h] = gram, cross, weight
        held, hidden = parts[1 : n_folds + 1], parts[-n_folds:] if n_folds else []
        train = [(gram - g, cross - c, weight - s) for g, c, _, s in hidden]
        if h in judged and n_folds and len(alphas) > 1:
            coef = np.stack([[_solve(*part, a, penalised) for a in alphas] for part in train])
            errors[h] = (
                sum(_squares(held[k], coef[k]) for k in range(n_folds))
                / np.where(squares > 0, squares, 1.0).sum()
            )
            trials[h] = coef
        if shared:
            kept[h] = train
        elif n_folds:
            a = _least(errors[h]) if len(alphas) > 1 else 0
            if h not in trials:
                trials[h] = np.stack([[_solve(*p, x, penalised) for x in alphas] for p in train])
            left[:, h] = trials.pop(h)[:, a]
    chosen = _choose(errors, alphas, shared)
    if shared:
        for h, train in kept.items():
            for k, part in enumerate(train):
                left[k, h] = _solve(*part, chosen[h], penalised)
    return sums.solve(chosen, penalised), left, chosen, sums


def _squares(part, coef):
    """Squared errors on the rows of `part` at each penalty, from their statistics."""
    gram, cross, squares, _ = part
    return np.array([squares.sum() - 2 * (b * cross).sum() + (b * (gram @ b)).sum() for b in coef])


def _least(errors):
    """Index of the largest penalty (they decrease) that is as good as the best."""
    if np.isnan(errors).all():
        return 0
    return int(np.argmax(errors <= np.nanmin(errors) * (1 + _TIE)))


def _choose(errors, alphas, shared):
    if shared:
        judged = errors[~np.isnan(errors).any(axis=1)]
        relative = judged / np.maximum(judged.min(axis=1, keepdims=True), 1e-300)
        best = _least(relative.mean(axis=0)) if len(judged) else 0
        return np.full(len(errors), alphas[best])
    return np.array([alphas[_least(row)] for row in errors])


def predict_rows(coef: np.ndarray, Z: np.ndarray, E: np.ndarray) -> np.ndarray:
    """Predictions (n, H, D) by coefficients (H, p + q, D)."""
    n_steps, _, n_columns = coef.shape
    p = Z.shape[1]
    flat = np.moveaxis(coef[:, :p], 1, 0).reshape(p, -1)
    out = (Z @ flat).reshape(len(Z), n_steps, n_columns)
    if E.shape[2]:
        out = out + np.einsum("nhq,hqd->nhd", E, coef[:, p:])
    return out


def _project(Z, E, R):
    """``X' R`` of every step, (H, p + q, D), for R (n, H, D)."""
    n, n_steps, n_columns = R.shape
    shared = (Z.T @ R.reshape(n, -1)).reshape(Z.shape[1], n_steps, n_columns)
    parts = [np.moveaxis(shared, 1, 0)]
    if E.shape[2]:
        parts.append(np.einsum("nhq,nhd->hqd", E, R))
    return np.concatenate(parts, axis=1)


def fit_absolute(
    rows: Rows, start: np.ndarray, chosen: np.ndarray, statistics: Statistics, *, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least absolute errors by re-weighted least squares, all steps at once.

    Each weighted ridge is solved by conjugate gradients; the unweighted solution matrix is so
    good a preconditioner that a few passes over the rows do, where weighted statistics of every
    step would take one pass each.

    Parameters
    ----------
    rows : Rows
    start : ndarray of shape (H, p + q, D)
        The squared-loss coefficients.
    chosen : ndarray of shape (H,)
        Penalties, relative to the sum of the weights.
    statistics : Statistics
        Of all rows.
    folds : ndarray of shape (n_folds, H, p + q, D)
        Squared-loss coefficients without the hidden rows of each fold; with the final weights
        they are solved anew.

    Returns
    -------
    coef : ndarray of shape (H, p + q, D)
    folds : ndarray of shape (n_folds, H, p + q, D)
    spread : ndarray of shape (H, D)
        Weighted mean absolute residual of each step.

    References
    ----------
    .. [1] P. Holland, R. Welsch, "Robust regression using iteratively reweighted
       least-squares", Communications in Statistics 6, 1977.
    """
    known, penalised = rows.known, rows.penalised
    T = np.where(known[:, :, None], rows.T, 0.0)
    base = rows.w[:, None] * known
    ridge = (chosen * statistics.weight)[:, None] * penalised
    inverse = np.stack([np.linalg.inv(g + np.diag(r)) for g, r in zip(statistics.gram, ridge)])
    coef = start
    for _ in range(_REWEIGHTINGS):
        size = np.abs(T - predict_rows(coef, rows.Z, rows.E))
        weights = _absolute_weights(size, base)
        coef = _weighted_ridge(rows, T, weights, ridge, inverse, coef, tol=1e-6)
    size = np.abs(T - predict_rows(coef, rows.Z, rows.E))
    total = np.maximum(base.sum(axis=0), 1e-300)[:, None]
    spread = (size * base[:, :, None]).sum(axis=0) / total
    again = np.empty_like(folds)
    for k, hidden in enumerate(rows.hidden):
        visible = weights * ~hidden[:, None, None]
        share = (base * ~hidden[:, None]).sum(axis=0) / total[:, 0]
        again[k] = _weighted_ridge(
            rows, T, visible, ridge * share[:, None], inverse, coef, tol=1e-3
        )
    return coef, again, spread


def _absolute_weights(size, base):
    """``1 / |residual|`` with mean one over the weights `base` (n, H), bounded above."""
    n_steps = size.shape[1]
    weights = np.zeros_like(size)
    for h in range(n_steps):
        here = base[:, h] > 0
        if not here.any():
            continue
        part = size[here, h]
        floor = np.maximum(_NEAREST * np.median(part, axis=0), 1e-12)
        inverse = 1.0 / np.maximum(part, floor)
        mean = (inverse * base[here, h, None]).sum(axis=0) / base[here, h].sum()
        weights[here, h] = base[here, h, None] * inverse / mean
    return weights


def _weighted_ridge(rows, T, weights, ridge, inverse, start, *, tol, most=60):
    """Solve ``(X' V X + ridge) b = X' V T`` for every step by preconditioned gradients."""
    Z, E = rows.Z, rows.E

    def apply(b):
        return _project(Z, E, weights * predict_rows(b, Z, E)) + ridge[:, :, None] * b

    right = _project(Z, E, weights * T)
    b = start.copy()
    r = right - apply(b)
    z = inverse @ r
    p = z
    rz = (r * z).sum(axis=1, keepdims=True)
    target = tol**2 * np.maximum((right * (inverse @ right)).sum(axis=1, keepdims=True), 1e-300)
    for _ in range(most):
        if (rz <= target).all():
            break
        q = apply(p)
        pq = (p * q).sum(axis=1, keepdims=True)
        step = np.where((rz > target) & (pq > 0), rz / np.where(pq > 0, pq, 1.0), 0.0)
        b = b + step * p
        r = r - step * q
        z = inverse @ r
        new = (r * z).sum(axis=1, keepdims=True)
        p = z + np.where(rz > 0, new / np.where(rz > 0, rz, 1.0), 0.0) * p
        rz = new
    return b
