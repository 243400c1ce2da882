"""The five services' databases with 50,000 complaints each, in the shares of a busy year: few are due, most are closed. Analysed.

Long, for the shapes of five services stand beside what fills their tables with them.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from redress_callback import testing as visits
from redress_callback.domain.aggregate import AGGREGATE as VISIT
from redress_callback.domain.closing import end
from redress_chassis import Service
from redress_events.contracts import CALLBACK, HANDLING, INTAKE, SLA_MONITOR, TRIAGE
from redress_events.contracts.callback import ComplaintClosed
from redress_events.contracts.handling import CaseResolved
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified
from redress_handling import testing as cases
from redress_handling.domain.aggregate import AGGREGATE as CASE
from redress_intake.domain.aggregate import AGGREGATE as COMPLAINT
from redress_local.provision import Databases
from redress_sla_monitor import policies
from redress_sla_monitor.automations import automations
from redress_sla_monitor.domain.aggregate import AGGREGATE as WATCH
from redress_spine.aggregate import Aggregate, Table
from redress_spine.processing.projections import rows_of
from redress_spine.store import connections
from redress_spine.store.database import PLANS
from redress_spine.store.migrate import migrate
from redress_spine.store.states import Codec
from redress_spine.testing import NOON, Spec, folded
from redress_triage.domain.aggregate import AGGREGATE as TRIAGED

MIGRATIONS = Path(__file__).parents[2] / "services"
ROWS = 50_000
NTH = 7_777_777  # stands in a shape where each row has a number of its own: 1 … 50,000
# A shape is drawn by its share of a thousand; of each thousand the last one is parked.
FILL = """
INSERT INTO state (subject, partition, revision, parked, observed, own)
SELECT 'complaint/' || lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000', (n / 1000 + n) % 12, 1, n % 1000 = 999,
    replace(($2::text[])[shape], $5, n::text)::jsonb, replace(($3::text[])[shape], $5, n::text)::jsonb
