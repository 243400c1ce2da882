"""The log from its very first record: whether that is still there, and one partition of it, read to an end that was asked for.

A state that is made or checked from a log without its start lacks what stood there, and nothing in the rest says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.polling import poll
from redress_spine.messaging.records import Record
from redress_spine.processing.clock import monotonic
from redress_spine.store.errors import LogTruncated

SILENCE = 30.0  # seconds without an answer, or without a record below an end that was told: longer than a broker needs to start again
Ends = Mapping[TopicPartition, int]  # the offset behind each partition's last record
Bounds = Mapping[TopicPartition, tuple[int, int]]  # where a partition begins and ends
AWAIT_MS, MOST = 1_000, 5_000  # of a poll
ANSWER_MS = 4_000  # for one request, which is then sent again: a broker that was away for a moment answers no old one
RESTORE_LOG = "Rebuild nothing before it is complete again: redress restore-log; --recreate TOPIC recreates a topic that lost its start"


def reader(kafka: KafkaClients | str, **options: Any) -> Consumer:
    """A consumer of no group that never goes anywhere by itself: where the log lacks what is asked for, that is an error."""
    given = {"request_timeout_ms": ANSWER_MS, **options}
    return KafkaClients.of(kafka).consumer(enable_auto_commit=False, auto_offset_reset="none", **given)


async def bounds(consumer: Consumer, places: Collection[TopicPartition]) -> Bounds:
    """Where each partition begins and ends as of now. Raises ConnectionError where Kafka does not say for SILENCE seconds."""
    try:
        async with asyncio.timeout(SILENCE):
            starts = await _answered(consumer.beginning_offsets, places)
            ends = await _answered(consumer.end_offsets, places)
    except TimeoutError as error:
        raise ConnectionError("Kafka does not say where the log begins and ends.") from error
    return {place: (starts[place], ends[place]) for place in places}


async def _answered(ask: Callable[[list[TopicPartition]], Awaitable[Ends]], places: Collection[TopicPartition]) -> Ends:
    """The client gives up when one request would have to be answered; the question is asked again."""
    while True:
        try:
            return await ask(list(places))
        except KafkaTimeoutError:
            await asyncio.sleep(0)


def truncated(starts: Mapping[TopicPartition, int]) -> str | None:
    """A message about the partitions that do not begin at offset 0; None where all do."""
    gone = sorted(place for place, start in starts.items() if start > 0)
    if not gone:
        return None
    more = f", and {len(gone) - 1} more partitions lack theirs" if len(gone) > 1 else ""
    return f"{gone[0].topic}/{gone[0].partition} begins at offset {starts[gone[0]]} and not at 0{more}: the log's start is gone."


async def ahead(consumer: Consumer, place: TopicPartition, start: int, end: int) -> AsyncIterator[list[Record]]:
    """A partition's records below `end`; the next ones are fetched while somebody folds these.

    Raises LogTruncated where an offset that should be there is not (any more), and ConnectionError where nothing comes for SILENCE seconds.
    A broker that is back before goes on where it was.
    """
    consumer.assign([place])
    consumer.seek(place, start)
    following: asyncio.Task[dict[TopicPartition, list[Record]]] | None = None
    read, observed = start, monotonic()
    try:
        while read < end:
            if following is None:
                following = asyncio.create_task(poll(consumer, {place: read}, AWAIT_MS, MOST))
            try:
                records = (await following).get(place, [])
            except OffsetOutOfRangeError as error:
                raise LogTruncated(f"{place.topic}/{place.partition} has no offset {read}, though it had an offset {end - 1}.") from error
            following = None
            if not records:
                check_silence(observed)
                continue
            read, observed = records[-1].offset + 1, monotonic()
            if read < end:
                following = asyncio.create_task(poll(consumer, {place: read}, AWAIT_MS, MOST))
            yield [record for record in records if record.offset < end]
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait([following])


def check_silence(observed: float) -> None:
    """observed: when something came last, by the monotonic clock. Raises ConnectionError."""
    if monotonic() - observed > SILENCE:
        raise ConnectionError(f"Kafka has returned nothing for {SILENCE:.0f} s, though the log goes on.")
