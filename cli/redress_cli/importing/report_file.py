"""The report of an import as a CSV file: one line for each row, in UTF-8, and with nothing in it that a spreadsheet would compute."""

from __future__ import annotations

import csv
from pathlib import Path

from redress_cli.harmless import harmless
from redress_cli.importing.posting import ImportReport

HEADER = ("line", "outcome", "number", "code", "reason")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # a spreadsheet computes what begins with one of them


def write_report(file: Path, report: ImportReport) -> None:
    """Raises OSError."""
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(HEADER)
        for each in report.outcomes:
            writer.writerow(map(harmless_cell, (str(each.line), each.outcome, each.number, each.code, each.reason)))
            for code, reason in each.warnings:
                writer.writerow(map(harmless_cell, (str(each.line), "warning", each.number, code, reason)))


def harmless_cell(text: str) -> str:
    """The text as a spreadsheet shows it: an apostrophe before what it would take for a formula."""
    shown = harmless(text)
    return f"'{shown}" if text.startswith(FORMULA) else shown
