"""Forecasts by any step model on lags: transforms, rows, memory and loops, in arrays.

A row holds the values at the lags before its *origin* and the known columns of its own time. A
model of shift s learns what comes s steps after the first one ahead, from rows whose lags are
that much older; it may give several steps at once, of which its row's time is the last. So all
strategies are one: recursive forecasts have a single model of shift 0, which runs on its own
outputs; direct ones have a model for each step ahead; and multi-output ones have a single model
that gives all of them. What lies beyond their horizon continues from the forecasts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from echocast.reservoir import NVARRegressor

from ._automatic import fitted_chain
from ._exog_features import ExogFeatures
from ._lagged_loop import LagLoop
from ._recursive import Memory
from ._step_models import RidgeSteps, StepModel

__all__ = ["LagMemory", "LaggedModel", "steps_of"]

_MOST_ERRORS = 1000
_FEWEST_ROWS = 4
_FEWEST_ERRORS = 20  # rows without gaps, below which gaps are filled
_TRIALS = 5
_TRIAL_STEPS = 100
_MOST_RAISES = 10


def steps_of(strategy: str, horizon: int) -> list[tuple[int, int]]:
    """(shift, number of steps) of the models of a strategy."""
    if strategy == "recursive":
        return [(0, 1)]
    if strategy == "direct":
        return [(shift, 1) for shift in range(horizon)]
    return [(horizon - 1, horizon)]


@dataclass(frozen=True)
class LagMemory(Memory):
    """What a forecast continues from; a few rows, never the series.

    `state` is a list with the state of each model before the row of the next step to come, and
    `history` also holds the rows that models of a large shift need. `observed` says which rows of
    y, as many as `history` has, were observed and not filled in; None: all.
    """

    state: Any
    observed: np.ndarray | None = None

    def observing(self, known: np.ndarray) -> LagMemory:
        """The same, of rows of which those `known` were observed."""
        last = known[len(known) - len(self.history) :]
        return replace(self, observed=None if last.all() else last.copy())


class LaggedModel:
    """Transforms, lags and step models, learnt from the rows given here and fixed afterwards.

    Parameters
    ----------
    Y : ndarray of shape (n_steps, n_columns)
    X : ndarray of shape (n_steps, n_exog)
    season_length : int
    transforms : "auto" or list
        As in `ESNForecaster`.
    lags : callable
        From the transformed rows (n, D) and the exogenous features (n, K) of the same times to
        the lags, ascending.
    make : callable
        Makes an unfitted `StepModel`.
    steps : list of pairs of int
        See `steps_of`.
    owner : str
        Name of the forecaster in messages.
    known : ndarray of bool, shape (n_steps,), optional
        Which rows of `Y` were observed; the others are no examples. All by default.
    n_jobs : int, optional
        Parallel fits of the models.
    """

    def __init__(
        self,
        Y: np.ndarray,
        X: np.ndarray,
        season_length: int,
        *,
        transforms: Any,
        lags: Callable[[np.ndarray, np.ndarray], tuple],
        make: Callable[[], StepModel],
        steps: Sequence[tuple[int, int]],
        owner: str,
        known: np.ndarray | None = None,
        n_jobs: int | None = None,
    ):
        self.chain = fitted_chain(transforms, Y, season_length, owner)
        self.exog = ExogFeatures(self.chain.steps, X)
        self.steps = list(steps)
        Z, E = self.chain.forward(Y), self._features(X)
        self.effect = self._known_effect(Z, E)
        Z, E = self._cleared(Z, E)
        self.lags = lags(Z, E)
        self.models: list[StepModel] = []  # to come; tables need the lags alone
        self.horizon = self._loop.horizon
        self.n_columns = Y.shape[1]
        needed = self.chain.n_lost + self.lags[-1] + self.horizon - 1 + _FEWEST_ROWS
        if len(Y) < needed:
            raise ValueError(
                f"Length of `y` ({len(Y)}) must be greater than the window needed ({needed - 1}: "
                f"lags={self.lags[-1]}, {self.horizon} step(s) ahead, {self.chain.n_lost} rows "
                "lost to differences)."
            )
        tables = [
            (*table, weights)
            for table, weights in zip(
                (self._table(Z, E, *step) for step in self.steps), self.weights(known)
            )
        ]
        if n_jobs in (None, 1) or len(tables) == 1:
            self.models = [make().fit(*table) for table in tables]
        else:
            self.models = Parallel(n_jobs=n_jobs)(delayed(make().fit)(*table) for table in tables)
        self.low, self.high = Z.min(axis=0), Z.max(axis=0)
        if self.models[0].can_calm:
            self._calm(Y, X, len(tables[0][0]))

    def lean(self) -> LaggedModel:
        """A copy whose models hold no rows of the fit."""
        other = copy.copy(self)
        other.models = [model.lean() for model in self.models]
        return other

    @property
    def n_needed(self) -> int:
        """Rows that a history must have."""
        return self.chain.n_lost + self.lags[-1] + self.horizon

    def weights(self, known: np.ndarray | None, first: int | None = None) -> list:
        """For each model one for rows all of whose targets were observed, else zero; or None.

        Parameters
        ----------
        known : ndarray of bool, shape (n_steps,), or None
            Which rows were observed.
        first : int, optional
            The time of the first row of a table; by default the one of a fit.

        Raises
        ------
        ValueError
            If this leaves a fit too few rows.
        """
        if known is None:
            return [None] * len(self.steps)
        found = []
        for shift, width in self.steps:
            start = self.chain.n_lost + self.lags[-1] + shift if first is None else first
            ahead = [known[start - k : len(known) - k] for k in range(width)]
            found.append(np.all(ahead, axis=0).astype(np.float64))
        fewest = min(w.sum() for w in found)
        if first is None and fewest < _FEWEST_ROWS:
            raise ValueError(
                f"`y` must have at least {_FEWEST_ROWS} rows to learn from; {len(known)} rows, "
                f"{int((~known).sum())} of them with missing values, leave {fewest:.0f}. Use "
                "missing='interpolate', or fewer lags and differences."
            )
        return found

    def _calm(self, Y, X, n_rows):
        """Raise a chosen penalty while the model, left to itself, runs off to the bounds.

        One-step errors do not show it: a loop can be unstable though each step is accurate.
        Only rows of fit are used, from origins in their second half, for at most half as many
        steps, so that a trend that goes on does not count as running off.
        """
        n_steps = min(_TRIAL_STEPS, n_rows // 2)
        ends = np.unique(np.linspace(len(Y) - n_rows // 2, len(Y), _TRIALS).astype(int))
        low, high = 2 * self.low - self.high, 2 * self.high - self.low
        varying = high > low
        for _ in range(_MOST_RAISES):
            scaled = np.moveaxis(self._scaled_from(Y, X, ends, n_steps), 1, -1)
            held = (scaled <= low) | (scaled >= high)
            if not (held & varying).any():
                return
            self.models[0].calmer()

    # ----------------------------------------------- known columns of many steps at once

    def _known_effect(self, Z, E):
        """A ridge on the known columns, which a row of several steps at once has no place for."""
        if self.steps[0][1] == 1 or not E.shape[1]:
            return None
        ridge = NVARRegressor(delays=1, degree=1, alpha="auto", increments=False)
        return RidgeSteps(ridge).fit(E, Z).lean()

    def _cleared(self, Z, E):
        """Rows without the effect of the known columns, and what columns rows still hold."""
        return (Z, E) if self.effect is None else (Z - self._effect_of(E), E[:, :0])

    def _effect_of(self, E):
        return 0.0 if self.effect is None else self.effect.run(E[None], None)[0][0]

    # ---------------------------------------------------------------- tables

    @property
    def _loop(self):
        return LagLoop(self.models, self.steps, self.lags)

    def _features(self, X):
        """Exogenous features of the rows that the chain leaves."""
        return self.exog.forward(X)[self.chain.n_lost - self.exog.n_lost :]

    def _table(self, Z, E, shift, width, first=None):
        """Rows and targets of one model for the times from `first` on, by default all it can."""
        first = self.lags[-1] + shift if first is None else first
        n_rows = len(Z) - first
        E = E[len(E) - n_rows :, :, None]
        rows = self._loop.rows(Z[:, :, None], E, first, n_rows, shift)[0]
        ahead = [Z[first - width + 1 + k : len(Z) - width + 1 + k] for k in range(width)]
        return rows, np.concatenate(ahead, axis=1)

    def _all_rows(self, Y, X, first):
        Z = self.chain.forward(Y, first)
        if len(Y) < self.n_needed:
            raise ValueError(
                f"Length of `y` ({len(Y)}) must be greater than the window needed "
                f"({self.n_needed - 1}: lags={self.lags[-1]}, {self.horizon} step(s) ahead, "
                f"{self.chain.n_lost} rows lost to differences)."
            )
        return self._cleared(Z, self._features(X))

    # ----------------------------------------------------------------- errors

    def errors(
        self, Y: np.ndarray, X: np.ndarray, known: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Errors of training rows by weights that did not learn from them.

        Rows with a value that was not `known` are left out of `scaled` where enough others are
        there, and NaN in `residuals`.

        Returns
        -------
        scaled : ndarray of shape (n_rows, horizon * n_columns)
            Errors of all steps ahead from one origin, of the transformed rows.
        residuals : ndarray of shape (n_rows, n_columns)
            Errors of one step in the units of y.
        """
        whole = self.chain.forward(Y)
        Z, E = self._cleared(whole, self._features(X))
        found, n_rows = [], []
        weights = self.weights(known)
        for model, step, weight in zip(self.models, self.steps, weights):
            rows, targets = self._table(Z, E, *step)
            errors = model.errors(rows, targets, _MOST_ERRORS + self.horizon, weight)
            if weight is not None:
                errors = np.where(weight[len(weight) - len(errors) :, None] > 0, errors, np.nan)
            found.append(errors)
            n_rows.append(len(rows))
        # a row's number counts origins, so that the same number is the same origin everywhere
        begin = max(n - len(e) for n, e in zip(n_rows, found))
        end = min(n_rows)
        joint = [e[begin - (n - len(e)) : len(e) - (n - end)] for n, e in zip(n_rows, found)]
        leverage = self.chain.leverage  # nor did the seasonal means see the row
        scaled = np.concatenate(joint, axis=1)
        spread = np.tile(np.broadcast_to(leverage, self.n_columns), self.horizon)
        scaled = (_without_gaps(scaled) / (1 - spread))[-_MOST_ERRORS:]
        single = found[0][:, : self.n_columns] / (1 - leverage)
        if self.steps[0][1] > 1:  # the last values stand in no row that all targets are known of
            rows = self._table(Z, E, *self.steps[0])[0]
            n_open = self.horizon - 1
            fitted = self._first_steps(Z, *self.models[0].run(rows[None], None))
            beyond = Z[len(Z) - n_open :] - fitted[len(fitted) - n_open :]
            single = np.concatenate([single, beyond])
        if known is not None:
            single = np.where(known[len(known) - len(single) :, None], single, np.nan)
        predicted = whole[len(whole) - len(single) :] - single
        single = Y[len(Y) - len(single) :] - self.chain.one_step(predicted, Y, 0)
        return scaled, single[-_MOST_ERRORS:]

    # ---------------------------------------------------------------- history

    def start(self, Y: np.ndarray, X: np.ndarray, first: int) -> LagMemory:
        """Memory after rows whose first has position `first`."""
        Z, E = self._all_rows(Y, X, first)
        states = []
        for model, step in zip(self.models, self.steps):
            rows = self._table(Z, E, *step)[0]
            states.append(model.run(rows[None], None)[1])
        return LagMemory(
            state=states,
            history=self._last(Z),
            tails=self.chain.tails(Y, first),
            exog_tail=self.exog.tail(X),
            position=first + len(Y),
            low=np.minimum(self.low, Z.min(axis=0)),
            high=np.maximum(self.high, Z.max(axis=0)),
        )

    def _last(self, Z):
        return Z[len(Z) - self.lags[-1] - self.horizon + 1 :].copy()

    def advance(
        self, memory: LagMemory, Y: np.ndarray, X: np.ndarray
    ) -> tuple[LagMemory, list, np.ndarray, np.ndarray]:
        """Move on over rows that follow `memory`.

        Returns
        -------
        memory : LagMemory
        tables : list of pairs of ndarray
            For each model the rows it saw and what it should have predicted.
        targets, predicted : ndarray of shape (n_steps, n_columns)
            The transformed rows and their one-step predictions.
        """
        Z, tails = self.chain.extend(Y, memory.tails, memory.position)
        exog = np.concatenate([memory.exog_tail, X])
        features = self.exog.forward(exog)
        effect, (cleared, E) = self._effect_of(features), self._cleared(Z, features)
        whole = np.concatenate([memory.history, cleared])
        tables = [self._table(whole, E, *step, first=len(whole) - len(Z)) for step in self.steps]
        runs = [
            model.run(rows[None], state)
            for model, (rows, _), state in zip(self.models, tables, memory.state)
        ]
        moved = replace(
            memory,
            state=[state for _, state in runs],
            history=self._last(whole),
            tails=tails,
            exog_tail=self.exog.tail(exog),
            position=memory.position + len(Y),
            **memory.seen(cleared),
        )
        return moved, tables, Z, self._first_steps(whole, *runs[0])[-len(Z) :] + effect

    def _first_steps(self, Z, outputs, state):
        """One-step predictions up to the last row of `Z` from outputs (1, n, q) of a model.

        A model that gives several steps at once predicts the first of them from rows of later
        times, which lie beyond the end for the last few of them.
        """
        shift, width = self.steps[0]
        if width > 1:
            padded = np.concatenate([Z, np.zeros((shift, Z.shape[1]))])[:, :, None]
            rows = self._loop.rows(padded, np.empty((shift, 0, 1)), len(Z), shift, shift)
            outputs = np.concatenate([outputs, self.models[0].run(rows, state)[0]], axis=1)
        return outputs[0, :, : self.n_columns]

    def errors_after(self, memory: LagMemory, Y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Errors in the units of y of the predictions that `advance` gave for the rows `Y`."""
        return Y - self.chain.one_step_after(predicted, Y, memory.tails, memory.position)

    def learning(self, memory: LagMemory, tables: list, weights: list) -> LaggedModel:
        """A copy whose models have also learnt from rows that follow `memory`."""
        other = copy.copy(self)
        other.models = [
            model.learn(rows, targets, state, weight)
            for model, (rows, targets), state, weight in zip(
                self.models, tables, memory.state, weights
            )
        ]
        return other

    def one_step(self, Y: np.ndarray, X: np.ndarray, first: int) -> np.ndarray:
        """Predictions of the rows that have complete lags, in the units of y."""
        Z, E = self._all_rows(Y, X, first)
        rows = self._table(Z, E, *self.steps[0])[0]
        predicted = self._first_steps(Z, *self.models[0].run(rows[None], None))
        if self.effect is not None:
            predicted = predicted + self._effect_of(self._features(X))[-len(predicted) :]
        return self.chain.one_step(predicted, Y, first)

    # --------------------------------------------------------------- forecast

    def paths(
        self, memory: LagMemory, n_steps: int, X: np.ndarray, innovations: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paths in the units of y, and in transformed units, (n_steps, n_columns, n_paths).

        Parameters
        ----------
        memory : LagMemory
        n_steps : int
        X : ndarray of shape (n_steps, n_exog)
        innovations : ndarray of shape (n_steps, n_columns, n_paths), optional
            Errors of the transformed rows; one path without any by default.
        """
        known = self.exog.forward(np.concatenate([memory.exog_tail, X]))
        n_paths = 1 if innovations is None else innovations.shape[2]
        history = np.repeat(memory.history[:, :, None], n_paths, axis=2)
        states = [None if s is None else np.repeat(s, n_paths, axis=0) for s in memory.state]
        inputs = known[:, :, None] if self.effect is None else np.empty((n_steps, 0, 1))
        scaled = self._loop.run(history, inputs, states, n_steps, innovations, memory.bounds)
        whole = scaled
        if self.effect is not None:
            whole = scaled + self._effect_of(known)[:, :, None]
        return self.chain.invert(whole, memory.tails, memory.position), scaled

    def paths_from(
        self, Y: np.ndarray, X: np.ndarray, ends: np.ndarray, n_steps: int
    ) -> np.ndarray:
        """Point forecasts (n_steps, n_columns, n_ends), each after the first ``ends[i]`` rows.

        Exogenous rows after the last one repeat it; the caller leaves such steps out.
        """
        scaled = self._scaled_from(Y, X, ends, n_steps)
        if self.effect is not None:
            E = self._features(np.concatenate([X, np.repeat(X[-1:], n_steps, axis=0)]))
            places = (ends - self.chain.n_lost)[None, :] + np.arange(n_steps)[:, None]
            scaled = scaled + np.moveaxis(self._effect_of(E)[places], 1, 2)
        return self.chain.invert(scaled, self.chain.tails_at(Y, ends), ends)

    def _scaled_from(self, Y, X, ends, n_steps):
        """The same before the transforms are undone; ends ascend."""
        E = self._features(np.concatenate([X, np.repeat(X[-1:], n_steps, axis=0)]))
        Z = self.chain.forward(Y)
        Z, E = self._cleared(Z, E[: len(Z)])[0], self._cleared(0.0, E)[1]
        places = ends - self.chain.n_lost
        states = [
            self._states_at(model, *step, Z, E, places)
            for model, step in zip(self.models, self.steps)
        ]
        n_before = self.lags[-1] + self.horizon - 1
        padded = np.concatenate([np.zeros((n_before, Z.shape[1])), Z])
        history = padded[places[None, :] + np.arange(n_before)[:, None]]
        known = E[places[None, :] + np.arange(n_steps)[:, None]]
        bounds = 2 * self.low - self.high, 2 * self.high - self.low
        history, known = np.moveaxis(history, 1, 2), np.moveaxis(known, 1, 2)
        return self._loop.run(history, known, states, n_steps, None, bounds)

    def _states_at(self, model, shift, width, Z, E, places):
        """States (n_places, ...) before the rows of the times `places`."""
        rows = self._table(Z, E[: len(Z)], shift, width)[0]
        state, done, states = None, 0, []
        for place in places - self.lags[-1] - shift:
            if place > done:
                state, done = model.run(rows[None, done:place], state)[1], place
            states.append(state)
        if any(state is None for state in states):  # no memory, or nothing seen before them all
            return None
        return np.concatenate(states)


def _without_gaps(errors):
    """Rows of errors without NaN, or with the last known error of the same column in their places.

    The latter where many steps ahead leave few origins after which all values were observed.
    """
    gaps = np.isnan(errors)
    whole = ~gaps.any(axis=1)
    if whole.all() or whole.sum() >= _FEWEST_ERRORS:
        return errors[whole]
    if gaps.all(axis=0).any():
        return errors[:0]
    filled = errors.copy()
    for column, gap in zip(filled.T, gaps.T):
        known = np.flatnonzero(~gap)
        before = np.searchsorted(known, np.flatnonzero(gap)) - 1
        column[gap] = column[known[np.maximum(before, 0)]]
    return filled[~gaps.all(axis=1)]
