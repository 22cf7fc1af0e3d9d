"""A small reverse-mode tape: what was computed, in order, and how to go back through it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Tape", "Var", "as_var", "current_tape", "emit", "sum_to_shape"]

# Gradients of a record's outputs in, gradients of its parents out (None: none).
Vjp = Callable[..., Sequence[Any]]


class Var:
    """An array on the tape.

    Nobody changes `data` between its computation and the backward pass, and nobody changes a
    gradient that was handed on: operations return views and keep references freely.

    Parameters
    ----------
    data : ndarray
        The value.
    grad : ndarray of the same shape, default=None
        Buffer to which gradients are added in place (a parameter's view of the flat gradient).
        Without one, the gradient of a leaf is put here by `Tape.backward` and may share its memory
        with others: read it, do not write to it.
    needs_grad : bool, default=False
        False for constants. Results get it from `Tape.record`.
    """

    __slots__ = ("buffered", "data", "grad", "needs_grad")

    def __init__(self, data, grad=None, needs_grad=False):
        self.data = data
        self.grad = grad
        self.needs_grad = needs_grad
        self.buffered = grad is not None

    def __repr__(self) -> str:
        kind = "Var" if self.needs_grad else "constant"
        return f"<{kind} of shape {np.shape(self.data)}, {np.asarray(self.data).dtype}>"


class _Current(threading.local):
    tape: Tape | None = None


_current = _Current()


class Tape:
    """Records operations while it is the current tape of its thread (``with Tape() as tape:``).

    Tapes nest: the inner one alone records, and the outer one is current again afterwards, also
    after an error. Each thread has its own current tape. `backward` may be called within the
    block or after it, and again for another result: gradients of leaves add up, those of results
    are dropped as soon as they have been passed on.
    """

    __slots__ = ("_outer", "_records")

    def __init__(self) -> None:
        self._records: list[tuple[tuple[Var, ...], tuple[Var, ...], Vjp]] = []
        self._outer: list[Tape | None] = []

    def __enter__(self) -> Tape:
        self._outer.append(_current.tape)
        _current.tape = self
        return self

    def __exit__(self, *exc: object) -> None:
        _current.tape = self._outer.pop()

    def __len__(self) -> int:
        return len(self._records)

    def record(self, outputs: tuple[Var, ...], parents: tuple[Var, ...], vjp: Vjp) -> None:
        """Keep one operation, unless none of its parents needs a gradient.

        ``vjp(*gradients of outputs)`` returns the gradients of the parents in order, in their
        shapes. None stands for no gradient on both sides: an output that nobody used (only where
        there are several), a parent that needs none or to whose buffer the vjp has added itself.
        The vjp must not change the arrays that it is given.
        """
        for parent in parents:
            if parent.needs_grad:
                break
        else:
            return
        for output in outputs:
            output.needs_grad = True
        self._records.append((outputs, parents, vjp))

    def backward(self, loss: Var) -> None:
        """Add the gradient of a scalar `loss` to every leaf it depends on.

        Raises
        ------
        ValueError
            If `loss` is no scalar, or depends on nothing that needs a gradient.
        """
        if loss.data.size != 1:
            raise ValueError(f"`loss` must be a scalar, got shape {loss.data.shape}.")
        if not loss.needs_grad:
            raise ValueError("`loss` depends on no parameter; was it computed under a tape?")
        _add(loss, np.ones_like(loss.data))
        for outputs, parents, vjp in reversed(self._records):
            if len(outputs) == 1:
                output = outputs[0]
                grad = output.grad
                if grad is None:
                    continue
                output.grad = None
                grads = vjp(grad)
            else:
                given = [output.grad for output in outputs]
                if all(grad is None for grad in given):
                    continue
                for output in outputs:
                    output.grad = None
                grads = vjp(*given)
            for parent, grad in zip(parents, grads):
                if grad is None or not parent.needs_grad:
                    continue
                if parent.grad is None:  # as in _add, without the call
                    parent.grad = grad
                elif parent.buffered:
                    parent.grad += grad
                else:
                    parent.grad = parent.grad + grad


def _add(var: Var, grad: np.ndarray) -> None:
    """Add to a gradient: in place only where the buffer is the Var's own."""
    if var.grad is None:
        var.grad = grad
    elif var.buffered:
        var.grad += grad
    else:
        var.grad = var.grad + grad


def current_tape() -> Tape | None:
    """The tape that records in this thread, if any."""
    return _current.tape


def emit(data: Any, parents: tuple[Var, ...], vjp: Vjp) -> Var:
    """The result of an operation with one output, recorded on the current tape."""
    if type(data) is not np.ndarray:
        data = np.asarray(data)  # NumPy turns results without axes into scalars
    output = Var(data)
    tape = _current.tape
    if tape is not None:
        for parent in parents:  # as in Tape.record, without the call
            if parent.needs_grad:
                output.needs_grad = True
                tape._records.append(((output,), parents, vjp))
                break
    return output


def as_var(x: Any, dtype: Any = None) -> Var:
    """A Var as it is, anything else as a constant (of the dtype given)."""
    return x if isinstance(x, Var) else Var(np.asarray(x, dtype=dtype))


def sum_to_shape(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo broadcasting: sum a gradient over the axes along which a parent was repeated."""
    if grad.shape == shape:
        return grad
    leading = grad.ndim - len(shape)
    if leading:
        grad = np.add.reduce(grad, axis=0 if leading == 1 else tuple(range(leading)))
    if grad.shape != shape:
        axes = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
        grad = np.add.reduce(grad, axis=axes, keepdims=True)
    return grad
