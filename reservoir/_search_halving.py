"""Rounds of successive halving: how many candidates, and on how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

__all__ = ["Rounds", "last_rows", "plan_rounds", "survivors"]

# Rows that the shortest training part keeps in the first round, unless `min_resources` says so.
_FEWEST_ROWS = 100


@dataclass(frozen=True)
class Rounds:
    """Resources of each round, and the bounds that they come from."""

    resources: list[int]
    smallest: int
    largest: int


def plan_rounds(
    n_candidates: int, *, factor: float, smallest: int, largest: int, exhaust: bool
) -> Rounds:
    """Resources of each round, as `sklearn.model_selection.HalvingGridSearchCV` counts them.

    But for one case: where there is not room for all rounds, the last one has all there is, too.

    Parameters
    ----------
    n_candidates : int
    factor : float, > 1
        Of candidates dropped and of resources added from round to round.
    smallest, largest : int
        Resources of the first round, and the most there are.
    exhaust : bool
        Whether to begin with more, so that the last round has as much as possible.

    Returns
    -------
    Rounds

    Examples
    --------
    >>> from echocast.reservoir._search_halving import plan_rounds
    >>> plan_rounds(20, factor=3, smallest=100, largest=5000, exhaust=True).resources
    [555, 1665, 4995]
    """
    steps = min(
        _whole_logarithm(n_candidates, factor), _whole_logarithm(largest / smallest, factor)
    )
    if exhaust:
        smallest = max(smallest, int(largest // factor**steps))
    resources = [min(int(factor**k * smallest), largest) for k in range(1 + steps)]
    return Rounds(resources, smallest, largest)


def _whole_logarithm(ratio, factor):
    """How often `ratio` can be divided by the factor without falling below one."""
    k = 0
    while factor ** (k + 1) <= ratio * (1 + 1e-12):
        k += 1
    return k


def fewest_rows(n_rows: int, splits: Iterable) -> int:
    """Rows of the data, of which the shortest training part has a number worth learning from."""
    shortest = min(len(train) for train, _ in splits)
    return max(1, ceil(n_rows * min(1.0, _FEWEST_ROWS / max(shortest, 1))))


def last_rows(splits: list, share: float) -> list:
    """Splits whose training parts are a share of the rows, those next to the test rows."""
    cut = []
    for train, test in splits:
        train = np.flatnonzero(train) if np.asarray(train).dtype == bool else np.asarray(train)
        cut.append((train[len(train) - max(1, int(share * len(train))) :], test))
    return cut


def survivors(results: dict[str, Any], metric: str, round_: int, factor: float) -> list[dict]:
    """The best candidates of a round; those without a score are the worst."""
    places = np.flatnonzero(np.asarray(results["iter"]) == round_)
    scores = results[f"mean_test_{metric}"][places]
    order = np.argsort(np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    best = places[order[-ceil(len(places) / factor) :]]
    return [results["params"][i] for i in best]
