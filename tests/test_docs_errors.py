"""The table of errors in the documentation is what the package says."""

import re

import error_table

# What numbers and texts are called differs between versions of NumPy and pandas.
DTYPE = re.compile(r"(dtype=?) ?(\w+)(\[\w+\])?")


def lines_of(text):
    return [DTYPE.sub(r"\1", line) for line in text.strip().splitlines()]


def test_the_table_of_errors_is_made_anew():
    text = error_table.PAGE.read_text("utf-8")
    shown = text.split(error_table.BEGIN)[1].split(error_table.END)[0]
    assert lines_of(shown) == lines_of(error_table.table())
    assert len(lines_of(shown)) > 50
