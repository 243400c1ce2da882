"""What grows with a complaint: the stages it went through, as all services tell them, and what the customer said later.

Both are lists of rows. A stage's place is its time, so it does not matter in which order services were observed. What triage says holds for
the whole complaint and belongs to no cycle. A chase without words is counted, and has no row.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from redress_events.attachments import named
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
    make = ENTRIES.get(type(event))
    return make(event) if make else None


def _said(what: str, number: int, words: str | None, **more: Any) -> Entry:
    return Entry(SAID, {"what": what, "n": number, "words": words, **more})


def _stage(name: StageName, cycle: int | None = None, department: str | None = None, at: datetime | None = None) -> Entry:
    known = {"stage": name, "cycle": cycle, "department": department}
    return Entry(STAGES, {key: value for key, value in known.items() if value is not None}, at)


ENTRIES: dict[type[Event], Callable[[Any], Entry | None]] = {
    ComplaintSupplemented: lambda event: _said(
        "supplement", event.supplement, event.text, attachments=list(event.attachments), **named(event.attachment_names)
    ),
    ComplaintChased: lambda event: _said("chase", event.chase, event.text) if event.text is not None else None,
    ComplaintWithdrawn: lambda event: _said("withdrawal", event.withdrawal, event.reason),
    ComplaintClassified: lambda event: None if event.review else _stage("classified"),
    ComplaintReclassified: lambda event: _stage("classified"),
    ComplaintRouted: lambda event: _stage("routed", department=event.department),
    # The first case follows its routing at once.
    CaseOpened: lambda event: _stage("routed", event.cycle, event.department) if event.cycle > 1 else None,
    CaseTransferred: lambda event: _stage("routed", event.cycle, event.department),
    CaseAccepted: lambda event: _stage("in-handling", event.cycle),
    CustomerContacted: lambda event: _stage("contacted", event.cycle, at=event.contacted_at),
    ProgressReported: lambda event: _stage("progress-reported", event.cycle),
    CaseResolved: lambda event: _stage("resolved", event.cycle, event.department),
    CaseRejected: lambda event: _stage("rejected", event.cycle, event.department),
    CallbackScheduled: lambda event: _stage("being-visited", event.cycle),
    ComplaintReopened: lambda event: _stage("reopened", event.cycle),
    ComplaintClosed: lambda event: _stage("closed", event.cycle),
}
