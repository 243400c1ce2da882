"""How triage classified and routed one complaint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, ComplaintRouted, Evidence, Severity
from redress_events.event import Event, Instant, replace
from redress_events.vocabulary import ContactKind

By = Literal["rule", "person"]


@dataclass(frozen=True, slots=True)
class ClassificationDecision:
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

    classification: ClassificationDecision = ClassificationDecision()
    routing: Routing = Routing()
    review_since: Instant | None = None


def evolve(own: Own, event: Event, at: datetime) -> Own:
    match event:
        case ComplaintClassified():
            classified = ClassificationDecision(
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
            reclassified = ClassificationDecision(
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
