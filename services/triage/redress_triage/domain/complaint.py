"""What triage knows of one complaint: what was heard of it, and how triage classified and routed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, ComplaintRouted, Evidence, Severity
from redress_events.event import Fact, Instant, replace
from redress_events.placement import Placement, Routed, Transferred
from redress_events.vocabulary import ContactKind
from redress_spine.aggregate import Kind, Refused
from redress_triage.domain.lists import PROJECTIONS
from redress_triage.domain.routing import Desk

By = Literal["rule", "person"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Handling moved the case on: to whom, and which routing it answers."""

    routing: int
    department: str


@dataclass(frozen=True, slots=True)
class Heard:
    """registered_at: when the fact was decided. text: a reference. closed: the last cycle that callback closed."""

    number: str | None = None
    registered_at: Instant | None = None
    kind: ContactKind = "complaint"
    text: str | None = None
    cycle: int = 1
    closed: int = 0
    transfer: Transfer | None = None


@dataclass(frozen=True, slots=True)
class Classification:
    """number: 0 before the first. reason: a reference. confidence and evidence are the rules'; a person gives a reason instead."""

    number: int = 0
    at: Instant | None = None
    by: By = "rule"
    category: Category = "other"
    sub_category: str = ""
    kind: ContactKind = "complaint"
    severity: Severity = "normal"
    taxonomy: str = ""
    confidence: float | None = None
    evidence: tuple[Evidence, ...] = ()
    reason: str | None = None

    @property
    def of(self) -> tuple[Category, str, ContactKind]:
        """What the routing table looks at."""
        return self.category, self.sub_category, self.kind


@dataclass(frozen=True, slots=True)
class Routing:
    """number: 0 before the first. reason: a reference."""

    number: int = 0
    at: Instant | None = None
    by: By = "rule"
    department: str = ""
    queue: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """review_since: the rules were not sure enough, and no person has decided since."""

    classification: Classification = Classification()
    routing: Routing = Routing()
    review_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    heard: Heard = Heard()
    done: Done = Done()

    @property
    def closed(self) -> bool:
        return self.heard.closed >= self.heard.cycle

    @property
    def to_classify(self) -> bool:
        """It is registered and open, and nothing was said of it."""
        return self.heard.registered_at is not None and self.done.classification.number == 0 and not self.closed

    @property
    def placement(self) -> Placement:
        routing, moved = self.done.routing, self.heard.transfer
        routed = Routed(routing.number, routing.department) if routing.number else None
        return Placement(routed, Transferred(0, moved.routing, moved.department) if moved else None)

    @property
    def transferred(self) -> bool:
        return self.placement.transfer is not None

    @property
    def department(self) -> str:
        return self.placement.department or ""

    def stands_at(self, desk: Desk) -> bool:
        """After a transfer the department alone tells: its queues are not triage's affair then."""
        return self.department == desk.department and (self.transferred or self.done.routing.queue == desk.queue)

    def must_be_open(self) -> None:
        """Raises Refused."""
        if self.heard.registered_at is None:
            raise Refused("not-registered", "Triage has not yet heard of this complaint's registration.")
        if self.closed:
            raise Refused("complaint-closed", "The complaint is closed.")


def hear(heard: Heard, fact: Fact, at: datetime) -> Heard:
    match fact:
        case ComplaintRegistered():
            return replace(heard, number=fact.number, registered_at=at, kind=fact.kind, text=fact.text)
        case CaseTransferred():
            return replace(heard, transfer=Transfer(fact.routing, fact.department))
        case ComplaintReopened():
            return replace(heard, cycle=fact.cycle)
        case ComplaintClosed():
            return replace(heard, closed=fact.cycle)
    return heard


def did(done: Done, fact: Fact, at: datetime) -> Done:
    match fact:
        case ComplaintClassified():
            classified = Classification(
                number=fact.classification,
                at=at,
                category=fact.category,
                sub_category=fact.sub_category,
                kind=fact.kind,
                severity=fact.severity,
                taxonomy=fact.taxonomy,
                confidence=fact.confidence,
                evidence=fact.evidence,
            )
            return replace(done, classification=classified, review_since=at if fact.review else None)
        case ComplaintReclassified():
            reclassified = Classification(
                number=fact.classification,
                at=at,
                by="person",
                category=fact.category,
                sub_category=fact.sub_category,
                kind=fact.kind,
                severity=fact.severity,
                taxonomy=fact.taxonomy,
                reason=fact.reason,
            )
            return replace(done, classification=reclassified, review_since=None)
        case ComplaintRouted():
            routed = Routing(fact.routing, at, fact.by, fact.department, fact.queue, fact.reason)
            return replace(done, routing=routed)
    return done


KIND = Kind(Complaint, hear, did, hears=(ComplaintRegistered, CaseTransferred, ComplaintReopened, ComplaintClosed), projections=PROJECTIONS)
