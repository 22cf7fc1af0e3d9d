"""Steps of recurrent cells with their derivatives, in plain NumPy: what the analyses linearise.

A linearised step knows the state that it leads to and carries tangents forward
(``push``: Jacobian times a matrix) or gradients backward (``pull``: its transpose times one),
so a sparse recurrent matrix stays sparse. All of it is in float64, for whatever a model runs in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_array, issparse

from .._activations import elementwise

__all__ = ["Gru", "LeakyRnn", "Lstm", "Stack", "StackStep", "Step", "stack_of"]


class Step(Protocol):
    """A step from a state and an input, linearised there."""

    state: np.ndarray

    def push(self, M: np.ndarray, U: np.ndarray | None = None) -> np.ndarray:
        """Tangents (n_states, k) after the step, of tangents M before it and U of the input."""

    def pull(self, G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradients with respect to the state before (n_states, k) and the input (n_inputs, k)."""


def _sigmoid(z):
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def _float_matrix(W):
    return csr_array(W, dtype=np.float64) if issparse(W) else np.asarray(W, dtype=np.float64)


# Derivatives of the compiled activations, from z and f(z).
_SLOPES: dict[str, Callable] = {
    "tanh": lambda z, f: 1.0 - f * f,
    "relu": lambda z, f: (z > 0).astype(np.float64),
    "sigmoid": lambda z, f: f * (1.0 - f),
    "identity": lambda z, f: np.ones_like(z),
    "sin": lambda z, f: np.cos(z),
}


def _slope(activation: str | Callable) -> Callable:
    """The derivative; of a user's function by central differences, to about 1e-10."""
    if isinstance(activation, str) and activation in _SLOPES:
        return _SLOPES[activation]
    function = elementwise(activation)

    def differences(z, f):
        e = np.cbrt(np.finfo(np.float64).eps) * np.maximum(1.0, np.abs(z))
        return (function(z + e) - function(z - e)) / (2.0 * e)

    return differences


@dataclass(frozen=True, eq=False)
class _LeakyStep:
    state: np.ndarray
    keep: np.ndarray  # (n_units, 1), share of the old state
    slope: np.ndarray  # (n_units, 1), leak times the derivative of the activation
    cell: LeakyRnn

    def push(self, M, U=None):
        P = self.cell.W @ M
        if U is not None:
            P = P + self.cell.W_in @ U
        return self.keep * M + self.slope * P

    def pull(self, G):
        P = self.slope * G
        return self.keep * G + self.cell.W.T @ P, self.cell.W_in.T @ P


class LeakyRnn:
    """``h' = (1 - a) h + a f(W h + W_in x + b)``; `W` may be sparse."""

    def __init__(self, W_in, W, b, leak=None, activation: str | Callable = "tanh"):
        self.W_in, self.W = _float_matrix(W_in), _float_matrix(W)
        self.n_states, self.n_inputs = self.W_in.shape
        self.output = slice(0, self.n_states)  # what the next layer and the readout see
        self.b = np.asarray(b, dtype=np.float64)
        leak = np.asarray(1.0 if leak is None else leak, dtype=np.float64)
        self.leak = np.broadcast_to(leak, (self.n_states,))
        self.function, self.derivative = elementwise(activation), _slope(activation)

    def linearise(self, h: np.ndarray, x: np.ndarray) -> _LeakyStep:
        """The step from state h with input x."""
        z = self.W @ h + self.W_in @ x + self.b
        f = self.function(z)
        keep = 1.0 - self.leak
        slope = self.leak * self.derivative(z, f)
        return _LeakyStep(keep * h + self.leak * f, keep[:, None], slope[:, None], self)


@dataclass(frozen=True, eq=False)
class _DeepStep:
    state: np.ndarray
    slopes: list[np.ndarray]  # (n_units, 1), of the activation of each layer of g
    cell: DeepRnn

    def push(self, M, U=None):
        P = self.cell.W @ M
        if U is not None:
            P = P + self.cell.W_in @ U
        for slope, (W, _) in zip(self.slopes, self.cell.above):
            P = W @ (slope * P)
        P = self.slopes[-1] * P
        return M + P if self.cell.skip else P

    def pull(self, G):
        P = self.slopes[-1] * G
        for slope, (W, _) in zip(self.slopes[-2::-1], self.cell.above[::-1]):
            P = slope * (W.T @ P)
        back = self.cell.W.T @ P
        return G + back if self.cell.skip else back, self.cell.W_in.T @ P


