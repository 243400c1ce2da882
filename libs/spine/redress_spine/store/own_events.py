"""This service's events as the log has them: which records are ours, and whether what the journal lacks continues it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import asyncpg
from aiokafka import TopicPartition

from redress_spine.aggregate import Verified
from redress_spine.messaging.envelope import GENESIS, Malformed, chain, decode
from redress_spine.messaging.kafka_clients import Consumer
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.mac import UNSIGNED, NotProved
from redress_spine.messaging.polling import poll
from redress_spine.messaging.records import Record, as_folded, signer_of
from redress_spine.messaging.topics import Topics
from redress_spine.messaging.whole_log import bounds, check_silence
from redress_spine.processing.clock import monotonic
from redress_spine.processing.projector import JOURNAL
from redress_spine.processing.skips import Skips, load_skips, save_skip, skip_of
from redress_spine.store.fold import RecordPlace
from redress_spine.store.states import heads, partition_of

CURE = (
    "If somebody else wrote it to the topic, skip it: --skip TOPIC/PARTITION@OFFSET --why TEXT. "
    "If the journal went on without what the log has, restore it to a time before that, and adopt it then."
)

Ranges = Mapping[TopicPartition, tuple[int, int]]  # from an offset up to another


class AdoptionRefused(Exception):
    """Journal and log cannot be compared now: the sentences say why."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class Forked(AdoptionRefused):
    """Journal and log do not continue each other: the sentences say where. Commands stay out."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Records that an operator knows to be no event of the service: they are skipped forever, and who said so and why is kept."""

    places: Collection[RecordPlace]
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """An event of this service, as the log has it."""

    stream: str
    version: int
    topic: str
    type: str
    prevhash: bytes
    hash: bytes
    data: bytes
    subject: str  # on which it was decided
    where: str
    unproved: str = ""  # it has a MAC, and why that proves nothing


class OwnEvents:
    """Reads them, some at a time. batch: how many at most."""

    def __init__(self, service: Verified, batch: int, passed_over: PassedOver | None) -> None:
        self._source = service.source
        self._contract = service.contract
        self._partitions = service.partitions
        self._topics = Topics(service.topic_prefix)
        self._mac = service.mac
        self._batch = batch
        self._passed_over = passed_over
        self._skips: Skips = {}

    async def read(
        self, connection: asyncpg.Connection, consumer: Consumer, ranges: Ranges, progress: Callable[[int, int], None]
    ) -> AsyncIterator[list[OwnEvent]]:
        """This service's events within these ranges, each stream in its order, some at a time."""
        self._skips = await load_skips(connection)
        done, everything = 0, sum(end - start for start, end in ranges.values())
        async for records in records_of(consumer, ranges):
            found = [own for record in records if (own := self._judge(record)) is not None]
            for start in range(0, len(found), self._batch):
                yield found[start : start + self._batch]
            done += len(records)
            progress(done, everything)

    async def pass_over(self, connection: asyncpg.Connection, consumer: Consumer, log_end: LogEnd) -> None:
        """Keep what an operator said of records, wherever they stand: also in a partition that is not ours. Raises AdoptionRefused where
        there is no record of this service's name, or one that its journal has."""
        if (passed := self._passed_over) is None:
            return
        for topic, number, offset in passed.places:
            place, found = TopicPartition(topic, number), list[Record]()
            seen = (await log_end.topics([topic])).topics.get(topic)
            if seen is not None and number < seen.partitions:
                start, end = (await bounds(consumer, [place]))[place]
                if start <= offset < end:
                    async for records in records_of(consumer, {place: (offset, offset + 1)}):
                        found += records
            for record in found:
                signer_of(self._mac, record, record.chained)  # one that nobody signed is no copy of an event
            where = f"{topic}/{number}@{offset}"
            if not any(self._names_us(record) for record in found):
                raise AdoptionRefused(f"{where} is not a record in the name of {self._source}: nothing is skipped.")
            for record in found:
                if await connection.fetchval("SELECT true FROM events WHERE hash = $1 AND stream = $2", record.hash, _text(record.key)):
                    raise AdoptionRefused(f"{where} is an event of {self._source}, and in its journal: nothing is skipped.")
                await save_skip(connection, record, 0, passed.who, passed.why)  # an own event counts as nobody's version

    def _names_us(self, record: Record) -> bool:
        try:
            return record.headers.get("source") == self._source.encode() or decode(record.value or b"").source == self._source
        except Malformed:
            return False

    def _judge(self, record: Record) -> OwnEvent | None:
        """A record that says to be ours and is what it says; None for all others, which readers park or set aside. Raises
        AdoptionRefused for one that this release cannot fold."""
        if record.headers.get("source") != self._source.encode() or record.value is None:
            return None
        signer = signer_of(self._mac, record, record.chained)
        if skip_of(self._skips, record) is not None:
            return None
        where = f"{record.topic}/{record.partition} offset {record.offset}"
        try:
            envelope = decode(record.value)
        except Malformed:
            return None
        prevhash, digest = record.headers.get("prevhash", b""), record.headers.get("hash")
        key = _text(record.key)
        ours = envelope.source == self._source and envelope.subject == key and chain(prevhash, record.value) == digest
        if not ours or digest is None or partition_of(key, self._partitions) != record.partition:
            return None
        if signer != self._source and not (isinstance(signer, NotProved) and signer.reason != UNSIGNED):
            return None
        unproved = signer.detail if isinstance(signer, NotProved) else ""
        kind = self._contract.by_type.get(envelope.type)
        if kind is None:
            raise AdoptionRefused(f"{where} has {envelope.type}, which this release does not know: adopt with the release that wrote it.")
        if self._topics(kind.topic) != record.topic or not key.startswith(f"{kind.stream}/"):
            return None
        try:
            as_folded(kind, envelope)
        except ValueError as error:
            raise Forked(f"{where} is no {envelope.type} that this release can fold: {type(error).__name__}.", CURE) from None
        subject = f"{kind.decided_on}/{key.partition('/')[2]}"
        return OwnEvent(key, envelope.version, kind.topic, envelope.type, prevhash, digest, record.value, subject, where, unproved)


