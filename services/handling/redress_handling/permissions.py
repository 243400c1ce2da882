"""Who may do what with which cases. A handler reaches what is with their department now, a supervisor all. For a reason, which is recorded,
a handler may read a case of another department."""

from datetime import datetime

from redress_chassis import ANYTHING, OWN_DEPARTMENT, Permissions, Role, Roles
from redress_handling.domain.case import Case


def department(case: Case) -> str | None:
    return case.department


def ended_at(case: Case) -> datetime | None:
    return case.observed.ended_at


HANDLES: Roles = {"handler": OWN_DEPARTMENT, "supervisor": ANYTHING}
BREAK_GLASS: tuple[Role, ...] = ("handler",)  # for a case of another department, where a customer cannot wait for it

PERMISSIONS = Permissions(
    {
        "GET /cases": HANDLES,
        "GET /cases/workload": HANDLES,
        "GET /cases/{complaint}": HANDLES,
        "GET /cases/{complaint}/remarks": HANDLES,
        "GET /cases/{complaint}/outcomes": HANDLES,
        "POST /cases/{complaint}/accept": HANDLES,
        "POST /cases/{complaint}/contact": HANDLES,
        "POST /cases/{complaint}/progress": HANDLES,
        "POST /cases/{complaint}/transfer": HANDLES,
        "POST /cases/{complaint}/resolve": HANDLES,
        "POST /cases/{complaint}/reject": HANDLES,
    },
    department=department,
    ended_at=ended_at,
    break_glass=BREAK_GLASS,
)
