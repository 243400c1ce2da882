"""The relay's query passes over no event that commits late; reading by position alone does."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest
from spine_stack import Stack

from redress_spine.admin.rebuild import BEYOND
from redress_spine.messaging.relay import READ, read_page

NAIVE = "SELECT stream, version, global_position FROM events WHERE global_position > $1 ORDER BY global_position LIMIT 1000"
INSERT = """
INSERT INTO events (stream, version, topic, type, prevhash, hash, data, partition) VALUES ($1, $2, 't', 'k', $3, $3, '', 0)
"""
Event = tuple[str, int]


class NaiveReader:
    def __init__(self) -> None:
        self.last = 0
        self.seen: list[Event] = []

    async def read(self, connection: asyncpg.Connection) -> int:
        rows = await connection.fetch(NAIVE, self.last)
        self.last = rows[-1]["global_position"] if rows else self.last
        self.seen += [(row["stream"], row["version"]) for row in rows]
        return len(rows)


class RelayReader:
    def __init__(self) -> None:
        self.cursor = ("0", 0)
        self.seen: list[Event] = []

    async def read(self, connection: asyncpg.Connection) -> int:
        rows, _ = await read_page(connection, self.cursor, 1000)
        self.cursor = (rows[-1]["transaction_id"], rows[-1]["global_position"]) if rows else self.cursor
        self.seen += [(row["stream"], row["version"]) for row in rows]
        return len(rows)


async def test_an_event_that_took_its_position_first_and_committed_last_is_lost_by_the_naive_reader_alone(stack: Stack) -> None:
    a, b, reading = [await stack.connect("intake") for _ in range(3)]
    naive, ours = NaiveReader(), RelayReader()
    slow = a.transaction()
    await slow.start()
    await a.execute(INSERT, "a", 1, bytes(32))
    await b.execute(INSERT, "b", 1, bytes(32))
    for reader in (naive, ours):
        await reader.read(reading)
    assert naive.seen == [("b", 1)] and ours.seen == []
    await slow.commit()
    for reader in (naive, ours):
        await reader.read(reading)
    assert naive.seen == [("b", 1)], "the fault that this test is about did not show"
    assert ours.seen == [("a", 1), ("b", 1)]
    for connection in (a, b, reading):
        await connection.close()


async def test_eight_writers_with_slow_transactions_lose_nothing_for_the_relay(stack: Stack) -> None:
    rng, written = random.Random(8), asyncio.Event()
    naive, ours = NaiveReader(), RelayReader()
    delays = [[rng.choice([0, 0, 0, 0.002, 0.02]) for _ in range(120)] for _ in range(8)]

    async def write(writer: int) -> None:
        connection = await stack.connect("intake")
        for version, delay in enumerate(delays[writer], 1):
            async with connection.transaction():
                await connection.execute(INSERT, f"w{writer}", version, bytes(32))
                await connection.execute("SELECT pg_sleep($1)", delay)  # the slow transaction itself
        await connection.close()

    async def read(reader: NaiveReader | RelayReader) -> None:
        connection = await stack.connect("intake")
        while not written.is_set():
            await reader.read(connection)
        while await reader.read(connection):
            pass
        await connection.close()

    await stack.database("intake")
    reading = [asyncio.create_task(read(reader)) for reader in (naive, ours)]
    await asyncio.gather(*(write(n) for n in range(8)))
    written.set()
    await asyncio.gather(*reading)
    everything = {(f"w{writer}", version) for writer in range(8) for version in range(1, 121)}
    assert everything - set(naive.seen), "the naive reader lost nothing: the writers were too quick to show the fault"
    assert set(ours.seen) == everything and len(ours.seen) == len(everything)
    for writer in range(8):
        assert [version for stream, version in ours.seen if stream == f"w{writer}"] == list(range(1, 121))


@pytest.mark.parametrize(("query", "more"), [(READ, []), (BEYOND, [False])], ids=["relay", "rebuild"])
async def test_pages_follow_transactions_by_number_and_not_by_their_digits(stack: Stack, query: str, more: list[object]) -> None:
    connection = await stack.connect("intake", owner=True)
    for version, transaction in enumerate((9, 10, 99, 100), 1):
        insert = INSERT.replace("partition)", "partition, transaction_id)").replace("0)", "0, $4::text::xid8)")
        await connection.execute(insert, "a", version, bytes(32), str(transaction))
    cursor, seen = ("0", 0), list[int]()
    while rows := await connection.fetch(query, *cursor, *more, 2):
        cursor = (rows[-1]["transaction_id"], rows[-1]["global_position"])
        seen += [row["version"] for row in rows]
    assert seen == [1, 2, 3, 4]
    await connection.close()
