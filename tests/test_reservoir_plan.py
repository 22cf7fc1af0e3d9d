"""The layout of the recurrent matrix: which one, and that it is the same matrix."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import oracles_reservoir as oracles
from echocast.reservoir._plan import recurrent_plan


def fixed_in_degree(n_units, width, seed=0):
    rng = np.random.RandomState(seed)
    W = np.zeros((n_units, n_units))
    for i in range(n_units):
        W[i, rng.choice(n_units, width, replace=False)] = rng.uniform(-1, 1, width)
    return W


def ring(n_units, *offsets):
    return sum(np.roll(np.eye(n_units), o, axis=1) * (0.1 + o) for o in offsets)


def uneven(n_units, seed=0):
    W = fixed_in_degree(n_units, 2, seed)
    W[0, : n_units // 2] = 1.0
    W[1::2] = 0.0
    return W


SHAPES = {
    "cycle": (ring(40, 1), "shift"),
    "self loops and a cycle": (ring(40, 0, 1), "shift"),
    "delay line": (np.eye(40, k=-1), "shift"),
    "jumps": (ring(40, 1) + np.where(np.arange(40)[:, None] % 4 == 0, ring(40, 4, 36), 0), "shift"),
    "zero": (np.zeros((40, 40)), "shift"),
    "one unit": (np.ones((1, 1)), "dense"),
    "fixed in-degree": (fixed_in_degree(40, 4), "ell"),
    "nearly equal rows": (np.triu(fixed_in_degree(40, 4)) + np.eye(40), "csr"),
    "uneven rows": (uneven(40), "csr"),
    "half filled": (fixed_in_degree(40, 20), "dense"),
}


@pytest.mark.parametrize(
    "make", [np.asarray, sparse.csr_array, sparse.coo_array, sparse.csc_matrix]
)
@pytest.mark.parametrize("name", SHAPES)
def test_layout_follows_the_matrix_whatever_holds_it(name, make):
    W, layout = SHAPES[name]
    plan = recurrent_plan(make(W), np.float64)
    assert plan.layout == layout
    assert_array_equal(oracles.matrix_of(plan.layout, plan.n_units, plan.arrays), W)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_units=st.integers(1, 30),
    share=st.floats(0.0, 1.0),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_every_form_of_a_plan_is_the_matrix(seed, n_units, share, dtype):
    rng = np.random.RandomState(seed)
    W = rng.standard_normal((n_units, n_units)) * (rng.random_sample((n_units, n_units)) < share)
    W = W.astype(dtype)
    plan = recurrent_plan(sparse.csr_array(W), dtype)
    assert plan.dtype == dtype
    assert plan.n_stored == plan.arrays[-1].size
    assert_array_equal(oracles.matrix_of(plan.layout, n_units, plan.arrays), W)
    matrix = plan.matrix if plan.layout == "dense" else plan.matrix.toarray()
    assert_array_equal(matrix, W)
    rows = "dense" if plan.layout == "dense" else "csr"
    assert_array_equal(oracles.matrix_of(rows, n_units, plan.rowwise), W)


def test_duplicate_entries_of_a_sparse_matrix_add_up():
    entries = sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 3], [5, 5, 1])), shape=(9, 9))
    plan = recurrent_plan(entries, np.float64)
    assert_allclose(oracles.matrix_of(plan.layout, 9, plan.arrays), entries.toarray())


@pytest.mark.parametrize("name", SHAPES)
def test_arrays_are_read_only_and_stay_so_in_a_copy(name):
    # Writable arrays are another type to numba: a worker would compile everything again.
    plan = recurrent_plan(SHAPES[name][0], np.float32)
    copy = pickle.loads(pickle.dumps(plan))
    for array, again in zip(plan.arrays + plan.rowwise, copy.arrays + copy.rowwise):
        assert not array.flags.writeable
        assert not again.flags.writeable
        assert_array_equal(array, again)


@pytest.mark.parametrize("shape", [(0, 0), (2, 3)])
def test_a_matrix_that_is_not_square_is_refused(shape):
    with pytest.raises(ValueError, match="square"):
        recurrent_plan(np.zeros(shape), np.float64)
