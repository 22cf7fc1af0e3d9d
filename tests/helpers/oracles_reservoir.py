"""Slow NumPy statements of what the reservoir kernels compute; no code is shared with them."""

import numpy as np

ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, np.where(np.isnan(z), z, 0.0)),
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "identity": lambda z: z,
    "sin": np.sin,
}


def matrix_of(layout, n_units, arrays):
    """Write a plan's arrays out as a dense matrix, entry by entry."""
    W = np.zeros((n_units, n_units))
    if layout == "dense":
        return np.array(arrays[0], dtype=float)
    if layout == "csr":
        indptr, indices, data = arrays
        for i in range(n_units):
            for k in range(indptr[i], indptr[i + 1]):
                W[i, indices[k]] += data[k]
        return W
    where, values = arrays
    for k in range(values.shape[0]):
        for i in range(n_units):
            j = where[k, i] if layout == "ell" else (i + where[k]) % n_units
            W[i, j] += values[k, i]
    return W


def leaky_states(W_in, W, b, leak, f, X, x0, W_fb=None, feedback=None, noise=None):
    """x[t] = (1 - leak) x[t-1] + leak f(W x[t-1] + W_in u[t] + b + W_fb y[t-1] + noise[t])."""
    x = np.array(x0, dtype=float)
    states = np.zeros((len(X), len(x)))
    for t in range(len(X)):
        pre = W @ x + W_in @ X[t] + b
        if W_fb is not None:
            pre = pre + W_fb @ feedback[t]
        if noise is not None:
            pre = pre + noise[t]
        x = (1.0 - leak) * x + leak * f(pre)
        states[t] = x
    return states


def closed_loop(
    W, b, leak, f, n_steps, x0, y0, coef_state, coef_output, offset, loop_in,
    drive=None, const=None, innovations=None,
):  # fmt: skip
    """Feed each output back as the next input; returns outputs and the last state."""
    x, y = np.array(x0, dtype=float), np.array(y0, dtype=float)
    outputs = np.zeros((n_steps, len(y)))
    for t in range(n_steps):
        pre = W @ x + b + loop_in @ y
        if drive is not None:
            pre = pre + drive[t]
        x = (1.0 - leak) * x + leak * f(pre)
        y = coef_state @ x + coef_output @ y + offset
        for part in (const, innovations):
            if part is not None:
                y = y + part[t]
        outputs[t] = y
    return outputs, x
