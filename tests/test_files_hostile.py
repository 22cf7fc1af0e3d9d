"""Files made to do harm are refused: nothing runs, nothing else is opened, memory stays small."""

import contextlib
import io
import json
import pickle
import re
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from echocast.exceptions import (
    CorruptModelError,
    ModelFileError,
    UnsafeModelError,
    UnsupportedVersionError,
)
from forged_parts import put as edit
from model_bytes import forged, joined, loaded, manifest_of, members_of, stored
from saved_models import fitted

ESN = stored(fitted("ESNRegressor"))
MEMBERS = members_of(ESN)
TOO_MUCH = 16 * 2**20


class Bomb:
    def __reduce__(self):
        return print, ("executed",)


WATCHED: list = []
_watching = []


EVENTS = {"open", "exec", "compile", "import", "os.system", "pickle.find_class", "subprocess.Popen"}


def _hook(event, args):
    # Zones of time are looked up in the system's table.
    if _watching and event in EVENTS and not re.search("tzdata|zoneinfo", str(args)):
        WATCHED.append((event, str(args[0])[:80]))


sys.addaudithook(_hook)


def refusal(content, **options):
    """The error of a file, after a look at what happened while it was read."""
    WATCHED.clear()
    tracemalloc.start()
    _watching.append(True)
    try:
        loaded(content, **options)
        error = None
    except ModelFileError as refused:
        error = refused
    finally:
        _watching.clear()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert WATCHED == []
    assert peak < 2 * len(content) + TOO_MUCH
    return error


@pytest.fixture(autouse=True, scope="module")
def _modules_are_there():
    """Reading an honest file imports what reading needs."""
    for name in ("ESNRegressor", "ESNForecaster zone", "RNNRegressor gru"):
        loaded(stored(fitted(name)))


# ------------------------------------------------------------------------ the container


def with_member(name, data):
    return joined({**MEMBERS, name: data})


def zipped(compression, name="manifest.json", data=b"{}"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def with_flag(bit):
    """The file with a flag set in header and directory of its first member."""
    changed = bytearray(ESN)
    struct.pack_into("<H", changed, 6, bit)
    at = changed.index(b"PK\1\2")
    struct.pack_into("<H", changed, at + 8, bit)
    return bytes(changed)


def doubled():
    name, data = next(iter(MEMBERS.items()))
    from echocast._files_container import pack

    return b"".join(map(bytes, pack([(name, data), (name, data), *MEMBERS.items()])))


CONTAINERS = {
    "a pickle": lambda: pickle.dumps(Bomb()),
    "a pickle as a member": lambda: with_member("arrays/x.npy", pickle.dumps(Bomb())),
    "5,000 members": lambda: zip_of_many(5000),
    "60,000 members": lambda: zip_of_many(60_000),
    "compressed": lambda: zipped(zipfile.ZIP_DEFLATED),
    "a bomb of 200 MB": lambda: zipped(zipfile.ZIP_DEFLATED, data=bytes(200_000_000)),
    "bzip2": lambda: zipped(zipfile.ZIP_BZIP2),
    "encrypted": lambda: with_flag(1),
    "two of one name": doubled,
    "a long name": lambda: zipped(0, "a" * 60_000),
    **{
        f"a member called {name!r}": lambda name=name: zipped(0, name)
        for name in ("../x", "/etc/passwd", "a\\b", "arrays/../x", "C:x", "a/", "./a", "a//b", "\0")
    },
}
UNSAFE = {name for name in CONTAINERS if "pickle" not in name and "long" not in name}


def zip_of_many(n):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for k in range(n):
            archive.writestr(zipfile.ZipInfo(f"arrays/a{k}.npy"), b"")
    return file.getvalue()


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name, capfd):
    error = refusal(CONTAINERS[name]())
    assert type(error) is (UnsafeModelError if name in UNSAFE else CorruptModelError)
    assert "executed" not in capfd.readouterr().out


# ------------------------------------------------------------------------- the manifest


def replaced(old, new):
    return lambda raw: raw.replace(old, new, 1)


