"""The loss curve of a trained network as a picture."""

from __future__ import annotations

from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """Loss of each epoch of training, and the validation score beside it if there is one.

    It is recommended to use `from_estimator`. Needs matplotlib (``pip install echocast[plot]``).

    Parameters
    ----------
    loss_curve : list of float
    validation_scores : list of float, optional
    name : str, optional
        Label of the curve.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    line_ : matplotlib line

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import LossCurveDisplay, RNNRegressor
    >>> u = np.sin(0.2 * np.arange(100))[:, None]
    >>> rnn = RNNRegressor(hidden_layer_sizes=8, max_iter=5, random_state=0).fit(u[:-1], u[1:])
    >>> display = LossCurveDisplay.from_estimator(rnn)
    >>> display.ax_.get_xlabel()
    'Epoch'
    """

    def __init__(
        self, loss_curve: Any, *, validation_scores: Any = None, name: str | None = None
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, name: str | None = None, **kwargs: Any
    ) -> Self:
        """Draw the loss curve of a fitted network, or of any estimator with `loss_curve_`.

        Parameters
        ----------
        estimator : estimator
        ax : matplotlib Axes, optional
        name : str, optional
            The name of the class by default.
        **kwargs
            Passed to matplotlib's ``plot``.

        Returns
        -------
        LossCurveDisplay
        """
        check_is_fitted(estimator)
        if hasattr(type(estimator), "regressors_"):
            raise ValueError(
                f"{type(estimator).__name__} has trained several networks; pass one of them, such "
                "as model.regressors_[0]."
            )
        if not getattr(estimator, "loss_curve_", None):
            raise ValueError(
                f"This {type(estimator).__name__} has no loss curve: it was trained for no epoch."
            )
        scores = getattr(estimator, "validation_scores_", None)
        display = cls(
            estimator.loss_curve_,
            validation_scores=scores,
            name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the curve; the loss is on a logarithmic axis where it is positive.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        **kwargs
            Passed to matplotlib's ``plot``.

        Returns
        -------
        LossCurveDisplay
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "LossCurveDisplay needs matplotlib: pip install 'echocast[plot]'."
            ) from error
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        epochs = range(1, len(self.loss_curve) + 1)
        (self.line_,) = ax.plot(epochs, self.loss_curve, **{"label": self.name, **kwargs})
        if min(self.loss_curve) > 0:
            ax.set_yscale("log")
        ax.set(xlabel="Epoch", ylabel="Training loss")
        if self.validation_scores:
            twin = ax.twinx()
            colour = self.line_.get_color()
            twin.plot(epochs, self.validation_scores, color=colour, linestyle="--")
            twin.set_ylabel("Validation score (dashed)")
        if self.name is not None:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
