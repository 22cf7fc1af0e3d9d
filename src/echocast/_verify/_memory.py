"""The row about memory: rows without end."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np

from ._figures import Figure, figure, printed, row


def resident() -> float:
    """Memory of this process in MB: resident where Linux tells, else what Python has allocated."""
    try:
        text = Path("/proc/self/status").read_text("utf-8")
        return int(re.search(r"VmRSS:\s*(\d+)", text)[1]) / 1024  # type: ignore[index]
    except (OSError, TypeError):
        return tracemalloc.get_traced_memory()[0] / 2**20


def growth(seed: int, total: int) -> float:
    """Megabytes by which this process grows over `total` rows, after the first ones.

    The least over the last quarter of the pieces against the least after the first five: buffers
    of 8 MB come and go, which is no growth.
    """
    from echocast.reservoir import ESNRegressor

    rng = np.random.RandomState(seed)
    height = 10_000
    if not Path("/proc/self/status").exists():
        tracemalloc.start()
    esn = ESNRegressor(50, alpha=1e-6, random_state=seed)
    sizes = []
    for _ in range(total // height):
        piece = rng.standard_normal((height + 1, 4))  # new each time: what is kept takes memory
        esn.partial_fit(piece[:-1], piece[1:, 0])
        sizes.append(resident())
    grown = min(sizes[-len(sizes) // 4 :]) - min(sizes[5:10])
    return max(grown, 0.0) if np.isfinite(esn.coef_).all() else float("nan")


@row("streamed rows", "memory")
def streamed_rows(seed: int, full: bool) -> Figure:
    """`partial_fit` in pieces without end: how far memory grows after the first ones.

    In a process of its own, as memory that other rows gave back would hide what is kept.
    """
    total = 10_000_000 if full else 200_000
    grown = float(printed(f"from {__name__} import growth; print(growth({seed}, {total}))"))
    return figure(f"{total:,} rows", f"memory grew by {grown:.1f} MB", grown, 2.0)
