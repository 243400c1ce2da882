"""A new state schema filled, partition by partition: `observed` from the log, `own` from the journal, folded in memory and copied.

A few partitions are held in memory at a time, and nobody searches them for cycles. `redress_spine.admin.filling_process` is where another
process fills some of them.

Longer than most: reading, folding and copying a partition, and what is kept of its records, are one thing.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import asyncpg
import orjson
from aiokafka import TopicPartition

from redress_events.event import Contract
from redress_spine.aggregate import Verified
from redress_spine.messaging.envelope import decode
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.positions import Anchor, Position
from redress_spine.messaging.records import DeadLetter, DecodedRecord, Elsewhere, Reader, Record, RejectedRecord, as_folded
from redress_spine.messaging.relay import close
from redress_spine.messaging.spool import Spool, unpacked
from redress_spine.messaging.whole_log import Bounds, ahead, reader
from redress_spine.processing.projections import COUNTED, LOOKUPS, Changes, changes
from redress_spine.processing.skips import Skips, skip_of
from redress_spine.store import connections, entries
from redress_spine.store.fold import Folding
from redress_spine.store.forgetting import proof_of
from redress_spine.store.keyring import Keyring
from redress_spine.store.lookups import Lookups
from redress_spine.store.saving import PARK, SEAL, STORE_DEAD_LETTERS, dead_letter_rows, parked_rows
from redress_spine.store.states import States
from redress_spine.store.vault import KeyRecord, Vault

Told = Callable[[int], None]
CHUNK = 1_000
FETCH = 4 * 1024 * 1024  # bytes asked for at a time: some 4,000 events, 0.1 s of folding
YIELD = 100  # records folded between two looks at the network; what they come to is checked together
# Everything below the watermark is visible for good. One pass, and no order: a partition's events are put in order when its turn comes.
JOURNAL = """
SELECT global_position, stream, version, type, hash, data, partition FROM events WHERE transaction_id < $1::text::xid8
"""
INDEXES = """
SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = $1 AND t.relname = ANY ($2::text[]) AND NOT i.indisprimary
"""
COLUMNS = ["subject", "partition", "revision", "decided", "parked", "read", "cause", "observed", "own"]


class NotStorable(Exception):
    """A fold came to what cannot be written as JSON."""


@dataclass(slots=True)
class FilledPartition:
    """One partition in memory: who observed what, who did what, and the hashes that own events are compared with."""

    foldings: dict[str, Folding] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    sealed: list[tuple[str, str, bytes]] = field(default_factory=list)
    entries: list[tuple[str, *entries.EntryRow]] = field(default_factory=list)
    hashes: dict[tuple[str, int], bytes] = field(default_factory=dict)
    unchecked: dict[str, list[Any]] | None = None  # by kind, what was observed since the last check; None: each is checked by itself
    dead_letters: list[DeadLetter] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)  # of what was sealed for these nothing is kept
    destroyed: dict[str, KeyRecord] = field(default_factory=dict)  # those that another service forgot: a backup may have their keys


@dataclass(slots=True)
class PartitionRead:
    """What is kept of a partition's records for the swap.

    anchor: the record that the live state has read last. following: from which offset on the live state had not read at the beginning.
    another_log: another record stands at the anchor's offset. late: offsets and subjects from `following` on.
    """

    anchor: Anchor | None
    following: int
    events: int = 0
    last: Anchor | None = None
    another_log: bool = False
    late: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def beyond(cls, held: Position | None) -> PartitionRead:
        """held: the live state's position at the beginning."""
        return cls(held.last, held.next) if held else cls(None, 0)

    def take(self, records: Sequence[Record]) -> None:
        if not records:
            return
        self.events += len(records)
        if self.anchor and records[0].offset <= self.anchor.offset <= records[-1].offset:
            self.another_log |= all(self.anchor != (each.offset, each.hash) for each in records)
        if last := next((each for each in reversed(records) if not each.mark), None):
            self.last = Anchor(last.offset, last.hash)
        if records[-1].offset >= self.following:
            late = (each for each in records if each.offset >= self.following and each.key is not None)
            self.late += [(each.offset, (each.key or b"").decode("utf-8", "replace")) for each in late]


