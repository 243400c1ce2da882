"""Classify and route a complaint by the rules, in one decision. (Handbook 6.1.2, 6.2.1 a and b)"""

from __future__ import annotations

from redress_events.contracts.triage import ComplaintClassified, ComplaintRouted
from redress_events.event import Event
from redress_spine.aggregate import Context
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.judge import judge
from redress_triage.domain.rules import Rules


def classify(complaint: Complaint, context: Context, *, rules: Rules) -> list[Event]:
    """The kind stays as registered: only a person changes it. Where the rules are not sure enough it waits in the review queue, so that
    every complaint is in a department meanwhile. Words that were forgotten say nothing, and a person decides."""
    observed = complaint.observed
    words = context.plaintext.get(observed.text or "", "")
    verdict = judge(rules.taxonomy, words, observed.kind)
    desk = rules.table.review if verdict.review else rules.table.desk(verdict.category, verdict.sub_category, observed.kind)
    return [
        ComplaintClassified(
            classification=1,
            category=verdict.category,
            sub_category=verdict.sub_category,
            kind=observed.kind,
            severity=verdict.severity,
            taxonomy=rules.taxonomy.ref,
            confidence=verdict.confidence,
            evidence=verdict.evidence,
            review=verdict.review,
        ),
        ComplaintRouted(routing=complaint.own.routing.number + 1, department=desk.department, queue=desk.queue),
    ]


def text_of(complaint: Complaint) -> list[str]:
    """The reference of the words that classify needs."""
    return [complaint.observed.text] if complaint.observed.text else []
