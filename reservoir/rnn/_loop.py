"""Closed loops of trained networks: each output is the next input."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted

from echocast._checks import check_number
from echocast.exceptions import ForecastDivergedError

from .._base import _given_states
from .._generate import warn_if_diverging
from .._sequences import SequenceLayout
from ._objective import one_blas_thread
from ._tape import Var

__all__ = ["close_loop", "generate"]

_REMEDY = "Train longer, or on more data."
_CHECK_EVERY = 100  # steps between two looks for infinite outputs


def generate(model: Any, n_steps: int, *, warmup: Any, initial_state: Any, X: Any) -> np.ndarray:
    """See `RNNRegressor.generate`."""
    check_is_fitted(model)
    owner = type(model).__name__
    check_number("n_steps", n_steps, owner, low=1, closed="left", integer=True)
    network = model._fit_network
    if network.last or network.bidirectional:
        raise ValueError(
            "`generate` needs one output for each step from the steps before it: fit with "
            "output='sequence' and bidirectional=False."
        )
    known = _known_inputs(model, n_steps, X, owner)
    if warmup is None:
        state, output = _end_of_fit(model, initial_state)
        done = []
    else:
        sequences = model._read_new(warmup)
        if sequences.layout.form != "rows":
            raise ValueError("`warmup` must be one sequence: a 2-D array or frame.")
        given = model._given(sequences, initial_state)
        outputs, ended = model._outputs(model.theta_, sequences, given)
        state, output = ended, model._head().point(outputs[-1:])
        done = [output[0]]
    rest = close_loop(model, state, output, n_steps - len(done), known[None, len(done) :])[0][0]
    outputs = np.concatenate([np.reshape(done, (-1, rest.shape[1])), rest]).astype(network.dtype)
    warn_if_diverging(outputs, model._fit_range, remedy=_REMEDY)
    return outputs


def close_loop(
    model: Any, states: np.ndarray, fed: np.ndarray, n_steps: int, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Closed loops side by side.

    Parameters
    ----------
    states : ndarray of shape (n_sequences, n_states)
    fed : ndarray of shape (n_sequences, n_targets)
        What is fed at the first step.
    known : ndarray of shape (n_sequences, n_steps, n_known)
        Other inputs of each step, which come after the fed ones.

    Returns
    -------
    outputs : ndarray of shape (n_sequences, n_steps, n_targets)
    states : ndarray of shape (n_sequences, n_states)
    """
    network, head = model._fit_network, model._head()
    dtype, n_sequences = network.dtype, len(fed)
    outputs = np.empty((n_sequences, n_steps, fed.shape[1]), dtype=dtype)
    fed = np.ascontiguousarray(fed, dtype=dtype)
    step = _advancer(network, model.theta_, np.asarray(states, dtype=dtype))
    views = network.layout.views(model.theta_)
    to_output, offset = views["out.W"].T, views["out.b"]
    with one_blas_thread(), np.errstate(all="ignore"):  # an overflow is found and reported below
        for t in range(n_steps):
            x, hidden = step(fed, known[:, t])
            seen = np.concatenate([hidden, x], axis=1) if network.include_input else hidden
            fed = head.point(seen @ to_output + offset)
            outputs[:, t] = fed
            if t % _CHECK_EVERY == 0 or t + 1 == n_steps:
                _refuse_infinite(outputs[:, : t + 1])
    return outputs, step.states()


class _Layers:
    """Steps of the layers of a network that sees its own outputs as the first inputs."""

    def __init__(self, network, theta, states):
        self.network = network
        self.layers = network.steppers(theta, len(states))
        self.current = [tuple(v.data for v in parts) for parts in network.unflat(states)]

    def __call__(self, fed, known):
        x = np.concatenate([fed, known], axis=1) if known.shape[1] else fed
        level = x
        for i, layer in enumerate(self.layers):
            self.current[i] = layer(level, *self.current[i])
            level = self.current[i][0]
        return x, level

    def states(self):
        return np.concatenate([part for parts in self.current for part in parts], axis=1)


class _OutputRecurrence:
    """Steps of a network that remembers nothing but its output."""

    def __init__(self, network, theta, states):
        self.network, self.leaves = network, network.layout.leaves(theta, None)
        self.empty = states

    def __call__(self, fed, known):
        x = np.ascontiguousarray(known, dtype=self.network.dtype)
        hidden, _ = self.network.step(self.leaves, Var(x), Var(fed), [])
        return x, hidden.data

    def states(self):
        return self.empty


def _advancer(network, theta, states):
    kind = _OutputRecurrence if network.recurrence == "output" else _Layers
    return kind(network, theta, states)


def _refuse_infinite(outputs):
    finite = np.isfinite(outputs[:, -_CHECK_EVERY:]).all(axis=(0, 2))
    if not finite.all():
        bad = outputs.shape[1] - len(finite) + int(np.argmin(finite))
        raise ForecastDivergedError(bad, np.abs(outputs[:, :bad]).max(initial=0.0))


def _known_inputs(model, n_steps, X, owner):
    """Inputs beside the outputs that are fed back, (n_steps, n_known)."""
    n_inputs, n_targets = model.n_features_in_, model._fit_n_targets
    by_output = model._fit_network.recurrence == "output"
    n_known = n_inputs if by_output else n_inputs - n_targets
    if n_known < 0 or (n_known > 0 and X is None):
        raise ValueError(
            f"`generate` feeds outputs back as inputs, but the model has {n_targets} target(s) "
            f"and {n_inputs} feature(s). Fit with X = u[:-1], y = u[1:]; further columns must "
            f"come after those of y and be given as `X` of shape (n_steps, {max(n_known, 0)})."
        )
    if n_known == 0:
        if X is not None:
            raise ValueError("`X` is for inputs beside the outputs fed back; there are none.")
        return np.empty((n_steps, 0), dtype=model._fit_network.dtype)
    X = check_array(X, dtype=model._fit_network.dtype, input_name="X", estimator=owner)
    if X.shape != (n_steps, n_known):
        raise ValueError(f"`X` must have shape {(n_steps, n_known)}, got {X.shape}.")
    return X


def _end_of_fit(model, initial_state):
    """State (1, n_states) and last output (1, n_targets) from which a loop starts."""
    network = model._fit_network
    output = np.zeros((1, model._fit_n_targets), dtype=network.dtype)
    if model._fit_form == "rows":
        state, output = model.state_[None], model.last_output_[None]
    elif initial_state is None:
        raise ValueError(
            f"The model was fitted on several sequences ('{model._fit_form}'): pass `warmup` "
            "or `initial_state` to say which one to continue."
        )
    if not np.isfinite(output).all():
        raise ValueError(
            "The last target of fit was left out, so a loop cannot start from it: pass `warmup`."
        )
    if initial_state is not None:
        single = SequenceLayout("rows", np.zeros(2, dtype=np.int64))
        state = _given_states(initial_state, single, (1, network.n_states), network.dtype)
    return state, output