FROM generate_series(1, $1::int) n CROSS JOIN LATERAL (SELECT width_bucket(n % 1000, $4::int[]) + 1 AS shape) s
"""
# What the spine keeps beside: two events of each complaint, shipped up to the last 100; and, which intake alone is asked for, a key, a
# sealed text, four entries and an answer of each.
SPINE = (
    """
    INSERT INTO events (stream, version, transaction_id, topic, type, prevhash, hash, data, partition)
    SELECT s.subject, v, ((row_number() OVER (ORDER BY v, s.subject)) / 200)::text::xid8, 'complaints.lifecycle.v1', 'redress.x.y.v1',
        sha256('a'), sha256(s.subject::bytea), convert_to(repeat('x', 500), 'UTF8'), s.partition
    FROM state s CROSS JOIN generate_series(1, 2) v
    """,
    "INSERT INTO keys (subject, wrapped, acknowledged) SELECT subject, sha256('k'), substr(subject, 11, 8) > '0000c300' FROM state",
    "INSERT INTO entries SELECT subject, 'said', n, 'intake', n, '{}', 2 FROM state CROSS JOIN generate_series(1, 4) n",
    "INSERT INTO lookups SELECT subject, sha256(convert_to(subject, 'UTF8')), -1 FROM state",
    "INSERT INTO counts SELECT 'workload', 'd' || n, n FROM generate_series(1, 5000) n",
    "INSERT INTO sealed SELECT subject, 'intake/1/text', sha256('w') FROM state",
    "INSERT INTO idempotency (key, request, subject, version) SELECT 'key-' || subject, sha256('r'), subject, 1 FROM state",
    """
    INSERT INTO parked (subject, topic, partition, "offset", reason, detail, content, hash, headers)
    SELECT s.subject, 'complaints.lifecycle.v1', s.partition, row_number() OVER (), 'gap', '', sha256(s.subject::bytea), 'h', '{}'
    FROM state s CROSS JOIN generate_series(1, 200) WHERE s.parked
    """,
    """
    INSERT INTO effects (reactor, key, subject, lane, target, data, opens, status, finished_at)
    SELECT 'webhooks', 'k' || n, 'subscription/' || n % 100, 'l' || n, 's' || n % 100, '{}', '{}', s,
        CASE WHEN s <> 'waiting' THEN now() END
    FROM generate_series(1, 50000) n, LATERAL (
        SELECT CASE WHEN n % 250 = 0 THEN 'waiting' WHEN n % 1000 = 1 THEN 'dead' ELSE 'done' END
    ) t (s)
    """,
    """
    INSERT INTO audit (writer, number, at, subjects, record, hash, mac)
    SELECT lpad(to_hex(n / 100), 32, '0')::uuid, n % 100 + 1, '2026-03-02'::timestamptz + n * interval '1 second',
        ARRAY['complaint/' || lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000'], '{}', sha256('h'), sha256('m')
    FROM generate_series(0, 49999) n
    """,
    "INSERT INTO subscriptions SELECT 'subscription/' || n, 'app-' || n % 2000, n FROM generate_series(1, 20000) n",
    "INSERT INTO consumer_offsets (topic, partition, kafka_cluster) SELECT 'complaints.lifecycle.v1', n, 'c' FROM generate_series(0, 11) n",
)
ERRORS = """
INSERT INTO row_errors SELECT $1, subject, 'KeyError', 1, now() FROM state WHERE ('x' || substr(subject, 11, 8))::bit(32)::int % 250 = 0
"""


@dataclass(frozen=True)
class Shape:
    """A state, how many of a thousand complaints are in it, and where in it each has a number of its own: `own.due_at`."""

    of_1000: int
    state: Any
    own: tuple[str, ...] = ()

    def dumped(self, codec: Codec) -> tuple[str, str]:
        facets = {"observed": json.loads(codec.dump_observed(self.state.observed)), "own": json.loads(codec.dump_own(self.state.own))}
        for path in self.own:
            *way, last = path.split(".")
            place: Any = facets
            for step in way:
                place = place[int(step) if isinstance(place, list) else step]
            place[last] = f"N{NTH}" if last == "number" else NTH
        return json.dumps(facets["observed"]), json.dumps(facets["own"])


def intake() -> list[Shape]:
    """open, closed"""
    registered = ComplaintRegistered(number="N", channel="web", kind="complaint", received_at=NOON, text="intake/1/text")
    own = ("own.number", "own.registered_at", "own.received_at")
    closed = folded(INTAKE, COMPLAINT, [registered, ComplaintClosed(cycle=1, reason="satisfied")])
    other = registered.model_copy(update={"channel": "shop", "area": "pudong", "client": "app"})
    closed_too = folded(INTAKE, COMPLAINT, [other, ComplaintClosed(cycle=1, reason="satisfied")])
    return [Shape(50, folded(INTAKE, COMPLAINT, [registered]), own), Shape(900, closed, own), Shape(50, closed_too, own)]


def triage() -> list[Shape]:
    """to classify, to be looked at by a person, classified"""
    said: dict[str, Any] = {"category": "other", "sub_category": "x", "kind": "complaint", "severity": "normal", "taxonomy": "t@1"}
    new = ComplaintRegistered(number="N", channel="web", kind="complaint", received_at=NOON, text="intake/1/text")
    unsure = ComplaintClassified(classification=1, confidence=0.1, review=True, **said)
    sure = ComplaintReclassified(classification=2, reason="r", **said)
    states = [folded(TRIAGE, TRIAGED, story) for story in ([new], [new, unsure], [new, unsure, sure])]
    return [Shape(1, states[0]), Shape(20, states[1], ("own.review_since",)), Shape(979, states[2])]


def handling() -> list[Shape]:
    """to open, to cancel; and in each of seven departments open, resolved"""
    opened = [cases.registered(), cases.classified(), cases.routed(), cases.opened()]
    resolved = [*opened, cases.accepted(), cases.contacted(), cases.resolved()]
    states = [Spec(HANDLING, CASE).given(*story).state for story in (opened[:3], [*opened, cases.closed()], opened, resolved)]
    shapes = [Shape(1, states[0]), Shape(5, states[1])]
    for n in range(7):
        to_do, ended = [replace(each, observed=replace(each.observed, department=f"d{n}")) for each in states[2:]]
        shapes += [Shape(7, to_do, ("observed.registration.received_at",)), Shape(135, ended, ("own.outcome.at",))]
    return shapes


def sla_monitor() -> list[Shape]:
    """to start, to settle, late, running"""
    received = datetime(2026, 3, 2, 2, tzinfo=UTC)
    registered = ComplaintRegistered(number="C", channel="web", kind="complaint", received_at=received, text="")
    classified = ComplaintClassified(
        classification=1, category="other", sub_category="x", kind="complaint", severity="normal", taxonomy="t@1", confidence=1
    )
    resolved = CaseResolved(cycle=1, department="d", cause="", measures="", responsible_unit="u", told_customer="phone")
    new = Spec(SLA_MONITOR, WATCH).given((registered, received), (classified, received)).at(received)
    start, settle, breach = automations(policies.in_force())
    running = new.when_due(start).after.when_due(settle).after
    late = running.at(received + timedelta(days=60)).when_due(breach).after
    settling = Spec(SLA_MONITOR, WATCH).given(*running.happened, (resolved, received))
    own = ("own.clocks.1.deadline",)
    return [Shape(1, new.state), Shape(1, settling.state), Shape(100, late.state, own), Shape(898, running.state, own)]


def callback() -> list[Shape]:
    """to schedule, to close as withdrawn, to publish again, to be visited, not reached, closed"""
    new = Spec(CALLBACK, VISIT).given(visits.registered(), visits.classified(), visits.routed(), visits.resolved())
    withdrawn = Spec(CALLBACK, VISIT).given(*new.happened, visits.withdrawn())
    visited = Spec(CALLBACK, VISIT).given(*new.happened, visits.scheduled())
    ended = end(visited.state, visited.context, "satisfied", [visits.reached(), visits.answered()])
    closed = Spec(CALLBACK, VISIT).given(*visited.happened, *ended)
    changed = Spec(CALLBACK, VISIT).given(*closed.happened, visits.breached())
    unreached = Spec(CALLBACK, VISIT).given(*visited.happened, visits.missed(1), visits.missed(2), visits.missed(3))
    few = [Shape(1, each.state) for each in (new, withdrawn, changed)]
    return [*few, Shape(50, visited.state, ("own.due_at",)), Shape(50, unreached.state, ("own.give_up_at",)), Shape(897, closed.state)]


SHAPES = {
    "intake": (COMPLAINT, intake),
    "triage": (TRIAGED, triage),
    "handling": (CASE, handling),
    "sla-monitor": (WATCH, sla_monitor),
    "callback": (VISIT, callback),
}


@dataclass(frozen=True)
class Filled:
    """One service's database, and a loop to talk to it."""

    runner: asyncio.Runner
    connection: asyncpg.Connection

    def plans(self, sql: str, values: tuple[Any, ...]) -> list[str]:
        """How a prepared statement is carried out: in a service; and where PostgreSQL chooses, as in a rebuild, with its values known, as
        at first, and as it keeps it after five times."""
        return self.runner.run(self._plans(sql, values))

    async def _plans(self, sql: str, values: tuple[Any, ...]) -> list[str]:
        call = f"EXPLAIN (COSTS OFF) EXECUTE hot{'(' + ', '.join(map(literal, values)) + ')' if values else ''}"
        plans = []
        for settings, times in ((PLANS, 1), ({}, 7)):
            async with self.connection.transaction():
                for name, value in settings.items():
                    await self.connection.execute(f"SET LOCAL {name} = {value}")
                await self.connection.execute(f"PREPARE hot AS {sql}")
                explained = [await self.connection.fetch(call) for _ in range(times)]
                await self.connection.execute("DEALLOCATE hot")
            plans += [explained[0], explained[-1]]
        return ["\n".join(row[0] for row in plan) for plan in plans[1:]]


def literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value)
        case bytes():
            return f"'\\x{value.hex()}'"
        case list():
            return "'{" + ",".join(f'"\\\\x{each.hex()}"' if isinstance(each, bytes) else str(each) for each in value) + "}'"
    return "'" + str(value).replace("'", "''") + "'"


