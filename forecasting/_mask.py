"""Missing values of a network that can do without: its own predictions take their places.

A prediction drives the reservoir and stands among the lags and in differences as a value would, but
it is no target: its row is left out of the readout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["advance_masked", "causal", "complete", "leading_rows", "learn_masked"]

_REFITS = 2


def leading_rows(Y: np.ndarray, owner: str) -> int:
    """Number of rows before the first value; a column without any value is refused."""
    known = ~np.isnan(Y)
    if not known.any(axis=0).all():
        raise ValueError(
            f"Input y contains a column of NaN alone; {owner} needs values in each. Drop it."
        )
    return int(np.argmax(known.any(axis=1)))


def repeat_known(Y: np.ndarray, season_length: int) -> np.ndarray:
    """Rows with NaN replaced by the value a season before, or by the last one in the first season.

    What precedes the first value of a column takes that one.
    """
    filled = Y.copy()
    for column in filled.T:
        known = np.flatnonzero(~np.isnan(column))
        column[: known[0]] = column[known[0]]
        for t in np.flatnonzero(np.isnan(column)):
            back = season_length if t >= season_length else 1
            column[t] = column[t - back]
    return filled


def causal(predicted: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Of predictions of the last rows of `Y`, those made from earlier rows alone.

    Until each column has had a value, its first one stands in the rows before.
    """
    begin = int(np.argmax(~np.isnan(Y), axis=0).max())
    return predicted[max(0, len(predicted) - (len(Y) - 1 - begin)) :]


def _gaps(missing: np.ndarray) -> Iterator[tuple[int, int]]:
    """Stretches of rows to predict at once: whole rows in a row, or one row known in part."""
    whole = np.asarray(missing.all(axis=1))
    rows = np.flatnonzero(missing.any(axis=1))
    first = 0
    while first < len(rows):
        last = first
        while last + 1 < len(rows) and whole[rows[first]] and rows[last + 1] == rows[last] + 1:
            if not whole[rows[last + 1]]:
                break
            last += 1
        yield int(rows[first]), int(rows[last]) + 1
        first = last + 1


def complete_after(network: Any, memory: Any, Y: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Rows that follow `memory`, with NaN replaced by the network's own predictions."""
    missing = np.isnan(Y)
    filled, done = Y.copy(), 0
    for start, stop in _gaps(missing):
        if start > done:
            memory, *_ = network.advance(memory, filled[done:start], X[done:start])
        points = network.paths(memory, stop - start, X[start:stop])[0][:, :, 0]
        filled[start:stop] = np.where(missing[start:stop], points, Y[start:stop])
        done = start
    return filled


def complete(
    network: Any, Y: np.ndarray, X: np.ndarray, first: int, season_length: int
) -> np.ndarray:
    """Rows whose first has position `first`, with NaN replaced by the network's own predictions.

    A prediction sees earlier rows alone. Before there are enough of them for all lags and
    differences, the value of the season before is repeated.
    """
    if not np.isnan(Y).any():
        return Y
    filled = repeat_known(Y, season_length)
    head = network.n_needed
    if len(Y) > head:
        memory = network.start(filled[:head], X[:head], first)
        filled[head:] = complete_after(network, memory, Y[head:], X[head:])
    return filled


def learn_masked(
    make: Callable[..., Any], Y: np.ndarray, X: np.ndarray, season_length: int
) -> tuple[Any, np.ndarray]:
    """A network learnt from rows with NaN, and the rows with its own predictions in their places.

    ``make(filled, X, known)`` learns a network. It is learnt anew twice, each time from the
    predictions of the one before.
    """
    known = ~np.isnan(Y)
    if known.all():
        return make(Y, X, None), Y
    filled = repeat_known(Y, season_length)
    for _ in range(1 + _REFITS):
        network = make(filled, X, known)
        filled = complete(network, Y, X, 0, season_length)
    return network, filled


def advance_masked(network: Any, memory: Any, Y: np.ndarray, X: np.ndarray) -> tuple:
    """As ``network.advance``, for rows with NaN.

    Returns
    -------
    memory, rows, targets, predicted
        As ``network.advance`` gives them for the completed rows.
    filled : ndarray of shape (n_steps, n_columns)
        The completed rows.
    weights : ndarray of shape (n_steps,) or None
        Zero for rows with a value filled in; None if there are none.
    """
    known = ~np.isnan(Y).any(axis=1)
    if known.all():
        return *network.advance(memory, Y, X), Y, None
    filled = complete_after(network, memory, Y, X)
    return *network.advance(memory, filled, X), filled, known.astype(np.float64)
