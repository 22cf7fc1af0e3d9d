"""Experiment 18: W = Q Lambda Q^T, and 200 steps of a linear recurrent network from it.

For a symmetric W, Q Lambda^t Q^T h must be what t applications of W make of h, at every t: slow
modes vanish, those beyond 1 explode, and only the direction of the largest eigenvalue is left. The
baseline does the same with a W that is not symmetric, where V^T is not the inverse of V.
"""

from __future__ import annotations

import numpy as np

from echocast.reservoir import eigen_report

N_UNITS, N_STEPS, RADIUS = 50, 200, 1.05


def scaled(W):
    """W with the spectral radius of the experiment."""
    return W * (RADIUS / np.abs(np.linalg.eigvals(W)).max())


def applied(W, h):
    """h, W h, W W h and so on, one in each row."""
    rows = [h]
    for _ in range(N_STEPS):
        rows.append(W @ rows[-1])
    return np.array(rows)


def worst_error(found, true):
    """Largest relative error over all times."""
    return float((np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1)).max())


def run() -> dict:
    """Largest relative errors over all t <= 200, and what is left in the end."""
    rng = np.random.RandomState(0)
    A = rng.standard_normal((N_UNITS, N_UNITS))
    h = rng.standard_normal(N_UNITS)
    times = range(N_STEPS + 1)

    W = scaled(A + A.T)
    report = eigen_report(W)
    true = applied(W, h)
    powers = np.array([report.power(t, h) for t in times])
    norms = report.norms(h, N_STEPS)
    top = report.eigenvectors[:, 0]

    general = scaled(A)
    other = eigen_report(general)
    V, values = other.eigenvectors, other.eigenvalues
    transposed = np.array([(V @ (values**t * (V.T @ h))).real for t in times])
    inverted = np.array([other.power(t, h) for t in times])

    return {
        "error": worst_error(powers, true),
        "error_of_norms": float(np.abs(norms / np.linalg.norm(true, axis=1) - 1).max()),
        "alignment_with_top_mode": float(abs(top @ true[-1]) / np.linalg.norm(true[-1])),
        "growth_of_last_step": float(norms[-1] / norms[-2]),
        "error_general": worst_error(inverted, applied(general, h)),
        "error_general_with_transpose": worst_error(transposed, applied(general, h)),
    }


if __name__ == "__main__":
    print(run())
