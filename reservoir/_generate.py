"""Closed-loop generation of a fitted echo state network, and its bound."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from echocast._checks import check_number, stack_level
from echocast.exceptions import ForecastDivergenceWarning

from ._base import _given_states
from ._sequences import SequenceLayout, read_rows

__all__ = ["end_of_fit", "generate", "output_bound", "warn_if_diverging"]

_BOUNDED = ("tanh", "sigmoid", "sin")  # activations with values in [-1, 1]
_RANGE_FACTOR = 10.0  # spans outside of the training range before a warning


def output_bound(esn: Any) -> np.ndarray:
    """|c0| + sum of |c|: no output can exceed it while all states lie in [-1, 1].

    States started inside stay inside for a bounded activation and leak rates in (0, 1]. With
    inputs in the readout there is no such bound, as inputs may be anything.
    """
    machine = esn._fit_reservoir
    if machine.include_input or machine.reservoir.activation not in _BOUNDED:
        return np.full(len(esn.coef_), np.inf)
    return np.abs(esn.intercept_) + np.abs(esn.coef_).sum(axis=1)


def generate(esn: Any, n_steps: int, *, warmup: Any, initial_state: Any, X: Any) -> np.ndarray:
    """See `ESNRegressor.generate`."""
    from ._closed import closed_loop

    owner = type(esn).__name__
    check_number("n_steps", n_steps, owner, low=1, closed="left", integer=True)
    inputs = _future_inputs(esn, n_steps, X)
    first = []
    if warmup is None:
        state, output = end_of_fit(esn, initial_state)
    else:
        if inputs is not None:
            raise ValueError(
                "`warmup` drives a model that is fed its own outputs; with output feedback and "
                "given inputs start from `initial_state` or from the end of fit."
            )
        state, output = _warm(esn, warmup, initial_state)
        first, n_steps = [output[None]], n_steps - 1
    loop_in, coef_output, extra = _loop_weights(esn, inputs)
    rest, _ = closed_loop(
        esn._fit_reservoir.reservoir,
        n_steps,
        state,
        output,
        coef_state=esn.coef_[:, : esn._fit_reservoir.n_states],
        coef_output=coef_output,
        offset=esn.intercept_,
        loop_in=loop_in,
        **extra,
    )
    outputs = np.concatenate([*first, rest])
    warn_if_diverging(outputs, esn._fit_range)
    return outputs


def _future_inputs(esn, n_steps, X):
    """Inputs known beforehand (with output feedback), or None if outputs are the inputs."""
    n_inputs, n_outputs = esn.n_features_in_, len(esn.coef_)
    if X is not None:
        if esn.W_fb_ is None:
            raise ValueError("`X` is for models with output feedback; set feedback_scaling > 0.")
        X = check_array(X, dtype=esn._fit_reservoir.dtype, input_name="X", estimator=esn)
        if X.shape != (n_steps, n_inputs):
            raise ValueError(f"`X` must have shape {(n_steps, n_inputs)}, got {X.shape}.")
        return X
    if esn.W_fb_ is not None and esn._fit_inputs_constant:
        return np.broadcast_to(esn._fit_last_input, (n_steps, n_inputs))
    if n_inputs != n_outputs:
        raise ValueError(
            f"`generate` feeds outputs back as inputs, but the model has {n_outputs} target(s) "
            f"and {n_inputs} feature(s). Fit with X = u[:-1], y = u[1:], or use "
            "feedback_scaling > 0 with constant inputs or with `X`."
        )
    return None


def end_of_fit(model: Any, initial_state: Any) -> tuple[np.ndarray, np.ndarray]:
    """State and last output from which a loop starts without warm-up."""
    machine = model._fit_reservoir
    single = SequenceLayout("rows", np.zeros(2, dtype=np.int64))
    if model._fit_form == "rows":
        state, output = model.state_, model.last_output_
    elif initial_state is None:
        raise ValueError(
            f"The model was fitted on several sequences ('{model._fit_form}'): pass `warmup` "
            "or `initial_state` to say which one to continue."
        )
    else:
        output = np.zeros(model._fit_n_targets, dtype=machine.dtype)
    if initial_state is not None:
        state = _given_states(initial_state, single, (1, *machine.state_shape), machine.dtype)[0]
    return state, output


def _warm(esn, warmup, initial_state):
    """Drive with the warm-up rows; return the state and the output after the last of them."""
    from ._drive import last_state_after

    rows, layout = read_rows(esn, warmup, reset=False, dtype=esn._fit_reservoir.dtype)
    if layout.form != "rows":
        raise ValueError("`warmup` must be one sequence: a 2-D array or frame.")
    state = esn._initial_states(layout, initial_state)[0]
    # With X = u[:-1] and y = u[1:] the output before row t is row t itself.
    feedback = None if esn.W_fb_ is None else rows
    state = last_state_after(esn._fit_reservoir.reservoir, rows, state, feedback=feedback)
    with_input = esn._fit_reservoir.include_input
    features = np.concatenate([state, rows[-1]]) if with_input else state
    return state, esn.coef_ @ features + esn.intercept_


def _loop_weights(esn, inputs):
    """Weights of the loop: output to reservoir, output to output, and the known drive."""
    from ._drive import input_drive

    n_units, n_outputs = esn._fit_reservoir.n_states, len(esn.coef_)
    zero = np.zeros((n_outputs, n_outputs), dtype=esn.coef_.dtype)
    if inputs is not None:
        extra: dict[str, Any] = {"drive": input_drive(esn._fit_reservoir.reservoir, inputs)}
        if esn._fit_reservoir.include_input:
            extra["const"] = inputs @ esn.coef_[:, n_units:].T
        return esn.W_fb_, zero, extra
    loop_in = esn.W_in_ if esn.W_fb_ is None else esn.W_in_ + esn.W_fb_
    return loop_in, esn.coef_[:, n_units:] if esn._fit_reservoir.include_input else zero, {}


def warn_if_diverging(
    outputs: np.ndarray,
    training_range: tuple,
    *,
    remedy: str = "Increase `alpha`, or train on more data.",
) -> None:
    """Warn if outputs lie more than ten spans outside of the range of the training targets."""
    low, high = training_range
    span = np.maximum(high - low, np.finfo(outputs.dtype).tiny)
    outside = np.maximum(low - outputs, outputs - high) / span
    beyond = (outside > _RANGE_FACTOR).any(axis=1)
    if beyond.any():
        step = int(np.argmax(beyond))
        target = int(np.argmax(outside[step]))
        warnings.warn(
            f"Forecast leaves the training range [{low[target]:.3g}, {high[target]:.3g}] by "
            f"{outside[step, target]:.0f}x its span at step {step}. {remedy}",
            ForecastDivergenceWarning,
            stacklevel=stack_level(),
        )
