"""One step of each recurrent cell as its formula says, for complex numbers too."""

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def rnn(w, h, x, leak=1.0, f=np.tanh):
    return (1.0 - leak) * h + leak * f(w["W"] @ h + w["W_in"] @ x + w["b"])


def lstm(w, state, x):
    h, c = np.split(state, 2)
    i, f, g, o = np.split(w["W"] @ h + w["W_in"] @ x + w["b"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return np.concatenate([sigmoid(o) * np.tanh(c), c])


def gru(w, h, x):
    recurrent = np.split(w["W"] @ h, 3)
    given = np.split(w["W_in"] @ x + w["b"], 3)
    r, z = sigmoid(recurrent[0] + given[0]), sigmoid(recurrent[1] + given[1])
    n = np.tanh(given[2] + r * (recurrent[2] + w["b_n"]))
    return (1.0 - z) * n + z * h


def complex_derivative(function, point):
    """Jacobian of a function of a real vector, by complex steps: exact up to rounding."""
    size = 1e-30
    steps = 1j * size * np.eye(len(point))
    return np.stack([function(point + step).imag / size for step in steps], axis=1)


def central_differences(function, point):
    """The same by differences of real values, good to about eps ** (2 / 3)."""
    size = np.cbrt(np.finfo(float).eps)
    steps = size * np.eye(len(point))
    columns = [(function(point + step) - function(point - step)) / (2 * size) for step in steps]
    return np.stack(columns, axis=1)
