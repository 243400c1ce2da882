"""Where the log ends and begins and which log it is, asked by clients of its own, and since when Kafka has answered without a break.

`end_offsets` on the projector's consumer would queue behind its long poll. Timed automations wait for what is
asked here: a deadline is judged only once everything that was on the log half a second after it has been read.

A partition without a leader, or a topic that is not there, is nobody's trouble but of those who ask for it: the others are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from redress_spine.messaging.kafka_clients import Client, Consumer, KafkaClients
from redress_spine.messaging.relay import close
from redress_spine.messaging.topic_metadata import ClusterSeen, ask_topics
from redress_spine.processing.clock import monotonic
from redress_spine.store.errors import KafkaRefuses

log = structlog.get_logger(__name__)

ASK_TIMEOUT = 2.0  # seconds; nobody waits longer, whoever else asks
REFUSED = 2.0  # seconds before who was refused tries again
ENDS, STARTS, TOPICS = "where the log ends", "where the log begins", "which topics it has"
MARGIN = timedelta(milliseconds=500)  # between the instant of a deadline and the asking for the log's end


@dataclass(slots=True)
class _Flight:
    """One ask of many: it begins after all who share it came. answer: ends of what has a leader, or why there are none."""

    wanted: set[TopicPartition] = field(default_factory=set)
    answer: asyncio.Future[Mapping[TopicPartition, int] | Exception] = field(default_factory=asyncio.Future)

    def land(self, answer: Mapping[TopicPartition, int] | Exception) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class LogEnd:
    """Clients for asking. `reachable_for` is how long Kafka has answered, in seconds; 0 while it does not. unled: partitions that had no
    leader, or were not there, when they were last asked for. refusal: why Kafka does not let us in, if that was so the last time. lacks: by
    what was asked for, the right that it would need."""

    def __init__(self, source: str, kafka: KafkaClients | str) -> None:
        self._source = source
        self._kafka = KafkaClients.of(kafka)
        self._consumer: Consumer | None = None
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._gathering: _Flight | None = None
        self._flying: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._cluster: str | None = None
        self._reachable_since: float | None = None
        self._led_since: dict[TopicPartition, float] = {}  # of those that had no leader before
        self._refused_at = 0.0
        self.refusal: str | None = None
        self.lacks: dict[str, str] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.unled: frozenset[TopicPartition] = frozenset()

    @property
    def reachable_for(self) -> float:
        return 0.0 if self._reachable_since is None else monotonic() - self._reachable_since

    def led_for(self, place: TopicPartition) -> float:
        """How long this partition has been there to be written to, in seconds, as far as was seen."""
        return 0.0 if place in self.unled else min(self.reachable_for, monotonic() - self._led_since.get(place, 0.0))

    def lost(self) -> None:
        """Some client saw Kafka out of reach: the settling time begins again, and what answers next may be another cluster."""
        self._reachable_since = None
        self._cluster = None

    async def ask(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offsets after the last records, as of now. Raises ConnectionError where Kafka does not answer in time, or one of them has no
        leader."""
        return _all(partitions, await self.ask_led(partitions))

    async def ask_led(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The same of those that have a leader. Raises ConnectionError where Kafka does not answer in time.

        One ask is under way at a time. Who comes meanwhile shares the next, for an answer that was given before the question is none.
        """
        if not partitions:
            return {}
        if self._gathering is None:
            self._gathering = _Flight()
            if self._flying is None:
                self._flying = asyncio.create_task(self._fly())
        flight = self._gathering
        flight.wanted.update(partitions)
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                answer = await asyncio.shield(flight.answer)
        except TimeoutError as error:
            answer = error
        if isinstance(answer, Exception):
            raise self._unsaid(ENDS, answer) from answer
        self.lacks.pop(ENDS, None)
        return {place: answer[place] for place in partitions if place in answer}

    async def _fly(self) -> None:
        """Ask for one flight after the other. Those who wait behind one that failed have waited long enough: they fail with it."""
        flight: _Flight | None = None
        try:
            while (flight := self._gathering) is not None:
                self._gathering = None
                try:
                    async with asyncio.timeout(ASK_TIMEOUT):
                        ends = await self._of_led(lambda consumer, wanted: consumer.end_offsets(wanted), flight.wanted)
                except Exception as error:
                    self.lost()
                    self._drop()
                    flight.land(error)
                    if self._gathering is not None:
                        self._gathering.land(error)
                        self._gathering = None
                else:
                    if self._reachable_since is None:
                        self._reachable_since = monotonic()
                    self.ends.update(ends)
                    flight.land(ends)
        finally:
            self._flying = None
            for each in (flight, self._gathering):
                if each is not None:
                    each.land(ConnectionError("It was stopped."))
            self._gathering = None

    async def starts(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offsets of the first records that are still there. Raises ConnectionError, also where one of them has no leader."""
        return _all(partitions, await self.starts_of_led(partitions))

    async def starts_of_led(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The same of those that have a leader. Raises ConnectionError."""
        if not partitions:
            return {}
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                starts = await self._of_led(lambda consumer, wanted: consumer.beginning_offsets(wanted), partitions)
        except Exception as error:
            self._drop()
            raise self._unsaid(STARTS, error) from error
        self.lacks.pop(STARTS, None)
        return starts

    async def _of_led(
        self, ask: Callable[[Consumer, list[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]], wanted: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """The client asks for all or for none, over and over until its time is up. So who has a leader is asked before, but only where
        somebody had none the last time, or where the question has just failed. Raises ConnectionError where no broker answers."""
        if self.unled.isdisjoint(wanted):
            try:
                return await ask(await self._opened(), list(wanted))
            except (KafkaError, OSError) as error:
                log.debug("asked-who-leads", service=self._source, error=type(error).__name__)
        seen = await self.topics(sorted({place.topic for place in wanted}))
        led = {place for place in wanted if (topic := seen.topics.get(place.topic)) and place.partition in topic.epochs}
        self._led_since.update(dict.fromkeys(self.unled & led, monotonic()))
        self.unled = self.unled - led | (frozenset(wanted) - led)
        return await ask(await self._opened(), list(led)) if led else {}

    async def topics(self, names: Sequence[str]) -> ClusterSeen:
        """Which cluster it is, and the ids and leader epochs of these topics. Raises ConnectionError."""
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                async with self._opening:
                    if self._client is None:
                        client = self._kafka.client(f"{self._source}-topics", request_timeout_ms=1_500, metadata_max_age_ms=30_000)
                        self._client = await self._started(client, client.bootstrap)
                seen = await ask_topics(self._client, names)
        except Exception as error:
            self.lost()
            self._drop()
            raise self._unsaid(TOPICS, error) from error
        self.lacks.pop(TOPICS, None)
        return seen

    async def barred(self, group: str) -> list[str]:
        """Why this consumer group is nothing for us, in a message, where that is so."""
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                if self._client is not None:
                    await self._client.coordinator_lookup(CoordinationType.GROUP, group)
        except GroupAuthorizationFailedError:
            return [str(self._kafka.lacking(GroupAuthorizationFailedError(group)))]
        except (KafkaError, OSError, TimeoutError) as error:  # a young broker has no coordinator yet; who cannot join is told so
            log.debug("group-not-asked", service=self._source, error=type(error).__name__)
        return []

    async def cluster(self) -> str:
        """Kafka's cluster id: offsets and checkpoint are kept with it. Raises ConnectionError."""
        if self._cluster is None:
            self._cluster = (await self.topics([])).cluster
        return self._cluster

    async def stop(self) -> None:
        if self._flying is not None:
            self._flying.cancel()
            await asyncio.wait([self._flying])
        self._drop()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _opened(self) -> Consumer:
        async with self._opening:
            if self._consumer is None:
                consumer = self._kafka.consumer(
                    role=f"{self._source}-ends",
                    auto_offset_reset="none",
                    request_timeout_ms=1_500,
                    metadata_max_age_ms=30_000,
                )
                self._consumer = await self._started(consumer, consumer.start)
            return self._consumer

    async def _started(self, client: Any, start: Callable[[], Awaitable[None]]) -> Any:
        """The client, once it has begun. Raises KafkaRefuses. Who was refused tries again after a pause only: each time is a failed
        sign-in."""
        if self.refusal and monotonic() - self._refused_at < REFUSED:
            raise KafkaRefuses(self.refusal)
        try:
            await start()
        except BaseException as error:
            await close(client)
            if isinstance(error, Exception):
                self.refusal, self._refused_at = await self._kafka.refusal(), monotonic()
                if self.refusal:
                    raise KafkaRefuses(self.refusal) from error
            raise
        self.refusal = None
        return client

    def _drop(self) -> None:
        """New clients next time. The old ones are closed meanwhile: that may hang."""
        for client in (self._consumer, self._client):
            if client is not None:
                task = asyncio.create_task(close(client))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        self._consumer = self._client = None

    def _unsaid(self, what: str, error: Exception) -> ConnectionError:
        """What is raised for a question that got no answer: our own message where there is one, else the error's type alone."""
        if lacks := self._kafka.lacking(error):
            self.lacks[what] = lacks
            return KafkaRefuses(lacks)
        if isinstance(error, KafkaRefuses):
            self.refusal = self.refusal or str(error)
            return KafkaRefuses(str(error))
        return ConnectionError(f"Kafka did not say {what}: {type(error).__name__}")


def _all(partitions: Iterable[TopicPartition], offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
    if without := [f"{place.topic}/{place.partition}" for place in partitions if place not in offsets]:
        raise ConnectionError(f"Kafka did not say where the log begins and ends: no leader for {', '.join(without)}")
    return offsets
