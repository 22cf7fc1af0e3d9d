"""The trainable recurrent classifier: a label for each sequence, or for each step."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from .._sequence_tools import keeps_sequences
from ._labels import BaseRNNClassifier

__all__ = ["RNNClassifier"]


@keeps_sequences
class RNNClassifier(BaseRNNClassifier):
    r"""Recurrent network with trained weights that labels sequences, or each of their steps.

    The cells and their training are those of `RNNRegressor`; a softmax of the readout gives the
    probabilities of the classes, and training minimises their mean negative logarithm. Inputs
    should be scaled to about zero mean and unit variance: `SequenceScaler` does it.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(64,)
        Units of each layer.
    cell : {"tanh", "relu", "gru", "lstm"}, default="tanh"
        Kind of the layers. "gru" resets after the product, as PyTorch's and Keras' do.
    output : {"auto", "sequence", "last"}, default="auto"
        One label for each step, or one for each sequence, read at its last step. "auto" tells
        from the shape of y.
    recurrence : {"hidden", "output"}, default="hidden"
        "output" feeds back the output alone, ``h(t) = f(W_in x(t) + R y(t-1) + b)``: trained on
        true outputs, run on its own. It remembers only what the output tells.
    bidirectional : bool, default=False
        Whether a second network reads each sequence backwards. Its outputs see the future.
    leak_rate : float or array of shape (n_units,), default=1.0
        Share a of the new state in each step, for cells "tanh" and "relu".
    h0 : {"zeros", "learned"} or array of shape (n_states,), default="zeros"
        State before the first step; an array holds the states of all layers one after the
        other (h, then c for an LSTM).
    transition : {"stacked", "deep", "deep_skip"}, default="stacked"
        How a layer of cell "tanh" or "relu" gets from state to state. "deep": by an MLP,
        ``h(t) = g(h(t-1), x(t))``; "deep_skip": ``h(t) = h(t-1) + g(h(t-1), x(t))``, with the
        last layer of g linear and small at first.
    transition_depth : int, default=2
        Layers of g.
    include_input : bool, default=False
        Whether the output sees the inputs beside the states.
    washout : int, default=0
        First steps of each sequence that are not trained on, where steps have labels.
    solver : {"adam", "sgd", "rmsprop", "lbfgs"}, default="adam"
        "lbfgs" uses all data at once.
    learning_rate : str, default="linear"
        "linear" and "cosine" fall to 5 % of `learning_rate_init` at the end of `max_iter`
        epochs, which are then all run; "constant", "invscaling"; "adaptive" divides by five
        after two epochs without progress. Those three stop by `tol`.
    learning_rate_init : float, default=3e-3
    batch_size : int, default=32
        Sequences, or stretches of a long one, that are learnt from at a time.
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
        Share held out: the last block in time of one sequence, else the last sequences.
    max_norm : float or None, default=1.0
        Gradients longer than that are scaled down to it, all parameters together.
    clip_value : float or None, default=None
        Largest absolute value of an entry of the gradient.
    bptt_steps : int, None or "auto", default="auto"
        Steps that gradients go back. None is exact. Truncated, long sequences are cut into
        lanes that are learnt from side by side, and states are carried from one stretch to the
        next. "auto" is exact for sequences of at most 200 steps, for outputs at the end and in
        both directions; else 100.
    dropout : float, default=0.0
        Share of the states of each layer that its readers do not see, drawn once for each
        sequence.
    recurrent_dropout : float, default=0.0
        The same within the recurrent product.
    alpha : float, default=0.0
        L2 penalty: half of it times the sum of squared weights is added to the mean loss.
    weight_decay : float, default=0.0
        Decoupled weight decay (AdamW): weights lose that share, times the learning rate, in
        each step.
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
        For "sgd".
    weight_init : str, default="orthogonal"
        "orthogonal" (recurrent weights; input weights after Glorot), "glorot", "identity",
        "spectral" (spectral radius 0.9), "uniform" (PyTorch's).
    shuffle : bool, default=True
        Whether batches are drawn anew in each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the first weights, then of batches, dropout and forcing.
    dtype : {"float32", "float64"}, default="float32"
    n_jobs : int or None, default=None
        Threads over parts of a batch; results are the same bits for any number.
    verbose : bool, default=False
        Whether each epoch is logged, at level INFO of the logger "echocast".

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    theta_, params_, loss_curve_, grad_norms_, loss_, best_loss_, n_iter_, t_, n_skipped_steps_
        As in `RNNRegressor`.
    validation_scores_, best_validation_score_ : list of float or None, float or None
        Accuracy on the part held out: the last block in time of a single sequence, else whole
        sequences, drawn so that each class has its share.
    h0_, state_ : ndarray
        States before the first and after the last step.
    n_layers_, n_outputs_, out_activation_ : int, int, str
    n_features_in_, feature_names_in_ : int, ndarray of str

    Notes
    -----
    A 2-D X means that each row is one univariate sequence. One long sequence with a label for
    each step is given as lists: ``fit([X], [y])``.

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, chapter 10.

    Examples
    --------
    Which of two bits came first, five steps ago?

    >>> import numpy as np
    >>> from echocast.reservoir import RNNClassifier
    >>> X = np.random.RandomState(0).choice([-1.0, 1.0], size=(200, 6, 1))
    >>> y = np.where(X[:, 0, 0] > 0, "up", "down")
    >>> clf = RNNClassifier(hidden_layer_sizes=16, max_iter=60, random_state=0).fit(X, y)
    >>> clf.score(X, y)
    1.0
    """

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = (64,),
        cell: str = "tanh",
        output: str = "auto",
        recurrence: str = "hidden",
        bidirectional: bool = False,
        leak_rate: float | ArrayLike = 1.0,
        h0: Any = "zeros",
        transition: str = "stacked",
        transition_depth: int = 2,
        include_input: bool = False,
        washout: int = 0,
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
        bptt_steps: int | str | None = "auto",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        weight_init: Any = "orthogonal",
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        dtype: str = "float32",
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.output = output
        self.recurrence = recurrence
        self.bidirectional = bidirectional
        self.leak_rate = leak_rate
        self.h0 = h0
        self.transition = transition
        self.transition_depth = transition_depth
        self.include_input = include_input
        self.washout = washout
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
        self.bptt_steps = bptt_steps
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.weight_init = weight_init
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.verbose = verbose

    # ---------------------------------------------------------------- prediction

    def predict_proba(self, X: Any, *, groups: Any = None, initial_state: Any = None) -> Any:
        """Probabilities of the classes, for each sequence or each step.

        Parameters
        ----------
        X, groups
            As in `fit`.
        initial_state : ndarray, optional
            State before the first row of each sequence; `h0_` by default.

        Returns
        -------
        ndarray of shape (n_sequences, n_classes), or (n_steps, n_classes) in the form of X
        """
        sequences = self._read_new(X, groups)
        return self._probabilities(sequences, self._given(sequences, initial_state))

    def predict(self, X: Any, *, groups: Any = None, initial_state: Any = None) -> Any:
        """The likeliest label of each sequence or step; writes nothing to the estimator.

        Parameters
        ----------
        X, groups, initial_state
            As in `predict_proba`.

        Returns
        -------
        ndarray of shape (n_sequences,), or labels of the steps in the form of X
            A list of arrays for a 3-D array with padding, which has no labels.
        """
        sequences = self._read_new(X, groups)
        return self._labels(sequences, self._given(sequences, initial_state))
