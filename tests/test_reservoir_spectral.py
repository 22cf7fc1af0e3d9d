import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_weights as oracles
from echocast.reservoir import _spectral
from echocast.reservoir._spectral import spectral_radius
from echocast.reservoir._topologies import build_topology

seeds = st.integers(0, 2**32 - 1)


def sparse_random(n_units, per_row, rng, draw="uniform"):
    W = build_topology("random", n_units, per_row, rng)
    if draw == "gaussian":
        W.data = rng.standard_normal(W.nnz)
    elif draw == "signs":
        W.data = np.sign(W.data)
    return W


def clusters(n_units, rng):
    """Four communities that barely hear each other: four leading eigenvalues, far apart."""
    blocks = [sp.coo_array(sparse_random(n_units // 4, 5, rng)) for _ in range(4)]
    links = build_topology("erdos_renyi", n_units, 2, rng)
    return sp.csr_array(sp.block_diag(blocks) + 1e-3 * links)


def skewed(n_units, rng):
    """A diagonal similarity with factors over three decades: far from normal."""
    factors = np.exp(rng.uniform(-4, 4, n_units))
    W = sparse_random(n_units, 5, rng)
    return sp.csr_array(sp.diags(1 / factors) @ W @ sp.diags(factors))


def symmetric(n_units, rng, sign=1):
    W = sparse_random(n_units, 5, rng)
    return sp.csr_array(W + sign * W.T)


FAMILIES = {
    "random, 2 in a row": lambda n, rng: sparse_random(n, 2, rng),
    "random, 10 in a row": lambda n, rng: sparse_random(n, 10, rng),
    "random, 30 in a row": lambda n, rng: sparse_random(n, 30, rng),
    "gaussian": lambda n, rng: sparse_random(n, 5, rng, "gaussian"),
    "signs": lambda n, rng: sparse_random(n, 4, rng, "signs"),
    "erdos_renyi": lambda n, rng: build_topology("erdos_renyi", n, 3, rng),
    "small_world": lambda n, rng: build_topology("small_world", n, 4, rng),
    "shift, 2 diagonals": lambda n, rng: build_topology("shift", n, 2, rng),
    "shift, 10 diagonals": lambda n, rng: build_topology("shift", n, 10, rng),
    "dense": lambda n, rng: build_topology("dense", n, 1, rng),
    "positive": lambda n, rng: abs(sparse_random(n, 3, rng)),
    "negative": lambda n, rng: -abs(sparse_random(n, 10, rng)),
    "symmetric": symmetric,
    "antisymmetric": lambda n, rng: symmetric(n, rng, -1),
    "clusters": clusters,
    "skewed": skewed,
}


@pytest.mark.parametrize("n_units", [60, 172, 280])
@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_eigenvalues_of_lapack(family, n_units):
    for seed in range(2):
        W = FAMILIES[family](n_units, np.random.RandomState(seed))
        assert_allclose(spectral_radius(W), oracles.radius(W), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n_units", [160, 332, 700, 1500])
@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_eigenvalues_of_lapack_in_hundreds_of_cases(family, n_units):
    for seed in range(100, 100 + (20 if n_units < 500 else 3)):
        W = FAMILIES[family](n_units, np.random.RandomState(seed))
        assert_allclose(spectral_radius(W), oracles.radius(W), rtol=1e-8)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, n_units=st.integers(1, 12), filled=st.floats(0.0, 1.0))
def test_small_matrices_with_any_share_of_zeros(seed, n_units, filled):
    rng = np.random.RandomState(seed)
    W = rng.standard_normal((n_units, n_units)) * (rng.random_sample((n_units, n_units)) < filled)
    radius = spectral_radius(W)
    if oracles.reaches_itself(W):
        # Reducible matrices can have defective eigenvalues, which LAPACK gives to few digits.
        assert_allclose(radius, oracles.radius(W), rtol=1e-6)
    else:
        assert radius == 0.0


# ---- known answers ----------------------------------------------------------------------------


def test_a_cycle_has_the_geometric_mean_of_its_weights():
    weights = np.array([2.0, -8.0, 0.5, 3.0])
    W = np.roll(np.diag(weights), 1, axis=0)
    assert_allclose(spectral_radius(W), np.prod(np.abs(weights)) ** 0.25, rtol=1e-15)


def test_one_weight_in_each_row_at_any_size():
    W = build_topology("random", 3000, 1, np.random.RandomState(0))
    seen = spectral_radius(W)
    # Follow each unit to the cycle it ends in; the radius is the largest geometric mean.
    ahead, weight = W.indices, np.log(np.abs(W.data))
    means = []
    for start in range(3000):
        unit = start
        for _ in range(100):
            unit = ahead[unit]
        around, total, length = ahead[unit], weight[unit], 1
        while around != unit:
            total, length, around = total + weight[around], length + 1, ahead[around]
        means.append(total / length)
    assert_allclose(seen, np.exp(max(means)), rtol=1e-13)


@pytest.mark.parametrize("n_units", [1, 2, 7, 400, 3000])
def test_an_acyclic_matrix_has_radius_zero_exactly(n_units):
    rng = np.random.RandomState(1)
    W = sp.csr_array(sp.tril(build_topology("random", n_units, 20, rng), k=-1))
    mixed = rng.permutation(n_units)
    assert spectral_radius(W[mixed][:, mixed]) == 0.0


def test_a_full_nilpotent_matrix_has_radius_zero():
    rng = np.random.RandomState(2)
    Q, _ = np.linalg.qr(rng.standard_normal((40, 40)))
    assert spectral_radius(Q @ np.diag(np.ones(39), 1) @ Q.T) == 0.0
    assert spectral_radius([[1.0, -1.0], [1.0, -1.0]]) == 0.0


@pytest.mark.parametrize("backward", [1.0, 0.5, 1e-3, -0.1])
@pytest.mark.parametrize("n_units", [20, 100, 250])
def test_lines_with_unequal_weights_where_lapack_errs(n_units, backward):
    W = np.diag(np.ones(n_units - 1), -1) + backward * np.diag(np.ones(n_units - 1), 1)
    assert_allclose(spectral_radius(W), oracles.line_radius(n_units, 1.0, backward), rtol=1e-10)
    if n_units == 250 and backward in (0.5, 1e-3, -0.1):
        assert abs(oracles.radius(W) / spectral_radius(W) - 1) > 1e-3


def test_a_long_line_whose_perron_vector_exceeds_floating_point():
    line = sp.diags([np.ones(2999), np.full(2999, 1e-3)], offsets=[-1, 1])
    assert_allclose(spectral_radius(line), oracles.line_radius(3000, 1.0, 1e-3), rtol=1e-10)


def test_multiples_of_orthogonal_matrices():
    rng = np.random.RandomState(3)
    for n_units in (2, 5, 151, 300):
        Q, _ = np.linalg.qr(rng.standard_normal((n_units, n_units)))
        assert_allclose(spectral_radius(-3.7 * Q), 3.7, rtol=1e-12)


def test_circulant_matrices_of_one_sign_and_complete_graphs():
    first = np.zeros(500)
    first[[1, 60, 333]] = 0.2, 0.3, 0.4
    W = sp.csr_array(np.stack([np.roll(first, i) for i in range(500)]))
    assert_allclose(spectral_radius(W), 0.9, rtol=1e-14)
    assert_allclose(spectral_radius(np.ones((40, 40)) - np.eye(40)), 39.0, rtol=1e-14)


def test_low_rank_ends_the_krylov_space_early():
    rng = np.random.RandomState(4)
    left, right = rng.standard_normal((2, 300, 3))
    W = left @ right.T
    assert_allclose(spectral_radius(W), oracles.radius(right.T @ left), rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1e200])
def test_extreme_scales(scale):
    W = sparse_random(200, 10, np.random.RandomState(5))
    assert_allclose(spectral_radius(W * scale), scale * spectral_radius(W), rtol=1e-12)


# ---- laws -------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n_units=st.integers(2, 25))
def test_transposing_or_renumbering_changes_nothing(seed, n_units):
    rng = np.random.RandomState(seed)
    W = build_topology("erdos_renyi", n_units, 4, rng)
    order = rng.permutation(n_units)
    for same in (W.T, W[order][:, order], W.toarray(), W.tocoo(), sp.csc_matrix(W)):
        assert_allclose(spectral_radius(same), spectral_radius(W), rtol=1e-8, atol=0)


def test_blocks_are_measured_each_and_one_way_links_do_not_count():
    rng = np.random.RandomState(6)
    parts = [sparse_random(200, 5, rng), sparse_random(30, 5, rng), sp.coo_array(1.5 * np.eye(3))]
    W = sp.csr_array(sp.block_diag(parts)).tolil()
    W[200:230, :200] = rng.standard_normal((30, 200))
    expected = max(oracles.radius(part) for part in parts)
    assert_allclose(spectral_radius(W), expected, rtol=1e-9)


def test_the_same_matrix_gives_the_same_bits_and_stays_as_it_was():
    W = sparse_random(400, 10, np.random.RandomState(7))
    before = W.data.copy()
    W.data.flags.writeable = False
    first = spectral_radius(W)
    np.random.seed(0)  # noqa: NPY002 - the global generator must not matter
    assert spectral_radius(W) == first
    assert_array_equal(W.data, before)


# ---- the certificate --------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["right", "left", "both stall"])
def test_an_unconfirmed_iteration_falls_back_to_all_eigenvalues(monkeypatch, wrong):
    W = sparse_random(200, 10, np.random.RandomState(8))
    honest, calls = _spectral._leading_eigenpairs, []

    def missed(B, start, **settings):
        calls.append(1)
        found = honest(B, start, **settings)
        if wrong == "both stall":
            return None
        return (
            found._replace(radius=0.999 * found.radius)
            if len(calls) % 2 == (wrong == "right")
            else found
        )

    monkeypatch.setattr(_spectral, "_leading_eigenpairs", missed)
    assert_allclose(spectral_radius(W), oracles.radius(W), rtol=1e-12)
    assert calls


def test_a_condition_number_too_large_for_the_residual_is_refused(monkeypatch):
    W = sparse_random(200, 10, np.random.RandomState(9))
    assert _spectral._krylov_radius(W) is not None
    honest = _spectral._leading_eigenpairs

    def loose(B, start, **settings):
        return honest(B, start, **settings)._replace(residual=1e-7)

    monkeypatch.setattr(_spectral, "_leading_eigenpairs", loose)
    assert _spectral._krylov_radius(W) is None


def test_large_sparse_matrices_are_not_decomposed(monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("all eigenvalues were computed")

    monkeypatch.setattr(_spectral, "eigvals", refused)
    for name in ("random", "erdos_renyi", "small_world", "shift", "cycle_jumps", "permutation"):
        for n_units, connectivity in ((300, 10), (1000, 5)):
            rng = np.random.RandomState(n_units)
            assert spectral_radius(build_topology(name, n_units, connectivity, rng)) > 0.0


def test_periodic_shifts_are_iterated_within_one_class_of_units():
    # Offsets 1 and 41 of 600: all cycles are multiples of 40 units long.
    rng = np.random.RandomState(10)
    units = np.arange(600)
    columns = np.stack([(units + 1) % 600, (units + 41) % 600], axis=1)
    parts = (rng.uniform(-1, 1, 1200), columns.ravel(), np.arange(0, 1201, 2))
    W = sp.csr_array(parts, shape=(600, 600))
    period, place = _spectral._period(W)
    assert period == 40
    assert_array_equal(place[W.indices], np.repeat((place + 1) % 40, 2))
    assert_allclose(spectral_radius(W), oracles.radius(W), rtol=1e-9)


# ---- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("W", "words"),
    [
        (np.ones((2, 3)), "square"),
        (np.ones(4), "square"),
        (np.empty((0, 0)), "square"),
        (sp.csr_array((3, 4)), "square"),
        (np.eye(2) * 1j, "real"),
        (np.array([["a"]]), "real"),
        (np.array([[np.nan]]), "finite"),
        (sp.csr_array(np.diag([1.0, np.inf])), "finite"),
    ],
)
def test_bad_matrices_are_refused(W, words):
    with pytest.raises(ValueError, match=words):
        spectral_radius(W)


def test_integers_and_booleans_are_numbers_here():
    assert spectral_radius(np.eye(3, dtype=bool)) == 1.0
    assert spectral_radius(sp.csr_array(2 * np.eye(3, dtype=int))) == 2.0
