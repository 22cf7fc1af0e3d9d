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
from dataclasses import replace
from math import gcd
from typing import Any, Self

import numpy as np
from scipy.special import ndtri

from ._pooled_drive import Drive, Memory, Stretch
from ._pooled_features import Layout, farthest, references, targets
from ._pooled_fit import Rows
from ._pooled_readout import fit_readout
from ._pooled_rows import (
    as_lists,
    canonical,
    centred,
    complete,
    fold_places,
    folds,
    mean_and_spread,
    whole_paths,
)

__all__ = ["Memory", "PooledNetwork"]

_LEAST_SCALE = 0.25  # of the usual size of a series, at an origin to learn from
_FEWEST_ROWS = 5  # rows that a step needs to have a readout of its own
# quantiles of a normal distribution whose mean absolute value is one
_USUAL_ERRORS = np.sqrt(np.pi / 2) * ndtri((np.arange(20) + 0.5) / 20)
_ALPHAS = tuple(10.0 ** np.arange(-6.0, 3.0))


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
    drive_ : Drive
        Reservoirs, scales and layout.
    horizon_ : int
        Steps that were trained; 0 if no series has any change to learn from.
    errors_ : ndarray of shape (n_kept, horizon_, n_columns) or None
        Out-of-fold errors of whole paths, divided by the scale of their origin and centred.
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
        layout = Layout(
            horizon=self.horizon,
            n_columns=values[0].shape[1],
            lags=self.lags,
            periods=self.periods,
            n_seasons=self.n_seasons,
            reference=self.reference,
            rates=self.rates,
            clip=self.clip,
            n_known=exog[0].shape[1] - n_past,
            n_past=n_past,
            n_static=static.shape[1],
        )
        order = canonical(values, exog, static)
        self.drive_ = Drive(
            layout,
            n_units=self.n_units,
            n_seeds=self.n_seeds,
            params=self.reservoir,
            seed=self.seed,
            exog=mean_and_spread(np.concatenate([exog[i] for i in order])),
            static=mean_and_spread(static[order]),
        )
        pool = [self.drive_.start(values[i], exog[i], static[i]) for i in order]
        fifth = int(np.median([len(Y) for _, Y, _ in pool])) // 5
        self.warm_ = min(10, max(2, fifth)) if self.warm is None else self.warm
        places = self._learn(pool)
        self._fold_places = dict(zip(order, places))
        return self

    def _learn(self, pool):
        """Learn from (memory, rows, exog) of each series; where each was held out."""
        stretches, T, place = [], [], []
        for i, ((start, Y, X), origins) in enumerate(zip(pool, self._pick_origins(pool))):
            stretch = self._eligible(self.drive_.stretch(start, Y, X, origins))
            stretches.append(stretch)
            T.append(targets(self.drive_.layout, stretch.rolled, Y, stretch.origins))
            n = len(stretch.origins)
            place.append(np.stack([np.full(n, i), stretch.origins], axis=1))
        place, T = np.concatenate(place), np.concatenate(T)
        enough = np.isfinite(T).all(axis=2).sum(axis=0) >= _FEWEST_ROWS
        self.horizon_ = self.horizon if enough.all() else int(np.argmin(enough))
        self.drive_ = self.drive_.shortened(self.horizon_)
        self._readouts, self.errors_ = [], None
        if not self.horizon_:
            return fold_places(place, np.zeros((0, len(place)), dtype=bool), len(pool))
        T, w = T[:, : self.horizon_], self._weights(stretches)
        self._weight_unit = w.mean()
        held, hidden = folds(place, self.horizon_)
        kept = complete(T) if self.keep_errors else np.empty(0, dtype=int)
        guesses = []
        for r in range(self.n_seeds):
            Z, E = self.drive_.features(r, stretches)
            readout, guess = fit_readout(
                Rows(Z, E, T, w / self._weight_unit, held, hidden),
                kept,
                self.alphas,
                loss=self.loss,
                shared=self.shared,
            )
            self._readouts.append(readout)
            guesses.append(guess)
        if self.keep_errors:  # the reference needs no learning, so its errors are honest too
            learnt = np.median(guesses, axis=0) if len(held) else 0.0
            self.errors_ = centred(whole_paths(T[kept] - learnt))
        return fold_places(place, held, len(pool))

    def _pick_origins(self, pool):
        """Origins of each series, thinned evenly from its end if there are too many."""
        possible = [np.arange(self.warm_ - 1, len(Y) - 1) for _, Y, _ in pool]
        stride = max(1, -(-sum(len(p) for p in possible) // self.max_rows))
        while any(gcd(stride, m) > 1 for m in self.periods) and stride > 1:
            stride += 1  # all places in the season are to be seen
        return [p[::-1][::stride][::-1] for p in possible]

    def _eligible(self, stretch):
        """Origins that are seen, after a first change and, for a reference, a first season."""
        rolled, origins = stretch.rolled, stretch.origins
        ready = rolled.seen & (rolled.scale > 0).any(axis=1) & (rolled.count >= self.warm_)
        if self.reference == "seasonal":
            ready &= rolled.count > self.periods[0]
        # scales of a few quiet rows would make outliers of what comes after
        ready &= (rolled.unit >= _LEAST_SCALE * stretch.start.size).any(axis=1)
        keep = ready[origins]
        return Stretch(stretch.start, rolled, origins[keep], stretch.known[keep])

    def _weights(self, stretches):
        sizes = [s.rolled.unit[s.origins].mean(axis=1) for s in stretches]
        return np.concatenate(sizes) ** self.weight_power

    # ------------------------------------------------------------------- memory

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
        pool = [self.drive_.start(*series) for series in zip(values, exog, static)]
        return self._grown([start for start, _, _ in pool], [(Y, X) for _, Y, X in pool])

    def _grown(self, memories, news):
        return self.drive_.grown(memories, news, max(self.horizon_, 1))

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
            is solved exactly anew, with penalties and feature scales as they were (unless
            origins were thinned: all new ones count). An absolute loss takes one Newton step of
            the squared loss for the new residuals, cut off at three times their usual size.
            The errors that paths draw from stay as they are.

        Returns
        -------
        network : PooledNetwork
            Self, or a copy with new readouts.
        memories : list of Memory
        """
        values, exog, _ = as_lists(values, exog, None)
        news = [(Y, self.drive_.outside(X)) for Y, X in zip(values, exog)]
        network = self._taught(memories, news) if refit and self.horizon_ else self
        return network, self._grown(memories, news)

    def _taught(self, memories, news):
        stretches, T = [], []
        steps = np.arange(1, self.horizon_ + 1)
        for memory, (Y, X) in zip(memories, news):
            rows = np.concatenate([memory.recent, Y])
            origins = np.arange(len(rows) - 1)
            stretch = self._eligible(self.drive_.stretch(memory, Y, X, origins))
            target = targets(self.drive_.layout, stretch.rolled, rows, stretch.origins)
            target[stretch.origins[:, None] + steps < len(memory.recent)] = np.nan  # known before
            stretches.append(stretch)
            T.append(target)
        w = self._weights(stretches) / self._weight_unit
        other = copy.copy(self)
        other._readouts = [
            readout.taught(*self.drive_.features(r, stretches), np.concatenate(T), w)
            for r, readout in enumerate(self._readouts)
        ]
        return other

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
        return self._run(memories, n_steps, self._ahead(exog, len(memories), n_steps), None)

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
        together and scaled, so a path keeps the dependence between its steps. Where none are
        known, each block of steps moves as a normal variable with the usual absolute change.
        """
        errors = self.errors_
        if errors is None or not len(errors):
            shape = (1, max(self.horizon_, 1), self.drive_.layout.n_columns)
            errors = _USUAL_ERRORS[:, None, None] * np.ones(shape)

        def draw():
            return errors[rng.randint(len(errors), size=n_paths)]

        [ahead] = self._ahead(None if exog is None else [exog], 1, n_steps)
        block, unit = self._block([memory], [ahead])  # one forecast serves the paths at first
        first = block + draw() * unit
        if n_steps > first.shape[1]:
            news = [self._as_seen(memory, path, ahead) for path in first]
            memories = self._grown([memory] * n_paths, news)
            rest, left = ahead[first.shape[1] :], n_steps - first.shape[1]
            first = np.concatenate([first, self._run(memories, left, [rest] * n_paths, draw)], 1)
        return np.moveaxis(first[:, :n_steps], 0, 2)

    def _run(self, memories, n_steps, ahead, draw):
        """Forecasts in blocks of the trained steps, with errors added that `draw` gives."""
        done = [np.empty((len(memories), 0, self.drive_.layout.n_columns))]
        start = 0
        while start < n_steps:
            known = [rows[start:] for rows in ahead]
            block, unit = self._block(memories, known)
            if not block.shape[1]:  # as in a forged model file
                raise ValueError("The network has no steps to forecast.")
            block = block if draw is None else block + draw() * unit
            done.append(block[:, : n_steps - start])
            start += block.shape[1]
            if start < n_steps:
                news = [self._as_seen(m, y, x) for m, y, x in zip(memories, block, known)]
                memories = self._grown(memories, news)
        return np.concatenate(done, axis=1)

    def _ahead(self, exog, n_series, n_steps):
        """Known columns of the steps ahead, scaled."""
        if exog is None:
            return [np.zeros((n_steps, 0))] * n_series
        return [self.drive_.outside(X) for X in exog]

    def _as_seen(self, memory, block, known):
        """Forecasts as rows that were seen; past-only columns keep their last value."""
        n = len(block)
        past = np.repeat(memory.exog[-1:, self.drive_.layout.n_known :], n, axis=0)
        return block, np.concatenate([known[:n], past], axis=1)

    def _block(self, memories, ahead):
        """The trained steps after each memory, and the units of the errors, (n_series, 1, D)."""
        stretches = []
        for memory, known in zip(memories, ahead):
            last = np.array([len(memory.recent) - 1])
            nothing = memory.recent[:0], memory.exog[:0]
            stretches.append(self.drive_.stretch(memory, *nothing, last, self._one(), known))
        return self._guess(stretches, self._one())

    def _one(self):
        """The layout of a forecast: at least one step, if only of the reference."""
        layout = self.drive_.layout
        return layout if self.horizon_ else self.drive_.shortened(1).layout

    def _guess(self, stretches, layout, folds=None):
        """Forecasts (n_origins, horizon, D) of all origins, and their units (n_origins, 1, D)."""
        base = np.concatenate([references(layout, s.rolled, s.origins) for s in stretches])
        unit = np.concatenate([s.rolled.scale[s.origins] for s in stretches])[:, None]
        if not self.horizon_:
            return base, unit
        guesses = []
        for r, readout in enumerate(self._readouts):
            Z, E = self.drive_.features(r, stretches, layout)
            guesses.append(
                readout.predict(Z, E) if folds is None else readout.predict_left_out(Z, E, folds)
            )
        far = np.concatenate([farthest(layout, s.rolled, s.origins) for s in stretches])
        return base + np.clip(np.median(guesses, axis=0), -far, far) * unit, unit

    # -------------------------------------------------------------- diagnostics

    def held(self, memory: Memory, points: np.ndarray) -> np.ndarray:
        """Which of the trained steps of a forecast (n_steps, D) are held at the farthest."""
        layout, last = self._one(), np.array([len(memory.recent) - 1])
        nothing = memory.recent[:0], memory.exog[:0]
        rolled = self.drive_.stretch(memory, *nothing, last, layout).rolled
        n = min(len(points), layout.horizon)
        moved = np.abs(points[:n] - references(layout, rolled, last)[0, :n])
        far = (farthest(layout, rolled, last) * rolled.scale[last][:, None])[0, :n]
        return (moved >= (1 - 1e-9) * far) & (far > 0)

    def from_origins(
        self,
        Y: np.ndarray,
        X: np.ndarray,
        static: np.ndarray,
        origins: np.ndarray,
        *,
        n_steps: int | None = None,
        left_out: int | None = None,
        like: Memory | None = None,
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
        like : Memory, optional
            Of the series as it was known, whose `size` counts; by default that of these rows.
        """
        n_steps = 1 if left_out is not None or not self.horizon_ else n_steps or self.horizon_
        layout = self.drive_.shortened(n_steps).layout
        start, Y, X = self.drive_.start(Y, X, static)
        start = start if like is None else replace(start, size=like.size)
        folds = None if left_out is None else self._fold_of(left_out, origins)
        stretch = self.drive_.stretch(start, Y, X, origins, layout)
        return self._guess([stretch], layout, folds)[0]

    def one_step_after(self, memory: Memory, Y: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Predictions (n, D) of rows that follow, each from the rows before it."""
        layout = self.drive_.shortened(1).layout
        origins = len(memory.recent) - 1 + np.arange(len(Y))
        stretch = self.drive_.stretch(memory, Y, self.drive_.outside(X), origins, layout)
        return self._guess([stretch], layout)[0][:, 0]

    def _fold_of(self, i, origins):
        """The fold that held out each origin of series `i`; -1 if there are no folds."""
        starts, numbers = self._fold_places[i]
        if not len(starts):
            return np.full(len(origins), -1)
        return numbers[np.maximum(np.searchsorted(starts, origins, side="right") - 1, 0)]
