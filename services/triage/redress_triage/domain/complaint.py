"""What triage knows of one complaint: what was known it, and how triage classified and routed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, ComplaintRouted, Evidence, Severity
from redress_events.event import Event, Instant, replace
from redress_events.lifecycle import Lifecycle, lived
from redress_events.placement import Placement, Routed, Transferred, transferred
from redress_events.vocabulary import ContactKind
from redress_spine.aggregate import Aggregate, CommandRejected
from redress_triage.domain.lists import PROJECTIONS
from redress_triage.domain.routing import Desk

By = Literal["rule", "person"]


@dataclass(frozen=True, slots=True)
class Observed(Lifecycle):
    """registered_at: when the event was decided. text: a reference. transfer: handling moved the case on."""

    number: str | None = None
    registered_at: Instant | None = None
    kind: ContactKind = "complaint"
    text: str | None = None
    transfer: Transferred | None = None


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
class Own:
    """review_since: the rules were not sure enough, and no person has decided since."""

    classification: Classification = Classification()
    routing: Routing = Routing()
    review_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    observed: Observed = Observed()
    own: Own = Own()

    @property
    def closed(self) -> bool:
        return self.observed.is_closed

    @property
    def to_classify(self) -> bool:
        """It is registered and open, and nothing was said of it."""
        return self.observed.registered_at is not None and self.own.classification.number == 0 and not self.closed

    @property
    def placement(self) -> Placement:
        routing = self.own.routing
        routed = Routed(routing.number, routing.department) if routing.number else None
        return Placement(routed, self.observed.transfer)

    @property
    def transferred(self) -> bool:
        return self.placement.transfer is not None

    @property
    def department(self) -> str:
        return self.placement.department or ""

    def stands_at(self, desk: Desk) -> bool:
        """After a transfer the department alone tells: its queues are not triage's affair then."""
        return self.department == desk.department and (self.transferred or self.own.routing.queue == desk.queue)

    def must_be_open(self) -> None:
        """Raises CommandRejected."""
        if self.observed.registered_at is None:
            raise CommandRejected("not-registered", "Triage has not yet learned of this complaint's registration.")
        if self.closed:
            raise CommandRejected("complaint-closed", "The complaint is closed.")


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    match event:
        case ComplaintRegistered():
            return replace(observed, number=event.number, registered_at=at, kind=event.kind, text=event.text)
        case CaseTransferred():
            return replace(observed, transfer=transferred(event))
        case ComplaintReopened() | ComplaintClosed():
            return lived(observed, event)
    return observed


def evolve(own: Own, event: Event, at: datetime) -> Own:
    match event:
        case ComplaintClassified():
            classified = Classification(
                number=event.classification,
                at=at,
                category=event.category,
                sub_category=event.sub_category,
                kind=event.kind,
                severity=event.severity,
                taxonomy=event.taxonomy,
                confidence=event.confidence,
                evidence=event.evidence,
            )
            return replace(own, classification=classified, review_since=at if event.review else None)
        case ComplaintReclassified():
            reclassified = Classification(
                number=event.classification,
                at=at,
                by="person",
                category=event.category,
                sub_category=event.sub_category,
                kind=event.kind,
                severity=event.severity,
                taxonomy=event.taxonomy,
                reason=event.reason,
            )
            return replace(own, classification=reclassified, review_since=None)
        case ComplaintRouted():
            routed = Routing(event.routing, at, event.by, event.department, event.queue, event.reason)
            return replace(own, routing=routed)
    return own


AGGREGATE = Aggregate(
    Complaint, observe, evolve, observes=(ComplaintRegistered, CaseTransferred, ComplaintReopened, ComplaintClosed), projections=PROJECTIONS
)
