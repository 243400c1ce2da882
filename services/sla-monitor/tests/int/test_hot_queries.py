"""Each query that the work loop and the lists ask again and again is answered from its index, on 50,000 analysed rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from redress_events.contracts import SLA_MONITOR
from redress_events.contracts.handling import CaseResolved
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified
from redress_events.facts import Work
from redress_events.migrate import migrate
from redress_events.states import Codec, Query
from redress_events.testing import Case, Spec
from redress_events.work import due_sql, next_sql
from redress_local.provision import Databases
from redress_sla_monitor.api import DUE, LATE
from redress_sla_monitor.domain.watch import KIND
from redress_sla_monitor.work import BREACH, SETTLE, START

MIGRATIONS = Path(__file__).parents[2] / "migrations"
CODEC = Codec(KIND)
PARTITIONS = list(range(12))
AGES = 2**62

# Of each thousand one has something to start, one something to settle, a hundred are late, and the others run, each to another deadline.
FILL = """
INSERT INTO state (subject, partition, heard, done)
SELECT
    'complaint/' || gen_random_uuid(), n % 12,
    ($1::text[])[shape]::jsonb,
    CASE WHEN shape > 1 THEN jsonb_set(($2::text[])[shape]::jsonb, '{clocks,1,deadline}', to_jsonb(n)) ELSE '{}' END
FROM generate_series(1, 50000) n
CROSS JOIN LATERAL (SELECT CASE WHEN n % 1000 < 2 THEN n % 1000 + 1 WHEN n % 10 = 2 THEN 3 ELSE 4 END AS shape) s
"""


def shapes() -> tuple[Case, ...]:
    """to start, to settle, late, running"""
    received = datetime(2026, 3, 2, 2, tzinfo=UTC)
    registered = ComplaintRegistered(number="C", channel="web", kind="complaint", received_at=received, text="")
    classified = ComplaintClassified(
        classification=1, category="other", sub_category="x", kind="complaint", severity="normal", taxonomy="t@1", confidence=1
    )
    resolved = CaseResolved(cycle=1, department="d", cause="", measures="", responsible_unit="u", told_customer="phone")
    new = Spec(SLA_MONITOR, KIND).given((registered, received), (classified, received)).at(received)
    running = new.when_due(START).after.when_due(SETTLE).after
    late = running.at(received + timedelta(days=60)).when_due(BREACH).after
    return new, Spec(SLA_MONITOR, KIND).given(*running.happened, (resolved, received)), late, running


@pytest.fixture(scope="module")
def explain(module_database: Callable[[str], Databases]) -> Iterator[Callable[..., str]]:
    databases = module_database("sla-monitor")
    with asyncio.Runner() as runner:
        schema = runner.run(migrate(owner_dsn=databases.owner_dsn, app_role=databases.app_role, service_migrations_dir=MIGRATIONS, fold=1))
        connection = runner.run(asyncpg.connect(databases.owner_dsn, server_settings={"search_path": f"{schema},public"}))
        states = [case.state for case in shapes()]
        heard, done = [CODEC.dump_heard(each.heard) for each in states], [CODEC.dump_done(each.done) for each in states]
        runner.run(connection.execute(FILL, heard, done))
        runner.run(connection.execute("VACUUM ANALYZE state"))

        def plan(sql: str, *values: Any) -> str:
            rows = runner.run(connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}", *values))
            return "\n".join(row[0] for row in rows)

        yield plan
        runner.run(connection.close())


@pytest.mark.parametrize("work", [START, SETTLE, BREACH], ids=lambda work: work.name)
def test_what_is_due_comes_from_an_index(explain: Callable[..., str], work: Work):
    plan = explain(due_sql(work), PARTITIONS, AGES, 200)
    assert work.index in plan, plan
    assert "Seq Scan on state" not in plan, plan


def test_the_next_instant_comes_from_an_index(explain: Callable[..., str]):
    plan = explain(next_sql(BREACH), PARTITIONS)
    assert BREACH.index in plan, plan
    assert "Sort" not in plan, plan


@pytest.mark.parametrize("query", [DUE, LATE], ids=lambda query: query.name)
def test_a_page_comes_from_an_index_in_its_order(explain: Callable[..., str], query: Query):
    plan = explain(query.sql(1), [], 1000, "", 51)
    assert query.index in plan, plan
    assert "Sort" not in plan, plan
