"""An echo state network that forecasts step by step, in arrays.

The network sees, at each step, the last values of all (transformed) variables and the
exogenous columns of the step to come, and predicts the next values. The newest values and the
exogenous columns drive the reservoir; older lags reach the readout alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from echocast.reservoir import (
    ESNRegressor,
    continue_fit,
    leave_one_out_errors,
    simulate_paths,
    with_penalty,
    without_rows,
)

from ._automatic import choose_lags, fitted_chain, safest_alpha
from ._exog_features import ExogFeatures

__all__ = ["Memory", "RecursiveNetwork"]

_CHUNK = 4096  # rows of states held at a time
_MOST_ERRORS = 1000
_FEWEST_UNITS = 5
_SHORT = 200
_FEWEST_ROWS = 4
_TRIALS = 5
_TRIAL_STEPS = 100
_MOST_RAISES = 10


@dataclass(frozen=True)
class Memory:
    """What a forecast continues from; a few rows, never the series.

    Parameters
    ----------
    state : ndarray of shape (n_units,)
        State of the reservoir before the newest value drives it.
    history : ndarray of shape (n_lags, n_columns)
        The last transformed rows.
    tails : list of ndarray
        What inverting the transforms needs.
    exog_tail : ndarray of shape (n_lost, n_exog)
        The last exogenous rows that differences need.
    position : int
        Steps from the first row of fit to the first step of the forecast.
    low, high : ndarray of shape (n_columns,)
        Range of the transformed rows seen so far.
    """

    state: np.ndarray
    history: np.ndarray
    tails: list
    exog_tail: np.ndarray
    position: int
    low: np.ndarray
    high: np.ndarray

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Where paths are held: one span beyond the extremes."""
        span = self.high - self.low
        return self.low - span, self.high + span

    def seen(self, Z: np.ndarray) -> dict[str, np.ndarray]:
        """The range when rows `Z` have been seen as well."""
        rows = np.vstack([self.low, self.high, Z])
        return {"low": rows.min(axis=0), "high": rows.max(axis=0)}


