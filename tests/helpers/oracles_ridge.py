"""What the ridge readout means: SVD of all rows at once, refits without one row, hat matrices."""

import numpy as np


def centred(S, Y, weight=None, fit_intercept=True):
    """Rows times the root of their weight about the weighted means, and the two means."""
    S, Y = np.asarray(S, dtype=float), np.asarray(Y, dtype=float)
    weight = np.ones(len(S)) if weight is None else np.asarray(weight, dtype=float)
    s_mean, y_mean = np.zeros(S.shape[1]), np.zeros(Y.shape[1])
    if fit_intercept:
        s_mean = (weight[:, None] * S).sum(axis=0) / weight.sum()
        y_mean = (weight[:, None] * Y).sum(axis=0) / weight.sum()
    root = np.sqrt(weight)[:, None]
    return root * (S - s_mean), root * (Y - y_mean), s_mean, y_mean


def ridge(S, Y, alpha, weight=None, fit_intercept=True):
    """Coefficients (targets, features) and intercepts; minimum norm where rank is lost."""
    A, B, s_mean, y_mean = centred(S, Y, weight, fit_intercept)
    U, sigma, Vt = np.linalg.svd(A, full_matrices=False)
    kept = sigma > A.shape[1] * np.finfo(float).eps * max(sigma[0], 1e-300)
    U, sigma, Vt = U[:, kept], sigma[kept], Vt[kept]
    coef = (Vt.T @ ((sigma / (sigma**2 + alpha))[:, None] * (U.T @ B))).T
    return coef, y_mean - coef @ s_mean


def predict_left_out(S, Y, alpha, weight=None, fit_intercept=True):
    """Each row predicted by a refit without it."""
    weight = np.ones(len(S)) if weight is None else np.asarray(weight, dtype=float)
    out = np.empty_like(Y)
    for i in range(len(S)):
        others = np.arange(len(S)) != i
        coef, intercept = ridge(S[others], Y[others], alpha, weight[others], fit_intercept)
        out[i] = coef @ S[i] + intercept
    return out


def gcv(S, Y, alpha, weight=None, fit_intercept=True):
    """Generalised cross-validation error of each target from the explicit hat matrix."""
    A, B, *_ = centred(S, Y, weight, fit_intercept)
    n = len(A)
    H = A @ np.linalg.solve(A.T @ A + alpha * np.eye(A.shape[1]), A.T)
    freedom = n - int(fit_intercept) - np.trace(H)
    residual = B - H @ B
    total = n if weight is None else np.sum(weight)
    return (residual**2).sum(axis=0) / total / (freedom / n) ** 2


def graded(rng, n_rows, n_features, condition):
    """Rows of zero mean whose singular values fall geometrically from 30 to 30 / condition."""
    Q, _ = np.linalg.qr(np.column_stack([np.ones(n_rows), rng.normal(size=(n_rows, n_features))]))
    V, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    return (Q[:, 1:] * (30.0 * np.geomspace(1.0, 1.0 / condition, n_features))) @ V.T


def dyadic(rng, shape):
    """Numbers that stay exact when an offset up to 1e10 is added in float64."""
    return rng.integers(-(2**17), 2**17, size=shape) / 2.0**16
