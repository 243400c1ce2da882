"""A service's state made anew from log and journal, beside the live one, while traffic goes on; then one swap.

The new schema is filled partition by partition: `heard` from the log, `done` from the journal, folded in memory and copied. Then it follows
both, and in one transaction locks the live offsets and states, folds the journal's last rows, and becomes the live one. The old schema is
renamed away, so that code which still knows it fails, reads `live` again, and goes on there. Killed at any point it harms nothing: a schema
that never became live is dropped by the next run.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from redress_events.clock import monotonic
from redress_events.envelope import decode
from redress_events.fold import Folding, Parked, redriven
from redress_events.log_end import LogEnd
from redress_events.migrate import make_state_schema, new_schema
from redress_events.polling import poll
from redress_events.projector import PARK, SEAL, SET_ASIDE, SKIPPED, Position, Projector, parked_rows, set_aside_rows
from redress_events.records import Apart, Read, Reader, Record, Unfit, as_folded
from redress_events.relay import close
from redress_events.states import States, one
from redress_events.topics import Topics
from redress_events.vault import Vault
from redress_events.verify import Verified

CHUNK = 1_000
FETCH = 4 * 1024 * 1024  # bytes asked for at a time: some 4,000 facts, 0.1 s of folding
YIELD = 100  # records folded between two looks at the network
LAST_ROWS = 2_000  # journal rows that may be folded while the live state is locked
SWAP_TRIES = 200
LOCKED = 2.0  # seconds that commands may wait at the swap
LEASE = "SELECT pg_try_advisory_lock(hashtext('redress-rebuild'))"
# Schemas that never became live, because their run was killed, and those that were retired.
LEFT_OVER = """
SELECT n.nspname FROM rebuilds r JOIN pg_namespace n ON n.nspname IN (r.schema, r.schema || '_retired')
WHERE n.nspname NOT IN ($1, (SELECT schema FROM live)) ORDER BY 1
"""
WATERMARK = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
# Everything below the watermark is visible for good. The partition column spares the other partitions' facts.
JOURNAL = """
SELECT stream, version, type, hash, data FROM events
WHERE partition = $1 AND transaction_id < $2::text::xid8 ORDER BY global_position
"""
# Index: events_relay. Ordered by e.transaction_id: without e. it is the text beside it, by which transaction 1000 comes before 999.
BEYOND = """
SELECT e.stream, e.version, e.type, e.hash, e.data, e.transaction_id::text AS transaction_id, e.global_position FROM events e
WHERE (e.transaction_id, e.global_position) > ($1::text::xid8, $2) AND ($3 OR e.transaction_id < pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY e.transaction_id, e.global_position LIMIT $4
"""
DONE = "SELECT subject, done FROM state WHERE subject = ANY ($1::text[])"
SAVE_DONE = """
INSERT INTO state (subject, partition, revision, done)
SELECT d.subject, d.partition, $4::bigint, d.done FROM unnest($1::text[], $2::int[], $3::jsonb[]) d (subject, partition, done)
ORDER BY d.subject
ON CONFLICT (subject) DO UPDATE SET done = excluded.done, revision = state.revision + 1
"""
INDEXES = """
SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = $1 AND t.relname = 'state' AND NOT i.indisprimary
"""
COLUMNS = ["subject", "partition", "revision", "parked", "read", "cause", "heard", "done"]


Ends = Mapping[TopicPartition, int]
Cursor = tuple[str, int]  # transaction and position of the last journal row that was folded


class RebuildRunning(Exception):
    """Another process rebuilds this service already."""


class NotSwapped(Exception):
    """The new state never caught up with the live one, or the locks were not to be had."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild came to. seconds: the whole; locked: how long commands waited at the swap."""

    service: str
    schema: str
    facts: int
    states: int
    parked: int
    seconds: float
    locked: float


@dataclass(slots=True)
class _Partition:
    """One partition in memory: who heard what, who did what, and the hashes that own facts are compared with."""

    foldings: dict[str, Folding] = field(default_factory=dict)
    done: dict[str, Any] = field(default_factory=dict)
    sealed: list[tuple[str, str, bytes]] = field(default_factory=list)
    hashes: dict[tuple[str, int], bytes] = field(default_factory=dict)
    apart: list[Apart] = field(default_factory=list)


class Rebuild:
    """progress(what, done, all) is told as it goes on; `all` of the log is known from its ends."""

    def __init__(
        self,
        service: Verified,
        *,
        fold: int,
        owner_dsn: str,
        app_role: str,
        service_migrations_dir: Path,
        bootstrap: str,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self._service = service
        self._fold = fold
        self._owner_dsn = owner_dsn
        self._app_role = app_role
        self._migrations = service_migrations_dir
        self._bootstrap = bootstrap
        self._progress = progress
        self._topics = Topics(service.topic_prefix)
        self._states = States(service.kinds, service.partitions)
        self._reader = Reader(service.source, service.kinds, service.contracts, service.partitions)
        self._skips: set[tuple[str, int, int, bytes]] = set()
        self._facts = 0
        self._base = 0  # revisions of this schema begin here, so that no decision on an old row fits a new one

    async def run(self) -> Rebuilt:
        """Raises RebuildRunning, NotSwapped, ConnectionError."""
        began = monotonic()
        lease = await asyncpg.connect(self._owner_dsn)
        try:
            if not await lease.fetchval(LEASE):
                raise RebuildRunning(f"{self._service.source} is being rebuilt already.")
            schema = await new_schema(lease, self._fold)
            await drop_left_overs(lease, schema)
            self._base = (await lease.fetchval("SELECT count(*) FROM rebuilds")) << 32
            await make_state_schema(lease, self._owner_dsn, self._app_role, schema, self._migrations)
            connection = await asyncpg.connect(
                self._owner_dsn, server_settings={"search_path": f"{schema},public", "synchronous_commit": "off"}
            )
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", max_partition_fetch_bytes=FETCH
            )
            try:
                await consumer.start()
                locked = await self._fill_and_swap(connection, consumer, schema)
                states = await connection.fetchval("SELECT count(*) FROM state")
                parked = await connection.fetchval("SELECT count(*) FROM state WHERE parked")
                await drop_left_overs(lease, schema)
            finally:
                await close(consumer)
                await connection.close()
            return Rebuilt(self._service.source, schema, self._facts, states, parked, monotonic() - began, locked)
        finally:
            await lease.close()

    async def _fill_and_swap(self, connection: asyncpg.Connection, consumer: AIOKafkaConsumer, schema: str) -> float:
        self._skips = {(row["topic"], row["partition"], row["offset"], row["hash"]) for row in await connection.fetch(SKIPPED)}
        log_end = LogEnd(self._service.source, self._bootstrap)
        try:
            cluster = await log_end.cluster()
            places = [TopicPartition(self._topics.lifecycle, n) for n in range(self._service.partitions)]
            ends = await log_end.ask(places)
            watermark = await connection.fetchval(WATERMARK)
            indexes = await self._take_indexes_away(connection, schema)
            for place in places:
                with _without_collecting():
                    await self._fill(connection, consumer, place, ends, watermark)
                gc.collect()
            await connection.executemany(
                "INSERT INTO consumer_offsets (topic, partition, next, kafka_cluster) VALUES ($1, $2, $3, $4)",
                [(place.topic, place.partition, ends[place], cluster) for place in places],
            )
            for name, definition in indexes:
                self._progress(f"index {name}", 0, 0)
                await connection.execute(definition)
            await connection.execute("ANALYZE state")
            return await self._follow_and_swap(connection, consumer, log_end, ends, watermark, schema)
        finally:
            await log_end.stop()

    async def _take_indexes_away(self, connection: asyncpg.Connection, schema: str) -> list[tuple[str, str]]:
        """All but the primary key are built after the copy; CONCURRENTLY, for an open write transaction would stall every relay."""
        rows = await connection.fetch(INDEXES, schema)
        for row in rows:
            await connection.execute(f"DROP INDEX {schema}.{row['name']}")
        return [(row["name"], row["definition"].replace(" INDEX ", " INDEX CONCURRENTLY ", 1)) for row in rows]

    # -- one partition after the other, in memory

    async def _fill(
        self,
        connection: asyncpg.Connection,
        consumer: AIOKafkaConsumer,
        place: TopicPartition,
        ends: Ends,
        watermark: str,
    ) -> None:
        held = _Partition()
        async with connection.transaction(readonly=True):
            async for row in connection.cursor(JOURNAL, place.partition, watermark, prefetch=CHUNK):
                self._did(row, held.done, held.sealed)
                held.hashes[row["stream"], row["version"]] = row["hash"]
        consumer.assign([place])
        consumer.seek(place, 0)
        async for records in _ahead(consumer, place, ends[place]):
            await self._hear(connection, records, held)
            self._facts += len(records)
            self._progress("log", self._facts, sum(ends.values()))
        await self._leave_parked_only_what_is(connection, held)
        await self._copy(connection, place.partition, held)

    def _did(self, row: asyncpg.Record, done: dict[str, Any], sealed: list[tuple[str, str, bytes]]) -> str:
        """Fold one journal row; returns its subject."""
        fact_type = self._service.contract.by_type[row["type"]]
        envelope = decode(row["data"])
        fact, values = as_folded(fact_type, envelope)
        subject = f"{fact_type.decided_on}/{row['stream'].partition('/')[2]}"
        kind = self._states.codec(subject).kind
        done[subject] = kind.did(done[subject] if subject in done else kind.facets[1](), fact, envelope.time)
        sealed.extend((subject, ref, blob) for ref, blob in values)
        return subject

    async def _hear(self, connection: asyncpg.Connection, batch: Iterable[Record], held: _Partition) -> None:
        for n, record in enumerate(batch):
            if n % YIELD == 0:
                await asyncio.sleep(0)  # for the next batch, which is on its way
            item = self._reader.judge(record)
            if isinstance(item, Apart):
                held.apart.append(item)
                continue
            folding = held.foldings.get(item.subject)
            if folding is None:
                codec = self._states.codec(item.subject)
                folding = held.foldings[item.subject] = Folding(item.subject, record.partition, codec, codec.kind.facets[0](), {})
            skipped = self._skipped(record)
            if not (isinstance(item, Read) and item.envelope.source == self._service.source):
                folding.take(item, skipped)
            elif not skipped:
                key = (item.subject, item.envelope.version)
                if key not in held.hashes:  # appended since the watermark
                    known = await connection.fetchval("SELECT hash FROM events WHERE stream = $1 AND version = $2", *key)
                    held.hashes |= {key: known} if known else {}
                folding.compare(item, held.hashes)

    def _skipped(self, record: Record) -> bool:
        return bool(self._skips) and (record.topic, record.partition, record.offset, record.hash) in self._skips

    async def _leave_parked_only_what_is(self, connection: asyncpg.Connection, held: _Partition) -> None:
        """What somebody redrove since is folded in the order of a redrive, as it was then."""
        parked = [subject for subject, folding in held.foldings.items() if folding.parked]
        live = await one(connection, "SELECT schema FROM public.live")
        rows = await connection.fetch(f"SELECT subject FROM {live['schema']}.state WHERE parked AND subject = ANY ($1::text[])", parked)
        for subject in set(parked) - {row["subject"] for row in rows}:
            folding = held.foldings[subject]
            items: list[tuple[Parked, Read | Unfit, bool]] = []
            for waiting in folding.waiting:
                item = self._reader.judge(waiting.record)
                if not isinstance(item, Apart) and not (isinstance(item, Read) and item.envelope.source == self._service.source):
                    items.append((waiting, item, self._skipped(waiting.record)))
            folding.waiting = []
            folding.waiting = redriven(folding, items)

    async def _copy(self, connection: asyncpg.Connection, partition: int, held: _Partition) -> None:
        rows = []
        for subject in held.foldings.keys() | held.done.keys():
            codec = self._states.codec(subject)
            folding = held.foldings.get(subject)
            done = held.done.get(subject)
            if folding is None or not (folding.touched or done):
                if done is None:
                    continue
                folding = Folding(subject, partition, codec, codec.kind.facets[0](), {})
            done_json = codec.dump_done(done) if done is not None else "{}"
            read = orjson.dumps(folding.read).decode()
            rows.append((subject, partition, self._base, folding.parked, read, folding.cause, codec.dump_heard(folding.heard), done_json))
        rows.sort()
        for start in range(0, len(rows), CHUNK):
            await connection.copy_records_to_table("state", records=rows[start : start + CHUNK], columns=COLUMNS)
        sealed = held.sealed + [(each.subject, *value) for each in held.foldings.values() for value in each.sealed]
        for start in range(0, len(sealed), CHUNK):
            await connection.execute(SEAL, *map(list, zip(*sealed[start : start + CHUNK], strict=True)))
        waiting = parked_rows(held.foldings.values())
        for start in range(0, len(waiting), CHUNK):
            await connection.execute(PARK, *map(list, zip(*waiting[start : start + CHUNK], strict=True)))
        if held.apart:
            await connection.execute(SET_ASIDE, *map(list, zip(*set_aside_rows(held.apart), strict=True)))

    # -- then both go on, until they meet

    async def _follow_and_swap(
        self,
        connection: asyncpg.Connection,
        consumer: AIOKafkaConsumer,
        log_end: LogEnd,
        ends: Ends,
        watermark: str,
        schema: str,
    ) -> float:
        projector = Projector(
            source=self._service.source,
            bootstrap=self._bootstrap,
            topics=self._topics,
            states=self._states,
            reader=self._reader,
            vault=Vault(bytes(32), _nowhere, _no_keys),  # the topic of keys is not read here
            log_end=log_end,
            connect=_no_connection,
            projected=lambda: None,
        )
        projector.positions = {place: Position(end, 0) for place, end in ends.items()}
        projector.skipped = self._skips
        consumer.assign(list(ends))
        for place, end in ends.items():
            consumer.seek(place, end)
        cursor = (watermark, 0)
        for _ in range(SWAP_TRIES):
            wanted = await log_end.ask(list(ends))
            async for batch in self._until(consumer, projector, wanted):
                await projector.project(connection, batch)
                self._facts += sum(map(len, batch.values()))
                self._progress("following the log", self._facts, sum(wanted.values()))
            while True:
                cursor, rows = await self._did_beyond(connection, cursor, everything=False, limit=LAST_ROWS)
                if rows < LAST_ROWS:
                    break
            before = {place: replace(position) for place, position in projector.positions.items()}
            try:
                return await self._swap(connection, consumer, projector, cursor, schema)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, NotSwapped, TimeoutError):
                projector.positions = {place: replace(position) for place, position in before.items()}  # as the rollback left them
                for place, position in before.items():
                    consumer.seek(place, position.next)
                await asyncio.sleep(0.05)
        raise NotSwapped(
            f"{self._service.source} was ahead of its new state, or busy, {SWAP_TRIES} times in a row. Try again with less traffic."
        )

    async def _until(
        self, consumer: AIOKafkaConsumer, projector: Projector, wanted: Ends
    ) -> AsyncIterator[dict[TopicPartition, list[Record]]]:
        while any(projector.positions[place].next < end for place, end in wanted.items()):
            following = {place: position.next for place, position in projector.positions.items()}
            if batch := await poll(consumer, following, 200, CHUNK // 2):
                yield batch

    async def _did_beyond(self, connection: asyncpg.Connection, cursor: Cursor, *, everything: bool, limit: int) -> tuple[Cursor, int]:
        """Fold journal rows beyond the cursor into the new state. everything: no writer is left who could come below."""
        rows = await connection.fetch(BEYOND, *cursor, everything, limit)
        if not rows:
            return cursor, 0
        subjects = {f"{self._service.contract.by_type[row['type']].decided_on}/{row['stream'].partition('/')[2]}" for row in rows}
        done = {
            row["subject"]: self._states.codec(row["subject"]).load_done(row["done"])
            for row in await connection.fetch(DONE, list(subjects))
        }
        sealed: list[tuple[str, str, bytes]] = []
        touched = {self._did(row, done, sealed) for row in rows}
        await connection.execute(
            SAVE_DONE,
            list(touched),
            [self._states.partition(subject) for subject in touched],
            [self._states.codec(subject).dump_done(done[subject]) for subject in touched],
            self._base,
        )
        if sealed:
            await connection.execute(SEAL, *map(list, zip(*sealed, strict=True)))
        return (rows[-1]["transaction_id"], rows[-1]["global_position"]), len(rows)

    async def _swap(
        self, connection: asyncpg.Connection, consumer: AIOKafkaConsumer, projector: Projector, cursor: Cursor, schema: str
    ) -> float:
        """Commands wait from the locks to the commit. Raises NotSwapped where too much is left to fold."""
        old = (await one(connection, "SELECT schema FROM public.live"))["schema"]
        async with asyncio.timeout(LOCKED), connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '200ms'; SET LOCAL synchronous_commit = on")
            began = monotonic()
            await connection.execute(f"LOCK TABLE {old}.consumer_offsets IN EXCLUSIVE MODE")
            await connection.execute(f"LOCK TABLE {old}.state IN EXCLUSIVE MODE")
            rows = await connection.fetch(
                f"SELECT topic, partition, next FROM {old}.consumer_offsets WHERE topic = $1", self._topics.lifecycle
            )
            live = {TopicPartition(row["topic"], row["partition"]): row["next"] for row in rows}
            if sum(max(0, end - projector.positions[place].next) for place, end in live.items()) > LAST_ROWS:
                raise NotSwapped("The live state has read much further.")
            async for batch in self._until(consumer, projector, live):  # it stands still now: what it read since is soon read here
                await projector.project(connection, batch)
            _, last = await self._did_beyond(connection, cursor, everything=True, limit=LAST_ROWS + 1)
            if last > LAST_ROWS:
                raise NotSwapped("The journal has grown too far.")
            await connection.execute(
                f"INSERT INTO consumer_offsets (topic, partition, next, epoch, kafka_cluster)"
                f" SELECT topic, partition, next, epoch, kafka_cluster FROM {old}.consumer_offsets WHERE topic = $1",
                self._topics.keys,
            )
            await connection.execute(f"INSERT INTO set_aside SELECT * FROM {old}.set_aside WHERE topic = $1", self._topics.keys)
            await connection.execute("INSERT INTO caught_up DEFAULT VALUES")
            await connection.execute("UPDATE public.live SET schema = $1, fold = $2", schema, self._fold)
            await connection.execute("UPDATE public.rebuilds SET live_at = now() WHERE schema = $1", schema)
            await connection.execute(f"ALTER SCHEMA {old} RENAME TO {old}_retired")
        return monotonic() - began


async def _ahead(consumer: AIOKafkaConsumer, place: TopicPartition, end: int) -> AsyncIterator[list[Record]]:
    """A partition's records below `end`; the next ones are fetched while somebody folds these."""
    following: asyncio.Task[dict[TopicPartition, list[Record]]] | None = None
    read = 0
    try:
        while read < end:
            if following is None:
                following = asyncio.create_task(poll(consumer, {place: read}, 1_000, 5_000))
            records = (await following).get(place, [])
            following = None
            if not records:
                continue
            read = records[-1].offset + 1
            if read < end:
                following = asyncio.create_task(poll(consumer, {place: read}, 1_000, 5_000))
            yield [record for record in records if record.offset < end]
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait([following])


@contextmanager
def _without_collecting() -> Iterator[None]:
    """A state in memory is millions of objects without a cycle: looking for cycles among them took a fifth of a rebuild."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


async def drop_left_overs(connection: asyncpg.Connection, ours: str) -> None:
    """Drop schemas that nobody needs; one that somebody still reads is left for the next run."""
    for row in await connection.fetch(LEFT_OVER, ours):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '2s'")
                await connection.execute(f"DROP SCHEMA {row['nspname']} CASCADE")
        except asyncpg.LockNotAvailableError:
            continue


async def _no_keys() -> None:
    raise AssertionError("A rebuild reads no keys.")


def _nowhere() -> AbstractAsyncContextManager[asyncpg.pool.PoolConnectionProxy]:
    raise AssertionError("A rebuild opens nothing.")


async def _no_connection() -> asyncpg.Connection:
    raise AssertionError("A rebuild brings its own connection.")
