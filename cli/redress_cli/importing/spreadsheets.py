"""A sheet of an XLSX file, by openpyxl: texts, numbers and dates as they are, formulas by the value that was saved with them."""

from __future__ import annotations

import io
import warnings
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.escape import unescape

from redress_cli.importing.tables import SAVE_ANEW, Cell, FileFlaw, FileTable, FileUnusable, UnreadableCell

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

FORMULA, ERROR = "f", "e"  # openpyxl's types of cells


def read_sheet(content: bytes, name: str | None) -> FileTable:
    """The sheet of this name, or the only one with anything in it. Raises FileUnusable."""
    sheet = _chosen(_opened(content), name)
    table = FileTable(f"XLSX, sheet {sheet.title!r}")
    rows = list(sheet.iter_rows())
    formulas = any(cell.data_type == FORMULA for row in rows for cell in row)
    saved = _opened(content, saved_values=True)[sheet.title] if formulas else sheet
    for line, row in enumerate(rows, 1):
        table.add(line, [_cell(cell, saved[cell.coordinate].value if cell.data_type == FORMULA else cell.value) for cell in row])
    for merged in sheet.merged_cells.ranges:
        if table.header and (merged.max_row or 0) > table.header_line:
            table.flaws.append(
                FileFlaw(max(merged.min_row, table.header_line), f"{merged.coord} is one merged cell. Unmerge it, and fill each.")
            )
    return table


def _opened(content: bytes, saved_values: bool = False) -> Workbook:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and rules that nobody needs here
            return openpyxl.load_workbook(io.BytesIO(content), data_only=saved_values, keep_links=False)
    except (BadZipFile, KeyError, ValueError, TypeError, SyntaxError, OSError) as error:  # a fault in XML is a SyntaxError
        raise FileUnusable(f"It is not a readable XLSX file ({type(error).__name__}). {SAVE_ANEW}") from None


def _chosen(book: Workbook, name: str | None) -> Worksheet:
    names = ", ".join(sheet.title for sheet in book.worksheets)
    if name is not None:
        found = next((sheet for sheet in book.worksheets if sheet.title == name), None)
        if found is None:
            raise FileUnusable(f"It has no sheet {name!r}. The sheets are: {names}")
        return found
    filled = [sheet for sheet in book.worksheets if any(cell is not None for row in sheet.iter_rows(values_only=True) for cell in row)]
    if not filled:
        raise FileUnusable("It is empty.")
    if len(filled) > 1:
        raise FileUnusable(f"It has several sheets: {names}. Choose one: --sheet NAME")
    return filled[0]


def _cell(cell: Any, value: Any) -> Cell:
    if cell.data_type == FORMULA and value is None:
        return UnreadableCell(f"{cell.coordinate} is a formula without a saved value. Open the file in a spreadsheet and save it.")
    if cell.data_type == ERROR or (cell.data_type == FORMULA and isinstance(value, str) and value.startswith("#")):
        return UnreadableCell(f"{cell.coordinate} is an error: {value}")
    match value:
        case None:
            return ""
        case str():
            text = unescape(value) if "_x" in value else value
            return text if text.strip() else ""
        case bool():
            return str(value).upper()
        case float() if value.is_integer():
            return str(int(value))
        case datetime():
            return value
        case date():
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 (a spreadsheet's dates have no zone)
        case time():
            return value.isoformat()
        case timedelta():
            return str(value)
    return str(value)
