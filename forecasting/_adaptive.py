"""Conformal intervals whose level follows what a stream does: adaptive conformal inference.

An interval that is missed more often than it should be is made wider, one that is hit too often
narrower, so that the share of misses tends to the asked one whatever the stream does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._intervals import ConformalScores

__all__ = ["AdaptiveScores", "begin_scores"]

_LEVELS = np.array([50.0, 80.0, 90.0, 95.0, 99.0])  # those followed; others lie in between
_RATE = 0.02  # change of the share of misses asked for after each row
_MOST_RECENT = 200


@dataclass(frozen=True)
class AdaptiveScores:
    r"""Scores of the fit, and what the rows since then have changed.

    After each row the share of misses asked for moves by ``rate * (share - missed)``, where
    `missed` is one if the row lay outside its interval. After n rows the share of misses differs
    from the asked one by at most ``(1 + rate) / (rate * n)`` [1]_.

    Parameters
    ----------
    base : ConformalScores
        From the rows of fit.
    recent : ndarray of shape (n_recent, n_columns)
        Absolute errors of the last single steps, the newest last.
    shares : ndarray of shape (n_levels, n_columns)
        Shares of misses now asked for, at each level followed; may be below 0 or above 1.

    References
    ----------
    .. [1] I. Gibbs, E. Candes, "Adaptive conformal inference under distribution shift",
       Advances in Neural Information Processing Systems 34, 2021, proposition 4.1.
    """

    base: ConformalScores
    recent: np.ndarray
    shares: np.ndarray

    @classmethod
    def begin(cls, base: ConformalScores) -> AdaptiveScores:
        """Before any row after the fit."""
        first = np.abs(base.errors[:, 0])
        recent = first[~np.isnan(first).any(axis=1)][-_MOST_RECENT:]
        shares = np.repeat(1 - _LEVELS[:, None] / 100, recent.shape[1], axis=1)
        return cls(base, recent, shares)

    def around(self, points: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Values (n_steps, D) that differ from the points by the errors."""
        return self.base.around(points, errors)

    def after(self, Y: np.ndarray, predicted: np.ndarray) -> AdaptiveScores:
        """When rows (n_rows, n_columns) have followed single steps; NaN are passed over."""
        errors = self.base.error(Y, predicted)
        recent, shares = self.recent, self.shares.copy()
        asked = 1 - _LEVELS[:, None] / 100
        for row in np.abs(errors):
            if np.isnan(row).any():
                continue
            missed = row > _reach(recent, shares)
            shares += _RATE * (asked - missed)
            recent = np.vstack([recent, row])[-_MOST_RECENT:]
        return replace(self, recent=recent, shares=shares)

    def half_width(self, n_steps: int, level: float, name: str | None = None) -> np.ndarray:
        """Half the width of the interval at each step, (n_steps, D).

        That of a single step, times how much wider the scores of the fit are at later steps.
        `name` says in an error what was asked for, if that was no level.
        """
        moves = self.shares - (1 - _LEVELS[:, None] / 100)
        move = np.array([np.interp(level, _LEVELS, column) for column in moves.T])
        first = _reach(self.recent, (1 - level / 100 + move)[None])[0]
        widths = self.base.half_width(n_steps, level, name)
        return first * widths / np.where(widths[:1] > 0, widths[:1], 1.0)

    def quantile(self, n_steps: int, probability: float) -> np.ndarray:
        """Quantile of the error at each step, (n_steps, D), of errors that are symmetric."""
        if probability == 0.5:
            return np.zeros((n_steps, self.recent.shape[1]))
        side = 1 if probability > 0.5 else -1
        level = 100 * abs(2 * probability - 1)
        return side * self.half_width(n_steps, level, f"quantiles={probability:g}")


def begin_scores(scores: ConformalScores, interval: str) -> ConformalScores | AdaptiveScores:
    """The scores of a fit in the form that the kind of interval needs."""
    return AdaptiveScores.begin(scores) if interval == "adaptive" else scores


def _reach(recent, shares):
    """Distances that the shares (n, D) of new errors exceed, from recent ones.

    Beyond the largest error they grow in proportion, so that a stream that goes on missing is
    covered in the end; a share of one or more asks for none.
    """
    n_rows = len(recent)
    ordered = np.sort(recent, axis=0)
    ranks = (n_rows + 1) * (1 - shares)
    places = np.clip(np.ceil(ranks - 1e-9).astype(int), 1, n_rows) - 1
    reach = np.take_along_axis(ordered, places, axis=0)
    return np.where(ranks <= 0, 0.0, reach * np.maximum(ranks / n_rows, 1.0))
