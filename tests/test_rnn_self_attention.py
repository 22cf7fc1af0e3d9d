"""Self-attention: an oracle, gradients, what must not matter, and the manners of estimators."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import oracles_attention as oracle
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import (
    SelfAttentionClassifier,
    SelfAttentionRegressor,
    carries_state,
    lyapunov_exponents,
)
from echocast.reservoir.rnn import _ops as ops
from echocast.reservoir.rnn import _self_attention as functions
from echocast.reservoir.rnn._heads import ValueHead
from echocast.reservoir.rnn._objective import Objective, TrainData
from echocast.reservoir.rnn._tape import Tape, Var
from echocast.reservoir.rnn._transformer import AttentionNetwork
from gradients import assert_gradient
from rnn_fits import deep_state, ragged, waves

SMALL = {"n_units": 8, "n_hidden": 10, "max_iter": 2, "random_state": 0, "dtype": "float64"}
NETWORKS = {
    "plain": {},
    "heads": {"n_heads": 4, "n_blocks": 1},
    "causal": {"causal": True, "n_heads": 2},
    "learned positions": {"positions": "learned", "max_length": 40},
    "no positions": {"positions": None},
    "odd width": {"n_units": 7},
}
CLOSE = {"rtol": 1e-11, "atol": 1e-12}  # sums in other orders


def regressor(**params):
    return SelfAttentionRegressor(**{**SMALL, **params})


def classifier(**params):
    return SelfAttentionClassifier(**{**SMALL, **params})


def fitted(name="plain", last=False, **params):
    data = ragged()
    y = [u[-1, 0] for u in data] if last else [u[1:, :1] for u in data]
    return regressor(**{**NETWORKS[name], **params}).fit([u[:-1] for u in data], y)


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_states_and_attention_equal_the_oracle(name):
    model = fitted(name)
    for x in ragged((1, 2, 40)):
        hidden, weights = oracle.run(model, x)
        assert_allclose(model.predict(x), oracle.outputs(model, x), **CLOSE)
        assert_allclose(model.attention(x), weights, **CLOSE)
        for found, expected in zip(model.states(x), hidden, strict=True):
            assert_allclose(found, expected, **CLOSE)
        assert_array_equal(model.transform(x), model.states(x)[-1])


@pytest.mark.parametrize("output", ["last", "mean"])
def test_outputs_of_sequences_equal_the_oracle(output):
    model, data = fitted(last=True, output=output), ragged((3, 9, 1))
    expected = [oracle.outputs(model, x)[0] for x in data]
    assert_allclose(model.predict(data), expected, **CLOSE)
    p, seen = model.params_, model.transform(data)
    level = oracle.layer_norm(seen, p["norm.gain"], p["norm.b"])
    assert_allclose((level @ p["out.W"].T + p["out.b"])[:, 0], expected, **CLOSE)


@given(
    seed=st.integers(0, 1000),
    n_steps=st.integers(1, 6),
    n_sequences=st.integers(1, 4),
    n_heads=st.integers(1, 3),
    d=st.integers(1, 3),
    causal=st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_gradient_of_attention_equals_that_of_its_parts(
    seed, n_steps, n_sequences, n_heads, d, causal
):
    rng = np.random.RandomState(seed)
    lengths = np.sort(rng.randint(1, n_steps + 1, n_sequences))[::-1]
    lengths[0] = n_steps
    values = rng.randn(n_steps, n_sequences, 3 * n_heads * d)
    g = rng.randn(n_steps, n_sequences, n_heads * d)
    found = []
    for fused in (True, False):
        x = Var(values, None, True)
        with Tape() as tape:
            if fused:
                out = functions.attend(x, n_heads, lengths, causal=causal, keep=None)
            else:
                out = in_parts(x, n_heads, d, functions.allowed(n_steps, lengths, causal))
            tape.backward(ops.sum(ops.mul(out, g)))
        found.append((out.data, x.grad))
    assert_allclose(found[0][0], found[1][0], **CLOSE)
    assert_allclose(found[0][1], found[1][1], rtol=1e-10, atol=1e-11)


def in_parts(x, n_heads, d, mask):
    T, B, _ = x.data.shape
    parts = ops.unstack(ops.reshape(x, (T, B, 3, n_heads, d)), axis=2)
    q, k, v = (ops.transpose(part, (1, 2, 0, 3)) for part in parts)
    scores = ops.div(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))), np.sqrt(d))
    if mask is not None:
        scores = ops.where(np.broadcast_to(mask, scores.data.shape), scores, -np.inf)
    out = ops.matmul(ops.softmax(scores), v)
    return ops.reshape(ops.transpose(out, (2, 0, 1, 3)), (T, B, n_heads * d))


@pytest.mark.parametrize("read", ["sequence", "last", "mean"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", None])
@pytest.mark.parametrize("n_symbols", [0, 5])
def test_gradient_of_networks_against_central_differences(read, causal, positions, n_symbols):
    rng = np.random.RandomState(0)
    lengths = (7, 5, 5, 2)
    head = ValueHead("squared_error", 2)
    network = AttentionNetwork(
        2, 6, 2, 5, 1 if n_symbols else 3, 2, np.dtype(np.float64), read, causal, positions, 7,
        n_symbols,
    )  # fmt: skip
    indptr, n_rows = np.concatenate([[0], np.cumsum(lengths)]), sum(lengths)
    rows = rng.randint(5, size=(n_rows, 1)).astype(float) if n_symbols else rng.randn(n_rows, 3)
    n = len(lengths) if network.last else n_rows
    data = TrainData(rows, indptr, rng.randn(n, 2), rng.uniform(0.2, 2, n))
    objective = Objective(network, head, data, alpha=0.1)
    lanes = np.stack([indptr[:-1], indptr[1:]], axis=1)
    (chunk,) = objective.chunks(lanes, np.arange(len(lanes)), None)
    masks = network.draw_masks(rng, len(lengths), 0.3, 0.0)
    theta = network.initialise("glorot", rng) + 0.1 * rng.randn(network.layout.size)

    def loss(at, grad=None):
        grad = np.empty_like(at) if grad is None else grad
        value, _ = objective.gradient(at, grad, chunk, None, masks=masks)
        return value + objective.penalise(at, grad)

    grad = np.empty_like(theta)
    loss(theta, grad)
    assert np.linalg.norm(grad) > 1e-3
    assert_gradient(loss, theta, grad, rng)


def test_without_positions_a_permutation_of_the_input_permutes_the_output():
    rng = np.random.RandomState(0)
    for dtype, close in (("float32", 1e-6), ("float64", 1e-13)):
        model = fitted("no positions", dtype=dtype)
        x = waves(30)
        order = rng.permutation(30)
        difference = model.predict(x[order]) - model.predict(x)[order]
        assert np.abs(difference).max() <= close
        ordered = fitted("plain", dtype=dtype)  # which positions do tell apart
        assert np.abs(ordered.predict(x[order]) - ordered.predict(x)[order]).max() > 1e-3


def test_causal_outputs_do_not_see_later_inputs():
    x = waves(30)
    changed = x.copy()
    changed[12:] += 5
    for dtype, close in (("float32", 1e-6), ("float64", 1e-13)):
        model = fitted("causal", dtype=dtype)
        difference = np.abs(model.predict(changed) - model.predict(x))
        assert difference[:12].max() <= close
        assert difference[12:].min() > 1e-3
        assert_array_equal(np.triu(model.attention(x), 1), 0)
        seeing = fitted("plain", dtype=dtype)
        assert np.abs(seeing.predict(changed) - seeing.predict(x))[:12].max() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sequence_gives_the_same_in_any_batch(name):
    model, data = fitted(name), ragged((9, 30, 17, 1))
    padded = np.full((4, 35, 2), np.nan)
    for row, x in zip(padded, data):
        row[: len(x)] = x
    together = model.predict(padded)
    for row, x in zip(together, data):
        assert_allclose(row[: len(x)], model.predict(x), **CLOSE)
        assert np.isnan(row[len(x) :]).all()


def test_memory_is_held_down_where_no_gradient_is_wanted(monkeypatch):
    model, data = fitted("heads"), ragged((9, 30, 17, 30))
    expected = model.predict(data)
    monkeypatch.setattr(functions, "_MOST_SCORES", 1)
    for found, whole in zip(model.predict(data), expected):
        assert_allclose(found, whole, **CLOSE)


def test_equality_with_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.RandomState(0)
    T, B, n, n_heads = 7, 3, 12, 3
    layer = torch.nn.MultiheadAttention(n, n_heads, dtype=torch.float64)
    x, lengths = rng.randn(T, B, n), np.array([7, 5, 2])
    padding = torch.tensor(np.arange(T) >= lengths[:, None])
    later = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
    at = torch.tensor(x)
    for causal in (False, True):
        out, shares = layer(
            at, at, at, key_padding_mask=padding, attn_mask=later if causal else None,
            average_attn_weights=False,
        )  # fmt: skip
        arrays = [values.detach().numpy() for values in layer.parameters()]
        W, b, mix, c = arrays
        kept = []
        seen = functions.attend(ops.affine(x, W, b), n_heads, lengths, causal=causal, keep=kept)
        ours = ops.affine(seen, mix, c).data
        valid = (np.arange(T) < lengths[:, None]).T
        assert_allclose(ours[valid], out.detach().numpy()[valid], rtol=1e-12, atol=1e-13)
        for i, length in enumerate(lengths):
            assert_allclose(kept[0][i][:, :length], shares.detach().numpy()[i][:, :length],
                            rtol=1e-12, atol=1e-13)  # fmt: skip


# ------------------------------------------------------------------------ estimators


def test_forms_of_x_and_their_attention():
    rng = np.random.RandomState(0)
    X = rng.randn(6, 5, 2)
    model = regressor().fit(X, X[:, :, 0])
    assert model.predict(X).shape == (6, 5)
    assert model.attention(X).shape == (6, 2, 1, 5, 5)
    assert [a.shape for a in model.attention(list(X[:2]))] == [(2, 1, 5, 5)] * 2
    assert_allclose(model.attention(X).sum(axis=-1), 1)
    index = pd.MultiIndex.from_product([["a", "b"], range(5)])
    frame = pd.DataFrame(X[:2].reshape(10, 2), index=index)
    assert_allclose(model.predict(frame), model.predict(X[:2]).ravel(), **CLOSE)
    windows = regressor(layout="windows").fit(X[:, :, 0], X[:, 0, 0])
    assert windows.predict(X[:, :, 0]).shape == (6,)
    assert windows.attention(X[:, :, 0]).shape == (6, 2, 1, 5, 5)
    steps = classifier().fit(X, X[:, :, 0] > 0)
    assert steps.predict(X).shape == (6, 5)
    assert steps.predict_proba(list(X))[0].shape == (5, 2)


def test_symbols_are_rows_of_a_table():
    rng = np.random.RandomState(0)
    X = rng.randint(4, size=(30, 6))
    y = X[:, 0]
    X[0, 0] = 3
    clf = classifier(n_symbols="auto").fit(X, y)
    assert clf.params_["embedding.E"].shape == (4, 8)
    same = classifier(n_symbols=4).fit(list(X), y)
    assert_array_equal(same.theta_, clf.theta_)
    assert_allclose(same.predict_proba([X[3]])[0], clf.predict_proba(X)[3], rtol=1e-10)
    more = regressor(n_symbols=6).fit(X[:, :, None], y)
    assert more.predict(X[:2, :, None]).shape == (2,)
    for bad in (np.full((1, 6), 4), np.full((1, 6), -1), np.full((1, 6), 0.5)):
        with pytest.raises(ValueError, match="which is no number of one of the 4 symbols, 0 to 3"):
            clf.predict(bad)
    with pytest.raises(ValueError, match="one number of a symbol at each step, but it has 2"):
        classifier(n_symbols=4).fit(np.zeros((6, 5, 2)), y[:6])


def test_positions_are_learnt_up_to_a_length():
    model = regressor(positions="learned").fit(waves(20), waves(20)[:, 0])
    assert model.params_["positions.E"].shape == (20, 8)
    with pytest.raises(ValueError, match=r"learnt up to 20. Fit with max_length=21, or pos"):
        model.predict(waves(21))


def test_quantiles_and_scores():
    X, y = [u[:-1] for u in ragged()], [u[1:, 0] for u in ragged()]
    model = regressor(loss="pinball", quantile=[0.1, 0.5, 0.9], max_iter=5).fit(X, y)
    low, middle, high = model.predict_quantiles(X[0]).T
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert model.score(X, y) <= 1
    drawn = regressor(early_stopping=True, max_iter=5, validation_fraction=0.3).fit(X, y)
    assert len(drawn.validation_scores_) == 5


def test_learning_goes_on_from_chunk_to_chunk():
    X, y = [u[:-1] for u in ragged()], [u[1:, 0] for u in ragged()]
    model = regressor(dropout=0.2)
    for _ in range(3):
        model.partial_fit(X, y)
    assert len(model.loss_curve_) == 3
    model.partial_fit(waves(12), waves(12)[:, 0])
    warm = regressor(warm_start=True).fit(X, y)
    before = warm.theta_.copy()
    assert warm.fit(X, y).n_iter_ == 2
    assert not np.array_equal(before, warm.theta_)
    with pytest.raises(ValueError, match="fitted with n_heads=1, and cannot go on with 2"):
        warm.set_params(n_heads=2).fit(X, y)
    labels = ["a", "b", "a", "b"]
    clf = classifier().partial_fit(X, labels, classes=["a", "b", "c"])
    assert clf.predict_proba(X).shape == (4, 3)


@pytest.mark.parametrize("make", [regressor, classifier])
def test_estimators_have_manners(make):
    X, y = [u[:-1] for u in ragged()], [0, 1, 0, 1]
    model = make(n_heads=2, dropout=0.1)
    with pytest.raises(NotFittedError):
        model.predict(X)
    with pytest.raises(NotFittedError):
        model.attention(X)
    model.fit(X, y)
    assert_array_equal(clone(model).fit(X, y).theta_, model.theta_)
    assert_array_equal(clone(model).set_params(n_jobs=2).fit(X, y).theta_, model.theta_)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    before = deep_state(vars(model))
    model.predict(X[:2]), model.attention(X[1]) if make is regressor else model.attention(X)
    assert deep_state(vars(model)) == before
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(X, y[:2])
    assert deep_state(vars(model)) == before
    assert not hasattr(model, "state_")
    assert not carries_state(model)
    with pytest.raises(ValueError, match="no state that follows from the last one"):
        lyapunov_exponents(model, waves(200))


def test_shards_add_up(monkeypatch):
    from echocast.reservoir.rnn import _nodes

    X, y = [u[:-1] for u in ragged(range(5, 37))], np.arange(32.0)
    whole = regressor(max_iter=1, learning_rate_init=1e-4).fit(X, y / 32)
    monkeypatch.setattr(_nodes, "_SHARD_ROWS", 8)
    monkeypatch.setattr(_nodes, "_SHARD_WORK", 1)
    parts = [
        regressor(max_iter=1, learning_rate_init=1e-4, n_jobs=n).fit(X, y / 32) for n in (1, 2)
    ]
    assert_array_equal(parts[0].theta_, parts[1].theta_)
    assert_allclose(parts[0].loss_, whole.loss_, rtol=1e-10)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_blocks": 0}, "n_blocks"),
        ({"n_units": 2.5}, "n_units"),
        ({"n_units": 8, "n_heads": 3}, "a divisor of n_units=8"),
        ({"n_hidden": 0}, "n_hidden"),
        ({"causal": 1}, "causal"),
        ({"positions": "rotary"}, "positions"),
        ({"max_length": 0}, "max_length"),
        ({"n_symbols": "many"}, "n_symbols"),
        ({"output": "first"}, "output"),
        ({"dropout": 1.0}, "dropout"),
        ({"solver": "lbfgs", "dropout": 0.5}, "solver='lbfgs' needs a loss without chance"),
        ({"learning_rate_init": 0}, "learning_rate_init"),
        ({"dtype": "float16"}, "dtype"),
    ],
)
@pytest.mark.parametrize("make", [regressor, classifier])
def test_bad_parameters(make, params, message):
    X, y = [u[:-1] for u in ragged()], [0, 1, 0, 1]
    with pytest.raises((InvalidParameterError, ValueError), match=message):
        make(**params).fit(X, y)


def test_the_order_of_symbols_counts_only_with_positions():
    rng = np.random.RandomState(0)
    X = rng.randint(2, 6, size=(400, 5))
    first = rng.randint(2, size=400)
    X[:, 0], X[:, 1] = np.where(first, 0, 1), np.where(first, 1, 0)  # 0 before 1, or behind
    settings = {"n_symbols": 6, "max_iter": 15, "dtype": "float32", "output": "mean"}
    assert classifier(**settings).fit(X, first).score(X, first) == 1.0
    assert classifier(**settings, positions=None).fit(X, first).score(X, first) < 0.7
