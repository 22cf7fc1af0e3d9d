"""Values of NumPy and SciPy in a model file: arrays, scalars, types, matrices, generators."""

from __future__ import annotations

import datetime
import re
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from ._files_arrays import is_dimension
from ._files_container import corrupt, unsafe
from ._files_registry import function_of, name_of_function
from ._files_tree import fields_of

__all__ = ["DECODERS", "encode", "read_array"]

_TIME = re.compile(r"<[mM]8\[(Y|M|W|D|h|m|s|ms|us|ns)\]")
_TEXT = re.compile(r"<U(0|[1-9][0-9]{0,5})")
_NUMBER = re.compile(r"<[fiu][1248]|\|[iu]1|\|b1")
_SPARSE = {"csr_array": sparse.csr_array, "csr_matrix": sparse.csr_matrix}
_NUMBERS = (int, float, np.number)
# What candidates of a search are drawn from.
_DISTRIBUTIONS = {"beta", "expon", "gamma", "loguniform", "lognorm", "norm", "poisson", "randint",
                  "reciprocal", "uniform"}  # fmt: skip
_BITS = {c.__name__: c for c in (np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM,
                                 np.random.Philox, np.random.SFC64)}  # fmt: skip


def encode(value: Any, encoder: Any) -> dict | None:
    """The node of a value of a type that this module knows."""
    if type(value) is np.ndarray:
        return _array_node(value, encoder)
    if type(value) is np.ma.MaskedArray:
        parts = {"data": value.data, "mask": np.ma.getmaskarray(value)}
        return {"$": "masked", **{k: encoder.node(np.array(v), k) for k, v in parts.items()}}
    if isinstance(value, np.generic):
        plain = _array_node(np.asarray(value), encoder)
        return {"$": "scalar", "value": plain}
    if isinstance(value, np.dtype):
        return {"$": "dtype", "name": _dtype_text(value, encoder)}
    if sparse.issparse(value):
        return _sparse_node(value, encoder)
    if isinstance(value, np.random.RandomState):
        state = value.get_state(legacy=False)
        return {"$": "RandomState", "state": _random_node(state, encoder)}
    if isinstance(value, np.random.Generator):
        bits = value.bit_generator
        node = {"$": "Generator", "state": _random_node(bits.state, encoder)}
        if type(bits.seed_seq) is np.random.SeedSequence:  # of which `spawn` makes others
            node["seed"] = encoder.node(bits.seed_seq)
        return node
    if isinstance(value, np.random.SeedSequence):
        return {"$": "SeedSequence", "state": encoder.node(value.state)}
    if isinstance(value, partial):
        function = encoder.node(value.func, "function")
        given = {k: encoder.node(getattr(value, k), k) for k in ("args", "keywords")}
        return {"$": "partial", "function": function, **given}
    if type(value) is datetime.timedelta:
        return {"$": "timedelta", "parts": [value.days, value.seconds, value.microseconds]}
    if type(value) is datetime.date:
        return {"$": "date", "number": value.toordinal()}
    if type(value).__module__.startswith("scipy.stats.") and hasattr(value, "dist"):
        from scipy import stats

        name = value.dist.name
        if name not in _DISTRIBUTIONS or type(getattr(stats, name)) is not type(value.dist):
            encoder.refuse(f"is the distribution {name!r}, which cannot be saved")
        given = {"args": value.args, "keywords": value.kwds}
        given = {k: encoder.node(v, k) for k, v in given.items()}
        return {"$": "distribution", "name": name, **given}
    if callable(value) and not isinstance(value, type) and hasattr(value, "__qualname__"):
        name = name_of_function(value)
        if name is not None:
            return {"$": "function", "name": name}
        why = "is a function, which cannot be saved"
        if encoder.path and encoder.path[-1] in ("activation", "topology"):
            why += (
                "; a name that it is registered under can: "
                f"echocast.reservoir.register_{encoder.path[-1]}('name', f)"
            )
        encoder.refuse(why)
    return None


def _array_node(array: np.ndarray, encoder: Any) -> dict:
    kind = array.dtype.kind
    node: dict = {"$": "array"}
    if not array.flags.writeable and array.ndim:
        node["readonly"] = True
    path = ".".join(encoder.path)
    if kind in "mM":
        text = array.dtype.newbyteorder("<").str
        if not _TIME.fullmatch(text):
            encoder.refuse(f"has the type {array.dtype}, which cannot be saved")
        return {**node, "as": text, **encoder.arrays.add(array.view(np.int64), path)}
    if kind == "U":
        text = array.dtype.newbyteorder("<").str
        return {**node, "as": text, "shape": list(array.shape), "items": array.ravel().tolist()}
    if kind == "O":
        items = [encoder.node(item, str(k)) for k, item in enumerate(array.ravel())]
        return {**node, "as": "|O", "shape": list(array.shape), "items": items}
    if not encoder.arrays.can(array.dtype):
        encoder.refuse(f"has the type {array.dtype}, which cannot be saved")
    return {**node, **encoder.arrays.add(array, path)}


