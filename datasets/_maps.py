"""Chaotic maps: recursions in discrete time.

They are plain Python loops: at a fraction of a microsecond an iteration, compiling would cost
more than it saves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from echocast._checks import check_generator, check_number

from ._arguments import check_steps, require_finite, vector_of

__all__ = ["henon", "ikeda", "logistic_map"]


def _iterations_before(transient: Any, x0: Any, owner: str) -> int:
    """Return the number of iterations before the first row; None is 100, or 0 if `x0` is given."""
    if transient is None:
        return 100 if x0 is None else 0
    return int(check_number("transient", transient, owner, low=0, integer=True))


def _planar_start(x0: Any, random_state: Any, owner: str) -> tuple[float, float]:
    """Return `x0` or the origin, moved by up to 0.1 in each coordinate if a seed is given."""
    x = np.zeros(2) if x0 is None else vector_of("x0", x0, 2, owner)
    if random_state is not None:
        x += check_generator(random_state).uniform(-0.1, 0.1, size=2)
    return float(x[0]), float(x[1])


def henon(
    n_steps: int,
    *,
    a: float = 1.4,
    b: float = 0.3,
    x0: ArrayLike | None = None,
    transient: int | None = None,
    random_state: Any = None,
) -> np.ndarray:
    r"""Henon's map of the plane.

    .. math:: x_{t+1} = 1 - a x_t^2 + y_t, \qquad y_{t+1} = b x_t

    Exact but for rounding. The largest Lyapunov exponent of the default map is about 0.42 an
    iteration.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    a, b : float, default=1.4, 0.3
        Coefficients.
    x0 : array-like of shape (2,), default=None
        First point; None stands for the origin.
    transient : int, default=None
        Iterations before the first row. None stands for 100, or for 0 if `x0` is given.
    random_state : int, RandomState, Generator or None, default=None
        None starts exactly at `x0`; otherwise a uniform draw from [-0.1, 0.1] is added to each
        coordinate.

    Returns
    -------
    ndarray of shape (n_steps, 2)
        x and y, dimensionless; one row an iteration.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.
    ValueError
        If the orbit escapes to infinity, as it does from starts outside the basin.

    References
    ----------
    .. [1] M. Henon, "A two-dimensional mapping with a strange attractor", Commun. Math. Phys. 50
       (1976), eq. 4.

    Examples
    --------
    >>> from echocast.datasets import henon
    >>> henon(3, x0=[0.0, 0.0])
    array([[ 0. ,  0. ],
           [ 1. ,  0. ],
           [-0.4,  0.3]])
    """
    n_steps = check_steps(n_steps, "henon")
    a = float(check_number("a", a, "henon"))
    b = float(check_number("b", b, "henon"))
    skip = _iterations_before(transient, x0, "henon")
    x, y = _planar_start(x0, random_state, "henon")
    rows = []
    for _ in range(skip + n_steps):
        rows.append((x, y))
        x, y = 1.0 - a * x * x + y, b * x
    return require_finite(np.array(rows[skip:]), "henon")


def logistic_map(
    n_steps: int,
    *,
    r: float = 3.9,
    x0: float | None = None,
    transient: int | None = None,
    random_state: Any = None,
) -> np.ndarray:
    r"""Logistic map of the unit interval.

    .. math:: x_{t+1} = r x_t (1 - x_t)

    Exact but for rounding. At ``r=4`` the Lyapunov exponent is ln 2 and
    :math:`x_t = \sin^2(2^t \arcsin \sqrt{x_0})`.

    Parameters
    ----------
    n_steps : int
        Length of the result.
    r : float in [0, 4], default=3.9
        Growth rate; chaotic for most values above 3.57.
    x0 : float in [0, 1], default=None
        First value; None stands for 0.4.
    transient : int, default=None
        Iterations before the first value. None stands for 100, or for 0 if `x0` is given.
    random_state : int, RandomState, Generator or None, default=None
        None starts exactly at `x0`; otherwise a uniform draw from [-0.1, 0.1] is added to it and
        the sum reflected into [0, 1].

    Returns
    -------
    ndarray of shape (n_steps,)
        Dimensionless values in [0, 1].

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] R. M. May, "Simple mathematical models with very complicated dynamics", Nature 261
       (1976) 459-467.

    Examples
    --------
    >>> from echocast.datasets import logistic_map
    >>> logistic_map(4, r=4.0, x0=0.25)
    array([0.25, 0.75, 0.75, 0.75])
    """
    n_steps = check_steps(n_steps, "logistic_map")
    r = float(check_number("r", r, "logistic_map", low=0.0, high=4.0))
    skip = _iterations_before(transient, x0, "logistic_map")
    x = 0.4 if x0 is None else float(check_number("x0", x0, "logistic_map", low=0.0, high=1.0))
    if random_state is not None:
        moved = x + check_generator(random_state).uniform(-0.1, 0.1)
        x = 1.0 - abs(1.0 - abs(moved))
    values = []
    for _ in range(skip + n_steps):
        values.append(x)
        x = r * x * (1.0 - x)
    return np.array(values[skip:])


def ikeda(
    n_steps: int,
    *,
    u: float = 0.9,
    x0: ArrayLike | None = None,
    transient: int | None = None,
    random_state: Any = None,
) -> np.ndarray:
    r"""Ikeda's map of the light in an optical ring cavity.

    .. math:: z_{t+1} = 1 + u z_t \exp\left(i\left(0.4 - \frac{6}{1 + |z_t|^2}\right)\right),
              \qquad z = x + i y

    Exact but for rounding. This is the planar map, not the delay differential equation of the
    same name.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    u : float in [0, 1), default=0.9
        Share of the light that stays in the cavity; chaotic from about 0.6 on.
    x0 : array-like of shape (2,), default=None
        First point; None stands for the origin.
    transient : int, default=None
        Iterations before the first row. None stands for 100, or for 0 if `x0` is given.
    random_state : int, RandomState, Generator or None, default=None
        None starts exactly at `x0`; otherwise a uniform draw from [-0.1, 0.1] is added to each
        coordinate.

    Returns
    -------
    ndarray of shape (n_steps, 2)
        Real and imaginary part, dimensionless; one row an iteration.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] S. M. Hammel, C. K. R. T. Jones, J. V. Moloney, "Global dynamical behavior of the
       optical field in a ring cavity", J. Opt. Soc. Am. B 2 (1985), eq. 2.

    Examples
    --------
    >>> from echocast.datasets import ikeda
    >>> ikeda(2, x0=[0.0, 0.0])
    array([[0., 0.],
           [1., 0.]])
    """
    n_steps = check_steps(n_steps, "ikeda")
    u = float(check_number("u", u, "ikeda", low=0.0, high=1.0, closed="left"))
    skip = _iterations_before(transient, x0, "ikeda")
    x, y = _planar_start(x0, random_state, "ikeda")
    rows = []
    for _ in range(skip + n_steps):
        rows.append((x, y))
        angle = 0.4 - 6.0 / (1.0 + x * x + y * y)
        c, s = u * math.cos(angle), u * math.sin(angle)
        x, y = 1.0 + c * x - s * y, s * x + c * y
    return np.array(rows[skip:])
