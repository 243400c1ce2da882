"""`commit_decisions` commits each item wholly or not at all, in order, once for each key, and says what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from spine_log import STATES, fresh, item, subject_of
from spine_stack import Stack, eventually, metadata, registered

from redress_events.contracts.intake import ComplaintChased
from redress_spine.messaging.relay import READ
from redress_spine.store import connections
from redress_spine.store.commit import Committer, commit
from redress_spine.store.database import AWAY, HELD
from redress_spine.store.states import Connection, Row

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
BARE = "INSERT INTO events (stream, version, topic, type, prevhash, hash, data, partition) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)"


async def load(connection: Connection, subject: str) -> Row:
    return (await STATES.load(connection, [subject]))[subject]


async def test_an_append_from_an_older_transaction_is_refused_and_would_have_been_relayed_before_its_predecessor(stack: Stack) -> None:
    old, new = await stack.connect("intake"), await stack.connect("intake")
    subject = subject_of(1)

    async def second(bare: bool) -> list[int]:
        """Version 2 from a transaction that began to write before version 1's, and the versions as the relay reads them then."""
        slow = old.transaction()
        await slow.start()
        await old.fetchval("SELECT pg_current_xact_id()")
        first = item(STATES.fresh(subject))
        assert [each.result for each in await commit(new, [first])] == ["committed"]
        chased = item(await load(old, subject), ComplaintChased(chase=1))
        if bare:
            await old.execute(BARE, *chased.events[0])
            await slow.commit()
        else:
            assert [each.result for each in await commit(old, [chased])] == ["order"]
            await slow.rollback()
            assert [each.result for each in await commit(old, [chased])] == ["committed"]
        return [row["version"] for row in await new.fetch(READ, "0", 0, 10)]

    assert await second(bare=False) == [1, 2]
    subject = subject_of(2)
    assert (await second(bare=True))[2:] == [2, 1], "the fault that the guard is for did not show"
    await old.close()
    await new.close()


async def test_the_engine_decides_again_where_its_transaction_turned_out_older(stack: Stack) -> None:
    intake = await stack.engine("intake")
    holding, other = await stack.connect("intake"), await stack.connect("intake")
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("k"))
    held = holding.transaction()
    await held.start()
    await holding.fetch("SELECT 1 FROM state WHERE subject = $1 FOR UPDATE", seen.subject)
    chase = asyncio.create_task(intake.decide(seen.subject, lambda toy, context: [ComplaintChased(chase=2)], metadata()))

    async def waits() -> bool:
        return bool(await other.fetchval(WAITS) == 1)

    await eventually(waits)  # its transaction has its number; now a newer one gets ahead of it
    between = item(await load(other, seen.subject), ComplaintChased(chase=1))
    await other.execute(BARE, *between.events[0])
    await held.rollback()
    assert (await chase)[0].version == 3
    read = await other.fetch(READ, "0", 0, 10)
    assert [row["version"] for row in read] == [1, 2, 3]
    await holding.close()
    await other.close()


async def test_whoever_read_an_older_row_conflicts_and_whoever_comes_second_with_a_key_is_answered(stack: Stack) -> None:
    connection = await stack.connect("intake")
    (outcome,) = await commit(connection, [fresh(1, "k")])
    assert outcome.result == "committed"
    row = await load(connection, subject_of(1))
    assert (row.revision, row.version, row.own.number) == (1, 1, "X")
    chase = item(row, ComplaintChased(chase=1))
    outcomes = await commit(connection, [chase, fresh(2, "k"), fresh(3), fresh(1)])
    assert [each.result for each in outcomes[:3]] == ["committed", "replayed", "committed"] and outcomes[3].result == "conflict"
    assert (outcomes[1].subject, outcomes[1].version, outcomes[1].request) == (subject_of(1), 1, b"digest")
    assert (await commit(connection, [chase]))[0].result == "conflict"
    assert await STATES.load(connection, [subject_of(2)]) == {}, "what was replayed wrote nothing"
    assert (await load(connection, subject_of(1))).revision == 2
    assert await connection.fetchval("SELECT count(*) FROM sealed") == 2 == await connection.fetchval("SELECT count(*) FROM state")
    await connection.close()


