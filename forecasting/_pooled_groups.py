"""A pool split into groups of series that change alike, with a network for each.

One readout for all serves none of them well when the series differ in kind, such as those with
a daily and those with a weekly season. Series are grouped by how much they change over one step
and over each season, relative to one another.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ._pooled import PooledNetwork
from ._pooled_drive import Memory
from ._pooled_rows import as_lists, canonical

__all__ = ["GroupMemory", "GroupedNetwork", "ShapeGroups", "choose_n_groups", "shapes"]

_FEWEST_SERIES = 10  # of a group; smaller ones join the group nearest to them
_ROWS = 12_000  # that a group needs, or it loses more than it gains (see `choose_n_groups`)
_MOST_GROUPS = 6


@dataclass(frozen=True)
class GroupMemory:
    """A `Memory`, and the group whose network it belongs to."""

    group: int
    memory: Memory


def shapes(values: list[np.ndarray], lags: tuple) -> np.ndarray:
    """Logarithms of mean absolute changes over `lags`, relative to the first, (n_series, n - 1).

    The first variable counts. NaN where a series is too short or does not change.
    """
    out = np.full((len(values), len(lags)), np.nan)
    for i, y in enumerate(values):
        first = y[:, 0] if y.ndim == 2 else y
        for j, lag in enumerate(lags):
            changes = np.abs(first[lag:] - first[:-lag])
            changes = changes[np.isfinite(changes)]
            if len(changes) and changes.mean() > 0:
                out[i, j] = np.log(changes.mean())
    return out[:, 1:] - out[:, :1]


def choose_n_groups(n_rows: int, n_series: int) -> int:
    """As many groups as leave each 12,000 rows and 20 series, at most six.

    On origins inside training parts groups helped where there were that many rows (hourly,
    weekly and monthly series), and harmed where there were fewer.
    """
    return max(1, min(_MOST_GROUPS, n_rows // _ROWS, n_series // (2 * _FEWEST_SERIES)))


class ShapeGroups:
    """Groups of series by their `shapes`, found by k-means.

    Parameters
    ----------
    n_groups : int
        At most so many; groups of fewer than ten series are dissolved.
    lags : tuple of int
        As in `shapes`.

    Attributes
    ----------
    centres_ : ndarray of shape (n_groups_, n_shapes)
    """

    def __init__(self, n_groups: int, lags: tuple):
        self.n_groups, self.lags = n_groups, lags

    @property
    def n_groups_(self) -> int:
        """Groups that were found."""
        return len(self.centres_)

    def fit(self, values: list[np.ndarray]) -> np.ndarray:
        """Find groups; the group of each series, (n_series,)."""
        from sklearn.cluster import KMeans  # a tenth of a second, which not every program needs

        rows = shapes(values, self.lags)
        known = np.isfinite(rows)
        count = np.maximum(known.sum(axis=0), 1)
        self._mean = np.where(known, rows, 0.0).sum(axis=0) / count
        apart = np.where(known, rows - self._mean, 0.0)
        spread = np.sqrt((apart**2).sum(axis=0) / count)
        self._spread = np.where(spread > 0, spread, 1.0)
        rows = np.nan_to_num((rows - self._mean) / self._spread)
        n_groups = min(self.n_groups, len(np.unique(rows, axis=0)))
        # in an order of their own, so that the order of the series changes nothing
        ranked = rows[np.lexsort(np.round(rows, 6).T)]
        means = KMeans(max(n_groups, 1), n_init=10, random_state=0).fit(ranked)
        counts = np.bincount(means.labels_, minlength=n_groups)
        keep = counts >= min(_FEWEST_SERIES, counts.max())
        self.centres_ = means.cluster_centers_[keep]
        return self._nearest(rows)

    def of(self, values: list[np.ndarray]) -> np.ndarray:
        """The group whose shape is nearest to that of each series, (n_series,)."""
        return self._nearest(np.nan_to_num((shapes(values, self.lags) - self._mean) / self._spread))

    def _nearest(self, rows):
        apart = ((rows[:, None] - self.centres_) ** 2).sum(axis=2)
        return apart.argmin(axis=1)


class GroupedNetwork:
    """`PooledNetwork` for each of several groups; its methods, with `GroupMemory` for memories.

    Parameters
    ----------
    n_groups : int
        At most so many; groups of fewer than ten series are dissolved.
    shape_lags : tuple of int, optional
        Changes over these steps tell the groups apart: by default 1 and the periods, or 1, 2 and
        4 without any.
    seed : int, default=0
    **options
        As in `PooledNetwork`, for each group.

    Attributes
    ----------
    centres_ : ndarray of shape (n_groups_, n_shapes)
    networks_ : list of PooledNetwork
    """

    def __init__(self, n_groups: int, *, shape_lags: tuple | None = None, **options: Any):
        self.n_groups = n_groups
        self.options = options
        blank = PooledNetwork(**options)
        self.lags, self.n_units, self.reference = blank.lags, blank.n_units, blank.reference
        periods = tuple(m for m in options.get("periods", ()) if m > 1)
        self.shape_lags = shape_lags or (1, *(periods or (2, 4)))

    def fit(
        self,
        values: list[np.ndarray],
        exog: list[np.ndarray] | None = None,
        static: np.ndarray | None = None,
        *,
        n_past: int = 0,
    ) -> Self:
        """Group the series and learn from each group; see `PooledNetwork.fit`."""
        values, exog, static = as_lists(values, exog, static)
        order = canonical(values, exog, static)
        labels = np.empty(len(values), dtype=int)
        self._places = {}
        self._groups = ShapeGroups(self.n_groups, self.shape_lags)
        labels[order] = self._groups.fit([values[i] for i in order])
        self.centres_ = self._groups.centres_
        self.networks_ = []
        for group in range(len(self.centres_)):
            mine = np.flatnonzero(labels == group)
            self._places.update({int(i): k for k, i in enumerate(mine)})
            network = PooledNetwork(**self.options)
            rows = [values[i] for i in mine], [exog[i] for i in mine], static[mine]
            self.networks_.append(network.fit(*rows, n_past=n_past))
        self.labels_ = labels
        return self

    # ------------------------------------------------------------------- memory

    def memories(
        self,
        values: list[np.ndarray],
        exog: list[np.ndarray] | None = None,
        static: np.ndarray | None = None,
    ) -> list[GroupMemory]:
        """Memories of series, which join the group whose shape is nearest to theirs."""
        values, exog, static = as_lists(values, exog, static)
        groups = self._groups.of(values)
        out: list[Any] = [None] * len(values)
        for group, mine in _by_group(groups):
            rows = [values[i] for i in mine], [exog[i] for i in mine], static[mine]
            for i, memory in zip(mine, self.networks_[group].memories(*rows)):
                out[i] = GroupMemory(group, memory)
        return out

    def update(
        self,
        memories: list[GroupMemory],
        values: list[np.ndarray],
        exog: list[np.ndarray] | None = None,
        *,
        refit: bool = False,
    ) -> tuple[GroupedNetwork, list[GroupMemory]]:
        """Take in rows that follow; see `PooledNetwork.update`. No series changes its group."""
        other = copy.copy(self)
        other.networks_ = list(self.networks_)
        out = list(memories)
        for group, mine in _by_group(np.array([m.group for m in memories])):
            own = None if exog is None else [exog[i] for i in mine]
            news = [memories[i].memory for i in mine], [values[i] for i in mine], own
            other.networks_[group], moved = self.networks_[group].update(*news, refit=refit)
            for i, memory in zip(mine, moved):
                out[i] = GroupMemory(group, memory)
        return other, out

    # ----------------------------------------------------------------- forecast

    def forecast(
        self,
        memories: list[GroupMemory],
        n_steps: int,
        exog: list[np.ndarray] | None = None,
    ) -> np.ndarray:
        """Point forecasts of all series, (n_series, n_steps, n_columns)."""
        out: list[Any] = [None] * len(memories)
        for group, mine in _by_group(np.array([m.group for m in memories])):
            own = None if exog is None else [exog[i] for i in mine]
            points = self.networks_[group].forecast(
                [memories[i].memory for i in mine], n_steps, own
            )
            for i, path in zip(mine, points):
                out[i] = path
        return np.stack(out)

    def paths(
        self,
        memory: GroupMemory,
        n_steps: int,
        n_paths: int,
        rng: np.random.RandomState,
        exog: np.ndarray | None = None,
    ) -> np.ndarray:
        """Simulated paths (n_steps, n_columns, n_paths)."""
        return self.networks_[memory.group].paths(memory.memory, n_steps, n_paths, rng, exog)

    # -------------------------------------------------------------- diagnostics

    def from_origins(
        self,
        Y: np.ndarray,
        X: np.ndarray,
        static: np.ndarray,
        origins: np.ndarray,
        *,
        like: GroupMemory,
        n_steps: int | None = None,
        left_out: int | None = None,
    ) -> np.ndarray:
        """Forecasts after rows of one series, with the network of the memory `like`."""
        place = None if left_out is None else self._places[left_out]
        network = self.networks_[like.group]
        return network.from_origins(
            Y, X, static, origins, n_steps=n_steps, left_out=place, like=like.memory
        )

    def one_step_after(self, memory: GroupMemory, Y: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Predictions (n, D) of rows that follow, each from the rows before it."""
        return self.networks_[memory.group].one_step_after(memory.memory, Y, X)


def _by_group(groups):
    """Pairs of a group that occurs, and the places where it does."""
    return [(int(group), np.flatnonzero(groups == group)) for group in np.unique(groups)]
