"""What handling observes: the complaint as the customer gave it, where triage sent it, and which cycle callback says it is in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.classification import Classification, classified, current_kind
from redress_events.contracts.callback import CloseReason, ComplaintClosed, ComplaintReopened, SatisfactionRecorded
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_events.event import Event, Instant, replace
from redress_events.lifecycle import Lifecycle, lived
from redress_events.registration import Registration, registered
from redress_events.vocabulary import ContactKind


@dataclass(frozen=True, slots=True)
class LastSatisfaction:
    """What the customer said at the last return visit; `words` is a reference."""

    cycle: int
    at: Instant
    solved: bool
    score: int
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Observed(Lifecycle):
    """since, attachments: of the registration. supplements, chases: how often the customer added something or asked, and when last; the
    words are in rows (`history.py`). routing: of the last routing, 0 before the first.

    Each field is of one source, so it does not matter in which order sources are observed."""

    registration: Registration | None = None
    since: Instant | None = None
    attachments: tuple[str, ...] = ()
    supplements: int = 0
    supplemented_at: Instant | None = None
    chases: int = 0
    chased_at: Instant | None = None
    classification: Classification | None = None
    routing: int = 0
    department: str | None = None
    queue: str | None = None
    routed_because: str | None = None
    urgency: int = 0
    reopened_at: Instant | None = None
    answer: LastSatisfaction | None = None
    close_reason: CloseReason | None = None

    @property
    def kind(self) -> ContactKind | None:
        """None until it is registered."""
        return current_kind(self.classification, self.registration.kind) if self.registration else None


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
            return replace(observed, registration=registered(event), since=event.since, attachments=event.attachments)
        case ComplaintSupplemented():
            return replace(observed, supplements=observed.supplements + 1, supplemented_at=at)
        case ComplaintChased():
            return replace(observed, chases=observed.chases + 1, chased_at=at)
        case ComplaintClassified() | ComplaintReclassified():
            return replace(observed, classification=classified(event))
        case ComplaintRouted():
            return replace(observed, routing=event.routing, department=event.department, queue=event.queue, routed_because=event.reason)
        case ComplaintReopened():
            return replace(lived(observed, event, at), urgency=event.urgency, reopened_at=at)
        case SatisfactionRecorded():
            return replace(observed, answer=LastSatisfaction(event.cycle, at, event.solved, event.score, event.words))
        case ComplaintClosed():
            return replace(lived(observed, event, at), close_reason=event.reason)
    return observed
