"""Experiment 8: exact backpropagation through time (Deep Learning, equations 10.8 to 10.28).

One step of plain gradient descent with the rate 1 shows the gradient that the network has found:
it is what the step takes off the parameters. It is compared with the textbook's equations, with
complex steps through a forward pass of its own for every cell, and with PyTorch where that is
installed. All sequences have different lengths. The baseline leaves the recurrent matrix out of
the way back, so gradients do not go back further than the step itself.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from echocast.reservoir import RNNClassifier, RNNRegressor, bptt_reference

N_INPUTS, N_UNITS, N_OUTPUTS = 2, 5, 3
LENGTHS = (9, 6, 7)


def gradient(network, X, y):
    """Mean loss of a network with its first weights, those, and the gradient by name."""
    network.set_params(
        hidden_layer_sizes=N_UNITS,
        solver="sgd",
        momentum=0.0,
        learning_rate="constant",
        learning_rate_init=1.0,
        max_norm=None,
        max_iter=0,
        random_state=0,
        dtype="float64",
    )
    network.fit(X, y)
    before = {name: values.copy() for name, values in network.params_.items()}
    network.partial_fit(X, y)
    after = network.params_
    return network.loss_, before, {name: before[name] - after[name] for name in before}


def textbook(X, y, weights, loss, scale):
    """Mean loss and gradient by the equations, one sequence after the other."""
    plain = {name.removeprefix("layers.0."): values for name, values in weights.items()}
    total, sums = 0.0, dict.fromkeys(plain, 0.0)
    for sequence, targets in zip(X, y):
        value, grads, _ = bptt_reference(sequence, targets, plain, loss=loss)
        total += scale * value
        sums = {name: sums[name] + scale * grads[name] for name in sums}
    return total, {name: sums[name.removeprefix("layers.0.")] for name in weights}


def one_step_only(X, y, weights):
    """What is left of the gradient of a tanh network if no step sends any to the step before it."""
    p, n_terms = weights, sum(LENGTHS) * N_OUTPUTS
    sums = {name: np.zeros_like(values) for name, values in weights.items()}
    for sequence, targets in zip(X, y):
        h = np.zeros(N_UNITS)
        for x, target in zip(sequence, targets):
            before, (h, _) = h, next_state("tanh", p, x, h, None)
            grad_o = 2 * (p["out.W"] @ h + p["out.b"] - target) / n_terms
            inner = (1 - h**2) * (p["out.W"].T @ grad_o)
            sums["out.b"] += grad_o
            sums["out.W"] += np.outer(grad_o, h)
            sums["layers.0.b"] += inner
            sums["layers.0.W"] += np.outer(inner, before)
            sums["layers.0.W_in"] += np.outer(inner, x)
    return sums


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def next_state(cell, p, x, h, c):
    """One step of a cell, in numbers that may be complex."""
    drive, from_h = p["layers.0.W_in"] @ x + p["layers.0.b"], p["layers.0.W"] @ h
    if cell == "tanh":
        return np.tanh(drive + from_h), c
    if cell == "lstm":
        i, f, g, o = np.split(drive + from_h, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (d_r, d_z, d_n), (h_r, h_z, h_n) = np.split(drive, 3), np.split(from_h, 3)
    z = sigmoid(d_z + h_z)
    n = np.tanh(d_n + sigmoid(d_r + h_r) * (h_n + p["layers.0.b_n"]))
    return (1 - z) * n + z * h, c


def mean_squared_error(cell, p, X, y):
    """Of all steps of all sequences, analytic in the parameters."""
    total = 0.0
    for sequence, targets in zip(X, y):
        h, c = np.zeros((2, N_UNITS))
        for x, target in zip(sequence, targets):
            h, c = next_state(cell, p, x, h, c)
            total = total + np.mean((p["out.W"] @ h + p["out.b"] - target) ** 2)
    return total / sum(LENGTHS)


def complex_step(cell, weights, X, y):
    """Gradient, exact up to rounding: nothing is subtracted, so the step can be tiny."""
    found = {name: np.zeros_like(values) for name, values in weights.items()}
    for name, values in weights.items():
        for i in np.ndindex(values.shape):
            moved = values.astype(complex)
            moved[i] += 1e-30j
            error = mean_squared_error(cell, {**weights, name: moved}, X, y)
            found[name][i] = error.imag / 1e-30
    return found


def by_torch(cell, weights, X, y):
    """The same gradient by PyTorch, whose first bias is ours where it has two."""
    import torch

    layer = {"tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    rnn = layer(N_INPUTS, N_UNITS, dtype=torch.float64)
    out = torch.nn.Linear(N_UNITS, N_OUTPUTS, dtype=torch.float64)
    with torch.no_grad():
        for values, name in (
            (rnn.weight_ih_l0, "layers.0.W_in"),
            (rnn.weight_hh_l0, "layers.0.W"),
            (rnn.bias_ih_l0, "layers.0.b"),
            (out.weight, "out.W"),
            (out.bias, "out.b"),
        ):
            values.copy_(torch.tensor(weights[name]))
        rnn.bias_hh_l0.zero_()
        if cell == "gru":
            rnn.bias_hh_l0[2 * N_UNITS :] = torch.tensor(weights["layers.0.b_n"])
    total = 0.0
    for sequence, targets in zip(X, y):
        outputs = out(rnn(torch.tensor(sequence))[0])
        total = total + ((outputs - torch.tensor(targets)) ** 2).mean(dim=1).sum()
    (total / sum(LENGTHS)).backward()
    found = {
        "layers.0.W_in": rnn.weight_ih_l0.grad,
        "layers.0.W": rnn.weight_hh_l0.grad,
        "layers.0.b": rnn.bias_ih_l0.grad,
        "out.W": out.weight.grad,
        "out.b": out.bias.grad,
    }
    if cell == "gru":
        found["layers.0.b_n"] = rnn.bias_hh_l0.grad[2 * N_UNITS :]
    return {name: values.numpy() for name, values in found.items()}


def error(found, true):
    """Largest difference over all parameters, relative to the largest entry of the gradient."""
    scale = max(np.abs(values).max() for values in true.values())
    return float(max(np.abs(found[name] - true[name]).max() for name in true) / scale)


def run(seed: int = 0) -> dict:
    """Largest relative errors of gradients in float64."""
    rng = np.random.RandomState(seed)
    X = [rng.standard_normal((n, N_INPUTS)) for n in LENGTHS]
    y = [rng.standard_normal((n, N_OUTPUTS)) for n in LENGTHS]
    labels = [np.r_[np.arange(N_OUTPUTS), rng.randint(0, N_OUTPUTS, n - 3)] for n in LENGTHS]
    n_steps, found = sum(LENGTHS), {}

    loss, weights, ours = gradient(RNNRegressor(), X, y)
    # the mean over steps and targets of squares, where the book has half their sum
    true_loss, true = textbook(X, y, weights, "squared_error", 2 / (n_steps * N_OUTPUTS))
    found["textbook_squares"] = error(ours, true)
    found["loss_squares"] = abs(loss / true_loss - 1)
    found["without_way_back"] = error(one_step_only(X, y, weights), true)

    loss, weights, ours = gradient(RNNClassifier(), X, labels)
    true_loss, true = textbook(X, labels, weights, "cross_entropy", 1 / n_steps)
    found["textbook_labels"] = error(ours, true)
    found["loss_labels"] = abs(loss / true_loss - 1)

    for cell in ("tanh", "lstm", "gru"):
        _, weights, ours = gradient(RNNRegressor(cell=cell), X, y)
        found[f"complex_step_{cell}"] = error(ours, complex_step(cell, weights, X, y))
        if importlib.util.find_spec("torch"):
            found[f"torch_{cell}"] = error(ours, by_torch(cell, weights, X, y))
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    print(run())
