"""Slow statements of what the forecasting layer computes; they share no code with it."""

import math

import numpy as np


def mase(y_true, y_pred, y_train, m):
    scale = [abs(y_train[t] - y_train[t - m]) for t in range(m, len(y_train))]
    error = [abs(a - b) for a, b in zip(y_true, y_pred)]
    return (sum(error) / len(error)) / (sum(scale) / len(scale))


def rmsse(y_true, y_pred, y_train, m):
    scale = [(y_train[t] - y_train[t - m]) ** 2 for t in range(m, len(y_train))]
    error = [(a - b) ** 2 for a, b in zip(y_true, y_pred)]
    return math.sqrt((sum(error) / len(error)) / (sum(scale) / len(scale)))


def smape(y_true, y_pred):
    parts = [
        0.0 if a == b == 0 else 200 * abs(a - b) / (abs(a) + abs(b)) for a, b in zip(y_true, y_pred)
    ]
    return sum(parts) / len(parts)


def crps(y_true, samples):
    total = 0.0
    for y, row in zip(y_true, samples):
        first = sum(abs(x - y) for x in row) / len(row)
        second = sum(abs(a - b) for a in row for b in row) / (2 * len(row) ** 2)
        total += first - second
    return total / len(y_true)


def winkler(y_true, lower, upper, level):
    tail = 1 - level / 100
    total = 0.0
    for y, low, high in zip(y_true, lower, upper):
        total += high - low
        if y < low:
            total += 2 / tail * (low - y)
        if y > high:
            total += 2 / tail * (y - high)
    return total / len(y_true)


def naive(y, strategy, m, h):
    """The h-th value of a naive forecast (h from 1)."""
    if strategy == "last":
        return y[-1]
    if strategy == "mean":
        return sum(y) / len(y)
    if strategy == "drift":
        return y[-1] + h * (y[-1] - y[0]) / (len(y) - 1)
    return y[len(y) - m + (h - 1) % m]


def undo_difference(values, tail, lag):
    """Add up differences that follow the rows `tail`."""
    whole = list(tail)
    for value in values:
        whole.append(value + whole[len(whole) - lag])
    return np.array(whole[len(tail) :])


def seasonal_means(y, m):
    """Mean deviation from a centred moving average at each place in the season."""
    deviations = {k: [] for k in range(m)}
    half = m // 2
    for t in range(half, len(y) - half):
        window = y[t - half : t + half + 1]
        if m % 2:
            level = sum(window) / m
        else:
            level = (sum(window) - window[0] / 2 - window[-1] / 2) / m
        deviations[t % m].append(y[t] - level)
    means = np.array([np.mean(deviations[k]) for k in range(m)])
    return means - means.mean()


def esn_forecast(esn, y, x, lags, future_x):
    """Forecast y (n,) from differences: the network sees lags of dy and dx of the same time.

    Everything is standardised with the rows of y and x themselves.
    """
    dy, dx = np.diff(y), np.diff(x)
    z = (dy - dy.mean()) / dy.std()
    future_dx = np.diff(np.concatenate([x[-1:], future_x]))
    e = (np.concatenate([dx, future_dx]) - dx.mean()) / dx.std()
    W = esn.W_.toarray() if hasattr(esn.W_, "toarray") else esn.W_
    state = np.zeros(esn.n_units)
    path = list(z)
    out, level = [], y[-1]
    for t in range(1, len(z) + len(future_x)):
        seen = [path[t - lag] if t - lag >= 0 else 0.0 for lag in lags]
        u = np.array([*seen, e[t]])
        state = np.tanh(W.dot(state) + esn.W_in_.dot(u) + esn.b_)
        if t >= len(z):
            value = float((esn.coef_.dot(np.concatenate([state, u])) + esn.intercept_)[0])
            path.append(value)
            level = level + value * dy.std() + dy.mean()
            out.append(level)
    return np.array(out)
