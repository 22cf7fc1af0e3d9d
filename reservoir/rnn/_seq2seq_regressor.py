"""Encoder and decoder for sequences of numbers: all steps of a horizon, one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_generator, check_number, check_option, refuse

from .._base import transactional
from .._sequences import (
    SequenceLayout,
    _is_frame,
    _is_sequence_list,
    _ndim,
    _shape,
    read_weights,
)
from .._values import refuse_not_finite, refuse_not_numbers
from ._descent import finite_outputs
from ._heads import ValueHead
from ._reading import read_case_weights, read_sequences, read_vector_targets, warn_if_unscaled
from ._seq2seq_base import BaseSeq2Seq, Batch, Pairs
from ._values import _LOSSES, _checked_levels

__all__ = ["Seq2SeqRegressor"]


class Seq2SeqRegressor(MultiOutputMixin, RegressorMixin, BaseSeq2Seq):
    r"""A horizon of L steps from a sequence of any length: encoder and decoder.

    One recurrent network reads the input and a second one writes the L outputs, each time reading
    the output before:

    .. math::
        s_0 = \tanh(W_c C + b), \quad s_i = f(s_{i-1}, [y_{i-1}, u_i, c_i]), \quad
        y_i = V [s_i, c_i, y_{i-1}, u_i] + d

    where :math:`u_i` is what is known beforehand of step i (`X_future`), C is what the encoder
    ends in, and :math:`c_i` is C, or what attention reads of the encoder's states (see
    `Seq2SeqTransducer`) [1]_ [2]_. Inputs and targets should be scaled to about zero mean and unit
    variance.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(32,)
        Units of each layer, of the encoder (in each direction) and of the decoder.
    cell : {"gru", "lstm", "tanh", "relu"}, default="gru"
        Kind of the layers.
    bidirectional : bool, default=False
        Whether the encoder reads the input backwards as well.
    attention : {"additive", "dot", "scaled_dot"} or None, default=None
    start : {"learned", "last"}, default="learned"
        What the decoder reads before its first step: numbers that are learnt, or the last row of
        X, whose first columns then must be the quantities in y (a series and its future).
    window_order : {"oldest_first", "newest_first"}, default="oldest_first"
        How steps stand in the rows of a 2-D X; "newest_first" is the order of libraries that hand
        on lags.
    n_variables : int, default=1
        Values of each step in the rows of a 2-D X, side by side, and in those of a 2-D y: with
        two, ``[a(1), b(1), a(2), b(2), ...]``.
    teacher_forcing : float, str or callable, default="scheduled"
        Probability with which the decoder is given the true last output in training, rather than
        its own. "scheduled" falls linearly from 1 to 0 over 71 % of the updates [3]_; see
        `RNNRegressor`.
    loss : str, default="squared_error"
        "squared_error", "absolute_error", "huber", "pinball" (see `quantile`), "gaussian" or
        "student_t" (negative log-likelihoods; `predict` gives the mean). Distributions are those
        of each step alone, given what the decoder has written before: its means or medians.
    quantile : float or list of float, default=0.5
        Levels that the loss "pinball" learns; `predict` gives the one next to the median.
    solver : {"adam", "sgd", "rmsprop"}, default="adam"
    learning_rate : str, default="linear"
        As in `Seq2SeqTransducer`, as the following ones.
    learning_rate_init : float, default=5e-3
    batch_size : int, default=32
    max_iter : int, default=100
    tol : float, default=1e-4
    n_iter_no_change : int, default=10
    early_stopping : bool, default=False
        Whether to hold out the last sequences and keep the weights that suit them best.
    validation_fraction : float, default=0.1
    max_norm : float or None, default=1.0
    clip_value : float or None, default=None
    alpha, weight_decay : float, default=0.0
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
    weight_init : str, default="orthogonal"
    shuffle : bool, default=True
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the first weights, then of batches and forcing.
    dtype : {"float32", "float64"}, default="float32"
    n_jobs : int or None, default=None
        Threads over parts of a batch; results are the same bits for any number.
    verbose : bool, default=False

    Attributes
    ----------
    horizon_ : int
        L.
    theta_ : ndarray of shape (n_parameters,)
    params_ : dict of str to ndarray
        Views of `theta_` by name: "encoder.0.W_in", ..., "decoder.0.W_in", ..., "out.W".
    loss_curve_, grad_norms_ : list of float
    validation_scores_ : list of float or None
        R^2 of the sequences held out, of each epoch.
    loss_, best_validation_score_ : float or None
    n_iter_, t_, n_skipped_steps_ : int
        Epochs, updates, and updates left out because the gradient was not finite.
    n_features_in_, feature_names_in_ : int, ndarray of str

    References
    ----------
    .. [1] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation", 2014.
    .. [2] D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align
       and translate", 2015.
    .. [3] S. Bengio et al., "Scheduled sampling for sequence prediction with recurrent neural
       networks", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import Seq2SeqRegressor
    >>> u = np.sin(0.3 * np.arange(300))
    >>> windows = np.lib.stride_tricks.sliding_window_view(u, 18)
    >>> X, y = windows[:, :12], windows[:, 12:]
    >>> model = Seq2SeqRegressor(start="last", max_iter=20, random_state=0)
    >>> model = model.fit(X[:200], y[:200])
    >>> model.predict(X[200:]).shape, bool(model.score(X[200:], y[200:]) > 0.99)
    ((83, 6), True)
    """

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = (32,),
        cell: str = "gru",
        bidirectional: bool = False,
        attention: str | None = None,
        start: str = "learned",
        window_order: str = "oldest_first",
        n_variables: int = 1,
        teacher_forcing: Any = "scheduled",
        loss: str = "squared_error",
        quantile: Any = 0.5,
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 5e-3,
        batch_size: int = 32,
        max_iter: int = 100,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        max_norm: float | None = 1.0,
        clip_value: float | None = None,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        weight_init: str = "orthogonal",
        shuffle: bool = True,
        random_state: Any = None,
        dtype: str = "float32",
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.bidirectional = bidirectional
        self.attention = attention
        self.start = start
        self.window_order = window_order
        self.n_variables = n_variables
        self.teacher_forcing = teacher_forcing
        self.loss = loss
        self.quantile = quantile
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
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.weight_init = weight_init
        self.shuffle = shuffle
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_params(self, owner):
        check_option("loss", self.loss, owner, _LOSSES)
        check_option("start", self.start, owner, ("last", "learned"))
        check_option("window_order", self.window_order, owner, ("newest_first", "oldest_first"))
        check_number("n_variables", self.n_variables, owner, low=1, integer=True)
        _checked_levels("quantile", self.quantile, owner)
        return super()._check_params(owner)

    # ----------------------------------------------------------------- training

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any, *, X_future: Any = None, sample_weight: Any = None) -> Self:
        """Learn to write y from X.

        Parameters
        ----------
        X : array of shape (n_sequences, n_steps, n_features), or list of 2-D arrays
            Sequences, perhaps of different lengths: in a 3-D array trailing rows of NaN are
            padding. In a 2-D array or frame each row is a sequence, see `window_order` and
            `n_variables`.
        y : array-like of shape (n_sequences, horizon, n_targets), (n_sequences, horizon) or \
