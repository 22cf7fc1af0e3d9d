"""Slow, obvious passes of whole recurrent networks: one sequence, layer and step at a time."""

import numpy as np

from oracles_rnn import STEPS, deep_step

CELLS = {"tanh": "rnn", "relu": "rnn", "gru": "gru", "lstm": "lstm"}


def layer_weights(model, name):
    names = ("W_in", "W", "b", "b_n") if model.cell == "gru" else ("W_in", "W", "b")
    return {key: model.params_[name + key] for key in names}


def first_states(model):
    """Lists (h,) or (h, c) of each layer, from the flat `h0_`."""
    states, start = [], 0
    for n in model._sizes():
        parts = []
        for _ in range(2 if model.cell == "lstm" else 1):
            parts.append(model.h0_[start : start + n])
            start += n
        states.append(tuple(parts))
    return states


def run_layer(model, name, x, state):
    """States (n_steps, n_units) of one layer in one direction, and the state it ends in."""
    options = layer_weights(model, name)
    if model.cell in ("tanh", "relu"):
        options |= {"leak": np.asarray(model.leak_rate), "activation": model.cell}
    if model.transition != "stacked":
        return run_deep_layer(model, name, x, state)
    states = []
    for row in x:
        state = STEPS[CELLS[model.cell]](row, *state, **options)
        states.append(state[0])
    return np.array(states), state


def run_deep_layer(model, name, x, state):
    """The same of a layer whose transition is an MLP."""
    weights = {key[len(name) :]: values for key, values in model.params_.items()
               if key.startswith(name) and "reverse" not in key[len(name) :]}  # fmt: skip
    skip, states = model.transition == "deep_skip", []
    for row in x:
        state = deep_step(row, *state, weights, skip=skip, activation=model.cell)
        states.append(state[0])
    return np.array(states), state


def hidden(model, x):
    """States of every layer (n_steps, n_units), and what the readout of a last output sees."""
    layers, level = [], x
    for i, state in enumerate(first_states(model)):
        there, _ = run_layer(model, f"layers.{i}.", level, state)
        last, level_out = there[-1], there
        if model.bidirectional:
            back, _ = run_layer(model, f"layers.{i}.reverse.", level[::-1], state)
            level_out = np.hstack([there, back[::-1]])
            last = np.concatenate([there[-1], back[-1]])
        layers.append(level_out)
        level = level_out
    return layers, last


def outputs(model, x, *, last=False):
    """Output of the readout for each step (n_steps, n_outputs), or the last one alone."""
    W, b = model.params_["out.W"], model.params_["out.b"]
    if model.recurrence == "output":
        return own_outputs(model, x)
    layers, end = hidden(model, x)
    if last:
        seen = np.concatenate([end, x[-1]]) if model.include_input else end
        return W @ seen + b
    seen = np.hstack([layers[-1], x]) if model.include_input else layers[-1]
    return seen @ W.T + b


def own_outputs(model, x):
    """A network whose only memory is its own output."""
    p = model.params_
    y, out = np.zeros(len(p["out.b"])), []
    for row in x:
        z = p["layers.0.W_in"] @ row + p["layers.0.R"] @ y + p["layers.0.b"]
        h = np.maximum(z, 0) if model.cell == "relu" else np.tanh(z)
        seen = np.concatenate([h, row]) if model.include_input else h
        y = p["out.W"] @ seen + p["out.b"]
        out.append(y)
    return np.array(out)
