"""Objects of the closed table in a model file: estimators, and what fitted ones are made of.

An estimator is its parameters, from which it is built, and its other attributes. Any other object
is its attributes. Some are made anew from what they were made of, so that nothing that compiled
kernels read has to be trusted: see `_HOOKS`.
"""

from __future__ import annotations

import dataclasses
import inspect
from functools import cached_property
from typing import Any

import numpy as np

from ._files_checks import check_object
from ._files_container import corrupt, unsafe
from ._files_registry import class_of, key_of
from ._files_tree import fields_of

__all__ = ["DECODERS", "encode"]

# Weights that are not finite make a model that only gives NaN.
_WEIGHTS = {"W", "W_", "W_fb", "W_fb_", "W_in", "W_in_", "b", "b_", "coef", "coef_", "intercept",
            "intercept_", "leak", "loop_in", "state_", "theta", "theta_"}  # fmt: skip


def encode(value: Any, encoder: Any) -> dict | None:
    """The node of an object whose class is in the table."""
    kind = type(value)
    key = key_of(kind)
    if key is None:
        return None
    check_object(key, value)
    node: dict = {"$": "object", "class": key}
    if key in _HOOKS:
        node["made_of"] = _fields_node(_HOOKS[key][0](value, encoder), encoder)
        return node
    if issubclass(kind, tuple):  # a named tuple
        node["made_of"] = _fields_node(value._asdict(), encoder)
        return node
    attributes = _attributes(value)
    names = _parameters(kind)
    node["params"] = _fields_node({n: attributes.pop(n) for n in names}, encoder)
    node["fitted"] = _fields_node(attributes, encoder)
    return node


def _fields_node(fields: dict, encoder: Any) -> dict:
    for name, value in fields.items():
        if name in _WEIGHTS and not _is_finite(value):
            encoder.path.append(name)
            encoder.refuse("contains NaN or infinity: the model is of no use", ValueError)
    return {name: encoder.node(fields[name], name) for name in sorted(fields)}


