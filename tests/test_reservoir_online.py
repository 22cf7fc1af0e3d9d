"""Readouts that learn row by row, against normal equations and recursions in plain NumPy."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import FORCEReadout, LMSReadout, RLSReadout

RNG = np.random.RandomState(0)
S = RNG.randn(400, 8) @ RNG.randn(8, 8) + 3.0
Y = S @ RNG.randn(8, 2) + 0.1 * RNG.randn(400, 2) - 5.0


def weighted_ridge(S, Y, alpha, forgetting, fit_intercept, weight=None):
    """Normal equations in long double, with the penalty that is renewed one feature at a time."""
    S, Y = S.astype(np.longdouble), Y.astype(np.longdouble)
    ones = int(fit_intercept)
    n = S.shape[1] + ones
    G, Z = np.zeros((n, n), np.longdouble), np.zeros((n, Y.shape[1]), np.longdouble)
    G[range(ones, n), range(ones, n)] = alpha
    done = 0
    for t in range(len(S)):
        w = 1.0 if weight is None else weight[t]
        if w == 0:
            continue
        f = np.concatenate([np.ones(ones, np.longdouble), S[t]])
        G = forgetting * G + w * np.outer(f, f)
        Z = forgetting * Z + w * np.outer(f, Y[t])
        k = ones + done % (n - ones)
        G[k, k] += alpha * (1 - np.longdouble(forgetting) ** (n - ones))
        done += 1
    solved = gauss(G, Z).astype(float)
    return solved[ones:].T, (solved[0] if ones else np.zeros(Y.shape[1]))


def gauss(G, Z):
    """Solve a positive definite system by elimination (LAPACK has no long doubles)."""
    G, Z = G.copy(), Z.copy()
    n = len(G)
    for k in range(n):
        factor = G[k + 1 :, k] / G[k, k]
        G[k + 1 :] -= np.outer(factor, G[k])
        Z[k + 1 :] -= np.outer(factor, Z[k])
    for k in range(n - 1, -1, -1):
        Z[k] = (Z[k] - G[k, k + 1 :] @ Z[k + 1 :]) / G[k, k]
    return Z


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-8, 1e-3, 10.0])
def test_without_forgetting_it_is_ridge_regression(alpha, fit_intercept):
    ridge = Ridge(alpha, fit_intercept=fit_intercept, solver="svd").fit(S, Y)
    readout = RLSReadout(alpha=alpha, fit_intercept=fit_intercept).fit(S, Y)
    assert_allclose(readout.coef_, ridge.coef_, rtol=1e-9)
    assert_allclose(readout.intercept_, ridge.intercept_, rtol=1e-9)
    assert_allclose(readout.predict(S), ridge.predict(S), rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("forgetting", [0.9, 0.99, 1.0])
def test_after_each_row_it_is_the_solution_of_the_rows_so_far(forgetting, fit_intercept):
    settings_ = {"alpha": 1e-2, "forgetting": forgetting, "fit_intercept": fit_intercept}
    readout = RLSReadout(**settings_)
    for stop in (1, 2, 9, 60, 400):
        readout.fit(S[:stop], Y[:stop])
        coef, intercept = weighted_ridge(S[:stop], Y[:stop], **settings_)
        assert_allclose(readout.coef_, coef, rtol=1e-9, atol=1e-10)
        assert_allclose(readout.intercept_, intercept, rtol=1e-9, atol=1e-9)


def test_weights_and_rows_of_weight_zero():
    weight = RNG.uniform(size=400) * (RNG.uniform(size=400) < 0.7)
    readout = RLSReadout(alpha=1e-2, forgetting=0.97).fit(S, Y, weight)
    expected = weighted_ridge(S, Y, 1e-2, 0.97, True, weight)
    assert_allclose(readout.coef_, expected[0], rtol=1e-9)
    kept = weight > 0
    again = RLSReadout(alpha=1e-2, forgetting=0.97).fit(S[kept], Y[kept], weight[kept])
    assert_array_equal(again.coef_, readout.coef_)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["rls", "force", "lms"]),
    n_features=st.integers(1, 9),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_cuts_between_calls_do_not_change_a_bit(seed, kind, n_features, cuts):
    rng = np.random.RandomState(seed)
    rows, targets = rng.randn(60, n_features), rng.randn(60, 2)
    readout = {
        "rls": RLSReadout(forgetting=0.95),
        "force": FORCEReadout(),
        "lms": LMSReadout(),
    }[kind]
    whole, parts = clone(readout).fit(rows, targets), clone(readout)
    edges = [0, *sorted(c for c in cuts if c), 60]
    for a, b in pairwise(edges):
        if a < b:
            parts.partial_fit(rows[a:b], targets[a:b])
    assert_array_equal(parts.coef_, whole.coef_)
    assert_array_equal(parts.intercept_, whole.intercept_)


def naive(S, Y, alpha, forgetting):
    """The textbook recursion of the inverse correlation matrix, in the precision of S."""
    one, lam = S.dtype.type(1), S.dtype.type(forgetting)
    P = np.eye(S.shape[1], dtype=S.dtype) / S.dtype.type(alpha)
    coef = np.zeros((S.shape[1], Y.shape[1]), S.dtype)
    for s, y in zip(S, Y):
        k = P @ s / (lam + s @ P @ s)
        coef += np.outer(k, y - s @ coef)
        P = (P - np.outer(k, s @ P)) * (one / lam)
    return coef, P


def single(S, Y, alpha, forgetting):
    """What RLSReadout does, in single precision."""
    from echocast.reservoir._kernels_online import back_substitute, rls_rows

    n, one = S.shape[1], np.float32(1)
    R = np.zeros((n, n + Y.shape[1]), np.float32)
    R[range(n), range(n)] = np.sqrt(np.float32(alpha))
    renewal = np.float32(np.sqrt(alpha * (1 - forgetting**n)))
    rls_rows(R, np.hstack([S, Y]), one * np.float32(np.sqrt(forgetting)), renewal, 0, 0)
    coef = np.zeros((Y.shape[1], n), np.float32)
    back_substitute(R, coef)
    return coef


def ill_conditioned(n_rows, n=20, seed=1):
    """Features whose singular values fall by a factor of a million, as those of reservoirs do."""
    rng = np.random.RandomState(seed)
    basis = np.linalg.qr(rng.randn(n, n))[0]
    S = rng.randn(n_rows, n) * np.logspace(0, -6, n) @ basis
    return S, S @ rng.randn(n, 1) + 1e-3 * rng.randn(n_rows, 1)


def test_the_naive_recursion_breaks_in_single_precision_where_the_square_root_does_not():
    S, Y = ill_conditioned(3000)
    truth = RLSReadout(alpha=1e-4, forgetting=0.99, fit_intercept=False).fit(S, Y)
    S32, Y32 = S.astype(np.float32), Y.astype(np.float32)
    with np.errstate(all="ignore"):
        coef, P = naive(S32, Y32, 1e-4, 0.99)
        errors = np.abs(S @ coef.astype(float) - Y)
    assert np.diag(P).min() < 0 or not np.isfinite(P).all()  # no covariance matrix any more
    assert not errors[-100:].max() < 1
    ours = single(S32, Y32, 1e-4, 0.99)
    assert np.abs(S @ (ours - truth.coef_).T).max() < 1e-4


def test_directions_that_rows_do_not_excite_stay_small():
    S, Y = ill_conditioned(20_000, n=6)
    S[:, 2] = 0
    readout = RLSReadout(alpha=1e-3, forgetting=0.9).fit(S, Y)
    assert np.abs(readout.coef_).max() < 20
    assert np.diagonal(readout._fit_R).min() > 1e-3


@pytest.mark.slow
def test_a_million_steps():
    S, Y = ill_conditioned(1_000_000)
    readout = RLSReadout(alpha=1e-6, fit_intercept=False).fit(S, Y)
    rows = np.vstack([S, 1e-3 * np.eye(20)])
    expected = np.linalg.lstsq(rows, np.vstack([Y, np.zeros((20, 1))]), rcond=None)[0].T
    assert_allclose(readout.predict(S), S @ expected.T, rtol=0, atol=1e-10)
    # With forgetting only the last rows count, however many there were before.
    late = RLSReadout(alpha=1e-6, forgetting=0.99).fit(S, Y)
    short = RLSReadout(alpha=1e-6, forgetting=0.99).fit(S[-5000:], Y[-5000:])
    assert_allclose(late.predict(S[-100:]), short.predict(S[-100:]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_least_mean_squares_step_by_step(normalized, fit_intercept):
    weight = RNG.uniform(size=400)
    settings_ = {"learning_rate": 0.01, "normalized": normalized, "fit_intercept": fit_intercept}
    readout = LMSReadout(offset=0.5, **settings_).fit(S / 5, Y, weight)
    rows = np.hstack([np.ones((400, int(fit_intercept))), S / 5])
    coef = np.zeros((2, rows.shape[1]))
    for s, y, w in zip(rows, Y, weight):
        scale = 0.01 * w / (0.5 + s @ s) if normalized else 0.01 * w
        coef += scale * np.outer(y - coef @ s, s)
    assert_allclose(readout.coef_, coef[:, int(fit_intercept) :], rtol=1e-10)
    if fit_intercept:
        assert_allclose(readout.intercept_, coef[:, 0], rtol=1e-10)


def test_steps_that_are_too_long_are_an_error_and_leave_the_readout_as_it_was():
    readout = LMSReadout(learning_rate=1e-3, normalized=False).fit(S, Y)
    before = readout.coef_.copy()
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="LMSReadout grew without bound"),
    ):
        readout.set_params(learning_rate=5.0).partial_fit(np.tile(S, (3, 1)), np.tile(Y, (3, 1)))
    assert_array_equal(readout.coef_, before)
    assert readout.n_samples == 400


@pytest.mark.parametrize("readout", [RLSReadout(), LMSReadout(), FORCEReadout()])
def test_forms_of_y_copies_and_what_does_not_fit(readout):
    flat = clone(readout).fit(S, Y[:, 0])
    assert flat.predict(S).shape == (400,)
    assert flat.coef_.shape == (1, 8)
    other = flat.copy()
    kept = flat.coef_.copy()
    other.absorb(S, Y[:, :1])
    assert_array_equal(flat.coef_, kept)
    assert (other.n_samples, flat.n_samples) == (800, 400)
    with pytest.raises(ValueError, match=r"2 targets, but .* expecting 1"):
        flat.partial_fit(S, Y)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        flat.partial_fit(S, Y[:, 0], -np.ones(400))
    with pytest.raises(ValueError, match=r"expected \(400,\)"):
        flat.partial_fit(S, Y[:, 0], np.ones(3))


@pytest.mark.parametrize(
    ("readout", "name"),
    [
        (RLSReadout(alpha=0.0), "alpha"),
        (RLSReadout(forgetting=0.0), "forgetting"),
        (RLSReadout(forgetting=1.1), "forgetting"),
        (RLSReadout(fit_intercept="yes"), "fit_intercept"),
        (FORCEReadout(update_every=0), "update_every"),
        (LMSReadout(learning_rate=0), "learning_rate"),
        (LMSReadout(offset=0), "offset"),
        (LMSReadout(normalized=2), "normalized"),
    ],
)
def test_forbidden_parameters(readout, name):
    owner = type(readout).__name__
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of {owner} must be"):
        readout.fit(S, Y)
