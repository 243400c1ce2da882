"""What intake answers and tells: a complaint as the customer may see it, and for the operator's people what lies behind; subscriptions.

Long, for which part of an answer a field belongs to is seen only where all answers stand together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Self, get_args
from uuid import UUID

import orjson
from pydantic import BaseModel, Field

from redress_chassis import PathLink, filled
from redress_events.attachments import names_in
from redress_events.contracts.callback import CloseReason
from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented, ComplaintWithdrawn, EarlierComplaint
from redress_events.contracts.triage import Category, Severity
from redress_events.event import from_micros
from redress_events.vocabulary import Channel, ContactKind
from redress_intake.domain.catalogue import Catalogue
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.first_answer import FirstAnswer, Language
from redress_intake.domain.history import SAID, STAGES
from redress_intake.domain.next_step import next_step
from redress_intake.domain.observed import StageName
from redress_intake.domain.phone import NOT_CALLABLE, can_be_called
from redress_intake.domain.subscription import ToldStage
from redress_spine.processing.effects import Shown
from redress_spine.store.entries import Latest, Listed, Opened
from redress_spine.store.states import Loaded

# The personal fields of each part of an answer that not everybody is shown; who is: `reads` in permissions.py.
CONTACT = ("customer", "on_behalf_of", "contact_person", "phone", "email", "address", "account", "service_number", "instruction")
PERSONAL: Mapping[str, tuple[str, ...]] = {
    "words": ("text", "remedy", "product_said", "area_said", "attachment_names", "external_id", "metadata"),
    "contact": CONTACT,
}

ORDER: tuple[StageName, ...] = get_args(StageName)
Age = Literal["under-1-day", "1-to-3-days", "3-to-7-days", "7-to-14-days", "14-to-30-days", "over-30-days"]
AGES: tuple[Age, ...] = get_args(Age)
AGE_BOUNDS = tuple(timedelta(days=days) for days in (1, 3, 7, 14, 30))  # that part them


class Next(BaseModel):
    """What happens next, in a sentence for the customer, and within how many working days of receipt."""

    sentence: str
    working_days: int


class EarlierView(BaseModel):
    """The complaint that this one takes up again, and where to ask for it."""

    id: UUID
    number: str
    status: PathLink

    @classmethod
    def of(cls, earlier: EarlierComplaint | None) -> EarlierView | None:
        if earlier is None:
            return None
        return cls(id=UUID(earlier.complaint), number=earlier.number, status=f"/complaints/{earlier.complaint}")


class WarningView(BaseModel):
    """Something that was registered as it is, and that somebody should look at while the customer can still be asked."""

    code: Literal["phone-not-callable"] = Field(description="What it is, for programs.")
    pointer: str = Field(description="The field of the request that it is about, as a JSON pointer: `/phone`.")
    detail: str = Field(description="A sentence for whoever is at the desk, in the language of `Accept-Language`.")


class RegisteredView(BaseModel):
    """The answer to a new complaint: its number, and where to ask for it."""

    id: UUID
    number: str
    status: PathLink
    received_at: datetime
    registered_at: datetime
    refers_to: EarlierView | None = None
    next: Next
    warnings: list[WarningView] = Field(
        [], description="What should be checked with the customer; the complaint is registered all the same."
    )

    @classmethod
    def of(cls, loaded: Loaded, policy: FirstAnswer, language: Language, phone: str | None) -> RegisteredView:
        """phone: as it was sent, for the state has only a reference to it."""
        own = loaded.state.own
        return filled(
            cls,
            own,
            id=loaded.id,
            status=path_of(loaded),
            refers_to=EarlierView.of(own.refers_to),
            next=Next(sentence=policy.sentence(own.kind, language), working_days=policy.working_days),
            warnings=_warnings(phone, language),
        )


def _warnings(phone: str | None, language: Language) -> list[WarningView]:
    if phone is None or can_be_called(phone):
        return []
    return [WarningView(code="phone-not-callable", pointer="/phone", detail=NOT_CALLABLE[language])]


class StageView(BaseModel):
    """A step of the way. cycle: left out where it holds for the whole complaint, as what triage says does."""

    stage: StageName
    at: datetime
    cycle: int | None = None
    department: str | None = None

    @classmethod
    def of(cls, entry: Listed) -> StageView:
        return cls(at=entry.at, **entry.data)


class StagePage(BaseModel):
    """Stages, the latest first. next: the cursor of the next page."""

    items: list[StageView]
    next: str | None = None


class SaidView(BaseModel):
    """Something the customer said later."""

    what: Literal["supplement", "chase", "withdrawal"]
    n: int
    at: datetime
    text: str | None = None
    attachments: tuple[str, ...] = ()
    attachment_names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, entry: Listed, words: Mapping[str, str]) -> SaidView:
        data = entry.data
        return cls(
            what=data["what"],
            n=data["n"],
            at=entry.at,
            text=words.get(data["words"] or ""),
            attachments=data.get("attachments", ()),
            attachment_names=names_in(words.get(data.get("names", ""))) or None,
        )


class SaidPage(BaseModel):
    """What the customer said later, the latest first. A page ends at its limit, or with the item that fills it. next: its cursor."""

    items: list[SaidView]
    next: str | None = None


class VisitProgressView(BaseModel):
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
    account: str | None = None
    service_number: str | None = None
    instruction: str | None = None


class SaidCounts(BaseModel):
    """How often the customer came back. Each list has all of it, page by page."""

    supplements: int
    chases: int
    chased_first_at: datetime | None = None
    chased_at: datetime | None = None


class ComplaintHead(BaseModel):
    """Where the complaint stands, in a few lines however long its history. It holds none of the customer's words. forgotten_at: since when
    nobody can read them any more."""

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
    counts: SaidCounts
    forgotten_at: datetime | None = None


class FoundView(ComplaintHead):
    """A complaint that was found."""

    @classmethod
    def of(cls, loaded: Loaded) -> FoundView:
        return cls(**_head(loaded))


class ForgottenView(ComplaintHead):
    """The answer to a forgetting."""

    @classmethod
    def of(cls, loaded: Loaded) -> ForgottenView:
        return cls(**_head(loaded))


class FoundPage(BaseModel):
    """Complaints that were found. next: the cursor of the next page."""

    items: list[FoundView]
    next: str | None = None


class SaidAnswer(ComplaintHead):
    """The answer to what the customer said later. said: what was taken down, without its words; missing where a wish was wished already."""

    said: SaidView | None = None

    @classmethod
    def of(cls, loaded: Loaded) -> SaidAnswer:
        return cls(**_head(loaded), said=_taken_down(loaded))


class ComplaintView(ComplaintHead):
    """Where the complaint stands and the last part of how it came there. Fields that are not known, forgotten, or not for the caller are
    left out. stages, said: the latest, in the order of time; the lists of the same names have all."""

    text: str | None = None
    remedy: str | None = None
    product: str | None = None
    area: str | None = None
    product_said: str | None = None
    area_said: str | None = None
    since: datetime | None = None
    attachments: tuple[str, ...]
    attachment_names: tuple[str, ...] | None = None
    refers_to: EarlierView | None = None
    external_id: str | None = None
    metadata: dict[str, str] | None = None
    stages: list[StageView]
    said: list[SaidView]
    visit: VisitProgressView | None = None
    internal: InternalView | None = None

    @classmethod
    def of(cls, loaded: Loaded, shown: Collection[str], history: Mapping[str, Latest], words: Mapping[str, str]) -> ComplaintView:
        complaint: Complaint = loaded.state
        own = complaint.own
        opened = _opened(complaint, words)
        return filled(
            cls,
            own,
            **_head(loaded),
            text=opened.get("text"),
            remedy=opened.get("remedy"),
            product_said=opened.get("product_said"),
            area_said=opened.get("area_said"),
            attachment_names=names_in(opened.get("attachment_names")) or None,
            refers_to=EarlierView.of(own.refers_to),
            external_id=opened["external_id"].partition("\n")[2] if "external_id" in opened else None,
            metadata=orjson.loads(opened["metadata"]) if "metadata" in opened else None,
            stages=_way(complaint, history[STAGES]),
            said=[SaidView.of(entry, words) for entry in reversed(history[SAID].entries)],
            visit=_visit(complaint),
            internal=_internal(loaded, opened) if "internal" in shown else None,
        )


class CatalogueEntryView(BaseModel):
    """A product or an area, and its names."""

    code: str
    en: str
    zh: str


class CatalogueView(BaseModel):
    """What the operator's catalogue has. Everything else is `other`."""

    products: list[CatalogueEntryView]
    areas: list[CatalogueEntryView]

    @classmethod
    def of(cls, catalogue: Catalogue) -> CatalogueView:
        products, areas = ([filled(CatalogueEntryView, each) for each in kind] for kind in (catalogue.products, catalogue.areas))
        return cls(products=products, areas=areas)


