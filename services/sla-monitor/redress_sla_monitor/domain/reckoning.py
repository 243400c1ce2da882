"""From a start and a target to a deadline, with every interval on the way: counted or not, and why.

The rules. Seconds, minutes and natural hours run on at any time. Working hours run while a working day's hours run. Days are whole: the
day on which a clock starts does not count, and the deadline is the end (24:00 local, the next midnight) of the n-th natural or working
day after it. Received on Friday 13 February 2026, 3 working days: the 14th makes up for the Spring Festival and counts, the 15th to the
23rd do not, the 24th and 25th do; the deadline is the midnight that ends the 25th.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from redress_sla_monitor.domain.calendar import Calendar, Day
from redress_sla_monitor.domain.target import LENGTHS, Target, Unit

ONE_DAY = timedelta(days=1)
NATURAL_DAY = Day(True, "natural day")


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` to `end` (UTC) the clock ran, or did not. published: false where only the weekend was known."""

    start: datetime
    end: datetime
    counts: bool
    reason: str
    published: bool = True


@dataclass(frozen=True, slots=True)
class Reckoning:
    """A deadline and its explanation: gapless intervals from the start to the deadline, of which those that count add up to the target."""

    intervals: tuple[Interval, ...]

    @property
    def deadline(self) -> datetime:
        return self.intervals[-1].end

    @property
    def provisional(self) -> bool:
        """It leans on a year whose calendar was not published."""
        return not all(interval.published for interval in self.intervals)


def reckon(starts_at: datetime, target: Target, calendar: Calendar) -> Reckoning:
    """The deadline of a clock that starts at `starts_at` (aware)."""
    match target.unit:
        case Unit.NATURAL_DAY | Unit.WORKING_DAY:
            return Reckoning(tuple(_days(starts_at, target, calendar)))
        case Unit.WORKING_HOUR:
            return Reckoning(tuple(_hours(starts_at, target, calendar)))
        case _:
            return Reckoning((Interval(starts_at, starts_at + target.amount * LENGTHS[target.unit], True, "natural time"),))


def _days(starts_at: datetime, target: Target, calendar: Calendar) -> Iterator[Interval]:
    today = calendar.local_day(starts_at)
    yield Interval(starts_at, calendar.following(today), False, "day of the start")
    left = target.amount
    while left:
        today += ONE_DAY
        day = calendar.day(today) if target.unit is Unit.WORKING_DAY else NATURAL_DAY
        yield Interval(calendar.instant(today), calendar.following(today), day.worked, day.reason, day.published)
        left -= day.worked


def _hours(starts_at: datetime, target: Target, calendar: Calendar) -> Iterator[Interval]:
    left = target.amount * LENGTHS[target.unit]
    now = starts_at
    today = calendar.local_day(starts_at)
    while True:
        day = calendar.day(today)
        for hours in calendar.hours if day.worked else ():
            opens, closes = calendar.instant(today, hours.opens), calendar.instant(today, hours.closes)
            if now < opens:
                yield Interval(now, opens, False, "outside working hours", day.published)
                now = opens
            if now < closes:
                end = min(closes, now + left)
                yield Interval(now, end, True, day.reason, day.published)
                left -= end - now
                now = end
            if not left:
                return
        midnight = calendar.following(today)
        yield Interval(now, midnight, False, "outside working hours" if day.worked else day.reason, day.published)
        now = midnight
        today += ONE_DAY
