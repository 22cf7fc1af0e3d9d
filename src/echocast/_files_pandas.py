"""Values of pandas in a model file: labels, frequencies, indexes, columns, frames.

Times are integers with a unit, so that nothing is parsed; zones are names that the system's table
of zones must have.
"""

from __future__ import annotations

import datetime
import re
import sys
import zoneinfo
from typing import Any

import numpy as np

from ._files_container import corrupt, unsafe
from ._files_tree import fields_of

__all__ = ["DECODERS", "encode"]

_FREQ = re.compile(r"-?[0-9]{0,9}[A-Za-z]{1,8}(-[A-Z0-9]{1,9})*")
_ZONE = re.compile(r"[A-Za-z0-9_+\-]{1,30}(/[A-Za-z0-9_+\-]{1,30}){0,2}")
_DTYPE = re.compile(
    r"str|string|boolean|bool|object|category|u?int(8|16|32|64)|U?Int(8|16|32|64)|[fF]loat(32|64)"
    r"|datetime64\[(s|ms|us|ns)(, ([A-Za-z0-9_+\-/]{1,60}|UTC[+\-][0-9:]{5}))?\]"
    r"|timedelta64\[(s|ms|us|ns)\]|period\[[A-Za-z0-9\-]{1,20}\]"
)


def encode(value: Any, encoder: Any) -> dict | None:
    """The node of a value of a type that this module knows."""
    pd: Any = sys.modules.get("pandas")
    if pd is None or not type(value).__module__.startswith(("pandas", "zoneinfo", "datetime")):
        return None
    if value is pd.NaT or value is pd.NA:
        return {"$": "missing", "kind": "NaT" if value is pd.NaT else "NA"}
    if type(value) is pd.Timestamp:
        zone = _zone_text(value.tz, encoder)
        stamp = value if value.tz is None else value.tz_convert("UTC").tz_localize(None)
        text, number = _time_parts(stamp.to_datetime64())
        return {"$": "Timestamp", "as": text, "value": number, "zone": zone}
    if type(value) is pd.Timedelta:
        text, number = _time_parts(value.to_timedelta64())
        return {"$": "Timedelta", "as": text, "value": number}
    if type(value) is pd.Period:
        return {"$": "Period", "ordinal": value.ordinal, "freq": _freq_text(value.freq, encoder)}
    if isinstance(value, pd.offsets.BaseOffset):
        return {"$": "offset", "freq": _freq_text(value, encoder)}
    if isinstance(value, pd.Index):
        return _index_node(pd, value, encoder)
    if type(value) is pd.Series:
        parts = {"index": value.index, "name": value.name}
        parts = {k: encoder.node(v, k) for k, v in parts.items()}
        return {"$": "Series", **parts, "values": _column_node(pd, value.array, encoder)}
    if type(value) is pd.DataFrame:
        parts = {k: encoder.node(getattr(value, k), k) for k in ("index", "columns")}
        columns = [_column_node(pd, value.iloc[:, k].array, encoder) for k in range(value.shape[1])]
        return {"$": "DataFrame", **parts, "values": columns}
    if isinstance(value, pd.api.extensions.ExtensionDtype):
        return {"$": "column type", "name": _dtype_text(pd, value, encoder)}
    return None


# --------------------------------------------------------------------- labels and frequencies


def _time_parts(value):
    return np.dtype(value.dtype).newbyteorder("<").str, int(value.view(np.int64))


def _time(node: Any, kind: str) -> Any:
    """A NumPy time from unit and number."""
    text, number = node["as"], node["value"]
    known = {f"<{kind}8[{unit}]" for unit in ("s", "ms", "us", "ns")}
    if type(number) is not int or not -(2**63) < number < 2**63:
        corrupt("a time is damaged")
    if type(text) is not str or text not in known:
        corrupt("a time is damaged")
    return np.int64(number).view(np.dtype(text).newbyteorder("="))


def _timestamp(node: dict, decoder: Any) -> Any:
    import pandas as pd

    fields_of(node, "as", "value", "zone")
    return _zoned(pd.Timestamp(_time(node, "M")), _zone(node["zone"]))


def _timedelta(node: dict, decoder: Any) -> Any:
    import pandas as pd

    fields_of(node, "as", "value")
    return pd.Timedelta(_time(node, "m"))


def _zoned(stamps, zone):
    return stamps if zone is None else stamps.tz_localize("UTC").tz_convert(zone)


def _zone_text(zone: Any, encoder: Any) -> Any:
    if zone is None:
        return None
    if isinstance(zone, datetime.timezone):
        return int(zone.utcoffset(None).total_seconds())
    name = getattr(zone, "key", None) or getattr(zone, "zone", None) or str(zone)
    if _is_zone(name):
        return name
    encoder.refuse(f"has the time zone {zone!r}, which cannot be saved")


def _is_zone(name: Any) -> bool:
    """Whether the system's table has a zone of that name."""
    if type(name) is not str or not _ZONE.fullmatch(name):
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return name == "UTC"
    return True


