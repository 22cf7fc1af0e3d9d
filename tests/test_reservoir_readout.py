import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import LinAlgError

import oracles_ridge as oracle
from echocast._checks import check_alpha
from echocast.exceptions import IllConditionedWarning, InvalidParameterError
from echocast.reservoir._readout import (
    RidgeFactor,
    fit_readout,
    leave_one_out,
    solve_factor,
)

SOLVERS = ["auto", "cholesky", "qr", "svd"]
seeds = st.integers(0, 2**32 - 1)


def stream(S, Y, weight=None, height=97):
    """What fit_readout takes: yields views on one buffer, as the reservoir does."""

    def blocks():
        blocks.calls += 1
        buffer = np.empty((height, S.shape[1]), dtype=S.dtype)
        for start in range(0, len(S), height):
            part = slice(start, start + height)
            n = len(S[part])
            buffer[:n] = S[part]
            blocks.rows += n
            yield buffer[:n], Y[part], None if weight is None else weight[part]

    blocks.calls = blocks.rows = 0
    return blocks


def fit(S, Y, weight=None, **options):
    options = {"alpha": 1.0, **options}
    return fit_readout(stream(S, Y, weight), S.shape[1], Y.shape[1], **options)


def noisy(seed, n, p, d=2):
    rng = np.random.default_rng(seed)
    S = rng.normal(size=(n, p)) + rng.normal(size=p)
    return S, S @ rng.normal(size=(p, d)) + rng.normal(size=(n, d)), rng.uniform(0.2, 2.0, n)


def reservoir_states(n, p, seed=0):
    """A tanh network driven by the Henon map, and the map's next value: condition 1e6 to 1e8."""
    rng = np.random.default_rng(seed)
    u = np.full((n + 151, 1), 0.1)
    for i in range(2, len(u)):
        u[i] = 1.0 - 1.4 * u[i - 1] ** 2 + 0.3 * u[i - 2]
    W = rng.normal(size=(p, p)) * 0.3 / np.sqrt(p)
    W_in, b = rng.uniform(-0.5, 0.5, (p, 1)), rng.uniform(-1.5, 1.5, p)
    S = np.zeros((n + 151, p))
    for i in range(1, n + 151):
        S[i] = np.tanh(W @ S[i - 1] + W_in @ u[i - 1] + b)
    return S[150:-1], u[150:-1]


def smooth_states(n, p):
    """States whose singular values fall over twelve decades, and targets linear in them."""
    rng = np.random.default_rng(100)
    S = oracle.graded(rng, n, p, 1e12)
    return S, S @ rng.normal(size=(p, 2))


# ------------------------------------------------------------------ meaning


