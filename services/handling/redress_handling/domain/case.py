"""A case as handling sees it: what was observed and what was done, put together by the numbers that both carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from redress_events.placement import Placement, Routed
from redress_handling.domain.observed import Observed
from redress_handling.domain.own import Own, Transfer
from redress_spine.aggregate import CommandRejected, Context


class CaseStage(StrEnum):
    """Where the case of the current cycle stands."""

    NONE = "none"  # the cycle has no case yet: it is not routed, or the next turn of the automation loop opens one
    OPEN = "open"  # the department it is with has yet to accept it
    ACCEPTED = "accepted"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"  # the complaint ended before the case did


@dataclass(frozen=True, slots=True)
class Case:
    observed: Observed = Observed()
    own: Own = Own()

    @property
    def placement(self) -> Placement:
        observed = self.observed
        routed = Routed(observed.routing, observed.department) if observed.department else None
        return Placement(routed, self.own.transfer)

    @property
    def transfer(self) -> Transfer | None:
        """The transfer that holds."""
        return self.own.transfer if self.placement.transfer else None

    @property
    def department(self) -> str | None:
        return self.placement.department

    @property
    def queue(self) -> str | None:
        """A transfer names a department only: its queue is for that department to say."""
        return None if self.transfer else self.observed.queue

    @property
    def handler(self) -> str | None:
        return self.placement.handler(self.own.accepted)

    @property
    def stage(self) -> CaseStage:
        if self.own.cycle == 0 or self.own.cycle < self.observed.cycle:
            return CaseStage.NONE
        if self.own.outcome:
            return CaseStage(self.own.outcome.kind)
        return CaseStage.ACCEPTED if self.handler else CaseStage.OPEN

    @property
    def closed(self) -> bool:
        return self.observed.is_closed

    @property
    def to_open(self) -> bool:
        """It is routed, in a cycle that is not closed and has no case yet."""
        return self.observed.routing > 0 and self.own.cycle < self.observed.cycle and not self.closed

    @property
    def to_cancel(self) -> bool:
        """Its cycle was closed while the case has no outcome."""
        return self.own.cycle > 0 and self.own.outcome is None and self.observed.has_closed(self.own.cycle)

    @property
    def urgency(self) -> int:
        """One for each time the complaint came back, and one more where it is major."""
        major = self.observed.classification is not None and self.observed.classification.severity == "major"
        return self.observed.urgency + major

    @property
    def said(self) -> int:
        """How often the customer has come back: with a supplement, or to ask for an update."""
        return self.observed.supplements + self.observed.chases

    @property
    def said_since(self) -> int:
        """How often since the department last resolved or rejected the case; before that, since the registration."""
        return max(0, self.said - self.own.said)

    @property
    def said_at(self) -> datetime | None:
        """When last, if since then."""
        times = [at for at in (self.observed.supplemented_at, self.observed.chased_at) if at]
        return max(times) if times and self.said_since else None

    @property
    def began_at(self) -> datetime | None:
        """When this cycle began for the customer: with their complaint, or when they said that it is not solved."""
        if self.observed.reopened_at:
            return self.observed.reopened_at
        return self.observed.registration.received_at if self.observed.registration else None


def may_work_on(case: Case, context: Context) -> bool:
    """What a handler has accepted is theirs: two who work on one case would each tell the customer something else.

    A supervisor steps in where the handler is away or stuck (Handbook 6.2.1 e): one of the case's department, or one who has no department
    and watches over all."""
    if case.handler in (None, context.actor.partition(":")[2]):
        return True
    return "supervisor" in context.roles and context.department in (None, case.department)


def expect_unfinished(case: Case, context: Context) -> None:
    """The case of this cycle is there, has no outcome, and is the caller's to work on. Raises CommandRejected, which says what is in
    the way."""
    if case.closed:
        raise CommandRejected("complaint-closed", "The complaint is closed: there is nothing left to do.")
    match case.stage:
        case CaseStage.NONE:
            raise CommandRejected("no-case", "No department has a case for this complaint now: it is opened once the complaint is routed.")
        case CaseStage.RESOLVED | CaseStage.REJECTED | CaseStage.CANCELLED:
            raise CommandRejected("case-ended", f"The case is {case.stage} already.")
    if not may_work_on(case, context):
        raise CommandRejected(
            "accepted-by-another", "Another handler has accepted the case. A supervisor of the department can take it over."
        )


def expect_accepted(case: Case, context: Context) -> None:
    """The caller works on the case in the department that has it. Raises CommandRejected, which names the step that is missing."""
    expect_unfinished(case, context)
    if case.stage is CaseStage.OPEN:
        raise CommandRejected("case-not-accepted", "Accept the case first: the department that has it now has not done so.")
