"""The log as an operator sees it through a service, where Kafka itself is out of their reach: page by page, and nothing of a customer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from redress_events.event import Contract
from redress_spine.messaging.envelope import Malformed, decode
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.mac import MacKeys, NotProved
from redress_spine.messaging.polling import poll
from redress_spine.messaging.records import Record, signer_of
from redress_spine.messaging.relay import close
from redress_spine.messaging.whole_log import bounds, reader
from redress_spine.processing.clock import monotonic
from redress_spine.processing.record_view import masked
from redress_spine.store.errors import Unavailable
from redress_spine.store.states import partition_of

ANSWER = 4.0  # seconds that Kafka has to say where the log begins and ends
SCANNED = 5_000  # records that one page looks at, whichever of them it shows
AT_ONCE = 4  # pages that are read at the same time: each has connections of its own


class NoSuchPlace(Exception):
    """These offsets are not those of the partitions that are read."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """events: masked, in the order of the log; of several partitions by time. unproved: places of records that prove no source, and why.
    next: offsets to go on at, by partition. at_end: nothing more was there."""

    events: list[dict[str, Any]]
    unproved: list[dict[str, Any]]
    next: list[int]
    at_end: bool


class LogView:
    """Reads the topic of the events with clients of its own. Who asks has no part in what the service itself reads."""

    def __init__(
        self, source: str, kafka: KafkaClients, topic: str, partitions: int, mac: MacKeys, contracts: Mapping[str, Contract]
    ) -> None:
        self._source = source
        self._kafka = kafka
        self._topic = topic
        self._partitions = partitions
        self._mac = mac
        self._contracts = contracts
        self._places = asyncio.Semaphore(AT_ONCE)

    async def page(self, after: Sequence[int] | None, since: datetime | None, subject: str | None, limit: int, wait: float) -> LogPage:
        """after: `next` of the page before; without it from `since` on, or what comes from now on. subject: its events alone. wait: seconds
        to wait for an event where there is none yet. Raises NoSuchPlace, and Unavailable where Kafka does not answer."""
        numbers = range(self._partitions) if subject is None else [partition_of(subject, self._partitions)]
        places = [TopicPartition(self._topic, number) for number in numbers]
        if after is not None and len(after) != len(places):
            raise NoSuchPlace
        async with self._places:
            consumer = reader(self._kafka, role=f"{self._source}-view")
            try:
                async with asyncio.timeout(ANSWER):
                    await consumer.start()
                    consumer.assign(places)
                    following = await _beginning(consumer, places, after, since)
                return await self._read(consumer, following, subject, limit, monotonic() + wait)
            except (KafkaError, OSError, TimeoutError) as error:
                raise Unavailable(f"Kafka does not let {self._source} read the log now: {type(error).__name__}.") from error
            finally:
                await close(consumer)

    async def _read(
        self, consumer: Consumer, following: dict[TopicPartition, int], subject: str | None, limit: int, until: float
    ) -> LogPage:
        events, unproved, scanned = list[tuple[datetime, dict[str, Any]]](), list[dict[str, Any]](), 0
        for place, offset in following.items():
            consumer.seek(place, offset)
        ends = await _ends(consumer, list(following))
        while True:
            polled = await poll(consumer, following, 200, min(limit - len(events), SCANNED))
            for place, records in polled.items():
                following[place] = records[-1].offset + 1
                scanned += len(records)
                for record in records:
                    self._take(record, subject, events, unproved)
            behind = any(following[place] < end for place, end in ends.items())
            if len(events) >= limit or scanned >= SCANNED or (not behind and (events or unproved or monotonic() >= until)):
                if len(following) > 1:
                    events.sort(key=lambda each: each[0])
                return LogPage([event for _, event in events], unproved, list(following.values()), not behind)

    def _take(
        self, record: Record, subject: str | None, events: list[tuple[datetime, dict[str, Any]]], unproved: list[dict[str, Any]]
    ) -> None:
        try:
            envelope = decode(record.value or b"")
        except Malformed:
            return
        if subject not in (None, envelope.subject):
            return
        if (signer := signer_of(self._mac, record, record.chained)) == envelope.source:
            events.append((envelope.time, masked(envelope, self._contracts)))
            return
        why = signer.detail if isinstance(signer, NotProved) else f"It was signed by {signer}."
        unproved.append({"topic": record.topic, "partition": record.partition, "offset": record.offset, "detail": why})


async def _beginning(
    consumer: Consumer, places: Sequence[TopicPartition], after: Sequence[int] | None, since: datetime | None
) -> dict[TopicPartition, int]:
    """What is gone from the log is passed over, and what is beyond its end is its end."""
    log = await bounds(consumer, places)
    if after is not None:
        asked = dict(zip(places, after, strict=True))
        return {place: min(max(asked[place], start), end) for place, (start, end) in log.items()}
    if since is None:
        return {place: end for place, (_, end) in log.items()}
    found = await consumer.offsets_for_times(dict.fromkeys(places, max(0, int(since.timestamp() * 1000))))
    return {place: offset.offset if (offset := found.get(place)) else log[place][1] for place in places}


async def _ends(consumer: Consumer, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
    async with asyncio.timeout(ANSWER):
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(list(places))
    return ends
