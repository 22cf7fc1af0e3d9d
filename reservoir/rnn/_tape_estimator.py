"""What estimators that are trained by `fit_loop` share: parameters, checks, what a fit leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_number, check_option
from echocast._saving import ModelFiles

from .._base import _dtype_name
from ._fit_loop import FitOptions, Trained

__all__ = ["TapeEstimator", "sized_batches"]

_SCHEDULES = ("adaptive", "constant", "cosine", "invscaling", "linear")
_OPTIONS = ("solver", "learning_rate", "learning_rate_init", "tol", "n_iter_no_change", "max_norm",
            "clip_value", "alpha", "weight_decay")  # fmt: skip


class TapeEstimator(ModelFiles, BaseEstimator):
    """Abstract: parameters of the constructor are stored by the final classes."""

    def _check_training(self, owner: str) -> np.dtype:
        """Check the parameters that all have, and return the dtype."""
        check_option("solver", self.solver, owner, ("adam", "rmsprop", "sgd"))
        check_option("learning_rate", self.learning_rate, owner, _SCHEDULES)
        check_number("learning_rate_init", self.learning_rate_init, owner, low=0, closed="neither")
        for name in ("tol", "alpha", "weight_decay"):
            check_number(name, getattr(self, name), owner, low=0)
        for name in ("batch_size", "n_iter_no_change"):
            check_number(name, getattr(self, name), owner, low=1, integer=True)
        check_number("max_iter", self.max_iter, owner, low=0, integer=True)
        for name in ("max_norm", "clip_value"):
            check_number(name, getattr(self, name), owner, low=0, closed="neither", also=(None,))
        for name in ("shuffle", "verbose"):
            check_flag(name, getattr(self, name), owner)
        check_option("dtype", _dtype_name(self.dtype), owner, ("float32", "float64"))
        return np.dtype(_dtype_name(self.dtype))

    def _options(self) -> FitOptions:
        named = {name: getattr(self, name) for name in _OPTIONS}
        return FitOptions(verbose=bool(self.verbose), **named)

    def _publish(self, trained: Trained, layout: Any) -> None:
        """Store what was learnt."""
        self._fit_layout = layout
        self.theta_ = trained.theta
        self.loss_curve_ = list(trained.loss_curve)
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else None
        self.grad_norms_ = list(trained.grad_norms)
        self.validation_scores_ = trained.validation_scores
        self.best_validation_score_ = max(trained.validation_scores or [], default=None)
        self.n_iter_, self.t_ = trained.n_epochs, trained.n_updates
        self.n_skipped_steps_ = trained.n_skipped

    @property
    def params_(self) -> dict:
        """All parameters by name, as views of `theta_`."""
        check_is_fitted(self)
        return self._fit_layout.views(self.theta_)

    def _leaves(self, theta: np.ndarray | None = None) -> dict:
        """Parameters as constants of the tape."""
        return self._fit_layout.leaves(self.theta_ if theta is None else theta, None)


def sized_batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Consecutive parts of at most `size`, as equal as can be."""
    return np.array_split(order, -(-len(order) // size)) if len(order) else []
