"""Random recurrent layers and ragged batches for the tests."""

import numpy as np

from echocast.reservoir.rnn._nodes import N_GATES, recurrent_layer
from echocast.reservoir.rnn._tape import Tape, Var


def problem(seed, cell, n_steps, n_sequences, n_inputs, n_units, *, masked=False, leaky=False):
    """Arguments of `recurrent_layer` as arrays, the lengths of the sequences drawn, too."""
    rng = np.random.RandomState(seed)
    width = N_GATES[cell] * n_units
    weights = {
        "W_in": rng.randn(width, n_inputs),
        "W": rng.randn(width, n_units) / np.sqrt(n_units),
        "b": rng.randn(width),
    }
    if cell == "gru":
        weights["b_n"] = rng.randn(n_units)
    lengths = np.sort(rng.randint(1, n_steps + 1, n_sequences))[::-1]
    lengths[0] = n_steps
    sizes = (lengths > np.arange(n_steps)[:, None]).sum(axis=1)
    x = rng.randn(n_steps, n_sequences, n_inputs)
    state = tuple(rng.randn(n_sequences, n_units) for _ in range(2 if cell == "lstm" else 1))
    options = {}
    if masked:
        options["mask"] = rng.randint(0, 2, (n_sequences, n_units)) / 0.5
    if leaky and cell == "rnn":
        options["leak"] = rng.uniform(0.1, 1, n_units)
    return x, weights, state, sizes, options


def run(cell, x, weights, state, sizes, **options):
    """States and last state as arrays, without a tape."""
    weights = {name: Var(value) for name, value in weights.items()}
    h, last = recurrent_layer(cell, Var(x), weights, tuple(map(Var, state)), sizes, **options)
    return h.data, tuple(s.data for s in last)


def gradients(cell, x, weights, state, sizes, d_states, d_last, **options):
    """Gradients of ``sum(d_states * h) + sum(d_last * last)``; None where a term is left out.

    Returns them as a dict: "x", the names of the weights, and "state 0", "state 1".
    """
    leaves = {"x": Var(x, None, True)}
    leaves |= {name: Var(w, np.zeros_like(w), True) for name, w in weights.items()}
    leaves |= {f"state {k}": Var(s, None, True) for k, s in enumerate(state)}
    with Tape() as tape:
        own = {name: leaves[name] for name in weights}
        start = tuple(leaves[f"state {k}"] for k in range(len(state)))
        h, last = recurrent_layer(cell, leaves["x"], own, start, sizes, **options)
        total = Var(np.zeros(()))
        tape.record((total,), (h, *last), lambda one: (d_states, *d_last))
    tape.backward(total)
    return {name: leaf.grad for name, leaf in leaves.items()}
