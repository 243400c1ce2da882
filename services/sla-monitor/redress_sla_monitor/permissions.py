"""Who may see the deadlines of which complaints."""

from datetime import datetime

from redress_chassis import ANYTHING, ANYTHING_UNLESS_BY_AREA, OWN_DEPARTMENT, Permissions, Roles
from redress_sla_monitor.domain.watch import Watch


def department(watch: Watch) -> str | None:
    return watch.observed.department


def ended_at(watch: Watch) -> datetime | None:
    return watch.observed.ended_at


def area(watch: Watch) -> str | None:
    return watch.observed.area


WATCHES: Roles = {"agent": ANYTHING_UNLESS_BY_AREA, "handler": OWN_DEPARTMENT, "supervisor": ANYTHING, "ops": ANYTHING}

PERMISSIONS = Permissions(
    {
        "GET /complaints/{complaint}/clocks": WATCHES,
        "GET /deadlines": WATCHES,
    },
    department=department,
    ended_at=ended_at,
    area=area,
)
