"""What template itself did with a complaint: nothing yet, for it publishes no facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.event import Fact


@dataclass(frozen=True, slots=True)
class Done:
    """A field for each thing that is to be known of its own facts."""


def did(done: Done, fact: Fact, at: datetime) -> Done:
    return done
