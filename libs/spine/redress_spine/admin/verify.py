"""Compares log, journal and state of one service, and says which record differs, where, and what to do.

journal: chains are gapless and true. log: it begins at its first record, every relayed event is there, first copies in order, none that the
journal does not know. state: `observed` is the fold of the log up to the stored offsets, `own` the fold of the journal.

One partition is in memory at a time: journal and state are read once and split on disk, the log is kept by partitions anyway. Longer than
most: all three walk the same partition at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import asyncpg
import orjson
from aiokafka import TopicPartition

from redress_events.vocabulary import LIFECYCLE
from redress_spine.admin.filling import evolve, subject_of
from redress_spine.admin.key_check import NEEDED, KeyCheck
from redress_spine.aggregate import Table, Verified
from redress_spine.messaging.envelope import GENESIS, chain, decode
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.positions import Position, position_of
from redress_spine.messaging.records import UNREADABLE, DeadLetter, DecodedRecord, Elsewhere, Reader, Record, RejectedRecord
from redress_spine.messaging.relay import close
from redress_spine.messaging.spool import Spool
from redress_spine.messaging.topics import Topics
from redress_spine.messaging.whole_log import RESTORE_LOG, Bounds, ahead, bounds, reader
from redress_spine.processing.projections import Facets, NotProjected, counted, rows_of, tables
from redress_spine.processing.projector import JOURNAL as JOURNAL_HAS
from redress_spine.processing.replay import Replay
from redress_spine.processing.skips import Skips, load_skips, skip_of
from redress_spine.store import connections, entries
from redress_spine.store.errors import LogTruncated, MasterKeyAway
from redress_spine.store.fold import Folding, RecordPlace
from redress_spine.store.forgetting import proof_of
from redress_spine.store.keyring import Keyring
from redress_spine.store.lookups import DESTROYED, OF_FORGOTTEN, Lookups
from redress_spine.store.master_keys import root_of
from redress_spine.store.states import Codec, States, one
from redress_spine.store.vault import Vault

CHUNK = 1_000
# Each is read once, in whatever order it stands.
JOURNAL = """
SELECT global_position, stream, version, topic, type, prevhash, hash, data, partition,
       (transaction_id, global_position) <= ($1::text::xid8, $2::bigint) AS relayed
