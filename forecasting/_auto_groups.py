"""Networks of the automatic average for each group of series that change alike.

What suits hourly series with a daily pattern suits those with a weekly one badly. Where a pool
is large enough, its series are grouped as in `_pooled_groups`, and each group has networks of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._classical import Packed
from ._packed_network import NetworkRecipe, PackedNetwork
from ._pooled_groups import GroupedNetwork, ShapeGroups

__all__ = ["PoolRecipe", "SplitNetwork", "WholeNetwork"]

_DIGITS = 8  # of logarithms, or of values relative to their mean
_LEAST = 15_000  # origins that the network of a group learns from, if there are so many


@dataclass(frozen=True)
class PoolRecipe:
    """Settings of a `GroupedNetwork`, whose readout sees values of the seasons before the target.

    Parameters
    ----------
    periods : tuple of int
        Season lengths, the main one first; empty without one.
    reference : {"last", "seasonal"}
    n_seasons : int
        Whole seasons whose values are features.
    n_units : tuple of int
        Units of the reservoirs, whose forecasts are merged by the median.
    """

    periods: tuple = ()
    reference: str = "last"
    n_seasons: int = 1
    n_units: tuple = (100,)


class WholeNetwork:
    """A `GroupedNetwork` on packed series.

    Parameters
    ----------
    recipe : PoolRecipe
    horizon : int
    lags : tuple of int
    n_groups : int
    shape_lags : tuple of int
    seed : int, default=0
    """

    def __init__(self, recipe: PoolRecipe, horizon, lags, n_groups, shape_lags, *, seed=0):
        self.horizon = horizon
        options: dict[str, Any] = {
            "horizon": horizon,
            "periods": recipe.periods,
            "reference": recipe.reference,
            "n_seasons": recipe.n_seasons,
            "n_units": recipe.n_units,
            "n_seeds": len(recipe.n_units),
            "lags": lags,
            "seed": seed,
        }
        self.network = GroupedNetwork(
            n_groups, shape_lags=shape_lags, loss="absolute", weight_power=1.0, clip=3.0,
            keep_errors=False, **options,
        )  # fmt: skip

    def fit(self, packed: Packed) -> WholeNetwork:
        """Learn from packed series."""
        # rounding in other units of y would change digests, and with them the folds
        self.network.fit([np.round(y, _DIGITS) for y in packed.rows()])
        return self

    def forecast(self, packed: Packed) -> np.ndarray:
        """Forecasts (n_series, horizon) from the last value of each series on."""
        memories = self.network.memories(packed.rows())
        return self.network.forecast(memories, self.horizon)[:, :, 0]


class SplitNetwork:
    """A `PackedNetwork` for each group of packed series, or one for all.

    Parameters
    ----------
    recipe : NetworkRecipe
    horizon : int
    lags : tuple of int
    n_groups : int
    shape_lags : tuple of int
    most_rows : int, default=40_000
        Origins to learn from, shared among the groups.
    **options
        As in `PackedNetwork`.
    """

    def __init__(
        self,
        recipe: NetworkRecipe,
        horizon,
        lags,
        n_groups,
        shape_lags,
        *,
        most_rows=40_000,
        **options: Any,
    ):
        self.arguments, self.options = (recipe, horizon, lags), options
        self.most_rows = most_rows
        self.n_groups, self.shape_lags = n_groups, shape_lags

    def fit(self, packed: Packed) -> SplitNetwork:
        """Group the series and learn from each group."""
        labels = np.zeros(len(packed.lengths), dtype=int)
        self.groups: ShapeGroups | None = None
        if self.n_groups > 1:
            self.groups = ShapeGroups(self.n_groups, self.shape_lags)
            labels = self.groups.fit(packed.rows())
        options = self.options | {"most_rows": max(_LEAST, self.most_rows // (labels.max() + 1))}
        self.networks = [
            PackedNetwork(*self.arguments, **options).fit(_part(packed, labels == group))
            for group in range(labels.max() + 1)
        ]
        return self

    def forecast(self, packed: Packed) -> np.ndarray:
        """Forecasts (n_series, horizon) from the last value of each series on."""
        if self.groups is None:
            return self.networks[0].forecast(packed)
        labels = self.groups.of(packed.rows())
        out = np.empty((len(labels), self.arguments[1]))
        for group in np.unique(labels):
            mine = labels == group
            out[mine] = self.networks[group].forecast(_part(packed, mine))
        return out


def _part(packed, mine):
    """Some of the packed series, as wide as they need to be."""
    width = packed.lengths[mine].max()
    return Packed(packed.values[mine, -width:], packed.lengths[mine])
