"""A position is read on in the log that it was taken from, and in no other: what has changed is refused, alone, and told."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from spine_log import Author, admin_of, described, made_anew, pen, subject_of
from spine_process import replica
from spine_stack import Stack, eventually, registered
from structlog.testing import capture_logs

from redress_events.vocabulary import LIFECYCLE
from redress_local.kafka import Kafka
from redress_spine.admin.verify import verify
from redress_spine.messaging import following
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.processing import watch
from redress_spine.store.engine import Engine
from redress_spine.store.states import partition_of


def authors_of(partition: int, first: int = 1) -> Iterator[Author]:
    """Complaints of one partition, without an end."""
    return (Author(subject) for subject in map(subject_of, itertools.count(first)) if partition_of(subject, 4) == partition)


def place_of(stack: Stack, partition: int) -> TopicPartition:
    return TopicPartition(stack.prefix + LIFECYCLE, partition)


async def write(stack: Stack, partition: int, count: int, first: int = 1) -> list[str]:
    """So many registrations in one partition; their subjects."""
    authors = list(itertools.islice(authors_of(partition, first), count))
    async with pen(stack) as hand:
        for author in authors:
            await hand.write(*author.say(registered()))
    return [author.subject for author in authors]


async def observed(stack: Stack, *subjects: str) -> bool:
    connection = await stack.connect("handling")
    rows = await connection.fetch(
        "SELECT subject FROM state WHERE observed->>'text' IS NOT NULL AND subject = ANY ($1::text[])", list(subjects)
    )
    await connection.close()
    return len(rows) == len(subjects)


async def refused(engine: Engine) -> dict[int, str]:
    return {place.partition: each.reason for place, each in engine.projector.refused.items()}


async def lost(engine: Engine, records: int) -> bool:
    return (await engine.measures()).lost_records == records


async def refuses(engine: Engine, partition: int, reason: str) -> None:
    async def so() -> bool:
        return await refused(engine) == {partition: reason}

    await eventually(so)


async def begin_anew(stack: Stack) -> None:
    """What a rebuild comes to: the offsets of the log as it is now."""
    owner = await stack.connect("handling", owner=True)
    await owner.execute("UPDATE consumer_offsets SET next = 0, epoch = epoch + 1, topic_id = NULL, last_offset = NULL, last_hash = NULL")
    await owner.close()


async def away_while(stack: Stack, away: bool, handling: Engine, change: Callable[[], Awaitable[None]]) -> Engine:
    """What changes while the service is stopped, or while it reads on."""
    if away:
        await stack.stop(handling)
    await change()
    return await stack.engine("handling", automations=[]) if away else handling


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is compared anew, and the log's start is looked at, sooner than every 5 and 10 s."""
    monkeypatch.setattr(following, "AGAIN", 0.3)
    monkeypatch.setattr(watch, "STARTS", 0.2)


AWAY = pytest.mark.parametrize("away", [True, False], ids=["stopped", "reading"])


@AWAY
async def test_a_topic_that_was_made_again_is_refused_though_it_has_outgrown_what_was_read(stack: Stack, away: bool) -> None:
    handling = await stack.engine("handling", automations=[])
    assert await eventually_observed(stack, *await write(stack, 0, 3))

    async def change() -> None:
        await made_anew(stack, LIFECYCLE)
        await write(stack, 0, 5, first=1000)

    with capture_logs() as logs:
        handling = await away_while(stack, away, handling, change)
        await refuses(handling, 0, "recreated")
        (message,) = (each.message for each in handling.projector.refused.values())
        assert f"Partition 0 of {stack.prefix}{LIFECYCLE}" in message
        assert "redress rebuild handling" in message
        await eventually_observed(stack, *await write(stack, 1, 2))
        await compared_again(handling, times=3)
        assert handling.projector.partitions == [1, 2, 3]
        assert len([each for each in logs if each["event"] == "partition-refused"]) == 1
    assert not await observed(stack, *await write(stack, 0, 1, first=2000))
    await begin_anew(stack)
    await eventually_observed(stack, *await write(stack, 0, 6, first=3000))
    assert await refused(handling) == {}


async def test_a_log_whose_start_went_past_what_was_read_is_refused_and_one_that_only_lost_what_was_read_goes_on(
    stack: Stack,
) -> None:
    handling = await stack.engine("handling", automations=[])
    await eventually_observed(stack, *await write(stack, 0, 3), *await write(stack, 1, 3))
    await stack.stop(handling)
    await write(stack, 0, 5, first=1000)
    async with admin_of(stack) as hand:
        await hand.delete_records({place_of(stack, 0): RecordsToDelete(6), place_of(stack, 1): RecordsToDelete(3)})
    handling = await stack.engine("handling", automations=[])
    await refuses(handling, 0, "truncated")
    await eventually_observed(stack, *await write(stack, 1, 2, first=1000))

    async def counted() -> bool:
        return (await handling.measures()).log_start_offset == 6

    await eventually(counted)
    for partition, start in [(0, 6), (1, 3)]:
        begins = f"Partition {partition} of {stack.prefix}{LIFECYCLE} begins"
        (told,) = (each for each in (await handling.health()).alarms if begins in each)
        assert f"begins at offset {start}: " in told and "redress restore-log" in told


