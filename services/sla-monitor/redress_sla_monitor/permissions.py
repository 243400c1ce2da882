"""Who may see the deadlines of which complaints."""

from datetime import datetime

from redress_chassis import ANYTHING, OWN_DEPARTMENT, Permissions, Roles
from redress_sla_monitor.domain.watch import Watch


def department(watch: Watch) -> str | None:
    return watch.observed.department


def ended_at(watch: Watch) -> datetime | None:
    return watch.observed.ended_at


WATCHES: Roles = {"agent": ANYTHING, "handler": OWN_DEPARTMENT, "supervisor": ANYTHING, "ops": ANYTHING}

PERMISSIONS = Permissions(
    {
        "GET /complaints/{complaint}/clocks": WATCHES,
        "GET /deadlines": WATCHES,
    },
    department=department,
    ended_at=ended_at,
)