@pytest.mark.parametrize("solver", SOLVERS)
@given(
    seed=seeds,
    n=st.integers(1, 150),
    p=st.integers(1, 12),
    alpha=st.floats(1e-3, 1e3),
    fit_intercept=st.booleans(),
    weighted=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_every_solver_equals_the_oracle(solver, seed, n, p, alpha, fit_intercept, weighted):
    S, Y, weight = noisy(seed, n, p)
    weight = weight if weighted else None
    result = fit(S, Y, weight, alpha=alpha, solver=solver, fit_intercept=fit_intercept)
    coef, intercept = oracle.ridge(S, Y, alpha, weight, fit_intercept)
    assert_allclose(result.coef, coef, rtol=1e-8, atol=1e-8)
    assert_allclose(result.intercept, intercept, rtol=1e-8, atol=1e-8)
    assert result.alpha == alpha
    assert result.factor.n_samples == n


@pytest.mark.parametrize("solver", SOLVERS)
def test_repeating_all_rows_and_doubling_alpha_changes_nothing(solver):
    S, Y, _ = noisy(0, 80, 10)
    once = fit(S, Y, alpha=0.7, solver=solver)
    twice = fit(np.tile(S, (2, 1)), np.tile(Y, (2, 1)), alpha=1.4, solver=solver)
    assert_allclose(twice.coef, once.coef, rtol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("exponent", [-200, -30, 30, 200])
def test_a_scale_of_the_states_goes_into_the_coefficients(solver, exponent):
    S, Y, _ = noisy(1, 80, 10)
    base = fit(S, Y, alpha=0.5, solver=solver)
    scale = 2.0**exponent
    other = fit(S * scale, Y, alpha=0.5 * scale**2, solver=solver)
    assert_allclose(other.coef * scale, base.coef, rtol=1e-10)


@pytest.mark.parametrize("alpha", ["auto", [1e-3, 1.0, 1e3]])
def test_orthogonal_states_have_the_textbook_solution(alpha):
    S = np.diag([1.0, 2.0])
    result = fit(S, S @ [[1.0], [2.0]], alpha=0.5, fit_intercept=False)
    assert_allclose(result.coef, [[1.0 / 1.5, 2.0 * 4.0 / 4.5]])
    several = fit(S, S @ [[1.0], [2.0]], alpha=alpha, fit_intercept=False)
    assert_allclose(several.coef, [[1.0, 4.0] / (np.array([1.0, 4.0]) + several.alpha) * [1, 2]])


# ---------------------------------------------- where other packages go wrong


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [0.0, 1e-6])
@pytest.mark.parametrize("offset", [1.0, 1e3, 1e6, 1e7, 1e8, 1e10])
def test_an_offset_of_states_and_targets_costs_nothing(solver, alpha, offset):
    rng = np.random.default_rng(2)
    S, Y = oracle.dyadic(rng, (2000, 8)), oracle.dyadic(rng, (2000, 2))
    Y += S[:, :2] * 4
    coef, _ = oracle.ridge(S, Y, alpha)
    result = fit(S + offset, Y - offset, alpha=alpha, solver=solver)
    assert_allclose(result.coef, coef, rtol=0, atol=1e-12)
    predicted = (S[:5] + offset) @ result.coef.T + result.intercept + offset
    assert_allclose(predicted, oracle_rows(S, Y, alpha), rtol=0, atol=1e-14 * offset + 1e-12)


def oracle_rows(S, Y, alpha):
    coef, intercept = oracle.ridge(S, Y, alpha)
    return S[:5] @ coef.T + intercept


@pytest.mark.parametrize("alpha", ["auto", 1e-6])
def test_an_offset_does_not_enter_the_choice_of_alpha(alpha):
    rng = np.random.default_rng(3)
    S = oracle.dyadic(rng, (600, 8))
    Y = S[:, :1] + np.round(rng.normal(size=(600, 1)) * 2**16) / 2**16
    base, moved = fit(S, Y, alpha=alpha), fit(S + 1e8, Y, alpha=alpha)
    assert moved.alpha == base.alpha
    assert_allclose(moved.coef, base.coef, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("alpha", [1e-2, 1e-6, 1e-10, 1e-12, 1e-14])
@pytest.mark.parametrize("solver", ["auto", "qr", "svd"])
def test_small_penalties_at_condition_4e11(solver, alpha):
    rng = np.random.default_rng(4)
    S = oracle.graded(rng, 2000, 100, 4e11)
    Y = S @ rng.normal(size=(100, 2)) + 1e-5 * rng.normal(size=(2000, 2))
    coef, _ = oracle.ridge(S, Y, alpha)
    result = fit(S, Y, alpha=alpha, solver=solver)
    noise = np.linalg.norm(Y - S @ coef.T)
    assert np.linalg.norm(S @ (result.coef - coef).T) < 1e-4 * noise
    if result.solver_used != "cholesky":
        # Measured 1e-13 (1e-2) to 2e-7 (1e-14); Cholesky gives 5e-4 at 1e-10, nothing below.
        assert np.linalg.norm(result.coef - coef) < 2e-6 * np.linalg.norm(coef)
    assert (result.solver_used == "cholesky") <= (solver == "auto" and alpha >= 1e-10)


@pytest.mark.parametrize("solver", ["auto", "qr", "svd"])
def test_rank_loss_without_penalty_warns_and_has_minimum_norm(solver):
    rng = np.random.default_rng(5)
    S = rng.normal(size=(200, 20))
    S[:, 15:] = S[:, :5]
    Y = rng.normal(size=(200, 2))
    with pytest.warns(IllConditionedWarning, match=r"singular: rank 15 of 20 .* Minimum-norm"):
        result = fit(S, Y, alpha=0.0, solver=solver)
    coef = np.linalg.pinv(S - S.mean(axis=0)) @ (Y - Y.mean(axis=0))
    assert_allclose(result.coef, coef.T, atol=1e-12)
    assert result.rank == 15
    assert result.solver_used == "svd"


def test_fewer_rows_than_features():
    S, Y, _ = noisy(6, 10, 25)
    with pytest.warns(IllConditionedWarning, match="rank 9 of 25"):
        result = fit(S, Y, alpha=0.0)
    assert_allclose(S @ result.coef.T + result.intercept, Y, atol=1e-11)
    coef, _ = oracle.ridge(S, Y, 0.3)
    for solver in SOLVERS:
        assert_allclose(fit(S, Y, alpha=0.3, solver=solver).coef, coef, atol=1e-12)


@pytest.mark.parametrize("condition", [1e2, 1e5, 1e8, 1e11, 1e14, 1e16])
@pytest.mark.parametrize("alpha", [0.0, 1e-20, 1e-14, 1e-10, 1e-6, 1.0])
@pytest.mark.parametrize("solver", SOLVERS)
def test_never_a_silently_wrong_prediction(condition, alpha, solver):
    rng = np.random.default_rng(7)
    S = oracle.graded(rng, 1500, 60, condition)
    Y = S @ rng.normal(size=(60, 2)) + 1e-3 * rng.normal(size=(1500, 2))
    coef, _ = oracle.ridge(S, Y, alpha)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = fit(S, Y, alpha=alpha, solver=solver)
        except LinAlgError:  # an error is not silent
            assert solver == "cholesky"
            return
    error = np.linalg.norm(S @ (result.coef - coef).T)
    assert error < 1e-6 * np.linalg.norm(Y) or caught
    if solver != "cholesky":
        # At 1e16 rounding decides whether the last direction counts, and with it whether one
        # degree of freedom of the noise (1e-3 in each of two targets) is fitted.
        rank = 2e-3 * np.sqrt(2) if condition >= 1e16 else 0.0
        assert error < 1e-3 * np.linalg.norm(Y - S @ coef.T) + rank


# ------------------------------------------------------- which solver is taken


def test_auto_takes_normal_equations_where_they_suffice():
    S, Y, _ = noisy(8, 3000, 30)
    blocks = stream(S, Y)
    result = fit_readout(blocks, 30, 2, alpha=1e-6)
    assert result.solver_used == "cholesky"
    assert result.factor.method == "gram"
    assert blocks.calls == 1
    assert_allclose(result.coef, fit(S, Y, alpha=1e-6, solver="svd").coef, rtol=1e-10)


def test_auto_gives_up_on_normal_equations_early():
    S, Y = smooth_states(2000, 60)
    blocks = stream(S, Y)
    result = fit_readout(blocks, 60, 2, alpha=1e-12)
    assert result.solver_used == "qr"
    assert result.factor.method == "qr"
    assert blocks.calls == 2
    assert blocks.rows < 2000 + 300


def test_cholesky_warns_where_it_loses_accuracy():
    S, Y = smooth_states(2000, 60)
    with pytest.warns(IllConditionedWarning, match="predictions may be off"):
        fit(S, Y, alpha=1e-13, solver="cholesky")
    with pytest.raises(LinAlgError, match="The normal equations of ESN are not positive"):
        fit(S, Y, alpha=0.0, solver="cholesky", owner="ESN")


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, "auto", [1e-12, 1e-6, 1.0]])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("selection", ["loo", "gcv"])
def test_usual_settings_do_not_warn_on_reservoir_states(alpha, solver, selection):
    S, Y = reservoir_states(1000, 80)
    result = fit(S, Y, alpha=alpha, solver=solver, selection=selection)
    assert np.isfinite(result.coef).all()


