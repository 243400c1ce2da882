"""What the log has of the journals, partition by partition, and whether it can be gone on with.

A log can be gone on with where each service's facts on a subject stand there from the first one without a gap, and each behind its cause.
That is so of a log whose end was lost, and of one that was being restored, whatever else was written to the journals since.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from redress_events.envelope import Envelope, Malformed, chain, decode
from redress_events.errors import CannotRestore
from redress_events.open_journals import Journal
from redress_events.polling import poll
from redress_events.records import Record
from redress_events.states import partition_of

AT_ONCE = 1_000
FORKED = (
    "{where} has {id}, which is another fact than the journal of {source} has under this version. Find out which is right: an older "
    "database was restored (restore the newer one), or somebody else wrote it (close the topic to him, and skip the record)."
)
UNKNOWN = (
    "{where} has {id}, which the journal of {source} does not have: the log is newer than this journal. Take in what it lacks first "
    "(redress adopt {source}); or, if somebody else wrote it, skip the record."
)


@dataclass(slots=True)
class Content:
    """records: facts of ours that the log has. strangers: records that are none. broken: why nothing can be written behind them."""

    records: int = 0
    strangers: int = 0
    broken: str | None = None


@dataclass(slots=True)
class _Partition:
    """How far each service's facts on each stream stand here, by (source, stream)."""

    place: TopicPartition
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    early: dict[str, str] = field(default_factory=dict)  # causes that were not there yet, by the fact that stood before them


class Log:
    """Reads the topics of a restore. consumer: with no group and no reset. skipped: records that an operator passed over for ever."""

    def __init__(
        self,
        journals: Mapping[str, Journal],
        consumer: AIOKafkaConsumer,
        partitions: int,
        skipped: Collection[tuple[str, int, int, bytes]],
        progress: Callable[[str, int, int], None],
    ) -> None:
        self._journals = journals
        self._consumer = consumer
        self._partitions = partitions
        self._skipped = skipped
        self._progress = progress

    async def look(self, topics: Sequence[str], note: bool) -> Content:
        """Compare every fact with its journal. note: remember in the journals what is there. Raises CannotRestore: a fork, or facts that a
        journal lacks."""
        content = Content()
        places = [TopicPartition(topic, n) for topic in topics for n in range(self._partitions)]
        starts, ends = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        everything, read = sum(ends.values()) - sum(starts.values()), 0
        for place in places:
            if starts[place] > 0:
                content.broken = content.broken or f"{place.topic}/{place.partition} begins at offset {starts[place]}: its start has gone."
            partition = _Partition(place)
            self._consumer.assign([place])
            self._consumer.seek(place, starts[place])
            following = starts[place]
            while following < ends[place]:
                records = (await poll(self._consumer, {place: following}, 1_000, AT_ONCE)).get(place, [])
                if not records:
                    continue
                read += records[-1].offset + 1 - following
                following = records[-1].offset + 1
                await self._take([record for record in records if not record.mark and record.offset < ends[place]], partition, content)
                self._progress("log", read, everything)
            await self._settle(partition, content)
            if note:
                for source, journal in self._journals.items():
                    own = {stream: version for (by, stream), version in partition.versions.items() if by == source}
                    await journal.note(own)
        return content

    async def _take(self, records: Sequence[Record], partition: _Partition, content: Content) -> None:
        ours = [(record, envelope) for record in records if (envelope := self._fact_of_ours(record))]
        content.strangers += len(records) - len(ours)
        known: dict[tuple[str, str, int], bytes] = {}
        for source, journal in self._journals.items():
            wanted = {(each.subject, each.version) for _, each in ours if each.source == source}
            if wanted:
                known |= {(source, *key): hash for key, hash in (await journal.hashes(wanted)).items()}
        for record, envelope in ours:
            hash = known.get((envelope.source, envelope.subject, envelope.version))
            if hash != record.hash:
                if (record.topic, record.partition, record.offset, record.hash) in self._skipped:
                    content.strangers += 1
                    continue
                where = f"{record.topic}/{record.partition} offset {record.offset}"
                sentence = UNKNOWN if hash is None else FORKED
                raise CannotRestore(sentence.format(where=where, id=envelope.id, source=envelope.source))
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
        """A fact whose cause is in no journal cannot stand behind it. Any other that does not, stands wrongly."""
        for fact, cause in partition.early.items():
            stream, source, version = cause.rsplit("/", 2)
            journal = self._journals.get(source)
            if content.broken is None and journal is not None and await journal.hashes([(stream, int(version))]):
                place = f"{partition.place.topic}/{partition.place.partition}"
                content.broken = f"{place} has {fact} without its cause {cause} before it: services' facts stand there in a wrong order."

    def _fact_of_ours(self, record: Record) -> Envelope | None:
        """None where it is no fact in its place, with its chain. Readers set such records aside, or park them."""
        prevhash, hash = record.headers.get("prevhash"), record.headers.get("hash")
        if record.unreadable or record.value is None or prevhash is None or hash != chain(prevhash, record.value):
            return None
        try:
            envelope = decode(record.value)
        except Malformed:
            return None
        here = record.key == envelope.subject.encode() and partition_of(envelope.subject, self._partitions) == record.partition
        return envelope if here and envelope.source in self._journals else None
