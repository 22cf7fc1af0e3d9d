"""The trainable recurrent regressor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._sequence_tools import keeps_sequences
from ._loop import generate
from ._values import BaseRNNRegressor

__all__ = ["RNNRegressor"]


@keeps_sequences
class RNNRegressor(BaseRNNRegressor):
    r"""Recurrent network with trained weights: plain, leaky, LSTM or GRU, stacked, both ways.

    Rows of `X` are time steps. A plain cell follows

    .. math:: h_t = (1 - a)\, h_{t-1} + a\, f(W h_{t-1} + W_{in} x_t + b)

    and the output is linear in the states of the last layer. All weights are learnt by exact
    backpropagation through time, in compiled code. `y[t]` is what `X[t]` should give: one-step
    forecasting passes ``X = u[:-1], y = u[1:]``, and `generate` continues the series on its own.
    Inputs and targets should be scaled to about zero mean and unit variance.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(64,)
        Units of each layer.
    cell : {"tanh", "relu", "gru", "lstm"}, default="tanh"
        Kind of the layers. "gru" resets after the product, as PyTorch's and Keras' do.
    output : {"auto", "sequence", "last"}, default="auto"
        One output for each step, or one for each sequence, read at its last step. "auto" tells
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
        other (h, then c for an LSTM). Backward directions start from zeros.
    transition : {"stacked", "deep", "deep_skip"}, default="stacked"
        How a layer of cell "tanh" or "relu" gets from state to state. "deep": by an MLP,
        ``h(t) = g(h(t-1), x(t))``; "deep_skip": ``h(t) = h(t-1) + g(h(t-1), x(t))``, with the
        last layer of g linear and small at first.
    transition_depth : int, default=2
        Layers of g.
    include_input : bool, default=False
        Whether the output sees the inputs beside the states.
    teacher_forcing : float, str or callable, default=1.0
        Probability with which a training step is given the true last output rather than the
        network's own. "scheduled" falls linearly from 1 to 0 over 71 % of the updates,
        "exponential" and "inverse_sigmoid" along those curves; a callable gets the number of
        the update. With recurrence="hidden" the first columns of X
        must be y one step earlier.
    washout : int, default=0
        First steps of each sequence that are not trained on, and always given true outputs.
    loss : str, default="squared_error"
        "squared_error", "absolute_error", "huber", "pinball" (see `quantile`), "gaussian" or
        "student_t" (negative log-likelihoods; `predict` gives the mean).
    quantile : float or list of float, default=0.5
        Levels that the loss "pinball" learns; `predict` gives the one next to the median.
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
        Share of the states of each layer that its readers do not see: the same ones at all
        steps of a sequence (of a stretch of `bptt_steps`), others in the next update.
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
    weight_init : str, dict or ESNRegressor, default="orthogonal"
        "orthogonal" (recurrent weights; input weights after Glorot), "glorot", "identity",
        "spectral" (spectral radius 0.9), "uniform" (PyTorch's), or "reservoir": an echo state
        network of that size is fitted first (with ``alpha=1``), and its weights and ridge
        readout are where training starts. A dict of arrays, named as in `params_`, replaces
        orthogonal weights, such as `from_torch_state_dict` gives. An `ESNRegressor` may be
        given; the network then takes its size, leak rate, activation and `include_input`, and
        starts from zero whatever its `predict_state`. Grid searches clone and refit one that is
        fitted; wrap it in scikit-learn's `FrozenEstimator` to keep it.
    layout : {"auto", "windows"}, default="auto"
        "windows": each row of a 2-D X is one univariate sequence, the oldest value first.
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
    theta_ : ndarray of shape (n_parameters,)
        All parameters.
    params_ : dict of str to ndarray
        Views of `theta_`: "layers.0.W_in" (n_gates * n_units, n_inputs), "layers.0.W",
        "layers.0.b", ..., "out.W" (n_outputs, n_seen), "out.b".
    loss_curve_, grad_norms_ : list of float
        Mean loss, and largest norm of a gradient before clipping, of each epoch.
    validation_scores_ : list of float or None
        R^2 of the part held out, of each epoch.
    loss_, best_loss_, best_validation_score_ : float or None
    n_iter_, t_, n_skipped_steps_ : int
        Epochs, updates, and updates left out because the gradient was not finite.
    h0_ : ndarray of shape (n_states,)
        State before the first step.
    state_ : ndarray of shape (n_states,), (n_sequences, n_states) or dict
        State after the last step of fit.
    last_output_ : ndarray or dict
        Last target of fit, in the same form.
    n_layers_, n_outputs_, out_activation_ : int, int, str
    n_features_in_, feature_names_in_ : int, ndarray of str

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, chapter 10.
    .. [2] S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9, 1997.
    .. [3] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation", 2014 (GRU).
    .. [4] S. Bengio et al., "Scheduled sampling for sequence prediction with recurrent neural
       networks", 2015.
    .. [5] R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
       networks", 2013 (clipping).

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import RNNRegressor
    >>> u = np.sin(0.2 * np.arange(400))[:, None]
    >>> rnn = RNNRegressor(hidden_layer_sizes=16, cell="gru", max_iter=30, random_state=0)
    >>> rnn = rnn.fit(u[:-1], u[1:])
    >>> bool(rnn.score(u[:-1], u[1:]) > 0.99)
    True
    >>> rnn.generate(5).shape
    (5, 1)
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
        teacher_forcing: float | str | Callable = 1.0,
        washout: int = 0,
        loss: str = "squared_error",
        quantile: Any = 0.5,
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
        layout: str = "auto",
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
        self.teacher_forcing = teacher_forcing
        self.washout = washout
        self.loss = loss
        self.quantile = quantile
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
        self.layout = layout
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.verbose = verbose

    # ---------------------------------------------------------------- prediction

    def predict(self, X: Any, *, groups: Any = None, initial_state: Any = None) -> Any:
        """Output for each row of X, or for each sequence; writes nothing to the estimator.

        Parameters
        ----------
        X : as in `fit`
        groups : array-like of shape (n_steps,), optional
        initial_state : ndarray of the shape of `state_`, or dict, optional
            State before the first row of each sequence; `h0_` by default.

        Returns
        -------
        ndarray of shape (n_steps,) or (n_steps, n_targets), or the form of X
            A list for a list, a 3-D (or 2-D, if y was) array for a 3-D array, NaN where that has
            padding; with output='last' (n_sequences,) or (n_sequences, n_targets).

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If X does not fit the columns of fit, or has missing or infinite values.
        """
        sequences = self._read_new(X, groups)
        return self._predicted(sequences, self._given(sequences, initial_state))

    def predict_quantiles(
        self, X: Any, quantiles: Any = None, *, groups: Any = None, initial_state: Any = None
    ) -> Any:
        """Quantiles of the target, of a model fitted with a loss that has them.

        Parameters
        ----------
        X, groups, initial_state
            As in `predict`.
        quantiles : float or list of float in (0, 1), optional
            Those learnt with the loss "pinball" by default; any for "gaussian" and "student_t".

        Returns
        -------
        ndarray of shape (n_steps, n_targets, n_quantiles), or the form of X
            Increasing along the last axis; without the axis of targets if y was 1-D.
        """
        sequences = self._read_new(X, groups)
        return self._quantiles(sequences, self._given(sequences, initial_state), quantiles)

    def generate(
        self, n_steps: int, *, warmup: Any = None, initial_state: Any = None, X: Any = None
    ) -> np.ndarray:
        """Run on in closed loop: each output is the next input.

        Parameters
        ----------
        n_steps : int
            Number of outputs.
        warmup : array-like of shape (n_warmup, n_features), optional
            Rows ``u[a:b]`` that come first; the first output is then the estimate of ``u[b]``,
            the same as ``predict(warmup)[-1]``. Without it the run continues the training
            sequence: the first output follows the last target of fit.
        initial_state : ndarray of shape (n_states,), optional
            State before the first row of `warmup`, or, without `warmup`, before the first step.
        X : array-like of shape (n_steps, n_features - n_targets), optional
            Columns of X beside those of y, which come first: row i belongs to output i. (With
            recurrence="output" all columns of X.) With `warmup` the first row is not used.

        Returns
        -------
        ndarray of shape (n_steps, n_targets)

        Raises
        ------
        ForecastDivergedError
            If an output becomes infinite or NaN.
        ValueError
            If outputs cannot serve as inputs.

        Warns
        -----
        ForecastDivergenceWarning
            If an output leaves the range of the training targets by more than ten spans.
        """
        return generate(self, n_steps, warmup=warmup, initial_state=initial_state, X=X)

    def free_run(self, n_steps: int, X_warm: Any = None, *, X: Any = None) -> np.ndarray:
        """The same as ``generate(n_steps, warmup=X_warm, X=X)``.

        Parameters
        ----------
        n_steps, X_warm, X
            As `n_steps`, `warmup` and `X` of `generate`.

        Returns
        -------
        ndarray of shape (n_steps, n_targets)
        """
        return self.generate(n_steps, warmup=X_warm, X=X)

    def _recurrent_readout(self) -> tuple:
        """Weights of [states, inputs if they are seen] and intercept: what closes a loop."""
        network, head = self._fit_network, self._head()
        if network.bidirectional or network.last or head.n_outputs != head.n_targets:
            raise ValueError(
                "A closed loop needs a point prediction at each step from the steps before it: "
                "fit with output='sequence', bidirectional=False and loss='squared_error', "
                "'absolute_error' or 'huber'."
            )
        return self.params_["out.W"], self.params_["out.b"]