def test_coefficients_without_digits_warn():
    S = oracle.graded(np.random.default_rng(9), 300, 20, 1e14)
    Y = S[:, :1]
    with pytest.warns(IllConditionedWarning, match="accurate to 1 digits"):
        fit(S, Y, alpha=0.0, solver="svd")


def test_partial_statistics_give_the_solution_of_one_fit():
    S, Y, weight = noisy(10, 900, 15)
    whole = fit(S, Y, weight, alpha=1e-6, solver="qr")
    a = RidgeFactor(15, 2).update(S[:400], Y[:400], weight[:400])
    b = RidgeFactor(15, 2).update(S[400:], Y[400:], weight[400:])
    for solver in SOLVERS:
        merged = solve_factor(a.merge(b), alpha=1e-6, solver=solver)
        assert_allclose(merged.coef, whole.coef, rtol=1e-11, atol=1e-13)
        assert_allclose(merged.intercept, whole.intercept, rtol=1e-11, atol=1e-13)
    streamed = whole.factor.copy().update(S, Y, weight)
    assert_allclose(solve_factor(streamed, alpha=2e-6).coef, whole.coef, rtol=1e-11, atol=1e-13)


def test_a_gram_factor_is_solved_as_far_as_it_resolves():
    S, Y = smooth_states(1500, 60)
    factor = RidgeFactor(60, 2, method="gram").update(S, Y)
    with pytest.warns(IllConditionedWarning, match="singular"):
        result = solve_factor(factor, alpha=0.0)
    assert result.solver_used == "cholesky"
    error = Y - S @ result.coef.T - result.intercept
    assert np.sqrt(np.mean(error**2)) < 1e-5


