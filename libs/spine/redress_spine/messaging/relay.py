"""Ships the journal to Kafka: in order, at least once, by one leader for each service.

The reader stays below the oldest running transaction (`pg_snapshot_xmin`), so an event that commits late is never passed over. The
checkpoint moves by compare-and-set, only after every record of a page was acknowledged. Nothing is sent to a topic that was recreated:
what was sent before is missing there, and `redress restore-log` could only write it behind. After any failure the producer is thrown
away: aiokafka's idempotent producer cannot bump its epoch (aiokafka #1017), and its `stop` can hang.

Longer than most: what may be sent, how it is sent and when the checkpoint moves are one argument, and are read together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import orjson
import structlog

from redress_spine import tracing
from redress_spine.messaging.envelope import chain, headers
from redress_spine.messaging.kafka_clients import KafkaClients, Producer
from redress_spine.messaging.kafka_rights import WRITE
from redress_spine.messaging.mac import MacKeys, MacKeysUnusable
from redress_spine.messaging.pace import Pace
from redress_spine.messaging.topic_metadata import ClusterSeen
from redress_spine.messaging.topics import Topics
from redress_spine.processing.clock import monotonic
from redress_spine.store.errors import TopicMadeAnew, WrongCluster, safe_message
from redress_spine.store.states import Connection, one, partition_of
from redress_spine.store.vault import MAKER, PROOF
from redress_spine.tracing import Tracer

log = structlog.get_logger(__name__)

PAGE = 1_000
# Beside each event its subject's key, if that has still to be sent. Index: events_relay, from the checkpoint on, keys_unacknowledged. The
# last rows may be above the watermark: they are there, and not to be sent yet.
READ = """
SELECT e.stream, e.version, e.topic, e.type, e.prevhash, e.hash, e.data, e.transaction_id::text AS transaction_id, e.global_position,
    e.transaction_id < (SELECT pg_snapshot_xmin(pg_current_snapshot())) AS below, (SELECT timeline_now()) AS timeline,
    k.subject, k.wrapped, k.proof
FROM events e
LEFT JOIN LATERAL (
    SELECT k.subject, k.wrapped, k.proof FROM keys k WHERE k.subject = e.stream AND NOT k.acknowledged OFFSET 0
) k ON true
WHERE (e.transaction_id, e.global_position) > ($1::text::xid8, $2)
ORDER BY e.transaction_id, e.global_position
LIMIT $3
"""
# Index: events_relay. It reads so many rows at most, however far Kafka is behind; `head` and `sent` tell the rest by their difference.
COUNTED = 1_000
BACKLOG = f"""
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM events e WHERE (e.transaction_id, e.global_position) > (c.transaction_id, c.global_position)
            ORDER BY e.transaction_id, e.global_position LIMIT {COUNTED + 1}
        ) b) AS counted,
       c.global_position AS sent,
       coalesce((SELECT e.global_position FROM events e ORDER BY e.transaction_id DESC, e.global_position DESC LIMIT 1), 0) AS head
FROM relay_checkpoint c
"""
CHECKPOINT = """
SELECT c.transaction_id::text AS transaction_id, c.global_position, c.kafka_cluster, c.topic_ids::text AS topic_ids, c.keys_from,
    b.timeline = timeline_now() AS at_home