class PendingView(BaseModel):
    """An open complaint and who has its next step. parked: the way it came may be longer than is known here. stuck: a service owes the step
    for longer than is normal."""

    id: UUID
    number: str
    stage: StageName
    cycle: int
    owner: str
    step: str
    since: datetime
    by: datetime | None = None
    parked: bool
    stuck: bool

    @classmethod
    def of(cls, loaded: Loaded, now: datetime) -> PendingView | None:
        """None for a complaint that was closed since the list was read."""
        complaint: Complaint = loaded.state
        step = next_step(complaint)
        if step is None:
            return None
        return filled(
            cls,
            step,
            id=loaded.id,
            number=complaint.own.number,
            stage=complaint.stage,
            cycle=complaint.observed.cycle,
            parked=loaded.parked,
            stuck=step.stuck(now),
        )


class OpenCountView(BaseModel):
    """How many open complaints are alike."""

    stage: StageName = Field(description="Where they stand, as `GET /complaints/{complaint}` says it of one.")
    department: str | None = Field(description="Which department has them, null before the first routing. Names: triage's `/taxonomy`.")
    category: Category | None = Field(description="What they are about, null until that is settled. Names: triage's `/taxonomy`.")
    age: Age = Field(description="How long ago they were received, in natural time. Exactly one day is `1-to-3-days`.")
    complaints: int = Field(description="How many they are, 1 or more.")


