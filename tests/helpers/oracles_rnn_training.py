"""Slow statements of the optimisers' published rules, and of a stack of recurrent layers."""

import numpy as np


def adam(theta, grads, rates, beta_1, beta_2, epsilon, decay=0.0, mask=None):
    """Kingma and Ba 2015, algorithm 1; decay of Loshchilov and Hutter 2019, algorithm 2."""
    theta, m, v = list(theta), [0.0] * len(theta), [0.0] * len(theta)
    for t, (grad, rate) in enumerate(zip(grads, rates), start=1):
        for i, g in enumerate(grad):
            m[i] = beta_1 * m[i] + (1 - beta_1) * g
            v[i] = beta_2 * v[i] + (1 - beta_2) * g**2
            m_hat, v_hat = m[i] / (1 - beta_1**t), v[i] / (1 - beta_2**t)
            decayed = rate * decay * theta[i] if mask is None or mask[i] else 0.0
            theta[i] -= decayed + rate * m_hat / (np.sqrt(v_hat) + epsilon)
    return np.array(theta)


def sgd(theta, grads, rates, momentum, nesterov):
    """scikit-learn's SGDOptimizer, one parameter after the other."""
    theta, velocity = list(theta), [0.0] * len(theta)
    for grad, rate in zip(grads, rates):
        for i, g in enumerate(grad):
            velocity[i] = momentum * velocity[i] - rate * g
            theta[i] += momentum * velocity[i] - rate * g if nesterov else velocity[i]
    return np.array(theta)


def rmsprop(theta, grads, rates, rho, epsilon):
    """PyTorch's RMSprop, neither centred nor with momentum."""
    theta, square = list(theta), [0.0] * len(theta)
    for grad, rate in zip(grads, rates):
        for i, g in enumerate(grad):
            square[i] = rho * square[i] + (1 - rho) * g**2
            theta[i] -= rate * g / (np.sqrt(square[i]) + epsilon)
    return np.array(theta)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def next_state(cell, p, x, h, c):
    """One step of one sequence; `p` holds one direction's weights without the prefix."""
    n = len(h)
    a, r = p["W_in"] @ x + p["b"], p["W"] @ h
    if cell == "rnn":
        return np.tanh(a + r), c
    if cell == "lstm":
        i, f, g, o = (a + r).reshape(4, n)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    reset, z = sigmoid((a + r)[: 2 * n]).reshape(2, n)
    new = np.tanh(a[2 * n :] + reset * (r[2 * n :] + p["b_n"]))
    return (1 - z) * new + z * h, c


def run_stack(cell, weights, x):
    """States of the last layer, (n_steps, directions * n_units), of one sequence."""
    n_layers = 1 + max(int(name.split(".")[1]) for name in weights)
    for layer in range(n_layers):
        sides = []
        for side in ("", "reverse."):
            own = f"layers.{layer}.{side}"
            p = {k: weights[own + k] for k in ("W_in", "W", "b", "b_n") if own + k in weights}
            if not p:
                continue
            h = c = np.zeros(p["W"].shape[1])
            states = []
            for row in x[::-1] if side else x:
                h, c = next_state(cell, p, row, h, c)
                states.append(h)
            sides.append(np.array(states[::-1] if side else states))
        x = np.hstack(sides)
    return x
