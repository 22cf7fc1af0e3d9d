"""What ``echocast verify`` prints and writes."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ._figures import ROWS, Figure, measure

__all__ = ["run_verify"]


_MODULES = ("inputs", "time", "numerics", "files", "faults", "processes", "memory", "workers")


def _load_rows() -> None:
    """Import what registers the rows, in the order of the report."""
    for name in _MODULES:
        import_module(f"{__package__}._{name}")


def run_verify(
    *,
    full: bool = False,
    only: Sequence[str] | None = None,
    seed: int = 0,
    json_path: str | None = None,
) -> bool:
    """Measure every row and print it as soon as it is there.

    Parameters
    ----------
    full : bool, default=False
        More trials, and the rows that take long.
    only : list of str, optional
        Groups to run.
    seed : int, default=0
    json_path : str, optional
        File for the figures, with versions and machine.

    Returns
    -------
    bool
        Whether no row missed its limit. Rows that were skipped do not count, and are named.
    """
    if json_path is not None:
        Path(json_path).touch()  # that it cannot be written should be said now, not in the end
    _load_rows()
    chosen = [check for check in ROWS if not only or check.group in only]
    print(f"{_headline()} | seed {seed}", flush=True)
    start, figures = time.perf_counter(), []
    for check in chosen:
        found = measure(check, seed, full)
        figures.append(found)
        print(_line(found), flush=True)
    seconds = time.perf_counter() - start
    print(_summary(figures, seconds))
    if json_path is not None:
        rows = [{**found.as_dict(), "group": c.group} for c, found in zip(chosen, figures)]
        content = {"about": _about(), "seed": seed, "full": full, "seconds": seconds, "rows": rows}
        Path(json_path).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
    return all(found.passed is not False for found in figures)


def _about() -> dict[str, Any]:
    from threadpoolctl import threadpool_info

    from echocast._versions import package_versions

    pools = [
        {key: pool.get(key) for key in ("internal_api", "version", "num_threads")}
        for pool in threadpool_info()
    ]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": package_versions(),
        "thread_pools": pools,
    }


def _headline() -> str:
    from echocast import __version__

    parts = (
        f"echocast {__version__}",
        f"Python {platform.python_version()}",
        f"numpy {np.__version__}",
        f"{sys.platform} {platform.machine()}",
        f"{os.cpu_count()} cores",
    )
    return " | ".join(parts)


def _line(found: Figure) -> str:
    return f"{found.name:<25} {found.trials:>20}   {found.found:<55} {found.verdict}".rstrip()


def _summary(figures: list[Figure], seconds: float) -> str:
    counts = {
        "passed": sum(found.passed is True for found in figures),
        "missed": sum(found.passed is False for found in figures),
        "skipped": sum(found.passed is None for found in figures),
    }
    text = ", ".join(f"{value} {name}" for name, value in counts.items())
    return f"{text}; {seconds:.0f} s"
