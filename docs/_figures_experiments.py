"""The experiments of `examples/systems`, for figures that show a run of theirs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "systems"
WIDE, NARROW = (6.8, 2.6), (4.6, 2.6)  # of figures, in inches


def experiment(name):
    """The script `name` (without .py) as a module."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    return importlib.import_module(name)
