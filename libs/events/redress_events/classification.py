"""What a complaint is about and how grave it is: what triage said of it last, whether its rules did or a person."""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, Severity
from redress_events.vocabulary import ContactKind


@dataclass(frozen=True, slots=True)
class Classification:
    category: Category
    sub_category: str
    kind: ContactKind
    severity: Severity


def classified(event: ComplaintClassified | ComplaintReclassified) -> Classification:
    return Classification(event.category, event.sub_category, event.kind, event.severity)


def settled(event: ComplaintClassified | ComplaintReclassified) -> bool:
    """Whether it holds. What the rules were not sure of is a proposal until a person has looked at it."""
    return not (isinstance(event, ComplaintClassified) and event.review)


def current_kind(classification: Classification | None, received: ContactKind) -> ContactKind:
    """As triage sees it, else as it was received."""
    return classification.kind if classification else received
