"""What intake hears of a complaint's way through the other services.

In whatever order the services are heard, if each keeps its own, the same is known: facts are compared by the numbers that they carry
(cycle, routing, transfer), never by what came first. The way itself is a list of rows (`history.py`); here is where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from redress_events.contracts.callback import (
    CallbackAttempted,
    CallbackScheduled,
    CloseReason,
    ComplaintClosed,
    ComplaintReopened,
    SatisfactionRecorded,
)
from redress_events.contracts.handling import (
    CaseAccepted,
    CaseOpened,
    CaseRejected,
    CaseResolved,
    CaseTransferred,
    CustomerContacted,
    ProgressReported,
)
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, ComplaintRouted, Severity
from redress_events.event import Fact, Instant, replace
from redress_events.placement import Placement, placed
from redress_events.vocabulary import ContactKind

StageName = Literal[
    "registered",
    "classified",
    "reopened",
    "routed",
    "in-handling",
    "contacted",
    "progress-reported",
    "resolved",
    "rejected",
    "being-visited",
    "closed",
    "withdrawal-pending",
]


@dataclass(frozen=True, slots=True)
class Classification:
    number: int
    category: Category
    sub_category: str
    severity: Severity
    kind: ContactKind
    at: Instant


@dataclass(frozen=True, slots=True)
class Accepted:
    """Who took it on last, in which cycle, and where it was then."""

    cycle: int
    routing: int
    transfer: int
    handler: str


@dataclass(frozen=True, slots=True)
class Visit:
    """The return visit of a cycle. due_at: when the customer is called next, None once they were reached or given up. said: how many
    supplements and chases callback knew at the last attempt."""

    cycle: int
    due_at: Instant | None = None
    attempts: int = 0
    solved: bool | None = None
    score: int | None = None
    said: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """cycle: the latest. closed: the last cycle that callback closed. withdrawal: the last wish that it answered. reached: by cycle, from
    the latest on, when each stage was reached last that belongs to one; a later cycle is told by a service that knows it before us."""

    cycle: int = 1
    closed: int = 0
    reason: CloseReason | None = None
    withdrawal: int = 0
    classification: Classification | None = None
    placement: Placement = Placement()
    routed_at: Instant | None = None
    accepted: Accepted | None = None
    reached: dict[int, dict[StageName, Instant]] = field(default_factory=dict)
    visit: Visit | None = None

    @property
    def place(self) -> tuple[int, int]:
        """Routing and transfer that brought it where it is; 0 where there is none."""
        return self.placement.routing, self.placement.transfer.number if self.placement.transfer else 0

    @property
    def department(self) -> str | None:
        return self.placement.department

    @property
    def handler(self) -> str | None:
        """Who accepted it where it is, in this cycle; None where nobody has yet."""
        accepted = self.accepted
        here = accepted and accepted.cycle == self.cycle and (accepted.routing, accepted.transfer) == self.place
        return accepted.handler if accepted and here else None


def hear(heard: Heard, fact: Fact, at: datetime) -> Heard:
    fold = FOLDS.get(type(fact))
    return fold(heard, fact, at) if fold else heard


def _reached(heard: Heard, name: StageName, at: datetime, cycle: int) -> Heard:
    """What belongs to an earlier cycle is history."""
    if cycle < heard.cycle:
        return heard
    return replace(heard, reached={**heard.reached, cycle: {**heard.reached.get(cycle, {}), name: at}})


def _classified(heard: Heard, fact: ComplaintClassified | ComplaintReclassified, at: datetime) -> Heard:
    if isinstance(fact, ComplaintClassified) and fact.review:
        return heard  # a proposal, until a person has looked at it
    found = Classification(fact.classification, fact.category, fact.sub_category, fact.severity, fact.kind, at)
    return replace(heard, classification=found)


def _routed(heard: Heard, fact: ComplaintRouted, at: datetime) -> Heard:
    return replace(heard, placement=placed(heard.placement, fact), routed_at=at)


def _transferred(heard: Heard, fact: CaseTransferred, at: datetime) -> Heard:
    return _reached(replace(heard, placement=placed(heard.placement, fact)), "routed", at, fact.cycle)


def _opened(heard: Heard, fact: CaseOpened, at: datetime) -> Heard:
    return _reached(replace(heard, placement=placed(heard.placement, fact)), "routed", at, fact.cycle)


def _accepted(heard: Heard, fact: CaseAccepted, at: datetime) -> Heard:
    there = Accepted(fact.cycle, fact.routing, fact.transfer, fact.handler)
    return _reached(replace(heard, accepted=there), "in-handling", at, fact.cycle)


def _contacted(heard: Heard, fact: CustomerContacted, at: datetime) -> Heard:
    return _reached(heard, "contacted", fact.contacted_at, fact.cycle)


def _progressed(heard: Heard, fact: ProgressReported, at: datetime) -> Heard:
    return heard  # it moves nothing; it is told in the history


def _resolved(heard: Heard, fact: CaseResolved, at: datetime) -> Heard:
    return _reached(heard, "resolved", at, fact.cycle)


def _rejected(heard: Heard, fact: CaseRejected, at: datetime) -> Heard:
    return _reached(heard, "rejected", at, fact.cycle)


def _visit(heard: Heard, cycle: int, **changes: Any) -> Heard:
    visit = heard.visit if heard.visit and heard.visit.cycle >= cycle else Visit(cycle)
    return replace(heard, visit=replace(visit, **changes)) if visit.cycle == cycle else heard


def _scheduled(heard: Heard, fact: CallbackScheduled, at: datetime) -> Heard:
    return _reached(_visit(heard, fact.cycle, due_at=fact.due_at), "being-visited", at, fact.cycle)


def _attempted(heard: Heard, fact: CallbackAttempted, at: datetime) -> Heard:
    return _visit(heard, fact.cycle, attempts=fact.attempt, due_at=fact.next_at, said=fact.said)


def _answered(heard: Heard, fact: SatisfactionRecorded, at: datetime) -> Heard:
    return _visit(heard, fact.cycle, due_at=None, solved=fact.solved, score=fact.score)


def _reopened(heard: Heard, fact: ComplaintReopened, at: datetime) -> Heard:
    cycle = max(heard.cycle, fact.cycle)
    kept = {number: stages for number, stages in heard.reached.items() if number >= cycle}
    return _reached(replace(heard, cycle=cycle, reached=kept), "reopened", at, fact.cycle)


def _closed(heard: Heard, fact: ComplaintClosed, at: datetime) -> Heard:
    answered = max(heard.withdrawal, fact.withdrawal)
    if fact.cycle < heard.closed:
        return replace(heard, withdrawal=answered)
    return replace(heard, closed=fact.cycle, reason=fact.reason, withdrawal=answered)


FOLDS: dict[type[Fact], Callable[[Heard, Any, datetime], Heard]] = {
    ComplaintClassified: _classified,
    ComplaintReclassified: _classified,
    ComplaintRouted: _routed,
    CaseOpened: _opened,
    CaseAccepted: _accepted,
    CaseTransferred: _transferred,
    CustomerContacted: _contacted,
    ProgressReported: _progressed,
    CaseResolved: _resolved,
    CaseRejected: _rejected,
    CallbackScheduled: _scheduled,
    CallbackAttempted: _attempted,
    SatisfactionRecorded: _answered,
    ComplaintReopened: _reopened,
    ComplaintClosed: _closed,
}
HEARS = tuple(FOLDS)