# ----------------------------------------------------- choosing the penalty


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("n", "p"), [(60, 8), (12, 20), (21, 20), (3, 1)])
def test_leave_one_out_errors_equal_refits(n, p, weighted, fit_intercept):
    S, Y, weight = noisy(11, n, p)
    weight = weight if weighted else np.ones(n)
    alphas = np.array([1e-6, 1e-2, 1.0, 1e3])
    result = fit(S, Y, weight, alpha=alphas, fit_intercept=fit_intercept)
    for alpha, errors in zip(alphas, result.loo_errors):
        left_out = oracle.predict_left_out(S, Y, alpha, weight, fit_intercept)
        squares = weight[:, None] * (Y - left_out) ** 2
        assert_allclose(errors, squares.sum(axis=0) / weight.sum(), rtol=1e-8)
    relative = (result.loo_errors / oracle.centred(S, Y, weight, fit_intercept)[1].var(0)).sum(1)
    if fit_intercept and not weighted:
        assert result.alpha == alphas[np.argmin(relative)]
    assert_array_equal(result.alphas, alphas)


def test_leave_one_out_without_penalty_is_the_limit():
    S, Y, _ = noisy(12, 10, 15)
    result = fit(S, Y, alpha=[0.0, 1e-9])
    assert_allclose(result.loo_errors[0], result.loo_errors[1], rtol=1e-6)
    S, Y, _ = noisy(12, 40, 5)
    expected = ((Y - oracle.predict_left_out(S, Y, 0.0)) ** 2).mean(axis=0)
    assert_allclose(fit(S, Y, alpha=[0.0, 1e-9]).loo_errors[0], expected)


def test_leave_one_out_errors_of_ill_conditioned_states():
    S, Y = reservoir_states(150, 40)
    alphas = np.array([1e-2, 1e-6, 1e-10])
    result = fit(S, Y, alpha=alphas)
    for alpha, errors in zip(alphas, result.loo_errors):
        expected = ((Y - oracle.predict_left_out(S, Y, alpha)) ** 2).mean(axis=0)
        assert_allclose(errors, expected, rtol=1e-4)


