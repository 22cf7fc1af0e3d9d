"""Networks over text: exact gradients and states, what they draw, and what they may be given."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from echocast.exceptions import InvalidParameterError, TrainingDivergedError
from echocast.reservoir import CharRNN, MarkovChain
from echocast.reservoir.rnn._packed import pack
from echocast.reservoir.rnn._stop import LengthFirst, ending_named
from echocast.reservoir.rnn._tape import Tape, Var
from gradients import assert_gradient

ENDS = [None, "symbol", "bernoulli", "length"]
SMALL = {"hidden_layer_sizes": 8, "embedding_size": 4, "batch_size": 8, "random_state": 0}
WORDS = ["abba", "c", "cab", "bacca", "ab", "acab"] * 5


def small(**kwargs):
    return CharRNN(**{**SMALL, "max_iter": 2, "learning_rate_init": 0.02, **kwargs})


def by_steps(rnn, ids, length=None):
    """Log probabilities of all that may follow each prefix, one cell step after the other."""
    network, end = rnn._fit_network, rnn._fit_end
    leaves = network.layout.leaves(rnn.theta_, None)
    states, logs = network.first_states(leaves, 1), []
    for x in end.read(np.asarray(ids), length):
        h, states = network.step(leaves, x[None], None, states)
        logs.append(end.log_proba(network.read(leaves, h, None).data)[0])
    return np.array(logs)


# ------------------------------------------------------------------ exact parts


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
def test_gradients_against_central_differences(cell, end):
    rnn = small(cell=cell, end_of_sequence=end, dtype="float64", max_iter=0,
                hidden_layer_sizes=(5, 4)).fit(WORDS)  # fmt: skip
    network, ending = rnn._fit_network, rnn._fit_end
    data = rnn._rows_of([np.array([0, 1, 2, 0]), np.array([2, 2]), np.array([1])])
    order = np.argsort(-np.diff(data.indptr), kind="stable")
    packed = pack(data.indptr[:-1][order], data.indptr[1:][order])
    weights = packed.valid / packed.valid.sum()

    def loss_at(theta, grad=None):
        with Tape() as tape:
            leaves = network.layout.leaves(theta, grad)
            run = network.run(leaves, data.rows[packed.rows], packed)
            loss = ending.loss(run.outputs, data.targets[packed.rows], weights)
            if grad is not None:
                tape.backward(loss)
        return float(loss.data)

    theta = np.random.RandomState(1).standard_normal(network.layout.size)
    grad = np.zeros_like(theta)
    value = loss_at(theta, grad)
    assert_gradient(loss_at, theta, grad, np.random.RandomState(2))
    rnn.theta_ = theta  # the loss is what the score measures, apart from drawn lengths
    logs = rnn._logs_of(theta, data, data.indptr)
    assert_allclose(value, -logs.mean(), rtol=1e-12)


@pytest.mark.parametrize("end", ENDS)
def test_the_state_is_carried_through_a_long_text(end):
    """Passes are cut into pieces of 1024 rows, which must not show."""
    rnn = small(end_of_sequence=end, dtype="float64").fit(WORDS)
    ids = np.random.RandomState(0).randint(3, size=2500)
    text = "".join(rnn.symbols_[i] for i in ids)
    logs = by_steps(rnn, ids)
    known = logs[np.arange(2500), ids]
    assert_allclose(np.log(rnn.predict_proba(text)[:-1]), logs[1:-1], rtol=1e-9)
    if end in ("symbol", "bernoulli"):
        known = np.append(known, logs[-1, -1])
    extra = rnn._fit_end.nats_of_lengths(np.array([2500]))
    wanted = (extra.sum() - known.sum()) / (len(known) + len(extra)) / np.log(2)
    assert_allclose(rnn.score(text), wanted, rtol=1e-9)


def test_probabilities_do_not_depend_on_what_comes_later_or_beside():
    rnn = small(dtype="float64").fit(WORDS)
    long, short = rnn.predict_proba(["abcabba", "ab"])
    assert_allclose(long[:2], short, rtol=1e-12)
    assert_allclose(rnn.predict_proba("abcabba"), long, rtol=1e-12)
    assert_allclose(long.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("end", ENDS)
def test_the_score_of_several_texts_is_their_mean(end):
    rnn = small(end_of_sequence=end, dtype="float64").fit(WORDS)
    texts = ["abba", "c", "cabcab"]
    ends = 0 if end is None else 1
    sizes = [len(text) + ends for text in texts]
    alone = [rnn.score([text]) for text in texts]
    assert_allclose(rnn.score(texts), np.average(alone, weights=sizes), rtol=1e-12)
    assert_allclose(rnn.score("abba"), alone[0], rtol=1e-12)


@pytest.mark.parametrize("end", ["symbol", "bernoulli"])
def test_ends_complete_the_distribution(end):
    rnn = small(end_of_sequence=end, dtype="float64").fit(WORDS)
    table = rnn.predict_proba("abba")
    assert table.shape == (4, 4)
    assert_allclose(table.sum(axis=1), 1, rtol=1e-12)
    # All words of up to so many symbols, and those that go on, have probability one together.
    ids, total = [np.empty(0, dtype=int)], 0.0
    for length in range(4):
        for part in ids:
            logs = by_steps(rnn, part)
            total += np.exp(logs[np.arange(length), part].sum() + logs[-1, -1])
        ids = [np.append(part, k) for part in ids for k in range(3)]
    logs = [by_steps(rnn, part[:-1])[np.arange(4), part] for part in ids]
    assert_allclose(total + np.exp(np.sum(logs, axis=1)).sum(), 1, rtol=1e-10)


def test_lengths_have_a_distribution():
    end = LengthFirst(3).taught(np.array([2, 2, 5, 1]))
    p = np.exp(-end.nats_of_lengths(np.arange(2000)))
    assert_allclose(p.sum(), 1, rtol=1e-9)
    assert p[2] > p[5] > p[3] > 0
    assert_array_equal(end.read(np.array([1, 0]))[:, 1], [2, 1, 0])
    assert_array_equal(end.read(np.array([1, 0]), 9)[:, 1], [5, 5, 5])
    drawn = end.draw_lengths(np.random.RandomState(0), 4000, 2, lambda n: np.zeros(len(n)))
    assert set(drawn) == {2, 5}
    assert abs(np.mean(drawn == 2) - 2 / 3) < 0.03


def test_the_stop_unit_is_a_coin_before_the_choice():
    end = ending_named("bernoulli", 2)
    outputs = np.array([[0.0, 0.0, np.log(3.0)]])
    assert_allclose(np.exp(end.log_proba(outputs)), [[0.125, 0.125, 0.75]])
    value = end.loss(Var(outputs), np.array([2]), np.array([1.0])).data
    assert_allclose(value, -np.log(0.75))
    bias = end.first_bias(np.array([0, 0, 1, 2]))
    assert_allclose(np.exp(end.log_proba(bias[None])), [[3 / 7, 2 / 7, 2 / 7]])


# --------------------------------------------------------------------- learning


def test_it_learns_what_no_short_chain_can():
    """The symbol after "x" is the one that stood before the run of dots, of any length."""
    rng = np.random.RandomState(0)
    parts = []
    for _ in range(1500):
        symbol = "ab"[rng.randint(2)]
        parts.append(symbol + "." * rng.randint(3, 8) + symbol)
    text = "".join(parts)
    rnn = small(hidden_layer_sizes=16, bptt_steps=40, max_iter=8).fit(text)
    test = "".join(parts[:100])
    assert rnn.score(test) < MarkovChain(2).fit(text).score(test) - 0.1
    after = rnn.predict_proba("a......")[-1], rnn.predict_proba("b......")[-1]
    a, b = rnn.symbols_.index("a"), rnn.symbols_.index("b")
    assert after[0][a] > 10 * after[0][b]
    assert after[1][b] > 10 * after[1][a]


def test_fit_leaves_what_scikit_learn_leaves():
    rnn = small(max_iter=3).fit(WORDS)
    assert rnn.n_iter_ == len(rnn.loss_curve_) == len(rnn.grad_norms_) == 3
    assert rnn.t_ == 3 * 4  # 30 words, 8 at a time
    assert rnn.loss_ == rnn.loss_curve_[-1] < rnn.loss_curve_[0]
    assert rnn.n_symbols_seen_ == sum(map(len, WORDS))
    assert rnn.symbols_ == ["a", "b", "c"]
    assert np.shares_memory(rnn.params_["embedding.0.E"], rnn.theta_)
    assert rnn.theta_.dtype == np.float32


def test_the_first_bias_knows_the_shares_of_symbols():
    rnn = small(max_iter=0).fit("aaab" * 50)
    p = rnn.predict_proba("a")
    assert abs(p[0, 0] - 0.75) < 0.35
    assert rnn.t_ == 0


def test_the_seed_fixes_every_bit_whatever_the_threads():
    text = "".join(np.random.RandomState(0).choice(list("abcd"), size=16_000))
    kwargs = {"hidden_layer_sizes": 64, "batch_size": 32, "bptt_steps": 50, "max_iter": 1}
    one, two = small(**kwargs, n_jobs=1).fit(text), small(**kwargs, n_jobs=2).fit(text)
    assert_array_equal(one.theta_, two.theta_)
    assert (small(**{**kwargs, "random_state": 1}).fit(text).theta_ != one.theta_).any()


def test_partial_fit_goes_on():
    rnn = small(vocabulary="abc", max_iter=1)
    scores = [rnn.partial_fit(WORDS).score(WORDS) for _ in range(6)]
    assert scores[-1] < scores[0]
    assert rnn.n_iter_ == 6
    before = rnn.theta_.copy()
    with pytest.raises(ValueError, match="symbol 'z'"):
        rnn.partial_fit("zebra")
    assert_array_equal(rnn.theta_, before)
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        rnn.set_params(hidden_layer_sizes=9).partial_fit("abc")


@pytest.mark.parametrize("X", ["abcacb" * 200, WORDS * 4])
def test_early_stopping_keeps_the_best(X):
    rnn = small(early_stopping=True, n_iter_no_change=2, max_iter=40, learning_rate_init=0.1,
                bptt_steps=20).fit(X)  # fmt: skip
    assert len(rnn.validation_scores_) == rnn.n_iter_
    assert rnn.best_validation_score_ == max(rnn.validation_scores_)
    held = rnn._split([np.array([rnn.symbols_.index(s) for s in x]) for x in
                       ([X] if isinstance(X, str) else X)])[1]  # fmt: skip
    assert_allclose(rnn._validation(held)(rnn.theta_), rnn.best_validation_score_, rtol=1e-5)


SETTINGS = [
    {"dropout": 0.3},
    {"recurrent_dropout": 0.3},
    {"weight_decay": 0.1},
    {"alpha": 0.01},
    {"solver": "rmsprop"},
    {"solver": "sgd"},
    {"bptt_steps": None},
    {"learning_rate": "adaptive"},
]


@pytest.mark.parametrize("kwargs", SETTINGS)
def test_settings_matter(kwargs):
    plain, other = small().fit("abcacb" * 100), small(**kwargs).fit("abcacb" * 100)
    assert (plain.theta_ != other.theta_).any()
    assert np.isfinite(other.score("abc"))


# ---------------------------------------------------------------------- writing


def test_samples_follow_the_probabilities():
    rnn = small(end_of_sequence="symbol", max_iter=3).fit(WORDS)
    p = np.exp(by_steps(rnn, [0])[1])  # after an "a"
    drawn = rnn.generate_until_end(4000, prime="a", max_length=1, random_state=0)
    shares = [np.mean([word == symbol for word in drawn]) for symbol in ("a", "b", "c", "")]
    assert_allclose(shares, p, atol=0.03)
    sharp = rnn.generate_until_end(
        4000, prime="a", max_length=1, temperature=0.5, random_state=0
    )  # fmt: skip
    shares = [np.mean([word == symbol for word in sharp]) for symbol in ("a", "b", "c", "")]
    assert_allclose(shares, p**2 / (p**2).sum(), atol=0.03)


def test_temperature_zero_and_top_k_take_the_likeliest():
    rnn = small(max_iter=5).fit("abc" * 300)
    greedy = rnn.sample(12, prime="ab", temperature=0)
    assert greedy == rnn.sample(12, prime="ab", top_k=1, random_state=3)
    ids = [0, 1]
    for symbol in greedy:
        best = int(by_steps(rnn, ids)[-1].argmax())
        assert rnn.symbols_[best] == symbol
        ids.append(best)


@pytest.mark.parametrize("end", ENDS)
def test_sample_draws_as_many_as_asked(end):
    rnn = small(end_of_sequence=end).fit(WORDS)
    text = rnn.sample(30, prime="ca", random_state=0)
    assert len(text) == 30
    assert set(text) <= set("abc")
    assert text == rnn.sample(30, prime="ca", random_state=0)
    assert text != rnn.sample(30, prime="ca", random_state=1)


@pytest.mark.parametrize("end", ENDS[1:])
def test_whole_sequences_end(end):
    rnn = small(end_of_sequence=end, max_iter=20).fit(["ab", "abc"] * 30)
    drawn = rnn.generate_until_end(50, random_state=0)
    assert drawn == rnn.generate_until_end(50, random_state=0)
    assert np.mean([word in ("ab", "abc") for word in drawn]) > 0.8
    assert 0.2 < np.mean([word == "ab" for word in drawn]) < 0.8
    primed = rnn.generate_until_end(50, prime="a", random_state=0)
    assert np.mean([word in ("b", "bc") for word in primed]) > 0.8
    assert max(map(len, rnn.generate_until_end(20, max_length=1, random_state=0))) <= 1


def test_writing_changes_nothing():
    rnn = small(end_of_sequence="symbol").fit(WORDS)
    before = pickle.dumps(rnn)
    rnn.sample(3), rnn.generate_until_end(2), rnn.score("abc"), rnn.predict_proba("abc")
    assert pickle.dumps(rnn) == before


# ------------------------------------------------------------------------- forms


def test_words_and_numbers_are_symbols_too():
    rnn = small().fit([["go", "stop"], ["go", "stop", "go"]] * 10)
    assert rnn.symbols_ == ["go", "stop"]
    assert rnn.predict_proba(["go", "stop"]).shape == (2, 2)
    assert set(rnn.sample(4, prime=["go"], random_state=0)) <= {"go", "stop"}
    assert small().fit(np.array([0, 1, 2] * 50)).score([0, 1, 2]) > 0


def test_sequences_may_be_empty_where_that_says_something():
    rnn = small(end_of_sequence="symbol", max_iter=10).fit(["", "a"] * 20)
    assert rnn.generate_until_end(40, random_state=0).count("") > 5
    assert rnn.score("") < 2
    counted = small(end_of_sequence="length", max_iter=10).fit(["", "a"] * 20)
    assert counted.generate_until_end(40, random_state=0).count("") > 5
    assert_allclose(counted.score(""), 1, atol=0.3)


def test_clone_and_pickle_keep_the_network():
    rnn = small().fit(WORDS)
    again = pickle.loads(pickle.dumps(rnn))
    assert again.score("abba") == rnn.score("abba")
    assert_array_equal(again.partial_fit("abba").theta_, rnn.partial_fit("abba").theta_)
    assert_array_equal(clone(rnn).fit(WORDS).theta_, small().fit(WORDS).theta_)


def test_a_failed_fit_keeps_the_former_network():
    rnn = small().fit(WORDS)
    before = rnn.theta_.copy()
    with pytest.raises(ValueError, match="no symbols"):
        rnn.fit("")
    wild = rnn.set_params(learning_rate_init=1e30, max_norm=None, solver="sgd", max_iter=30)
    with pytest.raises(TrainingDivergedError):
        wild.fit(WORDS)
    assert_array_equal(rnn.theta_, before)


BAD_PARAMETERS = [
    ("hidden_layer_sizes", 0), ("hidden_layer_sizes", ()), ("hidden_layer_sizes", (8, 2.5)),
    ("cell", "transformer"), ("embedding_size", 0), ("end_of_sequence", "never"),
    ("end_of_sequence", True), ("bptt_steps", 0), ("batch_size", 0), ("solver", "lbfgs"),
    ("learning_rate", "fast"), ("learning_rate_init", 0.0), ("max_iter", -1), ("dropout", 1.0),
    ("recurrent_dropout", -0.1), ("alpha", -1.0), ("weight_decay", -1.0), ("max_norm", 0.0),
    ("clip_value", -1.0), ("momentum", 1.0), ("nesterovs_momentum", "yes"),
    ("early_stopping", "yes"), ("validation_fraction", 1.0), ("n_iter_no_change", 0),
    ("tol", -1.0), ("weight_init", "random"), ("shuffle", 2), ("dtype", "int8"), ("n_jobs", 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_bad_parameters(name, value):
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of CharRNN"):
        CharRNN(**{name: value}).fit("ab")


FITTED = small(end_of_sequence=None)
BAD_CALLS = [
    (lambda rnn: small().fit(3), TypeError, "must be a str"),
    (lambda rnn: small().fit(["ab", 1]), ValueError, "mixes symbols and sequences"),
    (lambda rnn: small().fit([""]), ValueError, "no symbols"),
    (lambda rnn: small(vocabulary="ab").fit("abc"), ValueError, "symbol 'c'"),
    (lambda rnn: small(end_symbol="c").fit("abc"), ValueError, "end_of_sequence='symbol'"),
    (lambda rnn: small(end_of_sequence="symbol", end_symbol="c").fit("abc"), ValueError,
     "X contains end_symbol='c'"),
    (lambda rnn: small(end_of_sequence="symbol", end_symbol="c", vocabulary="abc").fit("ab"),
     ValueError, "`vocabulary` contains end_symbol='c'"),
    (lambda rnn: small(early_stopping=True).fit("a"), ValueError, "early_stopping=True cannot"),
    (lambda rnn: small(early_stopping=True, end_of_sequence="symbol").fit("abc"), ValueError,
     "early_stopping=True cannot"),
    (lambda rnn: small().score("ab"), NotFittedError, "not fitted"),
    (lambda rnn: small().sample(3), NotFittedError, "not fitted"),
    (lambda rnn: small().generate_until_end(3), NotFittedError, "not fitted"),
    (lambda rnn: rnn.score("xyz"), ValueError, "vocabulary="),
    (lambda rnn: rnn.score(""), ValueError, "no symbols"),
    (lambda rnn: rnn.predict_proba(None), TypeError, "must be a str"),
    (lambda rnn: rnn.sample(0), InvalidParameterError, "'n'"),
    (lambda rnn: rnn.sample(2, prime="z"), ValueError, "symbol 'z'"),
    (lambda rnn: rnn.sample(2, temperature=-1), InvalidParameterError, "'temperature'"),
    (lambda rnn: rnn.sample(2, top_k=0), InvalidParameterError, "'top_k'"),
    (lambda rnn: rnn.generate_until_end(2), ValueError, "never stops"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "says"), BAD_CALLS)
def test_bad_calls(call, error, says):
    if not hasattr(FITTED, "theta_"):
        FITTED.fit("abcab" * 5)
    with pytest.raises(error, match=says):
        call(FITTED)


def test_bad_numbers_of_sequences():
    rnn = small(end_of_sequence="length", max_iter=0).fit(WORDS)
    for name in ("n_sequences", "max_length"):
        with pytest.raises(InvalidParameterError, match=f"'{name}'"):
            rnn.generate_until_end(**{name: 0})
