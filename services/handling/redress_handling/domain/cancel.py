"""Cancel a case: callback closed the complaint while the department was still working on it."""

from redress_events.contracts.handling import CaseCancelled
from redress_events.facts import Context, Fact
from redress_handling.domain.case import Case


def cancel(case: Case, context: Context) -> list[Fact]:
    """A closing of an earlier cycle ends nothing here: numbers are compared, never arrival."""
    done, heard = case.done, case.heard
    if done.cycle == 0 or done.outcome or heard.closed < done.cycle or heard.close_reason is None:
        return []
    return [CaseCancelled(cycle=done.cycle, reason=heard.close_reason)]