def test_a_row_that_alone_shows_a_feature_is_no_surprise():
    S, Y, _ = noisy(13, 30, 4)
    S[:, 3] = 0.0
    S[17, 3] = 5.0
    result = fit(S, Y, alpha=[1e-10])
    expected = ((Y - oracle.predict_left_out(S, Y, 1e-10)) ** 2).mean(axis=0)
    assert_allclose(result.loo_errors[0], expected, rtol=1e-6)


@pytest.mark.parametrize("alpha", ["auto", 0.3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_single_rows_predicted_by_the_others(alpha, fit_intercept):
    S, Y, weight = noisy(14, 50, 6)
    weight[::7] = 0.0
    blocks = stream(S, Y, weight)
    result = fit_readout(blocks, 6, 2, alpha=alpha, fit_intercept=fit_intercept)
    kept = weight > 0
    expected = oracle.predict_left_out(
        S[kept], Y[kept], result.alpha, weight[kept], fit_intercept=fit_intercept
    )
    predicted = leave_one_out(result, blocks, fit_intercept=fit_intercept)
    assert_allclose(predicted, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_generalised_cross_validation_equals_the_hat_matrix(weighted, fit_intercept):
    S, Y, weight = noisy(15, 60, 8)
    weight = weight if weighted else None
    alphas = np.array([1e-3, 1.0, 1e3])
    factor = RidgeFactor(8, 2).update(S, Y, weight)
    result = solve_factor(factor, alpha=alphas, fit_intercept=fit_intercept)
    expected = [oracle.gcv(S, Y, a, weight, fit_intercept) for a in alphas]
    assert_allclose(result.loo_errors, expected, rtol=1e-9)
    streamed = fit(S, Y, weight, alpha=alphas, fit_intercept=fit_intercept, selection="gcv")
    assert_array_equal(streamed.coef, result.coef)


@pytest.mark.parametrize("selection", ["loo", "gcv"])
def test_auto_alpha_follows_the_noise(selection):
    S, Y = reservoir_states(1200, 80)
    rng = np.random.default_rng(16)
    chosen = [
        fit(S, Y + noise * rng.normal(size=Y.shape), alpha="auto", selection=selection).alpha
        for noise in (0.0, 1e-4, 1e-2, 1.0)
    ]
    assert chosen[0] < 1e-11
    assert sorted(chosen) == chosen
    assert chosen[-1] > 1e-2


def test_auto_alpha_reaches_from_the_largest_direction_to_the_rounding_level():
    S, Y, _ = noisy(17, 500, 12)
    result = fit(S, Y, alpha="auto")
    largest = np.linalg.svd(S - S.mean(axis=0), compute_uv=False)[0] ** 2
    assert largest / 10 < result.alphas[0] <= largest
    assert 1e-34 < result.alphas[-1] / largest < 1e-28
    assert_allclose(result.alphas[:-1] / result.alphas[1:], 10.0)
    narrow = fit(S.astype(np.float32), Y, alpha="auto", dtype=np.float32)
    assert 1e-16 < narrow.alphas[-1] / largest < 1e-13


def test_normal_equations_offer_candidates_they_resolve():
    S, Y = reservoir_states(1200, 80)
    result = fit(S, Y, alpha="auto", solver="cholesky")
    assert result.solver_used == "cholesky"
    assert result.alphas[-1] / result.alphas[0] > 1e-17
    assert_allclose(S @ result.coef.T + result.intercept, Y, atol=1e-3)


def test_equal_errors_take_the_larger_penalty_and_constant_targets_have_no_say():
    S, Y, _ = noisy(18, 300, 4)
    assert fit(S, Y, alpha=[1e-12, 1e-10, 1e-11]).alpha == 1e-10
    Y[:, 1] = 3.2
    both, alone = fit(S, Y, alpha="auto"), fit(S, Y[:, :1], alpha="auto")
    assert both.alpha == alone.alpha
    assert_array_equal(both.coef[1], np.zeros(4))
    assert both.intercept[1] == 3.2


# ---------------------------------------------------------- degenerate data


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [1e-6, "auto"])
@pytest.mark.parametrize("value", [0.1, -1e9, 0.0])
def test_a_constant_target_is_returned_exactly(solver, alpha, value):
    S, _, weight = noisy(19, 200, 5)
    result = fit(S, np.full((200, 1), value), weight, alpha=alpha, solver=solver)
    assert_array_equal(result.coef, np.zeros((1, 5)))
    assert_array_equal(result.intercept, [value])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [1e-6, 1.0, "auto"])
def test_constant_features_get_no_weight(solver, alpha):
    S, Y, _ = noisy(20, 200, 5)
    S[:, [1, 4]] = 0.7, -1e6
    result = fit(S, Y, alpha=alpha, solver=solver)
    few = fit(S[:, [0, 2, 3]], Y, alpha=alpha, solver=solver)
    assert_allclose(result.coef[:, [1, 4]], 0.0, atol=1e-13)
    assert result.alpha == few.alpha
    assert_allclose(result.coef[:, [0, 2, 3]], few.coef, rtol=1e-9)


@pytest.mark.parametrize("solver", ["auto", "svd"])
def test_constant_features_alone_are_no_reason_to_warn(solver):
    S, Y, _ = noisy(21, 200, 5)
    S[:, 2] = 1.0
    result = fit(S, Y, alpha=0.0, solver=solver)
    coef, _ = oracle.ridge(S, Y, 0.0)
    assert_allclose(result.coef, coef, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 1.0, "auto", [1.0, 2.0]])
