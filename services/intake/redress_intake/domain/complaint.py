"""A complaint as the front door knows it: what was written down here, and what the other services said of it since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.classification import current_kind
from redress_events.vocabulary import ContactKind
from redress_intake.domain.observed import Observed, StageName
from redress_intake.domain.own import Own
from redress_spine.aggregate import CommandRejected

# How far a cycle has come. The furthest stage counts, not the latest event: a new routing takes nothing back. Progress
# reports move nothing.
STAGES_IN_ORDER: tuple[StageName, ...] = (
    "registered",
    "classified",
    "reopened",
    "routed",
    "in-handling",
    "contacted",
    "resolved",
    "rejected",
    "being-visited",
)


@dataclass(frozen=True, slots=True)
class Complaint:
    observed: Observed = Observed()
    own: Own = Own()

    @property
    def registered(self) -> bool:
        """False where a row came into being by somebody else's event alone."""
        return bool(self.own.number)

    @property
    def closed(self) -> bool:
        return self.observed.is_closed

    @property
    def withdrawal_pending(self) -> bool:
        return self.observed.awaits_withdrawal(self.own.withdrawal, self.observed.withdrawal)

    @property
    def said(self) -> int:
        """How often the customer has come back: with a supplement, or to ask for an update."""
        return self.own.supplements + self.own.chases

    @property
    def kind(self) -> ContactKind:
        return current_kind(self.observed.classification, self.own.kind)

    @property
    def reached(self) -> dict[StageName, datetime]:
        """The stages of the latest cycle, and when each was reached last. What triage says belongs to no cycle: it counts in the first, and
        that it was routed again counts in a later one once that has a case."""
        observed = self.observed
        reached: dict[StageName, datetime] = {"registered": self.own.registered_at, **observed.reached.get(observed.cycle, {})}
        if observed.classified_at:
            reached["classified"] = observed.classified_at
        if observed.routed_at and (observed.cycle == 1 or "routed" in reached):
            reached["routed"] = max(observed.routed_at, reached.get("routed", observed.routed_at))
        return reached

    @property
    def stage(self) -> StageName:
        """Where it stands in its latest cycle."""
        if self.closed:
            return "closed"
        if self.withdrawal_pending:
            return "withdrawal-pending"
        reached = self.reached
        return next((name for name in reversed(STAGES_IN_ORDER) if name in reached), "registered")


def refuse_if_closed(complaint: Complaint) -> None:
    if complaint.closed:
        raise CommandRejected("complaint-closed", f"The complaint is closed. {instead_of(complaint)}")


def instead_of(complaint: Complaint) -> str:
    """What to do with words that it cannot take any more."""
    return f'Register a new one, with "refers_to": "{complaint.own.number}".'