class OpenCountsView(BaseModel):
    """All open complaints, counted."""

    at: datetime = Field(description="When they were counted; ages are of that time.")
    total: int = Field(description="How many complaints are open: the sum of all groups.")
    items: list[OpenCountView] = Field(description="The groups, by department, category, stage and age. Empty groups are left out.")

    @classmethod
    def of(cls, groups: Sequence[Mapping[str, Any]], at: datetime) -> OpenCountsView:
        """groups: as `OPEN_ONES` counts them, by `AGE_BOUNDS`."""
        items = [OpenCountView(**{**group, "age": AGES[group["age"]], "complaints": group["n"]}) for group in groups]
        return cls(at=at, total=sum(each.complaints for each in items), items=items)


class PendingPage(BaseModel):
    """Open complaints, the oldest first. next: the cursor of the next page."""

    items: list[PendingView]
    next: str | None = None


class SubscriptionView(BaseModel):
    """disabled: why nothing is told any more. `gone`: the receiver answered 410; `failing`: it took nothing for a day."""

    id: UUID
    address: str | None = None
    stages: tuple[str, ...]
    subscribed_at: datetime
    active: bool
    disabled: Literal["gone", "failing"] | None = None
    disabled_at: datetime | None = None

    @classmethod
    def of(cls, loaded: Loaded, words: Mapping[str, str]) -> Self:
        own = loaded.state.own
        return filled(
            cls,
            own,
            id=loaded.id,
            address=words.get(own.address),
            active=loaded.state.active,
            disabled=own.ended,
            disabled_at=own.ended_at,
        )


class NewSubscriptionView(SubscriptionView):
    """The only answer that has the secret."""

    secret: str | None = None

    @classmethod
    def of(cls, loaded: Loaded, words: Mapping[str, str]) -> Self:
        return super().of(loaded, words).model_copy(update={"secret": words.get(loaded.state.own.secret)})


class SubscriptionPage(BaseModel):
    """Subscriptions, the oldest first. next: the cursor of the next page."""

    items: list[SubscriptionView]
    next: str | None = None


class DeliveryView(BaseModel):
    """One message. status: `waiting` for its first attempt or the next one, `delivered`, `given-up`, or `dropped` where it was not
    wanted any more. next_at: not before then. error: of the last attempt that failed."""

    id: str
    complaint: UUID
    number: str
    stage: str
    cycle: int | None = None
    reached_at: datetime
    status: Literal["waiting", "delivered", "given-up", "dropped"]
    attempts: int
    next_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None

    @classmethod
    def of(cls, shown: Shown) -> DeliveryView:
        data, statuses = shown.data, {"done": "delivered", "dead": "given-up"}
        return filled(
            cls,
            shown,
            id=shown.key,
            reached_at=from_micros(data["at"]),
            status=statuses.get(shown.status, shown.status),
            **{name: data[name] for name in ("complaint", "number", "stage", "cycle")},
        )


