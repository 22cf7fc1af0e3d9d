"""How far states reach: products of Jacobians of a driven network, and gradients by lag."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh

from echocast._checks import check_number

from ._view import first_state, input_rows, recurrent_view

__all__ = ["gradient_norm_by_lag", "jacobian_product"]


def jacobian_product(
    model: Any,
    X: ArrayLike,
    t0: int = 0,
    t1: int | None = None,
    *,
    initial_state: ArrayLike | None = None,
) -> np.ndarray:
    r"""Derivative of a later state of a driven network with respect to an earlier one.

    With :math:`h_t` the state after `t` rows of X, and :math:`h_0` the initial state,

    .. math:: \frac{\partial h_{t_1}}{\partial h_{t_0}} = J_{t_1} J_{t_1 - 1} \cdots J_{t_0 + 1}

    where for a tanh network :math:`J_t = \mathrm{diag}(1 - h_t^2)\, W`. Long products vanish or
    explode as the eigenvalues of such a matrix allow: that is why long memories are hard to learn.

    Parameters
    ----------
    model : fitted ESNRegressor, ReservoirTransformer, ESNClassifier, DeepESNRegressor, or network
        The state of several layers is theirs in a row, the lowest first; of an LSTM it is [h, c].
    X : array-like of shape (n_steps, n_features)
        One sequence of inputs.
    t0, t1 : int, default=0 and the number of rows
        ``0 <= t0 <= t1 <= n_steps``; the rows ``X[t0:t1]`` lead from one state to the other.
    initial_state : array-like of shape (n_states,), optional
        State before the first row; the model's own (zeros for a reservoir) by default.

    Returns
    -------
    ndarray of shape (n_states, n_states)
        Entry (i, j): change of component i at `t1` for a change of component j at `t0`.

    Raises
    ------
    TypeError
        If the model has no such state.
    ValueError
        If X has other columns than the model, or the times are no such rows.

    See Also
    --------
    gradient_norm_by_lag : only the norm, for every lag.
    lyapunov_exponents : growth rates over long times.

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, section 10.7.
    .. [2] R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ReservoirTransformer, jacobian_product
    >>> X = np.sin(0.2 * np.arange(50))[:, None]
    >>> reservoir = ReservoirTransformer(20, random_state=0).fit(X)
    >>> jacobian_product(reservoir, X, 10, 12).shape
    (20, 20)
    >>> bool(np.linalg.norm(jacobian_product(reservoir, X)) < 1e-4)
    True
    """
    view = recurrent_view(model)
    rows = input_rows(view, X)
    owner = "jacobian_product"
    t1 = len(rows) if t1 is None else t1
    check_number("t1", t1, owner, low=0, high=len(rows), integer=True)
    check_number("t0", t0, owner, low=0, high=t1, integer=True)
    h = first_state(view, initial_state)
    for x in rows[:t0]:
        h = view.step(h, x)
    product = np.eye(view.n_states)
    for x in rows[t0:t1]:
        step = view.linearise(h, x)
        h, product = step.state, step.push(product)
    return product


def gradient_norm_by_lag(
    model: Any,
    X: ArrayLike,
    max_lag: int | None = None,
    *,
    gradient: ArrayLike | None = None,
    initial_state: ArrayLike | None = None,
) -> np.ndarray:
    r"""How much of a gradient at the last step arrives at each earlier state.

    Entry k is the norm of :math:`(\partial h_T / \partial h_{T-k})^\top g`, with T the number of
    rows of X. For k between two lags it falls (vanishing gradients) or rises (exploding ones)
    about exponentially; a slope of ``log`` of it per step is at most the log of the largest
    singular value of the recurrent weights, for a tanh network.

    Parameters
    ----------
    model, X, initial_state
        As in `jacobian_product`.
    max_lag : int, optional
        Largest lag; the number of rows by default.
    gradient : array-like of shape (n_states,), optional
        The gradient g of a loss with respect to the last state. Without it the norm is that of
        the whole derivative, its largest singular value: the worst case over all g of norm 1.

    Returns
    -------
    ndarray of shape (max_lag + 1,)
        Norms, for lags 0, 1, ..., `max_lag`; where they leave the range of floats, 0 or inf.

    Raises
    ------
    TypeError
        If the model has no such state.
    ValueError
        If X has other columns than the model, or fewer rows than `max_lag`.

    References
    ----------
    .. [1] S. Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen", diploma thesis,
       TU Munich, 1991.
    .. [2] Y. Bengio, P. Simard, P. Frasconi, "Learning long-term dependencies with gradient
       descent is difficult", IEEE Trans. Neural Networks 5 (1994).

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ReservoirTransformer, gradient_norm_by_lag
    >>> X = np.zeros((30, 1))
    >>> linear = ReservoirTransformer(
    ...     10, topology=0.9 * np.eye(10), spectral_radius=None, activation="identity"
    ... )
    >>> gradient_norm_by_lag(linear.fit(X), X, 3)
    array([1.   , 0.9  , 0.81 , 0.729])
    """
    view = recurrent_view(model)
    rows = input_rows(view, X)
    max_lag = len(rows) if max_lag is None else max_lag
    check_number("max_lag", max_lag, "gradient_norm_by_lag", high=len(rows), low=0, integer=True)
    if gradient is None:
        G = np.eye(view.n_states)
    else:
        G = np.array(gradient, dtype=np.float64)[..., None]
        if G.shape != (view.n_states, 1):
            raise ValueError(f"`gradient` must have shape ({view.n_states},), got {G.shape[:-1]}.")
    first = len(rows) - max_lag
    h = first_state(view, initial_state)
    for x in rows[:first]:
        h = view.step(h, x)
    steps = []
    for x in rows[first:]:
        steps.append(view.linearise(h, x))
        h = steps[-1].state
    norms = np.zeros(max_lag + 1)
    scale = 1.0  # kept apart from G, so that the norm alone overflows or underflows
    for lag in range(max_lag + 1):
        if lag:
            G, _ = steps[-lag].pull(G)
        norm = _largest_singular_value(G)
        if norm == 0.0:
            break
        scale *= norm
        norms[lag] = scale
        G = G / norm
    return norms


def _largest_singular_value(G):
    """From the Gram matrix: squaring costs the small singular values their digits, not this one."""
    if G.shape[1] == 1:
        return float(np.linalg.norm(G))
    last = len(G) - 1
    (square,) = eigh(G.T @ G, eigvals_only=True, subset_by_index=[last, last])
    return float(np.sqrt(max(square, 0.0)))
