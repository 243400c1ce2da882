"""What operators and orchestrators are told is true: how old the unread is, which loop is stuck; and what is slow gets done in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from spine_log import Author, pen, subject_of, verified
from spine_stack import Stack, eventually, registered

from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import LIFECYCLE
from redress_spine.processing.clock import wall_clock
from redress_spine.processing.projector import BATCH
from redress_spine.store.engine import Engine
from redress_spine.store.states import partition_of

HOUR = 3600


async def end(engine: Engine, loop: str) -> None:
    """The loop ends, as no loop should."""
    (task,) = (each for each in engine._tasks if each.get_name() == f"{engine.source}-{loop}")
    task.cancel()
    await asyncio.wait({task})


async def test_what_came_after_an_idle_hour_is_as_old_as_it_is_and_no_hour_older(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second = author.say(registered(), ComplaintChased(chase=1))
    async with pen(stack) as hand:
        loop = asyncio.get_running_loop()
        topic, now = stack.prefix + LIFECYCLE, int(wall_clock().timestamp() * 1000)
        await hand.producer.send_and_wait(
            topic, first.value, first.key, first.place(), headers=first.headers_on(topic), timestamp_ms=now - HOUR * 1000
        )

        async def all_read() -> bool:
            measures = await handling.measures()
            known = handling.watch._all_read_at
            return measures.lag_records == 0 and len(handling.projector.timestamps) == 1 and len(known) == stack.partitions + 1

        await eventually(all_read)
        assert (await handling.measures()).lag_seconds == 0
        await end(handling, "projector")
        began = loop.time()
        await hand.write(second)

        async def behind() -> float:
            measures = await handling.measures()
            return measures.lag_seconds if measures.lag_records == 1 else 0

        seen = await eventually(behind)
        assert seen < loop.time() - began + 30, "it is said to be as old as the record before it"
        await eventually(lambda: older(handling, seen + 1))


async def older(engine: Engine, seconds: float) -> bool:
    return (await engine.measures()).lag_seconds > seconds


@pytest.mark.parametrize("loop", ["projector", "relay", "automations"])
async def test_a_loop_that_has_ended_is_a_reason_for_a_restart(stack: Stack, loop: str) -> None:
    handling = await stack.engine("handling")
    assert handling.stalled() == []
    await end(handling, loop)

    async def noticed() -> bool:
        return handling.watch.stalled(after=2) == [f"The loop of {loop} has made no turn for 2 s."]

    await eventually(noticed)


@asynccontextmanager
async def mute() -> AsyncIterator[str]:
    """The address of a broker that takes connections and never answers: worse than one that is not there."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}"
    server.close()


async def test_a_broker_that_does_not_answer_is_no_reason_for_a_restart(stack: Stack) -> None:
    async with mute() as address:
        handling = await stack.engine("handling", kafka=address)
        loop = asyncio.get_running_loop()
        until = loop.time() + 17
        while loop.time() < until:
            assert handling.watch.stalled(after=14) == []  # of 60: turns fail after some 10 s, and are tried again
            await asyncio.sleep(0.1)
        await stack.stop(handling)


async def test_a_batch_that_takes_longer_than_a_transaction_may_is_folded_in_smaller_ones(stack: Stack) -> None:
    owner = await stack.connect("handling", owner=True)
    await owner.execute("CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN new; END'")
    await owner.execute("CREATE TRIGGER slowly BEFORE INSERT OR UPDATE ON state FOR EACH ROW EXECUTE FUNCTION slowly()")
    subjects = [subject for subject in map(subject_of, range(1, 2_000)) if partition_of(subject, stack.partitions) == 0][:400]
    authors = [Author(subject) for subject in subjects]
    async with pen(stack) as hand:
        for author in authors:
            await hand.write(*author.say(registered()))
        handling = await stack.engine("handling", automations=[])

        async def folded() -> bool:
            return bool(await owner.fetchval("SELECT count(*) FROM state") == len(subjects))

        await eventually(folded, within=90)
        await owner.execute("DROP TRIGGER slowly ON state")
        for author in authors[:20]:
            await hand.write(*author.say(ComplaintChased(chase=1)))

        async def grown() -> bool:
            return handling.projector.size == BATCH

        await eventually(grown)
    await stack.stop(handling)
    await owner.close()
    await verified(stack, "handling")
