"""Where clocks are changed: 24:00, hours that are skipped or repeated, and a count minute by minute in every zone."""

import random
from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest

from redress_sla_monitor.domain.calendar import WEEKDAYS, Calendar
from redress_sla_monitor.domain.deadline import compute_deadline
from redress_sla_monitor.domain.target import Target, Unit

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def worked(zone: str, *hours: tuple[str, str], weekend: tuple[str, ...] = ()) -> Calendar:
    parts = [{"opens": opens, "closes": closes} for opens, closes in hours]
    return Calendar.model_validate(
        {
            "id": "test",
            "version": 1,
            "zone": zone,
            "weekend": weekend,
            "hours": parts or [{"opens": "00:00", "closes": "24:00"}],
            "years": {},
        }
    )


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("calendar", "start", "target", "deadline"),
    [
        (worked("UTC", ("20:00", "24:00")), utc(2026, 3, 2, 19), "4 working hours", utc(2026, 3, 3)),
        (worked("UTC", ("20:00", "24:00")), utc(2026, 3, 2, 19), "5 working hours", utc(2026, 3, 3, 21)),
        (worked("UTC"), utc(2026, 3, 2, 19), "48 working hours", utc(2026, 3, 4, 19)),
        # Cairo on 24 April 2026: after 23:59 comes 01:00, which is 22:00 in UTC.
        (worked("Africa/Cairo", ("00:30", "03:30")), utc(2026, 4, 23, 20), "1 working hour", utc(2026, 4, 23, 23)),
        (worked("Africa/Cairo", ("00:00", "03:00")), utc(2026, 4, 23, 20), "3 working hours", utc(2026, 4, 24, 22)),
        (worked("Africa/Cairo", ("00:15", "00:45")), utc(2026, 4, 23, 20), "1 working hour", utc(2026, 4, 25, 21, 45)),
        (worked("Africa/Cairo", ("22:00", "24:00")), utc(2026, 4, 23, 19), "2 working hours", utc(2026, 4, 23, 22)),
        (worked("Africa/Cairo"), utc(2026, 4, 22, 23), "1 natural day", utc(2026, 4, 24, 21)),
        # New York on 8 March 2026: after 01:59 comes 03:00, which is 07:00 in UTC.
        (worked("America/New_York", ("01:00", "02:30")), utc(2026, 3, 8, 5), "2 working hours", utc(2026, 3, 9, 6)),
        # New York on 1 November 2026: 01:00 to 02:00 comes twice.
        (worked("America/New_York", ("00:00", "04:00")), utc(2026, 11, 1, 4), "5 working hours", utc(2026, 11, 1, 9)),
        (worked("America/New_York", ("00:30", "01:30")), utc(2026, 11, 1, 4), "1 working hour", utc(2026, 11, 1, 5, 30)),
        # Cairo on 29 October 2026: 23:00 to 24:00 comes twice.
        (worked("Africa/Cairo"), utc(2026, 10, 28, 12), "1 working day", utc(2026, 10, 29, 22)),
        # St. John's in 2010: a minute after midnight it was 23:01 again, and the day ended with the second midnight, 03:30 in UTC.
        (worked("America/St_Johns"), utc(2010, 11, 6, 12), "1 natural day", utc(2010, 11, 8, 3, 30)),
        (worked("America/St_Johns"), utc(2010, 11, 7, 2, 30, 30), "1 natural day", utc(2010, 11, 8, 3, 30)),
        # Havana on 1 November 2026: 00:00 to 01:00 comes twice, and 31 October ended with the first of them, 04:00 in UTC.
        (worked("America/Havana"), utc(2026, 10, 30, 12), "1 natural day", utc(2026, 11, 1, 4)),
        # Apia had no 30 December 2011.
        (worked("Pacific/Apia"), utc(2011, 12, 29, 12), "1 working day", utc(2011, 12, 31, 10)),
    ],
)
def test_a_deadline_falls_here(calendar: Calendar, start: datetime, target: str, deadline: datetime):
    assert compute_deadline(start, Target.parse(target), calendar).deadline == deadline


