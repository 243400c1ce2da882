"""Polls the log, over records that the client cannot take apart: whoever may write to a topic must not be able to stop its readers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import UnsupportedCodecError

from redress_events.records import Record

log = structlog.get_logger(__name__)

POLL_TIMEOUT = 10.0  # seconds; a poll that hangs longer means a broken client
# What aiokafka raises for a header's name that is no UTF-8, and for a codec that is not installed.
UNREADABLE = (UnicodeDecodeError, UnsupportedCodecError)


async def poll(
    consumer: AIOKafkaConsumer, following: Mapping[TopicPartition, int], wait_ms: int, most: int
) -> dict[TopicPartition, list[Record]]:
    """What comes next, by partition; `following` says which offset that is. An unreadable one comes marked, without its bytes.

    Offsets that bring no record come as a `mark`: an end that was asked for counts them, and whoever waits for it would wait for ever.
    """
    assignment = _assignment(consumer)
    # Where it stands now. After a rebalance that is what Kafka was told last, and another assignment.
    sought = {place for place, at in following.items() if assignment and _position(assignment, place) == at}
    try:
        async with asyncio.timeout(POLL_TIMEOUT):
            polled = await consumer.getmany(timeout_ms=wait_ms, max_records=most)
        found = {place: [record_of(record) for record in records] for place, records in polled.items() if place in following}
        if assignment is not None and _assignment(consumer) is assignment:
            for place in sought:
                records, position = found.get(place, []), _position(assignment, place)
                read = records[-1].offset + 1 if records else following[place]
                if position is not None and position > read:
                    found[place] = [*records, Record(place.topic, place.partition, position - 1, None, None, {}, mark=True)]
        return found
    except UNREADABLE as error:
        log.warning("unreadable-record", error=type(error).__name__)
    # aiokafka says neither which record it was nor what it had collected before. The whole batch of the record's producer fails with it, so
    # none of our relays' records is passed over.
    found = {place: await _singly(consumer, place, at, wait_ms, max(1, most // len(following))) for place, at in sorted(following.items())}
    return {place: records for place, records in found.items() if records}


def _assignment(consumer: AIOKafkaConsumer) -> Assignment | None:
    """aiokafka 0.14 tells it to nobody. Its identity is what says that no rebalance came between two looks."""
    subscription = consumer._subscription.subscription
    return subscription.assignment if subscription is not None else None


def _position(assignment: Assignment, place: TopicPartition) -> int | None:
    state = assignment.state_value(place)
    return state.position if state is not None and state.has_valid_position else None


async def _singly(consumer: AIOKafkaConsumer, place: TopicPartition, at: int, wait_ms: int, most: int) -> list[Record]:
    records: list[Record] = []
    consumer.seek(place, at)
    while len(records) < most:
        try:
            async with asyncio.timeout(POLL_TIMEOUT):
                polled = (await consumer.getmany(place, timeout_ms=wait_ms, max_records=1)).get(place, [])
        except UNREADABLE:
            records.append(Record(place.topic, place.partition, at, None, None, {}, unreadable=True))
            at += 1
            consumer.seek(place, at)
            continue
        if not polled:
            break
        records.append(record_of(polled[0]))
        at = polled[0].offset + 1
    return records


def record_of(record: ConsumerRecord) -> Record:
    headers = {name: value for name, value in record.headers if value is not None}
    return Record(record.topic, record.partition, record.offset, record.key, record.value, headers, record.timestamp)
