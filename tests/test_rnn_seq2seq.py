"""Encoder and decoder for symbols: gradients, formulas, beams, ends, and learning."""

import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import oracles_seq2seq as oracles
from echocast.exceptions import InvalidParameterError, TrainingDivergedError
from echocast.reservoir import Seq2SeqTransducer
from echocast.reservoir.rnn._tape import Tape
from gradients import assert_gradient

SMALL = {"hidden_layer_sizes": 5, "embedding_size": 3, "dtype": "float64", "random_state": 0}
# Every kind of network, as parameters.
NETWORKS = {
    "plain": {"attention": None},
    "additive": {"attention": "additive"},
    "dot": {"attention": "dot"},
    "scaled": {"attention": "scaled_dot"},
    "one way": {"bidirectional": False},
    "lstm": {"cell": "lstm"},
    "plain lstm": {"cell": "lstm", "attention": None},
    "tanh": {"cell": "tanh"},
    "relu": {"cell": "relu", "attention": "dot"},
    "stacked": {"hidden_layer_sizes": (4, 3)},
    "stacked lstm": {"hidden_layer_sizes": (4, 3), "cell": "lstm", "bidirectional": False},
    "stacked plain": {"hidden_layer_sizes": (4, 3, 2), "attention": None},
}
kinds = pytest.mark.parametrize("kind", NETWORKS)


def words(n=12, seed=0, longest=6):
    rng = np.random.RandomState(seed)
    return ["".join(rng.choice(list("abc"), size=rng.randint(1, longest + 1))) for _ in range(n)]


def capitals(X):
    """Backwards, in capitals, every c twice."""
    return [x[::-1].upper().replace("C", "CC") for x in X]


def transducer(kind="additive", **params):
    return Seq2SeqTransducer(**{**SMALL, "max_iter": 3, **NETWORKS[kind], **params})


def fitted(kind="additive", **params):
    X = words()
    return transducer(kind, **params).fit(X, capitals(X))


def oracle(model):
    sizes = model.hidden_layer_sizes
    n_layers = len(sizes) if isinstance(sizes, tuple) else 1
    return oracles.Symbols(
        model.params_, model.cell, n_layers, model.bidirectional, model.attention
    )


def ids_of(model, x, y=None):
    numbers = {symbol: i for i, symbol in enumerate(model.symbols_)}
    read = [numbers[symbol] for symbol in x]
    if y is None:
        return read
    numbers = {symbol: i for i, symbol in enumerate(model.target_symbols_)}
    return read, [numbers[symbol] for symbol in y]


# Gradients


@kinds
@pytest.mark.parametrize("forcing", ["forced", "own"])
def test_gradients_against_central_differences(kind, forcing):
    X = words()
    model = transducer(kind, max_iter=0).fit(X, capitals(X))
    pairs = model._pairs(X, capitals(X))
    order = pairs.order(len(X), None)[0]
    rng = np.random.default_rng(0)
    forced = None
    if forcing == "own":
        forced = rng.random((int(np.diff(pairs.y_indptr).max()), len(X))) < 0.3
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


def test_the_loss_is_the_mean_of_all_symbols_and_shards_add_up():
    X = words(70, longest=12)
    y = capitals(X)
    model = transducer(max_iter=1, batch_size=70, learning_rate_init=1e-12).fit(X, y)
    n_symbols = sum(map(len, y)) + len(y)
    mean = -model.log_likelihood(X, y).sum() / n_symbols
    assert_allclose(model.loss_curve_[0], mean, rtol=1e-9)  # parameters moved by 1e-12


def test_threads_do_not_change_a_bit():
    X = words(96, longest=14)
    y = capitals(X)
    params = {"hidden_layer_sizes": 40, "batch_size": 96, "max_iter": 2}
    for kind in ("plain", "additive"):
        one = transducer(kind, **params).fit(X, y)
        assert len(one._shards(one._pairs(X, y), np.arange(96), None)) > 1
        two = transducer(kind, **params, n_jobs=2).fit(X, y)
        assert_array_equal(one.theta_, two.theta_)


