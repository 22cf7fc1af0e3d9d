"""Back-propagation through time as the textbook writes it: to read, and to compare with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from echocast._checks import check_option

__all__ = ["bptt_reference"]


def bptt_reference(
    X: ArrayLike,
    y: ArrayLike,
    weights: Mapping[str, ArrayLike],
    *,
    h0: ArrayLike | None = None,
    loss: str = "cross_entropy",
    output: str = "sequence",
) -> tuple[float, dict[str, np.ndarray], dict[str, np.ndarray]]:
    r"""Loss of a tanh network on one sequence, and its gradients by the chapter's equations.

    Each line is one equation of [1]_, section 10.2, in the names of this package (the book's in
    brackets): weights `W_in` (U), `W` (W), `b` (b), `out.W` (V), `out.b` (c). It is slow on
    purpose: what a fast implementation computes should equal it.

    Two points are easily read wrongly. The indicator in (10.18) is 1 where the output's index
    equals the *label* of the step. And in (10.21) the diagonal factor stands to the right of the
    transposed weights, :math:`W^\top \mathrm{diag}(1 - h_{t+1}^2)\, g_{t+1}`: it belongs to step
    t + 1, whose gradient it meets first.

    Parameters
    ----------
    X : array-like of shape (n_steps, n_inputs)
    y : array-like of int, shape (n_steps,), or of float, shape (n_steps, n_outputs)
        Labels 0, 1, ... for the cross-entropy, else targets (a column may be 1-D). With
        ``output="last"`` a single label, or targets of shape (n_outputs,).
    weights : dict of arrays
        "W_in" (n, n_inputs), "W" (n, n), "b" (n,), "out.W" (n_outputs, n), "out.b" (n_outputs,).
    h0 : array-like of shape (n,), optional
        State before the first step; zeros by default.
    loss : {"cross_entropy", "squared_error"}, default="cross_entropy"
        The sum over steps of the negative log-likelihood (in nats) of a softmax, or of
        :math:`\frac12 |o_t - y_t|^2`.
    output : {"sequence", "last"}, default="sequence"
        Whether there is a loss at every step, or at the last one alone.

    Returns
    -------
    loss : float
    gradients : dict of arrays
        Of all weights, by their names, and of "h0".
    trace : dict of arrays
        "hidden" (n_steps + 1, n), of which row 0 is `h0`, and "output" (n_steps, n_outputs):
        probabilities, or values.

    Raises
    ------
    InvalidParameterError
        If `loss` or `output` is not one of those.
    KeyError
        If a weight is missing.

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, eqs. 10.8-10.28.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import bptt_reference
    >>> weights = {
    ...     "W_in": np.ones((2, 1)), "W": 0.5 * np.eye(2), "b": np.zeros(2),
    ...     "out.W": np.array([[1.0, 1.0]]), "out.b": np.zeros(1),
    ... }
    >>> loss, gradients, trace = bptt_reference(
    ...     [[0.1], [0.2]], [0.2, 0.5], weights, loss="squared_error"
    ... )
    >>> round(loss, 6), gradients["out.b"].round(4), trace["hidden"].shape
    (5.5e-05, array([-0.0111]), (3, 2))
    """
    owner = "bptt_reference"
    check_option("loss", loss, owner, ("cross_entropy", "squared_error"))
    check_option("output", output, owner, ("sequence", "last"))
    names = ("W_in", "W", "b", "out.W", "out.b")
    U, W, b, V, c = (np.asarray(weights[name], dtype=np.float64) for name in names)
    x = np.asarray(X, dtype=np.float64)
    n_steps, n_outputs = len(x), len(c)
    scored = range(n_steps) if output == "sequence" else (n_steps - 1,)
    if loss == "cross_entropy":
        wanted = np.eye(n_outputs)[np.asarray(y, dtype=np.intp).reshape(len(scored))]
    else:
        wanted = np.asarray(y, dtype=np.float64).reshape(len(scored), n_outputs)
    target = dict(zip(scored, wanted))

    # Forward. Row t + 1 of h is the state after x[t], so that row 0 can hold the initial state.
    h = np.zeros((n_steps + 1, len(b)))
    if h0 is not None:
        h[0] = h0
    y_hat = np.empty((n_steps, n_outputs))
    total = 0.0
    for t in range(n_steps):
        a = b + W @ h[t] + U @ x[t]  # (10.8)
        h[t + 1] = np.tanh(a)  # (10.9)
        o = c + V @ h[t + 1]  # (10.10)
        y_hat[t] = o
        if loss == "cross_entropy":
            log_p = o - o.max() - np.log(np.exp(o - o.max()).sum())
            y_hat[t] = np.exp(log_p)  # (10.11)
            total -= log_p @ target[t] if t in target else 0.0  # (10.12)-(10.14)
        elif t in target:
            total += 0.5 * ((o - target[t]) ** 2).sum()

    # Backward. grad_h holds the gradient of h(t); g[name] sums up over steps.
    g: dict[str, np.ndarray] = {name: np.zeros(np.shape(weights[name])) for name in names}
    grad_h: np.ndarray = np.zeros(len(b))
    for t in reversed(range(n_steps)):
        if t in target:  # the loss of a step, (10.17), has the derivative 1
            # (10.18): softmax minus 1 where the index is the label of the step
            grad_o = y_hat[t] - target[t]
            grad_h = grad_h + V.T @ grad_o  # (10.19), and the second term of (10.21)
            g["out.b"] += grad_o  # (10.22)
            g["out.W"] += np.outer(grad_o, h[t + 1])  # (10.24)
        inner = (1.0 - h[t + 1] ** 2) * grad_h  # diag(1 - h(t)^2) grad_h
        g["b"] += inner  # (10.23)
        g["W"] += np.outer(inner, h[t])  # (10.25)-(10.26)
        g["W_in"] += np.outer(inner, x[t])  # (10.27)-(10.28)
        grad_h = W.T @ inner  # (10.20)-(10.21): the first term, for step t - 1
    g["h0"] = grad_h
    return float(total), g, {"hidden": h, "output": y_hat}
