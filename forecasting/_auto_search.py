"""The search behind the automatic model of a dynamical system, in arrays.

A candidate is a way to look at the rows (a `View`), a `Setting` of the reservoir and a penalty.
Each is scored in closed loop on stretches of the training rows that its readout has not seen:
what counts is where the loop goes, not how small the error of one step is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ._auto_network import Factor, Setting, Wiring, closed_loops, draw_weights
from ._auto_structure import find_structure

__all__ = [
    "ALPHAS",
    "Candidate",
    "Look",
    "View",
    "best_first",
    "loop_errors",
    "search",
    "window_starts",
]

SETTINGS = [
    Setting(*values)
    for values in itertools.product((0.2, 0.8), (0.1, 0.4, 1.0), (0.5, 1.5), (0.3, 1.0))
]
ALPHAS = 10.0 ** np.arange(-14, 3, 2)
_WINDOWS = 4
_SETTLING = 50  # rows until the reservoir has forgotten its zero state
_HALF = 0.3  # an error of this many standard deviations counts half
_GOOD = 0.1  # a root mean score from which no further way of looking is tried
_RETRIED = 8  # settings tried under the further ways


class Look(NamedTuple):
    """A way to look at the rows: in logarithms, with last increments, with delays."""

    logs: bool = False
    moving: bool = False
    delays: int = 0


class View:
    """The rows of fit as a network sees them.

    Parameters
    ----------
    Y : ndarray of shape (n, D)
    look : Look
    """

    def __init__(self, Y: np.ndarray, look: Look):
        self.look = look
        self.structure = find_structure(Y, logs=look.logs)
        Z = self.structure.forward(Y)
        self.wiring = _wiring(Z, self.structure, look)
        low, high = Z.min(axis=0), Z.max(axis=0)
        self.bounds = 2 * low - high, 2 * high - low

    @property
    def n_past(self) -> int:
        """Rows that a loop has to know before its first step."""
        return max(self.structure.n_past, self.wiring.n_past)

    def rows(self, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Standardised rows, inputs and targets; the targets belong to all inputs but the last."""
        Z = self.structure.forward(Y)
        U = self.wiring.rows(Z)
        free = Z[len(Z) - len(U) :, self.structure.free]
        return Z, U, np.diff(free, axis=0)


def _wiring(Z, structure, look):
    moving = structure.clocks
    if look.moving:
        moving = np.concatenate([moving, structure.free])
    pace = np.diff(Z[:, moving], axis=0).std(axis=0)
    delayed = _delays(Z, structure, look.delays)
    return Wiring(structure.shown, moving, np.where(pace > 0, pace, 1.0), delayed)


def _delays(Z, structure, count):
    """Rows (column, lag) of `count` further delays of each free column.

    If copies show a delay, it goes on from the oldest of them; else the delays are spaced by
    the lag at which the autocorrelations have fallen by half.
    """
    rows = []
    if not count:
        return np.empty((0, 2), dtype=int)
    if len(structure.copies):
        sources = set(structure.copies[:, 1].tolist())
        for column, _, lag in structure.copies:
            if column not in sources and lag:
                rows += [(column, k * lag) for k in range(1, count + 1)]
        return np.array(rows, dtype=int).reshape(-1, 2)
    for column in structure.free:
        step = _half_life(Z[:, column])
        rows += [(column, k * step) for k in range(1, count + 1)]
    return np.array(rows, dtype=int).reshape(-1, 2)


