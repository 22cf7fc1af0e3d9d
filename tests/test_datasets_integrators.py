"""Orders of convergence, exact cases and block boundaries of the integrators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_datasets as oracles
from echocast.datasets import _integrators as integrators
from echocast.datasets._kernels import mackey_glass_rk4
from orders import observed_order

MACKEY_GLASS = (0.2, 0.1, 10.0)


def constant(times):
    return np.full(len(times), 1.2)


# Time over which the error is measured, and steps small enough for the leading term to rule.
FLOWS = [
    ("lorenz63", 0.5, [64, 96, 128, 192, 256]),
    ("rossler", 4.0, [64, 96, 128, 192, 256]),
    ("double_scroll", 2.0, [64, 96, 128, 192, 256]),
    ("lorenz96", 0.5, [32, 48, 64, 96, 128]),
]


@pytest.mark.parametrize(("system", "time", "counts"), FLOWS)
def test_flow_series_is_of_order_four(system, time, counts):
    def end(substeps):
        return integrators.flow_series(
            system,
            oracles.STARTS[system],
            oracles.PARAMS[system],
            dt=time,
            substeps=substeps,
            discard=1,
            n_steps=1,
        )[0]

    exact = end(8192)
    order = observed_order(lambda n: np.abs(end(n) - exact).max(), counts)
    assert order == pytest.approx(4.0, abs=0.15)


# A delay that is, and two that are not, a whole number of the asked-for internal steps.
@pytest.mark.parametrize("tau", [17.0, 17.3, np.e])
def test_delay_series_is_of_order_four(tau):
    def run(substeps):
        return integrators.delay_series(
            MACKEY_GLASS, tau, constant, dt=1.1, substeps=substeps, discard=0, n_steps=60
        )

    exact = run(300)
    order = observed_order(lambda n: np.abs(run(n) - exact).max(), [4, 6, 8, 12, 16, 24])
    assert order == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize(("substeps", "m"), [(10, 170), (20, 340), (3, 51)])
def test_delay_mesh_is_the_coarsest_that_fits(substeps, m):
    """17 / (1 / 20) rounds to more than 340, which must not cost a step."""
    series = integrators.delay_series(
        MACKEY_GLASS, 17.0, constant, dt=1.0, substeps=substeps, discard=0, n_steps=30
    )
    last, grid, mid = np.array([0.0, 1.2, 1.2, 0.0, 0.0]), np.full(m + 1, 1.2), np.full(m, 1.2)
    values, _ = mackey_glass_rk4(*MACKEY_GLASS, 17.0 / m, 1.0, 0, 30, last, grid, mid)
    assert_array_equal(series, values)


def test_euler_series_is_of_order_one():
    def run(substeps):
        past = np.full(17 * substeps, 1.2)
        return integrators.delay_series_euler(
            MACKEY_GLASS, past, 1.2, h=1.0 / substeps, substeps=substeps, discard=0, n_steps=60
        )

    exact = integrators.delay_series(
        MACKEY_GLASS, 17.0, constant, dt=1.0, substeps=100, discard=0, n_steps=60
    )
    order = observed_order(lambda n: np.abs(run(n) - exact).max(), [100, 150, 200, 300])
    assert order == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("rate", [-1.0, 0.0, 2.0])
def test_etdrk4_is_of_order_four(rate):
    """v' = rate v - v**2 has a closed form; the rate is the linear part."""
    start = 0.7
    if rate:
        growth = np.exp(rate)
        exact = rate * start * growth / (rate + start * (growth - 1.0))
    else:
        exact = start / (1.0 + start)

    def error(n):
        step = integrators.etdrk4_stepper(np.array([rate]), lambda v: -v * v, 1.0 / n)
        v = np.array([start])
        for _ in range(n):
            v = step(v)
        return abs(v[0] - exact)

    assert observed_order(error, [16, 24, 32, 48, 64]) == pytest.approx(4.0, abs=0.15)


def test_etdrk4_solves_stiff_linear_equations_exactly():
    rates = np.array([-1e6, -30.0, -1e-9, 0.0, 0.5])
    step = integrators.etdrk4_stepper(rates, np.zeros_like, 0.3)
    assert_allclose(step(np.ones(5)), np.exp(0.3 * rates), rtol=1e-14)


def test_etdrk4_keeps_a_constant_force_exact_whatever_the_stiffness():
    """v' = rate (v - 1): the rest state 1 is kept, and a start elsewhere relaxes as it should."""
    rates = np.array([-1e4, -3.0, -1e-3, -1e-8])
    step = integrators.etdrk4_stepper(rates, lambda v: -rates * np.ones(4), 0.2)
    assert_allclose(step(np.ones(4)), 1.0, rtol=1e-13)
    assert_allclose(step(np.zeros(4)), -np.expm1(0.2 * rates), rtol=1e-12)


@pytest.mark.parametrize("work", [1, 7, 64])
@pytest.mark.parametrize("discard", [0, 5, 23])
def test_blocks_do_not_show(monkeypatch, work, discard):
    def flow():
        return integrators.flow_series(
            "lorenz63",
            oracles.STARTS["lorenz63"],
            oracles.PARAMS["lorenz63"],
            dt=0.02,
            substeps=2,
            discard=discard,
            n_steps=20,
        )

    def delay():
        return integrators.delay_series(
            MACKEY_GLASS, 3.1, constant, dt=0.7, substeps=3, discard=discard, n_steps=20
        )

    def euler():
        past = np.full(6, 1.2)
        return integrators.delay_series_euler(
            MACKEY_GLASS, past, 1.2, h=0.5, substeps=2, discard=discard, n_steps=20
        )

    for series in (flow, delay, euler):
        monkeypatch.setattr(integrators, "_BLOCK_WORK", 10**6)
        whole = series()
        monkeypatch.setattr(integrators, "_BLOCK_WORK", work)
        assert_array_equal(series(), whole)


def test_discarded_rows_are_the_first_ones():
    def run(discard, n_steps):
        return integrators.delay_series(
            MACKEY_GLASS, 17.0, constant, dt=1.0, substeps=2, discard=discard, n_steps=n_steps
        )

    assert_array_equal(run(30, 10), run(0, 40)[30:])
