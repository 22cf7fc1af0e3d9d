"""Readouts of many features: one matrix, the dual form and LSQR, against the SVD of all rows."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import LinAlgError
from sklearn.exceptions import ConvergenceWarning

import echocast
from echocast.exceptions import IllConditionedWarning
from echocast.reservoir import (
    ESNRegressor,
    _in_place,
    _lsqr,
    _many_features,
    leave_one_out_errors,
    with_penalty,
    without_rows,
)
from echocast.reservoir._factor import RidgeFactor
from echocast.reservoir._in_place import factor_solve_in_blocks, gram_solve_in_place
from echocast.reservoir._linalg import gram_solve
from echocast.reservoir._readout import fit_readout, leave_one_out, solve_factor


@pytest.fixture
def large(monkeypatch):
    """Every number of features counts as large."""
    monkeypatch.setattr(_in_place, "LARGE", 1)


def problem(seed, n_rows, n_features, *, decay=4.0, weighted=True):
    rng = np.random.RandomState(seed)
    S = rng.standard_normal((n_rows, n_features)) * 10.0 ** -np.linspace(0, decay, n_features) + 2.0
    Y = S @ rng.standard_normal((n_features, 2)) + 0.01 * rng.standard_normal((n_rows, 2))
    weight = rng.randint(0, 3, n_rows).astype(float) if weighted else np.ones(n_rows)
    weight[0] = 1.0
    return S, Y, weight


def in_blocks(S, Y, weight, height=37):
    def blocks():
        for k in range(0, len(S), height):
            rows = slice(k, k + height)
            yield S[rows], Y[rows], weight[rows]

    return blocks


def by_svd(S, Y, weight, alpha, fit_intercept=True):
    """Coefficients and intercepts from singular values of the rows themselves."""
    share = weight / weight.sum() if fit_intercept else 0.0 * weight
    mean, target = share @ S, share @ Y
    root = np.sqrt(weight)[:, None]
    U, sigma, Vt = np.linalg.svd(root * (S - mean), full_matrices=False)
    gain = sigma / (sigma * sigma + alpha)
    coef = (Vt.T @ (gain[:, None] * (U.T @ (root * (Y - target))))).T
    return coef, target - coef @ mean


def apart(fit, S, Y, weight, alpha, fit_intercept=True):
    """Distance of fitted values from those of the SVD, as a share of the residuals' norm."""
    coef, intercept = by_svd(S, Y, weight, alpha, fit_intercept)
    root = np.sqrt(weight)[:, None]
    fitted, right = S @ fit.coef.T + fit.intercept, S @ coef.T + intercept
    return np.linalg.norm(root * (fitted - right)) / np.linalg.norm(root * (Y - right))


sizes = st.integers(1, 40)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n_rows=st.integers(3, 400),
    n_features=sizes,
    alpha=st.sampled_from([1e-4, 1e-2, 1.0]),
    fit_intercept=st.booleans(),
    height=st.integers(1, 300),
    solver=st.sampled_from(["auto", "cholesky", "qr", "dual", "lsqr"]),
)
def test_every_way_finds_the_solution_of_the_svd(
    seed, n_rows, n_features, alpha, fit_intercept, height, solver
):
    if solver == "dual":
        n_rows, n_features = min(n_rows, n_features), max(n_rows, n_features)
    S, Y, weight = problem(seed, n_rows, n_features)
    blocks = in_blocks(S, Y, weight, height)
    options = {"alpha": alpha, "solver": solver, "fit_intercept": fit_intercept, "n_rows": n_rows}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_in_place, "LARGE", 1)
        fit = fit_readout(blocks, n_features, 2, **options)
    # the bound at which "auto" accepts, and LSQR's own
    allowed = 1e-4 if solver == "lsqr" else 1e-3
    if np.linalg.norm(by_svd(S, Y, weight, alpha, fit_intercept)[0]) > 0:
        assert apart(fit, S, Y, weight, alpha, fit_intercept) < allowed
    if solver in ("qr", "dual"):
        coef, intercept = by_svd(S, Y, weight, alpha, fit_intercept)
        assert_allclose(fit.coef, coef, rtol=1e-7, atol=1e-8)
        assert_allclose(fit.intercept, intercept, rtol=1e-7, atol=1e-7)


