"""Fits that may go on from the last one, of estimators that are trained by `fit_loop`."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any, Self

import numpy as np

from echocast._checks import check_flag, check_generator

from .._base import _dtype_name, transactional
from ._tape_estimator import TapeEstimator

__all__ = ["WarmStartEstimator"]


class WarmStartEstimator(TapeEstimator):
    """Abstract: parameters of the constructor are stored by the final classes."""

    _fit_rng: np.random.RandomState
    _kept: tuple[str, ...] = ()  # parameters that a network cannot change when training goes on

    @abstractmethod
    def _check_params(self, owner: str) -> np.dtype:
        """Check all parameters, and return the dtype."""

    @abstractmethod
    def _learn(self, X: Any, y: Any, sample_weight: Any, dtype: np.dtype, *, fresh: bool) -> None:
        """Read the data, train, and store what was learnt."""

    def _check_training(self, owner: str) -> np.dtype:
        check_flag("warm_start", self.warm_start, owner)
        return super()._check_training(owner)

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        warm = bool(self.warm_start) and hasattr(self, "theta_")
        return (self._fit_on if warm else self._fit_anew)(X, y, sample_weight)

    @transactional(keep_fitted=False)
    def _fit_anew(self, X, y, sample_weight):
        dtype = self._check_params(type(self).__name__)
        self._fit_asked = self._asked()
        self._learn(X, y, sample_weight, dtype, fresh=True)

    @transactional(keep_fitted=True)
    def _fit_on(self, X, y, sample_weight):
        dtype = self._check_params(type(self).__name__)
        for name, value in self._asked().items():
            if value != self._fit_asked[name]:
                raise ValueError(
                    f"The network was fitted with {name}={self._fit_asked[name]!r}, and cannot go "
                    f"on with {value!r}. Call `fit` with warm_start=False to start afresh."
                )
        self._learn(X, y, sample_weight, dtype, fresh=False)

    def _asked(self):
        """Parameters that a network keeps for life; lists as tuples, which nobody can change."""
        asked = {name: getattr(self, name) for name in self._kept}
        asked = {k: tuple(v) if isinstance(v, list) else v for k, v in asked.items()}
        return {**asked, "dtype": _dtype_name(self.dtype)}

    def _generator(self, fresh: bool) -> np.random.RandomState:
        """What a fit draws from; one that goes on draws where the last one stopped."""
        self._fit_rng = (
            check_generator(self.random_state) if fresh else copy.deepcopy(self._fit_rng)
        )
        return self._fit_rng
