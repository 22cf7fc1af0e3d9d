"""Compiled time loops of the generators; import this module inside functions only."""

from __future__ import annotations

import math

import numpy as np

from echocast._jit import kernel

__all__ = ["SYSTEMS", "mackey_glass_euler", "mackey_glass_rk4", "rk4_rows", "slope"]

# Strict IEEE arithmetic: a fused multiply-add would give other trajectories on other machines.
exact = kernel(fastmath=frozenset())

LORENZ63 = 0
ROSSLER = 1
DOUBLE_SCROLL = 2
LORENZ96 = 3
SYSTEMS = {
    "lorenz63": LORENZ63,
    "rossler": ROSSLER,
    "double_scroll": DOUBLE_SCROLL,
    "lorenz96": LORENZ96,
}


@exact
def slope(system, x, p, dx):
    """Write the time derivative of `system` at `x` into `dx`.

    One function with a branch, not a function passed in: numba cannot cache a kernel whose
    argument is another compiled function.
    """
    if system == LORENZ63:
        dx[0] = p[0] * (x[1] - x[0])
        dx[1] = x[0] * (p[1] - x[2]) - x[1]
        dx[2] = x[0] * x[1] - p[2] * x[2]
    elif system == ROSSLER:
        dx[0] = -x[1] - x[2]
        dx[1] = x[0] + p[0] * x[1]
        dx[2] = p[1] + x[2] * (x[0] - p[2])
    elif system == DOUBLE_SCROLL:
        gap = x[0] - x[1]
        current = gap / p[1] + 2.0 * p[3] * math.sinh(p[4] * gap)
        dx[0] = x[0] / p[0] - current
        dx[1] = current - x[2]
        dx[2] = x[1] - p[2] * x[2]
    else:
        n = x.shape[0]
        for i in range(n):  # negative indices wrap, the upper end does not
            after = x[i + 1] if i + 1 < n else x[0]
            dx[i] = (after - x[i - 2]) * x[i - 1] - x[i] + p[0]


@exact
def rk4_rows(system, x0, p, h, substeps, n_rows):
    """Return `n_rows` states, `substeps` Runge-Kutta steps of `h` apart, and the next state."""
    n = x0.shape[0]
    x = x0.copy()
    y = np.empty(n)
    k1 = np.empty(n)
    k2 = np.empty(n)
    k3 = np.empty(n)
    k4 = np.empty(n)
    rows = np.empty((n_rows, n))
    for row in range(n_rows):
        for i in range(n):
            rows[row, i] = x[i]
        for _ in range(substeps):
            slope(system, x, p, k1)
            for i in range(n):
                y[i] = x[i] + 0.5 * h * k1[i]
            slope(system, y, p, k2)
            for i in range(n):
                y[i] = x[i] + 0.5 * h * k2[i]
            slope(system, y, p, k3)
            for i in range(n):
                y[i] = x[i] + h * k3[i]
            slope(system, y, p, k4)
            for i in range(n):
                x[i] += h / 6.0 * (k1[i] + 2.0 * (k2[i] + k3[i]) + k4[i])
    return rows, x


@exact
def production(x, beta, exponent):
    """Return the delayed term of the Mackey-Glass equation."""
    return beta * x / (1.0 + x**exponent)


@exact
def mackey_glass_rk4(beta, gamma, exponent, h, dt, first, n_rows, last, grid, mid):
    """Return the values at times ``first * dt, (first + 1) * dt, ...`` and the new `last`.

    The mesh is ``t_n = n h`` and the delay is m steps, so that a step needs the past at
    ``t_{n-m}``, at ``t_{n-m+1}`` and halfway; the halfway values come from the cubic Hermite
    polynomial of their step, whose error h**4 is multiplied by h and keeps order four.

    last (5,) holds n, x_{n-1}, x_n and their slopes; grid (m + 1,) and mid (m,) are rings of
    past mesh and halfway values (x_j in slot ``j % (m + 1)``, x_{j+1/2} in ``j % m``),
    updated in place.
    """
    m = mid.shape[0]
    n = int(last[0])
    x_before, x = last[1], last[2]
    f_before, f = last[3], last[4]
    delayed = production(grid[(n + 1) % (m + 1)], beta, exponent)
    values = np.empty(n_rows)
    for row in range(n_rows):
        position = (first + row) * dt / h
        interval = int(position)
        while n <= interval:
            halfway = production(mid[n % m], beta, exponent)
            ahead = production(grid[(n + 2) % (m + 1)], beta, exponent)
            k1 = delayed - gamma * x
            k2 = halfway - gamma * (x + 0.5 * h * k1)
            k3 = halfway - gamma * (x + 0.5 * h * k2)
            k4 = ahead - gamma * (x + h * k3)
            x_before, f_before = x, k1
            x = x + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
            f = ahead - gamma * x
            mid[n % m] = 0.5 * (x_before + x) + 0.125 * h * (f_before - f)
            n += 1
            grid[n % (m + 1)] = x
            delayed = ahead
        s = position - interval
        values[row] = (
            x_before * (1.0 + 2.0 * s) * (1.0 - s) ** 2
            + x * s * s * (3.0 - 2.0 * s)
            + h * s * (1.0 - s) * (f_before * (1.0 - s) - f * s)
        )
    return values, np.array([float(n), x_before, x, f_before, f])


@exact
def mackey_glass_euler(beta, gamma, exponent, h, substeps, n_rows, n, x, past):
    """Return every `substeps`-th value of Euler's rule, the step count and the next value.

    past (m,) is a ring of the last m values (x_j in slot ``j % m``), updated in place.
    """
    m = past.shape[0]
    values = np.empty(n_rows)
    for row in range(n_rows):
        values[row] = x
        for _ in range(substeps):
            delayed = past[n % m]
            past[n % m] = x
            x += h * (production(delayed, beta, exponent) - gamma * x)
            n += 1
    return values, n, x
