"""Pooled features and readouts by slow loops that share no code with the package."""

import numpy as np


def running(y, t, lag):
    """Mean absolute change over `lag` rows up to row t."""
    changes = [abs(y[i] - y[i - lag]) for i in range(lag, t + 1)]
    return sum(changes) / max(len(changes), 1)


def scale(y, t, season):
    """Scale of row t: changes over a season once there are four of them, else from row to row."""
    if season > 1 and t + 1 >= season + 4:
        by_season = running(y, t, season)
        if by_season > 0:
            return by_season
    return running(y, t, 1)


def inputs(y, x, static, periods, season, clip):
    """Inputs of the reservoir at each row of one variable."""
    rows = []
    for t in range(len(y)):
        unit = scale(y, t, season) or 1.0
        moves = [y[t] - y[t - 1] if t else 0.0, y[t] - np.mean(y[: t + 1])]
        moves += [y[t] - y[t - m] if t >= m else 0.0 for m in periods]
        row = [min(max(move / unit, -clip), clip) for move in moves]
        rows.append([*row, *np.clip([*x[t], *static], -clip, clip)])
    return np.array(rows)


def states(reservoir, u, leak):
    """States of a leaky tanh reservoir."""
    W = reservoir.W_.toarray() if hasattr(reservoir.W_, "toarray") else reservoir.W_
    x, out = np.zeros(len(W)), []
    for row in u:
        x = (1 - leak) * x + leak * np.tanh(W @ x + reservoir.W_in_ @ row + reservoir.b_)
        out.append(x)
    return np.array(out)


def exponential(rows, rate):
    """Exponential mean that starts at zero."""
    level, out = 0.0, []
    for value in rows:
        level = (1 - rate) * level + rate * value
        out.append(level)
    return out


def value(y, i):
    """Row i; before the first row its value."""
    return y[max(i, 0)]


def reference(y, t, h, season):
    """What the target h steps after row t is relative to."""
    if season == 1 or t + 1 < season:
        return y[t]
    i = t + h
    while i > t:
        i -= season
    return y[i]


def features(y, x, static, state, t, h, layout, size):
    """All features of origin t and step h of one variable, shared ones first."""
    season = layout.season
    unit = scale(y, t, season) or 1.0
    far = 4 * layout.clip
    row = [1.0]
    for lag in layout.lags:
        bound = layout.clip + lag
        row.append(min(max((value(y, t - lag) - y[t]) / unit, -bound), bound))
    row.append((y[t] - y[0]) / max(t, 1) / unit)
    above = [v - y[0] for v in y[: t + 1]]
    change = [y[i] - y[i - 1] if i else 0.0 for i in range(t + 1)]
    for rate in layout.rates:
        row.append(np.clip((exponential(above, rate)[-1] - above[-1]) / unit, -far, far))
    for rate in layout.rates:
        row.append(np.clip(exponential(change, rate)[-1] / unit, -far, far))
    row += [*(x[t] * size / unit), *static, *state]
    base = reference(y, t, h, season)
    if layout.reference == "seasonal":
        row.append(np.clip((y[t] - base) / unit, -far, far))
    for i, period in enumerate(layout.periods):
        for k in range(1, layout.n_seasons + 1):
            if layout.reference == "seasonal" and i == 0 and k == 1:
                continue
            place = t + h - period * (int(np.ceil(h / period)) + k - 1)
            gap = y[place] - base if place >= 0 else 0.0
            row.append(np.clip(gap / unit, -far, far))
    if layout.n_known:
        row += [*(x[t + h][: layout.n_known] * size / unit)]
        back = t
        if layout.reference == "seasonal":
            back = t + h - season * int(np.ceil(h / season))
        row += [*(x[max(back, 0)][: layout.n_known] * size / unit)]
    return np.array(row)


def target(y, t, h, season, clip):
    """The scale-free target."""
    unit = scale(y, t, season)
    gap = (y[t + h] - reference(y, t, h, season)) / unit
    return min(max(gap, -clip * (1 + h)), clip * (1 + h))


def ridge(A, b, w, alpha):
    """Weighted ridge, penalty relative to the weights, next to none on the first column."""
    penalty = np.ones(A.shape[1])
    penalty[0] = 1e-10
    left = A.T @ (A * w[:, None]) + alpha * w.sum() * np.diag(penalty)
    return np.linalg.solve(left, A.T @ (b * w))


def absolute_ridge(A, b, w, alpha, start, nearest=0.1, rounds=3):
    """The same re-weighted `rounds` times towards absolute errors."""
    penalty = np.ones(A.shape[1])
    penalty[0] = 1e-10
    coef = start
    for _ in range(rounds):
        size = np.abs(b - A @ coef)
        v = 1 / np.maximum(size, nearest * np.median(size))
        v = w * v / ((v * w).sum() / w.sum())
        left = A.T @ (A * v[:, None]) + alpha * w.sum() * np.diag(penalty)
        coef = np.linalg.solve(left, A.T @ (b * v))
    return coef