# Formulas


@kinds
def test_probabilities_are_those_of_the_formulas(kind):
    model = fitted(kind)
    X = ["abc", "c", "ccba"]
    y = ["CBA", "", "AABCC"]
    expected = [oracle(model).log_likelihood(*ids_of(model, *pair)) for pair in zip(X, y)]
    assert_allclose(model.log_likelihood(X, y), expected, rtol=1e-10)
    n = np.array([4, 1, 6])
    assert_allclose(model.log_likelihood(X, y, normalise=True), expected / n, rtol=1e-10)


@kinds
@pytest.mark.parametrize("width", [1, 2, 4])
def test_beams_are_those_of_the_oracle(kind, width):
    model = fitted(kind, max_length=5)
    X = words(8, seed=1)
    own = oracle(model)
    for x, written in zip(X, model._written(model._pairs(X), width)):
        found = own.beam(ids_of(model, x), width, 5) + own.beam(ids_of(model, x), 1, 5)
        worth, ids = max(found)
        assert_allclose(written.worth, worth, rtol=1e-9)
        assert written.ids.tolist() == ids


@kinds
def test_a_wide_beam_finds_the_best_of_all_outputs_whose_probabilities_add_up_to_one(kind):
    most = 3
    model = fitted(kind, max_length=most)
    own, n = oracle(model), len(model.target_symbols_)
    for x, [written] in ((x, model._written(model._pairs([x]), 200)) for x in words(3, seed=8)):
        at_first = own.begin(ids_of(model, x))
        total, best = 0.0, (-np.inf, None)
        for length in range(most + 1):
            for ids in itertools.product(range(n), repeat=length):
                at, before, logs = at_first, own.end, 0.0
                for symbol in [*ids, own.end][:most]:  # the end is no longer asked for after most
                    following, at, _ = own.next(at, before)
                    logs, before = logs + following[symbol], symbol
                total += np.exp(logs)
                best = max(best, (logs / min(length + 1, most), list(ids)))
        assert_allclose(total, 1, rtol=1e-9)
        assert_allclose(written.worth, best[0], rtol=1e-9)
        assert written.ids.tolist() == best[1]


@pytest.mark.parametrize("kind", ["additive", "dot", "scaled", "stacked lstm"])
def test_attention_is_returned_for_each_symbol(kind):
    model = fitted(kind, max_length=4)
    X = words(6, seed=2)
    outputs, alphas = model.predict(X, return_attention=True)
    own = oracle(model)
    for x, output, alpha in zip(X, outputs, alphas):
        assert alpha.shape == (len(output), len(x))
        assert_allclose(alpha.sum(axis=1), 1, rtol=1e-12)
        read, written = ids_of(model, x, output)
        at, before = own.begin(read), own.end
        for row, symbol in zip(alpha, written):
            _, at, looked = own.next(at, before)
            assert_allclose(row, looked, rtol=1e-9, atol=1e-12)
            before = symbol
    single, alpha = model.predict(X[0], return_attention=True)
    assert single == outputs[0]
    assert_allclose(alpha, alphas[0], rtol=1e-12, atol=1e-14)
    _, of_beam = model.predict(X, beam_size=3, return_attention=True)
    assert all(a.shape[1] == len(x) for a, x in zip(of_beam, X))


# Properties


@kinds
def test_what_a_sequence_is_padded_with_does_not_matter(kind):
    model = fitted(kind)
    X = words(9, seed=3, longest=9)
    y = capitals(X)
    together = model.log_likelihood(X, y)
    alone = [model.log_likelihood([a], [b])[0] for a, b in zip(X, y)]
    assert_allclose(together, alone, rtol=1e-12)
    assert model.predict(X) == [model.predict([x])[0] for x in X]
    assert model.predict(X, beam_size=3) == [model.predict([x], beam_size=3)[0] for x in X]


