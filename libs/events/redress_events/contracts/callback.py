"""What callback publishes: the return visit, the end of a complaint, and the public record of closed complaints."""

from typing import ClassVar, Literal

from redress_events.event import Contract, Event, Personal, UtcTime
from redress_events.vocabulary import CLOSED

CloseReason = Literal["satisfied", "withdrawn", "unreachable"]
Outcome = Literal["resolved", "rejected"]


class CallbackScheduled(Event):
    """A return visit is due. (Handbook 3.3.3: to every complaint, a rejected one too)"""

    cycle: int
    outcome: Outcome
    due_at: UtcTime  # first attempt by then


class CallbackAttempted(Event):
    """Somebody tried to reach the customer."""

    cycle: int
    attempt: int  # 1, 2, 3 … in this cycle
    reached: bool
    note: Personal | None = None
    next_at: UtcTime | None = None  # not reached: try again then
    give_up_at: UtcTime | None = None  # not reached, and it was the last attempt: closed as unreachable then
    said: int = 0  # how many supplements and chases were known: any further one is unanswered until the next attempt


class SatisfactionRecorded(Event):
    """What the customer said: is it solved, and how satisfied are they."""

    cycle: int
    solved: bool
    score: int  # CSAT, 1 (very dissatisfied) to 5 (very satisfied)
    words: Personal | None = None


class ComplaintReopened(Event):
    """The customer is not satisfied: a new cycle goes back to handling, more urgent."""

    cycle: int  # the new one
    urgency: int


class ComplaintClosed(Event):
    """The end of a complaint; only callback says it."""

    cycle: int
    reason: CloseReason
    withdrawal: int = 0  # the withdrawal it answers


class ClosedComplaint(Event):
    """One flat record for each closing, for business intelligence: complete in itself and free of personal data. Sent again with a higher
    revision when something late changes it. Durations in whole seconds of natural time."""

    topic: ClassVar[str] = CLOSED
    stream: ClassVar[str] = "closed"

    complaint: str
    number: str
    revision: int
    reason: CloseReason
    channel: str
    kind: str
    product: str | None = None
    area: str | None = None
    category: str | None = None
    sub_category: str | None = None
    severity: str | None = None
    department: str | None = None
    outcome: Outcome | None = None
    cycles: int
    received_at: UtcTime
    registered_at: UtcTime
    classified_at: UtcTime | None = None
    resolved_at: UtcTime | None = None  # of the last cycle
    closed_at: UtcTime
    seconds_to_resolve: int | None = None  # from receipt to the last resolution
    seconds_to_close: int
    breaches: tuple[str, ...] = ()  # "resolve/1": clock and cycle, annulled ones left out
    attempts: int = 0
    solved: bool | None = None
    satisfaction: int | None = None


CALLBACK = Contract(
    "callback",
    CallbackScheduled,
    CallbackAttempted,
    SatisfactionRecorded,
    ComplaintReopened,
    ComplaintClosed,
    ClosedComplaint,
)
