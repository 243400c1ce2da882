"""What readers of a clock are shown."""

from datetime import UTC, datetime, timedelta

from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.sla_monitor import ClockCancelled, ClockMet, DeadlineBreached
from redress_sla_monitor.automations import start_by
from redress_sla_monitor.domain.aggregate import AGGREGATE
from redress_sla_monitor.domain.watch import Watch
from redress_sla_monitor.policies import in_force
from redress_sla_monitor.views import ClocksView, WaitingView
from redress_spine.aggregate import Context
from redress_spine.store.states import Loaded

RULES = in_force()
RECEIVED = datetime(2026, 2, 13, 2, tzinfo=UTC)  # Friday, ten in the morning in Shanghai, before a Saturday that is worked
DEADLINE = datetime(2026, 2, 14, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)
MET = ClockMet(clock="classify", cycle=1, n=1, met_at=RECEIVED + HOUR, in_time=True)
BREACHED = DeadlineBreached(clock="classify", cycle=1, n=1, deadline=DEADLINE, noticed_at=DEADLINE)
CLOSED = ClockCancelled(clock="classify", cycle=1, n=1, reason="closed", cancelled_at=RECEIVED + HOUR)


def loaded(*later: ClockMet | ClockCancelled | DeadlineBreached) -> Loaded:
    event = ComplaintRegistered(number="C-1", channel="web", kind="complaint", received_at=RECEIVED, text="intake/1/text")
    observed = AGGREGATE.observe(Watch().observed, event, RECEIVED)
    own = Watch().own
    for said in (*start_by(RULES).decide(Watch(observed, own), Context(RECEIVED, "timer")), *later):
        own = AGGREGATE.evolve(own, said, RECEIVED)
    return Loaded("complaint/01890000-0000-7000-8000-000000000001", Watch(observed, own), "etag", False, 1)


def test_an_open_clock_says_how_much_time_is_left_and_why():
    view = ClocksView.of(loaded(), DEADLINE - HOUR, RULES.calendars)
    (clock,) = view.clocks
    assert view.number == "C-1"
    assert (clock.state, clock.verdict, clock.seconds_left, clock.in_time) == ("open", "none", 3600, None)
    assert [(part.start.isoformat(), part.end.isoformat(), part.counts, part.reason) for part in clock.explanation] == [
        ("2026-02-13T10:00:00+08:00", "2026-02-14T00:00:00+08:00", False, "day of the start"),
        ("2026-02-14T00:00:00+08:00", "2026-02-15T00:00:00+08:00", True, "make-up working day (Spring Festival)"),
    ]


def test_a_clock_that_is_over_has_no_time_left():
    (met,) = ClocksView.of(loaded(MET), DEADLINE, RULES.calendars).clocks
    assert (met.state, met.seconds_left, met.in_time, met.ended_at) == ("met", None, True, RECEIVED + HOUR)
    (closed,) = ClocksView.of(loaded(CLOSED), DEADLINE, RULES.calendars).clocks
    assert (closed.state, closed.ended, closed.seconds_left, closed.in_time) == ("cancelled", "closed", None, None)


def test_lists_show_the_clocks_that_are_asked_for():
    due = WaitingView.of(loaded(), "due", RECEIVED)
    assert due is not None and (due.deadline, [clock.state for clock in due.clocks]) == (DEADLINE, ["open"])
    late = WaitingView.of(loaded(BREACHED), "late", DEADLINE + HOUR)
    assert late is not None and [(clock.state, clock.seconds_left) for clock in late.clocks] == [("late", -3600)]


def test_what_was_settled_while_a_list_was_read_is_not_in_it():
    assert WaitingView.of(loaded(MET), "due", RECEIVED) is None
    assert WaitingView.of(loaded(), "late", DEADLINE) is None
