"""Fixed weights of a reservoir in the form that the loops over time read, and their block sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ._activations import resolve_activation
from ._plan import FrozenArrays, RecurrentPlan, frozen, recurrent_plan

__all__ = [
    "BLOCK_BYTES",
    "Reservoir",
    "block_rows",
    "check_rows",
    "make_reservoir",
    "scratch",
    "start_state",
]

# A compiled call ends after about this long, so that Ctrl-C is served.
_CALL_NANOSECONDS = 40e6
# Buffers that stay in the cache of the processor are not paid for in page faults.
BLOCK_BYTES = 2**22


@dataclass(frozen=True, eq=False)
class Reservoir(FrozenArrays):
    """Fixed weights of a leaky reservoir, ready to run.

    ``x[t] = (1 - leak) x[t-1] + leak f(W x[t-1] + W_in u[t] + b + W_fb y[t-1])``

    Parameters
    ----------
    W_in : ndarray of shape (n_units, n_inputs)
    plan : RecurrentPlan
    b : ndarray of shape (n_units,)
    leak : ndarray of shape (n_units,)
        Share of the new state, in (0, 1], one for each unit.
    activation : str
        Name, for messages.
    W_fb : ndarray of shape (n_units, n_outputs) or None
    code : int
        What kernels branch on, -1 for a function of the user's.
    function : callable or None
        The user's function, so that a pickled reservoir runs where it was never registered.
    """

    W_in: np.ndarray
    plan: RecurrentPlan
    b: np.ndarray
    leak: np.ndarray
    activation: str
    W_fb: np.ndarray | None
    code: int
    function: Callable | None

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.W_in.shape[0]

    @property
    def n_inputs(self) -> int:
        """Number of columns that X must have."""
        return self.W_in.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Type of weights and states: float64 or float32."""
        return self.W_in.dtype

    @cached_property
    def projection(self) -> np.ndarray:
        """Weights of [input, 1, feedback], (n_inputs + 1 + n_outputs, n_units)."""
        parts = [self.W_in.T, self.b[None, :]]
        if self.W_fb is not None:
            parts.append(self.W_fb.T)
        return np.concatenate(parts)

    def step_nanoseconds(self, width: int = 1) -> float:
        """Rough cost of one time step of `width` sequences, on the slow side."""
        gather = 0.5 if width == 1 else 0.25
        python = 0.0 if self.function is None else 20e3
        return python + width * (gather * self.plan.n_stored + 5.0 * self.n_units)


def make_reservoir(
    W_in, W, b, *, leak_rate=1.0, activation="tanh", W_fb=None, dtype=np.float64
) -> Reservoir:
    """Convert weights once, and pick the layout of the recurrent ones.

    Parameters
    ----------
    W_in : array-like of shape (n_units, n_inputs)
    W : ndarray or SciPy sparse matrix of shape (n_units, n_units)
    b : array-like of shape (n_units,)
    leak_rate : float or array-like of shape (n_units,), default=1.0
    activation : str or callable, default="tanh"
    W_fb : array-like of shape (n_units, n_outputs), default=None
        Feedback of the output, if any.
    dtype : {float64, float32}, default=float64

    Returns
    -------
    Reservoir
    """
    n_units = W.shape[0]
    code, function = resolve_activation(activation)
    if function is not None:
        probe = np.zeros((2, 3), dtype=dtype)
        if np.shape(function(probe)) != probe.shape:
            raise ValueError("`activation` must return an array of the shape that it is given.")
    return Reservoir(
        W_in=frozen(W_in, dtype),
        plan=recurrent_plan(W, dtype),
        b=frozen(b, dtype),
        leak=frozen(np.broadcast_to(np.asarray(leak_rate, dtype=dtype), (n_units,)), dtype),
        activation=activation if isinstance(activation, str) else repr(activation),
        W_fb=None if W_fb is None else frozen(W_fb, dtype),
        code=code,
        function=function,
    )


def check_rows(res, X, feedback, *, needs_feedback=True):
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != res.n_inputs:
        raise ValueError(f"X must have shape (n_steps, {res.n_inputs}), got {X.shape}.")
    if feedback is not None:
        feedback = np.asarray(feedback)
    if needs_feedback:
        expected = None if res.W_fb is None else (X.shape[0], res.W_fb.shape[1])
        got = None if feedback is None else feedback.shape
        if got != expected:
            raise ValueError(f"`feedback` must have shape {expected}, got {got}.")
    return X, feedback


def start_state(res, initial_state):
    if initial_state is None:
        return np.zeros(res.n_units, dtype=res.dtype)
    x = np.array(initial_state, dtype=res.dtype)
    if x.shape != (res.n_units,):
        raise ValueError(f"`initial_state` must have shape ({res.n_units},), got {x.shape}.")
    return x


def block_rows(res, width, n_bytes):
    """Rows of a block of `width` sequences within the limits of time and memory."""
    by_time = _CALL_NANOSECONDS / res.step_nanoseconds(width)
    by_memory = n_bytes / (res.n_units * width * res.dtype.itemsize)
    return max(1, int(min(by_time, by_memory)))


def scratch(res: Reservoir) -> tuple[np.ndarray, ...]:
    """Buffers of the kernels `activate` and `add_product`; not to be shared between threads."""
    from ._kernels import CHUNK

    scale = np.empty(CHUNK, dtype=res.dtype)
    bits = scale.view(np.int64 if res.dtype == np.float64 else np.int32)
    twice = np.empty(2 * res.n_units if res.plan.layout == "shift" else 0, dtype=res.dtype)
    return np.empty(CHUNK, dtype=res.dtype), scale, bits, twice
