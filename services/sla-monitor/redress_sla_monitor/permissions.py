"""Who may see the deadlines of which complaints."""

from redress_chassis import ANYTHING, OWN_DEPARTMENT, Permissions, Roles
from redress_sla_monitor.domain.watch import Watch


def department(watch: Watch) -> str | None:
    return watch.observed.department


WATCHES: Roles = {"agent": ANYTHING, "handler": OWN_DEPARTMENT, "supervisor": ANYTHING, "ops": ANYTHING}

PERMISSIONS = Permissions(
    {
        "GET /complaints/{complaint}/clocks": WATCHES,
        "GET /deadlines": WATCHES,
    },
    department=department,
)
