"""A journal that is older than the log, made so by a point-in-time recovery, takes in what the log has, verbatim, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from spine_adoption import killed_at
from spine_log import STATES, Sent, adopted, item, on_the_log, pen, verified
from spine_servers import Archive, archive, moved, stack_on
from spine_stack import AT, Stack, asked, eventually, registered

from redress_events import topics
from redress_events.commit import commit
from redress_events.contracts.callback import ClosedComplaint, ComplaintClosed
from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented
from redress_events.engine import Engine, JournalRestored
from redress_events.envelope import headers
from redress_events.facts import CLOSED, LIFECYCLE

JOURNAL = "SELECT stream, version, topic, type, prevhash, hash, data FROM events ORDER BY 1, 2"
STATE = "SELECT subject, parked, read, heard, done FROM state ORDER BY 1"
PUBLIC = ClosedComplaint(
    complaint="C", number="X", revision=1, reason="satisfied", channel="app", kind="complaint", cycles=1, received_at=AT, registered_at=AT,
    closed_at=AT, seconds_to_close=1,
)  # fmt: skip


@pytest.fixture
def kept() -> Iterator[Archive]:
    with archive() as made:
        yield made


@asynccontextmanager
async def stack_of(kept: Archive, kafka: str) -> AsyncIterator[Stack]:
    stack = stack_on(kept.primary, kafka)
    await topics.ensure(kafka, partitions=stack.partitions, prefix=stack.prefix)
    try:
        yield stack
    finally:
        await stop(stack)


async def stop(stack: Stack) -> None:
    for engine in list(stack.engines):
        await stack.stop(engine)


async def back_to(stack: Stack, kept: Archive, name: str) -> None:
    """Everything stops, and all databases are as they were then."""
    await stop(stack)
    server = await asyncio.to_thread(kept.back_to, name)
    for source, made in stack.databases.items():
        stack.databases[source] = moved(made, server)


async def register(engine: Engine, *keys: str) -> list[str]:
    return [(await engine.create("complaint", lambda context: [registered()], asked(key)))[0].subject for key in keys]


async def chase(engine: Engine, subject: str, chase: int) -> None:
    await engine.decide(subject, lambda toy, context: [ComplaintChased(chase=chase)], asked())


async def supplement(engine: Engine, subject: str, text: str) -> None:
    await engine.decide(subject, lambda toy, context: [ComplaintSupplemented(supplement=1, text=text)], asked())


async def close(engine: Engine, subject: str) -> None:
    await engine.decide(subject, lambda toy, context: [ComplaintClosed(cycle=1, reason="satisfied"), PUBLIC], asked())


async def facts(stack: Stack, count: int, topic: str = LIFECYCLE) -> None:
    async def there() -> bool:
        records = [(record.key, dict(record.headers)) for record in await on_the_log(stack, topic, stack.partitions)]
        return len({(key, named["source"], named["streamversion"]) for key, named in records}) >= count

    await eventually(there)


async def read_to_the_end(*engines: Engine) -> None:
    for engine in engines:

        async def done(engine: Engine = engine) -> bool:
            await engine.watch.ask()
            measures = await engine.measures()
            return measures.lag_records == 0 and measures.backlog_facts == 0

        await eventually(done)


async def journal_and_state(stack: Stack, source: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    connection = await stack.connect(source)
    found = [tuple(row) for row in await connection.fetch(JOURNAL)], [tuple(row) for row in await connection.fetch(STATE)]
    await connection.close()
    return found


async def test_several_journals_restored_to_a_point_in_time_are_to_the_byte_what_they_were(kept: Archive, kafka_address: str) -> None:
    services = ("intake", "handling", "callback")
    async with stack_of(kept, kafka_address) as stack:
        intake, handling, callback = [await stack.engine(source, work=[] if source == "callback" else None) for source in services]
        first = (await register(intake, "first"))[0]
        await facts(stack, 2)
        await read_to_the_end(intake, handling, callback)
        await asyncio.to_thread(kept.mark, "then")
        second = (await register(intake, "second"))[0]
        await chase(intake, first, 1)
        await supplement(intake, first, "the lift too")
        await facts(stack, 6)  # with the case that handling opens
        await read_to_the_end(callback)
        await close(callback, first)
        await facts(stack, 7)
        await facts(stack, 1, CLOSED)
        await read_to_the_end(intake, handling, callback)
        before = {source: await journal_and_state(stack, source) for source in services}

        await back_to(stack, kept, "then")
        again = await stack.engine("intake", start=False)
        for _ in range(3):  # a service tries each second, until somebody adopts the journal
            with pytest.raises(JournalRestored):
                await again.start()
            await again.stop()
        for source in services:
            assert len((await journal_and_state(stack, source))[0]) < len(before[source][0])
        taken = [await adopted(stack, source) for source in services]
        assert [each.facts.total() for each in taken] == [3, 1, 2]
        assert taken[0].keys == 1
        for source in services:
            assert (await journal_and_state(stack, source))[0] == before[source][0]
        intake, handling, callback = [await stack.engine(source, work=[] if source == "callback" else None) for source in services]
        await read_to_the_end(intake, handling, callback)
        assert {source: await journal_and_state(stack, source) for source in services} == before
        for source in services:
            await verified(stack, source)
        assert await intake.open(first, ["intake/3/text"]) == {"intake/3/text": "the lift too"}
        assert await intake.open(second, ["intake/1/text"]) == {"intake/1/text": "no signal since Sunday"}
        await chase(intake, first, 2)
        await facts(stack, 8)


async def test_killed_at_each_of_its_steps_it_is_begun_anew(kept: Archive, kafka_address: str) -> None:
    async with stack_of(kept, kafka_address) as stack:
        intake = await stack.engine("intake")
        subjects = await register(intake, "0")
        await facts(stack, 1)
        await asyncio.to_thread(kept.mark, "then")
        subjects += await register(intake, "1", "2", "3")
        for subject in subjects:
            await chase(intake, subject, 1)
        await facts(stack, 8)
        await read_to_the_end(intake)
        before = await journal_and_state(stack, "intake")
        await back_to(stack, kept, "then")
        steps = 1
        while await killed_at(stack, "intake", steps):
            with pytest.raises(JournalRestored):
                await (await stack.engine("intake", start=False)).start()
            steps += 1
        assert steps > 8
        intake = await stack.engine("intake")
        await read_to_the_end(intake)
        assert await journal_and_state(stack, "intake") == before
        await verified(stack, "intake")


async def test_what_a_dying_relay_still_sent_is_found_by_the_second_look(kept: Archive, kafka_address: str) -> None:
    async with stack_of(kept, kafka_address) as stack, pen(stack) as hand:
        intake = await stack.engine("intake")
        subject = (await register(intake, "1"))[0]
        await facts(stack, 1)
        await asyncio.to_thread(kept.mark, "then")
        await stop(stack)
        connection = await stack.connect("intake")
        row = (await STATES.load(connection, [subject]))[subject]
        chased = item(row, ComplaintChased(chase=1))
        assert [each.result for each in await commit(connection, [chased])] == ["committed"]
        await connection.close()
        await back_to(stack, kept, "then")
        stream, version, _, kind, prevhash, own, value = chased.events[0]
        sent = Sent(stream.encode(), value, headers(stream, "intake", kind, version, prevhash, own))
        late: list[asyncio.Task[list[int]]] = []

        def progress(what: str, done: int, every: int) -> None:
            if what.startswith("waiting") and not late:
                late.append(asyncio.create_task(hand.write(sent)))

        done = await adopted(stack, "intake", settle=3.0, progress=progress)
        assert (done.facts.total(), len(late)) == (1, 1)
        await stack.engine("intake")
        await facts(stack, 2)
        await verified(stack, "intake")
