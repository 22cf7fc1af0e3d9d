"""Run a reservoir over data: one sequence in blocks of rows, or many sequences side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ._closed import closed_loop, closed_loop_batch
from ._custom import drive_custom
from ._machine import (
    BLOCK_BYTES,
    Reservoir,
    block_rows,
    check_rows,
    make_reservoir,
    scratch,
    start_state,
)

__all__ = [
    "Reservoir",
    "closed_loop",
    "closed_loop_batch",
    "input_drive",
    "iter_sequences",
    "last_state_after",
    "make_reservoir",
    "reduce_sequences",
    "run_states",
    "sequence_groups",
    "state_blocks",
]

_BATCH_BYTES = 2**23
_BATCH_WIDTH = 32
# Fewer sequences than this are faster one by one.
_SMALLEST_BATCH = 4


def state_blocks(
    res: Reservoir, X, initial_state=None, *, feedback=None, noise=0.0, rng=None
) -> Iterator[tuple[int, np.ndarray]]:
    """Drive one sequence and yield its states block by block.

    Parameters
    ----------
    res : Reservoir
    X : ndarray of shape (n_steps, n_inputs)
    initial_state : ndarray of shape (n_units,), default=None
        State before the first row; zeros by default. Not modified.
    feedback : ndarray of shape (n_steps, n_outputs), default=None
        Row t is the output at t - 1; needed exactly where the reservoir has feedback weights.
    noise : float, default=0.0
        Standard deviation of the Gaussian noise added inside of the activation.
    rng : RandomState, default=None
        Source of the noise; the draws do not depend on the lengths of the blocks.

    Yields
    ------
    start : int
        First row of the block.
    states : ndarray of shape (n_rows, n_units)
        A view on a buffer that the next block overwrites; the caller may change it.
    """
    X, feedback = check_rows(res, X, feedback)
    n_steps = X.shape[0]
    x = start_state(res, initial_state)
    n_rows = max(1, min(n_steps, block_rows(res, 1, BLOCK_BYTES)))
    inputs = np.empty((n_rows, res.projection.shape[0]), dtype=res.dtype)
    buffer = np.empty((n_rows, res.n_units), dtype=res.dtype)
    for start in range(0, n_steps, n_rows):
        stop = min(start + n_rows, n_steps)
        block = buffer[: stop - start]
        _fill_inputs(res, inputs[: stop - start], X[start:stop], feedback, start)
        np.matmul(inputs[: stop - start], res.projection, out=block)
        if noise:
            block += np.multiply(noise, rng.standard_normal(block.shape)).astype(res.dtype)
        _drive(res, x, block)
        x = block[-1].copy()
        yield start, block


def run_states(
    res: Reservoir, X, initial_state=None, *, feedback=None, out=None
) -> tuple[np.ndarray, np.ndarray]:
    """Drive one sequence and keep all states.

    Parameters
    ----------
    res, X, initial_state, feedback
        As for `state_blocks`.
    out : ndarray of shape (n_steps, n_units), default=None
        Where to write the states.

    Returns
    -------
    states : ndarray of shape (n_steps, n_units)
    last_state : ndarray of shape (n_units,)
        State after the last row; the initial state if there is none.
    """
    states = np.empty((len(X), res.n_units), dtype=res.dtype) if out is None else out
    last = start_state(res, initial_state)
    for start, block in state_blocks(res, X, initial_state, feedback=feedback):
        states[start : start + len(block)] = block
        last = block[-1].copy()
    return states, last


def last_state_after(res: Reservoir, X, initial_state=None, *, feedback=None) -> np.ndarray:
    """Return the state (n_units,) after the last row, in memory that does not grow with rows."""
    last = start_state(res, initial_state)
    for _, block in state_blocks(res, X, initial_state, feedback=feedback):
        last = block[-1].copy()
    return last


def input_drive(res: Reservoir, X) -> Callable[[int, int], np.ndarray]:
    """Return a function of (start, stop) that projects these rows of X: the `drive` of a loop."""
    X, _ = check_rows(res, X, None, needs_feedback=False)
    weights = res.W_in.T

    def project(start: int, stop: int) -> np.ndarray:
        return X[start:stop].astype(res.dtype, copy=False) @ weights

    return project


def iter_sequences(
    res: Reservoir,
    sequences: Sequence,
    initial_states=None,
    *,
    feedback: Sequence | None = None,
    noise=0.0,
    rng=None,
    in_order=False,
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Drive many sequences, each from its own initial state.

    Sequences of similar length run side by side where that is faster. The blocks of one sequence
    come in the order of time; those of different sequences are interleaved.

    Parameters
    ----------
    res : Reservoir
    sequences : sequence of ndarray of shape (n_steps_i, n_inputs)
    initial_states : ndarray of shape (n_sequences, n_units), default=None
        Zeros by default.
    feedback : sequence of ndarray of shape (n_steps_i, n_outputs), default=None
    noise, rng
        As for `state_blocks`; with noise the sequences run one by one, in their order.
    in_order : bool, default=False
        Whether they do so anyway.

    Yields
    ------
    i : int
        Index of the sequence.
    start : int
        First row of the block.
    states : ndarray of shape (n_rows, n_units)
        A view that the next block overwrites; the caller may change it.
    """
    memory, copy = _batch_memory(res), np.empty((0, res.n_units), dtype=res.dtype)
    for group in sequence_groups(
        res, [len(X) for X in sequences], one_by_one=bool(noise) or in_order
    ):
        if len(group) == 1:
            i = group[0]
            x = None if initial_states is None else initial_states[i]
            f = None if feedback is None else feedback[i]
            blocks = state_blocks(res, sequences[i], x, feedback=f, noise=noise, rng=rng)
            for start, block in blocks:
                yield i, start, block
            continue
        given = sequences, initial_states, feedback
        for start, alive, block in _batch_blocks(res, group, *given, memory):
            if copy.shape[0] < block.shape[0]:
                copy = np.empty(block.shape[:2], dtype=res.dtype)
            for column, i in enumerate(group[: alive[0]]):
                states = copy[: np.count_nonzero(alive > column)]
                states[:] = block[: len(states), :, column]
                yield i, start, states


