"""One bad input: what it is made from, where it goes, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["FINE", "REFUSED", "SAME", "WARNED", "BadInput"]

REFUSED = "refused"  # an error that names the argument
WARNED = "warned"  # a warning of a documented class, or an error as above
SAME = "same"  # the result of the same numbers as a plain array, or an error as above
FINE = "fine"  # a finite result, a warning, or an error as above


@dataclass(frozen=True)
class BadInput:
    """An input that is bad, or looks it.

    Attributes
    ----------
    name : str
        What is wrong with it.
    kind : str
        "array", "target", "labels", "weights", "text", "values", "index", "exogenous" or
        "horizon".
    argument : str
        The argument that it is passed as, and that an error has to name.
    make : callable
        Gives the bad input from good ones: an array (n_rows, n_columns), its targets, a list of
        texts; a series with dates, the frame beside it, or the rows of X that a forecast needs.
    expect : str
        "refused": an error must name the argument. "warned": a warning will do. "same": the
        result is that of the same numbers in a plain array. "fine": any finite result will do.
        Errors that name the argument are never wrong but where clean numbers are refused.
    lenient : str
        Methods, or first letters of classes, in which what is refused otherwise may be fine, such
        as few rows in `update`; separated by blanks.
    """

    name: str
    kind: str
    argument: str
    make: Callable[[Any], Any]
    expect: str
    lenient: str = ""

    def expected_in(self, owner: str, method: str) -> str:
        """What must come of it in a method of a class."""
        excused = any(owner.startswith(w) or method.startswith(w) for w in self.lenient.split())
        return FINE if self.expect in (REFUSED, WARNED) and excused else self.expect
