"""What other services said of one complaint: the events that start, renew and end its clocks, by number and by the time of deciding; and
which department has it, for its handlers may see them.

`wanted`, `ends` and `said` sum up the history each time it grows. The columns that make a row due read them (`migrations/`), and so do the
deciders: both go by the same sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseRejected, CaseResolved, CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.sla_monitor import ClockName
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, ComplaintRouted, Severity
from redress_events.event import Event, Instant, replace
from redress_events.placement import Placement, placed
from redress_events.vocabulary import ContactKind


@dataclass(frozen=True, slots=True)
class NumberedClassification:
    """What triage or a person said it is, and when."""

    number: int
    at: Instant
    category: Category
    severity: Severity
    kind: ContactKind


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle of the complaint, with the earliest time of each event that begins or ends it."""

    number: int
    starts_at: Instant | None = None  # receipt in cycle 1, reopening in the others
    met_at: Instant | None = None  # resolved or rejected
    closed_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class End:
    """What ends a clock, and when."""

    at: Instant
    how: Literal["met", "closed", "reopened"]


@dataclass(frozen=True, slots=True)
class Observed:
    """wanted: keys of the clocks that are to run, or to have run. ends: the end of each clock of which one is known, by its key.
    said: the number of the last classification. department: of its placement, for the lists. area: as the registration has it."""

    number: str | None = None
    classifications: tuple[NumberedClassification, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    wanted: tuple[str, ...] = ()
    ends: dict[str, End] = field(default_factory=dict)
    said: int = 0
    placement: Placement = Placement()
    department: str | None = None
    area: str | None = None

    @property
    def ended_at(self) -> datetime | None:
        """When the complaint ended, None while it has not: its latest cycle was closed."""
        return self.cycles[-1].closed_at if self.cycles else None


OBSERVES: tuple[type[Event], ...] = (
    ComplaintRegistered,
    ComplaintClassified,
    ComplaintReclassified,
    ComplaintRouted,
    CaseTransferred,
    CaseResolved,
    CaseRejected,
    ComplaintReopened,
    ComplaintClosed,
)


def key(clock: ClockName, cycle: int) -> str:
    return f"{clock}/{cycle}"


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    match event:
        case ComplaintRegistered():
            observed = replace(_begun(observed, 1, event.received_at), number=event.number, area=event.area)
        case ComplaintClassified() | ComplaintReclassified():
            said = NumberedClassification(event.classification, at, event.category, event.severity, event.kind)
            observed = replace(observed, classifications=(*observed.classifications, said))
        case CaseResolved() | CaseRejected():
            cycle = _cycle(observed, event.cycle)
            observed = _with(observed, replace(cycle, met_at=min(cycle.met_at or at, at)))
        case ComplaintRouted() | CaseTransferred():
            placement = placed(observed.placement, event)
            return replace(observed, placement=placement, department=placement.department)
        case ComplaintReopened():
            observed = _begun(observed, event.cycle, at)
        case ComplaintClosed():
            cycle = _cycle(observed, event.cycle)
            observed = _with(observed, replace(cycle, closed_at=min(cycle.closed_at or at, at)))
        case _:
            return observed
    return _summed(observed)


def _cycle(observed: Observed, number: int) -> Cycle:
    return next((cycle for cycle in observed.cycles if cycle.number == number), Cycle(number))


def _with(observed: Observed, cycle: Cycle) -> Observed:
    others = [other for other in observed.cycles if other.number != cycle.number]
    return replace(observed, cycles=tuple(sorted([*others, cycle], key=lambda each: each.number)))


def _begun(observed: Observed, number: int, at: datetime) -> Observed:
    cycle = _cycle(observed, number)
    return _with(observed, replace(cycle, starts_at=min(cycle.starts_at or at, at)))


def _summed(observed: Observed) -> Observed:
    classified_at = min((said.at for said in observed.classifications), default=None)
    wanted: list[str] = []
    ends = {key("classify", 1): _end_of_classify(observed, classified_at)}
    for cycle in observed.cycles:
        ends[key("resolve", cycle.number)] = _end_of_resolve(observed, cycle)
        if cycle.starts_at is not None:
            wanted += _wanted(observed, cycle, classified_at)
    return replace(
        observed,
        wanted=tuple(wanted),
        ends={name: end for name, end in ends.items() if end},
        said=max((said.number for said in observed.classifications), default=0),
    )


def _wanted(observed: Observed, cycle: Cycle, classified_at: datetime | None) -> Iterator[str]:
    """The classify clock from the registration on; a resolve clock once the complaint is classified, for its target depends on it. But not
    where it had been closed before: withdrawn, and only then classified."""
    if cycle.number == 1:
        yield key("classify", 1)
    closed = _closed_at(observed, cycle.number)
    if classified_at is not None and (closed is None or closed > classified_at):
        yield key("resolve", cycle.number)


def _closed_at(observed: Observed, cycle: int) -> datetime | None:
    """When this cycle, or a later one, was closed first."""
    return min((each.closed_at for each in observed.cycles if each.number >= cycle and each.closed_at), default=None)


def _end_of_classify(observed: Observed, classified_at: datetime | None) -> End | None:
    return _earliest(classified_at, _closed_at(observed, 1))


def _end_of_resolve(observed: Observed, cycle: Cycle) -> End | None:
    """Resolved, rejected or closed, whatever was first. A reopening ends it only where none of these is known."""
    if end := _earliest(cycle.met_at, _closed_at(observed, cycle.number)):
        return end
    later = min((each.starts_at for each in observed.cycles if each.number > cycle.number and each.starts_at), default=None)
    return End(later, "reopened") if later else None


def _earliest(met: datetime | None, closed: datetime | None) -> End | None:
    """Met in the moment of closing is met."""
    if met is not None and (closed is None or met <= closed):
        return End(met, "met")
    return End(closed, "closed") if closed is not None else None
