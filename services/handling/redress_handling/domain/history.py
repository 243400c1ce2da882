"""What grows with a case: what the customer added and asked, what the department did and reported, and how each cycle ended.

Lists of rows, each in the order of its times, and of all cycles: the state has no more than counts. A chase without words is counted, and
has no row. Words are references.
"""

from __future__ import annotations

from datetime import datetime

from redress_events.attachments import named
from redress_events.contracts.handling import CaseCancelled, CaseRejected, CaseResolved, CustomerContacted, ProgressReported
from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented
from redress_events.event import Event
from redress_spine.aggregate import Entry

SUPPLEMENTS, CHASES, CONTACTS, REPORTS, OUTCOMES = LISTS = ("supplements", "chases", "contacts", "reports", "outcomes")


def entries(event: Event, at: datetime) -> Entry | None:
    match event:
        case ComplaintSupplemented():
            return Entry(SUPPLEMENTS, {"words": event.text, "attachments": list(event.attachments), **named(event.attachment_names)})
        case ComplaintChased(text=str()):
            return Entry(CHASES, {"words": event.text})
        case CustomerContacted():
            return Entry(CONTACTS, {"cycle": event.cycle, "means": event.means, "words": event.note}, event.contacted_at)
        case ProgressReported():
            return Entry(REPORTS, {"cycle": event.cycle, "words": event.note})
        case CaseResolved():
            words = {"cause": event.cause, "measures": event.measures}
            said = {"responsible_unit": event.responsible_unit, "told_customer": event.told_customer}
            return Entry(OUTCOMES, {"kind": "resolved", "cycle": event.cycle, "department": event.department, **said, "words": words})
        case CaseRejected():
            ended = {"kind": "rejected", "cycle": event.cycle, "department": event.department, "told_customer": event.told_customer}
            return Entry(OUTCOMES, {**ended, "words": {"reason": event.reason}})
        case CaseCancelled():
            return Entry(OUTCOMES, {"kind": "cancelled", "cycle": event.cycle, "words": {}})
    return None
