"""What template hears of a complaint: that it was registered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.contracts.intake import ComplaintRegistered
from redress_events.event import Fact, Instant, replace


@dataclass(frozen=True, slots=True)
class Heard:
    """Each field is of one source, so it does not matter in which order sources are heard."""

    number: str | None = None
    received_at: Instant | None = None


HEARS: tuple[type[Fact], ...] = (ComplaintRegistered,)


def hear(heard: Heard, fact: Fact, at: datetime) -> Heard:
    match fact:
        case ComplaintRegistered():
            return replace(heard, number=fact.number, received_at=fact.received_at)
    return heard
