"""Reading CSV files into text: encodings, separators, ragged rows and what is no CSV at all."""

import pytest

from csv_files import dated
from echocast._csv import CsvError, read_text_table


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "f.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_is_found(write, separator):
    table = read_text_table(write(dated(3, separator=separator)))
    assert table.columns["y"] == ["0.5", "1.5", "2.5"]
    assert table.separator == separator
    assert table.lines == [2, 3, 4]
    assert len(table.notes) == (separator != ",")


def test_separator_is_not_a_decimal_comma(write):
    table = read_text_table(write("a;b\n1,5;2,5\n3,5;4,5\n"))
    assert table.columns == {"a": ["1,5", "3,5"], "b": ["2,5", "4,5"]}


def test_separator_can_be_given(write):
    assert list(read_text_table(write("a:b,c\n1:2,3\n"), separator=":").columns) == ["a", "b,c"]
    with pytest.raises(CsvError, match="one character"):
        read_text_table(write("a,b\n1,2\n"), separator="--")


@pytest.mark.parametrize("separator", ["\t", "\\t", "tab"])
def test_a_tab_can_be_typed(write, separator):
    table = read_text_table(write("a,1\tb\n1\t2\n"), separator=separator)
    assert table.columns == {"a,1": ["1"], "b": ["2"]}


@pytest.mark.parametrize("separator", ['"', "\n"])
def test_what_ends_cells_or_rows_is_no_separator(write, separator):
    with pytest.raises(CsvError, match="the separator must be one character"):
        read_text_table(write("a,b\n1,2\n"), separator=separator)


def test_spreadsheets_are_refused_by_name(tmp_path):
    path = tmp_path / "sales.xlsx"
    with pytest.raises(CsvError, match="no such file"):
        read_text_table(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(CsvError, match=r"sales.xlsx: a spreadsheet, .* save the sheet as CSV"):
        read_text_table(path)


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b"\xef\xbb\xbf" + dated(3).encode(), None),
        (dated(3).encode("utf-16"), None),
        (dated(3).encode("utf-16-be"), "utf-16-be"),
        (dated(3).replace("\n", "\r\n").encode(), None),
        (dated(3).replace("\n", "\r").encode(), None),
        (dated(3).rstrip().encode(), None),
        (b"\n\n" + dated(3).encode() + b"\n\n", None),
    ],
    ids=["bom", "utf-16", "utf-16-be", "crlf", "cr", "no last newline", "blank lines"],
)
def test_encodings_and_line_ends(write, raw, encoding):
    table = read_text_table(write(raw), encoding=encoding)
    assert list(table.columns) == ["date", "y"]
    assert table.columns["y"] == ["0.5", "1.5", "2.5"]


def test_quotes_spaces_and_trailing_separators(write):
    table = read_text_table(write('a, b,\n"1,5", 2,\n" x ""y""",3,\n,,\n'))
    assert table.columns["a"] == ["1,5", 'x "y"']
    assert table.columns["b"] == ["2", "3"]


def test_nameless_column_gets_a_name(write):
    assert list(read_text_table(write(",y\n1,3\n")).columns) == ["column_1", "y"]


def test_blank_line_is_a_missing_value_in_a_single_column_only(write):
    assert read_text_table(write("y\n1\n\n3\n\n")).columns["y"] == ["1", "", "3"]
    assert read_text_table(write("x,y\n1,2\n\n3,4\n")).columns["y"] == ["2", "4"]


BAD = [
    (b"", "the file is empty"),
    (b" \n \n", "the file is empty"),
    (b"date,y\n", "no row of data"),
    (b"date,y\n,\n", "no row of data"),
    (b"1\n2\n", "first line must name the columns"),
    (b"2020-01-01,2\n2020-01-02,3\n", "put a line such as 'time,y' above it"),
    (b"y,y\n1,2\n", "two columns are called 'y'"),
    (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells, but the header has 2"),
    (b"a,b\n1,2\n1\n", "line 3 has 1 cells"),
    (b'a,b\n"1,2\n3,4\n', "line 3: unexpected end of data"),
    ("a,grö\n1,2\n".encode("latin-1"), "line 1 is not UTF-8 text.*--encoding cp1252"),
    (b"a,b\n1,\0\n", "binary data"),
    (b"\x89PNG\r\n\x1a\n", "a picture"),
    (b"PK\x03\x04", "save the sheet as CSV"),
    (b"\x1f\x8b\x08", "unpack it first"),
]


@pytest.mark.parametrize(("raw", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_bad_files_are_refused_in_one_line(write, raw, sentence):
    with pytest.raises(CsvError, match=sentence) as caught:
        read_text_table(write(raw))
    assert "\n" not in str(caught.value)
    assert "f.csv: " in str(caught.value)


def test_missing_file_folder_and_unknown_encoding(tmp_path, write):
    with pytest.raises(CsvError, match="no such file"):
        read_text_table(tmp_path / "none.csv")
    with pytest.raises(CsvError, match="is a folder"):
        read_text_table(tmp_path)
    with pytest.raises(CsvError, match="unknown encoding 'klingon'"):
        read_text_table(write("a\n1\n"), encoding="klingon")
