"""Choose the memory layout in which kernels multiply by the recurrent matrix."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from scipy import sparse

__all__ = ["FrozenArrays", "RecurrentPlan", "frozen", "recurrent_plan"]

# A dense product streams whole rows, so it wins long before every entry is filled.
_DENSE_SHARE = 0.25
# Contiguous loads cost about a quarter of gathers: diagonals may be this much emptier.
_SHIFT_FILL = 0.25
# Rows may be padded by this much to become equally long.
_PADDING = 1.3


class FrozenArrays:
    """Pickling for dataclasses of read-only arrays: a copy in a worker needs the same kernels."""

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state):
        self.__dict__.update({name: _frozen_again(value) for name, value in state.items()})


def _frozen_again(value):
    if isinstance(value, tuple):
        return tuple(_frozen_again(part) for part in value)
    return frozen(value, value.dtype) if isinstance(value, np.ndarray) else value


@dataclass(frozen=True, eq=False)
class RecurrentPlan(FrozenArrays):
    """A recurrent matrix as the kernels read it.

    Parameters
    ----------
    layout : {"shift", "ell", "csr", "dense"}
    n_units : int
    arrays : tuple of ndarray
        - shift: offsets (K,) int64 and values (K, n_units); diagonal k holds
          ``W[i, (i + offsets[k]) % n_units]`` at ``values[k, i]``.
        - ell: indices (K, n_units) uint32 and values (K, n_units), one column a row of W.
        - csr: indptr (n_units + 1,), indices and data, as in SciPy.
        - dense: W (n_units, n_units).
    """

    layout: str
    n_units: int
    arrays: tuple

    @property
    def dtype(self) -> np.dtype:
        """Type of the weights."""
        return self.arrays[-1].dtype

    @cached_property
    def matrix(self):
        """The weights as an ndarray (dense) or a SciPy CSR array (all other layouts)."""
        if self.layout == "dense":
            return self.arrays[0]
        n = self.n_units
        if self.layout == "csr":
            indptr, columns, data = self.arrays
            return sparse.csr_array((data, columns.astype(np.int64), indptr), shape=(n, n))
        rows = np.broadcast_to(np.arange(n), self.arrays[1].shape)
        columns = self._columns()
        entries = (self.arrays[1].ravel(), (rows.ravel(), columns.ravel()))
        return sparse.csr_array(entries, shape=(n, n))

    def _columns(self):
        """Column of W that each entry of a shift or ell layout stands in, (K, n_units)."""
        columns = self.arrays[0].astype(np.int64)
        if self.layout == "shift":
            columns = (np.arange(self.n_units) + columns[:, None]) % self.n_units
        return columns

    @cached_property
    def rowwise(self) -> tuple:
        """The arrays (W,) or (indptr, indices, data): what kernels of many sequences read."""
        if self.layout in ("dense", "csr"):
            return self.arrays
        # The terms of a unit keep their order, so that sums are rounded as for one sequence.
        width, n = self.arrays[1].shape
        columns = self._columns().T
        return (
            frozen(np.arange(n + 1) * width, np.int64),
            frozen(columns.ravel(), np.uint32),
            frozen(self.arrays[1].T.ravel(), self.dtype),
        )

    @property
    def n_stored(self) -> int:
        """Number of multiplications in one product, padding included."""
        return self.arrays[-1].size


def frozen(array, dtype) -> np.ndarray:
    """Return a C-ordered, aligned, read-only view or copy: one numba type for every caller."""
    array = np.require(array, dtype=dtype, requirements=["C", "A"])
    view = array.view(np.ndarray)
    view.setflags(write=False)
    return view


def recurrent_plan(W, dtype=np.float64) -> RecurrentPlan:
    """Pick the layout from the matrix itself.

    Parameters
    ----------
    W : ndarray or SciPy sparse matrix of shape (n_units, n_units)
    dtype : {float64, float32}

    Returns
    -------
    RecurrentPlan
    """
    n_units = W.shape[0]
    if W.shape != (n_units, n_units) or n_units == 0:
        raise ValueError(f"The recurrent matrix must be square and not empty, got {W.shape}.")
    rows, columns = W.nonzero()
    if rows.size > _DENSE_SHARE * n_units * n_units:
        dense = W.toarray() if sparse.issparse(W) else np.asarray(W)
        return RecurrentPlan("dense", n_units, (frozen(dense, dtype),))
    csr = sparse.csr_array(W)
    csr.sum_duplicates()
    rows, columns = csr.nonzero()
    values = np.asarray(csr[rows, columns]).ravel() if rows.size else np.zeros(0)
    shift = (columns - rows) % n_units
    offsets, which = np.unique(shift, return_inverse=True)
    if offsets.size * n_units * _SHIFT_FILL <= max(rows.size, 1):
        diagonals = np.zeros((offsets.size, n_units))
        diagonals[which, rows] = values
        arrays = frozen(offsets, np.int64), frozen(diagonals, dtype)
        return RecurrentPlan("shift", n_units, arrays)
    counts = np.bincount(rows, minlength=n_units)
    width = counts.max()
    start = np.concatenate([[0], np.cumsum(counts)])
    if width * n_units <= _PADDING * rows.size:
        # A padded entry multiplies the unit's own state by zero.
        indices = np.tile(np.arange(n_units), (width, 1))
        weights = np.zeros((width, n_units))
        place = np.arange(rows.size) - start[rows]
        indices[place, rows] = columns
        weights[place, rows] = values
        return RecurrentPlan("ell", n_units, (frozen(indices, np.uint32), frozen(weights, dtype)))
    parts = frozen(start, np.int64), frozen(columns, np.uint32), frozen(values, dtype)
    return RecurrentPlan("csr", n_units, parts)
