import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import LinAlgError

import oracles_ridge as oracle
from echocast.reservoir._linalg import (
    EPS,
    factor_solve,
    factor_spectrum,
    gram_solve,
    gram_spectrum,
    shrinkage,
    spectrum_solve,
)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 30)
targets = st.integers(1, 4)


def factored(S, Y):
    """R of [S, Y], cut into the parts that the solvers take."""
    p = S.shape[1]
    R = np.linalg.qr(np.column_stack([S, Y]), mode="r")
    return R[:p, :p], R[:p, p:], (R[p:, p:] ** 2).sum(axis=0)


@given(seeds, sizes, targets, st.floats(1e-6, 1e3))
@settings(max_examples=60, deadline=None)
def test_the_solvers_equal_the_oracle(seed, p, d, alpha):
    rng = np.random.default_rng(seed)
    S, Y = rng.normal(size=(p + d + 20, p)), rng.normal(size=(p + d + 20, d))
    expected, _ = oracle.ridge(S, Y, alpha, fit_intercept=False)
    R, Z, rest = factored(S, Y)
    by_qr, _ = factor_solve(R, Z, alpha)
    by_svd = spectrum_solve(factor_spectrum(R, Z, rest, p * EPS), alpha)
    G, B, squares = np.triu(S.T @ S), S.T @ Y, (Y**2).sum(axis=0)
    by_cholesky, _, _, residual = gram_solve(G, B, squares, alpha)
    by_eigh = spectrum_solve(gram_spectrum(G, B, squares, np.sqrt(p * EPS)), alpha)
    # Condition numbers stay below 1e3 here, so 1e-10 leaves room for their squares.
    for coef in (by_qr, by_svd, by_cholesky, by_eigh):
        assert_allclose(coef, expected, rtol=1e-10, atol=1e-10)
    assert_allclose(residual, np.linalg.norm(Y - S @ expected.T, axis=0), rtol=1e-8)


def test_spectrum_tells_what_lies_outside():
    rng = np.random.default_rng(0)
    S, Y = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    left_over = np.linalg.lstsq(S, Y, rcond=None)[1]
    R, Z, rest = factored(S, Y)
    assert_allclose(factor_spectrum(R, Z, rest, 1e-12).rest, left_over)
    squares = (Y**2).sum(axis=0)
    assert_allclose(gram_spectrum(S.T @ S, S.T @ Y, squares, 1e-7).rest, left_over)


def test_rank_is_cut_at_the_level_and_the_norm_is_minimal():
    rng = np.random.default_rng(1)
    S = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 8))
    Y = rng.normal(size=(40, 2))
    R, Z, rest = factored(S, Y)
    spectrum = factor_spectrum(R, Z, rest, 8 * EPS)
    assert spectrum.rank == 3
    assert spectrum.condition > 1e14
    assert_allclose(spectrum_solve(spectrum, 0.0), (np.linalg.pinv(S) @ Y).T, atol=1e-12)
    coef, condition = factor_solve(R, Z, 0.0)
    assert coef is None
    assert condition > 1e13


def test_no_states_at_all_give_zero_coefficients():
    spectrum = factor_spectrum(np.zeros((3, 3)), np.zeros((3, 2)), np.ones(2), 1e-15)
    assert spectrum.rank == 0
    assert spectrum.condition == np.inf
    assert_array_equal(spectrum_solve(spectrum, 0.0), np.zeros((2, 3)))


def test_shrinkage_at_every_scale():
    sigma = np.array([1e200, 1.0, 1e-200])
    assert_array_equal(shrinkage(sigma, 0.0), [0.0, 0.0, 0.0])
    assert_allclose(shrinkage(sigma, 1.0), [0.0, 0.5, 1.0])
    assert_allclose(shrinkage(sigma, np.array([1.0, 3.0]))[1], [0.5, 0.75])


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("alpha", [0.0, 1e-12, 1e-8, 1e-4, 1.0])
@pytest.mark.parametrize("noise", [0.0, 1e-3, 1.0])
def test_the_bound_on_normal_equations_holds(condition, alpha, noise):
    rng = np.random.default_rng(2)
    S = oracle.graded(rng, 400, 40, condition)
    Y = S @ rng.normal(size=(40, 2)) + noise * rng.normal(size=(400, 2))
    Y -= Y.mean(axis=0)
    exact, _ = oracle.ridge(S, Y, alpha)
    try:
        coef, _, lost, _ = gram_solve(np.triu(S.T @ S), S.T @ Y, (Y**2).sum(axis=0), alpha)
    except LinAlgError:
        assert condition == 1e8
        assert alpha <= 1e-12
        return
    error = np.linalg.norm(S @ (coef - exact).T, axis=0)
    # The reference itself is good to about EPS times the norm of the targets.
    assert (error <= lost + 40 * EPS * np.linalg.norm(Y, axis=0)).all()


def test_condition_estimates_are_of_the_right_size():
    rng = np.random.default_rng(3)
    S = oracle.graded(rng, 200, 30, 1e5)
    R, Z, rest = factored(S, S[:, :1])
    spectrum = factor_spectrum(R, Z, rest, 30 * EPS)
    assert_allclose(spectrum.condition, 1e5, rtol=1e-6)
    for estimate in (
        factor_solve(R, Z, 0.0)[1],
        gram_solve(S.T @ S, S.T @ S[:, :1], (S[:, :1] ** 2).sum(axis=0), 0.0)[1],
    ):
        assert 1e5 / 5 < estimate < 1e5 * 40  # 1-norms and traces differ by up to the width


def test_indefinite_normal_equations_are_refused():
    G = np.array([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(LinAlgError, match="positive definite"):
        gram_solve(G, np.ones((2, 1)), np.ones(1), 0.0)


def test_inputs_are_not_modified():
    rng = np.random.default_rng(4)
    S, Y = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    R, Z, rest = (np.asfortranarray(a) for a in factored(S, Y))
    before = R.copy(), Z.copy(), rest.copy()
    factor_solve(R, Z, 1e-3)
    factor_spectrum(R, Z, rest, 1e-14)
    for array, old in zip((R, Z, rest), before):
        assert_array_equal(array, old)
    G, B = np.asfortranarray(S.T @ S), np.asfortranarray(S.T @ Y)
    before = G.copy(), B.copy()
    gram_solve(G, B, np.ones(2), 1.0)
    gram_spectrum(G, B, np.ones(2), 1e-8)
    for array, old in zip((G, B), before):
        assert_array_equal(array, old)
