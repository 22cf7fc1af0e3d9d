"""Self-attention over sequences of numbers or symbols: a label for each, or for each step."""

from __future__ import annotations

from typing import Any

from .._sequence_tools import keeps_sequences
from ._attending import BaseSelfAttention
from ._labels import BaseRNNClassifier

__all__ = ["SelfAttentionClassifier"]


@keeps_sequences
class SelfAttentionClassifier(BaseSelfAttention, BaseRNNClassifier):
    r"""Blocks of self-attention that label sequences, or each of their steps.

    Where a recurrent network carries what it has read from step to step, here every step looks at
    all the others directly. With LN a norm over units, a block makes of steps x

    .. math::

        x' &= x + \operatorname{MHA}(\operatorname{LN} x), \qquad
        x'' = x' + \operatorname{MLP}(\operatorname{LN} x'), \\
        \operatorname{MHA}(z) &= W_o \left[\operatorname{softmax}
        \left(Q_i K_i^\top / \sqrt{d}\right) V_i\right]_{i = 1, ..., n_{heads}},

    where the queries, keys and values Q, K, V are linear in z. A softmax of a linear readout gives
    the probabilities of the classes. Time and memory grow with the square of the length.

    Parameters
    ----------
    n_blocks : int, default=2
        Blocks one after the other.
    n_units : int, default=32
        Width of what goes from block to block.
    n_heads : int, default=1
        Heads of each attention; divides `n_units`.
    n_hidden : int or None, default=None
        Units within the MLP of a block; four times `n_units` by default.
    causal : bool, default=False
        Whether steps look at themselves and at earlier ones alone.
    positions : {"sinusoidal", "learned"} or None, default="sinusoidal"
        What is added to the inputs to tell steps apart. Without it the order of the steps does
        not count (unless attention is causal).
    max_length : int or None, default=None
        Steps up to which positions are learnt; the longest sequence of `fit` by default.
    n_symbols : int, "auto" or None, default=None
        X holds one number of a symbol at each step, 0 to ``n_symbols - 1``, and a vector is
        learnt for each; "auto": as many as occur in `fit`. None: X holds real numbers.
    output : {"auto", "sequence", "last", "mean"}, default="auto"
        One label for each step, or one for each sequence, read at its last step or from the mean
        over its steps. "auto" tells "sequence" and "last" from the shape of y.
    solver : {"adam", "sgd", "rmsprop", "lbfgs"}, default="adam"
        "lbfgs" uses all data at once.
    learning_rate : str, default="linear"
        "linear" and "cosine" fall to 5 % of `learning_rate_init` at the end of `max_iter`
        epochs, which are then all run; "constant", "invscaling"; "adaptive" divides by five
        after two epochs without progress. Those three stop by `tol`.
    learning_rate_init : float, default=3e-3
    batch_size : int, default=32
        Sequences that are learnt from at a time.
    max_iter : int, default=200
        Epochs; 0 leaves the first weights as they are.
    max_fun : int, default=15000
        Evaluations for "lbfgs".
    tol : float, default=1e-4
        Improvement of the loss, or of the validation score, that counts as progress.
    n_iter_no_change : int, default=10
        Epochs without progress before training stops.
    early_stopping : bool, default=False
        Whether to hold out data, stop when their score does not improve, and keep the best
        weights.
    validation_fraction : float, default=0.1
        Share held out: the last block in time of one sequence, else whole sequences.
    max_norm : float or None, default=1.0
        Gradients longer than that are scaled down to it, all parameters together.
    clip_value : float or None, default=None
        Largest absolute value of an entry of the gradient.
    dropout : float, default=0.0
        Share of what attention and MLP of each block add that is left out, drawn once for each
        sequence.
    alpha : float, default=0.0
        L2 penalty: half of it times the sum of squared weights is added to the mean loss.
    weight_decay : float, default=0.0
        Decoupled weight decay (AdamW): weights lose that share, times the learning rate, in
        each step.
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
        For "sgd".
    shuffle : bool, default=True
        Whether batches are drawn anew in each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the first weights, then of batches and dropout.
    dtype : {"float32", "float64"}, default="float32"
    n_jobs : int or None, default=None
        Threads over parts of a batch; results are the same bits for any number.
    verbose : bool, default=False
        Whether each epoch is logged, at level INFO of the logger "echocast".

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    theta_, params_ : ndarray, dict of str to ndarray
        All parameters; views of them: "in.W" or "embedding.E", "positions.E",
        "blocks.0.attention.W", ..., "out.W", "out.b".
    loss_curve_, grad_norms_, validation_scores_ : list of float
    loss_, best_loss_, best_validation_score_, n_iter_, t_, n_skipped_steps_
        As in `RNNClassifier`.
    n_layers_, n_outputs_, out_activation_ : int, int, str
    n_features_in_, feature_names_in_ : int, ndarray of str

    Notes
    -----
    A 2-D X means that each row is one univariate sequence, or one sequence of symbols. A list of
    1-D arrays holds such sequences of different lengths.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention is all you need", 2017, sec. 3.
    .. [2] R. Xiong et al., "On layer normalization in the transformer architecture", 2020 (norms
       before attention and MLP rather than after them).

    Examples
    --------
    Does the last symbol occur earlier in the sequence?

    >>> import numpy as np
    >>> from echocast.reservoir import SelfAttentionClassifier
    >>> X = np.random.RandomState(0).randint(12, size=(600, 9))
    >>> y = (X[:, :-1] == X[:, -1:]).any(axis=1)
    >>> clf = SelfAttentionClassifier(n_symbols=12, max_iter=30, random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.95)
    True
    >>> clf.attention(X[:2]).shape  # sequences, blocks, heads, and who looks at whom
    (2, 2, 1, 9, 9)
    """

    def __init__(
        self,
        *,
        n_blocks: int = 2,
        n_units: int = 32,
        n_heads: int = 1,
        n_hidden: int | None = None,
        causal: bool = False,
        positions: str | None = "sinusoidal",
        max_length: int | None = None,
        n_symbols: int | str | None = None,
        output: str = "auto",
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 3e-3,
        batch_size: int = 32,
        max_iter: int = 200,
        max_fun: int = 15000,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        max_norm: float | None = 1.0,
        clip_value: float | None = None,
        dropout: float = 0.0,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        dtype: str = "float32",
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_blocks = n_blocks
        self.n_units = n_units
        self.n_heads = n_heads
        self.n_hidden = n_hidden
        self.causal = causal
        self.positions = positions
        self.max_length = max_length
        self.n_symbols = n_symbols
        self.output = output
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.max_norm = max_norm
        self.clip_value = clip_value
        self.dropout = dropout
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.verbose = verbose

    layout = "auto"  # what a 2-D X means is settled: rows are sequences

    def predict_proba(self, X: Any, *, groups: Any = None) -> Any:
        """Probabilities of the classes, for each sequence or each step.

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_sequences, n_classes), or (n_steps, n_classes) in the form of X
        """
        return self._probabilities(self._read_new(X, groups), None)

    def predict(self, X: Any, *, groups: Any = None) -> Any:
        """The likeliest label of each sequence or step; writes nothing to the estimator.

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_sequences,), or labels of the steps in the form of X
            A list of arrays for a 3-D array with padding, which has no labels.
        """
        return self._labels(self._read_new(X, groups), None)
