"""Read y into one array with a time axis, and give results back in the caller's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from echocast._checks import check_option

from ._gaps import complete
from ._index import TimeAxis, read_axis, show

__all__ = ["LARGEST", "MISSING", "Form", "Target", "fill", "read_target", "read_values", "unmasked"]

MISSING = ("raise", "ffill", "interpolate")
_MASKED = "mask"  # NaN are passed on to a forecaster that knows what to do with them
LARGEST = 1e150  # its square, and sums of such squares, are finite


@dataclass(frozen=True)
class Form:
    """How the caller wrote y: what results look like. Holds no data."""

    kind: str  # "series", "frame", "array1d" or "array2d"
    columns: tuple = ()  # of a frame
    columns_name: Any = None  # or a tuple of names, of columns with several levels
    name: Any = None  # of a series
    n_columns: int = 1

    @property
    def labels(self) -> list:
        """One label for each variable."""
        if self.kind == "frame":
            return list(self.columns)
        return list(range(self.n_columns)) if self.kind == "array2d" else [self.value_label]

    @property
    def value_label(self) -> Any:
        """Column of a single variable's point forecast: the name of y, or "y"."""
        return "y" if self.name is None else self.name

    def points(self, values: np.ndarray, index: pd.Index) -> Any:
        """Point values (n, D) as the caller's type on `index`."""
        if self.kind == "series":
            return pd.Series(values[:, 0], index=index, name=self.name)
        if self.kind == "frame":
            columns = pd.Index(list(self.columns), name=self.columns_name)
            return pd.DataFrame(values, index=index, columns=columns)
        return values[:, 0].copy() if self.kind == "array1d" else values.copy()

    def fields(self, fields: Mapping[str, np.ndarray], index: pd.Index) -> pd.DataFrame:
        """Several values a step, each (n, D), as a frame; "forecast" comes under y's own name.

        One variable gives plain columns; several give columns (variable, field).
        """
        if self.kind in ("series", "array1d"):
            if self.name in fields and self.name != "forecast":
                raise ValueError(
                    f"`y` has the name {self.name!r}, which is a column of the forecast as well. "
                    "Rename it, for example y.rename('y')."
                )
            data = {
                self.value_label if field == "forecast" else field: values[:, 0]
                for field, values in fields.items()
            }
            return pd.DataFrame(data, index=index)
        pairs = [(v, f) for v in self.labels for f in fields]
        columns = pd.MultiIndex.from_tuples(pairs, names=["variable", "field"])
        stacked = [fields[f][:, i] for i in range(self.n_columns) for f in fields]
        return pd.DataFrame(np.column_stack(stacked), index=index, columns=columns)

    def samples(self, paths: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Paths (n, D, M) as columns 0..M-1, below the variable if there are several."""
        n_steps, n_columns, n_paths = paths.shape
        flat = np.ascontiguousarray(paths).reshape(n_steps, n_columns * n_paths)
        if self.kind in ("series", "array1d"):
            return pd.DataFrame(flat, index=index, columns=pd.RangeIndex(n_paths))
        columns = pd.MultiIndex.from_product(
            [self.labels, range(n_paths)], names=["variable", "sample"]
        )
        return pd.DataFrame(flat, index=index, columns=columns)


@dataclass(frozen=True)
class Target:
    """A validated y: values (n_steps, n_columns) in float64, with its axis and form."""

    values: np.ndarray
    index: pd.Index
    axis: TimeAxis
    form: Form
    blank: np.ndarray | None = None  # (n_steps,), rows that came without any value, if filled

    def __len__(self) -> int:
        return len(self.values)


def read_target(
    y: Any,
    *,
    owner: str,
    freq: Any = None,
    missing: str = "raise",
    before: Any = None,
    keep_nan: bool = False,
    masks: bool = False,
) -> Target:
    """Validate y for a fit.

    Parameters
    ----------
    y : Series, DataFrame or ndarray of shape (n_steps,) or (n_steps, n_columns)
    owner : str
        The estimator's name in messages.
    freq : str or offset, optional
        Frequency of an index that has none.
    missing : {"raise", "ffill", "interpolate", "mask"}
        What to do with NaN; filling uses rows of `y` alone, "mask" leaves them.
    before : ndarray of shape (n_columns,), optional
        The row before the first, from which leading NaN are filled.
    keep_nan : bool
        Leave NaN as they are, if `missing` allows them.
    masks : bool
        Whether the estimator takes missing="mask".

    Raises
    ------
    TypeError
        If y is not one of these types, or not numeric.
    ValueError
        If the index or the values are unusable.
    """
    check_option("missing", missing, owner, (*MISSING, _MASKED) if masks else MISSING)
    form, index, raw = _unwrap(complete(y, freq=freq, missing=missing))
    axis = read_axis(index, freq=freq) if form.kind in ("series", "frame") else _array_axis(raw)
    values = read_values(raw, form.labels, "y")
    if values.size == 0:
        kind = "feature" if values.shape[1] == 0 else "sample"
        raise ValueError(
            f"Found array with 0 {kind}(s) (shape={np.shape(y)}) while a minimum of 1 is required "
            f"by {owner}."
        )
    _refuse_infinite(values, index, form)
    if before is None:  # a few new rows may well be next to nothing
        _refuse_tiny(values, form)
    blank = None
    if np.isnan(values).any():
        blank = np.isnan(values).all(axis=1)
        if missing == "raise":
            _refuse_nan(values, index, form, owner, masks)
        if not (keep_nan or missing == _MASKED):
            values = fill(values, missing, before)
            if np.isnan(values).any():
                _refuse_leading_nan(values, index, form)
    return Target(np.ascontiguousarray(values), index, axis, form, blank)


def _unwrap(y):
    """Form, index and raw columns of y."""
    if isinstance(y, pd.Series):
        return Form("series", name=y.name), y.index, [y]
    if isinstance(y, pd.DataFrame):
        if not y.columns.is_unique:
            twice = y.columns[y.columns.duplicated()][0]
            raise ValueError(f"`y` has more than one column named {twice!r}.")
        levels = y.columns.names
        name = tuple(levels) if len(levels) > 1 else levels[0]
        form = Form("frame", tuple(y.columns), columns_name=name, n_columns=y.shape[1])
        return form, y.index, [y.iloc[:, i] for i in range(y.shape[1])]
    if isinstance(y, np.ndarray) and y.ndim in (1, 2):
        y = unmasked(y)
        index = pd.RangeIndex(len(y))
        if y.ndim == 1:
            return Form("array1d"), index, [y]
        return Form("array2d", n_columns=y.shape[1]), index, [y[:, i] for i in range(y.shape[1])]
    if isinstance(y, np.ndarray):
        raise ValueError(
            f"Found array with dim {y.ndim}, while dim <= 2 is required for `y`: (n_steps,) or "
            "(n_steps, n_columns)."
        )
    raise TypeError(
        "`y` must be a pandas Series or DataFrame (DatetimeIndex, PeriodIndex or RangeIndex) or a "
        f"numpy array. Found {type(y)}."
    )


def unmasked(array: np.ndarray) -> np.ndarray:
    """The array with NaN for masked entries, which would count as values otherwise."""
    if not np.ma.is_masked(array):
        return array
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    return np.ma.filled(array, np.nan)


def _array_axis(raw):
    n = len(raw[0]) if raw else 0
    return TimeAxis("array", 0, n - 1, 1)


def read_values(columns: Sequence, labels: Sequence, what: str) -> np.ndarray:
    """Stack columns into float64, refusing anything that is not numeric or boolean."""
    out = np.empty((len(columns[0]) if columns else 0, len(columns)))
    for i, (column, label) in enumerate(zip(columns, labels)):
        out[:, i] = _to_float(column, label, what)
    return out


def _to_float(column, label, what):
    dtype = column.dtype
    kind = getattr(dtype, "kind", "O")
    where = f"column {label!r} of `{what}`"
    if kind == "c":
        raise ValueError(f"Complex data not supported: {where} has dtype {dtype}.")
    if kind in "fiub":
        if isinstance(column, pd.Series):
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        return column
    if kind in "mM" or isinstance(dtype, (pd.DatetimeTZDtype, pd.PeriodDtype)):
        raise TypeError(f"{where} has dtype {dtype}; encode it as numbers first.")
    values = list(column)
    texts = [i for i, value in enumerate(values) if isinstance(value, str)]
    if texts:
        # The culprit where only some are no numbers, else the first of what is text throughout.
        row = next((i for i in texts if not _reads_as_number(values[i])), texts[0])
        hint = "; astype(float) converts it" if _reads_as_number(values[row]) else ""
        place = show(column.index[row]) if isinstance(column, pd.Series) else f"row {row}"
        raise ValueError(
            f"could not convert string to float: {str(values[row])!r} at {place} ({where}, dtype "
            f"{dtype}{hint})."
        )
    raise TypeError(f"{where} has dtype {dtype}; convert it with astype(float) first.")


def _reads_as_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first(mask, index, form):
    """Say where the first true entry of `mask` (n_steps, n_columns) is."""
    row, column = np.argwhere(mask)[0]
    place = f"row {row}" if form.kind.startswith("array") else show(index[row])
    several = form.n_columns > 1
    return f"{place}, column {form.labels[column]!r}" if several else f"{place}"


def _refuse_infinite(values, index, form):
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(
            "Input y contains infinity or a value too large for dtype('float64'). "
            f"{int(infinite.sum())} values, first at {_first(infinite, index, form)}."
        )
    huge = np.abs(values) > LARGEST
    if huge.any():
        raise ValueError(
            f"Values up to {np.nanmax(np.abs(values)):.0e} in y overflow float64 when squared, "
            f"first at {_first(huge, index, form)}. Rescale it."
        )


def _refuse_tiny(values, form):
    largest = np.abs(np.nan_to_num(values)).max(axis=0)
    tiny = (largest > 0) & (largest < 1 / LARGEST)
    if tiny.any():
        column = int(np.argmax(tiny))
        raise ValueError(
            f"Values of at most {largest[column]:.0e} in column {form.labels[column]!r} of y "
            "vanish in float64 when squared. Rescale it."
        )


def _refuse_nan(values, index, form, owner, masks):
    nan = np.isnan(values)
    count = int(nan.sum())
    mask = ", missing='mask'" if masks else ""
    raise ValueError(
        f"Input y contains NaN. {owner} does not accept missing values encoded as NaN by default. "
        f"{count} value{'s' if count > 1 else ''}, first at {_first(nan, index, form)}. Use "
        f"missing='interpolate'{mask} or missing='ffill', or fill them."
    )


def _refuse_leading_nan(values, index, form):
    nan = np.isnan(values)
    if nan.all(axis=0).any():
        label = form.labels[int(np.argmax(nan.all(axis=0)))]
        which = f"column {label!r} of y" if form.n_columns > 1 else "y"
        raise ValueError(
            f"Input {which} has no value at all: all {len(values)} rows are NaN. Leave it out."
        )
    raise ValueError(
        f"Input y begins with NaN ({_first(nan, index, form)}), which cannot be filled from "
        "earlier rows. Drop the rows before the first complete one."
    )


def fill(values: np.ndarray, missing: str, before: Any = None) -> np.ndarray:
    """Fill NaN forwards, or linearly between known rows (after the last known row: forwards)."""
    start = 0
    if before is not None:
        values, start = np.vstack([before, values]), 1
    frame = pd.DataFrame(values)
    if missing == "interpolate":
        frame = frame.interpolate(method="linear", limit_area="inside")
    return frame.ffill().to_numpy()[start:]
