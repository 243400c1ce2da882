"""What handling itself did: the case of the latest cycle, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from redress_events.contracts.handling import (
    CaseAccepted,
    CaseCancelled,
    CaseOpened,
    CaseRejected,
    CaseResolved,
    CaseTransferred,
    ContactMeans,
    CustomerContacted,
    ProgressReported,
)
from redress_events.event import Event, Instant, replace
from redress_events.placement import Accepted, Transferred


@dataclass(frozen=True, slots=True)
class Transfer(Transferred):
    """`reason` is a reference."""

    at: Instant
    reason: str


@dataclass(frozen=True, slots=True)
class Acceptance(Accepted):
    at: Instant


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """How the case of a cycle ended. words: under its field's name, the reference of what was said about it."""

    kind: Literal["resolved", "rejected", "cancelled"]
    cycle: int
    at: Instant
    department: str | None = None
    responsible_unit: str | None = None
    told_customer: ContactMeans | None = None
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Own:
    """cycle: the one that the case is for, 0 before the first. transfer: the last, of whatever cycle. contacts, reports: how many in this
    cycle; contacted_at: of the last one told. rejections: past cycles that ended so. said: how many of the customer's later words were
    known when the department last ended a case. All else is in rows of its own (`history.py`)."""

    cycle: int = 0
    opened_at: Instant | None = None
    transfer: Transfer | None = None
    accepted: Acceptance | None = None
    contacts: int = 0
    contacted_at: Instant | None = None
    reports: int = 0
    outcome: CaseOutcome | None = None
    rejections: int = 0
    said: int = 0


def evolve(own: Own, event: Event, at: datetime) -> Own:
    match event:
        case CaseOpened():
            rejections = own.rejections + (own.outcome is not None and own.outcome.kind == "rejected")
            return Own(cycle=event.cycle, opened_at=at, transfer=own.transfer, rejections=rejections, said=own.said)
        case CaseAccepted():
            return replace(own, accepted=Acceptance(event.routing, event.transfer, event.handler, at))
        case CustomerContacted():
            return replace(own, contacts=own.contacts + 1, contacted_at=event.contacted_at)
        case ProgressReported():
            return replace(own, reports=own.reports + 1)
        case CaseTransferred():
            return replace(own, transfer=Transfer(event.transfer, event.routing, event.department, at, event.reason))
        case CaseResolved():
            words, unit = event.personal_values(), event.responsible_unit
            resolved = CaseOutcome("resolved", event.cycle, at, event.department, unit, event.told_customer, words)
            return replace(own, outcome=resolved, said=event.said)
        case CaseRejected():
            words = event.personal_values()
            rejected = CaseOutcome("rejected", event.cycle, at, event.department, None, event.told_customer, words)
            return replace(own, outcome=rejected, said=event.said)
        case CaseCancelled():
            return replace(own, outcome=CaseOutcome("cancelled", event.cycle, at))
    return own
