"""Input-target tasks that reservoirs are measured by.

All draw from `random_state`, where None means fresh numbers at each call, as in scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from echocast._checks import check_generator, check_number, refuse

from ._arguments import check_steps, numbers_of, vector_of

__all__ = ["channel_equalization", "memory_task", "multiple_superimposed_oscillators", "narma"]

# Angular frequencies of the usual family of tasks MSO1 to MSO12: task k sums the first k.
_MSO_FREQUENCIES = (0.2, 0.311, 0.42, 0.51, 0.63, 0.74, 0.85, 0.97, 1.08, 1.19, 1.27, 1.32)
_NARMA_DRAWS = 100


def multiple_superimposed_oscillators(
    n_steps: int,
    *,
    n_oscillators: int = 8,
    frequencies: ArrayLike | None = None,
    random_state: Any = None,
) -> np.ndarray:
    r"""Sum of sines with incommensurable frequencies.

    .. math:: s_t = \sum_k \sin(\omega_k t + \varphi_k), \qquad t = 0, 1, \dots

    Parameters
    ----------
    n_steps : int
        Length of the result.
    n_oscillators : int, default=8
        Number of sines, 1 to 12, with the frequencies of the literature: 0.2, 0.311, 0.42, 0.51,
        0.63, 0.74, 0.85, 0.97, 1.08, 1.19, 1.27, 1.32. Ignored if `frequencies` is given.
    frequencies : array-like of shape (k,), default=None
        Other angular frequencies, in radians a step.
    random_state : int, RandomState, Generator or None, default=None
        None sets all phases to 0; otherwise they are drawn uniformly from a full turn.

    Returns
    -------
    ndarray of shape (n_steps,)
        Dimensionless, between -k and k.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] H. Jaeger, H. Haas, "Harnessing nonlinearity", Science 304 (2004) 78-80 (two sines).
    .. [2] D. Koryakin, J. Lohmann, M. V. Butz, "Balanced echo state networks", Neural Networks 36
       (2012) 35-45 (up to eight).

    Examples
    --------
    >>> from echocast.datasets import multiple_superimposed_oscillators
    >>> multiple_superimposed_oscillators(3, n_oscillators=2).round(4)
    array([0.    , 0.5047, 0.9721])
    """
    owner = "multiple_superimposed_oscillators"
    n_steps = check_steps(n_steps, owner)
    if frequencies is None:
        most = len(_MSO_FREQUENCIES)
        check_number("n_oscillators", n_oscillators, owner, low=1, high=most, integer=True)
        omega = np.array(_MSO_FREQUENCIES[:n_oscillators])
    else:
        rule = "an array-like of at least 1 finite number"
        omega = numbers_of("frequencies", frequencies, lambda shape: len(shape) == 1, rule, owner)
    phase = np.zeros(len(omega))
    if random_state is not None:
        phase = check_generator(random_state).uniform(0.0, 2.0 * np.pi, size=len(omega))
    return np.sin(np.arange(n_steps)[:, None] * omega + phase).sum(axis=1)


def narma(
    n_steps: int,
    *,
    order: int = 10,
    coefficients: ArrayLike = (0.3, 0.05, 1.5, 0.1),
    saturate: bool = False,
    inputs: ArrayLike | None = None,
    random_state: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Nonlinear autoregressive moving average (NARMA): identify a system from its input.

    .. math:: y_{t+1} = a y_t + b y_t \sum_{i=0}^{n-1} y_{t-i} + c u_{t-n+1} u_t + d

    Row t of the target is :math:`y_{t+1}`, the value that the input :math:`u_t` brings about.
    Values of u and y before the first row are 0.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    order : int, default=10
        n, the length of the memory.
    coefficients : array-like of shape (4,), default=(0.3, 0.05, 1.5, 0.1)
        a, b, c and d. Customary for order 20 (with `saturate`): 0.3, 0.05, 1.5, 0.01; for order
        30: 0.2, 0.04, 1.5, 0.001.
    saturate : bool, default=False
        Pass the right-hand side through tanh, which bounds y.
    inputs : array-like of shape (n_steps,), default=None
        The input; None draws it independently and uniformly from [0, 0.5].
    random_state : int, RandomState, Generator or None, default=None
        Source of the input; None draws fresh numbers at each call.

    Returns
    -------
    X : ndarray of shape (n_steps, 1)
        Input u, dimensionless.
    y : ndarray of shape (n_steps,)
        Target, dimensionless.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.
    ValueError
        If y diverges for the `inputs` given, or for a hundred drawn ones.

    Notes
    -----
    The recursion is not stable for all inputs: of order 10, one drawn input in twenty of 10,000
    steps makes it diverge. Such a draw is dropped and the next one of the generator is taken.

    References
    ----------
    .. [1] A. F. Atiya, A. G. Parlos, "New results on recurrent network training", IEEE Trans.
       Neural Networks 11 (2000), eq. 86.

    Examples
    --------
    >>> from echocast.datasets import narma
    >>> X, y = narma(1000, random_state=0)
    >>> X.shape, y.shape
    ((1000, 1), (1000,))
    >>> narma(3, inputs=[0.0, 0.0, 0.0])[1].round(4)
    array([0.1   , 0.1305, 0.1407])
    """
    n_steps = check_steps(n_steps, "narma")
    order = int(check_number("order", order, "narma", low=1, integer=True))
    a, b, c, d = vector_of("coefficients", coefficients, 4, "narma").tolist()
    if not isinstance(saturate, (bool, np.bool_)):
        refuse("saturate", "narma", "a bool", saturate)
    law = (order, a, b, c, d, bool(saturate))
    if inputs is not None:
        u = vector_of("inputs", inputs, n_steps, "narma")
        y = _narma_target(u, *law)
        if len(y) < n_steps:
            raise ValueError(
                f"The target of narma diverges at row {len(y)}; "
                "use smaller `inputs`, other `coefficients` or saturate=True."
            )
        return u[:, None], y
    rng = check_generator(random_state)
    for _ in range(_NARMA_DRAWS):
        u = rng.uniform(0.0, 0.5, size=n_steps)
        y = _narma_target(u, *law)
        if len(y) == n_steps:
            return u[:, None], y
    raise ValueError(
        f"The target of narma diverged for each of {_NARMA_DRAWS} inputs of {n_steps} steps; "
        "use fewer steps, other `coefficients` or saturate=True."
    )


