"""Passes of a trained network over stacked sequences, in batches and stretches of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._network import Network, Run
from ._nodes import Workspace
from ._objective import one_blas_thread
from ._packed import Packed, pack, pieces_of
from ._tape import Var

__all__ = ["run_sequences", "run_side_by_side", "step_outputs"]

_BATCH = 64
_STEPS = 1024  # rows of a sequence that are held at a time


def run_sequences(
    network: Network,
    theta: np.ndarray,
    rows: np.ndarray,
    indptr: np.ndarray,
    states: np.ndarray | None,
    write: Callable[[np.ndarray, Packed, Run], None],
    *,
    before: np.ndarray | None = None,
    feed: Callable | None = None,
) -> np.ndarray:
    """Run over all sequences, each on its own, and give what is found to `write`.

    Parameters
    ----------
    states : ndarray of shape (n_sequences, n_states) or None
        Before the first rows; None: where the network starts.
    write : callable
        Called with the numbers of the sequences, a `Packed` of rows and the `Run` over them.
    before : ndarray of shape (n_sequences, n_fed), optional
        Outputs before the first rows, of networks with recurrence="output"; zero by default.
    feed : callable
        What such a network sees of its own outputs.

    Returns
    -------
    ndarray of shape (n_sequences, n_states)
        States after the last rows.
    """
    leaves = network.layout.leaves(theta, None)
    lengths = np.diff(indptr)
    order = np.argsort(-lengths, kind="stable")
    bounds = np.stack([indptr[:-1], indptr[1:]], axis=1)
    ended = np.empty((len(lengths), network.n_states), dtype=network.dtype)
    n_steps = None if network.bidirectional else _STEPS
    works = [Workspace() for _ in range(2 * len(network.units))]
    with one_blas_thread():
        for first in range(0, len(order), _BATCH):
            chosen = order[first : first + _BATCH]
            state = None if states is None else states[chosen]
            fed = None if before is None else before[chosen]
            for starts, stops in pieces_of(bounds[chosen], n_steps):
                packed, m = pack(starts, stops), len(starts)
                x = rows[packed.rows]
                held = None if state is None else network.unflat(state[:m])
                if network.recurrence == "hidden":
                    run = network.run(leaves, x, packed, held, works=works)
                    state = network.flat(run.states)
                    ended[chosen[:m]] = state
                else:
                    run, fed = _own_outputs(network, leaves, x, fed, feed)
                write(chosen[:m], packed, run)
    return ended


def _own_outputs(network, leaves, x, fed, feed):
    """A pass of a network that sees its own outputs, and the last of them."""
    n = x.shape[1]
    fed = np.zeros((n, network.n_fed), dtype=network.dtype) if fed is None else fed[:n]
    teacher = np.broadcast_to(fed, (len(x), *fed.shape))
    forced = np.zeros(x.shape[:2], dtype=bool)
    run = network.run_fed(leaves, x, None, teacher, forced, feed, before=fed)
    own = feed(Var(run.outputs.data[-1]))
    return run, getattr(own, "data", own)


def run_side_by_side(
    network: Network, theta: np.ndarray, X: np.ndarray, states: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (n, n_steps, n_outputs) of equally long sequences X (n, n_steps, n_inputs).

    Parameters
    ----------
    states : ndarray of shape (n, n_states) or None
        Before the first rows; None: where the network starts.

    Returns
    -------
    outputs : ndarray of shape (n, n_steps, n_outputs)
    states : ndarray of shape (n, n_states)
    """
    leaves = network.layout.leaves(theta, None)
    n, n_steps, _ = X.shape
    outputs = np.empty((n, n_steps, network.n_outputs), dtype=network.dtype)
    ended = np.empty((n, network.n_states), dtype=network.dtype)
    with one_blas_thread():
        for first in range(0, n, _BATCH):
            chosen = slice(first, first + _BATCH)
            m = len(X[chosen])
            state: Any = None
            if states is not None:
                state = network.unflat(np.asarray(states[chosen], dtype=network.dtype))
            for start in range(0, n_steps, _STEPS):
                part = X[chosen, start : start + _STEPS].transpose(1, 0, 2)
                x = np.ascontiguousarray(part, dtype=network.dtype)
                run = network.run(leaves, x, _unpadded(len(x), m), state)
                outputs[chosen, start : start + _STEPS] = run.outputs.data.transpose(1, 0, 2)
                state = run.states
            ended[chosen] = network.flat(state)
    return outputs, ended


def _unpadded(n_steps, n_pieces):
    """A batch of pieces that are equally long."""
    rows = np.arange(n_steps * n_pieces).reshape(n_pieces, n_steps).T
    return Packed(rows, np.full(n_steps, n_pieces, np.int64), np.full(n_pieces, n_steps))


def step_outputs(outputs: np.ndarray, packed: Packed, values: np.ndarray) -> None:
    """Write values (n_steps, n_pieces, ...) of a packed batch into stacked rows."""
    valid = packed.valid
    outputs[packed.rows[valid]] = values[valid]
