"""Write a file so that its name never stands for half of it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["write_atomically"]

_STALE = 3600.0  # seconds after which a temporary file belongs to a process that was killed
_LONGEST = 50  # characters of the name that a temporary file is called after; names have limits
_TRIES = 5  # while another program holds the file open (Windows)


def write_atomically(path: Any, pieces: Iterable[Any], *, overwrite: bool) -> Path:
    """Write to a new file beside the target, make sure of it, and give it the target's name.

    Parameters
    ----------
    path : path-like
        A symbolic link is followed. A file that is replaced keeps its permissions.
    pieces : iterable of bytes-like
    overwrite : bool
        Whether an existing file is replaced.

    Returns
    -------
    Path
        The resolved path.

    Raises
    ------
    FileExistsError
        If the file exists and must not be replaced.
    OSError
        If anything goes wrong; what had the name before has it still, whole.
    """
    target = os.path.realpath(os.fsdecode(os.fspath(path)))
    mode = _mode_of(target)
    if mode is not None and not overwrite:
        raise FileExistsError(f"{target!r} exists; pass overwrite=True to replace it.")
    if mode is not None and not mode & 0o222:
        raise PermissionError(f"{target!r} is read-only, and is not replaced.")
    folder, name = os.path.split(target)
    name = name[:_LONGEST]
    _sweep(folder, name)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    # The system applies the user's mask; a name that nobody can guess is not followed as a link.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with open(temporary, "wb", opener=lambda name, _: os.open(name, flags, mode or 0o666)) as f:
            for piece in pieces:
                f.write(piece)
            f.flush()
            if mode is not None:
                os.chmod(temporary, mode)
            os.fsync(f.fileno())
        _publish(temporary, target, overwrite)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)
    return Path(target)


def _mode_of(target: str) -> int | None:
    """Permissions of the file that is replaced; None if there is none."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{target!r} is a folder; give the name of a file.")
    if not stat.S_ISREG(mode):
        raise OSError(f"{target!r} is no regular file, and is not replaced by one.")
    return mode & 0o777


def _publish(temporary: str, target: str, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(temporary, target)  # fails if the name was taken in the meantime
        except FileExistsError:
            raise
        except OSError:  # no such links on this file system
            if os.path.lexists(target):
                raise FileExistsError(f"{target!r} exists.") from None
        else:
            os.unlink(temporary)
            return
    for attempt in range(_TRIES):
        try:
            os.replace(temporary, target)
            return
        except PermissionError:
            if os.name != "nt" or attempt == _TRIES - 1:
                raise
            time.sleep(0.1 * 2**attempt)


def _sync_folder(folder: str) -> None:
    """Make the new name last; where folders cannot be opened, the system sees to it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep(folder: str, name: str) -> None:
    """Remove what killed processes have left of this file."""
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}\.tmp")
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if not pattern.fullmatch(entry.name):
                continue
            with contextlib.suppress(OSError):
                said = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(said.st_mode) and time.time() - said.st_mtime > _STALE:
                    os.unlink(entry.path)
