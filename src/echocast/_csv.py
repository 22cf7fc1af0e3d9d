"""Read a CSV file into columns of text, saying in one line what is wrong with a bad one."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CsvError", "TextTable", "read_text_table"]

_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SEPARATOR_WORDS = {"\\t": "\t", "tab": "\t"}  # as shells hand over what people type
_SPREADSHEETS = (".ods", ".xlsm", ".xlsx")
_SNIFFED_ROWS = 50
# The first bytes of what people hand over instead of text.
_BINARY = {
    b"PK\x03\x04": "a zip archive or spreadsheet; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet; save the sheet as CSV",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstandard; unpack it first",
    b"PAR1": "a parquet file; convert it to CSV",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
}


class CsvError(ValueError):
    """The file, or what was asked of it, is not usable; the message is one line."""


@dataclass(frozen=True)
class TextTable:
    """The cells of a file as stripped text, column by column.

    Attributes
    ----------
    columns : dict of str to list of str
        In the order of the file; all of the same length.
    lines : list of int
        Line of the file on which each row ends, counted from one.
    separator : str
    notes : list of str
        What the reader took for granted, for the user to see.
    """

    columns: dict[str, list[str]]
    lines: list[int]
    separator: str
    notes: list[str] = field(default_factory=list)

    def select(self, rows: list[int]) -> TextTable:
        """Return a table of the numbered rows."""
        columns = {name: [cells[i] for i in rows] for name, cells in self.columns.items()}
        return TextTable(columns, [self.lines[i] for i in rows], self.separator, self.notes)


def read_text_table(
    path: str | Path, *, separator: str | None = None, encoding: str | None = None
) -> TextTable:
    """Read a CSV file with a header line.

    Parameters
    ----------
    path : str or Path
    separator : str of one character, default None
        None chooses among comma, semicolon, tab and bar. A backslash and t stand for a tab.
    encoding : str, default None
        None means UTF-8, with or without byte-order mark, or UTF-16 with one.

    Raises
    ------
    CsvError
        If the file cannot be read, is empty, is not text or has no usable header, or if its rows
        do not fit the header.
    """
    path = Path(path)
    raw = _read_bytes(path)
    if path.suffix.lower() in _SPREADSHEETS:
        raise CsvError(f"{path}: a spreadsheet, not a CSV file; save the sheet as CSV")
    text = _decode(raw, path, encoding)
    if not text.strip():
        raise CsvError(f"{path}: the file is empty")
    separator = _sniff_separator(text) if separator is None else separator
    separator = _SEPARATOR_WORDS.get(separator, separator)
    if len(separator) != 1 or separator in '"\r\n':
        raise CsvError(f"the separator must be one character, got {separator!r}")
    header, rows, lines = _split(text, separator, path)
    names = _column_names(header, path)
    if not rows:
        raise CsvError(f"{path}: there is a header but no row of data below it")
    columns = {name: list(cells) for name, cells in zip(names, zip(*rows), strict=True)}
    notes = [] if separator == "," else [f"columns are separated by {_name_of(separator)}s"]
    return TextTable(columns, lines, separator, notes)


def _name_of(separator: str) -> str:
    return _SEPARATOR_NAMES.get(separator, repr(separator))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CsvError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise CsvError(f"{path}: is a folder, not a CSV file") from None
    except OSError as error:
        raise CsvError(f"{path}: cannot be read ({error.strerror or error})") from None


def _decode(raw: bytes, path: Path, encoding: str | None) -> str:
    for start, what in _BINARY.items():
        if raw.startswith(start):
            raise CsvError(f"{path}: not a CSV file but {what}")
    if encoding is None:
        wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if wide else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except LookupError:
        raise CsvError(f"unknown encoding {encoding!r}") from None
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = raw.count(b"\n", 0, at) + 1
        shown = encoding.removesuffix("-sig").upper()
        raise CsvError(
            f"{path}: line {line} is not {shown} text; save the file as UTF-8 or name its "
            "encoding, for example --encoding cp1252"
        ) from None
    if "\0" in text:
        raise CsvError(f"{path}: not a CSV file (it holds binary data)")
    return text.removeprefix("\ufeff")


def _sniff_separator(text: str) -> str:
    """Return the separator that cuts the first rows into the same number of cells, above one."""
    head = "".join(io.StringIO(text).readlines(1 << 16)[:_SNIFFED_ROWS])
    best, best_score = ",", (0.0, 0)
    for separator in _SEPARATORS:
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(head), delimiter=separator) if row]
        except csv.Error:
            continue
        if not widths or widths[0] < 2:
            continue
        agreeing = Counter(widths)[widths[0]] / len(widths)
        score = (round(agreeing, 1), widths[0])
        if score > best_score:
            best, best_score = separator, score
    return best


def _split(text: str, separator: str, path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the header, the rows of as many cells, and the line on which each row ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not header:
                header = row if any(row) else []
                continue
            if not row:
                # In a file of one column a blank line is a missing value; elsewhere it is nothing.
                if len(header) > 1:
                    continue
                row = [""]
            # A separator at the end of every row is common and harmless.
            if len(row) == len(header) + 1 and not row[-1]:
                row.pop()
            if len(row) != len(header):
                raise CsvError(
                    f"{path}: line {reader.line_num} has {len(row)} cells, but the header has "
                    f"{len(header)} (columns separated by {_name_of(separator)}s)"
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise CsvError(f"{path}: line {reader.line_num}: {error}") from None
    while rows and not any(rows[-1]):  # rows of empty cells that spreadsheets leave at the end
        rows.pop()
        lines.pop()
    return header, rows, lines


def _column_names(header: list[str], path: Path) -> list[str]:
    """Check the header; a nameless column, as spreadsheets write for row names, gets a name."""
    if not any(character.isalpha() for name in header for character in name):
        example = ",".join(["time", "y"] if len(header) == 2 else ["y"])
        raise CsvError(
            f"{path}: the first line must name the columns, but it holds values "
            f"({', '.join(header[:4])}); put a line such as {example!r} above it"
        )
    names = [name or f"column_{i}" for i, name in enumerate(header, start=1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise CsvError(f"{path}: two columns are called {twice[0]!r}; names must differ")
    return names
