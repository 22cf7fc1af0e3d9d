"""Features and states of the other regressors in plain NumPy: one row, one unit group at a time."""

from itertools import combinations_with_replacement

import numpy as np

import oracles_esn


def delay_features(X, delays, stride, degrees, constant=False):
    """Delayed inputs and their products; before the first row stands the first row."""
    out = []
    for t in range(len(X)):
        linear = [v for k in range(delays) for v in X[max(t - k * stride, 0)]]
        row = [1.0] * constant + linear
        for p in degrees:
            if p > 1:
                row += [np.prod(c) for c in combinations_with_replacement(linear, p)]
        out.append(row)
    return np.array(out)


def stacked_states(model, X, leaks, starts=None):
    """States of all layers of a DeepESNRegressor, each driven by the one below."""
    below, out = X, []
    for k, (W_in, W, b) in enumerate(zip(model.W_in_, model.W_, model.b_)):
        start = None if starts is None else starts[k]
        below = oracles_esn.states(W_in, W, b, leaks[k], below, start)
        out.append(below)
    return np.hstack(out)


def patch_windows(X, group_size, overlap, periodic):
    """What each patch sees, a list of (n_steps, group_size + 2 overlap)."""
    n = X.shape[1]
    windows = []
    for first in range(0, n, group_size):
        columns = []
        for j in range(first - overlap, first + group_size + overlap):
            inside = 0 <= j < n
            columns.append(X[:, j % n] if periodic or inside else np.zeros(len(X)))
        windows.append(np.stack(columns, axis=1))
    return windows


def patch_features(model, X, group_size, overlap, periodic):
    """States and window of each patch, a list of (n_steps, n_units + window)."""
    features = []
    for window in patch_windows(X, group_size, overlap, periodic):
        states = oracles_esn.states(model.W_in_, model.W_, model.b_, model.leak_rate, window)
        features.append(np.hstack([states, window]))
    return features


def window_features(model, rows, lags_first_to_last, offset, scale):
    """Last state of each row's own short sequence, then the standardised columns."""
    out = []
    for row in (rows - offset) / scale:
        sequence = np.array([[row[j] for j in step] for step in lags_first_to_last])
        states = oracles_esn.states(model.W_in_, model.W_, model.b_, model.leak_rate, sequence)
        out.append(np.concatenate([states[-1], row]))
    return np.array(out)
