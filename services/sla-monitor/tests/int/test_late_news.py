"""A breach is said once, and an event that comes late with an earlier time annuls it once: on the real log, two replicas, all sent
twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from spine_log import Author, Pen, Sent, pen, subject_of
from spine_stack import MAC, MASTER, Stack, eventually

from redress_events.contracts import CONTRACTS, HANDLING, INTAKE, SLA_MONITOR, TRIAGE
from redress_events.contracts.handling import CaseResolved
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified
from redress_events.event import Event
from redress_local.provision import Databases
from redress_sla_monitor.domain.aggregate import AGGREGATE
from redress_sla_monitor.main import service
from redress_spine.admin.verify import verify
from redress_spine.aggregate import Verified
from redress_spine.messaging import topics
from redress_spine.store import connections
from redress_spine.store.engine import Config, Engine
from redress_spine.store.migrate import migrate

MIGRATIONS = Path(__file__).parents[2] / "migrations"
RECEIVED = datetime.now(UTC).replace(microsecond=0) - timedelta(days=90)  # every target of the handbook is over
MOMENT = timedelta(microseconds=1)
SAID: dict[str, Any] = {"category": "other", "sub_category": "x", "kind": "complaint", "severity": "normal", "taxonomy": "t@1"}
REGISTERED = ComplaintRegistered(number="C", channel="web", kind="complaint", received_at=RECEIVED, text="")
CLASSIFIED = ComplaintClassified(classification=1, confidence=1, **SAID)
RECLASSIFIED = ComplaintReclassified(classification=2, reason="r", **(SAID | {"severity": "major"}))
RESOLVED = CaseResolved(cycle=1, department="d", cause="", measures="", responsible_unit="u", told_customer="phone")


@dataclass
class Monitor:
    """Two replicas of the service, and what its journal has."""

    stack: Stack
    databases: Databases
    replicas: Sequence[Engine]
    connection: asyncpg.Connection

    async def idle(self) -> None:
        """Until nothing is under way, unread or due on either replica, twice with the same counters."""
        before: list[Any] = []

        async def still() -> bool:
            nonlocal before
            looks = [await each.idle() for each in self.replicas]
            counters = [look.counters[:-1] for look in looks]  # all but the wall clock
            same, before = counters == before, counters
            return same and not any(look.pending for look in looks)

        await eventually(still, within=60)

    async def said(self, subject: str) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of its events on the resolve clock, in their order."""
        rows = await self.connection.fetch("SELECT type, data FROM events WHERE stream = $1 ORDER BY version", subject)
        events = [(row["type"].split(".")[2], json.loads(row["data"])["data"]) for row in rows]
        return [(name, data) for name, data in events if data["clock"] == "resolve"]


@pytest.fixture
async def monitor(kafka_address: str, database: Callable[[str], Awaitable[Databases]]) -> AsyncIterator[Monitor]:
    stack = Stack(kafka_address, database)
    await topics.ensure(kafka_address, partitions=stack.partitions, prefix=stack.prefix)
    made = await database("sla-monitor")
    schema = await migrate(owner_dsn=made.owner_dsn, app_role=made.app_role, service_migrations_dir=MIGRATIONS, fold=1)
    connection = await connections.connect(made.app_dsn, server_settings={"search_path": f"{schema},public"})
    config = Config(made.app_dsn, kafka_address, MASTER, MAC, stack.partitions, 0.2, topic_prefix=stack.prefix)
    replicas = [
        Engine(
            source="sla-monitor",
            aggregates={"complaint": AGGREGATE},
            contract=SLA_MONITOR,
            contracts=CONTRACTS,
            automations=service.automations(service.policies({})),
            queries=service.queries,
            fold=1,
            config=config,
        )
        for _ in range(2)
    ]
    for each in replicas:
        await each.start()
    yield Monitor(stack, made, replicas, connection)
    for each in replicas:
        await each.stop()
    await connection.close()


async def twice(hand: Pen, records: Sequence[Sent]) -> None:
    await hand.write(*records, *records)


async def breached(monitor: Monitor, hand: Pen, subject: str) -> tuple[Author, Author, datetime]:
    """Registered and classified in time, and never resolved: triage's and handling's streams, and the deadline that was breached."""
    triage, handling = Author(subject, TRIAGE), Author(subject, HANDLING)
    await twice(hand, Author(subject, INTAKE).say(REGISTERED, at=RECEIVED))
    await twice(hand, triage.say(CLASSIFIED, at=RECEIVED + timedelta(hours=1)))

    async def said() -> list[Any]:
        return [data for name, data in await monitor.said(subject) if name == "deadline-breached"]

    (breach,) = await eventually(said, within=60)
    return triage, handling, datetime.fromisoformat(breach["deadline"])


@pytest.mark.parametrize(
    ("after", "annulled"),
    [(timedelta(days=-1), 1), (timedelta(0), 1), (MOMENT, 0)],
    ids=["before the deadline", "at the deadline", "a moment after it"],
)
async def test_an_event_of_an_earlier_time_annuls_once_and_for_good(monitor: Monitor, after: timedelta, annulled: int) -> None:
    subject = subject_of(1)
    async with pen(monitor.stack) as hand:
        triage, handling, deadline = await breached(monitor, hand, subject)
        await monitor.idle()
        before = Counter(name for name, _ in await monitor.said(subject))
        assert before == {"clock-started": 1, "deadline-breached": 1}

        late: list[Sent] = handling.say(RESOLVED, at=deadline + after)
        await twice(hand, late)
        await monitor.idle()
        found = Counter(name for name, _ in await monitor.said(subject))
        assert (found["deadline-breached"], found["breach-annulled"], found["clock-met"]) == (1, annulled, 1)

        more: Event = RECLASSIFIED  # of an earlier time still, and with a shorter target: it comes when all is said
        await twice(hand, [*triage.say(more, at=RECEIVED + timedelta(hours=2)), *late])
        await monitor.idle()
        found = Counter(name for name, _ in await monitor.said(subject) if name != "clock-confirmed")
        assert (found["deadline-breached"], found["breach-annulled"]) == (1, annulled), found
    what = Verified("sla-monitor", {"complaint": AGGREGATE}, SLA_MONITOR, CONTRACTS, monitor.stack.partitions, monitor.stack.prefix, MAC)
    report = await verify(what, monitor.databases.app_dsn, monitor.stack.kafka)
    assert report.equal and report.parked == 0, report