def _zone(said: Any) -> Any:
    import pandas as pd

    if said is None:
        return None
    if type(said) is int and abs(said) < 86_400:
        return datetime.timezone(datetime.timedelta(seconds=said))
    # Some other strings make pandas open files of that name.
    if not _is_zone(said):
        unsafe(f"it names the time zone {str(said)[:60]!r}, which this system does not know")
    return pd.Timestamp(0, tz=said).tz


def _freq_text(offset: Any, encoder: Any) -> str:
    from pandas.tseries.frequencies import to_offset

    text = offset.freqstr
    try:
        same = to_offset(text) == offset and not offset.normalize
    except ValueError:  # names that belong to periods
        same = text in _PERIODS
    if not same or not _FREQ.fullmatch(text):
        encoder.refuse(f"is the frequency {offset!r}, which cannot be saved")
    return text


_PERIODS = {"M": "ME", "Q": "QE", "Y": "YE"}


def _offset_of(text: Any) -> Any:
    from pandas.tseries.frequencies import to_offset

    if type(text) is not str or not _FREQ.fullmatch(text):
        corrupt("a frequency is damaged")
    try:
        return to_offset(text)
    except ValueError:
        corrupt(f"pandas does not know the frequency {text!r}")


def _offset(node: dict, decoder: Any) -> Any:
    return _offset_of(fields_of(node, "freq")[0])


def _period_type(text: Any) -> Any:
    """The type of periods of the offset of that name."""
    import pandas as pd

    return pd.PeriodDtype(_offset_of(text))


def _period(node: dict, decoder: Any) -> Any:
    import pandas as pd

    ordinal, text = fields_of(node, "ordinal", "freq")
    if type(ordinal) is not int or not -(2**62) < ordinal < 2**62:
        corrupt("a period is damaged")
    return pd.Period(ordinal=ordinal, freq=_period_type(text).freq)


def _missing(node: dict, decoder: Any) -> Any:
    import pandas as pd

    (kind,) = fields_of(node, "kind")
    if kind not in ("NA", "NaT"):
        corrupt("a missing value is damaged")
    return pd.NA if kind == "NA" else pd.NaT


# ------------------------------------------------------------------------------ indexes


def _index_node(pd: Any, index: Any, encoder: Any) -> dict:
    kind = type(index).__name__
    if type(index) is pd.RangeIndex:
        numbers = [index.start, index.stop, index.step]
        return {"$": "RangeIndex", "numbers": numbers, "name": encoder.node(index.name)}
    if type(index) is pd.MultiIndex:
        parts = {"levels": list(index.levels), "codes": [np.asarray(c) for c in index.codes]}
        parts = {k: encoder.node(v, k) for k, v in parts.items()}
        return {"$": "MultiIndex", **parts, "names": encoder.node(list(index.names))}
    freq = getattr(index, "freq", None)
    said = None if kind == "PeriodIndex" or freq is None else _freq_text(freq, encoder)
    node = {"$": "Index", "values": _column_node(pd, index.array, encoder), "freq": said}
    return {**node, "name": encoder.node(index.name)}


def _range_index(node: dict, decoder: Any) -> Any:
    import pandas as pd

    numbers, name = fields_of(node, "numbers", "name")
    good = type(numbers) is list and len(numbers) == 3 and all(type(n) is int for n in numbers)
    if not good or not numbers[2] or max(map(abs, numbers)) >= 2**62:
        corrupt("an index is damaged")
    decoder.arrays.spend(len(range(*numbers)))  # not needed, but who walks along it takes time
    start, stop, step = numbers
    return pd.RangeIndex(start, stop, step, name=decoder.value(name))


def _multi_index(node: dict, decoder: Any) -> Any:
    import pandas as pd

    levels, codes, names = (decoder.value(n) for n in fields_of(node, "levels", "codes", "names"))
    good = type(levels) is list and all(isinstance(level, pd.Index) for level in levels)
    good = good and type(codes) is list and len(codes) == len(levels) > 0
    if not good or not all(type(c) is np.ndarray and c.dtype.kind == "i" for c in codes):
        corrupt("an index of several levels is damaged")
    return _guarded(lambda: pd.MultiIndex(levels, codes, names=names))


def _index(node: dict, decoder: Any) -> Any:
    import pandas as pd

    values, freq, name = fields_of(node, "values", "freq", "name")
    column = _column(values, decoder)
    index = _guarded(lambda: pd.Index(column, dtype=column.dtype))
    index.name = decoder.value(name)
    if freq is not None:
        offset = _offset_of(freq)
        if not isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
            corrupt("the frequency of an index is damaged")
        _guarded(lambda: setattr(index, "freq", offset))
    return index


def _guarded(make: Any) -> Any:
    """What `make` gives; an error of pandas is damage."""
    try:
        return make()
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError):
        corrupt("a part that pandas makes is damaged")


# ------------------------------------------------------------------- columns and frames


