"""What the log has of the journals, partition by partition, and whether it can be gone on with.

A log can be gone on with where each service's events on a subject stand there from the first one without a gap, and each behind its cause.
That is so of a log whose end was lost, and of one that was being restored, whatever else was written to the journals since.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from redress_spine.admin.open_journals import Journal
from redress_spine.messaging.envelope import Envelope, Malformed, chain, decode
from redress_spine.messaging.kafka_clients import Consumer
from redress_spine.messaging.mac import UNSIGNED, MacKeys, NotProved
from redress_spine.messaging.records import Record, signer_of
from redress_spine.messaging.topics import Topics
from redress_spine.messaging.whole_log import ahead, bounds
from redress_spine.processing.skips import Skips, skip_of
from redress_spine.store.errors import CannotRestore
from redress_spine.store.states import partition_of

FORGED = "if somebody else wrote it, close the topic to them and skip it permanently: redress adopt {source} --skip {place} --why TEXT"
FORKED = (
    "{where} has {id}, which is another event than the journal of {source} has under this version. Find out which is right. If an older "
    "database was restored, restore the newer one; " + FORGED
)
UNKNOWN = (
    "{where} has {id}, which the journal of {source} does not have: the log is newer than this journal. Take in what it lacks first "
    "(redress adopt {source}); or, " + FORGED
)


@dataclass(slots=True)
class Content:
    """records: events of ours that the log has. strangers: records that are none. otherwise_signed: such of these as a journal has, with a
    MAC that the keys here do not prove. broken: why nothing can be written behind them."""

    records: int = 0
    strangers: int = 0
    otherwise_signed: int = 0
    broken: str | None = None


@dataclass(slots=True)
class _Partition:
    """How far each service's events on each stream stand here, by (source, stream)."""

    place: TopicPartition
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    early: dict[str, str] = field(default_factory=dict)  # causes that were not there yet, by the event that stood before them


class LogReader:
    """Reads the topics of a restore. consumer: with no group and no reset. skipped: what operators passed over forever."""

    def __init__(
        self,
        journals: Mapping[str, Journal],
        consumer: Consumer,
        topics: Topics,
        partitions: int,
        mac: MacKeys,
        skipped: Collection[Skips],
        progress: Callable[[str, int, int], None],
    ) -> None:
        self._journals = journals
        self._consumer = consumer
        self._topics = topics
        self._partitions = partitions
        self._mac = mac
        self._skipped = skipped
        self._progress = progress

    async def look(self, topic: str, partitions: int, kept: bool) -> Content:
        """Compare every event with its journal. partitions: that the topic has. kept: it is gone on with, so the journals remember what is
        there; else it will be deleted, and an event in a wrong partition or topic counts too, for nobody else may have it. Raises
        CannotRestore: a fork, or events that a journal lacks; ConnectionError where Kafka says nothing; LogTruncated where the log loses
        records meanwhile."""
        content = Content()
        log = await bounds(self._consumer, [TopicPartition(topic, n) for n in range(partitions)])
        everything, read = sum(end - start for start, end in log.values()), 0
        for place, (start, end) in log.items():
            if start > 0:
                content.broken = content.broken or f"{place.topic}/{place.partition} begins at offset {start}: its start has gone."
            partition = _Partition(place)
            async for records in ahead(self._consumer, place, start, end):
                await self._take([record for record in records if not record.mark], partition, content, kept)
                self._progress("log", read + (records[-1].offset + 1 - start if records else 0), everything)
            read += end - start
            await self._settle(partition, content)
            if kept:
                for source, journal in self._journals.items():
                    own = {stream: version for (by, stream), version in partition.versions.items() if by == source}
                    await journal.note(own)
        return content

    async def _take(self, records: Sequence[Record], partition: _Partition, content: Content, kept: bool) -> None:
        ours = [(record, envelope) for record in records if (envelope := self._event_of_ours(record, anywhere=not kept))]
        content.strangers += len(records) - len(ours)
        known: dict[tuple[str, str, int], tuple[str, bytes]] = {}
        for source, journal in self._journals.items():
            wanted = {(each.subject, each.version) for _, each in ours if each.source == source}
            if wanted:
                known |= {(source, *key): found for key, found in (await journal.hashes(wanted)).items()}
        for record, envelope in ours:
            found = known.get((envelope.source, envelope.subject, envelope.version))
            if record.unproved:
                content.strangers += 1
                content.otherwise_signed += found is not None and found[1] == record.hash
                continue
            if found is None or found[1] != record.hash:
                if any(skip_of(skips, record) is not None for skips in self._skipped):
                    content.strangers += 1
                    continue
                where = f"{record.topic}/{record.partition} offset {record.offset}"
                place = f"{record.topic}/{record.partition}@{record.offset}"
                message = UNKNOWN if found is None else FORKED
                raise CannotRestore(message.format(where=where, place=place, id=envelope.id, source=envelope.source))
            if kept and record.topic != self._topics(found[0]):  # a copy where nobody reads it
                content.strangers += 1
                continue
            content.records += 1
            self._stand(record, envelope, partition, content)

    def _stand(self, record: Record, envelope: Envelope, partition: _Partition, content: Content) -> None:
        key = envelope.source, envelope.subject
        last = partition.versions.get(key, 0)
        if envelope.version <= last:
            return  # sent twice
        if envelope.version > last + 1 and content.broken is None:
            where = f"{record.topic}/{record.partition} offset {record.offset}"
            content.broken = f"{where} has {envelope.id}, and version {last + 1} of it does not stand before it."
        partition.versions[key] = envelope.version
        if envelope.causation is not None:
            stream, source, version = envelope.causation.rsplit("/", 2)
            if stream == envelope.subject and partition.versions.get((source, stream), 0) < int(version):
                partition.early[envelope.id] = envelope.causation

    async def _settle(self, partition: _Partition, content: Content) -> None:
        """An event whose cause is in no journal cannot stand behind it. Any other that does not, stands wrongly."""
        for event, cause in partition.early.items():
            stream, source, version = cause.rsplit("/", 2)
            journal = self._journals.get(source)
            if content.broken is None and journal is not None and await journal.hashes([(stream, int(version))]):
                place = f"{partition.place.topic}/{partition.place.partition}"
                content.broken = f"{place} has {event} without its cause {cause} before it: services' events are in the wrong order there."

    def _event_of_ours(self, record: Record, anywhere: bool) -> Envelope | None:
        """None where it is no event with its chain and its source's MAC in its partition, or anywhere: readers set such records aside, or
        park them. One whose MAC is there and proves nothing is told by `record.unproved`."""
        prevhash, hash = record.headers.get("prevhash"), record.headers.get("hash")
        if record.unreadable or record.value is None or prevhash is None or hash != chain(prevhash, record.value):
            return None
        try:
            envelope = decode(record.value)
        except Malformed:
            return None
        signer = signer_of(self._mac, record, hash)
        if signer != envelope.source and not (isinstance(signer, NotProved) and signer.reason != UNSIGNED):
            return None
        here = anywhere or partition_of(envelope.subject, self._partitions) == record.partition
        return envelope if here and record.key == envelope.subject.encode() and envelope.source in self._journals else None