@dataclass(frozen=True, slots=True)
class FillingPlan:
    """All that one must know to fill partitions, in this process or another: it can be pickled.

    schema: the new one. held: the live state's positions. base: the revision that every row begins with. master: the master key, where
    subjects are found by personal values.
    """

    service: Verified
    owner_dsn: str = field(repr=False)
    kafka: KafkaClients
    schema: str
    bounds: Bounds
    held: Mapping[TopicPartition, Position]
    skips: Skips
    base: int
    master: Keyring | bytes | None = field(repr=False)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Filling]:
        """With a connection and a consumer of its own."""
        connection, consumer = await new_state_connection(self.owner_dsn, self.schema), log_consumer(self.kafka)
        try:
            await consumer.start()
            yield Filling(self, connection, consumer)
        finally:
            await close(consumer)
            await connection.close()


async def new_state_connection(owner_dsn: str, schema: str) -> asyncpg.Connection:
    # default_statistics_target: services keep to indexes whatever is known of a column (ADR 17); autovacuum looks closer later
    settings = {"search_path": f"{schema},public", "synchronous_commit": "off", "default_statistics_target": "10"}
    return await connections.connect(owner_dsn, server_settings=settings)


def log_consumer(kafka: KafkaClients) -> Consumer:
    # fetch_max_wait_ms: the answer at a partition's end comes before the next one's first records
    # retry_backoff_ms: a new client knows no leaders yet, and asks twice
    return reader(kafka, max_partition_fetch_bytes=FETCH, fetch_max_wait_ms=20, retry_backoff_ms=20)


