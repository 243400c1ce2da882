"""The return visit of a complaint: what was heard and what was done, put together by the numbers that both carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from redress_callback.domain.done import Done, did
from redress_callback.domain.heard import HEARS, Handled, Heard, hear
from redress_callback.domain.history import entries
from redress_callback.domain.lists import PROJECTIONS
from redress_spine.aggregate import Kind


class Stage(StrEnum):
    """Whose turn it is."""

    WAITING = "waiting"  # triage's or handling's: the cycle is neither resolved nor rejected; or the next turn of our own work loop
    DUE = "due"  # an agent's: the customer is to be reached
    # The timer's: all attempts were made in vain, and it is closed at `give_up_at` unless the customer turns up, or says something.
    UNREACHED = "unreached"
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
    def said_since(self) -> int:
        """How often the customer added something or asked since the department ended its last case; before that, since the registration."""
        return max(0, self.heard.said - (self.heard.handled.said if self.heard.handled else 0))

    @property
    def unanswered(self) -> bool:
        """They said something that the department did not know when it ended the case, and no attempt has followed. Counts are compared,
        never arrival: whatever was heard first, it is the same."""
        return self.said_since > 0 and self.heard.said > self.done.said

    @property
    def stage(self) -> Stage:
        if self.closed:
            return Stage.CLOSED
        if self.withdrawn or self.done.scheduled < self.done.cycle:
            return Stage.WAITING
        return Stage.UNREACHED if self.done.give_up_at and not self.unanswered else Stage.DUE

    @property
    def visit_at(self) -> datetime | None:
        """When the customer is to be called: the first time by then, later not before, and at once where they said something since.
        An agent may always be early."""
        if self.stage is not Stage.DUE:
            return None
        planned = self.done.next_at or self.done.due_at
        times = [at for at in (planned, self.heard.said_at if self.unanswered else None) if at]
        return min(times, default=None)

    @property
    def give_up_at(self) -> datetime | None:
        """When it is closed though the customer was not reached."""
        return self.done.give_up_at if self.stage is Stage.UNREACHED else None

    @property
    def to_schedule(self) -> bool:
        """Its cycle was handled, and no visit was scheduled for it."""
        return self.handled is not None and not self.closed and not self.withdrawn and self.done.scheduled < self.done.cycle

    @property
    def revision_due(self) -> bool:
        """What was published of its end is not what is known now."""
        return self.done.revision > 0 and self.heard.breaches != self.done.published


KIND = Kind(Visit, hear, did, HEARS, entries, projections=PROJECTIONS)
