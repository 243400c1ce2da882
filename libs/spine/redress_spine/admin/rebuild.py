"""A service's state rebuilt from log and journal, beside the live one, while traffic goes on; then one swap.

The new schema is filled partition by partition (`redress_spine.admin.filling`). Then it follows log and journal, and in one transaction
locks the live offsets and states, folds the journal's last rows, and becomes the live one. The old schema is renamed away, so that code
which still knows it fails, reads `live` again, and goes on there. Killed at any point it harms nothing: a schema that never became live is
dropped by the next run.

Longer than most: that the swap loses nothing is seen only beside what was read before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from redress_spine.admin.filling import (
    CHUNK,
    FillingPlan,
    PartitionRead,
    log_consumer,
    new_state_connection,
    split_journal,
    subject_of,
    take_indexes_away,
    without_collecting,
)
from redress_spine.admin.filling_process import FillingProcess, worth
from redress_spine.aggregate import Verified
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.polling import poll
from redress_spine.messaging.positions import Anchor, Position, position_of
from redress_spine.messaging.records import Reader, Record
from redress_spine.messaging.relay import close
from redress_spine.messaging.spool import Spool
from redress_spine.messaging.topics import Topics
from redress_spine.messaging.whole_log import RESTORE_LOG, Bounds, Ends, bounds, check_silence, truncated
from redress_spine.processing.clock import monotonic
from redress_spine.processing.losses import Loss, Losses
from redress_spine.processing.parking import Parking
from redress_spine.processing.projections import tables
from redress_spine.processing.projector import Projector
from redress_spine.processing.skips import SKIPPED_ASIDE, Skips, load_skips
from redress_spine.store import connections
from redress_spine.store.errors import LogTruncated
from redress_spine.store.keyring import Keyring
from redress_spine.store.lookups import FORGET_ALL, Lookups, MasterKeyNeeded
from redress_spine.store.migrate import make_state_schema, new_schema
from redress_spine.store.own_folding import fold_own
from redress_spine.store.states import States, one
from redress_spine.store.vault import Vault

LANES = 2  # partitions filled at a time in this process: while one waits for its first records the other folds
LAST_ROWS = 2_000  # journal rows that may be folded while the live state is locked
SWAP_TRIES = 200
WAIT = 0.05  # seconds between two of them
LOCKED = 2.0  # seconds that commands may wait at the swap
LEASE = "SELECT pg_try_advisory_lock(hashtext('redress-rebuild'))"
# Schemas that never became live, because their run was killed, and those that were retired.
LEFT_OVER = """
SELECT n.nspname FROM rebuilds r JOIN pg_namespace n ON n.nspname IN (r.schema, r.schema || '_retired')
WHERE n.nspname NOT IN ($1, (SELECT schema FROM live)) ORDER BY 1
"""
WATERMARK = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
# Index: events_relay. Ordered by e.transaction_id: without e. it is the text beside it, by which transaction 1000 comes before 999.
BEYOND = """
SELECT e.stream, e.version, e.type, e.hash, e.data, e.transaction_id::text AS transaction_id, e.global_position FROM events e
WHERE (e.transaction_id, e.global_position) > ($1::text::xid8, $2) AND ($3 OR e.transaction_id < pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY e.transaction_id, e.global_position LIMIT $4
"""
# How many wait above the watermark. It reads so many at most.
HELD_BACK = """
SELECT count(*) FROM (SELECT 1 FROM events e WHERE (e.transaction_id, e.global_position) > ($1::text::xid8, $2)
    ORDER BY e.transaction_id, e.global_position LIMIT $3) h
"""
OFFSETS = """
INSERT INTO consumer_offsets (topic, partition, next, kafka_cluster, topic_id, last_offset, last_hash) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
KEYS_OFFSETS = """
INSERT INTO consumer_offsets (topic, partition, next, epoch, kafka_cluster, topic_id, last_offset, last_hash)
SELECT topic, partition, next, epoch, kafka_cluster, topic_id, last_offset, last_hash FROM {live}.consumer_offsets
WHERE topic = $1 AND kafka_cluster = $2
"""
EPOCHS = "SELECT topic, partition, epoch FROM {schema}.consumer_offsets ORDER BY 1, 2"
# What each parked subject waits for: the record that it stumbled over, and how many there are. Index: parked_subject.
STUMBLED = """
SELECT subject, ((array_agg((topic, partition, "offset") ORDER BY "offset"))[1], count(*))::text AS stumbled FROM {schema}.parked GROUP BY 1
"""
# What a run with another number of partitions stored, for a moment of a wrong setting. Not hashed, and of no event.
SET_RIGHT = """
UPDATE public.events e SET partition = w.partition
FROM unnest($1::text[], $2::bigint[], $3::int[]) w (stream, version, partition) WHERE e.stream = w.stream AND e.version = w.version
"""

JournalCursor = tuple[str, int]  # transaction and position of the last journal row that was folded


class RebuildRunning(Exception):
    """Another process rebuilds this service already."""


class NotSwapped(Exception):
    """The new state never caught up with the live one, or the locks were not to be had."""


class WouldLose(Exception):
    """The new state lacks what the live one has: it was not swapped in."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild came to. seconds: the whole; locked: how long commands waited at the swap; lost: what an operator let go."""

    service: str
    schema: str
    events: int
    states: int
    parked: int
    seconds: float
    locked: float
    lost: Loss


class Rebuild:
    """progress(what, done, all) is told as it goes on; `all` of the log is known from its ends.

    accept_loss: an operator wants the new state though it lacks what the live one has, or the log its start.
    master: the master key, which a service needs whose subjects are found by personal values.
    """

    def __init__(
        self,
        service: Verified,
        *,
        fold: int,
        owner_dsn: str,
        app_role: str,
        service_migrations_dir: Path,
        kafka: KafkaClients | str,
        progress: Callable[[str, int, int], None] = lambda *_: None,
        accept_loss: bool = False,
        master: Keyring | bytes | None = None,
    ) -> None:
        self._service = service
        self._master = master
        self._accept_loss = accept_loss
        self._fold = fold
        self._owner_dsn = owner_dsn
        self._app_role = app_role
        self._migrations = service_migrations_dir
        self._kafka = KafkaClients.of(kafka)
        self._progress = progress
        self._topics = Topics(service.topic_prefix)
        self._states = States(service.aggregates, service.partitions)
        self._lookups = Lookups(self._states, master) if master is not None and Lookups.needed(self._states) else None
        self._reader = Reader(service.source, service.aggregates, service.contracts, service.partitions, service.mac)
        self._skips: Skips = {}
        self._lost = Loss()
        self._cluster = ""
        self._topic_id = ""
        self._held: dict[TopicPartition, Position] = {}  # by the live state
        self._last: dict[TopicPartition, Anchor] = {}  # the records that the new state has read last
        self._another_log = False  # than the live state has read: their offsets say nothing of each other
        self._events = 0
        self._base = 0  # revisions of this schema begin here, so that no decision on an old row fits a new one

    async def run(self) -> Rebuilt:
        """Raises MasterKeyNeeded, LogTruncated, RebuildRunning, WouldLose, NotSwapped, SharedSession, and what asyncpg and aiokafka raise
        where a server is away."""
        if self._lookups is None and Lookups.needed(self._states):
            raise MasterKeyNeeded(f"{self._service.source} is searched by personal values: a rebuild needs the master key that opens them.")
        began = monotonic()
        await connections.demand_sessions(self._owner_dsn, "rebuild")
        lease = await connections.connect(self._owner_dsn)
        try:
            if not await lease.fetchval(LEASE):
                raise RebuildRunning(f"{self._service.source} is being rebuilt already.")
            consumer = log_consumer(self._kafka)
            try:
                await consumer.start()
                log = await self._log(consumer)
                starts = {place: start for place, (start, _) in log.items()}
                with more_processes(self._service, sum(end - start for start, end in log.values())) as processes:
                    schema = await new_schema(lease, self._fold)
                    await drop_left_overs(lease, schema)
                    self._base = (await lease.fetchval("SELECT count(*) FROM rebuilds")) << 32
                    await make_state_schema(lease, self._app_role, schema, self._migrations)
                    connection = await new_state_connection(self._owner_dsn, schema)
                    try:
                        locked = await self._fill_and_swap(connection, consumer, schema, starts, processes)
                        states, parked = await one(connection, "SELECT count(*), count(*) FILTER (WHERE parked) FROM state")
                    finally:
                        await connection.close()
                await drop_left_overs(lease, schema)
            finally:
                await close(consumer)
            return Rebuilt(self._service.source, schema, self._events, states, parked, monotonic() - began, locked, self._lost)
        finally:
            await lease.close()

    async def _log(self, consumer: Consumer) -> Bounds:
        """Where the log begins and ends. Raises LogTruncated before anything is made."""
        log = await bounds(consumer, [TopicPartition(self._topics.lifecycle, n) for n in range(self._service.partitions)])
        if (message := truncated({place: start for place, (start, _) in log.items()})) and not self._accept_loss:
            raise LogTruncated(f"{message} {RESTORE_LOG}")
        return log

    async def _fill_and_swap(
        self,
        connection: asyncpg.Connection,
        consumer: Consumer,
        schema: str,
        starts: Mapping[TopicPartition, int],
        processes: list[FillingProcess],
    ) -> float:
        self._skips = await load_skips(connection)
        log_end, journal = LogEnd(self._service.source, self._kafka), Spool()
        try:
            topic = await self._topic(log_end)
            live = await one(connection, "SELECT schema FROM public.live")
            read = await connection.fetch(f"SELECT * FROM {live['schema']}.consumer_offsets WHERE topic = $1", self._topics.lifecycle)
            self._held = {TopicPartition(row["topic"], row["partition"]): position_of(row) for row in read}
            losses = Losses(live["schema"], schema)
            ends = {place: end for place, (_, end) in (await bounds(consumer, list(starts))).items()}
            self._cluster, self._topic_id = topic
            self._another_log = any(row["kafka_cluster"] != self._cluster for row in read) or any(
                position.topic_id not in (None, self._topic_id) or position.next > ends.get(place, 0)
                for place, position in self._held.items()
            )
            watermark = await connection.fetchval(WATERMARK)
            shown = [table.name for table in tables(self._service.aggregates.values())]
            indexes = await take_indexes_away(connection, schema, ["state", "lookups", *shown])
            self._progress("journal", 0, 0)
            wrong = await split_journal(connection, self._service.contract, self._states, watermark, journal)
            plan = FillingPlan(
                service=self._service,
                owner_dsn=self._owner_dsn,
                kafka=self._kafka,
                schema=schema,
                bounds={place: (starts[place], end) for place, end in ends.items()},
                held=self._held,
                skips=self._skips,
                base=self._base,
                master=self._master,
            )
            await self._fill(plan, processes, journal, losses)
            await connection.executemany(
                OFFSETS,
                [(*place, ends[place], self._cluster, self._topic_id, *self._last.get(place, (None, None))) for place in starts],
            )
            if wrong:
                await connection.execute(SET_RIGHT, *map(list, zip(*wrong, strict=True)), list(wrong.values()))
            for name, definition in indexes:
                self._progress(f"index {name}", 0, 0)
                await connection.execute(definition)
            await connection.execute(f"ANALYZE {', '.join(['state', 'lookups', *shown])}")
            return await self._follow_and_swap(connection, consumer, log_end, ends, watermark, schema, losses)
        finally:
            journal.close()
            await log_end.stop()

    async def _fill(self, plan: FillingPlan, processes: list[FillingProcess], journal: Spool, losses: Losses) -> None:
        """Partition by partition, in this process and more."""
        left, every = iter(plan.bounds), sum(end for _, end in plan.bounds.values())
        for process in processes:
            process.plan(plan)
        with without_collecting():
            lanes = [asyncio.create_task(self._lane_of(each, left, every, journal, losses)) for each in processes]
            lanes += [asyncio.create_task(self._lane(plan, left, every, journal, losses)) for _ in range(LANES)]
            try:
                await asyncio.gather(*lanes)
            finally:
                for lane in lanes:
                    lane.cancel()
                await asyncio.wait(lanes)
                for process in processes:
                    process.end()

    async def _lane(self, plan: FillingPlan, left: Iterator[TopicPartition], every: int, journal: Spool, losses: Losses) -> None:
        """Fill partitions while some are left. What one lane waits for is time for the others. every: records of the log."""
        async with plan.opened() as filling:
            for place in left:
                rows = partial(journal.chunks, place.partition)
                self._keep(place, await filling.fill(place, rows, lambda records: self._told("log", records, every)), losses)

    async def _lane_of(self, process: FillingProcess, left: Iterator[TopicPartition], every: int, journal: Spool, losses: Losses) -> None:
        for place in left:
            observed = await process.fill(place, list(journal.chunks(place.partition)))
            self._told("log", observed.events, every)
            self._keep(place, observed, losses)

    def _told(self, what: str, records: int, every: int) -> None:
        self._events += records
        self._progress(what, self._events, every)

    def _keep(self, place: TopicPartition, observed: PartitionRead, losses: Losses) -> None:
        losses.observed(place, observed.late)
        self._another_log |= observed.another_log
        if observed.last:
            self._last[place] = observed.last

    def _followed(self, batch: Mapping[TopicPartition, list[Record]], wanted: Ends, losses: Losses) -> None:
        for place, records in batch.items():
            observed = PartitionRead.beyond(self._held.get(place))
            observed.take(records)
            self._keep(place, observed, losses)
            self._told("following the log", observed.events, sum(wanted.values()))

    async def _follow_and_swap(
        self,
        connection: asyncpg.Connection,
        consumer: Consumer,
        log_end: LogEnd,
        ends: Ends,
        watermark: str,
        schema: str,
        losses: Losses,
    ) -> float:
        projector = Projector(
            source=self._service.source,
            kafka=self._kafka,
            topics=self._topics,
            states=self._states,
            reader=self._reader,
            vault=Vault(bytes(32), _never, _never, self._service.mac),  # the topic of keys is not read here
            log_end=log_end,
            connect=_never,
            projected=lambda written: False,
        )
        projector.positions = {place: Position(end, 0, self._topic_id, self._last.get(place)) for place, end in ends.items()}
        projector.skips = self._skips
        consumer.assign(list(ends))
        for place, end in ends.items():
            consumer.seek(place, end)
        cursor = (watermark, 0)
        for _ in range(SWAP_TRIES):
            await losses.capture(connection)
            wanted = await log_end.ask(list(ends))
            async for batch in self._until(consumer, projector, wanted):
                await projector.project(connection, batch)
                self._followed(batch, wanted, losses)
            folded = int(await connection.fetchval(WATERMARK))
            while True:
                cursor, rows = await self._evolved_beyond(connection, cursor, everything=False, limit=LAST_ROWS)
                if rows < LAST_ROWS:
                    break
            epochs = await self._redrive_as_there(connection, projector, schema, losses)
            self._refuse(await losses.judge(connection, folded))
            # What an older open transaction holds back is folded under the locks; more than that, and it has to end first.
            if len(losses.late) > LAST_ROWS or await connection.fetchval(HELD_BACK, *cursor, LAST_ROWS + 1) > LAST_ROWS:
                await asyncio.sleep(WAIT)
                continue
            if await self._topic(log_end) != (self._cluster, self._topic_id):
                raise LogTruncated(f"The topic {self._topics.lifecycle} was recreated meanwhile. Nothing was swapped.")
            before = {place: replace(position) for place, position in projector.positions.items()}
            try:
                return await self._swap(connection, consumer, projector, cursor, schema, epochs, losses)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, NotSwapped, TimeoutError):
                projector.positions = {place: replace(position) for place, position in before.items()}  # as the rollback left them
                for place, position in before.items():
                    consumer.seek(place, position.next)
                await asyncio.sleep(WAIT)
        raise NotSwapped(
            f"{self._service.source} was ahead or busy at {SWAP_TRIES} swaps in a row. Try again with less traffic, and once no "
            "old transaction is open on its PostgreSQL (pg_stat_activity: backend_xid), in whatever database."
        )

    async def _topic(self, log_end: LogEnd) -> tuple[str, str]:
        """Kafka's cluster id and the topic's. Raises ConnectionError where there is no such topic."""
        seen = await log_end.topics([self._topics.lifecycle])
        if self._topics.lifecycle not in seen.topics:
            raise ConnectionError(f"Kafka has no topic {self._topics.lifecycle}.")
        return seen.cluster, seen.topics[self._topics.lifecycle].id

    def _refuse(self, loss: Loss) -> None:
        self._lost = loss
        if loss and not self._accept_loss:
            name = self._service.source
            raise WouldLose(
                f"The new state would lose {loss}. Find out why: redress verify {name}. If all of it may go: "
                f"redress rebuild {name} --accept-loss {name}"
            )

    async def _redrive_as_there(
        self, connection: asyncpg.Connection, projector: Projector, schema: str, losses: Losses
    ) -> list[asyncpg.Record]:
        """What somebody redrove or skipped in the live state, before or meanwhile, here too. Returns its epochs: a redrive moves one."""
        live = (await one(connection, "SELECT schema FROM public.live"))["schema"]
        epochs = await connection.fetch(EPOCHS.format(schema=live))
        projector.skips = self._skips = await load_skips(connection)
        await connection.execute(SKIPPED_ASIDE)
        here, there = [
            {row["subject"]: row["stumbled"] for row in await connection.fetch(STUMBLED.format(schema=each))} for each in (schema, live)
        ]
        losses.touched(subject for subject in here.keys() | there.keys() if here.get(subject) != there.get(subject))
        if differing := [subject for subject, record in here.items() if there.get(subject) != record]:
            search_path = {"search_path": f"{schema},public"}
            async with connections.pool(self._owner_dsn, min_size=1, max_size=1, server_settings=search_path) as pool:
                parking = Parking(self._service.source, self._states, self._reader, pool)
                for subject in differing:
                    await parking.redrive(subject)
            for row in await connection.fetch(EPOCHS.format(schema=schema)):
                projector.positions[TopicPartition(row["topic"], row["partition"])].epoch = row["epoch"]
        return list(epochs)

    async def _until(self, consumer: Consumer, projector: Projector, wanted: Ends) -> AsyncIterator[dict[TopicPartition, list[Record]]]:
        observed = monotonic()
        while any(projector.positions[place].next < end for place, end in wanted.items()):
            following = {place: position.next for place, position in projector.positions.items()}
            try:
                batch = await poll(consumer, following, 200, CHUNK // 2)
            except OffsetOutOfRangeError as error:
                raise LogTruncated("The log lost records while the new state followed it. Nothing was swapped.") from error
            if batch:
                observed = monotonic()
                yield batch
            else:
                check_silence(observed)

    async def _evolved_beyond(
        self, connection: asyncpg.Connection, cursor: JournalCursor, *, everything: bool, limit: int
    ) -> tuple[JournalCursor, int]:
        """Fold journal rows beyond the cursor into the new state. everything: no writer is left who could come below."""
        rows = await connection.fetch(BEYOND, *cursor, everything, limit)
        if not rows:
            return cursor, 0
        contract = self._service.contract
        subjects = {subject_of(contract, row["stream"], row["type"]) for row in rows}
        events = [(row["stream"], row["type"], row["data"]) for row in rows]
        await fold_own(connection, contract, self._states, self._lookups, events, subjects, self._base)
        return (rows[-1]["transaction_id"], rows[-1]["global_position"]), len(rows)

    async def _swap(
        self,
        connection: asyncpg.Connection,
        consumer: Consumer,
        projector: Projector,
        cursor: JournalCursor,
        schema: str,
        epochs: list[asyncpg.Record],
        losses: Losses,
    ) -> float:
        """Commands wait from the locks to the commit. Raises NotSwapped where too much is left to fold, and WouldLose."""
        old = (await one(connection, "SELECT schema FROM public.live"))["schema"]
        async with asyncio.timeout(LOCKED), connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '200ms'; SET LOCAL synchronous_commit = on")
            began = monotonic()
            await connection.execute(f"LOCK TABLE {old}.consumer_offsets IN EXCLUSIVE MODE")
            await connection.execute(f"LOCK TABLE {old}.state IN EXCLUSIVE MODE")
            if list(await connection.fetch(EPOCHS.format(schema=old))) != epochs:
                raise NotSwapped("Somebody redrove meanwhile.")
            rows = await connection.fetch(
                f"SELECT topic, partition, next FROM {old}.consumer_offsets WHERE topic = $1", self._topics.lifecycle
            )
            live = {TopicPartition(row["topic"], row["partition"]): row["next"] for row in rows if not self._another_log}
            if sum(max(0, end - projector.positions[place].next) for place, end in live.items()) > LAST_ROWS:
                raise NotSwapped("The live state has read much further.")
            async for batch in self._until(consumer, projector, live):  # it stands still now: what it read since is soon read here
                await projector.project(connection, batch)
                self._followed(batch, live, losses)
            _, last = await self._evolved_beyond(connection, cursor, everything=True, limit=LAST_ROWS + 1)
            if last > LAST_ROWS:
                raise NotSwapped("The journal has grown too far.")
            if (loss := await losses.since(connection, LAST_ROWS)) is None:
                raise NotSwapped("Too much has changed since the states were compared.")
            if loss:
                self._refuse(loss)
            await connection.execute(KEYS_OFFSETS.format(live=old), self._topics.keys, self._cluster)
            await connection.execute(f"INSERT INTO dead_letters SELECT * FROM {old}.dead_letters WHERE topic = $1", self._topics.keys)
            # Of whom was forgotten since their values were opened. Who is forgotten right now is so again: the position stands.
            await connection.execute(FORGET_ALL)
            await connection.execute("INSERT INTO caught_up DEFAULT VALUES")
            await connection.execute("UPDATE public.live SET schema = $1, fold = $2", schema, self._fold)
            await connection.execute("UPDATE public.rebuilds SET live_at = now() WHERE schema = $1", schema)
            await connection.execute(f"ALTER SCHEMA {old} RENAME TO {old}_retired")
        return monotonic() - began


@contextmanager
def more_processes(service: Verified, records: int) -> Iterator[list[FillingProcess]]:
    """As many as a log of so many records is worth on this machine."""
    processes = [FillingProcess(service) for _ in range(worth(records))]
    try:
        yield processes
    finally:
        for each in processes:
            each.end()


async def drop_left_overs(connection: asyncpg.Connection, ours: str) -> None:
    """Drop schemas that nobody needs; one that somebody still reads is left for the next run."""
    for row in await connection.fetch(LEFT_OVER, ours):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '2s'")
                await connection.execute(f"DROP SCHEMA {row['nspname']} CASCADE")
        except asyncpg.LockNotAvailableError:
            continue


def _never() -> Any:
    raise AssertionError("A rebuild brings its own connection, and reads no keys.")
