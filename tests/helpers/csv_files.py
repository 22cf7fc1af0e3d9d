"""Small CSV files as text, for the tests of reading them and of the command."""

import pandas as pd


def dated(
    n_rows=40,
    *,
    freq="D",
    start="2020-01-01",
    shape="%Y-%m-%d",
    separator=",",
    value="{i}.5",
    header=("date", "y"),
    drop=(),
):
    """Return rows of a date and a value; `value` is formatted with the row's number `i`."""
    stamps = pd.date_range(start, periods=n_rows, freq=freq)
    rows = [separator.join(header)]
    for i, stamp in enumerate(stamps):
        if i not in drop:
            cell = value(i) if callable(value) else value.format(i=i)
            rows.append(f"{stamp.strftime(shape)}{separator}{cell}")
    return "\n".join(rows) + "\n"
