"""One form for what the benchmarks measure, so that one command can gather it."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

PEERS = (
    "reservoirpy",
    "rclib",
    "reservoir_computing",
    "torch",
    "skforecast",
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "numba",
)
MEETS = {">=": np.greater_equal, "<=": np.less_equal, "<": np.less}


def fastest(jobs: Mapping[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Least seconds of each job; the jobs take turns so that drifts of the machine even out."""
    best = dict.fromkeys(jobs, np.inf)
    for _ in range(repeat):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def row(
    target_id: str,
    job: str,
    value: float,
    unit: str,
    *,
    against: str = "",
    target: str = "",
    **details: Any,
) -> dict[str, Any]:
    """One measured figure; `target` reads like ">= 4"."""
    met = None
    if target:
        sign, bound = target.split()
        met = bool(MEETS[sign](value, float(bound)))
    found = {"id": target_id, "job": job, "against": against, "value": float(value)}
    return {**found, "unit": unit, "target": target, "met": met, **details}


def versions() -> dict[str, str]:
    """Of Python, of this package and of all peers that are installed."""
    found = {"python": platform.python_version()}
    for name in ("echocast", *PEERS):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """What the figures depend on besides the versions."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": str(os.cpu_count()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "unset"),
    }


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to FILE")


def write(path: Path | None, rows: list[dict[str, Any]], **more: Any) -> None:
    """Figures, versions and machine as JSON; nothing without a path."""
    if path is None:
        return
    content = {"versions": versions(), "machine": machine(), "rows": rows, **more}
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
