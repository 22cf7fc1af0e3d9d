"""The Mackey-Glass delay equation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from echocast._checks import check_generator, check_number, check_option, refuse

from ._arguments import check_steps, discarded_rows, inner_steps, numbers_of, require_finite
from ._integrators import delay_series, delay_series_euler

__all__ = ["mackey_glass"]


def _history_function(history: Any, tau: float, shift: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the solution on [-tau, 0] as a function of an array of times."""
    samples = numbers_of(
        "history",
        history,
        lambda shape: shape == () or (len(shape) == 1 and shape[0] >= 2),
        "a finite number or an array-like of at least 2 of them",
        "mackey_glass",
    )
    if samples.ndim == 0:
        return lambda times: np.full(len(times), float(samples) + shift)
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(np.linspace(-tau, 0.0, len(samples)), samples + shift)
    return lambda times: np.asarray(spline(times))


def mackey_glass(
    n_steps: int,
    *,
    tau: float = 17.0,
    beta: float = 0.2,
    gamma: float = 0.1,
    exponent: float = 10.0,
    dt: float = 1.0,
    history: float | ArrayLike | None = None,
    transient: float | None = None,
    substeps: int | None = None,
    method: str = "rk4",
    random_state: Any = None,
) -> np.ndarray:
    r"""Mackey and Glass's model of the concentration of blood cells.

    .. math:: \dot x(t) = \frac{\beta x(t - \tau)}{1 + x(t - \tau)^p} - \gamma x(t)

    Published scores depend on the discretisation, so say which one was used. Both are offered:

    - ``"rk4"``: the classical Runge-Kutta method of order four on a mesh of which the delay is a
      whole multiple, with cubic Hermite interpolation of the past. With the default `substeps`
      the error after 300 time units is about 1e-10.
    - ``"euler"``: the customary Euler rule with step 0.1, every tenth value kept, as in [2]_. It
      is a different system from the equation: an error of order one is part of it.

    The largest Lyapunov exponent is about 0.0055 per time unit for ``tau=17`` and 0.008 for
    ``tau=30`` (our estimates); below about 16.8 the default equation is not chaotic.

    Parameters
    ----------
    n_steps : int
        Length of the result.
    tau : float > 0, default=17
        Delay, in time units (days, in the model). With ``method="euler"`` it must be a whole
        number of internal steps.
    beta, gamma : float, default=0.2, 0.1
        Rates of production and decay, per time unit.
    exponent : float, default=10
        Exponent p of the inhibition.
    dt : float > 0, default=1
        Time between values.
    history : float or array-like of shape (k,), default=None
        The solution on [-tau, 0]: a constant, or k >= 2 values at equal distances from -tau to 0
        (both included), joined by a cubic spline. None stands for 1.2.
    transient : float, default=None
        Time units integrated before the first value, rounded up to whole steps of `dt`. None
        stands for 1000, or for 0 if `history` is given: the first value is then x(0).
    substeps : int, default=None
        Internal steps between values, at least (``"rk4"`` takes a few more where needed for the
        delay to be a whole number of steps). None stands for the fewest that keep the internal
        step at or below 0.05 for ``"rk4"``, 0.1 for ``"euler"``.
    method : {"rk4", "euler"}, default="rk4"
        The integrator.
    random_state : int, RandomState, Generator or None, default=None
        None starts exactly from `history`; otherwise one uniform draw from [-0.1, 0.1] is added
        to all of it.

    Returns
    -------
    ndarray of shape (n_steps,)
        x, in units of the concentration at which production is inhibited by half. One-dimensional,
        as all scalar series of this package; ``x[:, None]`` is the matrix that estimators take.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.
    ValueError
        If the trajectory does not stay finite.

    Notes
    -----
    Jaeger's experiments [2]_ feed the squashed series ``tanh(x - 1)`` to the network.

    References
    ----------
    .. [1] M. C. Mackey, L. Glass, "Oscillation and chaos in physiological control systems",
       Science 197 (1977) 287-289, eq. 4b.
    .. [2] H. Jaeger, "The echo state approach to analysing and training recurrent neural
       networks", GMD Report 148 (2001), section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.datasets import mackey_glass
    >>> x = mackey_glass(500)
    >>> x.shape
    (500,)
    >>> squashed = np.tanh(mackey_glass(500, method="euler") - 1.0)
    >>> mackey_glass(3, history=0.5).round(4)
    array([0.5   , 0.5475, 0.5905])
    """
    owner = "mackey_glass"
    n_steps = check_steps(n_steps, owner)
    for name, value in (("tau", tau), ("dt", dt)):
        check_number(name, value, owner, low=0.0, closed="neither")
    rates = (
        float(check_number("beta", beta, owner)),
        float(check_number("gamma", gamma, owner)),
        float(check_number("exponent", exponent, owner)),
    )
    check_option("method", method, owner, {"rk4", "euler"})
    tau, dt = float(tau), float(dt)
    substeps = inner_steps(substeps, dt, 0.05 if method == "rk4" else 0.1, owner)
    discard = discarded_rows(transient, 1000.0, history is not None, dt, owner)
    shift = 0.0
    if random_state is not None:
        shift = float(check_generator(random_state).uniform(-0.1, 0.1))
    past = _history_function(1.2 if history is None else history, tau, shift)
    if method == "rk4":
        series = delay_series(
            rates, tau, past, dt=dt, substeps=substeps, discard=discard, n_steps=n_steps
        )
    else:
        m = tau * substeps / dt
        if round(m) < 1 or abs(m - round(m)) > 1e-9 * m:
            refuse("tau", owner, f"a whole number of Euler steps of {dt / substeps:g}", tau)
        values = past(np.linspace(-tau, 0.0, round(m) + 1))
        series = delay_series_euler(
            rates,
            values[:-1],
            values[-1],
            h=dt / substeps,
            substeps=substeps,
            discard=discard,
            n_steps=n_steps,
        )
    return require_finite(series, owner)
