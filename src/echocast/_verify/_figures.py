"""What a row of ``echocast verify`` is: trials, what came out, and what it must not exceed."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

__all__ = [
    "ROWS",
    "Figure",
    "Row",
    "figure",
    "measure",
    "printed",
    "row",
    "skipped",
    "worst_of",
]


@dataclass(frozen=True)
class Figure:
    """One measured row.

    Attributes
    ----------
    name : str
    trials : str
        How much was tried, such as "480 cuts".
    found : str
        What came out, in words.
    value : float or None
        The figure that decides, and `limit` what it must not exceed.
    passed : bool or None
        None where the row was skipped; `reason` then says why.
    seconds : float
    """

    name: str
    trials: str = ""
    found: str = ""
    value: float | None = None
    limit: float | None = None
    passed: bool | None = None
    reason: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        if self.passed is None:
            return f"SKIPPED ({self.reason})"
        return "PASS" if self.passed else f"MISS {self.reason}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it, which has no NaN and no infinity: these become words."""
        found = {**asdict(self), "verdict": self.verdict.split()[0]}
        if self.value is not None and not math.isfinite(self.value):
            found["value"] = str(self.value)
        return found


@dataclass(frozen=True)
class Row:
    """A check: its name, the group it is chosen by, and the function that measures it."""

    name: str
    group: str
    function: Callable[[int, bool], Figure]
    full_only: bool = False


ROWS: list[Row] = []


def row(name: str, group: str, *, full_only: bool = False) -> Callable[[Callable], Callable]:
    """Register ``function(seed, full) -> Figure`` as a row, in the order of the report."""

    def register(function: Callable[[int, bool], Figure]) -> Callable[[int, bool], Figure]:
        ROWS.append(Row(name, group, function, full_only))
        return function

    return register


def figure(trials: str, found: str, value: float, limit: float = 0) -> Figure:
    """A figure that passes up to its limit; NaN is a miss."""
    return Figure("", trials, found, float(value), float(limit), bool(value <= limit))


def worst_of(errors: Iterable[float]) -> float:
    """The largest of some errors; NaN if one is, which Python's `max` passes over."""
    return float(np.max(np.array([0.0, *errors])))


def skipped(reason: str) -> Figure:
    return Figure("", reason=reason)


def measure(check: Row, seed: int, full: bool) -> Figure:
    """Run one check. An unexpected error is a miss, which is said, and not the end of the run."""
    start = time.perf_counter()
    if check.full_only and not full:
        found = skipped("only with --full")
    else:
        try:
            found = check.function(seed, full)
        except Exception as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            found = Figure("", passed=False, reason=text[:200])
    return replace(found, name=check.name, seconds=time.perf_counter() - start)


def printed(code: str) -> str:
    """What code prints in a process of its own; if it fails, an error with its last line."""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    return run.stdout
