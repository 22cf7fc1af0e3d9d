"""Slow statements of what the generators of `echocast.datasets` mean."""

import numpy as np


def slope_lorenz63(x, p):
    sigma, rho, beta = p
    return np.array([sigma * (x[1] - x[0]), x[0] * (rho - x[2]) - x[1], x[0] * x[1] - beta * x[2]])


def slope_rossler(x, p):
    a, b, c = p
    return np.array([-x[1] - x[2], x[0] + a * x[1], b + x[2] * (x[0] - c)])


def slope_double_scroll(x, p):
    r1, r2, r4, ir, alpha = p
    v1, v2, i = x
    g = (v1 - v2) / r2 + ir * (np.exp(alpha * (v1 - v2)) - np.exp(-alpha * (v1 - v2)))
    return np.array([v1 / r1 - g, g - i, v2 - r4 * i])


def slope_lorenz96(x, p):
    return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + p[0]


SLOPES = {
    "lorenz63": slope_lorenz63,
    "rossler": slope_rossler,
    "double_scroll": slope_double_scroll,
    "lorenz96": slope_lorenz96,
}

PARAMS = {
    "lorenz63": (10.0, 28.0, 8.0 / 3.0),
    "rossler": (0.2, 0.2, 5.7),
    "double_scroll": (1.2, 3.44, 0.193, 2.25e-5, 11.6),
    "lorenz96": (8.0,),
}

STARTS = {
    "lorenz63": np.array([-5.0, -7.0, 20.0]),
    "rossler": np.array([4.0, -3.0, 0.1]),
    "double_scroll": np.array([0.4, 0.06, -0.08]),
    "lorenz96": np.array([3.0, -1.0, 0.5, 6.0, 2.0, -2.5]),
}


def rk4(f, x, h, n_steps):
    """Classical Runge-Kutta method from its tableau."""
    nodes = [0.0, 0.5, 0.5, 1.0]
    weights = [1 / 6, 1 / 3, 1 / 3, 1 / 6]
    for _ in range(n_steps):
        stages = []
        for node in nodes:
            stages.append(f(x + h * node * stages[-1] if stages else x))
        x = x + h * sum(w * k for w, k in zip(weights, stages))
    return x


def mackey_glass_slope(x, delayed, beta, gamma, exponent):
    return beta * delayed / (1.0 + delayed**exponent) - gamma * x


def mackey_glass_by_steps(times, tau, constant, beta, gamma, exponent):
    """Method of steps: on each interval of length tau an ordinary equation, solved by DOP853."""
    from scipy.integrate import solve_ivp

    pieces = [lambda t: np.full(np.shape(t), constant)]
    x, values = constant, np.empty(len(times))
    for k in range(int(np.ceil(times[-1] / tau))):
        past = pieces[-1]
        solution = solve_ivp(
            lambda t, y, past=past: mackey_glass_slope(y, past(t - tau), beta, gamma, exponent),
            (k * tau, (k + 1) * tau),
            [x],
            method="DOP853",
            rtol=1e-12,
            atol=1e-13,
            dense_output=True,
            max_step=0.25,
        )
        inside = (times >= k * tau) & (times <= (k + 1) * tau)
        if inside.any():
            values[inside] = solution.sol(times[inside])[0]
        pieces.append(lambda t, sol=solution.sol: sol(t)[0])
        x = solution.y[0, -1]
    return values


def mackey_glass_euler(n_steps, m, substeps, h, start, beta, gamma, exponent):
    x = [start] * (m + 1)
    for _ in range(n_steps * substeps):
        x.append(x[-1] + h * mackey_glass_slope(x[-1], x[-1 - m], beta, gamma, exponent))
    return np.array(x[m::substeps][:n_steps])


def kuramoto_sivashinsky(u0, length, time):
    """Collocation with differentiation matrices and a general-purpose solver."""
    from scipy.integrate import solve_ivp

    n = len(u0)
    wave = 2 * np.pi / length * np.fft.fftfreq(n, 1 / n)
    fourier = np.fft.fft(np.eye(n), axis=0)

    def matrix(symbol):
        return np.real(np.fft.ifft(symbol[:, None] * fourier, axis=0))

    odd = wave.copy()
    odd[n // 2] = 0.0  # n is even
    first, stiff = matrix(1j * odd), matrix(wave**2 - wave**4)
    return solve_ivp(
        lambda t, u: -0.5 * (first @ (u * u)) + stiff @ u,
        (0.0, time),
        u0,
        method="DOP853",
        rtol=1e-11,
        atol=1e-12,
    ).y[:, -1]


def narma(u, order, a, b, c, d, saturate):
    """Target of the recursion, index by index; what precedes the first row is 0."""

    def at(series, t):
        return series[t] if t >= 0 else 0.0

    y = {0: 0.0}
    for t in range(len(u)):
        memory = sum(y.get(t - i, 0.0) for i in range(order))
        value = a * y[t] + b * y[t] * memory + c * at(u, t - order + 1) * u[t] + d
        y[t + 1] = np.tanh(value) if saturate else value
    return np.array([y[t + 1] for t in range(len(u))])


def channel(d, t):
    """Noise-free output of the channel of Jaeger and Haas at step t."""
    q = (
        0.08 * d[t + 2]
        - 0.12 * d[t + 1]
        + d[t]
        + 0.18 * d[t - 1]
        - 0.1 * d[t - 2]
        + 0.091 * d[t - 3]
        - 0.05 * d[t - 4]
        + 0.04 * d[t - 5]
        + 0.03 * d[t - 6]
        + 0.01 * d[t - 7]
    )
    return q + 0.036 * q**2 - 0.011 * q**3
