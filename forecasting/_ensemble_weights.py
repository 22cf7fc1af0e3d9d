"""Weights of forecasts from their errors in the past, in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import nnls

from echocast._checks import refuse

__all__ = ["RULES", "combine", "errors_of_past", "given_weights", "shares", "weigh"]

RULES = ("inverse_error", "nnls")
_SUM_TO_ONE = 1e4  # weight of the row that holds the sum, in units of the largest other entry


def given_weights(weights: Any, n_members: int, owner: str) -> np.ndarray:
    """Numbers >= 0, one for each member, divided by their sum."""
    rule = f"{' or '.join(map(repr, RULES))}, or {n_members} numbers >= 0 that are not all zero"
    try:
        values = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    fits = values.shape == (n_members,) and np.isfinite(values).all()
    if not fits or values.min() < 0 or values.sum() <= 0:
        refuse("weights", owner, rule, weights)
    return values / values.sum()


def combine(stacked: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Weighted mean over the first axis, or the median without weights."""
    if weights is None:
        return np.median(stacked, axis=0)
    return np.tensordot(weights, stacked, axes=1)


def shares(weights: np.ndarray | None, n_members: int, total: int) -> np.ndarray:
    """How many of `total` each member gives, by largest remainders; nearly equal for a median."""
    weights = np.full(n_members, 1 / n_members) if weights is None else weights
    exact = weights * total
    counts = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def errors_of_past(
    forecasts: np.ndarray, Y: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Errors (n_members, n_ends * n_ahead, D) of forecasts after the rows `ends`, and truths.

    Parameters
    ----------
    forecasts : ndarray of shape (n_members, n_ahead, D, n_ends)
        All of them end within `Y`.
    Y : ndarray of shape (n_steps, D)
    ends : ndarray of shape (n_ends,)
    """
    n_members, n_ahead, n_columns, n_ends = forecasts.shape
    places = ends[:, None] + np.arange(n_ahead)
    truth = Y[places].reshape(-1, n_columns)
    flat = np.moveaxis(forecasts, 3, 1).reshape(n_members, n_ends * n_ahead, n_columns)
    return truth - flat, truth


def weigh(rule: str, errors: np.ndarray) -> np.ndarray:
    """Weights (n_members,) that sum to one, from errors (n_members, n_rows, D).

    Parameters
    ----------
    rule : {"inverse_error", "nnls"}
        Reciprocals of mean squares; or the weights of the combination with the least sum of
        squares, which for weights of sum one is the combination of the errors.
    errors : ndarray of shape (n_members, n_rows, D)
        All in one unit.
    """
    flat = errors.reshape(len(errors), -1)
    squares = (flat**2).mean(axis=1)
    exact = squares <= max(1e-24 * squares.max(), 1e-300)
    if exact.any():
        return exact / exact.sum()
    if rule == "inverse_error":
        weights = 1 / squares
    else:
        table = flat.T / np.sqrt(squares.max())
        sum_row = np.full((1, len(flat)), _SUM_TO_ONE)
        goal = np.zeros(len(table) + 1)
        goal[-1] = _SUM_TO_ONE
        weights = nnls(np.concatenate([table, sum_row]), goal)[0]
    return weights / weights.sum()
