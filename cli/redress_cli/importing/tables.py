"""A table as it stands in a file: CSV with whatever separator and encoding, or a sheet of XLSX. Cells are read as they are, judged later.

Reading is strict, for what a lenient reader makes of a fault is somebody else's text: an open quote swallows the rows behind it, and a
comma too many cuts a text. Each fault is kept with its line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

SEPARATORS = (",", "\t", ";", "|")
SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")  # a spreadsheet's own first line
BYTE_ORDER = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
GB18030 = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|(?P<rare>[\x81-\xfe][\x40-\x7e])|(?P<usual>[\x81-\xfe][\x80-\xfe])")
ZIP, OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SAVE_ANEW = "Open it in a spreadsheet and save it as XLSX, without a password."


class FileUnusable(Exception):
    """The file as a whole cannot be read; a sentence says why, and what to do."""


@dataclass(frozen=True, slots=True)
class UnreadableCell:
    """A cell of a spreadsheet that has no value that anybody could post. It is a fault only where its column is used."""

    reason: str


Cell = str | datetime | UnreadableCell


@dataclass(frozen=True, slots=True)
class FileFlaw:
    """Something wrong with the table itself: nothing of it is posted."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """line: where it begins. cells: as many as the header has. written: its lines in the file, where they are several."""

    line: int
    cells: tuple[Cell, ...]
    written: tuple[str, ...] = ()


@dataclass(slots=True)
class FileTable:
    """form: what the file was taken as, in words. separator: none in a spreadsheet."""

    form: str
    separator: str = ""
    header_line: int = 0
    header: tuple[str, ...] = ()
    rows: list[TableRow] = field(default_factory=list)
    flaws: list[FileFlaw] = field(default_factory=list)

    def add(self, line: int, cells: list[Cell], written: tuple[str, ...] = ()) -> None:
        """A row as the file has it: the first with anything in it is the header, empty ones are passed over."""
        if all(cell == "" for cell in cells):
            return
        if not self.header:
            self.header_line, self.header = line, tuple(str(cell).strip() for cell in _until_the_last(cells))
            return
        width = len(self.header)
        if len(cells) < width and self.separator:
            self.flaws.append(FileFlaw(line, f"It has {len(cells)} cells, and the header has {width}. {self._quoting()}"))
        named = [*cells[:width], *[""] * (width - len(cells))]
        surplus = next((n for n, cell in enumerate(cells) if cell != "" and not (n < width and self.header[n])), None)
        if surplus is not None:
            why = self._quoting() if self.separator else "Name the column, or empty the cell."
            self.flaws.append(FileFlaw(line, f"Its cell {surplus + 1} is not empty, and the header names no such column. {why}"))
        self.rows.append(TableRow(line, tuple(named), written if len(written) > 1 else ()))

    def _quoting(self) -> str:
        name = "tab" if self.separator == "\t" else self.separator
        return f'Put a text that contains a {name} or a line break in quotes: "…".'


def read_table(content: bytes, encoding: str | None = None, sheet: str | None = None) -> FileTable:
    """The table in a file's bytes. Raises FileUnusable."""
    if content.startswith(ZIP):
        from redress_cli.importing.spreadsheets import read_sheet  # openpyxl takes a while to import

        table = read_sheet(content, sheet)
    elif sheet is not None:
        raise FileUnusable("It has no sheets: --sheet is for XLSX.")
    else:
        table = _separated(*_decoded(content, encoding))
    if not table.header:
        raise FileUnusable("It is empty.")
    return table


def _until_the_last(cells: list[Cell]) -> list[Cell]:
    """Without the empty cells at the end."""
    return cells[: max((n for n, cell in enumerate(cells, 1) if str(cell).strip()), default=0)]


def _decoded(content: bytes, encoding: str | None) -> tuple[str, str]:
    """The text, and the name of its encoding."""
    if content.startswith(OLD_EXCEL):
        raise FileUnusable(f"It is an old Excel file (XLS), or has a password. {SAVE_ANEW}")
    if content[:100].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<html", b"<!doctype", b"<?xml", b"<table", b"<meta")):
        raise FileUnusable(f"It is a web page or XML, whatever its name says. {SAVE_ANEW}")
    marked = next((name for mark, name in BYTE_ORDER.items() if content.startswith(mark)), None)
    for name in (encoding,) if encoding else (marked,) if marked else ("utf-8", "gb18030"):
        try:
            text = content.decode(name)
        except LookupError:
            raise FileUnusable(f"There is no encoding {name!r}. Usual ones: utf-8, gb18030, utf-16, cp1252.") from None
        except UnicodeError:
            continue
        if "\0" in text or (name == "gb18030" and not encoding and not _chinese(content)):
            break
        return text.removeprefix("\ufeff"), {"utf-8-sig": "UTF-8", "gb18030": "GB18030"}.get(name, name.upper())
    asked = encoding or "UTF-8 or GB18030"
    raise FileUnusable(f'It is not text in {asked}. Name its encoding: --encoding NAME, or save it as "CSV UTF-8" or XLSX.')


def _chinese(content: bytes) -> bool:
    """Whether what decodes as GB18030 is Chinese. Western encodings do too, as rare characters whose second byte is a plain letter."""
    kinds = [found.lastgroup for found in GB18030.finditer(content)]
    return kinds.count("rare") <= kinds.count("usual")


def _separated(text: str, encoding: str) -> FileTable:
    said = SEPARATOR_LINE.match(text)
    separator = said[1] if said else _separator_of(text)
    table = FileTable(f"{'TSV' if separator == chr(9) else 'CSV'} in {encoding}", separator)
    lines = _Remembered(io.StringIO(text, newline=""))
    if said:
        next(lines)
    skipped = 1 if said else 0
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.latest.clear()
        begins = reader.line_num + skipped + 1
        try:
            cells = next(reader)
        except StopIteration:
            return table
        except csv.Error as error:
            table.flaws.append(FileFlaw(begins, _explained(error, reader.line_num + skipped)))
            table.header = table.header or ("?",)
            table.rows.append(TableRow(begins, ("",) * len(table.header)))
            return table
        table.add(begins, [cell if cell.strip() else "" for cell in cells], tuple(lines.latest))


def _separator_of(text: str) -> str:
    """What the first line that is not empty has most of, outside quotes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    outside = re.sub(r'"[^"]*"?', "", first)
    return max(SEPARATORS, key=outside.count)


class _Remembered:
    """Lines, of which the latest are remembered."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.latest: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.latest.append(line.rstrip("\r\n"))
        return line


def _explained(error: csv.Error, ends: int) -> str:
    if "field larger than field limit" in str(error):
        return "A quote opens here, and the text after it is longer than any text may be. Close the quote. The rows after it were not read."
    if "unexpected end of data" in str(error):
        return "A quote opens here and is never closed. The rows after it were not read."
    return (
        f'A quote opens here, and in line {ends} one closes with more text behind it. A quote inside a quoted text is written twice: "". '
        "The rows after it were not read."
    )
