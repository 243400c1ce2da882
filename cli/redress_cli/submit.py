"""Post complaints from a CSV file, as a front end would: with a retry that never doubles and a report of what was refused."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from redress_cli.console import DEFAULT_FOLDER, AsJson, Folder, err, fail, out, running_stack
from redress_cli.harmless import foreign
from redress_events.vocabulary import Channel

# Column names that are understood without being told, per field of the complaint.
USUAL = {
    "text": ("text", "text_clean", "complaint", "customer complaint", "description", "内容", "投诉内容"),
    "channel": ("channel", "received via", "渠道"),
    "received_at": ("received_at", "received", "date", "日期"),
    "product": ("product", "产品"),
    "area": ("area", "city", "区域"),
    "phone": ("phone", "电话"),
    "customer": ("customer", "name", "姓名"),
}
# What CSV files call them, beside their own names.
CHANNELS: dict[str, Channel] = {"customer care call": "hotline", "internet": "web", "phone": "hotline", "email": "e-mail"}
DATES = ("%Y-%m-%d", "%d-%m-%y", "%d-%b-%y", "%d/%m/%Y", "%Y/%m/%d")
PAUSES = (0.2, 0.5, 1, 2, 4, 8)  # seconds between tries while nobody answers


@dataclass(slots=True)
class SubmitReport:
    """What became of the rows. refused: line, code and message."""

    accepted: int = 0
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)


def submit(
    file: Annotated[Path, typer.Option("--csv", help="The CSV file, UTF-8, with a header line.", exists=True, dir_okay=False)],
    column: Annotated[
        list[str] | None, typer.Option("--map", help="field=column, where the header has another name; may be repeated.")
    ] = None,
    constant: Annotated[list[str] | None, typer.Option("--set", help="field=value for every row: --set channel=hotline")] = None,
    zone: Annotated[str, typer.Option(help="Time zone of dates without one.")] = "Asia/Shanghai",
    limit: Annotated[int, typer.Option(help="Only the first so many rows; 0: all.")] = 0,
    at_once: Annotated[int, typer.Option(help="Posts under way at a time.", min=1, max=64)] = 8,
    folder: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Post each row of a CSV file as a complaint.

    Usual column names are understood (text, date, channel, …); others are told with --map. Each row's key is made of its content, so the
    same file posted twice, or with rows added, makes no second complaint. A row that is refused is reported with its line, and the rest
    go on.

    Examples:

        redress submit --csv complaints.csv

        redress submit --csv tickets.csv --map text=内容 --map received_at=日期 --set channel=hotline
    """
    stack = running_stack(folder)
    rows = list(read_rows(file, pairs(column, "--map"), pairs(constant, "--set"), zone))[: limit or None]
    if not rows:
        fail(f"{file} has no rows.")
    token = stack.token_issuer().mint("front-end", "redress-submit", ttl=12 * 3600)
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err) as progress:
        task = progress.add_task("Posting", total=len(rows))
        report = asyncio.run(post_all(stack.urls["intake"], token, rows, at_once, lambda: progress.advance(task)))
    if as_json:
        out.print_json(data={"accepted": report.accepted, "refused": [list(row) for row in report.refused], "numbers": report.numbers})
    else:
        show(report)
    if report.refused:
        raise typer.Exit(1)


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    found = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals:
            fail(f"{option} takes field=something, not {each!r}.")
        found[name.strip()] = value.strip()
    return found


