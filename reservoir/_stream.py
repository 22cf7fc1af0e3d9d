"""Step-by-step use of a fitted network, for data that arrive one row at a time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from echocast._saving import ModelFiles

from ._custom import drive_custom
from ._machine import scratch
from ._online import OnlineReadout, RLSReadout
from ._running import RunningReadout
from ._values import LARGEST

__all__ = ["ReservoirStream"]

_BUFFERS = ("_kernel", "_arguments")


class ReservoirStream(ModelFiles):
    """A runner with its own state and its own readout; made by ``ESNRegressor.stream()``.

    A step costs a few microseconds more than its arithmetic: it is one compiled call on memory
    that was reserved before. What the methods return are copies. One stream is for one thread.

    Parameters
    ----------
    esn : ESNRegressor
        A fitted model, which is never changed; nor does the stream change if it is fitted again.

    Attributes
    ----------
    state : ndarray of shape (n_units,)
        Current state; may be assigned.
    output : ndarray of shape (n_targets,)
        Last output, or last target learnt, which a network with output feedback hears next; may
        be assigned.
    coef_ : ndarray of shape (n_targets, n_readout_features)
    intercept_ : ndarray of shape (n_targets,)

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
                f"('{esn._fit_form}'). Fit on one, or give `predict` an `initial_state`."
            )
        self._esn = copy.copy(esn)
        res = esn._fit_reservoir.reservoir
        n_outputs = len(esn.coef_)
        self._n_inputs = res.n_inputs
        self._x = np.array(esn.state_, dtype=res.dtype)
        self._y = np.array(esn.last_output_, dtype=res.dtype)
        self._u = np.zeros(len(res.projection), dtype=res.dtype)
        self._u[self._n_inputs] = 1
        self._coef = np.array(esn.coef_, dtype=res.dtype, order="C")
        self._intercept = np.array(esn.intercept_, dtype=res.dtype)
        self._feeds_back = esn.W_fb_ is not None
        self._constant = getattr(esn, "_fit_inputs_constant", False)
        self._last_input = esn._fit_last_input.copy()
        self._readout: OnlineReadout | None = None
        self._factor: Any = None
        self._range = np.array(esn._fit_range).reshape(2, n_outputs)
        self._reserve()

    def _reserve(self):
        """Make the buffers that a step works in; some are views of others."""
        res = self._esn._fit_reservoir.reservoir
        if res.function is not None:
            self._kernel, self._arguments = self._custom_step, ()
            return
        from ._kernels_online import step

        weights = res.plan.arrays, res.code, res.leak, res.projection
        memory = self._u, self._x, np.empty_like(self._x), self._coef, self._intercept, self._y
        self._kernel, self._arguments = step, (*weights, *memory, scratch(res))

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in _BUFFERS}

    def __repr__(self):
        return f"{type(self).__name__} of {self._esn!r}"

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._reserve()

    @property
    def state(self) -> np.ndarray:
        return self._x.copy()

    @state.setter
    def state(self, value: Any) -> None:
        self._x[:] = _checked("state", value, self._x)

    @property
    def output(self) -> np.ndarray:
        return self._y.copy()

    @output.setter
    def output(self, value: Any) -> None:
        self._y[:] = _checked("output", value, self._y)

    @property
    def coef_(self) -> np.ndarray:
        return self._coef.copy()

    @property
    def intercept_(self) -> np.ndarray:
        return self._intercept.copy()

    def step(self, x: Any) -> np.ndarray:
        """Advance by one input row and return the new state, of shape (n_units,)."""
        self._advance(x)
        return self._x.copy()

    def predict_one(self, x: Any) -> np.ndarray | float:
        """Advance by one input row; return the output (a float if y was 1-D).

        Raises
        ------
        ValueError
            If x is not finite or has the wrong size, before anything has changed; or if the
            output is infinite, as that of `predict` would be.
        """
        self._advance(x)
        return self._y.item() if self._esn._fit_y_one_d else self._y.copy()

    def learn_one(self, x: Any, y: Any) -> np.ndarray | float:
        """Advance by one input row, and change the stream's own readout after its target.

        Online readouts learn as they do in `fit`, ridge readouts as in `partial_fit`: the weights
        are then those of all rows so far, at the penalty of the fit.

        Parameters
        ----------
        x : array-like of shape (n_features,), or dict
            A dict holds the columns of the frame that the model was fitted to, by name. A Series
            must name them in their order. So in `predict_one` and `step`.
        y : float or array-like of shape (n_targets,)

        Returns
        -------
        float or ndarray of shape (n_targets,)
            The output before the target was learnt, as from `predict_one`.

        Raises
        ------
        ValueError
            If x or y is not finite, too large for its square to be, or has the wrong size or
            other names, before anything has changed; or if a ridge readout kept normal equations
            that cannot be gone on from.
        """
        readout = self._start_learning() if self._readout is None else self._readout
        target = _checked("y", np.ravel(y), self._y)
        x = np.asarray(self._by_name(x) if hasattr(x, "keys") else x, dtype=self._u.dtype)
        _refuse_large("x", x)  # no readout would recover from it
        self._advance(x)
        output = self._y.item() if self._esn._fit_y_one_d else self._y.copy()
        row = self._u[: self._n_inputs]
        features = np.concatenate([self._x, row])[: self._coef.shape[1]]
        learnt = target - row if self._esn._fit_increments else target
        if readout.due(1)[0]:
            readout.absorb_row(features, learnt)
        if self._factor is not None:
            self._factor.update(features[None], learnt[None])
        self._coef[:] = readout.coef_
        if self._esn._fit_increments:
            self._coef[:] = self._esn._with_persistence(self._coef)
        self._intercept[:] = readout.intercept_
        if not readout.feeds_back:
            self._y[:] = target  # what a teacher says is heard next
        np.minimum(self._range[0], target, out=self._range[0])
        np.maximum(self._range[1], target, out=self._range[1])
        return output

    def to_estimator(self) -> Any:
        """A new fitted estimator with the state and the readout that the stream has now.

        Returns
        -------
        ESNRegressor
            As `partial_fit` with all rows learnt would leave it. The stream knows no dates, so
            that with ``predict_state="auto"`` the new model does not know which rows follow.

        Examples
        --------
        >>> import numpy as np
        >>> from echocast.reservoir import ESNRegressor
        >>> u = np.sin(0.2 * np.arange(400))[:, None]
        >>> esn = ESNRegressor(50, alpha=1e-3, washout=20, random_state=0).fit(u[:300], u[1:301])
        >>> stream = esn.stream()
        >>> outputs = [stream.learn_one(u[t], u[t + 1]) for t in range(300, 399)]
        >>> new, whole = stream.to_estimator(), esn.partial_fit(u[300:399], u[301:400])
        >>> bool(np.allclose(new.coef_, whole.coef_)), bool(np.allclose(new.state_, whole.state_))
        (True, True)
        """
        new = copy.copy(self._esn)
        new.state_, new.last_output_ = self._x.copy(), self._y.copy()
        new._fit_ends = {None: (self._x.copy(), 0)}
        new._fit_next_stamps = {0: None}
        new._fit_range = tuple(self._range.copy())
        new._fit_last_input = self._last_input.copy()
        new._fit_inputs_constant = self._constant
        if self._factor is not None:
            new._publish(new._solve_factor(self._factor.copy(), own=True))
        elif self._readout is not None:
            new._publish(self._readout.copy())
        return new

    def _start_learning(self):
        esn = self._esn
        if isinstance(esn._fit_factor, OnlineReadout):
            self._readout = esn._fit_factor.copy()
            return self._readout
        running = RunningReadout.from_fit(esn, exact=False)
        if running is None:
            raise ValueError(
                "The normal equations that the readout kept are not positive definite in float64, "
                "so that it cannot go on row by row. Fit with solver='qr' or a larger `alpha`."
            )
        self._readout = RLSReadout.going_on(running)
        self._factor = esn._fit_factor.copy()
        return self._readout

    def _by_name(self, x):
        """The values of a dict, Series or frame of one row, whose names must be those of fit."""
        names, given = getattr(self._esn, "feature_names_in_", None), list(x.keys())
        if hasattr(x, "iloc"):
            numbered = names is None or not all(isinstance(name, str) for name in given)
            if numbered or given == list(names):
                return x
        elif names is None:
            raise TypeError("`x` is a dict, but the model was fitted without names of columns.")
        elif set(given) == set(names):
            return [x[name] for name in names]
        order = ", in the same order" * hasattr(x, "iloc")
        raise ValueError(
            f"The names in `x` should match those that were passed during fit{order}: "
            f"{[str(name) for name in names]}. Got {given}."
        )

    def _advance(self, x: Any) -> None:
        if type(x) is not np.ndarray and hasattr(x, "keys"):
            x = self._by_name(x)
        n_inputs, u = self._n_inputs, self._u
        row = np.asarray(x, dtype=u.dtype)
        if row.size != n_inputs or (row.ndim > 1 and max(row.shape) != n_inputs):
            self._refuse(x)
        u[:n_inputs] = row if row.ndim == 1 else row.ravel()
        if self._feeds_back:
            u[n_inputs + 1 :] = self._y
            self._constant = self._constant and bool((u[:n_inputs] == self._last_input).all())
        done = self._kernel(*self._arguments)
        if not done:
            self._refuse(x)
        if done == 2:
            raise ValueError(
                "The output has become infinite: with this activation the states grow without "
                "bound. Lower `spectral_radius`, or use a bounded activation."
            )
        if self._feeds_back:
            self._last_input[:] = u[:n_inputs]

    def _refuse(self, x):
        raise ValueError(
            f"`x` must hold {self._n_inputs} finite feature(s), got {np.asarray(x)!r:.80}."
        )

    def _custom_step(self):
        """Do what the kernel `step` does, for an activation of the user's own."""
        if not np.isfinite(self._u).all():
            return 0
        res = self._esn._fit_reservoir.reservoir
        block = (self._u @ res.projection)[None]
        drive_custom(res.plan, res.function, res.leak, self._x.copy(), block)
        self._x[:] = block[0]
        to_state, to_input = np.split(self._coef, [len(self._x)], axis=1)
        self._y[:] = self._intercept + to_state @ self._x
        if to_input.shape[1]:
            self._y += to_input @ self._u[: self._n_inputs]
        return 1 if np.isfinite(self._y).all() else 2


def _checked(name, value, like):
    value = np.asarray(value, dtype=like.dtype)
    if value.shape != like.shape:
        raise ValueError(f"`{name}` must be finite and of shape {like.shape}, got {value.shape}.")
    _refuse_large(name, value)
    return value


def _refuse_large(name, value):
    limit = LARGEST[value.itemsize]
    if not (np.abs(value) < limit).all():  # false for NaN, too
        raise ValueError(f"`{name}` must be finite and below {limit:g}, got {value!r:.80}.")
