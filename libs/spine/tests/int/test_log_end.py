"""Who asks where the log ends is answered soon, whoever else asks and whether or not the broker does."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from spine_log import Sent, admin_of, pen
from spine_stack import Stack, eventually

from redress_events.vocabulary import CLOSED, KEYS, LIFECYCLE
from redress_local.kafka import Kafka
from redress_spine.messaging import topics as making
from redress_spine.messaging.log_end import ASK_TIMEOUT, LogEnd
from redress_spine.messaging.topic_metadata import ClusterSeen
from redress_spine.store.states import partition_of


async def test_twelve_asks_of_a_broker_that_fell_silent_end_in_the_time_of_one(own_stack: Stack, own_kafka: Kafka) -> None:
    places = [TopicPartition(own_stack.prefix + LIFECYCLE, n) for n in range(4)]
    log_end = LogEnd("intake", own_kafka.address)
    assert set(await log_end.ask(places)) == set(places)
    assert own_kafka.child is not None
    os.kill(own_kafka.child.record.pid, signal.SIGSTOP)
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers = await asyncio.gather(*(log_end.ask([places[n % 4]]) for n in range(12)), return_exceptions=True)
        took = loop.time() - began
        assert all(isinstance(answer, ConnectionError) for answer in answers), answers
        assert took < 4 * ASK_TIMEOUT  # of 12 that one after the other would take
        assert log_end.reachable_for == 0
    finally:
        os.kill(own_kafka.child.record.pid, signal.SIGCONT)
    assert set(await log_end.ask(places)) == set(places)
    await log_end.stop()


async def test_whichever_question_kafka_leaves_unanswered_begins_the_settling_time_anew(own_stack: Stack, own_kafka: Kafka) -> None:
    log_end = LogEnd("intake", own_kafka.address)
    await log_end.ask([TopicPartition(own_stack.prefix + LIFECYCLE, 0)])
    assert log_end.reachable_for > 0 and own_kafka.child is not None
    os.kill(own_kafka.child.record.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ConnectionError):
            await log_end.topics([own_stack.prefix + LIFECYCLE])
        assert log_end.reachable_for == 0
    finally:
        os.kill(own_kafka.child.record.pid, signal.SIGCONT)
    await log_end.stop()


async def test_an_answer_is_never_older_than_its_question(stack: Stack) -> None:
    place = TopicPartition(stack.prefix + LIFECYCLE, partition_of("nobody", 4))
    log_end = LogEnd("intake", stack.kafka)
    async with pen(stack) as hand:
        for n in range(20):
            early = [asyncio.create_task(log_end.ask([place])) for _ in range(3)]
            await asyncio.sleep(0)
            await hand.write(Sent(b"nobody", b"x"))
            assert (await log_end.ask([place]))[place] == n + 1
            assert {(await each)[place] for each in early} <= {n, n + 1}
    await log_end.stop()


async def test_a_partition_that_is_not_there_fails_those_alone_who_ask_for_it(stack: Stack) -> None:
    places = [TopicPartition(stack.prefix + LIFECYCLE, n) for n in range(4)]
    strangers = [TopicPartition(stack.prefix + LIFECYCLE, 9), TopicPartition(stack.prefix + "nobody", 0)]
    log_end = LogEnd("intake", stack.kafka)
    await log_end.ask(places)
    reachable = log_end.reachable_for
    for _ in range(2):
        asks = [log_end.ask([place]) for place in (*places, *strangers)]
        answers = await asyncio.gather(*asks, log_end.ask_led([*places, *strangers]), return_exceptions=True)
        assert answers[:4] == [{place: 0} for place in places]
        assert all(isinstance(answer, ConnectionError) for answer in answers[4:6]), answers
        assert answers[6] == dict.fromkeys(places, 0)
        with pytest.raises(ConnectionError, match="no leader for"):
            await log_end.starts([places[0], strangers[0]])
        assert await log_end.starts_of_led([places[0], strangers[0]]) == {places[0]: 0}
    assert log_end.reachable_for > reachable > 0
    assert log_end.unled == set(strangers)
    assert log_end.led_for(strangers[0]) == 0 < log_end.led_for(places[0])
    await log_end.stop()


async def test_who_has_a_leader_is_asked_only_where_somebody_has_none(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [TopicPartition(stack.prefix + topic, 0) for topic in (LIFECYCLE, CLOSED, KEYS)]
    log_end, metadata = LogEnd("intake", stack.kafka), list[str]()
    topics = log_end.topics

    async def counted(names: Sequence[str]) -> ClusterSeen:
        metadata.extend(names)
        return await topics(names)

    monkeypatch.setattr(log_end, "topics", counted)
    await log_end.ask(places)
    await log_end.starts(places)
    assert metadata == []
    async with admin_of(stack) as admin:
        await admin.delete_topics([places[1].topic])

    async def gone() -> bool:
        return len(await log_end.ask_led(places)) == 2

    await eventually(gone)
    assert metadata
    await making.ensure(stack.kafka, partitions=stack.partitions, prefix=stack.prefix)

    async def all_led() -> bool:
        return len(await log_end.ask_led(places)) == 3

    await eventually(all_led)
    assert log_end.led_for(places[1]) < log_end.led_for(places[0])
    metadata.clear()
    await log_end.ask(places)
    assert metadata == []
    await log_end.stop()
