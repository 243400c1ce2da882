"""What triage learns of one complaint from others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.event import Event, Instant, replace
from redress_events.lifecycle import Lifecycle, lived
from redress_events.placement import Transferred, transferred
from redress_events.vocabulary import ContactKind


@dataclass(frozen=True, slots=True)
class Observed(Lifecycle):
    """registered_at: when the event was decided. text: a reference. transfer: handling moved the case on."""

    number: str | None = None
    registered_at: Instant | None = None
    kind: ContactKind = "complaint"
    text: str | None = None
    area: str | None = None
    transfer: Transferred | None = None


OBSERVES: tuple[type[Event], ...] = (ComplaintRegistered, CaseTransferred, ComplaintReopened, ComplaintClosed)


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    match event:
        case ComplaintRegistered():
            return replace(observed, number=event.number, registered_at=at, kind=event.kind, text=event.text, area=event.area)
        case CaseTransferred():
            return replace(observed, transfer=transferred(event))
        case ComplaintReopened() | ComplaintClosed():
            return lived(observed, event, at)
    return observed