def test_states_that_never_vary_give_the_mean(alpha):
    Y = np.arange(8.0)[:, None]
    result = fit(np.ones((8, 3)), Y, alpha=alpha)
    assert_array_equal(result.coef, np.zeros((1, 3)))
    assert_allclose(result.intercept, [3.5])


@pytest.mark.parametrize("alpha", [1.0, "auto"])
def test_one_row_gives_its_target(alpha):
    result = fit(np.ones((1, 3)), np.full((1, 2), 4.0), alpha=alpha)
    assert_array_equal(result.coef, np.zeros((2, 3)))
    assert_array_equal(result.intercept, [4.0, 4.0])


@pytest.mark.parametrize("alpha", [1e-6, "auto"])
def test_duplicate_features_share_the_weight(alpha):
    S, Y, _ = noisy(22, 300, 4)
    result = fit(np.column_stack([S, S[:, 0]]), Y, alpha=alpha)
    assert_allclose(result.coef[:, 0], result.coef[:, 4], rtol=1e-6)


# --------------------------------------------------------------- bad arguments


@pytest.mark.parametrize("alpha", [-1, np.nan, np.inf, "best", [], [1.0, -1.0], [[1.0]], [None]])
def test_a_bad_alpha_is_named(alpha):
    with pytest.raises(InvalidParameterError, match="The 'alpha' parameter of Readout must be"):
        fit(np.ones((4, 2)), np.ones((4, 1)), alpha=alpha)


def test_good_alphas_pass():
    assert check_alpha("auto", "X") == "auto"
    assert check_alpha(0, "X") == 0.0
    assert_array_equal(check_alpha((1, 2), "X"), [1.0, 2.0])


def test_bad_options_are_named():
    for option in ("solver", "selection"):
        with pytest.raises(InvalidParameterError, match=f"The '{option}' parameter of Readout"):
            fit(np.ones((4, 2)), np.ones((4, 1)), **{option: "magic"})


def test_no_positive_weight_is_an_error():
    S, Y, _ = noisy(23, 20, 3)
    for alpha in (1.0, "auto"):
        with pytest.raises(ValueError, match="no rows of positive weight"):
            fit(S, Y, np.zeros(20), alpha=alpha)
