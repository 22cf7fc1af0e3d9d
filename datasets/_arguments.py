"""Argument checks and small conventions that the generators share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from echocast._checks import check_generator, check_number, refuse
from echocast.exceptions import InvalidParameterError

__all__ = [
    "check_steps",
    "discarded_rows",
    "initial_state",
    "inner_steps",
    "numbers_of",
    "require_finite",
    "vector_of",
]


def check_steps(n_steps: Any, owner: str) -> int:
    """Return the number of rows asked for as an int."""
    return int(check_number("n_steps", n_steps, owner, low=1, integer=True))


def inner_steps(substeps: Any, dt: float, longest: float, owner: str) -> int:
    """Return `substeps`, or the fewest that keep the internal step at or below `longest`."""
    if substeps is None:
        # The slack keeps dt=0.02, longest=0.001 at 20 although 0.02 / 0.001 rounds up.
        return max(1, math.ceil(dt / longest * (1.0 - 1e-12)))
    return int(check_number("substeps", substeps, owner, low=1, integer=True))


def discarded_rows(transient: Any, default: float, given: bool, dt: float, owner: str) -> int:
    """Return how many rows of step `dt` cover `transient` time units, rounded up.

    None stands for `default`, or for nothing if the caller has `given` the initial state.
    """
    if transient is None:
        transient = 0.0 if given else default
    check_number("transient", transient, owner, low=0.0)
    return math.ceil(transient / dt * (1.0 - 1e-12))


def numbers_of(
    name: str, value: Any, fits: Callable[[tuple[int, ...]], bool], rule: str, owner: str
) -> np.ndarray:
    """Return `value` as a fresh float64 array of finite numbers whose shape `fits`."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        refuse(name, owner, rule, value)
    if not array.size or array.dtype.kind not in "iuf":
        refuse(name, owner, rule, value)
    array = array.astype(np.float64)
    if fits(array.shape) and np.isfinite(array).all():
        return array
    found = f"shape {array.shape}" if not fits(array.shape) else "nan or infinity among them"
    raise InvalidParameterError(
        f"The {name!r} parameter of {owner} must be {rule}. Got {found} instead."
    )


def vector_of(name: str, value: Any, size: int, owner: str) -> np.ndarray:
    """Return `value` as a fresh float64 vector of `size` finite numbers."""
    rule = f"an array-like of {size} finite numbers"
    return numbers_of(name, value, lambda shape: shape == (size,), rule, owner)


def initial_state(
    x0: Any, default: np.ndarray, spread: float, random_state: Any, owner: str
) -> np.ndarray:
    """Return `x0` or `default`, plus `spread` times standard normals if a seed is given."""
    x = np.array(default) if x0 is None else vector_of("x0", x0, len(default), owner)
    if random_state is not None:
        x += spread * check_generator(random_state).standard_normal(len(x))
    return x


def require_finite(series: np.ndarray, owner: str) -> np.ndarray:
    """Return `series`, or say at which row it left the floating-point numbers."""
    rows = np.isfinite(series.reshape(len(series), -1)).all(axis=1)
    if not rows.all():
        raise ValueError(
            f"The trajectory of {owner} is not finite from row {int(rows.argmin())} on; "
            "use a smaller internal step (`dt`, `substeps`), other coefficients or another "
            "initial state."
        )
    return series