async def test_of_one_row_and_of_one_key_a_batch_takes_one_and_the_next_waits(stack: Stack) -> None:
    made = await stack.database("intake")
    async with connections.pool(made.app_dsn, min_size=2, max_size=2, server_settings={"search_path": "fold1_1,public"}) as pool:
        committer = Committer("intake", pool, lambda written: None)
        outcomes = await committer.commit_all([fresh(1), fresh(1), fresh(2, "k"), fresh(3, "k"), fresh(4)])
        results = [each.result for each in outcomes if not isinstance(each, BaseException)]
        assert sorted(results[:2]) == ["committed", "conflict"]
        assert sorted(results[2:4]) == ["committed", "replayed"] and results[4] == "committed"


async def test_one_bad_item_among_ten_fails_alone(stack: Stack) -> None:
    made = await stack.database("intake")
    items = [fresh(n) for n in range(10)]
    stream, version, topic, kind, prevhash, _, data = items[6].events[0]
    items[6].events[0] = (stream, version, topic, kind, prevhash, b"short", data)
    told: list[Any] = []
    async with connections.pool(made.app_dsn, min_size=1, max_size=1, server_settings={"search_path": "fold1_1,public"}) as pool:
        outcomes = await Committer("intake", pool, told.append).commit_all(items)
        assert isinstance(outcomes[6], asyncpg.CheckViolationError) and told
        assert [each.result for each in outcomes if not isinstance(each, BaseException)] == ["committed"] * 9
        assert {row["subject"] for row in await pool.fetch("SELECT subject FROM state")} == {subject_of(n) for n in range(10) if n != 6}


async def test_a_commit_that_is_ended_for_its_slowness_fails_as_a_whole_and_a_held_row_alone(stack: Stack) -> None:
    made = await stack.database("intake")
    for limit, error, others in (("transaction_timeout", AWAY, 0), ("lock_timeout", HELD, 3)):
        numbers = range(10 * others, 10 * others + 4)
        settings = {"search_path": "fold1_1,public", limit: "300ms"}
        async with connections.pool(made.app_dsn, min_size=1, max_size=2, server_settings=settings) as pool:
            committer = Committer("intake", pool, lambda written: None)
            await committer.commit_all([fresh(n) for n in numbers])
            async with pool.acquire() as holding:
                rows = await STATES.load(holding, [subject_of(n) for n in numbers])
            holder = await connections.connect(made.app_dsn, server_settings={"search_path": "fold1_1,public"})
            async with holder.transaction():
                await holder.execute("SELECT 1 FROM state WHERE subject = $1 FOR UPDATE", subject_of(numbers[2]))
                outcomes = await committer.commit_all([item(rows[subject_of(n)], ComplaintChased(chase=1)) for n in numbers])
            await holder.close()
            assert isinstance(outcomes[2], error)
            # all share one commit; where a row is held, halves find it
            assert others or all(isinstance(each, error) for each in outcomes)
            assert [each.result for each in outcomes if not isinstance(each, BaseException)] == ["committed"] * others


async def test_fifty_posts_with_one_key_make_one_complaint_and_get_one_answer(stack: Stack) -> None:
    intake = await stack.engine("intake")
    answers = await asyncio.gather(*(intake.create("complaint", lambda context: [registered()], metadata("k")) for _ in range(50)))
    assert len({(seen.subject, seen.version, seen.etag) for seen, _ in answers}) == 1
    assert [replayed for _, replayed in answers].count(False) == 1
    connection = await stack.connect("intake")
    for table in ("state", "events", "keys", "idempotency"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 1, table
    await connection.close()


async def test_the_role_that_appends_can_neither_change_nor_remove_an_event(stack: Stack) -> None:
    connection = await stack.connect("intake")
    await commit(connection, [fresh(1)])
    for forbidden in ("UPDATE events SET data = ''", "DELETE FROM events", "TRUNCATE events", "DELETE FROM skips"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(forbidden)
    await connection.close()


async def test_a_decision_without_events_keeps_its_answer_and_moves_no_version(stack: Stack) -> None:
    connection = await stack.connect("intake")
    await commit(connection, [fresh(1)])
    row = await load(connection, subject_of(1))
    nothing = replace(item(row, ComplaintChased(chase=1), key="k"), events=[], version=row.version)
    assert (await commit(connection, [nothing]))[0].result == "committed"
    assert (await load(connection, subject_of(1))).version == row.version == 1
    assert await connection.fetchval("SELECT version FROM idempotency WHERE key = 'k'") == 0, "it made none"
    await connection.close()
