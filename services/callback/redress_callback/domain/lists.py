"""What lists and automations look for among the return visits: a row for each that waits for somebody, made of the visit alone."""

from __future__ import annotations

from typing import Any

from redress_callback.domain.visit import Visit
from redress_events.areas import area_key
from redress_events.event import micros
from redress_spine.aggregate import Projection, Table

FIRST = 2**53  # microseconds since 1970 stay below this until 2255
# to_call: the place in the list of customers to be called, while it is an agent's turn; give_up_at: while it is the timer's.
# area: in its normal form, empty where nobody said.
VISITS = Table(
    "visits",
    {
        "to_schedule": "boolean",
        "withdrawn": "boolean",
        "give_up_at": "bigint",
        "revision_due": "boolean",
        "to_call": "bigint",
        "area": "text",
    },
)


def row(visit: Visit) -> list[tuple[Any, ...]]:
    give_up_at = None if visit.give_up_at is None else micros(visit.give_up_at)
    found = (visit.to_schedule, visit.withdrawn, give_up_at, visit.revision_due, to_call(visit))
    return [(*found, area_key(visit.observed.area) or "")] if found != (False, False, None, False, None) else []


def to_call(visit: Visit) -> int | None:
    """Whoever said something first, then the longest overdue."""
    at = visit.visit_at
    return None if at is None else micros(at) - visit.unanswered * FIRST


OBSERVED = ("registration", "handled", "withdrawal", "breaches", "clocks", "said", "said_at")
OWN = ("cycle", "scheduled", "due_at", "next_at", "give_up_at", "answered", "closed", "said", "revision", "published", "published_clocks")
PROJECTIONS = (Projection(VISITS, row, OBSERVED, OWN),)
