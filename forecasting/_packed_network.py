"""A direct readout of one fixed reservoir over many univariate series at once, arrays only.

The reservoir sees each series free of scale; one readout, shared by all series, gives all
steps ahead relative to the last value or to the value one season back. The series stay packed
in one matrix (`_classical.pack`), so that a pass over time serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ._classical import Packed

__all__ = ["NetworkRecipe", "PackedNetwork"]

_CLIP = 4.0  # inputs of the reservoir, in mean absolute changes
_FAR = 20.0  # features of the readout
_TARGET = 60.0
_REWEIGHTINGS = 3
_NEAREST = 0.05  # residuals below this share of their median count as this large
_STRIDES = (1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79)
_FORGOTTEN = 400  # steps after which nothing is left in a state
_SMALLEST = 1e-9


@dataclass(frozen=True)
class NetworkRecipe:
    """Settings of a network.

    Parameters
    ----------
    n_units : int
    spectral_radius, leak_rate, input_scaling, bias_scaling : float
    alpha : float
        Penalty per row, for standardised features.
    memories : tuple of float
        Rates of exponential means of values and changes among the features.
    n_seeds : int
        Reservoirs whose forecasts are averaged.
    """

    n_units: int = 100
    spectral_radius: float = 0.7
    leak_rate: float = 0.6
    input_scaling: float = 0.5
    bias_scaling: float = 0.5
    alpha: float = 1e-3
    memories: tuple = ()
    n_seeds: int = 2


class PackedNetwork:
    """Fit a recipe to packed series and forecast from the ends of others.

    Parameters
    ----------
    recipe : NetworkRecipe
    horizon : int
        Steps ahead that have a readout.
    lags : tuple of int
        Values so many steps back that the readout sees, relative to the last one.
    reference : int, default=0
        Season length; targets are relative to the value one season before them. 0: to the
        last value.
    most_rows : int, default=40_000
        Origins to learn from, about; more are thinned out evenly.
    seed : int, default=0
    """

    def __init__(self, recipe, horizon, lags, *, reference=0, most_rows=40_000, seed=0):
        self.recipe, self.horizon, self.lags = recipe, horizon, tuple(lags)
        self.reference, self.most_rows, self.seed = reference, most_rows, seed

    def fit(self, packed: Packed) -> PackedNetwork:
        """Learn from every origin of every series that has a whole horizon after it."""
        rows, columns = self._origins(packed)
        self.readouts: list = []
        if len(rows) < 8:
            return self
        steps = columns[:, None] + 1 + np.arange(self.horizon)
        running = _Running(packed, self.reference, self.recipe.memories)
        unit = running.unit[rows, columns]
        future = packed.values[rows[:, None], steps]
        gap = (future - self._references(packed, rows, columns)) / unit[:, None]
        targets = np.clip(gap, -_TARGET, _TARGET)
        weights = unit / unit.mean()  # errors count in the units of the series
        plain = running.features(self.lags, rows, columns)
        for number in range(self.recipe.n_seeds):
            states = self._states(running, number, rows, columns)
            self.readouts.append(
                _Readout.fit(np.hstack([plain, states]), targets, weights, self.recipe.alpha)
            )
        return self

    def forecast(self, packed: Packed) -> np.ndarray:
        """Forecasts (n_series, horizon) from the last value of each series on."""
        rows = np.arange(len(packed.values))
        columns = np.full(len(rows), packed.values.shape[1] - 1)
        base = self._references(packed, rows, columns)
        if not self.readouts:  # too little to learn from
            return base
        running = _Running(packed, self.reference, self.recipe.memories)
        plain = running.features(self.lags, rows, columns)
        moves = [
            readout.predict(np.hstack([plain, self._states(running, k, rows, columns)]))
            for k, readout in enumerate(self.readouts)
        ]
        return base + np.mean(moves, axis=0) * running.unit[rows, columns][:, None]

    def _origins(self, packed):
        """Rows and columns of the origins, thinned evenly from the ends backwards."""
        width = packed.values.shape[1]
        column = np.arange(width)
        age = column[None] - packed.starts[:, None]
        usable = (age >= max(4, self.reference)) & (column < width - self.horizon)[None]
        wanted = usable.sum() / self.most_rows
        periods = [p for p in (self.reference, *self.lags[-1:]) if p > 1]
        apart = [s for s in _STRIDES if s == 1 or all(p % s for p in periods)]
        stride = next((s for s in apart if s >= wanted), apart[-1])
        usable &= ((width - 1 - column) % stride == 0)[None]
        return np.nonzero(usable)

    def _references(self, packed, rows, columns):
        back = np.zeros(self.horizon, dtype=int)
        if self.reference:
            back = self.reference - 1 - np.arange(self.horizon) % self.reference
        at = columns[:, None] - back
        return packed.values[rows[:, None], np.maximum(at, 0)]

    def _states(self, running, number, rows, columns):
        """States (n_rows, n_units) at the given places."""
        r = self.recipe
        kernel, entry, bias = _reservoir(r, running.inputs.shape[2], self.seed, number)
        out = np.empty((len(rows), r.n_units))
        order = np.argsort(columns, kind="stable")
        bounds = np.searchsorted(columns[order], np.arange(running.inputs.shape[1] + 1))
        state = np.zeros((len(running.inputs), r.n_units))
        for t in range(max(0, columns.min() - _FORGOTTEN), columns.max() + 1):
            pulled = np.tanh(state @ kernel + running.inputs[:, t] @ entry + bias)
            state += r.leak_rate * (pulled - state)
            here = order[bounds[t] : bounds[t + 1]]
            out[here] = state[rows[here]]
        return out


@lru_cache(maxsize=32)
def _reservoir(recipe, n_inputs, seed, number):
    """Weights of a reservoir, kept: members, fits and forecasts ask for the same ones."""
    rng = np.random.default_rng([seed, number])
    n = recipe.n_units
    kernel = rng.standard_normal((n, n))
    kernel *= rng.random(kernel.shape) < min(1.0, 10 / n)
    radius = np.abs(np.linalg.eigvals(kernel)).max()
    kernel *= recipe.spectral_radius / max(radius, _SMALLEST)
    entry = rng.uniform(-recipe.input_scaling, recipe.input_scaling, (n_inputs, n))
    return kernel, entry, rng.uniform(-recipe.bias_scaling, recipe.bias_scaling, n)


class _Running:
    """Quantities at each time of packed series, from the values up to then alone."""

    def __init__(self, packed, reference, memories):
        values, starts = packed.values, packed.starts
        width = values.shape[1]
        self.values, self.starts = values, starts
        self.age = np.arange(width)[None] - starts[:, None]
        begun = self.age >= 0
        change = np.diff(values, axis=1, prepend=values[:, :1])
        gap = max(reference, 1)
        jump = np.where(self.age >= gap, values - _shifted(values, gap), 0.0)
        size = np.abs(jump).cumsum(axis=1) / np.maximum(self.age - gap + 1, 1)
        self.unit = np.where(size > _SMALLEST * np.abs(values).max(axis=1, keepdims=True), size, 1)
        whole = np.maximum(self.age + 1, 1)
        self.mean = np.where(begun, values, 0.0).cumsum(axis=1) / whole
        self.slope = np.where(begun, values - values[:, :1], 0.0) / np.maximum(self.age, 1)
        moves = [change / self.unit, (values - self.mean) / self.unit / 3]
        if reference:
            moves.append(jump / self.unit)
        self.inputs = np.clip(np.stack(moves, axis=2), -_CLIP, _CLIP) * begun[:, :, None]
        self.smooth = [_smoothed(values, change, begun, rate) for rate in memories]

    def features(self, lags, rows, columns):
        """Features (n_rows, n_features) without the reservoir's."""
        now, unit = self.values[rows, columns], self.unit[rows, columns]
        at = np.maximum(columns[:, None] - np.array(lags), 0)
        blocks = [(now[:, None] - self.values[rows[:, None], at]) / unit[:, None]]
        single = [self.slope[rows, columns] / unit, (now - self.mean[rows, columns]) / unit]
        for level, trend in self.smooth:
            single += [(now - level[rows, columns]) / unit, trend[rows, columns] / unit]
        blocks.append(np.stack(single, axis=1))
        age = np.log(np.maximum(self.age[rows, columns], 1)) / 3
        blocks.append(np.stack([age, np.log(unit) / 5], axis=1))
        return np.clip(np.hstack(blocks), -_FAR, _FAR)


