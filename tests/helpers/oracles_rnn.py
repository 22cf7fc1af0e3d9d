"""Slow, obvious recurrent layers: one sequence and one step at a time, real or complex numbers."""

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def relu(z):
    return np.where(np.real(z) > 0, z, 0.0)


def rnn_step(x, h, *, W_in, W, b, leak=1.0, activation="tanh", mask=1.0):
    f = np.tanh if activation == "tanh" else relu
    return ((1 - leak) * h + leak * f(W_in @ x + W @ (mask * h) + b),)


def lstm_step(x, h, c, *, W_in, W, b, mask=1.0):
    i, f, g, o = np.split(W_in @ x + W @ (mask * h) + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, *, W_in, W, b, b_n, mask=1.0):
    r_in, z_in, n_in = np.split(W_in @ x + b, 3)
    r_h, z_h, n_h = np.split(W @ (mask * h), 3)
    r, z = sigmoid(r_in + r_h), sigmoid(z_in + z_h)
    n = np.tanh(n_in + r * (n_h + b_n))
    return ((1 - z) * n + z * h,)


def deep_step(x, h, weights, *, skip, activation="tanh", mask=1.0):
    """A step by an MLP whose layers are W_in, W, b, then deep.1.W, deep.1.b, and so on."""
    f = np.tanh if activation == "tanh" else relu
    z = weights["W_in"] @ x + weights["W"] @ (mask * h) + weights["b"]
    k = 1
    while f"deep.{k}.W" in weights:
        z = weights[f"deep.{k}.W"] @ f(z) + weights[f"deep.{k}.b"]
        k += 1
    return (h + z if skip else f(z),)


STEPS = {"rnn": rnn_step, "lstm": lstm_step, "gru": gru_step}


def recurrent_layer(cell, x, weights, state, sizes, *, mask=None, **options):
    """States (T, B, n) and the last state of each sequence; a finished one keeps its state."""
    T, B, _ = x.shape
    dtype = np.result_type(x, *weights.values(), *state, np.float64)
    states = np.empty((T, B, weights["W"].shape[1]), dtype=dtype)
    last = tuple(np.array(s, dtype=dtype) for s in state)
    for b in range(B):
        own = {} if mask is None else {"mask": mask[b]}
        now = tuple(s[b] for s in state)
        for t in range(T):
            if b < sizes[t]:
                now = STEPS[cell](x[t, b], *now, **weights, **options, **own)
            states[t, b] = now[0]
        for s, value in zip(last, now):
            s[b] = value
    return states, last
