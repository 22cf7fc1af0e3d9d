"""A look into a reservoir: the spectrum of its matrix and its states over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._plot import _pyplot

__all__ = ["ReservoirDisplay"]

_MOST_UNITS = 3000  # eigenvalues of a larger matrix take minutes
_SHOWN_STATES = 12


class ReservoirDisplay:
    """The eigenvalues of a reservoir beside the unit circle, and its states over time.

    Make it with `from_estimator` or `from_predictions`; `plot` draws it again. Eigenvalues well
    inside the circle forget quickly; states that stay near -1 or 1 are saturated, and states that
    hardly move have too small an input.

    Parameters
    ----------
    eigenvalues : ndarray of complex, shape (n_units,)
        Of the recurrent matrix W.
    states : ndarray of shape (n_steps, n_units), optional

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of two Axes
        The spectrum and, with states, the states.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import ReservoirDisplay
    >>> from echocast.reservoir import ESNRegressor
    >>> y = load_sunspots().to_numpy()[:, None] / 100
    >>> model = ESNRegressor(50, spectral_radius=0.8, random_state=0).fit(y[:-1], y[1:])
    >>> display = ReservoirDisplay.from_estimator(model, y)
    >>> round(float(abs(display.eigenvalues).max()), 6), display.states.shape
    (0.8, (309, 50))
    """

    def __init__(self, eigenvalues: Any, states: Any = None):
        self.eigenvalues = eigenvalues
        self.states = states

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, n_shown: int = _SHOWN_STATES, ax: Any = None
    ) -> ReservoirDisplay:
        """Look into a fitted estimator.

        Parameters
        ----------
        estimator : ESNRegressor or another with a matrix `W_`, or a forecaster around one
            A forecaster is looked into through its `regressor_`.
        X : array-like of shape (n_steps, n_features), optional
            Input to run through the reservoir, as for the `transform` of the estimator (for a
            forecaster: of its `regressor_`); without, only the spectrum is drawn.
        n_shown, ax
            As in `plot`.

        Returns
        -------
        ReservoirDisplay

        Raises
        ------
        TypeError
            If the estimator has no recurrent matrix.
        ValueError
            If it has more than 3,000 units.
        """
        check_is_fitted(estimator)
        estimator = getattr(estimator, "regressor_", estimator)
        matrix = getattr(estimator, "W_", None)
        if matrix is None or len(getattr(matrix, "shape", ())) != 2:
            raise TypeError(
                "ReservoirDisplay needs an estimator with one recurrent matrix `W_`, such as "
                f"ESNRegressor, or a forecaster around one. Got {type(estimator).__name__}."
            )
        states = None if X is None else estimator.transform(X)
        return cls.from_predictions(matrix, states, n_shown=n_shown, ax=ax)

    @classmethod
    def from_predictions(
        cls, W: Any, states: Any = None, *, n_shown: int = _SHOWN_STATES, ax: Any = None
    ) -> ReservoirDisplay:
        """Draw a recurrent matrix and states made elsewhere.

        Parameters
        ----------
        W : ndarray or sparse matrix of shape (n_units, n_units)
        states : array-like of shape (n_steps, n_units), optional
        n_shown, ax
            As in `plot`.

        Returns
        -------
        ReservoirDisplay

        Raises
        ------
        ValueError
            If the matrix has more than 3,000 units.
        """
        if W.shape[0] > _MOST_UNITS:
            raise ValueError(
                f"The eigenvalues of {W.shape[0]} units take too long; at most {_MOST_UNITS} are "
                "drawn."
            )
        dense = W.toarray() if hasattr(W, "toarray") else np.asarray(W)
        eigenvalues = np.linalg.eigvals(dense.astype(np.float64))
        states = None if states is None else np.asarray(states, dtype=np.float64)
        return cls(eigenvalues, states).plot(ax, n_shown=n_shown)

    def plot(self, ax: Any = None, *, n_shown: int = _SHOWN_STATES) -> ReservoirDisplay:
        """Draw; returns self with the attributes `ax_` and `figure_`.

        Parameters
        ----------
        ax : matplotlib Axes or pair of Axes, optional
            One draws the spectrum alone; a new figure by default.
        n_shown : int, default=12
            States drawn as lines, evenly chosen; the band holds 90 per cent of all of them.

        Returns
        -------
        ReservoirDisplay
        """
        axes = self._axes(ax)
        _draw_spectrum(axes[0], self.eigenvalues)
        if len(axes) == 2:
            _draw_states(axes[1], self.states, n_shown)
        self.ax_ = axes if len(axes) == 2 else axes[0]
        self.figure_ = axes[0].figure
        return self

    def _axes(self, ax):
        if ax is None:
            n = 1 if self.states is None else 2
            size, ratios = ((3.6, 3.4), [1]) if n == 1 else ((9, 3.4), [1, 1.8])
            _, ax = _pyplot().subplots(
                1, n, figsize=size, layout="constrained", gridspec_kw={"width_ratios": ratios}
            )
        axes = np.ravel(np.asarray(ax, dtype=object))
        if len(axes) > (1 if self.states is None else 2):
            allowed = "one Axes, as there are no states" if self.states is None else "one or two"
            raise ValueError(f"`ax` must be {allowed}, got {len(axes)}.")
        return axes


def _draw_spectrum(ax, eigenvalues):
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(angle), np.sin(angle), color="0.6", lw=1, label="unit circle")
    ax.plot(eigenvalues.real, eigenvalues.imag, ".", color="C0", ms=4, label="eigenvalues")
    reach = 1.1 * max(1.0, float(np.abs(eigenvalues).max()))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set_xlabel("real part")
    ax.set_ylabel("imaginary part")
    ax.set_title(f"{len(eigenvalues)} units, radius {np.abs(eigenvalues).max():.3g}")


def _draw_states(ax, states, n_shown):
    steps = np.arange(len(states))
    low, high = np.quantile(states, [0.05, 0.95], axis=1)
    ax.fill_between(steps, low, high, color="C0", alpha=0.2, lw=0, label="90 % of all states")
    chosen = np.unique(np.linspace(0, states.shape[1] - 1, max(n_shown, 1)).astype(int))
    ax.plot(steps, states[:, chosen], lw=0.8)
    ax.set_xlabel("step")
    ax.set_title(f"{len(chosen)} of {states.shape[1]} states")
    ax.legend(loc="upper right", fontsize="small", frameon=False)
