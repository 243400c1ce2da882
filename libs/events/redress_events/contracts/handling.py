"""What handling publishes: the department's work on a case. `cycle` is the complaint's cycle that the work is for."""

from typing import Literal

from redress_events.event import Contract, Event, Personal, UtcTime

ContactMeans = Literal["phone", "visit", "e-mail", "sms", "chat", "letter"]


class CaseOpened(Event):
    """A department has a case for this cycle of the complaint."""

    cycle: int
    routing: int
    department: str
    urgency: int = 0  # raised by one with each cycle


class CaseCancelled(Event):
    """The complaint was closed while the case was still open: there is nothing left to do."""

    cycle: int
    reason: str


class CaseAccepted(Event):
    """A handler accepts the case. After a new routing or transfer the new department must accept it again."""

    cycle: int
    handler: str
    routing: int = 0
    transfer: int = 0  # the transfer that brought it here, 0 where the routing did


class CustomerContacted(Event):
    """A person spoke with the customer (a bot does not count)."""

    cycle: int
    means: ContactMeans
    contacted_at: UtcTime
    note: Personal | None = None


class ProgressReported(Event):
    cycle: int
    note: Personal


class CaseTransferred(Event):
    """The case goes to another department. It holds only for the routing it names: a new routing overrides it."""

    cycle: int
    routing: int
    transfer: int  # 1, 2, 3 … on this complaint
    department: str
    reason: Personal


class CaseResolved(Event):
    """What was wrong, what was done, who is responsible, and how the customer was told. (Handbook 3.3.2, 6.2.1 d)"""

    cycle: int
    department: str
    cause: Personal
    measures: Personal
    responsible_unit: str
    told_customer: ContactMeans
    said: int = 0  # how many supplements and chases the department knew of: any further one came after
    by: str | None = None  # who decided it: the subject of the token


class CaseRejected(Event):
    """The department rejects the complaint, with the reason. A rejected complaint gets a return visit like a resolved one."""

    cycle: int
    department: str
    reason: Personal
    told_customer: ContactMeans
    said: int = 0  # as of CaseResolved
    by: str | None = None  # as of CaseResolved


HANDLING = Contract(
    "handling",
    CaseOpened,
    CaseCancelled,
    CaseAccepted,
    CustomerContacted,
    ProgressReported,
    CaseTransferred,
    CaseResolved,
    CaseRejected,
)
