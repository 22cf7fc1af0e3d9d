"""Ridge classification of feature vectors, with probabilities from leave-one-out scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import qr
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from echocast._checks import check_alpha

from ._few_rows import turned_back
from ._readout import ReadoutFit, fit_readout, leave_one_out

__all__ = ["fit_label_ridge", "fit_sharpness", "label_targets", "probabilities"]


def fit_label_ridge(
    features: np.ndarray, labels: np.ndarray, n_classes: int, *, alpha: Any, dtype: Any, owner: str
) -> tuple[ReadoutFit, np.ndarray]:
    """Regress +1 for the label and -1 for every other class on the features.

    With more features than rows the problem is turned into the coordinates of the rows first,
    which changes no prediction.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    labels : ndarray of int, shape (n_rows,)
        Class numbers.
    n_classes : int
        Two classes share one target.
    alpha : float, array of floats or "auto"
    dtype : dtype
        Precision of the features.
    owner : str

    Returns
    -------
    fit : ReadoutFit
    scores : ndarray of shape (n_rows, n_targets)
        Of each row, by the readout of the other rows.
    """
    candidates = check_alpha(alpha, owner)
    targets = label_targets(labels, n_classes)
    mean = features.mean(axis=0, dtype=np.float64)
    rows = features - mean
    reflections = None
    if rows.shape[1] > rows.shape[0]:
        reflections, triangle = qr(rows.T, mode="raw", overwrite_a=True, check_finite=False)
        rows = triangle.T

    def blocks():
        yield rows, targets, None

    fit = fit_readout(
        blocks,
        rows.shape[1],
        targets.shape[1],
        alpha=np.array([candidates]) if isinstance(candidates, float) else candidates,
        solver="svd",  # as scores need singular values in any case
        dtype=dtype,
        owner=owner,
    )
    scores = leave_one_out(fit, blocks)
    if reflections is not None:
        fit.coef = turned_back(fit.coef, *reflections)
    fit.intercept = fit.intercept - fit.coef @ mean
    return fit, scores


def label_targets(labels, n_classes):
    if n_classes == 2:
        return np.where(labels == 1, 1.0, -1.0)[:, None]
    targets = np.full((len(labels), n_classes), -1.0)
    targets[np.arange(len(labels)), labels] = 1.0
    return targets


def _by_class(scores):
    """One column a class, also for two classes, whose scores are s and -s."""
    return np.concatenate([-scores, scores], axis=1) if scores.shape[1] == 1 else scores


def probabilities(scores: np.ndarray, sharpness: float) -> np.ndarray:
    """Softmax of ``sharpness * scores``, shape (n_rows, n_classes)."""
    return softmax(sharpness * _by_class(scores), axis=1)


def fit_sharpness(scores: np.ndarray, labels: np.ndarray) -> float:
    r"""Inverse temperature that makes the softmax of leave-one-out scores most likely.

    As in Platt's method the labels are softened by the rule of succession, as if each class had
    been seen once more with each score; so the optimum of perfectly separated scores is finite.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_targets)
    labels : ndarray of int, shape (n_rows,)

    Returns
    -------
    float

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines", 1999, section 2.2.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks",
       ICML 2017, section 4.2 (temperature scaling).
    """
    by_class = _by_class(scores)
    n_rows, n_classes = by_class.shape
    soft = np.full_like(by_class, 1.0 / (n_rows + n_classes))
    soft[np.arange(n_rows), labels] += n_rows / (n_rows + n_classes)

    def loss(log_sharpness):
        return -(soft * log_softmax(np.exp(log_sharpness) * by_class, axis=1)).sum()

    # Scores of useful readouts spread over about one unit.
    found = minimize_scalar(loss, bounds=np.log([1e-3, 1e3]), method="bounded")
    return float(np.exp(found.x))