@kinds
def test_a_beam_of_one_is_greedy_and_a_wider_one_no_worse(kind):
    model = fitted(kind, max_iter=8)
    X = words(30, seed=4)
    greedy = model.predict(X)
    assert model.predict(X, beam_size=1) == greedy
    worth = [w.worth for w in model._written(model._pairs(X), 1)]
    for width in (2, 5):
        wider = [w.worth for w in model._written(model._pairs(X), width)]
        assert all(a >= b - 1e-12 for a, b in zip(wider, worth))
    assert_allclose(clone(model).set_params(beam_size=5).fit(words(), capitals(words())).score(
        X, model.predict(X, beam_size=5)), 1.0)  # fmt: skip


def test_what_a_beam_is_worth_is_its_likelihood():
    model = fitted(max_iter=60, learning_rate_init=0.02)
    X = words(20, seed=5)
    for width in (1, 3):
        written = model._written(model._pairs(X), width)
        ended = [i for i, w in enumerate(written) if w.ended]
        assert ended
        outputs = model.predict([X[i] for i in ended], beam_size=width)
        worth = model.log_likelihood([X[i] for i in ended], outputs, normalise=True)
        assert_allclose([written[i].worth for i in ended], worth, rtol=1e-10)


def ends_after(model, n):
    """Make the end as likely as a bias of n says."""
    model.params_["out.b"][-1] = n
    return model


def test_a_lane_stops_at_the_end_symbol_which_is_no_symbol():
    X = words()
    for width in (1, 3):
        at_once = ends_after(fitted(), 1e3)
        assert at_once.predict(X, beam_size=width) == [""] * len(X)
        _, alphas = at_once.predict(X, return_attention=True)
        assert [a.shape for a in alphas] == [(0, len(x)) for x in X]
        never = ends_after(fitted(max_length=7), -1e3)
        assert [len(y) for y in never.predict(X, beam_size=width)] == [7] * len(X)
    assert len(at_once.target_symbols_) == 3  # A, B and C


def test_the_longest_output_is_twice_that_of_fit():
    model = ends_after(fitted(), -1e3)
    longest = max(map(len, capitals(words())))
    assert model.max_length_ == 2 * longest == len(model.predict("abc"))


def test_seeds_fix_every_bit():
    X = words(40)
    y = capitals(X)
    for forcing in (1.0, "scheduled", 0.5):
        params = {"teacher_forcing": forcing, "max_iter": 4}
        one, two, other = (
            transducer(**{**params, "random_state": seed}).fit(X, y) for seed in (3, 3, 4)
        )
        assert_array_equal(one.theta_, two.theta_)
        assert not np.array_equal(one.theta_, other.theta_)


def test_predict_writes_nothing_and_pickles_and_clones_are_equal():
    model = fitted("stacked lstm")
    before = pickle.dumps(model)
    X = words(7, seed=6)
    outputs = model.predict(X, beam_size=2)
    model.score(X, outputs)
    model.log_likelihood(X, outputs)
    assert pickle.dumps(model) == before
    again = pickle.loads(before)
    assert again.predict(X, beam_size=2) == outputs
    copied = clone(model)
    assert not hasattr(copied, "theta_")
    assert_array_equal(copied.fit(words(), capitals(words())).theta_, model.theta_)


def test_a_fit_that_fails_leaves_the_former_one():
    model = fitted()
    theta = model.theta_
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(words(), capitals(words())[1:])
    with pytest.raises(InvalidParameterError):
        model.set_params(cell="elman").fit(words(), capitals(words()))
    assert model.theta_ is theta


def test_own_outputs_are_shown_as_often_as_the_schedule_says():
    X = words()
    model = transducer(max_iter=0).fit(X, capitals(X))
    pairs = model._pairs(X, capitals(X))
    order = pairs.order(len(X), None)[0]
    shape = (int(np.diff(pairs.y_indptr).max()), len(X))
    leaves = model._leaves()
    plain = pairs.batch(order, 1.0)
    context = model._fit_network.encode(leaves, plain.x, plain.lengths)
    for forced in (np.ones(shape, bool), np.zeros(shape, bool)):
        batch = pairs.batch(order, 1.0, forced)
        before = model._partly_own(leaves, context, batch)
        if forced.all():
            assert_array_equal(before, plain.y_before)
            continue
        own = oracle(model)
        for column, i in enumerate(order):
            at, symbol = own.begin(ids_of(model, X[i])), own.end
            for row in before[:, column]:
                assert row == symbol
                logs, at, _ = own.next(at, symbol)
                symbol = int(np.argmax(logs))


