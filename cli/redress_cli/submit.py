"""Post complaints from a file, as a front end would: with a retry that never doubles, and a report in which every row has an outcome."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from redress_cli.console import DEFAULT_FOLDER, AsJson, Folder, err, fail, out, running_stack
from redress_cli.harmless import foreign, harmless
from redress_cli.importing.columns import MappingUnusable
from redress_cli.importing.dates import DateUnclear, order_named
from redress_cli.importing.plan import ImportPlan, make_plan
from redress_cli.importing.posting import ImportReport, RowOutcome, before_posting, post_all
from redress_cli.importing.report_file import write_report
from redress_cli.importing.tables import FileUnusable, read_table

MOST_SHOWN = 50  # rows of each table; --report has all


def submit(
    file: Annotated[Path, typer.Argument(help="A table with a header: CSV, TSV or XLSX.", exists=True, dir_okay=False)],
    column: Annotated[
        list[str] | None, typer.Option("--map", help="field=column, where the header has a different name; may be repeated.")
    ] = None,
    constant: Annotated[list[str] | None, typer.Option("--set", help="field=value for every row: --set channel=hotline")] = None,
    date_format: Annotated[
        str | None, typer.Option("--date-format", help="DMY, MDY or YMD, where the dates are ambiguous, such as 02/03/2026.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone of dates without one.")] = "Asia/Shanghai",
    encoding: Annotated[str | None, typer.Option(help="Encoding of a CSV file that is neither UTF-8 nor GB18030: cp1252, …")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of an XLSX file with several sheets.")] = None,
    limit: Annotated[int, typer.Option(help="Only the first rows, this many; 0: all.", min=0)] = 0,
    at_once: Annotated[int, typer.Option(help="How many posts run at the same time.", min=1, max=64)] = 8,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write the result of each row to this CSV file.", dir_okay=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be posted, and what would be refused. Needs no stack.")
    ] = False,
    folder: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Post each row of a file as a complaint.

    Usual column names are understood, in English and Chinese: text or 投诉内容, date or 受理时间, channel or 渠道. Others: --map.
    The whole file is read first: where the table is broken nothing is posted. A row that is refused is reported with its line, and the
    rest go on.

    Each row's key is made of its content. The same file posted again, or after an interruption, or with rows added, makes no second
    complaint.

    Examples:

        redress submit complaints.xlsx --dry-run

        redress submit tickets.csv --map text=备注 --set channel=hotline --report outcome.csv
    """
    if report_file is not None and report_file.exists() and report_file.samefile(file):
        fail("--report names the file that is to be posted. Name another one.")
    plan = _planned(file, encoding, sheet, column, constant, zone, date_format)
    plan.rows = plan.rows[: limit or None]
    if not plan.rows and not plan.flaws:
        fail(f"{file} has no rows.")
    err.print(harmless(_understood(plan)), markup=False, soft_wrap=True)
    report = before_posting(plan)
    if report_file is not None:
        _writable(report_file)
    if plan.to_post and not dry_run:
        _post(plan, report, folder, at_once)
    if report_file is not None:
        try:
            write_report(report_file, report)
        except OSError as error:
            fail(f"{report_file} cannot be written: {error.strerror}.")
    would = len(plan.to_post) if dry_run else None
    if as_json:
        out.print_json(data=_as_json(plan, report, would))
    else:
        _show(plan, report, would)
    if plan.flaws or report.count("refused") != (would or 0):
        raise typer.Exit(1)


def _writable(report: Path) -> None:
    """Ends the command where the report cannot be written, before anything is posted."""
    try:
        with report.open("ab"):
            pass
    except OSError as error:
        fail(f"{report} cannot be written: {error.strerror}. Nothing was posted.")


