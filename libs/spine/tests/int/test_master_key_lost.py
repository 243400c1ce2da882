"""Without the master key the words of all complaints so far are gone, and nothing else: their ways go on, and new complaints have words."""

from __future__ import annotations

import pytest
import spine_stack
from spine_stack import MASTER, Stack, eventually, metadata, registered

from redress_events.contracts.intake import ComplaintChased
from redress_spine.store.engine import Engine
from redress_spine.store.errors import KeyMissing, KeyReused

ANOTHER = bytes(32)
TEXT = "intake/1/text"


async def started(stack: Stack, monkeypatch: pytest.MonkeyPatch, master: bytes) -> tuple[Engine, Engine]:
    for engine in list(stack.engines):
        await stack.stop(engine)
    monkeypatch.setattr(spine_stack, "MASTER", master)
    return await stack.engine("intake"), await stack.engine("handling")


async def opened(intake: Engine, text: str) -> str:
    subject = (await intake.create("complaint", lambda context: [registered(text)], metadata(text)))[0].subject

    async def observed() -> bool:
        return bool((await intake.read(subject)).state.observed.opened)

    await eventually(observed)
    return subject


async def test_what_the_master_key_sealed_is_gone_and_all_else_goes_on(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    intake, handling = await started(stack, monkeypatch, MASTER)
    old = await opened(intake, "before")
    assert await handling.open(old, [TEXT]) == {TEXT: "before"}
    intake, handling = await started(stack, monkeypatch, ANOTHER)
    for engine in (intake, handling):
        with pytest.raises(KeyMissing):
            await engine.open(old, [TEXT])
    with pytest.raises(KeyMissing):
        await intake.decide(old, lambda state, context: [ComplaintChased(chase=1, text="still nothing")], metadata())
    with pytest.raises(KeyReused):
        await intake.create("complaint", lambda context: [registered("before")], metadata("before"))
    seen, _ = await intake.decide(old, lambda state, context: [ComplaintChased(chase=1)], metadata())
    assert seen.state.own.chases == 1, "what has no words goes on"
    new = await opened(intake, "after")
    assert await handling.open(new, [TEXT]) == {TEXT: "after"}
    intake, handling = await started(stack, monkeypatch, MASTER)
    assert await handling.open(old, [TEXT]) == {TEXT: "before"}, "nothing was destroyed: the key that comes back opens what it sealed"
    with pytest.raises(KeyMissing):
        await handling.open(new, [TEXT])
