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

import httpx
import pytest
from aiokafka import TopicPartition
from spine_log import Author, Pen, subject_of
from spine_stack import MAC, registered
from typer.testing import CliRunner

from redress_cli import log, log_reading
from redress_cli.api import NoAnswer
from redress_cli.main import app
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
    shown = [each.id async for each in log_reading.events(where, author.subject, from_start=True, follow=False)]
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

    monkeypatch.setattr(log_reading, "bounds", then_gone)
    where: Any = SimpleNamespace(kafka=lambda: KafkaClients(kafka.address), partitions=2, mac_keys=lambda: MAC)
    reading = anext(log_reading.events(where, None, from_start=True, follow=False))
    with pytest.raises(ConnectionError, match="Kafka has returned nothing for 2 s"):
        await asyncio.wait_for(reading, 30)


async def test_who_follows_a_kafka_that_goes_away_is_told_and_goes_on_when_it_is_back(
    kafka: Kafka, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(log_reading, "ANSWER", 1.0)
    await topics.ensure(kafka.address, partitions=4)
    author = Author(subject_of(1))
    first, second = author.say(registered(), ComplaintChased(chase=1))
    where: Any = SimpleNamespace(kafka=lambda: KafkaClients(kafka.address), partitions=4, mac_keys=lambda: MAC)
    shown, said = asyncio.Queue[str](), list[str]()

    async def follow() -> None:
        async for envelope in log_reading.events(where, None, from_start=True, follow=True):
            shown.put_nowait(envelope.id)

    async def until(message: str) -> None:
        while message not in " ".join(said):
            said.append(" ".join(capsys.readouterr().err.split()))
            await asyncio.sleep(0.1)

    async with KafkaClients.of(kafka.address).producer() as producer:
        await Pen(producer, "").write(first)
    await asyncio.to_thread(kafka.stop)
    following = asyncio.create_task(follow())
    async with asyncio.timeout(120):
        await until("Kafka does not answer")  # it never was there
        await asyncio.to_thread(kafka.start)
        await until("Kafka answers again.")
        assert await shown.get() == f"{author.subject}/intake/1"
        said.clear()
        await asyncio.to_thread(kafka.stop)
        await until("This waits for it, and goes on where it was")  # in the midst of it
        await asyncio.to_thread(kafka.start)
        async with KafkaClients.of(kafka.address).producer() as producer:
            await Pen(producer, "").write(second)
        assert await shown.get() == f"{author.subject}/intake/2"
    following.cancel()
    await asyncio.wait([following])
    assert shown.empty(), "each is shown once"


FIRST = {
    "id": "complaint/1/intake/1",
    "source": "intake",
    "type": "redress.intake.complaint-registered.v1",
    "subject": "complaint/1",
    "time": "2026-02-13T09:00:00+00:00",
    "streamversion": 1,
    "data": {"text": "masked: 7 characters", "channel": "web"},
    "actor": "desk\x1b[2J",
    "correlationid": "c",
    "causationid": None,
}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Two that read the log for others; the first one stops answering after a page. What was asked."""
    asked: list[tuple[str, dict[str, Any]]] = []
    pages = {
        None: {"events": [FIRST], "unproved": [], "next": "1.0", "at_end": False},
        "1.0": {"events": [FIRST | {"id": "complaint/1/intake/2"}], "unproved": [], "next": "2.0", "at_end": True},
    }

    def ask(service: str, path: str, **params: Any) -> httpx.Response:
        asked.append((service, params))
        if service == "intake" and len(asked) > 1:
            raise NoAnswer("intake does not answer.")
        return httpx.Response(200, json=pages[params.get("after")])

    monkeypatch.setattr(log_reading, "Api", lambda where, role, patience: SimpleNamespace(ask=ask))
    return asked


def test_where_one_service_stops_reading_for_us_another_goes_on_at_the_same_place(services: list[tuple[str, dict[str, Any]]]):
    where: Any = SimpleNamespace(answering=lambda: ["intake", "triage"])
    found = list(log_reading.events_over_http(where, "complaint/1", from_start=True, follow=False))
    assert [each.id for each in found] == ["complaint/1/intake/1", "complaint/1/intake/2"]
    assert [(service, params.get("after")) for service, params in services] == [("intake", None), ("intake", "1.0"), ("triage", "1.0")]
    shown = str(log.line(found[0]))
    assert "text=•••" in shown and "channel=web" in shown and "\x1b" not in shown


def test_where_no_service_reads_the_log_the_stages_are_shown_and_it_is_said_why(monkeypatch: pytest.MonkeyPatch):
    def none(*_: object, **__: object) -> Any:
        raise NoAnswer("triage answered 503: Kafka does not let triage read the log now.")
        yield

    shown: list[str] = []
    where = SimpleNamespace(has_kafka=False, urls={})
    monkeypatch.setattr(log, "installation", lambda folder, context: where)
    monkeypatch.setattr(log, "events_over_http", none)
    monkeypatch.setattr(log, "_show_stages", lambda where, number, subject, as_json: shown.append(subject))
    done = CliRunner().invoke(app, ["timeline", "01890000-0000-7000-8000-000000000001"])
    assert (done.exit_code, shown) == (0, ["complaint/01890000-0000-7000-8000-000000000001"])
    assert "The log cannot be read through a service: triage answered 503" in " ".join(done.stderr.split())
