"""Activations by name: the compiled ones, and users' own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from echocast._checks import refuse

__all__ = ["activations", "elementwise", "register_activation", "resolve_activation"]


def _sigmoid(z):
    return 0.5 + 0.5 * np.tanh(0.5 * z)


# The position in this table is the code that kernels branch on.
_COMPILED: dict[str, Callable] = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": _sigmoid,
    "identity": lambda z: z,
    "sin": np.sin,
}
_CODES = {name: code for code, name in enumerate(_COMPILED)}
_USERS: dict[str, Callable] = {}


def activations() -> list[str]:
    """Names that the parameter `activation` accepts, sorted.

    Examples
    --------
    >>> from echocast.reservoir import activations
    >>> activations()
    ['identity', 'relu', 'sigmoid', 'sin', 'tanh']
    """
    return sorted({**_COMPILED, **_USERS})


def register_activation(name: str, function: Callable) -> None:
    """Let reservoirs use `function` under `name`.

    Parameters
    ----------
    name : str
        New name; the names of the built-in activations cannot be taken.
    function : callable
        Elementwise on an array of any shape, returning an array of the same shape. It is called
        once for each time step, outside of the compiled kernels, so such a reservoir is slower.

    Raises
    ------
    ValueError
        If the name is empty or built in.
    TypeError
        If `function` is not callable.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import register_activation
    >>> register_activation("softsign", lambda z: z / (1 + np.abs(z)))
    """
    if not isinstance(name, str) or not name or name in _COMPILED:
        refuse("name", "register_activation", "a new, non-empty str", name)
    if not callable(function):
        raise TypeError(f"`function` must be callable, got {function!r}.")
    _USERS[name] = function


def resolve_activation(activation: str | Callable) -> tuple[int, Callable | None]:
    """Return the kernels' code and None, or -1 and the function to call from Python."""
    if callable(activation):
        return -1, activation
    if activation in _CODES:
        return _CODES[activation], None
    if activation in _USERS:
        return -1, _USERS[activation]
    names = ", ".join(repr(name) for name in activations())
    raise ValueError(f"`activation` must be callable or one of {names}, got {activation!r}.")


def elementwise(activation: str | Callable) -> Callable:
    """The activation as a function of arrays, for code outside of the kernels."""
    code, function = resolve_activation(activation)
    return list(_COMPILED.values())[code] if function is None else function
