"""Model files: save, load and inspect."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import io
import json
import math
import os
import platform
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from echocast.exceptions import (
    CorruptModelError,
    ModelFileError,
    UnsupportedVersionError,
)

from ._checks import check_flag, check_number
from ._files_container import Container, corrupt, pack, unsafe

__all__ = ["inspect", "load", "save", "verify"]

_FORMAT, _VERSION = "echocast model", (1, 0)
_FEATURES: frozenset[str] = frozenset()  # that a file may require beyond version 1.0
_MANIFEST_SHARE = 64  # parsed text takes up to this many times its length
_DIGITS = 20  # of an int
_SHOWN = re.compile(r"[A-Za-z0-9.+_\- ]{0,60}")
_PACKAGES = ("echocast", "numpy", "pandas", "scikit-learn", "scipy")


def save(model: Any, path: Any, *, overwrite: bool = True) -> Any:
    """Write a fitted model to a file that `load` reads, here or elsewhere, without pickle.

    The file appears whole or not at all: whatever happens while it is written, the name stands
    for the former file or for the new one. Two saves of one model give the same bytes.

    Parameters
    ----------
    model : estimator, forecaster or transform of this package
        Fitted. scikit-learn's common scalers and linear models may be parts of it, and it may
        stand in scikit-learn's `Pipeline` or `TransformedTargetRegressor`.
    path : path-like or binary file object
        Where to write; nothing is appended to the name. A symbolic link is followed.
    overwrite : bool, default=True
        Whether an existing file is replaced.

    Returns
    -------
    Path or None
        The resolved path; None for a file object.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ValueError
        If weights are NaN or infinite, or a parameter was changed to a forbidden value.
    TypeError
        If a part of the model cannot be saved, such as a function of your own; it is named.
    FileExistsError
        If the file exists and `overwrite` is false.

    See Also
    --------
    load : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> import echocast
    >>> from echocast.reservoir import ESNRegressor
    >>> u = np.sin(0.2 * np.arange(300))[:, None]
    >>> model = ESNRegressor(n_units=20, random_state=0).fit(u[:-1], u[1:])
    >>> path = echocast.save(model, "sine.echocast")
    >>> path.name
    'sine.echocast'
    >>> bool((echocast.load(path).predict(u) == model.predict(u)).all())
    True
    """
    check_flag("overwrite", overwrite, "save")
    members = _members(model)
    if hasattr(path, "write"):
        if isinstance(path, io.TextIOBase):
            raise TypeError("`save` needs a file that is open for bytes: open(path, 'wb').")
        for piece in pack(members):
            _write_all(path, memoryview(piece).cast("B") if len(piece) else b"")
        return None
    from ._files_write import write_atomically

    return write_atomically(path, pack(members), overwrite=overwrite)


def load(
    path: Any,
    *,
    max_bytes: int = 2**31,
    sha256: str | None = None,
    strict_version: bool = False,
) -> Any:
    """Read a model that `save` has written.

    Whatever is in the file, nothing in it is executed, no other file is opened for it, and memory
    stays within `max_bytes`. Digests tell damage; that the file is the one you think it is, only
    `sha256` tells.

    Parameters
    ----------
    path : path-like or binary file object
    max_bytes : int, default=2**31
        Largest file, and most memory of the arrays in it, that is accepted.
    sha256 : str, optional
        Digest of the whole file in hexadecimal digits, from a place that you trust.
    strict_version : bool, default=False
        Whether to refuse files that another version of echocast has written.

    Returns
    -------
    model
        Predicts the same, to the last bit, as the one that was saved.

    Raises
    ------
    CorruptModelError
        If the file is damaged, not whole, or something else; or its digest is another.
    UnsafeModelError
        If it asks for classes or memory that no model may ask for.
    UnsupportedVersionError
        If a later version wrote it in a format that this one does not know.
    FileNotFoundError, PermissionError
        From the system.

    See Also
    --------
    save : The inverse.
    inspect : What is in a file.

    Examples
    --------
    >>> import numpy as np
    >>> import echocast
    >>> from echocast.forecasting import NaiveForecaster
    >>> path = NaiveForecaster("drift").fit(np.array([1.0, 2.0, 3.0])).save("drift.echocast")
    >>> echocast.load(path).predict(2)
    array([4., 5.])
    """
    check_flag("strict_version", strict_version, "load")
    with _opened(path, max_bytes, sha256) as (file, size):
        container = Container(file, size)
        manifest = _manifest(container, max_bytes)
        _check_versions(manifest, strict_version)
        from ._files_tree import Decoder

        reader = _reader(container, manifest, max_bytes)
        root = _model_of(manifest)
        if not _is_public(root["class"]):
            unsafe(f"it asks for the class {root['class']!r}, which is no model")
        model = Decoder(reader).value(root)
        reader.verify()
        return model


def inspect(path: Any, *, max_bytes: int = 2**31) -> dict[str, Any]:
    """What is in a model file, from its manifest alone: no array is read, no class imported.

    Parameters
    ----------
    path : path-like or binary file object
    max_bytes : int, default=2**31
        Largest file that is accepted.

    Returns
    -------
    dict
        "class", "params" (those of the constructor; arrays and objects by a short text),
        "format_version", "written_by" (versions), "size" (bytes), "arrays" (types, shapes and
        digests).

    Raises
    ------
    CorruptModelError, UnsafeModelError, UnsupportedVersionError
        As `load`, as far as the manifest shows it.

    Examples
    --------
    >>> import numpy as np
    >>> import echocast
    >>> from echocast.forecasting import NaiveForecaster
    >>> path = NaiveForecaster("drift").fit(np.array([1.0, 2.0, 3.0])).save("drift.echocast")
    >>> found = echocast.inspect(path)
    >>> found["class"], found["params"]["strategy"]
    ('NaiveForecaster', 'drift')
    """
    with _opened(path, max_bytes, None) as (file, size):
        container = Container(file, size)
        manifest = _manifest(container, max_bytes)
        _check_versions(manifest, False)
        _reader(container, manifest, max_bytes)
        found = _model_of(manifest)
        params = found.get("params")
        if type(params) is not dict or not all(map(str.isidentifier, params)):
            params = {}  # what is made in another way than by its constructor has none
        return {
            "class": found["class"],
            "params": {k: _shown(v) for k, v in params.items()},
            "format_version": tuple(manifest["format_version"]),
            "written_by": manifest["written_by"],
            "size": size,
            "arrays": manifest["arrays"],
        }


def verify(path: Any, *, max_bytes: int = 2**31) -> str:
    """Compare all digests in a file, and return that of the whole."""
    with _opened(path, max_bytes, None) as (file, size):
        container = Container(file, size)
        manifest = _manifest(container, max_bytes)
        _reader(container, manifest, max_bytes).verify()
        return _digest(file)


# ------------------------------------------------------------------------------ writing


def _write_all(file: Any, piece: Any) -> None:
    """Write bytes to a file that may take them in parts, as unbuffered ones do."""
    done = 0
    while done < len(piece):
        count = file.write(piece[done:])
        if count is None and isinstance(file, io.RawIOBase):
            raise BlockingIOError("The file takes no more bytes for now.")
        done += len(piece) if count is None else count


def _members(model: Any) -> list[tuple[str, Any]]:
    """Manifest and arrays of a model."""
    from sklearn.utils.validation import check_is_fitted

    from ._files_registry import key_of
    from ._files_tree import Encoder

    if not _is_public(key_of(type(model))):
        raise TypeError(
            f"`save` takes fitted estimators, forecasters and transforms of echocast. Got "
            f"{type(model).__module__}.{type(model).__qualname__}."
        )
    if hasattr(model, "fit"):
        check_is_fitted(model)
    encoder = Encoder(model)
    tree = encoder.node(model)
    table, arrays = encoder.arrays.finish()
    manifest = {
        "arrays": table,
        "format": _FORMAT,
        "format_version": list(_VERSION),
        "model": tree,
        "requires": [],
        "written_by": {**_versions(), "python": platform.python_version()},
    }
    text = json.dumps(manifest, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(text).hexdigest().encode()
    return [("manifest.json", text), ("manifest.sha256", digest), *arrays]


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _is_public(key: Any) -> bool:
    """Whether the key is that of a class which can be a whole model.

    Of scikit-learn those can that models of ours are put in to be scaled.
    """
    if key in ("sklearn:Pipeline", "sklearn:TransformedTargetRegressor"):
        return True
    from ._files_registry import class_of
    from ._saving import ModelFiles

    found = class_of(key)
    return found is not None and issubclass(found, ModelFiles)


# ------------------------------------------------------------------------------ reading


@contextlib.contextmanager
def _opened(path: Any, max_bytes: int, sha256: str | None) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its length; every error that its contents cause becomes a `ModelFileError`."""
    check_number("max_bytes", max_bytes, "load", low=1, integer=True)
    wanted = _wanted_digest(sha256)
    place = "The file" if hasattr(path, "read") else repr(os.path.basename(os.fspath(path)))
    with contextlib.ExitStack() as stack:
        file = path if hasattr(path, "read") else stack.enter_context(open(path, "rb"))
        if isinstance(file, io.TextIOBase):
            raise TypeError("A model file is read from a file open for bytes: open(path, 'rb').")
        try:
            in_place = hasattr(file, "readinto") and hasattr(file, "seekable") and file.seekable()
            if not in_place or wanted:
                # A file that is compared with a digest must not change after that.
                file = io.BytesIO(_all_of(file, max_bytes))
            size = file.seek(0, io.SEEK_END)
            if size > max_bytes:
                unsafe(f"its {size} bytes are more than max_bytes={max_bytes} allows")
            if wanted and _digest(file) != wanted:
                corrupt(f"its digest {_digest(file)} differs from the expected {wanted}")
            yield file, size
        except ModelFileError as error:
            raise _named(error, place) from None
        except (MemoryError, OSError):
            raise
        except RecursionError:
            raise _named(CorruptModelError("it is nested too deeply"), place) from None
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise _named(CorruptModelError(why[:200]), place) from error


