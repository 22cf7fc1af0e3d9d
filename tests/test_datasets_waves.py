"""Kuramoto-Sivashinsky: conservation laws, symmetries, another discretisation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_datasets as oracles
from echocast.datasets import kuramoto_sivashinsky
from echocast.exceptions import InvalidParameterError
from orders import observed_order

LENGTH = 22.0


@pytest.fixture(scope="module")
def attractor():
    return kuramoto_sivashinsky(40, transient=150.0, substeps=2)


def test_agrees_with_differentiation_matrices(attractor):
    u0 = np.fft.irfft(np.fft.rfft(attractor[0])[:17] / 2, 32)  # the same waves on 32 points
    end = kuramoto_sivashinsky(2, n_points=32, dt=1.0, substeps=200, x0=u0)[1]
    assert_allclose(end, oracles.kuramoto_sivashinsky(u0, LENGTH, 1.0), rtol=0, atol=1e-8)


def test_is_of_order_four(attractor):
    """Stiffness hides the order at the usual steps (3 to 3.5 there); small steps show it."""

    def end(substeps):
        return kuramoto_sivashinsky(2, dt=0.25, substeps=substeps, x0=attractor[0])[1]

    exact = end(1024)
    order = observed_order(lambda n: np.abs(end(n) - exact).max(), [48, 64, 96, 128])
    assert 3.6 < order < 4.2


def test_error_of_a_row_is_as_documented(attractor):
    default = kuramoto_sivashinsky(2, x0=attractor[-1])[1]
    fine = kuramoto_sivashinsky(2, x0=attractor[-1], substeps=200)[1]
    assert np.abs(default - fine).max() < 3e-6 * attractor.std()


def test_default_grid_resolves_the_solution(attractor):
    waves = np.abs(np.fft.rfft(attractor[-1]))
    assert waves[-3:].max() < 1e-10 * waves.max()


def test_mean_is_conserved():
    u = kuramoto_sivashinsky(60, x0=0.3 + np.sin(2 * np.pi * np.arange(64) / 64), substeps=1)
    assert_allclose(u.mean(axis=1), 0.3, rtol=1e-12)


def test_energy_balance(attractor):
    """d/dt mean(u**2) / 2 = mean(u_x**2) - mean(u_xx**2); the nonlinear term drops out."""
    dt = 1e-3
    u = kuramoto_sivashinsky(3, dt=dt, x0=attractor[0])
    energy = 0.5 * (u**2).mean(axis=1)
    wave = 2 * np.pi / LENGTH * np.arange(33)
    v = np.fft.rfft(u[1])
    slope, bend = (np.fft.irfft(factor * v, 64) for factor in (1j * wave, -(wave**2)))
    balance = (slope**2).mean() - (bend**2).mean()
    assert (energy[2] - energy[0]) / (2 * dt) == pytest.approx(balance, abs=1e-6)


def test_symmetries(attractor):
    u0 = attractor[0]
    u = kuramoto_sivashinsky(20, x0=u0, substeps=1)
    shifted = kuramoto_sivashinsky(20, x0=np.roll(u0, 5), substeps=1)
    assert_allclose(shifted, np.roll(u, 5, axis=1), rtol=0, atol=1e-10)
    mirrored = kuramoto_sivashinsky(20, x0=-u0[::-1], substeps=1)
    assert_allclose(mirrored, -u[:, ::-1], rtol=0, atol=1e-10)


def test_short_domain_is_at_rest():
    """Below a length of 2 pi every wave is damped."""
    u = kuramoto_sivashinsky(5, length=5.0, n_points=16, transient=100.0)
    assert np.abs(u).max() < 1e-10


@pytest.mark.parametrize("n_points", [32, 33])
def test_seeds_and_transients(n_points):
    def run(n_steps=10, **options):
        return kuramoto_sivashinsky(n_steps, n_points=n_points, substeps=1, **options)

    assert_array_equal(run(transient=20.0), run(transient=20.0))
    seeded = run(transient=20.0, random_state=0)
    assert seeded.shape == (10, n_points)
    assert_array_equal(seeded, run(transient=20.0, random_state=0))
    assert np.abs(seeded - run(transient=20.0, random_state=1)).max() > 0.01
    assert np.abs(seeded.mean(axis=1)).max() < 1e-12
    x0 = seeded[-1]
    assert_allclose(run(x0=x0)[0], x0, rtol=0, atol=1e-14)
    assert_array_equal(run(x0=x0, transient=1.0), run(14, x0=x0)[4:])


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("n_steps", 0, "an int in the range"),
        ("length", 0.0, r"a float in the range \(0.0, inf\)"),
        ("dt", 0.0, r"a float in the range \(0.0, inf\)"),
        ("n_points", 7, r"an int in the range \[8, inf\)"),
        ("n_points", 64.0, "an int"),
        ("x0", np.zeros(63), r"an array-like of 64 finite numbers. Got shape \(63,\)"),
        ("transient", -1, "a float in the range"),
        ("substeps", 0, "an int in the range"),
    ],
)
def test_bad_parameters_are_refused(name, value, rule):
    sentence = f"The '{name}' parameter of kuramoto_sivashinsky must be {rule}.* instead"
    with pytest.raises(InvalidParameterError, match=sentence):
        kuramoto_sivashinsky(**{"n_steps": 5, name: value})


def test_escape_is_an_error():
    with pytest.raises(ValueError, match="trajectory of kuramoto_sivashinsky is not finite"):
        kuramoto_sivashinsky(200, dt=5.0, substeps=1, x0=1e4 * np.sin(np.arange(64)))
