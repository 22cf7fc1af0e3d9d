"""Where readout features come from: machines with a memory, and their rows as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ._sequences import SequenceLayout

__all__ = ["FeatureRows", "FitData", "Machine"]


class Machine(Protocol):
    """What turns rows into readout features, one row of features for each step.

    The state is all that a machine remembers of earlier rows, an array of `state_shape`.
    """

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def state_shape(self) -> tuple[int, ...]: ...

    @property
    def n_features(self) -> int: ...

    @property
    def n_states(self) -> int:
        """Leading columns of the features that `transform` returns."""

    def start(self, rows: np.ndarray, layout: SequenceLayout) -> np.ndarray:
        """States (n_sequences, *state_shape) before the first row of each sequence."""

    def blocks(
        self, rows: np.ndarray, layout: SequenceLayout, states: np.ndarray
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """Yield (sequence, first step, features, state after them), in time order within each.

        Features and state may be views that the next item overwrites.
        """

    def stepper(self, state: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """A function that takes one row after the other and returns its features.

        They are the only row of an array, which the next call may overwrite.
        """


@dataclass(frozen=True)
class FitData:
    """Validated arrays of one fitting call."""

    rows: np.ndarray
    layout: SequenceLayout
    targets: np.ndarray
    weights: np.ndarray | None


class FeatureRows:
    """Calling the object runs the machine anew and yields (features, targets, weights) blocks.

    `clean` are the rows as they came, where those of `data` have been made noisy.
    """

    def __init__(
        self,
        machine: Machine,
        data: FitData,
        washouts: np.ndarray,
        states: np.ndarray,
        clean: np.ndarray | None = None,
    ):
        self.machine, self.data, self.washouts, self.states = machine, data, washouts, states
        self.clean = clean
        self.first_outputs: np.ndarray | None = None  # where a loop runs through the readout
        self.last_outputs: np.ndarray | None = None
        self._last_states = states.copy()

    def final_states(self) -> np.ndarray:
        """State each sequence ends in; to be called after a complete pass."""
        if self.clean is not None:
            blocks = self.machine.blocks(self.clean, self.data.layout, self.states)
            for i, _, _, last in blocks:
                self._last_states[i] = last
        return self._last_states

    @property
    def n_features(self) -> int:
        return self.machine.n_features

    @property
    def n_targets(self) -> int:
        return self.data.targets.shape[1]

    @property
    def n_rows(self) -> int:
        """Rows of one pass that have a weight."""
        indptr, weights = self.data.layout.indptr, self.data.weights
        starts = np.minimum(indptr[:-1] + self.washouts, indptr[1:])
        if weights is None:
            return int((indptr[1:] - starts).sum())
        return sum(int(np.count_nonzero(weights[a:b])) for a, b in zip(starts, indptr[1:]))

    def __call__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        layout, targets, weights = self.data.layout, self.data.targets, self.data.weights
        blocks = self.machine.blocks(self.data.rows, layout, self.states)
        for i, start, features, last in blocks:
            self._last_states[i] = last
            skip = max(self.washouts[i] - start, 0)
            if skip >= len(features):
                continue
            first = layout.indptr[i] + start
            here = slice(first + skip, first + len(features))
            yield features[skip:], targets[here], None if weights is None else weights[here]
