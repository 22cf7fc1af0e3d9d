"""What the outputs of a network mean: points, quantiles, distributions or classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri, softmax, stdtrit

from . import _ops as ops
from ._losses import gaussian_parameters, loss_named, student_t_parameters
from ._tape import Var

__all__ = ["ClassHead", "ValueHead"]


@dataclass(frozen=True)
class ValueHead:
    """Real-valued targets.

    Parameters
    ----------
    loss_name : str
        A loss of `_losses`.
    n_targets : int
    levels : tuple of float
        Quantiles that the loss "pinball" learns.
    """

    loss_name: str
    n_targets: int
    levels: tuple = (0.5,)

    @property
    def _loss(self):
        quantiles = self.levels if self.loss_name == "pinball" else None
        return loss_named(self.loss_name, quantiles=quantiles)

    @property
    def n_outputs(self) -> int:
        """Columns of the readout."""
        return self.n_targets * self._loss.outputs_per_target

    @property
    def out_activation(self) -> str:
        """As `_losses.Loss` says."""
        return self._loss.out_activation

    def loss(self, outputs: Var, targets: np.ndarray, weights: np.ndarray) -> Var:
        """Scalar Var, on which outputs for targets that are NaN have no influence."""
        unknown = np.isnan(targets)
        if unknown.any():
            n = self._loss.outputs_per_target
            repeats = np.repeat if self.loss_name == "pinball" else _tiled
            outputs = ops.where(~repeats(unknown, n, axis=-1), outputs, np.zeros_like(outputs.data))
            targets = np.where(unknown, targets.dtype.type(0), targets)
        return self._loss.function(outputs, targets, weights)

    @property
    def _points(self) -> Any:
        """Columns of the outputs that are point predictions."""
        if self.loss_name == "pinball":
            middle = int(np.argmin(np.abs(np.asarray(self.levels) - 0.5)))
            return slice(middle, None, len(self.levels))
        return slice(self.n_targets)

    def point(self, outputs: np.ndarray) -> np.ndarray:
        """Means, or the quantile next to the median, (..., n_targets)."""
        if self.loss_name == "pinball":
            middle = self.levels[int(np.argmin(np.abs(np.asarray(self.levels) - 0.5)))]
            return self.quantiles(outputs, [middle])[..., 0]
        return outputs[..., self._points]

    def feed(self, outputs: Var) -> Var:
        """What the network sees of its own outputs one step later: point predictions."""
        if self.n_outputs == self.n_targets:
            return outputs
        return ops.getitem(outputs, (..., self._points))

    def quantiles(self, outputs: np.ndarray, levels: Any) -> np.ndarray:
        """Quantiles (..., n_targets, n_levels), increasing along the last axis."""
        if self.loss_name == "pinball":
            known = [round(level, 12) for level in self.levels]
            wanted = self.levels if levels is None else levels
            missing = [level for level in wanted if round(level, 12) not in known]
            if missing:
                raise ValueError(
                    f"The model has learnt the quantiles {list(self.levels)}, not {missing[0]}; "
                    "fit with it in `quantile`, or with loss='gaussian'."
                )
            by_target = outputs.reshape(*outputs.shape[:-1], self.n_targets, len(self.levels))
            by_target = np.sort(by_target, axis=-1)  # lines that cross are put in order
            return by_target[..., [known.index(round(level, 12)) for level in wanted]]
        if levels is None:
            raise ValueError("`quantiles` must be given with this loss.")
        levels = np.asarray(levels, dtype=np.float64)
        if self.loss_name == "gaussian":
            centre, scale = gaussian_parameters(outputs)
            return centre[..., None] + scale[..., None] * ndtri(levels)
        if self.loss_name == "student_t":
            centre, scale, df = student_t_parameters(outputs)
            return centre[..., None] + scale[..., None] * stdtrit(df[..., None], levels)
        raise ValueError(
            f"loss={self.loss_name!r} gives points alone; fit with loss='pinball' and the "
            "levels in `quantile`, or with loss='gaussian'."
        )


def _tiled(mask, n, axis):
    """The mask n times side by side, as parameters of distributions lie."""
    return np.concatenate([mask] * n, axis=axis)


@dataclass(frozen=True)
class ClassHead:
    """Labels, as numbers of classes."""

    n_classes: int
    out_activation = "softmax"

    @property
    def n_outputs(self) -> int:
        """Columns of the readout."""
        return self.n_classes

    @property
    def loss(self) -> Any:
        """``loss(outputs, targets, weights)``: scalar Var."""
        return loss_named("log_loss").function

    def feed(self, outputs: Var) -> np.ndarray:
        """What the network sees of its own outputs one step later: the likeliest class alone."""
        o = outputs.data
        return np.eye(self.n_classes, dtype=o.dtype)[o.argmax(axis=-1)]

    @staticmethod
    def probabilities(outputs: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, (..., n_classes)."""
        return softmax(outputs, axis=-1)
