"""Events as they stand on the log: those that are there, or forever those that come; read from Kafka, or over HTTP from a service that
reads it. What does not prove its source is not among them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from redress_cli.api import Api, NoAnswer, good
from redress_cli.console import err, fail
from redress_cli.harmless import harmless
from redress_cli.installation import Installation
from redress_events.contracts import CONTRACTS
from redress_events.vocabulary import EVENT_TOPICS, LIFECYCLE
from redress_spine.messaging.envelope import Envelope, Malformed, dataschema, decode
from redress_spine.messaging.kafka_clients import Consumer
from redress_spine.messaging.mac import MacKeys, NotProved
from redress_spine.messaging.polling import poll
from redress_spine.messaging.records import Record, signer_of
from redress_spine.messaging.relay import close
from redress_spine.messaging.whole_log import RESTORE_LOG, bounds, check_silence, reader, truncated
from redress_spine.processing.clock import monotonic
from redress_spine.store.states import partition_of

PUBLIC_STREAMS = sorted(
    {(event.topic, event.stream) for contract in CONTRACTS.values() for event in contract.type_of if event.topic != LIFECYCLE}
)
ANSWER = 5.0  # seconds that who follows waits for an answer before it is said that there is none
QUIET = 2.0  # seconds without a record after which it is asked whether Kafka is there
AGAIN = 1.0  # seconds between two attempts to reach it
WAIT, PATIENCE = 3.0, 15.0  # seconds that a service waits for an event, and that we wait for the service
BEGINNING = "1970-01-01T00:00:00Z"
AWAY = (KafkaError, OSError, TimeoutError)


async def events(where: Installation, subject: str | None, *, from_start: bool, follow: bool) -> AsyncIterator[Envelope]:
    """Events of the lifecycle and of the public record. What is no event is passed over; so is, and this is said, what does not prove its
    source. A start that is gone is said first.

    follow: wait for more, however long; Kafka away is said, and it goes on where it was once Kafka is back. Else raises ConnectionError, or
    what the client raises, where Kafka gives nothing of what there is."""
    kafka, mac, places = where.kafka(), where.mac_keys(), places_of(where.partitions, subject)
    following: dict[TopicPartition, int] = {}
    notice = AwayNotice()
    while True:
        consumer = reader(kafka)
        try:
            async with asyncio.timeout(ANSWER if follow else None):
                await consumer.start()
                consumer.assign(places)
                log = {} if following else await bounds(consumer, places)
            starts, ends = {place: start for place, (start, _) in log.items()}, {place: end for place, (_, end) in log.items()}
            if from_start and (message := truncated(starts)):
                err.print(f"{message} What stood there is not shown. {RESTORE_LOG}", style="red", markup=False)
            following = following or (starts if from_start else dict(ends))
            for place, offset in following.items():
                consumer.seek(place, offset)
            notice.there()
            async for record in _records(consumer, following, None if follow else ends, notice):
                if envelope := _event(record, mac):
                    yield envelope
            return
        except OffsetOutOfRangeError:
            fail(f"The log lost records while it was read. {RESTORE_LOG}")
        except AWAY as error:
            if not follow:
                raise
            notice.away(error)
        finally:
            await close(consumer)
        await asyncio.sleep(AGAIN)


def events_over_http(where: Installation, subject: str | None, *, from_start: bool, follow: bool) -> Iterator[Envelope]:
    """The same of the lifecycle, where Kafka cannot be reached from here: asked of one service, and of another one where that does not
    answer. Personal data is masked by the service. follow: as above; else raises NoAnswer."""
    api, notice = Api(where, "ops", patience=PATIENCE), AwayNotice("A service that reads the log")
    services = deque(where.answering())
    asked: dict[str, Any] = {"subject": subject, "since": BEGINNING if from_start else None}
    tries = 0
    while True:
        try:
            page = good(services[0], api.ask(services[0], "/ops/log", **asked, wait=WAIT if follow else None))
        except NoAnswer as error:
            services.rotate(-1)
            tries += 1
            if not follow and tries >= len(services):
                raise
            if follow:
                notice.away(error)
                time.sleep(AGAIN)
            continue
        notice.there()
        asked, tries = {"subject": subject, "after": page["next"]}, 0
        for each in page["unproved"]:
            _say_unproved(f"{each['topic']}/{each['partition']} offset {each['offset']}", each["detail"])
        yield from map(_envelope, page["events"])
        if page["at_end"] and not follow:
            return


def _envelope(told: Mapping[str, Any]) -> Envelope:
    return Envelope(
        id=told["id"],
        source=told["source"],
        type=told["type"],
        subject=told["subject"],
        time=datetime.fromisoformat(told["time"]),
        version=told["streamversion"],
        data=told["data"],
        actor=told["actor"],
        correlation=told["correlationid"],
        causation=told["causationid"],
        traceparent=None,
        dataschema=dataschema(told["type"]),
    )


class AwayNotice:
    """Says once that what is read went away, and that it is back."""

    def __init__(self, what: str = "Kafka") -> None:
        self._what = what
        self._away = False

    def away(self, error: Exception) -> None:
        if not self._away:
            why = str(error) if isinstance(error, NoAnswer) else type(error).__name__
            message = f"{self._what} does not answer ({why}). This waits for it, and goes on where it was. See: redress status"
            err.print(harmless(message), style="red", markup=False)
        self._away = True

    def there(self) -> None:
        if self._away:
            err.print(f"{self._what} answers again.", style="green")
        self._away = False


async def _records(
    consumer: Consumer, following: dict[TopicPartition, int], ends: dict[TopicPartition, int] | None, notice: AwayNotice
) -> AsyncIterator[Record]:
    """Up to these ends, or without end. following: the next offset of each partition, kept up to date."""
    observed = asked = monotonic()
    while ends is None or any(following[place] < end for place, end in ends.items()):
        polled = await poll(consumer, following, 500, 1_000)
        if polled:
            notice.there()
            observed = asked = monotonic()
        elif ends is not None:
            check_silence(observed)
        elif monotonic() - asked > QUIET:
            await _ask_whether_it_is_there(consumer, notice)
            asked = monotonic()
        for place, records in polled.items():
            following[place] = records[-1].offset + 1
            for record in records:
                yield record


async def _ask_whether_it_is_there(consumer: Consumer, notice: AwayNotice) -> None:
    """A log to which nobody writes, and a Kafka that is away, look the same to who waits for records."""
    try:
        async with asyncio.timeout(ANSWER):
            await consumer.end_offsets(list(consumer.assignment())[:1])
    except AWAY as error:
        notice.away(error)
    else:
        notice.there()


def _event(record: Record, mac: MacKeys) -> Envelope | None:
    try:
        envelope = decode(record.value or b"")
    except Malformed:
        return None
    if (signer := signer_of(mac, record, record.chained)) == envelope.source:
        return envelope
    why = signer.detail if isinstance(signer, NotProved) else f"It was signed by {signer}."
    _say_unproved(f"{record.topic}/{record.partition} offset {record.offset}", why)
    return None


def _say_unproved(place: str, why: str) -> None:
    err.print(harmless(f"{place} is not shown, for nothing proves its source. {why}"), style="red", markup=False)


def places_of(partitions: int, subject: str | None) -> list[TopicPartition]:
    """Where events about a complaint stand, its public records among them; without one, every partition."""
    if subject is None:
        return [TopicPartition(topic, partition) for topic in EVENT_TOPICS for partition in range(partitions)]
    identity = subject.partition("/")[2]
    public = [TopicPartition(topic, partition_of(f"{stream}/{identity}", partitions)) for topic, stream in PUBLIC_STREAMS]
    return [TopicPartition(LIFECYCLE, partition_of(subject, partitions)), *public]
