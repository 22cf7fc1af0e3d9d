"""Errors that intervals of one series of a pool come from: its own, or those of all series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ._intervals import ConformalScores
from ._pooled_rows import canonical
from ._transforms import Chain

__all__ = ["PoolScores", "enough_errors", "shared_errors"]

_MOST = 1000
_FEWEST_STEPS = 4  # errors of single steps that say enough about a series by themselves
_FEWEST_PATHS = 20  # the same of paths, one after the other
_PRIOR_PATHS = 4  # of a series, at which its own size of errors counts as much as the pool's


def shared_errors(errors: Sequence[np.ndarray]) -> np.ndarray:
    """The last errors (n, q), of transformed rows, of each series of a pool; at most 1,000."""
    n_each = max(1, _MOST // len(errors))
    return np.concatenate([e[-n_each:] for e in errors])[:_MOST]


def enough_errors(own: np.ndarray, shared: np.ndarray, horizon: int) -> tuple[np.ndarray, float]:
    """The errors of a series, or where it has too few those of its pool, and a factor for them.

    The factor makes errors of the pool as large as those of the series, as far as these are known.
    """
    fewest = _FEWEST_STEPS if horizon == 1 else _FEWEST_PATHS * horizon
    if len(own) >= fewest or not len(shared):
        return own, 1.0
    return shared, _as_large(own, shared, horizon)


def _as_large(own, shared, horizon):
    """A factor that makes errors of a pool as large as those of a series, if these are many."""
    if not (len(own) and len(shared)):
        return 1.0
    size = (shared**2).mean(axis=0)
    ratio = (own**2 / np.where(size > 0, size, 1.0)).mean()
    n_paths = len(own) / horizon
    return float(np.sqrt((n_paths * ratio + _PRIOR_PATHS) / (n_paths + _PRIOR_PATHS)))


@dataclass(frozen=True)
class PoolScores:
    """Errors from rolling origins of all series of a pool, for series that are new to it.

    Parameters
    ----------
    errors : ndarray of shape (n_origins, n_ahead, n_columns)
        Each in units of the mean absolute change of its series over a step (after the
        logarithms and powers that scores are measured after); NaN where unknown.
    """

    errors: np.ndarray

    @classmethod
    def of(cls, scores: Sequence[ConformalScores], values: Sequence[np.ndarray]) -> PoolScores:
        """From the scores of each series and its rows; at most 1,000 origins, the newest last."""
        n_each = max(1, _MOST // len(scores))
        longest = max(one.errors.shape[1] for one in scores)
        none = np.empty((len(scores), 0))
        parts, ages = [], []
        for one, Y in ((scores[i], values[i]) for i in canonical(list(values), list(none), none)):
            n = len(one.errors)
            chosen = np.unique(np.linspace(0, n - 1, min(n, n_each)).astype(int))
            unit = _change(Y, one.bends)
            errors = one.errors[chosen] / np.where(unit > 0, unit, np.nan)
            missing = ((0, 0), (0, longest - errors.shape[1]), (0, 0))
            parts.append(np.pad(errors, missing, constant_values=np.nan))
            ages.append(n - 1 - chosen)
        order = np.argsort(-np.concatenate(ages), kind="stable")
        return cls(np.concatenate(parts)[order][-_MOST:])

    def scaled(self, Y: np.ndarray, fitted: np.ndarray, bends: Chain | None) -> ConformalScores:
        """In the units of a series, and as large as its own errors of single steps are.

        Parameters
        ----------
        Y : ndarray of shape (n_rows, n_columns)
        fitted : ndarray of shape (n_fitted, n_columns)
            Predictions of its last rows, by weights that have not seen them.
        bends : Chain, optional
            Its own.
        """
        unit = _change(Y, bends)
        own = ConformalScores(self.errors, bends).error(Y[len(Y) - len(fitted) :], fitted)
        own = (own / np.where(unit > 0, unit, np.nan))[~np.isnan(own).any(axis=1)]
        first = self.errors[:, 0]
        factor = _as_large(own, first[~np.isnan(first).any(axis=1)], 1)
        return ConformalScores(factor * unit * self.errors, bends)


def _change(Y, bends):
    """Mean absolute change of each column over a step, from rows that may have gaps."""
    rows = Y if bends is None else bends.forward(Y)
    changes = np.abs(np.diff(rows, axis=0))
    known = ~np.isnan(changes)
    return np.where(known, changes, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
