"""From a start and a target to a deadline, with every interval on the way: counted or not, and why.

The rules. Seconds, minutes and natural hours run on at any time. Working hours run while the clock on the wall shows an hour of a working
day: hours that open in a time that is skipped open when it has passed, and what the clock shows twice is worked twice. Days are whole: the
day on which a clock starts does not count, and the deadline is the end (24:00 local, the next midnight) of the n-th natural or working
day after it; a day that a place skipped is none. Received on Friday 13 February 2026, 3 working days: the 14th makes up for the Spring
Festival and counts, the 15th to the 23rd do not, the 24th and 25th do; the deadline is the midnight that ends the 25th.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from itertools import takewhile

from redress_sla_monitor.domain.calendar import ONE_DAY, Calendar, CalendarDay
from redress_sla_monitor.domain.target import LENGTHS, Target, Unit

NATURAL_DAY = CalendarDay(True, "natural day")


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` to `end` (UTC) the clock ran, or did not. published: false where only the weekend was known."""

    start: datetime
    end: datetime
    counts: bool
    reason: str
    published: bool = True


@dataclass(frozen=True, slots=True)
class ComputedDeadline:
    """A deadline and its explanation: gapless intervals from the start to the deadline, of which those that count add up to the target."""

    intervals: tuple[Interval, ...]

    @property
    def deadline(self) -> datetime:
        return self.intervals[-1].end

    @property
    def provisional(self) -> bool:
        """It leans on a year whose calendar was not published."""
        return not all(interval.published for interval in self.intervals)


def compute_deadline(starts_at: datetime, target: Target, calendar: Calendar) -> ComputedDeadline:
    """The deadline of a clock that starts at `starts_at` (aware)."""
    match target.unit:
        case Unit.NATURAL_DAY | Unit.WORKING_DAY:
            return ComputedDeadline(tuple(_days(starts_at, target, calendar)))
        case Unit.WORKING_HOUR:
            return ComputedDeadline(tuple(_hours(starts_at, target, calendar)))
        case _:
            return ComputedDeadline((Interval(starts_at, starts_at + target.amount * LENGTHS[target.unit], True, "natural time"),))


def _days(starts_at: datetime, target: Target, calendar: Calendar) -> Iterator[Interval]:
    today = calendar.local_day(starts_at)
    now = calendar.following(today)
    yield Interval(starts_at, now, False, "day of the start")
    left = target.amount
    while left:
        today += ONE_DAY
        midnight = calendar.following(today)
        if midnight == now:  # a day that the place skipped, as Samoa did 30 December 2011
            continue
        day = calendar.day(today) if target.unit is Unit.WORKING_DAY else NATURAL_DAY
        yield Interval(now, midnight, day.worked, day.reason, day.published)
        left -= day.worked
        now = midnight


def business_seconds(start: datetime, end: datetime, calendar: Calendar) -> int:
    """Whole seconds of working hours from one instant to another; negative where the second one is earlier."""
    if end < start:
        return -business_seconds(end, start, calendar)
    until_end = takewhile(lambda interval: interval.start < end, _working_time(start, calendar))
    return int(sum((min(each.end, end) - each.start for each in until_end if each.counts), timedelta()).total_seconds())


def _hours(starts_at: datetime, target: Target, calendar: Calendar) -> Iterator[Interval]:
    left = target.amount * LENGTHS[target.unit]
    times = _working_time(starts_at, calendar)
    while left:
        interval = next(times)
        if interval.counts:
            interval = replace(interval, end=min(interval.end, interval.start + left))
            left -= interval.end - interval.start
        yield interval


def _working_time(now: datetime, calendar: Calendar) -> Iterator[Interval]:
    """From this instant on and without end: when working hours run, and why they do not."""
    while True:
        shown = calendar.shown(now)
        day = calendar.day(shown.date())
        since_midnight = shown - datetime.combine(shown, time())
        ends = [end for hours in calendar.hours for end in (hours.opens, hours.closes)] if day.worked else []
        passed = bisect_right(ends, since_midnight)
        works = passed % 2 == 1
        end = calendar.until(now, (ends[passed] if passed < len(ends) else ONE_DAY) - since_midnight)
        yield Interval(now, end, works, day.reason if works or not day.worked else "outside working hours", day.published)
        now = end
