"""The return visit of a complaint: what was heard and what was done, put together by the numbers that both carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from redress_callback.domain.done import Done, did
from redress_callback.domain.heard import HEARS, Handled, Heard, hear
from redress_callback.domain.history import entries
from redress_events.facts import Kind


class Stage(StrEnum):
    """Whose turn it is."""

    WAITING = "waiting"  # triage's or handling's: the cycle is neither resolved nor rejected; or the next turn of our own work loop
    DUE = "due"  # an agent's: the customer is to be reached
    UNREACHED = "unreached"  # the timer's: all attempts were made in vain, and it is closed at `give_up_at` unless the customer turns up
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Visit:
    heard: Heard = Heard()
    done: Done = Done()

    @property
    def closed(self) -> bool:
        """The complaint has ended: its current cycle was closed."""
        return self.done.closed >= self.done.cycle

    @property
    def withdrawn(self) -> bool:
        """The customer wishes to end it, and that is not answered yet."""
        return self.heard.withdrawal > self.done.answered and not self.closed

    @property
    def handled(self) -> Handled | None:
        """How handling ended this cycle. What it says of an earlier one is over."""
        handled = self.heard.handled
        return handled if handled and handled.cycle == self.done.cycle else None

    @property
    def stage(self) -> Stage:
        if self.closed:
            return Stage.CLOSED
        if self.withdrawn or self.done.scheduled < self.done.cycle:
            return Stage.WAITING
        return Stage.UNREACHED if self.done.give_up_at else Stage.DUE

    @property
    def visit_at(self) -> datetime | None:
        """When the customer is to be called: the first time by then, later not before; an agent may always be early."""
        return (self.done.next_at or self.done.due_at) if self.stage is Stage.DUE else None


KIND = Kind(Visit, hear, did, HEARS, entries)
