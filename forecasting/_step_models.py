"""One interface for whatever predicts the next rows from a table of lags.

A step model is fitted to rows in time order, and then runs over further rows, several sequences
side by side, each from its own state. Whether that state is a reservoir's, a window of rows or
nothing at all is hidden here.
"""

from __future__ import annotations

import copy
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from echocast.reservoir import (
    LocalESNRegressor,
    RNNRegressor,
    SequenceScaler,
    carries_state,
    continue_fit,
    leave_one_out_errors,
    run_from,
    with_penalty,
    without_rows,
)

from ._automatic import safest_alpha

__all__ = ["RidgeSteps", "StepModel", "has_memory", "step_model"]

_FOLDS = 3
_PROBE = 8  # rows that are predicted together and one by one
_SAME, _SAME_SINGLE = 1e-8, 1e-5  # in float64 and in float32


class StepModel(metaclass=ABCMeta):
    """Abstract: rows (n, p) in time order to outputs (n, q)."""

    can_calm = False  # whether a larger penalty may be asked for

    @abstractmethod
    def fit(
        self, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
    ) -> StepModel:
        """Learn from one sequence, of which rows of weight zero are no examples; returns self."""

    @abstractmethod
    def run(self, rows: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """Outputs (M, n, q) of sequences (M, n, p), and the states (M, ...) they end in.

        A state of None is that before the first row of all.
        """

    @abstractmethod
    def learn(
        self, rows: np.ndarray, targets: np.ndarray, state: Any, weights: np.ndarray | None = None
    ) -> StepModel:
        """A copy that has learnt from more rows as well, which follow `state` (1, ...)."""

    @abstractmethod
    def errors(
        self,
        rows: np.ndarray,
        targets: np.ndarray,
        n_last: int,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Errors of the last rows of the fit, by weights that did not learn from them."""

    def lean(self) -> StepModel:
        """A copy that holds no rows of the fit."""
        return self


class _Forward(StepModel):
    """Abstract: what forecasts of held back rows say about errors."""

    template: Any

    @abstractmethod
    def _fresh(self) -> StepModel:
        """An unfitted model like this one."""

    def errors(self, rows, targets, n_last, weights=None):
        """Errors of folds of the second half, each by a model fitted to the rows before it.

        NaN where no row before is an example.
        """
        n = len(rows)
        edges = np.unique(np.linspace(n // 2, n, _FOLDS + 1).astype(int))
        parts = []
        for begin, end in pairwise(edges):
            known = None if weights is None else weights[:begin]
            if known is not None and not known.any():
                parts.append(np.full(targets[begin:end].shape, np.nan))
                continue
            model = self._fresh().fit(rows[:begin], targets[:begin], known)
            outputs = model.run(rows[None, :end], None)[0][0]
            parts.append(targets[begin:end] - outputs[begin:])
        return np.concatenate(parts)[-n_last:]


class SequenceSteps(_Forward):
    """A regressor of this package that carries a state, perhaps after transformers of rows."""

    def __init__(self, regressor: Any):
        self.template = regressor

    def _fresh(self):
        return SequenceSteps(self.template)

    def fit(self, rows, targets, weights=None):
        self.whole = clone(self.template)
        self.whole.fit(rows, _narrow(targets), **_weighted(self.whole, weights))
        self.model = _parts(self.whole)[-1]
        return self

    def _headed(self, rows):
        """Rows (M, n, p) as the regressor itself sees them."""
        flat, whole = rows.reshape(-1, rows.shape[2]), self.whole
        while isinstance(whole, Pipeline):
            flat = whole[:-1].transform(flat) if len(whole) > 1 else flat
            whole = whole[-1]
        return np.asarray(flat).reshape(*rows.shape[:2], -1)

    def run(self, rows, state):
        return run_from(self.model, self._headed(rows), state)

    def learn(self, rows, targets, state, weights=None):
        rows = self._headed(rows[None])[0]
        longer = continue_fit(
            self.model, rows, _narrow(targets), state=state[0], sample_weight=weights
        )
        return self._around(longer).lean()

    def errors(self, rows, targets, n_last, weights=None):
        if isinstance(self.model, LocalESNRegressor):  # its readouts share rows of all patches
            return super().errors(rows, targets, n_last, weights)
        headed = self._headed(rows[None])[0]
        return leave_one_out_errors(
            self.model, headed, targets, n_last=n_last, sample_weight=weights
        )

    def lean(self):
        if isinstance(self.model, LocalESNRegressor):  # a readout for each patch, perhaps
            return self
        return self._around(without_rows(self.model))

    def _around(self, model):
        """A copy with another fitted regressor after the same transformers."""
        other = copy.copy(self)
        other.whole, other.model = _ending_in(self.whole, model), model
        return other


class TrainedSteps(SequenceSteps):
    """The same with an `RNNRegressor`, which has no leave-one-out errors and may go on training."""

    def _fresh(self):
        return TrainedSteps(self.template)

    def learn(self, rows, targets, state, weights=None):
        rows = self._headed(rows[None])[0]
        weights = None if weights is None else [weights]
        return self._around(
            continue_fit(self.model, [rows], [targets], state=state, sample_weight=weights)
        )

    def errors(self, rows, targets, n_last, weights=None):
        return _Forward.errors(self, rows, targets, n_last, weights)

    def lean(self):
        return self


class RidgeSteps(StepModel):
    """A ridge on functions of single rows, whose penalty is taken as large as is harmless.

    Parameters
    ----------
    regressor : NVARRegressor
        With ``delays=1``: it has no memory.
    n_added : int
        That many first columns, the newest values, are added to the outputs, so that the
        penalty shrinks towards "nothing changes".
    """

    def __init__(self, regressor: Any, n_added: int = 0):
        self.template, self.n_added = regressor, n_added
        self.can_calm = bool(np.ndim(regressor.alpha)) or isinstance(regressor.alpha, str)

    def fit(self, rows, targets, weights=None):
        learnt = targets - self._added(rows)
        self.whole = clone(self.template).fit(rows, learnt, sample_weight=weights)
        alpha = safest_alpha(self.whole, learnt if weights is None else learnt[weights > 0])
        if self.can_calm:  # a given penalty: learning more rows keeps it
            self.whole = with_penalty(self.whole, alpha)
        return self

    def calmer(self) -> None:
        """Solve again with a hundred times the penalty."""
        self.whole = with_penalty(self.whole, 100.0 * max(self.whole.alpha_, 1e-14))

    def _added(self, rows):
        return rows[..., : self.n_added] if self.n_added else 0.0

    def run(self, rows, state):
        outputs = run_from(self.whole, rows.reshape(1, -1, rows.shape[2]))[0]
        return outputs.reshape(*rows.shape[:2], -1) + self._added(rows), None

    def learn(self, rows, targets, state, weights=None):
        other = copy.copy(self)
        empty = np.empty(self.whole.state_.shape)
        learnt = targets - self._added(rows)
        other.whole = without_rows(
            continue_fit(self.whole, rows, learnt, state=empty, sample_weight=weights)
        )
        return other

    def errors(self, rows, targets, n_last, weights=None):
        learnt = targets - self._added(rows)
        return leave_one_out_errors(self.whole, rows, learnt, n_last=n_last, sample_weight=weights)

    def lean(self):
        other = copy.copy(self)
        other.whole = without_rows(self.whole)
        return other


class PlainSteps(_Forward):
    """Any other regressor. If its rows are not independent, it sees the last ones once more.

    Parameters
    ----------
    regressor : estimator
    context : int
        Rows predicted again before the one wanted, where outputs depend on earlier rows.
    """

    def __init__(self, regressor: Any, context: int):
        self.template, self.context = regressor, context

    def _fresh(self):
        return PlainSteps(self.template, self.context)

    def fit(self, rows, targets, weights=None):
        self.whole = clone(self.template)
        tags = get_tags(self.whole)
        if targets.shape[1] > 1 and not tags.target_tags.multi_output:
            self.whole = MultiOutputRegressor(self.whole)
        if weights is None:
            self.whole.fit(rows, _narrow(targets))
        elif has_memory(self.template):
            self.whole.fit(rows, _narrow(targets), **_weighted(self.whole, weights))
        else:
            self.whole.fit(rows[weights > 0], _narrow(targets)[weights > 0])
        self.by_sequence = bool(tags.input_tags.three_d_array)
        self.remembers = self._depends_on_earlier(rows)
        return self

    def _depends_on_earlier(self, rows):
        probe = rows[-_PROBE:]
        together = self._predict(probe)
        alone = np.concatenate([self._predict(row[None]) for row in probe])
        scale = np.abs(together).max(initial=1e-300)
        # Products of single rows are rounded otherwise than those of many.
        single = np.asarray(self.whole.predict(probe)).dtype == np.float32
        same = _SAME_SINGLE if single else _SAME
        return not np.allclose(together, alone, rtol=same, atol=same * scale)

    def _predict(self, rows):
        return np.asarray(self.whole.predict(rows), dtype=np.float64).reshape(len(rows), -1)

    def run(self, rows, state):
        n_sequences, n_steps, n_features = rows.shape
        if not self.remembers:
            outputs = self._predict(rows.reshape(-1, n_features))
            return outputs.reshape(n_sequences, n_steps, -1), None
        whole = rows if state is None else np.concatenate([state, rows], axis=1)
        if self.by_sequence:
            outputs = np.asarray(self.whole.predict(whole), dtype=np.float64)
            outputs = outputs.reshape(n_sequences, whole.shape[1], -1)
        else:
            outputs = np.stack([self._predict(sequence) for sequence in whole])
        return outputs[:, -n_steps:], whole[:, -self.context :].copy()

    def learn(self, rows, targets, state, weights=None):
        if not hasattr(self.whole, "partial_fit"):
            raise ValueError(
                f"{type(self.template).__name__} cannot learn from more rows: it has no "
                "`partial_fit`. Call update(y, refit=False), or fit with all rows."
            )
        other = copy.copy(self)
        kept = slice(None) if weights is None else weights > 0
        other.whole = copy.deepcopy(self.whole)
        if len(rows[kept]):
            other.whole.partial_fit(rows[kept], _narrow(targets)[kept])
        return other


def step_model(regressor: Any, context: int) -> Callable[[], StepModel]:
    """What makes unfitted step models of a regressor, which is cloned and never changed."""
    *heads, last = _parts(regressor)
    if carries_state(last) and not any(map(_takes_sequences, heads)):
        kind = TrainedSteps if isinstance(last, RNNRegressor) else SequenceSteps
        return lambda: kind(regressor)
    return lambda: PlainSteps(regressor, context)


def has_memory(regressor: Any) -> bool:
    """Whether rows are time steps to a regressor or to a transformer before it."""
    return _takes_sequences(regressor)


def _parts(regressor):
    if not isinstance(regressor, Pipeline):
        return [regressor]
    steps = [step for _, step in regressor.steps]
    return [step for step in steps[:-1] if hasattr(step, "fit")] + _parts(steps[-1])


def _ending_in(regressor, model):
    """A copy of a fitted regressor with another model at its end."""
    if not isinstance(regressor, Pipeline):
        return model
    other, (name, last) = copy.copy(regressor), regressor.steps[-1]
    other.steps = [*regressor.steps[:-1], (name, _ending_in(last, model))]
    return other


def _takes_sequences(estimator):
    """Whether rows are time steps to an estimator or to one within it."""
    within = estimator.get_params(deep=True).values()
    return any(
        get_tags(one).input_tags.three_d_array
        # of those that take sequences, scalers alone treat rows one by one
        and not isinstance(one, SequenceScaler)
        for one in (estimator, *within)
        if isinstance(one, BaseEstimator)
    )


def _weighted(regressor, weights):
    """Keyword arguments that give a regressor, perhaps at the end of a Pipeline, weights."""
    if weights is None:
        return {}
    last, name = regressor, "sample_weight"
    while isinstance(last, Pipeline):
        name, last = f"{last.steps[-1][0]}__{name}", last[-1]
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(
            f"missing='mask' leaves rows out by weights, which {type(last).__name__} does not "
            "take. Use missing='interpolate'."
        )
    return {name: weights}


def _narrow(targets):
    """One target as a vector, which regressors of a single output ask for."""
    return targets[:, 0] if targets.shape[1] == 1 else targets
