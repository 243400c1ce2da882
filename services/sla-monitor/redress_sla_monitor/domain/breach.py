"""Say that deadlines have passed which nothing met. Timed: decided once the log was read past the deadline."""

from __future__ import annotations

from redress_events.event import Event
from redress_sla_monitor.domain.settle import breached
from redress_sla_monitor.domain.watch import Watch
from redress_spine.aggregate import Context


def breach(watch: Watch, context: Context) -> list[Event]:
    """What happens at the deadline is in time, so the first late instant is one microsecond after it. A deadline that the log was not read
    past is not judged, though the clock be past it."""
    passed = context.passed or context.now
    due = (instance for instance in watch.own.clocks if watch.awaited(instance) and instance.deadline < passed)
    return [breached(instance, context.now) for instance in due]