# ---- one matrix ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [5, 100, 256, 1000])
@pytest.mark.parametrize("n_features", [3, 90])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_normal_equations_in_place_equal_those_on_copies_and_restore_the_factor(
    n_rows, n_features, fit_intercept, monkeypatch
):
    monkeypatch.setattr(_in_place, "_TILE", 32)  # several tiles, the last one not whole
    S, Y, weight = problem(0, n_rows, n_features, decay=1.0)
    factor = RidgeFactor(n_features, 2, method="gram").update(S, Y, weight)
    before = factor.flushed()._sums.matrix.copy()
    system = factor.system(fit_intercept=fit_intercept)
    coef, condition, lost, residual = gram_solve(system.xx, system.xy, system.target_squares, 0.1)
    solved = gram_solve_in_place(factor, 0.1, fit_intercept=fit_intercept)
    # both are off by eps times the squared condition number, 1e5 or less
    assert_allclose(solved.coef, coef, rtol=1e-9, atol=1e-9)
    assert_allclose(solved.intercept, system.intercept(coef), rtol=1e-9, atol=1e-8)
    assert_allclose(solved.condition, condition, rtol=0.1)  # both are estimates
    assert_allclose(solved.lost, lost, rtol=0.2)
    assert_allclose(solved.residual, residual, rtol=1e-4)
    assert_array_equal(factor.flushed()._sums.matrix, before)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-9])
def test_the_factor_in_blocks_keeps_what_normal_equations_lose(
    fit_intercept, alpha, monkeypatch, large
):
    monkeypatch.setattr(_in_place, "_TILE", 7)
    S, Y, weight = problem(1, 700, 40, decay=9.0)
    factor = RidgeFactor(40, 2).update(S, Y, weight)
    before = factor.copy()
    coef, intercept, _ = factor_solve_in_blocks(factor, alpha, fit_intercept=fit_intercept)
    right, right_intercept = by_svd(S, Y, weight, alpha, fit_intercept)
    # the smallest direction is determined to eps times the condition number, 1e-7 or so
    assert_allclose(coef, right, rtol=1e-5, atol=1e-6 * np.abs(right).max())
    assert_allclose(intercept, right_intercept, rtol=1e-5, atol=1e-6 * np.abs(right).max())
    assert_array_equal(factor.flushed()._sums.matrix, before.flushed()._sums.matrix)


def test_auto_leaves_normal_equations_where_they_lose_too_much(large):
    S, Y, weight = problem(2, 300, 30, decay=9.0)
    Y = S @ np.ones((30, 2)) + 1e-12
    fit = fit_readout(in_blocks(S, Y, weight), 30, 2, alpha=1e-18)
    assert fit.solver_used == "qr"
    fit = fit_readout(in_blocks(*problem(2, 300, 30, decay=2.0)), 30, 2, alpha=1e-3)
    assert fit.solver_used == "cholesky"


def test_lost_rank_is_said_in_the_same_words(large):
    S, Y, weight = problem(3, 200, 10)
    few = S[:, :3] @ np.random.RandomState(0).standard_normal((3, 10))
    with pytest.raises(LinAlgError, match="not positive definite"):
        fit_readout(in_blocks(few, Y, weight), 10, 2, alpha=0.0, solver="cholesky")
    S[:, 4] = S[:, 5]
    blocks = in_blocks(S, Y, weight)
    for solver in ("qr", "svd", "auto"):
        with pytest.warns(IllConditionedWarning, match="rank 9 of 10"):
            fit = fit_readout(blocks, 10, 2, alpha=0.0, solver=solver)
        assert fit.rank == 9
    with pytest.warns(IllConditionedWarning, match="rank 4 of 5"):
        fit_readout(in_blocks(S[:5], Y[:5], np.ones(5)), 10, 2, alpha=0.0, solver="dual")
    S, Y, weight = problem(3, 200, 10, decay=8.0)
    Y = S @ np.ones((10, 2))
    with pytest.warns(IllConditionedWarning, match="may be off"):
        fit_readout(in_blocks(S, Y, weight), 10, 2, alpha=1e-14, solver="cholesky")


