"""Finds what is due and decides it: level-triggered, so a replay, a crash or a rebuild can neither lose nor double it.

A row whose decider raises, whose words cannot be had, or that is found as its decision left it, is set aside with its error and a growing
delay; the others go on, and those that were set aside never come before them. Timed automations are decided only for instants that the log
was read past, only once Kafka has answered for a settling time, and only while our clock and the database's agree.

Longer than most: finding, deciding, committing and setting aside are one argument, and are read together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import structlog
from aiokafka import TopicPartition

from redress_events.event import EPOCH, micros
from redress_spine import tracing
from redress_spine.aggregate import Automation, Context
from redress_spine.messaging.log_end import MARGIN, LogEnd
from redress_spine.messaging.topics import Topics
from redress_spine.processing.clock import Clock, CrossCheck, monotonic, wall_seconds_until
from redress_spine.processing.projections import Changes
from redress_spine.processing.projector import Projector
from redress_spine.store.commit import Committer, Item, cause_of
from redress_spine.store.database import AWAY, HELD
from redress_spine.store.deciding import Draft
from redress_spine.store.errors import JournalRestored, safe_message
from redress_spine.store.states import ROW, WITH_HEAD, Row, States, one
from redress_spine.tracing import Span, Tracer

log = structlog.get_logger(__name__)

BATCH = 200  # rows
TURN_SIZE = 50  # rows decided before others have their turn
FALLBACK = 0.25  # seconds: for rows that another replica changed, that failed, or whose time has come
REST = 1.0  # the same where there is no other replica; what has a time is woken by what comes meanwhile
BY_ITSELF = 40  # times as long an automation without a time sleeps, unless it is woken
LEFT = 1_000  # rows of which an automation remembers how it left them
STILL_DUE = "It is still due after its decision."
CATCH_UP = 5.0  # seconds to wait for the projector to reach a log end before asking again
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0

ERRORS = """
INSERT INTO row_errors (automation, subject, error, attempts, retry_at)
SELECT $1, e.subject, e.error, 1, now() + make_interval(secs => $4)
FROM unnest($2::text[], $3::text[]) e (subject, error) ORDER BY e.subject
ON CONFLICT (automation, subject) DO UPDATE SET
    error = excluded.error, attempts = row_errors.attempts + 1,
    retry_at = now() + make_interval(secs => least($4 * power(2, least(row_errors.attempts, 20)), $5))
"""
CLEAR = "DELETE FROM row_errors WHERE automation = $1 AND subject = ANY ($2::text[])"


def due_sql(automation: Automation) -> str:
    """Rows that are due, of our partitions, and never failed, as they are loaded; the oldest first where it has a time. Parameters:
    partitions, instant, limit."""
    order = f"{automation.time}, {automation.subject}" if automation.at else automation.subject
    failed = f"SELECT FROM row_errors e WHERE e.automation = '{automation.name}' AND e.subject = s.subject OFFSET 0"
    return f"""
        SELECT {ROW} FROM {automation.rows} {WITH_HEAD} WHERE {_due_now(automation)} AND NOT EXISTS ({failed})
        ORDER BY {order} LIMIT $3
    """


def around_sql(automations: Sequence[Automation]) -> str:
    """Who has something to do: `fresh` where a row is due and never failed, which those with a time find themselves; `again` where one that
    failed is to be tried again. Parameters: partitions, instant. Index: each one's, row_errors_retry."""
    each = []
    for automation in automations:
        errors = f"FROM row_errors e WHERE e.automation = '{automation.name}'"
        never_failed = f"NOT EXISTS (SELECT {errors} AND e.subject = s.subject OFFSET 0)"
        due = f"EXISTS (SELECT FROM {automation.rows} WHERE {_due_now(automation)} AND {never_failed})"
        fresh = "$2::bigint IS NULL" if automation.at else due
        again = f"EXISTS (SELECT {errors} AND e.retry_at <= now())"
        each.append(f"SELECT '{automation.name}' AS automation, {fresh} AS fresh, {again} AS again")
    return f"SELECT automation, again FROM ({' UNION ALL '.join(each)} OFFSET 0) a WHERE fresh OR again AND $1::int[] IS NOT NULL"