class DeliveryPage(BaseModel):
    """Messages, the latest first. next: the cursor of the next page."""

    items: list[DeliveryView]
    next: str | None = None


class StageReached(BaseModel):
    """What happened. cycle: left out where it holds for the whole complaint. links: paths at intake."""

    id: UUID
    number: str
    stage: ToldStage
    cycle: int | None = None
    reached_at: datetime
    links: dict[Literal["complaint", "stages"], str]


class Message(BaseModel):
    """A complaint that you registered reached a stage. Signed as Standard Webhooks defines; ids, number, stage, time and links, and nothing
    of what the customer said."""

    type: Literal["complaint.stage-reached"]
    timestamp: datetime
    data: StageReached


def path_of(loaded: Loaded) -> str:
    return f"/complaints/{loaded.subject.partition('/')[2]}"


def references(complaint: Complaint, shown: Collection[str]) -> list[str]:
    """The personal fields that the complaint was given with, of the parts that are shown."""
    personal = complaint.own.personal
    return [personal[name] for part, names in PERSONAL.items() if part in shown for name in names if name in personal]


def references_said(entries: Sequence[Listed], shown: Collection[str]) -> list[str]:
    """The later words and the names of what came with them, if words are shown."""
    if "words" not in shown:
        return []
    return [reference for entry in entries for name in ("words", "names") if (reference := entry.data.get(name))]


def _head(loaded: Loaded) -> dict[str, Any]:
    complaint: Complaint = loaded.state
    observed, own = complaint.observed, complaint.own
    return {
        "id": loaded.id,
        "number": own.number,
        "channel": own.channel,
        "kind": complaint.kind,
        "stage": complaint.stage,
        "cycle": observed.cycle,
        "received_at": own.received_at,
        "registered_at": own.registered_at,
        "category": observed.classification.category if observed.classification else None,
        "department": observed.department,
        "closed_as": observed.reason if complaint.closed else None,
        "withdrawal_pending": complaint.withdrawal_pending,
        "counts": filled(SaidCounts, own),
        "forgotten_at": own.forgotten_at,
    }


def _taken_down(loaded: Loaded) -> SaidView | None:
    match loaded.made:
        case (ComplaintSupplemented() as event, at):
            return SaidView(what="supplement", n=event.supplement, at=at, attachments=event.attachments)
        case (ComplaintChased() as event, at):
            return SaidView(what="chase", n=event.chase, at=at)
        case (ComplaintWithdrawn() as event, at):
            return SaidView(what="withdrawal", n=event.withdrawal, at=at)
    return None


def in_order(entries: Sequence[Listed]) -> list[StageView]:
    """The latest first. What happened in one instant, as it does where a clock steps, in the order in which it must have."""
    stages = [StageView.of(entry) for entry in entries]
    return sorted(stages, key=lambda each: (each.at, each.cycle or 1, ORDER.index(each.stage)), reverse=True)


def _way(complaint: Complaint, latest: Latest) -> list[StageView]:
    """From the registration on, where nothing between is left out, to a wish to withdraw that nobody has answered."""
    way = in_order(latest.entries)[::-1]
    if not latest.more:
        way.insert(0, StageView(stage="registered", at=complaint.own.registered_at, cycle=1))
    if complaint.withdrawal_pending and complaint.own.withdrawn_at:
        way.append(StageView(stage="withdrawal-pending", at=complaint.own.withdrawn_at, cycle=complaint.observed.cycle))
    return way


def _opened(complaint: Complaint, words: Mapping[str, str]) -> dict[str, str]:
    return {name: words[reference] for name, reference in complaint.own.personal.items() if reference in words}


def _visit(complaint: Complaint) -> VisitProgressView | None:
    visit = complaint.observed.visit
    if visit is None or visit.cycle != complaint.observed.cycle:
        return None
    return filled(VisitProgressView, visit, satisfaction=visit.score)


def _internal(loaded: Loaded, opened: Opened) -> InternalView:
    found = loaded.state.observed.classification
    return InternalView(
        parked=loaded.parked,
        sub_category=found.sub_category if found else None,
        severity=found.severity if found else None,
        handler=loaded.state.observed.handler,
        **{name: opened.get(name) for name in CONTACT},
    )
