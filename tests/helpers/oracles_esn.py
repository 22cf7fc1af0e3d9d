"""The echo state network in plain NumPy: one step, one row, one solve at a time."""

import numpy as np


def states(W_in, W, b, leak_rate, X, x0=None, W_fb=None, teacher=None, activation=np.tanh):
    """States (n_steps, n_units), one step after the other."""
    W = W.toarray() if hasattr(W, "toarray") else W
    x = np.zeros(len(b)) if x0 is None else np.array(x0, dtype=float)
    out = []
    for t in range(len(X)):
        pre = W @ x + W_in @ X[t] + b
        if W_fb is not None:
            pre = pre + W_fb @ teacher[t]
        x = (1 - leak_rate) * x + leak_rate * activation(pre)
        out.append(x)
    return np.array(out)


def ridge(features, targets, alpha, weights=None):
    """Coefficients (n_targets, n_features) and intercept by one augmented least squares."""
    weights = np.ones(len(features)) if weights is None else weights
    mean_x = np.average(features, axis=0, weights=weights)
    mean_y = np.average(targets, axis=0, weights=weights)
    root = np.sqrt(weights)[:, None]
    n = features.shape[1]
    A = np.vstack([root * (features - mean_x), np.sqrt(alpha) * np.eye(n)])
    B = np.vstack([root * (targets - mean_y), np.zeros((n, targets.shape[1]))])
    coef = np.linalg.lstsq(A, B, rcond=None)[0].T
    return coef, mean_y - coef @ mean_x


def closed_loop(W_in, W, b, leak_rate, coef, intercept, x, y, n_steps, include_input=True):
    """Outputs (n_steps, n_targets), each fed back as the next input."""
    W = W.toarray() if hasattr(W, "toarray") else W
    out = []
    for _ in range(n_steps):
        u = y
        x = (1 - leak_rate) * x + leak_rate * np.tanh(W @ x + W_in @ u + b)
        y = coef @ (np.concatenate([x, u]) if include_input else x) + intercept
        out.append(y)
    return np.array(out)
