"""What callback observes: all that the return visit and the public record of a closing are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from redress_events.classification import Classification, classified, current_kind, settled
from redress_events.contracts.callback import Outcome
from redress_events.contracts.handling import CaseRejected, CaseResolved, CaseTransferred, ContactMeans
from redress_events.contracts.intake import (
    ComplaintChased,
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintWithdrawn,
)
from redress_events.contracts.sla_monitor import BreachAnnulled, DeadlineBreached
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_events.event import Event, Instant, replace
from redress_events.placement import Placement, placed
from redress_events.registration import Registration, registered
from redress_events.vocabulary import ContactKind


@dataclass(frozen=True, slots=True)
class Handled:
    """How handling ended its case of a cycle, and the references of what it said about it. said: how many of the customer's later words it
    knew. by: who decided that."""

    cycle: int
    outcome: Outcome
    at: Instant
    department: str
    told_customer: ContactMeans
    words: dict[str, str] = field(default_factory=dict)
    said: int = 0
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """registered_at: when the registration was decided. classified_at: when it was first settled what the complaint is, not merely
    proposed. withdrawal: number of the customer's last wish to end it. said: how often the customer added something or asked; said_at: when
    last; the words are in rows (`history.py`). standing: breached deadlines, `clock/cycle/n`, without the annulled ones; breaches: the same
    as the public record names them, `clock/cycle`. Both sorted."""

    registration: Registration | None = None
    registered_at: Instant | None = None
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

    @property
    def area(self) -> str | None:
        return self.registration.area if self.registration else None

    @property
    def kind(self) -> ContactKind | None:
        """None until it is registered."""
        return current_kind(self.classification, self.registration.kind) if self.registration else None


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
            return replace(observed, registration=registered(event), registered_at=at)
        case ComplaintSupplemented() | ComplaintChased():
            return replace(observed, said=observed.said + 1, said_at=at)
        case ComplaintWithdrawn():
            return replace(observed, withdrawal=event.withdrawal)
        case ComplaintClassified() | ComplaintReclassified():
            first = observed.classified_at or (at if settled(event) else None)
            return replace(observed, classification=classified(event), classified_at=first)
        case ComplaintRouted() | CaseTransferred():
            return replace(observed, placement=placed(observed.placement, event))
        case CaseResolved() | CaseRejected():
            outcome: Outcome = "resolved" if isinstance(event, CaseResolved) else "rejected"
            words = event.personal_values()
            handled = Handled(event.cycle, outcome, at, event.department, event.told_customer, words, event.said, event.by)
            return replace(observed, handled=handled)
        case DeadlineBreached():
            return _standing(observed, {*observed.standing, _instance(event)})
        case BreachAnnulled():
            return _standing(observed, {*observed.standing} - {_instance(event)})
    return observed


def _instance(event: DeadlineBreached | BreachAnnulled) -> str:
    return f"{event.clock}/{event.cycle}/{event.n}"


def _standing(observed: Observed, standing: set[str]) -> Observed:
    named = {instance.rpartition("/")[0] for instance in standing}
    return replace(observed, standing=tuple(sorted(standing)), breaches=tuple(sorted(named)))
