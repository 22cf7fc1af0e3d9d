"""One reservoir and direct readouts for the series of a whole pool, in arrays.

`PooledNetwork` drives a fixed reservoir over every series with inputs that have no unit
(changes and deviations from the running mean, divided by the running mean absolute change),
stacks all origins of all series, and learns one readout for each step ahead of
``(future - reference) / scale``. A single series is a pool of one. Series are expected as they
should be modelled: take logarithms or seasonal means off before, and undo them afterwards.

What the options do
-------------------
horizon         steps with a readout of their own; longer forecasts feed back the forecasts.
                Fewer are trained (`horizon_`) when the rows do not allow so many.
periods         season lengths, the main one first, such as ``(12,)`` or ``(24, 168)``; they
                give inputs (change over a season) and readout features (values one to
                `n_seasons` seasons before the target).
reference       "last": forecasts shrink to the last value; "seasonal": to the value one
                season (``periods[0]``) before the target, for strongly seasonal series.
n_units         units of the reservoir, or several numbers that the seeds take in turn.
n_seeds         reservoirs whose forecasts are merged by the median.
reservoir       further parameters of `ReservoirTransformer`.
lags            values before the origin that the readout sees, relative to the last.
rates           rates of exponential means of level and change in the readout (a small bank of
                exponential smoothers).
loss            "squared" or "absolute" (re-weighted least squares).
shared          one penalty for all steps (multi_output) or one for each (direct).
weight_power    rows weigh ``scale ** weight_power``: 0 resembles MASE; 1, on logarithms,
                resembles sMAPE.
max_rows        origins used; beyond it they are thinned evenly.
keep_errors     out-of-fold errors for `paths`; leave out to save time where only points count.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, Self

import numpy as np

from echocast.reservoir import ReservoirTransformer

from ._pooled_features import (
    Carry,
    Layout,
    begin,
    references,
    roll,
    shared_features,
    step_features,
    targets,
)
from ._pooled_fit import Rows
from ._pooled_readout import fit_readout
from ._pooled_rows import (
    as_lists,
    canonical,
    complete,
    fold_places,
    folds,
    mean_and_spread,
    whole_paths,
)

__all__ = ["Memory", "PooledNetwork"]

_FEWEST_ROWS = 5  # rows that a step needs to have a readout of its own
_MOST_STATES = 4_000_000  # numbers held at a time while states become rows
_ALPHAS = tuple(10.0 ** np.arange(-6.0, 3.0))


@dataclass(frozen=True)
class Memory:
    """What the forecasts of a series continue from: a few rows, never the series.

    Parameters
    ----------
    carry : Carry
        Running sums before the rows `recent`.
    states : tuple of ndarray
        State of each reservoir before them.
    recent : ndarray of shape (n_recent, n_columns)
        The last rows, at most as many as steps are trained; NaN where they were missing.
    exog : ndarray of shape (n_recent, n_exog)
    static : ndarray of shape (n_static,)
    """

    carry: Carry
    states: tuple
    recent: np.ndarray
    exog: np.ndarray
    static: np.ndarray


class PooledNetwork:
    """Direct readouts of a fixed reservoir, learnt over all series; see the top of the module.

    Parameters
    ----------
    horizon : int
    periods : tuple of int, default=()
    reference : {"last", "seasonal"}, default="last"
    n_units : int or tuple of int, default=120
    n_seeds : int, default=1
    reservoir : dict, optional
    lags : tuple of int, optional
        By default 1 to the main season (at least 3), or 1 to 3 without one.
    n_seasons : int, default=2
    rates : tuple of float, default=(0.1, 0.3)
    clip : float, default=5.0
    loss : {"squared", "absolute"}, default="squared"
    shared : bool, default=False
    alphas : sequence of float, default=1e-6 to 100 by decades
        Penalties, relative to the sum of the weights and to standardised features.
    weight_power : float, default=0.0
    warm : int, optional
        Rows before the first origin of a series; by default a fifth of the median length, 2 to
        10.
    max_rows : int, default=20000
    keep_errors : bool, default=True
    seed : int, default=0

    Attributes
    ----------
    layout_ : Layout
    horizon_ : int
        Steps that were trained; 0 if no series has any change to learn from.
    errors_ : ndarray of shape (n_kept, horizon_, n_columns) or None
        Out-of-fold errors of whole paths, divided by the scale of their origin.
    """

    def __init__(
        self,
        *,
        horizon: int,
        periods: tuple = (),
        reference: str = "last",
        n_units: Any = 120,
        n_seeds: int = 1,
        reservoir: dict | None = None,
        lags: tuple | None = None,
        n_seasons: int = 2,
        rates: tuple = (0.1, 0.3),
        clip: float = 5.0,
        loss: str = "squared",
        shared: bool = False,
        alphas: Any = _ALPHAS,
        weight_power: float = 0.0,
        warm: int | None = None,
        max_rows: int = 20000,
        keep_errors: bool = True,
        seed: int = 0,
    ):
        self.horizon = horizon
        self.periods = tuple(m for m in periods if m > 1)
        self.reference = reference if self.periods else "last"
        self.n_units = (n_units,) if np.ndim(n_units) == 0 else tuple(n_units)
        self.n_seeds = n_seeds
        self.reservoir = {"leak_rate": 0.6, "bias_scaling": 0.5} | (reservoir or {})
        longest = self.periods[0] if self.periods else 3
        self.lags = tuple(range(1, max(3, longest) + 1)) if lags is None else tuple(lags)
        self.n_seasons = n_seasons
        self.rates = tuple(rates)
        self.clip = clip
        self.loss = loss
        self.shared = shared
        self.alphas = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
        self.weight_power = weight_power
        self.warm = warm
        self.max_rows = max_rows
        self.keep_errors = keep_errors
        self.seed = seed

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        values: list[np.ndarray],
        exog: list[np.ndarray] | None = None,
        static: np.ndarray | None = None,
        *,
        n_past: int = 0,
    ) -> Self:
        """Learn from all origins of all series.

        Parameters
        ----------
        values : list of ndarray of shape (n_i,) or (n_i, n_columns)
            NaN are gaps: never targets, and inputs take the value before or a season before.
        exog : list of ndarray of shape (n_i, n_exog), optional
            Columns known ahead, then `n_past` columns known up to the origin.
        static : ndarray of shape (n_series, n_static), optional
        n_past : int, default=0

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a series has no complete row.
        """
        values, exog, static = as_lists(values, exog, static)
        self._learn_scales(exog, static)
        order = canonical(values, exog, static)
        pool = [self._strip(values[i], exog[i], static[i]) for i in order]
        n_columns = pool[0][0].shape[1]
        n_known = exog[0].shape[1] - n_past
        self.layout_ = Layout(
            self.horizon, n_columns, self.lags, self.periods, self.n_seasons, self.reference,
            self.rates, self.clip, n_known, n_past, static.shape[1],
        )  # fmt: skip
        lengths = [len(Y) for Y, _, _ in pool]
        fifth = int(np.median(lengths)) // 5
        self.warm_ = min(10, max(2, fifth)) if self.warm is None else self.warm
        self._draw()
        self._learn(pool)
        self._fold_places = dict(zip(order, self._fold_places))
        return self

    def _learn_scales(self, exog, static):
        """Mean and deviation of the outside columns over the rows of fit, fixed from here on."""
        rows = np.concatenate(exog)
        self._exog_scale = mean_and_spread(rows)
        self._static_scale = mean_and_spread(static)

    def _draw(self):
        self._reservoirs = []
        n_inputs = self.layout_.n_inputs
        scaling = np.full(n_inputs, float(self.reservoir.get("input_scaling", 0.3)))
        for i in range(self.n_seeds):
            params = self.reservoir | {
                "n_units": self.n_units[i % len(self.n_units)],
                "input_scaling": scaling,
                "random_state": (self.seed + 7919 * i) % (2**32 - 1),
            }
            drawn = ReservoirTransformer(**params).fit(np.zeros((1, n_inputs)))
            self._reservoirs.append(drawn)

    def _learn(self, pool):
        starts = [self._begin(*series) for series in pool]
        picked = self._pick_origins(pool)
        rolls, T, weights, place = [], [], [], []
        for i, ((Y, X, fixed), carry, origins) in enumerate(zip(pool, starts, picked)):
            rolled, _ = roll(self.layout_, carry, Y, X, fixed)
            keep = self._eligible(rolled, origins)
            rolls.append((rolled, keep, self._known_ahead(X, keep), fixed))
            T.append(targets(self.layout_, rolled, Y, keep))
            weights.append(self._weights(rolled, keep))
            place.append(np.stack([np.full(len(keep), i), keep], axis=1))
        place, T = np.concatenate(place), np.concatenate(T)
        weights = np.concatenate(weights)
        enough = np.isfinite(T).all(axis=2).sum(axis=0) >= _FEWEST_ROWS
        self.horizon_ = int(np.argmin(enough)) if not enough.all() else self.horizon
        self.layout_ = replace(self.layout_, horizon=self.horizon_)
        self._readouts, self.errors_ = [], None
        self._fold_places = [(np.empty(0), np.empty(0, dtype=int))] * len(pool)
        if not self.horizon_:
            return
        T = T[:, : self.horizon_]
        self._weight_unit = weights.mean()
        w = weights / self._weight_unit
        held, hidden = folds(place, self.horizon_)
        self._fold_places = fold_places(place, held, len(pool))
        kept = complete(T) if self.keep_errors else np.empty(0, dtype=int)
        guesses = []
        for i in range(self.n_seeds):
            Z, E = self._stack(i, rolls)
            readout, guess = fit_readout(
                Rows(Z, E, T, w, held, hidden),
                kept,
                self.alphas,
                loss=self.loss,
                shared=self.shared,
            )
            self._readouts.append(readout)
            guesses.append(guess)
        if self.keep_errors:  # the reference needs no learning, so its errors are honest too
            self.errors_ = whole_paths(
                T[kept] - np.median(guesses, axis=0) if len(held) else T[kept]
            )

    def _begin(self, Y, X, fixed):
        return begin(self.layout_, Y[0], X[0])

    def _pick_origins(self, pool):
        """Origins of each series, thinned evenly from its end if there are too many."""
        possible = [np.arange(self.warm_ - 1, len(Y) - 1) for Y, _, _ in pool]
        stride = max(1, -(-sum(len(p) for p in possible) // self.max_rows))
        while any(gcd(stride, m) > 1 for m in self.periods) and stride > 1:
            stride += 1  # all places in the season are to be seen
        return [p[::-1][::stride][::-1] for p in possible]

    def _eligible(self, rolled, origins):
        """Origins that are seen, after a first change and, for a reference, a first season."""
        ready = rolled.seen & (rolled.scale > 0).any(axis=1)
        if self.reference == "seasonal":
            ready &= rolled.count > self.layout_.season
        return origins[ready[origins]]

    def _weights(self, rolled, origins):
        return rolled.unit[origins].mean(axis=1) ** self.weight_power

    def _known_ahead(self, X, origins):
        """Known columns at the targets, (n_origins, horizon, n_known); the last row goes on."""
        steps = np.arange(1, self.layout_.horizon + 1)
        rows = np.minimum(origins[:, None] + steps, len(X) - 1)
        return X[rows][:, :, : self.layout_.n_known]

    def _stack(self, i, rolls):
        """Features of all chosen origins for one reservoir, built a block of series at a time."""
        reservoir = self._reservoirs[i]
        Z, E, first = [], [], 0
        lengths = np.cumsum([len(rolled.inputs) for rolled, *_ in rolls]) * reservoir.n_units
        while first < len(rolls):
            done = lengths[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(lengths, done + _MOST_STATES)))
            part = rolls[first:last]
            states = reservoir.transform([rolled.inputs for rolled, *_ in part])
            for (rolled, origins, known, fixed), x in zip(part, states):
                Z.append(shared_features(self.layout_, rolled, origins, x[origins], fixed))
                E.append(step_features(self.layout_, rolled, origins, known[:, : self.horizon_]))
            first = last
        return np.concatenate(Z), np.concatenate(E)

    # ------------------------------------------------------------------- memory

    def _strip(self, Y, X, fixed):
        """Rows from the first complete one on, with outside columns scaled."""
        complete = np.isfinite(Y).all(axis=1)
        if not complete.any():
            raise ValueError(f"A series of {len(Y)} rows has no row without NaN.")
        first = int(np.argmax(complete))
        mean, spread = self._exog_scale
        middle, width = self._static_scale
        return Y[first:], (X[first:] - mean) / spread, (fixed - middle) / width

    def memories(
        self,
        values: list[np.ndarray],
        exog: list[np.ndarray] | None = None,
        static: np.ndarray | None = None,
    ) -> list[Memory]:
        """Memories after the rows of each series, which may be others than those of fit.

        Parameters
        ----------
        values, exog, static
            As in `fit`.

        Returns
        -------
        list of Memory
        """
        values, exog, static = as_lists(values, exog, static)
        pool = [self._strip(*series) for series in zip(values, exog, static)]
        fresh = []
        for Y, X, fixed in pool:
            zero = tuple(np.zeros(r.n_units) for r in self._reservoirs)
            fresh.append(Memory(self._begin(Y, X, fixed), zero, Y[:0], X[:0], fixed))
        return self._grown(fresh, [(Y, X) for Y, X, _ in pool])

    def _grown(self, memories, news):
        """Memories after further rows; all but the last `horizon` of them move into the carry."""
        keep = max(self.horizon_, 1)
        heads, carries = [], []
        for memory, (Y, X) in zip(memories, news):
            rows = np.concatenate([memory.recent, Y])
            exog = np.concatenate([memory.exog, X])
            cut = max(len(rows) - keep, 0)
            inputs, carry = None, memory.carry
            if cut:
                rolled, carry = roll(self.layout_, carry, rows[:cut], exog[:cut], memory.static)
                inputs = rolled.inputs
            heads.append(inputs)
            carries.append((carry, rows[cut:].copy(), exog[cut:].copy()))
        states = self._last_states(memories, heads)
        return [
            replace(memory, carry=carry, states=after, recent=rows, exog=exog)
            for memory, after, (carry, rows, exog) in zip(memories, states, carries)
        ]

    def _last_states(self, memories, inputs):
        """States of each reservoir after the inputs of each series (None: none)."""
        moving = [i for i, rows in enumerate(inputs) if rows is not None]
        after = [list(memory.states) for memory in memories]
        if moving:
            for r, reservoir in enumerate(self._reservoirs):
                before = np.stack([memories[i].states[r] for i in moving])
                runs = reservoir.transform([inputs[i] for i in moving], initial_state=before)
                for i, run in zip(moving, runs):
                    after[i][r] = run[-1].copy()
        return [tuple(states) for states in after]

    def update(
        self,
        memories: list[Memory],
        values: list[np.ndarray],
        exog: list[np.ndarray] | None = None,
        *,
        refit: bool = False,
    ) -> tuple[PooledNetwork, list[Memory]]:
        """Take in rows that follow, in time that depends on their number alone.

        Parameters
        ----------
        memories : list of Memory
        values, exog
            The new rows of each series, in the form of fit.
        refit : bool, default=False
            Whether the readouts learn from the targets that the rows complete. The squared loss
            is solved exactly anew, with penalties, feature scales and folds as they were; an
            absolute loss takes one Newton step of the new residuals, cut off at a few times
            their usual size.

        Returns
        -------
        network : PooledNetwork
            Self, or a copy with new readouts.
        memories : list of Memory
        """
        none = np.zeros((len(values), 0))
        values, exog, _ = as_lists(values, exog, none)
        mean, spread = self._exog_scale
        news = [(Y, (X - mean) / spread) for Y, X in zip(values, exog)]
        network = self._learning(memories, news) if refit and self.horizon_ else self
        return network, self._grown(memories, news)

    def _learning(self, memories, news):
        rolls, T, weights, before = [], [], [], []
        for memory, (Y, X) in zip(memories, news):
            rows = np.concatenate([memory.recent, Y])
            exog = np.concatenate([memory.exog, X])
            rolled, _ = roll(self.layout_, memory.carry, rows, exog, memory.static)
            origins = self._eligible(rolled, np.arange(len(rows) - 1))
            origins = origins[rolled.count[origins] >= self.warm_]
            target = targets(self.layout_, rolled, rows, origins)
            steps = np.arange(1, self.horizon_ + 1)
            target[origins[:, None] + steps < len(memory.recent)] = np.nan  # learnt before
            rolls.append((rolled, origins, self._known_ahead(exog, origins), memory.static))
            T.append(target)
            weights.append(self._weights(rolled, origins))
            before.append(memory)
        w = np.concatenate(weights) / self._weight_unit
        other = copy.copy(self)
        other._readouts = []
        for i, readout in enumerate(self._readouts):
            Z, E = self._stack_after(i, rolls, before)
            other._readouts.append(readout.taught(Z, E, np.concatenate(T), w))
        return other

    def _stack_after(self, i, rolls, memories):
        before = np.stack([memory.states[i] for memory in memories])
        inputs = [rolled.inputs for rolled, *_ in rolls]
        states = self._reservoirs[i].transform(inputs, initial_state=before)
        Z = [
            shared_features(self.layout_, rolled, origins, x[origins], fixed)
            for (rolled, origins, _, fixed), x in zip(rolls, states)
        ]
        E = [step_features(self.layout_, rolled, o, known) for rolled, o, known, _ in rolls]
        return np.concatenate(Z), np.concatenate(E)

    # ----------------------------------------------------------------- forecast

    def forecast(
        self, memories: list[Memory], n_steps: int, exog: list[np.ndarray] | None = None
    ) -> np.ndarray:
        """Point forecasts of all series at once, (n_series, n_steps, n_columns).

        Parameters
        ----------
        memories : list of Memory
        n_steps : int
        exog : list of ndarray of shape (n_steps, n_known), optional
            Columns known ahead.
        """
        return self._run(memories, n_steps, exog, None)

    def _run(self, memories, n_steps, exog, draw):
        """Forecasts, with errors added from ``draw(n_series)`` (n_series, H, D) in each block."""
        known = self._future(exog, len(memories), n_steps)
        done = [np.empty((len(memories), 0, self.layout_.n_columns))]
        start = 0
        while start < n_steps:
            ahead = [rows[start:] for rows in known]
            block, unit = self._block(memories, ahead)
            if draw is not None:
                block = block + draw(len(memories)) * unit
            block = block[:, : n_steps - start]
            done.append(block)
            start += block.shape[1]
            if start < n_steps:
                news = [self._as_seen(m, y, x) for m, y, x in zip(memories, block, ahead)]
                memories = self._grown(memories, news)
        return np.concatenate(done, axis=1)

    def _future(self, exog, n_series, n_steps):
        """Known columns of the steps ahead, scaled, longer than any block."""
        if exog is None:
            return [np.zeros((n_steps, 0))] * n_series
        mean, spread = self._exog_scale
        n = self.layout_.n_known
        return [(np.asarray(X, dtype=float)[:, :n] - mean[:n]) / spread[:n] for X in exog]

    def _as_seen(self, memory, block, known):
        """Forecasts as rows that were seen; past-only columns keep their last value."""
        n = len(block)
        past = np.repeat(memory.exog[-1:, self.layout_.n_known :], n, axis=0)
        return block, np.concatenate([known[:n], past], axis=1)

    def _block(self, memories, known):
        """The trained steps after each memory, and the units of the errors, (n_series, 1, D)."""
        rolls = []
        for memory, ahead in zip(memories, known):
            rolled, _ = roll(self.layout_, memory.carry, memory.recent, memory.exog, memory.static)
            origin = np.array([len(memory.recent) - 1])
            rows = np.minimum(np.arange(self.layout_.horizon), len(ahead) - 1)
            rolls.append((rolled, origin, ahead[rows][None], memory.static))
        if not self.horizon_:
            return self._fallback(rolls)
        base = np.concatenate([references(self.layout_, r, o) for r, o, *_ in rolls])
        unit = np.concatenate([r.scale[o] for r, o, *_ in rolls])[:, None]
        guesses = []
        for i, readout in enumerate(self._readouts):
            Z, E = self._stack_after(i, rolls, memories)
            guesses.append(readout.predict(Z, E))
        return base + np.median(guesses, axis=0) * unit, unit

    def _fallback(self, rolls):
        """Without anything learnt: the reference, one step at a time."""
        one = replace(self.layout_, horizon=1)
        base = np.concatenate([references(one, r, o) for r, o, *_ in rolls])
        return base, np.concatenate([r.scale[o] for r, o, *_ in rolls])[:, None]

    def paths(
        self,
        memory: Memory,
        n_steps: int,
        n_paths: int,
        rng: np.random.RandomState,
        exog: np.ndarray | None = None,
    ) -> np.ndarray:
        """Simulated paths of a series, (n_steps, n_columns, n_paths).

        The out-of-fold errors of all steps after one past origin, of any series, are drawn
        together and scaled, so a path keeps the dependence between its steps.
        """
        errors = self.errors_
        if errors is None or not len(errors):
            errors = np.zeros((1, max(self.horizon_, 1), self.layout_.n_columns))

        def draw(n):
            return errors[rng.randint(len(errors), size=n)]

        future = None if exog is None else [exog] * n_paths
        first = self.horizon_ or 1
        if n_steps <= first:  # one forecast serves all paths
            ahead = self._future(None if exog is None else [exog], 1, n_steps)
            block, unit = self._block([memory], ahead)
            out = (block + draw(n_paths) * unit)[:, :n_steps]
        else:
            out = self._run([memory] * n_paths, n_steps, future, draw)
        return np.moveaxis(out, 0, 2)

    def from_origins(
        self,
        Y: np.ndarray,
        X: np.ndarray,
        static: np.ndarray,
        origins: np.ndarray,
        *,
        n_steps: int | None = None,
        left_out: int | None = None,
    ) -> np.ndarray:
        """Forecasts of the trained steps after rows of one series, (n_origins, n_steps, D).

        Parameters
        ----------
        Y : ndarray of shape (n_rows, n_columns)
            The first row must be complete.
        X : ndarray of shape (n_rows, n_exog)
            Beyond its end, known columns repeat their last value.
        static : ndarray of shape (n_static,)
        origins : ndarray of int
            The last row that each forecast knows.
        n_steps : int, optional
            No more than were trained, which is the default.
        left_out : int, optional
            Place in `fit` of the series, if its first steps are to be forecast by readouts that
            had not seen the row; they have one step.
        """
        n_steps = 1 if left_out is not None or not self.horizon_ else n_steps or self.horizon_
        layout = replace(self.layout_, horizon=n_steps)
        Y, X, fixed = self._strip(Y, X, static)
        zero = tuple(np.zeros(r.n_units) for r in self._reservoirs)
        start = Memory(self._begin(Y, X, fixed), zero, Y[:0], X[:0], fixed)
        folds = None if left_out is None else self._fold_of(left_out, origins)
        return self._from_rows(layout, start, Y, X, origins, folds)

    def one_step_after(self, memory: Memory, Y: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Predictions (n, D) of rows that follow, each from the rows before it."""
        mean, spread = self._exog_scale
        rows = np.concatenate([memory.recent, Y])
        exog = np.concatenate([memory.exog, (X - mean) / spread])
        origins = np.arange(len(memory.recent) - 1, len(rows) - 1)
        one = replace(self.layout_, horizon=1)
        return self._from_rows(one, memory, rows, exog, origins, None)[:, 0]

    def _from_rows(self, layout, memory, Y, X, origins, folds):
        """Forecasts from origins among rows that follow the carry of `memory`."""
        rolled, _ = roll(layout, memory.carry, Y, X, memory.static)
        base = references(layout, rolled, origins)
        if not self.horizon_:
            return base
        ahead = np.minimum(origins[:, None] + np.arange(1, layout.horizon + 1), len(X) - 1)
        known = X[ahead][:, :, : layout.n_known]
        guesses = []
        for reservoir, readout, state in zip(self._reservoirs, self._readouts, memory.states):
            states = reservoir.transform(rolled.inputs, initial_state=state)[origins]
            Z = shared_features(layout, rolled, origins, states, memory.static)
            E = step_features(layout, rolled, origins, known)
            guesses.append(
                readout.predict(Z, E) if folds is None else readout.predict_left_out(Z, E, folds)
            )
        return base + np.median(guesses, axis=0) * rolled.scale[origins][:, None]

    def _fold_of(self, i, origins):
        """The fold that held out each origin of series `i`."""
        starts, numbers = self._fold_places[i]
        if not len(starts):
            return np.full(len(origins), -1)
        return numbers[np.maximum(np.searchsorted(starts, origins, side="right") - 1, 0)]
