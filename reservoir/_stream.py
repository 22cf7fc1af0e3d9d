"""Step-by-step use of a fitted network, for data that arrive one row at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ReservoirStream"]


class ReservoirStream:
    """A runner with its own state; made by ``ESNRegressor.stream()``.

    Parameters
    ----------
    esn : ESNRegressor
        A fitted model, which is never changed.

    Attributes
    ----------
    state : ndarray of shape (n_units,)
        Current state; may be assigned.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor
    >>> u = np.sin(0.2 * np.arange(400))[:, None]
    >>> runner = ESNRegressor(n_units=50, random_state=0).fit(u[:300], u[1:301]).stream()
    >>> outputs = [runner.predict_one(row) for row in u[300:399]]
    >>> bool(np.abs(np.ravel(outputs) - u[301:400, 0]).max() < 1e-3)
    True
    """

    def __init__(self, esn: Any):
        if esn._fit_form != "rows":
            raise ValueError(
                f"`stream` continues one sequence, but the model was fitted on several "
                f"('{esn._fit_form}'). Fit on one, or set `state` after fitting on one."
            )
        self._esn = esn
        self._state = esn.state_.copy()
        self._output = esn.last_output_.copy()

    @property
    def state(self) -> np.ndarray:
        return self._state.copy()

    @state.setter
    def state(self, value: Any) -> None:
        value = np.asarray(value, dtype=self._state.dtype)
        if value.shape != self._state.shape or not np.isfinite(value).all():
            raise ValueError(
                f"`state` must be finite and of shape {self._state.shape}, got {value.shape}."
            )
        self._state = value.copy()

    def step(self, x: Any) -> np.ndarray:
        """Advance by one input row and return the new state, of shape (n_units,)."""
        self._advance(x)
        return self.state

    def predict_one(self, x: Any) -> np.ndarray | float:
        """Advance by one input row; return the output (a float if y was 1-D)."""
        self._advance(x)
        return float(self._output[0]) if self._esn._fit_y_one_d else self._output.copy()

    def _advance(self, x: Any) -> None:
        from ._drive import run_states

        esn = self._esn
        row = np.asarray(x, dtype=self._state.dtype).reshape(1, -1)
        if row.shape[1] != esn.n_features_in_ or not np.isfinite(row).all():
            raise ValueError(
                f"`x` must hold {esn.n_features_in_} finite feature(s), got {np.asarray(x)!r:.80}."
            )
        feedback = None if esn.W_fb_ is None else self._output[None]
        _, self._state = run_states(
            esn._fit_reservoir.reservoir, row, self._state, feedback=feedback
        )
        n_units = len(self._state)
        self._output = esn.coef_[:, :n_units] @ self._state + esn.intercept_
        if esn._fit_reservoir.include_input:
            self._output += esn.coef_[:, n_units:] @ row[0]
