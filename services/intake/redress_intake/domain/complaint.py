"""A complaint as the front door knows it: what was written down here, and what the other services said of it since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.vocabulary import ContactKind
from redress_intake.domain.done import Done, did
from redress_intake.domain.heard import HEARS, Heard, StageName, hear
from redress_intake.domain.history import entries
from redress_intake.domain.lists import PROJECTIONS
from redress_intake.domain.lookup import LOOKUPS
from redress_spine.aggregate import Kind, Refused

# How far a cycle has come. The furthest stage counts, not the latest fact: a new routing takes nothing back. Progress reports move nothing.
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
    heard: Heard = Heard()
    done: Done = Done()

    @property
    def registered(self) -> bool:
        """False where a row came into being by somebody else's fact alone."""
        return bool(self.done.number)

    @property
    def closed(self) -> bool:
        return self.heard.closed >= self.heard.cycle

    @property
    def withdrawal_pending(self) -> bool:
        """The customer wishes to end it, and callback has not answered this wish."""
        return not self.closed and self.done.withdrawal > self.heard.withdrawal

    @property
    def said(self) -> int:
        """How often the customer has come back: with a supplement, or to ask where it stays."""
        return self.done.supplements + self.done.chases

    @property
    def kind(self) -> ContactKind:
        """As triage sees it, else as it was received."""
        return self.heard.classification.kind if self.heard.classification else self.done.kind

    @property
    def reached(self) -> dict[StageName, datetime]:
        """The stages of the latest cycle, and when each was reached last. What triage says belongs to no cycle: it counts in the first, and
        that it was routed anew counts in a later one once that has a case."""
        heard = self.heard
        reached: dict[StageName, datetime] = {"registered": self.done.registered_at, **heard.reached.get(heard.cycle, {})}
        if heard.classification:
            reached["classified"] = heard.classification.at
        if heard.routed_at and (heard.cycle == 1 or "routed" in reached):
            reached["routed"] = max(heard.routed_at, reached.get("routed", heard.routed_at))
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


KIND = Kind(Complaint, hear, did, HEARS, entries, begun_here=True, projections=PROJECTIONS, lookups=LOOKUPS)


def refuse_if_closed(complaint: Complaint) -> None:
    if complaint.closed:
        raise Refused("complaint-closed", f"The complaint is closed. {instead_of(complaint)}")


def instead_of(complaint: Complaint) -> str:
    """What to do with words that it cannot take any more."""
    return f'Register a new one, with "refers_to": "{complaint.done.number}".'
