"""Small reservoirs that are searched over and run in closed loop, in arrays.

One drawing of weights serves all settings, which scale it. The readout learns the increments of
the free columns of a `Structure`; every penalty comes from one decomposition, and loops with
readouts of their own run side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import qr, svd

from echocast.reservoir import ReservoirTransformer

from ._auto_structure import Structure

__all__ = ["Factor", "Setting", "Weights", "Wiring", "closed_loops", "draw_weights"]


class Setting(NamedTuple):
    """Scales of a reservoir's parts."""

    spectral_radius: float
    input_scaling: float
    bias_scaling: float
    leak_rate: float


@dataclass(frozen=True)
class Weights:
    """Unscaled weights: recurrent (N, N) of spectral radius 1, input (N, K), bias (N,)."""

    recurrent: Any
    inputs: np.ndarray
    bias: np.ndarray

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.bias)

    def scaled(self, setting: Setting):
        """The weights of one setting."""
        return (
            self.recurrent * setting.spectral_radius,
            self.inputs * setting.input_scaling,
            self.bias * setting.bias_scaling,
        )

    def states(self, U: np.ndarray, setting: Setting, state: np.ndarray) -> np.ndarray:
        """States (n, N) after each of the input rows `U`, from `state` before the first."""
        W, W_in, b = self.scaled(setting)
        keep, share = 1.0 - setting.leak_rate, setting.leak_rate
        outer = U @ W_in.T + b
        states = np.empty_like(outer)
        for t, row in enumerate(outer):
            state = keep * state + share * np.tanh(W @ state + row)
            states[t] = state
        return states


def draw_weights(n_units: int, n_inputs: int, seed: int) -> Weights:
    """Weights that depend on the sizes and the seed alone."""
    drawn = ReservoirTransformer(
        n_units, spectral_radius=1.0, input_scaling=1.0, bias_scaling=1.0, random_state=seed
    ).fit(np.zeros((2, n_inputs)))
    return Weights(drawn.W_, drawn.W_in_, drawn.b_)


@dataclass(frozen=True)
class Wiring:
    """Which of the standardised values so far make an input row.

    Parameters
    ----------
    shown : ndarray of int
        Columns seen at the newest time.
    moving : ndarray of int
        Columns whose last increment is seen as well.
    pace : ndarray of shape (n_moving,)
        Spread of the increments, which they are divided by.
    delayed : ndarray of int, shape (n_delayed, 2)
        Rows (column, lag) seen some steps before the newest time.
    """

    shown: np.ndarray
    moving: np.ndarray
    pace: np.ndarray
    delayed: np.ndarray

    @property
    def n_inputs(self) -> int:
        """Columns of an input row."""
        return len(self.shown) + len(self.moving) + len(self.delayed)

    @property
    def n_past(self) -> int:
        """Rows, the newest included, that one input row needs."""
        longest = int(self.delayed[:, 1].max(initial=0)) + 1
        return max(longest, 2 if len(self.moving) else 1)

    def row(self, window: np.ndarray, t: int) -> np.ndarray:
        """Inputs (K, n_paths) with row t of the window (n, D, n_paths) the newest."""
        parts = [window[t, self.shown]]
        if len(self.moving):
            change = window[t, self.moving] - window[t - 1, self.moving]
            parts.append(change / self.pace[:, None])
        if len(self.delayed):
            parts.append(window[t - self.delayed[:, 1], self.delayed[:, 0]])
        return np.concatenate(parts)

    def rows(self, Z: np.ndarray) -> np.ndarray:
        """Inputs (n - n_past + 1, K) for all rows of `Z` (n, D) with enough before them."""
        first, n = self.n_past - 1, len(Z)
        parts = [Z[first:, self.shown]]
        if len(self.moving):
            parts.append((Z[first:, self.moving] - Z[first - 1 : -1, self.moving]) / self.pace)
        parts += [Z[first - lag : n - lag, column, None] for column, lag in self.delayed]
        return np.concatenate(parts, axis=1)


