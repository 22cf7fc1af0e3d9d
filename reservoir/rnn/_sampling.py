"""Draw one of several symbols."""

from __future__ import annotations

import numpy as np

from echocast._checks import check_number

__all__ = ["draw"]


def draw(
    probabilities: np.ndarray,
    rng: np.random.RandomState,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    owner: str = "sample",
) -> int:
    """The number of a symbol drawn with the given probabilities, made sharper or flatter."""
    check_number("temperature", temperature, owner, low=0)
    check_number("top_k", top_k, owner, low=1, integer=True, also=(None,))
    p = np.asarray(probabilities, dtype=np.float64)
    if temperature == 0 or top_k == 1:
        return int(p.argmax())
    if top_k is not None and top_k < len(p):
        p = np.where(p >= np.partition(p, -top_k)[-top_k], p, 0)
    if temperature != 1:
        with np.errstate(divide="ignore"):
            logs = np.log(p) / temperature
        p = np.exp(logs - logs.max())
    return int(rng.choice(len(p), p=p / p.sum()))
