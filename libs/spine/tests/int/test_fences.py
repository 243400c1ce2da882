"""Each record is folded once, though replicas come and go, a zombie holds old positions, and somebody redrives meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import asyncpg
import pytest
from aiokafka import TopicPartition
from spine_log import Author, Sent, pen, subject_of, verified
from spine_stack import Stack, eventually, registered

from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import KEYS, LIFECYCLE
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.positions import PartitionLog, Position
from redress_spine.processing import projector
from redress_spine.processing.projections import Changes
from redress_spine.processing.projector import FenceLost, Projector
from redress_spine.store.engine import Engine
from redress_spine.store.fold import Folding
from redress_spine.store.saving import Move, save_at_once
from redress_spine.store.states import partition_of
from redress_spine.store.vault import KeyRecord

TABLES = ("state", "parked", "sealed", "dead_letters", "consumer_offsets")


async def folded(stack: Stack, subjects: list[str], wanted: int) -> bool:
    connection = await stack.connect("handling")
    rows = await connection.fetch("SELECT subject, observed->>'chases' AS chases FROM state")
    await connection.close()
    return {row["subject"]: int(row["chases"] or 0) for row in rows} == dict.fromkeys(subjects, wanted)


async def holds(engine: Engine, partitions: int) -> bool:
    return len(engine.projector.partitions) == partitions


async def test_two_replicas_share_the_partitions_and_fold_each_record_once_through_every_rebalance(stack: Stack) -> None:
    authors = [Author(subject_of(n)) for n in range(16)]
    subjects = [author.subject for author in authors]
    one = await stack.engine("handling", automations=[])
    async with pen(stack) as hand:
        for author in authors:
            await hand.write(*author.say(registered()))
        for turn in range(3):  # a second replica comes, takes over half, and goes, while events keep coming
            two = await stack.engine("handling", automations=[])
            for wanted, chase in ((2, 3 * turn + 1), (2, 3 * turn + 2), (4, 3 * turn + 3)):
                if wanted == 4:
                    await stack.stop(two)
                for author in authors:
                    await hand.write(*author.say(ComplaintChased(chase=chase)))
                await eventually(lambda wanted=wanted: holds(one, wanted))  # type: ignore[misc]
                assert wanted == 4 or await eventually(lambda two=two: holds(two, 2))  # type: ignore[misc]
    await eventually(lambda: folded(stack, subjects, 9), within=30)
    assert await one.parking.subjects() == []


@pytest.mark.parametrize("where", ["before its transaction", "within its transaction"])
async def test_a_rebalance_in_the_middle_of_a_batch_ends_no_projector(stack: Stack, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    authors = [Author(subject_of(n)) for n in range(16)]
    subjects = [author.subject for author in authors]
    one = await stack.engine("handling", automations=[])
    await eventually(lambda: holds(one, 4))
    two, joins = await stack.engine("handling", automations=[], start=False), asyncio.Event()
    cluster = two._log_end.cluster

    async def joining() -> str:
        await joins.wait()
        return await cluster()

    monkeypatch.setattr(two._log_end, "cluster", joining)
    stack.engines.append(two)
    await two.start()
    noted, held = asyncio.Event(), list[int]()
    revoked, journal = one.projector._following.on_partitions_revoked, one.projector._journal

    judge, judged = one.projector._following._judge, set[TopicPartition]()

    def revoking(places: Iterable[TopicPartition]) -> None:
        revoked(places)
        judged.clear()
        noted.set()

    def judging(place: TopicPartition, position: Position, cluster: str, log_now: PartitionLog) -> None:
        judged.add(place)
        judge(place, position, cluster, log_now)

    async def hold() -> None:
        if not held:
            held.append(len(one.projector.partitions))
            joins.set()
            await noted.wait()

    async def comparing(connection: asyncpg.Connection, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
        if where == "before its transaction":
            await hold()
        return await journal(connection, wanted)

    async def saving(
        connection: asyncpg.Connection, moves: Sequence[Move], foldings: list[Folding], keys: Mapping[str, KeyRecord], timeline: int
    ) -> list[Changes]:
        async with connection.transaction():  # what the one statement does is done, and not committed
            written = await save_at_once(connection, moves, foldings, keys, timeline)
            if where == "within its transaction":
                await hold()
        return written

    monkeypatch.setattr(one.projector._following, "on_partitions_revoked", revoking)
    monkeypatch.setattr(one.projector._following, "_judge", judging)
    monkeypatch.setattr(one.projector, "_journal", comparing)
    monkeypatch.setattr(projector, "save_at_once", saving)
    async with pen(stack) as hand:
        for author in authors:
            await hand.write(*author.say(registered()))
        await asyncio.wait_for(noted.wait(), 20)
        for turn in range(3):
            for author in authors:
                await hand.write(*author.say(ComplaintChased(chase=turn + 1)))
        await eventually(lambda: holds(one, 2))
        await eventually(lambda: holds(two, 2))
    await eventually(lambda: folded(stack, subjects, 3), within=30)
    assert held == [4]
    assert judged >= one.projector.positions.keys(), "compared anew, all of them"
    assert not one.projector.failing and not two.projector.failing, (one.projector.failure, two.projector.failure)
    await verified(stack, "handling")


async def test_a_zombie_that_holds_old_positions_writes_nothing_at_all(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    author, other = Author(subject_of(1)), Author(subject_of(2))
    first, second = author.say(registered(), ComplaintChased(chase=1))
    place = TopicPartition(stack.prefix + LIFECYCLE, first.place())
    async with pen(stack) as hand:
        await hand.write(first, second)
        await eventually(lambda: folded(stack, [author.subject], 1))
    # It took its position before the other one moved it, and reads on now: a duplicate, a new subject, a bad and a foreign record.
    zombie = await stack.engine("handling", automations=[])
    await stack.stop(handling)
    connection = await zombie.projector._connect()

    async def everything() -> list[list[str]]:
        return [[str(row) for row in await connection.fetch(f"SELECT t.* FROM {table} t ORDER BY t::text")] for table in TABLES]

    held = await zombie_positions(zombie, place)
    before = await everything()
    batch = [first, replace(other.say(registered())[0], partition=None), Sent(first.key, b"bad"), Sent(b"nobody", b"x", partition=0)]
    records = [replace(each.record(offset), topic=place.topic) for offset, each in enumerate(batch)]
    for stale in (Position(0, held.epoch), Position(held.next, held.epoch - 1)):
        zombie.projector.positions[place] = stale
        with pytest.raises(FenceLost):
            await zombie.projector.project(connection, {place: records})
    assert await everything() == before
    await connection.close()


async def zombie_positions(engine: Engine, place: TopicPartition) -> Position:
    async def has() -> Position | None:
        return engine.projector.positions.get(place)

    position: Position = await eventually(has)
    return position


async def test_a_rebalance_skips_nothing_though_kafka_was_told_of_more_than_postgresql_kept(stack: Stack) -> None:
    authors = [Author(subject_of(n)) for n in range(12)]
    subjects = [author.subject for author in authors]
    places = [*(TopicPartition(stack.prefix + LIFECYCLE, n) for n in range(4)), TopicPartition(stack.prefix + KEYS, 0)]
    projector = await alone(await stack.engine("handling", automations=[]))
    async with pen(stack) as hand:
        for author in authors:
            await hand.write(*author.say(registered(), ComplaintChased(chase=1)))
    group = f"{stack.prefix}redress-handling"
    told = KafkaClients.of(stack.kafka).consumer(group_id=group, enable_auto_commit=False)
    await told.start()
    told.assign(places)
    await told.commit({place: max(0, end - 1) for place, end in (await told.end_offsets(places)).items()})
    await told.stop()

    # It takes its partitions up where PostgreSQL says, at 0. Before it reads, another replica comes and goes.
    consumer, connection, cluster = await projector._subscribe(), await projector._connect(), await projector._log_end.cluster()
    try:
        while len(projector.partitions) < 4:
            await asyncio.sleep(0.05)
            await projector._take_up(consumer, connection, cluster)
        other = await projector._subscribe()
        await eventually(lambda: shared(consumer, 2))
        await other.stop()
        await eventually(lambda: shared(consumer, 4))
        reading = asyncio.create_task(projector._consume(consumer, connection, cluster))
        await eventually(lambda: folded(stack, subjects, 1))
        reading.cancel()
    finally:
        await consumer.stop()
        await connection.close()


async def alone(engine: Engine) -> Projector:
    """Its projector, to be driven step by step."""
    (task,) = (each for each in engine._tasks if each.get_name() == "handling-projector")
    task.cancel()
    await asyncio.wait({task})
    return engine.projector


async def shared(consumer: Consumer, partitions: int) -> bool:
    return len([place for place in consumer.assignment() if place.topic.endswith(LIFECYCLE)]) == partitions


async def test_redriving_while_events_keep_coming_loses_and_doubles_none(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    stuck = [Author(subject_of(n)) for n in range(3)]
    others = [subject_of(n) for n in range(50, 99)]
    busy = Author(next(each for each in others if partition_of(each, 4) == partition_of(stuck[0].subject, 4)))
    lost: list[Sent] = []
    async with pen(stack) as hand:
        for author in stuck:
            first, missing, third = author.say(registered(), ComplaintChased(chase=1), ComplaintChased(chase=2))
            lost.append(missing)
            await hand.write(first, third)
        await hand.write(*busy.say(registered()))
        await eventually(handling.parking.subjects)  # it reads: redriving and writing are to meet

        async def traffic() -> None:
            for turn in range(1, 41):
                await hand.write(*busy.say(ComplaintChased(chase=turn)))
                if turn == 10:
                    await hand.write(*lost)
                for author in stuck:
                    await hand.write(*author.say(ComplaintChased(chase=turn + 2)))

        async def redriving() -> bool:
            for each in await handling.parking.subjects():
                await handling.parking.redrive(each.subject)
            return not await handling.parking.subjects()

        writing = asyncio.create_task(traffic())
        while not writing.done():
            await redriving()
        await writing
        await eventually(redriving)

    async def own() -> bool:
        if not await redriving():
            return False
        seen = [(await handling.read(author.subject)).state.observed.chases for author in (*stuck, busy)]
        return seen == [42, 42, 42, 40]

    await eventually(own)
    await verified(stack, "handling")
