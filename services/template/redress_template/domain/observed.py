"""What template learns of a complaint: that it was registered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.contracts.intake import ComplaintRegistered
from redress_events.event import Event, Instant, replace


@dataclass(frozen=True, slots=True)
class Observed:
    """Each field is of one source, so it does not matter in which order sources are observed."""

    number: str | None = None
    received_at: Instant | None = None


OBSERVES: tuple[type[Event], ...] = (ComplaintRegistered,)


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    match event:
        case ComplaintRegistered():
            return replace(observed, number=event.number, received_at=event.received_at)
    return observed
