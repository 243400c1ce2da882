"""What triage knows of one complaint: what others said of it, and how triage classified and routed it."""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.placement import Placement, Routed
from redress_spine.aggregate import CommandRejected
from redress_triage.domain.observed import Observed
from redress_triage.domain.own import Own
from redress_triage.domain.routing import Desk


@dataclass(frozen=True, slots=True)
class Complaint:
    observed: Observed = Observed()
    own: Own = Own()

    @property
    def closed(self) -> bool:
        return self.observed.is_closed

    @property
    def to_classify(self) -> bool:
        """It is registered and open, and nothing was said of it."""
        return self.observed.registered_at is not None and self.own.classification.number == 0 and not self.closed

    @property
    def placement(self) -> Placement:
        routing = self.own.routing
        routed = Routed(routing.number, routing.department) if routing.number else None
        return Placement(routed, self.observed.transfer)

    @property
    def transferred(self) -> bool:
        return self.placement.transfer is not None

    @property
    def department(self) -> str:
        return self.placement.department or ""

    def stands_at(self, desk: Desk) -> bool:
        """After a transfer the department alone tells: its queues are not triage's affair then."""
        return self.department == desk.department and (self.transferred or self.own.routing.queue == desk.queue)

    def must_be_open(self) -> None:
        """Raises CommandRejected."""
        if self.observed.registered_at is None:
            raise CommandRejected("not-registered", "Triage has not yet learned of this complaint's registration.")
        if self.closed:
            raise CommandRejected("complaint-closed", "The complaint is closed.")
