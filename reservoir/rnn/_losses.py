"""Losses: one node of the tape each, stable for any finite outputs, in the outputs' dtype.

All are called as ``loss(outputs, targets, weights)`` and give a scalar Var, the sum of `weights`
times the pointwise losses, with

- `outputs`, a Var of shape (..., n_outputs): what the readout gives, with no activation applied;
- `targets`, an array (..., n_targets), or (...) integer labels for `cross_entropy`;
- `weights`, an array (...), not negative: masks and the division by the number of terms are in
  it, so losses of the shards of a batch add up. Where a weight is 0 the target may be anything,
  NaN included, and neither loss nor gradient depends on it.

Pointwise losses are means over the targets. With several outputs for a target the layouts are

==============  ========================================  ==================================
loss            n_outputs                                 order
==============  ========================================  ==================================
pinball         n_targets * n_quantiles                   all quantiles of the first target,
                                                          then those of the next
gaussian        2 * n_targets                             means, then raw scales
student_t       3 * n_targets                             locations, raw scales, raw degrees
==============  ========================================  ==================================

where `gaussian_parameters` and `student_t_parameters` say what the raw ones mean.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.special import digamma, expit, gammaln

from ._ops import log1p_exp
from ._tape import Var, emit

__all__ = [
    "LOSSES",
    "MIN_SCALE",
    "Loss",
    "absolute_error",
    "binary_cross_entropy",
    "cross_entropy",
    "gaussian_nll",
    "gaussian_parameters",
    "huber",
    "loss_named",
    "pinball",
    "squared_error",
    "student_t_nll",
    "student_t_parameters",
]

# Added to scales. Targets come standardised; without a floor a series that is fitted perfectly
# would have an infinite likelihood, and gradients to match.
MIN_SCALE = 1e-4


class Loss(NamedTuple):
    """A loss and what it asks of the readout.

    Parameters
    ----------
    function : callable
        ``function(outputs, targets, weights)``: scalar Var.
    outputs_per_target : int
        Columns of the readout for each target (for each class, where targets are labels).
    out_activation : str
        What turns outputs into predictions: "identity", "softmax" or "logistic" as in
        scikit-learn, "quantiles" (one after the other), or "gaussian" and "student_t" (see
        `gaussian_parameters`, `student_t_parameters`).
    """

    function: Callable[..., Var]
    outputs_per_target: int
    out_activation: str


def _total(outputs: Var, terms: np.ndarray, weights: np.ndarray, slopes: Callable) -> Var:
    """Sum of weights times the mean of `terms` along the last axis.

    `slopes()` gives a fresh array: derivatives of the terms by each of the outputs.
    """
    share = weights[..., None] / terms.shape[-1]

    def vjp(g):
        grad = slopes()
        grad *= g * share
        return (grad,)

    return emit((share * terms).sum(), (outputs,), vjp)


def _prepared(outputs, targets, weights, n_targets):
    """Targets and weights in the outputs' dtype; targets 0 where the weight is."""
    o = outputs.data
    targets, weights = np.asarray(targets, dtype=o.dtype), np.asarray(weights, dtype=o.dtype)
    if targets.shape != (*o.shape[:-1], n_targets) or weights.shape != o.shape[:-1]:
        raise ValueError(
            f"outputs of shape {o.shape} need targets of shape {(*o.shape[:-1], n_targets)} and "
            f"weights of shape {o.shape[:-1]}, got {targets.shape} and {weights.shape}."
        )
    if not weights.all():
        targets = np.where(weights[..., None] == 0, o.dtype.type(0), targets)
    return targets, weights


# Points


def squared_error(outputs: Var, targets: Any, weights: Any) -> Var:
    """(outputs - targets) ** 2."""
    y, weights = _prepared(outputs, targets, weights, outputs.data.shape[-1])
    r = outputs.data - y
    return _total(outputs, r * r, weights, lambda: 2 * r)


def absolute_error(outputs: Var, targets: Any, weights: Any) -> Var:
    """abs(outputs - targets)."""
    y, weights = _prepared(outputs, targets, weights, outputs.data.shape[-1])
    r = outputs.data - y
    return _total(outputs, np.abs(r), weights, lambda: np.sign(r))


