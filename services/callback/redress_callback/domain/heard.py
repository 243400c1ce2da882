"""What callback hears: all that the return visit and the public record of a closing are made of."""

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
from redress_events.event import Fact, Instant, replace
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
class Heard:
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


HEARS: tuple[type[Fact], ...] = (
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


def hear(heard: Heard, fact: Fact, at: datetime) -> Heard:
    match fact:
        case ComplaintRegistered():
            return replace(heard, registration=_registration(fact, at))
        case ComplaintSupplemented() | ComplaintChased():
            return replace(heard, said=heard.said + 1, said_at=at)
        case ComplaintWithdrawn():
            return replace(heard, withdrawal=fact.withdrawal)
        case ComplaintClassified() | ComplaintReclassified():
            settled = not (isinstance(fact, ComplaintClassified) and fact.review)
            found = Classification(fact.category, fact.sub_category, fact.kind, fact.severity)
            return replace(heard, classification=found, classified_at=heard.classified_at or (at if settled else None))
        case ComplaintRouted() | CaseTransferred():
            return replace(heard, placement=placed(heard.placement, fact))
        case CaseResolved():
            words = {"cause": fact.cause, "measures": fact.measures}
            handled = Handled(fact.cycle, "resolved", at, fact.department, fact.told_customer, words, fact.said)
            return replace(heard, handled=handled)
        case CaseRejected():
            words = {"reason": fact.reason}
            handled = Handled(fact.cycle, "rejected", at, fact.department, fact.told_customer, words, fact.said)
            return replace(heard, handled=handled)
        case DeadlineBreached():
            return _standing(heard, {*heard.standing, _instance(fact)})
        case BreachAnnulled():
            return _standing(heard, {*heard.standing} - {_instance(fact)})
    return heard


def _registration(fact: ComplaintRegistered, at: datetime) -> Registration:
    references = {name: getattr(fact, name) for name in fact.personal_fields()}
    words = {name: reference for name, reference in references.items() if reference}
    return Registration(fact.number, fact.channel, fact.kind, fact.received_at, at, fact.product, fact.area, fact.refers_to, words)


def _instance(fact: DeadlineBreached | BreachAnnulled) -> str:
    return f"{fact.clock}/{fact.cycle}/{fact.n}"


def _standing(heard: Heard, standing: set[str]) -> Heard:
    named = {instance.rpartition("/")[0] for instance in standing}
    return replace(heard, standing=tuple(sorted(standing)), breaches=tuple(sorted(named)))
