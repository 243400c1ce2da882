"""Clocks as their readers see them: what is due when, how much time is left, and how the deadline came about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel

from redress_chassis import filled
from redress_events.contracts.sla_monitor import ClockName
from redress_sla_monitor.domain.calendar import Calendar
from redress_sla_monitor.domain.deadline import compute_deadline
from redress_sla_monitor.domain.own import ClockEnd, Instance, Verdict
from redress_sla_monitor.domain.target import Target
from redress_sla_monitor.domain.watch import Watch
from redress_spine.store.states import Loaded

ClockState = Literal["open", "late", "met", "cancelled"]
Which = Literal["due", "late"]


class IntervalView(BaseModel):
    """A part of the time from the start to the deadline, in the calendar's time zone."""

    start: datetime
    end: datetime
    counts: bool
    reason: str


class DeadlineView(BaseModel):
    """One clock. seconds_left: natural seconds to the deadline, negative once it has passed, null once the clock has ended.
    ended: what ended it. provisional: the deadline leans on a year whose calendar is not published yet."""

    clock: ClockName
    cycle: int
    n: int
    state: ClockState
    verdict: Verdict
    policy: str
    calendar: str
    target: str
    starts_at: datetime
    deadline: datetime
    provisional: bool
    seconds_left: int | None
    ended: ClockEnd | None
    ended_at: datetime | None
    in_time: bool | None

    @classmethod
    def of(cls, instance: Instance, now: datetime, **more: object) -> Self:
        return filled(
            cls,
            instance,
            state=_state(instance),
            seconds_left=None if instance.ended else int((instance.deadline - now).total_seconds()),
            in_time=instance.ended_at <= instance.deadline if instance.ended == "met" and instance.ended_at else None,
            **more,
        )


class ClockView(DeadlineView):
    """One clock with its explanation: the intervals that count add up to the target."""

    explanation: list[IntervalView]

    @classmethod
    def explained(cls, instance: Instance, now: datetime, calendars: Mapping[str, Calendar]) -> Self:
        return cls.of(instance, now, explanation=_explained(instance, calendars[instance.calendar]))


class ClocksView(BaseModel):
    """All clocks that one complaint ever had, in the order in which they were started."""

    complaint: UUID
    number: str | None
    clocks: list[ClockView]

    @classmethod
    def of(cls, loaded: Loaded, now: datetime, calendars: Mapping[str, Calendar]) -> ClocksView:
        watch: Watch = loaded.state
        clocks = [ClockView.explained(each, now, calendars) for each in watch.own.clocks]
        return cls(complaint=loaded.id, number=watch.observed.number, clocks=clocks)


class WaitingView(BaseModel):
    """A complaint with its clocks that are due or late. deadline: the earliest of them, by which lists are ordered."""

    complaint: UUID
    number: str | None
    deadline: datetime
    clocks: list[DeadlineView]

    @classmethod
    def of(cls, loaded: Loaded, which: Which, now: datetime) -> WaitingView | None:
        """None where it was settled while the list was read."""
        watch: Watch = loaded.state
        shown = [each for each in watch.own.clocks if (watch.awaited(each) if which == "due" else each.late)]
        if not shown:
            return None
        return cls(
            complaint=loaded.id,
            number=watch.observed.number,
            deadline=min(each.deadline for each in shown),
            clocks=[DeadlineView.of(each, now) for each in shown],
        )


class WaitingPage(BaseModel):
    """Complaints, the earliest deadline first. next: the cursor of the next page."""

    items: list[WaitingView]
    next: str | None


def _state(instance: Instance) -> ClockState:
    if instance.ended is None:
        return "late" if instance.late else "open"
    return "met" if instance.ended == "met" else "cancelled"


def _explained(instance: Instance, calendar: Calendar) -> list[IntervalView]:
    """Computed again, by the calendar that the clock was started with."""
    computed = compute_deadline(instance.starts_at, Target.parse(instance.target), calendar)
    return [
        IntervalView(
            start=each.start.astimezone(calendar.zone), end=each.end.astimezone(calendar.zone), counts=each.counts, reason=each.reason
        )
        for each in computed.intervals
    ]
