"""Whether two outputs of any kind hold the same numbers: to the last bit, or up to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["difference", "is_finite", "leaves"]


def leaves(output: Any) -> Iterator[np.ndarray]:
    """The arrays in an output: of lists and dicts one after another, of frames also the labels."""
    if isinstance(output, dict):
        for value in output.values():
            yield from leaves(value)
    elif isinstance(output, (list, tuple)):
        for value in output:
            yield from leaves(value)
    elif isinstance(output, (pd.Series, pd.DataFrame)):
        yield np.asarray(output.index)
        yield output.to_numpy()
    else:
        array = output.toarray() if hasattr(output, "toarray") else np.asarray(output)
        yield np.atleast_1d(array)


def difference(left: Any, right: Any, *, rounding: float = 0.0) -> str:
    """What differs first between two outputs, "" if nothing does.

    With `rounding` numbers may differ by that share of the largest of their array, those of
    float32 by 1e-5 of it.
    """
    pairs = list(leaves(left)), list(leaves(right))
    if len(pairs[0]) != len(pairs[1]):
        return f"{len(pairs[0])} arrays became {len(pairs[1])}"
    for one, other in zip(*pairs):
        if one.shape != other.shape:
            return f"shape {one.shape} became {other.shape}"
        if one.dtype.kind in "fc" and other.dtype.kind in "fc":
            equal = (one == other) | (np.isnan(one) & np.isnan(other))
            if rounding and not equal.all():
                single = min(one.dtype.itemsize, other.dtype.itemsize) < 8
                scale = np.nanmax(np.abs(one), initial=0.0)
                slack = max(rounding, 1e-5) if single else rounding
                equal |= np.abs(one - other) <= slack * max(scale, 1e-300)
        else:
            equal = np.asarray(one == other)
        if not equal.all():
            place = tuple(int(k) for k in np.argwhere(~np.atleast_1d(equal))[0])
            return f"{_plain(one[place])} became {_plain(other[place])} at {place}"
    return ""


def is_finite(output: Any) -> bool:
    """Whether all numbers of an output are finite."""
    return all(np.isfinite(a).all() for a in leaves(output) if a.dtype.kind in "fc")


def _plain(value):
    return repr(value.item() if isinstance(value, np.generic) else value)
