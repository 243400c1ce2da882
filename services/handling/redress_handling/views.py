"""Cases as their readers see them: lists hold no personal data, a single case holds the words that its handler needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from redress_chassis import filled
from redress_events.attachments import names_in
from redress_events.contracts.handling import ContactMeans
from redress_events.contracts.intake import EarlierComplaint
from redress_events.contracts.triage import Category, Severity
from redress_events.vocabulary import Channel, ContactKind
from redress_handling.domain.case import Case, CaseStage
from redress_handling.domain.history import CHASES, CONTACTS, OUTCOMES, REPORTS, SUPPLEMENTS
from redress_handling.domain.own import CaseOutcome
from redress_spine.store.entries import Latest, Listed, Opened
from redress_spine.store.states import Loaded

NOTHING: Opened = MappingProxyType({})


class CaseCounts(BaseModel):
    """supplements, chases: how often the customer added something and asked, in all.

    said_since: both, since the department last resolved or rejected the case; said_at: when last.
    contacts, reports: in this cycle.
    """

    supplements: int
    supplemented_at: datetime | None
    chases: int
    chased_at: datetime | None
    said_since: int
    said_at: datetime | None
    contacts: int
    reports: int


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
    stage: CaseStage
    handler: str | None
    opened_at: datetime | None
    contacted_at: datetime | None
    ended_at: datetime | None
    closed: bool
    counts: CaseCounts

    @classmethod
    def of(cls, loaded: Loaded) -> CaseSummary:
        return cls.model_validate(_summary(loaded))


class DepartmentLoad(BaseModel):
    """open: to be accepted. accepted: to be worked on."""

    department: str
    open: int
    accepted: int


class WorkloadView(BaseModel):
    """Departments that have something to do, by name."""

    items: list[DepartmentLoad]

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> WorkloadView:
        """counts: by department and stage."""
        names = sorted({name.rpartition("/")[0] for name in counts})
        return cls(
            items=[
                DepartmentLoad(department=name, open=counts.get(f"{name}/open", 0), accepted=counts.get(f"{name}/accepted", 0))
                for name in names
            ]
        )


class CasePage(BaseModel):
    """Cases, the most urgent first and then the oldest; where they have ended, the latest first. next: the cursor of the next page."""

    items: list[CaseSummary]
    next: str | None


class Remark(BaseModel):
    """Words said at some time, by the customer or the department. words: null where nothing was said or it was forgotten. cycle, means: of
    what the department did."""

    at: datetime
    words: str | None
    attachments: tuple[str, ...] = ()
    attachment_names: tuple[str, ...] = ()
    cycle: int | None = None
    means: ContactMeans | None = None

    @classmethod
    def of(cls, entry: Listed, opened: Opened) -> Remark:
        data = {**entry.data, "words": opened.get(entry.data["words"] or "")}
        return cls(at=entry.at, attachment_names=names_in(opened.get(data.pop("names", ""))), **data)


class RemarkPage(BaseModel):
    """Remarks, the latest first. A page ends at its limit, or with the remark that fills it. next: the cursor of the next page."""

    items: list[Remark]
    next: str | None


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

    @classmethod
    def of(cls, entry: Listed, opened: Opened) -> OutcomeView:
        data = {"department": None, "responsible_unit": None, "told_customer": None, **entry.data}
        words = {name: opened.get(reference) for name, reference in data.pop("words").items()}
        return cls.model_validate({"at": entry.at, **data, **words})


class OutcomePage(BaseModel):
    """How the case ended, the latest cycle first. next: the cursor of the next page."""

    items: list[OutcomeView]
    next: str | None


class AnswerView(BaseModel):
    """What the customer said at the last return visit."""

    cycle: int
    at: datetime
    solved: bool
    score: int
    words: str | None


class CaseView(CaseSummary):
    """What a handler needs of one case. supplements, chases, contacts, reports and earlier outcomes: the latest, in the order of time."""

    since: datetime | None = None
    product_said: str | None = None
    area_said: str | None = None
    attachments: tuple[str, ...] = ()
    attachment_names: tuple[str, ...] = ()
    refers_to: EarlierComplaint | None = None
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
    account: str | None = None
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
    def with_history(cls, loaded: Loaded, history: Mapping[str, Latest], opened: Opened = NOTHING) -> CaseView:
        case: Case = loaded.state
        observed, own, registration = case.observed, case.own, case.observed.registration
        given = {name: opened.get(reference) for name, reference in registration.words.items()} if registration else {}
        answer = observed.answer
        ended = [OutcomeView.of(entry, opened) for entry in reversed(history[OUTCOMES].entries)]
        remarks = {
            name: [Remark.of(entry, opened) for entry in reversed(history[name].entries)]
            for name in (SUPPLEMENTS, CHASES, CONTACTS, REPORTS)
        }
        return cls.model_validate(
            _summary(loaded)
            | given
            | remarks
            | {
                "since": observed.since,
                "attachments": observed.attachments,
                "attachment_names": names_in(given.get("attachment_names")),
                "refers_to": registration.refers_to if registration else None,
                "routed_because": opened.get(observed.routed_because or ""),
                "transferred_because": opened.get(case.transfer.reason) if case.transfer else None,
                "outcome": _outcome(own.outcome, opened) if own.outcome else None,
                "earlier": [each for each in ended if not own.outcome or each.cycle != own.outcome.cycle],
                "answer": answer and filled(AnswerView, answer, words=opened.get(answer.words or "")),
            }
        )


def references(case: Case, history: Mapping[str, Latest]) -> list[str | None]:
    """Everything that a view of this case shows in clear."""
    observed, outcome = case.observed, case.own.outcome
    return [
        *(observed.registration.words.values() if observed.registration else ()),
        observed.routed_because,
        case.transfer.reason if case.transfer else None,
        *(outcome.words.values() if outcome else ()),
        observed.answer.words if observed.answer else None,
        *(reference for latest in history.values() for reference in references_in(latest.entries)),
    ]


def references_in(entries: Sequence[Listed]) -> list[str | None]:
    """What a page of a list shows in clear."""
    found: list[str | None] = []
    for entry in entries:
        words = entry.data["words"]
        found += words.values() if isinstance(words, Mapping) else [words, entry.data.get("names")]
    return found


def _summary(loaded: Loaded) -> dict[str, object]:
    case: Case = loaded.state
    registration, found, own = case.observed.registration, case.observed.classification, case.own
    return {
        "complaint": loaded.id,
        "number": registration and registration.number,
        "channel": registration and registration.channel,
        "kind": case.observed.kind,
        "received_at": registration and registration.received_at,
        "product": registration and registration.product,
        "area": registration and registration.area,
        "category": found and found.category,
        "sub_category": found and found.sub_category,
        "severity": found and found.severity,
        "department": case.department,
        "queue": case.queue,
        "cycle": case.observed.cycle,
        "urgency": case.urgency,
        "stage": case.stage,
        "handler": case.handler,
        "opened_at": own.opened_at,
        "contacted_at": own.contacted_at,
        "ended_at": own.outcome and own.outcome.at,
        "closed": case.closed,
        "counts": filled(
            CaseCounts, case.observed, said_since=case.said_since, said_at=case.said_at, contacts=own.contacts, reports=own.reports
        ),
    }


def _outcome(outcome: CaseOutcome, opened: Opened) -> OutcomeView:
    return OutcomeView.model_validate(asdict(outcome) | {name: opened.get(reference) for name, reference in outcome.words.items()})
