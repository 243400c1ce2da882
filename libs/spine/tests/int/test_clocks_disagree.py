"""A replica whose clock and its database's are too far apart decides nothing, says so, and goes on once they agree."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from spine_log import Author, pen, subject_of
from spine_stack import OPEN, Stack, eventually, metadata, open_case, registered
from structlog.testing import capture_logs

from redress_spine.aggregate import Automation
from redress_spine.messaging.envelope import decode
from redress_spine.processing.clock import wall_clock
from redress_spine.store.engine import ClockOff, Engine

GIVE_UP = Automation("give-up", due="deadline IS NOT NULL AND NOT own ? 'opened'", at="deadline", decide=open_case, index="")
DEADLINE = "ALTER TABLE state ADD COLUMN deadline bigint GENERATED ALWAYS AS ((observed->>'registered_at')::bigint) STORED"
DAY = timedelta(days=1)


class Leaping:
    """A wall clock that somebody sets wrong."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return wall_clock() + self.ahead


async def turns(engine: Engine, automation: str, count: int = 5) -> None:
    """Until the loop has looked so many times more."""
    seen = {engine.automations._due_back[automation]}

    async def looked() -> bool:
        seen.add(engine.automations._due_back[automation])
        return len(seen) > count

    await eventually(looked)


async def agrees(engine: Engine, wanted: bool) -> bool:
    return engine._cross_check.agrees is wanted


@pytest.mark.parametrize("leap", [30 * DAY, -30 * DAY], ids=["ahead", "behind"])
async def test_a_clock_that_leaps_closes_nothing_takes_no_command_sounds_one_alarm_and_goes_on_once_it_is_right(
    stack: Stack, leap: timedelta
) -> None:
    owner = await stack.connect("handling", owner=True)
    await owner.execute(DEADLINE)
    clock, early, late = Leaping(), Author(subject_of(1)), Author(subject_of(2))
    handling = await stack.engine("handling", automations=[GIVE_UP], clock=clock)
    subject = early.subject
    with capture_logs() as logs:
        clock.ahead = leap
        async with pen(stack) as hand:
            await hand.write(*early.say(registered(), at=wall_clock() - DAY), *late.say(registered(), at=wall_clock() + DAY))

        async def observed() -> bool:
            return bool(await owner.fetchval("SELECT count(*) = 2 FROM state"))

        await eventually(observed)
        await eventually(lambda: agrees(handling, False))
        await turns(handling, "give-up")
        assert await owner.fetchval("SELECT count(*) FROM events") == 0, "decided by a wrong clock"
        with pytest.raises(ClockOff):
            await handling.decide(subject, open_case, metadata())
        with pytest.raises(ClockOff):
            await handling.create("complaint", lambda context: [registered()], metadata("k"))
        assert (await handling.measures()).clock_skew_seconds == pytest.approx(leap.total_seconds(), abs=30)
        assert (await handling.health()).ready and (await handling.read(subject)).subject == subject
        assert [each["log_level"] for each in logs if each["event"] == "clocks-disagree"] == ["error"]
        clock.ahead = timedelta()
        await eventually(lambda: given_up(owner, 1))
    assert await owner.fetchval("SELECT stream FROM events") == subject
    assert "clocks-agree" in {each["event"] for each in logs}
    assert abs((await handling.measures()).clock_skew_seconds) < 5
    await handling.decide(late.subject, open_case, metadata())
    await owner.close()


async def given_up(owner: Any, count: int) -> bool:
    return bool(await owner.fetchval("SELECT count(*) FROM events") == count)


async def test_a_leap_after_the_clocks_were_compared_reaches_no_decision_of_that_turn(stack: Stack) -> None:
    owner = await stack.connect("handling", owner=True)
    await owner.execute(DEADLINE)
    clock, early, late = Leaping(), Author(subject_of(1)), Author(subject_of(2))
    handling = await stack.engine("handling", automations=[GIVE_UP], clock=clock)
    real = handling.automations._passed

    async def leaps(*metadata: Any) -> Any:  # between comparing the clocks and deciding
        if passed := await real(*metadata):
            clock.ahead = 30 * DAY
        return passed

    handling.automations._passed = leaps  # type: ignore[method-assign, assignment]
    async with pen(stack) as hand:
        await hand.write(*late.say(registered(), at=wall_clock() + DAY), *early.say(registered(), at=wall_clock() - DAY))
    await eventually(lambda: agrees(handling, False))
    await turns(handling, "give-up")
    (only,) = await owner.fetch("SELECT stream, data FROM events")
    assert only["stream"] == early.subject and decode(only["data"]).time < wall_clock(), "it carries the time of the leap"
    await owner.close()


async def test_work_without_a_time_waits_too_because_its_events_would_have_a_wrong_one(stack: Stack) -> None:
    clock, author = Leaping(), Author(subject_of(1))
    handling = await stack.engine("handling", automations=[OPEN], clock=clock)
    clock.ahead = DAY
    await eventually(lambda: agrees(handling, False))
    connection = await stack.connect("handling")
    async with pen(stack) as hand:
        await hand.write(*author.say(registered()))

    async def observed() -> bool:
        return bool(await connection.fetchval("SELECT count(*) = 1 FROM state"))

    await eventually(observed)
    await turns(handling, "open")
    assert await connection.fetchval("SELECT count(*) FROM events") == 0
    clock.ahead = timedelta()
    await eventually(lambda: given_up(connection, 1))
    await connection.close()


async def test_the_clocks_are_compared_before_anything_is_decided_after_a_start(stack: Stack) -> None:
    clock = Leaping()
    clock.ahead = DAY
    handling = await stack.engine("intake", clock=clock)
    with pytest.raises(ClockOff):
        await handling.create("complaint", lambda context: [registered()], metadata("early"))