# Forms of X and y


def test_symbols_may_be_anything_and_outputs_come_as_they_were_in_fit():
    X = [[1, 2], [2], [3, 1, 1]]
    y = [("un", "deux"), ("deux",), ("trois", "un", "un")]
    model = transducer().fit(X, [list(part) for part in y])
    assert model.symbols_ == [1, 2, 3]
    assert model.target_symbols_ == ["deux", "trois", "un"]
    for output in model.predict(X):
        assert isinstance(output, list)
    assert isinstance(model.predict(np.array([1, 2])), list)
    assert model.predict([1, 2]) == model.predict([[1, 2]])[0]
    texts = fitted()
    assert isinstance(texts.predict("abc"), str)
    assert isinstance(texts.predict([["a", "b"]])[0], str)
    arrays = transducer().fit(np.array([[1, 2], [2, 1]]), np.array([[5], [6]]))
    assert arrays.target_symbols_ == [5, 6]


def test_words_are_symbols_where_fit_had_words():
    X, y = [["le", "chat"], ["un", "chien"]], [["the", "cat"], ["a", "dog"]]
    model = transducer().fit(X, y)
    assert model.predict(["le", "chien"]) == model.predict([["le", "chien"]])[0]
    assert 0 <= model.score(["le", "chat"], ["the", "cat"]) <= 1


def test_outputs_may_be_empty_and_vocabularies_given():
    model = transducer(vocabulary="abcd", target_vocabulary="XYZ").fit(["ab", "c"], ["", "X"])
    assert model.symbols_ == list("abcd")
    assert model.target_symbols_ == list("XYZ")
    assert isinstance(model.predict("dd"), str)
    assert np.isfinite(model.log_likelihood(["d"], ["ZZ"])[0])


# Learning


def test_it_learns_to_reverse_and_generalises():
    rng = np.random.RandomState(0)
    X = [rng.randint(5, size=rng.randint(1, 7)).tolist() for _ in range(2000)]
    y = [x[::-1] for x in X]
    model = Seq2SeqTransducer(hidden_layer_sizes=24, max_iter=8, random_state=0)
    model.fit(X[:1800], y[:1800])
    assert model.token_accuracy(X[1800:], y[1800:]) > 0.98
    assert model.score(X[1800:], y[1800:]) > 0.95
    guessed = Seq2SeqTransducer(hidden_layer_sizes=24, max_iter=0, random_state=0)
    assert guessed.fit(X[:1800], y[:1800]).token_accuracy(X[1800:], y[1800:]) < 0.4


def test_early_stopping_keeps_the_best_weights():
    X = words(60)
    y = capitals(X)
    model = transducer(
        early_stopping=True, max_iter=40, n_iter_no_change=3, learning_rate_init=0.05
    ).fit(X, y)
    assert len(model.validation_scores_) == model.n_iter_
    held = slice(54, None)
    n_symbols = sum(map(len, y[held])) + 6
    score = model.log_likelihood(X[held], y[held]).sum() / n_symbols
    assert_allclose(score, model.best_validation_score_, rtol=1e-9)


def test_scores_count_sequences_and_symbols():
    model = ends_after(fitted(max_length=3), -1e3)
    X = words(5)
    outputs = model.predict(X)
    assert model.score(X, outputs) == model.token_accuracy(X, outputs) == 1.0
    longer = [output + "A" for output in outputs]
    assert model.score(X, longer) == 0.0
    assert model.token_accuracy(X, longer) == 0.75
    assert model.token_accuracy(X, [output[:1] for output in outputs]) == 1.0


# What is refused

