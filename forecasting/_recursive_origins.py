"""Forecasts of a recursive network from many origins: one pass of states, one closed loop.

The transforms, lags, penalty and reservoir are those of one fit; only the readout differs from
origin to origin. It is the ridge solution over the rows that the origin may learn from, which a
`RunningReadout` gives after each stretch of rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from echocast._checks import stack_level
from echocast.exceptions import ForecastDivergenceWarning
from echocast.reservoir import RunningReadout, simulate_paths

from ._intervals import draw_innovations, path_quantiles
from ._levels import level_bounds
from ._recursive import RecursiveNetwork

__all__ = ["OriginForecasts", "Origins", "forecast_origins"]

_MOST_ERRORS = 1000
_MOST_COLUMNS = 8192  # of states that run through the loop at a time


@dataclass(frozen=True)
class Origins:
    """Where forecasts begin and what each may learn from, counted in rows from the first of fit.

    Parameters
    ----------
    ends : ndarray of shape (n_origins,)
        Rows known at each origin, increasing; the first are the rows of fit.
    starts : ndarray of shape (n_origins,)
        First row that the readout in use at the origin learns from.
    learns : ndarray of bool, shape (n_origins,)
        Whether the readout is learnt again there; the others use the one before.
    n_steps : int
        Steps to forecast, from the row after each end.
    known : ndarray of shape (n_origins, n_steps, n_exog)
        Exogenous rows that each forecast is given.
    """

    ends: np.ndarray
    starts: np.ndarray
    learns: np.ndarray
    n_steps: int
    known: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)


def forecast_origins(
    forecaster: Any, values: np.ndarray, exog: np.ndarray, origins: Origins, levels: list
) -> dict[str, np.ndarray] | None:
    """What a fitted, recursive `ESNForecaster` forecasts from each origin.

    Parameters
    ----------
    forecaster : ESNForecaster
        Fitted to the first ``origins.ends[0]`` rows; not changed.
    values : ndarray of shape (n_steps, n_columns)
        Without NaN.
    exog : ndarray of shape (n_steps, n_exog)
        Past-only columns last.
    origins : Origins
    levels : list of float

    Returns
    -------
    dict or None
        Fields "forecast", "lo-80", "hi-80", ... of shape (n_origins, n_steps, n_columns); None
        if the settings do not allow it: calibration forecasts (`interval="conformal"`) and
        noise in the training states belong to fits of their own.
    """
    noisy = forecaster.noise and origins.learns[1:].any()
    if forecaster.strategy != "recursive" or noisy or np.isnan(values).any():
        return None
    if levels and forecaster.interval != "bootstrap":
        return None
    n_columns = forecaster._fit_form.n_columns
    values, exog = forecaster._with_past(values, exog)
    errors = forecaster._fit_errors if levels else None
    run = OriginForecasts(forecaster._fit_network, values, exog, origins, errors)
    points, held = run.points()
    _warn_if_held(held[:, :n_columns], forecaster._fit_form.labels)
    fields = {"forecast": np.moveaxis(points[:, :n_columns], 2, 0)}
    if levels:
        wanted = [p for level in levels for p in level_bounds(level)]
        names = [f"{side}-{level:g}" for level in levels for side in ("lo", "hi")]
        bands = run.quantiles(
            forecaster.n_boot,
            forecaster._fit_seed,
            lambda paths: path_quantiles(paths[:, :n_columns], wanted),
        )
        fields.update({name: np.stack([b[k] for b in bands]) for k, name in enumerate(names)})
    return fields


def _warn_if_held(held, labels):
    if held.any():
        n_origins = int(held.any(axis=(0, 1)).sum())
        column = labels[int(np.argmax(held.any(axis=(0, 2))))]
        warnings.warn(
            f"Forecasts from {n_origins} of {held.shape[2]} origins leave the training range of "
            f"{column!r} (after transforms) by 1x its span and are held there.",
            ForecastDivergenceWarning,
            stacklevel=stack_level(),
        )


class OriginForecasts:
    """Run a network over all rows once and keep what each origin needs.

    Parameters
    ----------
    network : RecursiveNetwork
        Fitted to the first ``origins.ends[0]`` rows.
    Y : ndarray of shape (n_steps, n_columns)
        Rows up to the last end or further; those after an origin's end do not reach it.
    X : ndarray of shape (n_steps, n_exog)
    origins : Origins
    errors : ndarray of shape (n_errors, n_columns), optional
        One-step errors of the fit, transformed; if given, those of each origin are made.
    """

    def __init__(
        self,
        network: RecursiveNetwork,
        Y: np.ndarray,
        X: np.ndarray,
        origins: Origins,
        errors: np.ndarray | None = None,
    ):
        self.network, self.origins = network, origins
        self.Y, self.X = Y[: origins.ends[-1]], X[: origins.ends[-1]]
        self._Z = network.chain.forward(self.Y)
        self.errors: list = []  # of each origin, if wanted
        self._states: list = []
        self._readouts: list = []
        self._walk(network._inputs(self._Z, network._features(self.X)), errors)

    def _walk(self, rows, errors):
        """One pass over the input rows, which stops at each origin to take what it needs."""
        network, origins = self.network, self.origins
        lost = network.chain.n_lost
        tracker = _Tracker(network, origins, errors is not None)
        readout = network.esn.coef_, network.esn.intercept_
        state, done, mine = np.zeros(network.n_units), 0, errors
        if tracker.skips_fit:
            state, done = network.esn.state_, int(origins.ends[0]) - lost - 1
        pieces = _Pieces(network._run(rows[done : origins.ends[-1] - lost - 1], state), done)
        for i, stop in enumerate(origins.ends - lost - 1):
            predictions = []
            for states in pieces.upto(stop):
                upto = done + len(states)
                features = tracker.take(states, rows[done:upto], self._Z[1 + done : 1 + upto])
                if errors is not None:
                    predictions.append(features @ readout[0].T + readout[1])
                state, done = states[-1], upto
            if i and origins.learns[i]:
                readout = tracker.readout(i)
                mine = tracker.errors(origins.ends[0] - lost) if errors is not None else None
            elif i and errors is not None:  # rows that the readout in use has not seen
                new = self._Z[1 + done - sum(map(len, predictions)) : 1 + done]
                mine = np.concatenate([mine, new - np.concatenate(predictions)])[-_MOST_ERRORS:]
            self._states.append(state)
            self._readouts.append(readout)
            self.errors.append(mine)

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Point forecasts (n_steps, n_columns, n_origins), and where they were held (bool)."""
        everyone = np.arange(len(self.origins))
        scaled, (low, high) = self._loop(everyone, 1, None)
        held = ((scaled <= low) | (scaled >= high)) & (low < high)
        return self._invert(scaled, everyone, 1), held

    def quantiles(
        self,
        n_paths: int,
        seed: int,
        reduce: Callable[[np.ndarray], np.ndarray],
    ) -> list[np.ndarray]:
        """``reduce(paths)`` of the simulated paths (n_steps, n_columns, n_paths) of each origin.

        All origins draw from their own errors with the same seed, as fits of their own would.
        """
        parts, share = [], max(1, _MOST_COLUMNS // n_paths)
        n_steps = self.origins.n_steps
        for first in range(0, len(self.origins), share):
            chosen = np.arange(first, min(first + share, len(self.origins)))
            shocks = [
                draw_innovations(self.errors[i], n_steps, n_paths, np.random.RandomState(seed))
                for i in chosen
            ]
            scaled, _ = self._loop(chosen, n_paths, np.concatenate(shocks, axis=2))
            paths = self._invert(scaled, chosen, n_paths)
            parts += [reduce(part) for part in np.split(paths, len(chosen), axis=2)]
        return parts

    def _invert(self, scaled, chosen, n_paths):
        chain, ends = self.network.chain, self.origins.ends[chosen]
        tails = [np.repeat(tail, n_paths, axis=2) for tail in chain.tails_at(self.Y, ends)]
        return chain.invert(scaled, tails, np.repeat(ends, n_paths))

    def _loop(self, chosen, n_paths, innovations):
        """Transformed paths of some origins, `n_paths` columns each, and their bounds."""
        network, n_steps = self.network, self.origins.n_steps
        past, known, bounds = [], [], []
        for i in chosen:
            end, z_end = self.origins.ends[i], self.origins.ends[i] - network.chain.n_lost
            past.append(self._Z[z_end - network.lags[-1] : z_end])
            tail = network.exog.tail(self.X[:end])
            known.append(network.exog.forward(np.concatenate([tail, self.origins.known[i]])))
            seen = self._Z[self.origins.starts[i] : z_end]
            low, high = seen.min(axis=0), seen.max(axis=0)
            bounds.append((2 * low - high, 2 * high - low))
        low, high = (np.repeat(np.stack(side, axis=1), n_paths, axis=1) for side in zip(*bounds))
        coefs, intercepts = zip(*(self._readouts[i] for i in chosen))
        scaled = simulate_paths(
            network.esn,
            n_steps,
            history=np.repeat(np.stack(past, axis=2), n_paths, axis=2),
            lags=network.lags,
            state=np.repeat(np.stack([self._states[i] for i in chosen], axis=1), n_paths, axis=1),
            X=np.repeat(np.stack(known, axis=2), n_paths, axis=2),
            innovations=innovations,
            bounds=(low, high),
            readouts=(np.stack(coefs), np.stack(intercepts)),
        )
        return scaled, (low, high)


class _Pieces:
    """States of a run in long chunks, handed out in stretches that end where they are asked to."""

    def __init__(self, run, first):
        self.run, self.done = run, first
        self.rest = np.empty((0, 0))

    def upto(self, stop):
        """Yield the states of the rows before `stop` that have not been handed out."""
        while self.done < stop:
            if not len(self.rest):
                _, _, self.rest = next(self.run)
            part = self.rest[: stop - self.done]
            self.rest = self.rest[len(part) :]
            self.done += len(part)
            yield part


class _Tracker:
    """Statistics of the rows so far, and as many of the rows as are still needed."""

    def __init__(self, network, origins, with_errors):
        esn, self.network = network.esn, network
        self.moving = bool((origins.starts != origins.starts[0]).any())
        self.learning = bool(origins.learns[1:].any())
        self.with_input = esn.include_input
        self.options = {
            "n_features": esn.coef_.shape[1],
            "n_targets": len(esn.coef_),
            "alpha": float(esn.alpha_),
            "fit_intercept": esn.fit_intercept,
        }
        self.lengths = origins.ends - origins.starts
        self.n_kept = int(self.lengths.max()) if self.moving else _MOST_ERRORS if with_errors else 0
        fitted = None if self.n_kept else RunningReadout.from_fit(esn)
        self.skips_fit = not self.learning or fitted is not None
        self.running = fitted or RunningReadout(**self.options)
        self.kept = (
            np.empty((0, self.options["n_features"])),
            np.empty((0, self.options["n_targets"])),
        )
        self.n_rows = int(origins.ends[0]) - network.chain.n_lost - 1 if self.skips_fit else 0

    def take(self, states, rows, targets):
        """Learn from rows, and return the readout's features of them."""
        features = np.concatenate([states, rows], axis=1) if self.with_input else states
        if self.learning:
            skipped = max(self.network.washout - self.n_rows, 0)
            if not self.moving:
                self.running.extend(features[skipped:], targets[skipped:])
            if self.n_kept:
                new = features[skipped:], targets[skipped:]
                self.kept = tuple(
                    np.concatenate([old, more])[-self.n_kept :] for old, more in zip(self.kept, new)
                )
        self.n_rows += len(rows)
        return features

    def readout(self, origin):
        """Coefficients and intercepts for the rows so far; of a moving window, for its rows."""
        if self.moving:
            n_rows = self.lengths[origin] - self.network.chain.n_lost - 1 - self.network.washout
            self.running = RunningReadout(**self.options)
            self.running.extend(*(part[-n_rows:] for part in self.kept))
        return self.running.solve()

    def errors(self, n_fitted):
        """Leave-one-out errors of the last rows.

        `n_fitted` transformed rows took part in the means that the transforms subtract; their
        errors are that much too small.
        """
        last = tuple(part[-min(_MOST_ERRORS, self.running.n_samples) :] for part in self.kept)
        errors = self.running.leave_one_out(*last)
        fitted = (1 + self.n_rows - len(errors) + np.arange(len(errors)) < n_fitted)[:, None]
        return errors / np.where(fitted, 1 - self.network.chain.leverage, 1.0)