def _is_finite(value: Any) -> bool:
    """Whether an array, or all arrays of a list or dict, are free of NaN and infinity."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    data = getattr(value, "data", value) if hasattr(value, "indptr") else value
    is_float = isinstance(data, np.ndarray) and data.dtype.kind == "f"
    return not is_float or bool(np.isfinite(data).all())


def _attributes(value: Any) -> dict:
    """What an object holds, without what it works out again when asked."""
    found = dict(vars(value))
    for kind in type(value).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, cached_property):
                found.pop(name, None)
    return found


def _parameters(kind: type) -> list[str]:
    """Names of the parameters of an estimator, sorted; none for other classes."""
    if not hasattr(kind, "get_params"):
        return []
    if hasattr(kind, "_get_param_names"):
        return list(kind._get_param_names())
    return sorted(n for n in inspect.signature(kind).parameters)


def _object(node: dict, decoder: Any) -> Any:
    key = node.get("class")
    kind = class_of(key)
    if kind is None or key is None:
        unsafe(f"it asks for the class {str(key)[:80]!r}, which no model of this version has")
    if key in _HOOKS or issubclass(kind, tuple):
        _, fields = fields_of(node, "class", "made_of")
        values = _values(fields, decoder)
        make = _HOOKS[key][1] if key in _HOOKS else kind
        made = _made(key, make, values)
    else:
        _, params, fitted = fields_of(node, "class", "params", "fitted")
        params = _values(params, decoder)
        made = _built(key, kind, params)
        if key == "sklearn:Pipeline" and getattr(made, "memory", None) is not None:
            unsafe("a pipeline has a cache on disk, whose files could execute code")
        _fill(key, made, _values(fitted, decoder))
    try:
        check_object(key, made)
    except MemoryError:
        raise
    except Exception as error:
        corrupt(f"{key}: {error}")
    return made


def _values(fields: Any, decoder: Any) -> dict:
    if type(fields) is not dict or "$" in fields:
        corrupt("the attributes of a part of the model are damaged")
    found = {}
    for name, node in sorted(fields.items()):
        found[name] = decoder.value(node)
        if name in _WEIGHTS and not _is_finite(found[name]):
            corrupt(f"'{name}' contains NaN or infinity")
    return found


def _made(key: str, make: Any, values: dict) -> Any:
    try:
        return make(**values)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        corrupt(f"{key}: {error}")


def _built(key: str, kind: type, params: dict) -> Any:
    """An estimator from its parameters; anything else empty."""
    names = _parameters(kind)
    if not names:
        if params:
            corrupt(f"{key} has no parameters")
        return object.__new__(kind)
    unknown = sorted(set(params) - set(names))
    if unknown:
        corrupt(f"{key} has no parameter {unknown[0][:60]!r}")
    return _made(key, kind, params)


def _fill(key: str, made: Any, values: dict) -> None:
    """Give an object its attributes, which must not hide methods or parameters."""
    kind = type(made)
    parameters = _parameters(kind)
    if dataclasses.is_dataclass(kind):
        declared = {field.name: field.default for field in dataclasses.fields(kind)}
        values = {n: v for n, v in declared.items() if v is not dataclasses.MISSING} | values
        if set(values) != set(declared):
            corrupt(f"{key} should have the attributes {sorted(declared)}")
    for name in values:
        hidden = inspect.getattr_static(kind, name, None)
        is_code = callable(hidden) or isinstance(hidden, (property, classmethod, staticmethod))
        is_code = is_code or name in parameters
        if not name.isidentifier() or name.startswith("__") or is_code:
            unsafe(f"{key} would get the attribute {name[:60]!r}")
    made.__dict__.update(values)


DECODERS = {"object": _object}


# ------------------------------------------------------------------------------- hooks


def _reservoir_parts(reservoir: Any, encoder: Any) -> dict:
    if reservoir.function is not None:
        from echocast.reservoir._activations import resolve_activation

        try:
            known = resolve_activation(reservoir.activation)[1] is reservoir.function
        except ValueError:
            known = False
        if not known:
            encoder.path[:] = ["activation"]
            encoder.refuse(
                "is a function that cannot be saved. Register it, and fit with its name: "
                "echocast.reservoir.register_activation('name', f)"
            )
    matrix = reservoir.plan.matrix
    if reservoir.plan.layout != "dense":  # without the zeros that pad rows
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    names = ("W_in", "W_fb", "activation", "b", "leak")
    return {"W": matrix, **{name: getattr(reservoir, name) for name in names}}


def _reservoir(*, W, W_in, W_fb, activation, b, leak) -> Any:
    from echocast.reservoir._machine import make_reservoir

    shapes: list = [getattr(part, "shape", ()) for part in (W, W_in, b, leak)]
    n = shapes[2][0] if shapes[2] else -1
    fits = shapes[0] == (n, n) and shapes[3] == (n,) == shapes[2]
    fits = fits and len(shapes[1]) == 2 and shapes[1][0] == n
    if W_fb is not None:
        fits = fits and W_fb.ndim == 2 and len(W_fb) == n
    if not fits or W_in.dtype not in (np.float32, np.float64) or type(activation) is not str:
        raise ValueError("its weights do not fit each other")
    return make_reservoir(
        W_in, W, b, leak_rate=leak, activation=activation, W_fb=W_fb, dtype=W_in.dtype
    )


def _buffer_parts(buffer: Any, encoder: Any) -> dict:
    rows = buffer.pending()
    return {"n_features": buffer.n_features, "n_targets": buffer.n_targets, "rows": rows.copy()}


def _buffer(*, n_features, n_targets, rows) -> Any:
    from echocast.reservoir._factor import RowBuffer

    if min(n_features, n_targets) < 0 or rows.shape[1] != 1 + n_features + n_targets:
        raise ValueError("its rows do not fit")
    buffer = RowBuffer(n_features, n_targets)
    buffer.height = max(buffer.height, len(rows) + 1)  # a dual fit keeps all its rows
    if len(rows):
        buffer.__setstate__({"_rows": rows, "n_pending": len(rows)})
    return buffer


def _layout_parts(layout: Any, encoder: Any) -> dict:
    return {"shapes": {name: tuple(shape) for name, shape in layout.shapes.items()}}


def _layout(*, shapes) -> Any:
    from echocast.reservoir.rnn._params import ParamLayout

    return ParamLayout(shapes)


def _stream_parts(stream: Any, encoder: Any) -> dict:
    names = ("constant", "esn", "factor", "readout", *_STREAM)
    return {name: getattr(stream, f"_{name}") for name in names}


# Arrays of a stream, which compiled code reads as they are.
_STREAM = ("coef", "intercept", "last_input", "range", "x", "y")


def _stream(*, constant, esn, factor, readout, **arrays) -> Any:
    from echocast.reservoir import ESNRegressor, ReservoirStream
    from echocast.reservoir._factor import RidgeFactor
    from echocast.reservoir._online import OnlineReadout

    good = type(esn) is ESNRegressor and isinstance(constant, (bool, np.bool_))
    if not good or sorted(arrays) != list(_STREAM):
        raise ValueError("it is no stream of an ESNRegressor")
    made = ReservoirStream(esn)
    for name, given in arrays.items():
        own = getattr(made, f"_{name}")
        if type(given) is not np.ndarray or (given.shape, given.dtype) != (own.shape, own.dtype):
            raise ValueError(f"its array '{name}' does not fit")
        if name != "range" and not _is_finite(given):
            raise ValueError(f"its array '{name}' is not finite")
        own[:] = given
    shape = made._coef.shape
    if readout is not None and (
        not isinstance(readout, OnlineReadout) or readout.coef_.shape != shape
    ):
        raise ValueError("its readout does not fit")
    if factor is not None and (
        type(factor) is not RidgeFactor or (factor.n_targets, factor.n_features) != shape
    ):
        raise ValueError("its statistics do not fit")
    made._readout, made._factor, made._constant = readout, factor, constant
    return made


# Key -> what an object is made of, and how it is made of that.
_HOOKS = {
    "ParamLayout": (_layout_parts, _layout),
    "Reservoir": (_reservoir_parts, _reservoir),
    "ReservoirStream": (_stream_parts, _stream),
    "RowBuffer": (_buffer_parts, _buffer),
}
