"""Learning rates and teacher forcing over the course of training."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from echocast.exceptions import InvalidParameterError
from echocast.reservoir.rnn._schedules import (
    FORCINGS,
    SCHEDULES,
    forcing_probability,
    learning_rate_at,
)


def rates(schedule, n_total=101, init=0.2, **settings):
    return np.array(
        [learning_rate_at(schedule, init, t, n_total, **settings) for t in range(n_total)]
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_all_begin_with_the_given_rate_and_never_rise(schedule):
    values = rates(schedule)
    assert values[0] == 0.2
    assert (np.diff(values) <= 0).all()
    assert (values > 0).all()


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("floor", [0.0, 0.05, 1.0])
def test_decay_ends_at_the_floor_and_stays(schedule, floor):
    assert_allclose(rates(schedule, floor=floor)[-1], 0.2 * floor, rtol=1e-14, atol=1e-17)
    assert_allclose(
        learning_rate_at(schedule, 0.2, 10**6, 101, floor=floor), 0.2 * floor, atol=1e-17
    )
    # Both are half way in the middle.
    assert_allclose(rates(schedule, floor=floor)[50], 0.2 * (1 + floor) / 2, rtol=1e-14)


def test_linear_falls_in_equal_steps():
    assert_allclose(np.diff(rates("linear")), -0.95 * 0.2 / 100, rtol=1e-12)


def test_constant_and_invscaling():
    assert (rates("constant") == 0.2).all()
    assert_allclose(rates("invscaling"), 0.2 / np.sqrt(np.arange(1, 102)), rtol=1e-14)
    assert_allclose(rates("invscaling", power_t=1.0)[9], 0.02, rtol=1e-14)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warmup_leads_up_to_the_schedule(schedule):
    values = rates(schedule, warmup=4)
    assert_allclose(values[:5], 0.2 * np.arange(1, 6) / 5, rtol=1e-14)
    assert_allclose(values[4:], rates(schedule, n_total=97), rtol=1e-14)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_single_update_has_the_given_rate(schedule):
    assert rates(schedule, n_total=1)[0] == 0.2


@pytest.mark.parametrize("schedule", ["adaptive", "", None])
def test_other_schedules_are_refused(schedule):
    with pytest.raises(InvalidParameterError, match="The 'schedule' parameter"):
        learning_rate_at(schedule, 0.1, 0, 10)


def shares(kind, n_total=1000):
    return np.array([forcing_probability(kind, k, n_total) for k in range(n_total + 1)])


@pytest.mark.parametrize("kind", FORCINGS)
@pytest.mark.parametrize("n_total", [1, 7, 1000, 10**6])
def test_forcing_never_rises_and_is_a_probability(kind, n_total):
    values = np.array(
        [forcing_probability(kind, k, n_total) for k in np.linspace(0, 3 * n_total, 50)]
    )
    assert (np.diff(values) <= 0).all()
    assert values.min() >= 0.0
    assert values.max() <= 1.0


def test_linear_forcing_ends_at_71_percent():
    values = shares("linear")
    assert values[0] == 1.0
    assert_allclose(values[355], 0.5, rtol=1e-12)
    assert values[709] > 0.0
    assert_allclose(values[710], 0.0, atol=1e-15)
    assert (values[711:] == 0.0).all()


def test_exponential_forcing():
    values = shares("exponential")
    assert values[0] == 1.0
    assert_allclose(values[710], 0.01, rtol=1e-12)
    assert_allclose(values[1:] / values[:-1], values[1], rtol=1e-12)


@pytest.mark.parametrize("n_total", [10, 1000, 10**5])
def test_inverse_sigmoid_forcing_is_the_published_formula(n_total):
    # 1000 halvings are more than the bits of a float.
    low, high = 1.0, float(n_total)
    for _ in range(1000):
        q = 0.5 * (low + high)
        low, high = (q, high) if q * np.log(q) < n_total / 2 else (low, q)
    k = np.linspace(0, n_total, 21)
    values = [forcing_probability("inverse_sigmoid", step, n_total) for step in k]
    assert_allclose(values, q / (q + np.exp(k / q)), rtol=1e-10)
    assert_allclose(values[10], 0.5, rtol=1e-12)
    assert_allclose(values[0], 1.0 - values[-1], rtol=1e-12)


@pytest.mark.parametrize("share", [0, 0.3, 1.0, np.float32(0.5)])
def test_a_number_is_constant_and_a_function_is_asked(share):
    assert forcing_probability(share, 7, 10) == share
    assert forcing_probability(lambda k: share * (k == 7), 7, 10) == share
    assert forcing_probability(lambda k: share * (k == 7), 8, 10) == 0.0


@pytest.mark.parametrize("kind", [-0.1, 1.1, np.nan, None, "sigmoid", True, lambda k: 2.0])
def test_no_probability_is_refused(kind):
    with pytest.raises(InvalidParameterError, match=r"The '(kind|teacher_forcing(\(k\))?)' param"):
        forcing_probability(kind, 0, 10)
