"""Write the log again from the journals of all services, after Kafka lost its end, its start, or all of it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from redress_cli.consent import Yes, accountable, ask
from redress_cli.console import AsJson, err, fail, out
from redress_cli.installation import Installation
from redress_cli.target import ContextName, StackFolder, installation
from redress_events.vocabulary import EVENT_TOPICS, KEYS
from redress_local.places import SERVICES
from redress_spine.admin.restore_log import Access, Restored, RestoreLog
from redress_spine.messaging.topics import Replicas
from redress_spine.store.errors import CannotRestore, JournalRestored, LogTruncated, TopicsNotMade

TOPICS = (*EVENT_TOPICS, KEYS)
NAMED = 5  # causes that no journal has


def restore_log(
    recreate: Annotated[
        list[str] | None,
        typer.Option("--recreate", help=f"Delete this topic with all its records, and create it again: {', '.join(TOPICS)}."),
    ] = None,
    replication: Annotated[
        int | None,
        typer.Option(min=1, help="With --recreate: replicas of each topic. The default is what it had; needed where no topic is left."),
    ] = None,
    min_insync: Annotated[
        int | None, typer.Option(min=1, help="With --replication: how many of them must have a record before it is acknowledged.")
    ] = None,
    although_unproved: Annotated[
        bool, typer.Option("--although-unproved", help="The MAC keys that the log was signed with are lost: sign it again.")
    ] = False,
    yes: Yes = False,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Write to Kafka what it lost, from the journals of all services, each event behind its cause. All journals must be there.

    A topic that lost its end or everything is gone on with. One that lost its start, or has events in a wrong order, must be named.
    Services may run and take commands meanwhile. Killed at any point, it is started again. Afterwards each service is rebuilt.

    Examples:

        redress restore-log

        redress restore-log --recreate complaints.lifecycle.v1

        redress restore-log --recreate complaints.lifecycle.v1 --replication 3 --min-insync 2
    """
    if unknown := [topic for topic in recreate or () if topic not in TOPICS]:
        fail(f"There is no topic {unknown[0]!r} to recreate. Topics: {', '.join(TOPICS)}.")
    if (replication is None) != (min_insync is None) or (replication and not recreate):
        fail("--replication and --min-insync go together, and with --recreate: they are the values for a topic that is recreated.")
    replicas = Replicas(replication, min_insync) if replication and min_insync else None
    where = installation(folder, context)
    deleted = f"delete {', '.join(recreate)} with all that is in it, and " if recreate else ""
    ask(f"{deleted}write to Kafka what it lost", where, yes)
    with accountable("restore-log", where, recreate=recreate or [], although_unproved=although_unproved):
        done = restored(where, recreate or [], replicas, although_unproved)
    if as_json:
        out.print_json(data=asdict(done))
    else:
        out.print("\n".join(described(done)), highlight=False, markup=False)


def restored(where: Installation, recreate: list[str], replicas: Replicas | None = None, although_unproved: bool = False) -> Restored:
    """Restore the log, with a progress bar; ends the command where that is refused."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("journals", total=None)
        names = [name for name in SERVICES if name in where.databases or not where.ours]
        work = RestoreLog(
            {name: Access(where.owner_dsn(name), where.app_dsn(name)) for name in names},
            kafka=where.kafka(),
            partitions=where.partitions,
            mac=where.mac_keys(),
            recreate=recreate,
            replicas=replicas,
            although_unproved=although_unproved,
            progress=lambda what, done, every: progress.update(task, description=what, completed=done, total=every or None),
        )
        try:
            return asyncio.run(work.run())
        except (CannotRestore, JournalRestored, TopicsNotMade) as error:
            fail(f"The log was not restored. {error} {_relays(work)}")
        except (OSError, KafkaError, LogTruncated, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            fail(f"The restore of the log was not completed: {type(error).__name__}: {error}. {_relays(work)}")


def _relays(work: RestoreLog) -> str:
    return "Relays wait until it is: run it again." if work.begun else "Nothing was changed: relays do what they did before."


def described(done: Restored) -> list[str]:
    """What was restored, and what is to be done next, in words."""
    written = sum(done.written.values())
    services = ", ".join(f"{service} {count}" for service, count in done.written.items() if count)
    lines = [
        f"The log had {done.found} events. Wrote {written} more{f' ({services})' if services else ''}, and all {done.keys} keys once more."
    ]
    if done.recreated:
        lines.insert(0, f"Recreated, with {done.replicas}: {', '.join(done.recreated)}.")
    if done.strangers:
        lines.append(f"It also has {done.strangers} records that are not events of Redress; services set them aside or park them.")
    if done.missing:
        some = ", ".join(done.missing[:NAMED])
        lines.append(
            f"{len(done.missing)} events that others were decided upon are in no journal: {some}. What followed stands by its time."
        )
    if done.early:
        lines.append(f"{done.early} events stand before their cause, for each named the other.")
    if written or done.recreated:
        lines.append("Now rebuild each service's state, while all run:")
        lines += [f"  redress rebuild {service}" for service in SERVICES]
        lines.append("  redress verify")
    return lines
