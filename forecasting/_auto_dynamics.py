"""The automatic model of a dynamical system: networks in closed loop, in arrays.

Candidates are ranked by `search` on stretches inside the rows of fit. The forecast is the median
over the closed loops of the best of them, each with several drawings of weights, unless a naive
forecast did better on the same stretches.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np

from ._auto_network import Factor, Setting, Weights, closed_loops, draw_weights
from ._auto_search import View, best_first, loop_errors, search, window_starts
from ._auto_structure import find_structure

__all__ = ["DynamicsMemory", "DynamicsModel"]

_MOST_UNITS, _SEARCH_UNITS, _FEWEST_UNITS = 400, 300, 20
_ROWS_A_UNIT = 2.5
_MOST_SEARCHED, _MOST_FITTED = 2_000, 20_000  # rows for the search, and for the readouts
_BEST, _BEST_SETTINGS = 14, 6
_MOST_STEPS = 200
_SETTLING = 50
_MOST_ERRORS = 1000
_LEAST_FREEDOM = 1e-3  # a row that a readout interpolates would otherwise divide by zero


@dataclass(frozen=True)
class DynamicsMemory:
    """What a forecast continues from.

    Parameters
    ----------
    past : ndarray of shape (n_past, D)
        The last rows, in the units of y.
    states : tuple of ndarray of shape (N,)
        One for each network, before the newest row drives it.
    """

    past: np.ndarray
    states: tuple


@dataclass(frozen=True)
class _Network:
    """One drawing of weights at one setting, with a readout for each of its penalties."""

    view: View
    setting: Setting
    weights: Weights
    alphas: np.ndarray
    factor: Factor
    coef: np.ndarray
    offset: np.ndarray

    def run(self, Y, state, first):
        """States, features and targets of the inputs at rows `first` to the last but one.

        Row t is the newest of its input, and its target is the increment to row t + 1.
        """
        _, U, targets = self.view.rows(Y)
        skipped = first - (self.view.wiring.n_past - 1)
        U, targets = U[skipped:-1], targets[skipped:]
        states = self.weights.states(U, self.setting, state)
        return states, np.concatenate([states, U], axis=1), targets

    def one_step(self, features, Y):
        """Predictions (n_readouts, n, D) of the last rows of `Y`, one for each row of features."""
        structure = self.view.structure
        Z = structure.forward(Y)
        before = Z[len(Z) - len(features) - 1 : -1, structure.free]
        increments = np.matmul(features, self.coef.swapaxes(1, 2)) + self.offset[:, None]
        return np.stack(
            [structure.inverse(structure.one_step(Z, before + change)) for change in increments]
        )

    def loops(self, past, state, n_steps):
        """Closed loops (n_readouts, n_steps, D) in the units of y."""
        view, n_paths = self.view, len(self.alphas)
        Z = view.structure.forward(past)[len(past) - view.n_past :]
        Z = np.repeat(Z[:, :, None], n_paths, axis=2)
        paths = closed_loops(
            self.weights,
            self.setting,
            view.structure,
            view.wiring,
            n_steps,
            past=Z,
            states=np.repeat(state[:, None], n_paths, axis=1),
            coef=self.coef,
            offset=self.offset,
            bounds=view.bounds,
        )
        return np.moveaxis(view.structure.inverse(paths), 2, 0)

    def learning(self, features, targets):
        """The network whose readouts have learnt these rows too."""
        factor = self.factor.extended(features, targets)
        coef, offset = factor.solve(self.alphas)
        return replace(self, factor=factor, coef=coef, offset=offset)


class DynamicsModel:
    """Networks in closed loop, chosen and fitted on the rows given here.

    Parameters
    ----------
    Y : ndarray of shape (n, D)
    horizon : int or None
        Length of the forecasts that candidates are tried on, at most a fifth of the rows; None
        takes that fifth, at most 200.
    n_seeds : int
        Drawings of weights for each of the best settings.
    seed : int

    Attributes
    ----------
    candidates : list of (Look, Setting, float, float)
        What the forecast is made of: look, setting, penalty and score of each.
    naive : {None, "last", "mean", "periodic"}
        The naive forecast that did better than the networks, if one did.
    spread : ndarray of shape (n_steps, D)
        Root mean squared errors of the tried forecasts, never falling with the lead time.
    errors : ndarray of shape (n_errors, D)
        Leave-one-out errors of single steps, of the last rows.
    """

    def __init__(self, Y: np.ndarray, *, horizon: int | None, n_seeds: int, seed: int):
        recent, fitted = Y[-_MOST_SEARCHED:], Y[-_MOST_FITTED:]
        n_steps = max(1, min(horizon or _MOST_STEPS, len(recent) // 5))
        seeds = np.random.RandomState(seed).randint(2**31 - 1, size=n_seeds + 1).tolist()
        found = search(recent, n_steps, _units(_SEARCH_UNITS, recent), seeds[0])
        groups = best_first(found, _BEST, _BEST_SETTINGS)
        best = [candidate for group in groups.values() for candidate in group]
        self.candidates = [(c.view.look, c.setting, c.alpha, c.score) for c in best]
        self.structure = best[0].view.structure if best else find_structure(recent)
        self.mean, self.period = fitted.mean(axis=0), _period(recent)
        self._judge(recent, n_steps, best)
        runs = [_fitted(fitted, group, s) for group in groups.values() for s in seeds[1:]]
        self.networks = [network for network, _ in runs]
        needed = [network.view.n_past for network in self.networks]
        self.n_past = max([self.period, self.structure.n_past, *needed])
        self.first_memory = DynamicsMemory(
            fitted[-self.n_past :].copy(), tuple(state for _, state in runs)
        )
        self.errors = self._left_out(fitted)

    def _judge(self, Y, n_steps, best):
        """Compare the median of the best candidates with naive forecasts, and keep its errors."""
        starts = window_starts(len(Y), n_steps)
        truth = np.stack([Y[a : a + n_steps] for a in starts])
        scale = np.where(Y.std(axis=0) > 0, Y.std(axis=0), 1.0)
        forecasts = {
            name: np.stack([_naive(name, Y[:a], n_steps, self.period) for a in starts])
            for name in ("last", "mean", "periodic")
        }
        if best:
            forecasts["networks"] = np.median([c.forecasts for c in best], axis=0)
        elif not len(self.structure.free):
            forecasts["networks"] = np.stack([self._by_structure(Y[:a], n_steps) for a in starts])
        scores = {
            name: np.sqrt(loop_errors(truth, values, scale)).mean()
            for name, values in forecasts.items()
        }
        chosen = min(scores, key=lambda name: (scores[name], name != "networks"))
        self.naive = None if chosen == "networks" else chosen
        squares = ((truth - forecasts[chosen]) ** 2).mean(axis=0)
        self.spread = np.maximum.accumulate(np.sqrt(squares), axis=0)
        self.n_windows = len(starts)
        self.scores = {name: float(score) for name, score in scores.items()}

    def _left_out(self, Y):
        """Leave-one-out errors of single steps: of the first network, or of its naive stand-in."""
        if not self.networks:
            return np.zeros((1, Y.shape[1]))
        network = self.networks[0]
        first = network.view.n_past - 1
        state = np.zeros(network.weights.n_units)
        _, features, _ = network.run(Y, state, network.view.wiring.n_past - 1)
        skipped = max(first - (network.view.wiring.n_past - 1), _settling(len(features)))
        features = features[skipped:]
        errors = Y[len(Y) - len(features) :] - network.one_step(features, Y)[0]
        leverage = network.factor.leverages(features, network.alphas[0])
        return (errors / np.maximum(1 - leverage, _LEAST_FREEDOM)[:, None])[-_MOST_ERRORS:]

    # ------------------------------------------------------------------ history

    def start(self, Y: np.ndarray) -> DynamicsMemory:
        """Memory after rows from anywhere, over which the networks run from the zero state."""
        self._require(len(Y))
        states = []
        for network in self.networks:
            zero = np.zeros(network.weights.n_units)
            states.append(network.run(Y, zero, network.view.wiring.n_past - 1)[0][-1])
        return DynamicsMemory(Y[-self.n_past :].copy(), tuple(states))

    def _require(self, n_rows):
        if n_rows < self.n_past + 1:
            raise ValueError(
                f"Length of `y` ({n_rows}) must be greater than the window needed ({self.n_past})."
            )

    def advance(
        self, memory: DynamicsMemory, Y: np.ndarray
    ) -> tuple[DynamicsMemory, np.ndarray, list]:
        """Move on over rows that follow `memory`.

        Returns
        -------
        memory : DynamicsMemory
        predicted : ndarray of shape (n, D)
            One-step predictions of these rows.
        learnt : list of (features, targets)
            What the rows are to each network.
        """
        whole = np.concatenate([memory.past, Y])
        states, learnt = [], []
        for network, state in zip(self.networks, memory.states):
            run, features, targets = network.run(whole, state, len(memory.past) - 1)
            states.append(run[-1])
            learnt.append((features, targets))
        predicted = self._predicted(whole, [features for features, _ in learnt], len(Y))
        return DynamicsMemory(whole[-self.n_past :].copy(), tuple(states)), predicted, learnt

    def learning(self, learnt: list) -> DynamicsModel:
        """A model whose readouts have learnt these rows too; settings and scales stay."""
        other = copy.copy(self)
        other.networks = [network.learning(*rows) for network, rows in zip(self.networks, learnt)]
        return other

    def one_step(self, Y: np.ndarray) -> np.ndarray:
        """Predictions of the rows that have enough before them."""
        self._require(len(Y))
        features = []
        for network in self.networks:
            zero, first = np.zeros(network.weights.n_units), network.view.wiring.n_past - 1
            features.append(network.run(Y, zero, first)[1][self.n_past - 1 - first :])
        return self._predicted(Y, features, len(Y) - self.n_past)

    def _predicted(self, Y, features, n):
        if self.naive is not None:
            first = len(Y) - n
            shift = self.period if self.naive == "periodic" else 1
            flat = np.broadcast_to(self.mean, (n, Y.shape[1]))
            return flat if self.naive == "mean" else Y[first - shift : len(Y) - shift]
        if not self.networks:
            structure = self.structure
            rows = structure.one_step(structure.forward(Y), np.empty((n, 0)))
            return structure.inverse(rows)
        steps = [network.one_step(rows, Y) for network, rows in zip(self.networks, features)]
        return np.median(np.concatenate(steps), axis=0)

    # ----------------------------------------------------------------- forecast

    def forecast(self, memory: DynamicsMemory, n_steps: int) -> np.ndarray:
        """Point forecasts (n_steps, D)."""
        if self.naive is not None:
            return _naive(self.naive, memory.past, n_steps, self.period, self.mean)
        if not self.networks:
            return self._by_structure(memory.past, n_steps)
        loops = [
            network.loops(memory.past, state, n_steps)
            for network, state in zip(self.networks, memory.states)
        ]
        return np.median(np.concatenate(loops), axis=0)

    def _by_structure(self, past, n_steps):
        """What follows from the structure alone, if no column is free."""
        n_past = self.structure.n_past
        Z = self.structure.forward(past[-n_past:])
        window = np.concatenate([Z, np.zeros((n_steps, Z.shape[1]))])[:, :, None]
        for t in range(n_past, len(window)):
            self.structure.complete(window, t)
        return self.structure.inverse(window[n_past:, :, 0])

    def paths(self, points: np.ndarray, n_paths: int, rng: np.random.RandomState) -> np.ndarray:
        """Paths (n_steps, D, n_paths) about the point forecasts.

        A path deviates by one draw for each column, in units of the errors that the tried
        forecasts had at each lead time; Student's t as they were few. Beyond the longest of
        them the errors stay.
        """
        n_steps, n_columns = points.shape
        last = np.minimum(np.arange(n_steps), len(self.spread) - 1)
        draws = rng.standard_t(max(self.n_windows, 2), size=(n_columns, n_paths))
        return points[:, :, None] + self.spread[last][:, :, None] * draws


def _units(most, Y):
    return max(_FEWEST_UNITS, min(most, int(len(Y) / _ROWS_A_UNIT)))


def _settling(n_rows):
    return min(_SETTLING, n_rows // 10)


def _fitted(Y, group, seed):
    """A network with a readout for each candidate of the group, and its state after the rows."""
    view, setting = group[0].view, group[0].setting
    weights = draw_weights(_units(_MOST_UNITS, Y), view.wiring.n_inputs, seed)
    _, U, targets = view.rows(Y)
    states = weights.states(U[:-1], setting, np.zeros(weights.n_units))
    features = np.concatenate([states, U[:-1]], axis=1)
    settled = _settling(len(features))
    factor = Factor(features[settled:], targets[settled:])
    alphas = np.array([candidate.alpha for candidate in group])
    network = _Network(view, setting, weights, alphas, factor, *factor.solve(alphas))
    return network, states[-1].copy()


def _naive(name, past, n_steps, period, mean=None):
    """The last row, the mean row, or the last rows over again."""
    if name == "periodic":
        return past[len(past) - period + np.arange(n_steps) % period]
    row = past[-1]
    if name == "mean":
        row = past.mean(axis=0) if mean is None else mean
    return np.broadcast_to(row, (n_steps, len(row)))


def _period(Y):
    """The lag, up to a third of the rows, at which the rows are most like themselves again."""
    spread = Y.std(axis=0)
    Z = (Y - Y.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    longest = max(2, len(Z) // 4)
    change = np.array([((Z[lag:] - Z[:-lag]) ** 2).mean() for lag in range(1, longest + 1)])
    rising = np.flatnonzero(np.diff(change) < 0)
    first = int(rising[0]) if len(rising) else longest - 1
    return first + 1 + int(np.argmin(change[first:]))
