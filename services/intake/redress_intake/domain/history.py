"""What grows with a complaint: the stages it went through, as all services tell them, and what the customer said later.

Both are lists of rows. A stage's place is its time, so it does not matter in which order services were heard. What triage says holds for
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
from redress_events.event import Fact
from redress_intake.domain.heard import StageName
from redress_spine.aggregate import Entry

SAID, STAGES = "said", "stages"


def entries(fact: Fact, at: datetime) -> Entry | None:
    match fact:
        case ComplaintSupplemented():
            return Entry(SAID, {"what": "supplement", "n": fact.supplement, "words": fact.text, "attachments": list(fact.attachments)})
        case ComplaintChased(text=str()):
            return Entry(SAID, {"what": "chase", "n": fact.chase, "words": fact.text})
        case ComplaintWithdrawn():
            return Entry(SAID, {"what": "withdrawal", "n": fact.withdrawal, "words": fact.reason})
        case ComplaintClassified(review=False) | ComplaintReclassified():
            return _stage("classified")
        case ComplaintRouted():
            return _stage("routed", department=fact.department)
        case CaseOpened() if fact.cycle > 1:  # the first case follows its routing at once
            return _stage("routed", fact.cycle, fact.department)
        case CaseTransferred():
            return _stage("routed", fact.cycle, fact.department)
        case CaseAccepted():
            return _stage("in-handling", fact.cycle)
        case CustomerContacted():
            return _stage("contacted", fact.cycle, at=fact.contacted_at)
        case ProgressReported():
            return _stage("progress-reported", fact.cycle)
        case CaseResolved():
            return _stage("resolved", fact.cycle, fact.department)
        case CaseRejected():
            return _stage("rejected", fact.cycle, fact.department)
        case CallbackScheduled():
            return _stage("being-visited", fact.cycle)
        case ComplaintReopened():
            return _stage("reopened", fact.cycle)
        case ComplaintClosed():
            return _stage("closed", fact.cycle)
    return None


def _stage(name: StageName, cycle: int | None = None, department: str | None = None, at: datetime | None = None) -> Entry:
    known = {"stage": name, "cycle": cycle, "department": department}
    return Entry(STAGES, {key: value for key, value in known.items() if value is not None}, at)
