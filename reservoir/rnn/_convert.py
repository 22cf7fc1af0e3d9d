"""Weights of recurrent layers to and from PyTorch's and Keras' layouts, as plain arrays.

Ours: ``layers.<k>.W_in``, ``.W``, ``.b`` and for a GRU ``.b_n``; the reverse direction has
``layers.<k>.reverse.``. The kind of cell follows from the shapes, as the gates are stacked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "from_keras_weights",
    "from_torch_state_dict",
    "to_keras_weights",
    "to_torch_state_dict",
]

Arrays = dict[str, np.ndarray]

_N_GATES = (1, 3, 4)
_TORCH_NAME = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh)_l(\d+)(_reverse)?")
_OUR_NAME = re.compile(r"layers\.(\d+)\.(reverse\.)?(W_in|W|b|b_n|h0|c0)")


def from_torch_state_dict(state: Mapping[str, Any], prefix: str = "") -> Arrays:
    """Rename the weights of a `torch.nn.RNN`, `LSTM` or `GRU`.

    Parameters
    ----------
    state : dict of str to array
        What ``state_dict()`` returns; its tensors on the CPU will do as they are. Layers without
        biases get zeros.
    prefix : str, default=""
        What the names start with in the state of a whole model, such as ``"rnn."``; all others
        are then left aside.

    Returns
    -------
    weights : dict of str to ndarray
        Gates are in the same order. PyTorch's two biases are added where they enter the same
        sum; the one inside the reset product of a GRU becomes "b_n".

    Raises
    ------
    ValueError
        If a name is unknown (an LSTM with ``proj_size`` has such), one is missing, or the shapes
        do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._convert import from_torch_state_dict
    >>> state = {
    ...     "weight_ih_l0": np.ones((2, 3)),
    ...     "weight_hh_l0": np.eye(2),
    ...     "bias_ih_l0": np.full(2, 0.25),
    ...     "bias_hh_l0": np.full(2, 0.5),
    ... }
    >>> weights = from_torch_state_dict(state)
    >>> list(weights), weights["layers.0.b"]
    (['layers.0.W_in', 'layers.0.W', 'layers.0.b'], array([0.75, 0.75]))
    """
    found: dict[tuple[int, str], Arrays] = {}
    for name, value in state.items():
        if not name.startswith(prefix):
            continue
        match = _TORCH_NAME.fullmatch(name[len(prefix) :])
        if match is None:
            raise ValueError(
                f"{name!r} is not a weight of a recurrent layer; give `prefix` to pick the layer "
                "out of a model. Projections (`proj_size`) are not supported."
            )
        kind, layer, reverse = match.groups()
        part = found.setdefault((int(layer), "reverse." if reverse else ""), {})
        part[kind] = np.asarray(value).copy()
    if prefix and not found:
        raise ValueError(f"No name starts with {prefix!r}; there are {list(state)}.")
    weights = {}
    for (layer, reverse), part in _in_order(found):
        own = f"layers.{layer}.{reverse}"
        W_in, W = (_required(part, kind, own) for kind in ("weight_ih", "weight_hh"))
        n_gates = _check_cell(W_in, W, own)
        zeros = np.zeros(W.shape[0], dtype=W.dtype)
        first, second = part.get("bias_ih", zeros), part.get("bias_hh", zeros)
        weights.update(_named(own, W_in, W, first, second, n_gates))
    return weights


def to_torch_state_dict(weights: Mapping[str, np.ndarray], prefix: str = "") -> Arrays:
    """Rename our weights for a `torch.nn.RNN`, `LSTM` or `GRU`.

    Parameters
    ----------
    weights : dict of str to ndarray
        Ours. Names that do not start with "layers." are left out, and so are initial states
        ("h0", "c0"), which PyTorch takes as arguments of the call.
    prefix : str, default=""
        Put before each name.

    Returns
    -------
    state : dict of str to ndarray
        Copies. The second bias is zero but for the part inside the reset product of a GRU.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._convert import to_torch_state_dict
    >>> ours = {"layers.0.W_in": np.ones((2, 3)), "layers.0.W": np.eye(2)}
    >>> state = to_torch_state_dict({**ours, "layers.0.b": np.ones(2)})
    >>> list(state), state["bias_hh_l0"]
    (['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0'], array([0., 0.]))
    """
    state = {}
    for layer, reverse, W_in, W, b, b_n in _ours(weights):
        end = f"_l{layer}{'_reverse' if reverse else ''}"
        second = np.zeros_like(b)
        if b_n is not None:
            second[-len(b_n) :] = b_n
        arrays = {"weight_ih": W_in, "weight_hh": W, "bias_ih": b, "bias_hh": second}
        state.update({f"{prefix}{kind}{end}": value.copy() for kind, value in arrays.items()})
    return state


def from_keras_weights(layers: Iterable[Sequence[Any]]) -> Arrays:
    """Rename the weights of Keras' `SimpleRNN`, `LSTM` or `GRU` layers.

    Parameters
    ----------
    layers : list of lists of arrays
        ``layer.get_weights()`` of each recurrent layer: kernel (n_inputs, g * n_units), recurrent
        kernel (n_units, g * n_units) and bias, and the same three again for the backward half
        of a `Bidirectional` layer. Layers with ``use_bias=False`` have two (four) and get zeros.

    Returns
    -------
    weights : dict of str to ndarray
        The kernels are transposed, and a GRU's gates z, r, h put in the order r, z, n.

    Raises
    ------
    ValueError
        If the number of arrays or their shapes are not those of a layer, or a GRU has
        ``reset_after=False``, which is another recurrence (without biases the weights do not
        show it).

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._convert import from_keras_weights
    >>> weights = from_keras_weights([[np.ones((3, 2)), np.eye(2), np.zeros(2)]])
    >>> {name: array.shape for name, array in weights.items()}
    {'layers.0.W_in': (2, 3), 'layers.0.W': (2, 2), 'layers.0.b': (2,)}
    """
    found: dict[tuple[int, str], list] = {}
    for k, arrays in enumerate(layers):
        given = [np.asarray(value) for value in arrays]
        if len(given) not in (2, 3, 4, 6):
            raise ValueError(
                f"Layer {k} has {len(given)} arrays; a recurrent layer has a kernel, a recurrent "
                "kernel and a bias, twice that if it is bidirectional."
            )
        n_directions = 1 if len(given) < 4 else 2
        each = len(given) // n_directions
        for d in range(n_directions):
            found[k, "reverse." if d else ""] = given[d * each : (d + 1) * each]
    weights = {}
    for (layer, reverse), parts in _in_order(found):
        weights.update(_from_keras(f"layers.{layer}.{reverse}", *parts))
    return weights


def to_keras_weights(weights: Mapping[str, np.ndarray]) -> list[list[np.ndarray]]:
    """Return ``layer.set_weights`` lists for Keras' recurrent layers, one for each layer.

    Parameters
    ----------
    weights : dict of str to ndarray
        Ours. Names that do not start with "layers." are left out, and so are initial states.

    Returns
    -------
    layers : list of lists of ndarray
        Copies. A GRU needs ``reset_after=True``, Keras' default.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._convert import to_keras_weights
    >>> ours = {"layers.0.W_in": np.ones((2, 3)), "layers.0.W": np.eye(2)}
    >>> [kernel, recurrent, bias] = to_keras_weights({**ours, "layers.0.b": np.ones(2)})[0]
    >>> kernel.shape
    (3, 2)
    """
    layers: list[list[np.ndarray]] = []
    for _, reverse, W_in, W, b, b_n in _ours(weights):
        if b_n is not None:
            n = len(b_n)
            second = np.concatenate([np.zeros(2 * n, dtype=b.dtype), b_n])
            bias = np.stack([_swapped(b, n), _swapped(second, n)])
            W_in, W = _swapped(W_in, n), _swapped(W, n)
        else:
            bias = b.copy()
        if not reverse:
            layers.append([])
        layers[-1] += [W_in.T.copy(), W.T.copy(), bias]
    return layers


def _from_keras(own, kernel, recurrent_kernel, bias=None):
    W_in, W = (a.T.copy() for a in (kernel, recurrent_kernel))
    n_gates = _check_cell(W_in, W, own)
    n, rows = W.shape[1], W.shape[0]
    if n_gates != 3:
        bias = np.zeros(rows, dtype=W.dtype) if bias is None else bias
        return _named(own, W_in, W, bias, np.zeros_like(bias), n_gates)
    if bias is None:
        bias = np.zeros((2, rows), dtype=W.dtype)
    if bias.shape == (rows,):
        raise ValueError(
            f"{own[:-1]} is a GRU with `reset_after=False`, which is another recurrence; only "
            "`reset_after=True` can be converted."
        )
    if bias.shape != (2, rows):
        raise ValueError(f"{own[:-1]} must have a bias of shape (2, {rows}), got {bias.shape}.")
    W_in, W, first, second = (_swapped(a, n) for a in (W_in, W, *bias))
    return _named(own, W_in, W, first, second, n_gates)


def _swapped(stacked, n):
    """Exchange the first two of a GRU's gates."""
    return np.concatenate([stacked[n : 2 * n], stacked[:n], stacked[2 * n :]])


