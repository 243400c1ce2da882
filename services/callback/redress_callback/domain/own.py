"""What callback itself did: visits and attempts of the current cycle, the end, and what the public record last said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from redress_callback.domain.shown import shown
from redress_events.contracts.callback import (
    CallbackAttempted,
    CallbackScheduled,
    ClosedClock,
    ClosedComplaint,
    CloseReason,
    ComplaintClosed,
    ComplaintReopened,
    SatisfactionRecorded,
)
from redress_events.event import Event, Instant, micros, replace
from redress_events.lifecycle import Lifecycle, lived


@dataclass(frozen=True, slots=True)
class Satisfaction:
    """What the customer said; `words` is a reference."""

    solved: bool
    score: int
    words: str | None = None


@dataclass(frozen=True, slots=True)
class EndedCycle:
    """A cycle that the customer's answer ended, with what they said. started_at: when the one before was ended so; None in the first."""

    cycle: int
    tries: int
    started_at: Instant | None
    ended_at: Instant
    answer: Satisfaction | None = None


@dataclass(frozen=True, slots=True)
class Own(Lifecycle):
    """scheduled: the last cycle that a visit was scheduled for, 0 if none. tries: attempts in this cycle; vain: of these, since the
    customer last said something; attempts: in all. said: how many of the customer's later words were known at the last attempt. answered:
    the last withdrawal that was answered. past: the earlier cycles that the public record shows one by one. revision: of the public record,
    0 while there is none; published: its breaches; published_clocks: the fingerprint of its clocks."""

    scheduled: int = 0
    due_at: Instant | None = None
    tries: int = 0
    vain: int = 0
    attempts: int = 0
    said: int = 0
    next_at: Instant | None = None
    give_up_at: Instant | None = None
    answer: Satisfaction | None = None
    answered: int = 0
    reason: CloseReason | None = None
    past: tuple[EndedCycle, ...] = ()
    revision: int = 0
    published: tuple[str, ...] = ()
    published_clocks: str = ""


def evolve(own: Own, event: Event, at: datetime) -> Own:
    """ClosedComplaint has a stream and a topic of its own, so its place among the others is not fixed: it alone touches its fields."""
    match event:
        case CallbackScheduled():
            return replace(own, scheduled=event.cycle, due_at=event.due_at)
        case CallbackAttempted():
            vain = own.vain + 1 if event.said <= own.said else 1
            tried = replace(own, tries=event.attempt, vain=vain, attempts=own.attempts + 1, said=event.said)
            return replace(tried, next_at=event.next_at, give_up_at=event.give_up_at)
        case SatisfactionRecorded():
            return replace(own, answer=Satisfaction(event.solved, event.score, event.words))
        case ComplaintReopened():
            past = shown((*own.past, ended_cycle(own, at)), event.cycle)
            return replace(lived(own, event, at), due_at=None, tries=0, vain=0, answer=None, next_at=None, give_up_at=None, past=past)
        case ComplaintClosed():
            answered = max(own.answered, event.withdrawal)
            return replace(lived(own, event, at), reason=event.reason, answered=answered)
        case ClosedComplaint():
            return replace(own, revision=event.revision, published=event.breaches, published_clocks=fingerprint(event.clocks))
    return own


def ended_cycle(own: Own, at: datetime) -> EndedCycle:
    """The latest cycle, ended at this time."""
    return EndedCycle(own.cycle, own.tries, own.past[-1].ended_at if own.past else None, at, own.answer)


def fingerprint(clocks: Iterable[ClosedClock]) -> str:
    """Of what may change after the end; of no clocks it is empty, and so it is of a record from before clocks were in it."""
    said = [f"{each.clock}/{each.cycle}/{each.n}/{each.met_at and micros(each.met_at)}/{each.business_seconds_left}" for each in clocks]
    return sha256("\n".join(said).encode()).hexdigest()[:16] if said else ""
