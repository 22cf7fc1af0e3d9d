"""Rows about model files: damage and hostile files are refused, a failing disk loses nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from ._figures import Figure, figure, row


def _outputs(model: Any) -> np.ndarray:
    return np.asarray(model.predict(5))


def _small_file(seed: int) -> tuple[bytes, np.ndarray]:
    """A model of about two kilobytes, and what it forecast before it was saved."""
    import echocast
    from echocast.forecasting import NaiveForecaster

    file = io.BytesIO()
    y = np.random.RandomState(seed).standard_normal(12).cumsum()
    model = NaiveForecaster("drift").fit(y)
    echocast.save(model, file)
    return file.getvalue(), _outputs(model)


def _loads_wrong(content: bytes, expected: np.ndarray) -> bool:
    """Whether a file is read, and gives other numbers; any error but ours counts as well."""
    import echocast
    from echocast.exceptions import ModelFileError

    try:
        found = _outputs(echocast.load(io.BytesIO(content)))
    except ModelFileError:
        return False
    except Exception:
        return True
    return not np.array_equal(found, expected)


def _count_wrong(contents: Iterator[bytes], seed: int) -> tuple[int, int]:
    """Files tried, and those read wrong; the one that is whole must be read right."""
    content, expected = _small_file(seed)
    n, wrong = 0, int(_read_wrong(content, expected))
    for changed in contents:
        n += 1
        wrong += changed != content and _loads_wrong(changed, expected)
    return n, wrong


def _read_wrong(content: bytes, expected: np.ndarray) -> bool:
    """Whether a whole file gives other numbers than those of the model that was saved."""
    import echocast

    return not np.array_equal(_outputs(echocast.load(io.BytesIO(content))), expected)


@row("truncated model", "files")
def truncated(seed: int, full: bool) -> Figure:
    """A model file cut at every byte."""
    content, _ = _small_file(seed)
    n, wrong = _count_wrong((content[:k] for k in range(len(content))), seed)
    return figure(f"{n:,} cuts", f"{wrong} loaded wrong", wrong)


@row("flipped bits", "files")
def flipped(seed: int, full: bool) -> Figure:
    """Single bits of a model file turned over; all of them with --full."""
    content, _ = _small_file(seed)
    places: Any = range(8 * len(content))
    if not full:
        places = np.random.RandomState(seed).choice(len(places), 4000, replace=False)

    def changed():
        for place in places:
            data = bytearray(content)
            data[place // 8] ^= 1 << int(place % 8)
            yield bytes(data)

    n, wrong = _count_wrong(changed(), seed)
    return figure(f"{n:,} flips", f"{wrong} loaded wrong", wrong)


@row("mutated model", "files")
def mutated(seed: int, full: bool) -> Figure:
    """Pieces of a model file cut out, doubled, zeroed, put in or moved."""
    content, _ = _small_file(seed)
    rng = np.random.RandomState(seed)

    def changed():
        for _ in range(4000 if full else 1000):
            data = content
            for _ in range(rng.randint(1, 4)):
                a, b = np.sort(rng.randint(0, len(data) + 1, size=2))
                noise = rng.bytes(rng.randint(1, 20))
                data = (
                    data[:a] + data[b:],
                    data[:b] + data[a:b] + data[b:],
                    data[:a] + bytes(b - a) + data[b:],
                    data[:a] + noise + data[a:],
                    data[:a] + data[a:b][::-1] + data[b:],
                )[rng.randint(5)]
            yield data

    n, wrong = _count_wrong(changed(), seed)
    return figure(f"{n:,} mutants", f"{wrong} loaded wrong", wrong)


class _Bomb:
    """Would leave a mark when it is unpickled."""

    marks: tuple = ()

    def __reduce__(self):
        return _mark, ()


_MARKS: list[str] = []


def _mark() -> None:
    _MARKS.append("executed")


def _forged(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The file with other bytes as its manifest, and digests that fit them."""
    from echocast._files_container import pack

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["manifest.json"] = change(members["manifest.json"])
    digest = hashlib.sha256(members["manifest.json"]).hexdigest()
    members["manifest.sha256"] = digest.encode()
    return b"".join(map(bytes, pack(members.items())))


def _with_model(node: Any) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        manifest = json.loads(raw)
        manifest["model"]["fitted"]["_fit_more"] = node
        return json.dumps(manifest, sort_keys=True).encode()

    return change


