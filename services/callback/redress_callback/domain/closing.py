"""End a complaint: with the event that says so goes the public record, made of everything that is known at that moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from redress_callback.domain.observed import CaseOfCycle
from redress_callback.domain.own import EndedCycle, ended_cycle, evolve
from redress_callback.domain.shown import shown
from redress_callback.domain.visit import Visit
from redress_events.catalogue import in_clear
from redress_events.classification import current_kind
from redress_events.contracts.callback import ClosedComplaint, ClosedCycle, CloseReason, ComplaintClosed
from redress_events.event import Event, replace
from redress_spine.aggregate import Context


def end(visit: Visit, context: Context, reason: CloseReason, before: Sequence[Event] = (), withdrawal: int = 0) -> list[Event]:
    """These events, the end, and its public record."""
    events = [*before, ComplaintClosed(cycle=visit.own.cycle, reason=reason, withdrawal=withdrawal)]
    own = visit.own
    for event in events:
        own = evolve(own, event, context.now)
    return [*events, public_record(replace(visit, own=own), context)]


def publish_again(visit: Visit, context: Context) -> list[Event]:
    """What was breached, annulled or met after the end changes what was published: the whole record once more, with the next revision."""
    if not visit.revision_due:
        return []
    return [public_record(visit, context)]


def public_record(visit: Visit, context: Context) -> ClosedComplaint:
    """The next revision. Outcome, resolution and satisfaction are those of the last cycle: a complaint that was withdrawn after it had been
    reopened counts as not resolved. Durations are clamped at 0, for clocks of several machines took part."""
    observed, own, registration, found, handled = (
        visit.observed,
        visit.own,
        visit.observed.registration,
        visit.observed.classification,
        visit.handled,
    )
    assert registration and observed.registered_at, "nothing is known a complaint before its registration"
    assert own.closed_at is not None, "only what was closed is published"
    assert own.reason is not None, "an end has a reason"
    cycles = _cycles(visit, registration.received_at, own.closed_at)
    first = cycles[0]
    return ClosedComplaint(
        complaint=context.subject.partition("/")[2],
        number=registration.number,
        revision=own.revision + 1,
        reason=own.reason,
        channel=registration.channel,
        kind=current_kind(found, registration.kind),
        product=in_clear(registration.product),
        area=in_clear(registration.area),
        category=found.category if found else None,
        sub_category=found.sub_category if found else None,
        severity=found.severity if found else None,
        department=handled.department if handled else observed.department,
        outcome=handled.outcome if handled else None,
        cycles=own.cycle,
        received_at=registration.received_at,
        registered_at=observed.registered_at,
        classified_at=observed.classified_at,
        resolved_at=handled.at if handled else None,
        closed_at=own.closed_at,
        seconds_to_resolve=_seconds(registration.received_at, handled.at) if handled else None,
        seconds_to_close=_seconds(registration.received_at, own.closed_at),
        breaches=observed.breaches,
        attempts=own.attempts,
        solved=own.answer.solved if own.answer else None,
        satisfaction=own.answer.score if own.answer else None,
        accepted_at=min((each.accepted_at for each in cycles if each.accepted_at), default=None),
        first_contacted_at=min((each.contacted_at for each in cycles if each.contacted_at), default=None),
        first_department=first.department,
        first_outcome=first.outcome,
        first_resolved_at=first.resolved_at,
        seconds_to_first_resolve=_seconds(registration.received_at, first.resolved_at) if first.resolved_at else None,
        first_solved=first.solved,
        first_satisfaction=first.satisfaction,
        per_cycle=cycles,
        clocks=visit.clocks,
    )


def _cycles(visit: Visit, received_at: datetime, closed_at: datetime) -> tuple[ClosedCycle, ...]:
    """The first is always among them."""
    own = visit.own
    cases = {case.cycle: case for case in visit.observed.cases}
    ended = shown((*own.past, ended_cycle(own, closed_at)), own.cycle)
    return tuple(_cycle(visit, each, cases.get(each.cycle, CaseOfCycle(each.cycle)), received_at) for each in ended)


def _cycle(visit: Visit, ended: EndedCycle, case: CaseOfCycle, received_at: datetime) -> ClosedCycle:
    missed = (breach.split("/") for breach in visit.observed.breaches)
    return ClosedCycle(
        cycle=ended.cycle,
        started_at=ended.started_at or received_at,
        department=case.department,
        outcome=case.outcome,
        accepted_at=case.accepted_at,
        contacted_at=case.contacted_at,
        resolved_at=case.resolved_at,
        attempts=ended.tries,
        solved=ended.answer.solved if ended.answer else None,
        satisfaction=ended.answer.score if ended.answer else None,
        breaches=tuple(clock for clock, cycle in missed if cycle == str(ended.cycle)),
        ended_at=ended.ended_at,
    )


def _seconds(start: datetime, end: datetime) -> int:
    return max(0, int((end - start).total_seconds()))