def due_again_sql(automation: Automation) -> str:
    """Rows that are due, of our partitions, failed, and are to be tried again. Parameters: partitions, instant, limit."""
    return f"""
        SELECT e.subject FROM row_errors e WHERE e.automation = '{automation.name}' AND e.retry_at <= now()
        AND EXISTS (SELECT FROM {automation.rows} WHERE {automation.subject} = e.subject AND {_due_now(automation)} OFFSET 0)
        ORDER BY e.retry_at, e.subject LIMIT $3
    """


def _due_now(automation: Automation) -> str:
    timed = f"AND {automation.time} <= $2" if automation.at else "AND $2::bigint IS NOT NULL"
    return f"({automation.condition}) {timed} AND NOT s.parked AND s.partition = ANY ($1::int[])"


def still_due_sql(automation: Automation) -> str:
    """Those of some rows that are due as their decision left them: with the same revision, so that nothing new made them due again.
    Parameters: subjects, instant, revisions."""
    timed = f"AND {automation.time} <= $2" if automation.at else "AND $2::bigint IS NOT NULL"
    same = f"{automation.subject} = w.subject AND s.revision = w.revision"
    return f"""
        SELECT w.subject FROM unnest($1::text[], $3::bigint[]) w (subject, revision)
        WHERE EXISTS (SELECT FROM {automation.rows} WHERE {same} AND ({automation.condition}) {timed} AND NOT s.parked OFFSET 0)
    """


def settled_sql(automation: Automation) -> str:
    """Forgets the errors of rows that are no longer due: somebody else settled them, and nobody would come back to clear them."""
    return f"""
        DELETE FROM row_errors e WHERE e.automation = '{automation.name}' AND e.retry_at <= now()
        AND NOT EXISTS (SELECT FROM {automation.rows} WHERE {automation.subject} = e.subject AND ({automation.condition}) OFFSET 0)
    """


