"""What operators watch of one process: is it ready, how far behind is it, what is parked or stuck, and who holds a transaction open.

Long, for all that health and metrics say of a running engine is gathered here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from functools import partial

import asyncpg
import structlog
from aiokafka import TopicPartition

from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.mac import MacKeys
from redress_spine.messaging.relay import Relay
from redress_spine.processing.automations import AutomationLoop
from redress_spine.processing.clock import CrossCheck, monotonic, wall_clock
from redress_spine.processing.performing import Performing
from redress_spine.processing.planning import Planning
from redress_spine.processing.projector import Projector
from redress_spine.processing.reality import Reality
from redress_spine.store.database import LIVE
from redress_spine.store.errors import JournalRestored, Unavailable
from redress_spine.store.master_keys import MasterKeys
from redress_spine.store.states import one

log = structlog.get_logger(__name__)

PULSE = 2.0  # seconds
STALLED = 60.0  # seconds: more than all the time limits of a turn together
ANSWERED = 1.0  # seconds that whoever asks how we are waits for the database: a person looks meanwhile
HELD = 60.0  # seconds beyond the settling time that timed automations may wait for the log before somebody is told
STARTS = 10.0  # seconds between two looks at where the log begins
KAFKA, POSTGRESQL = "kafka", "postgresql"
WITHOUT = {
    KAFKA: "Kafka does not answer: commands are carried out and their events wait in the journal; what other services do is not seen, and "
    "no deadline is judged.",
    POSTGRESQL: "The database does not answer: no command is carried out, and no question is answered.",
}
# However many there are, so many are read at most: who looks must not add to an outage. Index:
# state_parked, effects_dead, and the primary keys.
COUNTED = 10_000
COUNTS = f"""
SELECT (SELECT count(*) FROM (SELECT 1 FROM state WHERE parked LIMIT {COUNTED}) n) AS parked,
       (SELECT count(*) FROM (SELECT 1 FROM dead_letters LIMIT {COUNTED}) n) AS dead_letters,
       (SELECT count(*) FROM (SELECT 1 FROM row_errors LIMIT {COUNTED}) n) AS stuck,
       (SELECT count(*) FROM (SELECT 1 FROM effects WHERE status = 'dead' LIMIT {COUNTED}) n) AS dead,
       (SELECT timeline = timeline_now() FROM birthplace) AS at_home,
       pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, pg_snapshot_xmax(pg_current_snapshot())::text AS xmax
