"""Transfer a case: another department is the right one, and the reason is told to the customer. (Handbook 2.4.4)"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from redress_events.contracts.handling import CaseTransferred
from redress_events.event import Event
from redress_handling.domain.case import Case, expect_unfinished
from redress_spine.aggregate import CommandRejected, Context


@dataclass(frozen=True, slots=True)
class TransferCase:
    department: str
    reason: str


def transfer(case: Case, command: TransferCase, context: Context, *, departments: Set[str]) -> list[Event]:
    """It need not be accepted first: what came to the wrong department is passed on at once. Holds for the routing that it names."""
    expect_unfinished(case, context)
    if command.department not in departments:
        raise CommandRejected("unknown-department", f"There is no such department. The departments are {', '.join(sorted(departments))}.")
    if command.department == case.department:
        raise CommandRejected("same-department", "The case is with this department already.")
    number = (case.own.transfer.number if case.own.transfer else 0) + 1
    routing = case.placement.routing
    return [CaseTransferred(cycle=case.own.cycle, routing=routing, transfer=number, department=command.department, reason=command.reason)]