def next_sql(automation: Automation) -> str:
    """When the first row is due, and what time it is in the database."""
    due = f"({automation.condition}) AND NOT s.parked AND s.partition = ANY ($1::int[])"
    # Not min(): across a join PostgreSQL looks at all rows for that.
    first = f"SELECT {automation.time} FROM {automation.rows} WHERE {due} ORDER BY {automation.time} LIMIT 1"
    return f"SELECT ({first}) AS first, clock_timestamp() AS now"


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a batch of due rows. overtaken: of how many somebody wrote meanwhile."""

    subjects: int
    events: int
    overtaken: int


class AutomationLoop:
    """One for each replica; it takes the rows of the partitions that its projector holds.

    GATHER: seconds between two looks that find less than all they may: what comes one by one under load is decided together, for less of
    everybody's time, and what comes alone does not wait.

    pool: connections that see the live state.
    prepare: turns decisions into items for the committer (numbers, seals, folds). words: opens personal fields, by subject and reference.
    Both wait for missing keys once for all rows, and say for each what stands in the way. tracer: where decisions are told of.
    """

    GATHER = 0.03

    def __init__(
        self,
        *,
        source: str,
        topics: Topics,
        automations: Sequence[Automation],
        states: States,
        committer: Committer,
        projector: Projector,
        log_end: LogEnd,
        settle: float,
        clock: Clock,
        cross_check: CrossCheck,
        prepare: Callable[[Sequence[Draft]], Awaitable[Sequence[Item | Exception]]],
        words: Callable[[Mapping[str, Sequence[str]]], Awaitable[Mapping[str, Mapping[str, str] | Exception]]],
        pool: asyncpg.Pool,
        entropy: Callable[[], bytes],
        tracer: Tracer | None = None,
    ) -> None:
        self._source = source
        self._topics = topics
        self._automations = automations
        self._states = states
        self._committer = committer
        self._projector = projector
        self._log_end = log_end
        self._settle = settle
        self._clock = clock
        self._cross_check = cross_check
        self._prepare = prepare
        self._words = words
        self._pool = pool
        self._entropy = entropy
        self._tracer = tracer
        self._woken = {each.name: asyncio.Event() for each in automations}
        self._read = asyncio.Event()  # the projector has gone on
        self._left: dict[str, dict[str, int]] = {
            each.name: {} for each in automations
        }  # how a decision left rows: their revisions, by subject
        self._again: set[str] = set()  # automations that are to try again what failed
        self._resting: dict[str, float] = {}  # timed automations that sleep until they are woken: when they looked
        self.counts: dict[tuple[str, str], int] = {}
        self.under_way = 0  # batches
        self._held_since: dict[str, float] = {}  # timed automations that are due and wait for the log
        # By automation, and of the look around: when its last turn began, or when it is to wake.
        self._due_back = dict.fromkeys(self._woken, monotonic())

    @property
    def progress(self) -> float:
        """When the slowest of its tasks had its last turn, whatever came of it: what liveness looks at. A task that sleeps has one."""
        return min(self._due_back.values(), default=monotonic())

    @property
    def held_for(self) -> float:
        """How long timed automations that are due have waited for the log, in seconds."""
        return max((monotonic() - since for since in self._held_since.values()), default=0.0)

    def wake(self, written: Sequence[Changes] | None = None) -> bool:
        """Look at once for what these changes made due; without them, for whatever may be. What has a time waits for it: nothing is
        lost by a look a quarter of a second after the one before. → whether anybody was woken at once for something urgent."""
        due = [each for each in self._automations if written is None or any(each.made_due(one.came) for one in written)]
        for automation in due:
            if written is None or not automation.at:
                self._woken[automation.name].set()
            elif (looked := self._resting.pop(automation.name, None)) is not None:
                asyncio.get_running_loop().call_later(max(0.0, looked + FALLBACK - monotonic()), self._woken[automation.name].set)
        return any(each.urgent and not each.at for each in due)

    def read(self) -> None:
        """The projector has gone on: what waits for that goes on, too."""
        self._read.set()

    async def run(self) -> None:
        """Decide forever, each automation in a task of its own: one may wait, for the log or for a key, and holds up no other. Whoever
        waits holds no connection: one is taken for each statement."""
        if not self._automations:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_around())
            for automation in self._automations:
                group.create_task(
                    self._for_ever(automation.name, partial(self._timed if automation.at else self._untimed, automation=automation))
                )

    async def _look_around(self) -> None:
        """Wake those who have something to do and were told by nobody: in one statement for all, however many sleep."""
        statement = around_sql(self._automations)
        while True:
            pause = REST if self._projector.alone else FALLBACK
            self._due_back[""] = monotonic() + pause
            await asyncio.sleep(pause)
            partitions = self._projector.partitions
            try:
                found = await self._pool.fetch(statement, partitions, 0) if partitions and self._cross_check.agrees else ()
            except Exception as error:
                log.warning("work-failed", service=self._source, error=safe_message(error))
                await self._pool.expire_connections()
                await asyncio.sleep(1.0)
                self._again.update(self._woken)
                self.wake()  # one of them may be at fault: each looks for itself
                continue
            for row in found:
                if row["again"]:
                    self._again.add(row["automation"])
                self._woken[row["automation"]].set()

    async def _for_ever(self, task: str, turn: Callable[[], Awaitable[float]]) -> None:
        """Run turns; each says how long to sleep unless woken. After a failure connections are made again: it may be theirs."""
        woken = self._woken[task]
        while True:
            began = self._due_back[task] = monotonic()
            try:
                woken.clear()
                pause = await turn()
            except Exception as error:
                log.warning("work-failed", service=self._source, error=safe_message(error))
                await self._pool.expire_connections()
                await asyncio.sleep(1.0)
                continue
            if pause > 0:
                self._due_back[task] = monotonic() + pause
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await woken.wait()
                await asyncio.sleep(began + self.GATHER - monotonic())

    async def _untimed(self, automation: Automation) -> float:
        partitions = self._projector.partitions
        if not partitions or not self._cross_check.agrees:
            return FALLBACK
        decided = await self._decide_due(automation, partitions, 0, self._clock)
        return 0.0 if decided.events and (decided.subjects >= BATCH or decided.overtaken) else BY_ITSELF * FALLBACK

    async def _timed(self, automation: Automation) -> float:
        """Everything up to an instant that the log was read past."""
        self._resting.pop(automation.name, None)
        partitions = self._projector.partitions
        if not partitions:
            if self._projector.failing:  # nothing says that nothing is due
                self._held_since.setdefault(automation.name, monotonic())
            else:
                self._held_since.pop(automation.name, None)
            return FALLBACK
        if self._projector.alone:  # what comes while it looks wakes it, too
            self._resting[automation.name] = monotonic()
        before = self._clock()
        looked = await one(self._pool, next_sql(automation), partitions)
        if not self._cross_check.compare(before, looked["now"]):
            self._held_since.pop(automation.name, None)
            return FALLBACK
        rest = REST if automation.name in self._resting else FALLBACK
        if looked["first"] is None:
            self._held_since.pop(automation.name, None)
            return rest
        clock = self._cross_check.since(before)
        instant = EPOCH + timedelta(microseconds=looked["first"]) + MARGIN
        if instant > clock():
            self._held_since.pop(automation.name, None)
            if (pause := wall_seconds_until(instant, self._clock)) < 2 * FALLBACK:
                self._projector.hurry()
                return min(pause, FALLBACK)
            return min(pause - FALLBACK, rest)
        self._projector.hurry()
        asked = clock()
        passed = await self._passed(partitions)
        if not passed or await self._waits(automation, sorted(set(partitions) - set(passed)), clock):
            self._held_since.setdefault(automation.name, monotonic())
        else:
            self._held_since.pop(automation.name, None)
        if not passed:
            return FALLBACK
        decided = await self._decide_due(automation, passed, micros(asked - MARGIN), clock)
        return 0.0 if decided.subjects else FALLBACK

    async def _waits(self, automation: Automation, partitions: Sequence[int], clock: Clock) -> bool:
        """Whether something is due in these partitions."""
        if not partitions:
            return False
        first = (await one(self._pool, next_sql(automation), partitions))["first"]
        return first is not None and EPOCH + timedelta(microseconds=first) + MARGIN <= clock()

    async def _passed(self, partitions: Sequence[int]) -> list[int]:
        """Those of these partitions of which everything was read that was decided until now, less a margin; none where nobody can say."""
        places = [TopicPartition(self._topics.lifecycle, partition) for partition in partitions]
        try:
            ends = await self._log_end.ask_led(places)
        except ConnectionError:
            return []
        places = [place for place in places if place in ends and self._log_end.led_for(place) >= self._settle]
        try:
            async with asyncio.timeout(CATCH_UP):
                while not all((held := self._projector.positions.get(place)) and held.next >= ends[place] for place in places):
                    if set(places) - self._projector.positions.keys():
                        return []  # a partition was taken away meanwhile
                    self._read.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(FALLBACK):
                            await self._read.wait()
        except TimeoutError:
            return []
        return [place.partition for place in places]

    async def _decide_due(self, automation: Automation, partitions: Sequence[int], instant: int, clock: Clock) -> Decided:
        """Those that never failed, and then those that did, which may wait for what they lack."""
        fresh = self._states.rows(await self._pool.fetch(due_sql(automation), partitions, instant, BATCH))
        both = [await self.decide(automation, fresh, instant, clock)] if fresh else []
        if again := await self._failed(automation, partitions, instant, bool(fresh)):
            loaded = await self._states.load(self._pool, again)
            both.append(await self.decide(automation, loaded, instant, clock, failed=True))
        return Decided(sum(each.subjects for each in both), sum(each.events for each in both), sum(each.overtaken for each in both))

    async def _failed(self, automation: Automation, partitions: Sequence[int], instant: int, others: bool) -> list[str]:
        """Those that are to be tried again, where the look around saw some. others: whether others are due."""
        if automation.name not in self._again:
            return []
        self._again.discard(automation.name)
        rows = await self._pool.fetch(due_again_sql(automation), partitions, instant, BATCH)
        if not rows and not others:
            await self._pool.execute(settled_sql(automation))
        return [row["subject"] for row in rows]

    async def decide(
        self,
        automation: Automation,
        rows: Mapping[str, Row],
        instant: int,
        clock: Clock,
        *,
        failed: bool = False,
    ) -> Decided:
        """Decide these rows as they were read, commit together, and set aside what failed or is still due. failed: they did before."""
        self.under_way += 1
        self._due_back[automation.name] = monotonic()  # what is due was found: it goes on
        try:
            return await self._decide(automation, rows, instant, clock, failed)
        finally:
            self.under_way -= 1

    async def _decide(self, automation: Automation, rows: Mapping[str, Row], instant: int, clock: Clock, failed: bool) -> Decided:
        left = self._left[automation.name]
        asks = failed or automation.at is not None  # afterwards whether rows are due still: one with a time may be due again as it was left
        errors = {} if asks else {row.subject: STILL_DUE for row in rows.values() if left.get(row.subject) == row.revision}
        words = await self._opened(automation, [row for row in rows.values() if row.subject not in errors], errors)
        drafts: list[Draft] = []
        spans: dict[str, Span] = {}
        nothing: list[Row] = []  # decided nothing: the decider is wrong, or one that failed before is no longer due
        for n, row in enumerate(rows.values(), 1):
            if n % TURN_SIZE == 0:
                await asyncio.sleep(0)
            if row.subject in errors:
                continue
            try:
                draft = self._decided(automation, row, words.get(row.subject, {}), instant, clock(), spans)
            except Exception as error:
                errors[row.subject] = safe_message(error)
            else:
                drafts.append(draft) if draft.events else nothing.append(row)
        self._due_back[automation.name] = monotonic()
        items: list[Item] = []
        for draft, item in zip(drafts, await self._prepare(drafts), strict=True):
            if isinstance(item, JournalRestored):
                raise item
            if isinstance(item, Exception):
                errors[draft.row.subject] = safe_message(item)
            else:
                items.append(item)
        outcomes = await self._committer.commit_all(items)
        committed: list[Item] = []
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, (*AWAY, JournalRestored)) and not isinstance(outcome, HELD):
                raise outcome  # no row is at fault: after an adoption each is decided at once
            if isinstance(outcome, BaseException):
                errors[item.row.subject] = safe_message(outcome)
            elif outcome.result == "committed":
                committed.append(item)
            if (span := spans.get(item.row.subject)) is not None:
                span.end(error=type(outcome).__name__ if isinstance(outcome, BaseException) else None)
        if asks:
            after = {item.row.subject: item.row.revision + 1 for item in committed} | {row.subject: row.revision for row in nothing}
            still = await self._pool.fetch(still_due_sql(automation), list(after), instant, list(after.values())) if after else ()
            errors |= {row["subject"]: STILL_DUE for row in still}
        else:
            errors |= {row.subject: STILL_DUE for row in nothing}  # each was due when it was loaded
            for item in committed:
                left.pop(item.row.subject, None)
                left[item.row.subject] = item.row.revision + 1
            while len(left) > LEFT:
                del left[next(iter(left))]
        if errors:
            for subject, what in errors.items():
                trace = tracing.in_log(rows[subject].cause.get("traceparent"))
                log.error("work-set-aside", service=self._source, automations=automation.name, subject=subject, error=what, **trace)
            await self._pool.execute(ERRORS, automation.name, list(errors), list(errors.values()), FIRST_RETRY, LONGEST_RETRY)
        if failed and (healed := [subject for subject in rows if subject not in errors]):
            await self._pool.execute(CLEAR, automation.name, healed)
        for outcome_name, count in (("decided", len(committed)), ("failed", len(errors)), ("again", len(items) - len(committed))):
            self.counts[automation.name, outcome_name] = self.counts.get((automation.name, outcome_name), 0) + count
        return Decided(len(rows), sum(len(item.events) for item in items), len(items) - len(committed))

    async def _opened(self, automation: Automation, rows: Collection[Row], errors: dict[str, str]) -> dict[str, Mapping[str, str]]:
        """The words that these rows are decided on, by subject. Where they cannot be had the row is not decided at all: what was forgotten
        is missing among them, and nothing else is."""
        if automation.opens is None:
            return {}
        wanted: dict[str, Sequence[str]] = {}
        for row in rows:
            try:
                wanted[row.subject] = automation.opens(self._state(row))
            except Exception as error:
                errors[row.subject] = safe_message(error)
        opened: dict[str, Mapping[str, str]] = {}
        for subject, words in (await self._words(wanted)).items():
            if isinstance(words, Exception):
                errors[subject] = safe_message(words)
            else:
                opened[subject] = words
        return opened

    def _decided(
        self, automation: Automation, row: Row, words: Mapping[str, str], instant: int, now: datetime, spans: dict[str, Span]
    ) -> Draft:
        passed = EPOCH + timedelta(microseconds=instant) if automation.at else None
        context = Context(now=now, actor=automation.actor, subject=row.subject, entropy=self._entropy(), plaintext=words, passed=passed)
        began = tracing.now()
        events = automation.decide(self._state(row), context)
        provenance = replace(cause_of(row), actor=automation.actor)
        if self._tracer is not None and events:
            spans[row.subject] = span = tracing.decided(self._tracer, automation.name, row, began)
            provenance = replace(provenance, traceparent=span.traceparent)
        return Draft(row, events, now, provenance)

    def _state(self, row: Row) -> Any:
        return self._states.codec(row.subject).aggregate.state(observed=row.observed, own=row.own)
