import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_weights as oracles
from echocast.exceptions import InvalidParameterError
from echocast.reservoir._topologies import topologies
from echocast.reservoir._weights import (
    bias_vector,
    feedback_matrix,
    input_matrix,
    recurrent_matrix,
)

OWNER = "ESNRegressor"
KINDS = ["uniform", "bernoulli", "gaussian", "one_input_per_unit"]

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 30)
connectivities = st.one_of(st.integers(1, 40), st.floats(0.05, 1.0))


def recurrent(topology, n_units, seed=0, **changed):
    options = {"connectivity": 10, "spectral_radius": 0.9, "dtype": np.float64, **changed}
    return recurrent_matrix(
        topology, n_units, rng=np.random.RandomState(seed), owner=OWNER, **options
    )


def inputs(n_units, n_inputs, seed=0, **changed):
    options = {"input_scaling": 1.0, "input_connectivity": 1.0, **changed}
    return input_matrix(n_units, n_inputs, rng=np.random.RandomState(seed), owner=OWNER, **options)


def dense(W):
    return W.toarray() if sp.issparse(W) else W


# ---- recurrent_matrix -------------------------------------------------------------------------


@pytest.mark.parametrize("topology", topologies())
@pytest.mark.parametrize("n_units", [1, 2, 3, 11, 64, 151, 260])
def test_the_spectral_radius_is_exact_for_every_topology(topology, n_units):
    for connectivity in (1, 3, 0.2, 1.0):
        W = recurrent(topology, n_units, connectivity=connectivity, spectral_radius=0.83)
        expected = 0.0 if topology == "delay_line" else 0.83
        assert_allclose(oracles.radius(W), expected, rtol=1e-9)


@pytest.mark.parametrize("topology", topologies())
def test_float32_holds_the_same_draws_rounded(topology):
    W = recurrent(topology, 160)
    rounded = recurrent(topology, 160, dtype=np.float32)
    assert rounded.dtype == np.float32
    assert_array_equal(dense(rounded), dense(W).astype(np.float32))
    if topology != "delay_line":
        assert_allclose(oracles.radius(rounded), 0.9, rtol=1e-6)


@pytest.mark.parametrize("topology", topologies())
def test_none_leaves_the_matrix_and_zero_empties_it(topology):
    raw = dense(recurrent(topology, 40, spectral_radius=None))
    scaled = dense(recurrent(topology, 40))
    assert_allclose(scaled * np.abs(raw).max(), raw * np.abs(scaled).max(), rtol=1e-12)
    assert not dense(recurrent(topology, 40, spectral_radius=0.0)).any()


def test_the_radius_of_a_delay_line_is_its_weight():
    W = recurrent("delay_line", 5, spectral_radius=0.7).toarray()
    assert_array_equal(W, 0.7 * oracles.delay_line(5))


def test_the_draws_do_not_depend_on_the_scale():
    after = set()
    for radius in (None, 0.0, 0.5, 1.3):
        rng = np.random.RandomState(4)
        recurrent_matrix("random", 50, connectivity=5, spectral_radius=radius, rng=rng, owner=OWNER)
        after.add(rng.random_sample())
    assert len(after) == 1


@pytest.mark.parametrize(
    "given_as", [np.asarray, sp.csr_array, sp.coo_matrix, sp.csc_array, np.ndarray.tolist]
)
def test_a_given_matrix_is_copied_and_scaled(given_as):
    rng = np.random.RandomState(5)
    values = rng.standard_normal((30, 30)) * (rng.random_sample((30, 30)) < 0.2)
    matrix = given_as(values)
    for radius in (None, 0.5):
        W = recurrent(matrix, 30, spectral_radius=radius)
        factor = 1.0 if radius is None else radius / oracles.radius(values)
        assert_allclose(dense(W), values * factor, rtol=1e-9)
        assert isinstance(W, sp.csr_array if sp.issparse(matrix) else np.ndarray)
        (W.data if sp.issparse(W) else W)[:] = 7.0
        assert_array_equal(dense(matrix), values)


def test_a_given_sparse_matrix_becomes_canonical_with_small_indices():
    parts = ([1.0, 2.0, 3.0], (np.array([0, 0, 1]), np.array([1, 1, 0])))
    W = recurrent(sp.coo_array(parts, shape=(2, 2)), 2, spectral_radius=None)
    assert W.has_canonical_format
    assert W.indices.dtype == W.indptr.dtype == np.int32
    assert_array_equal(W.toarray(), [[0, 3], [3, 0]])


def test_a_callable_draws_from_the_same_generator():
    def draw(n_units, random_state):
        return random_state.standard_normal((n_units, n_units))

    W = recurrent(draw, 12, seed=3, spectral_radius=None)
    assert_array_equal(W, np.random.RandomState(3).standard_normal((12, 12)))
    assert_allclose(oracles.radius(recurrent(draw, 12)), 0.9, rtol=1e-12)