class Shown(NamedTuple):
    """What a clock on the wall showed in each minute from `first` on."""

    first: datetime
    days: list[date]
    minutes: list[int]


def shown(zone: ZoneInfo, first: datetime, days: int) -> Shown:
    walls = [(first + MINUTE * n).astimezone(zone) for n in range(days * 1440)]
    return Shown(first, [wall.date() for wall in walls], [wall.hour * 60 + wall.minute for wall in walls])


def change_of(zone: ZoneInfo, of: random.Random) -> datetime | None:
    """A change of the clock between 1975 and 2037, if there is one, to the minute."""
    months = [utc(year, month, 1) for year in range(1975, 2038) for month in range(1, 13)]
    changes = [pair for pair in pairwise(months) if len({month.astimezone(zone).utcoffset() for month in pair}) == 2]
    if not changes:
        return None
    earlier, later = of.choice(changes)
    before = earlier.astimezone(zone).utcoffset()
    minutes = range((later - earlier) // MINUTE)
    return earlier + MINUTE * bisect_left(minutes, True, key=lambda n: (earlier + MINUTE * n).astimezone(zone).utcoffset() != before)


def written(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def some_calendar(zone: str, of: random.Random) -> tuple[Calendar, set[int], set[int]]:
    """A calendar, the days of the week that it has off, and the minutes of a working day that it has on."""
    ends = sorted({*of.sample(range(1441), 2 * of.randint(1, 3)), *of.choice([(), (0, 1440)])})
    hours = list(zip(ends[::2], ends[1::2], strict=False))
    weekend = set(of.sample(range(7), of.randint(0, 3)))
    calendar = worked(
        zone, *((written(opens), written(closes)) for opens, closes in hours), weekend=tuple(WEEKDAYS[day] for day in weekend)
    )
    return calendar, weekend, {minute for opens, closes in hours for minute in range(opens, closes)}


def test_10_000_deadlines_in_all_zones_are_those_that_a_count_of_minutes_finds():
    """Working hours end when so many minutes were worked, days where the clock shows the n-th of them for the last time."""
    of = random.Random(20260424)
    zones = sorted(available_timezones())
    each = -(-10_000 // len(zones))
    reckonings = on_changes = 0
    for name in zones:
        zone = ZoneInfo(name)
        change = change_of(zone, of)
        middle = change or utc(of.randint(1975, 2037), of.randint(1, 12), of.randint(1, 28), of.randint(0, 23))
        wall = shown(zone, middle - 3 * DAY, 7)
        days = list(accumulate(reversed(wall.days), min))[::-1]  # a day is not over as long as the clock goes back to it
        whole_days = list(dict.fromkeys(days))[1:-1]
        calendar, weekend, minutes_on = some_calendar(name, of)
        on = [
            n
            for n, (day, minute) in enumerate(zip(wall.days, wall.minutes, strict=True))
            if day.weekday() not in weekend and minute in minutes_on
        ]
        for _ in range(each):
            start = of.randrange(3 * 1440)
            unit = of.choice((Unit.WORKING_HOUR, Unit.WORKING_DAY, Unit.NATURAL_DAY))
            hours = on[bisect_left(on, start) :][59::60]
            off = weekend if unit is Unit.WORKING_DAY else set()
            ends = [day for day in whole_days if day > days[start] and day.weekday() not in off]
            last = hours if unit is Unit.WORKING_HOUR else [len(days) - 1 - days[::-1].index(day) for day in ends]
            if not last:
                continue
            target = Target(of.randint(1, len(last)), unit)
            deadline = wall.first + MINUTE * (last[target.amount - 1] + 1)
            starts_at = wall.first + MINUTE * start
            assert compute_deadline(starts_at, target, calendar).deadline == deadline, (name, starts_at, target, calendar.hours)
            reckonings += 1
            on_changes += change is not None
    assert reckonings >= 10_000
    assert on_changes >= 5_000
