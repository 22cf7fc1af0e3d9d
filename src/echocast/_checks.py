"""Small argument checks with scikit-learn's wording; a leaf that imports NumPy alone."""

from __future__ import annotations

import inspect
import math
import numbers
from typing import Any

import numpy as np

from echocast.exceptions import InvalidParameterError

__all__ = [
    "check_alpha",
    "check_degree",
    "check_flag",
    "check_generator",
    "check_jobs",
    "check_number",
    "check_option",
    "check_solver",
    "refuse",
    "stack_level",
]


def refuse(name: str, owner: str, rule: str, value: Any) -> None:
    """Raise scikit-learn's sentence for a bad parameter."""
    shown = repr(value)
    if len(shown) > 80:
        shown = f"{shown[:77]}..."
    raise InvalidParameterError(
        f"The {name!r} parameter of {owner} must be {rule}. Got {shown} instead."
    )


def check_number(
    name: str,
    value: Any,
    owner: str,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    closed: str = "both",
    integer: bool = False,
    also: tuple = (),
) -> Any:
    """Return `value` if it is a finite number in the interval, or equals a member of `also`.

    `closed` is "both", "left", "right" or "neither". Booleans are not numbers here.
    """
    if any(
        value is a or (isinstance(a, str) and isinstance(value, str) and value == a) for a in also
    ):
        return value
    kind = numbers.Integral if integer else numbers.Real
    ok = isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
    if ok:
        above = value >= low if closed in ("both", "left") else value > low
        below = value <= high if closed in ("both", "right") else value < high
        # An int is finite however long it is, and NumPy cannot ask that of the longest ones.
        finite = isinstance(value, numbers.Integral) or math.isfinite(value)
        ok = finite and bool(above) and bool(below)
    if not ok:
        left = "[" if closed in ("both", "left") and np.isfinite(low) else "("
        right = "]" if closed in ("both", "right") and np.isfinite(high) else ")"
        shown_low, shown_high = (
            bound if integer or not np.isfinite(bound) else float(bound) for bound in (low, high)
        )
        kind_name = "an int" if integer else "a float"
        rule = f"{kind_name} in the range {left}{shown_low}, {shown_high}{right}"
        for a in also:
            rule += f" or {a!r}"
        refuse(name, owner, rule, value)
    return value


def check_option(name: str, value: Any, owner: str, options: Any) -> Any:
    """Return `value` if it is one of the strings `options`."""
    if not (isinstance(value, str) and value in options):
        listed = ", ".join(repr(o) for o in sorted(options))
        refuse(name, owner, f"a str among {{{listed}}}", value)
    return value


def check_flag(name: str, value: Any, owner: str) -> bool:
    """Return `value` if it is a Boolean; strings such as "no" would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        refuse(name, owner, "a bool", value)
    return bool(value)


def check_alpha(alpha: Any, owner: str) -> Any:
    """Return "auto", a float >= 0 or a 1-D float array of candidates >= 0, else raise."""
    if isinstance(alpha, str) or np.ndim(alpha) == 0:
        value = check_number("alpha", alpha, owner, low=0.0, closed="left", also=("auto",))
        return value if isinstance(value, str) else float(value)
    try:
        values = np.asarray(alpha, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or values.min() < 0:
        refuse("alpha", owner, "'auto', a float >= 0 or a 1-D array of floats >= 0", alpha)
    return values


def check_solver(solver: Any, owner: str) -> str:
    """Return the name of a solver of the ridge readout."""
    return check_option("solver", solver, owner, ("auto", "cholesky", "qr", "svd"))


def check_degree(degree: Any, owner: str) -> list:
    """Return the degrees of polynomials, one or several, as a list."""
    given = [degree] if np.ndim(degree) == 0 else list(degree)
    whole = all(isinstance(p, (int, np.integer)) and not isinstance(p, bool) for p in given)
    if not given or not whole or min(given) < 1:
        refuse("degree", owner, "an int >= 1 or a sequence of such", degree)
    return given


def check_jobs(n_jobs: Any, owner: str) -> None:
    """Refuse what joblib cannot take as a number of workers."""
    if n_jobs is not None:
        check_number("n_jobs", n_jobs, owner, integer=True)
        if n_jobs == 0:
            refuse("n_jobs", owner, "None, -1 or an int >= 1", n_jobs)


def check_generator(random_state: Any) -> np.random.RandomState:
    """Turn None, an int, RandomState, Generator or SeedSequence into one RandomState.

    RandomState's streams are frozen (NEP 19), so a seed gives the same weights in every
    version of NumPy. A Generator lends its bit generator and is advanced by the draws.
    """
    if random_state is None:
        return np.random.RandomState()
    if isinstance(random_state, np.random.RandomState):
        return random_state
    if isinstance(random_state, np.random.Generator):
        return np.random.RandomState(random_state.bit_generator)
    if isinstance(random_state, np.random.SeedSequence):
        return np.random.RandomState(np.random.MT19937(random_state))
    is_seed = isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool)
    if is_seed and 0 <= random_state < 2**32:
        return np.random.RandomState(int(random_state))
    raise ValueError(
        f"random_state={random_state!r} cannot be used to seed a random generator; pass None, an "
        "int in [0, 2**32 - 1], a RandomState, a Generator or a SeedSequence."
    )


def stack_level() -> int:
    """The `stacklevel` by which a warning points at the code that called this package."""
    frame, level = inspect.currentframe(), 0
    ours = ("echocast.", "sklearn.callback.")  # the latter wraps fitting methods
    while frame is not None and frame.f_globals.get("__name__", "").startswith(ours):
        frame, level = frame.f_back, level + 1
    return level
