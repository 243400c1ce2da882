"""What intake hears of a complaint's way through the other services."""

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
from redress_events.facts import ContactKind, Fact, Instant, replace

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
class Stage:
    """A step of the way, when it was reached, and in which cycle."""

    name: StageName
    at: Instant
    cycle: int = 1
    department: str | None = None


@dataclass(frozen=True, slots=True)
class Classification:
    number: int
    category: Category
    sub_category: str
    severity: Severity
    kind: ContactKind


@dataclass(frozen=True, slots=True)
class Visit:
    """The return visit of a cycle. due_at: when the customer is called next, None once he was reached or given up."""

    due_at: Instant | None = None
    attempts: int = 0
    solved: bool | None = None
    score: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """cycle: the latest. closed: the last cycle that callback closed. withdrawal: the last wish that it answered. transfer: the one that
    brought the case where it is, 0 where the routing did. handler: who accepted it there, None where nobody has yet."""

    cycle: int = 1
    closed: int = 0
    reason: CloseReason | None = None
    withdrawal: int = 0
    classification: Classification | None = None
    routing: int = 0
    transfer: int = 0
    department: str | None = None
    handler: str | None = None
    stages: tuple[Stage, ...] = ()
    visits: dict[int, Visit] = field(default_factory=dict)  # by cycle


def hear(heard: Heard, fact: Fact, at: datetime) -> Heard:
    fold = FOLDS.get(type(fact))
    return fold(heard, fact, at) if fold else heard


def _reached(heard: Heard, name: StageName, at: datetime, cycle: int, department: str | None = None) -> Heard:
    return replace(heard, stages=(*heard.stages, Stage(name, at, cycle, department)))


def _classified(heard: Heard, fact: ComplaintClassified | ComplaintReclassified, at: datetime) -> Heard:
    if isinstance(fact, ComplaintClassified) and fact.review:
        return heard  # a proposal, until a person has looked at it
    found = Classification(fact.classification, fact.category, fact.sub_category, fact.severity, fact.kind)
    return _reached(replace(heard, classification=found), "classified", at, heard.cycle)


def _routed(heard: Heard, fact: ComplaintRouted, at: datetime) -> Heard:
    moved = replace(heard, routing=fact.routing, transfer=0, department=fact.department, handler=None)
    return _reached(moved, "routed", at, heard.cycle, fact.department)


def _transferred(heard: Heard, fact: CaseTransferred, at: datetime) -> Heard:
    if fact.routing != heard.routing:
        return heard  # a newer routing beats it
    moved = replace(heard, transfer=fact.transfer, department=fact.department, handler=None)
    return _reached(moved, "routed", at, fact.cycle, fact.department)


def _opened(heard: Heard, fact: CaseOpened, at: datetime) -> Heard:
    """The first case follows its routing at once and tells nothing new; a later cycle's says where the complaint goes back to."""
    if fact.cycle == 1:
        return heard
    here = fact.department if fact.routing == heard.routing else heard.department
    return _reached(replace(heard, department=here, handler=None), "routed", at, fact.cycle, fact.department)


def _accepted(heard: Heard, fact: CaseAccepted, at: datetime) -> Heard:
    """Who accepted it elsewhere, before he heard that it had moved on, does not have it here."""
    here = (fact.routing, fact.transfer) == (heard.routing, heard.transfer)
    return _reached(replace(heard, handler=fact.handler) if here else heard, "in-handling", at, fact.cycle)


def _contacted(heard: Heard, fact: CustomerContacted, at: datetime) -> Heard:
    return _reached(heard, "contacted", fact.contacted_at, fact.cycle)


def _progressed(heard: Heard, fact: ProgressReported, at: datetime) -> Heard:
    return _reached(heard, "progress-reported", at, fact.cycle)


def _resolved(heard: Heard, fact: CaseResolved, at: datetime) -> Heard:
    return _reached(heard, "resolved", at, fact.cycle, fact.department)


def _rejected(heard: Heard, fact: CaseRejected, at: datetime) -> Heard:
    return _reached(heard, "rejected", at, fact.cycle, fact.department)


def _visit(heard: Heard, cycle: int, **changes: Any) -> Heard:
    return replace(heard, visits={**heard.visits, cycle: replace(heard.visits.get(cycle, Visit()), **changes)})


def _scheduled(heard: Heard, fact: CallbackScheduled, at: datetime) -> Heard:
    return _reached(_visit(heard, fact.cycle, due_at=fact.due_at), "being-visited", at, fact.cycle)


def _attempted(heard: Heard, fact: CallbackAttempted, at: datetime) -> Heard:
    return _visit(heard, fact.cycle, attempts=fact.attempt, due_at=fact.next_at)


def _answered(heard: Heard, fact: SatisfactionRecorded, at: datetime) -> Heard:
    return _visit(heard, fact.cycle, due_at=None, solved=fact.solved, score=fact.score)


def _reopened(heard: Heard, fact: ComplaintReopened, at: datetime) -> Heard:
    return _reached(replace(heard, cycle=fact.cycle, handler=None), "reopened", at, fact.cycle)


def _closed(heard: Heard, fact: ComplaintClosed, at: datetime) -> Heard:
    answered = max(heard.withdrawal, fact.withdrawal)
    return _reached(replace(heard, closed=fact.cycle, reason=fact.reason, withdrawal=answered), "closed", at, fact.cycle)


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
