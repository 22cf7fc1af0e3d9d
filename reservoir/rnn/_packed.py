"""Sequences side by side in time-major arrays, the longest first, and the order of batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Packed", "bucketed_batches", "lanes_of", "pack", "pieces_of"]

_POOL = 16  # batches that are drawn together and sorted by length, so that padding stays small
# Batches of more cells than this are cut where so many times as many would be padding as not.
_PADDED, _MUCH = 2**16, 4
_CHUNKS_PER_LANE = 10  # updates in an epoch that a long sequence is worth at least


@dataclass(frozen=True)
class Packed:
    """Where the rows of several pieces of stacked data stand in a packed batch.

    Parameters
    ----------
    rows : ndarray of shape (n_steps, n_pieces)
        Numbers of rows; padding repeats the last row of a piece.
    sizes : ndarray of shape (n_steps,)
        How many pieces are still running at each step; those are the first ones.
    lengths : ndarray of shape (n_pieces,)
        Decreasing.
    """

    rows: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """Which entries of `rows` are no padding."""
        return np.arange(len(self.rows))[:, None] < self.lengths

    @property
    def backwards(self) -> np.ndarray:
        """Steps (n_steps, n_pieces) that turn each piece round and leave its padding alone."""
        steps = np.arange(len(self.rows))[:, None]
        return np.where(self.valid, self.lengths - 1 - steps, steps)


def pack(starts: np.ndarray, stops: np.ndarray) -> Packed:
    """Pack the pieces ``starts[i]:stops[i]`` of stacked rows, given by decreasing length."""
    lengths = stops - starts
    steps = np.arange(int(lengths[0]))[:, None]
    sizes = np.searchsorted(-lengths, -steps[:, 0], side="left").astype(np.int64)
    return Packed(np.minimum(starts + steps, stops - 1), sizes, lengths)


def lanes_of(indptr: np.ndarray, n_steps: int | None, batch_size: int) -> np.ndarray:
    """Cut long sequences into lanes (n_lanes, 2) of rows that are learnt from side by side.

    Only truncated backpropagation over `n_steps` cuts, and only if there are fewer sequences
    than a batch holds; each lane is worth several updates.
    """
    bounds = np.stack([indptr[:-1], indptr[1:]], axis=1)
    if n_steps is None:
        return bounds
    lengths = np.diff(indptr)
    wanted = min(batch_size, int(lengths.sum()) // (_CHUNKS_PER_LANE * n_steps))
    lanes = []
    for (start, stop), length in zip(bounds, lengths):
        parts = max(1, int(wanted * length / lengths.sum()))
        edges = np.linspace(start, stop, parts + 1).astype(np.int64)
        lanes.append(np.stack([edges[:-1], edges[1:]], axis=1))
    return np.concatenate(lanes)


def bucketed_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.RandomState | None
) -> list[np.ndarray]:
    """Batches of numbers of pieces, each by decreasing length, in the order they are learnt from.

    With `rng` they are shuffled: pools of many batches are drawn and sorted by length, so that
    the pieces of a batch are about equally long. Without it the given order is kept.
    """
    n = len(lengths)
    order = np.arange(n) if rng is None else rng.permutation(n)
    ragged = lengths.min() < lengths.max()
    pool = batch_size * _POOL if rng is not None and ragged else batch_size
    batches = []
    for first in range(0, n, pool):
        chosen = order[first : first + pool]
        if ragged:
            chosen = chosen[np.argsort(-lengths[chosen], kind="stable")]
        for a in range(0, len(chosen), batch_size):
            batches += _without_much_padding(chosen[a : a + batch_size], lengths)
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return batches


def _without_much_padding(batch, lengths):
    """Cut a batch, by decreasing length, where most of it would be padding."""
    parts = []
    while lengths[batch[0]] * len(batch) > max(_PADDED, _MUCH * lengths[batch].sum()):
        cut = max(1, int((lengths[batch] * _MUCH >= lengths[batch[0]]).sum()))
        parts.append(batch[:cut])
        batch = batch[cut:]
    return [*parts, batch]


def pieces_of(lanes: np.ndarray, n_steps: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut lanes (n, 2), by decreasing length, into consecutive chunks of at most `n_steps` rows.

    Yields the starts and stops of each chunk, of the lanes that reach into it: the first ones.
    """
    lengths = lanes[:, 1] - lanes[:, 0]
    size = int(lengths[0]) if n_steps is None else n_steps
    for first in range(0, int(lengths[0]), size):
        running = lanes[lengths > first]
        starts = running[:, 0] + first
        yield starts, np.minimum(starts + size, running[:, 1])
