"""The readout of a growing number of rows against least squares in one piece."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from echocast.reservoir import ESNRegressor, RunningReadout, simulate_paths

RNG = np.random.RandomState(0)
S = RNG.randn(300, 12) @ RNG.randn(12, 12) + 5.0
Y = S @ RNG.randn(12, 2) + RNG.randn(300, 2) - 3.0


def ridge(S, Y, alpha, fit_intercept):
    """Augmented least squares; NumPy alone."""
    ones = np.ones((len(S), int(fit_intercept)))
    penalty = np.sqrt(alpha) * np.eye(S.shape[1])
    rows = np.vstack([np.hstack([ones, S]), np.hstack([np.zeros((12, ones.shape[1])), penalty])])
    targets = np.vstack([Y, np.zeros((12, 2))])
    solved = np.linalg.lstsq(rows, targets, rcond=None)[0]
    intercept = solved[0] if fit_intercept else np.zeros(2)
    return solved[ones.shape[1] :].T, intercept


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-6, 3.0])
def test_after_each_addition_it_is_the_ridge_solution_of_all_rows(alpha, fit_intercept):
    running, done = RunningReadout(12, 2, alpha=alpha, fit_intercept=fit_intercept), 0
    for stop in (50, 51, 120, 300):
        running.extend(S[done:stop], Y[done:stop])
        done = stop
        coef, intercept = running.solve()
        expected = ridge(S[:stop], Y[:stop], alpha, fit_intercept)
        assert_allclose(coef, expected[0], rtol=1e-8, atol=1e-9)
        assert_allclose(intercept, expected[1], rtol=1e-8, atol=1e-8)
        assert running.n_samples == stop


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_leave_one_out_errors_are_those_of_fits_without_the_row(fit_intercept):
    running = RunningReadout(12, 2, alpha=2.0, fit_intercept=fit_intercept).extend(S[:80], Y[:80])
    errors = running.leave_one_out(S[70:80], Y[70:80])
    for i, error in zip(range(70, 80), errors):
        others = np.delete(np.arange(80), i)
        coef, intercept = ridge(S[others], Y[others], 2.0, fit_intercept)
        assert_allclose(error, Y[i] - S[i] @ coef.T - intercept, rtol=1e-8, atol=1e-9)


def test_fewer_rows_than_columns_give_the_solution_of_least_norm():
    coef, intercept = RunningReadout(12, 2, alpha=0.0).extend(S[:6], Y[:6]).solve()
    assert_allclose(S[:6] @ coef.T + intercept, Y[:6], atol=1e-8)
    centred = S[:6] - S[:6].mean(axis=0)
    assert_allclose(coef.T, np.linalg.pinv(centred) @ (Y[:6] - Y[:6].mean(axis=0)), atol=1e-8)
    twice = np.hstack([S[:, :3]] * 4)
    errors = RunningReadout(12, 2, alpha=0.0).extend(twice, Y).leave_one_out(twice, Y)
    assert np.isfinite(errors).all()


def test_nothing_is_learnt_from_no_rows():
    running = RunningReadout(12, 2, alpha=1.0).extend(S[:40], Y[:40])
    before = running.solve()
    assert_allclose(running.extend(S[:0], Y[:0]).solve()[0], before[0], rtol=0, atol=0)


@pytest.mark.parametrize("include_input", [True, False])
def test_paths_with_readouts_of_their_own(include_input):
    u = np.sin(0.2 * np.arange(400))[:, None] + 0.1 * np.random.RandomState(1).randn(400, 1)
    models = [
        ESNRegressor(20, alpha=alpha, include_input=include_input, random_state=0).fit(
            u[:-1], u[1:]
        )
        for alpha in (1e-3, 10.0)
    ]
    readouts = np.stack([m.coef_ for m in models]), np.stack([m.intercept_ for m in models])
    shocks = 0.1 * np.random.RandomState(2).randn(15, 1, 6)
    together = simulate_paths(models[0], 15, history=u, innovations=shocks, readouts=readouts)
    for k, model in enumerate(models):
        part = slice(3 * k, 3 * k + 3)
        alone = simulate_paths(model, 15, history=u, innovations=shocks[:, :, part])
        assert_allclose(together[:, :, part], alone, rtol=1e-12, atol=1e-12)
    low, high = np.full((1, 6), -9.0), np.linspace(0.1, 0.6, 6)[None]
    held = simulate_paths(models[0], 15, history=u, innovations=shocks, bounds=(low, high))
    assert (held <= high).all()
    assert (held == high).any(axis=0).sum() > 2
    four = tuple(np.repeat(part, 2, axis=0) for part in readouts)
    with pytest.raises(ValueError, match="6 paths do not fall into 4 groups"):
        simulate_paths(models[0], 15, history=u, innovations=shocks, readouts=four)
    with pytest.raises(ValueError, match="`readouts` must have shapes"):
        simulate_paths(models[0], 15, history=u, readouts=(readouts[0][0], readouts[1]))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("solver", ["auto", "qr"])
def test_going_on_from_a_fit_is_starting_from_its_rows(solver, fit_intercept):
    u = np.sin(0.2 * np.arange(500))[:, None] + 0.1 * np.random.RandomState(1).randn(500, 1)
    settings = {"fit_intercept": fit_intercept, "random_state": 0, "washout": 20}
    esn = ESNRegressor(30, alpha=0.5, solver=solver, **settings).fit(u[:300], u[1:301])
    features = np.hstack([esn.transform(u[:400]), u[:400]])
    anew = RunningReadout(31, 1, alpha=0.5, fit_intercept=fit_intercept)
    anew.extend(features[20:], u[21:401])
    went_on = RunningReadout.from_fit(esn)
    assert esn.solver_ == ("qr" if solver == "qr" else "cholesky")
    assert_allclose(went_on.solve()[0], esn.coef_, rtol=1e-8, atol=1e-9)
    went_on.extend(features[300:], u[301:401])
    for a, b in zip(went_on.solve(), anew.solve()):
        assert_allclose(a, b, rtol=1e-9, atol=1e-10)
    assert_allclose(went_on.leverages(features[20:]), anew.leverages(features[20:]), rtol=1e-8)


def test_normal_equations_that_are_not_accurate_enough_are_not_gone_on_from():
    u = np.sin(0.2 * np.arange(500))[:, None] + 0.1 * np.random.RandomState(1).randn(500, 1)
    esn = ESNRegressor(30, alpha=1e-9, solver="cholesky", random_state=0).fit(u[:-1], u[1:])
    assert RunningReadout.from_fit(esn) is None


def test_what_cannot_be_learnt_from_is_refused():
    readout = RunningReadout(2, 1, alpha=1.0)
    with pytest.raises(ValueError, match="has no rows to learn from"):
        readout.solve()
    with pytest.raises(ValueError, match="has no rows to learn from"):
        readout.extend(np.ones((3, 2)), np.ones((3, 1)), np.zeros(3)).solve()
    with pytest.raises(ValueError, match=r"`S` must have shape \(3, 2\), got \(3, 5\)"):
        readout.extend(np.ones((3, 5)), np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"`Y` must have shape \(3, 1\), got \(3,\)"):
        readout.extend(np.ones((3, 2)), np.ones(3))