class DeepRnn:
    """``h' = g(h, x)`` or, with `skip`, ``h' = h + g(h, x)``; see `_deep_transition`."""

    def __init__(self, weights, skip: bool, activation: str = "tanh"):
        self.W_in, self.W = _float_matrix(weights["W_in"]), _float_matrix(weights["W"])
        self.b = np.asarray(weights["b"], dtype=np.float64)
        self.above = [
            tuple(np.asarray(weights[f"deep.{k}.{name}"], np.float64) for name in "Wb")
            for k in range(1, 1 + sum(name.endswith(".W") for name in weights))
        ]
        self.skip = skip
        self.n_states, self.n_inputs = self.W_in.shape
        self.output = slice(0, self.n_states)
        self.function, self.derivative = elementwise(activation), _slope(activation)

    def linearise(self, h: np.ndarray, x: np.ndarray) -> _DeepStep:
        """The step from state h with input x."""
        z, slopes = self.W @ h + self.W_in @ x + self.b, []
        for W, b in self.above:
            f = self.function(z)
            slopes.append(self.derivative(z, f)[:, None])
            z = W @ f + b
        if self.skip:
            return _DeepStep(h + z, [*slopes, np.ones((len(z), 1))], self)
        f = self.function(z)
        return _DeepStep(f, [*slopes, self.derivative(z, f)[:, None]], self)


@dataclass(frozen=True, eq=False)
class _LstmStep:
    state: np.ndarray
    gates: tuple[np.ndarray, ...]  # of i, f, g, o: what c' or h' gains from the pre-activation
    forget: np.ndarray
    from_c: np.ndarray  # dh' / dc'
    cell: Lstm

    def push(self, M, U=None):
        n = self.cell.n_units
        P = self.cell.W @ M[:n]
        if U is not None:
            P = P + self.cell.W_in @ U
        i, f, g, o = self.gates
        dc = i * P[:n] + f * P[n : 2 * n] + g * P[2 * n : 3 * n] + self.forget * M[n:]
        return np.concatenate([o * P[3 * n :] + self.from_c * dc, dc])

    def pull(self, G):
        n = self.cell.n_units
        i, f, g, o = self.gates
        dc = G[n:] + self.from_c * G[:n]
        P = np.concatenate([i * dc, f * dc, g * dc, o * G[:n]])
        return np.concatenate([self.cell.W.T @ P, self.forget * dc]), self.cell.W_in.T @ P


class Lstm:
    """Long short-term memory, gates i, f, g, o; the state is [h, c]."""

    def __init__(self, W_in, W, b):
        self.W_in, self.W = _float_matrix(W_in), _float_matrix(W)
        self.b = np.asarray(b, dtype=np.float64)
        self.n_units, self.n_inputs = self.W.shape[1], self.W_in.shape[1]
        self.n_states = 2 * self.n_units
        self.output = slice(0, self.n_units)

    def linearise(self, h: np.ndarray, x: np.ndarray) -> _LstmStep:
        """The step from state [h, c] with input x."""
        n, c = self.n_units, h[self.n_units :]
        z = self.W @ h[:n] + self.W_in @ x + self.b
        i, f, o = _sigmoid(z[:n]), _sigmoid(z[n : 2 * n]), _sigmoid(z[3 * n :])
        g = np.tanh(z[2 * n : 3 * n])
        new = f * c + i * g
        t = np.tanh(new)
        parts = (i * (1 - i) * g, f * (1 - f) * c, i * (1 - g * g), o * (1 - o) * t)
        return _LstmStep(
            np.concatenate([o * t, new]),
            tuple(part[:, None] for part in parts),
            f[:, None],
            (o * (1 - t * t))[:, None],
            self,
        )


@dataclass(frozen=True, eq=False)
class _GruStep:
    state: np.ndarray
    r: np.ndarray
    z: np.ndarray
    r_slope: np.ndarray  # dn's pre-activation / dr's, which is q r (1 - r)
    z_slope: np.ndarray  # dh' / dz's pre-activation
    n_slope: np.ndarray  # dh' / dn's pre-activation
    cell: Gru

    def push(self, M, U=None):
        n = self.cell.n_states
        P = self.cell.W @ M
        inside = self.r * P[2 * n :]
        if U is not None:
            Q = self.cell.W_in @ U
            P, inside = P + Q, inside + Q[2 * n :]
        inside = inside + self.r_slope * P[:n]
        return self.n_slope * inside + self.z_slope * P[n : 2 * n] + self.z * M

    def pull(self, G):
        inside = self.n_slope * G
        gates = [self.r_slope * inside, self.z_slope * G]
        P, Q = np.concatenate([*gates, self.r * inside]), np.concatenate([*gates, inside])
        return self.z * G + self.cell.W.T @ P, self.cell.W_in.T @ Q


