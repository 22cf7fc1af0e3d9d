"""Closed loops of fitted sequence regressors: each output is the next input."""

from __future__ import annotations

from typing import Any

import numpy as np

from echocast._checks import check_number
from echocast.exceptions import ForecastDivergedError

from ._generate import end_of_fit, warn_if_diverging
from ._sequences import read_rows

__all__ = ["run_on"]

_CHECK_EVERY = 100  # steps between two looks for infinite outputs


def run_on(model: Any, n_steps: int, *, warmup: Any, initial_state: Any) -> np.ndarray:
    """See `SequenceRegressor.generate`."""
    owner = type(model).__name__
    check_number("n_steps", n_steps, owner, low=1, closed="left", integer=True)
    if model._fit_n_targets != model.n_features_in_:
        raise ValueError(
            f"`generate` feeds outputs back as inputs, but the model has {model._fit_n_targets} "
            f"target(s) and {model.n_features_in_} feature(s). Fit with X = u[:-1], y = u[1:]."
        )
    outputs = np.empty((n_steps, model._fit_n_targets), dtype=model._fit_reservoir.dtype)
    done = 0
    if warmup is None:
        state, output = end_of_fit(model, initial_state)
    else:
        state, output = _warm(model, warmup, initial_state)
        outputs[0], done = output, 1
    _close_loop(model, state, output, outputs, done)
    warn_if_diverging(outputs, model._fit_range)
    return outputs


def _warm(model, warmup, initial_state):
    """Run over the warm-up rows; return the state and the output after the last of them."""
    rows, layout = read_rows(model, warmup, reset=False, dtype=model._fit_reservoir.dtype)
    if layout.form != "rows":
        raise ValueError("`warmup` must be one sequence: a 2-D array or frame.")
    states = model._start_states(rows, layout, initial_state)
    for _, _, features, last in model._fit_reservoir.blocks(rows, layout, states):
        state, feature_row = last.copy(), features[-1:].copy()
    return state, model._read_out(feature_row)[0]


def _close_loop(model, state, output, outputs, done):
    """Fill `outputs` from row `done` on; Python has control between any two steps."""
    step = model._fit_reservoir.stepper(state)
    with np.errstate(all="ignore"):  # an overflow is found and reported below
        for start in range(done, len(outputs), _CHECK_EVERY):
            stop = min(start + _CHECK_EVERY, len(outputs))
            for t in range(start, stop):
                output = model._read_out(step(output))[0]
                outputs[t] = output
            finite = np.isfinite(outputs[start:stop]).all(axis=1)
            if not finite.all():
                bad = start + int(np.argmin(finite))
                raise ForecastDivergedError(bad, np.abs(outputs[:bad]).max(initial=0.0))
