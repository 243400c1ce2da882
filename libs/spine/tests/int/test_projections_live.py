"""Rows and counts are those of the states, whoever wrote them, whatever broke meanwhile, and verify says where they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import spine_stack
from spine_log import Author, described, idle, pen, rebuild, subject_of, verified, whole
from spine_process import BATCH_SAVED, replica
from spine_stack import MASTER, TOYS, Stack, Toy, eventually, metadata, registered

from redress_events.contracts import HANDLING, INTAKE
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.event import Event
from redress_spine.admin.verify import verify
from redress_spine.aggregate import Context, Projection
from redress_spine.processing import projector
from redress_spine.store.engine import Engine
from redress_spine.store.saving import save, save_at_once

OPENED = CaseOpened(cycle=1, routing=1, department="d")
ROWS = "SELECT what, n, name FROM toys WHERE subject = $1 ORDER BY what"
COUNTS = "SELECT key, n FROM counts WHERE name = 'stage' AND n <> 0 ORDER BY key"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def named(number: str) -> Callable[[Toy, Context], list[Event]]:
    return lambda toy, context: [registered(number=number)]


async def new(intake: Engine, key: str = "new") -> str:
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata(key))
    return seen.subject


async def observed(engine: Engine, subject: str, opened: int = 1) -> None:
    async def there() -> bool:
        return bool((await engine.read(subject)).state.observed.opened == opened)

    await eventually(there)


async def asks(stack: Stack, source: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    connection = await stack.connect(source, owner=True)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()


async def test_rows_and_counts_follow_what_is_done_and_what_is_observed_and_a_rebuild_makes_the_same(stack: Stack, tmp_path: Path) -> None:
    intake = await stack.engine("intake")
    subject, other = await new(intake), await new(intake, "other")
    assert await asks(stack, "intake", ROWS, subject) == [("named", 1, "X")]
    assert await asks(stack, "intake", COUNTS) == [("new", 2)]
    async with pen(stack) as hand:
        sent = Author(subject, HANDLING).say(OPENED)
        await hand.write(*sent, *sent)  # redelivered at once
        await observed(intake, subject)
        await intake.decide(subject, named("Y"), metadata())
        await hand.write(*sent)
    assert await asks(stack, "intake", ROWS, subject) == [("named", 1, "Y"), ("opened", 1, "Y")]
    assert await asks(stack, "intake", COUNTS) == [("new", 1), ("opened", 1)]
    await idle(intake)
    before = await whole(stack, "intake")
    await verified(stack, "intake")
    await rebuild(stack, "intake", tmp_path)
    assert await whole(stack, "intake") == before and other in {row[0] for row in before}
    await verified(stack, "intake")


async def test_what_is_decided_while_a_batch_is_folded_is_in_the_rows_too(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = await stack.engine("intake")
    subject = await new(intake)
    overtaken: list[Any] = []
    steps: list[list[str]] = []

    async def overtaken_save(connection: Any, moves: Any, foldings: Any, keys: Any, timeline: Any) -> Any:
        if not overtaken and any(folding.observed.opened for folding in foldings):
            overtaken.append(await intake.decide(subject, named("Y"), metadata()))
        return await save_at_once(connection, moves, foldings, keys, timeline)

    async def save_by_steps(connection: Any, foldings: Any) -> Any:
        steps.append([folding.subject for folding in foldings])
        return await save(connection, foldings)

    monkeypatch.setattr(projector, "save_at_once", overtaken_save)
    monkeypatch.setattr(projector, "save", save_by_steps)
    async with pen(stack) as hand:
        await hand.write(*Author(subject, HANDLING).say(OPENED))
    await observed(intake, subject)
    assert overtaken and steps == [[subject]], "in one statement, where nothing was decided meanwhile"
    assert await asks(stack, "intake", ROWS, subject) == [("named", 1, "Y"), ("opened", 1, "Y")]
    await idle(intake)
    await verified(stack, "intake")


async def test_what_is_observed_while_an_append_is_decided_is_a_conflict_only_where_rows_show_both(stack: Stack) -> None:
    intake = await stack.engine("intake")
    subject = await new(intake)
    author, looked, opened = Author(subject, HANDLING), 0, 1

    async with pen(stack) as hand:
        await hand.write(*author.say(OPENED))
        await observed(intake, subject)
        deciding, read = intake.deciding, intake.deciding._row

        async def row(wanted: str) -> Any:
            """The row as read; and before it is decided on, something more is observed, the first three times."""
            nonlocal looked, opened
            loaded = await read(wanted)
            looked += 1
            if looked <= 3:
                await hand.write(*author.say(OPENED))
                opened += 1

                async def projected() -> bool:
                    return bool((await read(wanted)).observed.opened == opened)

                await eventually(projected)
            return loaded

        deciding._row = row  # type: ignore[method-assign, assignment]
        await intake.decide(subject, named("Y"), metadata(), append=True)
        assert looked == 4, "rows were made of what was observed before"
        looked = 0
        await intake.decide(subject, lambda toy, _: [ComplaintChased(chase=1)], metadata(), append=True)
        assert looked == 1, "no row shows a chase: it conflicts with nothing"
    assert await asks(stack, "intake", ROWS, subject) == [("named", 1, "Y"), ("opened", 5, "Y")]
    await idle(intake)
    await verified(stack, "intake")


async def test_a_replica_killed_in_its_transaction_leaves_no_row_and_the_next_one_writes_each_once(stack: Stack) -> None:
    async with pen(stack) as hand, replica(stack, "handling", hold=BATCH_SAVED) as killed:
        for n in range(20):
            await hand.write(*Author(subject_of(n), INTAKE).say(registered(), ComplaintChased(chase=1)))
        await killed.holds()
        await killed.kill()
        assert await asks(stack, "handling", "SELECT * FROM toys") == await asks(stack, "handling", COUNTS) == []
        handling = await stack.engine("handling", automations=[])

        async def all_there() -> bool:
            return await asks(stack, "handling", COUNTS) == [("new", 20)]

        await eventually(all_there)
        assert len(await asks(stack, "handling", "SELECT FROM toys")) == 20
    await idle(handling)


async def test_replicas_that_come_and_go_under_traffic_count_each_subject_once_and_nobody_waits_in_a_circle(stack: Stack) -> None:
    intakes = [await stack.engine("intake") for _ in range(2)]
    handling = [await stack.engine("handling")]
    (before,) = await asks(stack, "handling", DEADLOCKS)

    async def many(intake: Engine, name: str) -> None:
        await asyncio.gather(*(new(intake, f"{name}-{n}") for n in range(150)))

    for turn in range(2):
        creating = [asyncio.create_task(many(intake, f"{turn}-{n}")) for n, intake in enumerate(intakes)]
        handling.append(await stack.engine("handling"))
        await asyncio.gather(*creating)
        await stack.stop(handling.pop(0))

    async def all_opened() -> bool:
        return all([await asks(stack, source, COUNTS) == [("opened", 600)] for source in ("intake", "handling")])

    await eventually(all_opened, within=60)
    await idle(*intakes, *handling)
    assert await asks(stack, "handling", DEADLOCKS) == [before]
    for source in ("intake", "handling"):
        await verified(stack, source)


async def test_a_parked_subject_has_the_rows_of_what_was_folded_and_a_redrive_brings_the_rest(stack: Stack, tmp_path: Path) -> None:
    intake = await stack.engine("intake")
    subject = await new(intake)
    first, second, third = Author(subject, HANDLING).say(OPENED, OPENED, OPENED)
    async with pen(stack) as hand:
        await hand.write(first, third)

        async def parked() -> bool:
            return bool((await intake.read(subject)).parked)

        await eventually(parked)
        assert await asks(stack, "intake", ROWS, subject) == [("named", 1, "X"), ("opened", 1, "X")]
        await hand.write(second)
        await intake.decide(subject, named("Y"), metadata(), while_parked=True)
        await idle(intake)
    assert (await intake.redrive(subject)).left == 0
    assert await asks(stack, "intake", ROWS, subject) == [("named", 1, "Y"), ("opened", 3, "Y")]
    before = await whole(stack, "intake")
    await rebuild(stack, "intake", tmp_path)
    assert await whole(stack, "intake") == before
    await verified(stack, "intake")


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("UPDATE toys SET n = 7", "is another row than its state's"),
        ("DELETE FROM toys WHERE what = 'named'", "has no row"),
        ("INSERT INTO toys SELECT subject, 'chased', 1, NULL FROM state", "is a row of no state"),
        ("INSERT INTO toys VALUES ('complaint/01890000-0000-7000-8000-00000000000f', 'named', 1, 'Z')", "is a row of no state"),
        ("UPDATE counts SET n = n + 1", "counts 1 too many"),
        ("DELETE FROM counts", "counts 1 too few"),
        ("DELETE FROM lookups", "is not found by exactly the values"),
        ("UPDATE lookups SET digest = sha256('x')", "is not found by exactly the values"),
    ],
)
async def test_verify_notices_what_a_hand_did_and_a_rebuild_mends_it(stack: Stack, tmp_path: Path, own: str, says: str) -> None:
    intake = await stack.engine("intake")
    await intake.create("complaint", lambda context: [registered(phone="139 1")], metadata("new"))
    await idle(intake)
    before = await whole(stack, "intake")
    connection = await stack.connect("intake", owner=True)
    await connection.execute(own)
    await connection.close()
    report = await verify(described(stack, "intake"), (await stack.database("intake")).app_dsn, stack.kafka, master=MASTER)
    assert [each.where for each in report.differences] == ["state"] and says in report.differences[0].what, report
    await rebuild(stack, "intake", tmp_path)
    assert await whole(stack, "intake") == before
    await verified(stack, "intake")


async def test_an_event_that_no_projection_can_show_parks_its_subject_alone(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(toy: Toy) -> list[Any]:
        if toy.observed.text == "intake/1/text" and toy.observed.chases:
            raise KeyError("cannot be shown")
        return spine_stack.toys(toy)

    kind = replace(spine_stack.HANDLING_AGGREGATE, projections=(Projection(TOYS, rows, *spine_stack.SHOWN),))
    monkeypatch.setattr(spine_stack, "HANDLING_AGGREGATE", kind)
    handling = await stack.engine("handling", automations=[])
    async with pen(stack) as hand:
        for n, chases in enumerate((0, 1, 0)):
            said = [registered(), *(ComplaintChased(chase=chase + 1) for chase in range(chases))]
            await hand.write(*Author(subject_of(n), INTAKE).say(*said))

    async def one_parked() -> bool:
        parked, _ = await handling.parked()
        return [(each.subject, each.reason) for each in parked] == [(subject_of(1), "not-stored")]

    await eventually(one_parked)
    await idle(handling)
    assert {subject for (subject,) in await asks(stack, "handling", "SELECT subject FROM state")} == {subject_of(n) for n in range(3)}
    assert not (await handling.read(subject_of(1))).state.observed.chases
