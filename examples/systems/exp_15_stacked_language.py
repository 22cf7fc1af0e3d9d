"""Experiment 15: depth against width, on English text with about the same number of parameters.

Two layers of 64 units beside one of 96, which has as many parameters, and one of 64. The text is
the reference that comes with Python (`pydoc_data.topics`), cut to 180,000 characters; it differs
between versions, and so do the numbers: they are reported, not asserted.
"""

from __future__ import annotations

from pydoc_data.topics import topics

from echocast.reservoir import CharRNN, MarkovChain

SIZES = {"2x64": (64, 64), "1x96": (96,), "1x64": (64,)}
N_CHARACTERS = 180_000


def run(seed: int = 0, max_iter: int = 45) -> dict:
    """Bits per character of the last tenth, and numbers of parameters."""
    text = "\n".join(topics[name] for name in sorted(topics))[:N_CHARACTERS]
    cut = len(text) - len(text) // 10
    train, test, symbols = text[:cut], text[cut:], sorted(set(text))
    orders = [MarkovChain(k, vocabulary=symbols).fit(train).score(test) for k in range(1, 7)]
    found = {"bits_markov": min(orders)}
    for name, sizes in SIZES.items():
        rnn = CharRNN(
            hidden_layer_sizes=sizes,
            vocabulary=symbols,
            learning_rate_init=5e-3,
            max_iter=max_iter,
            random_state=seed,
        ).fit(train)
        found[f"bits_{name}"] = rnn.score(test)
        found[f"n_parameters_{name}"] = float(rnn.theta_.size)
        found[f"n_updates_{name}"] = float(rnn.t_)
    return found


if __name__ == "__main__":
    print(run())
