"""From a start to a deadline: the rule for each unit, and an explanation whose sum is the answer."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redress_sla_monitor.domain.deadline import Interval, business_seconds, compute_deadline
from redress_sla_monitor.domain.target import LENGTHS, Target, Unit
from redress_sla_monitor.policies import calendars

CHINA = calendars()["china@1"]
SHANGHAI = ZoneInfo("Asia/Shanghai")


def local(month: int, day: int, hour: int = 0, minute: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=SHANGHAI)


def end_of(month: int, day: int, *, year: int = 2026) -> datetime:
    """24:00 of that day."""
    return local(month, day, year=year) + timedelta(days=1)


@pytest.mark.parametrize(
    ("received", "target", "deadline"),
    [
        (local(2, 13, 10), "3 working days", end_of(2, 25)),  # the 14th makes up, the 15th to 23rd are the Spring Festival
        (local(9, 18, 17), "1 working day", end_of(9, 20)),  # a Sunday that makes up for National Day
        (local(9, 30, 9), "5 working days", end_of(10, 13)),
        (local(3, 2, 23, 59), "1 working day", end_of(3, 3)),
        (local(3, 2), "1 working day", end_of(3, 3)),  # the first moment of a day belongs to that day
        (local(3, 7, 12), "1 working day", end_of(3, 9)),  # received on a Saturday
        (local(3, 7, 12), "2 natural days", end_of(3, 9)),
        (local(3, 7, 12), "48 natural hours", local(3, 9, 12)),
        (local(3, 7, 12), "90 seconds", local(3, 7, 12) + timedelta(seconds=90)),
        (local(3, 7, 12), "30 minutes", local(3, 7, 12, 30)),
        (local(3, 2, 10), "2 working hours", local(3, 2, 12)),
        (local(3, 2, 11), "2 working hours", local(3, 2, 14)),  # lunch from 12 to 13
        (local(3, 2, 12, 30), "1 working hour", local(3, 2, 14)),
        (local(3, 2, 7), "1 working hour", local(3, 2, 10)),
        (local(3, 2, 17, 30), "1 working hour", local(3, 3, 9, 30)),
        (local(3, 6, 19), "8 working hours", local(3, 9, 18)),  # Friday evening to Monday evening
        (local(3, 6, 19), "9 working hours", local(3, 10, 10)),
    ],
)
def test_a_deadline_falls_here(received: datetime, target: str, deadline: datetime):
    computed = compute_deadline(received.astimezone(UTC), Target.parse(target), CHINA)
    assert computed.deadline == deadline
    assert computed.deadline.tzinfo == UTC
    assert not computed.provisional


def test_the_days_are_shanghais_not_utcs():
    received = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)  # half past midnight on the 3rd in Shanghai
    assert compute_deadline(received, Target.parse("1 working day"), CHINA).deadline == end_of(3, 4)


@pytest.mark.parametrize(
    ("received", "target", "provisional"),
    [
        (local(12, 30), "1 working day", False),  # ends with the 31st, on the midnight that begins 2027
        (local(12, 31), "1 working day", True),
        (local(12, 31, 17), "2 working hours", True),
        (local(12, 31), "3 natural days", False),  # no calendar is asked
        (local(12, 31), "72 natural hours", False),
        (local(12, 31, year=2024), "1 working day", False),  # the day of the start does not count
    ],
)
def test_a_deadline_that_leans_on_an_unpublished_year_is_provisional(received: datetime, target: str, provisional: bool):
    assert compute_deadline(received, Target.parse(target), CHINA).provisional is provisional


def test_without_a_published_calendar_only_weekends_are_off():
    computed = compute_deadline(local(12, 31), Target.parse("2 working days"), CHINA)
    assert computed.deadline == end_of(1, 4, year=2027)
    assert [(interval.counts, interval.reason) for interval in computed.intervals] == [
        (False, "day of the start"),
        (True, "weekday, calendar of 2027 not published"),  # 1 January
        (False, "weekend"),
        (False, "weekend"),
        (True, "weekday, calendar of 2027 not published"),
    ]


def test_an_explanation_names_every_day_and_why():
    intervals = compute_deadline(local(2, 13, 10), Target.parse("3 working days"), CHINA).intervals
    assert intervals[0] == Interval(local(2, 13, 10), local(2, 14), False, "day of the start")
    assert [(interval.end.astimezone(SHANGHAI) - timedelta(days=1)).date() for interval in intervals if interval.counts] == [
        date(2026, 2, 14),
        date(2026, 2, 24),
        date(2026, 2, 25),
    ]
    assert [interval.reason for interval in intervals if interval.counts] == [
        "make-up working day (Spring Festival)",
        "working day",
        "working day",
    ]
    assert {interval.reason for interval in intervals[2:-2]} == {"public holiday (Spring Festival)"}


STARTS = st.timedeltas(timedelta(0), timedelta(days=790)).map(lambda after: datetime(2024, 12, 1, tzinfo=UTC) + after)
TARGETS = st.builds(Target, st.integers(1, 60), st.sampled_from(Unit))


@settings(deadline=None)
@given(STARTS, TARGETS)
def test_an_explanation_has_no_gap_and_its_sum_is_the_target(starts_at: datetime, target: Target):
    intervals = compute_deadline(starts_at, target, CHINA).intervals
    assert intervals[0].start == starts_at
    assert all(earlier.end == later.start for earlier, later in pairwise(intervals))
    assert all(interval.start < interval.end for interval in intervals)
    counted = [interval for interval in intervals if interval.counts]
    if target.unit in LENGTHS:
        assert sum(((each.end - each.start) for each in counted), timedelta()) == target.amount * LENGTHS[target.unit]
    else:
        assert len(counted) == target.amount
    assert intervals[-1].counts


@settings(deadline=None)
@given(STARTS, TARGETS, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_who_starts_later_is_never_due_earlier(starts_at: datetime, target: Target, later: timedelta):
    assert compute_deadline(starts_at, target, CHINA).deadline <= compute_deadline(starts_at + later, target, CHINA).deadline


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (local(3, 2, 10), local(3, 2, 10), 0),
        (local(3, 2, 10), local(3, 2, 14), 3),  # lunch from 12 to 13
        (local(3, 2, 12, 15), local(3, 2, 12, 45), 0),
        (local(3, 2, 17), local(3, 3, 10), 2),
        (local(3, 6, 17), local(3, 9, 10), 2),  # over a weekend
        (local(2, 13, 17), local(2, 24, 10), 10),  # the 14th makes up for the Spring Festival
        (local(3, 2, 8), end_of(3, 4), 24),
    ],
)
def test_working_hours_between_two_instants(start: datetime, end: datetime, hours: int):
    assert business_seconds(start, end, CHINA) == hours * 3600
    assert business_seconds(end, start, CHINA) == -hours * 3600


@settings(deadline=None)
@given(STARTS, st.integers(1, 60))
def test_working_hours_until_a_deadline_in_working_hours_are_the_target(starts_at: datetime, hours: int):
    deadline = compute_deadline(starts_at, Target(hours, Unit.WORKING_HOUR), CHINA).deadline
    assert business_seconds(starts_at, deadline, CHINA) == hours * 3600
