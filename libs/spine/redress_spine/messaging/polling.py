"""Polls the log, over records that the client cannot take apart: whoever may write to a topic must not be able to stop its readers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import UnsupportedCodecError

from redress_spine.messaging.kafka_clients import Consumer
from redress_spine.messaging.records import Record

log = structlog.get_logger(__name__)

LONG_POLL_MS = 1_000  # that a fetch waits for its first record
ENOUGH = 256 * 1024  # bytes for which nobody waits for more
POLL_TIMEOUT = 10.0  # seconds; a poll that hangs longer means a broken client
# What aiokafka raises for a header's name that is no UTF-8, and for a codec that is not installed.
UNREADABLE = (UnicodeDecodeError, UnsupportedCodecError)


async def poll(consumer: Consumer, following: Mapping[TopicPartition, int], wait_ms: int, most: int) -> dict[TopicPartition, list[Record]]:
    """What comes next, by partition; `following` says which offset that is. An unreadable one comes marked, without its bytes.

    Offsets that bring no record come as a `mark`: an end that was asked for counts them, and whoever waits for it would wait forever.

    The client is set to these offsets wherever it stands at others: after each rebalance it goes on at what Kafka was told last, also in a
    partition that stayed here (tried), and a PostgreSQL that crashed may be behind that, for `synchronous_commit` is off.
    """
    assignment = _assignment(consumer)
    _set(consumer, assignment, following)
    try:
        async with asyncio.timeout(POLL_TIMEOUT):
            polled = await consumer.getmany(timeout_ms=wait_ms, max_records=most)
        found = {place: [record_of(record) for record in records] for place, records in polled.items() if place in following}
    except UNREADABLE as error:
        log.warning("unreadable-record", error=type(error).__name__)
        return await _singly(consumer, assignment, following, wait_ms, most)
    if assignment is None or not _is_still(consumer, assignment):
        return _without_gaps(found, following)
    for place, at in following.items():
        records, state = found.get(place, []), assignment.state_value(place)
        read = records[-1].offset + 1 if records else at
        if state is not None and state.has_valid_position and state.position > read:
            found[place] = [*records, Record(place.topic, place.partition, state.position - 1, None, None, {}, mark=True)]
    return found


def gather(consumer: Consumer, wait_ms: int) -> None:
    """From its next fetch on the broker waits so long for more records before it answers. 0: it answers with the first one."""
    fetcher = consumer._fetcher  # noqa: SLF001 # docs/adr/0047
    fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = (ENOUGH, wait_ms) if wait_ms else (1, LONG_POLL_MS)  # noqa: SLF001


def _assignment(consumer: Consumer) -> Assignment | None:
    """aiokafka 0.14 tells it to nobody. Its identity is what says that no rebalance came between two looks."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 # docs/adr/0047
    return subscription.assignment if subscription is not None else None


def _is_still(consumer: Consumer, assignment: Assignment | None) -> bool:
    return _assignment(consumer) is assignment


def _set(consumer: Consumer, assignment: Assignment | None, following: Mapping[TopicPartition, int]) -> None:
    if assignment is not None:
        for place, at in following.items():
            state = assignment.state_value(place)
            if state is not None and not (state.has_valid_position and state.position == at):
                consumer.seek(place, at)


def _without_gaps(
    found: Mapping[TopicPartition, list[Record]], following: Mapping[TopicPartition, int]
) -> dict[TopicPartition, list[Record]]:
    """A rebalance came between: what is missing before these records may be on the log all the same."""
    return {place: records for place, records in found.items() if records[0].offset <= following[place]}


async def _singly(
    consumer: Consumer, assignment: Assignment | None, following: Mapping[TopicPartition, int], wait_ms: int, most: int
) -> dict[TopicPartition, list[Record]]:
    """One record at a time, for aiokafka says neither which record it was nor what it had collected before. The whole batch of the record's
    producer fails with it, so none of our relays' records is passed over.

    Only what is here already is looked at, so that a thousand partitions cost no thousand waits: rounds over all, until one brought
    something, or ten times the wait is over.
    """
    found: dict[TopicPartition, list[Record]] = {}
    share = max(1, most // max(1, len(following)))
    _set(consumer, assignment, following)  # what was collected before was lost
    for _ in range(10):
        for place, at in following.items():
            if records := await _here(consumer, place, at, share):
                found[place] = records
        if found:
            break
        await asyncio.sleep(wait_ms / 1_000)  # the client fetches meanwhile
    return found if _is_still(consumer, assignment) else _without_gaps(found, following)


async def _here(consumer: Consumer, place: TopicPartition, at: int, most: int) -> list[Record]:
    records: list[Record] = []
    while len(records) < most:
        try:
            async with asyncio.timeout(POLL_TIMEOUT):
                polled = (await consumer.getmany(place, timeout_ms=0, max_records=1)).get(place, [])
        except UNREADABLE:
            records.append(Record(place.topic, place.partition, at, None, None, {}, unreadable=True))
            consumer.seek(place, at + 1)
            break  # what comes behind it has to be fetched again
        if not polled:
            break
        records.append(record_of(polled[0]))
        at = polled[0].offset + 1
    return records


def record_of(record: ConsumerRecord) -> Record:
    headers = {name: value for name, value in record.headers if value is not None}
    return Record(record.topic, record.partition, record.offset, record.key, record.value, headers, record.timestamp)
