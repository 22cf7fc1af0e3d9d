"""Levels of prediction intervals, in per cent, and quantiles, as shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from echocast._checks import refuse

__all__ = ["check_level", "level_bounds", "read_levels", "read_quantiles"]

# No interval of less than one per cent is of use; below that a share was meant, such as 0.8.
_LEVEL = "a float in the range [1, 100), in per cent (level=80 means 80 %)"


def read_levels(level: Any, owner: str = "predict") -> list:
    """Levels in per cent, as given."""
    return _read_numbers("level", level, owner, _is_level, _LEVEL)


def read_quantiles(quantiles: Any, owner: str = "predict") -> list:
    """Probabilities, as given."""
    rule = "a float in the range (0, 1)"
    return _read_numbers("quantiles", quantiles, owner, lambda q: 0 < q < 1, rule)


def check_level(level: Any, owner: str) -> float:
    """One level in per cent."""
    if not (_is_number(level) and _is_level(level)):
        refuse("level", owner, _LEVEL, level)
    return level


def level_bounds(level: float) -> tuple[float, float]:
    """Probabilities of the lower and upper end of a central interval."""
    tail = (100 - level) / 200
    return tail, 1 - tail


def _is_number(value) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_level(level) -> bool:
    return bool(1 <= level < 100)


def _read_numbers(name: str, value: Any, owner: str, fits: Callable, rule: str) -> list:
    if value is None:
        return []
    values = list(value) if isinstance(value, Sequence | np.ndarray) else [value]
    usable = not isinstance(value, str) and all(_is_number(v) and fits(v) for v in values)
    if not usable or len(set(values)) < len(values):
        refuse(name, owner, f"{rule} or a list of such, without repetition", value)
    return values
