"""Open a case: a routed complaint is in a cycle that has none yet. (Handbook 6.2.1 b)"""

from redress_events.contracts.handling import CaseOpened
from redress_events.event import Event
from redress_handling.domain.case import Case
from redress_spine.aggregate import Context


def open_case(case: Case, context: Context) -> list[Event]:
    """A reopened complaint goes back to the department that had it, unless it was routed elsewhere since."""
    observed = case.observed
    if not case.to_open or case.department is None:
        return []
    return [CaseOpened(cycle=observed.cycle, routing=observed.routing, department=case.department, urgency=observed.urgency)]