def read_rows(file: Path, columns: dict[str, str], constants: dict[str, str], zone: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and complaints. Ends the command where the file or a mapping makes no sense."""
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        fail(f"There is no time zone {zone!r}.")
    with file.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.DictReader(opened)
        try:
            header = {name.strip().lower(): name for name in reader.fieldnames or ()}
        except (csv.Error, UnicodeDecodeError) as error:
            fail(f'{file} is no CSV file in UTF-8: {error}. A spreadsheet saves one as "CSV UTF-8".')
        chosen = {}
        for name, usual in USUAL.items():
            found = next((header[each] for each in usual if each in header), None)
            if found:
                chosen[name] = found
        for name, wanted in columns.items():
            if wanted.lower() not in header:
                fail(f"{file} has no column {wanted!r}. It has: {', '.join(header.values())}")
            chosen[name] = header[wanted.lower()]
        if "text" not in chosen and "text" not in constants:
            fail(f"Which column is the complaint's text? Say --map text=COLUMN. {file} has: {', '.join(header.values())}")
        try:
            for row in reader:
                body = {name: (row.get(column) or "").strip() for name, column in chosen.items()}
                yield reader.line_num, complaint({name: value for name, value in body.items() if value} | constants, local)
        except (csv.Error, UnicodeDecodeError) as error:
            fail(f'{file}, after line {reader.line_num}: {error}. It has to be in UTF-8; a spreadsheet saves it as "CSV UTF-8".')


def complaint(given: dict[str, str], zone: ZoneInfo) -> dict[str, Any]:
    """The body of POST /complaints. A channel or date that is not understood is sent as it is, and refused with its reason."""
    body: dict[str, Any] = {"channel": "web", "kind": "complaint", **given}
    body["channel"] = CHANNELS.get(body["channel"].lower(), body["channel"])
    if "received_at" in body:
        body["received_at"] = instant(body["received_at"], zone)
    return body


def instant(text: str, zone: ZoneInfo) -> str:
    for form in DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=zone).isoformat()
        except ValueError:
            continue
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (read if read.tzinfo else read.replace(tzinfo=zone)).isoformat()


async def post_all(url: str, token: str, rows: list[tuple[int, dict[str, Any]]], at_once: int, posted: Any) -> SubmitReport:
    """Post all rows, some at a time. Raises nothing for a refused row; a service that stays away is a refusal too."""
    report = SubmitReport()
    gate = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(base_url=url, timeout=15, trust_env=False, headers={"authorization": f"Bearer {token}"}) as client:

        async def post(line: int, key: str, body: dict[str, Any]) -> None:
            async with gate:
                code, message, number = await post_one(client, key, body)
                if number:
                    report.accepted += 1
                    report.numbers.append(number)
                else:
                    report.refused.append((line, code, message))
                posted()

        await asyncio.gather(*(post(line, key, body) for (line, body), key in zip(rows, keys(rows), strict=True)))
    report.refused.sort()
    return report


def keys(rows: list[tuple[int, dict[str, Any]]]) -> list[str]:
    """A key for each row, made of its content and of how often the same content stood before it: rows may move in the file, equal rows stay
    two complaints, and the file posted again makes none."""
    seen = Counter[str]()
    found = []
    for _, body in rows:
        content = json.dumps(body, sort_keys=True)
        found.append(hashlib.sha256(f"{seen[content]}\n{content}".encode()).hexdigest())
        seen[content] += 1
    return found


async def post_one(client: httpx.AsyncClient, key: str, body: dict[str, Any]) -> tuple[str, str, str | None]:
    """code, message and, once it is on disk, the number. Sent again under the same key while the service is away."""
    last = ("unreachable", "intake does not answer")
    for pause in (*PAUSES, None):
        try:
            answer = await client.post("/complaints", json=body, headers={"idempotency-key": key})
        except httpx.TransportError as error:
            last = ("unreachable", f"intake does not answer: {type(error).__name__}")
        else:
            if answer.status_code == 201:
                return "", "", str(answer.json()["number"])
            problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            where = f"{problem['pointer']}: " if problem.get("pointer") else ""
            last = (problem.get("code", str(answer.status_code)), where + problem.get("detail", answer.text[:200]))
            if answer.status_code < 500:
                break
        if pause is not None:
            await asyncio.sleep(pause)
    return (*last, None)


def show(report: SubmitReport) -> None:
    out.print(f"{report.accepted} complaints registered, {len(report.refused)} rows refused.")
    if report.refused:
        table = Table("line", "code", "reason")
        for line, code, message in report.refused[:50]:
            table.add_row(str(line), foreign(code), foreign(message))
        out.print(table)
