"""What triage learns of one complaint from others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.event import Event, Instant, replace
from redress_events.vocabulary import ContactKind


@dataclass(frozen=True, slots=True)
class Transfer:
    """Handling moved the case on: to whom, and which routing it answers."""

    routing: int
    department: str


@dataclass(frozen=True, slots=True)
class Observed:
    """registered_at: when the event was decided. text: a reference. closed: the last cycle that callback closed."""

    number: str | None = None
    registered_at: Instant | None = None
    kind: ContactKind = "complaint"
    text: str | None = None
    cycle: int = 1
    closed: int = 0
    transfer: Transfer | None = None


OBSERVES: tuple[type[Event], ...] = (ComplaintRegistered, CaseTransferred, ComplaintReopened, ComplaintClosed)


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    match event:
        case ComplaintRegistered():
            return replace(observed, number=event.number, registered_at=at, kind=event.kind, text=event.text)
        case CaseTransferred():
            return replace(observed, transfer=Transfer(event.routing, event.department))
        case ComplaintReopened():
            return replace(observed, cycle=event.cycle)
        case ComplaintClosed():
            return replace(observed, closed=event.cycle)
    return observed
