"""What triage answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Self
from uuid import UUID

from redress_chassis import Body, filled
from redress_events.contracts.triage import Category, Evidence, Severity
from redress_events.vocabulary import ContactKind
from redress_spine.store.states import Loaded
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.own import By
from redress_triage.domain.rules import Rules
from redress_triage.domain.taxonomy import Names

EXCERPT = 200  # characters of the text that the queue shows


def references(complaint: Complaint) -> tuple[str | None, ...]:
    """What a classification's view shows in clear."""
    return complaint.observed.text, complaint.own.classification.reason, complaint.own.routing.reason


class EvidenceView(Body):
    """Offsets are Unicode code points of the text. words: null where the text was forgotten."""

    start: int
    end: int
    term: str
    words: str | None

    @classmethod
    def of(cls, evidence: Evidence, text: str | None) -> Self:
        return filled(cls, evidence, words=None if text is None else text[evidence.start : evidence.end])


class ClassView(Body):
    """confidence: the rules', null after a person decided."""

    number: int
    at: datetime | None
    by: By
    category: Category
    sub_category: str
    kind: ContactKind
    severity: Severity
    taxonomy: str
    confidence: float | None
    evidence: list[EvidenceView]
    reason: str | None

    @classmethod
    def of(cls, complaint: Complaint, words: Mapping[str, str]) -> Self:
        found = complaint.own.classification
        text = words.get(complaint.observed.text or "")
        evidence = [EvidenceView.of(one, text) for one in found.evidence]
        return filled(cls, found, evidence=evidence, reason=words.get(found.reason or ""))


class RoutingView(Body):
    """department: after a transfer by handling the one that it went to, and then without a queue."""

    number: int
    at: datetime | None
    by: By
    department: str
    queue: str | None
    transferred: bool
    reason: str | None

    @classmethod
    def of(cls, complaint: Complaint, words: Mapping[str, str]) -> Self:
        routing = complaint.own.routing
        return filled(
            cls,
            routing,
            department=complaint.department,
            queue=None if complaint.transferred else routing.queue,
            transferred=complaint.transferred,
            reason=words.get(routing.reason or ""),
        )


class ClassificationView(Body):
    """classification and routing: null before the first. text: null where it was forgotten. review_since: it waits for a person."""

    id: UUID
    number: str | None
    closed: bool
    text: str | None
    classification: ClassView | None
    routing: RoutingView | None
    review_since: datetime | None

    @classmethod
    def of(cls, loaded: Loaded, words: Mapping[str, str]) -> Self:
        complaint: Complaint = loaded.state
        return cls(
            id=loaded.id,
            number=complaint.observed.number,
            closed=complaint.closed,
            text=words.get(complaint.observed.text or ""),
            classification=ClassView.of(complaint, words) if complaint.own.classification.number else None,
            routing=RoutingView.of(complaint, words) if complaint.own.routing.number else None,
            review_since=None if complaint.closed else complaint.own.review_since,
        )


class ReviewView(Body):
    """What the rules propose, and how sure they are. excerpt: the text's beginning, null for those who may not read it."""

    id: UUID
    number: str | None
    waiting_since: datetime
    kind: ContactKind
    category: Category
    sub_category: str
    severity: Severity
    confidence: float | None
    department: str
    excerpt: str | None

    @classmethod
    def of(cls, loaded: Loaded, waiting_since: datetime, words: Mapping[str, str]) -> Self:
        complaint: Complaint = loaded.state
        found = complaint.own.classification
        text = words.get(complaint.observed.text or "")
        return filled(
            cls,
            found,
            id=loaded.id,
            number=complaint.observed.number,
            waiting_since=waiting_since,
            department=complaint.department,
            excerpt=text and text[:EXCERPT],
        )


class ReviewPage(Body):
    """next: the cursor of the next page, null at the end."""

    items: list[ReviewView]
    next: str | None


class SubCategoryView(Body):
    """A sub-category, as programs and as people call it."""

    id: str
    names: Names


class CategoryView(SubCategoryView):
    """A category with its sub-categories."""

    sub_categories: list[SubCategoryView]


class DepartmentView(SubCategoryView):
    """A department with its queues."""

    queues: list[str]


class TaxonomyView(Body):
    """taxonomy: id@version. review_below: the confidence under which a person decides."""

    taxonomy: str
    review_below: float
    categories: list[CategoryView]
    departments: list[DepartmentView]

    @classmethod
    def of(cls, rules: Rules) -> Self:
        return cls(
            taxonomy=rules.taxonomy.ref,
            review_below=rules.taxonomy.confidence.limit,
            categories=[
                CategoryView(
                    id=category,
                    names=entry.names,
                    sub_categories=[SubCategoryView(id=name, names=sub.names) for name, sub in entry.sub_categories.items()],
                )
                for category, entry in rules.taxonomy.categories.items()
            ],
            departments=[
                DepartmentView(id=name, names=department.names, queues=list(department.queues))
                for name, department in rules.table.departments.items()
            ],
        )