def _all_of(file: Any, max_bytes: int) -> bytes:
    data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        unsafe(f"it is longer than max_bytes={max_bytes} allows")
    return data


def _wanted_digest(sha256: Any) -> str | None:
    if sha256 is None:
        return None
    if not isinstance(sha256, str) or len(sha256) != 64:
        raise ValueError("`sha256` must be the 64 hexadecimal digits of a SHA-256 digest.")
    return sha256.lower()


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    found = hashlib.sha256()
    while piece := file.read(2**20):
        found.update(piece)
    return found.hexdigest()


def _named(error: ModelFileError, place: str) -> ModelFileError:
    """The same error with the name of the file in front."""
    text, remedy = str(error), "."
    if type(error) is CorruptModelError:
        remedy = ". Restore it from a backup, or fit again."
    if isinstance(error, UnsupportedVersionError):
        return type(error)(f"{place} was {text}.")
    return type(error)(f"{place} is not a readable model file: {text}{remedy}")


def _manifest(container: Container, max_bytes: int) -> dict[str, Any]:
    """The parsed manifest, whose digest and outermost form have been checked."""
    if container.names[:2] != ["manifest.json", "manifest.sha256"]:
        corrupt("it has no manifest")
    if container.size_of("manifest.json") > max_bytes // _MANIFEST_SHARE:
        size = container.size_of("manifest.json")
        unsafe(f"its manifest of {size} bytes needs max_bytes={size * _MANIFEST_SHARE} or more")
    if container.size_of("manifest.sha256") != 64:
        corrupt("the digest of its manifest is damaged")
    text = container.read("manifest.json")
    if hashlib.sha256(text).hexdigest().encode() != container.read("manifest.sha256"):
        corrupt("the digest of its manifest differs")
    manifest = json.loads(
        text.decode("utf-8"),
        object_pairs_hook=_unique,
        parse_constant=_refuse_constant,
        parse_float=_parse_float,
        parse_int=_parse_int,
    )
    if type(manifest) is not dict or manifest.get("format") != _FORMAT:
        corrupt("its manifest is not one of a model")
    return manifest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        corrupt("its manifest has a key twice")
    return found


