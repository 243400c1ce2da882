"""Kafka → state: events folded in batches, offset and state moved in one transaction, what cannot be folded parked.

The offset in PostgreSQL is the truth. Its fence (`next` and `epoch` as expected) stands before all that is folded, because
aiokafka makes an assignment live before its listener runs (#738) and rebalances while a batch is processed (#929): whoever does not hold
the fence stops.

Longer than most: reading on, folding a batch and fencing it are one argument, and are read together. Which partitions are read, and from
where, is `redress_spine.messaging.following`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace

import asyncpg
import orjson
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from redress_events.vocabulary import LIFECYCLE
from redress_spine import tracing
from redress_spine.messaging.following import Following
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.kafka_rights import group
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.mac import NotProved
from redress_spine.messaging.pace import Pace
from redress_spine.messaging.polling import LONG_POLL_MS, POLL_TIMEOUT, gather, poll
from redress_spine.messaging.positions import Anchor, Position, Refusal
from redress_spine.messaging.records import DeadLetter, DecodedRecord, Elsewhere, Reader, Record, RejectedRecord
from redress_spine.messaging.relay import close
from redress_spine.messaging.topics import Topics
from redress_spine.processing.clock import monotonic
from redress_spine.processing.projections import Changes, NotProjected
from redress_spine.processing.skips import Skips, skip_of, skips_of
from redress_spine.store.errors import safe_message
from redress_spine.store.fold import Folding
from redress_spine.store.forgetting import forget
from redress_spine.store.saving import FENCE_LOST, OVERTAKEN, Move, fence, save, save_at_once, store_dead_letters
from redress_spine.store.states import States
from redress_spine.store.vault import PROOF, KeyRecord, Vault
from redress_spine.tracing import Tracer

log = structlog.get_logger(__name__)

BATCH = 500  # records in a transaction: 1 gives 1.6k events/s, 500 give 134k
PACE = 0.00026, 0.068  # seconds that a fetch waits for more, for each event a second, and at most
PATIENT = 4.0  # times as long, where nothing that came made anything due that others wait for
URGENT = 1.0  # seconds for which a batch that made something urgent due says that the next will
LEAST_WAIT = 0.017  # seconds: for less a fetch does not wait, for it would come back with next to nothing, again and again
MAX_BATCH_PAUSE = 0.001, 0.020  # seconds for each record of a projection, and at most: so that the next has more to fold
FULL_BATCH_PAUSE = 0.010  # seconds, where more is waiting: for commands
LAZY_COMMIT = 5.0
REMEMBERED = 4_000  # own events that the relay sends from here: more than come back in a second
HURRY = 1.0  # seconds for which no fetch waits for more, where somebody waits until the log was read, or will in a moment
FAILING = 60.0  # seconds after a failure: long enough to be seen by who looks now and then

# Index: state_pkey.
ROWS = "SELECT subject, parked, read, cause, observed, own, decided FROM state WHERE subject = ANY ($1::text[])"
# Index: events_pkey.
JOURNAL = """
SELECT e.stream, e.version, e.hash FROM events e JOIN unnest($1::text[], $2::bigint[]) w (stream, version) USING (stream, version)
"""


TIMELINE = "SELECT timeline_now()"
# What PostgreSQL raises for a value that no column or index takes, and what a projection cannot show: the record's fault, not the moment's.
NOT_STORABLE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError, NotProjected)
NOT_STORED = "PostgreSQL or a projection does not accept the state that it was folded into."


class FenceLost(Exception):
    """Another projector moved these partitions, or a redrive touched them."""


class Projector:
    """connect: makes a database connection of the projector's own. projected: called after each batch with what it changed; says
    whether that made anything urgent due. tracer: where what was folded is told of."""

    def __init__(
        self,
        *,
        source: str,
        kafka: KafkaClients | str,
        topics: Topics,
        states: States,
        reader: Reader,
        vault: Vault,
        log_end: LogEnd,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        projected: Callable[[Sequence[Changes]], bool],
        tracer: Tracer | None = None,
    ) -> None:
        self._source = source
        self._kafka = KafkaClients.of(kafka)
        self._topics = topics
        self._states = states
        self._reader = reader
        self._vault = vault
        self._log_end = log_end
        self._connect = connect
        self._projected = projected
        self._tracer = tracer
        self.skips: Skips = {}
        self._hurries_until = monotonic()
        self._timeline: int | None = None  # of the journal that it looks into
        self._sent: dict[tuple[str, int], bytes] = {}  # own events on their way to the log and back, by stream and version: their hashes
        self._following = Following(source, topics, log_end)
        self.timestamps: dict[TopicPartition, int] = {}
        self.under_way = 0  # batches
        self.set_aside: Counter[str] = Counter()  # records, by reason
        self.size = BATCH  # of the next batch: halved after a failure, for what takes longer than a transaction may would never be done
        self.failed_at: float | None = None
        self.failure = ""  # the last one
        self.lacks: str | None = None  # the right that it would need to read
        self.progress = monotonic()  # of the last turn, whatever came of it: what liveness looks at

    @property
    def positions(self) -> dict[TopicPartition, Position]:
        """Of what is read; a partition that is refused, or still compared with what was read before, has none."""
        return self._following.positions

    @positions.setter
    def positions(self, positions: dict[TopicPartition, Position]) -> None:
        self._following.positions = positions

    @property
    def refused(self) -> Mapping[TopicPartition, Refusal]:
        """The partitions of this replica whose log is not the one that was read."""
        return self._following.refused

    @property
    def partitions(self) -> list[int]:
        """The lifecycle partitions that are this replica's, and read: work is done on these alone."""
        return sorted(each.partition for each in self.positions if each.topic == self._topics.lifecycle)

    @property
    def alone(self) -> bool:
        """Every partition is this replica's: no other decides anything of its own, if there is one."""
        return len(self.partitions) == self._states.partitions

    @property
    def failing(self) -> bool:
        """It failed within the last minute."""
        return self.failed_at is not None and monotonic() - self.failed_at < FAILING

    async def run(self) -> None:
        """Consume forever; a broken client or connection is replaced."""
        ticking = asyncio.create_task(self._following.tick())
        try:
            await self._run()
        finally:
            ticking.cancel()

    async def _run(self) -> None:
        delay, started = 0.1, monotonic()
        while True:
            self.progress = monotonic()
            consumer, connection = None, None
            try:
                cluster = await self._log_end.cluster()
                async with asyncio.timeout(POLL_TIMEOUT):
                    connection = await self._connect()
                    timeline = await connection.fetchval(TIMELINE)
                    self._sent, self._timeline = {}, timeline  # the journal may be another
                    consumer = await self._subscribe()
                started = monotonic()
                await self._consume(consumer, connection, cluster)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.lacks = self._kafka.lacking(error)
                self.failed_at, self.failure = monotonic(), self.lacks or safe_message(error)
                log.warning("projector-failed", service=self._source, error=self.failure)
                self.size = max(1, self.size // 2)
                delay = min(delay * 2, 2.0) if consumer is None or monotonic() - started < 1 else 0.1
            finally:
                self._following.clear()
                if consumer is not None:
                    await close(consumer)
                if connection is not None:
                    connection.terminate()
            self._log_end.lost()
            await asyncio.sleep(delay)

    async def _subscribe(self) -> Consumer:
        """To what is there: the client does not start with a topic that is not. Once it is, `Following.look` sees to it."""
        seen = await self._log_end.topics(both := [self._topics.lifecycle, self._topics.keys])
        consumer = self._kafka.consumer(
            role=f"{self._source}-projector",
            group_id=group(self._source, self._topics.prefix),
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=3_000,
            heartbeat_interval_ms=1_000,
            request_timeout_ms=4_000,
            fetch_max_wait_ms=LONG_POLL_MS,
            metadata_max_age_ms=30_000,
        )
        consumer.subscribe([name for name in both if name in seen.topics] or both, listener=self._following)
        try:
            await consumer.start()
        except BaseException:
            await close(consumer)
            raise
        return consumer

    async def _consume(self, consumer: Consumer, connection: asyncpg.Connection, cluster: str) -> None:
        committed, pace, urgent = monotonic(), Pace(*PACE), -URGENT
        while True:
            now = monotonic()
            wait = pace.wait * (1.0 if now - urgent < URGENT else PATIENT)
            gather(consumer, round(wait * 1_000) if wait >= LEAST_WAIT and now > self._hurries_until else 0)
            await self._following.look(consumer)
            await self._take_up(consumer, connection, cluster)
            try:
                polled = await poll(consumer, self._following.offsets, LONG_POLL_MS, self.size)
            except NoOffsetForPartitionError:
                self._following.let_go(list(self.positions))
                continue
            except OffsetOutOfRangeError as error:  # of these alone: what is wrong with them is found when they are taken up again
                self._following.let_go(error.args[0])
                await asyncio.sleep(MAX_BATCH_PAUSE[1])
                continue
            finally:
                self.progress = monotonic()
            self.lacks = None
            if self._following.joining or self._following.slept():
                continue
            batch = {}
            for place, records in polled.items():
                if fresh := await self._following.expected(connection, place, records):
                    batch[place] = fresh
            if batch:
                self.under_way += 1
                try:
                    written = await self.project(connection, batch)
                except FenceLost:
                    log.warning("fence-lost", service=self._source, partitions=[str(place) for place in batch])
                    self._following.let_go(batch)
                    continue
                finally:
                    self.under_way -= 1
                self._following.moved(batch)
                self.size = min(BATCH, self.size * 2)
                if self._projected(written):
                    urgent = monotonic()
                count = sum(map(len, batch.values()))
                pace.came(count)
                await asyncio.sleep(min(MAX_BATCH_PAUSE[0] * count, MAX_BATCH_PAUSE[1]) if count < BATCH else FULL_BATCH_PAUSE)
            if monotonic() - committed > LAZY_COMMIT:
                committed = monotonic()
                await self._commit_lazily(consumer)

    def hurry(self) -> None:
        """Somebody waits until the log was read up to now, or will in a moment."""
        self._hurries_until = monotonic() + HURRY

    def sending(self, rows: Sequence[asyncpg.Record]) -> None:
        """These of our events, just read in the journal, go to the log: what comes back of them has not to be looked for there."""
        for row in rows:
            if row["topic"] == LIFECYCLE and row["timeline"] == self._timeline:
                self._sent[row["stream"], row["version"]] = row["hash"]
        while len(self._sent) > REMEMBERED:
            del self._sent[next(iter(self._sent))]

    async def _take_up(self, consumer: Consumer, connection: asyncpg.Connection, cluster: str) -> None:
        """Newly assigned partitions start where PostgreSQL says; those taken away are let go."""
        if new := await self._following.take_up(consumer, connection, cluster):
            self.skips = {**self.skips, **await skips_of(connection, list(new))}

    async def project(self, connection: asyncpg.Connection, batch: Mapping[TopicPartition, list[Record]]) -> list[Changes]:
        """Fold outside, then write all of it in one transaction that begins with the fence, which is one statement where nothing is in its
        way. → what it changed; nothing where no row was written. Raises FenceLost.

        Where PostgreSQL refuses a value, halves find the record that it came from, and that is parked.
        """
        try:
            return await self._project(connection, batch)
        except NOT_STORABLE as error:
            places = sorted(batch)
            if len(places) > 1:
                halves = [{place: batch[place] for place in part} for part in (places[: len(places) // 2], places[len(places) // 2 :])]
            elif len(records := batch[places[0]]) > 1:
                halves = [{places[0]: part} for part in (records[: len(records) // 2], records[len(records) // 2 :])]
            else:
                return await self._project(connection, batch, refused=type(error).__name__)
            return [changed for half in halves for changed in await self.project(connection, half)]

    async def _project(
        self, connection: asyncpg.Connection, batch: Mapping[TopicPartition, list[Record]], refused: str | None = None
    ) -> list[Changes]:
        began = tracing.now()
        dead_letters: list[DeadLetter] = []
        keys: dict[str, KeyRecord] = {}
        items: list[DecodedRecord | RejectedRecord] = []
        records = [record for each in batch.values() for record in each if not record.mark]
        known = await self._written_by_us(connection, records)
        for n, record in enumerate(records):
            if n % 50 == 49:
                await asyncio.sleep(0)
            if record.topic == self._topics.keys:
                if self._reader.is_elsewhere((record.key or b"").decode("utf-8", "replace")):
                    continue
                key = judged_key(self._reader, self._vault, record)
                if isinstance(key, DeadLetter):
                    dead_letters.append(key)
                # A key is never exchanged for another, and a tombstone wins.
                elif key is not None and (key[0] not in keys or record.value is None):
                    keys[key[0]] = key[1]
            elif n not in known:
                judged = self._reader.judge(record)
                if isinstance(judged, DeadLetter):
                    dead_letters.append(judged)
                elif not isinstance(judged, Elsewhere):
                    items.append(judged)
                    if (forgotten := self._forgotten(judged)) is not None:
                        keys[judged.subject] = forgotten
        dead_letters = [each for each in dead_letters if skip_of(self.skips, each.record) is None]
        own = [item for item in items if isinstance(item, DecodedRecord) and item.envelope.source == self._source]
        foldings = await self._load(connection, {item.subject for item in items})
        journal = await self._journal(connection, [(item.subject, item.envelope.version) for item in own])
        for n, item in enumerate(items):
            if n % 50 == 49:
                await asyncio.sleep(0)
            if isinstance(item, DecodedRecord) and item.envelope.source == self._source:
                if skip_of(self.skips, item.record) is None:
                    foldings[item.subject].compare(item, journal)
            elif refused:
                foldings[item.subject].park(item.record, "not-stored", f"{NOT_STORED} ({refused})")
            else:
                foldings[item.subject].take(item, skip_of(self.skips, item.record))
        read = {place: _behind(self.positions[place], records) for place, records in batch.items()}
        moves: list[Move] = [(place.topic, place.partition, *self._move(place, read[place])) for place in batch]
        touched = [folding for folding in foldings.values() if folding.touched]
        for n, folding in enumerate(touched):
            if n % 50 == 49:
                await asyncio.sleep(0)
            folding.changes = folding.project()
        try:
            written = await self._saved(connection, moves, touched, dead_letters, keys)
        except asyncpg.PostgresError as error:
            if error.sqlstate == FENCE_LOST:
                raise FenceLost from None
            raise
        if self._tracer is not None:
            tracing.folded(self._tracer, items, began)
        for place, records in batch.items():
            self.positions[place] = read[place]
            self.timestamps[place] = records[-1].timestamp or self.timestamps.get(place, 0)
        for folding in touched:
            for waiting in folding.waiting[:1]:
                if waiting.reason != "behind":
                    log.error("parked", service=self._source, subject=folding.subject, reason=waiting.reason, detail=waiting.detail)
        for one in dead_letters:
            self.set_aside[one.reason] += 1
            log.error("set-aside", service=self._source, topic=one.record.topic, offset=one.record.offset, reason=one.reason)
        return written

    def _forgotten(self, judged: DecodedRecord | RejectedRecord) -> KeyRecord | None:
        """What the record does to its subject's key, also where the subject is parked. The tombstone does the same; but that may be gone,
        when a key comes back with a backup."""
        if not isinstance(judged, DecodedRecord) or skip_of(self.skips, judged.record) is not None:
            return None
        return self._vault.destroyed_by(judged.subject, judged.event)

    async def _saved(
        self,
        connection: asyncpg.Connection,
        moves: Sequence[Move],
        touched: list[Folding],
        dead_letters: list[DeadLetter],
        keys: Mapping[str, KeyRecord],
    ) -> list[Changes]:
        """In one statement, but for what waits, is set aside, was forgotten, or was overtaken by a decision. In a transaction of somebody's
        a statement that fails would end that. Raises asyncpg.PostgresError with FENCE_LOST or RESTORED."""
        seldom = dead_letters or any(each.waiting for each in touched) or any(each.wrapped is None for each in keys.values())
        if not seldom and not connection.is_in_transaction():
            try:
                return await save_at_once(connection, moves, touched, keys, self._timeline)
            except asyncpg.PostgresError as error:
                if error.sqlstate != OVERTAKEN:
                    raise
        await self._vault.store(connection, keys)  # whoever stores one too late, or twice, harms nobody: the fence need not hold for it
        async with connection.transaction():
            await fence(connection, moves, self._timeline)
            written = [await save(connection, touched)] if touched else []
            if forgotten := [subject for subject, each in keys.items() if each.wrapped is None]:
                await forget(connection, forgotten)  # once more: what was sealed for them came with this page
            if dead_letters:
                await store_dead_letters(connection, dead_letters)
        return written

    def _move(self, place: TopicPartition, read: Position) -> tuple[int, int, int, str | None, int | None, bytes | None]:
        held = self.positions[place]
        return held.next, held.epoch, read.next, read.topic_id, *(read.last or (None, None))

    async def _load(self, connection: asyncpg.Connection, subjects: set[str]) -> dict[str, Folding]:
        foldings = {row["subject"]: self.folding(row["subject"], row) for row in await connection.fetch(ROWS, sorted(subjects))}
        for subject in subjects - foldings.keys():
            foldings[subject] = self.folding(subject)
        return foldings

    def folding(self, subject: str, row: asyncpg.Record | None = None) -> Folding:
        codec = self._states.codec(subject)
        partition = self._states.partition(subject)
        if row is None:
            return Folding(subject, partition, codec, codec.aggregate.facets[0](), {})
        observed, read = codec.load_observed(row["observed"]), orjson.loads(row["read"])
        return Folding(
            subject, partition, codec, observed, read, row["cause"], row["parked"], stored_own=row["own"], decided=row["decided"]
        )

    async def _written_by_us(self, connection: asyncpg.Connection, records: Sequence[Record]) -> set[int]:
        """The places of records that are to the byte what our journal has: there is nothing in them to judge or to compare."""
        claims = {n: claim for n, record in enumerate(records) if (claim := self._reader.claims_to_be_ours(record))}
        known = {n for n, claim in claims.items() if self._sent.pop(claim, None) == records[n].headers["hash"]}
        journal = await self._journal(connection, {claim for n, claim in claims.items() if n not in known})
        return known | {n for n, claim in claims.items() if journal.get(claim) == records[n].headers["hash"]}

    async def _journal(self, connection: asyncpg.Connection, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
        if not wanted:
            return {}
        rows = await connection.fetch(JOURNAL, [stream for stream, _ in wanted], [version for _, version in wanted])
        return {(row["stream"], row["version"]): row["hash"] for row in rows}

    async def _commit_lazily(self, consumer: Consumer) -> None:
        """For lag tools and autoscalers alone: PostgreSQL has the offsets that count."""
        offsets = {place: position.next for place, position in self.positions.items() if position.next > 0}
        try:
            async with asyncio.timeout(2):
                if offsets:
                    await consumer.commit(offsets)
        except Exception as error:
            log.debug("lazy-commit-failed", service=self._source, error=type(error).__name__)


def judged_key(reader: Reader, vault: Vault, record: Record) -> tuple[str, KeyRecord] | DeadLetter | None:
    """Whose key a record of the topic of keys has, or why it is nobody's. None: a master key wrapped it that was taken away after its time,
    and the key was sent again, wrapped by a newer one."""
    subject, proof = (record.key or b"").decode("utf-8", "replace"), record.headers.get(PROOF)
    if not reader.is_subject(subject):
        return DeadLetter(record, "no-subject", "The key is not a subject.")
    if isinstance(signer := reader.signer(record, record.chained), NotProved):
        return DeadLetter(record, signer.reason, signer.detail)
    if record.value is None and not vault.proves(subject, proof):
        return DeadLetter(record, "not-proved", "It would destroy this subject's key, without a proof that it may.")
    if record.value is not None and vault.retired(record.value):
        return None
    if record.value is not None and (number := vault.lacks(record.value)) is not None:
        return DeadLetter(record, "not-our-key", f"Master key {number} wrapped it, and is not here. Put its file there, and redrive.")
    if record.value is not None and not vault.unwraps(subject, record.value):
        return DeadLetter(record, "not-our-key", "It was not wrapped by our master key for this subject.")
    return subject, KeyRecord(None, proof) if record.value is None else KeyRecord(vault.anew(subject, record.value))


def _behind(position: Position, records: Sequence[Record]) -> Position:
    """The position behind these records."""
    last = next((Anchor(each.offset, each.hash) for each in reversed(records) if not each.mark), position.last)
    return replace(position, next=records[-1].offset + 1, last=last)
