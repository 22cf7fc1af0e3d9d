"""Errors of trained networks that intervals are drawn from, of one series or of a pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._pooled_rows import centred

__all__ = ["enough_errors", "joint_draws", "shared_errors"]

_MOST = 1000
_FEWEST_STEPS = 4  # errors of single steps that say enough about a series by themselves
_FEWEST_PATHS = 20  # the same of paths, one after the other
_PRIOR_PATHS = 4  # of a series, at which its own size of errors counts as much as the pool's
_ROWS_EACH, _LEAST_FREEDOM = 4, 4.0  # as for errors of single steps


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
    size = (shared**2).mean(axis=0)
    ratio = (own**2 / np.where(size > 0, size, 1.0)).mean() if len(own) else 1.0
    n_paths = len(own) / horizon
    return shared, float(np.sqrt((n_paths * ratio + _PRIOR_PATHS) / (n_paths + _PRIOR_PATHS)))


def joint_draws(
    errors: np.ndarray, horizon: int, n_steps: int, n_paths: int, rng: np.random.RandomState
) -> np.ndarray:
    """Draw errors (n_steps, D, n_paths), those of all steps of a horizon together.

    Errors (n, horizon * D) of few origins are joined by their mirror images, as their own mean
    is an error of the forecast too. All steps of a path share a factor that spreads paths as
    Student's distribution is, as `draw_innovations` says.
    """
    paths = centred(errors.reshape(len(errors), horizon, -1))
    n_blocks = -(-n_steps // horizon)
    drawn = paths[rng.randint(len(paths), size=(n_paths, n_blocks))]
    drawn = drawn.reshape(n_paths, n_blocks * horizon, -1)[:, :n_steps]
    freedom = max(len(errors) / _ROWS_EACH, _LEAST_FREEDOM)
    factors = np.sqrt(freedom / rng.chisquare(freedom, size=n_paths))
    return np.moveaxis(drawn * factors[:, None, None], 0, 2)
