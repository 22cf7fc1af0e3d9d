"""Operations of the tape: NumPy functions of Vars, each with its gradient written by hand.

All of them broadcast as NumPy does, take constants (arrays, numbers) in place of Vars and keep the
Vars' dtype: a float64 constant does not turn a float32 network into a float64 one. A gradient is
computed only for parents that need one. Results of `reshape`, `transpose`, `getitem`, `unstack` and
`split` share memory with their argument.

Taking steps out of a sequence one by one with `getitem` costs a gradient of the whole sequence
each; `unstack` and `split` do it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from ._tape import Var, as_var, current_tape, emit, sum_to_shape

__all__ = [
    "absolute",
    "add",
    "affine",
    "concat",
    "div",
    "exp",
    "getitem",
    "layer_norm",
    "log",
    "log_softmax",
    "matmul",
    "mean",
    "mul",
    "neg",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "softplus",
    "split",
    "square",
    "stack",
    "sub",
    "sum",
    "take",
    "tanh",
    "transpose",
    "unstack",
    "where",
]


def _pair(a: Any, b: Any) -> tuple[Var, Var]:
    """Both operands as Vars; a constant takes the dtype of the other."""
    if not isinstance(a, Var):
        b = as_var(b)
        return Var(np.asarray(a, dtype=b.data.dtype)), b
    if not isinstance(b, Var):
        return a, Var(np.asarray(b, dtype=a.data.dtype))
    return a, b


# Two operands


def add(a: Any, b: Any) -> Var:
    """a + b."""
    a, b = _pair(a, b)

    def vjp(g):
        return (
            sum_to_shape(g, a.data.shape) if a.needs_grad else None,
            sum_to_shape(g, b.data.shape) if b.needs_grad else None,
        )

    return emit(a.data + b.data, (a, b), vjp)


def sub(a: Any, b: Any) -> Var:
    """a - b."""
    a, b = _pair(a, b)

    def vjp(g):
        return (
            sum_to_shape(g, a.data.shape) if a.needs_grad else None,
            -sum_to_shape(g, b.data.shape) if b.needs_grad else None,
        )

    return emit(a.data - b.data, (a, b), vjp)


def mul(a: Any, b: Any) -> Var:
    """a * b."""
    a, b = _pair(a, b)

    def vjp(g):
        return (
            sum_to_shape(g * b.data, a.data.shape) if a.needs_grad else None,
            sum_to_shape(g * a.data, b.data.shape) if b.needs_grad else None,
        )

    return emit(a.data * b.data, (a, b), vjp)


def div(a: Any, b: Any) -> Var:
    """a / b."""
    a, b = _pair(a, b)
    y = a.data / b.data

    def vjp(g):
        by_a = g / b.data
        return (
            sum_to_shape(by_a, a.data.shape) if a.needs_grad else None,
            -sum_to_shape(by_a * y, b.data.shape) if b.needs_grad else None,
        )

    return emit(y, (a, b), vjp)


def power(x: Any, exponent: Any) -> Var:
    """x ** exponent; where x <= 0 the exponent gets no gradient."""
    x, p = _pair(x, exponent)
    y = x.data**p.data

    def vjp(g):
        by_x = by_p = None
        if x.needs_grad:
            by_x = sum_to_shape(g * (p.data * x.data ** (p.data - 1)), x.data.shape)
        if p.needs_grad:
            logs = np.log(np.where(x.data > 0, x.data, 1))
            by_p = sum_to_shape(g * (y * logs), p.data.shape)
        return by_x, by_p

    return emit(y, (x, p), vjp)


def where(mask: Any, a: Any, b: Any) -> Var:
    """`a` where the constant `mask` is true, `b` elsewhere."""
    a, b = _pair(a, b)
    mask = np.asarray(mask, dtype=bool)

    def vjp(g):
        zero = g.dtype.type(0)
        return (
            sum_to_shape(np.where(mask, g, zero), a.data.shape) if a.needs_grad else None,
            sum_to_shape(np.where(mask, zero, g), b.data.shape) if b.needs_grad else None,
        )

    return emit(np.where(mask, a.data, b.data), (a, b), vjp)


# Products


def matmul(a: Any, b: Any) -> Var:
    """a @ b, with NumPy's rules for vectors and stacks of matrices."""
    a, b = _pair(a, b)
    x = a.data if a.data.ndim > 1 else a.data[None, :]
    y = b.data if b.data.ndim > 1 else b.data[:, None]

    def vjp(g):
        if b.data.ndim == 1:
            g = g[..., None]
        if a.data.ndim == 1:
            g = g[..., None, :]
        by_a = by_b = None
        if a.needs_grad:
            by_a = sum_to_shape(g @ y.swapaxes(-1, -2), x.shape).reshape(a.data.shape)
        if b.needs_grad:
            if y.ndim == 2:  # one product over all rows rather than one for each matrix of a stack
                by_b = x.reshape(-1, x.shape[-1]).T @ g.reshape(-1, g.shape[-1])
            else:
                by_b = sum_to_shape(x.swapaxes(-1, -2) @ g, y.shape)
            by_b = by_b.reshape(b.data.shape)
        return by_a, by_b

    return emit(a.data @ b.data, (a, b), vjp)