def _column_node(pd: Any, array: Any, encoder: Any) -> dict:
    """The node of the values of a column or an index, an array of pandas."""
    dtype = array.dtype
    node: dict = {"$": "column"}
    if isinstance(dtype, pd.PeriodDtype):
        codes = np.asarray(array.astype("int64"))
        return {**node, "type": "period", "freq": _freq_text(dtype.freq, encoder),
                "values": encoder.node(codes, "values")}  # fmt: skip
    if isinstance(dtype, pd.CategoricalDtype):
        parts = {"values": np.asarray(array.codes), "categories": array.categories}
        parts = {k: encoder.node(v, k) for k, v in parts.items()}
        return {**node, "type": "category", **parts, "ordered": bool(array.ordered)}
    if dtype.kind in "mM":
        unit = f"<{dtype.kind}8[{array.unit}]"
        plain = np.asarray(array.astype(np.int64)) if dtype.kind == "M" else array.astype(np.int64)
        zone = _zone_text(getattr(dtype, "tz", None), encoder)
        return {**node, "type": unit, "zone": zone, "values": encoder.node(np.asarray(plain))}
    node["type"] = _dtype_text(pd, dtype, encoder)
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return {**node, "values": encoder.node(np.asarray(array), "values")}
    items = [None if _is_missing(pd, v) else v for v in array]
    return {**node, "values": encoder.node(items, "values")}


def _is_missing(pd, value):
    return value is pd.NA or (isinstance(value, float) and value != value)


def _dtype_text(pd: Any, dtype: Any, encoder: Any) -> str:
    text = str(dtype)
    if not _DTYPE.fullmatch(text):
        encoder.refuse(f"has the column type {text}, which cannot be saved")
    return text


def _column_type(text: Any) -> Any:
    import pandas as pd

    if type(text) is not str or not _DTYPE.fullmatch(text):
        unsafe(f"it holds the column type {str(text)[:60]!r}, which no model has")
    zone = re.fullmatch(r"datetime64\[\w+, (.*)\]", text)
    if zone and ":" not in zone[1]:
        _zone(zone[1])
    if text == "str" and int(pd.__version__.split(".")[0]) < 3:
        text = "object"
    return _guarded(lambda: pd.api.types.pandas_dtype(text))


def _column(node: Any, decoder: Any) -> Any:
    """The array, of NumPy or pandas, of a column."""
    import pandas as pd

    if type(node) is not dict or node.get("$") != "column":
        corrupt("a column is damaged")
    more = ("freq", "zone", "categories", "ordered")
    text, values = fields_of(node, "type", "values", optional=more)
    values = decoder.value(values)
    numbers = type(values) is np.ndarray and values.ndim == 1 and values.dtype.kind in "biuf"
    if text == "period" and numbers:
        codes = values.astype(np.int64)
        return _guarded(lambda: pd.arrays.PeriodArray(codes, dtype=_period_type(node.get("freq"))))
    if text in _TIMES and numbers and values.dtype == np.int64:
        times = values.view(np.dtype(text).newbyteorder("="))
        index = pd.DatetimeIndex(times) if "M" in text else pd.TimedeltaIndex(times)
        return _zoned(index, _zone(node.get("zone"))).array
    if text == "category" and numbers:
        categories, ordered = decoder.value(node.get("categories")), bool(node.get("ordered"))
        make = pd.Categorical.from_codes
        return _guarded(lambda: make(values, categories=categories, ordered=ordered))
    dtype = _column_type(text)
    if numbers and isinstance(dtype, np.dtype) and values.dtype == dtype:
        return values
    if type(values) is not list:
        corrupt("a column is damaged")
    if dtype == np.dtype(object):
        return _objects(values)
    return _guarded(lambda: pd.array(values, dtype=dtype))


_TIMES = {f"<{kind}8[{unit}]" for kind in "mM" for unit in ("s", "ms", "us", "ns")}


def _objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _named_index(node, decoder):
    import pandas as pd

    index = decoder.value(node)
    if not isinstance(index, pd.Index):
        corrupt("an index is damaged")
    return index


def _series(node: dict, decoder: Any) -> Any:
    import pandas as pd

    values, index, name = fields_of(node, "values", "index", "name")
    # In the order in which they were written: what occurs twice is written at the first place.
    index, name = _named_index(index, decoder), decoder.value(name)
    column = _column(values, decoder)
    if len(column) != len(index):
        corrupt("a series is damaged")
    return _guarded(lambda: pd.Series(column, index=index, name=name))


def _frame(node: dict, decoder: Any) -> Any:
    import pandas as pd

    values, index, columns = fields_of(node, "values", "index", "columns")
    index, columns = _named_index(index, decoder), _named_index(columns, decoder)
    parts = [_column(v, decoder) for v in values] if type(values) is list else []
    if len(parts) != len(columns) or any(len(part) != len(index) for part in parts):
        corrupt("a frame is damaged")
    frame = _guarded(lambda: pd.DataFrame(dict(enumerate(parts)), index=index))
    frame.columns = columns
    return frame


def _extension(node: dict, decoder: Any) -> Any:
    return _column_type(fields_of(node, "name")[0])


DECODERS = {
    "DataFrame": _frame,
    "Index": _index,
    "MultiIndex": _multi_index,
    "Period": _period,
    "RangeIndex": _range_index,
    "Series": _series,
    "Timedelta": _timedelta,
    "Timestamp": _timestamp,
    "column type": _extension,
    "missing": _missing,
    "offset": _offset,
}