FROM relay_checkpoint c, birthplace b
"""
# Not while somebody adopts the journal.
MOVE = """
UPDATE relay_checkpoint SET transaction_id = $3::text::xid8, global_position = $4, kafka_cluster = $5
WHERE transaction_id = $1::text::xid8 AND global_position = $2 AND EXISTS (SELECT FROM birthplace WHERE timeline = timeline_now())
RETURNING 1
"""
SENT_TO = "UPDATE relay_checkpoint SET topic_ids = $3::jsonb WHERE transaction_id = $1::text::xid8 AND global_position = $2"
BEGINNING = ("0", 0)  # the checkpoint where nothing was sent, or all is to be sent again
# A key that was destroyed while it was sent has a tombstone to be sent yet.
ACKNOWLEDGE = """
UPDATE keys k SET acknowledged = true FROM unnest($1::text[], $2::boolean[]) s (subject, destroyed)
WHERE k.subject = s.subject AND k.destroyed = s.destroyed
"""
MOVE_WITH_KEYS = f"WITH acknowledged AS ({ACKNOWLEDGE.replace('$2', '$7').replace('$1', '$6')}) {MOVE}"
# Both at once: the checkpoint is moved to where the next page begins. One row at least, which says whether it was moved.
_NEXT = READ.replace("$3", "$8").replace("$2", "$4").replace("$1", "$3")
MOVE_AND_READ = f"""
WITH acknowledged AS ({ACKNOWLEDGE.replace("$2", "$7").replace("$1", "$6")}), moved AS ({MOVE})
SELECT m.moved, n.* FROM (SELECT EXISTS (SELECT FROM moved) AS moved) m LEFT JOIN LATERAL ({_NEXT}) n ON true
"""
# All keys again, tombstones too, page by page between the events. Index: keys_pkey.
AGAIN = "SELECT subject, wrapped, proof FROM keys WHERE subject > $1 ORDER BY subject LIMIT $2"
AGAIN_FROM = "UPDATE relay_checkpoint SET keys_from = $2 WHERE keys_from = $1"
# Stands in the checkpoint for the cluster while the log is written again: also where that was broken off, nobody ships behind half a log.
RESTORING = "restore-log"
LEAD = "SELECT pg_try_advisory_lock(hashtext('redress-relay'))"

PACE = 0.0007, 0.035  # seconds between two pages for each event a second, and at most: under load many share what one page costs
POLL_WOKEN = 0.003  # seconds: rows are there but above the watermark
POLL_BUSY = 0.025  # for other replicas' events
POLL_IDLE = 0.2  # after a while without any
POLL_ALONE = 1.0  # the same where no other replica decides anything: our own commits wake it
IDLE_AFTER = 40  # empty polls
PING = 1.0  # seconds between two looks at what others wrote into the checkpoint
PING_ALONE = 3.0  # the same after a while without any event, where there is no other replica
SEND_TIMEOUT = 4.5  # below idle_session_timeout: a leader that waits longer has lost its lock
CLOSE_TIMEOUT = 2.0

# Topic, partition, key, value and headers of a record.
Outgoing = tuple[str, int, bytes, bytes | None, list[tuple[str, bytes]]]


class Deposed(Exception):
    """Somebody else moved the checkpoint, or adopts the journal: this process is no longer the leader."""


class Relay:
    """mac: the keys by which records prove their source. connect: makes a database connection of the relay's own. topics_now: asks Kafka
    for its cluster and the topics' ids. sending: called with each page before it goes, sent: after it. alone: whether no other replica
    decides anything. tracer: where what was sent is told of. refused: why nothing may be sent, in a message. lacks: the right that it
    would need."""

    def __init__(
        self,
        *,
        source: str,
        kafka: KafkaClients | str,
        topics: Topics,
        partitions: int,
        mac: MacKeys,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        topics_now: Callable[[], Awaitable[ClusterSeen]],
        sending: Callable[[Sequence[Any]], None] = lambda rows: None,
        sent: Callable[[], None] = lambda: None,
        alone: Callable[[], bool] = lambda: False,
        page: int = PAGE,
        tracer: Tracer | None = None,
    ) -> None:
        self._source = source
        self._topics = topics
        self._kafka = KafkaClients.of(kafka)
        self._partitions = partitions
        self._mac = mac
        self._connect = connect
        self._topics_now = topics_now
        self._sending = sending
        self._sent = sent
        self._alone = alone
        self._page = page
        self._tracer = tracer
        self._size = page  # of the next page: halved after a failure, for a page that is too large to be sent in time would never go
        self._woken = asyncio.Event()
        self._sender = Sender(kafka, f"{source}-relay")
        self._send = self._sender.send
        self.leader = False
        self.refused: str | None = None
        self.lacks: str | None = None
        self.progress = monotonic()  # of the last turn, whatever came of it: what liveness looks at

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Lead when nobody else does, forever."""
        delay = 0.1
        while True:
            self.progress = monotonic()
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    connection = await self._connect()
                try:
                    if await connection.fetchval(LEAD):
                        self.leader = True
                        delay = 0.1
                        await self._lead(connection)
                    else:
                        self.refused = self.lacks = None  # whoever leads knows
                finally:
                    self.leader = False
                    await self._sender.drop()
                    connection.terminate()
            except asyncio.CancelledError:
                raise
            except Deposed:
                log.warning("relay-deposed", service=self._source)
            except Exception as error:
                self.refused = str(error) if isinstance(error, (MacKeysUnusable, WrongCluster, TopicMadeAnew)) else self.refused
                self.lacks = self._kafka.lacking(error) or self.lacks
                log.warning("relay-failed", service=self._source, error=self.lacks or safe_message(error))
                delay = min(delay * 2, 2.0)
                self._size = max(1, self._size // 2)
            await asyncio.sleep(delay if delay > 0.1 else PING)

    async def _lead(self, connection: asyncpg.Connection) -> None:
        start = await one(connection, CHECKPOINT)
        cursor = (start["transaction_id"], start["global_position"])
        seen = await self._topics_now()
        cluster = seen.cluster
        if start["kafka_cluster"] == RESTORING:
            raise WrongCluster("The log was being restored, and is not complete yet. Complete it: redress restore-log")
        if start["kafka_cluster"] not in (None, cluster):
            raise WrongCluster(f"The relay's checkpoint belongs to the Kafka cluster {start['kafka_cluster']}, this one is {cluster}.")
        # By the journal's names for them. From the beginning all is sent again, wherever that is.
        sent_to: dict[str, str] = {} if cursor == BEGINNING else orjson.loads(start["topic_ids"])
        self._compare(sent_to, seen)
        self.refused = None
        empty, looked, keys_from = 0, monotonic(), start["keys_from"]
        gone: dict[str, bool] = {}  # keys that went with the page before; whether as tombstones
        moving: list[Any] | None = None  # the page before went, and the checkpoint has still to be moved behind it
        following: list[Any] = []
        ahead = stuck = False  # rows are there, above the watermark; and none below it
        pace = Pace(*PACE)
        try:
            while True:
                self.progress = monotonic()
                self._woken.clear()
                # Somebody may have moved it, or asked for all keys: `redress send-keys`.
                if (now := monotonic()) - looked >= (PING_ALONE if empty and self._alone() else PING):
                    if moving is not None:  # under load there is always a page behind which it has still to be moved
                        await move(connection, moving)
                        moving = None
                    looked, held = now, await one(connection, CHECKPOINT)
                    if not held["at_home"]:
                        raise Deposed
                    keys_from = held["keys_from"]
                    if (moved := (held["transaction_id"], held["global_position"])) != cursor:
                        log.warning("relay-checkpoint-moved", service=self._source)
                        cursor, following = moved, []
                        sent_to = {} if cursor == BEGINNING else orjson.loads(held["topic_ids"])
                    with suppress(ConnectionError):  # sending will tell
                        seen = await self._topics_now()
                        self._compare(sent_to, seen)
                if keys_from is not None:
                    keys_from = await self._send_again(connection, keys_from, seen)
                if not following:
                    asked = self._size if not stuck else 1  # all of it may be above the watermark for as long as some transaction is open
                    following, ahead = await (
                        read_page(connection, cursor, asked) if moving is None else move_and_read(connection, moving, asked)
                    )
                    moving = None
                    stuck = ahead and not following
                rows, following = following, []
                if rows:
                    empty = 0
                    last = (rows[-1]["transaction_id"], rows[-1]["global_position"])
                    full = len(rows) >= asked
                    asked = self._size
                    self._sending(rows)
                    began = tracing.now()
                    # A page that was read ahead may have keys that went meanwhile: behind a tombstone they may not go again.
                    keys = {row["subject"]: row for row in rows if gone.get(row["subject"]) != (row["wrapped"] is None)}
                    keys.pop(None, None)
                    following = await self._ship(connection, rows, keys.values(), last if full else None)
                    if self._tracer is not None:
                        tracing.sent(self._tracer, rows, began)
                    gone = {subject: keys[subject]["wrapped"] is None for subject in sorted(keys)}
                    if fresh := {row["topic"] for row in rows} - sent_to.keys():
                        there = {name: seen.topics.get(self._topics(name)) for name in fresh}
                        sent_to |= {name: topic.id for name, topic in there.items() if topic is not None}
                        await connection.execute(SENT_TO, *cursor, orjson.dumps(sent_to).decode())
                    moving = [*cursor, *last, cluster, list(gone), list(gone.values())]
                    if full or keys_from is not None:
                        await move(connection, moving)
                        moving = None
                    cursor, self.lacks = last, None
                    self._size = min(self._page, self._size * 2)
                    self._sent()
                    pace.came(len(rows))
                    if full:
                        continue
                    await asyncio.sleep(pace.wait)
                else:
                    empty += 1
                if keys_from is not None:
                    continue
                alone = self._alone()
                busy = moving is not None or (empty < IDLE_AFTER and not alone)
                pause = POLL_WOKEN if ahead else POLL_BUSY if busy else POLL_ALONE if alone else POLL_IDLE
                try:  # each turn asks the database something within some seconds, so `idle_session_timeout` ends only a stopped leader
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                except TimeoutError:
                    pass
        finally:  # who ends, or is stopped, in order lets nobody send a page again
            if moving is not None:
                with suppress(Exception):
                    async with asyncio.timeout(CLOSE_TIMEOUT / 2):
                        await move(connection, moving)

    def _compare(self, sent_to: Mapping[str, str], seen: ClusterSeen) -> None:
        """Raises TopicMadeAnew."""
        for name, id in sent_to.items():
            topic = seen.topics.get(self._topics(name))
            if topic is not None and topic.id != id:
                raise TopicMadeAnew(
                    f"Topic {self._topics(name)} was recreated: events of {self._source} were sent to the one with id {id}, and this is "
                    f"{topic.id}. Nothing is sent until they are restored: redress restore-log (docs/restore.md)."
                )

    async def _ship(
        self, connection: asyncpg.Connection, rows: Sequence[Any], keys: Collection[Any], after: tuple[str, int] | None
    ) -> list[Any]:
        """Keys first; then the events they seal; then tombstones, so that there is none without the event that it follows from. after: from
        a backlog, the page behind this one is read meanwhile."""
        await self._send_keys([row for row in keys if row["wrapped"] is not None])
        following = await self._ship_events(rows, connection, after)
        await self._send_keys([row for row in keys if row["wrapped"] is None])
        return following

    async def _send_keys(self, keys: Sequence[Any]) -> None:
        if keys:
            await self._send(key_record(self._topics, self._mac, self._source, row) for row in keys)

    async def _ship_events(self, rows: Sequence[Any], connection: asyncpg.Connection, after: tuple[str, int] | None) -> list[Any]:
        # One at a time: a page of them at once is what the garbage collector would walk.
        records = (outgoing(self._topics, self._partitions, self._mac, self._source, row) for row in rows)
        if after is None:
            await self._send(records)
            return []
        sending = asyncio.create_task(self._send(records))
        try:
            following, _ = await read_page(connection, after, self._size)
            await sending
        finally:  # nothing is sent any more when this page has failed: the next one gets a producer of its own
            sending.cancel()
            await asyncio.wait([sending])
        return following

    async def _send_again(self, connection: asyncpg.Connection, after: str, seen: ClusterSeen) -> str | None:
        """One page of all keys that there are, from behind this subject. → where the next one begins; None when all were sent. A service
        that makes no keys sends what it has of them as a help, and only where its user may."""
        topic = seen.topics.get(self._topics.keys)
        if self._source != MAKER and topic is not None and topic.allowed is not None and WRITE not in topic.allowed:
            detail = f"Kafka does not let it. They are {MAKER}'s: redress send-keys {MAKER}"
            log.warning("keys-not-sent", service=self._source, detail=detail)
            await connection.execute(AGAIN_FROM, after, None)
            return None
        keys = await connection.fetch(AGAIN, after, self._page)
        await self._send_keys(keys)
        following = keys[-1]["subject"] if len(keys) == self._page else None  # those made meanwhile go with their events
        await connection.execute(AGAIN_FROM, after, following)
        return following

    async def backlog(self, connection: Connection) -> int:
        """Events that are not shipped: counted up to 1,000, and beyond that told by positions, which have gaps where a commit failed."""
        row = await one(connection, BACKLOG)
        return int(row["counted"] if row["counted"] <= COUNTED else max(row["counted"], row["head"] - row["sent"]))


async def read_page(connection: asyncpg.Connection, after: tuple[str, int], most: int) -> tuple[list[Any], bool]:
    """Rows behind this place that may be sent; and whether there are more that may not, yet."""
    return _below(await connection.fetch(READ, *after, most))


async def move(connection: asyncpg.Connection, moving: Sequence[Any]) -> None:
    """Move the checkpoint behind a page that went, and acknowledge the keys that went with it. Raises Deposed."""
    with_keys = bool(moving[-1])
    if not await connection.fetchval(MOVE_WITH_KEYS if with_keys else MOVE, *(moving if with_keys else moving[:-2])):
        raise Deposed


async def move_and_read(connection: asyncpg.Connection, moving: Sequence[Any], most: int) -> tuple[list[Any], bool]:
    """The same, and read the page behind it. Keys that it acknowledges may come with that page all the same. Raises Deposed."""
    rows = await connection.fetch(MOVE_AND_READ, *moving, most)
    if not rows[0]["moved"]:
        raise Deposed
    return _below([row for row in rows if row["stream"] is not None])


def _below(rows: list[Any]) -> tuple[list[Any], bool]:
    if not rows or rows[-1]["below"]:
        return rows, False
    return [row for row in rows if row["below"]], True


def key_record(topics: Topics, mac: MacKeys, source: str, row: Any) -> Outgoing:
    """A wrapped key as a record of the topic of keys, or the tombstone of one that was destroyed. source: who sends it."""
    key, wrapped = row["subject"].encode(), row["wrapped"]
    proof = [(PROOF, row["proof"])] if wrapped is None else []
    return topics.keys, 0, key, wrapped, [*proof, mac.sign(source, topics.keys, key, wrapped, None, chain(b"", wrapped or b""))]


def outgoing(topics: Topics, partitions: int, mac: MacKeys, source: str, row: Any) -> Outgoing:
    """A journal's row as a record of the log, signed now: a log that is written anew is signed with the newest key. Signed is the hash that
    the journal has: bytes that somebody changed in it are proved by nothing."""
    stream, topic, key, prevhash, value = row["stream"], topics(row["topic"]), row["stream"].encode(), row["prevhash"], row["data"]
    own = headers(stream, source, row["type"], row["version"], prevhash, row["hash"])
    own.append(mac.sign(source, topic, key, value, prevhash, row["hash"]))
    return topic, partition_of(stream, partitions), key, value, own


class Sender:
    """Sends pages of records, in order and acknowledged by all replicas, by an idempotent producer that is thrown away after any failure.
    timeout: seconds that a page may take."""

    def __init__(self, kafka: KafkaClients | str, role: str, timeout: float = SEND_TIMEOUT) -> None:
        self._kafka = KafkaClients.of(kafka)
        self._role = role
        self._timeout = timeout
        self._producer: Producer | None = None

    async def send(self, records: Iterable[Outgoing]) -> None:
        """All records of a page, batched by partition; returns when every one is acknowledged by all replicas."""
        async with asyncio.timeout(self._timeout):
            producer = await self.open_producer()
            batches: dict[tuple[str, int], Any] = {}
            sent: list[asyncio.Future[Any]] = []
            for topic, partition, key, value, own in records:
                place = (topic, partition)
                if place not in batches:
                    batches[place] = producer.create_batch()
                if batches[place].append(timestamp=None, key=key, value=value, headers=own) is None:
                    # Acknowledged before this partition's next one goes: a producer that lets the first expire could still send the second.
                    await (await producer.send_batch(batches[place], topic, partition=partition))
                    batches[place] = producer.create_batch()
                    if batches[place].append(timestamp=None, key=key, value=value, headers=own) is None:
                        raise ValueError(f"A record of {len(value or b'')} bytes does not fit into a batch.")
            for (topic, partition), batch in batches.items():
                sent.append(await producer.send_batch(batch, topic, partition=partition))
            await asyncio.gather(*sent)

    async def open_producer(self) -> Producer:
        if self._producer is None:
            producer = self._kafka.producer(
                self._role,
                acks="all",
                enable_idempotence=True,
                request_timeout_ms=4_000,
                max_batch_size=1_000_000,
                max_request_size=1_048_576,
                linger_ms=0,
                metadata_max_age_ms=30_000,
            )
            try:
                await producer.start()
            except BaseException:
                await close(producer)
                raise
            self._producer = producer
        return self._producer

    async def drop(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await close(producer)


async def close(client: Any) -> None:
    """Stop an aiokafka client that may hang or be broken already."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await (client.stop if hasattr(client, "stop") else client.close)()
    except asyncio.CancelledError:  # aiokafka awaits tasks of its own that it has cancelled; if nobody cancels us, that is all it was
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        log.debug("client-closed-badly", error="CancelledError")
    except Exception as error:
        log.debug("client-closed-badly", error=type(error).__name__)