(n_sequences,)
            What comes after each of them; predictions have the same number of axes.
        X_future : array-like of shape (n_sequences, horizon, n_known), optional
            What is known beforehand of each step of the horizon.
        sample_weight : array-like of shape (n_sequences,), optional

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
        owner = type(self).__name__
        dtype = self._check_params(owner)
        sequences = self._read(X, reset=True, dtype=dtype)
        y, shape = self._read_targets(y, sequences.layout, dtype)
        self._fit_y_ndim = len(shape)
        _, self.horizon_, self._fit_n_targets = y.shape
        self._fit_loss = self.loss
        self._fit_levels = tuple(sorted(set(_checked_levels("quantile", self.quantile, owner))))
        self._fit_start = self.start
        if self.start == "last" and self._fit_n_targets > sequences.rows.shape[1]:
            raise ValueError(
                f"start='last' needs the {self._fit_n_targets} target(s) as the first columns of "
                f"X, which has {sequences.rows.shape[1]}. Use start='learned'."
            )
        known = self._read_known(X_future, sequences.layout, dtype)
        self._fit_n_known = 0 if known is None else known.shape[2]
        weights = read_case_weights(sample_weight, sequences.layout, last=True, dtype=dtype)
        warn_if_unscaled("X", sequences.rows, owner)
        warn_if_unscaled("y", y.reshape(-1, y.shape[2]), owner)
        self._fit_network = self._network(
            n_inputs=sequences.rows.shape[1],
            n_fed=self._fit_n_targets,
            n_known=self._fit_n_known,
            n_outputs=self._head().n_outputs,
            learns_start=self.start == "learned",
            dtype=dtype,
        )
        pairs = self._pairs(sequences, y, known, weights)
        rng = check_generator(self.random_state)
        theta = self._fit_network.initialise(self.weight_init, rng)
        self._first_bias(self._fit_network.layout.views(theta)["out.b"], y, weights)
        self._train(pairs, theta, rng)
        return self

    def _head(self):
        return ValueHead(self._fit_loss, self._fit_n_targets, self._fit_levels)

    def _first_bias(self, bias, y, weights):
        mean = np.average(y.mean(axis=1), axis=0, weights=weights)
        if self._fit_loss == "pinball":
            bias[:] = np.repeat(mean, len(self._fit_levels))
        else:
            bias[: len(mean)] = mean

    def _read(self, X, *, reset, dtype):
        """Sequences; rows of a 2-D X are sequences, too."""
        if hasattr(X, "index") and getattr(X.index, "nlevels", 1) > 1:
            windows = False
        else:
            windows = _is_frame(X) or (_ndim(X) < 3 and not _is_sequence_list(X))
        if not reset and windows != self._fit_windows:
            forms = {True: "rows that are windows", False: "sequences of rows"}
            raise ValueError(
                f"X passed to {type(self).__name__} has {forms[windows]}, but fit was given "
                f"{forms[self._fit_windows]}."
            )
        if reset:
            self._fit_windows, self._fit_turned = windows, self.window_order == "newest_first"
            self._fit_n_variables = int(self.n_variables) if windows else 1
        sequences = read_sequences(self, X, reset=reset, dtype=dtype, windows=windows)
        if not windows:
            return sequences
        n, k = sequences.layout.n_sequences, self._fit_n_variables
        self._divided("X", len(sequences.rows) // n)
        steps = sequences.rows.reshape(n, -1, k)
        steps = steps[:, ::-1] if self._fit_turned else steps
        layout = replace(sequences.layout, indptr=steps.shape[1] * np.arange(n + 1))
        rows = np.ascontiguousarray(steps.reshape(-1, k))
        return replace(sequences, rows=rows, layout=layout)

    def _divided(self, name, n_columns):
        """Refuse rows that do not hold all variables of each step."""
        if n_columns % self._fit_n_variables:
            rule = f"a divisor of the number of columns of {name}, {n_columns}"
            refuse("n_variables", type(self).__name__, rule, self._fit_n_variables)

    def _read_targets(self, y, layout, dtype):
        """Targets (n_sequences, horizon, n_targets), and the shape in which they came."""
        owner = type(self).__name__
        if isinstance(y, (list, tuple)) and len({_shape(part) for part in y}) > 1:
            raise ValueError(
                f"{owner} writes horizons of one length, but y has shapes "
                f"{sorted({_shape(part) for part in y})[:3]}; cut them to the shortest."
            )
        if _ndim(y) > 2 or isinstance(y, (list, tuple)):
            refuse_not_numbers(y, "y")
            y = np.asarray(y)
        shape = _shape(y)
        if y is not None and not shape:
            raise ValueError("y must have an axis of sequences, got a single value.")
        if len(shape) > 3:
            raise ValueError(f"Found array with dim {len(shape)}: y of {owner} has at most 3 axes.")
        flat = y.reshape(shape[0], -1) if len(shape) == 3 else y
        flat, _ = read_vector_targets(flat, layout, dtype=dtype, owner=owner)
        if len(shape) == 3:
            return flat.reshape(shape), shape
        self._divided("y", flat.shape[1])
        return flat.reshape(len(flat), -1, self._fit_n_variables), shape

    def _read_known(self, X_future, layout, dtype):
        n = layout.n_sequences
        if X_future is None:
            return None
        refuse_not_numbers(X_future, "X_future")
        known = np.asarray(X_future, dtype=dtype)
        if known.ndim == 2:
            known = known[:, :, None]
        if known.ndim != 3 or known.shape[:2] != (n, self.horizon_) or not known.shape[2]:
            raise ValueError(
                f"X_future must have shape ({n}, {self.horizon_}, n_known), a row for each step "
                f"of each horizon; got {np.shape(X_future)}."
            )
        refuse_not_finite(
            known.reshape(n, -1), "X_future", type(self).__name__, place=lambda i: f"sequence {i}"
        )
        return known

    def _pairs(self, sequences, y, known, weights):
        """Pairs; without y what is written does not matter."""
        n, L, K = sequences.layout.n_sequences, self.horizon_, self._fit_n_targets
        dtype = self._fit_network.dtype
        before = np.zeros((n, L, K), dtype)
        if y is None:
            y = np.zeros((n, L, K), dtype)
        before[:, 1:] = y[:, :-1]
        if self._fit_start == "last":
            before[:, 0] = sequences.rows[sequences.indptr[1:] - 1, :K]
        return Pairs(
            sequences.rows,
            sequences.indptr,
            y.reshape(n * L, K),
            before.reshape(n * L, K),
            L * np.arange(n + 1),
            np.ones(n, dtype) if weights is None else weights,
            None if known is None else known.reshape(n * L, -1),
        )

    def _loss_of(self, leaves, batch: Batch):
        network, head = self._fit_network, self._head()
        context = network.encode(leaves, batch.x, batch.lengths, reuse=True)
        if batch.forced is None:
            decoded = network.decode(leaves, context, batch.y_before, batch.known, reuse=True)
        else:
            decoded = network.decode_fed(
                leaves, context, batch.y_before, batch.forced, head.feed, batch.known, reuse=True
            )
        return head.loss(decoded.outputs, batch.y, batch.weights)

    def _validation_score(self, theta, held):
        points = self._head().point(self._outputs(theta, held)[0])
        if not np.isfinite(points).all():
            return -np.inf
        weights = held.weights
        flat = points.reshape(held.n, -1)
        if flat.size < 2:
            return -float(np.mean((flat - held.y.reshape(held.n, -1)) ** 2))
        if held.n == 1:  # R^2 over the steps of the only horizon
            return float(r2_score(held.y, points[0]))
        return float(r2_score(held.y.reshape(held.n, -1), flat, sample_weight=weights))

    # --------------------------------------------------------------- prediction

    def _outputs(self, theta, pairs):
        """Outputs (n_sequences, horizon, n_outputs), and weights of attention."""
        network, head, leaves = self._fit_network, self._head(), self._leaves(theta)
        outputs = np.empty((pairs.n, self.horizon_, network.n_outputs), network.dtype)
        alphas: list = [None] * pairs.n
        for numbers in self._chunks(pairs):
            batch = pairs.batch(numbers, 1.0)
            context = network.encode(leaves, batch.x, batch.lengths)
            forced = np.zeros(batch.y_before.shape[:2], bool)
            decoded = network.decode_fed(
                leaves, context, batch.y_before, forced, head.feed, batch.known
            )
            outputs[numbers] = decoded.outputs.data.transpose(1, 0, 2)
            if decoded.alphas:
                stacked = np.stack(decoded.alphas, axis=1)
                for number, alpha, n in zip(numbers, stacked, batch.lengths):
                    alphas[number] = alpha[:, :n].copy()
        return outputs, alphas

    def _run(self, X, X_future):
        check_is_fitted(self)
        dtype = self._fit_network.dtype
        sequences = self._read(X, reset=False, dtype=dtype)
        known = self._read_known(X_future, sequences.layout, dtype)
        n_known = 0 if known is None else known.shape[2]
        if n_known != self._fit_n_known:
            raise ValueError(
                f"X_future has {n_known} column(s), but {type(self).__name__} was fitted with "
                f"{self._fit_n_known}."
            )
        outputs, alphas = self._outputs(self.theta_, self._pairs(sequences, None, known, None))
        return finite_outputs(outputs, type(self).__name__), alphas

    def _in_the_form_of_fit(self, values):
        """Values (n, horizon, n_targets, ...) with as many axes as the y of fit."""
        if self._fit_y_ndim < 3:
            values = values.reshape(len(values), -1, *values.shape[3:])
        return values[:, 0] if self._fit_y_ndim == 1 else values

    def predict(self, X: Any, *, X_future: Any = None, return_attention: bool = False) -> Any:
        """Write the horizon of each sequence of X.

        Parameters
        ----------
        X, X_future : as in `fit`
        return_attention : bool, default=False
            Whether to return what each step looked at.

        Returns
        -------
        outputs : ndarray of shape (n_sequences, horizon, n_targets)
            Or (n_sequences, horizon), or (n_sequences,), as the y of fit.
        attention : list of ndarray of shape (horizon, n_steps)
            With `return_attention`; each row adds up to one. Columns are the steps of the input in
            the order of time, whatever `window_order` is.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If X or X_future do not fit those of fit, or there is no attention to return.
        """
        check_is_fitted(self)
        check_flag("return_attention", return_attention, "predict")
        if return_attention and self._fit_network.attention is None:
            raise ValueError(
                "return_attention=True, but the model has none; fit with attention='additive'."
            )
        outputs, alphas = self._run(X, X_future)
        points = np.ascontiguousarray(self._in_the_form_of_fit(self._head().point(outputs)))
        return (points, alphas) if return_attention else points

    def predict_quantiles(self, X: Any, quantiles: Any = None, *, X_future: Any = None) -> Any:
        """Quantiles of each step, of a model fitted with a loss that has them.

        Parameters
        ----------
        X, X_future : as in `fit`
        quantiles : float or list of float in (0, 1), optional
            Those learnt with the loss "pinball" by default; any for "gaussian" and "student_t".

        Returns
        -------
        ndarray of the shape of `predict` and one more axis, (..., n_quantiles)
            Increasing along the last axis.
        """
        check_is_fitted(self)
        levels = None
        if quantiles is not None:
            levels = _checked_levels("quantiles", quantiles, "predict_quantiles")
        outputs, _ = self._run(X, X_future)
        values = self._head().quantiles(outputs, levels).astype(outputs.dtype)
        return self._in_the_form_of_fit(values)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, X_future: Any = None) -> float:
        """Coefficient of determination R^2, averaged over steps and targets.

        Parameters
        ----------
        X, y, sample_weight, X_future : as in `fit`

        Returns
        -------
        float
        """
        points = self.predict(X, X_future=X_future)
        n = len(points)
        layout = SequenceLayout("rows", np.arange(n + 1))
        targets, _ = self._read_targets(y, layout, points.dtype)
        if targets.shape[1:] != (self.horizon_, self._fit_n_targets):
            raise ValueError(
                f"y has horizons of shape {targets.shape[1:]}, but {type(self).__name__} was "
                f"fitted with {(self.horizon_, self._fit_n_targets)}."
            )
        rows = SequenceLayout("rows", np.array([0, n]))
        weights = read_weights(sample_weight, rows, dtype=np.float64)
        return float(r2_score(targets.reshape(n, -1), points.reshape(n, -1), sample_weight=weights))

    def __sklearn_tags__(self):
        # Without `three_d_array`, by which regressors say that rows of a table are time steps.
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
