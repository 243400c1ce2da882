"""Answers kept under idempotency keys go once they are too old: a few at a time, by one replica, and in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
from spine_log import fresh
from spine_stack import Stack, eventually, metadata, registered

from redress_spine.processing.pruning import PRUNE, Pruning
from redress_spine.store.commit import commit

KEEP = timedelta(days=7)
ANSWERS = """
INSERT INTO idempotency (key, request, subject, version, at)
SELECT format('%s-%s', $1::text, n), 'r', 'complaint/x', 1, now() - $2::interval FROM generate_series(1, $3::int) n
"""
KEPT = "SELECT split_part(key, '-', 1) AS age, count(*) FROM idempotency GROUP BY 1 ORDER BY 1"


async def answers(connection: asyncpg.Connection) -> dict[str, int]:
    return {row["age"]: row["count"] for row in await connection.fetch(KEPT)}


def pruning(connection: asyncpg.Connection, batch: int) -> Pruning:
    @asynccontextmanager
    async def lent() -> AsyncIterator[asyncpg.Connection]:
        yield connection

    return Pruning(source="intake", database=lent, keep=KEEP, batch=batch)  # type: ignore[arg-type]


async def test_old_answers_go_oldest_first_in_batches_and_young_ones_stay(stack: Stack) -> None:
    connection = await stack.connect("intake")
    await connection.execute(ANSWERS, "oldest", timedelta(days=30), 4)
    await connection.execute(ANSWERS, "old", timedelta(days=7, seconds=1), 5)
    await connection.execute(ANSWERS, "young", timedelta(days=6, hours=23), 6)
    old = pruning(connection, 4)
    assert await old.prune() == 4
    assert await answers(connection) == {"old": 5, "young": 6}
    assert [await old.prune() for _ in range(3)] == [4, 1, 0]
    assert await answers(connection) == {"young": 6}
    await connection.close()


async def test_a_running_service_prunes_by_itself_and_a_repeated_request_gets_its_answer_until_then(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redress_spine.processing.pruning.PAUSE", 0.2)
    connection = await stack.connect("intake", owner=True)
    await connection.execute(ANSWERS, "old", timedelta(days=8), 1_200)  # more than two batches
    intake = await stack.engine("intake")
    first, _ = await intake.create("complaint", lambda context: [registered()], metadata("k"))

    async def pruned() -> bool:
        return "old" not in await answers(connection)

    await eventually(pruned)
    again, replayed = await intake.create("complaint", lambda context: [registered()], metadata("k"))
    assert (again.subject, replayed) == (first.subject, True)
    await connection.close()


async def test_one_replica_prunes_at_a_time_and_no_commit_waits_for_it(stack: Stack) -> None:
    one, other, writer = [await stack.connect("intake") for _ in range(3)]
    await one.execute(ANSWERS, "old", timedelta(days=8), 10)
    async with one.transaction():
        assert await one.execute(PRUNE, KEEP, 4) == "DELETE 4"
        async with asyncio.timeout(2):  # neither waits for the open transaction
            assert await pruning(other, 4).prune() == 0
            assert [each.result for each in await commit(writer, [fresh(1, "new")])] == ["committed"]
    assert await pruning(other, 4).prune() == 4
    for connection in (one, other, writer):
        await connection.close()
