"""Reads the whole log, once, from its first record to its end as of now."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiokafka import TopicPartition

from redress_events.vocabulary import LIFECYCLE
from redress_spine.messaging.envelope import Envelope, decode
from redress_spine.messaging.kafka_clients import KafkaClients


async def lifecycle(kafka: str, partitions: int = 12) -> AsyncIterator[tuple[Envelope, int]]:
    """Every event with the time at which the broker took its record, in epoch milliseconds."""
    consumer = KafkaClients.of(kafka).consumer(enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(LIFECYCLE, n) for n in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        left = {place for place in places if ends[place]}
        while left:
            for place, records in (await consumer.getmany(timeout_ms=500, max_records=5_000)).items():
                for record in records:
                    yield decode(record.value), record.timestamp
                if records[-1].offset + 1 >= ends[place]:
                    left.discard(place)
    finally:
        await consumer.stop()