def _zipped(name: str, data: bytes, compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def _many(n: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for k in range(n):
            archive.writestr(zipfile.ZipInfo(f"arrays/a{k}.npy"), b"")
    return file.getvalue()


def hostile_files(content: bytes) -> dict[str, bytes]:
    """Files made to run code, to open others, or to ask for memory."""
    stored, deflated = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
    bomb = pickle.dumps(_Bomb())
    array = {"$": "array", "dtype": "<f8", "from": 0}
    nodes: dict[str, Any] = {
        "32 GiB": {**array, "shape": [65536, 65536]},
        "2**80 entries": {**array, "shape": [2**40, 2**40]},
        "negative lengths": {**array, "shape": [-1, -4]},
        "Boolean lengths": {**array, "shape": [True]},
        "objects": {**array, "dtype": "|O", "shape": [1]},
        "a call": {"$": "reduce", "callable": "os.system", "args": ["true"]},
        "a function by path": {"$": "function", "name": "os.system"},
        "a class by path": {"$": "object", "class": "os.system", "params": {}, "fitted": {}},
        "a hidden method": {
            "$": "object",
            "class": "NaiveForecaster",
            "params": {},
            "fitted": {"predict": 1},
        },
        "an int of 10,000 digits": {"$": "int", "hex": "0x" + "f" * 10_000},
        "a zone by path": {"$": "Timestamp", "as": "<M8[ns]", "value": 0, "zone": "/etc/passwd"},
        "a frequency with code": {"$": "offset", "freq": "__import__('os')"},
    }
    texts: dict[str, Callable[[bytes], bytes]] = {
        "3 MB of manifest": lambda raw: raw[:-1] + b',"x":"' + b"a" * 3_000_000 + b'"}',
        "200,000 levels": lambda raw: b"[" * 200_000 + b"]" * 200_000,
        "10,000 digits": lambda raw: raw[:-1] + b',"x": ' + b"1" * 10_000 + b"}",
        "not a number": lambda raw: raw[:-1] + b',"x": NaN}',
        "a key twice": lambda raw: raw[:-1] + b',"format": "other"}',
        "an unknown class": lambda raw: raw.replace(b"NaiveForecaster", b"SomeOtherModels"),
    }
    return {
        "a pickle": bomb,
        "a pickle as a member": _zipped("arrays/x.npy", bomb, stored),
        "a pickle as manifest": _zipped("manifest.json", bomb, stored),
        "compressed": _zipped("manifest.json", b"{}", deflated),
        "a bomb of 200 MB": _zipped("manifest.json", bytes(200_000_000), deflated),
        "5,000 members": _many(5000),
        **{
            f"a member {name}": _zipped(name, b"{}", stored)
            for name in ("../x", "/etc/passwd", "a\\b", "C:x", "arrays/../x")
        },
        **{name: _forged(content, _with_model(node)) for name, node in nodes.items()},
        **{name: _forged(content, change) for name, change in texts.items()},
    }


@row("hostile files", "files")
def hostile(seed: int, full: bool) -> Figure:
    """Files made to do harm: none is accepted, none runs anything, memory stays small."""
    import echocast
    from echocast.exceptions import ModelFileError

    content, expected = _small_file(seed)
    _read_wrong(content, expected)  # imports what an honest file needs
    accepted, worst = [], 0.0
    files = hostile_files(content)
    _MARKS.clear()
    for name, data in files.items():
        tracemalloc.start()
        try:
            echocast.load(io.BytesIO(data))
            accepted.append(name)
        except ModelFileError:
            pass
        finally:
            worst = max(worst, (tracemalloc.get_traced_memory()[1] - 2 * len(data)) / 2**20)
            tracemalloc.stop()
    found = f"{len(accepted)} accepted, {len(_MARKS)} executed, {max(worst, 0):.1f} MB at most"
    bad = len(accepted) + len(_MARKS) + (worst > 16)
    return figure(f"{len(files)} files", found, bad)


@row("failing disk", "files")
def failing_disk(seed: int, full: bool) -> Figure:
    """Each call to the disk in a save fails once: the old file or the new one is left."""
    import echocast
    from echocast.forecasting import NaiveForecaster

    y = np.random.RandomState(seed).standard_normal(12).cumsum()
    old, new = NaiveForecaster("drift").fit(y), NaiveForecaster("mean").fit(y)
    wanted = [np.asarray(model.predict(3)) for model in (old, new)]
    n = lost = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.echocast"
        for call in ("fsync", "replace", "fdopen", "fchmod", "chmod", "open"):
            if not hasattr(os, call):
                continue
            echocast.save(old, path)
            failing = mock.patch.object(
                os, call, side_effect=OSError(28, "No space left on device")
            )
            with failing:
                try:
                    echocast.save(new, path)
                except OSError:
                    n += 1
            found = np.asarray(echocast.load(path).predict(3))
            lost += not any(np.array_equal(found, values) for values in wanted)
            lost += len(list(path.parent.iterdir())) != 1
    if not n:
        raise RuntimeError("No call to the disk failed: there was nothing to see.")
    return figure(f"{n} failures", f"{lost} files lost or left behind", lost)
