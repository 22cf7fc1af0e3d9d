"""A model as a tree of JSON values and arrays, and back.

Plain JSON stands for None, bool, int, finite float, str and list. Everything else is an object with
a tag under "$", of a closed set of tags. Objects and arrays that occur twice are written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ._files_arrays import ArrayReader, ArrayWriter
from ._files_container import corrupt

__all__ = ["Decoder", "Encoder", "fields_of"]

_DEEPEST = 150
_MOST_BITS = 4096  # of an int
_MOST_ALIKE = 64  # keys of a dict that have one hash, lest it takes for ever to fill


def fields_of(node: dict, *names: str, optional: tuple = ()) -> tuple:
    """Values of a node that has these fields, besides tag and number, and no others."""
    given = set(node) - {"$", "id"}
    if not set(names) <= given <= {*names, *optional}:
        corrupt(f"a {str(node.get('$'))[:40]!r} has the fields {sorted(given)[:9]}")
    return tuple(node[name] for name in names)


class Encoder:
    """Turn a model into a tree; arrays go to `arrays`.

    Parameters
    ----------
    model : object
        What is to be saved, for messages.

    Attributes
    ----------
    path : list of str
        Where in the model the present value is, for messages.
    """

    def __init__(self, model: Any) -> None:
        found = [n for n in ("best_estimator_", "best_forecaster_") if hasattr(model, n)]
        instead = f"Save its `{found[0]}`, or use" if found else "Use"
        self._remedy = f" {instead} pickle or joblib for this model."
        self.arrays = ArrayWriter()
        self.path: list[str] = []
        self._seen: dict[int, dict | None] = {}
        self._kept_alive: list = []
        self._n_shared = 0

    def node(self, value: Any, at: str | None = None) -> Any:
        """The node of a value, which stands at `at` below the present place."""
        if at is not None:
            self.path.append(at)
        if len(self.path) > _DEEPEST // 3:
            self.refuse("is nested too deeply to be saved")
        found = self._plain(value) if type(value) in _PLAIN else self._tagged(value)
        if at is not None:
            self.path.pop()
        return found

    def _plain(self, value):
        kind = type(value)
        if kind is int and not -(2**63) <= value < 2**63:
            return {"$": "int", "hex": hex(value)}
        if kind is float and not math.isfinite(value):
            return {"$": "float", "value": repr(value)}
        if kind is list:
            return [self.node(item, f"{k}") for k, item in enumerate(value)]
        if kind is tuple:
            items = [self.node(item, f"{k}") for k, item in enumerate(value)]
            return {"$": "tuple", "items": items}
        if kind is dict:
            pairs = [[self.node(k), self.node(v, str(k))] for k, v in value.items()]
            return {"$": "dict", "items": pairs}
        return value

    def _tagged(self, value):
        from . import _files_objects, _files_pandas, _files_values

        number = id(value)
        if number in self._seen:
            return self._again(number)
        self._seen[number] = None
        self._kept_alive.append(value)
        for module in (_files_values, _files_objects, _files_pandas):
            node = module.encode(value, self)
            if node is not None:
                self._seen[number] = node
                if node["$"] in _VALUES:
                    del self._seen[number]
                return node
        self.refuse(f"of type {type(value).__module__}.{type(value).__qualname__} cannot be saved")

    def _again(self, number):
        first = self._seen[number]
        if first is None:
            self.refuse("refers to itself, which cannot be saved")
        if "id" not in first:
            first["id"] = self._n_shared
            self._n_shared += 1
        return {"$": "ref", "id": first["id"]}

    def refuse(self, why: str, error: type[Exception] = TypeError) -> Any:
        """Raise an error that says where in the model a value stands."""
        place = ".".join(self.path) or "itself"
        # What the constructor stores ends in no underscore.
        first = self.path[0] if self.path else "_"
        kind = "Attribute" if first.startswith("_") or first.endswith("_") else "Parameter"
        remedy = self._remedy if error is TypeError else ""
        raise error(f"{kind} '{place}' {why}.{remedy}")


class Decoder:
    """Turn a tree back into a model, in the order in which it was written."""

    def __init__(self, arrays: ArrayReader):
        from . import _files_objects, _files_pandas, _files_values

        self.arrays = arrays
        self._shared: dict[int, Any] = {}
        self._depth = 0
        self._decoders: dict[str, Callable] = {
            **_files_values.DECODERS,
            **_files_pandas.DECODERS,
            **_files_objects.DECODERS,
            "dict": _dict,
            "float": _float,
            "int": _int,
            "tuple": _tuple,
        }

    def value(self, node: Any) -> Any:
        """The value of a node."""
        kind = type(node)
        if kind is not dict and kind is not list:
            return node
        self._depth += 1
        if self._depth > _DEEPEST:
            corrupt("the model is nested too deeply")
        found = [self.value(item) for item in node] if kind is list else self._tagged(node)
        self._depth -= 1
        return found

    def items(self, nodes: Any) -> list:
        """The values of a list of nodes."""
        if type(nodes) is not list:
            corrupt("a list in the model is damaged")
        return [self.value(node) for node in nodes]

    def _tagged(self, node):
        tag, number = node.get("$"), node.get("id")
        if tag == "ref":
            if type(number) is not int or number not in self._shared:
                corrupt("the model refers to what it does not hold")
            return self._shared[number]
        decode = self._decoders.get(tag) if isinstance(tag, str) else None
        if decode is None:
            corrupt(f"it holds a {str(tag)[:40]!r}, which this version does not know")
        found = decode(node, self)
        if number is not None:
            if type(number) is not int or number in self._shared:
                corrupt("a number of a part of the model is damaged")
            self._shared[number] = found
        return found


# Two that are equal are as good as one.
_VALUES = {"Period", "Timedelta", "Timestamp", "column type", "dtype", "function", "missing",
           "offset", "scalar", "timedelta"}  # fmt: skip
_PLAIN = {type(None), bool, int, float, str, list, tuple, dict}


def _dict(node: dict, decoder: Decoder) -> dict:
    (pairs,) = fields_of(node, "items")
    found: dict = {}
    alike: dict[int, int] = {}
    for pair in pairs if type(pairs) is list else [None]:
        if type(pair) is not list or len(pair) != 2:
            corrupt("a dict in the model is damaged")
        key = decoder.value(pair[0])
        try:
            number = hash(key)
        except TypeError:
            corrupt("a dict in the model has a key that is no key")
        alike[number] = alike.get(number, 0) + 1
        if alike[number] > _MOST_ALIKE or key in found:
            corrupt("a dict in the model has a key twice, or too many that are alike")
        found[key] = decoder.value(pair[1])
    return found


def _tuple(node: dict, decoder: Decoder) -> tuple:
    return tuple(decoder.items(fields_of(node, "items")[0]))


def _float(node: dict, decoder: Decoder) -> float:
    (text,) = fields_of(node, "value")
    if text not in ("nan", "inf", "-inf"):
        corrupt("a number in the model is damaged")
    return float(text)


def _int(node: dict, decoder: Decoder) -> int:
    (text,) = fields_of(node, "hex")
    if type(text) is not str or len(text) > _MOST_BITS // 4:
        corrupt("a number in the model is damaged")
    try:
        return int(text, 16)
    except ValueError:
        corrupt("a number in the model is damaged")
