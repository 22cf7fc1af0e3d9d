"""Slow, plain forms of the neural Turing machine and of adaptive computation: loops over steps."""

from __future__ import annotations

import math

import numpy as np


def softplus(x):
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def softmax(values):
    shares = np.exp(np.asarray(values) - np.max(values))
    return shares / shares.sum()


def address(raw, memory, before, n_shifts):
    """Address of one head; `raw` holds key, strength, gate, shifts and sharpness."""
    n_slots, width = memory.shape
    key, strength, gate = raw[:width], softplus(raw[width]), sigmoid(raw[width + 1])
    likeness = [key @ row / math.sqrt((key @ key + 1e-8) * (row @ row + 1e-8)) for row in memory]
    content = softmax(strength * np.array(likeness))
    gated = gate * content + (1 - gate) * before
    shifts = softmax(raw[width + 2 : width + 2 + n_shifts])
    shifted = np.zeros(n_slots)
    for share, by in zip(shifts, range(-(n_shifts // 2), n_shifts // 2 + 1)):
        shifted += share * np.roll(gated, by)
    sharp = (shifted + 1e-12) ** (1 + softplus(raw[width + 2 + n_shifts]))
    return sharp / sharp.sum()


def memory_step(raw, memory, before, n_writing, n_shifts):
    """New memory, addresses and what is read, for one sequence."""
    width, n_heads = memory.shape[1], len(before)
    per_head = width + 3 + n_shifts
    said = [raw[h * per_head : (h + 1) * per_head] for h in range(n_heads)]
    vectors = raw[n_heads * per_head :].reshape(n_writing, 2, width)
    weights = [address(said[h], memory, before[h], n_shifts) for h in range(n_writing)]
    for w, (erase, add) in zip(weights, vectors):
        kept = 1 - np.outer(w, [sigmoid(e) for e in erase])
        memory = memory * kept + np.outer(w, add)
    weights += [address(said[h], memory, before[h], n_shifts) for h in range(n_writing, n_heads)]
    return memory, np.array(weights), np.array([w @ memory for w in weights[n_writing:]])


def machine(model, x):
    """Logits (n_steps, n_outputs) of a fitted machine for one sequence, and all addresses."""
    p, shape = model.params_, model._fit_shape
    memory = np.full((shape.n_slots, shape.width), 1e-3)
    weights = np.array([softmax(row) for row in p["first.b"]])
    read = np.full(shape.n_reading * shape.width, 1e-3)
    n = model.n_units
    h, c = np.zeros(n), np.zeros(n)
    logits, addresses = [], []
    for row in x:
        seen = np.concatenate([row, read])
        if model.controller == "lstm":
            z = p["controller.W_in"] @ seen + p["controller.W"] @ h + p["controller.b"]
            i, f, g, o = z.reshape(4, n)
            i, f, o = (np.array([sigmoid(v) for v in gate]) for gate in (i, f, o))
            c = f * c + i * np.tanh(g)
            h = o * np.tanh(c)
        else:
            h = np.tanh(p["controller.W"] @ seen + p["controller.b"])
        raw = p["heads.W"] @ h + p["heads.b"]
        memory, weights, read = memory_step(raw, memory, weights, shape.n_writing, shape.n_shifts)
        read = read.reshape(-1)
        logits.append(p["out.W"] @ np.concatenate([h, read]) + p["out.b"])
        addresses.append(weights)
    return np.array(logits), np.array(addresses)


def pondering(model, x, max_runs=None):
    """Logits, N and R of a fitted adaptive network with cell "tanh", for each step of x."""
    p = model.params_
    state = np.zeros(model.n_units)
    logits, counts, remainders = [], [], []
    for row in x:
        run, mean, total = 0, np.zeros(model.n_units), 0.0
        while True:
            run += 1
            seen = np.append(row, 1.0 if run == 1 else 0.0)
            state = np.tanh(p["cell.W_in"] @ seen + p["cell.W"] @ state + p["cell.b"])
            share = sigmoid(float(p["halt.W"][0] @ state + p["halt.b"][0]))
            if total + share >= 1 - model.epsilon or run == model.max_ponder:
                break
            mean, total = mean + share * state, total + share
        state = mean + (1 - total) * state
        logits.append(p["out.W"] @ state + p["out.b"])
        counts.append(run)
        remainders.append(1 - total)
    return np.array(logits), np.array(counts), np.array(remainders)
