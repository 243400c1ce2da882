"""Which department has a complaint: the one rule, for every service that must know it.

Triage routes it; handling opens a case for the routing, and may transfer it. A transfer and an opened case name the routing that they
answer. The highest routing that anybody named holds and beats whatever answers an earlier one, so it does not matter who was observed
first. Who accepts it names both numbers, and has it only where they still hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.handling import CaseOpened, CaseTransferred
from redress_events.contracts.triage import ComplaintRouted
from redress_events.event import Event, replace


@dataclass(frozen=True, slots=True)
class Routed:
    """Where triage sent it last."""

    number: int
    department: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """Where handling passed it on to last, and which routing that answers."""

    number: int
    routing: int
    department: str


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """Where handling opened its last case, and after which routing."""

    routing: int
    department: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Who took it on last, and the routing and the transfer that had brought it there."""

    routing: int
    transfer: int
    handler: str


@dataclass(frozen=True, slots=True)
class Placement:
    """The last of each that was told; None where none was."""

    routed: Routed | None = None
    transferred: Transferred | None = None
    opened: OpenedCase | None = None

    @property
    def routing(self) -> int:
        """The number of the routing that holds, 0 before the first."""
        told = (self.routed and self.routed.number, self.transferred and self.transferred.routing, self.opened and self.opened.routing)
        return max(number or 0 for number in told)

    @property
    def transfer(self) -> Transferred | None:
        """The transfer that holds: it answers the routing that holds."""
        return self.transferred if self.transferred and self.transferred.routing == self.routing else None

    @property
    def department(self) -> str | None:
        if self.transfer:
            return self.transfer.department
        if self.opened and self.opened.routing == self.routing:
            return self.opened.department
        return self.routed.department if self.routed else None

    @property
    def place(self) -> tuple[int, int]:
        """Routing and transfer that brought it where it is, 0 where there is none."""
        return self.routing, self.transfer.number if self.transfer else 0

    def handler(self, accepted: Accepted | None) -> str | None:
        """Who accepted it where it is; whoever accepted it elsewhere does not count."""
        return accepted.handler if accepted and (accepted.routing, accepted.transfer) == self.place else None


def placed(placement: Placement, event: Event) -> Placement:
    """After this event."""
    match event:
        case ComplaintRouted():
            return replace(placement, routed=Routed(event.routing, event.department))
        case CaseTransferred():
            return replace(placement, transferred=transferred(event))
        case CaseOpened():
            return replace(placement, opened=OpenedCase(event.routing, event.department))
    return placement


def transferred(event: CaseTransferred) -> Transferred:
    return Transferred(event.transfer, event.routing, event.department)