FROM events
"""
ROWS = "SELECT subject, partition, revision, parked, read, observed, own FROM state"
ENTRIES = "SELECT subject, list, at, source, version, data, size FROM entries"
SEALED = "SELECT subject, ref, sha256(ciphertext) FROM sealed"
COUNTS = "SELECT name, key, n FROM counts WHERE n <> 0"
LOOKED_UP = "SELECT subject, digest, place FROM lookups"
PARKED = 'SELECT subject, topic, partition, "offset" FROM parked'
DEAD_LETTERS = 'SELECT partition, "offset", reason FROM dead_letters WHERE topic = $1'
REVISIONS = "SELECT (count(*) + 1) << 32 FROM public.rebuilds"  # no schema that was begun has revisions from there on


@dataclass(frozen=True, slots=True)
class Difference:
    """where: journal, log, state or keys. which: stream and version, offset, or subject."""

    where: str
    which: str
    what: str
    advice: str


@dataclass(slots=True)
class VerifyReport:
    """Counts of what was compared, and what differs (the first `most` differences; `more` were not kept)."""

    service: str
    journal_events: int = 0
    log_records: int = 0
    duplicates: int = 0
    lost: int = 0
    doubled: int = 0  # versions that the log has twice with different bytes
    states: int = 0
    parked: int = 0
    dead_letters: int = 0
    waiting: int = 0  # events not yet relayed
    keys: int | None = None  # None: they were not compared, for the master key was not given
    forgotten: int | None = None  # of them those that are destroyed, with their proof; as keys
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


async def verify(
    service: Verified,
    dsn: str,
    kafka: KafkaClients | str,
    progress: Callable[[str, int, int], None] = lambda *_: None,
    master: Keyring | bytes | None = None,
) -> VerifyReport:
    """Read everything and compare. progress(what, done, all). master: the master keys; without them keys are not compared.

    Needs room for journal and state in the folder for temporary files. Raises ConnectionError and asyncpg's errors.
    """
    return await _Check(service, progress, master).run(dsn, kafka)


@dataclass(slots=True)
class _ComparedPartition:
    """What is known of one partition: of the journal by stream and version, of the log, and what the state should be."""

    hashes: dict[str, dict[int, bytes]] = field(default_factory=dict)
    unsent: set[tuple[str, int]] = field(default_factory=set)
    seen: dict[str, dict[int, bytes]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    sealed: dict[tuple[str, str], bytes] = field(default_factory=dict)  # digests of the ciphertexts that the events have
    found: list[tuple[str, str, bytes]] = field(default_factory=list)  # the ciphertexts of what a subject is found by
    shown: dict[Table, dict[tuple[Any, ...], tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(dict))  # rows by subject and key
    entries: dict[tuple[str, str, int, str, int], bytes] = field(default_factory=dict)  # of the lists, by place: their digests
    replays: dict[str, Replay] = field(default_factory=dict)
    stay: dict[str, set[RecordPlace]] = field(default_factory=dict)  # what waits, by subject
    aside: dict[int, str] = field(default_factory=dict)  # why what stands at these offsets was set aside
    gone: str = ""  # what its log lacks: then nothing can be said of what was folded from it


class _Check:
    def __init__(self, service: Verified, progress: Callable[[str, int, int], None], master: Keyring | bytes | None) -> None:
        self._service = service
        self._topics = Topics(service.topic_prefix)
        self._progress = progress
        self._states = States(service.aggregates, service.partitions)
        self._reader = Reader(service.source, service.aggregates, service.contracts, service.partitions, service.mac)
        self._report = VerifyReport(service.source)
        self._publishes = {self._topics(event.topic) for event in service.contract.by_type.values()} - {self._topics.lifecycle}
        self._journal, self._public, self._rows, self._sealed, self._entries, self._parked, self._aside, self._found = [
            Spool() for _ in range(8)
        ]
        self._shown = {table: Spool() for table in tables(service.aggregates.values())}
        self._spools = (
            self._journal,
            self._public,
            self._rows,
            self._sealed,
            self._entries,
            self._parked,
            self._aside,
            self._found,
            *self._shown.values(),
        )
        self._master = master
        self._lookups = Lookups(self._states, master) if master is not None else None
        self._counts: Counter[tuple[str, str]] = Counter()  # as they are, less what they should be
        self._read: dict[TopicPartition, Position] = {}  # the live state's
        self._topic_id: str | None = None  # of the lifecycle topic as it is now
        self._keys: KeyCheck | None = None
        if master is not None:
            vault = Vault(master, _never, _never, service.mac)
            self._keys = KeyCheck(self._reader, self._topics.keys, vault, self._states.partition, service.partitions, self._report.differs)
        self._skips: Skips = {}
        self._revisions = 0
        self._log_done = self._log_all = 0
        self._rebuild = f"Rebuild the state from the log: redress rebuild {service.source}"
        # On the log, and not among the journal's events of this partition: CHUNK and what is polled at a time, at most.
        self._unknown: dict[tuple[str, int, bytes], str] = {}

    async def run(self, dsn: str, kafka: KafkaClients | str) -> VerifyReport:
        connection, consumer = await connections.connect(dsn), reader(kafka)
        try:
            await consumer.start()
            live = await one(connection, "SELECT schema FROM public.live")
            await connection.execute(f"SET search_path = {live['schema']}, public")
            # One snapshot of journal, offsets and state, let go once it is split: the log only grows.
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await self._split(connection)
            await self._look_for_master_keys(connection)
            places = [TopicPartition(topic, n) for topic in (self._topics.lifecycle, *sorted(self._publishes)) for n in self._partitions]
            log = await bounds(consumer, places)
            self._topic_id = await self._topic(kafka)
            self._log_all = sum(end - start for start, end in log.values())
            if any(self._amiss(place, *log[place]) for place in places):
                self._rebuild = RESTORE_LOG
            for n in self._partitions:
                await self._partition(connection, consumer, n, log)
            await self._look_for_unknown(connection)
            for (name, key), n in self._counts.items():
                if n:
                    self._report.differs("state", f"{name} {key}", f"counts {abs(n)} too {'many' if n > 0 else 'few'}", self._rebuild)
            if self._keys is not None:
                await self._keys.compare(connection, consumer)
            self._progress("log", self._log_all, self._log_all)
        finally:
            await close(consumer)
            await connection.close()
            for spool in self._spools:
                spool.close()
            if self._keys is not None:
                self._keys.close()
        return self._report

    async def _look_for_master_keys(self, connection: asyncpg.Connection) -> None:
        """Digests are compared where what they are derived from can be had."""
        if self._master is None:
            return
        try:
            await root_of(connection, Keyring.of(self._master))
        except MasterKeyAway as error:
            self._report.differs("keys", self._service.source, f"cannot be opened. {error}".rstrip("."), NEEDED)
            self._lookups = None

    @property
    def _partitions(self) -> range:
        return range(self._service.partitions)

    async def _split(self, connection: asyncpg.Connection) -> None:
        """Journal, state and what belongs to it, by the partition of the subject, whatever partition they are stored with."""
        checkpoint = await one(connection, "SELECT transaction_id::text AS transaction_id, global_position FROM relay_checkpoint")
        count = await connection.fetchval("SELECT count(*) FROM events")
        async for row in connection.cursor(JOURNAL, checkpoint["transaction_id"], checkpoint["global_position"], prefetch=CHUNK):
            self._report.journal_events += 1
            self._put_event(row)
            if self._report.journal_events % CHUNK == 0:
                self._progress("journal", self._report.journal_events, max(count, self._report.journal_events))
        self._progress("journal", count, count)
        async for row in connection.cursor(ROWS, prefetch=CHUNK):
            self._report.states += 1
            self._rows.put(self._states.partition(row["subject"]), tuple(row))
        shown = [(spool, f"SELECT {', '.join(('subject', *table.columns))} FROM {table.name}") for table, spool in self._shown.items()]
        plain = (self._sealed, SEALED), (self._entries, ENTRIES), (self._parked, PARKED), (self._found, LOOKED_UP)
        for spool, query in (*plain, *shown):
            async for row in connection.cursor(query, prefetch=CHUNK):
                spool.put(self._states.partition(row["subject"]), tuple(row))
        async for row in connection.cursor(DEAD_LETTERS, self._topics.lifecycle, prefetch=CHUNK):
            if row["partition"] in self._partitions:
                self._aside.put(row["partition"], (row["offset"], row["reason"]))
        rows = await connection.fetch("SELECT * FROM consumer_offsets WHERE topic = $1", self._topics.lifecycle)
        self._read = {TopicPartition(row["topic"], row["partition"]): position_of(row) for row in rows}
        self._counts.update({(row["name"], row["key"]): row["n"] for row in await connection.fetch(COUNTS)})
        for row in await connection.fetch(OF_FORGOTTEN):
            self._report.differs("state", row["subject"], "is found by what was forgotten", self._rebuild)
        if self._keys is not None:
            self._report.keys, self._report.forgotten = await self._keys.split(connection)
        self._skips = await load_skips(connection)
        self._revisions = await connection.fetchval(REVISIONS)
        self._report.dead_letters = await connection.fetchval("SELECT count(*) FROM dead_letters")

    def _put_event(self, row: asyncpg.Record) -> None:
        position, stream, version, topic, type, prevhash, digest, data, stored, relayed = row
        self._report.types[type] = self._report.types.get(type, 0) + 1
        self._report.waiting += not relayed
        known = type in self._service.contract.by_type
        partition = self._states.partition(subject_of(self._service.contract, stream, type) if known else stream)
        self._journal.put(partition, (position, stream, version, type, prevhash, digest, data, relayed))
        if self._topics(topic) != self._topics.lifecycle:
            self._public.put(self._states.partition(stream), (stream, version, digest, relayed))
        if stored != partition:
            self._report.differs(
                "journal",
                f"{stream} version {version}",
                f"is stored with partition {stored}, its subject belongs into {partition}",
                f"A rebuild fixes that too: redress rebuild {self._service.source}",
            )

    async def _topic(self, kafka: KafkaClients | str) -> str | None:
        log_end = LogEnd(self._service.source, kafka)
        try:
            topic = (await log_end.topics([self._topics.lifecycle])).topics.get(self._topics.lifecycle)
            return topic.id if topic else None
        finally:
            await log_end.stop()

    def _amiss(self, place: TopicPartition, start: int, end: int) -> str:
        """Why this partition is not the whole log that was read."""
        read = self._read.get(place, Position(0, 0))
        if start > 0:
            return f"begins at offset {start} and not at 0"
        if end < read.next:
            return f"ends at offset {end}, though it was read up to {read.next}"
        if read.topic_id not in (None, self._topic_id):
            return "is not the topic that was read: that one was deleted, and this one created later"
        return ""

    async def _partition(self, connection: asyncpg.Connection, consumer: Consumer, n: int, log: Bounds) -> None:
        for topic in sorted(self._publishes):
            public = _ComparedPartition()
            for stream, version, digest, relayed in self._public.rows(n):
                _note(public, stream, version, digest, relayed)
            await self._walk(connection, consumer, TopicPartition(topic, n), log, public)
        part = _ComparedPartition()
        self._walk_journal(n, part)
        await self._compare_lookups(connection, n, part)
        for subject, *place in self._parked.rows(n):
            part.stay.setdefault(subject, set()).add(tuple(place))
        part.aside = dict(self._aside.rows(n))
        place = TopicPartition(self._topics.lifecycle, n)
        await self._walk(connection, consumer, place, log, part)
        if not part.gone:
            for offset in part.aside:
                which = f"{place.topic}/{n} offset {offset}"
                self._report.differs("state", which, "is set aside, and the log has nothing to set aside there", self._rebuild)
        elif self._keys is not None:
            self._keys.whole = False
        await self._compare(connection, n, part)

    def _walk_journal(self, n: int, part: _ComparedPartition) -> None:
        """Own events of all streams fold into the subject that they were decided on, in the order of their decisions."""
        ends: dict[str, tuple[int, bytes]] = {}
        rows = sorted(self._journal.rows(n), reverse=True)  # taken from the end, so that each is let go at once
        while rows:
            _, stream, version, type, prevhash, digest, data, relayed = rows.pop()
            last, lasthash = ends.get(stream, (0, GENESIS))
            which = f"{stream} version {version}"
            if version != last + 1:
                self._report.differs("journal", which, f"version {last + 1} is missing", RESTORE)
            if prevhash != lasthash:
                self._report.differs("journal", which, "is not chained to the version before", RESTORE)
            if chain(prevhash, data) != digest:
                self._report.differs("journal", which, "was changed: its hash is not that of its bytes", RESTORE)
            ends[stream] = (version, digest)
            if type not in self._service.contract.by_type or self._service.contract.by_type[type].topic == LIFECYCLE:
                _note(part, stream, version, digest, relayed)
            try:
                sealed: list[tuple[str, str, bytes]] = []
                entered: list[tuple[str, *entries.EntryRow]] = []
                subject, proof = evolve(self._service.contract, self._states, (stream, type, data), part.own, sealed, entered)
                if self._keys is not None and proof is not None:
                    self._keys.forgotten(subject, proof, read=True)
                part.sealed.update(((subject, ref), sha256(blob).digest()) for subject, ref, blob in sealed)
                part.found += [each for each in sealed if each[1].rpartition("/")[2] in self._states.codec(each[0]).aggregate.lookups]
                _expect_entries(part, entered)
            except (ValueError, KeyError) as error:
                self._report.differs("journal", which, f"cannot be folded: {error.__class__.__name__}", RESTORE)

    async def _walk(
        self, connection: asyncpg.Connection, consumer: Consumer, place: TopicPartition, log: Bounds, part: _ComparedPartition
    ) -> None:
        """One partition of a topic: own events against the journal; on the lifecycle what the state has read is folded too."""
        start, end = log[place]
        read = self._read.get(place, Position(0, 0))
        part.gone = self._amiss(place, start, end)
        try:
            async for records in ahead(consumer, place, start, end):
                for record in records:
                    if not record.mark:
                        self._look_at(record, part, read)
                if len(self._unknown) >= CHUNK:
                    await self._look_for_unknown(connection)
                self._log_done += len(records)
                self._progress("log", min(self._log_done, self._log_all), self._log_all)
        except LogTruncated as error:
            part.gone = f"was cut while it was read: {error}"
        lost = 0
        for stream, versions in part.hashes.items():
            seen = part.seen.get(stream, {})
            for version in versions.keys() - seen.keys():
                if (stream, version) in part.unsent:
                    continue
                lost += 1
                if not part.gone:
                    self._report.differs("log", f"{stream} version {version}", "is missing on the log", "redress restore-log")
        self._report.lost += lost
        if part.gone:
            which = f"{place.topic}/{place.partition}"
            self._report.differs("log", which, f"{part.gone}: {lost} events of {self._service.source} are no longer on it", RESTORE_LOG)

    def _look_at(self, record: Record, part: _ComparedPartition, read: Position) -> None:
        judged = self._reader.judge(record)
        own = self._own(record, judged)
        skip = skip_of(self._skips, record)
        if own is not None and skip is None:
            self._report.log_records += 1
            self._look_at_own(record, *own, part)
        if isinstance(judged, DecodedRecord) and skip is None and (proof := proof_of(judged.event)) is not None and self._keys is not None:
            self._keys.forgotten(judged.subject, proof, read=record.offset < read.next)
        if read.last is not None and record.offset == read.last.offset and record.hash != read.last.hash and not part.gone:
            part.gone = f"has at offset {record.offset} another record than was read there"
        if record.topic != self._topics.lifecycle or record.offset >= read.next or isinstance(judged, Elsewhere) or part.gone:
            return
        aside = part.aside.pop(record.offset, None)
        if isinstance(judged, DeadLetter):
            if (skip is None) != (aside is not None):
                what = "belongs to no subject, and was not set aside" if aside is None else "is set aside, though it was skipped"
                self._report.differs("state", f"{record.topic}/{record.partition} offset {record.offset}", what, self._rebuild)
            return
        if aside is not None:  # until it is redriven, the state knows nothing of it
            advice = self._rebuild if aside == UNREADABLE else f"redress redrive {self._service.source} --set-aside"
            which = f"{record.topic}/{record.partition} offset {record.offset}"
            self._report.differs("state", which, f"was set aside ({aside}), and this release can read it", advice)
            return
        replay = part.replays.get(judged.subject)
        if replay is None:
            codec = self._states.codec(judged.subject)
            folding = Folding(judged.subject, record.partition, codec, codec.aggregate.facets[0](), {})
            replay = part.replays[judged.subject] = Replay(folding, part.stay.get(judged.subject, frozenset()))
        if own is None:
            replay.take(judged, skip)
        elif isinstance(judged, DecodedRecord) and skip is None:
            version = judged.envelope.version
            known = part.hashes.get(judged.subject, {}).get(version)
            replay.compare(judged, {} if known is None else {(judged.subject, version): known})

    def _own(self, record: Record, judged: DeadLetter | Elsewhere | RejectedRecord | DecodedRecord) -> tuple[str, int] | None:
        """Stream and version of an event of this service, on whichever topic."""
        if record.topic != self._topics.lifecycle:
            return self._public_record(record)
        if isinstance(judged, DecodedRecord) and judged.envelope.source == self._service.source:
            return judged.subject, judged.envelope.version
        return None

    def _public_record(self, record: Record) -> tuple[str, int] | None:
        """Stream and version of a public record. Nobody reads that topic but strangers, so its one writer tells what is not its own, or
        not signed by it."""
        try:
            envelope = decode(record.value or b"")
            event_type = self._service.contract.by_type.get(envelope.type)
            true = chain(record.headers.get("prevhash", b""), record.value or b"") == record.headers.get("hash")
        except ValueError:
            event_type, true = None, False
        true = true and self._reader.signer(record, record.chained) == self._service.source
        if true and event_type and self._topics(event_type.topic) == record.topic and record.key == envelope.subject.encode():
            return envelope.subject, envelope.version
        which = f"{record.topic}/{record.partition} offset {record.offset}"
        self._report.differs("log", which, f"is not a public record of {self._service.source}", FORGED)
        return None

    def _look_at_own(self, record: Record, stream: str, version: int, part: _ComparedPartition) -> None:
        which = f"{record.topic}/{record.partition} offset {record.offset} ({stream} version {version})"
        known = part.hashes.get(stream, {}).get(version)
        seen = part.seen.setdefault(stream, {})
        before = seen.get(version)
        if before == record.hash:
            self._report.duplicates += 1
            return
        if before is not None:
            self._report.doubled += 1
        seen.setdefault(version, known if known == record.hash else record.hash)
        if known is None:
            self._unknown[stream, version, record.hash] = which
        elif known != record.hash:
            self._report.differs("log", which, ANOTHER, FORGED)
        expected = part.last.get(stream, version - 1 if part.gone else 0) + 1
        if version != expected:
            self._report.differs("log", which, f"came before version {expected}", FORGED)
        part.last[stream] = version

    async def _look_for_unknown(self, connection: asyncpg.Connection) -> None:
        """What the log has beyond the snapshot was appended since, or stands in a wrong partition, or the journal never had it."""
        keys = list(self._unknown)
        rows = await connection.fetch(JOURNAL_HAS, [stream for stream, _, _ in keys], [version for _, version, _ in keys])
        journal = {(row["stream"], row["version"]): row["hash"] for row in rows}
        for (stream, version, digest), which in self._unknown.items():
            if (known := journal.get((stream, version))) is None:
                self._report.differs("log", which, "is not in the journal", FORGED)
            elif known != digest:
                self._report.differs("log", which, ANOTHER, FORGED)
        self._unknown.clear()

    async def _compare(self, connection: asyncpg.Connection, n: int, part: _ComparedPartition) -> None:
        """The state's rows of one partition with what they should be."""
        for subject, partition, revision, parked, read, observed, own in self._rows.rows(n):
            codec = self._states.codec(subject)
            self._report.parked += parked
            if partition != n:
                self._report.differs("state", subject, f"is stored with partition {partition}, it belongs into {n}", self._rebuild)
            if not 0 < revision < self._revisions:
                self._report.differs("state", subject, f"has the revision {revision}, which no schema gives", self._rebuild)
            replay = part.replays.pop(subject, None) or self._replay(subject, n, part)
            if not part.gone:
                self._compare_observed(subject, replay, codec, part, (parked, read, observed))
            expected = part.own.pop(subject, None) or codec.aggregate.facets[1]()
            if codec.dump_own(expected) != codec.dump_own(codec.load_own(own)):
                self._report.differs("state", subject, "own is not the fold of the journal", self._rebuild)
            self._expect_shown(part, subject, (codec.load_observed(observed), codec.load_own(own)))
        for subject, replay in part.replays.items():  # those without a row
            self._expect(part, subject, replay)
        await self._compare_sealed(connection, n, part)
        self._compare_entries(n, part)
        self._compare_shown(n, part)
        for subject in [*(subject for subject, replay in part.replays.items() if replay.folding.touched), *part.own]:
            self._report.differs("state", subject, "has events and no row", self._rebuild)
        self._progress("state", n + 1, self._service.partitions)

    def _replay(self, subject: str, partition: int, part: _ComparedPartition) -> Replay:
        codec = self._states.codec(subject)
        return Replay(Folding(subject, partition, codec, codec.aggregate.facets[0](), {}), part.stay.get(subject, frozenset()))

    def _compare_observed(self, subject: str, replay: Replay, codec: Codec, part: _ComparedPartition, row: tuple[bool, str, str]) -> None:
        parked, read, observed = row
        replay.settle(self._service.source, _of_subject(part, subject))
        folding = replay.folding
        if folding.parked != parked:
            self._report.differs("state", subject, f"parked is {parked}, by the log it is {folding.parked}", self._rebuild)
        elif replay.strange:
            topic, partition, offset = min(replay.strange)
            what = f"waits for other records than by the log: the first is {topic}/{partition} offset {offset}"
            self._report.differs("state", subject, what, self._rebuild)
        elif replay.foldable is not None:
            record = replay.foldable
            what = f"is parked at {record.topic}/{record.partition} offset {record.offset}, which can be folded"
            self._report.differs("state", subject, what, f"redress redrive {self._service.source} {subject}")
        if codec.dump_observed(folding.observed) != codec.dump_observed(codec.load_observed(observed)):
            self._report.differs("state", subject, "observed is not the fold of the log", self._rebuild)
        if folding.read != orjson.loads(read):
            self._report.differs("state", subject, "the versions read are not those of the log", self._rebuild)
        self._expect(part, subject, replay)

    def _expect(self, part: _ComparedPartition, subject: str, replay: Replay) -> None:
        part.sealed.update(((subject, ref), sha256(blob).digest()) for ref, blob in replay.folding.sealed)
        _expect_entries(part, [(subject, *row) for row in replay.folding.entries])

    async def _compare_lookups(self, connection: asyncpg.Connection, n: int, part: _ComparedPartition) -> None:
        """By what a subject is found, with what its ciphertexts open to. Who was forgotten since is found by nothing, rightly."""
        if self._lookups is None:
            return
        expected = await self._lookups.rows(connection, part.found)
        part.found = []
        stored = {tuple(row) for row in self._found.rows(n)}
        if differing := expected ^ stored:
            subjects = sorted({subject for subject, _, _ in differing})
            gone = {row["subject"] for row in await connection.fetch(DESTROYED, subjects)}
            for subject in subjects:
                if subject not in gone:
                    self._report.differs("state", subject, "is not found by exactly the values that it should be found by", self._rebuild)

    def _expect_shown(self, part: _ComparedPartition, subject: str, state: Facets) -> None:
        """Projections are those of the state as it is stored: that this is the fold of log and journal is compared beside."""
        kind = self._states.codec(subject).aggregate
        try:
            self._counts.subtract(counted(kind, state))
            for table, rows in rows_of(kind, state).items():
                part.shown[table].update({(subject, *key): row for key, row in rows.items()})
        except NotProjected as error:
            self._report.differs("state", subject, f"has no projection: {error}", self._rebuild)

    def _compare_shown(self, n: int, part: _ComparedPartition) -> None:
        for table, spool in self._shown.items():
            expected, places = part.shown[table], [list(table.columns).index(name) for name in table.key]
            for subject, *row in spool.rows(n):
                key = subject, *(row[place] for place in places)
                should = expected.pop(key, None)
                if should != tuple(row):
                    what = "is a row of no state" if should is None else "is another row than its state's"
                    self._report.differs("state", f"{' '.join(map(str, key))} in {table.name}", what, self._rebuild)
            for key in expected:
                self._report.differs("state", f"{' '.join(map(str, key))} in {table.name}", "has no row", self._rebuild)

    async def _compare_sealed(self, connection: asyncpg.Connection, n: int, part: _ComparedPartition) -> None:
        """Where the log is not whole, nothing is known of other services' ciphertexts and entries. Of who was forgotten none has to be
        there; what came since can be opened by nobody."""
        ours = f"{self._service.source}/"
        for subject, ref, stored in self._sealed.rows(n):
            digest = part.sealed.pop((subject, ref), None)
            if digest != stored and (not part.gone or ref.startswith(ours)):
                what = "is sealed for no event" if digest is None else "is not the ciphertext that its event has"
                self._report.differs("state", f"{subject} {ref}", what, self._rebuild)
        subjects = sorted({subject for subject, _ in part.sealed})
        gone = {row["subject"] for row in await connection.fetch(DESTROYED, subjects)} if subjects else set()
        for subject, ref in part.sealed:
            if subject not in gone:
                self._report.differs("state", f"{subject} {ref}", "has no ciphertext", self._rebuild)

    def _compare_entries(self, n: int, part: _ComparedPartition) -> None:
        for subject, name, at, source, version, text, size in self._entries.rows(n):
            digest = part.entries.pop((subject, name, at, source, version), None)
            data = orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
            if digest != sha256(b"%d %b" % (size, data)).digest() and (not part.gone or source == self._service.source):
                what = "is an entry of no event" if digest is None else "is another entry than its event's"
                self._report.differs("state", f"{subject} {name} {source} {version}", what, self._rebuild)
        for subject, name, _, source, version in part.entries:
            self._report.differs("state", f"{subject} {name} {source} {version}", "has no entry", self._rebuild)


def _note(part: _ComparedPartition, stream: str, version: int, digest: bytes, relayed: bool) -> None:
    part.hashes.setdefault(stream, {})[version] = digest
    if not relayed:
        part.unsent.add((stream, version))


def _expect_entries(part: _ComparedPartition, rows: Iterable[tuple[str, *entries.EntryRow]]) -> None:
    for subject, name, source, version, at, data, size in rows:
        part.entries[subject, name, at, source, version] = sha256(f"{size} {data}".encode()).digest()


def _of_subject(part: _ComparedPartition, subject: str) -> dict[tuple[str, int], bytes]:
    return {(subject, version): digest for version, digest in part.hashes.get(subject, {}).items()}


def _never() -> Any:
    raise AssertionError("Keys are compared, and nothing is opened.")


ANOTHER = "is another event than the journal has under this version"
RESTORE = "A journal must never change. Its bytes are on the log: put them back, or restore a backup. Rebuild nothing until then."
FORGED = "If the journal lost it: redress adopt, and skip nothing before. If somebody else wrote it, close the topic to them, then skip."
