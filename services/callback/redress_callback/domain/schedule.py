"""Schedule a return visit: to every complaint that was resolved, and to every one that was rejected. (Handbook 3.3.3)"""

from __future__ import annotations

from redress_callback.domain.policy import VisitPolicy
from redress_callback.domain.visit import Visit
from redress_events.contracts.callback import CallbackScheduled
from redress_events.event import Event
from redress_spine.aggregate import Context


def schedule(visit: Visit, context: Context, *, policy: VisitPolicy) -> list[Event]:
    """Once in each cycle, counted from the resolution: being late here moves nothing."""
    handled = visit.handled
    if handled is None or not visit.to_schedule:
        return []
    return [CallbackScheduled(cycle=visit.own.cycle, outcome=handled.outcome, due_at=handled.at + policy.first_attempt)]
