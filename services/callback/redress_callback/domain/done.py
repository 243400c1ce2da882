"""What callback itself did: visits and attempts of the current cycle, the end, and what the public record last said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.contracts.callback import (
    CallbackAttempted,
    CallbackScheduled,
    ClosedComplaint,
    CloseReason,
    ComplaintClosed,
    ComplaintReopened,
    SatisfactionRecorded,
)
from redress_events.event import Fact, Instant, replace


@dataclass(frozen=True, slots=True)
class Answer:
    """What the customer said; `words` is a reference."""

    solved: bool
    score: int
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """cycle: the complaint's, raised by our own reopening. scheduled: the last cycle that a visit was scheduled for, 0 if none.
    tries: attempts in this cycle; vain: of these, since the customer last said something; attempts: in all. said: how many of the
    customer's later words were known at the last attempt. answered: the last withdrawal that was answered. closed: the last cycle that was
    closed, 0 if none. revision: of the public record, 0 while there is none; published: its breaches."""

    cycle: int = 1
    scheduled: int = 0
    due_at: Instant | None = None
    tries: int = 0
    vain: int = 0
    attempts: int = 0
    said: int = 0
    next_at: Instant | None = None
    give_up_at: Instant | None = None
    answer: Answer | None = None
    answered: int = 0
    closed: int = 0
    closed_at: Instant | None = None
    reason: CloseReason | None = None
    revision: int = 0
    published: tuple[str, ...] = ()


def did(done: Done, fact: Fact, at: datetime) -> Done:
    """ClosedComplaint has a stream and a topic of its own, so its place among the others is not fixed: it alone touches its fields."""
    match fact:
        case CallbackScheduled():
            return replace(done, scheduled=fact.cycle, due_at=fact.due_at)
        case CallbackAttempted():
            vain = done.vain + 1 if fact.said <= done.said else 1
            tried = replace(done, tries=fact.attempt, vain=vain, attempts=done.attempts + 1, said=fact.said)
            return replace(tried, next_at=fact.next_at, give_up_at=fact.give_up_at)
        case SatisfactionRecorded():
            return replace(done, answer=Answer(fact.solved, fact.score, fact.words))
        case ComplaintReopened():
            fresh = replace(done, cycle=fact.cycle, due_at=None, tries=0, vain=0, answer=None)
            return replace(fresh, next_at=None, give_up_at=None)
        case ComplaintClosed():
            answered = max(done.answered, fact.withdrawal)
            return replace(done, closed=fact.cycle, closed_at=at, reason=fact.reason, answered=answered)
        case ClosedComplaint():
            return replace(done, revision=fact.revision, published=fact.breaches)
    return done
