import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_weights as oracles
from echocast.reservoir import _topologies
from echocast.reservoir._topologies import (
    build_topology,
    distinct_columns,
    per_row,
    register_topology,
    share,
    topologies,
)

FIXED_LINKS = ["cycle", "cycle_jumps", "delay_line", "delay_line_feedback", "self_loop_cycle"]
FIXED_IN_DEGREE = ["random", "shift", "small_world"]
FULL = ["dense", "orthogonal"]

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 40)
connectivities = st.one_of(st.integers(1, 50), st.floats(0.05, 1.0))


def build(name, n_units, connectivity=10, seed=0):
    return build_topology(name, n_units, connectivity, np.random.RandomState(seed))


def test_topologies_lists_the_twelve_structures_in_order():
    assert topologies() == sorted(
        [*FIXED_LINKS, *FIXED_IN_DEGREE, *FULL, "erdos_renyi", "permutation"]
    )


def test_register_topology_adds_a_name_and_replaces_it(monkeypatch):
    monkeypatch.setattr(_topologies, "_REGISTERED", {})
    register_topology("ones", lambda n, rng: np.ones((n, n)))
    register_topology("ones", lambda n, rng: 2 * np.ones((n, n)))
    assert "ones" in topologies()
    assert_array_equal(build("ones", 2), [[2, 2], [2, 2]])


@pytest.mark.parametrize(
    ("name", "func", "error", "words"),
    [
        ("cycle", np.ones, ValueError, "built-in"),
        ("", np.ones, ValueError, "empty"),
        (3, np.ones, TypeError, "`name`"),
        ("new", "not callable", TypeError, "`func`"),
    ],
)
def test_register_topology_refuses(name, func, error, words):
    with pytest.raises(error, match=words):
        register_topology(name, func)
    assert "new" not in topologies()


def test_a_callable_gets_the_connectivity_only_if_it_asks_for_it():
    def asks(n_units, random_state, connectivity):
        return n_units, random_state.random_sample(), connectivity

    first = np.random.RandomState(3).random_sample()
    assert build_topology(asks, 5, 0.5, np.random.RandomState(3)) == (5, first, 0.5)
    assert build_topology(lambda n, rng: n, 5, 0.5, np.random.RandomState(3)) == 5
    # A compiled function without a signature is called with two arguments.
    assert build_topology(max, 5, 0.5, 7) == 7


def test_per_row_and_share_read_one_as_a_count_and_one_point_zero_as_all():
    assert [per_row(c, 20) for c in (1, 7, 99, 1.0, 0.5, 0.01)] == [1, 7, 20, 20, 10, 1]
    assert [per_row(c, 20) for c in (np.int32(3), np.float32(0.25))] == [3, 5]
    assert_allclose([share(c, 20) for c in (1, 7, 99, 1.0, 0.25)], [0.05, 0.35, 1, 1, 0.25])


# ---- what holds for all -----------------------------------------------------------------------


@pytest.mark.parametrize("name", topologies())
@few
@given(seed=seeds, n_units=sizes, connectivity=connectivities)
def test_shape_format_and_determinism(name, seed, n_units, connectivity):
    W = build(name, n_units, connectivity, seed)
    again = build(name, n_units, connectivity, seed)
    assert W.shape == (n_units, n_units)
    assert W.dtype == np.float64
    if name in FULL:
        assert isinstance(W, np.ndarray)
        assert_array_equal(W, again)
    else:
        assert isinstance(W, sp.csr_array)
        assert W.has_canonical_format
        assert W.indices.dtype == W.indptr.dtype == np.int32
        assert_array_equal(W.indices, again.indices)
        assert_array_equal(W.data, again.data)
    assert oracles.reaches_itself(W) == (name != "delay_line")


@pytest.mark.parametrize("name", FIXED_LINKS)
@pytest.mark.parametrize("n_units", [1, 2, 3, 4, 5, 9, 10, 16, 17, 50])
def test_fixed_links_equal_the_oracle(name, n_units):
    assert_array_equal(build(name, n_units).toarray(), getattr(oracles, name)(n_units))


@pytest.mark.parametrize("name", FIXED_IN_DEGREE)
@few
@given(seed=seeds, n_units=sizes, connectivity=connectivities)
def test_every_row_has_the_same_number_of_nonzeros(name, seed, n_units, connectivity):
    W = build(name, n_units, connectivity, seed)
    expected = per_row(connectivity, n_units)
    assert_array_equal(np.count_nonzero(W.toarray(), axis=1), np.full(n_units, expected))
    assert np.abs(W.data).max() < 1.0