class Continuation:
    """Tells what the journal lacks, and whether that continues it: as if it had been taken in already, event by event."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[int, bytes]] = {}
        self._taken: dict[tuple[str, int], bytes] = {}
        self._broken: set[str] = set()  # streams of which the first difference was told

    async def missing(self, connection: asyncpg.Connection, batch: Iterable[OwnEvent], problems: list[str]) -> list[OwnEvent]:
        """Those that the journal lacks. problems: gets a message for each stream where log and journal part."""
        batch = list(batch)
        rows = await connection.fetch(JOURNAL, [own.stream for own in batch], [own.version for own in batch])
        known = {(row["stream"], row["version"]): row["hash"] for row in rows}
        unknown = {own.stream for own in batch if (own.stream, own.version) not in known} - self._ends.keys()
        self._ends |= await heads(connection, sorted(unknown))
        found = []
        for own in batch:
            has = known.get((own.stream, own.version)) or self._taken.get((own.stream, own.version))
            if has == own.hash or own.stream in self._broken:
                continue
            last, lasthash = self._ends.get(own.stream, (0, GENESIS))
            which = f"{own.where} has version {own.version} of {own.stream}"
            if own.unproved:
                problems.append(f"{which}, and nothing proves that. {own.unproved}")
            elif has is not None:
                problems.append(f"{which}, and the journal has another event under it: they fork there.")
            elif own.version > last + 1:
                problems.append(f"{which}, and neither the journal nor the log before it has version {last + 1}.")
            elif own.prevhash != lasthash:
                problems.append(f"{which}, which follows another version {last} than the journal's: they fork there.")
            else:
                self._ends[own.stream] = own.version, own.hash
                self._taken[own.stream, own.version] = own.hash
                found.append(own)
                continue
            self._broken.add(own.stream)
        return found


def _text(key: bytes | None) -> str:
    return (key or b"").decode("utf-8", "replace")


async def records_of(consumer: Consumer, ranges: Ranges) -> AsyncIterator[list[Record]]:
    """What these partitions have from the first offset up to the second, each partition in order; offsets without a record are passed
    over. Raises ConnectionError where nothing comes for long."""
    following = {place: start for place, (start, end) in ranges.items() if start < end}
    consumer.assign(list(following))
    for place, start in following.items():
        consumer.seek(place, start)
    observed = monotonic()
    while following:
        polled = await poll(consumer, following, 1_000, 5_000)
        if not polled:
            check_silence(observed)
        for place, records in polled.items():
            end = ranges[place][1]
            yield [record for record in records if record.offset < end and not record.mark]
            following[place] = records[-1].offset + 1
            if following[place] >= end:
                consumer.pause(place)
                del following[place]
        observed = monotonic() if polled else observed
