"""A case as handling sees it: what was heard and what was done, put together by the numbers that both carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from redress_events.placement import Placement, Routed, Transferred
from redress_handling.domain.done import Done, Transfer, did
from redress_handling.domain.heard import HEARS, Heard, hear
from redress_handling.domain.history import entries
from redress_handling.domain.lists import PROJECTIONS
from redress_spine.aggregate import Context, Kind, Refused


class Stage(StrEnum):
    """Where the case of the current cycle stands."""

    NONE = "none"  # the cycle has no case yet: it is not routed, or the next turn of the work loop opens one
    OPEN = "open"  # the department it is with has yet to accept it
    ACCEPTED = "accepted"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"  # the complaint ended before the case did


@dataclass(frozen=True, slots=True)
class Case:
    heard: Heard = Heard()
    done: Done = Done()

    @property
    def placement(self) -> Placement:
        heard, moved = self.heard, self.done.transfer
        routed = Routed(heard.routing, heard.department) if heard.department else None
        return Placement(routed, Transferred(moved.number, moved.routing, moved.department) if moved else None)

    @property
    def transfer(self) -> Transfer | None:
        """The transfer that holds."""
        return self.done.transfer if self.placement.transfer else None

    @property
    def department(self) -> str | None:
        return self.placement.department

    @property
    def queue(self) -> str | None:
        """A transfer names a department only: its queue is for that department to say."""
        return None if self.transfer else self.heard.queue

    @property
    def place(self) -> tuple[int, int]:
        """Routing and transfer that brought the case where it is."""
        return self.placement.routing, self.transfer.number if self.transfer else 0

    @property
    def handler(self) -> str | None:
        """Who accepted it here; whoever accepted it elsewhere does not count."""
        accepted = self.done.accepted
        return accepted.handler if accepted and (accepted.routing, accepted.transfer) == self.place else None

    @property
    def stage(self) -> Stage:
        if self.done.cycle == 0 or self.done.cycle < self.heard.cycle:
            return Stage.NONE
        if self.done.outcome:
            return Stage(self.done.outcome.kind)
        return Stage.ACCEPTED if self.handler else Stage.OPEN

    @property
    def closed(self) -> bool:
        """Callback has ended the complaint: it closed its current cycle."""
        return self.heard.closed >= self.heard.cycle

    @property
    def to_open(self) -> bool:
        """It is routed, in a cycle that is not closed and has no case yet."""
        return self.heard.routing > 0 and self.done.cycle < self.heard.cycle and not self.closed

    @property
    def to_cancel(self) -> bool:
        """Its cycle was closed while the case has no outcome. A closing of an earlier cycle ends nothing: numbers are compared."""
        return self.done.cycle > 0 and self.done.outcome is None and self.heard.closed >= self.done.cycle

    @property
    def urgency(self) -> int:
        """One for each time the complaint came back, and one more where it is major."""
        major = self.heard.classification is not None and self.heard.classification.severity == "major"
        return self.heard.urgency + major

    @property
    def said(self) -> int:
        """How often the customer has come back: with a supplement, or to ask where it stays."""
        return self.heard.supplements + self.heard.chases

    @property
    def said_since(self) -> int:
        """How often since the department last resolved or rejected the case; before that, since the registration."""
        return max(0, self.said - self.done.said)

    @property
    def said_at(self) -> datetime | None:
        """When last, if since then."""
        times = [at for at in (self.heard.supplemented_at, self.heard.chased_at) if at]
        return max(times) if times and self.said_since else None

    @property
    def began_at(self) -> datetime | None:
        """When this cycle began for the customer: with his complaint, or when he said that it is not solved."""
        if self.heard.reopened_at:
            return self.heard.reopened_at
        return self.heard.registration.received_at if self.heard.registration else None


KIND = Kind(Case, hear, did, HEARS, entries, projections=PROJECTIONS)


def may_work_on(case: Case, context: Context) -> bool:
    """What a handler has accepted is theirs: two who work on one case would each tell the customer something else.

    A supervisor steps in where the handler is away or stuck (Handbook 6.2.1 e): one of the case's department, or one who has no department
    and watches over all."""
    if case.handler in (None, context.actor.partition(":")[2]):
        return True
    return "supervisor" in context.roles and context.department in (None, case.department)


def expect_unfinished(case: Case, context: Context) -> None:
    """The case of this cycle is there, has no outcome, and is the caller's to work on. Raises Refused, which says what is in the way."""
    if case.closed:
        raise Refused("complaint-closed", "The complaint is closed: there is nothing left to do.")
    match case.stage:
        case Stage.NONE:
            raise Refused("no-case", "No department has a case for this complaint now: it is opened once the complaint is routed.")
        case Stage.RESOLVED | Stage.REJECTED | Stage.CANCELLED:
            raise Refused("case-ended", f"The case is {case.stage} already.")
    if not may_work_on(case, context):
        raise Refused("accepted-by-another", "Another handler has accepted the case. A supervisor of the department can take it over.")


def expect_accepted(case: Case, context: Context) -> None:
    """The caller works on the case in the department that has it. Raises Refused, which names the step that is missing."""
    expect_unfinished(case, context)
    if case.stage is Stage.OPEN:
        raise Refused("case-not-accepted", "Accept the case first: the department that has it now has not done so.")