@AWAY
async def test_a_log_that_lost_its_end_is_refused_and_so_it_is_once_it_has_outgrown_what_was_read(
    own_stack: Stack, own_kafka: Kafka, away: bool
) -> None:
    stack = own_stack
    handling = await stack.engine("handling", automations=[])
    await eventually_observed(stack, *await write(stack, 0, 2))
    saved = await asyncio.to_thread(own_kafka.save)
    await eventually_observed(stack, *await write(stack, 0, 3, first=1000))

    async def change() -> None:
        await asyncio.to_thread(own_kafka.put_back, saved)

    handling = await away_while(stack, away, handling, change)
    await refuses(handling, 0, "shorter")
    if away:  # the log is looked at over and over: what was read and is gone is counted, with its partition
        await eventually(lambda: lost(handling, 3))
    others = await write(stack, 0, 6, first=2000)
    await refuses(handling, 0, "another-record")
    await eventually_observed(stack, *await write(stack, 1, 2))
    assert not any([await observed(stack, other) for other in others])
    await stack.stop(handling)
    report = await verify(described(stack, "handling"), (await stack.database("handling")).app_dsn, stack.kafka)
    (told,) = (each for each in report.differences if each.where == "log")
    assert told.which == f"{stack.prefix}{LIFECYCLE}/0" and re.search(r"has at offset \d another record than was read there", told.what)
    assert "restore-log" in told.advice
    handling = await stack.engine("handling", automations=[])
    await refuses(handling, 0, "another-record")


async def test_a_replica_that_slept_while_the_log_lost_its_end_and_grew_again_reads_none_of_it(own_stack: Stack, own_kafka: Kafka) -> None:
    stack = own_stack
    async with replica(stack, "handling") as sleeper:
        await eventually_observed(stack, *await write(stack, 0, 2))
        saved = await asyncio.to_thread(own_kafka.save)
        await eventually_observed(stack, *await write(stack, 0, 3, first=1000))
        sleeper.stop()
        await asyncio.to_thread(own_kafka.put_back, saved)
        others = await write(stack, 0, 30, first=2000)  # more than it read, and decided upon
        sleeper.go_on()
        assert "another-record" in await sleeper.says("partition-refused")
    assert not any([await observed(stack, other) for other in others])


async def test_a_position_behind_the_end_of_the_log_is_refused(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    await eventually_observed(stack, *await write(stack, 0, 1))
    await stack.stop(handling)
    owner = await stack.connect("handling", owner=True)
    await owner.execute("UPDATE consumer_offsets SET next = 7 WHERE topic = $1 AND partition = 0", stack.prefix + LIFECYCLE)
    await owner.close()
    handling = await stack.engine("handling", automations=[])
    await refuses(handling, 0, "shorter")


async def test_offsets_kept_with_another_kafka_cluster_are_refused_one_by_one(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    await eventually_observed(stack, *await write(stack, 0, 1))
    await stack.stop(handling)
    owner = await stack.connect("handling", owner=True)
    await owner.execute(
        "UPDATE consumer_offsets SET kafka_cluster = 'another' WHERE topic = $1 AND partition = 2", stack.prefix + LIFECYCLE
    )
    await owner.close()
    handling = await stack.engine("handling", automations=[])
    await refuses(handling, 2, "cluster")
    await eventually_observed(stack, *await write(stack, 1, 1))


async def test_what_is_kept_with_an_offset_is_the_topic_and_the_last_record_and_no_mark(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    await write(stack, 0, 3)
    stranger = KafkaClients.of(stack.kafka).producer(transactional_id=stack.prefix)
    await stranger.start()
    async with stranger.transaction():
        await stranger.send(stack.prefix + LIFECYCLE, b"x", b"nobody", 0)
    await stranger.stop()
    connection = await stack.connect("handling")

    async def kept() -> bool:
        row = await connection.fetchrow("SELECT * FROM consumer_offsets WHERE topic = $1 AND partition = 0", stack.prefix + LIFECYCLE)
        return row is not None and row["next"] == 5 and (row["last_offset"], row["last_hash"]) == (3, sha256(b"x").digest())

    await eventually(kept)
    seen = await handling._log_end.topics([stack.prefix + LIFECYCLE])
    ids = {row["topic_id"] for row in await connection.fetch("SELECT topic_id FROM consumer_offsets WHERE next > 0")}
    assert ids == {seen.topics[stack.prefix + LIFECYCLE].id}
    await connection.close()


async def eventually_observed(stack: Stack, *subjects: str) -> bool:
    return bool(await eventually(lambda: observed(stack, *subjects)))


async def compared_again(engine: Engine, times: int) -> None:
    """Until what is refused was compared with the log so many times more."""
    inner = engine.projector._following
    seen: set[float] = set()

    async def so() -> bool:
        seen.update(inner._not_before.values())
        return len(seen) > times

    await eventually(so)
