"""What callback observes: all that the return visit and the public record of a closing are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from redress_events.contracts.callback import Outcome
from redress_events.contracts.handling import CaseRejected, CaseResolved, CaseTransferred, ContactMeans
from redress_events.contracts.intake import (
    ComplaintChased,
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintWithdrawn,
    EarlierComplaint,
)
from redress_events.contracts.sla_monitor import BreachAnnulled, DeadlineBreached
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, ComplaintRouted, Severity
from redress_events.event import Event, Instant, replace
from redress_events.placement import Placement, placed
from redress_events.vocabulary import Channel, ContactKind


@dataclass(frozen=True, slots=True)
class Registration:
    """words: under its field's name, the reference by which each personal field that was given is opened."""

    number: str
    channel: Channel
    kind: ContactKind
    received_at: Instant
    registered_at: Instant
    product: str | None = None
    area: str | None = None
    refers_to: EarlierComplaint | None = None
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Classification:
    category: Category
    sub_category: str
    kind: ContactKind
    severity: Severity


@dataclass(frozen=True, slots=True)
class Handled:
    """How handling ended its case of a cycle, and the references of what it said about it. said: how many of the customer's later words it
    knew."""

    cycle: int
    outcome: Outcome
    at: Instant
    department: str
    told_customer: ContactMeans
    words: dict[str, str] = field(default_factory=dict)
    said: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """classified_at: when it was first settled what the complaint is, not merely proposed. withdrawal: number of the customer's last wish
    to end it. said: how often the customer added something or asked; said_at: when last; the words are in rows (`history.py`). standing:
    breached deadlines, `clock/cycle/n`, without the annulled ones; breaches: the same as the public record names them, `clock/cycle`. Both
    sorted."""

    registration: Registration | None = None
    classification: Classification | None = None
    classified_at: Instant | None = None
    placement: Placement = Placement()
    handled: Handled | None = None
    withdrawal: int = 0
    said: int = 0
    said_at: Instant | None = None
    standing: tuple[str, ...] = ()
    breaches: tuple[str, ...] = ()

    @property
    def department(self) -> str | None:
        return self.placement.department


OBSERVES: tuple[type[Event], ...] = (
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintChased,
    ComplaintWithdrawn,
    ComplaintClassified,
    ComplaintReclassified,
    ComplaintRouted,
    CaseTransferred,
    CaseResolved,
    CaseRejected,
    DeadlineBreached,
    BreachAnnulled,
)


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    match event:
        case ComplaintRegistered():
            return replace(observed, registration=_registration(event, at))
        case ComplaintSupplemented() | ComplaintChased():
            return replace(observed, said=observed.said + 1, said_at=at)
        case ComplaintWithdrawn():
            return replace(observed, withdrawal=event.withdrawal)
        case ComplaintClassified() | ComplaintReclassified():
            settled = not (isinstance(event, ComplaintClassified) and event.review)
            found = Classification(event.category, event.sub_category, event.kind, event.severity)
            return replace(observed, classification=found, classified_at=observed.classified_at or (at if settled else None))
        case ComplaintRouted() | CaseTransferred():
            return replace(observed, placement=placed(observed.placement, event))
        case CaseResolved():
            words = {"cause": event.cause, "measures": event.measures}
            handled = Handled(event.cycle, "resolved", at, event.department, event.told_customer, words, event.said)
            return replace(observed, handled=handled)
        case CaseRejected():
            words = {"reason": event.reason}
            handled = Handled(event.cycle, "rejected", at, event.department, event.told_customer, words, event.said)
            return replace(observed, handled=handled)
        case DeadlineBreached():
            return _standing(observed, {*observed.standing, _instance(event)})
        case BreachAnnulled():
            return _standing(observed, {*observed.standing} - {_instance(event)})
    return observed


def _registration(event: ComplaintRegistered, at: datetime) -> Registration:
    references = {name: getattr(event, name) for name in event.personal_fields()}
    words = {name: reference for name, reference in references.items() if reference}
    return Registration(event.number, event.channel, event.kind, event.received_at, at, event.product, event.area, event.refers_to, words)


def _instance(event: DeadlineBreached | BreachAnnulled) -> str:
    return f"{event.clock}/{event.cycle}/{event.n}"


def _standing(observed: Observed, standing: set[str]) -> Observed:
    named = {instance.rpartition("/")[0] for instance in standing}
    return replace(observed, standing=tuple(sorted(standing)), breaches=tuple(sorted(named)))
