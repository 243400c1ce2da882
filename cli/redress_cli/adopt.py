"""Let a restored journal go on: take the log's newer events into it, and commands in again."""

from __future__ import annotations

import asyncio
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from redress_cli.consent import Yes, accountable, ask, who
from redress_cli.console import err, fail, out
from redress_cli.installation import Installation, definition_of
from redress_cli.target import ContextName, StackFolder, installation
from redress_local.places import SERVICES
from redress_spine.admin.adopt import Adopted, Adoption
from redress_spine.processing.skips import checked_why
from redress_spine.store.fold import RecordPlace
from redress_spine.store.own_events import AdoptionRefused, PassedOver

UNCHANGED = "Its journal is as it was: open to commands if it was, else still closed."


def adopt(
    service: Annotated[list[str], typer.Argument(help=f"One or more of {', '.join(SERVICES)}.")],
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", help="TOPIC/PARTITION@OFFSET of a record to skip permanently, which only claims to be the service's event."),
    ] = None,
    why: Annotated[str | None, typer.Option(help="With --skip: the reason. It is kept permanently.")] = None,
    although_truncated: Annotated[
        bool,
        typer.Option("--although-truncated", help="The log lost its start, and the journal has all that was in it."),
    ] = False,
    log_lost: Annotated[
        bool, typer.Option("--log-lost", help="The Kafka cluster that it was sent to is gone: no events can be taken from it.")
    ] = False,
    yes: Yes = False,
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Let a service go on whose PostgreSQL was restored or failed over: take the log's newer events into its journal, and commands in.

    First stop whatever may still write to the old server. Killed at any point, it is started again. Answers under idempotency keys are not
    on the log: those that the server lost are lost.

    Examples:

        redress adopt intake

        redress adopt intake triage handling sla-monitor callback

        redress adopt intake --skip complaints.lifecycle.v1/3@4711 --why "forged by a test client, ticket 4711"
    """
    if bool(skip) != bool(why):
        fail("--skip needs --why, and --why needs --skip: both are kept permanently.")
    try:
        why = checked_why(why) if why else None
    except ValueError as error:
        fail(str(error))
    if skip and len(service) > 1:
        fail("--skip skips a record in the name of one service: adopt only that one.")
    where = installation(folder, context)
    names = where.chosen(service)
    passed_over = PassedOver([place_of(each) for each in skip], who(), why) if skip and why else None
    ask(f"add the log's newer events to the journal of {', '.join(names)}, and let commands in", where, yes)
    for name in names:
        with accountable("adopt", where, service=name, skipped=skip or [], although_truncated=although_truncated, log_lost=log_lost):
            out.print(described(adopted(where, name, passed_over, although_truncated, log_lost)), highlight=False, markup=False)


def adopted(where: Installation, service: str, passed_over: PassedOver | None, although_truncated: bool, log_lost: bool = False) -> Adopted:
    """Adopt one service's journal, with a progress bar; ends the command where that is refused."""
    definition, owner_dsn, kafka = definition_of(service), where.owner_dsn(service), where.kafka()
    if (key := where.master_keys()) is None:
        file = where.master_key_file or "a file, for none is told"
        fail(f"{service} was not adopted: the master key cannot be read from {file}. {UNCHANGED}")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(service, total=None)
        work = Adoption(
            definition.verified(where.partitions, where.mac_keys()),
            fold=definition.fold,
            owner_dsn=owner_dsn,
            kafka=kafka,
            master_key=key,
            although_truncated=although_truncated,
            log_lost=log_lost,
            passed_over=passed_over,
            progress=lambda what, done, every: progress.update(task, description=f"{service}: {what}", completed=done, total=every or None),
        )
        try:
            return asyncio.run(work.run())
        except AdoptionRefused as refused:
            fail("\n".join([f"{service} was not adopted.", *refused.messages, _commands(work)]))
        except (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            fail(f"{service} was not adopted: {type(error).__name__}: {error}. {_commands(work)}")


def _commands(work: Adoption) -> str:
    return "It accepts no command until it is adopted: start again." if work.closed else UNCHANGED


def described(done: Adopted) -> str:
    """What was adopted, in words."""
    kinds = ", ".join(f"{count} {kind.rpartition('.v')[0].rpartition('.')[2]}" for kind, count in sorted(done.events.items()))
    lines = [
        f"{done.service}: took {done.events.total()} events of {len(done.streams)} streams from the log ({kinds})."
        if done.events
        else f"{done.service}: the journal lacked nothing that is on the log."
    ]
    if done.keys:
        lines.append(f"{done.keys} keys came back from the topic of keys.")
    if done.unparked:
        lines.append(f"{done.unparked} parked complaints were healed.")
    if done.rebased:
        lines.append("Its transactions were renumbered.")
    lines.append("It was where it grew." if done.was_at_home else "Commands are accepted again.")
    return " ".join(lines)


def place_of(text: str) -> RecordPlace:
    """`complaints.lifecycle.v1/3@4711` → topic, partition, offset; ends the command where it is none."""
    topic, _, rest = text.rpartition("/")
    partition, _, offset = rest.partition("@")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        fail(f"{text!r} is not TOPIC/PARTITION@OFFSET.")
    return topic, int(partition), int(offset)
