"""Settle clocks whose end, or another target, is known; and annul a breach that a late event disproves.

The verdict hangs on the time of the events alone: late means after the deadline, whenever sla-monitor learns of it. So a clock that ended
late is first said to be breached, unless it was said already, and what ended at or before the deadline takes a breach back, once and for
good.
"""

from __future__ import annotations

from datetime import datetime

from redress_events.contracts.sla_monitor import BreachAnnulled, ClockCancelled, ClockConfirmed, ClockMet, DeadlineBreached
from redress_events.event import Event, replace
from redress_sla_monitor.domain.deadline import business_seconds
from redress_sla_monitor.domain.observed import NumberedClassification
from redress_sla_monitor.domain.own import ClockEnd, Instance, started
from redress_sla_monitor.domain.policy import PolicyInForce
from redress_sla_monitor.domain.watch import Watch
from redress_spine.aggregate import Context


def settle(watch: Watch, context: Context, rules: PolicyInForce) -> list[Event]:
    """All that is known is answered in one decision."""
    return [event for instance in watch.own.clocks for event in _settled(watch, instance, context.now, rules)]


def _settled(watch: Watch, instance: Instance, now: datetime, rules: PolicyInForce) -> list[Event]:
    end = watch.end_of(instance)
    if instance.ended is not None:
        return _verdict(instance, end.at, now, rules) if end and instance.verdict == "breached" else []
    events: list[Event] = []
    while (said := watch.unanswered(instance)) and (end is None or said.at < end.at):
        answer, instance = _reclassified(instance, said, now, rules)
        events += answer
    return [*events, *_verdict(instance, end.at, now, rules), _ended(instance, end.how, end.at, rules)] if end else events


def _reclassified(instance: Instance, said: NumberedClassification, now: datetime, rules: PolicyInForce) -> tuple[list[Event], Instance]:
    """The answer to a reclassification, and the instance that runs after it: from the same start, so that time already used stays used."""
    renewed = rules.resolve(instance.cycle, instance.n + 1, instance.starts_at, said)
    if (renewed.target, renewed.deadline) == (instance.target, instance.deadline):
        confirmed = ClockConfirmed(clock=instance.clock, cycle=instance.cycle, n=instance.n, classification=said.number)
        return [confirmed], replace(instance, classification=said.number)
    cancelled = _ended(instance, "new-target", said.at, rules)
    return [*_verdict(instance, said.at, now, rules), cancelled, renewed], started(renewed)


def _verdict(instance: Instance, at: datetime, now: datetime, rules: PolicyInForce) -> list[Event]:
    """What an end at this time changes in the verdict."""
    late = at > instance.deadline
    if late and instance.verdict == "none":
        return [breached(instance, now)]
    if not late and instance.verdict == "breached":
        return [
            BreachAnnulled(
                clock=instance.clock,
                cycle=instance.cycle,
                n=instance.n,
                deadline=instance.deadline,
                kept_at=at,
                business_seconds_left=_left(instance, at, rules),
            )
        ]
    return []


def breached(instance: Instance, now: datetime) -> DeadlineBreached:
    return DeadlineBreached(clock=instance.clock, cycle=instance.cycle, n=instance.n, deadline=instance.deadline, noticed_at=now)


def _ended(instance: Instance, how: ClockEnd, at: datetime, rules: PolicyInForce) -> Event:
    if how == "met":
        return ClockMet(
            clock=instance.clock,
            cycle=instance.cycle,
            n=instance.n,
            met_at=at,
            in_time=at <= instance.deadline,
            business_seconds_left=_left(instance, at, rules),
        )
    return ClockCancelled(clock=instance.clock, cycle=instance.cycle, n=instance.n, reason=how, cancelled_at=at)


def _left(instance: Instance, at: datetime, rules: PolicyInForce) -> int:
    """By the calendar that the clock was started with."""
    return business_seconds(at, instance.deadline, rules.calendars[instance.calendar])