"""


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """A server as this process reached it last. seconds: what its answer took; None where it does not answer, or was not asked yet."""

    up: bool
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """reasons: why it is not ready. alarms: what somebody must see to while it serves. cannot: what it does not do for as long as a server
    is away. servers: how Kafka and PostgreSQL answer it."""

    ready: bool
    reasons: list[str]
    alarms: list[str] = field(default_factory=list)
    cannot: list[str] = field(default_factory=list)
    servers: Mapping[str, ServerSeen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measures:
    """What operators watch. Seconds and counts. lost: read, and no longer on the log. log_start: the highest, of topics that keep all."""

    backlog_events: int
    lag_records: int
    lag_seconds: float
    parked_subjects: int
    dead_letters: int
    stuck_rows: int
    clock_skew_seconds: float
    oldest_transaction_seconds: float
    relay_leader: bool
    decided: Mapping[tuple[str, str], int]
    lost_records: int = 0
    refused_partitions: int = 0
    log_start_offset: int = 0
    wrong_settings: int = 0
    timed_automations_wait_seconds: float = 0.0
    dead_effects: int = 0
    mac_keys_unusable: int = 0
    master_keys_unusable: int = 0
    effects: Mapping[tuple[str, str], int] = field(default_factory=dict)
    set_aside: Mapping[str, int] = field(default_factory=dict)  # records, by reason, since this process began


class EngineWatch:
    """Looks at the parts of a running engine. places: what is read. kept: partitions from which nothing may ever be deleted. database: a
    connection for reading, raising where there is none. on_live: asks again where a rebuild has swapped the state."""

    def __init__(
        self,
        *,
        source: str,
        fold: int,
        places: Sequence[TopicPartition],
        kept: Sequence[TopicPartition],
        reality: Reality,
        settle: float,
        database: Callable[[], AbstractAsyncContextManager[asyncpg.pool.PoolConnectionProxy]],
        on_live: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
        relay: Relay,
        projector: Projector,
        automations: AutomationLoop,
        planning: Planning,
        performing: Performing,
        log_end: LogEnd,
        cross_check: CrossCheck,
        mac: MacKeys,
        master_keys: MasterKeys,
    ) -> None:
        self.source = source
        self.fold = fold
        self._places = places
        self._kept = kept
        self._reality = reality
        self._held = settle + HELD
        self._database = database
        self._on_live = on_live
        self._relay = relay
        self._projector = projector
        self._automations = automations
        self._planning = planning
        self._performing = performing
        self._log_end = log_end
        self._cross_check = cross_check
        self._mac = mac
        self._master_keys = master_keys
        self._watermark: tuple[str, float] = ("", 0.0)
        self._caught_up = False
        self._was_ready = False
        self._read_before: Mapping[TopicPartition, int] = {}
        self._lost: Mapping[TopicPartition, int] = {}  # read, and beyond the end of the log
        self._starts: Mapping[TopicPartition, int] = {}
        self._starts_at = -STARTS
        self._last_message: set[str] = set()
        self._seconds: dict[str, float] = {}  # what the last answer of each server took
        self._asked = False  # Kafka, as yet
        self._reached = True  # the database, when it was last asked
        self._all_read_at: dict[TopicPartition, float] = {}  # when a partition was last known to be read to its end

    def stalled(self, after: float = STALLED) -> list[str]:
        """Which loops have had no turn for so many seconds. One whose database or broker is away fails and tries again: that is a turn."""
        loops = {"projector": self._projector.progress, "relay": self._relay.progress, "automations": self._automations.progress}
        loops |= {"planning": self._planning.progress} | {f"reactor {name}": turn for name, turn in self._performing.progress.items()}
        return [f"The loop of {name} has made no turn for {after:.0f} s." for name, turn in loops.items() if monotonic() - turn > after]

    async def health(self) -> Health:
        """Ready: the database answers, is where its journal grew, has this fold's schema, was once read to the end of the log, and the
        settings are what they must be. Those that only say how the log is kept, and what Kafka does not let us do, count until it was
        ready once."""
        reasons = [self._reality.wrong] if self._reality.wrong else [] if self._was_ready else [*self._reality.flaws, *self._refusal()]
        try:
            live, self._caught_up = await self._asked_database()
            if live is None or live["fold"] != self.fold:
                reasons.append("The live state is not this release's.")
            elif not live["at_home"]:
                reasons.append(str(JournalRestored(self.source)))
            elif not self._caught_up:
                reasons.append("The log was not yet read to its end.")
        except JournalRestored as error:
            reasons.append(str(error))
        except (Unavailable, asyncpg.PostgresError):
            reasons.append("The database does not answer.")
        self._was_ready = self._was_ready or not reasons
        servers = self.servers()
        return Health(not reasons, reasons, self.alarms(), [WITHOUT[name] for name, seen in servers.items() if not seen.up], servers)

    def servers(self) -> dict[str, ServerSeen]:
        """How Kafka and PostgreSQL answered last: both are asked every other second, and the database by whoever asks how we are."""
        up = {KAFKA: self._log_end.reachable_for > 0 or not self._asked, POSTGRESQL: self._reached}
        return {name: ServerSeen(answers, self._seconds.get(name) if answers else None) for name, answers in up.items()}

    async def _asked_database(self) -> tuple[asyncpg.Record | None, bool]:
        """The live state's row, and whether the log was read to its end. Who waits is told in time that it does not answer; to give the
        question up takes the driver longer. Raises Unavailable, JournalRestored, PostgresError."""
        began, question = monotonic(), asyncio.create_task(self._ask_database())
        question.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            await asyncio.wait({question}, timeout=ANSWERED)
            self._reached = question.done() and (question.exception() is None or isinstance(question.exception(), JournalRestored))
            if not question.done():
                raise Unavailable(f"The database of {self.source} does not answer in time.")
        finally:
            question.cancel()
        self._seconds[POSTGRESQL] = monotonic() - began
        return question.result()

    async def _ask_database(self) -> tuple[asyncpg.Record | None, bool]:
        async with self._database() as connection:
            live = await connection.fetchrow(LIVE)
            ours = live is not None and live["fold"] == self.fold and live["at_home"]
            caught_up = self._caught_up or (ours and bool(await connection.fetchval("SELECT true FROM caught_up")))
        return live, caught_up

    def alarms(self) -> list[str]:
        """What is wrong and stops nobody from calling, a message each."""
        refused = [each.message for _, each in sorted(self._projector.refused.items())]
        relay = [self._relay.refused] if self._relay.refused else []
        keys = [_unusable(flaw)] if (flaw := self._mac.look()) else []
        keys += [self._master_keys.flaw] if self._master_keys.flaw else []
        return relay + keys + refused + ([] if self._reality.wrong else self._reality.flaws) + self._found()

    def _found(self) -> list[str]:
        """Alarms that nobody else writes to the log."""
        found = self._refusal()
        for place, start in sorted(self._starts.items()):
            if start > 0:
                found.append(
                    f"Partition {place.partition} of {place.topic} begins at offset {start}: earlier records were deleted, so no state "
                    "can be rebuilt from this log. Fix: set retention.ms=-1, then `redress restore-log` (docs/restore.md)."
                )
        for place, lost in sorted(self._lost.items()):
            if place not in self._projector.refused:  # another replica's to say why
                found.append(
                    f"Partition {place.partition} of {place.topic} ends {lost} records before what was read: the log lost its end."
                )
        found += [
            f"Partition {place.partition} of {place.topic} has no leader, or is not there: nothing can be written to it, nor read."
            for place in sorted(self._log_end.unled.intersection(self._places))
        ]
        if (held := max(self._automations.held_for, self._planning.held_for)) > self._held:
            failure = f" The projector failed last with {self._projector.failure}." if self._projector.failing else ""
            found.append(
                f"Timed automations that are due have waited {held:.0f} s for the log: no deadline is evaluated meanwhile.{failure}"
            )
        return found

    def _refusal(self) -> list[str]:
        lacks = {*self._log_end.lacks.values(), *filter(None, (self._projector.lacks, self._relay.lacks))}
        return [*([self._log_end.refusal] if self._log_end.refusal else []), *sorted(lacks)]

    async def measures(self) -> Measures:
        """Raises Unavailable where the database does not answer, and JournalRestored."""
        async with self._database() as connection:
            backlog = await self._relay.backlog(connection)
            counts = await one(connection, COUNTS)
            read = await self._read(connection)
        if not counts["at_home"]:
            raise JournalRestored(self.source)
        # The offsets in the database, not this process's positions: they tell the lag also while nobody reads.
        lag, oldest = 0, 0.0
        for place in self._places:
            behind = self._log_end.ends.get(place, 0) - read.get(place, 0)
            if behind <= 0:  # read beyond the end as it was two seconds ago; beyond the end as it is now: `lost`
                continue
            lag += behind
            # What is not read is younger than the last record read, and than the moment when everything was read.
            known = (self._projector.timestamps.get(place, 0) / 1000, self._all_read_at.get(place, 0.0))
            if any(known):
                oldest = min(oldest or max(known), max(known))
        if counts["xmin"] != self._watermark[0] or counts["xmin"] == counts["xmax"]:
            self._watermark = (counts["xmin"], monotonic())
        return Measures(
            backlog_events=backlog,
            lag_records=lag,
            lag_seconds=max(0.0, wall_clock().timestamp() - oldest) if oldest else 0.0,
            parked_subjects=counts["parked"],
            dead_letters=counts["dead_letters"],
            stuck_rows=counts["stuck"],
            clock_skew_seconds=self._cross_check.skew,
            oldest_transaction_seconds=monotonic() - self._watermark[1],
            relay_leader=self._relay.leader,
            decided=dict(self._automations.counts),
            lost_records=sum(self._lost.values()),
            refused_partitions=len(self._projector.refused),
            log_start_offset=max(self._starts.values(), default=0),
            wrong_settings=len(self._reality.flaws),
            timed_automations_wait_seconds=max(self._automations.held_for, self._planning.held_for),
            dead_effects=counts["dead"],
            mac_keys_unusable=int(bool(self._mac.look())),
            master_keys_unusable=int(bool(self._master_keys.flaw)),
            effects=dict(self._performing.counts),
            set_aside=dict(self._projector.set_aside),
        )

    async def ask(self) -> Mapping[TopicPartition, int]:
        """Where the log ends now. Raises ConnectionError."""
        return await self._log_end.ask(self._places)

    async def run(self) -> None:
        """Every other second: where the log ends (for lag), whether Kafka answers (for timed automations), and the first catch-up."""
        while True:
            try:
                with suppress(Unavailable, JournalRestored, asyncpg.PostgresError):
                    await self._asked_database()
                asked, began = wall_clock().timestamp(), monotonic()
                try:
                    ends = await self._log_end.ask_led(self._places)
                finally:
                    self._asked = True
                self._seconds[KAFKA] = monotonic() - began
                await self._on_live(partial(self._look_what_is_read, ends, asked))
                await self._look_where_it_begins()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.debug("pulse-missed", service=self.source, error=type(error).__name__)
            self._tell()
            await asyncio.sleep(PULSE if self._caught_up else 0.1)

    async def _read(self, connection: asyncpg.pool.PoolConnectionProxy) -> dict[TopicPartition, int]:
        rows = await connection.fetch("SELECT topic, partition, next FROM consumer_offsets")
        return {TopicPartition(row["topic"], row["partition"]): row["next"] for row in rows}

    async def _look_what_is_read(self, ends: Mapping[TopicPartition, int], asked: float) -> None:
        # Offsets that were read before the end was asked for: what is beyond it was on the log, and is not any more.
        self._lost = {place: before - ends[place] for place, before in self._read_before.items() if ends.get(place, before) < before}
        async with self._database() as connection:
            self._read_before = read = await self._read(connection)
            all_read = [place for place, end in ends.items() if read.get(place, -1) >= end]
            self._all_read_at.update(dict.fromkeys(all_read, asked))
            if not self._caught_up and len(all_read) == len(self._places):
                await connection.execute("INSERT INTO caught_up DEFAULT VALUES ON CONFLICT DO NOTHING")
                self._caught_up = True

    async def _look_where_it_begins(self) -> None:
        if monotonic() - self._starts_at > STARTS:
            self._starts = await self._log_end.starts_of_led(self._kept)
            self._starts_at = monotonic()

    def _tell(self) -> None:
        """Each alarm once, in the log, as long as it lasts. Those with seconds in them are one alarm."""
        alarms = {alarm.partition(" has waited ")[0]: alarm for alarm in self._found()}
        for name in alarms.keys() - self._last_message:
            log.error("alarm", service=self.source, detail=alarms[name])
        self._last_message = set(alarms)


def _unusable(flaw: str) -> str:
    return f"{flaw} The keys that were read before go on; a service that is started now does not start."