class Gru:
    """Gated recurrent unit, gates r, z, n, reset after the product: ``h' = (1 - z) n + z h``."""

    def __init__(self, W_in, W, b, b_n=None):
        self.W_in, self.W = _float_matrix(W_in), _float_matrix(W)
        self.b = np.asarray(b, dtype=np.float64)
        self.n_states, self.n_inputs = self.W.shape[1], self.W_in.shape[1]
        self.b_n = np.zeros(self.n_states) if b_n is None else np.asarray(b_n, dtype=np.float64)
        self.output = slice(0, self.n_states)

    def linearise(self, h: np.ndarray, x: np.ndarray) -> _GruStep:
        """The step from state h with input x."""
        n = self.n_states
        recurrent, given = self.W @ h, self.W_in @ x + self.b
        r = _sigmoid(recurrent[:n] + given[:n])
        z = _sigmoid(recurrent[n : 2 * n] + given[n : 2 * n])
        q = recurrent[2 * n :] + self.b_n
        new = np.tanh(given[2 * n :] + r * q)
        return _GruStep(
            (1 - z) * new + z * h,
            r[:, None],
            z[:, None],
            r_slope=(q * r * (1 - r))[:, None],
            z_slope=((h - new) * z * (1 - z))[:, None],
            n_slope=((1 - z) * (1 - new * new))[:, None],
            cell=self,
        )


@dataclass(frozen=True, eq=False)
class StackStep:
    """A step of layers of which each is driven by the new output of the one below."""

    state: np.ndarray
    steps: tuple[Any, ...]
    stack: Stack

    def push(self, M: np.ndarray, U: np.ndarray | None = None) -> np.ndarray:
        """See `Step`."""
        if len(self.steps) == 1:
            return self.steps[0].push(M, U)
        parts = []
        for step, cell, part in zip(self.steps, self.stack.cells, self.stack.parts):
            parts.append(step.push(M[part], U))
            U = parts[-1][cell.output]
        return np.concatenate(parts)

    def pull(self, G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step`."""
        parts: list[np.ndarray] = []
        below = None
        layers = zip(self.steps, self.stack.cells, self.stack.parts)
        for step, cell, part in reversed(list(layers)):
            g = G[part]
            if below is not None:
                g = g.copy()
                g[cell.output] += below
            before, below = step.pull(g)
            parts.insert(0, before)
        return np.concatenate(parts), below  # type: ignore[return-value]


class Stack:
    """One or more layers as one dynamical system, whose state is theirs in a row, lowest first."""

    def __init__(self, cells: Sequence[Any], start: np.ndarray | None = None):
        self.cells = tuple(cells)
        edges = np.cumsum([0, *(cell.n_states for cell in self.cells)]).tolist()
        self.parts = tuple(slice(a, b) for a, b in pairwise(edges))
        self.n_states, self.n_inputs = edges[-1], self.cells[0].n_inputs
        top = self.cells[-1].output
        # Where the readout looks: the output of the highest layer.
        self.output = slice(edges[-2] + top.start, edges[-2] + top.stop)
        self._start = np.zeros(self.n_states) if start is None else start

    def initial_state(self) -> np.ndarray:
        """State (n_states,) before the first row."""
        return self._start.copy()

    def linearise(self, h: np.ndarray, x: np.ndarray) -> StackStep:
        """The step from state h (n_states,) with input x (n_inputs,)."""
        steps = []
        for cell, part in zip(self.cells, self.parts):
            steps.append(cell.linearise(h[part], x))
            x = steps[-1].state[cell.output]
        return StackStep(np.concatenate([s.state for s in steps]), tuple(steps), self)

    def step(self, h: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The state after a step."""
        return self.linearise(h, x).state

    def jacobian(self, h: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Derivative (n_states, n_states) of the new state with respect to the old one."""
        return self.linearise(h, x).push(np.eye(self.n_states))


def stack_of(layers: Sequence[tuple], start: Any = None) -> Stack:
    """A stack from arrays: (cell, weights, leak, activation) of each layer, lowest first.

    `cell` is "rnn", "lstm", "gru", "deep" or "deep_skip"; `weights` holds "W_in", "W", "b" and
    perhaps "b_n" (gru) or "deep.1.W", "deep.1.b", ... (the transitions of that name). Leak and
    activation (None: 1 and tanh) are not read for gated cells, nor the leak for deep ones. `start`
    is the state before the first step, of all layers in a row; zeros by default.
    """
    cells: list[Any] = []
    for cell, weights, leak, activation in layers:
        arrays = weights["W_in"], weights["W"], weights["b"]
        if cell == "rnn":
            cells.append(LeakyRnn(*arrays, leak, "tanh" if activation is None else activation))
        elif cell in ("deep", "deep_skip"):
            cells.append(DeepRnn(weights, cell == "deep_skip", activation or "tanh"))
        elif cell == "lstm":
            cells.append(Lstm(*arrays))
        elif cell == "gru":
            cells.append(Gru(*arrays, weights.get("b_n")))
        else:
            raise ValueError(
                f"`cell` must be 'rnn', 'lstm', 'gru', 'deep' or 'deep_skip', got {cell!r}."
            )
    for below, cell in pairwise(cells):
        if cell.n_inputs != below.output.stop:
            raise ValueError(
                "A layer reads more than the states of the one below (as in a bidirectional "
                "network of several layers), so the states are no dynamical system."
            )
    return Stack(cells, None if start is None else np.array(start, dtype=np.float64).ravel())