def reduce_sequences(
    res: Reservoir, sequences: Sequence, *, washout=0
) -> tuple[np.ndarray, np.ndarray]:
    """Drive many sequences from the zero state and keep two summaries of each.

    Parameters
    ----------
    res : Reservoir
    sequences : sequence of ndarray of shape (n_steps_i, n_inputs)
    washout : int or ndarray of shape (n_sequences,), default=0
        Rows at the start of each sequence that do not count in the mean.

    Returns
    -------
    last : ndarray of shape (n_sequences, n_units)
        Last state; zero for a sequence without rows.
    mean : ndarray of shape (n_sequences, n_units)
        Mean state after the washout; zero where no row is left.
    """
    lengths = np.array([len(X) for X in sequences], dtype=np.int64)
    skip = np.broadcast_to(np.asarray(washout), lengths.shape)
    last = np.zeros((lengths.size, res.n_units), dtype=res.dtype)
    mean = np.zeros_like(last)
    memory = _batch_memory(res)
    for group in sequence_groups(res, lengths.tolist()):
        if len(group) == 1:
            i = group[0]
            for start, block in state_blocks(res, sequences[i]):
                last[i] = block[-1]
                mean[i] += block[max(0, skip[i] - start) :].sum(axis=0)
            continue
        total = np.zeros((res.n_units, len(group)), dtype=res.dtype)
        for start, alive, block in _batch_blocks(res, group, sequences, None, None, memory):
            for t, width in enumerate(alive):
                states = block[t, :, :width]
                counts = skip[group[:width]] <= start + t
                total[:, :width] += states if counts.all() else np.where(counts, states, 0)
                ended = np.flatnonzero(lengths[group[:width]] == start + t + 1)
                last[np.take(group, ended)] = block[t, :, ended]
        mean[group] = total.T
    mean /= np.maximum(lengths - skip, 1).astype(res.dtype)[:, None]
    return last, mean


