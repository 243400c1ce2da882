"""How far each service's relay is: what its journal has, what of it is on the log, and what holds it up. It changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated

import asyncpg
import typer
from rich.table import Table

from redress_cli.console import AsJson, err, out
from redress_cli.harmless import foreign, harmless
from redress_cli.target import ContextName, StackFolder, installation
from redress_spine.store import connections

# Index: events_relay, keys_unacknowledged. Counted to 1,000: who has more to send is far behind.
POSITION = """
SELECT c.transaction_id::text AS transaction_id, c.global_position, c.keys_from, c.kafka_cluster,
    (SELECT count(*) FROM (SELECT 1 FROM public.events e
        WHERE (e.transaction_id, e.global_position) > (c.transaction_id, c.global_position)
        ORDER BY e.transaction_id, e.global_position LIMIT 1000) w) AS waiting,
    (SELECT count(*) FROM (SELECT 1 FROM public.keys k WHERE NOT k.acknowledged ORDER BY k.subject LIMIT 1000) k) AS keys_waiting,
    pg_snapshot_xmin(pg_current_snapshot())::text AS oldest
FROM public.relay_checkpoint c
"""


@dataclass(frozen=True)
class RelayPosition:
    """transaction, position: of the last event that was sent. waiting, keys_waiting: not sent yet, counted to 1,000. oldest: the first
    transaction that is still open; nothing from there on is sent. keys_from: all keys are sent again, from behind this subject."""

    service: str
    transaction: int
    position: int
    waiting: int
    keys_waiting: int
    oldest: int
    keys_from: str | None
    cluster: str | None


def relay(
    service: Annotated[list[str] | None, typer.Argument(help="Services; all if none is named.")] = None,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Show how far each service has sent its journal to Kafka. It asks the databases alone. Exit code 1 if one cannot be asked.

    There is no way to send events of one service again: they would stand behind what follows from them. What Kafka lost comes back by
    redress restore-log, and keys by redress send-keys.

    Examples:

        redress relay

        redress relay intake --json
    """
    where = installation(folder, context)
    found, failed = list[RelayPosition](), False
    for name in where.chosen(service):
        dsn = where.app_dsn(name)
        try:
            found.append(asyncio.run(position_of(name, dsn)))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            err.print(harmless(f"{name} cannot be asked: {type(error).__name__}: {error}"), style="red", markup=False)
            failed = True
    if as_json:
        out.print_json(data=[asdict(each) for each in found])
    elif found:
        out.print(_table(found))
    if failed:
        raise typer.Exit(1)


async def position_of(service: str, dsn: str) -> RelayPosition:
    """Of one service's relay. Raises what asyncpg raises."""
    connection = await connections.connect(dsn)
    try:
        row = await connection.fetchrow(POSITION)
    finally:
        await connection.close()
    assert row is not None, "The table has one row."
    return RelayPosition(
        service,
        int(row["transaction_id"]),
        row["global_position"],
        row["waiting"],
        row["keys_waiting"],
        int(row["oldest"]),
        row["keys_from"],
        row["kafka_cluster"],
    )


def _table(found: list[RelayPosition]) -> Table:
    table = Table("service", "sent up to", "waiting", "keys waiting", "oldest transaction", "keys again", "Kafka cluster")
    for each in found:
        again = "–" if each.keys_from is None else f"from {each.keys_from or 'the first'}"
        numbers = (f"{each.transaction}:{each.position}", each.waiting, each.keys_waiting, each.oldest)
        table.add_row(each.service, *map(str, numbers), foreign(again), foreign(each.cluster or "–"))
    return table
