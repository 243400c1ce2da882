"""See that nobody changed an audit trail, or took something away: in the database, or in an export; and no more is said than is known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import httpx
import orjson
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from redress_chassis.edge.logs import SERVICE
from redress_cli.api import SHORT, trust
from redress_cli.console import AsJson, err, fail, out
from redress_cli.harmless import foreign, harmless
from redress_cli.installation import AuditedServices, Installation, known
from redress_cli.target import ContextName, StackFolder, installation
from redress_spine.admin.audit import AuditReport, Check, Head, imported
from redress_spine.admin.audit import heads as heads_of
from redress_spine.admin.audit import verify as compare
from redress_spine.store.audit import Link, audit_key, key_name
from redress_spine.store.keyring import KEY_BYTES

KINDS = ("reading", "break-glass", "refusal")
ALONE = (
    "compared only with itself. To see whether its end was cut off, or all of it deleted, compare it with heads that were kept elsewhere: "
    "give a service's log, or a file of `redress audit heads`, with --heads."
)


def verify(
    service: AuditedServices = None,
    heads: Annotated[
        list[Path] | None,
        typer.Option(help="A file of the services' logs, of heads, or an earlier export: what it names must still be there."),
    ] = None,
    master: Annotated[
        list[Path] | None, typer.Option("--master-key", help="A former master key: its 32 bytes. Those in use are known.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Verify a whole export, without the database.")] = None,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """See that no record was changed, added or taken away. Exit code 1 if one was.

    That an end was cut off, or all of a trail deleted, is seen by what the running services, the log, an export or later records name.
    Where nothing of that kind was compared, it says so.

    Examples:

        redress audit verify

        redress audit heads > heads.jsonl

        redress audit verify handling --heads heads.jsonl --heads /var/log/redress/handling.log

        redress audit verify --file audit.jsonl
    """
    given = {each: _key(each) for each in master or ()}
    masters = list(given.values())
    known_heads = [head for each in heads or () for head in _heads(each)]
    if heads and not known_heads:
        fail("These files contain no head of a chain, so nothing was compared: they must be unchanged heads, logs or exports.")
    notes = list[str]()
    if file is not None:
        if not masters and (ring := installation(folder, context).master_keys()):  # it needs no installation where its key is given
            masters = [ring.secret(number) for number in ring.numbers]
        reports = _reports_of(file, masters, known_heads, [known(each) for each in service or ()])
    else:
        where = installation(folder, context)
        ring, names = where.master_keys(), where.chosen(service)
        running, notes = asyncio.run(_running_heads(where, names))
        reports = [asyncio.run(compare(name, where.app_dsn(name), masters, [*known_heads, *running], ring)) for name in names]
    if as_json:
        out.print_json(data=[asdict(report) for report in reports])
    else:
        out.print(_table(reports))
    for report in reports:
        for each in report.differences:
            err.print(harmless(f"{report.service} {each.writer} {each.number}: {each.what}"), style="red", markup=False)
        if report.more:
            err.print(f"… and {report.more} more in {report.service}", style="red")
    for note in notes:
        err.print(harmless(note), style="yellow", markup=False)
    if alone := [report.service for report in reports if not report.heads]:
        err.print(f"{', '.join(alone)}: {ALONE}", style="yellow", markup=False)
    sealed = {name for report in reports for name in report.keys}
    if useless := [str(each) for each, key in given.items() if key_name(audit_key(key)) not in sealed]:
        fail(f"No chain here was sealed by the key in {', '.join(useless)}: it is another one, or another file.")
    if not all(report.whole for report in reports):
        raise typer.Exit(1)


def list_heads(service: AuditedServices = None, folder: StackFolder = None, context: ContextName = None) -> None:
    """Write how far each chain has come, as JSON lines. Kept where the owner of the database cannot reach it, it shows later that nothing
    was deleted up to now.

    Examples:

        redress audit heads > heads-2026-02-13.jsonl

        redress audit verify --heads heads-2026-02-13.jsonl
    """
    where = installation(folder, context)
    for name in where.chosen(service):
        for head in asyncio.run(heads_of(name, where.app_dsn(name))):
            print(json.dumps({SERVICE: name, "writer": str(head.writer), "number": head.number, "hash": head.hash}))


def _reports_of(file: Path, masters: list[bytes], heads: list[Head], wanted: list[str]) -> list[AuditReport]:
    """Of an export, service by service, in the order of its lines. wanted: those that must be in it, and are alone looked at."""
    by_service: dict[str, list[Link]] = {}
    try:
        for line in file.read_bytes().splitlines():
            if line.strip():
                link = imported(line)
                by_service.setdefault(str(orjson.loads(link.record)["service"]), []).append(link)
    except (OSError, ValueError, KeyError, TypeError) as error:
        fail(f"{file} is not an export of an audit trail: {error}")
    if not by_service:
        fail(f"{file} is empty: there is nothing to check in it.")
    if missing := [each for each in wanted if each not in by_service]:
        fail(f"{file} has no record of {', '.join(missing)}. It has some of {', '.join(by_service)}.")
    reports = []
    for name, every in by_service.items():
        if name in wanted or not wanted:
            check = Check(name, masters, heads)
            check.name(every)
            for link in every:
                check.take(link)
            reports.append(check.finish())
    return reports


async def _running_heads(where: Installation, names: list[str]) -> tuple[list[Head], list[str]]:
    """How far each running process says that its chain has come: the owner of the database does not reach that. And who does not say."""
    asked = [(name, url) for name in names for url in where.operations.get(name) or where.urls.get(name) or ()]
    async with httpx.AsyncClient(**trust(where), timeout=SHORT) as http:
        pages = await asyncio.gather(*(http.get(f"{url}/metrics") for _, url in asked), return_exceptions=True)
    found, notes = list[Head](), list[str]()
    for (name, url), page in zip(asked, pages, strict=True):
        try:
            if isinstance(page, BaseException):
                raise page
            found += _heads_of_page(name, page.text)
        except (httpx.HTTPError, ValueError) as error:
            notes.append(f"{name} does not say at {url} how far its chain has come: {type(error).__name__}.")
    return found, notes


def _heads_of_page(service: str, page: str) -> Iterator[Head]:
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "redress_audit_chain_records":
                yield Head(UUID(sample.labels["writer"]), int(sample.value), None, service)


def _heads(file: Path) -> Iterator[Head]:
    """What a log or an export says of chains."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")
    for line in lines:
        try:
            said = orjson.loads(line)
            place = UUID(said["writer"]), int(said["number"]), str(said["hash"])
            yield Head(*place, orjson.loads(said["record"]).get("service") if "record" in said else said.get(SERVICE))
        except (ValueError, KeyError, TypeError):
            continue  # another line of a log


def _key(file: Path) -> bytes:
    """A master key of before."""
    try:
        found = file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")
    if len(found) != KEY_BYTES:
        fail(f"{file} holds no master key: that has {KEY_BYTES} bytes and nothing else, and this has {len(found)}.")
    return found


def _table(reports: list[AuditReport]) -> Table:
    table = Table("service", "chains", "without an end", "records", *KINDS, "MACs", "")
    for each in reports:
        numbers = (each.chains, each.open, each.records, *(each.kinds.get(kind, 0) for kind in KINDS))
        compared = "compared" if each.macs else "not compared"
        table.add_row(foreign(each.service), *map(str, numbers), compared, _verdict(each))
    return table


def _verdict(report: AuditReport) -> str:
    """No more than is known."""
    if not report.whole:
        return "[red]differs"
    if report.heads:
        return "[green]whole"
    return "[yellow]nothing in it is wrong" if report.records else "[yellow]no record"
