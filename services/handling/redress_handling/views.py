"""Cases as their readers see them: lists hold no personal data, a single case holds the words that its handler needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from redress_events.contracts.handling import ContactMeans
from redress_events.contracts.triage import Category, Severity
from redress_events.facts import Channel, ContactKind
from redress_events.states import Seen
from redress_handling.domain.case import Case, Stage
from redress_handling.domain.done import Outcome
from redress_handling.domain.heard import Said

Opened = Mapping[str, str]  # words in clear, by their reference; what was forgotten is missing
NOTHING: Opened = MappingProxyType({})


class CaseSummary(BaseModel):
    """A line of a department's list. urgency: one for each time the complaint came back, and one more where it is major."""

    complaint: UUID
    number: str | None
    channel: Channel | None
    kind: ContactKind | None
    received_at: datetime | None
    product: str | None
    area: str | None
    category: Category | None
    sub_category: str | None
    severity: Severity | None
    department: str | None
    queue: str | None
    cycle: int
    urgency: int
    stage: Stage
    handler: str | None
    opened_at: datetime | None
    contacted_at: datetime | None
    ended_at: datetime | None
    closed: bool

    @classmethod
    def of(cls, seen: Seen) -> CaseSummary:
        return cls.model_validate(_summary(seen))


class CasePage(BaseModel):
    """Cases, the most urgent first and then the oldest; where they have ended, the latest first. next: the cursor of the next page."""

    items: list[CaseSummary]
    next: str | None


class Remark(BaseModel):
    """Words said at some time, by the customer or the department. words: null where nothing was said or it was forgotten."""

    at: datetime
    words: str | None
    attachments: tuple[str, ...] = ()
    means: ContactMeans | None = None


class OutcomeView(BaseModel):
    """How the case of a cycle ended."""

    kind: Literal["resolved", "rejected", "cancelled"]
    cycle: int
    at: datetime
    department: str | None
    responsible_unit: str | None
    told_customer: ContactMeans | None
    cause: str | None = None
    measures: str | None = None
    reason: str | None = None


class AnswerView(BaseModel):
    """What the customer said at the last return visit."""

    cycle: int
    at: datetime
    solved: bool
    score: int
    words: str | None


class CaseView(CaseSummary):
    """All that a handler needs of one case."""

    since: datetime | None = None
    attachments: tuple[str, ...] = ()
    text: str | None = None
    remedy: str | None = None
    instruction: str | None = None
    customer: str | None = None
    on_behalf_of: str | None = None
    contact_person: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None
    service_number: str | None = None
    supplements: list[Remark]
    chases: list[Remark]
    routed_because: str | None
    transferred_because: str | None
    contacts: list[Remark]
    reports: list[Remark]
    outcome: OutcomeView | None
    earlier: list[OutcomeView]
    answer: AnswerView | None

    @classmethod
    def of(cls, seen: Seen, opened: Opened = NOTHING) -> CaseView:
        case: Case = seen.state
        heard, done, registration = case.heard, case.done, case.heard.registration
        given = {name: opened.get(reference) for name, reference in registration.words.items()} if registration else {}
        answer = heard.answer
        return cls.model_validate(
            _summary(seen)
            | given
            | {
                "since": registration.since if registration else None,
                "attachments": registration.attachments if registration else (),
                "supplements": [_remark(said, opened) for said in heard.supplements],
                "chases": [_remark(said, opened) for said in heard.chases],
                "routed_because": opened.get(heard.routed_because or ""),
                "transferred_because": opened.get(case.transfer.reason) if case.transfer else None,
                "contacts": [Remark(at=c.contacted_at, words=opened.get(c.note or ""), means=c.means) for c in done.contacts],
                "reports": [Remark(at=report.at, words=opened.get(report.note)) for report in done.reports],
                "outcome": _outcome(done.outcome, opened) if done.outcome else None,
                "earlier": [_outcome(outcome, opened) for outcome in done.earlier],
                "answer": answer and AnswerView.model_validate(asdict(answer) | {"words": opened.get(answer.words or "")}),
            }
        )


def references(case: Case) -> list[str | None]:
    """Everything that a view of this case shows in clear."""
    heard, done = case.heard, case.done
    outcomes = (*done.earlier, *((done.outcome,) if done.outcome else ()))
    return [
        *(heard.registration.words.values() if heard.registration else ()),
        *(said.words for said in (*heard.supplements, *heard.chases)),
        heard.routed_because,
        case.transfer.reason if case.transfer else None,
        *(contact.note for contact in done.contacts),
        *(report.note for report in done.reports),
        *(reference for outcome in outcomes for reference in outcome.words.values()),
        heard.answer.words if heard.answer else None,
    ]


def _summary(seen: Seen) -> dict[str, object]:
    case: Case = seen.state
    registration, found, done = case.heard.registration, case.heard.classification, case.done
    return {
        "complaint": seen.id,
        "number": registration and registration.number,
        "channel": registration and registration.channel,
        "kind": found.kind if found else registration and registration.kind,
        "received_at": registration and registration.received_at,
        "product": registration and registration.product,
        "area": registration and registration.area,
        "category": found and found.category,
        "sub_category": found and found.sub_category,
        "severity": found and found.severity,
        "department": case.department,
        "queue": case.queue,
        "cycle": case.heard.cycle,
        "urgency": case.urgency,
        "stage": case.stage,
        "handler": case.handler,
        "opened_at": done.opened_at,
        "contacted_at": done.contacts[-1].contacted_at if done.contacts else None,
        "ended_at": done.outcome and done.outcome.at,
        "closed": case.closed,
    }


def _remark(said: Said, opened: Opened) -> Remark:
    return Remark(at=said.at, words=opened.get(said.words or ""), attachments=said.attachments)


def _outcome(outcome: Outcome, opened: Opened) -> OutcomeView:
    return OutcomeView.model_validate(asdict(outcome) | {name: opened.get(reference) for name, reference in outcome.words.items()})
