import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.datasets import lorenz63
from echocast.forecasting._auto_structure import find_structure

N = 200
FLOW = lorenz63(N + 30, dt=0.05)


def mixed(noise=0.0):
    """Two free columns, a constant, a copy 7 steps later, a copy of that, a clock and a twin."""
    clock = np.sin(0.13 * np.arange(N + 30) + 1.0)
    x, y = FLOW[:, 0], FLOW[:, 1]
    columns = [x, np.full(N + 30, 3.0), np.roll(x, 7), y, clock, np.roll(x, 12), y]
    rows = np.column_stack(columns)[30:]
    return rows + noise * np.random.RandomState(0).randn(*rows.shape)


def test_relations_between_columns_are_found():
    structure = find_structure(mixed())
    assert_array_equal(structure.free, [0, 3])
    assert_array_equal(structure.constant, [1])
    assert_array_equal(structure.clocks, [4])
    assert_allclose(structure.turns, [[2 * np.cos(0.13), structure.turns[0, 1]]], atol=1e-9)
    found = {tuple(row) for row in structure.copies.tolist()}
    assert found == {(2, 0, 7), (5, 2, 5), (6, 3, 0)}
    assert_array_equal(structure.shown, [0, 2, 3, 4, 5])
    assert structure.n_past == 7


def test_noise_never_looks_like_an_exact_relation():
    structure = find_structure(mixed(noise=1e-4))
    assert_array_equal(structure.free, np.arange(7))
    assert not len(structure.copies)
    assert not len(structure.clocks)


def test_scales_are_undone():
    rows = mixed()
    structure = find_structure(rows)
    assert_allclose(structure.inverse(structure.forward(rows)), rows, atol=1e-12)
    paths = np.stack([rows, 2 * rows], axis=2)
    scaled = np.stack([structure.forward(rows), structure.forward(2 * rows)], axis=2)
    assert_allclose(structure.inverse(scaled), paths, atol=1e-12)


def test_rows_are_completed_by_their_relations():
    """With the true values of the free columns, all others follow; one step or many at once."""
    rows = mixed()
    structure = find_structure(rows[:150])
    Z = structure.forward(rows)
    window = Z[:, :, None].copy()
    window[150:, np.setdiff1d(np.arange(7), structure.free)] = np.nan
    for t in range(150, N):
        structure.complete(window, t)
    assert_allclose(window[:, :, 0], Z, atol=1e-7)  # the clock's rounding adds up
    predicted = structure.one_step(Z, Z[150:, structure.free])
    assert_allclose(predicted, Z[150:], atol=1e-9)


def test_positive_columns_over_orders_of_magnitude_are_taken_in_logarithms():
    x = FLOW[:, 0]
    rows = np.column_stack([np.exp(x / 3), 50 + x, x])
    assert not find_structure(rows).logs.any()
    structure = find_structure(rows, logs=True)
    assert_array_equal(structure.logs, [True, False, False])
    assert_allclose(structure.inverse(structure.forward(rows)), rows, rtol=1e-12)
    negative = rows.copy()
    negative[3, 0] = -1.0  # later rows may be anything
    assert np.isfinite(structure.forward(negative)).all()


@pytest.mark.parametrize("values", [np.tile([1.0, 2.0, 3.0], 40), np.zeros(120)])
def test_repeating_and_constant_columns_are_no_copies(values):
    rows = np.column_stack([values, np.roll(values, 1), FLOW[:120, 0]])
    assert not len(find_structure(rows).copies)
