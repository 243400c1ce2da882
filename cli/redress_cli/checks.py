"""Look after the services: compare log, journal and state, rebuild a state, and send keys again."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from redress_cli.consent import Yes, accountable, ask
from redress_cli.console import AsJson, err, fail, out
from redress_cli.harmless import harmless
from redress_cli.installation import Installation, ServiceName, definition_of
from redress_cli.target import ContextName, StackFolder, installation
from redress_local.places import SERVICES, migrations
from redress_spine.admin.rebuild import NotSwapped, Rebuild, RebuildRunning, WouldLose
from redress_spine.admin.verify import VerifyReport
from redress_spine.admin.verify import verify as compare
from redress_spine.aggregate import Verified
from redress_spine.store import connections
from redress_spine.store.errors import LogTruncated
from redress_spine.store.lookups import MasterKeyNeeded


def verify(
    service: Annotated[list[str] | None, typer.Argument(help=f"One or more of {', '.join(SERVICES)}; all if none is named.")] = None,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Compare a service's log, journal and state, and say what differs, where, and what to do. Exit code 1 if anything does.

    Examples:

        redress verify

        redress verify intake callback

        docker compose exec intake redress verify
    """
    where = installation(folder, context)
    reports, failed = verified(where, where.chosen(service))
    if as_json:
        out.print_json(data=[asdict(report) for report in reports])
    else:
        out.print(verify_table(reports))
        for report in reports:
            for each in report.differences:
                err.print(harmless(f"{report.service} {each.where}: {each.which} {each.what}. {each.advice}"), style="red", markup=False)
            if report.more:
                err.print(f"… and {report.more} more in {report.service}", style="red")
    if failed:
        fail("\n".join(failed))
    if not all(report.equal for report in reports):
        raise typer.Exit(1)


def verified(where: Installation, names: list[str]) -> tuple[list[VerifyReport], list[str]]:
    """Verify these services one after the other, with a progress bar: the reports, and a message for each that cannot be."""
    reports, failed = list[VerifyReport](), list[str]()
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True) as progress:
        task = progress.add_task("verify", total=None)
        for name in names:

            def described(what: str, done: int, every: int, name: str = name) -> None:
                progress.update(task, description=f"{name}: {what}", completed=done, total=every)

            try:
                dsn, kafka = where.app_dsn(name), where.kafka()
                definition: Verified = definition_of(name).verified(where.partitions, where.mac_keys())
                reports.append(asyncio.run(compare(definition, dsn, kafka, described, where.master_keys())))
            except (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                failed.append(f"{name} cannot be verified: {type(error).__name__}: {error}")
    return reports, failed


def verify_table(reports: list[VerifyReport]) -> Table:
    table = Table(
        "service", "journal", "log", "not yet sent", "resent", "lost", "doubled", "states", "parked", "set aside", "keys", "forgotten", ""
    )
    for each in reports:
        numbers = (
            each.journal_events,
            each.log_records,
            each.waiting,
            each.duplicates,
            each.lost,
            each.doubled,
            each.states,
            each.parked,
            each.dead_letters,
            "not compared" if each.keys is None else each.keys,
            "" if each.forgotten is None else each.forgotten,
        )
        table.add_row(each.service, *map(str, numbers), "[green]equal" if each.equal else "[red]differs")
    return table


def send_keys(service: ServiceName, yes: Yes = False, folder: StackFolder = None, context: ContextName = None) -> None:
    """Let a service send all keys that it has to Kafka again, and the tombstones of those destroyed, after Kafka lost some.

    Lost events are another matter: sent again by one service, they would stand behind what follows from them. See: redress restore-log

    Example:

        redress send-keys intake
    """
    where = installation(folder, context)
    where.chosen([service])
    dsn = where.app_dsn(service)
    ask(f"send all keys of {service} to Kafka again", where, yes)

    async def send_again() -> int:
        connection = await connections.connect(dsn)
        try:
            await connection.execute("UPDATE public.relay_checkpoint SET keys_from = ''")
            return int(await connection.fetchval("SELECT count(*) FROM public.keys"))
        finally:
            await connection.close()

    with accountable("send-keys", where, service=service):
        out.print(f"{service} sends its {asyncio.run(send_again())} keys again.")


def rebuild(
    service: ServiceName,
    accept_loss: Annotated[
        str | None,
        typer.Option(metavar="SERVICE", help="The service's name again: swap although events that the live state has read are lost."),
    ] = None,
    yes: Yes = False,
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Rebuild a service's state from log and journal, beside the live one, while it goes on; then swap.

    It refuses a log whose start is gone, and a new state that lacks rows or versions which the live one has.

    Example:

        redress rebuild sla-monitor
    """
    if accept_loss is not None and accept_loss != service:
        fail(f"--accept-loss names {accept_loss}, and {service} is to be rebuilt: name the service whose events may be lost.")
    where = installation(folder, context)
    where.chosen([service])
    definition = definition_of(service)
    owner_dsn, app_role, kafka, mac = where.owner_dsn(service), where.app_role(service), where.kafka(), where.mac_keys()
    ask(f"rebuild the state of {service}{', although events are lost,' if accept_loss else ''} and swap it in", where, yes)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    account = accountable("rebuild", where, service=service, accept_loss=accept_loss is not None)
    with account, Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(service, total=None)
        work = Rebuild(
            definition.verified(where.partitions, mac),
            fold=definition.fold,
            owner_dsn=owner_dsn,
            app_role=app_role,
            service_migrations_dir=migrations(service),
            kafka=kafka,
            accept_loss=accept_loss is not None,
            master=where.master_keys(),
            progress=lambda what, done, every: progress.update(task, description=f"{service}: {what}", completed=done, total=every or None),
        )
        try:
            done = asyncio.run(work.run())
        except (MasterKeyNeeded, LogTruncated, RebuildRunning, WouldLose, NotSwapped) as error:
            fail(f"{service} was not rebuilt, and its state is as it was: {error}")
        except (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            fail(f"{service} was not rebuilt, and its state is as it was: {type(error).__name__}: {error}")
    out.print(
        f"{service}: {done.states} states from {done.events} records in {done.seconds:.1f} s, now in schema {done.schema}. "
        f"Commands waited {done.locked * 1000:.0f} ms at the swap. {done.parked} parked."
    )
    if done.lost:
        err.print(f"Lost, as --accept-loss allowed: {done.lost}.", style="red", markup=False)