def _refuse_constant(text: str) -> Any:
    corrupt(f"its manifest holds {text}")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        corrupt("its manifest holds a number that is too large")
    return value


def _parse_int(text: str) -> int:
    if len(text) > _DIGITS:
        corrupt("its manifest holds a number that is too long")
    return int(text)


def _model_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The outermost node of the model, whose class is in the table."""
    from ._files_registry import OBJECTS

    root = manifest["model"]
    if type(root) is not dict or root.get("$") != "object":
        corrupt("it holds no model")
    key = root.get("class")
    if type(key) is not str or key not in OBJECTS:
        unsafe(f"it asks for the class {str(key)[:80]!r}, which is no model")
    return root


def _check_versions(manifest: dict[str, Any], strict: bool) -> None:
    """Refuse formats that this version does not know, before anything else is looked at."""
    found, writer = manifest.get("format_version"), manifest.get("written_by")
    good = type(found) is list and len(found) == 2 and all(type(n) is int for n in found)
    # These texts are shown, and must not tell a terminal what to do.
    texts = [*writer, *writer.values()] if type(writer) is dict else [None]
    if not good or not all(type(text) is str and _SHOWN.fullmatch(text) for text in texts):
        corrupt("its manifest does not say which format it has, and what wrote it")
    assert isinstance(found, list)
    assert isinstance(writer, dict)
    required = manifest.get("requires")
    if type(required) is not list or not all(type(name) is str for name in required):
        corrupt("its manifest does not say what it requires")
    from . import __version__ as here

    by = writer.get("echocast", "?")
    unknown = sorted(set(required) - _FEATURES)
    if found[0] != _VERSION[0] or unknown:
        more = f" with {unknown[0][:40]!r}" if unknown else ""
        raise UnsupportedVersionError(
            f"written in format {found[0]}.{found[1]}{more} by echocast {by}; this echocast {here} "
            f"reads format {_VERSION[0]}.x: upgrade echocast"
        )
    if strict and by != here:
        raise UnsupportedVersionError(
            f"written by echocast {by}, and strict_version=True accepts {here} alone"
        )
    wanted = {"arrays", "format", "format_version", "model", "requires", "written_by"}
    if set(manifest) != wanted and found[1] <= _VERSION[1]:
        corrupt("its manifest has other entries than it should")


def _reader(container: Container, manifest: dict[str, Any], max_bytes: int) -> Any:
    """A reader of the arrays; the members must be those that the manifest names."""
    from ._files_arrays import ArrayReader

    table = manifest.get("arrays")
    if type(table) is not dict:
        corrupt("its manifest has no table of arrays")
    wanted = [f"arrays/{name}.npy" for name in table]
    if container.names[2:] != sorted(wanted):
        corrupt("its members are not those that the manifest names")
    return ArrayReader(container, table, max_bytes)


def _shown(node: Any) -> Any:
    """A parameter as `inspect` shows it."""
    if type(node) is list:
        return [_shown(item) for item in node]
    if type(node) is not dict:
        return node
    tag = node.get("$")
    if tag == "tuple" and type(node.get("items")) is list:
        return tuple(_shown(item) for item in node["items"])
    if tag == "float":
        return float(node["value"]) if node.get("value") in ("nan", "inf", "-inf") else None
    if tag == "object":
        return f"<{node.get('class')}>"
    return f"<{tag}>"
