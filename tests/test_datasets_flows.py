"""Chaotic flows: against a general-purpose solver, and what is known of each system."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

import oracles_datasets as oracles
from echocast.datasets import double_scroll, lorenz63, lorenz96, rossler
from echocast.exceptions import InvalidParameterError

FLOWS = [lorenz63, rossler, double_scroll, lorenz96]


@pytest.mark.parametrize(
    ("flow", "dt", "n_steps"),
    [(lorenz63, 0.02, 151), (rossler, 0.1, 301), (double_scroll, 0.25, 81), (lorenz96, 0.01, 101)],
)
def test_agrees_with_a_solver_of_order_eight(flow, dt, n_steps):
    system = flow.__name__
    x0 = oracles.STARTS[system]
    sites = {"n_sites": len(x0)} if flow is lorenz96 else {}
    u = flow(n_steps, dt=dt, x0=x0, **sites)
    p, f = oracles.PARAMS[system], oracles.SLOPES[system]
    times = dt * np.arange(n_steps)
    solution = solve_ivp(
        lambda t, x: f(x, p),
        (0, times[-1]),
        x0,
        method="DOP853",
        rtol=1e-13,
        atol=1e-13,
        t_eval=times,
    )
    assert_array_equal(u[0], x0)
    # Local errors near 1e-10, grown by at most e**3 over these 1 to 3 Lyapunov times.
    assert_allclose(u, solution.y.T, rtol=0, atol=2e-8)


@pytest.mark.parametrize(
    ("flow", "dt"), [(lorenz63, 0.02), (rossler, 0.1), (double_scroll, 0.25), (lorenz96, 0.01)]
)
def test_error_of_a_row_is_as_documented(flow, dt):
    attractor = flow(200, dt=dt)
    scale = attractor.std(axis=0).mean()
    for x in attractor[::10]:
        default = flow(2, dt=dt, x0=x)[1]
        fine = flow(2, dt=dt, x0=x, substeps=1000)[1]
        assert np.abs(default - fine).max() < 1e-10 * scale


def test_lorenz63_largest_lyapunov_exponent():
    """Growth of tangent vectors along 200 stretches of the trajectory: 0.906."""
    # Tangent steps are twice the step of the rows, so that every second row is a midpoint.
    h, stretches, length, aligning = 0.01, 200, 4000, 1000
    u = lorenz63(2 * stretches * length + 1, dt=h / 2, substeps=3)

    def jacobians(x):
        x = x.reshape(stretches, length, 3)
        one, zero = np.ones(x.shape[:2]), np.zeros(x.shape[:2])
        rows = [
            [-10 * one, 10 * one, zero],
            [28 - x[..., 2], -one, -x[..., 0]],
            [x[..., 1], x[..., 0], -8 / 3 * one],
        ]
        return np.moveaxis(np.array(rows), (0, 1), (-2, -1))

    start, middle, end = jacobians(u[:-1:2]), jacobians(u[1::2]), jacobians(u[2::2])
    v = np.ones((stretches, 3, 1))
    growth = 0.0
    for t in range(length):
        k1 = start[:, t] @ v
        k2 = middle[:, t] @ (v + h / 2 * k1)
        k3 = middle[:, t] @ (v + h / 2 * k2)
        k4 = end[:, t] @ (v + h * k3)
        v = v + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        norm = np.linalg.norm(v, axis=1, keepdims=True)
        v /= norm
        if t >= aligning:
            growth += np.log(norm).mean()
    # Standard error about 0.004 over 6000 time units.
    assert growth / (h * (length - aligning)) == pytest.approx(0.906, abs=0.02)


def test_lorenz63_rest_point_and_symmetry():
    wing = np.sqrt(8 / 3 * 27)
    rest = np.array([wing, wing, 27.0])
    assert_allclose(lorenz63(20, x0=rest), np.tile(rest, (20, 1)), rtol=1e-12)
    x0 = np.array([1.0, 2.0, 20.0])
    mirror = np.array([-1.0, -1.0, 1.0])
    assert_allclose(lorenz63(50, x0=x0 * mirror), lorenz63(50, x0=x0) * mirror, rtol=1e-12)


def test_lorenz63_parameters_reach_their_places():
    # Without coupling through x and y, z decays at rate beta; with sigma = 0 the first is kept.
    u = lorenz63(6, dt=0.5, beta=0.7, x0=[0.0, 0.0, 3.0])
    assert_allclose(u[:, 2], 3.0 * np.exp(-0.7 * 0.5 * np.arange(6)), rtol=1e-12)
    assert_allclose(lorenz63(6, sigma=0.0, x0=[2.0, 1.0, 1.0])[:, 0], 2.0)
    u = lorenz63(200, dt=0.1, rho=0.5, x0=[1.0, 1.0, 1.0])
    assert np.abs(u[-1]).max() < 1e-3  # below rho = 1 the origin attracts everything


def test_double_scroll_is_odd():
    x0 = np.array([0.4, 0.06, -0.08])
    assert_allclose(double_scroll(20, x0=-x0), -double_scroll(20, x0=x0), rtol=1e-12)


def test_lorenz96_turns_with_its_start():
    x0 = 8.0 + np.sin(np.arange(12.0))
    u = lorenz96(100, n_sites=12, x0=x0)
    turned = lorenz96(100, n_sites=12, x0=np.roll(x0, 3))
    assert_allclose(turned, np.roll(u, 3, axis=1), rtol=1e-10)


def test_lorenz96_energy_balance():
    """The quadratic terms conserve energy: d/dt sum(x**2) / 2 = sum(F x - x**2)."""
    dt = 1e-3
    u = lorenz96(3, dt=dt, forcing=8.0)
    energy = 0.5 * (u**2).sum(axis=1)
    assert (energy[2] - energy[0]) / (2 * dt) == pytest.approx(
        (8.0 * u[1] - u[1] ** 2).sum(), abs=1e-2
    )


@pytest.mark.parametrize("flow", FLOWS)
def test_seeds(flow):
    assert_array_equal(flow(20), flow(20))
    assert_array_equal(flow(20, random_state=1), flow(20, random_state=1))
    assert_array_equal(flow(20, random_state=1), flow(20, random_state=np.random.RandomState(1)))
    different = [flow(20), flow(20, random_state=1), flow(20, random_state=2)]
    for i in range(3):
        assert np.abs(different[i] - different[i - 1]).max() > 0.01
    start = flow(1)[0]
    assert not np.array_equal(flow(1, x0=start, random_state=0)[0], start)


@pytest.mark.parametrize("flow", FLOWS)
@given(n_steps=st.integers(1, 40), discard=st.integers(0, 40))
@settings(max_examples=10, deadline=None)
def test_transient_only_drops_rows(flow, n_steps, discard):
    start = flow(1)[0]
    u = flow(n_steps, dt=0.05, x0=start, transient=discard * 0.05, substeps=3)
    assert u.shape == (n_steps, len(start))
    assert u.dtype == np.float64
    whole = flow(discard + n_steps, dt=0.05, x0=start, substeps=3)
    assert_array_equal(u, whole[discard:])


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("dt", 0.0, r"a float in the range \(0.0, inf\)"),
        ("dt", np.nan, "a float"),
        ("substeps", 0, r"an int in the range \[1, inf\)"),
        ("substeps", 2.5, "an int"),
        ("transient", -1.0, r"a float in the range \[0.0, inf\)"),
        ("x0", [1.0, 2.0], "an array-like of (3|40) finite numbers"),
        ("x0", "start", "an array-like"),
        ("x0", [np.inf] * 3, "an array-like"),
        ("n_steps", 0, r"an int in the range \[1, inf\)"),
        ("n_steps", 10.0, "an int"),
        ("n_steps", True, "an int"),
    ],
)
def test_bad_parameters_are_refused(flow, name, value, rule):
    arguments = {"n_steps": 5, name: value}
    sentence = f"The '{name}' parameter of {flow.__name__} must be {rule}.* Got .* instead"
    with pytest.raises(InvalidParameterError, match=sentence):
        flow(**arguments)


@pytest.mark.parametrize(
    ("flow", "name", "value"),
    [
        (lorenz63, "sigma", "ten"),
        (rossler, "c", np.inf),
        (double_scroll, "r1", 0.0),
        (double_scroll, "alpha", None),
        (lorenz96, "n_sites", 3),
        (lorenz96, "forcing", np.nan),
    ],
)
def test_bad_coefficients_are_refused(flow, name, value):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of {flow.__name__}"):
        flow(5, **{name: value})


def test_a_seed_that_is_none_is_refused():
    with pytest.raises(ValueError, match="cannot be used to seed"):
        lorenz63(5, random_state="seed")


def test_escape_to_infinity_is_an_error():
    with pytest.raises(ValueError, match=r"trajectory of lorenz63 is not finite from row \d+"):
        lorenz63(50, dt=1.0, substeps=1, x0=[1.0, 1.0, 1.0])
