"""scikit-learn's callbacks (1.9 and later): one task for each epoch of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["CallbackSupportMixin", "epoch_monitor", "with_callbacks"]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # an older scikit-learn: estimators without `set_callbacks`

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method):  # type: ignore[no-redef]
        """Nothing to add."""
        return method


def epoch_monitor(estimator: Any, X: Any, y: Any, fitted_at: Callable) -> EpochMonitor | None:
    """What tells an estimator's callbacks about epochs; None if it has none.

    The underscored names are those that scikit-learn documents for estimators of other packages.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return EpochMonitor(estimator, X, y, fitted_at)


class EpochMonitor:
    """Reports a fit and its epochs to callbacks, any of which may stop it.

    Parameters
    ----------
    estimator : estimator
    X, y : as given to fit
    fitted_at : callable
        From the state of training to the fitted attributes that it would end with.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, fitted_at: Callable):
        self.estimator, self.data, self.fitted_at = estimator, {"X": X, "y": y}, fitted_at
        self.root = estimator._init_callback_context(max_subtasks=int(estimator.max_iter))
        self.root.call_on_fit_task_begin(estimator=estimator, **self.data)

    def begin(self) -> None:
        """Tell of the beginning of an epoch."""
        self.epoch = self.root.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def __call__(self, state: Any) -> bool:
        """Tell of the end of an epoch; whether to stop."""
        return bool(
            self.epoch.call_on_fit_task_end(
                estimator=self.estimator,
                reconstruction_attributes=lambda: self.fitted_at(state),
                **self.data,
            )
        )

    def ended(self, state: Any) -> None:
        """Tell of the end of the fit."""
        self.root.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.fitted_at(state),
            **self.data,
        )
