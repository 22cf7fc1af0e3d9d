"""Experiment 2b: a character network on English text, beside Markov chains.

The text is the reference that comes with Python (`pydoc_data.topics`), so it differs between
versions, and only the comparison means something. The last tenth is held out. On as little text as
this, and in as little time, chains are hard to beat.
"""

from __future__ import annotations

import time
from pydoc_data.topics import topics

from echocast.reservoir import CharRNN, MarkovChain

ORDERS = range(1, 7)


def run(seed: int = 0, max_iter: int = 12) -> dict:
    """Bits per character, and the CPU time of training the network."""
    text = "\n".join(topics[name] for name in sorted(topics))
    cut = len(text) - len(text) // 10
    train, test, symbols = text[:cut], text[cut:], sorted(set(text))
    found = {
        f"bits_markov_{order}": MarkovChain(order, vocabulary=symbols).fit(train).score(test)
        for order in ORDERS
    }
    rnn = CharRNN(
        hidden_layer_sizes=128,
        vocabulary=symbols,
        learning_rate_init=5e-3,
        dropout=0.1,
        max_iter=max_iter,
        random_state=seed,
    )
    start = time.process_time()
    rnn.fit(train)
    return {
        "n_characters": float(len(text)),
        **found,
        "bits": rnn.score(test),
        "seconds": time.process_time() - start,
    }


if __name__ == "__main__":
    print(run())