def _named(own, W_in, W, first, second, n_gates):
    """One direction's weights under our names, from two biases."""
    for bias in (first, second):
        if bias.shape != W.shape[:1]:
            raise ValueError(f"{own}b must have shape {W.shape[:1]}, got {bias.shape}.")
    parts = {"W_in": W_in, "W": W, "b": first + second}
    if n_gates == 3:
        n = W.shape[1]
        parts["b"][2 * n :] = first[2 * n :]
        parts["b_n"] = second[2 * n :].copy()
    return {own + name: value for name, value in parts.items()}


def _check_cell(W_in, W, own):
    """Number of gates, told from the shape of the recurrent weights."""
    gates, rest = divmod(W.shape[0], max(W.shape[-1], 1)) if W.ndim == 2 else (0, 0)
    if rest or gates not in _N_GATES or W_in.ndim != 2 or W_in.shape[0] != W.shape[0]:
        raise ValueError(
            f"{own}W must stack 1, 3 or 4 square blocks and {own}W_in have as many rows, got "
            f"shapes {W.shape} and {W_in.shape}."
        )
    return gates


def _required(part, kind, own):
    if kind not in part:
        raise ValueError(f"{own[:-1]} has no {kind!r}.")
    return part[kind]


def _in_order(found):
    """Layers 0, 1, ... with the same directions each, forward before reverse."""
    keys = sorted(found)
    n_layers = len({layer for layer, _ in keys})
    directions = sorted({reverse for _, reverse in keys})
    expected = [(layer, reverse) for layer in range(n_layers) for reverse in directions]
    if not keys or keys != expected or directions[0]:
        raise ValueError(
            "Layers must be numbered from 0, without gaps and with the same directions each; got "
            f"{[f'layers.{layer}.{reverse}'[:-1] for layer, reverse in keys]}."
        )
    return [(key, found[key]) for key in keys]


def _ours(weights):
    """Layer, whether reverse, W_in, W, b and b_n or None, of each layer and direction."""
    found: dict[tuple[int, str], Arrays] = {}
    for name, value in weights.items():
        if not name.startswith("layers."):
            continue
        match = _OUR_NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is not a weight of a recurrent layer.")
        layer, reverse, kind = match.groups()
        found.setdefault((int(layer), reverse or ""), {})[kind] = np.asarray(value)
    for (layer, reverse), part in _in_order(found):
        own = f"layers.{layer}.{reverse}"
        W_in, W, b = (_required(part, kind, own) for kind in ("W_in", "W", "b"))
        n_gates = _check_cell(W_in, W, own)
        if n_gates != 3 and "b_n" in part:
            raise ValueError(f"{own}b_n belongs to a GRU, but {own}W stacks {n_gates} blocks.")
        b_n = _required(part, "b_n", own) if n_gates == 3 else None
        yield layer, bool(reverse), W_in, W, b, b_n
