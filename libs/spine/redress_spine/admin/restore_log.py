"""Writes the log again from the journals of all services, after it lost its end, its start, or everything.

A journal has its service's events alone, and forever; the log has all of them in the order in which they were decided upon each other. So
the journals are merged: an event behind its cause, behind its own predecessor, and else by time (`redress_spine.admin.causal_order`).
Services may run meanwhile and take commands: their relays wait, for this process holds the lead of each.

Killed at any point it is started again without harm: what the log has is compared with the journals and gone on with. A log that cannot be
gone on with (its start has gone, or events stand in a wrong order) is deleted and made again, only where the operator names the topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from redress_events.vocabulary import EVENT_TOPICS, KEYS
from redress_spine.admin.causal_order import CausalOrder, Journaled, merged
from redress_spine.admin.open_journals import Journal
from redress_spine.messaging import topics as making
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.log_content import Content, LogReader
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.mac import MacKeys, MacKeysUnusable
from redress_spine.messaging.relay import ACKNOWLEDGE, AGAIN, CLOSE_TIMEOUT, SEND_TIMEOUT, Outgoing, Sender, close, key_record, outgoing
from redress_spine.messaging.topics import Replicas, Topics
from redress_spine.messaging.whole_log import reader
from redress_spine.processing.skips import load_skips
from redress_spine.store.errors import CannotRestore

log = structlog.get_logger(__name__)

PAGE = 1_000
SEND_LIMIT = 30.0  # seconds for a page, while a broker that lost its data still settles
IN_FLIGHT = SEND_TIMEOUT + CLOSE_TIMEOUT  # seconds after which no relay that lost its lead still sends a page
NAMED = 10  # causes that are named
KEYS_OF = "intake"  # the service that makes keys
OTHER_KEYS = (
    "{topic} has no record that the MAC keys given here prove, and {count} that name others: these are not the keys that it was written "
    "with. Find the folder that the services have. If those keys are lost, let all be signed again: --recreate {name} --although-unproved"
)


@dataclass(frozen=True, slots=True)
class Access:
    """How a service's database is reached, as its owner and as the service itself."""

    owner_dsn: str
    app_dsn: str


@dataclass(slots=True)
class Restored:
    """What a restore came to. replicas: those of the topics that were recreated. found: events that the log had. strangers: records there
    that are none. written: by service.

    missing: causes that are in no journal; what was decided upon them went by time. early: events that went though their cause came later.
    """

    recreated: list[str] = field(default_factory=list)
    replicas: Replicas | None = None
    found: int = 0
    strangers: int = 0
    written: dict[str, int] = field(default_factory=dict)
    keys: int = 0
    early: int = 0
    missing: list[str] = field(default_factory=list)


