"""What counts as a sequence of symbols, how symbols are drawn, and texts that go on."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import cross_val_score

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import CharRNN, MarkovChain, Seq2SeqTransducer
from echocast.reservoir.rnn._sampling import draw
from echocast.reservoir.rnn._symbols import read_symbols

TINY = {"hidden_layer_sizes": 6, "embedding_size": 3, "max_iter": 1, "random_state": 0}


def rnn(**kwargs):
    return CharRNN(**{**TINY, **kwargs})


# ------------------------------------------------------------------------ forms


@pytest.mark.parametrize("X", [
    np.array(["go", "on"]), np.array(["go", "on"], dtype=object), pd.Series(["go", "on"]),
    ("go", "on"), [("go", "on")], [["go", "on"]],
], ids=lambda X: type(X).__name__)  # fmt: skip
def test_arrays_columns_and_tuples_of_texts_are_sequences_of_words(X):
    [sequence], _ = read_symbols(X, "Owner")
    assert list(sequence) == ["go", "on"]


def test_an_array_of_sequences_is_several():
    X = np.empty(2, dtype=object)
    X[:] = [[1, 2], [3]]
    assert read_symbols(X, "Owner") == ([[1, 2], [3]], False)


@pytest.mark.parametrize(("X", "error", "says"), [
    (pd.DataFrame({"a": [1, 2]}), TypeError, "X passed to .* is a table.*one column"),
    ({"a"}, TypeError, "must be a str.*got set"),
    ({"a": 1}, TypeError, "must be a str.*got dict"),
    (b"ab", TypeError, "must be a str.*got bytes"),
    (np.zeros((2, 2, 2), int), ValueError, "Found array with dim 3"),
    (np.array(3), ValueError, "Found array with dim 0"),
    ([{"a": 1}, {"b": 2}], TypeError, "cannot be told apart .*dict"),
    (np.array([0.0, np.nan]), ValueError, "Input X contains NaN.*\n.*no symbol"),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("model", [MarkovChain(1), rnn()], ids=lambda m: type(m).__name__)
def test_what_is_no_sequence_is_refused(model, X, error, says):
    with pytest.raises(error, match=says):
        model.fit(X)
    assert not hasattr(model, "symbols_")


@pytest.mark.parametrize("model", [MarkovChain, CharRNN])
def test_a_vocabulary_is_some_symbols(model):
    with pytest.raises(TypeError, match=r"the vocabulary for X .* got int"):
        model(vocabulary=5).fit("ab")
    with pytest.raises(ValueError, match=r"the vocabulary for X .* has no symbols"):
        model(vocabulary="").fit("ab")


PRIMES = [
    (5, TypeError, "prime passed to"),
    (None, TypeError, "prime passed to"),
    ([["a"]], ValueError, "prime passed to .* must be one sequence"),
    ("z", ValueError, "prime holds the symbol 'z'"),
    ([{}], TypeError, "prime passed to .* is no symbol"),
]


@pytest.mark.parametrize(("prime", "error", "says"), PRIMES, ids=str)
@pytest.mark.parametrize("model", [MarkovChain(1), rnn()], ids=lambda m: type(m).__name__)
def test_what_drawing_begins_with_is_one_known_sequence(model, prime, error, says):
    with pytest.raises(error, match=says):
        model.fit("abab").sample(2, prime=prime)


def test_a_chain_says_what_it_cannot_do():
    chain = MarkovChain(1).fit("abab")
    for X in ("", [], [[]]):
        with pytest.raises(ValueError, match="X passed to score has no symbols"):
            chain.score(X)
    for X in ("a", ["a", "b"]):
        with pytest.raises(ValueError, match=r"order='auto' holds out .* Name the order"):
            MarkovChain("auto").fit(X)


def test_short_sequences_beside_long_ones_do_not_stop_the_choice_of_an_order():
    chain = MarkovChain("auto", max_order=3).fit(["", "a", "ab" * 60])
    assert chain.order_ > 0
    assert np.isfinite(chain.bits_by_order_).all()


# --------------------------------------------------------------------- drawing


def test_equal_probabilities_are_no_way_around_top_k():
    rng = np.random.RandomState(0)
    found = {draw(np.zeros(5), rng, top_k=2) for _ in range(100)}
    assert found == {0, 1}
    assert set(MarkovChain(0, vocabulary="abcde").fit("abcde").sample(200, top_k=3)) == set("abc")


@pytest.mark.parametrize("temperature", [1e-320, 1e-30, 1e300])
def test_extreme_temperatures(temperature):
    rng = np.random.RandomState(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [draw(np.log([0.2, 0.5, 0.3]), rng, temperature=temperature) for _ in range(200)]
    assert set(found) == ({0, 1, 2} if temperature > 1 else {1})


def test_probabilities_too_small_for_a_float_still_can_be_drawn_from():
    found = [
        draw(np.array([-800.0, -np.inf, -801.0]), np.random.RandomState(i)) for i in range(400)
    ]
    assert set(found) == {0, 2}
    assert abs(np.mean(np.array(found) == 0) - 1 / (1 + np.exp(-1))) < 0.06


def test_temperature_and_top_k_change_probabilities_as_they_should():
    logs, rng = np.log([0.1, 0.2, 0.3, 0.4]), np.random.RandomState(0)
    found = [draw(logs, rng, temperature=0.5, top_k=3) for _ in range(8000)]
    wanted = np.array([0, 4, 9, 16]) / 29
    assert_allclose(np.bincount(found, minlength=4) / 8000, wanted, atol=0.02)


def test_drawing_is_checked_even_where_nothing_is_drawn():
    model = rnn(end_of_sequence="length").fit(["ab", "a"])
    with pytest.raises(InvalidParameterError, match="'temperature'"):
        model.generate_until_end(prime="abab", temperature=-1)


@pytest.mark.parametrize("end", ["symbol", "bernoulli", "length"])
def test_whole_sequences_are_drawn_given_how_they_begin(end):
    words = ["1a", "2ab", "3abc"] * 40
    model = rnn(hidden_layer_sizes=16, embedding_size=8, end_of_sequence=end, max_iter=60,
                learning_rate_init=0.02).fit(words)  # fmt: skip
    found = model.generate_until_end(100, prime="3", random_state=0)
    assert found.count("abc") > 90


# ------------------------------------------------------------------- going on


def test_a_text_goes_on_where_its_last_part_ended():
    text = "".join(np.random.RandomState(0).choice(list("abc"), size=120))
    start = rnn(bptt_steps=40, max_iter=0, dtype="float64").fit(text)
    whole, parts, apart = (pickle.loads(pickle.dumps(start)) for _ in range(3))
    whole.partial_fit(text, continues=True)
    for first in range(0, 120, 40):
        parts.partial_fit(text[first : first + 40], continues=True)
        apart.partial_fit(text[first : first + 40])
    assert_array_equal(parts.theta_, whole.theta_)
    assert np.abs(apart.theta_ - whole.theta_).max() > 1e-6
    assert parts.n_symbols_seen_ == whole.n_symbols_seen_
    # Any other training ends the text.
    once, fresh = (pickle.loads(pickle.dumps(parts)) for _ in range(2))
    once.partial_fit(text[:40]).partial_fit(text[:40], continues=True)
    fresh._fit_before = None
    fresh.partial_fit(text[:40]).partial_fit(text[:40], continues=True)
    assert_array_equal(once.theta_, fresh.theta_)


def test_only_one_text_without_an_end_can_go_on():
    for model, X in ((rnn(), ["ab", "ab"]), (rnn(end_of_sequence="symbol"), "ab")):
        with pytest.raises(ValueError, match=r"continues=True goes on with one text"):
            model.partial_fit(X, continues=True)
        assert not hasattr(model, "theta_")
    with pytest.raises(InvalidParameterError, match="'continues'"):
        rnn().partial_fit("ab", continues="yes")


def test_a_warm_start_goes_on_from_the_weights():
    text = "abcacb" * 50
    model = rnn(warm_start=True, max_iter=3, learning_rate_init=0.02).fit(text)
    first, score = model.theta_.copy(), model.score(text)
    model.fit(text)
    assert model.score(text) < score
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert model.n_symbols_seen_ == len(text)
    assert_array_equal(model.set_params(max_iter=0).fit("ab").theta_, model.theta_)
    with pytest.raises(ValueError, match="symbol 'z'"):
        model.fit("zzz")
    with pytest.raises(ValueError, match=r"fitted with cell='lstm', and cannot go on with 'gru'"):
        model.set_params(cell="gru").fit(text)
    anew = model.set_params(cell="lstm", warm_start=False, max_iter=3).fit(text)
    assert_array_equal(anew.theta_, first)
    with pytest.raises(InvalidParameterError, match="'warm_start'"):
        rnn(warm_start="no").fit("ab")


def test_lengths_of_later_texts_are_learnt_too():
    model = rnn(end_of_sequence="length").fit(["ab", "ab", "abab"])
    again = pickle.loads(pickle.dumps(model))
    model.partial_fit(["a"] * 30)
    cost = [m._fit_end.nats_of_lengths(np.array([1]))[0] for m in (again, model)]
    assert cost[1] < 0.2 < cost[0]
    assert set(map(len, model.generate_until_end(200, random_state=0))) == {1, 2, 4}
    warm = again.set_params(warm_start=True).fit(["abab"])  # which learns from those texts alone
    assert set(map(len, warm.generate_until_end(20, random_state=0))) == {4}


def test_fewer_bits_are_better_by_a_scorer_that_says_so():
    texts = ["abcabcabc"] * 6
    bits = cross_val_score(MarkovChain(2), texts, scoring=lambda m, X, y=None: -m.score(X), cv=3)
    assert (bits < 0).all()


# ------------------------------------------------------- pairs of sequences


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, lambda t: np.array(t, dtype=object)])
def test_arrays_and_columns_of_texts_are_lists_to_a_transducer(kind):
    X, y = ["abc", "ba", "c"], ["CBA", "AB", "C"]
    wanted = Seq2SeqTransducer(max_iter=2, random_state=0).fit(X, y)
    model = Seq2SeqTransducer(max_iter=2, random_state=0).fit(kind(X), kind(y))
    assert_array_equal(model.theta_, wanted.theta_)
    assert model.predict(kind(X)) == wanted.predict(X)
    assert model.score(kind(X), kind(y)) == wanted.score(X, y)


@pytest.mark.parametrize(("X", "y", "says"), [
    ("abc", "CBA", r"X passed to .* is one sequence .* \[X\]"),
    (["abc"], "CBA", r"y passed to .* is one sequence .* \[y\]"),
    (["abc", "ab"], [1, 2], r"y passed to .* is one sequence"),
    (np.array([1, 2, 3]), ["a"], r"X passed to .* is one sequence"),
], ids=str)  # fmt: skip
def test_a_transducer_learns_from_pairs_of_sequences(X, y, says):
    with pytest.raises(ValueError, match=says):
        Seq2SeqTransducer().fit(X, y)


def test_a_fitted_transducer_takes_a_single_pair():
    model = Seq2SeqTransducer(max_iter=1, random_state=0).fit(["abc"], ["CBA"])
    assert isinstance(model.predict("abc"), str)
    assert model.log_likelihood("abc", "CBA") == model.log_likelihood(["abc"], ["CBA"])
    with pytest.raises(InvalidParameterError, match="'return_attention'"):
        model.predict(["abc"], return_attention="no")


@pytest.mark.parametrize("value", [7, float("nan"), "often", None])
def test_a_schedule_of_forcing_gives_probabilities(value):
    model = Seq2SeqTransducer(teacher_forcing=lambda k: value, max_iter=1)
    with pytest.raises(InvalidParameterError, match=r"'teacher_forcing\(k\)' .* update k=0 "):
        model.fit(["ab"], ["BA"])
