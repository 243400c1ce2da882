"""What lists and automations look for among the cases: a row for each, made of the case alone."""

from __future__ import annotations

from typing import Any

from redress_events.event import micros
from redress_handling.domain.case import Case
from redress_spine.aggregate import Count, Projection, Table

TO_DO, ENDED = ("open", "accepted"), ("resolved", "rejected", "cancelled")
MOST_URGENT, LATEST = 500, 2**53 - 1  # microseconds since 1970 stay below this until 2255
# to_do: the place in the list of what is to be done, latest_end: in that of what has ended; null where it is not in it.
CASES = Table(
    "cases",
    {"department": "text", "stage": "text", "to_do": "bigint", "latest_end": "bigint", "to_open": "boolean", "to_cancel": "boolean"},
)
WORKLOAD = "workload"
OBSERVED = ("registration", "classification", "routing", "department", "cycle", "urgency", "closed")
OWN = ("cycle", "transfer", "accepted", "outcome")


def urgent_then_oldest(case: Case) -> int:
    """More urgent first, then the one that was received first."""
    received_at = micros(case.observed.registration.received_at) if case.observed.registration else 0
    return min(max(received_at, 0), LATEST) - min(case.urgency, MOST_URGENT) * (LATEST + 1)


def row(case: Case) -> list[tuple[Any, ...]]:
    stage, outcome = str(case.stage), case.own.outcome
    if stage == "none" and not (case.to_open or case.to_cancel):
        return []
    to_do = urgent_then_oldest(case) if stage in TO_DO else None
    latest_end = -micros(outcome.at) if outcome and stage in ENDED else None
    return [(case.department, stage, to_do, latest_end, case.to_open, case.to_cancel)]


def workload(case: Case) -> list[str]:
    """Under what a case counts that is to be done: its department and stage."""
    return [f"{case.department}/{case.stage}"] if case.stage in TO_DO else []


PROJECTIONS = (Projection(CASES, row, OBSERVED, OWN), Count(WORKLOAD, workload, OBSERVED, OWN))
