"""With a stepping clock a month of deadlines passes in seconds, the same way each time; and no jump breaches what was kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import pytest
from spine_stack import OPEN, Stack, Toy, eventually, metadata, open_case, registered

from redress_events.contracts.intake import ComplaintChased
from redress_events.event import Event
from redress_spine.aggregate import Automation, Context
from redress_spine.messaging import topics
from redress_spine.messaging.envelope import decode
from redress_spine.messaging.log_end import MARGIN
from redress_spine.processing import automations
from redress_spine.processing.clock import ClockSetBack, SteppingClock
from redress_spine.processing.idle import Idle
from redress_spine.processing.stepping import NotIdle, Stepper
from redress_spine.store.engine import Engine

START = datetime(2026, 2, 13, 1, 0, tzinfo=UTC)
DAYS = 30
TARGET = timedelta(days=3)
DEADLINE = (
    "ALTER TABLE state ADD COLUMN deadline bigint GENERATED ALWAYS AS ((observed->>'registered_at')::bigint + 3 * 86400000000) STORED"
)
BREACH = Automation(
    "breach", due="deadline IS NOT NULL AND NOT own ? 'opened' AND NOT observed ? 'chases'", at="deadline", decide=open_case, index=""
)


class Story:
    """An intake, and a handling of two replicas that breaches what nobody chased within three days; on one stepping clock."""

    def __init__(self, stack: Stack, file: Path) -> None:
        self.stack = stack
        self.clock = SteppingClock.make(file, START)
        self.moves: list[datetime] = []

    async def begin(self, *works: Automation) -> Story:
        self.owner = await self.stack.connect("handling", owner=True)
        await self.owner.execute(DEADLINE)
        self.intake = await self.stack.engine("intake", clock=SteppingClock(self.clock.file))
        clocks = [SteppingClock(self.clock.file) for _ in range(2)]
        self.handling = [await self.stack.engine("handling", automations=list(works) or [BREACH], clock=clock) for clock in clocks]
        self.loop = asyncio.get_running_loop()
        return self

    def stepper(self, timeout: float = 30.0) -> Stepper:
        return Stepper(self.clock, self._ask, timeout=timeout, moved=lambda instant, records: self.moves.append(instant))

    def _ask(self) -> Sequence[Idle]:
        return [asyncio.run_coroutine_threadsafe(each.idle(), self.loop).result(20) for each in (self.intake, *self.handling)]

    async def until(self, instant: datetime, timeout: float = 30.0) -> None:
        await asyncio.to_thread(self.stepper(timeout).until, instant)

    async def to_end(self) -> None:
        await asyncio.to_thread(self.stepper().to_end)

    async def register(self, text: str) -> str:
        seen, _ = await self.intake.create("complaint", lambda context: [registered(text)], metadata())
        return seen.subject

    async def chase(self, subject: str) -> None:
        await self.intake.decide(subject, lambda state, context: [ComplaintChased(chase=1)], metadata())

    async def breaches(self) -> dict[str, list[datetime]]:
        found: dict[str, list[datetime]] = {}
        for row in await self.owner.fetch("SELECT stream, data FROM events ORDER BY global_position"):
            found.setdefault(row["stream"], []).append(decode(row["data"]).time)
        return found

    async def told(self) -> list[tuple[datetime, str, str, str]]:
        """Every event with its time and data, by the day on which its complaint came in. Sealed words differ, as their keys do."""
        rows = await self.owner.fetch("SELECT data FROM events")
        connection = await self.stack.connect("intake", owner=True)
        rows += await connection.fetch("SELECT data FROM events")
        await connection.close()
        events = [decode(row["data"]) for row in rows]
        came = {event.subject: f"{event.time:%d}" for event in events if "registered" in event.type}
        return sorted((event.time, came[event.subject], event.type, str({**event.data, "text": ""})) for event in events)


async def month(stack: Stack, file: Path) -> Story:
    """A complaint each day; every second one is chased four hours before its deadline."""
    story = await Story(stack, file).begin()
    subjects: list[str] = []
    for day in range(DAYS):
        await story.until(START + timedelta(days=day))
        subjects.append(await story.register(f"complaint {day}"))
        if day >= 3 and day % 2:
            await story.until(START + timedelta(days=day, hours=20))
            await story.chase(subjects[day - 2])
    await story.to_end()
    return story


async def test_a_month_of_deadlines_takes_seconds_and_comes_out_the_same_twice(
    stack: Stack, database: Callable[..., Any], kafka_address: str, tmp_path: Path
) -> None:
    began = monotonic()
    one = await month(stack, tmp_path / "one")
    took = monotonic() - began
    other_stack = Stack(kafka_address, database)
    await topics.ensure(kafka_address, partitions=other_stack.partitions, prefix=other_stack.prefix)
    try:
        two = await month(other_stack, tmp_path / "two")
        events = await one.told()
        assert events == await two.told()
        assert one.moves == two.moves
    finally:
        for engine in list(other_stack.engines):
            await engine.stop()
        await two.owner.close()
    assert took < 240, f"a month took {took:.0f} s"

    breached = await one.breaches()
    assert {len(times) for times in breached.values()} == {1}, "each once"
    chased = [event for event in events if "chased" in event[2]]
    assert len(chased) == 14 and len(breached) == DAYS - len(chased)
    expected = {START + timedelta(days=day) + TARGET + MARGIN for day in range(DAYS)}
    assert {times[0] for times in breached.values()} <= expected, "decided at the deadline, and not a microsecond of the wall clock later"
    assert one.clock() == max(times[0] for times in breached.values())
    await one.owner.close()


async def test_a_jump_waits_for_what_was_said_in_time_and_breaches_nothing_falsely(stack: Stack, tmp_path: Path) -> None:
    story = await Story(stack, tmp_path / "clock").begin()
    kept, missed = await story.register("kept"), await story.register("missed")
    await story.until(START + TARGET - timedelta(seconds=1))
    released = asyncio.Event()
    for each in story.handling:
        stalled(each, released)
    await story.chase(kept)  # in the last second; those who judge it read slowly
    with pytest.raises(NotIdle, match="handling: 1 records to read"):
        await story.until(START + timedelta(days=10), timeout=1.0)
    assert story.clock() == START + TARGET - timedelta(seconds=1), "it moved though not all was read"
    released.set()
    await story.until(START + timedelta(days=10))
    assert await story.breaches() == {missed: [START + TARGET + MARGIN]}
    await story.owner.close()


async def test_what_is_stuck_is_an_error_that_names_it(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automations, "FIRST_RETRY", 0.05)

    def fails(toy: Toy, context: Context) -> list[Event]:
        raise ValueError("the customer's words")

    story = await Story(stack, tmp_path / "clock").begin(Automation("open", OPEN.due, fails, OPEN.index))
    subject = await story.register("never opened")
    with pytest.raises(NotIdle, match=rf"open of {subject} set aside after \d+ attempts: ValueError at test_stepping") as caught:
        await story.until(START + timedelta(days=1))
    assert "words" not in str(caught.value)
    assert story.clock() == START
    await story.owner.close()


async def test_the_loops_are_woken_by_a_move_and_the_clock_never_goes_back(stack: Stack, tmp_path: Path) -> None:
    story = await Story(stack, tmp_path / "clock").begin()
    await story.register("alone")
    instant = START + TARGET + MARGIN
    assert await asyncio.to_thread(story.stepper().settle) == instant
    with pytest.raises(ClockSetBack):
        await story.until(START - timedelta(seconds=1))
    story.clock.move(instant - timedelta(microseconds=1))
    assert [(await each.idle()).due for each in story.handling] == [0, 0]
    assert await asyncio.to_thread(story.stepper().settle) == instant
    story.clock.move(instant)
    assert (await story.handling[0].idle()).due == 1
    await eventually(story.breaches, within=5.0)  # though it was to sleep for days
    assert await asyncio.to_thread(story.stepper().settle) is None
    await story.owner.close()


def stalled(engine: Engine, released: asyncio.Event) -> None:
    """The projector keeps its partitions and reads nothing until released, as behind a slow disk."""
    real = engine.projector.project

    async def project(connection: asyncpg.Connection, batch: Any) -> Any:
        await released.wait()
        return await real(connection, batch)

    engine.projector.project = project  # type: ignore[method-assign]
