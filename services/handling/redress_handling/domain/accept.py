"""Accept a case: a handler of the department that has it takes it on."""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.handling import CaseAccepted
from redress_events.event import Event
from redress_handling.domain.case import Case, expect_unfinished
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Accept:
    pass


def accept(case: Case, command: Accept, context: Context) -> list[Event]:
    """A supervisor who accepts what a handler had accepted takes it over."""
    expect_unfinished(case, context)
    handler = context.actor.partition(":")[2]
    if case.handler == handler:
        return []  # said twice, true once
    routing, transfer = case.placement.place
    return [CaseAccepted(cycle=case.own.cycle, handler=handler, routing=routing, transfer=transfer)]