# ---- the random ones --------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n_columns"), [(1, 4), (2, 4), (3, 4), (4, 4), (8, 9)])
@pytest.mark.parametrize("by_keys", [False, True])
def test_distinct_columns_takes_every_subset_equally_often(k, n_columns, by_keys):
    draw = _topologies._columns_by_keys if by_keys and k < n_columns else distinct_columns
    chosen = draw(np.random.RandomState(0), 60_000, k, n_columns)
    subsets, counts = np.unique(np.sort(chosen, axis=1), axis=0, return_counts=True)
    assert (np.diff(subsets, axis=1) > 0).all()
    expected = 60_000 / len(counts)
    # Four standard deviations of a binomial count; the number of subsets is at most nine.
    assert np.abs(counts - expected).max() <= 4 * np.sqrt(expected)
    assert len(counts) == {(1, 4): 4, (2, 4): 6, (3, 4): 4, (4, 4): 1, (8, 9): 9}[k, n_columns]


def test_distinct_columns_in_bands_of_rows(monkeypatch):
    whole = distinct_columns(np.random.RandomState(1), 50, 40, 60)
    monkeypatch.setattr(_topologies, "_KEYS_AT_ONCE", 7 * 60)
    assert_array_equal(distinct_columns(np.random.RandomState(1), 50, 40, 60), whole)


def test_random_values_are_uniform_and_columns_even():
    W = build("random", 2000, 10)
    assert_allclose([W.data.mean(), (W.data**2).mean()], [0, 1 / 3], atol=0.02)
    heard = np.bincount(W.indices, minlength=2000)
    assert_allclose(heard.var(), 10 * (1 - 10 / 2000), rtol=0.15)  # binomial


def test_erdos_renyi_has_independent_nonzeros():
    for connectivity, p in ((5, 5 / 400), (0.3, 0.3), (1.0, 1.0)):
        W = build("erdos_renyi", 400, connectivity)
        tolerance = 4 * np.sqrt(p * (1 - p)) / 400  # four standard deviations of the share
        assert abs(W.nnz / 400**2 - p) <= tolerance
        for axis in (0, 1):
            counts = np.count_nonzero(W.toarray(), axis=axis)
            assert_allclose(counts.var(), 400 * p * (1 - p), rtol=0.35)


def test_erdos_renyi_draws_again_until_some_unit_reaches_itself():
    for seed in range(30):
        assert oracles.reaches_itself(build("erdos_renyi", 6, 0.03, seed))
    with pytest.raises(ValueError, match="no cycle in 1000 draws"):
        build("erdos_renyi", 6, 1e-7)


def test_small_world_moves_a_tenth_of_the_links_out_of_the_neighbourhood():
    n_units, k = 2000, 6
    rows, columns = build("small_world", n_units, k).nonzero()
    distance = (columns - rows + n_units // 2) % n_units - n_units // 2
    near = np.abs(distance) <= k // 2
    assert_allclose(near.mean(), 0.9, atol=4 * 0.3 / np.sqrt(n_units * k))
    assert (distance != 0).all()
    assert_array_equal(np.unique(distance[near]), [-3, -2, -1, 1, 2, 3])
    assert_allclose(np.abs(distance[~near]).mean(), n_units / 4, rtol=0.1)


def test_small_world_of_odd_degree_and_of_all_units():
    W = build("small_world", 501, 3).toarray()
    ahead = [np.count_nonzero(np.diagonal(np.roll(W, -d, axis=1))) for d in (1, -1, 2, -2)]
    assert min(ahead[:3]) > 400 > 10 > ahead[3]
    assert build("small_world", 7, 1.0).nnz == 49


@few
@given(seed=seeds, n_units=sizes, connectivity=connectivities)
def test_shift_lies_on_cyclic_diagonals_and_uses_the_main_one_last(seed, n_units, connectivity):
    rows, columns = build("shift", n_units, connectivity, seed).nonzero()
    k = per_row(connectivity, n_units)
    offsets, filled = np.unique((columns - rows) % n_units, return_counts=True)
    assert_array_equal(filled, np.full(k, n_units))
    assert (0 in offsets) == (k == n_units)


def test_orthogonal_is_orthogonal_and_its_signs_are_even():
    for n_units in (1, 2, 50):
        Q = build("orthogonal", n_units)
        assert_allclose(Q.T @ Q, np.eye(n_units), atol=1e-13)
    ones = [build("orthogonal", 1, seed=seed)[0, 0] for seed in range(100)]
    corners = [build("orthogonal", 3, seed=seed)[0, 0] for seed in range(400)]
    assert 30 <= ones.count(1.0) <= 70
    # One entry of a uniform rotation in three dimensions is uniform on (-1, 1).
    assert_allclose([np.mean(corners), np.var(corners)], [0, 1 / 3], atol=0.1)


@few
@given(seed=seeds, n_units=sizes)
def test_permutation_has_a_one_in_each_row_and_column(seed, n_units):
    W = build("permutation", n_units, seed=seed).toarray()
    assert_array_equal(np.sort(W, axis=0)[-1], np.ones(n_units))
    assert_array_equal(np.sort(W, axis=1)[:, -1], np.ones(n_units))
    assert W.sum() == n_units