def _array(node: dict, decoder: Any) -> np.ndarray:
    array = _items(node, decoder) if "items" in node else _numbers(node, decoder)
    if "readonly" in node:
        array.setflags(write=False)
    return array


def _numbers(node, decoder):
    optional = ("as", "axes", "dtype", "from", "of", "readonly", "shape")
    fields_of(node, optional=optional)
    array = decoder.arrays.take(node)
    text = node.get("as")
    if text is None:
        return array
    if type(text) is not str or not _TIME.fullmatch(text) or array.dtype != np.int64:
        corrupt("an array of times is damaged")
    return array.view(np.dtype(text).newbyteorder("="))


def _items(node, decoder):
    items, text, shape = fields_of(node, "items", "as", "shape", optional=("readonly",))
    values = decoder.items(items)
    if type(shape) is not list or not all(is_dimension(n) for n in shape):
        corrupt("an array of texts has no proper shape")
    if text == "|O":
        array = np.empty(len(values), dtype=object)
        array[:] = values
    elif type(text) is str and _TEXT.fullmatch(text) and all(type(v) is str for v in values):
        width = int(text[2:])
        if width > max(map(len, values), default=1) + 64:
            unsafe("an array of texts is wider than they are")
        decoder.arrays.spend(4 * width * len(values))
        array = np.array(values, dtype=np.dtype(text).newbyteorder("="))
    else:
        corrupt("an array of texts is damaged")
    try:
        return array.reshape(shape)
    except ValueError:
        corrupt("an array of texts has no proper shape")


def read_array(node: Any, decoder: Any, *, kinds: str, ndim: int | None = None) -> np.ndarray:
    """The array of a node, whose kind of entries and dimensions are checked."""
    array = decoder.value(node)
    fits = type(array) is np.ndarray and array.dtype.kind in kinds
    if not fits or (ndim is not None and array.ndim != ndim):
        corrupt("an array of the model is of the wrong kind")
    return array


def _scalar(node: dict, decoder: Any) -> Any:
    array = read_array(fields_of(node, "value")[0], decoder, kinds="biufmMU", ndim=0)
    return array[()]


def _masked(node: dict, decoder: Any) -> Any:
    data, mask = (decoder.value(part) for part in fields_of(node, "data", "mask"))
    fits = type(data) is np.ndarray and type(mask) is np.ndarray
    if not fits or mask.dtype != np.bool_ or data.shape != mask.shape:
        corrupt("a masked array is damaged")
    return np.ma.MaskedArray(data, mask)


def _dtype_text(dtype: np.dtype, encoder: Any) -> str:
    text = dtype.newbyteorder("<").str
    if not _is_dtype(text):
        encoder.refuse(f"is the type {dtype}, which cannot be saved")
    return text


def _is_dtype(text: Any) -> bool:
    patterns = (_NUMBER, _TIME, _TEXT)
    return type(text) is str and (text == "|O" or any(p.fullmatch(text) for p in patterns))


def _dtype(node: dict, decoder: Any) -> np.dtype:
    (text,) = fields_of(node, "name")
    if not _is_dtype(text):
        unsafe(f"it holds the type {str(text)[:40]!r}, which no model has")
    return np.dtype(text).newbyteorder("=")


# --------------------------------------------------------------------- sparse matrices


def _sparse_node(matrix: Any, encoder: Any) -> dict:
    kind = type(matrix).__name__
    if _SPARSE.get(kind) is not type(matrix):
        matrix = sparse.csr_array(matrix)
        kind = "csr_array"
    parts = {name: encoder.node(getattr(matrix, name), name) for name in _SPARSE_PARTS}
    return {"$": "sparse", "kind": kind, "shape": list(matrix.shape), **parts}


_SPARSE_PARTS = ("data", "indices", "indptr")


def _sparse(node: dict, decoder: Any) -> Any:
    kind, shape, *nodes = fields_of(node, "kind", "shape", *_SPARSE_PARTS)
    kinds = ("fbiu", "i", "i")
    parts = [read_array(n, decoder, kinds=k, ndim=1) for n, k in zip(nodes, kinds)]
    fits = type(kind) is str and kind in _SPARSE and type(shape) is list and len(shape) == 2
    if not fits or not all(is_dimension(n) for n in shape):
        corrupt("a sparse matrix is damaged")
    data, indices, indptr = parts
    # Compiled kernels trust these numbers.
    good = len(indptr) == shape[0] + 1 and len(data) == len(indices) == indptr[-1]
    good = good and indptr[0] == 0 and bool((np.diff(indptr) >= 0).all())
    if not good or (len(indices) and (indices.min() < 0 or indices.max() >= shape[1])):
        corrupt("the places in a sparse matrix are damaged")
    matrix = _SPARSE[kind]((data, indices, indptr), shape=tuple(shape))
    matrix.indices, matrix.indptr = indices, indptr  # in the type that they were stored in
    return matrix


