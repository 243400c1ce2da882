"""An event goes from one service's journal over the log into another's state, and work wakes up there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from spine_log import on_the_log
from spine_stack import Stack, eventually, metadata, open_case, registered

from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import LIFECYCLE
from redress_spine.messaging.envelope import decode
from redress_spine.processing import automations
from redress_spine.store.engine import Engine, KeyReused, NotYet, Unknown


async def test_an_event_travels_and_wakes_an_automation(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automations, "FALLBACK", 600.0)  # nobody looks by themselves
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    seen, replayed = await intake.create("complaint", lambda context: [registered("信号不好")], metadata("k1"))
    assert not replayed and seen.version == 1 and seen.state.own.text == "intake/1/text"

    async def opened() -> Any:
        try:
            return (await intake.read(seen.subject)).state.observed.opened
        except Unknown:
            return None

    assert await eventually(opened) == 1
    assert await handling.open(seen.subject, ["intake/1/text"]) == {"intake/1/text": "信号不好"}
    again, replayed = await intake.create("complaint", lambda context: [registered("信号不好")], metadata("k1"))
    assert replayed and again.subject == seen.subject
    with pytest.raises(KeyReused):
        await intake.create("complaint", lambda context: [registered()], metadata("k1", b"other"))

    async def measured() -> bool:
        numbers = [await engine.measures() for engine in (intake, handling)]
        return all(n.backlog_events == n.parked_subjects == n.dead_letters == n.stuck_rows == n.lag_records == 0 for n in numbers)

    async def ready() -> bool:
        return (await handling.health()).ready

    await eventually(measured)
    await eventually(ready)


async def test_what_is_commanded_names_what_was_known_of_the_subject_as_its_cause(stack: Stack) -> None:
    intake, _ = await stack.engine("intake"), await stack.engine("handling")
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata())

    async def opened() -> int:
        return int((await intake.read(seen.subject)).state.observed.opened)

    await eventually(opened)
    await intake.decide(seen.subject, lambda state, context: [ComplaintChased(chase=1)], metadata())
    journal = await stack.connect("intake")
    first, chased = [decode(row["data"]) for row in await journal.fetch("SELECT data FROM events ORDER BY version")]
    await journal.close()
    assert first.causation is None, "nobody had said anything of it before"
    assert chased.causation == f"{seen.subject}/handling/1"
    assert chased.correlation == metadata().correlation, "the thread is the request's"


async def test_who_has_not_read_the_log_to_its_end_says_of_nobody_that_he_does_not_exist(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling", automations=[])
    nobody = "complaint/00000000-0000-7000-8000-000000000000"
    for engine in (intake, handling):

        async def unknown(engine: Engine = engine) -> bool:
            with pytest.raises((Unknown, NotYet)) as raised:  # NotYet while it starts
                await engine.read(nobody)
            return raised.type is Unknown

        await eventually(unknown)
    released = asyncio.Event()
    real = handling.projector.project

    async def project(connection: Any, batch: Any) -> Any:
        await released.wait()
        return await real(connection, batch)

    handling.projector.project = project  # type: ignore[method-assign]
    subject = (await intake.create("complaint", lambda context: [registered()], metadata("k")))[0].subject
    await eventually(lambda: on_the_log(stack, LIFECYCLE, stack.partitions))
    with pytest.raises(NotYet):
        await handling.read(subject)
    with pytest.raises(NotYet):
        await handling.decide(subject, open_case, metadata())
    reading = asyncio.create_task(handling.read(subject))
    released.set()
    assert (await reading).subject == subject, "what came while it waited was not looked at"
