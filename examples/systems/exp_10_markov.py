"""Experiment 10: chains of the orders 0 to 5 on symbols that depend on the last three.

The bits that a new text costs fall up to the order of the source and rise slowly beyond it, where
counts get thin; `order="auto"` finds it by holding out a part of what it learns from.
"""

from __future__ import annotations

import numpy as np
from tasks import symbol_source

from echocast.reservoir import MarkovChain

ORDER, N_SYMBOLS, N_TRAIN, N_TEST = 3, 4, 50_000, 20_000


def run(seed: int = 0) -> dict:
    """Bits per symbol of the part that is held out, by order, and by the source itself."""
    ids, bits = symbol_source(np.random.RandomState(seed), N_TRAIN + N_TEST, ORDER, N_SYMBOLS)
    train, test = ids[:N_TRAIN], ids[N_TRAIN:]
    found = {f"bits_{k}": MarkovChain(k).fit(train).score(test) for k in range(6)}
    chosen = MarkovChain("auto", max_order=5).fit(train)
    return {**found, "bits_true": float(bits[N_TRAIN:].mean()), "order": float(chosen.order_)}


if __name__ == "__main__":
    print(run())
