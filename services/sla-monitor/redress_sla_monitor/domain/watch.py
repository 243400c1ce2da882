"""What sla-monitor knows of one complaint: what other services said, and the clocks it keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseRejected, CaseResolved
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.sla_monitor import (
    BreachAnnulled,
    Clock,
    ClockCancelled,
    ClockConfirmed,
    ClockMet,
    ClockStarted,
    DeadlineBreached,
)
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, Severity
from redress_events.facts import ContactKind, Fact, Instant, Kind

Verdict = Literal["none", "breached", "annulled"]
Ended = Literal["met", "closed", "new-target", "reopened"]


@dataclass(frozen=True, slots=True)
class Classification:
    """What triage or a person said it is, and when."""

    number: int
    at: Instant
    category: Category
    severity: Severity
    kind: ContactKind


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle of the complaint, with the earliest time of each fact that begins or ends it."""

    number: int
    starts_at: Instant | None = None  # receipt in cycle 1, reopening in the others
    met_at: Instant | None = None  # resolved or rejected
    closed_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One deadline: (clock, cycle, n). It stays when it is over, for a late fact may still annul its breach."""

    clock: Clock
    cycle: int
    n: int
    policy: str
    calendar: str
    target: str
    starts_at: Instant
    deadline: Instant
    classification: int = 0
    provisional: bool = False
    verdict: Verdict = "none"
    ended: Ended | None = None
    ended_at: Instant | None = None

    @property
    def late(self) -> bool:
        """Breached, not annulled, and it still runs: `late_since` in SQL."""
        return self.verdict == "breached" and self.ended is None


@dataclass(frozen=True, slots=True)
class Heard:
    number: str | None = None
    classifications: tuple[Classification, ...] = ()
    cycles: tuple[Cycle, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    clocks: tuple[Instance, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    heard: Heard = Heard()
    done: Done = Done()


def hear(heard: Heard, fact: Fact, at: datetime) -> Heard:
    match fact:
        case ComplaintRegistered():
            return replace(_begun(heard, 1, fact.received_at), number=fact.number)
        case ComplaintClassified() | ComplaintReclassified():
            said = Classification(fact.classification, at, fact.category, fact.severity, fact.kind)
            return replace(heard, classifications=(*heard.classifications, said))
        case CaseResolved() | CaseRejected():
            cycle = _cycle(heard, fact.cycle)
            return _with(heard, replace(cycle, met_at=min(cycle.met_at or at, at)))
        case ComplaintReopened():
            return _begun(heard, fact.cycle, at)
        case ComplaintClosed():
            cycle = _cycle(heard, fact.cycle)
            return _with(heard, replace(cycle, closed_at=min(cycle.closed_at or at, at)))
    return heard


def _cycle(heard: Heard, number: int) -> Cycle:
    return next((cycle for cycle in heard.cycles if cycle.number == number), Cycle(number))


def _with(heard: Heard, cycle: Cycle) -> Heard:
    others = [other for other in heard.cycles if other.number != cycle.number]
    return replace(heard, cycles=tuple(sorted([*others, cycle], key=lambda each: each.number)))


def _begun(heard: Heard, number: int, at: datetime) -> Heard:
    cycle = _cycle(heard, number)
    return _with(heard, replace(cycle, starts_at=min(cycle.starts_at or at, at)))


def did(done: Done, fact: Fact, at: datetime) -> Done:
    match fact:
        case ClockStarted():
            return replace(done, clocks=(*done.clocks, started(fact)))
        case ClockConfirmed():
            return _changed(done, fact, classification=fact.classification)
        case ClockMet():
            return _changed(done, fact, ended="met", ended_at=fact.met_at)
        case ClockCancelled():
            return _changed(done, fact, ended=fact.reason, ended_at=fact.cancelled_at)
        case DeadlineBreached():
            return _changed(done, fact, verdict="breached")
        case BreachAnnulled():
            return _changed(done, fact, verdict="annulled")
    return done


def started(fact: ClockStarted) -> Instance:
    """The clock that this fact starts."""
    return Instance(
        clock=fact.clock,
        cycle=fact.cycle,
        n=fact.n,
        policy=fact.policy,
        calendar=fact.calendar,
        target=fact.target,
        starts_at=fact.starts_at,
        deadline=fact.deadline,
        classification=fact.classification,
        provisional=fact.provisional,
    )


def _changed(done: Done, said: ClockConfirmed | ClockMet | ClockCancelled | DeadlineBreached | BreachAnnulled, **change: Any) -> Done:
    def after(instance: Instance) -> Instance:
        concerned = (instance.clock, instance.cycle, instance.n) == (said.clock, said.cycle, said.n)
        return replace(instance, **change) if concerned else instance

    return replace(done, clocks=tuple(after(instance) for instance in done.clocks))


KIND = Kind(
    Watch,
    hear,
    did,
    hears=(
        ComplaintRegistered,
        ComplaintClassified,
        ComplaintReclassified,
        CaseResolved,
        CaseRejected,
        ComplaintReopened,
        ComplaintClosed,
    ),
)
