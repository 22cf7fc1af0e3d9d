"""Long files and wide frames to series, and back."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from echocast.datasets import from_wide, read_long_csv, to_long

PANEL = """unique_id,ds,y
007,2024-01-03,3
b,2024-01-01,1.5
007,2024-01-01,1
007,2024-01-02,
b,2024-01-02,2.5
"""


def read(text, **options):
    return read_long_csv(StringIO(text), **options)


def test_panel_is_sorted_and_keeps_identifiers_as_text():
    y = read(PANEL)
    assert y.name == "y"
    assert y.index.names == ["unique_id", "ds"]
    assert list(y.index.get_level_values(0)) == ["007"] * 3 + ["b"] * 2
    assert y.index.get_level_values(1)[0] == pd.Timestamp("2024-01-01")
    np.testing.assert_array_equal(y, [1.0, np.nan, 3.0, 1.5, 2.5])
    assert y.dtype == np.float64


def test_single_series_gets_its_frequency():
    y = read(
        "t,v\n2024-03-01,3\n2024-01-01,1\n2024-02-01,2\n", id_col=None, time_col="t", target_col="v"
    )
    assert y.index.freqstr == "MS"
    assert list(y) == [1.0, 2.0, 3.0]
    assert (y.name, y.index.name) == ("v", "t")


def test_irregular_series_has_no_frequency():
    y = read("ds,y\n2024-01-01,1\n2024-01-02,2\n2024-01-05,3\n", id_col=None)
    assert y.index.freq is None


def test_integer_times_become_a_range():
    y = read("ds,y\n1902,3\n1900,1\n1901,2\n", id_col=None)
    assert_series_equal(
        y, pd.Series([1.0, 2, 3], index=pd.RangeIndex(1900, 1903, name="ds"), name="y")
    )


def test_dates_in_another_form_need_their_format():
    text = "ds,y\n01/02/2024,1\n02/02/2024,2\n03/02/2024,3\n"
    with pytest.raises(
        ValueError, match=r"Column 'ds' holds '01/02/2024' in row 1.*pass date_format"
    ):
        read(text, id_col=None)
    y = read(text, id_col=None, date_format="%d/%m/%Y")
    assert y.index[0] == pd.Timestamp("2024-02-01")
    y = read("ds,y\n20240201,1\n20240202,2\n", id_col=None, date_format="%Y%m%d")
    assert y.index[1] == pd.Timestamp("2024-02-02")


BAD = [
    ("", {}, "The file is empty"),
    ("unique_id,ds,y\n", {}, "a header but no rows"),
    (
        "ds,value\n2024-01-01,1\n",
        {"id_col": None},
        r"Expected \['ds', 'y'\]. Got \['ds', 'value'\]",
    ),
    ("unique_id,ds,y\na,2024-01-01,1\na,soon,2\n", {}, "holds 'soon' in row 2"),
    ("unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,many\n", {}, "no number in row 2: 'many'"),
    ("unique_id,ds,y\n,2024-01-01,1\n", {}, "Column 'unique_id' is empty in row 1"),
    ("unique_id,ds,y\na,2024-01-01,1\na,,1\n", {}, "Column 'ds' is empty in row 2"),
    ("unique_id,ds,y\na,1.5,1\n", {}, "neither dates nor integers"),
    ("unique_id,ds,y\na,3,1\na,3,1\n", {}, "Series 'a' has two rows for 3"),
    ("unique_id,ds,y\na,3,1\na,4,1\n", {"freq": "D"}, "freq='D' does not fit the integer times"),
    (
        "unique_id,ds,y\na,2024-01-01,1\na,2024-01-03,1\na,2024-01-04,1\n",
        {"freq": "D"},
        "Series 'a'",
    ),
]


@pytest.mark.parametrize(("text", "options", "sentence"), BAD)
def test_bad_files_are_refused(text, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(text, **options)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_long_csv(tmp_path / "none.csv")


def test_from_wide_trims_ends_and_keeps_gaps():
    days = pd.date_range("2024-01-01", periods=4)
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0, np.nan], "b": [np.nan, 5, 6, 7]}, index=days)
    y = from_wide(frame, name="load")
    assert y.name == "load"
    assert y.index.names == ["series", "time"]
    np.testing.assert_array_equal(y.loc["a"], [1.0, np.nan, 3.0])
    assert y.loc["b"].index[0] == days[1]


def test_from_wide_refuses_what_is_not_wide():
    with pytest.raises(TypeError, match="one column a series"):
        from_wide(pd.Series([1.0]))
    with pytest.raises(ValueError, match="two columns named 'a'"):
        from_wide(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))
    with pytest.raises(ValueError, match="Series 'b' has no value"):
        from_wide(pd.DataFrame({"a": [1.0], "b": [np.nan]}))


def test_to_long_of_each_form():
    days = pd.date_range("2024-01-01", periods=2)
    single = pd.Series([1.0, 2.0], index=days)
    expected = pd.DataFrame({"unique_id": "y", "ds": days, "y": [1.0, 2.0]})
    assert_frame_equal(to_long(single), expected, check_dtype=False)
    wide = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, np.nan]}, index=days)
    assert_frame_equal(to_long(wide), to_long(from_wide(wide)))
    assert list(to_long(wide)["unique_id"]) == ["a", "a", "b"]
    with pytest.raises(TypeError, match="indexed by time"):
        to_long([1.0])


@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_panel_survives_the_file(lengths, seed):
    rng = np.random.RandomState(seed)
    parts = {
        f"s{k}": pd.Series(rng.standard_normal(n), pd.date_range("2020-01-01", periods=n, freq="h"))
        for k, n in enumerate(lengths)
    }
    y = pd.concat(parts, names=["unique_id", "ds"]).rename("y")
    back = read(to_long(y).to_csv(index=False))
    assert_series_equal(back, y, check_index_type=False, check_freq=False)
