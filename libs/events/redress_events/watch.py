"""What operators watch of one process: is it ready, how far behind is it, what is parked or stuck, and who holds a transaction open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import asyncpg
import structlog
from aiokafka import TopicPartition

from redress_events.clock import CrossCheck, monotonic, wall_clock
from redress_events.database import LIVE
from redress_events.errors import JournalRestored, Unavailable
from redress_events.log_end import LogEnd
from redress_events.projector import Projector
from redress_events.relay import Relay
from redress_events.states import one
from redress_events.work import WorkLoop

log = structlog.get_logger(__name__)

PULSE = 1.0
STALLED = 60.0  # seconds: more than all the time limits of a turn together
COUNTS = """
SELECT (SELECT count(*) FROM state WHERE parked) AS parked, (SELECT count(*) FROM set_aside) AS set_aside,
       (SELECT count(*) FROM row_errors) AS stuck,
       (SELECT timeline = timeline_now() FROM birthplace) AS at_home,
       pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, pg_snapshot_xmax(pg_current_snapshot())::text AS xmax
"""


@dataclass(frozen=True, slots=True)
class Health:
    ready: bool
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Measures:
    """What operators watch. Seconds and counts."""

    backlog_facts: int
    lag_records: int
    lag_seconds: float
    parked_subjects: int
    set_aside_records: int
    stuck_rows: int
    clock_skew_seconds: float
    oldest_transaction_seconds: float
    relay_leader: bool
    decided: Mapping[tuple[str, str], int]


class Watch:
    """Looks at the parts of a running engine. database: a connection for reading, raising where there is none."""

    def __init__(
        self,
        *,
        source: str,
        fold: int,
        places: Sequence[TopicPartition],
        database: Callable[[], AbstractAsyncContextManager[asyncpg.pool.PoolConnectionProxy]],
        relay: Relay,
        projector: Projector,
        work: WorkLoop,
        log_end: LogEnd,
        cross_check: CrossCheck,
    ) -> None:
        self.source = source
        self.fold = fold
        self._places = places
        self._database = database
        self._relay = relay
        self._projector = projector
        self._work = work
        self._log_end = log_end
        self._cross_check = cross_check
        self._watermark: tuple[str, float] = ("", 0.0)
        self._caught_up = False
        self._all_read_at: dict[TopicPartition, float] = {}  # when a partition was last known to be read to its end

    def stalled(self, after: float = STALLED) -> list[str]:
        """Which loops have had no turn for so many seconds. One whose database or broker is away fails and tries again: that is a turn."""
        loops = {"projector": self._projector.progress, "relay": self._relay.progress, "work": self._work.progress}
        return [f"The {name} has made no turn for {after:.0f} s." for name, turn in loops.items() if monotonic() - turn > after]

    async def health(self) -> Health:
        """Ready: the database answers, is where its journal grew, has this fold's schema, and was once read to the end of the log."""
        reasons = []
        try:
            async with asyncio.timeout(2), self._database() as connection:
                live = await connection.fetchrow(LIVE)
                if live is None or live["fold"] != self.fold:
                    reasons.append("The live state is not this release's.")
                elif not live["at_home"]:
                    reasons.append(str(JournalRestored(self.source)))
                elif not self._caught_up:
                    self._caught_up = bool(await connection.fetchval("SELECT true FROM caught_up"))
                    if not self._caught_up:
                        reasons.append("The log was not yet read to its end.")
        except JournalRestored as error:
            reasons.append(str(error))
        except (Unavailable, TimeoutError, asyncpg.PostgresError):
            reasons.append("The database does not answer.")
        return Health(not reasons, reasons)

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
            behind = max(0, self._log_end.ends.get(place, 0) - read.get(place, 0))
            lag += behind
            # What is not read is younger than the last record read, and than the moment when everything was read.
            known = (self._projector.timestamps.get(place, 0) / 1000, self._all_read_at.get(place, 0.0))
            if behind and any(known):
                oldest = min(oldest or max(known), max(known))
        if counts["xmin"] != self._watermark[0] or counts["xmin"] == counts["xmax"]:
            self._watermark = (counts["xmin"], monotonic())
        return Measures(
            backlog_facts=backlog,
            lag_records=lag,
            lag_seconds=max(0.0, wall_clock().timestamp() - oldest) if oldest else 0.0,
            parked_subjects=counts["parked"],
            set_aside_records=counts["set_aside"],
            stuck_rows=counts["stuck"],
            clock_skew_seconds=self._cross_check.skew,
            oldest_transaction_seconds=monotonic() - self._watermark[1],
            relay_leader=self._relay.leader,
            decided=dict(self._work.counts),
        )

    async def ask(self) -> Mapping[TopicPartition, int]:
        """Where the log ends now. Raises ConnectionError."""
        return await self._log_end.ask(self._places)

    async def run(self) -> None:
        """Each second: where the log ends (for lag), whether Kafka answers (for timed work), and the first catch-up."""
        while True:
            try:
                asked = wall_clock().timestamp()
                ends = await self.ask()
                await self._look_what_is_read(ends, asked)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.debug("pulse-missed", service=self.source, error=type(error).__name__)
            await asyncio.sleep(PULSE if self._caught_up else 0.1)

    async def _read(self, connection: asyncpg.pool.PoolConnectionProxy) -> dict[TopicPartition, int]:
        rows = await connection.fetch("SELECT topic, partition, next FROM consumer_offsets")
        return {TopicPartition(row["topic"], row["partition"]): row["next"] for row in rows}

    async def _look_what_is_read(self, ends: Mapping[TopicPartition, int], asked: float) -> None:
        async with self._database() as connection:
            read = await self._read(connection)
            all_read = [place for place, end in ends.items() if read.get(place, -1) >= end]
            self._all_read_at.update(dict.fromkeys(all_read, asked))
            if not self._caught_up and len(all_read) == len(ends):
                await connection.execute("INSERT INTO caught_up DEFAULT VALUES ON CONFLICT DO NOTHING")
                self._caught_up = True