class Filling:
    """connection: with the new schema first in its search path."""

    def __init__(self, plan: FillingPlan, connection: asyncpg.Connection, consumer: Consumer) -> None:
        service = plan.service
        self._plan = plan
        self._contract = service.contract
        self._states = States(service.aggregates, service.partitions)
        self._reader = Reader(service.source, service.aggregates, service.contracts, service.partitions, service.mac)
        self._lookups = Lookups(self._states, plan.master) if plan.master is not None and Lookups.needed(self._states) else None
        self._vault = Vault(bytes(32), _never, _never, service.mac)
        self._skips = plan.skips
        self._base = plan.base
        self._connection = connection
        self._consumer = consumer

    async def fill(self, place: TopicPartition, journal: Callable[[], Iterable[bytes]], told: Told) -> PartitionRead:
        """The log as far as was planned, and the journal's rows of this partition, in chunks of a `Spool`. told: how many records were
        folded, again and again. Raises LogTruncated, ConnectionError."""
        try:
            held, observed = await self._held(place, journal(), FilledPartition(unchecked=defaultdict(list)), told)
        except NotStorable:  # once more, to find the record that a fold goes wrong at: nobody is told twice of what was folded
            held, observed = await self._held(place, journal(), FilledPartition(), lambda records: None)
        await self._copy(place.partition, held)
        return observed

    async def _held(
        self, place: TopicPartition, journal: Iterable[bytes], held: FilledPartition, told: Told
    ) -> tuple[FilledPartition, PartitionRead]:
        """Raises NotStorable, where much is checked at once."""
        rows = sorted(unpacked(journal), reverse=True)  # by position; taken from the end, so that each is let go at once
        for n in itertools.count(1):
            if not rows:
                break
            _, stream, version, kind, digest, data = rows.pop()
            subject, proof = evolve(self._contract, self._states, (stream, kind, data), held.own, held.sealed, held.entries)
            held.hashes[stream, version] = digest
            if proof is not None:
                held.forgotten.add(subject)
            if n % YIELD == 0:
                await asyncio.sleep(0)
        observed = PartitionRead.beyond(self._plan.held.get(place))
        async for records in ahead(self._consumer, place, *self._plan.bounds[place]):
            await self._observe(records, held)
            observed.take(records)
            told(len(records))
        return held, observed

    async def _observe(self, batch: Iterable[Record], held: FilledPartition) -> None:
        for n, record in enumerate(batch):
            if n % YIELD == 0:
                self._check(held)
                await asyncio.sleep(0)  # for the next batch, which is on its way
            if record.mark:
                continue
            ours = self._reader.claims_to_be_ours(record)
            if ours is not None and held.hashes.get(ours) == record.hash:
                continue  # the journal's own
            item = self._reader.judge(record)
            if isinstance(item, Elsewhere):
                continue
            if isinstance(item, DeadLetter):
                if skip_of(self._skips, record) is None:
                    held.dead_letters.append(item)
                continue
            folding = held.foldings.get(item.subject)
            if folding is None:
                codec = self._states.codec(item.subject)
                folding = Folding(item.subject, record.partition, codec, codec.aggregate.facets[0](), {})
                if held.unchecked is not None:
                    folding.unchecked = held.unchecked[item.subject.partition("/")[0]]
                held.foldings[item.subject] = folding
            skip = skip_of(self._skips, record)
            if not self._ours(item):
                folding.take(item, skip)
                self._forget(item, held, skip)
            elif skip is None:
                key = (item.subject, item.envelope.version)
                if key not in held.hashes:  # appended since the watermark
                    known = await self._connection.fetchval("SELECT hash FROM events WHERE stream = $1 AND version = $2", *key)
                    held.hashes |= {key: known} if known else {}
                folding.compare(item, held.hashes)
        self._check(held)

    def _forget(self, item: DecodedRecord | RejectedRecord, held: FilledPartition, skip: int | None) -> None:
        if not isinstance(item, DecodedRecord) or skip is not None:
            return
        if (destroyed := self._vault.destroyed_by(item.subject, item.event)) is not None:
            held.forgotten.add(item.subject)
            held.destroyed[item.subject] = destroyed

    def _check(self, held: FilledPartition) -> None:
        for kind, several in (held.unchecked or {}).items():
            try:
                self._states.codecs[kind].check_observed(several)
            except Exception as error:
                raise NotStorable from error
            several.clear()

    def _ours(self, item: DecodedRecord | RejectedRecord) -> TypeGuard[DecodedRecord]:
        return isinstance(item, DecodedRecord) and item.envelope.source == self._reader.source

    async def _copy(self, partition: int, held: FilledPartition) -> None:
        rows = []
        projected = Changes()
        for n, subject in enumerate(held.foldings.keys() | held.own.keys()):
            if n % YIELD == 0:
                await asyncio.sleep(0)
            codec = self._states.codec(subject)
            folding = held.foldings.get(subject)
            own = held.own.get(subject)
            if folding is None or not (folding.touched or own):
                if own is None:
                    continue
                folding = Folding(subject, partition, codec, codec.aggregate.facets[0](), {})
            own_json = codec.dump_own(own) if own is not None else "{}"
            if codec.aggregate.projections:
                projected.add(changes(codec.aggregate, subject, None, (folding.observed, codec.nothing[1] if own is None else own)))
            read = orjson.dumps(folding.read).decode()
            rows.append((subject, partition, self._base, self._base, folding.parked, read, folding.cause, folding.observed_json, own_json))
        rows.sort()
        for start in range(0, len(rows), CHUNK):
            await self._connection.copy_records_to_table("state", records=rows[start : start + CHUNK], columns=COLUMNS)
        await self._vault.store(self._connection, held.destroyed)
        held.sealed = [each for each in held.sealed if each[0] not in held.forgotten]
        sealed = held.sealed + [
            (each.subject, *value) for each in held.foldings.values() if each.subject not in held.forgotten for value in each.sealed
        ]
        for start in range(0, len(sealed), CHUNK):
            await self._connection.execute(SEAL, *map(list, zip(*sealed[start : start + CHUNK], strict=True)))
        entered = held.entries + [(each.subject, *row) for each in held.foldings.values() for row in each.entries]
        for start in range(0, len(entered), CHUNK):
            await self._connection.copy_records_to_table("entries", records=entered[start : start + CHUNK], columns=entries.COLUMNS)
        if self._lookups is not None and (found := await self._lookups.rows(self._connection, held.sealed)):
            projected.came[LOOKUPS] += sorted(found)
        for table, shown in projected.came.items():
            columns = ["subject", *table.columns]
            for start in range(0, len(shown), CHUNK):
                await self._connection.copy_records_to_table(table.name, records=shown[start : start + CHUNK], columns=columns)
        if moved := projected.moved:
            await self._connection.execute(COUNTED, *map(list, zip(*moved, strict=True)))
        waiting = parked_rows(held.foldings.values())
        for start in range(0, len(waiting), CHUNK):
            await self._connection.execute(PARK, *map(list, zip(*waiting[start : start + CHUNK], strict=True)))
        if held.dead_letters:
            await self._connection.execute(STORE_DEAD_LETTERS, *map(list, zip(*dead_letter_rows(held.dead_letters), strict=True)))


