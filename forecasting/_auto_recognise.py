"""Is it a dynamical system, or business as usual? Decided from the rows of fit alone."""

from __future__ import annotations

import numpy as np

from ._auto_network import Factor, Setting, draw_weights
from ._auto_search import Look, View
from ._auto_structure import find_structure
from ._automatic import seasonal_strength

__all__ = ["is_dynamical", "unpredictability"]

_FEWEST_ROWS = 100
_MOST_ROWS = 1500
_ROUGH = 1.0  # increments of this many standard deviations are not smooth
_SEASONAL = 0.3
# What a network may leave unexplained of the increments: of systems, of one or two columns, of
# frames with delayed copies or clocks, and of what is not smooth.
_NOISY, _NOISY_FEW, _NOISY_EXACT, _NOISY_ROUGH = 0.5, 0.2, 0.7, 0.05
_UNITS = 80
_PENALTIES = 10.0 ** np.arange(-10, 3, 3)


def is_dynamical(Y: np.ndarray, season_length: int) -> bool:
    """Whether the rows (n, D) look like a deterministic system sampled in time.

    All of: at least 100 rows; no seasonal strength over 0.3 at the season of the calendar, by
    the median column; and increments that a small network predicts on rows it has not learnt
    from. What it may leave unexplained of their mean size is half for systems of three columns
    and more, 0.2 for fewer, 0.7 where columns are exact delayed copies of others or pure
    oscillations, and 0.05 if increments are as large as the spread.
    """
    if len(Y) < _FEWEST_ROWS or not np.isfinite(Y).all():
        return False
    Y = Y[-_MOST_ROWS:]
    spread = Y.std(axis=0)
    varying = spread > 1e-12 * np.abs(Y).max(axis=0)
    if not varying.any():
        return False
    Y, spread = Y[:, varying], spread[varying]
    seasons = season_length > 1 and len(Y) > 3 * season_length
    if seasons and np.median(seasonal_strength(Y, season_length)) > _SEASONAL:
        return False
    structure = find_structure(Y)
    allowed = _NOISY if Y.shape[1] > 2 else _NOISY_FEW
    if len(structure.clocks) or structure.copies[:, 2].any():
        allowed = _NOISY_EXACT
    elif np.median(np.diff(Y, axis=0).std(axis=0) / spread) > _ROUGH:
        allowed = _NOISY_ROUGH
    return unpredictability(Y) < allowed


def unpredictability(Y: np.ndarray) -> float:
    """Share of the increments' spread that one-step predictions leave, by the median column.

    The last third of the rows is predicted by a small network fitted to the rest.
    """
    view = View(Y, Look(moving=True, delays=0 if Y.shape[1] > 2 else 2))
    if not len(view.structure.free):
        return 0.0
    _, U, targets = view.rows(Y)
    if len(targets) < _FEWEST_ROWS // 2:
        return 1.0
    weights = draw_weights(_UNITS, view.wiring.n_inputs, 0)
    setting = Setting(0.5, 0.3, 1.0, 0.7)
    states = weights.states(U[:-1], setting, np.zeros(_UNITS))
    features = np.concatenate([states, U[:-1]], axis=1)
    first, last = len(targets) // 10, len(targets) - len(targets) // 3
    coef, offset = Factor(features[first:last], targets[first:last]).solve(_PENALTIES)
    predicted = np.matmul(features[last:], coef.swapaxes(1, 2)) + offset[:, None]
    error = np.abs(predicted - targets[last:]).mean(axis=1)
    usual = np.abs(targets[last:]).mean(axis=0)
    return float(np.median(error / np.where(usual > 0, usual, np.inf), axis=1).min())
