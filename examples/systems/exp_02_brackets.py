"""Experiment 2a: a character network on a language whose entropy is known.

Letters and balanced brackets of three kinds, at most three open. What may close depends on a
bracket that was opened any time before, so no chain of finite order comes close to the entropy;
a network that remembers what is open does.
"""

from __future__ import annotations

import numpy as np
from tasks import CLOSING, bracket_entropy, brackets

from echocast.reservoir import CharRNN, MarkovChain

N_TRAIN, N_TEST, ORDERS = 200_000, 20_000, range(1, 7)


def right_kinds(rnn, text):
    """Share of the closing brackets for which the right kind is the likeliest."""
    columns = [rnn.symbols_.index(symbol) for symbol in CLOSING]
    p = rnn.predict_proba(text)[:-1, columns]
    closing = [t for t, symbol in enumerate(text[1:]) if symbol in CLOSING]
    return float(np.mean([CLOSING[p[t].argmax()] == text[t + 1] for t in closing]))


def run(seed: int = 0) -> dict:
    """Bits per character of a new text, by the language itself, the network and the best chain."""
    rng = np.random.RandomState(seed)
    train, _ = brackets(rng, N_TRAIN)
    test, bits = brackets(rng, N_TEST)
    rnn = CharRNN(
        hidden_layer_sizes=48,
        embedding_size=10,
        learning_rate_init=1e-2,
        max_iter=12,
        random_state=seed,
    )
    rnn.fit(train)
    return {
        "entropy": bracket_entropy(),
        "bits_true": float(bits.mean()),
        "bits": rnn.score(test),
        "bits_markov": min(MarkovChain(order).fit(train).score(test) for order in ORDERS),
        "right_kinds": right_kinds(rnn, test),
    }


if __name__ == "__main__":
    print(run())
