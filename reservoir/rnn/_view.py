"""Any fitted recurrent model as a dynamical system that the analyses can linearise."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted

from .._deep import ReservoirStack
from .._esn_machine import ESNMachine
from .._machine import Reservoir
from ._cells import LeakyRnn, Stack, StackStep, stack_of

__all__ = ["ClosedLoop", "closed_loop_view", "first_state", "input_rows", "recurrent_view"]


def recurrent_view(model: Any) -> Stack:
    """The layers of a fitted model as one system h, x -> h'.

    A trainable network answers `_recurrent_weights()` with the list that `stack_of` reads; of
    one that reads in both directions that is the forward one, whose state is a dynamical system.
    """
    if isinstance(model, Stack):
        return model
    if hasattr(model, "_recurrent_weights"):
        check_is_fitted(model)
        # A fitted network has the state before the first step, zeros or learnt, in one row.
        return stack_of(model._recurrent_weights(), getattr(model, "h0_", None))
    if not hasattr(model, "W_") and hasattr(model, "fit"):
        check_is_fitted(model)  # which says so better than what follows
    machine = getattr(model, "_fit_reservoir", None)
    if isinstance(machine, ReservoirStack):
        reservoirs = list(machine.layers)
    elif isinstance(machine, ESNMachine):
        reservoirs = [machine.reservoir]
    elif isinstance(machine, Reservoir):
        reservoirs = [machine]
    else:
        raise TypeError(
            "`model` must be a recurrent network or a reservoir, whose state follows from the "
            f"last one and the input; got {type(model).__name__}."
        )
    if reservoirs[0].W_fb is not None:
        raise ValueError(
            "`model` has output feedback (feedback_scaling > 0), so its states depend on more "
            "than the inputs. Fit it without."
        )
    return Stack([_cell_of(reservoir) for reservoir in reservoirs])


def _cell_of(res: Reservoir) -> LeakyRnn:
    activation = res.activation if res.function is None else res.function
    return LeakyRnn(res.W_in, res.plan.matrix, res.b, res.leak, activation)


def input_rows(view: Stack, X: Any) -> np.ndarray:
    """X as one sequence of rows for the view, in float64."""
    rows = check_array(X, dtype=np.float64, ensure_min_samples=0, input_name="X")
    if rows.shape[1] != view.n_inputs:
        raise ValueError(f"`X` must have {view.n_inputs} column(s), got {rows.shape[1]}.")
    return rows


def first_state(view: Stack, initial_state: Any) -> np.ndarray:
    """The given state before the first row, or the view's own."""
    if initial_state is None:
        return view.initial_state()
    state = np.array(initial_state, dtype=np.float64)
    if state.shape != (view.n_states,):
        raise ValueError(f"`initial_state` must have shape ({view.n_states},), got {state.shape}.")
    return state


class ClosedLoop:
    """A view whose outputs are its inputs: the state is [h, y], of the network and the output."""

    def __init__(self, view: Stack, seen: slice, coef: np.ndarray, intercept: np.ndarray):
        self.view, self.seen = view, seen
        n_seen = seen.stop - seen.start
        self.from_state, self.from_input = coef[:, :n_seen], coef[:, n_seen:]
        self.intercept = intercept
        self.n_states = view.n_states + len(coef)

    def output(self, h: np.ndarray, x: np.ndarray) -> np.ndarray:
        """What the readout makes of the state after input x (and of x, if it sees it)."""
        y = self.from_state @ h[self.seen] + self.intercept
        return y + self.from_input @ x if self.from_input.size else y

    def linearise(self, state: np.ndarray, _: Any = None) -> _LoopStep:
        """The step from state [h, y]."""
        h, y = state[: self.view.n_states], state[self.view.n_states :]
        inner = self.view.linearise(h, y)
        return _LoopStep(np.concatenate([inner.state, self.output(inner.state, y)]), inner, self)


class _LoopStep:
    """A linearised step of a closed loop."""

    def __init__(self, state: np.ndarray, inner: StackStep, loop: ClosedLoop):
        self.state, self.inner, self.loop = state, inner, loop

    def push(self, M: np.ndarray) -> np.ndarray:
        """Tangents after the step."""
        loop, n = self.loop, self.loop.view.n_states
        dh = self.inner.push(M[:n], M[n:])
        dy = loop.from_state @ dh[loop.seen]
        if loop.from_input.size:
            dy = dy + loop.from_input @ M[n:]
        return np.concatenate([dh, dy])


def closed_loop_view(model: Any) -> ClosedLoop:
    """The closed loop of a fitted model with as many outputs as inputs.

    A trainable network answers `_recurrent_readout()` with its weights (n_outputs, n_seen) of
    [highest layer, input if it sees it] and its intercept (n_outputs,).
    """
    view = recurrent_view(model)
    if hasattr(model, "_recurrent_readout"):
        seen, (coef, intercept) = view.output, model._recurrent_readout()
    elif hasattr(model, "generate") and hasattr(model, "coef_"):
        seen, coef, intercept = slice(0, view.n_states), model.coef_, model.intercept_
    else:
        raise TypeError(
            "`closed_loop` needs a model whose outputs are the next inputs, got "
            f"{type(model).__name__}."
        )
    if len(coef) != view.n_inputs:
        raise ValueError(
            f"`closed_loop` feeds outputs back as inputs, but the model has {len(coef)} "
            f"target(s) and {view.n_inputs} feature(s). Fit with X = u[:-1], y = u[1:]."
        )
    return ClosedLoop(view, seen, np.asarray(coef, np.float64), np.asarray(intercept, np.float64))