@pytest.mark.parametrize("matrix", [np.triu(np.ones((4, 4)), 1), sp.csr_array((4, 4))])
def test_a_nilpotent_matrix_is_used_as_it_is_or_refused(matrix):
    assert_array_equal(dense(recurrent(matrix, 4, spectral_radius=None)), dense(matrix))
    for topology in (matrix, lambda n_units, random_state: matrix):
        with pytest.raises(ValueError, match=r"spectral radius 0.*spectral_radius=None"):
            recurrent(topology, 4)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"topology": "ring"}, "'topology' parameter of ESNRegressor must be a str among {'cycle'"),
        ({"topology": np.eye(3)}, r"must be a matrix of shape \(4, 4\). Got 'shape \(3, 3\)'"),
        ({"topology": sp.eye(5)}, r"must be a matrix of shape \(4, 4\)"),
        ({"topology": np.eye(4) * 1j}, "of real numbers"),
        ({"topology": sp.eye(4, dtype=complex)}, "of real numbers"),
        ({"topology": np.full((4, 4), "a")}, "of real numbers"),
        ({"topology": None}, "must be a matrix of shape"),
        ({"topology": lambda n, rng: np.ones(n)}, r"Got 'shape \(4,\)'"),
        ({"n_units": 0}, "'n_units' parameter of ESNRegressor must be an int"),
        ({"n_units": 4.0}, "must be an int"),
        ({"connectivity": True}, "Got True"),
        ({"connectivity": 0}, r"int in the range \[1, inf\) or a float in the range \(0.0, 1.0\]"),
        ({"connectivity": 2.0}, "Got 2.0"),
        ({"connectivity": np.nan}, "Got nan"),
        ({"connectivity": "all"}, "Got 'all'"),
        ({"spectral_radius": -0.1}, r"must be a float in the range \[0.0, inf\) or None"),
        ({"spectral_radius": np.inf}, "Got inf"),
        ({"spectral_radius": True}, "Got True"),
    ],
)
def test_recurrent_parameters_out_of_range_are_refused(changed, words):
    options = {"topology": "random", "n_units": 4, **changed}
    with pytest.raises(InvalidParameterError, match=words):
        recurrent(options.pop("topology"), options.pop("n_units"), **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", [np.array, sp.csr_array])
def test_a_given_matrix_must_be_finite(bad, kind):
    matrix = np.eye(3)
    matrix[1, 2] = bad
    with pytest.raises(ValueError, match="'topology' matrix of ESNRegressor contains NaN or inf"):
        recurrent(kind(matrix), 3)


# ---- input_matrix -----------------------------------------------------------------------------


def test_the_kinds_have_the_stated_values():
    W = {kind: inputs(4000, 3, kind=kind) for kind in KINDS}
    assert_allclose(np.abs(W["uniform"]).max(), 1.0, atol=1e-2)
    assert_allclose([W["uniform"].mean(), W["uniform"].var()], [0, 1 / 3], atol=0.02)
    assert_array_equal(np.unique(W["bernoulli"]), [-1, 1])
    assert_allclose(W["bernoulli"].mean(), 0, atol=0.04)
    assert_allclose([W["gaussian"].mean(), W["gaussian"].var()], [0, 1], atol=0.04)
    alone = W["one_input_per_unit"]
    assert_array_equal(np.count_nonzero(alone, axis=1), np.ones(4000))
    assert_allclose(np.count_nonzero(alone, axis=0), 4000 / 3, atol=1)
    assert (np.diff(np.argmax(alone != 0, axis=1)) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
@few
@given(seed=seeds, n_units=sizes, n_inputs=sizes)
def test_shape_layout_and_scaling_of_each_column(kind, seed, n_units, n_inputs):
    scaling = np.linspace(0.0, 2.0, n_inputs)
    plain = inputs(n_units, n_inputs, seed, kind=kind)
    W = inputs(n_units, n_inputs, seed, kind=kind, input_scaling=scaling, dtype=np.float32)
    assert W.shape == (n_units, n_inputs)
    assert W.flags.c_contiguous
    assert_array_equal(W, (plain * scaling).astype(np.float32))
    assert_array_equal(inputs(n_units, n_inputs, seed, kind=kind, input_scaling=3), plain * 3)


@pytest.mark.parametrize("kind", ["uniform", "bernoulli", "gaussian"])
@few
@given(seed=seeds, n_units=sizes, n_inputs=sizes, connectivity=connectivities)
def test_input_connectivity_counts(kind, seed, n_units, n_inputs, connectivity):
    full = inputs(n_units, n_inputs, seed, kind=kind)
    W = inputs(n_units, n_inputs, seed, kind=kind, input_connectivity=connectivity)
    counts = np.count_nonzero(W, axis=1)
    if isinstance(connectivity, int):
        assert_array_equal(counts, np.full(n_units, min(connectivity, n_inputs)))
    else:
        assert counts.sum() == max(1, round(connectivity * n_units * n_inputs))
        assert np.ptp(counts) <= 1
    assert_array_equal(W[W != 0], full[W != 0])


def test_a_share_of_a_single_input_is_a_share_of_the_units():
    W = inputs(1000, 1, input_connectivity=0.1)
    heard = np.flatnonzero(W)
    assert heard.size == 100
    assert 300 < heard.mean() < 700


def test_given_input_weights_are_scaled_and_copied():
    matrix = np.arange(6.0).reshape(3, 2)
    for given_as in (matrix, matrix.tolist(), sp.csr_array(matrix), lambda n, d, rng: matrix):
        W = inputs(3, 2, kind=given_as, input_scaling=[1.0, 0.5])
        assert_array_equal(W, matrix * [1.0, 0.5])
        W[:] = -1.0
    assert matrix[2, 1] == 5.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kind": "binary"}, "'input_weights' parameter of ESNRegressor must be a str among"),
        ({"kind": np.ones((3, 3))}, r"must be a matrix of shape \(3, 2\). Got 'shape \(3, 3\)'"),
        ({"kind": np.array([["a", "b"]] * 3)}, "of real numbers"),
        ({"input_scaling": -1.0}, r"must be a float in the range \[0.0, inf\)"),
        ({"input_scaling": True}, "Got True"),
        ({"input_scaling": "large"}, "Got 'large'"),
        ({"input_scaling": [1.0, 2.0, 3.0]}, "or 2 of them, one for each column"),
        ({"input_scaling": [1.0, -2.0]}, "one for each column"),
        ({"input_scaling": [1.0, np.nan]}, "one for each column"),
        ({"input_scaling": [True, False]}, "one for each column"),
        ({"input_connectivity": False}, "'input_connectivity' parameter of ESNRegressor"),
        ({"input_connectivity": 1.5}, "Got 1.5"),
        ({"input_connectivity": -1}, "Got -1"),
    ],
)
def test_input_parameters_out_of_range_are_refused(changed, words):
    with pytest.raises(InvalidParameterError, match=words):
        inputs(3, 2, **changed)