PARAMETERS = [
    ("hidden_layer_sizes", 0), ("hidden_layer_sizes", ()), ("hidden_layer_sizes", (4, 2.5)),
    ("cell", "elman"), ("cell", None), ("bidirectional", 1), ("attention", "luong"),
    ("attention", True), ("embedding_size", 0), ("embedding_size", 1.5), ("teacher_forcing", 1.5),
    ("teacher_forcing", "linear"), ("teacher_forcing", None), ("beam_size", 0),
    ("beam_size", "wide"), ("max_length", 0), ("max_length", None), ("solver", "lbfgs"),
    ("learning_rate", "plateau"), ("learning_rate_init", 0.0), ("batch_size", 0),
    ("max_iter", -1), ("tol", -1), ("n_iter_no_change", 0), ("early_stopping", "no"),
    ("validation_fraction", 1.0), ("max_norm", 0), ("clip_value", -1), ("alpha", -1),
    ("weight_decay", "a"), ("momentum", 1.0), ("nesterovs_momentum", None),
    ("weight_init", "zeros"), ("shuffle", None), ("dtype", "float16"), ("n_jobs", 0),
    ("verbose", "loud"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), PARAMETERS, ids=lambda v: str(v)[:20])
def test_bad_parameters_are_named(name, value):
    model = transducer(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of Seq2SeqTransduc"):
        model.fit(words(), capitals(words()))
    assert not hasattr(model, "theta_")


@pytest.mark.parametrize(("X", "y", "kind", "message"), [
    (["ab", ""], ["A", "B"], ValueError, "Sequence 1 of X .* has no symbols"),
    ([], [], ValueError, "no symbols"),
    (["ab"], ["A", "B"], ValueError, r"inconsistent numbers of samples: \[1, 2\]"),
    (["ab", 3], ["A", "B"], ValueError, "mixes symbols and sequences"),
    (["ab", "b"], ["A", 3], ValueError, "y .* mixes symbols and sequences"),
    (7, ["A"], TypeError, "X passed to Seq2SeqTransducer must be a str"),
    (["ab"], None, TypeError, "y passed to Seq2SeqTransducer must be a str"),
    (["ab", "b"], ["", ""], ValueError, "y .* has no symbols"),
], ids=str)  # fmt: skip
def test_bad_data_are_refused(X, y, kind, message):
    with pytest.raises(kind, match=message):
        transducer().fit(X, y)


def test_what_a_fitted_model_refuses():
    model = fitted("plain")
    with pytest.raises(ValueError, match="X holds the symbol 'z', which Seq2SeqTransducer has not"):
        model.predict(["abz"])
    with pytest.raises(ValueError, match=r"y holds the symbol 'Z'.*target_vocabulary="):
        model.log_likelihood(["ab"], ["AZ"])
    assert model.score(["ab"], ["AZ"]) == 0.0
    with pytest.raises(ValueError, match="fit with attention='additive'"):
        model.predict(["ab"], return_attention=True)
    with pytest.raises(InvalidParameterError, match="'beam_size' parameter"):
        model.predict(["ab"], beam_size=0)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[2, 1\]"):
        model.score(["ab", "b"], ["A"])
    with pytest.raises(ValueError, match="Sequence 1 of X"):
        model.predict(["ab", ""])


def test_nothing_works_before_fit():
    for call in (
        lambda m: m.predict(["ab"]),
        lambda m: m.score(["ab"], ["A"]),
        lambda m: m.token_accuracy(["ab"], ["A"]),
        lambda m: m.log_likelihood(["ab"], ["A"]),
        lambda m: m.params_,
    ):
        with pytest.raises(NotFittedError):
            call(transducer())


def test_early_stopping_needs_something_to_hold_out():
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1 leaves nothing to train on"):
        transducer(early_stopping=True).fit(["ab"], ["A"])


def test_training_that_diverges_is_an_error():
    X = words()
    model = transducer(solver="sgd", learning_rate_init=1e200, max_norm=None, max_iter=60)
    with pytest.raises(TrainingDivergedError):
        model.fit(X, capitals(X))
