"""Is a replica quiet: nothing under way, nothing to send, to read or to decide at this instant; and when there will be again.

Nobody can look at all replicas at once, so each answer has counters that grow with whatever happens. Two rounds of answers with nothing
left to do and the same counters mean that nothing happened in between: from the first round's last answer on, all was quiet. For that,
counters are read before what they vouch for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from aiokafka import TopicPartition

from redress_events.event import EPOCH, micros
from redress_spine.aggregate import Automation
from redress_spine.messaging.log_end import MARGIN, LogEnd
from redress_spine.messaging.relay import Relay
from redress_spine.processing.automations import AutomationLoop
from redress_spine.processing.clock import Clock
from redress_spine.processing.projector import Projector

STUCK_NAMED = 20  # rows
COUNTED = 1_000  # due rows: whoever asks wants to know whether there are none
# Index: events_relay. Whoever has an older transaction and is not seen here is still under way.
HEAD = "SELECT coalesce((SELECT global_position FROM events ORDER BY transaction_id DESC, global_position DESC LIMIT 1), 0)"
OFFSETS = "SELECT topic, partition, next FROM consumer_offsets"
# Index: row_errors_attempts.
STUCK = "SELECT automation, subject, error, attempts FROM row_errors ORDER BY attempts DESC, automation, subject LIMIT $1"


def next_due_sql(automation: Automation) -> str:
    """How many rows are due up to an instant ($1, epoch microseconds) and not set aside, of 1,000 at most; the first instant after it.
    Index: the automation's."""
    rows = f"FROM {automation.rows} WHERE ({automation.condition}) AND NOT s.parked"
    failing = f"EXISTS (SELECT FROM row_errors e WHERE e.automation = '{automation.name}' AND e.subject = s.subject)"
    if not automation.at:
        return f"""
            SELECT (SELECT count(*) FROM (SELECT s.subject {rows} LIMIT {COUNTED}) s WHERE NOT {failing}) AS due, NULL::bigint AS next
            WHERE $1::bigint IS NOT NULL
        """
    at = automation.time
    due = f"SELECT s.subject {rows} AND {at} <= $1::bigint ORDER BY {at} LIMIT {COUNTED}"
    return f"""
        SELECT (SELECT count(*) FROM ({due}) s WHERE NOT {failing}) AS due,
               (SELECT {at} {rows} AND {at} > $1::bigint ORDER BY {at} LIMIT 1) AS next
    """


class InFlight:
    """Counts commands: those that are under way, and all that ever were. `with` it each one is carried out."""

    def __init__(self) -> None:
        self.taken = 0
        self.under_way = 0

    def __enter__(self) -> None:
        self.taken += 1
        self.under_way += 1

    def __exit__(self, *_: object) -> None:
        self.under_way -= 1


@dataclass(frozen=True, slots=True)
class StuckRow:
    """A row that was set aside. error: its type and place."""

    automation: str
    subject: str
    error: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Idle:
    """What one replica answers.

    busy: commands, work and projector batches under way. backlog: events beyond the relay's checkpoint. lag: records on the log, keys too,
    that its service has not read. due: rows to be decided now, by whichever replica; stuck: those set aside, the most tried first. next:
    when the next one is to be decided. head, read, ends, commands, clock: counters, of the journal, of offsets read and written, of
    commands taken, and the time it is there. lost: records that it has read and that are no longer on the log. refused: partitions that it
    does not read, each with its reason.
    """

    service: str
    busy: int
    backlog: int
    lag: int
    due: int
    stuck: tuple[StuckRow, ...]
    next: datetime | None
    head: int
    read: int
    ends: int
    in_flight: int
    clock: datetime
    lost: int = 0
    refused: tuple[str, ...] = ()

    @property
    def counters(self) -> tuple[int, int, int, int, datetime]:
        return self.head, self.read, self.ends, self.in_flight, self.clock

    @property
    def pending(self) -> list[str]:
        """What it has to do, in words; empty if nothing."""
        counts = {
            "under way": self.busy,
            "events to send": self.backlog,
            "records to read": self.lag,
            "records read that the log has no more": self.lost,
        }
        counts["rows due"] = self.due
        stuck = [f"{row.automation} of {row.subject} set aside after {row.attempts} attempts: {row.error}" for row in self.stuck]
        return [
            f"{self.service}: {what}" for what in (*(f"{count} {name}" for name, count in counts.items() if count), *self.refused, *stuck)
        ]


async def look(
    *,
    source: str,
    clock: Clock,
    works: Sequence[Automation],
    places: Sequence[TopicPartition],
    in_flight: InFlight,
    database: Callable[[], AbstractAsyncContextManager[asyncpg.pool.PoolConnectionProxy]],
    log_end: LogEnd,
    relay: Relay,
    projector: Projector,
    automations: AutomationLoop,
) -> Idle:
    """Raises ConnectionError where Kafka does not say where the log ends, Unavailable without a database."""
    taken, now = in_flight.taken, clock()
    async with database() as connection:
        head = await connection.fetchval(HEAD)
        before = await _offsets(connection)
    ends = await log_end.ask(places)
    async with database() as connection:
        backlog = await relay.backlog(connection)
        offsets = await _offsets(connection)
        found = [await connection.fetchrow(next_due_sql(each), micros(now - MARGIN)) for each in works]
        stuck = [StuckRow(**row) for row in await connection.fetch(STUCK, STUCK_NAMED)]
    following = [row["next"] for row in found if row and row["next"] is not None]
    return Idle(
        service=source,
        busy=in_flight.under_way + automations.under_way + projector.under_way,
        backlog=backlog,
        # An end that was asked for between the two: less than what was read before it is a loss, less than what is read now is none.
        lag=sum(behind for place, end in ends.items() if (behind := end - offsets.get(place, 0)) > 0),
        lost=sum(beyond for place, end in ends.items() if (beyond := before.get(place, 0) - end) > 0),
        refused=tuple(each.message for _, each in sorted(projector.refused.items())),
        due=sum(row["due"] for row in found if row),
        stuck=tuple(stuck),
        next=EPOCH + timedelta(microseconds=min(following)) + MARGIN if following else None,
        head=head,
        read=sum(offsets.get(place, 0) for place in places),
        ends=sum(ends.values()),
        in_flight=taken,
        clock=now,
    )


async def _offsets(connection: asyncpg.pool.PoolConnectionProxy) -> Mapping[TopicPartition, int]:
    return {TopicPartition(row["topic"], row["partition"]): row["next"] for row in await connection.fetch(OFFSETS)}
