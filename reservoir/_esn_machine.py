"""The reservoir of an echo state network as a source of readout features."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from ._base import harvest
from ._sequences import SequenceLayout
from ._time_chunks import TimeChunks

__all__ = ["ESNMachine", "teacher_feedback"]


def teacher_feedback(
    targets: np.ndarray, layout: SequenceLayout, first_outputs: np.ndarray
) -> np.ndarray:
    """Targets one step earlier: row t holds y(t - 1), and the given outputs before each start."""
    shifted = np.empty_like(targets)
    shifted[1:] = targets[:-1]
    shifted[layout.indptr[:-1]] = first_outputs
    return shifted


class ESNMachine:
    """Features of a step: the reservoir's states, then the inputs if they are included.

    States are never kept for all steps: the readout's second pass (leave-one-out errors, or a
    fall-back to a more careful solver) replays them, which is cheap and gives the same bits.
    """

    def __init__(self, reservoir: Any, *, include_input: bool):
        self.reservoir, self.include_input = reservoir, include_input
        self.dtype = reservoir.dtype
        self.n_states = reservoir.n_units
        self.state_shape = (reservoir.n_units,)
        self.n_features = reservoir.n_units + (reservoir.n_inputs if include_input else 0)
        self.feedback: np.ndarray | None = None
        self.noise = 0.0
        self.rng: np.random.RandomState | None = None
        self.rng_start: Any = None
        self.chunks: TimeChunks | None = None
        self.in_order = False

    def for_training(
        self, feedback: np.ndarray | None, noise: float, rng: np.random.RandomState
    ) -> ESNMachine:
        """A machine driven by the teacher's outputs and by noise, which only fit knows.

        Every pass draws the same noise from `rng`, and leaves it where the pass ended.
        """
        machine = copy.copy(self)
        machine.feedback, machine.noise, machine.rng = feedback, noise, rng
        machine.rng_start = rng.get_state()
        return machine

    def chunked(self, chunks: TimeChunks) -> ESNMachine:
        """A machine that runs a single sequence in chunks; noise is drawn step by step, though."""
        machine = copy.copy(self)
        machine.chunks = None if self.noise else chunks
        return machine

    def start(self, rows: np.ndarray | None, layout: SequenceLayout) -> np.ndarray:
        return np.zeros((layout.n_sequences, *self.state_shape), dtype=self.dtype)

    def blocks(
        self, rows: np.ndarray, layout: SequenceLayout, states: np.ndarray
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        if self.rng is not None:
            self.rng.set_state(self.rng_start)
        buffer = np.empty((0, self.n_features), dtype=self.dtype)
        for i, start, block in harvest(
            self.reservoir,
            rows,
            layout,
            states,
            feedback=self.feedback,
            noise=self.noise,
            rng=self.rng,
            chunks=self.chunks,
            in_order=self.in_order,
        ):
            if not self.include_input:
                yield i, start, block, block[-1]
                continue
            n = len(block)
            if len(buffer) < n:
                buffer = np.empty((n, self.n_features), dtype=self.dtype)
            first = layout.indptr[i] + start
            buffer[:n, : self.n_states] = block
            buffer[:n, self.n_states :] = rows[first : first + n]
            yield i, start, buffer[:n], block[-1]