@pytest.fixture(scope="module")
def filled(module_database: Callable[[str], Databases]) -> Iterator[Callable[[Service], Filled]]:
    """Made when first asked for, once for all."""
    made: dict[str, Filled] = {}
    with asyncio.Runner() as runner:

        def fill(service: Service) -> Filled:
            if service.name not in made:
                made[service.name] = Filled(runner, runner.run(fill_one(module_database(service.name), service)))
            return made[service.name]

        # The databases are provisioned by a loop of their own, so before ours runs: `fill` is called from no coroutine.
        yield fill
        for each in made.values():
            runner.run(each.connection.close())


def visited(node: Mapping[str, Any]) -> int:
    """How many rows were taken from tables, or thrown away, in a plan that was carried out."""
    own = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) if "Relation Name" in node else 0
    return int(own * node["Actual Loops"]) + sum(map(visited, node.get("Plans", [])))


@pytest.fixture(scope="module")
def rows_read(module_database: Callable[[str], Databases]) -> Callable[[Service, Sequence[Any]], Mapping[str, int]]:
    """How many rows statements read, by name, among 5,000 complaints: prepared, as a service does it, and carried out for the first time
    while all was empty, and nothing analysed since."""

    async def read(databases: Databases, service: Service, hot: Sequence[Any]) -> Mapping[str, int]:
        connection = await empty(databases, service)
        for table in await connection.fetch("SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND oid >= 16384"):
            await connection.execute(f"ALTER TABLE {table['name']} SET (autovacuum_enabled = off)")
        for name, value in PLANS.items():
            await connection.execute(f"SET {name} = {value}")
        calls = {}
        for n, each in enumerate(hot):
            await connection.execute(f"PREPARE hot{n} AS {each.sql}")
            calls[each.name] = f"EXECUTE hot{n}" + (f"({', '.join(map(literal, each.values))})" if each.values else "")
            await connection.fetch(calls[each.name])
        await fill_rows(connection, service, 5_000)
        found = {}
        for name, call in calls.items():
            await (doing := connection.transaction()).start()
            plan = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {call}"))
            found[name] = visited(plan[0]["Plan"])
            await doing.rollback()
        await connection.close()
        return found

    return lambda service, hot: asyncio.run(read(module_database(f"{service.name}-new"), service, hot))


