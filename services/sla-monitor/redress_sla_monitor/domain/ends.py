"""What ends a clock, by number and by the time at which it was decided, in whatever order it became known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_sla_monitor.domain.watch import Classification, Ended, Heard, Instance


@dataclass(frozen=True, slots=True)
class End:
    at: datetime
    how: Ended


def closed_at(heard: Heard, cycle: int) -> datetime | None:
    """When this cycle, or a later one, was closed first."""
    return min((each.closed_at for each in heard.cycles if each.number >= cycle and each.closed_at), default=None)


def end_of(heard: Heard, instance: Instance) -> End | None:
    """The earliest fact that meets the clock or closes the complaint. A reopening ends a resolve clock where neither is known."""
    ends = []
    if (met := _met_at(heard, instance)) is not None:
        ends.append(End(met, "met"))
    if (closed := closed_at(heard, instance.cycle)) is not None:
        ends.append(End(closed, "closed"))
    if not ends and instance.clock == "resolve":
        later = (End(each.starts_at, "reopened") for each in heard.cycles if each.number > instance.cycle and each.starts_at)
        return min(later, key=lambda end: end.at, default=None)
    return min(ends, key=lambda end: end.at, default=None)  # the first of equals: met in the moment of closing is met


def _met_at(heard: Heard, instance: Instance) -> datetime | None:
    if instance.clock == "classify":
        return min((said.at for said in heard.classifications), default=None)
    return next((each.met_at for each in heard.cycles if each.number == instance.cycle), None)


def unanswered(heard: Heard, instance: Instance) -> Classification | None:
    """The first classification after the one that this resolve clock's target is from."""
    if instance.clock == "classify":
        return None
    return next((said for said in heard.classifications if said.number > instance.classification), None)


def awaited(heard: Heard, instance: Instance) -> bool:
    """It runs, nothing that ends or changes it is known, and it is not said to be late: what `next_breach` in SQL looks at."""
    return instance.ended is None and instance.verdict == "none" and end_of(heard, instance) is None and unanswered(heard, instance) is None
