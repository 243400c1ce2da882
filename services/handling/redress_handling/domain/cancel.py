"""Cancel a case: callback closed the complaint while the department was still working on it."""

from redress_events.contracts.handling import CaseCancelled
from redress_events.event import Event
from redress_handling.domain.case import Case
from redress_spine.aggregate import Context


def cancel(case: Case, context: Context) -> list[Event]:
    if not case.to_cancel or case.observed.close_reason is None:
        return []
    return [CaseCancelled(cycle=case.own.cycle, reason=case.observed.close_reason)]