def _fill_inputs(res, inputs, rows, feedback, start):
    """Write [X, 1, feedback] side by side, so that one product projects all of them."""
    n_inputs = res.n_inputs
    inputs[:, :n_inputs] = rows
    inputs[:, n_inputs] = 1
    if feedback is not None:
        inputs[:, n_inputs + 1 :] = feedback[start : start + len(rows)]


def _drive(res, x, block):
    if res.function is not None:
        drive_custom(res.plan, res.function, res.leak, x, block)
        return
    from ._kernels import drive

    drive(res.plan.arrays, res.code, res.leak, x, block, scratch(res))


def sequence_groups(
    res: Reservoir, lengths: Sequence[int], *, one_by_one: bool = False
) -> list[list[int]]:
    """Split indices into lists that run side by side: similar lengths, the longest first.

    A list that runs alone is the same list again, so it gives the same bits.
    """
    # Side by side, a weight meets contiguous states; on cyclic diagonals it does so anyway.
    if one_by_one or res.plan.layout == "shift":
        return [[i] for i in range(len(lengths))]
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    groups: list[list[int]] = []
    for i in order:
        fits = groups and len(groups[-1]) < _BATCH_WIDTH
        if fits and 2 * lengths[i] >= lengths[groups[-1][0]]:
            groups[-1].append(i)
        else:
            groups.append([i])
    small = [[i] for g in groups if len(g) < _SMALLEST_BATCH for i in g]
    return [g for g in groups if len(g) >= _SMALLEST_BATCH] + small


def _batch_memory(res):
    """Memory for the states of any group; only what is used of it is ever touched."""
    n_entries = max(_BATCH_BYTES // res.dtype.itemsize, res.n_units * _BATCH_WIDTH)
    return np.empty(n_entries, dtype=res.dtype)


def _batch_blocks(res, group, sequences, initial_states, feedback, memory):
    """Yield (start, alive, states (n_rows, n_units, n_sequences)) of one group, longest first.

    At row t the first ``alive[t]`` columns are states; the others belong to ended sequences.
    """
    checked = [
        check_rows(res, sequences[i], None if feedback is None else feedback[i]) for i in group
    ]
    lengths = np.array([len(X) for X, _ in checked])
    width, n_steps = len(group), int(lengths[0])
    x = np.zeros((res.n_units, width), dtype=res.dtype)
    if initial_states is not None:
        x[:] = np.stack([start_state(res, initial_states[i]) for i in group], axis=1)
    n_rows = max(1, min(n_steps, block_rows(res, width, _BATCH_BYTES)))
    weights = np.ascontiguousarray(res.projection.T)
    inputs = np.empty((n_rows, weights.shape[1], width), dtype=res.dtype)
    shape = n_rows, res.n_units, width
    buffer = memory[: n_rows * res.n_units * width].reshape(shape)
    alive = (np.arange(n_steps)[:, None] < lengths).sum(axis=1)
    for start in range(0, n_steps, n_rows):
        stop = min(start + n_rows, n_steps)
        u, block = inputs[: stop - start], buffer[: stop - start]
        u[:] = 0
        for column, (X, f) in enumerate(checked):
            rows = X[start:stop]
            _fill_inputs(res, u[: len(rows), :, column], rows, f, start)
        np.matmul(weights, u, out=block)
        _drive_batch(res, x, block)
        x = block[-1].copy()
        yield start, alive[start:stop], block


def _drive_batch(res, x, block):
    if res.function is not None:
        drive_custom(res.plan, res.function, res.leak[:, None], x, block)
        return
    from ._kernels_batch import drive_batch

    spare = np.empty_like(x)
    drive_batch(res.plan.rowwise, res.code, res.leak, x, block, scratch(res), spare)
