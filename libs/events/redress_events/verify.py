"""Compares log, journal and state of one service, and says which record differs, where, and what to do.

journal: chains are gapless and true. log: every relayed fact is there, first copies in order, none that the journal does not know.
state: `heard` is the fold of the log up to the stored offsets, `done` the fold of the journal. Longer than most: all three walk the same
partition at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from redress_events import entries
from redress_events.envelope import GENESIS, chain, decode
from redress_events.facts import CLOSED, LIFECYCLE, Contract, Kind
from redress_events.fold import Folding, redriven
from redress_events.polling import poll
from redress_events.projector import JOURNAL as JOURNAL_HAS
from redress_events.projector import SKIPPED
from redress_events.records import Apart, Read, Reader, Record, Unfit, as_folded
from redress_events.relay import close
from redress_events.states import States, one
from redress_events.topics import Topics

CHUNK = 1_000
JOURNAL = """
SELECT stream, version, topic, type, prevhash, hash, data,
       (transaction_id, global_position) <= ($1::text::xid8, $2::bigint) AS relayed
FROM events ORDER BY split_part(stream, '/', 2), global_position
"""
ROWS = "SELECT subject, parked, read, heard, done FROM state ORDER BY subject"

ENTRIES = "SELECT subject, list, source, version, at, data, size FROM entries"
SEALED = "SELECT subject, ref, sha256(ciphertext) AS digest FROM sealed"


@dataclass(frozen=True, slots=True)
class Difference:
    """where: journal, log or state. which: stream and version, offset, or subject."""

    where: str
    which: str
    what: str
    advice: str


@dataclass(slots=True)
class Report:
    """Counts of what was compared, and what differs (the first `most` differences; `more` were not kept)."""

    service: str
    journal_facts: int = 0
    log_records: int = 0
    duplicates: int = 0
    lost: int = 0
    doubled: int = 0  # versions that the log has twice with different bytes
    states: int = 0
    parked: int = 0
    set_aside: int = 0
    waiting: int = 0  # facts not yet relayed
    types: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    more: int = 0
    most: int = 20

    @property
    def equal(self) -> bool:
        return not self.differences

    def differs(self, where: str, which: str, what: str, advice: str) -> None:
        if len(self.differences) < self.most:
            self.differences.append(Difference(where, which, what, advice))
        else:
            self.more += 1


@dataclass(frozen=True, slots=True)
class Verified:
    """What verify needs to know of a service."""

    source: str
    kinds: Mapping[str, Kind]
    contract: Contract
    contracts: Mapping[str, Contract]
    partitions: int = 12
    topic_prefix: str = ""


async def verify(service: Verified, dsn: str, bootstrap: str, progress: Callable[[str, int, int], None] = lambda *_: None) -> Report:
    """Read everything and compare. progress(what, done, all). Raises ConnectionError and asyncpg's errors."""
    return await _Check(service, progress).run(dsn, bootstrap)


