"""What intake's lists look for among the complaints: a row for each that was registered, made of the complaint alone."""

from __future__ import annotations

from typing import Any

from redress_events.areas import area_key
from redress_events.event import micros
from redress_intake.domain.complaint import Complaint
from redress_spine.aggregate import Projection, Table

# By what complaints are listed. newest: minus the time of receipt, so that the newest come first. area: in its normal form, empty where
# nobody said. client: who registered it.
LISTED = {"newest": "bigint", "channel": "text", "area": "text", "client": "text"}

# open_since: when it was registered, null once it is closed.
COMPLAINTS = Table("complaints", {"number": "text", "registered_at": "bigint", "open_since": "bigint", **LISTED})

# What is counted of the open ones, and by what they are listed.
OPEN = Table("open_complaints", {"department": "text", "category": "text", "stage": "text", "received_at": "bigint", **LISTED})


def row(complaint: Complaint) -> list[tuple[Any, ...]]:
    if not complaint.registered:
        return []
    registered_at = micros(complaint.own.registered_at)
    return [(complaint.own.number, registered_at, None if complaint.closed else registered_at, *listed(complaint))]


def open_row(complaint: Complaint) -> list[tuple[Any, ...]]:
    if not complaint.registered or complaint.closed:
        return []
    classification = complaint.observed.classification
    category = classification.category if classification else None
    return [(complaint.observed.department, category, complaint.stage, micros(complaint.own.received_at), *listed(complaint))]


def listed(complaint: Complaint) -> tuple[Any, ...]:
    own = complaint.own
    return (-micros(own.received_at), own.channel, area_key(own.area) or "", own.client)


PROJECTIONS = (
    Projection(COMPLAINTS, row, ("cycle", "closed"), own=("number", "registered_at", "received_at", "channel", "area", "client")),
    Projection(
        OPEN,
        open_row,
        ("cycle", "closed", "withdrawal", "classification", "classified_at", "placement", "routed_at", "reached"),
        ("number", "received_at", "registered_at", "withdrawal", "channel", "area", "client"),
    ),
)
