"""What handling hears: the complaint as the customer gave it, where triage sent it, and which cycle callback says it is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from redress_events.contracts.callback import CloseReason, ComplaintClosed, ComplaintReopened, SatisfactionRecorded
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented, EarlierComplaint
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, ComplaintRouted, Severity
from redress_events.event import Fact, Instant, replace
from redress_events.vocabulary import Channel, ContactKind


@dataclass(frozen=True, slots=True)
class Registration:
    """words: under its field's name, the reference by which each personal field that was given is opened."""

    number: str
    channel: Channel
    kind: ContactKind
    received_at: Instant
    product: str | None = None
    area: str | None = None
    since: Instant | None = None
    attachments: tuple[str, ...] = ()
    refers_to: EarlierComplaint | None = None
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Classification:
    category: Category
    sub_category: str
    kind: ContactKind
    severity: Severity


@dataclass(frozen=True, slots=True)
class Answer:
    """What the customer said at the last return visit; `words` is a reference."""

    cycle: int
    at: Instant
    solved: bool
    score: int
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """supplements, chases: how often the customer added something or asked, and when last; the words are in rows (`history.py`). routing:
    of the last routing, 0 before the first. cycle: the complaint's. closed: the last cycle that callback closed, 0 if none.

    Each field is of one source, so it does not matter in which order sources are heard."""

    registration: Registration | None = None
    supplements: int = 0
    supplemented_at: Instant | None = None
    chases: int = 0
    chased_at: Instant | None = None
    classification: Classification | None = None
    routing: int = 0
    department: str | None = None
    queue: str | None = None
    routed_because: str | None = None
    cycle: int = 1
    urgency: int = 0
    reopened_at: Instant | None = None
    answer: Answer | None = None
    closed: int = 0
    close_reason: CloseReason | None = None


HEARS: tuple[type[Fact], ...] = (
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintChased,
    ComplaintClassified,
    ComplaintReclassified,
    ComplaintRouted,
    ComplaintReopened,
    SatisfactionRecorded,
    ComplaintClosed,
)


def hear(heard: Heard, fact: Fact, at: datetime) -> Heard:
    match fact:
        case ComplaintRegistered():
            return replace(heard, registration=_registration(fact))
        case ComplaintSupplemented():
            return replace(heard, supplements=heard.supplements + 1, supplemented_at=at)
        case ComplaintChased():
            return replace(heard, chases=heard.chases + 1, chased_at=at)
        case ComplaintClassified() | ComplaintReclassified():
            return replace(heard, classification=Classification(fact.category, fact.sub_category, fact.kind, fact.severity))
        case ComplaintRouted():
            return replace(heard, routing=fact.routing, department=fact.department, queue=fact.queue, routed_because=fact.reason)
        case ComplaintReopened():
            return replace(heard, cycle=fact.cycle, urgency=fact.urgency, reopened_at=at)
        case SatisfactionRecorded():
            return replace(heard, answer=Answer(fact.cycle, at, fact.solved, fact.score, fact.words))
        case ComplaintClosed():
            return replace(heard, closed=fact.cycle, close_reason=fact.reason)
    return heard


def _registration(fact: ComplaintRegistered) -> Registration:
    references = {name: getattr(fact, name) for name in fact.personal_fields()}
    return Registration(
        number=fact.number,
        channel=fact.channel,
        kind=fact.kind,
        received_at=fact.received_at,
        product=fact.product,
        area=fact.area,
        since=fact.since,
        attachments=fact.attachments,
        refers_to=fact.refers_to,
        words={name: reference for name, reference in references.items() if reference},
    )