def test_a_shared_factor_is_solved_on_a_copy(large, monkeypatch):
    S, Y, weight = problem(4, 500, 20)
    factor = RidgeFactor(20, 2, method="gram").update(S, Y, weight)
    seen = []
    monkeypatch.setattr(
        "echocast.reservoir._readout.gram_solve_in_place",
        lambda held, *args, **kw: (seen.append(held), gram_solve_in_place(held, *args, **kw))[1],
    )
    fit = solve_factor(factor, alpha=0.1)
    assert fit.factor is factor
    assert seen[0] is not factor
    solve_factor(factor, alpha=0.1, own=True)
    assert seen[1] is factor


def test_the_peak_is_little_more_than_one_matrix(large, monkeypatch):
    monkeypatch.setattr(_in_place, "_TILE", 32)
    n = 500
    S, Y, weight = problem(5, 700, n, weighted=False)
    S = S.astype(np.float32)
    peaks = {}
    for solver in ("cholesky", "qr", "lsqr"):
        tracemalloc.start()
        fit_readout(in_blocks(S, Y, weight, 50), n, 2, alpha=1.0, solver=solver)
        peaks[solver] = tracemalloc.get_traced_memory()[1] / (8 * n**2)
        tracemalloc.stop()
    # rows wait in a buffer, which a copy of the factor's last rows doubles at most; its height
    # shrinks to 256 rows for many features
    buffer = (RidgeFactor(n, 2)._buffer.height + 700) / n
    assert peaks["cholesky"] < 1.3 + buffer
    assert peaks["qr"] < 2.3 + buffer
    assert peaks["lsqr"] < 0.8


# ---- float32 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "cholesky", "qr", "svd", "dual", "lsqr"])
def test_sums_of_float32_states_are_in_float64(solver, large):
    """Two columns that differ by 1e-4, in 20,000 rows: float32 sums know them to 1e-5 at best."""
    rng = np.random.RandomState(0)
    n_rows, n_features = (60, 80) if solver == "dual" else (20_000, 12)
    S = rng.standard_normal((n_rows, n_features)).astype(np.float32)
    S[:, 1] = S[:, 0] + np.float32(1e-4) * S[:, 1]
    S += np.float32(3.0)
    exact = S.astype(np.float64)
    Y = 1e3 * (exact[:, 1:2] - exact[:, :1]) + exact[:, 2:3]
    fit = fit_readout(
        in_blocks(S, Y, np.ones(n_rows), 500),
        n_features,
        1,
        alpha=1e-9,
        solver=solver,
        dtype=np.float32,
    )
    coef, _ = by_svd(exact, Y, np.ones(n_rows), 1e-9)
    assert fit.coef.dtype == np.float64
    assert_allclose(fit.coef, coef, rtol=1e-5, atol=1e-4)
    # what float32 would have made of the same sums
    low = S - S.mean(axis=0)
    gram, cross = low.T @ low, low.T @ (Y - Y.mean(axis=0)).astype(np.float32)
    off = np.linalg.lstsq(gram, cross, rcond=None)[0][:, 0] - coef[0]
    assert np.abs(off).max() > 1.0


