"""The echo state network regressor: a fixed reservoir with a ridge readout."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from echocast._checks import check_number

from ._base import visit
from ._esn_machine import ESNMachine, teacher_feedback
from ._features import FeatureRows
from ._generate import generate, output_bound
from ._online import OnlineReadout
from ._online_fit import check_readout, learn
from ._regressor import SequenceRegressor
from ._sequences import SequenceLayout
from ._stream import ReservoirStream

__all__ = ["ESNRegressor"]


class ESNRegressor(SequenceRegressor):
    r"""Echo state network: a fixed random recurrent network with a trained linear readout.

    Rows of `X` are time steps. The state follows

    .. math:: x_t = (1 - a)\, x_{t-1} + a\, f(W x_{t-1} + W_{in} u_t + b + W_{fb}\, y_{t-1})

    and the output is :math:`\hat y_t = C\,[x_t, u_t] + c_0` with :math:`C, c_0` from ridge
    regression. `y[t]` is what `X[t]` should give: one-step forecasting passes
    ``X = u[:-1], y = u[1:]``, and `generate` then continues the series on its own.
    The defaults expect inputs scaled to zero mean and unit variance.

    Parameters
    ----------
    n_units : int, default=300
        Number of reservoir units.
    spectral_radius : float or None, default=0.9
        Largest absolute eigenvalue of `W_`, met to 1e-6 relative. None leaves a matrix given
        as `topology` unscaled.
    leak_rate : float or array of shape (n_units,), default=1.0
        Share of the new state in each step, in (0, 1].
    input_scaling : float or array of shape (n_features,), default=0.3
        Factor on the input weights, which are drawn from [-1, 1].
    bias_scaling : float, default=1.0
        Factor on the bias, drawn from [-1, 1].
    topology : str, matrix or callable, default="random"
        A name from `topologies()`, a dense or sparse matrix of shape (n_units, n_units), or a
        callable ``(n_units, random_state) -> matrix``.
    connectivity : int or float, default=10
        Non-zeros of `W` per row (int, capped at `n_units`) or their share (float in (0, 1]).
    input_connectivity : int or float, default=1.0
        The same for the input weights.
    activation : str, default="tanh"
        A registered activation: "tanh", "relu", "sigmoid", "identity", "sin".
    feedback_scaling : float, default=0.0
        Factor on the output feedback weights; 0 means no feedback. Fit uses the true previous
        target (teacher forcing), predict the model's own previous output.
    noise : float, default=0.0
        Standard deviation of Gaussian noise inside the activation, in fit only.
    alpha : float, array of floats or "auto", default=1e-6
        Ridge penalty on the sum of squared errors, as in `sklearn.linear_model.Ridge`. From an
        array the candidate with the least leave-one-out error is taken; "auto" searches a
        logarithmic grid that reaches down to the rounding level.
    fit_intercept : bool, default=True
        Whether the readout has an unpenalised intercept.
    solver : {"auto", "cholesky", "qr", "svd", "dual", "lsqr"}, default="auto"
        "cholesky" solves shifted normal equations, "qr" and "svd" never square the condition
        number; "auto" uses the normal equations only where a bound on the prediction error
        shows that nothing is lost. "dual" is for fewer rows than readout features; "lsqr" forms
        no matrix, but runs the reservoir anew for each of its iterations. From 4,096 features on
        "auto" may take them, as memory demands (docs/numerics.md, "Large reservoirs").
    include_input : bool, default=True
        Whether the readout sees the inputs beside the states.
    washout : int or "auto", default="auto"
        Steps at the start of each sequence left out of the readout's fit; "auto" is
        ``min(100, n_steps // 10)`` in `fit` and 100 in `partial_fit`.
    predict_state : {"auto", "continue", "reset"}, default="auto"
        Whether `predict` and `transform` start from the state that fit ended in. "auto" does so
        only if the index of X starts exactly one step after the last stamp of fit (arrays have
        no index: they reset).
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of `W_in_`, `W_`, `b_`, `W_fb_` (drawn in this order) and of the noise.
    dtype : {"float64", "float32"}, default="float64"
        Precision of weights and states.
    n_jobs : int or None, default=None
        Threads over groups of sequences in `predict` and `transform` of several sequences;
        the results are the same bits for any number.
    input_weights : str, matrix or callable, default="uniform"
        Kind of input weights: "uniform", "bernoulli", "gaussian", "one_input_per_unit".
    target : {"value", "increment"}, default="value"
        With "increment" the ridge shrinks the readout towards "y equals X" instead of zero:
        it learns ``y - X``, and X is added back. Needs y with the columns of X.
    time_chunks : int, "auto" or None, default=None
        Cut a single long sequence into so many chunks (at most; "auto" picks) that run side by
        side, each from some steps before its first row. Where the chunks meet, the states are
        checked: they agree to 1e-13 (1e-5 in float32), else warm-ups are doubled, and a
        reservoir that forgets too slowly, or makes much of small differences within a chunk (a
        few chunks run twice to see that), runs step by step, with a `NotContractingWarning`.
        It is a parameter of the constructor because `predict` and `transform` obey it too, and
        pipelines and searches hand it on. Output feedback in `predict`, `noise` and several
        sequences do without. It gains most for dense or large reservoirs (docs/streams.md).
    readout : None, RLSReadout, LMSReadout or FORCEReadout, default=None
        None is ridge regression with `alpha`, `solver` and `fit_intercept`, which the others
        have of their own. They learn the rows after the washout one by one, in the order of time.
    deterministic : bool, default=False
        Whether coefficients and outputs are to have the same bits for any number of threads: BLAS
        is then held to one, in this process, while the estimator computes. Without it they agree
        up to rounding.

    Attributes
    ----------
    W_in_, W_, b_, W_fb_ : ndarray, ndarray or CSR array, ndarray, ndarray or None
        The fixed weights.
    coef_ : ndarray of shape (n_targets, n_readout_features)
        Readout weights; columns are the states, then the inputs if `include_input`.
    intercept_ : ndarray of shape (n_targets,)
    alpha_ : float
        The penalty used.
    solver_ : str
        The solver used.
    alphas_, loo_errors_ : ndarray or None
        Candidates and their leave-one-out mean squared errors, one column a target.
    state_ : ndarray of shape (n_units,), (n_sequences, n_units) or dict
        State after the last step of fit, for each sequence.
    last_output_ : ndarray or dict
        Last target of fit, in the same form.
    time_chunks_ : int
        Chunks that the last fit ran in.
    sync_warmup_ : int
        Steps that each chunk but the first started early.
    sync_error_ : float
        Largest difference between the state that a chunk starts in and the one that its
        predecessor ends in, as a share of the largest state if that is above one.
    readout_ : OnlineReadout or None
        The fitted readout, if one was given.
    output_bound_ : ndarray of shape (n_targets,)
        Largest absolute value any output can take, infinite unless the activation is bounded
        and `include_input` is false.
    n_features_in_, feature_names_in_ : int, ndarray of str

    References
    ----------
    .. [1] H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural
       networks", GMD Report 148, 2001.
    .. [2] M. Lukosevicius, "A Practical Guide to Applying Echo State Networks", 2012.
    .. [3] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, section 10.8.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor
    >>> u = np.sin(0.2 * np.arange(500))[:, None]
    >>> esn = ESNRegressor(n_units=50, random_state=0).fit(u[:-1], u[1:])
    >>> future = esn.generate(100)
    >>> bool(np.abs(future[:, 0] - np.sin(0.2 * np.arange(500, 600))).max() < 1e-3)
    True
    """

    def __init__(
        self,
        n_units: int = 300,
        *,
        spectral_radius: float | None = 0.9,
        leak_rate: float | ArrayLike = 1.0,
        input_scaling: float | ArrayLike = 0.3,
        bias_scaling: float = 1.0,
        topology: Any = "random",
        connectivity: float = 10,
        input_connectivity: float = 1.0,
        activation: str | Callable = "tanh",
        feedback_scaling: float = 0.0,
        noise: float = 0.0,
        alpha: float | ArrayLike | str = 1e-6,
        fit_intercept: bool = True,
        solver: str = "auto",
        include_input: bool = True,
        washout: int | str = "auto",
        predict_state: str = "auto",
        random_state: Any = None,
        dtype: str = "float64",
        n_jobs: int | None = None,
        input_weights: Any = "uniform",
        target: str = "value",
        time_chunks: int | str | None = None,
        readout: Any = None,
        deterministic: bool = False,
    ) -> None:
        self.n_units = n_units
        self.spectral_radius = spectral_radius
        self.leak_rate = leak_rate
        self.input_scaling = input_scaling
        self.bias_scaling = bias_scaling
        self.topology = topology
        self.connectivity = connectivity
        self.input_connectivity = input_connectivity
        self.activation = activation
        self.feedback_scaling = feedback_scaling
        self.noise = noise
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.include_input = include_input
        self.washout = washout
        self.predict_state = predict_state
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.input_weights = input_weights
        self.target = target
        self.time_chunks = time_chunks
        self.readout = readout
        self.deterministic = deterministic

    # ------------------------------------------------- hooks of the shared fitting code

    def _check_params(self):
        owner = type(self).__name__
        dtype = self._check_reservoir()
        self._check_learning()
        check_number("noise", self.noise, owner, low=0, closed="left")
        check_number("feedback_scaling", self.feedback_scaling, owner, low=0, closed="left")
        check_readout(self)
        return dtype

    def _build(self, n_inputs, n_outputs, dtype):
        self._fit_increments = self._learns_increments(n_inputs, n_outputs)
        rng = self._random()
        reservoir = self._build_reservoir(n_inputs, n_outputs, rng, dtype)
        self._fit_noise = np.random.RandomState(rng.randint(2**31 - 1))
        return ESNMachine(reservoir, include_input=bool(self.include_input))

    def _with_persistence(self, coef):
        coef = coef.copy()
        coef[:, self._fit_reservoir.n_states :] += np.eye(len(coef), dtype=coef.dtype)
        return coef

    def _training_rows(self, data, washouts, states):
        feedback = None
        if self.W_fb_ is not None:
            outputs = self._outputs_before(data)
            feedback = teacher_feedback(data.targets, data.layout, outputs)
        self._fit_noise = copy.deepcopy(self._fit_noise)  # the former model keeps its own
        machine = self._fit_reservoir.for_training(feedback, self.noise, self._fit_noise)
        rows = FeatureRows(machine, self._learnt(data), washouts, states)
        if self.readout is not None and self.W_fb_ is not None:
            rows.first_outputs = outputs
        return rows

    def _solve(self, rows):
        return super()._solve(rows) if self.readout is None else self._absorbed(rows)

    def _absorbed(self, rows):
        old = getattr(self, "_fit_factor", None)
        if old is not None and isinstance(old, OnlineReadout) == (self.readout is None):
            raise ValueError("`readout` was set after fit: call `fit` before `partial_fit`.")
        if self.readout is None:
            return super()._absorbed(rows)
        if old is None:
            readout = clone(self.readout).begin(rows.n_features, rows.n_targets)
        else:
            readout = old.copy()
        learn(readout, rows, self)
        self._fit_outputs = rows.last_outputs
        return readout

    def _solve_factor(self, factor, *, own=False):
        return super()._solve_factor(factor, own=own) if self.readout is None else factor

    def _last_outputs(self, data):
        """Those of the teacher, or the network's own ones if it hears them while it learns."""
        own = getattr(self, "_fit_outputs", None)
        return super()._last_outputs(data) if own is None else own

    def _outputs_before(self, data):
        """Targets before the first row of each sequence: those of the chunk before, else 0."""
        outputs = np.zeros((data.layout.n_sequences, data.targets.shape[1]), data.targets.dtype)
        keys = data.layout.ids if data.layout.form == "groups" else (None,)
        ends = getattr(self, "_fit_ends", {})
        if ends and not data.layout.starts_new and data.layout.form == self._fit_form:
            for i, key in enumerate(keys):
                if key in ends:
                    outputs[i] = self._end_of(self.last_output_, key)
        return outputs

    def _publish(self, result):
        self.readout_ = None
        if isinstance(result, OnlineReadout):
            self._publish_online(result)
        else:
            super()._publish(result)
        self.output_bound_ = output_bound(self)

    def _publish_online(self, readout):
        dtype = self._fit_reservoir.dtype
        self.readout_ = self._fit_factor = readout
        self.coef_ = readout.coef_.astype(dtype)
        self.intercept_ = readout.intercept_.astype(dtype)
        if self._fit_increments:
            self.coef_ = self._with_persistence(self.coef_)
        self.alpha_ = getattr(readout, "alpha", None)
        self.solver_ = type(readout).__name__
        self.alphas_ = self.loo_errors_ = self.rank_ = self.condition_ = None

    def _remember_all(self, data, last_states, washouts_left):
        super()._remember_all(data, last_states, washouts_left)
        held = data.rows[-1]
        before = getattr(self, "_fit_last_input", held)
        constant = bool((data.rows == held).all() and (before == held).all())
        self._fit_inputs_constant = constant and getattr(self, "_fit_inputs_constant", True)
        self._fit_last_input = held.copy()

    # --------------------------------------------------------------- prediction

    def _predict_rows(self, rows: np.ndarray, layout: SequenceLayout, initial_state) -> np.ndarray:
        states = self._initial_states(layout, initial_state)
        if self.W_fb_ is not None:
            return self._predict_with_feedback(rows, layout, states)
        base = self._direct(rows) + self.intercept_
        # laid out by rows, the product is several times as fast
        to_states = np.ascontiguousarray(self.coef_[:, : self._fit_reservoir.n_states].T)
        outputs = np.empty_like(base)

        def write(part, block):
            np.add(base[part], block @ to_states, out=outputs[part])

        chunks = self._new_chunks(like=self)
        visit(self._fit_reservoir.reservoir, rows, layout, states, write, self.n_jobs, chunks)
        return outputs

    def _direct(self, rows):
        """What the inputs add to the outputs past the reservoir."""
        if not self._fit_reservoir.include_input:
            return np.zeros((len(rows), len(self.coef_)), dtype=rows.dtype)
        return rows @ self.coef_[:, self._fit_reservoir.n_states :].T

    def _predict_with_feedback(self, rows, layout, states):
        from ._closed import closed_loop
        from ._drive import input_drive

        reservoir = self._fit_reservoir.reservoir
        n_outputs = len(self.coef_)
        direct = self._direct(rows)
        previous = np.zeros((layout.n_sequences, n_outputs), dtype=rows.dtype)
        for i, key in self._continued(layout):
            previous[i] = self._end_of(self.last_output_, key)
        outputs = np.empty_like(direct)
        for i, (a, b) in enumerate(zip(layout.indptr[:-1], layout.indptr[1:])):
            outputs[a:b], _ = closed_loop(
                reservoir,
                b - a,
                states[i],
                previous[i],
                coef_state=self.coef_[:, : self._fit_reservoir.n_states],
                coef_output=np.zeros((n_outputs, n_outputs), dtype=rows.dtype),
                offset=self.intercept_,
                loop_in=self.W_fb_,
                drive=input_drive(reservoir, rows[a:b]),
                const=direct[a:b],
            )
        return outputs

    def _write_states(self, rows, layout, initial_state, out):
        if self.W_fb_ is not None:
            raise ValueError(
                "`transform` is not available with feedback_scaling != 0, because the states "
                "then depend on the outputs. Use `predict`."
            )
        states = self._initial_states(layout, initial_state)
        reservoir, chunks = self._fit_reservoir.reservoir, self._new_chunks(like=self)
        visit(reservoir, rows, layout, states, out.__setitem__, self.n_jobs, chunks)

    def _initial_states(self, layout, initial_state):
        return self._start_states(None, layout, initial_state)

    def generate(
        self,
        n_steps: int,
        *,
        warmup: Any = None,
        initial_state: Any = None,
        X: Any = None,
    ) -> np.ndarray:
        """Run on in closed loop: each output is the next input.

        Needs as many targets as features, or output feedback (`feedback_scaling`): then the
        inputs come from `X`, or are held if they were constant in fit.

        Parameters
        ----------
        n_steps : int
            Number of outputs.
        warmup : array-like of shape (n_warmup, n_features), optional
            Rows ``u[a:b]`` that drive the reservoir first; the first output is then the
            estimate of ``u[b]``, the same as ``predict(warmup)[-1]``. Without it the run
            continues the training sequence: the first output follows the last target of fit.
        initial_state : ndarray of shape (n_units,), optional
            State before the first row of `warmup`, or, without `warmup`, before the first step.
        X : array-like of shape (n_steps, n_features), optional
            Future inputs of a model with output feedback.

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
        self._check_solved()
        return generate(self, n_steps, warmup=warmup, initial_state=initial_state, X=X)

    def stream(self) -> ReservoirStream:
        """A mutable runner that starts from the last state of fit.

        Returns
        -------
        ReservoirStream
            With ``step(x)`` (returns the new state), ``predict_one(x)`` (returns the output),
            ``learn_one(x, y)`` (the same, and learns) and ``state``; each method advances the
            state by one step. ``to_estimator()`` makes a model of it again.
        """
        self._check_solved()
        return ReservoirStream(self)
