"""The table of errors in docs/errors.md, made from the catalogue of bad inputs.

Run as a program it writes the table into the page.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from echocast.forecasting import ESNForecaster
from echocast.reservoir import ESNRegressor
from echocast.testing import bad_inputs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
BEGIN, END = "<!-- made by tests/helpers/error_table.py -->\n", "<!-- end -->\n"

# Whose sentences are the package's own, and do not change with the versions of others.
SHOWN = {
    "array": (
        "NaN in the middle", "inf in the middle", "complex", "dates", "strings",
        "objects with a dict", "ragged lists", "masked", "1-D", "huge values",
        "a frame with equal names", "a frame with dates",
    ),
    "target": ("None", "a number", "NaN", "too short", "dates"),
    "weights": ("negative", "zero", "2-D"),
    "values": ("NaN in the middle", "-inf in the last row", "all NaN", "a list", "one string",
               "dates", "huge values", "a frame with equal names"),
    "index": ("unsorted", "a duplicate", "one gap", "irregular", "NaT in the middle",
              "float labels", "dates as strings", "integers with a gap",
              "two stamps without a frequency", "three levels"),
    "exogenous": ("nothing", "a column is missing", "the last row is missing", "a month later",
                  "another zone", "numbered rows", "NaN in the middle", "text", "an array",
                  "an extra column"),
    "horizon": ("0", "a float", "huge", "a list out of order", "the cutoff",
                "an index off the grid"),
}  # fmt: skip
WHERE = {
    "array": "`X` of `ESNRegressor.fit`",
    "target": "`y` of `ESNRegressor.fit`",
    "weights": "`sample_weight` of `ESNRegressor.fit`",
    "values": "`y` of `ESNForecaster.fit`",
    "index": "index of `y`",
    "exogenous": "`X` of `ESNForecaster.predict`",
    "horizon": "`horizon`",
}


def _calls():
    rng = np.random.RandomState(0)
    X = rng.randn(24, 4)
    y = np.sin(np.arange(24.0))
    index = pd.date_range("2024-03-01", periods=43, freq="D")
    frame = pd.DataFrame(rng.randn(43, 2), index, columns=["a", "b"])
    series = (frame["a"] - frame["b"]).rename("y")
    known = ESNForecaster(6, random_state=0).fit(series[:40], frame[:40])
    esn = ESNRegressor(6, random_state=0)
    return {
        "array": lambda bad: esn.fit(bad.make(X), y),
        "target": lambda bad: esn.fit(X, bad.make(y)),
        "weights": lambda bad: esn.fit(X, y, sample_weight=bad.make(y)),
        "values": lambda bad: ESNForecaster(6).fit(bad.make(series)),
        "index": lambda bad: ESNForecaster(6).fit(bad.make(series)),
        "exogenous": lambda bad: known.predict(3, bad.make(frame[40:])),
        "horizon": lambda bad: known.predict(bad.make(index[40:]), frame[40:]),
    }


def _said(call, bad):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            call(bad)
        except Exception as error:
            text = " ".join(str(error).split()).replace("|", r"\|")
            return type(error).__name__, text.replace("<", r"\<")
    raise AssertionError(f"{bad.kind}: {bad.name} is taken without a word")


def table():
    """The lines of the table."""
    lines = ["| where | what | class | words |", "|---|---|---|---|"]
    calls = _calls()
    for kind, names in SHOWN.items():
        entries = {entry.name: entry for entry in bad_inputs(kind)}
        for name in names:
            error, words = _said(calls[kind], entries[name])
            lines.append(f"| {WHERE[kind]} | {name} | {error} | {words} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], "utf-8")
    sys.stdout.write(f"{PAGE.name} is written\n")
