"""Who may do what at the front door, with which complaints, and what of an answer they are shown."""

from datetime import datetime

from redress_chassis import ANYTHING, ANYTHING_UNLESS_BY_AREA, OWN, OWN_DEPARTMENT, OWN_UNLESS_SHARED, Permissions, Role, Roles
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.subscription import Subscription


def department(complaint: Complaint) -> str | None:
    return complaint.observed.department


def ended_at(complaint: Complaint) -> datetime | None:
    return complaint.observed.ended_at


def known(state: Complaint | Subscription) -> bool:
    """A complaint that was registered here, and not merely learned of from others; a subscription that was not deleted."""
    return state.registered if isinstance(state, Complaint) else state.kept


def owner(state: Complaint | Subscription) -> str | None:
    """The front end that registered or subscribed it. Complaints of before intake wrote that down are no front end's own."""
    return state.own.client if isinstance(state, Complaint) else state.own.subscriber


def channel(state: Complaint | Subscription) -> str | None:
    return state.own.channel if isinstance(state, Complaint) else None


def area(state: Complaint | Subscription) -> str | None:
    return state.own.area if isinstance(state, Complaint) else None


# What an earlier complaint says is not shown to who refers to it, so a customer may take it up again at any front end.
TAKES_DOWN: Roles = {"front-end": ANYTHING, "agent": ANYTHING, "supervisor": ANYTHING}
# A front end that is taken over gives away its own complaints, and not those of all.
ADDS: Roles = {"front-end": OWN_UNLESS_SHARED, "agent": ANYTHING_UNLESS_BY_AREA, "supervisor": ANYTHING}
LOOKS: Roles = {
    "front-end": OWN_UNLESS_SHARED,
    "agent": ANYTHING_UNLESS_BY_AREA,
    "handler": OWN_DEPARTMENT,
    "supervisor": ANYTHING,
    "ops": ANYTHING,
}
# It cannot be taken back, and is nobody's who works on complaints: of a supervisor who belongs to a department `forget` refuses it.
FORGETS: Roles = {"supervisor": ANYTHING}
# Over all numbers: front ends find what they have by its id or number, for whose complaint it is, is not known of them.
SEARCHES: Roles = {"agent": ANYTHING_UNLESS_BY_AREA, "supervisor": ANYTHING}
LISTS: Roles = {"front-end": OWN_UNLESS_SHARED, **SEARCHES}
# Names of products and areas are nothing of anybody.
EVERYBODY: Roles = {
    "front-end": ANYTHING,
    "agent": ANYTHING,
    "handler": ANYTHING,
    "supervisor": ANYTHING,
    "ops": ANYTHING,
    "bi": ANYTHING,
}
WATCHES: Roles = {"supervisor": ANYTHING, "ops": ANYTHING}
BY_CHANNEL: tuple[Role, ...] = ("front-end",)
COUNTS: Roles = {"supervisor": ANYTHING, "ops": ANYTHING, "bi": ANYTHING}
IS_TOLD: Roles = {"front-end": OWN}

PERMISSIONS = Permissions(
    {
        "POST /complaints": TAKES_DOWN,
        "GET /complaints": LISTS,
        "POST /complaints/{complaint}/supplements": ADDS,
        "POST /complaints/{complaint}/chases": ADDS,
        "POST /complaints/{complaint}/withdrawal": ADDS,
        "POST /complaints/{complaint}/forgetting": FORGETS,
        "POST /complaints/search": SEARCHES,
        "GET /complaints/{complaint}": LOOKS,
        "GET /complaints/by-number/{number}": LOOKS,
        "GET /complaints/{complaint}/said": LOOKS,
        "GET /complaints/{complaint}/stages": LOOKS,
        "GET /complaints/{complaint}/stages/stream": LOOKS,
        "GET /catalogue": EVERYBODY,
        "GET /pending": WATCHES,
        "GET /statistics/open": COUNTS,
        "POST /subscriptions": IS_TOLD,
        "GET /subscriptions": IS_TOLD,
        "GET /subscriptions/{subscription}": IS_TOLD,
        "DELETE /subscriptions/{subscription}": IS_TOLD,
        "POST /subscriptions/{subscription}/enable": IS_TOLD,
        "GET /subscriptions/{subscription}/deliveries": IS_TOLD,
        "POST /subscriptions/{subscription}/deliveries/{delivery}/redeliver": IS_TOLD,
    },
    # A handler reads the customer's words and contact data at their case; operations need neither.
    reads={
        "words": ("front-end", "agent", "supervisor"),
        "contact": ("agent", "supervisor"),
        "internal": ("agent", "handler", "supervisor", "ops"),
    },
    department=department,
    ended_at=ended_at,
    known=known,
    owner=owner,
    channel=channel,
    area=area,
    by_channel={"POST /complaints": BY_CHANNEL},
)
