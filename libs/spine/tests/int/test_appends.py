"""What conflicts with nothing is never refused: appends at once to one subject, through one process or two, while a projector writes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from threading import Thread

import orjson
import pytest
from spine_log import Author, on_the_log, pen, verified
from spine_stack import Stack, Toy, eventually, metadata, registered

from redress_events.contracts import HANDLING
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.event import Event
from redress_events.vocabulary import LIFECYCLE
from redress_spine.aggregate import Context
from redress_spine.store import connections
from redress_spine.store.engine import Conflict, Engine, Unavailable

AT_ONCE = 60


def chase(toy: Toy, context: Context) -> list[Event]:
    return [ComplaintChased(chase=toy.own.chases + 1, text="still nothing")]


async def chased(engines: Sequence[Engine], subject: str, key: str) -> list[int]:
    """The version that each command was answered with; every second one is repeated at the same time with the same key."""
    commands = []
    for n in range(AT_ONCE):
        for again in range(1 + n % 2):
            engine = engines[(n + again) % len(engines)]
            commands.append(engine.decide(subject, chase, metadata(f"{key}-{n}"), append=True))
    return [seen.version for seen, _ in await asyncio.gather(*commands)]


@asynccontextmanager
async def projected_meanwhile(stack: Stack, subject: str, engine: Engine) -> AsyncIterator[None]:
    """Another service's events are projected into the same row all the while."""
    written = 0

    async def write() -> None:
        nonlocal written
        author = Author(subject, HANDLING)
        async with pen(stack) as hand:
            while True:
                await hand.write(*author.say(CaseOpened(cycle=1, routing=1, department="d")))
                written += 1

    async def moving() -> bool:
        return bool((await engine.read(subject)).state.observed.opened > 3)

    writing = asyncio.create_task(write())
    try:
        await eventually(moving)
        before = (await engine.read(subject)).state.observed.opened
        yield
        after = (await engine.read(subject)).state.observed.opened
        assert after > before, "nothing was projected meanwhile"
    finally:
        writing.cancel()
        await asyncio.wait([writing])


@pytest.mark.parametrize("replicas", [1, 2])
async def test_sixty_chases_at_once_are_all_kept_and_numbered_while_the_row_is_projected(
    stack: Stack, replicas: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redress_spine.store.deciding.BUDGET", 60.0)  # however slow the machine is
    engines = [await stack.engine("intake") for _ in range(replicas)]
    seen, _ = await engines[0].create("complaint", lambda context: [registered()], metadata("new"))
    async with projected_meanwhile(stack, seen.subject, engines[0]):
        versions = await chased(engines, seen.subject, "k")
    assert len(versions) == AT_ONCE * 3 // 2
    connection = await stack.connect("intake")
    rows = await connection.fetch("SELECT data FROM events WHERE stream = $1 AND version > 1 ORDER BY version", seen.subject)
    await connection.close()
    assert [orjson.loads(row["data"])["data"]["chase"] for row in rows] == list(range(1, AT_ONCE + 1))
    assert (await engines[0].read(seen.subject)).state.own.chases == AT_ONCE
    assert all(len(engine.deciding.turns) == 0 for engine in engines)

    async def shipped() -> bool:
        return sum(b'"chase":' in (each.value or b"") for each in await on_the_log(stack, LIFECYCLE, stack.partitions)) == AT_ONCE

    await eventually(shipped)


async def test_commands_that_depend_on_what_they_read_take_turns_too(stack: Stack) -> None:
    intake = await stack.engine("intake")
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("new"))
    await asyncio.gather(*(intake.decide(seen.subject, chase, metadata(f"k-{n}")) for n in range(AT_ONCE)))
    assert (await intake.read(seen.subject)).state.own.chases == AT_ONCE
    await verified(stack, "intake")


def moved(dsn: str, subject: str, column: str) -> None:
    """Somebody else writes the row; in a thread, for a decider does not wait."""

    async def move() -> None:
        connection = await connections.connect(dsn, server_settings={"search_path": "fold1_1,public"})
        await connection.execute(f"UPDATE state SET {column} = {column} + 1 WHERE subject = $1", subject)
        await connection.close()

    thread = Thread(target=asyncio.run, args=[move()])
    thread.start()
    thread.join()


class Overtaken:
    """A decider that somebody overtakes, the first few times."""

    def __init__(self, dsn: str, subject: str, column: str, times: int) -> None:
        self.move = partial(moved, dsn, subject, column)
        self.times = times
        self.looked = 0

    def __call__(self, toy: Toy, context: Context) -> list[Event]:
        self.looked += 1
        if self.looked <= self.times:
            self.move()
        return chase(toy, context)


async def test_what_an_append_does_not_depend_on_is_no_conflict_and_what_it_does_is_decided_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = await stack.engine("intake")
    dsn = (await stack.database("intake")).app_dsn
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("new"))

    observed = Overtaken(dsn, seen.subject, "revision", 99)
    assert (await intake.decide(seen.subject, observed, metadata(), append=True))[0].version == 2
    assert observed.looked == 1, "what was observed meanwhile was a conflict"

    own = Overtaken(dsn, seen.subject, "decided", 6)
    assert (await intake.decide(seen.subject, own, metadata(), append=True))[0].version == 3
    assert own.looked == 7

    row = Overtaken(dsn, seen.subject, "revision", 99)
    with pytest.raises(Conflict):
        await intake.decide(seen.subject, row, metadata())
    assert row.looked == 4

    monkeypatch.setattr("redress_spine.store.deciding.BUDGET", 2.0)
    for_ever = Overtaken(dsn, seen.subject, "decided", 999)
    with pytest.raises(Unavailable):
        await intake.decide(seen.subject, for_ever, metadata(), append=True)
    assert for_ever.looked > 4 and (await intake.read(seen.subject)).state.own.chases == 2