def affine(x: Any, W: Any, b: Any = None) -> Var:
    """x @ W.T + b over any leading axes of x; W (n_outputs, n_inputs), b (n_outputs,) or None."""
    x, W = _pair(x, W)
    shape = x.data.shape
    flat = len(shape) == 2
    n_outputs, n_inputs = W.data.shape
    rows = x.data if flat else x.data.reshape(-1, n_inputs)
    y = rows @ W.data.T
    parents: tuple[Var, ...] = (x, W)
    if b is not None:
        b = as_var(b, y.dtype)
        y += b.data
        parents = (x, W, b)

    def vjp(g):
        if not flat:
            g = g.reshape(-1, n_outputs)
        back = None
        if x.needs_grad:  # a product with a single column is slow in BLAS
            back = (g * W.data if n_outputs == 1 else g @ W.data).reshape(shape)
        return (
            back,
            g.T @ rows if W.needs_grad else None,
            # Several times as fast as a sum over the first axis.
            np.ones(len(g), dtype=g.dtype) @ g if b is not None and b.needs_grad else None,
        )

    return emit(y if flat else y.reshape(shape[:-1] + (n_outputs,)), parents, vjp)


# Elementwise functions


def neg(x: Any) -> Var:
    """-x."""
    x = as_var(x)
    return emit(-x.data, (x,), lambda g: (-g,))


def tanh(x: Any) -> Var:
    """Hyperbolic tangent."""
    x = as_var(x)
    y = np.tanh(x.data)
    return emit(y, (x,), lambda g: (g * (1 - y * y),))


def sigmoid(x: Any) -> Var:
    """1 / (1 + exp(-x)), by way of tanh: absolute errors are at the rounding level everywhere.

    Its logarithm is taken with ``neg(softplus(neg(x)))``: far out, the value itself is 0.
    """
    x = as_var(x)
    y = 0.5 * np.tanh(0.5 * x.data) + 0.5
    return emit(y, (x,), lambda g: (g * (y * (1 - y)),))


def relu(x: Any) -> Var:
    """max(x, 0), with slope 0 at 0."""
    x = as_var(x)
    return emit(np.maximum(x.data, 0), (x,), lambda g: (g * (x.data > 0),))


def exp(x: Any) -> Var:
    """Exponential."""
    x = as_var(x)
    y = np.exp(x.data)
    return emit(y, (x,), lambda g: (g * y,))


def log(x: Any) -> Var:
    """Natural logarithm."""
    x = as_var(x)
    return emit(np.log(x.data), (x,), lambda g: (g / x.data,))


def log1p_exp(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) of an array (np.logaddexp would be slower, and warns of NaN)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus(x: Any) -> Var:
    """log(1 + exp(x)), for any x."""
    x = as_var(x)
    return emit(log1p_exp(x.data), (x,), lambda g: (g * expit(x.data),))


