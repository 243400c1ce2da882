"""Reject a case: the department does not follow the complaint, and tells the customer why. A return visit follows all the same."""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.handling import CaseRejected, ContactMeans
from redress_events.event import Event
from redress_handling.domain.case import Case, CaseStage, expect_accepted, may_work_on
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Reject:
    reason: str
    told_customer: ContactMeans


def reject(case: Case, command: Reject, context: Context) -> list[Event]:
    if case.stage is CaseStage.REJECTED and may_work_on(case, context):
        return []  # said twice, true once
    expect_accepted(case, context)
    assert case.department is not None, "an accepted case is with a department"
    return [
        CaseRejected(
            cycle=case.own.cycle,
            department=case.department,
            reason=command.reason,
            told_customer=command.told_customer,
            said=case.said,
            by=context.actor.partition(":")[2] or None,
        )
    ]
