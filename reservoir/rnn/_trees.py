"""Recursive networks: one transition shared by all nodes of a tree."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_number, check_option

from .._sequences import SequenceLayout
from . import _ops as ops
from ._descent import finite_outputs
from ._fit_loop import Trained, fit_loop
from ._forest import TreeStack, tree_states
from ._init import glorot_uniform, orthogonal
from ._losses import cross_entropy
from ._objective import one_blas_thread
from ._params import ParamLayout
from ._reading import read_case_weights
from ._tape_estimator import sized_batches
from ._tree_data import labels_of, trees_of
from ._warm_start import WarmStartEstimator

__all__ = ["RecursiveClassifier"]

_CHUNK = 512  # trees that are predicted together
_EMBEDDING_STD = 0.3


class RecursiveClassifier(ClassifierMixin, WarmStartEstimator):
    r"""Recursive network that labels trees, or each of their nodes.

    A node's state comes from the states of its children and from its own token, by the same
    weights at every node of every tree:

    .. math:: h = \tanh(U h_{left} + W h_{right} + V x + b)

    At a leaf there are no children, at a node without a token no x (an embedding that is learnt
    with the rest), and a single child stands on both sides. A softmax of the state gives the
    probabilities of the labels. Since the path from a leaf to the root is short, about the
    logarithm of the number of leaves in a balanced tree, what is learnt on small trees holds in
    larger ones (Deep Learning, section 10.6).

    Parameters
    ----------
    n_units : int, default=32
        Size of the states.
    embedding_size : int, default=32
        Numbers that stand for a token.
    output : {"auto", "root", "nodes"}, default="auto"
        Which labels are learnt from: those of the roots, or of every node that has one. "auto"
        tells from y, and is "nodes" where the labels are the trees' own.
    min_count : int, default=1
        Tokens that occur less often in training are taken for the unknown token, which also
        stands for all tokens first seen in prediction. At 1 it is never trained and adds
        nothing: ``V x = 0``. With 2 or more it learns from rare tokens what to make of new ones.
    dropout : float, default=0.0
        Share of the entries of embeddings, and of the states that the softmax reads, that are
        left out in training.
    solver : {"adam", "sgd", "rmsprop"}, default="adam"
    learning_rate : str, default="linear"
        "linear" and "cosine" fall to 5 % of `learning_rate_init` at the end of `max_iter`
        epochs, which are then all run; "constant", "invscaling" and "adaptive" stop by `tol`.
    learning_rate_init : float, default=3e-3
    batch_size : int, default=32
        Trees in a mini-batch.
    max_iter : int, default=20
        Epochs.
    tol : float, default=1e-4
    n_iter_no_change : int, default=10
        Epochs without progress by `tol` before training stops.
    early_stopping : bool, default=False
        Whether trees are held out, and the parameters that label them best are kept.
    validation_fraction : float, default=0.1
    max_norm : float or None, default=1.0
        Gradients longer than that are scaled down to it.
    clip_value : float or None, default=None
        Largest absolute value of an entry of the gradient.
    alpha : float, default=0.0
        L2 penalty: half of it times the sum of squared weights is added to the mean loss.
    weight_decay : float, default=0.0
        Decoupled weight decay (AdamW).
    shuffle : bool, default=True
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one, whose tokens and classes stay: new
        tokens are unknown ones.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of trees held out, then of the first weights, batches and dropout.
    dtype : {"float32", "float64"}, default="float32"
    verbose : bool, default=False
        Whether each epoch is logged, at level INFO of the logger "echocast".

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    tokens_ : list
        The tokens that have an embedding; the row after theirs in `params_["embedding"]` is the
        unknown token's.
    output_ : {"root", "nodes"}
        What was learnt from.
    theta_, params_ : ndarray, dict
        All parameters in one vector, and by name as views of it.
    loss_curve_, loss_, grad_norms_ : list, float, list
        Mean loss of each epoch, the last of them, and the largest gradient norms.
    validation_scores_, best_validation_score_ : list or None, float or None
        Share of right labels among those held out.
    n_iter_, t_, n_skipped_steps_ : int
        Epochs, updates, and updates left out because their gradient was not finite.

    See Also
    --------
    read_trees : Reads s-expressions and other forms of trees.

    References
    ----------
    .. [1] J. B. Pollack, "Recursive distributed representations", 1990.
    .. [2] R. Socher et al., "Recursive Deep Models for Semantic Compositionality Over a Sentiment
       Treebank", EMNLP 2013, section 4.1.
    .. [3] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, section 10.6.

    Examples
    --------
    Conjunctions of two truth values, learnt from single ones and pairs, and a nested one:

    >>> from echocast.reservoir import RecursiveClassifier
    >>> X = [(op, a, b) for op in ("and", "or") for a in "TF" for b in "TF"] + ["T", "F"]
    >>> y = [True, False, False, False, True, True, True, False, True, False]
    >>> clf = RecursiveClassifier(n_units=8, max_iter=200, random_state=0).fit(X, y)
    >>> clf.predict([("or", ("and", "T", "F"), ("and", "T", "T"))])
    array([ True])
    """

    def __init__(
        self,
        *,
        n_units: int = 32,
        embedding_size: int = 32,
        output: str = "auto",
        min_count: int = 1,
        dropout: float = 0.0,
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 3e-3,
        batch_size: int = 32,
        max_iter: int = 20,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        max_norm: float | None = 1.0,
        clip_value: float | None = None,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        dtype: str = "float32",
        verbose: bool = False,
    ) -> None:
        self.n_units = n_units
        self.embedding_size = embedding_size
        self.output = output
        self.min_count = min_count
        self.dropout = dropout
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.max_norm = max_norm
        self.clip_value = clip_value
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.verbose = verbose

    # ------------------------------------------------------------------- fitting

    _kept = ("n_units", "embedding_size", "min_count")

    def _check_params(self, owner):
        for name in ("n_units", "embedding_size", "min_count"):
            check_number(name, getattr(self, name), owner, low=1, integer=True)
        check_option("output", self.output, owner, ("auto", "nodes", "root"))
        check_number("dropout", self.dropout, owner, low=0, high=1, closed="left")
        check_flag("early_stopping", self.early_stopping, owner)
        check_number("validation_fraction", self.validation_fraction, owner, low=0, high=1,
                     closed="neither")  # fmt: skip
        return self._check_training(owner)

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Train the network, anew unless `warm_start` is set.

        Parameters
        ----------
        X : list of trees, or text
            What `read_trees` returns or reads. In a list, a str is a tree of a single node.
        y : array-like of shape (n_trees,), list of sequences, or None
            Labels of the roots, or for each tree a sequence of the labels of its nodes in
            post-order, None where a node has none. By default the labels of the trees.
        sample_weight : array-like of shape (n_trees,), optional
            Weights of the trees.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X, y or the weights are unusable.
        TrainingDivergedError
            If gradients become infinite or NaN. The former fit stays as it was after any error.
        """
        return self._fit(X, y, sample_weight)

    def _learn(self, X, y, sample_weight, dtype, *, fresh):
        trees = trees_of(X, type(self).__name__)
        rows, labels, self.output_ = labels_of(trees, y, self.output)
        targets = self._targets(labels, fresh)
        weights = _tree_weights(sample_weight, trees, dtype)
        indptr = np.cumsum([0, *map(len, trees)])
        per_node = np.zeros(indptr[-1], dtype=dtype)
        per_node[rows] = weights[np.searchsorted(indptr, rows, side="right") - 1]
        numbers = np.zeros(len(per_node), dtype=np.int64)
        numbers[rows] = targets
        known = np.flatnonzero(np.add.reduceat(per_node, indptr[:-1]))  # others teach nothing
        if not len(known):
            raise ValueError("All trees have a weight of zero, or none has a label.")
        rng = self._generator(fresh)
        kept, out = self._held_out(known, rng) if self.early_stopping else (known, None)
        if fresh:
            self._learn_tokens([trees[i] for i in kept])
            self._fit_layout, theta = self._first_weights(rng, dtype)
        else:
            theta = self.theta_
        trained = self._train(self._stack(trees), numbers, per_node, kept, out, theta, rng)
        self._publish(trained, self._fit_layout)

    def _targets(self, labels, fresh):
        """Numbers of the labels among the classes."""
        check_classification_targets(labels)
        found, numbers = np.unique(labels, return_inverse=True)
        if not fresh:
            new = [label for label in found.tolist() if label not in self.classes_.tolist()]
            if new:
                raise ValueError(
                    f"y has the label {new[0]!r}, which is not among the classes "
                    f"{self.classes_.tolist()}. Call `fit` with warm_start=False to start afresh."
                )
            return np.searchsorted(self.classes_, labels)
        if len(found) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes, but y has one class only: "
                f"{found.tolist()[0]!r}."
            )
        self.classes_ = found
        return numbers

    def _learn_tokens(self, trees):
        counts: dict = {}
        for tree in trees:
            for token in tree.tokens:
                counts[token] = counts.get(token, 0) + 1
        counts.pop(None, None)
        self.tokens_ = [token for token, n in counts.items() if n >= self.min_count]
        self._fit_numbers = {token: i for i, token in enumerate(self.tokens_)}
        self._fit_numbers[None] = -1

    def _stack(self, trees):
        numbers, unknown = self._fit_numbers, len(self.tokens_)
        ids = [numbers.get(token, unknown) for tree in trees for token in tree.tokens]
        return TreeStack(trees, np.array(ids, dtype=np.int64))

    def _first_weights(self, rng, dtype):
        n, e, k = int(self.n_units), int(self.embedding_size), len(self.classes_)
        n_tokens = len(self.tokens_)
        arrays = {
            "embedding": _EMBEDDING_STD * rng.standard_normal((n_tokens + 1, e)),
            "V": orthogonal_like(rng, n, e),
            # Half of the state comes from each side: states neither grow nor fade on the way up.
            "U": orthogonal(rng, n) / np.sqrt(2),
            "W": orthogonal(rng, n) / np.sqrt(2),
            "b": np.zeros(n),
            "out.W": glorot_uniform(rng, k, n),
            "out.b": np.zeros(k),
        }
        arrays["embedding"][n_tokens] = 0.0
        layout = ParamLayout({name: array.shape for name, array in arrays.items()})
        return layout, layout.pack(arrays, dtype)

    def _train(self, stack, numbers, weights, kept, out, theta, rng) -> Trained:
        share = float(self.dropout)

        def batches(rng):
            order = rng.permutation(kept) if self.shuffle else kept
            for trees in sized_batches(order, int(self.batch_size)):
                forest = stack.forest(trees)
                masks = [None, None]
                if share:
                    shapes = (len(forest.tokens), self.embedding_size), (
                        len(forest.rows), self.n_units)  # fmt: skip
                    masks = [
                        (rng.random_sample(shape) >= share).astype(theta.dtype) / theta.dtype.type(
                            1 - share) for shape in shapes
                    ]  # fmt: skip
                yield forest, weights[forest.rows], numbers[forest.rows], masks

        def loss_of(leaves, batch):
            forest, importance, targets, (mask, out_mask) = batch
            hidden = _hidden(leaves, forest, mask)
            used = np.flatnonzero(importance)
            if out_mask is not None:
                hidden = ops.mul(hidden, out_mask)
            if len(used) < len(importance):
                hidden = ops.take(hidden, used)
            logits = ops.affine(hidden, leaves["out.W"], leaves["out.b"])
            share_of = importance[used] / importance.sum()
            return cross_entropy(logits, targets[used], share_of)

        def validate(theta):
            return self._share_right(theta, stack, numbers, weights, out)

        n_batches = -(-len(kept) // int(self.batch_size))
        return fit_loop(
            theta, self._fit_layout, batches, loss_of, self._options(), rng,
            n_epochs=int(self.max_iter), n_batches=n_batches,
            validate=None if out is None else validate,
            weight_of=lambda batch: float(batch[1].sum()),
        )  # fmt: skip

    def _held_out(self, known, rng):
        """Numbers of the trees to learn from, and of those to validate with."""
        n = len(known)
        n_out = max(1, round(self.validation_fraction * n))
        if n_out >= n:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves no tree of {n} to train "
                "on. Use more trees, or early_stopping=False."
            )
        order = rng.permutation(known)
        return np.sort(order[n_out:]), np.sort(order[:n_out])

    def _share_right(self, theta, stack, numbers, weights, out):
        """Share of the labels of some trees that parameters get right."""
        right = total = 0.0
        for trees in sized_batches(out, _CHUNK):
            forest = stack.forest(trees)
            importance = weights[forest.rows]
            found = self._logits(theta, forest).argmax(axis=1)
            right += float(importance[found == numbers[forest.rows]].sum())
            total += float(importance.sum())
        return right / total

    # ---------------------------------------------------------------- prediction

    def _logits(self, theta, forest):
        leaves = self._leaves(theta)
        hidden = _hidden(leaves, forest, None)
        return hidden.data @ leaves["out.W"].data.T + leaves["out.b"].data

    def _values(self, X, nodes, of_forest, width, dtype):
        """What `of_forest` gives, for the roots, or for all nodes tree by tree."""
        owner = type(self).__name__
        check_flag("nodes", nodes, owner)
        stack = self._stack(trees_of(X, owner))
        n_rows = stack.indptr[-1] if nodes else len(stack)
        values = np.empty((n_rows, width), dtype=dtype)
        with one_blas_thread(), np.errstate(all="ignore"):
            for trees in sized_batches(np.arange(len(stack)), _CHUNK):
                forest = stack.forest(trees)
                found = of_forest(forest)
                if nodes:
                    values[forest.rows] = found
                else:
                    values[trees] = found[forest.roots]
        finite_outputs(values, owner)
        return np.split(values, stack.indptr[1:-1]) if nodes else values

    def transform(self, X: Any, *, nodes: bool = False) -> Any:
        """States of the roots, or of all nodes.

        Parameters
        ----------
        X : as in `fit`
        nodes : bool, default=False

        Returns
        -------
        ndarray of shape (n_trees, n_units), or list of ndarray (n_nodes, n_units) in post-order
        """
        check_is_fitted(self)
        leaves = self._leaves()
        return self._values(X, nodes, lambda forest: _hidden(leaves, forest, None).data,
                            int(self.params_["b"].shape[0]), self.theta_.dtype)  # fmt: skip

    def predict_proba(self, X: Any, *, nodes: bool = False) -> Any:
        """Probabilities of the labels, in the order of `classes_`.

        Parameters
        ----------
        X : as in `fit`
        nodes : bool, default=False
            For every node rather than for the roots.

        Returns
        -------
        ndarray of shape (n_trees, n_classes), or list of ndarray (n_nodes, n_classes)
            Nodes stand in post-order.
        """
        check_is_fitted(self)

        def of_forest(forest):
            return softmax(self._logits(self.theta_, forest).astype(np.float64), axis=1)

        return self._values(X, nodes, of_forest, len(self.classes_), np.float64)

    def predict(self, X: Any, *, nodes: bool = False) -> Any:
        """The likeliest labels; writes nothing to the estimator.

        Parameters
        ----------
        X : as in `fit`
        nodes : bool, default=False
            For every node rather than for the roots.

        Returns
        -------
        ndarray of shape (n_trees,), or list of ndarray (n_nodes,) in post-order
        """
        found = self.predict_proba(X, nodes=nodes)
        if nodes:
            return [self.classes_[part.argmax(axis=1)] for part in found]
        return self.classes_[found.argmax(axis=1)]

    def score(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, nodes: bool | None = None
    ) -> float:
        """Share of right labels.

        Parameters
        ----------
        X, y : as in `fit`
        sample_weight : array-like of shape (n_trees,), optional
        nodes : bool or None, default=None
            Over all nodes with a label, or over the roots. None: as y is given, and for labels
            of the trees' own what was learnt from.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        trees = trees_of(X, type(self).__name__)
        output = {None: "auto" if y is not None else self.output_, True: "nodes", False: "root"}
        if nodes is not None:
            check_flag("nodes", nodes, type(self).__name__)
        rows, labels, which = labels_of(trees, y, output[nodes])
        found = self.predict(trees, nodes=which == "nodes")
        weights = _tree_weights(sample_weight, trees, np.float64)
        if which == "nodes":
            weights = np.repeat(weights, [len(tree) for tree in trees])[rows]
            found = np.concatenate(found)[rows]
        return float(accuracy_score(labels, found, sample_weight=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


def _hidden(leaves, forest, mask):
    names = ("embedding", "V", "U", "W", "b")
    return tree_states(forest, *(leaves[name] for name in names), mask=mask)


def orthogonal_like(rng: np.random.RandomState, n_out: int, n_in: int) -> np.ndarray:
    """Orthonormal rows or columns, so that embeddings keep their length where they can."""
    return orthogonal(rng, max(n_out, n_in))[:n_out, :n_in]


def _tree_weights(sample_weight, trees, dtype):
    rows = SequenceLayout("rows", np.array([0, len(trees)]))
    return read_case_weights(sample_weight, rows, last=False, dtype=dtype)
