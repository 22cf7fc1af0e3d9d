"""Readouts of prefixes are those of `fit_readout`, and weights those of a fit."""

import copy
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from echocast.exceptions import IllConditionedWarning
from echocast.reservoir import ESNRegressor
from echocast.reservoir._drive import run_states
from echocast.reservoir._readout import fit_readout
from echocast.reservoir._search_folds import make_folds, take
from echocast.reservoir._search_solve import PrefixReadouts
from echocast.reservoir._search_states import (
    Draws,
    _drive_together,
    merge_runs,
    reservoir_of,
    run_features,
)


def blocks_of(S, Y, weights, washout, block, n_rows):
    def blocks():
        for start in range(0, n_rows, block):
            rows = slice(max(start, washout), min(start + block, n_rows))
            if rows.stop > rows.start:
                yield S[rows], Y[rows], None if weights is None else weights[rows]

    return blocks


@settings(deadline=None)  # many fits
@given(
    seed=st.integers(0, 2**16),
    block=st.integers(20, 700),
    washout=st.integers(0, 30),
    weighted=st.booleans(),
    solver=st.sampled_from(["auto", "qr", "svd"]),
    fit_intercept=st.booleans(),
)
def test_prefixes_have_the_readouts_of_a_fit(seed, block, washout, weighted, solver, fit_intercept):
    rng = np.random.default_rng(seed)
    n_features, n_targets = rng.integers(2, 12, 2)
    S = rng.normal(size=(5000, n_features)) * 10.0 ** rng.uniform(-7, 0, n_features) + 3
    Y = S @ rng.normal(size=(n_features, n_targets)) + 1e-3 * rng.normal(size=(5000, n_targets))
    weights = rng.integers(0, 3, 5000).astype(float) if weighted else None
    shared = PrefixReadouts(S, Y, weights, washout=washout, block=block, dtype=np.dtype(np.float64))
    options = {"solver": solver, "fit_intercept": fit_intercept, "owner": "ESNRegressor"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IllConditionedWarning)
        for n_rows in (60, int(rng.integers(100, 4000)), 5000):
            for alpha in (10.0 ** rng.uniform(-16, 0), 1e-9, 0.0, "auto"):
                found = shared.solve(n_rows, alpha=alpha, **options)
                wanted = fit_readout(
                    blocks_of(S, Y, weights, washout, block, n_rows),
                    n_features,
                    n_targets,
                    alpha=alpha,
                    **options,
                )
                assert found.solver_used == wanted.solver_used
                assert_array_equal(found.coef, wanted.coef)
                assert_array_equal(found.intercept, wanted.intercept)
                assert found.alpha == wanted.alpha


