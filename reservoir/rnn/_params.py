"""All parameters of a network in one vector, seen through named views."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import DTypeLike

from ._tape import Var

__all__ = ["ParamLayout", "is_weight"]


class ParamLayout:
    """Places of named arrays within one flat vector, one after the other in the given order.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Shape of each array; their order is the order in the vector.

    Attributes
    ----------
    shapes : dict of str to tuple of int
    names : tuple of str
    size : int
        Length of the vector.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._params import ParamLayout
    >>> layout = ParamLayout({"out.W": (1, 2), "out.b": (1,)})
    >>> theta = np.zeros(layout.size)
    >>> layout.views(theta)["out.W"][:] = 5.0
    >>> theta
    array([5., 5., 0.])
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        self.shapes = {name: tuple(int(n) for n in shape) for name, shape in shapes.items()}
        self.names = tuple(self.shapes)
        self.size = sum(math.prod(shape) for shape in self.shapes.values())

    def __eq__(self, other):
        if not isinstance(other, ParamLayout):
            return NotImplemented
        return list(self.shapes.items()) == list(other.shapes.items())

    def __hash__(self):
        return hash(tuple(self.shapes.items()))

    def __repr__(self):
        return f"ParamLayout({self.shapes})"

    def views(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return a view of `vector` for each name; writing to one writes to the vector."""
        if vector.shape != (self.size,) or not vector.flags.c_contiguous:
            raise ValueError(
                f"`vector` must be contiguous and of shape ({self.size},), got {vector.shape}."
            )
        return {name: vector[part].reshape(self.shapes[name]) for name, part in self._parts()}

    def leaves(self, theta: np.ndarray, grad: np.ndarray | None) -> dict[str, Var]:
        """Return leaves of the tape over `theta` that add to `grad`; constants if it is None."""
        views = self.views(theta)
        if grad is None:
            return {name: Var(data, needs_grad=False) for name, data in views.items()}
        into = self.views(grad)
        return {name: Var(views[name], grad=into[name], needs_grad=True) for name in views}

    def mask(self, predicate: Callable[[str], bool]) -> np.ndarray:
        """Return a bool vector that is True at the entries of names that `predicate` accepts."""
        chosen = np.zeros(self.size, dtype=np.bool_)
        for name, part in self._parts():
            chosen[part] = bool(predicate(name))
        return chosen

    def pack(self, arrays: Mapping[str, np.ndarray], dtype: DTypeLike = np.float64) -> np.ndarray:
        """Return a new vector that holds `arrays`, one for each name and no others."""
        missing, unknown = set(self.names) - set(arrays), set(arrays) - set(self.names)
        if missing or unknown:
            raise ValueError(
                f"Parameters {sorted(missing)} are missing and {sorted(unknown)} are unknown."
            )
        vector = np.empty(self.size, dtype=dtype)
        for name, view in self.views(vector).items():
            if np.shape(arrays[name]) != view.shape:
                raise ValueError(
                    f"Parameter {name!r} must have shape {view.shape}, "
                    f"got {np.shape(arrays[name])}."
                )
            view[...] = arrays[name]
        return vector

    def _parts(self) -> Iterator[tuple[str, slice]]:
        start = 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            yield name, slice(start, stop)
            start = stop


def is_weight(name: str) -> bool:
    """Whether a parameter multiplies something: neither a bias nor an initial state."""
    return name.rpartition(".")[2] not in ("b", "b_n", "h0", "c0")
