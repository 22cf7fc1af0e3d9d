"""Input-target tasks against their recursions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_datasets as oracles
from echocast.datasets import (
    channel_equalization,
    memory_task,
    multiple_superimposed_oscillators,
    narma,
)
from echocast.exceptions import InvalidParameterError

TASKS = [narma, memory_task, channel_equalization]
SEEDS = st.integers(0, 2**32 - 1)


def test_oscillators_are_sums_of_sines():
    t = np.arange(40)
    two = np.sin(0.2 * t) + np.sin(0.311 * t)
    assert_allclose(multiple_superimposed_oscillators(40, n_oscillators=2), two, atol=1e-13)
    five = sum(np.sin(w * t) for w in (0.2, 0.311, 0.42, 0.51, 0.63))
    assert_allclose(multiple_superimposed_oscillators(40, n_oscillators=5), five, atol=1e-13)
    assert_allclose(
        multiple_superimposed_oscillators(40, frequencies=[0.2, 0.311]), two, atol=1e-13
    )


def test_oscillators_obey_their_linear_recursion():
    """A sum of k sines is annihilated by the product of z**2 - 2 cos(w) z + 1."""
    filters = [[1.0, -2.0 * np.cos(w), 1.0] for w in (0.2, 0.311, 0.42)]
    annihilator = np.array([1.0])
    for taps in filters:
        annihilator = np.convolve(annihilator, taps)
    s = multiple_superimposed_oscillators(300, n_oscillators=3, random_state=5)
    assert np.abs(np.convolve(s, annihilator, mode="valid")).max() < 1e-11


def test_oscillator_phases_follow_the_seed():
    def run(**options):
        return multiple_superimposed_oscillators(50, **options)

    assert_array_equal(run(random_state=1), run(random_state=1))
    assert np.abs(run(random_state=1) - run(random_state=2)).max() > 0.1
    assert_array_equal(run(), run())
    assert run()[0] == 0.0


@given(seed=SEEDS, n_steps=st.integers(1, 60), order=st.integers(1, 30), saturate=st.booleans())
@settings(max_examples=40, deadline=None)
def test_narma_equals_the_plain_recursion(seed, n_steps, order, saturate):
    u = np.random.RandomState(seed).uniform(0.0, 0.5, n_steps)
    coefficients = (0.2, 0.04, 1.5, 0.001)
    X, y = narma(n_steps, order=order, coefficients=coefficients, saturate=saturate, inputs=u)
    assert_array_equal(X, u[:, None])
    assert_allclose(y, oracles.narma(u, order, *coefficients, saturate), rtol=1e-12)


def test_narma10_recursion():
    X, y = narma(2000, random_state=0)
    u = X[:, 0]
    # Row t of the target is y(t + 1) of the recursion.
    expected = (
        0.3 * y[9:-1]
        + 0.05 * y[9:-1] * np.convolve(y, np.ones(10), mode="valid")[:-1]
        + 1.5 * u[1:-9] * u[10:]
        + 0.1
    )
    assert_allclose(y[10:], expected, rtol=1e-12)
    assert u.min() >= 0.0
    assert u.max() <= 0.5
    assert 0.3 < y.mean() < 0.5


def test_narma_divergence():
    with pytest.raises(ValueError, match="diverges at row 6"):
        narma(50, inputs=np.full(50, 3.0), order=1)
    with pytest.raises(ValueError, match="diverged for each of 100 inputs"):
        narma(500, order=10, coefficients=(2.0, 0.5, 1.5, 0.1), random_state=0)
    _, y = narma(50, inputs=np.full(50, 3.0), order=1, saturate=True)
    assert y.max() <= 1.0


def test_narma_drops_a_draw_that_diverges():
    """Seed 7 draws one; its successor of the same generator is taken."""
    rng = np.random.RandomState(7)
    first, second = rng.uniform(0.0, 0.5, 10000), rng.uniform(0.0, 0.5, 10000)
    with pytest.raises(ValueError, match="diverges"):
        narma(10000, inputs=first)
    assert_array_equal(narma(10000, random_state=7)[0][:, 0], second)


@given(
    seed=SEEDS,
    n_steps=st.integers(1, 40),
    delays=st.lists(st.integers(0, 50), min_size=1, max_size=5),
)
@settings(max_examples=30, deadline=None)
def test_memory_delays_are_exact(seed, n_steps, delays):
    X, Y = memory_task(n_steps, delays=delays, random_state=seed)
    assert X.shape == (n_steps, 1)
    assert Y.shape == (n_steps, len(delays))
    for column, k in zip(Y.T, delays):
        assert_array_equal(column[k:], X[: max(0, n_steps - k), 0])
    # The inputs before the first row are drawn too, and two delays see the same ones.
    past = np.random.RandomState(seed).uniform(-0.5, 0.5, max(delays) + n_steps)
    for column, k in zip(Y.T, delays):
        assert_array_equal(column, past[max(delays) - k :][:n_steps])


def test_memory_delays_from_an_int():
    X, Y = memory_task(30, delays=7, low=0.0, high=1.0, random_state=2)
    assert Y.shape == (30, 7)
    assert_array_equal(Y[7:, 6], X[:23, 0])
    assert X.min() >= 0.0


@pytest.mark.parametrize("delay", [0, 2, 9])
def test_channel_equals_its_formula(delay):
    X, y = channel_equalization(400, snr_db=None, delay=0, random_state=4)
    delayed = channel_equalization(400, snr_db=None, delay=delay, random_state=4)
    rows = range(7, 398)
    assert_allclose(X[7:398, 0], [oracles.channel(y, t) for t in rows], rtol=1e-12)
    shift = max(7, delay) - 7  # more symbols are drawn before the first row
    assert_array_equal(delayed[0][:50, 0], X[shift : 50 + shift, 0])
    symbols = y[max(0, shift - delay) :]
    skip = max(0, delay - shift)
    assert_array_equal(delayed[1][skip : skip + 50], symbols[:50])


@pytest.mark.parametrize("snr_db", [0.0, 12.0, 32.0])
def test_channel_noise_has_the_asked_for_power(snr_db):
    clean, symbols = channel_equalization(50000, snr_db=None, random_state=1)
    noisy, same = channel_equalization(50000, snr_db=snr_db, random_state=1)
    assert_array_equal(symbols, same)
    ratio = 10.0 * np.log10((clean**2).mean() / ((noisy - clean) ** 2).mean())
    assert ratio == pytest.approx(snr_db, abs=0.1)
    assert_array_equal(np.unique(symbols), [-3.0, -1.0, 1.0, 3.0])
    counts = np.unique(symbols, return_counts=True)[1]
    assert np.abs(counts - 12500).max() < 5 * np.sqrt(50000 * 3 / 16)


@pytest.mark.parametrize("task", TASKS)
def test_seeds(task):
    first, again, other = (
        task(40, random_state=1),
        task(40, random_state=1),
        task(40, random_state=2),
    )
    for a, b, c in zip(first, again, other):
        assert_array_equal(a, b)
        assert not np.array_equal(a, c)
        assert a.dtype == np.float64
    assert not np.array_equal(task(40)[0], task(40)[0])


@pytest.mark.parametrize(
    ("task", "name", "value", "rule"),
    [
        (multiple_superimposed_oscillators, "n_oscillators", 13, r"an int in the range \[1, 12\]"),
        (multiple_superimposed_oscillators, "frequencies", [], "an array-like of at least 1"),
        (multiple_superimposed_oscillators, "frequencies", [[0.1]], "an array-like"),
        (multiple_superimposed_oscillators, "n_steps", 0, "an int"),
        (narma, "order", 0, "an int in the range"),
        (narma, "coefficients", (0.3, 0.05, 1.5), "an array-like of 4 finite numbers"),
        (narma, "inputs", [0.1] * 4, "an array-like of 5 finite numbers"),
        (narma, "saturate", "yes", "a bool"),
        (narma, "n_steps", 1.5, "an int"),
        (memory_task, "delays", 0, "an int in the range"),
        (memory_task, "delays", [1, -2], "an int >= 1 or a sequence of ints >= 0"),
        (memory_task, "delays", [1.0, 2.0], "an int >= 1 or a sequence"),
        (memory_task, "delays", [], "an int >= 1 or a sequence"),
        (memory_task, "high", -0.5, r"a float in the range \(-0.5, inf\)"),
        (channel_equalization, "snr_db", "high", "a float"),
        (channel_equalization, "delay", -1, "an int in the range"),
    ],
)
def test_bad_parameters_are_refused(task, name, value, rule):
    sentence = f"The '{name}' parameter of {task.__name__} must be {rule}.* Got .* instead"
    with pytest.raises(InvalidParameterError, match=sentence):
        task(**{"n_steps": 5, name: value})
