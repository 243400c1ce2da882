"""What callback publishes: the return visit, the end of a complaint, and the public record of closed complaints."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

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
    """The end of a complaint; only callback publishes it."""

    cycle: int
    reason: CloseReason
    withdrawal: int = 0  # the withdrawal it answers


class ClosedCycle(BaseModel):
    """One cycle of a closed complaint: from its receipt, or a reopening, to the next reopening or the end."""

    model_config = ConfigDict(frozen=True)

    cycle: int = Field(description="1, 2, 3 …")
    started_at: UtcTime = Field(description="The receipt in cycle 1, the reopening in the others.")
    department: str | None = Field(None, description="The department that ended its case; empty where none did.")
    outcome: Outcome | None = Field(None, description="How the department ended it; empty where it did not.")
    accepted_at: UtcTime | None = Field(None, description="When a handler accepted the case first.")
    contacted_at: UtcTime | None = Field(None, description="When a person spoke with the customer first.")
    resolved_at: UtcTime | None = Field(None, description="When the case was resolved or rejected.")
    attempts: int = Field(0, description="How often the return visit was attempted.")
    solved: bool | None = Field(None, description="What the customer said; empty if they were not asked or did not answer.")
    satisfaction: int | None = Field(None, description="1 (very dissatisfied) to 5 (very satisfied).")
    breaches: tuple[str, ...] = Field((), description="Clocks whose deadline was missed, annulled breaches left out.")
    ended_at: UtcTime = Field(description="When the customer's answer reopened the complaint, or when it was closed.")


class ClosedClock(BaseModel):
    """One clock of a closed complaint. Where reclassifications gave it several targets, the last one."""

    model_config = ConfigDict(frozen=True)

    clock: str = Field(description="What was to be done in time: `classify`, `resolve`.")
    cycle: int = Field(description="The cycle it ran in.")
    n: int = Field(description="How many targets it has had, including this one.")
    target: str = Field(description="How long it was to take, for example `3 working days`.")
    deadline: UtcTime = Field(description="When the target ended, by the calendar in force.")
    met_at: UtcTime | None = Field(None, description="When it was done; empty where the complaint was closed or reopened before.")
    business_seconds_left: int | None = Field(
        None, description="Working hours from `met_at` to the deadline, in seconds; negative: so long after it. Empty without `met_at`."
    )
    breached: bool = Field(description="Whether the clock's deadline was missed in this cycle, under any of its targets.")


class ClosedComplaint(Event):
    """One record for each closing, for business intelligence: complete and free of personal data. Sent again with a higher revision
    when a late event changes it. Durations in whole seconds of natural time. Fields without `first_` are of the last cycle.
    Names of departments and categories, in Chinese and English, are an answer of triage, `GET /taxonomy`."""

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
    accepted_at: UtcTime | None = Field(None, description="When a handler accepted it first, in any cycle.")
    first_contacted_at: UtcTime | None = Field(None, description="When a person spoke with the customer first, in any cycle.")
    first_department: str | None = Field(None, description="The department that ended the case of cycle 1.")
    first_outcome: Outcome | None = Field(None, description="How the department ended cycle 1.")
    first_resolved_at: UtcTime | None = Field(None, description="When it was resolved or rejected in cycle 1.")
    seconds_to_first_resolve: int | None = Field(None, description="From the receipt to `first_resolved_at`.")
    first_solved: bool | None = Field(None, description="What the customer said at the end of cycle 1.")
    first_satisfaction: int | None = Field(None, description="1 to 5, at the end of cycle 1.")
    per_cycle: tuple[ClosedCycle, ...] = Field(
        (), description="Each cycle in order; of more than 20 the first one and the last 19. `cycles` counts all."
    )
    clocks: tuple[ClosedClock, ...] = Field((), description="The clocks of these cycles, in the cycles' order.")


CALLBACK = Contract(
    "callback",
    CallbackScheduled,
    CallbackAttempted,
    SatisfactionRecorded,
    ComplaintReopened,
    ComplaintClosed,
    ClosedComplaint,
)