def _shifted(values, k):
    return np.hstack([np.repeat(values[:, :1], min(k, values.shape[1]), axis=1), values[:, :-k]])[
        :, : values.shape[1]
    ]


def _smoothed(values, change, begun, rate):
    level, trend = np.empty_like(values), np.empty_like(values)
    mean, slope = values[:, 0].copy(), np.zeros(len(values))
    for t in range(values.shape[1]):
        mean += rate * (values[:, t] - mean)
        slope += rate * (change[:, t] - slope) * begun[:, t]
        level[:, t], trend[:, t] = mean, slope
    return level, trend


@dataclass(frozen=True)
class _Readout:
    """Linear map from features to all steps."""

    centre: np.ndarray
    width: np.ndarray
    coef: np.ndarray

    @classmethod
    def fit(cls, features, targets, weights, alpha):
        """Ridge, re-weighted towards absolute errors; the steps share the weights of a row.

        References
        ----------
        .. [1] P. Holland, R. Welsch, "Robust regression using iteratively reweighted
           least-squares", Communications in Statistics 6, 1977.
        """
        centre, width = features.mean(axis=0), features.std(axis=0) + 1e-6
        rows = np.hstack([(features - centre) / width, np.ones((len(features), 1))])
        penalty = np.full(rows.shape[1], alpha * len(rows))
        penalty[-1] = 1e-6 * len(rows)
        weight = weights
        for _ in range(_REWEIGHTINGS):
            root = np.sqrt(weight)[:, None]
            weighted = rows * root
            gram = weighted.T @ weighted  # of one array: half the work
            gram.flat[:: len(gram) + 1] += penalty * weight.mean()
            coef = np.linalg.solve(gram, weighted.T @ (targets * root))
            size = np.abs(targets - rows @ coef).mean(axis=1)
            weight = weights / np.maximum(size, max(_NEAREST * np.median(size), _SMALLEST))
            weight = weight / weight.mean()
        return cls(centre, width, coef)

    def predict(self, features):
        return ((features - self.centre) / self.width) @ self.coef[:-1] + self.coef[-1]
