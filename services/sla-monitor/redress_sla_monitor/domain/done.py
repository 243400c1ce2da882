"""The clocks that sla-monitor keeps for one complaint, and what it said of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from redress_events.contracts.sla_monitor import (
    BreachAnnulled,
    Clock,
    ClockCancelled,
    ClockConfirmed,
    ClockMet,
    ClockStarted,
    DeadlineBreached,
)
from redress_events.event import Fact, Instant, replace
from redress_sla_monitor.domain.heard import key

Verdict = Literal["none", "breached", "annulled"]
Ended = Literal["met", "closed", "new-target", "reopened"]


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
    def key(self) -> str:
        return key(self.clock, self.cycle)

    @property
    def late(self) -> bool:
        """Breached, not annulled, and it still runs."""
        return self.verdict == "breached" and self.ended is None


@dataclass(frozen=True, slots=True)
class Done:
    """started: the keys of all clocks, to be compared with those that are wanted."""

    clocks: tuple[Instance, ...] = ()
    started: tuple[str, ...] = ()


def did(done: Done, fact: Fact, at: datetime) -> Done:
    match fact:
        case ClockStarted():
            instance = started(fact)
            return Done((*done.clocks, instance), done.started if instance.key in done.started else (*done.started, instance.key))
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
