"""What handling observes: the complaint as the customer gave it, where triage sent it, and which cycle callback says it is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from redress_events.contracts.callback import CloseReason, ComplaintClosed, ComplaintReopened, SatisfactionRecorded
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented, EarlierComplaint
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, ComplaintRouted, Severity
from redress_events.event import Event, Instant, replace
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
class Observed:
    """supplements, chases: how often the customer added something or asked, and when last; the words are in rows (`history.py`). routing:
    of the last routing, 0 before the first. cycle: the complaint's. closed: the last cycle that callback closed, 0 if none.

    Each field is of one source, so it does not matter in which order sources are observed."""

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


OBSERVES: tuple[type[Event], ...] = (
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


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    match event:
        case ComplaintRegistered():
            return replace(observed, registration=_registration(event))
        case ComplaintSupplemented():
            return replace(observed, supplements=observed.supplements + 1, supplemented_at=at)
        case ComplaintChased():
            return replace(observed, chases=observed.chases + 1, chased_at=at)
        case ComplaintClassified() | ComplaintReclassified():
            return replace(observed, classification=Classification(event.category, event.sub_category, event.kind, event.severity))
        case ComplaintRouted():
            return replace(observed, routing=event.routing, department=event.department, queue=event.queue, routed_because=event.reason)
        case ComplaintReopened():
            return replace(observed, cycle=event.cycle, urgency=event.urgency, reopened_at=at)
        case SatisfactionRecorded():
            return replace(observed, answer=Answer(event.cycle, at, event.solved, event.score, event.words))
        case ComplaintClosed():
            return replace(observed, closed=event.cycle, close_reason=event.reason)
    return observed


def _registration(event: ComplaintRegistered) -> Registration:
    references = {name: getattr(event, name) for name in event.personal_fields()}
    return Registration(
        number=event.number,
        channel=event.channel,
        kind=event.kind,
        received_at=event.received_at,
        product=event.product,
        area=event.area,
        since=event.since,
        attachments=event.attachments,
        refers_to=event.refers_to,
        words={name: reference for name, reference in references.items() if reference},
    )
