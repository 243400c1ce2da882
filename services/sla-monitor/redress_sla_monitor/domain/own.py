"""The clocks that sla-monitor keeps for one complaint, and what it said of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from redress_events.contracts.sla_monitor import (
    BreachAnnulled,
    ClockCancelled,
    ClockConfirmed,
    ClockMet,
    ClockName,
    ClockStarted,
    DeadlineBreached,
)
from redress_events.event import Event, Instant, replace
from redress_sla_monitor.domain.observed import key

Verdict = Literal["none", "breached", "annulled"]
ClockEnd = Literal["met", "closed", "new-target", "reopened"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One deadline: (clock, cycle, n). It stays when it is over, for a late event may still annul its breach."""

    clock: ClockName
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
    ended: ClockEnd | None = None
    ended_at: Instant | None = None

    @property
    def key(self) -> str:
        return key(self.clock, self.cycle)

    @property
    def late(self) -> bool:
        """Breached, not annulled, and it still runs."""
        return self.verdict == "breached" and self.ended is None


@dataclass(frozen=True, slots=True)
class Own:
    """started: the keys of all clocks, to be compared with those that are wanted."""

    clocks: tuple[Instance, ...] = ()
    started: tuple[str, ...] = ()


def evolve(own: Own, event: Event, at: datetime) -> Own:
    match event:
        case ClockStarted():
            instance = started(event)
            return Own((*own.clocks, instance), own.started if instance.key in own.started else (*own.started, instance.key))
        case ClockConfirmed():
            return _changed(own, event, classification=event.classification)
        case ClockMet():
            return _changed(own, event, ended="met", ended_at=event.met_at)
        case ClockCancelled():
            return _changed(own, event, ended=event.reason, ended_at=event.cancelled_at)
        case DeadlineBreached():
            return _changed(own, event, verdict="breached")
        case BreachAnnulled():
            return _changed(own, event, verdict="annulled")
    return own


def started(event: ClockStarted) -> Instance:
    """The clock that this event starts."""
    return Instance(
        clock=event.clock,
        cycle=event.cycle,
        n=event.n,
        policy=event.policy,
        calendar=event.calendar,
        target=event.target,
        starts_at=event.starts_at,
        deadline=event.deadline,
        classification=event.classification,
        provisional=event.provisional,
    )


def _changed(own: Own, said: ClockConfirmed | ClockMet | ClockCancelled | DeadlineBreached | BreachAnnulled, **change: Any) -> Own:
    def after(instance: Instance) -> Instance:
        concerned = (instance.clock, instance.cycle, instance.n) == (said.clock, said.cycle, said.n)
        return replace(instance, **change) if concerned else instance

    return replace(own, clocks=tuple(after(instance) for instance in own.clocks))
