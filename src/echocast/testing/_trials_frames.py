"""Trials of what takes several pieces of data at once: long frames, and parts of a distributed fit.

The catalogue's rows become a column of a long frame, or a part among good ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from echocast import forecasting, reservoir

from ._bad_input import FINE, REFUSED, SAME, BadInput
from ._bad_inputs_arrays import ARRAYS, LABELS, TARGETS
from ._bad_inputs_series import INDEXES, VALUES
from ._trial import Trial
from ._trials_estimators import _data
from ._trials_forecasters import _H, _N
from ._trials_forecasters import _data as _series

__all__ = ["long_trials", "part_trials"]


def _cell(column, value):
    def make(df):
        changed = df.astype({column: object})
        changed.loc[5, column] = value
        return changed

    return make


# Functions of a frame with the columns unique_id, ds, y, a (known ahead) and w (constant)
_LONG: list[tuple[str, Callable[[pd.DataFrame], Any], str]] = [
    ("None", lambda df: None, REFUSED),
    ("a list", lambda df: df.to_numpy().tolist(), REFUSED),
    ("an array", lambda df: df.to_numpy(), REFUSED),
    ("a dict", lambda df: df.to_dict("list"), REFUSED),
    ("a series", lambda df: df["y"], REFUSED),
    ("a string", lambda df: "sales.csv", REFUSED),
    ("no rows", lambda df: df.iloc[:0], REFUSED),
    ("no columns", lambda df: df[[]], REFUSED),
    ("no labels", lambda df: df.drop(columns="unique_id"), REFUSED),
    ("no times", lambda df: df.drop(columns="ds"), REFUSED),
    ("no values", lambda df: df.drop(columns="y"), REFUSED),
    ("a column twice", lambda df: pd.concat([df, df[["y"]]], axis=1), REFUSED),
    ("a time twice", lambda df: pd.concat([df, df.iloc[[3]]]), REFUSED),
    ("a gap", lambda df: df.drop(index=1), REFUSED),
    ("labels that are missing", _cell("unique_id", None), REFUSED),
    ("a time that is missing", _cell("ds", None), REFUSED),
    ("a value that is missing", _cell("y", None), REFUSED),
    ("a text among the values", _cell("y", "many"), REFUSED),
    ("a known value that is missing", _cell("a", None), REFUSED),
    ("a text among known values", _cell("a", "rain"), REFUSED),
    ("a known value that is infinite", _cell("a", np.inf), REFUSED),
    ("times as text", lambda df: df.assign(ds=df["ds"].astype(str)), FINE),
    ("times that are no dates", lambda df: df.assign(ds="soon"), REFUSED),
    ("times as floats", lambda df: df.assign(ds=np.arange(len(df)) + 0.5), REFUSED),
    ("another zone", lambda df: df.assign(ds=df["ds"].dt.tz_localize("UTC")), FINE),
    ("values as text", lambda df: df.assign(y=df["y"].astype(str)), REFUSED),
    ("a constant that varies", lambda df: df.assign(w=np.arange(len(df))), REFUSED),
    ("rows in another order", lambda df: df.iloc[::-1], SAME),
    ("another index", lambda df: df.set_index(df.index + 100), SAME),
    ("columns in another order", lambda df: df[df.columns[::-1]], SAME),
    ("labels as a category", lambda df: df.astype({"unique_id": "category"}), SAME),
    ("float32", lambda df: df.astype({"y": np.float32}), SAME),
]
_PARTS: list[tuple[str, Callable[[Any, Any], Any], str]] = [
    ("None", lambda X, y: None, REFUSED),
    ("a number", lambda X, y: 3, REFUSED),
    ("an array", lambda X, y: X, REFUSED),
    ("a string", lambda X, y: "data.parquet", REFUSED),
    ("no parts", lambda X, y: [], REFUSED),
    ("parts without rows", lambda X, y: [(X[:0], y[:0])], REFUSED),
    ("a part that is None", lambda X, y: [(X, y), None], REFUSED),
    ("a part without y", lambda X, y: [(X, y), X], REFUSED),
    ("a part of three", lambda X, y: [(X, y, y)], REFUSED),
    ("a part whose y is None", lambda X, y: [(X, None)], REFUSED),
    ("a function that fails", lambda X, y: [(X, y), lambda: 1 / 0], REFUSED),
    ("a function of an argument", lambda X, y: [lambda x: x], REFUSED),
    ("a file that is not there", lambda X, y: ["/nowhere/part.parquet"], REFUSED),
    ("parts of other widths", lambda X, y: [(X, y), (X[:, :2], y)], REFUSED),
    ("parts of other targets", lambda X, y: [(X, y), (X, np.c_[y, y])], REFUSED),
    ("one part without rows", lambda X, y: [(X, y), (X[:0], y[:0])], FINE),
]


def _frame():
    """Two series in a long frame, and how it goes on."""
    y, X = _series()
    parts = [
        pd.DataFrame(
            {"unique_id": name, "ds": y.index, "y": k * y.to_numpy(), "a": X["a"], "w": float(k)}
        )
        for k, name in ((1, "north"), (2, "south"))
    ]
    whole = pd.concat(parts, ignore_index=True)
    first = whole["ds"].isin(y.index[:_N])
    return whole[first].reset_index(drop=True), whole[~first].reset_index(drop=True)


def long_trials() -> Iterator[Trial]:
    """Values and indexes of the catalogue as columns of a long frame, and frames that lack them."""
    learnt, ahead = _frame()
    models = [
        forecasting.NaiveForecaster("drift", season_length=1),
        forecasting.ESNForecaster(
            6, n_boot=10, random_state=0, season_length=1, transforms=["standardize"]
        ),
    ]
    made = forecasting.LongForecaster(models, freq="D")
    plain = ["unique_id", "ds", "y"]
    known = clone(made).fit(learnt, static_features=["w"])
    bare = clone(made).fit(learnt[plain])

    def run(method, df):
        if method == "fit":
            found = clone(made).fit(df, static_features=["w"]).predict(_H, ahead)
        elif method == "predict":
            found = known.predict(_H, df)
        else:
            found = copy.deepcopy(bare).update(df).predict(_H)
        return found.drop(columns=["unique_id", "ds"]).to_numpy()

    for method, good, argument in (
        ("fit", learnt, "df"),
        ("update", ahead[plain], "df"),
        ("predict", ahead, "X_df"),
    ):
        for name, make, expect in _LONG:
            if _lacks(make, good) or name in _NOT_IN.get(method, ()):
                continue

            def call(make=make, good=good, method=method):
                return run(method, make(good.copy()))

            clean = (lambda good=good, method=method: run(method, good)) if expect == SAME else None
            what = f"LongForecaster.{method}({argument}: {name})"
            names = (argument, "X", "y", "ds", "unique_id", "a", "w")
            yield Trial(what, call, expect, names, clean)
    for entry in (*VALUES, *INDEXES):
        trial = _of_series(made, entry)
        if trial is not None:
            yield trial


# What is no fault: a frame of known columns needs no values, one of new rows no constants.
_NOT_IN = {
    "predict": (
        "no values", "a value that is missing", "a text among the values", "values as text",
        "a constant that varies", "float32", "a column twice",
    ),
    "update": ("a constant that varies",),
}  # fmt: skip


def _lacks(make, good):
    """Whether a change is to a column that this frame does not have."""
    try:
        make(good.copy())
    except KeyError:
        return True
    return False


def _of_series(made, entry: BadInput) -> Trial | None:
    """A series of the catalogue, as one of two in a long frame; None if it is no series."""
    y, _ = _series()
    good = y.iloc[:_N]
    bad = entry.make(good.copy())
    if not isinstance(bad, pd.Series) or isinstance(bad.index, pd.MultiIndex) or not len(bad):
        return None

    def call(rows=bad):
        frame = pd.DataFrame({"unique_id": "north", "ds": rows.index, "y": rows.array})
        return clone(made).fit(frame).predict(_H).drop(columns=["unique_id", "ds"]).to_numpy()

    # Integers are no days, and a long frame's rows have no order.
    expect = FINE if entry.kind == "index" and entry.expect != REFUSED else entry.expect
    expect = FINE if entry.name in _NO_FAULT_IN_FRAMES else expect
    clean = (lambda: call(good)) if expect == SAME else None
    names = ("y", "df", "ds", "freq")
    return Trial(f"LongForecaster.fit(column: {entry.name})", call, expect, names, clean)


_NO_FAULT_IN_FRAMES = ("unsorted", "reversed", "dates as strings", "dates as objects")


def part_trials() -> Iterator[Trial]:
    """Arrays and targets of the catalogue in one part among others, and parts that are none."""
    X, numbers, labels = _data()
    made: tuple[tuple[Any, Any, tuple], ...] = (
        (reservoir.ESNRegressor(6, random_state=0), numbers, TARGETS),
        (reservoir.ESNClassifier(6, features="mean", random_state=0), labels[:8], LABELS),
    )
    for estimator, y, targets in made:
        owner = type(estimator).__name__
        good = (X, y) if owner == "ESNRegressor" else ([X[i : i + 3] for i in range(0, 24, 3)], y)
        rows = X if owner == "ESNRegressor" else None
        for name, make, expect in _PARTS if rows is not None else ():
            yield _of_parts(estimator, good, make, expect, name)
        for entry in (*(ARRAYS if rows is not None else ()), *targets):

            def make(X, y, entry=entry):
                bad = entry.make(copy.deepcopy(y if entry.argument == "y" else X))
                return [(X, y), (X, bad) if entry.argument == "y" else (bad, y)]

            what = f"{entry.argument}, {entry.name}"
            expect = entry.expected_in(owner, "fit")
            left_out = entry.argument == "X" and entry.name in _WITHOUT_ROWS
            expect = FINE if expect == SAME or left_out else expect
            yield _of_parts(estimator, good, make, expect, what)


# Parts without a row are left out with a warning.
_WITHOUT_ROWS = ("no rows", "an empty list", "a frame without rows")


def _of_parts(estimator, good, make, expect, name) -> Trial:
    def call():
        model = reservoir.fit_distributed(clone(estimator), make(*good))
        return getattr(model, "predict_proba", model.predict)(good[0])

    owner = type(estimator).__name__
    names = (
        ("parts", "part", "Part") if name in {part[0] for part in _PARTS} else ("parts", "X", "y")
    )
    return Trial(f"fit_distributed({owner}, parts: {name})", call, expect, names)
