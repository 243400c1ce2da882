"""Reclassify: a person says what a complaint is, with a reason, and it moves where the table now says. A person always wins."""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.triage import Category, ComplaintReclassified, ComplaintRouted, Severity
from redress_events.event import Event
from redress_events.vocabulary import ContactKind
from redress_spine.aggregate import Context
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.rules import Rules


@dataclass(frozen=True, slots=True)
class Reclassify:
    """The same class again confirms what the rules proposed. kind and severity: None leaves them as they are. The caller has checked that
    the sub-category is one of the category's."""

    category: Category
    sub_category: str
    reason: str
    kind: ContactKind | None = None
    severity: Severity | None = None


def reclassify(complaint: Complaint, command: Reclassify, context: Context, *, rules: Rules) -> list[Event]:
    """Also before the rules have spoken. A desk that a person or a department's transfer chose stands until the class changes.
    Raises CommandRejected: complaint-closed, not-registered."""
    complaint.must_be_open()
    before = complaint.own.classification
    said = ComplaintReclassified(
        classification=before.number + 1,
        category=command.category,
        sub_category=command.sub_category,
        kind=command.kind or (before.kind if before.number else complaint.observed.kind),
        severity=command.severity or before.severity,
        taxonomy=rules.taxonomy.ref,
        reason=command.reason,
    )
    now = (said.category, said.sub_category, said.kind)
    same = bool(before.number) and before.of == now
    if same and before.by == "person" and before.severity == said.severity:
        return []  # said twice, true once
    desk = rules.table.desk(*now)
    chosen = complaint.transferred or complaint.own.routing.by == "person"
    if complaint.stands_at(desk) or (same and chosen):
        return [said]
    return [said, ComplaintRouted(routing=complaint.own.routing.number + 1, department=desk.department, queue=desk.queue)]
