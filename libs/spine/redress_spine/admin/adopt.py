"""Takes into a journal what the log has and it lacks: after a restore to a point in time, or a failover that lost what was committed last.

The journal is closed, compared with the log from where its state had read, and only if both agree its own newer events are written to it as
they stand there: bytes, hashes and order. Then it is let in where it is now. Killed at any point it is begun anew without harm: each step
finds what the last run did. Nothing of the journal that is newer than the log is touched: the relay ships that.

Longer than most: that no step harms the next one is seen only where they stand side by side.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import TopicPartition

from redress_spine.admin.rebase import rebase
from redress_spine.aggregate import Verified
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.records import DeadLetter, Reader
from redress_spine.messaging.relay import LEAD, RESTORING, SEND_TIMEOUT, close
from redress_spine.messaging.topics import Topics
from redress_spine.messaging.whole_log import Ends, reader
from redress_spine.processing.clock import monotonic
from redress_spine.processing.parking import NotParked, Parking
from redress_spine.processing.projector import judged_key
from redress_spine.processing.skips import SKIPPED_ASIDE
from redress_spine.store import connections
from redress_spine.store.database import PLANS
from redress_spine.store.errors import safe_message
from redress_spine.store.keyring import Keyring, number_of
from redress_spine.store.lookups import Lookups
from redress_spine.store.master_keys import root_of
from redress_spine.store.own_events import CURE, AdoptionRefused, Continuation, Forked, OwnEvent, OwnEvents, PassedOver, Ranges, records_of
from redress_spine.store.own_folding import fold_own
from redress_spine.store.states import States
from redress_spine.store.vault import KeyRecord, Vault

BATCH = 500  # events in a transaction
SETTLE = 2 * SEND_TIMEOUT  # seconds after which no relay still sends a page that it read from the server that was lost
LEADER = 10.0  # seconds to wait for the relay to notice that the journal is closed
NAMED = 20  # differences that a refusal names
LEASE = "SELECT pg_try_advisory_lock(hashtext('redress-adopt'))"
HERE = """
SELECT l.schema, l.fold, b.timeline, b.system_identifier = s.system_identifier AND b.timeline = timeline_now() AS at_home
FROM live l, birthplace b, pg_control_system() s
"""
MARK = "UPDATE birthplace SET timeline = $1"
AT_HOME = "UPDATE birthplace SET system_identifier = s.system_identifier, timeline = timeline_now() FROM pg_control_system() s"
CLUSTERS = "SELECT kafka_cluster FROM consumer_offsets UNION SELECT kafka_cluster FROM relay_checkpoint WHERE kafka_cluster IS NOT NULL"
# The reasons why an own event waits: the log has it, and the journal has not, or has another one.
OWN_REASONS = "('not-in-journal', 'fork')"
READ = f"""
SELECT o.topic, o.partition, o.next, o.topic_id, o.last_offset, o.last_hash, least(o.next, (
    SELECT min(p."offset") FROM parked p WHERE p.topic = o.topic AND p.partition = o.partition AND p.reason IN {OWN_REASONS}
)) AS begin FROM consumer_offsets o
"""
APPEND = """
INSERT INTO events (stream, version, topic, type, prevhash, hash, data, partition)
SELECT e.stream, e.version, e.topic, e.type, e.prevhash, e.hash, e.data, e.partition
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::int[])
    WITH ORDINALITY e (stream, version, topic, type, prevhash, hash, data, partition, ord) ORDER BY e.ord
