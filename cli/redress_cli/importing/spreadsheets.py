"""A sheet of an XLSX file, by openpyxl: texts, numbers and dates as they are, formulas by the value that was saved with them."""

from __future__ import annotations

import io
import warnings
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import openpyxl
from openpyxl.utils import get_column_letter
from openpyxl.utils.escape import unescape

from redress_cli.importing.tables import SAVE_ANEW, Cell, FileFlaw, FileTable, FileUnusable, UnreadableCell

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

MOST_CELLS = 5_000_000  # of a sheet, empty ones among them: each takes memory
FORMULA, ERROR = "f", "e"  # openpyxl's types of cells


def read_sheet(content: bytes, name: str | None) -> FileTable:
    """The sheet of this name, or the only one with anything in it. Raises FileUnusable."""
    sheet = _chosen(_opened(content), name)
    _fits(sheet)
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
    except Exception as error:  # of the archive, its compression, its XML or openpyxl's own: whatever a broken file makes them raise
        raise FileUnusable(f"It is not a readable XLSX file ({type(error).__name__}). {SAVE_ANEW}") from None


def _chosen(book: Workbook, name: str | None) -> Worksheet:
    names = ", ".join(sheet.title for sheet in book.worksheets)
    if name is not None:
        found = next((sheet for sheet in book.worksheets if sheet.title == name), None)
        if found is None:
            raise FileUnusable(f"It has no sheet {name!r}. The sheets are: {names}")
        return found
    for sheet in book.worksheets:
        _fits(sheet)
    filled = [sheet for sheet in book.worksheets if any(cell is not None for row in sheet.iter_rows(values_only=True) for cell in row)]
    if not filled:
        raise FileUnusable("It is empty.")
    if len(filled) > 1:
        raise FileUnusable(f"It has several sheets: {names}. Choose one: --sheet NAME")
    return filled[0]


def _fits(sheet: Worksheet) -> None:
    """Raises FileUnusable where a lone cell far away makes millions of empty ones."""
    if sheet.max_row * sheet.max_column > MOST_CELLS:
        last = f"{get_column_letter(sheet.max_column)}{sheet.max_row}"
        raise FileUnusable(
            f"Sheet {sheet.title!r} reaches to {last}, and {MOST_CELLS:,} cells are read at most. Delete the empty rows and columns behind "
            "the table, and save it; or split the table."
        )


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
