"""Answers that theory or the literature gives: closed-loop skill, memory of a linear cycle."""

import numpy as np
import pytest

from echocast.datasets import lorenz63, mackey_glass, memory_task
from echocast.forecasting import valid_prediction_time
from echocast.reservoir import ESNRegressor


def lorenz(n_train, n_free):
    u = lorenz63(n_train + 200 + n_free, dt=0.02)
    return (u - u[:n_train].mean(axis=0)) / u[:n_train].std(axis=0)


def test_a_small_tuned_network_follows_lorenz_for_eight_lyapunov_times():
    n_train, n_free = 4000, 800
    u = lorenz(n_train, n_free)
    esn = ESNRegressor(
        n_units=300,
        spectral_radius=0.56,
        input_scaling=0.37,
        bias_scaling=1.8,
        alpha="auto",
        random_state=0,
    ).fit(u[: n_train - 1], u[1:n_train])
    forecast = esn.generate(n_free, warmup=u[n_train : n_train + 200])
    valid = valid_prediction_time(u[n_train + 200 :], forecast, dt=0.02, lyapunov_time=1 / 0.9056)
    assert valid > 8


def test_noisy_lorenz_makes_leave_one_out_choose_a_large_penalty():
    u = lorenz(3000, 0)
    noisy = u + 0.05 * np.random.RandomState(0).randn(*u.shape)
    esn = ESNRegressor(n_units=200, alpha="auto", random_state=0)
    clean_alpha = esn.fit(u[:-1], u[1:]).alpha_
    assert esn.fit(noisy[:-1], noisy[1:]).alpha_ > 1e6 * clean_alpha


@pytest.mark.slow
def test_mackey_glass_is_followed_for_84_steps():
    n_train, n_warm = 3000, 500
    u = mackey_glass(n_train + n_warm + 84 + 3000)[:, None]
    u = (u - u[:n_train].mean()) / u[:n_train].std()
    esn = ESNRegressor(
        n_units=1000,
        spectral_radius=0.8,
        leak_rate=0.6,
        bias_scaling=0.3,
        alpha="auto",
        washout=200,
        random_state=0,
    ).fit(u[: n_train - 1], u[1:n_train])
    starts = range(n_train, n_train + 3000, 100)
    errors = [esn.generate(84, warmup=u[a : a + n_warm])[83] - u[a + n_warm + 83] for a in starts]
    assert np.sqrt(np.mean(np.square(errors))) / u.std() < 1e-3


@pytest.mark.parametrize(("n_units", "radius"), [(5, 0.8), (20, 0.9)])
def test_memory_capacity_of_a_linear_cycle_is_that_of_theory(n_units, radius):
    x, y = memory_task(30_000, delays=4 * n_units, random_state=0)
    skip = 10 * n_units
    esn = ESNRegressor(
        n_units=n_units,
        topology="cycle",
        activation="identity",
        spectral_radius=radius,
        bias_scaling=0.0,
        include_input=False,
        washout=skip,
        alpha=1e-12,
        solver="svd",
        random_state=0,
    ).fit(x, y)
    left = ((y - esn.predict(x))[skip:] ** 2).sum(axis=0) / y[skip:].var(axis=0)
    capacity = (1 - left / (len(x) - skip - n_units - 1)).sum()  # adjusted for the fitted weights
    assert capacity == pytest.approx(n_units - 1 + radius ** (2 * n_units), abs=0.03)
