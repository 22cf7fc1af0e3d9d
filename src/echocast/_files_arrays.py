"""Arrays of a model file: `.npy` members with digests; small arrays share a member.

An array is stored once, however often its values occur. What is read is counted against a limit
before anything is allocated, and no header is ever interpreted: it must equal the one that belongs
to the type and shape that the manifest names.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from ._files_container import Container, corrupt, unsafe

__all__ = ["ArrayReader", "ArrayWriter", "is_dimension", "npy_header"]

# Anything else is turned into one of these, or refused.
_KINDS = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (4, 8)}
_ALLOWED = {np.dtype(f"{kind}{n}").newbyteorder("<").str for kind, ns in _KINDS.items() for n in ns}
_LONE = 4096  # bytes from which an array gets a member of its own
_MOST_LONE = 1024
_MOST_DIMENSIONS = 32


def npy_header(descr: str, shape: tuple[int, ...]) -> bytes:
    """What a `.npy` file (format 1.0) of this array begins with."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    length = -(-(10 + len(text) + 1) // 64) * 64 - 10
    return b"\x93NUMPY\1\0" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"


def is_dimension(value: Any) -> bool:
    """Whether a value from a file can be a length."""
    return type(value) is int and 0 <= value < 2**48


class ArrayWriter:
    """Collect arrays and lay them out in members."""

    def __init__(self) -> None:
        self._known: dict[bytes, dict] = {}
        self._lone: list[tuple[str, dict, np.ndarray]] = []
        self._packed: dict[str, list[np.ndarray]] = {}
        self._filled: dict[str, int] = {}
        self._names: set[str] = set()

    @staticmethod
    def can(dtype: np.dtype) -> bool:
        """Whether arrays of this type can be stored as they are."""
        return dtype.itemsize in _KINDS.get(dtype.kind, ())

    def add(self, array: np.ndarray, path: str) -> dict:
        """Take an array in; return what a node of the tree says of it.

        Axes are stored in the order in which they lie in memory, for sums are rounded by it.
        """
        axes = _axes_in_memory(array)
        array = array.transpose(axes)
        dtype = array.dtype.newbyteorder("<")
        data = array.astype(dtype, order="C", copy=False).reshape(-1).view(np.uint8)
        said: dict = {"dtype": dtype.str, "shape": list(array.shape)}
        key = _digest_of(npy_header(dtype.str, array.shape), data).digest()
        if key not in self._known:
            large = len(data) >= _LONE and len(self._lone) < _MOST_LONE
            place = self._alone(said, path, data) if large else self._shared(dtype.str, data)
            self._known[key] = place
        place = self._known[key]
        found = {"of": place["of"]} if "of" in place else {**place, **said}
        return found if axes == sorted(axes) else {**found, "axes": axes}

    def _alone(self, said, path, data):
        name = self._new_name(path)
        self._lone.append((name, said, data))
        return {"of": name}

    def _shared(self, descr, data):
        start = self._filled.get(descr, 0)
        self._packed.setdefault(descr, []).append(data)
        self._filled[descr] = start + len(data) // np.dtype(descr).itemsize
        return {"from": start}

    def _new_name(self, path):
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in path)
        stem = safe.lstrip(".-")[-120:].lstrip(".-") or "array"
        name, count = stem, 1
        while name in self._names:
            count += 1
            name = f"{stem}-{count}"
        self._names.add(name)
        return name

    def finish(self) -> tuple[dict, list[tuple[str, list]]]:
        """The manifest's table of arrays, and the members in pieces, in its order."""
        laid = list(self._lone)
        for descr, parts in sorted(self._packed.items()):
            said: dict = {"dtype": descr, "shape": [self._filled[descr]]}
            laid.append((_packed_name(descr), said, np.concatenate(parts)))
        table, members = {}, []
        for name, said, data in sorted(laid, key=lambda item: item[0]):
            header = npy_header(said["dtype"], tuple(said["shape"]))
            table[name] = {**said, "sha256": _digest_of(header, data).hexdigest()}
            members.append((f"arrays/{name}.npy", [header, data]))
        return table, members


def _digest_of(header: bytes, data: Any) -> Any:
    found = hashlib.sha256(header)
    found.update(data)
    return found


def _packed_name(descr: str) -> str:
    return f"_packed-{descr[1:]}"


