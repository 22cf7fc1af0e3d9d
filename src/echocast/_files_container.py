"""The container of a model file: a zip of stored members whose every byte is prescribed.

Only what `pack` could have written is read: members in order, one after the other, stored, with
fixed dates, nothing before, between or after them. Headers are not interpreted but compared with
those that must be there, so that no other reader of zip files can see something else in the file,
and damage is found wherever it is. `zipfile` and `numpy.load` open the result.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from typing import Any, NoReturn

from echocast.exceptions import CorruptModelError, UnsafeModelError

__all__ = ["MOST_MEMBERS", "Container", "corrupt", "pack", "unsafe"]

MOST_MEMBERS = 4096
_LONGEST_NAME = 200
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)?")
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION, _DATE = 20, 0x21  # stored or deflated; 1 January 1980
_MODE = 0o100644 << 16
_UNIX = 3 << 8
_LARGEST = 2**32 - 2**20  # without the 64-bit extension


def corrupt(why: str) -> NoReturn:
    """Raise the error of a file that is damaged; `load` puts its name before the reason."""
    raise CorruptModelError(why)


def unsafe(why: str) -> NoReturn:
    """Raise the error of a file that asks for what no model needs."""
    raise UnsafeModelError(why)


def _local(name: bytes, crc: int, size: int) -> bytes:
    fields = (_VERSION, 0, 0, 0, _DATE, crc, size, size, len(name), 0)
    return _LOCAL.pack(b"PK\3\4", *fields) + name


def _central(name: bytes, crc: int, size: int, offset: int) -> bytes:
    head = (_UNIX | _VERSION, _VERSION, 0, 0, 0, _DATE, crc, size, size)
    return _CENTRAL.pack(b"PK\1\2", *head, len(name), 0, 0, 0, 0, _MODE, offset) + name


def _end(count: int, size: int, offset: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, count, count, size, offset, 0)


def pack(members: Iterable[tuple[str, Any]]) -> Iterable[Any]:
    """Yield the bytes of a container of (name, bytes-like or list of such) members, in pieces.

    Raises
    ------
    ValueError
        If it would take more than the 4 GiB, or members, that the format can hold.
    """
    directory, offset, count = [], 0, 0
    for name, data in members:
        pieces = data if isinstance(data, list) else [data]
        encoded, size, crc = name.encode("ascii"), 0, 0
        for piece in pieces:
            size, crc = size + memoryview(piece).nbytes, zlib.crc32(piece, crc)
        if offset + size > _LARGEST or count == MOST_MEMBERS:
            raise ValueError("The model is too large: a model file holds up to 4 GiB.")
        header = _local(encoded, crc, size)
        directory.append(_central(encoded, crc, size, offset))
        yield header
        yield from pieces
        offset, count = offset + len(header) + size, count + 1
    central = b"".join(directory)
    yield central
    yield _end(count, len(central), offset)


class Container:
    """The members of a seekable file, whose whole layout has been checked.

    Parameters
    ----------
    file : binary file
        Open for reading and seekable; it has `readinto`.
    size : int
        Its length.

    Raises
    ------
    CorruptModelError, UnsafeModelError
        If any byte outside of the members' contents differs from what `pack` writes.
    """

    def __init__(self, file: Any, size: int):
        self._file = file
        self._places: dict[str, tuple[int, int, int]] = {}
        central, offset, count = self._find_directory(size)
        expected = 0
        for _ in range(count):
            if len(central) < _CENTRAL.size:
                corrupt("the list of its members ends early")
            expected, n_bytes = self._add(central, expected, offset)
            central = central[n_bytes:]
        if len(central) or expected != offset:
            corrupt("there are bytes beside its members")

    @property
    def names(self) -> list[str]:
        """Names of the members, in order."""
        return list(self._places)

    def size_of(self, name: str) -> int:
        """Length of a member, without reading it."""
        return self._places[name][1]

    def read(self, name: str) -> bytearray:
        """The contents of a member, compared with their check sum."""
        start, size, crc = self._places[name]
        data = self._at(start, size)
        if zlib.crc32(data) != crc:
            corrupt(f"member '{name}': check sum differs")
        return data

    def _at(self, start: int, size: int) -> bytearray:
        """Bytes of the file, of which there are so many, as memory that an array can have."""
        self._file.seek(start)
        data, done = bytearray(size), 0
        with memoryview(data) as view:
            while done < size:
                count = self._file.readinto(view[done:])
                if not count:
                    corrupt("it ends early")
                done += count
        return data

    def _find_directory(self, size: int) -> tuple[memoryview, int, int]:
        if size < _END.size:
            corrupt("it is too short")
        tail = self._at(size - _END.size, _END.size)
        _, _, _, count, _, length, offset, _ = _END.unpack(tail)
        if self._at(0, 4) != b"PK\3\4" or tail[:4] != b"PK\5\6":
            corrupt("it is no zip archive, or not whole")
        if count > MOST_MEMBERS:
            unsafe(f"it has {count} members, more than the {MOST_MEMBERS} that are allowed")
        if offset + length + _END.size != size or tail != _end(count, length, offset):
            corrupt("the end of the archive is damaged")
        if length > count * (_CENTRAL.size + _LONGEST_NAME):
            corrupt("the list of its members is too long")
        return memoryview(self._at(offset, length)), offset, count

    def _add(self, central: memoryview, expected: int, end: int) -> tuple[int, int]:
        """Check one entry of the directory and its header; return where the next member is."""
        fields = _CENTRAL.unpack(central[: _CENTRAL.size])
        flags, method, crc, packed, size, n_name = (fields[k] for k in (3, 4, 7, 8, 9, 10))
        raw = bytes(central[_CENTRAL.size : _CENTRAL.size + n_name])
        name = _checked_name(raw)
        if fields[0] == b"PK\1\2" and flags & 1:
            unsafe(f"member '{name}' is encrypted")
        if fields[0] == b"PK\1\2" and method:
            unsafe(f"member '{name}' is compressed")
        if name in self._places:
            unsafe(f"two members are called '{name}'")
        entry = _central(raw, crc, size, expected)
        if packed != size or central[: len(entry)] != entry:
            corrupt(f"the entry of member '{name}' is damaged")
        header = _local(raw, crc, size)
        start = expected + len(header)
        if start + size > end:
            corrupt(f"member '{name}' reaches beyond the end")
        if self._at(expected, len(header)) != header:
            corrupt(f"the header of member '{name}' is damaged")
        self._places[name] = start, size, crc
        return start + size, len(entry)


def _checked_name(raw: bytes) -> str:
    name = raw.decode("latin-1")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        unsafe(f"a member is called {name[:80]!r}")
    return name
