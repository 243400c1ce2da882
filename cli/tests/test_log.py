"""`tail` and `timeline` show what services signed. `timeline` reads to the log's end as it was when it began, and says so where Kafka gives
nothing more."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from spine_log import Author, Pen, subject_of
from spine_stack import MAC, registered

from redress_cli import log
from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import LIFECYCLE
from redress_local.kafka import Kafka
from redress_spine.messaging import topics, whole_log
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients


@pytest.fixture
async def kafka() -> AsyncIterator[Kafka]:
    with tempfile.TemporaryDirectory(prefix="redress-test-") as folder:
        broker = Kafka(Path(folder) / "kafka")
        await asyncio.to_thread(broker.start)
        yield broker
        await asyncio.to_thread(broker.stop)


async def test_what_its_source_did_not_sign_is_not_shown_and_this_is_said(kafka: Kafka, capsys: pytest.CaptureFixture[str]):
    await topics.ensure(kafka.address, partitions=4)
    author = Author(subject_of(1))
    first, second = author.say(registered(), ComplaintChased(chase=1))
    where: Any = SimpleNamespace(kafka=lambda: KafkaClients(kafka.address), partitions=4, mac_keys=lambda: MAC)
    async with KafkaClients.of(kafka.address).producer() as producer:
        hand = Pen(producer, "")
        await hand.write(first, replace(second, signed=False))
    shown = [each.id async for each in log.events(where, author.subject, from_start=True, follow=False)]
    assert shown == [f"{author.subject}/intake/1"]
    assert "offset 1 is not shown, for nothing proves its source" in " ".join(capsys.readouterr().err.split())


async def test_a_kafka_that_falls_silent_ends_a_timeline(kafka: Kafka, monkeypatch: pytest.MonkeyPatch):
    await topics.ensure(kafka.address, partitions=2)
    producer = KafkaClients.of(kafka.address).producer()
    await producer.start()
    await producer.send_and_wait(LIFECYCLE, b"no event, but a record", partition=0)
    await producer.stop()

    async def then_gone(consumer: Consumer, places: Collection[TopicPartition]) -> whole_log.Bounds:
        described = await whole_log.bounds(consumer, places)
        await asyncio.to_thread(kafka.kill)
        monkeypatch.setattr(whole_log, "SILENCE", 2.0)
        return described

    monkeypatch.setattr(log, "bounds", then_gone)
    where: Any = SimpleNamespace(kafka=lambda: KafkaClients(kafka.address), partitions=2, mac_keys=lambda: MAC)
    reading = anext(log.events(where, None, from_start=True, follow=False))
    with pytest.raises(ConnectionError, match="Kafka has given nothing for 2 s"):
        await asyncio.wait_for(reading, 30)
