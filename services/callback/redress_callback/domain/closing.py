"""End a complaint: with the fact that says so goes the public record, made of everything that is known at that moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from redress_callback.domain.done import did
from redress_callback.domain.visit import Visit
from redress_events.contracts.callback import ClosedComplaint, CloseReason, ComplaintClosed
from redress_events.event import Fact, replace
from redress_spine.aggregate import Context


def end(visit: Visit, context: Context, reason: CloseReason, before: Sequence[Fact] = (), withdrawal: int = 0) -> list[Fact]:
    """These facts, the end, and its public record."""
    facts = [*before, ComplaintClosed(cycle=visit.done.cycle, reason=reason, withdrawal=withdrawal)]
    done = visit.done
    for fact in facts:
        done = did(done, fact, context.now)
    return [*facts, public_record(replace(visit, done=done), context)]


def publish_again(visit: Visit, context: Context) -> list[Fact]:
    """What was breached or annulled after the end changes what was published: the whole record once more, with the next revision."""
    if not visit.revision_due:
        return []
    return [public_record(visit, context)]


def public_record(visit: Visit, context: Context) -> ClosedComplaint:
    """The next revision. Outcome, resolution and satisfaction are those of the last cycle: a complaint that was withdrawn after it had been
    reopened counts as not resolved. Durations are clamped at 0, for clocks of several machines took part."""
    heard, done, registration, found, handled = visit.heard, visit.done, visit.heard.registration, visit.heard.classification, visit.handled
    assert registration is not None, "nothing is heard of a complaint before its registration"
    assert done.closed_at is not None, "only what was closed is published"
    assert done.reason is not None, "an end has a reason"
    return ClosedComplaint(
        complaint=context.subject.partition("/")[2],
        number=registration.number,
        revision=done.revision + 1,
        reason=done.reason,
        channel=registration.channel,
        kind=found.kind if found else registration.kind,
        product=registration.product,
        area=registration.area,
        category=found.category if found else None,
        sub_category=found.sub_category if found else None,
        severity=found.severity if found else None,
        department=handled.department if handled else heard.department,
        outcome=handled.outcome if handled else None,
        cycles=done.cycle,
        received_at=registration.received_at,
        registered_at=registration.registered_at,
        classified_at=heard.classified_at,
        resolved_at=handled.at if handled else None,
        closed_at=done.closed_at,
        seconds_to_resolve=_seconds(registration.received_at, handled.at) if handled else None,
        seconds_to_close=_seconds(registration.received_at, done.closed_at),
        breaches=heard.breaches,
        attempts=done.attempts,
        solved=done.answer.solved if done.answer else None,
        satisfaction=done.answer.score if done.answer else None,
    )


def _seconds(start: datetime, end: datetime) -> int:
    return max(0, int((end - start).total_seconds()))
