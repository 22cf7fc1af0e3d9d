"""Markov chains against counting by hand, and what they may be given."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import MarkovChain


def by_hand(texts, context, symbol, order, symbols):
    """Witten-Bell's formula, word for word."""
    if order < 0:
        return 1 / len(symbols)
    shorter = by_hand(texts, context, symbol, order - 1, symbols)
    if len(context) < order:
        return shorter
    last = context[len(context) - order :]
    after = Counter(
        text[i + order]
        for text in texts
        for i in range(len(text) - order)
        if text[i : i + order] == last
    )
    n, kinds = sum(after.values()), len(after)
    return (after[symbol] + kinds * shorter) / (n + kinds) if n else shorter


texts = st.lists(st.text("abc", min_size=1, max_size=25), min_size=1, max_size=3)


@given(texts=texts, probe=st.text("abc", min_size=1, max_size=8), order=st.integers(0, 4))
def test_probabilities_equal_those_by_hand(texts, probe, order):
    chain = MarkovChain(order, vocabulary="abc").fit(texts)
    found = chain.predict_proba(probe)
    wanted = [
        [by_hand(texts, probe[: t + 1], symbol, order, "abc") for symbol in "abc"]
        for t in range(len(probe))
    ]
    assert_allclose(found, wanted, rtol=1e-12)
    assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    logs = [np.log2(by_hand(texts, probe[:t], a, order, "abc")) for t, a in enumerate(probe)]
    assert_allclose(chain.score(probe), -np.mean(logs), rtol=1e-12)


def third_order_source(n, rng, symbols=4, order=3):
    """Symbols whose distribution depends on the last three, and the entropy of the source."""
    table = rng.dirichlet(np.full(symbols, 0.5), size=(symbols,) * order)
    out = list(rng.randint(symbols, size=order))
    logs = []
    for _ in range(n):
        p = table[tuple(out[-order:])]
        logs.append(-(p * np.log2(p)).sum())
        out.append(rng.choice(symbols, p=p))
    return np.array(out[order:]), np.mean(logs)


def test_auto_finds_the_order_of_the_source_and_its_entropy():
    ids, entropy = third_order_source(40_000, np.random.RandomState(0))
    chain = MarkovChain("auto", max_order=5).fit(ids[:30_000])
    assert chain.order_ == 3
    assert int(np.argmin(chain.bits_by_order_)) == 3
    assert abs(chain.score(ids[30_000:]) - entropy) < 0.02
    assert MarkovChain(2).fit(ids[:30_000]).score(ids[30_000:]) > entropy + 0.2


@pytest.mark.parametrize(
    "X", ["abab", list("abab"), np.array(list("abab")), tuple("abab"), ["ab", "ab"], [[1, 2], [2]]]
)
def test_forms_of_sequences(X):
    chain = MarkovChain(1).fit(X)
    assert len(chain.symbols_) == 2
    assert chain.score(X) < 1.5


def test_a_list_of_words_is_one_sequence_once_symbols_are_words():
    chain = MarkovChain(1).fit([["go", "stop"], ["go", "stop", "go"]])
    assert chain.predict_proba(["go", "stop"]).shape == (2, 2)
    assert chain.sample(2, prime=["go"], temperature=0) == ["stop", "go"]


def test_contexts_do_not_reach_from_one_sequence_into_the_next():
    apart = MarkovChain(1, vocabulary="ab").fit(["aa", "bb"])
    assert apart.predict_proba("a")[0, 1] < MarkovChain(1).fit("aabb").predict_proba("a")[0, 1]


def test_samples_follow_the_chain_and_the_seed():
    chain = MarkovChain(1).fit("aaab" * 100)
    long = chain.sample(4000, random_state=0)
    assert abs(long.count("b") / 4000 - 0.25) < 0.03
    assert chain.sample(50, random_state=1) == chain.sample(50, random_state=1)
    assert chain.sample(5, prime="b", temperature=0) == "aaaaa"
    assert set(chain.sample(20, top_k=1)) == {"a"}
    numbers = MarkovChain(1).fit([0, 1, 0, 1]).sample(3, random_state=0)
    assert isinstance(numbers, list)


def test_clone_and_pickle_keep_the_chain():
    chain = MarkovChain(2).fit("abracadabra")
    again = pickle.loads(pickle.dumps(chain))
    assert again.score("abra") == chain.score("abra")
    assert clone(chain).fit("abracadabra").score("abra") == chain.score("abra")


def test_a_failed_fit_keeps_the_former_chain():
    chain = MarkovChain(1).fit("abab")
    before = chain.score("ab")
    with pytest.raises(ValueError, match="no symbols"):
        chain.fit("")
    assert chain.score("ab") == before


@pytest.mark.parametrize(
    ("action", "error", "says"),
    [
        (lambda: MarkovChain(-1).fit("ab"), InvalidParameterError, "'order'"),
        (lambda: MarkovChain(1.5).fit("ab"), InvalidParameterError, "'order'"),
        (lambda: MarkovChain(max_order=-1).fit("ab"), InvalidParameterError, "'max_order'"),
        (lambda: MarkovChain(1).fit(3), TypeError, "must be a str"),
        (lambda: MarkovChain(1).fit(["ab", 1]), ValueError, "mixes symbols and sequences"),
        (lambda: MarkovChain(1, vocabulary="a").fit("ab"), ValueError, "vocabulary"),
        (lambda: MarkovChain(1).fit("ab").score("abc"), ValueError, "'c'"),
        (lambda: MarkovChain(1).fit("ab").sample(0), InvalidParameterError, "'n'"),
        (lambda: MarkovChain(1).fit("ab").sample(2, temperature=-1), ValueError, "temperature"),
        (lambda: MarkovChain(1).fit("ab").sample(2, top_k=0), ValueError, "top_k"),
        (lambda: MarkovChain(1).fit("ab").sample(2, prime="x"), ValueError, "'x'"),
        (lambda: MarkovChain(1).score("ab"), ValueError, "not fitted"),
    ],
)
def test_bad_input_is_refused(action, error, says):
    with pytest.raises(error, match=says):
        action()
