"""What grows with a return visit: the notes that agents made at their attempts, and what the customer said later, in all cycles.

A chase without words is counted, and has no row. Words are references.
"""

from __future__ import annotations

from datetime import datetime

from redress_events.attachments import named
from redress_events.contracts.callback import CallbackAttempted
from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented
from redress_events.event import Event
from redress_spine.aggregate import Entry

NOTES, SAID = "notes", "said"


def entries(event: Event, at: datetime) -> Entry | None:
    match event:
        case CallbackAttempted(note=str()):
            return Entry(NOTES, {"cycle": event.cycle, "attempt": event.attempt, "reached": event.reached, "words": event.note})
        case ComplaintSupplemented():
            return Entry(
                SAID, {"what": "supplement", "words": event.text, "attachments": list(event.attachments), **named(event.attachment_names)}
            )
        case ComplaintChased(text=str()):
            return Entry(SAID, {"what": "chase", "words": event.text})
    return None