# ---- dual ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_dual_leave_one_out_and_penalties_are_those_of_the_svd(fit_intercept):
    S, Y, weight = problem(6, 30, 70)
    blocks, alphas = in_blocks(S, Y, weight), np.array([1e-3, 1e-1, 10.0])
    options = {"alpha": alphas, "fit_intercept": fit_intercept}
    dual = fit_readout(blocks, 70, 2, solver="dual", **options)
    svd = fit_readout(blocks, 70, 2, solver="svd", **options)
    assert dual.solver_used == "dual"
    assert dual.alpha == svd.alpha
    assert_allclose(dual.loo_errors, svd.loo_errors, rtol=1e-6)
    assert_allclose(dual.coef, svd.coef, rtol=1e-6, atol=1e-9)
    left_out = [leave_one_out(fit, blocks, fit_intercept=fit_intercept) for fit in (dual, svd)]
    assert_allclose(*left_out, rtol=1e-6, atol=1e-8)


def test_dual_refuses_more_rows_than_features():
    S, Y, weight = problem(7, 30, 20, weighted=False)
    for known in (30, None):
        with pytest.raises(ValueError, match="30 rows and 20 features"):
            fit_readout(in_blocks(S, Y, weight), 20, 2, alpha=1.0, solver="dual", n_rows=known)


def series(n):
    t = np.arange(n)
    return np.column_stack([np.sin(0.2 * t), np.cos(0.31 * t) + np.sin(0.05 * t) ** 2])


def network(**params):
    return ESNRegressor(
        **{"n_units": 60, "alpha": 1e-6, "washout": 20, "random_state": 0, **params}
    )


def test_a_dual_fit_goes_on_as_any_other(large, tmp_path):
    u = series(400)
    model = network(n_units=150).fit(u[:40], u[1:41])
    assert model.solver_ == "dual"
    whole = network(n_units=150, solver="qr").fit(u[:-1], u[1:])
    again = echocast.load(echocast.save(model, tmp_path / "model.echocast"))
    for other in (model, again):
        other.partial_fit(u[40:-1], u[41:])
        assert other.solver_ in ("qr", "cholesky")
        assert_allclose(other.predict(u), whole.predict(u), atol=1e-5)


def test_a_dual_fit_has_all_that_reads_its_statistics(large):
    u = series(60)
    dual = network(n_units=150, solver="dual").fit(u[:-1], u[1:])
    svd = network(n_units=150, solver="svd").fit(u[:-1], u[1:])
    assert_allclose(dual.predict(u), svd.predict(u), atol=1e-7)
    pairs = [leave_one_out_errors(m, u[:-1], u[1:]) for m in (dual, svd)]
    assert_allclose(*pairs, rtol=1e-4, atol=1e-6)
    assert_allclose(without_rows(dual).predict(u), dual.predict(u))
    right = network(n_units=150, alpha=0.1, solver="svd").fit(u[:-1], u[1:])
    changed = with_penalty(dual, 0.1)
    assert changed.solver_ == "dual"
    assert_allclose(changed.predict(u), right.predict(u), atol=1e-8)
    changed = with_penalty(without_rows(dual.set_params(solver="auto")), 0.1)
    assert changed.solver_ in ("cholesky", "qr")
    assert_allclose(changed.predict(u), right.predict(u), atol=1e-8)


# ---- LSQR ---------------------------------------------------------------------------------------


def test_lsqr_reaches_the_solution_from_passes_alone():
    u = series(600)
    model = network(n_units=120, solver="lsqr", spectral_radius=0.6).fit(u[:-1], u[1:])
    right = network(n_units=120, solver="svd", spectral_radius=0.6).fit(u[:-1], u[1:])
    assert model.solver_ == "lsqr"
    errors = [(m.predict(u[:-1]) - u[1:])[20:] for m in (model, right)]
    assert np.linalg.norm(errors[0] - errors[1]) < 1e-4 * np.linalg.norm(errors[1])


def test_lsqr_warns_if_it_stops_early(monkeypatch):
    monkeypatch.setattr(_lsqr, "_MOST_PASSES", 12)
    S, Y, weight = problem(8, 500, 300)
    with pytest.warns(ConvergenceWarning, match="after 12 passes"):
        fit_readout(in_blocks(S, Y, weight), 300, 2, alpha=1e-9, solver="lsqr")


