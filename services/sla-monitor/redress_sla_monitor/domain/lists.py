"""What lists and automations look for among the complaints whose clocks run: a row for each, made of what is known of it alone."""

from __future__ import annotations

from typing import Any

from redress_events.areas import area_key
from redress_events.event import micros
from redress_sla_monitor.domain.watch import Watch
from redress_spine.aggregate import Projection, Table

# next_breach: the first instant at which a clock is late that is awaited; late_since: the first deadline that was not kept, of a clock
# that still runs. area: in its normal form, empty where nobody said.
WATCHES = Table(
    "watches",
    {
        "department": "text",
        "to_start": "boolean",
        "to_settle": "boolean",
        "next_breach": "bigint",
        "late_since": "bigint",
        "area": "text",
    },
)


def row(watch: Watch) -> list[tuple[Any, ...]]:
    """None where nothing is due, awaited or late: what happens at the deadline is in time, so the first late instant is a microsecond after
    it."""
    clocks = watch.own.clocks
    next_breach = min((micros(each.deadline) + 1 for each in clocks if watch.awaited(each)), default=None)
    late_since = min((micros(each.deadline) for each in clocks if each.late), default=None)
    found = (bool(watch.missing), watch.to_settle, next_breach, late_since)
    return [(watch.observed.department, *found, area_key(watch.observed.area) or "")] if found != (False, False, None, None) else []


PROJECTIONS = (Projection(WATCHES, row, observed=("classifications", "wanted", "ends", "department", "area"), own=("clocks", "started")),)
