"""Encoder and decoder for numbers: gradients, formulas, forms of the data, and learning."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import oracles_seq2seq as oracles
from echocast.exceptions import InvalidParameterError, UnscaledDataWarning
from echocast.forecasting._step_models import PlainSteps
from echocast.reservoir import Seq2SeqRegressor
from echocast.reservoir.rnn._tape import Tape
from gradients import assert_gradient

SMALL = {"hidden_layer_sizes": 5, "dtype": "float64", "random_state": 0, "max_iter": 2}
# Every kind of network, as parameters.
NETWORKS = {
    "plain": {},
    "additive": {"attention": "additive"},
    "dot": {"attention": "dot", "cell": "tanh"},
    "last": {"start": "last", "attention": "scaled_dot", "bidirectional": True},
    "lstm": {"cell": "lstm", "attention": "additive"},
    "plain lstm": {"cell": "lstm", "start": "last"},
    "relu": {"cell": "relu"},
    "stacked": {"hidden_layer_sizes": (4, 3), "bidirectional": True, "attention": "dot"},
}
LOSSES = {
    "absolute_error": {},
    "huber": {},
    "pinball": {"quantile": [0.1, 0.5, 0.8]},
    "gaussian": {},
    "student_t": {},
}
kinds = pytest.mark.parametrize("kind", NETWORKS)
N, L, K, F = 9, 4, 2, 3


def data(seed=0, n=N, lengths=(7, 3, 5)):
    """Sequences of three columns of different lengths, targets, and what is known of them."""
    rng = np.random.RandomState(seed)
    X = [rng.randn(lengths[i % len(lengths)], 3) for i in range(n)]
    return X, rng.randn(n, L, K), rng.randn(n, L, F)


X, Y, KNOWN = data()


def regressor(kind="plain", **params):
    return Seq2SeqRegressor(**{**SMALL, **NETWORKS[kind], **params})


def waves(n=260, seed=0):
    rng = np.random.RandomState(seed)
    t = np.arange(n)
    return np.sin(0.3 * t) + 0.5 * np.sin(0.12 * t + 1) + 0.02 * rng.randn(n)


def windows(u, n_read, n_written):
    cut = np.lib.stride_tricks.sliding_window_view(u, n_read + n_written)
    return cut[:, :n_read], cut[:, n_read:]


def outputs_of_oracle(model, x, known=None, y=None):
    """Outputs of one sequence, free running or given y."""
    sizes = model.hidden_layer_sizes
    own = oracles.Model(
        model.params_,
        model.cell,
        len(sizes) if isinstance(sizes, tuple) else 1,
        model.bidirectional,
        model.attention,
    )
    at = own.begin(x)
    last = model.start == "last"
    before = x[-1, :K] if last else model.params_["decoder.start.b"]
    outputs, alphas = [], []
    for i in range(L):
        inputs = before if known is None else np.concatenate([before, known[i]])
        o, at, alpha = own.write(at, inputs)
        outputs.append(o)
        alphas.append(alpha)
        before = o[:K] if y is None else y[i]
    return np.array(outputs), alphas


# Gradients


def check_gradient(model, forced, seed=0):
    sequences = model._read(X, reset=False, dtype=np.float64)
    known = KNOWN if model._fit_n_known else None
    weights = np.random.RandomState(1).uniform(0.5, 2, N)
    pairs = model._pairs(sequences, Y, known, weights)
    order = pairs.order(N, None)[0]
    rng = np.random.default_rng(seed)
    batch = pairs.batch(order, pairs.total(order), forced)
    layout = model._fit_network.layout
    theta = model.theta_ + 0.1 * rng.standard_normal(layout.size)

    def loss(theta):
        return float(model._loss_of(layout.leaves(theta, None), batch).data)

    grad = np.zeros_like(theta)
    with Tape() as tape:
        tape.backward(model._loss_of(layout.leaves(theta, grad), batch))
    assert_gradient(loss, theta, grad, rng, n_directions=8)
    for part in layout.views(grad).values():
        assert np.abs(part).max() > 0  # nothing is cut off


FORCED = {
    "true": None,
    "own": np.zeros((L, N), bool),
    "mixed": np.random.RandomState(0).random_sample((L, N)) < 0.5,
}


@kinds
@pytest.mark.parametrize("forcing", FORCED)
@pytest.mark.parametrize("with_known", [False, True])
def test_gradients_against_central_differences(kind, forcing, with_known):
    known = KNOWN if with_known else None
    model = regressor(kind, max_iter=0).fit(X, Y, X_future=known)
    check_gradient(model, FORCED[forcing])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("forcing", ["true", "mixed"])
def test_gradients_of_losses_against_central_differences(loss, forcing):
    model = regressor("additive", max_iter=0, loss=loss, **LOSSES[loss]).fit(X, Y)
    check_gradient(model, FORCED[forcing])


# Formulas


@kinds
@pytest.mark.parametrize("with_known", [False, True])
def test_predictions_are_those_of_the_formulas(kind, with_known):
    known = KNOWN if with_known else None
    model = regressor(kind).fit(X, Y, X_future=known)
    outputs = model.predict(X, X_future=known)
    for i, x in enumerate(X):
        expected, _ = outputs_of_oracle(model, x, None if known is None else known[i])
        assert_allclose(outputs[i], expected, rtol=1e-9, atol=1e-12)
    if model.attention is not None:
        again, alphas = model.predict(X, X_future=known, return_attention=True)
        assert_array_equal(again, outputs)
        _, looked = outputs_of_oracle(model, X[1], None if known is None else known[1])
        assert_allclose(alphas[1], looked, rtol=1e-9, atol=1e-12)
        assert [a.shape for a in alphas] == [(L, len(x)) for x in X]


def test_training_is_given_the_true_outputs_or_its_own():
    for forcing in (1.0, 0.0):
        model = regressor("last", max_iter=1, teacher_forcing=forcing, learning_rate_init=1e-12)
        model.fit(X, Y)
        errors = [
            outputs_of_oracle(model, x, None, y if forcing else None)[0] - y for x, y in zip(X, Y)
        ]
        assert_allclose(model.loss_curve_[0], np.mean(np.square(errors)), rtol=1e-9)


def test_quantiles_and_points_of_the_losses_that_have_them():
    model = regressor(loss="pinball", quantile=[0.1, 0.5, 0.8], max_iter=5).fit(X, Y)
    values = model.predict_quantiles(X)
    assert values.shape == (N, L, K, 3)
    assert (np.diff(values, axis=-1) >= 0).all()
    assert model.predict_quantiles(X, 0.8).shape == (N, L, K, 1)
    for loss in ("gaussian", "student_t"):
        model = regressor(loss=loss, max_iter=5).fit(X, Y)
        middle = model.predict_quantiles(X, [0.2, 0.5])
        assert_allclose(middle[..., 1], model.predict(X), rtol=1e-9)
    single = regressor(loss="gaussian").fit(X, Y[:, 0, 0])
    assert single.predict_quantiles(X, [0.2, 0.5]).shape == (N, 2)
    with pytest.raises(ValueError, match="gives points alone"):
        regressor().fit(X, Y).predict_quantiles(X, 0.5)


# Properties


@kinds
def test_what_a_sequence_is_padded_with_does_not_matter(kind):
    model = regressor(kind).fit(X, Y, X_future=KNOWN)
    together = model.predict(X, X_future=KNOWN)
    alone = [model.predict([x], X_future=[u])[0] for x, u in zip(X, KNOWN)]
    assert_allclose(together, alone, rtol=1e-12, atol=1e-13)
    padded = np.full((N, 7, 3), np.nan)
    for row, x in zip(padded, X):
        row[: len(x)] = x
    assert_array_equal(model.predict(padded, X_future=KNOWN), together)


def test_seeds_fix_every_bit_and_threads_change_none():
    rng = np.random.RandomState(0)
    A, B = rng.randn(96, 20, 2), rng.randn(96, 10, 1)
    for attention in (None, "additive"):
        params = {"hidden_layer_sizes": 40, "batch_size": 96, "attention": attention}
        one, two = (regressor(**params, n_jobs=n).fit(A, B) for n in (1, 2))
        assert_array_equal(one.theta_, two.theta_)
        other = regressor(**params).set_params(random_state=1).fit(A, B)
        assert not np.array_equal(one.theta_, other.theta_)


def test_sequences_of_weight_zero_are_not_learnt_from():
    weights = np.ones(N)
    weights[2::3] = 0
    kept = weights > 0
    other = np.where(kept[:, None, None], Y, 5.0)
    params = {"teacher_forcing": 1.0, "shuffle": False, "batch_size": N, "max_iter": 5}
    one, two = (regressor(**params).fit(X, y, sample_weight=weights) for y in (Y, other))
    assert_array_equal(one.theta_, two.theta_)
    doubled = regressor(**params).fit(X, Y, sample_weight=2 * weights)
    assert_allclose(doubled.predict(X), one.predict(X), rtol=1e-9)


def test_predict_writes_nothing_and_pickles_and_clones_are_equal():
    model = regressor("stacked").fit(X, Y)
    before = pickle.dumps(model)
    outputs = model.predict(X)
    model.score(X, Y)
    assert pickle.dumps(model) == before
    assert_array_equal(pickle.loads(before).predict(X), outputs)
    assert_array_equal(clone(model).fit(X, Y).theta_, model.theta_)


def test_a_fit_that_fails_leaves_the_former_one():
    model = regressor().fit(X, Y)
    theta = model.theta_
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, Y[1:])
    assert model.theta_ is theta


# Forms of the data


def test_predictions_have_the_axes_of_the_targets():
    A = np.stack([x[:3] for x in X])
    for y in (Y, Y[:, :, 0], Y[:, 0, 0]):
        model = regressor().fit(A, y)
        assert model.predict(A).shape == y.shape
        assert -np.inf < model.score(A, y) <= 1
    assert_array_equal(regressor().fit(A, list(Y)).theta_, regressor().fit(A, Y).theta_)


def test_rows_of_a_table_are_windows_the_oldest_value_first():
    A, y = windows(waves(60), 8, 4)
    model = regressor("last").fit(A, y)
    assert_array_equal(
        model.predict(A), regressor("last").fit(A[:, :, None], y).predict(A[:, :, None])
    )
    turned = regressor("last", window_order="newest_first").fit(A[:, ::-1], y)
    assert_array_equal(turned.predict(A[:, ::-1]), model.predict(A))
    frame = pd.DataFrame(A, columns=[f"lag_{8 - i}" for i in range(8)])
    of_frame = regressor("last").fit(frame, pd.DataFrame(y))
    assert_array_equal(of_frame.predict(frame), model.predict(A))
    assert of_frame.feature_names_in_.tolist() == list(frame.columns)


@pytest.mark.parametrize("order", ["oldest_first", "newest_first"])
def test_rows_of_a_table_may_hold_several_values_for_each_step(order):
    rng = np.random.RandomState(0)
    A, y = rng.randn(30, 6, 2), rng.randn(30, 4, 2)
    wanted = regressor("last", loss="gaussian").fit(A, y)
    flip = slice(None, None, -1) if order == "newest_first" else slice(None)
    rows, targets = A[:, flip].reshape(30, 12), y.reshape(30, 8)
    model = regressor("last", loss="gaussian", n_variables=2, window_order=order)
    assert_array_equal(model.fit(rows, targets).theta_, wanted.theta_)
    assert model.horizon_ == 4
    assert_array_equal(model.predict(rows), wanted.predict(A).reshape(30, 8))
    assert_array_equal(
        model.predict_quantiles(rows, [0.1, 0.9]),
        wanted.predict_quantiles(A, [0.1, 0.9]).reshape(30, 8, 2),
    )
    assert_allclose(model.score(rows, targets), wanted.score(A, y))
    for bad_rows, bad_y, name in ((rows[:, 1:], targets, "X, 11"), (rows, targets[:, 1:], "y, 7")):
        with pytest.raises(InvalidParameterError, match=f"'n_variables' .* columns of {name}"):
            clone(model).fit(bad_rows, bad_y)


def test_forecasters_know_that_its_rows_have_no_memory():
    A, y = windows(waves(60), 8, 4)
    for dtype in ("float32", "float64"):  # rows are rounded otherwise alone than together
        model = PlainSteps(regressor(dtype=dtype, max_iter=10), context=5).fit(A, y)
        assert not model.remembers


def test_a_panel_has_sequences_of_its_series():
    index = pd.MultiIndex.from_product([["a", "b"], range(5)], names=["series", "time"])
    frame = pd.DataFrame(np.random.RandomState(0).randn(10, 2), index=index, columns=["u", "v"])
    y = np.random.RandomState(1).randn(2, 3)
    model = regressor().fit(frame, y)
    values = frame.to_numpy()
    assert_array_equal(model.theta_, regressor().fit([values[:5], values[5:]], y).theta_)


# Learning


def test_it_learns_a_horizon_and_what_is_known_helps():
    rng = np.random.RandomState(0)
    u = waves()
    known = rng.randn(len(u))
    y = u + 0.5 * known
    A, future = windows(u, 12, 6)
    targets = windows(y, 12, 6)[1]
    beside = windows(known, 12, 6)[1]
    train, test = slice(200), slice(212, None)
    params = {"hidden_layer_sizes": 24, "max_iter": 25, "random_state": 0}
    model = Seq2SeqRegressor(**params).fit(A[train], targets[train], X_future=beside[train])
    assert model.score(A[test], targets[test], X_future=beside[test]) > 0.95
    without = Seq2SeqRegressor(**params).fit(A[train], targets[train])
    assert without.score(A[test], targets[test]) < 0.85
    for attention in ("additive", "dot"):
        looking = Seq2SeqRegressor(attention=attention, start="last", **params)
        assert looking.fit(A[train], future[train]).score(A[test], future[test]) > 0.9


def test_early_stopping_keeps_the_best_weights():
    A, y = windows(waves(), 12, 6)
    model = regressor(
        early_stopping=True, max_iter=40, n_iter_no_change=2, learning_rate_init=0.1
    ).fit(A, y)
    assert len(model.validation_scores_) == model.n_iter_
    n = round(0.1 * len(A))
    assert_allclose(model.score(A[-n:], y[-n:]), model.best_validation_score_, rtol=1e-9)


# What is refused

PARAMETERS = [
    ("hidden_layer_sizes", 0), ("cell", "elman"), ("attention", "luong"), ("start", "zeros"),
    ("window_order", "auto"), ("n_variables", 0), ("n_variables", 1.5),
    ("teacher_forcing", 1.5), ("teacher_forcing", "linear"), ("loss", "mse"), ("quantile", 0.0),
    ("quantile", "median"), ("solver", "lbfgs"), ("learning_rate", 0.1), ("max_iter", -1),
    ("bidirectional", "no"), ("dtype", "float16"), ("n_jobs", 0), ("weight_init", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), PARAMETERS, ids=lambda v: str(v)[:20])
def test_bad_parameters_are_named(name, value):
    model = regressor(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of Seq2SeqRegressor"):
        model.fit(X, Y)
    assert not hasattr(model, "theta_")


def with_nan(a):
    a = a.copy()
    a.flat[5] = np.nan
    return a


@pytest.mark.parametrize(("params", "args", "known", "message"), [
    ({}, (X, Y[1:]), None, r"inconsistent numbers of samples: \[9, 8\]"),
    ({}, (X, with_nan(Y)), None, "y contains NaN"),
    ({}, (X, None), None, "requires y to be passed"),
    ({}, (X, Y[:, :, None]), None, "at most 3 axes"),
    ({}, (X, [Y[0], *Y[1:, :3]]), None, "writes horizons of one length"),
    ({}, ([*X[1:], np.full((3, 3), np.inf)], Y), None, "contains infinity"),
    ({}, ([*X[1:], np.ones((3, 2))], Y), None, "2"),
    ({}, (X, Y), KNOWN[1:], r"X_future must have shape \(9, 4, n_known\)"),
    ({}, (X, Y), KNOWN[:, 1:], r"X_future must have shape \(9, 4, n_known\)"),
    ({}, (X, Y), with_nan(KNOWN), "X_future contains NaN"),
    ({"start": "last"}, ([x[:, :1] for x in X], Y), None, "start='last' needs the 2 target"),
    ({"early_stopping": True}, (X[:1], Y[:1]), None, "leaves nothing to train on"),
], ids=str)  # fmt: skip
def test_bad_data_are_refused(params, args, known, message):
    with pytest.raises(ValueError, match=message):
        regressor(**params).fit(*args, X_future=known)


def test_what_a_fitted_model_refuses():
    model = regressor().fit(X, Y, X_future=KNOWN)
    with pytest.raises(ValueError, match=r"X_future has 0 column\(s\).* was fitted with 3"):
        model.predict(X)
    with pytest.raises(ValueError, match="fit with attention='additive'"):
        model.predict(X, X_future=KNOWN, return_attention=True)
    with pytest.raises(ValueError, match="expecting 3 features"):
        model.predict([x[:, :2] for x in X], X_future=KNOWN)
    with pytest.raises(ValueError, match="rows that are windows, but fit was given sequences"):
        model.predict(X[0], X_future=KNOWN)
    with pytest.raises(ValueError, match="y has horizons of shape"):
        model.score(X, Y[:, :2], X_future=KNOWN)
    plain = regressor().fit(X, Y)
    with pytest.raises(ValueError, match=r"X_future has 3 column\(s\)"):
        plain.predict(X, X_future=KNOWN)


def test_data_that_are_not_scaled_are_warned_of():
    with pytest.warns(UnscaledDataWarning, match="Column 0 of X"):
        regressor().fit([1e4 * x for x in X], Y)
    with pytest.warns(UnscaledDataWarning, match="Column 0 of y"):
        regressor().fit(X, 1e4 * Y)


def test_nothing_works_before_fit():
    for call in (
        lambda m: m.predict(X),
        lambda m: m.score(X, Y),
        lambda m: m.predict_quantiles(X),
        lambda m: m.params_,
    ):
        with pytest.raises(NotFittedError):
            call(regressor())
