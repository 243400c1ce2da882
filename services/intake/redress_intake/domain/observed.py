"""What intake learns of a complaint's way through the other services.

In whatever order the services are observed, if each keeps its own, the same is known: events are compared by the numbers that they carry
(cycle, routing, transfer), never by what came first. The way itself is a list of rows (`history.py`); here is where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from redress_events.classification import Classification, classified, settled
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
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_events.event import Event, Instant, replace
from redress_events.lifecycle import Lifecycle, lived
from redress_events.placement import Accepted, Placement, placed

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
class AcceptedInCycle(Accepted):
    cycle: int


@dataclass(frozen=True, slots=True)
class VisitProgress:
    """The return visit of a cycle. due_at: when the customer is called next, None once they were reached or given up. said: how many
    supplements and chases callback knew at the last attempt."""

    cycle: int
    due_at: Instant | None = None
    attempts: int = 0
    solved: bool | None = None
    score: int | None = None
    said: int = 0


@dataclass(frozen=True, slots=True)
class Observed(Lifecycle):
    """withdrawal: the last wish that callback answered. classification: what was settled last. reached: by cycle, from the latest on, when
    each stage was reached last that belongs to one; a later cycle is told by a service that knows it before us."""

    reason: CloseReason | None = None
    withdrawal: int = 0
    classification: Classification | None = None
    classified_at: Instant | None = None
    placement: Placement = Placement()
    routed_at: Instant | None = None
    accepted: AcceptedInCycle | None = None
    reached: dict[int, dict[StageName, Instant]] = field(default_factory=dict)
    visit: VisitProgress | None = None

    @property
    def department(self) -> str | None:
        return self.placement.department

    @property
    def handler(self) -> str | None:
        """Who accepted it where it is, in this cycle; None where nobody has yet."""
        return self.placement.handler(self.accepted) if self.accepted and self.accepted.cycle == self.cycle else None


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    fold = FOLDS.get(type(event))
    return fold(observed, event, at) if fold else observed


def _reached(observed: Observed, name: StageName, at: datetime, cycle: int) -> Observed:
    """What belongs to an earlier cycle is history."""
    if cycle < observed.cycle:
        return observed
    return replace(observed, reached={**observed.reached, cycle: {**observed.reached.get(cycle, {}), name: at}})


def _classified(observed: Observed, event: ComplaintClassified | ComplaintReclassified, at: datetime) -> Observed:
    return replace(observed, classification=classified(event), classified_at=at) if settled(event) else observed


def _routed(observed: Observed, event: ComplaintRouted, at: datetime) -> Observed:
    return replace(observed, placement=placed(observed.placement, event), routed_at=at)


def _transferred(observed: Observed, event: CaseTransferred, at: datetime) -> Observed:
    return _reached(replace(observed, placement=placed(observed.placement, event)), "routed", at, event.cycle)


def _opened(observed: Observed, event: CaseOpened, at: datetime) -> Observed:
    return _reached(replace(observed, placement=placed(observed.placement, event)), "routed", at, event.cycle)


def _accepted(observed: Observed, event: CaseAccepted, at: datetime) -> Observed:
    there = AcceptedInCycle(event.routing, event.transfer, event.handler, event.cycle)
    return _reached(replace(observed, accepted=there), "in-handling", at, event.cycle)


def _contacted(observed: Observed, event: CustomerContacted, at: datetime) -> Observed:
    return _reached(observed, "contacted", event.contacted_at, event.cycle)


def _progressed(observed: Observed, event: ProgressReported, at: datetime) -> Observed:
    return observed  # it moves nothing; it is told in the history


def _resolved(observed: Observed, event: CaseResolved, at: datetime) -> Observed:
    return _reached(observed, "resolved", at, event.cycle)


def _rejected(observed: Observed, event: CaseRejected, at: datetime) -> Observed:
    return _reached(observed, "rejected", at, event.cycle)


def _visit(observed: Observed, cycle: int, **changes: Any) -> Observed:
    visit = observed.visit if observed.visit and observed.visit.cycle >= cycle else VisitProgress(cycle)
    return replace(observed, visit=replace(visit, **changes)) if visit.cycle == cycle else observed


def _scheduled(observed: Observed, event: CallbackScheduled, at: datetime) -> Observed:
    return _reached(_visit(observed, event.cycle, due_at=event.due_at), "being-visited", at, event.cycle)


def _attempted(observed: Observed, event: CallbackAttempted, at: datetime) -> Observed:
    return _visit(observed, event.cycle, attempts=event.attempt, due_at=event.next_at, said=event.said)


def _answered(observed: Observed, event: SatisfactionRecorded, at: datetime) -> Observed:
    return _visit(observed, event.cycle, due_at=None, solved=event.solved, score=event.score)


def _reopened(observed: Observed, event: ComplaintReopened, at: datetime) -> Observed:
    reopened = lived(observed, event, at)
    kept = {number: stages for number, stages in observed.reached.items() if number >= reopened.cycle}
    return _reached(replace(reopened, reached=kept), "reopened", at, event.cycle)


def _closed(observed: Observed, event: ComplaintClosed, at: datetime) -> Observed:
    reason = event.reason if event.cycle >= observed.closed else observed.reason
    return replace(lived(observed, event, at), reason=reason, withdrawal=max(observed.withdrawal, event.withdrawal))


FOLDS: dict[type[Event], Callable[[Observed, Any, datetime], Observed]] = {
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
OBSERVES = tuple(FOLDS)