FITTED, PARAMS = ("model", "fitted"), ("model", "params")
TEXTS = {
    "3 MB": lambda raw: raw[:-1] + b',"x":"' + b"a" * 3_000_000 + b'"}',
    "200,000 levels": lambda raw: b"[" * 200_000 + b"]" * 200_000,
    "200,000 levels of keys": lambda raw: b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "10,000 digits": replaced(b'"n_units": 8', b'"n_units": ' + b"9" * 10_000),
    "NaN": replaced(b'"noise": 0.0', b'"noise": NaN'),
    "Infinity": replaced(b'"noise": 0.0', b'"noise": -Infinity'),
    "1e999": replaced(b'"noise": 0.0', b'"noise": 1e999'),
    "a key twice": replaced(b'"noise": 0.0', b'"noise": 0.0, "noise": 0.1'),
    "UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "no UTF-8": lambda raw: b"\xff" + raw,
    "a list": lambda raw: b"[]",
    "a number": lambda raw: b"7",
    "nothing": lambda raw: b"",
    "half": lambda raw: raw[: len(raw) // 2],
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_the_manifest(name):
    assert type(refusal(forged(ESN, text=TEXTS[name]))) is CorruptModelError


def test_a_manifest_that_is_too_large_for_the_limit():
    content = forged(ESN, text=TEXTS["3 MB"])
    assert type(refusal(content, max_bytes=2**24)) is UnsafeModelError


HEADS = {
    "another format": (edit(["format"], "pickle"), CorruptModelError),
    "no version": (edit(["format_version"], None), CorruptModelError),
    "a later format": (edit(["format_version"], [2, 1]), UnsupportedVersionError),
    "an unknown feature": (edit(["requires"], ["lasers"]), UnsupportedVersionError),
    "requires no list": (edit(["requires"], "lasers"), CorruptModelError),
    "more entries": (edit(["extra"], 1), CorruptModelError),
    "no model": (edit(["model"], None), CorruptModelError),
    "a list as model": (edit(["model"], [1]), CorruptModelError),
    "an array as model": (edit(["model"], {"$": "array"}), CorruptModelError),
    "no arrays": (edit(["arrays"], []), CorruptModelError),
    "an unknown class": (edit(["model", "class"], "Bomb"), UnsafeModelError),
    "a class by path": (edit(["model", "class"], "os.system"), UnsafeModelError),
    "a class by list": (edit(["model", "class"], ["ESNRegressor"]), UnsafeModelError),
    "an inner class": (edit(["model", "class"], "RidgeFactor"), UnsafeModelError),
    "a writer that moves the cursor": (
        edit(["written_by", "echocast"], "\x1b[2J"),
        CorruptModelError,
    ),
    "a package that moves the cursor": (edit(["written_by", "\x1b[2J"], "1.0"), CorruptModelError),
    "a class that moves the cursor": (edit(["model", "class"], "\x1b[2J"), UnsafeModelError),
    "a class of another library": (edit(["model", "class"], "sklearn:Ridge"), UnsafeModelError),
    "another class of ours": (edit(["model", "class"], "MarkovChain"), CorruptModelError),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_the_manifest(name):
    change, kind = HEADS[name]
    assert type(refusal(forged(ESN, change))) is kind


def test_a_later_minor_format_is_read_if_it_asks_for_nothing_new():
    content = forged(ESN, edit(["format_version"], [1, 7]))
    assert loaded(content).coef_.shape == (1, 10)


def test_messages_of_versions_say_who_wrote_and_who_reads():
    content = forged(ESN, edit(["format_version"], [2, 1]), text=replaced(b'"0.1.0"', b'"3.0"'))
    error = refusal(content)
    assert "written in format 2.1 by echocast " in str(error)
    assert "reads format 1.x: upgrade echocast" in str(error)
    other = forged(ESN, edit(["written_by", "echocast"], "0.0.1"))
    assert type(refusal(other, strict_version=True)) is UnsupportedVersionError
    assert loaded(other).coef_.shape == (1, 10)


# --------------------------------------------------------------------- what is in the tree


def function(name):
    return {"$": "function", "name": name}


def partial(name, *args):
    nothing = {"$": "dict", "items": []}
    return {"$": "partial", "function": function(name), "args": list(args), "keywords": nothing}


def sparse(**parts):
    honest = manifest_of(ESN)["model"]["fitted"]["W_"]
    return {**honest, **parts}


NODES = {
    "an unknown tag": {"$": "reduce", "callable": "os.system", "args": ["true"]},
    "no tag": {"callable": "os.system"},
    "a tag that is a list": {"$": ["array"]},
    "a function by path": function("os.system"),
    "a builtin function": function("eval"),
    "a partial of a path": partial("os.system", "true"),
    "a class as attribute": {"$": "object", "class": "builtins.eval", "params": {}, "fitted": {}},
    "a pipeline with a cache": {
        "$": "object", "class": "sklearn:Pipeline", "fitted": {},
        "params": {"steps": [], "memory": "cache", "verbose": False},
    },
    "a pipeline with a cache behind its parameters": {
        "$": "object", "class": "sklearn:Pipeline", "fitted": {"memory": "cache"},
        "params": {"steps": [], "memory": None, "verbose": False},
    },
    "a parameter hidden by an attribute": {
        "$": "object", "class": "NaiveForecaster", "params": {}, "fitted": {"strategy": "mean"},
    },
    "an unknown parameter": {
        "$": "object", "class": "NaiveForecaster", "fitted": {}, "params": {"__class__": 1},
    },
    "a hidden method": {
        "$": "object", "class": "NaiveForecaster", "params": {}, "fitted": {"predict": 1},
    },
    "a hidden property": {
        "$": "object", "class": "NaiveForecaster", "params": {}, "fitted": {"cutoff_": 1},
    },
    "a special name": {
        "$": "object", "class": "NaiveForecaster", "params": {}, "fitted": {"__dict__": 1},
    },
    "no name": {"$": "object", "class": "NaiveForecaster", "params": {}, "fitted": {"a b": 1}},
    "more fields": {"$": "tuple", "items": [], "more": 1},
    "a reference to nothing": {"$": "ref", "id": 99},
    "a reference to a text": {"$": "ref", "id": "x"},
    "a number that is a list": {"$": "tuple", "items": [], "id": [1]},
    "a key that is no key": {"$": "dict", "items": [[[1], 2]]},
    "a key twice": {"$": "dict", "items": [[1, 2], [1, 3]]},
    "a hundred keys of one hash": {
        "$": "dict",
        "items": [[{"$": "int", "hex": hex(k * sys.hash_info.modulus)}, k] for k in range(100)],
    },
    "half a pair": {"$": "dict", "items": [[1]]},
    "an int of 10,000 digits": {"$": "int", "hex": "0x" + "f" * 10_000},
    "an int that is none": {"$": "int", "hex": "print(1)"},
    "a float that is none": {"$": "float", "value": "1_0"},
    "an array of nowhere": {"$": "array", "of": "nothing"},
    "an array by list": {"$": "array", "of": ["_packed-f8"]},
    "32 GiB": {"$": "array", "dtype": "<f8", "from": 0, "shape": [65536, 65536]},
    "2**80 entries": {"$": "array", "dtype": "<f8", "from": 0, "shape": [2**40, 2**40]},
    "negative lengths": {"$": "array", "dtype": "<f8", "from": 0, "shape": [-1, -4]},
    "Boolean lengths": {"$": "array", "dtype": "<f8", "from": 0, "shape": [True]},
    "a negative start": {"$": "array", "dtype": "<f8", "from": -8, "shape": [1]},
    "a start beyond": {"$": "array", "dtype": "<f8", "from": 10**9, "shape": [1]},
    "2**40 empty rows": {"$": "array", "dtype": "<f8", "from": 0, "shape": [2**40, 0]},
    "a range of 2**40": {"$": "RangeIndex", "numbers": [0, 2**40, 1], "name": None},
    "objects": {"$": "array", "dtype": "|O", "from": 0, "shape": [1]},
    "records": {"$": "array", "dtype": "f8,f8", "from": 0, "shape": [1]},
    "a type that is a list": {"$": "array", "dtype": [["a", "<f8"]], "from": 0, "shape": [1]},
    "axes of another array": {"$": "array", "dtype": "<f8", "from": 0, "shape": [1], "axes": [3]},
    "wide texts": {"$": "array", "as": "<U99999", "shape": [1], "items": ["a"]},
    "texts of a wrong shape": {"$": "array", "as": "<U1", "shape": [2**40], "items": ["a"]},
    "a strange type": {"$": "dtype", "name": "V1000000000"},
    "a strange column type": {"$": "column type", "name": "Sparse[float64]"},
    "a strange frequency": {"$": "offset", "freq": "__import__('os')"},
    "an unknown frequency": {"$": "offset", "freq": "QQ"},
    "a strange bit generator": {
        "$": "RandomState",
        "state": {"$": "dict", "items": [["bit_generator", "Bomb"], ["state", None]]},
    },
    "a seed of no kind": {"$": "SeedSequence", "state": {"$": "dict", "items": [["x", 1]]}},
    "a generator of no kind": {"$": "Generator", "seed": 3, "state": None},
    "a distribution of values": {
        "$": "distribution", "name": "rv_histogram", "keywords": {"$": "dict", "items": []},
        "args": {"$": "tuple", "items": []},
    },
    "a distribution by path": {
        "$": "distribution", "name": "os.system", "keywords": {"$": "dict", "items": []},
        "args": {"$": "tuple", "items": ["true"]},
    },
    "a distribution of texts": {
        "$": "distribution", "name": "uniform", "keywords": {"$": "dict", "items": []},
        "args": {"$": "tuple", "items": ["true"]},
    },
    "a day before all": {"$": "date", "number": 0},
    "a large pool": {"$": "SeedSequence", "state": {"$": "dict", "items": [["pool_size", 2**40]]}},
    **{
        f"the zone {zone!r}": {"$": "Timestamp", "as": "<M8[ns]", "value": 0, "zone": zone}
        for zone in ("dateutil//etc/passwd", "../../etc/passwd", "/etc/passwd", "Not/There", [1])
    },
    "a matrix of places beyond": sparse(shape=[8, 3]),
    "a matrix of negative places": sparse(indices={"$": "array", "of": "bad_indices"}),
    "a matrix with wild rows": sparse(indptr={"$": "array", "of": "bad_indptr"}),
    "a matrix of 2**47 columns": sparse(shape=[2**47, 2**47]),
    "a matrix of objects": sparse(data=["a"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_nodes_of_the_tree(name):
    honest = fitted("ESNRegressor").W_
    indices, indptr = honest.indices.copy(), honest.indptr.copy()
    indices[0], indptr[1] = -1, 10**6
    content = forged(
        ESN,
        edit([*FITTED, "_fit_more"], NODES[name]),
        arrays={"bad_indices": indices, "bad_indptr": indptr},
    )
    error = refusal(content)
    assert type(error) in (UnsafeModelError, CorruptModelError)
    if "path" in name or "cache" in name or "hidden" in name or "zone" in name:
        assert type(error) is UnsafeModelError


def test_one_array_given_a_million_times_stays_within_the_limit():
    node = {"$": "array", "of": "big"}
    content = forged(
        ESN, edit([*FITTED, "_fit_more"], [node] * 1000), arrays={"big": np.zeros(100_000)}
    )
    assert type(refusal(content, max_bytes=2**23)) is UnsafeModelError


def test_deep_trees_are_refused():
    node = 1
    for _ in range(400):
        node = [node]
    assert type(refusal(forged(ESN, edit([*FITTED, "_fit_more"], node)))) is CorruptModelError


ENTRIES = {
    "32 GiB": {"dtype": "<f8", "shape": [65536, 65536]},
    "2**80 entries": {"dtype": "<f8", "shape": [2**40, 2**40]},
    "objects": {"dtype": "|O"},
    "another type": {"dtype": "<i8"},
    "another shape": {"shape": [82, 11]},
    "no digest": {"sha256": None},
    "33 dimensions": {"shape": [1] * 33},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_of_the_table_of_arrays(name):
    def change(manifest):
        manifest["arrays"]["_fit_factor._buffer.rows"].update(ENTRIES[name])

    assert isinstance(refusal(forged(ESN, change)), ModelFileError)


def test_a_header_that_says_something_else_is_not_interpreted():
    def pickled(members):
        name = "arrays/_fit_factor._buffer.rows.npy"
        data = members[name].replace(b"'<f8'", b"'|O' ", 1)
        return {**members, name: data}

    import hashlib

    members = pickled(MEMBERS)
    manifest = json.loads(members["manifest.json"])
    data = members["arrays/_fit_factor._buffer.rows.npy"]
    digest = hashlib.sha256(data).hexdigest()
    manifest["arrays"]["_fit_factor._buffer.rows"]["sha256"] = digest
    raw = json.dumps(manifest, sort_keys=True).encode()
    members["manifest.json"] = raw
    members["manifest.sha256"] = hashlib.sha256(raw).hexdigest().encode()
    assert type(refusal(joined(members))) is CorruptModelError


# --------------------------------------------- parts that do not fit, before kernels see them

MISFITS = {
    "fewer states": ("state_", np.zeros(5)),
    "more states": ("state_", np.zeros((3, 2, 8))),
    "other inputs": ("W_in_", np.zeros((8, 3))),
    "fewer coefficients": ("coef_", np.zeros((1, 4))),
    "a vector of coefficients": ("coef_", np.zeros(10)),
    "more outputs": ("last_output_", np.zeros(3)),
    "no finite weights": ("coef_", np.full((1, 10), np.nan)),
    "no finite state": ("state_", np.full(8, np.inf)),
}


@pytest.mark.parametrize("name", MISFITS)
def test_parts_that_do_not_fit_are_refused(name):
    field, array = MISFITS[name]
    change = edit([*FITTED, field], {"$": "array", "of": "other"})
    assert type(refusal(forged(ESN, change, arrays={"other": array}))) is CorruptModelError


@pytest.mark.parametrize("name", ["W", "W_in", "b", "leak"])
def test_weights_of_a_reservoir_that_do_not_fit_are_refused(name):
    array = np.zeros((5, 5) if name[0] == "W" else 5)
    path = [*FITTED, "_fit_reservoir", "fitted", "reservoir", "made_of", name]
    content = forged(ESN, edit(path, {"$": "array", "of": "other"}), arrays={"other": array})
    assert type(refusal(content)) is CorruptModelError


def test_weights_of_a_network_that_do_not_fit_are_refused():
    content = stored(fitted("RNNRegressor gru"))
    fields = manifest_of(content)["model"]["fitted"]
    for change, arrays in (
        (edit([*FITTED, "theta_"], {"$": "array", "of": "other"}), {"other": np.zeros(7)}),
        (edit([*FITTED, "_fit_network", "fitted", "units"], {"$": "tuple", "items": [60]}), {}),
        (edit([*FITTED, "_fit_network", "fitted", "n_inputs"], 3), {}),
        (edit([*FITTED, "_fit_network", "fitted", "cell"], "lstm"), {}),
        (edit([*FITTED, "_fit_network", "fitted", "n_outputs"], -1), {}),
    ):
        assert isinstance(refusal(forged(content, change, arrays=arrays)), ModelFileError)
    assert "theta_" in fields


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_units", -1), ("leak_rate", "x"), ("dtype", "int8"), ("activation", "none")],
)
def test_parameters_that_fit_would_refuse_are_refused(name, value):
    assert type(refusal(forged(ESN, edit([*PARAMS, name], value)))) is CorruptModelError


def test_states_of_a_closed_loop_that_do_not_fit_are_refused_when_it_runs():
    content = stored(fitted("ESNForecaster array"))
    memory = manifest_of(content)["model"]["fitted"]["_fit_memory"]["fitted"]
    arrays = [name for name, node in memory.items() if isinstance(node, dict) and "shape" in node]
    assert arrays
    for name in arrays:
        change = edit([*FITTED, "_fit_memory", "fitted", name], {"$": "array", "of": "other"})
        for shape in ((1,), (3, 1), (200,), (200, 2)):
            changed = forged(content, change, arrays={"other": np.zeros(shape)})
            with contextlib.suppress(ValueError, TypeError, IndexError, ModelFileError):
                loaded(changed).predict(3)
