"""Draw one of several symbols."""

from __future__ import annotations

import numpy as np

from echocast._checks import check_number

__all__ = ["check_drawing", "draw"]


def check_drawing(temperature: float, top_k: int | None, owner: str) -> None:
    """Check how symbols are to be drawn."""
    check_number("temperature", temperature, owner, low=0)
    check_number("top_k", top_k, owner, low=1, integer=True, also=(None,))


def draw(
    logs: np.ndarray,
    rng: np.random.RandomState,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> int:
    """The number of a symbol drawn by the logarithms of probabilities, made sharper or flatter.

    They need not be normalised. Of equally likely symbols the first ones are among `top_k`.
    """
    logs = np.asarray(logs, dtype=np.float64)
    logs = logs - logs.max()
    if temperature == 0 or top_k == 1:
        return int(logs.argmax())
    if top_k is not None and top_k < len(logs):
        left_out = np.argsort(-logs, kind="stable")[top_k:]
        logs[left_out] = -np.inf
    if temperature != 1:
        with np.errstate(over="ignore"):  # as good as a temperature of zero
            logs = logs / temperature
    p = np.exp(logs)
    return int(rng.choice(len(p), p=p / p.sum()))
