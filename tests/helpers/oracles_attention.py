"""Slow, obvious self-attention: one sequence, one head and one step at a time."""

import numpy as np


def layer_norm(x, gain, b):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + b


def attention(x, W, b, n_heads, causal):
    """What the steps see, (n_steps, n_units), and their weights (n_heads, n_steps, n_steps)."""
    T, n = x.shape
    d = n // n_heads
    q, k, v = (x @ part.T + c for part, c in zip(np.split(W, 3), np.split(b, 3)))
    seen, weights = np.zeros((T, n)), np.zeros((n_heads, T, T))
    for h in range(n_heads):
        own = slice(h * d, (h + 1) * d)
        for i in range(T):
            last = i + 1 if causal else T
            scores = np.array([q[i, own] @ k[j, own] / np.sqrt(d) for j in range(last)])
            shares = np.exp(scores - scores.max())
            weights[h, i, :last] = shares / shares.sum()
            seen[i, own] = weights[h, i] @ v[:, own]
    return seen, weights


def positions(n_steps, n):
    """Sines of the first half of the columns, cosines of the others."""
    out, half = np.zeros((n_steps, n)), (n + 1) // 2
    for t in range(n_steps):
        for i in range(n):
            k = i % half
            angle = t / 10000 ** (k / half)
            out[t, i] = np.sin(angle) if i < half else np.cos(angle)
    return out


def run(model, x):
    """What each block gives, outputs of the readout for each step, and weights of each block."""
    p, network = model.params_, model._fit_network
    if network.n_symbols:
        level = p["embedding.E"][x[:, 0].astype(int)]
    else:
        level = x @ p["in.W"].T + p["in.b"]
    if model.positions == "learned":
        level = level + p["positions.E"][: len(x)]
    elif model.positions == "sinusoidal":
        level = level + positions(len(x), network.n_units)
    hidden, weights = [], []
    for i in range(model.n_blocks):
        w = {k.removeprefix(f"blocks.{i}."): v for k, v in p.items() if f"blocks.{i}." in k}
        z = layer_norm(level, w["norm_1.gain"], w["norm_1.b"])
        seen, shares = attention(z, w["attention.W"], w["attention.b"], model.n_heads, model.causal)
        level = level + seen @ w["mix.W"].T + w["mix.b"]
        z = layer_norm(level, w["norm_2.gain"], w["norm_2.b"])
        z = np.maximum(z @ w["mlp_1.W"].T + w["mlp_1.b"], 0)
        level = level + z @ w["mlp_2.W"].T + w["mlp_2.b"]
        hidden.append(level)
        weights.append(shares)
    return hidden, weights


def outputs(model, x):
    p, level = model.params_, run(model, x)[0][-1]
    read = model._fit_network.read
    if read != "sequence":
        level = level[-1] if read == "last" else level.mean(axis=0)
    return layer_norm(level, p["norm.gain"], p["norm.b"]) @ p["out.W"].T + p["out.b"]
