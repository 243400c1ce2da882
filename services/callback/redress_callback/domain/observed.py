"""What callback observes: all that the return visit and the public record of a closing are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from redress_callback.domain.shown import shown
from redress_events.classification import Classification, classified, current_kind, settled
from redress_events.contracts.callback import Outcome
from redress_events.contracts.handling import (
    CaseAccepted,
    CaseRejected,
    CaseResolved,
    CaseTransferred,
    ContactMeans,
    CustomerContacted,
)
from redress_events.contracts.intake import (
    ComplaintChased,
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintWithdrawn,
)
from redress_events.contracts.sla_monitor import BreachAnnulled, ClockMet, ClockName, ClockStarted, DeadlineBreached
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
class CaseOfCycle:
    """What the department did in one cycle. accepted_at, contacted_at: when first. outcome, resolved_at: how and when it ended its case."""

    cycle: int
    department: str | None = None
    outcome: Outcome | None = None
    accepted_at: Instant | None = None
    contacted_at: Instant | None = None
    resolved_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class ClockOfCycle:
    """The last target that a clock had in one cycle, and what became of it. n: the target's number."""

    clock: ClockName
    cycle: int
    n: int
    target: str
    deadline: Instant
    met_at: Instant | None = None
    business_seconds_left: int | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """registered_at: when the registration was decided. classified_at: when it was first settled what the complaint is, not merely
    proposed. withdrawal: number of the customer's last wish to end it. said: how often the customer added something or asked; said_at: when
    last; the words are in rows (`history.py`). standing: breached deadlines, `clock/cycle/n`, without the annulled ones; breaches: the same
    as the public record names them, `clock/cycle`. Both sorted. cases, clocks: of the cycles that the public record shows one by one."""

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
    cases: tuple[CaseOfCycle, ...] = ()
    clocks: tuple[ClockOfCycle, ...] = ()

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
    CaseAccepted,
    CustomerContacted,
    CaseResolved,
    CaseRejected,
    ClockStarted,
    ClockMet,
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
            ended = replace(_case(observed, event.cycle), department=event.department, outcome=outcome, resolved_at=at)
            return replace(observed, handled=handled, cases=_cases(observed, ended))
        case CaseAccepted():
            case = _case(observed, event.cycle)
            return replace(observed, cases=_cases(observed, replace(case, accepted_at=case.accepted_at or at)))
        case CustomerContacted():
            case = _case(observed, event.cycle)
            first = min(case.contacted_at or event.contacted_at, event.contacted_at)
            return replace(observed, cases=_cases(observed, replace(case, contacted_at=first)))
        case ClockStarted():
            return replace(observed, clocks=_clocks(observed, event))
        case ClockMet():
            return replace(observed, clocks=_met(observed, event, event.met_at))
        case DeadlineBreached():
            return _standing(observed, {*observed.standing, _instance(event)})
        case BreachAnnulled():
            kept = replace(observed, clocks=_met(observed, event, event.kept_at, again=True))
            return _standing(kept, {*observed.standing} - {_instance(event)})
    return observed


def _case(observed: Observed, cycle: int) -> CaseOfCycle:
    return next((case for case in observed.cases if case.cycle == cycle), CaseOfCycle(cycle))


def _cases(observed: Observed, changed: CaseOfCycle) -> tuple[CaseOfCycle, ...]:
    others = [case for case in observed.cases if case.cycle != changed.cycle]
    cases = sorted([*others, changed], key=lambda case: case.cycle)
    return shown(tuple(cases), cases[-1].cycle)


def _clocks(observed: Observed, event: ClockStarted) -> tuple[ClockOfCycle, ...]:
    """With this target in the place of an earlier one of the same clock and cycle."""
    others = [clock for clock in observed.clocks if (clock.clock, clock.cycle) != (event.clock, event.cycle)]
    new = ClockOfCycle(event.clock, event.cycle, event.n, event.target, event.deadline)
    clocks = sorted([*others, new], key=lambda clock: (clock.cycle, clock.clock))
    return shown(tuple(clocks), clocks[-1].cycle)


def _met(observed: Observed, event: ClockMet | BreachAnnulled, at: datetime, again: bool = False) -> tuple[ClockOfCycle, ...]:
    """again: only a clock that was met already. What was kept by its cancelling is not met."""

    def after(clock: ClockOfCycle) -> ClockOfCycle:
        concerned = (clock.clock, clock.cycle, clock.n) == (event.clock, event.cycle, event.n)
        if not concerned or (again and clock.met_at is None):
            return clock
        return replace(clock, met_at=at, business_seconds_left=event.business_seconds_left)

    return tuple(after(clock) for clock in observed.clocks)


def _instance(event: DeadlineBreached | BreachAnnulled) -> str:
    return f"{event.clock}/{event.cycle}/{event.n}"


def _standing(observed: Observed, standing: set[str]) -> Observed:
    named = {instance.rpartition("/")[0] for instance in standing}
    return replace(observed, standing=tuple(sorted(standing)), breaches=tuple(sorted(named)))
