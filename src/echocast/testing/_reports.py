"""What a check has compared, and the sentence it fails with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["CausalReport", "Ledger"]


@dataclass(frozen=True)
class CausalReport:
    """What a check compared without finding a difference.

    Attributes
    ----------
    name : str
        What was checked.
    n_comparisons : int
        Runs on changed data whose output was compared.
    n_values : int
        Numbers compared, each to the last bit.
    refused : tuple of str
        Runs that ended with an error because of what the changed rows held; not a leak, but
        nothing could be compared.
    left_out : tuple of str
        Kinds of output that were not looked at, because the object cannot make them.
    """

    name: str
    n_comparisons: int
    n_values: int
    refused: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.name}: {self.n_comparisons} comparisons of {self.n_values} values"
        text += f", {len(self.refused)} refused" if self.refused else ""
        return f"{text}; left out: {', '.join(self.left_out)}" if self.left_out else text


@dataclass
class Ledger:
    """Counts comparisons and raises at the first difference."""

    name: str
    n_comparisons: int = 0
    n_values: int = 0
    refused: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)

    def attempt(self, what: str, function: Callable[[], Any]) -> Any:
        """The result of a run on changed data, or None if it refuses them."""
        try:
            return function()
        except (TypeError, ValueError, ArithmeticError) as error:
            self.refused.append(f"{what}: {type(error).__name__}: {error}")
            return None

    def compare(self, what: str, clean: pd.DataFrame, changed: pd.DataFrame) -> None:
        """Refuse frames that differ anywhere in the last bit."""
        self.n_comparisons += 1
        self.n_values += clean.size
        if clean.shape != changed.shape or not clean.index.equals(changed.index):
            raise AssertionError(
                f"{self.name} sees the future ({what}): the output has shape {changed.shape} "
                f"instead of {clean.shape}, or other labels."
            )
        left, right = clean.to_numpy(), changed.to_numpy()
        equal = (left == right) | ((left != left) & (right != right))
        if not equal.all():
            row, column = np.argwhere(~equal)[0]
            raise AssertionError(
                f"{self.name} sees the future ({what}): first difference in row {row} "
                f"({clean.index[row]}), column {clean.columns[column]!r}: "
                f"{_plain(left[row, column])!r} became {_plain(right[row, column])!r}; "
                f"{int((~equal).sum())} of {equal.size} values differ."
            )

    def report(self) -> CausalReport:
        """The report, if there was anything to compare."""
        if not self.n_comparisons:
            raise ValueError(
                f"Nothing could be compared for {self.name}; the first refusal: {self.refused[0]}"
            )
        return CausalReport(
            self.name,
            self.n_comparisons,
            self.n_values,
            tuple(self.refused),
            tuple(sorted(self.left_out)),
        )


def _plain(value):
    """A number whose repr is that of Python's."""
    return value.item() if isinstance(value, np.generic) else value
