"""Which cycle a complaint is in, and whether it is closed: the one rule, for every service that must know it.

Callback alone reopens and closes. A closing names the cycle that it ends, so one of an earlier cycle ends nothing: numbers are compared,
never which event was observed last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.event import Event, Instant, replace


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What a state that derives from it knows. cycle: the latest, from 1 on. closed: the last cycle that was closed, 0 if none, and
    closed_at: when."""

    cycle: int = 1
    closed: int = 0
    closed_at: Instant | None = None

    @property
    def is_closed(self) -> bool:
        """The complaint has ended: its latest cycle was closed."""
        return self.has_closed(self.cycle)

    @property
    def ended_at(self) -> datetime | None:
        """When the complaint ended, None while it has not."""
        return self.closed_at if self.is_closed else None

    def has_closed(self, cycle: int) -> bool:
        """Whether this cycle was closed, or a later one."""
        return self.closed >= cycle

    def awaits_withdrawal(self, wished: int, answered: int) -> bool:
        """The customer wishes to end it, and callback has not answered this wish. wished, answered: the last withdrawal of each, 0 if
        none."""
        return wished > answered and not self.is_closed


State = TypeVar("State", bound=Lifecycle)


def lived(state: State, event: Event, at: datetime) -> State:
    """After this event of this time."""
    match event:
        case ComplaintReopened():
            return replace(state, cycle=max(state.cycle, event.cycle))
        case ComplaintClosed() if event.cycle >= state.closed:
            return replace(state, closed=event.cycle, closed_at=at)
    return state
