"""Large networks: what becomes of their rows and matrices before, within and after a fit."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import LinAlgError

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import (
    DeepESNRegressor,
    ESNClassifier,
    ESNRegressor,
    LocalESNRegressor,
    NVARRegressor,
    WindowESNRegressor,
    _in_place,
    _lsqr,
    _many_features,
    leave_one_out_errors,
    with_penalty,
    without_rows,
)
from echocast.reservoir._factor import RidgeFactor
from echocast.reservoir._in_place import gram_solve_in_place
from echocast.reservoir._many_features import by_size
from echocast.reservoir._readout import fit_readout


@pytest.fixture
def large(monkeypatch):
    """Every number of features counts as large."""
    monkeypatch.setattr(_in_place, "LARGE", 1)


def waves(n_steps, n_columns=2):
    t = np.arange(n_steps)[:, None] + 7.0 * np.arange(n_columns)
    return np.sin(0.2 * t) + np.cos(0.031 * t) ** 3


def network(**params):
    return ESNRegressor(
        **{"n_units": 150, "alpha": 1e-4, "washout": 20, "random_state": 0, **params}
    )


# ---- how many rows there are --------------------------------------------------------------------


def test_rows_without_weight_do_not_count(large):
    rng = np.random.RandomState(0)
    S, Y = rng.standard_normal((40, 20)), rng.standard_normal((40, 1))
    weight = (np.arange(40) % 4 == 0).astype(float)
    right = fit_readout(lambda: iter([(S, Y, weight)]), 20, 1, alpha=0.1, solver="svd")
    for n_rows in (40, None):
        blocks = lambda: iter([(S, Y, weight)])  # noqa: E731
        found = fit_readout(blocks, 20, 1, alpha=0.1, solver="dual", n_rows=n_rows)
        assert_allclose(found.coef, right.coef, atol=1e-12)
    u, weight = waves(500), np.zeros(499)
    weight[10:60] = 1.0  # 40 of them after the washout
    model = network().fit(u[:-1], u[1:], sample_weight=weight)
    assert model.solver_ == "dual"


@pytest.mark.parametrize("n_steps", [30, 70, 160])
def test_the_rows_of_all_patches_count(n_steps, large):
    u = np.tanh(np.cumsum(0.1 * np.random.RandomState(0).standard_normal((n_steps, 12)), axis=0))
    params = {"n_units": 300, "group_size": 2, "alpha": 1e-3, "washout": 20, "random_state": 0}
    fits = [LocalESNRegressor(**params, solver=s).fit(u[:-1], u[1:]) for s in ("auto", "svd")]
    assert fits[0].solver_ == ("dual" if n_steps == 30 else "cholesky")  # 6 rows a step
    assert_allclose(*[fit.predict(u) for fit in fits], atol=1e-8)


def test_auto_keeps_no_rows_that_take_more_than_the_largest_matrix():
    assert by_size(30_000, 10_000, "auto", "ESN") == "dual"
    assert by_size(60_000, 15_000, 1e-6, "ESN") == "dual"
    assert by_size(60_000, 20_000, 1e-6, "ESN") == "lsqr"  # rows of 9 GiB
    with pytest.raises(ValueError, match="forms none above 8"):
        by_size(60_000, 20_000, "auto", "ESN")


# ---- after a dual fit ---------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_penalties_and_left_out_rows_after_a_dual_fit_need_no_matrix(
    fit_intercept, large, monkeypatch
):
    u, weight = waves(60), np.ones(59)
    weight[25:30], weight[40:] = 0.0, 2.5
    pair = []
    for solver in ("auto", "svd"):
        model = network(solver=solver, fit_intercept=fit_intercept)
        pair.append(model.fit(u[:-1], u[1:], sample_weight=weight))
    dual, svd = pair
    assert dual.solver_ == "dual"
    options = {"sample_weight": weight}
    right = leave_one_out_errors(svd, u[:-1], u[1:], **options)
    last = leave_one_out_errors(svd, u[:-1], u[1:], n_last=7, **options)
    other = with_penalty(svd, 0.1).coef_
    widths, absorb = [], RidgeFactor._absorb
    monkeypatch.setattr(
        RidgeFactor,
        "_absorb",
        lambda self, block: (widths.append(self.n_features), absorb(self, block))[1],
    )
    found = leave_one_out_errors(dual, u[:-1], u[1:], **options)
    assert_allclose(found, right, rtol=1e-6, atol=1e-9)
    found = leave_one_out_errors(dual, u[:-1], u[1:], n_last=7, **options)
    assert_allclose(found, last, rtol=1e-6, atol=1e-9)
    changed = with_penalty(dual, 0.1)
    assert changed.solver_ == "dual"
    assert_allclose(changed.coef_, other, atol=1e-9)
    assert set(widths) <= {34}  # rows with a weight
    widths.clear()
    lean = without_rows(dual)  # which has nothing but the matrix left
    assert widths == [152]
    found = leave_one_out_errors(lean, u[:-1], u[1:], **options)
    assert_allclose(found, right, rtol=1e-6, atol=1e-9)
    lean.solver = "dual"
    with pytest.raises(ValueError, match="which its statistics do not hold"):
        with_penalty(lean, 0.1)


def test_partial_fit_solves_in_the_memory_of_the_new_statistics(large):
    n = 700
    u = waves(2200)
    for solver, most in (("cholesky", 1), ("qr", 2)):
        model = network(n_units=n, alpha=0.1, include_input=False, solver=solver)
        model.partial_fit(u[:1000], u[1:1001])
        tracemalloc.start()
        model.partial_fit(u[1000:-1], u[1001:])
        peak = tracemalloc.get_traced_memory()[1] / (8 * n**2)
        tracemalloc.stop()
        assert peak < most + 2.2  # blocks of rows take more here than at thousands of units


# ---- the Gram matrix is there again -------------------------------------------------------------


@pytest.mark.parametrize("stop", [KeyboardInterrupt, LinAlgError])
def test_the_statistics_survive_what_stops_a_solve(stop, monkeypatch):
    rng = np.random.RandomState(0)
    S = rng.standard_normal((600, 30))
    factor = RidgeFactor(30, 1, method="gram").update(S, S[:, :1])
    before, pending = factor._sums.matrix.copy(), factor._buffer.pending().copy()

    def stopped(*args):
        raise stop

    monkeypatch.setattr(_in_place, "gram_loss", stopped)
    with pytest.raises(stop):
        gram_solve_in_place(factor, 0.1, fit_intercept=True)
    assert_array_equal(factor._sums.matrix, before)
    assert_array_equal(factor._buffer.pending(), pending)


# ---- LSQR ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e30, 1e100, 1e140])
def test_lsqr_at_any_scale(scale):
    rng = np.random.RandomState(0)
    S = scale * rng.standard_normal((200, 30))
    Y = S @ rng.standard_normal((30, 1)) + 0.1 * scale * rng.standard_normal((200, 1))
    blocks = lambda: iter([(S, Y, None)])  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits = [fit_readout(blocks, 30, 1, alpha=scale**2, solver=s) for s in ("lsqr", "svd")]
    assert_allclose(fits[0].coef, fits[1].coef, rtol=1e-4, atol=1e-5)


def test_the_sketch_trusts_nothing_below_the_shift_it_needed():
    basis = np.eye(6)[:, :3]
    image = basis * np.array([1.0, 1e-6, -1e-9])  # rounding has made the last one negative
    _, values, shift = _lsqr._nystrom(basis, image.copy(), 1e-12)
    assert shift > 1e-9
    assert_allclose(values[:2], [1.0, 1e-6], rtol=1e-2)
    assert values[2] < 20.0 * shift


# ---- which estimators ---------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["dual", "lsqr"])
def test_networks_and_functions_of_delays_take_all_solvers(solver):
    u = waves(80)
    for make in (
        lambda s: DeepESNRegressor(2, n_units=40, alpha=1e-3, washout=20, random_state=0, solver=s),
        lambda s: NVARRegressor(delays=6, degree=2, alpha=1e-3, solver=s),
    ):
        fits = [make(s).fit(u[:-1], u[1:]) for s in (solver, "svd")]
        assert fits[0].solver_ == solver
        assert_allclose(*[fit.predict(u) for fit in fits], atol=1e-4)
        if solver == "dual":
            pair = [leave_one_out_errors(fit, u[:-1], u[1:]) for fit in fits]
            assert_allclose(*pair, rtol=1e-5, atol=1e-8)
        with pytest.raises(ValueError, match="needs all rows at once"):
            fits[0].partial_fit(u[:-1], u[1:])
    with pytest.raises(InvalidParameterError, match="solver"):
        LocalESNRegressor(solver=solver).fit(u[:-1], u[1:])


def test_classifiers_have_no_solver_and_no_largest_matrix(large, monkeypatch):
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((30, 12, 2)), np.arange(30) % 3
    for alpha in ("auto", 0.1):
        model = ESNClassifier(40, alpha=alpha, random_state=0)
        right = model.fit(X, y).predict_proba(X)
        with monkeypatch.context() as patch:
            patch.setattr(_many_features, "_LARGEST_MATRIX", 8 * 20**2)
            assert_array_equal(model.fit(X, y).predict_proba(X), right)


def test_windows_take_all_solvers(large):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 12))
    y, weight = X[:, 3] - X[:, 5], np.repeat([1.0, 0.0], 30)
    make = lambda s: WindowESNRegressor(100, alpha=0.1, random_state=0, solver=s)  # noqa: E731
    right = make("svd").fit(X, y, sample_weight=weight).predict(X)
    for solver, used in (("auto", "dual"), ("dual", "dual"), ("lsqr", "lsqr")):
        found = make(solver).fit(X, y, sample_weight=weight)
        assert found.solver_ == used
        assert_allclose(found.predict(X), right, atol=1e-3)


@pytest.mark.parametrize("solver", ["dual", "qr", "cholesky"])
def test_left_out_rows_of_a_shrunk_constant(solver):
    u = 3.0 + waves(40, 1)
    model = NVARRegressor(delays=3, degree=3, alpha=10.0, fit_intercept="penalised")
    model.set_params(increments=False)
    if solver == "dual":
        model.set_params(delays=7)  # 92 features
    errors = leave_one_out_errors(model.set_params(solver=solver).fit(u[:-1], u[1:]), u[:-1], u[1:])
    first, row = 39 - len(errors), 20
    weight = np.ones(39)
    weight[first + row] = 0.0
    other = model.set_params(solver="svd").fit(u[:-1], u[1:], sample_weight=weight)
    assert_allclose(errors[row], (u[1:] - other.predict(u[:-1]))[first + row], rtol=1e-6)
