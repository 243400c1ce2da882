"""What intake answers: a complaint as the customer may see it, and for the operator's people what lies behind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from redress_events.contracts.callback import CloseReason
from redress_events.contracts.triage import Category, Severity
from redress_events.facts import Channel, ContactKind
from redress_events.states import Seen
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.heard import StageName
from redress_intake.domain.next_step import next_step
from redress_intake.first_answer import FirstAnswer, Language

# Who reads what of the customer's words. A handler reads them at his case; operations need none.
GIVEN = ("text", "remedy")
CONTACT = ("customer", "on_behalf_of", "contact_person", "phone", "email", "address", "service_number", "instruction")
OPENED: Mapping[str, tuple[str, ...]] = {"front-end": GIVEN, "agent": GIVEN + CONTACT, "supervisor": GIVEN + CONTACT}


class Next(BaseModel):
    """What happens next, in a sentence for the customer, and within how many working days of receipt."""

    sentence: str
    working_days: int


class RegisteredView(BaseModel):
    """The answer to a new complaint: its number, and where to ask for it."""

    id: UUID
    number: str
    status: str
    received_at: datetime
    registered_at: datetime
    next: Next

    @classmethod
    def of(cls, seen: Seen, policy: FirstAnswer, language: Language) -> RegisteredView:
        done = seen.state.done
        return cls(
            id=seen.id,
            number=done.number,
            status=path_of(seen),
            received_at=done.received_at,
            registered_at=done.registered_at,
            next=Next(sentence=policy.sentence(done.kind, language), working_days=policy.working_days),
        )


class StageView(BaseModel):
    stage: StageName
    at: datetime
    cycle: int
    department: str | None = None


class SaidView(BaseModel):
    """Something the customer said later."""

    what: Literal["supplement", "chase", "withdrawal"]
    n: int
    at: datetime
    text: str | None = None
    attachments: tuple[str, ...] = ()


class VisitView(BaseModel):
    """The return visit of the latest cycle."""

    due_at: datetime | None = None
    attempts: int = 0
    solved: bool | None = None
    satisfaction: int | None = None


class InternalView(BaseModel):
    """What a customer is not told. parked: the stages may be older than the log."""

    parked: bool
    sub_category: str | None = None
    severity: Severity | None = None
    handler: str | None = None
    customer: str | None = None
    on_behalf_of: str | None = None
    contact_person: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None
    service_number: str | None = None
    instruction: str | None = None


class ComplaintView(BaseModel):
    """Where the complaint stands and how it came there. Fields that are not known, forgotten, or not for the caller are left out."""

    id: UUID
    number: str
    channel: Channel
    kind: ContactKind
    stage: StageName
    cycle: int
    received_at: datetime
    registered_at: datetime
    category: Category | None = None
    department: str | None = None
    closed_as: CloseReason | None = None
    withdrawal_pending: bool
    text: str | None = None
    remedy: str | None = None
    product: str | None = None
    area: str | None = None
    since: datetime | None = None
    attachments: tuple[str, ...]
    stages: tuple[StageView, ...]
    said: tuple[SaidView, ...]
    visit: VisitView | None = None
    internal: InternalView | None = None

    @classmethod
    def of(cls, seen: Seen, role: str, words: Mapping[str, str]) -> ComplaintView:
        complaint: Complaint = seen.state
        heard, done = complaint.heard, complaint.done
        opened = _opened(complaint, words)
        return cls(
            id=seen.id,
            number=done.number,
            channel=done.channel,
            kind=complaint.kind,
            stage=complaint.stage,
            cycle=heard.cycle,
            received_at=done.received_at,
            registered_at=done.registered_at,
            category=heard.classification.category if heard.classification else None,
            department=heard.department,
            closed_as=heard.reason if complaint.closed else None,
            withdrawal_pending=complaint.withdrawal_pending,
            text=opened.get("text"),
            remedy=opened.get("remedy"),
            product=done.product,
            area=done.area,
            since=done.since,
            attachments=done.attachments,
            stages=tuple(StageView(stage=s.name, at=s.at, cycle=s.cycle, department=s.department) for s in complaint.stages),
            said=tuple(
                SaidView(what=said.what, n=said.n, at=said.at, text=words.get(said.words or ""), attachments=said.attachments)
                for said in done.said
            ),
            visit=_visit(complaint),
            internal=None if role == "front-end" else _internal(seen, opened),
        )


class OwesView(BaseModel):
    """An open complaint and who owes its next step. parked: the way it came may be longer than is known here."""

    id: UUID
    number: str
    stage: StageName
    cycle: int
    owner: str
    step: str
    since: datetime
    by: datetime | None = None
    parked: bool

    @classmethod
    def of(cls, seen: Seen) -> OwesView | None:
        """None for a complaint that was closed since the list was read."""
        complaint: Complaint = seen.state
        step = next_step(complaint)
        if step is None:
            return None
        return cls(
            id=seen.id,
            number=complaint.done.number,
            stage=complaint.stage,
            cycle=complaint.heard.cycle,
            owner=step.owner,
            step=step.step,
            since=step.since,
            by=step.by,
            parked=seen.parked,
        )


class OwesPage(BaseModel):
    items: list[OwesView]
    next: str | None = None


def path_of(seen: Seen) -> str:
    return f"/complaints/{seen.subject.partition('/')[2]}"


def references(complaint: Complaint, role: str) -> list[str]:
    """The personal words that this role reads."""
    if role not in OPENED:
        return []
    given = [complaint.done.personal[name] for name in OPENED[role] if name in complaint.done.personal]
    return given + [said.words for said in complaint.done.said if said.words]


def _opened(complaint: Complaint, words: Mapping[str, str]) -> dict[str, str]:
    return {name: words[reference] for name, reference in complaint.done.personal.items() if reference in words}


def _visit(complaint: Complaint) -> VisitView | None:
    visit = complaint.heard.visits.get(complaint.heard.cycle)
    if visit is None:
        return None
    return VisitView(due_at=visit.due_at, attempts=visit.attempts, solved=visit.solved, satisfaction=visit.score)


def _internal(seen: Seen, opened: Mapping[str, str]) -> InternalView:
    found = seen.state.heard.classification
    return InternalView(
        parked=seen.parked,
        sub_category=found.sub_category if found else None,
        severity=found.severity if found else None,
        handler=seen.state.heard.handler,
        **{name: opened.get(name) for name in CONTACT},
    )