class _Check:
    def __init__(self, service: Verified, progress: Callable[[str, int, int], None]) -> None:
        self._service = service
        self._topics = Topics(service.topic_prefix)
        self._progress = progress
        self._states = States(service.kinds, service.partitions)
        self._reader = Reader(service.source, service.kinds, service.contracts, service.partitions)
        self._report = Report(service.source)
        self._publishes = {self._topics(fact.topic) for fact in service.contract.by_type.values()} - {self._topics.lifecycle}
        self._hashes: dict[tuple[str, int], tuple[bytes, bool, str]] = {}  # journal: hash, relayed, topic
        self._done: dict[str, Any] = {}
        self._sealed: dict[tuple[str, str], bytes] = {}  # ciphertexts that the facts have, by subject and reference: their digests
        self._entries: dict[tuple[str, str, int, str, int], bytes] = {}  # of the lists, by place: their digests
        self._rebuild = f"Make the state anew from the log: redress rebuild {service.source}"
        self._unknown: dict[tuple[str, int], str] = {}  # on the log, and not in the journal's snapshot

    async def run(self, dsn: str, bootstrap: str) -> Report:
        connection = await asyncpg.connect(dsn)
        try:
            live = await one(connection, "SELECT schema FROM public.live")
            await connection.execute(f"SET search_path = {live['schema']}, public")
            # One snapshot of journal, offsets and state; the log only grows.
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await self._journal(connection)
                offsets = await connection.fetch("SELECT topic, partition, next FROM consumer_offsets")
                read = {TopicPartition(row["topic"], row["partition"]): row["next"] for row in offsets}
                skips = {(row["topic"], row["partition"], row["offset"], row["hash"]) for row in await connection.fetch(SKIPPED)}
                self._report.set_aside = await connection.fetchval("SELECT count(*) FROM set_aside")
                foldings = await self._log(bootstrap, read, skips)
                await self._compare(connection, foldings, skips)
            await self._look_for_unknown(connection)
        finally:
            await connection.close()
        return self._report

    async def _journal(self, connection: asyncpg.Connection) -> None:
        checkpoint = await one(connection, "SELECT transaction_id::text AS transaction_id, global_position FROM relay_checkpoint")
        count = await connection.fetchval("SELECT count(*) FROM events")
        ends: dict[str, tuple[int, bytes]] = {}  # of the streams of one identity
        identity = ""
        async for row in connection.cursor(JOURNAL, checkpoint["transaction_id"], checkpoint["global_position"], prefetch=CHUNK):
            stream = row["stream"]
            if stream.partition("/")[2] != identity:
                identity, ends = stream.partition("/")[2], {}
            last, lasthash = ends.get(stream, (0, GENESIS))
            which = f"{stream} version {row['version']}"
            self._report.journal_facts += 1
            self._report.types[row["type"]] = self._report.types.get(row["type"], 0) + 1
            self._report.waiting += not row["relayed"]
            if self._report.journal_facts % CHUNK == 0:
                self._progress("journal", self._report.journal_facts, count)
            if row["version"] != last + 1:
                self._report.differs("journal", which, f"version {last + 1} is missing", RESTORE)
            if row["prevhash"] != lasthash:
                self._report.differs("journal", which, "is not chained to the version before", RESTORE)
            if chain(row["prevhash"], row["data"]) != row["hash"]:
                self._report.differs("journal", which, "was changed: its hash is not that of its bytes", RESTORE)
            ends[stream] = (row["version"], row["hash"])
            self._hashes[stream, row["version"]] = (row["hash"], row["relayed"], row["topic"])
            self._did(which, identity, row)
        self._progress("journal", count, count)

    def _did(self, which: str, identity: str, row: asyncpg.Record) -> None:
        """Own facts of all streams fold into the subject that they were decided on, in the order of their decisions."""
        try:
            envelope = decode(row["data"])
            fact_type = self._service.contract.by_type[row["type"]]
            subject = f"{fact_type.decided_on}/{identity}"
            codec = self._states.codec(subject)
            fact, sealed = as_folded(fact_type, envelope)
            self._expect(subject, sealed)
            blobs = [blob for _, blob in sealed]
            entry = entries.row_of(codec.kind, fact, envelope.source, envelope.version, envelope.time, blobs)
            self._expect_entries(subject, [entry] if entry else [])
            done = self._done[subject] if subject in self._done else codec.kind.facets[1]()
            self._done[subject] = codec.kind.did(done, fact, envelope.time)
        except (ValueError, KeyError) as error:
            self._report.differs("journal", which, f"cannot be folded: {type(error).__name__}", RESTORE)

    async def _log(self, bootstrap: str, read: Mapping[TopicPartition, int], skips: set[tuple[str, int, int, bytes]]) -> dict[str, Folding]:
        foldings: dict[str, Folding] = {}
        seen: dict[tuple[str, int], bytes] = {}
        last: dict[str, int] = {}
        async for record in self._records(bootstrap):
            judged = self._reader.judge(record)
            own = self._own(record, judged)
            skipped = (record.topic, record.partition, record.offset, record.hash) in skips
            if own is not None and not skipped:
                stream, version = own
                self._report.log_records += 1
                self._look_at_own(record, stream, version, seen, last)
            place = TopicPartition(record.topic, record.partition)
            if record.topic != self._topics.lifecycle or record.offset >= read.get(place, 0) or isinstance(judged, Apart):
                continue
            folding = foldings.get(judged.subject)
            if folding is None:
                codec = self._states.codec(judged.subject)
                folding = foldings[judged.subject] = Folding(judged.subject, record.partition, codec, codec.kind.facets[0](), {})
            if own is None:
                folding.take(judged, skipped)
            elif isinstance(judged, Read) and not skipped:
                folding.compare(
                    judged, {key: value[0] for key in ((judged.subject, judged.envelope.version),) if (value := self._hashes.get(key))}
                )
        for (stream, version), (_, relayed, _) in self._hashes.items():
            if relayed and (stream, version) not in seen:
                self._report.lost += 1
                self._report.differs("log", f"{stream} version {version}", "is missing on the log", "redress restore-log")
        return foldings

    def _own(self, record: Record, judged: Apart | Unfit | Read) -> tuple[str, int] | None:
        """Stream and version of a fact of this service, on whichever topic."""
        if record.topic != self._topics.lifecycle:
            return self._public(record)
        if isinstance(judged, Read) and judged.envelope.source == self._service.source:
            return judged.subject, judged.envelope.version
        return None

    def _public(self, record: Record) -> tuple[str, int] | None:
        """Stream and version of a public record. Nobody reads that topic but strangers, so its one writer tells what is not his."""
        if record.topic not in self._publishes:
            return None
        try:
            envelope = decode(record.value or b"")
            fact_type = self._service.contract.by_type.get(envelope.type)
            true = chain(record.headers.get("prevhash", b""), record.value or b"") == record.headers.get("hash")
        except ValueError:
            fact_type, true = None, False
        if true and fact_type and self._topics(fact_type.topic) == record.topic and record.key == envelope.subject.encode():
            return envelope.subject, envelope.version
        which = f"{record.topic}/{record.partition} offset {record.offset}"
        self._report.differs("log", which, f"is no public record of {self._service.source}", FORGED)
        return None

    def _look_at_own(self, record: Record, stream: str, version: int, seen: dict[tuple[str, int], bytes], last: dict[str, int]) -> None:
        which = f"{record.topic}/{record.partition} offset {record.offset} ({stream} version {version})"
        known = self._hashes.get((stream, version))
        before = seen.get((stream, version))
        if before == record.hash:
            self._report.duplicates += 1
            return
        if before is not None:
            self._report.doubled += 1
        seen.setdefault((stream, version), record.hash)
        if known is not None and known[0] != record.hash:
            self._report.differs("log", which, "is another fact than the journal has under this version", FORGED)
        elif known is None:
            self._unknown[stream, version] = which
        if version != last.get(stream, 0) + 1:
            self._report.differs("log", which, f"came before version {last.get(stream, 0) + 1}", FORGED)
        last[stream] = version

    async def _look_for_unknown(self, connection: asyncpg.Connection) -> None:
        """What the log has beyond the snapshot was appended since, or the journal never had it."""
        keys = list(self._unknown)
        rows = await connection.fetch(JOURNAL_HAS, [stream for stream, _ in keys], [version for _, version in keys])
        for stream, version in set(keys) - {(row["stream"], row["version"]) for row in rows}:
            self._report.differs("log", self._unknown[stream, version], "is not in the journal", FORGED)

    async def _records(self, bootstrap: str) -> AsyncIterator[Record]:
        """Every record of the lifecycle and the public topics, from the first to the end as of now."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=5_000
        )
        try:
            await consumer.start()
            places = [TopicPartition(self._topics(topic), n) for topic in (LIFECYCLE, CLOSED) for n in range(self._service.partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            starts = await consumer.beginning_offsets(places)
            for place in places:
                consumer.seek(place, starts[place])
            everything, done = sum(ends.values()) - sum(starts.values()), 0
            left = {place: starts[place] for place in places if ends[place] > starts[place]}
            while left:
                for place, records in (await poll(consumer, left, 1_000, 5_000)).items():
                    for record in records:
                        if record.offset < ends[place] and not record.mark:
                            done += 1
                            yield record
                    left[place] = records[-1].offset + 1
                    if left[place] >= ends[place]:
                        del left[place]
                self._progress("log", done, everything)
        finally:
            await close(consumer)

    async def _compare(self, connection: asyncpg.Connection, foldings: dict[str, Folding], skips: set[tuple[str, int, int, bytes]]) -> None:
        count = await connection.fetchval("SELECT count(*) FROM state")
        rows = 0
        async for row in connection.cursor(ROWS, prefetch=CHUNK):
            rows += 1
            if rows % CHUNK == 0:
                self._progress("state", rows, count)
            subject = row["subject"]
            codec = self._states.codec(subject)
            folding = foldings.pop(subject, None) or Folding(subject, 0, codec, codec.kind.facets[0](), {})
            self._report.parked += row["parked"]
            if folding.parked and not row["parked"]:  # it was redriven since
                items = [(one, self._reader.judge(one.record), self._skipped(one.record, skips)) for one in folding.waiting]
                foreign = [
                    (parked, item, skipped) for parked, item, skipped in items if not isinstance(item, Apart) and not self._is_own(item)
                ]
                folding.waiting = []
                redriven(folding, foreign)
            if folding.parked != row["parked"]:
                self._report.differs("state", subject, f"parked is {row['parked']}, by the log it is {folding.parked}", self._rebuild)
            if codec.dump_heard(folding.heard) != codec.dump_heard(codec.load_heard(row["heard"])):
                self._report.differs("state", subject, "heard is not the fold of the log", self._rebuild)
            if folding.read != orjson.loads(row["read"]):
                self._report.differs("state", subject, "the versions read are not those of the log", self._rebuild)
            self._expect(subject, folding.sealed)
            self._expect_entries(subject, folding.entries)
            done = self._done.pop(subject, None) or codec.kind.facets[1]()
            if codec.dump_done(done) != codec.dump_done(codec.load_done(row["done"])):
                self._report.differs("state", subject, "done is not the fold of the journal", self._rebuild)
        for subject, folding in foldings.items():  # those without a row
            self._expect(subject, folding.sealed)
            self._expect_entries(subject, folding.entries)
        await self._compare_sealed(connection)
        await self._compare_entries(connection)
        self._report.states = rows
        for subject in [*(each for each, folding in foldings.items() if folding.touched), *self._done]:
            self._report.differs("state", subject, "has facts and no row", self._rebuild)
        self._progress("state", count, count)

    def _expect(self, subject: str, sealed: Iterable[tuple[str, bytes]]) -> None:
        self._sealed.update(((subject, ref), sha256(blob).digest()) for ref, blob in sealed)

    def _expect_entries(self, subject: str, rows: Iterable[entries.Row]) -> None:
        for name, source, version, at, data, size in rows:
            self._entries[subject, name, at, source, version] = sha256(f"{size} {data}".encode()).digest()

    async def _compare_entries(self, connection: asyncpg.Connection) -> None:
        async for row in connection.cursor(ENTRIES, prefetch=CHUNK):
            which = f"{row['subject']} {row['list']} {row['source']} {row['version']}"
            digest = self._entries.pop((row["subject"], row["list"], row["at"], row["source"], row["version"]), None)
            data = orjson.dumps(orjson.loads(row["data"]), option=orjson.OPT_SORT_KEYS)
            if digest != sha256(b"%d %b" % (row["size"], data)).digest():
                what = "is an entry of no fact" if digest is None else "is another entry than its fact's"
                self._report.differs("state", which, what, self._rebuild)
        for subject, name, _, source, version in self._entries:
            self._report.differs("state", f"{subject} {name} {source} {version}", "has no entry", self._rebuild)

    async def _compare_sealed(self, connection: asyncpg.Connection) -> None:
        async for row in connection.cursor(SEALED, prefetch=CHUNK):
            digest = self._sealed.pop((row["subject"], row["ref"]), None)
            if digest != row["digest"]:
                what = "is sealed for no fact" if digest is None else "is not the ciphertext that its fact has"
                self._report.differs("state", f"{row['subject']} {row['ref']}", what, self._rebuild)
        for subject, ref in self._sealed:
            self._report.differs("state", f"{subject} {ref}", "has no ciphertext", self._rebuild)

    def _is_own(self, item: Read | Unfit) -> bool:
        return isinstance(item, Read) and item.envelope.source == self._service.source

    def _skipped(self, record: Record, skips: set[tuple[str, int, int, bytes]]) -> bool:
        return (record.topic, record.partition, record.offset, record.hash) in skips


RESTORE = "Nobody may change a journal. Its bytes are on the log: put them back, or restore a backup. Rebuild nothing until then."
FORGED = "If the journal lost it: redress adopt, and skip nothing before. If somebody else wrote it, close the topic to them, then skip."
