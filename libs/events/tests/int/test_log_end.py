"""Who asks where the log ends is answered soon, whoever else asks and whether or not the broker does."""

from __future__ import annotations

import asyncio
import os
import signal

from aiokafka import TopicPartition
from spine_log import Sent, pen
from spine_stack import Stack

from redress_events.facts import LIFECYCLE
from redress_events.log_end import ASK_TIMEOUT, LogEnd
from redress_events.states import partition_of
from redress_local.kafka import Kafka


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
        assert took < ASK_TIMEOUT + 1
        assert log_end.reachable_for == 0
    finally:
        os.kill(own_kafka.child.record.pid, signal.SIGCONT)
    assert set(await log_end.ask(places)) == set(places)
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
