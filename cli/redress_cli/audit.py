"""Who read what, and who was refused: list it, export it, see that nobody changed it, and take old records away."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.table import Table

from redress_chassis.edge.logs import SERVICE
from redress_cli.consent import Yes, accountable, ask_whatever
from redress_cli.consent import who as operator
from redress_cli.console import AsJson, err, fail, moment, out
from redress_cli.harmless import foreign, harmless
from redress_cli.installation import ServiceName
from redress_cli.target import ContextName, StackFolder, installation
from redress_local.places import SERVICES
from redress_spine.admin.audit import AuditReport, CannotPrune, Check, Filter, Head, exported, imported, listed
from redress_spine.admin.audit import prune as take_away
from redress_spine.admin.audit import verify as compare
from redress_spine.store.audit import Link

app = typer.Typer(help="Who read what, and who was refused.", no_args_is_help=True)
AuditedServices = Annotated[list[str] | None, typer.Argument(help=f"One or more of {', '.join(SERVICES)}; all if none is named.")]
TimeOption = Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME")]
KINDS = ("reading", "break-glass", "refusal")


@app.command("list")
def list_records(
    service: AuditedServices = None,
    subject: Annotated[str | None, typer.Option(help="Records about it alone: `<kind>/<id>`.")] = None,
    who: Annotated[str | None, typer.Option(help="What this caller did alone: the `sub` of their token.")] = None,
    since: TimeOption = None,
    until: TimeOption = None,
    kind: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(KINDS)}; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many of each service.")] = 50,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Show who read personal data, or was refused something, the newest first.

    Examples:

        redress audit list

        redress audit list --subject complaint/0199a3c2-7c1e-7d55-9a0e-2f6f0a1b3c4d

        redress audit list handling --kind break-glass --since 2026-02-01
    """
    if wrong := [each for each in kind or () if each not in KINDS]:
        fail(f"There is no kind {wrong[0]!r} of records. Kinds: {', '.join(KINDS)}.")
    where = installation(folder, context)
    wanted = Filter(subject, who, since, until, kind or KINDS)
    found = [
        orjson.loads(link.record)
        for name in where.chosen(service)
        for link in asyncio.run(_all(listed(where.app_dsn(name), wanted, limit)))
    ]
    found.sort(key=lambda each: str(each["at"]), reverse=True)
    if as_json:
        out.print_json(data=found)
        return
    table = Table("at", "service", "kind", "who", "what", "about", "fields", "from", "why")
    for each in found:
        table.add_row(*map(foreign, _row(each)))
    out.print(table if found else "Nothing is recorded of that.")


