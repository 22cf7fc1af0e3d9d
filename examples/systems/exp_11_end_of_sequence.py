"""Experiment 11: sequences that end where they should, in the three ways of section 10.2.3.

The first symbol of a word announces how many letters follow. Models write words at temperature 1,
which must end after as many letters: by a symbol outside the vocabulary, by a unit that says
"stop" at each step, or by drawing the length first and reading how much is left. A model without
any of them goes on for ever.
"""

from __future__ import annotations

import numpy as np
from tasks import announced, kept_words

from echocast.reservoir import CharRNN

N_WORDS, N_EPOCHS, N_DRAWN, LONGEST = 6400, 8, 200, 40  # 800 updates with 64 words each


def run(seed: int = 0) -> dict:
    """Share of the words that end where they announce, of each way, and what else was seen."""
    words = announced(np.random.RandomState(seed), N_WORDS)
    found = {}
    for way in ("symbol", "bernoulli", "length", None):
        rnn = CharRNN(
            hidden_layer_sizes=32,
            cell="gru",
            embedding_size=12,
            end_of_sequence=way,
            batch_size=64,
            learning_rate_init=3e-2,
            max_iter=N_EPOCHS,
            random_state=seed,
        )
        rnn.fit(words)
        if way is None:
            drawn = [rnn.sample(LONGEST, random_state=k) for k in range(N_DRAWN)]
        else:
            drawn = rnn.generate_until_end(N_DRAWN, max_length=LONGEST, random_state=seed)
        name = way or "none"
        found[f"announce_{name}"], found[name] = kept_words(drawn)
        found[f"cut_{name}"] = float(np.mean([len(word) >= LONGEST for word in drawn]))
        found[f"updates_{name}"] = float(rnn.t_)
    return found


if __name__ == "__main__":
    print(run())
