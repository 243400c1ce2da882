"""End a complaint: with the event that says so goes the public record, made of everything that is known at that moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from redress_callback.domain.own import evolve
from redress_callback.domain.visit import Visit
from redress_events.classification import current_kind
from redress_events.contracts.callback import ClosedComplaint, CloseReason, ComplaintClosed
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
    """What was breached or annulled after the end changes what was published: the whole record once more, with the next revision."""
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
    return ClosedComplaint(
        complaint=context.subject.partition("/")[2],
        number=registration.number,
        revision=own.revision + 1,
        reason=own.reason,
        channel=registration.channel,
        kind=current_kind(found, registration.kind),
        product=registration.product,
        area=registration.area,
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
    )


def _seconds(start: datetime, end: datetime) -> int:
    return max(0, int((end - start).total_seconds()))
