"""Return visits as agents see them: the list holds no personal data, a single visit what the call needs while it is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from redress_callback.domain.history import NOTES, SAID
from redress_callback.domain.visit import Visit, VisitStage
from redress_events.attachments import names_in
from redress_events.contracts.callback import CloseReason, Outcome
from redress_events.contracts.handling import ContactMeans
from redress_events.contracts.intake import EarlierComplaint
from redress_events.contracts.triage import Category, Severity
from redress_events.vocabulary import Channel, ContactKind
from redress_spine.store.entries import Latest, Listed, Opened
from redress_spine.store.states import Loaded

NOTHING: Opened = MappingProxyType({})


class VisitSummary(BaseModel):
    """A line of the list.

    visit_at: the first time by then, later not before, and at once where the customer said something since.
    attempts: in this cycle. give_up_at: when it is closed as unreachable, if the customer says nothing more.
    said_since: how often the customer added something or asked since the department ended its last case; said_at: when last.
    """

    complaint: UUID
    number: str | None
    channel: Channel | None
    kind: ContactKind | None
    product: str | None
    area: str | None
    category: Category | None
    severity: Severity | None
    department: str | None
    outcome: Outcome | None
    handled_at: datetime | None
    cycle: int
    stage: VisitStage
    visit_at: datetime | None
    attempts: int
    said_since: int
    said_at: datetime | None
    give_up_at: datetime | None
    solved: bool | None
    satisfaction: int | None
    closed_as: CloseReason | None
    closed_at: datetime | None

    @classmethod
    def of(cls, loaded: Loaded) -> VisitSummary:
        return cls.model_validate(_summary(loaded))


class VisitPage(BaseModel):
    """Visits that are due: first where the customer said something since, then the longest overdue. next: the cursor of the next page."""

    items: list[VisitSummary]
    next: str | None


class VisitSaidView(BaseModel):
    """What the customer said later. words: null while nobody has to call, and where they were forgotten."""

    what: Literal["supplement", "chase"]
    at: datetime
    words: str | None
    attachments: tuple[str, ...] = ()
    attachment_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Listed, opened: Opened) -> VisitSaidView:
        opens = {"words": opened.get(entry.data["words"]), "attachment_names": names_in(opened.get(entry.data.get("names", "")))}
        return cls.model_validate({"at": entry.at, **entry.data, **opens})


class VisitView(VisitSummary):
    """One visit. Personal fields are null while nobody has to call, and where they were forgotten. notes, said: the latest, in order of
    time; intake lists all that was said. A chase without words is only counted."""

    refers_to: EarlierComplaint | None = None
    product_said: str | None = None
    area_said: str | None = None
    text: str | None = None
    remedy: str | None = None
    customer: str | None = None
    on_behalf_of: str | None = None
    contact_person: str | None = None
    phone: str | None = None
    email: str | None = None
    account: str | None = None
    service_number: str | None = None
    told_customer: ContactMeans | None
    cause: str | None = None
    measures: str | None = None
    reason: str | None = None
    said: list[VisitSaidView]
    notes: list[str]

    @classmethod
    def with_history(cls, loaded: Loaded, history: Mapping[str, Latest], opened: Opened = NOTHING) -> VisitView:
        visit: Visit = loaded.state
        return cls.model_validate(
            _summary(loaded)
            | {name: opened.get(reference) for name, reference in _words(visit).items()}
            | {
                "refers_to": visit.observed.registration and visit.observed.registration.refers_to,
                "told_customer": visit.handled and visit.handled.told_customer,
                "said": [VisitSaidView.of(each, opened) for each in reversed(history[SAID].entries)],
                "notes": [opened[note.data["words"]] for note in reversed(history[NOTES].entries) if note.data["words"] in opened],
            }
        )


class NoteView(BaseModel):
    """What an agent noted at an attempt. words: null while nobody has to call, and where they were forgotten."""

    at: datetime
    cycle: int
    attempt: int
    reached: bool
    words: str | None

    @classmethod
    def of(cls, entry: Listed, opened: Opened) -> NoteView:
        return cls.model_validate({"at": entry.at, **entry.data, "words": opened.get(entry.data["words"])})


class NotePage(BaseModel):
    """Notes, the latest first. A page ends at its limit, or with the note that fills it. next: the cursor of the next page."""

    items: list[NoteView]
    next: str | None


def references(visit: Visit, history: Mapping[str, Latest]) -> list[str]:
    """What a view shows in clear: all that the call needs, as long as it is to be made. (Access by need: handbook 9)"""
    listed = [reference for latest in history.values() for reference in references_in(visit, latest.entries)]
    return [*_words(visit).values(), *listed] if _to_be_made(visit) else []


def references_in(visit: Visit, entries: Sequence[Listed]) -> list[str]:
    """The same of a page of a list."""
    if not _to_be_made(visit):
        return []
    return [reference for entry in entries for name in ("words", "names") if (reference := entry.data.get(name))]


def _to_be_made(visit: Visit) -> bool:
    return visit.stage in (VisitStage.DUE, VisitStage.UNREACHED)


def _words(visit: Visit) -> dict[str, str]:
    given = visit.observed.registration.words if visit.observed.registration else {}
    said = visit.handled.words if visit.handled else {}
    return {name: reference for name, reference in (given | said).items() if name in VisitView.model_fields}


def _summary(loaded: Loaded) -> dict[str, object]:
    visit: Visit = loaded.state
    registration, found, handled, answer = visit.observed.registration, visit.observed.classification, visit.handled, visit.own.answer
    return {
        "complaint": loaded.id,
        "number": registration and registration.number,
        "channel": registration and registration.channel,
        "kind": visit.observed.kind,
        "product": registration and registration.product,
        "area": registration and registration.area,
        "category": found and found.category,
        "severity": found and found.severity,
        "department": visit.observed.department,
        "outcome": handled and handled.outcome,
        "handled_at": handled and handled.at,
        "cycle": visit.own.cycle,
        "stage": visit.stage,
        "visit_at": visit.visit_at,
        "attempts": visit.own.tries,
        "said_since": visit.said_since,
        "said_at": visit.observed.said_at if visit.said_since else None,
        "give_up_at": None if visit.unanswered else visit.own.give_up_at,
        "solved": answer and answer.solved,
        "satisfaction": answer and answer.score,
        "closed_as": visit.own.reason,
        "closed_at": visit.own.closed_at,
    }
