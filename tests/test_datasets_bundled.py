"""Bundled series: lengths, indexes, values known from their sources, licences."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from echocast.datasets import load_co2, load_el_nino, load_sunspots
from echocast.exceptions import InvalidParameterError

DATA = files("echocast.datasets") / "data"


@pytest.mark.parametrize(
    ("load", "name", "n", "first", "last", "freq", "mean"),
    [
        (load_sunspots, "sunspots", 309, "1700-01-01", "2008-01-01", "YS-JAN", 49.752),
        (load_co2, "co2", 2284, "1958-03-29", "2001-12-29", "W-SAT", 340.142),
        (load_el_nino, "el_nino", 732, "1950-01-01", "2010-12-01", "MS", 23.093),
    ],
)
def test_series_have_a_regular_index(load, name, n, first, last, freq, mean):
    y = load()
    assert isinstance(y, pd.Series)
    assert y.dtype == np.float64
    assert (y.name, len(y), y.index.name) == (name, n, "time")
    assert y.index.equals(pd.date_range(first, last, freq=freq))
    assert y.index.freqstr == freq
    assert y.mean() == pytest.approx(mean, abs=5e-4)


def test_sunspots_at_known_years():
    y = load_sunspots()
    assert y.loc["1700-01-01"] == 5.0
    assert y.idxmax() == pd.Timestamp("1957-01-01")  # the highest cycle of the old scale
    assert y.max() == 190.2
    assert list(y.index[y == 0].year) == [1711, 1712, 1810]


def test_co2_at_known_weeks():
    y = load_co2()
    assert y.loc["1958-03-29"] == 316.1
    assert y.loc["2001-12-29"] == 371.5
    assert y.isna().sum() == 59


def test_co2_by_month():
    y = load_co2(freq="monthly")
    assert y.index.freqstr == "MS"
    assert (len(y), int(y.isna().sum())) == (526, 5)
    weeks = load_co2().loc["1990-06"]
    assert y.loc["1990-06-01"] == pytest.approx(weeks.mean(), rel=1e-14)


@pytest.mark.parametrize("freq", ["weekly", "monthly"])
def test_co2_interpolated(freq):
    kept, filled = load_co2(freq=freq), load_co2(freq=freq, missing="interpolate")
    known = kept.notna()
    assert filled.notna().all()
    assert filled.index.freq == kept.index.freq
    pd.testing.assert_series_equal(filled[known], kept[known])
    gap = int((~known).to_numpy().argmax())
    after = gap + int(known.to_numpy()[gap:].argmax())
    share = 1.0 / (after - gap + 1)
    expected = (1.0 - share) * kept.iloc[gap - 1] + share * kept.iloc[after]
    assert filled.iloc[gap] == pytest.approx(expected, rel=1e-14)


def test_co2_refuses_other_options():
    with pytest.raises(
        InvalidParameterError, match="The 'freq' parameter of load_co2 must be a str"
    ):
        load_co2(freq="daily")
    with pytest.raises(InvalidParameterError, match="The 'missing' parameter of load_co2"):
        load_co2(missing="ffill")


def test_el_nino_at_known_months():
    y = load_el_nino()
    assert y.loc["1950-01-01"] == 23.11
    assert y.loc["2010-12-01"] == 22.07
    assert y.max() == 29.24  # the strong event of 1997-98


def test_loaded_series_are_independent():
    mine = load_sunspots()
    mine.iloc[0] = -1.0
    assert load_sunspots().iloc[0] == 5.0


def test_each_file_has_its_licence():
    notice = (DATA / "README.md").read_text(encoding="utf-8")
    shipped = sorted(path.name for path in DATA.iterdir() if path.name.endswith(".csv"))
    assert shipped == ["co2.csv", "el_nino.csv", "sunspots.csv"]
    for name in shipped:
        section = notice.split(f"## {name}")[1].split("\n## ")[0]
        assert "- Source:" in section
        assert "public domain" in section
