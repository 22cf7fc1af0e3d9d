"""Chaotic flows: ordinary differential equations sampled at equal times."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from echocast._checks import check_number

from ._arguments import check_steps, discarded_rows, initial_state, inner_steps, require_finite
from ._integrators import flow_series

__all__ = ["double_scroll", "lorenz63", "lorenz96", "rossler"]


def _flow(
    owner: str,
    n_steps: Any,
    params: dict[str, Any],
    *,
    dt: Any,
    x0: Any,
    default: np.ndarray,
    spread: float,
    transient: Any,
    settled: float,
    substeps: Any,
    longest: float,
    random_state: Any,
) -> np.ndarray:
    """Check the arguments and integrate one of the systems of ``_kernels.slope``."""
    n_steps = check_steps(n_steps, owner)
    check_number("dt", dt, owner, low=0.0, closed="neither")
    values = tuple(float(check_number(name, v, owner)) for name, v in params.items())
    series = flow_series(
        owner,
        initial_state(x0, default, spread, random_state, owner),
        values,
        dt=float(dt),
        substeps=inner_steps(substeps, dt, longest, owner),
        discard=discarded_rows(transient, settled, x0 is not None, dt, owner),
        n_steps=n_steps,
    )
    return require_finite(series, owner)


def lorenz63(
    n_steps: int,
    *,
    dt: float = 0.02,
    sigma: float = 10.0,
    rho: float = 28.0,
    beta: float = 8.0 / 3.0,
    x0: ArrayLike | None = None,
    transient: float | None = None,
    substeps: int | None = None,
    random_state: Any = None,
) -> np.ndarray:
    r"""Lorenz's convection model of 1963.

    .. math:: \dot x = \sigma (y - x), \quad \dot y = x (\rho - z) - y, \quad
              \dot z = x y - \beta z

    Integrated with the classical Runge-Kutta method of order four. With the default `substeps`
    the error made between two rows is below 1e-10 standard deviations at ``dt=0.02``. The largest
    Lyapunov exponent of the default system is 0.906 per time unit: 1.1 time units, or 55 rows, a
    Lyapunov time.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    dt : float, default=0.02
        Time between rows, in the (dimensionless) time units of the equation.
    sigma, rho, beta : float, default=10, 28, 8/3
        Prandtl number, reduced Rayleigh number and geometric factor.
    x0 : array-like of shape (3,), default=None
        State at the start; None stands for (1, 1, 1).
    transient : float, default=None
        Time units integrated before the first row, rounded up to whole rows. None stands for 50,
        or for 0 if `x0` is given, so that the first row is then `x0` itself.
    substeps : int, default=None
        Internal steps between rows. None stands for the fewest that keep them at or below 0.0005.
    random_state : int, RandomState, Generator or None, default=None
        None starts exactly at `x0`; otherwise a standard normal vector is added to it.

    Returns
    -------
    ndarray of shape (n_steps, 3)
        x, y and z, dimensionless.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.
    ValueError
        If the trajectory does not stay finite.

    References
    ----------
    .. [1] E. N. Lorenz, "Deterministic nonperiodic flow", J. Atmos. Sci. 20 (1963), eqs. 25-27.

    Examples
    --------
    >>> from echocast.datasets import lorenz63
    >>> u = lorenz63(1000)
    >>> u.shape
    (1000, 3)
    >>> lorenz63(2, dt=0.01, x0=[1.0, 1.0, 1.0]).round(6)
    array([[1.      , 1.      , 1.      ],
           [1.012566, 1.25992 , 0.984891]])
    """
    return _flow(
        "lorenz63",
        n_steps,
        {"sigma": sigma, "rho": rho, "beta": beta},
        dt=dt,
        x0=x0,
        default=np.ones(3),
        spread=1.0,
        transient=transient,
        settled=50.0,
        substeps=substeps,
        longest=0.0005,
        random_state=random_state,
    )


def rossler(
    n_steps: int,
    *,
    dt: float = 0.1,
    a: float = 0.2,
    b: float = 0.2,
    c: float = 5.7,
    x0: ArrayLike | None = None,
    transient: float | None = None,
    substeps: int | None = None,
    random_state: Any = None,
) -> np.ndarray:
    r"""Rossler's band-shaped attractor of 1976.

    .. math:: \dot x = -y - z, \quad \dot y = x + a y, \quad \dot z = b + z (x - c)

    Integrated with the classical Runge-Kutta method of order four. With the default `substeps`
    the error made between two rows is below 1e-10 standard deviations at ``dt=0.1``. The largest
    Lyapunov exponent of the default system is about 0.071 per time unit.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    dt : float, default=0.1
        Time between rows, in time units of the equation; one turn takes about 5.9.
    a, b, c : float, default=0.2, 0.2, 5.7
        Coefficients.
    x0 : array-like of shape (3,), default=None
        State at the start; None stands for (1, 1, 0).
    transient : float, default=None
        Time units integrated before the first row, rounded up to whole rows. None stands for 200,
        or for 0 if `x0` is given.
    substeps : int, default=None
        Internal steps between rows. None stands for the fewest that keep them at or below 0.002.
    random_state : int, RandomState, Generator or None, default=None
        None starts exactly at `x0`; otherwise 0.5 times a standard normal vector is added to it.

    Returns
    -------
    ndarray of shape (n_steps, 3)
        x, y and z, dimensionless.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.
    ValueError
        If the trajectory does not stay finite.

    References
    ----------
    .. [1] O. E. Rossler, "An equation for continuous chaos", Phys. Lett. A 57 (1976) 397-398.

    Examples
    --------
    >>> from echocast.datasets import rossler
    >>> u = rossler(2000)
    >>> u.shape
    (2000, 3)
    >>> bool((u[:, 2] > 0).all())
    True
    """
    return _flow(
        "rossler",
        n_steps,
        {"a": a, "b": b, "c": c},
        dt=dt,
        x0=x0,
        default=np.array([1.0, 1.0, 0.0]),
        spread=0.5,
        transient=transient,
        settled=200.0,
        substeps=substeps,
        longest=0.002,
        random_state=random_state,
    )


def double_scroll(
    n_steps: int,
    *,
    dt: float = 0.25,
    r1: float = 1.2,
    r2: float = 3.44,
    r4: float = 0.193,
    ir: float = 2.25e-5,
    alpha: float = 11.6,
    x0: ArrayLike | None = None,
    transient: float | None = None,
    substeps: int | None = None,
    random_state: Any = None,
) -> np.ndarray:
    r"""Double-scroll electronic circuit, in the form used for next-generation reservoirs.

    .. math:: \dot V_1 = V_1 / R_1 - g, \quad \dot V_2 = g - I, \quad \dot I = V_2 - R_4 I,
              \qquad g = \Delta V / R_2 + 2 I_r \sinh(\alpha \Delta V), \quad
              \Delta V = V_1 - V_2

    Integrated with the classical Runge-Kutta method of order four. With the default `substeps`
    the error made between two rows is below 1e-10 standard deviations at ``dt=0.25``. The largest
    Lyapunov exponent is 0.09 per time unit by our own estimate, a Lyapunov time of 11 time units;
    [2]_ measures in units of 7.8.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    dt : float, default=0.25
        Time between rows, in the dimensionless time units of the equation.
    r1, r2, r4 : float, default=1.2, 3.44, 0.193
        Dimensionless resistances.
    ir : float, default=2.25e-5
        Reverse current of the diodes.
    alpha : float, default=11.6
        Slope of the diodes' exponential characteristic.
    x0 : array-like of shape (3,), default=None
        State at the start; None stands for (0.4, 0.06, -0.08).
    transient : float, default=None
        Time units integrated before the first row, rounded up to whole rows. None stands for 200,
        or for 0 if `x0` is given.
    substeps : int, default=None
        Internal steps between rows. None stands for the fewest that keep them at or below 0.002.
    random_state : int, RandomState, Generator or None, default=None
        None starts exactly at `x0`; otherwise 0.05 times a standard normal vector is added to it.

    Returns
    -------
    ndarray of shape (n_steps, 3)
        The voltages V1, V2 and the current I, dimensionless.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value; `r1` and `r2` must not be 0.
    ValueError
        If the trajectory does not stay finite.

    References
    ----------
    .. [1] A. Chang, J. C. Bienfang, G. M. Hall, J. R. Gardner, D. J. Gauthier, "Stabilizing
       unstable steady states using extended time-delay autosynchronization", Chaos 8 (1998).
    .. [2] D. J. Gauthier, E. Bollt, A. Griffith, W. A. S. Barbosa, "Next generation reservoir
       computing", Nature Communications 12 (2021) 5564, eq. 11.

    Examples
    --------
    >>> from echocast.datasets import double_scroll
    >>> u = double_scroll(2000)
    >>> u.shape
    (2000, 3)
    >>> bool(u[:, 0].min() < -1.5 and u[:, 0].max() > 1.5)  # both scrolls are visited
    True
    """
    for name, value in (("r1", r1), ("r2", r2)):
        check_number(name, value, "double_scroll", low=0.0, closed="neither")
    return _flow(
        "double_scroll",
        n_steps,
        {"r1": r1, "r2": r2, "r4": r4, "ir": ir, "alpha": alpha},
        dt=dt,
        x0=x0,
        default=np.array([0.4, 0.06, -0.08]),
        spread=0.05,
        transient=transient,
        settled=200.0,
        substeps=substeps,
        longest=0.002,
        random_state=random_state,
    )


def lorenz96(
    n_steps: int,
    *,
    n_sites: int = 40,
    forcing: float = 8.0,
    dt: float = 0.01,
    x0: ArrayLike | None = None,
    transient: float | None = None,
    substeps: int | None = None,
    random_state: Any = None,
) -> np.ndarray:
    r"""Lorenz's model of a quantity on a circle of latitude, 1996.

    .. math:: \dot x_i = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F, \qquad i \bmod n

    Integrated with the classical Runge-Kutta method of order four. With the default `substeps`
    the error made between two rows is below 1e-10 standard deviations at ``dt=0.01``. For 40
    sites and F = 8 the largest Lyapunov exponent is about 1.7 per time unit.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    n_sites : int, default=40
        Number of sites n on the circle, at least 4.
    forcing : float, default=8
        F; chaotic at 8, periodic waves below about 4.
    dt : float, default=0.01
        Time between rows; Lorenz reads a time unit as five days of weather.
    x0 : array-like of shape (n_sites,), default=None
        State at the start; None stands for F everywhere and F + 0.01 at the first site.
    transient : float, default=None
        Time units integrated before the first row, rounded up to whole rows. None stands for 50,
        or for 0 if `x0` is given.
    substeps : int, default=None
        Internal steps between rows. None stands for the fewest that keep them at or below 0.001.
    random_state : int, RandomState, Generator or None, default=None
        None starts exactly at `x0`; otherwise a standard normal vector is added to it.

    Returns
    -------
    ndarray of shape (n_steps, n_sites)
        Dimensionless values, neighbours in neighbouring columns.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.
    ValueError
        If the trajectory does not stay finite.

    References
    ----------
    .. [1] E. N. Lorenz, "Predictability: a problem partly solved", Proc. ECMWF Seminar on
       Predictability, 1996, eq. 1.

    Examples
    --------
    >>> from echocast.datasets import lorenz96
    >>> lorenz96(500).shape
    (500, 40)
    >>> import numpy as np
    >>> bool(np.allclose(lorenz96(3, forcing=5.0, x0=np.full(40, 5.0)), 5.0))  # at rest
    True
    """
    check_number("n_sites", n_sites, "lorenz96", low=4, integer=True)
    check_number("forcing", forcing, "lorenz96")
    default = np.full(int(n_sites), float(forcing))
    default[0] += 0.01
    return _flow(
        "lorenz96",
        n_steps,
        {"forcing": forcing},
        dt=dt,
        x0=x0,
        default=default,
        spread=1.0,
        transient=transient,
        settled=50.0,
        substeps=substeps,
        longest=0.001,
        random_state=random_state,
    )
