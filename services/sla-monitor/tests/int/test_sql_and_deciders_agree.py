"""The columns that make a row due say, in every history, exactly what the deciders would decide; and they end it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redress_events.contracts.callback import ComplaintClosed
from redress_events.contracts.handling import CaseResolved
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified
from redress_events.facts import Context, Fact, from_micros, micros
from redress_events.migrate import migrate
from redress_events.states import Codec
from redress_local.provision import Databases
from redress_sla_monitor.domain.breach import breach
from redress_sla_monitor.domain.policy import Rules
from redress_sla_monitor.domain.settle import settle
from redress_sla_monitor.domain.start import start
from redress_sla_monitor.domain.watch import KIND, Watch

MIGRATIONS = Path(__file__).parents[2] / "migrations"
CODEC = Codec(KIND)
BLANK = Watch()
NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
Step = tuple[Fact | str, datetime]

INSERT = """
INSERT INTO state (subject, partition, heard, done)
SELECT 'complaint/' || gen_random_uuid(), 0, heard::jsonb, done::jsonb
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY given (heard, done, nth) ORDER BY nth
RETURNING to_start, to_settle, next_breach, late_since, department
"""


@dataclass(frozen=True)
class Database:
    """A migrated database, and a loop to talk to it from tests that Hypothesis drives."""

    runner: asyncio.Runner
    connection: asyncpg.Connection

    def columns(self, watches: list[Watch]) -> list[asyncpg.Record]:
        """What the columns of these states are."""

        async def ask() -> list[asyncpg.Record]:
            transaction = self.connection.transaction()
            await transaction.start()
            try:
                heard, done = [CODEC.dump_heard(each.heard) for each in watches], [CODEC.dump_done(each.done) for each in watches]
                return await self.connection.fetch(INSERT, heard, done)
            finally:
                await transaction.rollback()

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def state(module_database: Callable[[str], Databases]) -> Iterator[Database]:
    databases = module_database("sla-monitor")
    with asyncio.Runner() as runner:
        schema = runner.run(migrate(owner_dsn=databases.owner_dsn, app_role=databases.app_role, service_migrations_dir=MIGRATIONS, fold=1))
        connection = runner.run(asyncpg.connect(databases.app_dsn, server_settings={"search_path": f"{schema},public"}))
        yield Database(runner, connection)
        runner.run(connection.close())


def hour(n: int) -> datetime:
    return datetime(2026, 3, 2, n, tzinfo=UTC)


def decide(which: str, watch: Watch, now: datetime, rules: Rules) -> list[Fact]:
    context = Context(now=now, actor="timer")
    match which:
        case "start":
            return start(watch, context, rules)
        case "settle":
            return settle(watch, context, rules)
        case _:
            return breach(watch, context)


def chapters(steps: list[Step], rules: Rules, watch: Watch = BLANK) -> list[Watch]:
    """The state before and after each step."""
    heard, done = watch.heard, watch.done
    watches = [watch]
    for step, at in steps:
        if isinstance(step, Fact):
            heard = KIND.hear(heard, step, at)
        else:
            for fact in decide(step, Watch(heard, done), at, rules):
                done = KIND.did(done, fact, at)
        watches.append(Watch(heard, done))
    return watches


def compare(watches: list[Watch], rules: Rules, state: Database) -> None:
    for watch, row in zip(watches, state.columns(watches), strict=True):
        assert row["department"] == watch.heard.placement.department
        assert row["to_start"] == bool(decide("start", watch, NOW, rules))
        assert row["to_settle"] == bool(decide("settle", watch, NOW, rules))
        assert row["late_since"] == min((micros(each.deadline) for each in watch.done.clocks if each.late), default=None)
        if row["next_breach"] is None:
            assert decide("breach", watch, NOW + timedelta(days=365), rules) == []
        else:
            at = from_micros(row["next_breach"])
            assert isinstance(at, datetime)
            assert decide("breach", watch, at - MOMENT, rules) == []
            assert decide("breach", watch, at, rules) != []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_row_is_due_when_its_decider_has_something_to_say(
    data: st.DataObject, histories: st.SearchStrategy[list[Step]], rules: Rules, state: Database
):
    compare(chapters(data.draw(histories), rules), rules, state)


@pytest.fixture
def running() -> list[Step]:
    """Registered and classified, the classify clock met, four hours to resolve it."""
    registered = ComplaintRegistered(number="C", channel="web", kind="complaint", received_at=hour(0), text="")
    classified = ComplaintClassified(
        classification=1, category="other", sub_category="x", kind="complaint", severity="normal", taxonomy="t@1", confidence=1
    )
    return [(registered, hour(0)), (classified, hour(1)), ("start", hour(1)), ("settle", hour(1))]


def test_what_ended_at_the_very_deadline_and_was_told_last_is_due(running: list[Step], rules: Rules, state: Database):
    resolved = CaseResolved(cycle=1, department="d", cause="", measures="", responsible_unit="u", told_customer="phone")
    closed = ComplaintClosed(cycle=1, reason="withdrawn")
    watches = chapters([*running, ("breach", hour(5)), (closed, hour(6)), ("settle", hour(6)), (resolved, hour(4))], rules)
    assert decide("settle", watches[-1], NOW, rules) != []
    compare(watches, rules, state)


def test_a_reclassification_is_due(running: list[Step], rules: Rules, state: Database):
    reclassified = ComplaintReclassified(
        classification=2, category="billing_dispute", sub_category="x", kind="complaint", severity="normal", taxonomy="t@1", reason=""
    )
    watches = chapters([*running, (reclassified, hour(2))], rules)
    assert decide("settle", watches[-1], NOW, rules) != []
    compare([*watches, *chapters([("settle", hour(2))], rules, watches[-1])], rules, state)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_decision_ends_what_made_the_row_due(
    data: st.DataObject, histories: st.SearchStrategy[list[Step]], rules: Rules, state: Database
):
    watch = chapters(data.draw(histories), rules)[-1]
    (row,) = state.columns([watch])
    breach_at = from_micros(row["next_breach"])
    later = breach_at if isinstance(breach_at, datetime) else NOW
    afterwards = [chapters([(which, later)], rules, watch)[-1] for which in ("start", "settle", "breach")]
    started, settled, breached = state.columns(afterwards)
    assert not started["to_start"]
    assert not settled["to_settle"]
    assert breached["next_breach"] is None or breached["next_breach"] > (row["next_breach"] or 0)
