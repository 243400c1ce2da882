"""A thousand partitions on one replica: taken up, read, asked for their ends, and not held up by a record that nobody can take apart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from spine_log import Author, broken, pen, subject_of
from spine_stack import Stack, eventually, registered

from redress_events import topics
from redress_events.engine import Engine
from redress_events.states import partition_of

MANY = 1_000
RECORDS = 300


async def all_read(engine: Engine) -> bool:
    """Of the log as it ends now; and it is known everywhere that looks at it."""
    try:
        ends = await engine.watch.ask()
    except ConnectionError:  # the broker is still making the partitions
        return False
    positions = engine.projector.positions
    return len(positions) == MANY + 1 and all(positions[place].next >= end for place, end in ends.items())


async def test_a_replica_with_a_thousand_partitions_reads_them_all_and_passes_an_unreadable_record_soon(
    kafka_address: str, database: Any
) -> None:
    stack = Stack(kafka_address, database)
    stack.partitions = MANY
    await topics.ensure(kafka_address, partitions=MANY, prefix=stack.prefix)
    handling = await stack.engine("handling", work=[])
    loop = asyncio.get_running_loop()
    began = loop.time()
    await eventually(lambda: all_read(handling), within=60)
    taken = loop.time() - began
    authors = [Author(subject_of(n)) for n in range(RECORDS)]
    async with pen(stack) as hand:
        first = [replace(record, partition=partition_of(author.subject, MANY)) for author in authors for record in author.say(registered())]
        await broken(hand, first[0].place(), [first[0].key or b""])
        await asyncio.gather(*(hand.write(record) for record in first))
    began = loop.time()
    await eventually(lambda: all_read(handling), within=60)
    read = loop.time() - began
    measures = await handling.measures()
    assert (measures.lag_records, measures.set_aside_records, measures.refused_partitions) == (0, 1, 0)
    assert (await handling.health()).ready
    print(f"{taken:.1f} s until taken up, {read:.1f} s until read")
    assert read < 20  # of 200 that a wait for each partition would take
    await stack.stop(handling)
