"""Who read what, and who was refused: list it, export it, see that nobody changed it, and take old records away."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from redress_cli import audit_verify
from redress_cli.audit_verify import KINDS
from redress_cli.consent import Yes, accountable, ask_whatever
from redress_cli.consent import who as operator
from redress_cli.console import AsJson, fail, moment, out
from redress_cli.harmless import foreign
from redress_cli.installation import AuditedServices, ServiceName
from redress_cli.subjects import WHICH, subject_of
from redress_cli.target import ContextName, StackFolder, installation
from redress_spine.admin.audit import CannotPrune, Filter, exported, listed
from redress_spine.admin.audit import prune as take_away
from redress_spine.store.audit import Link

app = typer.Typer(help="Who read what, and who was refused.", no_args_is_help=True)
TimeOption = Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME")]


@app.command("list")
def list_records(
    service: AuditedServices = None,
    subject: Annotated[str | None, typer.Option(help=f"Only records about it: {WHICH}.")] = None,
    who: Annotated[str | None, typer.Option(help="Only what this caller did: the `sub` of their token.")] = None,
    since: TimeOption = None,
    until: TimeOption = None,
    kind: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(KINDS)}; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of each service's newest records.")] = 50,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Show who read personal data, or was refused something, the newest first.

    Examples:

        redress audit list

        redress audit list --subject 7K3M-9QX2-V0T

        redress audit list handling --kind break-glass --since 2026-02-01
    """
    if wrong := [each for each in kind or () if each not in KINDS]:
        fail(f"There is no kind {wrong[0]!r} of records. Kinds: {', '.join(KINDS)}.")
    where = installation(folder, context)
    wanted = Filter(subject and subject_of(where, subject), who, since, until, kind or KINDS)
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
    out.print(table if found else "There are no such records.")


@app.command()
def export(
    service: AuditedServices = None,
    subject: Annotated[str | None, typer.Option(help=f"Only records about it: {WHICH}.")] = None,
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
    wanted = Filter(subject and subject_of(where, subject), None, since, until)

    async def write(dsn: str) -> None:
        async for link in listed(dsn, wanted):
            sys.stdout.buffer.write(exported(link) + b"\n")

    for name in where.chosen(service):
        asyncio.run(write(where.app_dsn(name)))
    sys.stdout.flush()


app.command()(audit_verify.verify)
app.command("heads")(audit_verify.list_heads)


@app.command()
def prune(
    service: ServiceName,
    before: Annotated[datetime, typer.Option(parser=moment, metavar="TIME", help="Chains that had ended by then are deleted.")],
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
        fail("The master key cannot be read here, and without it a pruning could not be distinguished from a theft.")
    ask_whatever(f"delete what {service} recorded before {before.isoformat()}, for good", yes)
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
