"""Open a case: a routed complaint is in a cycle that has none yet. (Handbook 6.2.1 b)"""

from redress_events.contracts.handling import CaseOpened
from redress_events.event import Fact
from redress_handling.domain.case import Case
from redress_spine.aggregate import Context


def open_case(case: Case, context: Context) -> list[Fact]:
    """A reopened complaint goes back to the department that had it, unless it was routed elsewhere since."""
    heard = case.heard
    if not case.to_open or case.department is None:
        return []
    return [CaseOpened(cycle=heard.cycle, routing=heard.routing, department=case.department, urgency=heard.urgency)]