"""
LOCK_ROWS = "SELECT 1 FROM state WHERE subject = ANY ($1::text[]) ORDER BY subject FOR UPDATE"
# Like a redrive: a projector that compared an own event with the journal before it was taken in has lost its fence.
TELL_PROJECTORS = "UPDATE consumer_offsets SET epoch = epoch + 1 WHERE topic = $1"
LACKED = f"SELECT DISTINCT subject FROM parked WHERE reason IN {OWN_REASONS} ORDER BY subject"
AdoptionProgress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Adopted:
    """What an adoption came to. events: by type, those taken in by this run. rebased: whether transactions were numbered again."""

    service: str
    events: Counter[str] = field(default_factory=Counter)
    streams: set[str] = field(default_factory=set)
    keys: int = 0
    unparked: int = 0
    rebased: bool = False
    was_at_home: bool = False


class Adoption:
    """fold: of this release. master_key: to tell keys from what is none. settle: seconds, see SETTLE; 0 where nothing can be under way.
    batch: events in a transaction.
    although_truncated: an operator says that nothing of ours was lost with the log's start. log_lost: and that the log that the journal was
    shipped to is gone, so there is nothing to take from it. progress(what, done, all). closed: this run closed the journal to commands and
    did not open it again."""

    def __init__(
        self,
        service: Verified,
        *,
        fold: int,
        owner_dsn: str,
        kafka: KafkaClients | str,
        master_key: Keyring | bytes,
        settle: float = SETTLE,
        batch: int = BATCH,
        although_truncated: bool = False,
        log_lost: bool = False,
        passed_over: PassedOver | None = None,
        progress: AdoptionProgress = lambda *_: None,
    ) -> None:
        self._service = service
        self._fold = fold
        self._owner_dsn = owner_dsn
        self._kafka = KafkaClients.of(kafka)
        self._settle = settle
        self._chunk = batch * 20
        self._although_truncated = although_truncated
        self._log_lost = log_lost
        self.closed = False
        self._progress = progress
        self._topics = Topics(service.topic_prefix)
        self._states = States(service.aggregates, service.partitions)
        self._reader = Reader(service.source, service.aggregates, service.contracts, service.partitions, service.mac)
        self._ring = Keyring.of(master_key)
        self._vault = Vault(self._ring, _never, _never, service.mac)
        self._lookups = Lookups(self._states, self._ring)
        names = sorted({self._topics(event.topic) for event in service.contract.by_type.values()} | {self._topics.lifecycle})
        self._places = [TopicPartition(name, n) for name in names for n in range(service.partitions)]
        self._log = OwnEvents(service, batch, passed_over)
        self._adopted = Adopted(service.source)

    async def run(self) -> Adopted:
        """Raises AdoptionRefused, SharedSession, and what asyncpg and aiokafka raise where a server is away."""
        began = monotonic()
        await connections.demand_sessions(self._owner_dsn, "adopt")
        connection = await connections.connect(self._owner_dsn, server_settings=PLANS)
        log_end = LogEnd(self._service.source, self._kafka)
        try:
            if not await connection.fetchval(LEASE):
                raise AdoptionRefused(f"{self._service.source} is being adopted already.")
            before = await self._close(connection)
            try:
                await self._alone(connection)
                await self._same_cluster(connection, await log_end.cluster())
                self._adopted.rebased = await rebase(connection, self._progress, self._chunk)
                if not self._log_lost:
                    await self._catch_up(connection, log_end, began)
                await self._heal(connection, before["schema"])
            except Forked:
                raise
            except BaseException as error:
                if before["at_home"] and not self._adopted.events:  # it took commands before, and nothing says that it must not
                    try:
                        await connection.execute(MARK, before["timeline"])
                        self.closed = False
                    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as second:
                        error.add_note(f"{self._service.source} stays closed to commands until it is adopted: {safe_message(second)}")
                raise
            await connection.execute(AT_HOME)
            self.closed = False
            return self._adopted
        finally:
            await log_end.stop()
            await connection.close()

    # -- nobody else

    async def _close(self, connection: asyncpg.Connection) -> asyncpg.Record:
        """From here on every commit is refused, also where the journal seems to be where it grew (a copy of its files was put back)."""
        try:
            before = await connection.fetchrow(HERE)
        except asyncpg.ObjectNotInPrerequisiteStateError:
            raise AdoptionRefused("This PostgreSQL is a standby, or still in recovery: promote it first.") from None
        if before is None or before["fold"] != self._fold:
            raise AdoptionRefused(
                f"The state of {self._service.source} was made by fold {before and before['fold']}, this release folds by {self._fold}: "
                "adopt with that release, or rebuild first."
            )
        await connection.execute(f"SET search_path = {before['schema']}, public")
        self.closed = True
        await connection.execute(MARK, 0)
        self._adopted.was_at_home = before["at_home"]
        self._progress("closed to commands", 0, 0)
        return before

    async def _alone(self, connection: asyncpg.Connection) -> None:
        """Become the relay's leader: nothing is shipped while journal and log are compared, or renumbered."""
        end = monotonic() + LEADER
        while not await connection.fetchval(LEAD):
            if monotonic() > end:
                raise AdoptionRefused(f"A relay of {self._service.source} still ships this journal: stop the service, and start again.")
            await asyncio.sleep(0.1)

    async def _same_cluster(self, connection: asyncpg.Connection, cluster: str) -> None:
        known = {row["kafka_cluster"] for row in await connection.fetch(CLUSTERS)} - {RESTORING}
        if self._log_lost and cluster in known:
            raise AdoptionRefused(
                f"This is the Kafka cluster that the journal was shipped to, {cluster}: what is left there must be compared. "
                "Adopt without --log-lost."
            )
        if known - {cluster} and not self._log_lost:
            raise AdoptionRefused(f"The journal was shipped to the Kafka cluster {', '.join(sorted(known))}, this one is {cluster}.")

    # -- compare, then take in

    async def _catch_up(self, connection: asyncpg.Connection, log_end: LogEnd, began: float) -> None:
        """To the log's end as of now, and to its end once no relay of the lost server can be sending any more."""
        consumer = reader(self._kafka, max_poll_records=5_000)
        try:
            await consumer.start()
            await self._log.pass_over(connection, consumer, log_end)
            keys = TopicPartition(self._topics.keys, 0)
            await self._only_what_is_there(log_end, keys.topic)
            ends = await log_end.ask([*self._places, keys])
            following = await self._begin(connection, consumer, log_end, ends)
            while True:
                late = monotonic() - began >= self._settle
                if late:
                    ends = await log_end.ask(self._places)
                ranges = {place: (following[place], ends[place]) for place in self._places}
                await self._look(connection, consumer, ranges)
                await self._take(connection, consumer, ranges)
                following |= {place: end for place, (_, end) in ranges.items()}
                if late:
                    break
                self._progress("waiting for transactions that may still be open", 0, 0)
                await asyncio.sleep(max(0.0, began + self._settle - monotonic()))
            await self._take_keys(connection, consumer, {keys: (following[keys], (await log_end.ask([keys]))[keys])})
        finally:
            await close(consumer)

    async def _only_what_is_there(self, log_end: LogEnd, *more: str) -> None:
        """A topic with fewer partitions than ours, as somebody made it by mistake, is read as far as it goes."""
        names = sorted({*more, *(place.topic for place in self._places)})
        seen = (await log_end.topics(names)).topics
        if gone := [name for name in names if name not in seen]:
            raise AdoptionRefused(f"There is no topic {gone[0]}. If its content is lost, create it as at the first start, then adopt.")
        self._places = [place for place in self._places if place.partition < seen[place.topic].partitions]

    async def _begin(self, connection: asyncpg.Connection, consumer: Consumer, log_end: LogEnd, ends: Ends) -> dict[TopicPartition, int]:
        """Where comparing begins: where the restored state had read to, for what is before was compared then; in a log that is not the one
        that was read, and in a public topic, which no service reads, with the first record."""
        read = {TopicPartition(row["topic"], row["partition"]): row for row in await connection.fetch(READ)}
        seen = await log_end.topics(sorted({place.topic for place in ends}))
        starts = await log_end.starts(list(ends))
        begin, last = dict.fromkeys(ends, 0), {}
        for place, row in read.items():
            if place in ends and row["next"] <= ends[place] and row["topic_id"] in (None, seen.topics[place.topic].id):
                begin[place] = row["begin"]
                if row["last_offset"] is not None and row["last_offset"] >= starts[place]:
                    last[place] = row
        async for records in records_of(consumer, {place: (row["last_offset"], row["last_offset"] + 1) for place, row in last.items()}):
            last = {
                place: row
                for place, row in last.items()
                if not any((each.topic, each.partition) == place and each.hash == row["last_hash"] for each in records)
            }
        begin |= dict.fromkeys((place for place in last if place.topic != self._topics.keys), 0)  # another record stands there, or none
        gone = [
            f"{place.topic}/{place.partition} begins at offset {starts[place]}, and {self._service.source} had read it to {begin[place]} "
            "only: what it lacks may have gone with the rest."
            for place in self._places
            if starts[place] > begin[place]
        ]
        if gone and not self._although_truncated:
            raise AdoptionRefused(*gone[:NAMED], "If you know that none of this service's events were in it, say --although-truncated.")
        return {place: max(at, starts[place]) for place, at in begin.items()}

    async def _look(self, connection: asyncpg.Connection, consumer: Consumer, ranges: Ranges) -> None:
        """Whether all that is missing continues the journal. Raises Forked, before anything was written."""
        problems: list[str] = []
        look = Continuation()
        async for batch in self._log.read(connection, consumer, ranges, lambda *safe_message: self._progress("comparing", *safe_message)):
            await look.missing(connection, batch, problems)
        if problems:
            more = [f"… and {len(problems) - NAMED} more."] if len(problems) > NAMED else []
            raise Forked(*problems[:NAMED], *more, CURE)

    async def _take(self, connection: asyncpg.Connection, consumer: Consumer, ranges: Ranges) -> None:
        async for batch in self._log.read(connection, consumer, ranges, lambda *safe_message: self._progress("adopting", *safe_message)):
            async with connection.transaction():
                await connection.execute(LOCK_ROWS, sorted({own.subject for own in batch}))
                problems: list[str] = []
                missing = await Continuation().missing(connection, batch, problems)
                if problems:
                    raise Forked(*problems, CURE)
                if missing:
                    await self._append(connection, missing)
            self._adopted.events.update(own.type for own in missing)
            self._adopted.streams.update(own.stream for own in missing)

    async def _append(self, connection: asyncpg.Connection, events: list[OwnEvent]) -> None:
        columns = [
            (own.stream, own.version, own.topic, own.type, own.prevhash, own.hash, own.data, self._states.partition(own.subject))
            for own in events
        ]
        await connection.execute(APPEND, *map(list, zip(*columns, strict=True)))
        self._progress("writing", 0, 0)
        own_events = [(own.stream, own.type, own.data) for own in events]
        subjects = {own.subject for own in events}
        await fold_own(connection, self._service.contract, self._states, self._lookups, own_events, subjects, 1)

    async def _take_keys(self, connection: asyncpg.Connection, consumer: Consumer, ranges: Ranges) -> None:
        """The keys that came since. What destroys one is the projector's to read: it goes on from the same place."""
        await root_of(connection, self._ring)  # by which of them they are wrapped here
        keys: dict[str, bytes | None] = {}
        numbers: dict[str, int] = {}
        async for records in records_of(consumer, ranges):
            for record in records:
                judged = judged_key(self._reader, self._vault, record)
                if isinstance(judged, DeadLetter | None):
                    continue
                subject, key = judged
                number = number_of(record.value or b"")
                if key.wrapped is None:
                    keys[subject] = None
                elif subject not in keys or (keys[subject] is not None and number > numbers[subject]):  # sent again after an exchange
                    keys[subject], numbers[subject] = key.wrapped, number
        wrapped = {subject: value for subject, value in keys.items() if value is not None}
        before = await connection.fetchval("SELECT count(*) FROM keys WHERE subject = ANY ($1::text[])", list(wrapped))
        await self._vault.store(connection, {subject: KeyRecord(value) for subject, value in wrapped.items()})
        await self._lookups.write(connection, self._service.source, sorted(wrapped))
        self._adopted.keys = len(wrapped) - before
        self._progress("keys", len(wrapped), len(wrapped))

    # -- let it in

    async def _heal(self, connection: asyncpg.Connection, schema: str) -> None:
        """Fold what was parked because the journal lacked it, or because a record stood in the way that is passed over now."""
        await connection.execute(TELL_PROJECTORS, self._topics.lifecycle)
        await connection.execute(SKIPPED_ASIDE)
        subjects = [row["subject"] for row in await connection.fetch(LACKED)]
        settings = {"search_path": f"{schema},public"}
        async with connections.pool(self._owner_dsn, min_size=1, max_size=1, server_settings=settings) as pool:
            parking = Parking(self._service.source, self._states, self._reader, pool)
            for n, subject in enumerate(subjects, 1):
                with suppress(NotParked):  # somebody redrove it meanwhile
                    self._adopted.unparked += (await parking.redrive(subject)).left == 0
                self._progress("unparking", n, len(subjects))
        self._progress("letting commands in", 0, 0)


def _never() -> Any:
    raise AssertionError("An adoption brings its own connection, and opens nothing.")
