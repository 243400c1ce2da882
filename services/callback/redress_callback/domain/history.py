"""What grows with a return visit: the notes that agents made at their attempts, and what the customer said later, in all cycles.

A chase without words is counted, and has no row. Words are references.
"""

from __future__ import annotations

from datetime import datetime

from redress_events.contracts.callback import CallbackAttempted
from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented
from redress_events.event import Fact
from redress_spine.aggregate import Entry

NOTES, SAID = "notes", "said"


def entries(fact: Fact, at: datetime) -> Entry | None:
    match fact:
        case CallbackAttempted(note=str()):
            return Entry(NOTES, {"cycle": fact.cycle, "attempt": fact.attempt, "reached": fact.reached, "words": fact.note})
        case ComplaintSupplemented():
            return Entry(SAID, {"what": "supplement", "words": fact.text, "attachments": list(fact.attachments)})
        case ComplaintChased(text=str()):
            return Entry(SAID, {"what": "chase", "words": fact.text})
    return None
