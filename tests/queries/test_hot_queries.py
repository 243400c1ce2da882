"""Each statement that is asked again and again is answered from its index, on 50,000 analysed rows: as the services have it planned, and
where PostgreSQL chooses itself; and from few rows where it was planned before there were any.

What the automation loop and the lists ask is taken from the services as they are put together, so that none can be forgotten.

Long, for every frequent query is a row of one table.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from redress_chassis import Service
from redress_chassis.edge.outbound import Outbound
from redress_cli.relay import POSITION
from redress_events.contracts import INTAKE
from redress_events.contracts.intake import ComplaintWithdrawn
from redress_intake import reactors
from redress_intake.domain.aggregate import AGGREGATE as COMPLAINT
from redress_intake.domain.lists import OPEN
from redress_intake.main import service as intake
from redress_intake.queries import OPEN_ONES
from redress_local.places import SERVICES as NAMES
from redress_local.places import migrations, package
from redress_local.provision import Databases
from redress_spine.admin import rebuild, rewrap
from redress_spine.admin.audit import Filter
from redress_spine.aggregate import Projection
from redress_spine.messaging import relay
from redress_spine.processing import automations, effects, idle, parking, planning, projections, projector, pruning, watch
from redress_spine.store import (
    audit,
    commit,
    connections,
    deciding,
    entries,
    forgetting,
    lookups,
    master_keys,
    own_folding,
    saving,
    states,
    vault,
)
from redress_spine.store.database import PLANS
from redress_spine.store.migrate import migrate
from redress_spine.testing import NOON

SERVICES: list[Service] = [importlib.import_module(f"{package(name)}.main").service for name in NAMES]
WEBHOOKS = reactors.reactor(Outbound())
SPINES = ["state", "events", "entries", "keys", "sealed", "idempotency", "parked", "lookups", "counts", "effects", "audit"]
AGGREGATES = [aggregate for service in SERVICES for aggregate in service.verified(1).aggregates.values()]
PROJECTED = [each.table.name for aggregate in AGGREGATES for each in aggregate.projections if isinstance(each, Projection)]
LARGE = re.compile(rf"Seq Scan on ({'|'.join([*SPINES, *PROJECTED])})\b")
PARTITIONS = list(range(12))
FIRST = (-(2**63), "")  # of a list: before everything
SUBJECTS = [f"complaint/{n:08x}-0000-7000-8000-000000000000" for n in range(1, 201)]
PARKED = f"complaint/{999:08x}-0000-7000-8000-000000000000"
ONES = [1] * 200
HASH = bytes(32)
LIFECYCLE = ["complaints.lifecycle.v1"] * 12
WRITER = uuid.UUID(int=7)
LATELY = datetime(2026, 3, 2, 13, 50, tzinfo=UTC)
BEGIN, NEAR_THE_END = ("0", 0), ("499", 99_900)  # of the journal


@dataclass(frozen=True)
class Hot:
    """index: one of them must be used. sorts: whether what it reads is put in order afterwards, because it is little. small: a table of so
    few pages that PostgreSQL, where it may choose, reads the whole. span: the index by which it may then read a span of time instead."""

    service: Service
    name: str
    sql: str
    values: tuple[Any, ...]
    index: tuple[str, ...]
    sorts: bool = True
    small: bool = False
    span: tuple[str, ...] = ()


# What a list is asked for, by service and name: its filters.
ASKED: dict[tuple[str, str], list[tuple[Any, ...]]] = {
    ("intake", "by-number"): [("N25000",)],
    ("intake", "pending"): [()],
    ("intake", "received"): [(-(2**62), 2**62, None, None), (-30_000, -25_000, None, True)],
    ("intake", "received-open"): [(-(2**62), 2**62, None, None), (-(2**62), 2**62, None, "registered")],
    ("intake", "subscriptions"): [()],
    ("triage", "reviews"): [()],
    ("handling", "to-do"): [(["open", "accepted"],)],
    ("handling", "ended"): [(["resolved"],)],
    ("sla-monitor", "due"): [([],), ([25_000],)],
    ("sla-monitor", "late"): [([],), ([25_000],)],
    ("callback", "visits"): [()],
}


def lists() -> list[Hot]:
    """As a whole, one department's part, and that of some areas; or one owner's alone."""
    found = []
    for service in SERVICES:
        for query in service.queries:
            for filters in ASKED[service.name, query.name]:
                asked = [(query.of_owner(len(filters)), (*filters, "app"))] if query.owner else []
                asked += [(query, filters)] if query.near or not query.owner else []
                asked += [(query.of_channels(len(filters)), (*filters, ["web"]))] if query.by_channel else []
                asked += [(query.of_department(len(filters)), (*filters, "d3"))] if query.own else []
                if query.near:
                    asked.append((query.of_areas(len(filters)), (*filters, ["north", "pudong"])))
                    asked += [(query.of_areas(len(filters), with_department=True), (*filters, ["north"], "d3"))] if query.own else []
                found += [
                    Hot(
                        service,
                        f"{query.name} {args}",
                        each.sql(len(args)),
                        (*args, *FIRST, 51),
                        (each.index,),
                        bool(query.name == "by-number" or each.parts_at),  # the first of each area, put in one order
                        query.table is OPEN,
                        (query.index,) if query.name == "received" else (),
                    )
                    for each, args in asked
                ]
    return found


def works() -> list[Hot]:
    """Timed automations at an instant when few rows are due, and at one when all are."""
    found = []
    for service in SERVICES:
        if every := service.automations(service.policies({})):
            found += [
                Hot(service, "who has something to do", automations.around_sql(every), (PARTITIONS, 0), (each.index,))
                for each in every
                if not each.at
            ]
        for each in every:
            either = (each.index, "state_pkey")
            found += [
                Hot(service, f"{each.name} due at {at}", automations.due_sql(each), (PARTITIONS, at, 200), (each.index,))
                for at in ((500, 2**62) if each.at else (0,))
            ]
            found.append(Hot(service, f"{each.name} still due", automations.still_due_sql(each), (SUBJECTS, 500, ONES), either))
            found.append(Hot(service, f"{each.name} due again", automations.due_again_sql(each), (PARTITIONS, 500, 200), either))
            found.append(Hot(service, f"{each.name} settled", automations.settled_sql(each), (), either))
            found.append(Hot(service, f"{each.name} quiet", idle.next_due_sql(each), (500,), (each.index,)))
            if each.at:
                found.append(Hot(service, f"{each.name} next", automations.next_sql(each), (PARTITIONS,), (each.index,), sorts=False))
    return found


def spine() -> list[Hot]:
    streams = (SUBJECTS, ONES)
    lists_of = (SUBJECTS[0], ["said", "stages"])
    table: list[tuple[str, str, tuple[Any, ...], str, bool]] = [
        ("rows and their heads", states.LOAD, (SUBJECTS,), "state_pkey", False),
        ("one row and its head", states.LOAD, (SUBJECTS[:1],), "state_pkey", False),
        ("heads of streams", states.HEADS, (SUBJECTS,), "events_pkey", False),
        ("a page for the relay", relay.READ, (*NEAR_THE_END, 1_000), "events_relay", False),
        ("how far a relay is", POSITION, (), "events_relay", False),
        ("a page from a backlog", relay.READ, (*BEGIN, 1_000), "events_relay", False),
        (
            "a page behind the one that went",
            relay.MOVE_AND_READ,
            (*BEGIN, *NEAR_THE_END, "c", SUBJECTS, [False] * 200, 1_000),
            "events_relay",
            False,
        ),
        ("keys that went and where they went to", relay.MOVE_WITH_KEYS, (*BEGIN, *BEGIN, "c", SUBJECTS, [False] * 200), "keys_", True),
        ("what a reactor has to do", automations.around_sql([planning.plan_of(WEBHOOKS)]), (PARTITIONS, 0), "state_pkey", True),
        ("keys that went", relay.ACKNOWLEDGE, (SUBJECTS, [False] * 200), "keys_", True),
        ("keys that go again", relay.AGAIN, (SUBJECTS[0], 1_000), "keys_pkey", False),
        ("rows to be folded", projector.ROWS, (SUBJECTS,), "state_pkey", True),
        ("own events read back", projector.JOURNAL, streams, "events_pkey", True),
        ("an answer given before", deciding.STORED, (f"key-{SUBJECTS[0]}",), "idempotency_pkey", False),
        ("answers that are too old", pruning.PRUNE, (timedelta(days=7), 500), "idempotency_at", True),
        ("what a command made", deciding.MADE, (SUBJECTS[0], 1), "events_pkey", False),
        ("the latest entries", entries.LATEST, (*lists_of, 21, *entries.BEGINNING, entries.BYTES), "entries_pkey", True),
        ("a page of entries", entries.LATEST, (*lists_of, 51, 3, "intake", 3, entries.BYTES), "entries_pkey", True),
        ("what a list knows", entries.KNOWN, (SUBJECTS[0], "stages"), "entries_pkey", True),
        ("entries that were not seen", entries.UNSEEN, (SUBJECTS[0], "stages", ["intake"], [1], [9], 200), "entries_pkey", True),
        ("revisions of the followed", states.REVISIONS, (SUBJECTS,), "state_pkey", True),
        ("keys to wrap anew", rewrap.NEXT, (SUBJECTS[0], 500), "keys_pkey", False),
        ("keys that are wrapped anew", rewrap.ANEW, (SUBJECTS, [HASH] * 200, [HASH] * 200), "keys_pkey", True),
        ("which master key wraps", master_keys.SAMPLE, (), "keys_pkey", False),
        ("a key and what it opens", vault.OPEN, (SUBJECTS[:1], SUBJECTS[:1], ["intake/1/text"]), "keys_pkey", True),
        ("keys and what they open", vault.OPEN, (SUBJECTS, SUBJECTS, ["intake/1/text"] * 200), "keys_pkey", True),
        ("parked records of one", parking.RECORDS, (PARKED,), "parked_subject", True),
        ("the last of them", parking.LAST, (PARKED,), "parked_subject", True),
        ("copies of a record", parking.COPIES, (LIFECYCLE[0], 3, [HASH]), "parked_content", True),
        ("a parked row", parking.LOCK_ROW, (PARKED,), "state_p", False),
        ("what a redrive folded", parking.REMOVE, (PARKED, [1, 2, 3]), "parked_", True),
        ("what it stumbles over", parking.TELL, (PARKED, 1, "gap", ""), "parked_", True),
        ("the journal's head", idle.HEAD, (), "events_relay", False),
        ("how many are parked", watch.COUNTS, (), "state_parked", True),
        ("effects to be done", effects.LEASE, ("webhooks", "me", timedelta(seconds=35), 16, 4), "effects_waiting or effects_lane", True),
        ("effects that were given up", effects.DEAD, (200,), "effects_dead", False),
        ("effects of one", effects.OF_SUBJECT, ("webhooks", "subscription/1", 2**62, 51), "effects_subject", False),
        ("effects that are old", effects.PRUNE, ("webhooks", timedelta(days=30), 500), "effects_finished", True),
        ("news that nobody wants", reactors.SWEEP, (), "state_pkey", True),
        ("complaints that there is news of", automations.due_sql(planning.plan_of(WEBHOOKS)), (PARTITIONS, 0, 200), "state_pkey", True),
        ("rows whose effects are kept", planning.LOCK, (SUBJECTS, ONES), "state_pkey", True),
        ("who is told", reactors.SUBSCRIPTIONS, (["app", "shop"],), "subscriptions_subscriber", True),
        ("what is told", reactors.ENTRIES, (SUBJECTS, "stages"), "entries_pkey", True),
        ("what a rebuild follows", rebuild.BEYOND, (*NEAR_THE_END, False, 1_000), "events_relay", False),
        ("states of a rebuild", own_folding.OWN, (SUBJECTS,), "state_pkey", True),
        ("what was decided meanwhile", saving.OWN, (SUBJECTS,), "state_pkey", True),
        ("who is found by a number", lookups.FOUND.sql(1), (HASH, *FIRST, 51), "lookups_pkey", False),
        ("by what the forgotten were found", forgetting.FORGET_LOOKUPS, (SUBJECTS,), "lookups_subject", True),
        ("what was sealed for the forgotten", forgetting.DROP_SEALED, (SUBJECTS,), "sealed_pkey", True),
        ("keys of a rebuild", lookups.KEYS, (SUBJECTS,), "keys_pkey", True),
        ("words of keys that came later", lookups.SEALED, (SUBJECTS, "intake"), "sealed_pkey", True),
        ("how many are what", projections.COUNTS, ("workload",), "counts_pkey", True),
        ("how far the audit trail's chains have come", audit.HEADS, (audit.MOST_HEADS,), "audit_begun", True),
        ("whether a record of the audit trail is there", audit.THERE, (WRITER, 50), "audit_pkey", False),
        ("who read of one", f"{Filter(subject=SUBJECTS[0]).sql()[0]} ORDER BY at DESC LIMIT 50", (SUBJECTS[0],), "audit_subjects", True),
        ("who read lately", f"{Filter(since=LATELY).sql()[0]} ORDER BY at DESC LIMIT 50", (LATELY,), "audit_at", False),
        ("errors that are over", automations.CLEAR, ("open", SUBJECTS), "row_errors_pkey or row_errors_attempts", True),
    ]
    small = ("consumer_offsets_pkey", "row_errors_pkey or row_errors_attempts")  # a row of each partition, and of each row whose work fails
    return [Hot(intake, name, sql, values, tuple(index.split(" or ")), sorts, index in small) for name, sql, values, index, sorts in table]


@pytest.mark.parametrize("hot", [*lists(), *works(), *spine()], ids=lambda hot: f"{hot.service.name}: {hot.name}")
def test_it_is_answered_from_its_index(filled: Callable[[Service], Any], hot: Hot) -> None:
    served, *chosen = filled(hot.service).plans(hot.sql, hot.values)
    for plan, right in ((served, hot.index), *((each, (*hot.index, *hot.span)) for each in chosen if not hot.small)):
        assert any(index in plan for index in right), plan
        assert not LARGE.search(plan), plan
        assert hot.sorts or "Sort" not in plan, plan


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_plan_that_was_made_while_all_was_empty_reads_what_is_due_and_no_more(
    rows_read: Callable[[Service, Sequence[Hot]], Mapping[str, int]], service: Service
) -> None:
    """A service keeps it until somebody analyses the tables, and by then there may be tens of thousands of complaints. Lists are left out:
    they are asked by people, not many times a second; and so are counts, which are read whole, and how far a relay is."""
    found = rows_read(
        service, [each for each in (*works(), *spine()) if each.service is service and each.sql not in (projections.COUNTS, POSITION)]
    )
    assert found and {name: rows for name, rows in found.items() if rows > 2_500} == {}


def test_what_is_open_is_counted_from_its_own_table_alone(filled: Callable[[Service], Any]) -> None:
    """It has a row for each open complaint, and is read whole: one in twenty here."""
    intake_filled = filled(intake)
    counted = intake_filled.runner.run(intake_filled.connection.fetch(OPEN_ONES.sql, 2**62, [500, 2**61]))
    assert sum(row["n"] for row in counted) == 2_500
    for plan in intake_filled.plans(OPEN_ONES.sql, (2**62, [500, 2**61])):
        assert re.findall(r"(?:Scan|using \S+) on (\w+)", plan) == [OPEN.name], plan


SCANNED = """
SELECT relname, seq_scan FROM pg_stat_user_tables
WHERE relname IN ('state', 'events', 'entries', 'keys', 'sealed', 'idempotency', 'complaints', 'lookups') ORDER BY relname
"""


def test_a_commit_reads_no_table_whole(module_database: Callable[[str], Databases]) -> None:
    """From the first on, planned while the tables are empty. Its statements are inside a function, where EXPLAIN does not look: counters
    tell."""
    databases, known = module_database("intake"), states.States({"complaint": COMPLAINT}, 12)

    async def commits() -> None:
        schema = await migrate(
            owner_dsn=databases.owner_dsn, app_role=databases.app_role, service_migrations_dir=migrations("intake"), fold=1
        )
        connection = await connections.connect(databases.owner_dsn, server_settings={"search_path": f"{schema},public", **PLANS})

        async def scanned() -> list[tuple[str, int]]:
            await connection.execute("SELECT pg_stat_force_next_flush()")
            return [tuple(row) for row in await connection.fetch(SCANNED)]

        await scanned()
        before = await scanned()
        for n, subject in enumerate(SUBJECTS):
            for withdrawal in (1, 2):
                row = (await known.load(connection, [subject])).get(subject) or known.fresh(subject)
                key = commit.IdempotencyKey(f"{n} {withdrawal}", HASH)
                item = commit.prepare(
                    INTAKE,
                    known.codec(subject),
                    row,
                    [ComplaintWithdrawn(withdrawal=withdrawal)],
                    NOON,
                    commit.Provenance("a", "c"),
                    key=key,
                )
                assert [outcome.result for outcome in await commit.commit(connection, [item])] == ["committed"]
        await scanned()
        assert await scanned() == before
        await connection.close()

    asyncio.run(commits())
