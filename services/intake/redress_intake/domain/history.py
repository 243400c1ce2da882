"""What grows with a complaint: the stages it went through, as all services tell them, and what the customer said later.

Both are lists of rows. A stage's place is its time, so it does not matter in which order services were observed. What triage says holds for
the whole complaint and belongs to no cycle. A chase without words is counted, and has no row.
"""

from __future__ import annotations

from datetime import datetime

from redress_events.contracts.callback import CallbackScheduled, ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import (
    CaseAccepted,
    CaseOpened,
    CaseRejected,
    CaseResolved,
    CaseTransferred,
    CustomerContacted,
    ProgressReported,
)
from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented, ComplaintWithdrawn
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_events.event import Event
from redress_intake.domain.observed import StageName
from redress_spine.aggregate import Entry

SAID, STAGES = "said", "stages"


def entries(event: Event, at: datetime) -> Entry | None:
    match event:
        case ComplaintSupplemented():
            return Entry(SAID, {"what": "supplement", "n": event.supplement, "words": event.text, "attachments": list(event.attachments)})
        case ComplaintChased(text=str()):
            return Entry(SAID, {"what": "chase", "n": event.chase, "words": event.text})
        case ComplaintWithdrawn():
            return Entry(SAID, {"what": "withdrawal", "n": event.withdrawal, "words": event.reason})
        case ComplaintClassified(review=False) | ComplaintReclassified():
            return _stage("classified")
        case ComplaintRouted():
            return _stage("routed", department=event.department)
        case CaseOpened() if event.cycle > 1:  # the first case follows its routing at once
            return _stage("routed", event.cycle, event.department)
        case CaseTransferred():
            return _stage("routed", event.cycle, event.department)
        case CaseAccepted():
            return _stage("in-handling", event.cycle)
        case CustomerContacted():
            return _stage("contacted", event.cycle, at=event.contacted_at)
        case ProgressReported():
            return _stage("progress-reported", event.cycle)
        case CaseResolved():
            return _stage("resolved", event.cycle, event.department)
        case CaseRejected():
            return _stage("rejected", event.cycle, event.department)
        case CallbackScheduled():
            return _stage("being-visited", event.cycle)
        case ComplaintReopened():
            return _stage("reopened", event.cycle)
        case ComplaintClosed():
            return _stage("closed", event.cycle)
    return None


def _stage(name: StageName, cycle: int | None = None, department: str | None = None, at: datetime | None = None) -> Entry:
    known = {"stage": name, "cycle": cycle, "department": department}
    return Entry(STAGES, {key: value for key, value in known.items() if value is not None}, at)