def test_given_input_weights_must_be_finite():
    with pytest.raises(ValueError, match="'input_weights' matrix of ESNRegressor contains NaN"):
        inputs(2, 1, kind=[[np.nan], [1.0]])


# ---- bias and feedback ------------------------------------------------------------------------


def test_bias_is_uniform_and_draws_the_same_at_any_scale():
    draws = [
        bias_vector(500, bias_scaling=s, rng=np.random.RandomState(1), owner=OWNER)
        for s in (0.0, 1, 2.5)
    ]
    assert_array_equal(draws[0], np.zeros(500))
    assert_array_equal(draws[2], 2.5 * draws[1])
    assert_allclose([draws[1].min(), draws[1].max()], [-1, 1], atol=0.02)
    half = bias_vector(
        500, bias_scaling=1, rng=np.random.RandomState(1), owner=OWNER, dtype=np.float32
    )
    assert_array_equal(half, draws[1].astype(np.float32))


def test_feedback_is_uniform_with_one_scale_for_each_output():
    def draw(scaling, **changed):
        rng = np.random.RandomState(2)
        return feedback_matrix(400, 2, feedback_scaling=scaling, rng=rng, owner=OWNER, **changed)

    W = draw(1.0)
    assert W.shape == (400, 2)
    assert_allclose([W.min(), W.max()], [-1, 1], atol=0.02)
    assert_array_equal(draw([0.5, 0.0]), W * [0.5, 0.0])
    assert_array_equal(draw(1.0, dtype=np.float32), W.astype(np.float32))


@pytest.mark.parametrize("bad", [-1.0, np.nan, True, "1"])
def test_bias_and_feedback_scales_are_checked(bad):
    rng = np.random.RandomState(0)
    with pytest.raises(InvalidParameterError, match="'bias_scaling' parameter of ESNRegressor"):
        bias_vector(3, bias_scaling=bad, rng=rng, owner=OWNER)
    with pytest.raises(InvalidParameterError, match="'feedback_scaling' parameter of ESNReg"):
        feedback_matrix(3, 1, feedback_scaling=bad, rng=rng, owner=OWNER)


def test_all_four_come_from_one_generator_in_the_documented_order():
    rng = np.random.RandomState(6)
    W_in = input_matrix(20, 2, input_scaling=1, input_connectivity=1.0, rng=rng, owner=OWNER)
    W = recurrent_matrix("dense", 20, connectivity=1, spectral_radius=None, rng=rng, owner=OWNER)
    b = bias_vector(20, bias_scaling=1.0, rng=rng, owner=OWNER)
    W_fb = feedback_matrix(20, 3, feedback_scaling=1.0, rng=rng, owner=OWNER)
    drawn = np.concatenate([part.ravel() for part in (W_in, W, b, W_fb)])
    assert_array_equal(drawn, np.random.RandomState(6).uniform(-1, 1, 40 + 400 + 20 + 60))