def test_the_bound_of_lsqr_holds_wherever_it_stops(monkeypatch):
    S, Y, weight = problem(9, 400, 120)
    root = np.sqrt(weight)[:, None]
    for passes in (4, 8, 16, 32, 64):
        monkeypatch.setattr(_lsqr, "_MOST_PASSES", passes)
        found = _lsqr.lsqr_solve(in_blocks(S, Y, weight), 120, 2, alpha=1e-4, fit_intercept=True)
        coef, intercept = by_svd(S, Y, weight, 1e-4)
        off = root * (S @ (found.coef - coef).T + found.intercept - intercept)
        assert (np.linalg.norm(off, axis=0) <= found.bound).all()
        assert found.n_passes <= passes + 1


@pytest.mark.parametrize("alpha", [0.0, [1e-3, 1.0], "auto"])
def test_lsqr_needs_one_positive_penalty(alpha):
    S, Y, weight = problem(10, 50, 8)
    with pytest.raises(ValueError, match="needs one `alpha` > 0"):
        fit_readout(in_blocks(S, Y, weight), 8, 2, alpha=alpha, solver="lsqr")


def test_lsqr_of_constants_and_of_nothing():
    S, Y = np.full((30, 4), 2.0), np.full((30, 1), 5.0)
    fit = fit_readout(in_blocks(S, Y, np.ones(30)), 4, 1, alpha=1.0, solver="lsqr")
    assert_allclose(S @ fit.coef.T + fit.intercept, Y)
    with pytest.raises(ValueError, match="no rows of positive weight"):
        fit_readout(in_blocks(S, Y, np.zeros(30)), 4, 1, alpha=1.0, solver="lsqr")
    for place, bad in ((S, np.nan), (S, 1e200), (Y, np.nan)):
        value, place[3, 0] = place[3, 0], bad
        with pytest.raises(ValueError, match="contain NaN, or overflow"):
            fit_readout(in_blocks(S, Y, np.ones(30)), 4, 1, alpha=1.0, solver="lsqr")
        place[3, 0] = value


def test_what_needs_statistics_says_that_lsqr_keeps_none():
    u = series(300)
    model = network(solver="lsqr", alpha=1e-3).fit(u[:-1], u[1:])
    assert_allclose(without_rows(model).predict(u), model.predict(u))
    assert np.isfinite(model.generate(20)).all()
    with pytest.raises(ValueError, match="needs all rows at once"):
        model.partial_fit(u[:-1], u[1:])
    model.solver = "auto"
    for use in (
        lambda: model.partial_fit(u[:-1], u[1:]),
        lambda: with_penalty(model, 0.1),
        lambda: leave_one_out_errors(model, u[:-1], u[1:]),
    ):
        with pytest.raises(ValueError, match="keeps no statistics"):
            use()


# ---- what "auto" takes --------------------------------------------------------------------------


def test_auto_goes_by_memory(large, monkeypatch):
    u = series(500)
    assert network().fit(u[:-1], u[1:]).solver_ in ("cholesky", "qr")
    assert network(alpha="auto").fit(u[:-1], u[1:]).solver_ == "svd"
    assert network(n_units=200, alpha="auto").fit(u[:80], u[1:81]).solver_ == "dual"
    monkeypatch.setattr(_many_features, "_LARGEST_MATRIX", 8 * 50**2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert network(alpha=1e-4).fit(u[:-1], u[1:]).solver_ == "lsqr"
    for alpha in ("auto", 0.0):
        with pytest.raises(ValueError, match="forms none above"):
            network(alpha=alpha).fit(u[:-1], u[1:])
    assert network(alpha=0.1, solver="cholesky").fit(u[:-1], u[1:]).solver_ == "cholesky"


def test_a_small_network_is_solved_as_ever():
    u = series(100)
    assert network(n_units=400, solver="auto").fit(u[:60], u[1:61]).solver_ != "dual"
