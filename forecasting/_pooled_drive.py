"""Reservoirs driven over the series of a pool: from rows to memories and to features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from echocast.reservoir import ReservoirTransformer

from ._pooled_features import (
    Carry,
    Layout,
    Rolled,
    begin,
    roll,
    shared_features,
    step_features,
    usual_size,
)

__all__ = ["Drive", "Memory", "Stretch"]

_MOST_STATES = 4_000_000  # numbers held at a time while states become features


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
        Scaled.
    static : ndarray of shape (n_static,)
        Scaled.
    size : ndarray of shape (n_columns,)
        Mean absolute change of the rows that the memory was begun with.
    """

    carry: Carry
    states: tuple
    recent: np.ndarray
    exog: np.ndarray
    static: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class Stretch:
    """Rows of one series after a memory's carry, and the origins to forecast from among them."""

    start: Memory
    rolled: Rolled
    origins: np.ndarray
    known: np.ndarray  # (n_origins, horizon, n_known), known columns at the targets


class Drive:
    """Reservoirs, and scales of the outside columns, fixed once.

    Parameters
    ----------
    layout : Layout
    n_units : tuple of int
        Taken in turn.
    n_seeds : int
    params : dict
        Further parameters of `ReservoirTransformer`.
    seed : int
    exog, static : tuple of two ndarrays
        Means and spreads of the columns.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        n_units: tuple,
        n_seeds: int,
        params: dict,
        seed: int,
        exog: tuple,
        static: tuple,
    ):
        self.layout = layout
        self._exog, self._static = exog, static
        scaling = np.full(layout.n_inputs, float(params.get("input_scaling", 0.3)))
        self.reservoirs = []
        for i in range(n_seeds):
            drawn = ReservoirTransformer(
                **params
                | {
                    "n_units": n_units[i % len(n_units)],
                    "input_scaling": scaling,
                    "random_state": (seed + 7919 * i) % (2**32 - 1),
                }
            )
            self.reservoirs.append(drawn.fit(np.zeros((1, layout.n_inputs))))

    # -------------------------------------------------------------------- rows

    def outside(self, X: np.ndarray) -> np.ndarray:
        """Exogenous columns, or the first of them, scaled."""
        mean, spread = self._exog
        n = np.shape(X)[1]
        return (np.asarray(X, dtype=np.float64) - mean[:n]) / spread[:n]

    def start(self, Y: np.ndarray, X: np.ndarray, static: np.ndarray) -> tuple[Memory, Any, Any]:
        """The memory before the first complete row, and the rows and scaled exog from it on."""
        complete = np.isfinite(Y).all(axis=1)
        if not complete.any():
            raise ValueError(f"A series of {len(Y)} rows has no row without NaN.")
        first = int(np.argmax(complete))
        Y, X = Y[first:], self.outside(X[first:])
        zero = tuple(np.zeros(reservoir.n_units) for reservoir in self.reservoirs)
        fixed = (static - self._static[0]) / self._static[1]
        carry = begin(self.layout, Y[0], X[0])
        return Memory(carry, zero, Y[:0], X[:0], fixed, usual_size(self.layout, Y)), Y, X

    def stretch(
        self,
        memory: Memory,
        Y: np.ndarray,
        X: np.ndarray,
        origins: np.ndarray | None = None,
        layout: Layout | None = None,
        ahead: np.ndarray | None = None,
    ) -> Stretch:
        """Roll over the recent rows and those that follow.

        Origins are all rows by default. Known columns beyond the end come from the rows
        `ahead`, the last of which is repeated.
        """
        layout = self.layout if layout is None else layout
        rows, exog = np.concatenate([memory.recent, Y]), np.concatenate([memory.exog, X])
        rolled, _ = roll(layout, memory.carry, rows, exog, memory.static)
        origins = np.arange(len(rows)) if origins is None else origins
        known = exog[:, : layout.n_known]
        if ahead is not None:
            known = np.concatenate([known, ahead])
        wanted = origins[:, None] + np.arange(1, layout.horizon + 1)
        return Stretch(memory, rolled, origins, known[np.minimum(wanted, len(known) - 1)])

    def grown(self, memories: list[Memory], news: list[tuple], keep: int) -> list[Memory]:
        """Memories after further rows; all but the last `keep` of them move into the carry."""
        inputs, parts = [], []
        for memory, (Y, X) in zip(memories, news):
            rows, exog = np.concatenate([memory.recent, Y]), np.concatenate([memory.exog, X])
            cut = max(len(rows) - keep, 0)
            moved, carry = None, memory.carry
            if cut:
                rolled, carry = roll(self.layout, carry, rows[:cut], exog[:cut], memory.static)
                moved = rolled.inputs
            inputs.append(moved)
            parts.append((carry, rows[cut:].copy(), exog[cut:].copy()))
        states = self._last_states(memories, inputs)
        return [
            replace(memory, carry=carry, states=after, recent=rows, exog=exog)
            for memory, after, (carry, rows, exog) in zip(memories, states, parts)
        ]

    def _last_states(self, memories, inputs):
        """States of each reservoir after the inputs of each series (None: none)."""
        moving = [i for i, rows in enumerate(inputs) if rows is not None]
        after = [list(memory.states) for memory in memories]
        for r, reservoir in enumerate(self.reservoirs):
            for part in self._blocks([len(inputs[i]) for i in moving], reservoir.n_units):
                chosen = [moving[k] for k in part]
                before = np.stack([memories[i].states[r] for i in chosen])
                runs = reservoir.transform([inputs[i] for i in chosen], initial_state=before)
                for i, run in zip(chosen, runs):
                    after[i][r] = run[-1].copy()
        return [tuple(states) for states in after]

    # ---------------------------------------------------------------- features

    def features(
        self, r: int, stretches: list[Stretch], layout: Layout | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Stacked features (n, p) and (n, horizon, q) of all origins, for reservoir `r`."""
        layout = self.layout if layout is None else layout
        reservoir = self.reservoirs[r]
        Z, E = [], []
        for part in self._blocks([len(s.rolled.inputs) for s in stretches], reservoir.n_units):
            chosen = [stretches[k] for k in part]
            before = np.stack([s.start.states[r] for s in chosen])
            runs = reservoir.transform([s.rolled.inputs for s in chosen], initial_state=before)
            for s, x in zip(chosen, runs):
                own = layout, s.rolled, s.origins
                Z.append(shared_features(*own, x[s.origins], s.start.static, s.start.size))
                E.append(step_features(*own, s.known[:, : layout.horizon], s.start.size))
        return np.concatenate(Z), np.concatenate(E)

    def _blocks(self, lengths, n_units):
        """Ranges of sequences whose states together are not too many."""
        total = np.cumsum(lengths) * n_units
        first, blocks = 0, []
        while first < len(lengths):
            done = total[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(total, done + _MOST_STATES)))
            blocks.append(range(first, last))
            first = last
        return blocks

    def shortened(self, horizon: int) -> Drive:
        """The same with fewer steps."""
        other = object.__new__(Drive)
        other.__dict__.update(self.__dict__)
        other.layout = replace(self.layout, horizon=horizon)
        return other