class ArrayReader:
    """Give arrays of a container, each checked before memory is asked for.

    Parameters
    ----------
    container : Container
    table : dict
        What the manifest says of arrays.
    most_bytes : int
        Limit of all arrays that are given, together.
    """

    def __init__(self, container: Container, table: Any, most_bytes: int):
        self._container, self._left = container, most_bytes
        if not isinstance(table, dict):
            corrupt("the table of arrays is damaged")
        self._table = table
        self._whole: dict[str, bytearray] = {}
        self._asked: set[str] = set()
        for name, said in table.items():
            self._check_entry(name, said)

    def _check_entry(self, name, said):
        if not isinstance(said, dict) or set(said) != {"dtype", "shape", "sha256"}:
            corrupt(f"array '{name}' is not described as it should be")
        descr, count = _checked(said, name)
        member = f"arrays/{name}.npy"
        size = len(npy_header(descr, tuple(said["shape"])))
        size += count * np.dtype(descr).itemsize
        if self._container.size_of(member) != size:
            corrupt(f"array '{name}': the size of its member does not fit its shape")

    def take(self, node: dict) -> np.ndarray:
        """A new array as a node of the tree describes it."""
        if "of" in node:
            name = node["of"]
            if name not in self._table:
                corrupt(f"there is no array {str(name)[:80]!r}")
            said, start = self._table[name], 0
        else:
            said, start = node, node.get("from", -1)
            name = _packed_name(_checked(said, "in the model")[0])
            if name not in self._table or not is_dimension(start):
                corrupt("an array in the model is nowhere")
        descr, count = _checked(said, name)
        dtype = np.dtype(descr)
        whole_count = math.prod(self._table[name]["shape"])
        if start + count > whole_count:
            corrupt(f"an array in the model reaches beyond '{name}'")
        # Who walks along an axis without entries takes time for it, too.
        self.spend(max(count * dtype.itemsize, *said["shape"], 0))
        flat = np.frombuffer(self._content(name, "of" in node), dtype=dtype)[start : start + count]
        is_shared = name in self._whole
        array = flat.astype(dtype.newbyteorder("="), copy=is_shared).reshape(said["shape"])
        axes = node.get("axes")
        if axes is None:
            return array
        if type(axes) is not list or sorted(axes) != list(range(array.ndim)):
            corrupt("the axes of an array are damaged")
        return array.transpose(np.argsort(axes))

    def spend(self, n_bytes: int) -> None:
        """Count memory that is about to be allocated."""
        self._left -= n_bytes
        if self._left < 0:
            unsafe("its arrays need more memory than `max_bytes` allows")

    def verify(self) -> None:
        """Read and compare every array that nobody took."""
        for name in self._table:
            if name not in self._asked:
                self._content(name, True)
        self._whole.clear()

    def _content(self, name: str, once: bool) -> memoryview:
        """The entries of a member, whose digest and header have been compared."""
        said = self._table[name]
        data = self._whole.get(name)
        if data is None:
            data = self._container.read(f"arrays/{name}.npy")
            if hashlib.sha256(data).hexdigest() != said["sha256"]:
                corrupt(f"array '{name}': digest differs")
            self._asked.add(name)
            if not once:
                self._whole[name] = data
        header = npy_header(said["dtype"], tuple(said["shape"]))
        if data[: len(header)] != header:
            corrupt(f"array '{name}': the header does not fit its shape")
        return memoryview(data)[len(header) :]


def _axes_in_memory(array: np.ndarray) -> list[int]:
    """The axes, the one of the widest stride first."""
    if array.flags.c_contiguous:
        return list(range(array.ndim))
    return sorted(range(array.ndim), key=lambda k: -abs(array.strides[k]))


def _checked(said: dict, name: str) -> tuple[str, int]:
    """Type and number of entries of a described array."""
    descr, shape = said.get("dtype"), said.get("shape")
    if descr not in _ALLOWED:
        unsafe(f"array '{name}' has the type {str(descr)[:80]!r}, which no model has")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        corrupt(f"array '{name}' has no proper shape")
    if not all(is_dimension(n) for n in shape):
        corrupt(f"array '{name}' has no proper shape")
    count = math.prod(shape)
    if count >= 2**48:
        unsafe(f"array '{name}' has {count} entries")
    return descr, count
