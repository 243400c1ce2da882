"""More questions than a replica can answer leave it ready; after a database that took too long for each answer all comes back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest
from slow_proxy import slow_proxy
from spine_log import on_the_log
from spine_stack import Stack, engine_of, eventually, metadata, registered

from redress_events.vocabulary import LIFECYCLE
from redress_spine.store import database
from redress_spine.store.engine import Engine, Unavailable

MOST = 8 + 2 + 2 + 2 + 3  # pools for reads, commits, watching and automations; relay, projector, and one that is just being replaced


async def answered(engine: Engine, subject: str) -> bool:
    try:
        await engine.read(subject)
    except Unavailable:
        return False
    return True


async def test_while_all_connections_for_reading_are_taken_a_replica_is_ready_and_measured_and_reads_are_told_to_come_again(
    stack: Stack,
) -> None:
    intake = await stack.engine("intake")
    subject = (await intake.create("complaint", lambda context: [registered()], metadata("k")))[0].subject

    async def ready() -> bool:
        return (await intake.health()).ready

    await eventually(ready)
    owner = await stack.connect("intake", owner=True)
    async with owner.transaction():
        await owner.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")  # whoever reads a complaint waits
        over, outcomes = asyncio.Event(), list[bool]()

        async def asks() -> None:
            while not over.is_set():
                outcomes.append(await answered(intake, subject))

        reads = [asyncio.create_task(asks()) for _ in range(40)]

        async def taken() -> bool:
            return intake._database.reads.get_idle_size() == 0 and intake._database.reads.get_size() == 8

        await eventually(taken)
        looked = [await intake.health() for _ in range(3)]
        over.set()
        await asyncio.gather(*reads)
        assert all(each.ready for each in looked), looked
        assert outcomes and not any(outcomes)
    assert await answered(intake, subject)
    await owner.close()


async def test_a_database_that_answers_too_late_is_waited_for_without_piling_up_and_nothing_that_was_answered_is_lost(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the times of a service, 5 and 10 s, and answers that take 20: some five times shorter."""
    monkeypatch.setattr(database, "CONNECT", 2.0)
    monkeypatch.setattr(database, "ANSWER", 1.0)
    loop = asyncio.get_running_loop()
    taken: dict[int, str] = {}  # complaints by the number of the request
    slowest: dict[str, float] = {}

    async def timed(what: str, doing: Awaitable[Any]) -> Any:
        began = loop.time()
        try:
            return await doing
        except Unavailable:
            return None
        finally:
            slowest[what] = max(slowest.get(what, 0.0), loop.time() - began)

    async def posted(n: int) -> bool:
        answer = await timed("command", intake.create("complaint", lambda context: [registered()], metadata(f"key-{n}")))
        if answer is not None:
            taken[n] = answer[0].subject
        return answer is not None

    async def ready() -> bool:
        return (await intake.health()).ready

    async with slow_proxy((await stack.database("intake")).app_dsn) as (proxy, dsn):
        intake = engine_of("intake", dsn, stack.kafka, stack.prefix, stack.partitions)
        await intake.start()
        stack.engines.append(intake)
        await eventually(ready)
        assert await posted(0)
        proxy.slow(4.0)
        until, under_way = loop.time() + 10, list[asyncio.Task[Any]]()
        requests = 0
        while loop.time() < until:
            requests += 1
            for doing in (posted(requests), timed("read", intake.read(taken[0])), timed("health", intake.health())):
                under_way.append(asyncio.create_task(doing))
            assert intake.stalled() == []
            await asyncio.sleep(0.5)
        assert not await ready()
        await asyncio.gather(*under_way)  # Unavailable, and nothing else that a caller would not understand
        assert proxy.most <= MOST
        assert slowest["health"] < 5 and slowest["read"] < 20 and slowest["command"] < 40, slowest
        proxy.fast()
        await eventually(ready, within=60)
        for n in range(requests + 1):
            await eventually(partial(posted, n), within=60)
        assert len(set(taken.values())) == requests + 1
        owner = await stack.connect("intake", owner=True)
        assert await owner.fetchval("SELECT count(*) FROM events") == requests + 1, "what was repeated was recorded twice"

        async def shipped() -> bool:
            return {record.key.decode() for record in await on_the_log(stack, LIFECYCLE, stack.partitions)} == set(taken.values())

        await eventually(shipped, within=60)
        assert intake.stalled() == []
        await owner.close()
        await stack.stop(intake)
