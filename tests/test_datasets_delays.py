"""Mackey-Glass: closed forms, the method of steps, both discretisations."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_datasets as oracles
from echocast.datasets import mackey_glass
from echocast.exceptions import InvalidParameterError

RATES = (0.2, 0.1, 10.0)


def test_first_delay_has_a_closed_form():
    """Until t = tau the delayed value is the constant history: relaxation to a rest value."""
    x = mackey_glass(18, history=0.5)
    rest = 0.2 * 0.5 / (1.0 + 0.5**10) / 0.1
    assert_allclose(x, rest + (0.5 - rest) * np.exp(-0.1 * np.arange(18)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("tau", "dt"), [(17.0, 1.0), (6.3, 0.45), (0.4, 1.0)])
def test_agrees_with_the_method_of_steps(tau, dt):
    times = dt * np.arange(100)
    exact = oracles.mackey_glass_by_steps(times[times <= 12 * tau], tau, 0.9, *RATES)
    x = mackey_glass(len(exact), tau=tau, dt=dt, history=0.9)
    assert_allclose(x, exact, rtol=0, atol=1e-9)


def test_default_is_accurate_to_1e_10_after_300_time_units():
    default = mackey_glass(301, history=1.2)
    fine = mackey_glass(301, history=1.2, substeps=200)
    assert np.abs(default - fine).max() < 3e-10


@pytest.mark.parametrize("method", ["rk4", "euler"])
def test_rest_value_is_kept(method):
    """beta / (1 + x**p) = gamma at x = 1."""
    assert_allclose(mackey_glass(50, history=1.0, method=method), 1.0, rtol=1e-13)


def test_short_delay_settles_and_long_delay_does_not():
    assert np.ptp(mackey_glass(200, tau=3.0, transient=3000.0)) < 1e-8
    assert np.ptp(mackey_glass(200, tau=17.0, transient=3000.0)) > 0.5


def test_euler_is_the_customary_recursion():
    x = mackey_glass(200, method="euler", history=1.2)
    expected = oracles.mackey_glass_euler(200, 170, 10, 0.1, 1.2, *RATES)
    assert_allclose(x, expected, rtol=1e-11)


def test_euler_is_another_system():
    """The error of Euler's rule with step 0.1 is far from negligible."""
    gap = np.abs(mackey_glass(100, history=1.2, method="euler") - mackey_glass(100, history=1.2))
    assert 1e-3 < gap.max() < 0.1


@pytest.mark.parametrize("method", ["rk4", "euler"])
def test_series_continues_from_its_own_past(method):
    whole = mackey_glass(600, dt=0.1, history=1.2, method=method, substeps=1)
    later = mackey_glass(200, dt=0.1, history=whole[230:401], method=method, substeps=1)
    # The spline through the past has an error of order four too; Euler uses its nodes alone.
    assert_allclose(later, whole[400:], rtol=0, atol=1e-7 if method == "rk4" else 1e-13)


def test_history_of_equal_values_is_the_constant():
    constant = mackey_glass(50, history=0.7)
    assert_allclose(mackey_glass(50, history=[0.7, 0.7]), constant, rtol=1e-12)
    assert_allclose(mackey_glass(50, history=np.full(9, 0.7)), constant, rtol=1e-12)


def test_values_between_mesh_points_are_on_the_curve():
    fine = mackey_glass(601, dt=0.1, history=1.2, substeps=8)
    coarse = mackey_glass(86, dt=0.7, history=1.2, substeps=56)
    assert_allclose(coarse, fine[::7][:86], rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", ["rk4", "euler"])
def test_transient_only_drops_values(method):
    whole = mackey_glass(90, history=1.2, method=method)
    assert_array_equal(mackey_glass(60, history=1.2, transient=29.5, method=method), whole[30:])
    assert_array_equal(
        mackey_glass(10, method=method),
        mackey_glass(10, history=1.2, transient=1000, method=method),
    )


def test_seeds():
    assert_array_equal(mackey_glass(50, random_state=1), mackey_glass(50, random_state=1))
    different = [
        mackey_glass(500),
        mackey_glass(500, random_state=1),
        mackey_glass(500, random_state=2),
    ]
    for i in range(3):
        assert np.abs(different[i] - different[i - 1]).max() > 0.1
    for history in (0.5, np.full(5, 0.5)):
        moved = mackey_glass(1, history=history, random_state=0)[0]
        assert 0.4 <= moved <= 0.6
        assert moved != 0.5


def test_shape_and_range():
    x = mackey_glass(3000)
    assert x.shape == (3000,)
    assert x.dtype == np.float64
    assert x.min() > 0.2
    assert x.max() < 1.4


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("n_steps", 0, "an int in the range"),
        ("tau", 0.0, r"a float in the range \(0.0, inf\)"),
        ("dt", -1.0, r"a float in the range \(0.0, inf\)"),
        ("beta", "0.2", "a float"),
        ("exponent", np.inf, "a float"),
        ("method", "rk45", "a str among {'euler', 'rk4'}"),
        ("substeps", 0, "an int in the range"),
        ("transient", -3.0, "a float in the range"),
        ("history", [1.2], "a finite number or an array-like of at least 2"),
        ("history", [[1.0, 1.2]], "a finite number or an array-like"),
        ("history", np.nan, "a finite number or an array-like"),
        ("history", [1.0, np.inf], "a finite number .* Got nan or infinity among them"),
        ("history", [[1.0], [1.0, 2.0]], "a finite number or an array-like"),
        ("history", "constant", "a finite number or an array-like"),
    ],
)
def test_bad_parameters_are_refused(name, value, rule):
    sentence = f"The '{name}' parameter of mackey_glass must be {rule}.* instead"
    with pytest.raises(InvalidParameterError, match=sentence):
        mackey_glass(**{"n_steps": 5, name: value})


def test_euler_needs_a_delay_of_whole_steps():
    with pytest.raises(
        InvalidParameterError, match=r"'tau' .* a whole number of Euler steps of 0\.1"
    ):
        mackey_glass(5, tau=17.05, method="euler")
    with pytest.raises(InvalidParameterError, match="a whole number of Euler steps"):
        mackey_glass(5, tau=0.01, method="euler")


def test_escape_is_an_error():
    with pytest.raises(ValueError, match="trajectory of mackey_glass is not finite"):
        mackey_glass(2000, gamma=-1.0)
