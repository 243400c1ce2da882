"""Cancel a case: callback closed the complaint while the department was still working on it."""

from redress_events.contracts.handling import CaseCancelled
from redress_events.event import Fact
from redress_handling.domain.case import Case
from redress_spine.aggregate import Context


def cancel(case: Case, context: Context) -> list[Fact]:
    if not case.to_cancel or case.heard.close_reason is None:
        return []
    return [CaseCancelled(cycle=case.done.cycle, reason=case.heard.close_reason)]
