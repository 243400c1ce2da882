"""What a table asks for: a request for each row that is understood, a reason for each other, and none at all where the table is broken."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any

from redress_cli.importing.cells import CHANNEL_OF, PHONES, channel_of, kind_of, number_of, plain, says_nothing
from redress_cli.importing.columns import TIME, UsedColumns, choose
from redress_cli.importing.dates import WORDS, DateUnclear, Order, WrittenDate, order_of, read_date
from redress_cli.importing.refusals import RowRefused
from redress_cli.importing.tables import Cell, FileFlaw, FileTable, TableRow, UnreadableCell

DATES = ("received_at", "since")
USUAL_CHANNEL, USUAL_KIND = "web", "complaint"
SWALLOWED = (
    "Several lines of this row look like rows of their own: is a quote missing at the end of a text? "
    "If the text does have these lines, take the separators out of them."
)


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """line: where it begins in the file. body: of POST /complaints, or None where it is refused."""

    line: int
    body: dict[str, Any] | None
    refused: RowRefused | None = None


@dataclass(slots=True)
class ImportPlan:
    """columns: field → name in the header. constants: field → value for every row. orders: how the dates of a field are read.

    flaws: of the table; with any, nothing is posted."""

    form: str
    rows: list[PlannedRow] = field(default_factory=list)
    flaws: list[FileFlaw] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    orders: dict[str, str] = field(default_factory=dict)

    @property
    def to_post(self) -> list[PlannedRow]:
        return [] if self.flaws else [row for row in self.rows if row.body is not None]


def make_plan(
    table: FileTable, told: Mapping[str, str], constants: Mapping[str, str], zone: tzinfo, today: date, order: Order | None = None
) -> ImportPlan:
    """Raises MappingUnusable. order: of day, month and year, where the operator says it."""
    plan = ImportPlan(table.form, flaws=list(table.flaws))
    if plan.flaws and table.header == ("?",):  # not even the header could be read
        plan.rows = [PlannedRow(row.line, None) for row in table.rows]
        return plan
    used = choose(table.header, told, constants)
    plan.columns = {field: table.header[place] for field, place in used.places.items()}
    plan.unused = used.unused
    plan.flaws += [FileFlaw(table.header_line, flaw) for flaw in used.flaws]
    plan.flaws += [FileFlaw(row.line, SWALLOWED) for row in table.rows if _swallowed(row, used, len(table.header), table.separator)]
    plan.constants = dict(constants) if {"channel"} & {*used.places, *constants} else {**constants, "channel": USUAL_CHANNEL}
    given = [{**{name: row.cells[place] for name, place in used.places.items()}, **constants} for row in table.rows]
    dates, orders = _dates(plan, table, given, today, order)
    for n, (row, cells) in enumerate(zip(table.rows, given, strict=True)):
        try:
            plan.rows.append(PlannedRow(row.line, _body(cells, {name: dates[name][n] for name in DATES}, orders, zone)))
        except RowRefused as refused:
            plan.rows.append(PlannedRow(row.line, None, refused))
    plan.flaws.sort(key=lambda flaw: flaw.line)
    return plan


ReadDate = WrittenDate | RowRefused | None


def _dates(
    plan: ImportPlan, table: FileTable, given: Sequence[Mapping[str, Cell]], today: date, told: Order | None
) -> tuple[dict[str, list[ReadDate]], dict[str, Order | None]]:
    """Each row's dates, and in which order of day, month and year each field's are read. What is unclear is a flaw of the table."""
    read: dict[str, list[ReadDate]] = {}
    orders: dict[str, Order | None] = {}
    for name in DATES:
        read[name] = [_date(name, cells, today) for cells in given]
        orders[name] = told
        if told is not None:
            continue
        lines = [(row.line, each) for row, each in zip(table.rows, read[name], strict=True) if isinstance(each, WrittenDate)]
        try:
            orders[name], decided = order_of(lines)
        except DateUnclear as unclear:
            plan.flaws.append(FileFlaw(unclear.line, f"/{name}: {unclear}"))
            read[name] = [each if isinstance(each, RowRefused) else None for each in read[name]]
            continue
        if (found := orders[name]) is not None:
            plan.orders[name] = WORDS[found] + (f", as line {decided} tells" if decided else "")
    return read, orders


def _date(name: str, cells: Mapping[str, Cell], today: date) -> ReadDate:
    cell, clock = cells.get(name, ""), cells.get(TIME, "") if name == "received_at" else ""
    if isinstance(cell, UnreadableCell) or (isinstance(cell, str) and says_nothing(name, cell)):
        return None  # the row is refused for the cell itself
    try:
        if isinstance(clock, str) and not says_nothing(TIME, clock):
            return read_date(f"{cell.date() if isinstance(cell, datetime) else cell} {clock}", today)
        return read_date(cell, today)
    except DateUnclear as unclear:
        return RowRefused("date-unclear", name, str(unclear))


def _body(cells: Mapping[str, Cell], dates: Mapping[str, ReadDate], orders: Mapping[str, Order | None], zone: tzinfo) -> dict[str, Any]:
    """The request's body. Raises RowRefused."""
    for name, cell in cells.items():
        if isinstance(cell, UnreadableCell):
            raise RowRefused("cell-unreadable", name, cell.reason)
    body: dict[str, Any] = {"channel": USUAL_CHANNEL, "kind": USUAL_KIND}
    for name, cell in cells.items():
        if name == TIME or name in DATES:
            continue
        text = str(cell).strip()
        if name in PHONES:
            text = number_of(name, text)
        if name == "channel":
            if says_nothing(name, text):
                raise RowRefused("channel-unknown", name, "It is empty. Fill it, or set one for all rows: --set channel=hotline")
            text = channel_of(text)
        if says_nothing(name, text):
            continue
        body[name] = kind_of(text) if name == "kind" else text
    if "text" not in body:
        raise RowRefused("text-missing", "text", "There is no text. A complaint needs one.")
    for name, read in dates.items():
        if isinstance(read, RowRefused):
            raise read
        if read is not None:
            try:
                body[name] = read.at(orders[name], zone).isoformat()
            except DateUnclear as unclear:
                raise RowRefused("date-unclear", name, str(unclear)) from None
    return body


def _swallowed(row: TableRow, used: UsedColumns, width: int, separator: str) -> bool:
    """Whether two or more of its lines, read without their quotes, are rows: as many cells as the header has, and a channel in its column.
    A text of several lines has no more than one such."""
    place = used.places.get("channel")
    if place is None or len(row.written) < 2:
        return False
    alone = [next(csv.reader([line.replace('"', "")], delimiter=separator), []) for line in row.written]
    return sum(len(cells) == width and plain(cells[place]) in CHANNEL_OF for cells in alone) > 1
