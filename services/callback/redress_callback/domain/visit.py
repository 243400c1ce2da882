"""The return visit of a complaint: what was observed and what was done, put together by the numbers that both carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from redress_callback.domain.observed import Handled, Observed
from redress_callback.domain.own import Own, fingerprint
from redress_callback.domain.shown import shown
from redress_events.contracts.callback import ClosedClock


class VisitStage(StrEnum):
    """Whose turn it is."""

    WAITING = "waiting"  # triage's or handling's: the cycle is neither resolved nor rejected; or the next turn of our own automation loop
    DUE = "due"  # an agent's: the customer is to be reached
    # The timer's: all attempts were made without success, and it is closed at `give_up_at` unless the customer turns up, or says something.
    UNREACHED = "unreached"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Visit:
    observed: Observed = Observed()
    own: Own = Own()

    @property
    def closed(self) -> bool:
        return self.own.is_closed

    @property
    def withdrawn(self) -> bool:
        return self.own.awaits_withdrawal(self.observed.withdrawal, self.own.answered)

    @property
    def handled(self) -> Handled | None:
        """How handling ended this cycle. What it says of an earlier one is over."""
        handled = self.observed.handled
        return handled if handled and handled.cycle == self.own.cycle else None

    @property
    def said_since(self) -> int:
        """How often the customer added something or asked since the department ended its last case; before that, since the registration."""
        return max(0, self.observed.said - (self.observed.handled.said if self.observed.handled else 0))

    @property
    def unanswered(self) -> bool:
        """They said something that the department did not know when it ended the case, and no attempt has followed. Counts are compared,
        never arrival: whatever was observed first, it is the same."""
        return self.said_since > 0 and self.observed.said > self.own.said

    @property
    def stage(self) -> VisitStage:
        if self.closed:
            return VisitStage.CLOSED
        if self.withdrawn or self.own.scheduled < self.own.cycle:
            return VisitStage.WAITING
        return VisitStage.UNREACHED if self.own.give_up_at and not self.unanswered else VisitStage.DUE

    @property
    def visit_at(self) -> datetime | None:
        """When the customer is to be called: the first time by then, later not before, and at once where they said something since.
        An agent may always be early."""
        if self.stage is not VisitStage.DUE:
            return None
        planned = self.own.next_at or self.own.due_at
        times = [at for at in (planned, self.observed.said_at if self.unanswered else None) if at]
        return min(times, default=None)

    @property
    def give_up_at(self) -> datetime | None:
        """When it is closed though the customer was not reached."""
        return self.own.give_up_at if self.stage is VisitStage.UNREACHED else None

    @property
    def to_schedule(self) -> bool:
        """Its cycle was handled, and no visit was scheduled for it."""
        return self.handled is not None and not self.closed and not self.withdrawn and self.own.scheduled < self.own.cycle

    @property
    def revision_due(self) -> bool:
        """What was published of its end is not what is known now."""
        if not self.own.revision:
            return False
        return self.observed.breaches != self.own.published or fingerprint(self.clocks) != self.own.published_clocks

    @property
    def clocks(self) -> tuple[ClosedClock, ...]:
        """As the public record has them."""
        return tuple(
            ClosedClock(
                clock=each.clock,
                cycle=each.cycle,
                n=each.n,
                target=each.target,
                deadline=each.deadline,
                met_at=each.met_at,
                business_seconds_left=each.business_seconds_left,
                breached=f"{each.clock}/{each.cycle}" in self.observed.breaches,
            )
            for each in shown(self.observed.clocks, self.own.cycle)
        )
