"""Files as they are found: each quirk is read right, or refused with its line and a reason. Nothing vanishes."""

from __future__ import annotations

import io
import re
from datetime import date, datetime
from typing import Any

import openpyxl
import pytest

from redress_cli.importing.tables import FileTable, FileUnusable, UnreadableCell, read_table

PLAIN = [("text", "channel"), ("没有信号", "热线"), ("No signal", "web")]


def texts(table: FileTable) -> list[tuple[Any, ...]]:
    return [table.header, *(row.cells for row in table.rows)]


def read(content: str | bytes, **options: str) -> FileTable:
    return read_table(content.encode() if isinstance(content, str) else content, **options)


def flaws(content: str | bytes) -> list[tuple[int, str]]:
    return [(flaw.line, flaw.reason) for flaw in read(content).flaws]


def workbook(*sheets: Any, change: Any = None) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for n, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Sheet {n}")
        for row in rows:
            sheet.append(row)
    if change:
        change(book.worksheets[0])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_separators_and_ends_of_lines(encoding: str, separator: str, end: str):
    content = end.join(separator.join(row) for row in PLAIN).encode(encoding)
    table = read(content)
    assert texts(table) == PLAIN and not table.flaws
    assert [row.line for row in table.rows] == [2, 3]


@pytest.mark.parametrize("text", ["Le café est fermé, déjà", "Hôtel très bien"], ids=["is no GB18030", "is GB18030, but not Chinese"])
def test_another_encoding_is_told_and_never_guessed(text: str):
    content = f'text\n"{text}"\n'.encode("cp1252")
    with pytest.raises(FileUnusable, match="not text in UTF-8 or GB18030"):
        read(content)
    assert read(content, encoding="cp1252").rows[0].cells == (text,)
    with pytest.raises(FileUnusable, match="no encoding 'klingon'"):
        read(content, encoding="klingon")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1old", "old Excel file"),
        (b"<html><table><tr><td>text</td></tr></table></html>", "web page"),
        (b"PK\x03\x04 no zip at all", "not a readable XLSX file"),
        (b"text\0,channel\n", "not text in"),
    ],
)
def test_what_is_no_table_is_said(content: bytes, said: str):
    with pytest.raises(FileUnusable, match=said):
        read(content)


def test_an_open_quote_swallows_nothing():
    [(line, reason)] = flaws('text,channel\n"My line is dead,hotline\nSecond,web\nThird,app\n"Fourth",web\n')
    assert line == 2 and "line 5" in reason
    [(line, reason)] = flaws('text,channel\nFirst,web\n"Second,web\nThird,app\n')
    assert line == 3 and "never closed" in reason
    [(line, reason)] = flaws('text,"channel\nFirst,web\n')
    assert line == 1 and "never closed" in reason
    [(line, reason)] = flaws('text,channel\n"' + "line after line\n" * 10_000)
    assert line == 2 and "longer than any text may be" in reason


def test_an_unquoted_comma_cuts_no_text():
    [(line, reason)] = flaws("text,channel\nIt is slow, every evening,web\nFine,web\n")
    assert line == 2 and "cell 3 is not empty" in reason and "quotes" in reason
    assert flaws('text\nIt is slow, every evening\n"It is slow, every evening"\n')[0][0] == 2


def test_a_line_break_outside_quotes_cuts_no_text():
    assert [line for line, _ in flaws("text,channel\nIt is slow\nevery evening,web\n")] == [2]


def test_a_value_below_no_name_is_refused_and_empty_cells_are_not():
    assert read("text,channel,,\nSlow,web,,\n\nSlower,app,,,,\n").flaws == []
    assert [line for line, _ in flaws("text,,channel\nSlow,,web\nSlow,often,web\n")] == [3]


def test_a_row_of_several_lines_is_known_by_its_first():
    table = read('text,channel\n"One\ntwo\n\nthree",web\n\nFour,app\n')
    assert [(row.line, row.cells[0]) for row in table.rows] == [(2, "One\ntwo\n\nthree"), (7, "Four")]


