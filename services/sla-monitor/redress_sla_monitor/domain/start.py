"""Start the clocks that are wanted. (Handbook 6.2.1 a: from receipt, entry counts within the limit)

A clock is started even when its end is known already, so that what was late while sla-monitor was away is told as late.
"""

from __future__ import annotations

from datetime import datetime

from redress_events.event import Event
from redress_sla_monitor.domain.observed import NumberedClassification, Observed, key
from redress_sla_monitor.domain.policy import PolicyInForce
from redress_sla_monitor.domain.watch import Watch
from redress_spine.aggregate import Context


def start(watch: Watch, context: Context, rules: PolicyInForce) -> list[Event]:
    """The clocks that are wanted and not started."""
    observed, missing = watch.observed, watch.missing
    events: list[Event] = []
    for cycle in observed.cycles:
        if cycle.starts_at is not None and key("classify", cycle.number) in missing:
            events.append(rules.classify(cycle.number, cycle.starts_at))
        if cycle.starts_at is not None and key("resolve", cycle.number) in missing:
            events.append(rules.resolve(cycle.number, 1, cycle.starts_at, _in_force(observed, cycle.starts_at)))
    return events


def _in_force(observed: Observed, starts_at: datetime) -> NumberedClassification:
    """The last classification said before the cycle began, else the first. `settle` answers the later ones, one after the other."""
    before = [said for said in observed.classifications if said.at <= starts_at]
    return before[-1] if before else observed.classifications[0]
