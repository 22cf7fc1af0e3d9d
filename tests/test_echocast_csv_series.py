"""From text columns to regular series: which column, which number, which date, which frequency."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_series_equal

from csv_files import dated
from echocast._csv import CsvError
from echocast._csv_series import read_series


@pytest.fixture
def read(tmp_path):
    def read(text, **options):
        path = tmp_path / "f.csv"
        path.write_text(text, "utf-8")
        return read_series(path, **options)

    return read


def only(file):
    (series,) = file.series.values()
    return series


@pytest.mark.parametrize(
    ("freq", "shape", "start"),
    [
        ("D", "%Y-%m-%d", "2020-01-01"),
        ("D", "%d/%m/%Y", "2020-01-01"),
        ("D", "%m/%d/%y", "2020-01-01"),
        ("D", "%d.%m.%Y", "2020-01-01"),
        ("D", "%d %b %Y", "2020-01-01"),
        ("D", "%Y%m%d", "2020-01-01"),
        ("W-SUN", "%Y/%m/%d", "2020-01-01"),
        ("MS", "%Y-%m", "2020-01-01"),
        ("MS", "%b %Y", "2020-01-01"),
        ("MS", "%Y%m", "1960-01-01"),
        ("ME", "%Y-%m-%d", "1900-01-01"),
        ("YS-JAN", "%Y-%m-%d", "1700-01-01"),
        ("h", "%Y-%m-%d %H:%M:%S", "2020-01-01"),
        ("15min", "%Y-%m-%dT%H:%M", "2020-01-01"),
        ("h", "%m/%d/%Y %I:%M %p", "2020-01-01"),
    ],
)
def test_dates_and_frequencies(read, freq, shape, start):
    series = only(read(dated(40, freq=freq, shape=shape, start=start)))
    expected = pd.date_range(start, periods=40, freq=freq)
    assert (series.index == expected).all()
    assert series.index.freqstr == freq
    assert series.tolist() == [i + 0.5 for i in range(40)]
    assert series.name == "y"


def test_whole_numbers_stay_numbers(read):
    series = only(read("year,n\n" + "".join(f"{y},{y % 11}\n" for y in range(1700, 1750))))
    assert series.index.equals(pd.RangeIndex(1700, 1750))
    assert only(read("t,y\n0,1\n10,2\n20,3\n")).index.equals(pd.RangeIndex(0, 30, 10))


def test_unix_time_and_quarters(read):
    file = read("time,y\n1700000000,1\n1700003600,2\n1700007200,2\n")
    assert only(file).index[0] == pd.Timestamp("2023-11-14 22:13:20")
    assert file.notes == ["'time' was read as Unix time in s"]
    quarters = only(read("date,y\n2020Q1,1\n2020-Q2,2\nQ3 2020,3\n")).index
    assert list(map(str, quarters)) == ["2020Q1", "2020Q2", "2020Q3"]


def test_time_zones(read):
    change = [
        "2024-10-27T01:00:00+02:00",
        "2024-10-27T02:00:00+02:00",
        "2024-10-27T02:00:00+01:00",
        "2024-10-27T03:00:00+01:00",
    ]
    file = read("date,y\n" + "".join(f"{stamp},1\n" for stamp in change))
    assert file.notes == ["times in 'date' have several offsets and were turned into UTC"]
    index = only(file).index
    assert str(index.tz) == "UTC"
    assert index[0] == pd.Timestamp("2024-10-26T23:00:00Z")
    one_zone = only(read("date,y\n" + "".join(f"{stamp},1\n" for stamp in change[:2]))).index
    assert one_zone[0].utcoffset() == pd.Timedelta(hours=2)


def test_without_a_time_column_rows_are_numbered(read):
    file = read("y\n1\n2\n3\n")
    assert file.time is None
    assert only(file).index.equals(pd.RangeIndex(3))
    assert only(read(",y\n1,3.5\n2,4.5\n3,5.5\n")).tolist() == [3.5, 4.5, 5.5]


def test_rows_out_of_order_are_sorted_and_said(read):
    lines = dated(10).splitlines()
    file = read("\n".join([lines[0], *reversed(lines[1:])]))
    assert_series_equal(only(file), only(read(dated(10))))
    assert file.notes == ["rows were sorted by 'date'"]


def test_several_series(read):
    shops = "shop,date,y\n" + "".join(
        f"{shop},2020-01-{day:02},{day + k}\n" for day in range(1, 9) for k, shop in enumerate("ba")
    )
    file = read(shops, id_col="shop")
    assert list(file.series) == ["b", "a"]
    assert file.series["a"].tolist() == [float(day + 1) for day in range(1, 9)]
    with pytest.raises(CsvError, match=r"twice, in lines 2 and 3; .* pass --id shop"):
        read(shops)
    with pytest.raises(CsvError, match="series 'a': column 'y' holds 'x' in line 3"):
        read(shops.replace("a,2020-01-01,2", "a,2020-01-01,x"), id_col="shop")


def test_target_is_the_only_column_of_numbers_or_y_or_given(read):
    text = "date,a,b\n2020-01-01,1,2\n2020-01-02,3,4\n"
    assert only(read(text, target="b")).tolist() == [2.0, 4.0]
    assert read(text.replace("b", "y")).target == "y"
    assert read(text.replace("1,2", "p,2").replace("3,4", "q,4")).target == "b"


def test_decimal_commas(read):
    file = read(dated(20, separator=";", value="{i},5"))
    assert only(file).iloc[-1] == 19.5
    assert "commas in 'y' were read as decimal points" in file.notes
    ambiguous = 'date,y\n2020-01-01,"1,234"\n2020-01-02,"1,235"\n'
    assert only(read(ambiguous, decimal=",")).tolist() == [1.234, 1.235]
    assert only(read(ambiguous, decimal=".")).tolist() == [1234.0, 1235.0]
    with pytest.raises(CsvError, match=r"decimals or thousands; pass --decimal , or --decimal \."):
        read(ambiguous)


@pytest.mark.parametrize(
    ("cell", "decimal", "value"),
    [
        ("1.234.567,5", ",", 1234567.5),
        ("12,34,567.5", ".", 1234567.5),
        ("-1,234", ".", -1234.0),
        ("1,5e3", ",", 1500.0),
        ("10.57", ",", None),
        ("1,5", ".", None),
        ("1234,567.5", ".", None),
        ("1.234.5", ",", None),
    ],
)
def test_marks_between_thousands_stand_before_three_digits(read, cell, decimal, value):
    text = f"date;y\n2020-01-01;{cell}\n2020-01-02;{cell}\n"
    if value is not None:
        assert only(read(text, decimal=decimal)).tolist() == [value, value]
        return
    with pytest.raises(CsvError, match=r"in line 2, which is not a finite number with the dec"):
        read(text, decimal=decimal, target="y")


def test_day_and_month_are_told_apart_by_spacing_or_asked_for(read):
    monthly = dated(40, freq="MS", shape="%d/%m/%Y")
    assert only(read(monthly)).index.freqstr == "MS"
    short = dated(12, freq="MS", shape="%d/%m/%Y")
    with pytest.raises(CsvError, match=r"may be %d/%m/%Y or %m/%d/%Y .* pass --date-format"):
        read(short)
    assert only(read(short, date_format="%d/%m/%Y")).index.freqstr == "MS"


GERMAN = dated(
    96, freq="MS", start="2017-01-01", shape="%d.%m.%Y", separator=";", value="21{i},00",
    header=("Monat", "Umsatz"),
)  # fmt: skip


def test_dates_with_points_are_no_numbers(read):
    file = read(GERMAN)
    assert (file.time, file.target) == ("Monat", "Umsatz")
    assert only(file).index.equals(pd.date_range("2017-01-01", periods=96, freq="MS"))
    assert "dates in 'Monat' were read as %d.%m.%Y" in file.notes
    assert read(GERMAN.replace("Monat", "Spalte"), target="Umsatz").time == "Spalte"
    year = "\n".join(GERMAN.splitlines()[:13])  # January to December
    assert only(read(year)).index.freqstr == "MS"
    short = dated(30, shape="%d.%m.%y", header=("k", "y"))
    assert only(read(short)).index.freqstr == "D"
    assert (
        only(read(dated(30, freq="MS", shape="%m.%Y", header=("Monat", "y")))).index.year[0] == 2020
    )


def test_a_date_format_selects_the_column_of_dates(read):
    options = {"separator": ";", "decimal": ",", "date_format": "%d.%m.%Y"}
    file = read(GERMAN, **options)
    assert (file.time, only(file).iloc[-1]) == ("Monat", 2195.0)
    text = "k;a;y\n" + "".join(f"0{i}/2020;{i};{i + 1}\n" for i in range(1, 9))
    assert read(text, date_format="%m/%Y", target="y").time == "k"
    years = "".join(f"{year},{year - 100}\n" for year in range(1990, 2010))
    assert read("jahr,n\n" + years, date_format="%Y").time == "jahr"
    with pytest.raises(CsvError, match=r"several columns may hold the time \('a', 'b'\)"):
        read("a,b,y\n" + years.replace("\n", ",1\n"), date_format="%Y", target="y")
    with pytest.raises(CsvError, match="no column holds dates of --date-format %d/%m/%Y; columns"):
        read(GERMAN, date_format="%d/%m/%Y")


def test_a_file_without_times_says_so_if_it_has_other_columns(read):
    assert read("y\n1\n2\n").notes == []
    file = read("a,b\n1,2\n3,4\n", target="b")
    assert file.time is None
    assert file.notes[0].startswith("no column of times was found, so the rows are numbered")


@pytest.mark.parametrize(
    ("cells", "values", "note"),
    [
        (["213.000,00", "5,5"], [213000.0, 5.5], "commas in 'y' were read as decimal points"),
        (["213,000.50", "5.5"], [213000.5, 5.5], "commas in 'y' were read as marks between thou"),
        (["1.234.567", "1.234"], [1234567.0, 1234.0], "points in 'y' were read as marks between"),
        (["1,234,567", "1,234"], [1234567.0, 1234.0], "commas in 'y' were read as marks between"),
    ],
)
def test_both_marks_or_one_of_them_twice_tell_which_is_which(read, cells, values, note):
    file = read("t;y\n" + "".join(f"{i};{cell}\n" for i, cell in enumerate(cells)))
    assert only(file).tolist() == values
    assert any(n.startswith(note) for n in file.notes)
    with pytest.raises(CsvError, match="may mark decimals or thousands"):
        read("t;y\n0;1.234,5\n1;1,234.5\n")


def test_rows_without_a_value_at_the_end_are_never_observations(read):
    text = dated(10, value=lambda i: "" if i in (3, 8, 9) else f"{i}")
    end = text.replace(",\n", ",3\n", 1)
    with pytest.raises(CsvError, match="the last 2 rows have no value in column 'y': remove them"):
        read(end)
    one = end.replace("2020-01-09,", "2020-01-09,8")
    with pytest.raises(CsvError, match="the last row has no value in column 'y': remove it, or"):
        read(one)
    with pytest.raises(CsvError, match="3 missing values, first at 2020-01-04"):
        read(text)
    file = read(text, missing="ffill")
    assert only(file).tolist() == [0, 1, 2, 2, 4, 5, 6, 7]
    assert only(file).index.freqstr == "D"
    assert file.notes == [
        "the last 2 rows have no value and were left out",
        "missing values were filled with the value before (1 of them)",
    ]
    assert len(only(read("t,y\n0,1\n1,2\n2,NA\n", missing="ffill"))) == 2


def test_values_filled_in_several_series_are_one_note(read):
    text = "k,t,y\na,0,1\na,1,1\na,2,1\nb,0,1\nb,1,\nb,2,1\nc,0,1\nc,1,\nc,2,1\n"
    file = read(text, id_col="k", missing="ffill")
    assert file.notes == [
        "missing values were filled with the value before (2 of them, in series 'b' and 1 more)"
    ]


def test_series_of_one_row_are_left_out(read):
    file = read("k,t,y\na,0,1\na,1,2\nb,0,1\n", id_col="k")
    assert list(file.series) == ["a"]
    assert file.notes == ["series 'b' is left out: it has one row"]
    with pytest.raises(CsvError, match="series 'a': one row is too short"):
        read("k,t,y\na,0,1\nb,0,1\n", id_col="k")


@pytest.mark.parametrize("empty", ["", "NA", "NaN", "null", "#N/A"])
def test_missing_values_are_refused_or_filled_from_the_past(read, empty):
    text = dated(10, value=lambda i: empty if i in (3, 4) else f"{i}")
    with pytest.raises(CsvError, match=r"2 missing values, first at 2020-01-04; .*--missing ffill"):
        read(text)
    assert only(read(text, missing="ffill")).iloc[2:6].tolist() == [2.0, 2.0, 2.0, 5.0]


def test_gaps_are_refused_or_filled_from_the_past(read):
    text = dated(40, freq="B", drop=(17, 18))
    with pytest.raises(CsvError, match="spacing 'B', but 2 rows are missing, first 2020-01-24"):
        read(text)
    series = only(read(text, missing="ffill"))
    assert series.index.equals(pd.date_range("2020-01-01", periods=40, freq="B"))
    assert series.iloc[16:20].tolist() == [16.5, 16.5, 16.5, 19.5]
    with pytest.raises(CsvError, match="spacing 'step 10', but 1 row is missing, first 20"):
        read("t,y\n0,1\n10,2\n30,2\n40,1\n")


def test_frequency_can_be_given(read):
    text = dated(20, freq="D", drop=range(1, 20, 2))
    assert only(read(text)).index.freqstr == "2D"
    assert len(only(read(text, freq="D", missing="ffill"))) == 19
    with pytest.raises(CsvError, match="--freq MS does not fit column 'date': 2020-01-03"):
        read(text, freq="MS")
    with pytest.raises(CsvError, match="no frequency that pandas knows"):
        read(text, freq="fortnight")


BAD = [
    ("date,y\n2020-01-01,1\n2020-13-01,2\n2020-01-03,2\n", {}, "'2020-13-01' in line 3"),
    ("date,y\nfoo,1\nbar,2\n", {"time": "date"}, "does not read as dates .line 2 holds 'foo'"),
    ("date,y\n2020-01-01,1\n,2\n2020-01-02,2\n", {}, "column 'date' is empty in line 3"),
    ("date,y\n2020Q1,1\n2020Q5,2\n", {"time": "date"}, "'2020Q5' in line 3, which is no quarter"),
    ("date,y\n2020-01-01,1\n", {}, "one row is too short"),
    (dated(5, value=lambda i: "abc" if i == 3 else "1"), {}, "'abc' in line 5.*not a finite num"),
    (dated(5, value=lambda i: "inf" if i == 3 else "1"), {"target": "y"}, "'inf' in line 5"),
    (dated(5, value=lambda i: "-1e300" if i == 3 else "1"), {}, "'-1e300' in line 5.*too large"),
    (dated(5, value="NA"), {"target": "y"}, "holds no value at all"),
    (dated(5, value="x"), {}, "no column of numbers to forecast; columns are 'date', 'y'"),
    (dated(5, value="1,2", header=("date", "a,b")), {}, "several columns hold numbers"),
    (dated(5), {"target": "z"}, "no column 'z' for --target; columns are 'date', 'y'"),
    (dated(5), {"time": "y", "target": "y"}, "must name different columns"),
    ("a,b,y\n2020-01-01,2020-01-01,1\n2020-01-02,2020-01-02,1\n", {}, "name one with --time"),
    ("date,y\n2020-01-01,1\n2020-01-02,2\n2020-01-09,2\n2020-02-02,2\n", {}, "cannot be inferred"),
    ("date,y\n2020-01-01,1\n2020-01-01,2\n2020-01-02,2\n", {}, "twice, in lines 2 and 3$"),
    ("id,y\n,1\nb,2\n", {"id_col": "id"}, "column 'id' is empty in line 2"),
    ("t,y\n1,1\n2,2\n100,2\n", {}, "not evenly spaced"),
    ("t,y\n1,1\n2,2\n3,2\n", {"freq": "D"}, "--freq D is for dates, but column 't' holds whole"),
    ("t,y\n2020Q1,1\n2020Q2,2\n", {"freq": "MS"}, "--freq MS is for dates, .* holds quarters"),
    ("y\n1\n2\n3\n", {"freq": "D"}, "--freq D needs a column of dates"),
    (dated(5, value=lambda i: "" if i == 0 else "1"), {"missing": "ffill"}, "begins with a miss"),
]


@pytest.mark.parametrize(("text", "options", "sentence"), BAD, ids=[s for *_, s in BAD])
def test_bad_content_is_refused_in_one_line(read, text, options, sentence):
    with pytest.raises(CsvError, match=sentence) as caught:
        read(text, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("f.csv") == 1


def test_values_survive_to_the_last_bit(read):
    numbers = np.random.RandomState(0).standard_normal(50) * 10.0 ** np.arange(-25, 25)
    series = only(read("y\n" + "".join(f"{x!r}\n" for x in numbers.tolist())))
    assert series.tolist() == numbers.tolist()