def test_a_spreadsheets_line_about_separators_is_no_header():
    table = read("sep=;\ntext;channel\nSlow, often;web\n")
    assert texts(table) == [("text", "channel"), ("Slow, often", "web")] and table.rows[0].line == 3


def test_a_sheet_of_excel():
    moment = datetime(2026, 11, 20, 9, 5)  # noqa: DTZ001 (as a spreadsheet has it)
    table = read(
        workbook(
            [
                ["内容", "电话", "日期", "渠道"],
                ["没有信号\n很久了", 13800000000, moment, "热线"],
                [None, None, None, None],
                [" ", 13800000000.0, date(2026, 11, 20), True],
                ["a_x000D_\nb", 0.5, 46346, ""],
            ]
        )
    )
    assert table.form == "XLSX, sheet 'Sheet 1'" and not table.flaws
    assert [(row.line, row.cells) for row in table.rows] == [
        (2, ("没有信号\n很久了", "13800000000", moment, "热线")),
        (4, ("", "13800000000", datetime(2026, 11, 20), "TRUE")),  # noqa: DTZ001
        (5, ("a\r\nb", "0.5", "46346", "")),
    ]


def test_of_several_sheets_one_is_named():
    content = workbook([], [["text"], ["Slow"]], [["text"], ["Slower"]])
    with pytest.raises(FileUnusable, match="several sheets: Sheet 1, Sheet 2, Sheet 3"):
        read(content)
    with pytest.raises(FileUnusable, match="no sheet 'Sheet 4'"):
        read(content, sheet="Sheet 4")
    assert read(content, sheet="Sheet 3").rows[0].cells == ("Slower",)
    assert read(workbook([], [["text"], ["Slow"]])).rows[0].cells == ("Slow",)
    with pytest.raises(FileUnusable, match="is empty"):
        read(workbook([]))
    with pytest.raises(FileUnusable, match="for XLSX"):
        read("text\nSlow\n", sheet="Sheet 1")


def test_formulas_without_a_value_errors_and_merged_cells_are_no_values():
    rows = [["text", "channel"], ['=A1&"!"', "web"], ["#N/A", "web"], ["Slow", "web"], ["Slower", None]]
    table = read(workbook(rows, change=lambda sheet: sheet.merge_cells("B4:B5")))
    formula, error = table.rows[0].cells[0], table.rows[1].cells[0]
    assert isinstance(formula, UnreadableCell) and "A2 is a formula" in formula.reason
    assert isinstance(error, UnreadableCell) and error.reason == "A3 is an error: #N/A"
    assert [(flaw.line, flaw.reason.partition(" ")[0]) for flaw in table.flaws] == [(4, "B4:B5")]


def broken(how: str) -> bytes:
    """A workbook that is a ZIP archive and still cannot be read."""
    content = bytearray(workbook(PLAIN))
    if how == "compression":
        content[300] ^= 0xFF
    else:  # a password
        for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            for found in re.finditer(re.escape(mark), bytes(content)):
                content[found.start() + flags] |= 1
    return bytes(content)


@pytest.mark.parametrize("how", ["compression", "password"])
def test_a_workbook_that_is_broken_inside_is_a_sentence(how: str):
    with pytest.raises(FileUnusable, match=r"not a readable XLSX file .* without a password"):
        read(broken(how))


def test_a_book_of_charts_alone_is_a_sentence():
    book = openpyxl.Workbook()
    book.create_chartsheet("Chart")
    book.remove(book.worksheets[0])
    file = io.BytesIO()
    book.save(file)
    with pytest.raises(FileUnusable):
        read(file.getvalue())


def test_a_lone_cell_far_away_takes_no_memory():
    far = workbook(PLAIN, change=lambda sheet: sheet.cell(200_000, 16_384, "far"))
    with pytest.raises(FileUnusable, match="reaches to XFD200000, and 5,000,000 cells are read at most"):
        read(far)
    with pytest.raises(FileUnusable, match="reaches to XFD200000"):
        read(far, sheet="Sheet 1")


def test_an_encoding_that_decodes_nothing_is_a_sentence():
    with pytest.raises(FileUnusable, match="not text in undefined"):
        read("text\nSlow\n", encoding="undefined")
