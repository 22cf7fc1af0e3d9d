"""Chunks of time side by side against the same steps one after the other."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from echocast.exceptions import InvalidParameterError, NotContractingWarning
from echocast.reservoir import DeepESNRegressor, ESNRegressor, ReservoirTransformer, continue_fit
from echocast.reservoir._drive import make_reservoir, run_states
from echocast.reservoir._time_chunks import TOLERANCE, OutOfStep, TimeChunks, in_step

RNG = np.random.RandomState(0)
U = np.cumsum(RNG.randn(3000, 2), axis=0)
U -= 0.9 * np.vstack([np.zeros((1, 2)), U[:-1]])
U = (U - U.mean(axis=0)) / U.std(axis=0)


def weights(seed, n_units, share, radius, n_inputs=2):
    rng = np.random.RandomState(seed)
    W = rng.uniform(-1, 1, (n_units, n_units)) * (rng.uniform(size=(n_units, n_units)) < share)
    largest = np.abs(np.linalg.eigvals(W)).max()
    W *= radius / largest if largest else 0.0
    return rng.uniform(-0.5, 0.5, (n_units, n_inputs)), W, rng.uniform(-0.5, 0.5, n_units)


def states_of(chunks, layers, X, starts=None, feedback=None):
    """States from the chunks, each row written once; None for a run in one piece."""
    starts = (
        [np.zeros(layer.n_units, layer.dtype) for layer in layers] if starts is None else starts
    )
    n_units = sum(layer.n_units for layer in layers)

    def job():
        out, seen, last = np.zeros((len(X), n_units), layers[0].dtype), np.zeros(len(X), int), None
        blocks = chunks.blocks(layers, X, starts, feedback)
        if blocks is None:
            return None
        for first, states in blocks:
            out[first : first + len(states)] = states
            seen[first : first + len(states)] += 1
            last = first + len(states)
        assert (seen == 1).all()
        assert last == len(X)
        return out

    return in_step(chunks, job)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_units=st.integers(1, 40),
    share=st.sampled_from([0.1, 1.0]),
    radius=st.sampled_from([0.2, 0.8, 0.95]),
    leak=st.sampled_from([0.3, 1.0]),
    n_chunks=st.integers(2, 13),
    n_steps=st.integers(700, 2000),
    dtype=st.sampled_from(["float64", "float32"]),
)
def test_chunks_give_the_states_of_a_run_in_one_piece(
    seed, n_units, share, radius, leak, n_chunks, n_steps, dtype
):
    res = make_reservoir(*weights(seed, n_units, share, radius), leak_rate=leak, dtype=dtype)
    start = np.random.RandomState(seed).uniform(-1, 1, n_units).astype(dtype)
    chunks = TimeChunks(n_chunks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotContractingWarning)
        states = states_of(chunks, [res], U[:n_steps], [start])
    if states is None:
        assert (chunks.n_chunks, chunks.error) == (1, 0.0)
        return
    expected, _ = run_states(res, U[:n_steps], start)
    assert 2 <= chunks.n_chunks <= n_chunks
    assert chunks.error <= TOLERANCE[dtype]
    assert_allclose(states, expected, rtol=0, atol=20 * TOLERANCE[dtype])


def test_a_reservoir_that_barely_contracts_starts_earlier():
    W_in, W, b = weights(3, 30, 0.2, 0.999)
    quick = make_reservoir(W_in, 0.5 * W, b)
    slow = make_reservoir(W_in, W, b, leak_rate=0.2)
    lengths = []
    for res in (quick, slow):
        chunks = TimeChunks(3)
        assert_allclose(states_of(chunks, [res], U), run_states(res, U)[0], rtol=0, atol=1e-11)
        assert chunks.n_chunks == 3
        lengths.append(chunks.warmup)
    assert lengths[0] == 64
    assert lengths[1] >= 256


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_a_chaotic_reservoir_runs_in_one_piece_and_says_so(share):
    W_in, W, b = weights(1, 60, share, 3.0)
    chunks = TimeChunks(8)
    with pytest.warns(NotContractingWarning, match="still differ by"):
        assert states_of(chunks, [make_reservoir(0.1 * W_in, W, b)], U) is None
    assert (chunks.n_chunks, chunks.warmup, chunks.error) == (1, 0, 0.0)


def test_two_attractors_that_both_probes_end_in_alike_are_found_at_the_boundaries():
    # No input: from zero and from one the state goes to the positive root of x = tanh(2 x + b),
    # but the sequence starts near the negative one, and stays there.
    res = make_reservoir(np.zeros((1, 2)), np.array([[2.0]]), np.array([0.1]))
    chunks, start = TimeChunks(4), np.array([-1.0])
    states = chunks.blocks([res], U, [start])
    with pytest.raises(OutOfStep):
        list(states)
    assert chunks.warmup == 128  # doubled
    with pytest.warns(NotContractingWarning):
        assert states_of(chunks, [res], U, [start]) is None


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_a_reservoir_makes_of_rounding_within_a_chunk_is_noticed(dtype):
    # Bursts bring all states together where chunks meet, one period apart; in between it is chaos.
    W_in, W, b = weights(1, 100, 0.2, 2.5, n_inputs=1)
    steps = np.arange(16_000)
    X = np.where(steps % 1000 > 700, 20 * np.sin(0.3 * steps), 0.0)[:, None]
    chunks = TimeChunks(16)
    with pytest.warns(NotContractingWarning, match="makes too much of small differences"):
        assert states_of(chunks, [make_reservoir(W_in, W, 0.2 * b, dtype=dtype)], X) is None
    assert (chunks.n_chunks, chunks.warmup, chunks.error) == (1, 0, 0.0)
    res = make_reservoir(W_in, 0.3 * W, b, dtype=dtype)
    states = states_of(chunks := TimeChunks(16), [res], X)
    assert chunks.n_chunks == 16
    assert_allclose(states, run_states(res, X)[0], rtol=0, atol=20 * TOLERANCE[dtype])


def test_a_huge_state_at_one_boundary_excuses_no_other():
    W_in, W, b = weights(2, 40, 0.2, 0.5)
    W_in, X = np.hstack([W_in, W_in[::-1]]), np.zeros((2000, 4))
    X[499, 2:], X[1000 - 75, 2:] = 1e15, 1e12  # the second one is before the warm-up of a chunk
    X[:, :2] = U[:2000]
    first = make_reservoir(W_in, W, b, activation="identity")
    second = make_reservoir(1e-9 * W, W, b)  # its states are of size one throughout
    below = run_states(first, X)[0]
    expected = np.hstack([below, run_states(second, below)[0]])
    for layers in ([first], [first, second]):
        chunks = TimeChunks(4)
        states = states_of(chunks, layers, X)
        assert chunks.warmup > 64
        after = slice(1000, 1400)
        n_units = states.shape[1]
        assert_allclose(states[after], expected[after, :n_units], rtol=0, atol=1e-11)


def test_known_feedback_and_functions_of_the_users_own():
    W_in, W, b = weights(5, 20, 0.3, 0.7)
    feedback = RNG.randn(len(U), 1)
    for activation in ("tanh", lambda z: z / (1 + np.abs(z))):
        res = make_reservoir(W_in, W, b, W_fb=np.ones((20, 1)), activation=activation)
        expected, _ = run_states(res, U, feedback=feedback)
        states = states_of(TimeChunks(5), [res], U, feedback=feedback)
        assert_allclose(states, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shares", [(0.1, 0.1), (1.0, 0.1), (0.1, 1.0), (1.0, 1.0)])
def test_layers(shares):
    first = make_reservoir(*weights(1, 20, shares[0], 0.8))
    second = make_reservoir(*weights(2, 30, shares[1], 0.8, n_inputs=20), leak_rate=0.5)
    below, _ = run_states(first, U)
    expected = np.hstack([below, run_states(second, below)[0]])
    assert_allclose(states_of(TimeChunks(7), [first, second], U), expected, rtol=0, atol=1e-11)


def test_auto_needs_long_series_and_heavy_weights():
    long = np.tile(U, (6, 1))

    def count(share, X=long, dtype="float64"):
        W_in, W, b = weights(0, 100, share, 0.5)
        chunks = TimeChunks("auto")
        blocks = chunks.blocks([make_reservoir(W_in, W, b, dtype=dtype)], X, [np.zeros(100, dtype)])
        assert (blocks is None) == (chunks.n_chunks == 1)
        return chunks.n_chunks

    assert count(1.0) == 64
    assert count(0.22) == 32
    assert count(0.05) == 1
    assert count(0.05, dtype="float32") == 32
    assert count(1.0, X=U[:1500]) == 1


def test_diagonals_run_in_chunks_if_a_number_is_asked_for():
    W_in, _, b = weights(0, 30, 0.2, 0.5)
    cycle = make_reservoir(W_in, 0.5 * np.roll(np.eye(30), 1, axis=0), b)
    assert TimeChunks("auto").blocks([cycle], np.tile(U, (6, 1)), [np.zeros(30)]) is None
    assert_allclose(
        states_of(TimeChunks(4), [cycle], U), run_states(cycle, U)[0], rtol=0, atol=1e-12
    )


MODELS = [
    ESNRegressor(40, washout=50, random_state=0),
    ESNRegressor(40, washout=50, alpha="auto", connectivity=1.0, random_state=0),
    ESNRegressor(40, washout=50, solver="cholesky", feedback_scaling=0.1, random_state=0),
    ESNRegressor(40, washout=50, dtype="float32", alpha=1e-2, random_state=0),
    DeepESNRegressor(2, n_units=25, washout=50, leak_rate=[1.0, 0.5], random_state=0),
]
Y = U @ [[1.0], [-0.5]] + 0.1 * np.sin(U[:, :1]) + 0.01 * RNG.randn(len(U), 1)


@pytest.mark.parametrize("model", MODELS)
def test_estimators_give_the_same_model(model):
    plain = clone(model).fit(U[:2400], Y[:2400])
    chunked = clone(model).set_params(time_chunks=6).fit(U[:2400], Y[:2400])
    tolerance = 1e-3 if plain.coef_.dtype == np.float32 else 1e-8
    assert (plain.time_chunks_, plain.sync_warmup_, plain.sync_error_) == (1, 0, 0.0)
    assert chunked.time_chunks_ == 6
    assert chunked.sync_warmup_ >= 64
    assert chunked.sync_error_ <= TOLERANCE[plain.coef_.dtype.name]
    assert_allclose(chunked.coef_, plain.coef_, rtol=tolerance, atol=tolerance)
    assert_allclose(chunked.state_, plain.state_, rtol=0, atol=tolerance)
    assert_array_equal(chunked.last_output_, plain.last_output_)
    before = vars(chunked).copy()
    assert_allclose(chunked.predict(U), plain.predict(U), rtol=0, atol=10 * tolerance)
    assert vars(chunked) == before  # predict writes nothing
    more = [m.partial_fit(U[2400:], Y[2400:]) for m in (plain, chunked)]
    assert_allclose(more[1].coef_, more[0].coef_, rtol=tolerance, atol=tolerance)


def test_the_transformer():
    plain = ReservoirTransformer(40, random_state=0)
    chunked = clone(plain).set_params(time_chunks=6)
    states = chunked.fit_transform(U)
    assert chunked.time_chunks_ == 6
    assert_allclose(states, plain.fit_transform(U), rtol=0, atol=1e-12)
    assert_allclose(chunked.transform(U), plain.transform(U), rtol=0, atol=1e-12)
    assert_allclose(chunked.state_, plain.state_, rtol=0, atol=1e-12)


def test_an_estimator_that_does_not_contract_is_the_one_without_chunks():
    wild = ESNRegressor(
        60, spectral_radius=3.0, bias_scaling=0.1, input_scaling=0.05, washout=50, random_state=0
    )
    plain = clone(wild).fit(U, Y)
    with pytest.warns(NotContractingWarning):
        chunked = clone(wild).set_params(time_chunks=8).fit(U, Y)
    assert chunked.time_chunks_ == 1
    assert_array_equal(chunked.coef_, plain.coef_)
    assert_array_equal(chunked.predict(U), plain.predict(U))


def test_a_fit_whose_chunks_do_not_meet_is_done_again():
    settings_ = {"topology": np.array([[2.0]]), "spectral_radius": None, "washout": 0}
    esn = ESNRegressor(1, bias_scaling=0.1, input_scaling=1e-9, random_state=2, **settings_)
    plain = clone(esn).fit(U, Y)
    other_side = -np.sign(plain.state_)
    chunked = clone(esn).set_params(time_chunks=4).fit(U, Y)
    assert chunked.time_chunks_ == 4
    with pytest.warns(NotContractingWarning):
        outputs = chunked.predict(U, initial_state=other_side)
    assert_array_equal(outputs, plain.predict(U, initial_state=other_side))
    with pytest.warns(NotContractingWarning):
        longer = continue_fit(chunked, U, Y, state=other_side)
    expected = continue_fit(plain, U, Y, state=other_side)
    assert longer.time_chunks_ == 1
    assert_array_equal(longer.state_, expected.state_)
    assert_allclose(longer.coef_, expected.coef_, rtol=1e-6, atol=1e-9)


def test_noise_and_several_sequences_run_as_ever():
    noisy = ESNRegressor(20, noise=0.1, random_state=0)
    assert_array_equal(
        clone(noisy).set_params(time_chunks=4).fit(U, Y).coef_, clone(noisy).fit(U, Y).coef_
    )
    many = ESNRegressor(20, random_state=0)
    parts, targets = np.split(U, 5), np.split(Y, 5)
    chunked = clone(many).set_params(time_chunks=4).fit(parts, targets)
    assert chunked.time_chunks_ == 1
    assert_array_equal(chunked.coef_, many.fit(parts, targets).coef_)


@pytest.mark.parametrize("value", [0, -1, 2.5, "many", True])
def test_forbidden_values(value):
    for model in (ESNRegressor(10), DeepESNRegressor(2, n_units=5), ReservoirTransformer(10)):
        with pytest.raises(InvalidParameterError, match="'time_chunks' parameter"):
            model.set_params(time_chunks=value).fit(U[:200], Y[:200])