def _half_life(z):
    """The first lag whose autocorrelation is below one half, at most a twentieth of the rows."""
    energy = z @ z
    longest = max(2, len(z) // 20)
    for lag in range(1, longest):
        if z[lag:] @ z[:-lag] < 0.5 * energy:
            return lag
    return longest


@dataclass(frozen=True)
class Candidate:
    """What was tried, its score (lower is better) and its forecasts of the windows.

    Parameters
    ----------
    view : View
    setting : Setting
    alpha : float
    score : float
    forecasts : ndarray of shape (n_windows, n_steps, D)
        In the units of y.
    """

    view: View
    setting: Setting
    alpha: float
    score: float
    forecasts: np.ndarray


def best_first(
    candidates: list[Candidate], n_best: int, n_settings: int
) -> dict[tuple[Look, Setting], list[Candidate]]:
    """The best candidates, of no more than so many settings, grouped by view and setting."""
    groups: dict[tuple[Look, Setting], list[Candidate]] = {}
    count = 0
    for candidate in candidates:
        key = candidate.view.look, candidate.setting
        if count == n_best or (key not in groups and len(groups) == n_settings):
            continue
        groups.setdefault(key, []).append(candidate)
        count += 1
    return groups


def window_starts(n_rows: int, n_steps: int) -> np.ndarray:
    """First rows of the windows that forecasts are tried on."""
    first = max(n_rows - _WINDOWS * n_steps, 3 * n_rows // 10)
    return np.unique(np.linspace(first, n_rows - n_steps, _WINDOWS).astype(int))


def loop_errors(truth: np.ndarray, forecasts: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Bounded errors in [0, 1] of forecasts (..., n_steps, D), mean over steps and columns.

    Half of it saturates with the error in standard deviations, half is relative to the size of
    the values: beyond either, a larger error is no worse.
    """
    error = np.abs(forecasts - truth)
    size = np.abs(forecasts) + np.abs(truth)
    relative = np.divide(error, size, out=np.zeros_like(error), where=size > 0)
    spread = error / (error + _HALF * scale)
    return 0.5 * (relative + spread).mean(axis=(-2, -1))


class _Trial:
    """Scores settings under one view, with the weights of one seed."""

    def __init__(self, Y, view, starts, n_steps, n_units, seed):
        self.Y, self.view, self.starts, self.n_steps = Y, view, starts, n_steps
        self.Z, self.U, self.targets = view.rows(Y)
        self.weights = draw_weights(n_units, view.wiring.n_inputs, seed)
        self.first = len(Y) - len(self.U)  # the row that the first input belongs to

    @cached_property
    def scale(self):
        return np.where(self.Y.std(axis=0) > 0, self.Y.std(axis=0), 1.0)

    def candidates(self, setting):
        coef, offset, states = self.readouts(setting)
        n_alphas, n_windows = len(ALPHAS), len(self.starts)
        n_past = self.view.n_past
        past = np.stack([self.Z[a - n_past : a] for a in self.starts], axis=2)
        loops = closed_loops(
            self.weights,
            setting,
            self.view.structure,
            self.view.wiring,
            self.n_steps,
            past=np.repeat(past, n_alphas, axis=2),
            states=np.repeat(states, n_alphas, axis=1),
            coef=coef,
            offset=offset,
            bounds=self.view.bounds,
        )
        paths = self.view.structure.inverse(loops)
        paths = paths.reshape(*paths.shape[:2], n_windows, n_alphas).transpose(3, 2, 0, 1)
        truth = np.stack([self.Y[a : a + self.n_steps] for a in self.starts])
        scores = np.sqrt(loop_errors(truth, paths, self.scale)).mean(axis=1)
        return [
            Candidate(self.view, setting, float(alpha), float(score), path)
            for alpha, score, path in zip(ALPHAS, scores, paths)
        ]

    def readouts(self, setting):
        """Readouts fitted to all rows but those of one window, and the states before it."""
        n_units = self.weights.n_units
        S = self.weights.states(self.U[:-1], setting, np.zeros(n_units))
        features = np.concatenate([S, self.U[:-1]], axis=1)
        place = self.first + 1 + np.arange(len(features))  # the row that each forecasts
        settled = place > self.first + min(_SETTLING, len(features) // 10)
        parts, states = [], []
        for start in self.starts:
            seen = settled & ((place < start) | (place >= start + self.n_steps))
            parts.append(Factor(features[seen], self.targets[seen]).solve(ALPHAS))
            before = start - 2 - self.first
            states.append(S[before] if before >= 0 else np.zeros(n_units))
        coef, offset = (np.concatenate(part) for part in zip(*parts))
        return coef, offset, np.stack(states, axis=1)


def search(Y: np.ndarray, n_steps: int, n_units: int, seed: int) -> list[Candidate]:
    """Candidates in the order of their scores.

    Settings are tried on the rows as they are. If none forecasts well, the better settings are
    tried under further ways of looking at the rows.

    Parameters
    ----------
    Y : ndarray of shape (n, D)
    n_steps : int
        Length of the windows.
    n_units, seed : int

    Returns
    -------
    list of Candidate
    """
    starts = window_starts(len(Y), n_steps)
    found: list[Candidate] = []
    for look, settings in _looks(Y, found):
        view = View(Y, look)
        if view.n_past > starts[0] - 2 or not len(view.structure.free):
            continue
        trial = _Trial(Y, view, starts, n_steps, n_units, seed)
        for setting in settings():
            found += trial.candidates(setting)
        found.sort(key=lambda candidate: candidate.score)
    return found


def _looks(Y, found):
    """Ways of looking, each with a function that says which settings to try under it."""
    yield Look(), lambda: SETTINGS
    if found and found[0].score < _GOOD:
        return

    def better():
        order = dict.fromkeys(candidate.setting for candidate in found)
        return list(order)[:_RETRIED]

    base = found[0].view.look if found else Look()
    yield base._replace(moving=True), better
    if find_structure(Y, logs=True).logs.any():
        yield found[0].view.look._replace(logs=True), better
    if Y.shape[1] < 3:
        yield base._replace(moving=True, delays=3), better
