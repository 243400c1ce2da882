"""What grows with a case: what the customer added and asked, what the department did and reported, and how each cycle ended.

Lists of rows, each in the order of its times, and of all cycles: the state has no more than counts. A chase without words is counted, and
has no row. Words are references.
"""

from __future__ import annotations

from datetime import datetime

from redress_events.contracts.handling import CaseCancelled, CaseRejected, CaseResolved, CustomerContacted, ProgressReported
from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented
from redress_events.event import Fact
from redress_spine.aggregate import Entry

SUPPLEMENTS, CHASES, CONTACTS, REPORTS, OUTCOMES = LISTS = ("supplements", "chases", "contacts", "reports", "outcomes")


def entries(fact: Fact, at: datetime) -> Entry | None:
    match fact:
        case ComplaintSupplemented():
            return Entry(SUPPLEMENTS, {"words": fact.text, "attachments": list(fact.attachments)})
        case ComplaintChased(text=str()):
            return Entry(CHASES, {"words": fact.text})
        case CustomerContacted():
            return Entry(CONTACTS, {"cycle": fact.cycle, "means": fact.means, "words": fact.note}, fact.contacted_at)
        case ProgressReported():
            return Entry(REPORTS, {"cycle": fact.cycle, "words": fact.note})
        case CaseResolved():
            words = {"cause": fact.cause, "measures": fact.measures}
            said = {"responsible_unit": fact.responsible_unit, "told_customer": fact.told_customer}
            return Entry(OUTCOMES, {"kind": "resolved", "cycle": fact.cycle, "department": fact.department, **said, "words": words})
        case CaseRejected():
            ended = {"kind": "rejected", "cycle": fact.cycle, "department": fact.department, "told_customer": fact.told_customer}
            return Entry(OUTCOMES, {**ended, "words": {"reason": fact.reason}})
        case CaseCancelled():
            return Entry(OUTCOMES, {"kind": "cancelled", "cycle": fact.cycle, "words": {}})
    return None
