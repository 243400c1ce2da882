"""What is written wakes the automations that it made due, and no others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from redress_spine.aggregate import Automation, Context, Table
from redress_spine.processing import automations as module
from redress_spine.processing.automations import FALLBACK, REST, AutomationLoop
from redress_spine.processing.clock import CrossCheck
from redress_spine.processing.projections import Changes

CARDS = Table("cards", {"to_open": "boolean", "to_close": "boolean", "due_at": "bigint", "since": "bigint"})
OTHERS = Table("others", {"to_open": "boolean"})


def nothing(state: Any, context: Context) -> list[Any]:
    return []


def automation(name: str, due: str, **how: Any) -> Automation:
    return Automation(name, due, nothing, "", **{"table": CARDS} | how)


AUTOMATIONS = [
    automation("open", "to_open"),
    automation("close", "to_close"),
    automation("since", "since"),
    automation("timed", "due_at", at="due_at"),
    automation("any", "own ? 'x'", table=None),
]
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def loop_of(automations: list[Automation], **given: Any) -> AutomationLoop:
    others: dict[str, Any] = dict.fromkeys(
        [
            "topics",
            "states",
            "committer",
            "projector",
            "log_end",
            "settle",
            "clock",
            "cross_check",
            "prepare",
            "words",
            "pool",
            "entropy",
        ]
    )
    return AutomationLoop(source="handling", automations=automations, **others | given)


def woken(written: list[Changes] | None, automations: list[Automation] = AUTOMATIONS) -> tuple[bool, set[str]]:
    loop = loop_of(automations)
    return loop.wake(written), {name for name, event in loop._woken.items() if event.is_set()}


def row(**values: Any) -> Changes:
    return Changes(
        came={CARDS: [("complaint/x", *({"to_open": False, "to_close": False, "due_at": None, "since": None} | values).values())]}
    )


@pytest.mark.parametrize(
    ("written", "whom"),
    [
        ([row()], {"any"}),
        ([row(to_open=True)], {"any", "open"}),
        ([row(), row(to_close=True)], {"any", "close"}),
        ([row(since=0)], {"any", "since"}),
        ([row(due_at=1)], {"any"}),  # it is looked at when its time has come
        ([Changes(came={OTHERS: [("complaint/x", True)]})], {"any"}),
        ([Changes(gone={CARDS: [("complaint/x",)]})], {"any"}),
        ([], set()),
    ],
)
def test_rows_that_are_due_wake_their_automation(written: list[Changes], whom: set[str]) -> None:
    assert woken(written) == (bool(whom), whom)


def test_who_does_not_say_what_is_written_wakes_all() -> None:
    assert woken(None) == (True, {each.name for each in AUTOMATIONS})


def test_who_writes_hears_whether_anybody_has_something_to_do() -> None:
    assert woken([row()], AUTOMATIONS[:4]) == (False, set())


def test_what_is_not_urgent_is_done_at_once_and_hurries_nobody() -> None:
    assert woken([row(to_open=True)], [automation("open", "to_open", urgent=False)]) == (False, {"open"})


@pytest.mark.parametrize("alone", [True, False])
async def test_without_other_replicas_what_has_a_time_rests_until_a_row_comes_that_has_one(
    monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    async def nothing_due(*_: Any) -> dict[str, Any]:
        return {"first": None, "now": NOW}

    monkeypatch.setattr(module, "one", nothing_due)
    timed = automation("timed", "due_at", at="due_at")
    loop = loop_of(
        [timed],
        projector=SimpleNamespace(partitions=[0], alone=alone, failing=False),
        clock=lambda: NOW,
        cross_check=CrossCheck("handling", lambda: NOW, 60.0),
    )
    assert await loop._timed(timed) == (REST if alone else FALLBACK)
    assert loop.wake([row(to_open=True)]) is False and not loop._resting.keys() ^ ({"timed"} if alone else set())
    loop.wake([row(due_at=1)])
    assert not loop._woken["timed"].is_set() and not loop._resting
    if alone:
        async with asyncio.timeout(5):
            await loop._woken["timed"].wait()


def test_a_column_that_is_no_flag_is_due_where_it_is_not_null() -> None:
    assert [each.condition for each in AUTOMATIONS[:4]] == ["d.to_open", "d.to_close", "d.since IS NOT NULL", "d.due_at IS NOT NULL"]


def test_a_column_that_its_table_does_not_have_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="wrong: cards has no column nowhere"):
        automation("wrong", "nowhere")
