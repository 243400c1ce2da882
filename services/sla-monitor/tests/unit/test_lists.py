"""The rows that make a complaint due say, in every history, exactly what the deciders would decide; and they end it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redress_events.areas import area_key
from redress_events.contracts.callback import ComplaintClosed
from redress_events.contracts.handling import CaseResolved
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified
from redress_events.event import Event, from_micros, micros
from redress_sla_monitor.domain.aggregate import AGGREGATE
from redress_sla_monitor.domain.breach import breach
from redress_sla_monitor.domain.lists import WATCHES
from redress_sla_monitor.domain.lists import row as row_of_watch
from redress_sla_monitor.domain.policy import PolicyInForce
from redress_sla_monitor.domain.settle import settle
from redress_sla_monitor.domain.start import start
from redress_sla_monitor.domain.watch import Watch
from redress_spine.aggregate import Context
from redress_spine.processing.projections import changes

BLANK = Watch()
NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
Step = tuple[Event | str, datetime]


def shown(watch: Watch) -> dict[str, Any]:
    """The complaint's row, or what it amounts to that it has none. Made through the spine, which shows a projection no field that it does
    not name, the rows are the same."""
    rows = row_of_watch(watch)
    assert [each[1:] for each in changes(AGGREGATE, "complaint/1", None, (watch.observed, watch.own)).came[WATCHES]] == rows
    return dict(
        zip(
            WATCHES.columns,
            rows[0] if rows else (watch.observed.department, False, False, None, None, area_key(watch.observed.area) or ""),
            strict=True,
        )
    )


def hour(n: int) -> datetime:
    return datetime(2026, 3, 2, n, tzinfo=UTC)


def decide(which: str, watch: Watch, now: datetime, rules: PolicyInForce) -> list[Event]:
    context = Context(now=now, actor="timer")
    match which:
        case "start":
            return start(watch, context, rules)
        case "settle":
            return settle(watch, context, rules)
        case _:
            return breach(watch, context)


def chapters(steps: list[Step], rules: PolicyInForce, watch: Watch = BLANK) -> list[Watch]:
    """The state before and after each step."""
    observed, own = watch.observed, watch.own
    watches = [watch]
    for step, at in steps:
        if isinstance(step, Event):
            observed = AGGREGATE.observe(observed, step, at)
        else:
            for event in decide(step, Watch(observed, own), at, rules):
                own = AGGREGATE.evolve(own, event, at)
        watches.append(Watch(observed, own))
    return watches


def compare(watches: list[Watch], rules: PolicyInForce) -> None:
    for watch in watches:
        row = shown(watch)
        assert row["department"] == watch.observed.placement.department
        assert row["area"] == (area_key(watch.observed.area) or "")
        assert row["to_start"] == bool(decide("start", watch, NOW, rules))
        assert row["to_settle"] == bool(decide("settle", watch, NOW, rules))
        assert row["late_since"] == min((micros(each.deadline) for each in watch.own.clocks if each.late), default=None)
        if row["next_breach"] is None:
            assert decide("breach", watch, NOW + timedelta(days=365), rules) == []
        else:
            at = from_micros(row["next_breach"])
            assert isinstance(at, datetime)
            assert decide("breach", watch, at - MOMENT, rules) == []
            assert decide("breach", watch, at, rules) != []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_row_is_due_when_its_decider_has_something_to_say(
    data: st.DataObject, histories: st.SearchStrategy[list[Step]], rules: PolicyInForce
):
    compare(chapters(data.draw(histories), rules), rules)


@pytest.fixture
def running() -> list[Step]:
    """Registered and classified, the classify clock met, four hours to resolve it."""
    registered = ComplaintRegistered(number="C", channel="web", kind="complaint", received_at=hour(0), text="", area="Ｎorth")
    classified = ComplaintClassified(
        classification=1, category="other", sub_category="x", kind="complaint", severity="normal", taxonomy="t@1", confidence=1
    )
    return [(registered, hour(0)), (classified, hour(1)), ("start", hour(1)), ("settle", hour(1))]


def test_what_ended_at_the_very_deadline_and_was_told_last_is_due(running: list[Step], rules: PolicyInForce):
    resolved = CaseResolved(cycle=1, department="d", cause="", measures="", responsible_unit="u", told_customer="phone")
    closed = ComplaintClosed(cycle=1, reason="withdrawn")
    watches = chapters([*running, ("breach", hour(5)), (closed, hour(6)), ("settle", hour(6)), (resolved, hour(4))], rules)
    assert decide("settle", watches[-1], NOW, rules) != []
    compare(watches, rules)


def test_a_reclassification_is_due(running: list[Step], rules: PolicyInForce):
    reclassified = ComplaintReclassified(
        classification=2, category="billing_dispute", sub_category="x", kind="complaint", severity="normal", taxonomy="t@1", reason=""
    )
    watches = chapters([*running, (reclassified, hour(2))], rules)
    assert decide("settle", watches[-1], NOW, rules) != []
    compare([*watches, *chapters([("settle", hour(2))], rules, watches[-1])], rules)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_decision_ends_what_made_the_row_due(data: st.DataObject, histories: st.SearchStrategy[list[Step]], rules: PolicyInForce):
    watch = chapters(data.draw(histories), rules)[-1]
    row = shown(watch)
    breach_at = from_micros(row["next_breach"])
    later = breach_at if isinstance(breach_at, datetime) else NOW
    afterwards = [chapters([(which, later)], rules, watch)[-1] for which in ("start", "settle", "breach")]
    started, settled, breached = map(shown, afterwards)
    assert not started["to_start"]
    assert not settled["to_settle"]
    assert breached["next_breach"] is None or breached["next_breach"] > (row["next_breach"] or 0)
