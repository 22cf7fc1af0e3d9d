"""Compiled time loops of the generators against their oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_datasets as oracles
from echocast.datasets import _kernels as kernels

SYSTEMS = sorted(kernels.SYSTEMS)
MACKEY_GLASS = (0.2, 0.1, 10.0)


def near_start(system, seed):
    rng = np.random.RandomState(seed)
    return oracles.STARTS[system] + 0.1 * rng.standard_normal(len(oracles.STARTS[system]))


@pytest.mark.parametrize("system", SYSTEMS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_slope_equals_the_formula(system, seed):
    x, p = near_start(system, seed), np.array(oracles.PARAMS[system])
    dx = np.empty_like(x)
    kernels.slope(kernels.SYSTEMS[system], x, p, dx)
    assert_allclose(dx, oracles.SLOPES[system](x, p), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("system", SYSTEMS)
@given(seed=st.integers(0, 2**32 - 1), substeps=st.integers(1, 4), n_rows=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_rk4_rows_equal_the_oracle(system, seed, substeps, n_rows):
    x0, p = near_start(system, seed), np.array(oracles.PARAMS[system])
    x0.flags.writeable = p.flags.writeable = False
    rows, after = kernels.rk4_rows(kernels.SYSTEMS[system], x0, p, 0.005, substeps, n_rows)

    def f(x):
        return oracles.SLOPES[system](x, p)

    expected = [x0]
    for _ in range(n_rows):
        expected.append(oracles.rk4(f, expected[-1], 0.005, substeps))
    assert_allclose(rows, expected[:-1], rtol=1e-12, atol=1e-12)
    assert_allclose(after, expected[-1], rtol=1e-12, atol=1e-12)


def test_rk4_rows_in_two_calls_equal_one():
    args = (kernels.SYSTEMS["lorenz63"], oracles.STARTS["lorenz63"], np.array([10.0, 28.0, 2.0]))
    whole, last = kernels.rk4_rows(*args, 0.01, 2, 30)
    first, x = kernels.rk4_rows(*args, 0.01, 2, 11)
    second, end = kernels.rk4_rows(args[0], x, args[2], 0.01, 2, 19)
    assert_array_equal(np.concatenate([first, second]), whole)
    assert_array_equal(end, last)


# The errors of a correct fourth-order step; the Taylor remainder (gamma h)**5 / 120 explains them.
@pytest.mark.parametrize(("h", "error"), [(1.0, 1.2e-8), (0.5, 4e-10), (0.1, 2e-13)])
def test_one_delay_step_with_frozen_delay_has_a_closed_form(h, error):
    start, delayed = 1.2, 0.9
    m = 5
    grid, mid = np.full(m + 1, delayed), np.full(m, delayed)
    grid[0] = start
    last = np.array([0.0, start, start, 0.0, 0.0])
    values, last = kernels.mackey_glass_rk4(*MACKEY_GLASS, h, h, 0, 2, last, grid, mid)
    beta, gamma, exponent = MACKEY_GLASS
    rest = beta * delayed / (1.0 + delayed**exponent) / gamma
    exact = rest + (start - rest) * np.exp(-gamma * h)
    assert values[0] == start
    assert abs(values[1] - exact) < error
    assert last[0] == 2


def test_delay_loop_in_two_calls_equals_one():
    def start():
        m = 7
        return np.array([0.0, 0.8, 0.8, 0.0, 0.0]), np.full(m + 1, 0.8), np.full(m, 0.8)

    last, grid, mid = start()
    whole, whole_last = kernels.mackey_glass_rk4(*MACKEY_GLASS, 0.3, 0.7, 0, 40, last, grid, mid)
    last, grid, mid = start()
    first, last = kernels.mackey_glass_rk4(*MACKEY_GLASS, 0.3, 0.7, 0, 13, last, grid, mid)
    second, last = kernels.mackey_glass_rk4(*MACKEY_GLASS, 0.3, 0.7, 13, 27, last, grid, mid)
    assert_array_equal(np.concatenate([first, second]), whole)
    assert_array_equal(last, whole_last)


@given(m=st.integers(1, 12), substeps=st.integers(1, 5), n_steps=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_euler_loop_equals_the_oracle(m, substeps, n_steps):
    h = 0.3
    values, n, _ = kernels.mackey_glass_euler(
        *MACKEY_GLASS, h, substeps, n_steps, 0, 0.7, np.full(m, 0.7)
    )
    expected = oracles.mackey_glass_euler(n_steps, m, substeps, h, 0.7, *MACKEY_GLASS)
    assert_allclose(values, expected, rtol=1e-12, atol=1e-12)
    assert n == n_steps * substeps
