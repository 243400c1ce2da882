"""Resolve a case: the department says what was wrong and what it did, and that the customer was told. (Handbook 3.3.2, 6.2.1 d)"""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.handling import CaseResolved, ContactMeans
from redress_events.event import Event
from redress_handling.domain.case import Case, CaseStage, expect_accepted, may_work_on
from redress_spine.aggregate import CommandRejected, Context


@dataclass(frozen=True, slots=True)
class Resolve:
    cause: str
    measures: str
    responsible_unit: str
    told_customer: ContactMeans


def resolve(case: Case, command: Resolve, context: Context) -> list[Event]:
    """The customer must have been contacted in this cycle: nobody resolves a case behind their back. The return visit follows."""
    if case.stage is CaseStage.RESOLVED and may_work_on(case, context):
        return []  # said twice, true once
    expect_accepted(case, context)
    if not case.own.contacts:
        raise CommandRejected("customer-not-contacted", "Contact the customer before resolving the case.")
    assert case.department is not None, "an accepted case is with a department"
    return [
        CaseResolved(
            cycle=case.own.cycle,
            department=case.department,
            cause=command.cause,
            measures=command.measures,
            responsible_unit=command.responsible_unit,
            told_customer=command.told_customer,
            said=case.said,
            by=context.actor.partition(":")[2] or None,
        )
    ]