def _never() -> Any:
    raise AssertionError("It opens nothing, and tells by their proofs which keys are destroyed.")


def subject_of(contract: Contract, stream: str, type: str) -> str:
    """The subject that an event was decided on, whichever stream it stands in."""
    return f"{contract.by_type[type].decided_on}/{stream.partition('/')[2]}"


async def split_journal(
    connection: asyncpg.Connection, contract: Contract, states: States, watermark: str, into: Spool
) -> dict[tuple[str, int], int]:
    """The journal below the watermark by partitions, read once. A row's partition is computed: the stored one was a setting's, once.

    Returns the streams and versions where that one is another, with the partition where they belong.
    """
    wrong = {}
    async with connection.transaction(readonly=True):
        async for position, stream, version, kind, digest, data, stored in connection.cursor(JOURNAL, watermark, prefetch=CHUNK):
            partition = states.partition(subject_of(contract, stream, kind))
            into.put(partition, (position, stream, version, kind, digest, data))
            if stored != partition:
                wrong[stream, version] = partition
    return wrong


def evolve(
    contract: Contract,
    states: States,
    row: tuple[str, str, bytes],
    own: dict[str, Any],
    sealed: list[tuple[str, str, bytes]],
    entered: list[tuple[str, *entries.EntryRow]],
) -> tuple[str, bytes | None]:
    """Fold one journal row, its stream, type and data; returns its subject, and the proof by which its key is destroyed, if it is."""
    stream, type, data = row
    envelope = decode(data)
    event, values = as_folded(contract.by_type[type], envelope)
    subject = subject_of(contract, stream, type)
    kind = states.codec(subject).aggregate
    own[subject] = kind.evolve(own[subject] if subject in own else kind.facets[1](), event, envelope.time)
    sealed.extend((subject, ref, blob) for ref, blob in values)
    entry = entries.row_of(kind, event, envelope.source, envelope.version, envelope.time, [blob for _, blob in values])
    if entry is not None:
        entered.append((subject, *entry))
    return subject, proof_of(event)


async def take_indexes_away(connection: asyncpg.Connection, schema: str, tables: Sequence[str]) -> list[tuple[str, str]]:
    """All but the primary key are built after the copy; CONCURRENTLY, for an open write transaction would stall every relay."""
    rows = await connection.fetch(INDEXES, schema, list(tables))
    for row in rows:
        await connection.execute(f"DROP INDEX {schema}.{row['name']}")
    return [(row["name"], row["definition"].replace(" INDEX ", " INDEX CONCURRENTLY ", 1)) for row in rows]


@contextmanager
def without_collecting() -> Iterator[None]:
    """A state in memory is millions of objects without a cycle: looking for cycles among them took a fifth of a rebuild."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
        gc.collect()
