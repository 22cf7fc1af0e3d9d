"""What regressors trained by gradients share: losses, targets of sequences and steps, scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score

from echocast._checks import check_number, check_option, refuse

from ._estimator import BaseRNN
from ._heads import ValueHead
from ._objective import TrainData
from ._reading import (
    is_last,
    read_case_weights,
    read_step_targets,
    read_step_weights,
    read_vector_targets,
    split_step_weights,
    warn_if_unscaled,
)

__all__ = ["BaseRNNRegressor"]

FORCINGS = ("exponential", "inverse_sigmoid", "scheduled")
_LOSSES = ("absolute_error", "gaussian", "huber", "pinball", "squared_error", "student_t")


class BaseRNNRegressor(MultiOutputMixin, RegressorMixin, BaseRNN):
    """Abstract: parameters of the constructor are stored by the final classes."""

    def _check_params(self, owner):
        check_option("loss", self.loss, owner, _LOSSES)
        _checked_levels("quantile", self.quantile, owner)
        forcing = self.teacher_forcing
        if not callable(forcing) and not isinstance(forcing, str):
            check_number("teacher_forcing", forcing, owner, low=0, high=1)
        elif isinstance(forcing, str):
            check_option("teacher_forcing", forcing, owner, FORCINGS)
        return super()._check_params(owner)

    def _levels(self) -> tuple:
        return tuple(sorted(set(_checked_levels("quantile", self.quantile, type(self).__name__))))

    def _head(self):
        return ValueHead(self._fit_loss, self._fit_n_targets, self._fit_levels)

    def _read_training(self, X, y, sequences, sample_weight, *, fresh):
        owner, dtype = type(self).__name__, sequences.rows.dtype
        whole = self.layout == "windows" or self.output == "mean"
        output = "last" if whole else self.output
        last = is_last(y, sequences, output, owner) if fresh else self._fit_last
        if last:
            targets, one_d = read_vector_targets(y, sequences.layout, dtype=dtype, owner=owner)
        else:
            targets, one_d = read_step_targets(X, y, sequences, dtype=dtype, owner=owner)
        if fresh:
            self._fit_last, self._fit_y_one_d = last, one_d
            self._fit_n_targets = self._fit_n_fed = targets.shape[1]
            self._fit_loss, self._fit_levels = self.loss, self._levels()
        elif targets.shape[1] != self._fit_n_targets:
            raise ValueError(
                f"y has {targets.shape[1]} targets, but {owner} is expecting {self._fit_n_targets}."
            )
        known = None
        if not last:
            sample_weight, known = split_step_weights(sample_weight, sequences, targets.shape)
        weights = read_case_weights(sample_weight, sequences.layout, last=last, dtype=dtype)
        before = self._outputs_before(sequences, targets, last)
        if known is not None:  # the head knows NaN for what is not to be learnt
            targets = np.where(known, targets, dtype.type(np.nan))
        return TrainData(sequences.rows, sequences.indptr, targets, weights, before)

    def _outputs_before(self, sequences, targets, last):
        """True outputs one step earlier, for networks that see outputs; zero before the first."""
        by_output = self.recurrence == "output"
        if not (by_output or self._is_fed()):
            return None
        if last:
            raise ValueError(
                "recurrence='output' and teacher_forcing need a target for each step "
                "(output='sequence')."
            )
        if by_output:
            before = np.zeros_like(targets)
            before[1:] = targets[:-1]
            before[sequences.indptr[:-1]] = 0
            return before
        n = targets.shape[1]
        before = sequences.rows[:, :n]
        later = np.ones(len(targets), dtype=bool)
        later[sequences.indptr[:-1]] = False
        known = np.flatnonzero(later)
        if before.shape[1] != n or not np.allclose(
            before[known], targets[known - 1], rtol=1e-5, atol=1e-6
        ):
            raise ValueError(
                f"teacher_forcing={self.teacher_forcing!r} puts the network's own outputs in the "
                f"place of inputs: the first {n} column(s) of X must be y one step earlier, as in "
                "X = u[:-1], y = u[1:]. Use teacher_forcing=1.0 otherwise."
            )
        return before

    def _warn_if_unscaled(self, data):
        super()._warn_if_unscaled(data)
        if isinstance(self.weight_init, str):
            warn_if_unscaled("y", data.targets, type(self).__name__)

    def _first_bias(self, bias, data):
        weights = np.where(np.isnan(data.targets), 0, data.weights[:, None])
        total = np.maximum(weights.sum(axis=0), np.finfo(weights.dtype).tiny)
        mean = (weights * np.nan_to_num(data.targets)).sum(axis=0) / total
        if self._fit_loss == "pinball":
            bias[:] = np.repeat(mean, len(self._fit_levels))
        else:
            bias[: len(mean)] = mean

    _least_validated = 2  # R^2 needs two

    def _score_outputs(self, outputs, targets, weights):
        points = self._head().point(outputs)
        if not np.isfinite(points).all():
            return -np.inf
        known = ~np.isnan(targets)
        if known.all():
            return float(r2_score(targets, points, sample_weight=weights))
        columns = [k for k in range(targets.shape[1]) if known[:, k].sum() > 1]
        scores = [
            r2_score(targets[seen, k], points[seen, k], sample_weight=weights[seen])
            for k, seen in ((k, known[:, k]) for k in columns)
        ]
        return float(np.mean(scores)) if scores else -np.inf

    def _remember_targets(self, data, layout):
        targets = data.targets
        ends = targets if self._fit_last else targets[layout.indptr[1:] - 1]
        self.last_output_ = layout.per_sequence(ends.copy())  # NaN where it was left out
        self._fit_range = (np.fmin.reduce(targets, axis=0), np.fmax.reduce(targets, axis=0))

    # ---------------------------------------------------------------- prediction

    def _points(self, sequences, states=None):
        outputs = self._finite_outputs(sequences, states)
        return np.ascontiguousarray(self._head().point(outputs))

    def _predicted(self, sequences, states):
        """Points in the form in which they are given to users."""
        points = self._points(sequences, states)
        points = points[:, 0] if self._fit_y_one_d else points
        return points if self._fit_last else sequences.restore(points)

    def _quantiles(self, sequences, states, quantiles):
        """Quantiles in that form."""
        levels = None
        if quantiles is not None:
            levels = _checked_levels("quantiles", quantiles, "predict_quantiles")
        outputs = self._finite_outputs(sequences, states)
        values = self._head().quantiles(outputs, levels).astype(outputs.dtype)
        values = values[:, 0] if self._fit_y_one_d else values
        return values if self._fit_last else sequences.restore(values)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> float:
        """Coefficient of determination R^2 over all steps (or sequences), averaged over targets.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in `fit`.

        Returns
        -------
        float
        """
        sequences = self._read_new(X, groups)
        points = self._points(sequences)
        owner, dtype = type(self).__name__, points.dtype
        if self._fit_last:
            targets, _ = read_vector_targets(y, sequences.layout, dtype=dtype, owner=owner)
        else:
            targets, _ = read_step_targets(X, y, sequences, dtype=dtype, owner=owner)
        if sample_weight is None:
            return float(r2_score(targets, points))
        if self._fit_last:
            weights = read_case_weights(sample_weight, sequences.layout, last=True, dtype=dtype)
        else:
            weights = read_step_weights(sample_weight, sequences, dtype=dtype, owner=owner)
        return float(r2_score(targets, points, sample_weight=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _checked_levels(name, given, owner):
    """A level, or several, as a list of floats in (0, 1)."""
    levels = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given]
    numbers = all(isinstance(level, (int, float, np.floating)) for level in levels)
    if not levels or not numbers or not all(0 < level < 1 for level in levels):
        refuse(name, owner, "a float in (0, 1) or a list of such", given)
    return [float(level) for level in levels]