def _narma_target(
    u: np.ndarray, order: int, a: float, b: float, c: float, d: float, saturate: bool
) -> np.ndarray:
    """Run the recursion over the input; the result is short if it diverges on the way."""
    product = np.zeros(len(u))
    product[order - 1 :] = u[order - 1 :] * u[: max(0, len(u) - order + 1)]
    # y_{t-n+1}, ..., y_t stand at the end of the list, which starts with n zeros.
    y = [0.0] * order
    for pushed in (c * product + d).tolist():
        value = a * y[-1] + b * y[-1] * sum(y[-order:]) + pushed
        if saturate:
            value = math.tanh(value)
        if not abs(value) < 1e6:  # it squares itself at every step from here
            break
        y.append(value)
    return np.array(y[order:])


def memory_task(
    n_steps: int,
    *,
    delays: int | Sequence[int] = 50,
    low: float = -0.5,
    high: float = 0.5,
    random_state: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Short-term memory capacity: recall independent inputs after given delays.

    The capacity of a network is the sum over the delays k >= 1 of the squared correlation between
    :math:`u_{t-k}` and its best linear readout; it cannot exceed the number of units [1]_.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    delays : int or sequence of int, default=50
        Delays of the target columns: an int k stands for 1, 2, ..., k; a sequence is taken as it
        is, with non-negative members.
    low, high : float, default=-0.5, 0.5
        The input is independent and uniform on [low, high).
    random_state : int, RandomState, Generator or None, default=None
        Source of the input; None draws fresh numbers at each call.

    Returns
    -------
    X : ndarray of shape (n_steps, 1)
        Input u, dimensionless.
    Y : ndarray of shape (n_steps, n_delays)
        ``Y[t, j]`` is the input `delays[j]` steps before row t. The first rows look back at inputs
        that were drawn before the first row of `X`.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] H. Jaeger, "Short term memory in echo state networks", GMD Report 152 (2001),
       section 3.

    Examples
    --------
    >>> from echocast.datasets import memory_task
    >>> X, Y = memory_task(100, delays=[1, 5], random_state=0)
    >>> Y.shape
    (100, 2)
    >>> bool((Y[5:, 1] == X[:-5, 0]).all())
    True
    """
    owner = "memory_task"
    n_steps = check_steps(n_steps, owner)
    low = float(check_number("low", low, owner))
    high = float(check_number("high", high, owner, low=low, closed="neither"))
    if np.ndim(delays) == 0:
        lags = np.arange(1, 1 + check_number("delays", delays, owner, low=1, integer=True))
    else:
        lags = np.asarray(delays)
        fits = lags.ndim == 1 and len(lags) and np.issubdtype(lags.dtype, np.integer)
        if not fits or lags.min() < 0:
            refuse("delays", owner, "an int >= 1 or a sequence of ints >= 0", delays)
    before = int(lags.max())
    u = check_generator(random_state).uniform(low, high, size=before + n_steps)
    rows = before + np.arange(n_steps)
    return u[before:, None].copy(), u[rows[:, None] - lags]


def channel_equalization(
    n_steps: int,
    *,
    snr_db: float | None = 32.0,
    delay: int = 2,
    random_state: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Equalise a nonlinear radio channel: recover symbols from the distorted signal.

    Symbols :math:`d_t` are drawn independently from {-3, -1, 1, 3} and sent through a channel with
    intersymbol interference, a memoryless nonlinearity and Gaussian noise :math:`\nu`:

    .. math::
        q_t &= 0.08 d_{t+2} - 0.12 d_{t+1} + d_t + 0.18 d_{t-1} - 0.1 d_{t-2} + 0.091 d_{t-3} \\
            &\quad - 0.05 d_{t-4} + 0.04 d_{t-5} + 0.03 d_{t-6} + 0.01 d_{t-7} \\
        u_t &= q_t + 0.036 q_t^2 - 0.011 q_t^3 + \nu_t

    The score is the symbol error rate: the share of rows where the member of {-3, -1, 1, 3} that
    is nearest to the prediction is not the target.

    Parameters
    ----------
    n_steps : int
        Rows of the result.
    snr_db : float or None, default=32
        Ratio of the mean square of the noise-free signal (as drawn) to the variance of the noise,
        in decibels; 12 to 32 in [1]_. None adds no noise.
    delay : int, default=2
        The target of row t is the symbol of step ``t - delay``; at least 0.
    random_state : int, RandomState, Generator or None, default=None
        Source of the symbols, then of the noise; None draws fresh numbers at each call.

    Returns
    -------
    X : ndarray of shape (n_steps, 1)
        Received signal u, in units of half the distance between symbols. (The authors add 30
        before feeding it to their network.)
    y : ndarray of shape (n_steps,)
        Symbols as floats.

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden type or value.

    References
    ----------
    .. [1] H. Jaeger, H. Haas, "Harnessing nonlinearity: predicting chaotic systems and saving
       energy in wireless communication", Science 304 (2004) 78-80, supporting text.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.datasets import channel_equalization
    >>> X, y = channel_equalization(1000, random_state=0)
    >>> X.shape, np.unique(y)
    ((1000, 1), array([-3., -1.,  1.,  3.]))
    """
    owner = "channel_equalization"
    n_steps = check_steps(n_steps, owner)
    if snr_db is not None:
        check_number("snr_db", snr_db, owner)
    delay = int(check_number("delay", delay, owner, low=0, integer=True))
    rng = check_generator(random_state)
    # Taps of d_{t+2}, d_{t+1}, ..., d_{t-7}.
    taps = np.array([0.08, -0.12, 1.0, 0.18, -0.1, 0.091, -0.05, 0.04, 0.03, 0.01])
    before = max(7, delay)
    d = 2.0 * rng.randint(0, 4, size=before + n_steps + 2) - 3.0
    q = np.convolve(d, taps, mode="valid")[before - 7 :]
    u = q + 0.036 * q**2 - 0.011 * q**3
    if snr_db is not None:
        u = u + np.sqrt(np.mean(u**2) / 10.0 ** (snr_db / 10.0)) * rng.standard_normal(n_steps)
    first = before - delay
    return u[:, None], d[first : first + n_steps].copy()
