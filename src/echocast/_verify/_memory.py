"""The row about memory: rows without end."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np

from ._figures import Figure, figure, row


def resident() -> float:
    """Memory of this process in MB: resident where Linux tells, else what Python has allocated."""
    try:
        text = Path("/proc/self/status").read_text("utf-8")
        return int(re.search(r"VmRSS:\s*(\d+)", text)[1]) / 1024  # type: ignore[index]
    except (OSError, TypeError):
        return tracemalloc.get_traced_memory()[0] / 2**20


@row("streamed rows", "memory")
def streamed_rows(seed: int, full: bool) -> Figure:
    """`partial_fit` in pieces without end: how far memory grows after the first ones."""
    from echocast.reservoir import ESNRegressor

    rng = np.random.RandomState(seed)
    height, total = 10_000, (10_000_000 if full else 200_000)
    piece = rng.standard_normal((height + 1, 1))
    if not Path("/proc/self/status").exists():
        tracemalloc.start()
    esn = ESNRegressor(50, alpha=1e-6, random_state=seed)
    for _ in range(5):
        esn.partial_fit(piece[:-1], piece[1:])
    before = largest = resident()
    for _ in range(total // height - 5):
        esn.partial_fit(piece[:-1], piece[1:])
        largest = max(largest, resident())
    finite = bool(np.isfinite(esn.coef_).all())
    growth = largest - before if finite else np.inf
    return figure(
        f"{total:,} rows", f"memory grew by {growth:.1f} MB", growth, 2.0 if full else 8.0
    )
