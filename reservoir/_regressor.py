"""Ridge readouts on features that a machine with a memory computes from rows in time order."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_option

from ._base import BaseReservoir, _dtype_name, _given_states, resolve_washout, transactional
from ._blas import determinate
from ._features import FeatureRows, FitData, Machine
from ._run_on import run_on
from ._sequence_tools import keeps_sequences
from ._sequences import (
    SequenceLayout,
    read_rows,
    read_targets,
    read_weights,
    refuse_reordered,
)
from ._time_chunks import in_step

__all__ = ["SequenceRegressor"]

_STREAM_WASHOUT = 100  # what washout="auto" means in partial_fit, where the length is unknown


@keeps_sequences
class SequenceRegressor(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MultiOutputMixin,
    RegressorMixin,
    BaseReservoir,
    metaclass=ABCMeta,
):
    """Abstract: fit, partial_fit, predict and generate around a `Machine`.

    Final classes store the parameters `alpha`, `solver`, `fit_intercept` and `predict_state`
    and define the hooks at the end of this class.
    """

    _solvers: tuple[str, ...] = ("auto", "cholesky", "qr", "svd", "dual", "lsqr")

    # ------------------------------------------------------------------ fitting

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any, *, sample_weight: Any = None, groups: Any = None) -> Self:
        """Build the machine, run it over X and solve for the readout.

        Parameters
        ----------
        X : array-like of shape (n_steps, n_features), list of such, 3-D array or DataFrame
            Inputs; rows are time steps in order. A list, a 3-D array
            (n_sequences, n_steps, n_features) or a (series, time) MultiIndex means several
            sequences, each started afresh.
        y : array-like of shape (n_steps,) or (n_steps, n_targets), or the matching list or array
            Targets: ``y[t]`` belongs to ``X[t]``.
        sample_weight : array-like of shape (n_steps,), optional
            Weights of the rows in the readout's least squares. A row of weight zero still
            counts as history.
        groups : array-like of shape (n_steps,), optional
            Sequence labels for a 2-D X with a flat index.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X, y or the weights are unusable, or a sequence is too short to train on.
        """
        data = self._prepare(X, y, sample_weight, groups, first=True)
        washouts = self._washouts(data.layout, stream=False)
        states = self._fit_reservoir.start(data.rows, data.layout)
        rows = self._training_rows(data, washouts, states)
        self._publish(self._in_chunks(rows, self._solve))
        self._remember_all(data, rows.final_states(), np.zeros_like(washouts))
        return self

    @transactional(keep_fitted=True)
    def partial_fit(self, X: Any, y: Any, *, sample_weight: Any = None, groups: Any = None) -> Self:
        """Add rows to the readout's statistics and solve again.

        A 2-D chunk continues the previous sequence; a list, a 3-D array or a new id starts new
        ones. After chunks that make up one sequence the model equals one `fit` over all of it,
        given an integer `washout` where there is one. Penalties are chosen among several by
        generalised cross-validation, which needs no second pass.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in `fit`; all weights of a chunk may be zero, for rows that are history alone.

        Returns
        -------
        self
        """
        first = not hasattr(self, "_fit_reservoir")
        data = self._prepare(X, y, sample_weight, groups, first=first, stream=True)
        if self.solver in ("dual", "lsqr"):
            raise ValueError(
                f"solver='{self.solver}' needs all rows at once, in `fit`. For `partial_fit` use "
                "'auto', 'cholesky', 'qr' or 'svd'."
            )
        washouts, states = self._resume(data, first)
        rows = self._training_rows(data, washouts, states)
        factor = self._in_chunks(rows, self._absorbed)
        if factor.n_samples == 0:
            self._fit_factor = factor
        else:
            self._publish(self._solve_factor(factor, own=True))
        left = np.maximum(washouts - np.diff(data.layout.indptr), 0)
        self._remember_all(data, rows.final_states(), left)
        return self

    def _prepare(self, X, y, sample_weight, groups, *, first, stream=False):
        """Check parameters and data; build the machine if this is the first time."""
        owner = type(self).__name__
        dtype = self._check_params()
        if not first:
            dtype = self._fit_reservoir.dtype
        refuse_reordered(X, y)
        rows, layout = read_rows(self, X, groups=groups, reset=first, dtype=dtype)
        targets, one_d = read_targets(y, layout, dtype=dtype, owner=owner)
        weights = read_weights(sample_weight, layout, dtype=dtype, may_vanish=stream)
        if first:
            self._fit_reservoir = self._build(rows.shape[1], targets.shape[1], dtype)
            self._fit_y_one_d = one_d
            self._fit_n_targets = targets.shape[1]
        elif targets.shape[1] != self._fit_n_targets:
            raise ValueError(
                f"y has {targets.shape[1]} targets, but {owner} is expecting {self._fit_n_targets}."
            )
        return FitData(rows, layout, targets, weights)

    def _resume(self, data, first):
        """Rows left out and states with which the sequences of a chunk start."""
        layout = data.layout
        washouts = self._washouts(layout, stream=True)
        states = self._fit_reservoir.start(data.rows, layout)
        if first or layout.starts_new or layout.form != self._fit_form:
            return washouts, states
        for i, key in enumerate(layout.ids if layout.form == "groups" else (None,)):
            if key in self._fit_ends:
                states[i], washouts[i] = self._fit_ends[key]
        return washouts, states

    def _training_rows(self, data, washouts, states):
        return FeatureRows(self._fit_reservoir, self._learnt(data), washouts, states)

    def _learnt(self, data):
        """The data with the targets of the least squares: increments, if those are learnt."""
        if not self._fit_increments:
            return data
        return FitData(data.rows, data.layout, data.targets - data.rows, data.weights)

    def _solve(self, rows):
        from ._readout import fit_readout

        return fit_readout(
            rows,
            rows.n_features,
            rows.n_targets,
            dtype=self._fit_reservoir.dtype,
            n_rows=rows.n_rows,
            **self._readout_params(),
        )

    def _new_factor(self, rows):
        from ._readout import RidgeFactor

        method = "gram" if self.solver == "cholesky" else "qr"
        dtype = self._fit_reservoir.dtype
        return RidgeFactor(rows.n_features, rows.n_targets, method=method, dtype=dtype)

    def _absorbed(self, rows):
        """The statistics so far with these rows added; the old ones stay as they are."""
        from ._readout import statistics_of

        old = statistics_of(self) if hasattr(self, "_fit_factor") else None
        factor = self._new_factor(rows) if old is None else old.copy()
        self._absorb(factor, rows)
        return factor

    def _absorb(self, factor, rows):
        for block in rows():
            factor.update(*block)

    def _in_chunks(self, rows, job):
        """job(rows), which reads the rows in chunks of time if the parameters say so."""
        chunks = self._new_chunks()
        if chunks is not None:
            rows.machine = rows.machine.chunked(chunks)
        result = in_step(chunks, lambda: job(rows))
        self._remember_chunks(chunks)
        return result

    def _solve_factor(self, factor, *, own=False):
        from ._readout import solve_factor

        return solve_factor(factor, own=own, **self._readout_params())

    def _readout_params(self):
        return {
            "alpha": self.alpha,
            "solver": self.solver,
            "fit_intercept": bool(self.fit_intercept),
            "owner": type(self).__name__,
        }

    def _publish(self, result):
        """Store the solved readout on the shadow estimator."""
        dtype = self._fit_reservoir.dtype
        self.coef_ = result.coef.astype(dtype, copy=False)
        self.intercept_ = result.intercept.astype(dtype, copy=False)
        if self._fit_increments:  # X is added back by the readout itself
            self.coef_ = self._with_persistence(self.coef_)
        self.alpha_, self.solver_ = result.alpha, result.solver_used
        self.alphas_, self.loo_errors_ = result.alphas, result.loo_errors
        self.rank_, self.condition_ = result.rank, result.condition
        self._fit_factor = result.factor

    def _remember_all(self, data, last_states, washouts_left):
        layout = data.layout
        self._remember_end(layout, last_states, self._last_outputs(data))
        keys = layout.ids if layout.form == "groups" else (None,)
        ended = dict(zip(keys, zip(last_states, washouts_left)))
        old = getattr(self, "_fit_ends", {}) if layout.form == "groups" else {}
        self._fit_ends = {**old, **ended} if layout.form in ("groups", "rows") else {}
        low, high = data.targets.min(axis=0), data.targets.max(axis=0)
        if hasattr(self, "_fit_range"):
            low, high = np.minimum(low, self._fit_range[0]), np.maximum(high, self._fit_range[1])
        self._fit_range = (low, high)

    def _last_outputs(self, data):
        return data.targets[data.layout.indptr[1:] - 1]

    # --------------------------------------------------------------- prediction

    def predict(self, X: Any, *, groups: Any = None, initial_state: Any = None) -> Any:
        """Output for each row of X; writes nothing to the estimator.

        Parameters
        ----------
        X : as in `fit`
        groups : array-like of shape (n_steps,), optional
        initial_state : ndarray of the shape of `state_`, or dict, optional
            State before the first row of each sequence; overrides `predict_state`.

        Returns
        -------
        ndarray of shape (n_steps,) or (n_steps, n_targets), or the form of X
            A list for a list, a 3-D (or 2-D, if y was) array for a 3-D array, else rows in
            the order of X.

        Raises
        ------
        NotFittedError
            Before fit, or while `partial_fit` has seen no row that it could train on.
        ValueError
            If X does not fit the columns of fit, has missing or infinite values, or the states
            grow until the outputs are infinite.
        """
        self._check_solved()
        rows, layout = self._read_new(X, groups)
        with determinate(self):
            outputs = self._predict_rows(rows, layout, initial_state)
        if not np.isfinite(outputs).all():
            row = int(np.argmin(np.isfinite(outputs).all(axis=1)))
            raise ValueError(
                f"The outputs become infinite at row {row}: with this activation the states grow "
                "without bound. Lower `spectral_radius`, or use a bounded activation."
            )
        return layout.restore(outputs[:, 0] if self._fit_y_one_d else outputs)

    def transform(self, X: Any, *, groups: Any = None, initial_state: Any = None) -> Any:
        """States or features for each row of X (rows left out of training included).

        Parameters
        ----------
        X, groups, initial_state
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_steps, n_features_out), or the form of X

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If X does not fit the columns of fit, or the states depend on the outputs, as they
            do with output feedback.
        """
        check_is_fitted(self)
        rows, layout = self._read_new(X, groups)
        states = np.empty((len(rows), self._n_features_out), dtype=rows.dtype)
        with determinate(self):
            self._write_states(rows, layout, initial_state, states)
        return layout.restore(states)

    def fit_transform(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, groups: Any = None
    ) -> Any:
        """Fit, and return what `transform` gives for the sequences of X from their starts.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_steps, n_features_out), or the form of X
        """
        self.fit(X, y, sample_weight=sample_weight, groups=groups)
        start = self._fit_reservoir.start(*self._read_new(X, groups))
        return self.transform(X, groups=groups, initial_state=start)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> float:
        """Coefficient of determination R^2 over all rows, averaged over targets.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in `fit`.

        Returns
        -------
        float
        """
        self._check_solved()
        rows, layout = self._read_new(X, groups)
        targets, _ = read_targets(y, layout, dtype=rows.dtype, owner=type(self).__name__)
        weights = read_weights(sample_weight, layout, dtype=rows.dtype)
        outputs = self._predict_rows(rows, layout, None)
        return float(r2_score(targets, outputs, sample_weight=weights))

    def generate(
        self, n_steps: int, *, warmup: Any = None, initial_state: Any = None
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
        initial_state : ndarray of the shape of `state_`, optional
            State before the first row of `warmup`, or, without `warmup`, before the first step.

        Returns
        -------
        ndarray of shape (n_steps, n_targets)

        Raises
        ------
        ForecastDivergedError
            If an output becomes infinite or NaN.
        ValueError
            If there are not as many targets as features, so outputs cannot serve as inputs.

        Warns
        -----
        ForecastDivergenceWarning
            If an output leaves the range of the training targets by more than ten spans.
        """
        self._check_solved()
        return run_on(self, n_steps, warmup=warmup, initial_state=initial_state)

    @property
    def _n_features_out(self):
        return self._fit_reservoir.n_states

    def _check_solved(self):
        check_is_fitted(self)
        if not hasattr(self, "coef_"):
            raise NotFittedError(
                f"This {type(self).__name__} has seen no row that it could train on, only the "
                "first ones of a sequence. Call 'partial_fit' with more rows."
            )

    def _start_states(self, rows, layout, initial_state):
        """States (n_sequences, *state_shape) from which the sequences of `layout` start."""
        machine = self._fit_reservoir
        if initial_state is not None:
            shape = (layout.n_sequences, *machine.state_shape)
            return _given_states(initial_state, layout, shape, machine.dtype)
        states = machine.start(rows, layout)
        for i, key in self._continued(layout):
            states[i] = self._end_of(self.state_, key)
        return states

    def _predict_rows(self, rows, layout, initial_state):
        states = self._start_states(rows, layout, initial_state)
        outputs = np.empty((len(rows), self._fit_n_targets), dtype=rows.dtype)
        self._visit(rows, layout, states, outputs, self._read_out)
        return outputs

    def _visit(self, rows, layout, states, out, function):
        """Write the function of the features of all rows to `out`."""
        machine, chunks = self._fit_reservoir, self._new_chunks(like=self)
        if chunks is not None:
            machine = machine.chunked(chunks)

        def run_all():
            for i, start, features, _ in machine.blocks(rows, layout, states):
                first = layout.indptr[i] + start
                out[first : first + len(features)] = function(features)

        in_step(chunks, run_all)

    def _write_states(self, rows, layout, initial_state, out):
        states = self._start_states(rows, layout, initial_state)
        self._visit(rows, layout, states, out, lambda features: features[:, : out.shape[1]])

    def _read_out(self, features):
        """Outputs (n_rows, n_targets) of rows of features."""
        return features @ self.coef_.T + self.intercept_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = True
        return tags

    def _check_dtype(self) -> np.dtype:
        name = _dtype_name(self.dtype)
        check_option("dtype", name, type(self).__name__, ("float32", "float64"))
        return np.dtype(name)

    def _check_learning(self) -> None:
        """Check what the readout of a reservoir learns from: `washout`, `solver`, `target`."""
        owner = type(self).__name__
        self._check_washout()
        check_option("solver", self.solver, owner, self._solvers)
        check_flag("fit_intercept", self.fit_intercept, owner)
        check_flag("include_input", self.include_input, owner)
        check_option("target", self.target, owner, ("value", "increment"))
        if self.target == "increment" and not self.include_input:
            raise ValueError(
                "target='increment' needs include_input=True, because X is added back."
            )

    def _learns_increments(self, n_inputs: int, n_outputs: int) -> bool:
        if self.target == "increment" and n_inputs != n_outputs:
            raise ValueError(
                f"target='increment' needs y with the columns of X: y has {n_outputs}, "
                f"X has {n_inputs}. Use target='value'."
            )
        return self.target == "increment"

    # ------------------------------------------------------- hooks of final classes

    @abstractmethod
    def _check_params(self) -> np.dtype:
        """Check the parameters and return the dtype."""

    @abstractmethod
    def _build(self, n_inputs: int, n_outputs: int, dtype: np.dtype) -> Machine:
        """Draw the weights; set `_fit_increments` and the public attributes of the machine."""

    def _washouts(self, layout: SequenceLayout, *, stream: bool) -> np.ndarray:
        """Rows left out of training at the start of each sequence."""
        if not stream:
            return resolve_washout(self.washout, layout, type(self).__name__)
        washout = _STREAM_WASHOUT if isinstance(self.washout, str) else self.washout
        return np.full(layout.n_sequences, washout)

    @abstractmethod
    def _with_persistence(self, coef: np.ndarray) -> np.ndarray:
        """A copy of `coef` whose outputs have X added."""
