"""The `kernel` decorator: numba with a checked cache, and in memory where nothing can be cached."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import pickle
import stat
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numba
from numba.extending import overload

__all__ = ["CONTRACT", "SUMS", "cache_folder", "chosen_by_type", "kernel", "source_digest"]

_log = logging.getLogger("echocast")

# Multiply-adds may be fused and the sign of a zero may be lost; NaN and inf keep their meaning.
CONTRACT = frozenset({"contract", "nsz"})
# For sums only: the terms may be added in any order, which lets them fill vector registers.
SUMS = frozenset({"contract", "nsz", "arcp", "reassoc"})

_DIGEST_SIZE = hashlib.sha256().digest_size


def kernel(function=None, *, fastmath=CONTRACT):
    """Compile `function` on its first call, without the GIL, and keep the machine code on disk.

    Parameters
    ----------
    function : callable
        Pure function of arrays and scalars.
    fastmath : set of str, default=CONTRACT
        LLVM's floating-point liberties; never all of them, as those break ``isnan``.

    Returns
    -------
    callable
        The compiled function. Kernels may call each other across files: the key of the cache is
        a digest of every source file that mentions this module.
    """
    if function is None:
        return functools.partial(kernel, fastmath=fastmath)
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath=set(fastmath))(function)
    _enable_cache(compiled)
    return compiled


def chosen_by_type(stub):
    """Decorate a function of argument types that returns the code to compile for `stub`."""
    options: Any = {"fastmath": set(CONTRACT), "error_model": "numpy"}
    return overload(stub, jit_options=options)


def _enable_cache(compiled):
    """Give a dispatcher our cache; on any trouble it keeps compiling in memory."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        # The attribute is private: where a later numba lacks it, kernels compile in memory.
        if isinstance(compiled._cache, numba.core.caching.NullCache):
            compiled._cache = _CheckedCache(compiled.py_func, folder)
    except Exception as error:
        _log.debug("kernels are compiled in memory: %r", error)


@functools.cache
def source_digest() -> str:
    """Digest of all source files whose code may end up in a compiled kernel."""
    digest = hashlib.sha256()
    files = [Path(__file__)]
    for name in ("reservoir", "datasets"):
        spec = find_spec(f"echocast.{name}")
        for root in (spec.submodule_search_locations or []) if spec else []:
            files += sorted(Path(root).rglob("*.py"))
    for path in files:
        text = path.read_bytes()
        if b"_jit" in text:
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(text).digest())
    return digest.hexdigest()


@functools.cache
def cache_folder() -> Path | None:
    """Folder of the compiled kernels, or None where none is both writable and safe.

    ``NUMBA_CACHE_DIR`` comes first, then the user's cache folder; ``ECHOCAST_CACHE=0`` switches
    the cache off. The files hold machine code, so a folder that others could write is refused.
    """
    if os.environ.get("ECHOCAST_CACHE", "1") == "0":
        return None
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    try:
        base = Path(chosen) if chosen else _user_cache()
        base.mkdir(parents=True, exist_ok=True)
        folder = base / "echocast" / f"kernels-{source_digest()[:16]}"
        for private in (folder.parent, folder):
            private.mkdir(mode=0o700, exist_ok=True)
        if not (_is_safe(folder) and _is_safe(folder.parent)):
            _log.warning("%s is not private to this user; kernels are compiled in memory", folder)
            return None
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError, ValueError) as error:
        _log.debug("no cache for compiled kernels: %r", error)
        return None
    return folder


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _is_safe(folder: Path) -> bool:
    """Whether nobody but this user can have written into `folder`."""
    if not hasattr(os, "geteuid"):
        return True
    status = os.lstat(folder)
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


class _CheckedCache:
    """What numba asks of a cache, over one file for each function and signature.

    A file is a pickle followed by its SHA-256. Numba's own cache unpickles whatever it finds: a
    truncated file then raises in every new process, and a flipped bit ends in a segmentation
    fault. Here a damaged file is a miss, and an error while reading or writing is never raised.
    """

    def __init__(self, py_func, folder):
        self._folder = folder
        self._name = f"{py_func.__module__}.{py_func.__qualname__}"
        self._enabled = True
        self.cache_path = str(folder)

    def enable(self):
        self._enabled = True

    def disable(self):
        self._enabled = False

    def flush(self):
        for path in self._folder.glob(f"{self._name}-*.bin"):
            path.unlink(missing_ok=True)

    def _path(self, sig, codegen):
        parts = (numba.__version__, sysconfig.get_config_var("SOABI"), sys.version_info[:3])
        key = repr((*parts, self._name, source_digest(), codegen.magic_tuple(), sig))
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return self._folder / f"{self._name}-{name}.bin"

    def load_overload(self, sig, target_context):
        if not self._enabled:
            return None
        try:
            target_context.refresh()
            content = self._path(sig, target_context.codegen()).read_bytes()
            body, trailer = content[:-_DIGEST_SIZE], content[-_DIGEST_SIZE:]
            if hashlib.sha256(body).digest() != trailer:
                return None
            payload = pickle.loads(body)
            return numba.core.compiler.CompileResult._rebuild(target_context, *payload)
        except Exception as error:
            _log.debug("kernel %s is not taken from the cache: %r", self._name, error)
            return None

    def save_overload(self, sig, compiled):
        if not self._enabled or compiled.library.has_dynamic_globals:
            return
        temporary = None
        try:
            path = self._path(sig, compiled.codegen)
            body = numba.core.serialize.dumps(compiled._reduce())
            handle, temporary = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(body + hashlib.sha256(body).digest())
            os.replace(temporary, path)
        except Exception as error:
            _log.debug("kernel %s is not cached: %r", self._name, error)
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
