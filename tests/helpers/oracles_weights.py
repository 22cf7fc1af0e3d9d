"""Slow statements of what the recurrent structures and the spectral radius mean."""

import numpy as np


def radius(W):
    """Largest modulus of LAPACK's eigenvalues."""
    W = W.toarray() if hasattr(W, "toarray") else np.asarray(W)
    return float(np.abs(np.linalg.eigvals(W.astype(float))).max())


def reaches_itself(W):
    """Whether some unit can be reached from itself along non-zero weights."""
    W = W.toarray() if hasattr(W, "toarray") else np.asarray(W)
    links = (W != 0).astype(int)
    walks = np.eye(len(links), dtype=int)
    for _ in range(len(links)):
        walks = (walks @ links > 0).astype(int)
    return bool(walks.any())


def line_radius(n_units, forward, backward):
    """Radius of the tridiagonal Toeplitz matrix with these weights: a textbook formula."""
    return 2.0 * np.sqrt(abs(forward * backward)) * np.cos(np.pi / (n_units + 1))


def cycle(n_units):
    W = np.zeros((n_units, n_units))
    for i in range(n_units):
        W[i, i - 1] += 1.0
    return W


def delay_line(n_units):
    W = np.zeros((n_units, n_units))
    for i in range(1, n_units):
        W[i, i - 1] = 1.0
    return W


def delay_line_feedback(n_units):
    if n_units == 1:
        return np.ones((1, 1))
    W = delay_line(n_units)
    for i in range(1, n_units):
        W[i - 1, i] = 1.0
    return W


def self_loop_cycle(n_units):
    W = cycle(n_units)
    for i in range(n_units):
        W[i, i] += 0.1
    return W


def cycle_jumps(n_units):
    W = cycle(n_units)
    length = max(2, round(n_units**0.5))
    unit = 0
    while unit + length <= n_units:
        end = (unit + length) % n_units
        if end != unit:
            W[end, unit] += 0.25
            W[unit, end] += 0.25
        unit += length
    return W