class RecursiveNetwork:
    """Transforms, lags and weights, learnt from the rows given here and fixed afterwards.

    Parameters
    ----------
    Y : ndarray of shape (n_steps, n_columns)
    X : ndarray of shape (n_steps, n_exog)
    season_length : int
    transforms, lags
        As in `ESNForecaster`.
    n_units : int
        Upper bound on the number of units.
    washout : int or "auto"
    input_scaling : float
    params : dict
        Further parameters of the `ESNRegressor`.
    seed : int
    owner : str
        Name of the forecaster in messages.
    known : ndarray of bool, shape (n_steps, n_columns), optional
        Which values of `Y` were observed; the readout learns rows of such alone. All by default.
    """

    def __init__(
        self,
        Y: np.ndarray,
        X: np.ndarray,
        season_length: int,
        *,
        transforms: Any,
        lags: Any,
        n_units: int,
        washout: Any,
        input_scaling: float,
        params: dict,
        seed: int,
        owner: str,
        known: np.ndarray | None = None,
    ):
        Z = self._transform(Y, X, season_length, transforms, owner)
        self.lags = choose_lags(lags, len(Z), self.n_columns, season_length, owner)
        rows = self._inputs(Z, self._features(X))
        self.washout = self._resolve_washout(washout, len(Y), len(rows), lags)
        weights = None if known is None else self.weights(known)
        self.n_units = self._bounded(n_units, len(rows), params["topology"])
        esn = ESNRegressor(
            n_units=self.n_units,
            input_scaling=self._scaling(input_scaling),
            washout=self.washout,
            random_state=seed,
            **params,
        ).fit(rows, Z[1:], sample_weight=weights)
        esn = without_rows(esn)
        self.esn = esn
        learnt = Z[1 + self.washout :]
        alpha = safest_alpha(
            esn, learnt if weights is None else learnt[weights[self.washout :] > 0]
        )
        if np.ndim(params["alpha"]) or isinstance(params["alpha"], str):
            self.esn = with_penalty(esn, alpha)  # a given one: learning more rows keeps it
            self._calm(Y, X, len(rows))

    @classmethod
    def without_weights(
        cls, Y: np.ndarray, X: np.ndarray, season_length: int, transforms: Any, owner: str
    ) -> tuple[RecursiveNetwork, np.ndarray]:
        """A network with transforms of its own and no weights yet, and the transformed rows."""
        network = cls.__new__(cls)
        return network, network._transform(Y, X, season_length, transforms, owner)

    def _transform(self, Y, X, season_length, transforms, owner):
        """Fit the transforms; the transformed rows."""
        self.chain = fitted_chain(transforms, Y, season_length, owner)
        self.exog = ExogFeatures(self.chain.steps, X)
        self.n_columns = Y.shape[1]
        Z = self.chain.forward(Y)
        self.low, self.high = Z.min(axis=0), Z.max(axis=0)
        return Z

    def weights(self, known: np.ndarray) -> np.ndarray:
        """One for each training row all of whose targets were observed, else zero."""
        complete = np.asarray(known.all(axis=1))[self.chain.n_lost + 1 :]
        if complete[self.washout :].sum() < _FEWEST_ROWS:
            raise ValueError(
                f"`y` must have at least {_FEWEST_ROWS} rows to learn from; {len(known)} rows with "
                f"{int((~known).sum())} missing values leave {complete[self.washout :].sum()}. Use "
                "missing='interpolate', or fewer lags and differences."
            )
        return complete.astype(np.float64)

    def _calm(self, Y, X, n_rows):
        """Raise a chosen penalty while the network, left to itself, runs off to the bounds.

        One-step errors do not show it: a loop can be unstable though each step is accurate.
        Only rows of fit are used, from origins in their second half, for at most half as many
        steps, so that a trend that goes on does not count as running off.
        """
        n_steps = min(_TRIAL_STEPS, n_rows // 2)
        ends = np.unique(np.linspace(len(Y) - n_rows // 2, len(Y), _TRIALS).astype(int))
        low, high = self._bounds()
        varying = high > low
        for _ in range(_MOST_RAISES):
            scaled = np.moveaxis(self._scaled_from(Y, X, ends, n_steps), 1, -1)
            held = (scaled <= low) | (scaled >= high)
            if not (held & varying).any():
                return
            self.esn = with_penalty(self.esn, 100.0 * max(self.esn.alpha_, 1e-14))

    def _bounds(self):
        """Where paths are held: one span beyond the extremes of the rows of fit."""
        return 2 * self.low - self.high, 2 * self.high - self.low

    # ------------------------------------------------------------ training rows

    def _features(self, X):
        """Exogenous features of the rows that the chain leaves."""
        return self.exog.forward(X)[self.chain.n_lost - self.exog.n_lost :]

    def _inputs(self, Z, E, history=None):
        """Input rows whose targets are ``Z[1:]``, or all of `Z` if `history` precedes it.

        Row: the values at each lag before the target (zero before the start), then the
        exogenous features of the target's own time.
        """
        longest = self.lags[-1]
        if history is None:
            history, targets = np.zeros((longest - 1, Z.shape[1])), Z[1:]
            E = E[1:]
        else:
            targets = Z
        whole = np.concatenate([history, Z])
        first = len(whole) - len(targets)
        blocks = [whole[first - lag : len(whole) - lag] for lag in self.lags]
        return np.concatenate([*blocks, E], axis=1)

    def _resolve_washout(self, washout, n_steps, n_rows, lags):
        """Rows without complete lags or a settled state, which the readout does not learn."""
        auto = isinstance(washout, str)
        skipped = max(min(100, n_rows // 10) if auto else washout, self.lags[-1] - 1)
        if n_rows - skipped < _FEWEST_ROWS:
            needed = n_steps - n_rows + skipped + _FEWEST_ROWS - 1
            shown = self.lags[-1] if lags is not None else "auto"
            raise ValueError(
                f"Length of `y` ({n_steps}) must be greater than the window needed ({needed}: "
                f"lags={shown}, washout={washout}, {self.chain.n_lost} rows lost to differences)."
            )
        return skipped

    def _bounded(self, n_units, n_rows, topology):
        """More units than these bring nothing but noise, the more so to a short series."""
        if not isinstance(topology, str):
            return n_units
        share = 8 if n_rows < _SHORT else 4
        return min(n_units, max(_FEWEST_UNITS, n_rows // share))

    def _scaling(self, scaling):
        """Input scaling by column: older lags do not drive the reservoir."""
        older = np.zeros((len(self.lags) - 1) * self.n_columns)
        return np.r_[
            np.full(self.n_columns, scaling), older, np.full(self.exog.n_features, scaling)
        ]

    def errors(
        self, Y: np.ndarray, X: np.ndarray, known: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Leave-one-out errors of the last training rows, transformed and in the units of y."""
        Z = self.chain.forward(Y)
        rows = self._inputs(Z, self._features(X))
        scaled = leave_one_out_errors(
            self.esn,
            rows,
            Z[1:],
            washout=self.washout,
            n_last=_MOST_ERRORS,
            sample_weight=None if known is None else self.weights(known),
        )
        scaled = scaled / (1 - self.chain.leverage)  # nor did the seasonal means see the row
        in_units = self._in_units(Z[len(Z) - len(scaled) :] - scaled, Y, 0)
        if known is None:
            return scaled, in_units
        seen = known[len(known) - len(scaled) :]
        return np.where(seen, scaled, np.nan), np.where(seen, in_units, np.nan)

    def _in_units(self, predicted, Y, start):
        """Errors in the units of y of one-step predictions of the last transformed rows."""
        return Y[len(Y) - len(predicted) :] - self.chain.one_step(predicted, Y, start)

    # ------------------------------------------------------------------ history

    def start(
        self, Y: np.ndarray, X: np.ndarray, first: int, state: np.ndarray | None = None
    ) -> Memory:
        """Memory after rows whose first has position `first`.

        The network runs over them from the zero state, unless their last state is given.
        """
        self._require(len(Y))
        Z = self.chain.forward(Y, first)
        if state is None:
            state = np.zeros(self.n_units)
            for _, _, states in self._run(self._inputs(Z, self._features(X)), state):
                state = states[-1]
        return Memory(
            state.copy(),
            self._last(Z),
            self.chain.tails(Y, first),
            self.exog.tail(X),
            first + len(Y),
            np.minimum(self.low, Z.min(axis=0)),
            np.maximum(self.high, Z.max(axis=0)),
        )

    @property
    def n_needed(self) -> int:
        """The fewest rows that a forecast can follow."""
        return self.chain.n_lost + self.lags[-1] + 1

    def _require(self, n_steps):
        needed = self.n_needed
        if n_steps < needed:
            raise ValueError(
                f"Length of `y` ({n_steps}) must be greater than the window needed "
                f"({needed - 1}: lags={self.lags[-1]}, {self.chain.n_lost} rows lost to "
                "differences)."
            )

    def _last(self, Z):
        return Z[len(Z) - self.lags[-1] :].copy()

    def _run(self, rows, state) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield (first row, predictions, states) in chunks of rows."""
        to_output, direct = np.split(self.esn.coef_, [self.n_units], axis=1)
        for first in range(0, len(rows), _CHUNK):
            part = rows[first : first + _CHUNK]
            states = self.esn.transform(part, initial_state=state)
            state = states[-1]
            predicted = states @ to_output.T + self.esn.intercept_
            if self.esn.include_input:
                predicted = predicted + part @ direct.T
            yield first, predicted, states

    def advance(
        self, memory: Memory, Y: np.ndarray, X: np.ndarray
    ) -> tuple[Memory, np.ndarray, np.ndarray, np.ndarray]:
        """Move on over rows that follow `memory`.

        Returns
        -------
        memory : Memory
        rows, targets : ndarray
            What the network saw and should have predicted.
        predicted : ndarray of shape (n_steps, n_columns)
            One-step predictions of the transformed rows.
        """
        Z, tails = self.chain.extend(Y, memory.tails, memory.position)
        exog = np.concatenate([memory.exog_tail, X])
        rows = self._inputs(Z, self.exog.forward(exog), memory.history)
        runs = list(self._run(rows, memory.state))
        moved = replace(
            memory,
            state=runs[-1][2][-1].copy(),
            history=self._last(np.concatenate([memory.history, Z])),
            tails=tails,
            exog_tail=self.exog.tail(exog),
            position=memory.position + len(Y),
            **memory.seen(Z),
        )
        return moved, rows, Z, np.concatenate([predicted for _, predicted, _ in runs])

    def errors_after(self, memory: Memory, Y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Errors in the units of y of the predictions that `advance` gave for the rows `Y`."""
        return Y - self.chain.one_step_after(predicted, Y, memory.tails, memory.position)

    def learning(
        self,
        memory: Memory,
        rows: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None = None,
    ) -> RecursiveNetwork:
        """A network whose readout has also learnt from rows that follow `memory`."""
        other = copy.copy(self)
        esn = continue_fit(self.esn, rows, targets, state=memory.state, sample_weight=weights)
        other.esn = without_rows(esn)
        return other

    def one_step(self, Y: np.ndarray, X: np.ndarray, first: int) -> np.ndarray:
        """Predictions of the rows that have complete lags, in the units of y."""
        self._require(len(Y))
        Z = self.chain.forward(Y, first)
        rows = self._inputs(Z, self._features(X))
        predicted = np.concatenate([p for _, p, _ in self._run(rows, np.zeros(self.n_units))])
        return self.chain.one_step(predicted[self.lags[-1] - 1 :], Y, first)

    # ----------------------------------------------------------------- forecast

    def paths(
        self, memory: Memory, n_steps: int, X: np.ndarray, innovations: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paths in the units of y, and in transformed units, (n_steps, n_columns, n_paths).

        Parameters
        ----------
        memory : Memory
        n_steps : int
        X : ndarray of shape (n_steps, n_exog)
        innovations : ndarray of shape (n_steps, n_columns, n_paths), optional
            Errors of the transformed rows; one path without any by default.
        """
        known = self.exog.forward(np.concatenate([memory.exog_tail, X]))
        scaled = simulate_paths(
            self.esn,
            n_steps,
            history=memory.history,
            lags=self.lags,
            state=memory.state,
            X=known,
            innovations=innovations,
            bounds=memory.bounds,
        )
        return self.chain.invert(scaled, memory.tails, memory.position), scaled

    def paths_from(
        self, Y: np.ndarray, X: np.ndarray, ends: np.ndarray, n_steps: int
    ) -> np.ndarray:
        """Point forecasts (n_steps, n_columns, n_ends), each after the first ``ends[i]`` rows.

        Exogenous rows after the last one repeat it; the caller leaves such steps out.
        """
        scaled = self._scaled_from(Y, X, ends, n_steps)
        return self.chain.invert(scaled, self.chain.tails_at(Y, ends), ends)

    def _scaled_from(self, Y, X, ends, n_steps):
        """The same before the transforms are undone."""
        Z = self.chain.forward(Y)
        E = self._features(np.concatenate([X, np.repeat(X[-1:], n_steps, axis=0)]))
        rows = self._inputs(Z, E[: len(Z)])
        before = ends - self.chain.n_lost - 2  # the row whose state each forecast starts from
        states = np.empty((self.n_units, len(ends)))
        for first, _, block in self._run(rows, np.zeros(self.n_units)):
            here = (before >= first) & (before < first + len(block))
            states[:, here] = block[before[here] - first].T
        padded = np.concatenate([np.zeros((self.lags[-1], Z.shape[1])), Z])
        last = ends - self.chain.n_lost + self.lags[-1]
        history = padded[last[None, :] + np.arange(-self.lags[-1], 0)[:, None]]
        known = E[(ends - self.chain.n_lost)[None, :] + np.arange(n_steps)[:, None]]
        return simulate_paths(
            self.esn,
            n_steps,
            history=np.moveaxis(history, 1, 2),
            lags=self.lags,
            state=states,
            X=np.moveaxis(known, 1, 2),
            bounds=self._bounds(),
        )