def square(x: Any) -> Var:
    """x * x."""
    x = as_var(x)
    return emit(x.data * x.data, (x,), lambda g: (g * (2 * x.data),))


def absolute(x: Any) -> Var:
    """abs(x), with slope 0 at 0."""
    x = as_var(x)
    return emit(np.abs(x.data), (x,), lambda g: (g * np.sign(x.data),))


# Along axes


# The methods sum, max and mean of arrays take up to microseconds in Python before they reduce.


def _sum_along(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.add.reduce(x, axis=axis, keepdims=True)


def _below_max(x: np.ndarray, axis: int) -> np.ndarray:
    return x - np.maximum.reduce(x, axis=axis, keepdims=True)


def softmax(x: Any, axis: int = -1) -> Var:
    """exp(x) / sum(exp(x)); entries of -inf get 0 as long as one is finite."""
    x = as_var(x)
    y = np.exp(_below_max(x.data, axis))
    y /= _sum_along(y, axis)

    def vjp(g):
        gy = g * y
        return (gy - y * _sum_along(gy, axis),)

    return emit(y, (x,), vjp)


def log_softmax(x: Any, axis: int = -1) -> Var:
    """Logarithm of `softmax`."""
    x = as_var(x)
    y = _below_max(x.data, axis)
    y -= np.log(_sum_along(np.exp(y), axis))
    return emit(y, (x,), lambda g: (g - np.exp(y) * _sum_along(g, axis),))


def _repeated(g: np.ndarray, shape: tuple[int, ...], axis: Any, keepdims: bool) -> np.ndarray:
    """The gradient of a sum: repeated along the axes that were summed."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    full = np.empty(shape, dtype=g.dtype)  # np.broadcast_to takes several times as long
    full[...] = g
    return full


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Var:
    """Sum over an axis, a tuple of axes or everything."""
    x = as_var(x)
    y = x.data.sum(axis=axis, keepdims=keepdims)
    return emit(y, (x,), lambda g: (_repeated(g, x.data.shape, axis, keepdims),))


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Var:
    """Mean over an axis, a tuple of axes or everything."""
    x = as_var(x)
    y = x.data.sum(axis=axis, keepdims=keepdims)
    n = x.data.size // max(y.size, 1)
    return emit(y / n, (x,), lambda g: (_repeated(g / n, x.data.shape, axis, keepdims),))


def layer_norm(x: Any, gain: Any, bias: Any, epsilon: float = 1e-5) -> Var:
    """Rows of the last axis with mean 0 and variance 1, times `gain`, plus `bias`."""
    x, gain = _pair(x, gain)
    bias = as_var(bias, x.data.dtype)
    n = x.data.shape[-1]
    centred = x.data - _sum_along(x.data) / n
    scale = 1 / np.sqrt(_sum_along(centred * centred) / n + epsilon)
    normal = centred * scale

    def vjp(g):
        by_x = None
        if x.needs_grad:
            by_x = g * gain.data
            along = _sum_along(by_x * normal) / n
            by_x = (by_x - _sum_along(by_x) / n - normal * along) * scale
        return (
            by_x,
            sum_to_shape(g * normal, gain.data.shape) if gain.needs_grad else None,
            sum_to_shape(g, bias.data.shape) if bias.needs_grad else None,
        )

    return emit(normal * gain.data + bias.data, (x, gain, bias), vjp)


# Shapes and pieces


def reshape(x: Any, shape: Any) -> Var:
    """The same entries in another shape."""
    x = as_var(x)
    return emit(x.data.reshape(shape), (x,), lambda g: (g.reshape(x.data.shape),))


def transpose(x: Any, axes: Sequence[int] | None = None) -> Var:
    """Axes in another order (reversed by default)."""
    x = as_var(x)
    back = None if axes is None else np.argsort([axis % x.data.ndim for axis in axes])
    return emit(x.data.transpose(axes), (x,), lambda g: (g.transpose(back),))


def concat(xs: Sequence[Any], axis: int = -1) -> Var:
    """Arrays one after the other along an axis."""
    parts = _like_first(xs)
    y = np.concatenate([part.data for part in parts], axis=axis)
    before = (slice(None),) * (axis % y.ndim)

    def vjp(g):
        grads, start = [], 0
        for part in parts:
            stop = start + part.data.shape[axis]
            grads.append(g[(*before, slice(start, stop))] if part.needs_grad else None)
            start = stop
        return grads

    return emit(y, parts, vjp)


def stack(xs: Sequence[Any], axis: int = 0) -> Var:
    """Arrays of one shape along a new axis."""
    parts = _like_first(xs)
    y = np.stack([part.data for part in parts], axis=axis)
    before = (slice(None),) * (axis % y.ndim)

    def vjp(g):
        return [g[(*before, i, ...)] if part.needs_grad else None for i, part in enumerate(parts)]

    return emit(y, parts, vjp)


def _like_first(xs: Sequence[Any]) -> tuple[Var, ...]:
    """Vars; constants take the dtype of the first Var."""
    dtype = next((x.data.dtype for x in xs if isinstance(x, Var)), None)
    return tuple(as_var(x, dtype) for x in xs)


def unstack(x: Any, axis: int = 0) -> tuple[Var, ...]:
    """All slices along an axis, which goes away (the steps of a sequence)."""
    x = as_var(x)
    axis %= x.data.ndim
    before = (slice(None),) * axis
    return _pieces(x, [(*before, i, ...) for i in range(x.data.shape[axis])])


def split(x: Any, sizes: Sequence[int], axis: int = -1) -> tuple[Var, ...]:
    """Consecutive pieces of the given sizes along an axis."""
    x = as_var(x)
    before = (slice(None),) * (axis % x.data.ndim)
    stops = np.cumsum(sizes).tolist()
    if stops[-1] != x.data.shape[axis]:
        raise ValueError(f"`sizes` add up to {stops[-1]}, the axis has {x.data.shape[axis]}.")
    return _pieces(x, [(*before, slice(stop - size, stop)) for size, stop in zip(sizes, stops)])


def _pieces(x: Var, indices: list[tuple[Any, ...]]) -> tuple[Var, ...]:
    """Views that do not overlap, as one record."""
    outputs = tuple(Var(x.data[index]) for index in indices)

    def vjp(*grads):
        full = np.zeros(x.data.shape, dtype=x.data.dtype)
        for index, g in zip(indices, grads):
            if g is not None:
                full[index] = g
        return (full,)

    tape = current_tape()
    if tape is not None:
        tape.record(outputs, (x,), vjp)
    return outputs


def getitem(x: Any, index: Any) -> Var:
    """x[index] for slices, integers, masks and arrays of integers (which may repeat)."""
    x = as_var(x)
    entries = index if isinstance(index, tuple) else (index,)
    may_repeat = any(
        isinstance(entry, (list, np.ndarray)) and np.asarray(entry).dtype != bool
        for entry in entries
    )

    def vjp(g):
        full = np.zeros(x.data.shape, dtype=g.dtype)
        if may_repeat:
            np.add.at(full, index, g)
        else:
            full[index] = g
        return (full,)

    return emit(x.data[index], (x,), vjp)


def take(table: Any, ids: Any) -> Var:
    """Rows of a table (n_rows, n_columns) by their numbers, an integer array of any shape."""
    table = as_var(table)
    ids = np.asarray(ids)
    n_rows, n_columns = table.data.shape
    if ids.size and not 0 <= ids.min() <= ids.max() < n_rows:
        raise ValueError(f"`ids` must be in [0, {n_rows}), got {ids.min()} to {ids.max()}.")

    def vjp(g):
        # The product with a one-hot matrix, 2 to 50 times as fast as np.add.at.
        n = ids.size
        ones = np.ones(n, dtype=g.dtype)
        one_hot = csr_array((ones, ids.reshape(-1), np.arange(n + 1)), shape=(n, n_rows))
        return (one_hot.T @ g.reshape(n, n_columns),)

    return emit(table.data[ids], (table,), vjp)
