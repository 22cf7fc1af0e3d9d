"""Lyapunov exponents of driven networks, and of networks that are fed their own outputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from echocast._checks import check_flag, check_number
from echocast.exceptions import ForecastDivergedError

from ._view import closed_loop_view, first_state, input_rows, recurrent_view

__all__ = ["lyapunov_exponents"]


def lyapunov_exponents(
    model: Any,
    X: ArrayLike,
    n_exponents: int = 1,
    *,
    washout: int = 100,
    closed_loop: bool = False,
    n_steps: int | None = None,
    initial_state: ArrayLike | None = None,
) -> np.ndarray:
    r"""Mean growth rates, per time step, of small perturbations of the state.

    For a network that is driven by X these are the conditional exponents: the largest is
    negative where the network forgets its initial state (the echo state property along X), and
    its distance from 0 says how fast; trained networks with long memories come close to 0. With
    ``closed_loop=True`` the outputs of the model are its inputs, and the exponents are those of
    the system that it has become: a model of a chaotic series should have the exponents of the
    series.

    Exponents are natural logarithms per row. Divide by the time between rows for a rate per unit
    of time (Lorenz-63 at step 0.02 has 0.9056 = 0.0181 / 0.02), and by ``log(2)`` for bits.

    Parameters
    ----------
    model : fitted ESNRegressor, ReservoirTransformer, ESNClassifier, DeepESNRegressor, or network
    X : array-like of shape (n_steps, n_features)
        One sequence of inputs. A closed loop is driven by all of it first, to be on its way.
    n_exponents : int, default=1
        How many of the largest, at most the number of states.
    washout : int, default=100
        First steps that are not averaged, in which perturbations turn into the growing
        directions (and, in a driven network, the initial state is forgotten).
    closed_loop : bool, default=False
        For a model with as many targets as features, fitted to the next row.
    n_steps : int, optional
        Steps in closed loop, the washout included; as many as X has rows by default. Means of
        chaotic systems settle slowly: take 10,000 or more.
    initial_state : array-like of shape (n_states,), optional
        State before the first row; the model's own by default.

    Returns
    -------
    ndarray of shape (n_exponents,)
        In falling order; ``-inf`` for a direction that is lost completely.

    Raises
    ------
    TypeError
        If the model has no such state, or no outputs.
    ValueError
        If no step is left after the washout, or outputs cannot serve as inputs.
        Also if driven states become infinite, as those of an unbounded activation can.
    ForecastDivergedError
        If the states of a closed loop do so.

    Notes
    -----
    An orthonormal set of tangents is carried along by the exact Jacobians and orthonormalised by
    a QR decomposition after every step; the exponents are the means of the logarithms of the
    diagonal of R. In closed loop the tangents are those of state and output together, which adds
    directions with exponent ``-inf`` unless the readout sees the input.

    References
    ----------
    .. [1] G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, "Lyapunov characteristic
       exponents for smooth dynamical systems and for Hamiltonian systems", Meccanica 15 (1980).
    .. [2] J. Pathak, Z. Lu, B. R. Hunt, M. Girvan, E. Ott, "Using machine learning to replicate
       chaotic attractors and calculate Lyapunov exponents from data", Chaos 27 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ReservoirTransformer, lyapunov_exponents
    >>> X = np.zeros((200, 1))
    >>> linear = ReservoirTransformer(
    ...     3, topology=np.diag([0.9, 0.5, 0.1]), spectral_radius=None, activation="identity"
    ... )
    >>> np.exp(lyapunov_exponents(linear.fit(X), X, 2)).round(6)
    array([0.9, 0.5])
    """
    owner = "lyapunov_exponents"
    check_flag("closed_loop", closed_loop, owner)
    check_number("washout", washout, owner, low=0, integer=True)
    system: Any
    if closed_loop:
        system = closed_loop_view(model)
        view = system.view
    else:
        system = view = recurrent_view(model)
    rows = input_rows(view, X)
    check_number("n_exponents", n_exponents, owner, low=1, high=view.n_states, integer=True)
    h = first_state(view, initial_state)
    drive: Iterable[Any] = rows
    n_all = len(rows)
    if closed_loop:
        if not n_all:
            raise ValueError("`X` must have rows, which start the closed loop.")
        for x in rows:
            h = view.step(h, x)
        h = np.concatenate([h, system.output(h, rows[-1])])
        n_all = n_all if n_steps is None else n_steps
        check_number("n_steps", n_all, owner, low=1, integer=True)
        drive = (None for _ in range(n_all))
    elif n_steps is not None:
        raise ValueError("`n_steps` is for closed_loop=True; otherwise every row of X is a step.")
    if washout >= n_all:
        raise ValueError(f"`washout` is {washout} but there are {n_all} steps; shorten it.")
    error = ForecastDivergedError if closed_loop else _refuse_infinite
    return _exponents(system, h, drive, n_exponents, washout, error)


def _refuse_infinite(step, last_finite):
    return ValueError(
        f"The states become infinite at row {step}: with this activation they grow without "
        "bound. Lower `spectral_radius`, or use a bounded activation."
    )


def _exponents(system, h, drive, n_exponents, washout, error):
    """Means of log diag R over the steps after the washout."""
    # Any start will do but one without a share in the growing directions.
    draws = np.random.RandomState(0).standard_normal((system.n_states, n_exponents))
    Q, _ = np.linalg.qr(draws)
    total, n = np.zeros(n_exponents), 0
    for t, x in enumerate(drive):
        with np.errstate(over="ignore", invalid="ignore"):
            step = system.linearise(h, x)
        if not np.isfinite(step.state).all():
            raise error(t, np.abs(h).max())
        h = step.state
        Q, R = np.linalg.qr(step.push(Q))
        if t >= washout:
            with np.errstate(divide="ignore"):
                total += np.log(np.abs(np.diag(R)))
            n += 1
    return np.sort(total / n)[::-1]
