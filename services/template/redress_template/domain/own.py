"""What template itself did with a complaint: nothing yet, for it publishes no events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.event import Event


@dataclass(frozen=True, slots=True)
class Own:
    """A field for each thing that is to be known of its own events."""


def evolve(own: Own, event: Event, at: datetime) -> Own:
    return own