# -------------------------------------------------------------- generators and functions


def _random_node(state: Any, encoder: Any) -> Any:
    if state["bit_generator"] not in _BITS:
        encoder.refuse(f"draws from {state['bit_generator']}, which cannot be saved")
    return encoder.node(state)


def _random_state(node: dict, decoder: Any) -> np.random.RandomState:
    state, bits = _bits_of(node, decoder)
    generator = np.random.RandomState(bits)
    try:
        generator.set_state(state)
    except (ValueError, TypeError, KeyError, OverflowError):
        corrupt("the state of a random generator is damaged")
    return generator


def _generator(node: dict, decoder: Any) -> np.random.Generator:
    state, bits = _bits_of(node, decoder)
    if "seed" in node:
        seed = decoder.value(node["seed"])
        if type(seed) is not np.random.SeedSequence:
            corrupt("the seed of a random generator is damaged")
        bits = type(bits)(seed)
    try:
        bits.state = state
    except (ValueError, TypeError, KeyError, OverflowError):
        corrupt("the state of a random generator is damaged")
    return np.random.Generator(bits)


def _bits_of(node, decoder):
    fields_of(node, "state", optional=("seed",) * (node["$"] == "Generator"))
    state = decoder.value(node["state"])
    name = state.get("bit_generator") if type(state) is dict else None
    if type(name) is not str or name not in _BITS:
        corrupt("the state of a random generator is damaged")
    inner = state.get("state")
    if name == "MT19937" and not (
        type(inner) is dict
        and type(inner.get("pos")) is int
        and 0 <= inner["pos"] <= 624
        and getattr(inner.get("key"), "shape", None) == (624,)
    ):
        corrupt("the state of a random generator is damaged")
    if name in ("Philox", "SFC64") and not 0 <= state.get("buffer_pos", 0) <= 4:
        corrupt("the state of a random generator is damaged")
    return state, _BITS[name](0)


def _seed_sequence(node: dict, decoder: Any) -> np.random.SeedSequence:
    state = decoder.value(fields_of(node, "state")[0])
    try:
        if state.get("pool_size", 4) > 64:
            raise ValueError
        return np.random.SeedSequence(**state)
    except (AttributeError, TypeError, ValueError, OverflowError):
        corrupt("a seed sequence is damaged")


def _partial(node: dict, decoder: Any) -> Any:
    inner, args, keywords = fields_of(node, "function", "args", "keywords")
    function, args, keywords = (decoder.value(part) for part in (inner, args, keywords))
    named = type(keywords) is dict and all(type(k) is str for k in keywords)
    if name_of_function(function) is None or type(args) is not tuple or not named:
        corrupt("a function with given arguments is damaged")
    return partial(function, *args, **keywords)


def _function(node: dict, decoder: Any) -> Any:
    (name,) = fields_of(node, "name")
    function = function_of(name)
    if function is None:
        unsafe(f"it asks for the function {str(name)[:80]!r}, which no model has")
    return function


def _date(node: dict, decoder: Any) -> datetime.date:
    (number,) = fields_of(node, "number")
    if type(number) is not int or not 1 <= number <= datetime.date.max.toordinal():
        corrupt("a date is damaged")
    return datetime.date.fromordinal(number)


def _distribution(node: dict, decoder: Any) -> Any:
    from scipy import stats

    name, args, keywords = fields_of(node, "name", "args", "keywords")
    args, keywords = decoder.value(args), decoder.value(keywords)
    if type(name) is not str or name not in _DISTRIBUTIONS:
        unsafe(f"it asks for the distribution {str(name)[:40]!r}, which no model has")
    good = type(args) is tuple and type(keywords) is dict
    if not good or not all(isinstance(v, _NUMBERS) for v in (*args, *keywords.values())):
        corrupt("a distribution is damaged")
    return getattr(stats, name)(*args, **keywords)


def _timedelta(node: dict, decoder: Any) -> datetime.timedelta:
    (parts,) = fields_of(node, "parts")
    try:
        return datetime.timedelta(*(int(part) for part in parts))
    except (TypeError, ValueError, OverflowError):
        corrupt("a time step is damaged")


DECODERS = {
    "Generator": _generator,
    "RandomState": _random_state,
    "SeedSequence": _seed_sequence,
    "array": _array,
    "date": _date,
    "distribution": _distribution,
    "dtype": _dtype,
    "function": _function,
    "masked": _masked,
    "partial": _partial,
    "scalar": _scalar,
    "sparse": _sparse,
    "timedelta": _timedelta,
}
