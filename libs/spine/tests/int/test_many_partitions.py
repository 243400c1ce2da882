"""Hundreds of partitions on one replica: taken up, read, asked for their ends, and not held up by a record that nobody can take apart."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from spine_log import Author, broken, pen, subject_of
from spine_stack import Stack, eventually, registered

from redress_events.vocabulary import CLOSED
from redress_spine.messaging import topics
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.log_end import LogEnd
from redress_spine.store.engine import Engine
from redress_spine.store.states import partition_of

MANY = int(os.environ.get("REDRESS_TEST_PARTITIONS", "400"))  # 1,000 were tried; a broker takes a minute to make them
RECORDS = 300


async def made(stack: Stack) -> None:
    """The topics that a projector reads, and all their partitions, for which a broker takes its time."""
    admin, log_end = KafkaClients.of(stack.kafka).admin(), LogEnd("test", stack.kafka)
    await admin.start()
    read = [topic for topic in topics.wanted(MANY, prefix=stack.prefix) if not topic.name.endswith(CLOSED)]
    await admin.create_topics([NewTopic(topic.name, topic.partitions, 1, topic_configs=dict(topic.settings)) for topic in read])

    async def there() -> bool:
        try:
            return bool(await log_end.ask([TopicPartition(topic.name, n) for topic in read for n in range(topic.partitions)]))
        except ConnectionError:
            return False

    await eventually(there, within=200)
    await admin.close()
    await log_end.stop()


async def all_read(engine: Engine) -> bool:
    """Of the log as it ends now; and it is known everywhere that looks at it."""
    try:
        ends = await engine.watch.ask()
    except ConnectionError:  # the broker is still making the partitions
        return False
    positions = engine.projector.positions
    return len(positions) == MANY + 1 and all(positions[place].next >= end for place, end in ends.items())


async def test_a_replica_with_hundreds_of_partitions_reads_them_all_and_passes_an_unreadable_record_soon(
    kafka_address: str, database: Any
) -> None:
    stack = Stack(kafka_address, database)
    stack.partitions = MANY
    await made(stack)
    handling = await stack.engine("handling", automations=[])
    await eventually(lambda: all_read(handling), within=60)
    authors = [Author(subject_of(n)) for n in range(RECORDS)]
    async with pen(stack) as hand:
        first = [replace(record, partition=partition_of(author.subject, MANY)) for author in authors for record in author.say(registered())]
        await broken(hand, first[0].place(), [first[0].key or b""])
        await asyncio.gather(*(hand.write(record) for record in first))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await eventually(lambda: all_read(handling), within=60)
    took = loop.time() - began
    measures = await handling.measures()
    assert (measures.lag_records, measures.dead_letters, measures.refused_partitions) == (0, 1, 0)
    assert took < 20  # of 80 that a wait for each partition would take, and after 60 a replica is restarted
    await stack.end()
