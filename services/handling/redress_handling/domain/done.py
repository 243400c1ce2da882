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
from redress_events.event import Fact, Instant, replace


@dataclass(frozen=True, slots=True)
class Transfer:
    """To whom, and which routing it answers; `reason` is a reference."""

    number: int
    routing: int
    department: str
    at: Instant
    reason: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Who took it on, and where the case was then."""

    routing: int
    transfer: int
    handler: str
    at: Instant


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the case of a cycle ended. words: under its field's name, the reference of what was said about it."""

    kind: Literal["resolved", "rejected", "cancelled"]
    cycle: int
    at: Instant
    department: str | None = None
    responsible_unit: str | None = None
    told_customer: ContactMeans | None = None
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """cycle: the one that the case is for, 0 before the first. transfer: the last, of whatever cycle. contacts, reports: how many in this
    cycle; contacted_at: of the last one told. rejections: past cycles that ended so. said: how many of the customer's later words were
    known when the department last ended a case. All else is in rows of its own (`history.py`)."""

    cycle: int = 0
    opened_at: Instant | None = None
    transfer: Transfer | None = None
    accepted: Accepted | None = None
    contacts: int = 0
    contacted_at: Instant | None = None
    reports: int = 0
    outcome: Outcome | None = None
    rejections: int = 0
    said: int = 0


def did(done: Done, fact: Fact, at: datetime) -> Done:
    match fact:
        case CaseOpened():
            rejections = done.rejections + (done.outcome is not None and done.outcome.kind == "rejected")
            return Done(cycle=fact.cycle, opened_at=at, transfer=done.transfer, rejections=rejections, said=done.said)
        case CaseAccepted():
            return replace(done, accepted=Accepted(fact.routing, fact.transfer, fact.handler, at))
        case CustomerContacted():
            return replace(done, contacts=done.contacts + 1, contacted_at=fact.contacted_at)
        case ProgressReported():
            return replace(done, reports=done.reports + 1)
        case CaseTransferred():
            return replace(done, transfer=Transfer(fact.transfer, fact.routing, fact.department, at, fact.reason))
        case CaseResolved():
            words = {"cause": fact.cause, "measures": fact.measures}
            resolved = Outcome("resolved", fact.cycle, at, fact.department, fact.responsible_unit, fact.told_customer, words)
            return replace(done, outcome=resolved, said=fact.said)
        case CaseRejected():
            rejected = Outcome("rejected", fact.cycle, at, fact.department, None, fact.told_customer, {"reason": fact.reason})
            return replace(done, outcome=rejected, said=fact.said)
        case CaseCancelled():
            return replace(done, outcome=Outcome("cancelled", fact.cycle, at))
    return done
