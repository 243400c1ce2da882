"""What grows with a return visit: the notes that agents made at their attempts, in all cycles. Words are references."""

from __future__ import annotations

from datetime import datetime

from redress_events.contracts.callback import CallbackAttempted
from redress_events.facts import Entry, Fact

NOTES = "notes"


def entries(fact: Fact, at: datetime) -> Entry | None:
    if isinstance(fact, CallbackAttempted) and fact.note is not None:
        return Entry(NOTES, {"cycle": fact.cycle, "attempt": fact.attempt, "reached": fact.reached, "words": fact.note})
    return None
