import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.datasets import lorenz63
from echocast.forecasting._auto_network import (
    Factor,
    Setting,
    Wiring,
    closed_loops,
    draw_weights,
)
from echocast.forecasting._auto_structure import find_structure

RNG = np.random.RandomState(0)
SETTING = Setting(0.6, 0.3, 1.2, 0.7)


def ridge(F, Y, alpha):
    """Plain normal equations about the means."""
    centred = F - F.mean(axis=0)
    gram = centred.T @ centred + alpha * np.eye(F.shape[1])
    coef = np.linalg.solve(gram, centred.T @ (Y - Y.mean(axis=0))).T
    return coef, Y.mean(axis=0) - coef @ F.mean(axis=0)


@pytest.mark.parametrize("n_rows", [60, 12])
def test_a_factor_solves_the_ridge_problem(n_rows):
    F, Y = RNG.randn(n_rows, 8) + 5.0, RNG.randn(n_rows, 2)
    alphas = np.array([1e-3, 10.0])
    coef, offset = Factor(F, Y).solve(alphas)
    for k, alpha in enumerate(alphas):
        expected = ridge(F, Y, alpha)
        assert_allclose(coef[k], expected[0], atol=1e-10)
        assert_allclose(offset[k], expected[1], atol=1e-10)


def test_rows_that_come_later_count_as_those_before():
    F, Y = RNG.randn(50, 6) + 3.0, RNG.randn(50, 2)
    first = Factor(F[:30], Y[:30])
    whole = first.extended(F[30:], Y[30:])
    expected = ridge(F, Y, 0.5)
    coef, offset = whole.solve(np.array([0.5]))
    assert_allclose(coef[0], expected[0], atol=1e-10)
    assert_allclose(offset[0], expected[1], atol=1e-10)
    assert_allclose(first.solve(np.array([0.5]))[0][0], ridge(F[:30], Y[:30], 0.5)[0], atol=1e-10)


def test_leverages_are_the_diagonal_of_the_hat_matrix():
    F, Y = RNG.randn(20, 4), RNG.randn(20, 1)
    centred = F - F.mean(axis=0)
    hat = centred @ np.linalg.solve(centred.T @ centred + 0.3 * np.eye(4), centred.T) + 1 / 20
    assert_allclose(Factor(F, Y).leverages(F, 0.3), np.diag(hat), atol=1e-12)


def test_states_follow_their_equation():
    weights = draw_weights(15, 2, seed=3)
    U, state = RNG.randn(6, 2), 0.1 * RNG.randn(15)
    W = weights.recurrent.toarray()
    assert_allclose(np.abs(np.linalg.eigvals(W)).max(), 1.0, rtol=1e-5)
    expected, x = [], state
    for u in U:
        drive = 0.6 * W @ x + 0.3 * weights.inputs @ u + 1.2 * weights.bias
        x = 0.3 * x + 0.7 * np.tanh(drive)
        expected.append(x)
    assert_allclose(weights.states(U, SETTING, state), expected, atol=1e-12)
    assert_array_equal(draw_weights(15, 2, seed=3).inputs, weights.inputs)


WIRING = Wiring(
    np.array([0, 2]), np.array([1]), np.array([0.5]), np.array([(0, 3), (2, 1)], dtype=int)
)


def test_an_input_row_is_the_same_alone_and_among_all():
    Z = RNG.randn(12, 3)
    rows = WIRING.rows(Z)
    assert (WIRING.n_past, WIRING.n_inputs, rows.shape) == (4, 5, (9, 5))
    for i, t in enumerate(range(3, 12)):
        expected = [Z[t, 0], Z[t, 2], (Z[t, 1] - Z[t - 1, 1]) / 0.5, Z[t - 3, 0], Z[t - 1, 2]]
        assert_allclose(rows[i], expected)
        assert_allclose(WIRING.row(Z[:, :, None], t)[:, 0], expected)


def test_loops_side_by_side_run_as_each_would_alone():
    flow = lorenz63(120, dt=0.05)
    rows = np.column_stack([flow[5:, 0], flow[5:, 1], flow[:-5, 0]])  # the last is a copy
    structure = find_structure(rows)
    assert_array_equal(structure.free, [0, 1])
    Z = structure.forward(rows)
    weights = draw_weights(10, 5, seed=0)
    coef, offset = 0.1 * RNG.randn(2, 2, 15), 0.01 * RNG.randn(2, 2)
    states = RNG.randn(10, 2)
    bounds = np.full(3, -2.0), np.full(3, 2.0)
    innovations = 0.01 * RNG.randn(8, 2, 2)
    past = np.stack([Z[50:60], Z[70:80]], axis=2)
    paths = closed_loops(
        weights, SETTING, structure, WIRING, 8, past=past, states=states, coef=coef,
        offset=offset, bounds=bounds, innovations=innovations,
    )  # fmt: skip
    for p in range(2):
        window, x = list(past[:, :, p]), states[:, p]
        for t in range(8):
            u = WIRING.rows(np.array(window))[-1]
            x = weights.states(u[None], SETTING, x)[0]
            free = window[-1][:2] + coef[p] @ np.r_[x, u] + offset[p] + innovations[t, :, p]
            window.append(np.r_[np.clip(free, -2, 2), window[-5][0]])
        assert_allclose(paths[:, :, p], window[10:], atol=1e-12)
