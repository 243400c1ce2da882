"""Finds the rows whose effects are due, as work is found, and keeps what is wanted of them: in rows that a rebuild does not touch.

A row is looked at once for each of its revisions. What it wants a second time, after a rebuild or a crash, is there already under its key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog

from redress_events.event import EPOCH, Event
from redress_spine import tracing
from redress_spine.aggregate import Automation, Context
from redress_spine.processing.automations import CLEAR, ERRORS, FIRST_RETRY, LONGEST_RETRY, TURN_SIZE, AutomationLoop, Decided
from redress_spine.processing.clock import Clock, monotonic
from redress_spine.processing.reactor import Effect, Reactor
from redress_spine.store.errors import safe_message
from redress_spine.store.states import Row

log = structlog.get_logger(__name__)

# Rows that somebody writes now are left: they are found again. Index: state_pkey.
LOCK = """
SELECT s.subject FROM state s JOIN unnest($1::text[], $2::bigint[]) d (subject, revision) USING (subject, revision)
ORDER BY s.subject FOR UPDATE OF s SKIP LOCKED
"""
WANT = """
INSERT INTO effects (reactor, key, subject, lane, target, data, opens, traceparent)
SELECT $1, w.key, w.subject, w.lane, w.target, w.data, ARRAY (SELECT jsonb_array_elements_text(w.opens)), w.traceparent
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[], $8::text[])
    WITH ORDINALITY w (key, subject, lane, target, data, opens, traceparent, ord) ORDER BY w.ord
ON CONFLICT DO NOTHING
"""
PLANNED = """
INSERT INTO planned (reactor, subject, revision) SELECT $1, * FROM unnest($2::text[], $3::bigint[])
ON CONFLICT (reactor, subject) DO UPDATE SET revision = excluded.revision
"""


def plan_of(reactor: Reactor) -> Automation:
    """Its due rows, as the automation loop asks for them: without those that were looked at as they are."""
    seen = (
        f"EXISTS (SELECT FROM planned p WHERE p.reactor = '{reactor.name}' AND p.subject = s.subject AND p.revision = s.revision OFFSET 0)"
    )
    due = reactor.due if reactor.forget else f"({reactor.due}) AND NOT {seen}"
    return Automation(reactor.name, due, _decides_nothing, reactor.index, reactor.at)


def _decides_nothing(state: Any, context: Context) -> list[Event]:
    raise AssertionError("Effects are planned, not decided.")


class Planning(AutomationLoop):
    """The automation loop, with effects in the place of events. planned: called when there are new ones.

    It knows no table that says what is due, so it is woken by whatever is written, and waits a little for more of it.
    """

    GATHER = 0.1

    def __init__(self, *, reactors: Sequence[Reactor], planned: Callable[[], None], **others: Any) -> None:
        self.plans = [plan_of(each) for each in reactors]
        super().__init__(automations=self.plans, **others)
        self._reactors = {each.name: each for each in reactors}
        self._planned = planned

    async def _decide_due(self, automation: Automation, partitions: Sequence[int], instant: int, clock: Clock) -> Decided:
        if (sweep := self._reactors[automation.name].sweep) is not None:
            await sweep(self._pool)
        return await super()._decide_due(automation, partitions, instant, clock)

    async def _decide(self, automation: Automation, rows: Mapping[str, Row], instant: int, clock: Clock, failed: bool) -> Decided:
        reactor = self._reactors[automation.name]
        known: Mapping[str, Any] = await reactor.look(self._pool, list(rows.values())) if reactor.look else {}
        errors: dict[str, str] = {}
        wanted: dict[str, list[Effect]] = {}
        passed = EPOCH + timedelta(microseconds=instant) if automation.at else None
        for n, row in enumerate(rows.values(), 1):
            if n % TURN_SIZE == 0:
                await asyncio.sleep(0)
            try:
                wanted[row.subject] = self._wanted(reactor, row, known.get(row.subject), clock(), passed)
            except Exception as error:
                errors[row.subject] = safe_message(error)
        self._due_back[automation.name] = monotonic()
        kept = await self._keep(reactor, [rows[subject] for subject in wanted], wanted, known)
        if errors:
            for subject, what in errors.items():
                trace = tracing.in_log(rows[subject].cause.get("traceparent"))
                log.error("effect-set-aside", service=self._source, reactor=automation.name, subject=subject, error=what, **trace)
            await self._pool.execute(ERRORS, automation.name, list(errors), list(errors.values()), FIRST_RETRY, LONGEST_RETRY)
        if failed and (healed := [subject for subject in rows if subject not in errors]):
            await self._pool.execute(CLEAR, automation.name, healed)
        effects = sum(len(wanted[subject]) for subject in kept)
        for outcome, count in (("planned", effects), ("failed", len(errors))):
            self.counts[automation.name, outcome] = self.counts.get((automation.name, outcome), 0) + count
        if effects:
            self._planned()
        return Decided(len(rows), len(kept), len(wanted) - len(kept))

    def _wanted(self, reactor: Reactor, row: Row, known: Any, now: datetime, passed: datetime | None) -> list[Effect]:
        context = Context(now=now, actor=f"reactor:{reactor.name}", subject=row.subject, entropy=self._entropy(), passed=passed)
        return reactor.wanted(self._state(row), known, context)

    async def _keep(
        self,
        reactor: Reactor,
        rows: Collection[Row],
        wanted: Mapping[str, Sequence[Effect]],
        known: Mapping[str, Any],
    ) -> list[str]:
        """Effects and the mark that they are kept, in one transaction; of rows that are still as they were. → their subjects."""
        revisions = {row.subject: row.revision for row in rows}
        traces = {row.subject: row.cause.get("traceparent") for row in rows}
        async with self._pool.acquire() as connection, connection.transaction():
            locked = await connection.fetch(LOCK, list(revisions), list(revisions.values()))
            kept = [row["subject"] for row in locked]
            effects = [effect for subject in kept for effect in wanted[subject]]
            if effects:
                await connection.execute(
                    WANT,
                    reactor.name,
                    [each.key for each in effects],
                    [each.subject for each in effects],
                    [each.lane or each.key for each in effects],
                    [each.target for each in effects],
                    [orjson.dumps(dict(each.data)).decode() for each in effects],
                    [orjson.dumps(list(each.opens)).decode() for each in effects],
                    [traces[subject] for subject in kept for _ in wanted[subject]],
                )
            if reactor.forget:
                await reactor.forget(connection, kept, known)
            elif kept:
                await connection.execute(PLANNED, reactor.name, kept, [revisions[subject] for subject in kept])
        return kept
