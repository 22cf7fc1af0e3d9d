"""A recurrent network that reads numbers of symbols through an embedding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import _ops as ops
from ._network import Network, Run
from ._params import ParamLayout
from ._tape import Var

__all__ = ["TextNetwork"]


@dataclass(frozen=True, eq=False)
class TextNetwork(Network):
    """A `Network` whose inputs are numbers (n_steps, n_pieces, n_tables), a row of a table each.

    The rows are added up: what the layers see is W_in (E_0[x_0] + E_1[x_1] + ...) + b, the product
    of W_in E with one-hot vectors.

    Parameters
    ----------
    tables : tuple of int
        Rows of each table.
    """

    tables: tuple = ()

    @cached_property
    def layout(self) -> ParamLayout:
        """Names and shapes of all parameters."""
        own = {f"embedding.{i}.E": (n, self.n_inputs) for i, n in enumerate(self.tables)}
        return ParamLayout({**own, **super().layout.shapes})

    def initialise(self, kind: str, rng: np.random.RandomState) -> np.ndarray:
        """New parameters: the layers and the readout as ever, then normal tables."""
        theta = super().initialise(kind, rng)
        views = self.layout.views(theta)
        for i in range(len(self.tables)):
            E = views[f"embedding.{i}.E"]
            E[:] = rng.standard_normal(E.shape)
        return theta

    def embed(self, leaves: dict, x: np.ndarray) -> Var:
        """The rows that the numbers `x` (..., n_tables) stand for."""
        level = ops.take(leaves["embedding.0.E"], x[..., 0])
        for i in range(1, len(self.tables)):
            level = ops.add(level, ops.take(leaves[f"embedding.{i}.E"], x[..., i]))
        return level

    def run(
        self, leaves: Any, x: Any, packed: Any, states: Any = None, *, masks=None, works=None
    ) -> Run:
        """A pass over numbers `x` (n_steps, n_pieces, n_tables)."""
        if states is None:
            states = self.first_states(leaves, x.shape[1])
        embedded: Any = self.embed(leaves, x)
        return super().run(leaves, embedded, packed, states, masks=masks, works=works)

    def step(self, leaves, x, fed, states, masks=None):
        """One step of all layers."""
        return super().step(leaves, self.embed(leaves, x), fed, states, masks)
