"""Experiment 3: a recurrent network with an output at each step, y(t) = x(t - 2).

Of independent bits a network must carry the last two in its state. The baseline has recurrence
from its output to its hidden units alone: even given all true outputs, y(t - 1) = x(t - 3) says
nothing about x(t - 2), so it cannot do better than 1 bit.
"""

from __future__ import annotations

import numpy as np
from tasks import bits_of, echo

from echocast.reservoir import RNNClassifier

LAG, N_STEPS = 2, 30


def network(recurrence, random_state):
    """1000 updates on batches of 64; a step whose answer cannot be known is not trained on."""
    return RNNClassifier(
        hidden_layer_sizes=32,
        recurrence=recurrence,
        washout=LAG,
        learning_rate_init=1e-2,
        batch_size=64,
        max_iter=10,
        random_state=random_state,
    )


def forced_probabilities(rnn, X, y):
    """Probabilities of a network with recurrence="output" that is given all true outputs."""
    p = rnn.params_
    before = np.eye(2)[np.roll(y, 1, axis=1)]
    h = np.tanh(X @ p["layers.0.W_in"].T + before @ p["layers.0.R"].T + p["layers.0.b"])
    odds = np.exp(h @ p["out.W"].T + p["out.b"])
    return odds / odds.sum(axis=-1, keepdims=True)


def run(seed: int = 0) -> dict:
    """Bits per step on new sequences, of both networks."""
    rng = np.random.RandomState(seed)
    X, y = echo(rng, 6400, N_STEPS, LAG)
    X_new, y_new = echo(rng, 1000, N_STEPS, LAG)
    hidden = network("hidden", seed).fit(X, y)
    output = network("output", seed).fit(X, y)
    known = np.s_[:, LAG + 1 :]  # the step after the lag is the first with a true output before
    return {
        "bits": bits_of(hidden.predict_proba(X_new)[known], y_new[known]),
        "bits_output_recurrence_forced": bits_of(
            forced_probabilities(output, X_new, y_new)[known], y_new[known]
        ),
        "bits_output_recurrence_own": bits_of(output.predict_proba(X_new)[known], y_new[known]),
    }


if __name__ == "__main__":
    print(run())
