"""What sla-monitor publishes: clocks and their verdicts. A deadline's instance is (complaint, clock, cycle, n)."""

from typing import Literal

from redress_events.event import Contract, Event, UtcTime

ClockName = Literal["classify", "resolve"]


class ClockStarted(Event):
    """A deadline is set. Carries every value of the policy it came from: nothing looks the policy up later."""

    clock: ClockName
    cycle: int
    n: int  # a new target of the same clock and cycle is a new n
    policy: str  # id@version
    calendar: str  # id@version
    target: str  # "3 working days"
    starts_at: UtcTime
    deadline: UtcTime
    classification: int = 0  # the classification whose target this is, 0 where it does not depend on one
    provisional: bool = False  # the deadline falls in a year whose calendar is not yet published


class ClockConfirmed(Event):
    """A reclassification asked for the target that the clock has already: it runs on as it is."""

    clock: ClockName
    cycle: int
    n: int
    classification: int  # the one that is answered


class ClockMet(Event):
    clock: ClockName
    cycle: int
    n: int
    met_at: UtcTime  # the time of the event that met it
    in_time: bool
    business_seconds_left: int | None = None  # working hours from then to the deadline; negative: so long after it


class ClockCancelled(Event):
    clock: ClockName
    cycle: int
    n: int
    reason: Literal["closed", "new-target", "reopened"]
    cancelled_at: UtcTime  # the time of the event that cancelled it


class DeadlineBreached(Event):
    """Nothing met the clock by its deadline. Published once for each instance; `noticed_at` is when sla-monitor saw it."""

    clock: ClockName
    cycle: int
    n: int
    deadline: UtcTime
    noticed_at: UtcTime


class BreachAnnulled(Event):
    """An event that arrived late shows that the deadline was met after all. Final."""

    clock: ClockName
    cycle: int
    n: int
    deadline: UtcTime
    kept_at: UtcTime
    business_seconds_left: int | None = None  # as of ClockMet, from kept_at on


SLA_MONITOR = Contract("sla-monitor", ClockStarted, ClockConfirmed, ClockMet, ClockCancelled, DeadlineBreached, BreachAnnulled)