@app.command()
def export(
    service: AuditedServices = None,
    subject: Annotated[str | None, typer.Option(help="Records about it alone: `<kind>/<id>`.")] = None,
    since: TimeOption = None,
    until: TimeOption = None,
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Write records as JSON lines: each with its record, and what binds it to the one before. A whole export can be verified without the
    database, and its lines are heads for a later verification.

    Examples:

        redress audit export > audit.jsonl

        redress audit export handling --since 2026-02-01 --until 2026-03-01 > february.jsonl
    """
    where = installation(folder, context)
    wanted = Filter(subject, None, since, until)

    async def write(dsn: str) -> None:
        async for link in listed(dsn, wanted):
            sys.stdout.buffer.write(exported(link) + b"\n")

    for name in where.chosen(service):
        asyncio.run(write(where.app_dsn(name)))
    sys.stdout.flush()


@app.command()
def verify(
    service: AuditedServices = None,
    heads: Annotated[
        list[Path] | None, typer.Option(help="A file of the services' logs, or an earlier export: what it names must be there still.")
    ] = None,
    master: Annotated[
        list[Path] | None, typer.Option("--master-key", help="A master key of before: its 32 bytes. Those in use are known.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Verify a whole export, without the database.")] = None,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """See that no record was changed, added or taken away. Exit code 1 if one was.

    An end that was cut off is seen by what the log, an export or later records name.

    Examples:

        redress audit verify

        redress audit verify handling --heads /var/log/redress/handling.log

        redress audit verify --file audit.jsonl
    """
    masters = [_bytes(each) for each in master or ()]
    named = [head for each in heads or () for head in _heads(each)]
    if heads and not named:
        fail("No head of a chain stands in these files, so nothing was compared: they must be logs or exports as they were written.")
    if file is not None:
        if not masters and (ring := installation(folder, context).master_keys()):  # it needs no installation where its key is given
            masters = [ring.secret(number) for number in ring.numbers]
        reports = _reports_of(file, masters, named)
    else:
        where = installation(folder, context)
        ring = where.master_keys()
        reports = [asyncio.run(compare(name, where.app_dsn(name), masters, named, ring)) for name in where.chosen(service)]
    if as_json:
        out.print_json(data=[asdict(report) for report in reports])
    else:
        out.print(_table(reports))
        for report in reports:
            for each in report.differences:
                err.print(harmless(f"{report.service} {each.writer} {each.number}: {each.what}"), style="red", markup=False)
            if report.more:
                err.print(f"… and {report.more} more in {report.service}", style="red")
    if not all(report.whole for report in reports):
        raise typer.Exit(1)


@app.command()
def prune(
    service: ServiceName,
    before: Annotated[datetime, typer.Option(parser=moment, metavar="TIME", help="Chains that had ended by then go.")],
    yes: Yes = False,
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Take old records away, as the owner of the database. A record stays of who did it, and of where each chain had ended.

    Example:

        redress audit prune handling --before 2023-01-01
    """
    where = installation(folder, context)
    where.chosen([service])
    if (ring := where.master_keys()) is None:
        fail("The master key cannot be read here, and without it nobody could tell a pruning from a theft.")
    ask_whatever(f"take away what {service} recorded before {before.isoformat()}, for good", yes)
    with accountable("audit prune", where, service=service, before=before.isoformat()):
        try:
            chains, records = asyncio.run(take_away(service, where.owner_dsn(service), ring, before, operator()))
        except CannotPrune as error:
            fail(str(error))
    out.print(f"{service}: {records} records of {chains} chains are gone.")


async def _all(links: AsyncIterator[Link]) -> list[Link]:
    return [link async for link in links]


def _row(said: dict[str, Any]) -> list[str]:
    subjects: dict[str, list[str]] = said.get("subjects", {})
    fields = {reference.rpartition("/")[2]: None for references in subjects.values() for reference in references}
    if "searched" in said:
        fields[f"found by {said['searched']}"] = None
    about = next(iter(subjects), "") if len(subjects) < 2 else f"{len(subjects)} subjects"
    why = said.get("reason") or said.get("code") or ", ".join(f"{role}: {reach}" for role, reach in said.get("allowed", {}).items())
    who = said.get("who") or (f"{said['count']} unknown" if "count" in said else "")
    at = str(said["at"])[:19].replace("T", " ")
    return [at, said["service"], said["kind"], who, said.get("operation", ""), about, ", ".join(fields), said.get("address") or "", why]


def _reports_of(file: Path, masters: list[bytes], heads: list[Head]) -> list[AuditReport]:
    """Of an export, service by service as its lines come."""
    try:
        links = [imported(line) for line in file.read_bytes().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        fail(f"{file} is no export of an audit trail: {error}")
    reports = []
    for name, group in groupby(links, lambda link: str(orjson.loads(link.record)["service"])):
        every = list(group)
        check = Check(name, masters, heads)
        check.name(every)
        for link in every:
            check.take(link)
        reports.append(check.finish())
    return reports


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


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")


def _table(reports: list[AuditReport]) -> Table:
    table = Table("service", "chains", "without an end", "records", *KINDS, "MACs", "")
    for each in reports:
        numbers = (each.chains, each.open, each.records, *(each.kinds.get(kind, 0) for kind in KINDS))
        compared = "compared" if each.macs else "not compared"
        table.add_row(each.service, *map(str, numbers), compared, "[green]whole" if each.whole else "[red]differs")
    return table
