"""LocalESNRegressor against a loop over patches, its symmetries, and two spatial systems."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_esn
import oracles_variants as oracle
from echocast.datasets import lorenz96
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import ESNRegressor, LocalESNRegressor


def field(n=200, n_cells=12, seed=0):
    """Waves that travel along a ring, and a little noise."""
    rng = np.random.RandomState(seed)
    cells = 2 * np.pi * np.arange(n_cells) / n_cells
    t = np.arange(n)[:, None]
    waves = np.sin(cells - 0.1 * t) + 0.5 * np.sin(2 * cells + 0.23 * t)
    return waves + 0.02 * rng.randn(n, n_cells)


PATCHES = {
    "n_cells": st.sampled_from([4, 6]),
    "group_size": st.sampled_from([1, 2]),
    "overlap": st.integers(0, 5),
    "boundary": st.sampled_from(["periodic", "open"]),
    "shared": st.booleans(),
    "include_input": st.booleans(),
}


@given(seed=st.integers(0, 99), **PATCHES)
@settings(max_examples=30, deadline=None)
def test_fit_and_predict_equal_the_oracle(
    seed, n_cells, group_size, overlap, boundary, shared, include_input
):
    u = field(80, n_cells, seed)
    X, Y = u[:-1], u[1:]
    model = LocalESNRegressor(
        8,
        group_size=group_size,
        overlap=overlap,
        boundary=boundary,
        shared=shared,
        include_input=include_input,
        leak_rate=0.7,
        washout=15,
        alpha=1e-2,
        random_state=seed,
    ).fit(X, Y)
    features = oracle.patch_features(model, X, group_size, overlap, boundary == "periodic")
    features = features if include_input else [F[:, :8] for F in features]
    targets = np.split(Y, n_cells // group_size, axis=1)
    if shared:
        stacked = np.vstack([F[15:] for F in features]), np.vstack([y[15:] for y in targets])
        solved = [oracles_esn.ridge(*stacked, 1e-2)] * len(features)
        assert_allclose(model.coef_, solved[0][0], rtol=1e-5, atol=1e-7)
    else:
        solved = [oracles_esn.ridge(F[15:], y[15:], 1e-2) for F, y in zip(features, targets)]
        assert_allclose(model.coef_, [coef for coef, _ in solved], rtol=1e-5, atol=1e-7)
    outputs = [F @ coef.T + intercept for F, (coef, intercept) in zip(features, solved)]
    assert_allclose(model.predict(X), np.hstack(outputs), rtol=1e-6, atol=1e-7)
    states = np.hstack([F[:, :8] for F in features])
    assert_allclose(model.transform(X), states, rtol=1e-11, atol=1e-12)
    assert_allclose(model.state_, states[-1].reshape(-1, 8), rtol=1e-11, atol=1e-12)


def test_other_targets_are_read_from_all_patches():
    X = field(120, 6)
    y = X.sum(axis=1) * X[:, 0]
    model = LocalESNRegressor(8, group_size=2, washout=15, alpha=1e-2, random_state=0).fit(X, y)
    features = oracle.patch_features(model, X, 2, 2, True)
    F = np.stack(features, axis=2).reshape(len(X), -1)
    coef, intercept = oracles_esn.ridge(F[15:], y[15:, None], 1e-2)
    assert_allclose(model.coef_, coef, rtol=1e-5, atol=1e-7)
    assert_allclose(model.predict(X), (F @ coef.T + intercept)[:, 0], rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match="1 target"):
        model.generate(2)


def test_one_patch_over_all_cells_is_an_echo_state_network():
    u = field(200, 3)
    params = {"alpha": 1e-3, "random_state": 0, "input_scaling": 0.3, "spectral_radius": 0.8}
    for shared in (True, False):
        local = LocalESNRegressor(30, group_size=3, overlap=0, shared=shared, **params)
        local.fit(u[:-1], u[1:])
        flat = ESNRegressor(30, **params).fit(u[:-1], u[1:])
        assert_allclose(local.predict(u), flat.predict(u), rtol=1e-7, atol=1e-8)
        assert_allclose(local.generate(10), flat.generate(10), rtol=1e-5, atol=1e-6)


def test_a_shared_readout_moves_with_the_field_round_the_ring():
    u = field(200, 12)
    model = LocalESNRegressor(20, group_size=2, random_state=0).fit(u[:-1], u[1:])
    turned = np.roll(u, 4, axis=1)
    assert_allclose(model.predict(turned), np.roll(model.predict(u), 4, axis=1), rtol=1e-9)
    out = model.generate(20, warmup=turned[:100])
    assert_allclose(out, np.roll(model.generate(20, warmup=u[:100]), 4, axis=1), rtol=1e-6)


def test_no_patch_sees_beyond_its_overlap():
    u = field(100, 12)
    model = LocalESNRegressor(20, group_size=2, overlap=1, random_state=0).fit(u[:-1], u[1:])
    touched = u.copy()
    touched[:, 7] = 1e3
    changed = ~np.isclose(model.predict(touched), model.predict(u)).all(axis=0)
    assert_array_equal(np.flatnonzero(changed), [6, 7, 8, 9])
    opened = LocalESNRegressor(20, group_size=2, overlap=1, boundary="open", random_state=0)
    opened.fit(u[:-1], u[1:])
    touched = u.copy()
    touched[:, 0] = 1e3
    changed = ~np.isclose(opened.predict(touched), opened.predict(u)).all(axis=0)
    assert_array_equal(np.flatnonzero(changed), [0, 1])


def test_own_readouts_learn_a_law_that_differs_from_cell_to_cell():
    rng = np.random.RandomState(0)
    X = rng.randn(600, 6)
    Y = X * np.arange(1, 7)
    own = LocalESNRegressor(10, overlap=0, shared=False, alpha=1e-6, random_state=0).fit(X, Y)
    shared = LocalESNRegressor(10, overlap=0, alpha=1e-6, random_state=0).fit(X, Y)
    assert own.score(X, Y) > 0.9999
    assert shared.score(X, Y) < 0.9
    assert own.coef_.shape == (6, 1, 11)
    assert own.alpha_.shape == (6,)


def test_own_readouts_choose_penalties_by_cross_validation():
    u = field(150, 4)
    candidates = [1e-4, 1e-2, 1.0]
    model = LocalESNRegressor(12, shared=False, alpha=candidates, random_state=0)
    model.fit(u[:-1], u[1:])
    assert set(model.alpha_) <= set(candidates)
    assert [e.shape for e in model.loo_errors_] == [(3, 1)] * 4


def test_noise_acts_on_the_rows_of_fit_only():
    u = field()
    quiet = LocalESNRegressor(20, random_state=0).fit(u[:-1], u[1:])
    noisy = LocalESNRegressor(20, noise=0.1, random_state=0).fit(u[:-1], u[1:])
    assert_array_equal(noisy.transform(u), quiet.transform(u))
    assert_array_equal(noisy.state_, quiet.state_)
    pushed = u + 0.1 * np.random.RandomState(1).randn(*u.shape)
    moved = [np.linalg.norm(m.predict(pushed) - m.predict(u)) for m in (noisy, quiet)]
    assert moved[0] < 0.9 * moved[1]
    again = LocalESNRegressor(20, noise=0.1, random_state=0).fit(u[:-1], u[1:])
    assert_array_equal(noisy.coef_, again.coef_)


def test_a_failed_partial_fit_draws_no_noise():
    u = field()
    models = [LocalESNRegressor(20, noise=0.1, washout=10, random_state=0) for _ in range(2)]
    for model in models:
        model.partial_fit(u[:60], u[1:61])
    models[1].set_params(alpha=-1.0)
    with pytest.raises(InvalidParameterError):
        models[1].partial_fit(u[60:-1], u[61:])
    models[1].set_params(alpha=1e-6)
    for model in models:
        model.partial_fit(u[60:-1], u[61:])
    assert_array_equal(models[0].coef_, models[1].coef_)


def test_memory_does_not_hold_the_states_of_all_rows(monkeypatch):
    from echocast.reservoir import _local

    u = field(300)
    whole = LocalESNRegressor(20, random_state=0).fit(u[:-1], u[1:])
    monkeypatch.setattr(_local, "BLOCK_BYTES", 2**12)
    blocks = LocalESNRegressor(20, random_state=0).fit(u[:-1], u[1:])
    assert_allclose(blocks.coef_, whole.coef_, rtol=1e-8, atol=1e-10)
    assert_allclose(blocks.predict(u), whole.predict(u), rtol=1e-9, atol=1e-10)


def valid_time(model, z, starts, dt, n_steps=300):
    """Median time until the error exceeds 0.4 standard deviations."""
    times = []
    for start in starts:
        out = model.generate(n_steps, warmup=z[start - 100 : start])
        error = np.sqrt(((out - z[start : start + n_steps]) ** 2).mean(axis=1))
        times.append(dt * np.argmax(np.append(error, np.inf) > 0.4))
    return np.median(times)


def test_lorenz96_is_followed_much_longer_than_by_one_reservoir():
    """40 cells, 2000 rows at dt 0.01, Lyapunov time 0.58: 2 Lyapunov times against 0.3."""
    u = lorenz96(4000, random_state=0)
    z = (u - u.mean()) / u.std()
    starts = np.arange(2300, 3700, 350)
    local = LocalESNRegressor(200, group_size=2, alpha=1e-8, random_state=0)
    local_time = valid_time(local.fit(z[:2000], z[1:2001]), z, starts, 0.01)
    single = ESNRegressor(600, spectral_radius=0.3, input_scaling=0.1, random_state=0)
    single_time = valid_time(single.fit(z[:2000], z[1:2001]), z, starts, 0.01)
    assert local_time / 0.58 > 2.0
    assert local_time > 5 * single_time


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_units": 0}, "'n_units'"),
        ({"group_size": 0}, "'group_size'"),
        ({"overlap": -1}, "'overlap'"),
        ({"boundary": "torus"}, "'boundary'"),
        ({"noise": -1}, "'noise'"),
        ({"shared": "no"}, "'shared'"),
        ({"leak_rate": 1.5}, "'leak_rate'"),
        ({"input_scaling": [1.0, 2.0]}, "'input_scaling'"),
        ({"washout": 2.5}, "'washout'"),
        ({"solver": "magic"}, "'solver'"),
        ({"dtype": "float16"}, "'dtype'"),
    ],
)
def test_bad_parameters_are_refused_by_name(params, message):
    u = field(60)
    with pytest.raises(InvalidParameterError, match=f"{message} parameter of LocalESNRegressor"):
        LocalESNRegressor(**params).fit(u[:-1], u[1:])


def test_groups_that_do_not_fit_are_refused():
    u = field(60, 12)
    with pytest.raises(ValueError, match="group_size=5 does not divide the 12 columns of X"):
        LocalESNRegressor(group_size=5).fit(u[:-1], u[1:])