def _planned(
    file: Path, encoding: str | None, sheet: str | None, column: list[str] | None, constant: list[str] | None, zone: str, order: str | None
) -> ImportPlan:
    """What the file asks for. Ends the command where the file or an option makes no sense."""
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        fail(f"There is no time zone {zone!r}.")
    told, constants = _pairs(column, "--map"), _pairs(constant, "--set")
    try:
        table = read_table(file.read_bytes(), encoding, sheet)
        return make_plan(table, told, constants, local, datetime.now(local).date(), order_named(order) if order else None)
    except DateUnclear as error:
        fail(f"--date-format: {error}")
    except (FileUnusable, MappingUnusable) as error:
        fail(harmless(f"{file}: {error}"))
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    found = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals:
            fail(f"{option} takes field=something, not {each!r}.")
        if name.strip() in found:
            fail(f"{option} says {name.strip()} twice. Say it once.")
        found[name.strip()] = value.strip()
    return found


def _post(plan: ImportPlan, report: ImportReport, folder: Path, at_once: int) -> None:
    """Post what is to be posted. Ctrl-C ends it, and the report says how far it came."""
    stack = running_stack(folder)
    token = stack.token_issuer().mint("front-end", "redress-submit", ttl=12 * 3600)

    async def posting() -> None:
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=stack.urls["intake"], timeout=15, trust_env=False, headers=headers) as client:
            await post_all(client, plan, report, at_once, lambda: progress.advance(task))

    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err) as progress:
        task = progress.add_task("Posting", total=len(plan.to_post))
        try:
            asyncio.run(posting())
        except KeyboardInterrupt:
            err.print("Interrupted.", style="red")


def _understood(plan: ImportPlan) -> str:
    """How the file is read, in a line: a person sees at once what is not meant so."""
    said = [plan.form, *(f"{field}: {column}" for field, column in plan.columns.items())]
    said += [f"{field}: {value!r} for every row" for field, value in plan.constants.items()]
    said += [f"dates of {field}: {order}" for field, order in plan.orders.items()]
    return "; ".join(said) + (f". Not used: {', '.join(plan.unused)}" if plan.unused else "")


def _as_json(plan: ImportPlan, report: ImportReport, would_post: int | None) -> dict[str, object]:
    return {
        "rows": len(report.outcomes),
        "new": report.count("new"),
        "there_already": report.count("there-already"),
        "refused": [[each.line, each.code, each.reason] for each in _refused(report, would_post)],
        **({} if would_post is None else {"would_post": would_post}),
        "flaws": [[flaw.line, flaw.reason] for flaw in plan.flaws],
        "warnings": [[each.line, code, reason] for each in report.outcomes for code, reason in each.warnings],
        "numbers": [each.number for each in report.outcomes if each.number],
        "columns": plan.columns,
        "unused": list(plan.unused),
        "dates": plan.orders,
    }


def _refused(report: ImportReport, would_post: int | None) -> list[RowOutcome]:
    return [each for each in report.of("refused") if would_post is None or each.code != "not-posted"]


def _show(plan: ImportPlan, report: ImportReport, would_post: int | None) -> None:
    rows, refused = len(report.outcomes), _refused(report, would_post)
    if plan.flaws:
        out.print("Nothing was posted: correct the table first.")
        _table("line", "what is wrong", [(flaw.line, flaw.reason) for flaw in plan.flaws])
        return
    if would_post is not None:
        out.print(f"{rows} rows: {would_post} would be posted, {len(refused)} would be refused.")
    else:
        new, there = report.count("new"), report.count("there-already")
        out.print(f"{rows} rows: {new} new, {there} were there already, {len(refused)} refused.")
    _table("line", "refused for", [(each.line, each.reason) for each in refused])
    _table("line", "to be looked at", [(each.line, reason) for each in report.outcomes for _, reason in each.warnings])


def _table(first: str, second: str, rows: list[tuple[int, str]]) -> None:
    if not rows:
        return
    table = Table(first, second)
    for line, reason in rows[:MOST_SHOWN]:
        table.add_row(str(line), foreign(reason))
    out.print(table)
    if len(rows) > MOST_SHOWN:
        out.print(f"… and {len(rows) - MOST_SHOWN} more. All are in the file that --report names.")
