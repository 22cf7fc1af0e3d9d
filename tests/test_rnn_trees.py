"""Trees and recursive networks: reading, an oracle, gradients, batches, labels, bad inputs."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import oracles_trees as oracle
from echocast.datasets import logic_expressions
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import RecursiveClassifier, read_trees
from echocast.reservoir.rnn import _ops as ops
from echocast.reservoir.rnn._forest import TreeStack, tree_states
from echocast.reservoir.rnn._tape import Tape, Var
from gradients import assert_gradient
from rnn_fits import deep_state

CLOSE = {"rtol": 1e-11, "atol": 1e-12}
SMALL = {"n_units": 5, "embedding_size": 4, "max_iter": 2, "random_state": 0, "dtype": "float64"}

# Unary and binary nodes, with and without tokens, a single node, a chain.
TREES = [
    ("and", "T", ("not", "F")),
    (None, (None, "a", "b"), ("not", (None, "a", ("x", "b")))),
    "a",
    ("not", ("not", ("not", ("not", "b")))),
    (None, "b", "a"),
    ("or", (None, "a", "b"), "T"),
]
LABELS = [1, 0, 1, 0, 0, 1]


def small(**params):
    return RecursiveClassifier(**{**SMALL, **params})


@pytest.fixture(scope="module")
def model():
    return small().fit(TREES, LABELS)


def row_of(model):
    unknown = len(model.tokens_)
    return lambda token: model.tokens_.index(token) if token in model.tokens_ else unknown


# --------------------------------------------------------------------------- reading


def test_labelled_text_in_post_order():
    tree, other = read_trees("(3 (2 a) (4 (2 b)\n (1 c)))\n\n ((0 (1 (2 d))))")
    assert tree.tokens == ("a", "b", "c", None, None)
    assert tree.labels == (2, 2, 1, 4, 3)
    assert tree.left.tolist() == [-1, -1, -1, 1, 0]
    assert tree.right.tolist() == [-1, -1, -1, 2, 3]
    assert tree.levels.tolist() == [0, 0, 0, 1, 2]
    assert tree.leaves == ("a", "b", "c")
    assert (tree.height, len(tree), repr(tree)) == (2, 5, "<Tree of 5 nodes: a b c>")
    assert other.labels == (2, 1, 0)
    assert other.left.tolist() == [-1, 0, 1]
    assert other.right.tolist() == [-1, -1, -1]


def test_labels_that_are_no_numbers_stay_text():
    assert read_trees("(S (NP x) (1 y))")[0].labels == ("NP", "1", "S")


def test_text_without_labels_equals_nested_tuples():
    texts = ["(and T (not F))", "(T)", "F", "((not a) b)", "(or (and a b) c)"]
    nested = [
        ("and", "T", ("not", "F")), "T", "F", (None, ("not", "a"), "b"),
        ("or", ("and", "a", "b"), "c"),
    ]  # fmt: skip
    for read, tree in zip(read_trees(texts, labels=False), read_trees(nested), strict=True):
        assert read.tokens == tree.tokens
        for name in ("left", "right", "levels"):
            assert_array_equal(getattr(read, name), getattr(tree, name))


def test_lines_text_and_files_are_the_same(tmp_path):
    text = "(1 (0 a)\n   (1 b))\n(0 c)\n"
    path = tmp_path / "trees.txt"
    path.write_text(text, encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        for trees in (read_trees(file), read_trees(text), read_trees(text.splitlines())):
            assert [tree.labels for tree in trees] == [(0, 1, 1), (0,)]


def test_spaces_that_break_no_line_belong_to_a_word():
    assert read_trees("(2 8\xa01/2)")[0].tokens == ("8\xa01/2",)


def test_arrays_in_post_order():
    columns = {"tokens": np.array(["a", "b", "x", "y"]), "left": [-1, -1, 1, 0],
               "right": np.array([-1, -1, -1, 2]), "labels": [0, 1, None, 1]}  # fmt: skip
    tree = read_trees([columns])[0]
    assert tree.tokens == ("a", "b", "x", "y")
    assert tree.levels.tolist() == [0, 0, 1, 2]
    assert tree.labels == (0, 1, None, 1)
    again = read_trees([("y", "a", ("x", "b"))])[0]
    assert again.tokens == tree.tokens
    assert_array_equal(again.left, tree.left)


def test_long_chains_need_no_recursion():
    depth = 3000
    chain = "a"
    for _ in range(depth):
        chain = ("n", chain)
    tree = read_trees([chain])[0]
    assert tree.height == depth
    text = "(0 " * depth + "(1 a)" + ")" * depth
    assert read_trees(text)[0].height == depth
    model = small(max_iter=0).fit([tree, "a"], [0, 1])
    assert np.isfinite(model.predict_proba([tree])).all()


BAD_TEXT = [
    ("(1 (0 a) (0 b) (0 c))", True, "3 children"),
    ("(1 (0 a)", True, "not closed"),
    ("\n\n(1 a))", True, "Line 3 .*not opened"),
    ("(1)", True, "must be"),
    ("(1 two words)", True, "must be"),
    ("(1 a (0 b))", True, "must be"),
    ("((0 a) 1)", True, "must be"),
    ("()", True, "must be"),
    ("a", True, "outside"),
    ("()", False, "empty"),
    ("(and a b c)", False, "3 children"),
]


@pytest.mark.parametrize(("text", "labels", "message"), BAD_TEXT)
def test_bad_text(text, labels, message):
    with pytest.raises(ValueError, match=message):
        read_trees(text, labels=labels)


BAD_TREES = [
    ("x", "a", "b", "c"),
    (),
    (("and",), "a", "b"),
    (None,),
    (None, "a", None),
    ({"tokens": 1}, "a"),
    {"tokens": ["a"], "left": [-1]},
    {"tokens": ["a"], "left": [-1], "right": [-1], "color": [1]},
    {"tokens": [], "left": [], "right": []},
    {"tokens": ["a", "b"], "left": [-1], "right": [-1]},
    {"tokens": ["a", "b"], "left": [1, -1], "right": [-1, -1]},
    {"tokens": ["a", "b"], "left": [-1, -1], "right": [-1, -1]},
    {"tokens": ["a", "b"], "left": [-1, -1], "right": [-1, 0]},
    {"tokens": ["a", "b"], "left": [-1, 0.5], "right": [-1, -1]},
    {"tokens": ["a", "b"], "left": [-1, 0], "right": [-1, 0]},
    {"tokens": [None, "b"], "left": [-1, 0], "right": [-1, -1]},
    {"tokens": [["a"], "b"], "left": [-1, 0], "right": [-1, -1]},
    {"tokens": 3, "left": [-1], "right": [-1]},
    {"tokens": "ab", "left": [-1, 0], "right": [-1, -1]},
    {"tokens": ["a"], "left": [-1], "right": [-1], "labels": 3},
    ({"a"}, "a"),
]


@pytest.mark.parametrize("tree", BAD_TREES, ids=repr)
def test_bad_trees(tree):
    with pytest.raises(ValueError, match="Tree 1"):
        read_trees(["a", tree, ("x", "a")])


def test_what_is_no_source_of_trees():
    for source in (("and", "a", "b"), {"tokens": []}, 3):
        with pytest.raises(TypeError, match="put a single tree into a list"):
            read_trees(source)
    with pytest.raises(TypeError, match="bytes; decode it"):
        read_trees(b"(1 a)")
    with pytest.raises(InvalidParameterError, match="'labels' parameter of read_trees"):
        read_trees("(1 a)", labels="no")


# ---------------------------------------------------------------------------- states


def test_states_and_probabilities_equal_the_oracle(model):
    number = row_of(model)
    states = model.transform(TREES, nodes=True)
    shares = model.predict_proba(TREES, nodes=True)
    for i, tree in enumerate(TREES):
        expected = oracle.states_of(tree, model.params_, number)
        assert_allclose(states[i], expected, **CLOSE)
        assert_allclose(shares[i], oracle.probabilities(expected, model.params_), **CLOSE)
        assert_allclose(model.transform(TREES)[i], expected[-1], **CLOSE)
        assert_allclose(model.predict_proba([tree])[0], shares[i][-1], **CLOSE)


def test_a_tree_does_not_depend_on_its_batch(model):
    X, _ = logic_expressions(40, (0, 6), random_state=0)
    together = model.predict_proba(X)
    alone = np.concatenate([model.predict_proba([x]) for x in X])
    assert_allclose(together, alone, **CLOSE)
    backwards = model.predict_proba(X[::-1])[::-1]
    assert_allclose(together, backwards, **CLOSE)


def test_order_matters_and_single_children_stand_twice(model):
    a = model.transform([(None, "a", "b"), (None, "b", "a")])
    assert np.abs(a[0] - a[1]).max() > 1e-3
    twice, once = model.transform([("not", "a", "a"), ("not", "a")])
    assert_allclose(twice, once, **CLOSE)


def test_unknown_tokens_add_nothing_until_rare_ones_taught_it(model):
    never = model.transform([(None, "a", "zebra"), (None, "a", "yak")])
    assert_array_equal(never[0], never[1])
    assert_allclose(model.params_["embedding"][-1], 0)
    rare = small(min_count=3).fit(TREES, LABELS)
    assert "x" not in rare.tokens_
    assert np.abs(rare.params_["embedding"][-1]).max() > 0
    assert_array_equal(*rare.transform([("x", "a"), ("never", "a")]))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("buffered", [False, True])
def test_gradients_of_a_forest(masked, buffered):
    rng = np.random.RandomState(0)
    trees = read_trees(TREES)
    words = sorted({token for tree in trees for token in tree.tokens if token is not None})
    ids = [words.index(t) if t is not None else -1 for tree in trees for t in tree.tokens]
    forest = TreeStack(trees, np.array(ids)).forest(np.array([3, 1, 0, 4, 1]))
    n, e = 4, 3
    shapes = [(len(words), e), (n, e), (n, n), (n, n), (n,)]
    theta = rng.randn(sum(map(np.prod, shapes)))
    slopes = rng.randn(len(forest.rows), n)
    mask = rng.randint(0, 3, (len(forest.tokens), e)).astype(float) if masked else None

    def parts(vector):
        cuts = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(vector, cuts), shapes)]

    def loss(vector):
        h = tree_states(forest, *map(Var, parts(vector)), mask=mask)
        return float(np.vdot(slopes, h.data))

    grad = np.zeros_like(theta)
    views = parts(grad) if buffered else [None] * len(shapes)
    leaves = [Var(data, view, True) for data, view in zip(parts(theta), views)]
    with Tape() as tape:
        total = ops.sum(ops.mul(tree_states(forest, *leaves, mask=mask), slopes))
    tape.backward(total)
    if not buffered:
        grad = np.concatenate([leaf.grad.reshape(-1) for leaf in leaves])
    assert_gradient(loss, theta, grad, rng)


def test_a_step_of_descent_follows_the_gradient_of_the_loss():
    """The loss that is reported is the cross-entropy of the oracle, by nodes and weights."""
    y = [[None, 1, 0, 1], [0] * 9, [1], [None] * 5, [1, 0, None], [0, 0, None, 1, 1]]
    weight = np.array([1.0, 0.5, 2.0, 3.0, 0.0, 1.0])
    trees = TREES
    start = small(max_iter=0).fit(trees, y, sample_weight=weight)
    one = small(max_iter=1, learning_rate_init=1e-12).fit(trees, y, sample_weight=weight)
    sums = np.zeros(2)
    for tree, labels, w in zip(trees, y, weight):
        states = oracle.states_of(tree, start.params_, row_of(start))
        shares = oracle.probabilities(states, start.params_)
        for share, label in zip(shares, labels):
            if label is not None:
                sums += w * -np.log(share[label]), w
    assert_allclose(one.loss_, sums[0] / sums[1], rtol=1e-10)


# --------------------------------------------------------------------------- learning


def test_it_learns_expressions_and_their_parts():
    X, y = logic_expressions(1500, (1, 3), random_state=0)
    model = RecursiveClassifier(
        n_units=16, embedding_size=8, max_iter=12, learning_rate_init=1e-2, random_state=0
    ).fit(X, y)
    deeper, truth = logic_expressions(200, 5, random_state=1)
    assert model.score(deeper, truth) >= 0.98
    assert model.output_ == "root"
    assert model.score(X, y, sample_weight=np.arange(len(y))) >= 0.98


def test_labels_of_nodes_and_of_roots():
    text = "(1 (0 a) (1 b)) (0 (0 a) (0 a)) (1 b) (0 (1 b) (0 (0 a)))" * 10
    trees = read_trees(text)
    nodes = small(max_iter=60, learning_rate_init=2e-2).fit(trees)
    assert nodes.output_ == "nodes"
    assert nodes.score(trees) >= 0.95
    assert nodes.score(trees, nodes=False) >= 0.95
    found = nodes.predict(trees, nodes=True)
    assert [len(part) for part in found] == [len(tree) for tree in trees]
    right = np.concatenate(found) == np.concatenate([tree.labels for tree in trees])
    assert nodes.score(trees) == right.mean()
    roots = small(output="root").fit(trees)
    again = small().fit(trees, [tree.labels[-1] for tree in trees])
    assert roots.output_ == again.output_ == "root"
    assert_array_equal(roots.theta_, again.theta_)
    assert small().fit(text).output_ == "nodes"


def test_text_labels_and_cross_validation():
    y = np.array(["no", "yes"])[np.array(LABELS * 4)]
    model = small(max_iter=30, learning_rate_init=2e-2)
    assert model.fit(TREES * 4, y).predict(TREES).tolist() == y[:6].tolist()
    scores = cross_val_score(model, TREES * 4, y, cv=3)
    assert scores.shape == (3,)


def test_a_weight_of_zero_is_as_if_the_tree_were_not_there():
    kept = [0, 1, 3, 5]
    X, y = [TREES[i] for i in kept], [LABELS[i] for i in kept]
    weight = np.zeros(6)
    weight[kept] = 1.0
    full = small(shuffle=False).fit(TREES, LABELS, sample_weight=weight)
    part = small(shuffle=False).fit(X, y)
    assert full.tokens_ == part.tokens_
    assert_allclose(full.theta_, part.theta_, **CLOSE)


def test_tokens_of_trees_that_teach_nothing_are_unknown():
    """By weight, without a label, or held out: validation then sees what prediction will."""
    trees = [*TREES, "new", ("never", "a")]
    weight = [1.0] * 6 + [0.0] * 2
    weighted = small().fit(trees, [*LABELS, 0, 1], sample_weight=weight)
    y = [[None] * (len(tree) - 1) + [label] for tree, label in zip(read_trees(TREES), LABELS)]
    unlabelled = small().fit(trees, [*y, [None], [None, None]])
    plain = small().fit(TREES, LABELS)
    for model in (weighted, unlabelled):
        assert model.tokens_ == plain.tokens_
        assert_allclose(model.theta_, plain.theta_, **CLOSE)
    words = [f"w{i}" for i in range(20)]
    model = small(early_stopping=True).fit(words, np.arange(20) % 2)
    assert len(model.tokens_) == 18
    assert_array_equal(*model.transform([*set(words) - set(model.tokens_)]))


def test_only_trees_with_labels_are_held_out():
    y = [[None]] * 30 + [[0], [1]] * 5
    model = small(early_stopping=True, max_iter=40, learning_rate_init=0.1, n_iter_no_change=40)
    model.fit(["c"] * 30 + ["a", "b"] * 5, y)
    assert model.best_validation_score_ == 1.0


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_only_ratios_of_weights_count(scale):
    weights = np.arange(1.0, 7.0)
    plain, scaled = (
        small(dtype="float32").fit(TREES, LABELS, sample_weight=w)
        for w in (weights, scale * weights)
    )
    assert_allclose(scaled.theta_, plain.theta_, rtol=1e-4, atol=1e-6)
    assert_array_equal(
        small().fit(TREES, LABELS, sample_weight=2.0).theta_, small().fit(TREES, LABELS).theta_
    )


def test_early_stopping_keeps_the_best():
    X, y = logic_expressions(300, (1, 3), random_state=0)
    model = small(early_stopping=True, max_iter=30, n_iter_no_change=6, learning_rate_init=3e-2)
    model.fit(X, y)
    assert model.best_validation_score_ == max(model.validation_scores_) > 0.8
    assert model.n_iter_ == len(model.validation_scores_) == len(model.loss_curve_)
    with pytest.raises(ValueError, match="leaves no tree"):
        small(early_stopping=True, validation_fraction=0.9).fit(X[:2], [0, 1])


@pytest.mark.parametrize("params", [{}, {"dropout": 0.3}, {"early_stopping": True}])
def test_a_seed_fixes_every_bit(params):
    first, second = (small(**params).fit(TREES, LABELS) for _ in range(2))
    assert deep_state(first) == deep_state(second)
    other = small(**{**params, "random_state": 1}).fit(TREES, LABELS)
    assert not np.array_equal(other.theta_, first.theta_)


def test_dropout_is_for_training_alone():
    model = small(dropout=0.5).fit(TREES, LABELS)
    assert_array_equal(model.predict_proba(TREES), model.predict_proba(TREES))
    plain = small().fit(TREES, LABELS)
    assert (model.theta_ != plain.theta_).any()


def test_pickle_clone_and_that_predictions_write_nothing(model):
    before = deep_state(model)
    expected = model.predict_proba(TREES)
    model.predict(TREES, nodes=True)
    model.score(TREES, LABELS)
    assert deep_state(model) == before
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(TREES), expected)
    copy = clone(model)
    assert not hasattr(copy, "theta_")
    assert_array_equal(copy.fit(TREES, LABELS).predict_proba(TREES), expected)


def test_float32_is_close_to_float64():
    single, double = (small(dtype=d, max_iter=1).fit(TREES, LABELS) for d in ("float32", "float64"))
    assert single.theta_.dtype == np.float32
    assert_allclose(single.predict_proba(TREES), double.predict_proba(TREES), atol=1e-4)


# ------------------------------------------------------------------------- bad inputs

BAD_PARAMS = [
    ("n_units", 0), ("n_units", 2.5), ("embedding_size", "many"), ("output", "leaf"),
    ("min_count", 0), ("dropout", 1.0), ("solver", "lbfgs"), ("learning_rate", "up"),
    ("learning_rate_init", 0), ("batch_size", 0), ("max_iter", -1), ("tol", -1),
    ("n_iter_no_change", 0), ("early_stopping", "no"), ("validation_fraction", 1.0),
    ("max_norm", 0), ("clip_value", -1), ("alpha", -1), ("weight_decay", np.nan),
    ("shuffle", 1), ("dtype", "float16"), ("verbose", 2), ("warm_start", "yes"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_PARAMS)
def test_bad_parameters(name, value):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of RecursiveClass"):
        small(**{name: value}).fit(TREES, LABELS)


BAD_DATA = [
    ([], [], "0 sample"),
    ((None, "a", "b"), [0], "put a single tree into a list"),
    (3, [0], "put a single tree into a list"),
    (["(1 a)", "b"], [0, 1], "read it with read_trees"),
    (TREES, LABELS[:-1], "inconsistent numbers of samples"),
    (TREES, None, "no labels of its own"),
    (TREES, "labels", "1d array"),
    (TREES, [1] * 6, "at least 2 classes"),
    (TREES, [1, [0, 0], 1, 0, 1, 0], "mixes labels"),
    (TREES, [[1], [0], [1], [0], [1], [0]], "labels for tree 0 of 4 nodes"),
    (["a", "b"], [[None], [None]], "no label at any node"),
    (TREES, np.linspace(0, 1.5, 6), "Unknown label type"),
    (TREES, dict.fromkeys(range(6), 1), "1d array"),
    (TREES, [None, 1, 0, 1, 0, 1], "The root of tree 0 has the label None"),
    (TREES, [0, np.nan, 0, 1, 0, 1], "The root of tree 1 has the label nan"),
    (["a", ("b", "a")], [[1], [0, np.nan]], "y has NaN in tree 1"),
    (b"(1 a) (0 b)", None, "got bytes"),
    ([b"a", "b"], [0, 1], "Tree 0 is bytes; decode it"),
]


@pytest.mark.parametrize(("X", "y", "message"), BAD_DATA)
def test_bad_data(X, y, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, y)


def test_bad_weights_and_outputs():
    for weights, message in (
        ([1, 2], r"sample_weight.shape == \(2,\), expected \(6,\)"),
        ([-1.0] * 6, "Negative values in data passed to `sample_weight`"),
        (np.zeros(6), "All sample weights are zero"),
        (np.ones((6, 1)), "must be 1D"),
        (["a"] * 6, "could not convert string"),
    ):
        with pytest.raises(ValueError, match=message):
            small().fit(TREES, LABELS, sample_weight=weights)
        with pytest.raises(ValueError, match=message):
            small().fit(TREES, LABELS).score(TREES, LABELS, sample_weight=weights)
    with pytest.raises(ValueError, match="a weight of zero, or none has a label"):
        small().fit(
            ["a", ("b", "a"), ("a", "b")], [[None], [0, None], [0, 1]], sample_weight=[1, 0, 0]
        )
    for ask in (
        lambda: small(output="nodes").fit(TREES, LABELS),
        lambda: small().fit(TREES, LABELS).score(TREES, LABELS, nodes=True),
    ):
        with pytest.raises(ValueError, match=r"labels of nodes .* need a sequence of labels"):
            ask()
    with pytest.raises(NotFittedError):
        small().predict(TREES)
    with pytest.raises(InvalidParameterError, match="'nodes' parameter"):
        small().fit(TREES, LABELS).predict(TREES, nodes="all")


def test_an_error_leaves_the_former_fit():
    model = small().fit(TREES, LABELS)
    before = deep_state(model)
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(TREES, LABELS[:2])
    assert deep_state(model) == before


# ------------------------------------------------------------------------- warm starts


def test_a_warm_start_goes_on_from_the_weights():
    model = small(warm_start=True).fit(TREES, LABELS)
    start, before = model.theta_.copy(), deep_state(model)
    model.set_params(max_iter=0).fit(TREES, LABELS)
    assert_array_equal(model.theta_, start)
    model.set_params(max_iter=3).fit([*TREES, ("zebra", "a")], [*LABELS, 1])
    assert (model.theta_ != start).any()
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert "zebra" not in model.tokens_
    assert model.fit(TREES, [0] * 6).classes_.tolist() == [0, 1]  # one of the known classes
    anew = model.set_params(warm_start=False, max_iter=2).fit(TREES, LABELS)
    assert_array_equal(anew.theta_, start)
    assert deep_state(anew)["_fit_rng"] == before["_fit_rng"]


@pytest.mark.parametrize(
    ("params", "y", "message"),
    [
        ({"n_units": 6}, LABELS, "fitted with n_units=5, and cannot go on with 6"),
        ({"dtype": "float32"}, LABELS, "fitted with dtype='float64'"),
        ({"min_count": 2}, LABELS, "min_count"),
        ({}, [0, 1, 2, 0, 1, 2], "y has the label 2, which is not among the classes"),
    ],
)
def test_what_a_warm_start_cannot_change(params, y, message):
    model = small(warm_start=True).fit(TREES, LABELS)
    before = deep_state(model)
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(TREES, y)
    after = deep_state(model.set_params(**{name: SMALL.get(name, 1) for name in params}))
    assert after == before
