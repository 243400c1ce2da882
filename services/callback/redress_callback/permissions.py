"""Who may do what with which return visits. Every agent visits everybody."""

from redress_callback.domain.visit import Visit
from redress_chassis import ANYTHING, Permissions, Roles


def known(visit: Visit) -> bool:
    """There is something to see once its registration was known."""
    return visit.observed.registration is not None


def handled_by(visit: Visit) -> str | None:
    """Who resolved or rejected the case of this cycle. Whether the customer is satisfied with it is for somebody else to write down."""
    return visit.handled.by if visit.handled else None


VISITS: Roles = {"agent": ANYTHING, "supervisor": ANYTHING}

PERMISSIONS = Permissions(
    {
        "GET /visits": VISITS,
        "GET /visits/{complaint}": VISITS,
        "GET /visits/{complaint}/notes": VISITS,
        "POST /visits/{complaint}/attempts": VISITS,
    },
    known=known,
    done_by={"POST /visits/{complaint}/attempts": handled_by},
)
