"""Experiment 25: truncated backpropagation through time on one long series, echo with lag 8.

The series is cut into lanes that are learnt from side by side, and states are carried from one
stretch to the next. A window of 20 steps sees what must be remembered; one of 5 steps never does,
although the state is carried. The first recurrent weights are small: with orthogonal ones the
network is a good reservoir, whose readout finds some of the echo without any gradient that goes
back so far.
"""

from __future__ import annotations

import numpy as np
from tasks import bits_of, echo

from echocast.reservoir import RNNClassifier

LAG, N_STEPS = 8, 64 * 1000


def run(seed: int = 0) -> dict:
    """Bits per step on a new series, for both windows."""
    rng = np.random.RandomState(seed)
    X, y = echo(rng, 1, N_STEPS, LAG)
    X_new, y_new = echo(rng, 1, 5000, LAG)
    known = np.s_[:, LAG:]
    found = {}
    for window in (20, 5):
        rnn = RNNClassifier(
            hidden_layer_sizes=16,
            weight_init="uniform",
            bptt_steps=window,
            learning_rate_init=1e-2,
            batch_size=64,
            max_iter=500 * window // 1000,
            random_state=seed,
        )
        rnn.fit(X, y)
        found[f"bits_window_{window}"] = bits_of(rnn.predict_proba(X_new)[known], y_new[known])
        found[f"updates_window_{window}"] = float(rnn.t_)
    return found


if __name__ == "__main__":
    print(run())
