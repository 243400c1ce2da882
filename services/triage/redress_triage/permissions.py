"""Who may do what in triage, with which complaints, and what of an answer they are shown."""

from datetime import datetime

from redress_chassis import ANYTHING, ANYTHING_UNLESS_BY_AREA, OWN_DEPARTMENT, Permissions, Roles
from redress_triage.domain.complaint import Complaint


def department(complaint: Complaint) -> str | None:
    return complaint.department or None


def ended_at(complaint: Complaint) -> datetime | None:
    return complaint.observed.ended_at


def area(complaint: Complaint) -> str | None:
    return complaint.observed.area


DECIDES: Roles = {"agent": ANYTHING_UNLESS_BY_AREA, "supervisor": ANYTHING}
EVERYBODY: Roles = {
    "front-end": ANYTHING,
    "agent": ANYTHING,
    "handler": ANYTHING,
    "supervisor": ANYTHING,
    "ops": ANYTHING,
    "bi": ANYTHING,
}

PERMISSIONS = Permissions(
    {
        "GET /complaints/{complaint}/classification": {"agent": ANYTHING_UNLESS_BY_AREA, "handler": OWN_DEPARTMENT, "supervisor": ANYTHING},
        "POST /complaints/{complaint}/reclassification": DECIDES,
        "POST /complaints/{complaint}/routing": DECIDES,
        "GET /reviews": {"agent": ANYTHING_UNLESS_BY_AREA, "supervisor": ANYTHING, "ops": ANYTHING},
        "GET /taxonomy": EVERYBODY,
    },
    # Operations watch the queue without reading what customers wrote.
    reads={"words": ("agent", "handler", "supervisor")},
    department=department,
    ended_at=ended_at,
    area=area,
)