@pytest.mark.parametrize("topology", ["random", "cycle", "delay_line"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("radius", [0.0, 0.7, None])
def test_scaled_draws_are_the_weights_of_a_fit(topology, dtype, radius):
    X, y = np.random.default_rng(0).normal(size=(2, 60, 2))
    esn = ESNRegressor(
        20,
        topology=topology,
        dtype=dtype,
        spectral_radius=radius,
        input_scaling=[0.2, 0.7],
        bias_scaling=0.3,
        random_state=4,
    )
    found = Draws(esn, 2).weights(esn)
    fitted = esn.fit(X, y)
    assert_array_equal(found["W_in_"], fitted.W_in_)
    assert_array_equal(found["b_"], fitted.b_)
    assert found["W_"].dtype == fitted.W_.dtype
    assert_array_equal(found["W_"].toarray(), fitted.W_.toarray())


@given(seed=st.integers(0, 2**16))
def test_runs_begin_with_all_that_is_wanted(seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 2, (12, 1)).astype(float)
    wanted = [X[a : a + n] for a, n in rng.integers(1, 7, (8, 2))]
    runs, which = merge_runs(wanted)
    for rows, k in zip(wanted, which):
        assert_array_equal(runs[k][: len(rows)], rows)
    for a, run in enumerate(runs):
        for b, other in enumerate(runs):
            assert a == b or not np.array_equal(other[: len(run)], run)


def test_folds_cut_what_has_one_entry_a_row():
    X, y = np.arange(6.0)[:, None], list(range(6))
    mask = np.array([True] * 4 + [False] * 2)
    given_ = {"sample_weight": np.arange(6), "other": [1, 2], "name": "abcdef"}
    (fold,) = make_folds(X, y, [(mask, [4, 5])], given_, {"sample_weight": list(range(6))})
    assert_array_equal(fold.X_train[:, 0], [0, 1, 2, 3])
    assert fold.y_test == [4, 5]
    assert_array_equal(fold.fit_params["sample_weight"], [0, 1, 2, 3])
    assert fold.fit_params["other"] == [1, 2]
    assert fold.fit_params["name"] == "abcdef"
    assert fold.score_test["sample_weight"] == [4, 5]
    assert take(None, np.arange(2)) is None


@settings(deadline=None)  # the first example compiles
@given(
    seed=st.integers(0, 2**16),
    n_units=st.integers(3, 40),
    per_row=st.integers(1, 9),
    n_settings=st.integers(16, 35),
    n_steps=st.integers(1, 40),
    activation=st.sampled_from(["tanh", "relu", "sigmoid", "identity", "sin"]),
    dtype=st.sampled_from(["float64", "float32"]),
    spread=st.booleans(),
)
def test_settings_side_by_side_have_the_states_of_single_runs(
    seed, n_units, per_row, n_settings, n_steps, activation, dtype, spread
):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_steps, 2)).astype(dtype)
    connectivity = min(per_row, max(1, n_units // 5))
    shared = {"connectivity": connectivity, "activation": activation, "dtype": dtype}
    if spread:  # rows of unequal lengths
        W = rng.normal(size=(n_units, n_units)) * (rng.random((n_units, n_units)) < 0.15)
        shared["topology"] = sparse.csr_array(W + np.eye(n_units))
    columns, draws = [], None
    for _ in range(n_settings):
        esn = ESNRegressor(
            n_units,
            spectral_radius=rng.choice([0.0, 0.5, 1.1]),
            leak_rate=rng.choice([0.2, 1.0])
            if rng.random() < 0.5
            else rng.uniform(0.1, 1, n_units),
            input_scaling=rng.uniform(0, 1),
            random_state=seed,
            **shared,
        )
        draws = Draws(esn, 2) if draws is None else draws
        esn.__dict__.update(draws.weights(esn))
        columns.append(esn)
    assume(draws.plan.layout != "dense")
    reservoirs = [reservoir_of(esn) for esn in columns]
    out = np.full((n_settings, n_steps, n_units + 2), 7, dtype=dtype)
    _drive_together(draws, columns, reservoirs, rows, out)
    for res, found in zip(reservoirs, out):
        assert_array_equal(found[:, :n_units], run_states(res, rows)[0])
    assert (out[:, :, n_units:] == 7).all()


def test_one_step_of_many_settings_is_the_formula():
    esn = ESNRegressor(100, connectivity=21, random_state=0, leak_rate=0.3)
    draws = Draws(esn, 1)
    assert draws.wide
    columns = []
    for radius in np.linspace(0.1, 1.5, 16):
        column = copy.copy(esn).set_params(spectral_radius=radius)
        column.__dict__.update(draws.weights(column))
        columns.append(column)
    rows = np.array([[0.5], [-1.0]])
    reservoirs = [reservoir_of(column) for column in columns]
    found = np.empty((16, 2, 101))
    run_features(draws, columns, reservoirs, rows, found)
    for column, features in zip(columns, found):
        x = np.zeros(100)
        for u, row in zip(rows, features):
            x = 0.7 * x + 0.3 * np.tanh(column.W_.toarray() @ x + column.W_in_ @ u + column.b_)
            assert_allclose(row, [*x, *u], rtol=1e-13, atol=1e-15)
