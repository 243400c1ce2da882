"""Who may do what with which return visits. Every agent visits everybody, unless a setting tells agents apart by area."""

from redress_callback.domain.visit import Visit
from redress_chassis import ANYTHING, ANYTHING_UNLESS_BY_AREA, Permissions, Roles


def known(visit: Visit) -> bool:
    """There is something to see once its registration was known."""
    return visit.observed.registration is not None


def handled_by(visit: Visit) -> str | None:
    """Who resolved or rejected the case of this cycle. Whether the customer is satisfied with it is for somebody else to write down."""
    return visit.handled.by if visit.handled else None


def area(visit: Visit) -> str | None:
    return visit.observed.area


VISITS: Roles = {"agent": ANYTHING_UNLESS_BY_AREA, "supervisor": ANYTHING}

PERMISSIONS = Permissions(
    {
        "GET /visits": VISITS,
        "GET /visits/{complaint}": VISITS,
        "GET /visits/{complaint}/notes": VISITS,
        "POST /visits/{complaint}/attempts": VISITS,
    },
    known=known,
    area=area,
    done_by={"POST /visits/{complaint}/attempts": handled_by},
)
