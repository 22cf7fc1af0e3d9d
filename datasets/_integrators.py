"""Fixed-step integrators of order four: flows, one delay equation, stiff semilinear systems.

The loops run in blocks of well under 100 ms, so that an interrupt is met between blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

__all__ = ["delay_series", "delay_series_euler", "etdrk4_stepper", "flow_series"]

# Elementary updates (internal steps times variables) of one call of a kernel.
_BLOCK_WORK = 500_000


def _collect(
    advance: Callable[[int, int], np.ndarray], out: np.ndarray, discard: int, work_of_a_row: int
) -> np.ndarray:
    """Fill `out` with the rows of ``advance(first, count)`` that follow the first `discard`."""
    size = max(1, _BLOCK_WORK // work_of_a_row)
    end = discard + len(out)
    for first in range(0, end, size):
        rows = advance(first, min(size, end - first))
        skip = max(0, discard - first)
        if skip < len(rows):
            out[first + skip - discard : first + len(rows) - discard] = rows[skip:]
    return out


def flow_series(
    system: str,
    x0: np.ndarray,
    params: tuple[float, ...],
    *,
    dt: float,
    substeps: int,
    discard: int,
    n_steps: int,
) -> np.ndarray:
    """Integrate an autonomous flow with the classical Runge-Kutta method of order four.

    Parameters
    ----------
    system : str
        A key of ``_kernels.SYSTEMS``.
    x0 : ndarray of shape (n,)
        State at the start.
    params : tuple of float
        Coefficients, in the order of the system's branch of ``_kernels.slope``.
    dt : float
        Time between rows; each is covered by `substeps` equal steps.
    substeps : int
    discard : int
        Rows dropped before the first one that is returned.
    n_steps : int
        Rows returned.

    Returns
    -------
    ndarray of shape (n_steps, n)
    """
    from ._kernels import SYSTEMS, rk4_rows

    x = np.ascontiguousarray(x0, dtype=np.float64)
    p = np.array(params, dtype=np.float64)

    def advance(first: int, count: int) -> np.ndarray:
        nonlocal x
        rows, x = rk4_rows(SYSTEMS[system], x, p, dt / substeps, substeps, count)
        return rows

    return _collect(advance, np.empty((n_steps, len(x))), discard, substeps * len(x))


def delay_series(
    rates: tuple[float, float, float],
    tau: float,
    history: Callable[[np.ndarray], np.ndarray],
    *,
    dt: float,
    substeps: int,
    discard: int,
    n_steps: int,
) -> np.ndarray:
    """Integrate the Mackey-Glass equation with order four (see ``_kernels.mackey_glass_rk4``).

    The internal step is the longest one at or below ``dt / substeps`` of which the delay is a
    whole multiple: the kinks that the start sends through the solution at multiples of `tau`
    then fall on mesh points and cost no order. Rows between mesh points come from the cubic
    Hermite polynomial, whose error is of the same order.

    Parameters
    ----------
    rates : tuple of float
        beta, gamma and the exponent.
    tau : float
        Delay.
    history : callable
        Values of the solution at an array of times in [-tau, 0].
    """
    from ._kernels import mackey_glass_rk4

    m = max(1, math.ceil(tau * substeps / dt * (1.0 - 1e-12)))
    h = tau / m
    grid = history(np.linspace(-tau, 0.0, m + 1))
    mid = history((np.arange(m) + 0.5) * h - tau)
    now = grid[-1]
    # x_{-m}, ..., x_0 belong into slots j % (m + 1), that is x_0 into slot 0.
    grid = np.roll(grid, 1)
    last = np.array([0.0, now, now, 0.0, 0.0])

    def advance(first: int, count: int) -> np.ndarray:
        nonlocal last
        values, last = mackey_glass_rk4(*rates, h, dt, first, count, last, grid, mid)
        return values

    return _collect(advance, np.empty(n_steps), discard, math.ceil(dt / h))


def delay_series_euler(
    rates: tuple[float, float, float],
    past: np.ndarray,
    x0: float,
    *,
    h: float,
    substeps: int,
    discard: int,
    n_steps: int,
) -> np.ndarray:
    """Integrate the Mackey-Glass equation with Euler's rule (order one).

    Parameters
    ----------
    rates : tuple of float
        beta, gamma and the exponent.
    past : ndarray of shape (m,)
        Values at times ``-m h, ..., -h``; the delay is ``m h``.
    x0 : float
        Value at time 0.
    """
    from ._kernels import mackey_glass_euler

    ring = np.array(past, dtype=np.float64)
    n, x = 0, float(x0)

    def advance(first: int, count: int) -> np.ndarray:
        nonlocal n, x
        values, n, x = mackey_glass_euler(*rates, h, substeps, count, n, x, ring)
        return values

    return _collect(advance, np.empty(n_steps), discard, substeps)


def etdrk4_stepper(
    linear: np.ndarray, nonlinear: Callable[[np.ndarray], np.ndarray], h: float
) -> Callable[[np.ndarray], np.ndarray]:
    r"""Return one step of the fourth-order exponential time differencing Runge-Kutta method.

    For :math:`v' = L v + N(v)` with diagonal, real :math:`L`. The linear part is exact, so that
    its stiffness does not bound the step.

    Parameters
    ----------
    linear : ndarray of shape (n,)
        The diagonal of L.
    nonlinear : callable
        N, from (n,) to (n,), real or complex.
    h : float
        Step.

    Returns
    -------
    callable
        The map from v(t) to v(t + h).

    References
    ----------
    .. [1] S. M. Cox, P. C. Matthews, "Exponential time differencing for stiff systems",
       J. Comput. Phys. 176 (2002), eqs. 26-29.
    .. [2] A.-K. Kassam, L. N. Trefethen, "Fourth-order time-stepping for stiff PDEs",
       SIAM J. Sci. Comput. 26 (2005), section 2.
    """
    z = h * np.asarray(linear, dtype=np.float64)
    # The coefficients are differences of nearly equal numbers for small z. Their means over a
    # circle around z are exact for analytic functions and free of that cancellation [2]; for
    # real z the upper half circle does.
    circle = np.exp(1j * np.pi * (np.arange(32) + 0.5) / 32)
    r = z[:, None] + circle
    e = np.exp(r)
    quarter = h * ((np.exp(r / 2) - 1) / r).mean(axis=1).real
    f1 = h * ((-4 - r + e * (4 - 3 * r + r**2)) / r**3).mean(axis=1).real
    f2 = h * ((2 + r + e * (r - 2)) / r**3).mean(axis=1).real
    f3 = h * ((-4 - 3 * r - r**2 + e * (4 - r)) / r**3).mean(axis=1).real
    whole, half = np.exp(z), np.exp(z / 2)

    def step(v: np.ndarray) -> np.ndarray:
        at_v = nonlinear(v)
        base = half * v
        a = base + quarter * at_v
        at_a = nonlinear(a)
        at_b = nonlinear(base + quarter * at_a)
        at_c = nonlinear(half * a + quarter * (2.0 * at_b - at_v))
        return whole * v + f1 * at_v + 2.0 * f2 * (at_a + at_b) + f3 * at_c

    return step
