"""What lists and automations look for among the complaints: a row for each that waits for the rules or for a person."""

from __future__ import annotations

from typing import Any

from redress_events.areas import area_key
from redress_events.event import micros
from redress_spine.aggregate import Projection, Table
from redress_triage.domain.complaint import Complaint

# review_since: since when it waits for a person. area: in its normal form, empty where nobody said.
WAITING = Table("waiting", {"to_classify": "boolean", "review_since": "bigint", "area": "text"})


def row(complaint: Complaint) -> list[tuple[Any, ...]]:
    since = None if complaint.closed else complaint.own.review_since
    found = (complaint.to_classify, None if since is None else micros(since))
    return [(*found, area_key(complaint.observed.area) or "")] if found != (False, None) else []


PROJECTIONS = (Projection(WAITING, row, observed=("registered_at", "cycle", "closed", "area"), own=("classification", "review_since")),)
