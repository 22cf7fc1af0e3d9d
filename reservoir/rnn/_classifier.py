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
        Kind of the layers.
    output : {"auto", "sequence", "last"}, default="auto"
        One label for each step, or one for each sequence, read at its last step. "auto" tells
        from the shape of y.
    recurrence : {"hidden", "output"}, default="hidden"
        "output" feeds back the labels alone: the true ones in training, the likeliest ones
        afterwards.
    bidirectional, leak_rate, h0, transition, transition_depth, include_input
        As in `RNNRegressor`.
    washout : int, default=0
        First steps of each sequence that are not trained on, where steps have labels.
    solver, learning_rate, learning_rate_init, batch_size, max_iter, max_fun, tol, n_iter_no_change
        As in `RNNRegressor`.
    early_stopping : bool, default=False
    validation_fraction : float, default=0.1
        Share held out: the last block in time of one sequence with labels for its steps, else
        whole sequences, drawn so that each class has its share.
    max_norm, clip_value, bptt_steps, dropout, recurrent_dropout, alpha, weight_decay
        As in `RNNRegressor`.
    momentum, nesterovs_momentum, shuffle, warm_start, n_jobs, verbose
        As in `RNNRegressor`.
    weight_init : str or dict, default="orthogonal"
        "orthogonal", "glorot", "identity", "spectral", "uniform", or arrays as in
        `RNNRegressor`.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the first weights, then of batches and dropout.
    dtype : {"float32", "float64"}, default="float32"

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    theta_, params_, loss_curve_, grad_norms_, loss_, best_loss_, n_iter_, t_, n_skipped_steps_
        As in `RNNRegressor`.
    validation_scores_, best_validation_score_ : list of float or None, float or None
        Accuracy on the part held out.
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
