"""What intake's lists look for among the complaints: a row for each that was registered, made of the complaint alone."""

from __future__ import annotations

from typing import Any

from redress_events.event import micros
from redress_intake.domain.complaint import Complaint
from redress_spine.aggregate import Projection, Table

# open_since: when it was registered, null once it is closed.
COMPLAINTS = Table("complaints", {"number": "text", "registered_at": "bigint", "open_since": "bigint"})

# What is counted of the open ones, and nothing of whose they are.
OPEN = Table("open_complaints", {"department": "text", "category": "text", "stage": "text", "received_at": "bigint"})


def row(complaint: Complaint) -> list[tuple[Any, ...]]:
    if not complaint.registered:
        return []
    registered_at = micros(complaint.own.registered_at)
    return [(complaint.own.number, registered_at, None if complaint.closed else registered_at)]


def open_row(complaint: Complaint) -> list[tuple[Any, ...]]:
    if not complaint.registered or complaint.closed:
        return []
    classification = complaint.observed.classification
    category = classification.category if classification else None
    return [(complaint.observed.department, category, complaint.stage, micros(complaint.own.received_at))]


PROJECTIONS = (
    Projection(COMPLAINTS, row, observed=("cycle", "closed"), own=("number", "registered_at")),
    Projection(
        OPEN,
        open_row,
        ("cycle", "closed", "withdrawal", "classification", "classified_at", "placement", "routed_at", "reached"),
        ("number", "received_at", "registered_at", "withdrawal"),
    ),
)
