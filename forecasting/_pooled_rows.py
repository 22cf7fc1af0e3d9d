"""What training on a pool needs before features: order of series, folds, paths of errors."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = [
    "as_lists",
    "canonical",
    "centred",
    "complete",
    "fold_places",
    "folds",
    "mean_and_spread",
    "whole_paths",
]

_FOLDS = 5
_MOST_ERRORS = 1000
_FEW_PATHS = 20


def as_lists(values: list, exog: list | None, static: np.ndarray | None) -> tuple:
    """Float arrays (n_i, D), (n_i, K) and (n_series, S)."""
    values = [np.asarray(y, dtype=np.float64) for y in values]
    values = [y[:, None] if y.ndim == 1 else y for y in values]
    if exog is None:
        exog = [np.zeros((len(y), 0)) for y in values]
    exog = [np.asarray(x, dtype=np.float64) for x in exog]
    static = np.zeros((len(values), 0)) if static is None else np.asarray(static, dtype=np.float64)
    return values, exog, static


def mean_and_spread(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each column; a spread of one where nothing varies."""
    spread = rows.std(axis=0)
    return rows.mean(axis=0), np.where(spread > 0, spread, 1.0)


def canonical(values: list, exog: list, static: np.ndarray) -> list[int]:
    """An order of the series that depends on what they hold alone, not on how they come."""
    digests = [
        hashlib.sha256(y.tobytes() + x.tobytes() + s.tobytes()).digest()
        for y, x, s in zip(values, exog, static)
    ]
    return sorted(range(len(values)), key=lambda i: digests[i])


def folds(place: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that each fold tests on, and rows it does not learn from, (n_folds, n) each.

    `place` holds series and origin of each row, (n, 2). Whole series are held out where there
    are enough of them, otherwise stretches of time, together with the origins on either side
    whose targets overlap theirs.
    """
    if len(np.unique(place[:, 0])) >= 2 * _FOLDS:
        held = place[:, 0] % _FOLDS == np.arange(_FOLDS)[:, None]
        return held, held
    if len(place) < 2 * _FOLDS:
        none = np.zeros((0, len(place)), dtype=bool)
        return none, none
    held = np.zeros((_FOLDS, len(place)), dtype=bool)
    hidden = held.copy()
    for i in np.unique(place[:, 0]):
        rows = np.flatnonzero(place[:, 0] == i)
        time = place[rows, 1]
        block = np.arange(len(rows)) * _FOLDS // len(rows)
        guard = min(horizon - 1, int(np.ptp(time)) // _FOLDS)
        for k in np.unique(block):
            inside = time[block == k]
            held[k, rows] = block == k
            hidden[k, rows] = (time >= inside[0] - guard) & (time <= inside[-1] + guard)
    return held, hidden


def fold_places(place: np.ndarray, held: np.ndarray, n_series: int) -> list[tuple]:
    """For each series the origins from which on another fold holds it out, and those folds.

    Series without rows go with the first fold: all readouts had not seen them.
    """
    if not len(held):
        return [(np.empty(0), np.empty(0, dtype=int))] * n_series
    folds = held.argmax(axis=0)
    out = []
    for i in range(n_series):
        rows = np.flatnonzero(place[:, 0] == i)
        if len(rows):
            changes = np.flatnonzero(np.diff(folds[rows], prepend=-1))
            out.append((place[rows[changes], 1], folds[rows[changes]]))
        else:
            out.append((np.zeros(1), np.zeros(1, dtype=int)))
    return out


def complete(T: np.ndarray) -> np.ndarray:
    """Rows whose path of errors is kept: those with all steps known, thinned evenly."""
    known = np.isfinite(T).all(axis=2)
    rows = np.flatnonzero(known.all(axis=1))
    if len(rows) < _FEW_PATHS:
        rows = np.flatnonzero(known.any(axis=1))
    if len(rows) > _MOST_ERRORS:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_ERRORS).astype(int)]
    return rows


def whole_paths(errors: np.ndarray) -> np.ndarray:
    """Paths of errors; the unknown end of a path repeats its last error, grown like the rest."""
    known = np.isfinite(errors).all(axis=2)
    if not known.any():
        return errors[:0]
    errors = errors[known.any(axis=1)]
    known = known[known.any(axis=1)]
    size = np.sqrt(np.nanmean(np.where(known[:, :, None], errors, np.nan) ** 2, axis=0))
    size = np.where(size > 0, size, 1.0)
    out = errors.copy()
    for h in range(out.shape[1]):
        gap = ~known[:, h]
        if gap.any() and h:
            out[gap, h] = out[gap, h - 1] * size[h] / size[h - 1]
    return np.nan_to_num(out)


def centred(errors: np.ndarray) -> np.ndarray:
    """Paths of errors (n, H, D) with a median of zero at every step, and their mean squares.

    The forecast itself is then the median of what is drawn, while a bias of readouts that had
    not seen a row still makes intervals wide. Few paths, and such as lie on one side of zero
    altogether, are joined by their mirror images.
    """
    mirrored = np.concatenate([errors, -errors])
    if len(errors) < _FEW_PATHS:
        return mirrored
    apart = errors - np.median(errors, axis=0)
    size, spread = (errors**2).mean(axis=0), (apart**2).mean(axis=0)
    if (spread < size / 4).any():
        return mirrored
    return apart * np.sqrt(size / np.where(spread > 0, spread, 1.0))