class Factor:
    """R factor of the rows [1, features, targets], from which every ridge solution follows.

    Parameters
    ----------
    F : ndarray of shape (n, n_features)
    Y : ndarray of shape (n, n_targets)
    """

    def __init__(self, F: np.ndarray, Y: np.ndarray):
        self.n_features = F.shape[1]
        self.shift = np.concatenate([F.mean(axis=0), Y.mean(axis=0)])
        self.R = self._reduced(self._rows(F, Y))

    def _rows(self, F, Y):
        rows = np.concatenate([np.ones((len(F), 1)), F, Y], axis=1)
        rows[:, 1:] -= self.shift
        return rows

    @staticmethod
    def _reduced(rows):
        R = qr(rows, mode="r", check_finite=False, overwrite_a=True)[0]
        return R[: rows.shape[1]].copy()

    def extended(self, F: np.ndarray, Y: np.ndarray) -> Factor:
        """The factor of these rows as well; this one stays as it is."""
        other = object.__new__(Factor)
        other.n_features, other.shift = self.n_features, self.shift
        other.R = self._reduced(np.concatenate([self.R, self._rows(F, Y)]))
        return other

    def solve(self, alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (n_alphas, n_targets, n_features) and offsets (n_alphas, n_targets)."""
        U, sigma, V = self._decomposed()
        targets = U.T @ self.R[1:, 1 + self.n_features :]
        sigma = sigma[:, None]
        coef = np.stack([V @ (sigma / (sigma**2 + alpha) * targets) for alpha in alphas])
        coef, centre = coef.swapaxes(1, 2), self._centre()
        return coef, centre[self.n_features :] - coef @ centre[: self.n_features]

    def leverages(self, F: np.ndarray, alpha: float) -> np.ndarray:
        """How much each row of the features, one that was learnt, weighs in its own prediction."""
        _, sigma, V = self._decomposed()
        turned = (F - self._centre()[: self.n_features]) @ V
        return (turned**2 / (sigma**2 + alpha)).sum(axis=1) + 1.0 / self.R[0, 0] ** 2

    def _decomposed(self):
        """Singular values and vectors of the centred features, without those of rounding."""
        features = self.R[1:, 1 : 1 + self.n_features]
        U, sigma, Vt = svd(features, full_matrices=False, check_finite=False)
        rank = int((sigma > sigma[0] * np.finfo(float).eps * self.n_features).sum())
        return U[:, :rank], sigma[:rank], Vt[:rank].T

    def _centre(self):
        """Means of all rows so far."""
        return self.R[0, 1:] / self.R[0, 0] + self.shift


def closed_loops(
    weights: Weights,
    setting: Setting,
    structure: Structure,
    wiring: Wiring,
    n_steps: int,
    *,
    past: np.ndarray,
    states: np.ndarray,
    coef: np.ndarray,
    offset: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    innovations: np.ndarray | None = None,
) -> np.ndarray:
    """Let networks that share a reservoir run on their own forecasts, each with its readout.

    Parameters
    ----------
    weights, setting, structure, wiring
    n_steps : int
    past : ndarray of shape (n_past, D, n_paths)
        Standardised rows before the first step.
    states : ndarray of shape (N, n_paths)
        Before the newest of these rows drives the reservoir.
    coef, offset : ndarray of shape (n_paths, n_free, N + K) and (n_paths, n_free)
    bounds : tuple of two ndarrays of shape (D,)
        Where free columns are held.
    innovations : ndarray of shape (n_steps, n_free, n_paths), optional
        Added to each forecast before it is fed back.

    Returns
    -------
    ndarray of shape (n_steps, D, n_paths)
    """
    W, W_in, b = weights.scaled(setting)
    keep, share, b = 1.0 - setting.leak_rate, setting.leak_rate, b[:, None]
    free, n_past = structure.free, len(past)
    low, high = (side[free, None] for side in bounds)
    window = np.concatenate([past, np.empty((n_steps, *past.shape[1:]))])
    x = states
    for t in range(n_past, n_past + n_steps):
        inputs = wiring.row(window, t - 1)
        x = keep * x + share * np.tanh(W @ x + W_in @ inputs + b)
        features = np.concatenate([x, inputs])
        increment = np.matmul(coef, features.T[:, :, None])[:, :, 0] + offset
        value = window[t - 1, free] + increment.T
        if innovations is not None:
            value = value + innovations[t - n_past]
        window[t, free] = np.clip(value, low, high)
        structure.complete(window, t)
    return window[n_past:]
