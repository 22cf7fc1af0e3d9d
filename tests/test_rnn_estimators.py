"""What trained networks predict: an oracle, batches, causality, carried states, closed loops."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import oracles_network as oracle
from echocast.exceptions import ForecastDivergedError, ForecastDivergenceWarning
from echocast.reservoir import RNNClassifier, RNNRegressor
from rnn_fits import (
    CAUSAL,
    NETWORKS,
    STATEFUL,
    classifier,
    deep_state,
    fitted,
    ragged,
    regressor,
    waves,
)

# float64 passes differ from the oracle's, and from those of other batches, in the order of sums
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    return fitted(request.param)


def with_output_at_the_end(name):
    data = ragged()
    y = np.array([u[-1, 0] for u in data])
    return regressor(**NETWORKS[name]).fit([u[:-1] for u in data], y)


def test_predictions_equal_the_oracle(model):
    for x in ragged((1, 2, 40)):
        assert_allclose(model.predict(x), oracle.outputs(model, x), **CLOSE)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "by output"])
def test_last_outputs_equal_the_oracle(name):
    model = with_output_at_the_end(name)
    data = ragged((1, 8, 25))
    expected = [oracle.outputs(model, x, last=True)[0] for x in data]
    assert_allclose(model.predict(data), expected, **CLOSE)
    assert model.predict(data).shape == (3,)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "by output"])
def test_states_and_transform_equal_the_oracle(name):
    model, x = fitted(name), waves(20)
    layers, _ = oracle.hidden(model, x)
    for found, expected in zip(model.states(x), layers, strict=True):
        assert_allclose(found, expected, **CLOSE)
    assert_array_equal(model.transform(x), model.states(x)[-1])
    at_end = with_output_at_the_end(name)
    ends = [oracle.hidden(at_end, part)[1] for part in (x, x[:7])]
    assert_allclose(at_end.transform([x, x[:7]]), ends, **CLOSE)


def test_probabilities_are_the_softmax_of_the_oracle():
    data = ragged()
    labels = np.array(["a", "b", "c", "b"])
    model = classifier(cell="gru").fit(data, labels)
    logits = np.array([oracle.outputs(model, x, last=True) for x in data])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_allclose(model.predict_proba(data), expected, rtol=1e-11)
    assert_array_equal(model.predict(data), model.classes_[expected.argmax(axis=1)])
    stepwise = classifier(output="sequence").fit(data, [np.arange(len(u)) % 2 for u in data])
    for x, found in zip(data, stepwise.predict_proba(data)):
        logits = oracle.outputs(stepwise, x)
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        assert_allclose(found, expected, rtol=1e-11)


# ---------------------------------------------------------------------------- batches and forms


def test_a_prediction_does_not_depend_on_what_it_is_batched_with(model):
    data = ragged((12, 30, 3, 30, 1))
    together = model.predict(data)
    for x, found in zip(data, together):
        assert_allclose(found, model.predict(x), **CLOSE)
    for i, found in zip([3, 0, 4], model.predict([data[3], data[0], data[4]])):
        assert_allclose(found, together[i], **CLOSE)


def test_padding_lists_panels_and_groups_are_the_same_sequences(model):
    data = ragged((12, 30, 3))
    expected = model.predict(data)
    padded = np.full((3, 30, 2), np.nan)
    for x, row in zip(data, padded):
        row[: len(x)] = x
    found = model.predict(padded)
    assert found.shape == (3, 30, 1)
    for x, row, want in zip(data, found, expected):
        assert_array_equal(row[: len(x)], want)
        assert np.isnan(row[len(x) :]).all()
    ids = np.repeat(["c", "a", "b"], [12, 30, 3])
    stacked = np.concatenate(data)
    index = pd.MultiIndex.from_arrays([ids, np.concatenate([np.arange(len(x)) for x in data])])
    assert_array_equal(model.predict(pd.DataFrame(stacked, index=index)), np.concatenate(expected))
    assert_array_equal(model.predict(stacked, groups=ids), np.concatenate(expected))
    shuffled = np.argsort(np.concatenate([np.arange(len(x)) for x in data]), kind="stable")
    found = model.predict(stacked[shuffled], groups=ids[shuffled])
    assert_allclose(found, np.concatenate(expected)[shuffled], **CLOSE)


def test_the_same_weights_come_from_every_form_of_the_same_sequences():
    data = ragged((20, 20, 20))
    X, y = [u[:-1] for u in data], [u[1:] for u in data]
    ids = np.repeat([1, 2, 3], 19)
    index = pd.MultiIndex.from_arrays([ids, np.tile(np.arange(19), 3)])
    frame = pd.DataFrame(np.concatenate(X), index=index)
    expected = regressor().fit(X, y).theta_
    for model in (
        regressor().fit(np.stack(X), np.stack(y)),
        regressor().fit(frame, np.concatenate(y)),
        regressor().fit(np.concatenate(X), np.concatenate(y), groups=ids),
    ):
        assert_array_equal(model.theta_, expected)


# --------------------------------------------------------------------------------- causality


@pytest.mark.parametrize("name", CAUSAL)
def test_the_future_does_not_reach_back_by_a_bit(name):
    model, x = fitted(name), waves(2100, seed=3)  # longer than the stretches passes are cut into
    for cut in (1, 700, 1024, 1500):
        poisoned = x.copy()
        poisoned[cut:] = 1e3 * np.random.RandomState(0).randn(len(x) - cut, 2)
        assert_array_equal(model.predict(poisoned)[:cut], model.predict(x)[:cut])
        assert_array_equal(model.transform(poisoned)[:cut], model.transform(x)[:cut])


def test_a_bidirectional_network_does_see_the_future():
    model, x = fitted("bidirectional"), waves(30)
    poisoned = x.copy()
    poisoned[20:] += 1
    assert not np.allclose(model.predict(poisoned)[:20], model.predict(x)[:20])


@pytest.mark.parametrize("name", STATEFUL)
def test_pieces_with_carried_states_are_the_whole(name):
    data = ragged()
    model = regressor(**NETWORKS[name]).fit(data[0][:-1], data[0][1:])
    x = waves(40, seed=5)
    whole = model.predict(x)
    state, parts = None, []
    for piece in (x[:1], x[1:15], x[15:]):
        parts.append(model.predict(piece, initial_state=state))
        ended = model._outputs(model.theta_, model._read_new(piece), None if state is None else
                               state[None])[1]  # fmt: skip
        state = ended[0]
    assert_allclose(np.concatenate(parts), whole, **CLOSE)
    # the state that fit ended in, and one written down by hand
    first = model.predict(data[0])[-1]
    assert_allclose(model.predict(data[0][-1:], initial_state=model.state_)[0], first, **CLOSE)
    assert_allclose(model.predict(x, initial_state=model.h0_), whole, **CLOSE)


def test_states_of_several_sequences_follow_the_form():
    data = ragged()
    X, y = [u[:-1] for u in data], [u[1:] for u in data]
    last = [u[-1:] for u in data]
    expected = [p[-1] for p in regressor().fit(X, y).predict(data)]
    model = regressor().fit(X, y)
    assert model.state_.shape == (4, 6)
    found = model.predict(last, initial_state=model.state_)
    assert_allclose([p[0] for p in found], expected, **CLOSE)
    ids = np.repeat(list("abcd"), [len(x) for x in X])
    model = regressor().fit(np.concatenate(X), np.concatenate(y), groups=ids)
    found = model.predict(np.concatenate(last[::-1]), groups=list("dcba"),
                          initial_state=model.state_)  # fmt: skip
    assert_allclose(found[::-1], expected, **CLOSE)


# --------------------------------------------------------------------- nothing is written


def test_predicting_writes_nothing_and_repeats_its_bits(model):
    x = ragged()
    before = deep_state(model)
    calls = [
        lambda: model.predict(x),
        lambda: model.predict(x[0]),
        lambda: model.transform(x),
        lambda: model.score(x, [u[:, :1] for u in x]),
        lambda: model.states(x),
        lambda: model.params_,
    ]
    for call in calls:
        assert deep_state(call()) == deep_state(call())
    assert deep_state(model) == before


def test_copies_and_pickles_are_the_same_model(model):
    x = waves(30)
    expected = model.predict(x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        assert_array_equal(other.predict(x), expected)
        assert_array_equal(other.theta_, model.theta_)
    fresh = clone(model)
    assert not hasattr(fresh, "theta_")
    data = ragged()
    fresh.fit([u[:-1] for u in data], [u[1:, :1] for u in data])
    assert_array_equal(fresh.theta_, model.theta_)
    assert not np.shares_memory(copy.deepcopy(model).theta_, model.theta_)


def test_readonly_and_strided_inputs_give_the_same(model):
    x = waves(60)[::2]
    expected = model.predict(np.ascontiguousarray(x))
    assert_array_equal(model.predict(x), expected)
    frozen = np.asfortranarray(x)
    frozen.flags.writeable = False
    assert_array_equal(model.predict(frozen), expected)


def test_float32_is_kept_and_close_to_float64():
    u = waves(80)
    single, double = (
        regressor(dtype=dtype, max_iter=0).fit(u[:-1], u[1:]) for dtype in ("float32", "float64")
    )
    assert single.theta_.dtype == single.predict(u).dtype == single.state_.dtype == np.float32
    assert single.generate(5).dtype == np.float32
    assert_allclose(single.predict(u), double.predict(u), atol=1e-5)


def test_return_forms_follow_input_forms():
    u = waves(30)
    X = np.stack([u[:-1], u[:-1]])
    flat = regressor().fit(u[:-1], u[1:, 0])
    assert flat.predict(u).shape == (30,)
    assert flat.predict([u, u[:4]])[1].shape == (4,)
    assert flat.predict(np.stack([u, u])).shape == (2, 30)
    wide = regressor().fit(X, np.stack([u[1:], u[1:]]))
    assert wide.predict(X).shape == (2, 29, 2)
    ends = regressor().fit(X, [1.0, 2.0])
    assert ends.predict(X).shape == (2,)
    assert regressor().fit(X, [[1.0], [2.0]]).predict(X).shape == (2, 1)


# ---------------------------------------------------------------------------- closed loops


def by_hand(model, n_steps, rows, known=None):
    """Feed `rows`, then outputs, always predicting the whole past again."""
    rows, out = [np.asarray(row) for row in rows], []
    for i in range(n_steps):
        y = np.atleast_1d(model.predict(np.array(rows))[-1])
        out.append(y)
        extra = [] if known is None or i + 1 == n_steps else known[i + 1]
        rows.append(np.concatenate([y, extra]))
    return np.array(out)


@pytest.mark.parametrize("name", STATEFUL)
def test_generate_is_a_loop_of_predictions(name):
    u = waves(60)
    model = regressor(**NETWORKS[name], max_iter=5).fit(u[:-1], u[1:])
    expected = by_hand(model, 12, u)
    assert_allclose(model.generate(12), expected, **CLOSE)  # after the end of fit
    assert_allclose(model.generate(12, warmup=u), expected, **CLOSE)
    assert_allclose(model.free_run(12, u), expected, **CLOSE)
    state = model._outputs(model.theta_, model._read_new(u[:40]), None)[1][0]
    found = model.generate(12, warmup=u[40:], initial_state=state)
    assert_allclose(found, expected, **CLOSE)
    assert_array_equal(model.generate(1, warmup=u)[0], model.predict(u)[-1])
    assert_array_equal(model.generate(7), model.generate(12)[:7])


def test_generate_with_inputs_known_beforehand():
    u, z = waves(60), waves(80, 1, seed=9)
    X = np.hstack([u[:-1, :1], z[:59]])
    model = regressor(cell="gru", max_iter=5).fit(X, u[1:, 0])
    known = z[59:69]
    rows = np.vstack([X, [[u[59, 0], known[0, 0]]]])
    expected = by_hand(model, 10, rows, known)
    assert_allclose(model.generate(10, X=known), expected, **CLOSE)
    assert_allclose(model.generate(10, warmup=rows, X=known), expected, **CLOSE)
    with pytest.raises(ValueError, match=r"shape \(10, 1\), got \(9, 1\)"):
        model.generate(10, X=known[:9])
    with pytest.raises(ValueError, match="further columns"):
        model.generate(10)


def test_generate_of_a_network_that_remembers_its_output_alone():
    u, z = waves(60), waves(80, 1, seed=9)
    model = regressor(recurrence="output", max_iter=5).fit(z[:60], u[:, 0])
    rows = np.vstack([z[:60], z[60:70]])
    own = model.predict(rows)
    assert_allclose(model.generate(11, warmup=z[:60], X=z[59:70])[:, 0], own[59:], **CLOSE)
    # From the end of fit the last true target is fed.
    p, y, expected = model.params_, u[-1:, 0], []
    for row in z[60:65]:
        h = np.tanh(p["layers.0.W_in"] @ row + p["layers.0.R"] @ y + p["layers.0.b"])
        y = p["out.W"] @ h + p["out.b"]
        expected.append(y)
    assert_allclose(model.generate(5, X=z[60:65]), expected, **CLOSE)


def test_a_fit_on_several_sequences_is_continued_after_a_warmup_only():
    data = ragged()
    model = regressor().fit([u[:-1] for u in data], [u[1:] for u in data])
    with pytest.raises(ValueError, match="pass `warmup` or `initial_state`"):
        model.generate(5)
    assert_allclose(model.generate(5, warmup=data[2]), by_hand(model, 5, data[2]), **CLOSE)
    assert model.generate(5, initial_state=model.state_[1]).shape == (5, 2)


def test_loops_that_leave_the_data_warn_and_then_fail():
    u = waves(60)
    model = regressor(cell="relu", max_iter=0, include_input=True).fit(u[:-1], u[1:])
    model.params_["out.W"][:] = 0
    model.params_["out.W"][:, -2:] = 3.0 * np.eye(2)
    with pytest.warns(ForecastDivergenceWarning, match="Train longer, or on more data"):
        model.generate(20)
    with pytest.raises(ForecastDivergedError) as caught:
        model.generate(2000)
    assert 500 < caught.value.step < 700  # 3 ** 646 is the largest power in float64
    assert np.isfinite(caught.value.last_finite)


@pytest.mark.parametrize("params", [{"output": "last"}, {"bidirectional": True}])
def test_loops_that_make_no_sense_are_refused(params):
    data = ragged((20, 20))
    y = [1.0, 2.0] if "output" in params else [u[1:] for u in data]
    model = regressor(**params).fit([u[:-1] for u in data], y)
    with pytest.raises(ValueError, match="`generate` needs one output for each step"):
        model.generate(3, warmup=data[0])


def test_quantiles_are_in_order_and_the_middle_is_the_prediction():
    u = waves(60)
    model = regressor(loss="pinball", quantile=[0.9, 0.1, 0.5], max_iter=20).fit(u[:-1], u[1:])
    found = model.predict_quantiles(u)
    assert found.shape == (60, 2, 3)
    assert (np.diff(found, axis=-1) >= 0).all()
    bell = regressor(loss="gaussian", max_iter=20).fit(u[:-1], u[1:, 0])
    found = bell.predict_quantiles(u, [0.1, 0.5, 0.9])
    assert found.shape == (60, 3)
    assert_allclose(found[:, 1], bell.predict(u), **CLOSE)
    assert_allclose(found[:, 2] - found[:, 1], found[:, 1] - found[:, 0], rtol=1e-9)
    heavy = regressor(loss="student_t", max_iter=5).fit(u[:-1], u[1:])
    assert (np.diff(heavy.predict_quantiles([u], [0.05, 0.5, 0.95])[0], axis=-1) > 0).all()


def test_positional_parameters_are_refused():
    for cls in (RNNRegressor, RNNClassifier):
        with pytest.raises(TypeError, match="positional"):
            cls(32)
