"""What the columns of a system have to do with each other, before anything is learnt.

Three kinds of columns need no network, and hinder one that has to forecast them: constants,
copies of other columns some steps later (as in the delay coordinates of one variable), and
clocks, pure oscillations that drive the others. All three are recognised by exact relations
over all rows, so noise never looks like one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Structure", "find_structure"]

_EXACT = 1e-8  # of a column's spread
_MOST_MATCHES = 20
_LOG_RATIO = 20.0  # a positive column that spans more is worth looking at in logarithms


@dataclass(frozen=True)
class Structure:
    """Scales of the columns, and how some of them follow from others.

    Parameters
    ----------
    mean, scale : ndarray of shape (D,)
        Of the columns, after logarithms.
    logs : ndarray of bool, shape (D,)
        Columns that are forecast in logarithms.
    constant : ndarray of int
        Columns that never change.
    clocks : ndarray of int
        Columns with ``z[t+1] = turn * z[t] - z[t-1] + shift``.
    turns : ndarray of shape (n_clocks, 2)
        Their turn and shift.
    copies : ndarray of int, shape (n_copies, 3)
        Rows (column, source, lag): the column is its source, lag steps later.
    """

    mean: np.ndarray
    scale: np.ndarray
    logs: np.ndarray
    constant: np.ndarray
    clocks: np.ndarray
    turns: np.ndarray
    copies: np.ndarray

    @property
    def n_columns(self) -> int:
        """Number of columns D."""
        return len(self.mean)

    @property
    def free(self) -> np.ndarray:
        """Columns that a network has to forecast."""
        known = np.concatenate([self.constant, self.clocks, self.copies[:, 0]])
        return np.setdiff1d(np.arange(self.n_columns), known)

    @property
    def shown(self) -> np.ndarray:
        """Columns that tell a network something: neither constant nor a copy at the same time."""
        same = self.copies[self.copies[:, 2] == 0, 0]
        return np.setdiff1d(np.arange(self.n_columns), np.concatenate([self.constant, same]))

    @property
    def n_past(self) -> int:
        """Rows before the next one that its copies and clocks need."""
        return max(2, int(self.copies[:, 2].max(initial=0)))

    def forward(self, Y: np.ndarray) -> np.ndarray:
        """Standardised rows."""
        Y = np.array(Y, dtype=np.float64)
        tiny = np.finfo(float).tiny
        Y[:, self.logs] = np.log(np.maximum(Y[:, self.logs], tiny))
        return (Y - self.mean) / self.scale

    def inverse(self, Z: np.ndarray) -> np.ndarray:
        """Rows, or paths (n_steps, D, ...), in the units of y."""
        trailing = (1,) * (Z.ndim - 2)
        Y = Z * self.scale.reshape(-1, *trailing) + self.mean.reshape(-1, *trailing)
        Y[:, self.logs] = np.exp(Y[:, self.logs])
        return Y

    def complete(self, window: np.ndarray, t: int) -> None:
        """Fill in row t of the standardised rows (n, D, n_paths), whose free columns are there."""
        row = window[t]
        row[self.constant] = window[t - 1, self.constant]
        for column, (turn, shift) in zip(self.clocks, self.turns):
            row[column] = turn * window[t - 1, column] - window[t - 2, column] + shift
        for column, source, lag in self.copies:
            row[column] = window[t - lag, source]

    def one_step(self, Z: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Predictions (n, D) of the last rows of `Z`, whose free columns are predicted by `free`.

        Parameters
        ----------
        Z : ndarray of shape (n_before + n, D)
            Standardised rows; at least `n_past` before the first one predicted.
        free : ndarray of shape (n, n_free)
        """
        first = len(Z) - len(free)
        rows = np.empty((len(free), self.n_columns))
        rows[:, self.free] = free
        rows[:, self.constant] = Z[first - 1 : -1, self.constant]
        for column, (turn, shift) in zip(self.clocks, self.turns):
            rows[:, column] = turn * Z[first - 1 : -1, column] - Z[first - 2 : -2, column] + shift
        for column, source, lag in self.copies:
            rows[:, column] = Z[first - lag : len(Z) - lag, source] if lag else rows[:, source]
        return rows


def find_structure(Y: np.ndarray, *, logs: bool = False) -> Structure:
    """Read the structure off the rows (n, D).

    Parameters
    ----------
    Y : ndarray of shape (n, D)
    logs : bool, default=False
        Whether positive columns whose largest value is over 20 times their 5 per cent quantile
        are to be forecast in logarithms.

    Returns
    -------
    Structure
    """
    in_logs = np.zeros(Y.shape[1], dtype=bool)
    if logs:
        in_logs = np.asarray((Y > 0).all(axis=0))
        in_logs &= Y.max(axis=0) > _LOG_RATIO * np.quantile(Y, 0.05, axis=0)
        Y = Y.copy()
        Y[:, in_logs] = np.log(Y[:, in_logs])
    mean, scale = Y.mean(axis=0), Y.std(axis=0)
    flat = scale <= 1e-12 * np.maximum(np.abs(mean), np.finfo(float).tiny)
    scale = np.where(flat, 1.0, scale)
    copies = _copies(Y, scale, flat)
    origin = dict(copies[:, :2].tolist())
    for column, source in origin.items():
        seen = {column}
        while source in origin and source not in seen:
            seen.add(source)
            source = origin[source]
        mean[column], scale[column] = mean[source], scale[source]
    free = np.setdiff1d(np.flatnonzero(~flat), copies[:, 0])
    clocks, turns = _clocks((Y - mean) / scale, free)
    return Structure(mean, scale, in_logs, np.flatnonzero(flat), clocks, turns, copies)


def _clocks(Z, columns):
    """Columns that satisfy the recurrence of one oscillation, with its turn and shift."""
    found, turns = [], []
    for column in columns:
        z = Z[:, column]
        if len(z) < 20:
            continue
        known = np.column_stack([z[1:-1], np.ones(len(z) - 2)])
        wanted = z[2:] + z[:-2]
        coef, *_ = np.linalg.lstsq(known, wanted, rcond=None)
        error = np.abs(wanted - known @ coef).max()
        if error <= _EXACT and abs(coef[0]) < 2 - 1e-7:
            found.append(column)
            turns.append(coef)
    return np.array(found, dtype=int), np.array(turns).reshape(-1, 2)


def _copies(Y, scale, flat):
    """Rows (column, source, lag) of the columns that repeat another, at the least lag."""
    rows = []
    distinct = [len(np.unique(column)) > len(Y) // 2 for column in Y.T]
    usable = [i for i in range(Y.shape[1]) if distinct[i] and not flat[i]]
    same = set()
    for column in usable:
        best = None
        for source in usable:
            if source == column:
                continue
            lag = _lag_of_copy(Y[:, column], Y[:, source], _EXACT * scale[source])
            if lag == 0 and (source > column or source in same):
                lag = None  # the first of equal columns stands for the others
            if lag is not None and (best is None or lag < best[2]):
                best = (column, source, lag)
        if best is not None:
            rows.append(best)
            if best[2] == 0:
                same.add(column)
    return np.array(rows, dtype=int).reshape(-1, 3)


def _lag_of_copy(y, source, tolerance):
    """The least lag with ``y[t] = source[t - lag]`` for all rows, at most half of them."""
    n = len(y)
    place = n // 2
    near = np.flatnonzero(np.abs(source[: place + 1] - y[place]) <= tolerance)
    lags = place - near[::-1]
    for lag in lags[:_MOST_MATCHES]:
        if np.abs(y[lag:] - source[: n - lag]).max() <= tolerance:
            return int(lag)
    return None