async def project(connection: asyncpg.Connection, aggregate: Aggregate, drawn: list[Shape], bounds: list[int], rows: int) -> None:
    """The rows that these states have in their projections' tables."""
    codec, dumped = Codec(aggregate), [shape.dumped(Codec(aggregate)) for shape in drawn]
    shown: dict[Table, list[tuple[Any, ...]]] = defaultdict(list)
    for n in range(1, rows + 1):
        observed, own = (text.replace(str(NTH), str(n)) for text in dumped[bisect_right(bounds, n % 1000)])
        for table, made in rows_of(aggregate, (codec.load_observed(observed), codec.load_own(own))).items():
            shown[table] += [(f"complaint/{n:08x}-0000-7000-8000-000000000000", *row) for row in made.values()]
    for table, records in shown.items():
        await connection.copy_records_to_table(table.name, records=records, columns=["subject", *table.columns])


async def fill_one(databases: Databases, service: Service) -> asyncpg.Connection:
    connection = await empty(databases, service)
    await fill_rows(connection, service, ROWS)
    await connection.execute("VACUUM ANALYZE")
    return connection


async def empty(databases: Databases, service: Service) -> asyncpg.Connection:
    """The owner's connection to a service's database that was just made."""
    folder = MIGRATIONS / service.name / "migrations"
    schema = await migrate(owner_dsn=databases.owner_dsn, app_role=databases.app_role, service_migrations_dir=folder, fold=1)
    return await connections.connect(databases.owner_dsn, server_settings={"search_path": f"{schema},public"})


async def fill_rows(connection: asyncpg.Connection, service: Service, rows: int) -> None:
    aggregate, shapes = SHAPES[service.name]
    drawn = shapes()
    assert sum(shape.of_1000 for shape in drawn) == 1000
    observed, own = zip(*(shape.dumped(Codec(aggregate)) for shape in drawn), strict=True)
    bounds = [sum(shape.of_1000 for shape in drawn[: n + 1]) for n in range(len(drawn) - 1)]
    await connection.execute(FILL, rows, list(observed), list(own), bounds, str(NTH))
    await project(connection, aggregate, drawn, bounds, rows)
    for automation in service.automations(service.policies({})):
        await connection.execute(ERRORS, automation.name)
    for statement in SPINE if service.name == "intake" else SPINE[:1]:
        await connection.execute(statement)
