"""Accept a case: a handler of the department that has it takes it on."""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.handling import CaseAccepted
from redress_events.facts import Context, Fact, Refused
from redress_handling.domain.case import Case, expect_unfinished


@dataclass(frozen=True, slots=True)
class Accept:
    pass


def accept(case: Case, command: Accept, context: Context) -> list[Fact]:
    """What another handler accepted only a supervisor takes over, so that two who press the button do not both believe it is theirs."""
    expect_unfinished(case)
    handler = context.actor.partition(":")[2]
    if case.handler == handler:
        return []  # said twice, true once
    if case.handler and "supervisor" not in context.roles:
        raise Refused("accepted-by-another", "Another handler has accepted the case. A supervisor can take it over.")
    routing, transfer = case.place
    return [CaseAccepted(cycle=case.done.cycle, handler=handler, routing=routing, transfer=transfer)]
