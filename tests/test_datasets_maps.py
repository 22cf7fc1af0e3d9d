"""Chaotic maps: their recursions, closed forms and attractors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.datasets import henon, ikeda, logistic_map
from echocast.exceptions import InvalidParameterError

MAPS = [henon, logistic_map, ikeda]


def test_henon_recursion_and_attractor():
    u = henon(5000)
    x, y = u.T
    assert_allclose(x[1:], 1.0 - 1.4 * x[:-1] ** 2 + y[:-1], rtol=1e-13, atol=1e-13)
    assert_allclose(y[1:], 0.3 * x[:-1], rtol=1e-13)
    # The attractor fills this box and does not leave it.
    assert -1.29 < x.min() < -1.28
    assert 1.27 < x.max() < 1.28


def test_henon_largest_lyapunov_exponent():
    v, growth = np.array([1.0, 0.0]), 0.0
    u = henon(20000)
    for x, _ in u:
        v = np.array([-2.8 * x * v[0] + v[1], 0.3 * v[0]])
        norm = np.hypot(*v)
        growth += np.log(norm)
        v /= norm
    assert growth / len(u) == pytest.approx(0.419, abs=0.01)


def test_henon_rest_point():
    x = (-0.7 + np.sqrt(0.49 + 5.6)) / 2.8
    assert_allclose(henon(5, x0=[x, 0.3 * x]), np.tile([x, 0.3 * x], (5, 1)), rtol=1e-13)


def test_henon_escape_is_an_error():
    with pytest.raises(ValueError, match="trajectory of henon is not finite"):
        henon(50, x0=[5.0, 0.0])


@pytest.mark.parametrize("x0", [0.1, 0.3, 0.77])
def test_logistic_closed_form_at_four(x0):
    steps = np.arange(12)
    exact = np.sin(2.0**steps * np.arcsin(np.sqrt(x0))) ** 2
    # Rounding doubles at each step.
    assert_allclose(logistic_map(12, r=4.0, x0=x0), exact, rtol=0, atol=4.0 * 2**12 * 2.3e-16)


def test_logistic_regimes():
    assert_allclose(logistic_map(5, r=2.5, transient=200), 0.6, rtol=1e-12)  # 1 - 1 / r
    two = logistic_map(4, r=3.2, transient=500)
    assert_allclose(two[2:], two[:2], rtol=1e-12)
    assert abs(two[0] - two[1]) > 0.2
    x = logistic_map(20000, r=4.0)
    assert np.log(np.abs(4.0 - 8.0 * x)).mean() == pytest.approx(np.log(2.0), abs=0.02)


@pytest.mark.parametrize("x0", [0.0, 0.05, 0.95, 1.0])
def test_logistic_seeds_stay_in_the_interval(x0):
    starts = [logistic_map(1, x0=x0, random_state=seed)[0] for seed in range(50)]
    assert min(starts) >= 0.0
    assert max(starts) <= 1.0
    assert np.ptp(starts) > 0.05


def test_ikeda_recursion_in_complex_numbers():
    u = ikeda(2000)
    z = u[:, 0] + 1j * u[:, 1]
    turned = 1.0 + 0.9 * z[:-1] * np.exp(1j * (0.4 - 6.0 / (1.0 + np.abs(z[:-1]) ** 2)))
    assert_allclose(z[1:], turned, rtol=1e-12)
    assert np.abs(z).max() <= 10.0  # 1 / (1 - u) bounds every orbit that starts inside
    assert u.std() > 0.3


def test_ikeda_without_feedback_is_constant():
    assert_array_equal(ikeda(3, u=0.0, x0=[3.0, -2.0]), [[3.0, -2.0], [1.0, 0.0], [1.0, 0.0]])


@pytest.mark.parametrize("chaotic", MAPS)
def test_seeds_and_transients(chaotic):
    assert_array_equal(chaotic(30), chaotic(30))
    assert_array_equal(chaotic(30, random_state=3), chaotic(30, random_state=3))
    assert np.abs(chaotic(30, random_state=3) - chaotic(30, random_state=4)).max() > 0.01
    assert np.abs(chaotic(30, random_state=3) - chaotic(30)).max() > 0.01
    start = chaotic(1)[0]
    assert_array_equal(chaotic(1, x0=start)[0], start)
    assert_array_equal(chaotic(10, x0=start, transient=20), chaotic(30, x0=start)[20:])


@pytest.mark.parametrize("chaotic", MAPS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("n_steps", -1), ("n_steps", 2.0), ("transient", -1), ("transient", 1.5), ("x0", "here")],
)
def test_bad_parameters_are_refused(chaotic, name, value):
    sentence = f"The '{name}' parameter of {chaotic.__name__} must be .* Got .* instead"
    with pytest.raises(InvalidParameterError, match=sentence):
        chaotic(**{"n_steps": 5, name: value})


@pytest.mark.parametrize(
    ("chaotic", "name", "value"),
    [
        (henon, "a", "1"),
        (henon, "b", np.nan),
        (henon, "x0", [1.0, 2.0, 3.0]),
        (logistic_map, "r", 4.1),
        (logistic_map, "x0", -0.1),
        (ikeda, "u", 1.0),
        (ikeda, "x0", [np.nan, 0.0]),
    ],
)
def test_bad_coefficients_are_refused(chaotic, name, value):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        chaotic(5, **{name: value})
