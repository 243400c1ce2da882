"""One service's spine in one process: projector, automation loop and relay around a journal and its state, and the way in for commands.

Longer than most: all that a service asks of its spine stands here, in one place, and what is wired is seen beside it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from aiokafka import TopicPartition

from redress_events.event import Contract, Event, micros
from redress_spine.aggregate import Aggregate, Automation, Context
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.kafka_rights import group, topic_rights
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.mac import MacKeys, MacKeysUnusable
from redress_spine.messaging.records import Reader
from redress_spine.messaging.relay import Relay
from redress_spine.messaging.topics import FOREVER, Topics, wanted
from redress_spine.processing import effects, projections
from redress_spine.processing.automations import AutomationLoop
from redress_spine.processing.clock import Clock, CrossCheck, SteppingClock, follow, wall_clock
from redress_spine.processing.effects import DeadEffect, NoSuchEffect, Shown
from redress_spine.processing.idle import Idle, InFlight, look
from redress_spine.processing.log_view import LogPage, LogView, NoSuchPlace
from redress_spine.processing.parking import DeadLetterEntry, ParkedSubject, Parking, Redriven, Skipped, SkippedRecord, TakenIn
from redress_spine.processing.performing import Performing
from redress_spine.processing.planning import Planning
from redress_spine.processing.projections import Changes
from redress_spine.processing.projector import Projector
from redress_spine.processing.pruning import Pruning
from redress_spine.processing.reactor import Reactor
from redress_spine.processing.reality import Reality
from redress_spine.processing.record_view import view
from redress_spine.processing.watch import EngineWatch, Health, Measures, ServerSeen
from redress_spine.store import entries
from redress_spine.store.audit import AuditRecord, Trail
from redress_spine.store.commit import Committer, EventTooLarge
from redress_spine.store.database import Answer, Database
from redress_spine.store.deciding import CommandMetadata, Deciding
from redress_spine.store.entries import EntryPlace, Latest, Listed
from redress_spine.store.errors import (
    ClockOff,
    Conflict,
    JournalRestored,
    KeyMissing,
    KeyReused,
    NotYet,
    Parked,
    PlaintextMissing,
    Taken,
    Unavailable,
    Unknown,
    WrongPartitions,
)
from redress_spine.store.lookups import digest_of, lookup_key
from redress_spine.store.master_keys import MasterKeys
from redress_spine.store.pseudonyms import pseudonym_key
from redress_spine.store.states import REVISIONS, Grouping, Loaded, Query, States
from redress_spine.store.vault import Forgotten, Vault
from redress_spine.tracing import Tracer

log = structlog.get_logger(__name__)

NEXT = "SELECT next FROM consumer_offsets WHERE topic = $1 AND partition = $2"
KEYS_WAIT = 2.0  # seconds
UNKNOWN_WAIT = 0.5  # seconds: longer than an event takes from one service to another, where nobody waits for more of them
LOOK = 0.02  # seconds between two looks at what was read of a partition


@dataclass(frozen=True, slots=True)
class Config:
    """Where a service finds its database, its log and its keys. kafka: bootstrap addresses alone, where neither TLS nor a user is needed.
    mac: the keys by which records prove their source. password_file: of the database, read for each new connection.
    settle: seconds that Kafka must have answered before timed automations.
    keep_answers: how long a request that is repeated with its idempotency key gets the answer of the first.
    clock_tolerance: seconds by which its clock and the database's may differ. min_insync: replicas of the topics that must have a record
    before it counts as written."""

    database_url: str
    kafka: KafkaClients | str
    master_key: MasterKeys | bytes
    mac: MacKeys
    partitions: int = 12
    settle: float = 15.0
    clock_tolerance: float = 60.0
    topic_prefix: str = ""
    password_file: Path | None = None
    keep_answers: timedelta = timedelta(days=7)
    min_insync: int = 1


class Engine:
    """All that `redress_events` does for a service. Nothing happens before `start`. tracer: where its work is told of as spans."""

    def __init__(
        self,
        *,
        source: str,
        aggregates: Mapping[str, Aggregate],
        contract: Contract,
        contracts: Mapping[str, Contract],
        automations: Sequence[Automation],
        queries: Sequence[Query],
        fold: int,
        config: Config,
        reactors: Sequence[Reactor] = (),
        clock: Clock = wall_clock,
        entropy: Callable[[], bytes] = lambda: os.urandom(16),
        tracer: Tracer | None = None,
    ) -> None:
        self.source = source
        self.fold = fold
        self.clock = clock
        self.states = States(aggregates, config.partitions)
        self.queries = list(queries)
        self._config = config
        self._contract = contract
        self._contracts = contracts
        for kind in aggregates.values():
            projections.check(kind)
        self._topics = Topics(config.topic_prefix)
        lifecycle = [TopicPartition(self._topics.lifecycle, n) for n in range(config.partitions)]
        self._places = [*lifecycle, TopicPartition(self._topics.keys, 0)]
        topics = wanted(config.partitions, config.min_insync, config.topic_prefix)
        self._kept = [TopicPartition(topic.name, n) for topic in topics if topic.settings is FOREVER for n in range(topic.partitions)]
        self._entropy = entropy
        self._tracer = tracer
        self._reader = Reader(source, aggregates, contracts, config.partitions, config.mac)
        self._kafka = kafka = KafkaClients.of(config.kafka)
        self._log_end = LogEnd(source, kafka)
        needed = {self._topics(topic): rights for topic, rights in topic_rights(contract).items()}
        self._reality = Reality(source, kafka, topics, self._log_end, needed, group(source, config.topic_prefix))
        self._database = Database(source, config.database_url, fold, config.password_file)
        self._cross_check = CrossCheck(source, clock, config.clock_tolerance)
        self._master_keys = MasterKeys.of(config.master_key)
        self._lookup_key = b""  # as the next two: known once the database says what it is derived from
        self._vault = Vault(self._master_keys.ring, self._database.reading, self._wait_for_keys, config.mac)
        self._log_view = LogView(source, kafka, self._topics.lifecycle, config.partitions, config.mac, contracts)
        self._audit = Trail(source, None, self._database.reading)
        self._next_wait: asyncio.Task[bool] | None = None
        self._waiting = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._automations = list(automations)
        self._reactors = list(reactors)
        self._in_flight = InFlight()

    # -- life

    async def start(self) -> None:
        """Returns once the database answered, has this fold's schema, and is numbered for as many partitions as we and the topics have.
        Raises Unavailable (MasterKeyAway), JournalRestored, WrongPartitions."""
        await self._database.open()
        async with self._database.watching() as connection:
            await self._reality.begin(connection)
        before = self.clock()
        self._cross_check.compare(before, await self._database_time())
        async with self._database.reading() as connection:
            root = await self._master_keys.root(connection)
        self._lookup_key = lookup_key(root)
        self._audit.seal_with(root)
        self.committer = Committer(self.source, self._database.commits, self._committed, self._tracer)
        self.deciding = Deciding(
            source=self.source,
            contract=self._contract,
            states=self.states,
            database=self._database,
            vault=self._vault,
            committer=self.committer,
            clock=self.clock,
            entropy=self._entropy,
            digest_key=root,
            lookup_key=self._lookup_key,
            pseudonym_key=pseudonym_key(root),
        )
        self.parking = Parking(self.source, self.states, self._reader, self._database.reads, self._vault, self._topics)
        self.relay = Relay(
            source=self.source,
            kafka=self._kafka,
            topics=self._topics,
            partitions=self._config.partitions,
            mac=self._config.mac,
            connect=lambda: self._database.connect("relay", idle_session_timeout="5s", synchronous_commit="off"),
            topics_now=self._reality.topics_now,
            sending=lambda rows: self.projector.sending(rows),
            alone=lambda: self.projector.alone,
            tracer=self._tracer,
        )
        self.projector = Projector(
            source=self.source,
            kafka=self._kafka,
            topics=self._topics,
            states=self.states,
            reader=self._reader,
            vault=self._vault,
            log_end=self._log_end,
            connect=lambda: self._database.connect("projector", synchronous_commit="off"),
            projected=self._projected,
            tracer=self._tracer,
        )
        what_loops_need: dict[str, Any] = {
            "source": self.source,
            "topics": self._topics,
            "states": self.states,
            "committer": self.committer,
            "projector": self.projector,
            "log_end": self._log_end,
            "settle": self._config.settle,
            "clock": self.clock,
            "cross_check": self._cross_check,
            "prepare": lambda drafts: self._database.on_live(lambda: self.deciding.prepare(drafts)),
            "words": lambda wanted: self._database.on_live(lambda: self._vault.open_all(wanted)),
            "pool": self._database.automations,
            "entropy": self._entropy,
            "tracer": self._tracer,
        }
        self.automations = AutomationLoop(automations=self._automations, **what_loops_need)
        self.performing = Performing(
            source=self.source,
            reactors=self._reactors,
            lend=self._database.reading,
            state=self._state_of,
            open=self.open,
            decide=lambda subject, decide, metadata: self.decide(subject, decide, metadata, while_parked=True, append=True),
            tracer=self._tracer,
        )
        self.planning = Planning(
            reactors=self._reactors,
            planned=self.performing.wake,
            **what_loops_need,
        )
        self.watch = EngineWatch(
            source=self.source,
            fold=self.fold,
            places=self._places,
            kept=self._kept,
            reality=self._reality,
            settle=self._config.settle,
            database=self._database.watching,
            on_live=self._database.on_live,
            relay=self.relay,
            projector=self.projector,
            automations=self.automations,
            planning=self.planning,
            performing=self.performing,
            log_end=self._log_end,
            cross_check=self._cross_check,
            mac=self._config.mac,
            master_keys=self._master_keys,
        )
        pruning = Pruning(source=self.source, database=self._database.reading, keep=self._config.keep_answers)
        loops = {
            "projector": self.projector.run(),
            "relay": self.relay.run(),
            "automations": self.automations.run(),
            "pulse": self.watch.run(),
        }
        loops |= {"planning": self.planning.run(), "effects": self.performing.run()} if self._reactors else {}
        loops["pruning"] = pruning.run()
        loops["reality"] = self._reality.run()
        loops["audit"] = self._audit.run()
        loops["master-keys"] = self._master_keys.run(self.source, self._database.reading)
        if isinstance(self.clock, SteppingClock):
            loops["clock"] = follow(self.clock, self._look_anew)
        else:
            loops["clock"] = self._cross_check.run(self._database_time)
        self._tasks = [asyncio.create_task(loop, name=f"{self.source}-{name}") for name, loop in loops.items()]

    async def stop(self) -> None:
        waiting = set(self._tasks)
        while waiting:  # a cancellation may be lost inside a client that is just failing: it is said again
            for task in waiting:
                task.cancel()
            _, waiting = await asyncio.wait(waiting, timeout=1.0)
            if waiting:
                log.warning("still-stopping", service=self.source, tasks=sorted(task.get_name() for task in waiting))
        self._tasks = []
        if self._next_wait is not None:
            self._next_wait.cancel()
        await self._log_end.stop()
        await self._audit.end()
        await self._database.close()

    def _committed(self, written: Sequence[Changes]) -> None:
        self.relay.wake()
        self._wake(written)

    def _projected(self, written: Sequence[Changes]) -> bool:
        woken = self._wake(written)
        self.automations.read()
        self.planning.read()
        return woken

    def _look_anew(self) -> None:
        self._wake()

    def _wake(self, written: Sequence[Changes] | None = None) -> bool:
        """→ whether an automation has something urgent to do; plans know only once they look."""
        self.planning.wake(written)
        return self.automations.wake(written)

    # -- commands and queries

    def _refuse_what_reaches_nobody(self) -> None:
        if self._reality.wrong:
            raise WrongPartitions(self._reality.wrong, retry_after=60)

    async def create(
        self, kind: str, decide: Callable[[Context], list[Event]], metadata: CommandMetadata, *, id: UUID | None = None
    ) -> tuple[Loaded, bool]:
        """Decide the first events of a new subject. True: answered from what was stored under the key. Raises KeyReused, Unavailable
        (ClockOff).

        The commit itself finds a key that was used, so a first request needs no look-up before; only a refusal does.
        """
        self._cross_check.demand()
        self._refuse_what_reaches_nobody()
        with self._in_flight:
            return await self._database.on_live(lambda: self.deciding.create(kind, decide, metadata, id))

    async def decide(
        self,
        subject: str,
        decide: Callable[[Any, Context], list[Event]],
        metadata: CommandMetadata,
        *,
        check: Callable[[Loaded], None] | None = None,
        while_parked: bool = False,
        append: bool = False,
    ) -> tuple[Loaded, bool]:
        """Decide on the row as read and commit, again if it moved. check runs on each read, before anything else, and may raise.

        append: the decision depends on what this service did, and on what it observed no more than if it had been made a moment before.
        Raises Unknown, Parked, KeyReused, Conflict, Forgotten, Unavailable (NotYet, KeyMissing, ClockOff), and the decider's
        CommandRejected.
        """
        self._cross_check.demand()
        self._refuse_what_reaches_nobody()
        with self._in_flight:
            return await self._certain(subject, lambda: self.deciding.decide(subject, decide, metadata, check, while_parked, append))

    async def read(self, subject: str) -> Loaded:
        """Raises Unknown, Unavailable (NotYet)."""
        return await self._certain(subject, lambda: self.deciding.loaded(subject))

    async def page(self, query: Query, args: Sequence[Any], *, after: tuple[int, str] | None, limit: int) -> list[tuple[int, Loaded]]:
        """One page of a list, each with its place in the order: the cursor of the next one."""
        place, subject = after or (-(2**63), "")

        async def ask() -> list[tuple[int, Loaded]]:
            async with self._database.reading() as connection:
                rows = await connection.fetch(query.sql(len(args)), *args, place, subject, limit)
                loaded = await self.states.load(connection, [row["subject"] for row in rows])
            found = [(row["place"], loaded.get(row["subject"])) for row in rows]
            return [(at, self.states.codec(row.subject).loaded(row)) for at, row in found if row is not None]

        return await self._database.on_live(ask)

    async def counts(self, name: str) -> dict[str, int]:
        """How many subjects are what, by the names of this count."""

        async def ask() -> dict[str, int]:
            async with self._database.reading() as connection:
                return {row["key"]: row["n"] for row in await connection.fetch(projections.COUNTS, name)}

        return await self._database.on_live(ask)

    async def grouped(self, grouping: Grouping, ages: Sequence[timedelta]) -> tuple[datetime, list[Mapping[str, Any]]]:
        """When it was made, and its groups: the columns, `age` (how many of these ages a row is past), and `n`."""
        now, bounds = self.clock(), [age // timedelta(microseconds=1) for age in ages]

        async def ask() -> list[Mapping[str, Any]]:
            async with self._database.reading() as connection:
                return [dict(row) for row in await connection.fetch(grouping.sql, micros(now), bounds)]

        return now, await self._database.on_live(ask)

    def digest(self, kind: str, name: str, text: str) -> bytes | None:
        """By what the query `lookups.FOUND` finds subjects whose field has this value in whatever form; None for what is no such value."""
        return digest_of(self.states.codecs[kind].aggregate, self._lookup_key, name, text)

    async def entries(
        self, subject: str, lists: Sequence[str], *, limit: int, after: EntryPlace = entries.BEGINNING, most: int = entries.BYTES
    ) -> dict[str, Latest]:
        """The newest entries of these lists behind the place `after`, the newest first: up to `limit` of each, and no more than `most`
        bytes and one entry, their words counted in."""

        async def ask() -> dict[str, Latest]:
            async with self._database.reading() as connection:
                return await entries.latest(connection, subject, lists, limit, after, most)

        return await self._database.on_live(ask)

    async def unseen(self, subject: str, name: str, seen: Mapping[str, int], *, limit: int) -> tuple[list[Listed], dict[str, int]]:
        """What a list has that a reader has not seen, who knows so many events of each source; and what is known by then."""

        async def ask() -> tuple[list[Listed], dict[str, int]]:
            async with self._database.reading() as connection:
                return await entries.unseen(connection, subject, name, seen, limit)

        return await self._database.on_live(ask)

    async def revisions(self, subjects: Sequence[str]) -> dict[str, int]:
        """Which revision each of them has. It moves with whatever is learned of a subject."""

        async def ask() -> dict[str, int]:
            async with self._database.reading() as connection:
                return {row["subject"]: row["revision"] for row in await connection.fetch(REVISIONS, list(subjects))}

        return await self._database.on_live(ask)

    async def open(self, subject: str, refs: Sequence[str]) -> dict[str, str]:
        """Personal values in clear, by reference; what was forgotten is missing. Raises Unavailable (KeyMissing, PlaintextMissing)."""
        return await self._database.on_live(lambda: self._vault.open(subject, refs))

    def proof_of_forgetting(self, subject: str) -> str:
        """What an event must carry by which this subject is forgotten. Raises Unavailable where there is no key to make it with."""
        try:
            return self._config.mac.prove_destroyed(self.source, subject).decode()
        except MacKeysUnusable as error:
            raise Unavailable(str(error)) from None

    async def audit(self, record: AuditRecord) -> None:
        """Add who read or was refused what to the audit trail; it is there once this returns. Raises Unavailable."""
        await self._audit.record(record)

    def tally(self, record: AuditRecord) -> None:
        """The same of what anybody can cause without end: counted, and written within seconds."""
        self._audit.tally(record)

    @property
    def audit_head(self) -> tuple[UUID, int] | None:
        """This process's chain of the audit trail, and how many records it has; None before its first one."""
        return self._audit.head

    async def parked(
        self, limit: int = 200, after: str = "", only: str | None = None, aside_after: tuple[str, int, int] | None = None
    ) -> tuple[list[ParkedSubject], list[DeadLetterEntry]]:
        """What waits for operators, as `Parking.subjects` and `Parking.dead_letters` give it."""
        parked = await self._database.on_live(lambda: self.parking.subjects(limit, after, only))
        return parked, await self._database.on_live(lambda: self.parking.dead_letters(limit, aside_after))

    async def held(self, subject: str | None, place: tuple[int, int] | None, topic: str | None) -> dict[str, Any] | None:
        """A record that is parked or set aside, without personal data (`record_view`); None where there is none."""
        held = await self._database.on_live(lambda: self.parking.held(subject=subject, place=place, topic=topic))
        return None if held is None else view(held, self._contracts)

    async def log(self, after: Sequence[int] | None, since: datetime | None, subject: str | None, limit: int, wait: float) -> LogPage:
        """Events of all services as they stand on the log, as `LogView.page` gives them. Raises NoSuchPlace, Unavailable."""
        return await self._log_view.page(after, since, subject, limit, wait)

    async def redrive(self, subject: str, dry_run: bool = False) -> Redriven:
        """Raises NotParked."""
        with self._in_flight:
            return await self._database.on_live(lambda: self.parking.redrive(subject, dry_run))

    async def redrive_aside(self, topic: str, partition: int, offsets: Sequence[int], dry_run: bool) -> TakenIn:
        with self._in_flight:
            return await self._database.on_live(lambda: self.parking.redrive_aside(topic, partition, offsets, dry_run))

    async def pass_over(self, records: Sequence[SkippedRecord], who: str, why: str) -> Skipped:
        with self._in_flight:
            return await self._database.on_live(lambda: self.parking.pass_over(records, who, why))

    async def dead_effects(self) -> list[DeadEffect]:
        """Effects that were given up; the newest 200."""
        async with self._database.reading() as connection:
            return await effects.dead_effects(connection)

    async def retry_effect(self, reactor: str, key: str) -> None:
        """Do a dead letter again, under its key. Raises NoSuchEffect."""
        async with self._database.reading() as connection:
            await effects.retry(connection, reactor, key)
        self.performing.wake()

    async def repeat_effect(self, reactor: str, subject: str, key: str) -> Shown:
        """Do an effect on a subject again, whether it was done or given up; one that waits is left to its turn. Raises NoSuchEffect."""
        async with self._database.reading() as connection:
            with suppress(NoSuchEffect):
                await effects.retry(connection, reactor, key, ("done", "dead"), subject)
            shown = await effects.one_of_subject(connection, reactor, subject, key)
        if shown is None or shown.status != "waiting":
            raise NoSuchEffect
        self.performing.wake()
        return shown

    async def drop_effect(self, reactor: str, key: str, who: str, why: str) -> None:
        """Never do a dead letter. Raises NoSuchEffect."""
        async with self._database.reading() as connection:
            await effects.drop(connection, reactor, key, who, why)

    async def effects_of(self, reactor: str, subject: str, *, before: int | None, limit: int) -> list[Shown]:
        """What a reactor was to do about a subject, the latest first. before: the place of the page before's last one."""
        async with self._database.reading() as connection:
            return await effects.of_subject(connection, reactor, subject, before, limit)

    async def health(self) -> Health:
        return await self._database.on_live(self.watch.health)

    def servers(self) -> Mapping[str, ServerSeen]:
        """How Kafka and PostgreSQL answered when they were last asked."""
        return self.watch.servers()

    def stalled(self) -> list[str]:
        """Why a restart is needed: loops that are stuck or ended. What is away, and tried again and again, is no reason."""
        return self.watch.stalled()

    async def measures(self) -> Measures:
        return await self._database.on_live(self.watch.measures)

    async def idle(self) -> Idle:
        """What this replica has to do now, and when next. Raises Unavailable where database or Kafka do not answer."""
        try:
            return await self._database.on_live(
                lambda: look(
                    source=self.source,
                    clock=self.clock,
                    works=[*self._automations, *self.planning.plans],
                    places=self._places,
                    in_flight=self._in_flight,
                    database=self._database.watching,
                    log_end=self._log_end,
                    relay=self.relay,
                    projector=self.projector,
                    automations=self.automations,
                )
            )
        except ConnectionError as error:
            raise Unavailable(str(error)) from error

    async def _database_time(self) -> datetime:
        async with self._database.watching() as connection:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return now

    async def _state_of(self, subject: str) -> Any:
        try:
            return (await self._database.on_live(lambda: self.deciding.loaded(subject))).state
        except Unknown:
            return None

    async def _wait_for_keys(self) -> bool:
        """Until the topic of keys was read, by whichever replica holds it, to an end asked after this call began; False where it was not in
        time, or Kafka cannot say. All who come while one waits share the next wait."""
        if self._next_wait is None:
            self._next_wait = asyncio.create_task(self._keys_read())
        return await asyncio.shield(self._next_wait)

    async def _keys_read(self) -> bool:
        async with self._waiting:
            self._next_wait = None  # who comes from now on may miss a key that was sent after the end that is asked here
            return await self._read_to_end(TopicPartition(self._topics.keys, 0), KEYS_WAIT)

    async def _read_to_end(self, place: TopicPartition, within: float) -> bool:
        """Wait until a partition was read, by whichever replica holds it, to an end asked now; False where it was not within so many
        seconds, or Kafka cannot say."""
        try:
            self.projector.hurry()
            end = (await self._log_end.ask([place]))[place]
            async with asyncio.timeout(within):
                while True:
                    if await self._database.on_live(lambda: self._next(place)) >= end:
                        return True
                    await asyncio.sleep(LOOK)
        except (ConnectionError, TimeoutError):
            return False

    async def _next(self, place: TopicPartition) -> int:
        async with self._database.watching() as connection:
            return await connection.fetchval(NEXT, *place) or 0

    async def _certain(self, subject: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What a question or command on a subject comes to. Where there is no such row, it is asked again once the log was read as far as
        it goes now. Raises Unknown only then, NotYet before."""
        try:
            return await self._database.on_live(ask)
        except Unknown:
            if self.states.codec(subject).aggregate.begun_here:
                raise
        if not await self._read_to_end(TopicPartition(self._topics.lifecycle, self.states.partition(subject)), UNKNOWN_WAIT):
            raise NotYet(f"{self.source} does not know {subject}, and has not read all that is on the log.", retry_after=1)
        return await self._database.on_live(ask)


TooLarge = EventTooLarge

__all__ = [
    "ClockOff",
    "CommandMetadata",
    "Config",
    "Conflict",
    "Engine",
    "Forgotten",
    "Health",
    "Idle",
    "JournalRestored",
    "KeyMissing",
    "KeyReused",
    "Loaded",
    "LogPage",
    "Measures",
    "NoSuchPlace",
    "NotYet",
    "Parked",
    "PlaintextMissing",
    "ServerSeen",
    "Taken",
    "TooLarge",
    "Unavailable",
    "Unknown",
]