def huber(outputs: Var, targets: Any, weights: Any, *, delta: float = 1.0) -> Var:
    """r ** 2 / 2 up to abs(r) = `delta`, and the tangents beyond, for r = outputs - targets."""
    y, weights = _prepared(outputs, targets, weights, outputs.data.shape[-1])
    r = outputs.data - y
    near = np.clip(r, -delta, delta)
    return _total(outputs, near * (r - 0.5 * near), weights, lambda: near.copy())


def pinball(outputs: Var, targets: Any, weights: Any, quantiles: Any) -> Var:
    """Quantile losses: q * u for u >= 0 and (q - 1) * u below, u = target - output.

    Outputs are (..., n_targets * n_quantiles), all quantiles of a target side by side; the
    pointwise loss is the mean over targets and quantiles.
    """
    o = outputs.data
    q = np.asarray(quantiles, dtype=o.dtype)
    y, weights = _prepared(outputs, targets, weights, o.shape[-1] // len(q))
    u = y[..., None] - o.reshape(*y.shape, len(q))
    terms = np.maximum(q * u, (q - 1) * u).reshape(o.shape)
    return _total(
        outputs, terms, weights, lambda: ((u < 0) * (1 - q) - (u > 0) * q).reshape(o.shape)
    )


# Distributions


def gaussian_parameters(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (..., n_targets) that outputs (..., 2 * n_targets) stand for.

    The standard deviation is softplus(raw scale) + `MIN_SCALE`.
    """
    n = outputs.shape[-1] // 2
    return outputs[..., :n], log1p_exp(outputs[..., n:]) + MIN_SCALE


def student_t_parameters(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Locations, scales and degrees of freedom, from outputs (..., 3 * n_targets).

    The scale is softplus(raw scale) + `MIN_SCALE`, the degrees are softplus(raw degrees) + 2:
    forecasts have a mean, and a variance as well once the degrees exceed 2.
    """
    n = outputs.shape[-1] // 3
    scale = log1p_exp(outputs[..., n : 2 * n]) + MIN_SCALE
    return outputs[..., :n], scale, log1p_exp(outputs[..., 2 * n :]) + 2


def gaussian_nll(outputs: Var, targets: Any, weights: Any) -> Var:
    """Negative log-density of normal distributions, see `gaussian_parameters`."""
    o = outputs.data
    n = o.shape[-1] // 2
    y, weights = _prepared(outputs, targets, weights, n)
    mean, scale = gaussian_parameters(o)
    z = (y - mean) / scale
    terms = 0.5 * z * z + np.log(scale) + 0.5 * float(np.log(2 * np.pi))

    def slopes():
        by_scale = (1 - z * z) / scale * expit(o[..., n:])
        return np.concatenate([-z / scale, by_scale], axis=-1)

    return _total(outputs, terms, weights, slopes)


def student_t_nll(outputs: Var, targets: Any, weights: Any) -> Var:
    """Negative log-density of Student's t distributions, see `student_t_parameters`."""
    o = outputs.data
    n = o.shape[-1] // 3
    y, weights = _prepared(outputs, targets, weights, n)
    location, scale, df = student_t_parameters(o)
    z = (y - location) / scale
    tail = z * (z / df)
    # The gamma functions nearly cancel where the degrees are many: that needs float64.
    v = df.astype(np.float64)
    constant = gammaln(v / 2) - gammaln((v + 1) / 2) + 0.5 * np.log(np.pi * v)
    log_tail = np.log1p(tail)
    terms = constant.astype(o.dtype) + np.log(scale) + 0.5 * (df + 1) * log_tail

    def slopes():
        # pull = z * d(terms)/dz; written with tail / (1 + tail), which stays below 1.
        pull = (df + 1) * (tail / (1 + tail))
        by_location = -(df + 1) * (z / df / (1 + tail)) / scale
        by_scale = (1 - pull) / scale * expit(o[..., n : 2 * n])
        by_constant = (digamma(v / 2) - digamma((v + 1) / 2) + 1 / v).astype(o.dtype)
        by_df = 0.5 * (by_constant + log_tail - pull / df) * expit(o[..., 2 * n :])
        return np.concatenate([by_location, by_scale, by_df], axis=-1)

    return _total(outputs, terms, weights, slopes)


# Classes


def cross_entropy(outputs: Var, targets: Any, weights: Any) -> Var:
    """-log softmax(outputs)[target]: logits (..., n_classes), integer labels (...)."""
    o = outputs.data
    labels, weights = np.asarray(targets), np.asarray(weights, dtype=o.dtype)
    if labels.shape != o.shape[:-1] or weights.shape != o.shape[:-1]:
        raise ValueError(
            f"logits of shape {o.shape} need labels and weights of shape {o.shape[:-1]}, got "
            f"{labels.shape} and {weights.shape}."
        )
    from ._kernels_losses import row_slopes, row_sums, rows_below_max

    n, n_classes = labels.size, o.shape[-1]
    # Kernels are compiled once, for arrays that are in C order and not read-only.
    flat = np.require(o.reshape(n, n_classes), requirements=["C", "W"])
    weights = np.require(weights.reshape(n), requirements=["C", "W"])
    labels = np.where(weights == 0, 0, labels.reshape(n)).astype(np.int64)
    values, sums = np.empty_like(flat), np.empty(n, dtype=o.dtype)
    rows_below_max(flat, values)
    at_label = values[np.arange(n), labels]
    np.exp(values, out=values)
    row_sums(values, sums)
    terms = np.log(sums) - at_label

    def vjp(g):
        grad = np.empty_like(values)
        row_slopes(values, sums, labels, weights, o.dtype.type(g), grad)
        return (grad.reshape(o.shape),)

    return emit((weights * terms).sum(), (outputs,), vjp)


def binary_cross_entropy(outputs: Var, targets: Any, weights: Any) -> Var:
    """-log sigmoid(output) where the target is 1, -log sigmoid(-output) where it is 0.

    Logits and targets are (..., n_targets); targets between 0 and 1 are shares.
    """
    o = outputs.data
    y, weights = _prepared(outputs, targets, weights, o.shape[-1])
    terms = np.maximum(o, 0) - o * y + np.log1p(np.exp(-np.abs(o)))
    return _total(outputs, terms, weights, lambda: expit(o) - y)


# By name

LOSSES = {
    "squared_error": Loss(squared_error, 1, "identity"),
    "absolute_error": Loss(absolute_error, 1, "identity"),
    "huber": Loss(huber, 1, "identity"),
    "pinball": Loss(pinball, 1, "quantiles"),
    "gaussian": Loss(gaussian_nll, 2, "gaussian"),
    "student_t": Loss(student_t_nll, 3, "student_t"),
    "log_loss": Loss(cross_entropy, 1, "softmax"),
    "binary_log_loss": Loss(binary_cross_entropy, 1, "logistic"),
}


def loss_named(name: str, *, quantiles: Any = None, delta: float = 1.0) -> Loss:
    """The loss of that name, its parameters bound (`quantiles` of "pinball", `delta` of "huber").

    Raises
    ------
    ValueError
        If there is no such loss, or its parameter is missing or out of range.
    """
    if name not in LOSSES:
        raise ValueError(f"`loss` must be one of {sorted(LOSSES)}, got {name!r}.")
    loss = LOSSES[name]
    if name == "pinball":
        q = np.atleast_1d(np.asarray([] if quantiles is None else quantiles, dtype=np.float64))
        if q.ndim != 1 or not q.size or not (np.diff(q, prepend=0, append=1) > 0).all():
            raise ValueError(f"`quantiles` must be increasing and in (0, 1), got {quantiles!r}.")
        return Loss(partial(pinball, quantiles=q), len(q), loss.out_activation)
    if name == "huber":
        if not delta > 0:
            raise ValueError(f"`delta` must be positive, got {delta!r}.")
        return loss._replace(function=partial(huber, delta=delta))
    return loss