class RestoreLog:
    """services: all that publish, in the order in which events of one time go. recreate: topics, by their names without a prefix, that are
    deleted and recreated. mac: the keys by which records prove their source; what is written is signed with the newest. replicas: how many
    these get; as they had if not given. although_unproved: the keys that the log was signed with are lost. progress(what, done, all) is
    told as it goes on. begun: from then on relays wait until a restore has come to its end."""

    def __init__(
        self,
        services: Mapping[str, Access],
        *,
        kafka: KafkaClients | str,
        partitions: int,
        mac: MacKeys,
        prefix: str = "",
        recreate: Collection[str] = (),
        replicas: Replicas | None = None,
        although_unproved: bool = False,
        in_flight: float = IN_FLIGHT,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self._services = services
        self._kafka = KafkaClients.of(kafka)
        self._partitions = partitions
        self._mac = mac
        self._prefix = prefix
        self._topics = Topics(prefix)
        self._recreate = [self._topics(topic) for topic in recreate]
        self._replicas = replicas
        self._although_unproved = although_unproved
        self._in_flight = in_flight
        self.begun = False
        self._progress = progress
        self._sender = Sender(self._kafka, "restore-log", SEND_LIMIT)

    async def run(self) -> Restored:
        """Raises CannotRestore, JournalRestored, TopicsNotMade; LogTruncated, ConnectionError, and what asyncpg and aiokafka raise where a
        server goes away: then run it again."""
        restored = Restored()
        journals: dict[str, Journal] = {}
        try:
            self._check_keys()
            await self._check_topics()
            replicas = await self._choose_replicas() if self._recreate else None
            for rank, (source, access) in enumerate(self._services.items()):
                journals[source] = await Journal.open(source, rank, access.owner_dsn, access.app_dsn)
            self._progress("waiting for what relays have sent", 0, 0)
            await asyncio.sleep(self._in_flight)
            await self._look(journals, restored)
            self.begun = True
            for journal in journals.values():
                await journal.begin()
            if replicas:
                await making.recreate(self._kafka, self._recreate, self._partitions, replicas, self._prefix)
                restored.recreated, restored.replicas = self._recreate, replicas
            now = await self._topics_now()
            await self._write_keys(journals[KEYS_OF], restored)
            await self._write_events(journals, restored)
            for journal in journals.values():
                await journal.finish(*now)
            return restored
        finally:
            await self._sender.drop()
            for journal in journals.values():
                await journal.close()

    def _check_keys(self) -> None:
        """Before anything is stopped or deleted: what nobody can sign must not be written."""
        try:
            for source in self._services:
                self._mac.check(source)
        except MacKeysUnusable as error:
            raise CannotRestore(str(error)) from None

    async def _check_topics(self) -> None:
        there = await making.partitions_of(self._kafka, [self._topics(topic) for topic in (*EVENT_TOPICS, KEYS)])
        for topic, count in there.items():
            wanted = 1 if topic == self._topics.keys else self._partitions
            if topic in self._recreate:
                continue
            if count is None:
                raise CannotRestore(f"There is no topic {topic}. Create it: --recreate {topic.removeprefix(self._prefix)}")
            if count != wanted:
                raise CannotRestore(
                    f"{topic} has {count} partitions, and the services have {wanted} (REDRESS_PARTITIONS). If these are right, recreate "
                    f"the topic: --recreate {topic.removeprefix(self._prefix)}"
                )

    async def _choose_replicas(self) -> Replicas:
        """Before anything is stopped or deleted: what Kafka would not make again must stay."""
        names = ", ".join(self._recreate)
        chosen = self._replicas or await making.replicas_for(self._kafka, self._recreate, self._prefix)
        if chosen is None:
            raise CannotRestore(
                f"No topic tells how many replicas {names} had, and Kafka has several brokers. Say how many: --replication 3 --min-insync 2"
            )
        if not chosen.possible:
            raise CannotRestore(f"{names} cannot have {chosen}. Say how many: --replication N --min-insync N")
        if (brokers := await making.brokers_of(self._kafka)) < chosen.factor:
            raise CannotRestore(
                f"{names} would have {chosen}, and Kafka has {brokers} {'broker' if brokers == 1 else 'brokers'} now. Start the others, or "
                "say how many: --replication N --min-insync N"
            )
        return chosen

    async def _look(self, journals: Mapping[str, Journal], restored: Restored) -> None:
        """What is on the log must be in the journals, also where it is deleted: else nobody would have it."""
        skipped = [await load_skips(journal.connection) for journal in journals.values()]
        there = await making.partitions_of(self._kafka, [self._topics(topic) for topic in EVENT_TOPICS])
        topics = {topic: count for topic, count in there.items() if count is not None}
        if not topics:
            return
        consumer = reader(self._kafka)
        try:
            await consumer.start()
            reading = LogReader(journals, consumer, self._topics, self._partitions, self._mac, skipped, self._progress)
            for topic, count in topics.items():
                kept = topic not in self._recreate
                content = await reading.look(topic, count, kept)
                if content.otherwise_signed and not content.records and not self._although_unproved:
                    name = topic.removeprefix(self._prefix)
                    raise CannotRestore(OTHER_KEYS.format(topic=topic, name=name, count=content.otherwise_signed))
                if kept:
                    self._refuse_what_is_broken(topic, content)
                    restored.found += content.records
                    restored.strangers += content.strangers
        finally:
            await close(consumer)

    def _refuse_what_is_broken(self, topic: str, content: Content) -> None:
        if content.broken is not None:
            name = topic.removeprefix(self._prefix)
            raise CannotRestore(f"{content.broken} Nothing can be written after that. Recreate the topic: --recreate {name}")

    async def _write_keys(self, journal: Journal, restored: Restored) -> None:
        """All keys once more, and the tombstones of the destroyed, before the events that need them. Readers keep the first key of each."""
        after = ""
        while rows := await journal.connection.fetch(AGAIN, after, PAGE):
            await self._sender.send(key_record(self._topics, self._mac, KEYS_OF, row) for row in rows)
            await journal.connection.execute(ACKNOWLEDGE, [row["subject"] for row in rows], [row["wrapped"] is None for row in rows])
            restored.keys += len(rows)
            after = rows[-1]["subject"]
            self._progress("keys", restored.keys, 0)

    async def _write_events(self, journals: Mapping[str, Journal], restored: Restored) -> None:
        everything = sum([await journal.set_watermark() for journal in journals.values()])
        restored.written = dict.fromkeys(journals, 0)
        order, page, done = CausalOrder(), list[Journaled](), 0
        async for event in merged({source: journal.events(journals) for source, journal in journals.items()}):
            page += order.take(event)
            if len(page) >= PAGE:
                await self._send(page, restored)
                done += len(page)
                self._progress("events", done, everything)
                page = []
        for event, early in order.rest():
            page.append(event)
            restored.early += early
        for start in range(0, len(page), PAGE):
            await self._send(page[start : start + PAGE], restored)
        restored.missing = [cause for journal in journals.values() for cause in journal.missing]
        if restored.missing or restored.early:
            log.warning("causes-not-before", missing=len(restored.missing), early=restored.early, first=restored.missing[:NAMED])

    async def _send(self, page: Sequence[Journaled], restored: Restored) -> None:
        await self._sender.send(self._records(page))
        for event in page:
            restored.written[event.source] += 1

    def _records(self, page: Sequence[Journaled]) -> Iterable[Outgoing]:
        return (outgoing(self._topics, self._partitions, self._mac, event.source, event.row) for event in page)

    async def _topics_now(self) -> tuple[str, dict[str, str]]:
        """The cluster, and the ids of the topics."""
        asking = LogEnd("restore-log", self._kafka)
        try:
            seen = await asking.topics([self._topics(name) for name in EVENT_TOPICS])
            return seen.cluster, {name: seen.topics[self._topics(name)].id for name in EVENT_TOPICS}
        finally:
            await asking.stop()
